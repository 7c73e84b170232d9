"""Vector environments: native batches, environments of any kind in this process, and worker processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import envs
from rlplay import make, make_vec
from rlplay.compiled.table import TableEnv, TransitionTable
from rlplay.environments.vector import workers as worker_pool
from rlplay.environments.vector.buffers import SpaceBuffers
from rlplay.environments.vector.native import NativeVectorEnv
from rlplay.environments.vector.python import PythonVectorEnv
from rlplay.errors import EnvironmentFault, SpaceError, UsageError

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import a test file

BATCHED = [i for i in {**envs.OWN_ENVS, **envs.GYMNASIUM_ENVS} if i not in envs.NOT_BATCHED]


def entry(batch, i):
    return tuple(part[i] for part in batch) if isinstance(batch, tuple) else batch[i]


def actions_of(env, infos):
    """Random actions that may be taken."""
    if "action_mask" not in infos:
        return env.action_space.sample()
    return np.array([np.random.default_rng(k).choice(np.flatnonzero(m)) for k, m in enumerate(infos["action_mask"])])


@pytest.mark.parametrize("env_id", BATCHED)
@pytest.mark.parametrize("mode", ["next_step", "same_step", "disabled"])
def test_each_does_what_one_does_alone(env_id, mode):
    """To the bit, over episodes' ends, in each autoreset mode of the vector entry point."""
    autoreset = AutoresetMode[mode.upper()]
    many = gym.make_vec(env_id, num_envs=4, vectorization_mode="vector_entry_point", autoreset_mode=autoreset)
    assert many.metadata["autoreset_mode"] is autoreset
    alone, i = make(env_id), 2
    obs, infos = many.reset(seed=11)
    mine = alone.reset(seed=11 + i)[0]
    assert np.array_equal(entry(obs, i), mine)
    assert many.observation_space.contains(obs)
    many.action_space.seed(0)
    waits, endings = False, 0
    for _ in range(600):
        actions = actions_of(many, infos)
        obs, rewards, terminated, truncated, infos = many.step(actions)
        assert many.observation_space.contains(obs)
        if waits:  # next-step autoreset: this step only began the episode
            assert np.array_equal(entry(obs, i), alone.reset()[0])
            assert (rewards[i], terminated[i], truncated[i]) == (0.0, False, False)
            waits = False
            continue
        mine = alone.step(actions[i])
        ended = mine[2] or mine[3]
        seen = entry(infos["final_obs"], i) if ended and mode == "same_step" else entry(obs, i)
        assert np.array_equal(seen, mine[0])
        assert (rewards[i], terminated[i], truncated[i]) == mine[1:4]
        endings += ended
        if mode == "next_step":
            waits = ended
        elif mode == "same_step":
            if ended:
                assert infos["_final_obs"][i]
                assert np.array_equal(entry(obs, i), alone.reset()[0])
        elif (over := terminated | truncated).any():
            obs, infos = many.reset(options={"reset_mask": over})
            if over[i]:
                assert np.array_equal(entry(obs, i), alone.reset()[0])
    limit = gym.spec(env_id).max_episode_steps
    assert endings or limit is None or limit > 600
    many.close()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "MountainCar-v0"])
def test_same_step_is_gymnasiums_same_step(env_id):
    """Against Gymnasium's own vector environment of its own CartPole, through the ends of episodes."""
    theirs = gym.make_vec(
        env_id, 5, vectorization_mode="sync", vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP}
    )
    ours = make_vec(env_id, 5)
    assert isinstance(ours, NativeVectorEnv)
    assert np.array_equal(ours.reset(seed=3)[0], theirs.reset(seed=3)[0])
    theirs.action_space.seed(0)
    for _ in range(300):
        action = theirs.action_space.sample()
        a, b = ours.step(action), theirs.step(action)
        for mine, other in zip(a[:4], b[:4], strict=True):
            assert np.array_equal(mine, other)
        for i in np.flatnonzero(a[2] | a[3]):
            assert np.array_equal(a[4]["final_obs"][i], b[4]["final_obs"][i])


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Blackjack-v1", "Pendulum-v1", "rlplay/Bandit-v0"])
def test_python_environments_do_what_they_do_alone(env_id, workers):
    """In this process and in workers, the very episodes of each environment alone."""
    many = make_vec(env_id, 3, dynamics="gymnasium", workers=workers)
    assert isinstance(many, PythonVectorEnv)
    alone = gym.make(env_id)
    obs, _ = many.reset(seed=5)
    assert np.array_equal(entry(obs, 1), alone.reset(seed=6)[0])
    many.action_space.seed(1)
    for _ in range(120):
        actions = many.action_space.sample()
        obs, rewards, terminated, truncated, infos = many.step(actions)
        mine = alone.step(actions[1])
        last = infos["final_obs"][1] if mine[2] or mine[3] else entry(obs, 1)
        assert np.array_equal(last, mine[0])
        assert (rewards[1], terminated[1], truncated[1]) == mine[1:4]
        if mine[2] or mine[3]:
            assert np.array_equal(entry(obs, 1), alone.reset()[0])
    many.close()
    alone.close()


