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
from lib.screens import delimited, texts
from lib.screens import lines as names_of_lines
from lib.screens.molecules import standardise_all
from lib.sweep import features
from lib.tables import LINEAR_SCALES, Column, scale_range

# Columns of structures and of names, the preferred one first; spelled as `normalise` gives them
SMILES = "SMILES CANONICALSMILES CANSMILES ISOMERICSMILES STRUCTURE".split()
NAMES = "DRUGID COMPOUND NAME ID DRUGNAME TITLE COMPOUNDNAME COMPOUNDID".split()
LARGEST = 1e12  # of any value in an expression table; each scale has its own limits
LEAST_GENES = 0.8  # share of the genes that the networks read
LOGARITHM = 20  # no log2(TPM+1) is above
OWN_SCALING = 20  # own lines from which a table is standardised by itself, as every study was
UNLIKE = 0.3  # Tanimoto similarity below which two drugs share little (Table 4 of notebook 04)
UNDESCRIBED = "no descriptors, so mean effects alone: "


def read_compounds(given):
    """Compounds of a file or a table.

    Parameters
    ----------
    given : path or DataFrame
        A table has a column of SMILES (one of SMILES) and perhaps a name (one of NAMES), in any
        spelling: "Canonical SMILES" too. `.csv`, `.tsv`, `.txt` or `.parquet`; or `.smi` (SMILES,
        blank, name) or `.sdf`. Text may be packed by gzip.

    Returns
    -------
    DataFrame
        compound, smiles.

    Raises
    ------
    ValueError
        If the file is missing, empty, of another format, or has no column of SMILES.
    """
    table = given if isinstance(given, pd.DataFrame) else _read(given, COMPOUNDS)
    where = "the table" if table is given else given
    found = {names_of_lines.normalise(name): name for name in reversed(table.columns)}
    table = table.reset_index(drop=True)
    structure = next((found[name] for name in SMILES if name in found), None)
    if structure is None:
        columns = list(table.columns)[:20]
        raise ValueError(f"{where} has no column of SMILES among {columns}: name it 'smiles'")
    if table.empty:
        raise ValueError(f"{where} holds no compound: give one row for each")
    made = pd.DataFrame({"compound": [f"row {i + 1}" for i in table.index]}, dtype="str")
    label = next((found[name] for name in NAMES if name in found), None)
    if label is not None:
        names = table[label].astype("str").str.strip()
        made["compound"] = names.mask(names == "").fillna(made.compound)
    return made.assign(smiles=table[structure].astype("str"))


def read_expression(path):
    """A table of expression: the line, then one column per gene.

    Parameters
    ----------
    path : path
        `.csv`, `.tsv` or `.txt` (perhaps packed by gzip), or `.parquet`.

    Raises
    ------
    ValueError
        If it cannot be read, or a value is no number.
    """
    return _read(path, EXPRESSION)


