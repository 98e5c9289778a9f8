"""The paper's claims beside this run: one verdict, one sentence and its numbers for each comparison.

The effect is in gain over the mean effects, the share of their squared error. Four verdicts: the
feature *helps* or *hurts* (the effect differs from 0 after Holm's adjustment), it has *no effect
larger than* the smallest effect of interest (the whole interval lies within it; this comes first),
or the question is *not settled*.
"""

import numpy as np
import pandas as pd

from lib import paper
from lib.analysis import ensembles, importances, percentiles, statistics
from lib.analysis.headline import NETWORK
from lib.paper import SPLIT_NAMES

HELPS, HURTS, NOT_SETTLED, UNTESTED = "helps", "hurts", "not settled", "untested"
# key: what the paper says, the factor, the levels (a pattern)
CLAIMS = {
    "snp": ("SNPs help", "snp", "counts"),
    "snp_shuffled": ("SNPs help more than the same SNPs shuffled", "null_control", "permuted_snp"),
    "scaling": ("scaling and ComBat do not matter", "scaling", ".*"),
    "gene_set": (
        "the gene set does not matter, beyond 128 random genes",
        "rnaseq_set",
        r"(?!random_(32|64)$).*",
    ),
    "genes_shuffled": (
        "genes help more than the same genes shuffled",
        "null_control",
        "permuted_genes",
    ),
    "drug_block": (
        "the choice of drug descriptors matters on unseen drugs only",
        "drug_block",
        ".*",
    ),
    "drugs_shuffled": (
        "drug descriptors help more than the same descriptors shuffled",
        "null_control",
        "permuted_drugs",
    ),
}
FACTORS = ("snp", "scaling", "rnaseq_set", "drug_block", "null_control")
SETTINGS = "hyper-parameters outweigh features"
ONE = "one network, chosen by inner score, beats mean effects and ridge"
AVERAGED = "networks averaged, chosen by inner score, beat mean effects and ridge"
ARMS = {"paper": "By the paper's recipe", "sound": "By the sound recipe"}
WORDS = {
    ("snp", "none"): "without SNPs",
    ("snp", "counts"): "with SNP counts",
    ("scaling", "none"): "on unscaled expression",
    ("scaling", "source"): "on expression scaled by source",
    ("scaling", "combat"): "on ComBat expression",
    ("rnaseq_set", "lincs1000"): "on landmark genes",
    ("rnaseq_set", "oncogenes_lincs1000"): "on landmark genes and oncogenes",
    ("rnaseq_set", "all"): "on all genes",
    ("drug_block", "mordred"): "with Mordred descriptors",
    ("drug_block", "rdkit_ecfp"): "with RDKit descriptors and ECFP",
    ("drug_block", "mordred+rdkit_ecfp"): "with Mordred and RDKit descriptors and ECFP",
}
SENTENCES = {
    HELPS: "{arm}, {one} predicted {where} better than {other}.",
    HURTS: "{arm}, {one} predicted {where} worse than {other}.",
    "no effect": "{arm}, {one} predicted {where} as well as {other}.",
    NOT_SETTLED: "{arm}, it is not settled whether {one} predicted {where} better than {other}.",
    UNTESTED: "This sweep does not make this comparison on {where}.",
    "settings": "Training settings decided the score on {where} more than features did.",
    "features": "Features decided the score on {where} more than training settings did.",
}
COLUMNS = (
    "claim sentence verdict arm split study compared gain low high p_holm npearson npearson_low "
    "npearson_high interval n n_of note"
).split()
INTERVAL = ["effect", "low", "high"]


def verdicts(contrasts, joint, averaged, margin):
    """A verdict on each comparison under each claim of the paper.

    Parameters
    ----------
    contrasts : DataFrame
        `contrasts.contrast_table` of FACTORS, gene sets against 128 random genes.
    joint : DataFrame
        Rows of `importances.jointly` with a `split` column.
    averaged : DataFrame
        `ensembles.table`.
    margin : float
        The smallest effect of interest [gain].

    Returns
    -------
    DataFrame
        COLUMNS: claim, a sentence, the verdict, arm, split and study, what is compared, the effect
        in gain and in normalised r with their intervals, Holm's p (family: all comparisons in gain
        of one arm, split and study), n and what it counts. Each claim has a row for both splits of
        the paper; it is "untested" where the sweep has no such comparison.
    """
    rows = [_tested(contrasts, *claim) for claim in CLAIMS.values()]
    rows += [_beaten(averaged, ONE, ensembles.BEST), _beaten(averaged, AVERAGED, "best .*averaged")]
    rows = [part for part in rows if len(part)]
    table = pd.concat(rows) if rows else pd.DataFrame(columns=[*COLUMNS, "one", "other", "p"])
    table["p_holm"] = table.groupby(["arm", "split", "study"])["p"].transform(statistics.holm)
    table["verdict"] = [_verdict(row, margin) for row in table.itertuples()]
    table = pd.concat([table, *_settings_and_features(joint)], ignore_index=True)
    table = _with_untested(table)
    table["sentence"] = [_sentence(row) for row in table.to_dict("records")]
    table["compared"] = table["one"] + " − " + table["other"]
    return table.reindex(columns=COLUMNS)


