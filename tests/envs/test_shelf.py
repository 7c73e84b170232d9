"""The shelf of table worlds: Gymnasium's contract, tables that tell what they do, pictures, and their own numbers."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from envs import SHELF
from envs.racetrack import drive, read_track
from rlplay import make
from rlplay.compiled.table import agreement, table_of
from rlplay.errors import RlplayError, SpaceError, UsageError

VARIANTS = [
    *((env_id, {}) for env_id in SHELF),
    ("rlplay/RandomWalk-v0", {"n_states": 1000, "reach": 100}),
    ("rlplay/Bandit-v0", {"problems": 3, "drift": 0.01}),
    ("rlplay/ChainWalk-v0", {"n_states": 50}),
    ("rlplay/Corridor-v0", {"aliased": True}),
    ("rlplay/Racetrack-v0", {"track": "wide-turn"}),
]


def name_of(variant: tuple) -> str:
    return "-".join([variant[0], *(f"{k}={v}" for k, v in variant[1].items())])


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_gymnasiums_checker(variant):
    env_id, kwargs = variant
    masked = env_id in ("rlplay/Gambler-v0", "rlplay/CarRental-v0", "rlplay/MaximizationBias-v0")
    env = gym.make(env_id, render_mode="rgb_array", **kwargs).unwrapped
    if not masked:  # the checker knows no masks and takes any action
        check_env(env, skip_render_check=True)
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3  # something is drawn
    env.close()
    assert isinstance(gym.make(env_id, render_mode="ansi", **kwargs).unwrapped.text(), str)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_what_it_does_is_what_its_table_says(variant):
    """To the bit: the same seed gives the same episode through the table; and the id runs natively by itself."""
    env_id, kwargs = variant
    env = make(env_id, dynamics="gymnasium", **kwargs)
    if getattr(env.unwrapped, "transition_table", None) is None or kwargs.get("aliased"):
        with pytest.raises(SpaceError):
            table_of(env)
        return
    assert agreement(env, table_of(env), steps=2000) == "exact"
    assert table_of(env).start.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_the_class_says_what_it_is(variant):
    doc = type(gym.make(variant[0]).unwrapped).__doc__
    for heading in ("Description", "Action Space", "Observation Space", "Rewards", "Starting State", "Episode End",
                    "Arguments", "References", "Version History"):  # fmt: skip
        assert f"## {heading}" in doc, f"{variant[0]} has no {heading}"


def test_gymnasiums_way_to_write_the_table():
    env = gym.make("rlplay/ChainWalk-v0").unwrapped
    assert env.P[0][1] == [(pytest.approx(0.1), 0, 0.0, False), (0.9, 1, 0.0, False)]
    assert env.P[1][1] == [(pytest.approx(0.1), 0, 1.0, False), (0.9, 2, 1.0, False)]


def test_masked_actions_are_told_and_refused():
    env = gym.make("rlplay/Gambler-v0").unwrapped
    obs, info = env.reset(seed=0)
    assert info["action_mask"].sum() == min(obs, 100 - obs)
    with pytest.raises(SpaceError, match="may not be taken in state"):
        env.step(0)


def test_the_straight_way_of_a_car():
    """Around the corner of the track the car leaves it; straight up it stays; over the line it finishes."""
    kinds = read_track("right-turn")
    assert drive(kinds, 31, 3, 4, 0) == (1, 27, 3)
    assert drive(kinds, 31, 8, 0, 1)[0] == 0
    assert drive(kinds, 3, 14, 0, 4) == (3, 3, 16)


def test_a_bandit_pays_around_its_means():
    env = make("rlplay/Bandit-v0", means=[[0.0, 3.0]], noise=0.5)
    env.reset(seed=0)
    rewards = [env.step(1)[1] for _ in range(900)]
    assert np.mean(rewards) == pytest.approx(3.0, abs=0.07)
    assert np.std(rewards) == pytest.approx(0.5, abs=0.06)


def test_a_drifting_bandit_drifts_and_resets():
    env = make("rlplay/Bandit-v0", drift=0.5)
    env.reset(seed=0)
    first = env.unwrapped.means.copy()
    for _ in range(20):
        env.step(0)
    assert np.abs(env.unwrapped.means - first).max() > 0.5
    env.reset(seed=0)
    assert (env.unwrapped.means == first).all()


@pytest.mark.parametrize(
    ("env_id", "kwargs", "words"),
    [
        ("rlplay/RandomWalk-v0", {"n_states": 5, "reach": 6}, "reach"),
        ("rlplay/Gambler-v0", {"p_heads": 1.4}, "p_heads=1.4"),
        ("rlplay/CarRental-v0", {"max_cars": 500}, "max_cars=500"),
        ("rlplay/Racetrack-v0", {"track": "rigth-turn"}, "right-turn"),
        ("rlplay/ChainWalk-v0", {"rewarded": [9]}, "rewarded"),
        ("rlplay/Bandit-v0", {"means": [[float("nan")]]}, "means"),
        ("rlplay/AccessControl-v0", {"p_free": 0}, "p_free"),
        ("rlplay/MaximizationBias-v0", {"n_actions": 0}, "n_actions"),
    ],
)
def test_bad_arguments_are_named(env_id, kwargs, words):
    with pytest.raises(RlplayError, match=words):
        make(env_id, **kwargs)


def test_a_track_of_ones_own(tmp_path):
    path = tmp_path / "oval.txt"
    path.write_text("....F\n.###F\nSS##F\n")
    env = make("rlplay/Racetrack-v0", track=str(path))
    assert env.observation_space.n == 10 * 25
    path.write_text("....\nSS..\n")
    with pytest.raises(UsageError, match="no finish"):
        make("rlplay/Racetrack-v0", track=str(path))
