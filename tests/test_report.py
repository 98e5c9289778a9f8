"""The site opens from a file, every link leads somewhere, and each number leads to its runs."""

import html.parser
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import made_ledger
import nbformat
import numpy as np
import pandas as pd
import pytest

from lib.analysis import (
    configurations,
    headline,
    paper_tables,
    percentiles,
    provenance,
)
from results import report

CHROMIUM = next(
    (
        path
        for name in ("chromium", "chromium-browser", "google-chrome")
        if (path := shutil.which(name))
    ),
    None,
)


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
    """A small finished run: two tables with addresses, verdicts, a figure, a notebook."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    out = tmp_path_factory.mktemp("run")
    ledger = configurations.load(work)
    merged = configurations.merge_folds(ledger, runs=configurations.networks(ledger.runs))
    removed = paper_tables.removed_by_configuration(merged)
    baselines = headline.predictors(ledger)
    book = provenance.Book(out, work)
    book.save(percentiles.factor_table(baselines, merged, removed, "table1", "snp"), "table1_snp")
    book.save(headline.headline(headline.predictors(ledger)), "headline")
    line = dict(
        claim="SNPs <help>", split="on_cell", effect=0.0101, verdict="open", note="R & more"
    )
    book.save(pd.DataFrame([line]), "verdicts")
    book.close()
    (out / "figures").mkdir()
    figure = plt.figure(figsize=(1, 1))
    figure.savefig(out / "figures" / "fig1_auc.png")
    figure.savefig(out / "figures" / "fig1_auc.svg")
    plt.close(figure)
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("# 06 · Analysis\n\n**A question?**", id="title"),
            nbformat.v4.new_code_cell(
                "1 + 1",
                id="sum",
                outputs=[
                    nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=1)
                ],
            ),
        ]
    )
    (out / "notebooks").mkdir()
    nbformat.write(notebook, out / "notebooks" / "06_analysis.ipynb")
    return out


@pytest.fixture(scope="module")
def site(run, work, tmp_path_factory):
    return report.build(run, tmp_path_factory.mktemp("site") / "report", work).parent


class Links(html.parser.HTMLParser):
    """Every target of a page, and every anchor in it."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors, self.tags, self.elements = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append(tag)
        self.elements.append((tag, named))
        self.anchors.add(named.get("id"))
        self.targets += [named[key] for key in ("href", "src") if named.get(key)]


def pages_of(site):
    return {path: Links(path.read_text()) for path in site.rglob("*.html")}


def test_every_link_and_anchor_of_every_page_exists(site):
    pages = pages_of(site)
    for page, found in pages.items():
        for target in [t for t in found.targets if not t.startswith("data:")]:
            name, _, anchor = target.partition("#")
            path = (page.parent / unquote(name)).resolve() if name else page
            assert path.exists(), f"{page.name} links to {target}"
            assert not anchor or anchor in pages[path].anchors, f"{page.name} links to {target}"


def test_nothing_is_fetched_and_no_script_runs(site):
    for page, found in pages_of(site).items():
        assert not [t for t in found.targets if "//" in t], page
        assert "script" not in found.tags


def test_the_front_page_gives_the_verdicts_with_their_text_escaped(site):
    front = (site / "index.html").read_text()
    assert "SNPs &lt;help&gt;" in front and "R &amp; more" in front
    assert "Unseen cell lines: open." in front and '<td class="n">0.0101</td>' in front
    assert "mean_effects" in front


def test_one_link_leads_from_a_number_to_its_runs_and_back(site, run):
    store = pd.read_parquet(run / "tables" / provenance.STORE).set_index("address")
    address = store.index[0]
    assert f'<tr id="{address}">' in (site / "tables" / "table1_snp.html").read_text()
    assert (
        f'href="../addresses.html#{store.loc[address, "group"]}"'
        in (site / "tables" / "table1_snp.html").read_text()
    )
    members = pd.read_csv(site / "members" / f"{store.loc[address, 'group']}.csv")
    assert {"run_id", "shard", "snp", "commit", "torch", "data_key"} <= set(members)
    assert members["snp"].nunique() == 1
    assert f'href="tables/table1_snp.html#{address}"' in (site / "addresses.html").read_text()


def test_a_table_can_be_downloaded_as_it_was_written(site, run):
    assert (site / "tables" / "table1_snp.csv").read_bytes() == (
        run / "tables" / "table1_snp.csv"
    ).read_bytes()


def test_a_missing_number_is_a_dash_and_its_reason_stands_beside_it(site):
    text = (site / "tables" / "table1_snp.html").read_text()
    assert ">nan<" not in text.lower() and "the paper prints no baseline" in text


def test_an_address_beyond_the_shown_rows_leads_to_the_page_of_its_table(
    run, work, tmp_path, monkeypatch
):
    monkeypatch.setattr(report, "SHOWN_ROWS", 3)
    site = report.build(run, tmp_path / "report", work).parent
    assert "first 3 of" in (site / "tables" / "table1_snp.html").read_text()
    test_every_link_and_anchor_of_every_page_exists(site)


