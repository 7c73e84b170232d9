"""Environments from what a user gives: an id, ``module:id`` or ``:Class``, an ``EnvSpec``, a function, an instance.

Every environment made here has an `EnvReference`, which says what it is and how it is made again, whole: its wrappers,
its time limit, its arguments. An instance is taken apart for it (`rlplay.environments.rebuild`).
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
import warnings
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.wrappers import TimeLimit
from numpy.typing import NDArray

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, table_of
from rlplay.environments.dynamics import DynamicsChoice, carry_over, once_more, with_dynamics
from rlplay.environments.names import check_values, kwargs_of, spec_of
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.rebuild import WAY_OUT, Blueprint, Layer, Maker, layers_of, take_apart
from rlplay.environments.reference import EnvReference, json_kwargs, remember, remembered, shortened
from rlplay.environments.running_moments import take_over
from rlplay.environments.wrappers import Wrappers, listed, without_text, wrapped
from rlplay.errors import RlplayError, SpaceError, UsageError, one_line

EnvLike = str | EnvSpec | Callable[[], gym.Env[Any, Any]] | gym.Env[Any, Any]


def time_limit(env: gym.Env[Any, Any]) -> int:
    """The steps after which an episode is cut, 0 for never: the limit of its id, or a native environment's own.

    Example:
        >>> time_limit(make("CartPole-v1")), time_limit(make("rlplay/RandomWalk-v0"))
        (500, 0)
    """
    own, limits = env.unwrapped, []
    if isinstance(own, NativeEnv | TableEnv) and own.max_episode_steps:
        limits.append(own.max_episode_steps)
    while isinstance(env, gym.Wrapper):
        if isinstance(env, TimeLimit):
            limits.append(env._max_episode_steps)
        env = env.env
    return min(limits, default=0)


def reference(env: gym.Env[Any, Any]) -> EnvReference:
    """The reference of an environment made here, or of any instance from its ``spec``.

    Example:
        >>> ref = reference(make("FrozenLake-v1", is_slippery=False))
        >>> ref.id, ref.kwargs
        ('FrozenLake-v1', {'is_slippery': False})
    """
    return remembered(env) or remember(env, _taken_apart(env))


def make(
    env: EnvLike, *, dynamics: DynamicsChoice = "auto", render_mode: str | None = None, bonus: Any = None,
    wrapper: Wrappers | None = None, frame_stack: int | None = None, memory: Any = None, **kwargs: Any,
) -> gym.Env[Any, Any]:  # fmt: skip
    """Make an environment.

    Args:
        env: an id that is registered in Gymnasium or offered by a plug-in; ``module:id``, where importing the module
            registers the id; ``package.module:Class``; an ``EnvSpec``; a function that makes an environment; or an
            environment, which is returned as it is. Texts among its observations are left out, said once.
        dynamics: ``native`` runs an environment that has a native version (Gymnasium's classic control) or a transition
            table (``env.unwrapped.P``) in compiled code, ``gymnasium`` runs its own ``step``; ``auto`` takes native
            where what it gives agrees with what the environment does. Environments that are rendered run their own
            dynamics.
        render_mode: as in ``gymnasium.make``.
        bonus: a bonus in the rewards for what is new, see `rlplay.environments.bonus`.
        wrapper: ``module.Class`` of a wrapper, ``{module.Class: arguments}``, or a list of these, the innermost first;
            they go over Gymnasium's dynamics unless native ones are asked for.
        frame_stack: how many observations make one, see `rlplay.environments.wrappers.FrameStack`.
        memory: what observations hold of what was seen before, see `rlplay.environments.memory`.
        kwargs: arguments of the environment, and ``max_episode_steps``.

    Raises:
        UnknownNameError: no such environment; names the nearest.
        UsageError: the environment cannot be made with these arguments.
        SpaceError: native dynamics were asked for and the environment has no table.

    Example:
        >>> make("FrozenLake-v1").reset(seed=0)[0]
        0
        >>> make("FrozenLake-v2")
        Traceback (most recent call last):
            ...
        rlplay.errors.UnknownNameError: unknown environment 'FrozenLake-v2'. Did you mean FrozenLake-v1 or ...
    """
    if bonus is not None or memory is not None:
        around: dict[str, Any] = {"wrapper": wrapper, "frame_stack": frame_stack}
        plain = make(env, dynamics=dynamics, render_mode=render_mode, **around, **kwargs)
        made = plain if memory is None else _with_memory(plain, memory)
        return made if bonus is None else _with_bonus(made, bonus)
    wrappers = listed(wrapper)
    if not wrappers and frame_stack is None:
        return _told(_made(env, dynamics, render_mode, kwargs))
    plain = _made(env, "gymnasium" if dynamics == "auto" and isinstance(env, str) else dynamics, render_mode, kwargs)
    return _told(_with_wrappers(plain, wrappers, frame_stack))


def _made(env: EnvLike, dynamics: DynamicsChoice, render_mode: str | None, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """The environment itself, without wrappers that are named."""
    if isinstance(env, gym.Env):
        if kwargs or dynamics == "native" or render_mode not in (None, env.render_mode):
            raise UsageError(
                "arguments, native dynamics and render modes go with an environment's id, not with an instance",
                "Give the id, or make the instance with them",
            )
        reference(env)  # taken apart now, before it is stepped
        return env
    _render_without_display(render_mode)
    if render_mode not in (None, "human", "rgb_array", "ansi", "rgb_array_list", "ansi_list"):
        raise UsageError(f"render_mode={render_mode!r} is not known", "Take rgb_array, human or ansi")
    if isinstance(env, str):
        spec = spec_of(env)
    elif isinstance(env, EnvSpec):
        spec = env
    else:
        return _from_function(env, dynamics, render_mode, kwargs)
    name = env if isinstance(env, str) else spec.id
    check_values(name, spec, kwargs)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(out of date|overwrite|render.modes).*")
            given = (
                kwargs if render_mode is None else {**kwargs, "render_mode": render_mode}
            )  # not every class takes it
            made = gym.make(spec, disable_env_checker=True, **given)
    except gym.error.Error as error:
        raise UsageError(f"{name} cannot be made: {one_line(error)}") from error
    except TypeError as error:
        raise UsageError(f"{name} does not take these arguments: {one_line(error)}") from error
    except ImportError as error:
        raise UsageError(f"{name} needs a package that is missing: {one_line(error)}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be made: {one_line(error)}", getattr(error, "remedy", "")) from error
    except Exception as error:  # whatever its class raises
        words = ", ".join(f"{key}={shortened(value)}" for key, value in kwargs.items())
        raise UsageError(
            f"{name} cannot be made{' with ' * bool(words)}{words}: {type(error).__name__}: {one_line(error)}",
            f"See what it takes: rlplay show {name}",
        ) from error
    if isinstance(env, EnvSpec) and spec != (known := gym.registry.get(name)):  # arguments, limit, wrappers of its own
        if spec.additional_wrappers or known is None or spec.entry_point != known.entry_point:
            reference(made)
            return made
        limit = spec.max_episode_steps
        changed = limit != known.max_episode_steps
        kwargs = {
            **kwargs_of(spec),
            **({"max_episode_steps": -1 if limit is None else limit} if changed else {}),
            **kwargs,
        }
    return with_dynamics(made, _reference_by_id(name, kwargs), dynamics, spec)


def remake(ref: EnvReference, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make an environment again, for example with ``render_mode="rgb_array"``.

    Raises:
        UsageError: it cannot be made again; says why, and the way out.

    Example:
        >>> again = remake(reference(make("FrozenLake-v1", is_slippery=False)), map_name="8x8")
        >>> again.observation_space
        Discrete(64)
    """
    if ref.maker is not None:
        return ref.maker(**kwargs)
    if not ref.id:
        raise UsageError("the environment was given as an instance and cannot be made again", WAY_OUT)
    return make(ref.id, **{**ref.kwargs, **kwargs})


def made_again(env: gym.Env[Any, Any], **kwargs: Any) -> gym.Env[Any, Any]:
    """What the reference of an environment makes, with the same dynamics; it has learned nothing.

    Raises:
        UsageError: it cannot be made again; says why, and the way out.

    Example:
        >>> made_again(make("CartPole-v1", dynamics="gymnasium"), max_episode_steps=9)
        <TimeLimit<OrderEnforcing<CartPoleEnv<CartPole-v1>>>>
    """
    ref = reference(env)
    return _remake_with(ref, "auto" if ref.dynamics.startswith("native") else "gymnasium", **kwargs)


def make_anew(env: gym.Env[Any, Any], why: str, **kwargs: Any) -> gym.Env[Any, Any]:
    """The same environment once more: the same wrappers and what they have learned, limit, arguments and dynamics.

    Args:
        env: the environment.
        why: what it is needed for, for the error.
        kwargs: what is other in it, such as ``max_episode_steps``.

    Raises:
        UsageError: it cannot be made again; says why, and the way out.
        EnvironmentFault: there is none: the agent was loaded without its environment.

    Example:
        >>> env = gym.wrappers.TimeAwareObservation(gym.make("CartPole-v1"))
        >>> make_anew(env, "n_envs=2 needs a second one")
        <TimeAwareObservation<TimeLimit<CartPoleEnv<CartPole-v1>>>>
    """
    if isinstance(env.unwrapped, NoEnvironment):
        env.reset()
    ref = reference(env)
    shared = None if kwargs else once_more(env, ref)
    if shared is not None:
        return shared
    try:
        made = made_again(env, **kwargs)
    except UsageError as error:
        raise UsageError(f"{why}: {error.cause}", error.remedy) from error
    take_over(env, made)
    carry_over(env, made, **kwargs)
    return made


def require_anew(env: gym.Env[Any, Any], why: str) -> None:
    """Say early that `make_anew` will fail, as far as that is known without trying.

    Raises:
        UsageError: it cannot be made again; says why, and the way out.

    Example:
        >>> require_anew(make("CartPole-v1"), "evaluations need a second one")  # it can
    """
    obstacle = reference(env).obstacle
    if obstacle and not isinstance(env.unwrapped, NoEnvironment):
        raise UsageError(f"{why}: {obstacle}", WAY_OUT)


def taken_apart(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment was given as an instance, and its reference was found by taking it apart.

    Example:
        >>> taken_apart(gym.make("CartPole-v1")), taken_apart(make("CartPole-v1"))
        (True, False)
    """
    maker = reference(env).maker
    return isinstance(maker, partial) and maker.func is _by_blueprint


def take_apart_again(env: gym.Env[Any, Any]) -> None:
    """Find the reference of an instance anew: it has been changed since it was taken apart."""
    remember(env, _taken_apart(env))


def _reference_by_id(name: str, kwargs: dict[str, Any]) -> EnvReference:
    """The reference of an environment made by its id: arguments that a file cannot say are kept in memory."""
    said, unsaved = json_kwargs(kwargs)
    return EnvReference(name, said, unsaved=unsaved, maker=partial(_by_id, name, kwargs) if unsaved else None)


def _by_id(name: str, given: dict[str, Any], **kwargs: Any) -> gym.Env[Any, Any]:
    return make(name, **{**given, **kwargs})


def _with_wrappers(plain: gym.Env[Any, Any], wrappers: list[Any], frame_stack: int | None) -> gym.Env[Any, Any]:
    ref = reference(plain)
    made = wrapped(plain, wrappers, frame_stack)
    layers: dict[str, Any] = {"wrapper": wrappers or None, "frame_stack": frame_stack}
    given: dict[str, Any] = {name: value for name, value in layers.items() if value is not None}

    def again(**kwargs: Any) -> gym.Env[Any, Any]:
        changed = {name: kwargs.pop(name) for name in layers if name in kwargs}
        chosen = {**given, **changed}
        return _told(_with_wrappers(remake(ref, **kwargs), listed(chosen.get("wrapper")), chosen.get("frame_stack")))

    maker = again if ref.maker is not None else None
    why = f"the wrapper {type(made).__name__} around it is Python"
    remember(made, replace(ref, kwargs={**ref.kwargs, **given}, maker=maker, why_not_native=why))
    return made


def _told(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment without texts in its observations, which is made again so too."""
    told = without_text(env)
    if told is not env:
        ref = reference(env)
        maker = None if ref.maker is None else lambda **kwargs: _told(remake(ref, **kwargs))
        remember(told, replace(ref, maker=maker))
    return told


def _with_bonus(plain: gym.Env[Any, Any], bonus: Any) -> gym.Env[Any, Any]:
    from rlplay.environments.bonus import Novelty

    ref, given = reference(plain), copy.deepcopy(bonus)
    said, unsaved = json_kwargs({"bonus": bonus})
    wrapped = Novelty(plain, bonus)

    def again(**kwargs: Any) -> gym.Env[Any, Any]:
        chosen = kwargs.pop("bonus", given)
        made = remake(ref, **kwargs)
        return made if chosen is None else _with_bonus(made, copy.deepcopy(chosen))

    maker = again if unsaved or ref.maker is not None else None
    kwargs, why = {**ref.kwargs, **said}, f"the wrapper {type(wrapped).__name__} around it is Python"
    remember(wrapped, replace(ref, kwargs=kwargs, unsaved=(*ref.unsaved, *unsaved), maker=maker, why_not_native=why))
    return wrapped


def _with_memory(plain: gym.Env[Any, Any], memory: Any) -> gym.Env[Any, Any]:
    """The environment with a memory; those that are made again share what its model has learned."""
    from rlplay.environments.memory import Memory, as_memory

    ref, given = reference(plain), as_memory(memory)
    said, unsaved = json_kwargs({"memory": given.said()})
    wrapped = Memory(plain, given)

    def again(**kwargs: Any) -> gym.Env[Any, Any]:
        chosen = kwargs.pop("memory", given)
        made = remake(ref, **kwargs)
        return made if chosen is None else _with_memory(made, chosen)

    kwargs, why = {**ref.kwargs, **said}, f"the wrapper {type(wrapped).__name__} around it is Python"
    remember(wrapped, replace(ref, kwargs=kwargs, unsaved=(*ref.unsaved, *unsaved), maker=again, why_not_native=why))
    return wrapped


def _from_function(
    function: Any, dynamics: DynamicsChoice, render_mode: str | None, kwargs: dict[str, Any]
) -> gym.Env[Any, Any]:
    """An environment from a function that makes it; made again, the function is called again."""
    if not callable(function):
        raise _no_environment(function)
    if kwargs or dynamics == "native":
        raise UsageError(
            "arguments and native dynamics go with an environment's id, not with a function that makes one",
            "Give them inside the function",
        )
    made = _call(function)
    ref = remembered(made)
    if ref is None or ref.maker is not None:
        again = _CallAgain(function, _maker_of(made), made.unwrapped)
        ref = remember(made, replace(reference(made), maker=again, obstacle=""))
    return made if render_mode is None else remake(ref, render_mode=render_mode)


def _call(function: Any, **kwargs: Any) -> gym.Env[Any, Any]:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        made = function(**kwargs)
    except RlplayError:
        raise
    except Exception as error:
        raise UsageError(
            f"{name}() made no environment: {type(error).__name__}: {one_line(error)}",
            "Give a function that needs no arguments, such as lambda: MyEnv(size=5)",
        ) from error
    if not isinstance(made, gym.Env):
        raise _no_environment(made, f"{name}() gave no environment: ")
    for role in ("observation_space", "action_space"):
        if not isinstance(getattr(made, role, None), gym.Space):
            raise UsageError(f"{name}() gave an environment without an {role}", "Give it one: a gymnasium.spaces.Space")
    return made


class _CallAgain:
    """Calls a function once more; in another process nothing but the function goes along."""

    def __init__(self, function: Any, otherwise: Maker, first: gym.Env[Any, Any]) -> None:
        self._function, self._otherwise, self._first = function, otherwise, weakref.ref(first)

    def __call__(self, **kwargs: Any) -> gym.Env[Any, Any]:
        asked = _without_defaults(kwargs)
        named = inspect.signature(self._function).parameters
        if asked and not asked.keys() <= named.keys():
            return self._otherwise(**kwargs)
        made = _call(self._function, **asked)
        if made.unwrapped is self._first():
            name = getattr(self._function, "__name__", type(self._function).__name__)
            raise UsageError(f"{name}() gave the same environment twice", "Make it inside the function")
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return _ByFunction, (self._function,)


class _ByFunction:
    """Calls a function, in a process that was sent it."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def __call__(self, **kwargs: Any) -> gym.Env[Any, Any]:
        return _call(self._function, **_without_defaults(kwargs))


def _maker_of(env: gym.Env[Any, Any]) -> Maker:
    maker = reference(env).maker
    return maker if maker is not None else partial(remake, reference(env))


def _without_defaults(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without what asks for nothing special of an environment that has Gymnasium's dynamics and no bonus."""
    return {
        key: value
        for key, value in kwargs.items()
        if not ((key == "dynamics" and value != "native") or (key in ("bonus", "render_mode") and value is None))
    }


def _no_environment(given: Any, before: str = "") -> UsageError:
    """What to say of something that is no Gymnasium environment."""
    kind, brief = type(given).__name__, " ".join(repr(given).split())[:60]
    if isinstance(given, gym.vector.VectorEnv) or hasattr(given, "num_envs"):
        return SpaceError(
            f"{before}a {kind} is a vector of environments, and an agent makes its own",
            "Give the id or a function that makes one environment, and n_envs=... where the agent takes it",
        )
    if hasattr(given, "possible_agents"):
        return SpaceError(
            f"{before}a {kind} is an environment of several agents (PettingZoo's)",
            "Wrap it as a gymnasium.Env of one agent",
        )
    if given is None:
        return UsageError(f"{before}no environment (None)", "Give an id such as 'CartPole-v1', or an environment")
    return UsageError(
        f"{before}{brief} ({kind}) is no environment",
        "Give an id, package.module:Class, a gymnasium.Env, an EnvSpec, or a function that makes one",
    )


def _taken_apart(env: gym.Env[Any, Any]) -> EnvReference:
    """The reference of an instance that was not made here."""

    def known(inner: gym.Env[Any, Any]) -> Maker | None:
        ref = remembered(inner)
        dynamics = "auto" if ref is not None and ref.dynamics.startswith("native") else "gymnasium"
        return None if ref is None else partial(_remake_with, ref, dynamics)

    blueprint = take_apart(env, known)
    inner, layers, maker = layers_of(env, known)
    if maker is not None:
        ref = replace(reference(inner), maker=None)
    elif inner.spec is not None:
        said, unsaved = json_kwargs(kwargs_of(inner.spec))
        ref = EnvReference(inner.spec.id, said, unsaved=unsaved)
        layers = _beyond_the_id(ref, layers)
    else:
        ref = EnvReference("")
    wrappers = tuple((layer.name, _said(layer)) for layer in layers)
    return replace(
        ref, wrappers=(*ref.wrappers, *wrappers), dynamics="Gymnasium's", exact=True,
        maker=partial(_by_blueprint, blueprint, maker is not None), obstacle=blueprint.obstacle,
    )  # fmt: skip


def _remake_with(ref: EnvReference, usual: str, **kwargs: Any) -> gym.Env[Any, Any]:
    return remake(ref, **{"dynamics": usual, **kwargs})


def _by_blueprint(blueprint: Blueprint, known_inside: bool, **kwargs: Any) -> gym.Env[Any, Any]:
    asked = _without_defaults(kwargs)
    if known_inside and asked.get("render_mode"):
        asked["dynamics"] = "gymnasium"
    return blueprint.make(**asked)


def _beyond_the_id(ref: EnvReference, layers: list[Layer]) -> list[Layer]:
    """The layers that an id does not put there by itself; another time limit becomes an argument of the reference."""
    spec = gym.registry.get(ref.id)
    if spec is None:
        return layers
    limited = bool(layers) and layers[0].cls is TimeLimit
    limit = (layers[0].kwargs or {}).get("max_episode_steps") if limited else None
    if limit != spec.max_episode_steps:
        ref.kwargs["max_episode_steps"] = -1 if limit is None else limit
    layers = layers[limited:]
    own = [wrapper.entry_point for wrapper in spec.additional_wrappers]
    return layers[len(own) :] if [layer.name for layer in layers[: len(own)]] == own else layers


def _said(layer: Layer) -> dict[str, Any] | None:
    """The arguments of a layer as a file says them; None where it cannot."""
    if layer.kwargs is None:
        return None
    said, unsaved = json_kwargs(layer.kwargs)
    return None if unsaved else said


def with_first_states(env: gym.Env[Any, Any], start: NDArray[np.float64]) -> TableEnv:
    """The environment through its table, with other first states, by their probabilities [S].

    Raises:
        SpaceError: the environment has no table.

    Example:
        >>> env = with_first_states(make("FrozenLake-v1"), np.eye(16)[14])
        >>> env.reset(seed=0)[0]
        14
    """
    ref, table = reference(env), table_of(env)
    limit = time_limit(env)
    made = TableEnv(table.starting(start), env.observation_space, env.action_space, limit, env.spec)
    remember(made, replace(ref, dynamics="native, with first states of its own", exact=False))
    return made


def _render_without_display(render_mode: str | None) -> None:
    """MuJoCo draws without a display where this is set before; nothing else reads it."""
    displays = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if render_mode not in (None, "human") and sys.platform == "linux" and not displays:
        os.environ.setdefault("MUJOCO_GL", "egl")
