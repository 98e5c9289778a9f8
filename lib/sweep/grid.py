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
from dataclasses import dataclass, fields, replace
from functools import cached_property

from lib import effects
from lib.cells.scaling import SCALINGS
from lib.paths import STUDIES
from lib.splits import SPLITS
from lib.sweep.baselines import BASELINES, USUAL
from lib.sweep.values import plain, refused

NETWORKS = ("mlp", "diff_dropout", "gated", "gated_tanh", "gated_softmax")
OFFSETS = ("none", "study", "drug", "line", "study+drug", "study+line", "drug+line")
CHOICES = dict(
    scaling=SCALINGS,
    cohort=("all", "top21", "top6"),
    split=SPLITS,
    model=NETWORKS + BASELINES,
    strategy=("vanilla", "balanced", "weighted"),
    optimizer=("adam", "sgd", "none"),
    patience=("paper", "tuned"),
    selection=("nested", "paper"),
    scope=("train_fold", "whole_frame"),
    fit_filter=("none", "uno"),
    target=("auc", "auc_common", "auc_tested", "auc_published_curve"),
    offset=OFFSETS,
)
NULLS = (
    "permuted_genes",
    "random_genes",
    "permuted_snp",
    "permuted_drugs",
    "random_drugs",
    "onehot_drugs",
)
KEPT = ("cell", "drug", "predictions")  # what a run may keep beside its scores
MOST_RUNS = 200_000  # of one grid; the paper's has 42,768
# Levels that lib.sweep.features knows; <n>: a number (size of a random set, further draw), <name>:
# a word, as it becomes part of the name of a folder.
WORD = r"[A-Za-z0-9][\w.+-]{0,59}"
LEVELS = dict(
    rnaseq_set=(
        "all lincs1000 oncogenes oncogenes_lincs1000 random_<n> random_<n>_draw<n> own_<name>"
    ).split(),
    snp="none counts log1p rank binary".split(),
    null_control=["none", *NULLS, *(f"{kind}_draw<n>" for kind in NULLS)],
)
PATTERNS = {
    name: re.compile("|".join(levels).replace("<n>", r"[1-9]\d{0,5}").replace("<name>", WORD))
    for name, levels in (LEVELS | {"panel": ["<name>"], "drug_block": ["<name>"]}).items()
}
FEATURE_FIELDS = "panel scaling rnaseq_set snp drug_block null_control scope".split()
SHARD_FIELDS = FEATURE_FIELDS + "cohort split n_folds repeat selection target fit_filter".split()
# Held when a profile does not name them; batch size, epochs, rate and patience are the paper's
# (section 4.5.2).
DEFAULTS = {
    "panel": "array",
    "scaling": "source",
    "rnaseq_set": "lincs1000",
    "snp": "none",
    "drug_block": "mordred",
    "null_control": "none",
    "cohort": "all",
    "split": "on_cell",
    "n_folds": 3,
    "repeat": 0,
    "model": "mlp",
    "hidden": (64, 32),
    "dropout": 0.0,
    "strategy": "vanilla",
    "optimizer": "adam",
    "lr": 8e-4,
    "batch_size": 512,
    "max_epochs": 400,
    "patience": "paper",
    "seed": 0,
    "selection": "nested",
    "scope": "train_fold",
    "target": "auc",
    "fit_filter": "none",
    "init": 1.0,
    "offset": "none",
    "target_scale": 1.0,
    "weight_decay": 0.0,
    "input_dropout": 0.0,
}
# `sound`: the network learns what is left after the effects that a test row can know, in units of
# 0.1 AUC, with decoupled weight decay and dropout on its inputs.
RECIPES = {
    "paper": {},
    "sound": {"offset": "known", "target_scale": 0.1, "weight_decay": 1.0, "input_dropout": 0.7},
}
STUDY_FOLDS = len(STUDIES)  # of `study_out` where a grid names no number
# What a baseline has in place of these.
_NO_NETWORK = DEFAULTS | {
    "hidden": (),
    "optimizer": "none",
    "lr": 0.0,
    "batch_size": 0,
    "max_epochs": 0,
}
RATES = ("dropout", "input_dropout")


