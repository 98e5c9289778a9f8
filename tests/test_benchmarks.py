"""A benchmark replaces its own section of benchmarks/README.md and touches nothing else."""

import json

import pytest

from benchmarks import __main__ as bench


def test_a_section_is_added_once_and_then_replaced_in_place():
    page = bench.put(bench.put(bench.HEADER, "a", "## A\none"), "b", "## B\ntwo")
    again = bench.put(page, "a", "## A\nthree")
    assert again == page.replace("## A\none", "## A\nthree") and again.count("## A") == 1
    assert again.startswith(bench.HEADER.rstrip()) and again.index("## A") < again.index("## B")


def test_three_numbers_of_the_sections_stand_on_top():
    page = bench.README.read_text()
    assert bench.in_short(page) == page and page.index("in short") < page.index("## ")
    assert page.partition("<!-- end of in short -->")[0].count("* **") == 3
    faster = page.replace(" × |\n| `hill.fit`, no two", "9 × |\n| `hill.fit`, no two")
    assert bench.in_short(faster) != faster


def test_only_the_benchmarks_asked_for_run_and_a_failing_one_leaves_the_others(
    tmp_path, monkeypatch, capsys
):
    class Fake:
        def __init__(self, name):
            self.name = name

        def main(self):
            if self.name.endswith("bad"):
                raise RuntimeError("no peer here")
            return f"## {self.name}"

    for name in ("bad", "good", "other"):
        (tmp_path / f"bench_{name}.py").touch()
    monkeypatch.setattr(bench, "FOLDER", tmp_path)
    monkeypatch.setattr(bench, "README", tmp_path / "README.md")
    monkeypatch.setattr(bench.importlib, "import_module", Fake)
    with pytest.raises(SystemExit, match=r"failed: \['bad'\]"):
        bench.main(["bad", "good"])
    text = (tmp_path / "README.md").read_text()
    assert "## benchmarks.bench_good" in text and "bad" not in text and "other" not in text
    assert "no peer here" in capsys.readouterr().err


def test_an_unknown_benchmark_is_refused():
    with pytest.raises(SystemExit, match="unknown benchmark"):
        bench.main(["nothing"])


def test_a_benchmark_of_ingest_says_plainly_what_is_not_reached():
    from benchmarks import bench_ingest

    table = dict(
        peer=dict(seconds=[10], mb=[1000]),
        peer_one=dict(seconds=[18], mb=[1000]),
        ours=dict(seconds=[4], mb=[200]),
        engine=dict(seconds=[2.5], mb=[9]),
    )
    said = bench_ingest._verdict(table, "peer", "ours", "engine")
    assert (
        "Speed not reached (2.5; 4.5 against one processor), memory reached (0.20), bound kept (0.2 GB)"
        in said
    )
    assert said.endswith(
        "gets 4.0 and 7.2 on these processors; the reader takes 1.6 times as long as it."
    )
    table["ours"]["seconds"] = [1]
    assert "Speed reached (10.0; 18.0 against one processor)" in bench_ingest._verdict(
        table, "peer", "ours", "engine"
    )


def test_the_benchmark_of_training_trains_and_knows_what_a_step_cannot_do_without():
    from benchmarks import bench_train

    size = bench_train.Size("tiny", 30, 6, 20, 5, 1024, (8, 4), 2)
    for changes in ({}, bench_train.SOUND):
        stacked = bench_train.Stacked(size, size.stack, "cpu", "fp32", **changes)
        stacked.epoch()
        stacked.evaluate()
        flop, moved = stacked.work()
        trunk = 8 * 4 + 4 + 4 + 1 + 8
        assert flop == 4 * 8 * (30 * 6 + 20 * 5) + 6 * 512 * trunk
        assert moved == 32 * stacked.arch.n_parameters and stacked.limit() > 0


def test_the_profile_of_the_demo_accounts_for_every_second_of_its_copies(tmp_path, monkeypatch):
    from benchmarks import bench_demo

    (tmp_path / "notebooks").mkdir()
    (tmp_path / "tables").mkdir()
    for name, at in (("01_a", 0), ("05_b.one", 10), ("05_b.two", 12)):
        _executed(tmp_path / "notebooks" / f"{name}.ipynb", at)
    peaks = "notebook,peak_mb\n01_a,700\n05_b.one,900\n05_b.two,1100\n"
    (tmp_path / "tables" / "timings.csv").write_text(peaks)
    monkeypatch.setattr(bench_demo, "RESULTS", tmp_path)
    before = bench_demo.cell_times(tmp_path).assign(seconds=lambda table: 2 * table.seconds)
    before.to_csv(tmp_path / "before.csv", index=False)
    monkeypatch.setattr(bench_demo, "BEFORE", tmp_path / "before.csv")
    section = bench_demo.main()
    assert "**20 s** (28 s before), having worked for 24 s (48 s before)" in section
    assert "| 05_b | 2 | 16 | 32 | 2 | 4 | `fit` 10.0 | 1,100 |" in section


def _executed(path, at):
    """An executed copy of 8 seconds: 2 of imports, 5 of a fit, 1 to start."""
    cells = [
        {"cell_type": "code", "id": name, "metadata": {"papermill": {"duration": seconds}}}
        for name, seconds in (("setup", 2.0), ("fit", 5.0))
    ]
    whole = {"start_time": f"2026-01-01T00:00:{at:02d}", "duration": 8.0}
    path.write_text(json.dumps({"cells": cells, "metadata": {"papermill": whole}}))
