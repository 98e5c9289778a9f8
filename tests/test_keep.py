"""A finished run is kept whole; an unfinished one is refused, and nobody's own file is replaced."""

import base64
import io
import json
import subprocess

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from lib.paths import RESULTS, ROOT
from lib.run import schedule
from results import keep


def test_an_unfinished_run_is_refused_and_the_earlier_reference_kept(tmp_path):
    (tmp_path / "results" / "tables").mkdir(parents=True)
    (tmp_path / "results" / "tables" / "old.csv").write_text("kept")
    with pytest.raises(FileNotFoundError, match="finish the run first"):
        keep.refresh(tmp_path / "run", tmp_path)
    assert (tmp_path / "results" / "tables" / "old.csv").read_text() == "kept"


def test_the_analysis_of_the_packed_sweep_is_kept_without_what_other_notebooks_made(tmp_path):
    run = tmp_path / "runs" / "reference_analysis"
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    for kind, names in dict(
        tables=("verdicts.csv", "nb02_filter.csv", "fig5_mixing.csv", ".new.csv.tmp"),
        figures=("fig2_cross_study.png", "nb01_ranges.png", "run_timeline.png"),
        notebooks=("01_ingest.ipynb", "06_analysis.ipynb"),
    ).items():
        (run / kind).mkdir(parents=True)
        for name in names:
            (run / kind / name).write_text('{"cells": []}')
        for path in (run / kind).glob("*.png"):
            Image.new("RGB", (2, 2)).save(path)
    (run / "tables" / "old.csv").write_text("left over")
    keep.refresh(run, tmp_path)
    (run / "tables" / "old.csv").unlink()
    keep.refresh(run, tmp_path)
    kept = {
        p.relative_to(tmp_path / "results/reference").as_posix()
        for p in tmp_path.rglob("reference/*/*")
    }
    assert kept == {
        "tables/verdicts.csv",
        "figures/fig2_cross_study.png",
        "notebooks/06_analysis.ipynb",
    }


def test_an_analysis_that_did_not_finish_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="--profile reference_analysis"):
        keep.refresh(tmp_path / "reference_analysis", tmp_path)


def test_the_profile_that_analyses_the_packed_sweep_trains_nothing():
    import yaml

    profile = yaml.safe_load((ROOT / "profiles" / "reference_analysis.yml").read_text())
    assert "sweep" not in profile
    assert (ROOT / profile["notebooks"]["06_analysis"]["sweep"] / "runs.parquet").exists()


def test_timings_come_from_the_markers(tmp_path):
    (tmp_path / "done").mkdir()
    for i, name in enumerate(["01_ingest", "02_hill_fit"]):
        marker = dict(started=1000.0 + 13 * i, seconds=12.34, peak_mb=801.6, n_runs=i)
        (tmp_path / "done" / f"{name}.json").write_text(json.dumps(marker))
    found = keep.timings(tmp_path).to_dict("records")
    assert (
        found[1] | dict(notebook="02_hill_fit", start=13.0, seconds=12.3, peak_mb=802, n_runs=1)
        == found[1]
        and found[0]["start"] == 0
        and found[0]["processor"]
    )


def test_kept_pictures_are_light_and_look_the_same(tmp_path):
    figure, ax = plt.subplots()
    ax.scatter(*np.random.default_rng(0).normal(size=(2, 300)), c="#0072B2", alpha=0.5)
    figure.savefig(tmp_path / "fig.png", dpi=150)
    plt.close(figure)
    before = (tmp_path / "fig.png").read_bytes()
    output = {"data": {"image/png": base64.b64encode(before).decode()}}
    prose = {"cell_type": "markdown", "source": ["the [gain](glossary.md#gain), ", "[x](a/b.md)"]}
    notebook = {"cells": [{"cell_type": "code", "outputs": [output]}, prose]}
    (tmp_path / "n.ipynb").write_text(json.dumps(notebook))
    keep.lighten(tmp_path, "../../")
    after = (tmp_path / "fig.png").read_bytes()
    made, prose = json.loads((tmp_path / "n.ipynb").read_text())["cells"]
    assert "".join(prose["source"]) == "the [gain](../../notebooks/glossary.md#gain), [x](a/b.md)"
    inside = made["outputs"][0]["data"]
    assert len(after) < 0.6 * len(before) and base64.b64decode(inside["image/png"]) == after
    pixels = [
        np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), int) for png in (before, after)
    ]
    assert np.abs(pixels[0] - pixels[1]).mean() < 1