def test_a_second_build_replaces_the_first_and_nothing_else(run, work, tmp_path):
    out = tmp_path / "report"
    report.build(run, out, work)
    report.build(run, out, work)
    (out / "tables" / "mine.html").write_text("mine")
    with pytest.raises(ValueError, match="report holds tables/mine.html, which no report wrote"):
        report.build(run, out, work)
    assert (out / "tables" / "mine.html").read_text() == "mine" and (out / "index.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("kind", ["a folder", "a file", "a link", "a dot", "the run", "a list"])
def test_a_folder_in_use_is_refused_and_stays_as_it_is(run, work, tmp_path, capsys, kind):
    out = tmp_path / "out"
    if kind == "a file":
        out.write_text("mine")
    elif kind == "a link":
        (tmp_path / "elsewhere").mkdir()
        out.symlink_to(tmp_path / "elsewhere")
    elif kind == "the run":
        out = shutil.copytree(run, out)
    else:
        out.mkdir()
        (out / (".hidden" if kind == "a dot" else "mine.txt")).write_text("mine")
    if kind == "a list":
        (out / report.LIST).write_text('{"mine.txt": 1}')
    before = sorted(tmp_path.rglob("*"))
    options = ["--run", str(run), "--work", str(work), "--out", str(out)]
    assert report.main(options) == 1
    said = capsys.readouterr().out
    assert "--out" in said and len(said.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


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
    addresses = ["scores-000", 'a"><img src=x onerror=alert(2)>']
    scores = dict(drug=harm, address=addresses, data_hash=harm, lib_hash="l")
    pd.DataFrame(scores).to_csv(run / "tables/scores.csv", index=False)
    rows = dict(study="All", split="on_cell", predictor=harm, r2=[0.1], reason=harm)
    pd.DataFrame(rows).to_csv(run / "tables/headline.csv", index=False)
    claim = dict(claim=[harm], split=[harm], verdict=[harm])
    pd.DataFrame(claim).to_csv(run / "tables/verdicts.csv", index=False)
    pd.DataFrame({harm: [1]}).to_csv(
        run / "tables" / "x'\"><b onmouseover=alert(3)>.csv", index=False
    )
    (run / "figures" / "f'\"><img src=x onerror=alert(4)>.png").write_bytes(b"x")
    (run / "figures" / "evil.svg").write_text("<svg><script>alert(5)</script></svg>")
    (run / "figures" / "page.html").write_text(harm)
    store = dict(address=addresses, group=["g1", 'g"><img src=x>'], recipe="{}", n=1)
    pd.DataFrame(store).to_parquet(run / "tables" / provenance.STORE)
    members = dict(group=["g1"], member=[harm])
    pd.DataFrame(members).to_parquet(run / "tables" / provenance.GROUPS)
    (run / "tables/sources.json").write_text('{"inputs": {"<script>": "<script>"}}')
    new = nbformat.v4.new_output
    outputs = [
        new("stream", name="stdout", text=harm),
        new("error", ename=harm, evalue=harm, traceback=[harm]),
        new("display_data", {"application/javascript": "alert(1)", "text/plain": harm}),
    ]
    outputs += [new("display_data", {"text/html": text}) for text in MARKUP]
    outputs += [new("display_data", {kind: harm}) for kind in ("text/markdown", "image/svg+xml")]
    cells = [nbformat.v4.new_markdown_cell(text) for text in [f"# Title {harm}", *MARKUP]]
    cells.append(nbformat.v4.new_code_cell(f"print('{harm}')", outputs=outputs))
    nbformat.write(nbformat.v4.new_notebook(cells=cells), run / "notebooks" / "01_x.ipynb")
    return run


@pytest.mark.filterwarnings("ignore:Your element with mimetype")
def test_a_strangers_run_puts_nothing_alive_into_the_pages(strange, tmp_path):
    site = report.build(strange, tmp_path / "site", tmp_path / "nothing").parent
    for page, found in pages_of(site).items():
        assert not {"script", "iframe", "svg", "math", "form", "base", "style"} & set(found.tags), (
            page
        )
        for tag, attributes in found.elements:
            assert not [name for name in attributes if name.startswith("on")], (page, tag)
            for name in ("src", "href", "action", "xlink:href", "style"):
                value = "".join((attributes.get(name) or "").split()).lower()
                assert not value.startswith(("javascript:", "data:text")), (page, tag, value)
                assert "evil" not in value or value.startswith("../"), (page, tag, value)
    assert [path.name for path in site.glob("figures/*")] == ["index.html"]
    assert "2 file(s) are left out" in (site / "figures/index.html").read_text()
    assert not (site / "figures/page.html").exists()


@pytest.mark.parametrize("group", ["../../x", "/etc/x", "a/b", "..", ".hidden", "a\\b", "x" * 300])
@pytest.mark.filterwarnings("ignore:Your element with mimetype")
def test_a_name_that_leads_out_of_the_site_is_refused(strange, tmp_path, group):
    store = pd.read_parquet(strange / "tables" / provenance.STORE).assign(group=group)
    store.to_parquet(strange / "tables" / provenance.STORE)
    with pytest.raises(ValueError, match=r"addresses.parquet: the group .* is no name of a file"):
        report.build(strange, tmp_path / "site", tmp_path / "nothing")
    assert {path.name for path in tmp_path.iterdir()} == {"run"}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("verdicts.csv", "claim,verdict\na,b\n", "verdicts.csv has no column 'split'"),
        ("headline.csv", "split\non_cell\n", "headline.csv has no column 'study'"),
        ("headline.csv", "", "headline.csv cannot be read"),
        ("scores.csv", 'a,b\n"x', "scores.csv cannot be read"),
        (provenance.STORE, "PAR1", "addresses.parquet cannot be read"),
        (provenance.GROUPS, "", "address_members.parquet cannot be read"),
    ],
)
@pytest.mark.filterwarnings("ignore:Your element with mimetype")
def test_a_damaged_table_is_named_and_the_earlier_report_stays(
    strange, tmp_path, capsys, monkeypatch, name, text, said
):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    out = tmp_path / "site"
    options = ["--run", str(strange), "--work", str(tmp_path / "nothing"), "--out", str(out)]
    (strange / "notebooks/01_x.ipynb").unlink()
    report.build(strange, out, tmp_path / "nothing")
    (strange / "tables" / name).write_text(text)
    before = (out / "index.html").stat().st_ino
    assert report.main(options) == 1
    printed = capsys.readouterr().out
    assert said in printed and len(printed.splitlines()) == 1
    assert (out / "index.html").stat().st_ino == before


