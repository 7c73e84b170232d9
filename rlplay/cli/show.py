"""``rlplay show``: an agent's idea, equation, hyperparameters and file; an environment's spaces and description."""

from __future__ import annotations

import inspect
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from rlplay import registry
from rlplay.cli.common import answer, console
from rlplay.errors import UsageError, counted, unknown
from rlplay.hyperparameters.domains import in_words
from rlplay.hyperparameters.fields import declared


def run(arguments: Namespace) -> int:
    """Print the page of an agent or environment."""
    name = arguments.name
    if name in registry.agent_ids() or name in registry.absent_agent_ids():
        if arguments.json:
            return answer(arguments, _agent_data(name))
        _agent(name, whole=arguments.source)
        return 0
    if name in registry.model_ids():
        raise UsageError(f"{name} is a model, not an agent or environment", f"rlplay models show {name}")
    from rlplay.environments.names import known_env_ids

    if name in known_env_ids() or ":" in name:
        if arguments.json:
            return answer(arguments, _environment_data(name))
        _environment(name, whole=arguments.source)
        return 0
    raise unknown("agent or environment", name, [*registry.agent_ids(), *known_env_ids()], "See `rlplay list`")


def _agent_data(name: str) -> dict[str, Any]:
    """An agent, for programs."""
    cls = registry.agent_class(name)
    module = sys.modules[cls.__module__]
    return {
        "kind": "agent", "id": name, "import": f"from {_home(cls)} import {cls.__name__}",
        "text": inspect.cleandoc(module.__doc__ or ""), "file": getattr(module, "__file__", None),
        "hyperparameters": [
            {"name": one.name, "default": one.default, "range": in_words(one.domain), "meaning": one.domain.meaning}
            for one in declared(cls).values()
        ],
    }  # fmt: skip


def _home(cls: type) -> str:
    """The module that a class is imported from: the outermost that has it, and not another of its name."""
    parts = cls.__module__.split(".")
    outer = (".".join(parts[:k]) for k in range(1, len(parts)))
    return next((name for name in outer if getattr(sys.modules[name], cls.__name__, None) is cls), cls.__module__)


def _agent(name: str, *, whole: bool) -> None:
    cls, out = registry.agent_class(name), console()
    module = sys.modules[cls.__module__]
    file = getattr(module, "__file__", None)  # a notebook's class has none
    if whole and file is None:
        raise UsageError(f"{cls.__name__} is in no file", "Its code is where it was registered")
    path = Path(file or "")
    if whole:
        for file in sorted(path.parent.glob("*.py")) if path.name == "__init__.py" else [path]:
            out.print(file.read_text(encoding="utf-8"), markup=False)
        return
    out.print(f"[bold]{name}[/]   from {_home(cls)} import {cls.__name__}\n")
    out.print(inspect.cleandoc(module.__doc__ or ""), markup=False)
    table = Table(title="\nhyperparameters", title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for column in ("name", "default", "range", "meaning"):
        table.add_column(column, style="cyan" if column == "name" else "")
    for parameter in declared(cls).values():
        words = str(parameter.default), in_words(parameter.domain), parameter.domain.meaning
        table.add_row(parameter.name, *map(escape, words))  # [n, episode] is no markup
    out.print(table)
    if file is not None:
        out.print(f"\n[bold]file[/] {path}   (rlplay show {name} --source)")


def _environment_data(name: str) -> dict[str, Any]:
    """An environment, for programs."""
    from rlplay.environments.make import make, reference, time_limit

    env, native = make(name, dynamics="gymnasium"), make(name)
    cls = type(env.unwrapped)
    return {
        "kind": "environment", "id": name, "observation_space": str(env.observation_space),
        "action_space": str(env.action_space), "time_limit": time_limit(env) or None,
        "dynamics": reference(native).dynamics, "text": inspect.cleandoc(cls.__doc__ or ""),
        "file": inspect.getsourcefile(cls),
    }  # fmt: skip


def _environment(name: str, *, whole: bool) -> None:
    from rlplay.environments.make import make, reference, time_limit

    env, native, out = make(name, dynamics="gymnasium"), make(name), console()
    cls = type(env.unwrapped)
    path = inspect.getsourcefile(cls) or ""
    if whole:
        out.print(Path(path).read_text(encoding="utf-8"), markup=False)
        return
    limit = time_limit(env)
    out.print(f"[bold]{name}[/]\n")
    for label, value in (
        ("observations", env.observation_space),
        ("actions", env.action_space),
        ("time limit", counted(limit, "step") if limit else "none"),
        ("dynamics", reference(native).dynamics),
        ("file", path),
    ):
        out.print(f"[bold]{label:13s}[/] {value}", markup=True)
    out.print("\n" + inspect.cleandoc(cls.__doc__ or ""), markup=False)
