"""The agent around a Stable-Baselines3 model: its environments, its rollouts in parts, probes, files."""

from __future__ import annotations

import copy
import inspect
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import gymnasium as gym
import numpy as np
import torch
from gymnasium.spaces.utils import flatdim
from numpy.typing import NDArray
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import VecNormalize, VecTransposeImage

from rlplay.extend import (
    COUNT,
    Agent,
    Choice,
    Encoder,
    Engine,
    EnvLike,
    FeaturesLike,
    FiniteSpace,
    HyperparameterError,
    Position,
    Probe,
    RandomStates,
    Range,
    Ranges,
    RunningEnv,
    StateArrays,
    Statistics,
    Transition,
    UsageError,
    VectorFeatures,
    VectorView,
    batch_of,
    check_number,
    checked,
    copy_into,
    counted,
    declared,
    her_arguments,
    is_finite,
    masked,
    numbers_below,
    predicted_actions,
    read_vecnormalize,
    require_memory,
    say_idle,
    warn,
    write_vecnormalize,
)

from .callbacks import Relayed, without_theirs
from .collecting import Relay, Window, collect_on_policy
from .environments import MaskedEpisodes, SeededEpisodes, make_vec_env
from .features import MappedFeatures
from .files import (
    below,
    check_last,
    flat,
    in_memory,
    pack_counters,
    pack_memory,
    pack_model,
    pack_normalizer,
    ranges_of,
    unflat,
    unpack_counters,
    unpack_memory,
    unpack_model,
    unpack_normalizer,
)
from .hindsight import draws_too_early, end_episodes, no_whole_episode, refuse_without_goals
from .parameters import (
    NORMALIZE,
    action_noise,
    constructor_arguments,
    parameters_of,
    plain_settings,
    require_settings,
)
from .probes import critic_values_of, probe_model
from .spaces import policy_for, require_spaces


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
    normalize: Annotated[Any, NORMALIZE] = False
    features: FeaturesLike = None
    algorithm: ClassVar[type[Any]]
    chunk_seconds = 0.25  # each part of a rollout costs one more pass of the value network

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Declare the algorithm's own parameters."""
        super().__init_subclass__(**kwargs)
        cls.declare(parameters_of(cls.algorithm))

    def configure(self, given: Mapping[str, Any]) -> None:
        """Check the values given and record them; the algorithm's defaults stand for the others."""
        self._name = self.algorithm.__name__
        self.hyperparameters = checked(type(self), plain_settings(self._name, given))
        defaults = {name: parameter.default for name, parameter in declared(type(self)).items()}
        self.settings = {**defaults, **self.hyperparameters}
        say_idle(self._name, self.settings, defaults)
        for name, value in self.settings.items():
            setattr(self, name, value)

    def make_encoder(self) -> Encoder:
        """Observations as they are, which the model reads itself; with features as vectors of these."""
        self.numbering = FiniteSpace(self.action_space) if is_finite(self.action_space) else None
        if self.settings["features"] is None:
            return super().make_encoder()
        encoder = self.encoder_of("vector")
        encoder.view = VectorView(self.observation_space, self._name)  # its buffers and policies are of float32
        return encoder

    def setup(self) -> None:
        """The environments; the model too, unless it waits for its features."""
        super().setup()
        require_spaces(self._name, self.observation_space, self.action_space)
        require_settings(self._name, self.settings, self.observation_space)
        refuse_without_goals(self._name, self.settings, self.env)
        self._require_memory()
        self.model: Any = None
        self._random, self._private = RandomStates(self.seed), RandomStates(self.seed)
        self._window = Window()  # of an off-policy algorithm
        self._relay = Relay()
        self._running_envs = self.make_running_envs(self.n_envs)
        self.vec_env = make_vec_env(
            self._running_envs, self.encoder, self.count_step, self.normalize, self.settings["gamma"], self._name,
            MaskedEpisodes if self.takes_masks else SeededEpisodes,
        )  # fmt: skip
        self._build_when_ready()

    @property
    def takes_masks(self) -> bool:
        """Stable-Baselines3's algorithms have no masks."""
        return False

    def _require_memory(self) -> None:
        """Refuse buffers and one-hot inputs that this machine cannot hold."""
        numbers = flatdim(self.observation_space)
        outputs = self.action_space.n if isinstance(self.action_space, gym.spaces.Discrete) else 1
        rows = self.settings.get("buffer_size") or self.settings.get("n_steps", 0) * self.n_envs
        space = self.observation_space
        parts = list(space.spaces.values()) if isinstance(space, gym.spaces.Dict) else [space]
        stored = sum(int(np.prod(part.shape or (1,))) for part in parts)
        size = max(np.dtype(part.dtype or "f4").itemsize for part in parts)
        require_memory(
            f"{self._name}: a buffer of {rows:,} transitions of {stored:,} numbers", 2 * rows * stored,
            "Lower buffer_size, n_steps or n_envs, or take smaller observations", itemsize=size,
        )  # fmt: skip
        require_memory(
            f"{self._name}: networks from {counted(numbers, 'number')} to {counted(outputs, 'output')}",
            4 * 64 * (numbers + int(outputs)), "Take an environment with smaller spaces", itemsize=4,
        )  # fmt: skip

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    def count_step(self, position: Position, taken: Transition) -> None:
        """One environment took a step; called by each of them after each step."""
        self.num_timesteps += 1
        self.encoder.remember(taken.next_obs)
        if taken.terminated or taken.truncated:
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps, taken.info)

    # Learning.

    def _build_when_ready(self) -> None:
        """Make the model, where it is not there and waits for nothing."""
        if self.encoder.ready and self.model is None:
            with self._random():
                self._build()

    def policy_name(self) -> str:
        """The kind of policy by Stable-Baselines3's name."""
        named = self.settings["policy"]
        return named if named != "auto" else policy_for(self.vec_env.observation_space)

    def _build(self) -> None:
        """Make the model; its constructor seeds the random states that are in use."""
        arguments = {**constructor_arguments(self.settings), **her_arguments(self.settings)}
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
        try:
            self.model = self.algorithm(self.policy_name(), self.vec_env, seed=self.seed, **arguments)
        except (AssertionError, ValueError, TypeError, AttributeError, RuntimeError) as error:
            given = {name: self.settings[name] for name in ("policy", "policy_kwargs") if name in self.hyperparameters}
            words = "".join(f" and {name}={value!r}" for name, value in given.items())
            raise HyperparameterError(
                f"{self._name} cannot be made with these settings{words}: {' '.join(str(error).split())}",
                f"See rlplay show {self.id}",
            ) from error
        self.model.set_logger(Logger(None, []))
        self.model.ep_info_buffer, self.model.ep_success_buffer = deque(maxlen=100), deque(maxlen=100)
        self._relay.init_callback(self.model)
        self.policy = self.model.policy
        if "_made_with" in vars(self):  # it was made before, without its features
            self._made_with["policy"] = self.policy
        self._on_policy = isinstance(self.model, OnPolicyAlgorithm)
        if self._on_policy:
            self.model.rollout_buffer.reset()
        outermost, inner = self.model.env, self.vec_env
        if isinstance(outermost, VecTransposeImage) and isinstance(inner, VecNormalize):
            # What is stored is what was not normalised, in the order in which the model sees it.
            inner.get_original_obs = lambda: outermost.transpose_observations(VecNormalize.get_original_obs(inner))

    def learn(self, total_timesteps: int, callback: Any = None, *more: Any, **options: Any) -> Self:
        """Learn for a number of timesteps; see `Agent.learn`.

        Stable-Baselines3's callbacks are called by its own loop, with its variables in ``locals``; the model that they
        see is its own, but for ``predict``, which takes observations as the environment gives them, and ``save``,
        which writes an ``.rlp``.
        """
        ours, theirs = without_theirs(callback)
        self._relay.told, self._relay.stopped = theirs, False
        try:
            return super().learn(total_timesteps, [*ours, Relayed(self._relay)] if theirs else ours, *more, **options)
        finally:
            self._relay.told, self._relay.stopped = [], False

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Collect and train as Stable-Baselines3 does, so many steps at most, rounded up to all environments once."""
        before, count = self.num_timesteps, len(self._running_envs)
        try:
            with self._random(), self._or_diverged():
                if not self._has_begun() or (self.model is not None and self.model._last_obs is None):
                    self._set_last_obs(self.vec_env.reset(), np.ones(count, bool))
                    self.see_mask(self._running_envs[0].position.obs, self._running_envs[0].position.info)
                while self.num_timesteps - before < timesteps and not self._relay.stopped:
                    rounds = -(-(timesteps - (self.num_timesteps - before)) // count)
                    if self.model is None:
                        self._warm_up()
                        continue
                    self.model.num_timesteps = self.num_timesteps
                    self.model._total_timesteps = max(self.horizon, 1)
                    if self._on_policy:
                        collect_on_policy(self.model, self._relay, rounds)
                    else:
                        self._window.collect(self.model, self._relay, rounds)
                    whole = not self._on_policy or self.model.rollout_buffer.pos == 0
                    if whole and self.encoder.due():
                        self.refit()
                if not self._is_finite():
                    raise self._diverged()
            if self._relay.stopped:  # the step at which a callback says stop is in no buffer
                self.give_up_episode()
        except Exception:
            if count > 1:  # some of them have taken the step and some have not
                self.give_up_episode()
            raise
        return self.num_timesteps - before

    @contextmanager
    def _or_diverged(self) -> Iterator[None]:
        """Say in rlplay's words that the networks give no numbers any more, which torch's distributions refuse.

        Where no distribution stands between, the environment refuses the actions.
        """
        try:
            yield
        except Exception as error:
            if draws_too_early(error):
                raise no_whole_episode(self._name, self.model) from error
            if "to satisfy the constraint" not in str(error) and self._is_finite():
                raise
            raise self._diverged() from error

    def _is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return self.model is None or all(bool(part.isfinite().all()) for part in self.model.policy.parameters())

    def _diverged(self) -> UsageError:
        return UsageError(
            f"{self._name}: the networks give no finite numbers at timestep {self.num_timesteps:,}: they diverged",
            "What was saved before is unharmed. Take a smaller learning_rate, or normalize=True",
        )

    def _has_begun(self) -> bool:
        """Whether the first environment is in an episode."""
        return self._running_envs[0].position.obs is not None

    def _set_last_obs(self, obs: Any, starts: NDArray[np.bool_]) -> None:
        """The observations from which the next step is taken, and whether an episode begins there, bool [N]."""
        self._obs, self._starts = obs, starts
        if self.model is not None:
            outermost = self.model.env
            transposed = isinstance(outermost, VecTransposeImage)  # pictures with channels last
            self.model._last_obs = outermost.transpose_observations(obs) if transposed else obs
            self.model._last_episode_starts = starts
            if isinstance(self.vec_env, VecNormalize):
                self.model._last_original_obs = self.vec_env.get_original_obs()

    def _warm_up(self) -> None:
        """One random step in each environment, and the first fit where it is due."""
        actions = np.array([self.random_action(self.encoder.rng) for _ in self._running_envs])
        obs, _, dones, _ = self.vec_env.step(actions)
        if self.encoder.due():
            self.refit()
            self._build()
        self._set_last_obs(obs, dones)

    @property
    def lessons(self) -> int:
        """Stable-Baselines3's updates so far."""
        return 0 if self.model is None else int(self.model._n_updates)

    def waits_for(self) -> str:
        """The rollout, which is not whole, or the steps before learning starts."""
        if not self.encoder.in_use:
            return super().waits_for()
        if self._on_policy:
            rows = self.model.n_steps * self.n_envs
            steps = counted(rows, "step")
            return f"an update takes a rollout of {steps} (n_steps * n_envs). Lower n_steps, or learn longer"
        frequency, unit = self.model.train_freq
        return (
            f"it learns every {counted(frequency, unit.value)} (train_freq), after "
            f"{counted(self.model.learning_starts, 'step')} "
            "(learning_starts). Lower them, or learn longer"
        )

    def least_steps_to_learn(self) -> int:
        """The rest of the rollout or of learning_starts; before there is a model, the steps that fit the features."""
        least = super().least_steps_to_learn()
        if self.model is None:
            return least
        if self._on_policy:
            return (self.model.n_steps - self.model.rollout_buffer.pos) * self.n_envs
        return max(self.model.learning_starts - self.model.num_timesteps + 1, 1)

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        for _, position, _ in self._running_envs:
            position.clear()
        self._window = Window()
        if self.model is not None:
            self.model._last_obs = None
            if self._on_policy:
                self.model.rollout_buffer.reset()
            else:
                end_episodes(self.model.replay_buffer)

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env, force_reset)
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

    def _number_of(self, actions: Any) -> Any:
        """Actions as `predict` gives them: one of a finite space is a number, not an array without axes."""
        return actions if self.numbering is None else actions[()]

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Stable-Baselines3's own predict, with random numbers of its own; random actions before there is a model.

        With masks the action is chosen from the values or probabilities that the algorithm has (`probe`).
        """
        batch, single = batch_of(self.observation_space, observation, self._name)
        if self.numbering is not None and self.model is not None:
            masks = self.prediction_masks(observation, len(batch), action_masks)
            if masks is not None:
                chosen = self.choose_actions(masked(self.probe(observation), masks), deterministic)
                return predicted_actions(self.numbering, chosen, single), state
        if self.model is None:
            count = 1 if single else len(observation)
            with self._private():
                actions = np.array([self.vec_env.action_space.sample() for _ in range(count)])
            return (actions[0] if single else actions), state
        obs = self._shown(observation)
        if deterministic:
            with self._or_diverged():
                actions, state = self.model.predict(obs, state, episode_start, deterministic=True)
            return self._number_of(actions), state
        space = self.model.action_space
        kept = copy.deepcopy(space._np_random.bit_generator.state) if space._np_random is not None else None
        try:
            with self._private(), self._or_diverged():
                actions, state = self.model.predict(obs, state, episode_start, deterministic=False)
            return self._number_of(actions), state
        finally:
            if kept is not None:
                space._np_random.bit_generator.state = kept

    def critic_values(self, observations: Any, actions: Any = None, *, target: bool = False) -> Any:
        """Of DQN, and of actors with critics; see `Agent.critic_values`."""
        if self.model is None:
            return None
        return critic_values_of(self.model, self._shown(observations), actions, target=target)

    def probe(self, observation: Any) -> Probe:
        """Q values (DQN), probabilities or mean and deviation, and the value: what the algorithm really has."""
        batch_of(self.observation_space, observation, self._name)
        if self.model is None:
            return Probe()
        with self._or_diverged():
            found = probe_model(self.model, self._shown(observation), self.settings.get("noise_std", 0.0))
        if not isinstance(self.encoder, VectorFeatures):
            return found
        return replace(found, features=self.encoder.encode_batch(observation).astype(np.float64))

    def _shown(self, observation: Any) -> Any:
        """One observation or a batch as the model is shown it."""
        shown = observation
        if isinstance(self.vec_env, VecNormalize):
            shown = observation = self.raw_observations(observation, self._name)
        if isinstance(self.encoder, VectorFeatures):
            _, single = batch_of(self.observation_space, observation, self._name)
            vectors = self.encoder.view.vectors(observation)
            shown = vectors[0] if single else vectors
        return self.vec_env.normalize_obs(shown) if isinstance(self.vec_env, VecNormalize) else shown

    # As in Stable-Baselines3.

    def __getattr__(self, name: str) -> Any:
        """What the model has and the agent has not: its networks, its buffers, its counters."""
        model = vars(self).get("model")
        found = getattr(model, name, None) if model is not None else None
        if found is None or inspect.ismethod(found):
            raise self._no_attribute(name)
        return found

    def _read_statistics(self) -> Statistics | None:
        return read_vecnormalize(self.vec_env) if isinstance(self.vec_env, VecNormalize) else None

    def _write_statistics(self, found: Statistics) -> None:
        if isinstance(self.vec_env, VecNormalize):
            write_vecnormalize(self.vec_env, found)

    def get_parameters(self) -> dict[str, Any]:
        """Stable-Baselines3's own parameters: the state of each network and optimiser by name."""
        return {} if self.model is None else copy.deepcopy(self.model.get_parameters())

    def set_parameters(self, load_path_or_dict: Any, exact_match: bool = True, device: str = "auto") -> None:
        """Take what `get_parameters` gave, of an agent or of a Stable-Baselines3 model, or a file of an agent.

        Raises:
            UsageError: they are another network's.
        """
        given = load_path_or_dict
        if isinstance(given, str | Path):
            given = type(self).load(given, self.env).get_parameters()
        before = self.get_parameters()
        try:
            self.model.set_parameters(given, exact_match, device)
        except (ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
            self.model.set_parameters(before)
            raise UsageError(
                f"{self._name}: these are no parameters of its networks: {' '.join(str(error).split())}"
            ) from error

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin every stream of random numbers anew, from a seed."""
        super().set_random_seed(seed)
        self._random.restore(RandomStates(self.seed).arrays)
        self._private = RandomStates(self.seed)
        if self.model is not None:
            self.model.action_space.seed(self.seed)

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
            found.update(pack_memory(self.model))
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
            unpack_memory(self.model, arrays)
        self._random.restore(below(arrays, "random/"))
        if "last_starts" in arrays:
            obs = unflat(arrays, "last_obs")
            check_last(obs, arrays["last_starts"], self.vec_env)
            self._obs, self._starts = obs, arrays["last_starts"].astype(bool)
            if self.model is not None:
                self.model._last_obs, self.model._last_episode_starts = in_memory(self.model.env, obs), self._starts
                if isinstance(self.vec_env, VecNormalize):
                    self.model._last_original_obs = self.vec_env.get_original_obs()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; pixels and random states are no indices."""
        rows = max(int(self.settings.get("buffer_size") or 1) // self.n_envs, 1)
        return {**ranges_of(self.observation_space, self.action_space, rows), **super().ranges()}

    def _buffer(self) -> Any:
        return self.model.rollout_buffer if self._on_policy else self.model.replay_buffer

    def extra_state(self) -> dict[str, Any]:
        """Counters of the model, the generator of its action space, and the threads that its sums were divided by."""
        state: dict[str, Any] = {"window": self._window.done, "collected": self._window.collected}
        state["threads"] = torch.get_num_threads()
        if self.model is not None:
            state.update(pack_counters(self.model))
        return state

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        off_policy = self.model is not None and not self._on_policy
        whole = self.model.train_freq.frequency if off_policy else 1
        self._window.done = check_number("window", state["window"], numbers_below(whole))
        self._window.collected = check_number("collected", state["collected"], COUNT)
        threads = state.get("threads", torch.get_num_threads())
        if threads != torch.get_num_threads():
            warn(
                f"torch had {threads} threads when this was saved and has {torch.get_num_threads()}: going on gives "
                f"other last digits, and the same after torch.set_num_threads({threads})"
            )
        if self.model is not None:
            unpack_counters(self.model, state)
            self.model.num_timesteps = self.num_timesteps
