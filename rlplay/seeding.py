"""One seed a run, one stream of random numbers a purpose.

Each stream is a child of the run's SeedSequence, known by its name, so that what one purpose draws never shifts
another: watching, evaluating or probing cannot change training. Nothing draws from a global generator.
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.pcg64 import from_generator
from rlplay.errors import HyperparameterError


def check_seed(seed: int | None) -> int:
    """The seed itself, or a fresh one for None: a whole number in [0, 2^32).

    Raises:
        HyperparameterError: anything else.
    """
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(seed, int | np.integer) and not isinstance(seed, bool) and 0 <= seed < 2**32:
        return int(seed)
    raise HyperparameterError(f"seed={seed!r} is not a whole number in [0, 2^32)", "Give one, or None for a fresh seed")


def generator(seed: int, purpose: str) -> np.random.Generator:
    """NumPy's generator of a purpose, for example ``generator(0, "weights")``.

    Example:
        >>> float(generator(0, "weights").random()) == float(generator(0, "weights").random())
        True
        >>> float(generator(0, "weights").random()) == float(generator(0, "exploration").random())
        False
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(zlib.crc32(purpose.encode()),)))


def stream(seed: int, purpose: str) -> NDArray[np.uint64]:
    """The same generator for compiled code: shape [4], uint64 (see `rlplay.compiled.pcg64`).

    Example:
        >>> from rlplay.extend import random
        >>> rng = stream(0, "exploration")
        >>> random(rng) == generator(0, "exploration").random()
        True
    """
    return from_generator(generator(seed, purpose))
