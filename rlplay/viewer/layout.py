"""Where each panel stands: a pure function of the window's size."""

from __future__ import annotations

from typing import NamedTuple

_GAP = 8  # pixels between panels
SMALLEST = (640, 400)


class Rect(NamedTuple):
    """A rectangle in pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int

    def overlaps(self, other: Rect) -> bool:
        """Whether two rectangles share a pixel."""
        apart = (
            self.x + self.width <= other.x
            or other.x + other.width <= self.x
            or self.y + self.height <= other.y
            or other.y + other.height <= self.y
        )
        return not apart


def layout(width: int, height: int) -> dict[str, Rect]:
    """The panels of a window, none overlapping, all inside.

    Left 58 %: the environment's frame over the curve of returns. Right 42 %: the actions, the last step and the map.
    """
    top, bottom = 44, 46
    body_y, body = top + _GAP, height - top - bottom - 2 * _GAP
    left_x, left = _GAP, round((width - 3 * _GAP) * 0.58)
    right_x = left_x + left + _GAP
    right = width - right_x - _GAP
    frame = round((body - _GAP) * 0.70)
    actions, step = round((body - 2 * _GAP) * 0.32), round((body - 2 * _GAP) * 0.17)
    map_y = body_y + actions + step + 2 * _GAP
    return {
        "top": Rect(0, 0, width, top),
        "frame": Rect(left_x, body_y, left, frame),
        "returns": Rect(left_x, body_y + frame + _GAP, left, body - frame - _GAP),
        "actions": Rect(right_x, body_y, right, actions),
        "step": Rect(right_x, body_y + actions + _GAP, right, step),
        "map": Rect(right_x, map_y, right, body_y + body - map_y),
        "bottom": Rect(0, height - bottom, width, bottom),
    }
