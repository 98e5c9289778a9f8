"""The paper's claims beside this run: one word and one sentence for each claim, recipe and split.

An effect is in gain over the mean effects, the share of their squared error. A claim is *supported*
or *contradicted* where an effect differs from 0 after Holm's adjustment, there is *no effect larger
than* the smallest effect of interest where every interval lies within it, and else it is *not
settled*; where the sweep lacks the runs, it is *not compared*. An interval within it counts only
where the positive control, real against shuffled features, is told from 0: a test that sees no
effect there cannot exclude one elsewhere.
"""

import itertools
import re

import pandas as pd

from lib import paper
from lib.analysis import ensembles, importances, provenance, statistics
from lib.analysis.headline import NETWORK
from lib.analysis.percentiles import SPLITS
from lib.paper import SPLIT_NAMES

SUPPORTED, CONTRADICTED, NOT_SETTLED = "supported", "contradicted", "not settled"
NOT_COMPARED = "not compared"
NO_EFFECT = "no effect larger than {:g}"
# What a claim expects of a comparison.
BETTER, SAME, DIFFERENT = "better", "same", "different"
# key: what the paper says, the factor, the levels (a pattern; where none matches, the one after
# " else "), what it expects by split
CLAIMS = {
    "snp": ("SNPs help", "snp", "counts else binary", (BETTER, BETTER)),
    "snp_shuffled": (
        "SNPs help more than the same SNPs shuffled",
        "null_control",
        "permuted_snp",
        (BETTER, BETTER),
    ),
    "scaling": ("scaling and ComBat do not matter", "scaling", ".*", (SAME, SAME)),
    "gene_set": (
        "the gene set does not matter, beyond 128 random genes",
        "rnaseq_set",
        r"(?!random_(32|64)$).*",
        (SAME, SAME),
    ),
    "genes_shuffled": (
        "genes help more than the same genes shuffled",
        "null_control",
        "permuted_genes",
        (BETTER, BETTER),
    ),
    "drug_block": (
        "the choice of drug descriptors matters on unseen drugs only",
        "drug_block",
        ".*",
        (SAME, DIFFERENT),
    ),
    "drugs_shuffled": (
        "drug descriptors help more than the same descriptors shuffled",
        "null_control",
        "permuted_drugs",
        (BETTER, BETTER),
    ),
    "one": (
        "one network, chosen by inner score, beats mean effects and ridge",
        "ensembles",
        ensembles.BEST,
        (BETTER, BETTER),
    ),
    "averaged": (
        "networks averaged, chosen by inner score, beat mean effects and ridge",
        "ensembles",
        "best .*averaged",
        (BETTER, BETTER),
    ),
}
EXPECTED = {claim: by_split for claim, *_, by_split in CLAIMS.values()}  # of unseen lines, drugs
SETTINGS = "hyper-parameters outweigh features"
FACTORS = ("snp", "scaling", "rnaseq_set", "drug_block", "null_control")
CONTROL = {"on_cell": CLAIMS["genes_shuffled"][0], "on_drug": CLAIMS["drugs_shuffled"][0]}
SHUFFLED = {
    "permuted_genes": "genes",
    "permuted_snp": "SNPs",
    "permuted_drugs": "descriptors",
}
WORDS = {
    ("snp", "none"): "without SNPs",
    ("snp", "counts"): "with SNP counts",
    ("snp", "binary"): "with mutated genes",
    ("scaling", "none"): "on unscaled expression",
    ("scaling", "source"): "on expression scaled by source",
    ("scaling", "combat"): "on ComBat expression",
    ("rnaseq_set", "lincs1000"): "on landmark genes",
    ("rnaseq_set", "oncogenes_lincs1000"): "on landmark genes and oncogenes",
    ("rnaseq_set", "all"): "on all genes",
    ("drug_block", "mordred"): "with Mordred descriptors",
    ("drug_block", "rdkit_ecfp"): "with RDKit descriptors and ECFP",
    ("drug_block", "mordred+rdkit_ecfp"): "with Mordred and RDKit descriptors and ECFP",
    ("drug_block", "ecfp"): "with ECFP alone",
    ("drug_block", "maccs"): "with MACCS keys",
}
BASELINE_WORDS = {"mean_effects": "the mean effects", "boosted_trees": "boosted trees"}
ARMS = {"paper": "the paper's recipe", "sound": "the sound recipe"}
SENTENCES = {
    "better": "By {arm}, {one} predicted {where} better than {other}.",
    "worse": "By {arm}, {one} predicted {where} worse than {other}.",
    "alike": "By {arm}, {one} predicted {where} as well as {other}.",
    "open": "By {arm}, it is not settled whether {one} predicted {where} better than {other}.",
    "untested": "This sweep does not make this comparison on {where}.",
    "undecided": "It is not settled whether training settings move the score on {where} more than "
    "features do.",
    "settings": "Training settings decided the score on {where} more than features did.",
    "features": "Features decided the score on {where} more than training settings did.",
}
BLIND = "the positive control is not told from 0, so that no effect cannot be told either"
BEFORE_HOLM = "the interval leaves 0 out before Holm's adjustment, not after it"
NPEARSON = {"effect": "npearson", "low": "npearson_low", "high": "npearson_high"}
AT = "claim arm split study".split()
NUMBERS = "gain low high p_holm npearson npearson_low npearson_high n n_of".split()
COMPARED = [*AT, "one", "other", *NUMBERS, "note", "address"]
COLUMNS = [*AT, "verdict", "sentence", "compared", *NUMBERS, "n_compared", "n_differ"]
COLUMNS += "control control_gain control_low control_high note address".split()


