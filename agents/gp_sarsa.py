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

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Agent, Probe
from rlplay.agent.base import StateArrays
from rlplay.storage.checkpoint import copy_into
from rlplay.agent.tabular import epsilon_greedy_probabilities
from rlplay.approximation.feature_map import as_feature_map
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import EnvLike
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike
from rlplay.seeding import stream
from rlplay.transition import Transition

Floats = NDArray[np.float64]


class GPSarsa(Agent):
    """GP-Sarsa with a sparse dictionary, for finite actions.

    Example:
        >>> agent = GPSarsa("MountainCar-v0", gamma=0.99, seed=0).learn(500)
        >>> agent.deviation(agent.get_env().reset(seed=0)[0]).shape
        (1, 3)
    """

    id = "gp-sarsa"
    numbered = False

    def __init__(
        self,
        env: EnvLike,
        *,
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        confidence: Annotated[float, Range("c: deviations that are added to values when it acts", 0, 100)] = 0.0,
        length_scale: Annotated[float, Range("l, in deviations of the observations", 0, 1e6, open_low=True)] = 1.0,
        signal: Annotated[float, Range("prior variance of a value", 0, 1e12, open_low=True)] = 100.0,
        noise: Annotated[float, Range("σ: deviation of the noise", 0, 1e6, open_low=True)] = 1.0,
        novelty: Annotated[float, Range("ν: what may stay unexplained, as a share of the signal", 0, 1)] = 0.05,
        dictionary_size: Annotated[int, Range("most steps in the dictionary", 1, 5000, integer=True)] = 300,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, gamma=gamma, epsilon=epsilon, confidence=confidence, length_scale=length_scale,
            signal=signal, noise=noise, novelty=novelty, dictionary_size=dictionary_size, features=features,
        )  # fmt: skip
        if features is None:  # distances mean nothing between metres and radians
            self.hyperparameters["features"] = as_feature_map("standard-scaler:warm_up=200")
        size, self.n_actions, _ = self.require_vectors(finite_actions=True)
        room = int(dictionary_size)
        self.points, self.actions = np.zeros((room, size)), np.zeros(room, np.int64)
        self.used = np.zeros(1, np.int64)
        self.inverse = np.zeros((room, room))  # K⁻¹
        self.covariance, self.u = np.zeros((room, room)), np.zeros(room)  # Λ⁻¹, E[u]
        self.epsilon, self.rng = tabulate(epsilon), stream(self.seed, "exploration")

    # The process.

    def _kernel(self, x: Floats, a: NDArray[np.int64]) -> Floats:
        """k_D of points [B, F] and actions [B], float64 [B, M]."""
        m, given = int(self.used[0]), self.hyperparameters
        squares = ((x[:, None] - self.points[:m]) ** 2).sum(axis=2)
        near = given["signal"] * np.exp(-0.5 * squares / given["length_scale"] ** 2)
        return np.where(a[:, None] == self.actions[:m], near, 0.0)

    def _explained(self, x: Floats, a: int) -> tuple[Floats, Floats, float]:
        """k_D(x), a(x), and what they leave unexplained, for one point [F]."""
        m = int(self.used[0])
        k = self._kernel(x[None], np.array([a]))[0]
        share = self.inverse[:m, :m] @ k
        return k, share, float(self.hyperparameters["signal"] - k @ share)

    def _join(self, x: Floats, a: int) -> Floats:
        """Its a(x), [M]; the point joins the dictionary where it is news."""
        k, share, left = self._explained(x, a)
        m, given = int(self.used[0]), self.hyperparameters
        if left <= given["novelty"] * given["signal"] or m == len(self.u):
            return share
        self.points[m], self.actions[m] = x, a  # K⁻¹ by the inverse of a block matrix
        self.inverse[:m, :m] += np.outer(share, share) / left
        self.inverse[m, :m] = self.inverse[:m, m] = -share / left
        self.inverse[m, m] = 1.0 / left
        self.covariance[m, :m] = self.covariance[:m, m] = self.covariance[:m, :m] @ share  # the prior of u_m, given u
        self.covariance[m, m] = left + share @ self.covariance[:m, m]
        self.u[m] = share @ self.u[:m]
        self.used[0] = m + 1
        return np.eye(m + 1)[m]

    def learn_difference(self, h: Floats, reward: float) -> float:
        """Take R = hᵀ u + noise into the process, h [M]; returns what was not expected."""
        m, variance = len(h), float(self.hyperparameters["noise"]) ** 2
        gain = self.covariance[:m, :m] @ h
        error = reward - float(h @ self.u[:m])
        gain_share = gain / (variance + float(h @ gain))
        self.u[:m] += gain_share * error
        self.covariance[:m, :m] -= np.outer(gain_share, gain)
        return error

    def _moments(self, vectors: NDArray[Any]) -> tuple[Floats, Floats]:
        """Mean and variance of Q of rows [B, F], float64 [B, A] each."""
        x, m = np.asarray(vectors, np.float64), int(self.used[0])
        mean, variance = np.zeros((2, len(x), self.n_actions))
        for a in range(self.n_actions):
            k = self._kernel(x, np.full(len(x), a))
            share = k @ self.inverse[:m, :m]
            mean[:, a] = share @ self.u[:m]
            variance[:, a] = self.hyperparameters["signal"] - (share * k).sum(axis=1)
            variance[:, a] += ((share @ self.covariance[:m, :m]) * share).sum(axis=1)
        return mean, np.maximum(variance, 0.0)

    def deviation(self, observation: Any) -> Floats:
        """How unsure it is of each action, √Var[Q], float64 [B, A]."""
        return np.sqrt(self._moments(self.vectors(observation))[1])

    # Acting and learning.

    def _scores(self, vectors: NDArray[Any]) -> Floats:
        mean, variance = self._moments(vectors)
        return mean + float(self.hyperparameters["confidence"]) * np.sqrt(variance)

    def _chosen(self, vector: NDArray[Any]) -> int:
        if random(self.rng) < scheduled(self.epsilon, self.progress):
            return int(random(self.rng) * self.n_actions)
        scores = self._scores(vector[None])[0]
        best = np.flatnonzero(scores == scores.max())
        return int(best[int(random(self.rng) * len(best))])

    def act(self, observation: Any) -> Any:
        """ε-greedy in the mean, or in what it may be at best; chosen before the update where there was one."""
        assert self.features is not None
        if not self.features.ready:
            return self.random_action(self.features.rng)
        if self.next_action < 0:
            self.next_action = self._chosen(self._vector(observation))
        return self._actions.value(self.next_action)

    def update(self, transition: Transition) -> float:
        """Learn from one step; returns the TD error, R minus what was expected."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self.num_timesteps += 1
        assert self.features is not None
        error = float("nan")
        if self.features.ready:
            now = self._join(self._vector(obs).astype(np.float64), self._actions.index(action))
            self.next_action = -1
            if not terminated:
                x = self._vector(next_obs).astype(np.float64)
                self.next_action = self._chosen(x)
                after = self._join(x, self.next_action)
                h = np.pad(now, (0, len(after) - len(now))) - float(self.hyperparameters["gamma"]) * after
            else:
                h = now
            error = self.learn_difference(h, float(reward))
        if terminated or truncated:
            self.next_action = -1
        if self.features.remember(next_obs):
            self._refit()
        return error

    def remap_states(self, nearest: Any) -> None:
        """The features moved: the dictionary lies elsewhere now, and is begun anew."""
        for array in (self.used, self.inverse, self.covariance, self.u):
            array[...] = 0
        self.next_action = -1

    def why_not_compiled(self) -> str:
        """Products of matrices of growing size are NumPy's."""
        return "GPSarsa learns in Python"

    def probe(self, observation: Any) -> Probe:
        """Mean action values and the ε-greedy policy over what it acts by."""
        vectors = self.vectors(observation)
        probabilities = epsilon_greedy_probabilities(self._scores(vectors), scheduled(self.epsilon, self.progress))
        q = self._moments(vectors)[0]
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    # Files.

    def arrays(self) -> StateArrays:
        """The dictionary, the process, and the random state."""
        m = int(self.used[0])
        found: StateArrays = {
            "used": self.used, "exploration": self.rng, "points": self.points[:m], "actions": self.actions[:m],
            "inverse": self.inverse[:m, :m], "covariance": self.covariance[:m, :m], "u": self.u[:m],
        }  # fmt: skip
        return found | (self.features.arrays() if self.features is not None else {})

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("used", arrays, self.used)
        super().load_arrays(arrays)


__all__ = ["GPSarsa"]
