"""How an environment that was given as an instance is made again: layer by layer, with the same arguments.

A layer can be made again where its arguments are known: Gymnasium's recorders keep them
(`gymnasium.utils.RecordConstructorArgs`, `gymnasium.utils.EzPickle`, `gymnasium.make`), and a wrapper that takes only
the environment needs none. What was made is compared with what was given: the layers, the spaces, the time limits,
and every plain attribute that a few steps do not change. Anything else is refused by name; nothing is guessed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from types import CodeType
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.utils import EzPickle
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker, TimeLimit

from rlplay.errors import UsageError, one_line
from rlplay.spaces.actions import as_played

_PROBE_STEPS = 20, 2000  # random steps, at least and at most, to an episode's end, that show which attributes change
_LARGEST = 10_000  # elements of an array that is compared
_UNKNOWN = object()

# Layers that only check how an environment is used.
CHECKS = (OrderEnforcing, PassiveEnvChecker)

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
        looks: what the instance looked like when it was given, see `look_of`.

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

    def __getstate__(self) -> dict[str, Any]:
        """What another process is sent: it is verified in this one."""
        return {**vars(self), "looks": {}, "_verified": [True]}

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
        limit = kwargs.get("max_episode_steps")  # -1 for none, as in gymnasium.make
        layers = self.layers if limit is None else [layer for layer in self.layers if layer.cls is not TimeLimit]
        try:
            env = self.base(**kwargs)
            if limit is not None and limit > 0:
                env = TimeLimit(env, limit)
            for layer in layers:
                env = layer.cls(env, **(layer.kwargs or {}))
        except (TypeError, ValueError, AttributeError, AssertionError, gym.error.Error) as error:
            words = one_line(error)
            raise UsageError(
                f"the environment cannot be made again ({type(error).__name__}: {words})", WAY_OUT
            ) from error
        return env

    def _difference(self, made: gym.Env[Any, Any]) -> str:
        """What is other in an environment than in the one that was given; empty for nothing."""
        return difference(self.looks, look_of(made), lambda: moving_attributes(partial(self._build, {})))


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
    return Blueprint(base, name, tuple(layers), look_of(env))


def layers_of(
    env: gym.Env[Any, Any], known: Callable[[gym.Env[Any, Any]], Maker | None] = _unknown
) -> tuple[gym.Env[Any, Any], list[Layer], Maker | None]:
    """What stands innermost (or is known already), the wrappers around it, the innermost first, and how it is made."""
    layers: list[Layer] = []
    while True:
        base = known(env)
        if base is not None or not isinstance(env, gym.Wrapper):
            return env, layers[::-1], base
        if not isinstance(env, CHECKS):
            layers.append(Layer(type(env), _arguments(env)))
        env = env.env


def _arguments(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> dict[str, Any] | None:
    """The arguments a wrapper was made with, but for the environment; None where they are not known."""
    parameters = list(inspect.signature(type(wrapper).__init__).parameters.values())[2:]  # without self and env
    names = {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    if not parameters:
        return {}
    saved = getattr(wrapper, "_saved_kwargs", None)
    if saved is None and isinstance(wrapper, EzPickle):
        try:
            bound = inspect.signature(type(wrapper)).bind(*wrapper._ezpickle_args, **wrapper._ezpickle_kwargs)
        except TypeError:
            return None
        bound.apply_defaults()
        saved = dict(list(bound.arguments.items())[1:])  # without the environment
    saved = None if saved is None else {k: v for k, v in saved.items() if k != "env"}
    return saved if saved is not None and set(saved) == names and len(names) == len(parameters) else None


def _base_of(env: gym.Env[Any, Any]) -> tuple[Maker | None, list[type]]:
    """How an environment without wrappers is made, and the wrappers that its id puts around it."""
    spec, cls = env.spec, type(env)
    if spec is not None and _can_be_made(spec):
        return _of_spec(spec), [layer.cls for layer in layers_of(_of_spec(spec)())[1]] if _wraps(spec) else []
    if isinstance(env, EzPickle):
        args, kwargs = env._ezpickle_args, env._ezpickle_kwargs
        return lambda **more: cls(*args, **{**kwargs, **_for_class(more)}), []
    parameters = list(inspect.signature(cls.__init__).parameters)[1:]
    if not parameters or cls.__init__ is object.__init__:
        return lambda **more: cls(**_for_class(more)), []
    return None, []


def _can_be_made(spec: EnvSpec) -> bool:
    """Whether the entry point of a spec is one: some environments write a spec of their own that says nothing."""
    try:
        return callable(spec.entry_point) or callable(load_env_creator(str(spec.entry_point)))
    except (ValueError, ImportError, AttributeError):
        return False


def _for_class(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that go to an environment's class; a time limit stands around it."""
    return {key: value for key, value in kwargs.items() if key != "max_episode_steps"}


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
        return gym.make(bare, disable_env_checker=True, **_for_class(kwargs))

    return make


