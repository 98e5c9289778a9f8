"""Tables 1 to 7 of the paper: the published number, ours, the difference, and why one is missing.

Every table is long: one row per printed number. `ours` follows the paper (fold-merged configurations, its removal
rule, its percentile); `ours_unfiltered` leaves nothing out. The rows of factor "naive" are the predictors that know
no feature, on the same rows: a percentile of networks means little without them. `recipe` and `members` are the
number's address (lib/provenance.py).
"""

import numpy as np
import pandas as pd

from lib import configurations, contrasts, published, stats
from lib import pairs as pairs_of_lines
from lib.baselines import BASELINES
from lib.configurations import METRICS, PERCENTILE
from lib.fits import screened

SPLITS = ("on_cell", "on_drug")
COLUMNS = (
    "split panel study factor level metric statistic published ours difference low high ours_unfiltered "
    "n_configurations n_removed n_drugs n_cells reason recipe members"
).split()


def factor_table(naive, merged, removed, item, factor, metric_names=METRICS, studies=("All",)):
    """A table of percentiles by factor level, as tables 1 to 5 of the paper.

    Parameters
    ----------
    naive : DataFrame
        `naive_scores`.
    merged : DataFrame
        `configurations.merge_folds` of the networks.
    removed : Series
        Reason of removal by configuration, "" where it stays (`removed_by_configuration`).
    item, factor : str
        "table1" and "snp", and so on.
    metric_names, studies : sequence of str

    Returns
    -------
    DataFrame
        COLUMNS; one row per split, level, study and metric, then the naive predictors.
    """
    paper = published.values(item)
    rows = []
    for split in [s for s in SPLITS if s in set(merged["split"]) | set(paper["split"])]:
        part, panel = _panel(merged[merged["split"] == split], factor)
        for level in _levels(part, paper, factor):
            own = part[part[factor].astype(str) == level]
            for study in studies:
                at = dict(split=split, panel=panel, study=study, factor=factor, level=level)
                cells = [_percentile_row(own, removed, at, m, paper, factor) for m in metric_names]
                rows += cells
        rows += naive_rows(naive, split, panel, metric_names, studies)
    return pd.DataFrame(rows, columns=COLUMNS)


def with_unit_intervals(table, ledger, n_draws=200):
    """A table of percentiles with intervals over whole cells (unseen cells) or drugs (unseen drugs) too.

    Parameters
    ----------
    table : DataFrame
        Of `factor_table`, study "All".
    ledger : configurations.Ledger
    n_draws : int

    Returns
    -------
    DataFrame
        With `unit_low`, `unit_high` and `unit_reason`; NaN and a reason where the sweep kept no scores by cell or drug.
    """
    found, sums = [], {}
    for row in table.to_dict("records"):
        unit = "drug_id" if row["split"] == "on_drug" else "cell_id"
        key = (row["split"], row["panel"])
        if key not in sums:
            runs = ledger.runs[(ledger.runs["split"] == key[0]) & (ledger.runs["panel"] == key[1])]
            sums[key] = contrasts.sums_by_cluster(ledger, configurations.networks(runs), unit)
        found.append(_unit_interval(row, *sums[key][:2], unit, n_draws))
    return table.assign(**pd.DataFrame(found, index=table.index, columns=["unit_low", "unit_high", "unit_reason"]))


def _unit_interval(row, sums, settings, unit, n_draws):
    if row["statistic"] == "one predictor" or row["members"] is None:
        return np.nan, np.nan, "" if row["members"] is None else "a single predictor"
    mine = settings["configuration"].isin(row["members"]).to_numpy() if len(settings) else np.zeros(0, bool)
    if not mine.any():
        return np.nan, np.nan, f"the sweep kept no scores by {unit}"
    q, metric = row["recipe"]["q"], contrasts.metric_of(row["metric"])
    interval = stats.percentile_by_cluster(sums[mine], metric, q, n_draws)
    return interval["low"], interval["high"], interval["reason"]


def _panel(part, factor):
    """The rows of the panel in which the factor varies over most configurations; panels hold different rows."""
    if part.empty:
        return part, ""
    rank = part.groupby("panel", dropna=False).agg(levels=(factor, "nunique"), size=("configuration", "nunique"))
    panel = rank.assign(varies=rank["levels"] > 1).sort_values(["varies", "size"]).index[-1]
    return part[part["panel"] == panel], panel


def _levels(part, paper, factor):
    """Levels of ours in the paper's order, then ours that the paper lacks, then the paper's that no run has."""
    ours = sorted(part[factor].astype(str).unique()) if len(part) else []
    order = list(dict.fromkeys(paper["level"]))
    names = {level: published.published_level(factor, level)[0] for level in ours}
    known = [level for name in order for level in ours if names[level] == name]
    return known + [level for level in ours if level not in known] + [n for n in order if n not in names.values()]


