"""``rlplay play``: play an environment yourself; your episodes are seeds and actions."""

from __future__ import annotations

from argparse import Namespace

from rlplay.cli.common import console, environment_arguments, load_agent, one, quoted, retyped
from rlplay.cli.windows import open_window, shown_env
from rlplay.environments.make import reference
from rlplay.environments.reference import EnvReference
from rlplay.errors import SpaceError, UsageError
from rlplay.seeding import check_seed
from rlplay.storage.files import require_writable


def run(arguments: Namespace) -> int:
    """Open the window; write what was played."""
    from rlplay.viewer.choices import choices
    from rlplay.viewer.recording import save_episodes
    from rlplay.viewer.session import Session

    if arguments.headless:
        raise UsageError("play needs a window: a person plays")
    env_id, seed = one(arguments.env, "--env"), one(arguments.seed, "--seed")
    saved = arguments.path or arguments.algo or arguments.trained_agent
    agent = load_agent(arguments)[0] if saved else None  # a class of the user's must be typed
    if agent is not None:
        ref = reference(agent.env)
    elif env_id:
        ref = EnvReference(env_id, environment_arguments(arguments))
    else:
        raise UsageError("play needs --env, or a saved agent or run", "For example: rlplay play --env FrozenLake-v1")
    if arguments.record:
        require_writable(arguments.record, "--record")
    env = shown_env(ref)
    if not choices(env):
        raise SpaceError(
            f"{ref.id} has actions {env.action_space}",
            "Keys exist for up to 20 single actions, and for pushes along eight axes",
        )
    if agent is not None:
        agent.set_env(env)
    session = Session(env, agent, "play", seed=check_seed(seed or 0))
    open_window(session, arguments)
    again = retyped(reference(env))
    for path in save_episodes(session.demonstrations.episodes, arguments.record, session) if arguments.record else []:
        console().print(f"wrote {path}   ({quoted(['rlplay', 'replay', str(path), *again])})")
    return 0
