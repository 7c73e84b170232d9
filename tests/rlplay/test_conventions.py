"""What users of other libraries type: taken as they mean it, or one line that says what to write; never nothing."""

from __future__ import annotations

import math
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

import agents
import rlplay
from agents import LSPI, PPO, DAgger, EpisodicControl, FittedQ, LinearSarsa, MonteCarlo, QLearning, Reinforce
from agents.sb3 import DQN, SAC
from agents.sb3 import PPO as SB3PPO
from rlplay import errors, registry
from rlplay.agent.base import Agent
from rlplay.errors import (
    EnvironmentFault,
    HyperparameterError,
    RlplayError,
    RlplayWarning,
    SpaceError,
    UnknownNameError,
    UsageError,
)
from rlplay.extend import LearningRule, act_epsilon_greedy, compiled, in_place
from rlplay.training.callbacks import Callback

from ..contract.cases import CASES

LAKE = "FrozenLake-v1"


class World(gym.Env[Any, Any]):
    """Spaces of any kind; what `reset` and `step` give beside observations is as a test has it."""

    def __init__(self, observation: spaces.Space[Any], action: spaces.Space[Any], info: Any = None) -> None:
        self.observation_space, self.action_space = observation, action
        self.info: Any = {} if info is None else info

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        super().reset(seed=seed)
        return self.observation_space.sample(), self.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, Any]:
        return self.observation_space.sample(), 0.0, False, False, self.info


# Learning nothing.


def test_what_was_gathered_is_fitted_at_the_end() -> None:
    """The guide's own command: 2,000 steps with a fit every 5,000 were played at random for ever (9.4)."""
    agent = FittedQ("CartPole-v1", model="extra-trees:n_estimators=10,min_samples_leaf=5", n_iterations=5, seed=0)
    agent.learn(2000)
    assert agent.counts.fits[0] == 1
    assert rlplay.evaluate(agent).mean > 40  # random play has 23.7


@pytest.mark.parametrize(
    "agent",
    [
        lambda: FittedQ("CartPole-v1", model="decision-tree", train_freq=50, n_iterations=2, seed=0),
        lambda: LSPI("CartPole-v1", features="rbf-grid:2", train_freq=50, n_iterations=2, seed=0),
        lambda: DAgger("CartPole-v1", teacher="follow-the-pole", train_freq=50, seed=0),
    ],
)
def test_the_rest_is_learned_from_once(agent: Any, tmp_path: Any) -> None:
    """A part of a longer run waits for its fit; the end does not; what is loaded is not fitted to again."""
    part, whole = agent().learn(70, schedule_timesteps=140), agent()
    assert part.counts.fits[0] == 1
    part.learn(70, reset_num_timesteps=False)
    whole.learn(140)
    assert part.counts.fits[0] == whole.counts.fits[0] == 3
    loaded = rlplay.load(whole.save(tmp_path / "whole"))
    loaded.conclude()
    assert loaded.counts.fits[0] == 3
    assert not loaded.busy


@pytest.mark.parametrize("agent_id", registry.agent_ids())
@pytest.mark.parametrize("steps", [1, 7])
def test_a_short_run_learns_or_says_so(agent_id: str, steps: int) -> None:
    """Every registered agent, over a few steps: what it thinks has changed, or one line says why not."""
    env_id, settings = next((case[1], dict(case[3])) for case in CASES if case[0] == agent_id) if any(
        case[0] == agent_id for case in CASES
    ) else ("Pendulum-v1", {"device": "cpu"})  # fmt: skip
    for name in ("n_steps", "batch_size", "train_freq", "learning_starts", "n_envs"):
        settings.pop(name, None)
    if env_id in (LAKE, "rlplay/AccessControl-v0"):
        env_id = "CliffWalking-v1"  # a reward at each step
    agent = registry.agent_class(agent_id)(env_id, seed=0, **settings)
    if agent.needs_model:
        pytest.skip("it plans at each step")
    before = _state(agent)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        agent.learn(steps)
    told = [str(w.message) for w in said if "learned nothing" in str(w.message)]
    assert len(told) <= 1
    if told:
        assert "learn longer" in told[0].lower()
    else:
        after = _state(agent)
        assert agent.models() or any(not np.array_equal(before[name], after[name]) for name in before)


