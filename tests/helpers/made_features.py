"""A small run folder of made features, for tests of the machinery."""

import numpy as np
import pandas as pd

from lib.cells import genesets
from lib.sweep.store import Store

N_LINES, N_GENES, N_DRUGS = 60, 70, 12
LINES = [f"L{i:02d}" for i in range(N_LINES)]
DRUG = [f"D{i:02d}" for i in range(N_DRUGS)]


def write_folder(folder, change=None, seed=0):
    """A small run folder; numbers only, for tests of the machinery. `change` may alter the frames
    before writing.
    """
    rng = np.random.default_rng(seed)
    genes = [f"G{i:02d}" for i in range(N_GENES)]
    keys = [(line, "GDSC") for line in LINES[:45]] + [(line, "NCI-60") for line in LINES[30:]]
    values = (
        rng.normal(size=(len(keys), N_GENES))
        + 2 * np.array([key[1] == "GDSC" for key in keys])[:, None]
    )
    profiles = pd.concat([_keys(keys, "profile_source"), _floats(values, genes)], axis=1)
    members, report, _ = genesets.gene_sets(
        genes, dict(lincs1000=genes[:40], oncogenes=genes[20:60]), "array"
    )
    mutated = rng.poisson(1.0, size=(50, 9)).astype(float)
    snp = pd.concat(
        [
            _keys([(line, "CCLE") for line in LINES[:50]], "mutation_source"),
            _floats(mutated, genes[:9]),
        ],
        axis=1,
    )
    mordred = pd.concat(
        [pd.DataFrame(dict(drug_id=DRUG)), _floats(rng.normal(size=(N_DRUGS, 6)), "abcdef")], axis=1
    )
    mordred.loc[0, "c"] = np.nan
    mordred.loc[11, list("abcdef")] = np.nan  # a compound that could not be described
    bits = pd.concat(
        [pd.DataFrame(dict(drug_id=DRUG)), _floats(rng.integers(0, 2, size=(N_DRUGS, 4)), "wxyz")],
        axis=1,
    )
    frames = dict(
        profiles_array=profiles, gene_sets=members, gene_set_report=report, snp_counts=snp
    )
    frames |= dict(drug_mordred=mordred, drug_rdkit_ecfp=bits)
    for name, frame in frames.items():
        (change(name, frame) if change else frame).to_parquet(
            folder / f"{name}.parquet", index=False
        )
    return Store(folder)


def _keys(pairs, source):
    return pd.DataFrame(pairs, columns=["cell_id", source])


def _floats(values, names):
    return pd.DataFrame(np.asarray(values, dtype=np.float32), columns=list(names))
