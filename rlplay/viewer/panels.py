"""The panels of the window, drawn from a session. What an agent does not have is said, never faked."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import pygame

from rlplay.environments.make import reference
from rlplay.errors import counted
from rlplay.probe import Probe
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer import charts
from rlplay.viewer import drawing as d
from rlplay.viewer.action_parts import draw_parts
from rlplay.viewer.bottom import draw_bottom, draw_help
from rlplay.viewer.cell_marks import WALL, marked_rows, pay_of
from rlplay.viewer.inputs import draw_inputs
from rlplay.viewer.keys import action_keys
from rlplay.viewer.layout import Rect, layout
from rlplay.viewer.map_panel import draw_map
from rlplay.viewer.panel import registered_panels
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.scene import ROUNDING, Scene
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState, speed_text
from rlplay.viewer.why import draw_why

_picture = d.Picture()


class View(NamedTuple):
    """One of the panels that share a place."""

    label: str
    draw: Callable[[pygame.Surface, Rect, Scene], None]


def draw(
    surface: pygame.Surface, session: Session, state: ViewState, notice: str = "", pointer: Pointer | None = None
) -> None:
    """Draw the whole window."""
    d.use(state.theme, state.zoom)
    surface.fill(d.BACKGROUND)
    size = surface.get_size()
    found = views(session, set(layout(*size, state.zoom)))
    places = layout(*size, state.zoom, len(found))
    pointer = pointer or Pointer()
    pointer.clear()
    scene = Scene(session, state, _probe(session), pointer)
    _top(surface, places["top"], session, state)
    _frame(surface, places["frame"], session)
    for name, panel in (("returns", _returns), ("actions", _actions), ("step", _step)):
        if name in places:
            panel(surface, places[name], scene)
    _views(surface, places["views"], scene, found)
    for further, name in enumerate(("second", "third"), 1):
        if name in places:  # in a wide window the views that come next
            found[(state.panel + further) % len(found)].draw(surface, places[name], scene)
    draw_bottom(surface, places["bottom"], session, state, notice)
    if state.help:
        draw_help(surface, session, state, pointer=pointer)
    pointer.draw(surface)


def picture_box() -> pygame.Rect:
    """Where the environment's picture was drawn last, for clicks into it."""
    return pygame.Rect(_picture.box)


def views(session: Session, places: set[str]) -> list[View]:
    """The panels that share a place: those without a place of their own, the map, the plug-ins', what is seen."""
    found = [View(name, panel) for name, panel in _PANELS.items() if name not in places]
    if session.agent is not None:
        found.append(View("map", draw_map))
    for name, panel in registered_panels().items():
        if panel.fits(session):
            found.append(View(name, _plug_in(name)))
    found.append(View("input", _input))
    if session.agent is not None:
        found.append(View("why", _why))
    return found


def _views(surface: pygame.Surface, rect: Rect, scene: Scene, found: list[View]) -> None:
    """One of several panels, with a tab for each above it."""
    chosen = scene.state.panel % len(found)
    x, y, tall, size = rect.x, rect.y, d.px(28), 17
    widths = [d.font(size).size(view.label)[0] + d.px(18) for view in found]
    room = rect.width - d.px(4)
    shown = range(len(found))
    if sum(widths) > room:  # the chosen tab and as many as fit beside it, and how many there are
        room -= d.font(size).size("p: 10 of 10")[0] + d.px(12)
        first = chosen
        while first > 0 and sum(widths[first - 1 : chosen + 1]) <= room:
            first -= 1
        last = chosen + 1
        while last < len(found) and sum(widths[first : last + 1]) <= room:
            last += 1
        shown = range(first, last)
        words = f"p: {chosen + 1} of {len(found)}"
        box = d.text(surface, words, (rect.x + rect.width - d.px(6), y + tall / 2), 16, d.DIM, "midright")
        scene.pointer.button(box, "panel", "the next of: " + ", ".join(view.label for view in found))
    for i in shown:
        tab = pygame.Rect(x, y, widths[i] - d.px(2), tall + (d.px(8) if i == chosen else -d.px(3)))
        over = scene.pointer.button(tab, f"panel {i}")
        pygame.draw.rect(surface, d.PANEL if i == chosen or over else d.LINE, tab, border_radius=d.px(6))
        color = d.ACCENT if i == chosen else d.TEXT
        d.text(surface, found[i].label, (tab.centerx, y + tall / 2), size, color, "center", tab.width)
        x += widths[i]
    below = Rect(rect.x, y + tall, rect.width, rect.height - tall)
    found[chosen].draw(surface, below, scene)


