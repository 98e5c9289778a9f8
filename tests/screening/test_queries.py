"""What is asked: files of compounds, names of lines, tables of expression; nothing is lost."""

import gzip

import made_screen
import numpy as np
import pandas as pd
import pytest
from rdkit import Chem

from lib.screening import model, queries
from lib.screens import texts


@pytest.fixture(scope="module")
def read(made):
    return model.read(made / "model")


def written(folder, name, text):
    path = folder / name
    path.write_text(text)
    return path


CSV = "Name,SMILES\nethanol,CCO\npropanol,CCCO\n"


def test_the_same_compounds_come_from_every_format(tmp_path):
    table = pd.DataFrame({"Title": ["ethanol", "propanol"], "Canonical_SMILES": ["CCO", "CCCO"]})
    table.to_parquet(tmp_path / "a.parquet")
    with Chem.SDWriter(str(tmp_path / "a.sdf")) as writer:
        for name, smiles in (("ethanol", "CCO"), ("propanol", "CCCO")):
            molecule = Chem.MolFromSmiles(smiles)
            molecule.SetProp("_Name", name)
            writer.write(molecule)
    paths = [
        written(tmp_path, "a.csv", CSV),
        written(tmp_path, "a.smi", "CCO ethanol\n\nCCCO\tpropanol\n"),
        tmp_path / "a.parquet",
        tmp_path / "a.sdf",
    ]
    for path in paths:
        found = queries.read_compounds(path)
        assert found.to_dict("list") == {
            "compound": ["ethanol", "propanol"],
            "smiles": ["CCO", "CCCO"],
        }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "", "is missing or empty"),
        ("a.csv", "\n\n", "no column of SMILES|cannot be read"),
        ("a.csv", "smiles\n", "has a header and no row"),
        ("a.smi", "\n\n", "holds no compound"),
        ("a.sdf", "\n", "holds no compound"),
        ("a.csv", "name,formula\nx,C2H6O\n", "no column of SMILES among"),
        ("a.csv", 'smiles\n"CCO\n', "cannot be read"),
        ("a.csv", "smiles,name\nCCO,a,b\n", "line 2: 3 fields where the header has 2"),
        ("a.csv", "smiles,smiles\nCCO,CC\n", "stand twice in the header"),
        ("a.csv", "smiles\rCCO\r", "carriage returns alone"),
        ("a.csv", "smiles,name\nCCO,\xe9\n".encode("latin-1"), "is not UTF-8 text"),
        ("a.csv", "smiles\nCCO\n".encode("utf-16"), "no UTF-8 text: a workbook"),
        ("a.csv", b"PK\x03\x04\0\0a workbook under another name", "no UTF-8 text: a workbook"),
        ("a.smi", b"CCO\0", "no UTF-8 text"),
        ("a.parquet", "not parquet", "cannot be read"),
        ("a.xlsx", "CCO", "ends in one of"),
        ("a", "CCO", "ends in one of"),
    ],
)
def test_a_file_that_cannot_be_used_gets_one_sentence(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as raised:
        queries.read_compounds(path)
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("read_file", [queries.read_compounds, queries.read_expression])
def test_a_file_that_is_not_there_gets_one_sentence(tmp_path, read_file):
    with pytest.raises(ValueError, match="none.csv is missing or empty"):
        read_file(tmp_path / "none.csv")
    with pytest.raises(ValueError, match="is missing or empty"):
        read_file(tmp_path.with_suffix(".csv"))


def test_a_compound_may_have_any_name_and_its_number_stands_where_it_has_none(tmp_path):
    text = "name,smiles\nNA,CCO\nnan,CCC\n007,CCN\n,CCCl\nnull,\n"
    found = queries.read_compounds(written(tmp_path, "a.csv", text))
    assert found.compound.tolist() == ["NA", "nan", "007", "row 4", "null"]
    assert found.smiles.isna().tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_every_separator_and_line_end_is_read(tmp_path, mark, encoding, end):
    rows = [("Name", " SMILES"), ("β-ol", "CCO"), ("b", "CC(=O)O")]
    path = tmp_path / "a.txt"
    path.write_bytes("".join(mark.join(row) + end for row in rows).encode(encoding))
    found = queries.read_compounds(path)
    assert found.compound.tolist() == ["β-ol", "b"] and found.smiles.tolist() == ["CCO", "CC(=O)O"]


@pytest.mark.parametrize(
    ("structure", "name"),
    [
        ("Canonical SMILES", "Compound Name"),
        ("CanonicalSMILES", "compound_id"),
        ("isomeric_smiles", "Drug-Name"),
        (" Smiles ", "TITLE"),
    ],
)
def test_columns_are_known_in_any_spelling(tmp_path, structure, name):
    text = f"MW,{name},{structure}\n46,ethanol,CCO\n"
    found = queries.read_compounds(written(tmp_path, "a.csv", text))
    assert found.to_numpy().tolist() == [["ethanol", "CCO"]]


def test_a_header_of_a_smi_file_is_no_compound(tmp_path):
    for head in ("SMILES Name", "smiles"):
        found = queries.read_compounds(written(tmp_path, "a.smi", f"{head}\nCCO ethanol\n"))
        assert found.compound.tolist() == ["ethanol"]


def test_packed_text_and_a_table_in_memory_are_read_as_a_file_is(tmp_path):
    (tmp_path / "a.CSV.gz").write_bytes(gzip.compress(CSV.encode()))
    table = pd.DataFrame({"Name": ["ethanol", "propanol"], "SMILES": ["CCO", "CCCO"]})
    packed = queries.read_compounds(tmp_path / "a.CSV.gz")
    pd.testing.assert_frame_equal(packed, queries.read_compounds(table.set_index([[7, 9]])))
    with pytest.raises(ValueError, match="the table has no column of SMILES"):
        queries.read_compounds(table[["Name"]])


def test_a_broken_record_of_an_sdf_keeps_its_row(tmp_path):
    good = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    path = written(tmp_path, "a.sdf", f"{good}$$$$\nbroken\n\n\nnonsense\n$$$$\n{good}$$$$\n")
    found = queries.read_compounds(path)
    assert len(found) == 3 and found.smiles.isna().tolist() == [False, True, False]


def described(read, **smiles):
    compounds = pd.DataFrame({"compound": smiles.keys(), "smiles": smiles.values()})
    return queries.describe_compounds(read, compounds)


def test_broken_structures_keep_their_row_and_reason_among_good_ones(read):
    table, x = described(read, a="CCO", b="C1CC", c=None, d="", e="CCC(C)(C)(C)C", f="c1ccccc1")
    assert table.compound.tolist() == list("abcdef")
    assert (table.reason != "").tolist() == [False, True, True, True, True, False]
    assert table.reason[1].startswith("broken SMILES") and "no SMILES" in table.reason[2]
    assert np.isfinite(x).all()


def test_where_no_structure_can_be_read_it_says_so(read):
    with pytest.raises(ValueError, match="no compound can be read; the first: broken SMILES"):
        described(read, a="C1CC", b="x")


def test_what_is_odd_is_flagged_and_still_predicted(read):
    table, _ = described(
        read,
        plain="CC(=O)Nc1ccc(OC)cc1",
        salt="CN1CCCC1c1cccnc1.Cl",
        mixture="CC(=O)Nc1ccc(O)cc1.CC(C)Cc1ccc(cc1)C(C)C(=O)O",
        metal="[NH3][Pt]([NH3])(Cl)Cl",
        polymer="*CC*",
        again="CC(=O)Nc1ccc(OC)cc1",
        other="FC(F)(F)C(F)(F)C(F)(F)C(F)(F)F",
    )
    flag = table.set_index("compound").flag
    assert (table.reason == "").all()
    assert flag["plain"] == ""
    assert "salt or solvent" in flag["salt"] and "mixture" not in flag["salt"]
    assert "mixture of 2 compounds" in flag["mixture"]
    assert "metal complex (Pt)" in flag["metal"] and "mean effects alone" in flag["metal"]
    assert "polymer" in flag["polymer"]
    assert "same compound as an earlier row" in flag["again"]
    assert "unlike every training drug" in flag["other"]


def test_what_has_no_descriptors_is_near_to_nothing_and_no_copy_of_another(read):
    table, _ = described(
        read,
        broken="C1CC",
        open="*CC*",
        longer="*CCCCC*",
        metal="[NH3][Pt]([NH3])(Cl)Cl",
        good="CCO",
    )
    assert table.similarity.notna().tolist() == (table.compound == "good").tolist()
    assert (table.nearest != "").tolist() == (table.compound == "good").tolist()
    assert not table.flag.str.contains("same compound").any()


def test_a_repeat_unit_is_a_polymer_though_its_unit_is_a_molecule(read):
    table, _ = described(read, unit="CCO", polymer="CCO |Sg:n:0,1:3:ht|")
    assert "polymer" not in table.flag[0] and "polymer" in table.flag[1]


def test_a_salt_is_its_parent(read):
    table, x = described(read, base="CN1CCCC1c1cccnc1", salt="CN1CCCC1c1cccnc1.Cl")
    assert table.known.all() and table.drug_id.nunique() == 1
    np.testing.assert_array_equal(x[0], x[1])


def test_similarity_is_rdkits(read):
    from rdkit import DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    table, _ = described(read, a="CC(=O)Nc1ccc(OC)cc1", b="CCOC(=O)c1ccccc1")
    make = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    known = [make.GetFingerprint(Chem.MolFromSmiles(s)) for s in read.tables["drugs"].smiles]
    for row in table.itertuples():
        own = make.GetFingerprint(Chem.MolFromSmiles(row.smiles))
        expected = np.array(DataStructs.BulkTanimotoSimilarity(own, known))
        assert row.similarity == pytest.approx(expected.max(), abs=1e-6)
        assert row.nearest == read.tables["drugs"].drug_name[expected.argmax()]


def test_lines_are_found_by_any_spelling_or_id(read):
    names = ["LN-3", "ln3", "Ln 3", "ACH-000003", "CVCL_0003"]
    table, x = queries.find_lines(read, names)
    assert (table.cell_id == "ACH-000003").all() and (table.reason == "").all()
    np.testing.assert_array_equal(x[0], x[4])


def test_a_line_without_responses_is_new(read):
    table, _ = queries.find_lines(read, ["LN-1", "LN-35"])
    assert table.known.tolist() == [True, False]


def test_all_is_every_line_with_a_profile(read):
    table, x = queries.find_lines(read, ["all"])
    assert len(table) == len(x) == 36 and table.reason.eq("").all()


def test_a_line_that_nobody_knows_gets_a_reason_and_near_names(read):
    table, _ = queries.find_lines(read, ["LN-1", "LN-334", "zzz"])
    assert table.reason[0] == ""
    assert "LN33" in table.reason[1] and "expression table" in table.reason[2]


def test_a_name_of_two_lines_is_not_guessed(read):
    names = read.tables["names"]
    twice = pd.concat([names, names.iloc[[0]].assign(name="LN5")], ignore_index=True)
    other = model.Model(read.facts, read.arrays, read.tables | {"names": twice})
    table, _ = queries.find_lines(other, ["LN-5"])
    assert "names 2 lines" in table.reason[0]


def own_table(n, seed=5, genes=made_screen.GENES):
    values = np.random.default_rng(seed).normal(5, 2, size=(n, len(genes))).clip(0.1)
    table = pd.DataFrame(values, columns=genes)
    table.insert(0, "line", [f"mine{i}" for i in range(n)])
    return table


def test_the_profile_of_a_training_line_gives_its_features(made, read):
    """The profile is on the panel's scale already; z-scoring within the line leaves ranks alone."""
    profiles = pd.read_parquet(made / "work" / "profiles_array.parquet")
    table = profiles.drop(columns="profile_source").iloc[:30]
    found, x = queries.own_lines(read, table, "RMA")
    known = read.arrays["line_x"].astype(float)
    likeness = np.array([np.corrcoef(x[i], known[i])[0, 1] for i in range(30)])
    assert (likeness > 0.95).all() and not found.known.any()
    assert found.flag.str.startswith("own expression").all()


def test_few_own_lines_are_scaled_as_the_source_and_say_so(read):
    found, x = queries.own_lines(read, own_table(3), "log2(TPM+1)")
    assert found.flag.str.contains("scaled as GDSC").all() and np.isfinite(x).all()


def test_the_unit_and_offset_of_another_platform_drop_out(made, read):
    profiles = pd.read_parquet(made / "work" / "profiles_array.parquet")
    table = profiles.drop(columns="profile_source").iloc[:3].copy()
    table[made_screen.GENES] = 2.5 * table[made_screen.GENES] + 7
    x = queries.own_lines(read, table, "RMA")[1]
    known = read.arrays["line_x"].astype(float)
    assert all(np.corrcoef(x[i], known[i])[0, 1] > 0.97 for i in range(3))
    assert np.abs(x - known[:3]).mean() < 0.35


def test_linear_values_are_logged_as_declared(read):
    logged = own_table(25)
    genes = made_screen.GENES
    linear = logged.copy()
    linear[genes] = 2 ** logged[genes] - 1
    total = linear[genes].sum(axis=1)
    linear[genes] = linear[genes].mul(1e6 / total, axis=0)
    per_million = linear.copy()
    per_million[genes] = np.log2(linear[genes] + 1)
    first = queries.own_lines(read, linear, "TPM")[1]
    second = queries.own_lines(read, per_million, "log2(TPM+1)")[1]
    np.testing.assert_allclose(first, second, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "scale", "message"),
    [
        (lambda t: t.iloc[:0], "log2(TPM+1)", "no line"),
        (lambda t: t.set_index("line"), "log2(TPM+1)", "begins with the gene G00"),
        (lambda t: pd.concat([t, t]), "log2(TPM+1)", "twice"),
        (lambda t: t.rename(columns=str.lower), "log2(TPM+1)", "0 of the 40 genes"),
        (lambda t: t.drop(columns=made_screen.GENES[:10]), "log2(TPM+1)", "30 of the 40 genes"),
        (lambda t: t.assign(G03=9000.0), "log2(TPM+1)", "9,000 cannot be on the scale"),
        (lambda t: t.assign(G03=[[1]] * 4), "log2(TPM+1)", "what is no number"),
        (lambda t: t, "counts", "'counts' is not known"),
        (lambda t: t, None, "None' is not known"),
        (lambda t: t.assign(G03=-5.0), "TPM", "-5 cannot be on the scale"),
        (lambda t: t, "TPM", "no value is above 20, too low for TPM: are these logarithms"),
        (lambda t: t.assign(G03=np.nan), "FPKM", "no value is above 20, too low for FPKM"),
        (lambda t: t.assign(G03="high"), "log2(TPM+1)", "could not convert"),
    ],
)
def test_a_table_that_cannot_be_used_gets_one_sentence(read, change, scale, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace("None'", "None")):
        queries.own_lines(read, change(own_table(4)), scale)


