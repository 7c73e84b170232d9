"""A comparison of agents as one page for a browser: curves, tables, an episode of each, and what was run.

The page loads nothing from elsewhere and runs no script: its Content-Security-Policy allows pictures that are in it and
its one style, by its hash. Curves are drawn as SVG; what comes from users is text, never markup. Tables of many pairs
are folded.
"""

from __future__ import annotations

import base64
import html
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rlplay.reports import comparison as tables
from rlplay.reports.comparison import MOST_NAMED, Comparison, Contender, Table
from rlplay.reports.curve_svg import MOST_BANDS, MOST_RUNS, Drawing, legend, points_of
from rlplay.reports.curves import CUT_AFTER, Curve, value_range
from rlplay.reports.replay_page import asset, check_page, sha256
from rlplay.storage.files import write_atomically

MOST_BYTES = 3_000_000  # of a page
_MOST_ROWS = 10  # of a table of pairs that is not folded
_PALETTE_FRAMES = 16  # of a film, whose colours all others take


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
    return write_atomically(path, render(comparison).encode(errors="backslashreplace"))


def render(comparison: Comparison) -> str:
    """The page as text."""
    style = asset("compare.css")
    policy = f"default-src 'none'; img-src data:; style-src '{sha256(style)}'; base-uri 'none'; form-action 'none'"
    contenders = comparison.contenders
    curves = [one.curve for one in contenders]
    before = [
        *_failures(comparison),
        *_drawings(curves),
        _section("Results", _table(tables.results(comparison), "Results")),
        *_pairs(comparison),
    ]
    after = [
        *([_section("What a step costs", _table(tables.costs(comparison), "What a step costs"))]
          if any(one.costs for one in contenders) else []),
        _section("What was run", f"{_settings(contenders)}<p>{html.escape(comparison.facts)}</p>"
                 f"<code>{html.escape(comparison.command)}</code>"),
    ]  # fmt: skip
    room = MOST_BYTES - 100_000 - sum(len(one) for one in [*before, *after])
    sections = [*before, *_films(contenders, room), *after]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(comparison.title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{html.escape(comparison.title)}</h1></header><main>{''.join(sections)}</main></body></html>"
    )


def _section(title: str, content: str, kind: str = "wide") -> str:
    return f"<section class='{kind}'><h2>{title}</h2>{content}</section>"


def _failures(comparison: Comparison) -> list[str]:
    """The runs that are not on the page, first of all."""
    if not comparison.failed:
        return []
    return [_section("Failed", _table(tables.failures(comparison), "Failed", "words"), "wide failed")]


def _drawings(curves: Sequence[Curve]) -> list[str]:
    """Returns by timesteps and by seconds; where many are drawn together each of them alone too, folded."""
    bands, runs = len(curves) <= MOST_BANDS, len(curves) <= MOST_RUNS
    drawn = "One run of each."
    if any(len(curve.returns) > 1 for curve in curves):
        words = "; the band is its 95 % bootstrap interval" * bands + ", thin lines are the runs" * runs
        drawn = f"Interquartile mean over the seeds{words}."
    if value_range(list(curves)):
        drawn += f" Evaluations in which an episode was cut after {CUT_AFTER:,} steps may lie off the axis."
        if off := [curve.name for curve in curves if curve.cut is not None and curve.cut.all()]:
            drawn += f" Of {', '.join(off)} all were."
    if (points := points_of(curves)) < max(len(curve.timesteps) for curve in curves):
        drawn += f" Of more than {points} evaluations {points} are drawn."
    unknown = [curve.name for curve in curves if math.isnan(curve.speed)]
    untimed = f" The speed of {', '.join(unknown)} is not known." if unknown else ""
    steps = Drawing(curves, [curve.timesteps for curve in curves], "timesteps")
    seconds = Drawing(curves, [curve.timesteps / curve.speed for curve in curves], "seconds")
    slow = f"Timesteps over the median speed of learning; evaluations are not counted.{untimed}"
    sections = [
        _section(f"Return by {unit}", f"{legend(curves)}{drawing.all()}<p class='dim'>{html.escape(words)}</p>", "half")
        for unit, drawing, words in (("timesteps", steps, drawn), ("seconds of learning", seconds, slow))
    ]
    if not runs:
        words = "The band is the 95 % bootstrap interval of the interquartile mean, thin lines are the runs."
        figures = "".join(
            f"<figure>{one}<figcaption><b>{html.escape(curve.name)}</b></figcaption></figure>"
            for one, curve in zip(steps.each(), curves, strict=True)
        )
        content = f"<div class='curves'>{figures}</div><p class='dim'>{words}</p>"
        sections.append(_section("Each alone", _folded(f"{len(curves)} curves with their intervals", content)))
    return sections


