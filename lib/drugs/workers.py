"""Work in processes with a time limit: a hung or crashing molecule costs its own result only.

The processes are those of `pebble`, started afresh (never forked: notebook kernels hold threads,
and forking those may deadlock). The limit counts processor time, so that a busy machine fails no
extra molecule: a timer of the operating system, whose default action ends the process even in the
middle of compiled code. Pebble's own limit, on wall time, catches work that sleeps.
"""

import os
import signal
import sys
from concurrent.futures import TimeoutError as OutOfTime
from functools import partial
from multiprocessing import get_context

from lib import files

WALL_FACTOR = 10  # wall seconds allowed per second of the limit
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def run(function, tasks, n_jobs=None, limit_s=60.0):
    """Apply a function to every task in worker processes.

    Parameters
    ----------
    function : callable
        Of one picklable argument; itself importable by name.
    tasks : sequence
        Arguments. They are started in this order: put long ones first.
    n_jobs : int or None
        Processes; None: the processors this process may use. Never more than there are tasks.
    limit_s : float
        Processor seconds per task; after that the worker is ended and the task fails.

    Yields
    ------
    value : Any
        None when the task failed.
    reason : str
        "" or why it failed: an exception of the function, the time limit, a crash. Results come in
        the order of `tasks`, whatever the number of processes; a terminal shows a running count.
    """
    if not tasks:
        return
    from pebble import ProcessPool
    from rich.console import Console
    from rich.progress import track

    n_jobs = min(n_jobs or files.processors(), len(tasks))
    pool = ProcessPool(n_jobs, initializer=_one_thread, context=get_context("spawn"))
    limited = partial(_limited, function, limit_s)
    try:
        limit = WALL_FACTOR * limit_s
        futures = [pool.schedule(limited, args=[task], timeout=limit) for task in tasks]
        screen = Console(stderr=True)
        for future in track(futures, "Molecules", console=screen, disable=not sys.stderr.isatty()):
            yield _outcome(future, limit_s)
    finally:  # also when interrupted: no process outlives the call
        pool.stop()
        pool.join()


def _one_thread():
    """One BLAS thread per worker, which ends with whoever started it; runs in the worker before its
    first task imports numpy.
    """
    files.die_with_parent()
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))


def _limited(function, limit_s, task):
    """Run one task under the timer; runs in the worker."""
    signal.setitimer(signal.ITIMER_PROF, limit_s)
    try:
        return function(task)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _outcome(future, limit_s):
    """Value and reason of one task."""
    from pebble import ProcessExpired

    out_of_time = (
        f"time limit: not finished after {limit_s:g} s of processor time; "
        "raise timeout_s or leave it out"
    )
    try:
        return future.result(), ""
    except OutOfTime:
        return None, out_of_time
    except ProcessExpired as error:
        ended = f"the worker process ended with status {error.exitcode}: "
        crashed = f"{ended}out of memory or a crash in compiled code"
        return None, out_of_time if error.exitcode == -signal.SIGPROF else crashed
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"
