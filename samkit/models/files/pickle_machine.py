"""What a pickle that `torch.save` wrote says. It is read by a small machine that builds plain values and notes of
tensors, and that can import nothing and call nothing. Knows no torch.

The instructions are those of Python's `pickletools`; the machine knows the few that state dicts need.
"""

import struct
from typing import Any

from samkit.models.files.stored_weights import ITEM_BYTES, OddTensor, StoredBytes, StoredTensor

MAX_STEPS = 1_000_000
"""A state dict of a thousand weights takes about 40,000."""


class PickleRefused(Exception):
    """The text says what the pickle wants, as a predicate."""


class PickleDamaged(Exception):
    """No pickle, or not a whole one."""


_STORAGES = {
    "Float": "float32",
    "Double": "float64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Long": "int64",
    "Int": "int32",
    "Short": "int16",
    "Char": "int8",
    "Byte": "uint8",
    "Bool": "bool",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "QInt8": "qint8",
    "QUInt8": "quint8",
    "QInt32": "qint32",
    "QUInt4x2": "quint8",
    "QUInt2x4": "quint8",
    "Untyped": "uint8",
}
_STORAGE_NAMES = {
    f"{module}.{kind}Storage": dtype
    for module in ("torch", "torch.cuda", "torch.storage")
    for kind, dtype in _STORAGES.items()
}
_DTYPE_NAMES = {f"torch.{dtype}": dtype for dtype in ITEM_BYTES}
_ODD_TENSORS = {
    "torch._utils._rebuild_sparse_tensor": "sparse",
    "torch._utils._rebuild_sparse_csr_tensor": "sparse",
    "torch._utils._rebuild_nested_tensor": "nested",
    "torch._utils._rebuild_meta_tensor_no_storage": "without values on the meta device",
    "torch._utils._rebuild_device_tensor_from_numpy": "of another device",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "of another device",
    "torch._utils._rebuild_wrapper_subclass": "of a class of its own",
    "torch._tensor._rebuild_from_type_v2": "of a class of its own",
}
_OLD_NAMES = {"__builtin__.xrange": "builtins.range"} | {
    f"__builtin__.{name}": f"builtins.{name}"
    for name in ("bytearray", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "slice", "str")
}
_HARMLESS = frozenset(
    {
        "torch.device",
        "torch.Size",
        "torch.Tensor",
        "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout",
        "torch.per_tensor_affine",
        "torch.per_channel_affine",
        "torch.per_tensor_symmetric",
        "torch.per_channel_symmetric",
        "torch.per_channel_affine_float_qparams",
        "_codecs.encode",
        "collections.Counter",
        "collections.defaultdict",
        "builtins.set",
        "builtins.bytearray",
        "builtins.complex",
        "builtins.slice",
        "builtins.range",
        "builtins.frozenset",
        "builtins.object",
        "builtins.dict",
        "builtins.list",
        "builtins.int",
        "builtins.str",
        "builtins.float",
        "builtins.bool",
        "collections.deque",
        "copyreg._reconstructor",
        "copy_reg._reconstructor",
        "argparse.Namespace",
        "types.SimpleNamespace",
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "uuid.UUID",
        "decimal.Decimal",
        "fractions.Fraction",
        "typing.Any",
        "typing.Union",
        *(
            f"{module}.{kind}"
            for module in ("pathlib", "pathlib._local")
            for kind in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath")
        ),
        "numpy.dtype",
        "numpy.ndarray",
        *(
            f"numpy.{core}.multiarray.{kind}"
            for core in ("core", "_core")
            for kind in ("scalar", "_reconstruct", "_frombuffer")
        ),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("core", "_core")),
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "lightning.fabric.utilities.data.AttributeDict",
        "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
        "omegaconf.dictconfig.DictConfig",
        "omegaconf.listconfig.ListConfig",
        "omegaconf.base.ContainerMetadata",
        "omegaconf.base.Metadata",
        "omegaconf.nodes.AnyNode",
        "omegaconf.nodes.StringNode",
        "omegaconf.nodes.IntegerNode",
        "omegaconf.nodes.FloatNode",
        "omegaconf.nodes.BooleanNode",
        "transformers.trainer_utils.IntervalStrategy",
        "transformers.trainer_utils.SchedulerType",
        "yacs.config.CfgNode",
        "easydict.EasyDict",
        "addict.addict.Dict",
    }
)
"""Values that lie beside weights, such as an optimizer's or a trainer's settings. They are not made, only noted."""


class _Name(str):
    """Something that the pickle would import."""


class Unknown:
    """Stands for a harmless value that nobody needs."""


class _Mark:
    pass


