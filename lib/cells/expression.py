"""Cell lines as features: expression on a log scale, panels of profiles, mutation counts (paper section 4.2).

A *profile* is one measured expression vector of one line; a line can have up to three (`profile_source`). A *panel* is
the profiles whose sources share a list of genes, each z-scored within itself over those genes: one source comes that
way (the array of GDSC), so every source is brought there before batches are compared.
"""

import numpy as np
import pandas as pd

LINEAR_SCALES = ("FPKM", "RPKM", "TPM")
LOG_SCALES = ("log2", "ln(", "RMA", "z-scored")  # beginnings of the names of scales that need no logarithm

PROTEIN_CHANGING = tuple(
    "Missense_Mutation Nonsense_Mutation Nonstop_Mutation Splice_Site Frame_Shift_Del Frame_Shift_Ins In_Frame_Del "
    "In_Frame_Ins Start_Codon_SNP Start_Codon_Del Start_Codon_Ins Stop_Codon_Del Stop_Codon_Ins De_novo_Start_InFrame "
    "De_novo_Start_OutOfFrame Translation_Start_Site".split()
)  # Variant_Classification of the MAF format, both vintages


def log_tpm(fpkm, form="log2p1", total=None):
    """Expression per million of the sample's own total, on a log scale.

    Parameters
    ----------
    fpkm : array of shape (n_samples, n_genes)
        FPKM, RPKM or TPM; not negative.
    form : {"log2p1", "paper"}
        `log2p1`: log2(TPM + 1). `paper`: ln(FPKM 1e6 / sum of all FPKM), the formula of section 4.2.1 (which gives no
        base; natural here); minus infinity where FPKM is 0.
    total : array of shape (n_samples,), optional
        Sum over *all* genes of the sample; the sum over the genes given, by default.

    Returns
    -------
    ndarray of shape (n_samples, n_genes)

    Raises
    ------
    ValueError
        For a negative value, a sample whose total is not positive, or an unknown form.

    Examples
    --------
    >>> log_tpm([[1.0, 3.0]], total=[4e6])
    array([[0.32192809, 0.80735492]])
    """
    fpkm = np.asarray(fpkm, dtype=float)
    if form not in ("log2p1", "paper"):
        raise ValueError(f"form must be 'log2p1' or 'paper', found {form!r}")
    if (fpkm < 0).any():
        raise ValueError(
            f"FPKM cannot be negative, found {np.nanmin(fpkm):.3g}: are the values on a log scale already?"
        )
    total = np.nansum(fpkm, axis=1) if total is None else np.asarray(total, dtype=float)
    if not (total > 0).all():
        sample = int(np.flatnonzero(~(total > 0))[0])
        raise ValueError(f"sample {sample} has a total FPKM of {total[sample]:g}: remove it, it holds no measurement")
    per_million = fpkm * 1e6 / total[:, None]
    if form == "log2p1":
        return np.log2(per_million + 1)
    with np.errstate(divide="ignore"):
        return np.log(per_million)


def to_log(values, scale, form="log2p1", total=None):
    """Values on a log-like scale, from the scale that their source declares.

    Parameters
    ----------
    values : array of shape (n_samples, n_genes)
    scale : str
        "FPKM", "RPKM" or "TPM" are converted by `log_tpm`; names that begin as in `LOG_SCALES` pass as they are.
    form, total
        As in `log_tpm`; in the paper's form a gene without a read takes the sample's smallest finite value.

    Raises
    ------
    ValueError
        For a scale that is not known: it is never guessed from the values.
    """
    values = np.asarray(values, dtype=float)
    if scale in LINEAR_SCALES:
        logged = log_tpm(values, form, total)
        floor = np.where(np.isneginf(logged), np.inf, logged).min(axis=1, keepdims=True)
        return np.where(np.isneginf(logged), floor, logged)
    if str(scale).startswith(LOG_SCALES):
        return values
    raise ValueError(
        f"the expression scale {scale!r} is not known: declare one of {LINEAR_SCALES} or a name that begins with "
        f"{LOG_SCALES}; it is not guessed from the values"
    )


def zscore_within_cell(values):
    """Each profile minus its own mean, over its own standard deviation (missing genes left out of both).

    Raises
    ------
    ValueError
        For a profile that is flat or empty.
    """
    values = np.asarray(values, dtype=float)
    filled = np.isfinite(values).sum(axis=1)
    if not filled.all():
        raise ValueError(f"profile {int(np.argmin(filled))} has no value in the panel's genes: leave the profile out")
    spread = np.nanstd(values, axis=1, keepdims=True)
    if not (spread > 0).all():
        raise ValueError(f"profile {int(np.argmin(spread))} is flat over the panel's genes: leave the profile out")
    return (values - np.nanmean(values, axis=1, keepdims=True)) / spread


