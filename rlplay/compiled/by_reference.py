"""Nested tuples by reference: a function that takes an agent's memory is handed one address, not every array of it.

numba passes a tuple by value. An agent's memory is a tuple of tuples of some seventy arrays, each of seven numbers, so
every function that takes it has six hundred arguments to unpack, and counts a reference to each array. `by_reference`
keeps the tuple once, on the stack of the native loop, and hands on where it lies:

    memory = by_reference(memory)      # at the head of the loop
    memory.rollout.obs                 # is read where it is used

What is read from there is borrowed: no reference is counted, since the loop holds the memory. So nothing that is read
may be returned beyond the loop. And it is the same at each reading, since tuples do not change: a loop over
``memory.values[i]`` reads once where the array lies, and becomes vector instructions. In plain Python `by_reference`
returns what it is given.

Python hands a memory to compiled code as `laid_out` makes it: the same tuple, written once as compiled code reads it.
Handing on an address takes 0.1 microseconds; unpacking seventy arrays at each call takes some, and code for it.
"""

from __future__ import annotations

import struct
from typing import Any, TypeVar

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_builtin,
    lower_getattr_generic,
    models,
    register_model,
    type_callable,
    unbox,
)

from rlplay.compiled.numba_internals import AttributeTemplate, alloca_once, null_value

T = TypeVar("T")


class Reference(types.Type):  # type: ignore[misc]
    """The type of an address at which a named tuple lies."""

    def __init__(self, target: Any) -> None:
        self.target = target
        super().__init__(name=f"Reference({target})")

    @property
    def key(self) -> Any:
        """What tells it from others: two tuples of one name and the same fields are two types."""
        return self.target


@register_model(Reference)
class _ReferenceModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Reference) -> None:
        super().__init__(manager, kind, ir.PointerType(manager.lookup(kind.target).get_value_type()))


@infer_getattr
class _Attributes(AttributeTemplate):  # type: ignore[misc]
    key = Reference

    def generic_resolve(self, kind: Reference, name: str) -> Any:
        if name not in kind.target.fields:
            return None
        found = kind.target.types[kind.target.fields.index(name)]
        return Reference(found) if isinstance(found, types.BaseNamedTuple) else found


@lower_getattr_generic(Reference)  # type: ignore[untyped-decorator]
def _read(context: Any, builder: Any, kind: Reference, value: Any, name: str) -> Any:
    at = kind.target.fields.index(name)
    found = kind.target.types[at]
    place = builder.gep(value, [ir.Constant(ir.IntType(32), 0), ir.Constant(ir.IntType(32), at)], inbounds=True)
    if isinstance(found, types.BaseNamedTuple):
        return place
    return _without_owners(context, builder, found, _loaded(builder, place))


def _loaded(builder: Any, place: Any) -> Any:
    """What lies at an address: it is the same whenever it is read, so a loop reads it once."""
    value = builder.load(place)
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _without_owners(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value=value)
        array.meminfo = null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, one in enumerate(kind.types):
            inner = _without_owners(context, builder, one, builder.extract_value(value, i))
            value = builder.insert_value(value, inner, i)
    return value


def by_reference(value: T) -> T:
    """A named tuple by its address, in compiled code; see the head of this file.

    Example:
        >>> from typing import NamedTuple
        >>> class Point(NamedTuple):
        ...     x: float
        >>> by_reference(Point(1.0)).x
        1.0
    """
    return value


def kinds_by_reference(*values: Any) -> tuple[Any, ...]:
    """The types under which compiled code is handed numbers, and named tuples by reference."""
    kinds = map(typeof, values)
    return tuple(Reference(kind) if isinstance(kind, types.BaseNamedTuple) else kind for kind in kinds)


@type_callable(by_reference)  # type: ignore[untyped-decorator]
def _type_of_reference(context: Any) -> Any:
    def kind_of(value: Any) -> Any:
        return Reference(value) if isinstance(value, types.BaseNamedTuple) else value

    return kind_of