def _percentile_row(own, removed, at, metric, paper, factor):
    rows = own[own["study"] == at["study"]]
    kept = rows[rows["configuration"].map(removed).fillna("") == ""]
    found = stats.percentile(kept[metric], PERCENTILE[metric], n_draws=300) if len(kept) else stats.result()
    free = rows[metric].dropna() if len(rows) else pd.Series(dtype=float)
    theirs, why = _published(paper, at, metric, factor)
    why += _why_empty(own, rows, kept, metric, at, factor)
    used = kept[kept[metric].notna()] if len(kept) else kept
    recipe = dict(kind="percentile", metric=metric, study=at["study"], q=PERCENTILE[metric]) if len(used) else None
    return at | dict(
        metric=metric, statistic=f"quantile {PERCENTILE[metric]:g}", published=theirs, ours=found["effect"],
        difference=found["effect"] - theirs, low=found["low"], high=found["high"],
        ours_unfiltered=free.quantile(PERCENTILE[metric]) if len(free) else np.nan,
        n_configurations=len(used), n_removed=len(rows) - len(kept), n_drugs=_largest(used, "n_drugs"),
        n_cells=_largest(used, "n_cells"), reason="; ".join(w for w in why if w), recipe=recipe,
        members=list(used["configuration"]) if len(used) else None,
    )  # fmt: skip


def _largest(rows, name):
    return int(rows[name].max()) if len(rows) else 0


def _published(paper, at, metric, factor):
    """The paper's number for a cell of a table, with the sentences that belong to it."""
    level, note = published.published_level(factor, at["level"])
    match = paper[(paper["split"] == at["split"]) & (paper["level"] == level) & (paper["study"] == at["study"])]
    match = match[match["metric"] == metric]
    if match.empty:
        return np.nan, [note, "the paper prints no such number"]
    return float(match["value"].iloc[0]), [note, match["note"].iloc[0]]


def _why_empty(own, rows, kept, metric, at, factor):
    if own.empty:
        return [f"no run with {factor} = {at['level']} in this sweep"]
    if rows.empty:
        return [f"no test row of {at['study']}"]
    if kept.empty:
        return [f"all {len(rows)} configurations fall to the removal rule"]
    if kept[metric].notna().any():
        return []
    return list(dict.fromkeys(_reason_of(row, metric) for _, row in kept.iterrows()))[:1]


def _reason_of(row, metric):
    suffix = "_30" if metric.endswith("_30") else "_50"
    classification = metric.startswith(("balanced_accuracy", "mcc"))
    return (row.get(f"reason{suffix}") if classification else "") or row["reason"] or "no score"


def removed_by_configuration(merged, quantile=0.85):
    """Reason of removal of each configuration, from its score over all studies."""
    whole = merged[merged["study"] == "All"]
    return pd.Series(configurations.removal(whole, quantile).to_numpy(), index=whole["configuration"], dtype=object)


def removal_table(merged, removed):
    """How many configurations each part of the removal rule takes, by split and optimizer: failure is an outcome."""
    whole = merged[merged["study"] == "All"].assign(removed=lambda f: f["configuration"].map(removed))
    whole["removed"] = whole["removed"].replace("", "kept")
    counts = whole.groupby(["split", "optimizer", "removed"]).size().rename("n_configurations").reset_index()
    counts["share"] = counts["n_configurations"] / counts.groupby(["split", "optimizer"])["n_configurations"].transform(
        "sum"
    )
    return counts


def naive_scores(ledger):
    """Scores of the naive predictors and ridge by split, panel and study; those that were run, on the widest cohort.

    Returns
    -------
    DataFrame
        model, split, panel, study, the metrics, and `members`, the run ids behind each row.
    """
    parts = [pd.DataFrame(columns=["model", "split", "panel", "study", "members", *METRICS])]
    own = ledger.runs[ledger.runs["model"].isin(BASELINES)]
    for (split, panel, model), _ in own.groupby(["split", "panel", "model"], dropna=False):
        runs = _baseline_runs(ledger, model, split, panel)
        scored = configurations.pool_runs(ledger, runs).assign(model=model, panel=panel)
        parts.append(scored.assign(members=[list(runs["run_id"])] * len(scored)))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def naive_rows(naive, split, panel, metric_names=METRICS, studies=("All",)):
    """Rows of the naive predictors and ridge on the test rows of one split and panel."""
    part = naive[(naive["split"] == split) & (naive["panel"] == panel)]
    at = [(model, study, metric) for model in BASELINES for study in studies for metric in metric_names]
    present = set(part["model"])
    found = {key: own for key, own in part.groupby(["model", "study"])}
    rows = [(found.get((model, study), part.iloc[:0]), model, study, metric) for model, study, metric in at]
    return [_naive_row(own, model, split, panel, study, m) for own, model, study, m in rows if model in present]


