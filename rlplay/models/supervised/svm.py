"""Support vector machine: the boundary with the widest margin, drawn by the few points that touch it.

In the dual each point has a weight α_i; most of them end at 0, the others are the support vectors:

    minimise  1/2 Σ_ij α_i α_j y_i y_j k(x_i, x_j) - Σ_i α_i      with  0 <= α_i <= C,  Σ_i α_i y_i = 0

Sequential minimal optimisation takes two weights at a time, the smallest step that keeps the equation, for which the
minimum has a closed form. The pair is the one that promises most: i violates the conditions of optimality most, j
lowers the objective most by a second-order estimate. It stops when no pair violates them by ``tol``.

    f(x) = Σ_i α_i y_i k(x_i, x) + b,      the class is its sign; several classes vote in pairs

A point's weight is a factor of its C. Probabilities are a logistic function of f, p = 1 / (1 + e^{-(a f + c)}), fitted
to values of f from five folds, so that no point judges itself; those of pairs are coupled to those of all classes.

Source: Cortes & Vapnik 1995; Platt 1998 and 1999; Fan, Chen & Lin 2005; Wu, Lin & Weng 2004, section 4. The twin is
`sklearn.svm.SVC`.

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
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if

from rlplay.compiled.cache import in_place
from rlplay.models.common import Floats, logistic, new_points, point_weights, points_and_classes, require
from rlplay.models.kernels import check_kernel, diagonal, gamma_of, gram, similarity
from rlplay.models.lbfgs import minimise
from rlplay.models.supervised.logistic import binary_loss

_WHOLE = 1000  # points up to which the whole kernel matrix is computed; beyond it rows are, as needed
_KEPT = 50_000_000  # numbers of the rows that are then kept, 200 MB as the twin's
_BLOCK = 2**18  # values of the kernel at a time, 2 MB, when predicting


@in_place
def solve(
    k: NDArray[np.float32], diagonal: Floats, y: Floats, alpha: Floats, v: Floats, no_more: Floats, no_less: Floats,
    c: Floats, tol: float, most: int, slot: NDArray[np.int64],
) -> tuple[int, int]:  # fmt: skip
    """Take pairs until no pair violates the conditions by ``tol``; α, v, no_more and no_less in place.

    ``c`` [N] is the most that each point may weigh. ``k`` holds rows of the kernel matrix, row i at ``slot[i]``. v_i is
    -y_i ∂/∂α_i of the objective; ``no_more`` and ``no_less`` are infinite where y_i α_i may not grow and not shrink,
    else 0: added to v they take a point out without a branch, which a processor could not foresee. At the optimum max v
    over those that may grow is min v over those that may shrink. Returns how many steps were taken, and the row that is
    missing to go on, -1 when done.

    Example:
        >>> y, alpha, slot = np.array([-1.0, 1.0]), np.zeros(2), np.arange(2)
        >>> v, k = y.copy(), np.array([[1.0, -1.0], [-1.0, 1.0]], np.float32)  # the points -1 and 1, linear kernel
        >>> no_more, no_less = np.array([[np.inf, 0.0], [0.0, np.inf]])
        >>> solve(k, np.ones(2), y, alpha, v, no_more, no_less, np.full(2, 10.0), 1e-3, 100, slot)
        (1, -1)
        >>> alpha.tolist()
        [0.5, 0.5]
    """
    n = y.shape[0]
    for step in range(most):
        i, highest = -1, -np.inf
        for t in range(n):
            if v[t] - no_more[t] > highest:
                i, highest = t, v[t]
        if i < 0:
            return step, -1
        if slot[i] < 0:
            return step, i
        row = k[slot[i]]
        j, lowest, best = -1, np.inf, 0.0
        for t in range(n):
            value = v[t] + no_less[t]
            lowest = min(lowest, value)
            b = max(highest - value, 0.0)
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
        grow = min(grow, c[i] - alpha[i] if y[i] > 0 else alpha[i])
        grow = min(grow, alpha[j] if y[j] > 0 else c[j] - alpha[j])
        for at, change in ((i, y[i] * grow), (j, -y[j] * grow)):
            alpha[at] = min(max(alpha[at] + change, 0.0), c[at])
            if alpha[at] < 1e-12 * c[at]:
                alpha[at] = 0.0
            elif alpha[at] > c[at] * (1.0 - 1e-12):
                alpha[at] = c[at]
            no_more[at] = 0.0 if (alpha[at] < c[at] if y[at] > 0 else alpha[at] > 0.0) else np.inf
            no_less[at] = 0.0 if (alpha[at] > 0.0 if y[at] > 0 else alpha[at] < c[at]) else np.inf
        for t in range(n):
            v[t] -= grow * (row[t] - other[t])
    return most, -1


def constant(v: Floats, alpha: Floats, up: NDArray[np.bool_], c: Floats) -> float:
    """b: the mean of v over the support vectors within their bounds, or the middle of what the others allow.

    Example:
        >>> constant(np.array([0.3, 0.3]), np.array([0.5, 0.5]), np.array([True, False]), np.ones(2))
        0.3
    """
    free = (alpha > 0) & (alpha < c)
    return float(v[free].mean() if free.any() else (v[up].max() + v[~up].min()) / 2)


def train_pair(model: Any, x: Floats, y: Floats, c: Floats, gamma: float) -> tuple[Floats, float, int]:
    """α_i y_i [N], b, and steps, for two classes -1 and 1; ``c`` [N] is the most that each point may weigh.

    Example:
        >>> y = np.array([-1.0, 1.0])
        >>> weights, b, steps = train_pair(SVC(C=10, kernel="linear"), y[:, None], y, np.full(2, 10.0), 1.0)
        >>> weights.tolist(), b
        ([-0.5, 0.5], 0.0)
    """
    n, given = len(x), (x, gamma, model.degree, model.coef0)
    rows = similarity(model.kernel, *given)
    if n <= _WHOLE:
        k, slot = gram(model.kernel, x, *given).astype(np.float32), np.arange(n)
    else:
        k, slot = np.empty((min(max(_KEPT // n, 2), n), n), np.float32), np.full(n, -1)
    alpha, v, steps, turn = np.zeros(n), y.copy(), 0, 0
    no_more, no_less = np.where(y > 0, 0.0, np.inf), np.where(y < 0, 0.0, np.inf)
    holder, own = np.full(len(k), -1), diagonal(model.kernel, *given)
    most = 10_000_000 if model.max_iter < 0 else int(model.max_iter)
    while True:
        taken, missing = solve(k, own, y, alpha, v, no_more, no_less, c, float(model.tol), most - steps, slot)
        steps += taken
        if missing < 0:
            break
        if holder[turn] >= 0:
            slot[holder[turn]] = -1
        k[turn], holder[turn], slot[missing] = rows(x[missing : missing + 1])[0], missing, turn
        turn = (turn + 1) % len(k)
    return alpha * y, constant(v, alpha, no_more == 0, c), steps


@dataclass(eq=False, repr=False)
class SVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Support vector classification.

    Args:
        C: the most that a point may weigh: how much the data count against a wide margin.
        kernel: one of `rlplay.models.kernels.KERNELS`.
        degree: of the polynomial kernel.
        gamma: γ of the kernel: a number, ``"scale"`` or ``"auto"``.
        coef0: c of the polynomial and the sigmoid kernel.
        probability: whether `predict_proba` is there, which costs five more fits.
        class_weight: factors of C by class, ``"balanced"`` for N / (K N_k), or None.
        tol: violation at which it stops.
        max_iter: most steps a pair of classes; -1 for as many as it takes.
        random_state: divides the points into the five folds: a seed, a RandomState, or None.

    Attributes:
        classes_: the classes [K].
        support_: numbers of the support vectors, int64 [S].
        support_vectors_: float64 [S, D].
        dual_coef_: α_i y_i of each in each pair of classes, float64 [K (K - 1) / 2, S]; 0 where it is not of the pair.
        intercept_: b of each pair, float64.
        n_iter_: steps of each pair, int64.
        gamma_: γ as a number.
        sigmoid_: a and c of each pair, with ``probability``, float64 [K (K - 1) / 2, 2].

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
    probability: bool = False
    class_weight: Any = None
    tol: float = 1e-3
    max_iter: int = -1
    random_state: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the classes y [N]; ``sample_weight`` [N] are factors of C."""
        require(self, C=(self.C > 0, "above 0"), tol=(self.tol > 0, "above 0"))
        check_kernel(self)
        x, codes = points_and_classes(self, X, y)
        self.gamma_, weight = gamma_of(self, x), point_weights(self, x, sample_weight, codes)
        most = np.full(len(x), float(self.C)) if weight is None else self.C * weight
        if len(np.unique(codes[most > 0])) < len(self.classes_):
            raise ValueError(
                "SVC: the weights of all samples of a class are 0. Leave the class out, or give it weight."
            )
        # A linear kernel around the mean rounds less, and w is the same: only b moves.
        middle = x.mean(axis=0) if self.kernel == "linear" else np.zeros(x.shape[1])
        apart, rng = x - middle, check_random_state(self.random_state)
        pairs = list(combinations(range(len(self.classes_)), 2))
        sigmoids = np.zeros((len(pairs), 2))
        weights, constants, steps = np.zeros((len(pairs), len(x))), np.zeros(len(pairs)), np.zeros(len(pairs), np.int64)
        for p, (first, second) in enumerate(pairs):
            mine = np.flatnonzero(((codes == first) | (codes == second)) & (most > 0))
            target, c = np.where(codes[mine] == second, 1.0, -1.0), most[mine]
            weights[p, mine], constants[p], steps[p] = train_pair(self, apart[mine], target, c, self.gamma_)
            constants[p] -= (weights[p] @ apart) @ middle
            if self.probability:
                sigmoids[p] = self._sigmoid(apart[mine], target, c, rng)
        if self.probability:
            self.sigmoid_ = sigmoids
        self.support_ = np.flatnonzero((weights != 0).any(axis=0))
        self.support_vectors_, self.dual_coef_ = x[self.support_], weights[:, self.support_]
        self.intercept_, self.n_iter_ = constants, steps
        return self

    def _sigmoid(self, x: Floats, y: Floats, c: Floats, rng: np.random.RandomState) -> Floats:
        """a and c of the probability of class 1, from values f of five folds, each by a machine of the other four."""
        f, order = np.empty(len(x)), rng.permutation(len(x))
        for fold in range(5):
            held, used = order[fold::5], np.setdiff1d(order, order[fold::5])
            if len(np.unique(y[used])) < 2:
                f[held] = y[used[0]] if len(used) else 0.0
                continue
            weights, b, _ = train_pair(self, x[used], y[used], c[used], self.gamma_)
            f[held] = gram(self.kernel, x[held], x[used], self.gamma_, self.degree, self.coef0) @ weights + b
        high, low = (y > 0).sum(), (y < 0).sum()
        target = np.where(y > 0, (high + 1) / (high + 2), 1 / (low + 2))  # Platt's, never quite 0 or 1

        def loss(theta: Floats) -> tuple[float, Floats]:
            return binary_loss(theta, f[:, None], target, 1.0 / len(f), 0.0)

        return minimise(loss, np.array([0.0, np.log((high + 1) / (low + 1))]), max_iter=100, tol=1e-8)[0]

    def _pairs(self, X: Any) -> Floats:
        """f(x) of each pair of classes, float64 [N, K (K - 1) / 2]; above 0 for the second of the pair."""
        x, known, constants = new_points(self, X), self.support_vectors_, self.intercept_
        if self.kernel == "linear":
            middle = known.mean(axis=0)
            x, known = x - middle, known - middle
            constants = constants + (self.dual_coef_ @ known) @ middle
        similar = similarity(self.kernel, known, self.gamma_, self.degree, self.coef0)
        out, rows = np.empty((len(x), len(constants))), max(_BLOCK // max(len(known), 1), 1)
        for start in range(0, len(x), rows):
            np.matmul(similar(x[start : start + rows]), self.dual_coef_.T, out=out[start : start + rows])
        return out + constants

    @available_if(lambda self: self.probability)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """With ``probability``: that of each class, float64 [N, K].

        With r_ij, the probability of i in the pair i, j, they minimise Σ_i Σ_j (r_ji p_i - r_ij p_j)² and sum to 1.
        """
        f, k = self._pairs(X), len(self.classes_)
        second = np.clip(logistic(f * self.sigmoid_[:, 0] + self.sigmoid_[:, 1]), 1e-7, 1 - 1e-7)
        if k == 2:
            return np.column_stack([1.0 - second[:, 0], second[:, 0]])
        r = np.zeros((len(f), k, k))
        for p, (i, j) in enumerate(combinations(range(k), 2)):
            r[:, j, i], r[:, i, j] = second[:, p], 1.0 - second[:, p]
        system = np.zeros((len(f), k + 1, k + 1))  # the conditions of the minimum, and of the sum
        system[:, :k, :k] = -r * r.transpose(0, 2, 1)
        system[:, np.arange(k), np.arange(k)] = (r**2).sum(axis=1)
        system[:, k, :k] = system[:, :k, k] = 1.0
        right = np.zeros((len(f), k + 1, 1))
        right[:, k] = 1.0
        found = np.maximum(np.linalg.solve(system, right)[:, :k, 0], 0.0)
        return found / found.sum(axis=1, keepdims=True)

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
