"""Stable-Baselines3 behind the same door: its algorithms, trained, watched, saved and resumed like every other agent.

``SB3("PPO", env, n_steps=128)`` holds a Stable-Baselines3 model and lets it do what it does: its own
``collect_rollouts`` and ``train``, in its own order, so that the weights are those of Stable-Baselines3 used directly
on the same environments. Added are any number of steps at a time, an exact resume in a new process, files without
pickle, probes, feature maps, and random numbers of its own.

Source: Raffin et al. 2021, "Stable-Baselines3: Reliable Reinforcement Learning Implementations", JMLR 22(268). The
algorithms: PPO (Schulman et al. 2017), A2C (Mnih et al. 2016), DQN (Mnih et al. 2015), SAC (Haarnoja et al. 2018),
TD3 (Fujimoto et al. 2018), DDPG (Lillicrap et al. 2016).

Deviations from Stable-Baselines3: a run stops at the timestep asked for, also in the middle of a rollout, and goes on
there; each episode has a seed of its own; schedules run over the first total and stay at their last value beyond it.
"""

from __future__ import annotations

import copy
import inspect
from collections import deque
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
import stable_baselines3
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise, VectorizedActionNoise
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rlplay import Agent, Probe
from rlplay.agent.base import StateArrays
from rlplay.training.learner import Engine
from rlplay.approximation.feature_map import BoundFeatures
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.interact import RunningEnv, ObservationCheck, Position, begin_episode, take_step
from rlplay.environments.make import EnvLike
from rlplay.errors import CheckpointError, HyperparameterError, SpaceError, unknown
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Choice, Either, Range, Settings
from rlplay.hyperparameters.types import Discount, FeaturesLike, LearningRate
from rlplay.networks.torch_state import RandomStates, pack_module, pack_optimizer, unpack_module, unpack_optimizer
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import batch_of

# What Stable-Baselines3's parameters mean and which values they take.
_RULES: dict[str, Any] = {
    "learning_rate": LearningRate.__metadata__[0],  # type: ignore[attr-defined]
    "gamma": Discount.__metadata__[0],  # type: ignore[attr-defined]
    "n_steps": Range("steps a rollout in each environment; for replay buffers, steps of a return", 1, integer=True),
    "batch_size": Range("samples a gradient step", 1, integer=True),
    "n_epochs": Range("passes over a rollout", 1, integer=True),
    "gae_lambda": Range("λ of generalised advantage estimation", 0, 1),
    "clip_range": Range("how far the ratio of probabilities may leave 1", 0, open_low=True, schedule=True),
    "clip_range_vf": Either((None,), Range("how far values may move a rollout", 0, open_low=True, schedule=True)),
    "normalize_advantage": Choice("divide advantages by their deviation in the batch", (True, False)),
    "ent_coef": Either(("auto",), Range("weight of the policy's entropy; SAC: auto learns it", 0)),
    "vf_coef": Range("weight of the value loss", 0),
    "max_grad_norm": Range("longest gradient", 0, open_low=True),
    "target_kl": Either((None,), Range("divergence of the policy at which a rollout's epochs end", 0, open_low=True)),
    "use_sde": Choice("explore by noise that depends on the state", (True, False)),
    "sde_sample_freq": Range("steps between draws of that noise; -1: once a rollout", -1, integer=True),
    "use_sde_at_warmup": Choice("use that noise before learning starts", (True, False)),
    "rms_prop_eps": Range("ε of RMSProp", 0, open_low=True),
    "use_rms_prop": Choice("RMSProp in place of Adam", (True, False)),
    "buffer_size": Range("transitions that are remembered", 1, integer=True),
    "learning_starts": Range("timesteps of random actions before learning", 0, integer=True),
    "tau": Range("how far the target network moves an update", 0, 1),
    "train_freq": Either((), Range("steps between updates, or [n, episode]", 1, integer=True), ("step", "episode")),
    "gradient_steps": Range("gradient steps an update; -1: as many as steps were taken", -1, integer=True),
    "optimize_memory_usage": Choice("keep each observation once", (False,)),
    "target_update_interval": Range("steps between updates of the target network", 1, integer=True),
    "exploration_fraction": Range("share of training over which ε falls", 0, 1),
    "exploration_initial_eps": Range("ε at the start", 0, 1),
    "exploration_final_eps": Range("ε at the end", 0, 1),
    "target_entropy": Either(("auto",), Range("entropy that SAC's coefficient aims at")),
    "policy_delay": Range("critic updates between policy updates", 1, integer=True),
    "target_policy_noise": Range("deviation of the noise on target actions", 0),
    "target_noise_clip": Range("bound of that noise", 0),
    "policy_kwargs": Either((None,), Settings("arguments of the policy: net_arch, activation_fn (nn.ReLU), ...")),
    "device": Choice("where the networks run", ("auto", "cpu", "cuda")),
}
_POLICIES = ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy")
# What the adapter adds, with its defaults. Names as in RL Zoo's files.
_OWN: dict[str, tuple[Any, Any]] = {
    "policy": (Choice("kind of policy; auto: by the observations", _POLICIES), "auto"),
    "n_envs": (Range("environments that are played at once", 1, 1024, integer=True), 1),
    "normalize": (Either((True, False), Settings("VecNormalize, or its arguments: norm_obs, norm_reward, ...")), False),
    "noise_type": (Choice("noise on actions (SAC, TD3, DDPG)", (None, "normal", "ornstein-uhlenbeck")), None),
    "noise_std": (Range("its standard deviation", 0), 0.1),
}  # fmt: skip
_ACTIVATIONS = {f"nn.{cls.__name__}": cls for cls in (torch.nn.ReLU, torch.nn.Tanh, torch.nn.ELU, torch.nn.LeakyReLU)}
_CONTINUOUS, _DISCRETE = ("SAC", "TD3", "DDPG"), ("DQN",)
_COUNTERS = ("_n_updates", "_episode_num", "_n_calls", "exploration_rate", "_current_progress_remaining")


