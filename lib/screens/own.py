"""A scientist's own screen: a folder with three tables, and `check`, which lists everything wrong
with it at once.

    python -m lib.screens.own check FOLDER  # every violation; exit status 1 if there is any

The folder holds `screen.yml` (what the numbers are), `responses.csv` (one row per dose),
`cells.csv` with `expression.csv` and perhaps `mutations.csv` (one row per line), and `drugs.csv`
(with SMILES). Parquet does as well as CSV. Units are those of `lib.tables`: dose in -log10 M,
growth 1 for untreated and 0 for nothing left. `examples/own_screen` is such a folder.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib.screens import lines, own_tables
from lib.screens.bundle import Bundle
from lib.screens.own_tables import NARROW, WIDE, Violations
from lib.tables import ENDPOINT, STUDIES, TableError

SCALES = (
    "log2(TPM+1)",
    "TPM",
    "FPKM",
    "RPKM",
    "log2(FPKM+1)",
    "read count",
    "RMA log2",
    "log2 intensity",
)
MUTATIONS = ("count of variants", "0/1 event")
CHOICES = dict(endpoint=ENDPOINT.values, expression_scale=SCALES, mutations=MUTATIONS)
SETTINGS = dict(
    study=(
        f"the screen's name; if it is none of {STUDIES}, `like` must say which of them its "
        "assay is nearest to"
    ),
    like=f"one of {STUDIES}",
    endpoint="viability, or growth where readings at time zero were subtracted",
    expression_scale=f"one of {SCALES}",
    mutations=f"one of {MUTATIONS}",
)
ALIASES = ["cell_name", "cell_id", *lines.FORMS, "tissue", "cancer_type", "donor"]
START = "copy examples/own_screen and put your tables there"


def check(folder):
    """Everything wrong with a folder of own tables.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of Violation
        Empty when the folder can be used.
    """
    return _read(Path(folder))[2]


def load(folder):
    """The own data set.

    Parameters
    ----------
    folder : path
        Must be given: own data have no default place.

    Returns
    -------
    lib.screens.bundle.Bundle

    Raises
    ------
    TableError
        With every violation, one per line.
    """

    if folder is None:
        raise TableError(f"own data need a folder: {START}")
    settings, tables, found = _read(Path(folder))
    _refuse(found)
    source = _nearest(settings)
    tables = {name: table.reset_index(drop=True) for name, table in tables.items()}
    aliases = lines.listed(tables["cells"].drop(columns="cell_name", errors="ignore"))
    aliases = aliases.reindex(columns=ALIASES).assign(study=source)
    drugs = tables["drugs"]
    smiles = dict(study=source, drug_name=drugs.drug_id, smiles=drugs.smiles)
    profiles = {"expression": {}, "mutations": {}}
    scales = {}
    for name, key in (("expression", "expression_scale"), ("mutations", "mutations")):
        if name in tables:
            profiles[name][source] = tables[name].rename(columns=dict(cell_id="cell_name"))
            scales[f"{name}_{source}"] = settings[key]
    return Bundle(
        responses=_responses(tables["responses"], settings),
        aliases=pd.concat([aliases, aliases.assign(study=f"profile:{source}")], ignore_index=True),
        smiles=pd.DataFrame(smiles).assign(smiles_origin="own table"),
        scales=scales,
        **profiles,
    )


def _refuse(found):
    """Raise with every violation, one per line, if there is any."""
    if found:
        raise TableError("\n".join(str(violation) for violation in found))


def load_tumours(folder):
    """Tumours for type-like labels: `expression.csv`, `cells.csv` with `cancer_type`, and
    `expression_scale`.

    Parameters
    ----------
    folder : path
        Files as in a folder of own data, one row per tumour; `screen.yml` needs `expression_scale`
        only.

    Returns
    -------
    expression : DataFrame
        cell_id, profile_source, genes.
    types : Series
        Type by tumour.
    scale : str

    Raises
    ------
    TableError
        With every violation, one per line.
    """
    folder = Path(folder)
    found = Violations()
    if not folder.is_dir():
        raise TableError(
            f"{folder} is no folder: give one with expression.csv, cells.csv and screen.yml"
        )
    scale = (_yaml(folder / "screen.yml", found) or {}).get("expression_scale")
    if scale not in SCALES:
        remedy = f"it must be one of {SCALES}"
        found.add("screen.yml", 0, f"expression_scale is {scale!r}", remedy)
    tables = _tables(folder, ("cells", "expression"), (), found)
    if "cells" in tables and "cancer_type" not in tables["cells"]:
        found.add("cells.csv", 1, "column 'cancer_type' missing", "give every tumour its type")
    _references(tables, found)
    _refuse(found)
    expression = tables["expression"].reset_index(drop=True)
    expression.insert(1, "profile_source", "tumours")
    return expression, tables["cells"].set_index("cell_id").cancer_type, scale


def _nearest(settings):
    """The study in whose place the screen stands in tables and figures."""
    return settings["study"] if settings["study"] in STUDIES else settings["like"]


def _responses(table, settings):
    """Rows of the contract; a series without `curve_id` is named by line and compound.

    The screen's own name is its assay, which keeps it apart from every other assay of the study it
    stands beside.
    """
    name = settings["study"]
    curve = table.cell_id + "|" + table.drug_id
    stated = {"curve_id": curve, "assay": name, "endpoint": settings["endpoint"]}
    for column, value in stated.items():
        given = table.get(column, pd.Series(None, table.index, dtype="str"))
        table[column] = given.fillna(value)
    return pd.DataFrame(
        dict(
            study=_nearest(settings),
            assay=table.assay,
            curve_id=f"{name}/responses/" + table.curve_id,
            cell_name=table.cell_id,
            drug_name=table.drug_id,
            dose=table.dose,
            growth=table.growth,
            endpoint=table.endpoint,
            file="responses",
            control=False,
        )
    )


def _read(folder):
    """Settings, tables that could be read, and every violation."""
    found = Violations()
    if not folder.is_dir():
        found.add(str(folder), 0, "is no folder", START)
        return None, {}, found
    settings = _yaml(folder / "screen.yml", found)
    if settings is not None:
        _check_settings(settings, found)
    tables = _tables(folder, tuple(NARROW), WIDE, found)
    _references(tables, found)
    if settings is not None:
        _check_scales(settings, tables, found)
    return settings, tables, found


def _yaml(path, found):
    """The settings as a dict, or None with what is wrong with the file."""
    import yaml

    remedy = "write one `key: value` a line"
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found.add(path.name, 0, "is missing", f"write it with the keys {sorted(SETTINGS)}")
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        found.add(path.name, 0, f"is not YAML ({str(error).splitlines()[0]})", remedy)
        return None
    if not isinstance(settings, dict):
        found.add(path.name, 0, f"holds {settings!r}", remedy)
        return None
    return settings


def _check_settings(settings, found):
    file = "screen.yml"
    for name in sorted(set(settings) - set(SETTINGS)):
        found.add(file, 0, f"unknown key {name!r}", f"the keys are {sorted(SETTINGS)}")
    for name, values in CHOICES.items():
        value = settings.get(name)
        if value not in values and (value is not None or name == "endpoint"):
            found.add(file, 0, f"{name} is {value!r}", f"it must be one of {values}")
    study = settings.get("study")
    like = settings.get("like")
    if not isinstance(study, str) or not re.fullmatch(r"[\w][\w .+-]{0,39}", study):
        remedy = "give the screen a name of letters, digits, spaces, dots and dashes"
        found.add(file, 0, f"study is {study!r}", remedy)
    elif study not in STUDIES and like not in STUDIES:
        remedy = (
            f"the key `like` must be one of {STUDIES}: the study whose assay is nearest "
            f"to that of {study}"
        )
        found.add(file, 0, f"like is {like!r}", remedy)


def _tables(folder, needed, others, found):
    """The tables that can be read, each from its CSV or its Parquet file."""
    tables = {}
    for name in (*needed, *others):
        csv = folder / f"{name}.csv"
        parquet = folder / f"{name}.parquet"
        if csv.exists() and parquet.exists():
            found.add(csv.name, 0, f"{parquet.name} is there too", "keep one of them")
        elif csv.exists() or parquet.exists():
            table = own_tables.read(csv if csv.exists() else parquet, name, found)
            if table is not None:
                tables[name] = table
        elif name in needed:
            found.add(csv.name, 0, "is missing", "examples/own_screen shows what it holds")
    return tables


def _references(tables, found):
    """Lines and compounds of one table that the table describing them does not know; SMILES that
    are no molecule.
    """
    for name in ("responses", *WIDE):
        for column, known in (("cell_id", "cells"), ("drug_id", "drugs")):
            if name in tables and column in tables[name] and known in tables:
                _unknown(tables[name][column], tables[known][column], name, known, found)
    if "drugs" in tables:
        _structures(tables["drugs"], found)


def _unknown(values, known, name, other, found):
    bad = values[values.notna() & ~values.isin(known)]
    remedy = f"add it to {other}, or correct its spelling"
    for value, part in bad.groupby(bad, sort=False):
        text = f"{values.name} {value!r} is not in {other} ({len(part)} row(s))"
        found.add(f"{name}.csv", part.index[0], text, remedy)


def _structures(drugs, found):
    from rdkit import Chem, rdBase

    remedy = "correct the structure, or remove the compound and its rows"
    with rdBase.BlockLogs():
        for line, name, smiles in drugs[["drug_id", "smiles"]].dropna().itertuples():
            molecule = Chem.MolFromSmiles(smiles)
            if molecule is None or not molecule.GetNumAtoms():
                text = f"SMILES of {name!r} is no molecule: {smiles!r}"
                found.add("drugs.csv", line, text, remedy)


def _check_scales(settings, tables, found):
    """What a table of profiles holds must be declared; it is never guessed from its values."""
    for name, key in (("expression", "expression_scale"), ("mutations", "mutations")):
        if name in tables and settings.get(key) is None:
            text = f"{name}.csv is there but {key} is not declared"
            found.add("screen.yml", 0, text, f"give {SETTINGS[key]}")
    if "mutations" in tables and settings.get("mutations") == "0/1 event":
        values = tables["mutations"].drop(columns="cell_id").to_numpy()
        other = values[np.isfinite(values) & (values != 0) & (values != 1)]
        if len(other):
            text = f"declared as 0/1 event, but holds {other[0]:g} ({len(other)} such values)"
            remedy = "declare 'count of variants', or write 0 and 1"
            found.add("mutations.csv", 0, text, remedy)


def main(arguments=None):
    """Command line; exit status 1 if the folder cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.screens.own", description="Check a folder with an own screen."
    )
    parser.add_argument("command", choices=["check"])
    parser.add_argument("folder")
    options = parser.parse_args(arguments)
    _, tables, found = _read(Path(options.folder))
    for violation in found:
        print(violation)
    if found:
        print(f"{len(found)} violation(s) in {options.folder}")
        return 1
    responses = tables["responses"]
    profiles = ", ".join(name for name in WIDE if name in tables) or "no profiles"
    print(
        f"{options.folder} can be used: {len(responses)} doses, {responses.cell_id.nunique()} "
        "lines, "
        f"{responses.drug_id.nunique()} compounds; {profiles}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
