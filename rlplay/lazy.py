"""What is imported when it is used.

`attach` gives a module the names of its ``if TYPE_CHECKING`` block. `defer` puts off a module of others.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

_running = RLock()  # one thread runs a deferred module, the others wait
_run: list[ModuleType] = []


def attach(module: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a module whose imports for type checkers are its public names.

    Args:
        module: the module's ``__name__``.
        file: its ``__file__``.
    """
    homes: dict[str, tuple[str, str]] = {}
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for line in node.body:
                if isinstance(line, ast.ImportFrom):
                    for name in line.names:
                        homes[name.asname or name.name] = (line.module or "", name.name)

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        home, original = homes[name]
        return getattr(importlib.import_module(home), original)

    return find, lambda: sorted(homes), sorted(homes)


def defer(name: str) -> None:
    """Have a module run when one of its names is used, not when it is imported.

    Nothing happens where it is imported already or is not installed. The standard library's `LazyLoader` runs a
    module at the first ``import`` that names it again, in Python 3.11.

    Args:
        name: the module's full name. What imports it must only import it, or import names of it that are there.

    Example:
        >>> defer("scipy.stats")
        >>> import scipy.stats
        >>> float(scipy.stats.norm.cdf(0.0))
        0.5
    """
    if name in sys.modules or (spec := importlib.util.find_spec(name)) is None:
        return
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Deferred
    sys.modules[name] = module


class _Deferred(ModuleType):
    """A module that has not run yet: it runs when a name that it lacks is asked for."""

    def __getattr__(self, name: str) -> Any:
        with _running:
            if type(self) is _Deferred and self in _run:
                raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
            if type(self) is _Deferred:
                _run.append(self)
                try:
                    spec: Any = self.__spec__
                    spec.loader.exec_module(self)
                    self.__class__ = ModuleType  # type: ignore[assignment]
                finally:
                    _run.remove(self)
        return getattr(self, name)

    def __dir__(self) -> list[str]:
        getattr(self, "__all__", None)  # runs it
        return dir(self)