class _Silent(BaseCallback):  # type: ignore[misc]
    """The callback that Stable-Baselines3's loops ask for."""

    def _on_step(self) -> bool:
        return True


class _SeededEpisodes(gym.Env[Any, Any]):
    """One environment as Stable-Baselines3 steps it: episodes seeded from the run, every step checked and counted."""

    def __init__(self, agent: SB3Agent, lane: RunningEnv) -> None:
        self._agent, self._lane, self._check = agent, lane, ObservationCheck(lane.env)
        self.observation_space, self.metadata = lane.env.observation_space, lane.env.metadata
        self.action_space = copy.deepcopy(lane.env.action_space)  # it is sampled from in training

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with a seed of the run's own."""
        env, position, seeds = self._lane
        begin_episode(env, position, random_seed(seeds), self._check)
        return position.obs, position.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        env, position, _ = self._lane
        if not action.shape:
            action = action.item()
        _, _, reward, obs, terminated, truncated, info = take_step(env, position, action, self._check)
        self._agent._stepped(position, obs, terminated or truncated)
        return obs, reward, terminated, truncated, info


class _Mapped(BaseFeaturesExtractor):  # type: ignore[misc]
    """A feature map as the first layer of a policy; buffers keep raw observations, and no refit makes them stale."""

    def __init__(self, observation_space: gym.Space[Any], feature_map: BoundFeatures) -> None:
        super().__init__(observation_space, feature_map.size)
        self._map = [feature_map]  # in a list, since it is no module

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """The features of a batch [B, ...], float32 [B, F]."""
        rows = observations.detach().cpu().numpy().reshape(len(observations), -1)
        return torch.from_numpy(self._map[0].transformed(rows)).to(observations.device)


