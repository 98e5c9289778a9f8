"""Table 6, figure 4, the removal rule and the tests of the paper, and how any table is shown to a reader.

The published number, ours, the difference, and why one is missing; tables 1 to 5 are in
lib/analysis/percentiles.py, table 7 in lib/hill/quality.py.
"""

import numpy as np
import pandas as pd

from lib import paper as published
from lib.analysis import configurations, percentiles, statistics
from lib.analysis.configurations import METRICS
from lib.analysis.percentiles import COLUMNS, largest, reason_of
from lib.cells import cohorts


def removed_by_configuration(merged, quantile=0.85):
    """Reason of removal of each configuration, from its score over all studies."""
    whole = merged[merged["study"] == "All"]
    return pd.Series(
        configurations.removal(whole, quantile).to_numpy(),
        index=whole["configuration"],
        dtype=object,
    )


def removal_table(merged, removed):
    """How many configurations each part of the removal rule takes, by split and optimizer: failure is an outcome."""
    whole = merged[merged["study"] == "All"].assign(
        removed=lambda f: f["configuration"].map(removed)
    )
    whole["removed"] = whole["removed"].replace("", "kept")
    counts = (
        whole.groupby(["split", "optimizer", "removed"])
        .size()
        .rename("n_configurations")
        .reset_index()
    )
    counts["share"] = counts["n_configurations"] / counts.groupby(["split", "optimizer"])[
        "n_configurations"
    ].transform("sum")
    return counts


def best_models(naive, merged, inner):
    """Table 6: the best regression and the best classification configuration on unseen cells, chosen by inner score.

    Parameters
    ----------
    naive : DataFrame
        `naive_scores`.
    merged, inner : DataFrame
        `merge_folds` of the networks, parts "test" and "inner".

    Returns
    -------
    tuple of DataFrame
        The table (COLUMNS) and the settings of the two configurations.
    """
    paper, rows, chosen = published.values("table6"), [], []
    for level, metric in (("best_regression", "r2"), ("best_classification", "balanced_accuracy")):
        pool = inner[(inner["split"] == "on_cell") & (inner["study"] == "All")].dropna(
            subset=metric
        )
        best = pool.loc[pool[metric].idxmax(), "configuration"] if len(pool) else None
        own = merged[merged["configuration"] == best]
        chosen.append(own[own["study"] == "All"].assign(level=level))
        for study in dict.fromkeys(["All", *paper["study"], *own["study"]]):
            at = dict(
                split="on_cell",
                panel=_first(own, "panel"),
                study=study,
                factor="model",
                level=level,
            )
            rows += [_one_model_row(own, at, m, paper) for m in METRICS]
    panel = _first(pd.concat(chosen), "panel")
    rows += percentiles.naive_rows(
        naive, "on_cell", panel, METRICS, ["All", *sorted(set(merged["study"]) - {"All"})]
    )
    return pd.DataFrame(rows, columns=COLUMNS), pd.concat(chosen)[["level", *configurations.SPEC]]


def _first(frame, name):
    return frame[name].iloc[0] if len(frame) else ""


def _one_model_row(own, at, metric, paper):
    row = own[own["study"] == at["study"]]
    value = float(row[metric].iloc[0]) if len(row) else np.nan
    theirs, why = percentiles.theirs_of(paper, at, metric, "model")
    if not np.isfinite(value):
        why = [
            *why,
            reason_of(row.iloc[0], metric)
            if len(row)
            else "no configuration has an inner score and such rows",
        ]
    finite = np.isfinite(value)
    return at | dict(
        metric=metric, statistic="one model", published=theirs, ours=value, difference=value - theirs, low=np.nan,
        high=np.nan, ours_unfiltered=value, n_configurations=len(row), n_removed=0, n_unmatched=0,
        n_drugs=largest(row, "n_drugs"), n_cells=largest(row, "n_cells"), reason="; ".join(w for w in why if w),
        recipe=dict(kind="percentile", metric=metric, study=at["study"], q=0.5) if finite else None,
        members=list(own["configuration"].unique()) if finite else None,
    )  # fmt: skip


