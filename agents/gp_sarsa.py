"""GP-Sarsa: a Gaussian process over action values, which knows how sure it is of each.

Values are a priori normal with covariance k; each step is a noisy look at a difference of two of them:

    R = Q(S, A) - γ Q(S', A') + noise,    noise ~ N(0, σ²)

Given all steps Q is normal again. To keep this small, a step joins the dictionary D only where those in it do not
already explain it: when k(x, x) - k_D(x)ᵀ K⁻¹ k_D(x) > ν. All others are written as a(x) = K⁻¹ k_D(x), so that the
process is its values u at the dictionary:

    Λ = K⁻¹ + 1/σ² Σ h hᵀ,    E[u] = Λ⁻¹ 1/σ² Σ R h,    h = a(S, A) - γ a(S', A')    (a step at a time)
    E[Q(x)] = a(x)ᵀ E[u],     Var[Q(x)] = k(x, x) - a(x)ᵀ k_D(x) + a(x)ᵀ Λ⁻¹ a(x)

Source: Engel, Mannor & Meir 2005, "Reinforcement learning with Gaussian processes", section 4 and its GPSARSA; the
dictionary after Engel, Mannor & Meir 2004; Rasmussen & Williams 2006, section 2.7, for values as weights.

Symbols:
    x = (S, A)    k  kernel: signal exp(-‖s - s'‖² / 2 l²) for the same action, else 0    σ  noise    ν  novelty
    u  values at the dictionary  float64 [M]    Λ⁻¹  covariance  float64 [M, M]    γ  gamma    ε  epsilon
    c  confidence: actions are greedy in E[Q] + c √Var[Q]

Deviations from the source: noise is taken to be independent from step to step (the model of Engel, Mannor & Meir 2003);
an episode that is only truncated bootstraps once more. A full dictionary takes no more.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Agent,
    Discount,
    Encoder,
    Exploration,
    FeaturesLike,
    Probe,
    Range,
    Ranges,
    StateArrays,
    Transition,
    as_feature_map,
    copy_into,
    epsilon_greedy_probabilities,
    numbers_below,
    random,
    scheduled,
    stream,
    tabulate,
)

Floats = NDArray[np.float64]


class Process(NamedTuple):
    """A Gaussian process over action values, by its values at a dictionary of at most N points (M so far).

    Attributes:
        points, actions: the dictionary, float64 [N, F] and int64 [N].
        used: M, int64 [1].
        inverse: K⁻¹, float64 [N, N].
        covariance: Λ⁻¹, float64 [N, N].
        u: E[u], float64 [N].
        length_scale: l.    signal: prior variance of a value.    noise: σ.    novelty: ν, as a share of the signal.
    """

    points: Floats
    actions: NDArray[np.int64]
    used: NDArray[np.int64]
    inverse: Floats
    covariance: Floats
    u: Floats
    length_scale: float
    signal: float
    noise: float
    novelty: float


def kernel(gp: Process, x: Floats, a: NDArray[np.int64]) -> Floats:
    """k_D of points [B, F] and actions [B], float64 [B, M]."""
    m = int(gp.used[0])
    squares = ((x[:, None] - gp.points[:m]) ** 2).sum(axis=2)
    near = gp.signal * np.exp(-0.5 * squares / gp.length_scale**2)
    return np.where(a[:, None] == gp.actions[:m], near, 0.0)


def join(gp: Process, x: Floats, a: int) -> Floats:
    """a(x) of a point [F] and an action, [M]; the point joins the dictionary where it is news."""
    m = int(gp.used[0])
    k = kernel(gp, x[None], np.array([a]))[0]
    share = gp.inverse[:m, :m] @ k
    unexplained = float(gp.signal - k @ share)
    if unexplained <= gp.novelty * gp.signal or m == len(gp.u):
        return share
    gp.points[m], gp.actions[m] = x, a  # K⁻¹ by the inverse of a block matrix
    gp.inverse[:m, :m] += np.outer(share, share) / unexplained
    gp.inverse[m, :m] = gp.inverse[:m, m] = -share / unexplained
    gp.inverse[m, m] = 1.0 / unexplained
    gp.covariance[m, :m] = gp.covariance[:m, m] = gp.covariance[:m, :m] @ share  # the prior of u_m, given u
    gp.covariance[m, m] = unexplained + share @ gp.covariance[:m, m]
    gp.u[m] = share @ gp.u[:m]
    gp.used[0] = m + 1
    return np.eye(m + 1)[m]


def difference(now: Floats, after: Floats, gamma: float) -> Floats:
    """The difference h = a(S, A) - γ a(S', A'), [M]; the dictionary may have grown by S' in between."""
    return np.pad(now, (0, len(after) - len(now))) - gamma * after


def learn_difference(gp: Process, h: Floats, reward: float) -> float:
    """Take R = hᵀ u + noise into the process, h [M]; returns what was not expected, R - hᵀ E[u]."""
    m = len(h)
    gain = gp.covariance[:m, :m] @ h
    error = reward - float(h @ gp.u[:m])
    gain_share = gain / (gp.noise**2 + float(h @ gain))
    gp.u[:m] += gain_share * error
    gp.covariance[:m, :m] -= np.outer(gain_share, gain)
    return error


def moments(gp: Process, vectors: NDArray[Any], n_actions: int) -> tuple[Floats, Floats]:
    """E[Q] and Var[Q] of vectors [B, F], float64 [B, A] each."""
    x, m = np.asarray(vectors, np.float64), int(gp.used[0])
    mean, variance = np.zeros((2, len(x), n_actions))
    for a in range(n_actions):
        k = kernel(gp, x, np.full(len(x), a))
        share = k @ gp.inverse[:m, :m]
        mean[:, a] = share @ gp.u[:m]
        variance[:, a] = gp.signal - (share * k).sum(axis=1)
        variance[:, a] += ((share @ gp.covariance[:m, :m]) * share).sum(axis=1)
    return mean, np.maximum(variance, 0.0)


