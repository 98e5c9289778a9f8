"""Makes mordred_references.csv.gz: the values that mordredcommunity's authors test their package
against.

They come from other programs and papers (MOE, PaDEL, Dragon manuals, worked examples; BSD-3-Clause)
and ship inside the package as mordred/tests/references. Two-dimensional descriptors are kept, one
row per molecule and descriptor, with the number of digits to which the authors compare (0: equal
when rounded to an integer), and the molecule as SMILES.

    python tests/golden/mordred_references.py
"""

import gzip
from importlib.metadata import version
from pathlib import Path

import mordred
import pandas as pd
import yaml
from mordred import Calculator, descriptors
from rdkit import Chem

SOURCE = Path(mordred.__file__).parent / "tests" / "references"
OTHER_TABLE = {
    "apol",
    "bpol",
}  # compared there with an older table of polarizabilities, not the default one


def rows():
    known = {str(d) for d in Calculator(descriptors, ignore_3D=True).descriptors} - OTHER_TABLE
    for path in sorted(SOURCE.rglob("*.yaml")):
        for test in yaml.safe_load(path.read_text()):
            names = test["names"] if isinstance(test["names"], list) else [test["names"]]
            for molecule, values in test["results"].items():
                values = values if isinstance(values, list) else [values]
                for name, value in zip(names, values, strict=False):
                    if name in known and value != "skip":
                        yield path.stem, molecule, name, value, test.get("digit") or 0


if __name__ == "__main__":
    molecules = Chem.SDMolSupplier(str(SOURCE / "structures.sdf"))
    smiles = {m.GetProp("_Name"): Chem.MolToSmiles(m) for m in molecules}
    table = pd.DataFrame(rows(), columns=["reference", "molecule", "descriptor", "value", "digits"])
    table.insert(2, "smiles", table.molecule.map(smiles))
    target = Path(__file__).with_name("mordred_references.csv.gz")
    note = f"# mordredcommunity {version('mordredcommunity')}, mordred/tests/references, BSD-3-Clause, "
    note += "(c) 2023 Jackson Burns and the mordredcommunity Team\n"
    text = note + table.sort_values(["molecule", "descriptor"]).to_csv(index=False)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(
        f"{target.name}: {len(table)} values, {table.descriptor.nunique()} descriptors, {len(smiles)} molecules"
    )
