"""Fixtures that several test modules share."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from small_run import copy_of_repository, own_screen, real


@pytest.fixture(scope="session")
def local_smoke(tmp_path_factory):
    """The smoke profile of the real notebooks, run once on this machine, each with one thread (on a
    busy machine two wait for one another); its folder and the completed process.
    """
    root = copy_of_repository(tmp_path_factory.mktemp("smoke") / "repository")
    return root, real(root, "smoke", threads=1)


@pytest.fixture(scope="session")
def local_own(tmp_path_factory):
    """The example of an own screen through every notebook, run once on this machine, each notebook
    with one thread; its folder and the completed process.
    """
    root = own_screen(tmp_path_factory.mktemp("own") / "repository")
    return root, real(root, "own", threads=1)


@pytest.fixture
def made():
    """Six fits by hand: a line with two curves, three inactive ones without IC50, one control.

    Two are kept by the filter of the Uno pipeline; one is a bad fit, one has a wide error, one has none.
    """
    return pd.DataFrame(
        dict(
            curve_id=list("abcdef"),
            study="CCLE",
            assay="CCLE",
            cell_id=["l1", "l1", "l2", "l3", "l4", "l5"],
            drug_id="D",
            endpoint="viability",
            auc=[0.2, 0.4, 0.9, 0.95, 1.0, 0.1],
            aac1=[0.8, 0.6, 0.1, 0.05, 0.0, 0.9],
            ic50=[8.0, 7.0, 5.0, 5.0, 5.0, 9.0],
            ic50_censor=["", "", ">", ">", ">", ""],
            r2fit=[0.9, 0.3, 0.29, 0.8, 0.9, 0.99],
            ec50se=[0.1, 3.0, 0.1, 3.01, np.nan, 0.1],
            p_flat=[0.001, 0.01, 0.2, 0.04, 0.5, 0.001],
            control=[False] * 5 + [True],
        )
    )


# Nothing in the suite depends on how fast the machine is at the moment.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
