"""What a run looks like: event log, live line per notebook, another shell's view, plot, estimate.

The event log is the only source of the live table, of `--status` and of the plot.
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

from lib.run import notebook
from lib.run.plan import FINISHED

HEADLINE = (
    "split predictor r2 gain npearson rmse balanced_accuracy n n_networks n_early_stop n_epoch_cap "
    "reason"
).split()
COLUMNS = ("notebook", "of", "done", "skipped", "failed", "not run", "running", "s", "MB", "now")
MOST_ROWS = 30  # of the headline on a terminal


class State:
    """Where a run stands, built up from its events."""

    def __init__(self):
        self.tasks = {}
        self.begun = self.last = 0.0
        self.slots = 1
        self.profile = ""

    def update(self, event):
        """Take in one event of the log."""
        self.last = event["t"]
        if event["event"] == "plan":
            self.begun = event["t"]
            self.slots = event["slots"]
            self.profile = event["profile"]
            new = {"state": "waiting", "seconds": 0, "peak_mb": 0}
            self.tasks = {name: dict(new) for name in event["names"]}
        elif event["event"] != "end":
            known = self.tasks[event["name"]]
            known["state"] = "running" if event["event"] == "start" else event["event"]
            for name in ("seconds", "peak_mb"):
                known[name] = event.get(name, known[name])

    def groups(self):
        """Tasks by notebook."""
        found = {}
        for name, task in self.tasks.items():
            found.setdefault(notebook_of(name), {})[name] = task
        return found

    def remaining(self):
        """Seconds still to go of the sweeps that have begun; 0 if unknown.

        From the mean of their finished shards.
        """
        total = 0.0
        for tasks in self.groups().values():
            done = [task["seconds"] for task in tasks.values() if task["state"] == "done"]
            left = sum(task["state"] not in FINISHED for task in tasks.values())
            if left and done:
                total += left * statistics.fmean(done) / min(self.slots, left)
        return total


def notebook_of(name):
    """A task's name is its notebook's, and after a dot its shard's."""
    return name.split(".")[0]


def events(out):
    """Yield the events of all runs in a results folder; lines torn by a fault are left out."""
    with contextlib.suppress(FileNotFoundError), open(out / "logs" / "events.jsonl") as log:
        for line in log:
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)


def beats(out):
    """Heartbeats of the notebooks that run now, by name: cell, line, place among the cells."""
    found = {}
    for path in (out / "running").glob("*.json"):
        with contextlib.suppress(OSError, json.JSONDecodeError):
            found[path.stem] = json.loads(path.read_text())
    return found


def table(state, beats):
    """Rows of the table, one per notebook, in COLUMNS."""
    rows = []
    for name, tasks in state.groups().items():
        count = Counter(task["state"] for task in tasks.values())
        now = [beat for task, beat in beats.items() if task in tasks]
        row = [
            name,
            len(tasks),
            count["done"],
            count["skipped"] + count["kept"],
            count["failed"],
            count["blocked"],
            len(now) or min(count["running"], state.slots),
            round(sum(task["seconds"] for task in tasks.values())),
            round(max(task["peak_mb"] for task in tasks.values())),
            "",
        ]
        if now:
            row[-1] = f"{now[0]['cell']} ({now[0]['index'] + 1}/{now[0]['cells']})"
        rows.append([str(cell) for cell in row])
    return rows


def text(state, beats):
    """The table as lines of text, with the line about the whole."""
    return [*_aligned([COLUMNS, *table(state, beats)]), summary(state)]


def summary(state):
    """One line: how much is done, how fast, how long it still takes."""
    count = Counter(task["state"] for task in state.tasks.values())
    over = sum(count[end] for end in FINISHED)
    elapsed = max(state.last - state.begun, 1e-9)
    rate = 60 * count["done"] / elapsed
    found = f"{over} of {len(state.tasks)} finished in {minutes(elapsed)}, {rate:.1f} a minute"
    left = state.remaining()
    return f"{found}, about {minutes(left)} to go" if left else found


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
    """

    def __init__(self, plan, profile, slots):
        self.out = plan.out
        self.state = State()
        self.live = None
        self.log = open(plan.out / "logs" / "events.jsonl", "a")
        self.log.write("\n")  # ends a line that a fault may have torn
        self.note(
            event="plan",
            profile=profile,
            slots=slots,
            names=[name for name, task in plan.tasks.items() if task.selected],
            host=socket.gethostname(),
            pid=os.getpid(),
        )
        if sys.stdout.isatty():
            from rich.live import Live

            self.live = Live(self.picture(), auto_refresh=False, transient=True)
            self.drawn = 0.0
            self.live.start()

    def note(self, **event):
        """Write an event to the log."""
        event = {"t": round(time.time(), 3)} | event
        self.state.update(event)
        with contextlib.suppress(OSError):  # a full disk must not end the run that reports it
            self.log.write(json.dumps(event) + "\n")
            self.log.flush()

    def __call__(self, event, task):
        """Listen to a conductor."""
        if event != "tick":
            more = {}
            if event != "start":
                more = {name: task.result.get(name, 0) for name in ("seconds", "peak_mb")}
            host = task.result.get("host", "")
            more |= {"reason": task.reason, "host": host, "attempt": task.tries}
            self.note(event=event, name=task.name, **more)
        if self.live:
            self._move(event, task)
        elif event in ("done", "failed", "retry") or (event != "tick" and "." not in task.name):
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
        for row in table(self.state, beats(self.out)):
            picture.add_row(*row)
        return picture

    def close(self):
        """End the live table and the log, and print the closing table."""
        self.note(event="end")
        if self.live:
            self.live.stop()
        self.log.close()
        print("\n".join(["", *text(self.state, {})]))


def line(event, task):
    """One plain line per event."""
    head = f"{event:8} {task.name:40}"
    result = task.result
    if event in ("start", "skipped", "blocked"):
        return f"{head} {task.reason}"
    head += f" {result.get('seconds', 0):7.1f} s {result.get('peak_mb', 0):6.0f} MB"
    if "kind" in result:
        head += f"  {result['kind']}: {result['error'].splitlines()[0]}"
    return head


def headline(path):
    """Lines of a results table for the terminal: some columns, over all studies where it can."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        return []
    rows = [row for row in rows if row.get("study") in (None, "All")] or rows
    shown = [name for name in HEADLINE if name in rows[0]] or list(rows[0])[:8]
    cells = [[_short(row[name]) for name in shown] for row in rows[:MOST_ROWS]]
    return _aligned([shown, *cells])


