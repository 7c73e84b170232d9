"""What the models share: checks of their input with scikit-learn's messages, linear predictions, class scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from rlplay.compiled.cache import compiled

Floats = NDArray[np.float64]
_CACHED = 2**16  # numbers of a block that stays in the processor's cache, 512 KiB


class Follower(NamedTuple):
    """A fitted model of sequences, a step at a time; it keeps nothing itself.

    Attributes:
        begin: the state before the first step of a sequence.
        step: the state after one more step x [D], and what the model says of the sequence so far, [F].

    Example:
        >>> from rlplay.models.unsupervised import HiddenMarkovModel
        >>> begin, step = HiddenMarkovModel.given([1, 0], [[0, 1], [1, 0]], [[0.5, 0.5], [0.5, 0.5]]).follower()
        >>> step(begin(), np.array([0.0]))[1].tolist()
        [1.0, 0.0]
    """

    begin: Callable[[], NDArray[Any]]
    step: Callable[[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]


def checked(model: Any, X: Any, *y: Any, **checks: Any) -> Any:
    """scikit-learn's check of X, and of y where it is given; float64 [N, D].

    Raises:
        TypeError: a sparse matrix, which no model of ours takes.
        ValueError: NaN or infinity where the model takes none, another shape, or no numbers.

    Example:
        >>> from rlplay.models.unsupervised import PCA
        >>> checked(PCA(), [[1, 2], [3, 4]]).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    if issparse(X):
        raise TypeError(f"{type(model).__name__} takes no sparse matrix: give it X.toarray(), which is dense.")
    return validate_data(model, X, *y, dtype=np.float64, order="C", **checks)


def training_points(model: Any, X: Any, **checks: Any) -> Floats:
    """The points that a model is fitted on, float64 [N, D]; stores D.

    Raises:
        ValueError: NaN, infinity, no rows, another shape, or no numbers.

    Example:
        >>> from rlplay.models.unsupervised import PCA
        >>> model = PCA()
        >>> training_points(model, [[1, 2], [3, 4]]).dtype, model.n_features_in_
        (dtype('float64'), 2)
    """
    return checked(model, X, **checks)


def new_points(model: Any, X: Any, **checks: Any) -> Floats:
    """The points that a fitted model predicts for, float64 [N, D].

    Raises:
        NotFittedError: the model has not been fitted.
        ValueError: NaN, infinity, or another number of columns than it was fitted on.

    Example:
        >>> from rlplay.models.unsupervised import PCA
        >>> model = PCA().fit([[1, 2], [3, 4]])
        >>> new_points(model, [[5, 6]]).tolist()
        [[5.0, 6.0]]
    """
    check_is_fitted(model)
    return checked(model, X, reset=False, **checks)


def points_and_numbers(model: Any, X: Any, y: Any, *, several: bool = False, **checks: Any) -> tuple[Floats, Floats]:
    """Points [N, D] and targets, float64 [N], or [N, K] where the model takes several outputs.

    Example:
        >>> from rlplay.models.supervised import Ridge
        >>> x, y = points_and_numbers(Ridge(), [[1], [2]], [3, 4])
        >>> y.tolist()
        [3.0, 4.0]
    """
    x, target = checked(model, X, y, y_numeric=True, multi_output=several, **checks)
    return x, np.ascontiguousarray(target, np.float64)


def points_and_classes(
    model: Any, X: Any, y: Any, *, fewest: int = 2, **checks: Any
) -> tuple[Floats, NDArray[np.int64]]:
    """Points [N, D] and the number of each one's class, int64 [N]; the model's ``classes_`` are set.

    Raises:
        ValueError: numbers that are no classes, or fewer classes than ``fewest``.

    Example:
        >>> from rlplay.models.supervised import GaussianNB
        >>> model = GaussianNB()
        >>> x, codes = points_and_classes(model, [[1], [2], [3]], ["b", "a", "b"])
        >>> codes.tolist(), model.classes_.tolist()
        ([1, 0, 1], ['a', 'b'])
    """
    x, target = checked(model, X, y, **checks)
    check_classification_targets(target)
    model.classes_, codes = np.unique(target, return_inverse=True)
    if len(model.classes_) < fewest:
        raise ValueError(
            f"{type(model).__name__} needs samples of at least 2 classes, but the data contains one class only: "
            f"{model.classes_[0]!r}."
        )
    return x, codes.astype(np.int64)


