"""Our fits beside the summaries that the studies published of the same measurements."""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.hill import repeats
from lib.hill.quality import screened

# A study's own summary -> our column that measures the same, and how the summary is put on its scale.
MEASURES = {
    "activity_area": ("aac1", lambda v: v / 8),  # CCLE: summed over its 8 doses
    "area_above": ("aac1", lambda v: v),
    "auc_tested": ("auc1", lambda v: v),
    "ctrp_auc": (
        "auc1",
        lambda v: v,
    ),  # CTRP: an area in dose steps; only its rank and line are comparable
    "gr_aoc": ("aac1", lambda v: v),
    "ln_ic50_um": ("ic50", lambda v: 6 - v / np.log(10)),
    "ic50_um": ("ic50", lambda v: 6 - np.log10(v)),
    "gr50_um": ("ic50", lambda v: 6 - np.log10(v)),
    "ec50_um": ("pec50", lambda v: 6 - np.log10(v)),
}
SUMMARIES = ["study", "assay", "cell_id", "drug_id", "curve_id", "measure", "value", "sheet"]
LEAST = 20  # pairs of values below which no rank correlation is given
AS_FAR = 0.1  # rank correlations closer than this are called alike


def summaries(path):
    """The `published` table, or one without rows where the data set brings none."""
    return pd.read_parquet(path) if Path(path).exists() else pd.DataFrame(columns=SUMMARIES)


def beside_published(fits, summaries):
    """Our value beside the study's own, one row per pair of them.

    Parameters
    ----------
    fits : DataFrame
    summaries : DataFrame
        The `published` table: study, assay, cell_id, drug_id, measure, value, and curve_id where the study gives one
        value per curve; other values stand beside the median over our curves of the same line and drug.

    Returns
    -------
    DataFrame
        study, assay, measure, sheet, our_column, cell_id, drug_id, theirs (on our scale), ours; no value of ours is
        NaN.
    """
    use = screened(fits)
    use = use[use["endpoint"] == "viability"] if "endpoint" in use else use
    columns = [
        "study",
        "assay",
        "measure",
        "sheet",
        "our_column",
        "cell_id",
        "drug_id",
        "theirs",
        "ours",
    ]
    known = summaries[summaries["measure"].isin(list(MEASURES))]
    rows = [
        _beside(use, theirs)[columns]
        for _, theirs in known.groupby(["measure", "sheet"], observed=True)
    ]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns)


def _beside(use, theirs):
    column, rescaled = MEASURES[theirs["measure"].iloc[0]]
    if theirs["curve_id"].notna().all():
        joined = theirs.merge(use[["curve_id", column]], on="curve_id")
    else:
        key = ["study", "assay", "cell_id", "drug_id"]
        joined = theirs.merge(
            use.groupby(key, observed=True)[column].median().reset_index(), on=key
        )
    return joined.assign(our_column=column, theirs=rescaled(joined["value"]), ours=joined[column])


def agreement(beside):
    """Rank and linear correlation with the studies' own summaries.

    Parameters
    ----------
    beside : DataFrame
        Of `beside_published`.

    Returns
    -------
    DataFrame
        study, assay, sheet, measure (theirs), our_column, n, n_missing (no value on one side, for example no IC50),
        n_drugs, spearman, pearson, within_drug (median over drugs with at least 20 pairs of the rank correlation),
        at_cap (share of the published values that equal the commonest one, a sign of censoring); sorted by spearman.
    """
    key, rows = ["study", "assay", "sheet", "measure", "our_column"], []
    for names, group in beside.groupby(key, observed=True):
        known = _known(group)
        row = dict(zip(key, names, strict=True)) | dict(
            n=len(known), n_missing=len(group) - len(known)
        )
        row |= dict(n_drugs=known["drug_id"].nunique(), spearman=_rank(known))
        row |= dict(pearson=known["ours"].corr(known["theirs"]), within_drug=_within_drug(known))
        rows.append(row | dict(at_cap=known["theirs"].value_counts(normalize=True).max()))
    table = pd.DataFrame(rows, columns=None if rows else [*key, "n", "spearman"])
    return table.sort_values("spearman", ignore_index=True)


