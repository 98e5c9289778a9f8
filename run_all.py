"""Run the notebooks of a profile in order, as far as anything changed.

    python run_all.py --profile demo              everything that is due
    python run_all.py --profile demo --list       what would run, and why
    python run_all.py --profile demo --status     how far a run has come, from another shell
    python run_all.py --profile paper --cluster slurm --shards 10:20

A run that was cut short goes on where it stopped when the same command is given again.
"""

import argparse
import os
import re
import signal
import sys
import time
from typing import Annotated, Literal

from pydantic import Field

from lib.paths import ROOT, STUDIES
from lib.run import keys, plan, profiles, progress, schedule

GRAPH = {  # notebook: the notebooks whose tables it reads
    "01_ingest": (),
    "02_hill_fit": ("01_ingest",),
    "03_cell_features": ("01_ingest",),
    "04_drug_features": ("01_ingest",),
    "05_train_sweep": ("02_hill_fit", "03_cell_features", "04_drug_features"),  # once per shard
    "06_analysis": ("02_hill_fit", "03_cell_features", "04_drug_features", "05_train_sweep"),
    "07_screen": ("02_hill_fit", "03_cell_features", "04_drug_features"),
}
SWEEP = "05_train_sweep"
# Data set: the notebook that it has nothing for; notebook 01 writes its published areas.
WITHOUT_DOSES = {"gdsc": "02_hill_fit"}
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w-]*$")]  # becomes part of a file's name
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
# What parameters of the notebooks may be, beyond the type of their default.
LIMITS = {
    "studies": list[Literal[STUDIES]],
    "label_sources": list[Literal[STUDIES]],
    "panels": dict[Name, list[Literal[STUDIES]]],
    "cancer_types": Literal["annotated", "autoencoder"],
    "log_form": Literal["log2p1", "paper"],
    "keep": list[Literal["cell", "drug", "predictions"]],
    "n_folds": Annotated[int, Field(ge=2, le=100)],
    "seed": Annotated[int, Field(ge=0, le=2**32 - 1)],
    "near": Share,
    "removal_quantile": Share,
    "timeout_s": Annotated[float, Field(gt=0)],
    "random_sizes": list[Count],
    **dict.fromkeys("n_types rows_at_once n_draws n_resampled k_best".split(), Count),
}
FOLDERS = ("data_folder", "tumours", "gene_lists", "sweep")  # these must be there if named
ALONE = ("01_ingest", "06_analysis", "07_screen")
EXIT = {"interrupted by SIGINT": 130, "interrupted by SIGTERM": 143}


def main(argv=None, root=ROOT):
    """Command line.

    Returns
    -------
    int
        Exit status: 0 all is done, 1 something failed or was not run, 2 refused, 130 or 143
        interrupted.
    """
    options = arguments().parse_args(argv)
    try:
        profile = profiles.load(options.profile, root / "profiles", tuple(GRAPH))
        if options.status:
            out = root / "results" / "runs" / options.profile
            print("\n".join(progress.status(out, schedule.held(out))))
            return 0
        if os.pathsep in str(root):
            raise ValueError(f"the folder {str(root)!r} holds a {os.pathsep!r}: rename it")
        work = make_plan(options, profile, root)
        pool = make_pool(options, profile, work)
        if options.list or options.dry_run:
            return show(options, work, pool)
        with schedule.claim(work.out):
            if fetched(work, profile):
                work = make_plan(options, profile, root)
            return perform(options, work, profile, pool)
    except (ValueError, schedule.Refused) as error:
        print(f"run_all: {error}", file=sys.stderr)
        return 2


