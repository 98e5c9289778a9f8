"""What is asked of a model: compounds and cell lines, each with what is wrong or odd about it.

Nothing is dropped: a row that cannot be predicted keeps its reason, a row outside the domain its
flag.
"""

import difflib
from pathlib import Path

import numpy as np
import pandas as pd

from lib.cells import expression
from lib.drugs import descriptors
from lib.screening import build, fit
from lib.screens import lines as names_of_lines
from lib.screens.molecules import standardise_all
from lib.sweep import features

SMILES = ("smiles", "canonical_smiles", "can_smiles", "structure")
NAMES = ("drug_id", "compound", "name", "id", "drug_name", "title")
FORMATS = (".csv", ".smi", ".sdf", ".parquet")
LARGEST_LOG = 30.0  # log2 of a billion: no measurement on a log scale is larger
LEAST_GENES = 0.8  # share of the genes that the networks read
OWN_SCALING = 20  # own lines from which a table is standardised by itself, as every study was
UNLIKE = 0.3  # Tanimoto similarity below which two drugs share little (Table 4 of notebook 04)
UNDESCRIBED = "no descriptors, so mean effects alone: "


def read_compounds(path):
    """Compounds of a file.

    Parameters
    ----------
    path : path
        `.csv` or `.parquet` with a column of SMILES (one of SMILES, any case) and perhaps a name
        (one of NAMES), `.smi` (SMILES, blank, name) or `.sdf`.

    Returns
    -------
    DataFrame
        compound, smiles.

    Raises
    ------
    ValueError
        If the file is missing, empty, of another format, or has no column of SMILES.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is no file: give compounds as one of {FORMATS}")
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise ValueError(f"{path}: a file of compounds ends in one of {FORMATS}")
    if kind == ".sdf":
        table = _sdf(path)
    elif kind == ".smi":
        rows = [line.split(maxsplit=1) for line in path.read_text().splitlines() if line.strip()]
        table = pd.DataFrame([[*row, None][:2] for row in rows], columns=["smiles", "name"])
    else:
        table = read_table(path)
    found = {name.lower(): name for name in reversed(table.columns.astype(str))}
    structure = next((found[name] for name in SMILES if name in found), None)
    if structure is None:
        raise ValueError(
            f"{path} has no column of SMILES among {list(table.columns)[:20]}: name it 'smiles'"
        )
    if table.empty:
        raise ValueError(f"{path} holds no compound: give one row for each")
    label = next((found[name] for name in NAMES if name in found), None)
    numbers = pd.Series([f"row {i + 1}" for i in range(len(table))], dtype="str")
    names = numbers if label is None else table[label].astype("str").reset_index(drop=True)
    smiles = table[structure].reset_index(drop=True).astype("str")
    return pd.DataFrame({"compound": names.fillna(numbers), "smiles": smiles})


def read_table(path):
    """A CSV or parquet table; a sentence where it cannot be read."""
    try:
        if Path(path).suffix.lower() == ".parquet":
            return pd.read_parquet(path)
        return pd.read_csv(path)
    except (OSError, ValueError) as error:  # also of pandas: empty or ragged files
        raise ValueError(f"{path} cannot be read as a table: {error}") from None


def _sdf(path):
    from rdkit import Chem, rdBase

    rows = []
    text = path.read_text()
    with rdBase.BlockLogs(), Chem.SDMolSupplier() as found:
        found.SetData(text)
        for i, molecule in enumerate(found if text.strip() else ()):
            name = f"row {i + 1}"
            smiles = None
            if molecule is not None:
                smiles = Chem.MolToSmiles(molecule)
                name = molecule.GetProp("_Name") or name
            rows.append((smiles, name))
    return pd.DataFrame(rows, columns=["smiles", "name"])


def describe_compounds(model, compounds, cache_dir=None):
    """Structure, features and domain of compounds.

    Parameters
    ----------
    model : Model
    compounds : DataFrame
        compound, smiles.
    cache_dir : path or None
        As in `lib.drugs.descriptors.compute_block`.

    Returns
    -------
    table : DataFrame
        A row per compound: compound, smiles, drug_id, known (training rows have it), similarity
        and nearest (to the training drugs), flag (why its number deserves less trust), reason (why
        it has none).
    x : ndarray of shape (n_compounds, p_drug), float32

    Raises
    ------
    ValueError
        If no structure at all can be read.
    """
    standard = standardise_all(compounds.reset_index(drop=True))
    broken = standard.smiles.isna()
    if broken.all():
        raise ValueError(f"no compound can be read; the first: {standard.reason.iloc[0]}")
    unique = pd.DataFrame({"drug_id": standard.smiles[~broken].unique()})
    unique["smiles"] = unique.drug_id
    block = model.facts["drug_block"]
    values, report = descriptors.compute_block(unique, block, cache_dir)
    raw = values.drop(columns="drug_id").to_numpy(np.float32)
    domain = _domain(model, unique, raw, report.reason)
    place = pd.Index(unique.drug_id).get_indexer(standard.smiles)
    x = model.scaler.transform(raw)[place]
    x[broken] = 0
    table = pd.concat(
        [standard[["compound", "drug_id", "smiles"]], domain.iloc[place].reset_index(drop=True)],
        axis=1,
    )
    table["flag"] = _joined(table.flag, "salt or solvent taken off", standard.removed != "")
    again = table.drug_id.duplicated()
    table["flag"] = _joined(table.flag, "same compound as an earlier row", again)
    table["known"] = table.drug_id.isin(model.tables["drugs"].drug_id)
    table["reason"] = standard.reason.where(broken, "")
    table.loc[broken, ["flag", "nearest"]] = ""
    table.loc[broken, "similarity"] = np.nan
    return table, x


def _domain(model, compounds, raw, reasons):
    """Where compounds stand beside the training drugs: similarity, nearest, flag."""
    drugs = model.tables["drugs"]
    near = fit.similarities(compounds, drugs).to_numpy()
    found = pd.DataFrame({"similarity": near.max(axis=1)})
    found["nearest"] = drugs.drug_name.to_numpy()[near.argmax(axis=1)]
    undescribed = reasons != ""
    found["flag"] = (UNDESCRIBED + reasons).where(undescribed, "")
    far = build.outside(model.scaler, raw) > model.arrays["drug/outside"][0]
    found["flag"] = _joined(found.flag, "descriptors outside the training range", far)
    unlike = ~undescribed & (found.similarity < UNLIKE)
    found["flag"] = _joined(found.flag, "unlike every training drug", unlike)
    return found


def _joined(flags, text, where):
    more = flags.where(flags == "", flags + "; ") + text
    return flags.mask(where, more)


def find_lines(model, wanted):
    """Lines of the model by name or id.

    Parameters
    ----------
    model : Model
    wanted : sequence of str
        Names in any spelling, DepMap or Cellosaurus ids; ["all"]: every line.

    Returns
    -------
    table : DataFrame
        line (as asked for), cell_id, tissue, known, flag, reason.
    x : ndarray of shape (n_lines, p_cell), float32
    """
    lines = model.tables["lines"]
    names = model.tables["names"]
    if list(wanted) == ["all"]:
        wanted = lines.cell_name.fillna(lines.cell_id)
        ids = lines.cell_id
        reasons = ""
    else:
        of_name = names.groupby("name").cell_id.unique()
        ids = [of_name.get(names_of_lines.normalise(one), ()) for one in wanted]
        reasons = [_why_no_line(one, found, names) for one, found in zip(wanted, ids, strict=True)]
        ids = [found[0] if len(found) == 1 else None for found in ids]
    table = pd.DataFrame({"line": pd.array(list(wanted), dtype="str"), "cell_id": ids})
    place = pd.Index(lines.cell_id).get_indexer(table.cell_id)
    table["tissue"] = lines.tissue.to_numpy()[place]
    table["known"] = lines.known.to_numpy()[place]
    table["flag"] = ""
    table["reason"] = reasons
    return table, model.arrays["line_x"][place].astype(np.float32)


def _why_no_line(wanted, found, names):
    if len(found) == 1:
        return ""
    if len(found) > 1:
        return f"{wanted!r} names {len(found)} lines: give one of the ids {', '.join(found)}"
    near = difflib.get_close_matches(names_of_lines.normalise(wanted), names.name.unique(), 3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return f"no line {wanted!r} with a profile in this model: {hint}give an expression table"


def own_lines(model, table, scale):
    """Lines of a table of expression, described as the training lines were.

    Parameters
    ----------
    model : Model
    table : DataFrame
        First column: the line; then one column per gene symbol.
    scale : str
        As in `lib.cells.expression.to_log`; it is never guessed.

    Returns
    -------
    table, x
        As `find_lines`.

    Raises
    ------
    ValueError
        If the table is empty or repeats a line, its values contradict the scale, or it lacks too
        many of the model's genes.
    """
    genes = model.tables["genes"]
    names = table.iloc[:, 0].astype("str")
    if table.empty or names.duplicated().any():
        found = "no line" if table.empty else f"{names[names.duplicated()].iloc[0]!r} twice"
        raise ValueError(f"the expression table holds {found}: give one row per line")
    here = [gene for gene in genes.symbol if gene in table.columns]
    used = genes.symbol[genes.used]
    share = used.isin(here).mean()
    if share < LEAST_GENES:
        raise ValueError(
            f"the expression table has {used.isin(here).sum()} of the {len(used)} genes that the "
            f"model reads ({share:.0%}), it needs {LEAST_GENES:.0%}: are its columns HGNC symbols?"
        )
    measured = table.columns[1:] if scale in expression.LINEAR_SCALES else here
    values = table[measured].to_numpy(dtype=float)
    if scale not in expression.LINEAR_SCALES and np.nanmax(values) > LARGEST_LOG:
        raise ValueError(
            f"a value of {np.nanmax(values):,.0f} cannot be on the scale {scale!r}: declare the "
            f"scale it is on, for example one of {expression.LINEAR_SCALES}"
        )
    values = expression.to_log(values, scale)[:, pd.Index(measured).get_indexer(here)]
    if model.facts["zscored"]:
        values = expression.zscore_within_cell(values)
    full = np.full((len(names), len(used)), np.nan)
    place = pd.Index(here).get_indexer(used)
    full[:, place >= 0] = values[:, place[place >= 0]]
    x, how = _scaled(model, full)
    near = build.correlation(x, model.arrays["line_x"].astype(np.float32)).max(axis=1)
    found = pd.DataFrame({"line": names.to_numpy(), "cell_id": "own:" + names.to_numpy()})
    found = found.assign(tissue=None, known=False, flag=how, reason="")
    unlike = near < model.arrays["cell/unlike"][0]
    found["flag"] = _joined(found.flag, "profile unlike every training line", unlike)
    return found, x


def _scaled(model, values):
    """Scaled genes; by the table's own means and spreads where it has lines enough."""
    kept = model.arrays["cell/kept"]
    if len(values) >= OWN_SCALING:
        own = np.ma.masked_invalid(values)
        mean = own.mean(axis=0).filled(0)
        sd = own.std(axis=0).filled(0)
        how = "own expression"
    else:
        mean = model.arrays["cell/mean"][0]
        sd = model.arrays["cell/sd"][0]
        source = model.arrays["cell/sources"][0]
        how = f"own expression, scaled as {source}: fewer than {OWN_SCALING} lines"
        if not model.facts["zscored"]:
            values = _moved(values, mean.mean(), np.hypot(mean.std(), np.sqrt((sd**2).mean())))
    x = (values - mean) / np.where(sd > 0, sd, 1)
    x = np.where(kept & np.isfinite(x), x, 0).clip(-features.CLIP, features.CLIP)
    return x.astype(np.float32), how


def _moved(values, mean, sd):
    """Profiles with the mean and spread over genes that a line of the source has: the unit and
    offset of another platform drop out.
    """
    own = np.nanmean(values, axis=1, keepdims=True), np.nanstd(values, axis=1, keepdims=True)
    return (values - own[0]) / own[1] * sd + mean
