"""Where pictures are written: asked before what they show is computed."""

from __future__ import annotations

from pathlib import Path

from rlplay.errors import UsageError


def check_picture(path: Path) -> str:
    """The kind of picture that a file's ending names.

    Raises:
        UsageError: an ending that matplotlib does not know, or a folder.

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
    return kind
