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
an episode that a time limit cuts goes on with the value of its last state, and one of more than T steps is remembered
T steps at a time, in the same way.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    Agent,
    Discount,
    Encoder,
    Exploration,
    FeaturesLike,
    ObservationVectors,
    Probe,
    Range,
    Ranges,
    StateArrays,
    Transition,
    compiled,
    copy_into,
    epsilon_greedy_probabilities,
    generator,
    longest_episode,
    numbers_below,
    random,
    require_memory,
    require_steps_memory,
    scheduled,
    stream,
    tabulate,
)

Floats = NDArray[np.float64]


class Memory(NamedTuple):
    """The best returns, of at most N states for each action.

    Attributes:
        points: the states, float32 [A, N, D].
        values: Q(s, a), float64 [A, N].
        used: the timestep at which each was last looked up or written, int64 [A, N].
        filled: how many there are, int64 [A].
    """

    points: NDArray[np.float32]
    values: Floats
    used: NDArray[np.int64]
    filled: NDArray[np.int64]


class Episode(NamedTuple):
    """The steps of the running episode, at most T.

    Attributes:
        keys: the states, float32 [T, D].
        actions: int64 [T].
        rewards: float64 [T].
        length: how many there are, int64 [1].
    """

    keys: NDArray[np.float32]
    actions: NDArray[np.int64]
    rewards: Floats
    length: NDArray[np.int64]


@compiled
def estimate(points: NDArray[np.float32], values: Floats, n: int, x: NDArray[np.float32], k: int) -> tuple[float, int]:
    """Q̂ at x [D] from the first n points [N, D] and their values [N]; and which point is x itself, or -1.

    Example:
        >>> points, values = np.array([[0.0], [1.0], [9.0]], np.float32), np.array([2.0, 4.0, 0.0])
        >>> estimate(points, values, 3, np.array([0.4], np.float32), 2)  # the mean of the two nearest
        (3.0, -1)
        >>> estimate(points, values, 3, np.array([1.0], np.float32), 2)  # a point itself
        (4.0, 1)
    """
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


def remember(memory: Memory, a: int, key: NDArray[np.float32], value: float, now: int) -> None:
    """Q(s, a) ← max(Q(s, a), R_t) of a state [D] at a timestep; in a full memory the longest unused value goes."""
    points, values, used = memory.points[a], memory.values[a], memory.used[a]
    _, found = estimate(points, values, memory.filled[a], key, 1)
    if found >= 0:
        values[found] = max(values[found], value)
    else:
        full = memory.filled[a] == len(values)
        found = int(used.argmin()) if full else int(memory.filled[a])
        points[found], values[found] = key, value
        memory.filled[a] += not full
    used[found] = now


def learn_episode(memory: Memory, episode: Episode, end_value: float, gamma: float, now: int) -> None:
    """Remember the returns of an episode, R_t = r_t + γ R_{t+1}, from the last step to the first; it is emptied.

    What follows the last step is worth ``end_value``: 0 where the episode terminated.
    """
    g = end_value
    for t in range(int(episode.length[0]) - 1, -1, -1):
        g = float(episode.rewards[t]) + gamma * g
        remember(memory, int(episode.actions[t]), episode.keys[t], g, now)
    episode.length[0] = 0


