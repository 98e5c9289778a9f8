"""Mordred's 1,613 two-dimensional descriptors of one molecule: the package's numbers in less than half of its time.

`mordredcommunity` looks its dependency graph up again for every molecule, and spends most of the rest on six families
that walk the molecular graph atom by atom in Python. Here the graph is laid out once, and those six are computed by
the functions below: each subgraph, walk and neighbourhood is enumerated once per molecule and shared. Every value
agrees with the package to 1e-11 and every gap is the same. The shortcuts replace internals
of the package, so they are used with the version they were checked against, and the package's own code with any other.
"""

import math
import warnings
from functools import cache
from importlib.metadata import version

import numpy as np

CHECKED_VERSION = "2.0.7"  # of mordredcommunity
MAX_CHI_ORDER, MAX_PATH, MAX_IC_ORDER = 7, 10, 5
_GAP = object()  # a descriptor, or something it depends on, that could not be computed


class Plan:
    """Every 2D descriptor and what it depends on, in an order in which each can be computed once.

    Parameters
    ----------
    shortcuts : bool or None
        Use the functions of this module; None: when the installed package is the one they were checked against.
    detour_limit : float
        Seconds after which the longest paths of one molecule are given up (11 descriptors become gaps, the others
        stay); fused cages such as fullerenes would take for ever.

    Attributes
    ----------
    names : list of str
        The 1,613 descriptors, in the package's order.
    """

    def __init__(self, shortcuts=None, detour_limit=20.0):
        from mordred import Calculator, descriptors

        if shortcuts is None:
            shortcuts = version("mordredcommunity") == CHECKED_VERSION
        self._calculator = Calculator(descriptors, ignore_3D=True, config={"timeout": detour_limit})
        self._replaced = _shortcuts() if shortcuts else {}
        self._place, self._steps = {}, []
        self.names = [str(d) for d in self._calculator.descriptors]
        self._wanted = [self._add(d) for d in self._calculator.descriptors]

    def __call__(self, molecule):
        """Descriptors of one RDKit molecule.

        Returns
        -------
        ndarray of float, shape (1613,)
            NaN where a descriptor is undefined for the molecule.
        """
        from mordred._base.context import Context

        context = Context.from_calculator(self._calculator, molecule, -1)
        context.reset()
        shared, found = {}, []
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of 0 / 0 and the like: the value is a gap, and that says it all
            for descriptor, needs, replacement in self._steps:
                found.append(_evaluate(descriptor, needs, replacement, context, shared, found))
        values = np.array(
            [math.nan if found[i] is _GAP else _number(found[i]) for i in self._wanted]
        )
        values[~np.isfinite(values)] = math.nan
        return values

    def _add(self, descriptor):
        if descriptor not in self._place:
            needs = (descriptor.dependencies() or {}).items()
            needs = [(name, None if d is None else self._add(d)) for name, d in needs]
            self._steps.append((descriptor, needs, self._replaced.get(type(descriptor))))
            self._place[descriptor] = len(self._steps) - 1
        return self._place[descriptor]


@cache
def default_plan():
    """The plan of this process (building it takes a tenth of a second)."""
    return Plan()


def _evaluate(descriptor, needs, replacement, context, shared, found):
    """Value of one step. The package turns any exception into an error cell; so does this."""
    if descriptor.require_connected and context.n_frags != 1:
        return _GAP
    inputs = {name: None if i is None else found[i] for name, i in needs}
    if any(value is _GAP for value in inputs.values()):
        return _GAP
    descriptor._context = context
    try:
        return (
            replacement(descriptor, shared, **inputs)
            if replacement
            else descriptor.calculate(**inputs)
        )
    except Exception:
        return _GAP


