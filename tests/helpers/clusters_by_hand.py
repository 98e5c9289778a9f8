"""A cluster configuration written by hand."""

import yaml

GOOD = {
    "provider": "SlurmProvider",
    "account": "none",
    "queue": "gpu",
    "launcher": "SimpleLauncher",
}


def write(folder, name="site", **settings):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yml").write_text(yaml.safe_dump(settings))
