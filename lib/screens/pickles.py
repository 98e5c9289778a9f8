"""Opens pickles of tensors and arrays from strangers without running anything of theirs.

A pickle is a program. This reader gives it a machine that can do little:

1. Its instructions are `OPCODES`: plain values, containers, and the three below. Every other way to
   make or change an object (INST, OBJ, NEWOBJ, EXT1, NEXT_BUFFER, …) is refused.
2. GLOBAL names what `NAMES` holds: stand-ins written here, never torch, numpy or another module.
3. REDUCE calls only what `NAMES` holds.
4. BUILD fills an array once: of a type in `KINDS`, of a shape whose size is the number of bytes that
   are there. No objects, texts, records or references.
5. A torch storage is five pickles under the same rules, then its numbers, all of them.
6. It runs in Python's own machine on bytes in memory: no length that the pickle states makes it
   reserve memory, and no index of its memory does.

What is refused or damaged is an UnpicklingError of one sentence.
"""

import io
import math
import pickle
import reprlib
import struct

import numpy as np

DTYPES = {
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ByteStorage": "u1",
}
MAGIC = 0x1950A86A20F9469CFC6C  # of a torch file in the format before zip archives
OPCODES = (
    "PROTO FRAME STOP MARK POP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT "
    "BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES BINSTRING SHORT_BINSTRING "
    "EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 LIST DICT "
    "APPEND APPENDS SETITEM SETITEMS GET PUT BINGET BINPUT LONG_BINGET LONG_BINPUT MEMOIZE "
    "GLOBAL STACK_GLOBAL REDUCE BUILD BINPERSID"
).split()
KINDS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")  # of an array
# What a damaged pickle raises, besides UnpicklingError.
DAMAGED = (
    EOFError, LookupError, AttributeError, TypeError, ValueError, struct.error, OverflowError,
    RecursionError, MemoryError, AssertionError,
)  # fmt: skip


class Restricted(pickle._Unpickler):
    """Opens a pickle of plain containers, tensors and arrays of numbers; refuses all else.

    The machine is Python's own; a subclass of the compiled one could not leave instructions out.
    """

    def find_class(self, module, name):
        if module == "torch" and name in DTYPES:
            return name
        if (module, name) not in NAMES:
            asked = " ".join(f"{module}.{name}"[:100].split())
            raise pickle.UnpicklingError(
                f"the pickle asks for {asked}, which this reader refuses: it rebuilds tensors and "
                "arrays only"
            )
        return NAMES[module, name]

    def persistent_load(self, pid):
        """A torch storage: ("storage", its class's name, key, device, number of values, ...)."""
        known = isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"
        if not known or pid[1] not in DTYPES:
            raise pickle.UnpicklingError(f"the pickle refers to {reprlib.repr(pid)}, no storage")
        return pid

    def load_reduce(self):
        """Call a function of `NAMES`; nothing else, whatever lies on the stack."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not any(function is one for one in NAMES.values()) or type(arguments) is not tuple:
            raise pickle.UnpicklingError(
                f"the pickle calls a {type(function).__name__}, no function"
            )
        self.stack[-1] = function(*arguments)

    def load_build(self):
        """Fill an array once; a type of numbers is already as it should be."""
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, np.dtype) and state[:5] == (3, state[1], None, None, None):
            if state[1] in "<|":
                return
        if type(made) is not Array or made.values is not None:
            raise pickle.UnpicklingError(f"the pickle changes a {type(made).__name__}")
        made.values = _array(*state)

    def load_refused(self):
        raise pickle.UnpicklingError("the pickle holds an instruction that this reader refuses")

    dispatch = dict.fromkeys(range(256), load_refused)
    dispatch |= {
        getattr(pickle, name)[0]: pickle._Unpickler.dispatch[getattr(pickle, name)[0]]
        for name in OPCODES
    }
    dispatch |= {pickle.REDUCE[0]: load_reduce, pickle.BUILD[0]: load_build}


class Array:
    """An array whose values come later in the pickle."""

    values = None


def _dtype(kind, *unused):
    if kind not in KINDS:
        raise pickle.UnpicklingError(
            f"an array of {reprlib.repr(kind)}: only arrays of numbers are read"
        )
    return np.dtype(kind)


def _array(version, shape, kind, by_column, data):
    sizes = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not (isinstance(kind, np.dtype) and isinstance(data, bytes) and sizes):
        raise pickle.UnpicklingError("an array is not given by its shape, type and bytes")
    if math.prod(shape) * kind.itemsize != len(data):
        raise pickle.UnpicklingError(
            f"an array of shape {reprlib.repr(shape)} has {len(data)} bytes"
        )
    return np.frombuffer(data, kind).reshape(shape, order="F" if by_column else "C")


def loads(data):
    """Object of a pickle, opened by `Restricted`.

    Raises
    ------
    pickle.UnpicklingError
        Naming what the pickle asked for.
    """
    found = _load(io.BytesIO(data))
    if type(found) is dict:
        return {
            key: getattr(value, "values", value) if type(value) is Array else value
            for key, value in found.items()
        }
    return found.values if type(found) is Array else found


def _load(stream):
    try:
        return Restricted(stream).load()
    except DAMAGED as error:
        what = f"the pickle is damaged ({type(error).__name__}: {str(error)[:100]})"
        raise pickle.UnpicklingError(what) from None


def _storage(data):
    """Values of one storage of an old torch file: five pickles, the count and the raw bytes."""
    stream = io.BytesIO(data)
    magic, _, _, reference, keys = [_load(stream) for _ in range(5)]
    if magic != MAGIC:
        raise pickle.UnpicklingError("a storage is not in torch's format before zip archives")
    count = int.from_bytes(stream.read(8), "little")
    dtype = np.dtype(DTYPES[reference[1]])
    raw = stream.read()
    if len(keys) != 1 or len(raw) != count * dtype.itemsize:
        raise pickle.UnpicklingError(
            f"a storage holds {len(raw) // dtype.itemsize} of {count} values: the file is cut"
        )
    return np.frombuffer(raw, dtype)


def _rebuild(storage, offset, size, stride, *unused):
    """A contiguous tensor as an array."""
    steps = tuple(math.prod(size[i + 1 :]) for i in range(len(size)))
    stop = offset + math.prod(size)
    inside = isinstance(storage, np.ndarray) and 0 <= offset <= stop <= len(storage)
    if not inside or tuple(stride) != steps:
        raise pickle.UnpicklingError(
            f"a tensor of size {reprlib.repr(size)}, stride {reprlib.repr(stride)} does not lie in "
            f"its {len(storage)} values"
        )
    return storage[offset:stop].reshape(size)


NAMES = {
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): lambda: {},  # hooks of a tensor: none
    ("numpy", "dtype"): _dtype,
    ("numpy", "ndarray"): Array,
    ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, code: Array(),
    ("numpy._core.multiarray", "_reconstruct"): lambda kind, shape, code: Array(),
}
