"""Our environments: Gymnasium's contract, tables that say what they do, pictures, and their own numbers."""

from __future__ import annotations

import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

import rlplay
from envs import GYMNASIUM_ENVS, NOT_BATCHED, OWN_ENVS
from envs.racetrack import drive, read_track
from rlplay import make
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, agreement, table_of
from rlplay.errors import RlplayError, SpaceError, UsageError
from rlplay.testing import check_env as rlplay_check_env

VARIANTS = [
    *((env_id, {}) for env_id in {**OWN_ENVS, **GYMNASIUM_ENVS}),
    ("rlplay/RandomWalk-v0", {"n_states": 1000, "reach": 100}),
    ("rlplay/Bandit-v0", {"problems": 3, "drift": 0.01}),
    ("rlplay/ChainWalk-v0", {"n_states": 50}),
    ("rlplay/Corridor-v0", {"aliased": True}),
    ("rlplay/Racetrack-v0", {"track": "wide-turn"}),
]


def name_of(variant: tuple) -> str:
    return "-".join([variant[0], *(f"{k}={v}" for k, v in variant[1].items())])


# Where not every action may be taken in every state.
MASKED = ("rlplay/Gambler-v0", "rlplay/CarRental-v0", "rlplay/MaximizationBias-v0", "rlplay/Taxi-v4")
# What they recommend and Gymnasium's own do otherwise: Pendulum's torque is not from -1 to 1, Blackjack's observation
# is a Tuple.
RECOMMENDED = {
    "rlplay/Pendulum-v1": "symmetric and normalized",
    "rlplay/PendulumNoVel-v1": "symmetric and normalized",
    "rlplay/Blackjack-v1": "space is a Tuple",
}


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_all_checkers(variant):
    """Gymnasium's and Stable-Baselines3's without a warning, and ours."""
    env_id, kwargs = variant
    for check in (check_env, sb3_check_env):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if env_id in RECOMMENDED:
                warnings.filterwarnings("ignore", message=f".*{RECOMMENDED[env_id]}.*")
            check(gym.make(env_id, render_mode="rgb_array", **kwargs).unwrapped)
    continuing = env_id in ("rlplay/AccessControl-v0", "rlplay/Baird-v0", "rlplay/CliffWalking-v1")
    warned = [f.check for f in rlplay_check_env(env_id, **kwargs) if f.verdict == "warning"]
    assert warned == (["endings"] if continuing else [])


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_pictures_at_any_size(variant):
    env_id, kwargs = variant
    modes = gym.make(env_id).metadata["render_modes"]
    for size in ({}, {"width": 321, "height": 240}, {"width": 64, "height": 200}):
        env = gym.make(env_id, render_mode="rgb_array", **kwargs, **size)
        env.reset(seed=0)
        picture = env.render()
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
        assert not size or picture.shape == (size["height"], size["width"], 3)
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 3  # something is drawn
        env.close()
    if "ansi" in modes:
        env = gym.make(env_id, render_mode="ansi", **kwargs)
        env.reset(seed=0)
        assert isinstance(env.render(), str)
    with pytest.raises(UsageError, match="width=3 "):
        gym.make(env_id, width=3, height=200)
    with pytest.raises(UsageError, match="go together"):
        gym.make(env_id, width=300)


@pytest.mark.parametrize("variant", VARIANTS, ids=name_of)
def test_what_it_does_is_what_its_table_says(variant):
    """To the bit: the same seed gives the same episode through the table; and the id runs natively by itself."""
    env_id, kwargs = variant
    env = make(env_id, dynamics="gymnasium", **kwargs)
    if isinstance(env.unwrapped, TableEnv):
        return  # it is its table
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


def masks_of(env, steps=200):
    """The masks along an episode of random actions, legal or not: by the method, and in the info."""
    _, info = env.reset(seed=3)
    env.action_space.seed(3)
    for _ in range(steps):
        assert env.unwrapped.action_masks().dtype == np.bool_
        yield env.unwrapped.action_masks(), info["action_mask"]
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
        if terminated or truncated:
            _, info = env.reset()


@pytest.mark.parametrize("env_id", MASKED)
@pytest.mark.parametrize("dynamics", ["gymnasium", "auto"])
def test_masks_are_told_and_every_action_is_taken(env_id, dynamics):
    env, some = make(env_id, dynamics=dynamics), 0
    if dynamics == "gymnasium":
        for check in (check_env, sb3_check_env):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(env.unwrapped)
    for asked, told in masks_of(env):
        assert told.dtype == np.int8
        assert asked.shape == (env.action_space.n,)
        assert (asked == told).all()
        assert asked.any()
        some += not asked.all()
    assert some


