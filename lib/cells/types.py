"""Type-like labels of cell lines, the paper's way (section 4.1): clusters of an autoencoder's code.

The autoencoder learns from the panel's own profiles, or from a table of tumours (the paper took
GDC's RNA-seq); clusters are found in its code and named after the annotated type that most of their
members have. The labels use every line of the panel, before any split: they are flagged
`whole_panel`, and annotated types stay the default everywhere.
"""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from lib.cells import cohorts, expression
from lib.screens import own

KIND = "autoencoder, whole_panel"
N_GENES = 1000  # the most variable ones: what tissues differ in
HIDDEN = 64  # width of the hidden layers
CODE = 16  # width of the code, and the number of principal components beside it
EPOCHS = 25
BATCH = 64
RATE = 3e-3
NOISE = 0.1
MIN_GENES = 50  # fewer do not tell types apart
UNNAMED = "unnamed"
SAMPLE = ["cell_id", "profile_source"]
TYPES = "cell_id label_kind cancer_type cluster".split()
REPORT = (
    "labels annotation n_lines n_labels n_annotated adjusted_rand purity purity_by_chance"
).split()


def profiles(panel, sources):
    """One profile per line, each gene standardised within its source so that a platform is no type.

    Parameters
    ----------
    panel : DataFrame
        `cell_id`, `profile_source`, genes (as `lib.cells.expression.panel` gives).
    sources : sequence of str
        Whose profile a line takes first.

    Returns
    -------
    DataFrame
        Index `cell_id`, genes; a gap becomes 0, the mean of its gene.
    """
    parts = []
    for source in sources:
        part = panel[panel.profile_source == source].set_index("cell_id")
        part = part.drop(columns="profile_source")
        spread = part.std()
        parts.append((part - part.mean()) / spread.where(spread > 0, 1))
    table = pd.concat(parts)
    return table[~table.index.duplicated()].fillna(0.0).astype(np.float32)


def variable_genes(panel):
    """The genes that vary most between the lines of the largest source, in alphabetical order."""
    largest = panel.profile_source.value_counts().index[0]
    spread = panel.loc[panel.profile_source == largest, expression.gene_columns(panel)].var()
    return sorted(spread.sort_values(ascending=False, kind="stable").index[:N_GENES])


