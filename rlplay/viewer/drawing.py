"""Drawing by hand: text, bars, lines. Native pygame: a panel costs well under a millisecond."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.viewer.numbers import short as short  # noqa: PLC0414 - d.short in every panel

Color = tuple[int, int, int]


class Theme(NamedTuple):
    """The colours of the window. Meaning is never told by colour alone; blue, orange and green are Okabe & Ito's."""

    background: Color
    panel: Color
    line: Color
    text: Color
    dim: Color
    accent: Color
    good: Color
    warm: Color
    bad: Color
    soft: Color
    nothing: Color


THEMES = {
    "dark": Theme(
        background=(21, 24, 31), panel=(32, 36, 46), line=(58, 64, 79), text=(226, 230, 238), dim=(150, 158, 176),
        accent=(96, 165, 250), good=(84, 205, 150), warm=(244, 166, 84), bad=(238, 108, 106), soft=(58, 88, 120),
        nothing=(45, 50, 62),
    ),
    "light": Theme(
        background=(229, 232, 238), panel=(250, 251, 253), line=(206, 211, 221), text=(26, 30, 40), dim=(86, 94, 110),
        accent=(0, 90, 160), good=(0, 108, 76), warm=(154, 72, 0), bad=(176, 36, 36), soft=(176, 205, 232),
        nothing=(222, 226, 233),
    ),
}  # fmt: skip

# The colours of the theme in use; `use` changes them.
BACKGROUND, PANEL, LINE, TEXT, DIM, ACCENT, GOOD, WARM, BAD, SOFT, NOTHING = THEMES["dark"]
_scale = 1.0  # how much larger than usual words and lines are

_MOST_SHORTENED = 200
_SPOKEN = 6  # numbers of a vector that are written out

shortened: list[tuple[pygame.Rect, str]] = []  # texts that were cut since the list was cleared, and where they stand


def use(name: str = "dark", zoom: float = 1.0) -> None:
    """Draw in a theme from here on, larger by a factor.

    Example:
        >>> use("light")
        >>> theme() == THEMES["light"]
        True
        >>> use()
    """
    names = [name.upper() for name in Theme._fields]
    globals().update(zip(names, THEMES[name], strict=True))
    globals()["_scale"] = zoom


def theme() -> Theme:
    """The colours in use.

    Example:
        >>> theme().panel == PANEL
        True
    """
    return Theme(BACKGROUND, PANEL, LINE, TEXT, DIM, ACCENT, GOOD, WARM, BAD, SOFT, NOTHING)


def px(pixels: float) -> int:
    """A length at the window's zoom, in pixels.

    Example:
        >>> px(12.4)
        12
    """
    return round(pixels * _scale)


# Anchors of a colour scale that is even to the eye and safe for colour-blind people (after viridis).
_SCALE = np.array(
    [(68, 1, 84), (70, 50, 127), (54, 92, 141), (39, 127, 142),
     (31, 161, 135), (74, 194, 109), (159, 218, 58), (253, 231, 37)],
    dtype=np.float64,
)  # fmt: skip


def font(size: int) -> pygame.font.Font:
    """The font that comes with pygame, so that the window looks the same everywhere.

    Fonts do not outlive ``pygame.quit()``, which most environments call when they are closed: they are made anew. The
    other build of pygame does not say that a font is dead: drawing with it is a crash.
    """
    if not pygame.font.get_init():
        _new_font.cache_clear()
    found = _new_font(px(size))
    try:
        found.get_height()
    except pygame.error:
        _new_font.cache_clear()
        found = _new_font(px(size))
    return found


@cache
def _new_font(size: int) -> pygame.font.Font:
    pygame.font.init()
    pygame.register_quit(_new_font.cache_clear)
    return pygame.font.Font(None, size)


