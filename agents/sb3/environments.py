"""The environments of a run as Stable-Baselines3 sees them: seeded from the run, counted, side by side, normalised."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlplay.extend import (
    DrawnWhenAsked,
    Encoder,
    HyperparameterError,
    MaskSource,
    ObservationCheck,
    Position,
    RunningEnv,
    Transition,
    VectorFeatures,
    begin_episode,
    random_seed,
    take_step,
)

Count = Callable[[Position, Transition], None]


class SeededEpisodes(gym.Env[Any, Any]):
    """One environment as Stable-Baselines3 steps it: episodes seeded from the run, every step checked and counted.

    Args:
        running_env: the environment, where the run stands in it, and its seeds.
        encoder: the agent's; with a feature map observations are given as its vectors.
        count: called after each step, with the position and the transition.
    """

    def __init__(self, running_env: RunningEnv, encoder: Encoder, count: Count) -> None:
        self._count, self._begun = count, time.time()
        self._view = encoder.view if isinstance(encoder, VectorFeatures) else None
        self.follow(running_env)
        env = running_env.env
        self.observation_space, self.metadata = env.observation_space, env.metadata
        if self._view is not None:
            self.observation_space = gym.spaces.Box(-np.inf, np.inf, (self._view.size,), np.float32)
        self.action_space = copy.deepcopy(env.action_space)  # it is sampled from in training
        self._scalar = isinstance(self.action_space, gym.spaces.Discrete)

    def follow(self, running_env: RunningEnv) -> None:
        """Step this environment from now on."""
        self._running_env, self._check = running_env, ObservationCheck(running_env.env)
        self._drawn = DrawnWhenAsked(running_env)
        self.render_mode = self._drawn.render_mode

    @property
    def spec(self) -> Any:  # type: ignore[override]
        """What Gymnasium knows of the environment."""
        return self._running_env.env.spec

    def has_wrapper_attr(self, name: str) -> bool:
        """Whether it, or the environment, has an attribute."""
        return hasattr(self, name) or self._running_env.env.has_wrapper_attr(name)

    def get_wrapper_attr(self, name: str) -> Any:
        """An attribute of its own or of the environment: what callbacks ask for by ``get_attr`` and ``env_method``."""
        return getattr(self, name) if hasattr(self, name) else self._running_env.env.get_wrapper_attr(name)

    def set_wrapper_attr(self, name: str, value: Any, *, force: bool = True) -> bool:
        """Set an attribute of the environment, where there is it."""
        return self._running_env.env.set_wrapper_attr(name, value, force=force)

    def render(self) -> Any:
        """The picture, uint8 [H, W, 3]."""
        return self._drawn.render()

    def _seen(self, obs: Any) -> Any:
        return obs if self._view is None else self._view.vector(obs)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with a seed of the run's own."""
        env, position, seeds = self._running_env
        begin_episode(env, position, random_seed(seeds), self._check)
        return self._seen(position.obs), position.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        env, position, _ = self._running_env
        taken = take_step(env, position, action.item() if self._scalar else action, self._check)
        info, ended = taken.info, taken.terminated or taken.truncated
        self._count(position, taken)
        if ended:  # as Stable-Baselines3's Monitor tells callbacks
            seconds = round(time.time() - self._begun, 6)
            info = {**info, "episode": {"r": position.episode_return, "l": position.length, "t": seconds}}
        return self._seen(taken.next_obs), taken.reward, taken.terminated, taken.truncated, info


class MaskedEpisodes(SeededEpisodes):
    """An environment that says which actions may be taken, as sb3-contrib asks for it."""

    def follow(self, running_env: RunningEnv) -> None:
        """Step this environment from now on."""
        super().follow(running_env)
        self._masks = MaskSource(running_env.env)

    def action_masks(self) -> NDArray[np.bool_]:
        """The actions that may be taken now, bool, an entry an action, of each part one after another."""
        mask = self._masks.of(self._running_env.position.info)
        return self._masks.everything if mask is None else mask


class SeededVecEnv(DummyVecEnv):  # type: ignore[misc]
    """Such environments side by side."""

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Set an attribute of the environments that are played."""
        for env in self._get_target_envs(indices):
            env.set_wrapper_attr(attr_name, value)


def make_vec_env(
    running_envs: Sequence[RunningEnv], encoder: Encoder, count: Count, normalize: Any, gamma: float, owner: str,
    kind: type[SeededEpisodes] = SeededEpisodes,
) -> Any:  # fmt: skip
    """All environments side by side, and around them what normalises observations and rewards.

    Args:
        running_envs: the environments of the run.
        encoder: the agent's.
        count: called after each step of each of them.
        normalize: False, True, or arguments of Stable-Baselines3's VecNormalize.
        gamma: the agent's, for its running returns.
        owner: who asks, for errors.
        kind: as which each is stepped.

    Raises:
        HyperparameterError: observations that cannot be normalised.
    """
    vec_env = SeededVecEnv([lambda one=one: kind(one, encoder, count) for one in running_envs])
    if normalize is False:
        return vec_env
    options = {} if normalize is True else normalize
    try:
        return VecNormalize(vec_env, **{"gamma": gamma, **options})
    except (TypeError, ValueError, KeyError) as error:
        raise HyperparameterError(
            f"{owner}: normalize={options!r} cannot be: {' '.join(str(error).split())}",
            'Rewards alone: normalize={"norm_obs": False}',
        ) from error