class GPSarsa(Agent):
    """GP-Sarsa with a sparse dictionary, for finite actions.

    Example:
        >>> agent = GPSarsa("MountainCar-v0", gamma=0.99, seed=0).learn(500)
        >>> agent.deviation(agent.get_env().reset(seed=0)[0]).shape
        (1, 3)
    """

    id = "gp-sarsa"
    gamma: Discount = 0.99
    epsilon: Exploration = 0.1
    confidence: Annotated[float, Range("c: deviations that are added to values when it acts", 0, 100)] = 0.0
    length_scale: Annotated[float, Range("l, in deviations of the observations", 0, 1e6, open_low=True)] = 1.0
    signal: Annotated[float, Range("prior variance of a value", 0, 1e12, open_low=True)] = 100.0
    noise: Annotated[float, Range("σ: deviation of the noise", 0, 1e6, open_low=True)] = 1.0
    novelty: Annotated[float, Range("ν: what may stay unexplained, as a share of the signal", 0, 1)] = 0.05
    dictionary_size: Annotated[int, Range("most steps in the dictionary", 1, 5000, integer=True)] = 300
    features: FeaturesLike = None

    def make_encoder(self) -> Encoder:
        """Features; standardised observations where none are given."""
        if self.hyperparameters["features"] is None:  # distances mean nothing between metres and radians
            self.hyperparameters["features"] = as_feature_map("standard-scaler:warm_up=200")
        self.number_actions()
        return self.encoder_of("vector")

    def setup(self) -> None:
        """An empty dictionary."""
        super().setup()
        assert self.numbering is not None
        n, self.n_actions = self.dictionary_size, self.numbering.n
        self.memory = Process(
            np.zeros((n, self.encoder.size)), np.zeros(n, np.int64), np.zeros(1, np.int64), np.zeros((n, n)),
            np.zeros((n, n)), np.zeros(n), self.length_scale, self.signal, self.noise, self.novelty,
        )  # fmt: skip
        self.exploration, self.rng = tabulate(self.epsilon), stream(self.seed, "exploration")

    def deviation(self, observation: Any) -> Floats:
        """How unsure it is of each action, √Var[Q], float64 [B, A]."""
        return np.sqrt(moments(self.memory, self.encoder.encode_batch(observation), self.n_actions)[1])

    # Acting and learning.

    def _scores(self, mean: Floats, variance: Floats) -> Floats:
        return mean + self.confidence * np.sqrt(variance)

    def _choose(self, vector: NDArray[Any]) -> int:
        """An ε-greedy action in the scores, by its number."""
        allowed = np.arange(self.n_actions) if self.mask is None else np.flatnonzero(self.mask)
        if random(self.rng) < scheduled(self.exploration, self.progress):
            return int(allowed[int(random(self.rng) * len(allowed))])
        scores = self._scores(*moments(self.memory, vector[None], self.n_actions))[0]
        if self.mask is not None:
            scores[~self.mask] = -np.inf
        best = np.flatnonzero(scores == scores.max())
        return int(best[int(random(self.rng) * len(best))])

    def act(self, observation: Any) -> Any:
        """ε-greedy in the mean, or in what it may be at best; chosen before the update where there was one."""
        if not self.encoder.ready:
            return self.random_action(self.encoder.rng)
        assert self.numbering is not None
        if self.next_action < 0:
            self.next_action = self._choose(self.encoder.encode(observation))
        return self.numbering.value(self.next_action)

    def update(self, transition: Transition) -> float:
        """Learn from one step; returns the TD error, R minus what was expected."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self.num_timesteps += 1
        assert self.numbering is not None
        error = float("nan")
        if self.encoder.ready:
            h = join(self.memory, self.encoder.encode(obs).astype(np.float64), self.numbering.index(action))
            self.next_action = -1
            if not terminated:
                x = self.encoder.encode(next_obs).astype(np.float64)
                self.next_action = self._choose(x)
                h = difference(h, join(self.memory, x, self.next_action), self.gamma)
            error = learn_difference(self.memory, h, float(reward))
        if terminated or truncated:
            self.next_action = -1
        if self.encoder.remember(next_obs):
            self.refit()
        return error

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """The features moved: the dictionary lies elsewhere now, and is begun anew."""
        gp = self.memory
        for array in (gp.used, gp.inverse, gp.covariance, gp.u):
            array[...] = 0
        self.next_action = -1

    def why_not_compiled(self) -> str:
        """Products of matrices of growing size are NumPy's."""
        return "GPSarsa learns in Python"

    def probe(self, observation: Any) -> Probe:
        """Mean action values and the ε-greedy policy over what it acts by."""
        q, variance = moments(self.memory, self.encoder.encode_batch(observation), self.n_actions)
        epsilon = scheduled(self.exploration, self.progress)
        probabilities = epsilon_greedy_probabilities(self._scores(q, variance), epsilon)
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    # Files.

    def arrays(self) -> StateArrays:
        """The dictionary, the process, and the random state."""
        gp, m = self.memory, int(self.memory.used[0])
        return {
            "used": gp.used, "exploration": self.rng, "points": gp.points[:m], "actions": gp.actions[:m],
            "inverse": gp.inverse[:m, :m], "covariance": gp.covariance[:m, :m], "u": gp.u[:m],
            **self.encoder.arrays(),
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {"used": (0, self.dictionary_size), "actions": numbers_below(self.n_actions), **super().ranges()}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("used", arrays, self.memory.used)  # it says how much there is of the others
        super().load_arrays(arrays)


__all__ = ["GPSarsa"]
