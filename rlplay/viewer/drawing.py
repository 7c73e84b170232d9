"""Drawing by hand: text, bars, lines, heat maps. Native pygame: a panel costs well under a millisecond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

Color = tuple[int, int, int]

BACKGROUND: Color = (21, 24, 31)
PANEL: Color = (32, 36, 46)
LINE: Color = (58, 64, 79)
TEXT: Color = (226, 230, 238)
DIM: Color = (142, 150, 168)
ACCENT: Color = (96, 165, 250)
GOOD: Color = (94, 201, 138)
WARM: Color = (244, 166, 84)
BAD: Color = (238, 108, 106)

# Anchors of a colour scale that is even to the eye and safe for colour-blind people (after viridis).
_SCALE = np.array(
    [(68, 1, 84), (70, 50, 127), (54, 92, 141), (39, 127, 142),
     (31, 161, 135), (74, 194, 109), (159, 218, 58), (253, 231, 37)],
    dtype=np.float64,
)  # fmt: skip


def font(size: int) -> pygame.font.Font:
    """The font that comes with pygame, so that the window looks the same everywhere.

    Fonts do not outlive ``pygame.quit()``, which most environments call when they are closed: they are made anew.
    """
    found = _new_font(size)
    try:
        found.get_height()
    except pygame.error:
        _new_font.cache_clear()
        found = _new_font(size)
    return found


@cache
def _new_font(size: int) -> pygame.font.Font:
    pygame.font.init()
    return pygame.font.Font(None, size)


def text(
    surface: pygame.Surface,
    words: str,
    place: tuple[float, float],
    size: int = 20,
    color: Color = TEXT,
    anchor: str = "topleft",
    width: float = math.inf,
) -> pygame.Rect:
    """Draw one line of text, shortened to a width; returns its rectangle.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> text(surface, "42", (10, 5)).topleft
        (10, 5)
    """
    glyphs = font(size)
    if glyphs.size(words)[0] > width:
        while words and glyphs.size(words + "...")[0] > width:
            words = words[:-1]
        words += "..."
    image = glyphs.render(words, True, color)
    rect = image.get_rect(**{anchor: (round(place[0]), round(place[1]))})
    surface.blit(image, rect)
    return rect


def panel(surface: pygame.Surface, rect: Any, title: str = "", note: str = "") -> pygame.Rect:
    """A panel's ground and title; returns the space inside."""
    box = pygame.Rect(*rect)
    pygame.draw.rect(surface, PANEL, box, border_radius=6)
    if not title:
        return box.inflate(-16, -16)
    used = text(surface, title, (box.x + 12, box.y + 9), 20, TEXT, width=box.width - 24)
    if note and box.width - used.width - 40 > font(18).size(note)[0]:
        text(surface, note, (box.right - 12, box.y + 9), 18, DIM, "topright")
    return pygame.Rect(box.x + 12, box.y + 32, box.width - 24, box.height - 42)


def fit(size: tuple[int, int], box: pygame.Rect) -> pygame.Rect:
    """The largest rectangle of a size's proportions in the middle of a box."""
    scale = min(box.width / size[0], box.height / size[1])
    width, height = max(int(size[0] * scale), 1), max(int(size[1] * scale), 1)
    return pygame.Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)


class Picture:
    """An image scaled into a box; scaled again only when the image or the box is another."""

    def __init__(self) -> None:
        self._of: NDArray[np.uint8] | None = None
        self._scaled = pygame.Surface((0, 0))

    def draw(self, surface: pygame.Surface, pixels: NDArray[np.uint8], box: pygame.Rect) -> None:
        """Draw an image of shape [H, W, 3] in the middle of a box."""
        height, width, _ = pixels.shape
        target = fit((width, height), box)
        if pixels is not self._of or self._scaled.get_size() != target.size:
            image = pygame.image.frombuffer(np.ascontiguousarray(pixels).tobytes(), (width, height), "RGB")
            self._of, self._scaled = pixels, pygame.transform.smoothscale(image, target.size)
        surface.blit(self._scaled, target)


