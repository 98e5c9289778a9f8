"""The paper's 198 feature sets and their matrices, fitted on the training cells and training drugs
of each fold.

A feature set is a choice of blocks (`lib.sweep.store`) and an index into their columns: it costs no
copy. `build` turns it into arrays whose columns agree across folds: a column that a fold's training
rows drop is zero in that fold.
"""

import itertools
import re
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from lib.cells.genesets import RANDOM_SIZES
from lib.cells.scaling import SCALINGS, MutationScaling, Scaling
from lib.drugs.scaler import DescriptorScaler
from lib.sweep import controls
from lib.sweep.grid import NULLS

GENE_SETS = (
    "all",
    "lincs1000",
    "oncogenes",
    "oncogenes_lincs1000",
    *(f"random_{n}" for n in RANDOM_SIZES),
)
SNP_LEVELS = ("none", "counts")
DRUG_BLOCKS = (
    "mordred",
    "rdkit_ecfp",
    "mordred+rdkit_ecfp",
)  # rdkit_ecfp stands where the paper has Dragon7
SNP_TABLE = dict(counts="snp_counts", log1p="snp_counts", rank="snp_counts", binary="snp_binary")
# standard deviations: a marker gene of one line can stand 60 out, and would drown the others
CLIP = 10.0
NULL_CONTROLS = ("none", *NULLS)
# Whose profile a study's rows use, best first (section 4.2: CTRP and gCSI measured none and borrow
# one)
PROFILES = {
    "array": dict(
        CCLE=("GDSC", "NCI-60"), CTRP=("GDSC", "NCI-60"), gCSI=("GDSC", "NCI-60"), GDSC=("GDSC",)
    )
    | {"NCI-60": ("NCI-60",)},
    "three_source": dict(CCLE=("CCLE",), CTRP=("CCLE",), gCSI=("CCLE",), GDSC=("GDSC",))
    | {"NCI-60": ("NCI-60",)},
}


@dataclass(frozen=True)
class FeatureSet:
    """One way to describe cells and drugs; plain values only.

    `panel` is profiles_<panel>.parquet; `rnaseq_set` a level of gene_sets.parquet; `snp` none,
    counts, binary, log1p or rank; `drug_block` names joined by "+"; `null_control` one of
    `NULL_CONTROLS`, with "_draw2", … for further draws; `scope` train_fold, or whole_frame for the
    paper's way of scaling before splitting.
    """

    panel: str = "array"
    scaling: str = "source"
    rnaseq_set: str = "lincs1000"
    snp: str = "none"
    drug_block: str = "mordred"
    null_control: str = "none"
    scope: str = "train_fold"

    @classmethod
    def of(cls, spec):
        """The feature set of a run: the fields of the same names of any object or dict."""
        values = spec if isinstance(spec, dict) else vars(spec)
        return cls(**{f.name: values[f.name] for f in fields(cls) if f.name in values})

    @property
    def null(self):
        """Kind of null control and its draw, for example ("permuted_genes", 1)."""
        kind, _, draw = self.null_control.partition("_draw")
        return kind, int(draw or 1)


@dataclass
class Features:
    """What `build` returns; see `lib.networks.train.Problem` for the fields of the same name.

    Attributes
    ----------
    cell_x : ndarray of shape (n_folds, n_profiles, p_cell), float32
    drug_x : ndarray of shape (n_folds, n_drugs, p_drug), float32
    profiles : DataFrame
        cell_id and profile_source of each row of `cell_x`.
    drugs : list of str
        drug_id of each row of `drug_x`.
    cell_columns, drug_columns : list of str
        "gene:TP53", "snp:TP53", "snp:assessed"; descriptors as the block names them.
    cell_kept, drug_kept : ndarray of bool, shape (n_folds, p)
        False where a column is zero because the fold's training rows dropped it.
    """

    cell_x: np.ndarray
    drug_x: np.ndarray
    profiles: pd.DataFrame
    drugs: list
    cell_columns: list
    drug_columns: list
    cell_kept: np.ndarray
    drug_kept: np.ndarray


