"""Learning curves as SVG, for a page: means, 95 % bands, runs, axes that are logarithmic where ranges demand it."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import counted
from rlplay.reports.curves import COLOURS, Curve, value_range
from rlplay.reports.numbers import number

MOST_BANDS = 6  # curves up to which a drawing has their bands; of more it has the means
MOST_RUNS = 3  # curves up to which a drawing has their runs too
_MOST_BYTES = 600_000  # of a drawing
_WIDTH, _HEIGHT = 720.0, 340.0  # units of a drawing
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 24.0, 12.0, 46.0
_DASHES = ("", "9 4", "2 4", "12 4 2 4", "5 5", "14 6", "1 3", "8 3 2 3 2 3")
_LOGARITHMIC = 20.0  # times the shortest that the longest is, from which on an axis is logarithmic


def legend(curves: Sequence[Curve]) -> str:
    """The names of the curves, each with its line."""
    items = "".join(
        f"<li><svg viewBox='0 0 28 8' width='28' height='8' aria-hidden='true'><line x1='0' y1='4' x2='28' y2='4' "
        f"class='c{i % len(COLOURS)}' stroke-dasharray='{_dash(i)}'/></svg>{html.escape(c.name)}</li>"
        for i, c in enumerate(curves)
    )
    return f"<ul class='legend'>{items}</ul>"


class _Axis:
    """From values to a place on the drawing, straight or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, *, logarithmic: bool = False) -> None:
        self.logarithmic = logarithmic and low > 0
        if high <= low:
            low, high = low - 0.5, high + 0.5
        self.low, self.high, self.start, self.end = low, high, start, end

    def __call__(self, value: float) -> float:
        low, high = (math.log(self.low), math.log(self.high)) if self.logarithmic else (self.low, self.high)
        at = math.log(max(value, self.low)) if self.logarithmic else value
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.logarithmic:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            factors = (1, 2, 5) if last - first < 3 else (1,)
            found = [f * 10.0**e for e in range(first, last + 1) for f in factors]
        else:
            rough = (self.high - self.low) / 5
            size = 10.0 ** math.floor(math.log10(rough))
            step = min((m * size for m in (1, 2, 5, 10)), key=lambda s: abs(s - rough))
            found = [k * step for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in found if self.low <= value * (1 + 1e-12) and value <= self.high * (1 + 1e-12)]


class Drawing:
    """The axes of some curves, on which all of them or one can be drawn.

    Args:
        curves: what the axes are made for.
        places: of each curve's evaluations along the horizontal axis; those that are not finite are not drawn.
        unit: of the horizontal axis.
    """

    def __init__(self, curves: Sequence[Curve], places: Sequence[NDArray[Any]], unit: str) -> None:
        self.curves, self.unit = curves, unit
        self._places = [np.asarray(one, np.float64) for one in places]
        self._known = [i for i, x in enumerate(self._places) if np.isfinite(x).all()]
        self._points = points_of(curves)
        if not self._known:
            return
        ends = [float(self._places[i][-1]) for i in self._known]
        first = min(float(self._places[i][0]) for i in self._known)
        logarithmic = max(ends) / max(min(ends), 1e-9) > _LOGARITHMIC
        low, high = value_range(list(curves)) or (
            min(float(c.returns.min()) for c in curves), max(float(c.returns.max()) for c in curves)
        )  # fmt: skip
        margin = 0.05 * (high - low)
        self._x = _Axis(first if logarithmic else 0.0, max(ends), _LEFT, _WIDTH - _RIGHT, logarithmic=logarithmic)
        self._y = _Axis(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)

    def all(self) -> str:
        """All curves; with their bands where they are few, and their runs where they are fewer."""
        if not self._known:
            return ""
        ends = ", ".join(f"{self.curves[i].name} {number(float(self.curves[i].centre[-1]))}" for i in self._known)
        return self._drawn(
            self._known, f"Return by {self.unit}. At the end: {ends}", bands=len(self._known) <= MOST_BANDS
        )

    def each(self) -> list[str]:
        """A drawing of each curve alone, with its band and runs."""
        return [self._drawn([i], f"Return of {self.curves[i].name} by {self.unit}", bands=True) for i in self._known]

    def _drawn(self, chosen: Sequence[int], label: str, *, bands: bool) -> str:
        area = f"area-{self.unit}-{'-'.join(map(str, chosen)) if len(chosen) == 1 else 'all'}"
        parts = [
            f"<svg viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}' role='img' aria-label='{html.escape(label)}'>"
            f"<clipPath id='{area}'><rect x='{_LEFT}' y='{_TOP}' width='{_WIDTH - _LEFT - _RIGHT}' "
            f"height='{_HEIGHT - _TOP - _BOTTOM}'/></clipPath>"
        ]
        for tick in self._y.ticks():
            y = self._y(tick)
            parts.append(f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
                         f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{_short(tick)}</text>")  # fmt: skip
        for tick in self._x.ticks():
            x = self._x(tick)
            parts.append(f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{_HEIGHT - _BOTTOM}'/>"
                         f"<text x='{x:.1f}' y='{_HEIGHT - _BOTTOM + 20}' text-anchor='middle'>{_short(tick)}"
                         "</text>")  # fmt: skip
        scale = ", logarithmic" if self._x.logarithmic else ""
        parts.append(f"<text x='{(_LEFT + _WIDTH - _RIGHT) / 2}' y='{_HEIGHT - 4}' text-anchor='middle' class='unit'>"
                     f"{self.unit}{scale}</text><g clip-path='url(#{area})'>")  # fmt: skip
        for i in chosen:
            parts += self._curve(i, bands=bands, runs=bands and len(chosen) <= MOST_RUNS)
        return "".join([*parts, "</g></svg>"])

    def _curve(self, i: int, *, bands: bool, runs: bool) -> list[str]:
        curve, every, parts = self.curves[i], self._places[i], []
        colour = f"c{i % len(COLOURS)}"
        kept = np.unique(np.linspace(0, len(every) - 1, min(self._points, len(every))).round().astype(int))
        at, centre = every[kept], curve.centre[kept]
        if bands and np.isfinite(limits := curve.intervals[kept]).all():
            upper, lower = self._line(at, limits[:, 1]), self._line(at[::-1], limits[::-1, 0])
            parts.append(f"<polygon class='band {colour}' points='{upper} {lower}'/>")
        for run in curve.returns if runs and len(curve.returns) > 1 else []:
            parts.append(f"<polyline class='run {colour}' points='{self._line(at, run[kept])}'/>")
        parts.append(
            f"<polyline class='mean {colour}' stroke-dasharray='{_dash(i)}' points='{self._line(at, centre)}'/>"
        )
        for a, b, t in zip(at, centre, curve.timesteps[kept], strict=True):
            words = f"{html.escape(curve.name)}: {number(float(b))} after {counted(t, 'timestep')}"
            parts.append(f"<circle class='dot {colour}' cx='{self._x(a):.1f}' cy='{self._y(b):.1f}' r='4'>"
                         f"<title>{words}</title></circle>")  # fmt: skip
        return parts

    def _line(self, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
        return " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in zip(xs, ys, strict=True))


def _dash(i: int) -> str:
    """The dashes of a curve: those of one colour differ."""
    return _DASHES[(i + i // len(COLOURS)) % len(_DASHES)]


def points_of(curves: Sequence[Curve]) -> int:
    """The most points of a curve that are drawn, so that a page has room for its drawings."""
    size = sum(200 + len(curve.name) + 14 * len(curve.returns) for curve in curves)  # bytes of one point of each
    return max(min(_MOST_BYTES // size, 400), 20)


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
