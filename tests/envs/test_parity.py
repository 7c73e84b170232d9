"""The native versions of Gymnasium's environments: the same numbers."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleEnv

from agents import LinearActorCritic
from envs.cart_pole import CartPoleEnv as NativeCartPole
from rlplay import make
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, table_of
from rlplay.environments.dynamics import check_native
from rlplay.environments.make import reference
from rlplay.errors import EnvironmentFault, SpaceError, UnknownNameError, UsageError

CONTROL = ["CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1", "Acrobot-v1"]
TOY_TEXT = ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1"]


@pytest.mark.parametrize(
    ("env_id", "episodes"),
    [
        ("CartPole-v1", 300),
        ("MountainCar-v0", 40),
        ("MountainCarContinuous-v0", 20),
        ("Pendulum-v1", 60),
        ("Acrobot-v1", 30),
    ],
)
def test_whole_episodes_to_the_bit(env_id, episodes):
    own, native = gym.make(env_id), make(env_id)
    assert isinstance(native, NativeEnv)
    assert reference(native).exact == (env_id != "Acrobot-v1")
    own.action_space.seed(0)
    for episode in range(episodes):
        first = own.reset(seed=episode)[0]
        assert native.reset(seed=episode)[0] == pytest.approx(first, abs=0 if env_id != "Acrobot-v1" else 1e-7)
        ended, obs = False, own.unwrapped.state
        while not ended:
            action = own.action_space.sample()
            if env_id == "MountainCar-v0" and episode % 2:  # push along the velocity: this one climbs out
                action = 2 if obs[1] >= 0 else 0
            mine, theirs = native.step(action), own.step(action)
            if env_id == "Acrobot-v1":  # step by step from the same state
                assert native.world.state[:4] == pytest.approx(own.unwrapped.state, rel=1e-12, abs=1e-14)
                native.world.state[:4] = own.unwrapped.state
                assert mine[0] == pytest.approx(theirs[0], abs=1e-6)
            else:
                assert np.array_equal(mine[0], theirs[0])
            assert mine[1:4] == theirs[1:4]
            obs, ended = theirs[0], theirs[2] or theirs[3]


# What the native versions leave to Gymnasium's own: pictures, and numbers beside the dynamics.
ELSEWHERE = ("screen", "SCREEN", "cell_size", "window", "isopen", "low", "high", "actions_num")


@pytest.mark.parametrize("env_id", CONTROL)
def test_attributes_are_gymnasiums_and_cannot_be_set(env_id):
    own, native = gym.make(env_id).unwrapped, make(env_id).unwrapped
    own.reset(seed=0)
    native.reset(seed=0)
    for name in sorted(set(dir(own)) - set(dir(gym.Env)) - {"np_random"}):
        if name.startswith(("_", *ELSEWHERE)) or (value := getattr(own, name)) is None or callable(value):
            continue
        if name not in ("action_space", "observation_space", "metadata", "spec", "np_random_seed"):
            assert getattr(native, name) == (value if isinstance(value, str) else pytest.approx(value))
            with pytest.raises(AttributeError, match=f"{name} cannot be set: .* in gym.make"):
                setattr(native, name, value)
    with pytest.raises(AttributeError, match="has no attribute 'mass_of_nothing'. gym.make"):
        native.mass_of_nothing  # noqa: B018


def test_attributes_of_tables_and_of_our_own():
    lake, pole = make("FrozenLake-v1").unwrapped, make("rlplay/CartPole-v1", masscart=2.0).unwrapped
    assert (lake.reset(seed=3)[0], lake.s, lake.np_random_seed) == (0, 0, 3)
    for name, value in (("s", 1), ("P", {})):
        with pytest.raises(AttributeError, match="cannot be set"):
            setattr(lake, name, value)
    with pytest.raises(AttributeError, match=r"desc.*gym.make\('FrozenLake-v1'\)"):
        lake.desc  # noqa: B018
    assert not hasattr(lake, "P")  # it is not kept beside the table
    assert pole.total_mass == 2.1
    with pytest.raises(AttributeError, match="Give it as an argument"):
        pole.masscart = 1.0


def anywhere(env_id: str, rng: np.random.Generator) -> np.ndarray:
    """A state from well inside to beyond where episodes end, [D]."""
    widest = {
        "CartPole-v1": [2.6, 4.0, 0.25, 4.0],
        "MountainCar-v0": [0.9, 0.07],
        "MountainCarContinuous-v0": [0.9, 0.07],
        "Pendulum-v1": [12.0, 8.0],
        "Acrobot-v1": [np.pi, np.pi, 12.0, 28.0],
    }[env_id]
    state = rng.uniform(-1.0, 1.0, len(widest)) * widest
    if env_id.startswith("MountainCar"):
        state[0] -= 0.3
    return state


@pytest.mark.parametrize("env_id", CONTROL)
def test_a_hundred_thousand_random_transitions(env_id):
    """From the same state and action: Gymnasium's next state within 1e-12 relative, its reward and its ending."""
    own, native = gym.make(env_id).unwrapped, make(env_id)
    rng, single = np.random.default_rng(0), env_id == "MountainCarContinuous-v0"
    own.reset(seed=0)
    size = len(own.state)
    worst, endings = 0.0, 0
    for _ in range(100_000):
        state = anywhere(env_id, rng)
        if single:
            state = state.astype(np.float32)  # Gymnasium keeps it so after the first step
        own.state, own.steps_beyond_terminated = state.copy(), None
        if env_id != "MountainCarContinuous-v0" and native.action_space.dtype.kind == "i":
            action = int(rng.integers(native.action_space.n))
        else:
            action = rng.uniform(native.action_space.low, native.action_space.high).astype(np.float32)
        native.restore(
            {"state": np.append(state, np.ones(native.state_size - size)), "elapsed": np.array([0]), "rng": native.rng}
        )
        theirs, mine = own.step(action), native.step(action)
        after = np.asarray(own.state, np.float64)
        gap = np.abs(native.world.state[:size] - after) / np.maximum(np.abs(after), 1e-3)
        worst = max(worst, float(gap.max()))
        assert mine[2] == theirs[2], f"from {state} by {action}"
        assert mine[1] == pytest.approx(theirs[1], rel=1e-12)
        endings += mine[2]
    assert worst <= 1e-12
    assert endings > 1000 or env_id == "Pendulum-v1"  # both kinds were seen


