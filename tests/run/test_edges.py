"""What surrounds a run: odd folder names, strangers on the machine, killed conductors, pipes."""

import os
import pickle
import shlex
import signal
import subprocess
import time

import psutil
import pytest
import small_run
from small_run import CODE, repository, run, sweep_command

import run_all
from lib.paths import ROOT
from lib.run import clusters, profiles

NAMES = ["a folder", "a;b", "a'b", "a$b `c`", "(a) [b] {c}", "a&b|c", "é <x>", 'a"b*?', "-a b"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a folder (1) [x]", "-é;'$b&\"|"])
def test_a_checkout_runs_under_a_folder_of_any_name(tmp_path, name):
    root = repository(tmp_path / name, n_shards=0)
    ended = run(root, "--only", "01", timeout=100)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert (root / "data/processed/demo/responses.txt").read_text() == "doses"
    assert list(root.glob("results/runs/demo/logs/parsl/000/submit_scripts"))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_parsl_is_given_a_path_that_a_shell_can_hold(tmp_path, name):
    link = clusters.plain_path(tmp_path / name)
    assert subprocess.check_output(f"cd {link}; pwd -P", shell=True, text=True).strip() == str(
        tmp_path / name
    )
    with pytest.raises(profiles.ProfileError, match="schedulers cannot be given the folder"):
        clusters.ParslPool.cluster(None, tmp_path, tmp_path / name)
    assert clusters.plain_path(tmp_path) == str(tmp_path)


def test_a_folder_name_that_no_search_path_can_hold_is_refused(tmp_path, capsys):
    root = repository(tmp_path / "a:b", n_shards=0)
    assert run_all.main(["--list"], root=root) == 2
    assert "holds a ':': rename it" in capsys.readouterr().err


@pytest.mark.parametrize("options", ["--list", "--status", "--help", "--only 01"])
def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path, options):
    root = repository(tmp_path, n_shards=0)
    driver = shlex.join(small_run.command(root, *options.split()))
    for reader in ("true", "head -1"):
        command = f"{driver} | {reader}"
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            command, shell=True, cwd=root, env=environment, capture_output=True, text=True
        )
        assert ended.stderr == "" and ended.stdout.count("\n") == (reader != "true")


def stuck(root, n_shards=2):
    """A run whose workers are in the middle of notebooks; its process and those below it."""
    (root / "faults").mkdir(exist_ok=True)
    command = sweep_command(root, n_shards=n_shards, seconds=60, heartbeat=(5, 30))
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    ledger = root / "ledger.txt"
    end = time.time() + 60
    while time.time() < end and not (ledger.exists() and ledger.read_text().count("\n") >= 2):
        time.sleep(0.1)
    return process, [each for each in psutil.process_iter(["cwd", "cmdline"]) if mine(each, root)]


def mine(process, root):
    words = " ".join(process.info["cmdline"] or [])
    return str(root) in words or str(root) in (process.info["cwd"] or "")


def gone(processes, seconds):
    """Those that still live after some seconds; a zombie does not."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["KILL", "ABRT", "SEGV", "QUIT", "HUP", "BUS"])
def test_after_a_killed_conductor_its_workers_end_within_five_seconds(tmp_path, name):
    process, family = stuck(tmp_path)
    assert len(family) >= 5
    os.kill(process.pid, signal.Signals[f"SIG{name}"])  # nobody waits for it: it stays a zombie
    others = [each for each in family if each.pid != process.pid]
    assert not gone(others, 5)
    process.wait()


@pytest.mark.slow
def test_after_a_lost_manager_its_workers_end_within_five_seconds(tmp_path):
    process, family = stuck(tmp_path)
    started = [int(line.split()[2]) for line in (tmp_path / "ledger.txt").read_text().splitlines()]
    notebooks = [psutil.Process(pid) for pid in started]
    workers = [each.parent() for each in notebooks]
    manager = workers[0].parent()
    manager.kill()
    assert not gone([*workers, *notebooks], 5)
    os.kill(process.pid, signal.SIGINT)
    process.wait(60)


class Order:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.mark.slow
def test_the_messenger_of_a_local_run_refuses_strangers(tmp_path):
    import zmq

    slow = {"01_ingest": "import time; time.sleep(6)\n" + CODE["01_ingest"]}
    root = repository(tmp_path, n_shards=0, code=CODE | slow)
    command = small_run.command(root, "--only", "01")
    process = subprocess.Popen(
        command, cwd=root, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    ports = []
    end = time.time() + 30
    while time.time() < end and not ports:
        time.sleep(0.1)
        for child in psutil.Process(process.pid).children(recursive=True):
            if "interchange" in " ".join(child.cmdline()):
                kept = child.net_connections()
                ports = [one.laddr.port for one in kept if one.status == psutil.CONN_LISTEN]
    assert ports
    context = zmq.Context()
    for port in ports:
        for kind in (zmq.DEALER, zmq.REQ, zmq.PUSH):
            with context.socket(kind) as stranger:
                stranger.linger = 500
                stranger.connect(f"tcp://127.0.0.1:{port}")
                stranger.send(pickle.dumps(Order(tmp_path / "executed")), zmq.NOBLOCK)
                time.sleep(0.2)
    process.communicate(timeout=100)
    context.term()
    assert process.returncode == 0 and not (tmp_path / "executed").exists()
