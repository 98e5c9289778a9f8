"""Run a graph of notebooks: decide what is due, hand it to Parsl, survive what goes wrong, keep what is finished."""

import heapq
import os
import queue
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from lib import keys, runner

FORMAT = 1  # of markers and folders; a results folder of another format is refused


@dataclass
class Task:
    """One execution of one notebook."""

    name: str  # of the executed copy and the marker
    notebook: Path
    parameters: dict
    after: tuple = ()  # names of the tasks whose tables it reads
    alone: bool = False  # nothing runs beside it: it gets every core
    selected: bool = True
    state: str = "waiting"  # waiting | queued | done | skipped | kept | failed | blocked
    reason: str = ""
    tries: int = 0
    result: dict = field(default_factory=dict)

    @property
    def finished(self):
        return self.state in ("done", "skipped", "kept", "failed", "blocked")

    @property
    def usable(self):
        """Whether its tables can be read."""
        return self.state in ("done", "skipped", "kept")


class Plan:
    """The tasks of one profile, in order, with their folders and what is known about finished ones.

    Parameters
    ----------
    tasks : list of Task
        Every task after those it reads from.
    root, work_dir, out_dir : Path, str, str
        The repository, and two folders relative to it.
    data : list of str
        Files and folders every notebook may read beside its predecessors' tables.
    force : bool
        Run selected tasks also when nothing changed.
    partial : bool
        Run a selected task also when some, not all, of the shards it reads from are there.
    """

    def __init__(self, tasks, root, work_dir, out_dir, data=(), force=False, partial=False):
        self.tasks = {task.name: task for task in tasks}
        self.root, self.work_dir, self.out_dir = Path(root), work_dir, out_dir
        self.out = self.root / out_dir
        self.force, self.partial = force, partial
        self.hashes = keys.Hashes(root, self.out / "done" / ".hashes.json")
        self.data = {name: hash for path in data for name, hash in self.hashes.under(path).items()}
        self.markers = {task.name: runner.marker(self.out, task.name) for task in tasks}
        self._tables, self._keys = {}, {}
        for task in tasks:
            if not task.selected:
                fault = self.fault(task)
                task.state, task.reason = ("blocked", fault) if fault else ("kept", "not selected")

    def fault(self, task):
        """What is wrong with a task's finished result on disk; empty where it is whole."""
        marker = self.markers[task.name]
        if not marker:
            return "never finished"
        changed = [path for path, hash in marker["outputs"].items() if self.hashes.of(path) != hash]
        if changed:
            return f"{changed[0]} is missing or was changed"
        executed = self.out / "notebooks" / f"{task.name}.ipynb"
        return "" if executed.exists() else "its executed copy is missing"

    def reads(self, task):
        """Hashes of the tables written by all tasks before this one."""
        if task.after not in self._tables:
            found = {}
            for name in task.after:
                outputs = (self.markers[name] or {}).get("outputs", {})
                found |= self.reads(self.tasks[name]) | {p: h for p, h in outputs.items() if "/figures/" not in p}
            self._tables[task.after] = found
        return self._tables[task.after]

    def key(self, task):
        """The content key of a task whose predecessors are finished."""
        named = [v for v in task.parameters.values() if isinstance(v, str) and self._is_input(v)]
        inputs = self.data | self.reads(task) | {n: h for path in named for n, h in self.hashes.under(path).items()}
        return keys.key(task.notebook, task.parameters, inputs)

    def _is_input(self, value):
        """Whether a parameter's value names an existing file or folder that is not the run's own."""
        path = self.root / value
        own = (self.root / self.work_dir, self.out)
        return len(value) < 255 and value != "" and "\n" not in value and path.exists() and path not in own

    def due(self, task, key=None):
        """Why a task must run now; empty where its result is good."""
        if self.force:
            return "forced"
        return self.fault(task) or keys.difference(self.markers[task.name]["key"], key or self.key(task))

    def job(self, task, key, threads, time_limit):
        """What `runner.run` needs to know."""
        return {
            "name": task.name,
            "notebook": str(task.notebook),
            "parameters": task.parameters,
            "root": str(self.root),
            "work_dir": self.work_dir,
            "out_dir": self.out_dir,
            "key": key,
            "threads": threads,
            "time_limit": time_limit,
            "attempt": task.tries,
        }

    def preview(self):
        """Yield (task, "skip" | "run" | "wait" | "off", reason) without running anything."""
        running = set()
        for task in self.tasks.values():
            first = next((name for name in task.after if name in running), None)
            if not task.selected:
                yield task, "off", task.reason
            elif first or any(not self.markers[name] for name in task.after):
                running.add(task.name)
                yield task, "wait", f"after {first or task.after[0]}, if its tables change"
            else:
                reason = self.due(task)
                running |= {task.name} if reason else set()
                yield task, "run" if reason else "skip", reason or "nothing changed"


