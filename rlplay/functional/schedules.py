"""Quantities that change while an agent trains: one kind of schedule for step sizes, exploration and the rest.

A schedule is a table of values at equally spaced points of training progress, from 0 (the first step) to 1 (the
horizon: the end of ``learn``), with straight lines between them. One number is a constant, two are a
line. So every schedule is a small array: it is saved as numbers, and compiled code reads it.

Tables may also let a quantity fall with the visits of each entry, ``"1/n"`` (the sample average) or ``"1/n_0.8"``
(n to the power -0.8): a `Rate` is a schedule of either kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.errors import HyperparameterError

# What a user may give for a schedule: a number, a name such as "lin_1_0.05", a callable of remaining progress (1 to 0).
ScheduleLike = float | str | Callable[[float], float] | Sequence[float]

_POINTS = 1025  # points at which curves and callables are tabulated
_FORMS = "a number, lin_START, lin_START_END, lin_START_END_FRACTION, or exp_START_END[_FRACTION]"
_BY_VISITS = "1/n"


@in_place
def scheduled(values: NDArray[np.float64], progress: float) -> float:
    """The value of a schedule at a training progress in [0, 1]; the last value beyond.

    Example:
        >>> scheduled(np.array([1.0, 0.0]), 0.25)
        0.75
    """
    last = values.shape[0] - 1
    if last == 0 or progress >= 1.0:
        return values[last]
    place = progress * last
    left = int(place)
    return values[left] + (values[left + 1] - values[left]) * (place - left)


# A schedule for compiled code: its values, float64 [K], see `scheduled`.
Schedule = NDArray[np.float64]

# A step size or exploration rate for compiled code: the schedule over training [K], or, where it falls with visits, the
# power [1]; and how often each entry was visited [S, A] (or [S, 1]), of shape [0, 0] for a schedule over training. A
# plain tuple: one of a class of its own would cost a microsecond at each call from Python.
Rate = tuple[NDArray[np.float64], NDArray[np.float64]]


@in_place
def visited(rate: Rate, s: int, a: int, progress: float) -> float:
    """The rate at an entry that is visited now: the visit counts.

    Example:
        >>> rate = new_rate("1/n", (1, 1))
        >>> [visited(rate, 0, 0, 0.0) for _ in range(4)]
        [1.0, 0.5, 0.3333333333333333, 0.25]
    """
    values, visits = rate
    if visits.shape[0] == 0:
        return scheduled(values, progress)
    visits[s, a] += 1.0
    return visits[s, a] ** -values[0]


@in_place
def ahead(rate: Rate, s: int, a: int, progress: float) -> float:
    """The rate that the next visit of an entry will have; counts nothing.

    Example:
        >>> rate = new_rate("1/n", (1, 1))
        >>> visited(rate, 0, 0, 0.0), ahead(rate, 0, 0, 0.0)
        (1.0, 0.5)
    """
    values, visits = rate
    if visits.shape[0] == 0:
        return scheduled(values, progress)
    return (visits[s, a] + 1.0) ** -values[0]


@in_place
def latest(rate: Rate, s: int, a: int, progress: float) -> float:
    """The rate that the last visit of an entry had; counts nothing.

    Example:
        >>> rate = new_rate("1/n", (1, 1))
        >>> [visited(rate, 0, 0, 0.0) for _ in range(2)], latest(rate, 0, 0, 0.0)
        ([1.0, 0.5], 0.5)
    """
    values, visits = rate
    if visits.shape[0] == 0:
        return scheduled(values, progress)
    return max(visits[s, a], 1.0) ** -values[0]


def new_rate(value: ScheduleLike, shape: tuple[int, int]) -> Rate:
    """A rate from what a user gives, for a table of that shape; see `tabulate`, and ``"1/n"``.

    Example:
        >>> values, visits = new_rate(0.1, (3, 2))
        >>> values.tolist(), visits.shape
        ([0.1], (0, 0))
        >>> new_rate("1/n", (3, 2))[1].shape  # it counts visits
        (3, 2)
    """
    if falls_with_visits(value):
        return np.array([visit_power(str(value))]), np.zeros(shape)
    return tabulate(value), np.zeros((0, 0))


def falls_with_visits(value: object) -> bool:
    """Whether this is ``"1/n"`` or ``"1/n_POWER"``."""
    return isinstance(value, str) and value.startswith(_BY_VISITS)


def visit_power(text: str) -> float:
    """The power p of ``"1/n_p"``: the rate at the n-th visit is n to the -p.

    Raises:
        HyperparameterError: not a power in (0, 1]; for convergence it must exceed 0.5 (Even-Dar & Mansour 2003).
    """
    power = text.removeprefix(_BY_VISITS).removeprefix("_") or "1"
    try:
        if 0 < float(power) <= 1:
            return float(power)
    except ValueError:
        pass
    raise HyperparameterError(f"{text!r} has no power in (0, 1]", "Give 1/n, or 1/n_0.8 for n to the power -0.8")


def tabulate(schedule: ScheduleLike) -> NDArray[np.float64]:
    """The values of a schedule, float64, shape [K].

    Args:
        schedule: a number; ``"lin_1"`` (from 1 to 0), ``"lin_1_0.05"`` (from 1 to .05), ``"lin_1_0.05_0.5"`` (the
            same within the first half), ``"exp_1_0.05"`` (geometric); a callable of the remaining progress, as in
            Stable-Baselines3, read at 1025 points; or the values themselves.

    Raises:
        HyperparameterError: the text is none of these, or a value is not finite.

    Example:
        >>> tabulate("lin_1_0.05").tolist(), tabulate(0.3).tolist()
        ([1.0, 0.05], [0.3])
        >>> round(scheduled(tabulate("exp_1_0.01"), 0.5), 6)  # geometric: halfway from 1 to 0.01
        0.1
    """
    if isinstance(schedule, str):
        values = _parse(schedule)
    elif callable(schedule):
        values = _read(schedule)
    else:
        values = np.atleast_1d(np.asarray(schedule, dtype=np.float64))
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise HyperparameterError(f"schedule {schedule!r} is not a finite number or list of numbers", f"Give {_FORMS}")
    return values


def _read(schedule: Callable[[float], float]) -> NDArray[np.float64]:
    """The values of a function of the remaining progress, which may be anybody's."""
    try:
        return np.array([float(schedule(1.0 - k / (_POINTS - 1))) for k in range(_POINTS)])
    except Exception as error:  # whatever it does
        words = " ".join(str(error).split())
        name = getattr(schedule, "__qualname__", type(schedule).__name__)
        raise HyperparameterError(
            f"schedule {name} gives no number for what is left of training ({type(error).__name__}: {words})",
            "Give a function of one number, 1 at the start and 0 at the end, as in lambda left: 1e-3 * left",
        ) from error


def rate_at_end(value: ScheduleLike) -> float:
    """The value of a schedule at the horizon; NaN for one that falls with visits.

    Example:
        >>> rate_at_end("lin_0.001"), rate_at_end(0.5)
        (0.0, 0.5)
    """
    return math.nan if falls_with_visits(value) else float(tabulate(value)[-1])


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
