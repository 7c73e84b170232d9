"""What pygame is told before it opens a window."""

from __future__ import annotations

import os
import sys

import pytest

from rlplay.viewer.display import import_pygame


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of X servers")
def test_a_window_is_shown_without_opengl_which_is_left_to_environments(monkeypatch):
    """MuJoCo draws by OpenGL: where the window did too, it stayed black, or MuJoCo could not draw."""
    for driver, wanted in ((None, "0"), ("wayland", None)):
        monkeypatch.setenv("DISPLAY", ":0")
        monkeypatch.delenv("SDL_FRAMEBUFFER_ACCELERATION", raising=False)
        monkeypatch.setenv("SDL_VIDEODRIVER", driver) if driver else monkeypatch.delenv(
            "SDL_VIDEODRIVER", raising=False
        )
        import_pygame()
        assert os.environ.get("SDL_FRAMEBUFFER_ACCELERATION") == wanted
