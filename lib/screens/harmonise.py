"""From a bundle in the studies' own names to the tables of notebook 01; every loss is counted."""

import numpy as np
import pandas as pd

from lib.paths import DATA
from lib.screens import lines, molecules, recovered
from lib.tables import PAIR_KEY, RESPONSES, STUDIES

OVERRIDES = DATA / "identity" / "overrides.csv"  # a person's decisions: study, cell_name, cell_id
COMPOUND = ["study", "drug_name"]
PROFILES = {"expression": "profile_source", "mutations": "mutation_source"}
UNPLACED = "its line was not screened, or its compound has no molecule among those screened"
AREA = "measure == 'auc_tested'"
LEFT_OUT = "what where reason rows".split()


def harmonise(bundle, studies=STUDIES):
    """Give every row its line and its molecule, drop exact repeats, list what was refused.

    Parameters
    ----------
    bundle : lib.screens.bundle.Bundle
    studies : sequence of str
        Studies to keep.

    Returns
    -------
    dict of str to DataFrame
        `responses`, `cells`, `cell_names`, `drugs`, `drug_names`, `published`, `expression_*`,
        `mutations_*`, `refused`, `repeats`, `dropped` (rows of profiles and summaries that no table
        keeps, as in `left_out`). A data set without doses has its names from what was published.

    Raises
    ------
    ValueError
        For an unknown study, or two different values for one curve and dose.
    """
    unknown = sorted(set(studies) - set(STUDIES))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(STUDIES)}")
    raw = measured = _of_studies(bundle.responses, studies)
    published = bundle.published
    if published is not None:
        published = _of_studies(published, studies)
        if raw.empty:
            measured = published
    overrides = pd.read_csv(OVERRIDES, dtype=str)
    aliases = lines.link(bundle.aliases)
    cell_names = lines.resolve_names(measured, aliases, overrides)
    named = measured[COMPOUND].drop_duplicates().astype("str")
    named = named.merge(bundle.smiles, on=COMPOUND, how="left")
    drugs, drug_names, refused = molecules.resolve_drugs(named)
    responses, repeats = _responses(raw, cell_names, drug_names)
    cells = lines.cell_table(cell_names, aliases)
    tables = dict(
        cells=cells,
        cell_names=cell_names,
        drugs=drugs,
        drug_names=drug_names,
        refused=refused.assign(curves=_count(measured, refused)),
        repeats=repeats,
        responses=responses,
    )
    dropped = []
    for kind, column in PROFILES.items():
        for source, frame in getattr(bundle, kind).items():
            table = f"{kind}_{source}"
            profiles = _profiles(frame, source, aliases, cells.cell_id, table, dropped)
            tables[table] = profiles.rename(columns=dict(source=column))
    if published is not None:
        names = lines.resolve_names(published, aliases, overrides)
        tables["published"] = _published(published, names, cells.cell_id, drug_names)
        n_rows = len(published) - len(tables["published"])
        dropped.append(("rows", "published", UNPLACED, n_rows))
    dropped = pd.DataFrame(dropped, columns=LEFT_OUT)
    tables["dropped"] = dropped[dropped["rows"] > 0].reset_index(drop=True)
    return tables


def _responses(raw, cell_names, drug_names):
    """The `responses` table in order of curve and dose, and the series left out as repeats."""
    rows = raw.assign(
        cell_id=lines.spread(raw, cell_names, "cell_name", "cell_id"),
        drug_id=lines.spread(raw, drug_names, "drug_name", "drug_id"),
    )
    if rows.drug_id.hasnans:
        rows = rows[rows.drug_id.notna()]
    kept, repeats = drop_repeats(rows)
    return _in_order(kept[list(RESPONSES.columns)]), repeats


def curves(tables):
    """What was measured: one row per dose series, or per published area where there are no doses.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `harmonise`.

    Returns
    -------
    DataFrame
        study, assay, cell_id, drug_id, points (doses; 0 where only the area is published), control.
    """
    rows = tables["responses"]
    if rows.empty:
        areas = tables["published"].query(AREA)
        return areas[PAIR_KEY].assign(control=False, points=0).reset_index(drop=True)
    heads = rows[[*PAIR_KEY, "curve_id", "control"]].drop_duplicates("curve_id", ignore_index=True)
    points = rows.curve_id.value_counts()[heads.pop("curve_id")]
    return heads.assign(points=points.to_numpy())


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
    code = _codes(rows.curve_id)
    dose = rows.dose.to_numpy()
    growth = rows.growth.to_numpy()
    order = np.lexsort((growth, dose, code))
    same_dose = (np.diff(code[order]) == 0) & (np.diff(dose[order]) == 0)
    same = same_dose & (np.diff(growth[order]) == 0)
    clashes = order[1:][same_dose & ~same]
    if len(clashes):
        at = clashes.min()
        values = rows.growth[(code == code[at]) & (dose == dose[at])].unique().tolist()
        raise ValueError(
            f"curve {rows.curve_id.iloc[at]!r} has {len(values)} different growth values {values} "
            f"at dose {dose[at]:.4g}: average them as replicates or give each series its own "
            f"curve_id ({len(clashes)} such points)"
        )
    again = np.append(False, same)[: len(order)]
    repeats = _repeated_series(rows, code, growth, order[~again])
    keep = ~rows.curve_id.isin(repeats.curve_id).to_numpy()
    keep[order[again]] = False
    return rows if keep.all() else rows[keep], repeats


