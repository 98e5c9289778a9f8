"""Type-like labels of cell lines, the paper's way (section 4.1): an autoencoder on expression, clusters of its code.

The autoencoder learns from the panel's own profiles, or from a table of tumours (the paper took GDC's RNA-seq);
clusters are found in its code and named after the annotated type that most of their members have. The labels use every
line of the panel, before any split: they are flagged `whole_panel`, and annotated types stay the default everywhere.
"""

import numpy as np
import pandas as pd

KIND = "autoencoder, whole_panel"
N_GENES = 1000  # the most variable ones: what tissues differ in
HIDDEN, CODE, EPOCHS, BATCH, RATE, NOISE = 64, 16, 25, 64, 3e-3, 0.1
UNNAMED = "unnamed"
REPORT = (
    "labels annotation n_lines n_labels n_annotated adjusted_rand purity purity_by_chance".split()
)


def profiles(panel, sources=None):
    """One profile per line, each gene standardised within its source so that a platform is no type.

    Parameters
    ----------
    panel : DataFrame
        `cell_id`, `profile_source`, genes (as `lib.cells.expression.panel` gives).
    sources : sequence of str, optional
        Whose profile a line takes first; by default the source with most lines.

    Returns
    -------
    DataFrame
        Index `cell_id`, genes; a gap becomes 0, the mean of its gene.
    """
    genes = [name for name in panel.columns if name not in ("cell_id", "profile_source")]
    sources = panel.profile_source.value_counts().index if sources is None else sources
    parts = []
    for source in sources:
        part = panel[panel.profile_source == source].set_index("cell_id")[genes]
        spread = part.std().to_numpy()
        parts.append((part - part.mean()) / np.where(spread > 0, spread, 1))
    table = pd.concat(parts)
    return table[~table.index.duplicated()].fillna(0.0).astype(np.float32)


def variable_genes(panel, n_genes=N_GENES):
    """The genes that vary most between the lines of the largest source, in alphabetical order."""
    genes = [name for name in panel.columns if name not in ("cell_id", "profile_source")]
    largest = panel.profile_source.value_counts().index[0]
    spread = panel.loc[panel.profile_source == largest, genes].var()
    return sorted(spread.sort_values(ascending=False, kind="stable").index[:n_genes])


def fit_autoencoder(values, seed=0, code=CODE, epochs=EPOCHS):
    """Train a small denoising autoencoder (values -> 64 -> code -> 64 -> values) on the CPU, seeded.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_genes)
        Standardised genes.
    seed : int
    code : int
        Width of the code.
    epochs : int

    Returns
    -------
    encode : callable
        Profiles of shape (n, n_genes) to codes of shape (n, code).
    losses : list of float
        Mean squared error of each epoch.
    """
    import torch
    from torch import nn

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        width = values.shape[1]
        encoder = nn.Sequential(nn.Linear(width, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, code))
        decoder = nn.Sequential(
            nn.ELU(), nn.Linear(code, HIDDEN), nn.ELU(), nn.Linear(HIDDEN, width)
        )
        x = torch.as_tensor(np.array(values, np.float32))
        optimizer = torch.optim.Adam(
            [*encoder.parameters(), *decoder.parameters()], lr=RATE, weight_decay=1e-4
        )
        losses = []
        for _ in range(epochs):
            total = 0.0
            for rows in torch.randperm(len(x)).split(BATCH):
                noisy = x[rows] + NOISE * torch.randn(len(rows), width)
                loss = nn.functional.mse_loss(decoder(encoder(noisy)), x[rows])
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(rows)
            losses.append(total / len(x))

    def encode(rows):
        with torch.no_grad():
            return encoder(torch.as_tensor(np.array(rows, np.float32))).numpy()

    return encode, losses


