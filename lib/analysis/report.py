"""One static HTML site of a finished run: executed notebooks, tables with an address behind each number, figures.

    python -m lib.analysis.report [--run results/runs/demo] [--work data/processed/demo] [--out results/runs/report]

Everything it needs is in its folder; it opens from a file, without a network. Where a larger sweep was analysed
(`results/reference`) its verdicts are on the front page, and its own tables and figures in a site below.
"""

import argparse
import html
import json
import re
import shutil
from pathlib import Path

import pandas as pd

from lib.analysis import configurations, provenance
from lib.paths import DATA, RESULTS, ROOT

STYLE = """
:root { --ink: #1b1b1b; --soft: #5c5c5c; --line: #d9d9d9; --link: #00558c; --paper: #ffffff; --panel: #f5f6f7; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--paper); font: 16px/1.55 system-ui, "Segoe UI", sans-serif; }
nav { position: fixed; inset: 0 auto 0 0; width: 15rem; padding: 1.2rem; background: var(--panel); overflow-y: auto; }
nav a { display: block; padding: .15rem 0; } nav b { display: block; margin-top: .9rem; color: var(--soft); }
main { margin-left: 15rem; padding: 1.5rem 2.5rem 4rem; max-width: 76rem; }
a { color: var(--link); } a[aria-current] { font-weight: 700; color: var(--ink); text-decoration: none; }
h1 { line-height: 1.2; } img, svg { max-width: 100%; height: auto; }
.scroll, .jp-OutputArea-output, .output_subarea { overflow-x: auto; }
table { border-collapse: collapse; font-size: .84rem; margin: .6rem 0; }
th, td { padding: .22rem .55rem; text-align: left; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.long { min-width: 22rem; } tr:target { background: #fff3c4; }
pre { background: var(--panel); padding: .6rem .8rem; overflow-x: auto; font-size: .82rem; line-height: 1.4; }
.output pre, .jp-OutputArea-output pre { background: none; padding-left: 0; }
.prompt, .jp-InputPrompt, .jp-OutputPrompt, .anchor-link { display: none; }
figure { margin: 1.5rem 0; } figcaption, .soft { color: var(--soft); font-size: .9rem; }
dt { font-weight: 700; margin-top: .8rem; } dd { margin: 0; }
@media (max-width: 60rem) { nav { position: static; width: auto; } main { margin: 0; padding: 1rem; } }
"""
TITLES = dict(
    quality="One network, means of networks, ridge",
    headline="Best networks beside naive predictors and ridge",
    table1_snp="Table 1: SNPs",
    table2_scaling="Table 2: expression scaling",
    table3_gene_set="Table 3: gene sets",
    table4_drug_features="Table 4: drug descriptors",
    table5_scaling_by_study="Table 5: scaling by study",
    table6_best_models="Table 6: two best models",
    table7_fits="Table 7: Hill fits",
    tests="The paper's tests, literally",
    contrasts="Effects of settings over folds",
    contrasts_genes="Gene sets against 128 random genes",
    contrasts_kept="Effects over folds, kept configurations",
    contrasts_by_cluster="Effects over cells or drugs",
    importances="Importance of settings",
    importances_jointly="Features against training settings",
    random_genes="Score and number of random genes",
    ceiling="Ceiling set by replicates",
    scores_by_drug="Scores by drug",
    scores_by_line="Scores by line",
    removal="The removal rule",
    winners_curse="Choosing on test rows",
    variance_components="Shares of variance",
    aggregations="Correlation in three ways",
    cost_of_a_cutoff="What a cutoff costs",
    cross_study="Trained on one study, tested on another",
    verdicts="The paper's claims",
    claims="The paper's best networks and ours",
    fig2_points="Figure 2, numbers",
    fig3_snp_by_study="Figure 3, numbers",
    fig4_cells_by_type="Figure 4, numbers",
    simulated_false_positives="False positives (simulated)",
    simulated_recovery="Recovery of a planted effect (simulated)",
)
SHOWN_ROWS = 2000  # longer tables are shown in part; the file has all
LISTED_RUNS = (
    500  # a longer list of runs gives their ids and shards only: its table of runs holds the rest
)


