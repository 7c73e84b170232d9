"""Observations: one or a batch, told apart by the space and checked before an agent sees them; and as bytes."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rlplay.errors import SpaceError, counted, warn, warn_once
from rlplay.spaces.finite import FiniteSpace, finite, is_finite, require_few

_MOST = np.float64(np.finfo(np.float32).max)
_MOST_VALUES = 1000  # of a Tuple that is seen as one number


def batch_of(space: gym.Space[Any], observation: Any, owner: str) -> tuple[Any, bool]:
    """An observation as a batch, and whether it was a single one.

    Args:
        space: the space of one observation.
        observation: one observation, an array of B of them, or (for Tuples and Dicts) a Tuple or Dict of arrays.
        owner: who asks, for the error.

    Returns:
        An array of shape [B, ...] for Box, MultiDiscrete and MultiBinary, otherwise a list of B observations; and
        True for a single observation.

    Raises:
        SpaceError: wrong shape or type, NaN, infinity, or a number beyond those of float32.

    Example:
        >>> batch_of(spaces.Box(-1.0, 1.0, (2,)), [0.5, 0.5], "MyAgent")[0].shape
        (1, 2)
        >>> batch_of(spaces.Discrete(4), 3, "MyAgent"), batch_of(spaces.Discrete(4), [3, 1], "MyAgent")
        (([3], True), ([3, 1], False))
    """
    if isinstance(space, spaces.Tuple | spaces.Dict):
        return _parts(space, observation, owner)
    if isinstance(observation, tuple) and len(observation) == 2 and isinstance(observation[1], dict):
        raise SpaceError(
            f"{owner}: the observation is a pair (obs, info), as reset() returns", "Write obs, info = env.reset()"
        )
    try:
        array = np.asarray(observation)
    except ValueError as error:
        raise SpaceError(f"{owner}: the observation is a ragged list, not one of {space}") from error
    shape = space.shape or ()
    kinds = "iub" if isinstance(space, spaces.Discrete) else "iubf"
    if array.dtype.kind not in kinds:
        raise SpaceError(f"{owner}: an observation of type {array.dtype} is not one of {space}")
    if array.shape == shape:
        single, array = True, array[None]
    elif array.shape[1:] == shape and array.ndim == len(shape) + 1:
        single = False
    else:
        raise SpaceError(
            f"{owner}: an observation of shape {array.shape} is not one of {space}",
            f"Give shape {shape}, or [B{''.join(f', {n}' for n in shape)}] for a batch",
        )
    if array.dtype.kind == "f" and not (held := np.abs(array) <= _MOST).all():  # NaN is not less than anything
        where = np.argwhere(~held)[0].tolist()
        number = array[tuple(where)]
        word = "NaN" if np.isnan(number) else f"{number:g}"
        raise SpaceError(f"{owner}: the observation has {word} at {where}")
    return (array.tolist() if isinstance(space, spaces.Discrete) else array), single


def _parts(space: Any, observation: Any, owner: str) -> tuple[list[Any], bool]:
    if isinstance(space, spaces.Dict) and isinstance(observation, dict):  # texts are left out of an agent's space
        texts = {key for key in observation.keys() - space.keys() if np.asarray(observation[key]).dtype.kind == "U"}
        observation = {key: value for key, value in observation.items() if key not in texts}
    if space.contains(observation):
        return [observation], True
    keys: list[Any] = list(space.spaces) if isinstance(space, spaces.Dict) else list(range(len(space.spaces)))
    try:
        columns = {key: batch_of(space[key], observation[key], owner) for key in keys}
        lengths = {len(batch) for batch, single in columns.values() if not single}
        if len(lengths) != 1 or any(single for _, single in columns.values()):
            raise KeyError
    except (KeyError, IndexError, TypeError) as error:
        raise SpaceError(f"{owner}: {observation!r} is neither one of {space} nor a batch of them") from error
    rows = [{key: columns[key][0][row] for key in keys} for row in range(lengths.pop())]
    return (rows if isinstance(space, spaces.Dict) else [tuple(row.values()) for row in rows]), False


def observation_bytes(obs: Any) -> bytes:
    """An observation as bytes, the same for equal values whatever integer type they came in."""
    if isinstance(obs, dict):
        return b"".join(observation_bytes(obs[key]) for key in sorted(obs))
    if isinstance(obs, tuple):
        return b"".join(observation_bytes(part) for part in obs)
    if isinstance(obs, str):
        return obs.encode()
    array = np.asarray(obs)
    return array.astype(np.int64).tobytes() if array.dtype.kind in "iub" and array.ndim == 0 else array.tobytes()


def observation_digest(obs: Any) -> str:
    """sha256 of an observation, to compare a replay with what was seen.

    Example:
        >>> observation_digest(3) == observation_digest(np.int32(3)), observation_digest(3) == observation_digest(4)
        (True, False)
    """
    return hashlib.sha256(observation_bytes(obs)).hexdigest()


def is_picture(space: spaces.Space[Any]) -> bool:
    """Whether observations are pictures: height, width and channels, in this order or channels first.

    They are of bytes, or of bits as a grid of what lies where has them.

    Example:
        >>> [is_picture(spaces.Box(0, 1, (10, 10, 4), kind)) for kind in (np.uint8, np.bool_, np.float32)]
        [True, True, False]
    """
    return isinstance(space, spaces.Box) and space.dtype in (np.uint8, np.bool_) and len(space.shape) == 3


def channels_first(space: spaces.Space[Any]) -> bool:
    """Whether observations are pictures whose channels come first: that axis is the shortest.

    As Stable-Baselines3's ``is_image_space_channels_first``, but that a first axis as long as the last is a height.

    Example:
        >>> channels_first(spaces.Box(0, 255, (3, 36, 36), np.uint8)), channels_first(
        ...     spaces.Box(0, 255, (36, 36, 3), np.uint8))
        (True, False)
    """
    shape = space.shape or ()
    return is_picture(space) and shape[0] <= shape[1] and shape[0] < shape[2]


def is_stack_of_pictures(space: spaces.Space[Any]) -> bool:
    """Whether observations are several pictures one after the other, as Gymnasium's ``FrameStackObservation`` has them.

    Grey pictures without an axis of channels, (k, height, width), are one picture with k channels.

    Example:
        >>> [is_stack_of_pictures(spaces.Box(0, 255, shape, np.uint8)) for shape in ((4, 84, 84, 1), (84, 84, 3))]
        [True, False]
    """
    return isinstance(space, spaces.Box) and space.dtype in (np.uint8, np.bool_) and len(space.shape) == 4


def picture_axes(space: spaces.Space[Any]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Which axes of pictures, or of stacks of them, are the frames and the channels, and where they belong: at the end.

    Example:
        >>> picture_axes(spaces.Box(0, 255, (4, 84, 84, 3), np.uint8))  # to height, width, frame, channel
        ((0,), (-2,))
        >>> picture_axes(spaces.Box(0, 255, (3, 84, 84), np.uint8)), picture_axes(spaces.Discrete(2))
        (((0,), (-1,)), None)
    """
    if is_picture(space):
        return ((0,), (-1,)) if channels_first(space) else ((), ())
    if not isinstance(space, spaces.Box) or not is_stack_of_pictures(space):
        return None
    one = spaces.Box(space.low[0], space.high[0], dtype=space.dtype.type)
    return ((0, 1), (-2, -1)) if channels_first(one) else ((0,), (-2,))