@pytest.mark.parametrize("env_id", MASKED)
@pytest.mark.parametrize("autoreset", ["same-step", "next-step"])
def test_side_by_side_they_tell_the_same_masks(env_id, autoreset):
    many = gym.make_vec(env_id, num_envs=3, vectorization_mode="vector_entry_point", autoreset_mode=autoreset)
    _, infos = many.reset(seed=0)
    many.action_space.seed(0)
    for _ in range(100):
        assert infos["action_mask"].shape == (3, many.single_action_space.n)
        masks = many.action_masks() if hasattr(many, "action_masks") else np.array(many.call("action_masks"))
        assert (infos["action_mask"] == masks).all()
        infos = many.step(many.action_space.sample())[4]


def test_only_masked_tables_have_the_method():
    assert not hasattr(make("FrozenLake-v1"), "action_masks")
    assert not hasattr(rlplay.make_vec("FrozenLake-v1", 2), "action_masks")


def test_what_may_not_be_taken_counts_as_the_nearest_that_may():
    gambler = gym.make("rlplay/Gambler-v0").unwrapped
    for capital, stake, counts_as in ((7, 0, 1), (7, 50, 7), (90, 50, 10), (0, 20, 0), (100, 3, 0)):
        assert gambler.P[capital][stake] == gambler.P[capital][counts_as]
    cars = gym.make("rlplay/CarRental-v0", max_cars=4).unwrapped
    table, state = cars.transition_table, 3 * 5 + 1  # three cars at the first place, one at the second
    for action, counts_as in ((0, 4), (3, 4), (9, 8), (10, 8)):
        assert table.masks[state, counts_as]
        assert not table.masks[state, action]
        assert cars.P[state][action] == cars.P[state][counts_as]
    bias = gym.make("rlplay/MaximizationBias-v0", n_actions=3).unwrapped
    bias.reset(seed=0)
    assert bias.step(2)[:3] == (2, 0.0, True)  # right
    assert bias.last_action == 1


@pytest.mark.parametrize("env_id", [*OWN_ENVS, *GYMNASIUM_ENVS])
def test_gymnasiums_vector_doors(env_id):
    """The vector entry point takes ``autoreset_mode``; Gymnasium hands ``vector_kwargs`` to its own two modes only."""
    mode = gym.vector.AutoresetMode.SAME_STEP
    doors = {"autoreset_mode": mode}, {"vectorization_mode": "sync", "vector_kwargs": {"autoreset_mode": mode}}
    for door in ({"vectorization_mode": "vector_entry_point", **doors[0]}, *doors):
        many = gym.make_vec(env_id, num_envs=2, **door)
        assert many.metadata["autoreset_mode"] == mode
        assert many.unwrapped.spec.id == env_id
        many.reset(seed=0)
        assert many.step(many.action_space.sample())[1].shape == (2,)
        many.close()


def test_drawn_rewards_side_by_side_are_those_alone():
    for env_id in NOT_BATCHED:
        many, one = gym.make_vec(env_id, num_envs=3, autoreset_mode="same-step"), gym.make(env_id)
        many.reset(seed=5)
        one.reset(seed=7)
        for action in (1, 0, 1):
            reward = many.step(np.full(3, action))[1][2]
            _, alone, terminated, _, _ = one.step(action)
            assert reward == alone
            if terminated:
                one.reset()


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


def shortest_way(state, steps=60):
    """Steps to the top of the hill from a state, by breadth over all actions; None where there is no way."""
    env = make("rlplay/CarOnTheHill-v0")
    env.reset(seed=0)
    layer, seen = [np.asarray(state)], set()
    for k in range(1, steps + 1):
        following = []
        for place in layer:
            for action in (0, 1):
                env.reset(options={"state": place})
                _, reward, terminated, _, _ = env.step(action)
                after = env.world.state.copy()
                cell = tuple(np.floor(after / [0.02, 0.06]).astype(int))
                if reward > 0:
                    return k
                if not terminated and cell not in seen:
                    seen.add(cell)
                    following.append(after)
        layer = following
    return None


def test_the_optimum_of_the_car_on_the_hill():
    """The mean return of the optimal policy over the paper's 17 x 17 states is .3526 (TARGETS)."""
    env = make("rlplay/CarOnTheHill-v0")
    assert isinstance(env, NativeEnv)
    env.reset(seed=0)
    n = 17
    starts = np.stack(np.meshgrid(np.linspace(-1, 1, n), np.linspace(-3, 3, n), indexing="ij"), -1).reshape(-1, 2)
    values = optimal_values(starts)
    assert values.mean() == pytest.approx(0.3526, abs=0.01)
    # A few of them exactly: by breadth-first search over all sequences of actions.
    for start in ([-0.5, 0.0], [0.6, 1.0], [0.0, 2.0]):
        steps = shortest_way(start)
        assert optimal_values(np.array([start]))[0] == pytest.approx(0.95 ** (steps - 1), abs=0.03)


