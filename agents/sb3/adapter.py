"""The agent around a Stable-Baselines3 model: its environments, its rollouts in parts, probes, files."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import TrainFreq, TrainFrequencyUnit
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from agents.sb3.files import below, flat, pack_model, pack_normalizer, unflat, unpack_model, unpack_normalizer
from agents.sb3.parameters import action_noise, constructor_arguments, parameters_of
from rlplay.extend import (
    ANY,
    COUNT,
    Agent,
    CheckpointError,
    Choice,
    Either,
    Encoder,
    Engine,
    EnvLike,
    FeaturesLike,
    FiniteSpace,
    HyperparameterError,
    ObservationCheck,
    Position,
    Probe,
    RandomStates,
    Range,
    Ranges,
    RunningEnv,
    Settings,
    SpaceError,
    StateArrays,
    VectorFeatures,
    batch_of,
    begin_episode,
    check_number,
    checked,
    copy_into,
    declared,
    is_finite,
    numbers_below,
    random_seed,
    take_step,
)

_CONTINUOUS, _DISCRETE = ("SAC", "TD3", "DDPG"), ("DQN",)
_COUNTERS = ("_n_updates", "_episode_num", "_n_calls", "exploration_rate", "_current_progress_remaining")


class _Silent(BaseCallback):  # type: ignore[misc]
    """The callback that Stable-Baselines3's loops ask for."""

    def _on_step(self) -> bool:
        return True