class SB3Agent(Agent):
    """An algorithm of Stable-Baselines3 as an agent; made by `SB3` or by its own class (`PPO`, `A2C`, ...).

    Attributes:
        model: the Stable-Baselines3 model; None until the features are fitted, where there are some.
        vec_env: the environments as it sees them.
    """

    algorithm: ClassVar[type[Any]]
    chunk_seconds = 0.25  # each part of a rollout costs one more pass of the value network
    model: Any = None

    def __init_subclass__(cls) -> None:
        """Declare the algorithm's own parameters, with its own defaults."""
        own = inspect.signature(cls.algorithm).parameters
        rules = {name: (_RULES[name], own[name].default) for name in own if name in _RULES} | _OWN
        if cls.algorithm.__name__ not in _CONTINUOUS:
            del rules["noise_type"], rules["noise_std"]
        keyword = inspect.Parameter.KEYWORD_ONLY
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter("env", inspect.Parameter.POSITIONAL_OR_KEYWORD),
                *(
                    inspect.Parameter(name, keyword, default=default, annotation=Annotated[Any, rule])
                    for name, (rule, default) in rules.items()
                ),
                inspect.Parameter("features", keyword, default=None, annotation=FeaturesLike),
                inspect.Parameter("seed", keyword, default=None),
            ]
        )

    def __init__(self, env: EnvLike, *, seed: int | None = None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        self._name = self.algorithm.__name__
        self._actions = FiniteSpace(self.action_space) if is_finite(self.action_space) else None
        self._settings = {p.name: p.default for p in inspect.signature(type(self)).parameters.values()}
        self._settings.update(self.hyperparameters)
        self._require_spaces()
        self._random, self._private = RandomStates(self.seed), RandomStates(self.seed)
        self._window = 0  # steps (or episodes) since the last update of an off-policy algorithm
        self._collected = 0  # steps of all environments in that window
        self._running_envs = self.make_running_envs(self._settings["n_envs"])
        self.vec_env: Any = DummyVecEnv([lambda lane=lane: _SeededEpisodes(self, lane) for lane in self._running_envs])
        if self._settings["features"] is not None:
            features = self._settings["features"]
            self.features = features.bound(self.observation_space, self._name, self.seed, "vector")
        if self._settings["normalize"]:
            options = {} if self._settings["normalize"] is True else self._settings["normalize"]
            try:
                self.vec_env = VecNormalize(self.vec_env, **{"gamma": self._settings["gamma"], **options})
            except (TypeError, ValueError) as error:
                raise HyperparameterError(f"{self._name}: normalize={options!r} cannot be: {error}") from error
        if self.features is None or self.features.ready:
            with self._random():
                self._build()

    # The environments.

    def _require_spaces(self) -> None:
        action, observation, spaces = self.action_space, self.observation_space, gym.spaces
        if self._name in _DISCRETE and not isinstance(action, spaces.Discrete):
            raise SpaceError(f"{self._name} needs Discrete actions and {action} is not", "Take SAC, TD3, PPO or A2C")
        if self._name in _CONTINUOUS and not isinstance(action, spaces.Box):
            raise SpaceError(f"{self._name} needs Box actions and {action} is not", "Take DQN, PPO or A2C")
        if not isinstance(action, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
            raise SpaceError(f"Stable-Baselines3 takes no {action} as actions", "Flatten it: one Discrete or Box")
        if isinstance(action, spaces.Discrete) and action.start != 0:
            raise SpaceError(
                f"Stable-Baselines3 counts actions from 0 and {action} does not", "Wrap it so that it does"
            )
        if isinstance(action, spaces.Box) and not (np.isfinite(action.low).all() and np.isfinite(action.high).all()):
            raise SpaceError(f"{self._name} needs bounded actions and {action} is not", "Wrap it: RescaleAction")
        if isinstance(observation, spaces.Tuple):
            raise SpaceError(
                f"Stable-Baselines3 takes no {observation} as observations",
                "Take a tabular agent, or flatten it: gymnasium.wrappers.FlattenObservation",
            )
        if self._settings["features"] is not None and self._settings["normalize"]:
            raise HyperparameterError("features and normalize both scale observations", "Take one of them")
        most, batch = self._settings.get("buffer_size"), self._settings.get("batch_size")
        rollout = self._settings["n_steps"] * self._settings["n_envs"]
        most = rollout if most is None and "n_steps" in self._settings else most
        if batch is not None and batch > most:
            raise HyperparameterError(
                f"{self._name}: batch_size={batch} is more than the {most} transitions there are",
                "Raise n_steps, n_envs or buffer_size, or lower batch_size",
            )

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    def _stepped(self, position: Position, obs: Any, ended: bool) -> None:
        """Called by each environment after each of its steps."""
        self.num_timesteps += 1
        if self.features is not None:
            self.features.remember(obs)
        if ended:
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps)

    # Learning.

    def _build(self) -> None:
        """Make the Stable-Baselines3 model; its constructor seeds the random states that are in use."""
        settings = {k: v for k, v in self._settings.items() if k in _RULES}
        for name in ("learning_rate", "clip_range", "clip_range_vf"):
            if isinstance(settings.get(name), str | list) or callable(settings.get(name)):
                settings[name] = _Schedule(settings[name])
        if isinstance(settings.get("train_freq"), list):
            settings["train_freq"] = tuple(settings["train_freq"])
        kwargs = copy.deepcopy(settings.get("policy_kwargs") or {})
        for name, value in kwargs.items():
            kwargs[name] = _ACTIVATIONS.get(value, value) if isinstance(value, str) else value
        if self.features is not None:
            kwargs.update(features_extractor_class=_Mapped, features_extractor_kwargs={"feature_map": self.features})
        if self._settings.get("noise_type"):
            size, std = np.zeros(self.action_space.shape or ()), float(self._settings["noise_std"])
            kind = NormalActionNoise if self._settings["noise_type"] == "normal" else OrnsteinUhlenbeckActionNoise
            noise = kind(size, size + std)
            settings["action_noise"] = (
                VectorizedActionNoise(noise, len(self._running_envs)) if len(self._running_envs) > 1 else noise
            )
        settings["policy_kwargs"] = kwargs or None
        policy = self._settings["policy"] if self._settings["policy"] != "auto" else self._policy()
        try:
            self.model = self.algorithm(policy, self.vec_env, seed=self.seed, **settings)
        except (AssertionError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            given = f" and policy_kwargs={kwargs}" if kwargs else ""
            raise HyperparameterError(
                f"{self._name} cannot be made with these settings{given}: {' '.join(str(error).split())}",
                f"See rlplay show {self.id}",
            ) from error
        self.model.set_logger(Logger(None, []))
        self.model.ep_info_buffer, self.model.ep_success_buffer = deque(maxlen=100), deque(maxlen=100)
        self._callback = _Silent()
        self._callback.init_callback(self.model)
        self._on_policy = isinstance(self.model, OnPolicyAlgorithm)
        if self._on_policy:
            self.model.rollout_buffer.reset()

    def _policy(self) -> str:
        from stable_baselines3.common.preprocessing import is_image_space

        if isinstance(self.observation_space, gym.spaces.Dict):
            return "MultiInputPolicy"
        return "CnnPolicy" if is_image_space(self.observation_space) else "MlpPolicy"

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Collect and train as Stable-Baselines3 does, at most this many steps (rounded up to all environments once).

        With state-dependent exploration at least one rollout, whose noise cannot be divided.
        """
        before, count = self.num_timesteps, len(self._running_envs)
        try:
            with self._random():
                if self._running_envs[0].position.obs is None or (
                    self.model is not None and self.model._last_obs is None
                ):
                    self._reset()
                while self.num_timesteps - before < timesteps:
                    rounds = -(-(timesteps - (self.num_timesteps - before)) // count)
                    if self.features is not None and not self.features.ready:
                        self._warm_up()
                        continue
                    self.model.num_timesteps = self.num_timesteps
                    self.model._total_timesteps = max(self.horizon, 1)
                    (self._collect_on_policy if self._on_policy else self._collect_off_policy)(rounds)
        except Exception:
            if count > 1:  # some of them have taken the step and some have not
                self.give_up_episode()
            raise
        return self.num_timesteps - before

    def _reset(self) -> None:
        obs = self.vec_env.reset()
        self._stand_at(obs, np.ones(len(self._running_envs), bool))

    def _stand_at(self, obs: Any, starts: NDArray[np.bool_]) -> None:
        """The observations from which the next step is taken."""
        self._obs, self._starts = obs, starts
        if self.model is not None:
            self.model._last_obs, self.model._last_episode_starts = self._transposed(obs), starts
            if isinstance(self.vec_env, VecNormalize):
                self.model._last_original_obs = self.vec_env.get_original_obs()

    def _transposed(self, obs: Any) -> Any:
        """Observations as the model's own outermost wrapper gives them: images with channels first."""
        env = self.model.env
        return env.observation(obs) if env is not self.vec_env and hasattr(env, "observation") else obs

    def _warm_up(self) -> None:
        assert self.features is not None
        actions = np.array([self.random_action(self.features.rng) for _ in self._running_envs])
        obs, _, dones, _ = self.vec_env.step(actions)
        if self.features.due():
            self.features.fit()
            self._build()
        self._stand_at(obs, dones)

    def _collect_on_policy(self, rounds: int) -> None:
        model, buffer = self.model, self.model.rollout_buffer
        whole = model.n_steps - buffer.pos
        part = whole if model.use_sde else min(rounds, whole)
        # A part of a rollout: what came before is not forgotten, and advantages wait until it is whole.
        buffer.reset = lambda: None
        if part < whole:
            buffer.compute_returns_and_advantage = lambda **_: None
        try:
            model.collect_rollouts(model.env, self._callback, buffer, n_rollout_steps=part)
        finally:
            vars(buffer).pop("compute_returns_and_advantage", None)
            del buffer.reset
        if buffer.full:
            model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
            model.train()
            buffer.reset()
            self._refit_if_due()

    def _collect_off_policy(self, rounds: int) -> None:
        model, (frequency, unit) = self.model, self.model.train_freq
        by_step, episodes = unit == TrainFrequencyUnit.STEP, model._episode_num
        part = (frequency if model.use_sde else min(rounds, frequency - self._window)) if by_step else 1
        rollout = model.collect_rollouts(
            model.env,
            self._callback,
            TrainFreq(part, TrainFrequencyUnit.STEP),
            model.replay_buffer,
            action_noise=model.action_noise,
            learning_starts=model.learning_starts,
        )
        self._window += part if by_step else model._episode_num - episodes
        self._collected += rollout.episode_timesteps
        if self._window >= frequency:
            if model.num_timesteps > model.learning_starts:
                steps = model.gradient_steps if model.gradient_steps >= 0 else self._collected
                if steps > 0:
                    model.train(batch_size=model.batch_size, gradient_steps=steps)
            self._window = self._collected = 0
        self._refit_if_due()

    def _refit_if_due(self) -> None:
        if self.features is not None and self.features.due():
            self._refit()

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        for lane in self._running_envs:
            lane.position.clear()
        self._window = self._collected = 0
        if self.model is not None:
            self.model._last_obs = None
            if self._on_policy:
                self.model.rollout_buffer.reset()

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env)
        self._running_envs[:] = self.make_running_envs(self._settings["n_envs"])
        for wrapped, lane in zip(self.vec_env.unwrapped.envs, self._running_envs, strict=True):
            wrapped._lane, wrapped._check = lane, ObservationCheck(lane.env)

    def why_not_compiled(self) -> str:
        """Stable-Baselines3 is Python."""
        return "Stable-Baselines3 runs in Python"

    def metrics(self) -> dict[str, float]:
        """What Stable-Baselines3 logged of its last update."""
        values = self.model.logger.name_to_value if self.model is not None else {}
        return {name: float(value) for name, value in values.items() if name.startswith("train/")}

    # Acting.

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """Stable-Baselines3's own predict, with random numbers of its own; random actions before there is a model."""
        _, single = batch_of(self.observation_space, observation, self._name)
        if self.model is None:
            count = 1 if single else len(observation)
            with self._private():
                actions = np.array([self.vec_env.action_space.sample() for _ in range(count)])
            return (actions[0] if single else actions), state
        obs = self._normalized(observation)
        if deterministic:
            return self.model.predict(obs, state, episode_start, deterministic=True)
        space = self.model.action_space
        kept = copy.deepcopy(space._np_random.bit_generator.state) if space._np_random is not None else None
        try:
            with self._private():
                return self.model.predict(obs, state, episode_start, deterministic=False)
        finally:
            if kept is not None:
                space._np_random.bit_generator.state = kept

    def probe(self, observation: Any) -> Probe:
        """Q values (DQN), probabilities or mean and deviation, and the value: what the algorithm really has."""
        batch, single = batch_of(self.observation_space, observation, self._name)
        if self.model is None:
            return Probe()
        if isinstance(batch, list) and isinstance(self.observation_space, gym.spaces.Dict):
            batch = {key: np.stack([one[key] for one in batch]) for key in self.observation_space.spaces}
        policy = self.model.policy
        features = self.features.vectors(observation).astype(np.float64) if self.features is not None else None
        policy.set_training_mode(False)
        with torch.no_grad():
            obs, _ = policy.obs_to_tensor(self._normalized(batch if not isinstance(batch, list) else np.array(batch)))
            if self._on_policy:
                value = _numbers(policy.predict_values(obs))[:, 0]
                inner = policy.get_distribution(obs).distribution
                if hasattr(inner, "probs") and isinstance(self.action_space, gym.spaces.Discrete):
                    return Probe(action_probabilities=_numbers(inner.probs), value=value, features=features)
                if isinstance(self.action_space, gym.spaces.Box):
                    return Probe(
                        action_mean=_numbers(inner.mean),
                        action_std=_numbers(inner.stddev),
                        value=value,
                        features=features,
                    )
                return Probe(value=value, features=features)
            if self._name == "DQN":
                q = _numbers(self.model.q_net(obs))
                epsilon, best = self.model.exploration_rate, q == q.max(axis=1, keepdims=True)
                probabilities = epsilon / q.shape[1] + (1 - epsilon) * best / best.sum(axis=1, keepdims=True)
                return Probe(q, probabilities, value=q.max(axis=1), features=features)
            return self._probe_actor(obs, features)

    def _probe_actor(self, obs: Any, features: Any) -> Probe:
        """Mean, deviation and value of an actor with critics; the value is that of the mean action."""
        model, std = self.model, None
        scaled = model.actor(obs, deterministic=True) if self._name == "SAC" else model.actor(obs)
        value = _numbers(torch.cat(model.critic(obs, scaled), dim=1).min(dim=1).values)
        width = (self.action_space.high - self.action_space.low) / 2  # type: ignore[attr-defined]
        if self._name == "SAC":
            _, log_std, _ = model.actor.get_action_dist_params(obs)
            # of tanh(u) at the mean: the deviation of u times the slope of tanh
            std = _numbers(log_std.exp() * (1 - scaled**2)) * width
        elif model.action_noise is not None:
            std = np.full(scaled.shape, float(self._settings["noise_std"])) * width
        mean = model.policy.unscale_action(_numbers(scaled))
        return Probe(action_mean=mean, action_std=std, value=value, features=features)

    def _normalized(self, observation: Any) -> Any:
        return self.vec_env.normalize_obs(observation) if isinstance(self.vec_env, VecNormalize) else observation

    # Files.

    def arrays(self) -> StateArrays:
        """Networks, optimisers, torch variables, random states, the buffer's filled part, normaliser, last step."""
        found: StateArrays = {f"random/{n}": a for n, a in self._random.arrays.items()}
        found.update(self.features.arrays() if self.features is not None else {})
        if isinstance(self.vec_env, VecNormalize):
            found.update({f"normalize/{n}": np.array(a) for n, a in self._normalizer().items()})
        if self._running_envs[0].position.obs is not None or (
            self.model is not None and self.model._last_obs is not None
        ):
            found.update(_flat("last_obs", self._obs_now()))
            found["last_starts"] = np.array(self._starts_now())
        if self.model is None:
            return found
        names, variables = self.model._get_torch_save_params()
        for name in names:
            part = _attribute(self.model, name)
            packed = pack_optimizer(part) if isinstance(part, torch.optim.Optimizer) else pack_module(part)
            found.update({f"{name}/{key}": array for key, array in packed.items()})
        for name in variables:
            found[f"variable/{name}"] = _attribute(self.model, name).detach().cpu().numpy().copy()
        found.update({f"buffer/{n}": a for n, a in self._buffer_arrays().items()})
        noise = getattr(self.model, "action_noise", None)
        for i, one in enumerate(getattr(noise, "noises", [noise])):
            if hasattr(one, "noise_prev"):
                found[f"noise/{i}"] = np.array(one.noise_prev)
        return found

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        if self.features is not None:
            from rlplay.storage.checkpoint import copy_into

            for name, target in self.features.arrays().items():
                copy_into(name, arrays, target)
            if self.features.ready and self.model is None:
                with self._random():
                    self._build()
        if isinstance(self.vec_env, VecNormalize):
            self._restore_normalizer(_below(arrays, "normalize/"))
        if self.model is not None:
            self._restore_model(arrays)
        self._random.arrays = {n: np.array(a) for n, a in _below(arrays, "random/").items()}
        if "last_starts" in arrays:
            obs = _unflat(arrays, "last_obs")
            self._obs, self._starts = obs, arrays["last_starts"].astype(bool)
            if self.model is not None:
                self.model._last_obs, self.model._last_episode_starts = obs, self._starts
                if isinstance(self.vec_env, VecNormalize):
                    self.model._last_original_obs = self.vec_env.get_original_obs()

    def _restore_model(self, arrays: StateArrays) -> None:
        names, variables = self.model._get_torch_save_params()
        for name in names:
            part, packed = _attribute(self.model, name), _below(arrays, f"{name}/")
            if isinstance(part, torch.optim.Optimizer):
                unpack_optimizer(part, packed)
            else:
                unpack_module(part, packed)
        with torch.no_grad():
            for name in variables:
                target = _attribute(self.model, name)
                target.copy_(torch.from_numpy(np.array(arrays[f"variable/{name}"])))
        self._restore_buffer(_below(arrays, "buffer/"))
        noise = getattr(self.model, "action_noise", None)
        for i, one in enumerate(getattr(noise, "noises", [noise])):
            if f"noise/{i}" in arrays:
                one.noise_prev = arrays[f"noise/{i}"]

    def extra_state(self) -> dict[str, Any]:
        """Counters of the model and the generator of its action space."""
        state: dict[str, Any] = {"window": self._window, "collected": self._collected}
        if self.model is not None:
            state["counters"] = {n: getattr(self.model, n) for n in _COUNTERS if hasattr(self.model, n)}
            state["action_space"] = self.model.action_space.np_random.bit_generator.state
        return state

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        self._window, self._collected = int(state["window"]), int(state["collected"])
        if self.model is not None:
            for name, value in state["counters"].items():
                if name in _COUNTERS:
                    setattr(self.model, name, value)
            self.model.action_space.np_random.bit_generator.state = state["action_space"]
            self.model.num_timesteps = self.num_timesteps

    def _obs_now(self) -> Any:
        return self.model._last_obs if self.model is not None else self._obs

    def _starts_now(self) -> Any:
        return self.model._last_episode_starts if self.model is not None else self._starts

    def _buffer(self) -> Any:
        return self.model.rollout_buffer if self._on_policy else self.model.replay_buffer

    def _columns(self) -> dict[str, Any]:
        columns = {}
        for name, value in vars(self._buffer()).items():
            if isinstance(value, np.ndarray):
                columns[name] = value
            elif isinstance(value, dict) and all(isinstance(one, np.ndarray) for one in value.values()):
                columns.update({f"{name}/{key}": one for key, one in value.items()})
        return columns

    def _buffer_arrays(self) -> StateArrays:
        buffer = self._buffer()
        filled = len(next(iter(self._columns().values()))) if buffer.full else buffer.pos
        found = {name: column[:filled] for name, column in self._columns().items()}
        return {**found, "place": np.array([buffer.pos, int(buffer.full)])}

    def _restore_buffer(self, arrays: StateArrays) -> None:
        buffer, (pos, full) = self._buffer(), arrays["place"].tolist()
        for name, column in self._columns().items():
            saved = arrays[name]
            if saved.shape[1:] != column.shape[1:] or len(saved) > len(column) or not 0 <= pos <= len(column):
                raise CheckpointError(
                    f"the buffer's {name} has shape {saved.shape} in the file, room for {column.shape}"
                )
            column[: len(saved)] = saved
        buffer.pos, buffer.full = int(pos), bool(full)

    def _normalizer(self) -> dict[str, Any]:
        env = self.vec_env
        found: dict[str, Any] = {
            "returns": env.returns,
            **_flat("old_obs", env.old_obs if hasattr(env, "old_obs") else 0),
        }
        observed = env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms} if env.norm_obs else {}
        for name, rms in {**{f"obs/{k}": v for k, v in observed.items()}, "ret/": env.ret_rms}.items():
            found.update({f"{name}mean": rms.mean, f"{name}var": rms.var, f"{name}count": rms.count})
        return found

    def _restore_normalizer(self, arrays: StateArrays) -> None:
        env = self.vec_env
        env.returns, env.old_obs = arrays["returns"], _unflat(arrays, "old_obs")
        observed = env.obs_rms if isinstance(env.obs_rms, dict) else {"": env.obs_rms} if env.norm_obs else {}
        for name, rms in {**{f"obs/{k}": v for k, v in observed.items()}, "ret/": env.ret_rms}.items():
            rms.mean, rms.var = arrays[f"{name}mean"], arrays[f"{name}var"]
            rms.count = float(arrays[f"{name}count"])


