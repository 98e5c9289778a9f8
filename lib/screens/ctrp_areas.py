"""CTRPv2's published areas of 481 compounds, a part of the `gdsc` data set.

The file is fetched from where it was published, or placed by hand: its repository states no terms,
and the CTD2 network's data-use terms apply. By the release's definition the area is the integral
of the fitted curve over log2 of the dose, from the weakest to the strongest of 16 doses, so a line
that the compound leaves as the control has an area of 15: the commonest value of the file.
"""

import pandas as pd

from lib.paths import DATA
from lib.screens.doses import Refused
from lib.screens.download import Remote
from lib.tables import TableError

STUDY = "CTRP"
ASSAY = "CTRPv2"
DOUBLINGS = 15
REMOTE = Remote(
    study=STUDY,
    file="ctrpv2_celldrug.csv",
    url="https://raw.githubusercontent.com/bhklab/DNF/790dde83a96cc35c55d1916b664d37868187df42/"
    "Data/ctrpv2_celldrug.csv",
    table="published",
    terms="CTD2 network data-use terms; the repository states none",
    page="https://github.com/bhklab/DNF and https://ctd2-data.nci.nih.gov/Public/Broad/",
    sha256="16ed725eec0cac8717e8c603e02d5b4636d071232ecef5bab82113fdc7ce091f",
)
PUBLISHED = "study assay cell_name drug_name measure value sheet".split()  # columns of summaries
STRUCTURES = DATA / "open" / "drugs" / "ctrp_smiles.parquet"
BELOW = "CTRP area below 0"
ABOVE = "CTRP area above its maximum of 15: growth above the control, no share of the tested range"


def read(path):
    """Published areas, one row per line and compound and measure.

    Parameters
    ----------
    path : path
        `ctrpv2_celldrug.csv`: a row per line, a column per compound; a line may have several rows,
        which are experiments of their own.

    Returns
    -------
    DataFrame
        study, assay, cell_name, drug_name, measure, value, sheet. "ctrp_auc" is the area as
        published; "auc_tested" its share of the tested range, for areas from 0 to 15. What is left
        out stands in `attrs["refused"]` as (file, reason, rows).

    Raises
    ------
    TableError
        If a value is no number, naming line and compound.
    """
    raw = pd.read_csv(path, index_col=0, dtype=str)
    raw.index.name = "cell_name"
    long = raw.reset_index().melt("cell_name", var_name="drug_name").dropna(ignore_index=True)
    area = pd.to_numeric(long["value"], errors="coerce")
    if area.isna().any():
        bad = long[area.isna()].iloc[0]
        raise TableError(
            f"{path}: the area of {bad.drug_name} on {bad.cell_name} is {bad.value!r}, no number "
            f"({int(area.isna().sum())} such values): fetch the file again"
        )
    long = long.assign(study=STUDY, assay=ASSAY, measure="ctrp_auc", value=area, sheet="ctrp_areas")
    inside = long[area.between(0, DOUBLINGS)]
    shares = inside.assign(measure="auc_tested", value=inside["value"] / DOUBLINGS)
    out = pd.concat([long, shares], ignore_index=True)
    refused = Refused(path.name)
    refused.add(BELOW, (area < 0).sum())
    refused.add(ABOVE, (area > DOUBLINGS).sum())
    out.attrs["refused"] = refused.listed()
    return out[PUBLISHED]


def structures():
    """Structures of the compounds: study, drug_name, smiles, smiles_origin."""
    table = pd.read_parquet(STRUCTURES)[["drug_name", "smiles"]]
    return table.assign(study=STUDY, smiles_origin="CTRPv2 compound table")
