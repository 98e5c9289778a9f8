"""Cluster files: each loads and fits Parsl; typos and blanks are refused before anything starts."""

import fcntl
import inspect
import os
import shlex
import signal
import subprocess

import pytest
import yaml
from clusters_by_hand import GOOD, write
from small_run import repository

import run_all
from lib.paths import ROOT
from lib.run import clusters, profiles

FOLDER = ROOT / "profiles" / "clusters"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yml"))


@pytest.fixture(autouse=True)
def addresses(monkeypatch):
    """Parsl finds this machine's addresses through sockets that it does not close."""
    monkeypatch.setattr(
        "parsl.executors.high_throughput.executor.get_all_addresses", lambda: {"127.0.0.1"}
    )


def filled(name):
    """A cluster of the repository with its two blanks filled in."""
    cluster = clusters.load_cluster(name, FOLDER)
    return cluster.model_copy(update={"account": "abc123", "queue": "gpu"})


def test_the_four_kinds_of_scheduler_are_there():
    assert {"slurm", "lsf", "pbs", "kubernetes"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_file_leaves_exactly_account_and_queue_blank(name):
    settings = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    assert [key for key, value in settings.items() if value == ""] == [
        "account",
        "queue",
        "worker_init",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_cluster_file_gives_arguments_that_its_provider_takes(name, tmp_path):
    cluster = filled(name)
    options = clusters.provider_options(cluster, tmp_path, tmp_path / ".lock")
    inspect.signature(clusters.provider_class(cluster).__init__).bind(None, **options)
    account, queue, _ = clusters.BLANKS[cluster.provider]
    assert (options[account], options[queue]) == ("abc123", "gpu")
    assert f"cd {tmp_path}" in options["worker_init"]


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name != "kubernetes"]
)  # that one needs a live cluster
def test_a_cluster_file_makes_an_executor_that_leaves_the_scheduler_its_choice_of_devices(
    name, tmp_path
):
    cluster = filled(name)
    executor = clusters.cluster_executor(cluster, tmp_path, tmp_path / ".lock")
    assert executor.max_workers_per_node == cluster.workers_per_node
    assert not executor.available_accelerators
    assert executor.block_error_handler.__name__ == "windowed_error_handler"


@pytest.mark.parametrize("name", NAMES)
def test_the_workers_of_a_block_watch_the_lock_of_their_conductor(name, tmp_path):
    lock = tmp_path / "it's .lock"
    start = clusters.provider_options(filled(name), tmp_path, lock)["worker_init"]
    assert start.rstrip().endswith("&") and f"9<{shlex.quote(str(lock))}" in start


def watched(lock):
    """A worker's shell that watches a lock; its process leads a group of its own."""
    script = f"{clusters.watch(lock)}\nsleep 600"
    return subprocess.Popen(["bash", "-c", script], start_new_session=True)


def test_a_block_ends_when_its_conductor_lets_go_of_the_lock_and_not_before(tmp_path):
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        block = watched(tmp_path / ".lock")
        with pytest.raises(subprocess.TimeoutExpired):
            block.wait(2.5)
    assert block.wait(60) == -signal.SIGKILL


def test_where_nobody_is_seen_to_hold_the_lock_a_block_is_left_alone(tmp_path):
    (tmp_path / ".lock").touch()
    blocks = [watched(tmp_path / ".lock"), watched(tmp_path / "no such file")]
    for block in blocks:
        with pytest.raises(subprocess.TimeoutExpired):
            block.wait(2.5)
        os.killpg(block.pid, signal.SIGKILL)
        block.wait()


def test_a_shard_is_not_started_that_cannot_end_before_the_walltime(tmp_path):
    executor = clusters.cluster_executor(filled("slurm"), tmp_path, tmp_path / ".lock")
    assert executor.drain_period == 12 * 3600 - 60 * 60 - clusters.MARGIN


