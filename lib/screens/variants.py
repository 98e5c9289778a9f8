"""Mutation tables: MAF of either vintage and the Cell Model Passports, one row per variant, in one vocabulary.

Counts per gene and 0/1 events are different features: `counts` makes the first from variants, and says so.
"""

import numpy as np
import pandas as pd

from lib.screens import delimited, doses
from lib.screens.delimited import ID, MAYBE_ID, MAYBE_TEXT, Layout
from lib.tables import TableError

PART = 1 << 16  # rows
COLUMNS = [
    "cell_name",
    "mutation_source",
    "symbol",
    "variant_class",
    "variant_type",
    "protein_change",
    "build",
]
# our name -> the names it has had, oldest first; the first that a file has is taken
NAMES = dict(
    cell_name=("Tumor_Sample_Barcode", "DepMap_ID", "ModelID"),
    symbol=("Hugo_Symbol", "HugoSymbol", "HgncName"),
    variant_class=("Variant_Classification", "VariantInfo"),
    variant_type=("Variant_Type", "VariantType"),
    protein_change=("Protein_Change", "ProteinChange"),
    build=("NCBI_Build",),
)
# classes of other vocabularies (VEP terms of newer releases, the Passports' effects) in MAF words
CLASSES = {
    "missense": "Missense_Mutation",
    "missense_variant": "Missense_Mutation",
    "silent": "Silent",
    "synonymous_variant": "Silent",
    "nonsense": "Nonsense_Mutation",
    "stop_gained": "Nonsense_Mutation",
    "stop_lost": "Nonstop_Mutation",
    "nonstop": "Nonstop_Mutation",
    "ess_splice": "Splice_Site",
    "splice_site": "Splice_Site",
    "splice_acceptor_variant": "Splice_Site",
    "splice_donor_variant": "Splice_Site",
    "start_lost": "Start_Codon_SNP",
    "frame_shift_del": "Frame_Shift_Del",
    "frame_shift_ins": "Frame_Shift_Ins",
    "in_frame_del": "In_Frame_Del",
    "in_frame_ins": "In_Frame_Ins",
    "frameshift": "Frame_Shift",
    "frameshift_variant": "Frame_Shift",
    "inframe": "In_Frame",
}
TYPES = {"substitution": "SNP", "deletion": "DEL", "insertion": "INS", "snv": "SNP"}
PASSPORTS = Layout(
    "the Passports' mutation table",
    dict(
        model_id=ID,
        gene_symbol=ID,
        effect=ID,
        cdna_mutation=MAYBE_TEXT,
        protein_mutation=MAYBE_TEXT,
    ),
    lossy=True,
)


def read_maf(path, source):
    """Variants of a MAF file, tab or comma separated, of either DepMap vintage.

    Parameters
    ----------
    path : path
    source : str
        Whose lines these are.

    Returns
    -------
    DataFrame
        `COLUMNS`, all but the protein change as categoricals; `build` is "37" or "38".

    Raises
    ------
    TableError
        If columns are missing, a row is shifted, or two genome builds stand in one file.
    """
    path = delimited.exists(path)
    skip = _comments(path)
    first = delimited.first_line(path, skip)
    separator = "\t" if first.count("\t") > first.count(",") else ","
    header = first.replace('"', "").split(separator)
    found = {
        ours: next((name for name in theirs if name in header), None)
        for ours, theirs in NAMES.items()
    }
    needed = [
        f"{ours} {NAMES[ours]}"
        for ours in ("cell_name", "symbol", "variant_class")
        if not found[ours]
    ]
    if needed:
        raise TableError(
            f"{path.name}: no column for {'; '.join(needed)}; found {header[:30]}. Is this a MAF file?"
        )
    required = ("cell_name",)  # DepMap leaves the symbol of intergenic variants empty
    text = ("protein_change",)
    fields = {
        name: (MAYBE_TEXT if ours in text else ID if ours in required else MAYBE_ID)
        for ours, name in found.items()
        if name
    }
    columns = _columns(path, Layout("a MAF file", fields, separator, skip=skip, lossy=True))
    frame = pd.DataFrame({ours: columns[name] for ours, name in found.items() if name}, copy=False)
    return _tidy(frame, source, path)


def _columns(path, of_file):
    """Columns of a file by name: few distinct texts as a categorical, many as plain text.

    A part of the file at a time gives up its texts, which polars holds in more than twice the memory.
    """
    import polars as pl

    ids, texts = [], {}
    for part in delimited.batches(path, of_file, PART):
        plain = [name for name in part.columns if part[name].dtype == pl.String]
        ids.append(part.drop(plain))
        for name in plain:
            texts.setdefault(name, []).append(part[name].to_arrow())
    if not ids:
        raise TableError(f"{path.name} has a header and no row: delete it and fetch it again")
    whole = pl.concat(ids)
    columns = {name: doses.categorical(whole[name]) for name in whole.columns}
    return columns | {name: doses.texts(parts) for name, parts in texts.items()}


