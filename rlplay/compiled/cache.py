"""The decorator ``@compiled``: numba's ``njit`` with machine code kept on disk, found again by content, never stale.

numba stamps a cached function with the time of its own file, so an edited helper would stay stale in its callers, and a
touched file would compile everything again. Here machine code is kept under a digest of all that the compiler read
(`rlplay.compiled.digest`): of the function and of every function and constant that it reaches, of the argument types,
the versions of Python, numba, llvmlite and NumPy, and numba's settings; machine code is one processor's besides. Where
a file lies and when it was written plays no part, so two checkouts share what they have in common, and an edit compiles
what depends on it.

A function typed at a prompt or in a notebook is found again too. What reaches a value that no digest can tell from
others, or a class of the script that runs, compiles in each process (`why_not_cached`).

A wheel may carry lowered code (`rlplay.compiled.shipped`): then the first start only makes machine code of it.

The cache is one folder (`rlplay.compiled.folder`). An entry is one file with a checksum: one that is damaged, or no
file at all, is said, discarded and compiled again. Beyond 1 GiB, some twenty times what all of rlplay compiles to, the
entries go that have not been used for longest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

from rlplay.compiled import (
    by_reference,
    digest,
    numba_bytes,
    numba_faster,
    numba_internals,
    numba_linking,
    shipped,
)
from rlplay.compiled.folder import cache_folder
from rlplay.errors import warn
from rlplay.storage.files import write_at_once

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

F = TypeVar("F", bound=Callable[..., Any])

MAX_BYTES = 1 << 30  # of all entries together
_NAME_LENGTH = 100  # of a file, before the digest
_CHECKSUM = hashlib.sha256
_TAKES_PART = (by_reference, digest, numba_bytes, numba_faster, numba_internals, numba_linking)  # in what is compiled
_HOUR = 3600.0


@cache
def _compiler() -> str:
    """All that takes part in lowering, whatever the function: versions, settings, and the code that keeps entries."""
    python = platform.python_implementation(), *sys.version_info[:2], getattr(sys, "abiflags", "")
    own = digest.code_of_modules(*_TAKES_PART, sys.modules[__name__])
    return digest.digest(python, np.__version__, numba_internals.versions(), numba_internals.platform(), own)


@cache
def _processor() -> str:
    """Stands for the processor in the names of machine code."""
    return digest.digest(numba_internals.processor())[:8]


def _here(suffix: str) -> str:
    """The ending of a name for machine code of this processor."""
    return f".{_processor()}{suffix}"


class _Entries(numba_linking.NoEntries):
    """The entries of one function on disk, as its dispatcher asks for them: machine code, and lowered code."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._keys: dict[Any, str] = {}

    def key(self, arguments: Any) -> str:
        """The name of the entries, without its ending; empty where nothing is kept."""
        return self._keys.get(arguments) or self._key(arguments)

    def number(self, arguments: Any) -> int | None:
        """A number by the content of the function; None where no digest can tell it from others."""
        key = self.key(arguments)
        return int(key[-40:-25], 16) if key else None

    def load_machine_code(self, arguments: Any, context: Any) -> Any:
        """The machine code for argument types, from disk; None where it has to be made."""
        data, path = self._read(arguments, context, _here(MACHINE_CODE))
        if data is None or path is None:
            return None
        try:
            found = numba_bytes.machine_code_from_bytes(data, context)
        except Exception:  # a whole entry that numba cannot take back
            _discard(path)
            return None
        return found if found is not None and tuple(found.signature.args) == arguments else None

    def has_own_code(self, arguments: Any) -> bool:
        """Whether there is machine code for argument types that others call."""
        key, folder = self.key(arguments), cache_folder()
        return bool(key) and folder is not None and (folder / (key + _here(OWN_CODE))).exists()

    def load_lowered(self, arguments: Any, context: Any) -> Any:
        """The lowered code for argument types, from disk; None where the function has to be compiled."""
        context.refresh()
        key = self._keys[arguments] = self._key(arguments)
        found = _lowered_of(key, context) if key else None
        if found is None:
            _watch_the_clock()
        return found if found is not None and tuple(found.signature.args) == arguments else None

    def save_machine_code(self, arguments: Any, result: Any) -> None:
        """Keep machine code, unless what it depends on has changed while it was made."""
        self._save(arguments, result, numba_bytes.machine_code_to_bytes, _here(MACHINE_CODE))

    def save_lowered(self, arguments: Any, result: Any) -> None:
        """Keep lowered code, likewise; then its library has the key by which others find it."""
        if key := self._save(arguments, result, numba_bytes.lowered_to_bytes, LOWERED):
            result.library.key = key
            _lowered[key] = result

    def _read(self, arguments: Any, context: Any, suffix: str) -> tuple[bytes | None, Path | None]:
        context.refresh()
        key, folder = self._key(arguments), cache_folder()
        self._keys[arguments] = key
        if not key or folder is None:
            return None, None
        path = folder / (key + suffix)
        return read_entry(path), path

    def _save(self, arguments: Any, result: Any, to_bytes: Callable[[Any], bytes | None], suffix: str) -> str:
        key, folder = self._keys.get(arguments), cache_folder()
        if not key or folder is None or key != self._key(arguments):
            return ""
        with contextlib.suppress(digest.Unreadable):
            digest.digest(result.signature.return_type)
            if (data := to_bytes(result)) is not None:
                write_entry(folder / (key + suffix), data)
                _keep_within_bounds()
                return key
        return ""

    def _key(self, arguments: Any) -> str:
        """The name of the entries, without its ending; empty where nothing is kept."""
        if cache_folder() is None and not shipped.is_there():
            return ""
        try:
            key = digest.digest(_compiler(), self._dispatcher, arguments)
        except digest.Unreadable:
            with contextlib.suppress(digest.Unreadable):  # for these arguments: for others its globals are known
                digest.digest(self._dispatcher)
            return ""
        name = f"{self._dispatcher.__module__}.{self._dispatcher.__qualname__}".replace("<locals>.", "")
        return f"{re.sub(r'[^A-Za-z0-9_.]', '_', name)[-_NAME_LENGTH:]}-{key[:40]}"


