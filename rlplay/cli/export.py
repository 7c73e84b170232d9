"""``rlplay export``: an episode as one page for a browser: frames, values, probabilities, a scrubber, bookmarks.

An agent as a zip of Stable-Baselines3, or as a folder of Hugging Face: `rlplay.cli.export_model`.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rlplay.cli.common import console, environment_arguments, load_agent, one, quoted, retyped
from rlplay.cli.windows import shown_env
from rlplay.environments.make import reference
from rlplay.errors import UsageError, counted
from rlplay.reports.numbers import number
from rlplay.reports.replay_page import EpisodePage, Moment, check_page, write_page
from rlplay.seeding import check_seed

if TYPE_CHECKING:
    from rlplay.probe import Probe
    from rlplay.viewer.session import Session

_SIZE = (480, 320)  # pixels of pictures that are drawn here
_MOST_ACTIONS = 24  # rows of a page


def run(arguments: Namespace) -> int:
    """Play an episode and write the page."""
    path = arguments.output or Path("replay.html")
    if _is_model(path):
        from rlplay.cli.export_model import export_model

        return export_model(arguments, path)
    check_page(path)
    session, words = _recording(arguments) if _is_episode(arguments.path) else _played(arguments)
    try:
        page = page_of(session, arguments.max_steps or 1000, words)
    finally:
        session.env.close()
    write_page(page, path)
    size = path.stat().st_size
    total = sum(moment.reward for moment in page.moments[:-1])
    console().print(f"wrote {path}   {counted(len(page.moments) - 1, 'step')}, return {total:g}, {size / 1e6:.2f} MB")
    return 0


def _is_model(path: Path) -> bool:
    """Whether a zip of Stable-Baselines3 or a folder with one is asked for."""
    return path.suffix == ".zip" or path.is_dir() or path.suffix == ""


def _is_episode(path: str | None) -> bool:
    return path is not None and Path(path).suffix == ".json"


def _played(arguments: Namespace) -> tuple[Session, list[str]]:
    """A saved agent that plays."""
    from rlplay.viewer.session import Session

    agent, path = load_agent(arguments)
    typed = one(arguments.seed, "--seed")
    seed = agent.seed if typed is None else check_seed(typed)
    env = shown_env(reference(agent.env))
    agent.set_env(env)
    session = Session(env, agent, "watch", seed=seed)
    session.deterministic = arguments.deterministic
    acting = [] if arguments.deterministic else ["--stochastic"]
    return session, ["rlplay", "export", str(path), "--seed", str(seed), *acting, *retyped(reference(env))]


def _recording(arguments: Namespace) -> tuple[Session, list[str]]:
    """A recorded episode."""
    from rlplay.environments.episode import load_episode
    from rlplay.environments.reference import EnvReference
    from rlplay.viewer.session import Session

    if not arguments.deterministic:
        raise UsageError("--stochastic has no effect here: an episode file says what was done", "Leave that out")
    episode, typed = load_episode(arguments.path), one(arguments.env, "--env")
    if episode.env.typed and typed is None:
        raise UsageError(
            f"{arguments.path} was recorded in {episode.env}, which a file may not import",
            f"Type it: --env {episode.env.id}",
        )
    kwargs = {**episode.env.kwargs, **environment_arguments(arguments)}
    env = shown_env(EnvReference(typed or episode.env.id, kwargs))
    session = Session(env, None, "replay", episode=load_episode(arguments.path, env))
    return session, ["rlplay", "export", arguments.path, *retyped(reference(env))]


def page_of(session: Session, most: int, command: list[str]) -> EpisodePage:
    """Play a session's episode to its end, or so many steps, and collect what happens."""
    agent, env = session.agent, session.env
    session.picture_size = _SIZE
    facts = [f"seed {session.position.seed} of the episode"] if session.position.seed >= 0 else []
    if agent is not None:
        facts.insert(0, f"{agent.num_timesteps:,} {agent.timestep}s trained")
    gamma = agent.hyperparameters.get("gamma") if agent is not None else None
    page = EpisodePage(
        title=f"{agent.id if agent else 'a recording'} in {reference(env)}",
        facts=", ".join(facts),
        command=quoted(command),
        fps=float(env.metadata.get("render_fps") or 8),
        gamma=float(gamma) if isinstance(gamma, float | int) else 1.0,
    )
    rows: list[int] | None = None
    going = True
    while True:
        obs = session.observation
        over = session.ended and (session.last is None or session.last.terminated)  # nothing is expected from here on
        probe = session.probe() if obs is not None and not over else None
        if rows is None:
            rows = _describe_actions(page, session, probe)
        frame, moment = session.frame(), _moment(page, session, probe, rows)
        step = session.position.length
        if len(page.moments) > most or session.ended or not session.step():
            going = False
        if going:
            assert session.last is not None
            moment.reward = session.last.reward
            moment.taken, words = _taken(page, session, rows)
            moment.words = f"step {step}: {words}, reward {number(session.last.reward)}"
        else:
            moment.words = _ending(session)
        page.add(frame, moment)
        if not going:
            page.bookmarks.append((len(page.moments) - 1, moment.words))
            return page


def _describe_actions(page: EpisodePage, session: Session, probe: Probe | None) -> list[int]:
    """What rows of actions the page has; returns their numbers."""
    names = session.action_names
    if probe is not None and (probe.action_values is not None or probe.action_probabilities is not None):
        scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
        assert scores is not None
        rows = sorted(np.argsort(-scores[0], kind="stable")[:_MOST_ACTIONS].tolist())
        page.names = [names[a] if a < len(names) else str(a) for a in rows]
        page.percent = probe.action_values is None
        page.title_of_actions = "action probabilities" if page.percent else "action values, and probabilities"
        if len(rows) < scores.shape[1]:
            page.title_of_actions += f" ({len(rows)} of {counted(scores.shape[1], 'action')})"
        return rows
    if probe is not None and probe.action_mean is not None:
        rows = list(range(min(probe.action_mean.shape[1], _MOST_ACTIONS)))
        page.names, page.title_of_actions, page.ranks = [f"a[{i}]" for i in rows], "mean of each action", False
        return rows
    page.names, page.title_of_actions = names[:_MOST_ACTIONS], "actions"
    return list(range(len(page.names)))


def _moment(page: EpisodePage, session: Session, probe: Probe | None, rows: list[int]) -> Moment:
    moment = Moment()
    if probe is None:
        return moment
    if probe.value is not None:
        moment.value = float(probe.value[0])
    found: Any = probe.action_values if probe.action_values is not None else probe.action_probabilities
    if found is None:
        found = probe.action_mean
    if found is not None:
        moment.scores = [float(found[0, a]) for a in rows]
    if probe.action_values is not None and probe.action_probabilities is not None:
        moment.shares = [float(probe.action_probabilities[0, a]) for a in rows]
    return moment


def _taken(page: EpisodePage, session: Session, rows: list[int]) -> tuple[int | None, str]:
    """The row of the action that was taken, and the action in words."""
    from rlplay.spaces.finite import FiniteSpace, is_finite
    from rlplay.viewer.drawing import brief

    last, space = session.last, session.env.action_space
    assert last is not None
    if not is_finite(space):
        return None, f"action {brief(last.action)}"
    action = FiniteSpace(space).index(last.action)
    return (rows.index(action) if action in rows else None), f"action {session.action_names[action]}"


def _ending(session: Session) -> str:
    last = session.last
    if last is None or not (last.terminated or last.truncated):
        return "the end of what was exported"
    return "the episode terminated" if last.terminated else "the time limit"
