"""Histogram gradient boosting: small trees added up, each correcting what the sum so far gets wrong.

A loss L(y, F) is lowered by adding a tree to F that follows its negative gradient. With g and h the first two
derivatives of the loss at each point, a leaf with sums G and H is best answered by, and a split is worth,

    value = -G / (H + λ)            gain = G_l² / (H_l + λ) + G_r² / (H_r + λ) - G² / (H + λ)

Features are first cut into at most 255 bins, so that the best split of a node is found in a histogram of G and H over
the bins; a sibling's histogram is the parent's minus the other's. The leaf with the greatest gain is split next.

    squared error (y - F)²/2:  g = F - y, h = 1        logistic, softmax:  g = p - y, h = p (1 - p)

A point's weight is a factor of g and h. Missing values (NaN) have a bin of their own; a split sends them to the side
with the greater gain, or divides them from all others. Where a feature had none, they go to the side with more points.

Source: Friedman 2001; Ke and others 2017 (LightGBM); Hastie, Tibshirani & Friedman 2009, section 10.10. The twins are
`sklearn.ensemble.HistGradientBoostingRegressor` and `sklearn.ensemble.HistGradientBoostingClassifier`.

Shapes: X [N, D], bins uint8 [D, N], trees of at most ``max_leaf_nodes`` leaves, F [N, K].
In reinforcement learning: the value function of fitted Q iteration (Tosatto 2017), policies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from rlplay.compiled.cache import compiled, in_place
from rlplay.models.common import (
    Floats,
    ScoreAnswers,
    class_probabilities,
    new_points,
    point_weights,
    points_and_classes,
    points_and_numbers,
    require,
    softmax,
)
from rlplay.models.supervised.trees import (
    LEAF,
    Flags,
    Grown,
    Trees,
    check,
    empty_nodes,
    first_nodes,
    join,
    leaf_of,
)

_SAMPLE = 200_000  # points that the bins' edges are found in


def weighted_percentiles(values: Floats, weights: Floats, shares: Floats) -> Floats:
    """The values below which lie the shares (of 100) of the weight; the middle of two where both will do.

    Example:
        >>> weighted_percentiles(np.array([1.0, 2.0, 5.0]), np.array([1.0, 2.0, 1.0]), np.array([25.0, 50.0])).tolist()
        [1.5, 2.0]
    """
    order = np.argsort(values)
    values, reached = values[order], np.cumsum(weights[order])
    wanted = shares / 100 * reached[-1]
    first = np.minimum(np.searchsorted(reached, wanted), len(values) - 1)
    second = np.minimum(np.searchsorted(reached, wanted, side="right"), len(values) - 1)
    return (values[first] + values[second]) / 2


def bin_edges(x: Floats, max_bins: int, weights: Floats | None = None) -> tuple[Floats, NDArray[np.int64]]:
    """Upper edges of each feature's bins, [D, max_bins - 1], infinite beyond the last; and how many bins there are.

    Missing values are left out, and points of weight 0.

    Example:
        >>> edges, counts = bin_edges(np.array([[0.0], [1.0], [1.0], [4.0]]), 4)
        >>> edges.tolist(), counts.tolist()
        ([[0.5, 2.5, inf]], [3])
    """
    edges, counts = np.full((x.shape[1], max_bins - 1), np.inf), np.ones(x.shape[1], np.int64)
    if weights is not None:
        x, weights = x[weights > 0], weights[weights > 0]
    if len(x) > _SAMPLE:
        chosen = np.random.default_rng(0).choice(len(x), _SAMPLE, replace=False)
        x, weights = x[chosen], None if weights is None else weights[chosen]
    for d in range(x.shape[1]):
        known = ~np.isnan(x[:, d])
        column = x[known, d]
        distinct = np.unique(column)
        if len(distinct) <= max_bins:
            mine = (distinct[:-1] + distinct[1:]) / 2
        else:
            shares = np.linspace(0, 100, max_bins + 1)[1:-1]
            mine = np.unique(
                np.percentile(column, shares, method="averaged_inverted_cdf")
                if weights is None
                else weighted_percentiles(column, weights[known], shares)
            )
        edges[d, : len(mine)], counts[d] = mine, len(mine) + 1
    return edges, counts


@compiled
def into_bins(x: Floats, edges: Floats) -> NDArray[np.uint8]:
    """The bin of each value, uint8 [D, N]: how many edges lie below it; one more than there are for a missing one.

    Example:
        >>> into_bins(np.array([[0.2], [0.9]]), np.array([[0.5, np.inf]])).tolist()
        [[0, 1]]
    """
    bins = np.empty((x.shape[1], x.shape[0]), np.uint8)
    for i in range(x.shape[0]):
        for d in range(x.shape[1]):
            low, high = 0, edges.shape[1]
            if np.isnan(x[i, d]):
                low, high = high + 1, high + 1
            while low < high:
                middle = (low + high) // 2
                if x[i, d] <= edges[d, middle]:
                    high = middle
                else:
                    low = middle + 1
            bins[d, i] = low
    return bins


class Work(NamedTuple):
    """Work space that one tree leaves to the next: to ask for it anew takes longer than a fifth of a tree.

    Attributes:
        points: the numbers of the points, those of a node side by side, int32 [N].
        swap: those that go right, int32 [N].
        g, h: derivatives of a node's points, float64 [N].

    Example:
        >>> work_space(3).points.tolist()
        [0, 1, 2]
    """

    points: NDArray[np.int32]
    swap: NDArray[np.int32]
    g: Floats
    h: Floats


def work_space(n: int) -> Work:
    """The work space for N points.

    Example:
        >>> [array.shape for array in work_space(3)]
        [(3,), (3,), (3,), (3,)]
    """
    return Work(np.arange(n, dtype=np.int32), np.empty(n, np.int32), np.empty(n), np.empty(n))


@in_place
def histogram(
    bins: NDArray[np.uint8], points: NDArray[np.int32], g: Floats, h: Floats, constant: bool, out: Floats, work: Work
) -> None:
    """Sums of g and h, and counts, of some points in each bin of each feature, into ``out`` [D, B, 3].

    Example:
        >>> bins, g, out = np.array([[0, 1, 1]], np.uint8), np.array([1.0, 2.0, 3.0]), np.zeros((1, 2, 3))
        >>> histogram(bins, np.arange(3, dtype=np.int32), g, g, True, out, work_space(3))
        >>> out.tolist()
        [[[1.0, 1.0, 1.0], [5.0, 2.0, 2.0]]]
    """
    out[:] = 0.0
    n, everything = points.shape[0], points.shape[0] == bins.shape[1]
    for i in range(n):
        work.g[i] = g[points[i]]
        if not constant:
            work.h[i] = h[points[i]]
    for d in range(bins.shape[0]):
        row, mine = bins[d], out[d]
        for i in range(n):
            b = row[i] if everything else row[points[i]]
            mine[b, 0] += work.g[i]
            mine[b, 2] += 1.0
            if not constant:
                mine[b, 1] += work.h[i]
        if constant:  # the sum of h is the count
            for b in range(mine.shape[0]):
                mine[b, 1] = mine[b, 2]


@compiled
def best_split(
    sums: Floats, counts: NDArray[np.int64], missing: Flags, total_g: float, total_h: float, total_n: float,
    l2: float, least: int,
) -> tuple[float, int, int, bool]:  # fmt: skip
    """The split with the greatest gain: gain, feature, the last bin that goes left, and whether missing values do.

    The feature is -1 for none; ``missing`` [D] are the features with missing values.

    Example:
        >>> sums = np.array([[[-2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]])
        >>> best_split(sums, np.array([2]), np.zeros(1, bool), 0.0, 4.0, 4.0, 0.0, 1)
        (4.0, 0, 0, False)
    """
    best, feature, place, to_left = 0.0, -1, 0, False
    before = total_g * total_g / (total_h + l2)
    for d in range(sums.shape[0]):
        g, h, n = 0.0, 0.0, 0.0
        for b in range(counts[d] - 1 + missing[d]):  # the missing ones go right
            g += sums[d, b, 0]
            h += sums[d, b, 1]
            n += sums[d, b, 2]
            if n < least:
                continue
            if total_n - n < least:
                break
            right_g, right_h = total_g - g, total_h - h
            if h < 1e-3 or right_h < 1e-3:
                continue
            gain = g * g / (h + l2) + right_g * right_g / (right_h + l2) - before
            if gain > best:
                best, feature, place, to_left = gain, d, b, False
        if not missing[d]:
            continue
        g, h, n = 0.0, 0.0, 0.0
        for b in range(counts[d] - 2, -1, -1):  # from the right: the missing ones go left
            g += sums[d, b + 1, 0]
            h += sums[d, b + 1, 1]
            n += sums[d, b + 1, 2]
            left_g, left_h = total_g - g, total_h - h
            if n < least or h < 1e-3:
                continue
            if total_n - n < least or left_h < 1e-3:
                break
            gain = g * g / (h + l2) + left_g * left_g / (left_h + l2) - before
            if gain > best:
                best, feature, place, to_left = gain, d, b, True
    return best, feature, place, to_left


@compiled
def grow(
    bins: NDArray[np.uint8], counts: NDArray[np.int64], missing: Flags, edges: Floats, g: Floats, h: Floats,
    constant: bool, max_leaves: int, max_depth: int, least: int, l2: float, rate: float, scores: Floats,
    work: Work,
) -> Grown:  # fmt: skip
    """Grow one tree and add its predictions to ``scores`` [N]; returns the arrays of `Trees` without roots.

    Each leaf has its histogram and its best split; the leaf with the greatest gain is split, until there are enough.

    Example:
        >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])
        >>> edges, counts = bin_edges(x, 4)
        >>> g, scores = np.array([1.0, 1.0, -1.0, -1.0]), np.zeros(4)
        >>> bins, none = into_bins(x, edges), np.zeros(1, bool)
        >>> nodes = grow(bins, counts, none, edges, g, np.ones(4), True, 2, 9, 1, 0.0, 0.5, scores, work_space(4))
        >>> scores.tolist()
        [-0.5, -0.5, 0.5, 0.5]
    """
    n, most = bins.shape[1], 2 * max_leaves
    feature, threshold, left, right, value, missing_left = empty_nodes(most, 1)
    start, end, depth = np.zeros(most, np.int64), np.zeros(most, np.int64), np.zeros(most, np.int64)
    gain, split, place = np.zeros(most), np.full(most, -1), np.zeros(most, np.int64)
    to_left = np.zeros(most, np.bool_)
    sums = np.empty((max_leaves + 1, bins.shape[0], edges.shape[1] + 2, 3))
    slot = np.zeros(most, np.int64)
    totals = np.zeros((most, 2))
    points, swap = work.points, work.swap
    for i in range(n):
        points[i] = i
    end[0] = n
    histogram(bins, points, g, h, constant, sums[0], work)
    for b in range(sums.shape[2]):
        totals[0, 0] += sums[0, 0, b, 0]
        totals[0, 1] += sums[0, 0, b, 1]
    gain[0], split[0], place[0], to_left[0] = best_split(
        sums[0], counts, missing, totals[0, 0], totals[0, 1], n, l2, least
    )
    nodes, leaves, used = 1, 1, 1
    while leaves < max_leaves:
        node, greatest = -1, 0.0
        for k in range(nodes):
            if feature[k] == LEAF and split[k] >= 0 and gain[k] > greatest and depth[k] < max_depth:
                node, greatest = k, gain[k]
        if node < 0:
            break
        row, last, absent = bins[split[node]], place[node], edges.shape[1] + 1
        n_left, n_right = start[node], 0
        for i in range(start[node], end[node]):
            point = points[i]  # both ways are written and one is kept: no branch to mispredict
            goes_left = (row[point] <= last) | (to_left[node] & (row[point] == absent))
            points[n_left], swap[n_right] = point, point
            n_left += goes_left
            n_right += 1 - goes_left
        for i in range(n_right):
            points[n_left + i] = swap[i]
        feature[node], threshold[node] = split[node], np.inf if last >= edges.shape[1] else edges[split[node], last]
        missing_left[node] = to_left[node] if missing[split[node]] else n_left - start[node] > n_right
        a, b = nodes, nodes + 1
        left[node], right[node] = a, b
        start[a], end[a], start[b], end[b] = start[node], n_left, n_left, end[node]
        depth[a] = depth[b] = depth[node] + 1
        nodes, leaves = nodes + 2, leaves + 1
        small, large = (a, b) if n_left - start[node] <= n_right else (b, a)
        slot[small], slot[large] = used, slot[node]
        used += 1
        mine = points[start[small] : end[small]]
        histogram(bins, mine, g, h, constant, sums[slot[small]], work)
        sums[slot[large]] -= sums[slot[small]]
        for k in range(sums.shape[2]):
            totals[small, 0] += sums[slot[small], 0, k, 0]
            totals[small, 1] += sums[slot[small], 0, k, 1]
        totals[large, 0] = totals[node, 0] - totals[small, 0]
        totals[large, 1] = totals[node, 1] - totals[small, 1]
        for k in (a, b):
            if depth[k] < max_depth and leaves < max_leaves and end[k] - start[k] >= 2 * least:
                gain[k], split[k], place[k], to_left[k] = best_split(
                    sums[slot[k]], counts, missing, totals[k, 0], totals[k, 1], end[k] - start[k], l2, least
                )
    for k in range(nodes):
        if feature[k] == LEAF:
            value[k, 0] = -rate * totals[k, 0] / (totals[k, 1] + l2 + 1e-300)
            for i in range(start[k], end[k]):
                scores[points[i]] += value[k, 0]
    return first_nodes(feature, threshold, left, right, value, missing_left, nodes)


@compiled
def add_up(trees: Trees, x: Floats, columns: int, start: Floats) -> Floats:
    """The sums of the trees for points [N, D], tree t to column t mod K; [N, K].

    Example:
        >>> model = HistGradientBoostingRegressor(max_iter=1, min_samples_leaf=1).fit([[0.0], [1.0]], [0.0, 1.0])
        >>> add_up(model.trees_, np.array([[0.0], [1.0]]), 1, model.baseline_).round(2).tolist()
        [[0.45], [0.55]]
    """
    out = np.empty((x.shape[0], columns))
    for i in range(x.shape[0]):
        for k in range(columns):
            out[i, k] = start[k]
    for tree in range(trees.roots.shape[0]):
        for i in range(x.shape[0]):
            out[i, tree % columns] += trees.value[leaf_of(trees, tree, x[i]), 0]
    return out


@compiled
def _row(codes: Any, x: Floats) -> float:
    start, roots, feature, threshold, left, right, value, missing_left = codes
    trees = Trees(roots, feature, threshold, left, right, value, missing_left)
    total = start[0]
    for tree in range(roots.shape[0]):
        total += value[leaf_of(trees, tree, x), 0]
    return total


def boost(
    model: Any, x: Floats, scores: Floats, derivatives: Any, constant: bool, weights: Floats | None = None
) -> None:
    """Add trees to the scores [N, K], which hold what the model begins with; sets ``trees_``.

    Args:
        model: has the arguments of `BoostedTrees`.
        x: the points [N, D].
        scores: changed in place.
        derivatives: ``derivatives(scores) -> (g, h)``, [N, K] each.
        constant: whether h is 1 everywhere.
        weights: factors of g and h, [N].

    Example:
        >>> model = HistGradientBoostingRegressor(max_iter=100, min_samples_leaf=1)
        >>> x, y, scores = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]]), np.zeros((2, 1))
        >>> boost(model, x, scores, lambda f: (f - y, np.ones_like(f)), constant=True)
        >>> scores.round(2).ravel().tolist()
        [0.0, 1.0]
    """
    require(
        model,
        learning_rate=(model.learning_rate > 0, "above 0"),
        max_iter=(model.max_iter >= 1, "1 or more"),
        max_leaf_nodes=(model.max_leaf_nodes is None or model.max_leaf_nodes >= 2, "2 or more, or None"),
        max_depth=(model.max_depth is None or model.max_depth >= 1, "1 or more, or None"),
        min_samples_leaf=(model.min_samples_leaf >= 1, "1 or more"),
        l2_regularization=(model.l2_regularization >= 0, "0 or more"),
        max_bins=(2 <= model.max_bins <= 255, "from 2 to 255"),
    )
    edges, counts = bin_edges(x, int(model.max_bins), weights)
    missing: Flags = np.asarray(np.isnan(x).any(axis=0))
    bins = into_bins(x, edges)
    leaves = min(model.max_leaf_nodes or len(x), len(x))
    depth = model.max_depth or len(x)
    trees, work = [], work_space(len(x))
    for _ in range(int(model.max_iter)):
        g, h = derivatives(scores)
        if weights is not None:
            g, h = g * weights[:, None], h * weights[:, None]
        for k in range(scores.shape[1]):
            column = np.ascontiguousarray(scores[:, k])
            first, second = np.ascontiguousarray(g[:, k]), np.ascontiguousarray(h[:, k])
            trees.append(grow(
                bins, counts, missing, edges, first, second, constant and weights is None, int(leaves), int(depth),
                int(model.min_samples_leaf), float(model.l2_regularization), float(model.learning_rate),
                column, work,
            ))  # fmt: skip
            scores[:, k] = column
    model.trees_, model.n_iter_ = join(trees), int(model.max_iter)


@dataclass(eq=False, repr=False, kw_only=True)
class BoostedTrees:
    """The arguments of both models, and the check of a file; a mixin.

    Args:
        learning_rate: the factor of each tree's predictions.
        max_iter: the number of rounds.
        max_leaf_nodes: most leaves of a tree; None for no limit.
        max_depth: most questions on the way to a leaf; None for no limit.
        min_samples_leaf: fewest points of a leaf.
        l2_regularization: λ, which shrinks the values of small leaves.
        max_bins: bins a feature, at most 255.

    Example:
        >>> BoostedTrees(max_iter=5).max_iter, BoostedTrees().max_leaf_nodes
        (5, 31)
    """

    learning_rate: float = 0.1
    max_iter: int = 100
    max_leaf_nodes: int | None = 31
    max_depth: int | None = None
    min_samples_leaf: int = 20
    l2_regularization: float = 0.0
    max_bins: int = 255

    def __sklearn_tags__(self) -> Any:
        """Missing values are taken."""
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags.allow_nan = True
        return tags

    def check_fitted(self: Any) -> None:
        """Refuse trees, read from a file, whose nodes have children outside them.

        Raises:
            ValueError: such trees.
        """
        check(self.trees_, self.n_features_in_)


class HistGradientBoostingRegressor(BoostedTrees, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Gradient boosting of regression trees, with the squared error.

    The arguments are those of `BoostedTrees`.

    Attributes:
        trees_: the trees, one a round; their values are scaled by the learning rate.
        baseline_: the initial prediction, float64 [1].

    Example:
        >>> x = np.linspace(0, 1, 100)[:, None]
        >>> model = HistGradientBoostingRegressor(max_iter=50).fit(x, x[:, 0] > 0.5)
        >>> model.predict([[0.1], [0.9]]).round(1).tolist()
        [0.0, 1.0]
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X [N, D], where NaN is a missing value, and y [N]; each point counts by its weight [N]."""
        x, target = points_and_numbers(self, X, y, ensure_all_finite="allow-nan")
        weights = point_weights(self, x, sample_weight)
        self.baseline_ = np.array([np.average(target, weights=weights)])
        scores, ones = np.full((len(x), 1), self.baseline_[0]), np.ones((len(x), 1))
        g = np.empty_like(scores)
        boost(self, x, scores, lambda f: (np.subtract(f, target[:, None], out=g), ones), True, weights)
        return self

    def predict(self, X: Any) -> Floats:
        """The sum of the trees, [N]."""
        x = new_points(self, X, ensure_all_finite="allow-nan")
        return add_up(self.trees_, x, 1, self.baseline_)[:, 0]

    def sample_function(self, method: str) -> Any:
        """The compiled function of one row for ``predict`` (`rlplay.approximation.estimators.SampleFunction`)."""
        return _row, (self.baseline_, *self.trees_)


