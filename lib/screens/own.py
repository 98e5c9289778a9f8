"""A scientist's own screen: a folder with three tables, and `check`, which lists everything wrong
with it at once.

    python -m lib.screens.own check FOLDER  # every violation; exit status 1 if there is any
    python -m lib.screens.own import EXPORT... --help  # from plates to the tables: lib.screens.plates

The folder holds `screen.yml` (what the numbers are), `responses.csv` (one row per dose),
`cells.csv` with `expression.csv` and perhaps `mutations.csv` (one row per line), and `drugs.csv`
(with SMILES). Parquet does as well as CSV. Units are those of `lib.tables`: dose in -log10 M,
growth 1 for untreated and 0 for nothing left. `examples/own_screen` is such a folder.
"""

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

from lib import files
from lib.screens import lines, molecules, own_tables, plates
from lib.screens.bundle import Bundle
from lib.screens.own_tables import NARROW, WIDE, Violations
from lib.tables import ENDPOINT, SCALES, STUDIES, Column, TableError, scale_range

# What a gene of `mutations` can hold, by what is declared.
MUTATIONS = {
    "count of variants": Column(
        "int", 0, 100_000, nullable=True, remedy="declare '0/1 event', or write counts"
    ),
    "0/1 event": Column(
        "int", 0, 1, nullable=True, remedy="declare 'count of variants', or write 0 and 1"
    ),
}
UNDECLARED = Column("float", nullable=True)
CHOICES = dict(endpoint=ENDPOINT.values, expression_scale=tuple(SCALES), mutations=tuple(MUTATIONS))
# A study that is none of `STUDIES` says with `like` which of them its assay is nearest to.
KEYS = ("study", "like", *CHOICES)
ALIASES = ["cell_name", "cell_id", *lines.FORMS, "tissue", "cancer_type", "donor"]
MOST_TPM = 1.05e6  # of all genes of a line, with what rounding adds
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
    aliases = aliases.reindex(columns=ALIASES).astype("str").assign(study=source)
    drugs = tables["drugs"]
    smiles = dict(
        study=source,
        drug_name=drugs.drug_id,
        smiles=drugs.smiles,
    )
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
    settings = _yaml(folder / "screen.yml", found) or {}
    scale = settings.get("expression_scale")
    if scale_range(scale) is None:
        remedy = f"it must be one of {tuple(SCALES)}"
        found.add("screen.yml", 0, f"expression_scale is {scale!r}", remedy)
    tables = _tables(folder, ("cells", "expression"), (), settings, found)
    if "cells" in tables and "cancer_type" not in tables["cells"]:
        found.add("cells.csv", 1, "column 'cancer_type' missing", "give every tumour its type")
    _references(tables, found)
    _profiles(tables, settings, found)
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
    stated = dict(
        assay=name,
        endpoint=settings["endpoint"],
    )
    for column, value in stated.items():
        given = table.get(column, pd.Series(None, table.index, dtype="str"))
        table[column] = given.fillna(value)
    return pd.DataFrame(
        dict(
            study=_nearest(settings),
            assay=table.assay,
            curve_id=f"{name}/responses/" + own_tables.curve_ids(table),
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
    tables = _tables(folder, tuple(NARROW), WIDE, settings or {}, found)
    _references(tables, found)
    if settings is not None:
        _profiles(tables, settings, found)
    return settings, tables, found


def _yaml(path, found):
    """The settings as a dict, or None with what is wrong with the file."""
    remedy = f"write `key: value` a line, with the keys {list(KEYS)}"
    if not path.exists():
        found.add(path.name, 0, "is missing", remedy)
        return None
    try:
        settings = files.read_yaml(path)
    except ValueError as error:
        found.add(path.name, 0, str(error).removeprefix(f"{path.name} "), remedy)
        return None
    if not isinstance(settings, dict):
        found.add(path.name, 0, f"holds {settings!r}", remedy)
        return None
    return settings


def _check_settings(settings, found):
    file = "screen.yml"
    for name in sorted(set(settings) - set(KEYS), key=str):
        found.add(file, 0, f"unknown key {name!r}", f"the keys are {list(KEYS)}")
    for name, values in CHOICES.items():
        value = settings.get(name)
        known = value in values or (name == "expression_scale" and scale_range(value))
        if not known and (value is not None or name == "endpoint"):
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


def _tables(folder, needed, others, settings, found):
    """The tables that can be read, each from its CSV or its Parquet file."""
    ends = scale_range(settings.get("expression_scale"))
    remedy = f"{settings.get('expression_scale')} cannot be that: declare the scale that it is on"
    genes = dict(
        expression=Column("float", *ends, nullable=True, remedy=remedy) if ends else UNDECLARED,
        mutations=MUTATIONS.get(str(settings.get("mutations")), UNDECLARED),
    )
    tables = {}
    for name in (*needed, *others):
        alike = [path for path in folder.iterdir() if path.name.lower().split(".")[0] == name]
        paths = [path for path in alike if path.name in (f"{name}.csv", f"{name}.parquet")]
        if len(paths) > 1:
            found.add(f"{name}.csv", 0, f"{name}.parquet is there too", "keep one of them")
        elif paths:
            table = own_tables.read(paths[0], name, found, genes.get(name))
            if table is not None:
                tables[name] = table
        elif alike:
            book = alike[0].suffix.lower() in (".xlsx", ".xls", ".xlsm", ".ods")
            text = "is a workbook" if book else f"lies where {name}.csv is wanted"
            found.add(alike[0].name, 0, text, f"{own_tables.SAVE}, under the name {name}.csv")
        elif name in needed:
            found.add(f"{name}.csv", 0, "is missing", "examples/own_screen shows what it holds")
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
    if len(bad):
        more = f", nor are {bad.nunique() - 1} others" if bad.nunique() > 1 else ""
        text = f"{values.name} {bad.iloc[0]!r} is not in {other}{more}"
        found.add(f"{name}.csv", bad.index, text, f"add it to {other}, or correct its spelling")


def _structures(drugs, found):
    """SMILES that give no molecule, and fields with several of them or with more than SMILES."""
    problems = drugs.smiles.dropna().map(_structure)
    for problem, rows in problems[problems != ""].groupby(problems):
        name, smiles = drugs.loc[rows.index[0], ["drug_id", "smiles"]]
        text = f"SMILES of {name!r} {problem}: {smiles[:80]!r}"
        remedy = "correct the structure, or remove the compound and its rows"
        found.add("drugs.csv", rows.index, text, remedy)


def _structure(smiles):
    """What is wrong with the SMILES of one field; "" where it gives a molecule."""
    blank = re.search(r"\s[^|]", smiles)  # "|" begins the extension that polymers need
    if not blank and molecules.standardise(smiles).drug_id:
        return ""
    parts = [part for part in re.split(r"[\s,;|]+", smiles) if part]
    if len(parts) > 1 and all(molecules.standardise(part).drug_id for part in parts):
        return "is several structures in one field (keep one)"
    return "is no molecule"


def _profiles(tables, settings, found):
    """What a table of profiles holds must be declared, never guessed from its values; and a profile
    must be one that notebook 03 can bring to the panel's scale.
    """
    for name, key in (("expression", "expression_scale"), ("mutations", "mutations")):
        if name in tables and settings.get(key) is None:
            text = f"{name}.csv is there but {key} is not declared"
            found.add("screen.yml", 0, text, f"give one of {CHOICES[key]}")
    if "expression" not in tables or any(v.file.startswith("expression") for v in found):
        return
    genes = tables["expression"].drop(columns="cell_id").astype(float)
    spread = genes.max(axis=1) - genes.min(axis=1)
    flat = genes.index[~(spread > 0)]
    if len(flat):
        text = "the profile is flat or empty"
        found.add("expression.csv", flat, text, "leave the line out of the table")
    scale = settings.get("expression_scale")
    linear = 2**genes - 1 if scale == "log2(TPM+1)" else genes
    total = linear.sum(axis=1)
    over = genes.index[total > MOST_TPM]
    if scale in ("TPM", "log2(TPM+1)") and len(over):
        text = f"the TPM of one line add up to {total[over[0]]:.3g}, declared {scale}"
        remedy = "all transcripts per million are a million: declare the scale that it is on"
        found.add("expression.csv", over, text, remedy)
    measured = tables.get("responses")
    if measured is not None and not measured.cell_id.isin(tables["expression"].cell_id).any():
        text = "no line of responses has a profile"
        found.add("expression.csv", 0, text, "give the profiles of the lines that were screened")


def main(arguments=None):
    """Command line; exit status 1 if the folder, or the export, cannot be used."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["import"]:
        return plates.main(arguments[1:])
    parser = argparse.ArgumentParser(
        prog="python -m lib.screens.own", description="Check a folder with an own screen."
    )
    parser.add_argument("command", choices=["check", "import"])
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