_MARK = _Mark()
_PLAIN_KEYS = (str, int, float, bool, bytes, type(None))


def read_pickle(data: memoryview, position: int = 0) -> tuple[Any, int]:
    """(the value, where its bytes end). data: the bytes of it all; position: where the pickle begins.

    The value is of None, bool, int, float, str, bytes, list, tuple and dict, with `StoredTensor`, `StoredBytes`,
    `OddTensor` and `Unknown` in it. Raises `PickleRefused` for one that wants more, `PickleDamaged` for a broken one.
    """
    machine = _Machine(data, position)
    try:
        return machine.run(), machine.at
    except (IndexError, KeyError, ValueError, TypeError, AttributeError, struct.error, OverflowError) as error:
        raise PickleDamaged(type(error).__name__) from error


class _Machine:
    def __init__(self, data: memoryview, position: int):
        self.data = data
        self.at = position
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        steps = 0
        while True:
            steps += 1
            if steps > MAX_STEPS:
                raise PickleRefused(f"has more than {MAX_STEPS} instructions where weights need some thousands")
            code = self.data[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                return self._pop()
            step = _STEPS.get(code)
            if step is None:
                raise PickleRefused(f"uses a pickle instruction that may run code on this machine (number {code})")
            step(self)

    def _take(self, count: int) -> memoryview:
        if count < 0 or self.at + count > len(self.data):
            raise PickleDamaged("cut short")
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self, layout: str) -> Any:
        return struct.unpack(layout, self._take(struct.calcsize(layout)))[0]

    def _line(self) -> str:
        end = self.at
        while self.data[end] != 0x0A:
            end += 1
            if end - self.at > 512:
                raise PickleDamaged("a name without an end")
        text = bytes(self.data[self.at : end]).decode("utf-8")
        self.at = end + 1
        return text

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise PickleDamaged("a mark out of place")
        return value

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise PickleDamaged("no mark")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _remember(self, place: int) -> None:
        if self.stack[-1] is _MARK:
            raise PickleDamaged("a mark out of place")
        self.memo[place] = self.stack[-1]

    def _set_items(self, pairs: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Unknown):
            return
        if type(target) is not dict or len(pairs) % 2:
            raise PickleDamaged("items of what is no dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            # What is named by other things than text is no weight.
            if type(key) in _PLAIN_KEYS:
                target[key] = value

    def _append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Unknown):
            return
        if type(target) is not list:
            raise PickleDamaged("items of what is no list")
        target.extend(values)

    def _import(self, name: str) -> None:
        # As torch.save calls them, which writes for every Python 3 and 2.
        name = _OLD_NAMES.get(name, name)
        if (
            name in _STORAGE_NAMES
            or name in _DTYPE_NAMES
            or name in _ODD_TENSORS
            or name in _HARMLESS
            or name in _BUILDERS
        ):
            self.stack.append(_Name(name))
        else:
            raise PickleRefused(f"wants to run code on this machine ({name[:100]!r})".replace("'", ""))

    def _call(self) -> None:
        arguments, name = self._pop(), self._pop()
        if type(name) is not _Name or type(arguments) is not tuple:
            raise PickleDamaged("a call of what is no function")
        if name in _BUILDERS:
            self.stack.append(_BUILDERS[name](arguments))
        elif name in _ODD_TENSORS:
            self.stack.append(OddTensor(_ODD_TENSORS[name]))
        else:
            self.stack.append(Unknown())

    def _build(self) -> None:
        self._pop()  # A state dict's own attributes, such as the versions of its modules.
        if type(self.stack[-1]) is list:
            raise PickleDamaged("attributes of a list")

    def _storage(self) -> None:
        kind, name, key, _location, count, *view = self._pop()
        if kind != "storage" or type(name) is not _Name or type(count) is not int or view not in ([], [None]):
            raise PickleDamaged("a reference to no storage")
        if type(key) is not str:
            raise PickleDamaged("a storage without a key")
        self.stack.append(StoredBytes(key, _STORAGE_NAMES[name], count))

    def _tuple(self, count: int) -> None:
        values = [self._pop() for _ in range(count)]
        self.stack.append(tuple(reversed(values)))

    def _global_on_stack(self) -> None:
        name, module = self._pop(), self._pop()
        if type(name) is not str or type(module) is not str:
            raise PickleDamaged("a name that is no text")
        self._import(f"{module}.{name}")

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def _text(self, layout: str) -> None:
        self.stack.append(bytes(self._take(self._number(layout))).decode("utf-8", "surrogatepass"))

    def _byte_text(self, layout: str) -> None:
        self.stack.append(bytes(self._take(self._number(layout))).decode("latin-1"))

    def _bytes(self, layout: str) -> None:
        self.stack.append(bytes(self._take(self._number(layout))))

    def _long(self) -> None:
        self.stack.append(int.from_bytes(self._take(self._number("<B")), "little", signed=True))


