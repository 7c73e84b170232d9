"""How an environment that was given as an instance is made again: layer by layer, with the same arguments.

A layer can be made again where its arguments are known: Gymnasium's recorders keep them
(`gymnasium.utils.RecordConstructorArgs`, `gymnasium.utils.EzPickle`, `gymnasium.make`), and a wrapper that takes only
the environment needs none. What was made is compared with what was given: the layers, the spaces, the time limits,
and every plain attribute that a few steps do not change. Anything else is refused by name; nothing is guessed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.utils import EzPickle
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from rlplay.errors import UsageError

_PROBE_STEPS = 20  # random steps after which an attribute that has not changed counts as an argument
_LARGEST = 10_000  # elements of an array that is compared
_CHECKS = (OrderEnforcing, PassiveEnvChecker)  # layers that only check how an environment is used
_UNKNOWN = object()

# What to do where an environment cannot be made again.
WAY_OUT = "Give a function that makes it, such as lambda: MyWrapper(gymnasium.make('CartPole-v1'))"

Maker = Callable[..., gym.Env[Any, Any]]


@dataclass(frozen=True)
class Layer:
    """One wrapper around an environment.

    Attributes:
        cls: its class.
        kwargs: the arguments it was made with; None where they are not known.

    Example:
        >>> layers_of(gym.make("CartPole-v1", max_episode_steps=9))[1][0].kwargs
        {'max_episode_steps': 9}
    """

    cls: type[gym.Wrapper[Any, Any, Any, Any]]
    kwargs: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Module and class, as Gymnasium writes them."""
        return f"{self.cls.__module__}:{self.cls.__qualname__}"


