"""Run the notebooks of a profile in order, as far as anything changed.

    python run_all.py --profile demo              everything that is due
    python run_all.py --profile demo --list       what would run, and why
    python run_all.py --profile demo --status     how far a run has come, from another shell
    python run_all.py --profile paper --cluster slurm --shards 10:20

A run that was cut short goes on where it stopped when the same command is given again.
"""

import argparse
import csv
import itertools
import os
import re
import reprlib
import signal
import sys
import time
from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from lib.paths import ROOT, STUDIES
from lib.run import keys, plan, profiles, progress, schedule
from lib.run.notebook import marker
from results import timeline

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
# Data set: the notebooks that it has nothing for. Notebook 01 writes the published areas of gdsc, each over the range that a
# study tested: there is nothing to fit, nor an area over one range for a screen to predict.
IDLE = {"gdsc": ("02_hill_fit", "07_screen")}
# It becomes part of a file's name.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$")]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Studies = Annotated[list[Literal[STUDIES]], Field(min_length=1)]
# What parameters of the notebooks may be, beyond the type of their default.
LIMITS = {
    "studies": Studies,
    "label_sources": list[Literal[STUDIES]],
    "panels": Annotated[dict[Name, Studies], Field(min_length=1)],
    "drug_blocks": Annotated[list[str], Field(min_length=1)],
    "study": Literal["", *STUDIES],
    "device": Annotated[str, Field(pattern=r"^(auto|cpu|cuda(:[0-9]+)?)$")],
    "smallest_effect": Annotated[float, Field(gt=0, le=1)],
    "cancer_types": Literal["annotated", "autoencoder"],
    "log_form": Literal["log2p1", "paper"],
    "keep": list[Literal["cell", "drug", "predictions"]],
    "n_folds": Annotated[int, Field(ge=2, le=100)],
    "seed": Annotated[int, Field(ge=0, le=2**32 - 1)],
    "near": Share,
    "removal_quantile": Share,
    "timeout_s": Annotated[float, Field(ge=0.001, le=1_000_000)],
    "random_sizes": list[Count],
    **dict.fromkeys("n_types rows_at_once n_draws n_resampled k_best".split(), Count),
}
# What is named must be there.
PLACES = dict.fromkeys("data_folder tumours gene_lists sweep".split(), "folder")
PLACES |= dict.fromkeys("compounds expression dragon_file".split(), "file")
ALONE = ("01_ingest", "06_analysis", "07_screen")
EXIT = {"interrupted by SIGINT": 130, "interrupted by SIGTERM": 143}
# Of the headline: what the network is to be compared with, whoever is best.
TOLD = {
    "network, chosen by inner score": "network",
    "ridge": "ridge",
    "mean_effects": "mean effects",
}
GRID_HOURS = r"grid of ([\d,]+) runs.*?\*\*(\d+) GPU-hours\*\*"  # in the page of the benchmark


def main(argv=None, root=ROOT):
    """Command line.

    Returns
    -------
    int
        Exit status: 0 all is done, 1 something failed or was not run, 2 refused, 130 or 143
        interrupted.
    """
    options = arguments(root / "profiles").parse_args(argv)
    try:
        profile = profiles.load(options.profile, root / "profiles", tuple(GRAPH))
        if options.status:
            out = root / "results" / "runs" / options.profile
            progress.console().print(*progress.status(out, schedule.held(out)), sep="\n")
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


def arguments(folder=ROOT / "profiles"):
    """Parser of the command line; its help lists the profiles, each with its first comment."""
    lines = []
    for path in sorted(path for path in folder.glob("*.yml") if path.is_file()):
        with open(path, errors="replace") as file:
            first = file.readline(100).strip().lstrip("# ")
        lines.append(f"  {path.stem:20} {first}")
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="\n".join(["profiles:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--profile", default="demo", help="settings: one of those below (default demo)")
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
            wanted = numbered(options.shards, [task.name for task in own])
        else:
            own = [plan.Task(notebook, path, values, before)]
            wanted = [notebook]
        for task in own:
            task.alone = notebook in ALONE
            task.selected = notebook in chosen and task.name in wanted
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
        timed=timed(root, profile.dataset),
    )


def settings(notebook, path, profile, standard):
    """Parameters of a notebook, checked; those that name a folder name one that is there."""
    given = profile.notebooks.get(notebook, {})
    if notebook == SWEEP:
        standard = standard | {"shard": 0}
    values = profiles.parameters(path, given, standard, LIMITS)
    file = f"{standard['profile']}.yml"
    try:
        make_sense(given, keys.parameters(path) | given)
    except ValueError as error:
        raise profiles.ProfileError(f"{file}: {notebook}: {error}") from None
    for name, kind in PLACES.items():
        value = given.get(name)
        fetched_here = name == "data_folder" and profile.dataset not in ("open", "own")
        is_there = os.path.isdir if kind == "folder" else os.path.isfile
        if value and not fetched_here and not is_there(path.parent.parent / value):
            what = f"{file}: {notebook}: {name} is {reprlib.repr(value)}"
            raise profiles.ProfileError(f"{what}, and there is no such {kind}; make it or mend it")
    return values