def _pairs(comparison: Comparison) -> list[str]:
    """Which is better: of many agents a matrix, and the intervals folded."""
    if len(comparison.contenders) < 2:
        return []
    if len(comparison.contenders) <= MOST_NAMED:
        found = [_section("Which is better", _table(tables.improvements(comparison), "Which is better"))]
    else:
        pairs = tables.improvement_of_pairs(comparison)
        content = _table(tables.matrix(comparison), "Which is better", "matrix")
        content += _folded(f"{len(pairs.rows)} pairs with their 95 % bootstrap intervals", _table(pairs, "Pairs"))
        found = [_section("Which is better", content)]
    if comparison.paired:
        made = tables.differences(comparison)
        shown = _table(made, "On the same seeds")
        many = len(made.rows) > _MOST_ROWS
        found.append(_section("On the same seeds", _folded(f"{len(made.rows)} pairs", shown) if many else shown))
    return found


def _folded(words: str, content: str) -> str:
    return f"<details><summary>{html.escape(words)}</summary>{content}</details>"


def _table(table: Table, label: str, kind: str = "") -> str:
    """A table, which can be scrolled sideways also by keys; cells of a matrix are tinted by their numbers."""
    head = "".join(f"<th scope='col'><span>{html.escape(name)}</span></th>" for name in table.columns)
    body = "".join(
        f"<tr><th scope='row'><span>{html.escape(row[0])}</span></th>"
        + "".join(
            f"<td{_of_cell(kind, name, c)}>{html.escape(c)}</td>"
            for name, c in zip(table.columns[1:], row[1:], strict=True)
        )
        + "</tr>"
        for row in table.rows
    )
    caption = f"<p class='dim'>{html.escape(table.caption)}</p>" if table.caption else ""
    return (
        f"<div class='scroll' tabindex='0' role='region' aria-label='{html.escape(label)}'><table class='{kind}'>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{caption}"
    )


def _of_cell(kind: str, column: str, cell: str) -> str:
    """What a cell is: ``p0`` to ``p10`` for 0 to 100 per cent, its column's name where rows become blocks."""
    if kind == "matrix":
        return f" class='p{round(int(cell) / 10)}'" if cell else ""
    return f" data-of='{html.escape(column)}'" if kind == "words" else ""


def _settings(contenders: Sequence[Contender]) -> str:
    rows = [
        [one.curve.name, ", ".join(map(str, one.seeds)), f"{one.curve.timesteps[-1]:,}", one.settings or "defaults"]
        for one in contenders
    ]
    return _table(Table("", ["agent", "seeds", "timesteps", "hyperparameters"], rows), "What was run", "words")


def _films(contenders: Sequence[Contender], room: int) -> list[str]:
    """An episode of each agent as a moving picture, all of them together within the room; or why there is none."""
    shown = [one for one in contenders if one.film]
    if not shown:
        why = "; ".join(dict.fromkeys(one.film_words for one in contenders if one.film_words))
        return [_section("An episode of each", f"<p>No pictures: {html.escape(why)}</p>")] if why else []
    figures = []
    for one in contenders:
        name, words = html.escape(one.curve.name), html.escape(one.film_words)
        pictures = ""
        if one.film:
            moving = base64.b64encode(_gif(one.film, int(room / len(shown) * 0.7), one.film_rate)).decode()
            still = base64.b64encode(_still(one.film[len(one.film) // 2])).decode()
            pictures = (
                f"<picture><source media='(prefers-reduced-motion: reduce)' srcset='data:image/png;base64,{still}'>"
                f"<img alt='an episode of {name}: {words}' src='data:image/gif;base64,{moving}'></picture>"
            )
        figures.append(
            f"<figure>{pictures}<figcaption><b>{name}</b> {words if one.film else f'no picture: {words}'}"
            "</figcaption></figure>"
        )
    return [_section("An episode of each", f"<div class='films'>{''.join(figures)}</div>")]


def _gif(frames: Sequence[NDArray[np.uint8]], room: int, rate: float) -> bytes:
    """Frames as a gif of at most so many bytes: smaller pictures, then fewer of them; all in the colours of some."""
    from PIL import Image

    some = np.concatenate(frames[:: max(len(frames) // _PALETTE_FRAMES, 1)])
    palette = Image.fromarray(some).quantize(64, dither=Image.Dither.NONE)
    for width, every in ((320, 1), (240, 1), (240, 2), (160, 2), (120, 3), (96, 6)):
        images = []
        for frame in frames[::every]:
            image = Image.fromarray(frame)
            small = min(width, image.width)
            image = image.resize((small, max(round(image.height * small / image.width), 1)), Image.Resampling.BOX)
            images.append(image.quantize(palette=palette, dither=Image.Dither.NONE))
        file, duration = io.BytesIO(), round(1000 * every / rate)
        images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=duration, loop=0, optimize=True)
        if file.tell() <= room:
            break
    return file.getvalue()


def _still(frame: NDArray[np.uint8]) -> bytes:
    """A frame alone, for those who want no motion."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(frame).quantize(32, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()
