"""Profiles: the settings of a run (data set, parameters per notebook, sweep grid, resources)."""

import reprlib
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from lib import files
from lib.run import keys

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class ProfileError(ValueError):
    """A profile, parameter or notebook that cannot be run: one sentence with value and choices."""


class Strict(BaseModel):
    """Refuses unknown keys, values of another type, and numbers that are not finite."""

    model_config = STRICT


class Resources(Strict):
    """Where and how wide a run is."""

    workers: int = Field(2, ge=1, le=1000)  # notebooks at a time on this machine
    threads: int = Field(0, ge=0, le=1000)  # CPU threads of each; 0 = the cores divided among them
    # Of one notebook; 0 = none. Linux waits for 24 days at most.
    time_limit_minutes: float = Field(0, ge=0, le=30_000)
    # After a lost worker or a dead kernel; a notebook that raises is not tried again.
    retries: int = Field(2, ge=0, le=100)


def _grids(value):
    """A grid of settings, or a list of such."""
    for grid in value if isinstance(value, list) else [value]:
        if not isinstance(grid, dict) or not all(isinstance(key, str) for key in grid):
            raise ValueError("each entry of it must be a mapping of settings")
    return value


class Profile(Strict):
    """One file of `profiles/`."""

    dataset: Literal["open", "gdsc", "official", "own"] = "open"
    notebooks: dict[str, dict[str, object]] = {}  # notebook name to parameters
    sweep: Annotated[object, AfterValidator(_grids)] = {}  # lib.sweep.grid reads it
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
    ValueError
        For an unknown profile, unknown or mistyped keys, an unknown notebook.
    """
    profile = read("profile", name, folder, Profile)
    for notebook in profile.notebooks:
        choose(f"{name}.yml: unknown notebook", notebook, notebooks)
    return profile


def choose(what, value, choices):
    """Refuse a value that is none of the choices."""
    if value not in choices:
        raise ProfileError(f"{what} {value!r}; choose one of {', '.join(choices)}")


def read(kind, name, folder, model):
    """The YAML file of a name in a folder, as an instance of a strict pydantic model."""
    choose(f"there is no {kind}", name, sorted(path.stem for path in folder.glob("*.yml")))
    path = folder / f"{name}.yml"
    values = files.read_yaml(path)
    try:
        return model.model_validate({} if values is None else values)
    except ValidationError as error:
        what = said(error, model)
    raise ProfileError(f"{path.name}: {what}")


def said(error, model=None, name=""):
    """What pydantic found, in words: the first fault with its key and value, how many there are."""
    first, *more = error.errors()
    place = ".".join(str(part) for part in (name, *first["loc"]) if part != "")
    what = f"{place or 'it'} is {reprlib.repr(first['input'])}"
    message = first["msg"].removeprefix("Value error, ")
    message = f": {message[0].lower()}{message[1:]}"
    if first["type"] == "missing":
        message = ""
        what = f"{place} is missing"
    if first["type"] == "extra_forbidden":
        for part in first["loc"][:-1]:
            model = model.model_fields[part].annotation
        message = ""
        what = f"unknown key {place!r}; choose from {', '.join(model.model_fields)}"
    return what + message + (f" (and {len(more)} more)" if more else "")


def parameters(path, given, standard, limits):
    """Parameters to run one notebook with, all declared by it and of the type it declares.

    Parameters
    ----------
    path : Path
        The notebook.
    given : dict
        Its parameters in the profile.
    standard : dict
        Parameters that every run sets: profile, work_dir, out_dir, and dataset, fetch or shard
        where the notebook has them; of these a profile may set `fetch`.
    limits : dict of str to type
        What parameters may be beyond the type of their default, as pydantic reads it.

    Returns
    -------
    dict of str to object
    """
    if not path.is_file():
        what = f"{path.parent.name}/{path.name} is missing"
        raise ProfileError(f"{what}; restore it from version control")
    file = f"{standard['profile']}.yml"
    declared = keys.parameters(path)
    missing = sorted({"work_dir", "out_dir"} - declared.keys())
    unknown = sorted(given.keys() - declared.keys())
    if missing or unknown:
        what = f"unknown parameter(s) {unknown}" if unknown else f"it must declare {missing}"
        raise ProfileError(f"{file}: {path.name}: {what}; it declares {sorted(declared)}")
    for name, value in given.items():
        if name in standard and name != "fetch":
            what = f"{file}: {path.stem}: {name} is {value!r}, but run_all.py sets {name}"
            raise ProfileError(f"{what}; take it out of the profile")
        kind = limits.get(name, kind_of(declared[name]))
        try:
            TypeAdapter(kind, config=STRICT).validate_python(value)
        except ValidationError as error:
            what = f"{file}: {path.stem}: {said(error, name=name)}"
            raise ProfileError(f"{what}; the notebook has {declared[name]!r}") from None
    return {name: value for name, value in standard.items() if name in declared} | given


def kind_of(default):
    """The type of a parameter by its default value; counts are not negative."""
    kind = type(default)
    if kind is int:
        return Annotated[int, Field(ge=0)]
    if kind is list and default:
        return list[kind_of(default[0])]
    return kind
