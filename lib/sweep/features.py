"""The paper's 198 feature sets and their matrices, fitted on the training cells and training drugs
of each fold.

A feature set is a choice of blocks (`lib.sweep.store`) and an index into their columns: it costs no
copy. `build` turns it into arrays whose columns agree across folds: a column that a fold's training
rows drop is zero in that fold.
"""

import itertools
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from lib.cells.genesets import RANDOM_SIZES
from lib.cells.scaling import SCALINGS, MutationScaling, Scaling
from lib.drugs.scaler import DescriptorScaler
from lib.sweep import controls, grid

# The levels behind the paper's 198 feature sets; rdkit_ecfp stands where it has Dragon7.
GENE_SETS = (*grid.GENE_SETS, *(f"random_{n}" for n in RANDOM_SIZES))
SNP_LEVELS = ("none", "counts")
DRUG_BLOCKS = ("mordred", "rdkit_ecfp", "mordred+rdkit_ecfp")
SNP_TABLE = dict(counts="snp_counts", log1p="snp_counts", rank="snp_counts", binary="snp_binary")
# standard deviations: a marker gene of one line can stand 60 out, and would drown the others
CLIP = 10.0
# Whose profile the rows of a study use where it measured none, best first (section 4.2); every
# other study uses its own.
BORROWED = ("CCLE", "CTRP", "gCSI")
PROFILES = {
    "array": dict.fromkeys(BORROWED, ("GDSC", "NCI-60")),
    "three_source": dict.fromkeys((*BORROWED, "GDSC"), ("CCLE",)),
}


