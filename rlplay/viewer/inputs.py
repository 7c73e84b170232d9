"""What the agent is given: the observation, the frames of a stack, and what features or normalisation make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.probe import Probe
from rlplay.viewer import charts
from rlplay.viewer import drawing as d
from rlplay.viewer.observation import draw_observation
from rlplay.viewer.session import Session
from rlplay.viewer.slices import dimension_names, stack_size

_MOST_FEATURES = 2048


def draw_inputs(surface: pygame.Surface, rect: Any, session: Session, probe: Probe | None) -> None:
    """Draw the observation as the agent takes it; without an agent, as the environment gives it."""
    env, obs, agent = session.env, session.observation, session.agent
    stack = stack_size(env)
    what = "what the agent is given" if agent is not None else "the observation"
    shape = env.observation_space.shape
    facts = [f"{stack} observations as one"] if stack > 1 else []
    if shape:
        facts.append(" x ".join(map(str, shape)) + " numbers")
    box = d.panel(surface, rect, what, ", ".join(facts))
    if obs is None:
        d.text(surface, "no observation yet", (box.x, box.y), 18, d.DIM)
        return
    lines = []
    if agent is not None and (words := agent.encoder.describe(obs)):
        lines.append(f"features: {words}")
    for i, line in enumerate(lines):
        d.text(surface, line, (box.x, box.y + i * d.height_of(17)), 17, d.DIM, width=box.width)
    used = len(lines) * d.height_of(17)
    box = pygame.Rect(box.x, box.y + used, box.width, max(box.height - used, 1))
    further = _further(session, probe)
    if further is not None:
        title, names, values = further
        half = pygame.Rect(box.x, box.y + round(box.height * 0.55), box.width, round(box.height * 0.45))
        box = pygame.Rect(box.x, box.y, box.width, round(box.height * 0.55) - d.px(8))
        _inner(surface, half, title, names, values)
    draw_observation(surface, box, env, obs, session.trail)


def _further(session: Session, probe: Probe | None) -> tuple[str, list[str], NDArray[np.float64]] | None:
    """What the networks see in place of the observation: its title, names and numbers; None where it is the same."""
    agent, obs = session.agent, session.observation
    if probe is not None and probe.features is not None and probe.features.shape[1] <= _MOST_FEATURES:
        row = probe.features[0]
        return f"{len(row)} features", [f"x[{i}]" for i in range(len(row))], row.astype(np.float64)
    seen = agent.inputs(obs) if agent is not None else None
    if seen is None or seen.shape[1] > _MOST_FEATURES:
        return None
    row = seen[0].astype(np.float64)
    names = dimension_names(session.env) if len(row) == np.size(obs) else [f"x[{i}]" for i in range(len(row))]
    return "normalised by the running mean and deviation", names, row


def _inner(
    surface: pygame.Surface, box: pygame.Rect, title: str, names: list[str], values: NDArray[np.float64]
) -> None:
    """Numbers as bars where they fit, else as a row of cells."""
    d.text(surface, title, (box.x, box.y), 17, d.DIM, width=box.width)
    room = pygame.Rect(box.x, box.y + d.px(20), box.width, max(box.height - d.px(20), 1))
    if len(values) * d.px(16) <= room.height:
        d.bars(surface, room, names, values.tolist())
        return
    low, high = float(values.min()), float(values.max())
    columns = min(len(values), max(room.width // 6, 1))
    rows = -(-len(values) // columns)
    tall = max(min(room.height // rows, d.px(28)), 1)
    for i, value in enumerate(values):
        share = (value - low) / (high - low) if high > low else charts.FLAT
        x = room.x + room.width * (i % columns) // columns
        right = room.x + room.width * (i % columns + 1) // columns
        cell = pygame.Rect(x, room.y + (i // columns) * tall, max(right - x, 1), tall)
        surface.fill(d.scale_color(float(share)), cell)
