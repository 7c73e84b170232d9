"""What several verbs share: loading the agent that the flags name, and the console."""

from __future__ import annotations

import json
import shlex
import sys
from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from rlplay.errors import RlplayError, UsageError
from rlplay.hyperparameters.settings import parse_pairs, parse_wrappers

if TYPE_CHECKING:
    import gymnasium as gym

    from rlplay.agent.base import Agent
    from rlplay.environments.reference import EnvReference


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


def environment_arguments(arguments: Namespace) -> dict[str, Any]:
    """What --env-kwargs, --wrapper and --frame-stack give to `rlplay.make`."""
    given = parse_pairs(arguments.env_kwargs, "--env-kwargs")
    if arguments.wrapper:
        given["wrapper"] = parse_wrappers(arguments.wrapper)
    if arguments.frame_stack is not None:
        given["frame_stack"] = arguments.frame_stack
    return given


def typed_env(arguments: Namespace, saved_id: str, saved_kwargs: dict[str, Any]) -> gym.Env[Any, Any] | None:
    """The environment that the user typed with --env; None where none was typed.

    The environment of the file, typed again because a file may not import it, keeps the arguments in the file.

    Raises:
        UsageError: the file names wrappers that it may not import, and they were not typed again.
    """
    from rlplay.environments.make import make
    from rlplay.environments.packages import without_module
    from rlplay.environments.wrappers import untrusted

    env_id = one(arguments.env, "--env")
    kwargs = environment_arguments(arguments)
    if env_id is None:
        if kwargs:
            raise UsageError("--env-kwargs, --wrapper and --frame-stack go with --env", "Name the environment too")
        return None
    if without_module(env_id) == without_module(saved_id):
        if "wrapper" not in kwargs and (strange := untrusted(saved_kwargs.get("wrapper"))):
            raise UsageError(
                f"it was trained in the wrapper {strange[0]}, which a file may not import",
                f"Type it again: {quoted(typed_words(env_id, {**saved_kwargs, **kwargs}))}",
            )
        kwargs = {**saved_kwargs, **kwargs}
    return make(env_id, dynamics=arguments.dynamics, **kwargs)


def typed_words(env_id: str, kwargs: dict[str, Any]) -> list[str]:
    """The flags that make an environment, as one types them, for what a file may not import."""
    from rlplay.environments.packages import imported_packages

    kwargs = {name: value for name, value in kwargs.items() if name != "bonus"}  # the agent's own
    wrappers, stack = kwargs.pop("wrapper", None), kwargs.pop("frame_stack", None)
    words = ["--env", env_id or "package.module:Class"]
    if kwargs:
        words += ["--env-kwargs", *(f"{name}:{_as_text(value)}" for name, value in kwargs.items())]
    if wrappers:
        words += wrapper_words(wrappers)
    if stack is not None:
        words += ["--frame-stack", str(stack)]
    if packages := imported_packages():
        words += ["--gym-packages", *packages]
    return words


def wrapper_words(wrappers: list[Any]) -> list[str]:
    """The flag that puts an environment into wrappers."""
    return ["--wrapper", *(_wrapper_text(one) for one in wrappers)]


def retyped(ref: EnvReference) -> list[str]:
    """The flags that a command on a file of a run in this environment needs; none where the file is enough."""
    from rlplay.environments.packages import imported_packages

    return typed_words(ref.id, ref.kwargs) if ref.typed or imported_packages() else []


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) and parse_pairs([f"k:{value}"], "") == {"k": value} else json.dumps(value)


def _wrapper_text(wrapper: Any) -> str:
    if isinstance(wrapper, str):
        return wrapper
    ((name, arguments),) = wrapper.items()
    return f"{name}: {json.dumps(arguments)}"


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
        words = typed_words(str(saved.get("id", "")), dict(saved.get("kwargs", {})))
        packages = packages_of_run(path)
        if packages and not set(packages) <= {*arguments.gym_packages}:
            words += ["--gym-packages", *packages]
        raise UsageError(
            f"{path} was trained in {agent.env.wanted or 'an environment without an id'}, which is not registered here "
            "and no file may import",
            f"Type it: {quoted(words)}",
        )
    return agent


def load_agent(arguments: Namespace) -> tuple[Agent, Path]:
    """The agent that PATH, -i or --algo and --env name, and its file."""
    path = agent_file(arguments)
    return load_from(path, arguments), path


def packages_of_run(path: Path) -> list[str]:
    """What --gym-packages named when the run of a file was made; it is only ever shown."""
    from rlplay.training.run_folder import RunFolder

    try:
        return [str(name) for name in RunFolder(path.parent).arguments().get("gym_packages") or []]
    except RlplayError:
        return []


def quoted(words: list[str]) -> str:
    """A command as one types it."""
    return shlex.join(words)


def follow_up(verb: str, path: Path, agent: Agent) -> str:
    """The command that continues with a file: the environment is typed again where a file may not import it."""
    from rlplay.environments.make import reference

    return quoted(["rlplay", verb, str(path), *retyped(reference(agent.env))])
