"""Expression profiles and cell tables in the layouts that several studies share.

Every function gives one row per line and one float32 column per gene, on the file's own scale, which is declared in
`attrs["scale"]` and never guessed: "TPM", "FPKM", "RPKM", "read count", "log2(TPM+1)", "log2(FPKM+1)", "RMA log2".
Rows that share a symbol become one: their sum on a linear scale, their mean on a logarithmic one.
"""

import re

import numpy as np
import pandas as pd

from lib.screens import archives, delimited
from lib.screens.delimited import ID, MAYBE_TEXT, TEXT, Layout
from lib.tables import TableError

LINEAR = ("TPM", "FPKM", "RPKM", "read count")
CELL_COLUMNS = [
    "cell_name",
    "source_cell_id",
    "depmap_id",
    "cellosaurus_id",
    "tissue",
    "cancer_type",
]


def cells(path, study, names, separator, what):
    """A table of cell lines with its columns renamed.

    Parameters
    ----------
    names : dict
        Our name to the file's; None where the file has no such column. `cell_name` must be there.

    Returns
    -------
    DataFrame
        study and `CELL_COLUMNS`; an id given twice is an error, names of two lines are in `attrs["shared_names"]`.
    """
    lower = {
        name.lower(): name for name in delimited.first_line(path).replace('"', "").split(separator)
    }
    # releases differ in the case of their column names (COSMIC_ID, cosmic_id)
    found = {ours: lower.get(theirs.lower(), theirs) for ours, theirs in names.items() if theirs}
    fields = {name: ID if ours == "cell_name" else MAYBE_TEXT for ours, name in found.items()}
    raw = delimited.read(path, Layout(what, fields, separator, lossy=True))
    frame = pd.DataFrame(dict(study=study), index=range(raw.height))
    for column in [*CELL_COLUMNS, *(set(names) - set(CELL_COLUMNS))]:
        there = found.get(column) in raw.columns
        frame[column] = raw[found[column]].cast(str).to_pandas() if there else None
    key = "source_cell_id" if frame.source_cell_id.notna().all() else "cell_name"
    twice = frame[key][frame[key].duplicated()]
    if len(twice):
        raise TableError(
            f"{path.name}: {twice.iloc[0]!r} stands in more than one row ({len(twice)} such); keep one each"
        )
    shared = frame.cell_name[frame.cell_name.duplicated()]
    frame.attrs["shared_names"] = sorted(shared.unique())
    return frame


def wide(values, symbols, names, source, scale, dropped=0):
    """Genes in rows to one row per line.

    Parameters
    ----------
    values : array of float32, shape (n_genes, n_lines)
    symbols : sequence of str, length n_genes
        Missing or empty symbols are left out and counted.
    names : sequence of str, length n_lines
        A line given twice keeps its first column; the others are counted.
    source, scale : str
    dropped : int
        Columns left out before.

    Returns
    -------
    DataFrame
        cell_name, profile_source, genes; `attrs`: scale, merged_symbols, unnamed_genes, repeated_lines.
    """
    symbols, names = pd.Series(symbols, dtype="str"), pd.Index(names)
    named = (symbols.notna() & (symbols != "")).to_numpy()
    first = ~names.duplicated()
    values, symbols = values[named][:, first], symbols[named]
    merged = int(symbols.duplicated().sum())
    if merged:
        values, symbols = _merge(values, symbols, scale)
    frame = pd.DataFrame(
        np.ascontiguousarray(values.T, dtype=np.float32), columns=pd.Index(symbols, dtype="str")
    )
    keys = pd.DataFrame(dict(cell_name=names[first].astype("str"), profile_source=source))
    frame = pd.concat([keys, frame], axis=1)
    frame.attrs = dict(
        scale=scale,
        merged_symbols=merged,
        unnamed_genes=int((~named).sum()),
        repeated_lines=int((~first).sum()) + dropped,
    )
    return frame


