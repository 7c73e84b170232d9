"""The update of an agent that learns step by step: its equation with its numbers, and what it moved."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pygame

from rlplay.errors import counted
from rlplay.probe import Probe
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.viewer import drawing as d
from rlplay.viewer.learning import FittedLearning, Move, Update
from rlplay.viewer.network_learning import NetworkLearning
from rlplay.viewer.numbers import in_pairs
from rlplay.viewer.pointer import wrapped

_ROWS = 12  # moves that are listed at most
_CLOSE = 1e-9


def draw_update(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """What is about to be learned, or what was learned last: lines of text, then a bar a moved number."""
    lines, moves = lines_of(session)
    tall = d.height_of(17)
    y = box.y
    for i, line in enumerate(lines):
        for part in wrapped(line, 17, box.width):
            if y + tall > box.bottom:
                return
            d.text(surface, part, (box.x, y), 17, d.TEXT if i == 0 else d.DIM, width=box.width)
            y += tall
    largest = max((abs(move.after - move.before) for move in moves), default=0.0) or 1.0
    for move in moves[:_ROWS]:
        if y + tall > box.bottom + d.px(4):
            break
        _move(surface, pygame.Rect(box.x, y, box.width, tall), move, largest, session)
        y += tall


def _move(surface: pygame.Surface, row: pygame.Rect, move: Move, largest: float, session: Any) -> None:
    change = move.after - move.before
    told = [d.short(move.before), d.short(move.after)]
    if told[0] == told[1]:  # a small move of a larger number
        told = [_full(move.before), _full(move.after)]
    words = f"{_name(move, session)}   {' -> '.join(told)}"
    if not move.place:  # a leaf: its place is long, and may be cut
        words = f"{' -> '.join(told)}   {move.array}"
    room = row.width * 0.62
    if d.font(14).size(words)[0] > room and move.place:  # the numbers matter more than their bar
        d.text(surface, words, (row.x, row.y), d.fitting(words, row.width, 17, 15, 13), d.TEXT, width=row.width)
        return
    d.text(surface, words, (row.x, row.y), d.fitting(words, room, 17, 14), d.TEXT, width=room)
    middle, wide = row.x + row.width * 0.82, row.width * 0.17
    pygame.draw.line(surface, d.LINE, (middle, row.y), (middle, row.bottom - 3))
    length = change / largest * wide
    bar = pygame.Rect(round(min(middle, middle + length)), row.y + 3, max(round(abs(length)), 1), row.height - 9)
    pygame.draw.rect(surface, d.GOOD if change > 0 else d.BAD, bar, border_radius=2)


def lines_of(session: Any) -> tuple[list[str], list[Move]]:
    """The words and the moves of the panel."""
    learning = session.learning
    if learning is None:
        return ["nothing is learned here"], []
    update = learning.update
    if learning.half:
        if isinstance(learning, NetworkLearning) and update is not None:
            return list(update.told), update.moves
        return _before(session), []
    if isinstance(learning, FittedLearning):
        return _fitted(session, update)
    if update is None:
        return ["no update yet: right takes a step"], []
    return _after(session, update), update.moves


def _before(session: Any) -> list[str]:
    """Between what was seen and what is learned from it."""
    step, agent = session.last, session.agent
    lines = ["seen, and not yet learned from: right goes on"]
    lines.append(f"A {_action(session, step.action)}   R {d.short(step.reward)}" + _ending(step))
    if agent.remembers:  # what it thought of S it has forgotten
        return lines
    before, after = agent.probe(step.obs), agent.probe(step.next_obs)
    for label, probe in (("S", before), ("S'", after)):
        if probe.action_values is not None:
            told = "  ".join(d.short(float(x)) for x in probe.action_values[0][:6])
            lines.append(f"Q({label}, .)  {told}")
        elif probe.value is not None:
            lines.append(f"V({label})  {d.short(float(probe.value[0]))}")
    return lines


def _fitted(session: Any, update: Update | None) -> tuple[list[str], list[Move]]:
    """Of an agent that fits what it gathered: where the fit stands, and what its last iteration moved."""
    agent = session.agent
    so_far = f"{counted(int(agent.counts.seen[0]), 'step')}, {counted(agent.lessons, 'fit')}"
    lines = [agent.activity or f"gathering: {so_far} so far"]
    if update is None:
        return [*lines, f"a fit comes every {counted(agent.train_freq, 'step')}"], []
    if update.changed is None:
        return [*lines, "what it moves is shown where the map is a slice of the state space"], []
    lines.append(f"the last iteration moved values by up to {d.short(float(np.abs(update.changed).max()))}")
    if update.moves:
        lines.append("leaves whose value moved most:")
    return lines, update.moves


def _after(session: Any, update: Update) -> list[str]:
    """The equation with its numbers, where one number of the state and action moved; else what is known."""
    step, delta = update.transition, update.td_error
    assert step is not None
    first = f"A {_action(session, step.action)}   R {d.short(step.reward)}{_ending(step)}"
    if isinstance(session.learning, NetworkLearning):  # what the last update says of itself
        many = f"{counted(update.moved, 'gradient step')} after this step"
        lines = [first, many if update.moved else f"no update after this step, {session.agent.lessons:,} so far"]
        return [*lines, *in_pairs(session.agent.metrics()), *update.told]
    lines = [first] if math.isnan(delta) else [f"{first}   TD error {_full(delta)}"]
    own = _own_move(session, update)
    if own is not None and not math.isnan(delta) and abs(delta) > _CLOSE:
        alpha, gamma = (own.after - own.before) / delta, session.agent.hyperparameters.get("gamma")
        target = own.before + delta
        name = _name(own, session)
        if isinstance(gamma, float) and gamma > 0 and not step.terminated:
            ahead = (target - step.reward) / gamma
            lines.append(f"target  {_full(step.reward)} + {gamma:g} x {_full(ahead)} = {_full(target)}")
        elif step.terminated:
            lines.append(f"target  R = {_full(target)}, an end")
        lines.append(f"{name} := {_full(own.before)} + {alpha:.4g} x ({_full(target)} - {_full(own.before)})")
        lines[-1] += f" = {_full(own.after)}"
    if update.moved:
        many = f"{counted(update.moved, 'number')} moved" if update.moved > 1 else "one number moved"
        lines.append(many + (f", the {min(_ROWS, len(update.moves))} that moved most:" if update.moved > 1 else ":"))
    else:
        lines.append("nothing moved: it learns later, or there was no error")
    return lines


def _own_move(session: Any, update: Update) -> Move | None:
    """The move of the table's entry of the state and action; None where the agent has no such table."""
    agent, step = session.agent, update.transition
    assert step is not None
    q = getattr(agent, "q", None)
    if not (isinstance(q, np.ndarray) and q.ndim == 2 and q.size and agent.encoder.in_use and agent.numbering):
        return None
    state = agent.encoder.encode(step.obs)
    if not isinstance(state, int | np.integer):
        return None
    at = int(state), agent.numbering.index(step.action)
    return next((move for move in update.moves if move.array == "q" and move.place == at), None)


def _name(move: Move, session: Any) -> str:
    """``q[24, up]``: the array, the state or feature, and the action."""
    if not move.place:
        return move.array
    names, parts = session.action_names, [str(i) for i in move.place]
    if names and len(move.place) == 2 and move.array in ("q", "w", "h") and move.place[1] < len(names):
        parts[1] = names[move.place[1]]
    return f"{move.array}[{', '.join(parts)}]"


def _action(session: Any, action: Any) -> str:
    if session.action_names and is_finite(session.env.action_space):
        return str(session.action_names[FiniteSpace(session.env.action_space).index(action)])
    return d.brief(action)


def _ending(step: Any) -> str:
    return "   an end" if step.terminated else "   time limit" if step.truncated else ""


def _full(number: float) -> str:
    return f"{number:.5g}"
