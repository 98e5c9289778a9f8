"""How well a screen repeats itself: agreement of replicate curves, and the ceiling it sets for any predictor.

Two curves of the same line and drug are replicates of one measurement (same assay), of one laboratory (two assays of a
study) or of the field (two studies). What they do not share no feature of the line or the drug can explain.
"""

import numpy as np
import pandas as pd

from lib.hill.quality import areas, screened

LEVELS = ("same assay", "same study", "other study")
AGREEMENT = "level assay_1 assay_2 n_pairs n_units n_cells n_drugs".split()
AGREEMENT += "variance_share pearson within_drug shift noise_sd reason".split()
OTHER_RANGE = "two areas over two tested ranges are no repeats of one measurement"
LEAST_UNITS, LEAST_CELLS = 20, 10  # fewer pairs of a line and a drug, or fewer lines: n too small


def replicate_pairs(fits, value="auc"):
    """Every two curves of the same line and drug.

    Parameters
    ----------
    fits : DataFrame
        The `fits` table. Control compounds are left out; so is a viability curve beside the growth curve of the same
        study, which comes from the same wells.
    value : str
        Column to compare.

    Returns
    -------
    DataFrame
        cell_id, drug_id, study_1, assay_1, value_1, study_2, assay_2, value_2, level, weight (the pairs of one line and
        drug between the same two assays together weigh 1).
    """
    use = screened(fits, value).sort_values(["assay", "curve_id"])
    use = use.assign(i=np.arange(len(use)), value=use[value])
    use = use[["i", "study", "assay", "cell_id", "drug_id", "endpoint", "value"]]
    use = use[use.duplicated(["cell_id", "drug_id"], keep=False)]
    pairs = use.merge(use, on=["cell_id", "drug_id"], suffixes=("_1", "_2")).query("i_1 < i_2")
    pairs = pairs[
        (pairs["study_1"] != pairs["study_2"]) | (pairs["endpoint_1"] == pairs["endpoint_2"])
    ]
    same_assay, same_study = (
        pairs["assay_1"] == pairs["assay_2"],
        pairs["study_1"] == pairs["study_2"],
    )
    pairs["level"] = np.select([same_assay, same_study], LEVELS[:2], LEVELS[2])
    unit = ["cell_id", "drug_id", "assay_1", "assay_2"]
    pairs["weight"] = 1.0 / pairs.groupby(unit, observed=True)["i_1"].transform("size")
    return pairs.drop(columns=["i_1", "i_2", "endpoint_1", "endpoint_2"]).reset_index(drop=True)


def replicate_agreement(pairs):
    """Agreement of replicates by pair of assays.

    Parameters
    ----------
    pairs : DataFrame
        Of `replicate_pairs`.

    Returns
    -------
    DataFrame
        level, assay_1, assay_2, n_pairs, n_units (pairs of a line and a drug), n_cells, n_drugs, variance_share (of the
        variance of one measurement, what a second one shares: 1 - noise_sd**2 / variance; a constant shift lowers it
        too), pearson, within_drug (pearson after subtracting each drug's mean, the part that lines differ in), shift
        (mean of second less first), noise_sd (of one measurement), reason (text, where n is too small).
    """
    rows = []
    for (level, one, two), group in pairs.groupby(["level", "assay_1", "assay_2"], observed=True):
        row = dict(level=level, assay_1=one, assay_2=two, n_pairs=len(group))
        row |= dict(n_units=int(round(group["weight"].sum())), n_cells=group["cell_id"].nunique())
        row |= dict(n_drugs=group["drug_id"].nunique())
        enough = row["n_units"] >= LEAST_UNITS and row["n_cells"] >= LEAST_CELLS
        row |= _shared(group, symmetric=one == two) if enough else {}
        why = "" if enough else f"n too small ({row['n_units']} pairs of {row['n_cells']} lines)"
        rows.append(row | dict(reason=why))
    table = pd.DataFrame(rows, columns=AGREEMENT)
    return table.sort_values(
        "level", key=lambda s: s.map(LEVELS.index), kind="stable", ignore_index=True
    )


def _shared(pairs, symmetric):
    """Statistics of one group of pairs; the two curves of one assay have no order and so enter both ways round."""
    one, two, weight = (pairs[name].to_numpy() for name in ("value_1", "value_2", "weight"))
    noise = np.average((one - two) ** 2, weights=weight) / 2
    drug = pd.factorize(pairs["drug_id"])[0]
    if symmetric:
        one, two, weight, drug = (
            np.r_[one, two],
            np.r_[two, one],
            np.r_[weight, weight],
            np.r_[drug, drug],
        )
    both, twice = np.r_[one, two], np.r_[weight, weight]
    variance = np.average((both - np.average(both, weights=twice)) ** 2, weights=twice)
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
    one, two = one - np.average(one, weights=weight), two - np.average(two, weights=weight)
    spread = np.sqrt(np.average(one**2, weights=weight) * np.average(two**2, weights=weight))
    return np.average(one * two, weights=weight) / spread if spread > 0 else np.nan


def replicate_ceiling(fits, value=None):
    """Largest R2 that a perfect predictor of the true value could reach on a study's rows, by study.

    Parameters
    ----------
    fits : DataFrame
    value : str, optional
        Target; by default what the networks learn (`fits.areas`).

    Returns
    -------
    DataFrame
        study, r2 (1 - noise variance / variance of the study's curves), basis ("same assay" where the study repeats
        enough of its own pairs, else "other study", whose shifts count as noise too and make the ceiling low),
        noise_sd, total_sd, n_units, n_cells, n_drugs (behind the noise), n_curves (behind the variance), r2_other_study
        (with the noise towards other studies), reason. The noise of few drugs stands for all: read r2 with n_drugs.
        Areas over tested ranges have no ceiling: two screens of a compound differ in their ranges, not in noise alone.
    """
    value = value or areas(fits)
    pairs = replicate_pairs(fits, value)
    rows = []
    for study, group in screened(fits, value).groupby("study", observed=True):
        mine = pairs[(pairs["study_1"] == study) | (pairs["study_2"] == study)]
        by_level = {level: mine[mine["level"] == level] for level in ("same assay", "other study")}
        own, total = _noise(by_level["same assay"]), group[value].var(ddof=0)
        other = _noise(by_level["other study"])
        basis, chosen = ("same assay", own) if own else ("other study", other)
        row = dict(
            study=study,
            r2=np.nan,
            basis=basis if chosen else "",
            n_curves=len(group),
            total_sd=np.sqrt(total),
        )
        row |= dict(r2=1 - chosen["noise_sd"] ** 2 / total, **chosen) if chosen else {}
        row |= (
            dict(r2_other_study=1 - other["noise_sd"] ** 2 / total)
            if other
            else dict(r2_other_study=np.nan)
        )
        row |= dict(reason="" if chosen else f"n too small ({len(mine)} replicate pairs)")
        rows.append(
            row
            if value != "auc_tested"
            else row | dict(r2=np.nan, noise_sd=np.nan, reason=OTHER_RANGE)
        )
    return pd.DataFrame(rows)


def _noise(pairs):
    """Standard deviation of one measurement about the truth, or None where n is too small."""
    units, cells = int(round(pairs["weight"].sum())), pairs["cell_id"].nunique()
    if units < LEAST_UNITS or cells < LEAST_CELLS:
        return None
    squares = (pairs["value_1"] - pairs["value_2"]) ** 2
    noise = np.sqrt(np.average(squares, weights=pairs["weight"]) / 2)
    return dict(noise_sd=noise, n_units=units, n_cells=cells, n_drugs=pairs["drug_id"].nunique())