_OF_THE_RUN = (
    "features/", "steps/", "last_", "rollout/", "episode/", "obs", "next_obs", "actions", "rewards", "random/",
    "buffer/", "normali",
)  # fmt: skip


def _state(agent: Agent) -> dict[str, Any]:
    """What an agent has learned: its floats, without what it keeps of the run."""
    kept = {name: array for name, array in agent.arrays().items() if not name.startswith(_OF_THE_RUN)}
    return {name: np.array(array) for name, array in kept.items() if array.dtype.kind == "f"}


MAP = "k-means:8,warm_up=20"


@pytest.mark.parametrize(
    ("agent", "steps", "words"),
    [
        (lambda: PPO("CartPole-v1", seed=0), 600, "a rollout of 2,048 steps (n_steps * n_envs). Lower n_steps"),
        (lambda: Reinforce("CartPole-v1", seed=0), 600, "1,000 steps or more together (batch_size). Lower batch_size"),
        (lambda: SB3PPO("CartPole-v1", device="cpu", seed=0), 60, "a rollout of 2,048 steps"),
        (lambda: DQN("CartPole-v1", device="cpu", seed=0), 60, "after 100 steps (learning_starts)"),
        (lambda: MonteCarlo("CliffWalking-v1", seed=0), 3, "at the end of an episode, and none ended"),
        (lambda: EpisodicControl("CartPole-v1", seed=0), 3, "at the end of an episode, and none ended"),
        (lambda: QLearning("CartPole-v1", features=MAP, seed=0), 20, "after 20 steps. Lower warm_up"),
    ],
)
def test_what_a_short_run_waits_for(agent: Any, steps: int, words: str) -> None:
    """The line says what is waited for, and which setting to change; before the run, where it is known then."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        agent().learn(steps, callback=lambda _: warnings.warn("under way", stacklevel=1))
    told = [str(one.message) for one in said]
    line = next(text for text in told if words in text)
    assert ("will have learned nothing" in line) == (told.index(line) < told.index("under way")) == ("none" not in line)


def test_what_comes_before_the_first_update() -> None:
    """Steps that fit the features come first, and both are named."""
    mapped = agents.DQN("CartPole-v1", features=MAP, learning_starts=9, seed=0)
    assert (mapped.least_steps_to_learn(), PPO("CartPole-v1", n_steps=9, batch_size=9).least_steps_to_learn()) == (
        30,
        9,
    )
    assert "20 steps for its features (warm_up) and more than 9 steps (learning_starts)" in mapped.waits_for()
    assert FittedQ("CartPole-v1", features=MAP).least_steps_to_learn() == 1  # it is fitted at the end of any run
    rollouts = PPO("CartPole-v1", features=MAP, n_steps=9, batch_size=9, seed=0)
    assert "20 steps for its features (warm_up) and a rollout of 9 steps" in rollouts.waits_for()


@pytest.mark.slow
@pytest.mark.parametrize("make", [
    lambda: QLearning("CartPole-v1", features=MAP, seed=0),
    lambda: agents.DQN("CartPole-v1", features=MAP, learning_starts=9, batch_size=4, train_freq=1, seed=0),
    lambda: PPO("CartPole-v1", features=MAP, n_steps=9, batch_size=9, seed=0),
    lambda: SB3PPO("CartPole-v1", n_steps=8, batch_size=8, device="cpu", seed=0),
    lambda: DQN("CartPole-v1", learning_starts=9, train_freq=1, device="cpu", seed=0),
])  # fmt: skip
def test_nothing_is_foretold_of_a_run_that_learns(make: Any) -> None:
    """One timestep more than the longest run that is known to teach nothing, and it has learned."""
    least = make().least_steps_to_learn()
    assert make().learn(least).lessons
    if least > 1:
        with pytest.warns(RlplayWarning, match=f"will have learned nothing in these {least - 1} steps"):
            assert not make().learn(least - 1).lessons


# Arguments.


def test_stable_baselines_order_of_arguments() -> None:
    """``PPO("MlpPolicy", env)`` is what its users type."""
    env = gym.make("CartPole-v1")
    assert PPO("MlpPolicy", env, seed=0).hyperparameters["policy"] == "MlpPolicy"
    assert SB3PPO("MlpPolicy", env, seed=0, device="cpu").hyperparameters["policy"] == "MlpPolicy"


def test_an_entropy_weight_that_is_learned_from_a_start() -> None:
    """Stable-Baselines3's notation, ``auto_0.1``."""
    agent = SAC("Pendulum-v1", ent_coef="auto_0.1", seed=0, device="cpu")
    assert agent.model.log_ent_coef.item() == pytest.approx(math.log(0.1))


