"""A comparison of agents as one page for a browser: curves, tables, an episode of each, and what was run.

The page loads nothing from elsewhere and runs no script: its Content-Security-Policy allows pictures that are in it and
its one style, by its hash. Curves are drawn as SVG; what comes from users is text, never markup.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import counted
from rlplay.reports.curves import COLOURS, CUT_AFTER, Curve, value_range
from rlplay.reports.replay_page import asset, check_page, sha256
from rlplay.reports.statistics import (
    first_reached,
    interquartile_mean,
    probabilities_of_improvement,
    probability_of_improvement,
    stratified_interval,
)
from rlplay.reports.step_costs import ENVS, StepCosts
from rlplay.storage.files import write_atomically

MOST_BYTES = 3_000_000  # of a page
_MOST_BYTES_OF_DRAWING = 600_000
_WIDTH, _HEIGHT = 720.0, 340.0  # units of a drawing
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 24.0, 12.0, 46.0
_DASHES = ("", "9 4", "2 4", "12 4 2 4", "5 5", "14 6", "1 3", "8 3 2 3 2 3")
_LOGARITHMIC = 20.0  # times the shortest that the longest is, from which on an axis is logarithmic


@dataclass
class Contender:
    """An agent of a comparison.

    Attributes:
        curve: its evaluations.
        seeds: of its runs, in the order of the curve's rows.
        settings: its hyperparameters, in words.
        film: frames [H, W, 3] of an episode, uint8; none for none.
        film_words: what it shows.
        file_bytes: the size of its saved file, 0 where that is not known.
        costs: what a step costs in its environment and in choosing; None where that was not measured.
    """

    curve: Curve
    seeds: list[int]
    settings: str = ""
    film: list[NDArray[np.uint8]] = field(default_factory=list)
    film_words: str = ""
    file_bytes: int = 0
    costs: StepCosts | None = None


@dataclass
class Comparison:
    """What is on the page.

    Attributes:
        title: what is compared where.
        contenders: the agents.
        threshold: the return at which a task counts as solved.
        threshold_words: where it comes from.
        episodes: of each evaluation.
        facts: versions and the processor, in words.
        command: what made the page, as one types it.
        paired: whether differences on the same seeds are shown.
    """

    title: str
    contenders: list[Contender]
    threshold: float
    threshold_words: str
    episodes: int
    facts: str = ""
    command: str = ""
    paired: bool = False


class Table(NamedTuple):
    """Rows of text under columns; the first column is words, the others are numbers."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


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


def results(comparison: Comparison) -> Table:
    """An agent a row: the last evaluation, the whole curve, how soon the threshold is reached, and the speed."""
    rows = []
    for one in sorted(comparison.contenders, key=lambda c: -interquartile_mean(c.curve.last)):
        curve = one.curve
        reached = first_reached(curve.timesteps, curve.returns, comparison.threshold)
        got = int(np.isfinite(reached).sum())
        soon = float(np.median(reached)) if got == len(reached) else math.nan
        seconds = float(np.median(reached / curve.speeds)) if got == len(reached) else math.nan
        whole = curve.returns.mean(axis=1)
        rows.append([
            curve.name, number(interquartile_mean(curve.last)), interval(curve.interval(curve.last)),
            number(interquartile_mean(curve.returns.max(axis=1))), number(interquartile_mean(whole)),
            interval(curve.interval(whole)), f"{got} of {len(reached)}", number(soon), number(seconds, 3),
            number(curve.speed, 3), number(one.file_bytes / 1e6, 2) if one.file_bytes else "–",
        ])  # fmt: skip
    alone = [one.curve.name for one in comparison.contenders if len(one.seeds) == 1]
    of_whom = f" of {', '.join(alone)}" if len(alone) < len(comparison.contenders) else ""
    caption = (
        f"Returns of greedy evaluations of {counted(comparison.episodes, 'episode')}; interquartile means over seeds, "
        "with 95 % bootstrap intervals. "
        + (f"One seed says nothing of the spread: no intervals{of_whom}. " if alone else "")
        + f"Reached: the first evaluation of {number(comparison.threshold)} or more ({comparison.threshold_words}); "
        "median over the seeds where all reach it. Steps a second: learning alone, median."
    )
    return Table(
        caption,
        ["agent", "last", "95 %", "best", "whole curve", "95 %", "reached", "after steps", "after seconds", "steps/s",
         "file, MB"],
        rows,
    )  # fmt: skip