def label(lines, types, n_types, seed=0, tumours=None, tumour_types=None):
    """Type-like label of every line.

    Parameters
    ----------
    lines : DataFrame
        From `profiles`: index `cell_id`, genes.
    types : Series
        Annotated type by `cell_id`; lines may be missing. They name clusters, and have no part in finding them.
    n_types : int
        Clusters to find.
    seed : int
    tumours : DataFrame, optional
        From `profiles`, of tumours: the autoencoder and the clusters are theirs, and a line joins the nearest cluster.
    tumour_types : Series, optional
        Annotated type of each tumour, which then names the clusters.

    Returns
    -------
    types : DataFrame
        The `cell_types` table: cell_id, label_kind, cancer_type (``07 Glioma``), and `cluster`.
    losses : list of float
        Of the autoencoder, by epoch.

    Raises
    ------
    ValueError
        If there are fewer samples than clusters, or lines and tumours share fewer than 50 genes.
    """
    from sklearn.cluster import KMeans

    learn = lines if tumours is None else tumours
    genes = [gene for gene in lines.columns if gene in learn.columns]
    if len(genes) < 50:
        raise ValueError(
            f"lines and tumours share {len(genes)} gene symbols: both need HGNC symbols as columns"
        )
    if len(learn) <= n_types:
        raise ValueError(f"{n_types} clusters need more than {len(learn)} profiles: ask for fewer")
    encode, losses = fit_autoencoder(learn[genes].to_numpy(), seed)
    found = KMeans(n_types, n_init=4, random_state=seed).fit(_unit(encode(learn[genes].to_numpy())))
    cluster = found.predict(_unit(encode(lines[genes].to_numpy())))
    of_learned = cluster if tumours is None else found.labels_
    known = types if tumours is None else tumour_types
    names = name_clusters(pd.Series(of_learned, index=learn.index), known)
    table = pd.DataFrame(
        dict(cell_id=lines.index, label_kind=KIND, cancer_type=names.reindex(cluster).to_numpy())
    )
    return table.assign(cluster=cluster), losses


def _unit(codes):
    """Codes on the unit sphere: clusters of direction, since a line's overall contrast is no type."""
    return codes / np.maximum(np.linalg.norm(codes, axis=1, keepdims=True), 1e-12)


def name_clusters(cluster, types):
    """Each cluster's number, the largest first, and the annotated type that most of its members have.

    Types that name only a site ("…_NOS") or nothing ("Unknown") name no cluster.

    Returns
    -------
    Series
        Name by cluster.
    """
    types = types.reindex(cluster.index).astype("str")
    types = types.mask(types.str.endswith("_NOS", na=False) | (types == "Unknown"))
    order = cluster.value_counts().sort_index().sort_values(ascending=False, kind="stable").index
    names = {}
    for place, one in enumerate(order, 1):
        counts = types[cluster == one].value_counts()
        top = counts[counts == counts.max()].index.sort_values() if len(counts) else [UNNAMED]
        names[one] = f"{place:02d} {top[0]}"
    return pd.Series(names)


