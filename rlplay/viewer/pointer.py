"""The mouse in the window: what it points at, what it scrolls, what it presses.

Panels say while they are drawn which rectangles can be pressed, what is said where, and how many rows they have; the
pointer answers from what was drawn last.
"""

from __future__ import annotations

import pygame

from rlplay.viewer import drawing as d


class Pointer:
    """Where the mouse is, and how far each panel is scrolled.

    Attributes:
        place: the mouse's pixel; None while it is outside.

    Example:
        >>> pointer = Pointer()
        >>> box = pygame.Rect(0, 0, 100, 50)
        >>> pointer.rows("actions", box, 6, 4)
        range(0, 4)
        >>> pointer.place = (5, 5)
        >>> pointer.scroll(1)
        >>> pointer.rows("actions", box, 6, 4)
        range(1, 5)
    """

    def __init__(self) -> None:
        self.place: tuple[int, int] | None = None
        self._first: dict[str, int] = {}
        self._shown: dict[str, range] = {}
        self._lists: list[tuple[pygame.Rect, str, int]] = []  # where, name, the last first row
        self._buttons: list[tuple[pygame.Rect, str]] = []
        self._said: list[tuple[pygame.Rect, str]] = []

    def clear(self) -> None:
        """Begin a drawing anew."""
        self._lists.clear()
        self._buttons.clear()
        self._said.clear()
        d.shortened.clear()

    def rows(self, name: str, box: pygame.Rect, count: int, fitting: int) -> range:
        """The rows of a list that are shown now, of which so many fit into a box."""
        last = max(count - max(fitting, 1), 0)
        first = min(max(self._first.get(name, 0), 0), last)
        self._first[name] = first
        if last:
            self._lists.append((pygame.Rect(box), name, last))
        self._shown[name] = range(first, min(first + max(fitting, 1), count))
        return self._shown[name]

    @property
    def scrolls(self) -> bool:
        """Whether a list has more rows than are shown."""
        return bool(self._lists)

    def shown(self, name: str) -> range:
        """The rows of a list that were shown last."""
        return self._shown.get(name, range(0))

    def reveal(self, name: str, row: int, fitting: int) -> None:
        """Scroll a list so that a row is shown."""
        first = self._first.get(name, 0)
        self._first[name] = min(max(first, row - max(fitting, 1) + 1), row)

    def button(self, box: pygame.Rect, intent: str, words: str = "") -> bool:
        """Offer a rectangle that can be pressed; returns whether the mouse is over it."""
        self._buttons.append((pygame.Rect(box), intent))
        if words:
            self.say(box, words)
        return self.place is not None and box.collidepoint(self.place)

    def say(self, box: pygame.Rect, words: str) -> None:
        """What is said while the mouse is over a rectangle."""
        self._said.append((pygame.Rect(box), words))

    def scroll(self, rows: int, *, everywhere: bool = False) -> None:
        """The list under the mouse, or every list, moves by so many rows."""
        for box, name, last in self._lists:
            if everywhere or (self.place is not None and box.collidepoint(self.place)):
                self._first[name] = min(max(self._first[name] + rows, 0), last)

    def handle(self, event: pygame.event.Event) -> str | None:
        """Take an event of the mouse, or a key that scrolls; returns the intent of what was pressed, or None."""
        if event.type == pygame.KEYDOWN and event.key in (pygame.K_PAGEDOWN, pygame.K_PAGEUP):
            self.scroll(1 if event.key == pygame.K_PAGEDOWN else -1, everywhere=True)
        elif event.type == pygame.MOUSEMOTION:
            self.place = event.pos
        elif event.type == pygame.WINDOWLEAVE:
            self.place = None
        elif event.type == pygame.MOUSEWHEEL:
            self.scroll(-event.y)
        elif event.type == pygame.MOUSEBUTTONDOWN and event.button == 1:
            self.place = event.pos
            return next((intent for box, intent in reversed(self._buttons) if box.collidepoint(event.pos)), None)
        return None

    def draw(self, surface: pygame.Surface) -> None:
        """Draw what is said where the mouse is; of a text that was cut, the whole."""
        if self.place is None:
            return
        found = [words for box, words in [*d.shortened, *self._said] if box.collidepoint(self.place)]
        if not found:
            return
        width = surface.get_width()
        lines = [part for line in found[-1].split("\n") for part in wrapped(line, 17, width * 0.6)]
        tall, wide = d.height_of(17), max(d.font(17).size(line)[0] for line in lines)
        box = pygame.Rect(self.place[0] + 14, self.place[1] + 18, wide + d.px(16), tall * len(lines) + d.px(10))
        box.clamp_ip(surface.get_rect())
        if box.collidepoint(self.place):
            box.bottom = self.place[1] - 6
        pygame.draw.rect(surface, d.TEXT, box.inflate(2, 2), border_radius=5)
        pygame.draw.rect(surface, d.PANEL, box, border_radius=5)
        for i, line in enumerate(lines):
            d.text(surface, line, (box.x + d.px(8), box.y + d.px(6) + i * tall), 17)


def wrapped(words: str, size: int, width: float) -> list[str]:
    """A text in lines that are no wider; a single word may be.

    Example:
        >>> pygame.font.init()
        >>> wrapped("the quick brown fox", 18, 70)
        ['the quick', 'brown fox']
    """
    glyphs, lines, line = d.font(size), [], ""
    for word in words.split(" "):
        longer = f"{line} {word}" if line else word
        if line and glyphs.size(longer)[0] > width:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]