def gene_columns(frame):
    """Names of the gene columns of a wide table."""
    return [name for name in frame.columns if name not in ("cell_id", "profile_source", "mutation_source")]


def panel(expression, scales, within_cell=True, form="log2p1"):
    """Profiles of several sources over the genes they share.

    Parameters
    ----------
    expression : dict of str to DataFrame
        By source: `cell_id`, `profile_source` and gene columns.
    scales : dict of str to str
        Declared scale of each source, see `to_log`.
    within_cell : bool
        z-score each profile over the shared genes (False is the ablation).
    form : str
        See `log_tpm`.

    Returns
    -------
    DataFrame
        `cell_id`, `profile_source`, then the shared genes in alphabetical order, float32; a gap stays a gap.

    Raises
    ------
    ValueError
        If a source declares no scale, or no gene is shared.
    """
    undeclared = sorted(expression.keys() - scales.keys())
    if undeclared:
        raise ValueError(f"no scale declared for {undeclared}: name it, one of {LINEAR_SCALES + LOG_SCALES}")
    genes = sorted(set.intersection(*(set(gene_columns(frame)) for frame in expression.values())))
    if not genes:
        raise ValueError(f"the sources {sorted(expression)} share no gene symbol: do their columns hold HGNC symbols?")
    parts = []
    for source, frame in expression.items():
        every = frame[gene_columns(frame)].to_numpy(dtype=float)
        position = pd.Index(gene_columns(frame)).get_indexer(genes)
        values = to_log(every, scales[source], form)[:, position]
        values = zscore_within_cell(values) if within_cell else values
        part = pd.DataFrame(values.astype(np.float32), columns=genes)
        parts.append(pd.concat([frame[["cell_id", "profile_source"]].reset_index(drop=True), part], axis=1))
    return pd.concat(parts, ignore_index=True)


def panels(expression, scales, sources, plain=(), form="log2p1"):
    """Several panels at once.

    Parameters
    ----------
    expression, scales, form
        As in `panel`.
    sources : dict of str to sequence of str
        Profile sources of each panel.
    plain : sequence of str
        Panels to make also without the z-score within the cell, as ``<panel>_plain``.

    Returns
    -------
    dict of str to DataFrame

    Raises
    ------
    ValueError
        If a source has no expression table.
    """
    wanted = {source for names in sources.values() for source in names}
    if wanted - expression.keys():
        raise ValueError(f"no expression of source(s) {sorted(wanted - expression.keys())}: found {sorted(expression)}")
    made = {}
    for name, names in sources.items():
        chosen = {source: expression[source] for source in names}
        made[name] = panel(chosen, scales, True, form)
        if name in plain:
            made[f"{name}_plain"] = panel(chosen, scales, False, form)
    return made


def snp_counts(maf, cells=None, classes=PROTEIN_CHANGING, types=("SNP",), cell="Tumor_Sample_Barcode"):
    """Mutations per cell line and gene from a MAF table (the paper counts SNPs; it does not mark presence).

    Parameters
    ----------
    maf : DataFrame
        One row per variant: `Hugo_Symbol`, `Variant_Classification`, `Variant_Type` and the column `cell`.
    cells : sequence of str, optional
        The assessed lines: a line without a variant keeps a row of zeros, a variant of any other line is set aside.
        By default the lines that the table names.
    classes, types : sequence of str or None
        Variant classes and types to count; None counts every one, silent ones included.
    cell : str
        Column that names the line.

    Returns
    -------
    counts : DataFrame of shape (n_cells, n_genes), float32
        Index `cell_id`, genes in alphabetical order.
    left_out : DataFrame
        reason, n_variants, example: every variant that was not counted, by reason.

    Raises
    ------
    ValueError
        If a column is missing, or a class or type to count does not occur anywhere.
    """
    needed = {"Hugo_Symbol", "Variant_Classification", "Variant_Type", cell}
    if not needed <= set(maf.columns):
        raise ValueError(f"a MAF table needs {sorted(needed)}, {sorted(needed - set(maf.columns))} missing")
    wanted = {"Variant_Classification": classes, "Variant_Type": types}
    reasons = pd.Series("", index=maf.index)
    for column, values in wanted.items():
        if values is None:
            continue
        if not maf[column].isin(values).any():
            raise ValueError(
                f"no variant has {column} in {list(values)}; found {sorted(maf[column].dropna().unique())}"
            )
        reasons = reasons.mask((reasons == "") & ~maf[column].isin(values), column + " " + maf[column].astype(str))
    cells = sorted(maf[cell].dropna().unique()) if cells is None else list(cells)
    reasons = reasons.mask(maf.Hugo_Symbol.isna() | (maf.Hugo_Symbol == "Unknown"), "no gene symbol")
    reasons = reasons.mask(~maf[cell].isin(cells), "cell line not assessed or unknown: add it to the cell table")
    used, lost = maf[reasons == ""], maf[reasons != ""]
    counts = used.groupby([cell, "Hugo_Symbol"], observed=True).size().unstack(fill_value=0)
    counts = counts.reindex(cells, fill_value=0).sort_index(axis=1).astype(np.float32)
    left_out = lost.assign(reason=reasons).groupby("reason")[cell].agg(n_variants="size", example="first").reset_index()
    return counts.rename_axis("cell_id").rename_axis(None, axis=1), left_out