def known_codes(model: Any, X: Any, y: Any, classes: Any) -> tuple[Floats, NDArray[np.int64]]:
    """Points [N, D] and class numbers, int64 [N], for ``partial_fit``, whose first call names the classes.

    Raises:
        ValueError: the first call has no classes, or y has a class that is not among them.

    Example:
        >>> from rlplay.models.supervised import GaussianNB
        >>> known_codes(GaussianNB(), [[0.0], [1.0]], ["b", "a"], ["a", "b"])[1].tolist()
        [1, 0]
    """
    first = not hasattr(model, "classes_")
    if first:
        if classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        model.classes_ = np.unique(classes)
    elif classes is not None and not np.array_equal(model.classes_, np.unique(classes)):
        raise ValueError(
            f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {model.classes_!r}"
        )
    x = training_points(model, X, reset=first)
    target = np.asarray(y)
    if target.shape != (len(x),):
        raise ValueError(f"Found input variables with inconsistent numbers of samples: {[len(x), *target.shape]}")
    unknown = ~np.isin(target, model.classes_)
    if unknown.any():
        raise ValueError(f"The target label {target[unknown][0]!r} is not in the classes {model.classes_!r}.")
    return x, np.searchsorted(model.classes_, target).astype(np.int64)


def not_overflowed(model: Any, found: Any) -> Any:
    """What a model found, where its numbers are finite.

    Raises:
        ValueError: squares of the points or targets are beyond float64.

    Example:
        >>> from rlplay.models.supervised import Ridge
        >>> not_overflowed(Ridge(), np.ones(2)).tolist()
        [1.0, 1.0]
        >>> not_overflowed(Ridge(), np.array([np.nan]))
        Traceback (most recent call last):
            ...
        ValueError: Ridge: X or y is so large that squares of it are beyond float64. Scale columns and targets first
    """
    if not np.isfinite(found).all():
        raise ValueError(
            f"{type(model).__name__}: X or y is so large that squares of it are beyond float64. "
            "Scale columns and targets first"
        )
    return found


def flat_targets(target: Floats) -> Floats:
    """Targets [N, 1] as [N], with scikit-learn's warning; others as they are.

    Example:
        >>> flat_targets(np.ones((3, 2))).shape
        (3, 2)
    """
    return column_or_1d(target, warn=True) if target.ndim == 2 and target.shape[1] == 1 else target


def point_weights(
    model: Any, x: Floats, sample_weight: Any, codes: NDArray[np.int64] | None = None, *, by_weight: bool = False
) -> Floats | None:
    """How much each point counts, float64 [N]: ``sample_weight`` times its ``class_weight``; None for all alike.

    Args:
        model: has ``class_weight`` where ``codes`` are given: a weight by class, ``"balanced"``, or None.
        x: the points [N, D].
        sample_weight: a number of 0 or more for each point, or None.
        codes: the number of each point's class, int64 [N].
        by_weight: whether ``"balanced"`` counts the points of a class by their weights, as some of the twins do.

    Raises:
        ValueError: another number of weights than points, NaN, or a weight below 0.

    Example:
        >>> from rlplay.models.supervised import LogisticRegression
        >>> model, x, codes = LogisticRegression(class_weight="balanced"), np.zeros((3, 1)), np.array([0, 0, 1])
        >>> model.classes_ = np.array(["a", "b"])
        >>> point_weights(model, x, None, codes).tolist(), point_weights(model, x, None) is None
        ([0.75, 0.75, 1.5], True)
    """
    weights = None
    if sample_weight is not None:
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64, ensure_non_negative=True)
        if not weights.any():
            raise ValueError("sample_weight is 0 for all points: at least one has to count.")
    if codes is not None and model.class_weight is not None:
        if model.class_weight == "balanced" and weights is not None and by_weight:
            totals = np.bincount(codes, weights)
            by_class = (totals.sum() / (len(totals) * np.maximum(totals, 1e-300)))[codes]
        else:
            by_class = compute_sample_weight(model.class_weight, model.classes_[codes])
        weights = by_class if weights is None else weights * by_class
    return weights