@dataclass(frozen=True)
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

    panel: str
    scaling: str
    rnaseq_set: str
    snp: str
    drug_block: str
    null_control: str
    cohort: str
    split: str
    n_folds: int
    repeat: int
    fold: int
    model: str
    hidden: tuple
    dropout: float
    strategy: str
    optimizer: str
    lr: float
    batch_size: int
    max_epochs: int
    patience: str
    seed: int
    selection: str
    scope: str
    target: str
    fit_filter: str
    init: float
    offset: str
    target_scale: float
    weight_decay: float
    input_dropout: float

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
        spec = cls(**{k: plain(k, TYPES[k], v) for k, v in values.items()})
        _check(spec)
        return spec

    def to_dict(self):
        """Plain values, with `hidden` as text ("64x32") so that a table can hold it."""
        return {name: getattr(self, name) for name in TYPES} | {
            "hidden": "x".join(map(str, self.hidden))
        }

    @cached_property
    def run_id(self):
        """Readable slug and a hash of every field."""
        rate = f"-d{self.dropout:g}" if self.model in NETWORKS else ""
        rate += f"-i{self.init:g}" if self.init != DEFAULTS["init"] else ""
        net = (
            f"-{'x'.join(map(str, self.hidden))}{rate}-{self.strategy}-{self.optimizer}"
            if self.hidden
            else ""
        )
        net += "" if self.offset == "none" else f"-less_{self.offset}"
        cut = f"r{self.repeat}f{self.fold}"
        slug = f"{self._features()}-{self.split}-{cut}-{self.model}{net}-s{self.seed}"
        return f"{slug}.{_hash(vars_of(self))}"

    @cached_property
    def shard_id(self):
        """Readable slug and a hash of the fields that a shard shares."""
        shared = {name: getattr(self, name) for name in SHARD_FIELDS}
        return f"{self._features()}-{self.split}-r{self.repeat}.{_hash(shared)}"

    @cached_property
    def config_id(self):
        """Hash of everything but repeat and fold: the unit whose folds are merged."""
        return same_but(self, "repeat", "fold")

    def _features(self):
        null = "" if self.null_control == "none" else f"-null_{self.null_control}"
        parts = (
            self.panel,
            self.scaling,
            self.rnaseq_set,
            f"snp_{self.snp}",
            self.drug_block + null,
            self.cohort,
        )
        return "-".join(parts)


TYPES = {f.name: f.type for f in fields(RunSpec)}


def vars_of(spec):
    """Every field of a spec by name, as it is hashed."""
    return {name: getattr(spec, name) for name in TYPES}


def same_but(spec, *names):
    """Hash of a spec without some of its fields: equal for specs that differ in these alone."""
    return _hash({name: value for name, value in vars_of(spec).items() if name not in names})


def _hash(values):
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]


def _check(spec):
    for name, allowed in CHOICES.items():
        if getattr(spec, name) not in allowed:
            raise refused(name, f"one of {allowed}", getattr(spec, name))
    for name, level in PATTERNS.items():
        if not level.fullmatch(getattr(spec, name)):
            wanted = f"one of {', '.join(LEVELS[name])}" if name in LEVELS else "a plain name"
            raise refused(name, wanted, getattr(spec, name))
    if not 0 <= spec.fold < spec.n_folds:
        raise ValueError(f"run spec: fold must be 0 to {spec.n_folds - 1}, found {spec.fold}")
    for name in RATES:
        if not 0 <= getattr(spec, name) < 1:
            raise refused(name, "in [0, 1)", getattr(spec, name))
    if not spec.target_scale > 0:
        raise ValueError(f"run spec: target_scale must be above 0, found {spec.target_scale}")
    _check_network(spec)


def _check_network(spec):
    held_out = effects.HELD_OUT[spec.split] & set(spec.offset.split("+"))
    if held_out:
        raise ValueError(
            f"run spec: offset {spec.offset!r} names {min(held_out)}, which {spec.split} holds "
            f"out: use {effects.known(spec.split)!r} or less"
        )
    sizes = (*spec.hidden, spec.lr, spec.batch_size, spec.max_epochs)
    if spec.model in NETWORKS and not (spec.hidden and min(sizes) > 0):
        raise ValueError(
            "run spec: a network needs hidden widths, lr, batch_size and max_epochs above 0, "
            f"found {spec}"
        )
    if (spec.model in NETWORKS) != (spec.optimizer != "none"):
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
    order = {model: i for i, model in enumerate(CHOICES["model"])}
    return sorted(
        specs.values(),
        key=lambda s: (s.repeat, s.shard_id, order[s.model], s.hidden, s.config_id, s.fold),
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
    rows = itertools.product(*levels.values())
    networks = [dict(zip(levels, row, strict=True)) for row in rows]
    if "n_folds" not in grid:
        networks = [
            c | {"n_folds": STUDY_FOLDS if c["split"] == "study_out" else c["n_folds"]}
            for c in networks
        ]
    for config in networks:
        if config["offset"] == "known" and config["split"] in SPLITS:
            config["offset"] = effects.known(config["split"])
    shared = dict.fromkeys(tuple(config[name] for name in SHARD_FIELDS) for config in networks)
    return networks + [
        _NO_NETWORK | dict(zip(SHARD_FIELDS, fields, strict=True)) | {"model": name}
        for fields in shared
        for name in baselines
    ]


def _as_list(name, value):
    single = not isinstance(value, (list, tuple)) or (
        name == "hidden" and all(isinstance(v, int) for v in value)
    )
    values = [value] if single else list(value)
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


def changed(spec, **fields):
    """The same spec with some fields changed."""
    return replace(spec, **fields)
