"""Execute one notebook in a process of its own and report how it ended.

papermill's own record cannot be trusted for that: it calls a killed kernel completed. So a notebook
is executed under a temporary name, checked, renamed into place, and only then gets a marker with
its content key; that alone means done. Kernels speak over Unix sockets: no port to race for, no
channel that another user of the node could connect to.
"""

import contextlib
import fcntl
import functools
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

from pydantic import BaseModel, FiniteFloat

from lib import files
from lib.run import journal, keys

THREAD_VARIABLES = (
    *[f"{name}_NUM_THREADS" for name in "OMP MKL OPENBLAS NUMEXPR NUMBA RAYON".split()],
    "POLARS_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
RETRIED = (
    "lost worker",
    "dead kernel",
    "no kernel",
    "time limit",
    "out of memory",
    "library changed",
)
NOTED = ("name", "attempt", "shard", "n_runs")  # of a job, in its marker
# Kinds of errors by a pattern of what they say; any other is the notebook's own.
KINDS = {
    "dead kernel": "^DeadKernelError",
    "out of memory": "^(_Array)?MemoryError|^OutOfMemoryError",
    "disk full": "No space left on device|Disk quota exceeded",
    "no kernel": "Kernel didn't respond|Kernel died before replying",
    "raised": "",
}


class Key(BaseModel):
    """The content key in a marker; in one of an earlier version a part may be missing."""

    source: str = ""
    parameters: dict = {}
    lib: dict = {}
    inputs: dict = {}


class Marker(BaseModel, extra="allow"):
    """What a marker must hold to count, and what is told of it."""

    digest: str
    outputs: dict[str, str | None]
    key: Key
    shard: str = ""
    n_runs: int = 0
    seconds: FiniteFloat = 0
    peak_mb: FiniteFloat = 0
    accelerator: str = ""


class Beat(BaseModel):
    """Where a notebook is that runs: cell, its first line, its place among the cells."""

    cell: str = ""
    line: str = ""
    index: int = 0
    cells: int = 0


def run(job):
    """Execute one notebook; called in a worker. Never raises.

    Parameters
    ----------
    job : dict
        name, notebook (path), parameters, root, out_dir, work_dir, key, threads, time_limit [s,
        0 = none], attempt; shard and n_runs, the number of models it trains, are noted.

    Returns
    -------
    dict
        name, host, attempt, accelerator, shard, n_runs, started, seconds [s], peak_mb; of a success
        also digest and outputs, as in the marker written; of a failure kind, error (text), cell and
        line (where), copy (what to open).
    """
    files.die_with_parent()  # with the manager of the workers
    out = Path(job["root"], job["out_dir"])
    name = job["name"]
    outcome = {part: job[part] for part in NOTED if part in job}
    outcome["host"] = socket.gethostname()
    outcome["accelerator"] = accelerator(os.environ).get("CUDA_VISIBLE_DEVICES", "")
    outcome["started"] = time.time()
    try:
        with _claimed(out, name) as mine:
            if not mine:
                return outcome | {"kind": "busy", "error": "another worker is still running it"}
            (out / "running" / f"{name}.json").unlink(missing_ok=True)
            before = journal.lines(_journal(out, name))
            outcome |= _in_process(job, out)
            if job["key"] and keys.program(job["notebook"])["lib"] != job["key"]["lib"]:
                # A result of either version of the library, or an error of both.
                what = "a module of lib was changed while it ran"
                outcome |= {"kind": "library changed", "error": what}
            outcome["seconds"] = round(time.time() - outcome["started"], 2)
            if "kind" in outcome:
                return set_aside(job, out, outcome)
            return _finish(job, out, outcome, before)
    except OSError as error:  # its own files could not be written: a full disk, a lost file system
        return outcome | classify(error) | _last_cell(out, name)


def marker(out, name):
    """The marker of a finished notebook, or None; one that is damaged counts as none."""
    found = files.read_json(Path(out, "done", f"{name}.json"), Marker)
    return found and found.model_dump()


def copy(out, task):
    """Path of the executed copy of a task; a Python file has its log instead."""
    if task.notebook.suffix == ".py":
        return Path(out, "logs", f"{task.name}.log")
    return Path(out, "notebooks", f"{task.name}.ipynb")


@contextlib.contextmanager
def _claimed(out, name):
    """Hold a task's lock, which dies with the last process that holds it.

    Yields False where another process has it.
    """
    with open(out / "running" / f"{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass  # a file system without locks: better unguarded than never
        yield True


def _part(out, name):
    return out / "notebooks" / f".{name}.part.ipynb"


def _in_process(job, out):
    """Start a process that executes the notebook, wait for it, and end all that it left behind."""
    if job["notebook"].endswith(".ipynb"):
        import lib.run.kernels  # noqa: F401  papermill is imported once per worker
    safe = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(safe)
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(job, out, send))
    process.start()
    send.close()
    try:
        if receive.poll(job["time_limit"] or None):
            return receive.recv()
        kind = "time limit"
        error = f"not finished after {job['time_limit']:.0f} s"
    except EOFError:
        process.join()
        code = process.exitcode
        ending = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        kind = "dead kernel"
        error = f"its process ended by {ending}"
    finally:
        process.join(0.5)
        process.kill()  # its kernel follows at once (see files.die_with_parent)
        process.join()
    return {"kind": kind, "error": error}


def _child(job, out, send):
    """The process: sends what went wrong, if anything did, and the peak memory."""
    files.die_with_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the conductor's business
    log = os.open(out / "logs" / f"{job['name']}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ |= _environment(job, out)
    outcome = {}
    try:
        if job["notebook"].endswith(".py"):
            _script(job)
        else:
            _papermill(job, out)
    except BaseException as error:  # the worker must hear of everything, also of SystemExit
        outcome = classify(error)
    send.send(outcome | {"peak_mb": _peak_mb()})


def _environment(job, out):
    watched = [str(Path(job["root"], job[folder])) for folder in ("work_dir", "out_dir")]
    return {
        **dict.fromkeys(THREAD_VARIABLES, str(job["threads"])),
        "RUN_JOURNAL": str(_journal(out, job["name"])),
        "RUN_WATCH": ":".join(watched),
        "PYTHONHASHSEED": "0",
        **accelerator(os.environ),
    }


def _journal(out, name):
    return out / "done" / f".{name}.journal"


def accelerator(environment):
    """One accelerator for this worker, out of those that the scheduler gave to its block.

    A list fixed beforehand would overwrite the scheduler's choice, and two blocks would share
    device 0.

    Returns
    -------
    dict
        CUDA_VISIBLE_DEVICES with one entry, chosen by the worker's rank; empty where there is
        nothing to choose.
    """
    visible = [d for d in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
    if not visible:
        return {}
    rank = int(environment.get("PARSL_WORKER_RANK", 0))
    return {"CUDA_VISIBLE_DEVICES": visible[rank % len(visible)]}


def _peak_mb():
    """Peak memory [MB] of the largest process: this one, its kernel, or one that it waited for."""
    whose = resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF
    peak = max(resource.getrusage(who).ru_maxrss for who in whose)
    return round(peak / (1024 if sys.platform == "linux" else 1024**2))  # kilobytes; bytes on macOS


def _script(job):
    journal.watch(os.environ)
    os.chdir(job["root"])
    runpy.run_path(job["notebook"], init_globals=job["parameters"])


def _papermill(job, out):
    import papermill

    from lib.run import kernels

    kernels.log_to(sys.__stderr__, f"{job['name']}, attempt {job['attempt']}")
    defaults = keys.parameters(job["notebook"])
    differ = {k: value for k, value in job["parameters"].items() if defaults.get(k) != value}
    job = job | {"parameters": differ}  # a cell that repeats the defaults tells a reader nothing
    executed = papermill.execute_notebook(
        job["notebook"],
        str(_part(out, job["name"])),
        job["parameters"],
        kernel_name="python3",
        kernel_manager_class=kernels.IPCKernelManager,
        on_cell_start=functools.partial(_heartbeat, job, out),
        progress_bar=False,
        log_output=True,
        start_timeout=120,
        cwd=job["root"],
    )
    code = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    skipped = [cell.get("id") for cell in code if cell.execution_count is None]
    if skipped:  # papermill calls them completed, for example after a kernel left by exit()
        raise RuntimeError(f"{len(skipped)} cells were never executed, the first is {skipped[0]!r}")


def _heartbeat(job, out, cell, cell_index):
    """Note which cell runs: for the live line, `--status`, and the report of a dead kernel."""
    line = keys.source(cell).strip().partition("\n")[0]
    state = {"cell": cell.get("id", ""), "line": line, "index": cell_index}
    # papermill adds a cell of the parameters that it is given
    state["cells"] = len(keys.cells(job["notebook"])) + bool(job["parameters"])
    files.write_text(out / "running" / f"{job['name']}.json", json.dumps(state))


def _last_cell(out, name):
    beat = files.read_json(out / "running" / f"{name}.json", Beat) or Beat()
    return {"cell": beat.cell, "line": beat.line}


def classify(error):
    """Kind and text of what ended a notebook.

    Returns
    -------
    dict
        kind: "raised" (the notebook's own error, never retried), "disk full", or one of RETRIED;
        error: the text.
    """
    name = type(error).__name__
    text = str(error)
    if name == "PapermillExecutionError":
        name = error.ename
        text = error.evalue
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    said = f"{name}: {text}"
    kind = next(kind for kind, pattern in KINDS.items() if re.search(pattern, said))
    return {"kind": kind, "error": said}


def set_aside(job, out, outcome):
    """Keep the executed copy and the log of a failed notebook under `failed/`.

    The last good copy stays in place.
    """
    name = job["name"]
    failed = out / "failed"
    failed.mkdir(exist_ok=True)
    log = out / "logs" / f"{name}.log"
    kept = failed / f"{name}.ipynb"
    if log.exists():
        shutil.copy(log, failed)
    if _part(out, name).exists():
        os.replace(_part(out, name), kept)
    if not kept.exists():
        kept = failed / log.name
    outcome = _last_cell(out, name) | outcome | {"copy": os.path.relpath(kept, job["root"])}
    files.write_text(failed / f"{name}.json", json.dumps(outcome, indent=1))
    (out / "running" / f"{name}.json").unlink(missing_ok=True)
    return outcome


def _finish(job, out, outcome, before):
    """Put the executed copy in place, then write the marker: from here on the notebook is done.

    What only an earlier execution wrote is left over and set aside, lest a reader take it for a
    result; `before` are the lines of its journal. Shards of the sweep stay: they are resumed.
    """
    name = job["name"]
    if job["notebook"].endswith(".ipynb"):
        os.replace(_part(out, name), out / "notebooks" / f"{name}.ipynb")
    noted = _journal(out, name)
    written = journal.written(journal.lines(noted)[len(before) :])
    aside = out / "left_over"
    for path in journal.written(before) - written:
        if "sweep" in path.parts:
            written.add(path)
        else:
            aside.mkdir(exist_ok=True)
            shutil.move(path, aside / path.name)
            outcome.setdefault("left_over", []).append(path.name)
    files.write_text(noted, "".join(f"{path}\n" for path in written))
    outcome["digest"] = keys.digest(job["key"])
    outcome["outputs"] = keys.Hashes(job["root"]).of_all(sorted(written))
    marker = outcome | {"key": job["key"]}
    files.write_text(out / "done" / f"{name}.json", json.dumps(marker, indent=1))
    own = [f"failed/{name}.{kind}" for kind in ("ipynb", "log", "json")]
    for stale in [*own, f"running/{name}.json"]:
        (out / stale).unlink(missing_ok=True)
    return outcome
