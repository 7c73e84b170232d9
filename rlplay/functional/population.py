"""Episodes of many policies, for searches without gradients: C candidates, E episodes each, by the same network.

A policy is deterministic: of finite actions the one with the greatest output (the first among equals), of a Box the
outputs themselves, or their tanh between the bounds. A candidate is its parameters. What a candidate gets depends on
its parameters and the seeds of its episodes alone, so candidates may be played in any order, on any number of cores.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import as_these, compiled, in_place, without_gil
from rlplay.compiled.native import NativeDynamics
from rlplay.compiled.pcg64 import normal, reseed
from rlplay.functional.running_moments import RunningMoments, normalise
from rlplay.networks.contract import Kernel

Floats = NDArray[np.float32]
Array = NDArray[np.float64]


class Results(NamedTuple):
    """What the episodes of C candidates gave.

    Attributes:
        returns: float64 [C, E].
        lengths: steps, int64 [C, E].
        seen: moments of the observations of each candidate: count, means, sums of squares, float64 [C, 1 + 2 D].

    Example:
        >>> new_results(4, 2, 3).seen.shape
        (4, 7)
    """

    returns: Array
    lengths: NDArray[np.int64]
    seen: Array


def new_results(candidates: int, episodes: int, obs_size: int) -> Results:
    """Room for what they gave.

    Example:
        >>> new_results(4, 2, 3).returns.shape
        (4, 2)
    """
    return Results(
        np.zeros((candidates, episodes)), np.zeros((candidates, episodes), np.int64),
        np.zeros((candidates, 1 + 2 * obs_size)),
    )  # fmt: skip


@in_place
def see(seen: Array, obs: NDArray[Any]) -> None:
    """Take an observation [D] into moments [1 + 2 D]: n += 1, μ += (x - μ) / n, S += (x - μ_old) (x - μ).

    Source: Welford 1962.

    Example:
        >>> seen = np.zeros(3)
        >>> see(seen, np.float32([1]))
        >>> see(seen, np.float32([3]))
        >>> seen.tolist()
        [2.0, 2.0, 2.0]
    """
    size = obs.shape[0]
    seen[0] += 1.0
    for d in range(size):
        gap = obs[d] - seen[1 + d]
        seen[1 + d] += gap / seen[0]
        seen[1 + size + d] += gap * (obs[d] - seen[1 + d])


def merge(moments: RunningMoments, seen: Array) -> None:
    """Take the moments of a candidate [1 + 2 D] into the running ones (Chan, Golub & LeVeque 1983).

    Example:
        >>> from rlplay.functional.running_moments import new_running_moments
        >>> moments, _ = new_running_moments(True, 1, 1, 0.99, "ARS")
        >>> merge(moments, np.array([2.0, 3.0, 8.0]))  # 1 and 5
        >>> moments.obs_mean.round(2).tolist(), moments.obs_variance.round(2).tolist()
        ([3.0], [4.0])
    """
    size = len(moments.obs_mean)
    n, count = seen[0], moments.obs_count[0]
    if not moments.norm_obs or n == 0:
        return
    gap, total = seen[1 : 1 + size] - moments.obs_mean, count + n
    squares = moments.obs_variance * count + seen[1 + size :] + gap**2 * count * n / total
    moments.obs_mean[:] += gap * n / total
    moments.obs_variance[:] = squares / total
    moments.obs_count[0] = total


@in_place
def draw(rng: NDArray[np.uint64], noise: Array) -> None:
    """Standard normal numbers, in place, [N, P].

    Example:
        >>> noise = np.zeros((500, 2))
        >>> draw(np.arange(1, 5, dtype=np.uint64), noise)
        >>> bool(abs(noise.mean()) < 0.1)
        True
    """
    for i in range(noise.shape[0]):
        for j in range(noise.shape[1]):
            noise[i, j] = normal(rng)


@in_place
def best_output(outputs: Floats, mask: NDArray[np.bool_]) -> int:
    """The action with the greatest output [K] of those that may be taken (an empty mask: all), the first of equals.

    Example:
        >>> best_output(np.float32([1, 3, 2]), np.array([True, False, True]))
        2
    """
    best, most = -1, -math.inf
    for a in range(outputs.shape[0]):
        if (mask.shape[0] == 0 or mask[a]) and (best < 0 or outputs[a] > most):
            best, most = a, outputs[a]
    return best


@in_place
def bound_action(outputs: Floats, low: Floats, high: Floats, squashed: bool, action: Floats) -> None:
    """An action of a Box from the outputs [A]: within its bounds, or tanh of them between its bounds.

    Example:
        >>> action = np.zeros(1, np.float32)
        >>> bound_action(np.float32([3]), np.float32([-2]), np.float32([2]), False, action)
        >>> action.tolist()
        [2.0]
    """
    for i in range(outputs.shape[0]):
        if squashed:
            action[i] = low[i] + 0.5 * (math.tanh(outputs[i]) + 1.0) * (high[i] - low[i])
        else:
            action[i] = min(max(outputs[i], low[i]), high[i])


@cache
def population_loop(native: NativeDynamics, kernel: Kernel) -> Callable[..., None]:
    """The compiled loop over candidates in an environment with native dynamics.

    ``loop(parameters, bounds, net, size, candidates, seeds, moments, squashed, limit, state_size, results)`` fills the
    results of all candidates [C, P]; their P parameters are the first of the network's.

    Example:
        >>> from agents import ARS
        >>> agent = ARS("CartPole-v1", n_delta=2, seed=0)
        >>> loop = population_loop(agent.env.dynamics, agent._kernel)
        >>> loop is population_loop(agent.env.dynamics, agent._kernel)  # one for all such networks
        True
    """
    native_reset, native_step, native_observe, continuous = native
    forward_row = kernel.forward_row
    joined = as_these(native_reset, native_step, native_observe)

    @joined
    def bounded(
        parameters: Any, state: Any, outputs: Any, bounds: Any, squashed: bool, action: Any, rng: Any
    ) -> tuple[float, bool]:  # fmt: skip
        bound_action(outputs, bounds[0], bounds[1], squashed, action)
        return native_step(parameters, state, action, rng)

    @joined
    def numbered(
        parameters: Any, state: Any, outputs: Any, bounds: Any, squashed: bool, action: Any, rng: Any
    ) -> tuple[float, bool]:  # fmt: skip
        best, most = 0, outputs[0]
        for a in range(1, outputs.shape[0]):
            if outputs[a] > most:
                best, most = a, outputs[a]
        return native_step(parameters, state, best, rng)

    move = bounded if continuous else numbered

    @compiled
    def play(
        parameters: Any, bounds: Any, net: Any, seed: int, moments: Any, squashed: bool, limit: int, state: Any,
        obs: Any, seen: Any,
    ) -> tuple[float, int]:  # fmt: skip
        """One episode: its return and length."""
        rng, x, action = np.empty(4, np.uint64), np.empty(obs.shape[0], np.float32), np.empty_like(bounds[0])
        reseed(rng, seed)
        native_reset(parameters, state, rng)
        native_observe(parameters, state, obs)
        gained, length, terminated = 0.0, 0, False
        if moments.norm_obs:
            see(seen, obs)
        while not terminated and length < limit:
            normalise(moments, obs, x)
            reward, terminated = move(parameters, state, forward_row(net, x), bounds, squashed, action, rng)
            native_observe(parameters, state, obs)
            if moments.norm_obs:
                see(seen, obs)
            gained, length = gained + reward, length + 1
        return gained, length

    @without_gil
    def loop(
        parameters: Any, bounds: Any, net: Any, candidates: Any, seeds: Any, moments: Any, squashed: bool, limit: int,
        state_size: int, results: Results,
    ) -> None:  # fmt: skip
        state, obs = np.zeros(state_size), np.zeros(moments.obs_mean.shape[0], np.float32)
        for c in range(candidates.shape[0]):
            for i in range(candidates.shape[1]):
                net.parameters[i] = candidates[c, i]
            for e in range(seeds.shape[1]):
                gained, length = play(
                    parameters, bounds, net, seeds[c, e], moments, squashed, limit, state, obs, results.seen[c]
                )
                results.returns[c, e], results.lengths[c, e] = gained, length

    return loop


# What searches do with the results.


def centred_ranks(scores: Array) -> Array:
    """Ranks of scores [C] scaled to -0.5 .. 0.5; equal scores share their mean rank.

    Source: Salimans et al. 2017, section 2.1 (fitness shaping; Wierstra et al. 2014).

    Example:
        >>> centred_ranks(np.array([10.0, 30.0, 20.0, 20.0])).round(4).tolist()
        [-0.5, 0.5, 0.0, 0.0]
    """
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    ranks = (last - (counts + 1) / 2.0)[place]  # from 0
    return ranks / max(len(scores) - 1, 1) - 0.5


def random_search_step(plus: Array, minus: Array, noise: Array, n_top: int) -> tuple[Array, float]:
    """The direction of augmented random search [P] over the pairs with the best scores, and the deviation of these.

        Σ_k (r⁺_k - r⁻_k) δ_k / (b σ_r)        over the b pairs with the greatest max(r⁺, r⁻)

    Source: Mania, Guy & Recht 2018, algorithm 2.

    Example:
        >>> step, deviation = random_search_step(np.array([3.0]), np.array([1.0]), np.array([[1.0, 2.0]]), 1)
        >>> step.round(4).tolist(), round(deviation, 4)
        ([1.4142, 2.8284], 1.4142)
    """
    order = np.argsort(-np.maximum(plus, minus), kind="stable")[:n_top]
    deviation = float(np.std(np.concatenate([plus[order], minus[order]]), ddof=1))
    return (plus[order] - minus[order]) @ noise[order] / (n_top * deviation + 1e-6), deviation


def elite_moments(candidates: Array, scores: Array, n_elites: int) -> tuple[Array, Array]:
    """Mean and variance of the best candidates, [P] each.

    Source: Szita & Lőrincz 2006, equations 1 and 2 (cross-entropy method; Rubinstein 1999).

    Example:
        >>> mean, variance = elite_moments(np.array([[1.0], [3.0], [9.0]]), np.array([2.0, 2.0, 1.0]), 2)
        >>> mean.tolist(), variance.tolist()
        ([2.0], [1.0])
    """
    best = candidates[np.argsort(-scores, kind="stable")[:n_elites]]
    return best.mean(axis=0), best.var(axis=0)


__all__ = [
    "Results", "best_output", "bound_action", "centred_ranks", "draw", "elite_moments", "merge", "new_results",
    "population_loop", "random_search_step", "see",
]  # fmt: skip
