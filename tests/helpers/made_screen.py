"""A made-up work folder with real structures, and a small model folder trained on it."""

import numpy as np
import pandas as pd

from lib.cells import genesets
from lib.drugs import descriptors
from lib.screening import build
from lib.screens import molecules

SMILES = {
    "aspirin": "CC(=O)Oc1ccccc1C(=O)O",
    "caffeine": "Cn1c(=O)c2c(ncn2C)n(C)c1=O",
    "ibuprofen": "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "paracetamol": "CC(=O)Nc1ccc(O)cc1",
    "nicotine": "CN1CCCC1c1cccnc1",
    "naproxen": "COc1ccc2cc(ccc2c1)C(C)C(=O)O",
    "lidocaine": "CCN(CC)CC(=O)Nc1c(C)cccc1C",
    "salicylamide": "NC(=O)c1ccccc1O",
    "theophylline": "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "erlotinib": "C#Cc1cccc(Nc2ncnc3cc(OCCOC)c(OCCOC)cc23)c1",
    "gefitinib": "COc1cc2ncnc(Nc3ccc(F)c(Cl)c3)c2cc1OCCCN1CCOCC1",
    "imatinib": "Cc1ccc(NC(=O)c2ccc(CN3CCN(C)CC3)cc2)cc1Nc1nccc(n1)-c1cccnc1",
    "metformin": "CN(C)C(=N)NC(N)=N",
    "phenol": "Oc1ccccc1",
    "toluene": "Cc1ccccc1",
}
SETTINGS = {
    "drug_block": "maccs",
    "hidden": [[8]],
    "max_epochs": 12,
    "batch_size": 256,
    "seed": [0, 1],
}
STUDIES = ("CCLE", "GDSC", "NCI-60")
LINES = [f"ACH-{i:06d}" for i in range(36)]
GENES = [f"G{i:02d}" for i in range(60)]


def work_folder(folder, seed=0):
    """Tables of notebooks 01 to 04, with a response that line and drug decide."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    drugs = pd.DataFrame({"drug_name": SMILES.keys(), "smiles": SMILES.values()})
    drugs = molecules.standardise_all(drugs)[["drug_id", "drug_name", "smiles", "inchikey"]]
    cells = pd.DataFrame({"cell_id": LINES, "cell_name": [f"LN-{i}" for i in range(36)]})
    cells = cells.assign(depmap_id=LINES, cellosaurus_id=[f"CVCL_{i:04d}" for i in range(36)])
    cells["cancer_type"] = "A"
    cells["tissue"] = np.where(np.arange(36) % 3, "lung", "skin")
    cells["donor"] = cells.cell_id
    values = rng.normal(size=(36, len(GENES)))
    keys = pd.DataFrame({"cell_id": LINES, "profile_source": "GDSC"})
    profiles = pd.concat([keys, pd.DataFrame(values, columns=GENES)], axis=1)
    members, report, _ = genesets.gene_sets(GENES, {"lincs1000": GENES[:40]}, "array")
    frames = {
        "drugs": drugs,
        "cells": cells,
        "cell_names": cells[["cell_id", "cell_name"]].assign(study="GDSC", rule="made"),
        "profiles_array": profiles.astype(dict.fromkeys(GENES, np.float32)),
        "gene_sets": members,
        "gene_set_report": report,
        "drug_maccs": descriptors.compute_block(drugs, "maccs")[0],
        "fits": _fits(drugs, values, rng),
    }
    for name, frame in frames.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def _fits(drugs, values, rng):
    every = pd.MultiIndex.from_product([STUDIES, LINES[:33], drugs.drug_id])
    table = every.to_frame(index=False, name=["study", "cell_id", "drug_id"])
    table = table[rng.random(len(table)) < 0.6].reset_index(drop=True)
    line = pd.Index(LINES).get_indexer(table.cell_id)
    drug = pd.Index(drugs.drug_id).get_indexer(table.drug_id)
    auc = 0.7 + 0.08 * values[line, 0] + 0.1 * rng.normal(size=len(drugs))[drug]
    auc += 0.02 * pd.Index(STUDIES).get_indexer(table.study) + 0.03 * rng.normal(size=len(table))
    return table.assign(
        auc=auc.clip(0.02, 1), assay=table.study, endpoint="viability", n_doses=8, curve_id=""
    )


def model_folder(folder):
    """A model of the made screen, written below a folder."""
    return build.build(work_folder(folder / "work"), folder / "model", SETTINGS)