def build(run, out, work=None, reference=None, sweep=None):
    """Write the site.

    Parameters
    ----------
    run : path
        Folder with `notebooks/`, `tables/`, `figures/`: a run's output, or `results/` with the reference run.
    out : path
        Folder of the site; replaced.
    work : path, optional
        The run's tables, for the settings of the runs behind each number. Without it the address pages list ids only.
    reference : path, optional
        Folder of another analysis, of a larger sweep: its verdicts are shown first, and its site is built below.
    sweep : path, optional
        The packed sweep that `reference` analysed.

    Returns
    -------
    Path
        Of index.html.

    Raises
    ------
    FileNotFoundError
        If the run holds no table: it has not finished.
    """
    run, out = Path(run), Path(out)
    if not list(run.glob("tables/*.csv")):
        raise FileNotFoundError(
            f"{run} holds no tables/*.csv: run `make demo` first, or name another run with --run"
        )
    draft = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    more = {"reference/index.html": "The reference sweep"} if reference else {}
    _site(
        run,
        draft,
        configurations.load(work).runs if work is not None else pd.DataFrame(),
        more,
        reference,
    )
    if reference:
        runs = configurations.load(None, sweep).runs if sweep else pd.DataFrame()
        _site(
            Path(reference), draft / "reference", runs, {"../index.html": "Back to the first page"}
        )
    shutil.rmtree(out, ignore_errors=True)
    draft.rename(out)
    return out / "index.html"


def _site(run, draft, runs, more, reference=None):
    """The pages of one run; `more` are links to other sites, as {path: text}."""
    for folder in ("notebooks", "tables", "figures", "members"):
        (draft / folder).mkdir(parents=True)
    pages = _pages(run) | dict(more=more)
    for name, title in pages["notebooks"].items():
        _write(
            draft / f"notebooks/{name}.html",
            title,
            _notebook(run / f"notebooks/{name}.ipynb"),
            pages,
        )
    for name, title in pages["tables"].items():
        shutil.copy(run / f"tables/{name}.csv", draft / "tables")
        _write(
            draft / f"tables/{name}.html",
            title,
            _table_page(run / f"tables/{name}.csv", run),
            pages,
        )
    for path in sorted(run.glob("figures/*.*")):
        shutil.copy(path, draft / "figures")
    _write(draft / "figures/index.html", "Figures", _figures(run), pages)
    _addresses(run, runs, draft, pages)
    _write(
        draft / "index.html", "Which features predict drug response?", _front(run, reference), pages
    )


def _pages(run):
    notebooks = {path.stem: _title(path) for path in sorted(run.glob("notebooks/[0-9]*.ipynb"))}
    found = {path.stem for path in run.glob("tables/*.csv")}
    order = [name for name in TITLES if name in found] + sorted(found - set(TITLES))
    return dict(
        notebooks=notebooks,
        tables={name: TITLES.get(name, name.replace("_", " ")) for name in order},
    )


def _title(path):
    first = json.loads(path.read_text())["cells"][0]["source"]
    return "".join(first).splitlines()[0].lstrip("# ")


def _write(path, title, body, pages):
    """One page in the common frame; links are relative to its depth."""
    up = "../" if path.parent.name in ("notebooks", "tables", "figures", "members") else ""
    here = f"{path.parent.name}/{path.name}" if up else path.name
    groups = {
        "": {
            "index.html": "Verdicts",
            "figures/index.html": "Figures",
            "addresses.html": "Addresses",
        }
    }
    groups[""] |= pages["more"]
    groups["Notebooks"] = {
        f"notebooks/{name}.html": text for name, text in pages["notebooks"].items()
    }
    groups["Tables"] = {f"tables/{name}.html": text for name, text in pages["tables"].items()}
    links = "".join(
        f"<b>{group}</b>" + "".join(_link(up, *item, here) for item in own.items())
        for group, own in groups.items()
    )
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}{_code_style()}</style></head><body><nav>{links}</nav><main>{body}</main></body></html>\n"
    )


def _link(up, target, text, here):
    current = ' aria-current="page"' if target == here else ""
    return f'<a href="{up}{target}"{current}>{html.escape(text)}</a>'


def _code_style():
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(style="friendly").get_style_defs(".highlight")


def _notebook(path):
    """Body of an executed notebook, with a link to the notebook's own file left out: pictures are inside."""
    import nbformat
    from nbconvert import HTMLExporter

    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):  # scripts and widgets need a server or a network
            for kind in [k for k in output.get("data", {}) if "javascript" in k or "widget" in k]:
                del output["data"][kind]
    body, _ = HTMLExporter(template_name="basic", anchor_link_text="").from_notebook_node(notebook)
    return body


