"""``rlplay models``: the models from scratch, one in full, or one beside its twin."""

from __future__ import annotations

import inspect
import re
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from rlplay import registry
from rlplay.cli.common import console
from rlplay.errors import UsageError, unknown
from rlplay.models.references import REFERENCES, TORCH, WITHOUT
from rlplay.storage.files import make_folder


def run(arguments: Namespace) -> int:
    """List, show or compare."""
    if arguments.action == "list":
        _list()
        return 0
    known = sorted({*REFERENCES, *WITHOUT})
    if arguments.name is None:
        example = f"For example: rlplay models {arguments.action} k-means"
        raise UsageError(f"models {arguments.action} needs a model", example)
    if arguments.action == "play":
        from rlplay.viewer.descent import DESCENTS

        known = sorted({*known, *DESCENTS})
    if arguments.name not in known and arguments.name in registry.agent_ids():
        raise UsageError(f"{arguments.name} is an agent, not a model", f"rlplay show {arguments.name}")
    if arguments.name not in known:
        raise unknown("model", arguments.name, known, "See `rlplay models list`")
    if arguments.action == "play":
        _play(arguments)
    elif arguments.action == "show":
        _show(arguments.name)
    else:
        _compare(arguments.name, arguments.output or Path(f"{arguments.name}.png"))
    return 0


def _play(arguments: Namespace) -> None:
    """Open a playground, or record all its steps."""
    from rlplay.viewer.codes import CODERS, Codes
    from rlplay.viewer.descent import DESCENTS, Descent
    from rlplay.viewer.playground import STEPS, Playground, play

    if arguments.headless and arguments.output is None:
        raise UsageError("--headless shows nothing without -o FILE", "For example: -o k-means.gif")
    ground: Playground | Descent
    if arguments.name in DESCENTS:
        if arguments.data:
            raise UsageError(f"{arguments.name} has its own data", "Leave --data out")
        ground = DESCENTS[arguments.name](arguments.seed or 0)
    elif arguments.name in CODERS:
        ground = Codes(arguments.name, arguments.data or "roll", arguments.seed or 0)
    elif arguments.name not in STEPS:
        names = ", ".join([*DESCENTS, *STEPS, *CODERS])
        raise UsageError(f"{arguments.name} has no playground", f"These have: {names}")
    else:
        ground = Playground(arguments.name, arguments.data or "moons", arguments.seed or 0)
    size = arguments.size or (1280, 720)
    written = play(ground, size, arguments.output, headless=arguments.headless, max_steps=arguments.max_steps)
    if written is not None:
        console().print(f"wrote {written}")


def _list() -> None:
    out = console()
    for title, part in (("supervised", ".supervised."), ("unsupervised", ".unsupervised."), ("deep", ".deep.")):
        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 1)
        )
        table.add_column(no_wrap=True, min_width=max(map(len, REFERENCES)))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=64)
        table.add_column(no_wrap=True)
        for name in registry.model_ids():
            if part in registry.model_place(name):
                table.add_row(f"[cyan]{name}[/]", registry.summary(registry.MODELS, name), _twin_in_short(name))
        out.print(table)
    out.print("  rlplay models show ID, or rlplay models compare ID", style="dim")


def _twin_in_short(name: str) -> str:
    if name not in REFERENCES:
        return "[dim]no twin[/]"
    return "over torch" if REFERENCES[name] is TORCH else REFERENCES[name].place.partition(":")[2]