def moving_attributes(make: Callable[[], gym.Env[Any, Any]]) -> set[str]:
    """The attributes that are no arguments: a few steps change them, or two new environments differ in them.

    Args:
        make: makes a new environment of the kind.

    Example:
        >>> moving = moving_attributes(lambda: gym.make("CartPole-v1"))
        >>> "CartPoleEnv.state" in moving, "CartPoleEnv.gravity" in moving
        (True, False)
    """
    made, other = make(), make()
    first, second = look_of(made)["attributes"], look_of(other)["attributes"]
    made.close()
    other.action_space.seed(0)
    other.reset(seed=0)
    after = look_of(other)["attributes"]
    moved = {k for k in first if not (same(first[k], second.get(k)) and same(first[k], after.get(k)))}
    least, most = _PROBE_STEPS
    for step in range(most):
        _, _, terminated, truncated, _ = other.step(as_played(other.action_space, other.action_space.sample()))
        if terminated or truncated:
            if step >= least:
                break
            other.reset()
    last = look_of(other)["attributes"]
    other.close()
    return moved | {k for k in last if not (same(after.get(k), last[k]) and same(first.get(k), last[k]))}


def difference(
    given: dict[str, Any],
    new: dict[str, Any],
    moving: Callable[[], Iterable[str]] = tuple,
    which: tuple[str, str] = ("in the environment that was given", "in a new one"),
) -> str:
    """What is other in the look of a new environment than in that of the one that was given, in words; or empty.

    Args:
        given: `look_of` the one.
        new: of the other.
        moving: gives the attributes that do not count; asked only where some differ.
        which: what the two are called.

    Example:
        >>> given, new = gym.make("CartPole-v1"), gym.make("CartPole-v1")
        >>> given.unwrapped.gravity = 20.0
        >>> difference(look_of(given), look_of(new))
        'CartPoleEnv.gravity is 20.0 in the environment that was given, and 9.8 in a new one'
    """
    for name in ("layers", "observation_space", "action_space"):
        if given[name] != new[name]:
            words = name.replace("_", " ")
            return f"made again, the environment has the {words} {new[name]}, not {given[name]}"
    mine, theirs = given["attributes"], new["attributes"]
    other = {k for k in {*mine, *theirs} if not same(mine.get(k, _UNKNOWN), theirs.get(k, _UNKNOWN))}
    for place in sorted(other.difference(moving())) if other else ():
        if place in mine:
            if place not in theirs:
                return f"{place} is {_brief(mine[place])} {which[0]}, and there is none {which[1]}"
            where, one, another = _innermost(place, mine[place], theirs[place])
            return f"{where} is {_brief(one)} {which[0]}, and {_brief(another)} {which[1]}"
    return ""


