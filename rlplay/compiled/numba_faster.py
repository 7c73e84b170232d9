"""numba with less work: what it finds out again and again while it compiles is kept. The machine code is the same.

    calls        numba tries every version of a built-in function for each call of it, and writes a message for each
                 that does not fit; here the answer is kept, by the types of the arguments and the options
    collections  Python looks for cycles in all that numba holds, each time that it has grown by a quarter

For a first PPO, Python calls a quarter fewer functions (29 to 22 million), and collections were a tenth of the time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import types
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
