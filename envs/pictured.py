"""What environments share that are drawn by pictures of their own: the render modes, at one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import SpaceError, UsageError

_SIZES = range(32, 8193)  # pixels


class Pictured(gym.Env[Any, Any], ABC):
    """A world that is drawn by a picture of its own.

    Attributes:
        render_mode: ``rgb_array``, ``human``, ``ansi`` or None.
        size: width and height of its pictures in pixels; None for their natural size.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human", "ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, width: int | None = None, height: int | None = None) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise SpaceError(f"render_mode={render_mode!r} is not one of {', '.join(self.metadata['render_modes'])}")
        for name, value in (("width", width), ("height", height)):
            if value is not None and (not isinstance(value, int | np.integer) or value not in _SIZES):
                raise UsageError(f"{name}={value!r} is not from {_SIZES.start} to {_SIZES.stop - 1} pixels")
        if (width is None) != (height is None):
            raise UsageError("width and height go together", "Give both, in pixels")
        self.render_mode = render_mode
        self.size = (int(width), int(height)) if width is not None and height is not None else None
        self._window: Any = None

    @abstractmethod
    def picture(self) -> Any:
        """The world as it stands, as a pygame surface."""

    def text(self) -> str:
        """The world as it stands, in a line."""
        raise SpaceError(f"{type(self).__name__} has no text")

    def render(self) -> Any:
        """The world as an image [H, W, 3], uint8, as text, or in a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; make the environment with one")
            return None
        if self.render_mode == "ansi":
            return self.text()
        surface = self.surface()
        from . import drawing

        if self.render_mode == "human":
            title = self.spec.id if self.spec else type(self).__name__
            self._window = drawing.show(self._window, surface, title, self.metadata["render_fps"])
            return None
        return drawing.pixels(surface)

    def surface(self) -> Any:
        """The picture at the size that was asked for, as a pygame surface."""
        from . import drawing

        drawn = self.picture()
        return drawn if self.size in (None, drawn.get_size()) else drawing.fit(drawn, *self.size)

    def image(self) -> NDArray[np.uint8]:
        """The picture as an array, shape [H, W, 3], whatever the render mode."""
        from . import drawing

        return drawing.pixels(self.surface())

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            from . import drawing

            drawing.close()
            self._window = None