def split_mutations(mutations, scales):
    """Mutation tables by kind: counts, 0/1 events and shares are different features and never share a table.

    Parameters
    ----------
    mutations : dict of str to DataFrame
        By source: `cell_id`, `mutation_source`, gene columns; NaN = not assessed.
    scales : dict of str to str
        Declared by the source: begins with "count", "0/1" or "per cent" (of a gene's change, CellMiner's exome).

    Returns
    -------
    dict of str to DataFrame
        "counts", "binary" and "percent", as far as there is one; genes of several sources side by side, NaN where not
        assessed.

    Raises
    ------
    ValueError
        For an undeclared kind, or an event that is neither 0 nor 1.
    """
    words, kinds = {"count": "counts", "0/1": "binary", "per cent": "percent"}, {}
    for source, frame in mutations.items():
        scale = scales.get(source, "")
        kind = next((kind for word, kind in words.items() if scale.startswith(word)), None)
        if kind is None:
            raise ValueError(
                f"mutations of {source} declare {scale!r}: name them 'count …', '0/1 event' or 'per cent …'"
            )
        values = frame[gene_columns(frame)].to_numpy()
        wrong = values[~(np.isin(values, (0, 1)) | np.isnan(values))] if kind == "binary" else values[values < 0]
        if wrong.size:
            raise ValueError(f"mutations of {source} are declared {scale!r} but hold {wrong[0]:g}: check the table")
        kinds.setdefault(kind, []).append(frame)
    return {kind: pd.concat(frames, ignore_index=True) for kind, frames in kinds.items()}


def burden(mutations):
    """Mutations of each row's line over its assessed genes, missing where none was assessed.

    Returns
    -------
    DataFrame
        cell_id, mutation_source, n_mutations.
    """
    total = mutations[gene_columns(mutations)].sum(axis=1, min_count=1)
    return mutations[["cell_id", "mutation_source"]].assign(n_mutations=total)


def burdens(snp):
    """The burden of every line in each table of `split_mutations`, with the table's `kind`; no row if there is none."""
    none = pd.DataFrame(columns=["cell_id", "mutation_source", "n_mutations", "kind"])
    return pd.concat([burden(frame).assign(kind=kind) for kind, frame in snp.items()]) if snp else none


def mask_unsequenced(counts, minimum):
    """Mark lines with hardly any mutation as not assessed: their zeros mean that nobody looked.

    A release can mix assays: in CCLE's table some lines were typed at hot spots of 13 genes only (OncoMap) and carry 1
    to 3 mutations, while no sequenced line has fewer than 15.

    Parameters
    ----------
    counts : DataFrame
        `cell_id`, `mutation_source`, genes.
    minimum : int
        Lines with fewer mutations in all become NaN; 0 keeps every line.

    Returns
    -------
    masked : DataFrame
        Same rows.
    set_aside : DataFrame
        cell_id, mutation_source, n_mutations of the lines that were masked.
    """
    total, masked = burden(counts), counts.copy()
    low = total.n_mutations < minimum
    masked.loc[low, gene_columns(counts)] = np.nan
    return masked, total[low].reset_index(drop=True)


def permuted_rows(values, groups, seed=0):
    """Null control: whole rows dealt out again within their group, so a profile belongs to another line.

    Parameters
    ----------
    values : ndarray of shape (n_rows, p)
    groups : array of shape (n_rows,)
        Profile source: each source keeps its own distribution.
    seed : int

    Returns
    -------
    ndarray of shape (n_rows, p)
    """
    rng, order = np.random.default_rng(seed), np.arange(len(values))
    for group in np.unique(groups):
        rows = np.flatnonzero(np.asarray(groups) == group)
        order[rows] = rng.permutation(rows)
    return values[order]


def random_like(values, seed=0):
    """Null control: standard normal numbers of equal shape."""
    return np.random.default_rng(seed).standard_normal(values.shape, dtype=np.float32)


def annotated_types(cells):
    """Cohort labels as the `cell_types` table: cell_id, label_kind ("annotated" where not said), cancer_type."""
    named = cells.dropna(subset=["cancer_type"])
    return named.assign(label_kind=named.get("label_kind", "annotated"))[["cell_id", "label_kind", "cancer_type"]]
