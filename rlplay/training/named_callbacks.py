"""Callbacks by name, as in RL Zoo's files: ``module.Class``, or ``{module.Class: {argument: value}}``, or a list.

They are made of their arguments alone, as there. What a file names is taken only where it is one of `TRUSTED`: any
other is imported because a user typed its package.
"""

from __future__ import annotations

import json
from typing import Any

from rlplay.environments.packages import import_typed
from rlplay.errors import RlplayError, UsageError, unknown
from rlplay.training.callbacks import Callback
from rlplay.training.given_callbacks import as_callbacks
from rlplay.training.sb3_callbacks import is_sb3_class

_HOW = "Write module.Class, or {module.Class: {argument: value}}, or a list of these"
# What a file may name: they neither write nor run anything.
TRUSTED = frozenset(
    f"stable_baselines3.common.callbacks.{name}"
    for name in ("LogEveryNTimesteps", "ProgressBarCallback", "StopTrainingOnMaxEpisodes")
)
_ELSEWHERE = {
    "ParallelTrainCallback": "learns in a thread of its own, which would make every run another one",
    "RawStatisticsCallback": "logs episodes, which every run does here",
    "SaveVecNormalizeCallback": "saves statistics, which are in every agent's file here",
}


def listed_callbacks(given: Any) -> list[dict[str, Any]]:
    """Callbacks as a file of a run holds them: ``[{name: arguments}]``.

    Raises:
        UsageError: something else than names and plain arguments.

    Example:
        >>> listed_callbacks("a.B"), listed_callbacks([{"a.B": {"n": 1}}, "a.C"])
        ([{'a.B': {}}], [{'a.B': {'n': 1}}, {'a.C': {}}])
    """
    found: list[dict[str, Any]] = []
    for one in [] if given is None else given if isinstance(given, list) else [given]:
        name, arguments = next(iter(one.items())) if isinstance(one, dict) and len(one) == 1 else (one, None)
        parts = name.split(".") if isinstance(name, str) else []
        if len(parts) < 2 or not all(part.isidentifier() for part in parts) or not isinstance(arguments, dict | None):
            raise UsageError(f"the callback {one!r} is no module.Class and its arguments", _HOW)
        try:
            found.append({name: json.loads(json.dumps(arguments or {}, allow_nan=False))})
        except (TypeError, ValueError) as error:
            raise UsageError(f"the arguments of the callback {name} are not plain values: {error}", _HOW) from error
    return found


def require_typed(given: Any, packages: list[str]) -> None:
    """Refuse callbacks whose import nobody typed.

    Args:
        given: callbacks by name.
        packages: what was typed, modules.

    Raises:
        UsageError: names the callback, and what to type.

    Example:
        >>> require_typed("mine.Watcher", ["mine"])
        >>> require_typed("mine.Watcher", [])
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: the settings name the callback mine.Watcher, which a file may not import. Type ...
    """
    typed = {package.partition(":")[0].partition(".")[0] for package in packages}
    for one in listed_callbacks(given):
        name = next(iter(one))
        root = name.partition(".")[0]
        if name not in TRUSTED and root not in typed:
            raise UsageError(
                f"the settings name the callback {name}, which a file may not import",
                f"Type its package: --gym-packages {root}; or leave callback out of the settings",
            )


def callbacks_by_name(given: Any) -> list[Callback]:
    """Made callbacks, ours and Stable-Baselines3's.

    Raises:
        UsageError: one cannot be found, is no callback, or cannot be made of its arguments; or has no place here.

    Example:
        >>> [type(one).__name__ for one in callbacks_by_name({"rlplay.CheckpointCallback": {"save_freq": 10}})]
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: the callback rlplay.CheckpointCallback with {'save_freq': 10} cannot be made: ...
    """
    return [made for one in listed_callbacks(given) for made in as_callbacks(_made(*next(iter(one.items()))))]


def _made(name: str, arguments: dict[str, Any]) -> Any:
    module_name, _, class_name = name.rpartition(".")
    if why := _ELSEWHERE.get(class_name if name.startswith("rl_zoo3.") else ""):
        raise UsageError(f"the callback {name} {why}", "Leave it out of the settings")
    if name in TRUSTED and not all(isinstance(value, int) for value in arguments.values()):
        raise UsageError(f"the callback {name} takes whole numbers, not {arguments}")
    module = import_typed(module_name, f"the callback {name}")
    cls = getattr(module, class_name, None)
    if cls is None:
        raise unknown(f"callback of {module_name}", class_name, [n for n, c in vars(module).items() if _is_class(c)])
    if not _is_class(cls):
        raise UsageError(f"{name} is no callback", "Derive the class from rlplay.Callback or from BaseCallback")
    shown = f"the callback {name}{f' with {arguments}' if arguments else ''}"
    try:
        return cls(**arguments)
    except RlplayError:
        raise
    except Exception as error:  # whatever it checks
        why = " ".join(str(error).split()).rstrip(".")
        raise UsageError(
            f"{shown} cannot be made: {why}",
            "A file gives plain arguments alone; rlplay's own evaluations: --eval-freq; or agent.learn(callback=...)",
        ) from error


def _is_class(found: Any) -> bool:
    return isinstance(found, type) and (issubclass(found, Callback) or is_sb3_class(found))


__all__ = ["TRUSTED", "callbacks_by_name", "listed_callbacks", "require_typed"]
