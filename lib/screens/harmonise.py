"""From a bundle in the studies' own names to the tables of notebook 01: one identity each, every loss counted."""

import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.screens import lines as screen_lines
from lib.screens import molecules
from lib.tables import STUDIES


def harmonise(bundle, studies=STUDIES, overrides=None):
    """Give every row its line and its molecule, drop exact repeats, and say what was merged or refused.

    Parameters
    ----------
    bundle : lib.screens.bundle.Bundle
    studies : sequence of str
        Studies to keep.
    overrides : DataFrame, optional
        A person's decisions (study, cell_name, cell_id); the shipped, empty list by default.

    Returns
    -------
    dict of str to DataFrame
        `responses`, `cells`, `cell_names`, `drugs`, `drug_names`, `published`, `expression_*`, `mutations_*`,
        `refused`, `repeats`. A data set without doses has its names from what was published.

    Raises
    ------
    ValueError
        For an unknown study, or two different values for one curve and dose.
    """
    unknown = sorted(set(studies) - set(STUDIES))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(STUDIES)}")
    overrides = (
        pd.read_csv(DATA / "identity" / "overrides.csv", dtype=str)
        if overrides is None
        else overrides
    )
    raw = _of_studies(bundle.responses, studies)
    measured = (
        raw if len(raw) or bundle.published is None else _of_studies(bundle.published, studies)
    )
    aliases = screen_lines.link(bundle.aliases)
    cell_names = screen_lines.resolve_names(measured, aliases, overrides)
    cells = screen_lines.cell_table(cell_names, aliases)
    named = measured[["study", "drug_name"]].drop_duplicates().astype("str")
    named = named.merge(bundle.smiles, on=["study", "drug_name"], how="left")
    drugs, drug_names, refused = molecules.resolve_drugs(named)
    refused = refused.assign(curves=_count(measured, refused))
    rows = raw.assign(
        cell_id=screen_lines.spread(raw, cell_names, "cell_name", "cell_id"),
        drug_id=screen_lines.spread(raw, drug_names, "drug_name", "drug_id"),
    )
    responses, repeats = drop_repeats(rows[rows.drug_id.notna()] if rows.drug_id.hasnans else rows)
    tables = dict(
        cells=cells,
        cell_names=cell_names,
        drugs=drugs,
        drug_names=drug_names,
        refused=refused,
        repeats=repeats,
    )
    columns = [
        "study",
        "assay",
        "curve_id",
        "cell_id",
        "drug_id",
        "dose",
        "growth",
        "endpoint",
        "file",
        "control",
    ]
    tables["responses"] = _in_order(responses[columns])
    for kind, frames, column in (
        ("expression", bundle.expression, "profile_source"),
        ("mutations", bundle.mutations, "mutation_source"),
    ):
        for source, frame in frames.items():
            tables[f"{kind}_{source}"] = _profiles(frame, source, column, aliases, cells)
    if bundle.published is not None:
        lines = screen_lines.resolve_names(bundle.published, aliases, overrides)
        tables["published"] = _published(bundle.published, studies, lines, cells, drug_names)
    return tables


def curves(tables):
    """What was measured, one row per dose series: of a data set without doses, one per published area.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `harmonise`.

    Returns
    -------
    DataFrame
        study, assay, cell_id, drug_id, points (doses; 0 where only the area is published), control.
    """
    columns = ["study", "assay", "cell_id", "drug_id"]
    responses = tables["responses"]
    if len(responses):
        code = _codes(responses.curve_id)
        _, first, points = np.unique(code, return_index=True, return_counts=True)
        return (
            responses[[*columns, "control"]]
            .iloc[first]
            .assign(points=points)
            .reset_index(drop=True)
        )
    published = tables["published"].query("measure == 'auc_tested'")
    return published[columns].assign(control=False, points=0).reset_index(drop=True)


def drop_repeats(rows):
    """Drop points given twice and dose series given in two files.

    Parameters
    ----------
    rows : DataFrame
        Response rows with `cell_id` and `drug_id`.

    Returns
    -------
    kept : DataFrame
    repeats : DataFrame
        `curve_id` of each series left out and `kept_as`, the series it repeats.

    Raises
    ------
    ValueError
        If one curve has two different values at one dose.
    """
    code, dose = _codes(rows.curve_id), rows.dose.to_numpy()
    growth = rows.growth.to_numpy()
    order = np.lexsort((growth, dose, code))
    same = (np.diff(code[order]) == 0) & (np.diff(dose[order]) == 0)
    again = np.append(False, same & (np.diff(growth[order]) == 0))[: len(order)]
    if (same & ~again[1:]).any():
        raise _conflict(rows, code, dose, order[1:][same & ~again[1:]])
    repeats = _repeated_series(rows, code, growth, order[~again])
    keep = np.ones(len(rows), bool)
    keep[order[again]] = False
    keep &= ~rows.curve_id.isin(repeats.curve_id).to_numpy()
    return rows if keep.all() else rows[keep], repeats


