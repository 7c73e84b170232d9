"""A bridge: callbacks of Stable-Baselines3 (Raffin et al. 2021), and functions of its loop's variables, on any agent.

They see what they see there: ``model``, ``num_timesteps``, ``n_calls``, ``training_env``, ``logger``, and in ``locals``
the newest step (``new_obs``, ``rewards``, ``dones``, ``infos``, ``actions``). Those that ask after every step make a
run step by step in Python; evaluations, checkpoints and `EveryNTimesteps` leave it in native code.
"""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.environments.drawn import DrawnWhenAsked
from rlplay.environments.interact import Position, RunningEnv
from rlplay.errors import MissingLocalError, UsageError, missing, warn_once
from rlplay.training.callbacks import NEVER, Callback, stops
from rlplay.training.learner import Learner
from rlplay.training.statistics import FinishedEpisode

# Callbacks that do nothing between multiples of a number of calls, or of timesteps.
_BY_CALLS = {"EvalCallback": "eval_freq", "CheckpointCallback": "save_freq"}
_BY_TIMESTEPS = {"EveryNTimesteps": "n_steps", "LogEveryNTimesteps": "n_steps"}


def is_sb3_callback(callback: Any) -> bool:
    """Whether something is a callback of Stable-Baselines3, or of a class derived from one.

    Example:
        >>> from stable_baselines3.common.callbacks import CheckpointCallback
        >>> is_sb3_callback(CheckpointCallback(100, "logs")), is_sb3_callback(Callback())
        (True, False)
    """
    return is_sb3_class(type(callback))


def is_sb3_class(cls: type) -> bool:
    """Whether a class is Stable-Baselines3's BaseCallback, or derived from it.

    Example:
        >>> is_sb3_class(Callback)
        False
    """
    return any(one.__name__ == "BaseCallback" and one.__module__.startswith("stable_baselines3") for one in cls.__mro__)


def is_function_of_locals(callback: Any) -> bool:
    """Whether something is a function of two arguments, ``locals`` and ``globals``.

    Example:
        >>> is_function_of_locals(lambda locals, globals: True), is_function_of_locals(lambda agent: True)
        (True, False)
    """
    if isinstance(callback, type | Callback) or not callable(callback):
        return False
    try:
        signature = inspect.signature(callback)
        signature.bind(None, None)
    except (TypeError, ValueError):
        return False
    try:
        signature.bind(None)
    except TypeError:
        return True
    return False  # of the agent alone, too


def stops_there(callback: Any, answer: Any) -> bool:
    """Whether what a callback of Stable-Baselines3's returned stops a run; None, which does there, is said to do not.

    Example:
        >>> stops_there(lambda one, two: False, False)
        True
    """
    if answer is None:
        warn_once(
            f"callback={_name_of(callback)} returned None, at which Stable-Baselines3 stops: here False stops, and the "
            "run goes on. Write return True"
        )
    return stops(answer)


class Locals(dict[str, Any]):
    """Variables of a loop as callbacks read them; one that is not there says which are.

    Example:
        >>> Locals(rewards=[1.0])["values"]
        Traceback (most recent call last):
            ...
        rlplay.errors.MissingLocalError: 'values' is not in locals here, which have rewards. Stable-Baselines3's ...
    """

    def __missing__(self, name: str) -> Any:
        if name == "env" and isinstance(self.get("self"), SB3Model):
            return self["self"].get_env()
        raise MissingLocalError(
            f"{name!r} is not in locals here, which have {', '.join(self)}",
            "Stable-Baselines3's own agents have all of its loop: agents.sb3",
        )


