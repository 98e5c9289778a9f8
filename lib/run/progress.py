"""What a run looks like: an event log, one live line per notebook, the same view from another shell, a plot over time.

The event log is the only source: the live table, `--status` and the plot are all made from its lines.
"""

import contextlib
import csv
import json
import os
import socket
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from lib.run.plan import FINISHED

HEADLINE = "split predictor r2 gain npearson rmse balanced_accuracy n n_networks n_early_stop n_epoch_cap reason".split()
COLUMNS = ("notebook", "of", "done", "skipped", "failed", "not run", "running", "s", "MB", "now")


class State:
    """Where a run stands, built up from its events."""

    def __init__(self):
        self.tasks, self.begun, self.last, self.slots, self.profile = {}, 0.0, 0.0, 1, ""

    def update(self, event):
        """Take in one event of the log."""
        self.last = event["t"]
        if event["event"] == "plan":
            self.begun, self.slots, self.profile = event["t"], event["slots"], event["profile"]
            self.tasks = {
                name: {"state": "waiting", "seconds": 0, "peak_mb": 0} for name in event["names"]
            }
        elif event["event"] != "end":
            state = "running" if event["event"] == "start" else event["event"]
            known = self.tasks[event["name"]]
            known["state"] = state
            known |= {name: event[name] for name in ("seconds", "peak_mb") if name in event}
        return self

    def groups(self):
        """Tasks by notebook: a name is the notebook's, and after a dot the shard's."""
        found = {}
        for name, task in self.tasks.items():
            found.setdefault(name.split(".")[0], {})[name] = task
        return found

    def remaining(self):
        """Seconds still to go of the sweeps that have begun, from the mean of their finished shards; 0 if unknown."""
        total = 0.0
        for tasks in self.groups().values():
            done = [task["seconds"] for task in tasks.values() if task["state"] == "done"]
            left = sum(task["state"] not in FINISHED for task in tasks.values())
            total += left * statistics.fmean(done) / min(self.slots, left) if left and done else 0
        return total


def events(out):
    """Yield the events of all runs in a results folder; lines torn by a fault are left out."""
    with contextlib.suppress(FileNotFoundError), open(Path(out, "logs", "events.jsonl")) as log:
        for text in log:
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(text)


def beats(out):
    """Heartbeats of the notebooks that run now, by name: cell, line, place among the cells, host."""
    found = {}
    for path in Path(out, "running").glob("*.json"):
        with contextlib.suppress(OSError, json.JSONDecodeError):
            found[path.stem] = json.loads(path.read_text())
    return found


def table(state, beats):
    """Rows of the table, one per notebook, in COLUMNS."""
    rows = []
    for notebook, tasks in state.groups().items():
        count = Counter(task["state"] for task in tasks.values())
        seconds = sum(task["seconds"] for task in tasks.values())
        peak = max(task["peak_mb"] for task in tasks.values())
        now = [beat for name, beat in beats.items() if name in tasks]
        cell = f"{now[0]['cell']} ({now[0]['index'] + 1}/{now[0]['cells']})" if now else ""
        counts = [
            count["done"],
            count["skipped"] + count["kept"],
            count["failed"],
            count["blocked"],
        ]
        counts.append(len(now) or min(count["running"], state.slots))
        rows.append([notebook, len(tasks), *counts, f"{seconds:.0f}", f"{peak:.0f}", cell])
    return rows


def text(state, beats=None):
    """The table as lines of text, with the line about the whole."""
    return [*_aligned([COLUMNS, *table(state, beats or {})]), summary(state)]


def summary(state):
    """One line: how much is done, how fast, how long it still takes."""
    count = Counter(task["state"] for task in state.tasks.values())
    over, elapsed = sum(count[s] for s in FINISHED), max(state.last - state.begun, 1e-9)
    rate, left = 60 * count["done"] / elapsed, state.remaining()
    remaining = "" if not left else f", about {minutes(left)} to go"
    return f"{over} of {len(state.tasks)} finished in {minutes(elapsed)}, {rate:.1f} a minute{remaining}"


