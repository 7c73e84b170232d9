"""What is registered: agents and environments, ours and a third party's, found through one door.

A package offers agents under the entry-point group ``rlplay.agents`` (``id = "module:Class"``), environments under
``rlplay.envs`` and data about both under ``rlplay.recipes``; a notebook calls `register`. Listing imports no plug-in.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rlplay import own
from rlplay.errors import MissingPackageError, UsageError, missing, unknown

AGENTS, ENVS, RECIPES, MODELS = "rlplay.agents", "rlplay.envs", "rlplay.recipes", "rlplay.models"

_EXTRAS = {"contrib": "sb3_contrib", "sb3": "stable_baselines3"}  # of agents, and the package of each

_registered: dict[str, Any] = {}
_registered_models: dict[str, Any] = {}


@cache
def _entry_points(group: str) -> Mapping[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=group)}


def register(agent_id: str, agent: type | str) -> None:
    """Register an agent in this process: a class, or ``"module:Class"`` to import when it is used.

    Raises:
        UsageError: the id is taken by another agent, or the class has no ``id``, by which its files are loaded.

    Example:
        >>> register("q-learning", "agents.q_learning:QLearning")  # as it is already
        >>> register("q-learning", "my_package:MyAgent")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: the agent id 'q-learning' is taken by agents.q_learning:QLearning. Choose ...
    """
    if getattr(agent, "id", agent_id) == "":
        raise UsageError(f"{_place(agent)} has no id, by which its files are loaded", f"Give it id = {agent_id!r}")
    _add(_registered, AGENTS, agent_id, agent)


def register_model(model_id: str, model: type | str) -> None:
    """Register an estimator's class in this process, so that it can be named and its files loaded.

    Raises:
        UsageError: the id is taken by another model.

    Example:
        >>> register_model("pca", "rlplay.models.unsupervised.pca:PCA")  # as it is already
        >>> register_model("pca", "my_package:PCA")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: the model id 'pca' is taken by rlplay.models.unsupervised.pca:PCA. Choose ...
    """
    _add(_registered_models, MODELS, model_id, model)


def _add(registered: dict[str, Any], group: str, name: str, found: Any) -> None:
    taken = registered.get(name) or getattr(_entry_points(group).get(name), "value", None)
    if taken is not None and _place(taken) != _place(found):
        kind = group.rpartition(".")[2].removesuffix("s")
        raise UsageError(f"the {kind} id {name!r} is taken by {_place(taken)}", "Choose another id")
    registered[name] = found


def _place(agent: Any) -> str:
    place = agent if isinstance(agent, str) else f"{agent.__module__}:{agent.__qualname__}"
    return place.removeprefix("rlplay.") if place.startswith(("rlplay.agents.", "rlplay.envs.")) else place


def agent_ids() -> list[str]:
    """The ids of all registered agents, sorted; without those of an extra that is not installed."""
    return sorted({*(name for name, point in _entry_points(AGENTS).items() if _is_installed(point)), *_registered})


def absent_agent_ids() -> list[str]:
    """The ids of agents that an extra brings which is not installed, sorted."""
    return sorted(name for name, point in _entry_points(AGENTS).items() if not _is_installed(point))


def _is_installed(point: importlib.metadata.EntryPoint) -> bool:
    """Whether the packages of the extras of an entry point are there."""
    return all(importlib.util.find_spec(_EXTRAS[extra]) is not None for extra in point.extras if extra in _EXTRAS)


def env_ids() -> list[str]:
    """The ids of all environments that plug-ins offer, sorted (Gymnasium's own are in its registry)."""
    return sorted(_entry_points(ENVS))


def agent_class(agent_id: str) -> type[Any]:
    """The class of an agent id; imports its plug-in.

    Raises:
        UnknownNameError: no such agent; names the nearest.
        MissingPackageError: its package is missing or broken.
    """
    return _find(_registered, AGENTS, agent_id, agent_ids)


def model_ids() -> list[str]:
    """The ids of all models that plug-ins offer or that were registered, sorted."""
    return sorted({*_entry_points(MODELS), *_registered_models})


def model_place(model_id: str) -> str:
    """The class of a model as ``module:Class``, without importing it."""
    found = _registered_models.get(model_id)
    return _place(found) if found is not None else _entry_points(MODELS)[model_id].value


def model_class(model_id: str) -> type:
    """The class of a model id; imports its plug-in.

    Raises:
        UnknownNameError: no such model; names the nearest.
    """
    return _find(_registered_models, MODELS, model_id, model_ids)


def _find(registered: dict[str, Any], group: str, name: str, known: Callable[[], list[str]]) -> Any:
    found = registered.get(name)
    if isinstance(found, str):
        module, _, attribute = found.partition(":")
        found = getattr(importlib.import_module(module), attribute)
    if found is None:
        point = _entry_points(group).get(name)
        if point is None:
            raise unknown(group.rpartition(".")[2].removesuffix("s"), name, known())
        found = _load(point)
    return found


def load_environment(env_id: str) -> str | None:
    """Import the plug-in that offers an environment; its entry point as ``module:Class``, or None for no plug-in."""
    point = _entry_points(ENVS).get(env_id)
    if point is None:
        return None
    _load(point)
    if _is_ours(point):  # imported before, and a registry from before that put back since
        own.module_of("envs.names").register_in_gymnasium()
    return point.value


@cache
def recipes(name: str) -> dict[str, Any]:
    """Data of the plug-ins under one name (for example ``"STATE_GRIDS"``), all plug-ins' dictionaries in one."""
    merged: dict[str, Any] = {}
    for point in _entry_points(RECIPES).values():
        merged.update(getattr(_load(point), name, {}))
    return merged


def source_of(group: str, name: str) -> Path | None:
    """The file of a registered plug-in without importing it, or None where it cannot be told."""
    point = _entry_points(group).get(name)
    if point is None:
        found = _class_of(group, name)
        module = sys.modules.get(found.__module__) if found else None
        file = getattr(module, "__file__", None)  # a notebook's has none
        return Path(file) if file else None
    top, *rest = point.module.split(".")
    if _is_ours(point):
        roots = [str(own.ROOT / top)]
    else:
        spec = importlib.util.find_spec(top)
        roots = list(spec.submodule_search_locations or []) if spec else []
    for root in roots:
        path = Path(root, *rest)
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


def summary(group: str, name: str) -> str:
    """The first sentence of a plug-in's module, or of its class where a module has several; imports neither.

    Of what was registered in this process, the first sentence of the class.
    """
    path, point = source_of(group, name), _entry_points(group).get(name)
    if point is None and (found := _class_of(group, name)):
        return _first_sentence(found.__doc__)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8")) if path else ast.Module([], [])
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""
    shared = [p for p in _entry_points(group).values() if point is not None and p.module == point.module]
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    described: Any = classes.get(point.attr, tree) if point is not None and len(shared) > 1 else tree
    return _first_sentence(ast.get_docstring(described))


def _class_of(group: str, name: str) -> type | None:
    """The class that was registered in this process under a name."""
    found = (_registered_models if group == MODELS else _registered).get(name)
    return found if isinstance(found, type) else None


def _first_sentence(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _is_ours(point: importlib.metadata.EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == "rlplay"


def _load(point: importlib.metadata.EntryPoint) -> Any:
    for extra in point.extras:  # one alone, which brings all that its agents need
        if extra in _EXTRAS and importlib.util.find_spec(_EXTRAS[extra]) is None:
            needs = missing(point.name, _EXTRAS[extra].replace("_", "-"), extra)
            raise MissingPackageError(needs.cause.replace(" need ", " needs ", 1), needs.remedy)
    try:
        found = own.module_of(point.module) if _is_ours(point) else importlib.import_module(point.module)
        return getattr(found, point.attr) if point.attr else found
    except MissingPackageError:
        raise
    except (ImportError, AttributeError) as error:
        owner = point.dist.name if point.dist else "its package"
        raise MissingPackageError(
            f"{point.name} of {owner} could not be loaded from {point.value}: {error}",
            f"Reinstall it: pip install --force-reinstall {owner}",
        ) from error
