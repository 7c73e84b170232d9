"""Value iteration: sweep over all states, each taking the value of its best action, until nothing changes.

No experience is needed, only the model: the environment's transition table. One timestep is one sweep:

    V(s) ← max_a Σ_{s',r} p(s', r | s, a) [r + γ V(s')]    for all s, until the largest change Δ is below θ

Source: Bellman 1957; Sutton & Barto 2e, section 4.4, equation (4.10), box on page 83.

Symbols:
    V  v      float64 [S]        state values
    p  p      float64 [S, A, K]  probability of outcome k, with s' = next_state, r = reward, terminated of that shape
    Δ  delta  float              largest change of the last sweep
    γ  gamma  float              discount
    θ  theta  float              accuracy at which to stop

Deviations from the box: none in place (the default); ``in_place=False`` computes a sweep from the values of the sweep
before, equation (4.10) to the letter.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Agent, Probe
from rlplay.agent import Engine, StateArrays
from rlplay.compiled.cache import compiled
from rlplay.compiled.table import TransitionTable, table_of
from rlplay.hyperparameters import Choice, Discount, Range
from rlplay.making import EnvLike

# p, next_state, reward, terminated
Model = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]


@compiled
def backup(
    v: NDArray[np.float64],
    s: int,
    a: int,
    p: NDArray[np.float64],
    next_state: NDArray[np.int64],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    gamma: float,
) -> float:
    """q(s, a) = Σ_{s',r} p(s', r | s, a) [r + γ V(s')], the bracket of equation (4.10)."""
    total = 0.0
    for k in range(p.shape[2]):
        future = 0.0 if terminated[s, a, k] else v[next_state[s, a, k]]
        total += p[s, a, k] * (reward[s, a, k] + gamma * future)
    return total


@compiled
def sweep(
    v: NDArray[np.float64],
    source: NDArray[np.float64],
    p: NDArray[np.float64],
    next_state: NDArray[np.int64],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    gamma: float,
) -> float:
    """One sweep over all states, reading from ``source`` (``v`` itself: in place); returns the largest change Δ."""
    delta = 0.0
    for s in range(v.shape[0]):
        best = -np.inf
        for a in range(p.shape[1]):
            best = max(best, backup(source, s, a, p, next_state, reward, terminated, gamma))
        delta = max(delta, abs(best - v[s]))
        v[s] = best
    return delta


@compiled
def action_values(
    v: NDArray[np.float64],
    p: NDArray[np.float64],
    next_state: NDArray[np.int64],
    reward: NDArray[np.float64],
    terminated: NDArray[np.bool_],
    gamma: float,
) -> NDArray[np.float64]:
    """q(s, a) of all states and actions, shape [S, A]."""
    q = np.empty((p.shape[0], p.shape[1]))
    for s in range(p.shape[0]):
        for a in range(p.shape[1]):
            q[s, a] = backup(v, s, a, p, next_state, reward, terminated, gamma)
    return q


class ValueIteration(Agent):
    """Value iteration for environments with a transition table (``env.unwrapped.P``).

    Example:
        >>> agent = ValueIteration("FrozenLake-v1", gamma=0.99).learn(10_000)
        >>> print(f"{agent.v[0]:.5f} after {agent.num_timesteps} sweeps")
        0.54203 after 372 sweeps
    """

    id = "value-iteration"
    timestep = "sweep"

    def __init__(
        self,
        env: EnvLike,
        *,
        gamma: Discount = 0.99,
        theta: Annotated[
            float, Range("stop when no value changes by more than θ in a sweep", 0, remedy="1e-9 is exact for people")
        ] = 1e-9,
        in_place: Annotated[bool, Choice("use new values within the same sweep (True, faster)", (True, False))] = True,
        seed: int | None = None,
    ) -> None:
        super().__init__(env, seed=seed, gamma=gamma, theta=theta, in_place=in_place)
        states, _ = self.require_finite()
        self.gamma, self.theta, self.in_place = float(gamma), float(theta), bool(in_place)
        self.v = np.zeros(states)
        self.delta = np.full(1, np.finfo(float).max)
        self._table: TransitionTable | None = None

    def _model(self) -> Model:
        """The table as p, next_state, reward, terminated; read when first needed, for agents loaded without one."""
        if self._table is None:
            self._table = table_of(self.env)
        arrays = self._table.arrays
        return self._table.probability, arrays.next_state, arrays.reward, arrays.terminated

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Sweep until the values stand still; the compiled sweep serves both engines."""
        model, done = self._model(), 0
        while done < timesteps and self.delta[0] > self.theta:
            source = self.v if self.in_place else self.v.copy()
            self.delta[0] = sweep(self.v, source, *model, self.gamma)
            done += 1
            self.num_timesteps += 1
        return done

    def why_not_compiled(self) -> str:
        """Nothing: sweeps are always compiled."""
        return ""

    def set_env(self, env: EnvLike) -> None:
        """Plan in another environment with the same spaces, starting from the values so far."""
        super().set_env(env)
        self._table, self.delta[0] = None, np.finfo(float).max

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the greedy policy over them, and the state's value."""
        states = self.state_indices(observation)
        q = action_values(self.v, *self._model(), self.gamma)[states]  # [B, A]
        best = np.isclose(q, q.max(axis=1, keepdims=True), rtol=0, atol=1e-9)
        return Probe(action_values=q, action_probabilities=best / best.sum(axis=1, keepdims=True), value=self.v[states])

    def arrays(self) -> StateArrays:
        """The values and the last sweep's largest change."""
        return {"v": self.v, "delta": self.delta}