def test_submit_scripts_carry_account_queue_walltime_and_devices(tmp_path):
    provider = clusters.cluster_executor(filled("slurm"), tmp_path, tmp_path / ".lock").provider
    text = provider.scheduler_options + provider.worker_init
    assert provider.walltime == "12:00:00"
    for line in ("--account=abc123", "--partition=gpu", "--gpus-per-node=4", f"cd {tmp_path}"):
        assert line in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"wallclock": "01:00:00"},
            "unknown key 'wallclock'; choose from provider, account, queue",
        ),
        (
            {"provider": "SlurmProvidr"},
            "provider is 'SlurmProvidr': input should be 'SlurmProvider', 'LSFProvider'",
        ),
        ({"launcher": "Srun"}, "launcher is 'Srun': input should be 'SimpleLauncher'"),
        ({"walltime": "12h"}, "walltime is '12h': string should match pattern"),
        (
            {"workers_per_node": 0},
            "workers_per_node is 0: input should be greater than or equal to 1",
        ),
        (
            {"options": {"gpus": 4}},
            "SlurmProvider has no option ['gpus']; it has ['account', 'clusters'",
        ),
        ({"walltime": "00:20:00", "shard_minutes": 30}, "leaves no room for a shard of 30 minutes"),
        (
            {"launcher_options": {"nothing": 1}},
            "SimpleLauncher has no option ['nothing']; it has [",
        ),
        ({"launcher_options": [1]}, "launcher_options is [1]: input should be a valid dictionary"),
        ({"launcher_options": {1: 2}}, "launcher_options.1"),
        (
            {"launcher": "SrunLauncher", "launcher_options": {"overides": "-N1"}},
            "SrunLauncher has no option ['overides']; it has ['debug', 'overrides']",
        ),
        ({"options": {"exclusive": "maybe"}}, "an option of SlurmProvider is wrong: "),
        ({"options": {"max_blocks": "many"}}, "an option of SlurmProvider is wrong: "),
        ({"options": {"persistent_volumes": 5}}, "SlurmProvider has no option ['persistent_volum"),
        ({"shard_minutes": float("inf")}, "shard_minutes is inf: input should be a finite number"),
        ({"nodes_per_block": 1.5}, "nodes_per_block is 1.5: input should be a valid integer"),
        ({"max_blocks": True}, "max_blocks is True: input should be a valid integer"),
        ({"queue": None}, "queue is None: input should be a valid string"),
    ],
)
def test_a_faulty_cluster_file_is_refused_in_one_sentence(tmp_path, change, said):
    write(tmp_path, **(GOOD | change))
    with pytest.raises(profiles.ProfileError) as refused:
        clusters.load_cluster("site", tmp_path)
    assert str(refused.value).startswith("site.yml: ") and said in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("volumes", [5, "a", [5], [["a"]], ["ab"], [["a", 3]]])
def test_volumes_of_another_shape_are_no_traceback(tmp_path, volumes):
    good = {"provider": "KubernetesProvider", "options": {"persistent_volumes": volumes}}
    write(tmp_path, **(GOOD | good))
    try:
        clusters.load_cluster("site", tmp_path)
    except profiles.ProfileError as refused:
        assert "an option of KubernetesProvider is wrong" in str(refused)


@pytest.mark.parametrize("error", [OSError("no"), subprocess.TimeoutExpired(["scontrol"], 60)])
def test_a_scheduler_that_does_not_answer_is_named(monkeypatch, error):
    def silent(*_, **__):
        raise error

    monkeypatch.setattr(clusters.shutil, "which", lambda name: name)
    monkeypatch.setattr(clusters.subprocess, "run", silent)
    with pytest.raises(profiles.ProfileError, match="cluster 'site': .*; ask its staff"):
        clusters.check_site("site", clusters.Cluster(**(GOOD | {"queue": "gpu"})))


def test_an_unknown_cluster_is_answered_with_those_there_are():
    with pytest.raises(
        profiles.ProfileError,
        match=r"no cluster 'slurmy'; choose one of kubernetes, lsf, pbs, slurm",
    ):
        clusters.load_cluster("slurmy", FOLDER)


def test_blanks_are_refused_before_anything_starts(tmp_path, capsys):
    root = repository(tmp_path, n_shards=0)
    write(root / "profiles/clusters", **(GOOD | {"account": "", "queue": ""}))
    assert run_all.main(["--cluster", "site"], root=root) == 2
    assert (
        "site.yml: account and queue left blank; write your site's there" in capsys.readouterr().err
    )
    assert not (root / "results").exists()


def test_a_machine_without_the_scheduler_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(clusters.shutil, "which", lambda _: None)
    with pytest.raises(
        profiles.ProfileError, match="needs the command 'scontrol'; run this on a login node"
    ):
        clusters.check_site("site", clusters.Cluster(**GOOD))


def test_a_queue_that_does_not_exist_is_refused_with_the_schedulers_words(monkeypatch):
    answer = subprocess.CompletedProcess([], 1, "", "Partition gpuu not found\n")
    monkeypatch.setattr(clusters.shutil, "which", lambda name: name)
    monkeypatch.setattr(clusters.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(
        profiles.ProfileError, match="does not know 'gpuu': Partition gpuu not found; see profiles/"
    ):
        clusters.check_site("site", clusters.Cluster(**(GOOD | {"queue": "gpuu"})))
