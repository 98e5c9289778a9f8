"""One notebook in a process of its own: how each way to end is told, and what is left on disk."""

import json
import os
import resource
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from papermill.exceptions import PapermillExecutionError
from small_run import notebook

from lib.paths import ROOT
from lib.run import journal, kernels, keys, schedule
from lib.run import notebook as run_notebook


@pytest.fixture
def out(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # as in the workers
    folder = tmp_path / "out"
    with schedule.claim(folder):
        yield folder


def key_of(path):
    return keys.program(path) | {"parameters": {}, "inputs": {}}


def job(out, body, name="02_hill_fit", **settings):
    path = out.parent / "notebooks" / f"{name}.ipynb"
    notebook(path, body)
    folders = {"root": str(out.parent), "work_dir": "work", "out_dir": "out"}
    given = {"parameters": {"work_dir": "work", "out_dir": "out"}, "key": key_of(path)}
    return (
        {"name": name, "notebook": str(path), "threads": 3, "time_limit": 0, "attempt": 1}
        | folders
        | given
        | settings
    )


def left_behind(out):
    """Temporary files of an execution that should be gone."""
    hidden = [p for p in out.rglob("*") if p.name.endswith((".part", ".part.ipynb"))]
    return hidden + list((out / "running").glob("*.json"))


def test_a_finished_notebook_has_a_copy_a_log_and_a_marker_that_names_what_it_wrote(out):
    code = """
        import os, subprocess, sys
        (work / "fits.tmp").write_text("1")
        os.replace(work / "fits.tmp", work / "fits.txt")
        (out / "figures" / "a.txt").write_text("figure")
        print("threads", os.environ["OMP_NUM_THREADS"], os.environ["POLARS_MAX_THREADS"])
        block = bytearray(150_000_000)"""
    task = job(out, code)
    result = run_notebook.run(task)
    marker = json.loads((out / "done/02_hill_fit.json").read_text())
    assert "kind" not in result
    assert marker["outputs"].keys() == {"work/fits.txt", "out/figures/a.txt"}
    assert marker["key"] == task["key"] and marker["digest"] == keys.digest(task["key"])
    # Linux counts the memory of the process that forked, here the whole test session, into the
    # child's peak.
    inherited = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert 150 < marker["peak_mb"] < max(400, 1.1 * inherited)
    executed = json.loads((out / "notebooks/02_hill_fit.ipynb").read_text())
    assert [c["id"] for c in executed["cells"] if c["id"] in ("title", "body")] == ["title", "body"]
    assert "threads 3 3" in (out / "logs/02_hill_fit.log").read_text()
    assert not left_behind(out)


@pytest.mark.parametrize(
    "work_dir, cells",
    [("data/processed/demo", []), ("work", [["# Parameters\n", 'work_dir = "work"\n']])],
)
def test_a_copy_shows_only_the_parameters_that_differ_from_the_defaults(out, work_dir, cells):
    given = {"work_dir": work_dir, "out_dir": "results/runs/demo"}
    task = job(out, "print(work_dir, out_dir)", parameters=given)
    assert "kind" not in run_notebook.run(task)
    copy = json.loads((out / "notebooks/02_hill_fit.ipynb").read_text())["cells"]
    added = [c["source"] for c in copy if "injected-parameters" in c["metadata"].get("tags", [])]
    assert added == cells
    assert copy[-1]["outputs"][0]["text"] == [f"{work_dir} results/runs/demo\n"]


def test_a_raising_notebook_is_named_with_its_cell_and_keeps_the_earlier_result(out):
    run_notebook.run(job(out, "1"))
    good = (out / "notebooks/02_hill_fit.ipynb").read_text()
    result = run_notebook.run(job(out, "# divide\n1 / 0"))
    assert (result["kind"], result["error"]) == ("raised", "ZeroDivisionError: division by zero")
    assert (result["cell"], result["line"]) == ("body", "# divide")
    assert result["copy"] == "out/failed/02_hill_fit.ipynb"
    assert "division by zero" in (out / "failed/02_hill_fit.ipynb").read_text()
    assert "=== 02_hill_fit, attempt 1" in (out / "failed/02_hill_fit.log").read_text()
    assert (out / "notebooks/02_hill_fit.ipynb").read_text() == good
    assert not left_behind(out)


@pytest.mark.parametrize(
    ("body", "kind", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "dead kernel", "DeadKernelError"),
        (
            "import os; os.kill(os.getppid(), 9)",
            "dead kernel",
            "its process ended by signal SIGKILL",
        ),
        (
            "open('/dev/full', 'w').write('x' * 100_000)",
            "disk full",
            "OSError: [Errno 28] No space left on device",
        ),
    ],
    ids=["kernel killed", "process killed", "disk full"],
)
def test_each_way_to_end_has_its_kind_and_never_a_marker(out, body, kind, error):
    result = run_notebook.run(job(out, body))
    assert result["kind"] == kind and error in result["error"]
    assert result["cell"] == "body"
    assert not (out / "done/02_hill_fit.json").exists()
    assert not left_behind(out)
    if error == "DeadKernelError":  # why papermill's own record is not asked
        record = json.loads((out / "failed/02_hill_fit.ipynb").read_text())["metadata"]["papermill"]
        assert record["exception"] is None and record["end_time"]


