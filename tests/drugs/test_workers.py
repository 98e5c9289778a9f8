"""Worker processes: results in order, whatever happens to a task."""

import os
import time

import pytest

from lib import files
from lib.drugs import workers

HANG = "sum(range(10**13))"  # compiled code that never looks at Python signals
EVAL = "builtins:eval"


def test_results_come_in_the_order_of_the_tasks():
    tasks = [f"({i}, __import__('time').sleep({0.05 * (3 - i)}))[0]" for i in range(4)]
    found = [workers.run(EVAL, tasks, n_jobs=n) for n in (1, 3)]
    assert [[o.value for o in outcomes] for outcomes in found] == [[0, 1, 2, 3]] * 2


def test_a_hung_task_is_ended_and_the_others_are_done():
    found = workers.run(EVAL, ["1", HANG, "2", "3"], n_jobs=1, limit_s=0.3)
    assert [o.value for o in found] == [1, None, 2, 3]
    assert found[1].reason.startswith("time limit: not finished after 0.3 s of processor time")
    assert found[1].seconds < 10


def test_a_sleeping_task_is_ended_too():
    found = workers.run("time:sleep", [60], limit_s=0.02)
    assert found[0].reason.startswith("time limit")


def test_no_process_outlives_the_call():
    found = workers.run(
        EVAL,
        ["__import__('os').getpid()", HANG, "__import__('os').getpid()"],
        n_jobs=2,
        limit_s=0.2,
    )
    for outcome in found:
        if outcome.value:
            with pytest.raises(ProcessLookupError):
                os.kill(outcome.value, 0)


def test_an_exception_and_a_crash_are_reasons():
    found = workers.run(EVAL, ["1/0", "__import__('os').abort()", "5"], n_jobs=1)
    assert found[0].reason == "ZeroDivisionError: division by zero"
    assert "worker process ended with status -6" in found[1].reason
    assert found[2].value == 5


def test_printing_does_not_garble_the_answers():
    text = "(print('x' * 10_000), __import__('os').system('echo y'), 7)[-1]"
    assert [o.value for o in workers.run(EVAL, [text, "8"], n_jobs=1)] == [7, 8]


def test_a_worker_uses_one_thread(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert workers.run(EVAL, ["__import__('os').environ['OMP_NUM_THREADS']"])[0].value == "1"


@pytest.mark.parametrize(
    ("granted", "expected"), [("", 8), ("2", 2), ("3,1", 3), ("64", 8), ("0", 1), ("many", 8)]
)
def test_a_pool_takes_the_processors_it_was_granted_and_no_more(monkeypatch, granted, expected):
    monkeypatch.setattr(workers.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", granted)
    assert files.processors() == expected


def test_an_interruption_ends_the_workers(monkeypatch):
    class Interrupted(workers.threading.Thread):
        def join(self):
            time.sleep(0.3)
            raise KeyboardInterrupt

    monkeypatch.setattr(workers.threading, "Thread", Interrupted)
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        workers.run(EVAL, [HANG] * 4, n_jobs=2, limit_s=60)
    while any(t.name.endswith("(_drive)") for t in workers.threading.enumerate()):
        assert time.perf_counter() - started < 30
        time.sleep(0.05)


def test_nothing_to_do_starts_nothing(monkeypatch):
    monkeypatch.setattr(workers.subprocess, "Popen", None)
    assert workers.run(EVAL, []) == []


def test_progress_is_quiet_off_a_terminal_and_counts_on_request(capsys):
    workers.run(EVAL, ["1", "2"], n_jobs=1)
    assert capsys.readouterr().err == ""
    workers.run(EVAL, ["1", "2"], n_jobs=1, progress=True, label="molecules")
    assert capsys.readouterr().err.endswith("molecules 2/2\n")
