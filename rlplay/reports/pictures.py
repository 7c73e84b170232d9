"""Where pictures are written: asked before what they show is computed."""

from __future__ import annotations

from pathlib import Path

from rlplay.errors import UsageError, visible
from rlplay.storage.files import require_writable


def in_picture(text: str) -> str:
    r"""A name as matplotlib draws it: control codes as text, a dollar is no formula, and legends have each name.

    Example:
        >>> print(in_picture("$x^$"))
        \$x^\$
    """
    text = visible(text).replace("$", r"\$")
    return f" {text}" if text.startswith("_") else text  # legends leave names out that begin with _


def check_picture(path: Path) -> str:
    """The kind of picture that a file's ending names.

    Raises:
        UsageError: an ending that matplotlib does not know, a folder, or a place that cannot be written.

    Example:
        >>> check_picture(Path("curves.svg"))
        'svg'
    """
    from matplotlib.figure import Figure

    kind = path.suffix.removeprefix(".") or "png"
    if kind not in Figure().canvas.get_supported_filetypes():
        raise UsageError(f"{path}: pictures cannot be written as {kind!r}", "Take .png, .pdf or .svg")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", f"Name a file in it: {path / 'picture.png'}")
    require_writable(path, "-o")
    return kind
