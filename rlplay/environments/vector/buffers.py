"""Batches of values of a space as flat arrays, which processes can share."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import Space, spaces
from numpy.typing import NDArray

from rlplay.errors import SpaceError


class SpaceBuffers:
    """N values of a space: one array [N, ...] for each Box, Discrete, MultiDiscrete and MultiBinary in it.

    Args:
        space: the space; Tuples and Dicts of these are taken apart.
        number: N.
        memory: bytes to lie in, for sharing; by default fresh ones.

    Raises:
        SpaceError: the space has a part that is not made of numbers.
    """

    def __init__(self, space: Space[Any], number: int, memory: NDArray[np.uint8] | None = None) -> None:
        self.space = space
        self.arrays: list[NDArray[Any]] = []
        memory = np.zeros(size_of(space, number), np.uint8) if memory is None else memory
        place = 0
        for part in _parts(space):
            shape, dtype = (number, *(part.shape or ())), np.dtype(part.dtype)
            size = math.prod(shape) * dtype.itemsize
            self.arrays.append(memory[place : place + size].view(dtype).reshape(shape))
            place += _aligned(size)

    def put(self, i: int, value: Any) -> None:
        """Write value i."""
        for array, part in zip(self.arrays, _flat(self.space, value), strict=True):
            array[i] = part

    def get(self, i: int) -> Any:
        """Value i, as the environment takes it."""
        return _nested(self.space, iter([array[i] for array in self.arrays]), single=True)

    def put_all(self, batch: Any) -> None:
        """Write all values from a batch as Gymnasium makes them.

        Raises:
            ValueError, TypeError, KeyError: the batch does not have that shape.
        """
        for array, part in zip(self.arrays, _flat(self.space, batch), strict=True):
            given = np.asarray(part)
            if given.shape != array.shape or given.dtype.kind not in "biuf":
                raise ValueError(f"shape {given.shape} and type {given.dtype}, not {array.shape} and {array.dtype}")
            if given.dtype.kind == "f" and array.dtype.kind != "f":
                raise ValueError(f"type {given.dtype}, not {array.dtype}")
            array[...] = given

    def all(self) -> Any:
        """A copy of all values, as Gymnasium batches them."""
        return _nested(self.space, iter([array.copy() for array in self.arrays]), single=False)


def size_of(space: Space[Any], number: int) -> int:
    """Bytes that N values of a space need."""
    return sum(_aligned(number * math.prod(p.shape or ()) * np.dtype(p.dtype).itemsize) for p in _parts(space))


def _aligned(size: int) -> int:
    return -(-size // 64) * 64


def _parts(space: Space[Any]) -> Iterator[Space[Any]]:
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for part in space.spaces if isinstance(space, spaces.Tuple) else space.spaces.values():
            yield from _parts(part)
    elif isinstance(space, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        yield space
    else:
        raise SpaceError(f"values of {space} cannot be laid side by side", "Flatten the space, or take one environment")


def _flat(space: Space[Any], value: Any) -> list[Any]:
    if isinstance(space, spaces.Tuple):
        return [leaf for part, inner in zip(space.spaces, value, strict=True) for leaf in _flat(part, inner)]
    if isinstance(space, spaces.Dict):
        return [leaf for key, part in space.spaces.items() for leaf in _flat(part, value[key])]
    return [value]


def _nested(space: Space[Any], leaves: Iterator[Any], single: bool) -> Any:
    if isinstance(space, spaces.Tuple):
        return tuple(_nested(part, leaves, single) for part in space.spaces)
    if isinstance(space, spaces.Dict):
        return {key: _nested(part, leaves, single) for key, part in space.spaces.items()}
    leaf = next(leaves)
    return leaf if not single else np.array(leaf) if space.shape else leaf.item()
