"""Run shards of the sweep: features, stacks of networks, baselines, scores; resume what is
missing.

`python -m lib.sweep.run --profile demo` trains every shard of a profile without notebooks, for
example on a machine that has torch but no Jupyter. Faults are rows: a run that cannot be trained
keeps its place in `runs` with its reason.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import files, splits, tables
from lib.cells import cohorts
from lib.hill import quality
from lib.networks import train
from lib.networks.devices import best_precision, device_name, label
from lib.paths import ROOT
from lib.sweep import baselines, features, grid, ledger, scorer
from lib.sweep.store import Store

# What torch says besides OutOfMemoryError: on CUDA by its libraries, on the CPU of Linux and of
# Windows.
NO_MEMORY = "out of memory|ALLOC_FAILED|(can't|[Cc]annot) allocate memory|not enough memory"
STACK = {"cpu": 16, "cuda": 64}  # networks trained together; on the CPU as many as the cache holds
INPUTS = "fits cells gene_sets snp_counts snp_binary".split()  # of every shard


def read_grid(profile):
    """Shards of a profile's sweep: dict of shard id to list of RunSpec, in stable order."""
    folder = ROOT / "profiles"
    path = folder / f"{profile}.yml"
    if not path.exists():
        names = sorted(p.stem for p in folder.glob("*.yml"))
        raise ValueError(f"there is no profile {profile!r}; choose one of {', '.join(names)}")
    settings = files.read_yaml(path)
    if not isinstance(settings, dict):
        raise ValueError(f"{path.name} holds no settings; see profiles/smoke.yml")
    return grid.shards(grid.expand(settings.get("sweep") or []))


def input_files(work_dir, spec):
    """The tables that a shard's problem is built from."""
    names = {*INPUTS, f"profiles_{spec.panel}"}
    names |= {f"drug_{block}" for block in (spec.drug_block, *spec.drug_block.split("+"))}
    if spec.split == "scaffold_out":
        names.add("scaffolds")
    paths = sorted(Path(work_dir) / f"{name}.parquet" for name in names)
    return [path for path in paths if path.exists()]


def data_key(work_dir, spec):
    """One hash of these tables."""
    digest = hashlib.sha256()
    for path in input_files(work_dir, spec):
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


def training_table(work_dir, spec):
    """The `pairs` table of a run (`lib.hill.quality.training_rows` of `fits`) with what is known of
    its lines, and the `cells` table.
    """
    cells = tables.read(Path(work_dir) / "cells.parquet", tables.CELLS)
    fits = tables.read(Path(work_dir) / "fits.parquet")
    rows = quality.training_rows(fits, spec.fit_filter, spec.target)
    return cohorts.add_cell_facts(rows, cells), cells


def make_problem(work_dir, spec):
    """The training problem of a shard from the tables of notebooks 01 to 04.

    Folds are cut on all training rows of the cohort, before rows without a profile or descriptors
    are left out, so that every feature set of a cohort and split has the same folds.

    Returns
    -------
    problem : Problem
    rows : ndarray of int
        Position in the `pairs` table (`training_table`) of each row of the problem.
    left_out : dict of str to int
        Rows of the cohort that cannot be used, counted by reason.
    """
    store = Store(work_dir)
    table, cells = training_table(work_dir, spec)
    cohort = np.flatnonzero(cohorts.cohort_mask(table, cells, spec.cohort))
    if len(cohort) == 0:
        raise ValueError(f"cohort {spec.cohort!r} has no training row: choose a larger cohort")
    if spec.split == "scaffold_out":
        scaffolds = tables.read(Path(work_dir) / "scaffolds.parquet", tables.SCAFFOLDS)
        table = table.merge(scaffolds, on="drug_id", how="left", validate="m:1")
    table = table.iloc[cohort]
    role = splits.roles_of(table, spec.split, spec.n_folds, spec.selection, spec.repeat)
    why_not = features.usable(store, spec, table)
    use = why_not == ""
    left_out = pd.Series(why_not[~use]).value_counts().to_dict()
    if not use.any():
        reasons = "; ".join(f"{reason} ({n:,} rows)" for reason, n in left_out.items())
        raise ValueError(f"no training row can be used: {reasons}: use another level")
    table = table[use].reset_index(drop=True)
    role = np.ascontiguousarray(role[:, use])
    built = features.build(store, spec, table, role == splits.TRAIN)
    study, studies = pd.factorize(table.study, sort=True)
    cell, cell_names = pd.factorize(table.cell_id, sort=True)
    problem = train.Problem(
        **vars(built),
        y=table.auc.to_numpy(np.float32),
        study=study.astype(np.int16),
        cell=cell.astype(np.int32),
        role=role,
        studies=list(studies),
        cells=list(cell_names),
    )
    return problem.check(), cohort[use], left_out


