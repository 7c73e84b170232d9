"""Dyna-Q+: Dyna-Q that wonders what has changed since it last looked.

In planning, a state and action that was not tried for τ steps is believed to give κ√τ more reward than it did. So the
agent plans ways to whatever it has long not tried, and finds a shortcut that opens:

    n times: Q(S, A) ← Q(S, A) + α [R + κ√τ(S, A) + γ max_a Q(S', a) - Q(S, A)]

Actions never tried in a state that was visited are considered too: they are believed to lead back to it with reward 0.

Source: Sutton 1990; Sutton & Barto 2e, section 8.3 and the footnote on page 168.

Symbols:
    Q  q  float64 [S, A]  action values
    Model  next_state, reward, terminated, each [S, A]: what the last step gave;  tried  int64 [S, A]: when it was
    κ  kappa  float,  n  planning_steps,  α  alpha  float or schedule, γ gamma, ε epsilon float or schedule

Deviations: those of Dyna-Q (endings are known, ties are broken at random).
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    CheckpointError,
    ControlAgent,
    LearningRule,
    PlanningSteps,
    Range,
    Ranges,
    Rate,
    act_epsilon_greedy,
    ahead,
    in_place,
    numbers_below,
    random,
    visited,
)

from .q_learning import update


class Model(NamedTuple):
    """What is believed of each state and action.

    Attributes:
        next_state: int64 [S, A], reward: float64 [S, A], terminated: bool [S, A]: the last outcome.
        tried: the step at which it was last tried, int64 [S, A].
        states: the states visited, int64 [S], the first ``length[0]``; visited: bool [S].
        length: int64 [1];  clock: steps so far, int64 [1].
    """

    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    tried: NDArray[np.int64]
    states: NDArray[np.int64]
    visited: NDArray[np.bool_]
    length: NDArray[np.int64]
    clock: NDArray[np.int64]


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q, alpha, gamma, epsilon, rng: as in `ControlMemory`.
        model: what is believed.
        planning_steps: steps that are imagined after each real one.
        kappa: weight of the bonus.
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    model: Model
    planning_steps: int
    kappa: float


def new_model(states: int, actions: int) -> Model:
    """Nothing tried yet."""
    pairs, count = np.zeros((states, actions), np.int64), np.zeros(1, np.int64)
    return Model(
        pairs, np.zeros((states, actions)), np.zeros((states, actions), np.bool_), pairs.copy(),
        np.zeros(states, np.int64), np.zeros(states, np.bool_), count, count.copy(),
    )  # fmt: skip


def model_ranges(states: int) -> Ranges:
    """What whole numbers a model holds."""
    state = numbers_below(states)
    return {"next_state": state, "tried": COUNT, "states": state, "length": (0, states), "clock": COUNT}


@in_place
def remember(model: Model, s: int, a: int, r: float, s_next: int, terminated: bool) -> None:
    """Model(S, A) ← R, S', tried now; at a state's first visit its other actions are believed to lead back to it."""
    model.clock[0] += 1
    if not model.visited[s]:
        model.visited[s] = True
        model.states[model.length[0]] = s
        model.length[0] += 1
        for b in range(model.next_state.shape[1]):
            model.next_state[s, b] = s
    model.next_state[s, a], model.reward[s, a], model.terminated[s, a] = s_next, r, terminated
    model.tried[s, a] = model.clock[0]


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A, R, S': learns from them, remembers them, then plans with the bonus κ√τ."""
    q, gamma, model = memory.q, memory.gamma, memory.model
    td_error = update(q, s, a, r, s_next, terminated, visited(memory.alpha, s, a, progress), gamma)
    remember(model, s, a, r, s_next, terminated)
    for _ in range(memory.planning_steps):
        state = model.states[int(random(memory.rng) * model.length[0])]
        action = int(random(memory.rng) * q.shape[1])
        if q[state, action] == -math.inf:
            continue
        alpha = ahead(memory.alpha, state, action, progress)
        bonus = memory.kappa * math.sqrt(model.clock[0] - model.tried[state, action])
        reward, next_state = model.reward[state, action] + bonus, model.next_state[state, action]
        update(q, state, action, reward, next_state, model.terminated[state, action], alpha, gamma)
    return td_error


class DynaQPlus(ControlAgent):
    """Dyna-Q+: Dyna-Q with a bonus for what was long not tried.

    Attributes:
        model: what is believed of each state and action.

    Example:
        >>> from rlplay import make
        >>> agent = DynaQPlus(make("rlplay/GridWorld-v0", map="shortcut-maze"), kappa=0.001, seed=0).learn(3000)
        >>> int(agent.model.clock[0])
        3000
    """

    id = "dyna-q-plus"
    rule = LearningRule(act_epsilon_greedy, learn)
    learns_from_others = True
    planning_steps: PlanningSteps = 10
    kappa: Annotated[float, Range("weight κ of the bonus κ√τ for what was not tried for τ steps", 0, 1e6)] = 0.001

    def setup(self) -> None:
        """An empty model."""
        super().setup()
        self.model = self.kept_record("model", new_model(*self.size), model_ranges(self.size[0]))
        self.memory = Memory(
            **self.memory._asdict(), model=self.model, planning_steps=self.planning_steps, kappa=self.kappa
        )

    def check(self) -> None:
        """Refuse a list of states that is not that of those visited."""
        super().check()
        model = self.model
        listed = np.sort(model.states[: model.length[0]])
        if not np.array_equal(listed, np.flatnonzero(model.visited)) or (model.tried > model.clock[0]).any():
            raise CheckpointError("model/states does not list the states that were visited, or not before now: refused")

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; what was remembered of old clusters is forgotten."""
        super().remap_states(nearest)
        self.model.visited[:], self.model.length[:] = False, 0
