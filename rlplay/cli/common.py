"""What several verbs share: loading the agent that the flags name, and the console."""

from __future__ import annotations

import json
import math
import platform
import re
import shlex
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.errors import MarkupError
from rich.table import Table
from rich.text import Text

from rlplay.errors import CheckpointError, RlplayError, UsageError, visible
from rlplay.hyperparameters.settings import parse_pairs, parse_wrappers

if TYPE_CHECKING:
    import gymnasium as gym

    from rlplay.agent.base import Agent
    from rlplay.environments.dynamics import DynamicsChoice
    from rlplay.environments.reference import EnvReference


RUNS = Path("logs")  # the folder of runs by default
_NO_WRAP = 1000  # columns where no terminal says how many it has: lines stay whole in a pipe


_BRACKET = re.compile(r"(?<!\\)\[(?!/\]|(?:bold(?: cyan)?|cyan|dim|green|red|yellow)\])")  # of none of our styles


class _Console(Console):
    """Takes our own styles for markup and nothing else: folders and files may have brackets and control codes."""

    def render_str(self, text: str, **how: Any) -> Text:
        """A text with its styles."""
        text = visible(text)
        try:
            return super().render_str(text if how.get("markup") is False else _BRACKET.sub(r"\\[", text), **how)
        except MarkupError:  # a name that looks like a style of ours
            return super().render_str(text, **{**how, "markup": False})

    def on_broken_pipe(self) -> None:
        """The reader is gone (``rlplay list | head``): that is no failure, and `rlplay.cli.main` ends quietly."""
        raise BrokenPipeError


@cache
def console(*, stderr: bool = False) -> Console:
    """Standard output (or error) for people: plain text where it is not a terminal."""
    piped = not (sys.stderr if stderr else sys.stdout).isatty()
    return _Console(highlight=False, emoji=False, stderr=stderr, soft_wrap=piped, width=_NO_WRAP if piped else None)


def fits(table: Table, out: Console) -> bool:
    """Whether a table's widest rows fit on the terminal; elsewhere all do."""
    return (
        not out.is_terminal or out.measure(table, options=out.options.update(max_width=_NO_WRAP)).maximum <= out.width
    )


def without_spare(table: Table, out: Console, spare: Sequence[str]) -> list[str]:
    """Take columns out of a table, the first of ``spare`` first, until it fits; their names."""
    gone: list[str] = []
    for name in spare:
        if fits(table, out):
            break
        table.columns = [column for column in table.columns if column.header != name]
        gone.append(name)
    return gone


def turned(table: Table) -> Table:
    """A table with its columns as rows, for a terminal that is too narrow for them."""
    found = Table(title=table.title, title_justify="left", title_style="bold", box=None, padding=(0, 1),
                  show_header=False)  # fmt: skip
    for k in range(table.row_count + 1):
        found.add_column(justify="right" if k else "left", no_wrap=True)
    for column in table.columns:
        found.add_row(column.header, *column.cells)
    return found


def answer(arguments: Namespace, value: Any) -> int:
    """Print data as JSON where ``--json`` asks for it; numbers that JSON does not have become null."""
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False, indent=1)
    print(text if visible(text) == text else json.dumps(json.loads(text), indent=1), file=arguments.stdout)
    return 0


