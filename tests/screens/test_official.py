"""The official data set: gaps named, names of two lines settled, structures borrowed."""

import shutil
import zipfile

import pandas as pd
import pytest
from release_files import CCLE_FILE, DATA, ctrp_archive, write

from lib import tables
from lib.screens import (
    ccle,
    ctrp,
    gdsc,
    harmonise,
    official,
)
from lib.screens import lines as screen_lines
from lib.tables import TableError


def test_every_file_of_a_study_has_its_reader():
    assert tuple(official.READERS) == tables.STUDIES
    for study, module in official.READERS.items():
        assert module.STUDY == study and "responses" in module.FILES
        for name in module.FILES:
            assert callable(getattr(module, f"read_{name}")) and name in official.TABLES


def test_a_release_that_is_not_whole_is_read_and_its_gaps_are_named(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    write(tmp_path / "NCI-60" / "DOSERESP.zip", "broken")
    bundle = official.load(tmp_path)
    assert set(bundle.responses.study) == {"CCLE"} and len(bundle.responses) == 479
    gaps = bundle.responses.attrs["gaps"]
    said = {(study, table): reason for study, table, reason in gaps}
    assert (
        "cut or damaged" in said["NCI-60", "responses"]
        and "is missing" in said["GDSC", "expression"]
    )
    with pytest.raises(TableError, match="no study's doses could be read"):
        official.load(tmp_path / "nothing")


def test_a_name_of_two_lines_is_no_alias_of_either(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    header = "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID\n"
    rows = "SIDM1,MS-1,Lung,x,11,ACH-1,,CVCL_1\nSIDM2,MS-1,Skin,x,12,ACH-2,,CVCL_2\nSIDM3,A,Skin,x,13,ACH-3,,CVCL_3\n"
    write(tmp_path / "GDSC" / gdsc.FILES["cells"], header + rows)
    aliases = official.load(tmp_path).aliases
    in_study = aliases[(aliases.study == "GDSC") & aliases.cell_name.isin(["A", "MS-1"])]
    assert in_study.cell_name.tolist() == ["A"]
    assert aliases.attrs["ambiguous"] == [("GDSC", "MS-1")]
    by_id = aliases[aliases.study == "profile:GDSC"].set_index("cell_name").depmap_id
    assert by_id["11"] == by_id["SIDM1"] == "ACH-1" and by_id["12"] == "ACH-2"


def test_a_name_of_two_lines_is_ambiguous_in_every_study_that_has_it_without_an_id(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    header = "model_id,model_name,tissue,cancer_type,COSMIC_ID,BROAD_ID,CCLE_ID,RRID\n"
    rows = "SIDM1,Xyz-1,Lung,x,11,ACH-1,,CVCL_1\nSIDM2,Xyz-1,Skin,x,12,ACH-2,,CVCL_2\n"
    write(tmp_path / "GDSC" / gdsc.FILES["cells"], header + rows)
    known = screen_lines.link(official.load(tmp_path).aliases)
    asked = pd.DataFrame(dict(study=["GDSC", "gCSI"], cell_name="Xyz-1"))
    assert set(screen_lines.resolve_names(asked, known).rule) == {"ambiguous name"}


def test_names_without_ids_in_a_release_meet_the_shipped_alias_table_and_structures(tmp_path):
    ctrp_archive(tmp_path / "CTRP" / ctrp.ARCHIVE)
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    bundle = official.load(tmp_path)
    smiles = bundle.smiles[bundle.smiles.study == "CCLE"]
    assert smiles.smiles.notna().all() and len(smiles)  # the release of CCLE has no structures
    made = harmonise.harmonise(bundle)
    lines = made["cell_names"].query("study == 'CCLE'")
    assert lines.cell_id.str.startswith("ACH-").all()
    ctrp_line = made["cell_names"].query("study == 'CTRP'").iloc[0]
    assert (ctrp_line.cell_name, ctrp_line.rule) == (
        "22RV1",
        "alias table",
    ) and ctrp_line.cell_id == "ACH-000956"
    given = set(bundle.responses.curve_id) - set(made["repeats"].curve_id)
    lost = bundle.responses.merge(
        made["refused"].query("smiles_drawn.isna()", engine="python"), on=["study", "drug_name"]
    )
    assert set(made["responses"].curve_id) == given - set(lost.curve_id)
    rows = tables.check(
        made["responses"], tables.RESPONSES
    )  # text stays coded: a release of 24 million rows must fit
    text = ["study", "assay", "curve_id", "cell_id", "drug_id", "endpoint", "file"]
    assert all(isinstance(rows[name].dtype, pd.CategoricalDtype) for name in text)
    gaps = harmonise.left_out(bundle)
    assert {"GDSC responses", "CCLE expression"} <= set(gaps[gaps.what == "table"]["where"])


SILENT_TOO = (
    "ModelID,HugoSymbol,VariantInfo,VariantType,ProteinChange\n"
    "ACH-1,TP53,MISSENSE,SNP,p.R1H\nACH-1,TP53,SILENT,SNP,p.R2R\nACH-1,,SILENT,SNP,\n"
    "ACH-2,KRAS,FRAME_SHIFT_DEL,DEL,p.G3fs\nACH-2,KRAS,START_CODON_SNP,SNP,p.M1I\n"
)
PASSPORTS = (
    "gene_symbol,model_id,protein_mutation,rna_mutation,cdna_mutation,effect\n"
    "TP53,SIDM1,p.R1H,r.1,c.3G>A,missense\nTP53,SIDM1,p.R2R,r.2,c.6G>A,silent\n"
)


def test_a_silent_variant_is_counted_in_no_release_and_named_as_left_out(tmp_path):
    shutil.copy(DATA / CCLE_FILE, write(tmp_path / "CCLE" / "x", "").parent / CCLE_FILE)
    write(tmp_path / "CCLE" / ccle.FILES["mutations"], SILENT_TOO)
    with zipfile.ZipFile(write(tmp_path / "GDSC" / gdsc.FILES["mutations"], ""), "w") as archive:
        archive.writestr("mutations_all_20230202.csv", PASSPORTS)
    bundle = official.load(tmp_path)
    of_ccle = bundle.mutations["CCLE"].set_index("cell_name")
    assert of_ccle.loc["ACH-1"].to_dict() == {"KRAS": 0, "TP53": 1}
    assert of_ccle.loc["ACH-2"].to_dict() == {"KRAS": 2, "TP53": 0}
    assert bundle.mutations["GDSC"].set_index("cell_name").loc["SIDM1", "TP53"] == 1
    assert bundle.scales["mutations_GDSC"] == (
        "count of protein changes (Missense_Mutation; every variant type)"
    )
    left = harmonise.left_out(bundle).set_index(["where", "reason"])["rows"]
    assert left["OmicsSomaticMutations", "variant class Silent"] == 1
    assert left["OmicsSomaticMutations", "no gene symbol"] == 1
    assert left["mutations_all_20230202", "variant class Silent"] == 1
