"""What a run consists of, and which part of it is due: a profile's tasks beside what is on disk."""

import functools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lib.run import keys, notebook

FINISHED = ("done", "skipped", "kept", "failed", "blocked")
USABLE = ("done", "skipped", "kept")  # its tables can be read
ASIDE = ("/figures/", "/times.")  # for readers only: no notebook's result depends on them
NOT_RUN = "not run yet"
FAILED = "failed last time"
# What a plan keeps of a marker; of a task that never finished.
NOTHING = {"digest": "", "outputs": {}, "seconds": 0, "n_runs": 0, "accelerator": ""}


@dataclass
class Task:
    """One execution of one notebook (or of a plain Python file, which runs without a kernel)."""

    name: str  # of the executed copy and the marker: the notebook's, and after a dot a number
    notebook: Path
    parameters: dict
    after: tuple = ()  # names of the tasks whose tables it reads
    alone: bool = False  # it gets every core where nothing runs beside it
    selected: bool = True
    identity: dict = field(default_factory=dict)  # in the content key, in place of parameters
    shard: str = ""  # of the sweep, as the ledger calls it
    n_runs: int = 0  # models it trains, for estimates
    state: str = "waiting"  # waiting | queued | one of FINISHED
    reason: str = ""
    tries: int = 0
    result: dict = field(default_factory=dict)


class Plan:
    """The tasks of one profile, in order, with their folders and what is known about finished ones.

    Parameters
    ----------
    tasks : list of Task
        Every task after those it reads from.
    root, work_dir, out_dir : Path, str, str
        The repository, and two folders relative to it.
    data : list of str
        Files and folders that every notebook may read beside its predecessors' tables.
    force : bool
        Run selected tasks also when nothing changed.
    partial : bool
        Run a selected task also when some, not all, of the shards it reads from are there.
    timed : list of dict
        What notebooks took elsewhere, for estimates: name, seconds, source; n_runs, accelerator.
    """

    def __init__(
        self, tasks, root, work_dir, out_dir, data=(), force=False, partial=False, timed=()
    ):
        self.tasks = {task.name: task for task in tasks}
        self.root = Path(root)
        self.work_dir = work_dir
        self.out_dir = out_dir
        self.out = self.root / out_dir
        self.force = force
        self.partial = partial
        self.timed = timed
        self.hashes = keys.Hashes(root, self.out / "done" / ".hashes.json")
        self.data = {}
        for path in data:
            self.data |= self.hashes.under(path)
        self.done = {}  # of finished tasks by name: the little that is needed of their markers
        self._writers = Counter()  # tasks that wrote a file
        self._tables = functools.cache(self._tables_after)
        self._program = functools.lru_cache(maxsize=20)(lambda path, moment: keys.program(path))
        for task in tasks:
            self.recall(task.name, notebook.marker(self.out, task.name))
        for task in tasks:  # after those that it reads from
            if not task.selected:
                fault = self.due(task, self.key(task))
                task.state = "blocked" if fault else "kept"
                task.reason = fault or "not selected"

    def recall(self, name, marker):
        """Take note of a task's marker, if it has one."""
        if marker:
            self._writers.subtract(self.done.get(name, NOTHING)["outputs"].keys())
            self._writers.update(marker["outputs"].keys())
            self.done[name] = {part: marker.get(part, none) for part, none in NOTHING.items()}
            self._tables.cache_clear()

    def fault(self, task):
        """What is wrong with a task's finished result on disk; empty where it is whole.

        A file that several tasks wrote (the list of shards) belongs to none of them and may have
        changed since.
        """
        if task.name not in self.done:
            failed = (self.out / "failed" / f"{task.name}.json").exists()
            return FAILED if failed else NOT_RUN
        for path, written in self.done[task.name]["outputs"].items():
            if self._writers[path] == 1 and self.hashes.of(path) != written:
                return f"{path} is missing or was changed"
        executed = notebook.copy(self.out, task)
        return "" if executed.exists() else "its executed copy is missing"

    def _tables_after(self, names):
        """Hashes of the tables written by all tasks before one."""
        found = {}
        for name in names:
            found |= self._tables(self.tasks[name].after)
            for path, written in self.done.get(name, NOTHING)["outputs"].items():
                if not any(part in path for part in ASIDE):
                    shared = self._writers[path] > 1
                    found[path] = self.hashes.of(path) if shared else written
        return found

    def key(self, task):
        """The content key of a task whose predecessors are finished."""
        given = task.parameters | task.identity
        given = {name: value for name, value in given.items() if value is not None}
        inputs = self.data | self._tables(task.after) | self._named(given.values())
        # The library is read anew every two seconds, not for every shard.
        program = self._program(task.notebook, time.monotonic() // 2)
        return program | {"parameters": given, "inputs": inputs}

    def _named(self, values):
        """Hashes of the files that parameters name, as files or by their folder."""
        found = {}
        for value in values:
            for one in value if isinstance(value, list) else [value]:
                if self._is_input(one):
                    found |= self.hashes.under(one)
        return found

    def _is_input(self, value):
        """Whether a value names a file or folder, other than the run's own and the repository."""
        if not isinstance(value, str) or not os.path.exists(self.root / value):
            return False
        path = (self.root / value).resolve()
        root = self.root.resolve()
        own = [root / self.work_dir, root / self.out_dir]
        return not root.is_relative_to(path) and not any(path.is_relative_to(o) for o in own)

    def due(self, task, key):
        """Why a task must run now; empty where its result is good."""
        if self.force and task.selected and not task.tries:
            return "forced"
        fault = self.fault(task)
        if fault or self.done[task.name]["digest"] == keys.digest(key):
            return fault
        marker = notebook.marker(self.out, task.name)
        return keys.difference(marker["key"], key) if marker else NOT_RUN

    def job(self, task, key, threads, time_limit):
        """What `notebook.run` needs to know, as plain values."""
        return {
            "name": task.name,
            "notebook": str(task.notebook),
            "parameters": task.parameters,
            "shard": task.shard,
            "n_runs": task.n_runs,
            "attempt": task.tries,
            "key": key,
            "root": str(self.root),
            "work_dir": self.work_dir,
            "out_dir": self.out_dir,
            "threads": threads,
            "time_limit": time_limit,
        }

    def preview(self):
        """Yield (task, "skip" | "run" | "wait" | "off", reason) without running anything."""
        running = set()
        for task in self.tasks.values():
            last = next((name for name in reversed(task.after) if name in running), None)
            action = "run"
            if not task.selected:
                action = "off"
                reason = task.reason
            elif last:
                action = "wait"
                reason = f"after {last}, if its tables change"
            else:
                reason = self.due(task, self.key(task))
                if not reason:
                    action = "skip"
                    reason = "nothing changed"
            if action in ("run", "wait"):
                running.add(task.name)
            yield task, action, reason