def comparisons(contrasts, averaged):
    """Every comparison under each claim of the paper.

    Parameters
    ----------
    contrasts : DataFrame
        `contrasts.contrast_table` of FACTORS, gene sets against 128 random genes.
    averaged : DataFrame
        `ensembles.table`.

    Returns
    -------
    DataFrame
        COMPARED: claim, arm, split and study, what is compared (`one`, `other`), the difference in
        gain and in normalised r with their intervals, Holm's p (family: all comparisons of one arm,
        split and study), n and what it counts, and the address of the difference.
    """
    rows = []
    for claim, factor, levels, _ in CLAIMS.values():
        if factor == "ensembles":
            own = _beaten(averaged, levels)
        else:
            own = _tested(contrasts, factor, levels)
        rows.append(own.assign(claim=claim))
    table = provenance.joined(rows, [*COMPARED, "p"])
    table = table[table.split.isin(SPLITS)]
    table["p_holm"] = table.groupby(["arm", "split", "study"])["p"].transform(statistics.holm)
    return table[COMPARED]


def _tested(contrasts, factor, levels):
    """Contrasts of a factor as rows; null controls are turned into real less shuffled."""
    own = contrasts[contrasts.factor == factor].dropna(subset="effect")
    named = [own[own.level.astype(str).str.fullmatch(name)] for name in levels.split(" else ")]
    own = next((rows for rows in named if len(rows)), named[0])
    if factor == "null_control":
        own = own.assign(effect=-own.effect, low=-own.high, high=-own.low)
    keys = "arm split study level reference".split()
    r = own.loc[own.metric == "npearson", [*keys, *NPEARSON]].rename(columns=NPEARSON)
    own = own[own.metric == "gain"].merge(r, on=keys, how="left")
    if factor == "null_control":
        own["one"] = f"networks with real {SHUFFLED[levels]}"
        own["other"] = f"networks with shuffled {SHUFFLED[levels]}"
    else:
        own["one"] = [_words(factor, level) for level in own.level]
        own["other"] = [_words(factor, level) for level in own.reference]
    names = {"effect": "gain", "n_units": "n", "reason": "note", "interval": "n_of"}
    return own.rename(columns=names)


def _words(factor, level):
    """A level as a reader says it."""
    preposition = "on" if factor == "rnaseq_set" else "with"
    level = re.sub(r"^random_(.*)", r"\1 random genes", level)
    return f"networks {WORDS.get((factor, level), f'{preposition} {level}')}"


def _beaten(averaged, predictor):
    """Gain of chosen networks less that of the best of ridge, boosted trees and mean effects."""
    keys = ["arm", "split", "study"]
    ridge = averaged.loc[averaged.predictor == "ridge", keys]
    own = averaged[averaged.predictor.str.fullmatch(predictor)].dropna(subset="over")
    own = own.drop(columns=["gain", "npearson", "n"]).merge(ridge, on=keys)
    count = own.predictor.str.removesuffix(", averaged")
    own["one"] = "the " + count.where(count == own.predictor, "average of the " + count)
    own["other"] = own.baseline.replace(BASELINE_WORDS)
    names = dict(over="gain", over_low="low", over_high="high", over_p="p", reason="note")
    return own.rename(columns=names | {"n_units": "n"}).assign(n_of="lines or drugs")


def verdicts(compared, joint, margin):
    """A word and a sentence for each claim, by recipe, split and study.

    Parameters
    ----------
    compared : DataFrame
        `comparisons`.
    joint : DataFrame
        Rows of `importances.jointly`.
    margin : float
        The smallest effect of interest [gain].

    Returns
    -------
    DataFrame
        COLUMNS: the verdict, a sentence of at most 30 words, the comparison that decides with its
        numbers as in `comparisons`, how many comparisons there are and how many differ from 0, and
        the positive control with its interval. A claim without a comparison over all studies is
        NOT_COMPARED, and its sentence says so.
    """
    controls = compared[compared.claim == compared.split.map(CONTROL)]  # the positive ones
    controls = controls.assign(control=controls.one + " − " + controls.other)
    controls = controls.drop_duplicates(AT, keep="last")
    controls = controls[[*AT[1:], "control", *NUMBERS[:3]]]
    numbers = {name: f"control_{name}" for name in NUMBERS[:3]}
    beside = compared.merge(controls.rename(columns=numbers), on=AT[1:], how="left")
    rows = [_judged(own, margin) for _, own in beside.groupby(AT, sort=False)]
    rows += _settings_and_features(joint)
    table = _with_untested(pd.DataFrame(rows, columns=[*COLUMNS, "told", "one", "other"]))
    table["sentence"] = [_sentence(row) for row in table.to_dict("records")]
    table["compared"] = table.one + " − " + table.other
    return table[COLUMNS]


