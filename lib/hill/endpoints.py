"""GI50, TGI and LC50 of curves with time-zero values (section 4.3, equation 1 of the paper).

By interpolation of PGI on the log dose, as the NCI does, and from the fitted Hill curve. Growth of
these curves is (PGI + 100) / 200, so the curve passes GI50, TGI and LC50 at 0.75, 0.5 and 0.25.
"""

import numpy as np
import pandas as pd

from lib.hill.curve import ic50
from lib.screens import growth

NAMES = {"gi50": "GI50", "tgi": "TGI", "lc50": "LC50"}
COLUMNS = "study curve_id cell_id drug_id end_point dose censor fitted".split()
MOST = 10  # lines and drugs in the table for reading


def end_points(responses, fits):
    """GI50, TGI and LC50 of every curve with time-zero values.

    Parameters
    ----------
    responses, fits : DataFrame
        Those of another endpoint than "growth" have no time-zero value and are left out.

    Returns
    -------
    DataFrame
        One row per curve and end point: study, curve_id, cell_id, drug_id, end_point, dose (by
        interpolation, -log10 M), censor ("<" passed before the weakest dose, ">" not passed at the
        strongest, as concentrations; then dose is that dose; "undefined" without a reading), fitted
        (dose at which the Hill curve passes the level, NaN where it does not between two doses).
    """
    points = responses[responses["endpoint"] == "growth"]
    read = growth.end_points(points.assign(percent=growth.from_growth(points["growth"])))
    known = read.merge(fits, on="curve_id")
    parts = []
    for name, level in growth.LEVELS.items():
        fitted = ic50(known["einf"], known["pec50"], known["hs"], growth.to_growth(level))
        tested = (fitted >= known["dose_strong"]) & (fitted <= known["dose_weak"])
        fitted = np.where(tested, fitted, np.nan)
        part = known.assign(end_point=NAMES[name], dose=known[name], fitted=fitted)
        parts.append(part.rename(columns={f"{name}_censor": "censor"})[COLUMNS])
    return pd.concat(parts, ignore_index=True)


def in_micromolar(dose, censor):
    """Text such as "0.31" and ">10,000", in µM; "–" where there is no value."""
    if np.isnan(dose):
        return "–"
    digits = float(f"{10 ** (6 - dose):.3g}")
    return f"{censor}{digits:,g}"


def by_line_and_drug(found, cells, drugs):
    """The end points in µM: a row per drug and end point, a column per line.

    Parameters
    ----------
    found : DataFrame
        Of `end_points`.
    cells, drugs : DataFrame
        Tables of notebook 01, for the names.

    Returns
    -------
    DataFrame of text
        The 10 drugs and 10 lines measured most; "<" and ">" mark a level that is passed before the
        first dose or not by the last. Of several curves of one line and drug the first is shown.
    """
    rows = found.assign(
        line=found["cell_id"].map(cells.set_index("cell_id")["cell_name"]),
        drug=found["drug_id"].map(drugs.set_index("drug_id")["drug_name"]),
        text=[in_micromolar(*value) for value in zip(found["dose"], found["censor"], strict=True)],
    )
    for name in ("drug", "line"):
        rows = rows[rows[name].isin(rows[name].value_counts().index[:MOST])]
    table = rows.drop_duplicates(["drug", "end_point", "line"])
    table = table.pivot(index=["drug", "end_point"], columns="line", values="text").fillna("–")
    return table.reindex(NAMES.values(), level="end_point")


def censoring(found):
    """How many curves pass each end point between two doses, and how far the fit is from there.

    Parameters
    ----------
    found : DataFrame
        Of `end_points`.

    Returns
    -------
    DataFrame
        study, end_point, n (curves), between (passed between two doses), above (not passed by the
        strongest dose, ">"), below (passed before the weakest, "<"), undefined, no_fit (passed
        between two doses but not by the fitted curve), median_difference, largest_difference
        (absolute, of the two doses where both exist, in powers of ten).
    """
    rows = found.copy()
    for name, mark in dict(between="", above=">", below="<", undefined="undefined").items():
        rows[name] = rows["censor"] == mark
    rows["no_fit"] = rows["between"] & rows["fitted"].isna()
    rows["away"] = (rows["fitted"] - rows["dose"]).abs().where(rows["between"])
    grouped = rows.groupby(["study", "end_point"], sort=False, observed=True)
    table = grouped["between above below undefined no_fit".split()].sum()
    table.insert(0, "n", grouped.size())
    table["median_difference"] = grouped["away"].median()
    table["largest_difference"] = grouped["away"].max()
    return table.reset_index()