def fit_autoencoder(values, seed):
    """Train a small denoising autoencoder (values -> 64 -> 16 -> 64 -> values) on the CPU, seeded.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_genes)
        Standardised genes.
    seed : int

    Returns
    -------
    callable
        Profiles of shape (n, n_genes) to codes of shape (n, 16).
    """
    import torch  # here, since a data set without expression needs no network
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = values.shape[1]
        encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, CODE))
        decoder = nn.Sequential(
            nn.ELU(), nn.Linear(CODE, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, width)
        )
        network = nn.Sequential(encoder, decoder)
        x = torch.as_tensor(np.array(values, np.float32))
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE, weight_decay=1e-4)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(x)).split(BATCH):
                noisy = x[rows] + NOISE * torch.randn(len(rows), width)
                loss = nn.functional.mse_loss(network(noisy), x[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    def encode(rows):
        with torch.no_grad():
            return encoder(torch.as_tensor(np.array(rows, np.float32))).numpy()

    return encode


def label(lines, learn, types, n_types, seed=0):
    """Type-like label of every line.

    Parameters
    ----------
    lines : DataFrame
        From `profiles`: index `cell_id`, genes.
    learn : DataFrame
        The lines again, or profiles of tumours: the autoencoder and the clusters are theirs, and a
        line joins the nearest cluster.
    types : Series
        Annotated types of `learn` by `cell_id`; some may be missing. They name clusters, and have
        no part in finding them.
    n_types : int
        Clusters to find.
    seed : int

    Returns
    -------
    DataFrame
        The `cell_types` table: cell_id, label_kind, cancer_type (``07 Glioma``), and `cluster`.

    Raises
    ------
    ValueError
        If there are fewer samples than clusters, or lines and tumours share fewer than 50 genes.
    """
    genes = [gene for gene in lines.columns if gene in learn.columns]
    if len(genes) < MIN_GENES:
        raise ValueError(
            f"lines and tumours share {len(genes)} gene symbols: both need HGNC symbols as columns"
        )
    if len(learn) <= n_types:
        raise ValueError(f"{n_types} clusters need more than {len(learn)} profiles: ask for fewer")
    encode = fit_autoencoder(learn[genes].to_numpy(), seed)
    found = _clusters(encode(learn[genes]), n_types, seed)
    names = name_clusters(pd.Series(found.labels_, index=learn.index), types)
    cluster = found.predict(_unit(encode(lines[genes])))
    types = names.reindex(cluster).to_numpy()
    table = dict(cell_id=lines.index, label_kind=KIND, cancer_type=types, cluster=cluster)
    return pd.DataFrame(table)


def _clusters(codes, n, seed):
    return KMeans(n, n_init=4, random_state=seed).fit(_unit(codes))


def _unit(codes):
    """Codes on the unit sphere: clusters of direction, as a line's overall contrast is no type."""
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)


def name_clusters(cluster, types):
    """Each cluster's number, the largest first, and the annotated type of most of its members.

    Types that name only a site ("…_NOS") or nothing ("Unknown") name no cluster.

    Returns
    -------
    Series
        Name by cluster.
    """
    types = cohorts.named(types.reindex(cluster.index))
    names = {}
    for place, one in enumerate(cohorts.by_size(cluster), 1):
        most_frequent = types[cluster == one].mode()  # in alphabetical order
        names[one] = f"{place:02d} {most_frequent.get(0, UNNAMED)}"
    return pd.Series(names)


def from_tables(tables, scales, sources=(), n_types=30, seed=0, tumours=""):
    """Labels of every line of a data set that has a profile.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.
    scales : dict of str to str
        Declared scale of each expression table.
    sources : sequence of str
        Profile sources to use, in order of preference; those that the data set lacks are passed
        over, and none of them there (or none named) means all it has.
    n_types, seed
        As in `label`; of few profiles no more clusters are made than a quarter of their number.
    tumours : path
        Folder of tumours (`lib.screens.own.load_tumours`); "" means that the lines teach the
        autoencoder themselves.

    Returns
    -------
    types : DataFrame
        As `label`; empty where the data set has no expression, or fewer genes than `MIN_GENES`.
    report : DataFrame
        Agreement of these labels with annotated tissue and annotated cancer type, and beside it
        that of clusters of as many principal components; no row where there is no annotation.
    """
    has = [name.removeprefix("expression_") for name in tables if name.startswith("expression_")]
    chosen = [source for source in sources if source in has] or has
    profiled = {source: tables[f"expression_{source}"] for source in chosen}
    if min((table.shape[1] for table in profiled.values()), default=0) < MIN_GENES:
        return pd.DataFrame(columns=TYPES, dtype="str"), pd.DataFrame(columns=REPORT)
    scales = {source: scales[f"expression_{source}"] for source in chosen}
    panel = expression.panel(profiled, scales)
    cells = tables["cells"].set_index("cell_id")
    if tumours:
        learn, known = _tumours(tumours, panel)
        lines = profiles(panel[[*SAMPLE, *learn]], chosen)
    else:
        learn = lines = profiles(panel[[*SAMPLE, *variable_genes(panel)]], chosen)
        known = cells.cancer_type
    n_types = max(1, min(n_types, len(learn) // 4))
    types = label(lines, learn, known, n_types, seed)
    found = {
        "autoencoder": types.set_index("cell_id").cancer_type,
        "principal components": _clusters_of_components(lines, n_types),
    }
    rows = []
    for name, labels in found.items():
        for column in ("tissue", "cancer_type"):
            if cells[column].notna().any():
                scores = agreement(labels, cells[column])
                rows.append(dict(labels=name, annotation=column, **scores))
    return types, pd.DataFrame(rows, columns=REPORT)


def _tumours(folder, panel):
    """Profiles of tumours over their variable genes that the panel has too, and their types."""
    frame, types, scale = own.load_tumours(folder)
    frame = expression.panel({"tumours": frame}, {"tumours": scale})
    genes = [gene for gene in variable_genes(frame) if gene in panel]
    return profiles(frame[[*SAMPLE, *genes]], ["tumours"]), types


def _clusters_of_components(lines, n_types):
    """Clusters of the lines' principal components: what the autoencoder must be better than."""
    codes = PCA(min(CODE, *lines.shape), random_state=0).fit_transform(lines.to_numpy())
    return pd.Series(_clusters(codes, n_types, 0).labels_, index=lines.index)


def choose(cells, types, kind):
    """The `cells` table with the cohort labels asked for.

    Parameters
    ----------
    cells : DataFrame
    types : DataFrame
        Type-like labels.
    kind : {"annotated", "autoencoder"}
        The second puts the type-like label into `cancer_type`, where the cohorts `top21` and `top6`
        look, keeps the annotation in `annotated_type` and says so in `label_kind`.

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind == "annotated":
        return cells
    if kind != "autoencoder":
        raise ValueError(f"cancer_types must be 'annotated' or 'autoencoder', found {kind!r}")
    by_line = types.set_index("cell_id").cancer_type.astype("str")
    return cells.assign(
        annotated_type=cells.cancer_type, cancer_type=cells.cell_id.map(by_line), label_kind=KIND
    )


def agreement(labels, annotated):
    """How well labels repeat an annotation.

    Parameters
    ----------
    labels, annotated : Series
        By `cell_id`; lines that have both are compared.

    Returns
    -------
    dict
        n_lines, n_labels, n_annotated; adjusted_rand (1 equal partitions, 0 chance); purity (share
        of lines whose annotation is the most frequent one of their label) and purity_by_chance (the
        same with the labels shuffled).
    """
    both = pd.DataFrame(dict(label=labels, annotated=annotated)).dropna()
    shuffled = np.random.default_rng(0).permutation(both.label.to_numpy())
    return dict(
        n_lines=len(both),
        n_labels=both.label.nunique(),
        n_annotated=both.annotated.nunique(),
        adjusted_rand=adjusted_rand_score(both.annotated, both.label),
        purity=_purity(both.label, both.annotated),
        purity_by_chance=_purity(shuffled, both.annotated),
    )


def _purity(labels, annotated):
    return contingency_matrix(labels, annotated).max(axis=1).sum() / len(annotated)
