"""gCSI: log10 molar doses, normalised names, bad rows named."""

import pytest
from release_files import GCSI, as_contract, gcsi_archive, write

from lib.screens import (
    gcsi,
)
from lib.tables import TableError


def test_gcsi_reads_log10_molar_doses_from_its_archive(tmp_path):
    frame = gcsi.read_responses(gcsi_archive(tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz"))
    assert as_contract(frame).dose.tolist() == [6, 7] and frame.growth.tolist() == [0.61, 0.95]
    assert set(frame.drug_name) == {"Gemcitabine"}
    assert set(frame.curve_id) == {"gCSI/gCSI_GRvalues_v1.3/1321N1|Gemcitabine.1|2c"}
    assert gcsi.read_cells(tmp_path / "gCSI_GRdata_v1.3.tsv.tar.gz").tissue.tolist() == ["Brain"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            ("\t-6\t", "\t1\t"),
            "line 2: column 'log10Concentration' must be between -12 and -1, found 1; doses are log10 of M",
        ),
        (("\t0.61\t", "\t61\t"), "found 61; a fraction"),
        (("relative_cell_count", "cell_count"), None),
        (("log10Concentration", "Concentration"), r"\['log10Concentration'\] missing"),
        (("\t-7\t", "\t-6\t"), r"2 different readings \[0.61, 0.95\] at dose 6"),
        (("\t-7\t", "\t\t"), "line 3: column 'log10Concentration' is empty"),
    ],
)
def test_broken_gcsi_rows_are_named(tmp_path, change, says):
    path = write(tmp_path / "gCSI_GRvalues_v1.3.tsv", GCSI.replace(*change, 1))
    with pytest.raises(TableError, match=says or "relative_cell_count"):
        gcsi.read_responses(path)
