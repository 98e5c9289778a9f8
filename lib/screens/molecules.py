"""One structure and one id per compound: salts stripped, charge neutralised, id from InChI.

Policy (paper section 4.4). Of a salt, what `counterions.csv` lists is taken off, whatever its size
(meglumine has more atoms than tafamidis); what is left is the drug, if it is one compound, or one
beside which the others are tiny. Else it is a mixture: it keeps an id of its own and is not described, since
two compounds must never be one drug by what they share. Charges are neutralised where a proton can
be added or removed; the *drawn tautomer is kept*, because canonical tautomers are often not the form
that binds, and identity does not need them: `drug_id` is the first block of the standard InChIKey,
in which most mobile-hydrogen forms, all stereoisomers and all protonation states of one skeleton
coincide. Stereochemistry stays in `smiles` and `inchikey`.
"""

import re
from functools import lru_cache, reduce
from pathlib import Path
from typing import NamedTuple

import pandas as pd

# Largest molecule that 2D descriptors are made for; bleomycin has 97 heavy atoms, insulin about 400
MAX_HEAVY_ATOMS = 150
LONGEST = 3000  # characters of its SMILES; the time that a structure takes grows with their square
# Counter-ions: a lone ion or a covalently drawn salt of these is taken off. Any other metal makes a
# complex.
SALT_METALS = frozenset("Li Na K Rb Cs Mg Ca Sr Ba".split())
# Acids, bases and solvents of salts (name, smiles); "drug too": taken off only where another
# compound is left, since it is also screened for itself
COUNTERIONS = Path(__file__).with_name("counterions.csv")
# What is not listed is a counterion if it is this small, in heavy atoms (drugs have more than 8),
# and the drug so many times larger
SMALL = 8
DWARFS = 3
CARBON = 6  # atomic number
OPEN_END = 0
NON_METALS = frozenset("H B C N O F Si P S Cl As Se Br Te I At He Ne Ar Kr Xe *".split())


class Drug(NamedTuple):
    """A compound after standardisation; `reason` is "" when descriptors may be computed for it."""

    drug_id: str | None  # first block of the InChIKey; None where no InChI exists
    smiles: str | None  # canonical SMILES of the parent, stereochemistry kept
    inchikey: str | None
    reason: str = ""  # why the molecule cannot be described; "" = it can
    charge: int = 0  # formal charge left after neutralising, e.g. quaternary nitrogen
    removed: str = ""  # fragments taken off, as SMILES
    chosen: str = ""  # how the drug was told from what else is drawn; "" = nothing else is
    stereo_dropped: bool = False  # the drawing defines stereochemistry, which drug_id leaves out
    stereo_undefined: int = 0  # stereo centres and double bonds that the drawing leaves open


def standardise(smiles):
    """Parent structure and identity of one compound.

    Parameters
    ----------
    smiles : str or None
        As the source wrote it; salts, solvates and charged forms are fine.

    Returns
    -------
    Drug
        Never raises for a bad structure: `reason` says what is wrong, and every field that can be
        known is filled.

    Notes
    -----
    Metal complexes are kept whole, as drawn (a ligand taken off cisplatin is not cisplatin), and
    not described.

    Examples
    --------
    >>> standardise("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]").smiles
    'CC(=O)Oc1ccccc1C(=O)O'
    """
    if not isinstance(smiles, str) or not smiles.strip():
        return Drug(None, None, None, reason="no SMILES: fill the smiles column or remove the drug")
    return _standardise(smiles.strip())


def standardise_all(drugs):
    """Standardise every row of a table of drugs.

    Parameters
    ----------
    drugs : DataFrame
        One row per compound: smiles, as drawn; other columns (for example drug_name) are kept.

    Returns
    -------
    DataFrame
        Same rows, same order and index: the other columns, `smiles_drawn`, then the fields of
        `Drug`.

    Raises
    ------
    ValueError
        If the column is absent.
    """
    if "smiles" not in drugs:
        raise ValueError(
            f"no column 'smiles' among {list(drugs.columns)}: name the column that holds the "
            "structures"
        )
    records = [standardise(text) for text in drugs.smiles]
    found = pd.DataFrame(records, columns=Drug._fields, index=drugs.index)
    kept = drugs.rename(columns={"smiles": "smiles_drawn"})
    return pd.concat([kept.drop(columns=found.columns, errors="ignore"), found], axis=1)


