"""Running means and deviations of observations and returns, inside an agent and its file.

    observations  x ← clip((x - μ) / √(σ² + ε), ±c)        μ, σ² over all that were seen, a batch of environments a step
    rewards       r ← clip(r / √(σ_G² + ε), ±c)            σ_G² of the discounted sums G ← γ G + r of each environment

Source: as Stable-Baselines3's VecNormalize has them (Raffin et al. 2021), so that its settings mean the same; the
update of moments by batches is that of Chan, Golub & LeVeque 1983.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.errors import HyperparameterError

_DEFAULTS = {"norm_obs": True, "norm_reward": True, "clip_obs": 10.0, "clip_reward": 10.0, "epsilon": 1e-8}


class RunningMoments(NamedTuple):
    """The moments of D numbers an observation, and of the returns of N environments.

    Attributes:
        norm_obs, norm_reward: what is normalised.
        clip_obs, clip_reward: bounds of the normalised numbers.
        epsilon: what is added to a variance.
        gamma: discount of the returns.
        obs_mean, obs_variance: of the observations, float64 [D].
        obs_count: how many observations were seen, float64 [1].
        return_mean, return_variance: of the returns, float64 [1].
        return_count: how many returns were seen, float64 [1].
        returns: the discounted sum of each environment, float64 [N].

    Example:
        >>> moments, _ = new_running_moments(True, 2, 1, 0.99, "MyAgent")
        >>> observe_batch(moments, np.float32([[1, 10], [3, 30]]))
        >>> moments.obs_mean.round().tolist(), moments.obs_variance.round().tolist()
        ([2.0, 20.0], [1.0, 100.0])
    """

    norm_obs: bool
    norm_reward: bool
    clip_obs: float
    clip_reward: float
    epsilon: float
    gamma: float
    obs_mean: NDArray[np.float64]
    obs_variance: NDArray[np.float64]
    obs_count: NDArray[np.float64]
    return_mean: NDArray[np.float64]
    return_variance: NDArray[np.float64]
    return_count: NDArray[np.float64]
    returns: NDArray[np.float64]


def normalises_observations(given: Any) -> bool:
    """Whether ``normalize`` says that observations are normalised: False, True, or settings of VecNormalize."""
    return bool(given.get("norm_obs", True) if isinstance(given, dict) else given)


def new_running_moments(
    given: Any, obs_size: int, n_envs: int, gamma: float, owner: str
) -> tuple[RunningMoments, dict[str, NDArray[np.float64]]]:
    """Moments of nothing yet, and the arrays that a file keeps of them, by name.

    Args:
        given: ``normalize``: False, True, or settings of VecNormalize by name.
        obs_size: D.
        n_envs: N.
        gamma: discount of the returns, where the settings have none.
        owner: who asks, for errors.

    Raises:
        HyperparameterError: a setting that does not exist.
    """
    own = dict(given) if isinstance(given, dict) else {}
    for name in own:
        if name not in (*_DEFAULTS, "gamma"):
            raise HyperparameterError(f"{owner}: normalize has no {name!r}", f"It has {', '.join(_DEFAULTS)}, gamma")
    values = {**_DEFAULTS, "gamma": gamma, **own}
    if given is False:
        values.update(norm_obs=False, norm_reward=False)
    arrays = {
        "mean": np.zeros(obs_size), "variance": np.ones(obs_size), "moments": np.array([0.0, 1.0]),
        "counts": np.full(2, 1e-4), "sums": np.zeros(n_envs),
    }  # fmt: skip
    moments, counts = arrays["moments"], arrays["counts"]
    found = RunningMoments(
        norm_obs=bool(values["norm_obs"]), norm_reward=bool(values["norm_reward"]),
        clip_obs=float(values["clip_obs"]), clip_reward=float(values["clip_reward"]),
        epsilon=float(values["epsilon"]), gamma=float(values["gamma"]),
        obs_mean=arrays["mean"], obs_variance=arrays["variance"], obs_count=counts[:1],
        return_mean=moments[:1], return_variance=moments[1:], return_count=counts[1:], returns=arrays["sums"],
    )  # fmt: skip
    return found, arrays


@in_place
def observe_batch(moments: RunningMoments, batch: NDArray[Any]) -> None:
    """Take a batch of observations [N, D] into the moments."""
    if not moments.norm_obs:
        return
    n, count = batch.shape[0], moments.obs_count[0]
    total = count + n
    for d in range(batch.shape[1]):
        mean, variance = 0.0, 0.0
        for i in range(n):
            mean += batch[i, d] / n
        for i in range(n):
            variance += (batch[i, d] - mean) ** 2 / n
        gap = mean - moments.obs_mean[d]
        squares = moments.obs_variance[d] * count + variance * n + gap * gap * count * n / total
        moments.obs_mean[d] += gap * n / total
        moments.obs_variance[d] = squares / total
    moments.obs_count[0] = total


@in_place
def normalise(moments: RunningMoments, obs: NDArray[Any], out: NDArray[np.float32]) -> None:
    """An observation [D] as the networks see it."""
    if not moments.norm_obs:
        for d in range(obs.shape[0]):
            out[d] = obs[d]
        return
    for d in range(obs.shape[0]):
        scaled = (obs[d] - moments.obs_mean[d]) / math.sqrt(moments.obs_variance[d] + moments.epsilon)
        out[d] = min(max(scaled, -moments.clip_obs), moments.clip_obs)


@in_place
def normalise_batch(moments: RunningMoments, batch: NDArray[Any], out: NDArray[np.float32]) -> None:
    """Observations [B, D] as the networks see them."""
    for i in range(batch.shape[0]):
        normalise(moments, batch[i], out[i])


@in_place
def scale_rewards(moments: RunningMoments, rewards: NDArray[np.float64], ends: NDArray[np.bool_]) -> None:
    """Take a step's rewards [N] into the moments of the returns, and scale them in place."""
    if not moments.norm_reward:
        return
    returns, n, count = moments.returns, rewards.shape[0], moments.return_count[0]
    mean, variance, total = 0.0, 0.0, count + n
    for i in range(n):
        returns[i] = moments.gamma * returns[i] + rewards[i]
        mean += returns[i] / n
    for i in range(n):
        variance += (returns[i] - mean) ** 2 / n
    gap = mean - moments.return_mean[0]
    squares = moments.return_variance[0] * count + variance * n + gap * gap * count * n / total
    moments.return_mean[0] += gap * n / total
    moments.return_variance[0], moments.return_count[0] = squares / total, total
    clip, scale = moments.clip_reward, 1.0 / math.sqrt(moments.return_variance[0] + moments.epsilon)
    for i in range(n):
        rewards[i] = min(max(rewards[i] * scale, -clip), clip)
        if ends[i]:
            returns[i] = 0.0


