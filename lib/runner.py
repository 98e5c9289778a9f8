"""Execute one notebook in a process of its own and say truthfully how it ended.

papermill's own record cannot be trusted for that: it calls a killed kernel completed. So a notebook is executed under
a temporary name, checked, renamed into place, and only then gets a marker with its content key; that alone means done.
Kernels speak over Unix sockets: no port to race for, nothing another user of the node could connect to.
"""

import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import socket
import sys
import time
from pathlib import Path

from lib import journal, keys

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
RETRIED = ("lost worker", "dead kernel", "no kernel", "time limit", "out of memory")
OUT_OF_MEMORY = ("MemoryError", "OutOfMemoryError", "ArrayMemoryError", "_ArrayMemoryError")


def run(job):
    """Execute one notebook; called in a worker.

    Parameters
    ----------
    job : dict
        name, notebook (path), parameters, root, out_dir, work_dir, key, threads, time_limit [s, 0 = none], attempt.

    Returns
    -------
    dict
        The marker that was written; or, after a failure, `kind`, `error`, `cell`, `line`, `copy`.
    """
    started, out = time.time(), Path(job["root"], job["out_dir"])
    part = out / "notebooks" / f".{job['name']}.{os.getpid()}.part.ipynb"
    try:
        outcome = _in_process(job, part, out)
        outcome |= {"name": job["name"], "host": socket.gethostname(), "attempt": job["attempt"], "started": started}
        outcome["seconds"] = round(time.time() - started, 2)
        return _keep_failure(job, part, outcome, out) if "kind" in outcome else _finish(job, part, outcome, out)
    finally:
        part.unlink(missing_ok=True)
        (out / "running" / f"{job['name']}.json").unlink(missing_ok=True)


def marker(out, name):
    """The marker of a finished notebook, or None."""
    try:
        return json.loads(Path(out, "done", f"{name}.json").read_text())
    except (OSError, json.JSONDecodeError):
        return None


def _in_process(job, part, out):
    """Fork a process that runs papermill, wait for it, and end everything it left behind."""
    context = multiprocessing.get_context("fork")  # papermill is imported once per worker, not once per notebook
    import papermill  # noqa: F401

    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, part, out, send))
    process.start()
    send.close()
    try:
        if not receive.poll(job["time_limit"] or None):
            return {"kind": "time limit", "error": f"not finished after {job['time_limit']:.0f} s"} | _last_cell(
                job, out
            )
        return receive.recv()
    except EOFError:
        process.join()
        code = process.exitcode
        return {"kind": "dead kernel", "error": f"its process ended with {_signal(code)}"} | _last_cell(job, out)
    finally:
        _end(process)


def _signal(code):
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _end(process):
    """Stop a process; its kernel follows at once (see journal.die_with_parent)."""
    process.join(0.2)
    if process.is_alive():
        process.kill()
        process.join()


