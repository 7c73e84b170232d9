"""The leaves that table agents share: one equation, one pure function; and the part of the contract they share.

``q`` is a table of action values, shape [S, A], float64. Functions take the table and a state, never a row: a view of
a row costs more in compiled code than the loop over it. An action that may not be taken (an action mask) has the value
-∞ in every table: then no greedy policy takes it, no maximum sees it, and compiled code needs no mask.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.saving import copy_into
from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.compiled.table import action_masks
from rlplay.environments.make import EnvLike, reference
from rlplay.errors import EnvironmentFault
from rlplay.functional.episode_buffer import Steps, new_steps
from rlplay.functional.schedules import Rate, new_rate, scheduled, visited
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.transition import Transition


@in_place
def greatest(q: NDArray[np.float64], s: int) -> float:
    """max_a q(s, a)."""
    best = q[s, 0]
    for a in range(1, q.shape[1]):
        best = max(best, q[s, a])
    return best


@in_place
def greedy(q: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """argmax_a q(s, a), ties broken at random."""
    best, action, ties = q[s, 0], 0, 1
    for a in range(1, q.shape[1]):
        if q[s, a] > best:
            best, action, ties = q[s, a], a, 1
        elif q[s, a] == best:
            ties += 1
    if ties > 1:
        skip = int(random(rng) * ties)
        for a in range(q.shape[1]):
            if q[s, a] == best:
                if skip == 0:
                    return a
                skip -= 1
    return action


@in_place
def random_action(q: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """An action that may be taken, all equally likely."""
    action = int(random(rng) * q.shape[1])
    while q[s, action] == -math.inf:
        action = int(random(rng) * q.shape[1])
    return action


@in_place
def epsilon_greedy(q: NDArray[np.float64], s: int, epsilon: float, rng: NDArray[np.uint64]) -> int:
    """A random action with probability ε, else a greedy one (Sutton & Barto 2e, section 2.2)."""
    if random(rng) < epsilon:
        return random_action(q, s, rng)
    return greedy(q, s, rng)


@in_place
def expected_value(q: NDArray[np.float64], s: int, epsilon: float) -> float:
    """Σ_a π(a|s) q(s, a) for the ε-greedy policy π; ties share, which leaves the sum the same."""
    total, allowed, best = 0.0, 0, -math.inf
    for a in range(q.shape[1]):
        if q[s, a] > -math.inf:
            total += q[s, a]
            allowed += 1
            best = max(best, q[s, a])
    return epsilon * total / allowed + (1.0 - epsilon) * best


@in_place
def policy_probability(q: NDArray[np.float64], s: int, a: int, epsilon: float) -> float:
    """π(a|s) of the ε-greedy policy; greedy actions share."""
    best, ties, allowed = greatest(q, s), 0, 0
    for b in range(q.shape[1]):
        ties += q[s, b] == best
        allowed += q[s, b] > -math.inf
    return (epsilon / allowed if q[s, a] > -math.inf else 0.0) + ((1.0 - epsilon) / ties if q[s, a] == best else 0.0)


def epsilon_greedy_probabilities(q: NDArray[np.float64], epsilon: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """π(a|s) of the ε-greedy policy; greedy actions share.

    Args:
        q: action values, shape [B, A].
        epsilon: probability of a random action, one number or one a row [B, 1].

    Returns:
        Probabilities, shape [B, A].
    """
    best, allowed = q == q.max(axis=1, keepdims=True), q > -np.inf  # [B, A]
    share = epsilon * allowed / allowed.sum(axis=1, keepdims=True)
    return share + (1.0 - epsilon) * best / best.sum(axis=1, keepdims=True)


@in_place
def act_epsilon_greedy(memory: Any, s: int, progress: float) -> int:
    """The loop's way to the ε-greedy policy, for a memory that begins with q, alpha, gamma, epsilon, rng."""
    return epsilon_greedy(memory[0], s, visited(memory[3], s, 0, progress), memory[4])


@in_place
def sampled(probabilities: NDArray[np.float64], s: int, rng: NDArray[np.uint64]) -> int:
    """An action drawn from a policy's row, shape [S, A]."""
    u, total, last = random(rng), 0.0, 0
    for a in range(probabilities.shape[1]):
        if probabilities[s, a] > 0.0:
            total, last = total + probabilities[s, a], a
            if u < total:
                return a
    return last