def test_a_function_as_schedule_is_short_in_a_repr() -> None:
    """Its 1,025 values stay in the hyperparameters."""
    agent = PPO("CartPole-v1", learning_rate=lambda left: 0.5 * left, seed=0)
    assert "learning_rate=[0.5, ..., 0.0]" in repr(agent)
    assert "net_arch=[64, 64]" in repr(agent)
    assert len(agent.hyperparameters["learning_rate"]) == 1025


Q = lambda: QLearning(LAKE, seed=0)  # noqa: E731

LINES: list[tuple[Any, type[Exception], str]] = [
    (lambda: QLearning("MlpPolicy", LAKE), UsageError, "one argument without a name, the environment"),
    (lambda: PPO("CartPole-v1", 3e-4, 64), UsageError, "Write PPO(env, seed=0), and hyperparameters by name"),
    (lambda: PPO(None), UsageError, 'PPO needs an environment to learn in. For example PPO("CartPole-v1")'),
    (PPO, UsageError, "PPO needs an environment"),
    (lambda: PPO(lerning_rate=1), UnknownNameError, "Did you mean learning_rate?"),
    (lambda: rlplay.evaluate(Q(), 20), UsageError, "Write n_eval_episodes=20"),
    (lambda: rlplay.evaluate(LAKE, Q()), UsageError, "is no agent"),
    (lambda: rlplay.evaluate(Q(), n_eval_episodes=1.5), UsageError, "n_eval_episodes=1.5 is not a whole number"),
    (lambda: rlplay.evaluate(Q(), n_eval_episodes=0), UsageError, "n_eval_episodes=0 is not a whole number"),
    (lambda: rlplay.evaluate(Q(), n_eval_episodes="3"), UsageError, "n_eval_episodes='3'"),
    (lambda: rlplay.evaluate(Q(), max_steps=0), UsageError, "max_steps=0"),
    (lambda: rlplay.evaluate(Q(), seed=-1), UsageError, "seed=-1 is not a whole number in [0, 2^32)"),
    (lambda: rlplay.evaluate(Q(), seed="a"), UsageError, "seed='a'"),
    (lambda: PPO("MlpPolicy"), UsageError, "PPO was given the policy 'MlpPolicy' and no environment. Write PPO(env)"),
    (lambda: SB3PPO("CartPole-v1", ent_coef="auto", device="cpu"), UsageError, "which SAC does alone"),
    (lambda: SAC("Pendulum-v1", ent_coef="auto_0", device="cpu"), UsageError, "ent_coef='auto_0' is not a number"),
    (lambda: SB3PPO("CnnPolicy"), UsageError, "was given the policy 'CnnPolicy' and no environment"),
    (lambda: rlplay.EvalCallback(LAKE, None), UsageError, "one argument without a name, the environment, and was"),
    (lambda: rlplay.EvalCallback(callback_on_new_best=print), UsageError, "EvalCallback takes no callback_on"),
    (lambda: rlplay.EvalCallback(callback_on_new_best=None), UsageError, "Give stop_at=475.0 to stop at a mean return"),
    (lambda: rlplay.EvalCallback(callback_after_eval=None), UsageError, "EvalCallback takes no callback_after_eval"),
    (lambda: rlplay.EvalCallback(verbose=1), UsageError, "EvalCallback takes no verbose. Leave it out; help(rlplay."),
    (lambda: rlplay.CheckpointCallback(9, ".", save_vecnormalize=True), UsageError, "holds its replay buffer and its"),
    *(
        (lambda value=value: QLearning(LAKE, alpha=value), HyperparameterError, "2e-16: nothing would be learned")
        for value in ("lin_0", "lin_1e-30", "lin_0_0", 1e-30, [0.0, 0.0], lambda left: 0.0)
    ),
    (lambda: PPO("CartPole-v1", learning_rate="lin_0"), HyperparameterError, "nothing would be learned"),
    (lambda: PPO("CartPole-v1", clip_range="lin_0"), HyperparameterError, "nothing would be learned"),
    (lambda: rlplay.make(LAKE, is_slippery="nope"), UsageError, "is_slippery='nope' is neither true nor false"),
    (lambda: rlplay.make(LAKE, map_name="9x9"), UsageError, "cannot be made with map_name='9x9': KeyError"),
    (lambda: rlplay.EvalCallback(20), UsageError, "Write n_eval_episodes=20"),
    (lambda: rlplay.EvalCallback(eval_freq=1.5), UsageError, "eval_freq=1.5"),
    (lambda: rlplay.EvalCallback(stop_at="a"), UsageError, "stop_at='a' is not a number"),
    (lambda: Q().learn(10, lambda one, two, three: True), UsageError, "lambda agent: "),
    (lambda: Q().learn(10, [None, "x"]), UsageError, "callback='x' is neither a Callback"),
    (lambda: Q().learn(10, {}), UsageError, "callback={} is neither a Callback"),
    (lambda: Q().learn(10, Callback), UsageError, "Callback is a class. Give an instance: Callback(...)"),
    *(
        (lambda value=value: Q().learn(value), UsageError, f"total_timesteps={value!r} is not a whole number")
        for value in (1.5, "100", 0, -1, None, True, math.inf, math.nan, [3])
    ),
    *(
        (lambda value=value: QLearning(LAKE, seed=value), UsageError, "is not a whole number in [0, 2^32)")
        for value in (1.5, "0", True, -1, 2**32, 3.0, [1], np.array(3))
    ),
    *(
        (lambda value=value: PPO("CartPole-v1").predict(np.array([value, 0, 0, 0])), SpaceError, words)
        for value, words in ((np.nan, "NaN at [0, 0]"), (np.inf, "inf at"), (-np.inf, "-inf at"), (1e300, "1e+300 at"))
    ),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LINES)))
