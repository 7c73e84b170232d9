"""A real window or none: what pygame needs, and what it must be kept from."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

from rlplay.errors import DisplayError, MissingPackageError

_INVISIBLE = ("dummy", "offscreen")  # drivers without a screen
_BARS = 64  # pixels of a desktop's height that title bar and task bar take


def import_pygame() -> Any:
    """Pygame, in the build that Gymnasium and SB3 use.

    Raises:
        MissingPackageError: it is missing, or both builds are installed and break each other.
    """
    installed = set()
    for build in ("pygame", "pygame-ce"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(build)
            installed.add(build)
    if installed == {"pygame", "pygame-ce"}:
        raise MissingPackageError(
            "pygame and pygame-ce are both installed and break each other",
            "pip uninstall -y pygame pygame-ce && pip install pygame-ce",
        )
    try:
        import pygame
    except ImportError as error:
        raise MissingPackageError(f"the window needs pygame-ce: {error}", "pip install pygame-ce") from error
    # Most environments call pygame.init(), which opens the sound device; where there is none, it fills the terminal.
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    # SDL would show the window by OpenGL, whose context is then in the way of environments that draw by OpenGL
    # themselves (MuJoCo): the window stayed black, or they could not render. Only X servers take pictures without it.
    on_x11 = sys.platform.startswith("linux") and os.environ.get("DISPLAY")
    if on_x11 and os.environ.get("SDL_VIDEODRIVER", "x11") == "x11":
        os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")
    return pygame


def open_display(attempts: int = 5) -> None:
    """Connect pygame to a display.

    An X server that has just lost its last client may be starting anew, and SDL would then silently take an invisible
    driver: so it is tried a few times, and an invisible one is taken only where SDL_VIDEODRIVER asks for it.

    Raises:
        DisplayError: there is none.
    """
    pygame = import_pygame()
    for attempt in range(attempts):
        with contextlib.suppress(pygame.error):
            pygame.display.init()
            if os.environ.get("SDL_VIDEODRIVER") or pygame.display.get_driver() not in _INVISIBLE:
                return
        pygame.display.quit()
        if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and sys.platform.startswith("linux"):
            break
        if attempt + 1 < attempts:
            time.sleep(0.2)
    raise DisplayError(
        "there is no display for a window", "Set DISPLAY, or write what it would show: --headless -o watch.gif"
    )


def open_window(size: tuple[int, int], title: str) -> Any:
    """Open a window that can be resized, no larger than the desktop has room for.

    Args:
        size: the width and height that are wanted, in pixels.
        title: what its title bar says; `keep_title` holds it.

    Returns:
        Its `pygame.Surface`.

    Raises:
        DisplayError: there is no display.
    """
    pygame = import_pygame()
    open_display()
    pygame.font.init()
    width, height = size
    if pygame.display.get_driver() not in _INVISIBLE:
        desktop = pygame.display.get_desktop_sizes()[0]
        width, height = min(width, desktop[0]), min(height, max(desktop[1] - _BARS, desktop[1] // 2))
    surface = pygame.display.set_mode((width, height), pygame.RESIZABLE)
    pygame.display.set_caption(title)
    return surface


def fill_screen(full: bool, size: tuple[int, int]) -> None:
    """Have the window fill the screen; or not any more, with a size of its own."""
    pygame = import_pygame()
    if full:
        pygame.display.set_mode((0, 0), pygame.FULLSCREEN)
        return
    with warnings.catch_warnings():  # a window manager may first keep the screen's size, of which pygame-ce warns
        warnings.simplefilter("ignore")
        pygame.display.set_mode(size, pygame.RESIZABLE)
    pygame.event.pump()
    if pygame.display.get_window_size() != tuple(size):
        pygame.display.set_mode(size, pygame.RESIZABLE)


def keep_title(title: str) -> None:
    """Give the window its title again: some environments put their own there when they draw."""
    pygame = import_pygame()
    if pygame.display.get_caption()[:1] != (title,):
        pygame.display.set_caption(title)


def require_display() -> None:
    """Raise a DisplayError where no window can be opened."""
    open_display()
    import_pygame().display.quit()


def has_display() -> bool:
    """Whether a window can be opened."""
    try:
        require_display()
    except DisplayError:
        return False
    return True


@contextlib.contextmanager
def pygame_kept() -> Iterator[None]:
    """Keep the window while an environment is closed: most call pygame.quit(), which would take it away."""
    pygame = import_pygame()
    quit_all, quit_display = pygame.quit, pygame.display.quit
    pygame.quit = pygame.display.quit = lambda: None
    try:
        yield
    finally:
        pygame.quit, pygame.display.quit = quit_all, quit_display
