"""Makes hill_gcsi_points.csv and hill_gcsi_fits.csv from the measurement folder beside a
developer's checkout.

    python tests/golden/make_hill_gcsi.py .../fit_reference/gcsi_gemcitabine_golden_25.csv.gz
    tests/golden

The fits are those that the paper's group publishes for gCSI; nothing is computed here.
"""

import sys
from pathlib import Path

import pandas as pd

POINTS = ["curve_id", "dose_neglog10M", "viability"]
FITS = ["auc", "ic50", "ec50", "ec50se", "r2fit", "einf", "hs", "aac1", "auc1", "dss1"]
ORIGIN = """\
# Gemcitabine in 25 lines of gCSI. Points: GR values 1.3, relative cell count (bhklab/ConsensusPGxPaper@7ea1395b19,
# GPL-3). Fits: JDACS4C-IMPROVE/DualGCN@f699cbd9e2 (MIT), GraphDRP@51af763068 (Apache-2.0), digits as printed there.
# ic50 and ec50 are -log10 M. Their r2fit is against growth clipped to 0-1.
"""


def main(source, folder):
    joined = pd.read_csv(source)
    points = joined[POINTS].set_axis(["curve_id", "dose", "growth"], axis=1)
    fits = (
        joined.groupby("curve_id", sort=False)[FITS]
        .first()
        .reset_index()
        .rename(columns={"ec50": "pec50"})
    )
    for name, table in (("points", points), ("fits", fits)):
        text = table.to_csv(index=False, lineterminator="\n")
        Path(folder, f"hill_gcsi_{name}.csv").write_text(ORIGIN + text)


if __name__ == "__main__":
    main(*sys.argv[1:])
