import shutil

import made_screen
import pytest


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with `work` and `model`, made once; do not change it."""
    folder = tmp_path_factory.mktemp("screen")
    made_screen.model_folder(folder)
    return folder


@pytest.fixture
def copied(made, tmp_path):
    """A copy of the model folder that a test may damage."""
    return shutil.copytree(made / "model", tmp_path / "model")
