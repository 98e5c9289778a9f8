"""A line on each claim of the paper: an effect on R2, its interval, its n, and what may be said of it.

Every sentence is made from the tables of notebook 06. "Supported" needs an interval over folds that excludes 0 on the
claim's side after Holm's adjustment; a claim that something does *not* matter is never shown by an effect that cannot
be told from 0, so such a line prints how large an effect the interval still allows.
"""

import numpy as np
import pandas as pd

from lib import paper
from lib.analysis import importances, percentiles
from lib.analysis.percentiles import SPLIT_NAMES

SCORES = {
    "r2": "R²",
    "npearson": "normalised r",
}  # r after the effects of drugs and lines: what features can add
COMPARED, NAIVE = (
    ("All", "CCLE", "GDSC"),
    ("mean_effects", "ridge"),
)  # pooled, and the studies with most drugs
NOT_TESTED = "not tested: this sweep has one level only, or no estimable contrast"


def verdicts(contrasts, joint, best, genes=None, averaged=None):
    """Our line on each of the paper's five claims, and on networks beside mean effects and ridge.

    Parameters
    ----------
    contrasts : DataFrame
        `contrasts.contrast_table`, null controls among its factors.
    joint : DataFrame
        Rows of `importances.jointly` with a `split` column.
    best : DataFrame
        `headline.headline`.
    genes : DataFrame, optional
        `contrast_table` of the gene sets against 128 random genes.
    averaged : DataFrame, optional
        `quality.table`.

    Returns
    -------
    DataFrame
        claim, verdict: what may be said, a colon, then the effects parted by "; " ("not tested" where the sweep has no
        such contrast).
    """
    genes = contrasts if genes is None or genes.empty else genes
    lines = {
        "SNPs help": _helps(contrasts, "snp", "counts", "permuted_snp"),
        "scaling and ComBat do not matter": _no_matter(contrasts, "scaling"),
        "the gene set does not matter, beyond 128 random genes": _gene_sets(genes, contrasts),
        "drug descriptors matter on unseen drugs only": _helps(
            contrasts, "drug_block", None, "permuted_drugs"
        ),
        "hyper-parameters outweigh features": _outweigh(joint),
        "one network, chosen by inner score, beats mean effects and ridge": _beaten(best),
        "networks averaged, chosen by inner score, beat mean effects and ridge": _averages(
            averaged
        ),
    }
    return pd.DataFrame(lines.items(), columns=["claim", "verdict"])


def said(row):
    """An effect with its interval and n, and how sure it is."""
    effect, low, high = row["effect"], row["low"], row["high"]
    n = f"{int(row['n_matched'])} matched pairs, {int(row['n_folds'])} folds" if row.get("n_matched", 0) else (
        f"{int(row['n_folds'])} folds")  # fmt: skip
    if not np.isfinite(low):
        return f"{effect:+.3f} ({n}, no interval)"
    adjusted, plain = row.get("p_holm", np.nan) < 0.05, low > 0 or high < 0
    before = "differs from 0 only before Holm's adjustment" if plain else "cannot be told from 0"
    return f"{effect:+.3f} ({low:+.3f} to {high:+.3f}, {n}), {'differs from 0' if adjusted else before}"


def _rows(contrasts, factor, metric="r2"):
    if not {"factor", "metric", "effect"} <= set(contrasts):
        return pd.DataFrame(columns=["split", "level"])
    return contrasts[(contrasts["factor"] == factor) & (contrasts["metric"] == metric)].dropna(
        subset="effect"
    )


def _by_split(rows):
    order = [s for s in SPLIT_NAMES if s in set(rows["split"])]
    return [(SPLIT_NAMES[split], rows[rows["split"] == split]) for split in order]


def _turned(row):
    """A null control's contrast the other way round: the real features against the control."""
    return row | dict(effect=-row["effect"], low=-row["high"], high=-row["low"])


