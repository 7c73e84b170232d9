"""Environments from what a user types: an id, ``module:id``, ``module:Class`` or an instance; whose dynamics run."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from rlplay import registry
from rlplay.compiled.native import NativeEnv, same_numbers
from rlplay.compiled.table import TableEnv, agreement, has_table, table_of
from rlplay.environments.packages import import_typed, of_others, of_package, registered_by
from rlplay.environments.wrappers import Wrappers, listed, untrusted, without_text, wrapped
from rlplay.errors import SpaceError, UnknownNameError, UsageError, unknown

DynamicsChoice = Literal["auto", "native", "gymnasium"]
EnvLike = str | gym.Env[Any, Any]


@dataclass(frozen=True)
class EnvReference:
    """Which environment a run uses, as far as a file can say it.

    Attributes:
        id: Gymnasium's id, ``module:id`` or ``module:Class``; empty for an instance that was given without an id.
        kwargs: the arguments it was made with, as JSON values; ``wrapper`` and ``frame_stack`` are among them.
        dynamics: whose dynamics run, in words for people.
        exact: whether an episode recorded here replays in Gymnasium's own environment.
    """

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamics: str = "Gymnasium's"
    exact: bool = True

    @property
    def typed(self) -> bool:
        """Whether a module must be imported for it or its wrappers: never from a file, only from what a user typed."""
        return ":" in self.id or bool(untrusted(self.kwargs.get("wrapper")))

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.kwargs.items())
        return f"{self.id or 'an unnamed environment'}{f' ({shown})' if shown else ''}"


_same: dict[tuple[type, str, str], bool] = {}  # whether a native version gave an environment's own numbers
_references: WeakKeyDictionary[gym.Env[Any, Any], EnvReference] = WeakKeyDictionary()


def time_limit(env: gym.Env[Any, Any]) -> int:
    """The steps after which an episode is cut, 0 for never: the limit of its id, or a native environment's own.

    Example:
        >>> time_limit(make("CartPole-v1")), time_limit(make("rlplay/RandomWalk-v0"))
        (500, 0)
    """
    of_spec = env.spec.max_episode_steps if env.spec else None
    own = env.unwrapped
    return of_spec or (own.max_episode_steps if isinstance(own, NativeEnv | TableEnv) else 0)


def reference(env: gym.Env[Any, Any]) -> EnvReference:
    """The reference of an environment made here, or of any instance from its ``spec``.

    Example:
        >>> ref = reference(make("FrozenLake-v1", is_slippery=False))
        >>> ref.id, ref.kwargs
        ('FrozenLake-v1', {'is_slippery': False})
    """
    found = _references.get(env)
    if found is None:
        spec = env.spec
        found = EnvReference(spec.id, _json_kwargs(spec.kwargs)) if spec else EnvReference("")
    return found


def make(
    env: EnvLike, *, dynamics: DynamicsChoice = "auto", render_mode: str | None = None, bonus: Any = None,
    wrapper: Wrappers | None = None, frame_stack: int | None = None, **kwargs: Any,
) -> gym.Env[Any, Any]:  # fmt: skip
    """Make an environment.

    Args:
        env: an id that is registered in Gymnasium or offered by a plug-in; ``module:id``, where importing the module
            registers the id; ``package.module:Class``; or an environment, which is returned as it is. Texts among
            its observations are left out, said once.
        dynamics: ``native`` runs an environment that has a native version (Gymnasium's classic control) or a transition
            table (``env.unwrapped.P``) in compiled code, ``gymnasium`` runs its own ``step``; ``auto`` takes native
            where what it gives agrees with what the environment does. Environments that are rendered run their own
            dynamics.
        render_mode: as in ``gymnasium.make``.
        bonus: a bonus in the rewards for what is new, see `rlplay.environments.bonus`.
        wrapper: ``module.Class`` of a wrapper, ``{module.Class: arguments}``, or a list of these, the innermost first;
            they go over Gymnasium's dynamics unless native ones are asked for.
        frame_stack: how many observations make one, see `rlplay.environments.wrappers.FrameStack`.
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
    if bonus is not None:
        from rlplay.environments.bonus import Novelty

        plain = make(
            env, dynamics=dynamics, render_mode=render_mode, wrapper=wrapper, frame_stack=frame_stack, **kwargs
        )
        rewarded, ref = Novelty(plain, bonus), reference(plain)
        _references[rewarded] = replace(ref, kwargs={**ref.kwargs, **_json_kwargs({"bonus": bonus})})
        return rewarded
    if (wrappers := listed(wrapper)) or frame_stack is not None:
        made = _made(env, "gymnasium" if dynamics == "auto" else dynamics, render_mode, kwargs)
        ref, made = reference(made), wrapped(made, wrappers, frame_stack)
        layers = {"wrapper": wrappers or None, "frame_stack": frame_stack}
        more = {name: given for name, given in layers.items() if given is not None}
    else:
        made, more = _made(env, dynamics, render_mode, kwargs), {}
        ref = reference(made)
    told = without_text(made)
    if told is not env:
        _references[told] = replace(ref, kwargs={**ref.kwargs, **more})
    return told


def _made(env: EnvLike, dynamics: DynamicsChoice, render_mode: str | None, kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    """The environment itself, without wrappers that are named."""
    if isinstance(env, gym.Env):
        if kwargs or dynamics == "native" or render_mode not in (None, env.render_mode):
            raise UsageError(
                "arguments, native dynamics and render modes go with an environment's id, not with an instance",
                "Give the id, or make the instance with them",
            )
        return env
    spec = _spec(env)
    _render_without_display(render_mode)
    if render_mode not in (None, "human", "rgb_array", "ansi", "rgb_array_list", "ansi_list"):
        raise UsageError(f"render_mode={render_mode!r} is not known", "Take rgb_array, human or ansi")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*(out of date|overwrite|render modes).*")
            given = (
                kwargs if render_mode is None else {**kwargs, "render_mode": render_mode}
            )  # not every class takes it
            made = gym.make(spec, disable_env_checker=True, **given)
    except gym.error.Error as error:
        raise UsageError(f"{env} cannot be made: {_plain(error)}") from error
    except TypeError as error:
        raise UsageError(f"{env} does not take these arguments: {_plain(error)}") from error
    except ImportError as error:
        raise UsageError(f"{env} needs a package that is missing: {_plain(error)}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{env} cannot be made: {_plain(error)}", getattr(error, "remedy", "")) from error
    return _with_dynamics(made, EnvReference(env, _json_kwargs(kwargs)), dynamics, spec)


def remake(ref: EnvReference, **kwargs: Any) -> gym.Env[Any, Any]:
    """Make an environment again, for example with ``render_mode="rgb_array"``.

    Example:
        >>> again = remake(reference(make("FrozenLake-v1", is_slippery=False)), map_name="8x8")
        >>> again.observation_space
        Discrete(64)
    """
    return make(ref.id, **{**ref.kwargs, **kwargs})


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
    _references[made] = replace(ref, dynamics="native, with first states of its own", exact=False)
    return made


def known_env_ids() -> list[str]:
    """Every environment id that can be named: Gymnasium's registry and what plug-ins offer."""
    return sorted({*gym.registry, *registry.env_ids()})


def _spec(env: str) -> EnvSpec:
    if ":" in env:
        return _typed(env)
    if env not in gym.registry:
        entry_point = registry.load_environment(env)
        if entry_point and env not in gym.registry:
            gym.register(env, entry_point=entry_point)
    if env not in gym.registry:
        if packaged := of_package(env):
            raise UnknownNameError(f"unknown environment {env!r}", packaged)
        newest = [i for i in gym.registry if i.rpartition("-v")[0] == env]
        if newest:
            raise unknown("environment", env, newest, f"Give the version: {', '.join(newest)}")
        raise unknown(
            "environment",
            env,
            known_env_ids(),
            of_others(env) or "See `rlplay list envs`, or give your own as package.module:Class",
        )
    return gym.registry[env]


def _typed(env: str) -> EnvSpec:
    """What is behind ``package.module:Class``, which must be a gymnasium.Env, or ``module:id``, which it registers."""
    module_name, _, name = env.partition(":")
    module = import_typed(module_name, f"environment {env!r}")
    found: Any = getattr(module, name, None)
    if found is None and (name in gym.registry or not name.isidentifier()):
        return registered_by(module, name)
    if found is None:
        classes = [n for n, c in vars(module).items() if isinstance(c, type) and issubclass(c, gym.Env)]
        raise unknown(f"environment class in {module_name}", name, classes)
    if not (isinstance(found, type) and issubclass(found, gym.Env)):
        raise UsageError(f"{env} is not a gymnasium.Env", "Derive the class from gymnasium.Env")
    maker: Any = found
    return EnvSpec(id=env, entry_point=maker)


def _render_without_display(render_mode: str | None) -> None:
    """MuJoCo draws without a display where this is set before; nothing else reads it."""
    displays = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if render_mode not in (None, "human") and sys.platform == "linux" and not displays:
        os.environ.setdefault("MUJOCO_GL", "egl")


def _with_dynamics(
    made: gym.Env[Any, Any], ref: EnvReference, dynamics: DynamicsChoice, spec: EnvSpec
) -> gym.Env[Any, Any]:
    why_not = _no_native(made, ref, spec) if dynamics != "gymnasium" else "Gymnasium's dynamics were asked for"
    version: type[NativeEnv] | None = registry.recipes("NATIVE_VERSIONS").get(ref.id)
    limit = (made.spec.max_episode_steps if made.spec else None) or 0
    own = made.unwrapped
    if not why_not and isinstance(own, NativeEnv | TableEnv):
        own.max_episode_steps = limit or own.max_episode_steps
        own.spec = made.spec
        _references[own] = EnvReference(ref.id, ref.kwargs, "native, its own")
        return own
    if not why_not and version is not None:
        ours = version.from_reference(made)
        asked = (type(made.unwrapped), ref.id, repr(ref.kwargs))
        if asked not in _same:  # once a process: agents make many of a kind
            _same[asked] = same_numbers(made, ours)
        if _same[asked]:
            words = "native, the same numbers as Gymnasium's" + ("" if version.exact else ", but for a last digit")
            _references[ours] = EnvReference(ref.id, ref.kwargs, words, version.exact)
            made.close()
            return ours
        why_not = "its native version does not do what it does with these arguments"
    elif not why_not:
        table = table_of(made)
        agrees = agreement(made, table)
        if agrees == "none":
            why_not = "its transition table does not describe what it does"
        else:
            native = TableEnv(table, made.observation_space, made.action_space, limit, made.spec)
            words = "native, the same numbers as Gymnasium's" if agrees == "exact" else "native, drawn from its table"
            _references[native] = EnvReference(ref.id, ref.kwargs, words, agrees == "exact")
            made.close()
            return native
    if dynamics == "native":
        made.close()
        raise SpaceError(f"{ref.id} has no native dynamics: {why_not}", "Take dynamics='auto' or 'gymnasium'")
    _references[made] = ref
    return made


def _no_native(made: gym.Env[Any, Any], ref: EnvReference, spec: EnvSpec) -> str:
    """Why an environment cannot run natively; empty where it can."""
    if made.render_mode:
        return "it is rendered"
    if spec.additional_wrappers:
        return "its id adds wrappers of its own"
    for name, words in registry.recipes("NOT_THE_TABLE").get(ref.id, {}).items():
        if ref.kwargs.get(name):
            return words
    if ref.id in registry.recipes("NATIVE_VERSIONS") or isinstance(made.unwrapped, NativeEnv | TableEnv):
        return ""
    if not has_table(made):
        return "it has no native version and no transition table (env.unwrapped.P)"
    try:
        table_of(made)
    except SpaceError as error:
        return error.cause
    return ""


def _json_kwargs(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments that a file can hold; the others must be given again by the user."""
    kept = {}
    for key, value in kwargs.items():
        with contextlib.suppress(TypeError, ValueError):
            kept[key] = json.loads(json.dumps(value, allow_nan=False))
    return kept


def _plain(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")
