"""Six ways to hold rows out, each with an inner validation part that is cut from training in the same way.

| split | what no test row shares with training | folds |
|---|---|---|
| `on_cell` | its cell line (cut on the donor: relatives stay together) | random |
| `on_drug` | its drug | random |
| `tissue_out` | the tissue of its line | random groups of tissues |
| `scaffold_out` | the Bemis-Murcko scaffold of its drug | random groups of scaffolds |
| `both_unseen` | its cell line and its drug | fold k of the lines with fold k of the drugs |
| `study_out` | its study; line, drug and even the pair may have been measured by another study | one per study |

Three roles per fold (section 4.6 of the paper has two; the third keeps the test rows untouched): training rows fit,
inner rows stop and choose, test rows are read once. A row that could not keep its fold honest is unused in it.
"""

import numpy as np
import pandas as pd

TRAIN, INNER, TEST, UNUSED = 0, 1, 2, -1
KEYS = {"on_cell": "donor", "on_drug": "drug_id"}
GROUPS = {"tissue_out": "tissue", "scaffold_out": "scaffold"}
SPLITS = (*KEYS, *GROUPS, "study_out", "both_unseen")


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
        Fold of each row; rows of one key share it. It depends on the set of keys and their counts, not on row order.

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
            f"{len(names)} distinct key(s) cannot fill {n_folds} folds: use fewer folds or a larger cohort"
        )
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-count[order], kind="stable")]  # large keys first; ties stay shuffled
    fold_of, load = np.zeros(len(names), np.int8), np.zeros(n_folds)
    for name in order:
        fold_of[name] = load.argmin()
        load[fold_of[name]] += count[name]
    return fold_of[code]


def roles(keys, n_folds=3, inner_share=0.2, seed=0, selection="nested"):
    """Role of each row in each fold.

    Parameters
    ----------
    keys : array of str, shape (n_rows,)
        The column that must not be shared (see `KEYS`).
    n_folds : int
        Outer folds (3 in the paper).
    inner_share : float
        Part of the training keys that stops and chooses, 0 to 0.5.
    seed : int
    selection : {"nested", "paper"}
        `paper`: the test rows stop and choose too, as in the paper; optimistic.

    Returns
    -------
    role : ndarray of int8, shape (n_folds, n_rows)
        0 train, 1 inner validation, 2 test.
    fold : ndarray of int8, shape (n_rows,)

    Raises
    ------
    ValueError
        For an unknown selection, or too few keys.
    """
    if selection not in ("nested", "paper"):
        raise ValueError(f"selection must be 'nested' or 'paper', found {selection!r}")
    keys = np.asarray(keys, dtype=str)
    fold = assign_folds(keys, n_folds, seed)
    role = np.where(fold == np.arange(n_folds)[:, None], TEST, TRAIN).astype(np.int8)
    if selection == "nested":
        n_inner = max(2, round(1 / inner_share))
        for k in range(n_folds):
            train = fold != k
            inner = assign_folds(keys[train], n_inner, seed=seed * 1000 + 17 * k + 1) == 0
            role[k, np.flatnonzero(train)[inner]] = INNER
    return role, fold


def roles_of(table, split, n_folds=3, inner_share=0.2, seed=0, selection="nested"):
    """Role of each row in each fold of any kind of split.

    Parameters
    ----------
    table : DataFrame
        Training rows with study, drug_id, donor, and tissue or scaffold where the split needs them.
    split : str
        One of `SPLITS`.
    n_folds : int
        `study_out`: the number of studies; fold k holds out the k-th in alphabetical order.
    inner_share, seed, selection
        As in `roles`.

    Returns
    -------
    ndarray of int8, shape (n_folds, n_rows)
        0 train, 1 inner validation, 2 test, -1 unused.

    Raises
    ------
    ValueError
        For an unknown split or selection, too few keys, or a number of folds that is not the number of studies.

    Notes
    -----
    Unused rows. Groups: a line without a tissue, or of a donor with lines of several tissues, and a drug without a
    scaffold, would be on both sides without anyone knowing. `both_unseen`: a row of which one half is held out; a
    third of all rows is tested with three folds, each row at most once.
    """
    if split in KEYS:
        return roles(table[KEYS[split]].to_numpy(str), n_folds, inner_share, seed, selection)[0]
    if split not in SPLITS:
        raise ValueError(f"split must be one of {SPLITS}, found {split!r}")
    if split in GROUPS:
        return _group_roles(group_keys(table, split), n_folds, inner_share, seed, selection)
    if selection not in ("nested", "paper"):
        raise ValueError(f"selection must be 'nested' or 'paper', found {selection!r}")
    if split == "study_out":
        return _study_roles(table["study"].to_numpy(str), n_folds, inner_share, selection)
    return _both_unseen(
        table["donor"].to_numpy(str),
        table["drug_id"].to_numpy(str),
        n_folds,
        inner_share,
        seed,
        selection,
    )


def group_keys(table, split):
    """Tissue or scaffold of each row; "" where it is not known or does not hold the donor's lines together."""
    keys = table[GROUPS[split]]
    known = keys.notna()
    if split == "tissue_out":
        known &= table.groupby("donor")["tissue"].transform("nunique") == 1
    return keys.where(known, "").to_numpy(str)


