"""``rlplay warm``: compile agents now, so that none of them has to be waited for later."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rlplay import registry
from rlplay.cli.common import console, environment_arguments
from rlplay.errors import RlplayError, UsageError, counted

_PLACES = ("FrozenLake-v1", "CartPole-v1", "Pendulum-v1", "rlplay/Bandit-v0")  # the first that an agent takes
_STEPS = 8  # few, and enough for what is fitted or updated at the end
_DATA = 64  # steps of a data set, for agents that learn from nothing else


def run(arguments: Namespace) -> int:
    """Have each agent learn a few steps, which compiles what it needs, and keep that on disk."""
    from rlplay.compiled.cache import compile_report
    from rlplay.compiled.folder import cache_folder
    from rlplay.environments.make import make

    out = console()
    _check_kept()
    if arguments.background:
        _step_back()
    names = arguments.algo or [name for name in registry.agent_ids() if not name.startswith("sb3")]
    for name in names:
        registry.agent_class(name)
    kwargs, start, left_out = environment_arguments(arguments), time.perf_counter(), {}
    for place in arguments.env or ():  # refused before anything is compiled
        make(place, **kwargs).close()
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=out,
        disable=arguments.background or not out.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("compiling", total=len(names))
        for name in names:
            bar.update(task, description=name)
            for place in [None] if arguments.env is None else arguments.env:
                if error := _why_not(name, _PLACES if place is None else (place,), kwargs):
                    left_out[name if place is None else f"{name} in {place}"] = error
            bar.advance(task)
    if len(left_out) == len(names) * len(arguments.env or [None]):
        raise next(iter(left_out.values()))  # nothing of what was asked
    _check_kept()
    if not arguments.background:
        report = compile_report()
        compiled = counted(report["compiled"], "function")
        out.print(
            f"{counted(len(names), 'agent')}, {time.perf_counter() - start:.0f} s: {compiled} compiled, "
            f"{report['from_disk']:,} found in {cache_folder()}"
        )
        for name, error in left_out.items():
            out.print(f"left out: {name}: {error.cause}", style="dim")
    return 0


def _check_kept() -> None:
    """Refuse to compile, or to say that it was done, where nothing is kept of it."""
    from rlplay.compiled.kept import ANOTHER_FOLDER, why_not_kept

    if why := why_not_kept():
        raise UsageError(f"what is compiled cannot be kept: {why}", ANOTHER_FOLDER)


def _why_not(name: str, places: Sequence[str], kwargs: dict[str, Any]) -> RlplayError | None:
    """Have an agent learn in the first environment that it takes; why it takes none, or None."""
    from rlplay.agent.offline import OfflineAgent
    from rlplay.environments.make import make
    from rlplay.training.evaluation import evaluate

    why: RlplayError | None = None
    for place in places:
        env = make(place, **kwargs)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what is learned in so few steps
                agent = registry.agent_class(name)(env, seed=0)
                if isinstance(agent, OfflineAgent):
                    agent.remember(f"random:{_DATA}")
                agent.learn(_STEPS)
                if agent.timestep != "sweep":
                    evaluate(agent, n_eval_episodes=1)
            return None
        except RlplayError as error:
            why = error
        finally:
            env.close()
    return why


def _step_back() -> None:
    """Leave the processor to whoever else wants it."""
    with contextlib.suppress(AttributeError, OSError):
        os.nice(19)