class SeededEpisodes(gym.Env[Any, Any]):
    """One environment as Stable-Baselines3 steps it: episodes seeded from the run, every step checked and counted."""

    def __init__(self, agent: SB3Agent, running_env: RunningEnv) -> None:
        self._agent = agent
        self.follow(running_env)
        env = running_env.env
        self.observation_space, self.metadata = env.observation_space, env.metadata
        self.action_space = copy.deepcopy(env.action_space)  # it is sampled from in training

    def follow(self, running_env: RunningEnv) -> None:
        """Step this environment from now on."""
        self._running_env, self._check = running_env, ObservationCheck(running_env.env)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode with a seed of the run's own."""
        env, position, seeds = self._running_env
        begin_episode(env, position, random_seed(seeds), self._check)
        return position.obs, position.info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step."""
        env, position, _ = self._running_env
        if not action.shape:
            action = action.item()
        _, _, reward, obs, terminated, truncated, info = take_step(env, position, action, self._check)
        self._agent.count_step(position, obs, terminated or truncated)
        return obs, reward, terminated, truncated, info


class MappedFeatures(BaseFeaturesExtractor):  # type: ignore[misc]
    """A feature map as the first layer of a policy; buffers keep raw observations, and no refit makes them stale."""

    def __init__(self, observation_space: gym.Space[Any], encoder: Encoder) -> None:
        super().__init__(observation_space, encoder.size)
        self._encoder = [encoder]  # in a list, since it is no module

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """The features of a batch [B, ...], float32 [B, F]."""
        vectors = observations.detach().cpu().numpy().reshape(len(observations), -1)
        return torch.from_numpy(self._encoder[0].encode_vectors(vectors)).to(observations.device)


class SB3Agent(Agent, init=False):
    """An algorithm of Stable-Baselines3 as an agent; made by `SB3` or by its own class (`PPO`, `A2C`, ...).

    The parameters in the algorithm's signature are hyperparameters of its class, with the algorithm's own defaults;
    what is recorded is what was given.

    Attributes:
        algorithm: the Stable-Baselines3 class.
        settings: all hyperparameters: those given, and the defaults of the others.
        model: the Stable-Baselines3 model; None until the features are fitted, where there are some.
        vec_env: the environments as it sees them.

    Example:
        >>> from agents.sb3 import A2C  # a subclass
        >>> agent = A2C("CartPole-v1", n_envs=2, seed=0)
        >>> agent.vec_env.num_envs, agent.hyperparameters
        (2, {'n_envs': 2})
    """

    policy: Annotated[str, Choice("kind of policy; auto: by the observations",
                                  ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))] = "auto"  # fmt: skip
    n_envs: Annotated[int, Range("environments that are played at once", 1, 1024, integer=True)] = 1
    normalize: Annotated[
        Any, Either((True, False), Settings("VecNormalize, or its arguments: norm_obs, norm_reward, ..."))
    ] = False
    features: FeaturesLike = None
    algorithm: ClassVar[type[Any]]
    chunk_seconds = 0.25  # each part of a rollout costs one more pass of the value network

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Declare the algorithm's own parameters."""
        super().__init_subclass__(**kwargs)
        cls.declare(parameters_of(cls.algorithm))

    def configure(self, given: Mapping[str, Any]) -> None:
        """Check the values given and record them; the algorithm's defaults stand for the others."""
        self.hyperparameters = checked(type(self), given)
        defaults = {name: parameter.default for name, parameter in declared(type(self)).items()}
        self.settings = {**defaults, **self.hyperparameters}
        for name, value in self.settings.items():
            setattr(self, name, value)

    def make_encoder(self) -> Encoder:
        """Observations as they are, which the model reads itself; with features as vectors of these."""
        self.numbering = FiniteSpace(self.action_space) if is_finite(self.action_space) else None
        return super().make_encoder() if self.settings["features"] is None else self.encoder_of("vector")

    def setup(self) -> None:
        """The environments; the model too, unless it waits for its features."""
        super().setup()
        self._name = self.algorithm.__name__
        self._require_spaces()
        self._require_settings()
        self.model: Any = None
        self._random, self._private = RandomStates(self.seed), RandomStates(self.seed)
        self._window = 0  # steps (or episodes) since the last update of an off-policy algorithm
        self._collected = 0  # steps of all environments in that window
        self._running_envs = self.make_running_envs(self.n_envs)
        self.vec_env: Any = DummyVecEnv([lambda one=one: SeededEpisodes(self, one) for one in self._running_envs])
        if self.normalize:
            options = {} if self.normalize is True else self.normalize
            try:
                self.vec_env = VecNormalize(self.vec_env, **{"gamma": self.settings["gamma"], **options})
            except (TypeError, ValueError) as error:
                raise HyperparameterError(f"{self._name}: normalize={options!r} cannot be: {error}") from error
        self._build_when_ready()

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

    def _require_settings(self) -> None:
        if self.settings["features"] is not None and self.normalize:
            raise HyperparameterError("features and normalize both scale observations", "Take one of them")
        most, batch = self.settings.get("buffer_size"), self.settings.get("batch_size")
        rollout = self.settings["n_steps"] * self.n_envs
        most = rollout if most is None and "n_steps" in self.settings else most
        if batch is not None and batch > most:
            raise HyperparameterError(
                f"{self._name}: batch_size={batch} is more than the {most} transitions there are",
                "Raise n_steps, n_envs or buffer_size, or lower batch_size",
            )

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    def count_step(self, position: Position, obs: Any, ended: bool) -> None:
        """One environment took a step to an observation; called by each of them after each step."""
        self.num_timesteps += 1
        self.encoder.remember(obs)
        if ended:
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps)

    # Learning.

    def _build_when_ready(self) -> None:
        """Make the model, where it is not there and waits for nothing."""
        if self.encoder.ready and self.model is None:
            with self._random():
                self._build()

    def _build(self) -> None:
        """Make the model; its constructor seeds the random states that are in use."""
        arguments = constructor_arguments(self.settings)
        of_policy = arguments["policy_kwargs"]
        if isinstance(self.encoder, VectorFeatures):
            of_policy.update(
                features_extractor_class=MappedFeatures, features_extractor_kwargs={"encoder": self.encoder}
            )
        arguments["policy_kwargs"] = of_policy or None
        if self.settings.get("noise_type"):
            arguments["action_noise"] = action_noise(
                self.settings["noise_type"], self.settings["noise_std"], self.action_space.shape or (), self.n_envs
            )
        policy = self.policy if self.policy != "auto" else self._policy_of_observations()
        try:
            self.model = self.algorithm(policy, self.vec_env, seed=self.seed, **arguments)
        except (AssertionError, ValueError, TypeError, AttributeError, NotImplementedError) as error:
            given = f" and policy_kwargs={of_policy}" if of_policy else ""
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

    def _policy_of_observations(self) -> str:
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
                if not self._has_begun() or (self.model is not None and self.model._last_obs is None):
                    self._set_last_obs(self.vec_env.reset(), np.ones(count, bool))
                while self.num_timesteps - before < timesteps:
                    rounds = -(-(timesteps - (self.num_timesteps - before)) // count)
                    if self.model is None:
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

    def _has_begun(self) -> bool:
        """Whether the first environment is in an episode."""
        return self._running_envs[0].position.obs is not None

    def _set_last_obs(self, obs: Any, starts: NDArray[np.bool_]) -> None:
        """The observations from which the next step is taken, and whether an episode begins there, bool [N]."""
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
        """One random step in each environment, and the first fit where it is due."""
        actions = np.array([self.random_action(self.encoder.rng) for _ in self._running_envs])
        obs, _, dones, _ = self.vec_env.step(actions)
        if self.encoder.due():
            self.refit()
            self._build()
        self._set_last_obs(obs, dones)

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
        if self.encoder.due():
            self.refit()

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        for _, position, _ in self._running_envs:
            position.clear()
        self._window = self._collected = 0
        if self.model is not None:
            self.model._last_obs = None
            if self._on_policy:
                self.model.rollout_buffer.reset()

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env)
        self._running_envs[:] = self.make_running_envs(self.n_envs)
        for wrapped, one in zip(self.vec_env.unwrapped.envs, self._running_envs, strict=True):
            wrapped.follow(one)

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
        batch, _ = batch_of(self.observation_space, observation, self._name)
        if self.model is None:
            return Probe()
        if isinstance(batch, list) and isinstance(self.observation_space, gym.spaces.Dict):
            batch = {key: np.stack([one[key] for one in batch]) for key in self.observation_space.spaces}
        policy = self.model.policy
        policy.set_training_mode(False)
        with torch.no_grad():
            obs, _ = policy.obs_to_tensor(self._normalized(batch if not isinstance(batch, list) else np.array(batch)))
            ask = self._probe_policy if self._on_policy else self._probe_q if self._name == "DQN" else self._probe_actor
            found = ask(obs)
        if not isinstance(self.encoder, VectorFeatures):
            return found
        return replace(found, features=self.encoder.encode_batch(observation).astype(np.float64))

    def _probe_policy(self, obs: Any) -> Probe:
        """Probabilities, or mean and deviation, and the value."""
        policy = self.model.policy
        value = _numbers(policy.predict_values(obs))[:, 0]
        inner = policy.get_distribution(obs).distribution
        if hasattr(inner, "probs") and isinstance(self.action_space, gym.spaces.Discrete):
            return Probe(action_probabilities=_numbers(inner.probs), value=value)
        if isinstance(self.action_space, gym.spaces.Box):
            return Probe(action_mean=_numbers(inner.mean), action_std=_numbers(inner.stddev), value=value)
        return Probe(value=value)

    def _probe_q(self, obs: Any) -> Probe:
        """Action values, the ε-greedy policy over them, and the value of the best action."""
        q = _numbers(self.model.q_net(obs))
        epsilon, best = self.model.exploration_rate, q == q.max(axis=1, keepdims=True)
        probabilities = epsilon / q.shape[1] + (1 - epsilon) * best / best.sum(axis=1, keepdims=True)
        return Probe(q, probabilities, value=q.max(axis=1))

    def _probe_actor(self, obs: Any) -> Probe:
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
            std = np.full(scaled.shape, float(self.settings["noise_std"])) * width
        return Probe(action_mean=model.policy.unscale_action(_numbers(scaled)), action_std=std, value=value)

    def _normalized(self, observation: Any) -> Any:
        return self.vec_env.normalize_obs(observation) if isinstance(self.vec_env, VecNormalize) else observation

    # Files.

    def arrays(self) -> StateArrays:
        """Random states, normaliser, last observations, and the model with its buffer; see `agents.sb3.files`."""
        found = {f"random/{name}": array for name, array in self._random.arrays.items()}
        found.update(self.encoder.arrays())
        if isinstance(self.vec_env, VecNormalize):
            found.update({f"normalize/{name}": array for name, array in pack_normalizer(self.vec_env).items()})
        if self._has_begun() or (self.model is not None and self.model._last_obs is not None):
            obs, starts = (
                (self._obs, self._starts)
                if self.model is None
                else (self.model._last_obs, self.model._last_episode_starts)
            )
            found.update({**flat("last_obs", obs), "last_starts": np.array(starts)})
        if self.model is not None:
            found.update(pack_model(self.model, self._buffer()))
        return found

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        for name, target in self.encoder.arrays().items():
            copy_into(name, arrays, target)
        self._build_when_ready()
        if isinstance(self.vec_env, VecNormalize):
            unpack_normalizer(self.vec_env, below(arrays, "normalize/"))
        if self.model is not None:
            unpack_model(self.model, self._buffer(), arrays)
        self._random.restore(below(arrays, "random/"))
        if "last_starts" in arrays:
            obs = unflat(arrays, "last_obs")
            self._check_last(obs, arrays["last_starts"])
            self._obs, self._starts = obs, arrays["last_starts"].astype(bool)
            if self.model is not None:
                self.model._last_obs, self.model._last_episode_starts = obs, self._starts
                if isinstance(self.vec_env, VecNormalize):
                    self.model._last_original_obs = self.vec_env.get_original_obs()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; pixels and random states are no indices."""
        found: Ranges = {"buffer/place": COUNT, "random/torch": ANY, "random/cuda": ANY, "random/numpy_key": ANY}
        if isinstance(self.action_space, gym.spaces.Discrete):
            found["buffer/actions"] = numbers_below(int(self.action_space.n))
        elif isinstance(self.action_space, gym.spaces.MultiDiscrete):
            found["buffer/actions"] = numbers_below(int(self.action_space.nvec.max()))
        for name in ("last_obs", "buffer/observations", "buffer/next_observations", "normalize/old_obs"):
            space = self.observation_space
            parts = space.spaces if isinstance(space, gym.spaces.Dict) else {"": space}
            for key, part in parts.items():
                place = f"{name}/{key}" if key else name
                found[place] = numbers_below(int(part.n)) if isinstance(part, gym.spaces.Discrete) else ANY
                if isinstance(part, gym.spaces.MultiDiscrete):
                    found[place] = numbers_below(int(part.nvec.max()))
        return {**found, **super().ranges()}

    def _check_last(self, obs: Any, starts: NDArray[Any]) -> None:
        """Refuse last observations, read from a file, of other shapes."""
        shapes = [np.shape(one) for one in (obs.values() if isinstance(obs, dict) else [obs])]
        n = len(self.running_envs())
        if starts.shape != (n,) or any(shape[:1] != (n,) for shape in shapes):
            raise CheckpointError(
                f"last_obs and last_starts are of {shapes} and {starts.shape}, not of {n} environments"
            )

    def _buffer(self) -> Any:
        return self.model.rollout_buffer if self._on_policy else self.model.replay_buffer

    def extra_state(self) -> dict[str, Any]:
        """Counters of the model and the generator of its action space."""
        state: dict[str, Any] = {"window": self._window, "collected": self._collected}
        if self.model is not None:
            state["counters"] = {n: getattr(self.model, n) for n in _COUNTERS if hasattr(self.model, n)}
            state["action_space"] = self.model.action_space.np_random.bit_generator.state
        return state

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        self._window, self._collected = (check_number(name, state[name], COUNT) for name in ("window", "collected"))
        if self.model is not None:
            for name, value in state["counters"].items():
                if name in _COUNTERS:
                    share = name in ("exploration_rate", "_current_progress_remaining")
                    if share and not (isinstance(value, int | float) and -1e-6 <= value <= 1 + 1e-6):
                        raise CheckpointError(f"{name} is {value!r:.80}, which is no share: refused")
                    setattr(self.model, name, value if share else check_number(name, value, COUNT))
            self.model.action_space.np_random.bit_generator.state = state["action_space"]
            self.model.num_timesteps = self.num_timesteps


def _numbers(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)
