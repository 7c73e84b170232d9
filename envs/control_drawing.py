"""How the classic control worlds look: pygame only, apart from their dynamics.

Everything is drawn in metres (or the world's own unit) on a `Canvas` of any size, at twice the size and then smoothed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pygame

from . import drawing as d

Point = tuple[float, float]
Color = tuple[int, int, int]
NATURAL = (600, 400)
_FINE = 2


class Canvas:
    """A page with world coordinates: ``left`` to ``right`` fits its width, ``bottom`` to ``top`` its height."""

    def __init__(
        self, size: tuple[int, int] | None, left: float, right: float, bottom: float, top: float,
        paper: Color = d.PAPER,
    ) -> None:  # fmt: skip
        self.size = size or NATURAL
        width, height = self.size[0] * _FINE, self.size[1] * _FINE
        self.surface = pygame.Surface((width, height))
        self.surface.fill(paper)
        self.scale = min(width / (right - left), height / (top - bottom))
        self._middle = ((left + right) / 2, (bottom + top) / 2)

    def at(self, point: Point) -> Point:
        """The pixel of a point."""
        width, height = self.surface.get_size()
        return (
            width / 2 + (point[0] - self._middle[0]) * self.scale,
            height / 2 - (point[1] - self._middle[1]) * self.scale,
        )

    def polygon(self, points: Sequence[Point], colour: Color) -> None:
        """A filled polygon."""
        pygame.draw.polygon(self.surface, colour, [self.at(p) for p in points])

    def box(self, centre: Point, width: float, height: float, colour: Color, rounded: float = 0.0) -> None:
        """A filled rectangle around a point."""
        x, y = self.at((centre[0] - width / 2, centre[1] + height / 2))
        rect = pygame.Rect(round(x), round(y), round(width * self.scale), max(round(height * self.scale), 1))
        pygame.draw.rect(self.surface, colour, rect, border_radius=round(rounded * self.scale))

    def disc(self, centre: Point, radius: float, colour: Color) -> None:
        """A filled circle."""
        pygame.draw.circle(self.surface, colour, self.at(centre), max(radius * self.scale, 1))

    def rod(self, start: Point, end: Point, width: float, colour: Color) -> None:
        """A line with round ends."""
        length = math.dist(start, end) or 1.0
        across = (end[1] - start[1]) / length * width / 2, -(end[0] - start[0]) / length * width / 2
        corners = [(p[0] + sign * across[0], p[1] + sign * across[1]) for p, sign in
                   ((start, 1), (end, 1), (end, -1), (start, -1))]  # fmt: skip
        self.polygon(corners, colour)
        for point in (start, end):
            self.disc(point, width / 2, colour)

    def curve(self, height: Callable[[float], float], left: float, right: float, colour: Color) -> None:
        """The ground below a curve, down to the page's lower edge."""
        steps = 240
        xs = [left + (right - left) * k / steps for k in range(steps + 1)]
        low = self._middle[1] - self.surface.get_size()[1] / self.scale
        self.polygon([(left, low), *((x, height(x)) for x in xs), (right, low)], colour)

    def arrow(self, start: Point, along: float, colour: Color, width: float) -> None:
        """A horizontal arrow."""
        if along == 0:
            return
        tip, sign = (start[0] + along, start[1]), math.copysign(1, along)
        self.rod(start, (tip[0] - sign * width, tip[1]), width / 2, colour)
        back = tip[0] - sign * width * 1.6
        self.polygon([tip, (back, tip[1] + width), (back, tip[1] - width)], colour)

    def finished(self) -> pygame.Surface:
        """The page at its size."""
        return pygame.transform.smoothscale(self.surface, self.size)


def cart_pole(
    size: tuple[int, int] | None, x: float, theta: float, length: float, limit: float, push: float
) -> pygame.Surface:
    """A cart on a rail with its pole; the rail ends at ``limit``; lengths in metres, ``length`` of the whole pole."""
    c = Canvas(size, -limit * 1.25, limit * 1.25, -0.9, limit * 1.25 * 4 / 3 - 0.9)
    c.box((0, -0.14), 2 * limit, 0.05, d.LINE)
    for side in (-limit, limit):
        c.box((side, -0.08), 0.06, 0.34, d.BAD)
    c.arrow((x + math.copysign(0.4, push), 0.02), math.copysign(0.28, push) if push else 0.0, d.HERE, 0.07)
    for wheel in (-0.17, 0.17):
        c.disc((x + wheel, -0.07), 0.07, d.SOFT)
    c.box((x, 0.05), 0.6, 0.24, d.INK, 0.05)
    axle = (x, 0.13)
    tip = (axle[0] + length * math.sin(theta), axle[1] + length * math.cos(theta))
    c.rod(axle, tip, 0.1, d.WARM)
    c.disc(axle, 0.045, d.PAPER)
    return c.finished()


def mountain_car(
    size: tuple[int, int] | None, x: float, left: float, right: float, goal: float, push: float
) -> pygame.Surface:
    """A car in a valley of height sin 3x, with a flag at the goal and an arrow for the push, -1 to 1."""

    def height(at: float) -> float:
        return math.sin(3 * at) * 0.45

    return _hill(size, x, (left, right), goal, push, height)


def car_on_the_hill(
    size: tuple[int, int] | None, x: float, push: float, hill: Callable[[float], float]
) -> pygame.Surface:
    """A car on the hill of Ernst and others, with a flag on its top."""
    return _hill(size, x, (-1.15, 1.15), 1.0, push, hill)