def bars(
    surface: pygame.Surface,
    box: pygame.Rect,
    names: Sequence[str],
    values: Sequence[float],
    probabilities: Sequence[float] | None,
    best: set[int],
    taken: int | None,
) -> None:
    """A row an action: name, bar from zero, number, probability; the best in green, the one taken marked.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> bars(surface, surface.get_rect(), ["left", "right"], [0.0, 2.0], None, {1}, None)
        >>> surface.get_bounding_rect().width > 100
        True
    """
    row = min(box.height / max(len(values), 1), 34.0)
    size = 20 if row >= 20 else max(int(row), 10)
    label = min(max(font(size).size(name)[0] for name in names) + 22, box.width * 0.34)
    number = font(size).size("-0000.00")[0] + 6
    share = (font(size).size("100 %")[0] + 10) if probabilities is not None else 0
    width = max(box.width - label - number - share, 10)
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    zero = box.x + label + width * (-low / span)
    for i, value in enumerate(values):
        y = box.y + i * row
        color = GOOD if i in best else ACCENT
        end = box.x + label + width * ((value - low) / span)
        bar = pygame.Rect(round(min(zero, end)), round(y + row * 0.2), max(round(abs(end - zero)), 1), round(row * 0.6))
        pygame.draw.rect(surface, color, bar, border_radius=2)
        middle = y + row / 2
        if i == taken:
            triangle(surface, (box.x + 5, middle), "right", row * 0.24, WARM)
        text(surface, names[i], (box.x + 14, middle), size, TEXT, "midleft", label - 18)
        text(surface, short(value), (box.x + label + width + number, middle), size, TEXT, "midright")
        if probabilities is not None:
            text(surface, f"{100 * probabilities[i]:.0f} %", (box.right, middle), size, DIM, "midright")
    pygame.draw.line(surface, LINE, (zero, box.y), (zero, box.y + row * len(values)))


