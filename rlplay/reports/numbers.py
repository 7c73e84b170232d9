"""Numbers as people read them: four digits, thousands apart, a dash for none."""

from __future__ import annotations

import math


def number(value: float, digits: int = 4) -> str:
    """A number for people; a dash for none.

    Example:
        >>> number(1234567.0), number(0.5), number(float("nan"))
        ('1,235,000', '0.5', '–')
    """
    if not math.isfinite(value):
        return "–"
    rounded = float(f"{value:.{digits}g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}"


def interval(limits: tuple[float, float]) -> str:
    """An interval for people."""
    return "–" if math.isnan(limits[0]) else f"{number(limits[0])} to {number(limits[1])}"
