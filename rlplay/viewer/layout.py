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


def layout(width: int, height: int, zoom: float = 1.0) -> dict[str, Rect]:
    """The panels of a window, none overlapping, all inside.

    Left 58 %: the environment's frame over the curve of returns. Right 42 %: the actions, the last step and the views,
    of which one is shown at a time. What has no room of its own, in a small window or at a large zoom, is one of them.
    """
    gap, top, bottom = round(_GAP * zoom), round(44 * zoom), round(46 * zoom)
    body_y, body = top + gap, height - top - bottom - 2 * gap
    left_x, left = gap, round((width - 3 * gap) * 0.58)
    right_x = left_x + left + gap
    right = width - right_x - gap
    places = {"top": Rect(0, 0, width, top), "bottom": Rect(0, height - bottom, width, bottom)}
    if body >= _ROOM_FOR_CURVE * zoom:
        frame = round((body - gap) * 0.70)
        places["returns"] = Rect(left_x, body_y + frame + gap, left, body - frame - gap)
    else:
        frame = body
    places["frame"] = Rect(left_x, body_y, left, frame)
    if body < _ROOM_FOR_THREE * zoom:
        return {**places, "views": Rect(right_x, body_y, right, body)}
    actions, step = round((body - 2 * gap) * 0.32), round((body - 2 * gap) * 0.17)
    step = max(step, round(_STEP * zoom))
    views_y = body_y + actions + step + 2 * gap
    return {
        **places,
        "actions": Rect(right_x, body_y, right, actions),
        "step": Rect(right_x, body_y + actions + gap, right, step),
        "views": Rect(right_x, views_y, right, body_y + body - views_y),
    }


_ROOM_FOR_CURVE = 330  # pixels of height at zoom 1 from which the curve has a place of its own
_ROOM_FOR_THREE = 440  # from which actions and the last step have one
_STEP = 112  # pixels of the last step: four lines
