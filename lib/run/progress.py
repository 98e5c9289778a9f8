"""What a run looks like: event log, live table, another shell's view, estimate.

The event log is the only source of the live table, of `--status` and of `results/timeline.py`.
"""

import contextlib
import json
import statistics
import sys
import time
from collections import Counter

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt
from rich.console import Console
from rich.live import Live
from rich.table import Table

from lib import files
from lib.run.notebook import Beat
from lib.run.plan import FINISHED, NOT_RUN

COLUMNS = ("notebook", "of", "done", "skipped", "failed", "not run", "running", "s", "MB", "now")
ENDED = ("done", "failed", "retry")  # events with the seconds that an execution took
COLOURS = {"done": "green", "failed": "red", "retry": "yellow", "blocked": "yellow"}
WIDE = 200  # columns of a log file, which no terminal cuts


def console():
    """Where lines go. Colours are for terminals, and not where NO_COLOR is set."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, soft_wrap=True, markup=False, emoji=False, highlight=False)


class Event(BaseModel):
    """A line of the event log: a moment, what happened, and what it says of a run or a task."""

    t: float = Field(ge=0, le=1e10)
    event: str
    name: str = ""
    names: list[str] = []
    slots: PositiveInt = 1
    profile: str = ""
    expected: dict[str, FiniteFloat] = {}
    seconds: FiniteFloat = 0
    peak_mb: FiniteFloat = 0


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

    def seconds(self, task):
        """Seconds that a task took, or has taken until now."""
        if task["event"] == "start":
            return self.last - task["t"]
        return task.get("seconds", 0)

    def remaining(self):
        """Seconds still to go; 0 if unknown.

        An execution takes what those of its notebook took on average, or else what was expected at
        the start.
        """
        expected = self.first.get("expected", {})
        total = 0.0
        for name, names in by_notebook(self.tasks).items():
            tasks = [self.tasks[one] for one in names]
            done = [self.seconds(task) for task in tasks if task["event"] == "done"]
            left = [self.seconds(task) for task in tasks if task["event"] not in FINISHED]
            each = statistics.fmean(done) if done else expected.get(name, 0)
            if left and not each:
                return 0
            if left:
                seconds = sum(max(0, each - spent) for spent in left)
                total += seconds / min(self.first["slots"], len(left))
        return total


def notebook_of(name):
    """A task's name is its notebook's, and after a dot the number of its shard."""
    return name.split(".")[0]


def by_notebook(names):
    """Names of tasks by their notebook."""
    found = {}
    for name in names:
        found.setdefault(notebook_of(name), []).append(name)
    return found


def events(out):
    """Yield the events of all runs in a results folder; lines torn by a fault are left out."""
    with contextlib.suppress(OSError), open(out / "logs" / "events.jsonl", "rb") as log:
        for line in log:
            with contextlib.suppress(ValueError):
                yield Event.model_validate_json(line).model_dump()


def beats(out):
    """Heartbeats of the notebooks that run now, by name: cell, line, place among the cells."""
    found = {}
    for path in (out / "running").glob("*.json"):
        beat = files.read_json(path, Beat)
        if beat:
            found[path.stem] = beat
    return found


def table(state, beats):
    """A row per notebook, in COLUMNS."""
    made = Table(*COLUMNS, box=None, pad_edge=False)
    for name, names in by_notebook(state.tasks).items():
        tasks = [state.tasks[one] for one in names]
        count = counts(task["event"] for task in tasks)
        running = min(count["start"], state.first["slots"])
        started = [one for one in names if state.tasks[one]["event"] == "start"]
        now = [beats[one] for one in started if one in beats]
        where = "starting" if running else ""
        if now:
            where = f"{now[0].cell} ({now[0].index + 1}/{now[0].cells})"
        seconds = sum(state.seconds(task) for task in tasks)
        peak = max(task.get("peak_mb", 0) for task in tasks)
        ended = [count[end] for end in ("done", "skipped", "failed", "blocked")]
        row = [name, len(names), *ended, running, round(seconds), round(peak) or "–", where]
        style = "red" if count["failed"] else "green" if sum(ended[:2]) == len(names) else None
        made.add_row(*map(str, row), style=style)
    return made


def counts(states):
    """How many tasks are in each state; what was not selected counts as skipped."""
    return Counter("skipped" if state == "kept" else state for state in states)


def in_words(count):
    """Counts for people: those that are not zero, `done` always."""
    words = {"done": "done", "skipped": "skipped", "failed": "failed", "blocked": "not run"}
    return ", ".join(f"{count[s]} {word}" for s, word in words.items() if count[s] or s == "done")


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
        self.console = console()
        self.live = None
        self.log = open(plan.out / "logs" / "events.jsonl", "a")
        self.log.write("\n")  # ends a line that a fault may have torn
        names = [name for name, task in plan.tasks.items() if task.selected]
        expected = {}  # seconds of an execution
        for name, own in by_notebook(names).items():
            expected[name] = took(plan, name, own)[0] / len(own)
        self.note(event="plan", profile=profile, slots=slots, names=names, expected=expected)
        if sys.stdout.isatty():
            picture = self.picture()
            self.live = Live(picture, console=self.console, auto_refresh=False, transient=True)
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
            whole = not self.live and "." not in task.name  # of many shards only how they ended
            if whole or event in (("failed", "retry") if self.live else ENDED):
                self.console.print(line(event, task), style=COLOURS.get(event))
        if self.live and event != "skipped":
            self.live.update(self.picture(), refresh=True)

    def picture(self):
        """The live table."""
        self.state.last = time.time()
        picture = table(self.state, beats(self.out))
        picture.caption = summary(self.state)
        return picture

    def close(self):
        """End the live table and the log, and print the closing table."""
        self.note(event="end")
        if self.live:
            self.live.stop()
        self.log.close()
        self.console.print("", table(self.state, {}), summary(self.state), sep="\n")


def line(event, task):
    """One plain line per event."""
    head = f"{event:8} {task.name:20}"
    result = task.result
    if event in ("start", "skipped", "blocked"):
        return f"{head} {'first run' if task.reason == NOT_RUN else task.reason}"
    head += f" {result.get('seconds', 0):7.1f} s {result.get('peak_mb', 0):6.0f} MB"
    if "kind" in result:
        head += f"  {result['kind']}: {result['error'].splitlines()[0]}"
    return head


def status(out, alive):
    """What tells another shell where the newest run in a folder stands, to be printed."""
    state = State()
    for event in events(out):
        state.update(event)
    if not state.tasks:
        return [f"no run yet in {out}"]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(state.last))
    how = f"was cut short about {when}; start it again"
    if state.ended:
        how = f"ended {when}, not all of it done; mend what failed and start it again"
    if {task["event"] for task in state.tasks.values()} <= {"done", "skipped"}:
        how = f"finished {when}, all {len(state.tasks)} done"
    if alive:
        how = "running"
        state.last = time.time()
    shown = table(state, beats(out) if alive else {})
    return [f"profile {state.first['profile']}: {how}", shown, summary(state)]


def took(plan, name, names):
    """Seconds that executions of one notebook take together, by earlier ones.

    These are what this folder has finished, or else what was timed elsewhere (`Plan.timed`).

    Returns
    -------
    seconds : float
        0 where nothing is known.
    source : str
    on_device : bool
        Whether they ran on an accelerator.
    """
    known = [done for one, done in plan.done.items() if notebook_of(one) == name]
    source = f"{len(known)} finished"
    if not known:
        known = [row for row in plan.timed if notebook_of(row["name"]) == name]
        source = known[0]["source"] if known else ""
    if not known:
        return 0, "", False
    share = len(names) / len(known)
    if all(row["n_runs"] for row in known):
        share = sum(plan.tasks[one].n_runs for one in names) / sum(row["n_runs"] for row in known)
    return share * sum(row["seconds"] for row in known), source, bool(known[0].get("accelerator"))


def estimate(plan, slots):
    """Lines that say how long the due part of a plan takes."""
    due = [task.name for task, action, _ in plan.preview() if action in ("run", "wait")]
    lines = []
    total = hours = 0.0
    for name, names in by_notebook(due).items():
        seconds, source, on_device = took(plan, name, names)
        if not seconds:
            lines.append(f"{name}: not known, nothing like it has finished or was timed")
            continue
        total += seconds / min(slots, len(names))
        hours += seconds / 3600 * on_device
        n = "1 execution" if len(names) == 1 else f"{len(names)} executions"
        lines.append(f"{name}: {n}, about {minutes(seconds)} (from {source})")
    if total:
        workers = "1 worker" if slots == 1 else f"{slots} workers"
        on_devices = f", {hours:.1f} accelerator hours" if hours else ""
        lines.append(f"what is known: about {minutes(total)} on {workers}{on_devices}")
    return lines or ["nothing is due"]
