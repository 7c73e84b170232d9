"""The decorator ``@compiled``: numba's ``njit`` with a disk cache that is never stale.

numba stamps a cached function with its own file only, so an edited helper would stay stale in its callers, and it
never finds a closure over other compiled functions again. Here the stamp covers every source file of the package that
the function belongs to and of rlplay, and a closure is known by the names and stamps of the functions it captures.
So loops are specialised to a learning rule and an environment (everything inlined), and still compile once a machine.

The cache is the folder ``RLPLAY_CACHE_DIR``, else ``NUMBA_CACHE_DIR``, else the user's cache folder. Where none can
be written everything compiles anew in each process, and `compile_report` says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching
from numba.core.dispatcher import Dispatcher

F = TypeVar("F", bound=Callable[..., Any])


@cache
def cache_folder() -> Path | None:
    """The folder for machine code, or None where no folder can be written."""
    named = os.environ.get("RLPLAY_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    candidates = [Path(named)] if named else []
    if not named:
        base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
        with contextlib.suppress(RuntimeError):  # no home folder
            candidates.append((Path(base) if base else Path.home() / ".cache") / "rlplay")
        candidates.append(Path(__file__).parent / "__pycache__")
    for folder in candidates:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    return None


@cache
def _package_stamp(folder: str) -> str:
    """Digest of name, size and time of every source file below a package's folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*.py")):
        stat = path.stat()
        digest.update(f"{path}{stat.st_size}{stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def source_stamp(function: Callable[..., Any]) -> str:
    """Digest of the sources that a function can depend on: its own top-level package or file, and rlplay."""
    file = Path(function.__code__.co_filename)
    ours = Path(__file__).parents[1]
    root, module = file, function.__module__.split(".")
    if len(module) > 1 and module[0] in file.parts:
        root = Path(*file.parts[: file.parts.index(module[0]) + 1])
    own = _package_stamp(str(root)) if root.is_dir() else hashlib.sha256(_read(file)).hexdigest()
    return own if root == ours else own + _package_stamp(str(ours))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


class _Locator(caching._CacheLocator):  # type: ignore[misc]
    """Tells numba the folder and the stamp of a function's machine code."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._function = function

    def get_cache_path(self) -> str:
        return str(cache_folder())

    def get_source_stamp(self) -> str:
        return source_stamp(self._function)

    def get_disambiguator(self) -> str:
        code = self._function.__code__
        place = f"{code.co_filename}:{code.co_firstlineno}"
        return hashlib.sha256(place.encode()).hexdigest()[:12]

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> _Locator | None:
        # A function typed at a prompt or in a notebook has no file whose stamp could tell that it changed.
        return cls(function, file) if cache_folder() and os.path.exists(file) else None


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _DiskCache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _CacheImpl

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        captured = [cell.cell_contents for cell in self._py_func.__closure__ or ()]
        return sig, codegen.magic_tuple(), tuple(_identity(value) for value in captured)


def _identity(value: Any) -> str:
    if isinstance(value, Dispatcher):
        value = cast(Any, value)
        return f"{value.__module__}.{value.__qualname__}@{source_stamp(value.py_func)}"
    return repr(value)


_dispatchers: list[Any] = []


def compiled(function: F) -> F:
    """Compile a function of arrays and scalars when it is first called; keep the machine code on disk.

    The uncompiled function stays readable and callable as ``function.py_func``.
    """
    dispatcher = numba.njit(function)
    with contextlib.suppress(RuntimeError):  # no file, or no folder that can be written: compiles in each process
        dispatcher._cache = _DiskCache(function)
    _dispatchers.append(dispatcher)
    return cast(F, dispatcher)


def compile_report() -> dict[str, int]:
    """How many functions were compiled in this process (``compiled``) and how many came from disk (``from_disk``)."""
    stats = [d.stats for d in _dispatchers]
    uncached = sum(len(d.overloads) for d in _dispatchers if not isinstance(d._cache, _DiskCache))
    return {
        "compiled": sum(sum(s.cache_misses.values()) for s in stats) + uncached,
        "from_disk": sum(sum(s.cache_hits.values()) for s in stats),
    }
