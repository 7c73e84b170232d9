"""Any regressor as action values: three layouts, and what comes out of a fit.

    model an action    a clone for each action; one that never occurred has the lowest value
    action as input    one regressor of (s, a): one-hot for finite actions, the numbers themselves for a Box
    multi-output       one regressor with an output for each action; outputs of actions that were not taken are asked
                       to stay where they are

For a Box the best action is looked for among candidates, a grid over its bounds.
"""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.estimators import SampleFunction, over_batch, sample_function, seeded
from rlplay.errors import HyperparameterError, UsageError, counted

LAYOUTS = ("model an action", "action as input", "multi-output")
_MOST = 4096  # candidates
Floats = NDArray[np.float64]


def candidates(space: gym.spaces.Box, count: int, owner: str) -> Floats:
    """A grid of actions over a Box, float64 [A, W].

    Raises:
        HyperparameterError: bounds that are not finite, or more than 4096 candidates.
    """
    low, high = space.low.ravel().astype(np.float64), space.high.ravel().astype(np.float64)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise HyperparameterError(f"{owner} looks for the best of some actions within bounds, and {space} has none")
    if count ** len(low) > _MOST:
        raise HyperparameterError(
            f"{owner}: {count} candidates for each of {counted(len(low), 'number')} are more than {_MOST:,}",
            "Take fewer n_candidates, or an actor-critic agent",
        )
    return np.array(list(itertools.product(*(np.linspace(a, b, count) for a, b in zip(low, high, strict=True)))))


class ActionValues:
    """Fitted regressors as Q(s, ·).

    Attributes:
        models: one for each action, None for one that never occurred; or a single one.
        layout: one of `LAYOUTS`.
        choices: how each action looks as an input, float64 [A, W].
        lowest: the value of actions that never occurred.

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> model = LinearRegression().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), [2.0, 1.0])
        >>> ActionValues([model, None], LAYOUTS[0], np.eye(2), -1.0)(np.array([[1.0, 0.0]])).round(6).tolist()
        [[1.0, -1.0]]
    """

    def __init__(self, models: list[Any], layout: str, choices: Floats, lowest: float = 0.0) -> None:
        self.models, self.layout, self.choices, self.lowest = models, layout, choices, lowest
        self._compiled = [sample_function(model, "predict") if model is not None else None for model in models]

    def __call__(self, obs: NDArray[Any]) -> Floats:
        """Values of a batch [B, D], float64 [B, A]."""
        x, n = obs.astype(np.float64), len(self.choices)
        if self.layout == "multi-output":
            return np.asarray(self.models[0].predict(x), np.float64).reshape(len(x), n)
        if self.layout == "action as input":
            both = np.concatenate([np.repeat(x, n, axis=0), np.tile(self.choices, (len(x), 1))], axis=1)
            return _predict(self.models[0], self._compiled[0], both).reshape(len(x), n)
        q = np.full((len(x), n), self.lowest)
        for action, model in enumerate(self.models):
            if model is not None:
                q[:, action] = _predict(model, self._compiled[action], x)
        return q


def models_by_name(values: ActionValues | None, name: str) -> dict[str, Any]:
    """The fitted regressors of action values for a file: those of ``acting`` are ``acting/0``, ``acting/1``, ...

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> model = LinearRegression().fit(np.eye(3), [0.0, 1.0, 2.0])
        >>> list(models_by_name(ActionValues([model], "action as input", np.eye(2)), "acting"))
        ['acting/0']
    """
    models = [] if values is None else values.models
    return {f"{name}/{i}": model for i, model in enumerate(models) if model is not None}


def values_by_name(models: dict[str, Any], name: str, layout: str, choices: Floats) -> ActionValues | None:
    """The action values whose regressors `models_by_name` gave; None where there are none of that name.

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> model = LinearRegression().fit(np.eye(3), [0.0, 1.0, 2.0])
        >>> values = values_by_name({"acting/0": model}, "acting", "action as input", np.eye(2))
        >>> len(values.models), values_by_name({}, "acting", "action as input", np.eye(2))
        (1, None)
    """
    count = len(choices) if layout == "model an action" else 1
    found = [models.get(f"{name}/{i}") for i in range(count)]
    return ActionValues(found, layout, choices) if any(model is not None for model in found) else None


def _predict(model: Any, compiled: SampleFunction | None, x: Floats) -> Floats:
    """What a model predicts for a batch [B, D], by its compiled function where it offers one, float64 [B]."""
    if compiled is None:
        return np.asarray(model.predict(x), np.float64).ravel()
    return over_batch(compiled.function)(compiled.codes, x)


def action_inputs(obs: Floats, actions: NDArray[Any], choices: Floats) -> Floats:
    """Observations [N, D] with their actions as inputs, float64 [N, D + W]; numbers int64 [N] as their ``choices``.

    Example:
        >>> action_inputs(np.array([[0.5], [0.7]]), np.array([1, 0]), np.eye(2)).tolist()
        [[0.5, 0.0, 1.0], [0.7, 1.0, 0.0]]
    """
    return np.column_stack([obs, choices[actions] if actions.ndim == 1 else actions])


def fit_values(
    model: Any, layout: str, choices: Floats, obs: Floats, actions: NDArray[Any], y: Floats,
    before: ActionValues | None, rng: np.random.Generator,
) -> ActionValues:  # fmt: skip
    """New values: clones of a regressor fitted to targets.

    Args:
        model: the regressor.
        layout: one of `LAYOUTS`.
        choices: how each action looks as an input, [A, W].
        obs: [N, D].
        actions: numbers of actions, int64 [N]; or what a Box gave, [N, W].
        y: targets, [N].
        before: the values so far, which outputs keep that learn nothing.
        rng: draws seeds where the regressor has none.

    Raises:
        UsageError: the regressor failed; says on what.

    Example:
        >>> from rlplay.models.supervised import LinearRegression
        >>> obs, actions, y = np.array([[0.0], [1.0], [0.0]]), np.array([0, 0, 1]), np.array([1.0, 3.0, 5.0])
        >>> rng = np.random.default_rng(0)
        >>> q = fit_values(LinearRegression(), "model an action", np.eye(2), obs, actions, y, None, rng)
        >>> q(np.array([[2.0]])).round(6).tolist()  # 1 + 2 · 2, and the only value of action 1
        [[5.0, 5.0]]
    """
    try:
        if layout == "action as input":
            return ActionValues([seeded(model, rng).fit(action_inputs(obs, actions, choices), y)], layout, choices)
        if layout == "multi-output":
            wanted = np.zeros((len(y), len(choices))) if before is None else before(obs)
            wanted[np.arange(len(y)), actions] = y
            return ActionValues([seeded(model, rng).fit(obs, wanted)], layout, choices)
        models: list[Any] = []
        for action in range(len(choices)):
            mine, one = actions == action, seeded(model, rng)
            models.append(one.fit(obs[mine], y[mine]) if mine.any() else None)
        return ActionValues(models, layout, choices, float(y.min()))
    except Exception as error:
        raise UsageError(
            f"{type(model).__name__} could not be fitted to {counted(len(y), 'transition')}: "
            f"{' '.join(str(error).split())[:300]}",
            "Change its parameters, or collect more with train_freq",
        ) from error
