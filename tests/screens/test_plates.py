"""The door for a laboratory's export: five layouts of real plates, each simulated from known growth,
give that growth back; what is not declared is refused.

The layouts are those of the GR calculator (one measurement per row), of Breeze and CES (a well per
row, controls among the drugs), of a table with titles over replicates as GraphPad Prism has it, of
a matrix with a column per dose, and of a plate reader's grid with a map beside it.
"""

import shlex

import numpy as np
import pandas as pd
import pytest

from lib.paths import ROOT
from lib.screens import own

DOSES = np.array([10, 3.16, 1.0, 0.316])  # µM
LINES, DRUGS = ["A549", "HT-29"], ["imatinib", "taxol"]
LOG = (6 - np.log10(DOSES)).round(4)


def growth(cell, drug, dose, replicate=0):
    half = 0.5 * (1 + LINES.index(cell)) * (1 + 2 * DRUGS.index(drug))
    return 1 / (1 + dose / half) + 0.01 * replicate


def truth(replicates):
    rows = [
        (c, d, log, growth(c, d, dose, r), f"{c}|{d}|{r + 1}")
        for c in LINES
        for d in DRUGS
        for dose, log in zip(DOSES, LOG, strict=True)
        for r in range(replicates)
    ]
    return pd.DataFrame(rows, columns=["cell_id", "drug_id", "dose", "growth", "curve_id"])


def gr_calculator(folder):
    """Counts in tab-separated text; untreated wells have the treatment - and the dose 0."""
    rows = ["cell_line\ttreatment\tconcentration\treplicate\tcell_count"]
    for i, cell in enumerate(LINES):
        rows += [f"{cell}\t-\t0\t{n}\t{1000 * (i + 1) + 10 * n}" for n in (-1, 0, 1)]
        for drug in DRUGS:
            for r in (0, 1):
                for dose in DOSES:
                    count = 1000 * (i + 1) * growth(cell, drug, dose, r)
                    rows.append(f"{cell}\t{drug}\t{dose}\t{r}\t{count:.6f}")
    (folder / "gr.tsv").write_text("\r\n".join(rows))
    columns = "--cell cell_line --drug treatment --dose concentration --value cell_count"
    return ["gr.tsv", *f"--unit uM --signal raw {columns}".split()], 2


def breeze(folder):
    """A workbook; doses in nM; DMSO and BZCL are the controls of every plate, some wells empty."""
    rows = []
    for p, cell in enumerate(LINES):
        facts = dict(PLATE=f"P{p}", SCREEN_NAME=cell)
        signals = dict(DMSO=[5000 + p, 5200 + p], BZCL=[90.0, 110.0])
        for name, values in signals.items():
            rows += [facts | dict(DRUG=name, CONCENTRATION=None, WELL_SIGNAL=v) for v in values]
        for drug in DRUGS:
            for dose in DOSES:
                signal = 100 + growth(cell, drug, dose) * (5000 + p)
                rows.append(facts | dict(DRUG=drug, CONCENTRATION=dose * 1000, WELL_SIGNAL=signal))
        rows.append(facts | dict(DRUG=drug, CONCENTRATION=1, WELL_SIGNAL=None))
    pd.DataFrame(rows).to_csv(folder / "x.csv", index=False)
    workbook(folder / "breeze.xlsx", pd.DataFrame(rows))
    columns = "--cell SCREEN_NAME --drug DRUG --dose CONCENTRATION --value WELL_SIGNAL"
    controls = "--plate PLATE --untreated DMSO --killed BZCL"
    return ["breeze.xlsx", *f"--unit nM --signal raw {columns} {controls}".split()], 1


def workbook(path, frame):
    """The smallest workbook that holds a table: text and numbers, no styles."""
    import zipfile
    from xml.sax.saxutils import escape

    def cell(value):
        if isinstance(value, str):
            return f'<c t="inlineStr"><is><t>{escape(value)}</t></is></c>'
        return "<c/>" if value is None or value != value else f"<c><v>{value!r}</v></c>"

    rows = [list(frame.columns), *frame.astype(object).to_numpy().tolist()]
    body = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    target = '<Relationship Id="r1" Type="{}/{}" Target="{}"/>'
    sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{sheet}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sheet1.xml" ContentType="{sheet}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        + target.format(office, "officeDocument", "xl/workbook.xml")
        + "</Relationships>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        + target.format(office, "worksheet", "sheet1.xml")
        + "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Plates" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{body}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, '<?xml version="1.0" encoding="UTF-8"?>' + text)


