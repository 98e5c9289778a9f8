"""What a run looks like from outside: the table, another shell's view, the plot, the estimate."""

import io
import json
import sys

import pytest
from matplotlib import pyplot

from lib.run import keys, plan, progress
from results import timeline


def event(t, kind, name="", **more):
    return {"t": float(t), "event": kind} | ({"name": name} if name else {}) | more


EVENTS = [
    event(
        100,
        "plan",
        profile="demo",
        slots=2,
        names=["01_ingest", "05_sweep.a", "05_sweep.b", "05_sweep.c", "06_x"],
    ),
    event(100, "skipped", "01_ingest", seconds=0, peak_mb=0),
    event(101, "start", "05_sweep.a"),
    event(101, "start", "05_sweep.b"),
    event(111, "done", "05_sweep.a", seconds=10.0, peak_mb=700),
    event(113, "retry", "05_sweep.b", seconds=12.0, peak_mb=0),
    event(114, "start", "05_sweep.b"),
]


@pytest.fixture
def out(tmp_path):
    for name in ("logs", "running", "figures", "done", "notebooks"):
        (tmp_path / "runs/demo" / name).mkdir(parents=True)
    log = "\n".join(
        json.dumps(e)
        for e in [EVENTS[0], event(1, "done", "01_ingest", seconds=9.0, peak_mb=1), *EVENTS]
    )
    (tmp_path / "runs/demo/logs/events.jsonl").write_text(log + '\n{"t": 115, "ev')
    return tmp_path / "runs/demo"


def shown(parts):
    """What `--status` prints, as lines."""
    console = progress.console()
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return [line.rstrip() for line in captured.get().splitlines()]


def test_the_table_has_a_row_per_notebook_of_the_newest_run_and_survives_a_torn_line(out):
    (out / "running/05_sweep.b.json").write_text(
        json.dumps({"cell": "train", "index": 4, "cells": 9, "line": "fit()"})
    )
    lines = shown(progress.status(out, alive=True))
    assert lines[0] == "profile demo: running"
    assert lines[1].split() == "notebook of done skipped failed not run running s MB now".split()
    row = lines[3].split()
    assert row[:7] == ["05_sweep", "3", "1", "0", "0", "0", "1"]
    assert int(row[7]) > 1000 and row[8:] == ["700", "train", "(5/9)"]  # it counts up
    assert lines[2].split() == "01_ingest 1 0 1 0 0 0 0 –".split()  # no memory was measured
    (out / "running/05_sweep.b.json").unlink()
    assert shown(progress.status(out, alive=True))[3].split()[8:] == ["700", "starting"]
    assert lines[-1].startswith("1 done, 1 skipped of 5 in ")


def test_the_remaining_time_is_that_of_the_unfinished_shards_on_the_workers_there_are():
    state = progress.State()
    for each in EVENTS:
        state.update(each)
    assert state.remaining() == 0 and progress.summary(state).endswith(" of 5 in 14 s")
    state.first = state.first | {"expected": {"05_sweep": 99, "06_x": 7}}
    assert state.remaining() == 2 * 10 / 2 + 7
    assert progress.summary(state) == "1 done, 1 skipped of 5 in 14 s, about 17 s to go"


def test_before_anything_has_finished_the_remaining_time_is_what_was_expected():
    state = progress.State()
    state.update(EVENTS[0] | {"expected": {"01_ingest": 4, "05_sweep": 10, "06_x": 7}})
    assert state.remaining() == 4 + 3 * 10 / 2 + 7
    state.update(event(101, "start", "01_ingest"))
    state.update(event(104, "start", "05_sweep.a"))
    assert state.remaining() == 1 + 3 * 10 / 2 + 7


def test_another_shell_is_told_when_nothing_ran_or_runs(out, tmp_path):
    assert progress.status(tmp_path, alive=False) == [f"no run yet in {tmp_path}"]
    cut = progress.status(out, alive=False)[0]
    assert cut.startswith("profile demo: was cut short about 1970-01-01 ") and "again" in cut
    with (out / "logs/events.jsonl").open("a") as log:
        log.write("\n" + json.dumps(event(120, "end")) + "\n")
    ended = progress.status(out, alive=False)[0]
    assert (
        ended.startswith("profile demo: ended 1970-01-01 ") and "not all of it done; mend" in ended
    )
    with (out / "logs/events.jsonl").open("a") as log:
        for name in EVENTS[0]["names"]:
            log.write(json.dumps(event(130, "done", name)) + "\n")
        log.write(json.dumps(event(140, "end")) + "\n")
    ended = progress.status(out, alive=False)[0]
    assert ended.startswith("profile demo: finished 1970-01-01 ") and ended.endswith("all 5 done")


def test_a_notebook_that_never_ran_is_started_for_the_first_time(tmp_path):
    task = plan.Task("01_ingest", tmp_path / "x.py", {}, reason=plan.NOT_RUN)
    assert progress.line("start", task).split(maxsplit=2) == ["start", "01_ingest", "first run"]
    task.reason = "the notebook changed"
    assert progress.line("start", task).endswith(" the notebook changed")


