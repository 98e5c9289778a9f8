"""Workers to run notebooks on, through Parsl.

They are processes of this machine, or blocks of nodes that a scheduler grants.
"""

import functools
import inspect
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import parsl
import parsl.launchers
import parsl.providers
import typeguard
from parsl.config import Config
from parsl.dataflow.dflow import DataFlowKernel
from parsl.executors import HighThroughputExecutor
from parsl.jobs.error_handlers import windowed_error_handler
from parsl.providers import LocalProvider
from parsl.providers.kubernetes.kube import KubernetesProvider
from pydantic import Field

from lib import files
from lib.run import keys, notebook
from lib.run.profiles import ProfileError, Strict, read

# Parsl's names for the two blanks of a cluster file; a command that succeeds only where the queue
# exists.
BLANKS = {
    "SlurmProvider": ("account", "partition", "scontrol show partition {queue}".split()),
    "LSFProvider": ("project", "queue", ["bqueues", "{queue}"]),
    "PBSProProvider": ("account", "queue", ["qstat", "-Q", "{queue}"]),
    "KubernetesProvider": ("namespace", "image", "kubectl get namespace {account}".split()),
}
LOGS = 4  # runs of Parsl whose logs are kept beside those of the new one
MARGIN = 60  # seconds of a block's walltime kept for starting workers and writing the last files
HEARTBEAT = 5, 30  # seconds between signs of life of a block, and until it counts as lost
LONGEST_ANSWER = 60  # seconds that a scheduler may take to say whether a queue exists
LONGEST_STOP = 30  # seconds that stopping the workers may take
# In the shell that starts the workers of a block: as soon as nobody holds the run's lock any more,
# because the conductor was killed, they all end. A node that does not see the lock held at the
# start is on a file system without shared locks: there only the lost heartbeat ends them.
WATCH = (
    "( flock -n -s 9 || {{ while ! flock -n -s 9; do sleep 1; done; kill -KILL 0; }} ) 9<{lock} &"
)
PLAIN = r"[\w/.+-]*"  # the only paths that Parsl's shell lines can hold


class MessengerLost(Exception):
    """Ends what the workers have when the process between us and them is gone."""


class Cluster(Strict):
    """One file of `profiles/clusters/`: how to ask a site's scheduler for blocks of nodes."""

    provider: Literal["SlurmProvider", "LSFProvider", "PBSProProvider", "KubernetesProvider"]
    account: str  # who pays; on Kubernetes the namespace
    queue: str  # where to; on Kubernetes the image that holds this environment
    nodes_per_block: int = Field(1, ge=1)
    workers_per_node: int = Field(1, ge=1)  # one per accelerator
    threads: int = Field(1, ge=1)  # CPU threads of each worker
    max_blocks: int = Field(1, ge=1)
    walltime: str = Field("01:00:00", pattern=r"^\d+:[0-5]\d:[0-5]\d$")  # of a block
    # Of the longest notebook; none is started with less left of the walltime.
    shard_minutes: float = Field(30, gt=0)
    # Of the machine that runs the conductor; blank = every address it has is tried.
    address: str = ""
    launcher: Literal[
        "SimpleLauncher", "SingleNodeLauncher", "SrunLauncher", "JsrunLauncher", "MpiExecLauncher"
    ]
    launcher_options: dict[str, object] = {}
    worker_init: str = ""  # shell lines before the workers start: modules, scratch folders
    options: dict[str, object] = {}  # further arguments of Parsl's provider

    @property
    def starting_seconds(self):
        """Seconds of a block in which a notebook may be started; Kubernetes has no such end."""
        hours, minutes, seconds = map(int, self.walltime.split(":"))
        walltime = hours * 3600 + minutes * 60 + seconds
        return walltime - MARGIN - self.shard_minutes * 60


def load_cluster(name, folder):
    """Read and check one cluster file, as far as that is possible without its scheduler.

    Raises
    ------
    ProfileError
        For an unknown cluster, unknown keys or provider options, a walltime no shard fits in.
    """
    cluster = read("cluster", name, folder, Cluster)
    if cluster.starting_seconds < 0:
        raise ProfileError(
            f"{name}.yml: a walltime of {cluster.walltime} leaves no room for a shard of "
            f"{cluster.shard_minutes:g} minutes and {MARGIN} s to start and stop; raise walltime "
            "or lower shard_minutes"
        )
    launcher = getattr(parsl.launchers, cluster.launcher)
    _check_options(name, cluster.launcher, launcher, cluster.launcher_options)
    given = provider_options(cluster, "", "")
    _check_options(name, cluster.provider, provider_class(cluster), given)
    return cluster


