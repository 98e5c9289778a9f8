"""Run a plan: hand what is due to the workers, survive what goes wrong, keep what is finished."""

import concurrent.futures
import contextlib
import fcntl
import os
import shutil
import socket
import time

from lib.run import keys, notebook
from lib.run.plan import FAILED, FINISHED, NOT_RUN, USABLE

LEAST_FREE = 50e6  # bytes; below it no notebook is started
TICK = 0.25  # seconds that an answer is waited for before the live table moves
PAUSE = 1.0  # seconds before a second try, doubled before each further one
LOST = ("WorkerLost", "ManagerLost", "MessengerLost")  # of Parsl the first two, the last of ours
BUSY_PAUSE = 5  # seconds before asking again for a notebook that another worker still runs


class Refused(RuntimeError):
    """A results folder that this run must not touch."""


@contextlib.contextmanager
def claim(out):
    """Make the folders of a run below its results folder and hold them for this process alone.

    Raises
    ------
    Refused
        If the folder cannot be written, or another run holds it.
    """
    try:
        for name in "tables figures notebooks logs done running".split():
            (out / name).mkdir(parents=True, exist_ok=True)
        lock = open(out / ".lock", "a+")  # closed by the `with` below
    except OSError as error:
        what = f"cannot write to {out} ({error.strerror}: {error.filename})"
        raise Refused(f"{what}; free it or change its owner") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            what = f"another run holds {out} ({lock.read().strip()})"
            raise Refused(f"{what}; wait for it or stop it") from None
        lock.truncate(0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        who = f"process {os.getpid()} on {socket.gethostname()}"
        print(who, "since", since, end="", file=lock, flush=True)
        yield


def held(out):
    """Whether a run holds a results folder now."""
    with contextlib.suppress(OSError), open(out / ".lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Conductor:
    """Runs a plan on a pool and tells a listener what happens.

    Parameters
    ----------
    plan : Plan
    pool : object
        Has `slots`, `submit(job) -> concurrent.futures.Future`, `threads(alone) -> int`, `broken()`
        and `close()`, which ends the futures of a broken pool.
    tell : callable
        Called with (event, task); event is start, retry, done, skipped, failed, blocked or tick.
    retries : int
        Further tries after a lost worker or dead kernel.
    time_limit : float
        Seconds that one notebook may take (0: any).
    """

    def __init__(self, plan, pool, tell, retries=2, time_limit=0):
        self.plan = plan
        self.pool = pool
        self.tell = tell
        self.retries = retries
        self.time_limit = time_limit
        # Tasks to start, in order, each with the moment before which it must not start.
        self.waiting = {t.name: 0.0 for t in plan.tasks.values() if t.state not in FINISHED}
        self.flying = {}  # (task, job) of what the workers have, by the future of its answer
        self.stopped = ""
        self.halted = False

    def run(self):
        """Run everything that can run; afterwards every task has a final state."""
        while (self.waiting or self.flying) and not self.halted:
            self._start_ready()
            if self.waiting or self.flying:
                self._take_answers()
        for task in self.plan.tasks.values():
            if task.state not in FINISHED:
                self._finish(task, "blocked", self.stopped)
            fault = self.plan.fault(task) if task.state in USABLE else ""
            if fault:  # somebody changed or removed a table meanwhile
                task.result = {"kind": "lost result", "error": fault}
                self._finish(task, "failed", fault)
        with contextlib.suppress(OSError):
            self.plan.hashes.save()

    def stop(self, reason, halt=False):
        """Start nothing more, and with `halt` do not wait for what runs now.

        May be called from a signal handler.
        """
        self.stopped = self.stopped or reason
        self.halted = self.halted or halt

    def _start_ready(self):
        """Start what is ready, or finish it as skipped or blocked, as long as there is room."""
        for name, moment in list(self.waiting.items()):
            if len(self.flying) >= 2 * self.pool.slots and not self.stopped:
                break
            task = self.plan.tasks[name]
            before = [self.plan.tasks[other] for other in task.after]
            early = moment > time.monotonic() and not self.stopped
            if not early and all(other.state in FINISHED for other in before):
                del self.waiting[name]
                self._start(task, before)

    def _start(self, task, before):
        absent = [other for other in before if other.state not in USABLE]
        some = self.plan.partial and len(absent) < len(before)
        if some:  # the shards that did not run yet are no fault
            absent = [other for other in absent if other.reason not in (NOT_RUN, FAILED)]
        if absent:
            why = f"{keys.first_of([other.name for other in absent])} did not finish"
            if not absent[0].selected:
                why = f"{absent[0].name} is not done ({absent[0].reason}): run it first"
            return self._finish(task, "blocked", why)
        key = self.plan.key(task)
        reason = self._due(task, key)
        if not reason:
            return self._finish(task, "done" if task.tries else "skipped", "nothing changed")
        if not self.stopped and shutil.disk_usage(self.plan.out).free < LEAST_FREE:
            self.stop(f"the disk of {self.plan.out} is full")
        if self.stopped:
            return self._finish(task, "blocked", self.stopped)
        self._submit(task, key, reason)

    def _due(self, task, key):
        """Why a task must run, by its newest marker: another worker may have finished it, also one
        of a conductor that was killed.
        """
        self.plan.recall(task.name, notebook.marker(self.plan.out, task.name))
        return self.plan.due(task, key)

    def _submit(self, task, key, reason):
        task.state = "queued"
        task.reason = reason
        task.tries += 1
        self.tell("start", task)
        # Two notebooks with every core each would take turns waiting: twice the time of one core.
        threads = self.pool.threads(task.alone and not self.flying)
        job = self.plan.job(task, key, threads, self.time_limit)
        self.flying[self.pool.submit(job)] = task, job

    def _take_answers(self):
        concurrent.futures.wait(self.flying, TICK, concurrent.futures.FIRST_COMPLETED)
        answered = [future for future in self.flying if future.done()]
        if not answered:
            if not self.flying:
                time.sleep(TICK)
            self.tell("tick", None)
            if self.pool.broken():
                self.pool.close()  # what it ran is lost and tried again on new workers
        for future in answered:
            task, job = self.flying.pop(future)
            self._judge(task, job, outcome(future))

    def _judge(self, task, job, result):
        """Finish a task by its result, or put it aside for another try."""
        kind = result.get("kind")
        if kind == "lost worker" and not self._due(task, job["key"]):  # it had finished before
            result = notebook.marker(self.plan.out, task.name)
            kind = None
        task.result = result
        if not kind:
            self.plan.recall(task.name, result)
            return self._finish(task, "done", task.reason)
        if kind in ("disk full", "broken workers"):
            self.stop(f"{kind}: {result['error']}")
        if kind == "busy":
            task.tries -= 1
            return self._try_again(task, BUSY_PAUSE)
        if kind in notebook.RETRIED and task.tries <= self.retries:
            return self._try_again(task, PAUSE * 2 ** (task.tries - 1))
        if kind == "lost worker":
            with contextlib.suppress(OSError):
                task.result = notebook.set_aside(job, self.plan.out, result)
        self._finish(task, "failed", f"{kind}: {result['error']}")

    def _try_again(self, task, pause):
        self.waiting[task.name] = time.monotonic() + pause
        self.tell("retry", task)

    def _finish(self, task, state, reason):
        task.state = state
        task.reason = reason
        self.tell(state, task)


def outcome(future):
    """A worker's answer, or what kept it from coming."""
    error = future.exception()
    if error is None:
        return future.result()
    name = type(error).__name__
    kind = "lost worker" if name in LOST else "broken workers"
    return {"kind": kind, "error": f"{name}: {error}"}
