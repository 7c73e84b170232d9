"""``rlplay watch``: a saved agent in a window, or several side by side; or into a file without one."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rlplay.agent.base import Agent
from rlplay.cli.common import load_agent, one
from rlplay.cli.together import watch_together
from rlplay.cli.windows import open_window, prepared, shown_env
from rlplay.environments.make import reference
from rlplay.errors import UsageError
from rlplay.seeding import check_seed


def run(arguments: Namespace) -> int:
    """Show the agent."""
    if arguments.headless and not arguments.output:
        raise UsageError("--headless shows nothing by itself", "Say where to write it: -o watch.gif")
    seed = one(arguments.seed, "--seed")
    if seed is not None:
        check_seed(seed)
    if arguments.rows is not None and (arguments.others or arguments.ghost):
        raise UsageError("--rows is for one agent", "Leave it out to compare agents")
    if arguments.others or arguments.ghost:
        return watch_together(arguments, seed)
    agent, path = load_agent(arguments)
    if arguments.rows is not None:
        return _watch_rows(agent, path, arguments, agent.seed if seed is None else seed)
    from rlplay.viewer.follower import Follower
    from rlplay.viewer.session import Session

    def prepare() -> Session:
        env = shown_env(reference(agent.env))
        agent.set_env(env)
        made = Session(env, agent, "watch", seed=agent.seed if seed is None else seed)
        made.deterministic = arguments.deterministic
        agent.probe(made.observation)  # what it needs is compiled or loaded while the window says so
        return made

    session = prepared(prepare, arguments, f"{agent.id} in {reference(agent.env).id}")
    follower = Follower(session, path, _monitor(path)) if arguments.follow else None
    if _monitor(path).is_file():
        Follower(session, path, _monitor(path)).poll()
    if follower is not None:
        watched(path.parent).touch()  # training may begin
    open_window(session, arguments, follower=follower, default_steps=300 if arguments.headless else None)
    return 0


def _watch_rows(agent: Agent, path: Path, arguments: Namespace, seed: int) -> int:
    """The agent in several environments side by side."""
    from rlplay.viewer.follower import Follower
    from rlplay.viewer.mosaic import MOST_ROWS, Mosaic
    from rlplay.viewer.session import Session

    if not 2 <= arguments.rows <= MOST_ROWS:
        raise UsageError(f"--rows {arguments.rows}", f"Take 2 to {MOST_ROWS}, or leave it out for one environment")

    def prepare() -> Mosaic:
        ref = reference(agent.env)
        envs = [shown_env(ref) for _ in range(arguments.rows)]
        agents = [agent] * len(envs)
        if agent.follows_position:  # each follows an episode of its own
            agents[1:] = [load_agent(arguments)[0] for _ in agents[1:]]
        for each, env in zip(reversed(agents), reversed(envs), strict=True):
            each.set_env(env)
        rows = zip(envs, agents, strict=True)
        found = Mosaic([Session(env, each, "watch", seed=seed + i) for i, (env, each) in enumerate(rows)], seed)
        for row in found.contestants:
            row.session.deterministic = arguments.deterministic
        agent.probe(found.contestants[0].session.observation)  # what it needs is compiled or loaded meanwhile
        return found

    mosaic = prepared(prepare, arguments, f"{arguments.rows} rows of {agent.id} in {reference(agent.env).id}")
    first, *rest = [row.session for row in mosaic.contestants]
    follower = Follower(first, path, _monitor(path), rest) if arguments.follow else None
    if follower is not None:
        watched(path.parent).touch()  # training may begin
    steps = 300 if arguments.headless else None
    open_window(first, arguments, comparison=mosaic, follower=follower, default_steps=steps)
    return 0


def watched(folder: Path) -> Path:
    """The file that says that a window on a run is open."""
    return folder / ".watched"


def _monitor(path: Path) -> Path:
    return path.parent / "0.monitor.csv"
