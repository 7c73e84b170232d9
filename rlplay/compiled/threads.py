"""Compiled functions during which other threads of Python run, so that several calls of them run on several cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rlplay.compiled import cache

F = TypeVar("F", bound=Callable[..., object])


def without_gil(function: F) -> F:
    """`rlplay.compiled.cache.compiled`, for long calls from several threads; they may not share what they write.

    Example:
        >>> import numpy as np
        >>> @without_gil
        ... def count(n, out):
        ...     for _ in range(n):
        ...         out[0] += 1
        >>> out = np.zeros(1)
        >>> count(1000, out)
        >>> out.tolist()
        [1000.0]
    """
    return cache._compiled(function, nogil=True)