@pytest.mark.parametrize("env_id", CONTROL)
def test_the_starts_are_gymnasiums(env_id):
    """With the same seeds the same starts; without, the same range, mean and spread of 20,000."""
    own, native = gym.make(env_id).unwrapped, make(env_id)
    for seed in range(300):
        assert np.allclose(own.reset(seed=seed)[0], native.reset(seed=seed)[0], rtol=0, atol=1e-7)
    native.reset(seed=7)
    starts = []
    for _ in range(20_000):
        native.reset()
        starts.append(native.world.state.copy())
    starts = np.array(starts)
    own.reset(seed=8)
    theirs = np.array([(own.reset(), own.state)[1] for _ in range(20_000)], np.float64)
    for column in range(theirs.shape[1]):
        mine, other = starts[:, column], theirs[:, column]
        spread = other.std()
        assert mine.mean() == pytest.approx(other.mean(), abs=5 * spread / np.sqrt(10_000) + 1e-12)
        assert mine.std() == pytest.approx(spread, rel=0.03, abs=1e-12)
        assert mine.min() == pytest.approx(other.min(), abs=0.02 * spread + 1e-12)
        assert mine.max() == pytest.approx(other.max(), abs=0.02 * spread + 1e-12)


@pytest.mark.parametrize("env_id", TOY_TEXT)
def test_table_worlds_do_what_gymnasiums_do(env_id):
    """100,000 steps: each is an outcome of Gymnasium's table, and all but Blackjack's are drawn with its numbers."""
    kwargs = {"sab": False} if env_id == "Blackjack-v1" else {}
    own, native = gym.make(env_id, **kwargs), make(env_id, **kwargs)
    assert isinstance(native, TableEnv)
    exact, rng = env_id != "Blackjack-v1", np.random.default_rng(0)
    assert reference(native).exact == exact
    totals, ended, episode = np.zeros(2), True, 0
    for _ in range(100_000 if exact else 40_000):
        if ended:
            mine, theirs = native.reset(seed=episode)[0], own.reset(seed=episode)[0]
            assert mine == theirs or not exact
            episode, over = episode + 1, [False, False]
        action = int(rng.integers(native.actions.n))
        if exact:
            mine, theirs = native.step(action), own.step(action)
            assert mine[:4] == theirs[:4]
            ended = mine[2] or mine[3]
        else:  # the law: the same mean return of the same policy
            for k, env in enumerate((native, own)):
                if not over[k]:
                    _, reward, over[k], _, _ = env.step(action)
                    totals[k] += reward
            ended = all(over)
    if not exact:
        assert totals[0] / episode == pytest.approx(totals[1] / episode, abs=0.03)