def _check_options(name, what, made, given):
    """Refuse options that a class of Parsl does not take, or not with such values."""
    known = inspect.signature(made).parameters
    unknown = sorted(given.keys() - known)
    if unknown:
        what = f"{name}.yml: {what} has no option {unknown}"
        raise ProfileError(f"{what}; it has {sorted(known)}")
    try:
        made(**given)
    except parsl.errors.OptionalModuleMissing:
        pass  # of Kubernetes: said when it is used
    except (TypeError, ValueError, typeguard.TypeCheckError) as error:
        said = " ".join(str(error).split())
        raise ProfileError(f"{name}.yml: an option of {what} is wrong: {said}") from None


def check_site(name, cluster):
    """Ask the scheduler whether the queue exists, before anything starts.

    Raises
    ------
    ProfileError
        If a blank is still blank, the scheduler's commands are not here, or it does not know the
        queue.
    """
    path = f"profiles/clusters/{name}.yml"
    blanks = [field for field in ("account", "queue") if not getattr(cluster, field)]
    if blanks:
        raise ProfileError(f"{path}: {' and '.join(blanks)} left blank; write your site's there")
    names = {"queue": cluster.queue, "account": cluster.account}
    command = [word.format(**names) for word in BLANKS[cluster.provider][2]]
    if not shutil.which(command[0]):
        what = f"cluster {name!r} needs the command {command[0]!r}"
        raise ProfileError(f"{what}; run this on a login node of the cluster")
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_ANSWER)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ProfileError(f"cluster {name!r}: {error}; ask its staff or try again") from None
    if answer.returncode:
        said = " ".join((answer.stderr or answer.stdout).split())
        what = f"cluster {name!r} does not know {command[-1]!r}: {said}"
        raise ProfileError(f"{what}; see {path}")


def provider_class(cluster):
    """Parsl's class of a provider; that of Kubernetes is not among the others."""
    return getattr(parsl.providers, cluster.provider, KubernetesProvider)


def provider_options(cluster, root, lock):
    """Arguments of Parsl's provider for a cluster file."""
    account, queue, _ = BLANKS[cluster.provider]
    options = {
        queue: cluster.queue,
        "nodes_per_block": cluster.nodes_per_block,
        "init_blocks": 1,
        "min_blocks": 0,
        "max_blocks": cluster.max_blocks,
        "worker_init": f"{cluster.worker_init}\n{worker_start(root)}\n{watch(lock)}",
    }
    if cluster.account != "none":
        options[account] = cluster.account
    if cluster.provider != "KubernetesProvider":
        options["walltime"] = cluster.walltime
        launcher = getattr(parsl.launchers, cluster.launcher)
        options["launcher"] = launcher(**cluster.launcher_options)
    options |= cluster.options
    volumes = options.get("persistent_volumes")
    if isinstance(volumes, list):
        options["persistent_volumes"] = [tuple(v) if isinstance(v, list) else v for v in volumes]
    return options


def worker_start(root):
    """Shell lines that give a worker this environment.

    The repository must be on a file system that all nodes share.
    """
    return (
        f"cd {shlex.quote(str(root))}\n"
        f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
        f"export PYTHONPATH={shlex.quote(str(keys.LIB.parent))}:$PYTHONPATH"
    )


def watch(lock):
    """Shell line that ends the workers of a block with the conductor, which holds the lock."""
    return WATCH.format(lock=shlex.quote(str(lock)))


def cluster_executor(cluster, root, lock):
    """Parsl's executor for a cluster file.

    No `available_accelerators`: Parsl would number the devices from 0 in each block, over the
    scheduler's choice. The worker picks its own (see `notebook.accelerator`).
    """
    provider = provider_class(cluster)(**provider_options(cluster, root, lock))
    drain = None
    if cluster.provider != "KubernetesProvider":
        drain = int(cluster.starting_seconds)
    workers = cluster.workers_per_node
    return _executor(provider, workers, address=cluster.address or None, drain_period=drain)


def local_executor(workers, lock):
    """Parsl's executor for this machine: one block, and a new one should it be lost."""
    provider = LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1, worker_init=watch(lock))
    return _executor(provider, workers, address="127.0.0.1")