def _short(cell):
    try:
        return f"{float(cell):.3f}" if "." in cell else cell
    except ValueError:
        return cell


def _aligned(rows):
    """Rows of texts as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return lines


def status(out, alive):
    """Lines that tell another shell where the newest run in a folder stands."""
    state = State()
    for event in events(out):
        state.update(event)
    if not state.tasks:
        return [f"no run yet in {out}"]
    if not alive:
        return [
            f"profile {state.profile}: not running (stopped or ended)",
            *text(state, {}),
        ]
    state.last = time.time()
    return [f"profile {state.profile}: running", *text(state, beats(out))]


def draw(out):
    """Draw the run over time: a bar per notebook execution, a row per slot, failures in red.

    Returns
    -------
    Path
        The picture, `figures/run_timeline.png`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars = executions(out)
    n_rows = 1 + max((bar["row"] for bar in bars), default=0)
    figure, axes = plt.subplots(figsize=(9, 1.5 + 0.25 * n_rows))
    for i, name in enumerate(sorted({bar["notebook"] for bar in bars})):
        axes.barh(0, 0, color=f"C{i}", label=name)
        for bar in bars:
            if bar["notebook"] == name:
                colour = f"C{i}" if bar["end"] == "done" else "red"
                style = {"color": colour, "edgecolor": "white", "linewidth": 0.3}
                axes.barh(bar["row"], bar["seconds"], left=bar["start"], **style)
    axes.set(xlabel="time since start [s]", ylabel="notebooks at a time", yticks=[])
    axes.legend(fontsize="small", ncols=3, loc="lower left", bbox_to_anchor=(0, 1), frameon=False)
    path = out / "figures" / "run_timeline.png"
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path


def executions(out):
    """Executions of the newest run: notebook, end, start and length [s], a row that was free."""
    found = []
    begun = 0
    for event in events(out):
        if event["event"] == "plan":
            begun = event["t"]
            found = []
        elif event["event"] in ("done", "failed", "retry") and event["seconds"]:
            bar = {"notebook": notebook_of(event["name"]), "end": event["event"]}
            bar["start"] = event["t"] - event["seconds"] - begun
            bar["seconds"] = event["seconds"]
            found.append(bar)
    until = []  # of the last bar in each row
    for bar in sorted(found, key=lambda bar: bar["start"]):
        free = [i for i, end in enumerate(until) if end <= bar["start"] + 0.05]
        if not free:
            free = [len(until)]
            until.append(0)
        bar["row"] = free[0]
        until[free[0]] = bar["start"] + bar["seconds"]
    return found


def estimate(plan, slots):
    """Lines that say how long the due part of a plan takes, from what finished notebooks took."""
    spent = _spent(plan)
    due = {}
    for task, action, _ in plan.preview():
        if action in ("run", "wait"):
            due.setdefault(notebook_of(task.name), []).append(task)
    lines = []
    total = hours = 0.0
    for name, tasks in due.items():
        known = spent.get(name)
        if not known:
            lines.append(f"{name}: no finished execution to estimate from")
            continue
        n_due = sum(task.n_runs or 1 for task in tasks)
        n_known = sum(marker["n_runs"] or 1 for marker in known)
        seconds = sum(marker["seconds"] for marker in known) / n_known * n_due
        total += seconds / min(slots, len(tasks))
        if known[0]["accelerator"]:
            hours += seconds / 3600
        what = f"{len(tasks)} executions, about {minutes(seconds)}"
        lines.append(f"{name}: {what} (from {len(known)} finished)")
    whole = f"about {minutes(total)} on {slots} workers"
    return [*lines, f"{whole}, {hours:.1f} accelerator hours"]


def _spent(plan):
    """Markers of finished executions by notebook, of this profile or else of any other."""
    found = {}
    others = [folder for folder in sorted(plan.out.parent.glob("*")) if folder != plan.out]
    for folder in (plan.out, *others):
        here = {}
        for path in sorted((folder / "done").glob("*.json")):
            marker = notebook.marker(folder, path.stem)
            if marker:
                here.setdefault(notebook_of(path.stem), []).append(marker)
        found = here | found
    return found
