"""NumPy's own random generator for compiled code: PCG64 seeded by SeedSequence, bit for bit.

Compiled environments draw the very numbers that Gymnasium's draw from the same seed, so a run in native code replays
exactly in Gymnasium's own environment, and the other way round.

A generator is an array of four uint64: the 128-bit state and the 128-bit increment, high word first.

References: M. O'Neill, "PCG: a family of simple fast space-efficient statistically good algorithms for random number
generation", 2014 (XSL-RR 128/64); M. E. O'Neill, "Developing a seed_seq alternative", 2015 (the hash of the seed).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types, uint32, uint64
from numba.extending import intrinsic
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place

# The multiplier of the 128-bit linear congruential generator, high and low word.
_MULTIPLIER_HIGH = np.uint64(2549297995355413924)
_MULTIPLIER_LOW = np.uint64(4865540595714422341)
_TWO_TO_MINUS_53 = 1.0 / 9007199254740992.0


@intrinsic  # type: ignore[untyped-decorator]
def _multiply_high(typing_context: Any, a: Any, b: Any) -> Any:
    """The upper 64 bits of the 128-bit product of two uint64: one machine instruction that numba has no name for."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        product = builder.mul(builder.zext(arguments[0], wide), builder.zext(arguments[1], wide))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@in_place
def _advance(rng: NDArray[np.uint64]) -> None:
    """state <- state * multiplier + increment, modulo 2^128."""
    high, low = rng[0], rng[1]
    product_low = low * _MULTIPLIER_LOW
    product_high = high * _MULTIPLIER_LOW + low * _MULTIPLIER_HIGH + _multiply_high(low, _MULTIPLIER_LOW)
    rng[1] = product_low + rng[3]
    carry = uint64(1) if rng[1] < product_low else uint64(0)
    rng[0] = product_high + rng[2] + carry


@in_place
def random_bits(rng: NDArray[np.uint64]) -> np.uint64:
    """The next 64 random bits.

    Example:
        >>> rng = from_generator(np.random.default_rng(0))
        >>> int(random_bits(rng)) == int(np.random.PCG64(0).random_raw())
        True
    """
    _advance(rng)
    bits, turn = rng[0] ^ rng[1], rng[0] >> uint64(58)
    return (bits >> turn) | (bits << ((uint64(64) - turn) & uint64(63)))


@in_place
def random(rng: NDArray[np.uint64]) -> float:
    """A float in [0, 1), as ``numpy.random.Generator.random()`` draws it.

    Example:
        >>> rng = from_generator(np.random.default_rng(0))
        >>> random(rng) == np.random.default_rng(0).random()
        True
    """
    return (random_bits(rng) >> uint64(11)) * _TWO_TO_MINUS_53


@in_place
def normal(rng: NDArray[np.uint64]) -> float:
    """A standard normal number from two uniform ones (Box & Muller 1958); NumPy draws its own otherwise.

    Example:
        >>> rng = from_generator(np.random.default_rng(0))
        >>> draws = np.array([normal(rng) for _ in range(1000)])
        >>> bool(abs(draws.mean()) < 0.1), bool(abs(draws.std() - 1.0) < 0.1)
        (True, True)
    """
    radius = math.sqrt(-2.0 * math.log(1.0 - random(rng)))
    return radius * math.cos(2.0 * math.pi * random(rng))


@in_place
def random_seed(rng: NDArray[np.uint64]) -> int:
    """A seed in [0, 2^31), the range that every environment's reset takes.

    Example:
        >>> rng = from_generator(np.random.default_rng(0))
        >>> 0 <= random_seed(rng) < 2**31
        True
    """
    return int(random_bits(rng) >> uint64(33))


@in_place
def _hash(value: np.uint32, constant: np.uint32, multiplier: np.uint32) -> tuple[np.uint32, np.uint32]:
    value = uint32(value ^ constant)
    constant = uint32(constant * multiplier)
    value = uint32(value * constant)
    return uint32(value ^ (value >> uint32(16))), constant


@in_place
def reseed(rng: NDArray[np.uint64], seed: int) -> None:
    """Put a generator into the state of ``numpy.random.PCG64(seed)``, for a seed in [0, 2^32)."""
    multiplier = uint32(0x931E8875)
    constant = uint32(0x43B0D7E5)
    p0, constant = _hash(uint32(seed), constant, multiplier)
    p1, constant = _hash(uint32(0), constant, multiplier)
    p2, constant = _hash(uint32(0), constant, multiplier)
    p3, constant = _hash(uint32(0), constant, multiplier)
    pool = (p0, p1, p2, p3)
    for source in range(4):
        for target in range(4):
            if source != target:
                hashed, constant = _hash(pool[source], constant, multiplier)
                mixed = uint32(uint32(0xCA01F9DD) * pool[target]) - uint32(uint32(0x4973F715) * hashed)
                pool = _replace(pool, target, uint32(uint32(mixed) ^ (uint32(mixed) >> uint32(16))))
    multiplier = uint32(0x58F38DED)
    constant = uint32(0x8B51F9DD)
    for word in range(4):
        low, constant = _hash(pool[(2 * word) % 4], constant, multiplier)
        high, constant = _hash(pool[(2 * word + 1) % 4], constant, multiplier)
        rng[word] = (uint64(high) << uint64(32)) | uint64(low)
    _start(rng)


@in_place
def _replace(
    pool: tuple[np.uint32, np.uint32, np.uint32, np.uint32], index: int, value: np.uint32
) -> tuple[np.uint32, np.uint32, np.uint32, np.uint32]:
    return (
        value if index == 0 else pool[0],
        value if index == 1 else pool[1],
        value if index == 2 else pool[2],
        value if index == 3 else pool[3],
    )


@in_place
def _start(rng: NDArray[np.uint64]) -> None:
    """From 256 seed bits to a generator: increment = 2 * sequence + 1, state = one step from increment + seed."""
    seed_high, seed_low = rng[0], rng[1]
    rng[2], rng[3] = (rng[2] << uint64(1)) | (rng[3] >> uint64(63)), (rng[3] << uint64(1)) | uint64(1)
    rng[1] = rng[3] + seed_low
    carry = uint64(1) if rng[1] < seed_low else uint64(0)
    rng[0] = rng[2] + seed_high + carry
    _advance(rng)


def from_generator(generator: np.random.Generator) -> NDArray[np.uint64]:
    """The state of a NumPy generator (over PCG64) as an array for compiled code, shape [4], uint64."""
    state = generator.bit_generator.state["state"]
    low = (1 << 64) - 1
    words = (state["state"] >> 64, state["state"] & low, state["inc"] >> 64, state["inc"] & low)
    return np.array(words, dtype=np.uint64)


def to_generator(rng: NDArray[np.uint64]) -> np.random.Generator:
    """A NumPy generator in the state of an array, shape [4], uint64."""
    words, bits = [int(word) for word in rng], np.random.PCG64(0)
    state: Any = {"state": words[0] << 64 | words[1], "inc": words[2] << 64 | words[3]}
    bits.state = {"bit_generator": "PCG64", "state": state, "has_uint32": 0, "uinteger": 0}
    return np.random.Generator(bits)
