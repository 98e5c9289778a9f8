"""A faulty profile is refused before anything starts: exit status 2, one sentence with its file."""

import os

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import run_all
from lib import files
from lib.paths import ROOT
from lib.run import profiles

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [*{before}, *{before}, *{before}, *{before}, *{before}, *{before}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
FAULTY = {  # text of a profile: what the sentence must hold
    # a key twice
    "dataset: open\ndataset: gdsc": "'dataset' stands twice, in lines 1 and 2",
    "sweep:\n  seed: 0\n  lr: 1.0\n  seed: 1": "'seed' stands twice, in lines 2 and 4",
    "notebooks: {01_ingest: {fetch: true, fetch: false}}": "'fetch' stands twice",
    "sweep: [{seed: 0}, {seed: 0, 'seed': 1}]": "'seed' stands twice, in lines 1 and 1",
    # not YAML, or more than YAML should be
    "sweep: &s\n  cohort: *s": "the value of line 1 contains itself",
    "sweep: &s [1, *s]": "the value of line 1 contains itself",
    "sweep: !!python/object/apply:os.system [exit]": "not YAML that can be used",
    "seed: !!int x": "not YAML that can be used",
    "dataset: !!bool perhaps": "not YAML that can be used",
    "dataset: 2020-13-45": "month must be in 1..12",
    "sweep: " + "[" * 3000: "not YAML that can be used",
    "a: [": "not YAML that can be used",
    BOMB: "more than 100,000 values",
    "# " + "x" * 1_100_000: "larger than 1,000,000 bytes",
    # numbers that read as others than they look
    "sweep: {seed: 010}": "'010' reads as another number: write plain digits",
    "sweep: {max_epochs: 1:30}": "'1:30' reads as another number",
    "sweep: {seed: 0x1f}": "'0x1f' reads as another number",
    "sweep: {seed: 0b11}": "'0b11' reads as another number",
    "sweep: {batch_size: 1_000}": "'1_000' reads as another number",
    "sweep: {lr: 1:30.5}": "'1:30.5' reads as another number",
    "resources: {workers: 0x" + "f" * 5000 + "}": "reads as another number",
    "resources: {workers: 1" + ":1" * 500 + ".5}": "reads as another number",
    "seed: !!int [1]": "not YAML that can be used",
    "[]": "it is []: input should be a valid dictionary",
    "0": "it is 0: input should be a valid dictionary",
    # wrong types
    "resources: {workers: 1.5}": "resources.workers is 1.5: input should be a valid integer",
    "resources: {workers: true}": "resources.workers is True",
    "resources: {workers: 1000000}": "resources.workers is 1000000: input should be less than",
    "resources: {time_limit_minutes: .nan}": "time_limit_minutes is nan: input should be a finite",
    "resources: {time_limit_minutes: -1}": "time_limit_minutes is -1",
    "resources: {time_limit_minutes: 50000}": "time_limit_minutes is 50000: input should be less",
    "notebooks: {01_ingest: }": "notebooks.01_ingest is None",
    "notebooks: [1]": "notebooks is [1]: input should be a valid dictionary",
    "notebooks: {1: {}}": "notebooks.1",
    "sweep: [[1, 2]]": "sweep is [[1, 2]]: each entry of it must be a mapping of settings",
    "sweep: [a, b]": "sweep is ['a', 'b']: each entry of it must be a mapping of settings",
    "sweep: {1: 2, a: 3}": "sweep is {1: 2, 'a': 3}: each entry of it must be a mapping",
    "sweep: ": "sweep is None: each entry of it must be a mapping",
    "sweep: 3": "sweep is 3: each entry of it must be a mapping of settings",
    # what run_all sets
    "notebooks: {05_train_sweep: {shard: 5}}": "shard is 5, but run_all.py sets shard",
    "notebooks: {01_ingest: {work_dir: /tmp/x}}": "work_dir is '/tmp/x', but run_all.py sets",
    "notebooks: {06_analysis: {out_dir: x}}": "out_dir is 'x', but run_all.py sets",
    "notebooks: {01_ingest: {dataset: own}}": "dataset is 'own', but run_all.py sets",
    "notebooks: {05_train_sweep: {profile: demo}}": "profile is 'demo', but run_all.py sets",
    # parameters of notebooks
    "notebooks: {05_train_sweep: {keep: [prediction]}}": "keep.0 is 'prediction': input should be",
    "notebooks: {05_train_sweep: {keep: predictions}}": "keep is 'predictions': input should be",
    "notebooks: {06_analysis: {n_screens: -3}}": "n_screens is -3: input should be greater",
    "notebooks: {06_analysis: {n_draws: 0}}": "n_draws is 0: input should be greater",
    "notebooks: {06_analysis: {n_draws: 2.5}}": "n_draws is 2.5: input should be a valid integer",
    "notebooks: {06_analysis: {removal_quantile: 85}}": "removal_quantile is 85: input should be l",
    "notebooks: {06_analysis: {removal_quantile: .nan}}": "removal_quantile is nan",
    "notebooks: {06_analysis: {k_best: }}": "k_best is None: input should be a valid integer",
    "notebooks: {06_analysis: {sweep: results/swep}}": "sweep is 'results/swep', and there is no",
    "notebooks: {01_ingest: {studies: [CCLE, CTPR]}}": "studies.1 is 'CTPR'",
    "notebooks: {01_ingest: {n_folds: 1}}": "n_folds is 1: input should be greater",
    "notebooks: {01_ingest: {fetch: 1}}": "fetch is 1: input should be a valid boolean",
    "notebooks: {03_cell_features: {random_sizes: [32, 0]}}": "random_sizes.1 is 0",
    "notebooks: {03_cell_features: {panels: {../x: [GDSC]}}}": "panels.../x",
    "notebooks: {03_cell_features: {log_form: ln}}": "log_form is 'ln': input should be 'log2p1'",
    "notebooks: {04_drug_features: {drug_blocks: [mordredd]}}": "unknown drug block 'mordredd'",
    "notebooks: {04_drug_features: {timeout_s: 0}}": "timeout_s is 0: input should be greater",
    "dataset: own\nnotebooks: {01_ingest: {data_folder: no/such}}": "data_folder is 'no/such', and",
    "dataset: own\nnotebooks: {01_ingest: {data_folder: "
    + "x" * 300
    + "}}": "there is no such folder",
    'dataset: own\nnotebooks: {01_ingest: {data_folder: "a\\0b"}}': "there is no such folder",
    "notebooks: {01_ingest: {studies: []}}": "studies is []: list should have at least 1 item",
    "notebooks: {01_ingest: {studes: [GDSC]}}": "unknown parameter(s) ['studes']; it declares",
    "notebooks: {03_cell_features: {panels: {}}}": "panels is {}: dictionary should have at least 1",
    "notebooks: {03_cell_features: {panels: {x: []}}}": "panels.x is []: list should have at least 1",
    "notebooks: {03_cell_features: {panels: {" + "x" * 61 + ": [GDSC]}}}": "should match pattern",
    "notebooks: {03_cell_features: {zscored_panels: [aray]}}": "zscored_panels holds 'aray'; choose",
    "notebooks: {04_drug_features: {drug_blocks: []}}": "drug_blocks is []: list should have at least",
    "notebooks: {04_drug_features: {drug_blocks: [smiles_99999]}}": "unknown drug block 'smiles_99999'",
    "notebooks: {04_drug_features: {drug_blocks: [ecfp4_999999]}}": "unknown drug block 'ecfp4_999999'",
    "notebooks: {04_drug_features: {drug_blocks: [ecfp1000_64]}}": "unknown drug block 'ecfp1000_64'",
    "notebooks: {04_drug_features: {timeout_s: 1.0e+300}}": "timeout_s is 1e+300: input should be less",
    "notebooks: {04_drug_features: {dragon_file: no.txt}}": "dragon_file is 'no.txt', and there is no",
    "notebooks: {05_train_sweep: {device: tpu}}": "device is 'tpu': string should match pattern",
    "notebooks: {06_analysis: {smallest_effect: -0.02}}": "smallest_effect is -0.02: input should be g",
    "notebooks: {07_screen: {compounds: no.csv}}": "compounds is 'no.csv', and there is no such file",
    "notebooks: {07_screen: {scale: log}}": "scale is 'log'; choose one of TPM",
    "notebooks: {07_screen: {study: PRISM}}": "study is 'PRISM': input should be",
    "notebooks: {07_screen: {settings: {lr: -1}}}": "lr must be 0 to 1e+100, found -1",
    "notebooks: {07_screen: {settings: {rate: 1}}}": "sweep: unknown key(s) ['rate']",
    # values of the grid
    "sweep: {n_folds: 1000000}": "n_folds must be 2 to 100, found 1000000",
    "sweep: {n_folds: 0}": "n_folds must be 2 to 100, found 0",
    "sweep: {n_folds: -1}": "n_folds must be 2 to 100, found -1",
    "sweep: {n_folds: }": "n_folds must be a whole number, found None",
    f"sweep: {{seed: {list(range(90_000))}}}": "runs, more than 200,000; name fewer levels",
    "sweep: {hidden: [null]}": "hidden must be widths, as [64, 32] or 64x32, found None",
    "sweep: {hidden: wide}": "hidden must be widths, as [64, 32] or 64x32, found 'wide'",
    "sweep: {hidden: [[64, 0.5]]}": "hidden must be widths, as [64, 32] or 64x32, found [64, 0.5]",
    "sweep: {hidden: [[64, -2]]}": "hidden must be 1 to 100000, found -2",
    "sweep: {hidden: [[" + "1, " * 20 + "1]]}": "layers of hidden must be 0 to 20, found 21",
    "sweep: {hidden: " + "x".join(["9"] * 50) + "}": "layers of hidden must be 0 to 20, found 50",
    "sweep: {target_scale: 1.0e-300}": "target_scale must be 1e-06 to 1000000.0, found 1e-300",
    "sweep: {batch_size: 2.5}": "batch_size must be a whole number, found 2.5",
    "sweep: {lr: .nan}": "lr must be a finite number, found nan",
    "sweep: {lr: .inf}": "lr must be a finite number, found inf",
    "sweep: {lr: 8e-4}": "found '8e-4'; in YAML write 8.0e-4, not 8e-4",
    "sweep: {init: .nan}": "init must be a finite number, found nan",
    "sweep: {dropout: .nan}": "dropout must be a finite number, found nan",
    "sweep: {dropout: true}": "dropout must be a finite number, found True",
    "sweep: {seed: -1}": "seed must be 0 to 4294967295, found -1",
    "sweep: {seed: 99999999999999999999999}": "seed must be 0 to 4294967295, found 999",
    "sweep: {max_epochs: 0.5}": "max_epochs must be a whole number, found 0.5",
    "sweep: {model: {a: 1}}": "model must be a text, found {'a': 1}",
    "sweep: {cohort: 21}": "cohort must be a text, found 21",
    "sweep: {baselines: ridge}": "baselines is a list out of ('global_mean'",
    "sweep: {baselines: }": "baselines is a list out of",
    "sweep: {baselines: [rigde]}": "baselines is a list out of",
    "sweep: {fraction: 0.5}": "sweep: unknown key(s) ['fraction']; it takes",
    "sweep: {drug_block: mordredd}": "drug_block is not made by the notebooks "
    "(04_drug_features: {drug_blocks: [...]}): 'mordredd'; choose one of mordred, ",
    "sweep: {drug_block: mordred+dragon7}": "drug_block is not made by the notebooks",
    "sweep: {panel: arrray}": "panel is not made by the notebooks "
    "(03_cell_features: {panels: [...]}): 'arrray'; choose one of array",
    "sweep: {panel: ../../x}": "panel must be a plain name, found '../../x'",
    "sweep: {rnaseq_set: own_../../x}": "rnaseq_set must be one of",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A checkout with the real notebooks, no data, and profiles of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "notebooks").symlink_to(ROOT / "notebooks")
    for name in ("profiles", "data/open/genes"):
        (folder / name).mkdir(parents=True)
    return folder


def listed(root, text):
    (root / "profiles" / "bad.yml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return run_all.main(["--profile", "bad", "--list"], root=root)


@pytest.mark.parametrize("text", FAULTY, ids=range(len(FAULTY)))
def test_a_faulty_profile_is_refused_in_one_sentence(root, capsys, text):
    assert listed(root, text) == 2
    said = capsys.readouterr().err
    assert FAULTY[text] in said and "bad.yml" in said
    assert len(said.splitlines()) == 1 and len(said) < 700


def test_a_profile_in_another_encoding_is_refused_with_its_name(root, capsys):
    for text in (b"\xff\xfed\x00a\x00", b"dataset: \xe9", b"dataset: open\x00"):
        assert listed(root, text) == 2
        assert capsys.readouterr().err.startswith("run_all: bad.yml is not YAML")


def test_a_folder_in_the_place_of_a_profile_is_refused(root, capsys):
    (root / "profiles" / "folder.yml").mkdir()
    assert run_all.main(["--profile", "folder", "--list"], root=root) == 2
    assert "folder.yml is not YAML" in capsys.readouterr().err


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_pipe_or_a_device_in_the_place_of_a_profile_is_refused(root, capsys, make):
    (root / "profiles" / "odd.yml").unlink(missing_ok=True)
    make(root / "profiles" / "odd.yml")
    assert run_all.main(["--profile", "odd", "--list"], root=root) == 2
    assert "odd.yml is not YAML that can be used: it is no plain file" in capsys.readouterr().err


@pytest.mark.parametrize("path", sorted((ROOT / "profiles").glob("*.yml")), ids=lambda p: p.stem)
def test_every_profile_of_the_repository_has_parameters_that_notebooks_take(path):
    profile = profiles.load(path.stem, path.parent, tuple(run_all.GRAPH))
    for notebook in profile.notebooks:
        source = ROOT / "notebooks" / f"{notebook}.ipynb"
        run_all.settings(notebook, source, profile, {"profile": path.stem})


def test_settings_that_override_those_of_an_alias_are_no_repeated_key(tmp_path):
    (tmp_path / "x.yml").write_text("a: &a {seed: 1, lr: 2}\nb: {<<: *a, seed: 3}")
    assert files.read_yaml(tmp_path / "x.yml")["b"] == {"seed": 3, "lr": 2}
    (tmp_path / "empty.yml").write_text("# nothing")
    assert files.read_yaml(tmp_path / "empty.yml") is None


# Minutes of it: FUZZ=30000 python -m pytest tests/run/test_profiles.py -k strange
EXAMPLES = int(os.environ.get("FUZZ", 30))
WORDS = st.sampled_from(
    "dataset notebooks sweep resources workers threads open own official 01_ingest 05_train_sweep "
    "06_analysis studies keep predictions n_folds n_draws k_best data_folder seed lr hidden model "
    "mlp ridge split on_cell snp counts rnaseq_set random_32 drug_block ecfp panel array baselines "
    "dropout init batch_size max_epochs null_control 64x32 8e-4".split()
)
LEAVES = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-3, 40),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.dates(),
    st.binary(max_size=3),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | LEAVES, inner, max_size=4),
    max_leaves=12,
)
PROFILES = st.fixed_dictionaries(
    {},
    optional={
        "dataset": VALUES,
        "notebooks": st.dictionaries(WORDS, st.dictionaries(WORDS, VALUES, max_size=3), max_size=3),
        "sweep": st.dictionaries(WORDS, VALUES, max_size=4) | VALUES,
        "resources": st.dictionaries(WORDS, VALUES, max_size=2) | VALUES,
    },
)


def fuzzed(check):
    """Many strange inputs; the folder is shared, so there is nothing to shrink against."""
    quiet = list(HealthCheck)
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=quiet)(check)


@fuzzed
@given(PROFILES | VALUES)
def test_a_strange_profile_is_listed_or_refused_never_a_traceback(root, profile):
    try:
        text = yaml.safe_dump(profile, allow_unicode=False)
    except (yaml.YAMLError, TypeError):
        return
    assert listed(root, text) in (0, 2)


@fuzzed
@given(st.text(alphabet="[]{}:,&*!|>-'\"#%@`\n\t <a1.", max_size=60))
def test_strange_text_in_place_of_a_profile_is_listed_or_refused(root, text):
    assert listed(root, text) in (0, 2)