def _repeated_series(rows, code, growth, order):
    """Curves of four doses or more with the growth values of another curve of their line and drug.

    Doses are rounded differently from file to file; four or more equal growth values to six digits
    are no accident. A series is compared by the sum of its values' hashes, each times an odd number
    for its place.
    """
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    n = np.diff(starts, append=len(order))
    place = np.arange(len(order)) - np.repeat(starts, n)
    hashes = pd.util.hash_array(growth[order].round(6)) * (2 * place.astype("uint64") + 1)
    facts = "assay cell_id drug_id endpoint".split()
    series = rows[["curve_id", *facts]].iloc[order[starts]].reset_index(drop=True)
    series["n"] = n
    series["values"] = np.add.reduceat(hashes, starts) if len(order) else hashes
    same = [*facts, "n", "values"]
    series = series[(series.n >= 4) & series.duplicated(same, keep=False)]
    series = series.astype({"curve_id": "str"})
    first = series.groupby(same, sort=False, observed=True).curve_id.transform("first")
    repeats = series[["curve_id"]].assign(kept_as=first)
    return repeats[series.curve_id != first].reset_index(drop=True)


def _count(measured, names):
    """Dose series, or published areas, of each (study, drug_name) listed."""
    doses = "growth" in measured
    heads = measured.drop_duplicates("curve_id") if doses else measured.query(AREA)
    sizes = heads[COMPOUND].astype("str").value_counts()
    return sizes.reindex(pd.MultiIndex.from_frame(names[COMPOUND]), fill_value=0).to_numpy()