def _hill(
    size: tuple[int, int] | None, x: float, sides: tuple[float, float], goal: float, push: float,
    height: Callable[[float], float],
) -> pygame.Surface:  # fmt: skip
    left, right = sides
    heights = [height(left + (right - left) * k / 50) for k in range(51)]
    low, high = min(heights), max(heights)
    wide = (right - left) * 1.04
    middle = (left + right) / 2
    c = Canvas(size, middle - wide / 2, middle + wide / 2, low - 0.18, high + 0.38, (226, 238, 246))
    c.curve(height, middle - wide, middle + wide, (150, 178, 130))
    pole = height(goal)
    c.box((goal, pole + 0.12), 0.012, 0.24, d.INK)
    c.polygon([(goal, pole + 0.24), (goal + 0.1, pole + 0.2), (goal, pole + 0.16)], d.BAD)
    slope = math.atan2(height(x + 1e-3) - height(x - 1e-3), 2e-3)

    def turned(along: float, up: float) -> Point:
        cos, sin = math.cos(slope), math.sin(slope)
        return x + along * cos - up * sin, height(x) + along * sin + up * cos

    for wheel in (-0.05, 0.05):
        c.disc(turned(wheel, 0.02), 0.024, d.INK)
    c.polygon([turned(a, u) for a, u in ((-0.09, 0.03), (0.09, 0.03), (0.09, 0.065), (-0.09, 0.065))], d.HERE)
    c.polygon([turned(a, u) for a, u in ((-0.055, 0.065), (0.05, 0.065), (0.03, 0.1), (-0.035, 0.1))], d.HERE)
    c.arrow((x + math.copysign(0.12, push), height(x) + 0.16), 0.12 * push, d.WARM, 0.03)
    return c.finished()


def pendulum(size: tuple[int, int] | None, theta: float, torque: float) -> pygame.Surface:
    """A rod that turns about a pin, upright at 0; the arc shows the torque, -1 to 1 of the strongest."""
    c = Canvas(size, -1.35, 1.35, -1.35, 1.35)
    c.disc((0, 0), 1.18, (238, 235, 226))
    c.disc((0, 0), 1.16, d.PAPER)
    c.rod((0, 0), (math.sin(theta), math.cos(theta)), 0.17, d.BAD)
    c.disc((0, 0), 0.055, d.INK)
    turn = -torque * math.pi * 0.8
    dots = max(round(abs(torque) * 28), 1)
    for k in range(dots + 1):
        angle = turn * k / dots
        c.disc((0.34 * math.sin(angle), 0.34 * math.cos(angle)), 0.022 if k < dots else 0.05, d.HERE)
    return c.finished()


def acrobot(size: tuple[int, int] | None, theta1: float, theta2: float, lengths: tuple[float, float]) -> pygame.Surface:
    """Two links below a bar; the end is to swing above the line."""
    reach = sum(lengths) * 1.1
    c = Canvas(size, -reach, reach, -reach, reach)
    line = lengths[0]
    c.box((0, line), 4 * reach, 0.02, d.GOOD)
    elbow = (lengths[0] * math.sin(theta1), -lengths[0] * math.cos(theta1))
    tip = (elbow[0] + lengths[1] * math.sin(theta1 + theta2), elbow[1] - lengths[1] * math.cos(theta1 + theta2))
    c.rod((0, 0), elbow, 0.16, d.HERE)
    c.rod(elbow, tip, 0.16, (116, 168, 226))
    for joint, colour in (((0.0, 0.0), d.INK), (elbow, d.INK), (tip, d.GOOD if tip[1] > line else d.WARM)):
        c.disc(joint, 0.08, colour)
    return c.finished()


def baird(size: tuple[int, int] | None, state: int, labels: Sequence[str]) -> pygame.Surface:
    """Six states above and one below, the current one marked."""
    c = Canvas(size, -3.6, 3.6, -2.4, 2.4)
    centres = [((k - 2.5) * 1.15, 1.1) for k in range(6)] + [(0.0, -1.3)]
    for centre in centres[:6]:
        c.rod(centre, centres[6], 0.03, d.LINE)
    for k, (centre, label) in enumerate(zip(centres, labels, strict=True)):
        if k == state:
            c.disc(centre, 0.5, d.HERE)
        c.disc(centre, 0.42, d.COOL if k < 6 else d.WARM)
        d.write(c.surface, label, c.at(centre), round(0.26 * c.scale))
    return c.finished()


# Gymnasium's own worlds by the same pictures: from an instance, the last action or None, and the size in pixels.


def of_cart_pole(env: Any, action: Any, size: tuple[int, int]) -> pygame.Surface:
    """Gymnasium's CartPole."""
    push = 0.0 if action is None else 2.0 * float(action) - 1.0
    return cart_pole(size, float(env.state[0]), float(env.state[2]), 2 * env.length, env.x_threshold, push)


def of_mountain_car(env: Any, action: Any, size: tuple[int, int]) -> pygame.Surface:
    """Gymnasium's MountainCar and MountainCarContinuous."""
    push = 0.0
    if action is not None:
        strongest = getattr(env, "max_action", None)
        push = float(action) - 1.0 if strongest is None else float(action[0]) / strongest
    return mountain_car(
        size, float(env.state[0]), env.min_position, env.max_position, env.goal_position, min(max(push, -1.0), 1.0)
    )


def of_pendulum(env: Any, action: Any, size: tuple[int, int]) -> pygame.Surface:
    """Gymnasium's Pendulum."""
    torque = 0.0 if action is None else min(max(float(action[0]) / env.max_torque, -1.0), 1.0)
    return pendulum(size, float(env.state[0]), torque)


def of_acrobot(env: Any, action: Any, size: tuple[int, int]) -> pygame.Surface:
    """Gymnasium's Acrobot."""
    first, second = (float(angle) for angle in env.state[:2])
    return acrobot(size, first, second, (env.LINK_LENGTH_1, env.LINK_LENGTH_2))