def enumerate_sets(store, panel):
    """The paper's 198 feature sets: 3 scalings × 11 gene sets × 2 SNP levels × 3 drug blocks.

    Parameters
    ----------
    store : Store
        Says of each whether it can be built, and why not.
    panel : str

    Returns
    -------
    DataFrame
        The fields of `FeatureSet`, `feasible` and `reason`.
    """
    levels = itertools.product(SCALINGS, GENE_SETS, SNP_LEVELS, DRUG_BLOCKS)
    sets = [FeatureSet(panel, *level) for level in levels]
    frame = pd.DataFrame([vars(one) for one in sets])
    known = {}
    reasons = [reason(store, one, known) for one in sets]
    return frame.assign(feasible=[not text for text in reasons], reason=reasons)


def reason(store, feature_set, known=None):
    """Why a feature set cannot be built; empty text when it can. `known` keeps answers from one set
    to the next.
    """
    one, known = feature_set, {} if known is None else known
    checks = {
        ("null", one.null_control, one.snp): lambda: _check_null(one),
        ("panel", one.panel): lambda: store.profiles(one.panel),
        ("genes", one.panel, one.rnaseq_set): lambda: store.genes_of(one.panel, one.rnaseq_set),
        ("sources", one.panel, one.scaling): lambda: _check_sources(store, one),
        ("snp", one.snp): lambda: one.snp == "none" or store.mutations(_snp_table(one.snp)),
        ("drugs", one.drug_block): lambda: store.drug_block(one.drug_block),
    }
    for key, check in checks.items():
        if key not in known:
            known[key] = _fault(check)
        if known[key]:
            return known[key]
    return ""


def _fault(check):
    try:
        check()
    except ValueError as error:
        return str(error).splitlines()[0]
    return ""


def assign_profiles(profiles, study, cell_id, preference):
    """Row of `profiles` that each response row uses, or -1 where its line has no profile of a
    source it may use.

    Parameters
    ----------
    profiles : DataFrame
        cell_id, profile_source.
    study, cell_id : array of str, shape (n_rows,)
    preference : dict of str to sequence of str
        Profile sources by study, best first; see `PROFILES`.

    Returns
    -------
    ndarray of int32, shape (n_rows,)
    """
    study, cell_id = np.asarray(study, dtype=str), np.asarray(cell_id, dtype=str)
    found = np.full(len(study), -1, np.int32)
    for name in np.unique(study):
        for source in preference.get(name, (name,)):
            rows = np.flatnonzero((study == name) & (found < 0))
            position = np.flatnonzero(profiles.profile_source == source)
            index = pd.Index(profiles.cell_id.to_numpy()[position]).get_indexer(cell_id[rows])
            found[rows[index >= 0]] = position[index[index >= 0]]
    return found


def usable(store, feature_set, pairs):
    """Rows that have a profile on the panel and a drug with descriptors.

    Parameters
    ----------
    pairs : DataFrame
        The `pairs` table.

    Returns
    -------
    ndarray of str, shape (n_rows,)
        Why the row cannot be used; "" where it can.
    """
    profile = assign_profiles(*_row_keys(store, feature_set, pairs))
    keys, _, values = store.drug_block(feature_set.drug_block)
    described = keys.drug_id[np.isfinite(values).any(axis=1)]
    why_not = np.where(pairs.drug_id.isin(described), "", "the drug has no descriptors")
    return np.where(profile < 0, f"the line has no profile on panel {feature_set.panel}", why_not)


def _row_keys(store, feature_set, pairs):
    base = re.sub("_zscored$", "", feature_set.panel)
    return store.profiles(feature_set.panel)[0], pairs.study, pairs.cell_id, PROFILES.get(base, {})


