"""The blocks of a run folder, each read once per process: profiles, gene sets, mutation tables,
drug blocks.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lib import tables


def sources(work_dir, kind, table, needed=True):
    """The tables ``<kind>_<SOURCE>.parquet`` of a run folder, by source.

    Parameters
    ----------
    work_dir : path
    kind : {"expression", "mutations"}
    table : lib.tables.Table
        Their contract.
    needed : bool
        Whether there must be one.

    Returns
    -------
    dict of str to DataFrame

    Raises
    ------
    TableError
        If there is none and one is needed, or one breaks its contract.
    """
    paths = sorted(Path(work_dir).glob(f"{kind}_*.parquet"))
    if needed and not paths:
        raise tables.TableError(
            f"no {kind}_*.parquet in {work_dir}: run notebook 01 first (python run_all.py)"
        )
    return {path.stem.removeprefix(f"{kind}_"): tables.read(path, table) for path in paths}


def scales(work_dir, kind):
    """Scale of each source as its reader declared it: notebook 01 writes it into ``scales.parquet``
    (table, scale).

    Returns
    -------
    dict of str to str
    """
    declared = tables.read(Path(work_dir) / "scales.parquet")
    own = declared[declared.table.str.startswith(f"{kind}_")]
    return dict(zip(own.table.str.removeprefix(f"{kind}_"), own.scale, strict=True))


class Store:
    """What notebooks 03 and 04 wrote, ready to be indexed.

    Parameters
    ----------
    work_dir : path
        A block is read at its first use; a file that was written again is read again.
    """

    def __init__(self, work_dir):
        self.folder = Path(work_dir)

    def profiles(self, panel):
        """Keys, genes and values of a panel: DataFrame, Index, float32 array (n_profiles, n_genes),
        read-only.
        """
        return self._wide(f"profiles_{panel}", ("cell_id", "profile_source"))

    def mutations(self, table):
        """Keys, genes and values of "snp_counts" or "snp_binary", as `profiles`."""
        return self._wide(table, ("cell_id", "mutation_source"))

    def drug_block(self, name):
        """Keys, columns and values of a drug block, as `profiles`; "a+b" joins two on the drugs.

        A drug that one of the two does not describe is a row of gaps: half a description is not the
        same description.

        Raises
        ------
        TableError
            If a block was not made.
        """
        whole = (self.folder / f"drug_{name}.parquet").exists()
        names = [name] if whole else name.split("+")
        parts = [self._wide(f"drug_{part}", ("drug_id",)) for part in names]
        if len(parts) == 1:
            return parts[0]
        keys = parts[0][0]
        frames = [pd.DataFrame(x, pd.Index(key.drug_id), columns) for key, columns, x in parts]
        frames = [frame.reindex(keys.drug_id) for frame in frames]
        described = np.all([frame.notna().any(axis=1) for frame in frames], axis=0)
        both = pd.concat(frames, axis=1)
        values = np.where(described[:, None], both.to_numpy(), np.float32(np.nan))
        return keys, both.columns, np.ascontiguousarray(values)

    def genes_of(self, panel, rnaseq_set):
        """Positions of a gene set's members among the panel's genes.

        Raises
        ------
        ValueError
            If the panel has no such level, with the reason that notebook 03 found.
        """
        sets = self._table("gene_sets")
        symbols = sets.symbol[(sets.rnaseq_set == rnaseq_set) & (sets.panel == panel)]
        if symbols.empty:
            report = self._table("gene_set_report")
            here = report[report.panel == panel]
            known = f"no such level; it has {here.rnaseq_set[here.feasible].tolist()}"
            why = next(iter(here.reason[here.rnaseq_set == rnaseq_set]), known)
            raise ValueError(f"gene set {rnaseq_set!r} on panel {panel!r}: {why}")
        return np.sort(self.profiles(panel)[1].get_indexer(symbols))

    def _table(self, name):
        path = self.folder / f"{name}.parquet"
        return _read(path, _stamp(path))

    def _wide(self, name, key):
        path = self.folder / f"{name}.parquet"
        return _read_wide(path, key, _stamp(path))


def _stamp(path):
    if not path.exists():
        raise tables.TableError(
            f"{path.name} is not in {path.parent}: run notebook {tables.writer(path)} first, or use "
            "another level"
        )
    return path.stat().st_ctime_ns, path.stat().st_size


@lru_cache(maxsize=8)
def _read(path, stamp):
    return tables.read(path)


@lru_cache(maxsize=12)
def _read_wide(path, key, stamp):
    frame = tables.read(path)
    missing = [name for name in key if name not in frame.columns]
    if missing:
        raise tables.TableError(
            f"{path.name} lacks the column(s) {missing}: run notebook {tables.writer(path)} again"
        )
    columns = pd.Index([name for name in frame.columns if name not in key])
    values = np.ascontiguousarray(frame[columns].to_numpy(np.float32))
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise tables.TableError(
            f"{path.name}: {columns[column]} of {frame[key[0]].iloc[row]} is infinite "
            f"({int(np.isinf(values).sum())} such values); a value that was not measured is a gap"
        )
    values.flags.writeable = False
    return frame[list(key)], columns, values
