"""A real Slurm here: the same command and tables, one device per worker, a lost block survived.

Run with `pytest -m slurm`. Where Slurm is not installed these tests are skipped with the reason;
with REQUIRE_SLURM=1 in the environment they fail instead.
"""

import json
import os
import shutil
import subprocess
import time

import pandas as pd
import pytest
from clusters_by_hand import GOOD, write
from small_run import (
    CODE,
    begun,
    family,
    own_screen,
    real,
    repository,
    run,
    survivors,
    sweep_command,
)

from lib.paths import ROOT

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
START = ROOT / "tests" / "helpers" / "start_slurm.sh"
NEEDED = ("slurmctld", "slurmd", "munged", "sbatch")
SITE = GOOD | {"address": "127.0.0.1", "walltime": "00:05:00", "shard_minutes": 1, "max_blocks": 2}
SITE |= {"options": {"gres": "gpu:1", "exclusive": False, "cores_per_node": 1}}
MEET = """
import time
(work / f"begun_{shard}").touch()
end = time.time() + SECONDS
while len(list(work.glob("begun_*"))) < 2 and time.time() < end:
    time.sleep(0.1)
"""  # a shard waits for one of the other block
SWEEP = MEET + CODE["05_train_sweep"]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Start the daemons; yields nothing, as SLURM_CONF tells every client where they are."""
    missing = [name for name in NEEDED if not shutil.which(name)]
    reason = (
        f"Slurm is not installed ({', '.join(missing)})" if missing else "Slurm's daemons need root"
    )
    if missing or os.geteuid() != 0:
        pytest.fail(reason) if os.environ.get("REQUIRE_SLURM") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run(["bash", START, "start", folder], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
        yield
    subprocess.run(["bash", START, "stop", folder], check=True)


def slurm_repository(root, seconds, **site):
    repository(root, 4, code=CODE | {"05_train_sweep": SWEEP.replace("SECONDS", str(seconds))})
    write(root / "profiles/clusters", **(SITE | site))
    return root


def tables(root):
    folders = root / "data/processed/demo", root / "results/runs/demo/tables"
    files = (path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def markers(root):
    found = [
        json.loads(p.read_text())
        for p in sorted((root / "results/runs/demo/done").glob("[!.]*.json"))
    ]
    return {marker["name"]: marker for marker in found}


def jobs():
    """States of Slurm's jobs by id."""
    answer = subprocess.run(
        ["squeue", "-h", "-o", "%i %T"], capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in answer.stdout.splitlines())


def no_jobs(seconds=90):
    """Whether Slurm has no job left, now or after some seconds."""
    end = time.time() + seconds
    while jobs() and time.time() < end:
        time.sleep(0.2)
    return not jobs()


def test_a_run_on_slurm_gives_the_tables_of_a_local_run_and_each_block_its_own_device(
    slurm, tmp_path
):
    there = slurm_repository(tmp_path / "there", seconds=200)
    ended = run(there, "--cluster", "site")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    here = slurm_repository(tmp_path / "here", seconds=0)
    local = run(here)
    assert local.returncode == 0, local.stderr
    assert tables(there) == tables(here)
    shards = [m for name, m in markers(there).items() if name.startswith("05")]
    assert {m["accelerator"] for m in shards} == {"0", "1"}
    for one in shards:  # two blocks at a time, never on the same device
        end = one["started"] + one["seconds"]
        beside = [m for m in shards if one["started"] < m["started"] < end]
        assert all(m["accelerator"] != one["accelerator"] for m in beside)
    assert no_jobs(), "blocks are given back at the end"


def test_a_screen_of_ones_own_goes_through_every_notebook(local_own):
    root, ended = local_own
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = pd.read_csv(root / "results/runs/own/tables/headline.csv")
    table = table[table.study == "All"].set_index("predictor")
    assert (table.n == 480).all() and (table.n_cells == 60).all()
    assert table.r2["ridge"] > table.r2["mean_effects"] > 0.5


def test_the_real_notebooks_on_slurm_give_the_tables_of_a_local_run(slurm, local_own, tmp_path):
    here, _ = local_own
    there = own_screen(tmp_path / "repository")
    slow = {"walltime": "01:00:00", "shard_minutes": 20}
    write(there / "profiles/clusters", **(SITE | slow))
    ended = real(there, "own", "--cluster", "site")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    folder = "data/processed/own"
    names = sorted(path.relative_to(here) for path in (here / folder).rglob("*.parquet"))
    assert len(names) > 20
    assert names == sorted(path.relative_to(there) for path in (there / folder).rglob("*.parquet"))
    for name in names:
        one, other = (
            pd.read_parquet(root / name).drop(columns=["seconds"], errors="ignore")
            for root in (here, there)
        )
        pd.testing.assert_frame_equal(one, other, check_exact=True, obj=str(name))


def start_sweep(root, n_shards, seconds, heartbeat=(1, 8), **site):
    """A sweep of tasks without notebooks on Slurm, after the blocks of earlier ones are gone."""
    assert no_jobs()
    write(root / "profiles/clusters", **(SITE | site))
    settings = dict(n_shards=n_shards, seconds=seconds, heartbeat=heartbeat, cluster="site")
    command = sweep_command(root, **settings)
    return subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_several_workers_of_one_block_share_out_the_devices_that_slurm_gave(slurm, tmp_path):
    options = {"gres": "gpu:2", "exclusive": False, "cores_per_node": 2}
    with start_sweep(tmp_path, 2, 5, workers_per_node=2, max_blocks=1, options=options) as process:
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    found = markers(tmp_path)
    assert {found["sweep.000"]["accelerator"], found["sweep.001"]["accelerator"]} == {"0", "1"}


def test_a_cancelled_block_costs_its_shard_one_more_try_and_nothing_else(slurm, tmp_path):
    with start_sweep(tmp_path, 2, 20) as process:
        begun(tmp_path, 2)
        subprocess.run(["scancel", min(jobs())], check=True)
        output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    attempts = [m["attempt"] for name, m in markers(tmp_path).items() if name.startswith("sweep")]
    assert sorted(attempts) == [1, 2], output


def test_after_a_killed_conductor_its_blocks_end_at_once(slurm, tmp_path):
    with start_sweep(tmp_path, 2, 600, heartbeat=(5, 3600)) as process:  # no heartbeat is missed
        begun(tmp_path, 2)
        workers = [each for each in family(tmp_path) if each.pid != process.pid]
        assert len(workers) >= 6 and len(jobs()) == 2
        process.kill()
        assert not survivors(workers)
    assert no_jobs()


def test_a_queue_that_slurm_does_not_know_is_refused_before_anything_starts(slurm, tmp_path):
    root = slurm_repository(tmp_path, seconds=0, queue="gpuu")
    ended = run(root, "--cluster", "site")
    assert ended.returncode == 2
    assert "cluster 'site' does not know 'gpuu': Partition gpuu not found" in ended.stderr
    assert not (root / "results").exists() and not jobs()
