"""How papermill is told to start and to watch a kernel."""

import logging
import os
import shutil
import sys
import tempfile

# An optional part of the notebook format's checker that takes two seconds to import and checks nothing we use.
sys.modules.setdefault("rfc3987_syntax", None)

from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402
from papermill.log import logger  # noqa: E402
from traitlets import default  # noqa: E402

ENGINE = "compendium"


class IPCKernelManager(AsyncKernelManager):
    """A kernel over Unix sockets in a private folder; the folder also keeps it from the user's own IPython settings."""

    transport = "ipc"
    # ipykernel's threads may block each other at shutdown; half of this [s] is waited for in vain (5 by default).
    shutdown_wait_time = 2.0

    @default("ip")
    def _socket_path(self):
        # The default, ./kernel-ipc-N, is shared by all kernels of a folder; a short name, as sockets allow 107 bytes.
        self.folder = tempfile.mkdtemp(prefix="k-", dir=os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
        return os.path.join(self.folder, "s")

    def format_kernel_cmd(self, extra_arguments=None):
        extra = ["--IPKernelApp.extra_extensions=lib.run.journal", "--HistoryManager.enabled=False"]
        return super().format_kernel_cmd(
            [*(extra_arguments or []), *extra, f"--ipython-dir={self.folder}"]
        )

    async def _async_cleanup_resources(self, restart=False):
        await super()._async_cleanup_resources(restart)
        if not restart and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources


class ProgressEngine(NBClientEngine):
    """papermill's engine, reporting each cell as it starts."""

    report = staticmethod(lambda index, n_cells, cell: None)

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, **kwargs):
        begin = nb_man.cell_start

        def cell_start(cell, cell_index=None, **more):
            cls.report(cell_index, len(nb_man.nb.cells), cell)
            return begin(cell, cell_index=cell_index, **more)

        nb_man.cell_start = cell_start
        return super().execute_managed_notebook(nb_man, kernel_name, **kwargs)


papermill_engines.register(ENGINE, ProgressEngine)


def log_to(stream, title):
    """Send papermill's log, cell outputs included, to a stream with the time of each line."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    logger.info("=== %s", title)