def _conflict(rows, code, dose, clashes):
    """The error for two values of one curve at one dose; `clashes` are positions of such rows."""
    at = clashes[np.argmin(clashes)]
    values = rows.growth[(code == code[at]) & (dose == dose[at])].unique().tolist()
    return ValueError(
        f"curve {rows.curve_id.iloc[at]!r} has {len(values)} different growth values {values} at dose {dose[at]:.4g}: "
        f"average them as replicates or give each series its own curve_id ({len(clashes)} such points)"
    )


def _repeated_series(rows, code, growth, order):
    """Curves of four doses or more whose growth values, in order of dose, are those of another curve of their pair.

    Doses are rounded differently from file to file; four or more equal growth values to six digits are no accident.
    """
    starts = (
        np.flatnonzero(np.append(True, np.diff(code[order]) != 0))
        if len(order)
        else np.zeros(0, int)
    )
    n = np.diff(np.append(starts, len(order)))
    place = np.arange(len(order)) - np.repeat(starts, n)
    values = pd.util.hash_array(growth[order].round(6)) * (2 * place.astype("uint64") + 1)
    facts = ["assay", "cell_id", "drug_id", "endpoint"]
    series = rows[["curve_id", *facts]].iloc[order[starts]].reset_index(drop=True)
    series = series.assign(n=n, values=np.add.reduceat(values, starts) if len(order) else values)
    series = series[series.n >= 4]
    series = series[series.duplicated([*facts, "n", "values"], keep=False)].astype(
        {"curve_id": "str"}
    )
    series["kept_as"] = series.groupby(
        [*facts, "n", "values"], sort=False, observed=True
    ).curve_id.transform("first")
    return series[series.curve_id != series.kept_as][["curve_id", "kept_as"]].reset_index(drop=True)


def _count(measured, names):
    """Dose series, or published areas, of each (study, drug_name) listed."""
    if "growth" in measured:
        heads = measured.iloc[np.unique(_codes(measured.curve_id), return_index=True)[1]]
    else:
        heads = measured[measured.measure == "auc_tested"]
    sizes = heads[["study", "drug_name"]].astype("str").value_counts()
    return sizes.reindex(
        pd.MultiIndex.from_frame(names[["study", "drug_name"]]), fill_value=0
    ).to_numpy()


