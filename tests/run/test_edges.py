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
from small_run import CODE, begun, family, repository, run, survivors, sweep_command

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
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONUNBUFFERED", None)  # what is left to write at the end counts too
    for reader in ("true", "head -1"):
        command = f"{driver} | {reader}"
        ended = subprocess.run(
            command, shell=True, cwd=root, env=environment, capture_output=True, text=True
        )
        assert ended.stderr == "" and ended.stdout.count("\n") == (reader != "true")


def stuck(root):
    """A run whose only worker is in the middle of a notebook; no lost heartbeat would end it."""
    (root / "faults").mkdir(parents=True)
    command = sweep_command(root, n_shards=1, workers=1, seconds=600, heartbeat=(5, 3600))
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        command,
        cwd=root,
        stdout=nowhere,
        stderr=nowhere,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # deaf below nohup
    )


@pytest.mark.slow
def test_after_a_killed_conductor_its_workers_end_at_once(tmp_path):
    roots = {name: tmp_path / name for name in ("KILL", "SEGV", "HUP")}
    processes = {name: stuck(root) for name, root in roots.items()}
    families = {}
    for name, process in processes.items():
        begun(roots[name], 1)
        families[name] = [each for each in family(roots[name]) if each.pid != process.pid]
        assert len(families[name]) >= 4
    for name, process in processes.items():  # nobody waits for it: it stays a zombie
        os.kill(process.pid, signal.Signals[f"SIG{name}"])
    for name, process in processes.items():
        assert not survivors(families[name], 5), name
        process.wait()


STARTED = {
    "a fork": "import os, time\nif os.fork() == 0:\n    time.sleep(600)",
    "a program": "import subprocess; subprocess.Popen(['sleep', '600'])",
    "a pool": "import multiprocessing, time\n"
    "pool = multiprocessing.get_context('fork').Pool(2)\npool.map_async(time.sleep, [600, 600])",
    "a program that hears no signal": "import subprocess\n"
    "subprocess.Popen(['sh', '-c', 'trap \"\" HUP INT TERM; while :; do sleep 1; done'])",
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", STARTED)
def test_after_a_killed_conductor_what_a_notebook_started_ends_too(tmp_path, kind):
    body = f"{STARTED[kind]}\n(work / 'begun').write_text('x')\nimport time; time.sleep(600)"
    root = repository(tmp_path, n_shards=0, code=CODE | {"01_ingest": body})
    process = subprocess.Popen(
        small_run.command(root, "--only", "01"),
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    end = time.time() + 60
    while time.time() < end and not (root / "data/processed/demo/begun").exists():
        time.sleep(0.1)
    kernels = [one for one in psutil.process_iter() if str(root) in environment(one)]
    started = {each.pid: each for one in kernels for each in one.children(recursive=True)}
    assert len(started) > 1
    process.kill()
    process.wait()
    assert not survivors(list(started.values()), 5)


def environment(process):
    """What tells the processes of a run from all others."""
    try:
        return process.environ().get("RUN_JOURNAL", "")
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_after_a_lost_manager_its_workers_end_at_once(tmp_path):
    process = stuck(tmp_path / "run")
    begun(tmp_path / "run", 1)
    notebook = psutil.Process(int((tmp_path / "run/ledger.txt").read_text().split()[2]))
    worker = notebook.parent()
    worker.parent().kill()
    assert not survivors([worker, notebook])
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
