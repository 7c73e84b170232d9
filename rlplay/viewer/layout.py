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


def layout(width: int, height: int, zoom: float = 1.0, views: int = 3) -> dict[str, Rect]:
    """The panels of a window, none overlapping, all inside.

    Left the environment's frame over the curve of returns; right the actions, the last step and the views, of which one
    is shown at a time. A wide window has a third column for one or two further views. What has no room of its own, in
    a small window or at a large zoom, is one of the views.

    Args:
        width: of the window, in pixels.
        height: of the window, in pixels.
        zoom: how much larger words are than usual.
        views: how many panels share a place; a third column needs two.

    Example:
        >>> [len(layout(*size)) for size in ((640, 420), (960, 600), (1280, 720), (1920, 1080))]
        [4, 7, 7, 9]
    """
    gap, top, bottom = round(_GAP * zoom), round(44 * zoom), round(46 * zoom)
    body_y, body = top + gap, height - top - bottom - 2 * gap
    wide = views > 1 and width >= _ROOM_FOR_COLUMN * zoom and body >= _ROOM_FOR_THREE * zoom
    column = round((width - 4 * gap) * 0.27) if wide else 0
    main = width - column - gap if wide else width  # of the first two columns
    left_x, left = gap, round((main - 3 * gap) * (0.6 if wide else 0.58))
    right_x = left_x + left + gap
    right = main - right_x - gap
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
    if wide:
        half = (body - gap) // 2 if views > 2 else body
        places["second"] = Rect(main, body_y, width - gap - main, half)
        if views > 2:
            places["third"] = Rect(main, body_y + half + gap, width - gap - main, body - half - gap)
    return {
        **places,
        "actions": Rect(right_x, body_y, right, actions),
        "step": Rect(right_x, body_y + actions + gap, right, step),
        "views": Rect(right_x, views_y, right, body_y + body - views_y),
    }


_ROOM_FOR_COLUMN = 1600  # pixels of width at zoom 1 from which there is a third column
_ROOM_FOR_CURVE = 330  # pixels of height at zoom 1 from which the curve has a place of its own
_ROOM_FOR_THREE = 440  # from which actions and the last step have one
_STEP = 112  # pixels of the last step: four lines