def test_a_few_missing_genes_are_average(read):
    table = own_table(25).drop(columns=made_screen.GENES[:3])
    found, x = queries.own_lines(read, table, "log2(TPM+1)")
    assert (x[:, :3] == 0).all() and len(found) == 25


def test_a_line_without_values_keeps_its_row_and_reason_among_good_ones(read):
    for n in (4, 25):
        table = own_table(n)
        table.loc[1, made_screen.GENES[:20]] = np.nan
        found, x = queries.own_lines(read, table, "log2(TPM+1)")
        assert found.index[found.reason != ""].tolist() == [1]
        assert "values for only 50% of the genes" in found.reason[1] and np.isfinite(x).all()
    table.loc[1, made_screen.GENES] = np.nan
    assert "0% of the genes" in queries.own_lines(read, table, "log2(TPM+1)")[0].reason[1]


@pytest.mark.parametrize("scale", ["log2(TPM+1)", "TPM"])
@pytest.mark.parametrize("zscored", [False, True])
def test_a_flat_profile_keeps_its_row_and_reason_among_good_ones(read, scale, zscored):
    other = model.Model(read.facts | {"zscored": zscored}, read.arrays, read.tables)
    table = own_table(4)
    if scale == "TPM":
        table[made_screen.GENES] = 2 ** table[made_screen.GENES] - 1
    whole, x_whole = queries.own_lines(other, table.drop(index=1), scale)
    table.loc[1, made_screen.GENES] = 0.0
    found, x = queries.own_lines(other, table, scale)
    assert (found.reason != "").tolist() == [False, True, False, False]
    assert "flat" in found.reason[1] and found.line.tolist() == table.line.tolist()
    np.testing.assert_array_equal(x[[0, 2, 3]], x_whole)


