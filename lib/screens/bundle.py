"""What a data set offers, in the studies' own names."""

from dataclasses import dataclass, field

import pandas as pd

ALIASES = "study cell_name depmap_id cellosaurus_id tissue cancer_type".split()


@dataclass
class Bundle:
    """What a data set offers, in the studies' own names; identities are given later, by
    `lib.screens.lines`.

    Attributes
    ----------
    responses : DataFrame
        study, assay, curve_id, cell_name, drug_name, dose (-log10 M), growth (1 untreated),
        endpoint, file, control.
    aliases : DataFrame
        `ALIASES`: what is known of a name.
    smiles : DataFrame
        study, drug_name, smiles, smiles_origin.
    expression, mutations : dict of str to DataFrame
        Per source: `cell_name` and one float32 column per gene symbol. A name is looked up as study
        ``profile:SOURCE``.
    published : DataFrame
        study, assay, cell_name, drug_name, curve_id (may be missing), measure, value: the studies'
        own summaries.
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
