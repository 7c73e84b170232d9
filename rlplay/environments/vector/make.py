"""Vector environments from what a user types."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode

from rlplay.environments.dynamics import DynamicsChoice
from rlplay.environments.make import make
from rlplay.environments.vector.common import autoreset, check_number
from rlplay.environments.vector.native import NativeVectorEnv, can_be_batched
from rlplay.environments.vector.python import PythonVectorEnv
from rlplay.errors import UsageError


def make_vec(
    env: str | Callable[[], gym.Env[Any, Any]], num_envs: int = 1, *, dynamics: DynamicsChoice = "auto",
    workers: int = 0, autoreset_mode: AutoresetMode | str = "same-step", timeout: float | None = 60.0,
    render_mode: str | None = None, **kwargs: Any,
) -> gym.vector.VectorEnv[Any, Any, Any]:  # fmt: skip
    """Make many environments side by side.

    Native dynamics run in one native call (`NativeVectorEnv`), every other environment in this process or, with
    ``workers``, in processes of their own (`PythonVectorEnv`).

    Args:
        env: an id, ``package.module:Class``, or a function that makes one environment.
        num_envs: how many.
        dynamics: as in `rlplay.make`.
        workers: processes that share the environments; 0 for none. Environments with native dynamics need none.
        autoreset_mode: what happens at an episode's end: ``same-step`` begins the next one at once and puts the last
            observation into ``infos["final_obs"]``; ``next-step`` does so in the next step, whose action is ignored;
            ``disabled`` leaves it to ``reset(options={"reset_mask": ...})``.
        timeout: seconds that workers may take for a step; None for no limit.
        render_mode: as in `rlplay.make`.
        kwargs: arguments of the environment, and ``max_episode_steps``.

    Raises:
        UnknownNameError, UsageError, SpaceError: as `rlplay.make`; ``num_envs`` below 1.
        EnvironmentFault: an environment that cannot be made; names it.

    Example:
        >>> envs = make_vec("CartPole-v1", 3)
        >>> obs, _ = envs.reset(seed=0)
        >>> obs.shape, envs.step([0, 1, 0])[1].tolist()
        ((3, 4), [1.0, 1.0, 1.0])
    """
    check_number(num_envs)
    mode = autoreset(autoreset_mode)
    if not isinstance(env, str):
        if kwargs or dynamics == "native" or render_mode:
            raise UsageError("arguments and native dynamics go with an environment's id, not with a function")
        return PythonVectorEnv([env] * num_envs, workers=workers, autoreset_mode=mode, timeout=timeout)
    one = make(env, dynamics=dynamics, **kwargs)
    if can_be_batched(one) and dynamics != "gymnasium":
        drawn = make(env, render_mode=render_mode, **kwargs).unwrapped if render_mode else one
        if can_be_batched(drawn):
            limit = one.unwrapped.max_episode_steps  # type: ignore[attr-defined]
            native = NativeVectorEnv(
                drawn, num_envs, max_episode_steps=limit, autoreset_mode=mode, render_mode=render_mode
            )
            native.spec = one.spec
            return native
    spec = gym.registry.get(env)
    one.close()
    maker = partial(_make_one, env, spec, dynamics, render_mode, kwargs)
    made = PythonVectorEnv([maker] * num_envs, workers=workers, autoreset_mode=mode, timeout=timeout)
    made.spec, made.render_mode = one.spec, render_mode
    return made


def _make_one(
    env: str, spec: EnvSpec | None, dynamics: DynamicsChoice, render_mode: str | None, kwargs: dict[str, Any]
) -> gym.Env[Any, Any]:
    """One environment, perhaps in a process that does not know its id yet."""
    if spec is not None and env not in gym.registry:
        gym.registry[env] = spec
    return make(env, dynamics=dynamics, render_mode=render_mode, **kwargs)
