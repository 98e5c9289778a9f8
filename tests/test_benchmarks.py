"""A benchmark replaces its own section of benchmarks/README.md and touches nothing else."""

import pytest

from benchmarks import __main__ as bench


def test_a_section_is_added_once_and_then_replaced_in_place():
    page = bench.put(bench.put(bench.HEADER, "a", "## A\none"), "b", "## B\ntwo")
    again = bench.put(page, "a", "## A\nthree")
    assert again == page.replace("## A\none", "## A\nthree") and again.count("## A") == 1
    assert again.startswith(bench.HEADER.rstrip()) and again.index("## A") < again.index("## B")


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
