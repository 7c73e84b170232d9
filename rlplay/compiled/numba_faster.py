"""numba with less work: what it finds out again and again while it compiles is kept. The machine code is the same.

    calls        numba tries every version of a built-in function for each call of it, and writes a message for each
                 that does not fit; here the answer is kept, by the types of the arguments and the options
    collections  Python looks for cycles in all that numba holds, each time that it has grown by a quarter
    SciPy        numba loads its linear algebra at each start, for functions that multiply matrices by BLAS

For a first PPO, Python calls a quarter fewer functions (29 to 22 million), and collections were a tenth of the time.
SciPy's linear algebra was a seventh of a second of each start; numba loads it by itself where such a function runs.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from numba.core import types
from numba.core.cpu import CPUContext
from numba.core.targetconfig import ConfigStack
from numba.core.types.functions import BaseFunction

_functions: Any = BaseFunction
_find_call_type = _functions.get_call_type


def _options() -> tuple[Any, ...] | None:
    """The options of the function that is being compiled, to be hashed; None where there is none."""
    config = ConfigStack.top_or_none()
    if config is None:
        return None
    values = config._values.items()
    return tuple((name, tuple(sorted(one.flags)) if name == "fastmath" else one) for name, one in values)


def _call_type(function: Any, context: Any, arguments: Any, keywords: Any) -> Any:
    """The signature of a call of a built-in function."""
    if keywords or type(function) is not types.Function:
        return _find_call_type(function, context, arguments, keywords)
    known = vars(function).setdefault("_known_calls", {})
    key = id(context), tuple(arguments), _options()
    try:
        found = known.get(key)
    except TypeError:  # an option that cannot be hashed
        return _find_call_type(function, context, arguments, keywords)
    if found is None:
        found = known[key] = _find_call_type(function, context, arguments, keywords)
    return found


_functions.get_call_type = _call_type
_context: Any = CPUContext
_load_registries = _context.load_additional_registries


def _without_scipy(context: Any) -> None:
    """What numba loads before it compiles or loads a first function."""
    from numba.np import linalg

    def ensure_blas() -> None:
        """SciPy is there, and its numbers of rows are as wide as numba's."""
        if find_spec("scipy") is None:
            raise ImportError("matrix products need SciPy")
        getattr(linalg, "_check_lapack_int_width", lambda: None)()

    linalg.ensure_blas = ensure_blas
    _load_registries(context)


_context.load_additional_registries = _without_scipy


@contextmanager
def without_collections() -> Iterator[None]:
    """While this lasts, Python does not look for cycles of objects."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
