"""The panels of the window, drawn from a session. What an agent does not have is said, never faked."""

from __future__ import annotations

import math
import sys
from functools import cache

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.environments.make import reference
from rlplay.probe import Probe
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer import drawing as d
from rlplay.viewer.keys import action_keys
from rlplay.viewer.layout import Rect, layout
from rlplay.viewer.maps import ValueMap, value_map
from rlplay.viewer.panel import registered_panels
from rlplay.viewer.session import Session
from rlplay.viewer.slices import LAYERS, Slicer, can_be_sliced
from rlplay.viewer.state import HELP, ViewState, speed_text
from rlplay.viewer.trees import draw_tree

_picture = d.Picture()
_slicer = Slicer()
_HINTS = ("pause", "step", "faster", "slower", "reset", "screenshot", "help", "quit")


def draw(surface: pygame.Surface, session: Session, state: ViewState, notice: str = "") -> None:
    """Draw the whole window."""
    surface.fill(d.BACKGROUND)
    places = layout(*surface.get_size())
    probe = _probe(session)
    _top(surface, places["top"], session, state)
    _frame(surface, places["frame"], session)
    _returns(surface, places["returns"], session)
    _actions(surface, places["actions"], session, probe)
    _step(surface, places["step"], session, probe)
    _map_or_panel(surface, places["map"], session, state, probe)
    _bottom(surface, places["bottom"], session, state, notice)
    if state.help:
        _help(surface, session)


def _probe(session: Session) -> Probe | None:
    obs = session.observation
    return session.agent.probe(obs) if session.agent is not None and obs is not None else None


def _top(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState) -> None:
    pygame.draw.rect(surface, d.PANEL, rect)
    middle, agent = rect.y + rect.height / 2, session.agent
    who = "you play" if session.mode == "play" else agent.id if agent else "a recording"
    used = d.text(surface, who, (14, middle), 26, d.ACCENT, "midleft")
    used = d.text(
        surface, f"in {reference(session.env)}", (used.right + 8, middle), 24, d.TEXT, "midleft", rect.width * 0.5
    )
    facts = []
    if agent is not None:
        count = f"{agent.num_timesteps:,}"
        if session.mode == "learn" and session.target:
            count += f" of {session.target:,}"
        facts.append(f"{count} {agent.timestep}s {'learned' if session.mode == 'learn' else 'trained'}")
        facts.append(f"seed {agent.seed}")
    if state.paused:
        facts.append("paused")
    elif session.mode != "learn" or state.touched:
        facts.append(f"speed {speed_text(state.factor)}")
    words = "   ".join(facts)
    d.text(surface, words, (rect.width - 14, middle), 20, d.DIM, "midright", rect.width - used.right - 30)


