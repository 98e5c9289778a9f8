"""How long a run will take, from what finished notebooks took."""

from lib.run import notebook as run_notebook
from lib.run.progress import minutes


def lines(plan, slots):
    """Time that the due part of a plan will take, from what finished notebooks took.

    Returns
    -------
    list of str
        Lines to print: seconds and accelerator hours, and what they rest on.
    """
    spent, text, total, hours = _spent(plan), [], 0.0, 0.0
    due = [task for task, action, _ in plan.preview() if action in ("run", "wait")]
    for notebook in dict.fromkeys(task.name.split(".")[0] for task in due):
        tasks = [task for task in due if task.name.split(".")[0] == notebook]
        known = spent.get(notebook)
        if not known:
            text.append(f"{notebook}: no finished execution to estimate from")
            continue
        n_known, n_due = sum(n for _, n, _ in known), sum(task.n_runs or 1 for task in tasks)
        seconds = sum(s for s, _, _ in known) / n_known * n_due
        total += seconds / min(slots, len(tasks))
        hours += seconds / 3600 * bool(known[0][2])
        text.append(
            f"{notebook}: {len(tasks)} executions, about {minutes(seconds)} (from {len(known)} finished)"
        )
    return [*text, f"about {minutes(total)} on {slots} workers, {hours:.1f} accelerator hours"]


def _spent(plan):
    """(seconds, models, accelerator) of finished executions by notebook, of this profile or else of any other."""
    found = {}
    folders = [plan.out, *(p for p in sorted(plan.out.parent.glob("*")) if p != plan.out)]
    for folder in folders:
        here = {}
        for path in sorted((folder / "done").glob("*.json")):
            marker = run_notebook.marker(folder, path.stem)
            if marker:
                row = marker["seconds"], marker.get("n_runs") or 1, marker["accelerator"]
                here.setdefault(path.stem.split(".")[0], []).append(row)
        found = here | found
    return found
