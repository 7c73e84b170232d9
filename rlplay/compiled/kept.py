"""Whether compiled code can be kept for the next process."""

from __future__ import annotations

import os
import tempfile

from rlplay.compiled.folder import cache_folder

ANOTHER_FOLDER = "Set RLPLAY_CACHE_DIR to a folder with room that can be written"
_ROOM = 1 << 20  # bytes: more than a large entry


def why_not_kept() -> str:
    """Why the machine code that is compiled now is not found by the next process, in words; empty where it is.

    Example:
        >>> why_not_kept()
        ''
    """
    folder = cache_folder()
    if folder is None:
        named = os.environ.get("RLPLAY_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
        return f"{named} is no folder that can be written" if named else "no folder for it can be written"
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            if file.write(bytes(_ROOM)) == _ROOM:
                return ""
    except OSError as error:
        return f"nothing can be written in {folder} ({error.strerror})"
    return f"there is no room in {folder}"