@in_place
def scaled_reward(moments: RunningMoments, reward: float) -> float:
    """A reward that was kept as it came, as the moments of the returns scale it now."""
    if not moments.norm_reward:
        return reward
    scaled = reward / math.sqrt(moments.return_variance[0] + moments.epsilon)
    return min(max(scaled, -moments.clip_reward), moments.clip_reward)


def scaled_rewards(moments: RunningMoments, rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same of rewards [B].

    Example:
        >>> moments, _ = new_running_moments({"epsilon": 3.0}, 1, 1, 0.5, "MyAgent")  # a variance of 1
        >>> scaled_rewards(moments, np.array([-1.0, 200.0])).tolist()
        [-0.5, 10.0]
    """
    if not moments.norm_reward:
        return rewards
    scaled = rewards / math.sqrt(moments.return_variance[0] + moments.epsilon)
    return np.clip(scaled, -moments.clip_reward, moments.clip_reward)


def observe_episodes(
    moments: RunningMoments, obs: NDArray[Any], rewards: NDArray[np.float64], lengths: NDArray[np.int64]
) -> None:
    """Take whole episodes from elsewhere into the moments: observations [T + E, D], rewards [T] of E episodes.

    Example:
        >>> moments, _ = new_running_moments(True, 1, 1, 0.5, "MyAgent")
        >>> observe_episodes(moments, np.float32([[1], [3]]), np.array([2.0]), np.array([1]))
        >>> moments.obs_mean.round(2).tolist(), moments.return_mean.round(2).tolist()
        ([2.0], [2.0])
    """
    observe_batch(moments, obs)
    if not moments.norm_reward:
        return
    sums, t = np.zeros(len(rewards)), 0
    for length in lengths.tolist():
        total = 0.0
        for k in range(t, t + length):
            sums[k] = total = moments.gamma * total + rewards[k]
        t += length
    count, n = moments.return_count[0], len(sums)
    gap, total = sums.mean() - moments.return_mean[0], count + n
    squares = moments.return_variance[0] * count + sums.var() * n + gap * gap * count * n / total
    moments.return_mean[0] += gap * n / total
    moments.return_variance[0], moments.return_count[0] = squares / total, total
