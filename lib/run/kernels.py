"""How papermill starts a kernel, and where it logs; imported once per worker."""

import logging
import os
import shutil
import sys
import tempfile

# An optional part of the notebook format's checker: two seconds to import, checks nothing we use.
sys.modules.setdefault("rfc3987_syntax", None)

from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from papermill.log import logger  # noqa: E402
from traitlets import default  # noqa: E402

SOCKETS = "/tmp"  # on every node, and short: the path of a socket has at most 107 bytes


class IPCKernelManager(AsyncKernelManager):
    """A kernel over Unix sockets in a private folder.

    The folder also keeps the kernel from the user's own IPython settings.
    """

    transport = "ipc"
    # ipykernel's threads may block each other at shutdown; half of this [s] is waited for in vain
    # (5 by default).
    shutdown_wait_time = 2.0

    @default("ip")
    def _socket_path(self):
        # The default, ./kernel-ipc-N, is shared by all kernels of a folder.
        self.folder = tempfile.mkdtemp(prefix="k-", dir=SOCKETS)
        self.connection_file = os.path.join(self.folder, "kernel.json")
        return os.path.join(self.folder, "s")

    def format_kernel_cmd(self, extra_arguments=None):
        return super().format_kernel_cmd(
            [
                *(extra_arguments or []),
                "--IPKernelApp.extra_extensions=lib.run.journal",
                "--HistoryManager.enabled=False",
                f"--ipython-dir={self.folder}",
            ]
        )

    async def _async_cleanup_resources(self, restart=False):
        await super()._async_cleanup_resources(restart)
        if not restart and hasattr(self, "folder"):
            shutil.rmtree(self.folder, ignore_errors=True)

    cleanup_resources = _async_cleanup_resources


def log_to(stream, title):
    """Send papermill's log, cell outputs included, to a stream with the time of each line."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.handlers = [handler]
    logger.propagate = False
    logger.disabled = False  # a library that configures logging disables what was there before
    logger.setLevel(logging.INFO)
    logger.info("=== %s", title)