def text(
    surface: pygame.Surface,
    words: str,
    place: tuple[float, float],
    size: int = 20,
    color: Color | None = None,
    anchor: str = "topleft",
    width: float = math.inf,
) -> pygame.Rect:
    """Draw one line of text, shortened to a width; returns its rectangle. What was cut is kept in `shortened`.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> text(surface, "42", (10, 5)).topleft
        (10, 5)
    """
    glyphs, whole = font(size), words
    if glyphs.size(words)[0] > width:
        while words and glyphs.size(words + "...")[0] > width:
            words = words[:-1]
        words += "..."
    image = glyphs.render(words, True, TEXT if color is None else color)
    rect = image.get_rect(**{anchor: (round(place[0]), round(place[1]))})
    surface.blit(image, rect)
    if words != whole and len(shortened) < _MOST_SHORTENED:
        shortened.append((rect, whole))
    return rect


def fitting(words: str, width: float, *sizes: int) -> int:
    """The first of some sizes at which words fit into a width, the last one where none does.

    Example:
        >>> pygame.font.init()
        >>> fitting("a short title", 1000, 20, 17), fitting("a title that is too long", 10, 20, 17)
        (20, 17)
    """
    return next((size for size in sizes if font(size).size(words)[0] <= width), sizes[-1])


def height_of(size: int) -> int:
    """The height of a line of text, in pixels, with some air."""
    return font(size).get_height() + px(5)


def panel(surface: pygame.Surface, rect: Any, title: str = "", note: str = "") -> pygame.Rect:
    """A panel's ground and title; returns the space inside. A note that has no room beside the title goes below it."""
    box = pygame.Rect(*rect)
    pygame.draw.rect(surface, PANEL, box, border_radius=px(6))
    if not title:
        return box.inflate(-px(16), -px(16))
    room = box.width - px(24)
    used = text(surface, title, (box.x + px(12), box.y + px(9)), fitting(title, room, 20, 17, 14), width=room)
    top = box.y + px(32)
    if note and box.width - used.width - px(40) > font(18).size(note)[0]:
        text(surface, note, (box.right - px(12), box.y + px(10)), 18, DIM, "topright")
    elif note:
        text(surface, note, (box.x + px(12), top - px(4)), fitting(note, room, 18, 16, 14), DIM, width=room)
        top += px(16)
    return pygame.Rect(box.x + px(12), top, box.width - px(24), max(box.bottom - top - px(10), 1))


def fit(size: tuple[int, int], box: pygame.Rect) -> pygame.Rect:
    """The largest rectangle of a size's proportions in the middle of a box."""
    scale = min(box.width / size[0], box.height / size[1])
    width, height = max(int(size[0] * scale), 1), max(int(size[1] * scale), 1)
    return pygame.Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)


class Picture:
    """An image scaled into a box; scaled again only when the image or the box is another."""

    def __init__(self) -> None:
        self._of: NDArray[np.uint8] | None = None
        self.box = pygame.Rect(0, 0, 0, 0)  # where it was drawn last
        self._scaled = pygame.Surface((0, 0))

    def draw(self, surface: pygame.Surface, pixels: NDArray[np.uint8], box: pygame.Rect) -> None:
        """Draw an image of shape [H, W, 3] in the middle of a box."""
        height, width, _ = pixels.shape
        target = fit((width, height), box)
        if pixels is not self._of or self._scaled.get_size() != target.size:
            image = pygame.image.frombuffer(np.ascontiguousarray(pixels).tobytes(), (width, height), "RGB")
            self._of, self._scaled = pixels, pygame.transform.smoothscale(image, target.size)
        surface.blit(self._scaled, target)
        self.box = target


ROW = 24  # pixels of a row of bars at zoom 1, at least
_SMALLEST = 10  # size of its font


