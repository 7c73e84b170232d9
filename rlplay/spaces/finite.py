"""Spaces: finite ones numbered 0 to n - 1 for tables, and every standard one as JSON for files."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from gymnasium import Space, spaces

from rlplay.errors import CheckpointError, SpaceError, counted

_LARGEST = 10_000_000  # entries; beyond this a table would not fit beside its agent


class FiniteSpace:
    """A numbering of the values of a finite space: 0 to n - 1, the last component running fastest.

    Discrete counts from its ``start``; MultiDiscrete, MultiBinary, and Tuples and Dicts of finite spaces (Blackjack)
    are numbered like the cells of an array whose axes are the components (``numpy.ravel_multi_index`` in C order).

    Attributes:
        space: the space that is numbered.
        n: how many values it has.
        plain: True where value and number are the same.

    Example:
        >>> cards = FiniteSpace(spaces.Tuple([spaces.Discrete(3), spaces.Discrete(2)]))
        >>> cards.n, cards.index((2, 1)), cards.value(5)
        (6, 5, (2, 1))
    """

    def __init__(self, space: Space[Any]) -> None:
        self.space = space
        self.sizes = _sizes(space)
        self.n = math.prod(self.sizes)
        self.plain = isinstance(space, spaces.Discrete) and int(space.start) == 0
        self._plain_tuple = isinstance(space, spaces.Tuple) and all(
            isinstance(part, spaces.Discrete) and int(part.start) == 0 for part in space.spaces
        )

    def index(self, value: Any) -> int:
        """The number of a value of the space.

        Raises:
            SpaceError: the value is not in the space.
        """
        if self.plain:
            try:
                index = -1 if isinstance(value, np.ndarray) and value.ndim else int(value)
            except (TypeError, ValueError):
                index = -1
            if 0 <= index < self.n and index == value:
                return index
        elif self._plain_tuple:  # the common case (Blackjack) without Gymnasium's slow contains
            index = self._plain_tuple_index(value)
            if index >= 0:
                return index
        elif self.space.contains(value):
            return self._ravel(self.space, value)
        raise SpaceError(f"{_brief(value)} is not in {self.space}")

    def _plain_tuple_index(self, value: Any) -> int:
        if not isinstance(value, tuple) or len(value) != len(self.sizes):
            return -1
        index = 0
        for part, size in zip(value, self.sizes, strict=True):
            if not isinstance(part, int | np.integer) or not 0 <= part < size:
                return -1
            index = index * size + int(part)
        return index

    def value(self, index: int) -> Any:
        """The value that a number stands for."""
        if self.plain:
            return int(index)
        if self._plain_tuple:
            parts = []
            for size in reversed(self.sizes):
                index, part = divmod(int(index), size)
                parts.append(part)
            return tuple(reversed(parts))
        return self._unravel(self.space, int(index))

    def _ravel(self, space: Space[Any], value: Any) -> int:
        if isinstance(space, spaces.Discrete):
            return int(value) - int(space.start)
        index = 0
        if isinstance(
            space, spaces.MultiDiscrete | spaces.MultiBinary
        ):  # whole numbers of Python, which do not overflow
            start = np.asarray(space.start, np.int64).ravel() if isinstance(space, spaces.MultiDiscrete) else 0
            for part, size in zip((np.ravel(value).astype(np.int64) - start).tolist(), _sizes(space), strict=True):
                index = index * size + part
            return index
        for key, part in _parts(space):
            index = index * math.prod(_sizes(part)) + self._ravel(part, value[key])
        return index

    def _unravel(self, space: Space[Any], index: int) -> Any:
        if isinstance(space, spaces.Discrete):
            return index + int(space.start)
        if isinstance(space, spaces.MultiDiscrete | spaces.MultiBinary):
            start, parts = space.start if isinstance(space, spaces.MultiDiscrete) else 0, []
            for size in reversed(_sizes(space)):
                index, part = divmod(index, size)
                parts.append(part)
            return (np.array(parts[::-1], np.int64).reshape(space.shape) + start).astype(space.dtype)
        values = {}
        for key, part in reversed(_parts(space)):
            index, rest = divmod(index, math.prod(_sizes(part)))
            values[key] = self._unravel(part, rest)
        if isinstance(space, spaces.Tuple):
            return tuple(values[key] for key in range(len(values)))
        return {key: values[key] for key, _ in _parts(space)}


def is_finite(space: Space[Any]) -> bool:
    """Whether the values of a space can be numbered.

    Example:
        >>> is_finite(spaces.Discrete(4)), is_finite(spaces.Box(-1.0, 1.0))
        (True, False)
    """
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return all(is_finite(part) for _, part in _parts(space))
    return isinstance(space, spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary)


def agents_for(actions: Space[Any]) -> str:
    """The way out where an agent does not take actions: some agents that do, or what to make of them.

    Example:
        >>> agents_for(spaces.Discrete(3)), agents_for(spaces.Box(-1.0, 1.0))
        ('Take DQN, PPO or A2C', 'Take SAC, TD3, PPO or A2C')
    """
    if is_finite(actions):
        return "Take DQN, PPO or A2C"
    if isinstance(actions, spaces.Box):
        bounded = np.isfinite(actions.low).all() and np.isfinite(actions.high).all()
        return "Take SAC, TD3, PPO or A2C" if bounded else "Take PPO, A2C or ARS, which need no bounds"
    if isinstance(actions, spaces.Tuple | spaces.Dict) and all(
        is_finite(part) or (isinstance(part, spaces.Box | spaces.Tuple | spaces.Dict)
        and agents_for(part) != _NO_AGENT) for _, part in _parts(actions)
    ):  # fmt: skip
        return "Take PPO, A2C, TRPO or Reinforce"
    return _NO_AGENT


_NO_AGENT = "No agent takes them: wrap the environment, so that they are finite, a Box, or a Tuple or Dict of these"


def finite(space: Space[Any], owner: str, role: str, *, boxes: bool = False) -> FiniteSpace:
    """The numbering of a space that an agent needs finite.

    Args:
        space: an observation or action space.
        owner: who asks, for the error.
        role: ``"observations"`` or ``"actions"``.
        boxes: whether who asks takes a Box as it is.

    Raises:
        SpaceError: the space is not finite or too large; names the space and what fits.

    Example:
        >>> finite(spaces.MultiDiscrete([3, 2]), "MyAgent", "actions").n
        6
    """
    if not is_finite(space):
        way = (
            "Take an environment with Discrete, MultiDiscrete or MultiBinary spaces (FrozenLake-v1, Taxi-v4, "
            "rlplay/GridWorld-v0), or see `rlplay list agents` for agents that take other spaces"
        )
        if role == "actions":
            way = agents_for(space)
        raise SpaceError(f"{owner} needs finite {'or Box ' * boxes}{role} and {space} is not", way)
    numbered = FiniteSpace(space)
    require_few(space, numbered.n, owner, role)
    return numbered


def require_few(space: Space[Any], count: int, owner: str, role: str) -> None:
    """Refuse more values of a space than a table, or a vector that is one-hot, can have.

    Example:
        >>> require_few(spaces.Discrete(10**9), 10**9, "MyAgent", "actions")
        Traceback (most recent call last):
            ...
        rlplay.errors.SpaceError: MyAgent numbers actions and Discrete(1000000000) has 1,000,000,000 values, ...
    """
    if count > _LARGEST:
        raise SpaceError(
            f"{owner} numbers {role} and {space} has {counted(count, 'value')}, more than {_LARGEST:,}",
            "Take a coarser environment, or wrap it to a Box (gymnasium.wrappers.TransformObservation, "
            "TransformAction) and take an agent that learns from vectors",
        )


def _sizes(space: Space[Any]) -> tuple[int, ...]:
    if isinstance(space, spaces.Discrete):
        return (int(space.n),)
    if isinstance(space, spaces.MultiDiscrete):
        return tuple(int(n) for n in space.nvec.ravel())
    if isinstance(space, spaces.MultiBinary):
        return (2,) * math.prod(space.shape)
    return tuple(math.prod(_sizes(part)) for _, part in _parts(space))


def _parts(space: Space[Any]) -> list[tuple[Any, Space[Any]]]:
    if isinstance(space, spaces.Tuple):
        return list(enumerate(space.spaces))
    if isinstance(space, spaces.Dict):
        return list(space.spaces.items())
    raise SpaceError(f"{space} has no parts that can be numbered")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."


def to_json(space: Space[Any]) -> dict[str, Any]:
    """A standard space as plain JSON values."""
    kind = type(space).__name__
    if isinstance(space, spaces.Discrete):
        return {"kind": kind, "n": int(space.n), "start": int(space.start), **_unusual_type(space)}
    if isinstance(space, spaces.MultiDiscrete):
        start = np.asarray(space.start).tolist()
        return {"kind": kind, "nvec": space.nvec.tolist(), "start": start, **_unusual_type(space)}
    if isinstance(space, spaces.MultiBinary):
        return {"kind": kind, "n": space.n if isinstance(space.n, int) else [int(n) for n in space.n]}
    if isinstance(space, spaces.Box):
        low, high = (_bounds(b) for b in (space.low, space.high))
        return {"kind": kind, "low": low, "high": high, "shape": list(space.shape), "dtype": str(space.dtype)}
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return {"kind": kind, "parts": [[key, to_json(part)] for key, part in _parts(space)]}
    raise SpaceError(f"{space} cannot be written to a file")


def _unusual_type(space: Space[Any]) -> dict[str, str]:
    return {} if space.dtype == np.int64 else {"dtype": str(space.dtype)}


def _bounds(bound: Any) -> Any:
    """One number where all bounds are the same, a nested list otherwise; infinities as text, for strict JSON."""
    values = np.unique(bound)
    listed = values[0].item() if values.size == 1 else bound.tolist()
    return _spell(listed)


def _spell(value: Any) -> Any:
    if isinstance(value, list):
        return [_spell(v) for v in value]
    return str(value) if isinstance(value, float) and math.isinf(value) else value


def _read_bounds(value: Any) -> Any:
    if isinstance(value, list):
        return [_read_bounds(v) for v in value]
    return float(value) if isinstance(value, str) else value


def from_json(data: Any) -> Space[Any]:
    """The space that `to_json` wrote.

    Raises:
        CheckpointError: the data describe no space.
    """
    try:
        kind = data["kind"]
        if kind == "Discrete":
            unusual = {"dtype": np.dtype(data["dtype"]).type} if "dtype" in data else {}
            return spaces.Discrete(int(data["n"]), start=int(data["start"]), **unusual)
        if kind == "MultiDiscrete":
            dtype = np.dtype(data.get("dtype", "int64"))
            return spaces.MultiDiscrete(np.array(data["nvec"]), dtype.type, start=np.array(data["start"]))
        if kind == "MultiBinary":
            return spaces.MultiBinary(data["n"])
        if kind == "Box":
            shape, dtype = tuple(int(n) for n in data["shape"]), np.dtype(data["dtype"])
            low, high = (np.broadcast_to(_read_bounds(data[b]), shape).astype(dtype) for b in ("low", "high"))
            return spaces.Box(low, high, shape, dtype.type)
        if kind == "Tuple":
            return spaces.Tuple([from_json(part) for _, part in data["parts"]])
        if kind == "Dict":
            return spaces.Dict([(key, from_json(part)) for key, part in data["parts"]])
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise CheckpointError(f"the file describes a space that cannot be: {_brief(data)}") from error
    raise CheckpointError(f"the file describes an unknown space: {_brief(data)}")