@dataclass(frozen=True)
class Blueprint:
    """An instance, taken apart.

    Attributes:
        base: makes what stands innermost; it takes ``render_mode`` and further arguments. None where it cannot be.
        base_name: its class.
        layers: the wrappers around it, the innermost first, without those that only check.
        looks: what the instance looked like when it was given, see `_looks`.

    Example:
        >>> blueprint = take_apart(gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1")))
        >>> [layer.cls.__name__ for layer in blueprint.layers], blueprint.obstacle
        (['TimeLimit', 'TimeAwareObservation'], '')
        >>> blueprint.make().observation_space.shape
        (5,)
    """

    base: Maker | None
    base_name: str
    layers: tuple[Layer, ...]
    looks: dict[str, Any] = field(repr=False)
    _verified: list[bool] = field(default_factory=list, repr=False, compare=False)

    @property
    def obstacle(self) -> str:
        """Why it cannot be made again, in words; empty where it can."""
        if self.base is None:
            return f"the arguments of {self.base_name} are not known"
        unknown = [layer.cls.__name__ for layer in self.layers if layer.kwargs is None]
        return f"the arguments of its wrapper {unknown[0]} are not known" if unknown else ""

    def make(self, **kwargs: Any) -> gym.Env[Any, Any]:
        """The environment made again; ``kwargs`` go to what stands innermost.

        Raises:
            UsageError: it cannot be, or what was made is not what was given; says what differs.
        """
        if self.obstacle:
            raise UsageError(self.obstacle, WAY_OUT)
        made = self._build(kwargs)
        if not self._verified:
            plain = self._build({}) if kwargs else made
            different = self._difference(plain)
            if plain is not made:
                plain.close()
            if different:
                made.close()
                raise UsageError(different, WAY_OUT)
            self._verified.append(True)
        return made

    def _build(self, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
        assert self.base is not None
        try:
            env = self.base(**kwargs)
            for layer in self.layers:
                env = layer.cls(env, **(layer.kwargs or {}))
        except (TypeError, ValueError, AttributeError, AssertionError, gym.error.Error) as error:
            words = " ".join(str(error).split())
            raise UsageError(
                f"the environment cannot be made again ({type(error).__name__}: {words})", WAY_OUT
            ) from error
        return env

    def _difference(self, made: gym.Env[Any, Any]) -> str:
        """What is other in an environment than in the one that was given; empty for nothing."""
        looks, again = self.looks, _looks(made)
        for name in ("layers", "observation_space", "action_space"):
            if looks[name] != again[name]:
                words = name.replace("_", " ")
                return f"made again, the environment has the {words} {again[name]}, not {looks[name]}"
        other = {k for k, v in again["attributes"].items() if not _same(v, looks["attributes"].get(k, _UNKNOWN))}
        if not other:
            return ""
        for place in sorted(other - self._moving(made)):
            old, new = looks["attributes"].get(place, _UNKNOWN), again["attributes"][place]
            if old is not _UNKNOWN:
                return f"{place} is {_brief(old)} in the environment that was given and {_brief(new)} in a new one"
        return ""

    def _moving(self, made: gym.Env[Any, Any]) -> set[str]:
        """The attributes that are no arguments: a few steps change them, or two new environments differ in them."""
        other = self._build({})
        first, second = _looks(made)["attributes"], _looks(other)["attributes"]
        other.action_space.seed(0)
        other.reset(seed=0)
        after = {k: _copied(v) for k, v in _looks(other)["attributes"].items()}
        moved = {k for k in first if not (_same(first[k], second.get(k)) and _same(first[k], after.get(k)))}
        for _ in range(_PROBE_STEPS):
            _, _, terminated, truncated, _ = other.step(other.action_space.sample())
            if terminated or truncated:
                other.reset()
        last = _looks(other)["attributes"]
        other.close()
        return moved | {k for k in first if not _same(after.get(k), last.get(k))}


def _unknown(env: gym.Env[Any, Any]) -> None:
    """No environment is known already."""


def take_apart(env: gym.Env[Any, Any], known: Callable[[gym.Env[Any, Any]], Maker | None] = _unknown) -> Blueprint:
    """The blueprint of an instance; nothing of it is kept, and it is neither reset nor stepped.

    Args:
        env: the instance.
        known: how an environment inside is made, where that is known already; else None.
    """
    inner, layers, base = layers_of(env, known)
    name = type(inner.unwrapped).__name__
    if base is None:
        base, prior = _base_of(inner)
        # What the id itself puts around the environment is part of the base.
        layers = layers[len(prior) :] if [layer.cls for layer in layers[: len(prior)]] == prior else layers
    return Blueprint(base, name, tuple(layers), _looks(env))


def layers_of(
    env: gym.Env[Any, Any], known: Callable[[gym.Env[Any, Any]], Maker | None] = _unknown
) -> tuple[gym.Env[Any, Any], list[Layer], Maker | None]:
    """What stands innermost (or is known already), the wrappers around it, the innermost first, and how it is made."""
    layers: list[Layer] = []
    while True:
        base = known(env)
        if base is not None or not isinstance(env, gym.Wrapper):
            return env, layers[::-1], base
        if not isinstance(env, _CHECKS):
            layers.append(Layer(type(env), _arguments(env)))
        env = env.env


def _arguments(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> dict[str, Any] | None:
    """The arguments a wrapper was made with, but for the environment; None where they are not known."""
    parameters = list(inspect.signature(type(wrapper).__init__).parameters.values())[2:]  # without self and env
    names = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if not parameters:
        return {}
    saved = getattr(wrapper, "_saved_kwargs", None)
    saved = None if saved is None else {k: v for k, v in saved.items() if k != "env"}
    return saved if saved is not None and set(saved) == names and len(names) == len(parameters) else None


def _base_of(env: gym.Env[Any, Any]) -> tuple[Maker | None, list[type]]:
    """How an environment without wrappers is made, and the wrappers that its id puts around it."""
    spec, cls = env.spec, type(env)
    if spec is not None:
        return _of_spec(spec), [layer.cls for layer in layers_of(_of_spec(spec)())[1]] if _wraps(spec) else []
    if isinstance(env, EzPickle):
        args, kwargs = env._ezpickle_args, env._ezpickle_kwargs
        return lambda **more: cls(*args, **{**kwargs, **more}), []
    parameters = list(inspect.signature(cls.__init__).parameters)[1:]
    if not parameters or cls.__init__ is object.__init__:
        return cls, []
    return None, []


def _wraps(spec: EnvSpec) -> bool:
    """Whether an id's entry point may put wrappers of its own around the environment: it is no class."""
    point: Any = spec.entry_point
    if isinstance(point, str):
        point = load_env_creator(point)
    return not (isinstance(point, type) and issubclass(point, gym.Env) and not issubclass(point, gym.Wrapper))


def _of_spec(spec: EnvSpec) -> Maker:
    """Makes the environment of a spec without what Gymnasium puts around it."""
    bare = replace(spec, max_episode_steps=None, order_enforce=False, disable_env_checker=True, additional_wrappers=())

    def make(**kwargs: Any) -> gym.Env[Any, Any]:
        if "max_episode_steps" in kwargs:
            raise TypeError("max_episode_steps belongs to the TimeLimit wrapper")
        return gym.make(bare, disable_env_checker=True, **kwargs)

    return make


def _looks(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """What can be compared of an environment: its layers, spaces, and the plain attributes of every layer."""
    layers, attributes, at = [], {}, env
    while True:
        if not isinstance(at, _CHECKS):
            name = type(at).__name__
            layers.append(name + (f"({at._max_episode_steps})" if isinstance(at, TimeLimit) else ""))
            attributes.update({f"{name}.{k}": _copied(v) for k, v in vars(at).items() if _plain(v)})
        if not isinstance(at, gym.Wrapper):
            break
        at = at.env
    return {
        "layers": " in ".join(layers[::-1]), "observation_space": env.observation_space,
        "action_space": env.action_space, "attributes": attributes,
    }  # fmt: skip


def _plain(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype != object and value.size <= _LARGEST
    if isinstance(value, list | tuple):
        return len(value) <= 100 and all(_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else type(value)(value) if isinstance(value, list) else value


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        both = np.asarray(one), np.asarray(other)
        if both[0].shape != both[1].shape:
            return False
        number = all(part.dtype.kind in "fc" for part in both)
        return bool(np.array_equal(*both, equal_nan=number))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other) or (repr(one) == repr(other) == "nan")


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
