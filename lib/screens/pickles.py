"""Opens pickles of plain values and tensors from strangers without running anything of theirs.

A pickle is a program. This reader gives it a machine that can do little:

1. Its instructions are `OPCODES`: plain values, containers, and the two below. Every other way to
   make or change an object (BUILD, INST, OBJ, NEWOBJ, EXT1, NEXT_BUFFER, …) is refused.
2. GLOBAL names what `NAMES` holds: stand-ins written here, never torch or another module.
3. REDUCE calls only what `NAMES` holds.
4. A tensor is the whole of its storage, of single precision; a storage is five pickles under the
   same rules, none of which holds a storage, then its numbers, all of them.
5. It runs in Python's own machine on bytes in memory: no length that the pickle states makes it
   reserve memory, and no index of its memory does.
6. A value stands in one place, since only names are fetched again (BINGET): what is made is no larger
   than the file and has no circle.
7. A key is a text: to find the place of tuples in tuples can take for ever or end the process.

What is refused or damaged is an UnpicklingError of one sentence.
"""

import io
import pickle
import reprlib
import struct

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C  # of a torch file in the format before zip archives
FLOATS = "FloatStorage"  # torch's class of single precision
OPCODES = (
    "PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE "
    "SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_DICT EMPTY_LIST EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 "
    "TUPLE3 APPEND APPENDS SETITEM SETITEMS BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL "
    "REDUCE BINPERSID"
).split()
# What a damaged pickle raises, besides UnpicklingError.
DAMAGED = (
    EOFError, LookupError, AttributeError, TypeError, ValueError, struct.error, OverflowError,
    RecursionError, MemoryError, AssertionError,
)  # fmt: skip


class Texts(dict):
    """What a dictionary of a pickle becomes: its keys are texts."""

    def __setitem__(self, key, value):
        if type(key) is not str:
            raise pickle.UnpicklingError(
                f"the pickle holds no table by name: a key is a {type(key).__name__}"
            )
        super().__setitem__(key, value)


class Restricted(pickle._Unpickler):
    """Opens a pickle of plain containers and tensors of numbers; refuses all else.

    The machine is Python's own; a subclass of the compiled one could not leave instructions out.
    """

    def find_class(self, module, name):
        if (module, name) not in NAMES:
            asked = " ".join(f"{module}.{name}"[:100].split())
            raise pickle.UnpicklingError(
                f"the pickle asks for {asked}, which this reader refuses: it rebuilds tensors only"
            )
        return NAMES[module, name]

    def persistent_load(self, pid):
        """A torch storage: ("storage", its class, key, device, number of values, ...)."""
        if pid[:2] != ("storage", FLOATS):
            raise pickle.UnpicklingError(f"the pickle refers to {reprlib.repr(pid)}, no storage")
        return FLOATS

    def load_reduce(self):
        """Call a function of `NAMES`; nothing else, whatever lies on the stack."""
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not _is_named(function) or type(arguments) is not tuple:
            raise pickle.UnpicklingError(
                f"the pickle calls a {type(function).__name__}, no function"
            )
        self.stack[-1] = function(*arguments)

    def load_again(self):
        """Fetch a name of `NAMES` again, and nothing else."""
        self.load_binget()
        if not _is_named(self.stack[-1]):
            raise pickle.UnpicklingError("the pickle holds a value in two places")

    def load_texts(self):
        self.append(Texts())

    def load_refused(self):
        raise pickle.UnpicklingError("the pickle holds an instruction that this reader refuses")

    dispatch = dict.fromkeys(range(256), load_refused)
    for name in OPCODES:
        code = getattr(pickle, name)[0]
        dispatch[code] = pickle._Unpickler.dispatch[code]
    dispatch[pickle.REDUCE[0]] = load_reduce
    dispatch[pickle.BINGET[0]] = load_again
    dispatch[pickle.EMPTY_DICT[0]] = load_texts


def _is_named(thing):
    """Whether it is what a name of `NAMES` stands for."""
    return any(thing is one for one in NAMES.values())


def loads(data):
    """Object of a pickle, opened by `Restricted`; a tensor is an array.

    Raises
    ------
    pickle.UnpicklingError
        Naming what the pickle asked for.
    """
    return _load(io.BytesIO(data))


def _load(stream):
    try:
        return Restricted(stream).load()
    except DAMAGED as error:
        raise pickle.UnpicklingError(
            f"the pickle is damaged ({type(error).__name__}: {str(error)[:100]})"
        ) from None


def _storage(data):
    """Values of one storage of an old torch file: five pickles, the count and the raw bytes."""
    if b"_load_from_bytes" in data:
        raise pickle.UnpicklingError("the pickle holds a storage in a storage")
    stream = io.BytesIO(data)
    magic, _, _, reference, _ = [_load(stream) for _ in range(5)]
    if magic != MAGIC or reference != FLOATS:
        raise pickle.UnpicklingError("a storage is not in torch's format before zip archives")
    count = int.from_bytes(stream.read(8), "little")
    raw = stream.read()
    if len(raw) != 4 * count:
        raise pickle.UnpicklingError(
            f"a storage holds {len(raw) // 4} of {count} values: the file is cut"
        )
    return np.frombuffer(raw, "<f4")


def _rebuild(storage, offset, size, stride, *unused):
    """A tensor that is the whole of its storage, as an array."""
    whole = isinstance(storage, np.ndarray) and (0, storage.shape, (1,))
    if (offset, size, stride) != whole:
        raise pickle.UnpicklingError(
            f"a tensor of size {reprlib.repr(size)}, stride {reprlib.repr(stride)} does not lie in "
            f"its {len(storage)} values from the first to the last"
        )
    return storage


NAMES = {
    ("torch", FLOATS): FLOATS,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch.storage", "_load_from_bytes"): _storage,
    ("collections", "OrderedDict"): lambda: Texts(),  # hooks of a tensor: none
}
