"""What a run looks like: event log, live table, another shell's view, plot, estimate, findings.

The event log is the only source of the live table, of `--status` and of the plot.
"""

import contextlib
import csv
import json
import statistics
import sys
import time
from collections import Counter

from lib import files
from lib.run import notebook
from lib.run.plan import FINISHED

COLUMNS = ("notebook", "of", "done", "skipped", "failed", "not run", "running", "s", "MB", "now")
ENDED = ("done", "failed", "retry")  # events with the seconds that an execution took


class State:
    """Where a run stands: its first event, and by task the newest one."""

    def __init__(self):
        self.first = {"t": 0.0, "slots": 1, "profile": ""}
        self.tasks = {}
        self.last = 0.0
        self.ended = False

    def update(self, event):
        """Take in one event of the log."""
        self.last = event["t"]
        self.ended = event["event"] == "end"
        if event["event"] == "plan":
            self.first = event
            self.tasks = {name: {"event": "waiting"} for name in event["names"]}
        elif event.get("name") in self.tasks:
            self.tasks[event["name"]] |= event

    def groups(self):
        """Tasks by notebook."""
        found = {}
        for name, task in self.tasks.items():
            found.setdefault(notebook_of(name), {})[name] = task
        return found

    def seconds(self, task):
        """Seconds that a task took, or has taken until now."""
        if task["event"] == "start":
            return self.last - task["t"]
        return task.get("seconds", 0)

    def remaining(self):
        """Seconds still to go of the sweeps that have begun; 0 if unknown.

        From the mean of their finished shards.
        """
        total = 0.0
        for tasks in self.groups().values():
            done = [self.seconds(task) for task in tasks.values() if task["event"] == "done"]
            left = sum(task["event"] not in FINISHED for task in tasks.values())
            if left and done:
                total += left * statistics.fmean(done) / min(self.first["slots"], left)
        return total


def notebook_of(name):
    """A task's name is its notebook's, and after a dot its shard's."""
    return name.split(".")[0]


def events(out):
    """Yield the events of all runs in a results folder; lines torn by a fault are left out."""
    with contextlib.suppress(FileNotFoundError), open(out / "logs" / "events.jsonl", "rb") as log:
        for line in log:
            with contextlib.suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict) and {"t", "event"} <= event.keys():
                    yield event


def beats(out):
    """Heartbeats of the notebooks that run now, by name: cell, line, place among the cells."""
    found = {}
    for path in (out / "running").glob("*.json"):
        beat = files.read_json(path)
        if beat:
            found[path.stem] = beat
    return found


def table(state, beats):
    """Rows of the table, one per notebook, in COLUMNS."""
    rows = []
    for name, tasks in state.groups().items():
        count = counts(task["event"] for task in tasks.values())
        now = [beats[t] for t, task in tasks.items() if t in beats and task["event"] == "start"]
        where = f"{now[0]['cell']} ({now[0]['index'] + 1}/{now[0]['cells']})" if now else ""
        running = len(now) or min(count["start"], state.first["slots"])
        seconds = sum(state.seconds(task) for task in tasks.values())
        peak = max(task.get("peak_mb", 0) for task in tasks.values())
        ended = [count[end] for end in ("done", "skipped", "failed", "blocked")]
        row = [name, len(tasks), *ended, running, round(seconds), round(peak), where]
        rows.append([str(cell) for cell in row])
    return rows


def counts(states):
    """How many tasks are in each state; what was not selected counts as skipped."""
    return Counter("skipped" if state == "kept" else state for state in states)


def in_words(count):
    """Counts for people: those that are not zero, `done` always."""
    words = {"done": "done", "skipped": "skipped", "failed": "failed", "blocked": "not run"}
    return ", ".join(f"{count[s]} {word}" for s, word in words.items() if count[s] or s == "done")


def text(state, beats):
    """The table as lines of text, with the line about the whole."""
    return [*_aligned([COLUMNS, *table(state, beats)]), summary(state)]