def test_one_clear_line(number: int) -> None:
    """What cannot be taken is one line that names it and the way out."""
    call, kind, words = LINES[number]
    with pytest.raises(kind) as found:
        call()
    assert words in str(found.value)
    assert "\n" not in str(found.value)
    assert isinstance(found.value, RlplayError)


def test_numbers_of_numpy_are_numbers() -> None:
    """Whole numbers come in NumPy's types, and as 10.0."""
    agent = QLearning(LAKE, seed=np.uint8(3)).learn(np.int64(10), rlplay.EvalCallback(eval_freq=np.int64(5)))
    assert agent.num_timesteps == 10
    assert agent.learn(10.0).num_timesteps == 10
    assert len(rlplay.evaluate(agent, n_eval_episodes=np.int64(2)).returns) == 2


def test_numpys_false_stops() -> None:
    """A comparison of NumPy's numbers is no ``False`` of Python's, and ran on for ever."""
    assert Q().learn(1000, lambda agent: np.float64(1.0) < 0.0).num_timesteps < 1000

    class Stop(Callback):
        def on_step(self) -> Any:
            return np.bool_(False)

    assert Q().learn(1000, [None, [Stop()]]).num_timesteps < 1000


@pytest.mark.parametrize("agent", [QLearning, FittedQ])
@pytest.mark.parametrize("info", ["text", 0, []])
def test_an_info_that_is_no_dictionary(agent: Any, info: Any) -> None:
    """It is the environment's fault, said with the episode."""
    world = World(spaces.Discrete(3), spaces.Discrete(2), info)
    settings = {"n_eval_episodes": 0} if agent is FittedQ else {}
    with pytest.raises(EnvironmentFault, match="as info, not a dictionary, in reset of the episode"):
        agent(world, seed=0, **settings).learn(10)