def make_sense(given, values):
    """Refuse parameters of the right type that no notebook understands: ValueError."""
    for name in given.get("zscored_panels", ()):
        profiles.choose("zscored_panels holds", name, values["panels"])
    if given.get("drug_blocks"):
        from lib.drugs import descriptors

        for block in given["drug_blocks"]:
            descriptors.parts(block)
    if given.get("scale"):
        from lib import tables

        if not tables.scale_range(given["scale"]):
            scales = ", ".join(tables.SCALES)
            raise ValueError(f"scale is {given['scale']!r}; choose one of {scales}")
    if given.get("settings"):
        from lib.sweep import grid

        grid.expand({"recipe": "sound"} | given["settings"])


def shards(path, values, before, profile, root):
    """Executions of notebook 05, one per shard of the grid.

    Their content keys hold the runs of the shard, not its place or the profile: a shard keeps its
    number, and with it its result, when the grid around it changes.
    """
    if not profile.sweep:
        return []
    from lib.sweep import grid

    try:
        specs = grid.expand(profile.sweep)
        offered(specs, profile, root)
    except ValueError as error:
        raise profiles.ProfileError(f"{values['profile']}.yml: {error}") from None
    known = grid.shards(specs)
    number = remembered(root / values["out_dir"], known)
    free = (n for n in itertools.count() if n not in number.values())
    found = {}
    for i, (name, runs) in enumerate(known.items()):
        identity = {"shard": None, "profile": None, "runs": keys.sha(repr(runs))}
        n = number[name] if name in number else next(free)
        own = values | {"shard": i}
        found[n] = plan.Task(f"{SWEEP}.{n}", path, own, before, identity=identity)
        found[n].shard = name
        found[n].n_runs = sum(run.model in grid.NETWORKS for run in runs)
    return [found[n] for n in sorted(found)]


def remembered(out, known):
    """Numbers under which shards of the grid have finished, by the name of the shard."""
    found = {}
    for path in (out / "done").glob(f"{SWEEP}.*.json"):
        number = path.stem.removeprefix(f"{SWEEP}.")
        shard = (marker(out, path.stem) or {}).get("shard")
        if number.isdecimal() and shard in known:
            found[shard] = int(number)
    return found


def offered(specs, profile, root):
    """Refuse panels and drug blocks that notebooks 03 and 04 will not make."""
    cells = declared("03_cell_features", profile, root)
    drugs = declared("04_drug_features", profile, root)
    plain = [f"{panel}_plain" for panel in cells.get("plain_panels", ())]
    panels = [*cells.get("panels", ()), *plain]
    made = {
        ("panel", "03_cell_features: {panels: [...]}"): panels,
        ("drug_block", "04_drug_features: {drug_blocks: [...]}"): drugs.get("drug_blocks"),
    }
    for (name, where), choices in made.items():
        for value in sorted({getattr(spec, name) for spec in specs}) if choices else ():
            parts = value.split("+") if name == "drug_block" else [value]
            if value not in choices and not set(parts) <= set(choices):
                what = f"sweep: {name} is not made by the notebooks ({where}):"
                profiles.choose(what, value, choices)


def declared(notebook, profile, root):
    """Parameters of a notebook by default, and as the profile has them."""
    path = root / "notebooks" / f"{notebook}.ipynb"
    if not path.is_file():
        return {}
    return keys.parameters(path) | profile.notebooks.get(notebook, {})


def graph(dataset, chosen):
    """The notebooks that a data set has something for, each with those whose tables it reads."""
    idle = IDLE.get(dataset, ())
    if len(chosen) == 1 and chosen[0] in idle:
        raise ValueError(f"the data set {dataset!r} has no doses: {chosen[0]} has nothing to do")
    found = {}
    for notebook, after in GRAPH.items():
        if notebook not in idle:
            found[notebook] = tuple(name for name in after if name not in idle)
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


def numbered(text, names):
    """Of the shards' tasks those that `--shards A:B` names by number, either end optional."""
    if text is None:
        return names
    if not re.fullmatch(r"\d{0,9}:\d{0,9}", text):
        raise ValueError(f"--shards must look like 10:20, found {text!r}")
    start, stop = text.split(":")
    wanted = range(int(start or 0), int(stop or 10**9))
    found = [name for name in names if int(name.rpartition(".")[2]) in wanted]
    if not found:
        there = f"the {len(names)} shards"
        if names:
            there += f", 0 to {names[-1].rpartition('.')[2]}"
        raise ValueError(f"--shards {text} names none of {there}")
    return found


