"""Ingest beside pandas `read_csv`: time and memory on files in the layout and size class of the
official releases.

    python -m benchmarks.bench_ingest [ROWS [MAF_ROWS [ROUNDS]]]      # 24 and 1 million rows, three rounds by default

The files are made here, in a temporary folder, from the names of the NCI-60 lines and random
numbers; they only have the shape of data. Every measurement is a process of its own, pandas and
ours in turns; memory is the peak of the process's own (anonymous) memory above what it held after
its imports, so mapped pages of the file count for neither.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from lib.paths import DATA, ROOT

AIM_FASTER, AIM_SHARE, AIM_MB = 5, 0.25, 8000
ROWS, MAF_ROWS, ROUNDS = 24_000_000, 1_000_000, 3
SAME_ROWS = 4_000_000  # of the pandas script, which needs 0.5 GB for a million rows
CHUNK = 1_000_000
DOSES = 5  # of a curve
PANELS = [
    "Leukemia",
    "Non-Small Cell Lung Cancer",
    "Colon Cancer",
    "CNS Cancer",
    "Melanoma",
    "Ovarian Cancer",
]
DOSERESP = (
    "RELEASE_DATE,EXPID,PREFIX,NSC,CONCENTRATION_UNIT,LOG_HI_CONCENTRATION,CONCENTRATION,PANEL_NUMBER,CELL_NUMBER,"
    "PANEL_NAME,CELL_NAME,PANEL_CODE,COUNT_GIPRCNT,AVERAGE_GIPRCNT,STDDEV_GIPRCNT,COUNT_PTC,AVERAGE_PTC,STDDEV_PTC"
).split(",")
MAF = (
    "Hugo_Symbol,Entrez_Gene_Id,NCBI_Build,Chromosome,Start_position,End_position,Strand,Variant_Classification,"
    "Variant_Type,Reference_Allele,Tumor_Seq_Allele1,dbSNP_RS,dbSNP_Val_Status,Genome_Change,Annotation_Transcript,"
    "Tumor_Sample_Barcode,cDNA_Change,Codon_Change,Protein_Change,isDeleterious,isTCGAhotspot,TCGAhsCnt,isCOSMIChotspot,"
    "COSMIChsCnt,ExAC_AF,WES_AC,WGS_AC,SangerWES_AC,SangerRecalibWES_AC,RNAseq_AC,HC_AC,RD_AC"
).split(",")

MAF_USED = ("Tumor_Sample_Barcode", "Hugo_Symbol", "Variant_Classification", "Variant_Type")


def main(rows=ROWS, maf_rows=MAF_ROWS, rounds=ROUNDS):
    """Measure and return the section of benchmarks/README.md."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        doses, maf = Path(folder) / "DOSERESP.csv", Path(folder) / "CCLE_mutations.csv"
        small = min(rows, SAME_ROWS)
        write_doseresp(doses, small)
        same = _table(doses, ["pandas_same", "reader"], rounds)
        write_doseresp(doses, rows)
        whole = _table(doses, ["pandas", "pandas_one", "engine", "parse", "reader"], rounds)
        size = doses.stat().st_size
        doses.unlink()
        write_maf(maf, maf_rows)
        variants = _table(maf, ["maf_pandas", "maf_pandas_one", "maf_engine", "maf_reader"], rounds)
        lines = [
            "## Ingest",
            "",
            f"Median (range) of {rounds} round(s) in turns, a process each; pandas {version('pandas')}, polars "
            f"{version('polars')}; load {load:.1f} before, {os.getloadavg()[0]:.1f} after, on "
            f"{len(os.sched_getaffinity(0))} processors.",
            "",
            f"NCI-60 `DOSERESP.csv`: {rows:,} rows, {size / 1e9:.2f} GB, 18 columns.",
            "",
            *_rows(whole, "pandas"),
            "",
            _verdict(whole, "pandas", "reader", "engine"),
            "",
            f"The same table made by a pandas script, {small:,} rows (more do not fit beside other work):",
            "",
            *_rows(same, "pandas_same"),
            "",
            f"MAF in the CCLE's layout: {maf_rows:,} rows, {maf.stat().st_size / 1e9:.2f} GB, {len(MAF)} columns.",
            "",
            *_rows(variants, "maf_pandas"),
            "",
            _verdict(variants, "maf_pandas", "maf_reader", "maf_engine"),
        ]
    return "\n".join(lines) + "\n"