def _codes(series):
    """A number per distinct value, in the order of the categories or of the alphabet."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return series.cat.codes.to_numpy()
    return pd.factorize(series, sort=True)[0]


def _in_order(rows):
    """Rows by curve and dose; a table that is in order already is not copied."""
    code = _codes(rows.curve_id)
    dose = rows.dose.to_numpy()
    step = np.diff(code)
    if ((step > 0) | ((step == 0) & (np.diff(dose) >= 0))).all():
        return rows.reset_index(drop=True)
    return rows.take(np.lexsort((dose, code))).reset_index(drop=True)


def _of_studies(frame, studies):
    """Rows of the studies; the whole frame, not a copy, where no row goes."""
    inside = frame.study.isin(studies)
    return frame if inside.all() else frame[inside]


def _profiles(frame, source, aliases, screened, table, dropped):
    """Profiles of screened lines; of a line profiled under two names the first is kept, and what is
    dropped is counted.
    """
    names = pd.DataFrame(dict(study=f"profile:{source}", cell_name=frame.cell_name))
    found = lines.resolve_names(names, aliases)
    ids = lines.spread(names, found, "cell_name", "cell_id")
    inside = ids.isin(screened)
    again = inside & ids.duplicated()
    shown = ", ".join(frame.cell_name[again].astype("str")[:3])
    dropped.append(("profiles", table, "line was not screened", int((~inside).sum())))
    dropped.append(("profiles", table, f"second profile of a line: {shown}", int(again.sum())))
    keys = pd.DataFrame(dict(cell_id=ids, source=source))
    out = pd.concat([keys, frame.drop(columns="cell_name")], axis=1)
    return out[inside & ~again].sort_values("cell_id", ignore_index=True)


def _published(published, names, screened, drug_names):
    """Summaries of screened lines and compounds; the doses may spell their names otherwise."""
    known = _molecules(published, drug_names)
    out = published.assign(
        cell_id=lines.spread(published, names, "cell_name", "cell_id"),
        drug_id=lines.spread(published, known, "drug_name", "drug_id"),
    )
    kept = "study assay cell_id drug_id curve_id measure value sheet".split()
    kept += [name for name in recovered.COLUMNS if name in out]
    placed = out.cell_id.isin(screened) & out.drug_id.notna()
    return out.loc[placed, kept].reset_index(drop=True)


def _molecules(rows, drug_names):
    """drug_id of every (study, drug_name): by that spelling, else of the only one spelled alike."""
    names = rows[COMPOUND].drop_duplicates()
    names = names.merge(drug_names[[*COMPOUND, "drug_id"]], on=COMPOUND, how="left")
    spelled = drug_names.drug_name.map(lines.normalise)
    only = lines.only(drug_names.groupby(["study", spelled]).drug_id)
    spelling = [names.study, names.drug_name.map(lines.normalise)]
    by_spelling = only.reindex(pd.MultiIndex.from_arrays(spelling)).set_axis(names.index)
    return names.fillna(dict(drug_id=by_spelling)).dropna(subset="drug_id")


def left_out(bundle, tables=None):
    """What readers left out or could not read, and what found no place in the tables.

    Parameters
    ----------
    bundle : lib.screens.bundle.Bundle
    tables : dict of str to DataFrame, optional
        From `harmonise`.

    Returns
    -------
    DataFrame
        what, where (file, or study and table), reason, rows. "rows" a reader refused; a "table" of
        a release that is missing or broken; a "name" that a catalogue gives to two lines;
        "profiles" of lines that were not screened, or have another profile; a "curve" that could
        not be recovered from a published area.
    """
    told = bundle.responses.attrs
    entries = [("rows", *entry) for entry in told.get("refused", [])]
    for study, table, reason in told.get("gaps", []):
        entries.append(("table", f"{study} {table}", reason, 0))
    for study, name in bundle.aliases.attrs.get("ambiguous", []):
        reason = "the catalogue has two lines of this name"
        entries.append(("name", f"{study} {name}", reason, 0))
    if bundle.published is not None and "curve_reason" in bundle.published:
        lost = bundle.published.query("curve_reason > ''").groupby(["sheet", "curve_reason"])
        entries += [("curve", *where, n) for where, n in lost.size().items()]
    if tables is not None:
        entries += tables["dropped"].to_numpy().tolist()
    return pd.DataFrame(entries, columns=LEFT_OUT)


def unsettled(tables):
    """Names of lines that no id and no catalogue settles: new ones, and those that fit two lines.

    Returns
    -------
    DataFrame
        study, cell_name, cell_id, rule. Each keeps its own id until `data/identity/overrides.csv`
        says otherwise.
    """
    names = tables["cell_names"]
    return names[names.rule.isin(("new name", "ambiguous name"))].reset_index(drop=True)


def one_molecule(tables):
    """Drugs known by more than one name, and whether the names' drawings differ in stereochemistry.

    Returns
    -------
    DataFrame
        drug_id, names, studies, stereo_differs, punctuation, as in `merges`.
    """
    differ = ("inchikey", lambda keys: keys.nunique() > 1)
    return _joined(tables["drug_names"], "drug_id", "drug_name", stereo_differs=differ)


def merges(tables):
    """Lines known by more than one spelling, and how each was joined.

    Returns
    -------
    DataFrame
        cell_id, names, studies, rules, punctuation (the names differ in case and signs only; these
        stand last).
    """
    return _joined(tables["cell_names"], "cell_id", "cell_name", rules=("rule", _listed))


def _joined(names, key, name, **fact):
    """The ids that have two names or more, or whose drawings differ."""
    names = names.assign(spelled=names[name].map(lines.normalise))
    groups = names.groupby(key).agg(
        n=(name, "nunique"),
        names=(name, _listed),
        studies=("study", _listed),
        **fact,
        punctuation=("spelled", lambda spelled: spelled.nunique() == 1),
    )
    several = (groups.n > 1) | groups.get("stereo_differs", False)
    joined = groups[several].drop(columns="n").reset_index()
    return joined.sort_values(["punctuation", key], ignore_index=True)


def _listed(values):
    return "; ".join(sorted(set(values)))


def coverage(tables):
    """What each study holds, and for how much of it the other tables exist.

    Returns
    -------
    DataFrame
        One row per study and one for all: lines, drugs, curves, points, and the share of curves
        whose line has an expression profile, a mutation count, a mutation event, a cancer type.
    """
    measured = curves(tables)
    named = tables["cells"].dropna(subset="cancer_type")
    has = {name: table for name, table in tables.items() if name.startswith(tuple(PROFILES))}
    for name, table in (has | dict(cancer_type=named)).items():
        measured[f"share_{name}"] = measured.cell_id.isin(table.cell_id)
    measured["short"] = measured.points.between(1, 3)
    both = pd.concat([measured.astype({"study": "str"}), measured.assign(study="all")])
    table = both.groupby("study").agg(
        lines=("cell_id", "nunique"),
        drugs=("drug_id", "nunique"),
        curves=("cell_id", "size"),
        points=("points", "sum"),
        short_curves=("short", "sum"),
        **{share: (share, "mean") for share in measured.filter(like="share_")},
    )
    return table.reindex(
        [study for study in [*STUDIES, "all"] if study in table.index]
    ).reset_index()