class _Schedule:
    """A schedule as Stable-Baselines3 takes it: of the remaining progress."""

    def __init__(self, schedule: Any) -> None:
        self.values = tabulate(schedule)

    def __call__(self, remaining: float) -> float:
        return float(scheduled(self.values, min(max(1.0 - remaining, 0.0), 1.0)))


def SB3(algorithm: str, env: EnvLike, *, seed: int | None = None, **hyperparameters: Any) -> SB3Agent:  # noqa: N802
    """An agent that is an algorithm of Stable-Baselines3.

    Args:
        algorithm: ``"PPO"``, ``"A2C"``, ``"DQN"``, ``"SAC"``, ``"TD3"`` or ``"DDPG"``, in upper or lower case.
        env: an id, ``module:Class`` or an environment.
        seed: of all its random numbers.
        hyperparameters: Stable-Baselines3's own, and ``n_envs``, ``normalize``, ``noise_type``, ``noise_std``,
            ``policy`` as in RL Zoo's files, and ``features``.

    Raises:
        UnknownNameError: no such algorithm; names the nearest.

    Example:
        >>> agent = SB3("PPO", "CartPole-v1", n_steps=64, seed=0).learn(128)
        >>> agent.num_timesteps
        128
    """
    known = {cls.algorithm.__name__: cls for cls in (PPO, A2C, DQN, SAC, TD3, DDPG)}
    found = known.get(str(algorithm).upper())
    if found is None:
        raise unknown("Stable-Baselines3 algorithm", str(algorithm), known)
    return found(env, seed=seed, **hyperparameters)


