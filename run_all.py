"""Run the notebooks of a profile in order, as far as anything changed.

    python run_all.py --profile demo              everything that is due
    python run_all.py --profile demo --list       what would run, and why
    python run_all.py --profile demo --status     how far a run has come, from another shell
    python run_all.py --profile paper --cluster slurm --shards 10:20

A run that was cut short goes on where it stopped when the same command is given again.
"""

import argparse
import re
import signal
import sys
import time
from pathlib import Path

from lib.paths import ROOT
from lib.run import keys, plan, profiles, schedule

GRAPH = {  # notebook: the notebooks whose tables it reads
    "01_ingest": (),
    "02_hill_fit": ("01_ingest",),
    "03_cell_features": ("01_ingest",),
    "04_drug_features": ("01_ingest",),
    "05_train_sweep": ("02_hill_fit", "03_cell_features", "04_drug_features"),  # once per shard
    "06_analysis": ("02_hill_fit", "03_cell_features", "04_drug_features", "05_train_sweep"),
}
SWEEP = "05_train_sweep"
WITHOUT_DOSES = {
    "gdsc": "02_hill_fit"
}  # data set: what it has nothing for; notebook 01 writes its published areas
ALONE = ("01_ingest", "06_analysis")
EXIT = {"interrupted by SIGINT": 130, "interrupted by SIGTERM": 143}


def main(argv=None, root=ROOT):
    """Command line; returns the exit status: 0 all is done, 1 something failed or was not run, 2 refused."""
    options = arguments().parse_args(argv)
    try:
        profile = profiles.load(options.profile, root / "profiles", tuple(GRAPH))
        if options.status:
            return status(root / "results" / "runs" / options.profile)
        work = make_plan(options, profile, root)
        pool = make_pool(options, profile, work)
        if options.list or options.dry_run:
            return show(work, pool if options.dry_run else None)
        with schedule.claim(work.out, options.profile):
            if fetched(work, profile):
                work = make_plan(options, profile, root)
            return perform(options, work, profile, pool)
    except (ValueError, schedule.Refused) as error:
        print(f"run_all: {error}", file=sys.stderr)
        return 2


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--profile", default="demo", help="settings of the run: a file of profiles/ (default demo)"
    )
    parser.add_argument(
        "--cluster", help="where to run: a file of profiles/clusters/ (default: this machine)"
    )
    parser.add_argument("--only", metavar="NN", help="this notebook alone, by number or name")
    parser.add_argument(
        "--from", dest="start", metavar="NN", help="this notebook and all later ones"
    )
    parser.add_argument(
        "--shards",
        metavar="A:B",
        help="of the sweep, shards A to B-1 only (as --list numbers them)",
    )
    parser.add_argument(
        "--list", action="store_true", help="show what would run and why, and run nothing"
    )
    parser.add_argument("--dry-run", action="store_true", help="the same, with an estimate of time")
    parser.add_argument("--force", action="store_true", help="run also what did not change")
    parser.add_argument("--status", action="store_true", help="show how far a run has come")
    return parser


def make_plan(options, profile, root):
    """The tasks of a profile, with the parameters checked and the selected ones marked."""
    work_dir, out_dir = f"data/processed/{options.profile}", f"results/runs/{options.profile}"
    standard = {
        "work_dir": work_dir,
        "out_dir": out_dir,
        "dataset": profile.dataset,
        "profile": options.profile,
    }
    standard |= {"fetch": False}  # done here, before the notebooks
    chosen, tasks, named = selected(options), [], {}
    for notebook, after in graph(profile.dataset, chosen).items():
        path = root / "notebooks" / f"{notebook}.ipynb"
        copies = shards(profile) if notebook == SWEEP else [(notebook, {}, {}, 0)]
        copies = copies if notebook in chosen or path.is_file() else []
        wanted = numbers(options.shards, len(copies)) if notebook == SWEEP else range(1)
        named[notebook] = tuple(name for name, *_ in copies)
        before = tuple(name for other in after for name in named[other])
        for i, (name, extra, identity, n_runs) in enumerate(copies):
            given = profiles.parameters(path, profile.notebooks.get(notebook, {}), standard | extra)
            on = notebook in chosen and i in wanted
            tasks.append(
                plan.Task(name, path, given, before, notebook in ALONE, on, identity, n_runs)
            )
    data = data_files(root, profile.dataset)
    return plan.Plan(tasks, root, work_dir, out_dir, data, options.force, partial=len(chosen) == 1)


def graph(dataset, chosen):
    """The notebooks that a data set has something for, each with those whose tables it reads."""
    idle = WITHOUT_DOSES.get(dataset)
    if chosen == [idle]:
        raise ValueError(f"the data set {dataset!r} has no doses: {idle} has nothing to do")
    return {
        notebook: tuple(n for n in after if n != idle)
        for notebook, after in GRAPH.items()
        if notebook != idle
    }


def selected(options):
    """Names of the notebooks that --only or --from choose; all of them by default."""
    for flag, value in (("--only", options.only), ("--from", options.start)):
        found = [name for name in GRAPH if value and value in (name, name[:2], name[1:2], name[3:])]
        if value and not found:
            raise ValueError(f"{flag} {value}: no such notebook; choose one of {', '.join(GRAPH)}")
        if found:
            return found if flag == "--only" else list(GRAPH)[list(GRAPH).index(found[0]) :]
    return list(GRAPH)


def numbers(text, n_shards):
    """Shards that `--shards A:B` names, either end optional."""
    if text is None:
        return range(n_shards)
    if not re.fullmatch(r"\d*:\d*", text):
        raise ValueError(f"--shards must look like 10:20, found {text!r}")
    start, stop = (int(end) if end else None for end in text.split(":"))
    found = range(n_shards)[start:stop]
    if not found:
        raise ValueError(
            f"--shards {text} names none of the {n_shards} shards, 0 to {n_shards - 1}"
        )
    return found


