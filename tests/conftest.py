"""Fixtures that several test modules share."""

import pytest
from small_run import copy_of_repository, smoke


@pytest.fixture(scope="session")
def local_smoke(tmp_path_factory):
    """The smoke profile of the real notebooks, run once on this machine; its folder and the completed process."""
    root = copy_of_repository(tmp_path_factory.mktemp("smoke") / "repository")
    return root, smoke(root)
