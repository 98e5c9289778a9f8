"""Mutation tables: MAF files and the Cell Model Passports, one row per variant, in one vocabulary;
and their counts.

Counts per gene and 0/1 events are different features: `counts` makes the first from variants, and
says so. It is the one definition of the SNP feature of the paper (section 4.2.1), the same as that
of the bundled table of protein changes.
"""

import numpy as np
import pandas as pd
import polars as pl

from lib.screens import delimited, doses
from lib.screens.delimited import ID, OPTIONAL_ID, OPTIONAL_TEXT, Layout
from lib.tables import TableError

# our name -> the names it has had, oldest first; the first that a file has is taken
NAMES = dict(
    cell_name=("Tumor_Sample_Barcode", "DepMap_ID", "ModelID"),
    symbol=("Hugo_Symbol", "HugoSymbol", "HgncName"),
    variant_class=("Variant_Classification", "VariantInfo"),
    variant_type=("Variant_Type", "VariantType"),
)
# classes of the MAF format that change the protein; "Frame_Shift" and "In_Frame" of tables that do
# not say which
PROTEIN_CHANGING = tuple(
    "Missense_Mutation Nonsense_Mutation Nonstop_Mutation Splice_Site Frame_Shift Frame_Shift_Del "
    "Frame_Shift_Ins In_Frame In_Frame_Del In_Frame_Ins Start_Codon_SNP Start_Codon_Del "
    "Start_Codon_Ins Stop_Codon_Del Stop_Codon_Ins De_novo_Start_InFrame De_novo_Start_OutOfFrame "
    "Translation_Start_Site".split()
)
# the same in other vocabularies (VEP terms of newer releases, the Passports' effects)
CLASSES = {name.lower(): name for name in PROTEIN_CHANGING} | {
    "missense": "Missense_Mutation",
    "missense_variant": "Missense_Mutation",
    "silent": "Silent",
    "synonymous_variant": "Silent",
    "nonsense": "Nonsense_Mutation",
    "stop_gained": "Nonsense_Mutation",
    "stop_lost": "Nonstop_Mutation",
    "nonstop": "Nonstop_Mutation",
    "ess_splice": "Splice_Site",
    "splice_acceptor_variant": "Splice_Site",
    "splice_donor_variant": "Splice_Site",
    "start_lost": "Start_Codon_SNP",
    "de_novo_start_in_frame": "De_novo_Start_InFrame",
    "de_novo_start_out_frame": "De_novo_Start_OutOfFrame",
    "frameshift": "Frame_Shift",
    "frameshift_variant": "Frame_Shift",
    "inframe": "In_Frame",
    "inframe_deletion": "In_Frame_Del",
    "inframe_insertion": "In_Frame_Ins",
}
TYPES = {"substitution": "SNP", "deletion": "DEL", "insertion": "INS", "snv": "SNP"}
PASSPORTS = Layout(
    "the Passports' mutation table",
    dict(model_id=ID, gene_symbol=ID, effect=ID, cdna_mutation=OPTIONAL_TEXT),
    lossy=True,
)


def read_maf(path):
    """Variants of a MAF file, tab or comma separated, of either DepMap vintage.

    Returns
    -------
    DataFrame
        The names of `NAMES`, all categorical; the symbol is missing for variants between genes.

    Raises
    ------
    TableError
        If columns are missing or a row is shifted.
    """
    path = delimited.exists(path)
    first = delimited.first_line(path)
    separator = "\t" if first.count("\t") > first.count(",") else ","
    header = first.replace('"', "").split(separator)
    found = {}
    for ours, theirs in NAMES.items():
        present = [name for name in theirs if name in header]
        if not present:
            raise TableError(
                f"{path.name}: no column for {ours} {theirs}; found {header[:30]}. Is this a "
                "MAF file?"
            )
        found[present[0]] = ours
    columns = {name: ID if ours == "cell_name" else OPTIONAL_ID for name, ours in found.items()}
    raw = delimited.read(path, Layout("a MAF file", columns, separator, lossy=True))
    return _in_maf_words(raw.rename(found))