def _number(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _shortcuts():
    from mordred import (
        BaryszMatrix,
        Chi,
        ExtendedTopochemicalAtom,
        InformationContent,
        MolecularDistanceEdge,
        MolecularId,
        PathCount,
    )

    return {
        Chi.ChiCache: _chi_subgraphs,
        Chi.Chi: _chi,
        MolecularId.AtomicIds: lambda descriptor, shared: _walks(descriptor.mol, shared)[0],
        PathCount.PathCountCache: _path_count,
        InformationContent.Ag: _neighbourhoods,
        ExtendedTopochemicalAtom.EtaCompositeIndex: _eta_composite,
        MolecularDistanceEdge.MolecularDistanceEdge: _distance_edge,
        BaryszMatrix.Barysz: _barysz,
    }


def _chi_subgraphs(descriptor, shared):
    """Connected subgraphs of `order` bonds by kind, each an array (n_subgraphs, order + 1) of atoms.

    A chain has a cycle, hence fewer atoms than bonds + 1 (its row is filled up with one index past the last atom); a
    path has no atom of degree above 2; a path-cluster has atoms of degree 2, a cluster has none.
    """
    from mordred.Chi import ChiBonds

    mol, order = descriptor.mol, descriptor._order
    subgraphs = _subgraphs(mol, shared)[order - 1]
    if len(subgraphs) == 0:
        return ChiBonds(*[np.empty((0, order + 1), dtype=np.int64)] * 4)
    rows = np.arange(len(subgraphs))[:, None]
    ends = np.sort(shared["bonds"][subgraphs].reshape(len(subgraphs), 2 * order), axis=1)
    new = np.concatenate([np.ones_like(rows, dtype=bool), ends[:, 1:] != ends[:, :-1]], axis=1)
    place = np.cumsum(new, axis=1) - 1  # rank of each bond end among the atoms of its subgraph
    atoms = np.full((len(subgraphs), order + 1), mol.GetNumAtoms())
    atoms[rows, place] = ends
    degree = np.bincount((rows * (order + 1) + place).ravel(), minlength=atoms.size).reshape(
        atoms.shape
    )
    chain = place[:, -1] < order
    path = ~chain & (degree.max(axis=1) <= 2)
    bent = (degree == 2).any(axis=1)
    kinds = dict(
        chain=chain, path=path, path_cluster=~chain & ~path & bent, cluster=~chain & ~path & ~bent
    )
    return ChiBonds(**{name: atoms[mask] for name, mask in kinds.items()})


def _subgraphs(mol, shared):
    from rdkit import Chem

    if "subgraphs" not in shared:
        shared["bonds"] = np.array(
            [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()]
        ).reshape(-1, 2)
        found = (
            Chem.FindAllSubgraphsOfLengthMToN(mol, 1, MAX_CHI_ORDER) if mol.GetNumBonds() else ()
        )
        found = [np.array([list(s) for s in group], dtype=np.int64) for group in found]
        shared["subgraphs"] = found + [[]] * (MAX_CHI_ORDER - len(found))
    return shared["subgraphs"]


def _chi(descriptor, shared, P, chi=None):
    """Sum over subgraphs of the product of atom properties to the power -1/2 (Kier and Hall)."""
    if chi is None:
        return descriptor.calculate(P)
    atoms = getattr(chi, descriptor._type.name)
    products = np.append(P, 1.0)[atoms].prod(axis=1)
    if (products <= 0).any() or (descriptor._averaged and not len(atoms)):
        return _GAP
    total = (products**-0.5).sum()
    return total / len(atoms) if descriptor._averaged else total


def _walks(mol, shared):
    """Atomic identification numbers, and the number and the bond-order sum of paths of each length, in one search.

    Both are sums over self-avoiding walks from every atom. An identification number adds (product of degree products
    of the bonds)^-1/2 until that product reaches 1e20 (Randic 1984); a path is found from both of its ends, so the
    counts are halved. Bond orders are multiples of 1/2, their products exact in floating point. Hydrogens that stay
    atoms (isotopes) are part of identification numbers, not of paths, as in the package.
    """
    if "walks" in shared:
        return shared["walks"]
    degree = [atom.GetDegree() for atom in mol.GetAtoms()]
    neighbours = [[] for _ in degree]
    for bond in mol.GetBonds():
        i, j, order = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), bond.GetBondTypeAsDouble()
        neighbours[i].append((j, degree[i] * degree[j], order))
        neighbours[j].append((i, degree[i] * degree[j], order))
    counts, orders = [0] * (MAX_PATH + 1), [0.0] * (MAX_PATH + 1)
    first_length = [
        MAX_PATH + 1 if atom.GetAtomicNum() == 1 else 1 for atom in mol.GetAtoms()
    ]  # too long to count
    visited, limit, sqrt = [False] * len(degree), 10**20, math.sqrt

    def search(atom, weight, order, length):
        total = 0.0
        for after, factor, bond_order in neighbours[atom]:
            if visited[after]:
                continue
            product, path_order = weight * factor, order * bond_order
            total += 1.0 / sqrt(product)
            reached = max(length, first_length[after])
            if reached <= MAX_PATH:
                counts[reached] += 1
                orders[reached] += path_order
            if product < limit:
                visited[after] = True
                total += search(after, product, path_order, reached + 1)
                visited[after] = False
        return total

    identities = []
    for start in range(len(degree)):
        visited[start] = True
        identities.append(1 + search(start, 1, 1.0, first_length[start]) / 2)
        visited[start] = False
    shared["walks"] = identities, [n // 2 for n in counts], [order / 2 for order in orders]
    return shared["walks"]


def _path_count(descriptor, shared):
    _, counts, orders = _walks(descriptor.mol, shared)
    return counts[descriptor._order], orders[descriptor._order]


def _neighbourhoods(descriptor, shared, D):
    """One atom of each class of equal neighbourhoods of radius `order`, and the size of each class.

    The neighbourhood of radius k + 1 continues that of radius k, so all radii come from one pass over the atoms.
    """
    if "neighbourhoods" not in shared:
        shared["neighbourhoods"] = _grow(descriptor.mol)
    last, size = {}, {}
    for atom, code in enumerate(shared["neighbourhoods"][descriptor._order]):
        last[code] = atom
        size[code] = size.get(code, 0) + 1
    codes = sorted(size)
    return np.array([last[c] for c in codes]), np.array([size[c] for c in codes], dtype=float)


def _grow(mol):
    atoms = [(a.GetAtomicNum(), a.GetDegree()) for a in mol.GetAtoms()]
    neighbours = [[n.GetIdx() for n in a.GetNeighbors()] for a in mol.GetAtoms()]
    bonds = {}
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        bonds[i, j] = bonds[j, i] = int(bond.GetBondType())
    codes = [[element for element, _ in atoms]] + [[] for _ in range(MAX_IC_ORDER)]
    for start, kind in enumerate(atoms):
        visited, tips = set(), [(start, (kind,))]
        for radius in range(1, MAX_IC_ORDER + 1):
            tips = [
                tip
                for atom, trail in tips
                for tip in _next_tips(atom, trail, visited, neighbours, bonds, atoms)
            ]
            codes[radius].append(tuple(sorted(trail for _, trail in tips)))
    return codes


def _next_tips(atom, trail, visited, neighbours, bonds, atoms):
    """Continue one trail to the neighbours not yet visited; a trail that ends is kept as it is."""
    visited.add(atom)
    onward = [n for n in neighbours[atom] if n not in visited]
    return [(n, trail + (bonds[atom, n], atoms[n])) for n in onward] or [(atom, trail)]


def _eta_composite(descriptor, shared, rmol=None):
    """Sum over atom pairs of (gamma_i gamma_j / distance^2)^1/2 (Roy and Ghosh); gamma is made once per graph."""
    from mordred import _atomic_property
    from rdkit import Chem

    mol = rmol if descriptor._reference else descriptor.mol
    key = ("eta", descriptor._reference)
    if key not in shared:
        gamma = np.array([_atomic_property.get_eta_gamma(atom) for atom in mol.GetAtoms()])
        shared[key] = gamma, np.triu(Chem.GetDistanceMatrix(mol, force=True), 1)
    gamma, distance = shared[key]
    i, j = np.nonzero(distance == 1 if descriptor._local else distance)
    total = np.sqrt(gamma[i] * gamma[j] / distance[i, j] ** 2).sum()
    return total / mol.GetNumAtoms() if descriptor._averaged else total


def _distance_edge(descriptor, shared, D, V):
    """Number of atom pairs of given element and degrees over the square of their geometric mean distance."""
    element = (
        np.array([a.GetAtomicNum() for a in descriptor.mol.GetAtoms()]) == descriptor._atomic_num
    )
    first, second = (V == descriptor._valence1) & element, (V == descriptor._valence2) & element
    pairs = np.triu(np.outer(first, second) | np.outer(second, first), 1)
    distances = D[pairs]
    if not len(distances):
        return _GAP
    return len(distances) / np.exp(np.log(distances).sum() / (2.0 * len(distances))) ** 2


def _barysz(descriptor, shared, P):
    """Shortest paths where a bond weighs C^2 / (P_i P_j bond order), and 1 - C / P on the diagonal."""
    carbon, mol = descriptor._prop.carbon, descriptor.mol
    distance = np.full((len(P), len(P)), np.inf)
    np.fill_diagonal(distance, 0.0)
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        weight = carbon * carbon / (P[i] * P[j] * bond.GetBondTypeAsDouble())
        distance[i, j] = distance[j, i] = weight
    for k in range(len(P)):  # Floyd and Warshall
        np.minimum(distance, distance[:, k, None] + distance[None, k], out=distance)
    np.fill_diagonal(distance, 1.0 - carbon / np.asarray(P))
    return distance
