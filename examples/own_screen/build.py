"""How this example was made: 60 lines and 8 compounds of the bundled CCLE data, as a scientist's own tables.

python examples/own_screen/build.py
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA

HERE = Path(__file__).parent
OPEN = DATA / "open"
COMPOUNDS = [
    "17-AAG",
    "AZD0530",
    "Erlotinib",
    "Lapatinib",
    "Paclitaxel",
    "PD-0325901",
    "PLX4720",
    "Topotecan",
]
LINES = 60


def main():
    doses = pd.read_parquet(OPEN / "response" / "ccle.parquet").query("drug_name in @COMPOUNDS")
    names = (
        pd.read_csv(OPEN / "cells" / "cell_map.csv")
        .query("source == 'CCLE'")
        .set_index("cell_name")
    )
    expression = (
        pd.read_parquet(OPEN / "expression" / "ccle_rnaseq.parquet")
        .set_index("depmap_id")
        .drop(columns="origin")
    )
    counts = (
        pd.read_parquet(OPEN / "mutation" / "ccle_hybrid_capture_counts.parquet")
        .set_index("cell_name")
        .dropna()
    )
    whole = doses.groupby("cell_name").drug_name.nunique().eq(len(COMPOUNDS))
    usable = names.index[
        names.index.isin(whole.index[whole]) & names.depmap_id.isin(expression.index)
    ]
    lines = sorted(set(usable) & set(counts.index))[
        :: max(1, len(set(usable) & set(counts.index)) // LINES)
    ][:LINES]
    doses = doses[doses.cell_name.isin(lines)].sort_values(["cell_name", "drug_name", "dose_um"])
    table = pd.DataFrame(dict(cell_id=doses.cell_name, drug_id=doses.drug_name))
    table["dose"] = (6 - np.log10(doses.dose_um)).round(4)
    table["growth"] = doses.viability.round(4)
    table.to_csv(HERE / "responses.csv", index=False)
    facts = (
        names.loc[lines]
        .rename(columns=dict(pilot1_cancer_type="cancer_type"))
        .rename_axis("cell_id")
    )
    facts[["depmap_id", "cellosaurus_id", "tissue", "cancer_type"]].to_csv(HERE / "cells.csv")
    profiles = expression.loc[names.depmap_id[lines]].set_axis(pd.Index(lines, name="cell_id"))
    genes = sorted(profiles.var().nlargest(100).index)
    profiles[genes].astype(float).round(3).to_csv(HERE / "expression.csv")
    mutated = counts.loc[lines].rename_axis("cell_id")
    mutated[sorted(mutated.gt(0).sum().nlargest(60).index)].astype(int).to_csv(
        HERE / "mutations.csv"
    )
    smiles = pd.read_csv(OPEN / "drugs" / "smiles.csv").query(
        "source == 'CCLE' and drug_name in @COMPOUNDS"
    )
    smiles.rename(columns=dict(drug_name="drug_id"))[["drug_id", "smiles"]].to_csv(
        HERE / "drugs.csv", index=False
    )
    ask(expression, names, genes, lines)


def ask(expression, names, genes, measured):
    """What notebook 07 is asked: three lines and three compounds that the screen did not measure."""
    new = [name for name in names.index if name not in measured]
    new = [name for name in new if names.depmap_id[name] in expression.index][:3]
    profiles = expression.loc[names.depmap_id[new]].set_axis(pd.Index(new, name="cell_id"))
    folder = HERE / "ask"
    folder.mkdir(exist_ok=True)
    profiles[genes].astype(float).round(3).to_csv(folder / "expression.csv")
    smiles = pd.read_csv(OPEN / "drugs" / "smiles.csv").query("source == 'CCLE'")
    others = smiles[~smiles.drug_name.isin(COMPOUNDS)].head(3)
    compounds = others.rename(columns=dict(drug_name="compound"))[["compound", "smiles"]]
    compounds.to_csv(folder / "compounds.csv", index=False)


if __name__ == "__main__":
    main()