def _tested(contrasts, claim, factor, levels):
    """Contrasts of a factor as rows; null controls are turned into real less shuffled."""
    own = contrasts[
        (contrasts["factor"] == factor) & contrasts["metric"].isin(["gain", "npearson"])
    ]
    own = own[own["level"].astype(str).str.fullmatch(levels)].dropna(subset="effect")
    if factor == "null_control":
        own = own.assign(effect=-own["effect"], low=-own["high"], high=-own["low"])
    keys = ["arm", "split", "study", "level", "reference"]
    wide = own[own["metric"] == "npearson"].set_index(keys)[INTERVAL]
    wide.columns = ["npearson", "npearson_low", "npearson_high"]
    own = own[own["metric"] == "gain"].join(wide, on=keys)
    own["one"] = [_words(factor, level) for level in own["level"]]
    own["other"] = [_words(factor, level) for level in own["reference"]]
    if factor == "null_control":
        kind = {"genes": "genes", "snp": "SNPs", "drugs": "descriptors"}[levels.split("_")[1]]
        own[["one", "other"]] = f"networks with real {kind}", f"networks with shuffled {kind}"
    own = own.rename(columns={"effect": "gain", "n_units": "n", "reason": "note"})
    return own.assign(claim=claim, n_of=own["interval"])


def _words(factor, level):
    """A level as a reader says it."""
    text = WORDS.get((factor, level))
    if text is None and level.startswith("random_"):
        text = f"on {level.removeprefix('random_')} random genes"
    if text is None:
        text = f"on {level}" if factor == "rnaseq_set" else f"with {level}"
    return f"networks {text}"


def _verdict(row, margin):
    if -margin < row.low and row.high < margin:
        return f"no effect larger than {margin:g}"
    if row.p_holm < 0.05:
        return HELPS if row.gain > 0 else HURTS
    return NOT_SETTLED


def _beaten(averaged, claim, predictor):
    """Gain of chosen networks less that of the best baseline, on the same rows."""
    keys = ["arm", "split", "study"]
    own = averaged[averaged["predictor"].str.fullmatch(predictor)].dropna(subset="over")
    ridge = averaged[averaged["predictor"] == "ridge"].set_index(keys)["gain"].rename("ridge")
    own = own.join(ridge, on=keys)
    unkept = (own["baseline"] != "ridge") & (own["ridge"] > own["gain"] - own["over"])
    own["over"] = own["over"].where(~unkept, own["gain"] - own["ridge"])
    own.loc[unkept, ["over_low", "over_high", "over_p"]] = np.nan
    own.loc[unkept, "reason"] = "no interval: the predictions of ridge were not kept"
    names = {
        "over": "gain",
        "over_low": "low",
        "over_high": "high",
        "over_p": "p",
        "reason": "note",
    }
    own = own.drop(columns=["gain", "npearson"]).rename(columns=names)
    count = own["predictor"].str.removesuffix(", averaged")
    own["one"] = "the " + count.where(count == own["predictor"], "average of the " + count)
    own["other"] = own["baseline"].mask(unkept, "ridge").replace("mean_effects", "the mean effects")
    return own.assign(claim=claim, n=own["n_units"], interval="units", n_of="lines or drugs")


def _settings_and_features(joint):
    """What shuffling all training settings, and all features, costs a tree that predicts R²."""
    for split, own in joint.dropna(subset="importance").groupby("split"):
        sides = own.set_index("factor").reindex([importances.TRAINING, importances.FEATURES])
        settings, features = sides[["importance", "low", "high"]].to_dict("records")
        row = dict(claim=SETTINGS, split=split, study="All", arm="paper", n=own["n"].max())
        row |= dict(n_of="configurations", one="settings", other="features")
        row |= dict(verdict=NOT_SETTLED, note="importance of each for R², by a tree")
        if settings["low"] > features["high"]:
            row["verdict"] = "settings"
        elif features["low"] > settings["high"]:
            row["verdict"] = "features"
        yield pd.DataFrame([row])


def _with_untested(table):
    """A row for each claim, arm and split of the paper that has none."""
    claims = [*(claim for claim, _, _ in CLAIMS.values()), SETTINGS, ONE, AVERAGED]
    arms = sorted(set(table["arm"])) or ["paper"]
    index = pd.MultiIndex.from_product([claims, arms, percentiles.SPLITS])
    wanted = pd.DataFrame(list(index), columns=["claim", "arm", "split"])
    note = "this sweep has no such comparison"
    wanted = wanted.assign(verdict=UNTESTED, study="All", note=note)
    missing = wanted[~index.isin(pd.MultiIndex.from_frame(table[["claim", "arm", "split"]]))]
    order = {claim: at for at, claim in enumerate(claims)}
    table = pd.concat([table, missing], ignore_index=True)
    return table.sort_values("claim", key=lambda own: own.map(order), kind="stable")


def _sentence(row):
    where = SPLIT_NAMES[row["split"]]
    if row["study"] != "All":
        where = f"{where} in {row['study']}"
    words = dict(arm=ARMS[row["arm"]], where=where, one=row.get("one"), other=row.get("other"))
    verdict = row["verdict"].split(" larger")[0]
    return SENTENCES[verdict].format(**words)


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