def _plain(value: Any) -> Any:
    """Data as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


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
        arguments.log_folder or RUNS,
        one(arguments.algo, "--algo"),
        one(arguments.env, "--env"),
        arguments.exp_id,
        best=arguments.load_best,
        step=arguments.load_checkpoint,
    )


def environment_arguments(arguments: Namespace) -> dict[str, Any]:
    """What --env-kwargs, --wrapper, --frame-stack and --memory give to `rlplay.make`."""
    from rlplay.environments.names import check_arguments

    given = parse_pairs(arguments.env_kwargs, "--env-kwargs")
    check_arguments(given)
    if arguments.wrapper:
        given["wrapper"] = parse_wrappers(arguments.wrapper)
    if arguments.frame_stack is not None:
        given["frame_stack"] = arguments.frame_stack
    if arguments.memory is not None:
        given["memory"] = arguments.memory
    return given


def typed_reference(arguments: Namespace, saved: EnvReference) -> EnvReference | None:
    """The environment that the user typed with --env; None where none was typed.

    The environment of the file, typed again because a file may not import it, keeps the arguments in the file.

    Raises:
        UsageError: the file names wrappers that it may not import, and they were not typed again.
    """
    from rlplay.environments.packages import without_module
    from rlplay.environments.reference import EnvReference
    from rlplay.environments.wrappers import listed, untrusted

    env_id = one(arguments.env, "--env")
    kwargs = environment_arguments(arguments)
    if env_id is None:
        if kwargs:
            raise UsageError(
                "--env-kwargs, --wrapper, --frame-stack and --memory go with --env", "Name the environment too"
            )
        return None
    if without_module(env_id) == without_module(saved.id):
        if "wrapper" not in kwargs and (strange := untrusted(saved.kwargs.get("wrapper"))):
            raise UsageError(
                f"it was trained in the wrapper {strange[0]}, which a file may not import",
                f"Type it again: {quoted(typed_words(env_id, {**saved.kwargs, **kwargs}))}",
            )
        kwargs = {**saved.kwargs, **kwargs}
    if "wrapper" in kwargs:
        kwargs["wrapper"] = listed(kwargs["wrapper"])
    return EnvReference(env_id, kwargs)


def typed_env(arguments: Namespace, saved: EnvReference, dynamics: DynamicsChoice = "auto") -> gym.Env[Any, Any] | None:
    """The environment of `typed_reference`, made; None where none was typed."""
    from rlplay.environments.make import make

    ref = typed_reference(arguments, saved)
    typed: DynamicsChoice = getattr(arguments, "dynamics", None) or dynamics
    return None if ref is None else make(ref.id, dynamics=typed, **ref.kwargs)


def typed_words(env_id: str, kwargs: dict[str, Any]) -> list[str]:
    """The flags that make an environment, as one types them, for what a file may not import."""
    from rlplay.environments.packages import imported_packages
    from rlplay.environments.wrappers import listed

    kwargs = {name: value for name, value in kwargs.items() if name != "bonus"}  # the agent's own
    wrappers, stack, memory = (kwargs.pop(name, None) for name in ("wrapper", "frame_stack", "memory"))
    words = ["--env", env_id or "package.module:Class"]
    if kwargs:
        words += ["--env-kwargs", *(f"{name}:{_as_text(value)}" for name, value in kwargs.items())]
    if wrappers:
        words += wrapper_words(listed(wrappers))
    if stack is not None:
        words += ["--frame-stack", str(stack)]
    if memory is not None:
        words += ["--memory", str(memory)]
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
        UsageError: another agent than --algo names, or its environment cannot be made from the file and was not typed.
    """
    from rlplay.agent import saving
    from rlplay.environments.names import check_arguments
    from rlplay.environments.no_environment import NoEnvironment
    from rlplay.environments.reference import EnvReference
    from rlplay.storage import checkpoint
    from rlplay.training.run_folder import folder_name

    manifest = checkpoint.read(path).manifest
    algo, held = one(arguments.algo, "--algo"), str(manifest.get("agent"))
    if algo is not None and folder_name(algo) != folder_name(held):
        raise UsageError(f"{path} holds {held}, not {algo}", "Leave out --algo, or name another run")
    saved = manifest.get("env", {})
    try:
        around = tuple((str(layer["name"]), layer["kwargs"]) for layer in saved.get("wrappers", []))
        ref = EnvReference(str(saved.get("id", "")), dict(saved.get("kwargs", {})), wrappers=around)
        check_arguments(ref.kwargs)
        why = _why_typed(ref)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: it does not say in what environment it was trained") from error
    env = typed_env(arguments, ref)
    if env is None and why:
        raise _type_it(path, why, ref, arguments)
    agent = saving.load(path, env)
    if isinstance(agent.env, NoEnvironment):
        raise _type_it(path, f"{ref if ref.id else 'an environment without an id'}, which cannot be made here", ref,
                       arguments)  # fmt: skip
    return agent


def _why_typed(ref: EnvReference) -> str:
    """What of an environment a file may not make, in words; empty for nothing."""
    from rlplay.environments.names import gymnasium_wrapper, known_env_ids
    from rlplay.environments.wrappers import untrusted

    strange = untrusted(ref.kwargs.get("wrapper"))
    strange += [name.replace(":", ".") for name, _ in ref.wrappers if gymnasium_wrapper(name) is None]
    if strange:
        return f"the wrapper {strange[0]}, which no file may import"
    if ":" in ref.id:
        return f"{ref}, which no file may import"
    if ref.id and ref.id not in known_env_ids():
        return f"{ref}, which is not registered here"
    if ref.typed:
        return f"{ref}, and a file gives arguments only to Gymnasium's own environments and to ours"
    return ""


def _type_it(path: Path, why: str, ref: EnvReference, arguments: Namespace) -> UsageError:
    """The refusal of a file whose environment must be typed."""
    from rlplay.environments.wrappers import listed

    around: list[Any] = [{name: kwargs or {}} for name, kwargs in ref.wrappers]
    wrappers = [one for part in [ref.kwargs.get("wrapper"), *around] for one in listed(part)]
    words = typed_words(ref.id, {**ref.kwargs, **({"wrapper": wrappers} if wrappers else {})})
    packages = packages_of_run(path)
    if packages and not set(packages) <= {*arguments.gym_packages}:
        words += ["--gym-packages", *packages]
    return UsageError(f"{path} was trained in {why}", f"Type it: {quoted(words)}")


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


def processor_name() -> str:
    """What this machine's processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def quoted(words: list[str]) -> str:
    """A command as one types it."""
    return shlex.join(words)


def follow_up(verb: str, path: Path, agent: Agent) -> str:
    """The command that continues with a file: the environment is typed again where a file may not import it."""
    from rlplay.environments.make import reference

    return quoted(["rlplay", verb, str(path), *retyped(reference(agent.env))])