@pytest.mark.parametrize("env_id", CONTROL + TOY_TEXT)
def test_ids_of_their_own(env_id):
    """``rlplay/...`` does what the native version chosen for Gymnasium's id does, and is native by itself."""
    kwargs = {"sab": False} if env_id == "Blackjack-v1" else {}
    one, other = make(f"rlplay/{env_id}"), make(env_id, **kwargs)
    assert type(one.unwrapped).__name__ in (f"{env_id.partition('-')[0]}Env", type(other).__name__)
    assert isinstance(one, NativeEnv | TableEnv)
    assert reference(one).dynamics == "native, its own"
    assert one.max_episode_steps == other.max_episode_steps == (gym.spec(env_id).max_episode_steps or 0)
    one.action_space.seed(0)
    assert one.reset(seed=3)[0] == pytest.approx(other.reset(seed=3)[0])
    for _ in range(200):
        action = one.action_space.sample()
        mine, theirs = one.step(action), other.step(action)
        assert np.array_equal(mine[0], theirs[0])
        assert mine[1:4] == theirs[1:4]
        if mine[2] or mine[3]:
            one.reset(seed=5)
            other.reset(seed=5)


def test_blackjack_pays_its_exact_value():
    """Sticking on 20 or more is worth -.3536 a game (TARGETS, by dynamic programming of the book's rules)."""
    copies = gym.make_vec("rlplay/Blackjack-v1", num_envs=4000)
    obs, _ = copies.reset(seed=0)
    total, games = 0.0, 0
    for _ in range(200):
        obs, reward, terminated, _, _ = copies.step((obs[0] < 20).astype(np.int64))
        total, games = total + reward.sum(), games + terminated.sum()
    assert total / games == pytest.approx(-0.3536, abs=0.006)


def test_the_car_that_pushes_along_its_velocity():
    """Its mean return over 200 episodes is -119.4 (TARGETS); a goal with a velocity is the same natively."""
    env, returns = make("MountainCar-v0"), []
    for episode in range(200):
        obs, total, ended = env.reset(seed=episode)[0], 0.0, False
        while not ended:
            obs, reward, terminated, truncated, _ = env.step(2 if obs[1] >= 0 else 0)
            total, ended = total + reward, terminated or truncated
        returns.append(total)
    assert np.mean(returns) == pytest.approx(-119.4, abs=1.0)
    assert isinstance(make("MountainCar-v0", goal_velocity=0.01), NativeEnv)


def test_the_time_limit_truncates():
    native = make("CartPole-v1", max_episode_steps=3)
    native.reset(seed=0)
    assert [native.step(i % 2)[3] for i in range(3)] == [False, False, True]


def test_an_environment_that_does_otherwise_than_its_native_version_runs_its_own_dynamics(monkeypatch):
    """A Gymnasium of another version could: here the original integrates in another order."""

    def init(self, *args, **kwargs):
        original(self, *args, **kwargs)
        self.kinematics_integrator = "semi-implicit euler"

    original = CartPoleEnv.__init__
    monkeypatch.setattr(CartPoleEnv, "__init__", init)
    monkeypatch.setattr("rlplay.environments.dynamics._same", {})  # what this process found out before
    assert not isinstance(make("CartPole-v1"), NativeEnv)
    with pytest.raises(SpaceError, match="does not do what it does with these arguments"):
        make("CartPole-v1", dynamics="native")


def test_a_first_episode_without_a_seed_is_another_each_time(monkeypatch):
    """What compares the native version with the original leaves no generator behind."""
    monkeypatch.setattr("rlplay.environments.dynamics._same", {})
    first, second = make("CartPole-v1"), make("CartPole-v1")
    assert first._np_random is None
    assert first.reset()[0].tolist() != second.reset()[0].tolist()


def test_a_step_of_ones_own_around_native_dynamics_is_refused_where_it_does_something_else():
    class Watched(NativeCartPole):
        def step(self, action):
            self.seen = action
            return super().step(action)

    class Paid(NativeCartPole):
        def step(self, action):
            return *super().step(action)[:1], -5.0, False, False, {}

    assert check_native(Watched()) is None
    with pytest.raises(UsageError, match="Paid.step does something else than the dynamics of Paid"):
        check_native(Paid())


def test_gymnasiums_dynamics_when_asked_for_and_what_runs_is_said():
    assert not isinstance(make("CartPole-v1", dynamics="gymnasium"), NativeEnv)
    assert reference(make("CartPole-v1")).dynamics == "native, the same numbers as Gymnasium's"
    assert reference(make("Acrobot-v1")).dynamics.endswith("but for a last digit")