def scaffolds(drugs):
    """Bemis-Murcko scaffold of every drug: its rings and what links them.

    Parameters
    ----------
    drugs : DataFrame
        The `drugs` table.

    Returns
    -------
    DataFrame
        drug_id, scaffold (SMILES; "acyclic" for a drug without a ring; missing where there is no
        valid structure).
    """
    from rdkit import rdBase

    table = drugs[["drug_id"]].astype("str")
    with rdBase.BlockLogs():
        return table.assign(scaffold=drugs.smiles.map(_scaffold, na_action="ignore").astype("str"))


def _scaffold(smiles):
    from rdkit.Chem.Scaffolds import MurckoScaffold

    molecule, _ = _parse(smiles)
    return molecule and (MurckoScaffold.MurckoScaffoldSmiles(mol=molecule) or "acyclic")


@lru_cache(maxsize=100_000)  # each block asks again, at 3 ms a molecule
def _standardise(smiles):
    from rdkit import rdBase

    with rdBase.BlockLogs():
        drawn, reason = _parse(smiles)
        return Drug(None, None, None, reason) if drawn is None else _describe(drawn)


def _parse(smiles):
    """The molecule as drawn, or None and the reason in words."""
    from rdkit import Chem

    if len(smiles) > LONGEST:
        return None, f"too long: {len(smiles):,} characters, at most {LONGEST:,}; no small molecule"
    several = [text for text in re.split(r"[\s,;|]+", smiles) if text]
    if len(several) > 1 and all(map(Chem.MolFromSmiles, several)):
        return None, f"several structures in one field ({len(several)}): keep one"
    molecule = Chem.MolFromSmiles(smiles)
    if molecule is not None:
        return molecule, ""
    short = smiles if len(smiles) <= 60 else smiles[:57] + "..."
    unsanitised = Chem.MolFromSmiles(smiles, sanitize=False)
    if unsanitised is None:
        return None, f"broken SMILES {short!r}: check rings, brackets and atom symbols"
    problems = [problem.Message() for problem in Chem.DetectChemistryProblems(unsanitised)]
    message = [*problems, "cannot be sanitised"][0].strip().splitlines()[0]
    return None, f"impossible structure {short!r}: {message}"


def _describe(drawn):
    from rdkit import Chem

    metals = sorted({a.GetSymbol() for a in drawn.GetAtoms()} - NON_METALS - SALT_METALS)
    # an end that goes on, or "|Sg:n:...|", a repeat unit
    polymer = _has(drawn, OPEN_END) or len(Chem.GetMolSubstanceGroups(drawn)) > 0
    parent = drawn
    removed = chosen = ""
    if not metals and not polymer:
        parent, removed, chosen = _parent(drawn)
    inchikey = _inchikey(parent)
    stereo = [element.specified for element in Chem.FindPotentialStereo(parent)]
    defined = stereo.count(Chem.StereoSpecified.Specified)
    return Drug(
        drug_id=inchikey and inchikey.split("-")[0],
        smiles=Chem.MolToSmiles(parent),
        inchikey=inchikey,
        reason=_why_not(parent, metals, polymer, inchikey),
        charge=Chem.GetFormalCharge(parent),
        removed=removed,
        chosen=chosen,
        stereo_dropped=defined > 0,
        stereo_undefined=len(stereo) - defined,
    )


def _has(molecule, number):
    return any(atom.GetAtomicNum() == number for atom in molecule.GetAtoms())


def _parent(drawn):
    """The drug of a drawing, neutral; what was taken off, as SMILES; and how the drug was found."""
    from rdkit import Chem
    from rdkit.Chem.MolStandardize import rdMolStandardize

    clean = rdMolStandardize.Cleanup(drawn)  # also disconnects covalently drawn sodium and the like
    drawn = [_neutral(fragment) for fragment in Chem.GetMolFrags(clean, asMols=True)]
    drawn = sorted(drawn, key=Chem.MolToSmiles)
    compounds = {}
    for fragment in drawn:
        compounds.setdefault(_first_block(fragment), fragment)
    listed = {key: counterions().get(key) for key in compounds}
    left = compounds
    for salts in (
        [key for key in listed if listed[key] == "counterion"],
        [key for key in listed if listed[key] == "drug too"],
        [key for key, one in compounds.items() if not _has(one, CARBON)],
    ):
        left = _without(left, salts)
    chosen = "counterion list" if len(drawn) > 1 else ""
    if len(left) > 1:
        sizes = {key: one.GetNumHeavyAtoms() for key, one in left.items()}
        most = min(SMALL, max(sizes.values()) / DWARFS)
        left = _without(left, [key for key, size in sizes.items() if size <= most])
        chosen = "size" if len(left) == 1 else "mixture"
    elif any(listed[key] == "drug too" for key in compounds.keys() - left.keys()):
        chosen = "counterion that is a drug too"
    names = sorted(map(Chem.MolToSmiles, drawn))
    for fragment in left.values():
        names.remove(Chem.MolToSmiles(fragment))
    parent = reduce(Chem.CombineMols, left.values())
    Chem.AssignStereochemistry(parent, cleanIt=True, force=True)
    return parent, ".".join(names), chosen


