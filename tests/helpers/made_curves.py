"""Simulated curves, for tests of the machinery."""

import numpy as np
import pandas as pd

from lib.hill import curve

DOSES = np.array([9.0, 8.0, 7.0, 6.0, 5.0])


def responses(n=40, seed=0):
    """Curves of two assays of one study, simulated, five doses each; every tenth has three."""
    rng = np.random.default_rng(seed)
    parts = []
    for i in range(n):
        dose = DOSES + 0.1 * (i % 3)
        growth = curve.growth_at(
            dose, rng.uniform(0, 0.6), rng.uniform(5.5, 8), rng.uniform(0.5, 2)
        ) + rng.normal(0, 0.05, 5)
        names = dict(
            study="GDSC",
            assay=f"GDSC{1 + i % 2}",
            curve_id=f"c{i:03d}",
            cell_id=f"l{i % 7}",
            drug_id=f"D{i % 4}",
        )
        part = pd.DataFrame(
            names
            | dict(dose=dose, growth=growth, endpoint="viability", file="f", control=i % 13 == 0)
        )
        parts.append(part.iloc[:3] if i % 10 == 9 else part)
    return pd.concat(parts, ignore_index=True)