@dataclass(eq=False, repr=False, kw_only=True)
class HistGradientBoostingClassifier(BoostedTrees, ScoreAnswers, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gradient boosting of classes: logistic loss for two, softmax for more, then one tree a class in each round.

    Args:
        class_weight: how much a point counts by class, ``"balanced"`` for N / (K N_k), or None.

    The other arguments are those of `BoostedTrees`.

    Attributes:
        classes_: the classes [K].
        trees_: the trees; their values are scaled by the learning rate.
        baseline_: the initial scores, float64 [1] or [K].

    Example:
        >>> x = np.linspace(0, 1, 100)[:, None]
        >>> model = HistGradientBoostingClassifier(max_iter=20).fit(x, np.where(x[:, 0] > 0.5, "high", "low"))
        >>> model.predict([[0.1], [0.9]]).tolist()
        ['low', 'high']
    """

    class_weight: Any = None

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Grow the trees on X [N, D], where NaN is a missing value, and the classes y [N].

        Each point counts by its weight [N] times its class's.
        """
        x, codes = points_and_classes(self, X, y, fewest=1, ensure_all_finite="allow-nan")
        k, weights = len(self.classes_), point_weights(self, x, sample_weight, codes)
        shares = np.bincount(codes, weights, minlength=k) / (len(codes) if weights is None else weights.sum())
        # Where a class has no weight its logarithm would be infinite.
        shares = np.clip(shares, np.finfo(np.float64).eps, 1.0)
        if k == 2:
            self.baseline_, indicator = np.array([np.log(shares[1] / shares[0])]), codes[:, None].astype(float)
        else:
            logs = np.log(shares)
            self.baseline_, indicator = logs - logs.mean(), np.eye(k)[codes]
        scores = np.tile(self.baseline_, (len(x), 1))

        def derivatives(f: Floats) -> tuple[Floats, Floats]:
            p = 0.5 * (1.0 + np.tanh(0.5 * f)) if k == 2 else softmax(f)
            return p - indicator, p * (1.0 - p)

        boost(self, x, scores, derivatives, False, weights)
        return self

    def decision_function(self, X: Any) -> Floats:
        """The sums of the trees: log-odds [N] for two classes, else [N, K]."""
        x = new_points(self, X, ensure_all_finite="allow-nan")
        scores = add_up(self.trees_, x, len(self.baseline_), self.baseline_)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, [N, K]."""
        scores = self.decision_function(X)
        return class_probabilities(scores) if len(self.classes_) > 1 else np.ones((len(scores), 1))