class _OwnCode(numba_linking.NoStore):
    """Machine code that others call, on disk."""

    def load_own_code(self, key: str, codegen: Any) -> Any:
        """What was kept under a key; None where there is nothing."""
        folder = cache_folder()
        if not key or folder is None:
            return None
        path = folder / (key + _here(OWN_CODE))
        if (data := read_entry(path)) is None:
            return None
        try:
            return numba_bytes.own_code_from_bytes(data, codegen)
        except Exception:  # a whole entry that numba cannot take back
            _discard(path)
            return None

    def save_own_code(self, key: str, library: Any) -> None:
        """Keep the machine code of a library."""
        folder = cache_folder()
        if key and folder is not None and (data := numba_bytes.own_code_to_bytes(library)) is not None:
            write_entry(folder / (key + _here(OWN_CODE)), data)

    @contextmanager
    def making(self, name: str, meanwhile: Callable[[], bool]) -> Iterator[None]:
        """While this lasts, no other process makes what bears the name; one that does so is waited for.

        A process that ends lets go of what it was making. One that stands still for long is not waited for.
        """
        file, until = _lock_file(os.getpid()), time.monotonic() + _LONGEST
        if not name or file is None:
            yield
            return
        place = int.from_bytes(_CHECKSUM(name.encode()).digest()[:7], "big")
        held = False
        while not held and time.monotonic() < until:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
                held = True
            except (BlockingIOError, PermissionError):  # another process has it
                if not meanwhile():
                    time.sleep(_PAUSE)
            except OSError:  # a file system without locks
                break
        try:
            yield
        finally:
            if held:
                fcntl.lockf(file, fcntl.LOCK_UN, 1, place)


_LONGEST, _PAUSE = 120.0, 0.005  # seconds: for which another process is waited for, and between two looks


