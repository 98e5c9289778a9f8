"""Own data: the example folder can be used, and every violation is listed at once with file, line
and remedy.
"""

import shutil

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.paths import ROOT
from lib.screens import harmonise, own
from lib.tables import TableError

EXAMPLE = ROOT / "examples" / "own_screen"


@pytest.fixture
def folder(tmp_path):
    """A folder of two lines, two compounds and eight doses."""
    (tmp_path / "screen.yml").write_text(
        "study: GDSC\nendpoint: viability\nexpression_scale: log2(TPM+1)\nmutations: 0/1 event\n"
    )
    rows = [
        f"{cell},{drug},{dose},{growth}"
        for cell in "AB"
        for drug in ("x", "y")
        for dose, growth in ((6, 0.5), (7, 1))
    ]
    (tmp_path / "responses.csv").write_text(
        "cell_id,drug_id,dose,growth\n" + "\n".join(rows) + "\n"
    )
    (tmp_path / "cells.csv").write_text("cell_id,tissue\nA,Lung\nB,Skin\n")
    (tmp_path / "drugs.csv").write_text("drug_id,smiles\nx,CCO\ny,c1ccccc1\n")
    (tmp_path / "expression.csv").write_text("cell_id,TP53,KRAS\nA,1.5,0\nB,2,3\n")
    (tmp_path / "mutations.csv").write_text("cell_id,TP53\nA,1\nB,\n")
    return tmp_path


def change(folder, name, old, new, count=1):
    path = folder / name
    text = path.read_text()
    assert old in text, f"{name} has no {old!r}: the test would change nothing"
    path.write_text(text.replace(old, new, count))


def test_the_example_can_be_used_and_holds_real_rows():
    assert own.check(EXAMPLE) == []
    bundle = own.load(EXAMPLE)
    named = bundle.responses.rename(columns=dict(cell_name="cell_id", drug_name="drug_id"))
    tables.check(named, tables.RESPONSES)
    assert len(named) == 3_839 and bundle.expression["CCLE"].shape == (60, 101)
    assert bundle.scales == {
        "expression_CCLE": "log2(TPM+1)",
        "mutations_CCLE": "count of variants",
    }
    assert not bundle.smiles.smiles.isna().any()


def test_the_examples_doses_are_those_of_the_bundled_panel():
    panel = pd.read_parquet(ROOT / "data" / "open" / "response" / "ccle.parquet")
    panel = panel.assign(dose=(6 - np.log10(panel.dose_um)).round(4))
    both = own.load(EXAMPLE).responses.merge(panel, on=["cell_name", "drug_name", "dose"])
    assert len(both) == 3_839
    np.testing.assert_allclose(both.growth, both.viability, atol=5e-5)


def test_a_whole_folder_becomes_a_bundle(folder):
    assert own.check(folder) == []
    bundle = own.load(folder)
    assert bundle.responses.curve_id.nunique() == 4 and set(bundle.responses.study) == {"GDSC"}
    assert bundle.responses.curve_id.iloc[0] == "GDSC/responses/A|x"
    assert np.isnan(bundle.mutations["GDSC"].TP53[1]) and bundle.expression[
        "GDSC"
    ].KRAS.tolist() == [0, 3]
    assert set(bundle.aliases.study) == {"GDSC", "profile:GDSC"}


def test_parquet_does_as_well_as_csv(folder):
    plain = own.load(folder)
    for name in ("responses", "expression"):
        pd.read_csv(folder / f"{name}.csv").to_parquet(folder / f"{name}.parquet")
        (folder / f"{name}.csv").unlink()
    pd.testing.assert_frame_equal(own.load(folder).responses, plain.responses)
    pd.testing.assert_frame_equal(own.load(folder).expression["GDSC"], plain.expression["GDSC"])


