"""Feature bases of reinforcement learning over a box of states: tiles, Fourier waves and radial basis functions.

Tile coding: several grids over the box, each shifted by a part of a tile; of each grid the one tile that holds the
point is 1. Points in the same tiles share what is learned. Grid t is shifted by t (1, 3, 5, ...) / T of a tile, odd
numbers a column, so that no direction is preferred.

Fourier basis: cos(π c · x) for all whole c up to an order, with x scaled to 0..1.

Radial basis functions: exp(-‖x - μ_k‖² / 2σ²) around the points of a grid.

The box is what the columns span when fitted, or is given.

Source: Albus 1981, Sutton & Barto 2e, sections 9.5.2 to 9.5.5 (tiles shifted after Miller & Glanz 1996); Konidaris,
Osentoski & Thomas 2011 (Fourier). scikit-learn has no twins; `sklearn.preprocessing.KBinsDiscretizer` is one grid.

Shapes: X [N, D], features [N, F].
In reinforcement learning: features for linear values; with tiles a step costs T additions, however many there are.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from itertools import product
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from rlplay.compiled.cache import in_place
from rlplay.models.common import Floats, new_points, require, training_points

_MOST = 1_000_000  # features


@in_place
def active_tiles(
    x: Floats, low: Floats, width: Floats, tiles: NDArray[np.int64], shifts: Floats, out: NDArray[np.int64]
) -> None:
    """The number of the tile of one point [D] in each grid, into ``out`` [T]; tiles run row by row, grid by grid.

    ``tiles`` are the tiles of each column, one more than ``n_tiles`` because of the shift; ``shifts`` are parts of a
    tile, [D, T].

    Example:
        >>> out = np.empty(2, np.int64)
        >>> tiles, shifts = np.array([5]), shifts_of(1, 2)
        >>> active_tiles(np.array([0.6]), np.zeros(1), np.full(1, 0.25), tiles, shifts, out)
        >>> out.tolist()
        [2, 7]
    """
    size, grids = 1, shifts.shape[1]
    for t in range(grids):
        out[t] = 0
    for d in range(x.shape[0]):
        place, last = (x[d] - low[d]) / width[d], tiles[d] - 1
        for t in range(grids):
            out[t] = out[t] * tiles[d] + min(max(int(place + shifts[d, t]), 0), last)
        size *= tiles[d]
    for t in range(grids):
        out[t] += t * size


def shifts_of(n_columns: int, n_tilings: int) -> Floats:
    """The shift of each grid in each column, as a part of a tile, float64 [D, T].

    Example:
        >>> shifts_of(2, 4).tolist()
        [[0.0, 0.25, 0.5, 0.75], [0.0, 0.75, 0.5, 0.25]]
    """
    odd = 2 * np.arange(n_columns)[:, None] + 1
    return np.ascontiguousarray((np.arange(n_tilings) * odd) % n_tilings / n_tilings)


@in_place
def _tile_row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    low, width, tiles, shifts, active = codes
    for f in range(out.shape[0]):
        out[f] = 0.0
    active_tiles(x, low, width, tiles, shifts, active)
    for t in range(active.shape[0]):
        out[active[t]] = 1.0


@in_place
def _active_row(codes: Any, x: Floats, number: NDArray[np.int64], value: Floats) -> None:
    low, width, tiles, shifts, active = codes
    active_tiles(x, low, width, tiles, shifts, number)
    for t in range(active.shape[0]):
        value[t] = 1.0


@in_place
def _cell_row(codes: Any, x: Floats) -> int:
    low, width, cells = codes
    number = 0
    for d in range(x.shape[0]):
        place = math.floor((x[d] - low[d]) / width[d])
        number = number * cells[d] + min(max(place, 0), cells[d] - 1)
    return number


def box(model: Any, x: Floats) -> tuple[Floats, Floats]:
    """The lowest and the highest value of each column, from ``bounds`` or from the points.

    Example:
        >>> low, high = box(TileCoding(), np.array([[0.0, 5.0], [2.0, 5.0]]))
        >>> low.tolist(), high.tolist()
        ([0.0, 5.0], [2.0, 6.0])
    """
    if model.bounds is None:
        low, high = x.min(axis=0), x.max(axis=0)
    else:
        given = np.asarray(model.bounds, np.float64)
        if given.shape != (2, x.shape[1]) or not np.isfinite(given).all():
            raise ValueError(
                f"bounds should be finite, with shape (2, {x.shape[1]}): the lowest and the highest values."
            )
        low, high = given
    return low, np.where(high > low, high, low + 1.0)


def per_column(value: Any, width: int, name: str) -> NDArray[np.int64]:
    """A number for all columns, or one each.

    Raises:
        ValueError: not whole numbers of 1 or more, or not one a column.

    Example:
        >>> per_column(3, 2, "n_tiles").tolist(), per_column([3, 4], 2, "n_tiles").tolist()
        ([3, 3], [3, 4])
    """
    try:
        counts = np.broadcast_to(np.asarray(value), (width,)).astype(np.int64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name}={value!r} should be a number, or one for each of the {width} columns.") from error
    if (counts < 1).any() or not np.array_equal(counts, np.broadcast_to(np.asarray(value), (width,))):
        raise ValueError(f"{name}={value!r} should be whole numbers of 1 or more.")
    return counts


@dataclass(eq=False, repr=False)
class TileCoding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Several shifted grids of tiles.

    Args:
        n_tiles: tiles of a column in each grid, a number or one a column.
        n_tilings: how many grids, T; a power of 2, at least 4 D, spreads best.
        bounds: lowest and highest values, [2, D]; None for those of the points.

    Attributes:
        low_, high_: the box, float64 [D].
        width_: width of a tile, float64 [D].
        tiles_: tiles of a column with the one that the shift needs, int64 [D].
        n_features_: F = T times the product of them.

    Example:
        >>> tiles = TileCoding(2, 2, bounds=[[0.0], [1.0]]).fit([[0.0]])
        >>> tiles.transform([[0.1], [0.4]]).tolist(), tiles.active([[0.4]]).tolist()
        ([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]], [[0, 4]])
    """

    n_tiles: Any = 8
    n_tilings: int = 8
    _: KW_ONLY
    bounds: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay the grids over X [N, D]."""
        require(self, n_tilings=(self.n_tilings >= 1, "1 or more"))
        x = training_points(self, X)
        self.low_, self.high_ = box(self, x)
        counts = per_column(self.n_tiles, x.shape[1], "n_tiles")
        self.width_, self.tiles_ = (self.high_ - self.low_) / counts, counts + (self.n_tilings > 1)
        if self.n_tilings * math.prod(self.tiles_.tolist()) > _MOST:
            sides = [
                *map(str, self.tiles_[:6]),
                *([f"... ({len(self.tiles_)} columns)"] if len(self.tiles_) > 6 else []),
            ]
            grids = f"{self.n_tilings} grids of {' x '.join(sides)} tiles"
            raise ValueError(f"{grids} are more than {_MOST:,} features: take fewer tiles or columns.")
        self.n_features_ = int(self.n_tilings * math.prod(self.tiles_.tolist()))
        return self

    def active(self, X: Any) -> NDArray[np.int64]:
        """The numbers of the tiles that hold each point, int64 [N, T]."""
        x, shifts = new_points(self, X), self._shifts()
        number = np.zeros((len(x), shifts.shape[1]), np.int64)
        for d, tiles in enumerate(self.tiles_):  # as `active_tiles`, for all points at once
            place = (x[:, d, None] - self.low_[d]) / self.width_[d] + shifts[d]
            number = number * tiles + np.clip(place, 0, tiles - 1).astype(np.int64)
        return number + np.arange(shifts.shape[1]) * math.prod(self.tiles_.tolist())

    def transform(self, X: Any) -> Floats:
        """1 for the tiles that hold a point, else 0, [N, F]."""
        active = self.active(X)
        out = np.zeros((len(active), self.n_features_))
        out[np.arange(len(active))[:, None], active] = 1.0
        return out

    def _shifts(self) -> Floats:
        return shifts_of(len(self.low_), int(self.n_tilings))

    def n_cells(self, n_columns: int) -> int:
        """How many cells the grids cut the box into, all together, for D columns."""
        counts = per_column(self.n_tiles, n_columns, "n_tiles")
        return int(math.prod((counts * int(self.n_tilings)).tolist()))

    def predict(self, X: Any) -> NDArray[np.int64]:
        """The number of the cell that holds each point, [N]: points that share all tiles share a cell.

        Shifted by parts of 1 / T, the grids cut each tile into T. So a single grid numbers its tiles.
        """
        points = new_points(self, X)
        row, codes = self.sample_function("predict")
        return np.array([row(codes, x) for x in points], np.int64)

    def sample_function(self, method: str) -> Any:
        """The compiled function of one sample for ``transform``, ``predict`` or ``active``.

        See a `SampleFunction`; ``active`` fills numbers and strengths, an `Active`.
        """
        if method == "predict":
            counts = per_column(self.n_tiles, len(self.low_), "n_tiles") * int(self.n_tilings)
            return _cell_row, (self.low_, self.width_ / self.n_tilings, counts)
        codes = self.low_, self.width_, self.tiles_, self._shifts(), np.zeros(self.n_tilings, np.int64)
        return (_active_row if method == "active" else _tile_row), codes

    @property
    def _n_features_out(self) -> int:
        return self.n_features_


@in_place
def _fourier_row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    low, high, waves = codes
    for f in range(waves.shape[0]):
        total = 0.0
        for d in range(x.shape[0]):
            total += waves[f, d] * min(max((x[d] - low[d]) / (high[d] - low[d]), 0.0), 1.0)
        out[f] = math.cos(math.pi * total)


@dataclass(eq=False, repr=False)
class FourierBasis(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Cosine waves over the box.

    Args:
        order: greatest frequency of a column.
        bounds: lowest and highest values, [2, D]; None for those of the points.

    Attributes:
        low_, high_: the box, float64 [D].
        waves_: c, int64 [F, D] with F = (order + 1)^D.

    Example:
        >>> FourierBasis(2).fit([[0.0], [1.0]]).transform([[0.0], [0.5]]).round(6).tolist()
        [[1.0, 1.0, 1.0], [1.0, 0.0, -1.0]]
    """

    order: int = 3
    _: KW_ONLY
    bounds: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """List the waves over X [N, D]."""
        require(self, order=(self.order >= 0 and self.order == int(self.order), "a whole number of 0 or more"))
        x = training_points(self, X)
        if (self.order + 1) ** x.shape[1] > _MOST:
            raise ValueError(f"order={self.order} over {x.shape[1]} columns gives more than {_MOST:,} features.")
        self.low_, self.high_ = box(self, x)
        self.waves_ = np.array(list(product(range(int(self.order) + 1), repeat=x.shape[1])), np.int64)
        return self

    def transform(self, X: Any) -> Floats:
        """cos(π c · x) with x scaled to 0..1, [N, F]."""
        x = new_points(self, X)
        inside = np.clip((x - self.low_) / (self.high_ - self.low_), 0.0, 1.0)
        return np.cos(math.pi * (inside @ self.waves_.T))

    def sample_function(self, method: str) -> Any:
        """The compiled function of one sample for ``transform`` (a `SampleFunction`)."""
        return _fourier_row, (self.low_, self.high_, self.waves_)

    @property
    def _n_features_out(self) -> int:
        return len(self.waves_)


