"""Six ways to hold rows out, each with an inner validation part cut in the same way; leak audits.

| split | what no test row shares with training | folds |
|---|---|---|
| `on_cell` | its cell line (cut on the donor: relatives stay together) | random |
| `on_drug` | its drug | random |
| `tissue_out` | the tissue of its line | random groups of tissues |
| `scaffold_out` | the Bemis-Murcko scaffold of its drug | random groups of scaffolds |
| `both_unseen` | its cell line and its drug | fold k of the lines with fold k of the drugs |
| `study_out` | its study; another study may have measured its line and drug | one per study |

Three roles per fold (section 4.6 of the paper has two; the third keeps the test rows untouched):
networks are fitted on training rows, stopped and chosen on inner rows, and scored once on test
rows. A row that would leak is unused in the fold.
"""

import numpy as np
import pandas as pd

TRAIN, INNER, TEST, UNUSED = 0, 1, 2, -1
KEYS = {"on_cell": "donor", "on_drug": "drug_id"}
GROUPS = {"tissue_out": "tissue", "scaffold_out": "scaffold"}
SPLITS = (*KEYS, *GROUPS, "study_out", "both_unseen")
INNER_SHARE = 0.2  # of the training keys: the inner validation part
SELECTIONS = ("nested", "paper")


def assign_folds(keys, n_folds, seed=0):
    """Deal distinct keys to folds at random, so that folds hold nearly equal numbers of rows.

    Parameters
    ----------
    keys : array of str, shape (n_rows,)
    n_folds : int
    seed : int

    Returns
    -------
    ndarray of int8, shape (n_rows,)
        Fold of each row; rows of one key share it. It depends on the set of keys and their counts,
        not on row order.

    Raises
    ------
    ValueError
        With fewer distinct keys than folds.
    """
    names, code, count = np.unique(
        np.asarray(keys, dtype=str), return_inverse=True, return_counts=True
    )
    if len(names) < n_folds:
        raise ValueError(
            f"{len(names)} distinct key(s) cannot fill {n_folds} folds: use fewer folds or a "
            "larger cohort"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-count[order], kind="stable")]  # large keys first; ties stay shuffled
    fold_of = np.zeros(len(names), np.int8)
    load = np.zeros(n_folds)
    for name in order:
        fold_of[name] = load.argmin()
        load[fold_of[name]] += count[name]
    return fold_of[code]


def roles(keys, n_folds=3, selection="nested", repeat=0):
    """Role of each row in each fold.

    Parameters
    ----------
    keys : array of str, shape (n_rows,)
        The column that must not be shared (see `KEYS`).
    n_folds : int
        Outer folds (3 in the paper).
    selection : {"nested", "paper"}
        `paper`: no inner part; networks are stopped and chosen on the test rows, as in the paper
        (optimistic).
    repeat : int
        Which cut of the keys; every repeat has its own.

    Returns
    -------
    role : ndarray of int8, shape (n_folds, n_rows)
        0 train, 1 inner validation, 2 test.
    fold : ndarray of int8, shape (n_rows,)

    Raises
    ------
    ValueError
        For an unknown selection, too few keys, or a repeat that cuts them as an earlier one does.
    """
    keys = np.asarray(keys, dtype=str)
    role = _hold_out([keys], n_folds, _nested(selection), repeat, even=True)
    return role, (role == TEST).argmax(axis=0).astype(np.int8)


def _nested(selection):
    """Whether a selection needs an inner part."""
    if selection not in SELECTIONS:
        raise ValueError(f"selection must be 'nested' or 'paper', found {selection!r}")
    return selection == "nested"


def _hold_out(sides, n_folds, nested, repeat, even):
    """Roles of rows that have one key on each side: fold k of every side is tested together."""
    folds = np.array([_cut(keys, n_folds, repeat) for keys in sides])
    role = np.empty((n_folds, folds.shape[1]), np.int8)
    for k in range(n_folds):
        role[k] = _by_side(folds == k, TEST)
        train = np.flatnonzero(role[k] == TRAIN)
        if nested and len(train):
            inner = [_inner_part(keys[train], k, repeat, even) for keys in sides]
            role[k, train] = _by_side(np.array(inner), INNER)
    return role


def _by_side(held, role):
    """Role of rows that are held out on every side; on none they train, on some they are unused."""
    return np.select([held.all(axis=0), ~held.any(axis=0)], [role, TRAIN], UNUSED)


def _cut(keys, n_folds, repeat):
    """Folds of a repeat, which must differ from those of every earlier one."""
    fold = assign_folds(keys, n_folds, seed=repeat)
    for earlier in range(repeat):
        other = assign_folds(keys, n_folds, seed=earlier)
        if len(np.unique(fold * np.int64(n_folds) + other)) == n_folds:
            raise ValueError(
                f"repeat {repeat} cuts the {len(set(keys))} keys as repeat {earlier} does: ask for "
                "fewer repeats or a larger cohort"
            )
    return fold


def _inner_part(keys, fold, repeat, even):
    """Mask of inner rows among the training rows of a fold: the first of even parts, or of uneven
    ones the nearest to the share.
    """
    n_parts = round(1 / INNER_SHARE)
    if not even:
        n_parts = min(n_parts, len(np.unique(keys)))
    if n_parts < 2:
        raise ValueError(
            f"{n_parts} key(s) are left to train fold {fold}, two are needed: use a larger cohort"
        )
    part = assign_folds(keys, n_parts, 17 * fold + 1 + 1000 * repeat)
    far = np.abs(np.bincount(part) - INNER_SHARE * len(keys))
    return part == (0 if even else far.argmin())


