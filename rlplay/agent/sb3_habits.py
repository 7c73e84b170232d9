"""What Stable-Baselines3's users ask a model for after it is made, on every agent; `sb3_words`: what it is made with.

``model.get_env()`` of an agent that was made as there, the policy first or in a VecEnv, is a VecEnv; of any other it is
the Gymnasium environment. What a model has there and an agent has not is an AttributeError that names what stands in
its place.

Source: Raffin et al. 2021, "Stable-Baselines3: Reliable Reinforcement Learning Implementations", JMLR 22(268).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.policy_networks import is_ours
from rlplay.agent.sb3_networks import NETWORKS, Asked, is_asked
from rlplay.agent.sb3_normalize import (
    RawObservations,
    Statistics,
    hand_on,
    read_moments,
    read_vecnormalize,
    write_moments,
    write_vecnormalize,
)
from rlplay.environments.interact import RunningEnv
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.side_by_side import normalises, vec_normalize_of
from rlplay.errors import UsageError, counted, no_attribute, warn_once
from rlplay.functional.epsilon_greedy import exploration
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Teacher
from rlplay.hyperparameters.fields import declared
from rlplay.seeding import check_seed, generator, stream
from rlplay.storage import checkpoint
from rlplay.training.logger import Forwarding, Logger
from rlplay.training.sb3_callbacks import vec_env_of
from rlplay.training.statistics import EpisodeStatistics

StateArrays = dict[str, NDArray[Any]]

_NOT_LEARNED = {"metrics", "replay", "rollout", "normaliser/sums", "last_obs", "buffer", "random"}  # of `arrays`

_DRIVEN = "agent.learn does this; for a loop of your own: rlplay.interact, see docs/examples/step_by_step.py"
_MEMORY = "What it remembers is in agent.memory and in its file, whole"
# Of Stable-Baselines3's models and policies, and what to ask an agent for in their place.
ELSEWHERE: dict[str, str] = {
    "policy_class": "It is agent.policy", "action_noise": "Agents that have some say noise_type and noise_std",
    "start_time": "A run's clock is in its logs",
    "_last_obs": "It is agent.position.obs", "_last_episode_starts": "agent.position.obs is None between episodes",
    "replay_buffer": _MEMORY, "rollout_buffer": "The newest is agent.memory.rollout; locals['rewards'] has each step's",
    **dict.fromkeys(("q_net", "q_net_target", "actor", "critic", "actor_target", "critic_target", "log_ent_coef",
                     "ent_coef_optimizer", "optimizer", "mlp_extractor", "features_extractor", "action_net",
                     "value_net", "forward", "parameters", "named_parameters", "get_distribution", "predict_values",
                     "evaluate_actions", "obs_to_tensor", "extract_features", "set_weights", "modules"), NETWORKS),
    **dict.fromkeys(("train", "collect_rollouts", "_setup_model", "_setup_learn", "_update_learning_rate", "dump_logs",
                     "_dump_logs", "_update_info_buffer", "_wrap_env", "_sample_action", "_store_transition",
                     "_update_current_progress_remaining"), _DRIVEN),
}  # fmt: skip


def _exploration_rate(agent: Any) -> float:
    """ε now, which falls before the first update too; 0 before the first step, as there."""
    given = agent.hyperparameters
    if "exploration_fraction" not in given:
        raise no_attribute(agent, "exploration_rate")
    known = agent.metrics().get("train/exploration_rate")
    if known is not None or not agent.num_timesteps or given.get("noisy"):
        return float(known or 0.0)
    ends = given["exploration_initial_eps"], given["exploration_final_eps"]
    return float(exploration(given["exploration_fraction"], *ends, agent.progress))


# What means the same here, by its name there.
_SAME: dict[str, Callable[[Any], Any]] = {
    "_n_updates": lambda agent: agent.lessons,
    "_total_timesteps": lambda agent: agent.horizon,
    "_episode_num": lambda agent: agent.statistics.episodes,
    "_current_progress_remaining": lambda agent: 1.0 - min(agent.progress, 1.0),
    "_vec_normalize_env": lambda agent: agent.get_vec_normalize_env(),
    "_logger": lambda agent: agent.logger,
    "lr_schedule": lambda agent: _schedule(agent, "learning_rate"),
    "exploration_rate": _exploration_rate,
}


def _schedule(agent: Any, name: str) -> Callable[[float], float]:
    """A hyperparameter as a function of what is left of training, 1 at its start and 0 at its end."""
    if name not in agent.hyperparameters and not hasattr(type(agent), name):
        raise no_attribute(agent, f"lr_{name}")
    values = tabulate(getattr(agent, name))
    return lambda left: scheduled(values, 1.0 - left)


def networks_device(agent: Any) -> str:
    """Where an agent's networks are, ``cpu`` or ``cuda``: what its hyperparameter ``device`` came to.

    Example:
        >>> from agents import PPO
        >>> networks_device(PPO("CartPole-v1", device="auto"))
        'cpu'
    """
    network = getattr(agent, "network", "numpy")
    if getattr(agent, "device", "cpu") == "cpu" or not (agent.id.startswith("sb3/") or not is_ours(network)):
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def require_masking(agent: Any, use_masking: bool) -> None:
    """Refuse to learn without the action masks that there are.

    Example:
        >>> from agents import PPO
        >>> require_masking(PPO("CartPole-v1"), False)
    """
    if not use_masking and agent.masks_seen and agent.takes_masks:
        raise UsageError(
            f"{type(agent).__name__}: use_masking=False: it learns with the masks that its environment has",
            "Give an environment without a method action_masks",
        )


class SB3Habits:
    """What a model of Stable-Baselines3 can be asked, on every agent; mixed into `rlplay.Agent`."""

    if TYPE_CHECKING:  # an agent's

        def _of_the_agent(self) -> None:
            self.env: gym.Env[Any, Any]
            self.observation_space: gym.Space[Any]
            self.seed: int
            self.statistics: EpisodeStatistics
            self.hyperparameters: dict[str, Any]
            self.memory: Any
            self._logger: Any
            self.metrics: Callable[[], dict[str, float]]
            self._prediction: np.random.Generator
            self.arrays: Callable[[], StateArrays]
            self.running_envs: Callable[[], list[RunningEnv]]
            self.load: Callable[..., Self]

    def _begin_habits(self, as_there: bool, normalize: Any) -> None:
        """Told once the agent is made: whether it was made as in Stable-Baselines3, and the VecNormalize given."""
        self._as_there, self._vec_env, self._vec_normalize = as_there, None, normalize
        self.raw_observations = RawObservations()
        fields = declared(type(self)).items()  # who teaches is asked when it is time: it may be set later
        self._made_with = {
            name: getattr(self, name, None) for name, one in fields if not isinstance(one.domain, Teacher)
        }
        if normalize is not None:
            hand_on(normalize)
            given = read_vecnormalize(normalize)
            if given.returns[2] > 1.0 or (given.observations is not None and given.observations[2] > 1.0):
                self._write_statistics(given)

    def _goes_on_as_there(self, several: Any) -> None:
        """Told of a made agent that it was given a VecEnv; the VecNormalize in it has the agent's statistics.

        Raises:
            UsageError: it has a VecNormalize, and the agent does not normalise.
        """
        name, found = type(self).__name__, self._read_statistics()
        if found is None and normalises(several):
            raise UsageError(
                f"this {name} learned from observations as they are, and a VecNormalize stands around its environments",
                "Give them without it (env.venv), or train a new agent in it",
            )
        mine = self.hyperparameters.get("n_envs", 1)
        if mine != several.num_envs:
            warn_once(
                f"this {name} plays {counted(mine, 'environment')} as it did, not the {several.num_envs} of the "
                f"{type(several).__name__}: predict takes any number; a new agent learns in others"
            )
        normalize = vec_normalize_of(several)
        self._as_there, self._vec_normalize = True, normalize
        if normalize is not None and found is not None:
            theirs = read_vecnormalize(normalize)
            if theirs.returns[2] > 1.0 and abs(theirs.returns[2] - found.returns[2]) > 1e-3:
                warn_once(
                    f"this {name} goes on with its own means and variances, of {found.returns[2]:,.0f} steps; those of "
                    f"the VecNormalize, of {theirs.returns[2]:,.0f}, are given up"
                )
            hand_on(normalize)
            self._tell_vec_normalize()

    def _say_what_changes_nothing(self) -> None:
        """Say of hyperparameters that were set after the agent was made that they are not read again."""
        for name, value in self._made_with.items():
            now = getattr(self, name, None)
            if now is not value and not (isinstance(value, int | float | str) and now == value):  # equal in a copy
                say_set_too_late(self, name, now)

    # Environments.

    def get_env(self) -> Any:
        """The environment the agent learns in; a VecEnv where the agent was made as in Stable-Baselines3.

        That is: with the policy as its first argument, ``policy="MlpPolicy"``, or in a VecEnv. The VecEnv holds the
        agent's environments, each in a Monitor, and gives observations as they are. `env` is the Gymnasium
        environment always.

        Raises:
            MissingPackageError: Stable-Baselines3, whose VecEnv it is, is not installed.

        Example:
            >>> from agents import PPO
            >>> PPO("CartPole-v1").get_env().reset(seed=0)[0].shape
            (4,)
            >>> env = PPO("MlpPolicy", "CartPole-v1", n_envs=2).get_env()
            >>> env.reset().shape, env.get_attr("render_mode")
            ((2, 4), ['rgb_array', 'rgb_array'])
        """
        if not self._as_there or isinstance(self.env, NoEnvironment):
            return self.env
        running = self.running_envs()
        if self._vec_env is None or [one.env.env for one in self._vec_env.envs] != [one.env for one in running]:
            self._vec_env = vec_env_of(running)
        return self._vec_env

    def get_vec_normalize_env(self) -> Any:
        """A VecNormalize with the agent's statistics: the one that it was given, or one of its own; None for none.

        It hands observations on as they are, since `predict` normalises what it is given; ``save`` writes the file
        that ``VecNormalize.load`` reads.

        Example:
            >>> from agents import PPO
            >>> PPO("MlpPolicy", "CartPole-v1").get_vec_normalize_env()
            >>> PPO("MlpPolicy", "CartPole-v1", normalize=True).get_vec_normalize_env().obs_rms.mean.shape
            (4,)
        """
        found = self._read_statistics()
        if self._vec_normalize is None and found is not None:
            space = self.observation_space
            if found.observations is not None and not isinstance(space, gym.spaces.Box):
                raise UsageError(f"{type(self).__name__}: VecNormalize keeps no statistics of observations in {space}")
            from stable_baselines3.common.vec_env import VecNormalize

            given = self.hyperparameters.get("normalize")
            options = {"gamma": self.hyperparameters.get("gamma", 0.99), **(given if isinstance(given, dict) else {})}
            self._vec_normalize = VecNormalize(vec_env_of(self.running_envs()), **options)
            hand_on(self._vec_normalize)
        self._tell_vec_normalize()
        return self._vec_normalize

    def _tell_vec_normalize(self) -> None:
        """Give the statistics to the VecNormalize that the agent was given, where there is one."""
        found = self._read_statistics()
        if self._vec_normalize is not None and found is not None:
            write_vecnormalize(self._vec_normalize, found)

    def _read_statistics(self) -> Statistics | None:
        """The statistics of observations and returns; None where it does not normalise."""
        moments = getattr(self.memory, "moments", None)
        if moments is None or not (moments.norm_obs or moments.norm_reward):
            return None
        return read_moments(moments, self.observation_space.shape or (-1,))

    def _write_statistics(self, found: Statistics) -> None:
        """Take statistics of another."""
        moments = getattr(self.memory, "moments", None)
        if moments is not None:
            write_moments(moments, found)

    @property
    def ep_info_buffer(self) -> deque[dict[str, float]]:
        """The last 100 episodes as Stable-Baselines3's Monitor tells them: return, length, seconds."""
        rows = zip(self.statistics.recent, self.statistics.seconds, strict=True)
        return deque(({"r": row.episode_return, "l": row.length, "t": t} for row, t in rows), maxlen=100)

    @property
    def ep_success_buffer(self) -> deque[bool]:
        """Whether the last 100 episodes ended with ``info["is_success"]``; empty where native dynamics are played."""
        return self.statistics.successes

    @property
    def rollouts(self: Any) -> int:
        """A number that changes as a rollout ends: with each update; with a replay buffer also before it learns."""
        counters = getattr(self.memory, "counters", None)
        return self.lessons if counters is None else int(counters.rounds[0] - counters.since[0])

    @property
    def rollout_timesteps(self: Any) -> int | None:
        """Timesteps of a rollout, of an agent that learns from one and forgets it; else None."""
        steps, n = getattr(self, "rollout_steps", None), self.hyperparameters.get("n_envs", 1)
        buffer = getattr(vars(self).get("model"), "rollout_buffer", None)  # of Stable-Baselines3's
        return steps() * n if callable(steps) else None if buffer is None else buffer.buffer_size * n

    # Logs, parameters, random numbers.

    @property
    def logger(self) -> Any:
        """Where callbacks note numbers for the next row of the logs: ``agent.logger.record("rollout/height", 2.0)``."""
        return self._logger

    def set_logger(self, logger: Any) -> None:
        """Give the rows of the logs to a logger of Stable-Baselines3, too: ``record`` and ``dump`` are called."""
        self._logger = logger if Logger in type(logger).__mro__ else Forwarding(logger, self.metrics)

    def get_parameters(self) -> StateArrays:
        """A copy of what is learned, by the names of `arrays`: no random states, no buffers, no counters."""
        return {name: np.array(array) for name, array in self._learned().items()}

    def set_parameters(
        self, load_path_or_dict: Mapping[str, Any] | str | Path, exact_match: bool = True, device: str = "auto"
    ) -> None:
        """Take what is learned from another agent's `get_parameters`, or from its file.

        Args:
            load_path_or_dict: arrays by name, or the path of a file.
            exact_match: whether every array must be there.
            device: as in Stable-Baselines3; the agent's own stays.

        Raises:
            CheckpointError: an array is missing, or of another shape or type; nothing is changed.
            UsageError: a name that the agent does not have.
        """
        mine = self._learned()
        if isinstance(load_path_or_dict, str | Path):
            given: Mapping[str, Any] = self.load(load_path_or_dict, self.env).get_parameters()
        else:
            given = load_path_or_dict
        strange = [name for name in given if name not in mine]
        if strange:
            raise UsageError(
                f"{type(self).__name__} has no parameters {strange[0]!r}", f"It has {', '.join(mine) or 'none'}"
            )
        found = {**({} if exact_match else mine), **{name: np.asarray(array) for name, array in given.items()}}
        for dry in (True, False):
            for name, target in mine.items():
                checkpoint.copy_into(name, found, np.array(target) if dry else target)

    def _learned(self) -> StateArrays:
        """The arrays that hold what is learned."""
        return {
            name: array
            for name, array in self.arrays().items()
            if array.dtype.kind == "f" and not _NOT_LEARNED & {name, name.partition("/")[0]}
        }

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin every stream of random numbers anew, from a seed.

        Raises:
            UsageError: no seed.
        """
        self.seed = check_seed(seed)
        for name, array in self.arrays().items():
            if array.dtype == np.uint64 and array.shape[-1:] == (4,):
                for k, one in enumerate(array.reshape(-1, 4)):
                    one[:] = stream(self.seed, f"{name} {k} anew")
        self._prediction = generator(self.seed, "prediction")
        for number, running in enumerate(self.running_envs()):
            running.seeds[:] = stream(self.seed, f"environment {number}" if number else "environment")

    # What is in the agent's own file.

    def save_replay_buffer(self, path: Any) -> None:
        """Nothing: what an agent remembers is in its file; said once."""
        warn_once(f"{type(self).__name__}.save_replay_buffer has no meaning here: save holds what it remembers, too")

    def load_replay_buffer(self, path: Any, truncate_last_traj: bool = True) -> None:
        """Nothing: what an agent remembers came with its file; said once."""
        warn_once(f"{type(self).__name__}.load_replay_buffer has no meaning here: load brings what it remembers, too")

    if not TYPE_CHECKING:  # a name that is mistyped stays one for type checkers

        def __getattr__(self, name: str) -> Any:
            replay = getattr(vars(self).get("memory"), "replay", None) if name == "replay_buffer" else None
            if replay is not None:
                return ReplayView(replay)
            if name in _SAME:
                return _SAME[name](self)
            if is_asked(self, name):
                return Asked(self, name)
            raise self._no_attribute(name)

    def _no_attribute(self, name: str) -> AttributeError:
        return no_attribute(self, name, ELSEWHERE.get(name, ""))


class ReplayView:
    """How full a replay buffer is, as ``model.replay_buffer`` of Stable-Baselines3 tells it.

    Attributes:
        buffer_size: steps of each environment that there is room for.
        n_envs: environments.
        full: whether old steps are forgotten for new ones.

    Example:
        >>> from agents import DQN
        >>> DQN("CartPole-v1", buffer_size=500, learning_starts=50, seed=0).learn(60).replay_buffer.size()
        60
    """

    def __init__(self, replay: Any) -> None:
        self._replay, self.n_envs = replay, len(replay.filled)
        self.buffer_size = len(replay.kinds) // self.n_envs
        self.full = bool(replay.filled.max() >= self.buffer_size)

    def size(self) -> int:
        """Steps of each environment in it."""
        return int((self._replay.kinds > 0).sum()) // self.n_envs

    def __getattr__(self, name: str) -> Any:
        raise no_attribute(self, name, _MEMORY)


def say_set_too_late(agent: Any, name: str, value: Any) -> None:
    """Say once that a hyperparameter set after the agent was made changes nothing."""
    words = f"{value!r}" if isinstance(value, int | float | str | None) else type(value).__name__
    cls = type(agent).__name__
    warn_once(
        f"{cls}.{name} = {words} changes nothing: hyperparameters are read where the agent is made. Save it, and "
        f"{cls}.load(path, {name}={words}) goes on with the new value"
    )