def bars(
    surface: pygame.Surface,
    box: pygame.Rect,
    names: Sequence[str],
    values: Sequence[float],
    probabilities: Sequence[float] | None = None,
    best: set[int] | frozenset[int] = frozenset(),
    taken: set[int] | frozenset[int] = frozenset(),
    *,
    span: tuple[float, float] | None = None,
    percent: bool = False,
) -> None:
    """A row an action: name, bar from zero, number, probability; a diamond at the best, a triangle at the one taken.

    Args:
        surface: what is drawn on.
        box: where.
        names: of the rows.
        values: of the rows.
        probabilities: of the rows; None for no column of them.
        best: the best rows.
        taken: the rows that were taken.
        span: lowest and highest value of the axis; that of the values by default.
        percent: whether the values are shares, written as per cent.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 60))
        >>> bars(surface, surface.get_rect(), ["left", "right"], [0.0, 2.0], None, {1}, {0})
        >>> surface.get_bounding_rect().width > 100
        True
    """
    row = min(box.height / max(len(values), 1), px(34))
    size = 20 if row >= px(20) else max(int(row / _scale), 10)
    words = [f"{100 * value:.0f} %" if percent else short(value) for value in values]

    def widths(size: int) -> tuple[float, float, float]:
        """Of the names, the numbers and the probabilities."""
        longest, digits = (max((font(size).size(one)[0] for one in ones), default=0) for ones in (names, words))
        share = font(size).size("100 %")[0] + px(12) if probabilities is not None else 0
        return min(longest + px(30), box.width * 0.4), digits + px(10), share

    while size > _SMALLEST and sum(widths(size)) + px(10) > box.width:
        size -= 1
    label, number, share = widths(size)
    width = max(box.width - label - number - share, px(10))
    label = box.width - width - number - share  # narrower where nothing else gives way: the names are cut
    finite = [value for value in values if math.isfinite(value)]
    low, high = span or (min([0.0, *finite]), max([0.0, *finite]))
    extent = (high - low) or 1.0

    def place(value: float) -> float:
        return box.x + label + width * min(max((value - low) / extent, 0.0), 1.0)

    for i, value in enumerate(values):
        y, middle = box.y + i * row, box.y + (i + 0.5) * row
        if math.isfinite(value):
            ends = sorted((place(0.0), place(value)))
            bar = pygame.Rect(
                round(ends[0]), round(y + row * 0.22), max(round(ends[1] - ends[0]), 1), round(row * 0.56)
            )
            pygame.draw.rect(surface, GOOD if i in best else ACCENT, bar, border_radius=2)
        if i in taken:
            triangle(surface, (box.x + px(5), middle), "right", row * 0.22, WARM)
        if i in best:
            diamond(surface, (box.x + px(16), middle), row * 0.16, GOOD)
        text(surface, names[i], (box.x + px(25), middle), size, TEXT, "midleft", label - px(30))
        text(surface, words[i], (box.x + label + width + number, middle), size, TEXT, "midright")
        if probabilities is not None:
            text(surface, f"{100 * probabilities[i]:.0f} %", (box.right, middle), size, DIM, "midright")
    zero = place(0.0)
    pygame.draw.line(surface, LINE, (zero, box.y), (zero, box.y + row * len(values)))


def more(surface: pygame.Surface, rect: Any, shown: range, count: int) -> None:
    """Say which rows of a list are shown, where it has more, and draw where they lie in it.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((300, 60))
        >>> more(surface, surface.get_rect(), range(2, 4), 9)  # 3 to 4 of 9
        >>> surface.get_bounding_rect().width > 100
        True
    """
    if len(shown) >= count:
        return
    words = f"{shown.start + 1} to {shown.stop} of {count}: wheel, or page down"
    text(surface, words, (rect.x + rect.width - px(12), rect.y + rect.height - px(4)), 15, DIM, "bottomright",
         width=rect.width - px(16))  # fmt: skip
    bar = pygame.Rect(rect.x + rect.width - px(6), rect.y + px(6), px(3), rect.height - px(12))
    pygame.draw.rect(surface, LINE, bar, border_radius=2)
    top, tall = bar.y + bar.height * shown.start / count, max(bar.height * len(shown) / count, 4)
    pygame.draw.rect(surface, DIM, (bar.x, round(top), bar.width, round(tall)), border_radius=2)


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


