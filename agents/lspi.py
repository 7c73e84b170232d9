"""Least-squares policy iteration: the value of a policy by least squares, the policy that is greedy to it, and again.

    π(s) = argmax_a w · φ(s, a)
    A = ε I + Σ φ(S, A) [φ(S, A) - γ φ(S', π(S'))]ᵀ,    b = Σ R φ(S, A)        over all transitions
    w ← A⁻¹ b                                            until w stands still

with φ(s, a) the features x(s) in the block of action a. All transitions serve every policy, however they came about.

Source: Lagoudakis & Parr 2003, "Least-Squares Policy Iteration", JMLR 4, figures 5 (LSTDQ) and 8 (LSPI).

Symbols:
    w  weights  float64 [F, A]    x(s)  active features: numbers and strengths (`Active`)
    ε  ridge    γ  gamma    exploration ε  epsilon  float or schedule

Deviations from the source: the set of transitions grows; every ``train_freq`` steps all of it is learned from again.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from rlplay.extend import (
    Active,
    BatchAgent,
    Encoder,
    HyperparameterError,
    Intercept,
    Range,
    StateArrays,
    UsageError,
    as_feature_map,
    batch_values,
    in_place,
    is_finite,
    new_encoder,
)

_MOST = 6000  # weights; the matrix has their square
Floats = NDArray[np.float64]


@in_place
def lstdq(
    now: Active, after: Active, actions: NDArray[np.int64], chosen: NDArray[np.int64], rewards: Floats,
    terminated: NDArray[np.bool_], gamma: float, n_features: int, matrix: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Adds to A [FA, FA] and b [FA]; features of S and S' [N, T], the actions taken and those that π would take [N].

    Example:
        >>> now, after = (Active(np.array([[0]]), np.array([[strength]])) for strength in (1.0, 2.0))
        >>> matrix, sums, action = np.zeros((1, 1)), np.zeros(1), np.array([0])
        >>> lstdq(now, after, action, action, np.array([3.0]), np.array([False]), 0.25, 1, matrix, sums)
        >>> matrix.tolist(), sums.tolist()  # 1 · (1 - 0.25 · 2), and 3 · 1
        ([[0.5]], [3.0])
    """
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

    Attributes:
        w: weights, float64 [F, A].

    Example:
        >>> from rlplay.models.unsupervised import RBFGrid
        >>> agent = LSPI("rlplay/InvertedPendulum-v0", features=RBFGrid(3), intercept=True, train_freq=1000, seed=0)
        >>> agent.learn(1000).w.shape
        (10, 3)
    """

    id = "lspi"
    gamma = 0.95
    n_iterations = 20
    epsilon = 0.0
    ridge: Annotated[float, Range("ε on the diagonal", 0, 1e6, open_low=True)] = 1e-3
    tolerance: Annotated[float, Range("change of the weights, by length, that ends a fit", 0)] = 1e-4
    intercept: Intercept = False

    def make_encoder(self) -> Encoder:
        """Active features: tiles over vectors and one-hot finite observations, unless others are given."""
        self.number_actions()
        plan = self.hyperparameters["features"]
        if plan is None and is_finite(self.observation_space):
            plan = as_feature_map("identity")
        return new_encoder("active", self.observation_space, plan, "LSPI", self.seed, intercept=self.intercept)

    def setup(self) -> None:
        """The weights."""
        super().setup()
        n_weights = self.encoder.size * self.n_actions
        if n_weights > _MOST:
            raise HyperparameterError(
                f"LSPI keeps a matrix of the square of {n_weights:,} weights, more than {_MOST:,}",
                "Take fewer features: features=rbf-grid:3",
            )
        self.w = np.zeros((self.encoder.size, self.n_actions))

    def action_values(self, vectors: NDArray[Any]) -> Floats:
        """Q(s, ·) = x(s) w."""
        return batch_values(self.w, self.encoder.encode_vectors(vectors))

    def iterate(self) -> None:
        """The value of the greedy policy, by least squares over all transitions.

        Raises:
            UsageError: the matrix has no inverse.
        """
        data, (n_features, n_actions) = self.transitions(), self.w.shape
        now, after = self.encoder.encode_vectors(data.obs), self.encoder.encode_vectors(data.next_obs)
        chosen = self.may_be_next(batch_values(self.w, after)).argmax(axis=1)
        matrix, sums = np.eye(self.w.size) * self.ridge, np.zeros(self.w.size)
        lstdq(
            now, after, data.actions, chosen, data.rewards, data.terminated, self.gamma, n_features, matrix, sums
        )  # fmt: skip
        try:
            w = scipy.linalg.solve(matrix, sums).reshape(n_actions, n_features).T
        except (ValueError, scipy.linalg.LinAlgError) as error:
            raise UsageError(f"LSPI: the least squares have no solution ({error})", "Raise ridge") from error
        change, self.w[:] = float(np.linalg.norm(w - self.w)), w
        left = self.counts.iterations_left
        left[0] = 0 if change <= self.tolerance else left[0] - 1

    def arrays(self) -> StateArrays:
        """The transitions so far, the weights, the counts and the random state."""
        return {**super().arrays(), "w": self.w}


__all__ = ["LSPI", "lstdq"]
