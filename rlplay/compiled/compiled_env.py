"""What every environment in native code is to Gymnasium's users: its generator, and attributes that are read only."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.pcg64 import reseed, to_generator
from rlplay.errors import NoAttributeError, UsageError, no_attribute


class ReadOnly:
    """An attribute that is computed, and that nobody can set: native code would not see it.

    Args:
        read: what it is, from the environment; None where it can neither be read nor set.
        name: of the attribute; in a class body it is known.

    Example:
        >>> from envs.cart_pole import CartPoleEnv
        >>> env = CartPoleEnv(masscart=2.0)
        >>> env.masscart, env.total_mass
        (2.0, 2.1)
        >>> env.masscart = 3.0
        Traceback (most recent call last):
            ...
        rlplay.errors.NoAttributeError: CartPoleEnv.masscart cannot be set: its dynamics run in native code. ...
    """

    def __init__(self, read: Callable[[Any], Any] | None = None, name: str = "") -> None:
        self._read, self._name = read, name

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, env: Any, owner: type | None = None) -> Any:
        if env is None:
            return self
        if self._read is None:
            return env.__getattr__(self._name)
        return self._read(env)

    def __set__(self, env: Any, value: Any) -> None:
        original = _original(env)
        raise NoAttributeError(
            f"{type(env).__name__}.{self._name} cannot be set: its dynamics run in native code",
            f"Set it in {original}" if original else "Give it as an argument where the environment is made",
        )


class CompiledEnv(gym.Env[Any, Any]):
    """A Gymnasium environment in native code.

    Attributes:
        rng: the state of its generator, shape [4], uint64.

    Example:
        >>> import rlplay
        >>> env = rlplay.make("CartPole-v1").unwrapped
        >>> isinstance(env, CompiledEnv), env.gravity
        (True, 9.8)
        >>> env.screen_width
        Traceback (most recent call last):
            ...
        rlplay.errors.NoAttributeError: 'CartPoleEnv' object has no attribute 'screen_width'. gym.make('CartPole-v1')...
    """

    rng: NDArray[np.uint64]

    @property
    def _np_random(self) -> np.random.Generator | None:
        """A NumPy generator that stands where this environment's stands; it goes its own way from there."""
        return to_generator(self.rng) if self.rng.any() else None

    @_np_random.setter
    def _np_random(self, generator: np.random.Generator | None) -> None:
        raise UsageError("a native environment has its own generator: give a seed to reset")

    @property
    def np_random_seed(self) -> int:
        """The seed of its generator, -1 where that is not known."""
        return -1 if self._np_random_seed is None else self._np_random_seed

    def seed_generator(self, seed: int | None) -> None:
        """Put the generator into the state of ``numpy.random.PCG64(seed)``; with None it goes on, or begins anyhow."""
        if seed is None and self.rng.any():
            return
        self._np_random_seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else int(seed)
        reseed(self.rng, self._np_random_seed)

    if not TYPE_CHECKING:  # a name that is mistyped stays one for type checkers

        def __getattr__(self, name: str) -> Any:
            original = _original(self)
            raise no_attribute(self, name, f"{original} has all attributes of the original" if original else "")


def _original(env: gym.Env[Any, Any]) -> str:
    """How to make the environment that one in native code stands for; empty where it stands for itself."""
    own = type(env)
    entry: Any = env.spec.entry_point if env.spec else None
    if env.spec is None or entry is own or entry == f"{own.__module__}:{own.__qualname__}":
        return ""
    return f"gym.make({env.spec.id!r})"