class OutOfMemoryError(RuntimeError):
    """Named like torch's."""


@pytest.mark.parametrize(
    ("error", "kind", "retried"),
    [
        (MemoryError("no room"), "out of memory", True),
        (OutOfMemoryError("CUDA out of memory"), "out of memory", True),
        (RuntimeError("Kernel didn't respond in 60 seconds"), "no kernel", True),
        (RuntimeError("Kernel died before replying to kernel_info"), "no kernel", True),
        (OSError(122, "Disk quota exceeded"), "disk full", False),
        (PapermillExecutionError(3, 3, "x", "MemoryError", "", []), "out of memory", True),
        (PapermillExecutionError(3, 3, "x", "SystemExit", "3", []), "raised", False),
        (ValueError("dose must be -log10(M)"), "raised", False),
    ],
)
def test_only_what_may_pass_by_itself_is_tried_again(error, kind, retried):
    assert run_notebook.classify(error)["kind"] == kind
    assert (kind in run_notebook.RETRIED) == retried


def test_a_kernel_that_never_answers_is_ended_at_the_time_limit_and_leaves_no_process(out):
    code = """
        import ctypes, os
        (out / "pid.txt").write_text(str(os.getpid()))
        ctypes.PyDLL(None).sleep(60)"""
    # The sleep holds the interpreter's lock: the kernel's own watch on its parent cannot run.
    started = time.time()
    result = run_notebook.run(job(out, code, time_limit=8))
    assert (result["kind"], result["error"], result["cell"]) == (
        "time limit",
        "not finished after 8 s",
        "body",
    )
    assert time.time() - started < 20
    pid = int((out / "pid.txt").read_text())
    for _ in range(50):
        if (
            not Path(f"/proc/{pid}").exists()
            or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]
        ):
            return
        time.sleep(0.1)
    pytest.fail("the hung kernel still runs")


def test_kernels_side_by_side_speak_over_unix_sockets_and_leave_none_behind(out):
    before = set(Path("/tmp").glob("k-*"))
    code = """
        import psutil
        from ipykernel.kernelapp import IPKernelApp
        assert IPKernelApp.instance().transport == "ipc"
        listening = [c.laddr.ip for c in psutil.Process().net_connections() if c.status == "LISTEN"]
        assert listening in ([], ["127.0.0.1"])"""
    # At most one listens: a pipe, keyed, for the output of forked processes.
    results = []
    jobs = [job(out, code, name=f"0{i}_x") for i in range(3)]
    threads = [
        threading.Thread(target=lambda j=j: results.append(run_notebook.run(j))) for j in jobs
    ]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [r.get("error") for r in results] == [None] * 3
    assert len(set(Path("/tmp").glob("k-*")) - before) == 0