@dataclass(frozen=True)
class FeatureSet:
    """One way to describe cells and drugs; plain values only.

    `panel` is profiles_<panel>.parquet; `rnaseq_set` a level of gene_sets.parquet; `snp` none,
    counts, binary, log1p or rank; `drug_block` names joined by "+"; `null_control` none or one of
    `grid.NULLS`, with "_draw2", … for further draws; `scope` train_fold, or whole_frame for the
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
        """The feature set of a run: its fields of the same names."""
        return cls(*(getattr(spec, field.name) for field in fields(cls)))

    @property
    def null(self):
        """Kind of null control and its draw, for example ("permuted_genes", 1)."""
        kind, _, draw = self.null_control.partition("_draw")
        return kind, int(draw or 1)

    @property
    def sources(self):
        """Profile sources that rows may use, by study, best first; any other study has its own."""
        return PROFILES.get(self.panel.removesuffix("_zscored"), {})


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
    """

    cell_x: np.ndarray
    drug_x: np.ndarray
    profiles: pd.DataFrame
    drugs: list


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
    one = feature_set
    known = {} if known is None else known
    checks = {
        ("null", one.null_control, one.snp): lambda: _check_null(one),
        ("panel", one.panel): lambda: store.profiles(one.panel),
        ("genes", one.panel, one.rnaseq_set): lambda: store.genes_of(one.panel, one.rnaseq_set),
        ("sources", one.panel, one.scaling): lambda: _check_sources(store, one),
        ("snp", one.snp): lambda: one.snp == "none" or store.mutations(SNP_TABLE[one.snp]),
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
        `FeatureSet.sources`.

    Returns
    -------
    ndarray of int32, shape (n_rows,)
    """
    study = np.asarray(study, dtype=str)
    cell_id = np.asarray(cell_id, dtype=str)
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
    profiles = store.profiles(feature_set.panel)[0]
    profile = assign_profiles(profiles, pairs.study, pairs.cell_id, feature_set.sources)
    keys, _, values = store.drug_block(feature_set.drug_block)
    described = keys.drug_id[np.isfinite(values).any(axis=1)]
    why_not = np.where(pairs.drug_id.isin(described), "", "the drug has no descriptors")
    return np.where(profile < 0, f"the line has no profile on panel {feature_set.panel}", why_not)


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
    unusable = np.flatnonzero(reasons != "")
    if len(unusable):
        raise ValueError(
            f"{len(unusable)} row(s) cannot be used, first row {unusable[0]}: "
            f"{reasons[unusable[0]]}; filter with usable()"
        )
    keys = store.profiles(feature_set.panel)[0]
    rows = np.flatnonzero(keys.cell_id.isin(pairs.cell_id))
    profiles = keys.iloc[rows].reset_index(drop=True)
    drugs = sorted(set(pairs.drug_id))
    whole = feature_set.scope == "whole_frame"
    train_profiles = _in_training(train, pairs.cell_id, profiles.cell_id) | whole
    train_drugs = _in_training(train, pairs.drug_id, pd.Series(drugs)) | whole
    cell_x = _genes(store, feature_set, rows, train_profiles)
    if feature_set.snp != "none":
        snp_x = _mutations(store, feature_set, profiles, train_profiles)
        cell_x = np.concatenate([cell_x, snp_x], axis=2)
    drug_x = _descriptors(store, feature_set, drugs, train_drugs)
    profile = assign_profiles(profiles, pairs.study, pairs.cell_id, feature_set.sources)
    drug = pd.Index(drugs).get_indexer(pairs.drug_id).astype(np.int32)
    return Features(cell_x, drug_x, profiles, drugs), profile, drug


def _in_training(train, row_keys, names):
    """Names that have a training row, per fold: (n_folds, n_names)."""
    return np.array([names.isin(row_keys[rows]) for rows in train])


def _genes(store, feature_set, rows, train):
    """Scaled expression of the profiles in `rows`: (n_folds, n_profiles, n_genes)."""
    keys, _, values = store.profiles(feature_set.panel)
    values = values[:, store.genes_of(feature_set.panel, feature_set.rnaseq_set)]
    source = keys.profile_source.to_numpy()
    values = _control(values, source, feature_set, "genes")[rows]
    return _scaled(lambda: Scaling(feature_set.scaling), values, source[rows], train)


def _mutations(store, feature_set, profiles, train):
    """Scaled mutations, one row per profile: (n_folds, n_profiles, n_genes + 1).

    A line without mutations has gaps; the last column is 1 for the others.
    """
    keys, _, values = store.mutations(SNP_TABLE[feature_set.snp])
    source = keys.mutation_source.to_numpy(dtype=str)
    values = _control(values, source, feature_set, "snp")
    row = _mutation_rows(keys, profiles)
    lines = np.where((row >= 0)[:, None], values[row], np.nan)
    once = ~pd.Series(row).duplicated().to_numpy()  # a line with two profiles counts once
    source = np.where(row >= 0, source[row], "")
    fit_on = train & once & (row >= 0)
    return _scaled(lambda: MutationScaling(feature_set.snp), lines, source, fit_on)


def _control(values, source, feature_set, side):
    """Values of lines, or those of a null control on their side ("genes" or "snp")."""
    kind, draw = feature_set.null
    if kind == f"permuted_{side}":
        return controls.permuted_rows(values, source, seed=draw)
    if kind == f"random_{side}":
        return controls.random_like(values, seed=draw)
    return values


def _scaled(scaling, values, source, train):
    """Values scaled on the training rows of each fold."""
    fitted = [scaling().fit(values[rows], source[rows]) for rows in train]
    return np.stack([one.transform(values, source).clip(-CLIP, CLIP) for one in fitted])


def _mutation_rows(keys, profiles):
    """Row of the mutation table for each profile: of its own source if there is one, else the
    line's first; or -1.
    """
    names = pd.MultiIndex.from_frame(keys)
    own = names.get_indexer(pd.MultiIndex.from_frame(profiles))
    first = keys.reset_index(drop=True).drop_duplicates("cell_id")
    position = pd.Index(first.cell_id).get_indexer(profiles.cell_id)
    return np.where(own >= 0, own, np.where(position >= 0, first.index.to_numpy()[position], -1))


def _descriptors(store, feature_set, drugs, train):
    """Scaled descriptors of the drugs: (n_folds, n_drugs, p)."""
    keys, columns, values = store.drug_block(feature_set.drug_block)
    kind, draw = feature_set.null
    if kind.endswith("_drugs"):
        block = pd.concat([keys, pd.DataFrame(values, columns=columns)], axis=1)
        control = controls.drug_control(block, kind.removesuffix("_drugs"), seed=draw)
        values = control.drop(columns="drug_id").to_numpy()
    values = values[pd.Index(keys.drug_id).get_indexer(drugs)]
    least = 1 if kind == "onehot_drugs" else 2  # its columns differ for one drug each
    scalers = [DescriptorScaler(min_varied=least).fit(values[rows]) for rows in train]
    return np.stack([scaler.transform(values) for scaler in scalers])


def _check_null(feature_set):
    if feature_set.null[0] == "permuted_snp" and feature_set.snp == "none":
        raise ValueError("null_control 'permuted_snp' needs mutations: choose snp 'counts'")


def _check_sources(store, feature_set):
    sources = store.profiles(feature_set.panel)[0].profile_source.unique()
    if feature_set.scaling == "combat" and len(sources) < 2:
        raise ValueError(
            f"ComBat needs two profile sources, panel {feature_set.panel!r} has {sources[0]!r} only"
        )