def require(model: Any, **rules: tuple[Any, str]) -> None:
    """Refuse parameters outside their range: ``alpha=(alpha >= 0, "0 or more")``.

    Raises:
        ValueError: the parameter, its value and its range.

    Example:
        >>> from rlplay.models.supervised import Ridge
        >>> try:
        ...     require(Ridge(-1), alpha=(False, "0 or more"))
        ... except ValueError as error:
        ...     print(error)
        The 'alpha' parameter of Ridge must be 0 or more. Got -1 instead.
    """
    for name, (holds, words) in rules.items():
        try:
            good = bool(holds)
        except (TypeError, ValueError):
            good = False
        if not good:
            value = getattr(model, name)
            raise ValueError(
                f"The {name!r} parameter of {type(model).__name__} must be {words}. Got {value!r} instead."
            )


@compiled
def linear_row(codes: Any, x: Floats) -> float:
    """The value w · x + b of one point: the sample function of every linear regressor.

    Example:
        >>> linear_row((np.array([2.0, 3.0]), np.array([1.0])), np.array([10.0, 100.0]))
        321.0
    """
    weights, intercept = codes
    total = intercept[0]
    for d in range(x.shape[0]):
        total += weights[d] * x[d]
    return total


def linear_codes(model: Any) -> tuple[Any, tuple[Floats, Floats]] | None:
    """The sample function of a fitted linear regressor with one output.

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> function, (weights, intercept) = linear_codes(LinearRegression().fit([[0], [1]], [1, 3]))
        >>> weights.round(6).tolist(), intercept.round(6).tolist()
        ([2.0], [1.0])
    """
    weights = np.ascontiguousarray(np.ravel(model.coef_), np.float64)
    if np.ndim(model.coef_) != 1:
        return None
    return linear_row, (weights, np.atleast_1d(np.asarray(model.intercept_, np.float64)))


class LinearAnswers:
    """The predictions of a fitted linear regressor, with ``coef_`` and ``intercept_``; a mixin.

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> model = LinearRegression().fit([[0], [1]], [1, 3])
        >>> isinstance(model, LinearAnswers), model.predict([[2]]).round(6).tolist()
        (True, [5.0])
    """

    coef_: Floats
    intercept_: Any

    def predict(self, X: Any) -> Floats:
        """X w + b, [N], or [N, K] for several targets."""
        return new_points(self, X) @ self.coef_.T + self.intercept_

    def sample_function(self, method: str) -> Any:
        """The compiled function of one sample for ``predict`` (a `SampleFunction`)."""
        return linear_codes(self)