def literal_tests(merged, removed):
    """The paper's tests (PAPER rows D4 to D6) on kept configurations: published p, ours, and the effect size.

    Returns
    -------
    DataFrame
        split, panel, factor, test, metric, relation, published, ours, difference, effect (of means, or eta squared), n,
        reason, recipe, members.
    """
    whole = merged[(merged["study"] == "All") & (merged["configuration"].map(removed) == "")]
    rows = []
    for line in published.values("tests").itertuples():
        part, panel = percentiles.rows_of_factor(whole[whole["split"] == line.split], line.factor)
        part = part[configurations.matched(part, line.factor)]
        for metric in METRICS if line.metric == "any" else (line.metric,):
            found = _literal(part, line, metric)
            row = dict(
                split=line.split, panel=panel, factor=line.factor, test=line.level, metric=metric
            )
            row |= dict(
                relation=line.relation,
                published=line.value,
                ours=found["p"],
                effect=found["effect"],
            )
            row |= dict(
                difference=found["p"] - line.value,
                n=found["n"],
                members=list(part["configuration"]),
            )
            recipe = dict(
                kind="test", test=line.level, factor=line.factor, metric=metric, study="All"
            )
            row |= dict(recipe=recipe if np.isfinite(found["p"]) else None)
            rows.append(row | dict(reason="; ".join(r for r in (found["reason"], line.note) if r)))
    return pd.DataFrame(rows)


def _literal(part, line, metric):
    if part.empty:
        return statistics.result(reason="no kept configuration")
    names = (
        part[line.factor]
        .astype(str)
        .map(lambda level: published.published_level(line.factor, level)[0])
    )
    if line.level == "t-test":
        return statistics.t_test(
            part.loc[names == "none", metric], part.loc[names == "counts", metric]
        )
    if line.level == "ANOVA":
        return statistics.anova(part[metric], names)
    wanted = set(line.level.removeprefix("Tukey HSD: ").split(" vs "))
    pairs = statistics.tukey_hsd(part[metric], names)
    match = pairs[
        [{a, b} == wanted for a, b in zip(pairs["level_a"], pairs["level_b"], strict=True)]
    ]
    if match.empty:
        return statistics.result(
            n=len(part),
            reason=pairs["reason"].iloc[0] or f"no run with {' and '.join(sorted(wanted))}",
        )
    return statistics.result(
        **match.iloc[0][["effect", "low", "high", "p", "reason"]], n=len(part), unit="configuration"
    )


def points(merged):
    """Figure 2: each kept configuration on each study.

    Returns
    -------
    DataFrame
        split, study, configuration, r2, balanced_accuracy, n, reason, recipe (of r2), members.
    """
    table = merged[
        ["split", "study", "configuration", "r2", "balanced_accuracy", "n", "reason"]
    ].copy()
    members = {split: sorted(set(own["configuration"])) for split, own in table.groupby("split")}
    recipe = dict(kind="point", metric="r2")
    return table.assign(
        recipe=[
            recipe | dict(study=row.study, configuration=row.configuration)
            if np.isfinite(row.r2)
            else None
            for row in table.itertuples()
        ],
        members=[members[split] for split in table["split"]],
    )


def cells_by_type(pairs, cell_types, n_types=21, label_kind=None):
    """Figure 4: lines with a response, by cancer type (the most frequent ones) and study.

    Parameters
    ----------
    pairs : DataFrame
        Training rows.
    cell_types : DataFrame
        cell_id, cancer_type, and label_kind where there are several ways of labelling.
    n_types : int
    label_kind : str, optional

    Returns
    -------
    DataFrame
        Index cancer type, most frequent first; columns studies; numbers of lines.
    """
    if label_kind is not None and "label_kind" in cell_types:
        cell_types = cell_types[cell_types["label_kind"] == label_kind]
    types = (
        cell_types.dropna(subset=["cancer_type"])
        .drop_duplicates("cell_id")
        .set_index("cell_id")["cancer_type"]
    )
    seen = (
        pairs[["study", "cell_id"]]
        .drop_duplicates()
        .assign(cancer_type=lambda f: f["cell_id"].map(types))
    )
    top = cohorts.top_types(seen.drop_duplicates("cell_id"), n_types)
    counts = (
        seen[seen["cancer_type"].isin(top)]
        .groupby(["cancer_type", "study"])
        .size()
        .unstack(fill_value=0)
    )
    return counts.reindex(top)


def show(frame, columns=None, digits=3):
    """A table for reading: numbers rounded, and a dash (never a NaN) where there is none; its reason stands beside it.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str, optional
        Those that the frame has are shown; by default all but hashes and addresses, which stand in the file.
    digits : int
        Decimals; a number that would round to 0 is printed with three significant digits.

    Returns
    -------
    DataFrame
        Of text.
    """
    hidden = ("data_hash", "lib_hash", "address", "recipe", "members")  # in the file
    shown = frame[
        [c for c in (columns or frame.columns) if c in frame and (columns or c not in hidden)]
    ]
    return shown.map(lambda value: _text(value, digits))


def _text(value, digits):
    if pd.isna(value) or value in (np.inf, -np.inf):
        return "–"
    if not isinstance(value, float):
        return value
    return f"{value:.3g}" if 0 < abs(value) < 10**-digits else f"{value:.{digits}f}"
