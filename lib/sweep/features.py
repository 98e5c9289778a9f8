"""The paper's 198 feature sets and their matrices, fitted on the training cells and training drugs
of each fold.

A feature set is a choice of blocks (`lib.sweep.store`) and an index into their columns: it costs no
copy. `build` turns it into arrays whose columns agree across folds: a column that a fold's training
rows drop is zero in that fold.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.cells.genesets import RANDOM_SIZES
from lib.cells.scaling import SCALINGS, MutationScaling, Scaling
from lib.drugs.scaler import DescriptorScaler
from lib.sweep import controls, grid

# The levels behind the paper's 198 feature sets; rdkit_ecfp stands where it has Dragon7.
NAMED_SETS = ("all", "lincs1000", "oncogenes", "oncogenes_lincs1000")
GENE_SETS = (*NAMED_SETS, *(f"random_{n}" for n in RANDOM_SIZES))
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


@dataclass
class Features:
    """What `build` returns: fields of `lib.networks.train.Problem`.

    Attributes
    ----------
    cell_x : ndarray of shape (n_folds, n_profiles, p_cell), float32
        Of every profile of the lines, also those that no row uses, since they inform the scaling.
    drug_x : ndarray of shape (n_folds, n_drugs, p_drug), float32
    profile, drug : ndarray of int32, shape (n_rows,)
        Row of `cell_x` and `drug_x` of each response row.
    drugs : list of str
        drug_id of each row of `drug_x`.
    """

    cell_x: np.ndarray
    drug_x: np.ndarray
    profile: np.ndarray
    drug: np.ndarray
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
        scaling, rnaseq_set, snp, drug_block, feasible, reason.
    """
    levels = list(itertools.product(SCALINGS, GENE_SETS, SNP_LEVELS, DRUG_BLOCKS))
    frame = pd.DataFrame(levels, columns="scaling rnaseq_set snp drug_block".split())
    known = {}
    reasons = []
    for settings in frame.to_dict("records"):
        spec = grid.RunSpec(fold=0, panel=panel, **settings)
        reasons.append(reason(store, spec, known))
    return frame.assign(feasible=[not text for text in reasons], reason=reasons)