def _tensor(arguments: tuple[Any, ...]) -> StoredTensor | OddTensor:
    """`_rebuild_tensor_v2(storage, offset, size, stride, ...)` and those like it. A seventh argument says what torch
    does to the numbers when they are used, such as to take their negatives.
    """
    if len(arguments) > 6 and arguments[6]:
        return OddTensor("marked as negated")
    storage, offset, shape, strides = arguments[:4]
    numbers = (offset, *shape, *strides)
    if type(storage) is not StoredBytes or any(type(number) is not int for number in numbers):
        raise PickleDamaged("a tensor of no numbers")
    return StoredTensor(storage, offset, tuple(shape), tuple(strides))


def _tensor_of_dtype(arguments: tuple[Any, ...]) -> StoredTensor | OddTensor:
    """`_rebuild_tensor_v3`, for dtypes that no storage has a name for; its seventh argument is the dtype."""
    name = arguments[6]
    return OddTensor(str(name).removeprefix("torch.")[:40] if type(name) is _Name else "of an unknown dtype")


def _quantized(arguments: tuple[Any, ...]) -> OddTensor:
    return OddTensor(arguments[0].dtype)


def _parameter(arguments: tuple[Any, ...]) -> Any:
    if type(arguments[0]) not in (StoredTensor, OddTensor):
        raise PickleDamaged("a parameter of no tensor")
    return arguments[0]


def _ordered_dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if not arguments:
        return {}
    pairs = [tuple(pair) for pair in arguments[0]]
    if any(len(pair) != 2 or type(pair[0]) not in _PLAIN_KEYS for pair in pairs):
        raise PickleDamaged("a dict of no pairs")
    return dict(pairs)


_BUILDERS = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_qtensor": _quantized,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}

_STEPS = {
    0x80: lambda m: m._take(1),  # PROTO
    0x95: lambda m: m._take(8),  # FRAME
    0x28: lambda m: m.stack.append(_MARK),
    0x30: lambda m: m._pop(),  # POP
    0x4E: lambda m: m.stack.append(None),
    0x88: lambda m: m.stack.append(True),
    0x89: lambda m: m.stack.append(False),
    0x4A: lambda m: m.stack.append(m._number("<i")),  # BININT
    0x4B: lambda m: m.stack.append(m._number("<B")),
    0x4D: lambda m: m.stack.append(m._number("<H")),
    0x47: lambda m: m.stack.append(m._number(">d")),  # BINFLOAT
    0x8A: lambda m: m._long(),  # LONG1
    0x58: lambda m: m._text("<I"),  # BINUNICODE
    0x8C: lambda m: m._text("<B"),  # SHORT_BINUNICODE
    0x55: lambda m: m._byte_text("<B"),  # SHORT_BINSTRING
    0x54: lambda m: m._byte_text("<i"),  # BINSTRING
    0x43: lambda m: m._bytes("<B"),  # SHORT_BINBYTES
    0x42: lambda m: m._bytes("<I"),  # BINBYTES
    0x5D: lambda m: m.stack.append([]),
    0x7D: lambda m: m.stack.append({}),
    0x29: lambda m: m.stack.append(()),
    0x74: lambda m: m.stack.append(tuple(m._since_mark())),  # TUPLE
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    0x61: lambda m: m._append([m._pop()]),  # APPEND
    0x65: lambda m: m._append(m._since_mark()),  # APPENDS
    0x73: lambda m: m._set_items([m._pop(), m._pop()][::-1]),  # SETITEM
    0x75: lambda m: m._set_items(m._since_mark()),  # SETITEMS
    0x71: lambda m: m._remember(m._number("<B")),  # BINPUT
    0x72: lambda m: m._remember(m._number("<I")),  # LONG_BINPUT
    0x94: lambda m: m._remember(len(m.memo)),  # MEMOIZE
    0x68: lambda m: m._get(m._number("<B")),  # BINGET
    0x6A: lambda m: m._get(m._number("<I")),  # LONG_BINGET
    0x63: lambda m: m._import(f"{m._line()}.{m._line()}"),  # GLOBAL
    0x93: lambda m: m._global_on_stack(),  # STACK_GLOBAL
    0x52: lambda m: m._call(),  # REDUCE
    0x81: lambda m: m._call(),  # NEWOBJ
    0x62: lambda m: m._build(),  # BUILD
    0x51: lambda m: m._storage(),  # BINPERSID
}
"""By instruction; each takes its operand and moves the stack."""
