"""The numbers that the paper prints, as data, and the words under which results are shown.

The numbers are tables 1 to 7, the paper's tests and its claims (`data/published/paper_values.csv`).
Every row carries the id of its place in the paper's checklist (E6 tables, A9 fits, D4-D6 tests, F1
claims). Level names are the project's. `dragon7` is proprietary: where a run used the open stand-in
`rdkit_ecfp`, `published_level` leads from our level to the paper's row, and every table that does
so says which level stood in.
"""

import pandas as pd

from lib import paths

PATH = paths.DATA / "published" / "paper_values.csv"
STAND_IN = {
    "rdkit_ecfp": "dragon7",
    "mordred+rdkit_ecfp": "mordred+dragon7",
    "rdkit_ecfp+mordred": "mordred+dragon7",
}

RESPONDER = 0.5  # AUC at or below which a cell line responds (section 2)

# Words for figures and tables; keys are the values and names of the project's tables.
SPLIT_NAMES = {  # the paper has the first two
    "on_cell": "unseen cell lines",
    "on_drug": "unseen drugs",
    "tissue_out": "unseen tissues",
    "scaffold_out": "unseen scaffolds",
    "study_out": "unseen studies",
    "both_unseen": "unseen cell lines and drugs",
}
METRIC_NAMES = {
    "r2": "R²",
    "rmse": "RMSE [AUC]",
    "pearson": "r",
    "gain": "gain over mean effects",
    "npearson": "normalised r",  # r after the effects of drugs and lines: what features can add
    "balanced_accuracy": "balanced accuracy",
    "mcc": "MCC",
}
FACTOR_NAMES = {  # any other factor is called as its setting is
    "snp": "SNPs",
    "scaling": "expression scaling",
    "rnaseq_set": "gene set",
    "drug_block": "drug descriptors",
    "model": "architecture",
    "strategy": "training strategy",
    "hidden": "layer widths",
    "null_control": "shuffled-feature control",
    "lr": "learning rate",
}


def values(item=None):
    """The published values of one table, or all of them.

    Parameters
    ----------
    item : str, optional
        "table1" ... "table7", "tests" or "claims".

    Returns
    -------
    DataFrame
        item, row_id, split, factor, level, study, metric, statistic, relation, value (float), note;
        empty text is "".

    Raises
    ------
    ValueError
        If the paper has no such item.
    """
    text = "item row_id split factor level study metric statistic relation note".split()
    frame = pd.read_csv(PATH, dtype=dict.fromkeys(text, str), keep_default_na=False)
    if item is None:
        return frame
    rows = frame[frame["item"] == item]
    if rows.empty:
        known = sorted(frame["item"].unique())
        raise ValueError(f"the paper has no {item!r}; known items are {known}")
    return rows.reset_index(drop=True)


def published_level(factor, level):
    """The paper's level that one of our levels stands for, and a note where it is a stand-in.

    Returns
    -------
    tuple of str
        (level in the paper's rows, note); the note is "" where the level is the paper's own.
    """
    level = str(level)
    if factor == "drug_block" and level in STAND_IN:
        return STAND_IN[level], f"{level} stands in for {STAND_IN[level]}"
    return level, ""
