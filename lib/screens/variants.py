"""Mutation tables: MAF files and the Cell Model Passports, one row per variant, in one vocabulary;
and their counts.

Counts per gene and 0/1 events are different features: `counts` makes the first from variants, and
says so. It is the one definition of the SNP feature of the paper (section 4.2.1), the same as that
of the bundled table of protein changes. What a table says in words that are not known here is
counted and leaves its gene missing, not zero.
"""

import re

import numpy as np
import pandas as pd

from lib.screens import delimited, depmap, doses, symbols, texts
from lib.screens.delimited import ID, OPTIONAL_ID, Layout
from lib.tables import TableError

# our name -> the names it has had, oldest first; the first that a file has is taken
NAMES = dict(
    cell_name=("Tumor_Sample_Barcode", "DepMap_ID", "ModelID"),
    symbol=("Hugo_Symbol", "HugoSymbol", "HgncName"),
    variant_class=("Variant_Classification", "VariantInfo"),
)
# classes of the MAF format that change the protein; "Frame_Shift" and "In_Frame" of tables that do
# not say which
PROTEIN_CHANGING = tuple(
    "Missense_Mutation Nonsense_Mutation Nonstop_Mutation Splice_Site Frame_Shift Frame_Shift_Del "
    "Frame_Shift_Ins In_Frame In_Frame_Del In_Frame_Ins Start_Codon_SNP Start_Codon_Del "
    "Start_Codon_Ins Stop_Codon_Del Stop_Codon_Ins De_novo_Start_InFrame De_novo_Start_OutOfFrame "
    "Translation_Start_Site".split()
)
# the other words that say what a variant does: MAF, and VEP terms of newer releases
OTHER = tuple(
    "Silent Intron 3'UTR 5'UTR 3'Flank 5'Flank IGR RNA lincRNA Splice_Region Targeted_Region "
    "intron_variant 3_prime_utr_variant 5_prime_utr_variant upstream_gene_variant "
    "downstream_gene_variant intergenic_variant non_coding_transcript_variant "
    "non_coding_transcript_exon_variant nmd_transcript_variant mature_mirna_variant "
    "splice_region_variant splice_polypyrimidine_tract_variant splice_donor_region_variant "
    "splice_donor_5th_base_variant regulatory_region_variant tf_binding_site_variant "
    "start_retained_variant upstream downstream intronic five_prime_utr three_prime_utr "
    "five_prime_flank three_prime_flank".split()
)
# the same in other vocabularies (VEP terms of newer releases, the Passports' effects)
SAME = {
    "missense": "Missense_Mutation",
    "missense_variant": "Missense_Mutation",
    "synonymous": "Silent",
    "synonymous_variant": "Silent",
    "stop_retained_variant": "Silent",
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
    "conservative_inframe_deletion": "In_Frame_Del",
    "conservative_inframe_insertion": "In_Frame_Ins",
    "disruptive_inframe_deletion": "In_Frame_Del",
    "disruptive_inframe_insertion": "In_Frame_Ins",
}
PASSPORTS = Layout(
    "the Passports' mutation table",
    dict(model_id=ID, gene_symbol=OPTIONAL_ID, effect=OPTIONAL_ID),
    lossy=True,
)


def _plain(word):
    """A word without its signs and in small letters: "3'UTR" is 3_utr, "Missense Mutation" as
    spelled in MAF.
    """
    return re.sub("[^a-z0-9]+", "_", word.lower()).strip("_")


CLASSES = {_plain(name): name for name in PROTEIN_CHANGING + OTHER} | SAME


def read_maf(path):
    """Variants of a MAF file, tab or comma separated, of either DepMap vintage.

    Returns
    -------
    DataFrame
        The names of `NAMES`, all categorical; the symbol is missing for variants between genes.
        `attrs["refused"]`: entries that do not stand for their model.

    Raises
    ------
    TableError
        If columns are missing or a row is shifted.
    """
    path = texts.exists(path)
    first = texts.top(path)[1]
    separator = "\t" if first.count("\t") > first.count(",") else ","
    header = texts.names(path, separator)
    found = {}
    for ours, theirs in NAMES.items():
        present = [name for name in theirs if name in header]
        if not present:
            raise TableError(
                f"{path.name}: no column for {ours} {theirs}; found {header[:30]}. Is this a "
                "MAF file?"
            )
        found[ours] = present[0]
    columns = dict.fromkeys([*found.values(), depmap.DEFAULT, depmap.SEQUENCING], OPTIONAL_ID)
    columns[found["cell_name"]] = ID
    raw = delimited.read(path, Layout("a MAF file", columns, separator, lossy=True))
    refused = doses.Refused(texts.stem(path))
    raw = depmap.standing(raw, found["cell_name"], path, refused)
    frame = _in_maf_words(raw.select(**found))
    frame.attrs["refused"] = refused.listed()
    return frame


