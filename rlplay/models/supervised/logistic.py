"""Logistic and softmax regression: the probability of each class, linear in its logarithm.

For two classes the log-odds are linear, for K classes each has a score s_k = w_k · x + b_k:

    two:   p(1 | x) = 1 / (1 + e^{-s})            K:   p(k | x) = e^{s_k} / Σ_j e^{s_j}

The weights maximise the likelihood under a penalty; the gradient is the same for both, "predicted minus true":

    minimise  1/2 ‖W‖² - C Σ_i ln p(y_i | x_i)        ∂/∂w_k = w_k + C Σ_i (p(k | x_i) - [y_i = k]) x_i

which is smooth and convex, and is minimised by L-BFGS (`rlplay.models.lbfgs`). Other penalties are ‖W‖₁, which sets
weights to 0, and a mixture, (1 - ρ)/2 ‖W‖² + ρ ‖W‖₁. A point's weight is a factor of its logarithm.

Source: Cox 1958; Bishop 2006, section 4.3; Hastie, Tibshirani & Friedman 2009, section 4.4. The twin is
`sklearn.linear_model.LogisticRegression`.

Shapes: X [N, D], W [K, D] ([1, D] for two classes), probabilities [N, K].
In reinforcement learning: a policy over actions (softmax of preferences, Sutton & Barto 2e, chapter 13); imitation.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from rlplay.errors import warn
from rlplay.models.common import (
    Floats,
    LinearScores,
    LogProbabilities,
    class_probabilities,
    point_weights,
    points_and_classes,
    require,
)
from rlplay.models.lbfgs import minimise, minimise_with_l1


def binary_loss(theta: Floats, x: Floats, y: Floats, c: Any, square: float = 1.0) -> tuple[float, Floats]:
    """Objective and gradient for two classes; theta is (w, b), y is 0 or 1.

    ``c`` is C, or C times each point's weight [N]; ``square`` is the factor of ‖w‖²/2.

    Example:
        >>> value, gradient = binary_loss(np.zeros(2), np.array([[-1.0], [1.0]]), np.array([0.0, 1.0]), 1.0)
        >>> round(value, 4), gradient.tolist()
        (1.3863, [-1.0, 0.0])
    """
    w, b = theta[:-1], theta[-1]
    s = x @ w + b
    value = _weighted(c, np.logaddexp(0.0, s) - y * s) + 0.5 * square * (w @ w)
    error = c * (0.5 * (1.0 + np.tanh(0.5 * s)) - y)  # p - y, and no overflow
    return float(value), np.append(x.T @ error + square * w, error.sum())


def _weighted(c: Any, losses: Floats) -> Any:
    return c * losses.sum() if np.ndim(c) == 0 else c @ losses


def softmax_loss(theta: Floats, x: Floats, y: Floats, c: Any, square: float = 1.0) -> tuple[float, Floats]:
    """Objective and gradient for K classes; theta is (W, b) as [D + 1, K] laid flat, y [K, N] is 0 or 1.

    ``c`` and ``square`` are those of `binary_loss`. A row a class: sums over few classes are then sums of long rows.

    Example:
        >>> value, gradient = softmax_loss(np.zeros(4), np.array([[-1.0], [1.0]]), np.eye(2), 1.0)
        >>> round(value, 4), gradient.tolist()
        (1.3863, [1.0, -1.0, 0.0, 0.0])
    """
    weights = theta.reshape(x.shape[1] + 1, len(y))
    w, b = weights[:-1], weights[-1]
    s = w.T @ x.T  # [K, N]
    s += b[:, None]
    highest, true = s.max(axis=0), np.einsum("kn,kn->n", s, y)
    s -= highest
    p = np.exp(s, out=s)
    total = p.sum(axis=0)
    value = _weighted(c, np.log(total) + highest - true) + 0.5 * square * (w * w).sum()
    p /= total
    error = np.subtract(p, y, out=p)
    error *= c
    return float(value), np.vstack([(error @ x).T + square * w, error.sum(axis=1)]).ravel()


@dataclass(eq=False, repr=False)
class LogisticRegression(LogProbabilities, LinearScores, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Logistic regression for two classes, softmax regression for more.

    Args:
        C: weight of the data relative to the penalty; infinite for none.
        penalty: ``"l2"``, ``"l1"``, None, or ``"elasticnet"``, the mixture by ``l1_ratio``: with its default the first.
        l1_ratio: ρ, the share of ‖W‖₁ in the mixture.
        class_weight: a weight by class, ``"balanced"`` for N / (K N_k), or None.
        fit_intercept: whether there is a constant b, which is not penalised.
        max_iter: most steps of L-BFGS.
        tol: largest component of the gradient, as a share of C N, at which it stops.

    Attributes:
        classes_: the classes [K].
        coef_: weights, float64 [1, D] for two classes, else [K, D].
        intercept_: float64 [1] or [K].
        n_iter_: steps made.

    Example:
        >>> LogisticRegression().fit([[-1.0], [1.0]], ["no", "yes"]).predict([[0.3]]).tolist()
        ['yes']
    """

    C: float = 1.0
    _: KW_ONLY
    penalty: str | None = "elasticnet"
    l1_ratio: float = 0.0
    class_weight: Any = None
    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float = 1e-6

    def penalty_shares(self) -> tuple[float, float]:
        """The factors of ‖W‖²/2 and ‖W‖₁."""
        if self.penalty is None or np.inf == self.C:
            return 0.0, 0.0
        rho = {"l2": 0.0, "l1": 1.0}.get(self.penalty, float(self.l1_ratio))
        return 1.0 - rho, rho

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the classes y [N], each point counted by its ``sample_weight`` [N]."""
        known = (None, "l2", "l1", "elasticnet")
        require(self, penalty=(self.penalty in known, "'l2', 'l1', 'elasticnet' or None"),
                l1_ratio=(0 <= self.l1_ratio <= 1, "a number from 0 to 1"),
                C=(self.C > 0, "a number above 0"), max_iter=(self.max_iter >= 1, "1 or more"),
                tol=(self.tol > 0, "above 0"))  # fmt: skip
        x, codes = points_and_classes(self, X, y)
        middle = x.mean(axis=0) if self.fit_intercept else np.zeros(x.shape[1])
        x = x - middle  # the constant is not penalised, so this changes the way and not the end
        n, d, k = *x.shape, len(self.classes_)
        target = codes.astype(float) if k == 2 else (np.arange(k)[:, None] == codes).astype(float)
        loss = binary_loss if k == 2 else softmax_loss
        columns = 1 if k == 2 else k
        weights, (square, absolute) = (
            point_weights(self, x, sample_weight, codes, by_weight=True),
            self.penalty_shares(),
        )
        strength = 1.0 if square == absolute == 0 else self.C
        c = strength if weights is None else strength * weights
        # Scaled so that the gradient's size does not depend on how many points there are.
        scale = 1.0 / (strength * (n if weights is None else weights.sum()))

        def objective(theta: Floats) -> tuple[float, Floats]:
            value, gradient = loss(theta, x, target, c, square)
            if not self.fit_intercept:
                gradient[-columns:] = 0.0
            return value * scale, gradient * scale

        start = np.zeros((d + 1) * columns)
        if absolute == 0:
            theta, self.n_iter_ = minimise(objective, start, max_iter=self.max_iter, tol=self.tol)
        else:
            price = np.repeat([absolute * scale, 0.0], [d * columns, columns])  # the constants cost nothing
            most, tol = self.max_iter, self.tol
            theta, self.n_iter_ = minimise_with_l1(objective, start, price, max_iter=most, tol=tol)
        if self.n_iter_ >= self.max_iter:
            warn(
                f"LogisticRegression did not converge in {self.max_iter} iterations. Give more, or scale the columns.",
                ConvergenceWarning,
            )
        found = theta.reshape(d + 1, columns)
        self.coef_, self.intercept_ = np.ascontiguousarray(found[:-1].T), found[-1] - middle @ found[:-1]
        return self

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, [N, K]."""
        return class_probabilities(self.decision_function(X))
