"""Charts of the window: the curve of returns, and maps of values as colours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.viewer import drawing as d


def curve(
    surface: pygame.Surface,
    box: pygame.Rect,
    values: Sequence[float],
    numbers: Sequence[float],
    words: str = "episode",
    played: Sequence[float] = (),
    window: int | None = None,
    nothing: str = "no episode has ended yet",
) -> None:
    """Values of numbered episodes as dots, their running mean as a line, with the range at the left.

    Args:
        surface: what is drawn on.
        box: where.
        values: one an episode.
        numbers: where each stands: its number from 1, or the timestep of its end.
        words: what the numbers are.
        played: values of episodes that were played beside, shown in a strip of their own at the right.
        window: episodes of the running mean; see `mean_window`.
        nothing: what is said where there are no values.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> curve(surface, surface.get_rect(), [1.0, 3.0, 2.0], [1, 2, 3])
        >>> surface.get_bounding_rect().width > 100
        True
    """
    both = np.asarray([*values, *played], dtype=np.float64)
    both = both[np.isfinite(both)]
    if not len(both):
        d.text(surface, nothing, box.center, 18, d.DIM, "center", box.width)
        return
    low, high = float(both.min()), float(both.max())
    if high == low:  # one level: in the middle
        low, high = low - 0.5, high + 0.5
    marks = [float(both.min()), float(both.max())] if both.max() > both.min() else [float(both.min())]
    margin = max(d.font(16).size(d.short(mark))[0] for mark in marks) + d.px(8)
    strip = d.px(64) if len(values) and len(played) else 0
    plot = pygame.Rect(
        box.x + margin, box.y + d.px(4), max(box.width - margin - d.px(4) - strip, 2), box.height - d.px(20)
    )
    level = plot.bottom - (np.asarray(values, dtype=np.float64) - low) / (high - low) * plot.height
    for mark in marks:
        y = plot.bottom - (mark - low) / (high - low) * plot.height
        pygame.draw.line(surface, d.LINE, (plot.x, y), (plot.right + strip, y))
        d.text(surface, d.short(mark), (plot.x - d.px(6), y), 16, d.DIM, "midright")
    if strip:
        side = pygame.Rect(plot.right + d.px(10), plot.y, strip - d.px(10), plot.height)
        pygame.draw.line(surface, d.LINE, (side.x - d.px(4), side.y), (side.x - d.px(4), side.bottom))
        _dots(surface, side, np.asarray(played[-_PLAYED:], dtype=np.float64), low, high)
        d.text(surface, "played", (side.right, box.bottom), 16, d.DIM, "bottomright")
    elif not len(values):
        _dots(surface, plot, np.asarray(played, dtype=np.float64), low, high)
        d.text(surface, f"{len(played)} played here", (plot.right, box.bottom), 16, d.DIM, "bottomright")
        return
    count = len(values)
    keep = np.unique(np.linspace(0, count - 1, min(count, plot.width * 2)).astype(int))
    numbered = np.asarray(numbers, dtype=np.float64)
    x = plot.x + (numbered[keep] - numbered[0]) / max(numbered[-1] - numbered[0], 1) * (plot.width - 1)
    dot = d.px(3) if count <= plot.width / 2 else 1
    for px_, py_ in zip(x, level[keep], strict=True):
        surface.fill(d.DIM, (int(px_) - 1, int(py_) - 1, dot, dot))
    mean = running_mean(np.asarray(values, dtype=np.float64), window or mean_window(count))
    line = plot.bottom - (mean[keep] - low) / (high - low) * plot.height
    points = [(float(a), float(b)) for a, b in zip(x, line, strict=True)]
    if len(points) > 1:
        pygame.draw.aalines(surface, d.WARM, False, points)
        pygame.draw.lines(surface, d.WARM, False, points, 2)
    d.text(surface, f"{int(numbers[0]):,}", (plot.x, box.bottom), 16, d.DIM, "bottomleft")
    d.text(surface, f"{words} {int(numbers[-1]):,}", (plot.right, box.bottom), 16, d.DIM, "bottomright")


_PLAYED = 40  # episodes beside the curve that are shown, the newest


def _dots(surface: pygame.Surface, box: pygame.Rect, values: NDArray[np.float64], low: float, high: float) -> None:
    """Values as dots from left to right, the newest largest."""
    for i, value in enumerate(values):
        x = box.x + box.width * (i + 0.5) / len(values)
        y = box.bottom - (value - low) / (high - low) * box.height
        pygame.draw.circle(surface, d.ACCENT, (x, y), d.px(4 if i == len(values) - 1 else 2))


def mean_window(count: int) -> int:
    """Episodes of the running mean over a curve of so many: 20, or a sixtieth.

    Example:
        >>> mean_window(7), mean_window(100), mean_window(6000)
        (7, 20, 100)
    """
    return max(min(20, count), count // 60)


def running_mean(y: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of the last ``window`` values up to each, fewer at the start; shape as y."""
    total = np.cumsum(np.insert(y, 0, 0.0))
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