def _baseline_runs(ledger, model, split, panel):
    """Runs of one baseline, one per fold, best by inner score where its settings differ; widest cohort."""
    runs = ledger.runs[(ledger.runs["model"] == model) & (ledger.runs["split"] == split)]
    runs = runs[runs["panel"] == panel] if panel else runs
    runs = configurations.real_features(runs)
    return configurations.choose(ledger, runs[runs["cohort"] == main_cohort(runs)])


def main_cohort(runs):
    """The widest cohort that was run."""
    present = set(runs["cohort"])
    return next((c for c in ("all", "top21", "top6") if c in present), next(iter(present), "all"))


def _naive_row(own, model, split, panel, study, metric):
    value = float(own[metric].iloc[0]) if len(own) else np.nan
    reason = "the paper prints no naive predictor"
    if len(own) == 0:
        reason += f"; no {model} run with rows of {study}"
    elif not np.isfinite(value):
        reason += f"; {_reason_of(own.iloc[0], metric)}"
    finite = np.isfinite(value)
    return dict(
        split=split, panel=panel, study=study, factor="naive", level=model, metric=metric, statistic="one predictor",
        published=np.nan, ours=value, difference=np.nan, low=np.nan, high=np.nan, ours_unfiltered=value,
        n_configurations=1 if len(own) else 0, n_removed=0, n_drugs=_largest(own, "n_drugs"),
        n_cells=_largest(own, "n_cells"), reason=reason,
        recipe=dict(kind="pool", metric=metric, study=study) if finite else None,
        members=own["members"].iloc[0] if finite else None,
    )  # fmt: skip


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
        pool = inner[(inner["split"] == "on_cell") & (inner["study"] == "All")].dropna(subset=metric)
        best = pool.loc[pool[metric].idxmax(), "configuration"] if len(pool) else None
        own = merged[merged["configuration"] == best]
        chosen.append(own[own["study"] == "All"].assign(level=level))
        for study in dict.fromkeys(["All", *paper["study"], *own["study"]]):
            at = dict(split="on_cell", panel=_first(own, "panel"), study=study, factor="model", level=level)
            rows += [_one_model_row(own, at, m, paper) for m in METRICS]
    panel = _first(pd.concat(chosen), "panel")
    rows += naive_rows(naive, "on_cell", panel, METRICS, ["All", *sorted(set(merged["study"]) - {"All"})])
    return pd.DataFrame(rows, columns=COLUMNS), pd.concat(chosen)[["level", *configurations.SPEC]]


def _first(frame, name):
    return frame[name].iloc[0] if len(frame) else ""


def _one_model_row(own, at, metric, paper):
    row = own[own["study"] == at["study"]]
    value = float(row[metric].iloc[0]) if len(row) else np.nan
    theirs, why = _published(paper, at, metric, "model")
    if not np.isfinite(value):
        why = [
            *why,
            _reason_of(row.iloc[0], metric) if len(row) else "no configuration has an inner score and such rows",
        ]
    finite = np.isfinite(value)
    return at | dict(
        metric=metric, statistic="one model", published=theirs, ours=value, difference=value - theirs, low=np.nan,
        high=np.nan, ours_unfiltered=value, n_configurations=len(row), n_removed=0, n_drugs=_largest(row, "n_drugs"),
        n_cells=_largest(row, "n_cells"), reason="; ".join(w for w in why if w),
        recipe=dict(kind="percentile", metric=metric, study=at["study"], q=0.5) if finite else None,
        members=list(own["configuration"].unique()) if finite else None,
    )  # fmt: skip


def fit_table(fits):
    """Table 7: quality and parameters of the Hill fits of screened compounds by study; median and quartiles beside.

    Returns
    -------
    DataFrame
        study, quantity, statistic, published, ours, difference, n_curves, n_not_fitted, reason, recipe, members.
    """
    paper, rows, fits = published.values("table7"), [], screened(fits)
    for study in [s for s in paper["study"].unique()]:
        own = fits[fits["study"] == study]
        for quantity in ("r2fit", "einf", "hs"):
            values = own[quantity].replace([np.inf, -np.inf], np.nan).dropna()
            for statistic in ("mean", "sd", "median", "q25", "q75"):
                rows.append(_fit_row(paper, own, values, study, quantity, statistic))
    return pd.DataFrame(rows)


