"""Optuna's journal of a study in a file whose lines stay whole when the disk is full.

Optuna's own file keeps what fitted of a line, and the next line is then written behind it: no process could read the
study again.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from rlplay.errors import NoRoomError

_LOCK_PATIENCE = 5  # seconds after which the lock of a killed process is taken


def journal_storage(path: str, optuna: Any) -> Any:
    """The storage of a study in a file.

    Args:
        path: of the file; it is made.
        optuna: the package.

    Raises:
        NoRoomError: the disk is full; by every method that writes. The file is as it was.
    """
    path = os.path.abspath(path)  # a lock is a link to it: a relative one leads nowhere
    backend = optuna.storages.journal
    if os.path.islink(path + ".lock") and not os.path.exists(path + ".lock") and os.path.exists(path):
        os.unlink(path + ".lock")  # such a one, which Optuna would wait for without end
    lock = backend.JournalFileSymlinkLock(path, grace_period=_LOCK_PATIENCE)

    class WholeLines(backend.JournalFileBackend):  # type: ignore[misc,name-defined]
        """The file, with whole lines only."""

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode()
            lock.acquire()
            try:
                append_whole(path, text)
            finally:
                with contextlib.suppress(RuntimeError):  # it was taken from a process that stood still
                    lock.release()

    return optuna.storages.JournalStorage(WholeLines(path, lock_obj=lock))


def damaged_line(path: Path) -> int | None:
    """The number of the first line that is no JSON object, from 1; None where all are."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            if isinstance(json.loads(line), dict):
                continue
        except (ValueError, RecursionError):
            pass
        return number
    return None


def append_whole(path: str, text: bytes) -> None:
    r"""Add lines to a file, all or none of them; half a line that stands at its end goes.

    Raises:
        NoRoomError: the disk is full; the file is as it was.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "lines")
        ...     _ = path.write_bytes(b"first\nsec")
        ...     append_whole(str(path), b"third\n")
        ...     path.read_bytes()
        b'first\nthird\n'
    """
    with open(path, "a+b", buffering=0) as file:
        before = _end_of_lines(file)
        written = 0
        try:
            while written < len(text):
                written += file.write(text[written:]) or 0
            os.fsync(file.fileno())
        except OSError as error:
            if file.seek(0, os.SEEK_END) == before + written:  # nobody has written behind it
                file.truncate(before)
            if no_room := NoRoomError.of(error, path):
                raise no_room from error
            raise


def _end_of_lines(file: Any) -> int:
    """The length of a file, after half a line at its end was cut off."""
    end = at = int(file.seek(0, os.SEEK_END))
    while at:
        begin = max(at - 4096, 0)
        file.seek(begin)
        last = file.read(at - begin).rfind(b"\n")
        if last >= 0:
            at = begin + last + 1
            break
        at = begin
    if at < end:
        file.truncate(at)
    return at
