from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rlplay.errors import SpaceError
from rlplay.spaces.finite import FiniteSpace, from_json, to_json
from rlplay.spaces.observations import VectorView, batch_of

FINITE = [
    spaces.Discrete(5),
    spaces.Discrete(5, start=-2),
    spaces.MultiDiscrete([2, 3, 4]),
    spaces.MultiDiscrete([[2, 3], [4, 1]]),
    spaces.MultiBinary(3),
    spaces.MultiBinary((2, 2)),
    spaces.Tuple((spaces.Discrete(3), spaces.Discrete(4))),
    spaces.Tuple((spaces.Discrete(3, start=1), spaces.MultiBinary(2))),
    spaces.Dict({"a": spaces.Discrete(2), "b": spaces.Tuple((spaces.Discrete(3), spaces.Discrete(2)))}),
]


@pytest.mark.parametrize("space", FINITE, ids=str)
def test_numbering_is_one_to_one(space):
    numbered = FiniteSpace(space)
    values = [numbered.value(i) for i in range(numbered.n)]
    assert all(space.contains(v) for v in values)
    assert [numbered.index(v) for v in values] == list(range(numbered.n))
    assert 0 <= numbered.index(space.sample()) < numbered.n


def test_numbers_are_of_any_size():
    """More axes and values than NumPy's numbering of cells has."""
    for space in (spaces.MultiBinary(70), spaces.MultiDiscrete([1000] * 8), spaces.MultiDiscrete([120] * 3, np.int8)):
        numbered, value = FiniteSpace(space), space.sample()
        assert np.array_equal(numbered.value(numbered.index(value)), value)


@pytest.mark.parametrize(
    ("space", "obs", "vector"),
    [
        (spaces.MultiBinary(4), [1, 0, 1, 1], [1, 0, 1, 1]),
        (spaces.MultiBinary((2, 2)), [[1, 0], [1, 1]], [1, 0, 1, 1]),
        (spaces.MultiDiscrete([2, 3], start=[5, -1]), [6, -1], [0, 1, 1, 0, 0]),
        (spaces.MultiDiscrete([[2, 1], [1, 2]]), [[1, 0], [0, 1]], [0, 1, 1, 1, 0, 1]),
        (spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))), (1, 1), [0, 0, 0, 0, 1, 0]),
        (spaces.Tuple((spaces.Discrete(2), spaces.MultiBinary(2))), (1, [0, 1]), [0, 1, 0, 1]),
    ],
    ids=str,
)
def test_vectors_of_finite_observations_by_hand(space, obs, vector):
    """Part by part, as in Stable-Baselines3; one number of a small Tuple of Discrete."""
    view = VectorView(space, "PPO")
    given = np.array(obs, space.dtype) if isinstance(obs, list) else tuple(map(_as_array, obs))
    assert space.contains(given)
    assert view.vector(given).tolist() == vector
    if isinstance(obs, list):
        assert view.vectors(given[None]).tolist() == [vector]
        assert np.array_equal(view.observations(np.float32([vector])), given[None])
        with pytest.raises(SpaceError, match="is not in"):
            view.vector(given + 9)


def _as_array(part):
    return np.array(part, np.int8) if isinstance(part, list) else part


def test_many_parts_are_as_many_numbers_and_no_product():
    assert VectorView(spaces.MultiBinary(64), "PPO").size == 64
    assert VectorView(spaces.MultiDiscrete([100] * 3), "PPO").size == 300
    with pytest.raises(SpaceError, match="more than 10,000,000"):
        VectorView(spaces.MultiDiscrete([10**9, 2]), "PPO")


def test_blackjack_is_numbered_as_documented():
    numbered = FiniteSpace(gym.make("Blackjack-v1").observation_space)
    assert numbered.index((13, 2, 1)) == np.ravel_multi_index((13, 2, 1), (32, 11, 2))


@pytest.mark.parametrize("bad", [5, -1, 1.5, None, "1", np.array([1])])
def test_values_outside_are_refused(bad):
    with pytest.raises(SpaceError, match="not in Discrete"):
        FiniteSpace(spaces.Discrete(5)).index(bad)


@pytest.mark.parametrize(
    "space",
    [
        *FINITE,
        spaces.Box(-1, 1, (3,), np.float32),
        spaces.Box(np.array([-np.inf, 0]), np.array([np.inf, 5]), dtype=np.float64),
        spaces.Box(0, 255, (4, 4, 3), np.uint8),
        spaces.Dict({"x": spaces.Box(-1, 1, (2,)), "y": spaces.Discrete(3)}),
    ],
    ids=str,
)
def test_json_keeps_the_space(space):
    import json

    assert from_json(json.loads(json.dumps(to_json(space), allow_nan=False))) == space


def test_batches_are_told_from_single_observations():
    box = spaces.Box(-1, 1, (2,))
    assert batch_of(box, [0.0, 0.0], "x")[1]
    assert not batch_of(box, [[0.0, 0.0]], "x")[1]
    assert batch_of(spaces.Discrete(3), np.int64(1), "x") == ([1], True)
    assert batch_of(spaces.Discrete(3), np.array([0, 1]), "x") == ([0, 1], False)
    pair = spaces.Tuple((spaces.Discrete(3), spaces.Discrete(2)))
    assert batch_of(pair, (2, 1), "x") == ([(2, 1)], True)
    assert batch_of(pair, (np.array([2, 0]), np.array([1, 0])), "x") == ([(2, 1), (0, 0)], False)
    for bad in ([0.0], [np.nan, 0.0], "ab", [[0.0], [0.0, 1.0]]):
        with pytest.raises(SpaceError):
            batch_of(box, bad, "x")


def test_float32_that_loses_a_difference_is_said_once():
    """1.7e9 and 1.7e9 + 1 are one number in float32."""
    view = VectorView(gym.spaces.Box(-np.inf, np.inf, (2,), np.float64), "PPO")
    with pytest.warns(
        UserWarning, match=r"PPO sees float32, which tells numbers near 1\.7e\+09 apart only in steps of 128"
    ):
        view.vector(np.array([1.7e9 + 1, 0.5]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        view.vector(np.array([1.7e9 + 1, 0.5]))
        VectorView(view.space, "PPO").vectors(np.array([[0.1, -1e5], [2.0**24, 3.0]]))