def test_an_expression_file_is_read_with_its_names_as_they_are(tmp_path):
    text = "\ufeff;A;B\nA-1;1;2.5\n007;NA;4e-1\n"
    found = queries.read_expression(written(tmp_path, "a.csv", text))
    assert found.iloc[:, 0].tolist() == ["A-1", "007"]
    np.testing.assert_allclose(found[["A", "B"]], [[1, 2.5], [np.nan, 0.4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("line,A,B\nx,1,high\n", "line 2: column 'B' must be a number, found 'high'"),
        ("line;A;B\nx;1;2,5\n", "decimal comma"),
        ("line,A,A\nx,1,2\n", "stand twice"),
        ("line,A\nx,inf\n", "must be a number, found 'inf'"),
        ("line,A\n,1\n", "is empty; every row needs it"),
    ],
)
def test_a_value_that_is_no_number_is_named_with_its_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        queries.read_expression(written(tmp_path, "a.csv", text))


@pytest.mark.parametrize("name", ["c.smi.gz", "c.sdf.gz", "c.csv.gz"])
def test_a_packed_file_of_compounds_that_grows_without_end_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setattr(texts, "SMALL", 1 << 16)
    (tmp_path / name).write_bytes(gzip.compress(b"CCO" * 1_000_000))
    with pytest.raises(ValueError, match=f"{name} cannot be read: .*more than 100 times its size"):
        queries.read_compounds(tmp_path / name)
