"""Action masks: which actions of a finite space may be taken now; one notion for every agent.

An environment says it by a method ``action_masks()`` (Stable-Baselines3-contrib's convention; the outermost wrapper
that has one speaks) or by ``info["action_mask"]`` (Gymnasium's). A mask has one entry an action, or for an action of
several parts one entry a choice of each part, one part after the other.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, action_masks, changing_wrapper
from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault, UsageError, counted
from rlplay.spaces.action_parts import ActionParts
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import batch_of

Mask = NDArray[np.bool_]

_LARGEST = 1 << 20  # combinations of the parts of an action that are listed


class MaskSource:
    """Where one environment says which actions may be taken.

    Attributes:
        method: its ``action_masks``, None where it has none.
        by_wrapper: whether the method is that of a wrapper.

    Example:
        >>> from rlplay.environments.make import make
        >>> env = make("Taxi-v4", dynamics="gymnasium")
        >>> obs, info = env.reset(seed=0)
        >>> MaskSource(env).of(info).astype(int).tolist()
        [1, 1, 0, 0, 0, 0]
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._env, space = env, env.action_space
        self._parts = _parts_of(space)
        self._sizes = self._parts.sizes if self._parts is not None else ()
        self._states: tuple[FiniteSpace, Mask | None] | None = None
        self.method: Callable[[], Any] | None = None
        owner = _owner(env)
        found = inspect.getattr_static(owner, "action_masks", None) if self._sizes else None
        if isinstance(found, property) and not isinstance(owner, TableEnv | NativeEnv):
            self.method = partial(_property, owner)  # it may have no value before the first reset
        elif found is not None:
            self.method = getattr(owner, "action_masks", None)
        self.by_wrapper = self.method is not None and owner is not env.unwrapped
        self._renames = _renaming(env, owner if self.method is not None else env.unwrapped)
        if self.method is not None and self._renames:
            raise self._renamed()

    def of(self, info: dict[str, Any]) -> Mask | None:
        """The mask that goes with the environment's newest observation, bool [M]; None where all may be taken.

        Raises:
            EnvironmentFault: a mask of another length, or one that allows nothing.
        """
        if not self._sizes:
            return None
        mask = self.method() if self.method is not None else info.get("action_mask")
        if mask is None:
            return None
        if self._renames:
            raise self._renamed()
        return self.checked(mask)

    @property
    def everything(self) -> Mask:
        """The mask that allows everything, one entry a choice of each part."""
        return np.ones(sum(self._sizes), np.bool_)

    def _renamed(self) -> EnvironmentFault:
        return EnvironmentFault(
            f"the wrapper {self._renames} changes actions, and the action mask is about those inside it",
            f"Give {self._renames} a method action_masks() of its own, about its own actions",
        )

    def joint_of(self, info: dict[str, Any], ended: bool = False) -> Mask | None:
        """`of`, with one entry a combination of the parts; None after an episode's end."""
        mask = None if ended else self.of(info)
        return None if mask is None else self.joint(mask)

    def by_state(self, observation: Any) -> Mask | None:
        """The masks of finite observations, bool [B, A], where the environment says them for every state; or None.

        Example:
            >>> from rlplay.environments.make import make
            >>> MaskSource(make("Taxi-v4")).by_state([0, 1]).astype(int).tolist()
            [[1, 0, 1, 0, 1, 0], [1, 0, 1, 0, 1, 0]]
        """
        space = self._env.observation_space
        if not self._sizes or changing_wrapper(self._env) or not is_finite(space):
            return None
        if self._states is None:
            self._states = FiniteSpace(space), action_masks(self._env)
        numbering, masks = self._states
        if masks is None:
            return None
        batch, _ = batch_of(space, observation, "the mask")
        return masks[[numbering.index(one) for one in batch]]

    def checked(self, mask: Any, argument: str = "") -> Mask:
        """A mask as a flat array, bool [M].

        Args:
            mask: which actions may be taken.
            argument: as which argument it was given, where it is not the environment's.

        Raises:
            EnvironmentFault: another length, or one that allows nothing.
            UsageError: the same of an argument.
        """
        giver, fault = argument or reference(self._env), UsageError if argument else EnvironmentFault
        if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
            found = mask.ravel()
        else:
            try:
                numbers = np.asarray(mask, dtype=np.float64).ravel()
            except (TypeError, ValueError):
                numbers = np.array([np.nan])
            found = numbers == 1
            if not (found | (numbers == 0)).all():
                raise fault(
                    f"{giver} gave the action mask {' '.join(repr(mask).split())[:80]}",
                    "A mask has one entry an action, 1 where it may be taken and 0 where not",
                )
        parts, joint = sum(self._sizes), math.prod(self._sizes)
        if found.size not in (parts, joint if is_finite(self._env.action_space) else parts):
            raise fault(
                f"{giver} gave an action mask of {counted(np.size(mask), 'entry', 'entries')} for {joint:,} actions",
                "A mask has one entry an action, and at least one that may be taken",
            )
        split = _split(found, self._sizes) if found.size == parts else [found]
        if not all(part.any() for part in split):
            raise fault(
                f"{giver} gave an action mask that allows no action",
                "A mask has one entry an action, and at least one that may be taken",
            )
        return found

    def sample(self, info: dict[str, Any]) -> Any:
        """A random action of the space that may be taken."""
        space = self._env.action_space
        mask = self.joint_of(info) if is_finite(space) else self.of(info)
        if mask is None:
            return space.sample()
        if not is_finite(space):
            assert self._parts is not None
            row = self._parts.row(space.sample())
            for part, allowed in enumerate(_split(mask, self._sizes)):
                row[part] = space.np_random.choice(np.flatnonzero(allowed))
            return self._parts.value(row)
        numbering = FiniteSpace(space)
        if not isinstance(space, gym.spaces.Discrete):
            return numbering.value(int(space.np_random.choice(np.flatnonzero(mask))))
        return space.sample(mask=mask.astype(np.int8))

    def joint(self, mask: Mask) -> Mask:
        """The mask with one entry a combination of the parts, bool [A]."""
        if len(self._sizes) == 1 or mask.size != sum(self._sizes):
            return mask
        if math.prod(self._sizes) > _LARGEST:
            raise EnvironmentFault(f"the mask of {reference(self._env)} has too many combinations to list")
        found = np.ones(1, np.bool_)
        for part in _split(mask, self._sizes):
            found = (found[:, None] & part[None, :]).ravel()
        return found


def _parts_of(space: gym.Space[Any]) -> ActionParts | None:
    try:
        return ActionParts(space)
    except TypeError:  # texts, sequences: nothing that could be masked
        return None


def _split(mask: Mask, sizes: tuple[int, ...]) -> list[Mask]:
    return np.split(mask, np.cumsum(sizes)[:-1].tolist())


def _property(owner: gym.Env[Any, Any]) -> Any:
    found = owner.action_masks  # type: ignore[attr-defined]
    return found() if callable(found) else found


def _owner(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The outermost of an environment's layers that has ``action_masks``."""
    while isinstance(env, gym.Wrapper) and not (hasattr(type(env), "action_masks") or "action_masks" in vars(env)):
        env = env.env
    return env


def _renaming(env: gym.Env[Any, Any], owner: gym.Env[Any, Any]) -> str:
    """The name of a wrapper around the owner of the mask that changes actions; empty for none."""
    while env is not owner and isinstance(env, gym.Wrapper):
        if isinstance(env, gym.ActionWrapper):
            return type(env).__name__
        env = env.env
    return ""
