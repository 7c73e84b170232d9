"""Panels of the window that our agents bring: returns, critics, the replay buffer, and what is remembered."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from rlplay import extend
from rlplay.extend import Agent, Probe, WindowPanel, counted

if TYPE_CHECKING:
    import pygame

look: Any = extend  # functions that draw have other names in their module

_LEAST_HEIGHT = 26  # pixels of a row


def draw_returns(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """A row an action: how probable each return is, and the mean; the best action in green.

    Example:
        >>> import pygame
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 100))
        >>> atoms, chances = np.linspace(0, 1, 11)[None, None], np.full((1, 1, 11), 1 / 11)
        >>> probe = Probe(action_values=np.array([[0.5]]), atoms=atoms, atom_probabilities=chances)
        >>> class Session:
        ...     action_names = ("wait",)
        >>> draw_returns(surface, surface.get_rect(), Session, probe)
        >>> surface.get_bounding_rect().width > 100
        True
    """
    import pygame

    draw_text, theme = look.draw_text, look.draw_theme()
    if probe is None or probe.atoms is None or probe.atom_probabilities is None or probe.action_values is None:
        draw_text(surface, "no observation yet", (box.x, box.y), 18)
        return
    atoms, chances, values = probe.atoms[0], probe.atom_probabilities[0], probe.action_values[0]  # [A, M], [A, M], [A]
    bins = min(max(box.width // 6, 8), atoms.shape[1])
    low, high = float(atoms.min()), float(atoms.max())
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    shares = np.array([np.histogram(a, edges, weights=p)[0] for a, p in zip(atoms, chances, strict=True)])  # [A, bins]
    shown = min(int((values > -np.inf).sum()), max(box.height // _LEAST_HEIGHT, 1))  # what may be done
    height, names = box.height / max(shown, 1), list(session.action_names or [])
    for row, action in enumerate(np.sort(np.argsort(-values, kind="stable")[:shown])):
        top, best = box.y + row * height, values[action] == values.max()
        bar = 0.7 * height / max(float(shares.max()), 1e-9)
        for i, share in enumerate(shares[action]):
            left, right = (box.x + box.width * (i + k) / bins for k in (0, 1))
            tall = float(share) * bar
            place = pygame.Rect(
                int(left), int(top + 0.95 * height - tall), max(int(right - left) - 1, 1), int(tall) + 1
            )
            pygame.draw.rect(surface, theme.good if best else theme.accent, place)
        middle = box.x + box.width * (float(values[action]) - edges[0]) / (edges[-1] - edges[0])
        pygame.draw.line(surface, theme.text, (middle, top + 0.3 * height), (middle, top + 0.95 * height), 2)
        name = names[action] if action < len(names) else str(action)
        draw_text(surface, f"{name}: {values[action]:.4g} of {low:.4g} to {high:.4g}", (box.x, int(top)), 16)


def has_returns(session: Any) -> bool:
    """Whether the agent tells returns apart."""
    return getattr(session.agent, "distributional", None) is not None


_has_critics: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def has_critics(session: Any) -> bool:
    """Whether the agent has critics, and targets to compare them with."""
    agent, obs = session.agent, session.observation
    if agent is None or type(agent).critic_values is Agent.critic_values or obs is None:
        return False
    if agent not in _has_critics:
        _has_critics[agent] = agent.critic_values(obs) is not None
    return _has_critics[agent]


def draw_critics(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """Numbered actions: a row each, a dot a critic and a ring its target. Continuous ones: curves over each number.

    Example:
        >>> import pygame
        >>> pygame.font.init()
        >>> surface = pygame.Surface((300, 100))
        >>> class Two:
        ...     def critic_values(self, obs, actions=None, target=False):
        ...         return np.array([[[0.0, 1.0]], [[0.5, 2.0]]])
        >>> class Session:
        ...     agent, observation, action_names = Two(), 0, ("left", "right")
        >>> draw_critics(surface, surface.get_rect(), Session, Probe())
        >>> surface.get_bounding_rect().width > 100
        True
    """
    agent, obs = session.agent, session.observation
    if probe is None or obs is None:
        look.draw_text(surface, "no observation yet", (box.x, box.y), 18)
    elif probe.action_mean is None:
        before = (
            dict(zip(("state", "episode_start"), session.state_before(), strict=True)) if has_memory(session) else {}
        )
        online, target = (agent.critic_values(obs, target=one, **before)[:, 0] for one in (False, True))
        _numbered(surface, box, session, online, target)
    else:
        _continuous(surface, box, session, probe)


def _numbered(
    surface: pygame.Surface, box: pygame.Rect, session: Any, online: NDArray[np.float64], target: NDArray[np.float64]
) -> None:
    """Values [C, A] of critics and targets, a row an action."""
    import pygame

    theme, names = look.draw_theme(), list(session.action_names or [])
    both = np.concatenate([online, target])
    low, high = float(both.min()), float(both.max())
    span = (high - low) or 1.0
    label, foot = box.width * 0.28, look.draw_px(20)
    shown = min(online.shape[1], max((box.height - foot) // look.draw_px(_LEAST_HEIGHT), 1))
    rows = np.sort(np.argsort(-online.min(axis=0), kind="stable")[:shown])
    height = min((box.height - foot) / shown, look.draw_px(44))
    left, width = box.x + label, box.width - label - look.draw_px(10)
    for row, action in enumerate(rows):
        y = box.y + (row + 0.5) * height
        name = names[action] if action < len(names) else str(action)
        look.draw_text(surface, name, (box.x, y), 17, theme.text, "midleft", label - 8)
        pygame.draw.line(surface, theme.line, (left, y), (left + width, y), 2)
        for values, ring in ((target, True), (online, False)):
            for c, value in enumerate(values[:, action]):
                x = left + width * (float(value) - low) / span
                color = (theme.accent, theme.warm, theme.good, theme.bad)[c % 4]
                pygame.draw.circle(surface, color, (x, y), look.draw_px(7 if ring else 4), look.draw_px(2) * ring)
    words = f"dot: {'critic' if len(online) > 1 else 'network'}, ring: its target; {low:.4g} to {high:.4g}"
    if shown < online.shape[1]:
        words += f"; the best {shown} of {counted(online.shape[1], 'action')}"
    look.draw_text(surface, words, (box.x, box.bottom), 15, theme.dim, "bottomleft", box.width)


_POINTS = 41  # of a curve


def _continuous(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe) -> None:
    """Each critic over each number of the action, the others as the policy has them."""
    import pygame

    theme, agent = look.draw_theme(), session.agent
    assert probe.action_mean is not None
    mean, space = probe.action_mean[0], session.env.action_space
    low, high = (np.ravel(bound).astype(np.float64) for bound in (space.low, space.high))
    taken = np.ravel(session.last.action) if session.last is not None else None
    foot = look.draw_px(20)
    shown = min(len(mean), max((box.height - foot) // look.draw_px(64), 1))
    height = (box.height - foot) / shown
    for j in range(shown):
        axis = np.linspace(low[j], high[j], _POINTS)
        actions = np.repeat(mean[None], _POINTS, axis=0)
        actions[:, j] = axis
        obs = np.repeat(np.asarray(session.observation)[None], _POINTS, axis=0)
        online = agent.critic_values(obs, actions)  # [C, P, K]
        target = agent.critic_values(obs, actions, target=True)
        lowest, highest = float(min(online.min(), target.min())), float(max(online.max(), target.max()))
        plot = pygame.Rect(box.x + look.draw_px(56), round(box.y + j * height), box.width - look.draw_px(60),
                           round(height) - look.draw_px(18))  # fmt: skip
        pygame.draw.rect(surface, theme.line, plot, 1)

        def at(x: float, y: float, j: int = j, plot: Any = plot, span: Any = (lowest, highest)) -> tuple[float, float]:
            share = (y - span[0]) / ((span[1] - span[0]) or 1.0)
            return plot.x + plot.width * (x - low[j]) / (high[j] - low[j]), plot.bottom - 1 - share * (plot.height - 2)

        for c in range(len(online)):
            color = (theme.accent, theme.warm, theme.good, theme.bad)[c % 4]
            if online.shape[2] > 1:
                for k in (0.1, 0.9):
                    edge = np.quantile(online[c], k, axis=1)
                    pygame.draw.lines(surface, theme.soft, False, [at(x, y) for x, y in zip(axis, edge, strict=True)])
            points = [at(x, y) for x, y in zip(axis, target[c].mean(axis=1), strict=True)]
            for a, b in zip(points[::2], points[1::2], strict=False):
                pygame.draw.line(surface, color, a, b)  # dashed
            points = [at(x, y) for x, y in zip(axis, online[c].mean(axis=1), strict=True)]
            pygame.draw.lines(surface, color, False, points, 2)
        for value, color in ((mean[j], theme.good), (None if taken is None else taken[j], theme.text)):
            if value is not None:
                x = at(float(np.clip(value, low[j], high[j])), lowest)[0]
                pygame.draw.line(surface, color, (x, plot.y), (x, plot.bottom), 2)
        for y, word in ((plot.y + 6, highest), (plot.bottom - 6, lowest)):
            look.draw_text(surface, f"{word:.3g}", (plot.x - 6, y), 15, theme.dim, "midright")
        look.draw_text(surface, f"{low[j]:.3g}", (plot.x, plot.bottom + 2), 15, theme.dim)
        look.draw_text(surface, f"a[{j}]", (plot.centerx, plot.bottom + 2), 15, theme.dim, "midtop")
        look.draw_text(surface, f"{high[j]:.3g}", (plot.right, plot.bottom + 2), 15, theme.dim, "topright")
    words = f"lines: {len(online)} critics, dashed: targets; green: the policy's action, upright: taken"
    if shown < len(mean):
        words += f"; {shown} of {counted(len(mean), 'number')}"
    look.draw_text(surface, words, (box.x, box.bottom), 15, theme.dim, "bottomleft", box.width)


_STEPS, _SECONDS = 256, 0.5  # stored steps whose errors are shown, and how long a computation of them is


class Errors(NamedTuple):
    """One-step TD errors of stored steps, by the targets."""

    errors: NDArray[np.float64]
    priorities: NDArray[np.float64] | None
    held: int
    capacity: int


_errors: WeakKeyDictionary[Any, tuple[float, int, Errors | None]] = WeakKeyDictionary()


def errors_of(agent: Any) -> Errors | None:
    """r + gamma V(S') - Q(S, A) of steps in the replay buffer, V by the targets; None where there are none.

    Example:
        >>> from agents import DQN
        >>> found = errors_of(DQN("CartPole-v1", buffer_size=500, seed=0).learn(140))
        >>> len(found.errors) == found.held > 100
        True
    """
    stored = agent.stored_steps(_STEPS)
    if stored is None or agent.critic_values(stored.obs[:1]) is None:
        return None
    if hasattr(agent, "td_errors"):  # they depend on what it remembers
        return Errors(agent.td_errors(stored), stored.priorities, stored.held, stored.capacity)
    probe, rows = agent.probe(stored.next_obs), np.arange(len(stored.obs))
    if probe.action_mean is None:
        now, after = agent.critic_values(stored.obs).min(axis=0), agent.critic_values(stored.next_obs, target=True)
        here, ahead = now[rows, stored.actions[:, 0].astype(int)], after.min(axis=0)
        policy = probe.action_probabilities
        ahead = ahead.max(axis=1) if policy is None else (policy * ahead).sum(axis=1)
    else:
        here = agent.critic_values(stored.obs, stored.actions).mean(axis=2).min(axis=0)
        ahead = agent.critic_values(stored.next_obs, probe.action_mean, target=True).mean(axis=2).min(axis=0)
    errors = stored.rewards + agent.gamma * ahead * ~stored.terminated - here
    return Errors(errors, stored.priorities, stored.held, stored.capacity)


def has_replay(session: Any) -> bool:
    """Whether the agent learns from a replay buffer of its own."""
    return hasattr(session.agent, "stored_steps") and session.observation is not None


def draw_replay(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """How full the buffer is, the temperature, and histograms of TD errors and priorities.

    Example:
        >>> import pygame
        >>> from agents import DQN
        >>> pygame.font.init()
        >>> surface = pygame.Surface((300, 200))
        >>> class Session:
        ...     agent = DQN("CartPole-v1", buffer_size=500, seed=0).learn(140)
        >>> draw_replay(surface, surface.get_rect(), Session, None)
        >>> surface.get_bounding_rect().width > 100
        True
    """
    import pygame

    agent, theme, now = session.agent, look.draw_theme(), time.monotonic()
    due, at, found = _errors.get(agent, (0.0, -1, None))
    if at != agent.num_timesteps and now >= due:
        found = errors_of(agent)
        _errors[agent] = (now + _SECONDS, agent.num_timesteps, found)
    lines = []
    if "ent_coef" in agent.hyperparameters:  # the work space of TD3 and its kin has a temperature that nothing reads
        log_alpha = agent.memory.work.log_alpha
        lines.append(f"temperature {float(np.exp(log_alpha[0])):.4g} ({'learned' if agent.learns_alpha else 'fixed'})")
    metrics = agent.metrics()
    lines += [f"{name.removeprefix('train/').replace('_', ' ')} {value:{',.0f' if value >= 1e4 else '.4g'}}"
              for name, value in metrics.items() if name.removeprefix("train/") in _SHOWN]  # fmt: skip
    if found is None:
        lines.insert(0, "the errors of stored steps are shown where observations are vectors, once there are some")
    else:
        lines.insert(0, f"{counted(found.held, 'step')} stored, room for {found.capacity:,}")
    tall = look.draw_px(20)
    look.draw_text(surface, lines[0], (box.x, box.y), 17, theme.text, "topleft", box.width)
    look.draw_text(surface, "   ".join(lines[1:]), (box.x, box.y + tall), 16, theme.dim, "topleft", box.width)
    if found is None:
        return
    parts = [(f"TD errors of {len(found.errors)} stored steps, one step, by the targets", found.errors, True)]
    if found.priorities is not None:
        parts.append(("priorities of those", found.priorities, False))
    height = (box.height - 2 * tall - look.draw_px(6)) / len(parts)
    for k, (title, values, signed) in enumerate(parts):
        top = box.y + 2 * tall + look.draw_px(6) + k * height
        part = pygame.Rect(box.x, round(top), box.width, round(height) - look.draw_px(6))
        _histogram(surface, part, title, values, signed)


_SHOWN = ("loss", "critic_loss", "actor_loss", "entropy", "n_updates")


def _histogram(
    surface: pygame.Surface, box: pygame.Rect, title: str, values: NDArray[np.float64], signed: bool
) -> None:
    import pygame

    theme, word = look.draw_theme(), look.draw_px(18)
    large = float(np.abs(values).max()) or 1.0
    low, high = (-large, large) if signed else (0.0, large)
    bins = max(min(box.width // look.draw_px(9), 61), 5) | 1  # an odd number: zero has one of its own
    counts, edges = np.histogram(values, bins, (low, high))
    look.draw_text(surface, title, (box.x, box.y), 15, theme.dim, "topleft", box.width)
    plot = pygame.Rect(box.x, box.y + word, box.width, max(box.height - 2 * word, 4))
    for i, count in enumerate(counts):
        tall = round(plot.height * count / max(int(counts.max()), 1))
        x = plot.x + plot.width * i // bins
        bar = pygame.Rect(x, plot.bottom - tall, max(plot.width * (i + 1) // bins - x - 1, 1), tall)
        pygame.draw.rect(surface, theme.accent if edges[i] + edges[i + 1] >= 0 else theme.warm, bar)
    pygame.draw.line(surface, theme.line, plot.bottomleft, plot.bottomright)
    middle = f"mean {float(values.mean()):.3g}, mean size {float(np.abs(values).mean()):.3g}"
    for x, words, anchor in ((plot.x, f"{low:.3g}", "topleft"), (plot.centerx, middle, "midtop"),
                             (plot.right, f"{high:.3g}", "topright")):  # fmt: skip
        look.draw_text(surface, words, (x, plot.bottom + 2), 15, theme.dim, anchor)


def draw_memory(surface: pygame.Surface, box: pygame.Rect, session: Any, probe: Probe | None) -> None:
    """The hidden numbers of a recurrent agent, a cell each: warm above 0, cold below, faint at 0.

    Example:
        >>> import pygame
        >>> pygame.font.init()
        >>> surface = pygame.Surface((200, 100))
        >>> draw_memory(surface, surface.get_rect(), None, Probe(memory=np.ones((1, 2, 16))))
        >>> surface.get_bounding_rect().width > 150
        True
    """
    import pygame

    draw_text, theme = look.draw_text, look.draw_theme()
    if probe is None or probe.memory is None:
        draw_text(surface, "no observation yet", (box.x, box.y), 18)
        return
    parts = probe.memory[0]  # [P, H]
    tall, words = box.height / len(parts), 22
    for number, (name, values) in enumerate(zip(("h, what it shows", "c, what it keeps"), parts, strict=False)):
        top, most = box.y + number * tall, max(float(np.abs(values).max()), 1e-9)
        low, high = float(values.min()), float(values.max())
        draw_text(surface, f"{name}: {len(values)} numbers from {low:.2f} to {high:.2f}", (box.x, int(top)), 16)
        room = max(tall - words - 6, 8.0)
        columns = max(min(math.ceil(math.sqrt(len(values) * box.width / room)), len(values)), 1)
        rows = math.ceil(len(values) / columns)
        columns = math.ceil(len(values) / rows)  # as many in each row
        wide, high_cell = box.width / columns, room / rows
        for i, value in enumerate(values):
            x, y = box.x + i % columns * wide, top + words + i // columns * high_cell
            share = float(value) / most
            colour = _mix(theme.line, theme.warm if share > 0 else theme.accent, abs(share))
            cell = pygame.Rect(
                int(x), int(y), max(int(x + wide) - int(x) - 1, 1), max(int(y + high_cell) - int(y) - 1, 1)
            )
            pygame.draw.rect(surface, colour, cell)


def _mix(one: Any, other: Any, share: float) -> tuple[int, ...]:
    return tuple(round(a + (b - a) * share) for a, b in zip(one[:3], other[:3], strict=True))


def has_memory(session: Any) -> bool:
    """Whether the agent remembers what it has seen."""
    return bool(getattr(session.agent, "remembers", False))


PANELS = {
    "returns": WindowPanel("returns of each action, and how probable", draw_returns, has_returns),
    "critics": WindowPanel("critics, and the targets they learn from", draw_critics, has_critics),
    "replay": WindowPanel("what it learns from", draw_replay, has_replay),
    "memory": WindowPanel("what it remembers", draw_memory, has_memory),
}
