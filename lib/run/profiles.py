"""Profiles: the settings of a run (data set, parameters per notebook, sweep grid, resources)."""

from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lib.paths import STUDIES
from lib.run import keys


class ProfileError(ValueError):
    """A profile, parameter or notebook that cannot be run: one sentence with value and choices."""


class Strict(BaseModel):
    """Refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Resources(Strict):
    """Where and how wide a run is."""

    workers: int = Field(2, ge=1)  # notebooks at a time on this machine
    threads: int = Field(0, ge=0)  # CPU threads of each; 0 = the cores divided among the workers
    time_limit_minutes: float = Field(0, ge=0)  # of one notebook; 0 = none
    # After a lost worker or a dead kernel; a notebook that raises is not tried again.
    retries: int = Field(2, ge=0)


class Profile(Strict):
    """One file of `profiles/`."""

    dataset: Literal["open", "gdsc", "official", "own"] = "open"
    notebooks: dict[str, dict] = {}  # notebook name to parameters
    sweep: dict | list = {}  # the grid; lib.sweep.grid reads it
    resources: Resources = Resources()


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
    profile = read("profile", name, folder, Profile)
    for notebook, given in profile.notebooks.items():
        choose(f"{name}.yml: unknown notebook", notebook, notebooks)
        for key in ("study", "studies"):
            value = given.get(key, [])
            for study in value if isinstance(value, list) else [value]:
                choose(f"{name}.yml: {notebook} names study", study, STUDIES)
    return profile


def choose(what, value, choices):
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise ProfileError(f"{what} {value!r}; choose one of {', '.join(choices)}")


def read(kind, name, folder, model):
    """The YAML file of a name in a folder, as an instance of a strict pydantic model."""
    choose(f"there is no {kind}", name, sorted(path.stem for path in folder.glob("*.yml")))
    path = folder / f"{name}.yml"
    try:
        return model.model_validate(yaml.safe_load(path.read_text()) or {})
    except yaml.YAMLError as error:
        what = f"{path.name} is not YAML: {' '.join(str(error).split())}"
    except ValidationError as error:
        what = f"{path.name}: {'; '.join(_say(fault, model) for fault in error.errors())}"
    raise ProfileError(what)


def _say(fault, model):
    place = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        for part in fault["loc"][:-1]:
            model = model.model_fields[part].annotation
        return f"unknown key {place!r}; choose from {', '.join(model.model_fields)}"
    return f"{place} is {fault['input']!r}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


def parameters(path, given, standard):
    """Parameters to run one notebook with, all declared by it and of the type it declares.

    Parameters
    ----------
    path : Path
        The notebook.
    given : dict
        Its parameters in the profile.
    standard : dict
        Parameters that every run sets: work_dir, out_dir, and dataset, profile or shard where the
        notebook has them.

    Returns
    -------
    dict of str to object
    """
    if not path.is_file():
        what = f"{path.parent.name}/{path.name} is missing"
        raise ProfileError(f"{what}; restore it from version control")
    declared = keys.parameters(path)
    missing = sorted({"work_dir", "out_dir"} - declared.keys())
    unknown = sorted(given.keys() - declared.keys())
    if missing or unknown:
        what = f"unknown parameter(s) {unknown}" if unknown else f"it must declare {missing}"
        raise ProfileError(f"{path.name}: {what}; it declares {sorted(declared)}")
    for name, value in given.items():
        default = declared[name]
        if not _same_type(default, value):
            wanted = f"must be of type {type(default).__name__} like {default!r}"
            raise ProfileError(f"{path.name}: {name} is {value!r}, but {wanted}")
    return {name: value for name, value in standard.items() if name in declared} | given


def _same_type(default, value):
    """Whether a parameter may have a value: an int may stand for a float, a bool for neither."""
    if default is None or value is None:
        return True
    if isinstance(default, float) and type(value) is int:
        return True
    return type(value) is (list if isinstance(default, tuple) else type(default))