def _plug_in(name: str) -> Callable[[pygame.Surface, Rect, Scene], None]:
    def draw_panel(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
        panel = registered_panels()[name]
        box = d.panel(surface, rect, panel.title)
        surface.set_clip(box)
        try:
            panel.draw(surface, box, scene.session, scene.probe)
        finally:
            surface.set_clip(None)

    return draw_panel


def _input(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    draw_inputs(surface, rect, scene.session, scene.probe)


def _why(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    draw_why(surface, rect, scene.session, scene.pointer)


def _probe(session: Session) -> Probe | None:
    return session.probe()


def _top(surface: pygame.Surface, rect: Rect, session: Session, state: ViewState) -> None:
    pygame.draw.rect(surface, d.PANEL, rect)
    middle, agent, edge = rect.y + rect.height / 2, session.agent, d.px(14)
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
    right = d.text(surface, words, (rect.width - edge, middle), 20, d.DIM, "midright", rect.width * 0.55)
    who = "you play" if session.mode == "play" or session.driving else agent.id if agent else "a recording"
    room = right.left - 2 * edge
    used = d.text(surface, who, (edge, middle), 26, d.ACCENT, "midleft", room)
    if room > used.right + d.px(40):
        left = used.right + d.px(8)
        ref = reference(session.env)
        words = f"in {ref if ref.id else type(session.env.unwrapped).__name__}"
        size = d.fitting(words, room - left, 24, 20, 18, 16)
        d.text(surface, words, (left, middle), size, d.TEXT, "midleft", room - left)


def _frame(surface: pygame.Surface, rect: Rect, session: Session) -> None:
    box = d.panel(surface, rect)
    session.picture_size = box.size
    _picture.draw(surface, session.frame(), box)
    if session.touched:
        _cell_marks(surface, session)
    if session.ended and session.last is not None:
        why = "terminated" if session.last.terminated else "time limit"
        total, steps = d.short(session.position.episode_return), counted(session.position.length, "step")
        words = f"{why}: return {total} in {steps}"
        width = min(d.font(24).size(words)[0] + d.px(32), box.width)
        band = pygame.Rect(box.centerx - width // 2, box.bottom - d.px(44), width, d.px(36))
        pygame.draw.rect(surface, d.BACKGROUND, band, border_radius=d.px(6))
        size = d.fitting(words, width - d.px(12), 24, 20, 17)
        d.text(surface, words, band.center, size, d.WARM, "center", width - d.px(12))


def _cell_marks(surface: pygame.Surface, session: Session) -> None:
    """Walls and rewards put by hand into a grid that does not draw them itself."""
    cells = marked_rows(session.env)
    for row, line in enumerate(cells or ()):
        for column, mark in enumerate(line):
            if mark not in (WALL, "+", "-"):
                continue
            box, wide, tall = _picture.box, _picture.box.width / len(line), _picture.box.height / len(cells or ())
            cell = pygame.Rect(round(box.x + column * wide), round(box.y + row * tall), round(wide), round(tall))
            if mark == WALL:
                pygame.draw.rect(surface, (92, 98, 114), cell)
                pygame.draw.rect(surface, (44, 48, 58), cell, d.px(2))
                continue
            pays = pay_of(session.env) * (1 if mark == "+" else -1)
            badge = cell.inflate(-round(wide * 0.35), -round(tall * 0.55))
            pygame.draw.rect(surface, d.GOOD if pays > 0 else d.BAD, badge, border_radius=d.px(5))
            d.text(surface, f"{pays:+g}", badge.center, 20, (20, 22, 28), "center", badge.width)


def _returns(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    session = scene.session
    returns, played, note = session.returns, session.played, ""
    title = "return of each episode"
    if returns:
        window = charts.mean_window(len(returns))
        title += " of the training" if played or session.mode != "learn" else ""
        note = f"line: mean of {window}, now {d.short(float(np.mean(returns[-window:])))}"
    elif played:
        note = f"mean of {len(played)}: {d.short(float(np.mean(played)))}"
    box = d.panel(surface, rect, title, note)
    sweeps = session.learning is not None and session.learning.agent.timestep == "sweep"
    nothing = "no episodes: it sweeps over all states" if sweeps else "no episode has ended yet"
    numbers = [n + 1 for n in session.episode_numbers]
    charts.curve(surface, box, returns, numbers, "episode", played, nothing=nothing)
    scene.pointer.say(pygame.Rect(*rect), _returns_in_words(returns, played))


def _returns_in_words(returns: list[float], played: list[float]) -> str:
    lines = []
    for name, values in (("training", returns), ("played here", played)):
        if values:
            low, mean, high = (d.short(float(f(values))) for f in (np.min, np.mean, np.max))
            lines.append(f"{name}: {counted(len(values), 'episode')}, lowest {low}, mean {mean}, highest {high}")
    return "\n".join(lines) or "no episode has ended yet"


def _actions(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    session, probe = scene.session, scene.probe
    if session.agent is None:
        _your_actions(surface, rect, scene)
    elif probe is None:
        box = d.panel(surface, rect, "actions")
        d.text(surface, "no observation yet", (box.x, box.y), 18, d.DIM)
    elif probe.action_values is not None or probe.action_probabilities is not None:
        _numbered_actions(surface, rect, scene, probe)
    elif probe.action_mean is not None:
        _continuous_actions(surface, rect, scene, probe)
    elif probe.part_probabilities is not None:
        draw_parts(surface, rect, scene, probe)
    else:
        _last_action(surface, rect, scene)


def _last_action(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    """Of actions that are neither counted nor numbers, such as a Tuple: what was done last, part by part."""
    session = scene.session
    box = d.panel(surface, rect, "the last action", "its probabilities are not shown")
    if session.last is None:
        d.text(surface, "none yet", (box.x, box.y), 18, d.DIM)
        return
    action, tall = session.last.action, d.height_of(18)
    parts = [(f"part {i}", value) for i, value in enumerate(action)] if isinstance(action, tuple) else [("", action)]
    rows = list(action.items()) if isinstance(action, dict) else parts
    shown = scene.pointer.rows("actions", pygame.Rect(*rect), len(rows), box.height // tall)
    for place, i in enumerate(shown):
        y = box.y + place * tall
        d.text(surface, rows[i][0], (box.x, y), 18, d.DIM, width=d.px(90))
        d.text(surface, d.brief(rows[i][1]), (box.x + d.px(100), y), 18, d.TEXT, width=box.width - d.px(100))
    d.more(surface, rect, shown, len(rows))


def _your_actions(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    """Without an agent: what a person can do, with its keys, and what was done last."""
    session = scene.session
    title = "your actions, by key" if session.mode == "play" else "actions"
    box = d.panel(surface, rect, title)
    rows = _play_rows(session) if session.mode == "play" else [("", name) for name in session.action_names]
    tall = d.height_of(18)
    shown = scene.pointer.rows("actions", pygame.Rect(*rect), len(rows), box.height // tall)
    taken = _taken(session)
    for place, i in enumerate(shown):
        key, name = rows[i]
        middle = box.y + (place + 0.5) * tall
        if key:
            wide = d.font(16).size(key)[0] + d.px(12)
            cap = pygame.Rect(box.x, round(middle - tall * 0.42), wide, round(tall * 0.84))
            pygame.draw.rect(surface, d.LINE, cap, border_radius=d.px(4))
            d.text(surface, key, cap.center, 16, d.TEXT, "center")
        color = d.WARM if name == taken else d.TEXT
        d.text(surface, name, (box.x + (d.px(76) if key else 0), middle), 18, color, "midleft", box.width - d.px(80))
    d.more(surface, rect, shown, len(rows))
    if not rows:
        d.text(surface, f"actions {session.env.action_space}", (box.x, box.y), 18, d.DIM, width=box.width)


def _taken(session: Session) -> str:
    """The name of the last action; empty where there is none."""
    if session.last is None or not session.action_names or not is_finite(session.env.action_space):
        return ""
    return session.action_names[FiniteSpace(session.env.action_space).index(session.last.action)]


def _numbered_actions(surface: pygame.Surface, rect: Rect, scene: Scene, probe: Probe) -> None:
    """A row an action; those that do not fit are scrolled to."""
    session = scene.session
    values = probe.action_values if probe.action_values is not None else probe.action_probabilities
    assert values is not None
    valued = probe.action_values is not None
    names = session.action_names or [str(a) for a in range(values.shape[1])]
    allowed = np.flatnonzero(values[0] > -np.inf)  # actions that may be taken
    row = values[0][allowed]
    best = {int(a) for a in np.flatnonzero(row == row.max())} if len(row) and row.max() > row.min() else set()
    taken = next((i for i, a in enumerate(allowed) if names[a] == _taken(session)), None)
    shares = probe.action_probabilities[0][allowed] if valued and probe.action_probabilities is not None else None
    title = "action values Q(s, a)" if valued else "action probabilities"
    title += ", and probability" if shares is not None else ""
    forbidden = len(names) - len(allowed)
    note = f"{forbidden} of {len(names)} may not be taken" if forbidden else ""
    box = d.panel(surface, rect, title, note)
    legend, least = d.px(18), d.px(16)
    last_update = _last_update(session)
    foot = legend + (legend if last_update and box.height > 5 * d.px(24) else 0)
    fitting = max((box.height - foot) // least, 1)
    shown = scene.pointer.rows("actions", pygame.Rect(*rect), len(allowed), fitting)
    part = pygame.Rect(box.x, box.y, box.width, max(box.height - foot, least))
    inside = {i - shown.start for i in best if i in shown}
    mark = {taken - shown.start} if taken is not None and taken in shown else set()
    finite = row[np.isfinite(row)]
    span = (min(0.0, float(finite.min())), max(0.0, float(finite.max()))) if len(finite) else (0.0, 1.0)
    d.bars(
        surface, part, [names[allowed[i]] for i in shown], [float(row[i]) for i in shown],
        None if shares is None else [float(shares[i]) for i in shown], inside, mark,
        span=span if valued else (0.0, 1.0), percent=not valued,
    )  # fmt: skip
    used = min(part.height, d.px(34) * len(shown))
    x, y = box.x, box.y + used + d.px(4)
    if best:
        d.diamond(surface, (x + d.px(6), y + d.px(5)), d.px(4), d.GOOD)
        x = d.text(surface, "best", (x + d.px(14), y), 15, d.DIM).right + d.px(14)
    if taken is not None:
        d.triangle(surface, (x + d.px(5), y + d.px(5)), "right", d.px(4), d.WARM)
        d.text(surface, "taken last", (x + d.px(14), y), 15, d.DIM)
    if last_update and foot > legend:
        d.text(surface, last_update, (box.x, y + legend), 16, d.DIM, width=box.width)
    d.more(surface, rect, shown, len(allowed))
    lines = [
        f"{names[a]}: {'Q' if valued else 'probability'} {float(values[0][a]):.6g}"
        + ("" if shares is None else f", probability {float(shares[i]):.4g}")
        for i, a in enumerate(allowed)
    ]
    scene.pointer.say(part, "\n".join(lines[:_FEW]) + (f"\nand {len(lines) - _FEW} more" if len(lines) > _FEW else ""))


_FEW = 20  # actions that are listed in full under the mouse


def _continuous_actions(surface: pygame.Surface, rect: Rect, scene: Scene, probe: Probe) -> None:
    """Each number of an action on the axis of its bounds."""
    session = scene.session
    assert probe.action_mean is not None
    means = probe.action_mean[0]
    spread = probe.action_std[0] if probe.action_std is not None else [None] * len(means)
    space = session.env.action_space
    low, high = (np.ravel(bound) for bound in (space.low, space.high))  # type: ignore[attr-defined]
    taken = np.ravel(session.last.action) if session.last is not None else None
    note = "band: one deviation" if probe.action_std is not None else "no deviation: a deterministic policy"
    box = d.panel(surface, rect, "the policy's action", f"green: mean, {note}, triangle: taken")
    tall = d.px(d.SPREAD)
    shown = scene.pointer.rows("actions", pygame.Rect(*rect), len(means), box.height // tall)
    for place, i in enumerate(shown):
        row = pygame.Rect(box.x, box.y + tall * place, box.width, tall)
        std = spread[i]
        d.spread(
            surface, row, f"a[{i}]", float(means[i]), None if std is None else float(std),
            (float(low[i]), float(high[i])), None if taken is None else float(taken[i]),
        )  # fmt: skip
    d.more(surface, rect, shown, len(means))
    y = box.y + tall * len(shown) + d.px(4)
    if (words := _last_update(session)) and y + d.px(16) < box.bottom:
        d.text(surface, words, (box.x, y), 16, d.DIM, width=box.width)


def _step(surface: pygame.Surface, rect: Rect, scene: Scene) -> None:
    session, probe = scene.session, scene.probe
    last, agent = session.last, session.agent
    if agent is not None and agent.timestep == "sweep" and session.mode == "learn":
        box = d.panel(surface, rect, "planning", "space: go on, right: one step")
        lines = (agent.activity or "no sweep yet").split("; ")
    else:
        box = d.panel(surface, rect, "the last step", f"step {session.position.length} of the episode" if last else "")
        lines = _step_lines(session, probe) if last is not None else ["none yet"]
    tall = d.height_of(18)
    shown = scene.pointer.rows("step", pygame.Rect(*rect), len(lines), max(box.height // tall, 1))
    for place, i in enumerate(shown):
        color = d.TEXT if i == 0 else d.DIM
        d.text(surface, lines[i], (box.x, box.y + place * tall), 18, color, width=box.width)
    d.more(surface, rect, shown, len(lines))


def _step_lines(session: Session, probe: Probe | None) -> list[str]:
    """The last step in words and numbers, the most important first."""
    last, agent = session.last, session.agent
    assert last is not None
    name = _taken(session) or d.brief(last.action)
    total = d.short(session.position.episode_return)
    lines = [f"action {name}   reward {d.short(last.reward)}   return so far {total}"]
    if "bonus" in last.info:
        lines[0] += f"   bonus in the reward {d.short(last.info['bonus'])}"
    if session.td_error is not None and not math.isnan(session.td_error):
        lines.append(f"TD error {d.short(session.td_error)}")
    if probe is not None and probe.value is not None:
        lines.append(f"value {d.short(float(probe.value[0]))}")
        estimates = _estimates(session)
        lines[-1] += "".join(f"   {line}" for line in estimates[:1])
        lines += estimates[1:]
    lines.append(f"{d.brief(last.obs)}  ->  {d.brief(last.next_obs)}")
    if agent is not None and session.observation is not None and (sees := agent.encoder.describe(session.observation)):
        lines.append(f"sees {sees}")
    if session.mode == "learn" and agent is not None and (equation := _equation(type(agent))):
        lines.append(equation)
    return lines


def _estimates(session: Session) -> list[str]:
    """What an agent with values thinks of the last step and of the episode."""
    agent, last = session.agent, session.last
    lines: list[str] = []
    assert agent is not None
    assert last is not None
    gamma = agent.hyperparameters.get("gamma")
    if isinstance(gamma, float) and not agent.remembers:  # its values are of what it remembered then
        before, after = (agent.probe(obs).value for obs in (last.obs, last.next_obs))
        if before is None or after is None:  # a planner has values only where it has searched
            return lines
        advantage = last.reward + gamma * float(after[0]) * (not last.terminated) - float(before[0])
        if abs(advantage) < ROUNDING * (abs(last.reward) + abs(float(after[0])) + abs(float(before[0]))):
            advantage = 0.0
        lines.append(f"advantage {d.short(advantage)}")
        start = agent.probe(session.first).value if session.first is not None else None
        if start is not None:
            expected, got = d.short(float(start[0])), d.short(session.gained)
            lines.append(f"expected at the start {expected}, got so far {got} (discounted)")
    return lines


# Numbers of an agent's last update that are shown, by their names there, and with which sign.
_UPDATE = {"entropy": ("entropy_loss", -1), "KL": ("approx_kl", 1), "clipped": ("clip_fraction", 1),
           "value loss": ("value_loss", 1)}  # fmt: skip


def _last_update(session: Session) -> str:
    """Entropy, divergence and so on of the last update; empty where there was none."""
    found = session.agent.metrics() if session.agent is not None else {}
    shown = [f"{word} {d.short(sign * found[f'train/{name}'])}" for word, (name, sign) in _UPDATE.items()
            if f"train/{name}" in found]  # fmt: skip
    return "last update: " + "   ".join(shown) if shown else ""


@cache
def _equation(cls: type) -> str:
    """The update as the agent's file opens with it: its first indented line with an arrow."""
    text = sys.modules[cls.__module__].__doc__ or ""
    found = (line.strip() for line in text.splitlines() if line.startswith("    ") and "←" in line)
    return next(found, "").replace("←", ":=")  # the bundled font has no arrow


def _play_rows(session: Session) -> list[tuple[str, str]]:
    return [(key, session.choices[action][0]) for key, action in action_keys(session).items()]


_PANELS = {"actions": _actions, "step": _step, "returns": _returns}
