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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ControlAgent,
    LearningRule,
    PlanningSteps,
    Ranges,
    Rate,
    act_epsilon_greedy,
    ahead,
    check_listed,
    in_place,
    numbers_below,
    or_none,
    random,
    visited,
)

from .q_learning import update


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


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q, alpha, gamma, epsilon, rng: as in `ControlMemory`.
        model: what was seen.
        planning_steps: steps that are remembered after each real one.
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    model: Model
    planning_steps: int


def new_model(states: int, actions: int) -> Model:
    """Nothing seen yet."""
    state, action, next_state = np.zeros((3, states * actions), np.int64)
    reward, place, length = np.zeros(states * actions), np.full((states, actions), -1), np.zeros(1, np.int64)
    return Model(state, action, next_state, reward, reward.astype(np.bool_), place, length)


def model_ranges(states: int, actions: int) -> Ranges:
    """What whole numbers a model holds."""
    state, pairs = numbers_below(states), states * actions
    return {
        "state": state, "action": numbers_below(actions), "next_state": state, "place": or_none(pairs),
        "length": (0, pairs),
    }  # fmt: skip


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
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A, R, S': learns from them, remembers them, then learns from what is remembered, the box on page 164."""
    q, gamma, model = memory.q, memory.gamma, memory.model
    td_error = update(q, s, a, r, s_next, terminated, visited(memory.alpha, s, a, progress), gamma)
    remember(model, s, a, r, s_next, terminated)
    for _ in range(memory.planning_steps):
        k = int(random(memory.rng) * model.length[0])
        state, action = model.state[k], model.action[k]
        alpha = ahead(memory.alpha, state, action, progress)
        update(q, state, action, model.reward[k], model.next_state[k], model.terminated[k], alpha, gamma)
    return td_error


class DynaQ(ControlAgent):
    """Dyna-Q: Q-learning with a learned model of the world.

    Attributes:
        model: what the last step from each state and action gave.

    Example:
        >>> from rlplay import evaluate, make
        >>> agent = DynaQ(make("rlplay/GridWorld-v0", map="dyna-maze"), planning_steps=50, gamma=0.95, seed=0)
        >>> evaluate(agent.learn(2000), n_eval_episodes=1).lengths.tolist()
        [14]
    """

    id = "dyna-q"
    rule = LearningRule(act_epsilon_greedy, learn)
    learns_from_others = True
    planning_steps: PlanningSteps = 5

    def setup(self) -> None:
        """An empty model."""
        super().setup()
        self.model = self.kept_record("model", new_model(*self.size), model_ranges(*self.size))
        self.memory = Memory(**self.memory._asdict(), model=self.model, planning_steps=self.planning_steps)

    def check(self) -> None:
        """Refuse a list of pairs that cannot be."""
        super().check()
        state, action, _, _, _, place, length = self.model
        check_listed("model", state * self.size[1] + action, place, int(length[0]))

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; what was remembered of old clusters is forgotten."""
        super().remap_states(nearest)
        self.model.place[:], self.model.length[:] = -1, 0