# Memory.


@pytest.mark.parametrize("agent_id", registry.agent_ids())
@pytest.mark.parametrize(
    ("observation", "action"),
    [
        (spaces.Discrete(10**9), spaces.Discrete(3)),
        (spaces.MultiDiscrete([10**9] * 2), spaces.Discrete(3)),
        (spaces.Discrete(3), spaces.Discrete(10**9)),
    ],
)
def test_what_no_machine_holds_is_refused_at_once(
    agent_id: str, observation: Any, action: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table or a network of 477 GiB is refused by its size, before it is allocated."""
    monkeypatch.setattr(errors, "machine_memory", lambda: 2**30)
    if agent_id == "mcts":  # it keeps no table
        pytest.skip("it keeps nothing of that size")
    with pytest.raises(RlplayError) as found:
        registry.agent_class(agent_id)(World(observation, action), seed=0)
    assert "\n" not in str(found.value)
    assert found.value.remedy


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FittedQ("CartPole-v1", buffer_size=10_000_000), "Lower buffer_size"),
        (lambda: DAgger("CartPole-v1", buffer_size=10_000_000), "Lower buffer_size"),
        (lambda: DQN("CartPole-v1", buffer_size=100_000_000, device="cpu"), "Lower buffer_size"),
        (lambda: PPO("CartPole-v1", n_steps=1_000_000, n_envs=8), "Lower n_steps"),
        (lambda: PPO("CartPole-v1", net_arch=[65536, 65536]), "Lower net_arch"),
        (lambda: EpisodicControl("CartPole-v1", memory_size=10_000_000), "Lower memory_size"),
        (lambda: MonteCarlo(gym.make(LAKE, max_episode_steps=10**9)), "max_episode_steps"),
        (lambda: QLearning("CartPole-v1", features="k-means:1000000000"), "fewer clusters"),
        (lambda: LinearSarsa("CartPole-v1", features="tile-coding:16"), "Take fewer features"),
        (lambda: PPO("CartPole-v1", features="pca:2,sample_size=1000000000"), "Lower sample_size"),
    ],
)
def test_hyperparameters_that_take_memory(make: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each names its size and the setting to lower."""
    monkeypatch.setattr(errors, "machine_memory", lambda: 2**22)
    with pytest.raises(UsageError, match="GiB of memory") as found:
        make()
    assert words in str(found.value)


# Advice.


def _bins() -> Any:
    from sklearn.preprocessing import KBinsDiscretizer

    return QLearning("CartPole-v1", features=KBinsDiscretizer())


def _bounded() -> gym.Env[Any, Any]:
    world = World(spaces.Box(-1, 1, (2,)), spaces.Box(-np.inf, np.inf, (1,)))
    return gym.wrappers.TransformAction(world, lambda action: action, spaces.Box(-1, 1, (1,)))


ADVICE: list[tuple[Any, str, Any]] = [
    (lambda: QLearning("CartPole-v1"), 'features="k-means:64"',
     lambda: QLearning("CartPole-v1", features="k-means:64,warm_up=200", seed=0).learn(250)),
    (lambda: MonteCarlo("CartPole-v1"), 'features="tile-coding:1" (--features k-means:64)',
     lambda: MonteCarlo("CartPole-v1", features="tile-coding:1,warm_up=200", seed=0).learn(300)),
    (_bins, "tile-coding:1",
     lambda: QLearning("CartPole-v1", features="tile-coding:1,warm_up=200", seed=0).learn(250)),
    (lambda: LSPI("CartPole-v1", features="tile-coding:8"), "features=rbf-grid:3",
     lambda: LSPI("CartPole-v1", features="rbf-grid:3", n_iterations=2, seed=0).learn(50)),
    (lambda: SB3PPO(World(spaces.Box(-1, 1, (2,)), spaces.Box(-np.inf, np.inf, (1,))), device="cpu"), "TransformAction",
     lambda: SB3PPO(_bounded(), device="cpu", n_steps=8, batch_size=8, seed=0).learn(8)),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(ADVICE)))
