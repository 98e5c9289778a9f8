"""Merges of lines that deserve a second look, and what the responses say for and against them.

The ids of the catalogues decide a merge; a response profile of two dozen drugs is weak evidence and
never overrules them. A person can, in `data/identity/overrides.csv`.
"""

import itertools

import numpy as np
import pandas as pd

from lib.screens import lines

COLUMNS = "cell_id names why study n_drugs response_r strangers_closer mutated".split()
MIN_DRUGS = 8  # fewer shared drugs say nothing about a pair of lines


def doubtful(bundle, tables):
    """Lines whose catalogues contradict each other, or that one study screened under two names.

    Parameters
    ----------
    bundle : lib.screens.bundle.Bundle
    tables : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.

    Returns
    -------
    DataFrame
        cell_id, names, why, and for the two names in one study with most drugs in common: study,
        n_drugs, response_r (Pearson's r of their mean growth per drug, each drug's mean over lines
        taken off), strangers_closer (share of pairs of other lines of the study with a higher r)
        and mutated (genes mutated in both of those in either, of the first mutation table). Missing
        where fewer than `MIN_DRUGS` drugs are shared or a line was not assessed.
    """
    names = tables["cell_names"]
    readings = _readings(bundle)
    rows = []
    for cell_id, why in _reasons(bundle.aliases, names).groupby(level=0):
        own = names[names.cell_id == cell_id]
        known = dict(cell_id=cell_id, names="; ".join(sorted(set(own.cell_name))))
        evidence = _evidence(bundle.mutations, readings, own)
        rows.append(known | dict(why="; ".join(why)) | evidence)
    return pd.DataFrame(rows, columns=COLUMNS)


def _readings(bundle):
    """Growth at every dose, or the published area where a data set has no doses."""
    if len(bundle.responses) or bundle.published is None:
        return bundle.responses
    areas = bundle.published[bundle.published.measure == "auc_tested"]
    return areas.rename(columns=dict(value="growth")).assign(control=False)


def _reasons(aliases, names):
    """Why a merge of lines deserves a second look, by line: one catalogue gives it two ids, or one
    study has it under two names.
    """
    known = lines.link(aliases)
    known = known[known.cell_id.isin(names.cell_id)]
    found = []
    for column in lines.FORMS:
        ids = known.dropna(subset=[column]).groupby("cell_id")[column].agg(_listed)
        found.append("two ids: " + ids[ids.str.contains(", ")])
    counts = names.groupby(["cell_id", "study"]).cell_name.nunique()
    twice = counts[counts > 1].reset_index("study").study
    found.append("two names in " + twice.groupby(level=0).agg(_listed))
    return pd.concat(found)


def _listed(values):
    return ", ".join(sorted(set(values)))


def _evidence(mutations, readings, own):
    """Of the two names of a line that one study screened against most drugs in common."""
    best = {}
    for study, part in own.groupby("study"):
        pair = sorted(part.cell_name.unique())[:2]
        if len(pair) < 2:
            continue
        profile = response_profiles(readings, study)
        if not set(pair) <= set(profile.index):
            continue
        shared = int(profile.loc[pair].notna().all().sum())
        if shared > best.get("n_drugs", 0):
            best = dict(study=study, n_drugs=shared, mutated=_mutated(mutations, pair))
            if shared >= MIN_DRUGS:
                best |= _correlation(profile, pair)
    return best


def response_profiles(responses, study):
    """Mean growth of each line under each drug of a study, each drug's mean over lines taken off.

    Returns
    -------
    DataFrame
        Index cell_name, columns drug_name; missing where not screened.
    """
    rows = responses[(responses.study == study) & ~responses.control]
    means = rows.groupby(["cell_name", "drug_name"], observed=True).growth.mean().unstack()
    return means - means.mean()


def same_line_r(responses):
    """The r to expect of one line: the median between the two studies that share most drugs.

    Parameters
    ----------
    responses : DataFrame
        The `responses` table (ids, not names).

    Returns
    -------
    dict
        studies, n_lines, n_drugs, median_r; empty where no two studies share `MIN_DRUGS` drugs.
    """
    named = responses.rename(columns=dict(cell_id="cell_name", drug_id="drug_name"))
    profiles = {study: response_profiles(named, study) for study in named.study.unique()}
    best = {}
    for pair in itertools.combinations(profiles, 2):
        one, other = (profiles[study] for study in pair)
        one, other = one.align(other.reindex(one.index), join="inner", axis=1)
        n_drugs = one.shape[1]
        if n_drugs >= max(MIN_DRUGS, best.get("n_drugs", 0) + 1):
            enough = (one.notna() & other.notna()).sum(axis=1) >= MIN_DRUGS
            r = one[enough].corrwith(other[enough], axis=1)
            best = dict(studies=" and ".join(pair), n_lines=len(r), n_drugs=n_drugs)
            best["median_r"] = r.median()
    return best


def _correlation(profile, pair):
    enough = profile[profile.notna().sum(axis=1) >= MIN_DRUGS]
    every = enough.T.corr(min_periods=MIN_DRUGS)
    strangers = every.to_numpy()[np.triu_indices(len(every), 1)]
    r = every.loc[pair[0], pair[1]]
    return dict(response_r=r, strangers_closer=(strangers[np.isfinite(strangers)] > r).mean())


def _mutated(mutations, pair):
    """Genes mutated in both lines of those in either, in words; else which was not assessed."""
    keys = [lines.normalise(name) for name in pair]
    for frame in mutations.values():
        table = frame.set_index(frame.cell_name.map(lines.normalise)).drop(columns="cell_name")
        if set(keys) <= set(table.index):
            both = table.loc[keys].set_axis(pair)
            empty = both.index[both.isna().all(axis=1)]
            if len(empty):
                return f"not assessed: {', '.join(empty)}"
            both = both > 0
            return f"{both.all().sum()} of {both.any().sum()}"
    return None
