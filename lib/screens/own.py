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
from lib.screens.doses import COLUMNS
from lib.screens.own_tables import NARROW, WIDE, Violations
from lib.tables import ENDPOINT, SCALES, STUDIES, Column, TableError, scale_range

# The key of the settings that declares what a table of profiles holds.
DECLARED = {"expression": "expression_scale", "mutations": "mutations"}
# What a gene of `mutations` can hold, by what is declared.
MUTATIONS = {
    "count of variants": Column(
        "int", 0, 100_000, nullable=True, remedy="declare '0/1 event', or write counts"
    ),
    "0/1 event": Column(
        "int", 0, 1, nullable=True, remedy="declare 'count of variants', or write 0 and 1"
    ),
}
CHOICES = dict(endpoint=ENDPOINT.values, expression_scale=tuple(SCALES), mutations=tuple(MUTATIONS))
# A study that is none of `STUDIES` says with `like` which of them its assay is nearest to.
KEYS = ("study", "like", *CHOICES)
SETTINGS = "screen.yml"
# The tables of a folder, and whether each must be there.
SCREEN = dict.fromkeys(NARROW, True) | dict.fromkeys(WIDE, False)
TUMOURS = dict(cells=True, expression=True)
NAMES = dict(cell_id="cell_name", drug_id="drug_name")  # of the columns of a bundle
REFERENCES = (  # a table, its column, and the table that describes what the column names
    ("responses", "cell_id", "cells"),
    ("responses", "drug_id", "drugs"),
    ("expression", "cell_id", "cells"),
    ("mutations", "cell_id", "cells"),
)
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
    settings, tables = _usable(folder, SCREEN)
    study = settings["study"]
    source = study if study in STUDIES else settings["like"]
    profiles = {kind: tables[kind] for kind in DECLARED if kind in tables}
    aliases = lines.listed(tables["cells"]).assign(study=source)
    smiles = tables["drugs"].drop(columns="drug_name", errors="ignore")
    return Bundle(
        responses=_responses(tables["responses"], settings, source),
        aliases=pd.concat([aliases, aliases.assign(study=f"profile:{source}")], ignore_index=True),
        smiles=smiles.rename(columns=NAMES).assign(study=source, smiles_origin="own table"),
        scales={f"{kind}_{source}": settings[DECLARED[kind]] for kind in profiles},
        **{kind: {source: table.rename(columns=NAMES)} for kind, table in profiles.items()},
    )


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
    settings, tables = _usable(folder, TUMOURS)
    expression = tables["expression"]
    expression.insert(1, "profile_source", "tumours")
    types = tables["cells"].set_index("cell_id").cancer_type
    return expression, types, settings["expression_scale"]


def _responses(table, settings, source):
    """Rows of the contract; a series without `curve_id` is named by line and compound.

    The screen's own name is its assay, which keeps it apart from every other assay of the study it
    stands beside.
    """
    study = settings["study"]
    stated = dict(assay=study, endpoint=settings["endpoint"])
    told = table.reindex(columns=list(stated)).astype("str").fillna(stated)
    curve_id = f"{study}/responses/" + own_tables.curve_ids(table)
    table = table.assign(**told, study=source, curve_id=curve_id, file="responses", control=False)
    return table.rename(columns=NAMES)[COLUMNS]


def _usable(folder, wanted):
    """Settings and tables; raises with every violation, one per line, if there is any."""
    settings, tables, found = _read(Path(folder), wanted)
    if found:
        raise TableError("\n".join(map(str, found)))
    return settings, {name: table.reset_index(drop=True) for name, table in tables.items()}


def _read(folder, wanted=SCREEN):
    """Settings, tables that could be read, and every violation."""
    if not folder.is_dir():
        return {}, {}, Violations(str(folder), [(0, "is no folder", START)])
    settings, found = _settings(folder / SETTINGS)
    if settings:
        found += Violations(SETTINGS, _wrong_settings(settings, wanted))
    tables = _tables(folder, wanted, settings, found)
    for name, column, known in REFERENCES:
        if name in tables and known in tables:
            problems = _unknown(tables[name][column], tables[known][column], known)
            found += Violations(f"{name}.csv", problems)
    if "drugs" in tables:
        found += Violations("drugs.csv", _wrong_structures(tables["drugs"]))
    if wanted is TUMOURS and "cancer_type" not in tables.get("cells", ["cancer_type"]):
        problem = 1, "column 'cancer_type' missing", "give every tumour its type"
        found += Violations("cells.csv", [problem])
    if settings:
        found += Violations(SETTINGS, _undeclared(tables, settings))
    if settings and "expression" in tables:
        if not any(violation.file.startswith("expression") for violation in found):
            found += Violations("expression.csv", _wrong_profiles(tables, settings))
    return settings, tables, found


def _settings(path):
    """The settings as a dict, empty where the file cannot be used; and what is wrong with it."""
    problem = "is missing"
    if path.exists():
        try:
            settings = files.read_yaml(path)
            if settings and isinstance(settings, dict):
                return settings, []
            problem = f"holds {settings!r}"
        except ValueError as error:
            problem = str(error).removeprefix(f"{path.name} ")
    remedy = f"write `key: value` a line, with the keys {list(KEYS)}"
    return {}, Violations(path.name, [(0, problem, remedy)])