def _judged(own, margin):
    """Verdict of the comparisons of one claim: the row of the one that decides it."""
    claim, split = own[["claim", "split"]].iloc[0]
    expected = EXPECTED[claim][SPLITS.index(split)]
    within = (own.low > -margin) & (own.high < margin)
    inside = within.all()
    moved = own[~within & (own.p_holm < 0.05)]
    if len(moved):
        row = moved.sort_values("p_holm").iloc[0].to_dict()
        told = "better" if row["gain"] > 0 else "worse"
        verdict = SUPPORTED if expected in (DIFFERENT, told) else CONTRADICTED
    else:
        wide = own if inside else own[~within]
        row = wide.loc[wide.gain.abs().idxmax()].to_dict()
        told = "open"
        verdict = NOT_SETTLED
        if inside and row["control_low"] > 0:
            told = "alike"
            verdict = SUPPORTED if expected == SAME else NO_EFFECT.format(margin)
        elif inside:
            row["note"] = BLIND
        elif row["low"] * row["high"] > 0:
            row["note"] = BEFORE_HOLM
    return row | dict(verdict=verdict, told=told, n_compared=len(own), n_differ=len(moved))


def _settings_and_features(joint):
    """What shuffling all training settings, and all features, costs a tree that predicts R²."""
    rows = []
    for split, own in joint.dropna(subset="importance").groupby("split"):
        sides = own.set_index("factor").reindex([importances.TRAINING, importances.FEATURES])
        low, high = sides.low, sides.high
        row = dict(
            claim=SETTINGS,
            arm="paper",
            split=split,
            study="All",
            n=own.n.max(),
            n_of="configurations",
            one="settings",
            other="features",
            verdict=NOT_SETTLED,
            told="undecided",
            note="importance for R², by a tree",
        )
        if low.iloc[0] > high.iloc[1]:
            row |= dict(verdict=SUPPORTED, told="settings")
        elif low.iloc[1] > high.iloc[0]:
            row |= dict(verdict=CONTRADICTED, told="features")
        rows.append(row)
    return rows


def _with_untested(table):
    """A row for each claim, arm and split of the paper that has none; claims in their order."""
    order = [*EXPECTED, SETTINGS]
    arms = sorted(set(table.arm)) or ["paper"]
    wanted = itertools.product(order, arms, SPLITS, ["All"])
    table = table.merge(pd.DataFrame(wanted, columns=AT), on=AT, how="outer")
    untested = table.verdict.isna()
    table.loc[untested, ["verdict", "told"]] = NOT_COMPARED, "untested"
    table.loc[untested, "note"] = "this sweep has no such comparison"
    return table.sort_values("claim", key=lambda own: own.map(order.index), kind="stable")


def _sentence(row):
    where = SPLIT_NAMES[row["split"]]
    if row["study"] != "All":
        where = f"{where} in {row['study']}"
    return SENTENCES[row["told"]].format(**row | dict(arm=ARMS[row["arm"]], where=where))


def board(table):
    """The verdicts on all studies as a reader sees them: a claim per row, recipe and split beside.

    A dash stands where a sweep makes no such comparison.

    Parameters
    ----------
    table : DataFrame
        `verdicts`.
    """
    words = dict(arm=ARMS, split=SPLIT_NAMES, verdict={NOT_COMPARED: "–"})
    whole = table[table.study == "All"].replace(words)
    wide = whole.pivot(index="claim", columns=["arm", "split"], values="verdict")
    return wide.reindex(whole.claim.unique()).rename_axis(columns=["", ""])


def paper_claims(best):
    """The paper's best networks (its section 3) beside ours, chosen without test rows.

    Parameters
    ----------
    best : DataFrame
        `headline.headline`.

    Returns
    -------
    DataFrame
        split, metric, published (a lower bound in the paper), n_drugs, n_cells, reason, ours,
        difference, recipe, members.
    """
    printed = paper.values("claims").rename(columns={"value": "published"})
    at_30 = printed.metric == "balanced_accuracy_30"  # without a split: beside both
    both = [printed[at_30].assign(split=split) for split in SPLITS]
    printed = pd.concat([printed[printed.level == "best network"], *both])
    own = best[(best.study == "All") & (best.predictor == NETWORK)]
    facts = "split n_drugs n_cells reason members".split()
    ours = own.melt(facts, printed.metric.unique(), "metric", "ours")
    table = printed[["split", "metric", "published"]].merge(ours, how="left")
    table["difference"] = table.ours - table.published
    table["reason"] = table.reason.fillna("no scored network").mask(table.ours.notna(), "")
    return provenance.addressed(table, "ours", by=["metric"], kind="pool", study="All")
