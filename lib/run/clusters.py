"""Workers to run notebooks on, through Parsl: processes of this machine, or blocks of nodes that a scheduler grants."""

import inspect
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Literal

from pydantic import Field

from lib import files
from lib.run import keys, notebook
from lib.run.profiles import ProfileError, Strict, read

# Parsl's names for the two blanks of a cluster file, and a command that succeeds only where the queue exists.
BLANKS = {
    "SlurmProvider": ("account", "partition", ["scontrol", "show", "partition", "{queue}"]),
    "LSFProvider": ("project", "queue", ["bqueues", "{queue}"]),
    "PBSProProvider": ("account", "queue", ["qstat", "-Q", "{queue}"]),
    "KubernetesProvider": ("namespace", "image", ["kubectl", "get", "namespace", "{account}"]),
}
MARGIN = 60  # seconds of a block's walltime kept for starting workers and writing the last files
HEARTBEAT = 5, 30  # seconds between signs of life of a block, and until it counts as lost
LONGEST_STOP = 30  # seconds that stopping the workers may take


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
    shard_minutes: float = Field(
        30, gt=0
    )  # the longest notebook; none is started with less left of the walltime
    address: str = (
        ""  # of the machine that runs the conductor; blank = every address it has is tried
    )
    launcher: Literal[
        "SimpleLauncher", "SingleNodeLauncher", "SrunLauncher", "JsrunLauncher", "MpiExecLauncher"
    ]
    launcher_options: dict = {}
    worker_init: str = ""  # shell lines before the workers start: modules, scratch folders
    options: dict = {}  # further arguments of Parsl's provider

    @property
    def seconds(self):
        """Walltime of a block [s]; Kubernetes has none."""
        hours, minutes, seconds = map(int, self.walltime.split(":"))
        return hours * 3600 + minutes * 60 + seconds


def cluster_names(folder):
    """Clusters there are files for."""
    return sorted(p.stem for p in Path(folder).glob("*.yml"))


def load_cluster(name, folder):
    """Read and check one cluster file, as far as that is possible without its scheduler.

    Raises
    ------
    ProfileError
        For an unknown cluster, unknown keys or provider options, a walltime no shard fits in.
    """
    if name not in cluster_names(folder):
        raise ProfileError(
            f"there is no cluster {name!r}; choose one of {', '.join(cluster_names(folder))}"
        )
    path = Path(folder) / f"{name}.yml"
    cluster = read(path, Cluster)
    if cluster.shard_minutes * 60 + MARGIN > cluster.seconds:
        raise ProfileError(
            f"{path.name}: a walltime of {cluster.walltime} leaves no room for a shard of {cluster.shard_minutes:g} "
            f"minutes and {MARGIN} s to start and stop; raise walltime or lower shard_minutes"
        )
    known = inspect.signature(provider_class(cluster)).parameters
    unknown = sorted(provider_options(cluster, Path(".")).keys() - known)
    if unknown:
        raise ProfileError(
            f"{path.name}: {cluster.provider} has no option {unknown}; it has {sorted(known)}"
        )
    return cluster


def check_site(name, cluster):
    """Ask the scheduler whether the queue exists, before anything starts.

    Raises
    ------
    ProfileError
        If a blank is still blank, the scheduler's commands are not here, or it does not know the queue.
    """
    blanks = [field for field in ("account", "queue") if not getattr(cluster, field)]
    if blanks:
        raise ProfileError(
            f"profiles/clusters/{name}.yml: {' and '.join(blanks)} left blank; write your site's there"
        )
    command = [
        word.format(queue=cluster.queue, account=cluster.account)
        for word in BLANKS[cluster.provider][2]
    ]
    if not shutil.which(command[0]):
        raise ProfileError(
            f"cluster {name!r} needs the command {command[0]!r}; run this on a login node of the cluster"
        )
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if answer.returncode:
        said = " ".join((answer.stderr or answer.stdout).split())
        raise ProfileError(
            f"cluster {name!r} does not know {command[-1]!r}: {said}; see profiles/clusters/{name}.yml"
        )


def provider_class(cluster):
    import parsl.providers
    from parsl.providers.kubernetes.kube import KubernetesProvider

    if cluster.provider == "KubernetesProvider":
        return KubernetesProvider
    return getattr(parsl.providers, cluster.provider)


def provider_options(cluster, root):
    """Arguments of Parsl's provider for a cluster file."""
    account, queue, _ = BLANKS[cluster.provider]
    options = {queue: cluster.queue, "nodes_per_block": cluster.nodes_per_block}
    options |= {account: cluster.account} if cluster.account != "none" else {}
    options |= {"init_blocks": 1, "min_blocks": 0, "max_blocks": cluster.max_blocks}
    options["worker_init"] = f"{cluster.worker_init}\n{worker_start(root)}"
    if cluster.provider != "KubernetesProvider":
        options |= {"walltime": cluster.walltime, "launcher": launcher(cluster)}
    volumes = cluster.options.get("persistent_volumes")
    return (
        options
        | cluster.options
        | ({"persistent_volumes": [tuple(v) for v in volumes]} if volumes else {})
    )


def worker_start(root):
    """Shell lines that give a worker this environment; the repository must be on a file system that all nodes share."""
    programs, library = Path(sys.executable).parent, keys.LIB.parent
    return f'cd "{root}"\nexport PATH="{programs}:$PATH"\nexport PYTHONPATH="{library}:$PYTHONPATH"'


