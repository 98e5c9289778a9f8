"""The five full releases, as `lib.fetch` lays them out: `<folder>/<study>/<official file name>`.

A file that is missing or broken costs its table only: it becomes a `Gap` with the reason, and the others are read.
"""

import importlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib.paths import DATA
from lib.sources import variants
from lib.tables import STUDIES, TableError

MODULES = {"CCLE": "ccle", "CTRP": "ctrp", "GDSC": "gdsc", "gCSI": "gcsi", "NCI-60": "nci60"}
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
    lib.sources.Bundle
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
    from lib.sources import Bundle

    folder, gaps = DATA / "raw" if folder is None else Path(folder), []
    found = {study: _study(study, folder / study, conflicts, gaps) for study in studies}
    parts = [table for tables in found.values() for table in tables["responses"]]
    if not parts:
        raise TableError(
            f"no study's doses could be read from {folder}: run python -m lib.fetch ({gaps[0].study}: {gaps[0].reason})"
        )
    aliases, expression, mutations, scales = _known_lines(found), {}, {}, {}
    for study, tables in found.items():
        for frame in tables["expression"]:
            expression[study], scales[f"expression_{study}"] = (
                frame.drop(columns="profile_source"),
                frame.attrs["scale"],
            )
        for frame in tables["mutations"]:
            mutations[study] = _mutation_table(frame)
            scales[f"mutations_{study}"] = mutations[study].attrs["scale"]
    smiles = [
        frame.assign(smiles_origin=f"{frame.study.iloc[0]} release") for t in found.values() for frame in t["drugs"]
    ]
    smiles = pd.concat([frame[["study", "drug_name", "smiles", "smiles_origin"]] for frame in smiles] or [_no_smiles()])
    smiles = smiles.sort_values("smiles", na_position="last", kind="stable").drop_duplicates(["study", "drug_name"])
    responses = stack(parts)
    return Bundle(responses, aliases, smiles.reset_index(drop=True), expression, mutations, None, scales), gaps


def _study(study, folder, conflicts, gaps):
    """Every table of one study that can be read; lists, since GDSC has two files of doses."""
    module = importlib.import_module(f"lib.sources.{MODULES[study]}")
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

    A name that a catalogue gives to two lines is left out and listed in `attrs["ambiguous"]`.
    """
    parts, ambiguous = [], []
    for study, tables in found.items():
        for cells in tables["cells"]:
            shared = cells.attrs.get("shared_names", [])  # one name, two lines: the name alone says neither
            ambiguous += [(study, name) for name in shared]
            parts.append(cells.loc[~cells.cell_name.isin(shared), ALIASES])
            for key in ("depmap_id", "source_cell_id", "cosmic_id"):
                if key in cells and cells[key].notna().any():
                    keyed = cells[cells[key].notna()]
                    parts.append(keyed.assign(study=f"profile:{study}", cell_name=keyed[key])[ALIASES])
    table = pd.concat(parts or [pd.DataFrame({name: [] for name in ALIASES})], ignore_index=True)
    table = table.drop_duplicates(["study", "cell_name"], ignore_index=True)
    table.attrs["ambiguous"] = ambiguous
    return table


def _mutation_table(frame):
    return variants.counts(frame) if "variant_class" in frame else frame.drop(columns="mutation_source")


def _no_smiles():
    return pd.DataFrame({name: [] for name in ("study", "drug_name", "smiles", "smiles_origin")})


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
