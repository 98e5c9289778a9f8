"""The paper's claims beside this run: an effect, its interval, its n, and one word on the claim.

A claim is "supported" or "contradicted" only where an interval over folds excludes 0 after Holm's
adjustment. A claim that something does *not* matter is never supported by an effect that cannot be
told from 0: it stays "open", and the interval says how large an effect is still possible. The
sentences stand in notebook 06.
"""

import numpy as np
import pandas as pd

from lib import paper
from lib.analysis import importances, percentiles
from lib.analysis.headline import NETWORK
from lib.sweep.baselines import BASELINES

SUPPORTED, CONTRADICTED, OPEN, UNTESTED = "supported", "contradicted", "open", "untested"
CLAIMS = {
    "snp": "SNPs help",
    "snp_shuffled": "SNPs help more than the same SNPs shuffled",
    "scaling": "scaling and ComBat do not matter",
    "gene_set": "the gene set does not matter, beyond 128 random genes",
    "genes_shuffled": "genes help more than the same genes shuffled",
    "drug_block": "the choice of drug descriptors matters on unseen drugs only",
    "drugs_shuffled": "drug descriptors help more than the same descriptors shuffled",
    "settings": "hyper-parameters outweigh features",
    "one": "one network, chosen by inner score, beats mean effects and ridge",
    "averaged": "networks averaged, chosen by inner score, beat mean effects and ridge",
}
COLUMNS = "claim split study score compared effect low high p_holm n n_of verdict note".split()
TESTED = ["split", "factor", "level", "reference", "metric", "effect", "low", "high", "p_holm"]
TESTED += ["n_matched", "reason"]
SCORES = ("r2", "npearson")  # normalised r leaves the effects of drugs and lines out
COMPARED = ("All", "CCLE", "GDSC")  # pooled, and the studies with most drugs
SMALL = ("random_32", "random_64")  # the paper's claim is about more than 128 genes
CHOSEN = rf"{NETWORK}|best \d+ networks, averaged"


def verdicts(contrasts, joint, best, genes, averaged):
    """Our verdict on each claim of CLAIMS.

    Parameters
    ----------
    contrasts : DataFrame
        `contrasts.contrast_table`, null controls among its factors.
    joint : DataFrame
        Rows of `importances.jointly` with a `split` column.
    best : DataFrame
        `headline.headline`.
    genes : DataFrame
        `contrast_table` of the gene sets against 128 random genes; where it is empty `contrasts`
        serves.
    averaged : DataFrame
        `ensembles.table`.

    Returns
    -------
    DataFrame
        claim, split, study, score, compared (two levels or predictors), effect (a difference of
        scores), low, high, p_holm, n, n_of (what n counts), verdict (one word), note. Each claim
        has a row for both splits of the paper; it is "untested" where the sweep has no such
        comparison.
    """
    contrasts = contrasts.reindex(columns=TESTED)
    genes = genes.reindex(columns=TESTED)
    sets = genes if genes["effect"].notna().any() else contrasts
    lines = dict(
        snp=_tested(contrasts, "snp", "counts"),
        snp_shuffled=_tested(contrasts, "null_control", "permuted_snp"),
        scaling=_tested(contrasts, "scaling"),
        gene_set=_tested(sets[~sets["level"].isin(SMALL)], "rnaseq_set"),
        genes_shuffled=_tested(contrasts, "null_control", "permuted_genes"),
        drug_block=_tested(contrasts, "drug_block"),
        drugs_shuffled=_tested(contrasts, "null_control", "permuted_drugs"),
        settings=_settings_and_features(joint),
        one=_beaten(best[best["study"] == "All"]),
        averaged=_beaten(averaged[averaged["study"].isin(COMPARED)]),
    )
    rows = []
    for claim, found in lines.items():
        rows += [dict(row, claim=CLAIMS[claim]) for row in found]
        for split in percentiles.SPLITS:
            if split not in [row["split"] for row in found]:
                row = dict(claim=CLAIMS[claim], split=split, verdict=UNTESTED)
                rows.append(dict(row, note="this sweep has no such comparison"))
    return pd.DataFrame(rows, columns=COLUMNS)


def _tested(contrasts, factor, level=None):
    """Contrasts of a factor as lines; null controls are turned into real less shuffled."""
    own = contrasts.dropna(subset="effect")
    own = own[(own["factor"] == factor) & own["metric"].isin(SCORES)]
    if level is not None:
        own = own[own["level"] == level]
    own = own.assign(compared=own["level"].astype(str) + " − " + own["reference"].astype(str))
    supports = own["effect"] > 0
    if factor == "null_control":
        supports = own["effect"] < 0
        turned = dict(effect=-own["effect"], low=-own["high"], high=-own["low"])
        own = own.assign(compared="real − shuffled", **turned)
    elif factor in ("scaling", "rnaseq_set"):  # the paper says that these do not matter
        supports = False
    elif factor == "drug_block":
        supports = own["split"] == "on_drug"
    word = np.where(supports, SUPPORTED, CONTRADICTED)
    word = np.where(own["p_holm"] < 0.05, word, OPEN)
    own = own.rename(columns={"metric": "score", "n_matched": "n", "reason": "note"})
    return own.assign(study="All", n_of="matched pairs", verdict=word).to_dict("records")