def _helps(contrasts, factor, level, null):
    """Features against their absence (or their alternatives), and against the same features shuffled, by two scores."""
    parts, better = [], {}
    for metric, label in SCORES.items():
        plain, shuffled = _rows(contrasts, factor, metric), _rows(contrasts, "null_control", metric)
        shuffled = shuffled[shuffled["level"] == null]
        plain = (
            plain[plain["level"] == level] if level else plain.iloc[: 0 if len(shuffled) else None]
        )
        for name, own in _by_split(pd.concat([plain, shuffled])):
            rows = [
                _turned(r) if r["factor"] == "null_control" else r for r in own.to_dict("records")
            ]
            better.setdefault(name, []).extend(_direction(r) for r in rows)
            parts.append(
                f"{name}, {label}: {' and '.join(_told(r) for r in own.to_dict('records'))}"
            )
    return f"{_judged(better)}: {'; '.join(parts)}" if parts else NOT_TESTED


def _direction(row):
    """1 or -1 where an effect differs from 0 after Holm's adjustment, else 0."""
    return int(np.sign(row["effect"])) if row.get("p_holm", np.nan) < 0.05 else 0


def _judged(better):
    """In a few words, what each split says about something that should help."""
    words = []
    for name, signs in better.items():
        word = "no effect can be told from 0" if not any(signs) else "helps" if min(signs) >= 0 else (
            "hurts" if max(signs) <= 0 else "helps by one comparison and hurts by another")  # fmt: skip
        words.append(f"{name} {word}")
    return ", ".join(words)


def _told(row):
    if row["factor"] == "null_control":
        return f"real − shuffled {said(_turned(row))}"
    return f"{row['level']} − {row['reference']} {said(row)}"


def _no_matter(contrasts, factor):
    """The largest effect of a factor in each split, with all that the intervals still allow, by two scores."""
    parts, told = [], {}
    for metric, label in SCORES.items():
        for name, own in _by_split(_rows(contrasts, factor, metric)):
            top = own.loc[own["effect"].abs().idxmax()].to_dict()
            allowed = own[["low", "high"]].abs().max(axis=None)
            more = f", ±{allowed:.3f} not excluded" if np.isfinite(allowed) else ""
            of = f" of {len(own)}" if len(own) > 1 else ""
            told.setdefault(name, []).extend(_direction(row) for row in own.to_dict("records"))
            parts.append(f"{name}, {label}: largest{of} {_told(top)}{more}")
    words = [
        f"{name} {'it matters' if any(f) else 'no effect can be told from 0'}"
        for name, f in told.items()
    ]
    return f"{', '.join(words)}: {'; '.join(parts)}" if parts else NOT_TESTED


def _gene_sets(genes, contrasts):
    """Sets of more than 128 genes against 128 random ones, and all sets against shuffled genes."""
    small = [f"random_{n}" for n in (32, 64)]
    large = genes[~genes["level"].isin(small)] if "level" in genes else genes
    sets, shuffled = (
        _no_matter(large, "rnaseq_set"),
        _helps(contrasts, "none", "none", "permuted_genes"),
    )
    if NOT_TESTED in (sets, shuffled):
        return sets if shuffled == NOT_TESTED else shuffled
    judged, _, effects = sets.partition(": ")
    judged_too, _, more = shuffled.partition(": ")
    return f"{judged} (any genes against shuffled ones, {judged_too}): {effects}; {more}"


def _outweigh(joint):
    parts, judged = [], []
    known = joint.dropna(subset=["importance"]) if "importance" in joint else joint.iloc[:0]
    for name, own in _by_split(known) if len(known) else []:
        at = own.set_index("factor")
        if not {importances.TRAINING, importances.FEATURES} <= set(at.index):
            parts.append(
                f"{name}: {'features' if importances.FEATURES in at.index else 'settings'} alone vary"
            )
            continue
        two = [at.loc[group] for group in (importances.TRAINING, importances.FEATURES)]
        told = [f"{r['importance']:.2f} ({r['low']:.2f} to {r['high']:.2f})" for r in two]
        judged.append(f"{name} {_heavier(*two)}")
        n = f"{int(two[0]['n'])} configurations, tree R² {two[0]['meta_r2']:.2f} on those left out"
        parts.append(
            f"{name}, R² of the tree: shuffling settings costs {told[0]}, features {told[1]} ({n})"
        )
    said = f"{', '.join(judged)}: " if judged else ""
    return said + "; ".join(parts) if parts else "not tested: too few configurations"


