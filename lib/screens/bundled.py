"""The bundled panel, `data/open`: real measurements of all five studies; the cards in
`data/README.md` describe them.

Units are converted here and nowhere else: µM to -log10(M), per cent growth to growth. The published
summaries keep the studies' own units, named in `measure`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.screens.bundle import ALIASES, Bundle
from lib.screens.doses import COLUMNS
from lib.tables import TableError

OPEN = DATA / "open"
# file -> assay; MG-132 is the positive control of the GDSC2 plates
RESPONSES = {
    "ccle": "CCLE",
    "ctrp_40um": "CTRPv2",
    "gdsc1_15drugs": "GDSC1",
    "gdsc1_small": "GDSC1",
    "gdsc2_example": "GDSC2",
    "gdsc2_10drugs": "GDSC2",
    "gdsc2_5cancers": "GDSC2",
    "gcsi_gemcitabine": "gCSI",
    "nci60_almanac": "NCI-60",
    "nci60_5lines_growth": "NCI-60",
}
CONTROLS = {"gdsc2_example": ["MG-132"]}
# file of published summaries -> study, assay
SHEETS = {
    "ccle": ("CCLE", "CCLE"),
    "gdsc1_small": ("GDSC", "GDSC1"),
    "gdsc1_15drugs": ("GDSC", "GDSC1"),
    "gdsc1_auc": ("GDSC", "GDSC1"),
    "gdsc2_auc": ("GDSC", "GDSC2"),
    "gcsi_gr": ("gCSI", "gCSI"),
    "nci60_gi50": ("NCI-60", "NCI-60"),
    "ctrp_auc": ("CTRP", "CTRPv2"),
}
# column of these files -> measure, which carries quantity and unit; other columns are not read
MEASURES = {
    "act_area": "activity_area",
    "ctrp_area_under_curve": "ctrp_auc",
    "auc": "auc_tested",
    "ic50_um": "ic50_um",
    "ic50_published_um": "ic50_um",
    "ic50_gdsc_um": "ic50_um",
    "ln_ic50_um": "ln_ic50_um",
    "auc_published": "area_above",
    "auc_gdsc": "area_above",
    "ec50_um": "ec50_um",
    "amax": "amax_percent",
    "gr_aoc": "gr_aoc",
    "ctrp_gr_aoc": "gr_aoc",
    "gr50": "gr50_um",
    "gi50": "gi50",
}
SCALES = {
    "expression_GDSC": "RMA log2 (array)",
    "expression_NCI-60": "log2 intensity (mean of five arrays)",
    "expression_CCLE": "log2(TPM+1)",
    "mutations_CCLE": "count of protein changes",
    "mutations_GDSC": "0/1 event",
}


def load(folder=None):
    """Read the bundled panel.

    Parameters
    ----------
    folder : path, optional
        `data/open` by default.

    Returns
    -------
    Bundle

    Raises
    ------
    TableError
        If a file is missing or truncated, naming it.
    """
    folder = Path(folder or OPEN)
    responses = [_responses(folder, name, assay) for name, assay in RESPONSES.items()]
    published = [_sheet(folder, name, *of) for name, of in SHEETS.items()]
    return Bundle(
        responses=pd.concat(responses, ignore_index=True),
        aliases=aliases(folder),
        smiles=smiles(folder),
        expression=_expression(folder),
        mutations=_mutations(folder),
        published=pd.concat(published, ignore_index=True),
        scales=SCALES,
    )


def _read(path, **options):
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, **options)
        return pd.read_parquet(path, use_threads=False)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        what = "is missing" if missing else f"cannot be read ({error})"
        raise TableError(f"{path} {what}: restore it with git checkout -- {path.name}") from error


def _study(raw):
    return raw.source.replace("NCI60", "NCI-60")


def _responses(folder, name, assay):
    raw = _read(folder / "response" / f"{name}.parquet")
    grown = "percent_growth" in raw
    growth = (raw.percent_growth + 100) / 200 if grown else raw.viability
    curve = raw.curve_id if "curve_id" in raw else raw.cell_name + "|" + raw.drug_name
    rows = raw.assign(
        study=_study(raw),
        assay=assay,
        curve_id=_study(raw) + f"/{name}/" + curve,
        dose=6 - np.log10(raw.dose_um),
        growth=growth.astype(float),
        endpoint="growth" if grown else "viability",
        file=name,
        control=raw.drug_name.isin(CONTROLS.get(name, [])),
    )
    return rows[COLUMNS]


def aliases(folder=OPEN):
    """What is known of a name: the screened names first, then the keys of the profiles, then
    DepMap's model list.

    This is the shipped alias table: the other public data sets are read beside it.
    """
    named = _read(folder / "cells" / "cell_map.csv", dtype=str)
    named = named.rename(columns={"pilot1_cancer_type": "cancer_type"})
    keys = named.dropna(subset=["gdsc_key"]).drop_duplicates("gdsc_key")
    depmap = _read(folder / "cells" / "depmap_models.parquet")
    depmap = depmap.rename(
        columns={"rrid": "cellosaurus_id", "cell_line_name": "cell_name", "lineage": "tissue"}
    )
    parts = [
        named.assign(study=_study(named)),
        keys.assign(study="profile:GDSC", cell_name=keys.gdsc_key),
        depmap.assign(study="profile:CCLE", cell_name=depmap.depmap_id),
        depmap.assign(study="DepMap"),
    ]
    return pd.concat(parts, ignore_index=True)[ALIASES]


def smiles(folder=OPEN):
    """Structures of the screened compounds, one row per study and name."""
    raw = _read(folder / "drugs" / "smiles.csv")
    named = raw.assign(study=_study(raw))["study drug_name smiles smiles_origin".split()]
    return named.drop_duplicates(["study", "drug_name"])


def _expression(folder):
    ccle = _read(folder / "expression" / "ccle_rnaseq.parquet")
    # a list over the lines per gene, in hundredths
    gdsc = _read(folder / "expression" / "gdsc_rma.parquet")
    lines = _read(folder / "cells" / "gdsc_rma_lines.csv", dtype=str)
    hundredths = np.stack(gdsc["values"].tolist()).astype("float32")
    # a column per line, in thousandths, which may be missing
    nci60 = _read(folder / "expression" / "nci60_array.parquet").set_index("symbol")
    thousandths = nci60.astype("Float32").to_numpy(dtype="float32", na_value=np.nan)
    return {
        "GDSC": _by_line(hundredths / np.float32(100), gdsc["symbol"], lines["cell_key"]),
        "NCI-60": _by_line(thousandths / np.float32(1000), nci60.index, nci60.columns),
        "CCLE": ccle.drop(columns="origin").rename(columns={"depmap_id": "cell_name"}),
    }


def _by_line(values, genes, lines):
    """Genes in rows, to one row per line."""
    frame = pd.DataFrame(values.T, columns=genes.to_numpy())
    frame.insert(0, "cell_name", lines.to_numpy())
    return frame


def _mutations(folder):
    counts = _read(folder / "mutation" / "ccle_hybrid_capture_counts.parquet")
    events = _read(folder / "mutation" / "gdsc_binary_events.parquet").astype(str)
    keys = _read(folder / "cells" / "gdsc_omics_keys.csv", dtype={"cell_key": str})
    genes = _read(folder / "genes" / "gdsc_omics_6163.csv").symbol
    assessed = keys.cell_key[keys.has_mutation == 1]
    return {
        "CCLE": counts.astype({name: "float32" for name in counts.columns[1:]}),
        "GDSC": _present(events.cell_key, events.symbol, assessed, genes),
    }


def mutated_genes():
    """0/1 events of 803 lines of GDSC by a second pipeline: one row per line (see its card)."""
    pairs = _read(DATA / "open" / "mutation" / "gdsc_mutated_genes.parquet")
    lines, genes = (pd.Series(pairs[name].unique()) for name in ("cell_name", "symbol"))
    return _present(pairs.cell_name, pairs.symbol, lines, genes)


def _present(line, symbol, lines, genes):
    """1 for each pair of a line and a gene that is listed, else 0."""
    present = np.zeros((len(genes), len(lines)), "float32")
    present[pd.Index(genes).get_indexer(symbol), pd.Index(lines).get_indexer(line)] = 1
    return _by_line(present, genes, lines)


def _sheet(folder, name, study, assay):
    """One study's own summaries, long."""
    raw = _read(folder / "published" / f"{name}.parquet")
    measures = [measure for column, measure in MEASURES.items() if column in raw]
    known = [name for name in ("cell_name", "drug_name", "curve_id") if name in raw]
    long = raw.rename(columns=MEASURES).melt(known, measures, var_name="measure")
    long = long.dropna(subset=["value"])
    if "curve_id" in long:
        long["curve_id"] = f"{study}/{name}/" + long.curve_id.astype(str)
    return long.assign(study=study, assay=assay, sheet=name)