def _merge(values, symbols, scale):
    codes, unique = pd.factorize(symbols)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(unique)))
    total = np.add.reduceat(values[order], starts, axis=0)
    if scale not in LINEAR:
        total = total / np.diff(np.append(starts, len(codes)))[:, None].astype(np.float32)
    return total, pd.Series(unique, dtype="str")


def depmap(path, source):
    """DepMap's matrix of log2(TPM+1): lines in rows, columns `SYMBOL (Entrez)`."""
    header = delimited.first_line(path).replace('"', "").split(",")
    key = "ModelID" if "ModelID" in header else header[0]
    genes = [name for name in header if re.fullmatch(r".+ \(\d+\)", name)]
    if not genes:
        raise TableError(
            f"{path.name}: no column is named 'SYMBOL (Entrez)'; is this DepMap's OmicsExpression file?"
        )
    others = {name: MAYBE_TEXT for name in header if name not in genes and name != key}
    raw = delimited.matrix(path, "DepMap's expression matrix", {key: TEXT, **others}, 0, 30)
    values = raw.select(genes).to_numpy().T
    return wide(
        values,
        [name.rsplit(" ", 1)[0] for name in genes],
        raw[key].to_list(),
        source,
        "log2(TPM+1)",
    )


def gct(path, source):
    """GCT 1.2: two lines, then Name (Ensembl), Description (symbol), one column per line; the name says the scale."""
    if not delimited.first_line(path).startswith("#1.2"):
        raise TableError(
            f"{path.name}: the first line must be '#1.2', found {delimited.first_line(path)[:40]!r}; is it a GCT file?"
        )
    scale = declared(path, dict(rpkm="RPKM", tpm="TPM", counts="read count"))
    raw = delimited.matrix(
        path, "a GCT file", dict(Name=TEXT, Description=MAYBE_TEXT), 0, separator="\t", skip=2
    )
    rows, columns = (int(number) for number in delimited.first_line(path, 1).split("\t")[:2])
    if raw.shape != (rows, columns + 2):
        raise TableError(
            f"{path.name}: line 2 promises {rows} genes and {columns} lines, found {raw.height} and {raw.width - 2}: "
            "the download stopped early; delete it and fetch it again"
        )
    names = raw.columns[2:]
    return wide(raw.select(names).to_numpy(), raw["Description"].to_list(), names, source, scale)


def rsem(path, source, symbols=None):
    """RSEM TPM: gene_id (Ensembl with version), transcript_ids, one column per line."""
    keys = dict(gene_id=TEXT, transcript_ids=MAYBE_TEXT)
    raw = delimited.matrix(path, "the CCLE's RSEM TPM file", keys, 0, separator="\t")
    ids = raw["gene_id"].to_pandas().str.replace(r"\.\d+$", "", regex=True)
    labels = ids if symbols is None else ids.map(symbols)
    return wide(raw.select(raw.columns[2:]).to_numpy(), labels, raw.columns[2:], source, "TPM")


def passports(path, source):
    """Cell Model Passports' matrix: model ids, four rows of labels, then gene id, symbol and values."""
    scale = declared(path, dict(tpm="TPM", fpkm="FPKM", read_count="read count"))
    header = delimited.first_line(path).split(",")
    if header[0] != "model_id":
        raise TableError(
            f"{path.name}: the first column must be 'model_id', found {header[0]!r}; is this rnaseq_…csv?"
        )
    labels = label_rows(path)
    keys = {header[0]: TEXT, header[1]: MAYBE_TEXT}
    raw = delimited.matrix(path, "the Passports' RNA-seq matrix", keys, 0, labels=labels)
    values = raw.select(raw.columns[2:]).to_numpy()
    return wide(values, raw[header[1]].to_list(), raw.columns[2:], source, scale)


def label_rows(path):
    """Rows between the header and the first gene (`SIDG…`) of a Passports matrix; four in the releases seen."""
    for n in range(1, 12):
        if delimited.first_line(path, n).startswith("SIDG"):
            return n - 1
    raise TableError(
        f"{path.name}: no gene row (SIDG…) in the first 12 lines; is this the Passports' rnaseq matrix?"
    )


