"""Profiles: the settings of a run (data set, parameters per notebook, sweep grid, resources), read and checked."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.run import keys

STUDIES = (
    "CCLE",
    "CTRP",
    "GDSC",
    "gCSI",
    "NCI-60",
)  # as in lib.tables, whose import costs a second


class ProfileError(ValueError):
    """A profile, parameter or notebook that cannot be run; one sentence with the value found and the choices."""


class Strict(BaseModel):
    """Refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Resources(Strict):
    """Where and how wide a run is."""

    workers: int = Field(2, ge=1)  # notebooks at a time on this machine
    threads: int = Field(0, ge=0)  # CPU threads of each; 0 = the cores divided among the workers
    time_limit_minutes: float = Field(0, ge=0)  # of one notebook; 0 = none
    retries: int = Field(
        2, ge=0
    )  # after a lost worker or a dead kernel; a notebook that raises is not retried


class Profile(Strict):
    """One file of `profiles/`."""

    dataset: Literal["open", "gdsc", "official", "own"] = "open"
    notebooks: dict[str, dict] = {}  # notebook name to parameters
    sweep: dict | list = {}  # the grid; lib.sweep.grid reads it
    resources: Resources = Resources()


def names(folder):
    """Profiles there are."""
    return sorted(p.stem for p in Path(folder).glob("*.yml"))


def load(name, folder, notebooks):
    """Read one profile.

    Parameters
    ----------
    name : str
        File name without its ending.
    folder : Path
        Where the profiles are.
    notebooks : sequence of str
        Names that the profile may give parameters for.

    Returns
    -------
    Profile

    Raises
    ------
    ProfileError
        For an unknown profile, unknown or mistyped keys, an unknown notebook or study.
    """
    path = Path(folder) / f"{name}.yml"
    if name not in names(folder):
        raise ProfileError(
            f"there is no profile {name!r}; choose one of {', '.join(names(folder))}"
        )
    profile = read(path, Profile)
    for notebook, params in profile.notebooks.items():
        if notebook not in notebooks:
            raise ProfileError(
                f"{path.name}: unknown notebook {notebook!r}; choose one of {', '.join(notebooks)}"
            )
        _check_studies(path.name, notebook, params)
    return profile


def read(path, model):
    """A YAML file as an instance of a strict pydantic model."""
    try:
        return model.model_validate(yaml.safe_load(Path(path).read_text()) or {})
    except yaml.YAMLError as error:
        raise ProfileError(f"{path.name} is not YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        raise ProfileError(
            f"{path.name}: {'; '.join(_say(e, model) for e in error.errors())}"
        ) from None


def _say(error, model):
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        for part in error["loc"][:-1]:
            model = model.model_fields[part].annotation
        return f"unknown key {place!r}; choose from {', '.join(model.model_fields)}"
    return f"{place} is {error['input']!r}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _check_studies(file, notebook, params):
    given = [params[key] for key in ("study", "studies") if key in params]
    for study in (s for value in given for s in (value if isinstance(value, list) else [value])):
        if study not in STUDIES:
            raise ProfileError(
                f"{file}: {notebook} names study {study!r}; choose from {', '.join(STUDIES)}"
            )


def parameters(path, given, standard):
    """Parameters to run one notebook with, all declared by it and of the type it declares.

    Parameters
    ----------
    path : Path
        The notebook.
    given : dict
        Its parameters in the profile.
    standard : dict
        Parameters the conductor sets: work_dir, out_dir, and dataset, profile or shard where the notebook has them.

    Returns
    -------
    dict of str to object
    """
    if not path.is_file():
        raise ProfileError(
            f"{path.parent.name}/{path.name} is missing; restore it from version control"
        )
    declared = keys.parameters(path)
    missing = sorted({"work_dir", "out_dir"} - declared.keys())
    unknown = sorted(given.keys() - declared.keys())
    if missing or unknown:
        what = f"unknown parameter(s) {unknown}" if unknown else f"it must declare {missing}"
        raise ProfileError(f"{path.name}: {what}; it declares {sorted(declared)}")
    for name, value in given.items():
        default = declared[name]
        if default is not None and value is not None and not _same_type(default, value):
            kind = type(default).__name__
            raise ProfileError(
                f"{path.name}: {name} is {value!r}, but must be of type {kind} like {default!r}"
            )
    return {k: v for k, v in standard.items() if k in declared} | given


def _same_type(default, value):
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(default, bool) and isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, list if isinstance(default, tuple) else type(default))
