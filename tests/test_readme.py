"""The README says what the committed tables say, and what it names is there."""

import re
import subprocess
import sys

import pandas as pd
import pytest
import yaml

from lib.paths import RESULTS, ROOT
from results import findings, readme

TEXT = (ROOT / "README.md").read_text()
BLOCKS = ("answers", "claims", "headline", "timings", "sizes", "licences")
REFERENCE, GDSC = RESULTS / "reference" / "tables", RESULTS / "gdsc" / "tables"


def block(text, name):
    return text.partition(f"<!-- {name} -->")[2].partition(f"<!-- /{name} -->")[0].strip()


@pytest.fixture
def copies(tmp_path):
    """Tables of all three runs, to be changed; where each lies."""
    for name, folder in readme.folders().items():
        (tmp_path / name).mkdir()
        for path in folder.glob("*.csv"):
            (tmp_path / name / path.name).write_text(path.read_text())
    return {name: tmp_path / name for name in readme.folders()}


def change(path, rows, **values):
    table = pd.read_csv(path)
    at = pd.Series(True, table.index)
    for column, value in rows.items():
        at &= table[column] == value
    assert at.any()
    for column, value in values.items():
        table.loc[at, column] = value
    table.to_csv(path, index=False)


def test_the_readme_shows_the_committed_tables():
    assert readme.render(TEXT, readme.folders()) == TEXT, (
        "run python -m results.readme and commit README.md"
    )


@pytest.mark.parametrize("name", BLOCKS)
def test_a_readme_without_one_of_its_blocks_is_refused(name):
    without = TEXT.replace(f"<!-- {name} -->", "")
    with pytest.raises(ValueError, match=f"has no block <!-- {name} -->"):
        readme.render(without, readme.folders())


@pytest.mark.parametrize("name", BLOCKS)
def test_a_number_typed_into_a_block_is_replaced(name):
    typed = TEXT.replace(f"<!-- {name} -->\n", f"<!-- {name} -->\nR² 0.99\n")
    assert readme.render(typed, readme.folders()) == TEXT


def test_the_blocks_that_tables_of_a_run_make_change_with_them(copies):
    change(copies["reference"] / "ceiling.csv", dict(study="All"), r2=0.8765)
    change(copies["demo"] / "headline.csv", dict(study="All", predictor="ridge"), r2=0.1234)
    change(copies["demo"] / "timings.csv", dict(notebook="01_ingest"), peak_mb=98765)
    text = readme.render(TEXT, copies)
    assert "0.88" in block(text, "answers") and "0.123" in block(text, "headline")
    assert "01_ingest, took 98,765 MB" in block(text, "timings")


def test_each_answer_is_one_short_text_with_the_numbers_of_its_rows():
    found = dict(findings.answers(REFERENCE, GDSC))
    assert len(found) == 5
    for answer in found.values():
        assert answer.endswith(".") and len(answer.split()) <= 60
    cells = pd.read_csv(REFERENCE / "quality.csv")
    cells = cells[(cells.arm == "sound") & (cells.split == "on_cell") & (cells.study == "All")]
    r2 = cells.set_index("predictor")["r2"]
    first = next(iter(found.values()))
    assert all(f"{r2[name]:.2f}" in first for name in ("mean_effects", "ridge"))


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        ("supported", "Yes on unseen cell lines"),
        ("contradicted", "No, they lower the score on unseen cell lines"),
        ("not settled", "Not settled on unseen cell lines"),
        ("no effect larger than 0.02", "No (no effect larger than 0.02) on unseen cell lines"),
    ],
)
def test_the_verdict_chooses_the_words(copies, verdict, says):
    at = dict(claim="SNPs help", arm="sound", split="on_cell", study="All")
    change(copies["reference"] / "verdicts.csv", at, verdict=verdict)
    assert dict(findings.answers(copies["reference"], GDSC))["Do SNP counts help?"].startswith(says)


def test_a_gain_that_is_told_from_zero_is_no_longer_hardly_any(copies):
    at = dict(arm="sound", split="on_drug", study="All", predictor="ridge")
    question = "Can the response to an unseen drug be predicted?"
    change(copies["gdsc"] / "quality.csv", dict(split="on_drug"), gain_low=-0.1)
    tables = copies["reference"], copies["gdsc"]
    assert dict(findings.answers(*tables))[question].startswith("Hardly")
    change(copies["reference"] / "quality.csv", at, gain=0.05, gain_low=0.01)
    assert dict(findings.answers(*tables))[question].startswith("A little")
    change(copies["reference"] / "quality.csv", at, gain=0.3)
    assert dict(findings.answers(*tables))[question].startswith("Yes")


def test_a_t_test_that_keeps_its_promise_is_trusted(copies):
    change(copies["reference"] / "simulated_promises.csv", dict(planted=0), significant=0.05)
    found = dict(findings.answers(copies["reference"], GDSC))["Can the paper's t-test be trusted?"]
    assert found.startswith("Yes") and "5% of them on unseen cell lines" in found


