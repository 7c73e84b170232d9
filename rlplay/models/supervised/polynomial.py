"""Polynomial features: products of the columns, with which a linear model fits curves.

All monomials x_1^{p_1} ... x_D^{p_D} with p_1 + ... + p_D at most the degree: for two columns and degree 2

    1, x_1, x_2, x_1², x_1 x_2, x_2²

Each is one of a degree less times a column, so that one multiplication makes it.

Source: Hastie, Tibshirani & Friedman 2009, chapter 5; Sutton & Barto 2e, section 9.5.1. The twin is
`sklearn.preprocessing.PolynomialFeatures`.

Shapes: X [N, D], features [N, F].
In reinforcement learning: the simplest features for linear values; they grow fast with the number of columns.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from itertools import combinations, combinations_with_replacement
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from rlplay.compiled.cache import compiled, in_place
from rlplay.models.common import Floats, new_points, require, training_points


@compiled
def _row(codes: Any, x: Floats, out: NDArray[np.float32]) -> None:
    powers = codes[0]
    for f in range(powers.shape[0]):
        product = 1.0
        for d in range(x.shape[0]):
            for _ in range(powers[f, d]):
                product *= x[d]
        out[f] = product


@in_place
def factors(powers: NDArray[np.int64], lower: NDArray[np.int64], column: NDArray[np.int64]) -> None:
    """The two factors of each monomial: a lower one, -1 for 1, and its last column, -1 for the constant; [F] each.

    Monomials come degree by degree in the order of their columns, so those that they are made from do too.

    Example:
        >>> lower, column = np.empty((2, 4), np.int64)
        >>> factors(np.array([[0, 0], [1, 0], [0, 1], [1, 1]]), lower, column)  # 1, x_1, x_2, x_1 x_2
        >>> lower.tolist(), column.tolist()
        ([-1, 0, 0, 1], [-1, 0, 1, 1])
    """
    candidate = 0
    for f in range(powers.shape[0]):
        lower[f], column[f], degree = -1, -1, 0
        for d in range(powers.shape[1]):
            degree += powers[f, d]
            if powers[f, d] > 0:
                column[f] = d
        while degree > 0 and candidate < f:
            same = True
            for d in range(powers.shape[1]):
                same = same and powers[candidate, d] == powers[f, d] - (d == column[f])
            if same:
                lower[f] = candidate
                break
            if degree == 1:  # there is no constant
                break
            candidate += 1


@in_place
def monomials(x: Floats, lower: NDArray[np.int64], column: NDArray[np.int64], out: Floats) -> None:
    """The monomials of points [N, D], into ``out`` [N, F], from their `factors`.

    Example:
        >>> out = np.empty((1, 4))
        >>> monomials(np.array([[2.0, 3.0]]), np.array([-1, 0, 0, 1]), np.array([-1, 0, 1, 1]), out)
        >>> out.tolist()
        [[1.0, 2.0, 3.0, 6.0]]
    """
    for i in range(x.shape[0]):
        for f in range(lower.shape[0]):
            value = x[i, column[f]] if column[f] >= 0 else 1.0
            out[i, f] = value * out[i, lower[f]] if lower[f] >= 0 else value


@dataclass(eq=False, repr=False)
class PolynomialFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """All monomials of the columns up to a degree.

    Args:
        degree: the greatest sum of powers, 0 or more.
        interaction_only: whether each column occurs at most once in a product.
        include_bias: whether the first feature is the constant 1.

    Attributes:
        powers_: power of each column in each feature, int64 [F, D].

    Example:
        >>> PolynomialFeatures(2).fit_transform([[2.0, 3.0]]).tolist()
        [[1.0, 2.0, 3.0, 4.0, 6.0, 9.0]]
    """

    degree: int = 2
    _: KW_ONLY
    interaction_only: bool = False
    include_bias: bool = True

    def fit(self, X: Any, y: Any = None) -> Self:
        """List the monomials of X's columns."""
        require(self, degree=(self.degree >= 0 and self.degree == int(self.degree), "a whole number of 0 or more"))
        width = training_points(self, X).shape[1]
        choose = combinations if self.interaction_only else combinations_with_replacement
        first = 0 if self.include_bias else 1
        if first > self.degree:
            raise ValueError("Setting degree to zero and include_bias to False would result in an empty output array.")
        parts = []
        for degree in range(first, int(self.degree) + 1):
            chosen = list(choose(range(width), degree))
            columns = np.array(chosen, np.int64).reshape(len(chosen), degree, 1)
            parts.append((columns == np.arange(width)).sum(axis=1))
        self.powers_: NDArray[np.int64] = np.concatenate(parts)
        return self

    def transform(self, X: Any) -> Floats:
        """The monomials of X, [N, F]."""
        x = new_points(self, X)
        lower, column = np.empty((2, len(self.powers_)), np.int64)
        factors(self.powers_, lower, column)
        out = np.empty((len(x), len(self.powers_)))
        monomials(x, lower, column, out)
        return out

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """The names of the monomials."""
        check_is_fitted(self)
        names = _check_feature_names_in(self, input_features)
        words = []
        for powers in self.powers_:
            parts = [f"{names[d]}^{p}" if p > 1 else str(names[d]) for d, p in enumerate(powers) if p]
            words.append(" ".join(parts) or "1")
        return np.array(words, dtype=object)

    def sample_function(self, method: str) -> Any:
        """The compiled function of one row for ``transform`` (`rlplay.approximation.estimators.SampleFunction`)."""
        return _row, (self.powers_,)