def from_tables(tables, scales, sources=(), n_types=30, seed=0, tumours=None):
    """Labels of every line of a data set that has a profile.

    Parameters
    ----------
    tables : dict of str to DataFrame
        From `lib.screens.harmonise.harmonise`.
    scales : dict of str to str
        Declared scale of each expression table.
    sources : sequence of str
        Profile sources to use, in order of preference; those that the data set lacks are passed over, and none of them
        there (or none named) means all it has.
    n_types, seed
        As in `label`; of few profiles no more clusters are made than a quarter of their number.
    tumours : path, optional
        Folder of tumours (`lib.screens.own.load_tumours`); by default the lines teach the autoencoder themselves.

    Returns
    -------
    types : DataFrame
        As `label`; empty where the data set has no expression.
    report : DataFrame
        Agreement of these labels with annotated tissue and annotated cancer type, and beside it that of clusters of as
        many principal components; no row where there is no annotation.
    """
    from lib.cells import expression
    from lib.screens import own

    has = [name.removeprefix("expression_") for name in tables if name.startswith("expression_")]
    chosen = [source for source in sources if source in has] or has
    if not chosen:
        empty = pd.DataFrame(
            columns=["cell_id", "label_kind", "cancer_type", "cluster"], dtype="str"
        )
        return empty, pd.DataFrame(columns=REPORT)
    declared = {source: scales[f"expression_{source}"] for source in chosen}
    panel = expression.panel(
        {source: tables[f"expression_{source}"] for source in chosen}, declared
    )
    options = {}
    if tumours:
        frame, options["tumour_types"], scale = own.load_tumours(tumours)
        frame = expression.panel({"tumours": frame}, {"tumours": scale})
        genes = [gene for gene in variable_genes(frame) if gene in panel]
        options["tumours"] = profiles(frame[["cell_id", "profile_source", *genes]])
    else:
        genes = variable_genes(panel)
    lines = profiles(panel[["cell_id", "profile_source", *genes]], chosen)
    known = tables["cells"].set_index("cell_id")
    n_types = max(1, min(n_types, len(options.get("tumours", lines)) // 4))
    types, _ = label(lines, known.cancer_type, n_types, seed, **options)
    found = {
        "autoencoder": types.set_index("cell_id").cancer_type,
        "principal components": components(lines, n_types),
    }
    rows = [
        dict(labels=name, annotation=column) | agreement(labels, known[column])
        for name, labels in found.items()
        for column in ("tissue", "cancer_type")
        if known[column].notna().any()
    ]
    return types, pd.DataFrame(rows, columns=REPORT)


def components(lines, n_types, n_components=CODE, seed=0):
    """Clusters of the lines' principal components: what the autoencoder must be better than."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    codes = PCA(min(n_components, *lines.shape), random_state=seed).fit_transform(lines.to_numpy())
    return pd.Series(
        KMeans(n_types, n_init=4, random_state=seed).fit_predict(_unit(codes)), index=lines.index
    )


def choose(cells, types, kind):
    """The `cells` table with the cohort labels asked for.

    Parameters
    ----------
    cells : DataFrame
    types : DataFrame
        Type-like labels.
    kind : {"annotated", "autoencoder"}
        The second puts the type-like label into `cancer_type`, where the cohorts `top21` and `top6` look, keeps the
        annotation in `annotated_type` and says so in `label_kind`.

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in ("annotated", "autoencoder"):
        raise ValueError(f"cancer_types must be 'annotated' or 'autoencoder', found {kind!r}")
    if kind == "annotated":
        return cells
    by_line = types.set_index("cell_id").cancer_type.astype("str")
    return cells.assign(
        annotated_type=cells.cancer_type, cancer_type=cells.cell_id.map(by_line), label_kind=KIND
    )


def agreement(labels, annotated, seed=0):
    """How well labels repeat an annotation.

    Parameters
    ----------
    labels, annotated : Series
        By `cell_id`; lines that have both are compared.
    seed : int
        Of the shuffling that shows what chance gives.

    Returns
    -------
    dict
        n_lines, n_labels, n_annotated; adjusted_rand (1 equal partitions, 0 chance); purity (share of lines whose
        annotation is the most frequent one of their label) and purity_by_chance (the same with labels dealt out anew).
    """
    from sklearn.metrics import adjusted_rand_score

    both = pd.DataFrame(dict(label=labels, annotated=annotated)).dropna()
    shuffled = np.random.default_rng(seed).permutation(both.label.to_numpy())
    return dict(
        n_lines=len(both),
        n_labels=both.label.nunique(),
        n_annotated=both.annotated.nunique(),
        adjusted_rand=adjusted_rand_score(both.annotated, both.label),
        purity=_purity(both.label, both.annotated),
        purity_by_chance=_purity(shuffled, both.annotated),
    )


def _purity(labels, annotated):
    return pd.crosstab(np.asarray(labels), np.asarray(annotated)).max(axis=1).sum() / len(annotated)
