"""The sequences that the recurrent models take, of equal or unequal length.

    a 3-D array [N, T, D]          N sequences of T steps of D numbers
    a list of arrays [T_n, D]      sequences of unequal length; 1-D arrays are sequences of single numbers
    a 2-D array [N, T * D]         one flattened sequence a row, as scikit-learn has it; ``step_size`` is D

Internally they are time-major and padded with zeros. The padding has no effect on losses and outputs.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, check_is_fitted

from rlplay.models.common import Floats, require, training_points
from rlplay.models.deep.training import DeepModel, TrainingParameters, sizes_of
from rlplay.networks.layers import GRU, LSTM, Layer

CELLS = {"lstm": LSTM, "gru": GRU}


class Sequences(NamedTuple):
    """N sequences of at most T steps of D numbers.

    Attributes:
        values: float32 [N, T, D], zeros after a sequence's own length.
        lengths: int64 [N].
        form: how they were given: ``"flat"``, ``"array"`` or ``"list"``.

    Example:
        >>> one = Sequences(np.zeros((2, 3, 1), np.float32), np.array([3, 2]), "list")
        >>> [len(x) for x in one.like(one.values)]
        [3, 2]
    """

    values: NDArray[np.float32]
    lengths: NDArray[np.int64]
    form: str

    def part(self, chosen: Any) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
        """Sequences by number, as short as possible: time-major [T, n, D], lengths [n], 1 for each real step [T, n]."""
        lengths = self.lengths[chosen]
        values = np.ascontiguousarray(self.values[chosen, : lengths.max()].transpose(1, 0, 2))
        return values, lengths, (np.arange(len(values))[:, None] < lengths).astype(np.float32)

    def like(self, values: Floats) -> Any:
        """Outputs [N, T, K] in the form in which the sequences were given."""
        if self.form == "list":
            return [value[:length] for value, length in zip(values, self.lengths, strict=True)]
        return values if self.form == "array" else values.reshape(len(values), -1)


@dataclass(eq=False, repr=False, kw_only=True)
class SequenceParameters(TrainingParameters):
    """The keyword arguments that every model of sequences takes beside those of `TrainingParameters`.

    Args:
        step_size: numbers of a step, where X holds one flattened sequence a row.

    Example:
        >>> SequenceParameters().step_size, SequenceParameters().max_grad_norm
        (1, 1.0)
    """

    step_size: int = 1
    learning_rate_init: float = 3e-3
    max_iter: int = 100
    tol: float = 1e-6
    max_grad_norm: float = 1.0
    predict_batch_size: int = 256


class SequenceModel(SequenceParameters, DeepModel):
    """Recurrent networks over sequences; a mixin.

    Attributes:
        step_size_: numbers of a step, D.

    Example:
        >>> from rlplay.models.deep import SequenceForecaster
        >>> model = SequenceForecaster(2, max_iter=1, random_state=0).fit(np.zeros((3, 4, 2)))
        >>> isinstance(model, SequenceModel), model.step_size_
        (True, 2)
    """

    hidden_size: Any
    cell: str

    def _check(self) -> None:
        super()._check()
        require(
            self, cell=(self.cell in CELLS, "'lstm' or 'gru'"),
            hidden_size=(min(sizes_of(self.hidden_size), default=0) >= 1, "whole numbers of 1 or more"),
        )  # fmt: skip

    def _recurrent(self, n_in: int) -> list[Layer]:
        """The recurrent layers, one after the other."""
        sizes = [n_in, *sizes_of(self.hidden_size)]
        return [CELLS[self.cell](before, after) for before, after in itertools.pairwise(sizes)]

    def _training_data(self, X: Any, first: bool) -> Sequences:
        """The sequences of `fit` or `partial_fit`."""
        return self._read(X, first)

    def _read(self, X: Any, first: bool) -> Sequences:
        """The sequences of a fit (``first``), or new ones.

        Raises:
            ValueError: NaN, no sequences, a single series, steps of another size than it was fitted on.
        """
        if not first:
            check_is_fitted(self, "weights_")
        parts = parts_of(X)
        if parts is None:
            if (np.ndim(X) if isinstance(X, list | tuple) else getattr(X, "ndim", 0)) == 1 and len(X):
                raise ValueError(
                    f"Expected 2D array, got one series of {len(X)} numbers instead. Reshape your data: "
                    "X[None, :, None] is one sequence, and numpy's sliding_window_view(X, 20) are many, of 20 steps."
                )
            flat = training_points(self, X, reset=first)
            size = int(self.step_size)
            if size < 1 or flat.shape[1] % size:
                raise ValueError(
                    f"step_size={self.step_size!r} does not divide the {flat.shape[1]} numbers of a row of X"
                )
            values = flat.astype(np.float32).reshape(len(flat), -1, size)
            found = Sequences(values, np.full(len(flat), values.shape[1]), "flat")
        else:
            found = padded(parts, "array" if getattr(X, "ndim", 0) == 3 else "list")
            if first:
                self.n_features_in_ = found.values.shape[2]
        size = found.values.shape[2]
        if first:
            self.step_size_ = size
        elif size != self.step_size_:
            raise ValueError(
                f"X has steps of {size} numbers, but {type(self).__name__} was fitted on steps of {self.step_size_}"
            )
        return found


def parts_of(X: Any) -> list[Any] | None:
    """The sequences of a 3-D array or a list of arrays; None for flattened ones.

    Raises:
        ValueError: a list that mixes sequences of numbers with sequences of steps.

    Example:
        >>> [len(one) for one in parts_of([[1.0, 2.0], [1.0]])], parts_of(np.zeros((3, 4)))
        ([2, 1], None)
    """
    if getattr(X, "ndim", None) == 3:
        return list(X)
    if not isinstance(X, list | tuple) or not len(X):
        return None
    try:
        shapes = [np.shape(one) for one in X]
    except ValueError as error:
        raise ValueError("each sequence needs steps of one size: an array [T, D], or [T] for single numbers") from error
    if len({len(shape) for shape in shapes}) > 1:
        raise ValueError(f"sequences are arrays [T, D], or all [T], and there are shapes {sorted(set(shapes))[:3]}")
    if all(len(shape) == 2 for shape in shapes):
        return list(X)
    if all(len(shape) == 1 for shape in shapes) and len(set(shapes)) > 1:
        return [np.asarray(one)[:, None] for one in X]
    return None


def padded(parts: list[Any], form: str) -> Sequences:
    """Sequences of unequal length in one array, with zeros after their ends.

    Raises:
        ValueError: no sequences, NaN, or steps of different sizes.

    Example:
        >>> padded([np.ones((2, 1)), np.ones((1, 1))], "list").values[:, :, 0].tolist()
        [[1.0, 1.0], [1.0, 0.0]]
    """
    if not parts:
        raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
    checked = [check_array(one, dtype=np.float32, input_name=f"sequence {i}") for i, one in enumerate(parts)]
    sizes = {one.shape[1] for one in checked}
    if len(sizes) > 1:
        raise ValueError(f"all sequences need steps of one size, and there are steps of {sorted(sizes)} numbers")
    lengths = np.array([len(one) for one in checked])
    values = np.zeros((len(checked), lengths.max(), sizes.pop()), np.float32)
    for row, one in zip(values, checked, strict=True):
        row[: len(one)] = one
    return Sequences(values, lengths, form)


def r_squared(predictions: NDArray[Any], truth: NDArray[Any]) -> float:
    """R² over all numbers: 1 for perfect, 0 for the mean of each column, and for constant numbers that are missed.

    Example:
        >>> x = np.array([1.0, 2.0, 3.0])
        >>> r_squared(x, x), r_squared(x, np.ones(3)), r_squared(np.ones(3), np.ones(3))
        (1.0, 0.0, 1.0)
    """
    error, spread = ((predictions - truth) ** 2).sum(), ((truth - truth.mean(axis=0)) ** 2).sum()
    return float(1.0 - error / spread) if spread > 0 else float(error == 0)