def _codes(series):
    """A number per distinct value, in the order of a categorical's categories or of the alphabet."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy()
    return pd.factorize(series, sort=True)[0]


def _in_order(rows):
    """Rows by curve and dose; a table that is in order already is not copied."""
    code, dose = _codes(rows.curve_id), rows.dose.to_numpy()
    step = np.diff(code)
    if ((step > 0) | ((step == 0) & (np.diff(dose) >= 0))).all():
        return rows.reset_index(drop=True)
    return rows.take(np.lexsort((dose, code))).reset_index(drop=True)


def _of_studies(frame, studies):
    """Rows of the studies; the whole frame, not a copy, where no row goes."""
    inside = frame.study.isin(studies)
    return frame if inside.all() else frame[inside]


def _profiles(frame, source, column, aliases, cells):
    """Profiles of screened lines; a line profiled twice under two names keeps the first."""
    names = pd.DataFrame(dict(study=f"profile:{source}", cell_name=frame.cell_name))
    found = screen_lines.resolve_names(names, aliases)
    out = frame.merge(found[["cell_name", "cell_id"]], on="cell_name").drop(columns="cell_name")
    out = (
        out[out.cell_id.isin(cells.cell_id)]
        .drop_duplicates("cell_id")
        .sort_values("cell_id", ignore_index=True)
    )
    genes = [name for name in out.columns if name != "cell_id"]
    return pd.concat([out.cell_id.to_frame().assign(**{column: source}), out[genes]], axis=1)


def _published(published, studies, lines, cells, drug_names):
    """Summaries of screened lines and compounds; the study may spell either in another way than in its doses."""
    out = published[published.study.isin(studies)]
    out = out.merge(lines[["study", "cell_name", "cell_id"]], on=["study", "cell_name"])
    out = out.merge(_molecules(out, drug_names), on=["study", "drug_name"])
    out = out[out.cell_id.isin(cells.cell_id)]
    return out[
        ["study", "assay", "cell_id", "drug_id", "curve_id", "measure", "value", "sheet"]
    ].reset_index(drop=True)


def _molecules(rows, drug_names):
    """drug_id of every (study, drug_name): of that spelling, else of the only molecule of the study spelled alike."""
    key = ["study", "drug_name"]
    names = rows[key].drop_duplicates().merge(drug_names[[*key, "drug_id"]], on=key, how="left")
    alike = drug_names.assign(spelled=drug_names.drug_name.map(screen_lines.normalise)).groupby(
        ["study", "spelled"]
    )
    only = alike.drug_id.agg(["first", "nunique"]).query("nunique == 1")["first"].rename("alike")
    names = names.assign(spelled=names.drug_name.map(screen_lines.normalise)).join(
        only, on=["study", "spelled"]
    )
    return names.assign(drug_id=names.drug_id.fillna(names.alike)).dropna(subset=["drug_id"])[
        [*key, "drug_id"]
    ]


def left_out(bundle):
    """What readers left out or could not read.

    Returns
    -------
    DataFrame
        what, where (file, or study and table), reason, rows. "rows" a reader refused; a "table" of a release that is
        missing or broken; a "name" that a catalogue gives to two lines.
    """
    refused = [
        ("rows", file, reason, n) for file, reason, n in bundle.responses.attrs.get("refused", [])
    ]
    gaps = [
        ("table", f"{study} {table}", reason, 0)
        for study, table, reason in bundle.responses.attrs.get("gaps", [])
    ]
    shared = bundle.aliases.attrs.get("ambiguous", [])
    names = [
        ("name", f"{study} {name}", "the catalogue has two lines of this name", 0)
        for study, name in shared
    ]
    return pd.DataFrame([*refused, *gaps, *names], columns=["what", "where", "reason", "rows"])


def unsettled(tables):
    """Names of lines that no id and no catalogue settles: new ones, and those that fit two lines.

    Returns
    -------
    DataFrame
        study, cell_name, cell_id, rule. Each keeps its own id until `data/identity/overrides.csv` says otherwise.
    """
    names = tables["cell_names"]
    return names[names.rule.isin(("new name", "ambiguous name"))].reset_index(drop=True)


def one_molecule(tables):
    """Drugs known by more than one name, and whether the names' drawings differ in stereochemistry.

    Returns
    -------
    DataFrame
        drug_id, names, studies, stereo_differs.
    """
    names = tables["drug_names"].assign(key=lambda t: t.drug_name.map(screen_lines.normalise))
    groups = names.groupby("drug_id").agg(
        n_keys=("key", "nunique"),
        names=("drug_name", lambda n: "; ".join(sorted(set(n)))),
        studies=("study", lambda s: "; ".join(sorted(set(s)))),
        stereo_differs=("inchikey", lambda keys: keys.nunique() > 1),
    )
    return groups[(groups.n_keys > 1) | groups.stereo_differs].drop(columns="n_keys").reset_index()


def coverage(tables):
    """What each study holds, and for how much of it the other tables exist.

    Returns
    -------
    DataFrame
        One row per study and one for all: lines, drugs, curves, points, and the share of curves whose line has an
        expression profile, a mutation count, a mutation event, a cancer type.
    """
    measured, cells = curves(tables), tables["cells"].set_index("cell_id")
    has = {
        name: set(tables[name].cell_id)
        for name in tables
        if name.startswith(("expression_", "mutations_"))
    }
    has["cancer_type"] = set(cells.index[cells.cancer_type.notna()])
    groups = [
        (study, measured[measured.study == study])
        for study in STUDIES
        if (measured.study == study).any()
    ]
    rows = []
    for study, part in [*groups, ("all", measured)]:
        row = dict(
            study=study,
            lines=part.cell_id.nunique(),
            drugs=part.drug_id.nunique(),
            curves=len(part),
        )
        row |= dict(
            points=int(part.points.sum()), short_curves=int(part.points.between(1, 3).sum())
        )
        rows.append(
            row | {f"share_{name}": part.cell_id.isin(ids).mean() for name, ids in has.items()}
        )
    return pd.DataFrame(rows)


def merges(tables):
    """Lines known by more than one spelling, and how each was joined."""
    names = tables["cell_names"]
    names = names.assign(key=names.cell_name.map(screen_lines.normalise))
    groups = names.groupby("cell_id").agg(
        n_keys=("key", "nunique"),
        names=("cell_name", lambda n: "; ".join(sorted(set(n)))),
        studies=("study", lambda s: "; ".join(sorted(set(s)))),
        rules=("rule", lambda r: "; ".join(sorted(set(r)))),
    )
    return groups[groups.n_keys > 1].drop(columns="n_keys").reset_index()