def read_passports(path):
    """Variants of the Cell Model Passports (`mutations_all_….csv`), as `read_maf`; `cell_name` is
    the model id (SIDM…).
    """
    raw = delimited.read(path, PASSPORTS)
    return _in_maf_words(
        raw.select(cell_name="model_id", symbol="gene_symbol", variant_class="effect")
    )


def _in_maf_words(raw):
    """Classes in one vocabulary; a word that it does not know stays as it is.

    A variant of several effects (VEP: missense_variant&splice_region_variant) has the first that
    changes the protein, else the first known.
    """
    frame = pd.DataFrame({name: doses.categorical(raw[name]) for name in NAMES})
    known = {}
    for word in frame.variant_class.cat.categories:
        effects = [CLASSES.get(_plain(part)) for part in re.split("[&,;|]", word)]
        effects = sorted(filter(None, effects), key=lambda effect: effect not in PROTEIN_CHANGING)
        known[word] = effects[0] if effects else word
    frame["variant_class"] = frame.variant_class.astype("object").map(known).astype("category")
    return frame


def counts(variants, classes):
    """Variants of every type per cell line and gene: the paper counts them, it does not mark
    presence.

    Parameters
    ----------
    variants : DataFrame
        As `read_maf` gives.
    classes : sequence of str
        Variant classes that count, in words of the MAF format. The releases are counted with
        PROTEIN_CHANGING, so that a silent variant does not count.

    Returns
    -------
    table : DataFrame
        `cell_name` and one float32 column per gene, in alphabetical order. Every line and gene of
        the input has its row and column: 0 means assessed and not found, and missing that a variant
        is of a class which is not known here. `attrs["scale"]` names the classes counted.
    left_out : DataFrame
        reason, n_variants, example (a cell line): every variant that was not counted, by reason.

    Raises
    ------
    TableError
        If no variant is of a class that counts or none names a gene: the table may use other words.
    """
    reason = symbols.problems(variants.symbol)
    if (reason != "").all():
        raise TableError(f"no variant names a gene: {reason.iloc[0]}")
    genes = sorted(variants.symbol[reason == ""].unique())
    lines = sorted(variants.cell_name.unique())
    said = variants.variant_class.astype("object").fillna("missing")
    counted = said.isin(classes)
    if not counted.any():
        raise TableError(
            f"no variant has a variant class in {list(classes)}; found {sorted(said.unique())}"
        )
    lost = ~counted & (reason == "")
    unknown = lost & ~said.isin(CLASSES.values())
    reason[lost] = "variant class " + said[lost]
    reason[unknown] = "unknown " + reason[unknown]
    used = variants[reason == ""]
    table = pd.crosstab(used.cell_name.astype("str"), used.symbol.astype("str"))
    values = table.reindex(index=lines, columns=genes, fill_value=0).to_numpy(np.float32, copy=True)
    rows = pd.Index(lines).get_indexer(variants.cell_name[unknown])
    values[rows, pd.Index(genes).get_indexer(variants.symbol[unknown])] = np.nan
    table = pd.DataFrame(values, columns=pd.Index(genes, dtype="str"))
    table.insert(0, "cell_name", pd.Index(lines, dtype="str"))
    what = "protein changes" if classes == PROTEIN_CHANGING else "variants"
    of = ", ".join(sorted(used.variant_class.unique()))
    table.attrs["scale"] = f"count of {what} ({of}; every variant type)"
    groups = variants[reason != ""].groupby(reason[reason != ""]).cell_name
    left_out = groups.agg(n_variants="size", example="first").rename_axis("reason").reset_index()
    return table, left_out


def counted(path, variants):
    """The table of `counts`; what it leaves out is in `attrs["refused"]`: file,
    reason, variants.
    """
    table, left_out = counts(variants, PROTEIN_CHANGING)
    rows = zip(left_out.reason, left_out.n_variants, strict=True)
    refused = [(texts.stem(path), reason, n) for reason, n in rows]
    table.attrs["refused"] = variants.attrs.get("refused", []) + refused
    return table