def _comments(path):
    """Lines that begin with # above the header, as the MAF standard allows (#version 2.4)."""
    n = 0
    while delimited.first_line(path, n).startswith("#"):
        n += 1
    return n


def _tidy(frame, source, path):
    """One vocabulary, the columns in order; rows without a gene are counted and left out."""
    frame = frame.assign(mutation_source=doses.constant(source, len(frame)))
    frame = frame.assign(**{name: None for name in COLUMNS if name not in frame})[COLUMNS]
    for name, words in (("variant_class", CLASSES), ("variant_type", TYPES)):
        if isinstance(frame[name].dtype, pd.CategoricalDtype):
            frame[name] = _rename(frame[name], words)
    if frame.build.notna().any():
        frame["build"] = _rename(
            frame.build.astype("category"),
            {"hg19": "37", "hg38": "38", "grch37": "37", "grch38": "38"},
        )
        builds = sorted(frame.build.dropna().unique())
        if len(builds) > 1:
            raise TableError(
                f"{path.name}: genome builds {builds} stand in one file; split it, one build per file"
            )
    unnamed = frame.symbol.isna()
    kept = frame[~unnamed].reset_index(drop=True) if unnamed.any() else frame
    kept.attrs["refused"] = [
        (delimited.stem(path), "variant without a gene symbol", int(unnamed.sum()))
    ] * bool(unnamed.any())
    return kept


def _rename(series, words):
    """Categories in MAF words; several old ones may become one."""
    new = pd.Index(
        [words.get(str(value).lower(), str(value)) for value in series.cat.categories], dtype="str"
    )
    codes, unique = pd.factorize(new)
    old = series.cat.codes.to_numpy()
    mapped = np.where(old < 0, -1, codes[old]) if len(codes) else old
    return pd.Series(
        pd.Categorical.from_codes(mapped, categories=unique), index=series.index, name=series.name
    )


def read_passports(path, source):
    """Variants of the Cell Model Passports (`mutations_all_….csv`, `driver_mutations_….csv`).

    Returns
    -------
    DataFrame
        `COLUMNS`; `cell_name` is the model id (SIDM…). The type is read off the change of the cDNA.
    """
    path = delimited.exists(path)
    columns = _columns(path, PASSPORTS)
    frame = pd.DataFrame(
        dict(
            cell_name=columns["model_id"],
            symbol=columns["gene_symbol"],
            variant_class=columns["effect"],
            variant_type=_type_of_change(columns["cdna_mutation"]),
            protein_change=columns["protein_mutation"],
        )
    )
    return _tidy(frame, source, path)


def _type_of_change(changes):
    """SNP, DEL or INS from HGVS (c.1222C>T, c.949_950insC); missing where it says neither."""
    text = pd.Series(changes)
    kind = np.select(
        [
            text.str.contains(r"\d[ACGTacgt]>[ACGTacgt]$"),
            text.str.contains("ins"),
            text.str.contains("del"),
        ],
        ["SNP", "INS", "DEL"],
        default="",
    )
    return pd.Categorical(np.where(kind == "", None, kind))


def counts(variants, types=("SNP",), leave_out=()):
    """Variants per line and gene: the paper's feature.

    Parameters
    ----------
    variants : DataFrame
        As `read_maf` gives.
    types : sequence of str, optional
        Variant types that count; None for all.
    leave_out : sequence of str
        Variant classes that do not count, such as ("Silent",).

    Returns
    -------
    DataFrame
        `cell_name` and one float32 column per gene; every line and gene of the input has its row and column, so that
        0 means assessed and not found.
    """
    used = ~variants.variant_class.isin(leave_out)
    if types is not None:
        used &= variants.variant_type.isin(types)
    lines, line_names = pd.factorize(variants.cell_name, sort=True)
    genes, gene_names = pd.factorize(variants.symbol, sort=True)
    table = np.zeros((len(line_names), len(gene_names)), np.float32)
    np.add.at(table, (lines[used], genes[used]), 1)
    frame = pd.DataFrame(table, columns=pd.Index(gene_names.astype("str"), dtype="str"))
    frame.insert(0, "cell_name", line_names.astype("str"))
    words = "all types" if types is None else "+".join(types)
    frame.attrs["scale"] = (
        f"count of variants ({words}{''.join(f', no {name}' for name in leave_out)})"
    )
    return frame