def minutes(seconds):
    """A duration for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Report:
    """Tells what happens: to the event log, and to the terminal as a live table or as plain lines.

    Parameters
    ----------
    plan : lib.run.plan.Plan
    profile : str
    slots : int
        Notebooks at a time.
    live : bool, optional
        A table that moves; by default where the output is a terminal.
    lines : bool
        Without that table, a line per event.
    """

    def __init__(self, plan, profile, slots, live=None, lines=True):
        self.plan, self.state, self.live, self.lines = plan, State(), None, lines
        self.log = open(plan.out / "logs" / "events.jsonl", "a")
        self.log.write("\n")  # ends a line that a fault may have torn
        names = [name for name, task in plan.tasks.items() if task.selected]
        where = {"host": socket.gethostname(), "pid": os.getpid()}
        self.note({"event": "plan", "profile": profile, "slots": slots, "names": names} | where)
        if sys.stdout.isatty() if live is None else live:
            from rich.live import Live

            self.live, self.drawn = Live(self.picture(), auto_refresh=False, transient=True), 0.0
            self.live.start()

    def note(self, event):
        event = {"t": round(time.time(), 3)} | event
        self.state.update(event)
        with contextlib.suppress(OSError):  # a full disk must not end the run that reports it
            self.log.write(json.dumps(event) + "\n")
            self.log.flush()

    def __call__(self, event, task):
        """Listen to a conductor."""
        if event != "tick":
            result = (
                {k: task.result.get(k, 0) for k in ("seconds", "peak_mb")}
                if event != "start"
                else {}
            )
            more = {
                "reason": task.reason,
                "host": task.result.get("host", ""),
                "attempt": task.tries,
            }
            self.note({"event": event, "name": task.name} | more | result)
        if self.live:
            self._move(event, task)
        elif self.lines and (
            event in ("done", "failed", "retry") or (event != "tick" and "." not in task.name)
        ):
            print(line(event, task), flush=True)  # of many shards only what happened to them

    def _move(self, event, task):
        if event in ("failed", "retry"):
            self.live.console.print(line(event, task), markup=False, highlight=False)
        if time.monotonic() - self.drawn > 0.5:
            self.live.update(self.picture(), refresh=True)
            self.drawn = time.monotonic()

    def picture(self):
        """The live table of rich."""
        from rich.table import Table

        self.state.last = time.time()
        picture = Table(*COLUMNS, caption=summary(self.state), box=None, pad_edge=False)
        for row in table(self.state, beats(self.plan.out)):
            picture.add_row(*map(str, row))
        return picture

    def close(self):
        """End the live table and the log, and print the closing table."""
        self.note({"event": "end"})
        if self.live:
            self.live.stop()
        self.log.close()
        print("\n".join(["", *text(self.state)]))


def headline(path):
    """Lines of a results table for the terminal: its first columns, over all studies where it has such rows."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows = [row for row in rows if row.get("study") in (None, "All")] or rows
    shown = [name for name in HEADLINE if rows and name in rows[0]] or list(
        rows[0] if rows else ()
    )[:8]
    cells = [shown] + [[_short(row[name]) for name in shown] for row in rows[:30]]
    return _aligned(cells)


def _short(cell):
    try:
        return f"{float(cell):.3f}" if "." in cell else cell
    except ValueError:
        return cell


def _aligned(rows):
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return [line.rstrip() for line in lines]


def line(event, task):
    """One plain line per event."""
    head = f"{event:8} {task.name:40}"
    if event in ("start", "skipped", "blocked"):
        return f"{head} {task.reason}"
    error = (
        f"  {task.result['kind']}: {task.result['error'].splitlines()[0]}"
        if "kind" in task.result
        else ""
    )
    return f"{head} {task.result.get('seconds', 0):7.1f} s {task.result.get('peak_mb', 0):6.0f} MB{error}"


def status(out, alive):
    """Lines that tell another shell where the newest run in a folder stands."""
    state = State()
    for event in events(out):
        state.update(event)
    if not state.tasks:
        return [f"no run yet in {out}"]
    state.last = time.time() if alive else state.last
    word = "running" if alive else "not running (stopped or ended)"
    return [f"profile {state.profile}: {word}", *text(state, beats(out) if alive else {})]