@lower_builtin(by_reference, types.Any)  # type: ignore[untyped-decorator]
def _on_the_stack(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Put a tuple on the stack of the function that calls; its arrays have no owner there."""
    (kind,), (value,) = signature.args, arguments
    if not isinstance(kind, types.BaseNamedTuple):
        return value
    borrowed = _without_owners(context, builder, kind, value)
    place = alloca_once(builder, borrowed.type)
    builder.store(borrowed, place)
    # From here on what is read there never changes (`_loaded`); the optimiser is not to see that it was written now.
    unseen = ir.FunctionType(place.type, [place.type])
    return builder.asm(unseen, "", "=r,0,~{memory}", [place], side_effect=True)


# From Python.


class LaidOut:
    """A named tuple as compiled code reads it; a compiled function takes it where it would take the tuple.

    Attributes:
        value: the tuple; its arrays live as long as this.
        address: where it lies.
    """

    __slots__ = ("_numba_type_", "_room", "address", "value")

    def __init__(self, value: Any, kind: types.BaseNamedTuple) -> None:
        written = _Writing()
        written.value(kind, value)
        self.value, self._numba_type_ = value, Reference(kind)
        self._room = np.frombuffer(bytes(written.done), np.uint8).copy()  # where NumPy allocates, at multiples of 16
        self.address = int(self._room.ctypes.data)

    def __reduce__(self) -> tuple[Any, ...]:  # a copy lies elsewhere
        return laid_out, (self.value,)


def laid_out(value: T) -> T:
    """A named tuple as compiled code reads it, see the head of this file; as it is where that is not known.

    Example:
        >>> from typing import NamedTuple
        >>> from rlplay.compiled.cache import compiled
        >>> class Point(NamedTuple):
        ...     x: float
        ...     rest: np.ndarray
        >>> @compiled
        ... def total(point):
        ...     return point.x + point.rest.sum()
        >>> point = Point(1.0, np.array([2.0, 3.0]))
        >>> total(point), total(laid_out(point))
        (6.0, 6.0)
    """
    kind = typeof(value)
    try:
        return LaidOut(value, kind)  # type: ignore[return-value]
    except NotImplementedError:
        return value


class _Writing:
    """The bytes of a value, as a structure of C: each number at a multiple of its size."""

    def __init__(self) -> None:
        self.done = bytearray()

    def value(self, kind: Any, value: Any) -> None:
        if isinstance(kind, types.Array):
            self._number("P", 0)  # no owner
            self._number("P", 0)
            numbers = (value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
            for number in numbers:
                self._number("q", number)
        elif isinstance(kind, types.BaseTuple):
            self._align(_alignment(kind))
            for inner, one in zip(kind.types, value, strict=True):
                self.value(inner, one)
            self._align(_alignment(kind))
        elif isinstance(kind, types.NoneType):
            self._number("P", 0)
        else:
            self._number(_code(kind), value)

    def _number(self, code: str, number: Any) -> None:
        self._align(struct.calcsize(code))
        self.done += struct.pack(code, number)

    def _align(self, size: int) -> None:
        self.done += bytes(-len(self.done) % size)


def _code(kind: Any) -> str:
    """How `struct` names a number."""
    if isinstance(kind, types.Boolean):
        return "?"
    if isinstance(kind, types.Float):
        return {32: "f", 64: "d"}[kind.bitwidth]
    if isinstance(kind, types.Integer):
        code = {8: "b", 16: "h", 32: "i", 64: "q"}[kind.bitwidth]
        return code if kind.signed else code.upper()
    raise NotImplementedError(str(kind))


def _alignment(kind: Any) -> int:
    if isinstance(kind, types.BaseTuple):
        return max(map(_alignment, kind.types), default=1)
    return struct.calcsize("P") if isinstance(kind, (types.Array, types.NoneType)) else struct.calcsize(_code(kind))


@unbox(Reference)  # type: ignore[untyped-decorator]
def _address(kind: Reference, laid_out: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(laid_out, "address")
    address = c.pyapi.long_as_longlong(number)
    c.pyapi.decref(number)
    return NativeValue(c.builder.inttoptr(address, c.context.get_value_type(kind)))
