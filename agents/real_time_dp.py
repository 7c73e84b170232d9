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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Discount,
    EnvLike,
    InitialValue,
    LearningRule,
    Model,
    NoEnvironment,
    Probe,
    TableAgent,
    action_values,
    backup,
    best_value,
    greedy,
    greedy_probabilities,
    in_place,
    model_of,
    table_of,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        v: state values, float64 [S].
        gamma: discount.
        rng: the state of the generator that breaks ties, uint64 [4].
        q: takes the action values of one state, float64 [1, A].
        model: the transition table.
    """

    v: NDArray[np.float64]
    gamma: float
    rng: NDArray[np.uint64]
    q: NDArray[np.float64]
    model: Model


@in_place
def act(memory: Memory, s: int, progress: float) -> int:
    """The greedy action in S by one backup of the model."""
    q, model = memory.q, memory.model
    for a in range(q.shape[1]):
        q[0, a] = backup(memory.v, s, a, model, memory.gamma, 0.0) if model.allowed[s, a] else -math.inf
    return greedy(q, 0, memory.rng)


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S alone, V(S) ← max_a q(S, a): the model knows the rest; returns by how much the value changed."""
    best = best_value(memory.v, s, memory.model, memory.gamma, 0.0)
    change = best - memory.v[s]
    memory.v[s] = best
    return change


class RealTimeDP(TableAgent):
    """Real-time dynamic programming for environments with a transition table.

    Attributes:
        v: state values, float64 [S].

    Example:
        >>> agent = RealTimeDP("rlplay/Racetrack-v0", gamma=1.0, seed=0).learn(20_000)
        >>> agent.v.shape == (agent.observation_space.n,)
        True
    """

    id = "real-time-dp"
    rule = LearningRule(act, learn)
    learns_from_others = True
    needs_model = True
    gamma: Discount = 0.99
    initial_value: InitialValue = 0.0

    def setup(self) -> None:
        """State values, and the model."""
        super().setup()
        self.v = self.values("v", self.initial_value)
        self._model: Model | None = None
        self._read_model()

    def _read_model(self) -> None:
        """Read the table, where the agent has an environment: a loaded one may have none."""
        if isinstance(self.env, NoEnvironment):
            return
        table = table_of(self.env)
        self._model = model_of(table)
        self.v[table.final()] = 0.0
        self.memory = Memory(self.v, self.gamma, self.rng, np.zeros((1, self.size[1])), self._model)

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Plan in another environment with the same spaces, starting from the values so far."""
        super().set_env(env, force_reset)
        self._read_model()

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the greedy policy over them, and the state's value."""
        states = self.encoder.encode_batch(observation)
        if self._model is None:
            return Probe(value=self.v[states])
        q = action_values(self.v, self._model, self.gamma, 0.0)[states]
        return Probe(action_values=q, action_probabilities=greedy_probabilities(q), value=self.v[states])
