"""What every agent must keep: each check raises AssertionError with what is wrong, or `NotApplicable`."""

from __future__ import annotations

import contextlib
import inspect
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Discrete

from rlplay import registry
from rlplay.agent import saving
from rlplay.agent.base import Agent
from rlplay.environments.make import make, reference
from rlplay.environments.masks import MaskSource
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import HyperparameterError, RlplayError, missing
from rlplay.hyperparameters.domains import Range, Sizes
from rlplay.hyperparameters.fields import declared
from rlplay.testing.comparison import differences
from rlplay.training.callbacks import Callback
from rlplay.training.evaluation import evaluate

Check = Callable[..., None]


class NotApplicable(Exception):  # noqa: N818 - no error: a runner shows the check as skipped, with these words
    """A check does not apply to an agent in an environment; says why.

    Example:
        >>> check_both_drivers("fitted-q", "CartPole-v1")
        Traceback (most recent call last):
            ...
        rlplay.testing.agent_checks.NotApplicable: fitted-q has no compiled driver: FittedQ collects in Python
    """


def agent_checks() -> list[Check]:
    """All checks, in the order in which failures are easiest to read.

    Example:
        >>> [check.__name__ for check in agent_checks()][:2]
        ['check_documented', 'check_bad_hyperparameters']
    """
    return [
        check_documented,
        check_bad_hyperparameters,
        check_same_seed_same_bits,
        check_both_drivers,
        check_chunks,
        check_own_and_native_dynamics,
        check_predict,
        check_probe_does_not_disturb,
        check_save_and_load,
        check_learn_in_parts,
        check_resume_in_new_process,
        check_files_of_other_agents,
        check_sb3_evaluate_policy,
    ]


def _new(agent_id: str, env: Any, seed: int = 7, **settings: Any) -> Agent:
    return registry.agent_class(agent_id)(env, seed=seed, **settings)


