"""The keys of DepMap's tables: a model is ACH-000001, and one entry of several stands for it."""

import polars as pl

from lib.tables import TableError

DEFAULT = "IsDefaultEntryForModel"  # a model sequenced more than once has one entry that counts
SEQUENCING = "SequencingID"
YES = ["yes", "true", "1"]
NO = ["no", "false", "0"]


def standing(raw, key, path, refused):
    """The rows that stand for their model; the others are counted.

    Parameters
    ----------
    raw : polars.DataFrame
        Perhaps with `DEFAULT` (yes or no) and `SEQUENCING`.
    key : str
        The column of models.
    path : Path
    refused : lib.screens.doses.Refused

    Returns
    -------
    polars.DataFrame

    Raises
    ------
    TableError
        If a word of `DEFAULT` is neither, or two entries both stand for one model.
    """
    if DEFAULT not in raw.columns:
        return raw
    said = raw[DEFAULT].cast(pl.String).str.to_lowercase().fill_null("")
    unknown = said.filter(~said.is_in(YES + NO)).unique().to_list()
    if unknown:
        raise TableError(f"{path.name}: {DEFAULT} must be Yes or No in every row, found {unknown}")
    kept = refused.keep(raw, pl.lit(said.is_in(YES)), "entry that does not stand for its model")
    if SEQUENCING in raw.columns:
        entries = kept.select(key, SEQUENCING).unique(maintain_order=True)
        twice = entries.filter(entries[key].is_duplicated())
        if twice.height:
            raise TableError(
                f"{path.name}: two entries stand for {twice[key][0]} "
                f"({twice[SEQUENCING].to_list()[:2]}); one can, by {DEFAULT}"
            )
    return kept
