"""An observation as a picture: labelled numbers with their traces, a grid of states, the planes of an image.

It stands in for environments that draw nothing, and shows what an agent is given of those that do.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.errors import counted
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import channels_first, picture_axes
from rlplay.viewer import drawing as d
from rlplay.viewer.maps import state_grid
from rlplay.viewer.slices import dimension_names, stack_size
from rlplay.viewer.trail import LENGTH

_WIDE = 1e3  # a bound beyond which a space does not say where its values lie
_LEAST_PICTURE = 6  # pixels of a side from which an array is a picture
_MOST_CELLS = 10_000


def draw_observation(
    surface: pygame.Surface, box: pygame.Rect, env: gym.Env[Any, Any], observation: Any, trail: Any = ()
) -> None:
    """Draw an observation into a box.

    Args:
        surface: what is drawn on.
        box: where.
        env: the environment, whose observation space says what the observation is.
        observation: one of that space.
        trail: the observations of the episode so far, for traces.

    Example:
        >>> from rlplay import make
        >>> pygame.font.init()
        >>> env, surface = make("CartPole-v1"), pygame.Surface((400, 200))
        >>> draw_observation(surface, surface.get_rect(), env, env.reset(seed=0)[0])
        >>> surface.get_bounding_rect().width > 300
        True
    """
    if observation is None:
        d.text(surface, "no observation yet", (box.x, box.y), 18, d.DIM)
        return
    space = env.observation_space
    if is_finite(space) and _grid(surface, box, env, observation, trail):
        return
    named, stack = dimension_names(env), stack_size(env)
    clip = surface.get_clip()
    surface.set_clip(box.clip(clip))
    _draw(surface, box, "", space, observation, list(trail), named, stack)
    surface.set_clip(clip)


def _draw(
    surface: pygame.Surface, box: pygame.Rect, name: str, space: Any, value: Any, trail: list[Any], names: list[str],
    stack: int,
) -> None:  # fmt: skip
    """One part of an observation."""
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        parts = dict(space.spaces if isinstance(space, gym.spaces.Dict) else enumerate(space.spaces))
        weights = [_weight(part) for part in parts.values()]
        top = float(box.y)
        for (key, inner), weight in zip(parts.items(), weights, strict=True):
            height = box.height * weight / sum(weights)
            part = pygame.Rect(box.x, round(top), box.width, max(round(height) - d.px(4), 1))
            top += height
            label = f"{name}{'.' if name else ''}{key}"
            size = int(np.prod(inner.shape or (1,)))
            words = [label] if size == 1 else [f"{label}[{i}]" for i in range(size)]
            _draw(surface, part, label, inner, value[key], [one[key] for one in trail], words, stack)
        return
    if isinstance(space, gym.spaces.Box | gym.spaces.MultiBinary | gym.spaces.MultiDiscrete | gym.spaces.Discrete):
        array = np.asarray(value)
        if planes := planes_of(space, array, stack):
            _planes(surface, box, planes)
        else:
            low, high = _bounds(space, array.size)
            past = np.array([np.ravel(one) for one in trail], np.float64) if trail else np.zeros((0, array.size))
            _numbers(surface, box, names, np.ravel(array).astype(np.float64), past, low, high)
        return
    for i, line in enumerate(str(value).splitlines() or [""]):
        d.text(surface, f"{name} {line}".strip(), (box.x, box.y + i * d.height_of(18)), 18, width=box.width)


def _weight(space: Any) -> float:
    """How much height a part of an observation gets."""
    if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
        parts = space.spaces.values() if isinstance(space, gym.spaces.Dict) else space.spaces
        return sum(_weight(part) for part in parts)
    shape = space.shape or ()
    return 10.0 if len(shape) > 1 else min(max(float(np.prod(shape or (1,))), 1.0), 10.0)


def _bounds(space: Any, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest value of each number, NaN where the space does not say."""
    if isinstance(space, gym.spaces.Box):
        low, high = np.ravel(space.low).astype(np.float64), np.ravel(space.high).astype(np.float64)
        return np.where(np.abs(low) < _WIDE, low, np.nan), np.where(np.abs(high) < _WIDE, high, np.nan)
    if isinstance(space, gym.spaces.MultiDiscrete):
        return np.zeros(size), np.ravel(space.nvec).astype(np.float64) - 1
    if isinstance(space, gym.spaces.Discrete):
        return np.full(1, float(space.start)), np.full(1, float(space.start + space.n - 1))
    return np.zeros(size), np.ones(size)