def _settings_and_features(joint):
    """What shuffling all training settings, and all features, costs a tree that predicts R²."""
    lines = []
    for _, own in joint.dropna(subset="importance").groupby("split"):
        own = own.assign(compared=own["factor"] + " shuffled", score="R² of a tree")
        own = own.rename(columns={"importance": "effect"}).set_index("factor")
        sides = own.reindex([importances.TRAINING, importances.FEATURES])
        settings, features = sides[["low", "high"]].to_dict("records")
        word = UNTESTED if sides["effect"].isna().any() else OPEN
        if settings["low"] > features["high"]:
            word = SUPPORTED
        elif features["low"] > settings["high"]:
            word = CONTRADICTED
        lines += own.assign(verdict=word, study="All", n_of="configurations").to_dict("records")
    return lines


def _beaten(scores):
    """R² of the chosen networks less that of the best baseline, on the same rows."""
    lines = []
    for (split, study), own in scores.groupby(["split", "study"], sort=False):
        known = own.dropna(subset="r2").set_index("predictor")
        networks = known[known.index.str.fullmatch(CHOSEN)]
        others = known[known.index.isin(BASELINES)]
        line = dict(split=split, study=study, score="r2", n_of="test rows")
        if networks.empty or others.empty:
            lines.append(dict(line, verdict=UNTESTED, note=own["reason"].iloc[0]))
            continue
        ours = networks.iloc[0]
        theirs = others.loc[others["r2"].idxmax()]
        line |= dict(compared=f"network − {theirs.name}", effect=ours["r2"] - theirs["r2"])
        line |= dict(n=ours["n"], note=f"R² {ours['r2']:.3f} and {theirs['r2']:.3f}")
        lines.append(dict(line, verdict=SUPPORTED if line["effect"] > 0 else CONTRADICTED))
    return lines


def sayings(verdicts, split):
    """What a split says of R² under each claim, in a few words for a sentence: the largest effect.

    Parameters
    ----------
    verdicts : DataFrame
        `verdicts`.
    split : str

    Returns
    -------
    dict of str to str
        By key of CLAIMS.
    """
    said = {}
    own = verdicts[(verdicts["split"] == split) & (verdicts["score"] != "npearson")]
    own = own[~own["study"].isin(COMPARED[1:])]
    for key, claim in CLAIMS.items():
        lines = own[own["claim"] == claim].sort_values("effect", key=np.abs, ascending=False)
        row = lines.iloc[0]
        interval = f" ({row['low']:+.3f} to {row['high']:+.3f})" if row["low"] < row["high"] else ""
        said[key] = f"{row['compared']} {row['effect']:+.3f}{interval}, {row['verdict']}"
        if row["verdict"] == UNTESTED:
            said[key] = UNTESTED
    return said


def paper_claims(best):
    """The paper's best networks (its section 3) beside ours, chosen without test rows.

    Parameters
    ----------
    best : DataFrame
        `headline.headline`.

    Returns
    -------
    DataFrame
        split, metric, published (a lower bound in the paper), ours, difference, n_drugs, n_cells,
        reason, recipe, members.
    """
    printed = paper.values("claims")
    at_30 = printed[printed["metric"] == "balanced_accuracy_30"]  # without a split: beside both
    both = [at_30.assign(split=split) for split in percentiles.SPLITS]
    printed = pd.concat([printed[printed["level"] == "best network"], *both])
    networks = best[(best["study"] == "All") & (best["predictor"] == NETWORK)].set_index("split")
    nothing = pd.Series(dict(n_drugs=0, n_cells=0, reason="no scored network", members=None))
    rows = []
    for line in printed.itertuples():
        found = networks.loc[line.split] if line.split in networks.index else nothing
        ours = found.get(line.metric, np.nan)
        row = dict(split=line.split, metric=line.metric, published=line.value, ours=ours)
        row |= dict(difference=ours - line.value, reason=found["reason"], recipe=None, members=None)
        row |= dict(n_drugs=found["n_drugs"], n_cells=found["n_cells"])
        if np.isfinite(ours):
            recipe = dict(kind="pool", metric=line.metric, study="All")
            row |= dict(reason="", recipe=recipe, members=found["members"])
        rows.append(row)
    return pd.DataFrame(rows)