def improvements(comparison: Comparison) -> Table:
    """The probability that a run of the row's agent ends better than one of the column's."""
    contenders = comparison.contenders
    rows = []
    for one in contenders:
        cells = [one.curve.name]
        for other in contenders:
            if other is one:
                cells.append("")
                continue
            groups = [one.curve.last, other.curve.last]
            text = f"{probability_of_improvement(*groups):.2f}"
            if min(map(len, groups)) > 1:
                low, high = stratified_interval(groups, probabilities_of_improvement)
                text += f" ({low:.2f} to {high:.2f})"
            cells.append(text)
        rows.append(cells)
    return Table(
        "Probability that a run of the row's agent ends with a higher return than one of the column's, equal ones "
        "counted half; with 95 % bootstrap intervals.",
        ["", *(one.curve.name for one in contenders)],
        rows,
    )


def costs(comparison: Comparison) -> Table:
    """Microseconds of a step of each agent: environment, inference, update; and its memory."""
    rows = []
    for one in comparison.contenders:
        whole = 1e6 / one.curve.speed
        found = one.costs or StepCosts()
        environment, acting = found.environment * 1e6, found.acting * 1e6
        left = max(whole - environment - acting, 0.0)
        rows.append([
            one.curve.name, number(one.curve.speed, 3), number(whole, 3), number(environment, 3),
            number(acting, 3), number(left, 3), number(left / whole * 100, 2),
            number(found.memory / 1e6, 3) if found.memory else "–",
        ])  # fmt: skip
    return Table(
        f"Microseconds a step of learning. Environment and inference were measured after training, {ENVS} at a time, "
        "in this process; update is what is left, with everything else that learning does. Where one native loop does "
        "it all, inference from outside costs more than within, and what is left is a lower bound. Memory: tables, "
        "networks and replay buffer.",
        ["agent", "steps/s", "whole", "environment", "inference", "update", "update, %", "memory, MB"],
        rows,
    )


def differences(comparison: Comparison) -> Table:
    """Differences of the last evaluation on the same seeds, pair by pair."""
    rows, contenders = [], comparison.contenders
    for i, one in enumerate(contenders):
        for other in contenders[i + 1 :]:
            shared = [seed for seed in one.seeds if seed in other.seeds]
            gaps = np.array(
                [one.curve.last[one.seeds.index(s)] - other.curve.last[other.seeds.index(s)] for s in shared]
            )
            if not len(gaps):
                rows.append([f"{one.curve.name} - {other.curve.name}", "0", "–", "–", "–"])
                continue
            around = (math.nan, math.nan)
            if len(gaps) > 1:
                around = stratified_interval([gaps], lambda x: x.mean(axis=(1, 2)))
            rows.append([
                f"{one.curve.name} - {other.curve.name}", str(len(gaps)), number(float(gaps.mean())), interval(around),
                f"{int((gaps > 0).sum())} of {len(gaps)}",
            ])  # fmt: skip
    return Table(
        "Differences of the last evaluations, seed by seed: the mean with its 95 % bootstrap interval.",
        ["pair", "seeds", "mean difference", "95 %", "first is better"],
        rows,
    )


def write_comparison(comparison: Comparison, path: Path) -> Path:
    """Write a page, complete or not at all.

    Raises:
        UsageError: another ending than .html, or a place that cannot be written.

    Example:
        >>> import tempfile
        >>> curves = [Curve(n, np.array([10, 20]), np.array([[1.0, 5.0], [2.0, 4.0]]), np.ones(2)) for n in "ab"]
        >>> page = Comparison("a and b", [Contender(curve, [0, 1]) for curve in curves], 4.0, "chosen", 10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     text = write_comparison(page, Path(folder) / "compare.html").read_text()
        >>> text.count("role='img'"), "<script" in text
        (2, False)
    """
    check_page(path)
    return write_atomically(path, render(comparison).encode())