def _show(name: str) -> None:
    out, cls = console(), registry.model_class(name)
    module = sys.modules[cls.__module__]
    words = inspect.getdoc(module) or ""
    out.print(f"[bold cyan]{name}[/]  {cls.__module__}:{cls.__name__}\n")
    out.print(words.partition("Shapes:")[0].strip(), markup=False)
    roles = re.search(r"In reinforcement learning: (.*)", words, re.S)
    out.print(f"\n[bold]In reinforcement learning[/]: {roles.group(1).strip() if roles else '-'}")
    described: dict[str, str] = {}
    for base in reversed(cls.__mro__):  # shared arguments are described by the class that has them
        described |= _described(inspect.cleandoc(vars(base).get("__doc__") or ""))
    table = Table(title="\nparameters", title_justify="left", title_style="bold", box=None, padding=(0, 2))
    for column in ("name", "default", "what it is"):
        table.add_column(column)
    for parameter in inspect.signature(cls).parameters.values():
        table.add_row(f"[cyan]{parameter.name}[/]", repr(parameter.default), described.get(parameter.name, ""))
    out.print(table)
    out.print(f"\n[bold]file[/]  {inspect.getsourcefile(cls)}")
    theirs = REFERENCES[name].place.replace(":", ".") if name in REFERENCES else f"none: {WITHOUT[name]}"
    if ".deep." in cls.__module__:
        theirs = 'itself over torch, backend="torch"' + ("" if theirs == "torch" else f", and {theirs}")
    out.print(f"[bold]twin[/]  {theirs}", markup=True)
    compiled = "yes" if hasattr(cls, "sample_function") else "no: an agent that uses it takes the Python engine"
    out.print(f"[bold]plays in native code[/]  {compiled}")


def _described(text: str) -> dict[str, str]:
    """The words of each entry of a docstring's Args; several names may share one."""
    part = re.search(r"Args:\n(.*?)(?:\n\n|\Z)", text, re.S)
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=    \w)", part.group(1)) if part else []:
        names, _, words = entry.partition(":")
        for one in names.split(","):
            found[one.strip()] = " ".join(words.split())
    return found


def _compare(name: str, path: Path) -> None:
    from rlplay.models.references import library_name, twin
    from rlplay.reports.model_comparison import CHANCE, PARITY, Parity, data_sets, five_fold, kind_of, parity, speeds
    from rlplay.reports.model_pictures import draw, shown_model
    from rlplay.reports.pictures import check_picture

    check_picture(path)
    out, ours = console(), registry.model_class(name)()
    theirs, kind = twin(ours), kind_of(ours)
    library = f"{library_name(name)}'s"
    table = Table(title=f"{name}: ours and {library} {type(theirs).__name__}, default arguments", title_justify="left",
                  title_style="bold", box=None, padding=(0, 2))  # fmt: skip
    for column in ("", "ours", library, "ratio"):
        table.add_column(column, justify="right" if column else "left")
    sets = data_sets(kind)
    if kind in ("regressor", "classifier"):
        for label, (x, y) in sets.items():
            mine, other = five_fold(ours, x, y), five_fold(theirs, x, y)
            table.add_row(f"five-fold score, {label}", f"{mine:.4f}", f"{other:.4f}", "")
    x, y = sets[next(reversed(sets))]
    for what, speed in speeds(ours, theirs, x, y).items():
        table.add_row(f"{what}, {len(x):,} rows" if what != "one row" else "one row, compiled", _time(speed.ours),
                      _time(speed.theirs), f"{speed.ratio:.2f} x")  # fmt: skip
    out.print(table)
    rules, gap = PARITY.get(name, Parity()), parity(name)
    if gap is None:
        out.print(CHANCE)
    else:
        same = "the same answers" if gap <= (rules.tolerance or 0.0) else "other answers"
        out.print(f"[bold]{same}[/]  {rules.what}: greatest difference {gap:.1e}, relative to their size "
                  f"(the same up to {rules.tolerance:g}), with {_given(rules.ours)}")  # fmt: skip
    make_folder(path.parent, "-o")
    draw(name, path)
    out.print(f"[bold]picture[/]  {path}   ({_settings(shown_model(name))})")


def _given(parameters: Mapping[str, Any]) -> str:
    """Parameters in one line; of arrays only that they are given."""
    shown = (f"{k}={v!r}" if not hasattr(v, "shape") else f"{k} given" for k, v in parameters.items())
    return ", ".join(shown) or "the defaults"


def _settings(model: Any) -> str:
    return " ".join(str(model).split())


def _time(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