def _few(steps: int) -> int:
    """Timesteps of the checks that leave the compiled driver; an odd share, to end in the middle of things."""
    return max(steps * 7 // 30, 1)


def _equal(first: Agent, second: Agent, what: str) -> None:
    assert not (names := differences(first, second)), f"{first.id}: {what} differ in {', '.join(names)}"


def check_documented(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """The module says idea and source, the class is documented, every hyperparameter has a range and a meaning.

    Example:
        >>> check_documented("q-learning", "FrozenLake-v1")  # silent where it holds
    """
    cls = registry.agent_class(agent_id)
    module = inspect.getdoc(sys.modules[cls.__module__]) or ""
    assert cls.id == agent_id, f"{cls.__name__}.id is {cls.id!r}, registered as {agent_id!r}"
    assert "Source:" in module, f"{cls.__module__} names no source"
    assert inspect.getdoc(cls), f"{cls.__name__} has no docstring"
    parameters = [p for p in inspect.signature(cls).parameters if p not in ("env", "seed")]
    assert set(parameters) == set(declared(cls)), f"{cls.__name__} has parameters without a declared range"
    assert all(p.domain.meaning for p in declared(cls).values()), f"{cls.__name__} has parameters without a meaning"


def check_bad_hyperparameters(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """NaN, text, values outside the range and unknown names are refused with the name, the value and the range.

    Example:
        >>> check_bad_hyperparameters("q-learning", "FrozenLake-v1")
    """
    cls, given = registry.agent_class(agent_id), settings
    with contextlib.suppress(RlplayError):  # where the defaults fit, they are the stricter test: everything is made
        cls(env_id, seed=0)
        given = {}
    for name, parameter in declared(cls).items():
        bad: list[Any] = [float("nan"), "nonsense", {"nonsense": 1}]
        if not isinstance(parameter.domain, Sizes):
            bad.append([])
        if parameter.default is not None:
            bad.append(None)
        if isinstance(parameter.domain, Range):
            bad += [value for value in (parameter.domain.low - 1, parameter.domain.high + 1) if np.isfinite(value)]
        for value in bad:
            try:
                cls(env_id, seed=0, **{**given, name: value})
            except HyperparameterError as error:
                assert isinstance(error, ValueError)
                assert name in str(error) or repr(value) in str(error), f"{error} names neither {name} nor {value!r}"
            else:
                raise AssertionError(f"{cls.__name__} takes {name}={value!r}")
    try:
        cls(env_id, seed=-1)
    except HyperparameterError:
        pass
    else:
        raise AssertionError(f"{cls.__name__} takes seed=-1")


def check_same_seed_same_bits(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Two runs from one seed end in the same bits; another seed explores otherwise.

    Example:
        >>> check_same_seed_same_bits("q-learning", "FrozenLake-v1", steps=300)
    """
    first = _new(agent_id, env_id, **settings).learn(steps)
    _equal(first, _new(agent_id, env_id, **settings).learn(steps), "two runs from one seed")
    if first.rule is not None:
        other = _new(agent_id, env_id, seed=8, **settings).learn(steps)
        assert differences(first, other) != ["seed"], f"{agent_id}: the seed changes nothing"


def check_both_drivers(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """The compiled and the stepwise driver end in the same bits.

    Example:
        >>> check_both_drivers("q-learning", "FrozenLake-v1", steps=300)
    """
    first, second = _new(agent_id, env_id, **settings), _new(agent_id, env_id, **settings)
    if why := first.why_not_compiled():
        raise NotApplicable(f"{agent_id} has no compiled driver: {why}")
    _equal(first.learn(steps, engine="compiled"), second.learn(steps, engine="python"), "the compiled and stepwise run")


def check_chunks(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """A callback that interrupts at odd steps changes nothing.

    Example:
        >>> check_chunks("q-learning", "FrozenLake-v1", steps=300)
    """

    class Odd(Callback):
        def next_due(self, timestep: int) -> int:
            return timestep + 1 + timestep % 37

    whole, chopped = _new(agent_id, env_id, **settings), _new(agent_id, env_id, **settings)
    _equal(whole.learn(steps), chopped.learn(steps, Odd()), "chunks of other sizes")


def check_own_and_native_dynamics(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Native dynamics that are said to be the same numbers as Gymnasium's end in the same bits.

    Example:
        >>> check_own_and_native_dynamics("q-learning", "FrozenLake-v1", steps=300)
    """
    native = _new(agent_id, make(env_id), **settings)
    ref = reference(native.env)
    if not (ref.dynamics.startswith("native") and ref.exact):
        raise NotApplicable(f"{env_id} has no native dynamics with the same numbers: {ref.dynamics}")
    own = _new(agent_id, make(env_id, dynamics="gymnasium"), **settings)
    _equal(native.learn(_few(steps)), own.learn(_few(steps)), "native and Gymnasium's dynamics")


def check_predict(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Actions are in the space, NumPy's integers of Discrete; single and batched ones agree; greedy ones repeat.

    Example:
        >>> check_predict("q-learning", "FrozenLake-v1", steps=300)
    """
    agent = _new(agent_id, env_id, **settings).learn(steps)
    env = agent.env
    obs, _ = env.reset(seed=0)
    for deterministic in (True, False):
        action, state = agent.predict(obs, deterministic=deterministic)
        assert env.action_space.contains(action), f"{agent_id}: {action!r} is not in {env.action_space}"
        if isinstance(env.action_space, Discrete):
            assert isinstance(action, np.integer), f"{agent_id}: {type(action)} has no item()"
        assert (state is None) != agent.remembers
    if not isinstance(obs, tuple | dict):
        batch, _ = agent.predict(np.array([obs, obs, obs]), deterministic=True)
        single, _ = agent.predict(obs, deterministic=True)
        assert len(batch) == 3, f"{agent_id}: a batch of 3 gives {len(batch)} actions"
        alike = all(np.allclose(one, single, atol=1e-4) for one in batch)  # float32 rounds a batch otherwise
        assert alike, f"{agent_id}: a batch gives other actions"
    for bad in (np.full((2, 3, 4, 5), 0), "text", None):
        try:
            agent.predict(bad)
        except RlplayError:
            continue
        raise AssertionError(f"{agent_id}: predict takes {bad!r}")


def check_probe_does_not_disturb(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Probing, predicting and evaluating in the middle of a run change nothing in it.

    Example:
        >>> check_probe_does_not_disturb("q-learning", "FrozenLake-v1", steps=300)
    """
    other = make(env_id)

    class Nosy(Callback):
        agent: Agent

        def next_due(self, timestep: int) -> int:
            return timestep + 500

        def on_step(self) -> None:
            obs, _ = other.reset(seed=1)
            self.agent.probe(obs)
            self.agent.predict(obs)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                evaluate(self.agent, other, 1, max_steps=50)

    _equal(
        _new(agent_id, env_id, **settings).learn(steps),
        _new(agent_id, env_id, **settings).learn(steps, Nosy()),
        "a watched and an unwatched run",
    )


def check_save_and_load(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """A loaded agent is the saved one, through its class and through `rlplay.load`, with and without an environment.

    Example:
        >>> check_save_and_load("q-learning", "FrozenLake-v1", steps=300)
    """
    agent = _new(agent_id, env_id, **settings).learn(steps)
    with tempfile.TemporaryDirectory() as folder:
        path = agent.save(Path(folder) / "a file with spaces and ünïcode")
        _equal(agent, type(agent).load(path), "the saved and the loaded agent")
        _equal(agent, saving.load(path, env_id), "the saved agent and one loaded with an environment")
        if agent.needs_model:
            return
        spaces_only = NoEnvironment(agent.observation_space, agent.action_space, env_id)
        env = make(env_id)
        obs, info = env.reset(seed=3)
        mask = MaskSource(env).of(info) if agent.masks_seen else None  # it is not known without the environment
        told: dict[str, Any] = {} if mask is None else {"action_masks": mask}
        both = agent, saving.load(path, spaces_only)
        actions = [one.predict(obs, deterministic=True, **told)[0] for one in both]
        assert np.array_equal(*actions), f"{agent_id}: loaded without its environment it acts otherwise"


def check_learn_in_parts(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """learn(n, schedule_timesteps=2n) and learn(n, reset_num_timesteps=False) equal learn(2n).

    Example:
        >>> check_learn_in_parts("q-learning", "FrozenLake-v1", steps=300)
    """
    few, parts = _few(steps), _new(agent_id, env_id, **settings)
    whole = _new(agent_id, env_id, **settings).learn(2 * few)
    parts.learn(few, schedule_timesteps=2 * few).learn(few, reset_num_timesteps=False)
    _equal(whole, parts, "a run in one and in two parts")


_RESUME = """
import sys
from rlplay.agent import saving
for path, engine in zip(sys.argv[2::2], sys.argv[3::2]):
    agent = saving.load(path)
    agent.learn(int(sys.argv[1]), reset_num_timesteps=False, engine=engine)
    agent.save(path)
"""


def check_resume_in_new_process(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Saved in the middle of an episode and resumed in a new process, a run ends in the same bits, in both drivers.

    Example:
        >>> check_resume_in_new_process("q-learning", "FrozenLake-v1", steps=300)
    """
    ways = [("auto", "auto"), ("python", "gymnasium")]
    if _new(agent_id, env_id, **settings).why_not_compiled():
        ways = ways[:1]
    with tempfile.TemporaryDirectory() as folder:
        command, few = [sys.executable, "-c", _RESUME, str(_few(steps))], _few(steps)
        for engine, dynamics in ways:
            half = _new(agent_id, make(env_id, dynamics=dynamics), **settings)  # type: ignore[arg-type]
            half.learn(few, engine=engine, schedule_timesteps=2 * few)  # type: ignore[arg-type]
            command += [str(half.save(Path(folder) / f"{engine}.rlp")), engine]
        done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), check=False)
        assert done.returncode == 0, f"{agent_id}: resuming failed\n{done.stderr}"
        assert "warning" not in done.stderr.lower(), f"{agent_id}: resuming said {done.stderr}"
        for engine, dynamics in ways:
            straight = _new(agent_id, make(env_id, dynamics=dynamics), **settings)  # type: ignore[arg-type]
            straight.learn(2 * few, engine=engine)  # type: ignore[arg-type]
            resumed = type(straight).load(Path(folder) / f"{engine}.rlp")
            _equal(straight, resumed, f"a straight and a resumed run ({engine}, {dynamics} dynamics)")


def check_files_of_other_agents(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Another agent's file is refused with both names.

    Example:
        >>> check_files_of_other_agents("q-learning", "FrozenLake-v1")
    """
    others = [other for other in registry.agent_ids() if other != agent_id]
    agent = _new(agent_id, env_id, **settings)
    with tempfile.TemporaryDirectory() as folder:
        path = agent.save(Path(folder) / "mine.rlp")
        for other in others:
            try:
                registry.agent_class(other).load(path)
            except RlplayError as error:
                assert agent_id in str(error), f"{error} does not name {agent_id}"
                assert other in str(error), f"{error} does not name {other}"
            else:
                raise AssertionError(f"{other} loads a file of {agent_id}")


def check_sb3_evaluate_policy(agent_id: str, env_id: str, steps: int = 3000, **settings: Any) -> None:
    """Stable-Baselines3's own evaluate_policy takes the agent as it is.

    Example:
        >>> check_sb3_evaluate_policy("q-learning", "FrozenLake-v1", steps=300)
    """
    try:
        from stable_baselines3.common.evaluation import evaluate_policy
        from stable_baselines3.common.monitor import Monitor
    except ImportError as error:
        raise missing("checks beside Stable-Baselines3", "stable-baselines3", "sb3") from error

    agent = _new(agent_id, env_id, **settings).learn(steps)
    env = Monitor(make(env_id, dynamics="gymnasium", max_episode_steps=200))
    rewards, lengths = evaluate_policy(agent, env, n_eval_episodes=3, return_episode_rewards=True)
    assert len(rewards) == len(lengths) == 3