def by_quarter(beside, row):
    """Where along a published summary the ranks agree.

    Parameters
    ----------
    beside : DataFrame
        Of `beside_published`.
    row : Series
        One row of `agreement`.

    Returns
    -------
    DataFrame
        One row per quarter of the published value: quarter, n, largest, spearman.
    """
    mine = _known(beside[(beside["measure"] == row["measure"]) & (beside["sheet"] == row["sheet"])])
    names = ["lowest quarter", "second quarter", "third quarter", "highest quarter"]
    cut = np.minimum(mine["theirs"].rank(method="first", pct=True) * 4, 3.999).astype(int)
    found = []
    for quarter, part in mine.groupby(cut):
        found.append(
            dict(
                quarter=names[quarter],
                n=len(part),
                largest=part["theirs"].max(),
                spearman=_rank(part, least=3),
            )
        )
    return pd.DataFrame(found)


def by_file(fits, summaries, row):
    """Which file of ours a summary agrees with, and how far that file agrees with itself.

    Parameters
    ----------
    fits, summaries : DataFrame
    row : Series
        One row of `agreement`.

    Returns
    -------
    DataFrame
        file, n, spearman (with the summary), n_repeats, own_spearman (between two curves of one line and drug in that
        file, NaN below 20 of them); most pairs first.
    """
    theirs = summaries[
        (summaries["measure"] == row["measure"]) & (summaries["sheet"] == row["sheet"])
    ]
    mine = fits[fits["assay"] == row["assay"]]
    rows = []
    for file, part in mine.groupby(mine["curve_id"].str.split("/").str[1]):
        known = _known(beside_published(part, theirs))
        if len(known):
            found = dict(file=file, n=len(known), spearman=_rank(known))
            rows.append(found | _repeats(part, row["our_column"]))
    return pd.DataFrame(rows).sort_values("n", ascending=False, ignore_index=True)


def _repeats(fits, column):
    """Rank correlation of two curves of the same line and drug, one pair of curves for each."""
    twice = repeats.replicate_pairs(fits, column).drop_duplicates(["cell_id", "drug_id"])
    return dict(n_repeats=len(twice), own_spearman=_rank(twice, "value_1", "value_2"))


def reading(fits, summaries, beside, table):
    """What the weakest agreement comes from, in sentences whose numbers and verdicts follow from the data.

    Parameters
    ----------
    fits, summaries, beside, table : DataFrame
        The last two of `beside_published` and `agreement`.

    Returns
    -------
    str
    """
    known = table.dropna(subset=["spearman"])
    if known.empty:
        return f"This data set brings no published summary with {LEAST} values to compare."
    row = known.iloc[0]
    quarters, files = by_quarter(beside, row), by_file(fits, summaries, row)
    lines = [
        f"Weakest: {row['assay']} {row['measure']} ({row['sheet']}), rank correlation {row['spearman']:.2f} over "
        f"{row['n']:,} pairs of {row['n_drugs']} drugs; inside a drug {row['within_drug']:.2f} (median)."
    ]
    ranked = quarters.dropna(subset=["spearman"]).sort_values("spearman")
    if len(ranked):
        parts = [
            f"{part['spearman']:.2f} in the {part['quarter']}"
            for part in ranked.iloc[[-1, 0]].to_dict("records")
        ]
        lines.append(f"By quarters of the published value: from {parts[0]} down to {parts[1]}.")
    return "\n".join(lines + [_of_file(file) for file in files.to_dict("records")])


def _of_file(file):
    """One sentence on a file: its agreement with the summary and with itself."""
    start = f"Our {file['file']} (n = {file['n']:,}) agrees with it by {file['spearman']:.2f}"
    if np.isnan(file["own_spearman"]):
        return f"{start}; it repeats too few pairs ({file['n_repeats']}) to say how far it agrees with itself."
    gap = file["spearman"] - file["own_spearman"]
    verdict = "about as far apart as two measurements are"
    if abs(gap) > AS_FAR:
        verdict = (
            "closer than two measurements are"
            if gap > 0
            else "further apart than noise alone explains"
        )
    own = f"two of its own curves of one line and drug by {file['own_spearman']:.2f} (n = {file['n_repeats']:,})"
    return f"{start}, {own}: {verdict}."


def _known(beside):
    return beside[np.isfinite(beside["ours"]) & np.isfinite(beside["theirs"])]


def _rank(frame, one="ours", two="theirs", least=LEAST):
    return frame[one].corr(frame[two], method="spearman") if len(frame) >= least else np.nan


def _within_drug(known):
    groups = [
        g
        for _, g in known.groupby("drug_id", observed=True)
        if len(g) >= LEAST and g["theirs"].nunique() > 1
    ]
    return float(np.median([_rank(g) for g in groups])) if groups else np.nan
