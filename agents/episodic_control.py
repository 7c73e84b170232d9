"""Model-free episodic control: do again what went best from here, or from the nearest places that are remembered.

    Q(s, a) ← max(Q(s, a), R_t)           at an episode's end, if (s, a) is remembered; else it is remembered with R_t
    Q̂(s, a) = Q(s, a) where s is remembered, else the mean of the k nearest of action a

with R_t the discounted return that followed. Nothing is averaged away: the best that happened counts, so it learns from
a single success, and is sure of itself where luck decides.

Source: Blundell, Uria, Pritzel, Li, Ruderman, Leibo, Rae, Wierstra & Hassabis 2016, equations (1) and (2).

Symbols:
    s  vectors of observations, standardised, or random projections of them    R_t  returns  float64 [T]
    k  n_neighbors    γ  gamma    ε  epsilon  float or schedule

Deviations from the source: when the memory of an action is full, the value that has not been used longest is replaced;
an episode that is only truncated counts as it went.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Agent, Probe
from rlplay.agent.base import StateArrays
from rlplay.storage.checkpoint import copy_into
from rlplay.agent.tabular import epsilon_greedy_probabilities
from rlplay.compiled.cache import compiled
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import EnvLike
from rlplay.functional.episode_buffer import longest_episode
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike
from rlplay.seeding import generator, stream
from rlplay.transition import Transition

Floats = NDArray[np.float64]


@compiled
def estimate(points: NDArray[np.float32], values: Floats, n: int, x: NDArray[np.float32], k: int) -> tuple[float, int]:
    """Q̂ at x [D] from the first n points [N, D] and their values [N]; and which point is x itself, or -1."""
    if n == 0:
        return np.inf, -1  # an action that was never tried: it is tried
    k = min(k, n)
    nearest, which = np.full(k, np.inf), np.zeros(k, np.int64)
    for i in range(n):
        distance = 0.0
        for d in range(x.shape[0]):
            gap = points[i, d] - x[d]
            distance += gap * gap
        if distance == 0.0:
            return values[i], i
        if distance < nearest[k - 1]:
            at = k - 1
            while at > 0 and distance < nearest[at - 1]:
                nearest[at], which[at] = nearest[at - 1], which[at - 1]
                at -= 1
            nearest[at], which[at] = distance, i
    total = 0.0
    for i in range(k):
        total += values[which[i]]
    return total / k, -1


class EpisodicControl(Agent):
    """Model-free episodic control for finite actions.

    Example:
        >>> agent = EpisodicControl("CartPole-v1", seed=0).learn(2000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "episodic-control"
    numbered = False

    def __init__(
        self,
        env: EnvLike,
        *,
        gamma: Discount = 0.99,
        n_neighbors: Annotated[int, Range("neighbours whose values are averaged, k", 1, 1000, integer=True)] = 11,
        epsilon: Exploration = 0.05,
        memory_size: Annotated[int, Range("states remembered for each action", 1, 10_000_000, integer=True)] = 5000,
        projection: Annotated[
            int, Range("numbers of a random projection of the observation; 0 for none", 0, 10_000, integer=True)
        ] = 0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, gamma=gamma, n_neighbors=n_neighbors, epsilon=epsilon, memory_size=memory_size,
            projection=projection, features=features,
        )  # fmt: skip
        size, self.n_actions, _ = self.require_vectors(finite_actions=True)
        self.matrix = generator(self.seed, "projection").normal(size=(size, projection)) if projection else None
        width, room, n = projection or size, int(memory_size), self.n_actions
        self.points, self.values = np.zeros((n, room, width), np.float32), np.zeros((n, room))
        self.used = np.zeros((n, room), np.int64)  # the timestep at which each was last looked up or written
        self.filled = np.zeros(n, np.int64)
        longest = longest_episode(self.env)
        self.episode = np.zeros((longest, width), np.float32), np.zeros(longest, np.int64), np.zeros(longest)
        self.length = np.zeros(1, np.int64)
        self.epsilon, self.rng = tabulate(epsilon), stream(self.seed, "exploration")

    def _keys(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors if self.matrix is None else (vectors @ self.matrix).astype(np.float32)

    def action_values(self, keys: NDArray[np.float32]) -> Floats:
        """Q̂ of rows [B, D], float64 [B, A]; ∞ for actions that were never tried."""
        k = int(self.hyperparameters["n_neighbors"])
        return np.array([
            [estimate(self.points[a], self.values[a], self.filled[a], x, k)[0] for a in range(self.n_actions)]
            for x in keys
        ])  # fmt: skip

    def act(self, observation: Any) -> Any:
        """ε-greedy; ties at random."""
        if self.features is not None and not self.features.ready:
            return self.random_action(self.features.rng)
        if random(self.rng) < scheduled(self.epsilon, self.progress):
            return self.random_action(self.rng)
        q = self.action_values(self._keys(self._vector(observation)[None]))[0]
        best = np.flatnonzero(q == q.max())
        return self._actions.value(int(best[int(random(self.rng) * len(best))]))

    def update(self, transition: Transition) -> float:
        """Keep the step; at an episode's end remember its returns. No TD error: NaN."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self.num_timesteps += 1
        if self.features is None or self.features.ready:
            keys, actions, rewards = self.episode
            t = int(self.length[0])
            if t < len(rewards):  # of an endless episode the beginning
                keys[t] = self._keys(self._vector(obs)[None])[0]
                actions[t], rewards[t] = self._actions.index(action), reward
                self.length[0] += 1
            if terminated or truncated:
                self._remember()
        if self.features is not None and self.features.remember(next_obs):
            self._refit()
        return float("nan")

    def _remember(self) -> None:
        """From the last step to the first: Q(s, a) ← max(Q(s, a), R_t)."""
        keys, actions, rewards = self.episode
        g, gamma = 0.0, float(self.hyperparameters["gamma"])
        for t in range(int(self.length[0]) - 1, -1, -1):
            a, g = int(actions[t]), float(rewards[t]) + gamma * g
            _, found = estimate(self.points[a], self.values[a], self.filled[a], keys[t], 1)
            if found >= 0:
                self.values[a, found] = max(self.values[a, found], g)
            else:
                full = self.filled[a] == self.values.shape[1]
                found = int(self.used[a].argmin()) if full else int(self.filled[a])
                self.points[a, found], self.values[a, found] = keys[t], g
                self.filled[a] += not full
            self.used[a, found] = self.num_timesteps
        self.length[0] = 0

    def give_up_episode(self) -> None:
        """Stand between episodes; what was kept of the running one is forgotten."""
        super().give_up_episode()
        self.length[0] = 0

    def remap_states(self, nearest: Any) -> None:
        """The features moved: what was remembered lies elsewhere now, and is forgotten."""
        self.filled[:], self.length[0] = 0, 0

    def why_not_compiled(self) -> str:
        """It remembers in Python; the search for neighbours is compiled."""
        return "EpisodicControl remembers in Python"

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; an action never tried has the value of the best other."""
        q = self.action_values(self._keys(self.vectors(observation)))
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.epsilon, self.progress))
        known = np.where(np.isfinite(q), q, -np.inf).max(axis=1, keepdims=True)
        q = np.where(np.isfinite(q), q, np.where(np.isfinite(known), known, 0.0))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    def seen(self) -> NDArray[np.float32] | None:
        """What is remembered, where it is observations as they are."""
        if self.matrix is not None or self.features is not None:
            return super().seen()
        return np.concatenate([points[:n] for points, n in zip(self.points, self.filled, strict=True)])

    # Files.

    def arrays(self) -> StateArrays:
        """The memory, the running episode, and the random state."""
        keys, actions, rewards = self.episode
        most, t = int(self.filled.max()), int(self.length[0])
        found: StateArrays = {
            "filled": self.filled, "length": self.length, "exploration": self.rng, "points": self.points[:, :most],
            "values": self.values[:, :most], "used": self.used[:, :most], "episode/keys": keys[:t],
            "episode/actions": actions[:t], "episode/rewards": rewards[:t],
        }  # fmt: skip
        return found | (self.features.arrays() if self.features is not None else {})

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        for name, array in (("filled", self.filled), ("length", self.length)):
            copy_into(name, arrays, array)  # they say how much there is of the others
        super().load_arrays(arrays)


__all__ = ["EpisodicControl", "estimate"]