def planes_of(space: Any, array: NDArray[Any], stack: int = 1) -> list[tuple[str, NDArray[np.uint8]]]:
    """The planes of an image with their names, each [H, W, 3], uint8; empty where an observation is no image.

    Example:
        >>> space = gym.spaces.Box(0, 255, (36, 36, 4), np.uint8)
        >>> [name for name, _ in planes_of(space, space.sample(), stack=4)]
        ['3 before', '2 before', '1 before', 'now']
    """
    if isinstance(space, gym.spaces.Box) and array.ndim == 4 and (axes := picture_axes(space)) is not None:
        array, stack = np.moveaxis(array, *axes), len(array)  # [H, W, K, C]
        array = array.reshape(*array.shape[:2], -1)
    elif not isinstance(space, gym.spaces.Box) or array.ndim not in (2, 3):
        return []
    elif array.ndim == 3 and (channels_first(space) or array.shape[0] < min(array.shape[1:])):
        array = np.moveaxis(array, 0, -1)  # [H, W, C]
    if min(array.shape[:2]) < _LEAST_PICTURE:
        return []
    if array.dtype == np.uint8:
        pixels = array
    else:
        low, high = float(np.min(array)), float(np.max(array))
        pixels = ((array - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    channels = pixels.shape[2]
    colour = array.dtype == np.uint8 and channels % 3 == 0 and (channels == 3 or channels // 3 == stack)
    step = 3 if colour else 1
    count = channels // step
    found = []
    for k in range(count):
        part = pixels[:, :, k * step : (k + 1) * step]
        name = f"channel {k}" if count > 1 and stack != count else ""
        if count > 1 and stack == count:
            name = f"{count - 1 - k} before" if k + 1 < count else "now"
        found.append((name, np.ascontiguousarray(part if colour else np.repeat(part, 3, axis=2))))
    return found


def _planes(surface: pygame.Surface, box: pygame.Rect, planes: list[tuple[str, NDArray[np.uint8]]]) -> None:
    """Images side by side, as large as they fit, each with its name."""
    height, width = planes[0][1].shape[:2]
    word = d.px(18) if planes[0][0] else 0
    best: tuple[float, int] = (0.0, 1)
    for columns in range(1, len(planes) + 1):
        rows = math.ceil(len(planes) / columns)
        best = max(best, (min((box.width / columns - 6) / width, (box.height / rows - word - 6) / height), columns))
    scale, columns = best
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    for k, (name, pixels) in enumerate(planes):
        x, y = box.x + (k % columns) * (size[0] + 6), box.y + (k // columns) * (size[1] + 6 + word)
        image = pygame.image.frombuffer(pixels.tobytes(), (width, height), "RGB")
        surface.blit(pygame.transform.scale(image, size), (x, y + word))
        pygame.draw.rect(surface, d.LINE, (x - 1, y + word - 1, size[0] + 2, size[1] + 2), 1)
        if name:
            d.text(surface, name, (x, y + 2), 15, d.DIM, width=size[0])


def _numbers(
    surface: pygame.Surface, box: pygame.Rect, names: list[str], values: NDArray[np.float64],
    trail: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64],
) -> None:  # fmt: skip
    """A row a number: name, value, where it lies on its axis, and its trace; cells where there are too many rows."""
    seen = np.concatenate([trail, values[None]]) if len(trail) else values[None]
    around = np.maximum(np.nanmax(np.abs(seen), axis=0), 1e-9)
    low = np.where(np.isnan(low), np.where(seen.min(axis=0) < 0, -around, 0.0), low)
    high = np.where(np.isnan(high), around, high)
    row = box.height / len(values)
    if row < d.px(13):
        _cells(surface, box, values, low, high)
        return
    row, size = min(row, d.px(46)), 18 if row >= d.px(18) else 14
    label = min(max(d.font(size).size(name)[0] for name in names) + d.px(10), box.width * 0.34)
    number = d.font(size).size("-0000.0")[0]
    left = box.x + label + number + d.px(10)
    trace = (box.right - left) * 0.5 if len(trail) > 1 else 0.0
    width = box.right - left - trace
    for i, value in enumerate(values):
        y, middle = box.y + i * row, box.y + (i + 0.5) * row
        span = (high[i] - low[i]) or 1.0
        d.text(surface, names[i], (box.x, middle), size, d.TEXT, "midleft", label - d.px(6))
        d.text(surface, d.short(value), (box.x + label + number, middle), size, d.TEXT, "midright")

        def place(of: float, i: int = i, span: float = span) -> float:
            return left + (width - d.px(12)) * min(max((of - low[i]) / span, 0.0), 1.0)

        pygame.draw.line(surface, d.LINE, (place(low[i]), middle), (place(high[i]), middle), d.px(2))
        zero = place(0.0)
        pygame.draw.line(surface, d.DIM, (zero, middle - row * 0.22), (zero, middle + row * 0.22))
        ends = sorted((zero, place(value)))
        bar = pygame.Rect(round(ends[0]), round(y + row * 0.34), max(round(ends[1] - ends[0]), 2), round(row * 0.32))
        pygame.draw.rect(surface, d.ACCENT, bar, border_radius=2)
        if trace:
            past, start = seen[:, i], box.right - trace
            floor, top = float(past.min()), float(past.max())
            tall = (top - floor) or 1.0
            points = [
                (start + trace * k / LENGTH, y + row * (0.86 - 0.72 * (float(v) - floor) / tall))
                for k, v in enumerate(past[-LENGTH:])
            ]
            if len(points) > 1:
                pygame.draw.aalines(surface, d.WARM, False, points)
    if trace and row * len(values) + d.px(16) < box.height:
        y = box.y + row * len(values) + d.px(2)
        d.text(surface, "now, on its range", (left, y), 14, d.DIM)
        d.text(surface, f"the last {counted(len(seen), 'step')}", (box.right - trace, y), 14, d.DIM)


def _cells(
    surface: pygame.Surface, box: pygame.Rect, values: NDArray[np.float64], low: NDArray[Any], high: NDArray[Any]
) -> None:
    """Many numbers as coloured cells, in reading order."""
    d.text(surface, f"{len(values):,} numbers, in reading order; dark: low, light: high", (box.x, box.y), 15, d.DIM,
           width=box.width)  # fmt: skip
    room = pygame.Rect(box.x, box.y + d.px(20), box.width, max(box.height - d.px(20), 1))
    columns = max(math.ceil(math.sqrt(len(values) * room.width / room.height)), 1)
    rows = math.ceil(len(values) / columns)
    span = np.where(high > low, high - low, 1.0)
    shares = np.full(rows * columns, np.nan)
    shares[: len(values)] = np.clip((values - low) / span, 0.0, 1.0)
    pixels = np.array([d.NOTHING if np.isnan(s) else d.scale_color(float(s)) for s in shares], np.uint8)
    image = pygame.image.frombuffer(pixels.tobytes(), (columns, rows), "RGB")
    size = max(min(room.width // columns, room.height // rows), 1)
    surface.blit(pygame.transform.scale(image, (columns * size, rows * size)), room.topleft)


def _grid(surface: pygame.Surface, box: pygame.Rect, env: gym.Env[Any, Any], observation: Any, trail: Any) -> bool:
    """All states as cells, the current one marked, those of the episode so far tinted; False where there are many."""
    numbering = FiniteSpace(env.observation_space)
    if numbering.n > _MOST_CELLS:
        return False
    grid = state_grid(env, observation)
    rows, columns = grid.shape
    word = d.px(22)
    size = min(box.width / columns, (box.height - word) / rows, d.px(64))
    left, top = box.x + (box.width - size * columns) / 2, box.y + (box.height - word - size * rows) / 2
    here, been = numbering.index(observation), {numbering.index(one) for one in trail}
    for row in range(rows):
        for column in range(columns):
            state = int(grid[row, column])
            x, y = round(left + column * size), round(top + row * size)
            cell = pygame.Rect(x, y, round(left + (column + 1) * size) - x, round(top + (row + 1) * size) - y)
            if state < 0:
                continue
            surface.fill(d.ACCENT if state == here else d.SOFT if state in been else d.NOTHING, cell)
            if size > 6:
                pygame.draw.rect(surface, d.PANEL, cell, 1)
            if size >= d.px(24):
                d.text(surface, str(state), cell.center, 15, d.PANEL if state == here else d.DIM, "center")
    words = f"state {here} of {numbering.n:,}" + ("" if numbering.plain else f": {observation}")
    d.text(surface, words, (box.centerx, box.bottom), 17, d.DIM, "midbottom", box.width)
    return True


def picture(
    env: gym.Env[Any, Any], observation: Any, trail: Any, size: tuple[int, int], words: str = ""
) -> NDArray[np.uint8]:
    """The picture of an environment that draws none, [H, W, 3], uint8.

    Args:
        env: the environment.
        observation: what is drawn; None for nothing yet.
        trail: the observations so far.
        size: width and height in pixels.
        words: why there is no other picture.

    Example:
        >>> from rlplay import make
        >>> env = make("FrozenLake-v1", dynamics="gymnasium")
        >>> picture(env, 3, [], (320, 200)).shape
        (200, 320, 3)
    """
    pygame.font.init()
    surface = pygame.Surface(size)
    surface.fill(d.PANEL)
    box = surface.get_rect().inflate(-d.px(24), -d.px(20))
    if words:
        d.text(surface, words, (box.x, box.y), 17, d.WARM, width=box.width)
        box = pygame.Rect(box.x, box.y + d.px(28), box.width, box.height - d.px(28))
    draw_observation(surface, box, env, observation, trail)
    pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8)
    return pixels.reshape(size[1], size[0], 3).copy()
