"""Five questions and what the tables of a run answer, each in one sentence with its numbers.

The numbers choose the words: where a verdict moves, its sentence moves with it, and where a table
lacks a row the answer says so.
"""

import re
from pathlib import Path

import pandas as pd

OPEN = "Not measured in these tables."
DESCRIPTORS = "drug descriptors help more than the same descriptors shuffled"
SNPS = "SNPs help"
SHUFFLED_SNPS = "SNPs help more than the same SNPs shuffled"
GENES = "genes help more than the same genes shuffled"
NOT_COMPARED = "not compared"
UNSETTLED = ("not settled", NOT_COMPARED)
LARGER = "`gdsc`"
COLUMNS = {  # of `board`
    ("sound", "on_cell"): "sound recipe, unseen cell lines",
    ("sound", "on_drug"): "sound recipe, unseen drugs",
    ("paper", "on_cell"): "paper's recipe, unseen cell lines",
    ("paper", "on_drug"): "paper's recipe, unseen drugs",
}
SMALL = 0.1  # a gain below it is little
SETTLED = {  # a verdict: how the answer begins
    "supported": "Yes",
    "helps": "Yes",
    "contradicted": "No, they lower the score",
    "hurts": "No, they lower the score",
    "not settled": "Not settled",
}


class Tables:
    """The tables of a folder, empty where a file is missing."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def rows(self, name, **facts):
        """Rows of a table with these values in these columns."""
        path = self.folder / f"{name}.csv"
        table = pd.read_csv(path) if path.exists() and path.stat().st_size else pd.DataFrame()
        for column, value in facts.items():
            table = table[table[column] == value] if column in table else table.iloc[:0]
        return table

    def row(self, name, number, **facts):
        """The first of these rows that has a number in a column, or None."""
        found = self.rows(name, **facts)
        found = found.dropna(subset=number) if number in found else found.iloc[:0]
        return found.iloc[0] if len(found) else None

    def predictors(self, split):
        """Rows of quality.csv by a short name, of the sound recipe where there is one."""
        own = self.rows("quality", split=split, study="All")
        if "arm" in own and "sound" in set(own["arm"]):
            own = own[own["arm"] == "sound"]
        found = {}
        for row in own.to_dict("records"):
            if pd.isna(row["r2"]):
                continue
            n = row["n_networks"]
            if re.fullmatch(r"best \d+ networks, averaged", row["predictor"]) and n > 1:
                found["averaged"] = row | dict(name=f"the average of {n:.0f} networks")
            else:
                found[row["predictor"]] = row | dict(name="ridge regression")
        return found


def answers(folder, larger):
    """Questions and answers.

    Parameters
    ----------
    folder : path
        Tables of the analysed reference sweep.
    larger : path
        Tables of the data set `gdsc`, which has more drugs.

    Returns
    -------
    list of (str, str)
    """
    tables = Tables(folder)
    more = Tables(larger)
    return [
        (
            "How much of the score on unseen cell lines comes from knowing the drug?",
            known_from_the_drug(tables, more),
        ),
        ("Can the response to an unseen drug be predicted?", unseen_drugs(tables, more)),
        ("Do SNP counts help?", snps(tables)),
        ("Does gene expression help?", genes(tables, more)),
        ("Can the paper's t-test be trusted?", published_test(tables)),
    ]


def board(folder, larger):
    """The verdict on each claim of the paper, by recipe and split.

    Where the reference sweep does not settle a claim and the larger data set does, its verdict
    stands; where both settle it and differ, both stand.

    Parameters
    ----------
    folder, larger : path
        As in `answers`.

    Returns
    -------
    DataFrame
        A row per claim, a column per recipe and split (`COLUMNS`); "–" is not compared.
    """
    own = _verdicts(Tables(folder))
    more = _verdicts(Tables(larger)).reindex(own.index)
    settled = ~more.isin(UNSETTLED) & more.notna()
    both = settled & ~own.isin(UNSETTLED) & (own != more)
    added = more.where(~settled, more + f" ({LARGER})")
    found = own.mask(settled & own.isin(UNSETTLED), added).mask(both, own + "; " + added)
    wide = found.unstack(["arm", "split"]).reindex(index=own.index.unique("claim"))
    return wide.reindex(columns=list(COLUMNS)).fillna(NOT_COMPARED).replace(NOT_COMPARED, "–")


def _verdicts(tables):
    """Verdicts over all studies by claim, recipe and split."""
    rows = tables.rows("verdicts", study="All")
    rows = rows.reindex(columns=["claim", "arm", "split", "verdict"])
    return rows.set_index(["claim", "arm", "split"])["verdict"].astype(object)


def known_from_the_drug(tables, larger):
    """Mean effects, ridge and averaged networks on unseen cell lines, beside the ceiling, and what
    the choice of the target does to the mean of a drug in the tables with more drugs.
    """
    found = tables.predictors("on_cell")
    if not {"mean_effects", "ridge", "averaged"} <= set(found):
        return OPEN
    effects, ridge, networks = (found[name] for name in ("mean_effects", "ridge", "averaged"))
    begin = "Most of it" if effects["r2"] > networks["r2"] / 2 else "Less than half"
    text = (
        f"{begin}: without any feature, the mean-effects baseline reaches R² {two(effects['r2'])}; "
        f"ridge regression {two(ridge['r2'])} and {networks['name']} {two(networks['r2'])}"
    )
    ceiling = tables.row("ceiling", "r2", study="All")
    if ceiling is not None:
        text += f", where noise between replicates allows {two(ceiling['r2'])} or more"
    by_target = larger.rows("target_choice", split="on_cell")
    if by_target.empty:
        return f"{text}."
    r2 = by_target.groupby("target")["r2"].agg(["min", "max"])
    fixed, tested = (
        f"{two(r2['min'][name])} to {two(r2['max'][name])}"
        for name in ("auc_published_curve", "auc_tested")
    )
    return (
        f"{text}. Of the area below GDSC's published curves the drug's mean alone reaches {fixed} "
        f"over the paper's fixed range, beyond the doses tested, and {tested} over these."
    )


def unseen_drugs(tables, larger):
    """The gain of averaged networks and of ridge on unseen drugs, with intervals, few and many."""
    found = tables.predictors("on_drug")
    if not {"ridge", "averaged"} <= set(found):
        return OPEN
    parts = []
    shown = []
    for own, where in ((found, ""), (larger.predictors("on_drug"), " (`gdsc`)")):
        rows = [own[name] for name in ("averaged", "ridge") if name in own]
        rows = [row for row in rows if pd.notna(row["gain_low"])]
        if rows:
            gains = " and ".join(f"{row['name']} gains {interval(row)}" for row in rows)
            parts.append(f"with {rows[0]['n_drugs']:.0f} drugs{where}, {gains}")
            shown += rows
    told = [row["gain"] for row in shown if row["gain_low"] > 0]
    begin = "Hardly" if not told else "A little" if max(told) < SMALL else "Yes"
    text = f"{begin}: {'; '.join(parts)}"
    at = dict(arm="sound", split="on_drug", study="All")
    real = larger.row("verdicts", "gain", claim=DESCRIPTORS, **at)
    if real is not None and real["verdict"] == "supported":
        text += f", and real descriptors gain {interval(real, '')} more than shuffled ones"
    return f"{text}."


def snps(tables):
    """SNP counts against none and against the same counts shuffled."""
    at = dict(study="All", split="on_cell")
    rows = {
        (arm, claim): tables.row("verdicts", "gain", arm=arm, claim=claim, **at)
        for arm in ("sound", "paper")
        for claim in (SNPS, SHUFFLED_SNPS)
    }
    if any(row is None for row in rows.values()):
        return OPEN
    added, real = rows["sound", SNPS], rows["sound", SHUFFLED_SNPS]
    columns, same = rows["paper", SNPS], rows["paper", SHUFFLED_SNPS]
    told = ", not settled" if real["verdict"] == "not settled" else ""
    text = (
        f"{word(added)} on unseen cell lines: SNP counts change the gain by {interval(added, '')}, "
        f"and real ones gain {interval(real, '')} over shuffled ones{told}; by the paper's recipe "
        f"they change it by {interval(columns, '')}"
    )
    if same["verdict"] == "not settled" or same["verdict"].startswith("no effect"):
        text += f", and real ones gain {interval(same, '')} over shuffled ones"
    return f"{text}."


def genes(tables, larger):
    """Real against shuffled genes by the sound recipe on both splits, and by the paper's on lines;
    on unseen drugs by the tables with more drugs where those settle it.
    """
    at = dict(claim=GENES, study="All")
    cells = tables.row("verdicts", "gain", arm="sound", split="on_cell", **at)
    drugs = tables.row("verdicts", "gain", arm="sound", split="on_drug", **at)
    more = larger.row("verdicts", "gain", arm="sound", split="on_drug", **at)
    paper = tables.row("verdicts", "gain", arm="paper", split="on_cell", **at)
    if cells is None:
        return OPEN
    said = (
        f"{word(cells)} on unseen cell lines: compared with shuffled genes, real genes change the "
        f"gain by {interval(cells, '')}"
    )
    if paper is not None:
        said += f", under the paper's recipe by {interval(paper, '')}"
    where = "unseen drugs"
    if more is not None and more["verdict"] != "not settled":
        drugs = more
        where = f"{more['n']:.0f} unseen drugs (`gdsc`)"
    if drugs is not None:
        said += f". {word(drugs)} on {where}: {interval(drugs, '')}"
    return f"{said}."


def word(row):
    """How an answer begins: the verdict of a row."""
    return SETTLED.get(row["verdict"], f"No ({row['verdict']})")


def published_test(tables):
    """How often a useless feature is called significant in simulated studies."""
    null = tables.rows("simulated_promises", planted=0)
    if null.empty:
        return OPEN
    null = null[null["n_repeats"] == null["n_repeats"].min()]
    shares = []
    for test in ("the paper's", "quoted"):
        for split in ("on_cell", "on_drug"):
            own = null[null["test"].str.startswith(test) & (null["split"] == split)]
            if own.empty:
                return OPEN
            shares.append(f"{own['significant'].iloc[0]:.0%}")
    cells, drugs, our_cells, our_drugs = shares
    wrong = null.loc[null["test"].str.startswith("the paper's"), "significant"].max() > 0.1
    return (
        f"{'No' if wrong else 'Yes'}: it promises to call 5% of useless features significant and "
        f"calls {cells} of them on unseen cell lines and {drugs} on unseen drugs in simulated "
        f"studies with as many runs as the paper's; the interval used here calls {our_cells} and "
        f"{our_drugs} of them."
    )


def interval(row, of="gain_"):
    """A gain and its 95% interval."""
    return f"{two(row['gain'])} ({two(row[f'{of}low'])} to {two(row[f'{of}high'])})"


def two(value):
    """Two decimals, as print sets them."""
    return f"{value:.2f}".replace("-0.00", "0.00").replace("-", "−")