def shards(profile):
    """Executions of notebook 05: name, parameters, what identifies them in their content keys, number of models."""
    if not profile.sweep:
        return []
    from lib.sweep import grid

    found = grid.shards(grid.expand(profile.sweep))
    return [
        (
            f"{SWEEP}.{name}",
            {"shard": i},
            {"shard": None, "profile": None, "runs": keys.sha(repr(runs))},
            len(runs),
        )
        for i, (name, runs) in enumerate(found.items())
    ]


def data_files(root, dataset):
    """Files and folders that any notebook may read beside tables: the data set and the small tables beside it."""
    aside = {
        "processed",
        "interim",
        "cache",
        "raw" if dataset in ("open", "own") else "",
        "" if dataset == "open" else "open",
    }
    found = [
        p
        for p in sorted((root / "data").glob("*"))
        if p.name not in aside and p.suffix not in (".md", ".py")
    ]
    return [
        str(p.relative_to(root)) for p in [*found, *(root / "data" / "raw").glob("dragon*.txt")]
    ]


def make_pool(options, profile, work):
    """Workers here or on a cluster; nothing is started yet."""
    from lib.run import clusters

    logs = work.out / "logs" / "parsl"
    if not options.cluster:
        return clusters.ParslPool.local(profile.resources.workers, profile.resources.threads, logs)
    cluster = clusters.load_cluster(options.cluster, work.root / "profiles" / "clusters")
    if not (options.list or options.dry_run):
        clusters.check_site(options.cluster, cluster)
    return clusters.ParslPool.cluster(cluster, work.root, logs)


def show(work, pool):
    """Print what would run and why, and with a pool how long it may take."""
    from lib.run import estimate

    for task, action, reason in work.preview():
        print(f"{action:5} {task.name:40} {reason}")
    if pool:
        print("\n".join(estimate.lines(work, pool.slots)))
    return 0


def status(out):
    """Print how far the run in a results folder has come."""
    from lib.run import progress

    print("\n".join(progress.status(out, schedule.held(out))))
    return 0


def perform(options, work, profile, pool):
    """Run the plan; afterwards say what failed and where everything is. Returns the exit status."""
    from lib.run import progress

    declare(work)
    started, resources = time.time(), profile.resources
    report = progress.Report(work, options.profile, pool.slots)
    limit = resources.time_limit_minutes * 60
    lead = schedule.Conductor(work, pool, report, resources.retries, time_limit=limit)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(
            number, lambda n, _: lead.stop(f"interrupted by {signal.Signals(n).name}", halt=True)
        )
    try:
        lead.run()
    finally:
        pool.close()
        report.close()
    return close(work, time.time() - started, lead.stopped)


def fetched(work, profile):
    """Get a data set that comes from the network if notebook 01 is due, before it runs; whether that was so.

    A notebook's content key holds the files it reads, so these must be here first; and a compute node may have no
    network where this machine has one.
    """
    from lib.screens import datasets

    task, given = work.tasks["01_ingest"], profile.notebooks.get("01_ingest", {})
    wanted = profile.dataset in ("official", "gdsc") and given.get("fetch", True)
    if not wanted or not task.selected or not work.due(task, work.key(task)):
        return False
    folder = given.get("data_folder") and work.root / given["data_folder"]
    print(datasets.fetch(profile.dataset, given.get("studies"), folder or None), flush=True)
    return True


def declare(work):
    """Write down which shards the grid holds, so that notebook 06 leaves those of an earlier grid out."""
    names = [name.partition(".")[2] for name in work.tasks if name.startswith(f"{SWEEP}.")]
    if names:
        from lib.sweep import ledger

        ledger.declare(work.root / work.work_dir, names)


def close(work, seconds, stopped):
    """Say what failed and where to look, and where the results are; returns the exit status."""
    from lib.run import progress, timeline

    tasks = work.tasks.values()
    failed = [task for task in tasks if task.state == "failed"]
    for task in failed:
        result = task.result
        print(
            f"\nFAILED {task.name} after {task.tries} tries, {result['kind']}: {result['error']}",
            file=sys.stderr,
        )
        print(f"  in cell {result.get('cell', '')!r}: {result.get('line', '')}", file=sys.stderr)
        print(f"  executed copy: {result.get('copy', 'none')}", file=sys.stderr)
    count = {
        state: sum(task.state == state and task.selected for task in tasks)
        for state in plan.FINISHED
    }
    counts = "{done} done, {skipped} skipped, {failed} failed, {blocked} not run".format(**count)
    peak = max([0, *(task.result.get("peak_mb", 0) for task in tasks)])
    print(
        f"\ntotal      {counts}; {progress.minutes(seconds)}, peak {peak} MB"
        + (f"; {stopped}" if stopped else "")
    )
    if count["done"]:
        print(f"over time  {timeline.draw(work.out).relative_to(work.root)}")
    for kind in ("tables", "figures", "notebooks"):
        print(f"{kind:10} {work.out_dir}/{kind}")
    headline = Path(work.out, "tables", "headline.csv")
    if headline.exists() and work.tasks["06_analysis"].state in ("done", "skipped"):
        print(
            f"\n{work.out_dir}/tables/headline.csv, all studies together",
            *progress.headline(headline),
            sep="\n",
        )
    return EXIT.get(stopped) or int(bool(failed or count["blocked"] or stopped))


if __name__ == "__main__":
    sys.exit(main())