class PPO(SB3Agent):
    """Stable-Baselines3's PPO."""

    id, algorithm = "sb3/ppo", stable_baselines3.PPO


class A2C(SB3Agent):
    """Stable-Baselines3's A2C."""

    id, algorithm = "sb3/a2c", stable_baselines3.A2C


class DQN(SB3Agent):
    """Stable-Baselines3's DQN."""

    id, algorithm = "sb3/dqn", stable_baselines3.DQN


class SAC(SB3Agent):
    """Stable-Baselines3's SAC."""

    id, algorithm = "sb3/sac", stable_baselines3.SAC


class TD3(SB3Agent):
    """Stable-Baselines3's TD3."""

    id, algorithm = "sb3/td3", stable_baselines3.TD3


class DDPG(SB3Agent):
    """Stable-Baselines3's DDPG."""

    id, algorithm = "sb3/ddpg", stable_baselines3.DDPG


def _attribute(model: Any, path: str) -> Any:
    for name in path.split("."):
        model = getattr(model, name)
    return model


def _numbers(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)


def _below(arrays: StateArrays, prefix: str) -> StateArrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _flat(name: str, value: Any) -> StateArrays:
    """An array, or a dictionary of them, as named arrays."""
    if isinstance(value, dict):
        return {f"{name}/{key}": np.array(one) for key, one in value.items()}
    return {name: np.array(value)}


def _unflat(arrays: StateArrays, name: str) -> Any:
    return arrays[name] if name in arrays else _below(arrays, f"{name}/")
