"""The window before there is anything to show: it opens at once and says what it waits for."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import pygame

from rlplay.viewer import drawing
from rlplay.viewer.display import open_window

T = TypeVar("T")

_AT_ONCE = 0.15  # seconds of work for which no window opens
_LOADING = 0.7  # seconds that loading machine code takes at most; what takes longer is compiled
_FPS = 30


def while_waiting(work: Callable[[], T], size: tuple[int, int], words: str) -> T:
    """Do work while a window says what is being done; returns what the work returns.

    The work runs in a thread of its own, so that the window stays alive; what takes no time opens none. The window
    stays open for what comes next.

    Args:
        work: makes what will be shown, for example loads an agent and compiles its functions.
        size: width and height in pixels.
        words: what is being prepared.

    Raises:
        SystemExit: the window was closed.
        DisplayError: there is no display.
        Exception: whatever the work raised.

    Example:
        >>> while_waiting(lambda: 6 * 7, (640, 400), "an answer")  # done at once: no window opens
        42
    """
    found: list[T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # raised again below, in the thread that waits
            raised.append(error)

    worker = threading.Thread(target=run, name="prepare", daemon=True)
    worker.start()
    worker.join(_AT_ONCE)
    if worker.is_alive():
        _show(worker, size, words)
    if raised:
        raise raised[0]
    return found[0]


def _show(worker: threading.Thread, size: tuple[int, int], words: str) -> None:
    surface = open_window(size, "rlplay")
    start, ticker, frames = time.perf_counter(), pygame.time.Clock(), 0
    while worker.is_alive():
        for event in pygame.event.get():
            key = event.key if event.type == pygame.KEYDOWN else None
            if event.type == pygame.QUIT or key in (pygame.K_q, pygame.K_ESCAPE):
                pygame.display.quit()
                raise SystemExit(0)
        frames += _is_compiling()
        draw_waiting(surface, words, time.perf_counter() - start, compiling=frames > _LOADING * _FPS)
        pygame.display.flip()
        ticker.tick(_FPS)


def draw_waiting(surface: pygame.Surface, words: str, seconds: float, *, compiling: bool) -> None:
    """Draw what is waited for, and a bar that moves.

    Args:
        surface: the window.
        words: what is being prepared.
        seconds: since when.
        compiling: whether machine code is being made.

    Example:
        >>> pygame.font.init()
        >>> surface = pygame.Surface((640, 400))
        >>> draw_waiting(surface, "q-learning in a maze", 1.0, compiling=True)
        >>> surface.get_at((0, 0))[:3] == drawing.BACKGROUND
        True
    """
    surface.fill(drawing.BACKGROUND)
    middle, height = surface.get_width() / 2, surface.get_height() / 2
    drawing.text(surface, words, (middle, height - 48), 30, anchor="center", width=surface.get_width() - 40)
    kept = ", once a machine; the next time it opens at once" if _is_kept() else ""
    doing = f"compiling{kept}" if compiling else "loading"
    drawing.text(surface, f"{doing}   {seconds:.0f} s", (middle, height - 14), 21, drawing.DIM, "center")
    wide = min(420.0, surface.get_width() - 80)
    bar = pygame.Rect(round(middle - wide / 2), round(height + 14), round(wide), 6)
    pygame.draw.rect(surface, drawing.LINE, bar, border_radius=3)
    share = 1.0 - abs(seconds % 2.0 - 1.0)  # 0 to 1 and back in two seconds
    part = pygame.Rect(round(bar.x + (wide - 90) * share), bar.y, 90, bar.height)
    pygame.draw.rect(surface, drawing.ACCENT, part, border_radius=3)


def _is_compiling() -> bool:
    """Whether machine code is loaded or made now; numba is loaded by the work, not by the window."""
    internals: Any = sys.modules.get("rlplay.compiled.numba_internals")
    return internals is not None and hasattr(internals, "is_compiling") and internals.is_compiling()


def _is_kept() -> bool:
    """Whether machine code can be written for the next time."""
    module: Any = sys.modules.get("rlplay.compiled.folder")
    folder = module.cache_folder() if hasattr(module, "cache_folder") else None
    return folder is not None and os.access(folder, os.W_OK)


__all__ = ["draw_waiting", "while_waiting"]
