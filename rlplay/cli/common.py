"""What several verbs share: loading the agent that the flags name, and the console."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rlplay.errors import UsageError
from rlplay.hyperparameters.settings import parse_pairs

if TYPE_CHECKING:
    import gymnasium as gym

    from rlplay.agent.base import Agent


_NO_WRAP = 1000  # columns where no terminal says how many it has: lines stay whole in a pipe


@cache
def console(*, stderr: bool = False) -> Console:
    """Standard output (or error) for people: plain text where it is not a terminal."""
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return Console(highlight=False, stderr=stderr, soft_wrap=piped, width=_NO_WRAP if piped else None)


def one(values: list[Any] | None, flag: str) -> Any:
    """The single value of a flag that takes several in grids.

    Raises:
        UsageError: several were given to a verb that takes one.
    """
    if values and len(values) > 1:
        raise UsageError(f"{flag} takes one value here, got {' '.join(map(str, values))}")
    return values[0] if values else None


def agent_file(arguments: Namespace) -> Path:
    """The file that PATH, -i or --algo and --env name."""
    from rlplay.training.run_folder import find_agent_file

    return find_agent_file(
        getattr(arguments, "path", None) or arguments.trained_agent,
        arguments.log_folder,
        one(arguments.algo, "--algo"),
        one(arguments.env, "--env"),
        arguments.exp_id,
        best=arguments.load_best,
        step=arguments.load_checkpoint,
    )


def typed_env(arguments: Namespace, saved_id: str, saved_kwargs: dict[str, Any]) -> gym.Env[Any, Any] | None:
    """The environment that the user typed with --env; None where none was typed.

    The environment of the file, typed again because a file may not import it, keeps the arguments in the file.
    """
    from rlplay.environments.make import make

    env_id = one(arguments.env, "--env")
    kwargs = parse_pairs(arguments.env_kwargs, "--env-kwargs")
    if env_id is None:
        if kwargs:
            raise UsageError("--env-kwargs goes with --env", "Name the environment too")
        return None
    return make(env_id, dynamics=arguments.dynamics, **({**saved_kwargs, **kwargs} if env_id == saved_id else kwargs))


def load_from(path: Path, arguments: Namespace) -> Agent:
    """The agent in a file, in the environment that was typed or that the file names.

    Raises:
        UsageError: its environment is a class of the user's and was not typed again.
    """
    from rlplay.agent import saving
    from rlplay.environments.no_environment import NoEnvironment
    from rlplay.storage import checkpoint

    saved = checkpoint.read(path).manifest.get("env", {})
    agent = saving.load(path, typed_env(arguments, str(saved.get("id")), dict(saved.get("kwargs", {}))))
    if isinstance(agent.env, NoEnvironment):
        raise UsageError(
            f"{path} was trained in {agent.env.wanted or 'an environment without an id'}, which is not registered here",
            f"Type it: --env {saved.get('id') or 'package.module:Class'}",
        )
    return agent


def load_agent(arguments: Namespace) -> tuple[Agent, Path]:
    """The agent that PATH, -i or --algo and --env name, and its file."""
    path = agent_file(arguments)
    return load_from(path, arguments), path


def quoted(words: list[str]) -> str:
    """A command as one types it."""
    return shlex.join(words)


def follow_up(verb: str, path: Path, agent: Agent) -> str:
    """The command that continues with a file: the environment is typed again where a file may not import it."""
    from rlplay.environments.make import reference

    ref = reference(agent.env)
    return quoted(["rlplay", verb, str(path), *(["--env", ref.id] if ref.typed else [])])
