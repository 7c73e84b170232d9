"""Curves as text, for a terminal: a letter a curve, dots for its interval."""

from __future__ import annotations

import numpy as np

from rlplay.reports.curves import Curve, value_range

MARKS = "abcdefghijklmnopqrstuvwxyz"


def text_chart(curves: list[Curve], width: int = 72, height: int = 16) -> list[str]:
    r"""The lines of a chart: means as the curve's letter, its 95 % interval over the seeds as dots.

    Args:
        curves: at most 26.
        width: columns of the area.
        height: rows of it.

    Example:
        >>> steps, values = np.array([0, 10]), np.array([[0.0, 1.0]])
        >>> print("\n".join(text_chart([Curve("one", steps, values, np.ones(1))], width=8, height=3)))
                 1 |      aa
                   |  aaaa
                 0 |aa
                   +--------
                    0     10
    """
    shown = value_range(curves)
    low = min(float(c.returns.min()) for c in curves) if shown is None else shown[0]
    high = max(float(c.returns.max()) for c in curves) if shown is None else shown[1]
    high = high if high > low else low + 1.0
    first, last = min(c.timesteps[0].item() for c in curves), max(c.timesteps[-1].item() for c in curves)
    area = [[" "] * width for _ in range(height)]

    def row(value: float) -> int:
        return height - 1 - round(min(max((value - low) / (high - low), 0.0), 1.0) * (height - 1))

    places = np.linspace(first, last, width)
    for layer in ("interval", "mean"):
        for mark, curve in zip(MARKS, curves, strict=False):
            inside = (places >= curve.timesteps[0]) & (places <= curve.timesteps[-1])
            if layer == "mean":
                for column, value in enumerate(np.interp(places, curve.timesteps, curve.centre)):
                    if inside[column]:
                        area[row(float(value))][column] = mark
                continue
            limits = curve.intervals
            if np.isfinite(limits).all():
                lower, upper = (np.interp(places, curve.timesteps, limits[:, k]) for k in (0, 1))
                for column in np.flatnonzero(inside).tolist():
                    for line in range(row(float(upper[column])), row(float(lower[column])) + 1):
                        area[line][column] = "."
    lines = []
    for number, cells in enumerate(area):
        label = f"{high:.4g}" if number == 0 else f"{low:.4g}" if number == height - 1 else ""
        lines.append(f"{label:>10} |{''.join(cells)}".rstrip())
    left, right = (f"{place:,.2f}" if isinstance(place, float) else f"{place:,}" for place in (first, last))
    return [*lines, f"{'':>10} +{'-' * width}", f"{'':>12}{left}{right:>{max(width - len(left), 0)}}"]
