"""The backups of dynamic programming, over an exact model.

A model is a transition table as four arrays of shape [S, A, K]: probability, next state, reward and ending of each of
at most K outcomes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.compiled.table import TransitionTable


class Model(NamedTuple):
    """A transition table for planners.

    Attributes:
        p: probability of each outcome, float64 [S, A, K].
        next_state: int64, reward: float64, terminated: bool, of the same shape.
        allowed: which actions may be taken, bool [S, A].

    Example:
        >>> one = np.ones((1, 1, 1))
        >>> world = Model(one, np.zeros((1, 1, 1), int), 2.0 * one, one == 1, np.ones((1, 1), bool))
        >>> world.reward.shape  # one state, one action, one outcome
        (1, 1, 1)
    """

    p: NDArray[np.float64]
    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    allowed: NDArray[np.bool_]


def model_of(table: TransitionTable) -> Model:
    """A table as planners take it.

    Example:
        >>> from rlplay.extend import make, table_of
        >>> model = model_of(table_of(make("FrozenLake-v1")))
        >>> model.p.shape
        (16, 4, 3)
        >>> [round(p, 3) for p in model.p[0, 1].tolist()]  # on ice, each of three directions
        [0.333, 0.333, 0.333]
    """
    arrays, shape = table.arrays, (table.n_states, table.n_actions)
    allowed = table.masks if table.masks is not None else np.ones(shape, np.bool_)
    return Model(table.probability, arrays.next_state, arrays.reward, arrays.terminated, allowed)


@in_place
def backup(v: NDArray[np.float64], s: int, a: int, model: Model, gamma: float, end_value: float) -> float:
    """q(s, a) = Σ_{s',r} p(s', r | s, a) [r + γ V(s')], the bracket of (4.10); an end is worth ``end_value`` (0).

    Example:
        >>> one = np.ones((1, 1, 1))
        >>> world = Model(one, np.zeros((1, 1, 1), int), 2.0 * one, one == 0, np.ones((1, 1), bool))
        >>> backup(np.array([10.0]), 0, 0, world, 0.5, 0.0)  # 2 + 0.5 · 10
        7.0
    """
    total = 0.0
    for k in range(model.p.shape[2]):
        probability = model.p[s, a, k]
        if probability > 0.0:
            future = end_value if model.terminated[s, a, k] else v[model.next_state[s, a, k]]
            total += probability * (model.reward[s, a, k] + gamma * future)
    return total


@in_place
def best_value(v: NDArray[np.float64], s: int, model: Model, gamma: float, end_value: float) -> float:
    """max_a q(s, a) over the actions that may be taken, equation (4.10).

    Example:
        >>> p, reward = np.ones((1, 2, 1)), np.array([[[1.0], [2.0]]])
        >>> world = Model(p, np.zeros((1, 2, 1), int), reward, p == 0, np.ones((1, 2), bool))
        >>> best_value(np.array([10.0]), 0, world, 0.5, 0.0)  # the action that gives 2
        7.0
    """
    best = -np.inf
    for a in range(model.p.shape[1]):
        if model.allowed[s, a]:
            best = max(best, backup(v, s, a, model, gamma, end_value))
    return best


@in_place
def policy_value(
    v: NDArray[np.float64], s: int, policy: NDArray[np.float64], model: Model, gamma: float, end_value: float
) -> float:
    """Σ_a π(a|s) q(s, a), equation (4.5)."""
    total = 0.0
    for a in range(model.p.shape[1]):
        if policy[s, a] > 0.0:
            total += policy[s, a] * backup(v, s, a, model, gamma, end_value)
    return total


@in_place
def evaluation_sweep(
    v: NDArray[np.float64], source: NDArray[np.float64], policy: NDArray[np.float64], model: Model, gamma: float,
    end_value: float,
) -> float:  # fmt: skip
    """One sweep of policy evaluation from ``source`` (``v`` itself: in place); returns the largest change Δ.

    Example:
        >>> p, reward = np.ones((1, 2, 1)), np.array([[[1.0], [2.0]]])
        >>> world = Model(p, np.zeros((1, 2, 1), int), reward, p == 0, np.ones((1, 2), bool))
        >>> v = np.array([10.0])
        >>> change = evaluation_sweep(v, v, np.array([[0.5, 0.5]]), world, 0.5, 0.0)
        >>> v.tolist(), change  # 1.5 + 0.5 · 10
        ([6.5], 3.5)
    """
    delta = 0.0
    for s in range(v.shape[0]):
        value = policy_value(source, s, policy, model, gamma, end_value)
        delta = max(delta, abs(value - v[s]))
        v[s] = value
    return delta


@in_place
def optimality_sweep(
    v: NDArray[np.float64], source: NDArray[np.float64], model: Model, gamma: float, end_value: float
) -> float:
    """One sweep of value iteration from ``source`` (``v`` itself: in place); returns the largest change Δ.

    Example:
        >>> p, reward = np.ones((1, 2, 1)), np.array([[[1.0], [2.0]]])
        >>> world = Model(p, np.zeros((1, 2, 1), int), reward, p == 0, np.ones((1, 2), bool))
        >>> v = np.array([10.0])
        >>> change = optimality_sweep(v, v, world, 0.5, 0.0)
        >>> v.tolist(), change  # 2 + 0.5 · 10
        ([7.0], 3.0)
    """
    delta = 0.0
    for s in range(v.shape[0]):
        best = best_value(source, s, model, gamma, end_value)
        delta = max(delta, abs(best - v[s]))
        v[s] = best
    return delta


@compiled
def action_values(v: NDArray[np.float64], model: Model, gamma: float, end_value: float) -> NDArray[np.float64]:
    """q(s, a) of all states and actions [S, A]; -∞ where an action may not be taken.

    Example:
        >>> p, reward = np.ones((1, 2, 1)), np.array([[[1.0], [2.0]]])
        >>> world = Model(p, np.zeros((1, 2, 1), int), reward, p == 0, np.ones((1, 2), bool))
        >>> action_values(np.array([10.0]), world, 0.5, 0.0).tolist()
        [[6.0, 7.0]]
    """
    q = np.full((model.allowed.shape[0], model.allowed.shape[1]), -np.inf)
    for s in range(q.shape[0]):
        for a in range(q.shape[1]):
            if model.allowed[s, a]:
                q[s, a] = backup(v, s, a, model, gamma, end_value)
    return q


def greedy_probabilities(q: NDArray[np.float64]) -> NDArray[np.float64]:
    """The greedy policy over action values [B, A]; equal ones (to 1e-9) share.

    Example:
        >>> greedy_probabilities(np.array([[1.0, 3.0], [2.0, 2.0]])).tolist()
        [[0.0, 1.0], [0.5, 0.5]]
    """
    best = np.isclose(q, q.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
    return best / best.sum(axis=1, keepdims=True)


def average_reward_step(v: NDArray[np.float64], before: NDArray[np.float64]) -> tuple[float, float]:
    """The step of relative value iteration after a sweep from ``before``: the gain, and how far it is still open.

    The average reward lies between the least and the largest change of a sweep (Puterman 1994, section 8.5). Half of
    the change is taken, so that periodic worlds settle too, and values are kept relative to the first state.
    """
    change = v - before
    gain, span = float(change.min() + change.max()) / 2, float(change.max() - change.min())
    v[:] = before + change / 2
    v -= v[0]
    return gain, span
