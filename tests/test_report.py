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
    baselines = percentiles.baseline_scores(ledger)
    book = provenance.Book(out, work)
    book.save(percentiles.factor_table(baselines, merged, removed, "table1", "snp"), "table1_snp")
    book.save(headline.headline(ledger), "headline")
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
    assert "Unseen cells: open." in front and '<td class="n">0.0101</td>' in front
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


def test_a_second_build_replaces_the_first(run, work, tmp_path):
    out = tmp_path / "report"
    report.build(run, out, work)
    (out / "old.html").write_text("left over")
    report.build(run, out, work)
    assert not (out / "old.html").exists() and (out / "index.html").exists()


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