def _executor(provider, workers, **options):
    if shutil.which("setpriv"):
        # A killed conductor must not leave its messenger, and so its workers, behind.
        options["interchange_launch_cmd"] = "setpriv --pdeathsig KILL interchange.py".split()
    return HighThroughputExecutor(
        label="notebooks",
        provider=provider,
        max_workers_per_node=workers,
        cores_per_worker=1e-6,  # the number of workers is ours to choose, not a matter of cores
        heartbeat_period=HEARTBEAT[0],
        heartbeat_threshold=HEARTBEAT[1],
        # The default gives everything up when the only block is lost.
        block_error_handler=windowed_error_handler,
        **options,
    )


@dataclass
class ParslPool:
    """Workers of one Parsl executor; nothing is started before the first notebook is due."""

    make_executor: object  # called again when the executor has to be replaced
    slots: int  # notebooks at a time, at most
    shared_threads: int  # CPU threads of a notebook beside others
    all_threads: int  # and of one that runs alone
    log_dir: Path  # where Parsl keeps its own logs: `logs/parsl` of the run's results folder
    kernel: object = None  # of Parsl, while there are workers

    @classmethod
    def local(cls, workers, threads, log_dir):
        """Workers on this machine, the cores divided among them where `threads` is 0."""
        cores = files.processors()
        threads = threads or max(1, cores // workers)
        make = functools.partial(local_executor, workers, log_dir.parents[1] / ".lock")
        return cls(make, workers, threads, cores, log_dir)

    @classmethod
    def cluster(cls, cluster, root, log_dir):
        """Workers on the nodes of a cluster."""
        if not re.fullmatch(PLAIN, str(log_dir), re.ASCII):
            what = f"schedulers cannot be given the folder {str(log_dir)!r}"
            raise ProfileError(f"{what}; move it to a path of letters, digits and _ . + -")
        slots = cluster.max_blocks * cluster.nodes_per_block * cluster.workers_per_node
        together = cluster.threads * cluster.workers_per_node
        make = functools.partial(cluster_executor, cluster, root, log_dir.parents[1] / ".lock")
        return cls(make, slots, cluster.threads, together, log_dir)

    def threads(self, alone):
        """CPU threads of one notebook."""
        return self.all_threads if alone else self.shared_threads

    def start(self):
        for old in sorted(self.log_dir.glob("[0-9][0-9][0-9]/submit_scripts"))[:-LOGS]:
            shutil.rmtree(old.parent, ignore_errors=True)
        # Parsl's own programs; in workers and kernels the very library of the content keys.
        first = {"PATH": Path(sys.executable).parent, "PYTHONPATH": keys.LIB.parent}
        for variable, folder in first.items():
            os.environ[variable] = f"{folder}:{os.environ.get(variable, '')}".rstrip(":")
        self.executor = self.make_executor()
        config = Config(
            [self.executor],
            run_dir=plain_path(self.log_dir),
            strategy="simple",
            strategy_period=1,
            usage_tracking=0,
            initialize_logging=False,
        )
        # A Ctrl-C is for us to act on, not for the processes of Parsl.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self.kernel = DataFlowKernel(config)
        finally:
            signal.signal(signal.SIGINT, before)
        self.app = parsl.python_app(notebook.run, data_flow_kernel=self.kernel)

    def submit(self, job):
        """Hand a notebook to a worker; returns a future of `notebook.run`."""
        if not self.kernel:
            self.start()
        return self.app(job)

    def broken(self):
        """Whether the process between us and the workers is gone: no answer will ever come."""
        return bool(self.kernel) and self.executor.interchange_proc.poll() is not None

    def close(self):
        """Stop the workers and what they run; a later `submit` starts new ones."""
        if not self.kernel:
            return
        if self.broken():
            # Parsl would ask the dead process for the list of blocks, and wait for ever.
            self.executor.provider.cancel(list(self.executor.blocks_to_job_id.values()))
            error = MessengerLost("the process that spoke to the workers died")
            self.executor.set_bad_state_and_fail_all(error)
        end = threading.Thread(target=self.kernel.cleanup, daemon=True)
        self.kernel = None
        end.start()
        end.join(LONGEST_STOP)


def plain_path(folder):
    """A path to a folder that a shell can be given: its own, or that of a link to it."""
    if re.fullmatch(PLAIN, str(folder), re.ASCII):
        return str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    link = os.path.join(tempfile.mkdtemp(prefix="run-", dir="/tmp"), "parsl")
    os.symlink(folder, link)
    return link
