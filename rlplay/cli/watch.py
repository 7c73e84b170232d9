"""``rlplay watch``: a saved agent in a window, or several side by side; or into a file without one."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

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
    if arguments.others or arguments.ghost:
        return watch_together(arguments, seed)
    agent, path = load_agent(arguments)
    from rlplay.viewer.session import Follower, Session

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


def watched(folder: Path) -> Path:
    """The file that says that a window on a run is open."""
    return folder / ".watched"


def _monitor(path: Path) -> Path:
    return path.parent / "0.monitor.csv"