def _without(compounds, keys):
    """The compounds without those of some keys, or all where none would be left."""
    kept = {key: one for key, one in compounds.items() if key not in keys}
    return kept or compounds


def _neutral(fragment):
    from rdkit.Chem.MolStandardize import rdMolStandardize

    return rdMolStandardize.Uncharger(canonicalOrder=True).uncharge(fragment)


def _first_block(molecule):
    return (_inchikey(molecule) or "").split("-")[0]


@lru_cache(maxsize=1)
def counterions():
    """First block of the InChIKey of each listed counterion to its kind."""
    from rdkit import Chem

    listed = pd.read_csv(COUNTERIONS)
    keys = [_first_block(_neutral(Chem.MolFromSmiles(smiles))) for smiles in listed.smiles]
    return dict(zip(keys, listed.kind, strict=True))


def _inchikey(molecule):
    """Standard InChIKey, or None. InChI has no dative bonds, and cuts metals off anyway."""
    from rdkit import Chem

    editable = Chem.RWMol(molecule)
    dative = [b for b in molecule.GetBonds() if b.GetBondType() == Chem.BondType.DATIVE]
    for bond in dative:
        editable.RemoveBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    return Chem.MolToInchiKey(editable) or None


def _why_not(parent, metals, polymer, inchikey):
    """Why a molecule cannot be described; "" where it can."""
    from rdkit import Chem

    n_atoms = parent.GetNumHeavyAtoms()
    n_compounds = len(Chem.GetMolFrags(parent))
    reasons = {
        "polymer or open structure (*): 2D descriptors need one complete molecule; give a defined "
        "oligomer": polymer,
        f"metal complex ({' '.join(metals)}): 2D descriptors and fingerprints are not defined for "
        "it": metals,
        f"no carbon in {parent.GetNumAtoms()} atom(s): an inorganic salt or an empty structure is "
        "not described": not _has(parent, CARBON),
        f"mixture of {n_compounds} compounds, none of them a known counterion or far the smaller: "
        "keep the one that acts": n_compounds > 1,
        f"too large: {n_atoms} heavy atoms, at most {MAX_HEAVY_ATOMS}; not a small molecule": (
            n_atoms > MAX_HEAVY_ATOMS
        ),
        "no InChI can be made for this structure: check the drawing": not inchikey,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def resolve_drugs(names):
    """Give every compound name its molecule.

    Parameters
    ----------
    names : DataFrame
        Columns `study`, `drug_name`, `smiles`, `smiles_origin`.

    Returns
    -------
    drugs : DataFrame
        The `drugs` table, one row per molecule after salt stripping; the first name in study order
        labels it. `removed` and `chosen`: what was taken off its drawing, and how the drug was told
        from that.
    drug_names : DataFrame
        The `drug_names` table with each name's `inchikey`, `removed`, `chosen` and
        `stereo_dropped`: its drawing defines stereochemistry, which the id leaves out.
    refused : DataFrame
        Names whose structure gives no molecule, or none that descriptors can be computed for, with
        the reason. The second kind keeps its id: it is screened, and its row is missing from the
        descriptor blocks only.
    """
    out = standardise_all(names)
    bad = out.drug_id.isna() | (out.reason != "")
    refused = out.loc[bad, "study drug_name smiles_drawn reason".split()]
    out = out[out.drug_id.notna()].sort_values(["drug_id", "study"], kind="stable")
    salt = ["removed", "chosen"]
    drugs = out.drop_duplicates("drug_id")[["drug_id", "drug_name", "smiles", "inchikey", *salt]]
    names = ["study", "drug_name", "drug_id", "smiles_origin", "inchikey", "stereo_dropped", *salt]
    return tuple(table.reset_index(drop=True) for table in (drugs, out[names], refused))