FLAT = 0.55  # the place on the colour scale of a map that has one value everywhere


def heat(
    surface: pygame.Surface,
    box: pygame.Rect,
    values: NDArray[np.float64],
    regions: NDArray[np.int64],
    best: NDArray[np.int64],
) -> None:
    """Values as colours, rows upwards; dark lines between regions, light ones where the best action changes; [R, C].

    Example:
        >>> surface = pygame.Surface((20, 20))
        >>> nothing = np.zeros((2, 2), np.int64)
        >>> heat(surface, surface.get_rect(), np.array([[0.0, 1.0], [2.0, 3.0]]), nothing, nothing)
        >>> surface.get_at((2, 2)) != surface.get_at((18, 18))
        True
    """
    arrays, size = (values, regions, best), (*box.size, d.px(100))
    if not (
        _heated.size == size and all(np.array_equal(old, new) for old, new in zip(_heated.arrays, arrays, strict=True))
    ):
        _heated.surface = pygame.Surface(box.size)
        _heated.arrays, _heated.size = tuple(array.copy() for array in arrays), size
        _draw_heat(_heated.surface, _heated.surface.get_rect(), values, regions, best)
    surface.blit(_heated.surface, box.topleft)


class _Heated:
    """The heat map that was drawn last: it stays the same for many frames, and its lines are many."""

    def __init__(self) -> None:
        self.arrays: tuple[NDArray[Any], ...] = (np.zeros(0),) * 3
        self.size: tuple[float, ...] = ()
        self.surface = pygame.Surface((0, 0))


_heated = _Heated()


@cache
def _heat_table() -> NDArray[np.uint8]:
    """Colours of 256 shares, [256, 3]."""
    return np.array([d.scale_color(i / 255) for i in range(256)], np.uint8)


def _draw_heat(
    surface: pygame.Surface, box: pygame.Rect, values: NDArray[np.float64], regions: NDArray[np.int64],
    best: NDArray[np.int64],
) -> None:  # fmt: skip
    low, high = values.min(), values.max()
    shares = (values - low) / (high - low) if high > low else np.full_like(values, FLAT)
    pixels = np.ascontiguousarray(_heat_table()[(shares[::-1] * 255).astype(int)])  # [R, C, 3]
    rows, columns = values.shape
    small = pygame.image.frombuffer(pixels.tobytes(), (columns, rows), "RGB")
    surface.blit(pygame.transform.scale(small, box.size), box.topleft)
    for numbers, color, width in ((regions[::-1], (24, 27, 35), 1), (best[::-1], (240, 242, 248), 2)):
        if numbers.max() <= numbers.min():
            continue
        for row, column in np.argwhere(numbers[:, 1:] != numbers[:, :-1]):
            x = box.x + round((column + 1) * box.width / columns)
            top, bottom = (box.y + round(edge * box.height / rows) for edge in (row, row + 1))
            pygame.draw.line(surface, color, (x, top), (x, bottom), width)
        for row, column in np.argwhere(numbers[1:] != numbers[:-1]):
            y = box.y + round((row + 1) * box.height / rows)
            left, right = (box.x + round(edge * box.width / columns) for edge in (column, column + 1))
            pygame.draw.line(surface, color, (left, y), (right, y), width)
