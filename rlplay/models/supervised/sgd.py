"""Stochastic gradient descent: linear models that learn from one point at a time.

Each point moves the weights one step against the gradient of its loss, and the penalty shrinks them:

    w ← (1 - η_t α) w - η_t ∂L(y, w · x + b)/∂s x,        b ← b - η_t ∂L/∂s

with s = w · x + b. Losses: squared error (y - s)²/2; Huber's, whose slope is cut at ε; errors beyond ε only, max(0,
|y - s| - ε), or their squares; hinge max(0, 1 - y s), the support vector machine's, or its square; Huber's for classes,
a squared hinge that is linear below -1; logistic ln(1 + e^{-y s}); perceptron max(0, -y s), whose steps of constant
length are Rosenblatt's rule. Classes are -1 and 1; several classes are each learned against the rest. A point's weight
is a factor of its step.

Source: Robbins & Monro 1951; Rosenblatt 1958; Bottou 2012. The twins are `sklearn.linear_model.SGDRegressor`,
`sklearn.linear_model.SGDClassifier` and `sklearn.linear_model.Perceptron`; points in the same order
(``shuffle=False``) give the same weights. Shuffled, the two see other orders, and differ as the twin does between two
seeds: little where the loss has a clear minimum, by more than half where many weights separate the classes.

Shapes: X [N, D], w [D] (a row a class where there are several).
In reinforcement learning: semi-gradient values and policies (Sutton & Barto 2e, chapters 9 and 13), learned online.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, compute_class_weight
from sklearn.utils.metaestimators import available_if

from rlplay.compiled.cache import in_place
from rlplay.models.common import (
    Floats,
    LinearAnswers,
    LinearScores,
    known_codes,
    point_weights,
    points_and_classes,
    points_and_numbers,
    require,
)

REGRESSION = {"squared_error": 0, "huber": 1, "epsilon_insensitive": 5, "squared_epsilon_insensitive": 6}
CLASSIFICATION = {"hinge": 2, "log_loss": 3, "perceptron": 4, "squared_hinge": 7, "modified_huber": 8, **REGRESSION}
RATES = {"constant": 0, "invscaling": 1, "optimal": 2, "adaptive": 3}


@in_place
def loss_and_slope(kind: int, s: float, y: float, epsilon: float) -> tuple[float, float]:
    """L(y, s) and ∂L/∂s.

    Example:
        >>> loss_and_slope(REGRESSION["squared_error"], 3.0, 1.0, 0.1)
        (2.0, 2.0)
        >>> loss_and_slope(CLASSIFICATION["hinge"], 0.5, 1.0, 0.1)
        (0.5, -1.0)
    """
    if kind == 0:  # squared error
        return 0.5 * (s - y) ** 2, s - y
    if kind == 1:  # Huber's
        gap = s - y
        if abs(gap) <= epsilon:
            return 0.5 * gap * gap, gap
        return epsilon * abs(gap) - 0.5 * epsilon * epsilon, epsilon * np.sign(gap)
    z = y * s
    if kind == 2:  # hinge
        return (1.0 - z, -y) if z <= 1.0 else (0.0, 0.0)
    if kind == 3:  # logistic
        if z > 18.0:
            return math.exp(-z), math.exp(-z) * -y
        if z < -18.0:
            return -z, -y
        return math.log(1.0 + math.exp(-z)), -y / (math.exp(z) + 1.0)
    if kind == 4:  # perceptron
        return (-z, -y) if z <= 0.0 else (0.0, 0.0)
    if kind in (5, 6):  # beyond epsilon
        gap = s - y
        over = max(abs(gap) - epsilon, 0.0)
        if kind == 5:
            return over, np.sign(gap) if over > 0.0 else 0.0
        return over * over, 2.0 * over * np.sign(gap)
    if kind == 7:  # squared hinge
        over = max(1.0 - z, 0.0)
        return over * over, -2.0 * over * y
    if z >= -1.0:  # Huber's for classes
        over = max(1.0 - z, 0.0)
        return over * over, -2.0 * over * y
    return -4.0 * z, -4.0 * y


@in_place
def one_epoch(
    x: Floats,
    y: Floats,
    weights: Floats,
    order: NDArray[np.int64],
    w: Floats,
    b: Floats,
    t: float,
    kind: int,
    epsilon: float,
    alpha: float,
    rate: int,
    eta0: float,
    power_t: float,
    optimal_start: float,
    fit_intercept: bool,
) -> tuple[float, float]:
    """One pass over the points in an order; changes w [D] and b [1]; returns Σ (L + α ‖w‖²/2) and the step count.

    ``weights`` [N] are factors of the points' steps; empty for 1.

    Example:
        >>> w, b = np.zeros(1), np.zeros(1)
        >>> x, y, order = np.array([[1.0]]), np.array([2.0]), np.array([0])
        >>> one_epoch(x, y, np.ones(1), order, w, b, 1.0, 0, 0.1, 0.0, RATES["constant"], 0.5, 0.5, 0.0, True)
        (2.0, 2.0)
        >>> w.tolist(), b.tolist()
        ([1.0], [1.0])
    """
    total = 0.0
    for i in order:
        s, length = b[0], 0.0
        for d in range(w.shape[0]):
            s += w[d] * x[i, d]
            length += w[d] * w[d]
        if rate == 1:
            eta = eta0 / t**power_t
        elif rate == 2:
            eta = 1.0 / (alpha * (optimal_start + t - 1.0))
        else:
            eta = eta0
        loss, slope = loss_and_slope(kind, s, y[i], epsilon)
        total += loss + 0.5 * alpha * length
        slope = min(max(slope, -1e12), 1e12)
        shrink, step = max(0.0, 1.0 - eta * alpha), -eta * slope
        if weights.shape[0] > 0:
            step *= weights[i]
        for d in range(w.shape[0]):
            w[d] = shrink * w[d] + step * x[i, d]
        if fit_intercept:
            b[0] += step
        t += 1.0
    return total, t


def descend(
    model: Any, x: Floats, y: Floats, weights: Floats, w: Floats, b: Floats, rng: Any, epochs: int, kind: int
) -> tuple[int, float]:
    """Run passes until the objective no longer falls, at most ``epochs``; changes w and b; returns passes and t.

    With the rate ``"adaptive"`` the step size is then divided by 5, until it is 1e-6.

    Example:
        >>> x, w, b, model = np.array([[-1.0], [1.0]]), np.zeros(1), np.zeros(1), SGDRegressor(eta0=0.5, tol=None)
        >>> model.t_ = 1.0
        >>> passes, t = descend(model, x, 2 * x[:, 0], np.ones(2), w, b, np.random.RandomState(0), 200, 0)
        >>> passes, t, w.round(2).tolist()
        (200, 401.0, [2.0])
    """
    optimal_start = 0.0
    if model.learning_rate == "optimal":
        typical = math.sqrt(1.0 / math.sqrt(model.alpha))
        optimal_start = 1.0 / (typical * model.alpha)
    best, waiting, t, eta = math.inf, 0, model.t_, float(model.eta0)
    order = np.arange(len(x))
    epoch = 0
    for epoch in range(1, epochs + 1):
        if model.shuffle:
            rng.shuffle(order)
        total, t = one_epoch(
            x, y, weights, order, w, b, t, kind, float(model.epsilon), float(model.alpha), RATES[model.learning_rate],
            eta, float(model.power_t), optimal_start, bool(model.fit_intercept),
        )  # fmt: skip
        if not np.isfinite(w).all() or not np.isfinite(b).all():
            raise ValueError(
                f"Floating-point under-/overflow occurred at epoch #{epoch}. Scaling input data with StandardScaler or "
                "MinMaxScaler, or a smaller eta0, might help."
            )
        waiting = waiting + 1 if model.tol is not None and total > best - model.tol * len(x) else 0
        best = min(best, total)
        if waiting >= model.n_iter_no_change and epochs > 1:
            if model.learning_rate != "adaptive" or eta <= 1e-6:
                break
            eta, waiting = eta / 5.0, 0
    return epoch, t


def check_settings(model: Any, losses: dict[str, int]) -> int:
    """Refuse parameters outside their range; returns the loss's number.

    Example:
        >>> check_settings(SGDRegressor("huber"), REGRESSION)
        1
    """
    require(
        model,
        alpha=(model.alpha >= 0 and (model.alpha > 0 or model.learning_rate != "optimal"), "0 or more"),
        max_iter=(model.max_iter >= 1, "1 or more"),
        learning_rate=(model.learning_rate in RATES, f"one of {', '.join(RATES)}"),
        eta0=(model.eta0 > 0 or model.learning_rate == "optimal", "above 0"),
        epsilon=(model.epsilon >= 0, "0 or more"),
        n_iter_no_change=(model.n_iter_no_change >= 1, "1 or more"),
    )
    loss = getattr(model, "loss", "perceptron")
    if loss not in losses:
        raise ValueError(f"The 'loss' parameter of {type(model).__name__} must be one of {', '.join(losses)}. "
                         f"Got {loss!r} instead.")  # fmt: skip
    return losses[loss]


@dataclass(eq=False, repr=False, kw_only=True)
class DescentParameters:
    """The keyword arguments that all three models take.

    Args:
        fit_intercept: whether there is an intercept b.
        max_iter: most passes over the points.
        tol: passes end when the mean loss falls by less; None for never.
        shuffle: whether each pass has a new order.
        eta0: the first step size.
        n_iter_no_change: passes without a better loss after which it stops.
        random_state: a seed, a RandomState, or None.

    Example:
        >>> DescentParameters().eta0, Perceptron().eta0
        (0.01, 1.0)
    """

    fit_intercept: bool = True
    max_iter: int = 1000
    tol: float | None = 1e-3
    shuffle: bool = True
    eta0: float = 0.01
    n_iter_no_change: int = 5
    random_state: Any = None


@dataclass(eq=False, repr=False)
class SGDRegressor(DescentParameters, LinearAnswers, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression by stochastic gradient descent.

    Args:
        loss: ``"squared_error"``, ``"huber"``, ``"epsilon_insensitive"`` or ``"squared_epsilon_insensitive"``.
        alpha: strength of the penalty α ‖w‖²/2.
        epsilon: the error beyond which Huber's loss is linear, and up to which the insensitive ones are 0.
        learning_rate: η_t: ``"constant"`` eta0, ``"invscaling"`` eta0 / t^power_t, ``"optimal"`` 1 / α(t₀ + t) with t₀
            after Bottou, or ``"adaptive"``, eta0 divided by 5 whenever the loss no longer falls.
        power_t: how fast the step size falls.

    The other arguments are those of `DescentParameters`.

    Attributes:
        coef_: weights, float64 [D].
        intercept_: float64 [1].
        n_iter_: passes made.
        t_: steps taken, plus 1.

    Example:
        >>> x = np.linspace(-1, 1, 50)[:, None]
        >>> model = SGDRegressor(tol=1e-6, random_state=0).fit(x, 2 * x[:, 0] + 1)
        >>> model.coef_.round(1).tolist(), model.intercept_.round(1).tolist()
        ([2.0], [1.0])
    """

    loss: str = "squared_error"
    _: KW_ONLY
    alpha: float = 1e-4
    epsilon: float = 0.1
    learning_rate: str = "invscaling"
    power_t: float = 0.25

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and y [N], from zero weights; ``sample_weight`` [N] are factors of the steps."""
        x, target = points_and_numbers(self, X, y)
        self._begin(x.shape[1])
        return self._learn(x, target, sample_weight, int(self.max_iter))

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """One more pass over these points, from the weights so far."""
        first = not hasattr(self, "coef_")
        x, target = points_and_numbers(self, X, y, reset=first)
        if first:
            self._begin(x.shape[1])
        return self._learn(x, target, sample_weight, 1)

    def _begin(self, width: int) -> None:
        self.coef_, self.intercept_, self.t_ = np.zeros(width), np.zeros(1), 1.0

    def _learn(self, x: Floats, y: Floats, sample_weight: Any, epochs: int) -> Self:
        kind, rng = check_settings(self, REGRESSION), check_random_state(self.random_state)
        weights = point_weights(self, x, sample_weight)
        weights = np.zeros(0) if weights is None else weights
        self.n_iter_, self.t_ = descend(self, x, y, weights, self.coef_, self.intercept_, rng, epochs, kind)
        return self


def learn_classes(
    model: Any, x: Floats, codes: NDArray[np.int64], sample_weight: Any, epochs: int, losses: dict[str, int]
) -> None:
    """Learn each class against the rest; two classes need one row of weights.

    Of several classes each counts by its ``class_weight`` where it is learned, and the rest by 1, as with the twin.

    Example:
        >>> model = Perceptron()
        >>> model.classes_ = np.array(["left", "right"])
        >>> begin_classes(model, 1)
        >>> learn_classes(model, np.array([[-1.0], [1.0]]), np.array([0, 1]), None, 10, CLASSIFICATION)
        >>> bool(model.coef_[0, 0] > 0)
        True
    """
    kind, rng = check_settings(model, losses), check_random_state(model.random_state)
    rows = range(len(model.coef_))
    seeds = [rng.randint(2**31 - 1) for _ in rows]  # the rows see the points in orders of their own
    weights = point_weights(model, x, sample_weight)
    by_class = compute_class_weight(model.class_weight, classes=model.classes_, y=model.classes_[codes])
    model.n_iter_, t = 0, model.t_
    for row, seed in zip(rows, seeds, strict=True):
        positive = 1 if len(rows) == 1 else row
        target = np.where(codes == positive, 1.0, -1.0)
        share = np.zeros(0)
        if weights is not None or model.class_weight is not None:
            share = np.where(codes == positive, by_class[positive], by_class[0] if len(rows) == 1 else 1.0)
            share = share if weights is None else share * weights
        coef, intercept = model.coef_[row], model.intercept_[row : row + 1]
        passes, t = descend(model, x, target, share, coef, intercept, np.random.RandomState(seed), epochs, kind)
        model.n_iter_ = max(model.n_iter_, passes)
    model.t_ = t


def begin_classes(model: Any, width: int) -> None:
    """Zero weights for the model's classes.

    Example:
        >>> model = Perceptron()
        >>> model.classes_ = np.array(["a", "b", "c"])
        >>> begin_classes(model, 2)
        >>> model.coef_.shape, model.intercept_.shape
        ((3, 2), (3,))
    """
    rows = 1 if len(model.classes_) == 2 else len(model.classes_)
    model.coef_, model.intercept_, model.t_ = np.zeros((rows, width)), np.zeros(rows), 1.0


class OneAgainstRest(LinearScores):
    """Linear classes, each learned against the rest by stochastic gradient descent; a mixin.

    Example:
        >>> model = SGDClassifier(random_state=0).fit([[-4.0], [0.0], [4.0]], ["a", "b", "c"])
        >>> isinstance(model, OneAgainstRest), model.coef_.shape, model.decision_function([[0.0]]).shape
        (True, (3, 1), (1, 3))
    """

    max_iter: int
    class_weight: Any

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from X [N, D] and the classes y [N], from zero weights; ``sample_weight`` [N] are factors of steps."""
        x, codes = points_and_classes(self, X, y)
        begin_classes(self, x.shape[1])
        learn_classes(self, x, codes, sample_weight, int(self.max_iter), CLASSIFICATION)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """One more pass over these points; the first call names all classes."""
        x, codes = known_codes(self, X, y, classes)
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all points at once, which partial_fit does not see. Give the weight of "
                "each class: class_weight={class: weight}."
            )
        if not hasattr(self, "coef_"):
            begin_classes(self, x.shape[1])
        learn_classes(self, x, codes, sample_weight, 1, CLASSIFICATION)
        return self