def passports_long(path, source, measure="fpkm"):
    """Cell Model Passports' RNA-seq in long form: model_id, gene_symbol, read_count, fpkm."""
    scale = dict(fpkm="FPKM", read_count="read count").get(measure)
    if scale is None:
        raise ValueError(f"measure must be 'fpkm' or 'read_count', found {measure!r}")
    fields = dict(model_id=ID, gene_symbol=ID)
    fields[measure] = delimited.Field("float", 0, remedy="expression cannot be negative")
    raw = delimited.read(path, Layout("the Passports' RNA-seq, long form", fields))
    table = pd.DataFrame(
        {name: raw[name].cast(str).to_pandas() for name in ("model_id", "gene_symbol")}
    )
    twice = table.duplicated()
    if twice.any():
        key = table[twice].iloc[0].to_dict()
        raise TableError(
            f"{path.name}: {key} stands in more than one row ({int(twice.sum())} such); keep one per model and gene"
        )
    square = table.assign(value=raw[measure].to_numpy()).pivot(
        index="gene_symbol", columns="model_id", values="value"
    )
    return wide(square.to_numpy(np.float32), square.index, square.columns, source, scale)


def rma(path, source):
    """GDSC's array: GENE_SYMBOLS, GENE_title, then DATA.<COSMIC id>; a line's second array (.1) is left out."""
    keys = dict(GENE_SYMBOLS=MAYBE_TEXT, GENE_title=MAYBE_TEXT)
    raw = delimited.matrix(path, "GDSC's RMA array file", keys, 0, 20, separator="\t", lossy=True)
    columns = [name for name in raw.columns if re.fullmatch(r"DATA\.\d+", name)]
    if not columns:
        raise TableError(
            f"{path.name}: no column is named DATA.<COSMIC id>; found {raw.columns[2:6]}"
        )
    names = [name.removeprefix("DATA.") for name in columns]
    values = raw.select(columns).to_numpy()
    return wide(
        values,
        raw["GENE_SYMBOLS"].to_list(),
        names,
        source,
        "RMA log2",
        raw.width - 2 - len(columns),
    )


def cellminer(path, source, scale):
    """A CellMiner workbook: ten rows above the header, annotation columns, then lines named `BR:MCF7`."""
    raw = archives.sheet(path, 0, skip=10)
    columns = [name for name in raw.columns if re.match(r"[A-Z]{2,4}:", str(name))]
    if not columns:
        raise TableError(
            f"{path.name}: no column is named like 'BR:MCF7' in row 11; found {list(raw.columns)[:6]}. "
            "CellMiner's sheets have ten rows above the header"
        )
    numbers = raw[columns].apply(pd.to_numeric, errors="coerce")
    bad = numbers.isna() & raw[columns].notna() & ~raw[columns].isin(["na", "-", "NA", ""])
    if bad.any().any():
        row, column = np.argwhere(bad.to_numpy())[0]
        value = raw[columns].iat[row, column]
        raise TableError(
            f"{path.name}, row {row + 12}: column {columns[column]!r} must be a number, found {value!r}"
        )
    names = [name.split(":", 1)[1] for name in columns]
    return wide(numbers.to_numpy(np.float32), raw.iloc[:, 0].astype("str"), names, source, scale)


def declared(path, scales):
    """The scale that a file's name declares.

    Raises
    ------
    TableError
        If it declares none or two: the scale is never guessed from the values.
    """
    found = [
        scale
        for word, scale in scales.items()
        if re.search(rf"(?<![a-z]){word}(?![a-z])", path.name.lower())
    ]
    if len(found) != 1:
        raise TableError(
            f"{path.name}: the name must say the scale, one of {list(scales)}, found {found or 'none'}: "
            "keep the official name"
        )
    return found[0]
