"""k nearest neighbours: predict what the k most similar training points have.

    regression: the mean of their targets;   classification: the class most of them have

Each neighbour counts the same, or by 1 / distance. Fitting only stores the points in a k-d tree
(`rlplay.models.kd_tree`). With many columns a tree prunes little: it has one leaf then, and matrix products say which
points may be near,

    ‖x - c‖² = ‖x‖² - 2 x · c + ‖c‖²

whose rounding is bounded; of those few the distances are computed one by one. Of points at equal distances the first
in the training data is taken (the twin's choice among them depends on how its tree was divided), and of classes with
equal shares the first.

Source: Fix & Hodges 1951; Cover & Hart 1967; Hastie, Tibshirani & Friedman 2009, section 2.3.2. The twins are
`sklearn.neighbors.KNeighborsRegressor` and `sklearn.neighbors.KNeighborsClassifier`.

Shapes: X [N, D], neighbours [N, k].
In reinforcement learning: values as averages that cannot diverge (Gordon 1995), episodic control, novelty.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin

from rlplay.compiled.cache import in_place, reordered
from rlplay.models.common import Floats, new_points, points_and_classes, points_and_numbers, require
from rlplay.models.kd_tree import KDTree, build, query

_MOST_COLUMNS = 15  # beyond this a tree of boxes prunes little
_ROWS, _COLUMNS = 128, 512  # a block of products that stays in the processor's cache, 512 KiB
_TOGETHER = 64  # points that are passed over together
_ROUNDING = 1e-10  # share of ‖x‖² and ‖c‖² that products of up to 100,000 columns are off at most


def stored(x: Floats) -> KDTree:
    """The points [N, D] in a tree; with many columns in one leaf, in their order.

    Example:
        >>> stored(np.zeros((100, 2))).start.shape, stored(np.zeros((100, 20))).start.shape
        ((15,), (1,))
    """
    if x.shape[1] <= _MOST_COLUMNS:
        return build(x)
    n, edges = len(x), np.full((1, x.shape[1]), np.inf)  # of a box that nothing lies outside of
    return KDTree(x.copy(), np.arange(n), np.zeros(1, np.int64), np.array([n]), -edges, edges)


def neighbours(tree: KDTree, x: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
    """Distances [N, k] and numbers [N, k] of the k nearest points, nearest first.

    Example:
        >>> distances, found = neighbours(build(np.array([[0.0], [1.0], [5.0]])), np.array([[4.5]]), 2)
        >>> distances.tolist(), found.tolist()
        ([[0.5, 3.5]], [[2, 1]])
    """
    if x.shape[1] <= _MOST_COLUMNS:
        return query(tree, x, k)
    known = np.empty_like(tree.points)
    known[tree.order] = tree.points
    return nearest_of_all(known, x, k)


def nearest_of_all(known: Floats, x: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
    """The same of ``known`` [M, D] without a tree.

    With ε for the rounding, (1 - ε) ‖x‖² - 2 x · c + (1 - ε) ‖c‖² is never above the squared distance. The product of
    [x, 1] and [-2 c, (1 - ε) ‖c‖²] has all of it but the first term. Around the mean of the points it is closest.

    Example:
        >>> distances, found = nearest_of_all(np.array([[0.0], [1.0], [5.0]]), np.array([[4.5]]), 2)
        >>> distances.tolist(), found.tolist()
        ([[0.5, 3.5]], [[2, 1]])
    """
    middle = known.mean(axis=0)
    c = (known - middle).T
    right = np.vstack([-2.0 * c, (1.0 - _ROUNDING) * (c * c).sum(axis=0)])
    distances, found = np.full((len(x), k), np.inf), np.full((len(x), k), -1)
    products = np.empty((_ROWS, _COLUMNS))
    for top in range(0, len(x), _ROWS):
        rows = x[top : top + _ROWS]
        left = np.column_stack([rows - middle, np.ones(len(rows))])
        own = (1.0 - _ROUNDING) * (left[:, :-1] ** 2).sum(axis=1)
        for first in range(0, len(known), _COLUMNS):
            part = right[:, first : first + _COLUMNS]
            bounds = np.matmul(left, part, out=products[: len(rows), : part.shape[1]])
            keep_nearest(bounds, own, rows, known, first, distances[top : top + _ROWS], found[top : top + _ROWS])
    return np.sqrt(distances), found


@reordered
def least(values: Floats) -> float:
    """The least of some numbers; in any order, eight are compared at once.

    Example:
        >>> least(np.array([3.0, 1.0, 2.0]))
        1.0
    """
    lowest = np.inf
    for value in values:
        lowest = min(value, lowest)
    return lowest


@in_place
def keep_nearest(
    bounds: Floats, own: Floats, x: Floats, known: Floats, first: int, distances: Floats, found: NDArray[np.int64],
) -> None:  # fmt: skip
    """Put points from ``first`` on that are nearer into the k nearest so far, in order.

    No squared distance is below ``own`` [N] + ``bounds`` [N, M]; where that is too far for all of a few points in a
    row they are passed over.

    Example:
        >>> x, known = np.array([[0.0]]), np.array([[3.0], [1.0], [2.0]])
        >>> distances, found = np.full((1, 2), np.inf), np.full((1, 2), -1)
        >>> keep_nearest((x - known.T) ** 2, np.zeros(1), x, known, 0, distances, found)
        >>> distances.tolist(), found.tolist()
        ([[1.0, 4.0]], [[1, 2]])
    """
    k, many = distances.shape[1], bounds.shape[1]
    for i in range(bounds.shape[0]):
        for start in range(0, many, _TOGETHER):
            end = min(start + _TOGETHER, many)
            if least(bounds[i, start:end]) >= distances[i, k - 1] - own[i]:
                continue
            for j in range(start, end):
                if bounds[i, j] >= distances[i, k - 1] - own[i]:
                    continue
                total = 0.0
                for d in range(x.shape[1]):
                    total += (x[i, d] - known[first + j, d]) ** 2
                if total < distances[i, k - 1]:
                    place = k - 1
                    while place > 0 and total < distances[i, place - 1]:
                        distances[i, place], found[i, place] = distances[i, place - 1], found[i, place - 1]
                        place -= 1
                    distances[i, place], found[i, place] = total, first + j


def influence(distances: Floats, weights: str) -> Floats:
    """The weight of each neighbour, float64 [N, k]: 1, or 1 / distance; beside one at distance 0 the others have 0.

    Example:
        >>> influence(np.array([[1.0, 2.0], [0.0, 2.0]]), "distance").tolist()
        [[1.0, 0.5], [1.0, 0.0]]
    """
    if weights == "uniform":
        return np.ones_like(distances)
    same = distances == 0
    with np.errstate(divide="ignore"):
        inverse = 1.0 / distances
    return np.where(same.any(axis=1, keepdims=True), same.astype(float), inverse)


def check_settings(model: Any, n: int | None = None) -> None:
    """Refuse parameters outside their range, and more neighbours than points.

    Example:
        >>> check_settings(KNeighborsRegressor(2), n=3)
    """
    require(
        model,
        n_neighbors=(model.n_neighbors >= 1, "1 or more"),
        weights=(model.weights in ("uniform", "distance"), "'uniform' or 'distance'"),
    )
    if n is not None and model.n_neighbors > n:
        raise ValueError(f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {model.n_neighbors}, "
                         f"n_samples_fit = {n}")  # fmt: skip


@dataclass(eq=False, repr=False)
class KNeighborsRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """The mean of the nearest points' targets.

    Args:
        n_neighbors: k.
        weights: ``"uniform"`` or ``"distance"``.

    Attributes:
        tree_: the points (`rlplay.models.kd_tree.KDTree`).
        targets_: their targets, float64 [N], or [N, K] for several.

    Example:
        >>> KNeighborsRegressor(2).fit([[0.0], [1.0], [5.0]], [0.0, 1.0, 9.0]).predict([[0.4]]).tolist()
        [0.5]
    """

    n_neighbors: int = 5
    _: KW_ONLY
    weights: str = "uniform"

    def fit(self, X: Any, y: Any) -> Self:
        """Store X [N, D] and y [N], or [N, K]."""
        check_settings(self)
        x, self.targets_ = points_and_numbers(self, X, y, several=True)
        self.tree_ = stored(x)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """Distances and numbers of the nearest points, [N, k] each."""
        x = new_points(self, X)
        check_settings(self, len(self.targets_))
        return neighbours(self.tree_, x, int(n_neighbors or self.n_neighbors))

    def predict(self, X: Any) -> Floats:
        """The mean of the nearest targets, [N], or [N, K] for several."""
        distances, found = self.kneighbors(X)
        weights, targets = influence(distances, self.weights), self.targets_[found]
        if targets.ndim == 3:
            return np.einsum("nko,nk->no", targets, weights) / weights.sum(axis=1, keepdims=True)
        return (targets * weights).sum(axis=1) / weights.sum(axis=1)


@dataclass(eq=False, repr=False)
class KNeighborsClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The class that most of the nearest points have.

    Args:
        n_neighbors: k.
        weights: ``"uniform"`` or ``"distance"``.

    Attributes:
        classes_: the classes [K].
        tree_: the points (`rlplay.models.kd_tree.KDTree`).
        codes_: the number of each one's class, int64 [N].

    Example:
        >>> model = KNeighborsClassifier(3).fit([[0.0], [1.0], [5.0], [6.0], [7.0]], ["a", "a", "b", "b", "b"])
        >>> model.predict([[0.4], [6.5]]).tolist()
        ['a', 'b']
    """

    n_neighbors: int = 5
    _: KW_ONLY
    weights: str = "uniform"

    def fit(self, X: Any, y: Any) -> Self:
        """Store X [N, D] and the classes y [N]."""
        check_settings(self)
        x, self.codes_ = points_and_classes(self, X, y, fewest=1)
        self.tree_ = stored(x)
        return self

    def kneighbors(self, X: Any, n_neighbors: int | None = None) -> tuple[Floats, NDArray[np.int64]]:
        """Distances and numbers of the nearest points, [N, k] each."""
        x = new_points(self, X)
        check_settings(self, len(self.codes_))
        return neighbours(self.tree_, x, int(n_neighbors or self.n_neighbors))

    def predict_proba(self, X: Any) -> Floats:
        """The share of each class among the nearest points, [N, K]."""
        distances, found = self.kneighbors(X)
        weights, codes = influence(distances, self.weights), self.codes_[found]
        shares = np.zeros((len(codes), len(self.classes_)))
        for j in range(codes.shape[1]):
            shares[np.arange(len(codes)), codes[:, j]] += weights[:, j]
        return shares / shares.sum(axis=1, keepdims=True)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each point [N]; the first of equals."""
        shares = self.predict_proba(X)
        return self.classes_[shares.argmax(axis=1)]
