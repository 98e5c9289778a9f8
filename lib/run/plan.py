"""What a run consists of, and which part of it is due: the tasks of a profile beside what is on disk."""

import functools
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lib.run import keys
from lib.run import notebook as run_notebook

FINISHED = ("done", "skipped", "kept", "failed", "blocked")
USABLE = ("done", "skipped", "kept")  # its tables can be read


@dataclass
class Task:
    """One execution of one notebook (or of a plain Python file, which runs without a kernel)."""

    name: str  # of the executed copy and the marker: the notebook's, and after a dot the shard's
    notebook: Path
    parameters: dict
    after: tuple = ()  # names of the tasks whose tables it reads
    alone: bool = False  # nothing runs beside it: it gets every core
    selected: bool = True
    identity: dict = field(
        default_factory=dict
    )  # stands in the content key for parameters named None here
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
    """

    def __init__(self, tasks, root, work_dir, out_dir, data=(), force=False, partial=False):
        self.tasks = {task.name: task for task in tasks}
        self.root, self.work_dir, self.out_dir = Path(root), work_dir, out_dir
        self.out, self.force, self.partial = self.root / out_dir, force, partial
        self.hashes = keys.Hashes(root, self.out / "done" / ".hashes.json")
        self.data = {name: hash for path in data for name, hash in self.hashes.under(path).items()}
        self._done = {}  # name to (digest of the key, outputs) of finished tasks: the little that is needed of markers
        self._programs, self._claims = {}, Counter()
        self._tables = functools.cache(self._tables_after)
        for task in tasks:
            self.recall(task.name)
            if not task.selected:
                fault = self.fault(task)
                task.state, task.reason = ("blocked", fault) if fault else ("kept", "not selected")

    def recall(self, name, marker=None):
        """Take note of a task's marker, read from disk when it is not given."""
        marker = marker or run_notebook.marker(self.out, name)
        if marker:
            self._claims.subtract(self._done.get(name, ("", {}))[1].keys())
            self._claims.update(marker["outputs"].keys())
            self._done[name] = marker["digest"], marker["outputs"]
            self._tables.cache_clear()

    def fault(self, task):
        """What is wrong with a task's finished result on disk; empty where it is whole.

        A file that several tasks wrote (the list of shards) belongs to none of them and may have changed since.
        """
        if task.name not in self._done:
            return "never finished"
        own = {
            path: hash for path, hash in self._done[task.name][1].items() if self._claims[path] == 1
        }
        changed = [path for path, hash in own.items() if self.hashes.of(path) != hash]
        if changed:
            return f"{changed[0]} is missing or was changed"
        executed = run_notebook.copy(self.out, task)
        return "" if executed.exists() else "its executed copy is missing"

    def _tables_after(self, after):
        """Hashes of the tables written by all tasks before one; figures are for readers only."""
        found = {}
        for name in after:
            outputs = self._done.get(name, ("", {}))[1]
            found |= self._tables(self.tasks[name].after)
            for path in (p for p in outputs if "/figures/" not in p):
                shared = self._claims[path] > 1
                found[self._portable(path)] = self.hashes.of(path) if shared else outputs[path]
        return found

    def _portable(self, path):
        """A path that does not depend on where the run keeps its files."""
        for folder, short in ((self.work_dir, "work"), (self.out_dir, "out")):
            if path.startswith(f"{folder}/"):
                return short + path[len(folder) :]
        return path

    def key(self, task):
        """The content key of a task whose predecessors are finished; where files are kept is no part of it."""
        given = {
            k: v for k, v in task.parameters.items() if k not in ("work_dir", "out_dir")
        } | task.identity
        inputs = self.data | self._tables(task.after) | self._named(given.values())
        return self._program(task.notebook) | {
            "parameters": {k: v for k, v in given.items() if v is not None},
            "inputs": inputs,
        }

    def _named(self, values):
        """Hashes of the files that parameters name, alone or in a list, as files or by their folder."""
        found = {}
        for value in values:
            for one in value if isinstance(value, list) else [value]:
                if self._is_input(one):
                    found |= self.hashes.under(one)
        return found

    def _program(self, path):
        """The code parts of a key, looked at anew when two seconds old: a shard is not worth reading all of lib."""
        now = time.monotonic()
        if now - self._programs.get(path, (-9,))[0] > 2:
            self._programs[path] = now, keys.program(path)
        return self._programs[path][1]

    def _is_input(self, value):
        """Whether a parameter's value names a file or folder, other than the run's own and the repository."""
        if not isinstance(value, str) or not os.path.exists(self.root / value):
            return False
        path = (self.root / value).resolve()
        root = self.root.resolve()
        own = [root / self.work_dir, root / self.out_dir]
        return not root.is_relative_to(path) and not any(path.is_relative_to(o) for o in own)

    def due(self, task, key):
        """Why a task must run now; empty where its result is good."""
        if self.force and not task.tries:
            return "forced"
        fault = self.fault(task)
        if fault or self._done[task.name][0] == keys.digest(key):
            return fault
        return keys.difference(
            (run_notebook.marker(self.out, task.name) or {"key": {}})["key"], key
        )

    def job(self, task, key, threads, time_limit):
        """What `runner.run` needs to know, as plain values."""
        folders = {"root": str(self.root), "work_dir": self.work_dir, "out_dir": self.out_dir}
        limits = {
            "threads": threads,
            "time_limit": time_limit,
            "attempt": task.tries,
            "n_runs": task.n_runs,
        }
        what = {
            "name": task.name,
            "notebook": str(task.notebook),
            "parameters": task.parameters,
            "key": key,
        }
        return what | folders | limits

    def preview(self):
        """Yield (task, "skip" | "run" | "wait" | "off", reason) without running anything."""
        running = set()
        for task in self.tasks.values():
            first = next((name for name in task.after if name in running), None)
            if not task.selected:
                yield task, "off", task.reason
            elif first:
                running.add(task.name)
                yield task, "wait", f"after {first}, if its tables change"
            else:
                reason = self.due(task, self.key(task))
                running |= {task.name} if reason else set()
                yield task, "run" if reason else "skip", reason or "nothing changed"