def read_passports(path):
    """Variants of the Cell Model Passports (`mutations_all_….csv`).

    Returns
    -------
    DataFrame
        As `read_maf`; `cell_name` is the model id (SIDM…). The type is read off the change of the
        cDNA in HGVS (c.1222C>T, c.949_950insC); missing where that says none.
    """
    change = pl.col("cdna_mutation").str
    kind = (
        pl.when(change.contains(r"\d[ACGTacgt]>[ACGTacgt]$"))
        .then(pl.lit("SNP"))
        .when(change.contains("ins"))
        .then(pl.lit("INS"))
        .when(change.contains("del"))
        .then(pl.lit("DEL"))
    )
    raw = delimited.read(path, PASSPORTS)
    return _in_maf_words(
        raw.select(
            cell_name="model_id", symbol="gene_symbol", variant_class="effect", variant_type=kind
        )
    )


def _in_maf_words(raw):
    """Classes and types in one vocabulary; a word that it does not know stays as it is."""
    frame = pd.DataFrame({name: doses.categorical(raw[name]) for name in NAMES})
    for name, words in (("variant_class", CLASSES), ("variant_type", TYPES)):
        known = {word: words.get(word.lower(), word) for word in frame[name].cat.categories}
        frame[name] = frame[name].map(known).astype("category")
    return frame


def counts(variants, classes, types):
    """Variants per cell line and gene: the paper counts them, it does not mark presence.

    Parameters
    ----------
    variants : DataFrame
        As `read_maf` gives.
    classes : sequence of str
        Variant classes that count, in words of the MAF format. The releases are counted with
        PROTEIN_CHANGING, so that a silent variant does not count.
    types : sequence of str or None
        Variant types that count, such as ("SNP",); None counts every type, since a deletion changes
        a protein too.

    Returns
    -------
    table : DataFrame
        `cell_name` and one float32 column per gene, in alphabetical order. Every line and gene of
        the input has its row and column, so that 0 means assessed and not found. `attrs["scale"]`
        names the classes that were counted.
    left_out : DataFrame
        reason, n_variants, example (a cell line): every variant that was not counted, by reason.

    Raises
    ------
    TableError
        If no variant is of a class, or of a type, that counts: the table may use other words for
        them.
    """
    reason = pd.Series("", index=variants.index)
    for column, wanted in (("variant_class", classes), ("variant_type", types)):
        if wanted is None:
            continue
        word = column.replace("_", " ")
        counted = variants[column].isin(wanted)
        if not counted.any():
            found = sorted(variants[column].dropna().unique())
            raise TableError(f"no variant has a {word} in {list(wanted)}; found {found}")
        lost = ~counted & (reason == "")
        reason[lost] = f"{word} " + variants[column][lost].astype("str").fillna("missing")
    reason[variants.symbol.isna() | (variants.symbol == "Unknown")] = "no gene symbol"
    used = variants[reason == ""]
    table = pd.crosstab(used.cell_name.astype("str"), used.symbol.astype("str"))
    lines = sorted(variants.cell_name.unique())
    genes = sorted(set(variants.symbol.dropna()) - {"Unknown"})
    table = table.reindex(index=lines, columns=genes, fill_value=0).astype(np.float32)
    kinds = "every variant type" if types is None else "+".join(types)
    what = "protein changes" if classes == PROTEIN_CHANGING else "variants"
    table = table.rename_axis("cell_name").rename_axis(None, axis=1).reset_index()
    table.attrs["scale"] = (
        f"count of {what} ({', '.join(sorted(used.variant_class.unique()))}; {kinds})"
    )
    groups = variants[reason != ""].groupby(reason[reason != ""]).cell_name
    left_out = groups.agg(n_variants="size", example="first").rename_axis("reason").reset_index()
    return table, left_out


def counted(path, variants):
    """The table of `counts`; what it leaves out is in `attrs["refused"]`: file,
    reason, variants.
    """
    table, left_out = counts(variants, PROTEIN_CHANGING, types=None)
    rows = zip(left_out.reason, left_out.n_variants, strict=True)
    table.attrs["refused"] = [(delimited.stem(path), reason, n) for reason, n in rows]
    return table
