"""How table worlds look: pygame only, apart from their dynamics. Each function draws on a surface it makes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

PAPER, LINE, INK, SOFT = (246, 244, 238), (200, 196, 186), (52, 58, 72), (130, 134, 146)
HERE, GOOD, BAD, WARM, COOL = (58, 110, 200), (88, 178, 110), (196, 92, 72), (236, 190, 96), (206, 228, 240)


def pixels(surface: pygame.Surface) -> NDArray[np.uint8]:
    """A surface as an image [H, W, 3], uint8."""
    width, height = surface.get_size()
    data = np.frombuffer(pygame.image.tobytes(surface, "RGB"), dtype=np.uint8)
    return data.reshape(height, width, 3).copy()


def fit(surface: pygame.Surface, width: int, height: int) -> pygame.Surface:
    """A surface scaled to a size, its proportions kept, on paper."""
    across, down = surface.get_size()
    scale = min(width / across, height / down)
    scaled = pygame.transform.smoothscale(surface, (max(round(across * scale), 1), max(round(down * scale), 1)))
    page = sheet(width, height)
    page.blit(scaled, scaled.get_rect(center=(width // 2, height // 2)))
    return page


def show(window: Any, surface: pygame.Surface, title: str, fps: int) -> tuple[Any, Any]:
    """Show a surface in a window (render_mode="human"), at a steady pace; returns window and clock."""
    if window is None or window[0].get_size() != surface.get_size():
        pygame.display.init()
        pygame.display.set_caption(title)
        window = (pygame.display.set_mode(surface.get_size()), pygame.time.Clock())
    screen, clock = window
    pygame.event.pump()
    screen.blit(surface, (0, 0))
    pygame.display.flip()
    clock.tick(fps)
    return window


def close() -> None:
    """Close the window, leaving the rest of pygame to whoever started it."""
    pygame.display.quit()


def sheet(width: int, height: int) -> pygame.Surface:
    """An empty page."""
    surface = pygame.Surface((width, height))
    surface.fill(PAPER)
    return surface


def write(
    surface: pygame.Surface, words: str, at: tuple[float, float], size: int = 22, ink: tuple[int, int, int] = INK,
    anchor: str = "center",
) -> None:  # fmt: skip
    """Words at a place."""
    pygame.font.init()
    drawn = pygame.font.Font(None, size).render(words, True, ink)
    surface.blit(drawn, drawn.get_rect(**{anchor: (round(at[0]), round(at[1]))}))


def chain(labels: Sequence[str], here: int, colours: Sequence[tuple[int, int, int]], note: str) -> pygame.Surface:
    """States in a row, the current one marked; more than 40 as a bar."""
    surface = sheet(640, 240)
    n = len(labels)
    write(surface, note, (320, 34), 26)
    if n > 40:
        bar = pygame.Rect(40, 110, 560, 22)
        pygame.draw.rect(surface, LINE, bar, border_radius=11)
        x = bar.x + bar.width * here / max(n - 1, 1)
        pygame.draw.circle(surface, HERE, (round(x), bar.centery), 16)
        write(surface, labels[here], (x, bar.bottom + 32))
        write(surface, labels[0], (bar.x, bar.y - 22), ink=SOFT)
        write(surface, labels[-1], (bar.right, bar.y - 22), ink=SOFT)
        return surface
    step = 580 / n
    radius = max(min(step * 0.36, 34), 5)
    for k, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        x = 30 + step * (k + 0.5)
        if k:
            pygame.draw.line(surface, LINE, (round(x - step + radius), 125), (round(x - radius), 125), 3)
        pygame.draw.circle(surface, colour, (round(x), 125), round(radius))
        pygame.draw.circle(surface, LINE, (round(x), 125), round(radius), 2)
        if k == here:
            pygame.draw.circle(surface, HERE, (round(x), 125), round(radius * 1.3), 4)
        write(surface, label, (x, 125 + radius + 26), 20 if n < 25 else 15)
    return surface


def bars(values: Sequence[float], chosen: int | None, note: str) -> pygame.Surface:
    """One bar an action, from zero up or down; the last one taken is marked."""
    surface = sheet(640, 360)
    write(surface, note, (320, 30), 26)
    top = max(float(np.abs(values).max()), 1.0)
    step, middle, height = 580 / len(values), 190, 120
    pygame.draw.line(surface, LINE, (30, middle), (610, middle), 2)
    for a, value in enumerate(values):
        x, length = 30 + step * (a + 0.5), round(height * float(value) / top)
        box = pygame.Rect(round(x - step * 0.3), min(middle - length, middle), max(round(step * 0.6), 2), abs(length))
        pygame.draw.rect(surface, HERE if a == chosen else WARM, box, border_radius=3)
        write(surface, f"{value:.2f}", (x, middle - length + (-14 if length >= 0 else 14)), 18, SOFT)
        write(surface, str(a), (x, 340), 20)
    return surface


def images(shown: Sequence[tuple[NDArray[np.float32], str, tuple[int, int, int]]]) -> pygame.Surface:
    """Images [H, W] from 0 (paper) to 1 (ink) beside each other, each with words in a colour below."""
    surface = sheet(640, 360)
    for i, (image, words, ink) in enumerate(shown):
        middle = 640 * (i + 1) // (len(shown) + 1)
        shades = np.asarray(PAPER) + image.T[:, :, None] * (np.asarray(INK) - PAPER)
        drawn = pygame.transform.scale(pygame.surfarray.make_surface(shades.astype(np.uint8)), (200, 200))
        box = drawn.get_rect(center=(middle, 160))
        surface.blit(drawn, box)
        pygame.draw.rect(surface, LINE, box.inflate(8, 8), 2, border_radius=5)
        write(surface, words, (middle, 300), 26, ink)
    return surface


def counts(rows: Sequence[tuple[str, int, int, tuple[int, int, int]]], note: str) -> pygame.Surface:
    """Rows of places, so many of them filled: (label, filled, places, colour)."""
    surface = sheet(640, 90 + 74 * len(rows))
    write(surface, note, (320, 34), 26)
    for i, (label, filled, places, colour) in enumerate(rows):
        y = 90 + 74 * i
        write(surface, label, (24, y), 22, anchor="midleft")
        step = min(440 / places, 44)
        for k in range(places):
            box = pygame.Rect(round(180 + step * k), y - 16, round(step - 4), 32)
            pygame.draw.rect(surface, colour if k < filled else PAPER, box, border_radius=5)
            pygame.draw.rect(surface, LINE, box, 2, border_radius=5)
    return surface


def cells(
    kinds: NDArray[np.int64], colours: Sequence[tuple[int, int, int]], size: int, here: tuple[int, int] | None,
    arrow: tuple[int, int] = (0, 0),
) -> pygame.Surface:  # fmt: skip
    """A grid coloured by kind [R, C]; the current cell has a disc, and an arrow of (rows, columns) from it."""
    rows, columns = kinds.shape
    surface = sheet(columns * size, rows * size)
    for row in range(rows):
        for column in range(columns):
            box = pygame.Rect(column * size, row * size, size, size)
            surface.fill(colours[int(kinds[row, column])], box)
            if kinds[row, column]:
                pygame.draw.rect(surface, LINE, box, 1)
    if here is not None:
        centre = (round((here[1] + 0.5) * size), round((here[0] + 0.5) * size))
        tip = (centre[0] + arrow[1] * size, centre[1] + arrow[0] * size)
        pygame.draw.line(surface, HERE, centre, tip, max(size // 6, 2))
        pygame.draw.circle(surface, HERE, centre, max(size // 3, 3))
    return surface


def bit_rows(bits: NDArray[Any], goal: NDArray[Any], flipped: NDArray[np.bool_], note: str) -> pygame.Surface:
    """Bits above those of a goal, in several pairs of rows where there are many; what differs has a red line."""
    n = len(bits)
    across = min(n, 25 if n <= 100 else 50)
    pairs = -(-n // across)
    step = 580 / max(across, 10)
    surface = sheet(640, round(90 + pairs * 2.6 * step))
    write(surface, note, (320, 34), 26)
    for k in range(n):
        row, column = divmod(k, across)
        left, top = 320 + (column - across / 2) * step, 70 + row * 2.6 * step
        for below, bit in enumerate((bits[k], goal[k])):
            box = pygame.Rect(round(left + 2), round(top + below * 1.1 * step), round(step - 4), round(step - 4))
            pygame.draw.rect(surface, (GOOD if below else COOL) if bit else PAPER, box, border_radius=4)
            pygame.draw.rect(surface, HERE if flipped[k] and not below else LINE, box, 3, border_radius=4)
            if step > 16:
                write(surface, str(int(bit)), box.center, round(step * 0.6))
        if bits[k] != goal[k]:
            line = pygame.Rect(round(left + 2), round(top + 2.2 * step), round(step - 4), max(round(step / 12), 2))
            pygame.draw.rect(surface, BAD, line)
    return surface