def test_the_arguments_of_the_original_are_the_native_versions():
    """sutton_barto_reward, g and goal_velocity; and constants that Gymnasium does not open: gravity on the moon."""
    for kwargs in ({"sutton_barto_reward": True}, {}):
        own, native = gym.make("CartPole-v1", **kwargs), make("CartPole-v1", **kwargs)
        for env in (own, native):
            env.reset(seed=0)
        ended = False
        while not ended:
            mine, theirs = native.step(1), own.step(1)
            assert mine[1:3] == theirs[1:3]
            ended = mine[2]
    assert make("Pendulum-v1", g=3.7).constants["g"] == 3.7
    assert isinstance(make("Pendulum-v1", g=3.7), NativeEnv)
    moon, earth = make("rlplay/CartPole-v1", gravity=1.6), make("rlplay/CartPole-v1")
    state = {"state": [0.0, 0.0, 0.1, 0.0]}
    falls = [abs(env.reset(seed=0, options=state)[0][3] - env.step(0)[0][3]) for env in (moon, earth)]
    assert falls[0] < falls[1]
    with pytest.raises(UnknownNameError, match="gravity"):
        gym.make("rlplay/CartPole-v1", gravty=1.6)
    with pytest.raises(UsageError, match="g=nan is not a finite number"):
        gym.make("rlplay/Pendulum-v1", g=float("nan"))


def test_a_given_state_is_where_an_episode_begins():
    env = make("rlplay/Pendulum-v1")
    obs, _ = env.reset(seed=0, options={"state": [np.pi / 2, -1.0]})
    assert obs == pytest.approx([0.0, 1.0, -1.0], abs=1e-7)
    with pytest.raises(UsageError, match="2 finite numbers"):
        env.reset(options={"state": [1.0]})
    with pytest.raises(UsageError, match="'low'"):
        env.reset(options={"low": -1.0})


def test_continuous_actions_are_checked_and_bounded():
    env, other = make("Pendulum-v1"), make("Pendulum-v1")
    for one in (env, other):
        one.reset(seed=0)
    for bad in ([0.0, 1.0], [float("nan")], "left", 0.5):
        with pytest.raises(SpaceError, match="is not in Box"):
            env.step(bad)
    assert np.array_equal(env.step(np.array([9.0], np.float32))[0], other.step(np.array([2.0], np.float32))[0])


def test_an_agent_learns_alike_in_the_native_version_and_in_the_original():
    """Continuous actions in the native loop: the weights of a linear actor are those of the stepwise driver, and those
    over Gymnasium's own dynamics."""
    agents = [
        LinearActorCritic(make("Pendulum-v1", dynamics=dynamics), features="tile-coding:4", seed=0).learn(
            1500, engine=engine
        )
        for dynamics, engine in (("native", "compiled"), ("native", "python"), ("gymnasium", "python"))
    ]
    assert reference(agents[0].env).dynamics.startswith("native")
    weights = [agent.theta for agent in agents]
    assert np.array_equal(weights[0], weights[1])
    assert np.array_equal(weights[1], weights[2])


@pytest.mark.parametrize("env_id", ["CartPole-v1", "rlplay/CartPole-v1", "FrozenLake-v1", "rlplay/ChainWalk-v0"])
def test_misuse_is_said(env_id):
    env = make(env_id)
    with pytest.raises(EnvironmentFault, match="before reset"):
        env.step(0)
    env.reset(seed=0)
    with pytest.raises(SpaceError, match="77 is not in"):
        env.step(77)


@pytest.mark.parametrize("env_id", ["CartPole-v1", "FrozenLake-v1", "rlplay/GridWorld-v0"])
def test_a_step_after_the_end_is_refused(env_id):
    env = make(env_id)
    env.reset(seed=0)
    env.action_space.seed(0)
    ended = False
    while not ended:
        ended = env.step(env.action_space.sample())[2]
    with pytest.raises(EnvironmentFault, match="after the episode had ended"):
        env.step(0)
    env.reset(seed=0)
    env.step(0)


def test_numbers_that_are_not_finite_are_said():
    env = make("rlplay/Pendulum-v1")
    env.reset(seed=0)
    env.world.state[0] = np.nan
    with pytest.raises(EnvironmentFault, match="PendulumEnv gave reward nan .* in step 1"):
        env.step(np.zeros(1, np.float32))


def test_a_table_is_told_by_the_own_ids_too():
    assert table_of(make("rlplay/FrozenLake-v1")).n_states == 16
    assert make("rlplay/FrozenLake-v1", map_name="8x8").observation_space.n == 64
    with pytest.raises(SpaceError, match="fickle passenger"):
        gym.make("rlplay/Taxi-v4", fickle_passenger=True)
    with pytest.raises(SpaceError, match="no transition table"):
        gym.make("rlplay/Blackjack-v1", sab=True)
