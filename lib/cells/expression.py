"""Cell lines as features: expression on a log scale, and panels of profiles (section 4.2.1).

A *profile* is one measured expression vector of one line; a line can have up to three
(`profile_source`). A *panel* is the profiles whose sources share a list of genes, each on the log
scale of its source. Where one source of several comes z-scored within the cell, all are brought
there before they are compared.
"""

import numpy as np
import pandas as pd

from lib.tables import LINEAR_SCALES, SCALES, scale_range

ZSCORED = "z-scored within the cell"  # a scale that cannot be undone
KEY_COLUMNS = ("cell_id", "profile_source", "mutation_source")


def log_tpm(fpkm, form="log2p1"):
    """Expression per million of the sample's own total, on a log scale.

    Parameters
    ----------
    fpkm : array of shape (n_samples, n_genes)
        FPKM, RPKM or TPM of *all* genes; not negative.
    form : {"log2p1", "paper"}
        `log2p1`: log2(TPM + 1). `paper`: ln(FPKM 1e6 / sum of all FPKM), the formula of section
        4.2.1 (which gives no base; natural here); minus infinity where FPKM is 0.

    Returns
    -------
    ndarray of shape (n_samples, n_genes)

    Raises
    ------
    ValueError
        For a negative value, a sample whose total is not positive, or an unknown form.

    Examples
    --------
    >>> log_tpm([[1.0, 3.0]], form="paper")
    array([[12.4292162 , 13.52782849]])
    """
    fpkm = np.asarray(fpkm, float)
    if form not in ("log2p1", "paper"):
        raise ValueError(f"form must be 'log2p1' or 'paper', found {form!r}")
    if (fpkm < 0).any():
        raise ValueError(
            f"FPKM cannot be negative, found {np.nanmin(fpkm):.3g}: "
            "are the values on a log scale already?"
        )
    total = np.nansum(fpkm, axis=1)
    if not (total > 0).all():
        sample = int(np.flatnonzero(~(total > 0))[0])
        raise ValueError(
            f"sample {sample} has a total FPKM of {total[sample]:g}: "
            "remove it, it holds no measurement"
        )
    per_million = fpkm * 1e6 / total[:, None]
    if form == "log2p1":
        return np.log2(per_million + 1)
    with np.errstate(divide="ignore"):
        return np.log(per_million)


def to_log(values, scale, form="log2p1"):
    """Values on a log-like scale, from the scale that their source declares.

    Parameters
    ----------
    values : array of shape (n_samples, n_genes)
    scale : str
        One of `lib.tables.SCALES`: "FPKM", "RPKM" and "TPM" are converted by `log_tpm`, the others
        pass as they are.
    form : str
        As in `log_tpm`; in the paper's form a gene without a read takes the sample's smallest
        finite value.

    Raises
    ------
    ValueError
        For a scale that is not known: it is never guessed from the values.
    """
    values = np.asarray(values, float)
    if scale_range(scale) is None:
        raise ValueError(
            f"the expression scale {scale!r} is not known: declare one of {tuple(SCALES)}; "
            "it is not guessed from the values"
        )
    if scale not in LINEAR_SCALES:
        return values
    logged = log_tpm(values, form)
    unread = np.isneginf(logged)
    smallest = np.where(unread, np.inf, logged).min(axis=1, keepdims=True)
    return np.where(unread, smallest, logged)


def zscore_within_cell(values):
    """Each profile minus its own mean, over its own standard deviation (gaps left out of both).

    Raises
    ------
    ValueError
        For a profile that is flat or empty.
    """
    values = np.asarray(values, float)
    _refuse(np.isfinite(values).any(axis=1), "has no value in")
    spread = np.nanstd(values, axis=1, keepdims=True)
    _refuse(spread > 0, "is flat over")
    return (values - np.nanmean(values, axis=1, keepdims=True)) / spread


def _refuse(good, what):
    if not good.all():
        raise ValueError(
            f"profile {int(np.argmin(good))} {what} the panel's genes: leave the profile out"
        )


def gene_columns(frame):
    """Names of the gene columns of a wide table."""
    return [name for name in frame.columns if name not in KEY_COLUMNS]


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
        `cell_id`, `profile_source`, then the shared genes in alphabetical order, float32; a gap
        stays a gap.

    Raises
    ------
    ValueError
        If a source declares no scale, or no gene is shared.
    """
    undeclared = sorted(expression.keys() - scales.keys())
    if undeclared:
        raise ValueError(f"no scale declared for {undeclared}: name it, one of {tuple(SCALES)}")
    genes = sorted(set.intersection(*(set(gene_columns(frame)) for frame in expression.values())))
    if not genes:
        raise ValueError(
            f"the sources {sorted(expression)} share no gene symbol: "
            "do their columns hold HGNC symbols?"
        )
    parts = []
    for source, frame in expression.items():
        # A total per million is over every measured gene; a log scale needs the shared ones only.
        measured = gene_columns(frame) if scales[source] in LINEAR_SCALES else genes
        values = to_log(frame[measured].to_numpy(float), scales[source], form)
        values = values[:, pd.Index(measured).get_indexer(genes)]
        if within_cell:
            values = zscore_within_cell(values)
        keys = frame[["cell_id", "profile_source"]].reset_index(drop=True)
        part = pd.DataFrame(values.astype(np.float32), columns=genes)
        parts.append(pd.concat([keys, part], axis=1))
    return pd.concat(parts, ignore_index=True)


def panels(expression, scales, sources, zscored=(), form="log2p1"):
    """Several panels at once.

    Parameters
    ----------
    expression, scales, form
        As in `panel`.
    sources : dict of str to sequence of str
        Profile sources of each panel.
    zscored : sequence of str
        Panels to make also with each profile z-scored within itself, as ``<panel>_zscored``.

    Returns
    -------
    dict of str to DataFrame

    Raises
    ------
    ValueError
        If a source has no expression table.
    """
    missing = sorted(set().union(*sources.values()) - expression.keys())
    if missing:
        raise ValueError(f"no expression of source(s) {missing}: found {sorted(expression)}")
    made = {}
    for name, names in sources.items():
        chosen = {source: expression[source] for source in names}
        relative = [scales.get(source, "").startswith(ZSCORED) for source in names]
        made[name] = panel(chosen, scales, any(relative) and len(names) > 1, form)
        if name in zscored:
            made[f"{name}_zscored"] = panel(chosen, scales, True, form)
    return made