def launcher(cluster):
    import parsl.launchers

    return getattr(parsl.launchers, cluster.launcher)(**cluster.launcher_options)


def cluster_executor(cluster, root):
    """Parsl's executor for a cluster file.

    No `available_accelerators`: Parsl would number the devices from 0 in each block, over the scheduler's choice. The
    worker picks its own (see runner.accelerator).
    """
    provider = provider_class(cluster)(**provider_options(cluster, root))
    drain = None
    if cluster.provider != "KubernetesProvider":
        drain = int(cluster.seconds - MARGIN - cluster.shard_minutes * 60)
    return _executor(
        provider, cluster.workers_per_node, cluster.address or None, drain_period=drain
    )


def local_executor(workers):
    """Parsl's executor for this machine: one block, and a new one should it be lost."""
    from parsl.providers import LocalProvider

    return _executor(
        LocalProvider(init_blocks=1, min_blocks=1, max_blocks=1),
        workers,
        "127.0.0.1",
        encrypted=False,
    )


def _executor(provider, workers, address, **options):
    from parsl.executors import HighThroughputExecutor
    from parsl.jobs.error_handlers import windowed_error_handler

    if shutil.which(
        "setpriv"
    ):  # a killed conductor must not leave its messenger, and so its workers, behind
        options["interchange_launch_cmd"] = ["setpriv", "--pdeathsig", "KILL", "interchange.py"]
    return HighThroughputExecutor(
        label="notebooks",
        provider=provider,
        address=address,
        max_workers_per_node=workers,
        cores_per_worker=1e-6,  # the number of workers is ours to choose, not a matter of cores
        heartbeat_period=HEARTBEAT[0],
        heartbeat_threshold=HEARTBEAT[1],
        block_error_handler=windowed_error_handler,  # the default gives everything up when the only block is lost
        **options,
    )


class ParslPool:
    """Workers of one Parsl executor; nothing is started before the first notebook is due.

    Parameters
    ----------
    make_executor : callable
        Makes the executor; called again when it has to be replaced.
    slots : int
        Notebooks at a time, at most.
    threads, all_threads : int
        CPU threads of a notebook beside others, and of one that runs alone.
    log_dir : Path
        Where Parsl keeps its own logs.
    """

    def __init__(self, make_executor, slots, threads, all_threads, log_dir):
        self.make_executor, self.slots, self.log_dir = make_executor, slots, Path(log_dir)
        self._threads, self.kernel = (threads, all_threads), None

    @classmethod
    def local(cls, workers, threads, log_dir):
        """Workers on this machine, the cores divided among them unless `threads` says otherwise."""
        cores = files.processors()
        return cls(
            lambda: local_executor(workers),
            workers,
            threads or max(1, cores // workers),
            cores,
            log_dir,
        )

    @classmethod
    def cluster(cls, cluster, root, log_dir):
        """Workers on the nodes of a cluster."""
        slots = cluster.max_blocks * cluster.nodes_per_block * cluster.workers_per_node
        together = cluster.threads * cluster.workers_per_node
        return cls(
            lambda: cluster_executor(cluster, root), slots, cluster.threads, together, log_dir
        )

    def threads(self, alone):
        """CPU threads of one notebook."""
        return self._threads[bool(alone)]

    def start(self):
        import parsl
        from parsl.config import Config
        from parsl.dataflow.dflow import DataFlowKernel

        self._forget_old_logs()
        # Parsl's own programs, and in workers and kernels the very library that the content keys are made of
        for name, folder in (
            ("PATH", Path(sys.executable).parent),
            ("PYTHONPATH", keys.LIB.parent),
        ):
            os.environ[name] = os.pathsep.join(filter(None, [str(folder), os.environ.get(name)]))
        self.executor = self.make_executor()
        quiet = {"usage_tracking": 0, "initialize_logging": False}
        config = Config(
            [self.executor],
            run_dir=str(self.log_dir),
            strategy="simple",
            strategy_period=1,
            **quiet,
        )
        before = signal.signal(
            signal.SIGINT, signal.SIG_IGN
        )  # a Ctrl-C is for us to act on, not for them
        try:
            self.kernel = DataFlowKernel(config)
        finally:
            signal.signal(signal.SIGINT, before)
        self.app = parsl.python_app(notebook.run, data_flow_kernel=self.kernel)

    def _forget_old_logs(self, keep=4):
        for old in sorted(self.log_dir.glob("[0-9]*"))[:-keep]:
            shutil.rmtree(old, ignore_errors=True)

    def submit(self, job):
        """Hand a notebook to a worker; returns a future of `runner.run`."""
        if not self.kernel:
            self.start()
        return self.app(job)

    def broken(self):
        """Whether the process between us and the workers is gone, so that no answer will ever come."""
        return bool(self.kernel) and self.executor.interchange_proc.poll() is not None

    def close(self):
        """Stop the workers and what they run; a later `submit` starts new ones."""
        kernel, broken = self.kernel, self.broken()
        self.kernel = None
        if not kernel:
            return
        if (
            broken
        ):  # its polite way asks the dead process for the list of blocks, and waits for ever
            self.executor.provider.cancel(list(self.executor.blocks_to_job_id.values()))
            self.executor.set_bad_state_and_fail_all(
                RuntimeError("the process that spoke to the workers died")
            )
        end = threading.Thread(target=kernel.cleanup, daemon=True)
        end.start()
        end.join(LONGEST_STOP)
