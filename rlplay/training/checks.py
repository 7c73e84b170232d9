"""Checks of what a user gives to learn, evaluate and the callbacks, each with one line that says what is taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rlplay.errors import UsageError


def whole_number(name: str, value: Any, *, low: int = 1) -> int:
    """A whole number of at least ``low``, also where it comes as 100.0 or in NumPy's types.

    Raises:
        UsageError: anything else.

    Example:
        >>> whole_number("n_eval_episodes", 10.0)
        10
        >>> whole_number("n_eval_episodes", 1.5)
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: n_eval_episodes=1.5 is not a whole number of 1 or more
    """
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < low or value != int(value):
        raise UsageError(f"{name}={value!r} is not a whole number of {low} or more")
    return int(value)
