"""What trees and forests share: their parameters, growing one tree or many, and their answers."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from rlplay.models.common import new_points, require
from rlplay.models.supervised.trees import (
    Floats,
    Growth,
    Trees,
    check,
    grow_randomly,
    grow_sorted,
    join,
    leaf_row_of,
    leaves_of,
    predict_row_of,
    predict_rows,
    repeated,
)
from rlplay.seeding import stream

_NO_LIMIT = 2**31
Kind = Literal["best", "random"]


def count_features(model: Any, n_features: int) -> int:
    """How many features a split looks at, from a number, a share, ``"sqrt"``, ``"log2"`` or None for all."""
    wanted = model.max_features
    if wanted is None:
        return n_features
    if wanted in ("sqrt", "log2"):
        return max(1, int(np.sqrt(n_features) if wanted == "sqrt" else np.log2(n_features)))
    if isinstance(wanted, float | np.floating) and 0 < wanted <= 1:
        return max(1, int(wanted * n_features))
    if isinstance(wanted, int | np.integer) and 1 <= wanted <= n_features:
        return int(wanted)
    raise ValueError(f"max_features={wanted!r} is not in [1, {n_features}], a share, 'sqrt', 'log2' or None.")


def grow_trees(model: Any, x: Floats, target: NDArray[Any], n_classes: int, count: int, kind: Kind) -> Trees:
    """The trees of a model, each with random numbers of its own.

    Args:
        model: whose parameters are CART's.
        x: the points [N, D].
        target: numbers, float64 [N], or classes, int64 [N].
        n_classes: K; 0 for numbers.
        count: how many trees.
        kind: best or random splits. With ``model.bootstrap`` each tree learns from a sample of its own.

    Raises:
        ValueError: a parameter outside its range.
    """
    require(
        model,
        max_depth=(model.max_depth is None or model.max_depth >= 1, "1 or more, or None"),
        min_samples_split=(model.min_samples_split >= 2, "2 or more"),
        min_samples_leaf=(model.min_samples_leaf >= 1, "1 or more"),
        **({"n_estimators": (count >= 1, "1 or more")} if hasattr(model, "n_estimators") else {}),
    )
    depth = _NO_LIMIT if model.max_depth is None else int(model.max_depth)
    growth = Growth(
        depth, int(model.min_samples_split), int(model.min_samples_leaf), count_features(model, x.shape[1])
    )  # fmt: skip
    y = np.zeros(0) if n_classes else np.ascontiguousarray(target, np.float64)
    codes = np.ascontiguousarray(target, np.int64) if n_classes else np.zeros(0, np.int64)
    seed = check_random_state(model.random_state).randint(2**31 - 1)
    rngs = [stream(seed, f"tree {tree}") for tree in range(count)]
    outputs = max(n_classes, 1)
    if kind == "random":
        return join(grow_randomly(x, y, codes, outputs, growth, rng) for rng in rngs)
    columns = np.ascontiguousarray(x.T)
    order = np.argsort(columns, axis=1).astype(np.int32)
    if not getattr(model, "bootstrap", False):
        return join(grow_sorted(columns, order.copy(), y, codes, outputs, growth, rng) for rng in rngs)
    draws = np.random.default_rng(seed)
    samples = (np.bincount(draws.integers(len(x), size=len(x)), minlength=len(x)) for _ in rngs)
    return join(
        grow_sorted(columns, repeated(order, sample), y, codes, outputs, growth, rng)
        for sample, rng in zip(samples, rngs, strict=True)
    )


class TreeAnswers:
    """The answers of a fitted model with ``trees_``; a mixin."""

    trees_: Trees
    n_features_in_: int

    def _means(self, X: Any) -> Floats:
        """The mean over the trees, [N, K]."""
        x = new_points(self, X)
        return predict_rows(self.trees_, x)

    def apply(self, X: Any) -> NDArray[np.int64]:
        """The leaf of each point as the number of its node, int64 [N], or [N, T] for several trees."""
        x = new_points(self, X)
        leaves = leaves_of(self.trees_, x)
        return leaves if hasattr(self, "n_estimators") else leaves[:, 0]

    def check_fitted(self) -> None:
        """Refuse trees, read from a file, whose nodes lead outside them."""
        check(self.trees_, self.n_features_in_)


class NumberTrees(TreeAnswers):
    """Trees that answer with numbers; a mixin."""

    def predict(self, X: Any) -> Floats:
        """The mean of the leaves that a point falls into, float64 [N]."""
        return self._means(X)[:, 0]

    def row_function(self, method: str) -> tuple[Any, tuple[Any, ...]]:
        """The compiled function of one row for ``predict`` or ``apply`` (`rlplay.approximation.estimators.RowFunction`)."""
        return (leaf_row_of if method == "apply" else predict_row_of), tuple(self.trees_)


class ClassTrees(TreeAnswers):
    """Trees that answer with classes; a mixin."""

    classes_: NDArray[Any]

    def predict_proba(self, X: Any) -> Floats:
        """The share of each class in the leaves that a point falls into, float64 [N, K]."""
        return self._means(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """The class with the greatest share [N]."""
        shares = self._means(X)
        return self.classes_[shares.argmax(axis=1)]