class SB3Bridge(Callback):
    """One callback of Stable-Baselines3, or a function of ``locals`` and ``globals``, in a run of any agent.

    Args:
        callback: the callback, or the function; it stops the run by returning False.

    Attributes:
        callback: the callback.

    Example:
        >>> from agents import QLearning
        >>> rewards = []
        >>> def look(locals, globals):
        ...     rewards.append(locals["rewards"][0])
        ...     return len(rewards) < 5
        >>> import rlplay
        >>> env = rlplay.make("CliffWalking-v1", dynamics="gymnasium")
        >>> QLearning(env, seed=0).learn(100, look).num_timesteps
        5
    """

    def __init__(self, callback: Any) -> None:
        self.callback = callback
        self._freq, self._in_calls = _schedule_of(callback)
        self.every_step = self._freq == 0
        self._rows: list[FinishedEpisode] = []
        self._collects = False  # whether a rollout has begun

    def next_due(self, timestep: int) -> int:
        """The next timestep at which it has something to do, where it has nothing between."""
        if self.every_step:
            return NEVER
        if not self._in_calls:
            return max(self.callback.last_time_trigger + self._freq, timestep + 1)
        return (timestep // self._stride + 1) * self._stride

    @property
    def _stride(self) -> int:
        """Timesteps between two calls that do something."""
        return self._freq * (len(self._envs()) if self._in_calls else 1)

    def _envs(self) -> list[Any]:
        found: Any = self.agent
        return found.running_envs()

    def on_training_start(self) -> None:
        """Show it the model, and say once what asking after every step costs."""
        agent, self._begun = self.agent, time.time()
        model = SB3Model(agent)
        self._locals: dict[str, Any] = Locals({
            "self": model, "total_timesteps": self.run.target, "callback": self.callback, "log_interval": None,
            "tb_log_name": name_of_run(agent),
        })  # fmt: skip
        self._rollouts = agent.rollouts
        self._remember_returns()
        if self.every_step and not agent.why_not_compiled():
            warn_once(
                f"callback={_name_of(self.callback)} asks after every step, so {type(agent).__name__} runs in Python: "
                "rlplay.Callback and a function of the agent leave it in native code"
            )
        if _is_function(self.callback):
            return
        observes_raw(self.callback)
        show_model(self.callback, model)
        self.callback.on_training_start(self._locals, {})
        self._begin_rollout()

    def on_episodes(self, rows: list[FinishedEpisode]) -> None:
        """Keep the episodes that ended in the newest step."""
        self._rows = rows

    def on_step(self) -> bool:
        """Tell it of the newest step, where it has something to do."""
        now = self.agent.num_timesteps
        if not self.every_step:
            if self.agent.busy or (now % self._stride if self._in_calls else now < self.next_due(now - 1)):
                return True
            self.callback.n_calls = now // len(self._envs()) - 1
        self._locals.update(self._newest_step())
        if _is_function(self.callback):
            return not stops_there(self.callback, self.callback(self._locals, {}))
        self._begin_rollout()
        self.callback.update_locals(self._locals)
        if stops_there(self.callback, self.callback.on_step()):
            self._collects = False  # there the rollout is left as it is
            return False
        if self.agent.rollouts != self._rollouts:
            self._rollouts = self.agent.rollouts
            self._end_rollout()
        return True

    def on_training_end(self) -> None:
        """The run is over."""
        if not _is_function(self.callback):
            self._end_rollout()
            self.callback.on_training_end()

    def _begin_rollout(self) -> None:
        if not self._collects:
            self._collects = True
            self.callback.on_rollout_start()

    def _end_rollout(self) -> None:
        if self._collects:
            self._collects = False
            self.callback.on_rollout_end()

    def _remember_returns(self) -> None:
        positions = [one.position for one in self._envs()]
        self._before = [(p.length, p.episode_return) if p.obs is not None else (0, 0.0) for p in positions]

    def _newest_step(self) -> dict[str, Any]:
        """The newest step of each environment, as Stable-Baselines3's loops name it."""
        positions, before = [one.position for one in self._envs()], self._before
        if not all(position.last_step for position in positions):
            return self._after_native_code(positions)
        self._remember_returns()
        steps: list[Any] = [position.last_step for position in positions]
        infos = []
        for step, (length, so_far) in zip(steps, before, strict=True):
            info = dict(step.info)
            if step.terminated or step.truncated:
                episode_return = so_far + info.get("extrinsic_reward", step.reward)
                seconds = round(time.time() - self._begun, 6)
                info["episode"] = {"r": episode_return, "l": length + 1, "t": seconds}
                info["terminal_observation"] = step.next_obs
            info["TimeLimit.truncated"] = step.truncated and not step.terminated
            infos.append(info)
        seen = [p.obs if p.obs is not None else step.next_obs for p, step in zip(positions, steps, strict=True)]
        return {
            "rewards": np.array([step.info.get("extrinsic_reward", step.reward) for step in steps], np.float32),
            "dones": np.array([step.terminated or step.truncated for step in steps]), "infos": infos,
            "actions": _stacked([step.action for step in steps]), "new_obs": _stacked(seen),
        }  # fmt: skip

    def _after_native_code(self, positions: list[Position]) -> dict[str, Any]:
        """What is known of the newest step where it was taken in native code: what came before it is not."""
        n, ended = len(positions), {row.timestep: row for row in self._rows}
        found = [ended.get(self.agent.num_timesteps - n + 1 + i) for i in range(n)]
        infos = [dict(position.info) for position in positions]
        for info, row in zip(infos, found, strict=True):
            if row is not None:
                info["episode"] = {"r": row.episode_return, "l": row.length, "t": round(time.time() - self._begun, 6)}
        dones = np.array([row is not None or p.obs is None for row, p in zip(found, positions, strict=True)])
        return {"dones": dones, "infos": infos, "new_obs": _stacked([position.obs for position in positions])}


def _stacked(parts: list[Any]) -> Any:
    """Observations or actions of all environments as a VecEnv holds them: an array, or one a part of a Dict."""
    if isinstance(parts[0], dict):
        return {name: _stacked([one[name] for one in parts]) for name in parts[0]}
    if isinstance(parts[0], tuple):
        return tuple(_stacked(list(part)) for part in zip(*parts, strict=True))
    try:
        return np.stack([np.asarray(one) for one in parts])
    except ValueError:
        return parts  # of different lengths: texts and sequences


def _around(env: Any) -> Iterator[Any]:
    """An environment and those within it."""
    yield env
    while isinstance(env, gym.Wrapper):
        env = env.env
        yield env


def vec_env_of(running_envs: list[RunningEnv]) -> Any:
    """Environments of a run side by side, as Stable-Baselines3 has them: each in a Monitor.

    Raises:
        MissingPackageError: Stable-Baselines3, whose VecEnv it is, is not installed.

    Example:
        >>> from agents import QLearning
        >>> vec_env_of(QLearning("FrozenLake-v1", seed=0).running_envs()).num_envs
        1
    """
    try:
        from stable_baselines3.common.monitor import Monitor
        from stable_baselines3.common.vec_env import DummyVecEnv
    except ImportError as error:
        raise missing("VecEnvs", "stable-baselines3", "sb3") from error

    class Played(Monitor):  # type: ignore[misc]
        def told(self, name: str) -> Any:
            monitors = [one for one in _around(self) if isinstance(one, Monitor)]  # a user's own is further inside
            found = next((told for one in monitors if (told := getattr(Monitor, name)(one))), None)
            if found is None:
                raise UsageError(
                    f"{name}: the run counts its episodes itself, in model.ep_info_buffer",
                    "A Monitor of yours around the environment keeps all of them",
                )
            return found

    for name in ("get_episode_rewards", "get_episode_lengths", "get_episode_times", "get_total_steps"):
        setattr(Played, name, lambda self, name=name: self.told(name))

    class VecEnv(DummyVecEnv):  # type: ignore[misc]
        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            for env in self._get_target_envs(indices):
                env.env.env.set_wrapper_attr(attr_name, value)  # of the environment, not of what is around it here

    return VecEnv([lambda one=one: Played(DrawnWhenAsked(one)) for one in running_envs])


def name_of_run(agent: Learner) -> str:
    """``tb_log_name`` of a running run: that of its folder of TensorBoard's events, by default the agent's class.

    Example:
        >>> from agents import QLearning
        >>> name_of_run(QLearning("FrozenLake-v1", seed=0))
        'QLearning'
    """
    folder = agent.logger.tensorboard
    return type(agent).__name__ if folder is None else str(folder.name).rpartition("_")[0]


def _itself(agent: Any) -> Any:
    return agent


class SB3Model:
    """An agent as Stable-Baselines3's callbacks see their model: all that it has, and its environments in a VecEnv.

    Args:
        agent: the agent.

    Example:
        >>> from agents import QLearning
        >>> model = SB3Model(QLearning("FrozenLake-v1", seed=0))
        >>> model.num_timesteps, model.get_env().num_envs
        (0, 1)
    """

    def __init__(self, agent: Learner) -> None:
        vars(self)["agent"] = agent
        vars(self)["_vec_env"] = None

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        """The agent's, so that ``isinstance(self.model, PPO)`` says yes."""
        return type(self.agent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.agent, name)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A copy is one of the agent."""
        return _itself, (self.agent,)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.agent.hyperparameters:
            warn_once(
                f"{type(self.agent).__name__}.{name} = {value!r:.60} in a callback changes nothing: hyperparameters "
                "are read where the agent is made; schedules (lin_1e-3, or a function) change on their way"
            )
            return
        setattr(self.agent, name, value)

    def get_env(self) -> Any:
        """Its environments side by side, in a VecEnv that nobody steps; it draws them where a picture is asked for."""
        if self._vec_env is None:
            vars(self)["_vec_env"] = vec_env_of(self.agent.running_envs())
        return self._vec_env

    def dump_logs(self, iteration: int = 0) -> None:
        """Write a row of the logs now."""
        self.agent.logger.dump(self.agent.num_timesteps)

    def save(self, path: str | Path) -> Path:
        """Save the agent; where a callback names a zip, its file is an ``.rlp``."""
        path = Path(path)
        return self.agent.save(path.with_suffix(".rlp") if path.suffix == ".zip" else path)


def show_model(callback: Any, model: Any) -> None:
    """Let a callback see a model: its environments are plain ones, whatever stands around those it evaluates in.

    Example:
        >>> from agents import QLearning
        >>> from stable_baselines3.common.callbacks import StopTrainingOnMaxEpisodes
        >>> callback = StopTrainingOnMaxEpisodes(3)
        >>> show_model(callback, SB3Model(QLearning("FrozenLake-v1", seed=0)))
        >>> callback.model.num_timesteps
        0
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Training and eval env are not of the same type")
        callback.init_callback(model)


def observes_raw(callback: Any) -> None:
    """Take VecNormalize off the environment that a callback evaluates in: `predict` normalises what it is given.

    Example:
        >>> from stable_baselines3.common.callbacks import EvalCallback
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> callback = EvalCallback(VecNormalize(make_vec_env("CartPole-v1")))
        >>> observes_raw(callback)
        >>> type(callback.eval_env).__name__
        'DummyVecEnv'
    """
    env = getattr(callback, "eval_env", None)
    if env is not None and type(env).__name__ == "VecNormalize":
        callback.eval_env = env.venv
    for child in ("callback", "callback_on_new_best"):
        if is_sb3_callback(getattr(callback, child, None)):
            observes_raw(getattr(callback, child))


def _is_function(callback: Any) -> bool:
    return not is_sb3_callback(callback)


def _name_of(callback: Any) -> str:
    return getattr(callback, "__name__", type(callback).__name__)


def _schedule_of(callback: Any) -> tuple[int, bool]:
    """Calls, or timesteps, between two at which a callback does something, and whether they are calls; 0 for each."""
    cls = type(callback)
    if cls.__module__ == "stable_baselines3.common.callbacks":
        for table, in_calls in ((_BY_CALLS, True), (_BY_TIMESTEPS, False)):
            if cls.__name__ in table:
                return int(getattr(callback, table[cls.__name__])), in_calls
    return 0, True


def bridged(callback: Any) -> list[Callback]:
    """Bridges for one callback; for a CallbackList of Stable-Baselines3's one each, so that each has its own steps."""
    if type(callback).__name__ == "CallbackList":
        return [one for part in callback.callbacks for one in bridged(part)]
    return [SB3Bridge(callback)]
