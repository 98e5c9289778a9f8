"""Execute one notebook in a process of its own and say truthfully how it ended.

papermill's own record cannot be trusted for that: it calls a killed kernel completed. So a notebook is executed under
a temporary name, checked, renamed into place, and only then gets a marker with its content key; that alone means done.
Kernels speak over Unix sockets: no port to race for, no channel that another user of the node could connect to.
"""

import contextlib
import fcntl
import json
import multiprocessing
import os
import re
import resource
import runpy
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from lib import files
from lib.run import journal, keys

THREAD_VARIABLES = [
    f"{name}_NUM_THREADS" for name in "OMP MKL OPENBLAS NUMEXPR NUMBA RAYON".split()
]
THREAD_VARIABLES += ["POLARS_MAX_THREADS", "VECLIB_MAXIMUM_THREADS"]
RETRIED = (
    "lost worker",
    "dead kernel",
    "no kernel",
    "time limit",
    "out of memory",
    "library changed",
)
OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "_ArrayMemoryError")


def run(job):
    """Execute one notebook; called in a worker. Never raises.

    Parameters
    ----------
    job : dict
        name, notebook (path), parameters, root, out_dir, work_dir, key, threads, time_limit [s, 0 = none], attempt;
        n_runs, the number of models it trains, is noted for later estimates.

    Returns
    -------
    dict
        name, host, attempt, accelerator, n_runs, started and seconds [s], peak_mb; of a success also digest and
        outputs, as in the marker written; of a failure kind, error (text), cell and line (where), copy (what to open).
    """
    out = Path(job["root"], job["out_dir"])
    outcome = {
        "name": job["name"],
        "host": socket.gethostname(),
        "attempt": job["attempt"],
        "started": time.time(),
    }
    outcome |= {
        "accelerator": accelerator(os.environ).get("CUDA_VISIBLE_DEVICES", ""),
        "n_runs": job.get("n_runs", 0),
    }
    try:
        with _claimed(out, job["name"]) as mine:
            if not mine:
                return outcome | {"kind": "busy", "error": "another worker is still running it"}
            outcome |= _in_process(job, out) | _library_changed(job)
            outcome["seconds"] = round(time.time() - outcome["started"], 2)
            return set_aside(job, out, outcome) if "kind" in outcome else _finish(job, out, outcome)
    except OSError as error:  # its own files could not be written: a full disk, a lost file system
        return outcome | classify(error) | _last_cell(job["name"], out)


def marker(out, name):
    """The marker of a finished notebook, or None; one that is damaged counts as none."""
    try:
        found = json.loads(Path(out, "done", f"{name}.json").read_text())
        return found if {"digest", "outputs", "key"} <= found.keys() else None
    except (OSError, json.JSONDecodeError):
        return None


def copy(out, task):
    """Path of the executed copy of a task; a Python file has its log instead."""
    if Path(task.notebook).suffix == ".py":
        return Path(out, "logs", f"{task.name}.log")
    return Path(out, "notebooks", f"{task.name}.ipynb")


@contextlib.contextmanager
def _claimed(out, name):
    """Hold a task's lock, which dies with the last process that holds it; yields False where another has it."""
    with open(out / "running" / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks: better unguarded than never
        yield True


def _library_changed(job):
    """What is wrong with a result made while its library was edited: it may be of either version."""
    if not job["key"] or keys.library(job["notebook"]) == job["key"]["lib"]:
        return {}
    return {
        "kind": "library changed",
        "error": "a module of lib was changed while it ran",
        "cell": "",
        "line": "",
    }


def _part(out, name):
    return out / "notebooks" / f".{name}.part.ipynb"


def _in_process(job, out):
    """Fork a process that executes the notebook, wait for it, and end everything it left behind."""
    context = multiprocessing.get_context(
        "fork"
    )  # papermill is imported once per worker, not once per notebook
    if job["notebook"].endswith(".ipynb"):
        import lib.run.kernels  # noqa: F401
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, out, send))
    process.start()
    send.close()
    try:
        if receive.poll(job["time_limit"] or None):
            return receive.recv()
        outcome = {"kind": "time limit", "error": f"not finished after {job['time_limit']:.0f} s"}
    except EOFError:
        process.join()
        outcome = {
            "kind": "dead kernel",
            "error": f"its process ended by {_ending(process.exitcode)}",
        }
    finally:
        _end(process)
    return outcome | _last_cell(job["name"], out)


def _ending(code):
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _end(process):
    """Stop a process; its kernel follows at once (see journal.die_with_parent)."""
    process.join(0.5)
    if process.is_alive():
        process.kill()
        process.join()


