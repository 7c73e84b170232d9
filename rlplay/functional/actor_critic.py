"""Equations that deterministic and soft actor-critic methods share: pairs, targets, and gradients at the outputs.

For a batch of B transitions and C critics Q_c(s, a):

    targets     y = r + Γ [min_c Q'_c(s', a') - α log π(a' | s')]        Γ = γ, and 0 where the episode terminated
    critics     L = w Σ_c 1/B Σ_n [Q_c(s, a) - y]²        ∂L/∂Q_c = 2 w (Q_c - y) / B
    actor       g = ∂Q/∂a through the least critic of each row (soft), or the first (deterministic)

Source: Lillicrap et al. 2016, algorithm 1; Fujimoto, van Hoof & Meger 2018, algorithm 1; Haarnoja et al. 2018,
equations 5 and 7.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place, reordered
from rlplay.compiled.pcg64 import normal

Floats = NDArray[np.float32]


class Work(NamedTuple):
    """Working memory of an update of B transitions, D numbers that the networks see, A an action, C critics.

    Attributes:
        noise: standard normal numbers, float32 [B, A].
        actions: of the actor, float32 [B, A].
        log_probs: of these actions, float64 [B].
        pairs: observations and actions side by side, float32 [B, D + A].
        targets: of the critics, float64 [B].
        quantile_targets: of critics that give quantiles, float64 [B, M]; [B, 0] for others.
        sorted: the next quantiles of a row, float64 [C K].
        critic_gradient: at the outputs of the critics, float32 [C, B, K].
        actor_gradient: at the outputs of the actor, float32 [B, O].
        log_alpha: log of the temperature, float64 [1].
        log_alpha_means: of its Adam: m, v, and steps so far, float64 [3].
        act_draws: standard normal numbers of the last actions, float32 [N, A].
        act_log_probs: of these actions, float64 [N].
        action_noise: what an Ornstein-Uhlenbeck process adds to them, float32 [N, A].
        both_pairs: pairs of both states of each transition, where one pass values both, float32 [2 B, D + A]; else [0].
        values, next_values: what that pass said of either, float32 [C, B, 1]; else [0].
        both_gradient: at its outputs, float32 [C, 2 B, 1]; else [0].

    Example:
        >>> new_work(3, 1, 2, (2, 256, 1)).pairs.shape
        (256, 4)
    """

    noise: Floats
    actions: Floats
    log_probs: NDArray[np.float64]
    pairs: Floats
    targets: NDArray[np.float64]
    quantile_targets: NDArray[np.float64]
    sorted: NDArray[np.float64]
    critic_gradient: Floats
    actor_gradient: Floats
    log_alpha: NDArray[np.float64]
    log_alpha_means: NDArray[np.float64]
    act_draws: Floats
    act_log_probs: NDArray[np.float64]
    action_noise: Floats
    both_pairs: Floats
    values: Floats
    next_values: Floats
    both_gradient: Floats


def new_work(
    obs_size: int, action_size: int, actor_outputs: int, critic_outputs: tuple[int, int, int], kept: int = 0,
    n_envs: int = 1, joint: bool = False,
) -> Work:  # fmt: skip
    """Working memory.

    ``critic_outputs`` is the shape [C, B, K], ``kept`` the quantiles M that are kept of the next, ``joint`` whether one
    pass of the critics values both states of a transition.
    """
    critics, rows, outputs = critic_outputs
    also = rows if joint else 0
    return Work(
        noise=np.zeros((rows, action_size), np.float32), actions=np.zeros((rows, action_size), np.float32),
        log_probs=np.zeros(rows), pairs=np.zeros((rows, obs_size + action_size), np.float32), targets=np.zeros(rows),
        quantile_targets=np.zeros((rows, kept)), sorted=np.zeros(critics * outputs),
        critic_gradient=np.zeros(critic_outputs, np.float32),
        actor_gradient=np.zeros((rows, actor_outputs), np.float32), log_alpha=np.zeros(1),
        log_alpha_means=np.zeros(3), act_draws=np.zeros((n_envs, action_size), np.float32),
        act_log_probs=np.zeros(n_envs), action_noise=np.zeros((n_envs, action_size), np.float32),
        both_pairs=np.zeros((2 * also, obs_size + action_size), np.float32),
        values=np.zeros((critics, also, outputs), np.float32),
        next_values=np.zeros((critics, also, outputs), np.float32),
        both_gradient=np.zeros((critics, 2 * also, outputs), np.float32),
    )  # fmt: skip


class SoftNets(NamedTuple):
    """The networks of a soft actor-critic: a policy, critics (an ensemble), and those that follow the critics.

    Example:
        >>> from agents import SAC
        >>> nets = SAC("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0).memory.nets
        >>> nets.critics.outputs.shape, nets.target_critics.outputs.shape  # two critics, a batch of 4
        ((2, 4, 1), (2, 4, 1))
    """

    actor: Any
    critics: Any
    target_critics: Any


class JointNets(NamedTuple):
    """The same without targets: ``both`` are the critics themselves, over both states of each transition, 2 B rows.

    Example:
        >>> from agents import SAC
        >>> nets = SAC("Pendulum-v1", target_networks=False, net_arch=[4], batch_size=4, seed=0).memory.nets
        >>> nets.both.outputs.shape, nets.both.net.parameters is nets.critics.net.parameters
        ((2, 8, 1), True)
    """

    actor: Any
    critics: Any
    both: Any


class DeterministicNets(NamedTuple):
    """The networks of a deterministic actor-critic, whose actor is followed by one too.

    Example:
        >>> from agents import TD3
        >>> nets = TD3("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0).memory.nets
        >>> bool((nets.actor.parameters == nets.target_actor.parameters).all())  # before the first update
        True
    """

    actor: Any
    target_actor: Any
    critics: Any
    target_critics: Any


class SoftMetrics(NamedTuple):
    """Numbers of the last update of a soft actor-critic, float64 [1] each.

    Attributes:
        loss: of actor and critics together.
        actor_loss, critic_loss: its parts.
        ent_coef: the temperature α.
        ent_coef_loss: its loss, 0 where it is fixed.
        learning_rate: of the update.
        grad_norm: length of the gradient of the critics.
        n_updates: updates so far.

    Example:
        >>> numbers = np.zeros(8)
        >>> metrics = SoftMetrics(*(numbers[i : i + 1] for i in range(8)))
        >>> metrics.ent_coef[0] = 0.5  # all are kept in one array
        >>> numbers.tolist()
        [0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0]
    """

    loss: Any
    actor_loss: Any
    critic_loss: Any
    ent_coef: Any
    ent_coef_loss: Any
    learning_rate: Any
    grad_norm: Any
    n_updates: Any


class DeterministicMetrics(NamedTuple):
    """The same of a deterministic one, which has no temperature."""

    loss: Any
    actor_loss: Any
    critic_loss: Any
    learning_rate: Any
    grad_norm: Any
    n_updates: Any


NO_NOISE, NORMAL, ORNSTEIN_UHLENBECK = range(3)  # kinds of noise on actions
_PULL, _DT = 0.15, 0.01  # of the process, as in Stable-Baselines3


@in_place
def disturb(actions: Floats, process: Floats, kind: int, std: float, rng: NDArray[np.uint64]) -> None:
    """Add noise to actions in [-1, 1], in place, and cut them to that range, [N, A].

        normal              a + σ ε
        Ornstein-Uhlenbeck  a + x        x ← x - θ x dt + σ √dt ε        θ = 0.15, dt = 0.01

    ``process`` is x, which is carried on, [N, A].

    Source: Uhlenbeck & Ornstein 1930; Lillicrap et al. 2016, section 7.

    Example:
        >>> actions, process = np.float32([[0.5]]), np.float32([[1.0]])
        >>> disturb(actions, process, ORNSTEIN_UHLENBECK, 0.0, np.arange(1, 5, dtype=np.uint64))
        >>> actions.tolist(), process.round(4).tolist()
        ([[1.0]], [[0.9984999895095825]])
    """
    if kind == NO_NOISE:
        return
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            if kind == NORMAL:
                actions[i, j] += std * normal(rng)
            else:
                process[i, j] += math.sqrt(_DT) * std * normal(rng) - _PULL * process[i, j] * _DT
                actions[i, j] += process[i, j]
            actions[i, j] = min(max(actions[i, j], -1.0), 1.0)


@in_place
def rest(process: Floats, ends: NDArray[np.bool_]) -> None:
    """The process begins anew, from 0, where an episode ended, [N, A] and [N].

    Example:
        >>> process = np.float32([[1.0], [2.0]])
        >>> rest(process, np.array([True, False]))
        >>> process.tolist()
        [[0.0], [2.0]]
    """
    for i in range(process.shape[0]):
        if ends[i]:
            for j in range(process.shape[1]):
                process[i, j] = 0.0


@in_place
def join(obs: Floats, actions: Floats, pairs: Floats) -> None:
    """Observations [B, D] and actions [B, A] side by side in ``pairs`` [B, D + A].

    Example:
        >>> pairs = np.zeros((1, 3), np.float32)
        >>> join(np.float32([[1, 2]]), np.float32([[3]]), pairs)
        >>> pairs.tolist()
        [[1.0, 2.0, 3.0]]
    """
    size = obs.shape[1]
    for i in range(obs.shape[0]):
        for j in range(size):
            pairs[i, j] = obs[i, j]
        for j in range(actions.shape[1]):
            pairs[i, size + j] = actions[i, j]


@in_place
def part(both: Floats, values: Floats, next_values: Floats) -> None:
    """Values of both states of each transition [C, 2 B, 1] into those of the first and of the next, [C, B, 1] each.

    Example:
        >>> first, after = np.zeros((1, 2, 1), np.float32), np.zeros((1, 2, 1), np.float32)
        >>> part(np.float32([[[1], [2], [3], [4]]]), first, after)
        >>> first.ravel().tolist(), after.ravel().tolist()
        ([1.0, 2.0], [3.0, 4.0])
    """
    rows = values.shape[1]
    for c in range(values.shape[0]):
        for i in range(rows):
            values[c, i, 0], next_values[c, i, 0] = both[c, i, 0], both[c, rows + i, 0]


@in_place
def of_first(gradient: Floats, both: Floats) -> None:
    """A gradient [C, B, 1] at the values of the first states as one at both, [C, 2 B, 1]: that of the next is 0.

    Example:
        >>> both = np.ones((1, 4, 1), np.float32)
        >>> of_first(np.float32([[[5], [6]]]), both)
        >>> both.ravel().tolist()
        [5.0, 6.0, 0.0, 0.0]
    """
    rows = gradient.shape[1]
    for c in range(gradient.shape[0]):
        for i in range(rows):
            both[c, i, 0], both[c, rows + i, 0] = gradient[c, i, 0], 0.0


@in_place
def to_unit(actions: Floats, low: Floats, high: Floats) -> None:
    """Actions between bounds [A] to [-1, 1], in place, [B, A].

    Example:
        >>> actions = np.float32([[0, 4]])
        >>> to_unit(actions, np.float32([-2, 0]), np.float32([2, 4]))
        >>> actions.tolist()
        [[0.0, 1.0]]
        >>> to_unit(actions, np.float32([0, 1]), np.float32([0, 1]))
        >>> actions.tolist()
        [[0.0, 0.0]]
    """
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            width = high[j] - low[j]  # 0 where only one number may be done
            unit = np.float32(2.0) * (actions[i, j] - low[j]) / width - np.float32(1.0) if width > 0 else np.float32(0)
            actions[i, j] = unit


@in_place
def from_unit(actions: Floats, low: Floats, high: Floats) -> None:
    """Actions in [-1, 1] to their bounds [A], in place, [B, A].

    Example:
        >>> actions = np.float32([[0, 1]])
        >>> from_unit(actions, np.float32([-2, 0]), np.float32([2, 4]))
        >>> actions.tolist()
        [[0.0, 4.0]]
    """
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            actions[i, j] = low[j] + np.float32(0.5) * (actions[i, j] + np.float32(1.0)) * (high[j] - low[j])


@in_place
def clipped_targets(
    rewards: Any, discounts: Any, next_values: Floats, log_probs: Any, temperature: float, targets: Any
) -> None:
    """The targets y of the head of this file, from the least of all critics.

    Args:
        rewards: [B].
        discounts: Γ, [B].
        next_values: Q' of each critic, float32 [C, B, 1].
        log_probs: of the next actions, [B].
        temperature: α, 0 for a deterministic policy.
        targets: is filled, [B].

    Example:
        >>> targets, one = np.zeros(1), np.ones(1)
        >>> clipped_targets(one, 0.5 * one, np.float32([[[4.0]], [[2.0]]]), -one, 0.1, targets)
        >>> targets.round(3).tolist()  # 1 + 0.5 (2 + 0.1)
        [2.05]
    """
    for i in range(targets.shape[0]):
        least = float(next_values[0, i, 0])
        for c in range(1, next_values.shape[0]):
            least = min(least, float(next_values[c, i, 0]))
        targets[i] = rewards[i] + discounts[i] * (least - temperature * log_probs[i])


@in_place
def squared_errors(values: Floats, targets: Any, weight: float, grad: Floats) -> float:
    """The loss of all critics, and its gradient at their outputs, [C, B, 1]; see the head of this file.

    Example:
        >>> grad = np.zeros((2, 1, 1), np.float32)
        >>> squared_errors(np.float32([[[3.0]], [[1.0]]]), np.array([2.0]), 0.5, grad), grad.ravel().tolist()
        (1.0, [1.0, -1.0])
    """
    loss, rows = 0.0, targets.shape[0]
    for c in range(values.shape[0]):
        for i in range(rows):
            error = float(values[c, i, 0]) - targets[i]
            loss += weight * error * error / rows
            grad[c, i, 0] = 2.0 * weight * error / rows
    return loss


@in_place
def choose_least(values: Floats, choice: Floats) -> float:
    """1 for the least critic of each row, else 0, into ``choice`` [C, B, 1]; returns the mean of the least values.

    Example:
        >>> choice = np.zeros((2, 2, 1), np.float32)
        >>> choose_least(np.float32([[[3], [1]], [[2], [5]]]), choice), choice[:, :, 0].tolist()
        (1.5, [[0.0, 1.0], [1.0, 0.0]])
    """
    total = 0.0
    for i in range(values.shape[1]):
        least = 0
        for c in range(values.shape[0]):
            choice[c, i, 0] = 0.0
            if values[c, i, 0] < values[least, i, 0]:
                least = c
        choice[least, i, 0] = 1.0
        total += values[least, i, 0]
    return total / values.shape[1]


@in_place
def smooth(actions: Floats, noise: Floats, std: float, limit: float) -> None:
    """Target policy smoothing, in place, [B, A]: a ← clip(a + clip(σ ε, ±c), ±1), of ``noise`` ε.

    Source: Fujimoto et al. 2018, equation 14.

    Example:
        >>> actions = np.float32([[0.75, -0.25]])
        >>> smooth(actions, np.float32([[4, 1]]), 0.25, 0.5)
        >>> actions.tolist()
        [[1.0, 0.0]]
    """
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            e = min(max(std * noise[i, j], -limit), limit)
            actions[i, j] = min(max(actions[i, j] + e, -1.0), 1.0)


@in_place
def ascend(action_gradient: Floats, grad: Floats) -> None:
    """∂L/∂a = - 1/B ∂Q/∂a of the deterministic policy gradient, [B, A].

    Source: Silver et al. 2014, equation 9.

    Example:
        >>> grad = np.zeros((2, 1), np.float32)
        >>> ascend(np.float32([[1], [3]]), grad)
        >>> grad.tolist()
        [[-0.5], [-1.5]]
    """
    rows = grad.shape[0]
    for i in range(rows):
        for j in range(grad.shape[1]):
            grad[i, j] = -action_gradient[i, j] / rows


@in_place
def scalar_adam(value: Any, gradient: float, means: Any, learning_rate: float) -> None:
    """A step of Adam on one number, float64 [1]; ``means`` are m, v and the steps so far, float64 [3].

    Source: Kingma & Ba 2015, algorithm 1, with their settings.

    Example:
        >>> value, means = np.array([1.0]), np.zeros(3)
        >>> scalar_adam(value, 5.0, means, 0.1)
        >>> value.round(4).tolist(), means.round(4).tolist()
        ([0.9], [0.5, 0.025, 1.0])
    """
    means[0] = 0.9 * means[0] + 0.1 * gradient
    means[1] = 0.999 * means[1] + 0.001 * gradient * gradient
    means[2] += 1.0
    mean, square = means[0] / (1.0 - 0.9 ** means[2]), means[1] / (1.0 - 0.999 ** means[2])
    value[0] -= learning_rate * mean / (math.sqrt(square) + 1e-8)


@in_place
def kept_quantiles(
    rewards: Any, discounts: Any, next_quantiles: Floats, log_probs: Any, temperature: float, targets: Any, room: Any
) -> None:
    """Targets y_m = r + Γ [z_m - α log π] from the M least quantiles of all critics together, [B, M].

    Args:
        rewards: [B].
        discounts: Γ, [B].
        next_quantiles: of each critic, float32 [C, B, K].
        log_probs: of the next actions, [B].
        temperature: α.
        targets: is filled, [B, M] with M ≤ C K.
        room: C K numbers of working memory.

    Source: Kuznetsov et al. 2020, equations 10 and 11.

    Example:
        >>> targets, one = np.zeros((1, 3)), np.ones(1)
        >>> kept_quantiles(one, one, np.float32([[[5, 1]], [[2, 9]]]), 0 * one, 0.1, targets, np.zeros(4))
        >>> targets.tolist()
        [[2.0, 3.0, 6.0]]
    """
    critics, rows, quantiles = next_quantiles.shape
    for i in range(rows):
        for c in range(critics):
            for k in range(quantiles):  # insertion: a few sorted lists of numbers, nearly one
                z, at = float(next_quantiles[c, i, k]), c * quantiles + k
                while at > 0 and room[at - 1] > z:
                    room[at] = room[at - 1]
                    at -= 1
                room[at] = z
        for m in range(targets.shape[1]):
            targets[i, m] = rewards[i] + discounts[i] * (room[m] - temperature * log_probs[i])


@reordered
def _pinball(targets: Any, z: float, tau: float) -> tuple[float, float]:
    """Σ_m |τ - 1(u < 0)| h(u) with u = y_m - z, y [M], and minus its slope in z. h = c (u - ½ c), c = clip(u, ±1)."""
    loss, pull = 0.0, 0.0
    for m in range(targets.shape[0]):
        u = targets[m] - z
        weight = 1.0 - tau if u < 0.0 else tau
        c = 1.0 if u > 1.0 else u  # and not min and max, whose care for NaN keeps the loop from vectors
        c = -1.0 if c < -1.0 else c
        loss += weight * c * (u - 0.5 * c)
        pull += weight * c
    return loss, pull


@in_place
def quantile_errors(values: Floats, targets: Any, grad: Floats) -> float:
    """The quantile Huber loss of all critics, and its gradient at their outputs, [C, B, K].

        L = mean over c, rows, k, m of |τ_k - 1(u < 0)| h(u)        u = y_m - z_k,  τ_k = (k + ½) / K
        h(u) = ½ u² where |u| ≤ 1, else |u| - ½

    ``targets`` are y, [B, M].

    Source: Dabney et al. 2018, equation 10, κ = 1; averaged as in sb3-contrib.

    Example:
        >>> grad = np.zeros((1, 1, 2), np.float32)
        >>> quantile_errors(np.float32([[[0, 2]]]), np.array([[0.5]]), grad), grad.ravel().tolist()
        (0.140625, [-0.0625, 0.125])
    """
    critics, rows, quantiles = values.shape
    loss, many = 0.0, critics * rows * quantiles * targets.shape[1]
    for c in range(critics):
        for i in range(rows):
            for k in range(quantiles):
                found, pull = _pinball(targets[i], float(values[c, i, k]), (k + 0.5) / quantiles)
                loss += found
                grad[c, i, k] = -pull / many
    return loss / many


@in_place
def mean_of_quantiles(values: Floats, choice: Floats) -> float:
    """The mean of all quantiles of all critics, [C, B, K], over the batch; its slope within a row into ``choice``.

    Example:
        >>> choice = np.zeros((1, 1, 2), np.float32)
        >>> mean_of_quantiles(np.float32([[[1, 3]]]), choice), choice.ravel().tolist()
        (2.0, [0.5, 0.5])
    """
    critics, rows, quantiles = values.shape
    total, share = 0.0, np.float32(1.0 / (critics * quantiles))
    for c in range(critics):
        for i in range(rows):
            for k in range(quantiles):
                total += values[c, i, k]
                choice[c, i, k] = share
    return total / (critics * rows * quantiles)