@dataclass(eq=False, repr=False)
class SGDClassifier(DescentParameters, OneAgainstRest, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Linear classification by stochastic gradient descent.

    Args:
        loss: ``"hinge"``, ``"log_loss"``, ``"perceptron"``, ``"squared_hinge"``, ``"modified_huber"``, or one of
            `SGDRegressor`'s for -1 and 1.
        alpha: strength of the penalty α ‖w‖²/2.
        epsilon: of the losses of `SGDRegressor`.
        learning_rate: η_t, as for `SGDRegressor`.
        eta0: the first step size, but for ``"optimal"``.
        power_t: how fast the step size falls with ``"invscaling"``.
        class_weight: a weight by class, ``"balanced"`` for N / (K N_k), or None.

    The other arguments are those of `DescentParameters`.

    Attributes:
        classes_: the classes [K].
        coef_: weights, float64 [1, D] for two classes, else [K, D].
        intercept_: float64 [1] or [K].
        n_iter_: passes made.

    Example:
        >>> x, y = [[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"]
        >>> SGDClassifier(random_state=0).fit(x, y).predict([[-3.0], [3.0]]).tolist()
        ['left', 'right']
    """

    loss: str = "hinge"
    _: KW_ONLY
    alpha: float = 1e-4
    epsilon: float = 0.1
    learning_rate: str = "optimal"
    power_t: float = 0.5
    class_weight: Any = None

    @available_if(lambda self: self.loss in ("log_loss", "modified_huber"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Floats:
        """With the logistic loss or Huber's: the probability of each class, [N, K]; several classes are normalised."""
        scores = self.decision_function(X)
        each = 1.0 / (1.0 + np.exp(-scores)) if self.loss == "log_loss" else (np.clip(scores, -1.0, 1.0) + 1.0) / 2.0
        if each.ndim == 1:
            return np.column_stack([1.0 - each, each])
        total = each.sum(axis=1, keepdims=True)
        return np.where(total > 0, each / np.where(total > 0, total, 1.0), 1.0 / each.shape[1])


@dataclass(eq=False, repr=False, kw_only=True)
class Perceptron(DescentParameters, OneAgainstRest, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Rosenblatt's perceptron: a step of constant length for each point on the wrong side.

    Args:
        eta0: the step size.
        class_weight: a weight by class, ``"balanced"`` for N / (K N_k), or None.

    The other arguments are those of `DescentParameters`.

    Attributes:
        classes_: the classes [K].
        coef_: weights, float64 [1, D] for two classes, else [K, D].
        intercept_: float64 [1] or [K].
        n_iter_: passes made.

    Example:
        >>> x, y = [[-2.0], [-1.0], [1.0], [2.0]], ["left", "left", "right", "right"]
        >>> Perceptron().fit(x, y).predict([[-3.0], [3.0]]).tolist()
        ['left', 'right']
    """

    # Settings of the shared loop that the perceptron does not vary.
    alpha, epsilon, learning_rate, power_t = 0.0, 0.0, "constant", 0.5
    eta0: float = 1.0
    random_state: Any = 0
    class_weight: Any = None