def _frame(surface: pygame.Surface, rect: Rect, session: Session) -> None:
    box = d.panel(surface, rect)
    _picture.draw(surface, session.frame(), box)
    if session.ended and session.last is not None:
        why = "terminated" if session.last.terminated else "time limit"
        words = f"{why}: return {d.short(session.position.episode_return)} in {session.position.length} steps"
        width = d.font(24).size(words)[0] + 32
        band = pygame.Rect(box.centerx - width // 2, box.bottom - 44, width, 36)
        pygame.draw.rect(surface, d.BACKGROUND, band, border_radius=6)
        d.text(surface, words, band.center, 24, d.WARM, "center")


def _returns(surface: pygame.Surface, rect: Rect, session: Session) -> None:
    recent = session.returns[-100:]
    note = f"mean of the last {len(recent)}: {d.short(float(np.mean(recent)))}" if recent else ""
    box = d.panel(surface, rect, "return of each episode, and running mean", note)
    d.curve(surface, box, session.returns, session.episode_numbers)


def _actions(surface: pygame.Surface, rect: Rect, session: Session, probe: Probe | None) -> None:
    if probe is None:
        box = d.panel(surface, rect, "actions")
        words = "no agent: these are yours" if session.agent is None else "no observation yet"
        d.text(surface, words, (box.x, box.y), 18, d.DIM)
        return
    if probe.action_values is not None or probe.action_probabilities is not None:
        values = probe.action_values if probe.action_values is not None else probe.action_probabilities
        assert values is not None
        names = np.array(session.action_names or [str(a) for a in range(values.shape[1])])
        shown = np.flatnonzero(values[0] > -np.inf)  # actions that may be taken
        most = max((rect.height - 44) // 16, 3)
        if len(shown) > most:
            shown = np.sort(shown[np.argsort(-values[0][shown], kind="stable")[:most]])
        row = values[0][shown]
        shares = probe.action_probabilities[0][shown] if probe.action_probabilities is not None else None
        title = "action values Q(s, a), and probability" if probe.action_values is not None else "action probabilities"
        note = "green: the best" + (f", {len(shown)} of {len(names)} actions" if len(shown) < len(names) else "")
        box = d.panel(surface, rect, title, note)
        best = {int(a) for a in np.flatnonzero(row == row.max())} if row.max() > row.min() else set()
        d.bars(
            surface, box, names[shown].tolist(), row.tolist(), None if shares is None else shares.tolist(), best, None
        )
        _last_update(surface, rect, session, 36 + 40 * len(shown))
        return
    box = d.panel(surface, rect, "actions")
    if probe.action_mean is not None:
        spread = probe.action_std[0] if probe.action_std is not None else np.zeros_like(probe.action_mean[0])
        space = session.env.action_space
        low, high = (np.ravel(bound) for bound in (space.low, space.high))  # type: ignore[attr-defined]
        taken = np.ravel(session.last.action) if session.last is not None else None
        for i, (mean, std) in enumerate(zip(probe.action_mean[0], spread, strict=True)):
            row = pygame.Rect(box.x, box.y + 46 * i, box.width, 42)
            if row.bottom <= box.bottom + 4:
                mark = None if taken is None else float(taken[i])
                d.spread(surface, row, f"a[{i}]", mean, std, (float(low[i]), float(high[i])), mark)
        _last_update(surface, rect, session, 36 + 46 * len(spread))
    else:
        d.text(
            surface, f"{session.agent.id if session.agent else 'this'} has no action values", (box.x, box.y), 18, d.DIM
        )


def _step(surface: pygame.Surface, rect: Rect, session: Session, probe: Probe | None) -> None:
    last = session.last
    agent = session.agent
    if agent is not None and agent.timestep == "sweep" and session.mode == "learn":
        box = d.panel(surface, rect, "planning", "space: go on, right: one step")
        for i, part in enumerate((agent.activity or "no sweep yet").split("; ")):
            d.text(surface, part, (box.x, box.y + 24 * i), 20, d.TEXT if i == 0 else d.DIM, width=box.width)
        return
    box = d.panel(surface, rect, "the last step", f"step {session.position.length} of the episode" if last else "")
    if last is None:
        d.text(surface, "none yet", (box.x, box.y), 18, d.DIM)
        return
    name = str(last.action)
    if session.action_names and is_finite(session.env.action_space):
        index = FiniteSpace(session.env.action_space).index(last.action)
        name = session.action_names[index]
    lines = [f"S {_brief(last.obs)}   A {name}   R {d.short(last.reward)}   S' {_brief(last.next_obs)}"]
    if "bonus" in last.info:
        lines[0] += f"   bonus in R {d.short(last.info['bonus'])}"
    if session.td_error is not None and not math.isnan(session.td_error):
        lines.append(f"TD error {session.td_error:+.4g}   return so far {d.short(session.position.episode_return)}")
    else:
        lines.append(f"return so far {d.short(session.position.episode_return)}")
    if probe is not None and probe.value is not None:
        lines[-1] += f"   value {d.short(float(probe.value[0]))}"
        lines += _estimates(session)
    if agent is not None and session.observation is not None and (sees := agent.encoder.describe(session.observation)):
        lines.append(f"sees {sees}")
    if session.mode == "learn" and agent is not None and (equation := _equation(type(agent))):
        lines.append(equation)
    for i, line in enumerate(lines):
        y = box.y + i * 23
        if y + 16 <= box.bottom + 6:
            d.text(surface, line, (box.x, y), 19, d.TEXT if i == 0 else d.DIM, width=box.width)


def _estimates(session: Session) -> list[str]:
    """What an agent with values thinks of the last step and of the episode."""
    agent, last = session.agent, session.last
    lines: list[str] = []
    assert agent is not None
    assert last is not None
    gamma = agent.hyperparameters.get("gamma")
    if isinstance(gamma, float):
        before, after = (agent.probe(obs).value for obs in (last.obs, last.next_obs))
        if before is None or after is None:  # a planner has values only where it has searched
            return lines
        advantage = last.reward + gamma * float(after[0]) * (not last.terminated) - float(before[0])
        lines.append(f"advantage {advantage:+.3g}")
        start = agent.probe(session.first).value if session.first is not None else None
        if start is not None:
            expected, got = d.short(float(start[0])), d.short(session.gained)
            lines[-1] += f"   told at the start {expected}, got so far {got} (discounted)"
    return lines


# Numbers of an agent's last update that are shown, by their names there, and with which sign.
_UPDATE = {"entropy": ("entropy_loss", -1), "KL": ("approx_kl", 1), "clipped": ("clip_fraction", 1),
           "value loss": ("value_loss", 1)}  # fmt: skip


def _last_update(surface: pygame.Surface, rect: Rect, session: Session, used: int) -> None:
    """Entropy, divergence and so on of the last update, at the bottom of a panel where there is room."""
    found = session.agent.metrics() if session.agent is not None else {}
    shown = [f"{word} {sign * found[f'train/{name}']:.3g}" for word, (name, sign) in _UPDATE.items()
            if f"train/{name}" in found]  # fmt: skip
    if shown and used + 30 < rect.height:
        words = "last update: " + "   ".join(shown)
        d.text(surface, words, (rect.x + 12, rect.y + rect.height - 24), 18, d.DIM, width=rect.width - 24)


@cache
def _equation(cls: type) -> str:
    """The update as the agent's file opens with it: its first indented line with an arrow."""
    text = sys.modules[cls.__module__].__doc__ or ""
    found = (line.strip() for line in text.splitlines() if line.startswith("    ") and "←" in line)
    return next(found, "").replace("←", ":=")  # the bundled font has no arrow


def _brief(value: object) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=2, separator=" ", threshold=6, suppress_small=True)
    return str(value)


def _map_or_panel(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState, probe: Probe | None) -> None:
    """The map, or the panel of a plug-in that is chosen in its place."""
    others = [panel for panel in registered_panels().values() if panel.fits(session)]
    chosen = state.panel % (len(others) + 1)
    if chosen == 0:
        _map(surface, rect, session, state)
        return
    panel = others[chosen - 1]
    box = d.panel(surface, rect, panel.title)
    surface.set_clip(box)
    try:
        panel.draw(surface, box, session, probe)
    finally:
        surface.set_clip(None)


def _map(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState) -> None:
    tree = getattr(session.agent, "tree", None)
    if tree is not None and session.observation is not None:
        root = tree(session.observation)
        note = f"{sum(root.visits):,} simulations" if root is not None else ""
        box = d.panel(surface, rect, "search tree: width visits, colour value, downwards in time", note)
        if root is not None:
            draw_tree(surface, box, root, session.action_names)
        return
    if session.agent is not None and session.observation is not None and can_be_sliced(session.env):
        _slice(surface, rect, session, state)
        return
    found = value_map(session.agent, session.env, session.observation) if session.agent is not None else None
    if found is None:
        box = d.panel(surface, rect, "values of all states")
        words = "no agent" if session.agent is None else "only for finite observations and agents with values"
        d.text(surface, words, (box.x, box.y), 18, d.DIM)
        return
    filled = found.values[np.isfinite(found.values)]
    low, high = float(filled.min()), float(filled.max())
    box = d.panel(surface, rect, "values of all states, and best actions", f"{d.short(low)} to {d.short(high)}")
    _draw_map(surface, box, found, low, high, session.action_names)


def _slice(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState) -> None:
    """Two directions of a vector state space: a layer as colours, regions outlined, and where the agent stands."""
    assert session.agent is not None
    layer = LAYERS[state.layer % len(LAYERS)]
    found = _slicer.slice(session.agent, session.env, session.observation, state.slice, layer)
    if found is None:
        box = d.panel(surface, rect, "values over the state space")
        d.text(surface, "the agent has no values yet", (box.x, box.y), 18, d.DIM)
        return
    low, high = float(found.values.min()), float(found.values.max())
    note = f"{d.short(low)} to {d.short(high)}" + (f", {found.regions_are}" if found.regions_are else "")
    box = d.panel(surface, rect, found.shows, note)
    names = found.plane.names
    d.text(surface, f"across: {names[0]}", (box.centerx, box.bottom + 4), 17, d.DIM, "midbottom")
    d.text(surface, f"up: {names[1]}", (box.x, box.y - 2), 17, d.DIM)
    picture = pygame.Rect(box.x, box.y + 14, box.width, box.height - 28)
    plain = np.full_like(found.best, -1)
    d.heat(surface, picture, found.values, found.regions, found.best if layer == "values" else plain)
    if found.centres is not None:
        _centres(surface, picture, *found.centres)
    d.text(surface, d.short(found.low[0]), (picture.x, box.bottom + 4), 16, d.DIM, "bottomleft")
    d.text(surface, d.short(found.high[0]), (picture.right, box.bottom + 4), 16, d.DIM, "bottomright")
    vertical = f"{d.short(found.low[1])} to {d.short(found.high[1])}"
    d.text(surface, vertical, (picture.right, box.y - 2), 16, d.DIM, "topright")
    x, y = found.place(session.observation)
    center = (round(picture.x + x * (picture.width - 1)), round(picture.bottom - 1 - y * (picture.height - 1)))
    pygame.draw.circle(surface, d.BACKGROUND, center, 7)
    pygame.draw.circle(surface, (255, 255, 255), center, 5)


def _centres(
    surface: pygame.Surface, picture: pygame.Rect, now: NDArray[np.float64], before: NDArray[np.float64]
) -> None:
    """Where clusters lie, and a line from where they lay before the last refit."""
    clip = surface.get_clip()
    surface.set_clip(picture)
    for here, there in zip(now, before, strict=True):
        ends = [
            (round(picture.x + x * picture.width), round(picture.bottom - y * picture.height)) for x, y in (there, here)
        ]
        if ends[0] != ends[1]:
            pygame.draw.line(surface, (24, 27, 35), ends[0], ends[1], 2)
        pygame.draw.circle(surface, (24, 27, 35), ends[1], 3)
        pygame.draw.circle(surface, (225, 228, 238), ends[1], 2)
    surface.set_clip(clip)


def _draw_map(
    surface: pygame.Surface, box: pygame.Rect, found: ValueMap, low: float, high: float, names: list[str]
) -> None:
    rows, columns = found.values.shape
    legend = 14 if box.width > 160 else 0
    size = min((box.width - legend * 2) / columns, box.height / rows)
    left, top = box.x + (box.width - legend * 2 - size * columns) / 2, box.y + (box.height - size * rows) / 2
    span = (high - low) or 1.0
    for row in range(rows):
        for column in range(columns):
            value = found.values[row, column]
            x, y = round(left + column * size), round(top + row * size)
            cell = pygame.Rect(x, y, round(left + (column + 1) * size) - x, round(top + (row + 1) * size) - y)
            if np.isnan(value):
                surface.fill((45, 50, 62), cell)
                continue
            share = (value - low) / span if high > low else 0.0
            surface.fill(d.scale_color(share), cell)
            if size > 6:
                pygame.draw.rect(surface, d.PANEL, cell, 1)
            action = int(found.best[row, column])
            if action >= 0 and size >= 10:
                ink = (24, 26, 32) if share > 0.6 else (238, 240, 246)
                d.action_mark(surface, cell.center, names[action], size * 0.26, ink)
    if found.here is not None:
        row, column = found.here
        here = pygame.Rect(round(left + column * size), round(top + row * size), round(size), round(size))
        pygame.draw.rect(surface, (255, 255, 255), here.inflate(2, 2), max(round(size / 12), 2), border_radius=3)
    if legend:
        bar = pygame.Rect(box.right - legend, box.y, legend, box.height)
        for y in range(bar.height):
            surface.fill(d.scale_color(1 - y / max(bar.height - 1, 1)), (bar.x, bar.y + y, bar.width, 1))


def _bottom(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState, notice: str) -> None:
    pygame.draw.rect(surface, d.PANEL, rect)
    if session.target and session.agent is not None:
        share = min(session.agent.num_timesteps / session.target, 1.0)
        surface.fill(d.LINE, (rect.x, rect.y, rect.width, 4))
        surface.fill(d.GOOD if share >= 1 else d.ACCENT, (rect.x, rect.y, round(rect.width * share), 4))
    middle = rect.y + rect.height / 2 + 2
    if state.recording:
        pygame.draw.circle(surface, d.BAD, (rect.width - 20, round(middle)), 7)
    if notice:
        d.text(surface, notice, (14, middle), 22, d.WARM, "midleft", rect.width - 60)
        return
    x = 14.0
    for intent in _HINTS:
        key, meaning = HELP[intent]
        meaning = meaning.split(",")[0].split(" (")[0]
        if x + d.font(19).size(f"{key} {meaning}")[0] > rect.width - 40:
            break
        x = d.text(surface, key, (x, middle), 19, d.ACCENT, "midleft").right + 5
        x = d.text(surface, meaning, (x, middle), 19, d.DIM, "midleft").right + 18


def _help(surface: pygame.Surface, session: Session) -> None:
    rows = list(HELP.values())
    if session.mode == "play":
        rows = [(key, f"you: {name}") for key, name in _play_rows(session)] + rows
    width, height = 460, 56 + 26 * len(rows)
    box = pygame.Rect(0, 0, width, height)
    box.center = (surface.get_width() // 2, surface.get_height() // 2)
    pygame.draw.rect(surface, d.BACKGROUND, box.inflate(6, 6), border_radius=10)
    pygame.draw.rect(surface, d.PANEL, box, border_radius=8)
    d.text(surface, "keys", (box.x + 20, box.y + 14), 26, d.ACCENT)
    for i, (key, meaning) in enumerate(rows):
        y = box.y + 48 + 26 * i
        d.text(surface, key, (box.x + 20, y), 21, d.TEXT)
        d.text(surface, meaning, (box.x + 130, y), 21, d.DIM, width=width - 150)


def _play_rows(session: Session) -> list[tuple[str, str]]:
    return [(key, session.choices[action][0]) for key, action in action_keys(session).items()]
