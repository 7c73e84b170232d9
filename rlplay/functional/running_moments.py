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
# Places in the settings.
NORM_OBS, NORM_REWARD, CLIP_OBS, CLIP_REWARD, EPSILON, GAMMA = range(6)


class Normaliser(NamedTuple):
    """The moments of D numbers an observation, and of the returns of N environments.

    Attributes:
        settings: what is normalised and how far it is clipped, float64 [6].
        mean, variance: of the observations, float64 [D].
        moments: mean and variance of the returns, float64 [2].
        counts: how many observations and returns were seen, float64 [2].
        sums: the discounted sum of each environment, float64 [N].
    """

    settings: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    moments: NDArray[np.float64]
    counts: NDArray[np.float64]
    sums: NDArray[np.float64]


def new_normaliser(given: Any, obs_size: int, n_envs: int, gamma: float, owner: str) -> Normaliser:
    """From ``normalize``: False, True, or settings of VecNormalize by name.

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
    return Normaliser(
        np.array([float(values[name]) for name in (*_DEFAULTS, "gamma")]),
        np.zeros(obs_size), np.ones(obs_size), np.array([0.0, 1.0]), np.full(2, 1e-4), np.zeros(n_envs),
    )  # fmt: skip


@in_place
def see(normaliser: Normaliser, rows: NDArray[np.float32]) -> None:
    """Take a batch of observations [N, D] into the moments."""
    if normaliser.settings[NORM_OBS] == 0.0:
        return
    n, count = rows.shape[0], normaliser.counts[0]
    total = count + n
    for d in range(rows.shape[1]):
        mean, variance = 0.0, 0.0
        for i in range(n):
            mean += rows[i, d] / n
        for i in range(n):
            variance += (rows[i, d] - mean) ** 2 / n
        gap = mean - normaliser.mean[d]
        squares = normaliser.variance[d] * count + variance * n + gap * gap * count * n / total
        normaliser.mean[d] += gap * n / total
        normaliser.variance[d] = squares / total
    normaliser.counts[0] = total


@in_place
def seen_as(normaliser: Normaliser, row: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """An observation [D] as the networks see it."""
    if normaliser.settings[NORM_OBS] == 0.0:
        for d in range(row.shape[0]):
            out[d] = row[d]
        return
    clip, epsilon = normaliser.settings[CLIP_OBS], normaliser.settings[EPSILON]
    for d in range(row.shape[0]):
        scaled = (row[d] - normaliser.mean[d]) / math.sqrt(normaliser.variance[d] + epsilon)
        out[d] = min(max(scaled, -clip), clip)


@in_place
def rows_seen_as(normaliser: Normaliser, rows: NDArray[np.float32]) -> None:
    """Observations [B, D] as the networks see them, in place."""
    for i in range(rows.shape[0]):
        seen_as(normaliser, rows[i], rows[i])


@in_place
def scale_rewards(normaliser: Normaliser, rewards: NDArray[np.float64], ends: NDArray[np.bool_]) -> None:
    """Take a step's rewards [N] into the moments of the returns, and scale them in place."""
    if normaliser.settings[NORM_REWARD] == 0.0:
        return
    sums, n, count = normaliser.sums, rewards.shape[0], normaliser.counts[1]
    mean, variance, total = 0.0, 0.0, count + n
    for i in range(n):
        sums[i] = normaliser.settings[GAMMA] * sums[i] + rewards[i]
        mean += sums[i] / n
    for i in range(n):
        variance += (sums[i] - mean) ** 2 / n
    gap = mean - normaliser.moments[0]
    squares = normaliser.moments[1] * count + variance * n + gap * gap * count * n / total
    normaliser.moments[0] += gap * n / total
    normaliser.moments[1], normaliser.counts[1] = squares / total, total
    clip = normaliser.settings[CLIP_REWARD]
    scale = 1.0 / math.sqrt(normaliser.moments[1] + normaliser.settings[EPSILON])
    for i in range(n):
        rewards[i] = min(max(rewards[i] * scale, -clip), clip)
        if ends[i]:
            sums[i] = 0.0