def _group_roles(keys, n_folds, inner_share, seed, selection):
    role, known = np.full((n_folds, len(keys)), UNUSED, np.int8), keys != ""
    role[:, known] = roles(keys[known], n_folds, inner_share, seed, "paper")[0]
    if selection == "nested":
        for k in range(n_folds):
            train = np.flatnonzero(role[k] == TRAIN)
            role[k, train[_inner_part(keys[train], inner_share, seed, k)]] = INNER
    return role


def _inner_part(keys, inner_share, seed, fold):
    """Rows of some training keys that stop and choose: the part nearest to the share, as few keys make uneven parts."""
    n_parts = min(max(2, round(1 / inner_share)), len(np.unique(keys)))
    if n_parts < 2:
        raise ValueError(
            f"{n_parts} key(s) are left to train fold {fold}, two are needed: use a larger cohort"
        )
    part = assign_folds(keys, n_parts, seed * 1000 + 17 * fold + 1)
    return part == np.abs(np.bincount(part) - inner_share * len(keys)).argmin()


def _study_roles(study, n_folds, inner_share, selection):
    """One study tests. Of the others, the largest that holds no more than `inner_share` of their rows stops."""
    names, code, count = np.unique(study, return_inverse=True, return_counts=True)
    if n_folds != len(names) or len(names) < 3:
        raise ValueError(
            f"study_out holds out one study per fold and needs three or more: n_folds is {n_folds}, the rows come from "
            f"{len(names)} ({', '.join(names)})"
        )
    role = np.where(code == np.arange(n_folds)[:, None], TEST, TRAIN).astype(np.int8)
    for k in range(n_folds if selection == "nested" else 0):
        others = np.delete(np.arange(n_folds), k)
        others = others[np.argsort(count[others], kind="stable")]
        small = others[count[others] <= inner_share * count[others].sum()]
        role[k, code == (small[-1] if len(small) else others[0])] = INNER
    return role


def _both_unseen(donor, drug, n_folds, inner_share, seed, selection):
    """Fold k of the lines with fold k of the drugs; these folds are those of `on_cell` and `on_drug`."""
    sides = [(keys, assign_folds(keys, n_folds, seed)) for keys in (donor, drug)]
    role = np.full((n_folds, len(donor)), UNUSED, np.int8)
    for k in range(n_folds):
        held = np.sum([fold == k for _, fold in sides], axis=0)
        role[k, held == 2] = TEST
        train = np.flatnonzero(held == 0)
        role[k, train] = TRAIN
        if selection == "nested" and len(train):
            inner = np.sum(
                [_inner_part(keys[train], inner_share, seed, k) for keys, _ in sides], axis=0
            )
            role[k, train[inner == 1]], role[k, train[inner == 2]] = UNUSED, INNER
    return role


def novelty(table, role):
    """What is new about the test rows of one fold.

    `study_out` holds out an assay, not a biology: a test row may have been measured, line and drug, by a study of the
    training side. So its scores are told for all test rows and for those that share less.

    Parameters
    ----------
    table : DataFrame
        study, donor, drug_id.
    role : ndarray of int8, shape (n_rows,)

    Returns
    -------
    dict of str to ndarray of bool, shape (n_rows,)
        Test rows: "all"; "new pair", "new line", "new drug" and "new line and drug" to training and inner rows.
    """
    import pandas as pd  # late: the conductor reads the grid without it

    seen, test = np.isin(role, (TRAIN, INNER)), np.asarray(role) == TEST
    new_line, new_drug = (
        ~table[key].isin(table[key][seen]).to_numpy() for key in ("donor", "drug_id")
    )
    pair = pd.MultiIndex.from_frame(table[["donor", "drug_id"]])
    found = {
        "all": True,
        "new pair": ~pair.isin(pair[seen]),
        "new line": new_line,
        "new drug": new_drug,
    }
    found["new line and drug"] = new_line & new_drug
    return {name: test & rows for name, rows in found.items()}


def leak_audit(pairs, fold, key):
    """Prove that no line, donor, drug or measurement stands on both sides of a fold; raise otherwise.

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
            f"{len(shared)} {key} value(s) stand in more than one fold, for example {shared[:3]}: cut folds on {key!r}"
        )
    return (
        sides.groupby("fold")
        .key.agg(n_rows="size", n_keys="nunique")
        .assign(n_shared=0)
        .reset_index()
    )


def leak_of_key(pairs, fold):
    """What a key leaks: for each fold, the share of test rows whose cell, drug or (cell, drug) is in training too.

    Returns
    -------
    DataFrame
        Columns `fold`, `cell_shared`, `drug_shared`, `pair_shared`, fractions of the test rows.
    """
    cell, drug = (pd.factorize(pairs[name])[0] for name in ("cell_id", "drug_id"))
    codes = dict(
        cell=cell, drug=drug, pair=pd.factorize(cell.astype(np.int64) * (drug.max() + 1) + drug)[0]
    )
    rows = []
    for k in sorted(set(fold)):
        test, row = np.asarray(fold) == k, dict(fold=k)
        for name, code in codes.items():
            trained = np.zeros(code.max() + 1, bool)
            trained[code[~test]] = True
            row[f"{name}_shared"] = trained[code[test]].mean()
        rows.append(row)
    return pd.DataFrame(rows)
