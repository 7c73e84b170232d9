"""Support vector machine: the boundary with the widest margin, drawn by the few points that touch it.

In the dual each point has a weight α_i; most of them end at 0, the others are the support vectors:

    minimise  1/2 Σ_ij α_i α_j y_i y_j k(x_i, x_j) - Σ_i α_i      with  0 <= α_i <= C,  Σ_i α_i y_i = 0

Sequential minimal optimisation takes two weights at a time, the smallest step that keeps the equation, for which the
minimum has a closed form. The pair is the one that promises most: i violates the conditions of optimality most, j
lowers the objective most by a second-order estimate. It stops when no pair violates them by ``tol``.

    f(x) = Σ_i α_i y_i k(x_i, x) + b,      the class is its sign; several classes vote in pairs

Source: Cortes & Vapnik 1995; Platt 1998; Fan, Chen & Lin 2005. The twin is `sklearn.svm.SVC`.

Shapes: X [N, D], α [N], support vectors [S, D].
In reinforcement learning: policies learned by imitation from few examples.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import combinations
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, new_points, points_and_classes, require
from rlplay.models.kernels import check_kernel, gamma_of, gram

_WHOLE = 6000  # points up to which the whole kernel matrix is kept, 288 MB; beyond it rows are computed as needed
_ROWS = 2000  # rows that are then kept


@compiled
def solve(
    k: NDArray[np.float32], diagonal: Floats, y: Floats, alpha: Floats, v: Floats, up: NDArray[np.bool_],
    low: NDArray[np.bool_], c: float, tol: float, most: int, slot: NDArray[np.int64],
) -> tuple[int, int]:  # fmt: skip
    """Take pairs until no pair violates the conditions by ``tol``; α, v, up and low in place.

    ``k`` holds rows of the kernel matrix, row i at ``slot[i]``. v_i = -y_i ∂/∂α_i of the objective; ``up`` and ``low``
    mark where y_i α_i may still grow and shrink. At the optimum max v over ``up`` is min v over ``low``. Returns how
    many steps were taken, and the row that is missing to go on, -1 when done.

    Example:
        >>> y, alpha, slot = np.array([-1.0, 1.0]), np.zeros(2), np.arange(2)
        >>> v, k = y.copy(), np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)  # the points -1 and 1, linear kernel
        >>> solve(k, np.ones(2), y, alpha, v, y > 0, y < 0, 10.0, 1e-3, 100, slot)
        (1, -1)
        >>> alpha.tolist()
        [0.5, 0.5]
    """
    n = y.shape[0]
    for step in range(most):
        i, highest = -1, -np.inf
        for t in range(n):
            if up[t] and v[t] > highest:
                i, highest = t, v[t]
        if i < 0:
            return step, -1
        if slot[i] < 0:
            return step, i
        row = k[slot[i]]
        j, lowest, best = -1, np.inf, 0.0
        for t in range(n):
            if low[t]:
                lowest = min(lowest, v[t])
                b = highest - v[t]
                if b > 0:
                    a = max(diagonal[i] + diagonal[t] - 2.0 * row[t], 1e-12)
                    if b * b > best * a:
                        j, best = t, b * b / a
        if highest - lowest < tol or j < 0:
            return step, -1
        if slot[j] < 0:
            return step, j
        other = k[slot[j]]
        a = max(diagonal[i] + diagonal[j] - 2.0 * row[j], 1e-12)
        # y_i α_i grows and y_j α_j shrinks by the same, as far as both may.
        grow = (v[i] - v[j]) / a
        grow = min(grow, c - alpha[i] if y[i] > 0 else alpha[i])
        grow = min(grow, alpha[j] if y[j] > 0 else c - alpha[j])
        for at, change in ((i, y[i] * grow), (j, -y[j] * grow)):
            alpha[at] = min(max(alpha[at] + change, 0.0), c)
            if alpha[at] < 1e-12 * c:
                alpha[at] = 0.0
            elif alpha[at] > c * (1.0 - 1e-12):
                alpha[at] = c
            up[at] = alpha[at] < c if y[at] > 0 else alpha[at] > 0.0
            low[at] = alpha[at] > 0.0 if y[at] > 0 else alpha[at] < c
        for t in range(n):
            v[t] -= grow * (row[t] - other[t])
    return most, -1


def constant(v: Floats, alpha: Floats, up: NDArray[np.bool_], c: float) -> float:
    """b: the mean of v over the support vectors within their bounds, or the middle of what the others allow.

    Example:
        >>> constant(np.array([0.3, 0.3]), np.array([0.5, 0.5]), np.array([True, False]), 1.0)
        0.3
    """
    free = (alpha > 0) & (alpha < c)
    return float(v[free].mean() if free.any() else (v[up].max() + v[~up].min()) / 2)


def train_pair(model: Any, x: Floats, y: Floats, gamma: float) -> tuple[Floats, float, int]:
    """α_i y_i [N], b, and steps, for two classes -1 and 1.

    Example:
        >>> y = np.array([-1.0, 1.0])
        >>> weights, b, steps = train_pair(SVC(C=10, kernel="linear"), y[:, None], y, 1.0)
        >>> weights.tolist(), b
        ([-0.5, 0.5], 0.0)
    """
    n, c = len(x), float(model.C)

    def rows(numbers: Any) -> Floats:
        return gram(model.kernel, x[numbers], x, gamma, model.degree, model.coef0)

    if n <= _WHOLE:
        whole = rows(slice(None))
        diagonal, k, slot = np.diagonal(whole).copy(), whole.astype(np.float32), np.arange(n)
    else:
        k, slot = np.empty((min(_ROWS, n), n), np.float32), np.full(n, -1)
        diagonal = np.ones(n) if model.kernel == "rbf" else np.array([float(rows([i])[0, i]) for i in range(n)])
    alpha, v, steps, turn = np.zeros(n), y.copy(), 0, 0
    up, low = y > 0, y < 0
    holder = np.full(len(k), -1)
    most = 10_000_000 if model.max_iter < 0 else int(model.max_iter)
    while True:
        taken, missing = solve(k, diagonal, y, alpha, v, up, low, c, float(model.tol), most - steps, slot)
        steps += taken
        if missing < 0:
            break
        if holder[turn] >= 0:
            slot[holder[turn]] = -1
        k[turn], holder[turn], slot[missing] = rows([missing])[0], missing, turn
        turn = (turn + 1) % len(k)
    return alpha * y, constant(v, alpha, up, c), steps


@dataclass(eq=False, repr=False)
class SVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Support vector classification.

    Args:
        C: the most that a point may weigh: how much the data count against a wide margin.
        kernel: one of `rlplay.models.kernels.KERNELS`.
        degree: of the polynomial kernel.
        gamma: γ of the kernel: a number, ``"scale"`` or ``"auto"``.
        coef0: c of the polynomial and the sigmoid kernel.
        tol: violation at which it stops.
        max_iter: most steps a pair of classes; -1 for as many as it takes.

    Attributes:
        classes_: the classes [K].
        support_: numbers of the support vectors, int64 [S].
        support_vectors_: float64 [S, D].
        dual_coef_: α_i y_i of each in each pair of classes, float64 [K (K - 1) / 2, S]; 0 where it is not of the pair.
        intercept_: b of each pair, float64.
        n_iter_: steps of each pair, int64.
        gamma_: γ as a number.

    Example:
        >>> x, y = [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]], ["same", "same", "other", "other"]
        >>> SVC(C=10, gamma=1.0).fit(x, y).predict(x).tolist()
        ['same', 'same', 'other', 'other']
    """

    C: float = 1.0
    _: KW_ONLY
    kernel: str = "rbf"
    degree: int = 3
    gamma: Any = "scale"
    coef0: float = 0.0
    tol: float = 1e-3
    max_iter: int = -1

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from X [N, D] and the classes y [N]."""
        require(self, C=(self.C > 0, "above 0"), tol=(self.tol > 0, "above 0"))
        check_kernel(self)
        x, codes = points_and_classes(self, X, y)
        self.gamma_ = gamma_of(self, x)
        pairs = list(combinations(range(len(self.classes_)), 2))
        weights, constants, steps = np.zeros((len(pairs), len(x))), np.zeros(len(pairs)), np.zeros(len(pairs), np.int64)
        for p, (first, second) in enumerate(pairs):
            mine = np.flatnonzero((codes == first) | (codes == second))
            target = np.where(codes[mine] == second, 1.0, -1.0)
            weights[p, mine], constants[p], steps[p] = train_pair(self, x[mine], target, self.gamma_)
        self.support_ = np.flatnonzero((weights != 0).any(axis=0))
        self.support_vectors_, self.dual_coef_ = x[self.support_], weights[:, self.support_]
        self.intercept_, self.n_iter_ = constants, steps
        return self

    def _pairs(self, X: Any) -> Floats:
        """f(x) of each pair of classes, float64 [N, K (K - 1) / 2]; above 0 for the second of the pair."""
        x = new_points(self, X)
        kernel = gram(self.kernel, x, self.support_vectors_, self.gamma_, self.degree, self.coef0)
        return kernel @ self.dual_coef_.T + self.intercept_

    def decision_function(self, X: Any) -> Floats:
        """f(x) for two classes [N]; for more the votes of each class, ties broken by the sums of f, [N, K]."""
        f = self._pairs(X)
        if len(self.classes_) == 2:
            return f[:, 0]
        votes, sure = np.zeros((2, len(f), len(self.classes_)))
        for p, (first, second) in enumerate(combinations(range(len(self.classes_)), 2)):
            votes[:, second] += f[:, p] > 0
            votes[:, first] += f[:, p] <= 0
            sure[:, second] += f[:, p]
            sure[:, first] -= f[:, p]
        return votes + sure / (3 * (np.abs(sure) + 1))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each point [N]: the sign, or the most votes, the first class among equals."""
        f = self._pairs(X)
        if len(self.classes_) == 2:
            return self.classes_[(f[:, 0] > 0).astype(int)]
        votes = np.zeros((len(f), len(self.classes_)))
        for p, (first, second) in enumerate(combinations(range(len(self.classes_)), 2)):
            votes[:, second] += f[:, p] > 0
            votes[:, first] += f[:, p] <= 0
        return self.classes_[votes.argmax(axis=1)]
