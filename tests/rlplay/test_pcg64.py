"""The compiled generator is NumPy's, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlplay import seeding
from rlplay.compiled import pcg64


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_reseed_is_numpys_seeding(seed):
    rng, numpys = np.zeros(4, np.uint64), np.random.Generator(np.random.PCG64(seed))
    pcg64.reseed(rng, seed)
    assert rng.tolist() == pcg64.from_generator(numpys).tolist()
    assert [pcg64.random(rng) for _ in range(20)] == numpys.random(20).tolist()


def test_bits_and_seeds():
    numpys = np.random.Generator(np.random.PCG64(3))
    rng = pcg64.from_generator(numpys)
    bits = [int(pcg64.random_bits(rng)) for _ in range(5)]
    assert bits == numpys.bit_generator.random_raw(5).tolist()
    seeds = [pcg64.random_seed(rng) for _ in range(1000)]
    assert min(seeds) >= 0
    assert max(seeds) < 2**31


def test_streams_are_numpys_children_and_differ_by_purpose():
    stream = seeding.stream(5, "exploration")
    assert [pcg64.random(stream) for _ in range(3)] == seeding.generator(5, "exploration").random(3).tolist()
    assert seeding.stream(5, "environment").tolist() != seeding.stream(5, "exploration").tolist()
    assert seeding.stream(6, "environment").tolist() != seeding.stream(5, "environment").tolist()


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True])
def test_bad_seeds(seed):
    with pytest.raises(ValueError, match="seed="):
        seeding.check_seed(seed)