def test_the_target_of_the_paper_flatters_the_mean_of_a_drug(copies):
    at = dict(study="GDSC2", split="on_cell")
    change(copies["gdsc"] / "target_choice.csv", at | dict(target="auc_published_curve"), r2=0.912)
    change(copies["gdsc"] / "target_choice.csv", at | dict(target="auc_tested"), r2=0.123)
    first = findings.answers(REFERENCE, copies["gdsc"])[0][1]
    assert "to 0.91 over the paper's fixed range, beyond the doses tested, and 0.12 to" in first
    (copies["gdsc"] / "target_choice.csv").unlink()
    assert "GDSC" not in findings.answers(REFERENCE, copies["gdsc"])[0][1]


def test_the_larger_data_set_adds_its_answer_where_it_has_one(copies):
    question = "Can the response to an unseen drug be predicted?"
    found = dict(findings.answers(REFERENCE, GDSC))[question]
    assert "`gdsc`" in found and "more than shuffled ones" in found
    at = dict(claim=findings.DESCRIPTORS, arm="sound", split="on_drug", study="All")
    change(copies["gdsc"] / "verdicts.csv", at, verdict="not settled")
    assert "shuffled" not in dict(findings.answers(REFERENCE, copies["gdsc"]))[question]
    change(copies["gdsc"] / "quality.csv", dict(split="on_drug"), gain_low=None)
    assert "`gdsc`" not in dict(findings.answers(REFERENCE, copies["gdsc"]))[question]


def test_the_larger_data_set_answers_for_genes_on_unseen_drugs_where_it_settles_it(copies):
    question = "Does gene expression help?"
    assert "753 unseen drugs (`gdsc`)" in dict(findings.answers(REFERENCE, GDSC))[question]
    at = dict(claim=findings.GENES, arm="sound", split="on_drug", study="All")
    for name in ("reference", "gdsc"):
        change(copies[name] / "verdicts.csv", at, verdict="not settled")
    found = dict(findings.answers(copies["reference"], copies["gdsc"]))[question]
    assert "Not settled on unseen drugs: " in found and "`gdsc`" not in found


def test_the_larger_data_set_decides_a_claim_only_where_it_settles_it(copies):
    lines = dict(claim="SNPs help", arm="sound", split="on_cell", study="All")
    drugs = lines | dict(split="on_drug")
    tables = copies["reference"], copies["gdsc"]

    def shown(own, more):
        for folder, verdict in zip(tables, (own, more), strict=True):
            change(folder / "verdicts.csv", drugs, verdict=verdict)
        return findings.board(*tables).loc["SNPs help", ("sound", "on_drug")]

    assert shown("not settled", "supported") == "supported (`gdsc`)"
    assert shown("not settled", "not compared") == "not settled"
    assert shown("not compared", "not settled") == "–"
    assert shown("supported", "supported") == "supported"
    assert shown("supported", "contradicted") == "supported; contradicted (`gdsc`)"
    change(copies["reference"] / "verdicts.csv", lines, verdict="not settled")
    before = block(readme.render(TEXT, copies), "claims")
    change(copies["gdsc"] / "verdicts.csv", lines, verdict="supported")
    after = block(readme.render(TEXT, copies), "claims")
    counts = [int(re.search(r"(\d+) of \d+ verdicts", text)[1]) for text in (before, after)]
    assert counts[1] == counts[0] + 1


def test_without_tables_each_answer_says_so(tmp_path):
    (tmp_path / "quality.csv").write_text("")
    found = findings.answers(tmp_path, tmp_path / "none")
    assert {answer for _, answer in found} == {findings.OPEN}


def test_every_bundled_file_has_its_licence_in_the_table():
    cards = yaml.safe_load((ROOT / "data" / "open.yml").read_text())["files"]
    listed = re.findall(r"`(\S+?)`", block(TEXT, "licences").partition("---|")[2])
    assert len(listed) == len(set(listed)) == len(cards)
    assert all((ROOT / "data" / "open").glob(f"{name}*") for name in listed)


def test_every_link_of_the_readme_leads_to_a_file():
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_the_readme_tells_to_run_is_there():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"(?<!GNU )\bmake ([a-z-]+)", TEXT))
    assert {"demo", "lab", "test"} <= targets
    assert [name for name in targets if f"\n{name}:" not in makefile] == []
    profiles = set(re.findall(r"--profile ([a-z_]+)", TEXT))
    assert [name for name in profiles if not (ROOT / f"profiles/{name}.yml").exists()] == []
    usage = subprocess.run(
        [sys.executable, "run_all.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = re.findall(r"`(?:python run_all\.py )?(--[^`]*)`", TEXT)
    assert len(lines) > 4
    flags = set(re.findall(r"--[a-z-]+", " ".join(lines)))
    assert [flag for flag in flags if flag not in usage] == []
