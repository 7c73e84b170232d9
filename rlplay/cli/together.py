"""``rlplay watch A B``: players side by side, with the same seeds and the same clock."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from rlplay.cli.common import console, environment_arguments, load_agent, one
from rlplay.cli.windows import open_window, prepared, shown_env
from rlplay.environments.make import reference
from rlplay.environments.reference import EnvReference
from rlplay.errors import UsageError, counted
from rlplay.reports.numbers import number

_WITHOUT_FILE = ("random", "you")


def watch_together(arguments: Namespace, seed: int | None) -> int:
    """Show the players, and print the table of their differences at the end."""
    from rlplay.viewer.compare import MOST, Comparison

    names = [name for name in (arguments.path, *arguments.others) if name is not None]
    if not 2 <= len(names) <= MOST:
        raise UsageError(
            f"{len(names)} are to be compared: {' '.join(names) or 'none'}",
            f"Name 2 to {MOST} runs or files, `random` or `you`: rlplay watch RUN random",
        )
    if arguments.follow:
        raise UsageError("--follow is for one run", "Leave it out, or watch one run")
    if names.count("you") > 1:
        raise UsageError("there is one keyboard, so `you` plays once")
    if arguments.headless and "you" in names:
        raise UsageError("`you` needs a window: a person plays")
    files = [name for name in names if name not in _WITHOUT_FILE]
    if not files and not arguments.env:
        raise UsageError("random players and you need an environment", "Name it: --env FrozenLake-v1")

    def prepare() -> Comparison:
        return _comparison(names, arguments, seed or 0)

    comparison = prepared(prepare, arguments, f"{len(names)} players")
    sessions = [contestant.session for contestant in comparison.contestants]
    main = next((session for session in sessions if session.driving), sessions[0])
    for session in sessions:
        session.deterministic = arguments.deterministic
    window = open_window(
        main, arguments, comparison=comparison, ghost=arguments.ghost, default_steps=300 if arguments.headless else None
    )
    _say(window.comparison)
    return 0


def _comparison(names: list[str], arguments: Namespace, seed: int) -> Any:
    from rlplay.viewer.compare import Comparison

    agents = {}
    for k, name in enumerate(names):
        if name not in _WITHOUT_FILE:
            arguments.path = name
            agents[k] = load_agent(arguments)
    if agents:
        ref = reference(next(iter(agents.values()))[0].env)
    else:
        env_id = one(arguments.env, "--env")
        assert env_id is not None
        ref = EnvReference(env_id, environment_arguments(arguments))
    labels = _labels([agents[k][0].id if k in agents else name for k, name in enumerate(names)],
                     [agents[k][1] if k in agents else None for k in range(len(names))])  # fmt: skip
    return Comparison([_contestant(labels[k], agents.get(k), ref, name) for k, name in enumerate(names)], seed)


def _contestant(label: str, loaded: tuple[Any, Path] | None, ref: EnvReference, name: str) -> Any:
    from rlplay.viewer.compare import random_player
    from rlplay.viewer.session import Session
    from rlplay.viewer.together import Contestant

    if loaded is not None:
        agent, _ = loaded
        env = shown_env(reference(agent.env))
        agent.set_env(env)
        session = Session(env, agent, "watch")
        agent.probe(session.observation)  # what it needs is compiled or loaded while the window says so
        return Contestant(label, session)
    env = shown_env(ref)
    if name == "random":
        env.action_space.seed(0)
        return Contestant(label, Session(env, None, "watch", policy=random_player(env)))
    session = Session(env, None, "play")
    if not session.choices:
        raise UsageError(f"there are no keys for actions {env.action_space}", "Leave out `you`")
    return Contestant(label, session)


def _labels(names: list[str], paths: list[Path | None]) -> list[str]:
    """The agents' ids; where several have one, with what tells them apart: the run or the checkpoint."""
    count = Counter(names)
    found = []
    for name, path in zip(names, paths, strict=True):
        if count[name] == 1 or path is None:
            found.append(name)
            continue
        runs = {str(other.parent) for other in paths if other is not None}
        found.append(f"{name}, {path.parent.name if len(runs) > 1 else path.stem}")
    again = Counter(found)
    return [f"{name} {found[: k + 1].count(name)}" if again[name] > 1 else name for k, name in enumerate(found)]


def _say(comparison: Any) -> None:
    """The table of differences."""
    out = console()
    count = len(comparison.seeds)
    out.print(f"{counted(count, 'episode')} of the same seeds")
    for i, (name, mean, gap, interval) in enumerate(comparison.differences()):
        if not count:
            out.print(f"  {name}: no episode has ended")
            continue
        told = "" if not i else f"   {gap:+.4g} to {comparison.contestants[0].name}"
        if i and interval is not None:
            told += f" ({interval[0]:+.4g} to {interval[1]:+.4g})"
        out.print(f"  {name}: mean return {number(mean)}{told}", highlight=False)
