"""Files in the layout of the official releases, for the tests of their readers.

Rows written in this file are made up to test a layout; those of `tests/data` are real (see its
README).
"""

import importlib.util
import io
import tarfile
import zipfile

import pytest

from lib import tables
from lib.paths import ROOT
from lib.screens import (
    gdsc,
)

DATA = ROOT / "tests" / "data"
SHARED = ROOT.parent / "shared" / "data" / "real"
CCLE_FILE = "CCLE_NP24.2009_Drug_data_2015.02.24.csv"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def as_contract(frame):
    """Readers' rows under their own names must keep the contract once a line and a molecule are
    given.
    """
    named = frame.rename(columns=dict(cell_name="cell_id", drug_name="drug_id"))
    return tables.check(named[list(tables.RESPONSES.columns)], tables.RESPONSES)


OLD_MAF = (
    "Hugo_Symbol\tNCBI_Build\tVariant_Classification\tVariant_Type\tTumor_Sample_Barcode\tProtein_Change\n"
    "TP53\t37\tMissense_Mutation\tSNP\tA_LUNG\tp.R1H\nTP53\t37\tSilent\tSNP\tA_LUNG\tp.R2R\n"
    "KRAS\t37\tFrame_Shift_Del\tDEL\tB_SKIN\tp.G3fs\n"
)


WELLS = list(gdsc.WELLS.columns)


def wells(rows):
    """CSV of made-up wells: (scan, tag, drug id, µM, intensity), position counted up unless given."""
    lines = [",".join(WELLS)]
    for i, (scan, tag, drug, um, signal, *position) in enumerate(rows):
        lines.append(f"{scan},{scan},A,{position[0] if position else i},{tag},{drug},{um},{signal}")
    return "\n".join(lines) + "\n"


PLATE = [
    ("s1", "B", "", "", 10),
    ("s1", "NC-0", "", "", 110),
    ("s1", "NC-1", "", "", 210),
    ("s1", "L1-D1-S", 1, 4, 60),
    ("s1", "L1-D2-S", 1, 2, 110),
]


def ctrp_archive(path, **changes):
    """The release's zip archive at the path, with made-up tables or the changed ones."""
    texts = dict(
        doses="experiment_id\tcpd_conc_umol\tcpd_avg_pv\tmaster_cpd_id\n"
        "1\t10\t0.5\t7\n1\t5\t0.9\t7\n2\t10\t0.6\t7\n2\t5\t1\t7\n",
        experiments="experiment_id\trun_date\tmaster_ccl_id\n"
        "1\t20120501\t3\n1\t20120502\t3\n2\t20120503\t3\n",
        lines="master_ccl_id\tccl_name\tccle_primary_site\tccle_primary_hist\n"
        "3\t22RV1\tprostate\tcarcinoma\n",
        compounds="master_cpd_id\tcpd_name\ttop_test_conc_umol\tcpd_smiles\n7\tparthenolide\t66\tCC\n",
    )
    names = dict(
        doses="data.per_cpd_post_qc",
        experiments="meta.per_experiment",
        lines="meta.per_cell_line",
        compounds="meta.per_compound",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (texts | changes).items():
            archive.writestr(f"CTRPv2/v20.{names[name]}.txt", text)
    return path


GCSI = (
    "DrugName\tCellLineName\tPrimaryTissue\tExperimentNumber\tTrtDuration\tdoublingtime\tlog10Concentration\tGR\t"
    "relative_cell_count\tactivities.mean\tactivities.std\tNorm_CellLineName\tNorm_DrugName\n"
    "Gemcitabine.1\t1321N1\tBrain\t2c\t72\t40\t-6\t0.5\t0.61\t1\t1\t1321N1\tGemcitabine\n"
    "Gemcitabine.1\t1321N1\tBrain\t2c\t72\t40\t-7\t0.9\t0.95\t1\t1\t1321N1\tGemcitabine\n"
)


def gcsi_archive(path, text=GCSI):
    with tarfile.open(path, "w:gz") as archive:
        for name, body in (
            ("OUTPUT/gCSI_GRvalues_v1.3.tsv", text),
            ("OUTPUT/gCSI_GRmetrics_v1.3.tsv", "DrugName\n"),
        ):
            info = tarfile.TarInfo(name)
            info.size = len(body.encode())
            archive.addfile(info, io.BytesIO(body.encode()))
    return path


DOSERESP = (
    "RELEASE_DATE,EXPID,PREFIX,NSC,CONCENTRATION_UNIT,LOG_HI_CONCENTRATION,CONCENTRATION,PANEL_NUMBER,CELL_NUMBER,"
    "PANEL_NAME,CELL_NAME,PANEL_CODE,COUNT_GIPRCNT,AVERAGE_GIPRCNT,STDDEV_GIPRCNT,COUNT_PTC,AVERAGE_PTC,STDDEV_PTC\n"
    "20241001,0101AB01,S,740,M,-4,-4,1,3,Lung,A549/ATCC,LNS,1,-100,0,1,0.5,0\n"
    "20241001,0101AB01,S,740,M,-4,-5,1,3,Lung,A549/ATCC,LNS,1,0,0,1,20.5,\n"
    "20241001,0101AB01,S,740,M,-4,-6,1,3,Lung,A549/ATCC,LNS,1,100,0,1,,\n"
    "20241001,0101AB01,S,740,u,2.6021,1.6021,1,3,Lung,A549/ATCC,LNS,1,30,0,1,40,0\n"
    "20241001,0101AB01,S,741,V,1.5,1,1,3,Lung,A549/ATCC,LNS,1,30,0,1,40,0\n"
    "20241001,0101AB01,S,740,M,-4,-7,1,3,Lung,A549/ATCC,LNS,0,,0,1,40,0\n"
)


workbooks = pytest.mark.skipif(
    importlib.util.find_spec("python_calamine") is None, reason="python-calamine is missing"
)


def shared(test):
    """A test that compares with the measurement folder."""
    missing = not SHARED.exists()
    skip = pytest.mark.skipif(missing, reason="the measurement folder is not here")
    return pytest.mark.shared(skip(test))