def test_without_the_runs_the_addresses_still_list_their_members(run, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "LISTED_RUNS", 1)
    site = report.build(run, tmp_path / "report", tmp_path / "no tables").parent
    assert len(list((site / "members").glob("*.csv"))) > 2


def test_a_larger_sweep_gives_the_verdicts_and_a_site_of_its_own(run, work, tmp_path):
    import shutil

    larger = shutil.copytree(run, tmp_path / "larger")
    (larger / "tables" / "verdicts.csv").write_text(
        "claim,split,effect,verdict\nSNPs help,on_drug,0.0025,supported\n"
    )
    (larger / "tables" / "removal.csv").write_text(
        "split,removed,n_configurations\non_cell,kept,1200\n"
    )
    packed = tmp_path / "packed"
    packed.mkdir()
    for name in ("runs", "scores"):
        shutil.copy(work / "sweep" / "simulated" / f"{name}.parquet", packed)
    site = report.build(run, tmp_path / "report", work, larger, packed).parent
    front = (site / "index.html").read_text()
    assert (
        "Unseen drugs: supported." in front
        and "1,200 configurations" in front
        and "0.0101" not in front
    )
    assert 'href="reference/index.html"' in front
    assert 'href="../index.html"' in (site / "reference" / "index.html").read_text()
    test_every_link_and_anchor_of_every_page_exists(site)
    listed = next((site / "reference" / "members").glob("*.csv"))
    assert "snp" in pd.read_csv(listed)


def test_an_unfinished_run_is_refused_with_the_remedy(tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="run `make demo` first"):
        report.build(tmp_path, tmp_path / "report", tmp_path)
    assert report.main(["--run", str(tmp_path), "--out", str(tmp_path / "report")]) == 1
    assert "make demo" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_chromium_shows_the_pages_without_a_console_error(site, tmp_path):
    for name in (
        "index.html",
        "tables/table1_snp.html",
        "notebooks/06_analysis.html",
        "figures/index.html",
    ):
        shot = tmp_path / f"{Path(name).stem}.png"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--window-size=1300,900",
            f"--user-data-dir={tmp_path}",
        ]
        done = subprocess.run(
            [CHROMIUM, *flags, f"--screenshot={shot}", (site / name).as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert shot.exists() and shot.stat().st_size > 5000, done.stderr[-500:]
        assert "CONSOLE" not in done.stderr, done.stderr[-500:]


def test_numbers_are_aligned_and_rounded_but_the_file_keeps_them():
    frame = pd.DataFrame(dict(a=[0.123456789, np.nan], n=[3, 4], b=["x", "y"]))
    shown = report.PAGES.get_template("macros.html.j2").module.table(frame)
    assert '<td class="n">0.1235</td>' in shown and "<td>–</td>" in shown
    assert '<td class="n">3</td>' in shown


def test_every_picture_says_what_it_shows_and_every_page_has_a_title_and_a_language(site):
    for page, found in pages_of(site).items():
        pictures = [named for tag, named in found.elements if tag == "img"]
        assert all(named.get("alt") for named in pictures), page
        text = page.read_text()
        assert (
            text.startswith('<!doctype html>\n<html lang="en">') and "<title></title>" not in text
        )


def test_outputs_that_need_a_script_or_a_server_are_left_out():
    script = {"application/javascript": "alert(1)", "text/plain": "in words"}
    output = nbformat.v4.new_output("display_data", script)
    cell = nbformat.v4.new_code_cell("show()", outputs=[output])
    body, _ = report.NOTEBOOKS.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    assert "in words" in body and "script" not in body
