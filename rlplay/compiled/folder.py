"""The folder in which machine code is kept, and who may write in it.

It is ``RLPLAY_CACHE_DIR``, else ``NUMBA_CACHE_DIR``, else the user's cache folder. Where none can be written,
everything compiles anew in each process, but for what is found in one that can be read.

What is kept there is run: whoever may write in the folder may run code, as with Python's ``__pycache__``, and the
entries' checksums are against damage, not against people. So a folder is the user's own, or that of people who trust
each other. In one where everybody may write each user has a folder of their own, and root takes nothing from another
user's home.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from functools import cache
from pathlib import Path


@cache
def cache_folder() -> Path | None:
    """The folder for machine code: one that can be written, else one that holds some; None where there is neither.

    Example:
        >>> folder = cache_folder()
        >>> folder is None or folder.is_dir()
        True
    """
    named = os.environ.get("RLPLAY_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    candidates = [Path(named)] if named else []
    if not named:
        base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
        with contextlib.suppress(RuntimeError):  # no home folder
            of_user = (Path(base) if base else Path.home() / ".cache") / "rlplay"
            candidates += [] if _is_of_another(of_user) else [of_user]
        candidates.append(Path(__file__).parent / "__pycache__")
    filled = None
    for candidate in candidates:
        try:
            candidate.mkdir(parents=True, exist_ok=True)
            folder = _of_this_user(candidate)
            filled = filled or (folder if any(folder.glob("*.nb?")) else None)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return filled


def _of_this_user(folder: Path) -> Path:
    """The folder; of one where everybody may write, this user's own in it.

    Raises:
        OSError: it cannot be made, or another user has made it.
    """
    if not hasattr(os, "geteuid") or not folder.stat().st_mode & stat.S_IWOTH:
        return folder
    own = folder / f"user-{os.geteuid()}"
    own.mkdir(mode=0o755, exist_ok=True)
    status = own.lstat()  # a link is its maker's
    if status.st_uid != os.geteuid() or status.st_mode & stat.S_IWOTH:
        raise PermissionError(own)
    return own


def _is_of_another(folder: Path) -> bool:
    """Whether this is root, and a folder, or the one in which it would be made, another user's: as under ``sudo``."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.stat().st_uid != 0
