"""Least-squares policy iteration: the value of a policy by least squares, the policy that is greedy to it, and again.

    π(s) = argmax_a w · φ(s, a)
    A = ε I + Σ φ(S, A) [φ(S, A) - γ φ(S', π(S'))]ᵀ,    b = Σ R φ(S, A)        over all transitions
    w ← A⁻¹ b                                            until w stands still

with φ(s, a) the features x(s) in the block of action a. All transitions serve every policy, however they came about.

Source: Lagoudakis & Parr 2003, "Least-Squares Policy Iteration", JMLR 4, figures 5 (LSTDQ) and 8 (LSPI).

Symbols:
    w  weights  float64 [F, A]    x(s)  active features: numbers and strengths (`rlplay.approximation.encodings.Active`)
    ε  ridge    γ  gamma    exploration ε  epsilon  float or schedule

Deviations from the source: the set of transitions grows; every ``train_freq`` steps all of it is learned from again.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.batch import LEFT, BatchAgent, BufferSize, Hold, Iterations, TrainFreq
from rlplay.agent.linear import default_features
from rlplay.storage.checkpoint import copy_into
from rlplay.approximation.encodings import Active
from rlplay.approximation.feature_map import FeatureMap, as_feature_map
from rlplay.compiled.cache import in_place
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError, UsageError
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, Intercept

_MOST = 6000  # weights; the matrix has their square
Floats = NDArray[np.float64]


@in_place
def lstdq(
    now: Active, after: Active, actions: NDArray[np.int64], chosen: NDArray[np.int64], rewards: Floats,
    terminated: NDArray[np.bool_], gamma: float, n_features: int, matrix: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Adds to A [FA, FA] and b [FA]; features of S and S' [N, T], the actions taken and those that π would take [N]."""
    for i in range(rewards.shape[0]):
        for k in range(now.number.shape[1]):
            row, strength = actions[i] * n_features + now.number[i, k], now.value[i, k]
            if strength == 0.0:
                continue
            sums[row] += rewards[i] * strength
            for j in range(now.number.shape[1]):
                matrix[row, actions[i] * n_features + now.number[i, j]] += strength * now.value[i, j]
            if not terminated[i]:
                for j in range(after.number.shape[1]):
                    column = chosen[i] * n_features + after.number[i, j]
                    matrix[row, column] -= gamma * strength * after.value[i, j]


class LSPI(BatchAgent):
    """Least-squares policy iteration over tiles, bumps, or any other features.

    Example:
        >>> from rlplay.models.unsupervised import RBFGrid
        >>> agent = LSPI("rlplay/InvertedPendulum-v0", features=RBFGrid(3), intercept=True, train_freq=1000, seed=0)
        >>> agent.learn(1000).w.shape
        (10, 3)
    """

    id = "lspi"
    features_are = "active"

    def __init__(
        self,
        env: EnvLike,
        *,
        gamma: Discount = 0.95,
        n_iterations: Iterations = 20,
        train_freq: TrainFreq = 5000,
        buffer_size: BufferSize = 100_000,
        epsilon: Exploration = 0.0,
        hold: Hold = 1,
        ridge: Annotated[float, Range("ε on the diagonal", 0, 1e6, open_low=True)] = 1e-3,
        tolerance: Annotated[float, Range("change of the weights, by length, that ends a fit", 0)] = 1e-4,
        intercept: Intercept = False,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, gamma=gamma, n_iterations=n_iterations, train_freq=train_freq, buffer_size=buffer_size,
            epsilon=epsilon, hold=hold, ridge=ridge, tolerance=tolerance, intercept=intercept, features=features,
        )  # fmt: skip
        assert self.features is not None
        size = self.features.size * self.n_actions
        if size > _MOST:
            raise HyperparameterError(
                f"LSPI keeps a matrix of the square of {size:,} weights, more than {_MOST:,}",
                "Take fewer features: tile-coding:4, or rbf-grid:5",
            )
        self.w = np.zeros((self.features.size, self.n_actions))

    def default_features(self) -> FeatureMap:
        """Tiles over vectors; one feature for each finite observation."""
        return default_features(self.observation_space) or as_feature_map("identity")  # type: ignore[return-value]

    def action_values(self, x: NDArray[np.float32]) -> Floats:
        """Q(s, ·) = x(s) w."""
        assert self.features is not None
        number, value = self.features.actives_of(x)
        return np.einsum("bt,bta->ba", value, self.w[number])

    def iterate(self) -> None:
        """The value of the greedy policy, by least squares over all transitions.

        Raises:
            UsageError: the matrix has no inverse.
        """
        assert self.features is not None
        obs, actions, rewards, next_obs, terminated = self.transitions()
        now, after = self.features.actives_of(obs), self.features.actives_of(next_obs)
        chosen = np.einsum("bt,bta->ba", after.value, self.w[after.number]).argmax(axis=1)
        n_features, n_actions = self.w.shape
        matrix = np.eye(n_features * n_actions) * float(self.hyperparameters["ridge"])
        sums = np.zeros(n_features * n_actions)
        lstdq(now, after, actions, chosen, rewards, terminated, self.gamma, n_features, matrix, sums)
        try:
            w = scipy.linalg.solve(matrix, sums).reshape(n_actions, n_features).T
        except (ValueError, scipy.linalg.LinAlgError) as error:
            raise UsageError(f"LSPI: the least squares have no solution ({error})", "Raise ridge") from error
        change, self.w[:] = float(np.linalg.norm(w - self.w)), w
        self.counts[LEFT] = 0 if change <= self.hyperparameters["tolerance"] else self.counts[LEFT] - 1

    def arrays(self) -> StateArrays:
        """The transitions so far, the weights, the counts and the random state."""
        return {**super().arrays(), "w": self.w}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        super().load_arrays(arrays)
        copy_into("w", arrays, self.w)


__all__ = ["LSPI", "lstdq"]
