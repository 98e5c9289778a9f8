"""What the paper's way of training does to the scores of one description."""

import pandas as pd

from lib.analysis import configurations
from lib.sweep.grid import DEFAULTS, NETWORKS, TYPES

WAYS = ("selection", "scope", "patience")  # settings in which the paper's way departs from ours
SHOWN = ["r2", "gain", "npearson"]
WAY_COLUMNS = ["split", *WAYS, *SHOWN, *(f"{name}_change" for name in SHOWN), "n_runs"]


def ways(ledger):
    """Scores of the same networks trained our way and the paper's way.

    Parameters
    ----------
    ledger : configurations.Ledger

    Returns
    -------
    DataFrame
        One row per split and way: `selection` (which rows stop and choose), `scope` (which rows the
        scalers see), `patience`; the mean score over the configurations that were trained both this
        way and ours, its change from ours, and the number of configurations. Empty where a sweep
        trains one way only.
    """
    runs = ledger.runs[ledger.runs["model"].isin(NETWORKS)]
    merged = configurations.merge_folds(ledger, runs=runs)
    whole = merged[(merged["study"] == "All") & (merged["null_control"] == "none")]
    if whole.empty or whole[list(WAYS)].drop_duplicates().shape[0] < 2:
        return pd.DataFrame(columns=WAY_COLUMNS)
    rest = [name for name in TYPES if name in whole and name not in (*WAYS, *configurations.PLACE)]
    same = whole[rest].astype(str).agg("|".join, axis=1).rename("same")
    scored = whole.assign(same=same)
    is_ours = pd.Series(True, index=scored.index)
    for name in WAYS:
        is_ours &= scored[name] == DEFAULTS[name]
    ours = scored[is_ours].set_index("same")[SHOWN].add_suffix("_ours")
    both = scored.join(ours, on="same", how="inner")
    for name in SHOWN:
        both[f"{name}_change"] = both[name] - both[f"{name}_ours"]
    grouped = both.groupby(["split", *WAYS])
    changes = [f"{name}_change" for name in SHOWN]
    table = grouped[SHOWN + changes].mean().join(grouped.size().rename("n_runs"))
    return table.reset_index()[WAY_COLUMNS]
