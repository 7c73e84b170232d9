"""A griffe extension: tables and examples in docstrings are shown as they stand.

The lines under ``Symbols:`` in a module docstring are columns set by spaces. The Google style would take them for a
section of prose, so they become a block of code before the docstring is parsed. The Google style's name for doctests is
``Examples:``; ours is often one, ``Example:``.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^Example:\n(?=[ ]{4}>>> )", re.M)
_COLUMNS = re.compile(r"^(Symbols|Source|Deviations)[^\n:]*:\n(?=[ ]{4})", re.M)


def keep_columns(text: str) -> str:
    """The docstring with an indented block under its heading, which Markdown shows as it stands.

    Example:
        >>> print(keep_columns("Symbols:\\n    Q  q  float64 [S, A]"))
        **Symbols**
        <BLANKLINE>
            Q  q  float64 [S, A]
    """
    text = _EXAMPLE.sub("Examples:\n", text)
    return _COLUMNS.sub(lambda found: f"**{found[0].rstrip().rstrip(':')}**\n\n", text)


class Columns(griffe.Extension):
    """Rewrites the docstring of every object."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called once an object is read."""
        if obj.docstring:
            obj.docstring.value = keep_columns(obj.docstring.value)