def arguments():
    """Parser of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--profile", default="demo", help="settings: a file of profiles/ (default demo)")
    add("--cluster", help="where to run: a file of profiles/clusters/ (default: this machine)")
    add("--only", metavar="NN", help="this notebook alone, by number or name")
    add("--from", dest="start", metavar="NN", help="this notebook and all later ones")
    add("--shards", metavar="A:B", help="of the sweep, shards A to B-1 only (as --list has them)")
    add("--list", action="store_true", help="show what would run and why, and run nothing")
    add("--dry-run", action="store_true", help="the same, with an estimate of time")
    add("--force", action="store_true", help="run also what did not change")
    add("--status", action="store_true", help="show how far a run has come")
    return parser


def make_plan(options, profile, root):
    """The tasks of a profile, with the parameters checked and the selected ones marked."""
    standard = {
        "work_dir": f"data/processed/{options.profile}",
        "out_dir": f"results/runs/{options.profile}",
        "dataset": profile.dataset,
        "profile": options.profile,
        "fetch": False,  # done here, before the notebooks
    }
    chosen = selected(options)
    tasks = []
    names = {}  # of the executions, by notebook
    for notebook, after in graph(profile.dataset, chosen).items():
        path = root / "notebooks" / f"{notebook}.ipynb"
        if notebook not in chosen and not path.is_file():
            names[notebook] = ()
            continue
        before = tuple(name for other in after for name in names[other])
        values = settings(notebook, path, profile, standard)
        if notebook == SWEEP:
            own = shards(path, values, before, profile, root)
            wanted = numbers(options.shards, len(own))
        else:
            own = [plan.Task(notebook, path, values, before)]
            wanted = [0]
        for i, task in enumerate(own):
            task.alone = notebook in ALONE
            task.selected = notebook in chosen and i in wanted
        names[notebook] = tuple(task.name for task in own)
        tasks += own
    return plan.Plan(
        tasks,
        root,
        standard["work_dir"],
        standard["out_dir"],
        data_files(root, profile.dataset),
        options.force,
        partial=len(chosen) == 1,
    )


def settings(notebook, path, profile, standard):
    """Parameters of a notebook, checked; those that name a folder name one that is there."""
    given = profile.notebooks.get(notebook, {})
    if notebook == SWEEP:
        standard = standard | {"shard": 0}
    values = profiles.parameters(path, given, standard, LIMITS)
    file = f"{standard['profile']}.yml"
    if given.get("drug_blocks"):
        from lib.drugs import descriptors

        try:
            [descriptors.parts(block) for block in given["drug_blocks"]]
        except ValueError as error:
            raise profiles.ProfileError(f"{file}: {notebook}: {error}") from None
    for name in FOLDERS:
        value = given.get(name)
        fetched_here = name == "data_folder" and profile.dataset not in ("open", "own")
        if value and not fetched_here and not (path.parent.parent / value).is_dir():
            what = f"{file}: {notebook}: {name} is {value!r}"
            raise profiles.ProfileError(f"{what}, and there is no such folder; make it or mend it")
    return values


def shards(path, values, before, profile, root):
    """Executions of notebook 05, one per shard of the grid.

    Their content keys hold the runs of the shard, not its number or the profile: a shard keeps its
    result when the grid around it changes.
    """
    if not profile.sweep:
        return []
    from lib.sweep import grid

    try:
        specs = grid.expand(profile.sweep)
        offered(specs, profile, root)
    except ValueError as error:
        raise profiles.ProfileError(f"{values['profile']}.yml: {error}") from None
    found = []
    for i, (name, runs) in enumerate(grid.shards(specs).items()):
        identity = {"shard": None, "profile": None, "runs": keys.sha(repr(runs))}
        own = values | {"shard": i}
        task = plan.Task(f"{SWEEP}.{name}", path, own, before, identity=identity)
        task.n_runs = len(runs)
        found.append(task)
    return found


def offered(specs, profile, root):
    """Refuse panels and drug blocks that notebooks 03 and 04 will not make."""
    cells = declared("03_cell_features", profile, root)
    drugs = declared("04_drug_features", profile, root)
    plain = [f"{panel}_plain" for panel in cells.get("plain_panels", ())]
    made = {"panel": [*cells.get("panels", ()), *plain], "drug_block": drugs.get("drug_blocks")}
    for name, choices in made.items():
        for value in sorted({getattr(spec, name) for spec in specs}) if choices else ():
            parts = value.split("+") if name == "drug_block" else [value]
            if value not in choices and not set(parts) <= set(choices):
                profiles.choose(f"sweep: {name} is not made by the notebooks:", value, choices)


def declared(notebook, profile, root):
    """Parameters of a notebook by default, and as the profile has them."""
    path = root / "notebooks" / f"{notebook}.ipynb"
    if not path.is_file():
        return {}
    return keys.parameters(path) | profile.notebooks.get(notebook, {})


def graph(dataset, chosen):
    """The notebooks that a data set has something for, each with those whose tables it reads."""
    idle = WITHOUT_DOSES.get(dataset)
    if chosen == [idle]:
        raise ValueError(f"the data set {dataset!r} has no doses: {idle} has nothing to do")
    found = {}
    for notebook, after in GRAPH.items():
        if notebook != idle:
            found[notebook] = tuple(name for name in after if name != idle)
    return found


def selected(options):
    """Names of the notebooks that --only or --from choose; all of them by default."""
    if options.only:
        return [named("--only", options.only)]
    if options.start:
        names = list(GRAPH)
        return names[names.index(named("--from", options.start)) :]
    return list(GRAPH)


def named(flag, value):
    """The notebook that a number (02 or 2) or a name (with or without its number) means."""
    for name in GRAPH:
        if value in (name, name[:2], name[1:2], name[3:]):
            return name
    raise ValueError(f"{flag} {value}: no such notebook; choose one of {', '.join(GRAPH)}")


def numbers(text, n_shards):
    """Shards that `--shards A:B` names, either end optional."""
    if text is None:
        return range(n_shards)
    if not re.fullmatch(r"\d*:\d*", text):
        raise ValueError(f"--shards must look like 10:20, found {text!r}")
    start, stop = (int(end) if end else None for end in text.split(":"))
    found = range(n_shards)[start:stop]
    if not found:
        there = f"the {n_shards} shards, 0 to {n_shards - 1}"
        raise ValueError(f"--shards {text} names none of {there}")
    return found


def data_files(root, dataset):
    """Files and folders that any notebook may read beside tables.

    These are the data set, the small tables beside it, and the tables of Dragon.
    """
    aside = {"processed", "interim", "cache"}
    if dataset != "open":
        aside.add("open")
    if dataset in ("open", "own"):
        aside.add("raw")
    found = sorted((root / "data").glob("*"))
    found = [p for p in found if p.name not in aside and p.suffix not in (".md", ".py")]
    found += (root / "data" / "raw").glob("dragon*.txt")
    return [str(path.relative_to(root)) for path in found]


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


def show(options, work, pool):
    """Print what would run and why, and with --dry-run how long it may take."""
    for task, action, reason in work.preview():
        print(f"{action:5} {task.name:40} {reason}", flush=True)
    if options.dry_run:
        print("\n".join(progress.estimate(work, pool.slots)))
    return 0


def fetched(work, profile):
    """Get a data set that comes from the network if notebook 01 is due; whether that was so.

    A notebook's content key holds the files it reads, so these must be here before it runs; and a
    compute node may have no network where this machine has one.
    """
    from lib.screens import datasets

    task = work.tasks["01_ingest"]
    given = profile.notebooks.get("01_ingest", {})
    wanted = profile.dataset in ("official", "gdsc") and given.get("fetch", True)
    if not wanted or not task.selected or not work.due(task, work.key(task)):
        return False
    folder = None
    if given.get("data_folder"):
        folder = work.root / given["data_folder"]
    print(datasets.fetch(profile.dataset, given.get("studies"), folder), flush=True)
    return True


def perform(options, work, profile, pool):
    """Run the plan; afterwards say what failed and where everything is.

    Returns the exit status.
    """
    declare(work)
    started = time.time()
    report = progress.Report(work, options.profile, pool.slots)
    retries = profile.resources.retries
    limit = profile.resources.time_limit_minutes * 60
    lead = schedule.Conductor(work, pool, report, retries, limit)

    def interrupt(number, frame):
        lead.stop(f"interrupted by {signal.Signals(number).name}", halt=True)

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        lead.run()
    finally:
        pool.close()
        report.close()
    return close(work, time.time() - started, lead.stopped)


def declare(work):
    """Write down which shards the grid holds; notebook 06 leaves those of an earlier grid out."""
    names = [name.removeprefix(f"{SWEEP}.") for name in work.tasks if name.startswith(f"{SWEEP}.")]
    if names:
        from lib.sweep import ledger

        ledger.declare(work.root / work.work_dir, names)


def close(work, seconds, stopped):
    """Say what failed and where to look, and where the results are; returns the exit status."""
    tasks = work.tasks.values()
    failed = [task for task in tasks if task.state == "failed"]
    for task in failed:
        tell_failure(task)
    count = progress.counts(task.state for task in tasks if task.selected)
    peak = max((task.result.get("peak_mb", 0) for task in tasks), default=0)
    why = f"; {stopped}" if stopped else ""
    print(
        f"\ntotal      {progress.in_words(count)}; {progress.minutes(seconds)}, peak {peak} MB{why}"
    )
    if count["done"]:
        print(f"over time  {progress.draw(work.out).relative_to(work.root)}")
    print(f"results    {work.out_dir}/ (tables, figures, notebooks)")
    status = EXIT.get(stopped) or int(bool(failed or count["blocked"] or stopped))
    if status:
        print("next       mend what is named above and give the same command again")
    elif work.tasks["06_analysis"].selected:
        print("\n".join(progress.findings(work.out / "tables")))
        print(f"next       python -m results.report --run {work.out_dir}")
    return status


def tell_failure(task):
    """Say how a notebook failed, where, and what to open."""
    result = task.result
    tries = "1 attempt" if task.tries == 1 else f"{task.tries} attempts"
    lines = [
        f"\nFAILED {task.name} after {tries}, {result['kind']}: {result['error']}",
        f"  in cell {result.get('cell', '')!r}: {result.get('line', '')}",
        f"  executed copy: {result.get('copy', 'none')}",
    ]
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader of a listing has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
