"""Real-time dynamic programming: back up only the states that are met on the way.

Value iteration sweeps over all states, also those that no good policy ever visits. Here the agent acts greedily by
the model and backs up each state as it leaves it; what it never meets costs nothing:

    A = argmax_a Σ_{s',r} p(s', r | S, a) [r + γ V(s')]
    V(S) ← max_a Σ_{s',r} p(s', r | S, a) [r + γ V(s')]

Source: Barto, Bradtke & Singh 1995; Sutton & Barto 2e, section 8.7, equation (4.10) for the backup.

Symbols:
    V  v  float64 [S]        state values; at least as large as the true ones at the start, to be sure of the optimum
    p  p  float64 [S, A, K]  probability of outcome k, with s' = next_state, r = reward, terminated of that shape
    γ  gamma

Deviations from the paper: only the state that is left is backed up (trial-based RTDP); ties are broken at random.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlplay import Probe
from rlplay.agent.planner import Model, action_values, backup, best_value, greedy_probabilities, model_of
from rlplay.agent.tabular import TableAgent, greedy
from rlplay.compiled.cache import in_place
from rlplay.compiled.table import table_of
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.hyperparameters.types import Discount, InitialValue


@in_place
def act(memory: Any, s: int, progress: float) -> int:
    """The loop's way to the greedy policy of the model."""
    v, gamma, rng, q, model = memory
    for a in range(q.shape[1]):
        q[0, a] = backup(v, s, a, model, gamma, 0.0) if model.allowed[s, a] else -math.inf
    return greedy(q, 0, rng)


@in_place
def learn(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the backup of the state that was left; returns by how much its value changed."""
    v, gamma, rng, q, model = memory
    best = best_value(v, s, model, gamma, 0.0)
    change = best - v[s]
    v[s] = best
    return change


class RealTimeDP(TableAgent):
    """Real-time dynamic programming for environments with a transition table.

    Example:
        >>> agent = RealTimeDP("rlplay/Racetrack-v0", gamma=1.0, seed=0).learn(20_000)
        >>> agent.v.shape == (agent.observation_space.n,)
        True
    """

    id = "real-time-dp"
    rule = LearningRule(act, learn)
    needs_model = True

    def __init__(
        self, env: EnvLike, *, gamma: Discount = 0.99, initial_value: InitialValue = 0.0, seed: int | None = None
    ) -> None:
        super().__init__(env, seed=seed, gamma=gamma, initial_value=initial_value)
        self.v = self.values("v", initial_value)
        self.gamma = float(gamma)
        self._model: Model | None = None
        self._prepare()

    def _prepare(self) -> None:
        """Read the model, where the agent has an environment: a loaded one may have none."""
        from rlplay.environments.no_environment import NoEnvironment

        if isinstance(self.env, NoEnvironment):
            return
        self._model = model_of(table_of(self.env))
        self.v[table_of(self.env).final()] = 0.0
        self.memory = (self.v, self.gamma, self.rng, np.zeros((1, self.size[1])), self._model)

    def set_env(self, env: EnvLike) -> None:
        """Plan in another environment with the same spaces, starting from the values so far."""
        super().set_env(env)
        self._prepare()

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the greedy policy over them, and the state's value."""
        states = self.state_indices(observation)
        if self._model is None:
            return Probe(value=self.v[states])
        q = action_values(self.v, self._model, self.gamma, 0.0)[states]
        return Probe(action_values=q, action_probabilities=greedy_probabilities(q), value=self.v[states])
