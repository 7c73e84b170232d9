"""The decorator ``@compiled``: numba's ``njit`` with a disk cache that is never stale.

numba stamps a cached function with its own file only, so an edited helper would stay stale in its callers, and it
never finds a closure over other compiled functions again. Here the stamp covers every source file of the package that
the function belongs to (of its folder, for a single file) and of rlplay, and a closure is known by the names and
stamps of the functions it captures. So loops are specialised to a learning rule and an environment (everything
inlined), and still compile once a machine.

The cache is the folder ``RLPLAY_CACHE_DIR``, else ``NUMBA_CACHE_DIR``, else the user's cache folder. Where none can
be written, everything compiles anew in each process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import caching
from numba.core.dispatcher import Dispatcher
from numba.core.types import unliteral  # type: ignore[attr-defined]

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
def _sources_stamp(folder: str, pattern: str) -> str:
    """Digest of path, size and time of the source files of a folder."""
    digest = hashlib.sha256()
    for path in sorted(Path(folder).glob(pattern)):
        stat = path.stat()
        digest.update(f"{path}{stat.st_size}{stat.st_mtime_ns}".encode())
    return digest.hexdigest()


def source_stamp(function: Callable[..., Any]) -> str:
    """Digest of the sources that a function can depend on: rlplay, and its own package or the files beside it."""
    file, top = Path(function.__code__.co_filename), function.__module__.split(".")[0]
    ours = _sources_stamp(str(Path(__file__).parents[1]), "**/*.py")
    if "." in function.__module__ and top in file.parts:
        package = Path(*file.parts[: file.parts.index(top) + 1])
        return ours if package == Path(__file__).parents[1] else ours + _sources_stamp(str(package), "**/*.py")
    return ours + _sources_stamp(str(file.parent), "*.py")


def _can_be_cached(function: Callable[..., Any]) -> bool:
    """Whether a change of the function, or of one that it captures, would be seen.

    A function typed at a prompt or in a notebook has no file whose stamp could tell.
    """
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    return (
        cache_folder() is not None
        and os.path.exists(function.__code__.co_filename)
        and all(_can_be_cached(value.py_func) for value in captured if isinstance(value, Dispatcher))
    )


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
        return cls(function, file) if _can_be_cached(function) else None


class _CacheImpl(caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class _Files(caching.IndexDataCacheFile):  # type: ignore[misc]
    """One file an entry, named by what it is for.

    numba's own files are numbered in an index that all entries of a function share; two processes that compile at the
    same time can take the same number, and code of one entry is then found under another's.
    """

    def _path(self, key: Any) -> Path:
        stamp, entry = (hashlib.sha256(repr(part).encode()).hexdigest()[:16] for part in (self._source_stamp, key))
        return Path(self._cache_path) / self._data_name_pattern.replace("{number:d}", f"{stamp}.{entry}")

    def save(self, key: Any, data: Any) -> None:
        """Write an entry, and remove those of older sources."""
        path = self._path(key)
        self._save_data(path.name, (key, data))
        own = path.name.rsplit(".", 2)[0]
        for other in self._all():
            if not other.name.startswith(own):
                other.unlink(missing_ok=True)

    def load(self, key: Any) -> Any:
        """Read an entry; None where there is none."""
        try:
            found, data = self._load_data(self._path(key).name)
        except OSError:
            return None
        return data if found == key else None

    def flush(self) -> None:
        """Remove all entries of the function."""
        for path in self._all():
            path.unlink(missing_ok=True)

    def _all(self) -> list[Path]:
        return list(Path(self._cache_path).glob(escape(self._data_name_pattern.split("{")[0]) + "*.nbc"))


class _DiskCache(caching.FunctionCache):  # type: ignore[misc]
    _impl_class = _CacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """From disk; what names types that exist no more (an older version's) is removed."""
        try:
            return super().load_overload(sig, target_context)
        except (AttributeError, ImportError, EOFError, pickle.UnpicklingError):
            self.flush()
            return None

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple(), _captured(self._py_func)


def _values(function: Callable[..., Any]) -> list[Any]:
    """What a function captures: the values of its closure, and compiled functions that it names.

    Names matter too: a script may bind one to another function and define the same lines again.
    """
    named = (function.__globals__.get(name) for name in function.__code__.co_names)
    return [
        *(cell.cell_contents for cell in function.__closure__ or ()),
        *(value for value in named if isinstance(value, Dispatcher)),
    ]


def _captured(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(_identity(value) for value in _values(function))


def _identity(value: Any) -> str:
    """What tells a captured value from others: for a function its name, its sources, and what it captures itself."""
    if not isinstance(value, Dispatcher):
        return repr(value)
    value = cast(Any, value)
    place = f"{value.__module__}.{value.__qualname__}@{source_stamp(value.py_func)}"
    if value.py_func.__closure__ is None:  # defined once, at the top of its file, which the stamp covers
        return place
    return f"{place}({', '.join(_captured(value.py_func))})"


_dispatchers: list[Any] = []


def compiled(function: F) -> F:
    """Compile a function of arrays and scalars when it is first called; keep the machine code on disk.

    The uncompiled function stays readable and callable as ``function.py_func``.
    """
    return _compiled(function)


def in_place(function: F) -> F:
    """`compiled`, for a function that allocates nothing: it reads and writes the arrays that it is given.

    Then no references need to be counted, which makes learning rules 1.3 to 2 times as fast: every array that is
    unpacked from a memory otherwise costs two atomic operations a step. A function that does allocate is refused by
    numba ("NRT required but not enabled"): take `compiled` for it. What such a function calls must be in place too:
    numba compiles a callee that it meets first there in the same way.
    """
    return _compiled(function, _nrt=False)


def reordered(function: F) -> F:
    """`in_place`, for sums of floats that may be taken in any order: only then do they become vector instructions."""
    return _compiled(function, _nrt=False, fastmath={"reassoc", "nsz", "contract"})


def written_out(function: F) -> F:
    """`in_place`, for a thin function: its lines stand in for each call of it, and are compiled there only."""
    return _compiled(function, _nrt=False, inline="always")


def as_these(*functions: Callable[..., Any]) -> Callable[[F], F]:
    """The decorator for a function that calls these and allocates nothing itself: `in_place` where all of them are."""
    places = all(getattr(function, "targetoptions", {}).get("_nrt") is False for function in functions)
    return in_place if places else compiled


def _compiled(function: F, **options: Any) -> F:
    _name_for_captured(function)
    # numpy's error model: a check of each division would prevent vector instructions
    try:
        dispatcher = numba.njit(error_model="numpy", **options)(function)
    except KeyError:  # the option is numba's own business; without it the code is slower, not wrong
        options.pop("_nrt")
        dispatcher = numba.njit(error_model="numpy", **options)(function)
    with contextlib.suppress(RuntimeError):  # no file, or no folder that can be written: compiles in each process
        dispatcher._cache = _DiskCache(function)
    _for_any_constant(dispatcher)
    _dispatchers.append(dispatcher)
    return cast(F, dispatcher)


def _name_for_captured(function: Callable[..., Any]) -> None:
    """Give a closure a name of its own.

    numba names machine code by the function's name and a number that counts from 0 in each process. Code of two
    closures of one factory, compiled in two processes, could otherwise bear the same name, and a third process that
    loads both would run one for the other.
    """
    if function.__closure__:
        captured = [
            value.py_func.__module__ + value.py_func.__qualname__ if isinstance(value, Dispatcher) else repr(value)
            for value in (cell.cell_contents for cell in function.__closure__)
        ]
        function.__qualname__ += "." + hashlib.sha256(repr(captured).encode()).hexdigest()[:8]


def _for_any_constant(dispatcher: Any) -> None:
    """Have one compilation serve all callers: numba would compile anew for each constant that one of them writes."""
    typed = dispatcher.get_call_template

    def get_call_template(args: Any, kws: Any) -> Any:
        return typed(tuple(unliteral(one) for one in args), {name: unliteral(one) for name, one in kws.items()})

    dispatcher.get_call_template = get_call_template


def compile_report() -> dict[str, int]:
    """How many functions were compiled in this process (``compiled``) and how many came from disk (``from_disk``)."""
    stats = [d.stats for d in _dispatchers]
    uncached = sum(len(d.overloads) for d in _dispatchers if not isinstance(d._cache, _DiskCache))
    return {
        "compiled": sum(sum(s.cache_misses.values()) for s in stats) + uncached,
        "from_disk": sum(sum(s.cache_hits.values()) for s in stats),
    }