def roles_of(table, split, n_folds=3, selection="nested", repeat=0):
    """Role of each row in each fold of any kind of split.

    Parameters
    ----------
    table : DataFrame
        Training rows with study, drug_id, donor, and tissue or scaffold where the split needs them.
    split : str
        One of `SPLITS`.
    n_folds : int
        `study_out`: the number of studies; fold k holds out the k-th in alphabetical order.
    selection : {"nested", "paper"}
    repeat : int
        Both as in `roles`; `study_out` has one cut.

    Returns
    -------
    ndarray of int8, shape (n_folds, n_rows)
        0 train, 1 inner validation, 2 test, -1 unused.

    Raises
    ------
    ValueError
        For an unknown split or selection, too few keys, or a number of folds that is not the number
        of studies.

    Notes
    -----
    Unused rows. Groups: a line without a tissue, or of a donor with lines of several tissues, and a
    drug without a scaffold, could be on both sides of a fold. `both_unseen`: a row whose line or
    drug, but not both, is held out; with three folds a third of all rows is tested, each row at
    most once.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, found {split!r}")
    nested = _nested(selection)
    if split == "study_out":
        if repeat:
            raise ValueError(f"study_out has one cut, found repeat {repeat}: ask for one repeat")
        return _study_roles(table["study"].to_numpy(str), n_folds, nested)
    sides = ("on_cell", "on_drug") if split == "both_unseen" else (split,)
    keys = [(KEYS | GROUPS)[side] for side in sides]
    known = table[keys].notna().all(axis=1)
    if split == "tissue_out":
        known &= table.groupby("donor")["tissue"].transform("nunique") == 1
    sides = table.loc[known, keys].to_numpy(str).T
    role = np.full((n_folds, len(table)), UNUSED, np.int8)
    role[:, known] = _hold_out(sides, n_folds, nested, repeat, even=split in KEYS)
    return role


def _study_roles(study, n_folds, nested):
    """One study is tested; the largest with at most `INNER_SHARE` of the others' rows is inner."""
    names, code, count = np.unique(study, return_inverse=True, return_counts=True)
    if n_folds != len(names) or len(names) < 3:
        raise ValueError(
            "study_out holds out one study per fold and needs three or more: "
            f"n_folds is {n_folds}, the rows come from {len(names)} ({', '.join(names)})"
        )
    role = np.where(code == np.arange(n_folds)[:, None], TEST, TRAIN).astype(np.int8)
    if nested:
        ascending = np.argsort(count, kind="stable")
        for k in range(n_folds):
            others = ascending[ascending != k]
            n_small = (count[others] <= INNER_SHARE * count[others].sum()).sum()
            inner = others[max(n_small - 1, 0)]
            role[k, code == inner] = INNER
    return role


def novelty(table, role):
    """What is new about the test rows of one fold.

    With `study_out`, the same line and drug may have been measured by a training study. So scores
    are reported for all test rows and for those that share less with training.

    Parameters
    ----------
    table : DataFrame
        study, donor, drug_id.
    role : ndarray of int8, shape (n_rows,)

    Returns
    -------
    dict of str to ndarray of bool, shape (n_rows,)
        Test rows: "all"; "new pair", "new line", "new drug" and "new line and drug" to training and
        inner rows.
    """
    seen = np.isin(role, (TRAIN, INNER))
    test = np.asarray(role) == TEST
    new_line = ~table.donor.isin(table.donor[seen]).to_numpy()
    new_drug = ~table.drug_id.isin(table.drug_id[seen]).to_numpy()
    pair = pd.MultiIndex.from_frame(table[["donor", "drug_id"]])
    return {
        "all": test,
        "new pair": test & ~pair.isin(pair[seen]),
        "new line": test & new_line,
        "new drug": test & new_drug,
        "new line and drug": test & new_line & new_drug,
    }


def leak_audit(pairs, fold, key):
    """Prove that no value of a key (line, donor or drug) is in two folds; raise otherwise.

    Parameters
    ----------
    pairs : DataFrame
        Training rows with the column `key`.
    fold : array of int, shape (n_rows,)
        Fold of each row.
    key : str
        Column that must not be shared between folds (`donor` or `drug_id`).

    Returns
    -------
    DataFrame
        Per fold: rows, distinct keys, keys shared with the other folds (0).

    Raises
    ------
    ValueError
        Naming the first keys found on both sides.
    """
    sides = pd.DataFrame({"key": pairs[key].to_numpy(), "fold": fold})
    spread = sides.groupby("key").fold.nunique()
    shared = list(spread.index[spread > 1])
    if shared:
        raise ValueError(
            f"{len(shared)} {key} value(s) stand in more than one fold, for example {shared[:3]}: "
            f"cut folds on {key!r}"
        )
    table = sides.groupby("fold").key.agg(n_rows="size", n_keys="nunique")
    return table.assign(n_shared=0).reset_index()


def leak_of_key(pairs, fold):
    """Per fold, the share of test rows whose cell, drug or (cell, drug) is in training too.

    Returns
    -------
    DataFrame
        Columns `fold`, `cell_shared`, `drug_shared`, `pair_shared`, fractions of the test rows.
    """
    keys = {"cell": "cell_id", "drug": "drug_id", "pair": ["cell_id", "drug_id"]}
    rows = pairs.assign(fold=fold)
    shared = {}
    for name, key in keys.items():
        n_folds = rows.groupby(key, observed=True)["fold"].transform("nunique")
        shared[f"{name}_shared"] = n_folds > 1
    return pd.DataFrame(shared).groupby(rows["fold"]).mean().reset_index()
