"""Run a plan: hand what is due to the workers, survive what goes wrong, keep what is finished."""

import contextlib
import fcntl
import heapq
import json
import os
import queue
import shutil
import socket
import time
from collections import deque

from lib import files
from lib.run import keys, notebook
from lib.run.plan import FINISHED, USABLE

FORMAT = 1  # of markers and folders; a results folder of another format is refused
LEAST_FREE = 50e6  # bytes; below it no notebook is started
BUSY_PAUSE = 5  # seconds before asking again for a notebook that another worker still runs


class Refused(RuntimeError):
    """A results folder that this run must not touch."""


@contextlib.contextmanager
def claim(out, profile):
    """Make a run's folders and hold them for this process alone.

    Parameters
    ----------
    out : Path
        The results folder.
    profile : str
        Whose results it keeps.

    Raises
    ------
    Refused
        If the folder cannot be written, belongs to another profile or format, or another run holds it.
    """
    try:
        for name in ("tables", "figures", "notebooks", "logs", "done", "running"):
            (out / name).mkdir(parents=True, exist_ok=True)
        lock = open(out / ".lock", "a+")  # closed by the `with` below
    except OSError as error:
        reason = f"{error.strerror}: {error.filename}"
        raise Refused(f"cannot write to {out} ({reason}); free it or change its owner") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Refused(
                f"another run holds {out} ({lock.read().strip()}); wait for it or stop it"
            ) from None
        _own(out, profile)
        lock.truncate(0)
        lock.write(
            f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M:%S')}"
        )
        lock.flush()
        for stale in (out / "running").glob("*.json"):
            stale.unlink()
        yield