class TableAgent(Agent):
    """What agents with tables share: tables are made, masked, saved, and carried over when features are fitted again.

    Attributes:
        size: how many states and actions there are.
        tables: arrays with a row a state, by name; all are saved and carried.
        others: further arrays that are saved.
        allowed: whether each action may be taken in each state, bool [S, A].
        rng: the state of the exploration's generator.
    """

    q: NDArray[np.float64]
    epsilon: Rate

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        self.size = self.require_finite()
        self.rng = stream(self.seed, "exploration")
        self.tables: dict[str, NDArray[Any]] = {}
        self._masked: list[NDArray[np.float64]] = []  # those of action values
        self._steps: Steps | None = None
        self.others: StateArrays = {"exploration": self.rng}
        self.allowed = np.ones(self.size, np.bool_)
        masks = action_masks(self.env) if self.features is None else None
        if masks is not None:
            self.allowed[:] = masks
        self._may_be_masked = masks is None and self.features is None
        self._env_masks = getattr(self.env.unwrapped, "action_masks", None)

    def table(self, name: str, value: float = 0.0) -> NDArray[np.float64]:
        """A new table of action values [S, A], filled with a value, -∞ for actions that may not be taken."""
        self.tables[name] = table = np.full(self.size, float(value))
        table[~self.allowed] = -np.inf
        self._masked.append(table)
        return table

    def values(self, name: str, value: float = 0.0) -> NDArray[np.float64]:
        """A new table of state values [S], filled with a value."""
        self.tables[name] = table = np.full(self.size[0], float(value))
        return table

    def kept(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """An array that is saved beside the tables."""
        self.others[name] = array
        return array

    def room(self, size: int) -> Steps:
        """Room for the steps of an episode, or for the last few; what is filled is saved."""
        self._steps = new_steps(size)
        return self._steps

    def rate(self, name: str, *, by_state: bool = False) -> Rate:
        """A hyperparameter that is a schedule, or falls with the visits of each state and action (or state)."""
        rate = new_rate(self.hyperparameters[name], (self.size[0], 1 if by_state else self.size[1]))
        _, visits = rate
        if visits.size:
            self.tables[f"{name}_visits"] = visits
        return rate

    # Action masks.

    def act(self, observation: Any) -> Any:
        """The next action while learning (the stepwise driver)."""
        if self._may_be_masked:
            self._mask(observation, self.position.info)
        return super().act(observation)

    def update(self, transition: Transition) -> float:
        """Learn from one step (the stepwise driver); returns the TD error."""
        if self._may_be_masked and not transition.terminated:
            self._mask(transition.next_obs, transition.info)
        return super().update(transition)

    def _mask(self, observation: Any, info: dict[str, Any]) -> None:
        """Take the mask that came with an observation: ``info["action_mask"]`` or the environment's action_masks()."""
        mask = info.get("action_mask")
        if mask is None and self._env_masks is not None:
            mask = self._env_masks()
        if mask is None:
            return
        state, mask = self._states.index(observation), np.asarray(mask, bool)
        if mask.shape != (self.size[1],) or not mask.any():
            raise EnvironmentFault(
                f"{reference(self.env)} gave the action mask {mask.astype(int).tolist()} for {self.size[1]} actions",
                "A mask has one entry an action, and at least one that may be taken",
            )
        if (mask != self.allowed[state]).any():
            self._allow(state, mask)

    def _allow(self, state: int, mask: NDArray[np.bool_]) -> None:
        self.allowed[state] = mask
        for table in self._masked:
            row = table[state]
            row[mask & (row == -np.inf)] = self.hyperparameters.get("initial_value", 0.0)
            row[~mask] = -np.inf

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; a running episode is given up."""
        super().set_env(env)
        self._env_masks = getattr(self.env.unwrapped, "action_masks", None)

    # What is learned.

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; the value is that of this policy."""
        states = self.state_indices(observation)
        q = self.q[states]  # [B, A]
        values, visits = self.epsilon
        epsilon = (visits[states] + 1.0) ** -values[0] if visits.size else scheduled(values, self.progress)
        probabilities = epsilon_greedy_probabilities(q, epsilon)
        value = (probabilities * np.where(q > -np.inf, q, 0.0)).sum(axis=1)
        return Probe(action_values=q, action_probabilities=probabilities, value=value)

    def arrays(self) -> StateArrays:
        """The tables (0 where an action may not be taken), the masks, and what else is kept."""
        found: StateArrays = {name: np.where(table == -np.inf, 0, table) for name, table in self.tables.items()}
        if self._steps is not None:
            filled = min(int(self._steps.length[0]), len(self._steps.state))
            found.update({f"steps/{name}": array[:filled] for name, array in self._steps._asdict().items()})
            found.update({f"steps/{name}": getattr(self._steps, name) for name in ("length", "overflow")})
        features = self.features.arrays() if self.features is not None else {}
        return {**found, "allowed": self.allowed, **self.others, **features}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        if self._steps is not None:
            copy_into("steps/length", arrays, self._steps.length)  # it says how many of the others are filled
        for name, target in {**self.arrays(), **self.tables}.items():
            copy_into(name, arrays, target)
        for state in np.flatnonzero(~self.allowed.all(axis=1)):
            self._allow(int(state), self.allowed[state].copy())

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster of a new fit takes the rows of the nearest old one."""
        if nearest is not None:
            for table in self.tables.values():
                table[:] = table[nearest]