def timed(root, dataset):
    """What notebooks took elsewhere, as committed, for estimates before anything has finished.

    These are the demo's on the reference machine, or the paper's grid on one accelerator.
    """
    table = root / "results" / "tables" / "timings.csv"
    page = root / "benchmarks" / "train_h100.md"
    found = []
    for row in rows(table) if dataset == "open" else ():
        one = {"name": row["notebook"], "seconds": float(row["seconds"])}
        one["n_runs"] = int(row.get("n_runs") or 0)
        found.append(one | {"source": "the demo, results/tables/timings.csv"})
    hours = re.search(GRID_HOURS, page.read_text(), re.S) if page.is_file() else None
    if dataset == "official" and hours:
        one = {"name": SWEEP, "seconds": 3600 * int(hours[2]), "accelerator": "0"}
        one["n_runs"] = int(hours[1].replace(",", ""))
        found.append(one | {"source": "one H100, benchmarks/train_h100.md"})
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
        shard = f"  ({task.shard})" if task.shard else ""
        print(f"{action:5} {task.name:20} {reason}{shard}", flush=True)
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
    """Write down which shards the grid holds; notebook 06 leaves those of an earlier grid out.

    Their executed copies go, so that nobody takes them for this grid's; what they trained stays.
    """
    names = [task.shard for task in work.tasks.values() if task.shard]
    if names:
        from lib.sweep import ledger

        ledger.declare(work.root / work.work_dir, names)
    for done in (work.out / "done").glob(f"{SWEEP}.*.json"):
        if done.stem not in work.tasks:
            (work.out / "notebooks" / f"{done.stem}.ipynb").unlink(missing_ok=True)
            done.unlink()


def close(work, seconds, stopped):
    """Say what failed and where to look, and where the results are; returns the exit status."""
    tasks = work.tasks.values()
    failed = [task for task in tasks if task.state == "failed"]
    for task in failed:
        tell_failure(task)
    for task in tasks:
        for name in task.result.get("left_over", ()):
            what = f"{name} is of an earlier version of {task.name}"
            print(f"set aside  {what}: {work.out_dir}/left_over/{name}")
    untrained = why_untrained(work)
    if untrained:
        print(f"\nFAILED {SWEEP}: {untrained}", file=sys.stderr)
    count = progress.counts(task.state for task in tasks if task.selected)
    peak = max((task.result.get("peak_mb", 0) for task in tasks), default=0)
    why = f"; {stopped}" if stopped else ""
    print(
        f"\ntotal      {progress.in_words(count)}; {progress.minutes(seconds)}, peak {peak} MB{why}"
    )
    if count["done"]:
        print(f"over time  {timeline.draw(work.out).relative_to(work.root)}")
    print(f"results    {work.out_dir}/ (tables, figures, notebooks)")
    status = EXIT.get(stopped) or int(bool(failed or untrained or count["blocked"] or stopped))
    if status:
        print("next       mend what is named above and give the same command again")
    elif work.tasks["06_analysis"].selected:
        for line in findings(work.out / "tables"):
            print(f"found      {line}")
        demo = work.out_dir == "results/runs/demo"
        report = "make report" if demo else f"python -m results.report --run {work.out_dir}"
        print(f"next       {report}, then open results/runs/report/index.html")
        print("           make lab opens the notebooks")
    return status


def why_untrained(work):
    """Why the sweep that was to run trained no network; empty where it trained one."""
    reasons = Counter()
    for task in work.tasks.values():
        path = work.root / work.work_dir / "sweep" / task.shard / "runs.parquet"
        if task.shard and task.selected and task.state in plan.USABLE and path.is_file():
            from lib import tables
            from lib.sweep import grid, ledger

            runs = tables.read(path, columns=["model", "status", "reason"])
            runs = runs[runs["model"].isin(grid.NETWORKS)]
            if runs["status"].isin(ledger.SCORED).any():
                return ""
            reasons.update(runs["reason"])
    why = "".join(reason for reason, _ in reasons.most_common(1))
    return f"every one of {reasons.total()} networks failed, most because: {why}" if why else ""


def findings(tables):
    """At most five lines on what a run found: scores over all studies by split, then the claims."""
    from lib.paper import SPLIT_NAMES

    lines = []
    scores = {}
    for row in rows(tables / "headline.csv"):
        if row.get("study") == "All" and row.get("r2") and row["predictor"] in TOLD:
            told = f"{TOLD[row['predictor']]} {float(row['r2']):.3f}"
            scores.setdefault(row["split"], []).append(told)
    for split, own in list(scores.items())[:4]:
        lines.append(f"R² on {SPLIT_NAMES.get(split, split)}: {', '.join(own)}")
    verdicts = Counter(row.get("verdict") for row in rows(tables / "verdicts.csv"))
    if verdicts:
        said = ", ".join(f"{n} {verdict}" for verdict, n in verdicts.most_common())
        lines.append(f"claims of the paper: {said}")
    return lines


def rows(path):
    """Rows of a CSV file as dictionaries; none where there is no such file."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def tell_failure(task):
    """Say how a notebook failed, where, and what to open."""
    result = task.result
    tries = "1 attempt" if task.tries == 1 else f"{task.tries} attempts"
    lines = [
        f"\nFAILED {task.name} after {tries}, {result['kind']}: {result['error']}",
        *([f"  shard {task.shard}"] if task.shard else []),
        f"  in cell {result.get('cell', '')!r}: {result.get('line', '')}",
        f"  executed copy: {result.get('copy', 'none')}",
    ]
    print("\n".join(lines), file=sys.stderr)


def command(argv=None, root=ROOT):
    """`main`, ended without a word when the reader of its output has seen enough."""
    try:
        try:
            return main(argv, root)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(command())