def _child(job, part, out, send):
    journal.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = os.open(out / "logs" / f"{job['name']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1), os.dup2(log, 2)
    os.environ |= {name: str(job["threads"]) for name in THREAD_VARIABLES} | accelerator(os.environ)
    os.environ |= {"PYTHONHASHSEED": "0", "RUN_JOURNAL": str(out / "done" / f".{job['name']}.journal")}
    os.environ["RUN_WATCH"] = ":".join(str(Path(job["root"], job[d])) for d in ("work_dir", "out_dir"))
    try:
        _papermill(job, part, out)
        outcome = {}
    except BaseException as error:  # the worker must hear of everything, also of SystemExit
        outcome = classify(error) | _last_cell(job, out)
    outcome["peak_mb"] = _peak_mb()
    send.send(outcome)


def _peak_mb():
    """Peak memory of the largest process this one has waited for (the kernel or a pool of its own) [MB]."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # kilobytes on Linux, bytes on macOS
    return round(peak / (1024 if sys.platform == "linux" else 1024**2))


def _papermill(job, part, out):
    import papermill
    from papermill.log import logger

    from lib import kernels

    kernels.log_to(logger, sys.__stderr__, f"{job['name']} attempt {job['attempt']}")
    kernels.ProgressEngine.report = lambda index, n, cell: _heartbeat(job, out, index, n, cell)
    executed = papermill.execute_notebook(
        job["notebook"],
        str(part),
        job["parameters"],
        engine_name=kernels.ENGINE,
        kernel_name="python3",
        kernel_manager_class=kernels.IPCKernelManager,
        progress_bar=False,
        log_output=True,
        start_timeout=job.get("start_timeout", 60),
        cwd=str(job["root"]),
    )
    skipped = [c for c in executed.cells if c.cell_type == "code" and c.source.strip() and c.execution_count is None]
    if skipped:  # a kernel that left by exit() is restarted silently or reported as completed
        raise RuntimeError(f"{len(skipped)} cells were never executed, the first is {skipped[0].get('id')!r}")


def accelerator(environment):
    """One accelerator for this worker, out of those that the scheduler gave to the block.

    A static list of accelerators would overwrite the scheduler's choice, and two blocks would share device 0.

    Returns
    -------
    dict
        CUDA_VISIBLE_DEVICES with one entry, chosen by the worker's rank; empty where there is nothing to choose.
    """
    visible = [d for d in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
    rank = int(environment.get("PARSL_WORKER_RANK", 0))
    return {"CUDA_VISIBLE_DEVICES": visible[rank % len(visible)]} if visible else {}


def _heartbeat(job, out, index, n_cells, cell):
    """Say which cell runs now: for the live line, for `--status`, and for the report of a kernel that dies."""
    line = next(iter(keys.source(cell).strip().splitlines()), "")
    state = {"name": job["name"], "host": socket.gethostname(), "pid": os.getpid(), "started": time.time()}
    state |= {"cell": cell.get("id", ""), "line": line, "index": index, "cells": n_cells, "attempt": job["attempt"]}
    path = out / "running" / f"{job['name']}.json"
    if path.exists():
        state["started"] = json.loads(path.read_text())["started"]
    keys.write_atomic(path, json.dumps(state))


def _last_cell(job, out):
    try:
        state = json.loads((out / "running" / f"{job['name']}.json").read_text())
    except (OSError, json.JSONDecodeError):
        return {"cell": "", "line": ""}
    return {"cell": state["cell"], "line": state["line"]}


def classify(error):
    """Kind and one-line text of what ended a notebook.

    Returns
    -------
    dict
        `kind`: "raised" (the notebook's own error, never retried), "disk full", or one of RETRIED; `error`: the text.
    """
    name, text = type(error).__name__, str(error)
    if name == "PapermillExecutionError":
        name, text = error.ename, error.evalue
    kind = {"DeadKernelError": "dead kernel", "CellTimeoutError": "time limit"}.get(name, "raised")
    if name in OUT_OF_MEMORY:
        kind = "out of memory"
    elif "No space left on device" in text:
        kind = "disk full"
    elif "Kernel didn't respond" in text or "Kernel died before replying" in text:
        kind = "no kernel"
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    return {"kind": kind, "error": f"{name}: {text}"}


def _keep_failure(job, part, outcome, out):
    """Set the executed copy and the log of a failed notebook aside; the last good copy stays where it is."""
    failed = out / "failed"
    failed.mkdir(exist_ok=True)
    copy, log = failed / f"{job['name']}.ipynb", out / "logs" / f"{job['name']}.log"
    if part.exists():
        os.replace(part, copy)
    if log.exists():
        shutil.copy(log, failed / log.name)
    outcome["copy"] = os.path.relpath(copy, job["root"]) if copy.exists() else os.path.relpath(log, job["root"])
    keys.write_atomic(failed / f"{job['name']}.json", json.dumps(outcome, indent=1))
    return outcome


def _finish(job, part, outcome, out):
    os.replace(part, out / "notebooks" / f"{job['name']}.ipynb")
    hashes = keys.Hashes(job["root"])
    files = journal.written(out / "done" / f".{job['name']}.journal")
    outcome |= {"key": job["key"], "outputs": {hashes.name(f): hashes.of(f) for f in files}}
    keys.write_atomic(out / "done" / f"{job['name']}.json", json.dumps(outcome, indent=1))
    for stale in (out / "failed").glob(f"{job['name']}.*"):
        stale.unlink()
    return {k: v for k, v in outcome.items() if k != "key"}