def optimal_values(starts, n=201, gamma=0.95):
    """The optimal value of states [K, 2], by value iteration on a grid of n x n states with linear interpolation."""
    axes = np.linspace(-1, 1, n), np.linspace(-3, 3, n)
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    moved = [moves(grid, action) for action in (0, 1)]
    v = np.zeros((n, n))
    for _ in range(70):
        q = [r + gamma * ~ended * between(v, after, n) for after, r, ended in moved]
        v = np.maximum(*q).reshape(n, n)
    q = [r + gamma * ~ended * between(v, after, n) for after, r, ended in (moves(starts, a) for a in (0, 1))]
    return np.maximum(*q)


def moves(states, action):
    """Next state, reward and ending from each of many states, in copies side by side."""
    copies = gym.make_vec("rlplay/CarOnTheHill-v0", num_envs=len(states), autoreset_mode="same-step")
    copies.reset(seed=0, options={"state": states})
    obs, reward, terminated, _, infos = copies.step(np.full(len(states), action))
    after = np.where(terminated[:, None], infos.get("final_obs", obs), obs)
    return after.astype(float), reward, terminated


def between(v, states, n):
    """Bilinear interpolation of v [n, n] at states [K, 2]."""
    place = np.clip((states + np.array([1, 3])) / [2, 6], 0, 1) * (n - 1)
    low = np.minimum(place.astype(int), n - 2)
    (a, b), (i, j) = (place - low).T, low.T
    return (1 - a) * ((1 - b) * v[i, j] + b * v[i, j + 1]) + a * ((1 - b) * v[i + 1, j] + b * v[i + 1, j + 1])


def test_how_long_a_random_pendulum_stands():
    """Random episodes from nearly upright last about 8.9 steps in a plain simulation of the equations (NumPy, semi-
    implicit Euler with 100 parts a step, 1500 episodes); both say the same."""
    copies = gym.make_vec("rlplay/InvertedPendulum-v0", num_envs=2000)
    copies.reset(seed=0)
    copies.action_space.seed(0)
    steps = falls = 0
    for _ in range(100):
        waiting = copies.over.copy()
        _, reward, terminated, _, _ = copies.step(copies.action_space.sample())
        steps, falls = steps + (~waiting).sum(), falls + terminated.sum()
        assert set(np.unique(reward)) <= {-1.0, 0.0}
    assert steps / falls == pytest.approx(8.9, abs=0.4)


def test_the_pendulum_against_a_finer_integration():
    """One step of 0.1 s in 4 parts is that in 400 parts to 1e-6, from anywhere."""
    coarse, fine = (
        make("rlplay/InvertedPendulum-v0", noise=0),
        make("rlplay/InvertedPendulum-v0", noise=0, substeps=400),
    )
    rng = np.random.default_rng(0)
    for _ in range(50):
        state, action = rng.uniform([-1.5, -3], [1.5, 3]), int(rng.integers(3))
        for env in (coarse, fine):
            env.reset(seed=0, options={"state": state})
            env.step(action)
        assert coarse.world.state == pytest.approx(fine.world.state, abs=2e-5)


def test_semi_gradient_td_diverges_in_bairds_counterexample():
    """Figure 11.2 of the book, left: off-policy semi-gradient TD(0) with α = 0.01 from w = (1,...,1,10,1)."""
    env, rng = make("rlplay/Baird-v0"), np.random.default_rng(0)
    obs, _ = env.reset(seed=1)
    w = np.array([1, 1, 1, 1, 1, 1, 10, 1], float)
    largest = [np.abs(w).max()]
    for _ in range(1000):
        action = int(rng.random() < 1 / 7)
        next_obs = env.step(action)[0]
        rho = 7.0 if action == 1 else 0.0
        w += 0.01 * rho * (0.99 * w @ next_obs - w @ obs) * obs
        obs = next_obs
        largest.append(np.abs(w).max())
    assert 150 < largest[-1] < 500  # figure: w_8 is at about 300
    assert largest[-1] > largest[500] > 3 * largest[0]


def test_keys_of_gymnasiums_play():
    for env_id in ("rlplay/CartPole-v1", "rlplay/MountainCar-v0", "rlplay/Pendulum-v1"):
        env = gym.make(env_id).unwrapped
        for action in env.get_keys_to_action().values():
            assert env.action_space.contains(action)