def prism(folder):
    """One line per file, log10 M down the side, a title over two replicates; as Europe saves it."""
    for cell in LINES:
        rows = ["log(dose);" + ";".join(f"{drug};" for drug in DRUGS)]
        for dose in DOSES:
            values = [100 * growth(cell, drug, dose, r) for drug in DRUGS for r in (0, 1)]
            rows.append(";".join(f"{v:.6f}" for v in [np.log10(dose * 1e-6), *values]))
        (folder / f"{cell}.csv").write_text("\ufeff" + "\r\n".join(rows).replace(".", ","))
    words = "--unit log10M --signal percent --dose log(dose) --drug headings --decimal ,".split()
    return [[f"{cell}.csv", "--cell", f"={cell}", *words] for cell in LINES], 2


def matrix(folder):
    """A row per line and compound, a column per dose with its unit, inhibition in per cent."""
    rows = ["Model,Compound,QC," + ",".join(f"{dose} μM" for dose in DOSES)]
    for cell in LINES:
        for drug in DRUGS:
            values = [f"{100 - 100 * growth(cell, drug, dose):.6f}" for dose in DOSES]
            rows.append(f"{cell},{drug},ok," + ",".join(values))
    text = "plate export of 2024\n" + "\n".join(rows)
    (folder / "matrix.csv").write_bytes(text.encode("utf-16"))
    columns = "--cell Model --drug Compound --dose headings --ignore QC --skip 1"
    return ["matrix.csv", *f"--unit uM --signal inhibition {columns}".split()], 1


def grid(folder):
    """A reader's grid per plate; column 1 untreated, column 2 blank; the map says what is where."""
    wells = ["well,drug,dose"]
    grids = {cell: np.zeros((8, 12)) for cell in LINES}
    for i, letter in enumerate("ABCDEFGH"):
        for j in range(12):
            drug, dose = DRUGS[i % 2], DOSES[j % 4] * 1e-6
            name = "DMSO" if j == 0 else "blank" if j == 1 else drug if j > 3 and i < 2 else ""
            wells.append(f"{letter}{j + 1:02d},{name},{dose if j > 3 and i < 2 else ''}")
            for cell in LINES:
                r = (j - 4) // 4
                treated = 200 + 800 * growth(cell, drug, DOSES[j % 4], max(r, 0))
                grids[cell][i, j] = {0: 1000, 1: 200}.get(j, treated)
    (folder / "map.csv").write_text("\n".join(wells))
    for cell, values in grids.items():
        table = pd.DataFrame(values, index=list("ABCDEFGH"), columns=range(1, 13))
        used = table.astype(object)
        used.iloc[2:, 2:] = ""
        used.iloc[:, 2:4] = ""
        used.to_csv(folder / f"{cell}_plate.csv", index_label="")
    words = "--unit M --signal raw --drug drug --dose dose --map map.csv --untreated DMSO"
    words = words.split() + ["--killed", "blank"]
    return [[f"{cell}_plate.csv", "--cell", f"={cell}", *words] for cell in LINES], 2


def run(folder, words, out="out"):
    files = [str(folder / w) if w.endswith((".csv", ".tsv", ".xlsx")) else w for w in words]
    return own.main(["import", *files, "--out", str(folder / out)])


LAYOUTS = [gr_calculator, breeze, prism, matrix, grid]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_real_layout_gives_back_the_growth_that_was_put_in(tmp_path, layout, capsys):
    words, replicates = layout(tmp_path)
    runs = words if isinstance(words[0], list) else [words]
    found = []
    for i, one in enumerate(runs):
        assert run(tmp_path, one, f"out{i}") == 0, capsys.readouterr().out
        found.append(pd.read_csv(tmp_path / f"out{i}" / "responses.csv"))
    key = ["cell_id", "drug_id", "dose", "curve_id"]
    both = pd.concat(found).merge(truth(replicates), on=key, how="outer", suffixes=("", "_true"))
    assert len(both) == 16 * replicates
    np.testing.assert_allclose(both.growth, both.growth_true, atol=2e-3)
    said = capsys.readouterr().out
    assert "declared" in said and "-log10 M" in said
    assert said.strip().endswith((tmp_path / f"out{i}" / "import.md").read_text().strip())


def test_what_the_door_writes_passes_the_check_once_structures_and_settings_are_there(tmp_path):
    words, _ = gr_calculator(tmp_path)
    assert run(tmp_path, words) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "responses.csv",
        "cells.csv",
        "drugs.csv",
        "import.md",
    }
    said = [str(violation) for violation in own.check(out)]
    assert len(said) == 2 and "screen.yml" in said[0] and "'smiles' is empty" in said[1]
    (out / "screen.yml").write_text("study: Mine\nlike: GDSC\nendpoint: viability\n")
    (out / "drugs.csv").write_text("drug_id,smiles\nimatinib,CCO\ntaxol,CCN\n")
    assert own.check(out) == []


