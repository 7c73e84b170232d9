"""Feature maps as wrappers: any agent, ours or another library's, sees features in place of observations.

The map is fitted when the wrapper is made, on random play, unless it is fitted already; then it stays as it is. Where
features should be fitted again while an agent learns, give them to the agent (``features=``): it carries what it has
learned along.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoder import Encoder
from rlplay.approximation.encoders import new_encoder
from rlplay.approximation.feature_map import as_feature_map
from rlplay.environments.make import make
from rlplay.errors import UsageError
from rlplay.spaces.actions import as_played


def random_play(
    env: Any, steps: int, *, seed: int = 0, gamma: float = 0.99
) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Random play: where it led, and what followed from there.

    Args:
        env: an environment, or what `rlplay.make` takes.
        steps: how many.
        seed: of the first episode and of the actions.
        gamma: discount of the returns.

    Returns:
        The observations from which steps were taken, [N, ...], and their discounted returns, [N].

    Example:
        >>> obs, returns = random_play("CartPole-v1", 20)
        >>> obs.shape, float(returns[-1])
        ((20, 4), 1.0)
    """
    env = make(env)
    env.action_space.seed(seed)
    observations, returns, rewards = [], np.zeros(steps), []
    obs, _ = env.reset(seed=seed)
    start = 0
    for t in range(steps):
        observations.append(np.copy(obs))
        obs, reward, terminated, truncated, _ = env.step(as_played(env.action_space, env.action_space.sample()))
        rewards.append(float(reward))
        if terminated or truncated or t == steps - 1:
            g = 0.0
            for k in range(t, start - 1, -1):
                g = rewards[k] + gamma * g
                returns[k] = g
            start = t + 1
            obs, _ = env.reset()
    return np.stack(observations), returns


def _encoder(features: Any, env: Any, space: gym.Space[Any], seed: int) -> Encoder:
    plan = as_feature_map(features)
    if plan is None:
        raise UsageError("features=None: there is nothing to map", "Give features='k-means:64', or any transformer")
    encoder = new_encoder("vector", space, plan, "FeatureObservation", seed)
    if not encoder.ready:
        for obs in random_play(env, encoder.steps_to_fit(), seed=seed)[0]:
            encoder.remember(obs)
        encoder.fit()
    return encoder


def _space(size: int) -> gym.spaces.Box:
    return gym.spaces.Box(-np.inf, np.inf, (size,), np.float32)


class FeatureObservation(gym.ObservationWrapper[Any, Any, Any]):
    """An environment that shows features, float32 [F].

    Args:
        env: any environment with observations that are vectors or finite.
        features: as in the agents: an estimator, a `rlplay.FeatureMap`, or text; clusterers are one-hot.
        seed: of the random play, and of what the estimator draws.

    Example:
        >>> env = FeatureObservation(make("CartPole-v1"), "k-means:4,warm_up=100")
        >>> env.reset(seed=0)[0].shape  # the distances to four centres
        (4,)
    """

    def __init__(self, env: gym.Env[Any, Any], features: Any, *, seed: int = 0) -> None:
        super().__init__(env)
        self.features = _encoder(features, env, env.observation_space, seed)
        self.observation_space = _space(self.features.size)

    def observation(self, observation: Any) -> NDArray[np.float32]:
        """The features of an observation."""
        return self.features.encode(observation)


class FeatureVectorObservation(gym.vector.VectorWrapper):
    """A vector environment that shows features, float32 [N, F]; one call of the map a step for all environments.

    Final observations are mapped too, in every autoreset mode: an agent that bootstraps from one would otherwise take
    another space's numbers for features.

    Args:
        env: any vector environment whose single observations are vectors.
        features: as in the agents; an unfitted one is fitted on random play of ``sample_env``.
        sample_env: an environment of the same kind, or its id; by default the vector environment's own id.
        seed: of the random play, and of what the estimator draws.

    Example:
        >>> import rlplay
        >>> env = FeatureVectorObservation(rlplay.make_vec("CartPole-v1", 3), "k-means:4,warm_up=100")
        >>> env.reset(seed=0)[0].shape
        (3, 4)
    """

    def __init__(
        self, env: gym.vector.VectorEnv[Any, Any, Any], features: Any, *, sample_env: Any = None, seed: int = 0
    ) -> None:
        super().__init__(env)
        if sample_env is None:
            spec = getattr(env, "spec", None)
            sample_env = spec.id if spec is not None else None
        self.features = _encoder(features, sample_env, env.single_observation_space, seed)
        self.single_observation_space = _space(self.features.size)
        self.observation_space = gym.vector.utils.batch_space(self.single_observation_space, env.num_envs)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin episodes everywhere."""
        obs, info = self.env.reset(seed=seed, options=options)
        return self.features.encode_batch(obs), info

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step of all environments."""
        obs, rewards, terminated, truncated, info = self.env.step(actions)
        for key in ("final_obs", "final_observation"):
            if key in info:
                final = info[key]
                mapped = [None if one is None else self.features.encode(one) for one in final]
                column = np.empty(len(mapped), object)
                column[:] = mapped
                info = {**info, key: column}
        return self.features.encode_batch(obs), rewards, terminated, truncated, info