def curve(surface: pygame.Surface, box: pygame.Rect, values: Sequence[float], numbers: Sequence[int]) -> None:
    """Values of numbered episodes as dots, their running mean as a line, with the range at the left.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> curve(surface, surface.get_rect(), [1.0, 3.0, 2.0], [0, 1, 2])
        >>> surface.get_bounding_rect().width > 100
        True
    """
    if not values:
        text(surface, "no episode has ended yet", box.center, 18, DIM, "center")
        return
    y = np.asarray(values, dtype=np.float64)
    mean = running_mean(y, max(min(20, len(y)), len(y) // 60))
    low, high = float(y.min()), float(y.max())
    span = (high - low) or 1.0
    margin = font(16).size(short(low))[0] if len(short(low)) > len(short(high)) else font(16).size(short(high))[0]
    plot = pygame.Rect(box.x + margin + 8, box.y + 4, box.width - margin - 12, box.height - 20)
    for value in (low, high) if high > low else (low,):
        level = plot.bottom - (value - low) / span * plot.height
        pygame.draw.line(surface, LINE, (plot.x, level), (plot.right, level))
        text(surface, short(value), (plot.x - 6, level), 16, DIM, "midright")
    count = len(y)
    keep = np.unique(np.linspace(0, count - 1, min(count, plot.width * 2)).astype(int))
    numbered = np.asarray(numbers, dtype=np.float64)
    x = plot.x + (numbered[keep] - numbered[0]) / max(numbered[-1] - numbered[0], 1) * plot.width
    dots = plot.bottom - (y[keep] - low) / span * plot.height
    for px, py in zip(x, dots, strict=True):
        surface.fill((74, 98, 138), (int(px), int(py), 2, 2))
    line = plot.bottom - (mean[keep] - low) / span * plot.height
    points = [(float(px), float(py)) for px, py in zip(x, line, strict=True)]
    if len(points) > 1:
        pygame.draw.aalines(surface, WARM, False, points)
        pygame.draw.lines(surface, WARM, False, points, 2)
    text(surface, f"{numbers[0] + 1:,}", (plot.x, box.bottom), 16, DIM, "bottomleft")
    text(surface, f"episode {numbers[-1] + 1:,}", (plot.right, box.bottom), 16, DIM, "bottomright")


def running_mean(y: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean of the last ``window`` values up to each, fewer at the start; shape as y."""
    total = np.cumsum(np.insert(y, 0, 0.0))
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - window, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def scale_color(share: float) -> Color:
    """The colour of a share in [0, 1] of a range."""
    place = min(max(share, 0.0), 1.0) * (len(_SCALE) - 1)
    left = min(int(place), len(_SCALE) - 2)
    r, g, b = _SCALE[left] + (_SCALE[left + 1] - _SCALE[left]) * (place - left)
    return int(r), int(g), int(b)


_DIRECTIONS = {
    "up": (0, -1), "north": (0, -1), "down": (0, 1), "south": (0, 1), "left": (-1, 0), "west": (-1, 0),
    "right": (1, 0), "east": (1, 0),
    "up-right": (1, -1), "down-right": (1, 1), "down-left": (-1, 1), "up-left": (-1, -1),
}  # fmt: skip


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
    low, high = values.min(), values.max()
    shares = (values - low) / (high - low) if high > low else np.zeros_like(values)
    table = np.array([scale_color(i / 255) for i in range(256)], np.uint8)
    pixels = np.ascontiguousarray(table[(shares[::-1] * 255).astype(int)])  # [R, C, 3]
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


def spread(
    surface: pygame.Surface,
    box: pygame.Rect,
    name: str,
    mean: float,
    std: float,
    bounds: tuple[float, float],
    taken: float | None,
) -> None:
    """A continuous action on the axis of its bounds: its mean, a band of one deviation, and what was taken."""
    low, high = (bound if abs(bound) < 1e6 else math.copysign(abs(mean) + 3 * std + 1, bound) for bound in bounds)
    text(surface, f"{name}   mean {mean:+.3f}   std {std:.3f}", (box.x, box.y), 19)
    y, left, width = box.y + 30, box.x + 4, box.width - 8

    def place(value: float) -> int:
        return round(left + width * min(max((value - low) / (high - low), 0.0), 1.0))

    pygame.draw.line(surface, LINE, (left, y), (left + width, y), 2)
    band = pygame.Rect(place(mean - std), y - 5, max(place(mean + std) - place(mean - std), 1), 10)
    pygame.draw.rect(surface, (58, 88, 120), band, border_radius=3)
    pygame.draw.line(surface, GOOD, (place(mean), y - 8), (place(mean), y + 8), 3)
    if taken is not None:
        pygame.draw.circle(surface, WARM, (place(taken), y), 4)


def action_mark(surface: pygame.Surface, center: tuple[float, float], name: str, size: float, color: Color) -> None:
    """An arrow for an action that is a direction, its first letter for another."""
    direction = _DIRECTIONS.get(name.casefold())
    if direction is None:
        letter = name[:1].upper() if not name.isdigit() else name
        text(surface, letter, center, max(int(size * 1.4), 10), color, "center")
        return
    length = math.hypot(*direction)
    dx, dy = direction[0] / length, direction[1] / length
    x, y = center
    tip, tail = (x + dx * size, y + dy * size), (x - dx * size, y - dy * size)
    neck = (x + dx * size * 0.15, y + dy * size * 0.15)
    wing = size * 0.62
    pygame.draw.line(surface, color, tail, neck, max(int(size * 0.28), 1))
    points = [tip, (neck[0] - dy * wing, neck[1] + dx * wing), (neck[0] + dy * wing, neck[1] - dx * wing)]
    pygame.draw.polygon(surface, color, points)


def triangle(surface: pygame.Surface, center: tuple[float, float], toward: str, size: float, color: Color) -> None:
    """A small filled triangle that points somewhere."""
    dx, dy = _DIRECTIONS[toward]
    x, y = center
    tip = (x + dx * size, y + dy * size)
    a, b = (
        (x - dx * size - dy * size, y - dy * size - dx * size),
        (x - dx * size + dy * size, y - dy * size + dx * size),
    )
    pygame.draw.polygon(surface, color, [tip, a, b])


def short(number: float) -> str:
    """A number in few characters."""
    if number == 0:
        return "0"
    if abs(number) >= 10_000 or abs(number) < 0.001:
        return f"{number:.1e}"
    return f"{number:.0f}" if abs(number) >= 1000 else f"{number:.3g}"