class Terminal(io.StringIO):
    """A terminal, as far as rich can tell."""

    def isatty(self):
        return True


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_sees_failures_in_red_unless_it_wants_no_colour(
    out, tmp_path, monkeypatch, no_color, coloured
):
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", no_color)
    task = plan.Task("01_ingest", tmp_path / "x.py", {})
    report = progress.Report(plan.Plan([task], tmp_path, "work", "runs/demo"), "demo", 1)
    task.result = {"kind": "raised", "error": "ValueError: no"}
    report("failed", task)
    report.close()
    assert "raised: ValueError: no" in sys.stdout.getvalue()
    assert ("\x1b[31mfailed   01_ingest" in sys.stdout.getvalue()) == coloured


def test_a_file_gets_plain_lines_of_any_width(out, tmp_path, capsys):
    task = plan.Task("01_ingest", tmp_path / "x.py", {}, reason="[red] " + "x" * 300)
    report = progress.Report(plan.Plan([task], tmp_path, "work", "runs/demo"), "demo", 1)
    report("start", task)
    report.close()
    said = capsys.readouterr().out
    assert said.startswith("start    01_ingest ") and said.splitlines()[0].endswith("x" * 300)
    assert "[red] x" in said and "\x1b" not in said
    state = progress.State()
    state.update(event(1, "plan", slots=1, names=["x" * 120]))
    assert shown([progress.table(state, {})])[1].split()[0] == "x" * 120


@pytest.mark.parametrize(
    "line",
    ["5", "[]", '"text"', '{"t": 1}', '{"t": 120, "event": "done"}', "\x00\xff", "[" * 9000,
     *(json.dumps({"t": 120, "event": "plan", "names": []} | odd) for odd in (
         {"t": "x"}, {"t": 1e300}, {"t": float("nan")}, {"event": []}, {"names": 5},
         {"names": [[1]]}, {"slots": 0}, {"slots": "a"}, {"expected": []}, {"profile": 5},
         {"event": "done", "name": [1]}, {"event": "done", "seconds": "x"},
         {"event": "done", "peak_mb": None}, {"event": "done", "seconds": float("inf")},
     ))],
)  # fmt: skip
def test_a_line_of_the_log_that_is_no_event_is_left_out(out, line):
    with (out / "logs/events.jsonl").open("ab") as log:
        log.write(b"\n" + line.encode("latin-1") + b"\n")
    assert progress.status(out, alive=False)[-1].startswith("1 done, 1 skipped of 5")
    assert len(timeline.executions(out)) == 2


def test_the_plot_has_a_bar_per_execution_in_order_of_start(out):
    bars = timeline.executions(out)
    assert bars == [(1, 10, "05_sweep", "#0072B2"), (1, 12, "05_sweep", "#D55E00")]
    with pyplot.rc_context():
        picture = timeline.draw(out)
    assert picture.stat().st_size > 5_000
    message = picture.with_suffix(".md").read_text().splitlines()[0]
    assert message == "The run took 13 s; 05_sweep needed most, 22 s of work"


def test_the_estimate_rests_on_finished_shards_scaled_by_models_and_counts_accelerator_hours(
    out, tmp_path
):
    script = tmp_path / "shard.py"
    script.write_text("")
    tasks = [
        plan.Task(f"05_sweep.{n}", script, {}, n_runs=runs)
        for n, runs in (("a", 10), ("b", 30), ("c", 30))
    ]
    work = plan.Plan(tasks, tmp_path, "work", "runs/demo")
    unknown = "05_sweep: not known, nothing like it has finished or was timed"
    assert progress.estimate(work, 2) == [unknown]
    work.timed = [{"name": "05_sweep.9", "seconds": 90.0, "n_runs": 0, "source": "the demo"}]
    assert progress.estimate(work, 2) == [
        "05_sweep: 3 executions, about 4 min (from the demo)",
        "what is known: about 2 min on 2 workers",
    ]
    marker = {
        "digest": keys.digest(work.key(tasks[0])),
        "key": work.key(tasks[0]),
        "outputs": {},
        "seconds": 1200,
        "n_runs": 10,
    }
    (out / "done/05_sweep.a.json").write_text(json.dumps(marker | {"accelerator": "0"}))
    (out / "logs/05_sweep.a.log").touch()
    work = plan.Plan(tasks, tmp_path, "work", "runs/demo")
    assert progress.estimate(work, 2) == [
        "05_sweep: 2 executions, about 2.0 h (from 1 finished)",  # whatever was timed elsewhere
        "what is known: about 60 min on 2 workers, 2.0 accelerator hours",
    ]


@pytest.mark.parametrize(
    "text",
    ["[1]", "3", '"x"', '{"index": "x"}', '{"index": null}', '{"cell": 1}', '{"cells": []}', "{"],
)
def test_a_sign_of_life_of_another_shape_is_none(out, text):
    (out / "running").mkdir(exist_ok=True)
    (out / "running/05_sweep.c.json").write_text(text)
    assert progress.beats(out) == {}
    assert progress.status(out, alive=True)


def test_a_folder_or_a_file_in_the_way_of_the_log_is_no_run(tmp_path):
    (tmp_path / "logs/events.jsonl").mkdir(parents=True)
    (tmp_path / "file").write_text("x")
    for out in (tmp_path, tmp_path / "file"):
        assert progress.status(out, alive=False) == [f"no run yet in {out}"]
