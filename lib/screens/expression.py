"""Expression profiles and cell tables in the layouts that several studies share.

Every function gives one row per cell line and one float32 column per gene, on the file's own scale,
which is declared in `attrs["scale"]` and never guessed: "log2(TPM+1)", "log2(FPKM+1)", "RMA log2".
All are logarithmic, so rows that share a symbol become their mean. What is left out is in
`attrs["refused"]`.
"""

import re

import numpy as np
import pandas as pd

from lib.screens import archives, delimited
from lib.screens.delimited import ID, OPTIONAL_TEXT, TEXT, Layout
from lib.screens.doses import Refused
from lib.tables import TableError


def cells(path, study, names, what):
    """A table of cell lines with its columns renamed.

    Parameters
    ----------
    names : dict
        Our name to the file's, in any case of letters. `cell_name` must be there.
    what : str
        What the file is, for errors.

    Returns
    -------
    DataFrame
        study and the columns found; an id given twice is an error, names of two lines are in
        `attrs["shared_names"]`.
    """
    path = delimited.exists(path)
    header = delimited.first_line(path).replace('"', "").split(",")
    # releases differ in the case of their column names (COSMIC_ID, cosmic_id)
    spelled = {name.lower(): name for name in header}
    ours = {spelled.get(theirs.lower(), theirs): name for name, theirs in names.items()}
    columns = {
        theirs: ID if name == "cell_name" else OPTIONAL_TEXT for theirs, name in ours.items()
    }
    raw = delimited.read(path, Layout(what, columns, lossy=True))
    frame = raw.cast(dict.fromkeys(raw.columns, str)).to_pandas().rename(columns=ours)
    known = "source_cell_id" in frame and frame.source_cell_id.notna().all()
    key = "source_cell_id" if known else "cell_name"
    twice = frame[key][frame[key].duplicated()]
    if len(twice):
        raise TableError(
            f"{path.name}: {twice.iloc[0]!r} stands in more than one row ({len(twice)} such); "
            "keep one each"
        )
    frame.insert(0, "study", study)
    frame.attrs["shared_names"] = sorted(frame.cell_name[frame.cell_name.duplicated()].unique())
    return frame


def wide(path, values, symbols, names, scale):
    """Genes in rows to one row per cell line.

    Parameters
    ----------
    path : Path
        Of the file, for what is left out.
    values : array of float32, shape (n_genes, n_lines)
    symbols : sequence of str, length n_genes
        Missing or empty symbols are left out and counted.
    names : sequence of str, length n_lines
        A line given twice keeps its first column; the others are counted.
    scale : str

    Returns
    -------
    DataFrame
        cell_name, genes; `attrs`: scale, refused.
    """
    symbols = pd.Series(symbols, dtype="str")
    names = pd.Index(names, dtype="str")
    named = (symbols.notna() & (symbols != "")).to_numpy()
    first = ~names.duplicated()
    codes, genes = pd.factorize(symbols[named])
    total = np.zeros((len(genes), first.sum()), np.float32)
    np.add.at(total, codes, values[named][:, first])
    mean = total / np.bincount(codes)[:, None].astype(np.float32)
    frame = pd.DataFrame(np.ascontiguousarray(mean.T), columns=pd.Index(genes, dtype="str"))
    frame.insert(0, "cell_name", names[first])
    refused = Refused(delimited.stem(path))
    refused.add("gene without a symbol", (~named).sum())
    refused.add("gene averaged into another row of its symbol", len(codes) - len(genes))
    refused.add("further profile of a cell line", (~first).sum())
    frame.attrs = {"scale": scale, "refused": refused.listed()}
    return frame


def depmap(path):
    """DepMap's matrix of log2(TPM+1): lines in rows, columns `SYMBOL (Entrez)`."""
    path = delimited.exists(path)
    header = delimited.first_line(path).replace('"', "").split(",")
    key = "ModelID" if "ModelID" in header else header[0]
    genes = [name for name in header if re.fullmatch(r".+ \(\d+\)", name)]
    if not genes:
        raise TableError(
            f"{path.name}: no column is named 'SYMBOL (Entrez)'; is this DepMap's "
            "OmicsExpression file?"
        )
    columns = dict.fromkeys(set(header) - set(genes), OPTIONAL_TEXT)
    columns[key] = TEXT
    raw = delimited.matrix(path, Layout("DepMap's expression matrix", columns), 0, 30)
    symbols = [name.rsplit(" ", 1)[0] for name in genes]
    return wide(path, raw.select(genes).to_numpy().T, symbols, raw[key].to_list(), "log2(TPM+1)")


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
    symbols = raw["GENE_SYMBOLS"].to_list()
    return wide(path, raw.select(columns).to_numpy(), symbols, names, "RMA log2")


def cellminer(path, scale):
    """A CellMiner workbook: ten rows above the header, annotation columns, then lines named
    `BR:MCF7`.

    The scale is declared by the caller, since the workbook does not say it in a cell.
    """
    raw = archives.sheet(path, skip=10)
    columns = [name for name in raw.columns if re.match(r"[A-Z]{2,4}:", str(name))]
    if not columns:
        raise TableError(
            f"{path.name}: no column is named like 'BR:MCF7' in row 11; found "
            f"{list(raw.columns)[:6]}. "
            "CellMiner's sheets have ten rows above the header"
        )
    found = raw[columns]
    numbers = found.apply(pd.to_numeric, errors="coerce")
    bad = numbers.isna() & found.notna() & ~found.isin(["na", "-", "NA", ""])
    if bad.any(axis=None):
        row, column = np.argwhere(bad.to_numpy())[0]
        raise TableError(
            f"{path.name}, row {row + 12}: column {columns[column]!r} must be a number, "
            f"found {found.iat[row, column]!r}"
        )
    names = [name.split(":", 1)[1] for name in columns]
    symbols = raw.iloc[:, 0].astype("str")
    return wide(path, numbers.to_numpy(np.float32), symbols, names, scale)
