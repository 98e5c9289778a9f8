"""From a bundle in the studies' own names to the tables of notebook 01: one identity each, every loss counted."""

import pandas as pd

from lib import identity
from lib.paths import DATA
from lib.tables import STUDIES


def harmonise(bundle, studies=STUDIES, overrides=None):
    """Give every row its line and its molecule, drop exact repeats, and say what was merged or refused.

    Parameters
    ----------
    bundle : lib.sources.Bundle
    studies : sequence of str
        Studies to keep.
    overrides : DataFrame, optional
        A person's decisions (study, cell_name, cell_id); the shipped, empty list by default.

    Returns
    -------
    dict of str to DataFrame
        `responses`, `cells`, `cell_names`, `drugs`, `drug_names`, `published`, `expression_*`, `mutations_*`,
        `refused`, `repeats`.

    Raises
    ------
    ValueError
        For an unknown study, or two different values for one curve and dose.
    """
    unknown = sorted(set(studies) - set(STUDIES))
    if unknown:
        raise ValueError(f"unknown studies {unknown}: choose from {list(STUDIES)}")
    overrides = pd.read_csv(DATA / "identity" / "overrides.csv", dtype=str) if overrides is None else overrides
    raw = bundle.responses[bundle.responses.study.isin(studies)]
    aliases = identity.link(bundle.aliases)
    cell_names = identity.resolve_names(raw, aliases, overrides)
    cells = identity.cell_table(cell_names, aliases)
    named = raw[["study", "drug_name"]].drop_duplicates().merge(bundle.smiles, on=["study", "drug_name"], how="left")
    drugs, drug_names, refused = identity.resolve_drugs(named)
    rows = raw.merge(cell_names[["study", "cell_name", "cell_id"]], on=["study", "cell_name"])
    rows = rows.merge(drug_names[["study", "drug_name", "drug_id"]], on=["study", "drug_name"])
    responses, repeats = drop_repeats(rows)
    tables = dict(
        cells=cells, cell_names=cell_names, drugs=drugs, drug_names=drug_names, refused=refused, repeats=repeats
    )
    columns = ["study", "assay", "curve_id", "cell_id", "drug_id", "dose", "growth", "endpoint", "file", "control"]
    tables["responses"] = responses[columns].sort_values(["curve_id", "dose"], kind="stable", ignore_index=True)
    for kind, frames, column in (
        ("expression", bundle.expression, "profile_source"),
        ("mutations", bundle.mutations, "mutation_source"),
    ):
        for source, frame in frames.items():
            tables[f"{kind}_{source}"] = _profiles(frame, source, column, aliases, cells)
    if bundle.published is not None:
        tables["published"] = _published(bundle.published, studies, cell_names, drug_names)
    return tables


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
    rows = rows.drop_duplicates(["curve_id", "dose", "growth"])
    twice = rows[rows.duplicated(["curve_id", "dose"], keep=False)]
    if len(twice):
        first = twice.iloc[0]
        values = twice[(twice.curve_id == first.curve_id) & (twice.dose == first.dose)].growth.tolist()
        raise ValueError(
            f"curve {first.curve_id!r} has {len(values)} different growth values {values} at dose {first.dose:.4g}: "
            f"average them as replicates or give each series its own curve_id ({len(twice)} such rows)"
        )
    # Doses are rounded differently from file to file; four or more equal growth values to six digits are no accident.
    ordered = rows.sort_values(["curve_id", "dose"], kind="stable")
    place = ordered.groupby("curve_id", sort=False).cumcount().to_numpy()
    ordered["values"] = pd.util.hash_array(ordered.growth.round(6).to_numpy()) * (2 * place.astype("uint64") + 1)
    facts = ["assay", "cell_id", "drug_id", "endpoint"]
    series = ordered.groupby("curve_id", sort=False, observed=True).agg(
        **{name: (name, "first") for name in facts}, values=("values", "sum"), n=("dose", "size")
    )
    series = series[series.n >= 4].reset_index()
    series["kept_as"] = series.groupby([*facts, "n", "values"], sort=False).curve_id.transform("first")
    repeats = series[series.curve_id != series.kept_as][["curve_id", "kept_as"]].reset_index(drop=True)
    return rows[~rows.curve_id.isin(repeats.curve_id)], repeats


def _profiles(frame, source, column, aliases, cells):
    """Profiles of screened lines; a line profiled twice under two names keeps the first."""
    names = pd.DataFrame(dict(study=f"profile:{source}", cell_name=frame.cell_name))
    found = identity.resolve_names(names, aliases)
    out = frame.merge(found[["cell_name", "cell_id"]], on="cell_name").drop(columns="cell_name")
    out = out[out.cell_id.isin(cells.cell_id)].drop_duplicates("cell_id").sort_values("cell_id", ignore_index=True)
    genes = [name for name in out.columns if name != "cell_id"]
    return pd.concat([out.cell_id.to_frame().assign(**{column: source}), out[genes]], axis=1)


def _published(published, studies, cell_names, drug_names):
    out = published[published.study.isin(studies)]
    out = out.merge(cell_names[["study", "cell_name", "cell_id"]], on=["study", "cell_name"])
    out = out.merge(drug_names[["study", "drug_name", "drug_id"]], on=["study", "drug_name"])
    return out[["study", "assay", "cell_id", "drug_id", "curve_id", "measure", "value", "sheet"]].reset_index(drop=True)


def coverage(tables):
    """What each study holds, and for how much of it the other tables exist.

    Returns
    -------
    DataFrame
        One row per study and one for all: lines, drugs, curves, points, and the share of curves whose line has an
        expression profile, a mutation count, a mutation event, a cancer type.
    """
    responses, cells = tables["responses"], tables["cells"].set_index("cell_id")
    curves = responses.drop_duplicates("curve_id")
    has = {name: set(tables[name].cell_id) for name in tables if name.startswith(("expression_", "mutations_"))}
    has["cancer_type"] = set(cells.index[cells.cancer_type.notna()])
    groups = [(study, curves.study == study) for study in STUDIES if (curves.study == study).any()]
    rows = []
    for study, mask in [*groups, ("all", curves.study.notna())]:
        part, points = curves[mask], responses if study == "all" else responses[responses.study == study]
        row = dict(study=study, lines=part.cell_id.nunique(), drugs=part.drug_id.nunique(), curves=len(part))
        row |= dict(points=len(points), short_curves=int((points.groupby("curve_id").size() < 4).sum()))
        rows.append(row | {f"share_{name}": part.cell_id.isin(ids).mean() for name, ids in has.items()})
    return pd.DataFrame(rows)


def merges(tables):
    """Lines known by more than one spelling, and how each was joined."""
    names = tables["cell_names"]
    names = names.assign(key=names.cell_name.map(identity.normalise))
    groups = names.groupby("cell_id").agg(
        n_keys=("key", "nunique"),
        names=("cell_name", lambda n: "; ".join(sorted(set(n)))),
        studies=("study", lambda s: "; ".join(sorted(set(s)))),
        rules=("rule", lambda r: "; ".join(sorted(set(r)))),
    )
    return groups[groups.n_keys > 1].drop(columns="n_keys").reset_index()