PANDAS = "`pandas.read_csv`, nothing more (since 3.1 it parses on every processor)"
ONE = "`pandas.read_csv` on one processor, as it was before 3.1"
ENGINE = "polars alone: the columns that are used, nothing checked, no row kept"
LABELS = dict(
    pandas=PANDAS,
    pandas_one=ONE,
    engine=ENGINE,
    pandas_same="pandas script: `read_csv`, then units, refusals, curve ids, the check for repeats",
    parse="`delimited.batches`: parsed, types and ranges checked, fields of every row counted",
    reader="`nci60.read_responses`: the whole reader, contract table in hand",
    maf_pandas=PANDAS,
    maf_pandas_one=ONE,
    maf_engine=ENGINE,
    maf_reader="`variants.read_maf`: four columns in one vocabulary",
)


def _rows(table, peer):
    seconds, memory = (statistics.median(table[peer][key]) for key in ("seconds", "mb"))
    lines = [
        "| | seconds | times faster | CPU seconds | peak memory, MB | share |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in table.items():
        own, mb = statistics.median(found["seconds"]), statistics.median(found["mb"])
        spread = f"{own:.2f} ({min(found['seconds']):.2f}–{max(found['seconds']):.2f})"
        cpu = statistics.median(found["cpu"])
        times = f"{spread} | {seconds / own:.1f} | {cpu:.2f}"
        lines.append(f"| {LABELS[name]} | {times} | {mb:,.0f} | {mb / memory:.2f} |")
    return lines


def _verdict(table, peer, ours, engine):
    """Whether the aim is reached, and how far the engine alone gets: no reader built on it can be
    faster.
    """

    def middle(name, key):
        return statistics.median(table[name][key])

    def faster(name, than=peer):
        return middle(than, "seconds") / middle(name, "seconds")

    mb = middle(ours, "mb")
    share = mb / middle(peer, "mb")
    text = (
        f"Aim: {AIM_FASTER} times faster in {AIM_SHARE} of the memory, below {AIM_MB / 1000:g} GB. Speed "
        f"{'reached' if faster(ours) >= AIM_FASTER else 'not reached'} ({faster(ours):.1f}; "
        f"{faster(ours, f'{peer}_one'):.1f} against one processor), memory "
        f"{'reached' if share <= AIM_SHARE else 'not reached'} ({share:.2f}), bound "
        f"{'kept' if mb < AIM_MB else 'broken'} ({mb / 1000:.1f} GB)."
    )
    if faster(ours) < AIM_FASTER:
        text += (
            f" The engine alone gets {faster(engine):.1f} and {faster(engine, f'{peer}_one'):.1f} on these processors; "
            f"the reader takes {1 / faster(ours, engine):.1f} times as long as it."
        )
    return text


def _table(path, modes, rounds):
    found = {mode: dict(seconds=[], cpu=[], mb=[]) for mode in modes}
    for _ in range(rounds):
        for mode in modes:
            command = [sys.executable, "-m", "benchmarks.bench_ingest", "--child", mode, str(path)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            for key, value in json.loads(done.stdout.splitlines()[-1]).items():
                found[mode][key].append(value)
    return found


def write_doseresp(path, rows):
    """A file in the layout of the NCI-60 release: 60 lines × compounds × five doses, curve after
    curve.
    """
    import polars as pl

    names = (
        pd.read_csv(DATA / "open" / "cells" / "cell_map.csv")
        .query("source == 'NCI60'")
        .cell_name.to_numpy()
    )
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as sink:
        sink.write(",".join(DOSERESP) + "\n")
        for start in range(0, rows, CHUNK):
            row = np.arange(start, min(start + CHUNK, rows))
            dose, cell, run = row % DOSES, row // DOSES % len(names), row // (DOSES * len(names))
            top = np.array([-4.0, -4.6021, -3.0, -5.301])[run % 4]
            pgi = np.clip(rng.normal(90 - 30 * (DOSES - dose), 40, len(row)), -100, 180).round(4)
            year, batch = 3 + run // 8 % 22, run // 8 % 100
            experiment = (
                np.char.mod("%02d", year).astype(object)
                + "01RS"
                + np.char.mod("%02d", batch).astype(object)
            )
            table = dict(
                RELEASE_DATE=np.full(len(row), "20241001"),
                EXPID=experiment.astype(str),
                PREFIX=np.full(len(row), "S"),
                NSC=run + 1,
                CONCENTRATION_UNIT=np.where(run % 97 == 0, "u", "M"),
                LOG_HI_CONCENTRATION=_as_printed(top),
                CONCENTRATION=_as_printed((top - dose).round(4)),
                PANEL_NUMBER=cell % 9 + 1,
                CELL_NUMBER=cell,
                PANEL_NAME=np.array(PANELS)[cell % len(PANELS)],
                CELL_NAME=names[cell].astype(str),
                PANEL_CODE=np.array([name[:3].upper() for name in PANELS])[cell % len(PANELS)],
                COUNT_GIPRCNT=1 + (rng.random(len(row)) < 0.1),
                AVERAGE_GIPRCNT=pgi,
                STDDEV_GIPRCNT=np.zeros(len(row), int),
                COUNT_PTC=np.ones(len(row), int),
                AVERAGE_PTC=(20 + 0.8 * pgi).round(4),
                STDDEV_PTC=np.zeros(len(row), int),
            )
            pl.DataFrame(table).write_csv(sink, include_header=False)


def _as_printed(values):
    """Whole numbers without a point, as the release prints them."""
    unique, codes = np.unique(values, return_inverse=True)
    return np.array([f"{value:.4f}".rstrip("0").rstrip(".") for value in unique])[codes]


def write_maf(path, rows):
    """A file in the layout of the CCLE's mutation table."""
    import polars as pl

    rng = np.random.default_rng(0)
    genes = (
        pd.read_csv(DATA / "open" / "genes" / "gdsc_omics_6163.csv").symbol.to_numpy().astype(str)
    )
    at, bases = rng.integers(10**6, 2 * 10**8, rows), np.array(list("ACGT"))
    classes = np.array(
        ["Missense_Mutation", "Silent", "Nonsense_Mutation", "Splice_Site", "Frame_Shift_Del"]
    )
    kind, gene = rng.integers(0, len(classes), rows), rng.integers(0, len(genes), rows)
    first, second = bases[rng.integers(0, 4, rows)], bases[rng.integers(0, 4, rows)]
    place = pl.Series(at).cast(str)
    change = pl.Series(first) + ">" + pl.Series(second)
    columns = dict.fromkeys(MAF, pl.lit(None, pl.String))
    columns |= dict(
        Hugo_Symbol=pl.Series(genes[gene]),
        Entrez_Gene_Id=pl.Series(gene + 1),
        NCBI_Build=pl.lit(37),
        Chromosome=pl.Series(rng.integers(1, 23, rows)),
        Start_position=pl.Series(at),
        End_position=pl.Series(at),
        Strand=pl.lit("+"),
        Variant_Classification=pl.Series(classes[kind]),
        Variant_Type=pl.Series(np.where(kind == 4, "DEL", "SNP")),
        Reference_Allele=pl.Series(first),
        Tumor_Seq_Allele1=pl.Series(second),
        Genome_Change="g.chr1:" + place + change,
        Annotation_Transcript="ENST00000" + place,
        Tumor_Sample_Barcode=pl.Series(np.char.mod("ACH-%06d", rng.integers(1, 1800, rows))),
        cDNA_Change="c." + place + change,
        Codon_Change="c.(" + place + ")" + change,
        Protein_Change="p.A" + place + "V",
        isDeleterious=pl.Series(kind > 1),
        ExAC_AF=pl.Series(rng.random(rows).round(6)),
        RNAseq_AC=pl.Series(np.char.mod("%d:20", rng.integers(0, 40, rows))),
    )
    pl.select(columns[name].alias(name) for name in MAF).write_csv(path)


def child(mode, path):
    """One measurement in this process: seconds and peak of its own memory above the start, in MB."""
    import polars  # noqa: F401  its import is no part of the reading

    from lib.screens import delimited, nci60, variants
    from lib.screens.delimited import ID

    work = dict(
        pandas=lambda: pd.read_csv(path),
        pandas_one=lambda: _on_one_processor(path),
        engine=lambda: _engine(path, nci60.GROWTH.columns),
        maf_pandas=lambda: pd.read_csv(path),
        maf_pandas_one=lambda: _on_one_processor(path),
        maf_engine=lambda: _engine(path, dict.fromkeys(MAF_USED, ID)),
        pandas_same=lambda: _same_table(path),
        parse=lambda: sum(part.height for part in delimited.batches(Path(path), nci60.GROWTH)),
        reader=lambda: nci60.read_responses(path),
        maf_reader=lambda: variants.read_maf(path),
    )[mode]
    base, peak, over = _own_memory(), [0], threading.Event()
    watch = threading.Thread(target=_watch, args=(peak, over), daemon=True)
    watch.start()
    started, busy = time.perf_counter(), time.process_time()
    kept = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    over.set()
    watch.join()
    del kept
    print(json.dumps(dict(seconds=seconds, cpu=cpu, mb=(max(peak) - base) / 1e6)))


def _on_one_processor(path):
    with pd.option_context("mode.max_threads", 1):
        return pd.read_csv(path)


def _engine(path, fields):
    """Rows of the columns that are used, parsed by polars and dropped at once."""
    import polars as pl

    header = pd.read_csv(path, nrows=0).columns
    types = dict(id=pl.Categorical, int=pl.Int64, float=pl.Float64, text=pl.String)
    schema = {name: types[fields[name].kind] if name in fields else pl.String for name in header}
    scan = pl.scan_csv(path, schema=schema).select(list(fields))
    return sum(part.height for part in scan.collect_batches(chunk_size=1 << 18))


def _same_table(path):
    """What a plain pandas script does to arrive at the reader's table."""
    raw = pd.read_csv(path)
    raw = raw[raw.CONCENTRATION_UNIT == "M"]
    growth = (raw.AVERAGE_GIPRCNT + 100) / 200
    raw = raw[growth.between(-5, 10)].assign(growth=growth, dose=-raw.CONCENTRATION)
    series = (
        raw.EXPID
        + "|"
        + raw.NSC.astype(str)
        + "|"
        + raw.LOG_HI_CONCENTRATION.astype(str)
        + "|"
        + raw.CELL_NAME
    )
    raw["curve_id"] = "NCI-60/DOSERESP/" + series
    if raw.duplicated(["curve_id", "dose"]).any():
        raise ValueError("repeated doses")
    constant = dict(
        study="NCI-60", assay="NCI-60", endpoint="growth", file="DOSERESP", control=False
    )
    return raw.rename(columns=dict(CELL_NAME="cell_name", NSC="drug_name")).assign(**constant)


def _own_memory():
    """Anonymous resident memory of this process, bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


def _watch(peak, over):
    while not over.wait(0.005):
        peak[0] = max(peak[0], _own_memory())
    peak[0] = max(peak[0], _own_memory())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        print(main(*[int(number.replace("_", "")) for number in sys.argv[1:4]]))
