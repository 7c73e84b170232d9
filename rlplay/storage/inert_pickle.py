"""Pickles read as data: what a pickle would call is written down, never looked up and never called.

A pickle is a small program over a stack. Here its instructions run, but a name such as ``numpy.dtype`` stays a `Name`,
and a call of it stays a `Call` with its arguments: nothing is imported and no code of anybody's runs. Who reads the
result takes what it knows, by name, and refuses the rest.

The instructions are those of `pickletools` (protocols 0 to 5) without out-of-band buffers and registered extensions.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError

_MOST_INSTRUCTIONS = 2_000_000
_MOST_VALUES = 2_000_000  # those that a pickle repeats counted each time
_DEEPEST = 100  # values within each other


@dataclass(frozen=True)
class Name:
    """What a pickle would import.

    Example:
        >>> str(Name("collections", "OrderedDict"))
        'collections.OrderedDict'
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Call:
    """What a pickle would call, and what it would set afterwards.

    Attributes:
        function: a `Name`, or whatever else stood in its place.
        arguments: of the call.
        state: what the object would be given as its state; None for nothing.
    """

    function: Any
    arguments: Any
    state: Any = None

    @property
    def name(self) -> str:
        """The function's name with its module; empty where it has none."""
        return str(self.function) if isinstance(self.function, Name) else ""


@dataclass(eq=False)
class Elsewhere:
    """What a pickle says lies outside of it, such as the numbers of a tensor."""

    key: Any = field(default=None)


class _Mark:
    """Where a tuple, list or dictionary begins on the stack."""


_MARK = _Mark()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW: dict[str, Any] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": list}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PLAIN = frozenset([
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE",
    "BINUNICODE8", "FLOAT", "BINFLOAT",
])  # fmt: skip
_SILENT = frozenset(["PROTO", "FRAME"])


def read_pickle(blob: bytes, what: str) -> Any:
    """The value of a pickle, with a `Call` for each call and a `Name` for each name in it.

    Args:
        blob: the pickle.
        what: names it in errors.

    Raises:
        CheckpointError: it is damaged, or has an instruction that data does not need.

    Example:
        >>> import os, pickle
        >>> read_pickle(pickle.dumps({"a": [1, 2.5, None]}), "this")
        {'a': [1, 2.5, None]}
        >>> class Harm:
        ...     def __reduce__(self):
        ...         return os.system, ("echo harm",)
        >>> found = read_pickle(pickle.dumps(Harm()), "this")
        >>> found.name.endswith(".system"), found.arguments
        (True, ('echo harm',))
    """
    try:
        return _Reader(what).run(blob)
    except CheckpointError:
        raise
    except Exception as error:  # whatever its instructions lead to
        raise CheckpointError(f"{what} is damaged: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from (
            error
        )


class _Reader:
    """The stack and the memory of a pickle while it is read."""

    def __init__(self, what: str) -> None:
        self.what, self.stack, self.memory = what, list[Any](), dict[int, Any]()

    def run(self, blob: bytes) -> Any:
        for count, (opcode, argument, place) in enumerate(pickletools.genops(blob)):
            if count > _MOST_INSTRUCTIONS:
                raise CheckpointError(f"{self.what} has more than {_MOST_INSTRUCTIONS:,} instructions: refused")
            if opcode.name == "STOP":
                if len(self.stack) != 1:
                    raise ValueError(f"{len(self.stack)} values are left")
                _refuse_vast(self.stack[0])
                return self.stack[0]
            self._step(opcode.name, argument, place)
        raise ValueError("it has no end")

    def _step(self, name: str, argument: Any, place: int | None) -> None:
        push, pop = self.stack.append, self.stack.pop
        if name in _PLAIN:
            push(argument)
        elif name in _CONSTANTS:
            push(_CONSTANTS[name])
        elif name in _NEW:
            push(_NEW[name]())
        elif name in _TUPLES:
            size = _TUPLES[name]
            self._need(size)
            taken = tuple(self.stack[len(self.stack) - size :])
            del self.stack[len(self.stack) - size :]
            push(taken)
        elif name == "MARK":
            push(_MARK)
        elif name in ("TUPLE", "LIST", "FROZENSET"):
            values = self._to_mark()
            push(values if name == "LIST" else tuple(values))
        elif name == "DICT":
            values = self._to_mark()
            push(_paired(values))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            values = [pop()] if name == "APPEND" else self._to_mark()
            if isinstance(self.stack[-1], list):  # what a call would make keeps its items to itself
                self.stack[-1].extend(values)
        elif name in ("SETITEM", "SETITEMS"):
            values = self._to_mark() if name == "SETITEMS" else [pop(), pop()][::-1]
            if isinstance(self.stack[-1], dict):
                self.stack[-1].update(_paired(values))
        elif name == "GLOBAL":
            module, _, attribute = str(argument).partition(" ")
            push(Name(module, attribute))
        elif name == "STACK_GLOBAL":
            attribute, module = pop(), pop()
            if not (isinstance(module, str) and isinstance(attribute, str)):
                raise ValueError("a name is no text")
            push(Name(module, attribute))
        elif name in ("REDUCE", "NEWOBJ"):
            arguments, function = pop(), pop()
            push(_called(function, arguments))
        elif name == "NEWOBJ_EX":
            named, arguments, function = pop(), pop(), pop()
            push(Call(function, (*arguments, named)))
        elif name == "INST":
            module, _, attribute = str(argument).partition(" ")
            push(Call(Name(module, attribute), tuple(self._to_mark())))
        elif name == "OBJ":
            function, *arguments = self._to_mark()
            push(Call(function, tuple(arguments)))
        elif name == "BUILD":
            state = pop()
            if isinstance(self.stack[-1], Call):
                self.stack[-1].state = state
        elif name in ("PERSID", "BINPERSID"):
            push(Elsewhere(argument if name == "PERSID" else pop()))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memory[int(argument)] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            push(self.memory[int(argument)])
        elif name == "POP":
            pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            push(self.stack[-1])
        elif name not in _SILENT:
            raise CheckpointError(f"{self.what} has the instruction {name} at {place}, which data does not need")

    def _need(self, size: int) -> None:
        if size > len(self.stack):
            raise ValueError("it takes more values than there are")

    def _to_mark(self) -> list[Any]:
        """The values above the last mark, which they leave with it."""
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("it has no mark")
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values