def _fit_row(paper, own, values, study, quantity, statistic):
    quantile = dict(median=0.5, q25=0.25, q75=0.75).get(statistic)
    ours = values.quantile(quantile) if quantile else {"mean": values.mean, "sd": values.std}[statistic]()
    match = paper[(paper["study"] == study) & (paper["metric"] == quantity) & (paper["statistic"] == statistic)]
    theirs = float(match["value"].iloc[0]) if len(match) else np.nan
    why = [match["note"].iloc[0]] if len(match) else [f"the paper prints no {statistic}"]
    why += [] if len(values) > 1 else [f"{len(values)} fitted curve(s) of {study}"]
    recipe = dict(kind="column", file="fits.parquet", column=quantity, statistic=statistic, study=study)
    return dict(
        study=study, quantity=quantity, statistic=statistic, published=theirs, ours=ours, difference=ours - theirs,
        n_curves=len(values), n_not_fitted=len(own) - len(values), reason="; ".join(w for w in why if w),
        recipe=recipe if len(values) else None, members=[] if len(values) else None,
    )  # fmt: skip


def literal_tests(merged, removed):
    """The paper's tests (PAPER rows D4 to D6) on kept configurations: published p, ours, and the effect size.

    Returns
    -------
    DataFrame
        split, panel, factor, test, metric, relation, published, ours, effect (difference of means or eta squared), n,
        reason.
    """
    whole = merged[(merged["study"] == "All") & (merged["configuration"].map(removed) == "")]
    rows = []
    for line in published.values("tests").itertuples():
        part, panel = _panel(whole[whole["split"] == line.split], line.factor)
        for metric in METRICS if line.metric == "any" else (line.metric,):
            found = _literal(part, line, metric)
            row = dict(split=line.split, panel=panel, factor=line.factor, test=line.level, metric=metric)
            row |= dict(relation=line.relation, published=line.value, ours=found["p"], effect=found["effect"])
            rows.append(row | dict(n=found["n"], reason="; ".join(r for r in (found["reason"], line.note) if r)))
    return pd.DataFrame(rows)


def _literal(part, line, metric):
    if part.empty:
        return stats.result(reason="no kept configuration")
    names = part[line.factor].astype(str).map(lambda level: published.published_level(line.factor, level)[0])
    if line.level == "t-test":
        return stats.t_test(part.loc[names == "none", metric], part.loc[names == "counts", metric])
    if line.level == "ANOVA":
        return stats.anova(part[metric], names)
    wanted = set(line.level.removeprefix("Tukey HSD: ").split(" vs "))
    pairs = stats.tukey_hsd(part[metric], names)
    match = pairs[[{a, b} == wanted for a, b in zip(pairs["level_a"], pairs["level_b"], strict=True)]]
    if match.empty:
        return stats.result(
            n=len(part), reason=pairs["reason"].iloc[0] or f"no run with {' and '.join(sorted(wanted))}"
        )
    return stats.result(**match.iloc[0][["effect", "low", "high", "p", "reason"]], n=len(part), unit="configuration")


def snp_by_study(merged, removed, metric_names=("r2", "balanced_accuracy")):
    """Figure 3: 98th percentile and best score with and without SNPs, by study, on kept configurations.

    Returns
    -------
    DataFrame
        split, panel, study, level, metric, p98, best, n_configurations, n_drugs, n_cells, reason, recipe, members.
    """
    rows, kept = [], merged[merged["configuration"].map(removed).fillna("") == ""]
    for split, part in kept.groupby("split"):
        part, panel = _panel(part, "snp")
        for (study, level), own in part.groupby(["study", "snp"], sort=False):
            for metric in metric_names:
                values = own[metric].dropna()
                row = dict(split=split, panel=panel, study=study, level=level, metric=metric)
                row |= dict(p98=values.quantile(0.98), best=values.max(), n_configurations=len(values))
                row |= dict(n_drugs=_largest(own, "n_drugs"), n_cells=_largest(own, "n_cells"))
                reason = "" if len(values) else _reason_of(own.iloc[0], metric)
                recipe = dict(kind="percentile", metric=metric, study=study, q=0.98) if len(values) else None
                rows.append(row | dict(reason=reason, recipe=recipe, members=list(own["configuration"])))
    columns = "split panel study level metric p98 best n_configurations n_drugs n_cells reason recipe members".split()
    return pd.DataFrame(rows, columns=columns)


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
    types = cell_types.dropna(subset=["cancer_type"]).drop_duplicates("cell_id").set_index("cell_id")["cancer_type"]
    seen = pairs[["study", "cell_id"]].drop_duplicates().assign(cancer_type=lambda f: f["cell_id"].map(types))
    top = pairs_of_lines.top_types(seen.drop_duplicates("cell_id"), n_types)
    counts = seen[seen["cancer_type"].isin(top)].groupby(["cancer_type", "study"]).size().unstack(fill_value=0)
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
    shown = frame[[c for c in (columns or frame.columns) if c in frame and (columns or c not in hidden)]]
    return shown.map(lambda value: _text(value, digits))


def _text(value, digits):
    if pd.isna(value) or value in (np.inf, -np.inf):
        return "–"
    if not isinstance(value, float):
        return value
    return f"{value:.3g}" if 0 < abs(value) < 10**-digits else f"{value:.{digits}f}"
