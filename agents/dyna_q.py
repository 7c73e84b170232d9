"""Dyna-Q: learn from each real step, and n times more from steps that are only remembered.

A table remembers what each state and action led to. After each step of Q-learning, n of them are drawn at random and
learned from again, as if they happened now; so one reward spreads over the whole table within a few episodes:

    Q(S, A) ← Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)]
    Model(S, A) ← R, S'
    n times: S, A drawn from those seen;  R, S' ← Model(S, A);  Q(S, A) ← the same update

Source: Sutton 1990; Sutton & Barto 2e, section 8.2, box on page 164.

Symbols:
    Q  q  float64 [S, A]  action values
    Model  model  what the last step from each state and action gave: a list of those seen
    n  planning_steps,  α  alpha  float or schedule, γ gamma, ε epsilon float or schedule

Deviations from the box: the model knows endings too; ties between best actions are broken at random. The model is that
of a deterministic world: where there is chance it remembers the last outcome.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.q_learning import update
from rlplay.agent.tabular import TableAgent, act_epsilon_greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import ahead, visited
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, PlanningSteps, StepSize


class Model(NamedTuple):
    """What the last step from each state and action gave: a list of the pairs that were seen, ``length[0]`` of them.

    Attributes:
        state: S of each pair, int64 [S * A], action: A of it, both in the order in which they were first seen.
        next_state: int64 [S * A], reward: float64, terminated: bool: what the pair gave last.
        place: where a pair stands in the list, -1 where it was not seen, int64 [S, A].
        length: int64 [1].
    """

    state: NDArray[np.int64]
    action: NDArray[np.int64]
    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    place: NDArray[np.int64]
    length: NDArray[np.int64]


@in_place
def remember(model: Model, s: int, a: int, r: float, s_next: int, terminated: bool) -> None:
    """Model(S, A) ← R, S'."""
    k = model.place[s, a]
    if k < 0:
        k = model.length[0]
        model.length[0] = k + 1
        model.state[k], model.action[k], model.place[s, a] = s, a, k
    model.next_state[k], model.reward[k], model.terminated[k] = s_next, r, terminated


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the box: learn from the step, remember it, then plan."""
    q, alpha, gamma, epsilon, rng, model, planning_steps = memory
    td_error = update(q, s, a, r, s_next, terminated, visited(alpha, s, a, progress), gamma)
    remember(model, s, a, r, s_next, terminated)
    states, actions, next_state, reward, ends, place, length = model
    for _ in range(planning_steps):
        k = int(random(rng) * length[0])
        state, action = states[k], actions[k]
        update(q, state, action, reward[k], next_state[k], ends[k], ahead(alpha, state, action, progress), gamma)
    return td_error


class DynaQ(TableAgent):
    """Dyna-Q: Q-learning with a learned model of the world.

    Example:
        >>> from rlplay import evaluate, make
        >>> agent = DynaQ(make("rlplay/GridWorld-v0", map="dyna-maze"), planning_steps=50, gamma=0.95, seed=0)
        >>> evaluate(agent.learn(2000), n_eval_episodes=1).lengths.tolist()
        [14]
    """

    id = "dyna-q"
    rule = LearningRule(act_epsilon_greedy, learn)

    def __init__(
        self,
        env: EnvLike,
        *,
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        planning_steps: PlanningSteps = 5,
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, alpha=alpha, gamma=gamma, epsilon=epsilon, planning_steps=planning_steps,
            initial_value=initial_value, features=features,
        )  # fmt: skip
        self.q, self.epsilon = self.table("q", initial_value), self.rate("epsilon", by_state=True)
        pairs = self.q.size
        self.model = Model(
            np.zeros(pairs, np.int64), np.zeros(pairs, np.int64), np.zeros(pairs, np.int64), np.zeros(pairs),
            np.zeros(pairs, np.bool_), np.full(self.size, -1), np.zeros(1, np.int64),
        )  # fmt: skip
        for name, array in self.model._asdict().items():
            self.kept(f"model/{name}", array)
        self.memory = (
            self.q, self.rate("alpha"), float(gamma), self.epsilon, self.rng, self.model, int(planning_steps),
        )  # fmt: skip

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; what was remembered of old clusters is forgotten."""
        super().remap_states(nearest)
        self.model.place[:], self.model.length[:] = -1, 0
