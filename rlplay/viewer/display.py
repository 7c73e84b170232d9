"""A real window or none: what pygame needs, and what it must be kept from."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
from collections.abc import Iterator
from typing import Any

from rlplay.errors import DisplayError, MissingPackageError


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
    return pygame


def has_display() -> bool:
    """Whether a window can be opened: SDL's invisible drivers count only where they were asked for."""
    if os.environ.get("SDL_VIDEODRIVER"):
        return True
    pygame = import_pygame()
    try:
        pygame.display.init()
        return pygame.display.get_driver() not in ("dummy", "offscreen")
    except pygame.error:
        return False
    finally:
        pygame.display.quit()


def require_display() -> None:
    """Raise a DisplayError where no window can be opened."""
    if not has_display():
        raise DisplayError(
            "there is no display for a window", "Set DISPLAY, or write what it would show: --headless -o watch.gif"
        )


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