def _wrong_settings(settings, wanted):
    """Unknown keys and values; a screen must have a name and an endpoint, tumours a scale."""
    for name in sorted(settings.keys() - set(KEYS), key=str):
        yield 0, f"unknown key {name!r}", f"the keys are {list(KEYS)}"
    for name, values in CHOICES.items():
        value = settings.get(name)
        known = value in values or (name == "expression_scale" and scale_range(value))
        must = name == ("endpoint" if wanted is SCREEN else "expression_scale")
        if not known and (must or value is not None):
            yield 0, f"{name} is {value!r}", f"it must be one of {values}"
    study = settings.get("study")
    like = settings.get("like")
    if wanted is TUMOURS:
        return
    if not isinstance(study, str) or not re.fullmatch(r"[\w][\w .+-]{0,39}", study):
        remedy = "give the screen a name of letters, digits, spaces, dots and dashes"
        yield 0, f"study is {study!r}", remedy
    elif study not in STUDIES and like not in STUDIES:
        nearest = f"the study whose assay is nearest to that of {study}"
        yield 0, f"like is {like!r}", f"the key `like` must be one of {STUDIES}: {nearest}"


def _tables(folder, wanted, settings, found):
    """The tables that can be read, each from its CSV or its Parquet file."""
    scale = settings.get("expression_scale")
    ends = scale_range(scale) or ()
    remedy = f"{scale} cannot be that: declare the scale that it is on"
    genes = dict(
        expression=Column("float", *ends, nullable=True, remedy=remedy),
        mutations=MUTATIONS.get(str(settings.get("mutations")), Column("float", nullable=True)),
    )
    tables = {}
    for name, must in wanted.items():
        table, wrong = own_tables.read(folder, name, must, genes.get(name))
        found += wrong
        if table is not None:
            tables[name] = table
    return tables


def _unknown(values, known, name):
    """Lines or compounds that the table describing them does not know."""
    bad = values[values.notna() & ~values.isin(known)]
    if len(bad):
        others = bad.nunique() - 1
        more = f", nor are {others} others" if others else ""
        text = f"{bad.name} {bad.iloc[0]!r} is not in {name}{more}"
        yield bad.index, text, f"add it to {name}, or correct its spelling"


def _wrong_structures(drugs):
    """SMILES that give no molecule, and fields with several of them or with more than SMILES."""
    problems = drugs.smiles.dropna().map(_structure)
    for problem, rows in problems[problems != ""].groupby(problems):
        name, smiles = drugs.loc[rows.index[0], ["drug_id", "smiles"]]
        text = f"SMILES of {name!r} {problem}: {smiles[:80]!r}"
        yield rows.index, text, "correct the structure, or remove the compound and its rows"


def _structure(smiles):
    """What is wrong with the SMILES of one field; "" where it gives a molecule."""
    drug = molecules.standardise(smiles)
    if drug.reason.startswith("several structures"):
        return "is several structures in one field (keep one)"
    words = re.search(r"\s[^|]", smiles)  # "|" begins the extension that polymers need
    return "" if drug.drug_id and not words else "is no molecule"


def _undeclared(tables, settings):
    """What a table of profiles holds must be declared, never guessed from its values."""
    for name, key in DECLARED.items():
        if name in tables and settings.get(key) is None:
            text = f"{name}.csv is there but {key} is not declared"
            yield 0, text, f"give one of {CHOICES[key]}"


def _wrong_profiles(tables, settings):
    """A profile must be one that notebook 03 can bring to the panel's scale."""
    profiles = tables["expression"]
    genes = profiles.drop(columns="cell_id").astype(float)
    flat = genes.index[~(genes.max(axis=1) > genes.min(axis=1))]
    if len(flat):
        yield flat, "the profile is flat or empty", "leave the line out of the table"
    scale = settings.get("expression_scale")
    if scale in ("TPM", "log2(TPM+1)"):
        total = (genes if scale == "TPM" else 2**genes - 1).sum(axis=1)
        over = total[total > MOST_TPM]
        if len(over):
            text = f"the TPM of one line add up to {over.iloc[0]:.3g}, declared {scale}"
            remedy = "all transcripts per million are a million: declare the scale that it is on"
            yield over.index, text, remedy
    screened = tables.get("responses", profiles).cell_id
    if not screened.isin(profiles.cell_id).any():
        text = "no line of responses has a profile"
        yield 0, text, "give the profiles of the lines that were screened"


def main(arguments=None):
    """Command line; exit status 1 if the folder, or the export, cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m lib.screens.own")
    commands = parser.add_subparsers(dest="command", required=True)
    check_it = commands.add_parser("check", help="list everything wrong with a folder")
    check_it.add_argument("folder", type=Path)
    plates.add_arguments(commands.add_parser("import", help="make the tables from plates"))
    options = parser.parse_args(arguments)
    if options.command == "import":
        return plates.run(options)
    _, tables, found = _read(options.folder)
    for violation in found:
        print(violation)
    if found:
        print(f"{len(found)} violation(s) in {options.folder}")
        return 1
    responses = tables["responses"]
    profiles = ", ".join(name for name in WIDE if name in tables) or "no profiles"
    print(
        f"{options.folder} can be used: {len(responses)} doses, {responses.cell_id.nunique()} "
        f"lines, {responses.drug_id.nunique()} compounds; {profiles}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