def prepare(work_dir, spec):
    """The result of `make_problem`, or None where the shard cannot be built;
    `run_shard` says why.
    """
    try:
        return make_problem(work_dir, spec)
    except ValueError:
        return None


def first_rows(prepared, n):
    """Features and target of the first training rows of a shard, to look at a network with.

    Parameters
    ----------
    prepared : tuple or None
        From `prepare`.
    n : int

    Returns
    -------
    x : ndarray of shape (n, p_cell + p_drug), float32
    y : ndarray of shape (n,), float32
        Both without rows, and `x` of one feature, where the shard cannot be built.
    """
    if prepared is None:
        return np.zeros((0, 1), np.float32), np.zeros(0, np.float32)
    problem = prepared[0]
    rows = np.flatnonzero(problem.role[0] == splits.TRAIN)[:n]
    cells = problem.cell_x[0][problem.profile[rows]]
    drugs = problem.drug_x[0][problem.drug[rows]]
    return np.hstack([cells, drugs]), problem.y[rows]


def run_shard(
    work_dir,
    specs,
    device="auto",
    precision="auto",
    keep=(),
    stack=None,
    problem=None,
    report=print,
):
    """Train the missing runs of one shard and write its tables.

    Parameters
    ----------
    work_dir : path
        Folder of the tables; results go to `<work_dir>/sweep/<shard id>/`.
    specs : list of RunSpec
        All runs of one shard.
    device, precision : str
        "auto", or "cpu" / "cuda"; "fp32" / "bf16".
    keep : collection of {"cell", "drug", "predictions"}
        Also keep scores by cell or by drug, or test predictions. What is to be used later is a model
        folder (`lib.screening`).
    stack : int, optional
        Most networks trained together.
    problem : tuple, optional
        Result of `make_problem`, where the caller has it already.
    report : callable
        Takes a line of progress.

    Returns
    -------
    dict of str to DataFrame
        The shard's tables: runs, scores and those kept beside them.
    """
    if problem is None:
        require_tables(work_dir)
    device = device_name(device)
    precision = best_precision(device) if precision == "auto" else precision
    name = specs[0].shard_id
    shard = ledger.Shard(Path(work_dir) / "sweep" / name, data_key(work_dir, specs[0]))
    done = shard.finished()
    finished = set(done["runs"].run_id) if done else set()
    missing = [spec for spec in specs if spec.run_id not in finished]
    n_done = len(specs) - len(missing)
    report(f"{name}: {n_done} runs done, {len(missing)} to do on {device}, {precision}")
    wanted = {spec.run_id for spec in specs}
    if not missing and shard.holds(wanted):
        return ledger.only(done, wanted)
    shared = {
        "shard": name,
        "device": label(device),
        "precision": precision,
        "torch": str(torch.__version__),
        "commit": ledger.commit(),
        "data_key": shard.data_key,
    }
    found = [done]
    size = stack or STACK[device.split(":")[0]]
    for frames in _computed(work_dir, missing, problem, keep, (size, device, precision)):
        runs = frames["runs"]
        seconds = runs.pop("seconds")
        frames["runs"] = runs.assign(**shared, seconds=seconds)
        shard.add(frames)
        found.append(frames)
        n_done += len(runs)
        counts = ", ".join(f"{n} {status}" for status, n in runs.status.value_counts().items())
        which = f"{runs.model.iloc[0]} fold {runs.fold.iloc[0]}"
        report(f"  {n_done} of {len(specs)}: {which}: {counts}, {seconds.sum():.1f} s")
    return shard.close(found, wanted)


def require_tables(work_dir):
    """Refuse to train before notebooks 01 to 03 have run: every run would fail for one and the
    same reason.
    """
    for name in ("cells", "fits", "gene_sets"):
        tables.require(Path(work_dir) / f"{name}.parquet")


def novelty(work_dir, specs, made):
    """Test scores of a shard that holds out studies, by what is new about the test rows
    (`scorer.by_novelty`).

    Returns
    -------
    DataFrame
        Empty for other splits, and where no predictions were kept.
    """
    if specs[0].split != "study_out" or "predictions" not in made:
        return pd.DataFrame(columns=scorer.NOVELTY)
    rows, _ = training_table(work_dir, specs[0])
    return scorer.by_novelty(made["runs"], made["predictions"], rows)


