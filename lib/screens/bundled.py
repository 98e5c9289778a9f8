"""The bundled panel, `data/open`: real measurements of all five studies; the cards in
`data/README.md` describe them.

Units are converted here and nowhere else: µM to -log10(M), per cent growth to growth. The published
summaries keep the studies' own units, named in `measure`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.screens.bundle import Bundle
from lib.tables import TableError

STUDY = {"CCLE": "CCLE", "CTRP": "CTRP", "GDSC": "GDSC", "gCSI": "gCSI", "NCI60": "NCI-60"}
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
    folder = DATA / "open" if folder is None else Path(folder)
    return Bundle(
        responses=pd.concat(
            [_responses(folder, name, assay) for name, assay in RESPONSES.items()],
            ignore_index=True,
        ),
        aliases=aliases(folder),
        smiles=smiles(folder),
        expression=_expression(folder),
        mutations=_mutations(folder),
        published=_published(folder),
        scales=SCALES,
    )


def _read(path, **options):
    try:
        return (
            pd.read_csv(path, **options)
            if path.suffix == ".csv"
            else pd.read_parquet(path, use_threads=False, **options)
        )
    except FileNotFoundError as error:
        raise TableError(
            f"{path} is missing: restore it with git checkout -- {path.name}"
        ) from error
    except (OSError, ValueError) as error:
        raise TableError(
            f"{path} cannot be read ({error}): restore it with git checkout -- {path.name}"
        ) from error


def _responses(folder, name, assay):
    raw = _read(folder / "response" / f"{name}.parquet")
    study = raw.source.map(STUDY)
    curve = raw.curve_id if "curve_id" in raw else raw.cell_name + "|" + raw.drug_name
    growth = (raw.percent_growth + 100) / 200 if "percent_growth" in raw else raw.viability
    frame = pd.DataFrame(
        dict(
            study=study,
            assay=assay,
            curve_id=study + f"/{name}/" + curve,
            cell_name=raw.cell_name,
            drug_name=raw.drug_name,
            dose=6 - np.log10(raw.dose_um),
            growth=growth.astype(float),
            endpoint="growth" if "percent_growth" in raw else "viability",
            file=name,
            control=raw.drug_name.isin(CONTROLS.get(name, [])),
        )
    )
    return frame


def aliases(folder=None):
    """What is known of a name: the screened names first, then the keys of the profiles, then
    DepMap's model list.

    This is the shipped alias table: the other public data sets are read beside it.
    """
    folder = DATA / "open" if folder is None else Path(folder)
    named = _read(folder / "cells" / "cell_map.csv", dtype=str).rename(
        columns={"pilot1_cancer_type": "cancer_type"}
    )
    named["study"] = named.source.map(STUDY)
    facts = ["depmap_id", "cellosaurus_id", "tissue", "cancer_type"]
    keys = named.dropna(subset=["gdsc_key"]).drop_duplicates("gdsc_key")
    depmap = _read(folder / "cells" / "depmap_models.parquet").rename(
        columns={"rrid": "cellosaurus_id", "cell_line_name": "cell_name", "lineage": "tissue"}
    )
    parts = [
        named[["study", "cell_name", *facts]],
        keys.assign(study="profile:GDSC", cell_name=keys.gdsc_key)[["study", "cell_name", *facts]],
        depmap.assign(study="profile:CCLE", cell_name=depmap.depmap_id)[
            ["study", "cell_name", *facts[:3]]
        ],
        depmap.assign(study="DepMap")[["study", "cell_name", *facts[:3]]],
    ]
    return pd.concat(parts, ignore_index=True)


def smiles(folder=None):
    """Structures of the screened compounds, one row per study and name."""
    folder = DATA / "open" if folder is None else Path(folder)
    raw = _read(folder / "drugs" / "smiles.csv")
    raw["study"] = raw.source.map(STUDY)
    return raw[["study", "drug_name", "smiles", "smiles_origin"]].drop_duplicates(
        ["study", "drug_name"]
    )


def _expression(folder):
    ccle = _read(folder / "expression" / "ccle_rnaseq.parquet")
    ccle = ccle.drop(columns="origin").rename(columns={"depmap_id": "cell_name"})
    return {
        "GDSC": _hundredths(folder),
        "NCI-60": _thousandths(_read(folder / "expression" / "nci60_array.parquet")),
        "CCLE": ccle,
    }


def _hundredths(folder):
    """GDSC's array: a list over the lines per gene, to one row per profile."""
    raw = _read(folder / "expression" / "gdsc_rma.parquet")
    lines = _read(folder / "cells" / "gdsc_rma_lines.csv", dtype=str)
    values = np.stack(raw["values"].tolist()).astype("float32").T / np.float32(100)
    frame = pd.DataFrame(values, columns=raw["symbol"].to_numpy())
    frame.insert(0, "cell_name", lines["cell_key"].to_numpy())
    return frame


def _thousandths(raw):
    """Genes in rows, integers in thousandths, to one row per profile."""
    values = raw.set_index("symbol").astype("Float32").to_numpy(
        dtype="float32", na_value=np.nan
    ).T / np.float32(1000)
    frame = pd.DataFrame(values, columns=raw.symbol.to_numpy())
    frame.insert(0, "cell_name", [name for name in raw.columns if name != "symbol"])
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
    present = np.zeros((len(lines), len(genes)), "float32")
    present[pd.Index(lines).get_indexer(line), pd.Index(genes).get_indexer(symbol)] = 1
    table = pd.DataFrame(present, columns=genes.to_numpy())
    table.insert(0, "cell_name", lines.to_numpy())
    return table


def _published(folder):
    """The studies' own summaries, long; `measure` carries quantity and unit."""
    sheets = [
        (
            "ccle",
            "CCLE",
            "CCLE",
            dict(
                act_area="activity_area", ic50_um="ic50_um", ec50_um="ec50_um", amax="amax_percent"
            ),
        ),
        (
            "gdsc1_small",
            "GDSC",
            "GDSC1",
            dict(ic50_published_um="ic50_um", auc_published="area_above"),
        ),
        ("gdsc1_15drugs", "GDSC", "GDSC1", dict(ic50_gdsc_um="ic50_um", auc_gdsc="area_above")),
        ("gdsc1_auc", "GDSC", "GDSC1", dict(auc="auc_tested", ln_ic50_um="ln_ic50_um")),
        ("gdsc2_auc", "GDSC", "GDSC2", dict(auc="auc_tested", ln_ic50_um="ln_ic50_um")),
        (
            "gcsi_gr",
            "gCSI",
            "gCSI",
            dict(auc="auc_tested", ic50_um="ic50_um", gr_aoc="gr_aoc", gr50="gr50_um"),
        ),
        ("nci60_gi50", "NCI-60", "NCI-60", dict(gi50="gi50")),
        (
            "ctrp_auc",
            "CTRP",
            "CTRPv2",
            dict(ctrp_area_under_curve="ctrp_auc", ctrp_gr_aoc="gr_aoc"),
        ),
    ]
    return pd.concat([_sheet(folder, *sheet) for sheet in sheets], ignore_index=True)


def _sheet(folder, name, study, assay, measures):
    raw = _read(folder / "published" / f"{name}.parquet").rename(columns=measures)
    known = ["cell_name", "drug_name", *(["curve_id"] if "curve_id" in raw else [])]
    long = raw.melt(known, list(measures.values()), var_name="measure").dropna(subset=["value"])
    if "curve_id" in long:
        long["curve_id"] = f"{study}/{name}/" + long.curve_id.astype(str)
    return long.assign(study=study, assay=assay, sheet=name)