CASES = [
    (
        "responses.csv",
        "A,x,6,0.5",
        'A,x,"6,0",0.5',
        "line 2: column 'dose' must be a number, found '6,0'; write a decimal point",
    ),
    (
        "responses.csv",
        "A,x,6,0.5",
        "A,x,6,0,5",
        "line 2: 5 fields where the header has 4; a shifted row or a decimal comma",
    ),
    ("responses.csv", "A,x,6,0.5", "A,x,6", "line 2: 3 fields where the header has 4"),
    (
        "responses.csv",
        "A,x,6,0.5",
        "A,x,high,0.5",
        "line 2: column 'dose' must be a number, found 'high'",
    ),
    (
        "responses.csv",
        "A,x,6,0.5",
        "A,x,0.25,0.5",
        "line 2: column 'dose' must be between 1.5 and 15 -log10 M, found '0.25'; is this column in µM",
    ),
    (
        "responses.csv",
        "A,x,6,0.5",
        "A,x,6,50",
        "line 2: column 'growth' must be between -5 and 10 fraction, found '50'; 1 is untreated",
    ),
    (
        "responses.csv",
        "A,x,6,0.5",
        "A,x,6,inf",
        "line 2: column 'growth' must be a number, found 'inf'",
    ),
    ("responses.csv", "A,x,6,0.5", ",x,6,0.5", "line 2: column 'cell_id' is empty"),
    (
        "responses.csv",
        "A,x,6,0.5",
        "C,x,6,0.5",
        "line 2: cell_id 'C' is not in cells (1 row(s)); add it to cells",
    ),
    ("responses.csv", "A,x,6,0.5", "A,z,6,0.5", "line 2: drug_id 'z' is not in drugs (1 row(s))"),
    (
        "responses.csv",
        "A,x,7,1",
        "A,x,6,0.9",
        "line 3: cell_id drug_id dose ('A', 'x', 6) stands in line 2 already; give replicates",
    ),
    (
        "responses.csv",
        "dose,growth",
        "dose_um,growth",
        "line 1: column(s) ['dose'] missing, found ['cell_id', 'drug_id', 'dose_um', 'growth']",
    ),
    (
        "responses.csv",
        "cell_id,drug_id,dose,growth",
        "cell_id;drug_id;dose;growth",
        "separate fields by commas, not by ';'",
    ),
    ("responses.csv", "dose,growth", "dose,growth,note", "line 2: 4 fields where the header has 5"),
    (
        "cells.csv",
        "A,Lung\nB,Skin\n",
        "A,Lung\nA,Skin\nB,\n",
        "line 3: cell_id 'A' stands in line 2 already; keep one row",
    ),
    (
        "cells.csv",
        "cell_id,tissue",
        "cell_id,organ",
        "line 1: unknown column 'organ'; rename it to one of",
    ),
    ("cells.csv", "cell_id,tissue", "cell_id,cell_id", "line 1: column 'cell_id' stands twice"),
    (
        "drugs.csv",
        "x,CCO",
        "x,CC(",
        "line 2: SMILES of 'x' is no molecule: 'CC('; correct the structure",
    ),
    ("drugs.csv", "x,CCO", "x,", "line 2: column 'smiles' is empty"),
    ("drugs.csv", "y,c1ccccc1", "x,c1ccccc1", "line 3: drug_id 'x' stands in line 2 already"),
    (
        "expression.csv",
        "A,1.5,0",
        'A,"1,5",0',
        "line 2: column 'TP53' must be a number, found '1,5'; write a decimal point",
    ),
    ("expression.csv", "A,1.5,0", "A,1.5", "line 2: 2 fields where the header has 3"),
    ("expression.csv", "A,1.5,0", "Z,1.5,0", "line 2: cell_id 'Z' is not in cells"),
    ("expression.csv", "cell_id,TP53", "line,TP53", "line 1: column 'cell_id' missing"),
    (
        "mutations.csv",
        "A,1",
        "A,-1",
        "line 2: column 'TP53' must be between 0 and inf, found '-1'; counts and events are not negative",
    ),
    (
        "mutations.csv",
        "A,1",
        "A,3",
        "declared as 0/1 event, but holds 3 (1 such values); declare 'count of variants'",
    ),
    ("screen.yml", "study: GDSC", "study: Mine", "like is None; the key `like` must be one of"),
    ("screen.yml", "study: GDSC", "study: Mine\nlike: mine too", "like is 'mine too'"),
    (
        "screen.yml",
        "study: GDSC",
        "study: a/b",
        "study is 'a/b'; give the screen a name of letters",
    ),
    ("screen.yml", "study: GDSC", "study: [1, 2]", "study is [1, 2]"),
    (
        "screen.yml",
        "endpoint: viability",
        "endpoint: growth rate",
        "endpoint is 'growth rate'; it must be one of ('viability', 'growth')",
    ),
    (
        "screen.yml",
        "endpoint: viability",
        "endpont: viability",
        "unknown key 'endpont'; the keys are",
    ),
    ("screen.yml", "log2(TPM+1)", "log", "expression_scale is 'log'; it must be one of"),
    (
        "screen.yml",
        "expression_scale: log2(TPM+1)\n",
        "",
        "expression.csv is there but expression_scale is not declared",
    ),
    ("screen.yml", "study: GDSC", "study: [", "is not YAML"),
]