def _table_page(path, run):
    frame = pd.read_csv(path)
    stamp = {
        name: frame[name].iloc[0]
        for name in ("data_hash", "lib_hash")
        if name in frame and len(frame)
    }
    known = ", ".join(f"{name.split('_')[0]} {value}" for name, value in stamp.items())
    note = (
        f"first {SHOWN_ROWS:,} of {len(frame):,} rows"
        if len(frame) > SHOWN_ROWS
        else f"{len(frame):,} rows"
    )
    head = f"<h1>{html.escape(TITLES.get(path.stem, path.stem))}</h1>"
    head += f'<p class="soft">{note}; hashes: {known}. <a href="{path.name}" download>Download {path.name}</a></p>'
    return head + _table(frame.drop(columns=list(stamp)).head(SHOWN_ROWS), _groups(run))


def _groups(run):
    """Group of runs behind each address, by address."""
    path = run / "tables" / provenance.STORE
    return pd.read_parquet(path).set_index("address")["group"].to_dict() if path.exists() else {}


def _table(frame, groups):
    """HTML of a table; its addresses lead to the runs behind them."""
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in frame)
    rows = []
    for record in frame.to_dict("records"):
        address = record.get("address")
        cells = "".join(_cell(name, value, groups) for name, value in record.items())
        rows.append(
            f'<tr id="{address}">{cells}</tr>' if isinstance(address, str) else f"<tr>{cells}</tr>"
        )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _cell(name, value, groups):
    if pd.isna(value):
        return "<td>–</td>"
    if name == "address" and value in groups:
        return f'<td><a href="../addresses.html#{groups[value]}">{html.escape(value)}</a></td>'
    if isinstance(value, (int, float)):
        return (
            f'<td class="n">{value:.4g}</td>'
            if isinstance(value, float)
            else f'<td class="n">{value}</td>'
        )
    kind = ' class="long"' if len(str(value)) > 40 else ""
    return f"<td{kind}>{html.escape(str(value))}</td>"


def _figures(run):
    blocks = ["<h1>Figures</h1>"]
    for path in sorted(run.glob("figures/*.png")):
        svg = path.with_suffix(".svg")
        more = f', <a href="{svg.name}" download>SVG</a>' if svg.exists() else ""
        title = path.stem.replace("_", " ").capitalize()
        blocks.append(
            f'<figure id="{path.stem}"><img src="{path.name}" alt="{html.escape(title)}">'
            f'<figcaption>{html.escape(title)}. <a href="{path.name}" download>PNG</a>{more}</figcaption></figure>'
        )
    return "".join(blocks)


def _addresses(run, runs, draft, pages):
    """The page of addresses: each group of runs with its settings, and a file that lists them."""
    store, members = (run / "tables" / name for name in (provenance.STORE, provenance.GROUPS))
    if not store.exists():
        _write(
            draft / "addresses.html",
            "Addresses",
            "<h1>Addresses</h1><p>This run wrote no addresses.</p>",
            pages,
        )
        return
    entries, groups = pd.read_parquet(store), pd.read_parquet(members)
    by_group = groups.groupby("group")["member"].agg(set)
    blocks = []
    for group, own in entries.groupby("group", sort=False):
        ids = by_group.get(group, set())
        table = (
            runs[runs["configuration"].isin(ids) | runs["run_id"].isin(ids)]
            if len(runs)
            else pd.DataFrame(sorted(ids))
        )
        listed = table if len(table) <= LISTED_RUNS else table[["run_id", "shard", "configuration"]]
        listed.to_csv(draft / "members" / f"{group}.csv", index=False)
        links = " ".join(_back_link(address, pages) for address in own["address"])
        blocks.append(f'<dt id="{group}">{group}: {_shared(table)}</dt><dd>{links}<br>'
                      f'<a href="members/{group}.csv" download>list of these runs</a></dd>')  # fmt: skip
    sources = json.loads((run / "tables" / "sources.json").read_text())
    hashes = _table(pd.DataFrame(sources["inputs"].items(), columns=["input", "sha256"]), {})
    head = "<h1>Addresses</h1><p>Every number of a table rests on one of these groups of runs.</p>"
    body = f"{head}<dl>{''.join(blocks)}</dl><h2>Inputs</h2>{hashes}"
    _write(draft / "addresses.html", "Addresses", body, pages)