class EpisodicControl(Agent):
    """Model-free episodic control for finite actions.

    Example:
        >>> agent = EpisodicControl("CartPole-v1", seed=0).learn(2000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "episodic-control"
    gamma: Discount = 0.99
    n_neighbors: Annotated[int, Range("neighbours whose values are averaged, k", 1, 1000, integer=True)] = 11
    epsilon: Exploration = 0.05
    memory_size: Annotated[int, Range("states remembered for each action", 1, 10_000_000, integer=True)] = 5000
    projection: Annotated[
        int, Range("numbers of a random projection of the observation; 0 for none", 0, 10_000, integer=True)
    ] = 0
    features: FeaturesLike = None

    def make_encoder(self) -> Encoder:
        """Vectors, or the features of them."""
        self.number_actions()
        return self.encoder_of("vector")

    def setup(self) -> None:
        """Nothing remembered yet."""
        super().setup()
        assert self.numbering is not None
        size, n, a, longest = self.encoder.size, self.memory_size, self.numbering.n, longest_episode(self.env)
        width, self.n_actions = self.projection or size, a
        require_memory(
            f"EpisodicControl: a memory of {n:,} states of {width:,} numbers for each of {a:,} actions", a * n * width,
            "Lower memory_size, or take projection=32", itemsize=4,
        )  # fmt: skip
        require_steps_memory("EpisodicControl", longest, width)
        projection = generator(self.seed, "projection")
        self.matrix = projection.normal(size=(size, self.projection)) if self.projection else None
        self.memory = Memory(
            np.zeros((a, n, width), np.float32), np.zeros((a, n)), np.zeros((a, n), np.int64), np.zeros(a, np.int64)
        )  # fmt: skip
        self.episode = Episode(
            np.zeros((longest, width), np.float32), np.zeros(longest, np.int64), np.zeros(longest),
            np.zeros(1, np.int64),
        )  # fmt: skip
        self.exploration, self.rng = tabulate(self.epsilon), stream(self.seed, "exploration")

    def _keys(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """What states are remembered by: their vectors [B, D], or random projections of them."""
        return vectors if self.matrix is None else (vectors @ self.matrix).astype(np.float32)

    def action_values(self, keys: NDArray[np.float32]) -> Floats:
        """Q̂ of keys [B, D], float64 [B, A]; ∞ for actions that were never tried."""
        known, k = self.memory, self.n_neighbors
        return np.array([
            [estimate(known.points[a], known.values[a], known.filled[a], x, k)[0] for a in range(self.n_actions)]
            for x in keys
        ])  # fmt: skip

    def act(self, observation: Any) -> Any:
        """ε-greedy; ties at random."""
        if not self.encoder.ready:
            return self.random_action(self.encoder.rng)
        if random(self.rng) < scheduled(self.exploration, self.progress):
            return self.random_action(self.rng)
        assert self.numbering is not None
        q = self.action_values(self._keys(self.encoder.encode(observation)[None]))[0]
        if self.mask is not None:
            q[~self.mask] = -np.inf
        best = np.flatnonzero(q == q.max())
        return self.numbering.value(int(best[int(random(self.rng) * len(best))]))

    def update(self, transition: Transition) -> float:
        """Keep the step; at an episode's end remember its returns. No TD error: NaN."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self.num_timesteps += 1
        if self.encoder.ready:
            full = self._keep(obs, action, reward)
            if terminated or truncated or full:
                end_value = 0.0 if terminated else self._greatest(next_obs)
                learn_episode(self.memory, self.episode, end_value, self.gamma, self.num_timesteps)
        if self.encoder.remember(next_obs):
            self.refit()
        return float("nan")

    def _keep(self, obs: Any, action: Any, reward: float) -> bool:
        """Keep a step; whether there is no room for another."""
        assert self.numbering is not None
        episode, t = self.episode, int(self.episode.length[0])
        episode.keys[t] = self._keys(self.encoder.encode(obs)[None])[0]
        episode.actions[t], episode.rewards[t] = self.numbering.index(action), reward
        episode.length[0] = t + 1
        return t + 1 == len(episode.rewards)

    def _greatest(self, obs: Any) -> float:
        """The greatest Q̂ of the actions that were tried, 0 where none was."""
        q = self.action_values(self._keys(self.encoder.encode(obs)[None]))[0]
        known = q[np.isfinite(q)]
        return float(known.max()) if known.size else 0.0

    def give_up_episode(self) -> None:
        """Stand between episodes; what was kept of the running one is forgotten."""
        super().give_up_episode()
        self.episode.length[0] = 0

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """The features moved: what was remembered lies elsewhere now, and is forgotten."""
        self.memory.filled[:], self.episode.length[0] = 0, 0

    @property
    def learns_after(self) -> int | None:
        """An episode is remembered at its end."""
        return None

    def why_not_compiled(self) -> str:
        """It remembers in Python; the search for neighbours is compiled."""
        return "EpisodicControl remembers in Python"

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; an action never tried has the value of the best other."""
        q = self.action_values(self._keys(self.encoder.encode_batch(observation)))
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.exploration, self.progress))
        known = np.where(np.isfinite(q), q, -np.inf).max(axis=1, keepdims=True)
        q = np.where(np.isfinite(q), q, np.where(np.isfinite(known), known, 0.0))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    def seen(self) -> NDArray[np.float32] | None:
        """What is remembered, where it is observations as they are."""
        if self.matrix is not None or not isinstance(self.encoder, ObservationVectors):
            return super().seen()
        return np.concatenate([points[:n] for points, n in zip(self.memory.points, self.memory.filled, strict=True)])

    # Files.

    def arrays(self) -> StateArrays:
        """The memory, the running episode, and the random state."""
        known, episode = self.memory, self.episode
        most, t = int(known.filled.max()), int(episode.length[0])
        return {
            "filled": known.filled, "length": episode.length, "exploration": self.rng,
            "points": known.points[:, :most], "values": known.values[:, :most], "used": known.used[:, :most],
            "episode/keys": episode.keys[:t], "episode/actions": episode.actions[:t],
            "episode/rewards": episode.rewards[:t], **self.encoder.arrays(),
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {
            "filled": (0, self.memory_size), "length": (0, len(self.episode.rewards)), "used": COUNT,
            "episode/actions": numbers_below(self.n_actions), **super().ranges(),
        }  # fmt: skip

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        for name, array in (("filled", self.memory.filled), ("length", self.episode.length)):
            copy_into(name, arrays, array)  # they say how much there is of the others
        super().load_arrays(arrays)


__all__ = ["EpisodicControl", "estimate"]