def test_a_legend_keeps_its_colours_beside_a_cloud_of_thousands():
    figure, ax = plt.subplots(figsize=(10, 3.6))
    shades = np.random.default_rng(0).uniform(0, 1, (9000, 3)) * [0.1, 0.5, 0.6]
    ax.scatter(*np.random.default_rng(1).normal(size=(2, 9000)), c=shades, s=8, alpha=0.35, lw=0)
    for colour in ("#BF8300", "#D55E00"):
        ax.plot([], [], "o", color=colour, label=colour)
    ax.legend()
    written = io.BytesIO()
    figure.savefig(written, dpi=150)
    plt.close(figure)
    kept = Image.open(io.BytesIO(keep.in_few_colours(written.getvalue()))).convert("RGB")
    seen = np.array([colour for _, colour in kept.getcolors(kept.width * kept.height)])
    for colour in ((191, 131, 0), (213, 94, 0)):
        assert np.abs(seen - colour).max(axis=1).min() <= 16


def finished(root, name):
    """A finished run of a profile, whose tables hold its name."""
    run = root / "results" / "runs" / name
    for kind in ("done", *keep.KINDS):
        (run / kind).mkdir(parents=True)
    (run / "tables" / "headline.csv").write_text((RESULTS / "tables/headline.csv").read_text())
    (run / "tables" / "verdicts.csv").write_text(name)
    marker = dict(started=1.0, seconds=2.0, peak_mb=3)
    (run / "done" / "01_ingest.json").write_text(json.dumps(marker))
    return run


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with committed reference copies and a finished demo."""
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    for folder in ("results", "results/reference"):
        for kind in keep.KINDS:
            (tmp_path / folder / kind).mkdir(parents=True)
            (tmp_path / folder / kind / "old.csv").write_text("committed")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    finished(tmp_path, "demo")
    monkeypatch.setattr(keep, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(keep, "ROOT", tmp_path)
    for function in (keep.check, keep.refresh):
        monkeypatch.setattr(function, "__defaults__", (tmp_path,))
    keep.committed.cache_clear()
    return tmp_path


def tree(root):
    found = [p for p in root.rglob("*") if p.is_file() and ".git" not in p.parts]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in found}


def test_committed_copies_are_replaced_and_those_of_the_last_time_too(checkout):
    finished(checkout, "reference_analysis")
    for _ in range(2):
        assert keep.main([]) == 0
    assert not (checkout / "results/tables/old.csv").exists()
    assert (checkout / "results/reference/tables/verdicts.csv").read_text() == "reference_analysis"
    assert not list(checkout.rglob(".keep.*"))


def test_without_the_second_run_nothing_of_the_first_is_touched(checkout, capsys):
    before = tree(checkout)
    assert keep.main([]) == 1
    said = capsys.readouterr().err
    assert "reference_analysis has no tables/verdicts.csv" in said and len(said.splitlines()) == 1
    assert tree(checkout) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results/tables/mine.csv", "mine"),
        ("results/tables/old.csv", "edited"),
        ("results/notebooks/deep/er/mine.txt", "mine"),
        ("results/figures/.hidden", "mine"),
        ("results/reference/tables/mine.csv", "mine"),
        ("results/reference/notebooks/old.csv", "edited"),
    ],
)
def test_a_file_of_somebodys_own_stops_it_before_anything_changes(checkout, capsys, name, text):
    finished(checkout, "reference_analysis")
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text(text)
    before = tree(checkout)
    assert keep.main([]) == 1
    assert f"{name} was not written by this command" in capsys.readouterr().err
    assert tree(checkout) == before


@pytest.mark.parametrize("fault", ["keep.lighten", "readme.render", "keep.timings"])
def test_a_fault_on_the_way_leaves_the_earlier_copies_whole(checkout, monkeypatch, capsys, fault):
    def broken(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(f"results.{fault}", broken)
    before = tree(checkout)
    assert keep.main(["demo"]) == 1
    assert "No space left" in capsys.readouterr().err and tree(checkout) == before


def test_outside_of_git_what_is_there_is_somebodys_own(tmp_path):
    run = finished(tmp_path, "demo")
    (tmp_path / "README.md").write_text((ROOT / "README.md").read_text())
    (tmp_path / "results" / "tables").mkdir()
    (tmp_path / "results" / "tables" / "mine.csv").write_text("mine")
    with pytest.raises(ValueError, match="mine.csv was not written by this command"):
        keep.refresh(run, tmp_path)
    (tmp_path / "results" / "tables" / "mine.csv").unlink()
    keep.refresh(run, tmp_path)
    keep.refresh(run, tmp_path)


def test_a_run_that_has_not_ended_is_not_kept(checkout, capsys):
    finished(checkout, "reference_analysis")
    before = tree(checkout)
    with schedule.claim(checkout / "results/runs/reference_analysis"):
        assert keep.main([]) == 1
    said = capsys.readouterr().err
    assert "reference_analysis is held by a run that has not ended" in said
    after = tree(checkout)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("text", ["[1]", "3", "{", '"x"'])
def test_a_damaged_list_of_what_was_written_counts_as_none(checkout, text):
    finished(checkout, "reference_analysis")
    (checkout / keep.LIST).write_text(text)
    assert keep.main([]) == 0