def held(out):
    """Whether a run holds a results folder now."""
    try:
        with open(out / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _own(out, profile):
    mine, file = {"profile": profile, "format": FORMAT}, out / "run.json"
    found = json.loads(file.read_text()) if file.exists() else mine
    for name, value in mine.items():
        if found.get(name) != value:
            raise Refused(
                f"{out} belongs to {name} {found.get(name)!r}, not {value!r}; move it away or remove it"
            )
    files.write_text(file, json.dumps(mine))


class Conductor:
    """Runs a plan on a pool and tells a listener what happens.

    Parameters
    ----------
    plan : Plan
    pool : object
        Has `slots`, `submit(job) -> concurrent.futures.Future`, `threads(alone) -> int`, `broken()` and `close()`.
    tell : callable
        Called with (event, task); event is start, retry, done, skipped, failed, blocked or tick.
    retries, pause, time_limit : int, float, float
        Further tries after a lost worker or dead kernel; seconds before the first of them, doubled each time; seconds
        that one notebook may take (0: any).
    """

    def __init__(self, plan, pool, tell, retries=2, pause=1.0, time_limit=0):
        self.plan, self.pool, self.tell = plan, pool, tell
        self.retries, self.pause, self.time_limit = retries, pause, time_limit
        self.answers, self.later, self.ready = queue.SimpleQueue(), [], deque()
        self.flying, self.stopped, self.halted, self.replaced = {}, "", False, 0
        self.children, self.missing = {}, {}
        for task in (
            t for t in plan.tasks.values() if not self._finished(t.name)
        ):  # others were not selected
            waits = [name for name in task.after if not self._finished(name)]
            self.missing[task.name] = len(waits)
            for name in waits:
                self.children.setdefault(name, []).append(task)

    def _finished(self, name):
        return self.plan.tasks[name].state in FINISHED

    def run(self):
        """Run everything that can run; afterwards every task has a final state."""
        tasks = self.plan.tasks.values()
        self.ready.extend(
            t for t in tasks if not self._finished(t.name) and not self.missing[t.name]
        )
        while (self.ready or self.flying or self.later) and not self.halted:
            self._start_ready()
            if self.flying or self.later:
                self._take_answer()
        for task in tasks:
            if task.state not in FINISHED:
                self._finish(task, "blocked", self.stopped)
        with contextlib.suppress(OSError):
            self.plan.hashes.save()

    def stop(self, reason, halt=False):
        """Start nothing more, and with `halt` do not wait for what runs now; may be called from a signal handler."""
        self.stopped, self.halted = self.stopped or reason, self.halted or halt

    def _start_ready(self):
        while self.later and (self.stopped or self.later[0][0] <= time.monotonic()):
            self.ready.append(heapq.heappop(self.later)[2])
        while self.ready and (self.stopped or len(self.flying) < 2 * self.pool.slots):
            self._start(self.ready.popleft())

    def _start(self, task):
        absent = [name for name in task.after if self.plan.tasks[name].state not in USABLE]
        if absent and not (self.plan.partial and len(absent) < len(task.after)):
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            return self._finish(task, "blocked", f"{absent[0]}{more} did not finish")
        if task.tries:  # another worker may have finished it
            self.plan.recall(task.name)
        key = self.plan.key(task)
        reason = self.plan.due(task, key)
        if not reason:
            return self._finish(task, "done" if task.tries else "skipped", "nothing changed")
        if not self.stopped and shutil.disk_usage(self.plan.out).free < LEAST_FREE:
            self.stop(f"the disk of {self.plan.out} is full")
        if self.stopped:
            return self._finish(task, "blocked", self.stopped)
        self._submit(task, key, reason)

    def _submit(self, task, key, reason):
        task.state, task.reason, task.tries = "queued", reason, task.tries + 1
        self.tell("start", task)
        job = self.plan.job(task, key, self.pool.threads(task.alone), self.time_limit)
        self.flying[task.name] = task, job
        ticket = (task.name, task.tries, self.replaced)
        self.pool.submit(job).add_done_callback(lambda future: self.answers.put((ticket, future)))

    def _take_answer(self):
        try:
            ticket, future = self.answers.get(timeout=0.25)
        except queue.Empty:
            self.tell("tick", None)
            return self._replace_pool() if self.pool.broken() else None
        name, tries, pool = ticket
        if name in self.flying and (tries, pool) == (self.flying[name][0].tries, self.replaced):
            self._judge(*self.flying.pop(name), outcome(future))

    def _judge(self, task, job, result):
        task.result, kind = result, result.get("kind")
        if not kind:
            self.plan.recall(task.name, result)
            return self._finish(task, "done", task.reason)
        if kind == "lost worker":
            marker = notebook.marker(self.plan.out, task.name)
            if marker and marker["digest"] == keys.digest(job["key"]):  # lost after it had finished
                return self._judge(task, job, {k: v for k, v in marker.items() if k != "key"})
        if kind in ("disk full", "broken workers"):
            self.stop(f"{kind}: {result['error']}")
        if kind == "busy" or (kind in notebook.RETRIED and task.tries <= self.retries):
            task.tries -= kind == "busy"
            wait = BUSY_PAUSE if kind == "busy" else self.pause * 2 ** (task.tries - 1)
            heapq.heappush(self.later, (time.monotonic() + wait, task.name, task))
            return self.tell("retry", task)
        if kind == "lost worker":
            with contextlib.suppress(OSError):
                task.result = notebook.set_aside(job, self.plan.out, result)
        self._finish(task, "failed", f"{kind}: {result['error']}")

    def _replace_pool(self):
        """Start new workers after the process that spoke to them died; what they ran is lost and tried again."""
        self.replaced += 1
        self.pool.close()
        lost, self.flying = self.flying, {}
        for task, job in lost.values():
            self._judge(
                task,
                job,
                {"kind": "lost worker", "error": "the process that spoke to the workers died"},
            )

    def _finish(self, task, state, reason):
        task.state, task.reason = state, reason
        self.tell(state, task)
        for child in self.children.get(task.name, ()):
            self.missing[child.name] -= 1
            if not self.missing[child.name]:
                self.ready.append(child)


def outcome(future):
    """A worker's answer, or what kept it from coming."""
    error = future.exception()
    if error is None:
        return future.result()
    name = type(error).__name__
    lost = name in ("WorkerLost", "ManagerLost")
    return {"kind": "lost worker" if lost else "broken workers", "error": f"{name}: {error}"}
