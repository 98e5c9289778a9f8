"""Compounds times lines, ranked: the stream of predictions, and its command line.

    python -m lib.screen --compounds mine.csv --lines A549,MCF7 --out hits.parquet
    python -m lib.screen fit --work-dir data/processed/demo --out results/model

Rank 1 is the lowest predicted AUC, the strongest response. Ranks are within a kind of newness: a
new compound lies near the mean, so it cannot be compared with a known one.

Exit status: 0 every pair has its prediction, 1 some compounds or lines could not be predicted
(their rows carry the reason), 2 nothing was predicted.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import dataset
from rich.console import Console
from rich.progress import track

from lib import files
from lib.paths import DATA, RESULTS
from lib.screening import build, conformal, fit, model, queries

MODEL = RESULTS / "model"
LEVEL = 0.9
PRINTED = "line compound newness rank predicted low high flag".split()
TEXTS = "line cell_id compound drug_id newness nearest flag reason".split()
NUMBERS = "predicted low high spread similarity".split()
COLUMNS = [*TEXTS[:4], "rank", *NUMBERS, *TEXTS[4:], "study", "level", "model"]
TYPES = dict.fromkeys(TEXTS, "str") | dict.fromkeys(NUMBERS, "float32") | {"rank": "Int64"}
OUTPUTS = (".csv", ".parquet")


def screen(compounds, lines, folder=MODEL, study=None, level=LEVEL, scale=None, cache_dir=None):
    """Predicted responses of cell lines to compounds, one line after the other.

    A script must use this below ``if __name__ == "__main__":``, since new molecules are described
    in processes of their own.

    Parameters
    ----------
    compounds : DataFrame or path
        See `queries.read_compounds`.
    lines : sequence of str, or DataFrame
        Names or ids of lines of the model (["all"]: every one), or an expression table, see
        `queries.own_lines`.
    folder : path
        The model folder.
    study : str, optional
        The study whose assay is predicted; by default the model's largest.
    level : float
        Share of new measurements that the intervals hold.
    scale : str, optional
        Of the expression table.
    cache_dir : path, optional
        Where descriptors are kept.

    Yields
    ------
    DataFrame
        COLUMNS, a row per compound of one line: `predicted` AUC (0: full response at every dose,
        1: none), `low` and `high`, `rank` within the line and the kind of newness; kind after kind,
        each best first. What cannot be predicted comes last, without a number and with its reason.
        `study`, `level` and `model` (folder, and the begin of the sha256 of its `arrays.npz`) say
        what was asked.

    Raises
    ------
    ValueError
        If compounds, lines, model, study or level cannot be used at all.
    """
    if not 0 < level < 1:
        raise ValueError(f"level must be a share between 0 and 1, found {level:g}")
    made = model.read(folder)
    study = study or made.facts["study"]
    if study not in made.facts["studies"]:
        raise ValueError(f"study must be one of {made.facts['studies']}, found {study!r}")
    name = f"{Path(folder).resolve().name} {made.facts['sha256']['arrays.npz'][:12]}"
    about = {"study": study, "level": level, "model": name}
    table = queries.read_compounds(compounds)
    if isinstance(lines, pd.DataFrame):
        asked, cells = queries.own_lines(made, lines, scale)
    else:
        asked, cells = queries.find_lines(made, lines)
    table, drugs = queries.describe_compounds(made, table, cache_dir)
    table = table.assign(**about)
    good = table.reason == ""
    told = asked.reason == ""
    part = table[good].reset_index(drop=True), drugs[good]
    for known_line in (True, False):
        rows = told & (asked.known == known_line)
        if rows.any():
            yield from _ranked(made, asked[rows], cells[rows], *part, study, level)
    refused = pd.concat([asked[~told], table[~good]]).reindex(columns=COLUMNS)
    if len(refused):
        yield refused.assign(**about).astype(TYPES).fillna(dict.fromkeys(TEXTS, ""))


def _ranked(made, asked, cells, table, drugs, study, level):
    """A frame for each line: all are known, or all are new."""
    newness = fit.kind_of(~asked.known.iloc[0], ~table.known)
    table = table.assign(newness=newness).astype({"similarity": np.float32})
    streams = []
    for kind, part in table.groupby("newness"):
        reason = made.facts["kinds"][kind]["reason"]
        if reason:
            table.loc[part.index, "reason"] = f"this model has no network for {kind}: {reason}"
            continue
        base = made.base(kind, study, asked.cell_id, part.drug_id)
        added = made.grid(kind, cells, drugs[part.index])
        streams.append(_of_kind(made, part, base, added, level))
    untold = table[table.reason != ""].assign(
        **dict.fromkeys([*NUMBERS[:4], "rank"], np.float32("nan"))
    )
    for line, *frames in zip(asked.itertuples(), *streams, strict=True):
        yield _frame(pd.concat([*frames, untold]), line)


def _of_kind(made, table, base, added, level):
    """Compounds of one kind, ranked, for one line after the other."""
    rows = made.tables["calibration"]
    calibration = conformal.Calibration(rows[rows.kind == table.newness.iloc[0]])
    described = ~table.flag.str.startswith(queries.UNDESCRIBED)
    for known, (mean, spread) in zip(base, added, strict=True):
        predicted = known + np.where(described, mean, 0)
        low, high = np.float32(calibration.interval(predicted, level))
        found = table.assign(predicted=predicted, low=low, high=high, spread=spread)
        found["rank"] = found.predicted.rank(method="min")
        yield found.sort_values("predicted", kind="stable")


def _frame(table, line):
    """One line's predictions: the kinds one after the other, compounds without a number last."""
    frame = table.assign(line=line.line, cell_id=line.cell_id).reset_index(drop=True)
    if line.flag:
        frame["flag"] = (f"{line.flag}; " + frame.flag).str.removesuffix("; ")
    return frame.astype({"rank": "Int64"})[COLUMNS]


