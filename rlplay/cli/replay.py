"""``rlplay replay``: a recorded episode again, step by step as it was, or verified without a window."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from rlplay.cli.common import console, environment_arguments, one, quoted, typed_words
from rlplay.cli.windows import open_window, shown_env
from rlplay.environments.episode import load_episode
from rlplay.environments.make import make
from rlplay.environments.wrappers import untrusted
from rlplay.errors import CheckpointError, UsageError
from rlplay.storage.files import as_path


def run(arguments: Namespace) -> int:
    """Show or verify."""
    path = as_path(arguments.path)
    episode = load_episode(path)
    typed = one(arguments.env, "--env")
    if episode.env.typed and typed is None:
        raise UsageError(
            f"{path} was recorded in {episode.env}, which a file may not import",
            f"Type it: {quoted(typed_words(episode.env.id, episode.env.kwargs))}",
        )
    ref = replace(
        episode.env, id=typed or episode.env.id, kwargs={**episode.env.kwargs, **environment_arguments(arguments)}
    )
    if not arguments.wrapper and (strange := untrusted(ref.kwargs.get("wrapper"))):
        raise UsageError(
            f"{path} was recorded in the wrapper {strange[0]}, which a file may not import",
            f"Type it: {quoted(typed_words(ref.id, ref.kwargs))}",
        )
    if arguments.check:
        lacks = "actions" if not episode.actions else "digest of what was seen" if not episode.digest else ""
        if lacks:
            raise CheckpointError(f"{path} cannot be verified: it has no {lacks}", "Record the episode anew")
        env = make(ref.id, dynamics="gymnasium", **ref.kwargs)
        episode = load_episode(path, env)
        total = sum(transition.reward for transition in episode.replay(env))
        console().print(f"{path} replays exactly: {len(episode.actions)} steps, return {total:g}, in {ref}")
        return 0
    from rlplay.viewer.session import Session

    env = shown_env(ref)
    session = Session(env, None, "replay", episode=load_episode(path, env))
    steps = len(session_steps) if (session_steps := episode.actions) and arguments.headless else None
    open_window(session, arguments, default_steps=steps)
    return 0
