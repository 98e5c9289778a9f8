"""From a file of compounds to a ranked table, by one call and by the command line."""

import json
import shutil

import made_screen
import numpy as np
import pandas as pd
import pytest

from lib import addresses, files
from lib.paths import ROOT
from lib.screening import model, screen

COMPOUNDS = pd.DataFrame(
    {
        "compound": ["aspirin", "new", "broken", "cisplatin"],
        "smiles": [made_screen.SMILES["aspirin"], "CCOC(=O)c1ccccc1", "C1CC", "N[Pt](N)(Cl)Cl"],
    }
)


def hits(made, compounds=COMPOUNDS, lines=("LN-1", "LN-35"), **options):
    frames = list(screen.screen(compounds, list(lines), made / "model", **options))
    return pd.concat(frames, ignore_index=True)


def test_every_pair_has_its_kind_and_every_bad_row_its_reason(made):
    found = hits(made, lines=["LN-1", "LN-35", "nobody"])
    kinds = found.set_index(["line", "compound"]).newness
    assert kinds["LN-1", "aspirin"] == "both known" and kinds["LN-1", "new"] == "new drug"
    assert kinds["LN-35", "aspirin"] == "new line" and kinds["LN-35", "new"] == "both new"
    refused = found[found.reason != ""]
    assert set(refused.line + refused.compound) == {"nobody", "broken"}
    assert refused.predicted.isna().all() and found.columns.tolist() == screen.COLUMNS


def test_compounds_are_ranked_within_a_line_and_a_kind_of_newness(made):
    """A new compound lies near the mean: beside known ones its rank would say nothing."""
    names = ["aspirin", "caffeine", "nicotine"]
    known = pd.DataFrame({"compound": names, "smiles": [made_screen.SMILES[n] for n in names]})
    new = pd.DataFrame({"compound": ["new", "other"], "smiles": ["CCOC(=O)c1ccccc1", "CCCCO"]})
    found = hits(made, pd.concat([known, new]))
    for kind, own in found.groupby(["line", "newness"]):
        assert own.predicted.is_monotonic_increasing
        assert own["rank"].tolist() == list(range(1, 4 if set(own.compound) <= set(names) else 3))
        assert own.index[-1] - own.index[0] == len(own) - 1, kind  # one after the other
    assert (found.low <= found.predicted).all() and (found.high >= found.predicted).all()


def test_every_row_says_of_which_study_level_and_model_it_is(made, tmp_path):
    found = hits(made, lines=["LN-1", "nobody"], study="GDSC", level=0.8)
    weights = files.sha256(made / "model" / "arrays.npz")
    about = found[["study", "level", "model"]].drop_duplicates()
    assert about.to_numpy().tolist() == [["GDSC", 0.8, f"model {weights[:12]}"]]
    assert set(hits(made).study) == {model.read(made / "model").facts["study"]}


def test_what_has_no_descriptors_gets_the_mean_effects(made):
    found = hits(made, study="GDSC").set_index(["line", "compound"])
    read = model.read(made / "model")
    base = read.base("new drug", "GDSC", ["ACH-000001"], ["none"])[0, 0]
    assert found.predicted["LN-1", "cisplatin"] == pytest.approx(base, abs=1e-6)
    assert "mean effects alone" in found.flag["LN-1", "cisplatin"]


def test_a_study_moves_the_level_and_its_name_is_checked(made):
    one = hits(made, study="CCLE").set_index(["line", "compound"]).predicted
    other = hits(made, study="GDSC").set_index(["line", "compound"]).predicted
    assert (other - one).dropna().between(0.005, 0.04).all()
    with pytest.raises(ValueError, match="study must be one of .*'CCLE'.* found 'PRISM'"):
        hits(made, study="PRISM")


def test_more_confidence_widens_the_interval(made):
    narrow, wide = hits(made, level=0.5), hits(made, level=0.8)
    assert ((wide.high - wide.low) >= (narrow.high - narrow.low))[wide.reason == ""].all()


def test_predictions_follow_the_planted_response(made):
    """The made response falls with gene G00: lines are ordered by it, also those never measured."""
    profiles = pd.read_parquet(made / "work" / "profiles_array.parquet").set_index("cell_id").G00
    found = hits(made, COMPOUNDS.iloc[:1], lines=["all"])
    assert np.corrcoef(found.predicted, profiles[found.cell_id])[0, 1] > 0.6


def test_the_folder_read_elsewhere_gives_the_same_numbers(made, tmp_path):
    shutil.copytree(made / "model", tmp_path / "model")
    first, second = hits(made), hits(tmp_path)
    np.testing.assert_allclose(first.predicted, second.predicted, atol=1e-6)
    np.testing.assert_allclose(first.high, second.high, atol=1e-6)


