from __future__ import annotations

import numpy as np
import pytest

from rlplay.errors import HyperparameterError
from rlplay.functional.schedules import scheduled, tabulate


@pytest.mark.parametrize(
    ("schedule", "points"),
    [
        (0.1, {0: 0.1, 0.5: 0.1, 2: 0.1}),
        ("0.25", {0: 0.25, 1: 0.25}),
        ("lin_3e-4", {0: 3e-4, 0.5: 1.5e-4, 1: 0}),
        ("lin_1_0.05", {0: 1, 0.5: 0.525, 1: 0.05, 3: 0.05}),
        ("lin_1_0.2_0.5", {0: 1, 0.25: 0.6, 0.5: 0.2, 1: 0.2}),
        ("exp_1_0.01", {0: 1, 0.5: 0.1, 1: 0.01}),
        ([1.0, 0.0, 1.0], {0: 1, 0.25: 0.5, 0.5: 0, 1: 1}),
        (lambda remaining: remaining**2, {0: 1, 0.5: 0.25, 1: 0}),
    ],
)
def test_values(schedule, points):
    values = tabulate(schedule)
    for progress, value in points.items():
        assert scheduled(values, progress) == pytest.approx(value, abs=1e-5)
        assert scheduled.py_func(values, progress) == scheduled(values, progress)


FUNCTIONS = [lambda left: "much", lambda: 0.1, lambda left, more: 0.1, lambda left: 1 / left, lambda left: [left, left]]


@pytest.mark.parametrize(
    "bad", ["lin", "lin_a", "lin_1_0_2", "exp_0_1", "cos_1", float("inf"), [], [[1.0]], *FUNCTIONS]
)
def test_bad(bad):
    with pytest.raises(HyperparameterError, match="schedule"):
        tabulate(bad)


def test_constant_is_one_number():
    assert tabulate(0.5).tolist() == np.array([0.5]).tolist()