def _read(path, formats):
    """A file as a table; one sentence that names it where it cannot be read."""
    path = Path(path)
    kind = Path(path.name.lower().removesuffix(".gz")).suffix
    if kind not in formats:
        raise ValueError(f"{path}: the name of such a file ends in one of {tuple(formats)}")
    if not path.is_file() or not path.stat().st_size:
        raise ValueError(f"{path} is missing or empty: give a file with one row for each")
    try:
        return formats[kind](path)
    except (OSError, EOFError, ValueError, NotImplementedError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None


def _header(path):
    """Names in the header of a text table, and the mark between them: that which it holds most."""
    mark = max(",;\t|", key=texts.top(path)[1].count)
    return texts.names(path, mark), mark


def _texts(path):
    names, mark = _header(path)
    columns = dict.fromkeys(names, Column("text", nullable=True))
    layout = delimited.Layout("a table of compounds", columns, mark, missing=("",))
    return delimited.read(path, layout).to_pandas()


def _numbers(path):
    names, mark = _header(path)
    layout = delimited.Layout("a table of expression", {names[0]: Column("text")}, mark)
    return delimited.matrix(path, layout, -LARGEST, LARGEST).to_pandas()


def _text(path):
    with texts.text(path, lossy=True) as file:
        return "".join(file)  # line by line, so that its bound holds


def _smi(path):
    rows = [
        (*line.split(maxsplit=1), None)[:2] for line in _text(path).splitlines() if line.strip()
    ]
    if rows and rows[0][0].lower() == "smiles":  # RDKit writes such a header
        del rows[0]
    return pd.DataFrame(rows, columns=["smiles", "name"])


def _sdf(path):
    from rdkit import Chem, rdBase

    rows = []
    text = "\n".join(
        [*_text(path).splitlines(), ""]
    )  # a file of other systems ends lines otherwise
    with rdBase.BlockLogs(), Chem.SDMolSupplier() as found:
        found.SetData(text)
        for molecule in found if text.strip() else ():
            named = molecule is not None and molecule.GetProp("_Name")
            rows.append((molecule and Chem.MolToSmiles(molecule), named or None))
    return pd.DataFrame(rows, columns=["smiles", "name"])


TEXT = (".csv", ".tsv", ".txt")
EXPRESSION = dict.fromkeys(TEXT, _numbers) | {".parquet": pd.read_parquet}
COMPOUNDS = dict.fromkeys(TEXT, _texts) | {".parquet": pd.read_parquet, ".smi": _smi, ".sdf": _sdf}


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
        and nearest (to the training drugs; none without descriptors), flag (why its number deserves
        less trust), reason (why it has none).
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
    # as drawn: a repeat unit is not in the standardised SMILES
    unique = pd.DataFrame({"drug_id": standard.smiles_drawn[~broken].unique()})
    unique["smiles"] = unique.drug_id
    values, report = descriptors.compute_block(unique, model.facts["drug_block"], cache_dir)
    raw = values.drop(columns="drug_id").to_numpy(np.float32)
    place = pd.Index(unique.drug_id).get_indexer(standard.smiles_drawn)
    x = model.scaler.transform(raw)[place]
    x[broken] = 0
    domain = _domain(model, unique, raw, report.reason).iloc[place].reset_index(drop=True)
    table = standard[["compound", "drug_id", "smiles"]].join(domain)
    again = table.drug_id.duplicated() & table.drug_id.notna()
    table["flag"] = _joined(table.flag, "salt or solvent taken off", standard.removed != "")
    table["flag"] = _joined(table.flag, "same compound as an earlier row", again)
    table["known"] = table.drug_id.isin(model.tables["drugs"].drug_id)
    table["reason"] = standard.reason.where(broken, "")
    table.loc[broken, ["similarity", "nearest", "flag"]] = [np.nan, "", ""]
    return table, x


def _domain(model, compounds, raw, reasons):
    """Where compounds stand beside the training drugs: similarity, nearest, flag."""
    drugs = model.tables["drugs"]
    near = fit.similarities(compounds, drugs)
    found = pd.DataFrame({"similarity": near.max(axis=1)}).where(reasons == "")
    nearest = drugs.drug_name[near.argmax(axis=1)].reset_index(drop=True)
    flag = (UNDESCRIBED + reasons).where(reasons != "", "")
    far = build.outside(model.scaler, raw) > model.arrays["drug/outside"][0]
    flag = _joined(flag, "descriptors outside the training range", far)
    flag = _joined(flag, "unlike every training drug", found.similarity < UNLIKE)
    return found.assign(nearest=nearest.where(reasons == "", ""), flag=flag)


def _joined(flags, text, where):
    """Flags, with one more where it applies."""
    return flags.mask(where, flags.where(flags == "", flags + "; ") + text)


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
        line (as asked for), cell_id, known, flag, reason.
    x : ndarray of shape (n_lines, p_cell), float32
    """
    if not len(wanted):
        raise ValueError("no line is asked for: give names or ids of lines, or 'all'")
    lines = model.tables["lines"]
    if list(wanted) == ["all"]:
        asked = lines.cell_name.fillna(lines.cell_id)
        table = pd.DataFrame({"line": asked, "cell_id": lines.cell_id, "reason": ""})
    else:
        names = model.tables["names"]
        found = [(one, *_named(names, one)) for one in wanted]
        table = pd.DataFrame(found, columns=["line", "cell_id", "reason"], dtype="str")
    place = pd.Index(lines.cell_id).get_indexer(table.cell_id)
    table = table.assign(known=lines.known.to_numpy()[place], flag="")
    return table, model.arrays["line_x"][place].astype(np.float32)


def _named(names, wanted):
    """The id of the line of a name, or why there is none."""
    normal = names_of_lines.normalise(wanted)
    found = names.cell_id[names.name == normal].unique()
    if len(found) == 1:
        return found[0], ""
    if len(found) > 1:
        return None, f"{wanted!r} names {len(found)} lines: give one of the ids {', '.join(found)}"
    near = difflib.get_close_matches(normal, names.name.unique(), 3)
    hint = f"did you mean {', '.join(near)}? " if near else ""
    return None, (
        f"no line {wanted!r} with a profile in this model: {hint}give a name, a DepMap or "
        "Cellosaurus id, or an expression table"
    )


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
    first = table.columns[0]
    table = table.reset_index(drop=True)
    names = table[first].astype("str")
    twice = names[names.duplicated()]
    if table.empty or len(twice):
        wrong = f"{twice.iloc[0]!r} twice" if len(twice) else "no line"
        raise ValueError(f"the expression table holds {wrong}: give one row per line")
    genes = model.tables["genes"]
    if first in set(genes.symbol):
        raise ValueError(
            f"the expression table begins with the gene {first}: its first column must name the "
            "lines"
        )
    used = genes.symbol[genes.used]
    n_here = used.isin(table.columns).sum()
    if n_here < LEAST_GENES * len(used):
        raise ValueError(
            f"the expression table has {n_here} of the {len(used)} genes that the model reads, it "
            f"needs {LEAST_GENES:.0%}: are its columns HGNC symbols?"
        )
    here = genes.symbol[genes.symbol.isin(table.columns)]
    measured = table.columns[1:] if scale in LINEAR_SCALES else here  # a total is of all genes
    values = _on_scale(table[measured], scale)[here]
    if model.facts["zscored"]:
        values[:] = expression.zscore_within_cell(values)
    values = values.reindex(index=table.index, columns=used).to_numpy()
    x, how = _scaled(model, np.ma.masked_invalid(values))
    near = build.correlation(x, model.arrays["line_x"].astype(np.float32)).max(axis=1)
    found = pd.DataFrame({"line": names, "cell_id": "own:" + names, "known": False, "flag": how})
    unlike = near < model.arrays["cell/unlike"][0]
    found["flag"] = _joined(found.flag, "profile unlike every training line", unlike)
    share = np.isfinite(values).mean(axis=1)
    few = "its profile is flat or has values for only {:.0%} of the genes that the model reads"
    few = pd.Series(share).map(few.format)
    return found.assign(reason=few.mask(share >= LEAST_GENES, "")), x


def _on_scale(table, scale):
    """Values on a log scale, from the scale declared, of the lines whose profile is not flat."""
    try:
        values = table.to_numpy(float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the expression table holds what is no number: {error}") from None
    low, high = scale_range(scale) or (-np.inf, np.inf)
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise ValueError(
            f"a value of {outside[0]:,.4g} cannot be on the scale {scale!r} ({low:g} to {high:g}): "
            "declare the scale it is on"
        )
    if scale in LINEAR_SCALES and not (values > LOGARITHM).any():
        raise ValueError(
            f"no value is above {LOGARITHM}, too low for {scale}: are these logarithms? declare "
            "the scale they are on"
        )
    told = pd.DataFrame(values, columns=table.columns)
    told = told[told.max(axis=1) > told.min(axis=1)]
    return pd.DataFrame(expression.to_log(told, scale), told.index, told.columns)


def _scaled(model, values):
    """Scaled genes; by the table's own means and spreads where it has lines enough."""
    if len(values) >= OWN_SCALING:
        mean = values.mean(axis=0).filled(0)
        sd = values.std(axis=0).filled(0)
        how = "own expression"
    else:
        mean = model.arrays["cell/mean"][0]
        sd = model.arrays["cell/sd"][0]
        source = model.arrays["cell/sources"][0]
        how = f"own expression, scaled as {source}: fewer than {OWN_SCALING} lines"
        if not model.facts["zscored"]:
            # the unit and offset of another platform drop out: each profile gets the mean and
            # spread over genes that a line of the source has
            spread = np.hypot(mean.std(), np.sqrt((sd**2).mean()))
            values = values - values.mean(axis=1, keepdims=True)
            values = values / values.std(axis=1, keepdims=True) * spread + mean.mean()
    x = (values - mean) / np.where(sd > 0, sd, 1) * model.arrays["cell/kept"]
    return x.filled(0).clip(-features.CLIP, features.CLIP).astype(np.float32), how