def test_it_ranks_an_own_new_line(made):
    profiles = pd.read_parquet(made / "work" / "profiles_array.parquet")
    table = profiles.drop(columns="profile_source").iloc[33:].assign(cell_id=["a", "b", "c"])
    frames = screen.screen(COMPOUNDS, table, made / "model", scale="RMA")
    found = pd.concat(frames)
    assert set(found.line) == {"a", "b", "c", ""}
    assert set(found.newness) == {"new line", "both new", ""}
    assert found.flag[found.reason == ""].str.contains("own expression").all()


def test_a_kind_that_could_not_be_trained_gives_rows_with_the_reason(made, copied):
    read = model.read(copied)
    read.facts["kinds"]["new drug"] = {"reason": "5 distinct key(s) cannot fill 6 folds"}
    model.write(read, copied)
    found = hits(copied.parent)
    untold = found[(found.newness == "new drug")]
    assert len(untold) and untold.reason.str.contains("no network for new drug: 5 distinct").all()
    assert found.predicted.notna().any()


def csv(folder, text):
    path = folder / "mine.csv"
    path.write_text(text)
    return str(path)


GOOD = "name,smiles\na,CCO\nb,CCCO\n"
MIXED = "name,smiles\na,CCO\nb,C1CC\n"
BAD = "name,smiles\na,C1CC\n"


@pytest.mark.parametrize(
    ("text", "lines", "status", "rows"),
    [
        (GOOD, "LN-1,LN-2", 0, 4),
        (MIXED, "LN-1,LN-2", 1, 3),
        (GOOD, "LN-1,nobody", 1, 3),
        (GOOD, "nobody", 2, 1),
        (BAD, "LN-1", 2, None),
        ("", "LN-1", 2, None),
    ],
)
@pytest.mark.parametrize("kind", screen.OUTPUTS)
def test_the_exit_status_says_which(made, tmp_path, capsys, text, lines, status, rows, kind):
    out = tmp_path / f"hits{kind}"
    given = ["--compounds", csv(tmp_path, text), "--lines", lines, "--out", str(out)]
    assert screen.main([*given, "--model", str(made / "model")]) == status
    assert out.exists() == (rows is not None)
    if rows is not None:
        read = {".csv": pd.read_csv, ".parquet": pd.read_parquet}[kind]
        assert len(read(out)) == rows
    else:
        assert capsys.readouterr().err.startswith("screen: ")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--model", "nowhere"], "is no model folder"),
        (["--out", "hits.xlsx"], "ends in one of"),
        (["--expression", "none.csv"], "none.csv is missing or empty"),
        (["--lines", ","], "no line is asked for"),
        (["--level", "90"], "level must be a share between 0 and 1, found 90"),
        (["--study", "PRISM"], "study must be one of"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(made, tmp_path, capsys, more, message):
    given = ["--compounds", csv(tmp_path, GOOD), "--model", str(made / "model")]
    assert screen.main([*given, "--out", str(tmp_path / "x.csv"), *more]) == 2
    assert message in capsys.readouterr().err
    assert screen.main([]) == 2 and "--compounds" in capsys.readouterr().err


COMMAND = ["--lines", "LN-1,LN-2"]


def test_it_prints_the_first_rows_and_where_they_are(made, tmp_path, capsys):
    out = tmp_path / "hits.csv"
    given = ["--compounds", csv(tmp_path, GOOD), "--model", str(made / "model")]
    screen.main([*given, *COMMAND, "--out", str(out)])
    said = capsys.readouterr().out
    assert f"{out}: 4 pairs predicted" in said and "\x1b" not in said
    shown = said.splitlines()[:-1]
    assert shown[0].split()[:4] == ["line", "compound", "newness", "rank"] and len(shown) == 5
    first = pd.read_csv(out).iloc[0]
    assert f"{first.predicted:.2f}".rstrip("0") in shown[1] and first.line in shown[1]


@pytest.mark.parametrize("name", ["hits.csv", "hits.parquet"])
def test_it_replaces_its_own_results_and_keeps_what_is_not_its_own(made, tmp_path, capsys, name):
    out = tmp_path / name
    given = ["--compounds", csv(tmp_path, GOOD), "--model", str(made / "model"), *COMMAND]
    given = [*given, "--out", str(out)]
    assert screen.main(given) == 0 == screen.main(given)
    own = pd.DataFrame({"line": ["LN-1"], "measured": [0.5]})
    for write in (
        lambda: own.to_csv(out) if out.suffix == ".csv" else own.to_parquet(out),
        lambda: out.write_text("notes of mine"),
        lambda: out.write_bytes(b""),
    ):
        write()
        before = out.read_bytes()
        assert screen.main(given) == 2
        assert "is no result of this command and is kept: give" in capsys.readouterr().err
        assert out.read_bytes() == before
    assert screen.main([*given, "--force"]) == 0 and len(capsys.readouterr().out) > 100


def test_the_help_says_what_a_rank_is_and_where_results_go(capsys):
    with pytest.raises(SystemExit):
        screen.main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Rank 1 is the lowest predicted AUC" in said and RANKS in said
    assert "default: hits.parquet" in said and "--force" in said


RANKS = (
    "anks are within a kind of newness: a new compound lies near the mean, so it cannot be "
    "compared with a known one"
)


@pytest.mark.parametrize("name", ["examples/own_compounds/README.md", "notebooks/07_screen.ipynb"])
def test_the_readers_are_told_that_ranks_are_within_a_kind(name):
    assert RANKS in " ".join((ROOT / name).read_text().split())


def test_the_example_explains_every_column():
    text = (ROOT / "examples" / "own_compounds" / "README.md").read_text()
    assert [name for name in screen.COLUMNS if f"`{name}`" not in text] == []


def test_memory_does_not_grow_with_the_pairs(made):
    """One frame per line is alive at a time, whatever the number of lines."""
    frames = screen.screen(COMPOUNDS, ["all"], made / "model")
    assert {len(frame) for frame in frames} == {3, 1}


def table(name, change):
    """Change a table of a stranger's model."""

    def damage(folder):
        path = folder / f"{name}.parquet"
        change(pd.read_parquet(path)).to_parquet(path)

    return damage


def arrays(change):
    """Change the arrays of a stranger's model."""

    def damage(folder):
        with np.load(folder / "arrays.npz") as stored:
            found = dict(stored)
        change(found)
        np.savez_compressed(folder / "arrays.npz", **found)

    return damage


def facts(**changes):
    """Change the notes of a stranger's model."""

    def damage(folder):
        noted = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps(noted | changes))

    return damage