def spread(
    surface: pygame.Surface,
    box: pygame.Rect,
    name: str,
    mean: float,
    std: float | None,
    bounds: tuple[float, float],
    taken: float | None,
) -> None:
    """A continuous action on the axis of its bounds: its mean, a band of one deviation, and what was taken.

    Args:
        surface: what is drawn on.
        box: where; three lines of text high.
        name: of the action.
        mean: of the policy.
        std: its standard deviation; None where the agent has none.
        bounds: of the action; infinite ones are replaced by what the mean needs.
        taken: what was done; None for nothing yet.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((300, 60))
        >>> spread(surface, surface.get_rect(), "torque", 0.5, 0.1, (-2.0, 2.0), None)
        >>> surface.get_bounding_rect().width > 200
        True
    """
    wide = abs(mean) + 3 * (std or 0.0) + 1
    low, high = (bound if abs(bound) < 1e6 else math.copysign(wide, bound) for bound in bounds)
    words = f"{name}   mean {short(mean)}" + ("" if std is None else f"   std {short(std)}")
    if taken is not None:
        words += f"   taken {short(taken)}"
    text(surface, words, (box.x, box.y), 18, width=box.width)
    y, left, width = box.y + px(26), box.x + px(4), box.width - px(8)

    def place(value: float) -> int:
        return round(left + width * min(max((value - low) / ((high - low) or 1.0), 0.0), 1.0))

    pygame.draw.line(surface, LINE, (left, y), (left + width, y), px(2))
    for tick in (low, (low + high) / 2, high):
        pygame.draw.line(surface, DIM, (place(tick), y - px(3)), (place(tick), y + px(3)))
    if std is not None:
        band = pygame.Rect(place(mean - std), y - px(5), max(place(mean + std) - place(mean - std), 1), px(10))
        pygame.draw.rect(surface, SOFT, band, border_radius=px(3))
    pygame.draw.line(surface, GOOD, (place(mean), y - px(8)), (place(mean), y + px(8)), px(3))
    if taken is not None:
        triangle(surface, (place(taken), y - px(7)), "down", px(5), WARM)
    for tick, anchor in ((low, "topleft"), ((low + high) / 2, "midtop"), (high, "topright")):
        at = left if anchor == "topleft" else left + width if anchor == "topright" else left + width / 2
        text(surface, short(tick), (at, y + px(8)), 15, DIM, anchor)


SPREAD = 54  # pixels of a row of `spread` at zoom 1


def action_mark(surface: pygame.Surface, center: tuple[float, float], name: str, size: float, color: Color) -> None:
    """An arrow for an action that is a direction, its first letter for another."""
    direction = _DIRECTIONS.get(name.casefold())
    if direction is None:
        letter = name[:1].upper() if not name.isdigit() else name
        text(surface, letter, center, max(int(size * 1.4 / _scale), 10), color, "center")
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


def diamond(surface: pygame.Surface, center: tuple[float, float], size: float, color: Color) -> None:
    """A small filled diamond."""
    x, y = center
    pygame.draw.polygon(surface, color, [(x - size, y), (x, y - size), (x + size, y), (x, y + size)])


def brief(value: object) -> str:
    """An action or observation of any space in few characters.

    Example:
        >>> brief({"gear": 1, "push": np.array([-0.752, 0.384])}), brief(np.array([2.0])), brief(np.zeros((2, 3)))
        ('gear 1, push (-0.752, 0.384)', '2', '2 x 3 numbers, 0 to 0')
    """
    if isinstance(value, np.ndarray) and value.ndim > 1:
        return (
            f"{' x '.join(map(str, value.shape))} numbers, {short(float(value.min()))} to {short(float(value.max()))}"
        )
    if isinstance(value, np.ndarray):
        words = [short(float(number)) for number in np.ravel(value)[:_SPOKEN]]
        if value.size == 1:
            return words[0]
        return f"({', '.join(words)}{', ...' if value.size > _SPOKEN else ''})"
    if isinstance(value, dict):
        return ", ".join(f"{key} {brief(part)}" for key, part in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(brief, value))
    return str(value)
