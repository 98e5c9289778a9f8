"""A scientist's own screen: a folder with three tables, and `check`, which lists everything wrong with it at once.

    python -m lib.screens.own check FOLDER  # every violation with file, line and remedy; exit status 1 if there is any

The folder holds `screen.yml` (what the numbers are), `responses.csv` (one row per dose), `cells.csv` with
`expression.csv` and perhaps `mutations.csv` (one row per line), and `drugs.csv` (with SMILES). Parquet does as well as
CSV. Units are those of `lib.tables`: dose in -log10 M, growth 1 for untreated and 0 for nothing left.
`examples/own_screen` is such a folder.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from lib.screens.bundle import Bundle
from lib.screens.own_tables import NARROW, Violation, narrow, wide
from lib.tables import STUDIES, TableError

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
WIDE = ("expression", "mutations")
SETTINGS = dict(
    study=f"the screen's name; if it is none of {STUDIES}, `like` must say which of them its assay is nearest to",
    like=f"one of {STUDIES}",
    endpoint="viability, or growth where readings at time zero were subtracted",
    expression_scale=f"one of {SCALES}",
    mutations=f"one of {MUTATIONS}",
)


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
    return _read(Path(folder))[1]


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
        raise TableError(
            "own data need a folder: copy examples/own_screen and put your tables there"
        )
    tables, violations = _read(Path(folder))
    if violations:
        raise TableError("\n".join(str(violation) for violation in violations))
    settings, source = tables["settings"], _nearest(tables["settings"])
    cells = tables["cells"].rename(columns=dict(cell_id="key")).assign(study=source)
    cells = cells.assign(cell_name=cells.key)
    facts = ["depmap_id", "cellosaurus_id", "tissue", "cancer_type", "donor"]
    for name in facts:
        cells[name] = cells.get(name)
    aliases = cells[["study", "cell_name", *facts]]
    drugs = tables["drugs"].rename(columns=dict(drug_id="key"))
    smiles = pd.DataFrame(
        dict(study=source, drug_name=drugs.key, smiles=drugs.smiles, smiles_origin="own table")
    )
    profiles = {name: {source: tables[name]} if name in tables else {} for name in WIDE}
    declared = dict(
        expression=settings.get("expression_scale"), mutations=settings.get("mutations")
    )
    return Bundle(
        responses=_responses(tables["responses"], settings),
        aliases=pd.concat([aliases, aliases.assign(study=f"profile:{source}")], ignore_index=True),
        smiles=smiles,
        scales={f"{name}_{source}": declared[name] for name in WIDE if name in tables},
        **profiles,
    )


def load_tumours(folder):
    """Tumours for type-like labels: `expression.csv`, `cells.csv` with `cancer_type`, and `expression_scale`.

    Parameters
    ----------
    folder : path
        Files as in a folder of own data, one row per tumour; `screen.yml` needs `expression_scale` only.

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
    folder, tables, found = Path(folder), {}, []
    if not folder.is_dir():
        raise TableError(
            f"{folder} is no folder: give one with expression.csv, cells.csv and screen.yml"
        )
    scale = (_yaml(folder / "screen.yml", found) or {}).get("expression_scale")
    if scale not in SCALES:
        found.append(
            Violation(
                "screen.yml", 0, f"expression_scale is {scale!r}", f"it must be one of {SCALES}"
            )
        )
    for name, reader in (("cells", narrow), ("expression", wide)):
        path = _file(folder, name, found, needed=True)
        table = None if path is None else reader(path, name, found)
        if table is not None:
            tables[name] = table
    if "cells" in tables and "cancer_type" not in tables["cells"]:
        found.append(
            Violation("cells.csv", 1, "column 'cancer_type' missing", "give every tumour its type")
        )
    _references(tables, found)
    if found:
        raise TableError("\n".join(str(violation) for violation in found))
    expression = tables["expression"].rename(columns=dict(cell_name="cell_id"))
    expression.insert(1, "profile_source", "tumours")
    return expression, tables["cells"].set_index("cell_id").cancer_type, scale


def _nearest(settings):
    """The study in whose place the screen stands in tables and figures."""
    return settings["study"] if settings["study"] in STUDIES else settings["like"]


def _responses(table, settings):
    """Rows of the contract; a series without `curve_id` is named by line and compound.

    The screen's own name is its assay, which keeps it apart from every other assay of the study it stands beside.
    """
    study, name = _nearest(settings), settings["study"]
    curve = table.cell_id + "|" + table.drug_id
    curve = table.curve_id.fillna(curve) if "curve_id" in table else curve
    return pd.DataFrame(
        dict(
            study=study,
            assay=table.assay.fillna(name) if "assay" in table else name,
            curve_id=f"{name}/responses/" + curve,
            cell_name=table.cell_id,
            drug_name=table.drug_id,
            dose=table.dose,
            growth=table.growth,
            endpoint=table.endpoint.fillna(settings["endpoint"])
            if "endpoint" in table
            else settings["endpoint"],
            file="responses",
            control=False,
        )
    )


def _read(folder):
    """Tables that could be read, and every violation."""
    if not folder.is_dir():
        return {}, [
            Violation(
                str(folder), 0, "is no folder", "copy examples/own_screen and put your tables there"
            )
        ]
    tables, found = {}, []
    settings = _settings(folder, found)
    if settings is not None:
        tables["settings"] = settings
    for name in NARROW:
        path = _file(folder, name, found, needed=True)
        table = None if path is None else narrow(path, name, found)
        if table is not None:
            tables[name] = table
    for name in WIDE:
        path = _file(folder, name, found, needed=False)
        table = None if path is None else wide(path, name, found)
        if table is not None:
            tables[name] = table
    _references(tables, found)
    _scales(tables, found)
    return tables, found