REFUSED = [
    (["--unit", "nM"], ["--unit", "M"], "in M doses would be -1 to 0.5 -log10 M"),
    (["--dose", "concentration"], ["--dose", "conc"], "gr.tsv: no column 'conc'; found"),
    (["--value", "cell_count"], ["--value", "count"], "no column 'count'"),
    (
        ["--value", "cell_count"],
        [],
        "no reading is left; name the columns of the readings with --value",
    ),
    (["--value", "cell_count"], ["--value", "treatment"], "value must be a number"),
    (["--drug", "treatment"], ["--drug", ""], "no column ''"),
    (["--drug", "treatment"], ["--drug", "=x"], "no untreated well above its blank"),
    (["--unit", "uM"], ["--unit", "log10M"], "in log10M doses would be -10 to"),
]


@pytest.mark.parametrize("old, new, says", REFUSED)
def test_what_is_not_as_declared_is_refused_with_the_remedy(tmp_path, old, new, says, capsys):
    words, _ = gr_calculator(tmp_path)
    if new == ["--drug", "=x"]:
        text = (tmp_path / "gr.tsv").read_text().replace("\t-\t0\t", "\t-\t5\t")
        (tmp_path / "gr.tsv").write_text(text)
    at = words.index(old[0])
    assert run(tmp_path, words[:at] + new + words[at + 2 :]) == 1
    assert says in capsys.readouterr().out and not (tmp_path / "out").exists()


@pytest.mark.parametrize("missing", ["--unit", "--signal", "--cell", "--drug", "--dose", "--out"])
def test_nothing_is_guessed(tmp_path, missing, capsys):
    words, _ = gr_calculator(tmp_path)
    words = [*words, "--out", "x"]
    at = words.index(missing)
    with pytest.raises(SystemExit):
        own.main(["import", *words[:at], *words[at + 2 :]])
    assert missing in capsys.readouterr().err


@pytest.mark.parametrize(
    "value, says",
    [("1,5", "decimal commas need --decimal"), ("inf", "must be a number"), ("12*", "found '12*'")],
)
def test_a_reading_that_is_no_number_is_named_with_its_line(tmp_path, value, says, capsys):
    words, _ = gr_calculator(tmp_path)
    text = (tmp_path / "gr.tsv").read_text().splitlines()
    text[6] = "\t".join([*text[6].split("\t")[:-1], value])
    (tmp_path / "gr.tsv").write_text("\n".join(text))
    assert run(tmp_path, words) == 1
    said = capsys.readouterr().out
    assert said.startswith("gr.tsv, line 7: value") and says in said


def test_a_number_with_points_and_commas_is_not_guessed(tmp_path, capsys):
    runs, _ = prism(tmp_path)
    path = tmp_path / "A549.csv"
    path.write_text(path.read_text().replace(";90,", ";1.090,", 1))
    changed = "1.090," in path.read_text()
    assert run(tmp_path, runs[0]) == int(changed)


def test_a_workbook_of_several_sheets_a_ragged_row_and_another_encoding_are_refused(
    tmp_path, capsys
):
    words, _ = gr_calculator(tmp_path)
    text = (tmp_path / "gr.tsv").read_text()
    (tmp_path / "gr.tsv").write_text(text + "\nA549\ttaxol\t1")
    assert (
        run(tmp_path, words) == 1 and "3 fields where the header has 5" in capsys.readouterr().out
    )
    (tmp_path / "gr.tsv").write_bytes(text.replace("A549", "Å549").encode("latin-1"))
    assert run(tmp_path, words) == 1 and "is not UTF-8 text" in capsys.readouterr().out
    (tmp_path / "gr.tsv").unlink()
    assert run(tmp_path, words) == 1 and "gr.tsv" in capsys.readouterr().out