def test_a_notebook_that_another_worker_runs_is_left_to_it(out):
    with run_notebook._claimed(out, "02_hill_fit") as mine:
        assert mine
        assert run_notebook.run(job(out, "1"))["kind"] == "busy"


def test_a_library_that_changes_during_the_run_gives_no_marker(out):
    script = out.parent / "task.py"
    script.write_text("from lib import paths")
    task = job(out, "") | {"notebook": str(script)}
    task["key"] = key_of(script) | {"lib": {"paths.py": "of yesterday"}}
    assert run_notebook.run(task)["kind"] == "library changed"
    assert not (out / "done/02_hill_fit.json").exists()


def test_a_python_file_runs_the_same_way_without_a_kernel(out):
    script = out.parent / "task.py"
    script.write_text("open(f'{out_dir}/tables/t.txt', 'w').write('x')")
    result = run_notebook.run(job(out, "") | {"name": "t", "notebook": str(script), "key": {}})
    assert result["outputs"] == {"out/tables/t.txt": keys.sha("x")}


def test_where_forking_is_unsafe_a_notebook_has_a_fresh_process(out, monkeypatch):
    monkeypatch.setattr(run_notebook.sys, "platform", "darwin")
    task = job(out, "(work / 'fits.txt').write_text('1')")
    assert run_notebook.run(task)["outputs"].keys() == {"work/fits.txt"}
    script = out.parent / "task.py"
    script.write_text("import sys; print('pytest' in sys.modules)")
    run_notebook.run(job(out, "") | {"name": "t", "notebook": str(script), "key": {}})
    assert (out / "logs/t.log").read_text().split()[-1] == "False"


def test_a_damaged_marker_counts_as_none(out):
    (out / "done/x.json").write_text('{"digest": "1", "outp')
    assert run_notebook.marker(out, "x") is None


@pytest.mark.parametrize(
    ("given", "rank", "chosen"),
    [("4,7", 0, "4"), ("4,7", 1, "7"), ("2", 3, "2"), ("GPU-a,GPU-b", 1, "GPU-b")],
)
def test_a_worker_takes_its_own_of_the_accelerators_that_the_scheduler_gave(given, rank, chosen):
    environment = {"CUDA_VISIBLE_DEVICES": given, "PARSL_WORKER_RANK": str(rank)}
    assert run_notebook.accelerator(environment) == {"CUDA_VISIBLE_DEVICES": chosen}
    assert run_notebook.accelerator({"PARSL_WORKER_RANK": "1"}) == {}


def test_the_journal_sees_writes_and_renames_below_its_folders_only(tmp_path):
    watched = tmp_path / "work"
    watched.mkdir()
    code = f"""
import os, sys
from lib.run import journal
journal.watch({{"RUN_JOURNAL": {str(tmp_path / "journal")!r}, "RUN_WATCH": {str(watched)!r}}})
open({str(tmp_path / "elsewhere")!r}, "w").close()
open({str(watched / "a.part")!r}, "w").close()
os.replace({str(watched / "a.part")!r}, {str(watched / "a.parquet")!r})
os.makedirs({str(watched / "s.part")!r})
open({str(watched / "s.part" / "runs.parquet")!r}, "w").close()
os.replace({str(watched / "s.part")!r}, {str(watched / "s")!r})
open({str(watched / "a.parquet")!r}).close()
"""
    subprocess.run(["python", "-c", code], check=True, cwd=keys.LIB.parent)
    assert journal.written(journal.lines(tmp_path / "journal")) == {
        watched / "a.parquet",
        watched / "s" / "runs.parquet",
    }


def test_the_lock_of_a_killed_worker_is_free_again(out):
    child = os.fork()
    if child == 0:
        with run_notebook._claimed(out, "x"):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with run_notebook._claimed(out, "x") as mine:
        assert mine


GOOD = {"digest": "a", "outputs": {}, "key": {}}


