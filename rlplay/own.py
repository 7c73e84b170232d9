"""``rlplay.agents`` and ``rlplay.envs``: our packages under names that no other distribution installs.

Our agents and environments are the top-level packages ``agents`` and ``envs``, which stand beside ``rlplay``. Another
distribution may install a package of the same name (openai-agents does) and overwrite our ``__init__.py``, or remove it
when it is uninstalled; a folder of the user's may stand before ours on the path. Then ``agents`` is not ours, and
``rlplay.agents`` is made from our folder all the same. Where ``agents`` is ours the two names are one: the same
modules, the same classes.

To that end a package of ours imports its own modules relatively, and its names stand in its module ``names``.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from importlib.abc import Loader

PACKAGES = ("agents", "envs")
ROOT = Path(__file__).resolve().parents[1]
_MARK = b"rlplay."  # stands in the ``__init__.py`` of each


def is_ours(name: str) -> bool:
    """Whether Python finds our package under a top-level name."""
    return _found(name) == ROOT / name / "__init__.py" and _is_whole(name)


def module_of(name: str) -> ModuleType:
    """A module of ours by its usual name (``agents.q_learning``), whoever owns the top-level name.

    Example:
        >>> module_of("agents.q_learning").__name__
        'agents.q_learning'
    """
    top = name.partition(".")[0]
    return importlib.import_module(name if top not in PACKAGES or is_ours(top) else f"rlplay.{name}")


def trouble(name: str) -> tuple[str, str] | None:
    """Why a top-level name of ours is not ours, and the mend; None where it is sound.

    A folder under that name where the user works, or beside the script that runs, is no trouble: it is theirs, and
    ``rlplay.agents`` is ours.
    """
    mend = "pip install --force-reinstall --no-deps rlplay"
    works = f"`rlplay.{name}` works"
    ours, found = ROOT / name / "__init__.py", _found(name)
    if not ours.is_file():
        return (
            f"{ours} is gone, removed with a package of the same name: {works}, `{name}` does not",
            f"Mend it: {mend}",
        )
    if not _is_whole(name):
        others = _owners(name)
        first = f"pip uninstall {others} && " if others else ""
        return (
            f"{ours} was overwritten by {others or 'another package'}: {works}, `{name}` is not rlplay's",
            f"Mend it: {first}{mend}",
        )
    if found != ours and found is not None and {"site-packages", "dist-packages"} & {*found.parts}:
        others = _owners(name) or "another package"
        return (
            f"`{name}` is found at {found.parent}, of {others}: {works}",
            f"To have `{name}` too: pip uninstall {others}",
        )
    if found != ours and found is not None and found.parents[1] not in _own_folders():
        return (
            f"`{name}` is found at {found.parent}, which is not rlplay's: {works}",
            f"To have `{name}` too: take {found.parents[1]} out of PYTHONPATH, or put rlplay before it",
        )
    return None


def take(name: str, namespace: dict[str, Any]) -> None:
    """Make the module ``rlplay.<name>``, whose globals these are, our package."""
    if is_ours(name):
        sys.modules[f"rlplay.{name}"] = importlib.import_module(name)
        sys.meta_path.insert(0, cast("Any", _Alias(name)))
        return
    namespace.update(__path__=[str(ROOT / name)], __package__=f"rlplay.{name}")
    names = importlib.import_module(f"rlplay.{name}.names")
    namespace.update(__all__=names.__all__, __getattr__=lambda attribute: getattr(names, attribute))


class _Alias:
    """A finder and loader that finds ``rlplay.agents.q_learning`` as ``agents.q_learning``, the module itself."""

    def __init__(self, name: str) -> None:
        self.prefix = f"rlplay.{name}."

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(self.prefix):
            return None
        real = importlib.util.find_spec(fullname.removeprefix("rlplay."))
        if real is None:
            return None
        return ModuleSpec(fullname, cast("Loader", self), is_package=bool(real.submodule_search_locations))

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(spec.name.partition(".")[2])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = module.__spec__.loader_state  # it was replaced by the alias's


def _found(name: str) -> Path | None:
    """The file of the package that Python finds under a top-level name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module without a spec stands there
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.origin else None


def _own_folders() -> set[Path]:
    """Where the user works, and where the script lies that runs."""
    return {Path(folder).resolve() for folder in ("", sys.path[0] if sys.path else "")}


def _is_whole(name: str) -> bool:
    try:
        return _MARK in (ROOT / name / "__init__.py").read_bytes()
    except OSError:
        return False


def _owners(name: str) -> str:
    import importlib.metadata  # slow, and hardly ever needed

    owners = importlib.metadata.packages_distributions().get(name, [])
    return ", ".join(sorted({owner for owner in owners if owner != "rlplay"}))
