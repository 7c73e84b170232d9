"""``rlplay play``: play an environment yourself; your episodes are seeds and actions."""

from __future__ import annotations

from argparse import Namespace

from rlplay.agent import saving
from rlplay.cli.common import agent_file, console, environment_arguments, one
from rlplay.cli.windows import open_window, shown_env
from rlplay.environments.make import EnvReference
from rlplay.errors import SpaceError, UsageError


def run(arguments: Namespace) -> int:
    """Open the window; write what was played."""
    from rlplay.viewer.choices import choices
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import save_episodes

    if arguments.headless:
        raise UsageError("play needs a window: a person plays")
    env_id = one(arguments.env, "--env")
    if not env_id:
        raise UsageError("play needs --env", "For example: rlplay play --env FrozenLake-v1")
    env = shown_env(EnvReference(env_id, environment_arguments(arguments)))
    if not choices(env):
        raise SpaceError(
            f"{env_id} has actions {env.action_space}",
            "Keys exist for up to 20 single actions, and for pushes along two axes",
        )
    agent = None
    if arguments.algo or arguments.trained_agent:
        agent = saving.load(agent_file(arguments), env)
    session = Session(env, agent, "play", seed=one(arguments.seed, "--seed") or 0)
    open_window(session, arguments)
    for path in save_episodes(session.recorded, arguments.record, session) if arguments.record else []:
        console().print(f"wrote {path}   (rlplay replay {path})")
    return 0