class ScoreAnswers:
    """Classification by `decision_function`; a mixin.

    Example:
        >>> from rlplay.models.supervised import LogisticRegression
        >>> model = LogisticRegression().fit([[-1.0], [1.0]], ["no", "yes"])
        >>> model.decision_function([[0.3]]).round(1).tolist(), model.predict([[0.3]]).tolist()
        ([0.2], ['yes'])
    """

    classes_: NDArray[Any]

    def decision_function(self, X: Any) -> Floats:
        """A score above 0 for the second of two classes, float64 [N], else a score a class, float64 [N, K]."""
        raise NotImplementedError

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each point, [N]: by the sign of the score for two classes, else by the highest score."""
        scores = self.decision_function(X)
        return self.classes_[(scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(axis=1)]


class LinearScores(ScoreAnswers):
    """The scores of a fitted linear classifier, with ``coef_`` and ``intercept_``; a mixin.

    Example:
        >>> from rlplay.models.supervised import Perceptron
        >>> model = Perceptron().fit([[-1.0], [1.0]], ["no", "yes"])
        >>> isinstance(model, LinearScores), model.decision_function([[-3.0], [3.0]]).shape
        (True, (2,))
    """

    coef_: Floats
    intercept_: Floats

    def decision_function(self, X: Any) -> Floats:
        """X w + b: float64 [N] for two classes, else [N, K]."""
        scores = new_points(self, X) @ self.coef_.T + self.intercept_
        return scores[:, 0] if scores.shape[1] == 1 else scores


def logistic(scores: Floats) -> Floats:
    """1 / (1 + e^{-s}) of each score, without overflow.

    Example:
        >>> logistic(np.array([-1000.0, 0.0])).tolist()
        [0.0, 0.5]
    """
    return 0.5 * (1.0 + np.tanh(0.5 * scores))


def class_probabilities(scores: Floats) -> Floats:
    """The probabilities [N, K] behind log-odds [N], for two classes, or scores [N, K].

    Example:
        >>> class_probabilities(np.array([0.0, 2.0])).round(2).tolist()
        [[0.5, 0.5], [0.12, 0.88]]
        >>> class_probabilities(np.zeros((1, 4))).tolist()
        [[0.25, 0.25, 0.25, 0.25]]
    """
    if scores.ndim == 1:
        one = logistic(scores)
        return np.column_stack([1.0 - one, one])
    return softmax(scores)


class LogProbabilities:
    """The logarithms of `predict_proba`; a mixin.

    Example:
        >>> from rlplay.models.supervised import GaussianNB
        >>> model = GaussianNB().fit([[0.0], [1.0]], ["a", "b"])
        >>> bool(np.allclose(np.exp(model.predict_log_proba([[0.2]])), model.predict_proba([[0.2]])))
        True
    """

    def predict_log_proba(self: Any, X: Any) -> Floats:
        """The logarithm of the probability of each class, [N, K]; minus infinity for 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))


def softmax(scores: Floats) -> Floats:
    """e^{s_k} / Σ_j e^{s_j} in each row, [N, K]; the largest is subtracted first, so that nothing overflows.

    Example:
        >>> softmax(np.array([[0.0, 0.0], [1000.0, 0.0]])).tolist()
        [[0.5, 0.5], [1.0, 0.0]]
    """
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def centred_product(x: Floats, mean: Floats, directions: Floats) -> Floats:
    """(X - x̄) Vᵀ, [N, K], a block of points at a time: what is centred stays in the processor's cache.

    Example:
        >>> centred_product(np.array([[1.0, 5.0]]), np.array([1.0, 2.0]), np.array([[0.0, 2.0]])).tolist()
        [[6.0]]
    """
    rows = max(_CACHED // x.shape[1], 1)
    out, apart = np.empty((len(x), len(directions))), np.empty((min(rows, len(x)), x.shape[1]))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        np.matmul(np.subtract(block, mean, out=apart[: len(block)]), directions.T, out=out[start : start + rows])
    return out


def scatter(x: Floats, mean: Floats) -> Floats:
    """(X - x̄)ᵀ (X - x̄), [D, D], a block of points at a time, as `centred_product`.

    Example:
        >>> scatter(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([2.0, 5.0])).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    rows, out = max(_CACHED // x.shape[1], 1), np.zeros((x.shape[1], x.shape[1]))
    apart = np.empty((min(rows, len(x)), x.shape[1]))
    for start in range(0, len(x), rows):
        block = x[start : start + rows]
        np.subtract(block, mean, out=apart[: len(block)])
        out += apart[: len(block)].T @ apart[: len(block)]
    return out


def squared_distances(x: Floats, centres: Floats) -> Floats:
    """‖x_i - c_k‖² = ‖x_i‖² - 2 x_i · c_k + ‖c_k‖², one matrix product; [N, K]. Rounding errors below 0 are clipped.

    Far from 0 the three terms are large and their sum is lost in rounding: both are first moved to where the centres
    lie around 0.

    Example:
        >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [1.0, 0.0]])).tolist()
        [[25.0, 1.0]]
    """
    middle = centres.mean(axis=0)
    x, centres = x - middle, centres - middle
    products = (x * x).sum(axis=1)[:, None] - 2.0 * (x @ centres.T) + (centres * centres).sum(axis=1)
    return np.maximum(products, 0.0, out=products)
