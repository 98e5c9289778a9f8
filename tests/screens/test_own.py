"""Own data: the example folder can be used, and every violation is listed at once with file, line
and remedy.
"""

import os
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib import tables
from lib.cells import expression as cell_expression
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
        "line 2: cell_id 'C' is not in cells; add it to cells",
    ),
    ("responses.csv", "A,x,6,0.5", "A,z,6,0.5", "line 2: drug_id 'z' is not in drugs; add"),
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
    ("expression.csv", "cell_id,TP53", "line,TP53", "line 1: column(s) ['cell_id'] missing"),
    (
        "mutations.csv",
        "A,1",
        "A,-1",
        "line 2: column 'TP53' must be a whole number between 0 and 1, found '-1'",
    ),
    (
        "mutations.csv",
        "A,1",
        "A,3",
        "must be a whole number between 0 and 1, found '3'; declare 'count of variants', or write",
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


def series(doses, cells="AB", drugs=("x", "y"), rising=True, **columns):
    """Text of a response table: every line and compound at the doses, growth between 0.1 and 1."""
    effects = np.linspace(0.1, 1, len(doses))[:: 1 if rising else -1]
    rows = ["cell_id,drug_id,dose,growth"]
    for cell in cells:
        for drug in drugs:
            rows += [f"{cell},{drug},{d},{g:.2f}" for d, g in zip(doses, effects, strict=True)]
    return "\n".join(rows) + "\n"


UNITS = {
    "µM": [
        (12.5, 10, 7.5, 5, 3.5, 2),
        (10, 3.3, 1.1, 0.37),
        (100, 10, 1, 0.1),
        (20, 15, 10, 5, 1),
        (8, 4, 2),
    ],
    "nM": [(10000, 1000, 100, 10), (1000, 333, 111, 37), (30000, 9500, 3000, 950, 300)],
    "M": [(1e-5, 1e-6, 1e-7, 1e-8), (3e-5, 3e-6, 3e-7), (1e-4, 2.5e-5, 6.25e-6)],
    "log10 M": [(-5, -5.5, -6, -6.5), (-4, -5, -6, -7, -8), (-4.52, -5.52, -6.52)],
    "log10 µM": [(1, 0, -1, -2, -3), (1.5, 0.5, -0.5, -1.5), (2, 1, 0, -1, -2)],
    "per cent of the strongest": [(100, 75, 50, 25), (100, 80, 60, 40, 20)],
}
REMEDIES = {
    "µM": "6 - log10(µM)",
    "nM": "9 - log10(nM)",
    "M": "-log10(M)",
    "log10 M": "take the negative",
    "log10 µM": "6 - log10(µM)",
    "per cent of the strongest": "molar concentration",
}


@pytest.mark.parametrize("unit, doses", [(u, d) for u in UNITS for d in UNITS[u]])
def test_doses_in_another_unit_are_named_with_the_remedy_of_that_unit(folder, unit, doses):
    (folder / "responses.csv").write_text(series(doses))
    (said,) = map(str, own.check(folder))
    assert f"looks like {unit}, not -log10 M" in said and REMEDIES[unit] in said
    assert f"{4 * len(doses)} rows: lines 2, 3, 4" in said


@pytest.mark.parametrize(
    "doses", [(5, 5.5, 6, 6.5), (4, 5, 6, 7, 8), (4.52, 5, 5.48, 5.95), (2, 3), (9, 10, 12), (6,)]
)
def test_doses_of_a_dilution_are_doses(folder, doses):
    (folder / "responses.csv").write_text(series(doses))
    assert own.check(folder) == []


@pytest.mark.parametrize("doses", [(2, 3, 4, 5), (3, 4, 5, 6, 7), (5, 6, 7, 8)])
def test_growth_that_falls_with_the_dose_in_every_series_is_no_growth_over_log_doses(folder, doses):
    (folder / "responses.csv").write_text(series(doses, rising=False))
    (said,) = map(str, own.check(folder))
    assert "growth falls as dose rises in 4 of 4 series" in said and "9 - log10(nM)" in said


@pytest.mark.parametrize("zero", ["0", "0.0", "-0", "0e0"])
def test_dose_zero_is_said_to_be_the_control(folder, zero):
    rows = "".join(f"{cell},x,{zero},1\n" for cell in "AB")
    (folder / "responses.csv").write_text(series((5, 6, 7, 8)) + rows)
    (said,) = map(str, own.check(folder))
    assert "untreated control" in said and "leave it out" in said and "2 rows: lines 18, 19" in said


SCALES = [  # scale, a value that it cannot hold, one that it can
    ("TPM", "-2.5", "900000"),
    ("TPM", "1000001", "0"),
    ("log2(TPM+1)", "9011", "19"),
    ("log2(TPM+1)", "-0.1", "0"),
    ("log2(TPM+1)", "1e39", "1e-9"),
    ("FPKM", "-1", "200000"),
    ("RMA log2", "4000", "-0.5"),
    ("log2 intensity (mean of two)", "65535", "15.9"),
    ("log2(FPKM+1)", "-3", "20"),
]


@pytest.mark.parametrize("scale, wrong, right", SCALES)
def test_what_a_declared_scale_cannot_hold_is_refused_and_the_run_takes_what_is_accepted(
    folder, scale, wrong, right
):
    change(folder, "screen.yml", "log2(TPM+1)", scale)
    change(folder, "expression.csv", "A,1.5,0", f"A,{right},1")
    assert own.check(folder) == []
    values = own.load(folder).expression["GDSC"][["TP53", "KRAS"]]
    assert np.isfinite(cell_expression.to_log(values, scale)).all()
    change(folder, "expression.csv", f"A,{right},1", f"A,{wrong},1")
    (said,) = map(str, own.check(folder))
    assert said.startswith("expression.csv, line 2: column 'TP53'") and repr(wrong) in said
    assert f"{scale} cannot be that" in said


@pytest.mark.parametrize("scale", ["read count", "counts", "log2", "tpm", "log10(TPM)", "[TPM]"])
def test_check_and_run_know_the_same_scales(folder, scale):
    change(folder, "screen.yml", "log2(TPM+1)", scale)
    assert any("expression_scale is" in violation.found for violation in own.check(folder))
    with pytest.raises(ValueError, match="is not known"):
        cell_expression.to_log([[1.0, 2.0]], scale)


def test_a_line_whose_transcripts_add_up_to_more_than_a_million_is_not_in_tpm(folder):
    genes = [f"G{i}" for i in range(50)]
    for scale, value in (("TPM", 40_000), ("log2(TPM+1)", 15.5)):
        rows = [f"{cell}," + ",".join([f"{value}"] * 49 + ["1"]) for cell in "AB"]
        (folder / "expression.csv").write_text("\n".join(["cell_id," + ",".join(genes), *rows]))
        (folder / "screen.yml").write_text(
            f"study: GDSC\nendpoint: viability\nexpression_scale: {scale}\nmutations: 0/1 event\n"
        )
        (said,) = map(str, own.check(folder))
        assert "the TPM of one line add up to" in said and "2 rows" in said


@pytest.mark.parametrize("value", ["0.48", "1.5", "-1", "1e9"])
def test_a_count_is_a_whole_number(folder, value):
    change(folder, "screen.yml", "0/1 event", "count of variants")
    change(folder, "mutations.csv", "A,1", f"A,{value}")
    (said,) = map(str, own.check(folder))
    assert "must be a whole number" in said and value in said


@pytest.mark.parametrize(
    "symbol", ["1-Mar", "2-Sep", "Dec-01", "1. Mrz", "2024-03-01", "3/1/2024", "44256", "2.31E+19"]
)
def test_a_symbol_that_a_spreadsheet_spoiled_is_named(folder, symbol):
    change(folder, "expression.csv", "cell_id,TP53", f"cell_id,{symbol}")
    (said,) = map(str, own.check(folder))
    assert said.startswith("expression.csv, line 1: 1 gene(s)") and repr(symbol) in said


@pytest.mark.parametrize("mark", [",", ", ", ";", "; ", " ", "|"])
@pytest.mark.parametrize("other", ["CCO", "CCN"])
def test_several_structures_in_one_field_are_named(folder, mark, other):
    (folder / "drugs.csv").write_text(f'drug_id,smiles\nx,"CCO{mark}{other}"\ny,c1ccccc1\n')
    (said,) = map(str, own.check(folder))
    assert "drugs.csv, line 2" in said and "several structures in one field" in said


def test_words_beside_a_structure_are_named_and_a_polymers_extension_is_not(folder):
    change(folder, "drugs.csv", "x,CCO", "x,CCO ethanol (99 %)")
    assert "is no molecule" in str(own.check(folder)[0])
    change(folder, "drugs.csv", "x,CCO ethanol (99 %)", "x,CCO |$a;;$|")
    assert own.check(folder) == []


DIALECTS = {
    "semicolons": (lambda t: t.replace(",", ";").replace(".", ",").encode(), "';'"),
    "tabs": (lambda t: t.replace(",", "\t").encode(), "'\\t'"),
    "bars": (lambda t: t.replace(",", "|").encode(), "'|'"),
    "utf-16": (lambda t: t.encode("utf-16"), "UTF-16"),
    "latin-1": (lambda t: t.replace("A,x", "Å,x").encode("latin-1"), "line 2: is not UTF-8"),
    "gzip": (lambda t: __import__("gzip").compress(t.encode()), "gzip"),
    "workbook": (lambda t: b"PK\x03\x04" + t.encode(), "a workbook"),
    "old workbook": (lambda t: b"\xd0\xcf\x11\xe0" + t.encode(), "a workbook"),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_a_file_of_another_dialect_gets_one_sentence(folder, name):
    write, says = DIALECTS[name]
    (folder / "responses.csv").write_bytes(write((folder / "responses.csv").read_text()))
    (said,) = [str(v) for v in own.check(folder) if v.file == "responses.csv"]
    assert says in said and ("save it as CSV" in said or "separate fields by commas" in said)


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\n", "\n,,,\n", "\n , , ,\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_empty_lines_and_a_byte_order_mark_change_nothing(folder, end, mark):
    before = own.load(folder).responses
    text = (folder / "responses.csv").read_text()
    (folder / "responses.csv").write_bytes((mark + text.replace("\n", end)).encode())
    pd.testing.assert_frame_equal(own.load(folder).responses, before)


@pytest.mark.parametrize(
    "name",
    ["responses.xlsx", "responses.tsv", "responses.csv.gz", "Responses.csv", "responses.txt"],
)
def test_a_table_under_another_name_is_seen(folder, name):
    (folder / "responses.csv").rename(folder / name)
    (said,) = [str(v) for v in own.check(folder) if v.file.lower().startswith("responses")]
    assert said.startswith(f"{name}: ") and "under the name responses.csv" in said
    assert ("is a workbook" in said) == name.endswith("xlsx")


def test_an_optional_table_under_another_name_is_not_passed_over(folder):
    (folder / "mutations.csv").rename(folder / "mutations.xlsx")
    assert "mutations.xlsx: is a workbook" in str(own.check(folder)[0])


def test_one_mistake_in_every_row_is_one_sentence(folder):
    n = 3000
    cells = [f"C{i}" for i in range(n)]
    (folder / "cells.csv").write_text("cell_id\n" + "\n".join(cells))
    wrong = {
        "dose": [f"{cell},x,6;5,0.5" for cell in cells],
        "growth": [f"{cell},x,6,50" for cell in cells],
        "comma": [f"{cell},x,6,0,5" for cell in cells],
        "name": [f"{cell} ,x{i},6,0.5" for i, cell in enumerate(cells)],
        "line": [f"D{i},x,6,0.5" for i in range(n)],
    }
    for name in ("expression.csv", "mutations.csv"):
        (folder / name).unlink()
    for rows in wrong.values():
        (folder / "responses.csv").write_text("cell_id,drug_id,dose,growth\n" + "\n".join(rows))
        (said,) = map(str, own.check(folder))
        assert "3000 rows" in said and "line 2" in said and len(said) < 400
    genes = [f"G{i}" for i in range(300)]
    rows = [f"{cell}," + ",".join(["-"] * 150 + ["x"] * 150) for cell in cells[:100]]
    (folder / "expression.csv").write_text("\n".join(["cell_id," + ",".join(genes), *rows]))
    (folder / "responses.csv").write_text("cell_id,drug_id,dose,growth\nC1,x,6,0.5\n")
    (said,) = map(str, own.check(folder))
    assert "column 'G150' must be a number, found 'x'" in said and "100 rows" in said


@pytest.mark.parametrize("word", ["NA", "n/a", "None", "nan", "unknown", "NULL", "-"])
def test_a_word_for_missing_is_missing_and_no_name(folder, word):
    (folder / "cells.csv").write_text(f"cell_id,tissue,depmap_id\nA,{word},{word}\nB,Skin,\n")
    assert own.check(folder) == []
    assert own.load(folder).aliases[["tissue", "depmap_id"]].iloc[0].isna().all()
    change(folder, "drugs.csv", "x,CCO", f"{word},CCO")
    text = (folder / "responses.csv").read_text()
    (folder / "responses.csv").write_text(text.replace(",x,", f",{word},"))
    said = [str(violation) for violation in own.check(folder)]
    assert len(said) == 2 and all(f"found {word!r}; it reads as missing" in line for line in said)


@pytest.mark.parametrize("known", ["ACH-1x", "A549", "CVCL_0023", "ach-000001", "ACH 000001"])
def test_an_id_has_the_form_of_its_catalogue(folder, known):
    (folder / "cells.csv").write_text(f"cell_id,depmap_id\nA,{known}\nB,ACH-000001\n")
    (said,) = map(str, own.check(folder))
    assert f"column 'depmap_id' is no id of the catalogue, found {known!r}" in said


def test_a_quotation_mark_that_never_closes_is_named_where_it_opens(folder):
    change(folder, "responses.csv", "A,y,6,0.5", '"A,y,6,0.5')
    (said,) = map(str, own.check(folder))
    assert said.startswith("responses.csv, line 4: a quotation mark opens here and runs on to line")
    change(folder, "responses.csv", "B,x,6", 'B",x,6')
    (said,) = map(str, own.check(folder))
    assert said.startswith("responses.csv, line 4: a quotation mark")


def test_a_field_without_end_is_named_with_its_column_and_length(folder):
    change(folder, "drugs.csv", "x,CCO", "x," + "C" * 140_000)
    (said,) = map(str, own.check(folder))
    assert said.startswith("drugs.csv, line 2: column 'smiles' holds 140,000 characters")
    change(folder, "drugs.csv", "x,C", "x,y,C")
    assert "holds 140,000 characters" in str(own.check(folder)[0])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", ["responses.csv", "cells.parquet", "screen.yml"])
def test_a_folder_a_pipe_or_a_device_in_the_place_of_a_file_is_named(folder, name, make):
    for path in folder.glob(name.split(".")[0] + ".*"):
        path.unlink()
    make(folder / name)
    said = [str(v) for v in own.check(folder) if v.file == name]
    assert len(said) == 1 and "is no plain file" in said[0], said


@pytest.mark.parametrize("table", ["expression.csv", "mutations.csv"])
@pytest.mark.parametrize(
    "name", ["cell_name", "source", "profile_source", "mutation_source", "study"]
)
def test_a_column_of_numbers_that_another_table_has_is_no_gene(folder, table, name):
    (folder / table).write_text(f"cell_id,TP53,KRAS,{name}\nA,1,0,1\nB,0,1,0\n")
    (said,) = map(str, own.check(folder))
    assert said.startswith(f"{table}, line 1: 1 gene(s), such as {name!r}: the name of a column")


def test_a_parquet_table_with_a_column_twice_gets_one_line(folder):
    table = pa.Table.from_pandas(pd.read_csv(folder / "responses.csv"))
    pq.write_table(table.append_column("dose", table["dose"]), folder / "responses.parquet")
    (folder / "responses.csv").unlink()
    (said,) = map(str, own.check(folder))
    assert said.startswith("responses.parquet: cannot be read (") and "\n" not in said


def test_parquet_without_rows_with_truth_values_or_dates_is_refused(folder):
    good = pd.read_csv(folder / "responses.csv")
    (folder / "responses.csv").unlink()
    whole = folder / "responses.parquet"
    for frame, says in (
        (good.iloc[:0], "responses.parquet: holds no row"),
        (good.assign(growth=good.growth > 0.6), "'growth' must be a number, found 'False'"),
        (good.assign(dose=pd.Timedelta("6D")), "'dose' must be a number, found '6 days"),
        (good.assign(dose=[[6]] * len(good)), "'dose' must be a number, found '[6]'"),
        (
            good.assign(dose=pd.Timestamp("2024-05-06")),
            "'dose' must be a number, found '2024-05-06",
        ),
    ):
        frame.to_parquet(whole)
        (said,) = map(str, own.check(folder))
        assert says in said


def test_parquet_of_nullable_numbers_and_categories_is_read(folder):
    before = own.load(folder).responses
    table = pd.read_csv(folder / "responses.csv")
    table = table.astype(dict(dose="Int64", growth="Float32", cell_id="category"))
    (folder / "responses.csv").unlink()
    table.to_parquet(folder / "responses.parquet")
    pd.testing.assert_frame_equal(own.load(folder).responses, before, rtol=1e-6, check_dtype=False)
    table.loc[[3], "dose"] = pd.NA
    table.to_parquet(folder / "responses.parquet")
    assert "line 5: column 'dose' is empty" in str(own.check(folder)[0])


def test_keys_that_are_numbers_in_one_table_and_text_in_another_are_the_same(folder):
    table = pd.read_csv(folder / "responses.csv").replace(dict(cell_id=dict(A=7.0, B=8.0)))
    table.astype(dict(cell_id=float)).to_parquet(folder / "responses.parquet")
    (folder / "responses.csv").unlink()
    for name in ("cells.csv", "expression.csv", "mutations.csv"):
        text = (folder / name).read_text().replace("\nA,", "\n7,").replace("\nB,", "\n8,")
        (folder / name).write_text(text)
    assert own.check(folder) == []
    assert set(harmonise.harmonise(own.load(folder))["cells"].cell_name) == {"7", "8"}


@pytest.mark.parametrize(
    "rows, says",
    [
        ("r1,A,x,6,0.5,\nr1,B,x,7,0.9,\n", "'curve_id' names another line"),
        ("r1,A,x,6,0.5,\nr1,A,y,7,0.9,\n", "'curve_id' names another line"),
        ("r1,A,x,6,0.5,viability\nr1,A,x,7,0.9,growth\n", "names another line, compound, assay"),
        ("r1,A,x,6,0.5,\nr1,A,x,6,0.9,\n", "curve_id dose ('r1', 6) stands in line 2 already"),
        (",A,x,6,0.5,\n,A,x,6,0.9,\nr2,A,x,6,1,\n", "stands in line 2 already"),
    ],
)
def test_a_curve_is_one_series_of_one_line_and_compound(folder, rows, says):
    header = "curve_id,cell_id,drug_id,dose,growth,endpoint\n"
    (folder / "responses.csv").write_text(header + rows)
    (said,) = map(str, own.check(folder))
    assert says in said


@pytest.mark.parametrize(
    "table, says",
    [
        ("cell_id\nA\nB\n", "holds no gene"),
        ("cell_id,TP53,KRAS\nA,2,2\nB,1,2\n", "line 2: the profile is flat or empty"),
        ("cell_id,TP53,KRAS\nA,NA,\nB,1,2\n", "line 2: the profile is flat or empty"),
        ("cell_id,TP53,\nA,1,2\nB,1,2\n", "a column has no name"),
        ("cell_id,TP53,unknown\nA,1,2\nB,1,2\n", "'unknown': no gene symbol"),
    ],
)
def test_profiles_that_notebook_03_cannot_take_are_refused(folder, table, says):
    (folder / "expression.csv").write_text(table)
    assert says in str(own.check(folder)[0])


def test_a_line_without_a_profile_is_allowed_and_a_screen_without_any_is_not(folder):
    (folder / "expression.csv").write_text("cell_id,TP53,KRAS\nA,1,2\n")
    assert own.check(folder) == []
    (folder / "cells.csv").write_text("cell_id\nA\nB\nC\n")
    (folder / "expression.csv").write_text("cell_id,TP53,KRAS\nC,1,2\n")
    assert "no line of responses has a profile" in str(own.check(folder)[0])


@pytest.mark.parametrize(
    "text, says",
    [
        ("study: GDSC\nendpoint: viability\nstudy: CCLE\n", "'study' stands twice"),
        ("study: &a [*a]\nendpoint: viability\n", "contains itself"),
        ("study: !!python/object:os.system x\n", "is not YAML"),
        ("1: 2\nstudy: GDSC\nendpoint: viability\nextra: 3\n", "unknown key 1"),
        ("- study\n", "holds ['study']"),
    ],
)
def test_settings_that_cannot_be_read_as_written_are_refused(folder, text, says):
    (folder / "screen.yml").write_text(text)
    assert any(says in str(violation) for violation in own.check(folder))


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
        "cells.csv, line 2: is not UTF-8",
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
        ("responses.csv", 6),  # 99
        ("responses.csv", 2),  # 0.1
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


@pytest.mark.parametrize("cells", ["cell_id\nA\nB\n", "cell_id,donor\nA,P\nB,\n"])
def test_a_table_of_lines_that_says_nothing_else_makes_tables_that_keep_their_contracts(
    folder, cells
):
    (folder / "cells.csv").write_text(cells)
    found = harmonise.harmonise(own.load(folder))
    for contract in (tables.CELLS, tables.CELL_NAMES, tables.RESPONSES, tables.DRUGS):
        tables.check(found[contract.name], contract)


# Minutes of it: FUZZ=3500 python -m pytest tests/screens/test_own.py -k notebooks_take
EXAMPLES = int(os.environ.get("FUZZ", 25))
PIECES = [
    "",
    "0",
    "-1",
    "nan",
    ",",
    ";",
    "\n",
    '"',
    "A",
    "x",
    "1e309",
    "\0",
    "{",
    "CCO.C",
    "*",
    "é",
]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(["responses", "cells", "drugs", "expression", "mutations"]),
    at=st.integers(0, 200),
    cut=st.integers(0, 5),
    piece=st.sampled_from(PIECES),
)
def test_what_the_check_accepts_the_notebooks_take(folder, name, at, cut, piece):
    path = folder / f"{name}.csv"
    text = path.read_text()
    at = min(at, len(text))
    path.write_text(text[:at] + piece + text[at + cut :])
    try:
        if own.check(folder):
            return
        bundle = own.load(folder)
        found = harmonise.harmonise(bundle)
        assert found["responses"].curve_id.nunique() == bundle.responses.curve_id.nunique()
        profiles = found["expression_GDSC"]
        cell_expression.panel(dict(GDSC=profiles), dict(GDSC="log2(TPM+1)"))
    finally:
        path.write_text(text)


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
    for path in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        name = path.relative_to(tmp_path)
        assert path.read_text() == (EXAMPLE / name).read_text(), (
            f"{name} differs: run examples/own_screen/build.py"
        )
