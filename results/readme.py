"""The README's blocks: answers, numbers of the demo, time, sizes and licences, from the tables.

    python -m results.readme        # after tables, benchmarks/install.csv or data/open.yml changed

A test holds the README to this, so no result in it is typed by hand.
"""

import re
from pathlib import Path

import pandas as pd

from lib import files
from lib.paper import METRIC_NAMES, SPLIT_NAMES
from lib.paths import RESULTS, ROOT
from results import findings

README = ROOT / "README.md"
SPLITS = ("on_cell", "on_drug")
SCORES = ("r2", "gain", "npearson", "mcc")
PREDICTORS = ("network, chosen by inner score", "ridge", "mean_effects", "drug_mean")

TERMS = {  # how a card says that nobody's licence applies
    "identifiers": "identifiers and symbols, no licence of their own",
    "gene symbols": "identifiers and symbols, no licence of their own",
    "numbers computed from identifiers": "identifiers and symbols, no licence of their own",
    "the repository has no licence file": "none stated at the origin (see the card)",
    "US government data": "US government data, public",
}


def folders(results=RESULTS):
    """Where tables lie: of the demo, of the reference sweep, of the data set `gdsc`."""
    names = dict(demo=".", reference="reference", gdsc="gdsc")
    return {name: Path(results, folder, "tables") for name, folder in names.items()}


def render(text, tables):
    """The README with each block made from its tables; the block of a missing table stays.

    Parameters
    ----------
    text : str
        README with lines ``<!-- NAME -->`` … ``<!-- /NAME -->`` for each block.
    tables : dict of str to path
        As `folders` gives them.

    Returns
    -------
    str
    """
    makers = dict(
        answers=(tables["reference"] / "quality.csv", lambda _: answers(tables)),
        claims=(tables["reference"] / "verdicts.csv", lambda _: claims(tables)),
        headline=(tables["demo"] / "headline.csv", headline),
        timings=(tables["demo"] / "timings.csv", timings),
        sizes=(ROOT / "benchmarks" / "install.csv", sizes),
        licences=(ROOT / "data" / "open.yml", licences),
    )
    for name, (source, make) in makers.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.S)
        if not pattern.search(text):
            raise ValueError(
                f"README.md has no block <!-- {name} --> … <!-- /{name} -->: restore the two lines"
            )
        if source.exists():
            block = make(source)
            text = pattern.sub(lambda found, block=block: f"{found[1]}{block}\n{found[2]}", text)
    return text


def answers(tables):
    """A table of questions and answers."""
    found = findings.answers(tables["reference"], tables["gdsc"])
    bold = [(asked, re.sub("^([^:]+:)", r"**\1**", said)) for asked, said in found]
    rows = [f"| {asked} | {said} |" for asked, said in bold]
    return "\n".join(["| question | answer on held-out data |", "|---|---|", *rows])


def claims(tables):
    """The verdict on each claim of the paper, and how many are settled."""
    board = findings.board(tables["reference"], tables["gdsc"])
    lines = ["| what the paper says | " + " | ".join(findings.COLUMNS.values()) + " |"]
    lines += ["|---|" + "---|" * len(findings.COLUMNS)]
    lines += [f"| {claim} | {' | '.join(row)} |" for claim, *row in board.itertuples()]
    sound = board["sound"].to_numpy().ravel()
    compared = sum(verdict != "–" for verdict in sound)
    settled = compared - sum(verdict == "not settled" for verdict in sound)
    lines.append(f"\nBy the sound recipe, {settled} of {compared} verdicts are settled.")
    return "\n".join(lines)


def headline(path):
    """The demo's network beside ridge and baselines without features, all studies together."""
    table = pd.read_csv(path)
    table = table[(table["study"] == "All") & table["predictor"].isin(PREDICTORS)]
    lines = ["| held-out data | predictor | " + " | ".join(METRIC_NAMES[s] for s in SCORES) + " |"]
    lines += ["|---|---|" + "---:|" * len(SCORES)]
    for split, own in table.groupby("split", sort=False):
        rows = own.set_index("predictor")
        for predictor in [name for name in PREDICTORS if name in rows.index]:
            scores = [rows.loc[predictor, name] for name in SCORES]
            cells = [f"{score:.3f}" if pd.notna(score) else "n too small" for score in scores]
            cells = [SPLIT_NAMES[split], predictor.replace("_", " "), *cells]
            lines.append(f"| {' | '.join(cells)} |")
    for row in table.drop_duplicates("split").itertuples():
        lines.append(
            f"\n{SPLIT_NAMES[row.split].capitalize()}: {row.n_networks} networks, "
            f"{row.n_early_stop} stopped by the rule, {row.n_epoch_cap} at the epoch cap, "
            f"{row.n_diverged + row.n_failed} diverged or failed; "
            f"{row.n:,} test rows of {row.n_cells:,} cell lines and {row.n_drugs} drugs."
        )
    published = pd.read_csv(ROOT / "data" / "published" / "paper_values.csv")
    at = dict(study="All", metric="r2", statistic="p99")
    published = published[(published[list(at)] == pd.Series(at)).all(axis=1)]
    cells, drugs = (published.loc[published["split"] == s, "value"].max() for s in SPLITS)
    lines.append(
        "\nThe paper reports R² of at most "
        f"{cells:.2f} on unseen cell lines and {drugs:.2f} on unseen drugs, at the 99th percentile of "
        "its runs and chosen on the rows that it reports."
    )
    return "\n".join(lines)


def timings(path):
    """Time and memory of the demo in a sentence."""
    table = pd.read_csv(path)
    minutes = (table["start"] + table["seconds"]).max() / 60
    largest = table.loc[table["peak_mb"].idxmax()]
    where = f" ({table['processor'].iloc[0]})" if "processor" in table else ""
    return (
        f"The demo took {minutes:.1f} minutes on two processors{where} with nothing else on them; its "
        f"largest notebook, {largest['notebook'].split('.')[0]}, took {largest['peak_mb']:,} MB of memory."
    )


def sizes(path):
    """What is downloaded and what lies on disk, in a sentence for each build of torch."""
    table = pd.read_csv(path)
    lines = []
    for row in table.itertuples():
        lines.append(
            f"With torch for {row.torch}: {row.download_mb:,} MB of packages to download, "
            f"{row.disk_mb:,} MB on disk (Python {row.python}, {row.system})."
        )
    history = table["history_mb"].max()
    return "\n".join([*lines, f"The repository itself downloads as {history} MB."])


def licences(path):
    """The bundled files by the licence that their card names first."""
    rows = {}
    for card in files.read_yaml(path)["files"]:
        first = re.split(r"[;,(]", card["terms"])[0].strip()
        name = Path(card["name"]).with_suffix("").as_posix().partition("-")[0]
        rows.setdefault(TERMS.get(first, first), []).append(f"`{name}`")
    lines = ["| licence | files in `data/open` |", "|---|---|"]
    for first, names in sorted(rows.items(), key=lambda item: -len(item[1])):
        lines.append(f"| {first} | {', '.join(names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    files.write_text(README, render(README.read_text(), folders()))
