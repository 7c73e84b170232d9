"""Quantities that change while an agent trains: one kind of schedule for step sizes, exploration and the rest.

A schedule is a table of values at equally spaced points of training progress, from 0 (the first step) to 1 (the
horizon: the total of the first ``learn``), with straight lines between them. One number is a constant, two are a
line. So every schedule is a small array: it is saved as numbers, and compiled code reads it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled
from rlplay.errors import HyperparameterError

# What a user may give for a schedule: a number, a name such as "lin_1_0.05", a callable of remaining progress (1 to 0).
ScheduleLike = float | str | Callable[[float], float] | Sequence[float]

_POINTS = 1025  # points at which curves and callables are tabulated
_FORMS = "a number, lin_START, lin_START_END, lin_START_END_FRACTION, or exp_START_END[_FRACTION]"


@compiled
def scheduled(values: NDArray[np.float64], progress: float) -> float:
    """The value of a schedule at a training progress in [0, 1]; the last value beyond."""
    last = values.shape[0] - 1
    if last == 0 or progress >= 1.0:
        return values[last]
    place = progress * last
    left = int(place)
    return values[left] + (values[left + 1] - values[left]) * (place - left)


def tabulate(schedule: ScheduleLike) -> NDArray[np.float64]:
    """The values of a schedule, float64, shape [K].

    Args:
        schedule: a number; ``"lin_1"`` (from 1 to 0), ``"lin_1_0.05"`` (from 1 to .05), ``"lin_1_0.05_0.5"`` (the
            same within the first half), ``"exp_1_0.05"`` (geometric); a callable of the remaining progress, as in
            Stable-Baselines3, read at 1025 points; or the values themselves.

    Raises:
        HyperparameterError: the text is none of these, or a value is not finite.
    """
    if isinstance(schedule, str):
        values = _parse(schedule)
    elif callable(schedule):
        values = np.array([float(schedule(1.0 - k / (_POINTS - 1))) for k in range(_POINTS)])
    else:
        values = np.atleast_1d(np.asarray(schedule, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise HyperparameterError(f"schedule {schedule!r} is not a finite number or list of numbers", f"Give {_FORMS}")
    return values


def _parse(text: str) -> NDArray[np.float64]:
    kind, *parts = text.split("_")
    try:
        numbers = [float(part) for part in parts]
        if kind in ("lin", "exp") and 1 <= len(numbers) <= 3:
            start, end, fraction = [*numbers, *[0.0, 1.0][len(numbers) - 1 :]]
            if not 0 < fraction <= 1:
                raise ValueError
            if kind == "lin" and fraction == 1:
                return np.array([start, end])
            shape = np.minimum(np.linspace(0, 1, _POINTS) / fraction, 1.0)
            if kind == "lin":
                return start + (end - start) * shape
            if start > 0 and end > 0:
                return start * np.exp(shape * math.log(end / start))
        elif not numbers:
            return np.array([float(kind)])
    except ValueError:
        pass
    raise HyperparameterError(f"schedule {text!r} is not known", f"Give {_FORMS}")