def save(frames, path):
    """Write frames to a CSV or parquet file as they come; memory does not grow with the pairs.

    Returns
    -------
    n_predicted, n_refused : int
    """
    path = Path(path)
    if path.suffix not in OUTPUTS:
        raise ValueError(f"the output ends in one of {OUTPUTS}, found {path.name!r}")
    n_rows = n_refused = 0
    with files.whole(path) as part, ExitStack() as stack:
        writer = None
        for frame in frames:
            if path.suffix == ".csv":
                frame.to_csv(part, mode="a", header=n_rows == 0, index=False)
            else:
                table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
                if writer is None:
                    made = pq.ParquetWriter(part, table.schema, compression="zstd")
                    writer = stack.enter_context(made)
                writer.write_table(table)
            n_rows += len(frame)
            n_refused += int((frame.reason != "").sum())
    return n_rows - n_refused, n_refused


def main(arguments=None):
    """Command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "fit":
            build.build(options.work_dir, options.out)
            return 0
        return _answer(options)
    except Exception as error:
        said = " ".join(str(error).split())
        if not isinstance(error, (OSError, ValueError)):  # a table or model unlike what we write
            said = f"{options.model} or a table is not as it should be ({type(error).__name__}: {said})"
        print(f"screen: {said}", file=sys.stderr)
        return 2


def _parser():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(command="")
    add = parser.add_argument
    add("--compounds", type=Path, help="CSV or parquet with a column of SMILES, SMI or SDF")
    add(
        "--lines",
        default="all",
        help="names, DepMap or Cellosaurus ids, parted by commas (default: all)",
    )
    add("--expression", type=Path, help="lines of your own instead: a line per row, then genes")
    add("--scale", help="what the expression values are, for example log2(TPM+1)")
    add("--model", type=Path, default=MODEL, help="the model folder")
    add("--study", help="whose assay to predict (default: the model's largest)")
    add("--level", type=float, default=LEVEL, help="share that the intervals hold (default 0.9)")
    add(
        "--out",
        type=Path,
        default="hits.parquet",
        help="CSV or parquet (default: hits.parquet)",
    )
    add("--force", action="store_true", help="replace a file that is no result of this command")
    fitting = parser.add_subparsers().add_parser("fit", help="make a model folder")
    fitting.add_argument("--work-dir", type=Path, required=True)
    fitting.add_argument("--out", type=Path, required=True)
    fitting.set_defaults(command="fit")
    return parser


def _answer(options):
    if options.compounds is None:
        raise ValueError("give --compounds, a file with a column of SMILES")
    if not options.force and _foreign(options.out):
        raise ValueError(
            f"{options.out} is no result of this command and is kept: give another --out, or "
            "--force to replace it"
        )
    if options.expression is None:
        lines = [name.strip() for name in options.lines.split(",") if name.strip()]
    else:
        lines = queries.read_expression(options.expression)
    given = options.compounds, lines, options.model, options.study, options.level, options.scale
    frames = track(
        screen(*given, DATA / "cache"),
        "Lines",
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    n_predicted, n_refused = save(frames, options.out)
    first = _saved(options.out).head(5, columns=PRINTED).to_pandas().round(2)
    print(first.to_string(index=False, na_rep="", max_colwidth=40))
    print(f"{options.out}: {n_predicted:,} pairs predicted, {n_refused:,} rows without prediction")
    if not n_predicted:
        return 2
    return int(n_refused > 0)


def _saved(path):
    """A saved file, none of its rows read yet."""
    return dataset.dataset(path, format=path.suffix[1:])


def _foreign(path):
    """Is there a file that is no result of this command? Results are known by their columns."""
    try:
        return path.exists() and _saved(path).schema.names != COLUMNS
    except (OSError, ValueError):
        return True