def render(comparison: Comparison) -> str:
    """The page as text."""
    style = asset("compare.css")
    policy = f"default-src 'none'; img-src data:; style-src '{sha256(style)}'; base-uri 'none'; form-action 'none'"
    contenders = comparison.contenders
    tables = [("Results", results(comparison))]
    if any(one.costs for one in contenders):
        tables.append(("What a step costs", costs(comparison)))
    if len(contenders) > 1:
        tables.append(("Which is better", improvements(comparison)))
    if comparison.paired and len(contenders) > 1:
        tables.append(("On the same seeds", differences(comparison)))
    curves = [one.curve for one in contenders]
    many = any(len(curve.returns) > 1 for curve in curves)
    drawn = (
        "Interquartile mean over the seeds; the band is its 95 % bootstrap interval, thin lines are the runs."
        if many
        else "One run of each."
    )
    if value_range(curves):
        drawn += f" Evaluations in which an episode was cut after {CUT_AFTER:,} steps may lie off the axis."
        if off := [curve.name for curve in curves if curve.cut is not None and curve.cut.all()]:
            drawn += f" Of {', '.join(off)} all were."
    if (points := _points_of(curves)) < max(len(curve.timesteps) for curve in curves):
        drawn += f" Of more than {points} evaluations {points} are drawn."
    unknown = [curve.name for curve in curves if math.isnan(curve.speed)]
    untimed = f" The speed of {', '.join(unknown)} is not known." if unknown else ""
    sections = [
        f"<section><h2>Return by timesteps</h2>{_legend(curves)}{_drawing(curves, 'timesteps', lambda c: c.timesteps)}"
        f"<p class='dim'>{html.escape(drawn)}</p></section>",
        f"<section><h2>Return by seconds of learning</h2>{_legend(curves)}"
        f"{_drawing(curves, 'seconds', lambda c: c.timesteps / c.speed)}"
        f"<p class='dim'>Timesteps over the median speed of learning; evaluations are not counted."
        f"{html.escape(untimed)}</p></section>",
        *(f"<section class='wide'><h2>{title}</h2>{_table(table)}</section>" for title, table in tables),
        f"<section class='wide'><h2>What was run</h2>{_settings(contenders)}"
        f"<p>{html.escape(comparison.facts)}</p><code>{html.escape(comparison.command)}</code></section>",
    ]
    sections[-1:-1] = _films(contenders, MOST_BYTES - 100_000 - sum(len(one.encode()) for one in sections))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(comparison.title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{html.escape(comparison.title)}</h1></header><main>{''.join(sections)}</main></body></html>"
    )


def _table(table: Table) -> str:
    head = "".join(f"<th scope='col'><span>{html.escape(name)}</span></th>" for name in table.columns)
    body = "".join(
        f"<tr><th scope='row'><span>{html.escape(row[0])}</span></th>"
        + "".join(f"<td>{html.escape(c)}</td>" for c in row[1:])
        + "</tr>"
        for row in table.rows
    )  # fmt: skip
    return (
        f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
        f"<p class='dim'>{html.escape(table.caption)}</p>"
    )


def _settings(contenders: Sequence[Contender]) -> str:
    rows = [
        [one.curve.name, ", ".join(map(str, one.seeds)), f"{one.curve.timesteps[-1]:,}", one.settings or "defaults"]
        for one in contenders
    ]
    return _table(Table("", ["agent", "seeds", "timesteps", "hyperparameters"], rows)).replace(
        "<table>", "<table class='words'>"
    )


def _legend(curves: Sequence[Curve]) -> str:
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