def seen_before(space: spaces.Space[Any]) -> str:
    """How vectors of a space were made before they were made as now; empty where they have not changed.

    Example:
        >>> seen_before(spaces.MultiBinary(3))
        'MultiBinary and MultiDiscrete as one number, and not part by part'
    """
    if is_stack_of_pictures(space):
        return "stacked pictures (frames, height, width, channels) as plain numbers and not through convolutions"
    if isinstance(space, spaces.MultiBinary | spaces.MultiDiscrete):
        return "MultiBinary and MultiDiscrete as one number, and not part by part"
    if isinstance(space, spaces.Dict | spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        tuples = "Tuples of Discrete as one number, and not part by part" if _is_large(space) else ""
        return next(filter(None, map(seen_before, parts)), tuples)
    return ""


def _is_large(space: spaces.Space[Any]) -> bool:
    """Whether a space is a Tuple of finite ones that are not seen as one number."""
    return isinstance(space, spaces.Tuple) and is_finite(space) and not _is_small(space)


def _is_small(space: spaces.Space[Any]) -> bool:
    """Whether a space is a Tuple of Discrete with few values."""
    if not isinstance(space, spaces.Tuple) or not all(isinstance(part, spaces.Discrete) for part in space.spaces):
        return False
    return FiniteSpace(space).n <= _MOST_VALUES


class VectorView:
    """Observations as vectors: Box flattened, Discrete one-hot, and what has parts part by part.

    The bits of MultiBinary are numbers as they are, each part of MultiDiscrete is one-hot, those of Dicts and Tuples
    are joined. A Tuple of Discrete with at most 1,000 values (Blackjack's) is one-hot over all of them, so that a
    linear function of it is a table.

    Pictures of bytes (Box of uint8 with three axes, or four where they are stacked) are divided by 255, those of bits
    are 0 and 1. Vectors are float32. Where they are scaled later, that would come too late for numbers from 2^24 on, of
    which float32 no longer tells neighbours apart: for such a reader (``wide``) a Box that float32 does not hold gives
    float64. A difference that is lost is said once.

    Args:
        space: the observations.
        owner: who asks, for errors.
        channels_last: turn pictures whose channels come first, and stacks of pictures, so that their vectors are those
            of the same pictures with channels last, frame by frame.
        wide: whether a Box of float64, or of integers of 32 bits and more, gives vectors of float64.

    Attributes:
        size: length of a vector.
        dtype: of a vector, float32 or float64.
        picture: height, width and channels where a vector is a picture with channels last, else None.

    Raises:
        SpaceError: the space is neither; names it and what fits.

    Example:
        >>> clock = spaces.Box(0.0, 2e9, (1,), np.float64)
        >>> VectorView(clock, "MyAgent", wide=True).vector(np.array([1.7e9 + 1])).tolist()
        [1700000001.0]
    """

    def __init__(
        self, space: spaces.Space[Any], owner: str, *, channels_last: bool = False, wide: bool = False
    ) -> None:
        self.space, self.owner = space, owner
        self.dtype: np.dtype[Any] = np.dtype(np.float32)
        self.size: int
        axes = picture_axes(space)
        self._turned = axes if channels_last and axes is not None and axes[0] else None
        self.picture: tuple[int, ...] | None = None
        if axes is not None and (self._turned or not axes[0]):
            shape = np.moveaxis(np.empty(space.shape or (), np.bool_), *axes).shape
            self.picture = (*shape[:2], math.prod(shape[2:]))
        elif channels_last and isinstance(space, spaces.Box) and len(space.shape) > 2:
            warn_once(
                f"{owner} sees observations {space.shape} of {space.dtype} as {math.prod(space.shape):,} numbers "
                "without order: pictures, which get convolutions, are bytes. Where they lie in 0 to 1: "
                "gymnasium.wrappers.RescaleObservation(env, 0, 255), then DtypeObservation(env, np.uint8)"
            )
        numbered = isinstance(space, spaces.Discrete) or _is_small(space)
        joined = isinstance(space, spaces.Dict | spaces.Tuple) and not numbered
        self._parts: list[tuple[Any, VectorView]] = []
        self._numbering = FiniteSpace(space) if numbered else None
        self._begins: NDArray[np.int64] | None = None  # of each part of MultiDiscrete, one-hot
        self._warned = False
        self._scale = np.float32(1 / 255 if axes is not None and space.dtype == np.uint8 else 1)
        if joined:
            whole: Any = space
            keys = whole.spaces if isinstance(space, spaces.Dict) else range(len(whole.spaces))
            self._parts = [(key, VectorView(whole[key], owner, wide=wide)) for key in keys]
            self.dtype = np.result_type(self.dtype, *(part.dtype for _, part in self._parts))
            self.size = sum(part.size for _, part in self._parts)
        elif self._numbering is not None:
            self.size = finite(space, owner, "observations").n
        elif isinstance(space, spaces.MultiDiscrete):
            sizes = space.nvec.ravel().astype(np.int64)
            self.size, self._begins = int(sizes.sum()), np.concatenate([[0], np.cumsum(sizes)[:-1]])
            require_few(space, self.size, owner, "observations")
        elif isinstance(space, spaces.Box | spaces.MultiBinary):
            self.size = int(np.prod(space.shape))
            if wide and not np.can_cast(space.dtype, np.float32):
                self.dtype = np.dtype(np.float64)
        else:
            flat = "flatten it: gymnasium.wrappers.FlattenObservation"
            way = flat if space.is_np_flattenable else "make vectors of it: gymnasium.wrappers.TransformObservation"
            raise SpaceError(
                f"{owner} needs observations that are a vector or finite and {space} is neither",
                f"Take an environment with Box or Discrete observations, or {way}",
            )
        self._held = 2.0 ** (np.finfo(self.dtype).nmant + 1)  # every whole number up to here is held
        self._plain = isinstance(space, spaces.Box) and space.dtype == np.float32 and len(space.shape) == 1

    @property
    def as_pictures(self) -> str:
        """What the axes of pictures are taken for; empty where vectors are no pictures."""
        if self.picture is None:
            return ""
        height, width, channels = self.picture
        if len(shape := self.space.shape or ()) == 4:
            return (
                f"observations {shape} are {counted(shape[0], 'picture')} of {height} x {width} at a time, taken as "
                f"one with {counted(channels, 'channel')}, frame by frame"
            )
        place = "first" if self._turned else "last"
        return (
            f"observations {self.space.shape} are pictures of {height} x {width} with "
            f"{counted(channels, 'channel')}, which come{'s' * (channels == 1)} {place}: the shortest axis"
        )

    def vector(self, obs: Any) -> NDArray[Any]:
        """One observation as it comes out of the environment, `dtype` [D]."""
        if self._plain:
            return obs
        if self._parts:
            return np.concatenate([part.vector(obs[key]) for key, part in self._parts])
        if isinstance(self.space, spaces.MultiDiscrete | spaces.MultiBinary) and not self.space.contains(obs):
            raise SpaceError(f"{self.owner}: {obs!r} is not in {self.space}")
        if self._numbering is None and self._begins is None:
            array = self._narrowed(obs)
            return (np.moveaxis(array, *self._turned) if self._turned else array).ravel() * self._scale
        out = np.zeros(self.size, np.float32)
        if self._numbering is not None:
            out[self._numbering.index(obs)] = 1.0
        else:
            out[self._places(obs)] = 1.0
        return out

    def _places(self, obs: Any) -> NDArray[np.int64]:
        """Where the parts of one of MultiDiscrete are 1, [parts]."""
        space: Any = self.space
        return self._begins + (np.asarray(obs, np.int64) - space.start.astype(np.int64)).ravel()

    def vectors(self, observations: Any) -> NDArray[Any]:
        """One observation or a batch of them, `dtype` [B, D].

        Raises:
            SpaceError: not in the space.
        """
        batch, _ = batch_of(self.space, observations, self.owner)
        if self._parts or not isinstance(self.space, spaces.Box):
            return np.stack([self.vector(obs) for obs in batch])
        array = self._narrowed(batch)
        if self._turned:
            array = np.moveaxis(array, [axis + 1 for axis in self._turned[0]], self._turned[1])
        return array.reshape(-1, self.size) * self._scale

    def part(self, key: Any) -> tuple[int, VectorView]:
        """Where a part of a Dict or Tuple begins in a vector, and how it is seen.

        Example:
            >>> both = spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(0, 1, (2,))})
            >>> begins, view = VectorView(both, "MyAgent").part("b")
            >>> begins, view.size
            (3, 2)
        """
        begins = 0
        for name, view in self._parts:
            if name == key:
                return begins, view
            begins += view.size
        raise KeyError(key)

    def observations(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """What gives these vectors [B, D]: `vectors` the other way round, [B, ...], of a space without named parts.

        Example:
            >>> view = VectorView(spaces.MultiDiscrete([2, 3]), "MyAgent")
            >>> view.observations(view.vectors([[1, 2], [0, 1]])).tolist()
            [[1, 2], [0, 1]]
        """
        if self._numbering is not None:
            return np.array([self._numbering.value(int(number)) for number in vectors.argmax(axis=1)])
        if self._begins is not None:
            space: Any = self.space
            parts = np.split(vectors, self._begins[1:], axis=1)
            found = np.stack([part.argmax(axis=1) for part in parts], axis=1).reshape(-1, *space.shape) + space.start
            return found.astype(space.dtype)
        given = vectors / self._scale if self._scale != 1 else vectors
        whole = np.rint(given) if np.issubdtype(self.space.dtype, np.integer) else given
        return whole.astype(self.space.dtype).reshape(len(vectors), *(self.space.shape or ()))

    def _narrowed(self, obs: Any) -> NDArray[Any]:
        """Numbers as `dtype`; says once where that loses the difference between neighbours."""
        given = np.asarray(obs)
        found = given.astype(self.dtype, copy=False)
        if not self._warned and given.dtype.itemsize > 2 and given.dtype != self.dtype:
            if not np.abs(found).max(initial=0) >= self._held:
                return found
            large = np.abs(given[given != found]).max(initial=0)
            if large >= self._held:
                self._warned = True
                warn(
                    f"{self.owner} sees {self.dtype}, which tells numbers near {large:g} apart only in steps "
                    f"of {np.spacing(self.dtype.type(large)):g}: subtract an offset in the environment, for example by "
                    "gymnasium.wrappers.TransformObservation; said once"
                )
        return found
