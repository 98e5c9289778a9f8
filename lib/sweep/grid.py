"""The sweep's grid: one frozen `RunSpec` per model, full factorials, shards in a stable order.

A configuration is a RunSpec without its fold; every configuration is run on every fold. A shard is
the runs that share one feature set, cohort and split, so that it needs one set of feature matrices.
No torch here: a conductor reads this.
"""

import hashlib
import itertools
import json
import math
import re
from dataclasses import dataclass, fields
from functools import cached_property

from lib import effects
from lib.cells.scaling import SCALINGS
from lib.paths import STUDIES
from lib.splits import SELECTIONS, SPLITS
from lib.sweep.baselines import BASELINES, USUAL
from lib.sweep.values import plain, refused

NETWORKS = ("mlp", "diff_dropout", "gated", "gated_tanh", "gated_softmax")
OFFSETS = "none study drug line study+drug study+line drug+line".split()
CHOICES = dict(
    scaling=SCALINGS,
    cohort=("all", "top21", "top6"),
    split=SPLITS,
    model=NETWORKS + BASELINES,
    strategy=("vanilla", "balanced", "weighted"),
    optimizer=("adam", "sgd", "none"),
    patience=("paper", "tuned"),
    selection=SELECTIONS,
    scope=("train_fold", "whole_frame"),
    fit_filter=("none", "uno"),
    target=("auc", "auc_common", "auc_tested", "auc_published_curve"),
    offset=OFFSETS,
)
NULLS = (
    "permuted_genes random_genes permuted_snp permuted_drugs random_drugs onehot_drugs"
).split()
KEPT = ("cell", "drug", "predictions")  # what a run may keep beside its scores
MOST_RUNS = 200_000  # of one grid; the paper's has 42,768
# Levels that lib.sweep.features knows; <n>: a number (size of a random set, further draw).
WORD = r"[A-Za-z0-9][\w.+-]{0,59}"  # it becomes part of the name of a folder
GENE_SETS = "all lincs1000 oncogenes oncogenes_lincs1000".split()
LEVELS = dict(
    rnaseq_set=GENE_SETS + ["random_<n>", "random_<n>_draw<n>"],
    snp="none counts log1p rank binary".split(),
    null_control=["none", *NULLS, *(f"{kind}_draw<n>" for kind in NULLS)],
)
PATTERNS = {
    name: re.compile("|".join(levels).replace("<n>", r"[1-9]\d{0,5}"))
    for name, levels in (LEVELS | {"panel": [WORD], "drug_block": [WORD]}).items()
}
SHARD_FIELDS = (
    "panel scaling rnaseq_set snp drug_block null_control scope "
    "cohort split n_folds repeat selection target fit_filter"
).split()
# `sound`: the network learns what is left after the effects that a test row can know, in units of
# 0.1 AUC, with decoupled weight decay and dropout on its inputs.
RECIPES = {
    "paper": {},
    "sound": {"offset": "known", "target_scale": 0.1, "weight_decay": 1.0, "input_dropout": 0.7},
}


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """Everything that decides the result of one model; plain values only.

    `hidden` are the widths of the hidden layers of the multi-layer perceptron; a gated network
    takes the widths that match its parameter count. `dropout` is the rate at the first hidden
    layer. `lr` is the initial learning rate. `init` multiplies the initial weights on the input
    features: with more features than training lines, what a random start says about an unseen line
    is noise that training never removes. `repeat` numbers the cuts into folds. `offset` names the
    mean effects that are taken off the target before training and added to the prediction;
    `target_scale` divides what is left. `weight_decay` is decoupled (AdamW). `input_dropout` is
    the rate on the input features.
    """

    panel: str = "array"
    scaling: str = "source"
    rnaseq_set: str = "lincs1000"
    snp: str = "none"
    drug_block: str = "mordred"
    null_control: str = "none"
    cohort: str = "all"
    split: str = "on_cell"
    n_folds: int = 3
    repeat: int = 0
    fold: int
    model: str = "mlp"
    hidden: tuple = (64, 32)
    dropout: float = 0.0
    strategy: str = "vanilla"
    optimizer: str = "adam"
    lr: float = 8e-4
    batch_size: int = 512
    max_epochs: int = 400
    patience: str = "paper"
    seed: int = 0
    selection: str = "nested"
    scope: str = "train_fold"
    target: str = "auc"
    fit_filter: str = "none"
    init: float = 1.0
    offset: str = "none"
    target_scale: float = 1.0
    weight_decay: float = 0.0
    input_dropout: float = 0.0

    @classmethod
    def from_dict(cls, values):
        """A spec from plain values.

        Raises
        ------
        ValueError
            If keys are unknown or missing (both sets are listed), or a value has the wrong type or
            range.
        """
        known = TYPES.keys()
        unknown, missing = sorted(values.keys() - known), sorted(known - values.keys())
        if unknown or missing:
            raise ValueError(
                f"run spec: unknown key(s) {unknown}, missing key(s) {missing}; it has "
                f"{sorted(known)}"
            )
        spec = cls(**{name: plain(name, TYPES[name], value) for name, value in values.items()})
        _check_levels(spec)
        _check_network(spec)
        return spec

    def to_dict(self):
        """Plain values, with `hidden` as text ("64x32") so that a table can hold it."""
        return self._values | {"hidden": self._widths}

    @cached_property
    def run_id(self):
        """Readable slug and a hash of every field."""
        parts = [self._features, self.split, f"r{self.repeat}f{self.fold}", self.model]
        if self.hidden:
            parts.append(self._widths)
            if self.model in NETWORKS:
                parts.append(f"d{self.dropout:g}")
            if self.init != DEFAULTS["init"]:
                parts.append(f"i{self.init:g}")
            parts += [self.strategy, self.optimizer]
        if self.offset != "none":
            parts.append(f"less_{self.offset}")
        return f"{'-'.join(parts)}-s{self.seed}.{_hash(self._values)}"

    @cached_property
    def shard_id(self):
        """Readable slug and a hash of the fields that a shard shares."""
        shared = {name: getattr(self, name) for name in SHARD_FIELDS}
        return f"{self._features}-{self.split}-r{self.repeat}.{_hash(shared)}"

    @cached_property
    def config_id(self):
        """Hash of everything but repeat and fold: the unit whose folds are merged."""
        shared = self._values
        del shared["repeat"], shared["fold"]
        return _hash(shared)

    @property
    def _values(self):
        return {name: getattr(self, name) for name in TYPES}

    @property
    def _widths(self):
        return "x".join(map(str, self.hidden))

    @property
    def _features(self):
        null = "" if self.null_control == "none" else f"-null_{self.null_control}"
        genes = f"{self.panel}-{self.scaling}-{self.rnaseq_set}"
        return f"{genes}-snp_{self.snp}-{self.drug_block}{null}-{self.cohort}"