def summary(state):
    """One line: how much is done, how long it still takes."""
    count = counts(task["event"] for task in state.tasks.values())
    elapsed = state.last - state.first["t"]
    left = state.remaining()
    to_go = f", about {minutes(left)} to go" if left else ""
    return f"{in_words(count)} of {len(state.tasks)} in {minutes(elapsed)}{to_go}"


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
        names = [name for name, task in plan.tasks.items() if task.selected]
        self.note(event="plan", profile=profile, slots=slots, names=names)
        if sys.stdout.isatty():
            from rich.live import Live

            self.live = Live(self.picture(), auto_refresh=False, transient=True)
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
            more = task.result if event != "start" else {}
            more = {name: more[name] for name in ("seconds", "peak_mb", "host") if name in more}
            self.note(event=event, name=task.name, reason=task.reason, **more)
        if self.live:
            if event in ("failed", "retry"):
                self.live.console.print(line(event, task), markup=False, highlight=False)
            if event != "skipped":
                self.live.update(self.picture(), refresh=True)
        elif event in ENDED or (event != "tick" and "." not in task.name):
            print(line(event, task), flush=True)  # of many shards only what happened to them

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


def findings(tables):
    """At most five lines on what a run found: scores over all studies by split, then the claims."""
    lines = []
    scores = {}
    for row in _rows(tables / "headline.csv"):
        if row.get("study") == "All" and row.get("r2"):
            scores.setdefault(row["split"], []).append((float(row["r2"]), row["predictor"]))
    for split, own in list(scores.items())[:4]:
        best = [f"{name} {r2:.3f}" for r2, name in sorted(own, reverse=True)[:4]]
        lines.append(f"R2 {split}, the best: {', '.join(best)}")
    verdicts = Counter(row.get("verdict") for row in _rows(tables / "verdicts.csv"))
    if verdicts:
        said = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
        lines.append(f"claims of the paper: {said}")
    return lines


def _rows(path):
    if not path.exists():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


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
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.last))
    how = f"ended {when}" if state.ended else f"was cut short about {when}; start it again"
    if alive:
        how = "running"
        state.last = time.time()
    return [f"profile {state.first['profile']}: {how}", *text(state, beats(out) if alive else {})]


def draw(out):
    """Draw the newest run over time: a bar per notebook execution, failures in red.

    Returns
    -------
    Path
        The picture, `figures/run_timeline.png`.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bars = executions(out)
    figure, axes = plt.subplots(figsize=(9, min(1 + 0.15 * len(bars), 20)))
    starts, seconds, names, colours = zip(*bars, strict=True)
    axes.barh(range(len(bars)), seconds, left=starts, color=colours)
    axes.set_yticks(range(len(bars)), names, fontsize=5)
    axes.set_xlabel("time since start [s]")
    path = out / "figures" / "run_timeline.png"
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
    return path


def executions(out):
    """Executions of the newest run in order of start: start and length [s], notebook, colour."""
    found = []
    begun = 0
    for event in events(out):
        if event["event"] == "plan":
            begun = event["t"]
            found = []
        elif event["event"] in ENDED and event.get("seconds"):
            start = event["t"] - event["seconds"] - begun
            colour = "C0" if event["event"] == "done" else "red"
            found.append((start, event["seconds"], notebook_of(event["name"]), colour))
    return sorted(found)


def estimate(plan, slots):
    """Lines that say how long the due part of a plan takes, from what finished notebooks took."""
    due = {}
    for task, action, _ in plan.preview():
        if action in ("run", "wait"):
            due.setdefault(notebook_of(task.name), []).append(task)
    lines = []
    total = hours = 0.0
    for name, tasks in due.items():
        known = _spent(plan.out, name)
        if not known:
            lines.append(f"{name}: not known yet, no execution has finished")
            continue
        n_known = sum(marker.get("n_runs") or 1 for marker in known)
        each = sum(marker.get("seconds", 0) for marker in known) / n_known
        seconds = each * sum(task.n_runs or 1 for task in tasks)
        total += seconds / min(slots, len(tasks))
        hours += seconds / 3600 if known[0].get("accelerator") else 0
        what = f"{len(tasks)} executions, about {minutes(seconds)}"
        lines.append(f"{name}: {what} (from {len(known)} finished)")
    if total:
        whole = f"what is known: about {minutes(total)} on {slots} workers"
        lines.append(f"{whole}, {hours:.1f} accelerator hours")
    return lines


def _spent(out, name):
    """Markers of a notebook's finished executions, in this run's folder or else in any other."""
    for folder in (out, *sorted(out.parent.glob("*"))):
        paths = sorted((folder / "done").glob(f"{name}*.json"))
        found = [notebook.marker(folder, path.stem) for path in paths]
        if any(found):
            return [marker for marker in found if marker]
    return []