@in_place
def _bump_row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    centres, width = codes
    for f in range(centres.shape[0]):
        total = 0.0
        for d in range(x.shape[0]):
            gap = (x[d] - centres[f, d]) / width[d]
            total += gap * gap
        out[f] = math.exp(-0.5 * total)


@dataclass(eq=False, repr=False)
class RBFGrid(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Radial basis functions around the points of a grid.

    Args:
        n_centers: crossings of a column, a number or one a column.
        overlap: their standard deviation, in distances between grid points.
        normalize: whether the features of a point sum to 1.
        bounds: lowest and highest values, [2, D]; None for those of the points.

    Attributes:
        centers_: float64 [F, D].
        width_: deviation in each column, float64 [D].

    Example:
        >>> RBFGrid(3).fit([[0.0], [1.0]]).transform([[0.5]]).round(4).tolist()
        [[0.6065, 1.0, 0.6065]]
    """

    n_centers: Any = 5
    _: KW_ONLY
    overlap: float = 1.0
    normalize: bool = False
    bounds: Any = None

    def fit(self, X: Any, y: Any = None) -> Self:
        """Lay the grid over X [N, D]."""
        require(self, overlap=(self.overlap > 0, "above 0"))
        x = training_points(self, X)
        low, high = box(self, x)
        counts = per_column(self.n_centers, x.shape[1], "n_centers")
        if math.prod(counts.tolist()) > _MOST:
            raise ValueError(f"{' x '.join(map(str, counts))} bumps are more than {_MOST:,} features.")
        axes = [
            np.linspace(a, b, n) if n > 1 else np.array([(a + b) / 2])
            for a, b, n in zip(low, high, counts, strict=True)
        ]
        self.centers_ = np.array(list(product(*axes)))
        self.width_ = self.overlap * (high - low) / np.maximum(counts - 1, 1)
        return self

    def transform(self, X: Any) -> Floats:
        """exp(-‖x - μ‖² / 2σ²), [N, F]."""
        x = new_points(self, X)
        gaps = ((x[:, None] - self.centers_) / self.width_) ** 2
        bumps = np.exp(-0.5 * gaps.sum(axis=2))
        return bumps / np.maximum(bumps.sum(axis=1, keepdims=True), 1e-300) if self.normalize else bumps

    def sample_function(self, method: str) -> Any:
        """The compiled function of one sample for ``transform`` (a `SampleFunction`), not normalised."""
        return None if self.normalize else (_bump_row, (self.centers_, self.width_))

    @property
    def _n_features_out(self) -> int:
        return len(self.centers_)