TYPES = {field.name: field.type for field in fields(RunSpec)}
# Held when a profile does not name them; batch size, epochs, rate and patience are the paper's
# (section 4.5.2).
DEFAULTS = {field.name: field.default for field in fields(RunSpec) if field.name != "fold"}
_NO_NETWORK = {"hidden": (), "optimizer": "none", "lr": 0.0, "batch_size": 0, "max_epochs": 0}


def _hash(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def _check_levels(spec):
    """Each value by itself."""
    for name, allowed in CHOICES.items():
        if getattr(spec, name) not in allowed:
            raise refused(name, f"one of {allowed}", getattr(spec, name))
    for name, level in PATTERNS.items():
        if not level.fullmatch(getattr(spec, name)):
            wanted = f"one of {', '.join(LEVELS[name])}" if name in LEVELS else "a plain name"
            raise refused(name, wanted, getattr(spec, name))
    if not 0 <= spec.fold < spec.n_folds:
        raise refused("fold", f"0 to {spec.n_folds - 1}", spec.fold)


def _check_network(spec):
    """What the model, its optimizer and its offset must have of each other and of the split."""
    held_out = effects.HELD_OUT[spec.split] & set(spec.offset.split("+"))
    if held_out:
        raise ValueError(
            f"run spec: offset {spec.offset!r} names {min(held_out)}, which {spec.split} holds "
            f"out: use {effects.known(spec.split)!r} or less"
        )
    is_network = spec.model in NETWORKS
    if is_network and not (spec.hidden and spec.lr and spec.batch_size and spec.max_epochs):
        raise ValueError(
            "run spec: a network needs hidden widths, lr, batch_size and max_epochs above 0, "
            f"found {spec}"
        )
    if is_network != (spec.optimizer != "none"):
        raise ValueError(
            f"run spec: a network needs an optimizer and a baseline none, found {spec.optimizer!r}"
        )


def expand(sweep):
    """All runs of a profile's `sweep:` section.

    Parameters
    ----------
    sweep : dict or list of dict
        Each dict holds lists (or single values) for RunSpec fields except `fold`; fields not named
        keep DEFAULTS (`study_out`: a fold per study). `recipe` names one of RECIPES, whose fields
        stand where the dict names none; an `offset` of "known" is what the split leaves known.
        `baselines` lists the predictors added to each shard (the usual ones by default).

    Returns
    -------
    list of RunSpec
        Each once, sorted by repeat, shard, model, configuration and fold: a sweep that is cut short
        has whole repeats.

    Raises
    ------
    ValueError
        For unknown keys or an empty list.
    """
    specs = {}
    for grid in [sweep] if isinstance(sweep, dict) else sweep:
        if not isinstance(grid, dict):
            raise ValueError(f"sweep: an entry must be a mapping of settings, found {grid!r}")
        for config in _configurations(dict(grid)):
            for fold in range(config["n_folds"]):
                spec = RunSpec.from_dict(config | {"fold": fold})
                specs[spec.run_id] = spec
    order = CHOICES["model"].index
    return sorted(
        specs.values(),
        key=lambda s: (s.repeat, s.shard_id, order(s.model), s.hidden, s.config_id, s.fold),
    )


def _configurations(grid):
    baselines = grid.pop("baselines", USUAL)
    if not isinstance(baselines, (list, tuple)) or not set(map(str, baselines)) <= set(BASELINES):
        raise ValueError(f"sweep: baselines is a list out of {BASELINES}, found {baselines!r}")
    recipe = grid.pop("recipe", "paper")
    if not isinstance(recipe, str) or recipe not in RECIPES:
        raise ValueError(f"sweep: recipe must be one of {tuple(RECIPES)}, found {recipe!r}")
    grid = RECIPES[recipe] | grid
    unknown = sorted(grid.keys() - DEFAULTS.keys())
    if unknown:
        raise ValueError(
            f"sweep: unknown key(s) {unknown}; it takes {sorted(DEFAULTS)}, baselines, recipe"
        )
    levels = {name: _as_list(name, grid.get(name, default)) for name, default in DEFAULTS.items()}
    n_runs = math.prod(map(len, levels.values())) * max(levels["n_folds"])
    if n_runs > MOST_RUNS:
        raise ValueError(f"sweep: {n_runs:,} runs, more than {MOST_RUNS:,}; name fewer levels")
    networks = [dict(zip(levels, row, strict=True)) for row in itertools.product(*levels.values())]
    by_shard = {}
    for config in networks:
        if config["split"] == "study_out" and "n_folds" not in grid:
            config["n_folds"] = len(STUDIES)
        if config["offset"] == "known" and config["split"] in SPLITS:
            config["offset"] = effects.known(config["split"])
        shared = {name: config[name] for name in SHARD_FIELDS}
        by_shard[tuple(shared.values())] = DEFAULTS | _NO_NETWORK | shared
    beside = [shared | {"model": name} for shared in by_shard.values() for name in baselines]
    return networks + beside


def _as_list(name, value):
    is_list = isinstance(value, (list, tuple))
    if name == "hidden" and is_list:
        is_list = not all(isinstance(width, int) for width in value)
    values = value if is_list else [value]
    if not values:
        raise ValueError(
            f"sweep: {name} is an empty list; name at least one level or leave the key out"
        )
    return [plain(name, TYPES[name], one) for one in values]


def shards(specs):
    """Runs by shard, in stable order.

    Returns
    -------
    dict of str to list of RunSpec
        Keyed by shard id.
    """
    found = {}
    for spec in specs:
        found.setdefault(spec.shard_id, []).append(spec)
    return found