@cache
def _lock_file(process: int) -> int | None:
    """A file, each byte of which stands for a name; None where there is none, or the system has no such locks.

    It stays open: the locks of a process end when it closes the file.
    """
    folder = cache_folder()
    if folder is None or fcntl is None:
        return None
    try:
        return os.open(folder / "locks", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError:
        return None


numba_linking.store = _OwnCode()
MACHINE_CODE, LOWERED, OWN_CODE = ".nbc", ".nbl", ".nbo"
_lowered: dict[str, Any] = {}  # what this process has read or written, by key


def _lowered_of(key: str, context: Any) -> Any:
    """The lowered code of a key, with all that it calls; None where something is missing."""
    if key in _lowered:
        return _lowered[key]
    folder = cache_folder()
    path = None if folder is None else folder / (key + LOWERED)
    data = shipped.read(key + LOWERED)
    if data is None and path is not None:
        data = read_entry(path)
    if data is None:
        return None

    def library_of(called: str) -> Any:
        found = _lowered_of(called, context)
        return None if found is None else found.library

    try:
        found = numba_bytes.lowered_from_bytes(data, context, library_of)
    except Exception:  # a whole entry that numba cannot take back
        if path is not None:
            _discard(path)
        return None
    if found is not None:
        found.library.key = key
        _lowered[key] = found
    return found


def read_entry(path: Path) -> bytes | None:
    """The machine code in a file; None where there is none, or where it is damaged: it is discarded, said once."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        _say_unreadable()
        return None
    except (OSError, MemoryError):  # a failing disk
        content = b""
    checksum, data = content[:32], content[32:]
    if checksum != _CHECKSUM(path.name.encode() + data).digest():
        _discard(path)
        return None
    with contextlib.suppress(OSError):  # the time of a file says when it was last used
        if time.time() - path.stat().st_mtime > _HOUR:
            os.utime(path)
    return data


def _content(path: Path) -> bytes:
    """The bytes of a file; none where it is a folder, a pipe, a device, or longer than any entry."""
    status = path.stat()
    return path.read_bytes() if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_BYTES else b""


_LONG = 2.0  # seconds of compiling after which it is said
_clock: dict[str, Any] = {"timer": None, "always": False}


def say_long_compiles() -> None:
    """Say on standard error when compiling takes long, also where that is no terminal."""
    _clock["always"] = True


def _watch_the_clock() -> None:
    """Something has to be compiled: where that is still so in a while, say why nothing seems to happen; once."""
    watched = _clock["always"] or (sys.stderr is not None and sys.stderr.isatty())
    if _clock["timer"] is None and watched:
        _clock["timer"] = timer = threading.Timer(_LONG, _say_long)
        timer.daemon = True
        timer.start()


def _say_long() -> None:
    if numba_internals.is_compiling():
        folder = cache_folder()
        kept = folder is not None and os.access(folder, os.W_OK)
        after = "; the next time the machine code is found on disk" if kept else ""
        print(f"rlplay: compiling{after} ...", file=sys.stderr, flush=True)
    else:
        _clock["timer"] = None  # it was quick; the next one may not be


def leave_it_to_another() -> None:
    """Say nothing of compiling in this process: the one that started it does."""
    _clock["timer"] = "said by another process"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=leave_it_to_another)


def _discard(path: Path) -> None:
    _say_damaged()
    with contextlib.suppress(OSError):  # a folder with something in it: compiled again in each process
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


@cache
def _say_damaged() -> None:
    warn(f"compiled code in {cache_folder()} was damaged and is compiled again")


@cache
def _say_unreadable() -> None:
    warn(f"compiled code in {cache_folder()} is of another user, who alone may read it: it is compiled again")


def write_entry(path: Path, data: bytes) -> None:
    """Write machine code to a file at once, so that another process sees all of it or nothing."""
    with contextlib.suppress(OSError):  # a full disk, a file that another process reads: it compiles again next time
        write_at_once(path, _CHECKSUM(path.name.encode() + data).digest() + data)


@cache
def _keep_within_bounds() -> None:
    """Remove the entries that have not been used for longest, and files that were never finished; once a process."""
    folder = cache_folder()
    if folder is None:
        return
    files, paths = [], []
    with contextlib.suppress(OSError):  # the folder is gone
        paths = list(folder.iterdir())
    for path in paths:
        with contextlib.suppress(OSError):  # another process may have removed it
            status = path.stat()
            if path.suffix == ".tmp" and time.time() - status.st_mtime > _HOUR:
                path.unlink()
            elif path.suffix in (MACHINE_CODE, LOWERED, OWN_CODE):
                files.append((status.st_mtime, status.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > MAX_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()


_dispatchers: list[Any] = []


def compiled(function: F) -> F:
    """Compile a function of arrays and scalars when it is first called; keep the machine code on disk.

    The uncompiled function stays readable and callable as ``function.py_func``.

    Example:
        >>> @compiled
        ... def halves(x):
        ...     return x / 2.0
        >>> halves(np.array([2.0, 4.0])).tolist(), halves.py_func(3.0)
        ([1.0, 2.0], 1.5)
    """
    return _compiled(function)


def in_place(function: F) -> F:
    """`compiled`, for a function that allocates nothing: it reads and writes the arrays that it is given.

    Then no references need to be counted, which makes learning rules 1.3 to 2 times as fast: every array that is
    unpacked from a memory otherwise costs two atomic operations a step. A function that does allocate is refused by
    numba ("NRT required but not enabled"): take `compiled` for it. What such a function calls must be in place too:
    numba compiles a callee that it meets first there in the same way.

    Example:
        >>> @in_place
        ... def halve(x):
        ...     for i in range(x.shape[0]):
        ...         x[i] /= 2.0
        >>> x = np.array([2.0, 4.0])
        >>> halve(x)
        >>> x.tolist()
        [1.0, 2.0]
    """
    return _compiled(function, _nrt=False)


def reordered(function: F) -> F:
    """`in_place`, for sums of floats that may be taken in any order: only then do they become vector instructions."""
    return _compiled(function, _nrt=False, fastmath={"reassoc", "nsz", "contract"})


def own_code(function: F) -> F:
    """A compiled function whose machine code is made once: whatever reaches it calls that code, and holds no copy.

    For what is large and called seldom: an agent's update, a network's forward and backward pass. Then an agent
    compiles them once for all environments and both executions, and agents share what they have in common. Plain
    Python stays as it is.

    Example:
        >>> @own_code
        ... @compiled
        ... def total(x):
        ...     return x.sum()
        >>> total(np.ones(3))
        3.0
    """
    return cast(F, numba_linking.own_code(function))


def without_gil(function: F) -> F:
    """`compiled`, for long calls: other threads of Python run meanwhile. They may not share what they write.

    Example:
        >>> @without_gil
        ... def count(n, out):
        ...     for _ in range(n):
        ...         out[0] += 1
        >>> out = np.zeros(1)
        >>> count(1000, out)
        >>> out.tolist()
        [1000.0]
    """
    return _compiled(function, nogil=True)


def as_these(*functions: Callable[..., Any]) -> Callable[[F], F]:
    """The decorator for a function that calls these and allocates nothing itself: `in_place` where all of them are."""
    places = all(getattr(function, "targetoptions", {}).get("_nrt") is False for function in functions)
    return in_place if places else compiled


def _compiled(function: F, **options: Any) -> F:
    dispatcher = numba_linking.jit(function, **options)
    numba_internals.set_cache(dispatcher, _Entries(dispatcher))
    _dispatchers.append(dispatcher)
    return cast(F, dispatcher)


def compile_beside(function: Callable[..., Any], *arguments: Any, first: Sequence[tuple[Any, ...]] = ()) -> None:
    """Have another process compile a function with code of its own (`own_code`), called with such arguments.

    Whoever calls it finds it on disk. Where that is so already, where processes cannot be forked, or nothing is kept on
    disk, nothing happens; nor where the function is plain Python.

    Args:
        function: what is compiled.
        arguments: examples of its arguments.
        first: what it calls, with examples of arguments, that this process needs last: the other one begins there, so
            that neither waits for the other.
    """
    if isinstance(function, numba_linking.Function):
        calls = [
            (one, by_reference.kinds_by_reference(*given))
            for one, *given in first
            if isinstance(one, numba_linking.Function)
        ]
        function.make_beside(by_reference.kinds_by_reference(*arguments), calls)


def why_not_cached(function: Callable[..., Any]) -> str:
    """Why the machine code of a compiled function is not kept on disk; an empty string where it is."""
    if cache_folder() is None:
        return "no folder can be written"
    try:
        digest.digest(function)
    except digest.Unreadable as reason:
        return str(reason)
    return ""


def compile_report() -> dict[str, int]:
    """How many functions were compiled in this process (``compiled``) and how many came from disk (``from_disk``)."""
    counts = [numba_internals.counts(dispatcher) for dispatcher in _dispatchers]
    return {"compiled": sum(compiled for compiled, _ in counts), "from_disk": sum(found for _, found in counts)}