def build(store, feature_set, pairs, train):
    """Feature matrices of every fold, and the index of each row into them.

    Parameters
    ----------
    store : Store
    feature_set : FeatureSet
    pairs : DataFrame
        Response rows that `usable` accepts: study, cell_id, drug_id.
    train : ndarray of bool, shape (n_folds, n_rows)
        Training rows of each fold. A profile is a training profile when its line has a training
        row, and a drug a training drug when it has one; nothing else is fitted on.

    Returns
    -------
    features : Features
        Profiles: every profile of the lines in `pairs`, also those that no row uses, since they
        inform the scaling.
    profile, drug : ndarray of int32, shape (n_rows,)
        Row of `cell_x` and `drug_x` of each response row.

    Raises
    ------
    ValueError
        If a row has no profile or no descriptors, or a fold has too few training rows for the
        scaling.
    """
    _check_null(feature_set)
    reasons = usable(store, feature_set, pairs)
    if (reasons != "").any():
        row = int(np.flatnonzero(reasons != "")[0])
        raise ValueError(
            f"{int((reasons != '').sum())} row(s) cannot be used, first row {row}: "
            f"{reasons[row]}; filter with usable()"
        )
    keys = store.profiles(feature_set.panel)[0]
    rows = np.flatnonzero(keys.cell_id.isin(pairs.cell_id))
    profiles, drugs = keys.iloc[rows].reset_index(drop=True), sorted(set(pairs.drug_id))
    whole = feature_set.scope == "whole_frame"
    train_profiles = _any_row(train, pairs.cell_id, profiles.cell_id) | whole
    train_drugs = _any_row(train, pairs.drug_id, drugs) | whole
    cell_x, cell_columns, cell_kept = _cell_side(store, feature_set, rows, train_profiles)
    drug_x, drug_columns, drug_kept = _drug_side(store, feature_set, drugs, train_drugs)
    features = Features(
        cell_x, drug_x, profiles, drugs, cell_columns, drug_columns, cell_kept, drug_kept
    )
    base = re.sub("_zscored$", "", feature_set.panel)
    profile = assign_profiles(profiles, pairs.study, pairs.cell_id, PROFILES.get(base, {}))
    return features, profile, pd.Index(drugs).get_indexer(pairs.drug_id).astype(np.int32)


def _any_row(train, row_keys, names):
    """Names that have a training row, per fold: (n_folds, n_names)."""
    unique = pd.unique(pd.Series(names))
    index, position = pd.Index(unique).get_indexer(row_keys), pd.Index(unique).get_indexer(names)
    seen = np.zeros((len(train), len(unique)), bool)
    for fold, rows in enumerate(np.asarray(train, dtype=bool)):
        seen[fold, index[rows]] = True
    return seen[:, position]


def _cell_side(store, feature_set, rows, train):
    """Scaled genes and mutations of the profiles in `rows`: values, column names, kept; (n_folds,
    …) each.
    """
    keys, genes, values = store.profiles(feature_set.panel)
    chosen, source = (
        store.genes_of(feature_set.panel, feature_set.rnaseq_set),
        keys.profile_source.to_numpy(),
    )
    values = values[:, chosen]
    kind, draw = feature_set.null
    if kind == "permuted_genes":
        values = controls.permuted_rows(values, source, seed=draw)
    if kind == "random_genes":
        values = controls.random_like(values, seed=draw)
    fitted = [
        _scale(Scaling(feature_set.scaling), values[rows], source[rows], fold) for fold in train
    ]
    x, kept = (np.stack(parts) for parts in zip(*fitted, strict=True))
    columns = [f"gene:{name}" for name in genes[chosen]]
    if feature_set.snp == "none":
        return x, columns, kept
    snp_x, snp_columns, snp_kept = _snp_side(store, feature_set, keys.iloc[rows], train)
    return (
        np.concatenate([x, snp_x], axis=2),
        columns + snp_columns,
        np.concatenate([kept, snp_kept], axis=1),
    )


