"""``rlplay replay``: a recorded episode again, step by step as it was, or verified without a window."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace

from rlplay.cli.common import console, environment_arguments, one, quoted, typed_words
from rlplay.cli.windows import open_window, shown_env
from rlplay.environments.episode import load_episode
from rlplay.environments.make import make
from rlplay.environments.wrappers import untrusted
from rlplay.errors import CheckpointError, UsageError, counted
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
    if not episode.actions:
        raise CheckpointError(f"{path} has no actions, so there is nothing to replay", "Record the episode anew")
    if arguments.check:
        if not episode.digest:
            raise CheckpointError(f"{path} cannot be verified: it has no digest", "Record the episode anew")
        env = make(ref.id, dynamics="gymnasium", **ref.kwargs)
        episode = load_episode(path, env)
        try:
            total = sum(transition.reward for transition in episode.replay(env))
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error.cause}", error.remedy) from error
        console().print(f"{path} replays exactly: {counted(len(episode.actions), 'step')}, return {total:g}, in {ref}")
        return 0
    from rlplay.viewer.session import Session

    env = shown_env(ref)
    session = Session(env, None, "replay", episode=load_episode(path, env))
    if arguments.headless:  # there is nobody to close the window after its last step
        arguments.max_steps = min(arguments.max_steps or len(episode.actions), len(episode.actions))
    open_window(session, arguments)
    return 0