def _computed(work_dir, specs, problem, keep, how):
    """Tables of some runs, one stack after the other; a shard without features gives failed rows.

    `how` is the size of a stack, the device and the precision.
    """
    if not specs:
        return
    try:
        problem, rows, _ = problem or make_problem(work_dir, specs[0])
    except ValueError as error:
        yield scorer.failed(specs, str(error).splitlines()[0])
        return
    reasons = train.impossible_runs(problem, specs)
    for reason in sorted(set(reasons.values()) - {""}):
        yield scorer.failed([spec for spec in specs if reasons[spec.run_id] == reason], reason)
    possible = [spec for spec in specs if not reasons[spec.run_id]]
    made = scorer.Scorer(problem, rows, keep)
    for fold in range(len(problem.role)):
        own = [s for s in possible if s.fold == fold and s.model in baselines.BASELINES]
        if own:
            try:
                yield made.baselines(own)
            except (ValueError, np.linalg.LinAlgError) as error:
                yield scorer.failed(own, f"{type(error).__name__}: {error}")
    size, device, precision = how
    networks = [spec for spec in possible if spec.model in grid.NETWORKS]
    for members in stacks(problem, networks, size):
        yield from _train_or_halve(made, members, device, precision)


def stacks(problem, specs, size):
    """Runs that can train together, in groups of nearly equal size that hold at most `size`."""
    p_cell = problem.cell_x.shape[2]
    p_drug = problem.drug_x.shape[2]
    groups = {}
    for spec in specs:
        groups.setdefault(train.stack_key(spec, p_cell, p_drug), []).append(spec)
    for members in groups.values():
        n = -(-len(members) // size)
        for part in np.array_split(np.arange(len(members)), n):
            yield [members[i] for i in part]


def _train_or_halve(made, specs, device, precision):
    """Tables of a stack, or of its halves when memory runs out; any other fault is the reason of
    failed rows.
    """
    try:
        trained = train.train_stack(made.problem, specs, device, precision)
    except (RuntimeError, MemoryError, ValueError) as error:
        said, _, _ = str(error).partition("\n")
        reason = f"{type(error).__name__}: {said}"
        kinds = (MemoryError, torch.OutOfMemoryError)
        out_of_memory = isinstance(error, kinds) or re.search(NO_MEMORY, str(error))
    else:
        yield made.networks(trained)
        return
    if not out_of_memory or len(specs) == 1:
        yield scorer.failed(specs, reason)
        return
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    half = len(specs) // 2
    for part in (specs[:half], specs[half:]):
        yield from _train_or_halve(made, part, device, precision)


def main(arguments=None):
    """Command line: train shards of a profile; 0 done, 1 if every run failed, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", required=True)
    parser.add_argument("--shards", default=":", metavar="A:B", help="shards A to B-1 (all)")
    parser.add_argument("--work-dir", help="data/processed/PROFILE by default")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--precision", default="auto", choices=["auto", "fp32", "bf16"])
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: as torch chooses)")
    parser.add_argument("--stack", type=int, help="most networks trained together")
    parser.add_argument("--keep", nargs="*", default=[], choices=grid.KEPT)
    try:
        return _train(parser.parse_args(arguments))
    except (ValueError, OSError) as error:
        print(f"lib.sweep.run: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _train(options):
    shards = read_grid(options.profile)
    chosen = _chosen(options.shards, list(shards.values()))
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", options.device):
        raise ValueError(f"--device is auto, cpu, cuda or cuda:N, found {options.device!r}")
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {options.device}: there is no such device here; use auto")
    if options.threads < 0 or (options.stack is not None and options.stack < 1):
        raise ValueError("--threads must be 0 or more and --stack 1 or more")
    work_dir = Path(options.work_dir or ROOT / "data" / "processed" / options.profile)
    require_tables(work_dir)
    if options.threads:
        torch.set_num_threads(options.threads)
    ledger.declare(work_dir, shards)
    failed = []
    how = options.device, options.precision, options.keep, options.stack
    for specs in chosen:
        runs = run_shard(work_dir, specs, *how)["runs"]
        failed.append((runs.status == "failed").all())
    if all(failed):
        print("every run failed: column `reason` of runs.parquet says why", file=sys.stderr)
    return int(all(failed))


def _chosen(text, shards):
    """The shards that `A:B` names, either end optional."""
    if not re.fullmatch(r"\d{0,9}:\d{0,9}", text):
        raise ValueError(f"--shards must look like 10:20, found {text!r}")
    start, stop = (int(end) if end else None for end in text.split(":"))
    if not shards[start:stop]:
        raise ValueError(f"--shards {text} names none of the {len(shards)} shards")
    return shards[start:stop]


if __name__ == "__main__":
    sys.exit(main())