def test_a_pipe_in_the_place_of_a_marker_counts_as_none(out):
    os.mkfifo(out / "done/x.json")
    assert run_notebook.marker(out, "x") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", '"a"', "[1]", "null", '{"digest": "a"}', '{"digest": 1, "outputs": {}, "key": {}}',
     '{"digest": "a", "outputs": [], "key": {}}', "\xff\xfe", "[" * 5000,
     *(json.dumps(GOOD | odd) for odd in (
         {"shard": []}, {"shard": {}}, {"shard": 5}, {"seconds": "x"}, {"seconds": None},
         {"n_runs": []}, {"n_runs": 1.5}, {"peak_mb": "x"}, {"accelerator": 0},
         {"outputs": {"a": [1]}}, {"key": {"lib": []}}, {"key": {"inputs": None}},
         {"key": {"parameters": "x"}}, {"key": {"source": 1}},
     ))],
)  # fmt: skip
def test_a_marker_that_is_damaged_or_of_another_shape_counts_as_none(out, text):
    (out / "done/x.json").write_text(json.dumps(GOOD))
    assert run_notebook.marker(out, "x")["digest"] == "a"
    (out / "done/x.json").write_text(text)
    (out / "running/x.json").write_text(text)
    assert run_notebook.marker(out, "x") is None
    assert run_notebook._last_cell(out, "x") == {"cell": "", "line": ""}


def test_a_finished_notebook_removes_no_file_that_it_did_not_write(out):
    mine = [out / "failed" / name for name in ("02_hill_fit.notes.txt", "02_hill_fit.ipynb.bak")]
    mine.append(out / "running/other.json")
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    (out / "failed/02_hill_fit.json").write_text("{}")
    run_notebook.run(job(out, "1"))
    with schedule.claim(out.parent / "again"):
        assert all(path.read_text() == "mine" for path in mine)
    assert not (out / "failed/02_hill_fit.json").exists()


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_sockets_lie_in_a_folder_that_is_there_and_short(monkeypatch, variable):
    monkeypatch.setenv(variable, "/" + "y" * 100)  # a batch job inherits such names
    path = Path(kernels.IPCKernelManager().ip)
    assert path.parent.is_dir() and len(str(path)) < 80
    assert path.parent.stat().st_mode & 0o777 == 0o700  # nobody else can connect
    path.parent.rmdir()


def test_what_only_an_earlier_version_wrote_is_set_aside_and_named(out):
    """The sweep's shards are resumed, so they stay."""
    first = """
        (work / "sweep/one").mkdir(parents=True)
        for path in (work / "old.txt", work / "same.txt", work / "sweep/one/runs.txt"):
            path.write_text("first")
        (out / "tables/old.csv").write_text("first")"""
    second = '(work / "same.txt").write_text("second")'
    run_notebook.run(job(out, first))
    (out.parent / "work/mine.txt").write_text("mine")
    result = run_notebook.run(job(out, second))
    assert sorted(result["left_over"]) == ["old.csv", "old.txt"]
    assert sorted(path.name for path in (out / "left_over").iterdir()) == ["old.csv", "old.txt"]
    kept = {"work/same.txt", "work/sweep/one/runs.txt"}
    assert run_notebook.marker(out, "02_hill_fit")["outputs"].keys() == kept
    found = {p.name for p in (out.parent / "work").rglob("*.txt")} | {*os.listdir(out / "tables")}
    assert found == {"same.txt", "runs.txt", "mine.txt"}
    (out.parent / "work/old.txt").write_text("of another notebook now")
    assert "left_over" not in run_notebook.run(job(out, second))
    assert (out.parent / "work/old.txt").exists()


def test_what_a_version_wrote_that_failed_is_set_aside_too(out):
    run_notebook.run(job(out, '(work / "half.txt").write_text("1")\n1 / 0'))
    result = run_notebook.run(job(out, '(work / "whole.txt").write_text("1")'))
    assert result["left_over"] == ["half.txt"] and result["outputs"].keys() == {"work/whole.txt"}