def signed(folder):
    """Note the hashes of a folder as a stranger would who changed it."""
    noted = json.loads((folder / "model.json").read_text())
    for name in noted["sha256"]:
        if isinstance(noted["sha256"][name], str):
            noted["sha256"][name] = files.sha256(folder / name)
    del noted["itself"]
    noted["itself"] = addresses.combined(noted)
    (folder / "model.json").write_text(json.dumps(noted))


STRANGERS = {
    "lines without ids": table("lines", lambda t: t.drop(columns="cell_id")),
    "fewer lines than features": table("lines", lambda t: t.iloc[:5]),
    "every line the same": table("lines", lambda t: t.assign(cell_id="a")),
    "drugs without structures": table("drugs", lambda t: t.drop(columns="smiles")),
    "calibration without kinds": table("calibration", lambda t: t.drop(columns="kind")),
    "calibration of texts": table("calibration", lambda t: t.assign(predicted="x")),
    "no scaler": arrays(lambda a: a.pop("drug/median")),
    "a scaler of another width": arrays(lambda a: a.update({"drug/median": np.zeros(3)})),
    "weights of another width": arrays(lambda a: a.update({"new drug/drug": np.zeros((1, 1, 1))})),
    "weights of texts": arrays(lambda a: a.update({"new drug/bias0": np.array(["x"])})),
    "no kinds": facts(kinds={}),
    "a list of kinds": facts(kinds=[]),
    "kinds without a mean": facts(kinds=dict.fromkeys(["new drug", "both known"], {"reason": ""})),
    "studies in one text": facts(studies="GDSC", study="GDSC"),
    "a block of a billion columns": facts(drug_block="smiles_999999999"),
    "a block that leads elsewhere": facts(drug_block="../../x"),
    "notes without packages": facts(packages=None),
    "hashes that are numbers": facts(sha256={"arrays.npz": 1}),
    "a format in words": facts(format="one"),
}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_strangers_model_is_refused_in_one_sentence(copied, tmp_path, capsys, kind):
    STRANGERS[kind](copied)
    signed(copied)
    out = tmp_path / "hits.csv"
    given = ["--compounds", csv(tmp_path, GOOD), "--model", str(copied), "--out", str(out)]
    assert screen.main([*given, *COMMAND]) == 2
    said = capsys.readouterr().err
    assert said.startswith("screen: ") and len(said.splitlines()) == 1 and not out.exists()


def test_tables_that_grow_without_end_are_refused_before_they_are_read(
    copied, tmp_path, capsys, monkeypatch
):
    rows = pd.DataFrame({"cell_id": pd.Series(["a"] * 500_000, dtype="category")})
    rows.to_parquet(copied / "lines.parquet")
    assert (copied / "lines.parquet").stat().st_size < 20_000
    signed(copied)
    monkeypatch.setattr(model, "MOST_BYTES", 40_000_000)
    given = ["--compounds", csv(tmp_path, GOOD), "--model", str(copied), *COMMAND]
    assert screen.main([*given, "--out", str(tmp_path / "hits.csv")]) == 2
    assert "more than 40,000,000" in capsys.readouterr().err