def test_buffers_of_composite_spaces():
    space = gym.spaces.Dict(
        {
            "place": gym.spaces.Box(-1, 1, (2, 3), np.float32),
            "kind": gym.spaces.Tuple([gym.spaces.Discrete(4, start=2), gym.spaces.MultiBinary(3)]),
        }
    )
    buffers = SpaceBuffers(space, 5)
    values = [space.sample() for _ in range(5)]
    for i, value in enumerate(values):
        buffers.put(i, value)
    for i, value in enumerate(values):
        back = buffers.get(i)
        assert space.contains(back)
        assert np.array_equal(back["place"], value["place"])
        assert back["kind"][0] == value["kind"][0]
    assert gym.vector.utils.batch_space(space, 5).contains(buffers.all())
    with pytest.raises(SpaceError, match="side by side"):
        SpaceBuffers(gym.spaces.Sequence(gym.spaces.Discrete(2)), 2)


HANGS = 3600  # seconds: no test waits for so long


def wait_for(condition):
    """Wait for an event, as long as a busy machine may need."""
    until = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


class Moody(gym.Env):
    """Takes its moods from its actions: 0 works, 1 raises, 2 hangs (and says so by a file), 3 dies, 4 gives NaN."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Discrete(5)

    def __init__(self, starts=True):
        if not starts:
            raise OSError("no engine")

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(2, np.float32), {"pid": os.getpid()}

    def step(self, action):
        if action == 1:
            raise ValueError("out of temper")
        if action == 2:
            open(os.environ["MOODY_HANGS"], "w", encoding="utf-8").close()
            time.sleep(HANGS)
        if action == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.full(2, np.nan if action == 4 else 0.0, np.float32), 0.0, False, False, {}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_environment_that_raises_is_named_with_its_own_traceback(workers):
    many = make_vec(Moody, 4, workers=workers)
    many.reset(seed=0)
    many.step(np.zeros(4, np.int64))
    with pytest.raises(EnvironmentFault, match="environment 3 of 4: Moody raised ValueError: out of temper") as caught:
        many.step(np.array([0, 0, 0, 1]))
    cause = caught.value.__cause__
    assert isinstance(cause, ValueError) or ("ValueError: out of temper" in str(cause) and "in step" in str(cause))
    with pytest.raises(EnvironmentFault, match="closed"):
        many.step(np.zeros(4, np.int64))


@pytest.mark.parametrize("workers", [0, 2])
def test_numbers_that_are_not_finite_name_the_environment(workers):
    many = make_vec(Moody, 3, workers=workers)
    many.reset(seed=0)
    with pytest.raises(EnvironmentFault, match="environment 1 of 3: Moody gave nan in the observation"):
        many.step(np.array([0, 4, 0]))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_a_worker_that_hangs_is_ended(tmp_path, monkeypatch):
    """The second is over when the other worker has answered and this one hangs, however slow the machine."""
    hangs, wait = tmp_path / "hangs", worker_pool.connection.wait
    monkeypatch.setenv("MOODY_HANGS", str(hangs))
    many = make_vec(Moody, 4, workers=2)
    pids = set(many.reset(seed=0)[1]["pid"].tolist())

    def second_is_over(connections, seconds):
        if len(connections) > 1:
            return wait(connections)
        wait_for(hangs.exists)
        return wait(connections, 0)

    many.executor.timeout = 1.0
    monkeypatch.setattr(worker_pool.connection, "wait", second_is_over)
    with pytest.raises(EnvironmentFault, match="environment 2 of 4 did not answer within 1 s"):
        many.step(np.array([0, 0, 2, 0]))
    assert len(pids) == 2
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_a_limit_of_seconds_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("MOODY_HANGS", str(tmp_path / "hangs"))
    many = make_vec(Moody, 1, workers=1)
    many.reset(seed=0)
    many.executor.timeout = 0.1
    with pytest.raises(EnvironmentFault, match=r"did not answer within 0\.1 s"):
        many.step(np.array([2]))


def test_a_worker_that_is_killed_is_said():
    many = make_vec(Moody, 4, workers=2)
    pids = set(many.reset(seed=0)[1]["pid"].tolist())
    with pytest.raises(EnvironmentFault, match="the worker process of environment 1 of 4 was killed by signal 9"):
        many.step(np.array([0, 3, 0, 0]))
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_environment_that_cannot_be_made(workers):
    with pytest.raises(EnvironmentFault, match="environment 0 of 2: cannot be made: OSError: no engine"):
        make_vec(lambda: Moody(starts=False), 2, workers=workers)


@pytest.mark.parametrize("how", ["kill", "hang"])
def test_no_orphans_when_the_owner_dies(tmp_path, how):
    """A script without a main guard is killed; its workers end by themselves, also in the middle of a step."""
    script = tmp_path / "owner.py"
    script.write_text(
        textwrap.dedent(f"""
            import sys, time, threading
            sys.path.insert(0, {os.path.dirname(__file__)!r})
            import numpy as np
            from rlplay import make_vec
            from test_vector import Moody
            many = make_vec(Moody, 2, workers=2)
            print(*many.reset(seed=0)[1]["pid"], flush=True)
            many.step(np.array([0, 2])) if {how == "hang"} else time.sleep({HANGS})
        """),
        encoding="utf-8",
    )
    hangs = tmp_path / "hangs"
    env = {**os.environ, "MOODY_HANGS": str(hangs)}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=env) as owner:
        try:
            pids = [int(pid) for pid in owner.stdout.readline().split()]
            assert len(pids) == 2
            assert all(alive(pid) for pid in pids)
            if how == "hang":
                wait_for(hangs.exists)
        finally:
            owner.kill()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_attributes_and_methods_of_workers_environments():
    many = make_vec("CartPole-v1", 3, dynamics="gymnasium", workers=2)
    assert many.get_attr("gravity") == (9.8, 9.8, 9.8)
    many.set_attr("gravity", [1.0, 2.0, 3.0])
    assert many.call("gravity") == (1.0, 2.0, 3.0)
    many.close()
    with pytest.raises(EnvironmentFault, match="closed"):
        many.reset()


def test_environments_registered_in_this_process_run_in_workers():
    if "test/Moody-v0" not in gym.registry:
        gym.register("test/Moody-v0", entry_point=Moody)
    many = make_vec("test/Moody-v0", 2, workers=2)
    assert many.reset(seed=0)[0].shape == (2, 2)
    many.close()


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("num_envs=0", ("CartPole-v1", 0)),
        ("num_envs=-2", ("CartPole-v1", -2)),
        ("num_envs=2.5", ("CartPole-v1", 2.5)),
        ("workers=5 is more than the 2", ("CartPole-v1", 2, {"workers": 5, "dynamics": "gymnasium"})),
        ("workers=-1", ("CartPole-v1", 2, {"workers": -1, "dynamics": "gymnasium"})),
        ("autoreset_mode='never'", ("CartPole-v1", 2, {"autoreset_mode": "never"})),
        ("timeout=0", ("CartPole-v1", 2, {"timeout": 0, "dynamics": "gymnasium"})),
        ("go with an environment's id", (Moody, 2, {"render_mode": "rgb_array"})),
    ],
)
def test_bad_arguments_are_said(words, arguments):
    env, number, *rest = arguments
    with pytest.raises(UsageError, match=words):
        make_vec(env, number, **(rest[0] if rest else {}))


def test_gymnasiums_door_says_it_too():
    with pytest.raises(UsageError, match="num_envs=0"):
        gym.make_vec("rlplay/CartPole-v1", num_envs=0)


@pytest.mark.parametrize("make_many", [
    lambda: make_vec("CartPole-v1", 4), lambda: make_vec("CartPole-v1", 4, dynamics="gymnasium"),
])  # fmt: skip
def test_misuse_names_the_environment(make_many):
    many = make_many()
    with pytest.raises(EnvironmentFault, match="before reset"):
        many.step(np.zeros(4, np.int64))
    for bad in (1.5, "left", [0, 1], "0" * 5000):
        with pytest.raises(UsageError, match="seed"):
            many.reset(seed=bad)
    many.reset(seed=0)
    with pytest.raises(SpaceError, match="of environment 2 of 4 is not in Discrete"):
        many.step(np.array([0, 1, 2, 0]))
    for bad in (np.zeros(3, np.int64), np.zeros(4), [[0], [1, 2]], None, "left"):
        with pytest.raises(SpaceError, match="actions"):
            many.step(bad)
    with pytest.raises(UsageError, match="reset_mask"):
        many.reset(options={"reset_mask": np.ones(3, bool)})
    many.step([0, 1, 0, 1])  # a list is as good


def test_native_batches_refuse_what_one_refuses():
    pendulum = make_vec("Pendulum-v1", 3)
    pendulum.reset(seed=0)
    with pytest.raises(SpaceError, match="of environment 1 of 3"):
        pendulum.step(np.array([[0.0], [np.nan], [0.0]], np.float32))
    with pytest.raises(SpaceError, match="shape"):
        pendulum.step(np.zeros((3, 2), np.float32))
    pendulum.state[2] = np.nan
    with pytest.raises(EnvironmentFault, match="environment 2 of 3 .PendulumEnv. gave reward nan"):
        pendulum.step(np.zeros((3, 1), np.float32))
    stays, nothing = np.array([[[1.0], [0.0]]]), np.zeros((1, 2, 1))  # a table whose second action leads nowhere
    table = TransitionTable.of(stays, nothing.astype(np.int64), nothing, nothing > 0, np.ones(1))
    idle = NativeVectorEnv(TableEnv(table, gym.spaces.Discrete(1), gym.spaces.Discrete(2)), 2)
    idle.reset(seed=0)
    with pytest.raises(SpaceError, match="action 1 of environment 0 of 2 may not be taken in state"):
        idle.step(np.array([1, 0]))
    cart = make_vec("CartPole-v1", 2, autoreset_mode="disabled")
    cart.reset(seed=0)
    with pytest.raises(EnvironmentFault, match=r"after the episode of environment [01] of 2 had ended"):
        for _ in range(100):
            cart.step(np.ones(2, np.int64))
    with pytest.raises(UsageError, match="options"):
        cart.reset(options={"low": -1})


def test_batches_begin_in_given_states_and_only_where_asked():
    many = make_vec("Pendulum-v1", 3)
    obs, _ = many.reset(seed=0, options={"state": [0.0, 0.5]})
    assert obs == pytest.approx(np.array([[1.0, 0.0, 0.5]] * 3))
    before = obs.copy()
    obs, _ = many.reset(options={"reset_mask": np.array([False, True, False])})
    assert np.array_equal(obs[[0, 2]], before[[0, 2]])
    assert not np.array_equal(obs[1], before[1])


def test_native_batches_go_on_where_they_were():
    """Their state as arrays: what comes after is the same to the bit."""
    one, other = make_vec("CartPole-v1", 6), make_vec("CartPole-v1", 6)
    one.reset(seed=0)
    other.reset(seed=99)
    one.action_space.seed(0)
    actions = [one.action_space.sample() for _ in range(80)]
    for action in actions[:40]:
        one.step(action)
    saved = {name: array.copy() for name, array in one.state_arrays().items()}
    after = [one.step(action) for action in actions[40:]]
    other.restore(saved)
    for step, action in zip(after, actions[40:], strict=True):
        again = other.step(action)
        assert all(np.array_equal(a, b) for a, b in zip(step[:4], again[:4], strict=True))


def test_memory_is_linear():
    sizes = [make_vec("CartPole-v1", n).nbytes / n for n in (16, 1024, 4096)]
    assert max(sizes) == min(sizes) < 150


def test_what_was_given_is_not_changed_later():
    many = make_vec("CartPole-v1", 2)
    obs, _ = many.reset(seed=0)
    kept = obs.copy()
    obs[:] = 9  # what was given is the caller's own
    again, _ = many.reset(options={"reset_mask": np.zeros(2, bool)})
    assert np.array_equal(again, kept)
    obs[:] = kept
    next_obs = many.step(np.array([1, 1]))[0]
    assert np.array_equal(obs, kept)
    next_obs[:] = 0  # nor does it matter what is done with it
    assert not np.array_equal(many.step(np.array([1, 1]))[0], np.zeros((2, 4)))


class Reusing(gym.Env):
    """Fills the same observation and the same info again and again."""

    observation_space, action_space = gym.spaces.Box(-9, 9, (1,)), gym.spaces.Discrete(2)

    def __init__(self):
        self.obs, self.info = np.zeros(1, np.float32), {"parts": [0]}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.obs[0] = self.info["parts"][0] = 0
        return self.obs, self.info

    def step(self, action):
        self.obs += 1
        self.info["parts"][0] += 1
        return self.obs, 1.0, bool(self.obs[0] == 2), False, self.info


def test_what_an_environment_fills_again_is_told_as_it_was():
    many = make_vec(Reusing, 1, autoreset_mode="same-step")
    many.reset(seed=0)
    many.step(np.zeros(1, int))
    obs, *_, infos = many.step(np.zeros(1, int))
    assert obs.tolist() == [[0]]
    assert infos["final_obs"][0].tolist() == [2]
    assert infos["final_info"]["parts"][0] == [2]


def test_pictures_of_a_batch():
    many = gym.make_vec("rlplay/CartPole-v1", num_envs=3, render_mode="rgb_array", width=200, height=120)
    many.reset(seed=0)
    pictures = many.render()
    assert len(pictures) == 3
    assert all(p.shape == (120, 200, 3) for p in pictures)
    many.close()