def _yaml(path, found):
    """The settings as a dict, or None with what is wrong with the file."""
    import yaml

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        found.append(
            Violation(path.name, 0, "is missing", f"write it with the keys {sorted(SETTINGS)}")
        )
        return None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        text = f"is not YAML ({str(error).splitlines()[0]})"
        found.append(Violation(path.name, 0, text, "write one `key: value` a line"))
        return None
    if not isinstance(settings, dict):
        found.append(
            Violation(path.name, 0, f"holds {settings!r}", "write one `key: value` a line")
        )
        return None
    return settings


def _settings(folder, found):
    path = folder / "screen.yml"
    settings = _yaml(path, found)
    if settings is None:
        return None
    for name in sorted(set(settings) - set(SETTINGS)):
        found.append(
            Violation(path.name, 0, f"unknown key {name!r}", f"the keys are {sorted(SETTINGS)}")
        )
    for name, values in (
        ("endpoint", ("viability", "growth")),
        ("expression_scale", SCALES),
        ("mutations", MUTATIONS),
    ):
        value = settings.get(name)
        if value not in values and (value is not None or name == "endpoint"):
            found.append(
                Violation(path.name, 0, f"{name} is {value!r}", f"it must be one of {values}")
            )
    study, like = settings.get("study"), settings.get("like")
    if not isinstance(study, str) or not re.fullmatch(r"[\w][\w .+-]{0,39}", study):
        remedy = "give the screen a name of letters, digits, spaces, dots and dashes"
        found.append(Violation(path.name, 0, f"study is {study!r}", remedy))
    elif study not in STUDIES and like not in STUDIES:
        remedy = f"the key `like` must be one of {STUDIES}: the study whose assay is nearest to that of {study}"
        found.append(Violation(path.name, 0, f"like is {like!r}", remedy))
    return settings


def _file(folder, name, found, needed):
    paths = [path for path in (folder / f"{name}.csv", folder / f"{name}.parquet") if path.exists()]
    if len(paths) == 2:
        found.append(
            Violation(paths[0].name, 0, f"{paths[1].name} is there too", "keep one of them")
        )
    if not paths and needed:
        found.append(
            Violation(f"{name}.csv", 0, "is missing", "examples/own_screen shows what it holds")
        )
    return paths[0] if len(paths) == 1 else None


def _references(tables, found):
    """Lines and compounds of one table that the table describing them does not know; SMILES that are no molecule."""
    for name, column, known in (
        ("responses", "cell_id", "cells"),
        ("responses", "drug_id", "drugs"),
    ):
        if name in tables and known in tables:
            _unknown(
                tables[name][column], tables[name].line, tables[known][column], name, known, found
            )
    for name in WIDE:
        if name in tables and "cells" in tables:
            lines = pd.Series(np.arange(2, len(tables[name]) + 2))
            _unknown(
                tables[name].cell_name.rename("cell_id"),
                lines,
                tables["cells"].cell_id,
                name,
                "cells",
                found,
            )
    if "drugs" in tables:
        _structures(tables["drugs"], found)


def _unknown(values, lines, known, name, other, found):
    bad = values.notna() & ~values.isin(known.dropna())
    for value, part in lines[bad.to_numpy()].groupby(values[bad].to_numpy(), sort=False):
        text = f"{values.name} {value!r} is not in {other} ({len(part)} row(s))"
        found.append(
            Violation(
                f"{name}.csv",
                int(part.iloc[0]),
                text,
                f"add it to {other}, or correct its spelling",
            )
        )


def _structures(drugs, found):
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        for line, name, smiles in (
            drugs[["line", "drug_id", "smiles"]].dropna().itertuples(index=False)
        ):
            molecule = Chem.MolFromSmiles(smiles)
            if molecule is None or not molecule.GetNumAtoms():
                text = f"SMILES of {name!r} is no molecule: {smiles!r}"
                remedy = "correct the structure, or remove the compound and its rows"
                found.append(Violation("drugs.csv", int(line), text, remedy))


def _scales(tables, found):
    """What a table of profiles holds must be declared; it is never guessed from its values."""
    if "settings" not in tables:
        return
    for name, key in (("expression", "expression_scale"), ("mutations", "mutations")):
        if name in tables and tables["settings"].get(key) is None:
            text = f"{name}.csv is there but {key} is not declared"
            found.append(Violation("screen.yml", 0, text, f"give {SETTINGS[key]}"))
    if "mutations" in tables and tables["settings"].get("mutations") == "0/1 event":
        values = tables["mutations"].iloc[:, 1:].to_numpy()
        other = values[np.isfinite(values) & (values != 0) & (values != 1)]
        if len(other):
            text = f"declared as 0/1 event, but holds {other[0]:g} ({len(other)} such values)"
            found.append(
                Violation("mutations.csv", 0, text, "declare 'count of variants', or write 0 and 1")
            )


def main(arguments=None):
    """Command line; exit status 1 if the folder cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m lib.screens.own", description="Check a folder with an own screen."
    )
    parser.add_argument("command", choices=["check"])
    parser.add_argument("folder")
    options = parser.parse_args(arguments)
    tables, violations = _read(Path(options.folder))
    for violation in violations:
        print(violation)
    if violations:
        print(f"{len(violations)} violation(s) in {options.folder}")
        return 1
    responses = tables["responses"]
    profiles = ", ".join(name for name in WIDE if name in tables) or "no profiles"
    print(
        f"{options.folder} can be used: {len(responses)} doses, {responses.cell_id.nunique()} lines, "
        f"{responses.drug_id.nunique()} compounds; {profiles}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
