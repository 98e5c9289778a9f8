"""A grid says exactly what will run, refuses what it does not know, and keeps its order."""

import subprocess
import sys

import pytest

from lib.paths import ROOT, STUDIES
from lib.splits import SPLITS
from lib.sweep import grid

SWEEP = dict(
    snp=["none", "counts"], model=["mlp", "gated"], dropout=[0.0, 0.2], split=["on_cell", "on_drug"]
)


def spec(**changes):
    return grid.RunSpec.from_dict(grid.DEFAULTS | {"fold": 0} | changes)


def test_unknown_and_missing_keys_are_both_listed():
    values = grid.DEFAULTS | {"fold": 0, "droput": 0.1}
    del values["seed"]
    with pytest.raises(
        ValueError, match=r"unknown key\(s\) \['droput'\], missing key\(s\) \['seed'\]"
    ):
        grid.RunSpec.from_dict(values)
    with pytest.raises(ValueError, match=r"sweep: unknown key\(s\) \['sclaing'\]"):
        grid.expand({"sclaing": ["none"]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": "8e-4"}, "lr must be a finite number, found '8e-4'; in YAML write 8.0e-4"),
        ({"n_folds": 2.5}, "n_folds must be a whole number, found 2.5"),
        ({"fold": 3}, "fold must be 0 to 2, found 3"),
        ({"dropout": 1.0}, "dropout must be 0 to 0.99, found 1.0"),
        ({"model": "transformer"}, "model must be one of .* found 'transformer'"),
        ({"hidden": ()}, "a network needs hidden widths"),
        ({"max_epochs": 0}, "a network needs .* max_epochs above 0"),
        ({"optimizer": "none"}, "a network needs an optimizer and a baseline none, found 'none'"),
        ({"model": "ridge"}, "a network needs an optimizer and a baseline none, found 'adam'"),
        (
            {"target": "ic50"},
            r"target must be one of \('auc', 'auc_common', 'auc_tested', 'auc_published_curve'\), "
            "found 'ic50'",
        ),
        ({"repeat": -1}, "repeat must be 0 to 1000, found -1"),
        ({"target_scale": 0.0}, "target_scale must be 1e-06 to 1000000.0, found 0.0"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 to 1000, found -1.0"),
        ({"input_dropout": 1.0}, "input_dropout must be 0 to 0.99, found 1.0"),
        (
            {"offset": "study+line"},
            "offset 'study\\+line' names line, which on_cell holds out: use 'study\\+drug'",
        ),
        ({"offset": "drug", "split": "scaffold_out"}, "names drug, which scaffold_out holds out"),
        ({"offset": "study", "split": "study_out"}, "names study, which study_out holds out"),
        ({"offset": "drug+study"}, "offset must be one of .* found 'drug\\+study'"),
        ({"snp": "count"}, "snp must be one of none, counts, log1p, rank, binary, found 'count'"),
        (
            {"rnaseq_set": "lincs"},
            "rnaseq_set must be one of all, lincs1000, .* random_<n>, .* found 'lincs'",
        ),
        ({"rnaseq_set": "random_0"}, "rnaseq_set must be one of .* found 'random_0'"),
        (
            {"null_control": "permuted"},
            "null_control must be one of none, permuted_genes, .* found 'permuted'",
        ),
        ({"null_control": "none_draw2"}, "null_control must be one of .* found 'none_draw2'"),
        (
            {"split": "by_cell"},
            "split must be one of .*'study_out', 'both_unseen'.* found 'by_cell'",
        ),
    ],
)
def test_a_bad_value_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        spec(**change)


def test_run_id_is_readable_differs_for_every_field_and_survives_a_round_trip():
    base = spec()
    assert base.run_id.startswith(
        "array-source-lincs1000-snp_none-mordred-all-on_cell-r0f0-mlp-64x32-d0-vanilla-adam-s0."
    )
    others = [
        spec(fold=1),
        spec(lr=1e-3),
        spec(patience="tuned"),
        spec(selection="paper"),
        spec(hidden=(32, 32)),
    ]
    assert len({s.run_id for s in [base, *others]}) == 6
    assert grid.RunSpec.from_dict(base.to_dict()) == base


def test_a_start_other_than_the_papers_is_in_the_name():
    assert spec(init=0.1).run_id != spec().run_id and "-i0.1-" in spec(init=0.1).run_id


def test_folds_of_a_configuration_share_its_id_and_nothing_else_does():
    assert spec(fold=1).config_id == spec().config_id
    assert spec(repeat=1).config_id == spec().config_id
    assert spec(seed=1).config_id != spec().config_id


def test_the_sound_recipe_takes_off_what_each_split_leaves_known_and_gives_way_to_a_named_field():
    specs = grid.expand({"recipe": "sound", "split": list(SPLITS), "input_dropout": 0.25})
    networks = [s for s in specs if s.model == "mlp"]
    offsets = {s.split: s.offset for s in networks}
    assert offsets.keys() == set(SPLITS)
    known = {
        "on_cell": "study+drug",
        "tissue_out": "study+drug",
        "on_drug": "study+line",
        "scaffold_out": "study+line",
        "study_out": "drug+line",
        "both_unseen": "study",
    }
    assert offsets | known == offsets
    assert {(s.target_scale, s.weight_decay, s.input_dropout) for s in networks} == {(0.1, 1, 0.25)}
    assert {s.offset for s in specs if s.model != "mlp"} == {"none"}
    with pytest.raises(ValueError, match="recipe must be one of .'paper', 'sound'., found 'best'"):
        grid.expand({"recipe": "best"})


def test_repeats_are_shards_of_their_own_and_one_configuration():
    specs = grid.expand({"repeat": [0, 1, 2], "baselines": []})
    assert len(specs) == 9 and len({s.run_id for s in specs}) == 9
    assert len({s.shard_id for s in specs}) == 3 and len({s.config_id for s in specs}) == 1


def test_full_factorial_has_every_configuration_on_every_fold_and_every_baseline_once():
    specs = grid.expand(SWEEP)
    networks = [s for s in specs if s.model in grid.NETWORKS]
    assert len(networks) == 2**4 * 3
    assert len(specs) - len(networks) == 2 * 2 * 6 * 3  # per shard (snp, split), baseline and fold
    assert len({s.config_id for s in networks}) == 2**4


def test_order_does_not_depend_on_the_order_of_keys_or_levels():
    turned = {k: v[::-1] for k, v in reversed(SWEEP.items())}
    assert [s.run_id for s in grid.expand(SWEEP)] == [s.run_id for s in grid.expand(turned)]


def test_a_shard_shares_its_features_and_holds_all_folds():
    shards = grid.shards(grid.expand(SWEEP))
    assert len(shards) == 4
    for members in shards.values():
        assert {s.fold for s in members} == {0, 1, 2}
        assert len({(s.snp, s.split) for s in members}) == 1


def test_several_grids_join_without_repeats():
    both = grid.expand([SWEEP, SWEEP | {"optimizer": "sgd", "lr": 0.1, "baselines": []}])
    assert len(both) == len(grid.expand(SWEEP)) + 48


def test_the_grid_is_read_without_loading_torch():
    code = "import sys, lib.sweep.grid; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_levels_of_a_grid_are_those_that_features_and_splits_know():
    from lib import splits
    from lib.sweep import features

    assert set(features.GENE_SETS) - {f"random_{n}" for n in features.RANDOM_SIZES} <= set(
        grid.LEVELS["rnaseq_set"]
    )
    assert set(grid.LEVELS["snp"]) == {"none", *features.SNP_TABLE}
    assert set(grid.CHOICES["split"]) == set(splits.SPLITS)
    assert set(grid.CHOICES["scaling"]) == set(features.SCALINGS)
    for level in ("random_32", "random_2048_draw3"):
        assert spec(rnaseq_set=level).rnaseq_set == level
    assert (
        spec(snp="counts", null_control="permuted_snp_draw2").null_control == "permuted_snp_draw2"
    )


def test_a_study_split_has_a_fold_per_study_unless_a_number_is_named():
    specs = grid.expand(dict(split=["on_cell", "study_out"], baselines=["ridge"]))
    assert {(s.split, s.n_folds) for s in specs} == {("on_cell", 3), ("study_out", len(STUDIES))}
    assert {s.n_folds for s in grid.expand(dict(split="study_out", n_folds=4))} == {4}


def test_the_levels_of_the_grid_are_those_that_the_networks_know():
    from lib.networks import models, train

    assert set(grid.NETWORKS) == {"mlp", "diff_dropout", *models.GATES}
    assert grid.CHOICES["patience"] == tuple(train.PATIENCE)
