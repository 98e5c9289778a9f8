"""The site opens from a file, every link leads somewhere, and each number leads to its runs."""

import html.parser
import json
import os
import re
import shutil
from urllib.parse import unquote

import made_ledger
import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import addresses, files
from lib.analysis import (
    configurations,
    headline,
    paper_tables,
    percentiles,
    provenance,
)
from lib.paths import DATA, RESULTS
from results import report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    shard = tmp_path_factory.mktemp("work") / "sweep" / "simulated"
    shard.mkdir(parents=True)
    runs, scores = made_ledger.ledger(
        dict(split=["on_cell", "on_drug"], snp=["none", "counts"]), n_cells=260
    )
    runs.assign(rnaseq_set="lincs1000", drug_block="mordred", scaling="none").to_parquet(
        shard / "runs.parquet"
    )
    scores.to_parquet(shard / "scores.parquet")
    return shard.parent.parent


@pytest.fixture(scope="module")
def run(work, tmp_path_factory):
    """A small finished run: two tables with addresses, verdicts, two figures, a notebook."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    out = tmp_path_factory.mktemp("run")
    ledger = configurations.load(work)
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    merged = paper_tables.with_removal(merged)
    nulls = merged.iloc[:0]
    baselines = headline.predictors(ledger)
    book = addresses.Book(out, provenance.input_hashes(work))
    book.save(percentiles.factor_table(baselines, merged, nulls, "table1", "snp"), "table1_snp")
    book.save(headline.headline(baselines), "headline")
    line = dict(
        claim="SNPs <help>",
        arm="sound",
        split="on_cell",
        study="All",
        gain=0.0101,
        n=300,
        verdict="open",
        note="R & more",
    )
    book.save(pd.DataFrame([line]), "verdicts")
    book.close()
    (out / "figures").mkdir()
    figure = plt.figure(figsize=(1, 1))
    for name in ("fig1_auc", "fig11_quality"):
        figure.savefig(out / "figures" / f"{name}.png")
        (out / "figures" / f"{name}.md").write_text(f"{name} is told\n\nDrawn are *many* rows.\n")
    plt.close(figure)
    picture = (out / "figures" / "fig1_auc.png").read_bytes()
    new = nbformat.v4
    shown = new.output_from_msg(
        dict(
            header=dict(msg_type="display_data"),
            content=dict(
                data={"image/png": report.base64.b64encode(picture).decode()}, metadata={}
            ),
        )
    )
    number = new.new_output("execute_result", {"text/plain": "2"}, execution_count=1)
    question = "# 06 · Analysis\n\n**A question?** With $x = E_\\infty$,\n$$\\frac{1}{x}$$ as said."
    cells = [
        new.new_markdown_cell(question),
        new.new_code_cell("1 + 1", outputs=[number]),
        new.new_code_cell('book.save(table, "table1_snp"); save(figure, out, "fig1")'),
        new.new_code_cell('save(quality, out, "fig11_quality")', outputs=[shown]),
        new.new_markdown_cell("*What is drawn.* And more."),
    ]
    (out / "notebooks").mkdir()
    nbformat.write(new.new_notebook(cells=cells), out / "notebooks" / "06_analysis.ipynb")
    return out


@pytest.fixture(scope="module")
def site(run, work, tmp_path_factory):
    return report.build(run, tmp_path_factory.mktemp("site") / "report", work).parent


class Links(html.parser.HTMLParser):
    """Every target of a page, every anchor in it, and the elements of its article."""

    def __init__(self, text):
        super().__init__()
        self.links, self.anchors, self.elements, self.loaded = [], {""}, [], []
        self.is_inside = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = {name: value or "" for name, value in attributes}
        self.is_inside |= tag == "article"
        if self.is_inside:
            self.elements.append((tag, named))
        self.anchors.add(named.get("id"))
        where = self.links if tag == "a" else self.loaded
        where += [named[key] for key in ("href", "src") if key in named]

    def handle_endtag(self, tag):
        self.is_inside &= tag != "article"


def pages_of(site):
    pages = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: Links(path.read_text()) for path in pages}


def require_whole(site):
    """Every link and anchor of every page exists; nothing is loaded from elsewhere."""
    pages = pages_of(site)
    for page, found in pages.items():
        for target in [*found.links, *found.loaded]:
            if target.startswith("data:") or (target in found.links and "://" in target):
                continue
            name, _, anchor = target.partition("#")
            path = (page.parent / unquote(name.partition("?")[0])).resolve() if name else page
            assert path.exists(), f"{page.name} links to {target}"
            if path in pages:
                assert unquote(anchor) in pages[path].anchors, f"{page.name} links to {target}"
    return pages


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site):
    assert len(require_whole(site)) > 10
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", sheet.read_text()), sheet


def test_the_front_page_gives_the_verdicts_with_their_text_escaped(site):
    front = (site / "index.html").read_text()
    assert "SNPs &lt;help&gt;" in front and "R &amp; more" in front
    assert "<td>open</td>" in front and ">0.0101</td>" in front
    assert "fig11_quality is told" in front and "Drawn are <em>many</em> rows" in front


def test_one_link_leads_from_a_number_to_its_runs(site, run):
    store = pd.read_parquet(run / "tables" / addresses.STORE).set_index("address")
    address, group = store.index[0], store["group"].iloc[0]
    text = (site / "results/tables/table1_snp.html").read_text()
    assert f'<tr id="{address}">' in text and f'href="groups.html#{group}"' in text
    text = (site / "results/tables/groups.html").read_text()
    assert f'<tr id="{group}">' in text and f'href="../members/{group}.csv"' in text
    members = pd.read_csv(site / "results" / "members" / f"{group}.csv")
    assert {"run_id", "shard", "snp", "commit", "torch", "data_key"} <= set(members)
    assert members["snp"].nunique() == 1


def test_a_table_can_be_downloaded_as_it_was_written(site, run):
    name = "tables/table1_snp.csv"
    assert (site / "results" / name).read_bytes() == (run / name).read_bytes()


def test_a_missing_number_is_a_dash_and_its_reason_stands_beside_it(site):
    text = (site / "results/tables/table1_snp.html").read_text()
    assert ">nan<" not in text.lower() and "the paper prints no baseline" in text


def test_figures_follow_the_notebooks_and_lead_to_their_numbers(site):
    text = (site / "results" / "figures.html").read_text()
    assert text.index("<h2>fig1_auc is told") < text.index("<h2>fig11_quality is told")
    assert 'href="tables/table1_snp.html"' in text[: text.index("<h2>fig11_quality")]
    assert 'href="notebooks/06_analysis.html"' in text


def test_a_notebook_folds_its_code_and_sets_its_formulas(site):
    text = (site / "results/notebooks/06_analysis.html").read_text()
    assert "<details" in text and "Show code" in text
    assert "<mfrac>" in text and "<msub>" in text and "\\frac" not in text
    assert 'alt="What is drawn"' in text


def test_every_picture_says_what_it_shows_and_every_page_is_named_by_its_heading(site):
    for page, found in pages_of(site).items():
        pictures = [named for tag, named in found.elements if tag == "img"]
        assert all(named.get("alt") for named in pictures), page
        text = page.read_text()
        assert '<html lang="en"' in text and 'class="skip-link' in text
        if "<h1>" in text:
            heading = re.sub(
                "<a class=.headerlink.*?</a>|<.*?>", "", *re.findall("<h1>(.*?)</h1>", text)
            )
            assert f"<title>{heading}" in text.replace("&#8217;", "’"), page
        heads = [named.get("scope") for tag, named in found.elements if tag == "th"]
        assert None not in heads, page


def test_a_second_build_replaces_the_first_and_leaves_nothing_beside(
    run, work, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "sphinx", lambda whole, out: shutil.copytree(whole / "pages", out))
    out = tmp_path / "report"
    report.build(run, out, work)
    monkeypatch.setattr(report.Part, "pages", lambda part, more=(): [])
    (out / "index.md").touch()
    report.build(run, out, work)
    assert (out / "index.md").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


OWN = {
    "a file beside the pages": lambda out: (out / "notes.txt").write_text("mine"),
    "a file deep below": lambda out: (out / "results/tables/mine.csv").write_text("mine"),
    "an edited page": lambda out: (out / "index.md").write_text("mine"),
    "a hidden file": lambda out: (out / ".mine").write_text("mine"),
    "a pipe": lambda out: os.mkfifo(out / "pipe"),
    "a link": lambda out: (out / "link").symlink_to("/no/where"),
    "no list of pages": lambda out: (out / report.WRITTEN).unlink(),
    "a list of another shape": lambda out: (out / report.WRITTEN).write_text("[1]"),
    "a run of that name": lambda out: (shutil.rmtree(out), (out / "done").mkdir(parents=True),
                                       (out / "done/01_ingest.json").write_text("{}")),
    "a file in its place": lambda out: (shutil.rmtree(out), out.write_text("mine")),
}  # fmt: skip


@pytest.mark.parametrize("kind", OWN)
def test_what_a_report_did_not_write_stops_it_before_anything_changes(
    run, work, tmp_path, monkeypatch, kind
):
    monkeypatch.setattr(report, "sphinx", lambda whole, out: shutil.copytree(whole / "pages", out))
    out = tmp_path / "report"
    report.build(run, out, work)
    OWN[kind](out)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="which this command did not write so: move the folder"):
        report.build(run, out, work)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


HARM = '<script>alert(1)</script><img src=x onerror=alert(2)><a href="javascript:alert(3)">l</a>'
MARKUP = [
    HARM,
    "<iframe src='http://evil'></iframe><link rel=stylesheet href='http://evil/x.css'>",
    "<style>td{background:url(http://evil)}</style><p style='background:url(http://evil)'>x</p>",
    "<svg><script>alert(1)</script></svg><math><a xlink:href='javascript:alert(1)'>x</a></math>",
    "<img src='http://evil/pixel.png'><img src='data:text/html,<script>1</script>'>",
    "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a><form action='http://evil'><input></form>",
    "<details ontoggle=alert(1) open><summary>x</summary></details><base href='http://evil'>",
    "<a href=' \tJaVaScRiPt:alert(1)'>x</a><meta http-equiv=refresh content='0;url=http://evil'>",
    "<styl<style></style>e>td{}</style><scr<style></style>ipt>alert(1)</scr<style></style>ipt>",
]


@pytest.fixture
def strange(tmp_path):
    """A run by a stranger, with markup wherever a text can stand."""
    run = tmp_path / "run"
    for name in ("tables", "figures", "notebooks"):
        (run / name).mkdir(parents=True)
    harm = "".join(MARKUP)
    named = ["scores-000", 'a"><img src=x onerror=alert(2)>']
    scores = dict(drug=harm, address=named, data_hash=harm, lib_hash="l")
    pd.DataFrame(scores).to_csv(run / "tables/scores.csv", index=False)
    rows = dict(study="All", split="on_cell", predictor=harm, r2=[0.1], reason=harm)
    pd.DataFrame(rows).to_csv(run / "tables/headline.csv", index=False)
    claim = dict(claim=[harm], arm=[harm], split=[harm], study=["All"], verdict=[harm], n=[1])
    pd.DataFrame(claim).to_csv(run / "tables/verdicts.csv", index=False)
    pd.DataFrame({harm: [1]}).to_csv(
        run / "tables" / "x'\"><b onmouseover=alert(3)>.csv", index=False
    )
    (run / "figures" / "f'\"><img src=x onerror=alert(4)>.png").write_bytes(b"x")
    (run / "figures" / "page.html").write_text("secret")
    store = dict(address=named, group=["g1", "g2"], recipe="{}", n=1)
    pd.DataFrame(store).to_parquet(run / "tables" / addresses.STORE)
    members = dict(group=["g1"], member=[harm])
    pd.DataFrame(members).to_parquet(run / "tables" / addresses.GROUPS)
    (run / "tables/sources.json").write_text('{"inputs": {"<script>": "<script>"}}')
    new = nbformat.v4.new_output
    outputs = [
        new("stream", name="stdout", text=harm),
        new("error", ename=harm, evalue=harm, traceback=[harm]),
        new("display_data", {"application/javascript": "alert(1)", "text/plain": "in words"}),
    ]
    outputs += [new("display_data", {"text/html": text}) for text in MARKUP]
    outputs += [new("display_data", {kind: harm}) for kind in ("text/markdown", "image/svg+xml")]
    cells = [nbformat.v4.new_markdown_cell(text) for text in [f"# Title {harm}", *MARKUP]]
    included = "```{include} ../../../../run/figures/page.html\n```"
    cells.append(nbformat.v4.new_markdown_cell(included))
    cells.append(nbformat.v4.new_code_cell(f"print('{harm}')", outputs=outputs))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), run / "notebooks" / "01_x.ipynb")
    return run


def test_a_strangers_run_puts_nothing_alive_into_the_pages(strange, tmp_path):
    site = report.build(strange, tmp_path / "site", tmp_path / "nothing").parent
    for page, found in pages_of(site).items():
        alive = {"script", "iframe", "svg", "form", "base", "style"} & {
            t for t, _ in found.elements
        }
        assert not alive or page.name == "search.html", page
        for tag, attributes in found.elements:
            assert not [name for name in attributes if name.startswith("on")], (page, tag)
            for name in ("src", "href", "action", "xlink:href", "style"):
                value = "".join(attributes.get(name, "").split()).lower()
                assert not value.startswith(("javascript:", "data:text")), (page, tag, value)
                assert "evil" not in value or tag == "a", (page, tag, value)
    assert not list(site.rglob("*onmouseover*")) and not list(site.rglob("page.html"))
    text = (site / "results/notebooks/01_x.html").read_text()
    assert "in words" in text and "secret" not in text


@pytest.mark.parametrize("text", ["[x](../../../../secret)", "![x](../../../../secret.png)"])
def test_a_page_shows_and_offers_files_of_the_site_alone(tmp_path, capfd, monkeypatch, text):
    monkeypatch.setattr(report, "DOCUMENTS", "README.md")
    for name in ("secret", "secret.png"):
        (tmp_path / name).write_text("secret")
    run = tmp_path / "run"
    for name in ("tables", "notebooks"):
        (run / name).mkdir(parents=True)
    pd.DataFrame(dict(a=[1])).to_csv(run / "tables" / "scores.csv", index=False)
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# T\n\n{text}")])
    nbformat.write(book, run / "notebooks" / "01_x.ipynb")
    with pytest.raises(ValueError, match="the pages could not be built"):
        report.build(run, tmp_path / "site", tmp_path / "nothing")
    assert "which is outside the site" in capfd.readouterr().err
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("group", ["../../x", "/etc/x", "a/b", "..", ".hidden", "a\\b", "x" * 300])
def test_a_name_that_leads_out_of_the_site_is_refused(strange, tmp_path, group):
    store = pd.read_parquet(strange / "tables" / addresses.STORE).assign(group=group)
    store.to_parquet(strange / "tables" / addresses.STORE)
    with pytest.raises(ValueError, match=r"addresses.parquet: the group .* is no name of a file"):
        report.build(strange, tmp_path / "site", tmp_path / "nothing")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("verdicts.csv", "claim,arm,verdict\na,b,c\n", "verdicts.csv has no column 'split'"),
        ("headline.csv", "", "headline.csv cannot be read"),
        ("scores.csv", 'a,b\n"x', "scores.csv cannot be read"),
        (addresses.STORE, "PAR1", "addresses.parquet cannot be read"),
        (addresses.GROUPS, "", "address_members.parquet cannot be read"),
    ],
)
def test_a_damaged_table_is_named_and_the_earlier_report_stays(
    strange, tmp_path, capsys, monkeypatch, name, text, said
):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    earlier = tmp_path / "runs" / "report" / "index.html"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("earlier")
    hashes = {"index.html": files.sha256(earlier)}
    earlier.with_name(report.WRITTEN).write_text(json.dumps(hashes))
    (strange / "tables" / name).write_text(text)
    assert report.main(["--run", str(strange)]) == 1
    printed = capsys.readouterr().out
    assert said in printed and len(printed.splitlines()) == 1
    assert earlier.read_text() == "earlier"
    assert [path.name for path in earlier.parent.parent.iterdir()] == ["report"]


CELL = dict(cell_type="code", id="b", metadata={}, source="x", outputs=[], execution_count=1)
BOOKS = {
    "nothing": "",
    "half a file": "{",
    "a list": "[]",
    "null": "null",
    "no cells": json.dumps(dict(nbformat=4, nbformat_minor=5, metadata={})),
    "cells without end": "[" * 100_000,
    **{
        kind: json.dumps(dict(cells=cells, nbformat=4, nbformat_minor=5, metadata={}))
        for kind, cells in {
            "a dictionary of cells": {},
            "a number for a cell": [1],
            "a cell of another kind": [CELL | dict(cell_type="other")],
            "a number for a text": [CELL | dict(cell_type="markdown", source=5)],
            "no outputs": [CELL | dict(outputs=None)],
            "tags in one text": [CELL | dict(metadata=dict(tags="a"))],
            "a list of forms": [
                CELL | dict(outputs=[dict(output_type="display_data", metadata=[], data={})])
            ],
        }.items()
    },
}


@pytest.mark.parametrize("kind", BOOKS)
def test_a_notebook_of_another_shape_is_named(strange, tmp_path, capsys, monkeypatch, kind):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    (strange / "notebooks" / "09_odd.ipynb").write_text(BOOKS[kind])
    assert report.main(["--run", str(strange)]) == 1
    said = capsys.readouterr().out
    assert "09_odd.ipynb is no notebook (" in said and len(said.splitlines()) == 1


LINKS = {
    "a figure": lambda run, secret: (run / "figures/mine.png").symlink_to(secret),
    "a table": lambda run, secret: (run / "tables/mine.csv").symlink_to(secret),
    "a notebook": lambda run, secret: (run / "notebooks/mine.ipynb").symlink_to(secret),
    "a folder": lambda run, secret: (run / "tables/deep").symlink_to(secret.parent),
    "all tables": lambda run, secret: (
        (run / "tables").rename(secret.parent / "tables"),
        (run / "tables").symlink_to(secret.parent / "tables"),
    ),
    "a pipe": lambda run, secret: os.mkfifo(run / "figures/mine.png"),
}


@pytest.mark.parametrize("kind", LINKS)
def test_a_run_that_leads_elsewhere_shows_nothing_of_it(
    strange, tmp_path, capsys, monkeypatch, kind
):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    secret = tmp_path / "elsewhere" / "secret"
    secret.write_text("a\nsecret\n")
    LINKS[kind](strange, secret)
    assert report.main(["--run", str(strange)]) == 1
    assert "is no plain file" in capsys.readouterr().out and not (tmp_path / "runs/report").exists()


@pytest.mark.parametrize("text", ["[1]", "3", "{", '{"inputs": "x"}', '{"inputs": [1]}'])
def test_notes_of_another_shape_are_none(run, work, tmp_path, text):
    copied = shutil.copytree(run, tmp_path / "run")
    (copied / "tables" / "sources.json").write_text(text)
    report.write(copied, tmp_path / "site", work, None)


def test_without_the_runs_the_lists_still_give_their_members(run, tmp_path):
    report.write(run, tmp_path, tmp_path / "no tables", None)
    listed = list((tmp_path / "files/results/members").glob("*.csv"))
    assert len(listed) > 2 and list(pd.read_csv(listed[0])) == ["member"]


def test_a_long_list_of_runs_gives_ids_only(run, work, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LISTED_RUNS", 1)
    report.write(run, tmp_path, work, None)
    listed = next((tmp_path / "files/results/members").glob("*.csv"))
    assert list(pd.read_csv(listed)) == ["run_id", "shard", "configuration"]


def test_a_larger_sweep_gives_the_verdicts_and_has_pages_of_its_own(run, work, tmp_path):
    results = tmp_path / "results"
    larger = shutil.copytree(run, results / "reference")
    (larger / "tables" / "verdicts.csv").write_text(
        "claim,arm,split,gain,verdict,study,n\n"
        "SNPs help,sound,on_drug,0.0025,supported,All,9\nSNPs help,sound,on_drug,0.0025,hurts,GDSC,9\n"
    )
    (results / "sweep").mkdir()
    for name in ("runs", "scores"):
        shutil.copy(work / "sweep" / "simulated" / f"{name}.parquet", results / "sweep")
    whole = tmp_path / "whole"
    report.write(run, whole, work, results)
    front = (whole / "pages/index.md").read_text()
    assert "supported" in front and "hurts" not in front and "0.0101" not in front
    assert "\n/results/reference\n" in front
    assert "/results/reference/figures" in (whole / "pages/results/reference.md").read_text()
    listed = next((whole / "files/results/reference/members").glob("*.csv"))
    assert "snp" in pd.read_csv(listed)


def test_an_unfinished_run_is_refused_with_the_remedy(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="run `make demo` first"):
        report.build(tmp_path, tmp_path / "report", tmp_path)
    assert report.main(["--run", str(tmp_path)]) == 1
    assert "make demo" in capsys.readouterr().out


def test_numbers_are_aligned_and_rounded_but_the_file_keeps_them():
    frame = pd.DataFrame(dict(a=[0.123456789, np.nan], n=[3, 4], b=["x", "y"]))
    shown = report.PAGES.get_template("macros.j2").module.table(frame)
    assert '<td class="n" data-order="0.123456789">0.1235</td>' in shown
    assert '<td data-order="">–</td>' in shown and '<td class="n" data-order="3">3</td>' in shown


@pytest.fixture(scope="module")
def whole_site(tmp_path_factory):
    """The site of what is kept in `results/`."""
    out = tmp_path_factory.mktemp("whole") / "report"
    return report.build(RESULTS, out, DATA / "processed" / "demo", RESULTS).parent


@pytest.mark.slow
def test_the_site_of_the_kept_results_is_whole(whole_site, capfd):
    pages = require_whole(whole_site)
    assert {"README.html", "glossary.html"} & {path.name for path in pages}
    for page, found in pages.items():
        pictures = [named for tag, named in found.elements if tag == "img"]
        assert all(named.get("alt") for named in pictures), page


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@pytest.fixture(params=[1280, 400])
def page(request, browser):
    """A page of the browser; at the end, nothing was wrong and nothing came from elsewhere."""
    page = browser.new_page(viewport=dict(width=request.param, height=900), color_scheme="light")
    page.set_default_timeout(120_000)
    wrong = []
    page.on("console", lambda said: wrong.append(said.text) if said.type != "log" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url[:4] == "http" else None)
    yield page
    page.close()
    assert not wrong


SHOWN = [
    "index.html",
    "README.html",
    "documents.html",
    "search.html",
    "results/notebooks/02_hill_fit.html",
    "results/notebooks/06_analysis.html",
    "results/figures.html",
    "results/tables/headline.html",
    "results/reference/tables/groups.html",
]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_no_page_scrolls_sideways_and_its_navigation_is_one_line(whole_site, page):
    for name in SHOWN:
        page.goto((whole_site / name).as_uri())
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= page.viewport_size["width"], name
        assert page.locator(".bd-header").bounding_box()["height"] < 100, name


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_what_a_reader_touches_works(whole_site, page):
    page.goto((whole_site / "search.html").as_uri() + "?q=ComBat")
    page.wait_for_selector("#search-results li a")
    page.goto((whole_site / "results/tables/headline.html").as_uri())
    page.wait_for_selector(".dt-search input")
    cells = page.locator("tbody tr td:nth-child(6)")
    page.locator("thead th:nth-child(6)").click()
    page.wait_for_selector("thead th:nth-child(6)[aria-sort=ascending]")
    values = [float(text) for text in cells.all_inner_texts() if text != "–"]
    assert values == sorted(values) and len(set(values)) > 10
    page.fill(".dt-search input", "ridge")
    assert set(page.locator("tbody tr td:nth-child(5)").all_inner_texts()) == {"ridge"}
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.evaluate("document.querySelector('.theme-switch-button').click()")
    page.locator(".pst-theme-menu, .dropdown-menu").get_by_text("Dark").first.dispatch_event(
        "click"
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper
    page.goto((whole_site / "results/notebooks/02_hill_fit.html").as_uri())
    fraction = page.locator("mfrac").first.bounding_box()
    assert fraction["height"] > 20 and "$" not in page.locator("math").first.text_content()
    page.locator(".cell details summary").first.click()
    assert page.locator("button.copybtn").count() > 5


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_link_to_a_number_leads_to_its_row(whole_site, page):
    store = pd.read_parquet(RESULTS / "reference" / "tables" / addresses.STORE)
    address = store.loc[store["address"].str.startswith("contrasts-"), "address"].iloc[-1]
    url = (whole_site / "results/reference/tables/contrasts.html").as_uri()
    page.goto(f"{url}#{address}")
    page.wait_for_selector(".dt-search")
    box = page.locator(f"[id='{address}']").bounding_box()
    assert 80 < box["y"] < 900
