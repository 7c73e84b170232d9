"""Environments that another library plays side by side, taken one by one: Stable-Baselines3's and Gymnasium's.

An agent plays its environments itself, so of a ``VecEnv`` or a ``VectorEnv`` it needs the environments alone, and what
stands around all of them. Those in processes of their own cannot be reached; they are made again from what is known
of them: their ``spec``, or the functions that made them.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import gymnasium as gym

from rlplay.environments.drawn import DrawnWhenAsked
from rlplay.environments.instances import make_to_learn_in, why_not_native
from rlplay.environments.make import make, reference
from rlplay.environments.reference import remember
from rlplay.errors import UsageError, counted, warn_once

_PLAIN = ("VecMonitor", "VecTransposeImage", "VecCheckNan")  # what agents do themselves, or need not
_IN_PLACE = {
    "VecVideoRecorder": "Film what was learned: put it around an environment that predict plays in, or rlplay export"
}
_OF_VECTORS = ("num_envs", "render_mode", "vectorization_mode", "vector_kwargs", "max_episode_steps")  # of gym.make_vec
_OF_NORMALIZE = ("norm_obs", "norm_reward", "clip_obs", "clip_reward", "gamma", "epsilon", "norm_obs_keys")


@dataclass
class SideBySide:
    """Environments, and the settings that stand in place of what is around all of them.

    Attributes:
        envs: an environment each, or what makes it.
        settings: ``normalize``, for VecNormalize.
    """

    envs: list[Any]
    settings: dict[str, Any] = field(default_factory=dict)


def is_side_by_side(env: Any) -> bool:
    """Whether something is several environments: Stable-Baselines3's VecEnv, or Gymnasium's VectorEnv.

    Example:
        >>> is_side_by_side(gym.make_vec("CartPole-v1", num_envs=2)), is_side_by_side("CartPole-v1")
        (True, False)
    """
    return isinstance(env, gym.vector.VectorEnv) or _is_vec_env(env)


def taken_apart(env: Any, owner: str) -> SideBySide:
    """The environments of a VecEnv or a VectorEnv.

    Args:
        env: what `is_side_by_side` says yes to.
        owner: who asks, for errors.

    Raises:
        UsageError: they cannot be reached, or something stands around them that has no counterpart; says the way out.

    Example:
        >>> found = taken_apart(gym.make_vec("CartPole-v1", num_envs=2), "PPO")
        >>> len(found.envs), found.settings
        (2, {})
    """
    return _of_vec_env(env, owner) if _is_vec_env(env) else _of_vector_env(env, owner)


def vec_normalize_of(env: Any) -> Any:
    """The VecNormalize around environments, if what it sees is what their agent sees; None for none.

    Example:
        >>> vec_normalize_of(gym.make_vec("CartPole-v1", num_envs=2)) is None
        True
    """
    shape = getattr(env, "single_observation_space", env.observation_space).shape
    while env is not None and "VecNormalize" not in [cls.__name__ for cls in type(env).__mro__]:
        env = getattr(env, "venv", None)
    return env if env is not None and shape is not None and env.observation_space.shape == shape else None


def normalises(env: Any) -> bool:
    """Whether a VecNormalize stands around environments.

    Example:
        >>> normalises(gym.make_vec("CartPole-v1", num_envs=2))
        False
    """
    while env is not None and "VecNormalize" not in [cls.__name__ for cls in type(env).__mro__]:
        env = getattr(env, "venv", None)
    return env is not None


def as_one_kind(envs: list[Any]) -> list[gym.Env[Any, Any]]:
    """Environments given one by one; where they differ none of them runs in native code, which knows the first."""
    made = [make(env) for env in envs]
    first = reference(made[0])
    again = first.id and not first.unsaved and not first.obstacle
    if again and all(reference(env) == first for env in made[1:]):
        return made
    for env in made:  # each is what it is: native code would play them all as the first
        ref = reference(env)
        remember(env, replace(ref, why_not_native=ref.why_not_native or "the environments beside it differ from it"))
    return made


def _is_vec_env(env: Any) -> bool:
    return any(cls.__name__ == "VecEnv" and cls.__module__.startswith("stable_baselines3") for cls in type(env).__mro__)


def _of_vec_env(env: Any, owner: str) -> SideBySide:
    settings: dict[str, Any] = {}
    outermost, stack = env, 0
    shape: tuple[int, ...] = ()
    while (inner := getattr(env, "venv", None)) is not None:
        name = type(env).__name__
        if name == "VecNormalize":
            given = {key: getattr(env, key) for key in _OF_NORMALIZE if getattr(env, key, None) is not None}
            settings["normalize"] = given if env.training else {**given, "training": False}
            if stack:
                warn_once(
                    f"{owner} normalises what is stacked, and the VecNormalize stands within VecFrameStack, where it "
                    "normalises first. VecNormalize(VecFrameStack(...)) says what is done here"
                )
            if float(env.ret_rms.count) > 1.0 and vec_normalize_of(outermost) is None:
                warn_once(
                    f"{owner} begins its running means anew: those of the VecNormalize, of {env.ret_rms.count:,.0f} "
                    "steps, are of other observations, in parts or before they are stacked"
                )
        elif name == "VecFrameStack":
            stack, shape = int(getattr(env, "stacked_obs", env).n_stack), env.observation_space.shape or ()
        elif name == "VecMonitor" and getattr(env, "results_writer", None) is not None:
            warn_once(
                f"{owner}: VecMonitor writes no file here, where agents play its environments one by one: "
                "make_vec_env(..., monitor_dir=FOLDER) gives each a Monitor that does"
            )
        elif name not in _PLAIN:
            raise UsageError(
                f"{owner}: {name} stands around {counted(outermost.num_envs, 'environment')}, and its code plays no "
                "part here",
                _IN_PLACE.get(name)
                or f"Give one environment, or its id, with n_envs={outermost.num_envs}, and the wrapper around each",
            )
        env = inner
    if hasattr(env, "envs"):
        envs = [_without_monitor(one) for one in env.envs]
        undrawn = _undrawn(envs[0])
        if undrawn is not envs[0] and not why_not_native(make_to_learn_in(undrawn)):
            envs = [undrawn, *(_undrawn(one) for one in envs[1:])]
    else:
        envs = [_by_spec(spec, outermost, owner) for spec in env.get_attr("spec")]
    if stack:
        envs = [make(one, frame_stack=stack) for one in envs]
        ours = envs[0].observation_space.shape or ()
        if len(shape) < len(ours):
            warn_once(
                f"{owner}: VecFrameStack puts {stack} observations {(*shape[:-1], shape[-1] // stack)} beside each "
                f"other, {shape}, and here they are the channels of a picture, {ours}"
            )
        if len(shape) == len(ours) and sorted(shape) != sorted(ours):
            raise UsageError(
                f"{owner}: VecFrameStack makes observations {shape}, and along the channels they are {ours}",
                "Leave channels_order out",
            )
    return SideBySide(envs, settings)


def _of_vector_env(env: Any, owner: str) -> SideBySide:
    outermost = env
    while isinstance(env, gym.vector.VectorWrapper):
        if type(env).__name__ != "RecordEpisodeStatistics":  # agents count their episodes themselves
            raise UsageError(
                f"{owner}: {type(env).__name__} stands around {counted(env.num_envs, 'environment')}, and its code "
                "plays no part here",
                f"Give one environment, or its id, with n_envs={env.num_envs}, and the wrapper around each; for means "
                "and deviations normalize=True",
            )
        env = env.env
    if getattr(env, "envs", None):
        return SideBySide(list(env.envs))
    if getattr(env, "env_fns", None):  # in processes of their own
        return SideBySide(list(env.env_fns))
    spec = getattr(env, "spec", None)
    if spec is None:
        raise _unreachable(outermost, owner)
    return SideBySide([_by_spec(spec, outermost, owner) for _ in range(env.num_envs)])


def _without_monitor(env: Any) -> Any:
    """An environment without the Monitor around it that writes nothing, and without what ``get_env`` puts around it."""
    while isinstance(env, DrawnWhenAsked) or (
        "Monitor" in [cls.__name__ for cls in type(env).__mro__] and getattr(env, "results_writer", "none") is None
    ):
        env = env.env
    return env


def _undrawn(env: Any) -> Any:
    """A copy that is not drawn of an environment that makes pictures: drawing keeps native code from its steps.

    Stable-Baselines3's ``make_vec_env`` asks for pictures of every environment.
    """
    if getattr(env, "render_mode", None) != "rgb_array" or getattr(env.unwrapped, "_np_random", None) is not None:
        return env
    try:
        found = copy.deepcopy(env)
        found.unwrapped.render_mode = None
        if found.unwrapped.spec is not None:
            found.unwrapped.spec.kwargs.pop("render_mode", None)
    except Exception:  # of whatever its class is made
        return env
    return found


def _by_spec(spec: Any, env: Any, owner: str) -> gym.Env[Any, Any]:
    """An environment made again by what Gymnasium knows of one that cannot be reached."""
    if spec is None:
        raise _unreachable(env, owner)
    wrappers = tuple(one for one in spec.additional_wrappers or () if one.name != "Monitor")
    if any(one.kwargs is None for one in wrappers):
        raise _unreachable(env, owner)
    plain = _with_wrappers(spec, wrappers)
    return make(plain)


def _with_wrappers(spec: Any, wrappers: tuple[Any, ...]) -> Any:
    """A copy of an ``EnvSpec`` with other wrappers."""
    found = copy.copy(spec)
    found.additional_wrappers = wrappers
    found.kwargs = {name: value for name, value in spec.kwargs.items() if name not in _OF_VECTORS}
    return found


def _unreachable(env: Any, owner: str) -> UsageError:
    return UsageError(
        f"{owner}: the {env.num_envs} environments of {type(env).__name__} are out of reach, in processes of their own",
        f"Give one environment, its id, or a function that makes it, with n_envs={env.num_envs}; "
        "learn(..., workers='auto') plays them in processes",
    )