def reason(store, spec, known=None):
    """Why the features of a run cannot be built; empty text when they can. `known` keeps answers
    from one run to the next.
    """
    known = {} if known is None else known
    checks = {
        ("null", spec.null_control, spec.snp): lambda: _check_null(spec),
        ("panel", spec.panel): lambda: store.profiles(spec.panel),
        ("genes", spec.panel, spec.rnaseq_set): lambda: store.genes_of(spec.panel, spec.rnaseq_set),
        ("sources", spec.panel, spec.scaling): lambda: _check_sources(store, spec),
        ("snp", spec.snp): lambda: spec.snp == "none" or store.mutations(SNP_TABLE[spec.snp]),
        ("drugs", spec.drug_block): lambda: store.drug_block(spec.drug_block),
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


def sources_of(panel):
    """Profile sources that rows may use, by study, best first; any other study has its own."""
    return PROFILES.get(panel.removesuffix("_zscored"), {})


def _null(spec):
    """Kind of null control and its draw, for example ("permuted_genes", 1)."""
    kind, _, draw = spec.null_control.partition("_draw")
    return kind, int(draw or 1)


def assign_profiles(profiles, pairs, sources):
    """Row of `profiles` that each response row uses, or -1 where its line has no profile of a
    source it may use.

    Parameters
    ----------
    profiles : DataFrame
        cell_id, profile_source.
    pairs : DataFrame
        study, cell_id.
    sources : dict of str to sequence of str
        `sources_of` the panel.

    Returns
    -------
    ndarray of int32, shape (n_rows,)
    """
    names = pd.Index(profiles.cell_id + "/" + profiles.profile_source)
    found = np.full(len(pairs), -1, np.int32)
    for study in pairs.study.unique():
        for source in sources.get(study, (study,)):
            rows = np.flatnonzero((pairs.study == study) & (found < 0))
            found[rows] = names.get_indexer(pairs.cell_id.iloc[rows] + "/" + source)
    return found


def usable(store, spec, pairs):
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
    profiles = store.profiles(spec.panel)[0]
    profile = assign_profiles(profiles, pairs, sources_of(spec.panel))
    keys, _, values = store.drug_block(spec.drug_block)
    described = keys.drug_id[np.isfinite(values).any(axis=1)]
    why_not = np.where(pairs.drug_id.isin(described), "", "the drug has no descriptors")
    return np.where(profile < 0, f"the line has no profile on panel {spec.panel}", why_not)


def build(store, spec, pairs, train):
    """Feature matrices of every fold, and the index of each row into them.

    Parameters
    ----------
    store : Store
    spec : RunSpec
    pairs : DataFrame
        Response rows that `usable` accepts: study, cell_id, drug_id.
    train : ndarray of bool, shape (n_folds, n_rows)
        Training rows of each fold. A profile is a training profile when its line has a training
        row, and a drug a training drug when it has one; nothing else is fitted on.

    Returns
    -------
    Features

    Raises
    ------
    ValueError
        If a row has no profile or no descriptors, or a fold has too few training rows for the
        scaling.
    """
    _check_null(spec)
    reasons = usable(store, spec, pairs)
    unusable = np.flatnonzero(reasons != "")
    if len(unusable):
        raise ValueError(
            f"{len(unusable)} row(s) cannot be used, first row {unusable[0]}: "
            f"{reasons[unusable[0]]}; filter with usable()"
        )
    keys = store.profiles(spec.panel)[0]
    rows = np.flatnonzero(keys.cell_id.isin(pairs.cell_id))
    profiles = keys.iloc[rows].reset_index(drop=True)
    drugs = sorted(set(pairs.drug_id))
    whole = spec.scope == "whole_frame"
    train_profiles = _in_training(train, pairs.cell_id, profiles.cell_id) | whole
    train_drugs = _in_training(train, pairs.drug_id, pd.Series(drugs)) | whole
    cell_x = _genes(store, spec, rows, train_profiles)
    if spec.snp != "none":
        snp_x = _mutations(store, spec, profiles, train_profiles)
        cell_x = np.concatenate([cell_x, snp_x], axis=2)
    drug_x = _descriptors(store, spec, drugs, train_drugs)
    profile = assign_profiles(profiles, pairs, sources_of(spec.panel))
    drug = pd.Index(drugs).get_indexer(pairs.drug_id).astype(np.int32)
    return Features(cell_x, drug_x, profile, drug, drugs)


def _in_training(train, row_keys, names):
    """Names that have a training row, per fold: (n_folds, n_names)."""
    return np.array([names.isin(row_keys[rows]) for rows in train])


def _genes(store, spec, rows, train):
    """Scaled expression of the profiles in `rows`: (n_folds, n_profiles, n_genes)."""
    keys, _, values = store.profiles(spec.panel)
    values = values[:, store.genes_of(spec.panel, spec.rnaseq_set)]
    source = keys.profile_source.to_numpy()
    values = _control(values, source, spec, "genes")[rows]
    return _scaled(lambda: Scaling(spec.scaling), values, source[rows], train)


def _mutations(store, spec, profiles, train):
    """Scaled mutations, one row per profile: (n_folds, n_profiles, n_genes + 1).

    A line without mutations has gaps; the last column is 1 for the others.
    """
    keys, _, values = store.mutations(SNP_TABLE[spec.snp])
    source = keys.mutation_source.to_numpy(str)
    values = _control(values, source, spec, "snp")
    row = _mutation_rows(keys, profiles)
    lines = np.where((row >= 0)[:, None], values[row], np.nan)
    once = ~pd.Series(row).duplicated().to_numpy()  # a line with two profiles counts once
    source = np.where(row >= 0, source[row], "")
    fit_on = train & once & (row >= 0)
    return _scaled(lambda: MutationScaling(spec.snp), lines, source, fit_on)


def _control(values, source, spec, side):
    """Values of lines, or those of a null control on their side ("genes" or "snp")."""
    kind, draw = _null(spec)
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
    own = pd.MultiIndex.from_frame(keys).get_indexer(pd.MultiIndex.from_frame(profiles))
    first = keys.cell_id.drop_duplicates()
    other = pd.Series(first.index, first).reindex(profiles.cell_id, fill_value=-1)
    return np.where(own >= 0, own, other)


def _descriptors(store, spec, drugs, train):
    """Scaled descriptors of the drugs: (n_folds, n_drugs, p)."""
    keys, columns, values = store.drug_block(spec.drug_block)
    kind, draw = _null(spec)
    if kind.endswith("_drugs"):
        block = pd.concat([keys, pd.DataFrame(values, columns=columns)], axis=1)
        control = controls.drug_control(block, kind.removesuffix("_drugs"), seed=draw)
        values = control.drop(columns="drug_id").to_numpy()
    values = values[pd.Index(keys.drug_id).get_indexer(drugs)]
    least = 1 if kind == "onehot_drugs" else 2  # its columns differ for one drug each
    scalers = [DescriptorScaler(min_varied=least).fit(values[rows]) for rows in train]
    return np.stack([scaler.transform(values) for scaler in scalers])


def _check_null(spec):
    if _null(spec)[0] == "permuted_snp" and spec.snp == "none":
        raise ValueError("null_control 'permuted_snp' needs mutations: choose snp 'counts'")


def _check_sources(store, spec):
    sources = store.profiles(spec.panel)[0].profile_source.unique()
    if spec.scaling == "combat" and len(sources) < 2:
        raise ValueError(
            f"ComBat needs two profile sources, panel {spec.panel!r} has {sources[0]!r} only"
        )
