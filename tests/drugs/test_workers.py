"""Worker processes: results in order, whatever happens to a task."""

import os
import subprocess
import sys
import time

import psutil
import pytest

from lib import files
from lib.drugs import workers
from lib.paths import ROOT

HANG = "sum(range(10**13))"  # compiled code that never looks at Python signals
PID = "__import__('os').getpid()"


def _run(tasks, **options):
    return list(workers.run(eval, tasks, **options))


def test_results_come_in_the_order_of_the_tasks():
    tasks = [f"({i}, __import__('time').sleep({0.05 * (3 - i)}))[0]" for i in range(4)]
    found = [_run(tasks, n_jobs=n) for n in (1, 3)]
    assert found == [[(0, ""), (1, ""), (2, ""), (3, "")]] * 2


def test_a_hung_task_is_ended_and_the_others_are_done():
    started = time.perf_counter()
    found = _run(["1", HANG, "2", "3"], n_jobs=1, limit_s=0.3)
    assert [value for value, _ in found] == [1, None, 2, 3]
    assert found[1][1].startswith("time limit: not finished after 0.3 s of processor time")
    assert time.perf_counter() - started < 20


def test_a_sleeping_task_is_ended_too():
    ((value, reason),) = list(workers.run(time.sleep, [60], limit_s=0.02))
    assert value is None and reason.startswith("time limit")


def test_no_process_outlives_the_call():
    found = _run([PID, HANG, PID], n_jobs=2, limit_s=0.2)
    ids = [value for value, _ in found if value]
    assert len(ids) == 2
    for process in ids:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_an_exception_and_a_crash_are_reasons():
    found = _run(["1/0", "__import__('os').abort()", "5"], n_jobs=1)
    assert found[0] == (None, "ZeroDivisionError: division by zero")
    assert "worker process ended with status -6" in found[1][1]
    assert found[2] == (5, "")


def test_printing_does_not_garble_the_answers():
    text = "(print('x' * 10_000), __import__('os').system('echo y'), 7)[-1]"
    assert _run([text, "8"], n_jobs=1) == [(7, ""), (8, "")]


def test_a_worker_uses_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    loaded = "[__import__('numpy'), __import__('threadpoolctl').threadpool_info()][1]"
    ((libraries, reason),) = _run([loaded])
    assert reason == "" and libraries
    assert {library["num_threads"] for library in libraries} == {1}


@pytest.mark.parametrize(
    ("granted", "expected"), [("", 8), ("2", 2), ("3,1", 3), ("64", 8), ("0", 1), ("many", 8)]
)
def test_a_pool_takes_the_processors_it_was_granted_and_no_more(monkeypatch, granted, expected):
    monkeypatch.setattr(files.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert files.processors() == expected


def test_an_interruption_ends_the_workers(tmp_path):
    """Ctrl-C during a hung task: the program ends at once, and no worker is left."""
    script = tmp_path / "hung.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from lib.drugs import workers\n"
        "if __name__ == '__main__':\n"
        f"    for value, _ in workers.run(eval, [{PID!r}, {HANG!r}], 1, 600):\n"
        "        print(value, flush=True)\n"
    )
    program = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    worker = int(program.stdout.readline())
    time.sleep(0.5)
    program.send_signal(workers.signal.SIGINT)
    assert program.wait(timeout=30) != 0
    program.stdout.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_caller_that_stops_early_leaves_no_process():
    results = workers.run(eval, [PID, HANG], n_jobs=1, limit_s=600)
    process, _ = next(results)
    results.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_nothing_to_do_starts_nothing(monkeypatch):
    monkeypatch.setattr("pebble.ProcessPool", None)
    assert _run([]) == []


def test_progress_is_quiet_off_a_terminal_and_counts_on_one(capsys, monkeypatch):
    _run(["1", "2"], n_jobs=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(workers.sys.stderr, "isatty", lambda: True, raising=False)
    _run(["1", "2"], n_jobs=1)
    assert "Molecules" in capsys.readouterr().err


def test_after_a_killed_caller_its_workers_end_at_once():
    code = f"from lib.drugs import workers; list(workers.run(eval, [{HANG!r}] * 2, 2, 3600))"
    caller = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    busy = []
    while len(busy) < 2:
        time.sleep(0.1)
        family = psutil.Process(caller.pid).children(recursive=True)
        busy = [one for one in family if one.cpu_times().user > 2]
    caller.kill()
    caller.wait()
    _, left = psutil.wait_procs(busy, 5)
    for one in left:
        one.kill()
    assert not left
