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
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.q_learning import update
from rlplay.agent.tabular import TableAgent, act_epsilon_greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import ahead, visited
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, PlanningSteps, StepSize


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
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the box: learn from the step, remember it, then plan with the bonus."""
    q, alpha, gamma, epsilon, rng, model, planning_steps, kappa = memory
    td_error = update(q, s, a, r, s_next, terminated, visited(alpha, s, a, progress), gamma)
    remember(model, s, a, r, s_next, terminated)
    for _ in range(planning_steps):
        state = model.states[int(random(rng) * model.length[0])]
        action = int(random(rng) * q.shape[1])
        if q[state, action] == -math.inf:
            continue
        bonus = kappa * math.sqrt(model.clock[0] - model.tried[state, action])
        update(
            q, state, action, model.reward[state, action] + bonus, model.next_state[state, action],
            model.terminated[state, action], ahead(alpha, state, action, progress), gamma,
        )  # fmt: skip
    return td_error


class DynaQPlus(TableAgent):
    """Dyna-Q+: Dyna-Q with a bonus for what was long not tried.

    Example:
        >>> from rlplay import make
        >>> agent = DynaQPlus(make("rlplay/GridWorld-v0", map="shortcut-maze"), kappa=0.001, seed=0).learn(3000)
        >>> int(agent.model.clock[0])
        3000
    """

    id = "dyna-q-plus"
    rule = LearningRule(act_epsilon_greedy, learn)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        planning_steps: PlanningSteps = 10,
        kappa: Annotated[float, Range("weight κ of the bonus κ√τ for what was not tried for τ steps", 0, 1e6)] = 0.001,
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, planning_steps=planning_steps, kappa=kappa,
            initial_value=initial_value, features=features,
        )  # fmt: skip
        self.q, self.epsilon = self.table("q", initial_value), self.rate("epsilon", by_state=True)
        states = self.size[0]
        self.model = Model(
            np.zeros(self.size, np.int64), np.zeros(self.size), np.zeros(self.size, np.bool_),
            np.zeros(self.size, np.int64), np.zeros(states, np.int64), np.zeros(states, np.bool_),
            np.zeros(1, np.int64), np.zeros(1, np.int64),
        )  # fmt: skip
        for name, array in self.model._asdict().items():
            self.kept(f"model/{name}", array)
        self.memory = (
            self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.model, int(planning_steps),
            float(kappa),
        )  # fmt: skip

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; what was remembered of old clusters is forgotten."""
        super().remap_states(nearest)
        self.model.visited[:], self.model.length[:] = False, 0