def _heavier(settings, features):
    if settings["low"] > features["high"]:
        return "settings outweigh features"
    return (
        "features outweigh settings"
        if features["low"] > settings["high"]
        else "which weighs more cannot be told"
    )


def _beaten(best):
    if best.empty:
        return "not tested: no scored network"
    parts, judged = [], []
    for split, own in best[best["study"] == "All"].groupby("split", sort=False):
        r2 = own.set_index("predictor")["r2"]
        network, floor = r2.iloc[0], r2.drop(r2.index[0]).dropna()
        name = SPLIT_NAMES.get(split, split)
        if floor.empty or not np.isfinite(network):
            parts.append(f"{name}: {own['reason'].iloc[0] or 'no score'}")
            continue
        n = (
            f"{int(own['n_cells'].iloc[0])} lines, {int(own['n_drugs'].iloc[0])} drugs"
            if "n_cells" in own
            else ""
        )
        judged.append(f"{name} {'yes' if network > floor.max() else 'no'}")
        parts.append(
            f"{name}: R² {network:.3f}, best of the others {floor.max():.3f} ({floor.idxmax()}, {n})"
        )
    return (f"{', '.join(judged)}: " if judged else "") + "; ".join(parts)


def _averages(quality):
    """The same for the average of the best networks, pooled and on the two studies with most drugs."""
    if quality is None or quality.empty:
        return "not tested: no tuned networks"
    judged, parts = [], []
    for (split, study), own in quality[quality["study"].isin(COMPARED)].groupby(
        ["split", "study"], sort=False
    ):
        r2 = own.set_index("predictor")["r2"].dropna()
        ours, others = (
            r2[r2.index.str.fullmatch(r"best \d+ networks, averaged")],
            r2[r2.index.isin(NAIVE)],
        )
        if ours.empty or others.empty:
            continue
        name = f"{SPLIT_NAMES.get(split, split)}, {study}"
        judged.append(f"{name} {'yes' if ours.iloc[0] > others.max() else 'no'}")
        parts.append(f"{name}: R² {ours.iloc[0]:.3f}, {others.idxmax()} {others.max():.3f}")
    return f"{', '.join(judged)}: {'; '.join(parts)}" if judged else "not tested: no score of both"


def paper_claims(best):
    """The paper's headline claims (its section 3) beside the best networks here, chosen without test rows.

    Returns
    -------
    DataFrame
        split, metric, published (a lower bound in the paper), ours, difference, n_drugs, n_cells, reason, recipe,
        members.
    """
    rows = []
    lines = paper.values("claims")
    at_30 = lines[lines["metric"] == "balanced_accuracy_30"]  # printed without a split: beside both
    both = [at_30.assign(split=split) for split in percentiles.SPLITS]
    for line in pd.concat([lines[lines["level"] == "best network"], *both]).itertuples():
        own = best[(best["split"] == line.split) & (best["study"] == "All")] if len(best) else best
        own = own[own["predictor"].str.startswith("network")] if len(own) else own
        value = float(own[line.metric].iloc[0]) if len(own) else np.nan
        known = np.isfinite(value)
        reason = "" if known else (own["reason"].iloc[0] if len(own) else "no scored network")
        row = dict(split=line.split, metric=line.metric, published=line.value, ours=value)
        row |= {name: int(own[name].iloc[0]) if len(own) else 0 for name in ("n_drugs", "n_cells")}
        row |= dict(recipe=dict(kind="pool", metric=line.metric, study="All") if known else None)
        members = own["members"].iloc[0] if known and "members" in own else None
        rows.append(row | dict(difference=value - line.value, reason=reason, members=members))
    return pd.DataFrame(rows)
