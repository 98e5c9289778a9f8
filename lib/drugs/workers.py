"""Work spread over processes that can be ended: one hung molecule costs its time limit and nothing else.

Each worker is a fresh Python process (never a fork: notebook kernels hold threads, and forking those may deadlock) with
one BLAS thread. The limit is kept by a timer of the operating system inside the worker, whose default action ends the
process even in the middle of compiled code. It counts processor time, so that a busy machine fails no extra molecule;
a multiple of it in wall time catches work that sleeps.
"""

import importlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from typing import Any, NamedTuple

from lib import files
from lib.paths import ROOT

WALL_FACTOR = 10  # wall seconds allowed per second of the limit
_ONE_THREAD = "OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS".split()
_TIMERS = (signal.ITIMER_PROF, signal.ITIMER_REAL)
_START = "import sys; sys.path.insert(0, sys.argv[1]); from lib.drugs.workers import serve; serve()"


class Outcome(NamedTuple):
    """What became of one task."""

    value: Any  # None when it failed
    reason: str  # "" or why it failed
    seconds: float  # wall time


def run(function, tasks, n_jobs=None, limit_s=60.0, progress=None, label="tasks"):
    """Apply a function to every task in worker processes.

    Parameters
    ----------
    function : str
        "package.module:name" of a function of one picklable argument.
    tasks : sequence
        Arguments. They are started in this order: put long ones first.
    n_jobs : int or None
        Processes; None: the processors this process may use. Never more than there are tasks.
    limit_s : float
        Processor seconds per task; after that the worker is ended and the task fails with its reason.
    progress : bool or None
        Print a running count to stderr; None: only on a terminal.
    label : str
        What the tasks are called in the running count.

    Returns
    -------
    list of Outcome
        In the order of `tasks`, whatever the number of processes. An exception in the function is a failed outcome.
    """
    tasks = list(tasks)
    n_jobs = min(n_jobs or files.processors(), len(tasks))
    queue = _Queue(len(tasks), sys.stderr.isatty() if progress is None else progress, label)
    outcomes = [None] * len(tasks)
    threads = [
        threading.Thread(target=_drive, args=(function, tasks, outcomes, queue, limit_s))
        for _ in range(n_jobs)
    ]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    except BaseException:  # interrupted: end the workers first
        queue.stop()
        raise
    if queue.error:
        raise queue.error
    return outcomes


def serve():
    """Body of a worker: read (function, argument, limit), answer (value, reason, seconds), until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a library that prints must not garble the answers
    while True:
        try:
            name, task, limit_s = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_attempt(name, task, limit_s), answers)
        answers.flush()


def _attempt(name, task, limit_s):
    module, function = name.split(":")
    function = getattr(importlib.import_module(module), function)  # imports are not on the clock
    started = time.perf_counter()
    for timer, seconds in zip(_TIMERS, (limit_s, WALL_FACTOR * limit_s), strict=True):
        signal.setitimer(timer, seconds)
    try:
        value, reason = function(task), ""
    except Exception as error:
        value, reason = None, f"{type(error).__name__}: {error}"
    for timer in _TIMERS:
        signal.setitimer(timer, 0)
    return value, reason, time.perf_counter() - started


class _Queue:
    """Indices of tasks handed to threads, the workers alive, and the running count."""

    def __init__(self, n_tasks, progress, label):
        self.n_tasks, self.progress, self.label = n_tasks, progress, label
        self.lock, self.started, self.done = threading.Lock(), 0, 0
        self.workers, self.stopped, self.error = set(), False, None

    def next(self):
        with self.lock:
            if self.stopped or self.started == self.n_tasks:
                return None
            self.started += 1
            return self.started - 1

    def report(self):
        with self.lock:
            self.done += 1
            if self.progress:
                end = "\n" if self.done == self.n_tasks else ""
                print(
                    f"\r{self.label} {self.done}/{self.n_tasks}",
                    end=end,
                    file=sys.stderr,
                    flush=True,
                )

    def stop(self):
        with self.lock:
            self.stopped = True
            for worker in self.workers:
                worker.kill()


def _drive(function, tasks, outcomes, queue, limit_s):
    """One thread: keep one worker busy, replace it when it dies."""
    worker = None
    try:
        while (i := queue.next()) is not None:
            worker = worker or _start(queue)
            started = time.perf_counter()
            try:
                pickle.dump((function, tasks[i], limit_s), worker.stdin)
                worker.stdin.flush()
                outcomes[i] = Outcome(*pickle.load(worker.stdout))
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                outcomes[i] = Outcome(
                    None, _epitaph(_end(worker, queue), limit_s), time.perf_counter() - started
                )
                worker = None
            queue.report()
    except BaseException as error:  # reported by the calling thread
        queue.error = error
        queue.stop()
    finally:
        if worker is not None:
            _end(worker, queue)


def _start(queue):
    environment = os.environ | dict.fromkeys(_ONE_THREAD, "1")
    with queue.lock:
        worker = subprocess.Popen(
            [sys.executable, "-c", _START, str(ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        queue.workers.add(worker)
    return worker


def _end(worker, queue):
    """Close a worker's pipes (its input's end is its signal to leave) and return its exit status."""
    with queue.lock:
        queue.workers.discard(worker)
    for pipe in (worker.stdin, worker.stdout):
        try:
            pipe.close()
        except BrokenPipeError:
            pass
    return worker.wait()


def _epitaph(status, limit_s):
    if status in (-signal.SIGPROF, -signal.SIGALRM):
        return f"time limit: not finished after {limit_s:g} s of processor time; raise timeout_s or leave it out"
    return (
        f"the worker process ended with status {status}: out of memory or a crash in compiled code"
    )