def test_rows_of_another_time_are_told_of_and_left_out_where_that_is_said(tmp_path, capsys):
    words, _ = gr_calculator(tmp_path)
    head, *rows = (tmp_path / "gr.tsv").read_text().splitlines()
    early = [f"{cell}\t-\t0\t0\t250\t0" for cell in LINES]
    text = [head + "\thours", *[f"{row}\t72" for row in rows], *early]
    (tmp_path / "gr.tsv").write_text("\n".join(text))
    assert run(tmp_path, words, "both") == 0
    assert "columns not used: hours (2 values), replicate (3 values)" in capsys.readouterr().out
    assert run(tmp_path, [*words, "--only", "hours=72"], "late") == 0
    found = pd.read_csv(tmp_path / "late" / "responses.csv").merge(
        truth(2), on=["curve_id", "dose"]
    )
    np.testing.assert_allclose(found.growth_x, found.growth_y, atol=2e-3)
    for rule, says in (("hours=71", "no reading is left"), ("day=3", "no column 'day'")):
        assert run(tmp_path, [*words, "--only", rule], "none") == 1
        assert says in capsys.readouterr().out


def test_a_column_that_stands_twice_is_not_chosen_from(tmp_path, capsys):
    words, _ = gr_calculator(tmp_path)
    text = (tmp_path / "gr.tsv").read_text().replace("replicate", "treatment")
    (tmp_path / "gr.tsv").write_text(text)
    assert run(tmp_path, words) == 1 and "2 columns 'treatment'" in capsys.readouterr().out


def test_the_command_that_the_readme_shows_runs(tmp_path, monkeypatch, capsys):
    page = (ROOT / "examples" / "own_screen" / "README.md").read_text().replace("\\\n", " ")
    words = next(shlex.split(line) for line in page.splitlines() if ".own import plate" in line)
    monkeypatch.chdir(tmp_path)
    for name, cell in zip(words[4:6], LINES, strict=True):
        rows = [("DMSO", None, 900.0, 1100.0), ("BzCl", None, 90.0, 110.0)]
        rows += [("taxol", 1000 * d, *[100 + 900 * growth(cell, "taxol", d)] * 2) for d in DOSES]
        frame = pd.DataFrame(rows, columns=["Compound", "Conc", "Lum1", "Lum2"])
        workbook(tmp_path / name, frame.assign(**{"Cell line": cell}))
    assert own.main(words[3:]) == 0, capsys.readouterr().out
    found = pd.read_csv("my_screen/responses.csv").merge(truth(2), on=["curve_id", "dose"])
    assert len(found) == 16
    np.testing.assert_allclose(found.growth_x, found.growth_y, atol=0.011)


def test_a_reading_without_a_compound_is_refused_and_a_damaged_workbook_is_named(tmp_path, capsys):
    words, _ = gr_calculator(tmp_path)
    with (tmp_path / "gr.tsv").open("a") as file:
        file.write("\nA549\t\t1\t0\t500\nA549\ttaxol\t\t0\t500")
    assert run(tmp_path, words) == 1
    said = capsys.readouterr().out
    assert "2 readings have no cell, drug or dose" in said and "gr.tsv, line 40" in said
    (tmp_path / "gr.tsv").write_bytes(b"PK\x03\x04 cut")
    assert run(tmp_path, words) == 1
    assert "gr.tsv cannot be read as a workbook" in capsys.readouterr().out


def test_a_folder_that_holds_tables_is_left_alone(tmp_path, capsys):
    words, _ = gr_calculator(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "drugs.csv").write_text("mine")
    assert run(tmp_path, words) == 1 and "already" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["drugs.csv"]


def test_a_heading_may_run_over_two_lines(tmp_path, capsys):
    words, _ = gr_calculator(tmp_path)
    text = (tmp_path / "gr.tsv").read_text().replace("replicate", '"replicate\nof the well"', 1)
    (tmp_path / "gr.tsv").write_text(text)
    assert run(tmp_path, words) == 0, capsys.readouterr().out
    found = pd.read_csv(tmp_path / "out" / "responses.csv").merge(truth(2), on=["curve_id", "dose"])
    np.testing.assert_allclose(found.growth_x, found.growth_y, atol=2e-3)


@pytest.mark.parametrize("field", ["9" * 200_000, '"' + "taxol\n" * 40_000])
def test_a_field_without_end_is_named_with_its_file(tmp_path, capsys, field):
    words, _ = gr_calculator(tmp_path)
    with (tmp_path / "gr.tsv").open("a") as file:
        file.write(f"\n{field}\n")
    assert run(tmp_path, words) == 1
    said = capsys.readouterr().out
    assert said.startswith("gr.tsv: field larger than field limit") and len(said.splitlines()) == 1


@pytest.mark.parametrize("name", ["import.md", "responses.parquet"])
def test_notes_and_tables_of_ones_own_are_left_alone(tmp_path, capsys, name):
    words, _ = gr_calculator(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    assert run(tmp_path, words) == 1 and "already" in capsys.readouterr().out
    assert [path.read_text() for path in (tmp_path / "out").iterdir()] == ["mine"]
