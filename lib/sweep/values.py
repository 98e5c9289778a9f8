"""What a value of a setting must be: of its field's own type, finite, within its limits.

Nothing is rounded, no text is taken for a number; a refusal names the setting and the value.
"""

import numbers
import re
import reprlib

# Lowest and highest value of each number.
LIMITS = {
    "n_folds": (2, 100),
    "hidden": (1, 100_000),
    "layers of hidden": (0, 20),
    "lr": (0, 1e100),
    "batch_size": (0, 10_000_000),
    "max_epochs": (0, 1_000_000),
    "seed": (0, 2**32 - 1),
    "init": (0, 1000),
    "repeat": (0, 1000),
    "weight_decay": (0, 1000),
    "dropout": (0, 0.99),
    "input_dropout": (0, 0.99),
    "target_scale": (1e-6, 1e6),
}


def plain(name, kind, value):
    """A value in the type of its field."""
    if kind is tuple:
        if isinstance(value, str) and re.fullmatch(r"(\d{1,9}(x|$))*", value):
            value = [int(width) for width in value.split("x") if width]
        if not isinstance(value, (list, tuple)) or not all(map(_is_whole, value)):
            raise refused(name, "widths, as [64, 32] or 64x32", value)
        _within(f"layers of {name}", len(value))
        return tuple(_within(name, int(width)) for width in value)
    good, wanted = KINDS[kind]
    if not good(value):
        raise refused(name, wanted, value)
    return _within(name, kind(value))


def _within(name, value):
    if name in LIMITS and not LIMITS[name][0] <= value <= LIMITS[name][1]:
        raise refused(name, "{} to {}".format(*LIMITS[name]), value)
    return value


def _is_number(value):
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return number and abs(value) < 1e300


def _is_whole(value):
    return _is_number(value) and value == int(value)


def refused(name, wanted, value):
    """The error for a value of the wrong kind; YAML reads 8e-4 as a text."""
    hint = "; in YAML write 8.0e-4, not 8e-4" if re.fullmatch(r"'-?\d+e-?\d+'", repr(value)) else ""
    return ValueError(f"run spec: {name} must be {wanted}, found {reprlib.repr(value)}{hint}")


KINDS = {
    str: (lambda value: isinstance(value, str), "a text"),
    int: (_is_whole, "a whole number"),
    float: (_is_number, "a finite number"),
}
