"""Values that are linear in features: values, updates and traces over active features.

A value is w · x(s), an action value has a column of weights for each action. ``w`` is float64 [F, A] (or [F, 1] for
state values); ``x`` are the active features of a state (`rlplay.approximation.encodings.Active`), so that a step costs
as many additions as there are active features, however many weights there are.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encodings import Active
from rlplay.compiled.cache import in_place
from rlplay.functional.episode_buffer import discounted_return, steps_due
from rlplay.functional.epsilon_greedy import epsilon_greedy, sampled
from rlplay.functional.schedules import scheduled
from rlplay.functional.traces import Traces
from rlplay.storage.ranges import COUNT, Ranges, numbers_below

Weights = NDArray[np.float64]


@in_place
def value_of(w: Weights, x: Active, a: int) -> float:
    """Q(s, a) = w_a · x(s).

    Example:
        >>> x = Active(np.array([0, 2]), np.array([1.0, 0.5]))
        >>> value_of(np.array([[1.0], [2.0], [4.0]]), x, 0)  # 1 · 1 + 4 · 0.5
        3.0
    """
    total = 0.0
    for k in range(x.number.shape[0]):
        total += w[x.number[k], a] * x.value[k]
    return total


@in_place
def values_of(w: Weights, x: Active, q: Weights) -> None:
    """Q(s, ·) into ``q`` [1, A]; an action with -∞ there may not be taken, and keeps it.

    Example:
        >>> x, q = Active(np.array([1]), np.array([2.0])), np.zeros((1, 2))
        >>> values_of(np.array([[1.0, 2.0], [3.0, 4.0]]), x, q)
        >>> q.tolist()
        [[6.0, 8.0]]
    """
    for a in range(q.shape[1]):
        if q[0, a] > -math.inf:
            q[0, a] = value_of(w, x, a)


def batch_values(w: Weights, x: Active) -> Weights:
    """Values of a batch: Q(s, ·) = x(s) w, float64 [B, A], of active features [B, T].

    Example:
        >>> x = Active(np.array([[0], [1]]), np.array([[1.0], [2.0]]))
        >>> batch_values(np.array([[1.0, 2.0], [3.0, 4.0]]), x).tolist()
        [[1.0, 2.0], [6.0, 8.0]]
    """
    return np.einsum("bt,bta->ba", x.value, w[x.number])


@in_place
def learn_features(w: Weights, x: Active, a: int, change: float) -> None:
    """w_a ← w_a + change x(s), the semi-gradient step: ∇ w_a · x = x.

    Example:
        >>> w, x = np.zeros((3, 1)), Active(np.array([0, 2]), np.array([1.0, 0.5]))
        >>> learn_features(w, x, 0, 0.2)
        >>> w.ravel().tolist()
        [0.2, 0.0, 0.1]
    """
    for k in range(x.number.shape[0]):
        w[x.number[k], a] += change * x.value[k]


@in_place
def act_linear_epsilon_greedy(memory: Any, x: Active, progress: float) -> int:
    """The ε-greedy policy of a memory with w, epsilon, rng and q, which takes the values of this state [1, A].

    Example:
        >>> from rlplay.extend import LinearMemory
        >>> w, rng = np.array([[1.0, 2.0]]), np.arange(1, 5, dtype=np.uint64)
        >>> memory = LinearMemory(w, np.array([0.1]), 0.9, np.zeros(1), rng, np.zeros((1, 2)), new_last_steps(1, 1), 1)
        >>> act_linear_epsilon_greedy(memory, Active(np.array([0]), np.array([1.0])), 0.0)
        1
    """
    values_of(memory.w, x, memory.q)
    return epsilon_greedy(memory.q, 0, scheduled(memory.epsilon, progress), memory.rng)


# The last n steps, for n-step returns.


class LastSteps(NamedTuple):
    """A ring of the last N steps, N a power of two; step t stands in place ``t & (N - 1)``.

    Attributes:
        number, value: the active features of each step's state, int64 and float64 [N, T].
        action: int64 [N].
        reward: the one that followed, float64 [N].
        length: steps of the episode so far, int64 [1].

    Example:
        >>> steps = new_last_steps(2, 1)
        >>> steps.action.tolist(), steps.length.tolist()
        ([0, 0], [0])
    """

    number: NDArray[np.int64]
    value: NDArray[np.float64]
    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    length: NDArray[np.int64]


def new_last_steps(n: int, width: int) -> LastSteps:
    """No steps yet, with room for n of T active features.

    Example:
        >>> new_last_steps(3, 8).number.shape  # three steps take four places
        (4, 8)
    """
    n = 1 << (n - 1).bit_length()
    return LastSteps(
        np.zeros((n, width), np.int64), np.zeros((n, width)), np.zeros(n, np.int64), np.zeros(n), np.zeros(1, np.int64)
    )  # fmt: skip


def last_step_ranges(n_features: int, n_actions: int) -> Ranges:
    """What whole numbers the last steps hold.

    Example:
        >>> last_step_ranges(8, 2)["number"]
        (0, 7)
    """
    return {"number": numbers_below(n_features), "action": numbers_below(n_actions), "length": COUNT}


@in_place
def update_n_steps(
    w: Weights, x: Active, a: int, r: float, following: float, ended: bool, alpha: float, gamma: float,
    steps: LastSteps, n: int,
) -> float:  # fmt: skip
    """The semi-gradient step towards the n-step return, equation (10.3); returns the TD error δ, NaN for none.

        G = R_{t+1} + γ R_{t+2} + ... + γⁿ following        w ← w + α [G - Q(S_t, A_t)] ∇ Q(S_t, A_t)

    ``following`` is the value after the last step, 0 in a terminal state. At an episode's end all steps that are left
    learn, the oldest first.

    Example:
        >>> w, x = np.array([[1.0]]), Active(np.array([0]), np.array([1.0]))
        >>> update_n_steps(w, x, 0, 2.0, 4.0, False, 0.1, 0.5, new_last_steps(1, 1), 1)  # 2 + 0.5 · 4 - 1
        3.0
        >>> w.tolist()
        [[1.3]]
    """
    if n == 1:
        td_error = r + gamma * following - value_of(w, x, a)
        learn_features(w, x, a, alpha * td_error)
        return td_error
    ring, t = steps.action.shape[0] - 1, steps.length[0]
    place = t & ring
    for k in range(x.number.shape[0]):
        steps.number[place, k], steps.value[place, k] = x.number[k], x.value[k]
    steps.action[place], steps.reward[place] = a, r
    steps.length[0] = t + 1
    td_error, (first, stop) = np.nan, steps_due(t, n, ended)
    for start in range(first, stop):
        g = discounted_return(steps.reward, start, t, following, gamma)
        at = start & ring
        action, value = steps.action[at], 0.0
        for k in range(steps.number.shape[1]):
            value += w[steps.number[at, k], action] * steps.value[at, k]
        td_error = g - value
        for k in range(steps.number.shape[1]):
            w[steps.number[at, k], action] += alpha * td_error * steps.value[at, k]
    return td_error


@in_place
def forget_steps(memory: Any) -> None:
    """No steps yet, for a memory with ``steps``.

    Example:
        >>> class Memory(NamedTuple):
        ...     steps: LastSteps
        >>> steps = new_last_steps(2, 1)
        >>> steps.length[0] = 2
        >>> forget_steps.py_func(Memory(steps))
        >>> steps.length.tolist()
        [0]
    """
    memory.steps.length[0] = 0


# Traces over active features: z is a list of the entries of w that have one (`rlplay.functional.traces`).


@in_place
def decay_traces(traces: Traces, decay: float) -> None:
    """z ← decay z; what falls below 1e-8 is forgotten.

    Example:
        >>> from rlplay.extend import new_traces
        >>> traces, x = new_traces(2), Active(np.array([1]), np.array([1.0]))
        >>> mark_features(traces, x, 0, 1, 1.0)
        >>> decay_traces(traces, 0.5)
        >>> float(traces.strength[0])
        0.5
    """
    k = 0
    while k < traces.length[0]:
        traces.strength[k] *= decay
        if -1e-8 < traces.strength[k] < 1e-8:
            traces.length[0] -= 1
            last = traces.length[0]
            traces.place[traces.entry[k]] = -1
            if k < last:
                traces.entry[k], traces.strength[k] = traces.entry[last], traces.strength[last]
                traces.place[traces.entry[k]] = k
        else:
            k += 1


@in_place
def trace_product(traces: Traces, x: Active, a: int, columns: int) -> float:
    """zᵀ x(s, a).

    Example:
        >>> from rlplay.extend import new_traces
        >>> traces, x = new_traces(2), Active(np.array([0, 1]), np.array([1.0, 2.0]))
        >>> mark_features(traces, x, 0, 1, 1.0)
        >>> trace_product(traces, x, 0, 1)  # 1 · 1 + 2 · 2
        5.0
    """
    total = 0.0
    for k in range(x.number.shape[0]):
        place = traces.place[x.number[k] * columns + a]
        if place >= 0:
            total += traces.strength[place] * x.value[k]
    return total


@in_place
def mark_features(traces: Traces, x: Active, a: int, columns: int, amount: float) -> None:
    """z ← z + amount x(s, a).

    Example:
        >>> from rlplay.extend import new_traces
        >>> traces = new_traces(6)  # 3 features, 2 actions
        >>> mark_features(traces, Active(np.array([2]), np.array([1.0])), 1, 2, 0.5)
        >>> int(traces.entry[0]), float(traces.strength[0])  # feature 2 of action 1 is entry 2 · 2 + 1
        (5, 0.5)
    """
    for k in range(x.number.shape[0]):
        if x.value[k] != 0.0:
            entry = x.number[k] * columns + a
            place = traces.place[entry]
            if place < 0:
                place = traces.length[0]
                traces.length[0] += 1
                traces.entry[place], traces.strength[place], traces.place[entry] = entry, 0.0, place
            traces.strength[place] += amount * x.value[k]


@in_place
def learn_by_traces(w: Weights, traces: Traces, change: float) -> None:
    """w ← w + change z.

    Example:
        >>> from rlplay.extend import new_traces
        >>> w, traces = np.zeros((2, 1)), new_traces(2)
        >>> mark_features(traces, Active(np.array([1]), np.array([1.0])), 0, 1, 0.5)
        >>> learn_by_traces(w, traces, 2.0)
        >>> w.ravel().tolist()
        [0.0, 1.0]
    """
    flat = w.reshape(-1)
    for k in range(traces.length[0]):
        flat[traces.entry[k]] += change * traces.strength[k]


# Prediction: the value of a policy, from what it or another one does.


@in_place
def policy_row(policy: Weights, x: Active) -> int:
    """The row of a policy [S, A] in a state that is its own feature; the only row of one that ignores states [1, A]."""
    return x.number[0] if policy.shape[0] > 1 else 0


@in_place
def act_behaviour(memory: Any, x: Active, progress: float) -> int:
    """An action of the behaviour policy, for a memory with behaviour and rng.

    Example:
        >>> from rlplay.extend import PredictionMemory
        >>> always = np.array([[0.0, 1.0]])  # in every state
        >>> memory = PredictionMemory(np.zeros((3, 1)), 0.9, always, always, np.arange(1, 5, dtype=np.uint64))
        >>> act_behaviour(memory, Active(np.array([2]), np.array([1.0])), 0.0)
        1
    """
    return sampled(memory.behaviour, policy_row(memory.behaviour, x), memory.rng)


@in_place
def importance_ratio(target: Weights, behaviour: Weights, x: Active, a: int) -> float:
    """ρ = π(a|s) / b(a|s), equation (5.3) for one step.

    Example:
        >>> x = Active(np.array([0]), np.array([1.0]))
        >>> importance_ratio(np.array([[0.2, 0.8]]), np.array([[0.5, 0.5]]), x, 1)
        1.6
    """
    row = policy_row(target, x)
    return target[row, a] / behaviour[row, a]
