"""What the outputs of a network say of action values: one number an action, or a distribution of returns.

Outputs are [rows, K M], M for each of K actions. A `ValueHead` has three functions of them; π is the policy after the
next state, greedy or soft, and h its τ log π (0 for a greedy one):

    a number       y   = R + γ Σ_a π(a) [q̂'(a) - h(a)]                            δ = q̂(S, A) - y
    categorical    m   = Σ_a π(a) Φ[R + γ (z - h(a))] p'(a)                       L = - Σ_j m_j log p_j(S, A)
    quantiles      T_j = R + γ Σ_a π(a) [θ'_j(a) - h(a)]                          L = Σ_i 1/M Σ_j ρ_τi(T_j - θ_i(S, A))

Φ gives each shifted atom, held within the support, to its two neighbours on the grid z_1 < ... < z_M, in proportion to
how near they are: so probabilities keep their sum. ρ_τ(u) = |τ - 1(u < 0)| ℓ(u) with Huber's loss ℓ (κ = 1), and the
midpoints τ_i = (i - ½) / M. Gradients at what belongs to the action that was taken, with the weight w of a step:

    a number       w/B clip(δ, -1, 1)  (Huber)   or   w/B 2 δ  (squared error)
    categorical    w/B (p_j - m_j)                                     p = softmax of the outputs
    quantiles      - w/B 1/M Σ_j |τ_i - 1(u_ij < 0)| clip(u_ij, -1, 1)    u_ij = T_j - θ_i

Source: Mnih et al. 2015; Bellemare, Dabney & Munos 2017, algorithm 1 (categorical, "C51"); Dabney et al. 2018, equation
10 and algorithm 1 (quantiles, "QR-DQN").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place, reordered

Floats = NDArray[np.float32]
Array = NDArray[np.float64]


class ValueHead(NamedTuple):
    """The functions of a kind of outputs; see the head of this file.

    Attributes:
        values: ``values(outputs [N, K M], atoms [M], q [>= N, K])`` writes the action values of N rows; outputs of
            a categorical distribution become its probabilities.
        targets: ``targets(outputs [B, K M], atoms, policy [B, K], soft [B, K], rewards [B], discounts [B],
            targets [B, M], seen [2])`` from outputs that `values` has seen; the least and the greatest expected target
            so far are seen.
        gradient: ``gradient(outputs, atoms, actions [B, 1], weights [B], targets, huber, slope [B, M],
            td_errors [B]) -> (loss, mean size of the TD errors, mean value)`` for the action that was taken.

    Example:
        >>> q = np.zeros((1, 2), np.float32)
        >>> QUANTILES.values(np.float32([[1, 3, 0, 8]]), np.array([0.25, 0.75]), q)
        >>> q.tolist()  # the mean of the quantiles of each action
        [[2.0, 4.0]]
    """

    values: Callable[..., None]
    targets: Callable[..., None]
    gradient: Callable[..., tuple[float, float, float]]


@in_place
def huber(u: float) -> float:
    """½ u² where |u| < 1, else |u| - ½.

    Example:
        >>> huber(0.5), huber(-3.0)
        (0.125, 2.5)
    """
    return 0.5 * u * u if abs(u) < 1.0 else abs(u) - 0.5


@in_place
def greedy_policy(q: Floats, policy: Array, soft: Array) -> None:
    """All on the first of the best actions, of B rows; h is 0.

    Example:
        >>> policy, soft = np.zeros((1, 3)), np.ones((1, 3))
        >>> greedy_policy(np.float32([[1, 2, 2]]), policy, soft)
        >>> policy.tolist(), soft.tolist()
        ([[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]])
    """
    for b in range(policy.shape[0]):
        best = 0
        for a in range(1, policy.shape[1]):
            if q[b, a] > q[b, best]:
                best = a
        for a in range(policy.shape[1]):
            policy[b, a], soft[b, a] = 1.0 if a == best else 0.0, 0.0


@in_place
def soft_policy(q: Floats, temperature: float, policy: Array, soft: Array) -> None:
    """π = softmax(q / τ) and h = τ log π, of B rows (Vieillard et al. 2020).

    Example:
        >>> policy, soft = np.zeros((1, 2)), np.zeros((1, 2))
        >>> soft_policy(np.float32([[0, 0]]), 2.0, policy, soft)
        >>> policy.tolist(), soft.round(4).tolist()  # 2 log ½
        ([[0.5, 0.5]], [[-1.3863, -1.3863]])
    """
    for b in range(policy.shape[0]):
        best, total = float(q[b, 0]), 0.0
        for a in range(1, policy.shape[1]):
            best = max(best, float(q[b, a]))
        for a in range(policy.shape[1]):
            total += math.exp((q[b, a] - best) / temperature)
        for a in range(policy.shape[1]):
            soft[b, a] = q[b, a] - best - temperature * math.log(total)
            policy[b, a] = math.exp(soft[b, a] / temperature)


@in_place
def munchausen_rewards(soft: Array, actions: Floats, scale: float, least: float, rewards: Array) -> None:
    """R + α clip(τ log π(A|S), l₀, 0), in place; soft is τ log π [B, K] in the states that were left.

    Example:
        >>> rewards = np.array([1.0, 1.0])
        >>> munchausen_rewards(np.array([[-0.5, -4.0], [-0.5, -4.0]]), np.float32([[0], [1]]), 0.9, -1.0, rewards)
        >>> rewards.round(2).tolist()
        [0.55, 0.1]
    """
    for b in range(rewards.shape[0]):
        rewards[b] += scale * min(max(soft[b, int(actions[b, 0])], least), 0.0)


@in_place
def combine_streams(outputs: Floats, n_actions: int, n_atoms: int) -> None:
    """q̂ = v̂ + â - mean_a â, in place: outputs [N, (1 + K) M], v̂ first, become q̂ in their first K M columns.

    Source: Wang et al. 2016, equation 9.

    Example:
        >>> outputs = np.float32([[10, 1, 3]])
        >>> combine_streams(outputs, 2, 1)
        >>> outputs[:, :2].tolist()
        [[9.0, 11.0]]
    """
    for b in range(outputs.shape[0]):
        for j in range(n_atoms):
            value, mean = outputs[b, j], np.float32(0)
            for a in range(1, n_actions + 1):
                mean += outputs[b, a * n_atoms + j] / np.float32(n_actions)
            for a in range(n_actions):
                outputs[b, a * n_atoms + j] = value + outputs[b, (a + 1) * n_atoms + j] - mean


@in_place
def to_streams(slope: Array, actions: Floats, gradient: Floats) -> None:
    """∂L/∂v̂ = g and ∂L/∂â(b) = g [1(b = A) - 1/K] from g = slope [B, M], into [B, (1 + K) M].

    Example:
        >>> gradient = np.zeros((1, 3), np.float32)
        >>> to_streams(np.array([[2.0]]), np.float32([[1]]), gradient)
        >>> gradient.tolist()
        [[2.0, -1.0, 1.0]]
    """
    n_atoms = slope.shape[1]
    n_actions = gradient.shape[1] // n_atoms - 1
    for b in range(slope.shape[0]):
        taken = int(actions[b, 0])
        for j in range(n_atoms):
            gradient[b, j] = slope[b, j]
            for a in range(n_actions):
                gradient[b, (a + 1) * n_atoms + j] = slope[b, j] * ((a == taken) - 1.0 / n_actions)


@in_place
def cut_streams(gradient: Floats, first: int, width: int, n_outputs: int, split: int, n_atoms: int) -> None:
    """No gradient for the weights [width, outputs] of the last layer that would join the streams of v̂ and â.

    They begin at a place of the parameters, or of their gradient; units before ``split`` are those of v̂.

    Example:
        >>> weights = np.ones(6, np.float32)
        >>> cut_streams(weights, 0, 2, 3, 1, 1)
        >>> weights.reshape(2, 3).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]
    """
    for i in range(width):
        for j in range(n_outputs):
            if (i < split) != (j < n_atoms):
                gradient[first + i * n_outputs + j] = 0.0


@in_place
def to_outputs(slope: Array, actions: Floats, gradient: Floats) -> None:
    """g = slope [B, M] for the action that was taken and 0 for the others, into [B, K M].

    Example:
        >>> gradient = np.zeros((1, 2), np.float32)
        >>> to_outputs(np.array([[2.0]]), np.float32([[1]]), gradient)
        >>> gradient.tolist()
        [[0.0, 2.0]]
    """
    n_atoms = slope.shape[1]
    for b in range(slope.shape[0]):
        for i in range(gradient.shape[1]):
            gradient[b, i] = 0.0
        for j in range(n_atoms):
            gradient[b, int(actions[b, 0]) * n_atoms + j] = slope[b, j]


# One number an action.


@in_place
def _values(outputs: Floats, atoms: Array, q: Floats) -> None:
    for b in range(outputs.shape[0]):
        for a in range(q.shape[1]):
            q[b, a] = outputs[b, a]


@in_place
def _targets(
    outputs: Floats, atoms: Array, policy: Array, soft: Array, rewards: Array, discounts: Array, targets: Array,
    seen: Array,
) -> None:  # fmt: skip
    for b in range(targets.shape[0]):
        after = 0.0
        for a in range(policy.shape[1]):
            if policy[b, a] > 0.0:
                after += policy[b, a] * (outputs[b, a] - soft[b, a])
        targets[b, 0] = rewards[b] + discounts[b] * after


@in_place
def _gradient(
    outputs: Floats, atoms: Array, actions: Floats, weights: Array, targets: Array, is_huber: bool, slope: Array,
    td_errors: Array,
) -> tuple[float, float, float]:  # fmt: skip
    loss, size, value, n = 0.0, 0.0, 0.0, targets.shape[0]
    for b in range(n):
        q = float(outputs[b, int(actions[b, 0])])
        delta = q - targets[b, 0]
        if is_huber:
            loss += weights[b] * huber(delta) / n
            slope[b, 0] = weights[b] * min(max(delta, -1.0), 1.0) / n
        else:
            loss += weights[b] * delta * delta / n
            slope[b, 0] = weights[b] * 2.0 * delta / n
        td_errors[b] = -delta
        size += abs(delta) / n
        value += q / n
    return loss, size, value


# A categorical distribution over fixed atoms.


@reordered
def exponentials(row: Floats, most: float) -> None:
    """exp(x - most) in place, for x up to most, to nine digits; below e^-60 that.

    In steps that are vector instructions: (e^{x/128})^128 with ten terms of the series.

    Example:
        >>> row = np.float32([0, -1, -20])
        >>> exponentials(row, 0.0)
        >>> bool(np.allclose(row, np.exp([0, -1, -20]), rtol=1e-6))
        True
    """
    for j in range(row.shape[0]):
        t = max(row[j] - most, -60.0) * (1.0 / 128.0)
        power = 1.0 + t * (1.0 / 9.0) * (1.0 + t * (1.0 / 10.0))
        power = 1.0 + t * (1.0 / 7.0) * (1.0 + t * (1.0 / 8.0) * power)
        power = 1.0 + t * (1.0 / 5.0) * (1.0 + t * (1.0 / 6.0) * power)
        power = 1.0 + t * (1.0 / 3.0) * (1.0 + t * (1.0 / 4.0) * power)
        power = 1.0 + t * (1.0 + t * 0.5 * power)
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        row[j] = power * power


@reordered
def _sums(row: Floats, atoms: Array) -> tuple[float, float]:
    total, value = 0.0, 0.0
    for j in range(atoms.shape[0]):
        total += row[j]
        value += row[j] * atoms[j]
    return total, value


@in_place
def _categorical_values(outputs: Floats, atoms: Array, q: Floats) -> None:
    m = atoms.shape[0]
    for b in range(outputs.shape[0]):
        for a in range(q.shape[1]):
            row, most = outputs[b, a * m : (a + 1) * m], outputs[b, a * m]
            for j in range(1, m):
                most = max(most, row[j])
            exponentials(row, float(most))
            total, value = _sums(row, atoms)
            share = 1.0 / total
            for j in range(m):
                row[j] *= share
            q[b, a] = value * share


@in_place
def _categorical_targets(
    outputs: Floats, atoms: Array, policy: Array, soft: Array, rewards: Array, discounts: Array, targets: Array,
    seen: Array,
) -> None:  # fmt: skip
    m = atoms.shape[0]
    least, most, gap = atoms[0], atoms[m - 1], (atoms[m - 1] - atoms[0]) / (m - 1)
    for b in range(targets.shape[0]):
        expected = 0.0
        for j in range(m):
            targets[b, j] = 0.0
        for a in range(policy.shape[1]):
            if policy[b, a] == 0.0:
                continue
            total = 0.0  # of float32: made exactly 1 here
            for j in range(m):
                total += outputs[b, a * m + j]
            for j in range(m):
                chance = policy[b, a] * outputs[b, a * m + j] / total
                moved = rewards[b] + discounts[b] * (atoms[j] - soft[b, a])
                expected += chance * moved
                place = (min(max(moved, least), most) - least) / gap
                left = min(int(place), m - 2)
                targets[b, left] += chance * (left + 1 - place)
                targets[b, left + 1] += chance * (place - left)
        seen[0], seen[1] = min(seen[0], expected), max(seen[1], expected)


@in_place
def _categorical_gradient(
    outputs: Floats, atoms: Array, actions: Floats, weights: Array, targets: Array, is_huber: bool, slope: Array,
    td_errors: Array,
) -> tuple[float, float, float]:  # fmt: skip
    loss, size, value, n, m = 0.0, 0.0, 0.0, targets.shape[0], atoms.shape[0]
    for b in range(n):
        first, cross, divergence = int(actions[b, 0]) * m, 0.0, 0.0
        for j in range(m):
            chance, wanted = float(outputs[b, first + j]), targets[b, j]
            slope[b, j] = weights[b] * (chance - wanted) / n
            value += chance * atoms[j] / n
            if wanted > 0.0:
                told = math.log(max(chance, 1e-30))
                cross -= wanted * told
                divergence += wanted * (math.log(wanted) - told)
        td_errors[b] = divergence
        loss += weights[b] * cross / n
        size += abs(divergence) / n
    return loss, size, value


# Quantiles.


@in_place
def _quantile_values(outputs: Floats, atoms: Array, q: Floats) -> None:
    m = atoms.shape[0]
    for b in range(outputs.shape[0]):
        for a in range(q.shape[1]):
            total = 0.0
            for j in range(m):
                total += outputs[b, a * m + j]
            q[b, a] = total / m


@in_place
def _quantile_targets(
    outputs: Floats, atoms: Array, policy: Array, soft: Array, rewards: Array, discounts: Array, targets: Array,
    seen: Array,
) -> None:  # fmt: skip
    m = atoms.shape[0]
    for b in range(targets.shape[0]):
        for j in range(m):
            targets[b, j] = rewards[b]
        for a in range(policy.shape[1]):
            if policy[b, a] > 0.0:
                for j in range(m):
                    targets[b, j] += discounts[b] * policy[b, a] * (outputs[b, a * m + j] - soft[b, a])


@reordered
def _pull(targets: Array, theta: float, tau: float) -> tuple[float, float]:
    """Σ_j |τ - 1(u_j < 0)| clip(u_j, -1, 1) and Σ_j ρ_τ(u_j) of u_j = T_j - θ."""
    pull, told = 0.0, 0.0
    for j in range(targets.shape[0]):
        u = targets[j] - theta
        side, held = (1.0 - tau if u < 0.0 else tau), min(max(u, -1.0), 1.0)
        pull += side * held
        told += side * held * (u - 0.5 * held)  # ½ u² within 1, |u| - ½ beyond
    return pull, told


@in_place
def _quantile_gradient(
    outputs: Floats, atoms: Array, actions: Floats, weights: Array, targets: Array, is_huber: bool, slope: Array,
    td_errors: Array,
) -> tuple[float, float, float]:  # fmt: skip
    loss, size, value, n, m = 0.0, 0.0, 0.0, targets.shape[0], atoms.shape[0]
    for b in range(n):
        first, gap = int(actions[b, 0]) * m, 0.0
        for i in range(m):
            theta = float(outputs[b, first + i])
            pull, told = _pull(targets[b], theta, atoms[i])
            slope[b, i] = -weights[b] * pull / m / n
            loss += weights[b] * told / m / n
            gap += (targets[b, i] - theta) / m
            value += theta / m / n
        td_errors[b] = gap
        size += abs(gap) / n
    return loss, size, value


NUMBERS = ValueHead(_values, _targets, _gradient)
CATEGORICAL = ValueHead(_categorical_values, _categorical_targets, _categorical_gradient)
QUANTILES = ValueHead(_quantile_values, _quantile_targets, _quantile_gradient)


def atoms_of(kind: str | None, n_atoms: int, least: float, most: float) -> Array:
    """The atoms of a head: nothing of a number, the support of a categorical one, the midpoints of quantiles.

    Example:
        >>> atoms_of("c51", 3, -1.0, 1.0).tolist(), atoms_of("qr", 2, 0.0, 0.0).tolist()
        ([-1.0, 0.0, 1.0], [0.25, 0.75])
    """
    if kind is None:
        return np.zeros(1)
    return np.linspace(least, most, n_atoms) if kind == "c51" else (np.arange(n_atoms) + 0.5) / n_atoms


def head_of(kind: str | None) -> ValueHead:
    """The head of a name: None, ``"c51"`` or ``"qr"``.

    Example:
        >>> targets, policy, one = np.zeros((1, 1)), np.array([[0.0, 1.0]]), np.ones(1)
        >>> head_of(None).targets(np.float32([[1, 4]]), one, policy, 0 * policy, one, 0.5 * one, targets, np.zeros(2))
        >>> targets.tolist()  # 1 + 0.5 * 4
        [[3.0]]
    """
    heads: dict[Any, ValueHead] = {None: NUMBERS, "c51": CATEGORICAL, "qr": QUANTILES}
    return heads[kind]
