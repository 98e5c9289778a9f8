"""What an installation costs: megabytes to download and on disk, written to `benchmarks/install.csv`.

    python -m benchmarks.install        # in the environment that `make setup` made; the row of its torch

Sizes of wheels come from the package index, through `uv lock` on the pins of requirements.lock; the
wheel of torch for CPUs is weighed where pip is told of a local folder of wheels. The README's
sentence about sizes is made from this table.
"""

import os
import platform
import re
import subprocess
import sys
import tempfile
import tomllib
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch
from packaging import tags, utils

from lib.paths import ROOT

TABLE = Path(__file__).with_name("install.csv")
ACCELERATED = re.compile("(cuda|nvidia)-|triton$|torch$")


def wheels():
    """Bytes of the wheel that this interpreter takes of each locked package and of what it needs."""
    pins = re.findall(r"^[a-z][^\\\n]*", (ROOT / "requirements.lock").read_text(), re.M)
    with tempfile.TemporaryDirectory() as folder:
        project = (
            f'name = "sizes"\nversion = "0"\nrequires-python = ">=3.11"\ndependencies = {pins}'
        )
        Path(folder, "pyproject.toml").write_text(f"[project]\n{project}\n")
        subprocess.run(["uv", "lock", "-q", "--directory", folder], check=True)
        packages = tomllib.loads(Path(folder, "uv.lock").read_text())["package"]
    rank = {tag: i for i, tag in enumerate(tags.sys_tags())}
    found = {}
    for package in packages:
        fitting = []
        for wheel in package.get("wheels", []):
            own = utils.parse_wheel_filename(wheel["url"].rpartition("/")[2])[3] & set(rank)
            fitting += [(min(rank[tag] for tag in own), wheel["size"])] if own else []
        source = package.get("sdist", {}).get("size", 0)
        found[package["name"]] = min(fitting)[1] if fitting else source
    installed = {utils.canonicalize_name(own.name) for own in metadata.distributions()}
    return {name: size for name, size in found.items() if name in installed}


def main():
    """Weigh this environment and put its row into the table."""
    sizes = wheels()
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    if build == "CPU":
        local = Path(os.environ["PIP_FIND_LINKS"]).glob(f"torch-*cp{sys.version_info[1] + 300}-*")
        sizes = {name: n for name, n in sizes.items() if not ACCELERATED.match(name)}
        sizes["torch"] = min(path.stat().st_size for path in local)
    row = dict(
        torch=build,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        n_packages=len(sizes),
        download_mb=round(sum(sizes.values()) / 1e6),
        disk_mb=round(_disk(Path(sys.prefix)) / 1e6),
        history_mb=round(_disk(ROOT / ".git") / 1e6),
    )
    table = pd.DataFrame([row])
    if TABLE.exists():
        earlier = pd.read_csv(TABLE)
        table = pd.concat([table, earlier[earlier["torch"] != build]]).sort_values("disk_mb")
    table.to_csv(TABLE, index=False)
    print(table.to_string(index=False))


def _disk(folder):
    """Bytes below a folder, without those that a link leads to."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


if __name__ == "__main__":
    main()
