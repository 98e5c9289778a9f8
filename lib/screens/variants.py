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
# class of the MAF format: its names in other vocabularies (VEP terms of newer releases, the
# Passports' effects)
SAME = {
    "Missense_Mutation": "missense missense_variant",
    "Silent": "synonymous synonymous_variant stop_retained_variant",
    "Nonsense_Mutation": "nonsense stop_gained",
    "Nonstop_Mutation": "nonstop stop_lost",
    "Splice_Site": "ess_splice splice_acceptor_variant splice_donor_variant",
    "Start_Codon_SNP": "start_lost",
    "De_novo_Start_InFrame": "de_novo_start_in_frame",
    "De_novo_Start_OutOfFrame": "de_novo_start_out_frame",
    "Frame_Shift": "frameshift frameshift_variant",
    "In_Frame": "inframe",
    "In_Frame_Del": "inframe_deletion conservative_inframe_deletion disruptive_inframe_deletion",
    "In_Frame_Ins": "inframe_insertion conservative_inframe_insertion disruptive_inframe_insertion",
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


CLASSES = {_plain(name): name for name in PROTEIN_CHANGING + OTHER}
for known, others in SAME.items():
    CLASSES |= dict.fromkeys(others.split(), known)


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
    """Variants with their classes in one vocabulary; a word that it does not know stays as it is.

    A variant of several effects (VEP: missense_variant&splice_region_variant) has the first that
    changes the protein, else the first known.
    """
    frame = pd.DataFrame({name: doses.categorical(raw[name]) for name in NAMES})
    words = frame.variant_class.cat
    classes = pd.Categorical([_class(word) for word in words.categories])
    frame["variant_class"] = classes.take(words.codes, allow_fill=True)
    return frame


def _class(word):
    effects = [CLASSES.get(_plain(part)) for part in re.split("[&,;|]", word)]
    known = [effect for effect in effects if effect]
    changing = [effect for effect in known if effect in PROTEIN_CHANGING]
    return [*changing, *known, word][0]


def counts(path, variants):
    """Protein changes of every type per cell line and gene: the paper counts them, it does not mark
    presence.

    Parameters
    ----------
    path : path
        The file they are from, for the list of what is left out.
    variants : DataFrame
        As `read_maf` gives.

    Returns
    -------
    DataFrame
        `cell_name` and one float32 column per gene, in alphabetical order. Every line and gene of
        the input has its row and column: 0 means assessed and not found, and missing that a variant
        is of a class which is not known here. `attrs["scale"]` names the classes counted,
        `attrs["refused"]` lists file, reason and number of the variants that are not.

    Raises
    ------
    TableError
        If no variant is of a class that counts or none names a gene: the table may use other words.
    """
    reason = symbols.problems(variants.symbol)
    named = reason == ""
    if not named.any():
        raise TableError(f"no variant names a gene: {reason.iloc[0]}")
    said = variants.variant_class.astype("object").fillna("missing")
    used = named & said.isin(PROTEIN_CHANGING)
    if not used.any():
        raise TableError(
            f"no variant has a variant class in {list(PROTEIN_CHANGING)}; "
            f"found {sorted(said.unique())}"
        )
    unknown = named & ~said.isin(CLASSES.values())
    reason[named & ~used] = "variant class " + said
    reason[unknown] = "unknown " + reason
    lines = pd.Index(sorted(variants.cell_name.unique()), dtype="str")
    genes = pd.Index(sorted(variants.symbol[named].unique()), dtype="str")
    row = lines.get_indexer(variants.cell_name)
    column = genes.get_indexer(variants.symbol)
    values = np.zeros((len(lines), len(genes)), np.float32)
    np.add.at(values, (row[used], column[used]), 1)
    values[row[unknown], column[unknown]] = np.nan
    table = pd.DataFrame(values, columns=genes)
    table.insert(0, "cell_name", lines)
    of = ", ".join(sorted(variants.variant_class[used].unique()))
    table.attrs["scale"] = f"count of protein changes ({of}; every variant type)"
    lost = reason[~used].value_counts().sort_index()
    refused = [(texts.stem(path), why, int(n)) for why, n in lost.items()]
    table.attrs["refused"] = variants.attrs.get("refused", []) + refused
    return table
