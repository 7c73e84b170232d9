"""What a feature map hands on: labels, vectors, or the features that are active; as compiled functions of one row.

    label      the number of the cluster, leaf or cell
    one-hot    1 for the label, 0 for the others
    distance   what a clusterer's ``transform`` gives: the distance to each centre
    triangle   max(0, mean distance - distance): 0 for what is farther than usual (Coates & Ng 2012)

Linear agents take features as `Active`: the few that are not 0, by number and strength. A tile coding has as many as
grids, a label one, a vector of F numbers all F.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import as_these, compiled

ENCODINGS = ("auto", "label", "one-hot", "distance", "triangle")


class Active(NamedTuple):
    """The features of an observation that are not 0.

    Attributes:
        number: which, int64 [T].
        value: how strong, float64 [T].

    Example:
        >>> x = Active(np.array([2, 5]), np.array([1.0, 0.5]))
        >>> x.number.tolist(), x.value.tolist()
        ([2, 5], [1.0, 0.5])
    """

    number: NDArray[np.int64]
    value: NDArray[np.float64]


@cache
def one_hot(label: Callable[..., int]) -> Callable[..., None]:
    """``row(codes, x [D], out [F])`` from a function of a label."""

    @compiled
    def row(codes: Any, x: NDArray[np.float64], out: NDArray[Any]) -> None:
        out[:] = 0.0
        out[label(codes, x)] = 1.0

    return row


@cache
def triangle(distances: Callable[..., None]) -> Callable[..., None]:
    """``row(codes, x [D], out [F])`` from a function of distances."""

    @compiled
    def row(codes: Any, x: NDArray[np.float64], out: NDArray[Any]) -> None:
        distances(codes, x, out)
        mean = out.mean()
        for f in range(out.shape[0]):
            out[f] = max(0.0, mean - out[f])

    return row


@cache
def active_label(label: Callable[..., int]) -> Callable[..., None]:
    """``row(codes, x [D], number [T], value [T])`` from a function of a label."""

    @as_these(label)
    def row(codes: Any, x: NDArray[np.float64], number: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        number[0], value[0] = label(codes, x), 1.0

    return row


@cache
def active_vector(vector: Callable[..., None], intercept: int) -> Callable[..., None]:
    """``row(codes, x [D], number [T], value [T])`` from a function of F numbers; behind them the constant feature."""

    @as_these(vector)
    def row(codes: Any, x: NDArray[np.float64], number: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        vector(codes, x, value[: value.shape[0] - intercept])

    return row


@cache
def over_points(row: Callable[..., None]) -> Callable[..., None]:
    """``rows(codes, x [B, D], number [B, T], value [B, T])`` from a function of one row."""

    @compiled
    def rows(codes: Any, x: NDArray[np.float64], number: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        for i in range(x.shape[0]):
            row(codes, x[i], number[i], value[i])

    return rows
