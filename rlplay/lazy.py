"""Names that are imported when they are used: `attach` gives a module those of its ``if TYPE_CHECKING`` block."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
