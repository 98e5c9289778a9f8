"""CTRP: ten tables become one; experiments listed twice count once."""

import numpy as np
import pytest
from release_files import as_contract, ctrp_archive

from lib.screens import (
    ctrp,
)
from lib.tables import TableError


def test_ctrp_counts_a_repeated_experiment_id_once_and_keeps_replicates(tmp_path):
    path = ctrp_archive(tmp_path / "CTRPv2.zip")
    frame = ctrp.read_responses(path)
    assert len(as_contract(frame)) == 4 and frame.curve_id.nunique() == 2
    np.testing.assert_allclose(frame.dose, [5, 6 - np.log10(5)] * 2)
    assert set(frame.cell_name) == {"22RV1"} and set(frame.assay) == {"CTRPv2"}
    assert ctrp.read_drugs(path).smiles.tolist() == ["CC"]
    assert ctrp.read_cells(path).tissue.tolist() == ["prostate"]
    assert [p.name for p in tmp_path.iterdir()] == ["CTRPv2.zip"]  # nothing unpacked stays


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            dict(experiments="experiment_id\tmaster_ccl_id\n1\t3\n1\t4\n2\t3\n"),
            r"experiment_id 1 is described twice, and differently: \[\(1, 3\), \(1, 4\)\]",
        ),
        (
            dict(experiments="experiment_id\tmaster_ccl_id\n1\t3\n"),
            "experiment_id 2 is not in the table",
        ),
        (dict(lines="master_ccl_id\tccl_name\n4\tX\n"), "master_ccl_id 3 is not in the table"),
        (dict(compounds="master_cpd_id\tcpd_name\n8\tX\n"), "master_cpd_id 7 is not in the table"),
        (
            dict(compounds="master_cpd_id\tcpd_name\n7\tX\n7\tY\n"),
            "master_cpd_id 7 is described twice, and differently",
        ),
        (
            dict(doses="experiment_id,cpd_conc_umol,cpd_avg_pv,master_cpd_id\n1,10,0.5,7\n"),
            "separated by ','.*by '\\\\t'",
        ),
        (
            dict(
                doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t1e-8\t0.5\t7\n"
            ),
            "line 2: column 'cpd_conc_umol'",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t98\t7\n"),
            "found 98; a fraction of the control",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t0,5\t7\n"),
            "decimal comma",
        ),
        (
            dict(
                doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1\t10\t.5\t7\n1\t10\t.6\t7\n"
            ),
            "2 different readings",
        ),
        (
            dict(doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n1.5\t10\t.5\t7\n"),
            "must be a whole number, found '1.5'",
        ),
    ],
)
def test_broken_ctrp_tables_are_named(tmp_path, changes, says):
    with pytest.raises(TableError, match=says):
        ctrp.read_responses(ctrp_archive(tmp_path / "CTRPv2.zip", **changes))