def look_of(env: gym.Env[Any, Any]) -> dict[str, Any]:
    """What can be compared of an environment: its layers, spaces, and the plain attributes of every layer.

    A layer that only checks has none, but for a method that was set by hand.
    """
    layers, attributes, at = [], {}, env
    while True:
        name, own = type(at).__name__, vars(at)
        if isinstance(at, CHECKS):
            own = {k: v for k, v in own.items() if callable(v) and k not in _INNER}
        else:
            layers.append(name + (f"({at._max_episode_steps})" if isinstance(at, TimeLimit) else ""))
        parts = {k: _plainly(v) for k, v in own.items() if k not in _INNER}
        attributes.update({f"{name}.{k}": v for k, v in parts.items() if v is not _UNKNOWN})
        if not isinstance(at, gym.Wrapper):
            break
        at = at.env
    return {
        "layers": " in ".join(layers[::-1]), "observation_space": env.observation_space,
        "action_space": env.action_space, "attributes": attributes,
    }  # fmt: skip


# What belongs to how an environment runs and is no argument, or is compared elsewhere.
_INNER = {
    "env", "spec", "_cached_spec", "observation_space", "action_space", "_observation_space", "_action_space",
    "render_mode",
}  # fmt: skip
_DEEPEST = 4  # levels of containers and objects that are looked into


_ATOMS = frozenset((type(None), bool, int, float, complex, str, bytes))


def _plainly(value: Any, depth: int = 0) -> Any:
    """A value as numbers, words, lists and dictionaries that can be compared; `_UNKNOWN` where it has none.

    A function is its code and its defaults, an object its attributes.
    """
    if type(value) in _ATOMS or isinstance(value, int | float | complex | str | bytes | np.generic | type):
        return value
    if isinstance(value, np.ndarray):
        return value.copy() if value.dtype != object and value.size <= _LARGEST else _UNKNOWN
    if depth == _DEEPEST or isinstance(value, gym.Env | gym.Space | np.random.Generator):
        return _UNKNOWN
    if isinstance(value, list | tuple | set | frozenset):
        many = sorted(value, key=repr) if isinstance(value, set | frozenset) else value
        return [_plainly(one, depth + 1) for one in many] if len(value) <= _LARGEST else _UNKNOWN
    if isinstance(value, dict):
        return {repr(k): _plainly(v, depth + 1) for k, v in value.items()} if len(value) <= _LARGEST else _UNKNOWN
    function = getattr(value, "__func__", value)
    if hasattr(function, "__code__"):
        return [function.__code__, _plainly(getattr(function, "__defaults__", None), depth + 1)]
    if isinstance(value, partial):
        return [_plainly(part, depth + 1) for part in (value.func, value.args, value.keywords)]
    attributes = getattr(value, "__dict__", None)
    if attributes:
        return {"class": type(value).__qualname__, **_plainly(dict(attributes), depth)}
    return [type(value).__qualname__] if callable(value) else _UNKNOWN


def same(one: Any, other: Any) -> bool:
    """Whether two values of `look_of` are equal.

    Example:
        >>> same([1, {"a": np.array([np.nan])}], [1, {"a": np.array([np.nan])}]), same([1], 1)
        (True, False)
    """
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        both = np.asarray(one), np.asarray(other)
        if both[0].shape != both[1].shape:
            return False
        number = all(part.dtype.kind in "fc" for part in both)
        return bool(np.array_equal(*both, equal_nan=number))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list | dict) or isinstance(other, list | dict):
        return False
    return bool(one == other) or (repr(one) == repr(other) == "nan")


def _innermost(place: str, one: Any, other: Any) -> tuple[str, Any, Any]:
    """Where in two values that differ they first do, as one would write it in Python, and the two values there."""
    while True:
        if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
            key = next(k for k in one if not same(one[k], other[k]))
            if key == "class":
                return place, one[key], other[key]
            place += f".{key[1:-1]}" if "class" in one else f"[{key}]"  # the keys of an object's attributes are quoted
        elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
            key = next(i for i in range(len(one)) if not same(one[i], other[i]))
            if isinstance(one[key], CodeType):
                return place, one, other
            place += f"[{key}]"
        elif isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.shape == other.shape != ():
            key = next(i for i in np.ndindex(one.shape) if not same(one[i], other[i]))
            return f"{place}[{', '.join(map(str, key))}]", one[key].item(), other[key].item()
        else:
            return place, one, other
        one, other = one[key], other[key]


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
