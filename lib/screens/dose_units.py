"""The unit of a screen's doses: what they can be, and what they seem to be where they cannot be
-log10 M. It is never converted silently; the remedy is the one for the unit that is recognised.
"""

import numpy as np

from lib.screens.doses import SPAN
from lib.tables import Column

ANY = Column("float")
STRONGEST = 1.5  # -log10 M: 30 mM; no screen goes there, but µM values taken for -log10 M do
DOSE = Column(
    "float", STRONGEST, 15, unit="-log10 M", remedy="is this column in µM? dose = 6 - log10(µM)"
)
# What doses seem to be, and how they become -log10 M.
UNITS = {
    "M": "dose = -log10(M)",
    "µM": "dose = 6 - log10(µM); of nM it would be 9 - log10(nM), of mM 3 - log10(mM)",
    "nM": "dose = 9 - log10(nM); of µM it would be 6 - log10(µM)",
    "log10 M": "take the negative: dose = -log10(M)",
    "log10 µM": "dose = 6 - log10(µM)",
    "per cent of the strongest": "give -log10 of the molar concentration of every dose",
}


def check(responses, given, found):
    """The doses that can be used, the others missing; one sentence says what the others are.

    Parameters
    ----------
    responses : DataFrame
        cell_id, drug_id, dose, growth; its index is the line of each row.
    given : Series
        The column `dose` as the file has it.
    found : lib.screens.own_tables.Violations

    Returns
    -------
    Series
    """
    dose = responses.dose
    treated = responses[dose != 0].dropna(subset=["cell_id", "drug_id", "dose"])
    unit = recognise(treated) if len(treated) else ""
    control = (dose == 0) & (not unit.startswith("log10"))  # in log10 µM it is 1 µM
    remedy = "leave it out: growth is relative to it, and it has no logarithm"
    found.report(given, control, "is the untreated control where it is 0", remedy)
    outside = ~control & ~dose.between(DOSE.low, DOSE.high) & dose.notna()
    if unit:
        shown = ", ".join(f"{value:g}" for value in treated.dose.unique()[:6])
        text = f"column 'dose' looks like {unit}, not -log10 M: {shown}"
        found.add(dose.index[dose.notna() & ~control], text, UNITS[unit])
    else:
        found.report(given, outside, f"must be {DOSE.allowed}", DOSE.remedy)
        _directions(treated[~outside[treated.index]], found)
    return dose.mask(control | outside)


def recognise(treated):
    """The unit of `UNITS` that doses are in, or "" where they can be -log10 M.

    A dose in -log10 M lies between `STRONGEST` and 15, and the doses of one series within `SPAN`
    decades: further apart are only the steps of a ruler, or of units that are mixed. A dilution has
    equal differences in -log10 M; equal ratios are those of concentrations.
    """
    dose = treated.dose
    if (dose < 0).mean() > 0.25:
        return "log10 M" if dose.median() < -3 else "log10 µM"
    series = treated.groupby(["cell_id", "drug_id"]).dose
    wide = series.max() - series.min() > SPAN
    outside = ~dose.between(DOSE.low, DOSE.high)
    of_one = np.sort(series.get_group(next(iter(series.groups))).unique())
    steps = np.diff(of_one)
    ratios = np.diff(np.log(of_one.clip(1e-99)))
    geometric = len(steps) > 1 and _unequal(ratios) < 0.05 and _unequal(steps) > 0.2
    if outside.mean() <= 0.25 and wide.mean() <= 0.5 and not geometric:
        return ""
    if dose.max() == 100 and len(steps) > 1 and _unequal(steps) < 0.01:
        return "per cent of the strongest"
    if dose.max() <= 0.1:
        return "M"
    return "nM" if dose.max() > 300 else "µM"


def _unequal(steps):
    return np.ptp(steps) / steps.mean()


def _directions(treated, found):
    """In -log10 M growth rises with the dose. Where it falls in nearly every series with a clear
    trend, the dose is a concentration (or its logarithm), or growth is an inhibition.
    """
    keys = ["cell_id", "drug_id"]
    values = treated[[*keys, "dose", "growth"]].dropna().set_index(keys)
    series = values.groupby(keys)
    centred = values - series.mean()
    trend = centred.prod(axis=1).groupby(keys).sum()
    trend /= np.sqrt((centred**2).groupby(keys).sum().prod(axis=1)).clip(lower=1e-12)
    wide = series.growth.max() - series.growth.min() > 0.3
    trend = trend[wide & (series.dose.nunique() > 3)]
    falls = (trend < -0.8).sum()
    rises = (trend > 0.8).sum()
    if falls > 2 and falls > 9 * rises:
        text = f"growth falls as dose rises in {falls} of {falls + rises} series with a clear trend"
        remedy = (
            "-log10 M is small for a strong dose: is dose a concentration or its logarithm "
            "(6 - log10(µM), 9 - log10(nM)), or growth an inhibition (1 - inhibition)?"
        )
        found.add(0, text, remedy)