def _drawing(curves: Sequence[Curve], unit: str, places: Callable[[Curve], NDArray[Any]]) -> str:
    """The curves over an axis, as SVG."""
    xs = [np.asarray(places(curve), np.float64) for curve in curves]
    known = [i for i, x in enumerate(xs) if np.isfinite(x).all()]
    if not known:
        return ""
    longest, shortest = max(float(xs[i][-1]) for i in known), min(float(xs[i][-1]) for i in known)
    first = min(float(xs[i][0]) for i in known)
    logarithmic = longest / max(shortest, 1e-9) > _LOGARITHMIC
    shown = value_range(list(curves))
    low, high = shown or (min(float(c.returns.min()) for c in curves), max(float(c.returns.max()) for c in curves))
    margin = 0.05 * (high - low)
    x_axis = _Axis(first if logarithmic else 0.0, longest, _LEFT, _WIDTH - _RIGHT, logarithmic=logarithmic)
    y_axis = _Axis(low - margin, high + margin, _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f"<svg viewBox='0 0 {_WIDTH:g} {_HEIGHT:g}' role='img' aria-label='return by {unit}'>"
        f"<clipPath id='area-{unit}'><rect x='{_LEFT}' y='{_TOP}' width='{_WIDTH - _LEFT - _RIGHT}' "
        f"height='{_HEIGHT - _TOP - _BOTTOM}'/></clipPath>"
    ]
    for tick in y_axis.ticks():
        y = y_axis(tick)
        parts.append(f"<line class='grid' x1='{_LEFT}' x2='{_WIDTH - _RIGHT}' y1='{y:.1f}' y2='{y:.1f}'/>"
                     f"<text x='{_LEFT - 8}' y='{y + 4:.1f}' text-anchor='end'>{_short(tick)}</text>")  # fmt: skip
    for tick in x_axis.ticks():
        x = x_axis(tick)
        parts.append(f"<line class='grid' x1='{x:.1f}' x2='{x:.1f}' y1='{_TOP}' y2='{_HEIGHT - _BOTTOM}'/>"
                     f"<text x='{x:.1f}' y='{_HEIGHT - _BOTTOM + 20}' text-anchor='middle'>{_short(tick)}"
                     "</text>")  # fmt: skip
    scale = ", logarithmic" if x_axis.logarithmic else ""
    parts.append(f"<text x='{(_LEFT + _WIDTH - _RIGHT) / 2}' y='{_HEIGHT - 4}' text-anchor='middle' class='unit'>"
                 f"{unit}{scale}</text><g clip-path='url(#area-{unit})'>")  # fmt: skip
    points = _points_of(curves)
    for i in known:
        curve, every = curves[i], xs[i]
        colour = f"c{i % len(COLOURS)}"
        kept = np.unique(np.linspace(0, len(every) - 1, min(points, len(every))).round().astype(int))
        at, limits, centre = every[kept], curve.intervals[kept], curve.centre[kept]
        if np.isfinite(limits).all():
            upper = [f"{x_axis(a):.1f},{y_axis(b):.1f}" for a, b in zip(at, limits[:, 1], strict=True)]
            lower = [f"{x_axis(a):.1f},{y_axis(b):.1f}" for a, b in zip(at, limits[:, 0], strict=True)]
            parts.append(f"<polygon class='band {colour}' points='{' '.join(upper + lower[::-1])}'/>")
        for run in curve.returns if len(curve.returns) > 1 else []:
            parts.append(f"<polyline class='run {colour}' points='{_points(x_axis, y_axis, at, run[kept])}'/>")
        parts.append(
            f"<polyline class='mean {colour}' stroke-dasharray='{_dash(i)}' "
            f"points='{_points(x_axis, y_axis, at, centre)}'/>"
        )
        for a, b, t in zip(at, centre, curve.timesteps[kept], strict=True):
            words = f"{html.escape(curve.name)}: {number(float(b))} after {counted(t, 'timestep')}"
            parts.append(f"<circle class='dot {colour}' cx='{x_axis(a):.1f}' cy='{y_axis(b):.1f}' r='4'>"
                         f"<title>{words}</title></circle>")  # fmt: skip
    return "".join([*parts, "</g></svg>"])


def _dash(i: int) -> str:
    """The dashes of a curve: those of one colour differ."""
    return _DASHES[(i + i // len(COLOURS)) % len(_DASHES)]


def _points_of(curves: Sequence[Curve]) -> int:
    """The most points of a curve that are drawn, so that two drawings leave room on the page."""
    size = sum(200 + len(curve.name) + 14 * len(curve.returns) for curve in curves)  # bytes of one point of each
    return max(min(_MOST_BYTES_OF_DRAWING // size, 400), 20)


def _points(x_axis: _Axis, y_axis: _Axis, xs: NDArray[np.float64], ys: NDArray[np.float64]) -> str:
    return " ".join(f"{x_axis(x):.1f},{y_axis(y):.1f}" for x, y in zip(xs, ys, strict=True))


def _short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def _films(contenders: Sequence[Contender], room: int) -> list[str]:
    """An episode of each agent as a moving picture, all of them together within the room."""
    shown = [one for one in contenders if one.film]
    if not shown:
        return []
    figures = []
    for one in shown:
        data = base64.b64encode(_gif(one.film, int(room / len(shown) * 0.74))).decode()
        name = html.escape(one.curve.name)
        figures.append(
            f"<figure><img alt='an episode of {name}' src='data:image/gif;base64,{data}'>"
            f"<figcaption><b>{name}</b> {html.escape(one.film_words)}</figcaption></figure>"
        )
    return [f"<section class='wide'><h2>An episode of each</h2><div class='films'>{''.join(figures)}</div></section>"]


def _gif(frames: Sequence[NDArray[np.uint8]], room: int) -> bytes:
    """Frames as a gif of at most so many bytes: smaller pictures, then fewer of them."""
    from PIL import Image

    for width, every in ((320, 1), (240, 1), (240, 2), (160, 2), (120, 3), (96, 6)):
        chosen = frames[::every]
        images = []
        for frame in chosen:
            image = Image.fromarray(frame)
            small = min(width, image.width)
            image = image.resize((small, max(round(image.height * small / image.width), 1)), Image.Resampling.BOX)
            images.append(image.quantize(48, dither=Image.Dither.NONE))
        file = io.BytesIO()
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=40 * every, loop=0, optimize=True)
        if file.tell() <= room:
            break
    return file.getvalue()
