"""Files that survive: atomic writing, locks between processes, and what to say about a path that cannot be read."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from rlplay.errors import BusyError, CheckpointError, NoRoomError, PlaceError, RlplayError, UsageError, unknown


def write_atomically(path: Path, data: bytes) -> Path:
    """Write a file so that at every moment the path holds the old content or the new one, whole."""
    with atomic_writer(path) as file:
        file.write(data)
    return path


def write_together(folder: Path, files: dict[str, bytes]) -> None:
    """Write files of one folder, each as `write_atomically` does; the folder is synchronised once for all of them.

    Raises:
        OSError: as `atomic_writer`.
    """
    for name, data in files.items():
        with atomic_writer(folder / name, sync_folder=False) as file:
            file.write(data)
    _sync_folder(folder)


@contextlib.contextmanager
def atomic_writer(path: Path, verify: Any = None, *, sync_folder: bool = True) -> Iterator[IO[bytes]]:
    """A file to write to that takes the path's place only when it is complete and on disk.

    The mode of a file that is there is kept; of a link the file that it leads to is written.

    Args:
        path: where the content goes. Folders are made.
        verify: called with the temporary file's path before it takes its place; raises to refuse it.
        sync_folder: whether the new name is on disk too when this ends; else the caller synchronises the folder.

    Raises:
        PlaceError: no file can be there; the old one is untouched.
        NoRoomError: the disk is full; the old file is untouched.
    """
    path = _linked(path)
    try:
        if path.is_dir():
            raise PlaceError(f"{path} is a folder", "Give the name of a file in it")
        if path.exists() and not path.is_file():
            raise PlaceError(f"{path} is not a regular file", "Give another name")
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
    except OSError as error:
        raise _refused(error, path) from error
    temporary = _beside(path)
    try:
        try:
            opened = _new_file(temporary)
        except OSError as error:
            raise _refused(error, path) from error
        with opened as file:
            _keep_mode(path, file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        if verify:
            verify(temporary)
        os.replace(temporary, path)
        if sync_folder:
            _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and (full := NoRoomError.of(error, path)):
            raise full from error
        raise


def write_at_once(path: Path, data: bytes) -> None:
    """Write a file so that another process sees all of it or nothing; a machine that stops may lose it.

    It is a new file, as readable for others as any that this user makes.

    Raises:
        OSError: it cannot be written; what was there is untouched.
    """
    temporary = _beside(path)
    try:
        with _new_file(temporary) as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _beside(path: Path) -> Path:
    """Where a file is written that will take a path's place, for each thread of a process another.

    Names can be as long as the file system takes: the temporary one must not be longer.
    """
    return path.with_name(f".{path.name[-100:]}.{threading.get_ident()}.{os.getpid()}.tmp")


def _new_file(path: Path) -> IO[bytes]:
    """A new file to write and read, never what a link of that name leads to; it honours the umask."""
    path.unlink(missing_ok=True)
    return open(path, "x+b")


def _refused(error: OSError, path: Path) -> OSError:
    """The error for a file or folder that could not be made."""
    return error if isinstance(error, RlplayError) else NoRoomError.of(error, path) or PlaceError.of(error, path)


def as_path(path: str | os.PathLike[str]) -> Path:
    """A path as a user gives it: ``~`` is the home folder, as in a shell.

    Raises:
        UsageError: the home folder of a user who is not known.

    Example:
        >>> as_path("~/agent.rlp") == Path.home() / "agent.rlp", as_path("a~b")
        (True, PosixPath('a~b'))
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UsageError(f"{path} cannot be found: {error}", "Write the whole path") from error


def require_writable(path: Path, flag: str) -> None:
    """Say before any work is done that its result cannot be written; the folder is made.

    Args:
        path: where the result will go.
        flag: what named it.

    Raises:
        UsageError: it cannot be written, or is no file.

    Example:
        >>> require_writable(Path("/dev/null/film.gif"), "-o")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: /dev/null/film.gif cannot be written: Not a directory. Name another place with -o
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {reason(error)}", f"Name another place with {flag}") from error


def reason(error: OSError) -> str:
    """Why a file or folder could not be made, read or written, in the system's words.

    Example:
        >>> reason(FileExistsError(errno.EEXIST, "File exists"))  # a file stands where a folder is needed
        'Not a directory'
    """
    return os.strerror(errno.ENOTDIR) if isinstance(error, FileExistsError) else error.strerror or str(error)


def _linked(path: Path) -> Path:
    """The file that a link leads to, at the end of all links; any other path itself.

    Raises:
        OSError: links that lead in a circle.
    """
    if not path.is_symlink():
        return path
    try:
        return path.resolve(strict=False)
    except RuntimeError as error:
        raise PlaceError(f"{path} is a link that leads back to itself", "Give another name") from error


def _keep_mode(path: Path, file: IO[bytes]) -> None:
    """Give a temporary file the mode of the one whose place it takes, before anything stands in it."""
    if os.name != "nt" and path.exists():
        os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))


def _remove_stale(path: Path) -> None:
    """Remove temporaries that processes which are gone left beside the file."""
    for leftover in path.parent.glob(f".{_escape(path.name[-100:])}.*.tmp"):
        process = leftover.suffixes[-2].lstrip(".") if len(leftover.suffixes) > 1 else ""
        if process.isdigit() and int(process) != os.getpid() and not _alive(int(process)):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _escape(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _alive(process: int) -> bool:
    if os.name == "nt":
        return True  # signal 0 would end the process there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse it; the file itself is on disk
    finally:
        os.close(descriptor)


def make_folder(path: Path, flag: str = "") -> None:
    """Make a folder and those above it, where they are not there.

    Args:
        path: the folder.
        flag: what named it, where something did.

    Raises:
        UsageError: it cannot be written.
        NoRoomError: the disk is full.

    Example:
        >>> make_folder(Path("/dev/null/logs"), "-f")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: /dev/null/logs cannot be written: Not a directory. Name another folder with -f
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if full := NoRoomError.of(error, path):
            raise full from error
        way = f"Name another folder with {flag}" if flag else "Name another folder"
        raise UsageError(f"{path} cannot be written: {reason(error)}", way) from error


@contextlib.contextmanager
def locked(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a folder for this process.

    Args:
        folder: it is made.
        patience: seconds to wait for another process that holds it.

    Raises:
        BusyError: another process holds it. The lock goes with its process, also when that is killed.
    """
    make_folder(folder)
    until = time.monotonic() + patience
    with open(folder / ".lock", "a+b") as file:
        while True:
            try:
                _lock(file)
                break
            except OSError as error:
                if time.monotonic() >= until:
                    raise BusyError(
                        f"{folder} is being written by another process", "Wait for it, or choose another folder with -f"
                    ) from error
                time.sleep(min(0.2, patience))
        yield


def _lock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def explain_missing(path: Path, kind: str, pattern: str) -> RlplayError:
    """The error for a path that is no readable file: what it is, and the nearest names beside it."""
    if path.is_dir():
        return CheckpointError(f"{path} is a folder, not a file", f"Name the {kind} file in it")
    if path.exists():
        return CheckpointError(f"{path} is {_kind(path)}, not a regular file")
    folder = path.parent
    names = [p.name for p in folder.glob(pattern)] if folder.is_dir() else []
    error = unknown(f"{kind} file", path.name, names, "" if names else f"{folder} holds none")
    error.cause = f"there is no {kind} file {str(path)!r}"
    error.args = (f"{error.cause}. {error.remedy}",)
    return error


def _kind(path: Path) -> str:
    mode = path.stat().st_mode
    return "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "a pipe or socket"