def _refuse_vast(value: Any) -> None:
    """Raise where values lie too deep within each other, or stand for too many: few bytes repeat what they have.

    Raises:
        ValueError: says which.
    """
    level, count = [value], 0
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list | tuple):
                inner.extend(one)
            elif isinstance(one, Call):
                inner.extend((one.function, one.arguments, one.state))
            elif isinstance(one, Elsewhere):
                inner.append(one.key)
            if count + len(inner) > _MOST_VALUES:
                raise ValueError(f"it stands for more than {_MOST_VALUES:,} values")
        level, count = inner, count + len(inner)
        if not level:
            return
    raise ValueError(f"its values lie more than {_DEEPEST} deep within each other")


def _paired(values: list[Any]) -> dict[Any, Any]:
    """Keys and values that lie one after the other, as a dictionary.

    Raises:
        TypeError: a key that is no text or number: the hash of nested tuples has no limit of depth.
    """
    if not all(isinstance(key, str | bytes | int | float | None) for key in values[::2]):
        raise TypeError("a key is no text or number")
    return dict(zip(values[::2], values[1::2], strict=True))


def _called(function: Any, arguments: Any) -> Any:
    """A call, written down; of an ordered dictionary of nothing a dictionary."""
    if function == Name("collections", "OrderedDict") and not arguments:
        return {}
    return Call(function, arguments)


def plain_array(found: Any, what: str) -> NDArray[Any]:
    """The array that NumPy would make of what it wrote into a pickle.

    Raises:
        CheckpointError: it is no array of numbers.

    Example:
        >>> import pickle
        >>> plain_array(read_pickle(pickle.dumps(np.float32([[1, 2]])), "this"), "x").tolist()
        [[1.0, 2.0]]
    """
    try:
        return _array(found)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{what} is no array of numbers: refused") from error


def _array(found: Any) -> NDArray[Any]:
    if isinstance(found, bool | int | float):
        return np.asarray(found)
    function = found.name.replace("numpy._core.", "numpy.core.")
    if function == "numpy.core.numeric._frombuffer":
        buffer, dtype, shape, order = found.arguments
    elif function == "numpy.core.multiarray._reconstruct":
        _, shape, dtype, fortran, buffer = found.state
        order = "F" if fortran else "C"
        buffer = buffer.encode("latin-1") if isinstance(buffer, str) else buffer
        if isinstance(buffer, Call) and buffer.name == "_codecs.encode":  # bytes in protocol 2
            buffer = str(buffer.arguments[0]).encode("latin-1")
    elif function == "numpy.core.multiarray.scalar":
        (dtype, buffer), shape, order = found.arguments, (), "C"
    else:
        raise ValueError(function)
    kind = plain_dtype(dtype)
    shape = tuple(int(n) for n in shape)
    if order not in ("C", "F") or any(n < 0 for n in shape):
        raise ValueError(order)
    return np.frombuffer(bytes(buffer), kind).reshape(shape, order=order).copy()


def plain_dtype(found: Any) -> np.dtype[Any]:
    """The type of numbers that a pickle names.

    Raises:
        ValueError: it is none.
    """
    if isinstance(found, Name):
        if found.module != "numpy":
            raise ValueError(str(found))
        text, order = found.name.rstrip("_"), "="
    else:
        if found.name != "numpy.dtype":
            raise ValueError(found.name)
        text, order = str(found.arguments[0]), str(found.state[1] if found.state else "=")
    if text not in _DTYPES:
        raise ValueError(text)
    dtype = np.dtype(text)
    return dtype if order in ("=", "|") else dtype.newbyteorder("<" if order == "<" else ">")


_DTYPES = frozenset(
    [f"{kind}{size}" for kind, sizes in (("f", (2, 4, 8)), ("i", (1, 2, 4, 8)), ("u", (1, 2, 4, 8))) for size in sizes]
    + ["b1", "bool", "float16", "float32", "float64"]
    + [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
)
