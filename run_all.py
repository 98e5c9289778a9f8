"""Run the notebooks of a profile in order, as far as anything changed.

python run_all.py --profile demo            everything that is due
python run_all.py --profile demo --list     what would run, and why
python run_all.py --profile demo --only 02  one notebook;  --from 03  that one and all later ones;  --force  in any case
"""

import argparse
import sys
import time
from pathlib import Path

from lib import conductor, profiles
from lib.paths import ROOT

GRAPH = {  # notebook: the notebooks whose tables it reads
    "01_ingest": (),
    "02_hill_fit": ("01_ingest",),
    "03_cell_features": ("01_ingest",),
    "04_drug_features": ("01_ingest",),
    "05_train_sweep": ("02_hill_fit", "03_cell_features", "04_drug_features"),  # once per shard
    "06_analysis": ("02_hill_fit", "03_cell_features", "04_drug_features", "05_train_sweep"),
}
SWEEP = "05_train_sweep"
ALONE = ("01_ingest", "06_analysis")


def main(argv=None, root=ROOT):
    """Command line; returns the exit status."""
    options = arguments().parse_args(argv)
    try:
        profile = profiles.load(options.profile, root / "profiles", tuple(GRAPH))
        plan = make_plan(options, profile, root)
    except ValueError as error:
        print(f"run_all: {error}", file=sys.stderr)
        return 2
    if options.list or options.dry_run:
        return show(plan)
    conductor.folders(plan.out)
    return perform(plan, profile)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="demo", help="settings of the run: a file of profiles/ (default demo)")
    parser.add_argument("--only", metavar="NN", help="this notebook alone, by number or name")
    parser.add_argument("--from", dest="start", metavar="NN", help="this notebook and all later ones")
    parser.add_argument("--list", action="store_true", help="show what would run and why, and run nothing")
    parser.add_argument("--dry-run", action="store_true", help="the same")
    parser.add_argument("--force", action="store_true", help="run also what did not change")
    return parser


def make_plan(options, profile, root):
    """The tasks of a profile, with the parameters checked and the selected ones marked."""
    work_dir, out_dir = f"data/processed/{options.profile}", f"results/runs/{options.profile}"
    chosen = selected(options)
    standard = {"work_dir": work_dir, "out_dir": out_dir, "dataset": profile.dataset, "profile": options.profile}
    tasks, named = [], {}
    for notebook, after in GRAPH.items():
        path = root / "notebooks" / f"{notebook}.ipynb"
        copies = shards(profile) if notebook == SWEEP else [(notebook, {})]
        copies = copies if notebook in chosen or path.is_file() else []
        named[notebook] = tuple(name for name, _ in copies)
        before = tuple(name for other in after for name in named[other])
        for name, extra in copies:
            given = profiles.parameters(path, profile.notebooks.get(notebook, {}), standard | extra)
            tasks.append(conductor.Task(name, path, given, before, notebook in ALONE, notebook in chosen))
    partial = len(chosen) == 1
    return conductor.Plan(tasks, root, work_dir, out_dir, data_files(root, profile.dataset), options.force, partial)


def selected(options):
    """Names of the notebooks that --only or --from choose; all of them by default."""
    for flag, value in (("--only", options.only), ("--from", options.start)):
        found = [name for name in GRAPH if value and value in (name, name[:2], name[1:2], name[3:])]
        if value and not found:
            raise ValueError(f"{flag} {value}: no such notebook; choose one of {', '.join(GRAPH)}")
        if found:
            return found if flag == "--only" else list(GRAPH)[list(GRAPH).index(found[0]) :]
    return list(GRAPH)


def shards(profile):
    """Name and parameters of each execution of notebook 05."""
    if not profile.sweep:
        return []
    from lib import grid

    found = grid.shards(profile.model_dump())
    return [(f"{SWEEP}.{shard.slug}", {"shard": i}) for i, shard in enumerate(found)]


def data_files(root, dataset):
    """Bundled files that any notebook may read: the data set and the tables beside it."""
    beside = [p for p in (root / "data").glob("*") if p.is_file() and p.suffix != ".md"]
    folder = root / "data" / dataset
    return [str(p.relative_to(root)) for p in sorted(beside)] + ([f"data/{dataset}"] if folder.is_dir() else [])


def show(plan):
    """Print what would run and why."""
    for task, action, reason in plan.preview():
        print(f"{action:5} {task.name:40} {reason}")
    return 0


def perform(plan, profile):
    """Run the plan; print a line per notebook as it starts and ends, then where everything is."""
    started, resources = time.time(), profile.resources
    pool = conductor.ParslPool(resources.workers, resources.threads, plan.out / "logs" / "parsl")
    try:
        limit = resources.time_limit_minutes * 60
        conductor.Conductor(plan, pool, say, resources.retries, time_limit=limit).run()
    finally:
        pool.close()
    return report(plan, time.time() - started)


def say(event, task):
    """One plain line per event."""
    if event in ("start", "skipped", "blocked"):
        print(f"{event:8} {task.name:40} {task.reason}", flush=True)
    elif event in ("done", "failed", "retry"):
        seconds, peak = task.result.get("seconds", 0), task.result.get("peak_mb", 0)
        what = "" if event == "done" else task.result["error"].splitlines()[0]
        print(f"{event:8} {task.name:40} {seconds:6.1f} s {peak:6.0f} MB  {what}", flush=True)


def report(plan, seconds):
    """The closing table: what failed and where to look, where the results are; returns the exit status."""
    tasks = plan.tasks.values()
    failed = [task for task in tasks if task.state == "failed"]
    for task in failed:
        result = task.result
        print(f"\nFAILED {task.name}: {result['error']}", file=sys.stderr)
        print(f"  in cell {result.get('cell', '')!r}: {result.get('line', '')}", file=sys.stderr)
        print(f"  executed copy: {result.get('copy', 'none')}", file=sys.stderr)
    blocked = [task.name for task in tasks if task.state == "blocked" and task.selected]
    count = {state: sum(task.state == state for task in tasks) for state in ("done", "skipped", "failed")}
    ran = ", ".join(f"{n} {state}" for state, n in count.items()) + f", {len(blocked)} not run"
    print(f"\ntotal    {ran}; {seconds:.0f} s, peak {max([0, *(t.result.get('peak_mb', 0) for t in tasks)])} MB")
    for kind in ("tables", "figures", "notebooks"):
        print(f"{kind:10} {plan.out_dir}/{kind}")
    headline = Path(plan.out, "tables", "headline.csv")
    if headline.exists() and not failed:
        print(f"\n{headline.read_text()}")
    return 1 if failed or blocked else 0


if __name__ == "__main__":
    sys.exit(main())
