"""Expression profiles and cell tables in the layouts that several studies share.

Every function gives one row per cell line and one float32 column per gene, on the file's own scale,
which is declared in `attrs["scale"]` and never guessed: "log2(TPM+1)", "log2(FPKM+1)", "RMA log2".
All are logarithmic, so rows that share a symbol become their mean. What is left out is in
`attrs["refused"]`.
"""

import re

import numpy as np
import pandas as pd
import polars as pl

from lib.screens import archives, delimited, symbols, texts
from lib.screens.delimited import TEXT, Layout
from lib.screens.depmap import standing
from lib.screens.doses import Refused
from lib.tables import MAYBE_TEXT, OPTIONAL_TEXT, TableError

IDS = ("source_cell_id", "depmap_id")


def cells(path, study, names, what):
    """A table of cell lines with its columns renamed.

    Parameters
    ----------
    names : dict
        Our name to the file's, in any case of letters. `cell_name` must be there; where it is
        missing in a row, `short_name` stands in, or else the row's id.
    what : str
        What the file is, for errors.

    Returns
    -------
    DataFrame
        study and the columns found; an id that every row has may be given once; names of two lines
        are in `attrs["shared_names"]`.
    """
    # releases differ in the case of their column names (COSMIC_ID, cosmic_id)
    spelled = {name.lower(): name for name in texts.names(path, ",")}
    ours = {spelled.get(theirs.lower(), theirs): name for name, theirs in names.items()}
    columns = {
        theirs: MAYBE_TEXT if name == "cell_name" else OPTIONAL_TEXT
        for theirs, name in ours.items()
    }
    frame = delimited.read(path, Layout(what, columns, lossy=True)).rename(ours, strict=False)
    ids = [name for name in IDS if name in frame.columns]
    whole = [name for name in ids if not frame[name].has_nulls()]
    for name in whole or ["cell_name"]:
        delimited.refuse_twice(path, frame[name])
    named = [name for name in ("cell_name", "short_name", *ids) if name in frame.columns]
    frame = frame.with_columns(cell_name=pl.coalesce(named)).drop("short_name", strict=False)
    if frame["cell_name"].has_nulls():
        raise TableError(f"{path.name}: a row has neither a name nor an id: fill it in")
    shared = frame["cell_name"].filter(frame["cell_name"].is_duplicated())
    frame = frame.to_pandas()
    frame.insert(0, "study", study)
    frame.attrs["shared_names"] = sorted(shared.unique())
    return frame


def wide(refused, values, genes, names, scale):
    """Genes in rows to one row per cell line.

    Parameters
    ----------
    refused : Refused
        Counts what is left out.
    values : array of float32, shape (n_genes, n_lines)
    genes : sequence of str, length n_genes
        Symbols; those that name no gene are left out and counted.
    names : sequence of str, length n_lines
        A line given twice keeps its first column; the others are counted.
    scale : str

    Returns
    -------
    DataFrame
        cell_name, genes; `attrs`: scale, refused.
    """
    wrong = symbols.problems(genes)
    named = (wrong == "").to_numpy()
    names = pd.Index(names, dtype="str")
    first = ~names.duplicated()
    rows = pd.DataFrame(values[named][:, first], pd.Index(genes, dtype="str")[named])
    means = rows.groupby(level=0, sort=False).mean().astype(np.float32)
    frame = pd.DataFrame(np.ascontiguousarray(means.T), columns=means.index)
    frame.insert(0, "cell_name", names[first])
    for reason, n in wrong[~named].value_counts().items():
        refused.add(f"gene: {reason}", n)
    refused.add("gene averaged into another row of its symbol", len(rows) - len(means))
    refused.add("further profile of a cell line", (~first).sum())
    frame.attrs = {"scale": scale, "refused": refused.listed()}
    return frame


def depmap(path):
    """DepMap's matrix of log2(TPM+1): lines in rows, columns `SYMBOL (Entrez)`.

    A gene of no Entrez id (nan, Unknown) is a gene like the others. Of a model that was sequenced
    more than once, the entry that stands for it is read.
    """
    header = texts.names(path, ",")
    key = "ModelID" if "ModelID" in header else header[0]
    genes = [name for name in header if re.fullmatch(r".+ \(.*\)", name)]
    if not genes:
        raise TableError(
            f"{path.name}: no column is named 'SYMBOL (Entrez)'; is this DepMap's "
            "OmicsExpression file?"
        )
    columns = dict.fromkeys(set(header) - set(genes), OPTIONAL_TEXT)
    columns[key] = TEXT
    raw = delimited.matrix(path, Layout("DepMap's expression matrix", columns), 0, 30)
    refused = Refused(texts.stem(path))
    strange = [name for name in columns if not re.fullmatch(r"|.*ID|IsDefault.*", name)]
    refused.add("column that names no gene", len(set(strange) - {key}))
    raw = standing(raw, key, path, refused)
    names = raw[key].to_list()
    odd = [name for name in names if not name.startswith("ACH-")]
    if odd:
        raise TableError(
            f"{path.name}: lines must be named by ModelID (ACH-000001), found {odd[0]!r} in column "
            f"{key!r} ({len(odd)} rows): take the matrix that has one row per model"
        )
    values = raw.select(genes).to_numpy().T
    return wide(refused, values, [name.rsplit(" ", 1)[0] for name in genes], names, "log2(TPM+1)")


def rma(path):
    """GDSC's array: GENE_SYMBOLS, GENE_title, then DATA.<COSMIC id>; a line's second array (.1) is
    left out.
    """
    keys = dict(GENE_SYMBOLS=OPTIONAL_TEXT, GENE_title=OPTIONAL_TEXT)
    raw = delimited.matrix(path, Layout("GDSC's RMA array file", keys, "\t", lossy=True), 0, 20)
    columns = [name for name in raw.columns if re.fullmatch(r"DATA\.\d+(\.1)?", name)]
    if not columns:
        raise TableError(
            f"{path.name}: no column is named DATA.<COSMIC id>; found {raw.columns[2:6]}"
        )
    names = [name.split(".")[1] for name in columns]
    refused = Refused(texts.stem(path))
    return wide(
        refused, raw.select(columns).to_numpy(), raw["GENE_SYMBOLS"].to_list(), names, "RMA log2"
    )


def cellminer(path, scale):
    """A CellMiner workbook: ten rows above the header, annotation columns, then lines named
    `BR:MCF7`.

    The scale is declared by the caller, since the workbook does not say it in a cell.
    """
    raw = archives.workbook(path, header=10)
    columns = [name for name in raw.columns if re.match(r"[A-Z]{2,4}:", str(name))]
    if not columns:
        raise TableError(
            f"{path.name}: no column is named like 'BR:MCF7' in row 11; found "
            f"{list(raw.columns)[:6]}. CellMiner's sheets have ten rows above the header"
        )
    found = raw[columns]
    numbers = found.apply(pd.to_numeric, errors="coerce")
    bad = ~np.isfinite(numbers) & found.notna() & ~found.isin(["na", "-", "NA", ""])
    if bad.any(axis=None):
        row, column = np.argwhere(bad.to_numpy())[0]
        raise TableError(
            f"{path.name}, row {row + 12}: column {columns[column]!r} must be a number, "
            f"found {found.iat[row, column]!r}"
        )
    names = [name.split(":", 1)[1] for name in columns]
    refused = Refused(texts.stem(path))
    return wide(refused, numbers.to_numpy(np.float32), raw.iloc[:, 0].astype("str"), names, scale)