def _child(job, out, send):
    """The forked process: sends an empty dictionary, or what went wrong, and the peak memory."""
    journal.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's business
    log = os.open(out / "logs" / f"{job['name']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1), os.dup2(log, 2)
    os.environ |= _environment(job, out)
    try:
        _script(job) if job["notebook"].endswith(".py") else _papermill(job, out)
        outcome = {}
    except BaseException as error:  # the worker must hear of everything, also of SystemExit
        outcome = classify(error) | _last_cell(job["name"], out)
    send.send(outcome | {"peak_mb": _peak_mb()})


def _environment(job, out):
    threads = dict.fromkeys(THREAD_VARIABLES, str(job["threads"]))
    watch = ":".join(str(Path(job["root"], job[folder])) for folder in ("work_dir", "out_dir"))
    book = {
        "RUN_JOURNAL": str(out / "done" / f".{job['name']}.journal"),
        "RUN_WATCH": watch,
        "PYTHONHASHSEED": "0",
    }
    return threads | book | accelerator(os.environ)


def accelerator(environment):
    """One accelerator for this worker, out of those that the scheduler gave to its block.

    A list fixed beforehand would overwrite the scheduler's choice, and two blocks would share device 0.

    Returns
    -------
    dict
        CUDA_VISIBLE_DEVICES with one entry, chosen by the worker's rank; empty where there is nothing to choose.
    """
    visible = [d for d in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
    rank = int(environment.get("PARSL_WORKER_RANK", 0))
    return {"CUDA_VISIBLE_DEVICES": visible[rank % len(visible)]} if visible else {}


def _peak_mb():
    """Peak memory of the largest process of this execution: the kernel, one it has waited for, or this one [MB]."""
    who = resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF
    peak = max(
        resource.getrusage(each).ru_maxrss for each in who
    )  # kilobytes on Linux, bytes on macOS
    return round(peak / (1024 if sys.platform == "linux" else 1024**2))


def _script(job):
    journal.start()
    os.chdir(job["root"])
    runpy.run_path(job["notebook"], init_globals=job["parameters"])


def _papermill(job, out):
    import papermill

    from lib.run import kernels

    kernels.log_to(sys.__stderr__, f"{job['name']}, attempt {job['attempt']}")
    kernels.ProgressEngine.report = lambda index, n, cell: _heartbeat(job, out, index, n, cell)
    executed = papermill.execute_notebook(
        job["notebook"],
        str(_part(out, job["name"])),
        job["parameters"],
        engine_name=kernels.ENGINE,
        kernel_name="python3",
        kernel_manager_class=kernels.IPCKernelManager,
        progress_bar=False,
        log_output=True,
        start_timeout=120,
        cwd=job["root"],
    )
    skipped = [
        c
        for c in executed.cells
        if c.cell_type == "code" and c.source.strip() and c.execution_count is None
    ]
    if skipped:  # papermill calls them completed, for example after a kernel left by exit()
        raise RuntimeError(
            f"{len(skipped)} cells were never executed, the first is {skipped[0].get('id')!r}"
        )


def _heartbeat(job, out, index, n_cells, cell):
    """Say which cell runs now: for the live line, for `--status`, and for the report of a kernel that dies."""
    line = next(iter(keys.source(cell).strip().splitlines()), "")
    state = {
        "name": job["name"],
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "attempt": job["attempt"],
    }
    state |= {
        "cell": cell.get("id", ""),
        "line": line,
        "index": index,
        "cells": n_cells,
        "since": time.time(),
    }
    files.write_text(out / "running" / f"{job['name']}.json", json.dumps(state))


def _last_cell(name, out):
    try:
        state = json.loads((out / "running" / f"{name}.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {"cell": "", "line": ""}
    return {"cell": state["cell"], "line": state["line"]}


def classify(error):
    """Kind and text of what ended a notebook.

    Returns
    -------
    dict
        kind: "raised" (the notebook's own error, never retried), "disk full", or one of RETRIED; error: the text.
    """
    name, text = type(error).__name__, str(error)
    if name == "PapermillExecutionError":
        name, text = error.ename, error.evalue
    kind = {"DeadKernelError": "dead kernel", "CellTimeoutError": "time limit"}.get(name, "raised")
    if name in OUT_OF_MEMORY:
        kind = "out of memory"
    elif "No space left on device" in text or "Disk quota exceeded" in text:
        kind = "disk full"
    elif "Kernel didn't respond" in text or "Kernel died before replying" in text:
        kind = "no kernel"
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    return {"kind": kind, "error": f"{name}: {text}"}


def set_aside(job, out, outcome):
    """Keep the executed copy and the log of a failed notebook under `failed/`; the last good copy stays in place."""
    failed, name, part = out / "failed", job["name"], _part(out, job["name"])
    failed.mkdir(exist_ok=True)
    log, kept = out / "logs" / f"{name}.log", failed / f"{name}.ipynb"
    if log.exists():
        shutil.copy(log, failed / log.name)
    if part.exists():
        os.replace(part, kept)
    kept = kept if kept.exists() else failed / log.name
    outcome = _last_cell(name, out) | outcome | {"copy": os.path.relpath(kept, job["root"])}
    files.write_text(failed / f"{name}.json", json.dumps(outcome, indent=1))
    (out / "running" / f"{name}.json").unlink(missing_ok=True)
    return outcome


def _finish(job, out, outcome):
    """Put the executed copy in place, then write the marker: from here on the notebook is done."""
    name, key, hashes = job["name"], job["key"], keys.Hashes(job["root"])
    if job["notebook"].endswith(".ipynb"):
        os.replace(_part(out, name), out / "notebooks" / f"{name}.ipynb")
    written = journal.written(out / "done" / f".{name}.journal")
    outcome |= {
        "digest": keys.digest(key),
        "outputs": {hashes.name(path): hashes.of(path) for path in written},
    }
    files.write_text(out / "done" / f"{name}.json", json.dumps(outcome | {"key": key}, indent=1))
    for stale in [*(out / "failed").glob(f"{name}.*"), out / "running" / f"{name}.json"]:
        stale.unlink(missing_ok=True)
    return outcome