class Conductor:
    """Runs a plan on a pool and tells a listener what happens.

    Parameters
    ----------
    plan : Plan
    pool : object
        Has `slots`, `submit(job) -> concurrent.futures.Future` and `threads(alone) -> int`.
    tell : callable
        Called with (event, task), event one of start, retry, done, skipped, failed, blocked, tick.
    retries, pause, time_limit : int, float, float
        Further tries after a lost worker or dead kernel; seconds before the first of them, doubled each time; seconds
        that one notebook may take (0: any).
    """

    def __init__(self, plan, pool, tell, retries=2, pause=1.0, time_limit=0):
        self.plan, self.pool, self.tell = plan, pool, tell
        self.retries, self.pause, self.time_limit = retries, pause, time_limit
        self.events, self.later, self.ready = queue.SimpleQueue(), [], deque()
        self.in_flight, self.stopping = 0, ""
        self.children, self.missing = {}, {}
        for task in plan.tasks.values():
            waits = [name for name in task.after if not plan.tasks[name].finished]
            self.missing[task.name] = len(waits)
            for name in waits:
                self.children.setdefault(name, []).append(task)

    def run(self):
        """Run everything that can run; afterwards every task has a final state."""
        open_tasks = [t for t in self.plan.tasks.values() if not t.finished]
        self.ready.extend(t for t in open_tasks if not self.missing[t.name])
        while self.ready or self.in_flight or self.later:
            self._start_ready()
            if self.in_flight or self.later:
                self._take_event()
        self.plan.hashes.save()

    def _start_ready(self):
        while self.later and self.later[0][0] <= time.monotonic():
            self.ready.append(heapq.heappop(self.later)[2])
        while self.ready and self.in_flight < 2 * self.pool.slots:
            self._start(self.ready.popleft())

    def _start(self, task):
        if self.stopping:
            return self._finish(task, "blocked", self.stopping)
        absent = [name for name in task.after if not self.plan.tasks[name].usable]
        if absent and not (self.plan.partial and len(absent) < len(task.after)):
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            return self._finish(task, "blocked", f"{absent[0]}{more} did not finish")
        key = self.plan.key(task)
        reason = self.plan.due(task, key) if not task.tries else task.reason
        if not reason:
            return self._finish(task, "skipped", "nothing changed")
        task.state, task.reason, task.tries = "queued", reason, task.tries + 1
        self.tell("start", task)
        job = self.plan.job(task, key, self.pool.threads(task.alone), self.time_limit)
        self.in_flight += 1
        future = self.pool.submit(job)
        future.add_done_callback(lambda done, task=task: self.events.put((task, done)))

    def _take_event(self):
        try:
            task, future = self.events.get(timeout=0.5)
        except queue.Empty:
            return self.tell("tick", None)
        self.in_flight -= 1
        task.result = outcome(future)
        kind = task.result.get("kind")
        if not kind:
            self.plan.markers[task.name] = task.result
            self._finish(task, "done", task.reason)
        elif kind in runner.RETRIED and task.tries <= self.retries and not self.stopping:
            wait = self.pause * 2 ** (task.tries - 1)
            heapq.heappush(self.later, (time.monotonic() + wait, task.name, task))
            self.tell("retry", task)
        else:
            self._finish(task, "failed", f"{kind}: {task.result['error']}")

    def _finish(self, task, state, reason):
        task.state, task.reason = state, reason
        self.tell(state, task)
        for child in self.children.get(task.name, ()):
            self.missing[child.name] -= 1
            if not self.missing[child.name]:
                self.ready.append(child)


def outcome(future):
    """A worker's answer, or the kind of loss when there is none."""
    error = future.exception()
    if error is None:
        return future.result()
    lost = type(error).__name__ in ("WorkerLost", "ManagerLost")
    return {"kind": "lost worker" if lost else "raised", "error": f"{type(error).__name__}: {error}"}


def folders(out):
    """Make the folders of a run."""
    for name in ("tables", "figures", "notebooks", "logs", "done", "running"):
        (out / name).mkdir(parents=True, exist_ok=True)


class ParslPool:
    """Workers of one Parsl executor; nothing is started before the first notebook is due.

    Parameters
    ----------
    workers : int
        Notebooks at a time.
    threads : int
        CPU threads of each; 0 divides the cores.
    log_dir : Path
        Where Parsl keeps its own logs.
    """

    def __init__(self, workers, threads, log_dir):
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        self.slots, self.share, self.log_dir = workers, threads or max(1, self.cores // workers), log_dir
        self.kernel = None

    def threads(self, alone):
        """CPU threads of one notebook."""
        return self.cores if alone else self.share

    def start(self):
        import parsl

        os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # Parsl's own programs
        self.kernel = parsl.dataflow.dflow.DataFlowKernel(local_config(self.slots, self.log_dir))
        self.app = parsl.python_app(runner.run, data_flow_kernel=self.kernel)

    def submit(self, job):
        """Hand a notebook to a worker; returns a future of `runner.run`."""
        if not self.kernel:
            self.start()
        return self.app(job)

    def close(self):
        if self.kernel:
            self.kernel.cleanup()


def local_config(workers, log_dir):
    """Parsl on this machine: one block, a new one should it be lost."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.jobs.error_handlers import windowed_error_handler
    from parsl.providers import LocalProvider

    executor = HighThroughputExecutor(
        label="local",
        address="127.0.0.1",
        max_workers_per_node=workers,
        cores_per_worker=1e-6,  # the number of workers is ours to choose, also above the number of cores
        heartbeat_period=5,
        heartbeat_threshold=20,
        provider=LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
        block_error_handler=windowed_error_handler,
        encrypted=False,  # loopback only
    )
    return Config(
        executors=[executor],
        run_dir=str(log_dir),
        strategy="simple",
        strategy_period=1,
        usage_tracking=0,
        initialize_logging=False,
    )
