"""Self-organising map: clusters on a grid, so that neighbours on the grid are alike.

For each point the nearest unit and, less so, its neighbours on the grid take a step towards it:

    w_j ← w_j + η_t exp(-‖g_j - g_b‖² / 2σ_t²) (x - w_j)         b = argmin_j ‖x - w_j‖

with the units' places g on the grid. Step size η and reach σ shrink over the passes: first the map unfolds, then it
settles.

Source: Kohonen 1982; Bishop 2006, section 12.4.4. scikit-learn has no twin.

Shapes: X [N, D], units w [K, D] with K = rows * columns, places g [K, 2].
In reinforcement learning: states for a table that keep their neighbourhood (Smith 2002); a picture of a state space.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state

from rlplay.compiled.cache import compiled
from rlplay.models.common import Floats, require, training_points
from rlplay.models.unsupervised.k_means import CentreAnswers, nearest, nearest_labels


@compiled
def adapt(x: Floats, order: NDArray[np.int64], units: Floats, columns: int, rate: float, reach: float) -> None:
    """One pass over the points in an order, with one step size and one reach; changes the units [K, D].

    Example:
        >>> units = np.array([[0.0], [10.0]])
        >>> adapt(np.array([[4.0]]), np.array([0]), units, 2, 0.5, 0.1)
        >>> units.tolist()
        [[2.0], [10.0]]
    """
    far = 3.0 * reach
    for i in order:
        best = nearest(units, x[i])
        for k in range(units.shape[0]):
            down, across = k // columns - best // columns, k % columns - best % columns
            apart = down * down + across * across
            if apart <= far * far:
                share = rate * math.exp(-apart / (2.0 * reach * reach))
                for d in range(x.shape[1]):
                    units[k, d] += share * (x[i, d] - units[k, d])


@dataclass(eq=False, repr=False)
class SelfOrganisingMap(CentreAnswers, ClusterMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Kohonen's map on a rectangular grid.

    Args:
        rows: of the grid.
        columns: of the grid.
        n_epochs: passes over the points.
        learning_rate: η, first and last.
        radius: σ, first and last, in cells; None for half the grid first.
        random_state: a seed, a RandomState, or None.

    Attributes:
        cluster_centers_: the units, float64 [K, D].
        labels_: of the training points, int64 [N]; label k lies at row k // columns, column k mod columns.
        quantization_error_: mean distance of the points to their unit.

    Example:
        >>> x = np.linspace(0, 1, 100)[:, None]
        >>> model = SelfOrganisingMap(1, 4, random_state=0).fit(x)
        >>> steps = np.diff(model.cluster_centers_.ravel())
        >>> bool((steps > 0).all() or (steps < 0).all())
        True
    """

    rows: int = 8
    columns: int = 8
    _: KW_ONLY
    n_epochs: int = 20
    learning_rate: tuple[float, float] = (0.5, 0.02)
    radius: tuple[float | None, float] = (None, 0.5)
    random_state: Any = None

    def n_cells(self, n_columns: int) -> int:
        """How many units the map has, whatever the columns."""
        return int(self.rows * self.columns)

    def fit(self, X: Any, y: Any = None) -> Self:
        """Unfold the map over X [N, D]."""
        require(
            self,
            rows=(self.rows >= 1, "1 or more"),
            columns=(self.columns >= 1, "1 or more"),
            n_epochs=(self.n_epochs >= 1, "1 or more"),
            learning_rate=(0 < self.learning_rate[1] <= self.learning_rate[0] <= 1, "two shares, falling"),
        )
        x, rng = training_points(self, X), check_random_state(self.random_state)
        self.cluster_centers_ = self._sheet(x)
        first_radius = self.radius[0] or max(self.rows, self.columns) / 2
        for epoch in range(self.n_epochs):
            done = epoch / max(self.n_epochs - 1, 1)
            rate = self.learning_rate[0] * (self.learning_rate[1] / self.learning_rate[0]) ** done
            reach = first_radius * (self.radius[1] / first_radius) ** done
            adapt(x, rng.permutation(len(x)), self.cluster_centers_, self.columns, float(rate), float(reach))
        self.labels_, self.n_iter_ = nearest_labels(x, self.cluster_centers_), self.n_epochs
        self.quantization_error_ = float(np.sqrt(((x - self.cluster_centers_[self.labels_]) ** 2).sum(axis=1)).mean())
        return self

    def _sheet(self, x: Floats) -> Floats:
        """A flat sheet along the two directions of most variance: a start without folds."""
        mean = x.mean(axis=0)
        _, s, directions = np.linalg.svd(x - mean, full_matrices=False)
        width = s / math.sqrt(len(x)) if len(x) > 1 else s
        sheet = np.tile(mean, (self.rows * self.columns, 1))
        for axis, size, along in ((0, self.rows, 1), (1, self.columns, 0)):
            if along < len(directions):
                place = np.arange(self.rows * self.columns)
                place = place // self.columns if axis == 0 else place % self.columns
                sheet += (np.linspace(-1.5, 1.5, size)[place] * width[along])[:, None] * directions[along]
        return np.ascontiguousarray(sheet)