@pytest.mark.parametrize(("name", "old", "new", "says"), CASES)
def test_each_violation_is_named_with_line_and_remedy(folder, name, old, new, says):
    change(folder, name, old, new)
    said = [str(violation) for violation in own.check(folder)]
    assert any(line.startswith(name) and says in line for line in said), said
    with pytest.raises(TableError):
        own.load(folder)


@pytest.mark.parametrize("name", ["screen.yml", "responses.csv", "cells.csv", "drugs.csv"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert any(
        violation.file == name and violation.found == "is missing"
        for violation in own.check(folder)
    )


def test_files_that_are_no_tables_are_named(folder):
    (folder / "cells.csv").write_bytes(b"cell_id,tissue\nA,\xe9\n")
    (folder / "drugs.csv").write_text("")
    (folder / "expression.parquet").write_bytes(b"PAR1 cut")
    (folder / "expression.csv").unlink()
    pd.DataFrame(dict(cell_id=["A"])).to_parquet(folder / "responses.parquet")
    said = "\n".join(str(violation) for violation in own.check(folder))
    for text in (
        "cells.csv: is not UTF-8",
        "drugs.csv: holds no row",
        "expression.parquet: cannot be read",
        "responses.parquet is there too",
    ):
        assert text in said
    assert "is no folder" in str(own.check(folder / "nothing")[0])


def test_everything_wrong_is_listed_at_once(folder):
    change(folder, "responses.csv", "A,x,6,0.5", "A,x,0.1,0.5")
    change(folder, "responses.csv", "B,y,7,1", "B,y,seven,1")
    change(folder, "responses.csv", "B,x,6,0.5", "B,x,6,99")
    change(folder, "drugs.csv", "CCO", "C(C")
    change(folder, "cells.csv", "B,Skin", "BB,Skin")
    violations = own.check(folder)
    assert [(v.file, v.line) for v in violations if v.file == "responses.csv"] == [
        ("responses.csv", 9),  # seven
        ("responses.csv", 2),  # 0.1
        ("responses.csv", 6),  # 99
        ("responses.csv", 6),  # B is not in cells
    ]
    assert {v.file for v in violations} == {
        "responses.csv",
        "drugs.csv",
        "expression.csv",
        "mutations.csv",
    }


def test_a_screen_has_its_own_name_beside_the_study_it_is_like(folder):
    change(folder, "screen.yml", "study: GDSC", "study: Our screen 2\nlike: GDSC")
    assert own.check(folder) == []
    responses = own.load(folder).responses
    assert set(responses.study) == {"GDSC"} and set(responses.assay) == {"Our screen 2"}
    assert responses.curve_id.str.startswith("Our screen 2/responses/").all()
    tables.check(harmonise.harmonise(own.load(folder))["responses"], tables.RESPONSES)


def test_the_donor_that_a_table_names_is_the_one_folds_are_cut_on(folder):
    (folder / "cells.csv").write_text("cell_id,tissue,donor\nA,Lung,P1\nB,Skin,P1\n")
    assert harmonise.harmonise(own.load(folder))["cells"].donor.tolist() == ["DONOR:P1", "DONOR:P1"]
    (folder / "cells.csv").write_text("cell_id,tissue\nA,Lung\nB,Skin\n")
    assert harmonise.harmonise(own.load(folder))["cells"].donor.nunique() == 2


def screen(folder, cells, **tables):
    """A folder whose lines are those of `cells`, each with four doses of x and a profile."""
    (folder / "cells.csv").write_text(cells)
    names = [line.split(",")[0] for line in cells.splitlines()[1:]]
    rows = [f"{name},x,{dose},{(dose - 3) / 6:.3f}" for name in names for dose in (5, 6, 7, 8)]
    (folder / "responses.csv").write_text("cell_id,drug_id,dose,growth\n" + "\n".join(rows))
    profiles = [f"{name},{i},{i + 1.5}" for i, name in enumerate(names)]
    (folder / "expression.csv").write_text("cell_id,TP53,KRAS\n" + "\n".join(profiles))
    (folder / "mutations.csv").unlink()
    return names


@pytest.mark.parametrize(
    "cells",
    [
        "cell_id,tissue\nHCT116 p53+/+,Bowel\nHCT116 p53-/-,Bowel\nD1.1,Blood\nD-11,Blood\n",
        "cell_id,cellosaurus_id\nPC-9,CVCL_B260\nPC-9 resistant 1,CVCL_B260\nA549,CVCL_0023\n",
        "cell_id,depmap_id\nL1,ACH-000001\nL2,ACH-000001\n",
        "cell_id,depmap_id,cellosaurus_id\nL1,ACH-000001,CVCL_0001\nL2,,CVCL_0001\nl1,,\n",
    ],
)
def test_every_line_that_the_own_table_lists_keeps_its_profile_and_its_curve(folder, cells):
    names = screen(folder, cells)
    assert own.check(folder) == []
    found = harmonise.harmonise(own.load(folder))
    assert sorted(found["cells"].cell_name) == sorted(names)
    assert found["responses"].cell_id.nunique() == found["responses"].curve_id.nunique()
    assert len(found["expression_GDSC"]) == len(names) and found["dropped"].empty
    assert harmonise.merges(found).empty


def test_replicates_have_their_own_curve_ids(folder):
    rows = "".join(f"{r},A,x,{d},{g}\n" for r in ("r1", "r2") for d, g in ((6, 0.4), (7, 0.9)))
    (folder / "responses.csv").write_text("curve_id,cell_id,drug_id,dose,growth\n" + rows)
    assert own.check(folder) == []
    assert own.load(folder).responses.curve_id.unique().tolist() == [
        "GDSC/responses/r1",
        "GDSC/responses/r2",
    ]


def test_the_command_line_prints_every_violation_and_a_status(folder, capsys):
    assert own.main(["check", str(folder)]) == 0
    assert (
        "can be used: 8 doses, 2 lines, 2 compounds; expression, mutations"
        in capsys.readouterr().out
    )
    change(folder, "responses.csv", "A,x,6,0.5", "A,x,0.1,0.5")
    change(folder, "drugs.csv", "CCO", "C(C")
    assert own.main(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "responses.csv, line 2" in out and "drugs.csv, line 2" in out and "2 violation(s)" in out


def test_own_data_without_a_folder_say_where_to_begin():
    with pytest.raises(TableError, match="copy examples/own_screen"):
        own.load(None)


def test_the_example_is_what_its_script_makes(tmp_path, monkeypatch):
    import importlib.util

    spec = importlib.util.spec_from_file_location("build_example", EXAMPLE / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    monkeypatch.setattr(build, "HERE", tmp_path)
    build.main()
    shutil.copy(EXAMPLE / "screen.yml", tmp_path)
    for path in sorted(tmp_path.iterdir()):
        assert path.read_text() == (EXAMPLE / path.name).read_text(), (
            f"{path.name} differs: run examples/own_screen/build.py"
        )
