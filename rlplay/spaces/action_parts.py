"""Actions of several parts, finite ones and numbers, as one row: for networks, which have an output for each."""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray


class FinitePart(NamedTuple):
    """A finite part of an action.

    Attributes:
        name: where it stands: a key, or ``part 1``.
        n: its choices.
        first: the first of them, as the environment counts.
        on_off: whether it is a switch of a MultiBinary.

    Example:
        >>> ActionParts(spaces.MultiBinary(2)).names()[0][1]
        FinitePart(name='part 1', n=2, first=0, on_off=True)
    """

    name: str
    n: int
    first: int
    on_off: bool


class ActionParts:
    """The parts of an action space: finite ones and Boxes, by themselves or in Tuples and Dicts.

    Attributes:
        sizes: how many choices each finite part has, in order; those of a MultiDiscrete one after the other.
        n_numbers: how many numbers the Boxes have together.

    Raises:
        TypeError: another space is among the parts.

    Example:
        >>> parts = ActionParts(spaces.Tuple([spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,))]))
        >>> parts.sizes, parts.n_numbers
        ((3,), 2)
        >>> gear, throttle = parts.value(np.float32([2, 0.5, 7]))  # within the bounds
        >>> gear, throttle.tolist()
        (2, [0.5, 1.0])
    """

    def __init__(self, space: gym.Space[Any]) -> None:
        self._space = space
        leaves = list(_leaves(space))
        if not all(isinstance(one, spaces.Box) or _sizes(one) for one in leaves):
            raise TypeError(f"{space} has parts that are neither finite nor a Box")
        self.sizes = tuple(n for one in leaves for n in _sizes(one))
        boxes = [one for one in leaves if isinstance(one, spaces.Box)]
        self.n_numbers = sum(int(np.prod(one.shape)) for one in boxes)
        self.low = np.concatenate([np.zeros(0), *(one.low.ravel() for one in boxes)])
        self.high = np.concatenate([np.zeros(0), *(one.high.ravel() for one in boxes)])

    def names(self) -> tuple[list[FinitePart], list[str]]:
        """The finite parts, and the names of the numbers, in the order of a row.

        Example:
            >>> space = spaces.Dict(gear=spaces.Discrete(3, start=1), wheel=spaces.Box(-1.0, 1.0, (2,)))
            >>> ActionParts(space).names()
            ([FinitePart(name='gear', n=3, first=1, on_off=False)], ['wheel[0]', 'wheel[1]'])
        """
        finite: list[FinitePart] = []
        numbers: list[str] = []
        _name(self._space, "", finite, numbers)
        return finite, numbers

    def row(self, value: Any) -> NDArray[np.float64]:
        """The parts and numbers of an action, as in `value`, float64 [P + A]."""
        parts, numbers = _row(self._space, value)
        return np.array([*parts, *numbers], np.float64)

    def value(self, row: NDArray[Any]) -> Any:
        """An action as the environment takes it, from its parts and its numbers [P + A], cut to their bounds."""
        numbers = np.clip(row[len(self.sizes) :], self.low, self.high)
        value, _, _ = _value(self._space, row, 0, numbers, 0)
        return value


def _leaves(space: gym.Space[Any]) -> Any:
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for part in space.spaces if isinstance(space, spaces.Tuple) else space.spaces.values():
            yield from _leaves(part)
    else:
        yield space


def _name(space: gym.Space[Any], name: str, finite: list[FinitePart], numbers: list[str]) -> None:
    """Add what a space has to the finite parts and to the names of the numbers."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        for key, part in enumerate(space.spaces) if isinstance(space, spaces.Tuple) else space.spaces.items():
            inner = f"{name}.{key}" if name else key if isinstance(key, str) else f"part {key}"
            _name(part, inner, finite, numbers)
        return
    size = int(np.prod(space.shape or ()))
    own = [name] if name and size == 1 else [f"{name}[{i}]" if name else f"part {i}" for i in range(size)]
    if isinstance(space, spaces.Box):
        numbers += own
        return
    starts = np.ravel(getattr(space, "start", 0)) + np.zeros(size, np.int64)
    switches = isinstance(space, spaces.MultiBinary)
    finite += [
        FinitePart(*one, switches) for one in zip(own, _sizes(space), (int(start) for start in starts), strict=True)
    ]


def _sizes(space: gym.Space[Any]) -> tuple[int, ...]:
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel())
    return (2,) * int(np.prod(space.shape)) if isinstance(space, spaces.MultiBinary) else ()


def _row(space: gym.Space[Any], value: Any) -> tuple[list[float], list[float]]:
    """The parts and the numbers of a value of a space."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        named = enumerate(space.spaces) if isinstance(space, spaces.Tuple) else space.spaces.items()
        pairs = [_row(part, value[key]) for key, part in named]
        return [one for parts, _ in pairs for one in parts], [one for _, numbers in pairs for one in numbers]
    flat = np.ravel(np.asarray(value, np.float64))
    if isinstance(space, spaces.Box):
        return [], flat.tolist()
    start = np.ravel(space.start) if isinstance(space, spaces.Discrete | spaces.MultiDiscrete) else 0
    return (flat - start).tolist(), []


def _value(space: gym.Space[Any], row: Any, part: int, numbers: Any, number: int) -> tuple[Any, int, int]:
    """The value of a space from the parts and numbers that come next, and how many were read so far."""
    if isinstance(space, spaces.Tuple | spaces.Dict):
        found = []
        for inner in space.spaces if isinstance(space, spaces.Tuple) else space.spaces.values():
            value, part, number = _value(inner, row, part, numbers, number)
            found.append(value)
        whole = tuple(found) if isinstance(space, spaces.Tuple) else dict(zip(space.spaces, found, strict=True))
        return whole, part, number
    size = int(np.prod(space.shape or ()))
    if isinstance(space, spaces.Box):
        return numbers[number : number + size].reshape(space.shape).astype(space.dtype), part, number + size
    if isinstance(space, spaces.Discrete):
        return int(row[part]) + int(space.start), part + 1, number
    chosen = np.asarray(row[part : part + size]).astype(space.dtype).reshape(space.shape)
    start = space.start if isinstance(space, spaces.MultiDiscrete) else 0
    return (chosen + start).astype(space.dtype), part + size, number


__all__ = ["ActionParts", "FinitePart"]
