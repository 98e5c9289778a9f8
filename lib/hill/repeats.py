"""How far two measurements of one thing agree: replicate curves, and the studies' own summaries.

Two curves of the same line and drug are replicates of one measurement (same assay), of one
laboratory (two assays of a study) or of the field (two studies). What they do not share no feature
of the line or the drug can explain, which is the ceiling of every score. The second half compares
our values with the summaries that the studies published of the same measurements.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.hill.quality import areas, screened

LEVELS = ("same assay", "same study", "other study")
AGREEMENT = "level assay_1 assay_2 n_pairs n_units n_cells n_drugs".split()
AGREEMENT += "variance_share pearson within_drug shift noise_sd reason".split()
CEILING = "study r2 basis n_curves total_sd noise_sd n_units n_cells n_drugs".split()
CEILING += ["r2_other_study", "reason"]
OTHER_RANGE = "two areas over two tested ranges are no repeats of one measurement"
LEAST_UNITS = 20  # pairs of a line and a drug below which n is too small
LEAST_CELLS = 10  # and cell lines


def _as_it_is(value):
    return value


def _from_micromolar(value):
    return 6 - np.log10(value)


# A study's own summary -> our column that measures the same, the summary on its scale, its name.
MEASURES = {
    "activity_area": ("aac1", lambda v: v / 8, "activity area / 8"),  # CCLE: sum over its 8 doses
    "area_above": ("aac1", _as_it_is, "area above the curve"),
    "auc_tested": ("auc1", _as_it_is, "AUC"),
    "ctrp_auc": ("auc1", _as_it_is, "AUC [dose steps]"),  # only its rank is comparable
    "gr_aoc": ("aac1", _as_it_is, "GR, area over the curve"),
    "ln_ic50_um": ("ic50", lambda v: 6 - v / np.log(10), "IC50 [−log10 M]"),
    "ic50_um": ("ic50", _from_micromolar, "IC50 [−log10 M]"),
    "gr50_um": ("ic50", _from_micromolar, "GR50 [−log10 M]"),
    "gi50": ("ic50", _as_it_is, "GI50 [−log10 M]"),  # corrected for time zero; ours: viability
    "ec50_um": ("pec50", _from_micromolar, "EC50 [−log10 M]"),
}
CENSORED = ("ic50", "pec50")  # ours that carry a mark where they lie beyond the doses
SUMMARIES = "study assay cell_id drug_id curve_id measure value sheet".split()
BESIDE = "study assay measure sheet our_column cell_id drug_id theirs ours".split()
SUMMARY = "study assay sheet measure our_column".split()
BY_SUMMARY = [*SUMMARY, "n", "n_missing", "n_drugs", "spearman", "pearson", "within_drug", "at_cap"]
BY_FILE = "sheet measure file n spearman n_repeats own_spearman".split()
LEAST = 20  # pairs of values below which no rank correlation is given


def replicate_pairs(fits, value="auc"):
    """Every two curves of the same line and drug.

    Parameters
    ----------
    fits : DataFrame
        The `fits` table. Control compounds are left out; so is a viability curve beside the growth
        curve of the same study, which comes from the same wells.
    value : str
        Column to compare.

    Returns
    -------
    DataFrame
        cell_id, drug_id, study_1, assay_1, value_1, study_2, assay_2, value_2, level, weight (the
        pairs of one line and drug between the same two assays together weigh 1).
    """
    use = screened(fits, value).sort_values(["assay", "curve_id"], ignore_index=True)
    use = use.assign(i=use.index, value=use[value])
    use = use["i study assay cell_id drug_id endpoint value".split()]
    pairs = use.merge(use, on=["cell_id", "drug_id"], suffixes=("_1", "_2"))
    pairs = pairs.query("i_1 < i_2 and (study_1 != study_2 or endpoint_1 == endpoint_2)")
    pairs = pairs.reset_index(drop=True)
    same_assay = pairs["assay_1"] == pairs["assay_2"]
    same_study = pairs["study_1"] == pairs["study_2"]
    pairs["level"] = np.select([same_assay, same_study], LEVELS[:2], LEVELS[2])
    unit = "cell_id drug_id assay_1 assay_2".split()
    pairs["weight"] = 1.0 / pairs.groupby(unit, observed=True)["i_1"].transform("size")
    return pairs.drop(columns="i_1 i_2 endpoint_1 endpoint_2".split())


def replicate_agreement(pairs):
    """Agreement of replicates by pair of assays.

    Parameters
    ----------
    pairs : DataFrame
        Of `replicate_pairs`.

    Returns
    -------
    DataFrame
        level, assay_1, assay_2, n_pairs, n_units (pairs of a line and a drug), n_cells, n_drugs,
        variance_share (of the variance of one measurement, what a second one shares: 1 -
        noise_sd**2 / variance; a constant shift lowers it too), pearson, within_drug (pearson after
        subtracting each drug's mean, the part in which lines differ), shift (mean of second less
        first), noise_sd (of one measurement), reason (text, where n is too small).
    """
    rows = []
    for level in LEVELS:
        mine = pairs[pairs["level"] == level]
        for (one, two), group in mine.groupby(["assay_1", "assay_2"], observed=True):
            row = dict(level=level, assay_1=one, assay_2=two, n_pairs=len(group), **_counts(group))
            reason = _too_few(row)
            rows.append(row | dict(reason=reason, **({} if reason else _shared(group))))
    return pd.DataFrame(rows, columns=AGREEMENT)


def _counts(pairs):
    """Pairs of a line and a drug, lines and drugs behind some pairs of curves."""
    return dict(
        n_units=round(pairs["weight"].sum()),
        n_cells=pairs["cell_id"].nunique(),
        n_drugs=pairs["drug_id"].nunique(),
    )


def _too_few(row):
    if row["n_units"] >= LEAST_UNITS and row["n_cells"] >= LEAST_CELLS:
        return ""
    return f"n too small ({row['n_units']} pairs of {row['n_cells']} lines)"


def _noise_variance(pairs):
    """Variance of one measurement about the truth."""
    return np.average((pairs["value_1"] - pairs["value_2"]) ** 2, weights=pairs["weight"]) / 2


def _shared(pairs):
    """Statistics of the pairs of two assays."""
    noise = _noise_variance(pairs)
    if (pairs["assay_1"] == pairs["assay_2"]).all():  # no order: each pair enters both ways round
        swapped = pairs.rename(columns=dict(value_1="value_2", value_2="value_1"))
        pairs = pd.concat([pairs, swapped], ignore_index=True)
    one, two, weight = pairs[["value_1", "value_2", "weight"]].to_numpy().T
    drug = pd.factorize(pairs["drug_id"])[0]
    variance = np.cov(np.r_[one, two], aweights=np.r_[weight, weight], ddof=0)
    return dict(
        variance_share=1 - noise / variance,
        pearson=_pearson(one, two, weight),
        within_drug=_pearson(_centred(one, drug, weight), _centred(two, drug, weight), weight),
        shift=np.average(two - one, weights=weight),
        noise_sd=np.sqrt(noise),
    )


def _centred(values, group, weight):
    means = np.bincount(group, weight * values) / np.bincount(group, weight)
    return values - means[group]


def _pearson(one, two, weight):
    covariance = np.cov(one, two, aweights=weight, ddof=0)
    spread = np.sqrt(covariance[0, 0] * covariance[1, 1])
    return covariance[0, 1] / spread if spread > 0 else np.nan


def replicate_ceiling(fits):
    """Largest R2 that a perfect predictor of the true value could reach on a study's rows.

    Parameters
    ----------
    fits : DataFrame

    Returns
    -------
    DataFrame
        study, r2 (1 - noise variance / variance of the study's curves), basis ("same assay" where
        the study repeats enough of its own pairs, else "other study", whose shifts count as noise
        too and make the ceiling low), n_curves (behind the variance), total_sd, noise_sd, n_units,
        n_cells, n_drugs (behind the noise), r2_other_study (with the noise towards other studies),
        reason. The noise of few drugs stands for all: read r2 with n_drugs. Areas over tested
        ranges have no ceiling: two screens of a compound differ in their ranges, not in noise
        alone.
    """
    value = areas(fits)
    pairs = replicate_pairs(fits, value)
    rows = []
    for study, own in screened(fits, value).groupby("study", observed=True):
        mine = pairs[(pairs["study_1"] == study) | (pairs["study_2"] == study)]
        total = own[value].var(ddof=0)
        row = dict(study=study, n_curves=len(own), total_sd=np.sqrt(total), basis="", reason="")
        for basis in ("other study", "same assay"):  # the second is preferred
            group = mine[mine["level"] == basis]
            counts = _counts(group)
            if not _too_few(counts):
                noise = _noise_variance(group)
                row |= dict(counts, basis=basis, r2=1 - noise / total, noise_sd=np.sqrt(noise))
                if basis == "other study":
                    row["r2_other_study"] = row["r2"]
        if not row["basis"]:
            row["reason"] = f"n too small ({len(mine)} replicate pairs)"
        if value == "auc_tested":
            row |= dict(r2=np.nan, noise_sd=np.nan, reason=OTHER_RANGE)
        rows.append(row)
    return pd.DataFrame(rows, columns=CEILING)


def summaries(path):
    """The `published` table, or one without rows where the data set brings none."""
    return pd.read_parquet(path) if Path(path).exists() else pd.DataFrame(columns=SUMMARIES)


def beside_published(fits, summaries):
    """Our value beside the study's own, one row per pair of them.

    Parameters
    ----------
    fits : DataFrame
    summaries : DataFrame
        The `published` table: study, assay, cell_id, drug_id, measure, value, and curve_id where
        the study gives one value per curve; other values stand beside the median over our curves of
        the same line and drug.

    Returns
    -------
    DataFrame
        study, assay, measure, sheet, our_column, cell_id, drug_id, theirs (on our scale), ours; no
        value of ours is NaN, and so is one beyond the doses tested, which is a bound and has no
        rank.
    """
    use = screened(fits)
    use = use[use["endpoint"] == "viability"]
    known = summaries[summaries["measure"].isin(list(MEASURES))]
    parts = [pd.DataFrame(columns=BESIDE)]
    for (measure, _), theirs in known.groupby(["measure", "sheet"], observed=True):
        column, rescaled, _ = MEASURES[measure]
        key = ["curve_id"]
        if theirs["curve_id"].isna().any():
            key = "study assay cell_id drug_id".split()
        values = use[column]
        if column in CENSORED:
            values = _unbounded(values, use[f"{column}_censor"])
        ours = use.assign(ours=values).groupby(key, observed=True)["ours"].median().reset_index()
        joined = theirs.merge(ours, on=key)
        joined = joined.assign(our_column=column, theirs=rescaled(joined["value"]))
        parts.append(joined[BESIDE].replace({"ours": [np.inf, -np.inf]}, np.nan))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def _unbounded(dose, mark):
    """Doses with infinity where a mark says that they lie beyond the doses tested.

    A median over curves is then a dose where most of them agree on one, else infinite.
    """
    return dose.where(mark == "", mark.map({">": -np.inf, "<": np.inf}))


def agreement(beside):
    """Rank and linear correlation with the studies' own summaries.

    Parameters
    ----------
    beside : DataFrame
        Of `beside_published`.

    Returns
    -------
    DataFrame
        study, assay, sheet, measure (theirs), our_column, n, n_missing (no value on one side, for
        example an IC50 beyond the doses), n_drugs, spearman, pearson, within_drug (median over
        drugs with at least 20 pairs of the rank correlation), at_cap (share of the
        published values that equal the commonest one, a sign of censoring); sorted by
        spearman, the weakest first.
    """
    rows = []
    for names, group in beside.groupby(SUMMARY, observed=True):
        known = finite(group)
        ranks = [_rank(own) for _, own in known.groupby("drug_id", observed=True)]
        row = dict(
            n=len(known),
            n_missing=len(group) - len(known),
            n_drugs=known["drug_id"].nunique(),
            spearman=_rank(known),
            pearson=known["ours"].corr(known["theirs"]),
            within_drug=pd.Series(ranks, dtype=float).median(),
            at_cap=known["theirs"].value_counts(normalize=True).max(),
        )
        rows.append(dict(zip(SUMMARY, names, strict=True)) | row)
    return pd.DataFrame(rows, columns=BY_SUMMARY).sort_values("spearman", ignore_index=True)


def by_file(fits, summaries, table):
    """Which file of ours the summary that agrees least agrees with, and that file with itself.

    Parameters
    ----------
    fits, summaries, table : DataFrame
        The last of `agreement`.

    Returns
    -------
    DataFrame
        sheet, measure, file, n, spearman (with the summary), n_repeats, own_spearman (between two
        curves of one line and drug in that file, NaN below 20 of them); most pairs first.
    """
    weakest = table.dropna(subset=["spearman"]).head(1)
    theirs = summaries.merge(weakest[["assay", "sheet", "measure"]])
    mine = fits[fits["assay"].isin(theirs["assay"])]
    rows = []
    for file, part in mine.groupby(mine["curve_id"].str.split("/").str[1]):
        beside = finite(beside_published(part, theirs))
        if beside.empty:
            continue
        first = beside.iloc[0]
        twice = replicate_pairs(part, first["our_column"]).drop_duplicates(["cell_id", "drug_id"])
        row = dict(
            file=file,
            n=len(beside),
            spearman=_rank(beside),
            n_repeats=len(twice),
            own_spearman=_rank(twice, "value_1", "value_2"),
        )
        rows.append(dict(first[["sheet", "measure"]]) | row)
    table = pd.DataFrame(rows, columns=BY_FILE)
    return table.sort_values("n", ascending=False, ignore_index=True)


def finite(beside):
    """Pairs of values that both sides have."""
    return beside[np.isfinite(beside[["ours", "theirs"]].astype(float)).all(axis=1)]


def _rank(frame, one="ours", two="theirs"):
    """Rank correlation, NaN for few pairs or for one value alone."""
    if len(frame) < LEAST or frame[two].nunique() < 2:
        return np.nan
    return frame[one].corr(frame[two], method="spearman")