def _back_link(address, pages):
    table = re.sub(r"-\d+$", "", address)
    return (
        f'<a href="tables/{table}.html#{address}">{address}</a>'
        if table in pages["tables"]
        else address
    )


def _shared(table):
    """The settings that all runs of a group share."""
    spec = [name for name in configurations.SPEC if name in table]
    same = [
        f"{name} {table[name].iloc[0]}" for name in spec if table[name].astype(str).nunique() == 1
    ]
    return f"{len(table)} runs" + (f"; all with {html.escape(', '.join(same))}" if same else "")


def _front(run, reference=None):
    parts = ["<h1>Which way of describing a cell line and a drug predicts the response?</h1>"]
    best, source = run / "tables" / "headline.csv", Path(reference or run)
    verdicts = source / "tables" / "verdicts.csv"
    if verdicts.exists():
        frame = pd.read_csv(verdicts)
        lines = "".join(_verdict(*row) for row in frame[["claim", "verdict"]].to_numpy())
        says = "what the reference sweep says" if reference else "what this run says"
        parts.append(f"<h2>The paper's claims, and {says}</h2>{_basis(source)}<dl>{lines}</dl>")
    if best.exists() and best.stat().st_size > 50:
        frame = pd.read_csv(best)
        columns = [
            "split",
            "predictor",
            "r2",
            "gain",
            "pearson",
            "balanced_accuracy",
            "mcc",
            "n_drugs",
            "n_cells",
            "n_networks",
        ]
        frame = frame[frame["study"] == "All"][
            [c for c in [*columns, "n_epoch_cap", "reason"] if c in frame]
        ]
        parts.append(
            "<h2>Best networks, chosen by inner score, beside naive predictors and ridge</h2>"
            + _table(frame, {})
        )
    parts.append(
        '<p class="soft">All studies pooled; by study, and every other number, in the tables at the left.</p>'
    )
    return "".join(parts)


def _verdict(claim, verdict):
    """A claim, what may be said of it, and the effects behind that."""
    said, colon, effects = verdict.partition(": ")
    items = (
        "".join(f"<li>{html.escape(effect)}</li>" for effect in effects.split("; "))
        if colon
        else ""
    )
    shown = f'<ul class="soft">{items}</ul>' if items else ""
    return f"<dt>{html.escape(claim)}</dt><dd>{html.escape(said)}{shown}</dd>"


def _basis(run):
    """How many networks the verdicts rest on, and what the numbers in them mean."""
    path = run / "tables" / "removal.csv"
    found = pd.read_csv(path) if path.exists() else pd.DataFrame()
    n = (
        f"{found['n_configurations'].sum():,} configurations of networks. "
        if "n_configurations" in found
        else ""
    )
    said = "Each effect is a difference of scores, in brackets its 95 % interval over folds; failed runs count too."
    return f'<p class="soft">{n}{said}</p>'


def main(arguments=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    demo = RESULTS / "runs" / "demo"
    finished = (demo / "tables" / "headline.csv").exists()
    parser.add_argument(
        "--run", type=Path, default=demo if finished else RESULTS, help="folder of a finished run"
    )
    parser.add_argument("--work", type=Path, help="folder of its tables (data/processed/NAME)")
    reference = RESULTS / "reference" if list(RESULTS.glob("reference/tables/*.csv")) else None
    parser.add_argument(
        "--reference", type=Path, default=reference, help="analysis of a larger sweep"
    )
    parser.add_argument(
        "--sweep", type=Path, default=RESULTS / "sweep", help="the packed sweep behind it"
    )
    parser.add_argument(
        "--out", type=Path, default=RESULTS / "runs" / "report", help="folder of the site"
    )
    chosen = parser.parse_args(arguments)
    work = chosen.work or DATA / "processed" / (
        chosen.run.name if chosen.run != RESULTS else "demo"
    )
    try:
        work = work if list(work.glob("sweep/*/runs.parquet")) else None
        index = build(chosen.run, chosen.out, work, chosen.reference, chosen.sweep)
    except FileNotFoundError as error:
        print(error)
        return 1
    shown = index.relative_to(ROOT) if index.is_relative_to(ROOT) else index
    print(f"{sum(1 for _ in index.parent.rglob('*.html'))} pages: open {shown}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