def test_advice_exists_and_works(number: int) -> None:
    """An error's way out is something that runs."""
    call, words, advised = ADVICE[number]
    with pytest.raises(UsageError) as found:
        call()
    assert words in str(found.value)
    advised()


# Rules that numba cannot compile.


@in_place
def _adds_text(memory, s, a, r, s_next, a_next, terminated, truncated, progress):  # type: ignore[no-untyped-def]
    memory.q[s, a] += "text"
    return 0.0


@in_place
def _asks_for_nothing(memory, s, a, r, s_next, a_next, terminated, truncated, progress):  # type: ignore[no-untyped-def]
    return memory.nothing_of_this_name


@compiled
def _opens(memory, s, a, r, s_next, a_next, terminated, truncated, progress):  # type: ignore[no-untyped-def]
    with open("file") as file:
        return float(file.read())


@pytest.mark.parametrize("engine", ["auto", "python", "compiled"])
@pytest.mark.parametrize(
    ("learn", "words"),
    [
        (_adds_text, "test_conventions.py, line"),
        (_asks_for_nothing, "Unknown attribute 'nothing_of_this_name'"),
        (_opens, "context manager"),
    ],
)
def test_a_rule_that_numba_cannot_compile(learn: Any, words: str, engine: Any) -> None:
    """One line with file, line and cause in place of numba's page; without its decorator a rule runs in Python."""
    agent = QLearning(LAKE, seed=0)
    agent.rule = LearningRule(act_epsilon_greedy, learn)
    with pytest.raises(UsageError, match="numba cannot compile it") as found:
        agent.learn(10, engine=engine)
    assert words in str(found.value)
    assert "\n" not in str(found.value)
    assert "take its decorator" in str(found.value)


def test_without_its_decorator_a_rule_runs() -> None:
    """The way out that the line names."""

    def learn(memory: Any, s: int, a: int, *rest: Any) -> float:
        memory.q[s, a] += float(f"{1}")
        return 0.0

    agent = QLearning(LAKE, seed=0)
    agent.rule = LearningRule(act_epsilon_greedy, learn)
    assert agent.learn(10).q.sum() == 10.0


def test_callbacks_that_cannot_be_are_named():
    from stable_baselines3.common.callbacks import BaseCallback

    itself = []
    itself.append(itself)
    agent = QLearning("FrozenLake-v1", seed=0)
    for callback, words in ((itself, "holds itself"), (BaseCallback, "BaseCallback is a class. Give an instance")):
        with pytest.raises(UsageError, match=words):
            agent.learn(10, callback)


def test_a_class_that_is_no_environment_yet_is_named():
    with pytest.raises(UsageError, match=r"Env\(\) gave an environment without an observation_space"):
        QLearning(gym.Env)


def test_what_hides_native_dynamics_is_named():
    agent = QLearning(rlplay.make("FrozenLake-v1", bonus="count"), seed=0)
    assert agent.why_not_compiled() == "the wrapper Novelty around FrozenLake-v1 is Python"
