"""What the processor can do at most: its peak in products of float32 matrices, measured, and what PPO asks of it.

An operation is a multiplication or an addition. Products of matrices are counted, activations and Adam are not. A layer
of n inputs and m outputs costs, a row:

    forward    2 n m
    backward   2 n m (its weights) + 2 n m (its inputs, which the first layer does without)

A processor can have AVX-512 and still do no more than with AVX2, where it takes two cycles for a register of 64 bytes:
so the peak is measured, in the process that asks.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


def forward_operations(sizes: Sequence[int]) -> int:
    """Of one row through layers of these sizes: ``[4, 64, 64, 2]`` are three."""
    return 2 * sum(n * m for n, m in pairwise(sizes))


def backward_operations(sizes: Sequence[int]) -> int:
    """Of one row back through them."""
    return 2 * forward_operations(sizes) - 2 * sizes[0] * sizes[1]


def ppo_operations(policy: Sequence[int], value: Sequence[int], n_epochs: int) -> int:
    """Of one step of an environment: an action, a value, and all epochs over both networks."""
    learning = sum(forward_operations(sizes) + backward_operations(sizes) for sizes in (policy, value))
    return forward_operations(policy) + forward_operations(value) + n_epochs * learning


def best_seconds(call: Callable[[], object], rounds: int = 30) -> float:
    """The shortest CPU time of a call: on a shared machine the one that was least disturbed."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found)


def blas_gigaflops(n: int = 768) -> float:
    """BLAS's peak: a product of two square matrices of float32, on one thread."""
    a = np.random.default_rng(0).random((n, n), np.float32)
    return 2 * n**3 / best_seconds(lambda: a @ a) / 1e9


def own_gigaflops(n: int = 120, k: int = 128, m: int = 64) -> float:
    """The peak of our own product on matrices that lie in the first caches: C [n, m] = A [n, k] B [k, m]."""
    from rlplay.compiled.cache import in_place
    from rlplay.networks.matmul import ROOM, product

    @in_place
    def many(a: Any, b: Any, c: Any, room: Any, times: int) -> None:
        for _ in range(times):
            product(a, 0, k, 1, b, 0, m, 1, c, 0, m, c, -1, 0, n, m, k, room)

    rng = np.random.default_rng(0)
    a, b, c = (rng.random(size, np.float32) for size in (n * k, k * m, n * m))
    room = np.zeros(ROOM, np.float32)
    many(a, b, c, room, 1)
    return 200 * 2 * n * k * m / best_seconds(lambda: many(a, b, c, room, 200)) / 1e9


def processor() -> str:
    """The processor's name, and the widest vectors it has."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in info.splitlines())}
    vectors = "AVX-512" if "avx512f" in info else "AVX2" if "avx2" in info else platform.machine()
    family = f" (family {found['cpu family']}, model {found['model']})" if "cpu family" in found else ""
    return f"{found.get('model name', platform.processor())}{family}, {vectors}"