def _snp_side(store, feature_set, profiles, train):
    """As `_cell_side`, for mutations: one row per profile, a line without mutations has gaps."""
    keys, genes, values = store.mutations(_snp_table(feature_set.snp))
    row = _mutation_rows(keys, profiles)
    kind, draw = feature_set.null
    if kind == "permuted_snp":
        values = controls.permuted_rows(values, keys.mutation_source.to_numpy(), seed=draw)
    lines = np.where((row >= 0)[:, None], values[row], np.nan)
    source = np.where(row >= 0, keys.mutation_source.to_numpy(dtype=str)[row], "")
    first = ~pd.Series(row).duplicated().to_numpy()  # a line with two profiles counts once
    fitted = [
        _scale(MutationScaling(feature_set.snp), lines, source, fold, fold & first & (row >= 0))
        for fold in train
    ]
    x, kept = (np.stack(parts) for parts in zip(*fitted, strict=True))
    kept = np.concatenate([kept, np.ones((len(kept), 1), bool)], axis=1)
    return x, [f"snp:{name}" for name in (*genes, "assessed")], kept


def _scale(scaling, values, source, train, fit_on=None):
    fit_on = train if fit_on is None else fit_on
    scaling.fit(values[fit_on], source[fit_on])
    return scaling.transform(values, source).clip(-CLIP, CLIP), scaling.kept_


def _mutation_rows(keys, profiles):
    """Row of the mutation table for each profile: of its own source if there is one, else the
    line's first; or -1.
    """
    names = pd.MultiIndex.from_frame(keys)
    own = names.get_indexer(pd.MultiIndex.from_frame(profiles))
    first = keys.reset_index(drop=True).drop_duplicates("cell_id")
    position = pd.Index(first.cell_id).get_indexer(profiles.cell_id)
    return np.where(own >= 0, own, np.where(position >= 0, first.index.to_numpy()[position], -1))


def _drug_side(store, feature_set, drugs, train):
    """Scaled descriptors of the drugs: values, column names, kept; (n_folds, …) each."""
    keys, columns, values = store.drug_block(feature_set.drug_block)
    kind, draw = feature_set.null
    if kind.endswith("_drugs"):
        frame = pd.concat([keys, pd.DataFrame(values, columns=columns)], axis=1)
        frame = controls.drug_control(frame, kind.removesuffix("_drugs"), seed=draw)
        columns, values = frame.columns[1:], frame[frame.columns[1:]].to_numpy()
    values = values[pd.Index(keys.drug_id).get_indexer(drugs)]
    options = (
        dict(min_varied=1) if kind == "onehot_drugs" else {}
    )  # its columns differ for one drug each
    scalers = [DescriptorScaler(**options).fit(values[fold]) for fold in train]
    x = np.stack([scaler.transform(values) for scaler in scalers])
    return x, list(columns), np.stack([scaler.keep for scaler in scalers])


def _check_null(feature_set):
    if feature_set.null[0] not in NULL_CONTROLS:
        raise ValueError(
            f"null_control must be one of {NULL_CONTROLS}, found {feature_set.null_control!r}"
        )
    if feature_set.null[0] == "permuted_snp" and feature_set.snp == "none":
        raise ValueError("null_control 'permuted_snp' needs mutations: choose snp 'counts'")


def _check_sources(store, feature_set):
    sources = store.profiles(feature_set.panel)[0].profile_source.unique()
    if feature_set.scaling == "combat" and len(sources) < 2:
        raise ValueError(
            f"ComBat needs two profile sources, panel {feature_set.panel!r} has {sources[0]!r} only"
        )


def _snp_table(level):
    if level not in SNP_TABLE:
        raise ValueError(f"snp must be one of {('none', *SNP_TABLE)}, found {level!r}")
    return SNP_TABLE[level]
