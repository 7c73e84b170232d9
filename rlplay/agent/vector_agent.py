"""What agents with networks share that play several environments at once: the environments, masks, and the two drivers.

`rlplay.agent.on_policy` and `rlplay.agent.off_policy` stand on it. A step is `choose` and `finish` of an `Iteration`
(`rlplay.functional.vector_step`): both drivers run the same two functions.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policy_copies import CopyActor, PolicyCopies
from rlplay.approximation.encoder import Encoder, ObservationVectors
from rlplay.approximation.encoders import VectorFeatures
from rlplay.compiled.by_reference import laid_out
from rlplay.compiled.cache import compile_beside, compiled
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TableEnv
from rlplay.compiled.vector_loop import VectorRun, VectorState, new_step_buffer, vector_training_loop
from rlplay.environments.instances import why_not_native
from rlplay.environments.interact import ObservationCheck, RunningEnv, begin_episode, go_on_from, take_step
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.masks import Mask, MaskSource
from rlplay.environments.vector.remote import RemoteEnvs, worthwhile_workers
from rlplay.errors import EnvironmentFault, HyperparameterError, UsageError
from rlplay.functional.rollout import FORBIDDEN
from rlplay.functional.running_moments import (
    RunningMoments,
    new_running_moments,
    normalise_batch,
    normalises_observations,
    observe_batch,
)
from rlplay.functional.schedules import tabulate
from rlplay.functional.vector_step import Decorator, FeatureState, plain
from rlplay.hyperparameters.domains import Choice, Either, Module, Range, Settings, Sizes
from rlplay.hyperparameters.types import FeaturesLike, normalized
from rlplay.networks.contract import Kernel
from rlplay.networks.layers import ACTIVATIONS
from rlplay.training.checks import whole_number
from rlplay.training.learner import Engine

NEnvs = Annotated[int, Range("environments that are played at once", 1, 4096, integer=True)]
MaxGradNorm = Annotated[float, Range("longest gradient, of both networks together; 0 for any", 0, 1e9)]


class VectorAgent(Agent):
    """An agent with networks that plays several environments at once; `setup` of its family makes ``memory``.

    Its family makes a ``memory`` (a NamedTuple with obs, masks, actions, moments, features and metrics, among others),
    and an `Iteration` over it in `_build`.

    Example:
        >>> from agents import A2C  # a subclass
        >>> agent = A2C("CartPole-v1", n_envs=2, seed=0)
        >>> len(agent.running_envs()), agent.memory.obs.shape
        (2, (2, 4))
    """

    normalize: Annotated[
        Any,
        Either((True, False), normalized("normalise observations and rewards", "norm_reward=False")),
    ] = False
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of both networks")] = (64, 64)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "tanh"
    policy_kwargs: Annotated[
        Any, Either((None,), Settings("net_arch, activation_fn, ortho_init and log_std_init by name"))
    ] = None
    network: Annotated[
        Any, Module("whose networks: ours, compiled, or torch's; or hidden layers of yours, a linear one is put on top")
    ] = "numpy"
    device: Annotated[str, Choice("of torch", ("auto", "cpu", "cuda"))] = "auto"
    features: FeaturesLike = None
    adam_eps = 1e-8  # of its optimiser, where policy_kwargs say nothing of it

    if TYPE_CHECKING:  # set in `setup`; an annotation in the body of the class would be a hyperparameter

        def _set_in_setup(self) -> None:
            self._iteration: Any  # an `Iteration`, or one with more functions
            self._discrete: bool  # whether actions are numbers, which masks can forbid
            self._played: list[RunningEnv]
            self._ahead: VectorState | None  # where the native loop left them, while the objects do not know it yet
            self._masked: bool  # whether masks were seen, so that the memory has room for them
            self._halt: Callable[[], None] | None  # called after each gradient step, see `stop_inside`

    # What a family supplies.

    @abstractmethod
    def _build(self) -> None:
        """The iteration, over the feature map as it is now."""

    @abstractmethod
    def _make_masks(self) -> None:
        """Room for masks; none so far."""

    @abstractmethod
    def _learn_arguments(self) -> tuple[Any, ...]:
        """What `Iteration.learn` is called with."""

    @abstractmethod
    def nets(self) -> dict[str, Any]:
        """The networks by name."""

    @abstractmethod
    def functions_of(self, name: str) -> Any:
        """The functions of a network, see `rlplay.networks.contract`."""

    def _mask_of(self, i: int, info: dict[str, Any]) -> Mask | None:
        """The mask of an environment's newest observation, an entry an output [K]; None where all may be taken."""
        return self._mask_sources[i].of(info)

    def _keep_final_mask(self, i: int) -> None:
        """An episode ended: the mask in the memory is that of its last observation."""

    def rounds_ahead(self) -> int:
        """Steps of all environments that a copy of the policy can foresee, see `rlplay.agent.policy_copies`: 1 is none.

        They end with the next update, and there are none where the choice depends on what all environments show.
        """
        return 1

    def acting_arrays(self) -> StateArrays:
        """What the choice of an action depends on, besides what the networks see, where `rounds_ahead` is above 1."""
        return {}

    @property
    def _between_updates(self) -> bool:
        """Whether the steps so far have been learned from, so that a feature map may be fitted again."""
        return True

    # What it is made of.

    def make_encoder(self) -> Encoder:
        """Vectors, for our layers of pictures with channels last; of a feature map, its features."""
        wide = normalises_observations(self.hyperparameters.get("normalize", False))
        if self.hyperparameters["features"] is None and isinstance(self.network, str | list):
            return ObservationVectors(self.observation_space, type(self).__name__, channels_last=True, wide=wide)
        return self.encoder_of("vector", wide=wide)

    def _begin_setup(self) -> None:
        """The environments, and what they show."""
        self._played = self.make_running_envs(self.hyperparameters.get("n_envs", 1))
        self._ahead, self._halt = None, None
        self._laid_out: dict[type, Any] = {}
        self._compiled_beside: Any = None  # the last function that another process was asked to compile
        self._checks = [ObservationCheck(one.env) for one in self._running_envs]
        self._remote: RemoteEnvs | None = None  # the workers that play them
        self._copies: PolicyCopies | None = None  # of the policy, beside the environments
        self._sees_now = False  # whether what the networks see is what the environments show
        self._mask_sources = [MaskSource(one.env) for one in self._running_envs]
        view = self.encoder.view
        self._step_buffer = new_step_buffer(len(self._running_envs), view.size, view.dtype)

    def _new_moments(self) -> RunningMoments:
        """Running moments of nothing yet."""
        given, name = self.hyperparameters, type(self).__name__
        moments, self._moment_arrays = new_running_moments(
            given.get("normalize", False), self.encoder.view.size, len(self._running_envs), given["gamma"], name
        )
        if moments.norm_obs and isinstance(self.encoder, VectorFeatures):
            raise HyperparameterError(
                f"{name}: features see observations as the environment gives them, and normalize would change them",
                'Take normalize={"norm_obs": False}; features standardise by themselves',
            )
        return moments

    def _settings_of(self, settings: Any) -> Any:
        """A NamedTuple class of hyperparameters as compiled code reads them: schedules as tables, None as 0."""
        kinds = get_type_hints(settings)
        read = {name: kind if kind in (float, int, bool) else tabulate for name, kind in kinds.items()}
        return settings(**{name: read[name](getattr(self, name) or 0) for name in kinds})

    def _through_features(self) -> tuple[Decorator, Any]:
        """Compiled or plain, and the function of the feature map, which the memory is given; None for none."""
        encoder = self.encoder
        by_hand = self._is_torch or encoder.why_not_compiled or not encoder.ready or self._halt is not None
        decorator = plain if by_hand else compiled
        if not isinstance(encoder, VectorFeatures):
            return decorator, None
        state = FeatureState(
            encoder.codes, encoder.samples, encoder.counts, np.zeros(1, np.int64), encoder.shift, encoder.scale,
            np.zeros(encoder.view.size),
        )  # fmt: skip
        self.memory = self.memory._replace(features=state)
        return decorator, encoder.fill

    @property
    def _is_torch(self) -> bool:
        return self.network != "numpy" and not isinstance(self.network, list)

    @property
    def lessons(self) -> int:
        """The updates so far."""
        return int(self.memory.metrics.n_updates[0])

    # The environments.

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    @property
    def _running_envs(self) -> list[RunningEnv]:
        """The same; a native loop's chunks leave their numbers in whole arrays until somebody asks for the objects.

        The first one, which is the agent's own, is always as it stands: writing to thousands of objects after each
        chunk took longer than the chunk.
        """
        if self._ahead is not None:
            state, self._ahead = self._ahead, None
            self._put_back(state, slice(1, None))
        return self._played

    def _has_masks(self) -> bool:
        """Whether the environment is known to mask its actions; one that says so only in info is known at its reset."""
        return self._maskable and (self.masks_seen or hasattr(self.env.unwrapped, "action_mask"))

    @property
    def _maskable(self) -> bool:
        """Whether actions have parts that masks can forbid."""
        return self._discrete

    def _mask(self, i: int, info: dict[str, Any]) -> None:
        """Take the mask that goes with the newest observation of an environment."""
        if not self._masked and self._mask_sources[i].method is None and "action_mask" not in info:
            return
        mask = self._mask_of(i, info) if self._maskable else None
        if mask is not None:
            self.expect_masks()
        if self._masked:
            self.memory.masks[i] = 0.0 if mask is None else np.where(mask, 0.0, FORBIDDEN)

    def expect_masks(self) -> None:
        """Make room for masks, where there is none."""
        if not self._masked:
            self._masked = self.masks_seen = True
            self._make_masks()

    def why_not_compiled(self) -> str:
        """The native loop needs native dynamics and our own networks."""
        if self._is_torch:
            return "its networks are torch modules"
        if self.encoder.why_not_compiled:
            return self.encoder.why_not_compiled
        if isinstance(self.env, TableEnv):
            name = reference(self.env).id
            return f"the native dynamics of {name} are a table, and {type(self).__name__} takes vectors"
        return why_not_native(self.env)

    def handed(self, value: Any) -> Any:
        """A named tuple as the functions of the iteration take it: laid out once, where they are compiled."""
        if not hasattr(self._iteration.choose, "py_func"):
            return value
        known = self._laid_out.get(type(value))
        if known is None or known.value is not value:
            known = self._laid_out[type(value)] = laid_out(value)
        return known

    # Learning.

    def stop_inside(self, stop: Callable[[], None] | None) -> None:
        """Have a function called after each gradient step, in the middle of an update; None for no more.

        Until then the lines of an update run as plain Python over the same compiled parts, which gives the same bits.
        Networks with a memory do not stop.

        Example:
            >>> from agents import PPO
            >>> agent, seen = PPO("CartPole-v1", n_steps=8, batch_size=4, n_epochs=3, seed=0), []
            >>> agent.stop_inside(lambda: seen.append(agent.lessons))
            >>> agent.learn(8, engine="python").lessons, seen
            (6, [0, 1, 2, 3, 4, 5])
        """
        self._halt = None if self.remembers else stop
        self._build()

    @abstractmethod
    def parameters(self) -> dict[str, NDArray[Any]]:
        """All weights of each network, by its name, [P]."""

    def compile_ahead(self) -> None:
        """Have another process compile the update, while this one compiles what plays."""
        if self.encoder.ready and self._iteration.learn is not self._compiled_beside:
            self._compiled_beside = self._iteration.learn
            compile_beside(self._iteration.learn, *self._learn_arguments(), first=self._update_alone())

    def _update_alone(self) -> list[tuple[Any, ...]]:
        """What networks do in an update and not in play, with examples of arguments."""
        x = np.zeros((1, 1), np.float32)
        found: list[tuple[Any, ...]] = []
        for name, net in self.nets().items():
            kernel = self.functions_of(name)
            if isinstance(kernel, Kernel):
                found += [(kernel.backward, net, x, x, False), (kernel.improve, net, 0.0, 0.0)]
        return found

    def advance(self, timesteps: int, engine: Engine) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        self.compile_ahead()
        if self._played[0].position.obs is None:
            self._begin()
        elif not self._sees_now:  # loaded from a file
            for i, one in enumerate(self._running_envs):
                self._step_buffer.obs[i] = self.encoder.view.vector(one.position.obs)
                self._mask(i, one.position.info)
            self._look()
        self._sees_now = True
        rounds, encoder = -(-timesteps // len(self._played)), self.encoder
        if not encoder.ready:
            return self._warm_up(rounds)
        if isinstance(encoder, VectorFeatures):
            self.memory.features.due[0] = int(encoder.counts[0]) + encoder.steps_to_fit()
        return (self._advance_compiled if engine == "compiled" else self._advance_stepwise)(rounds)

    @contextmanager
    def played_by(self, workers: int | str, timesteps: int, engine: Engine) -> Iterator[None]:
        """While this lasts, worker processes play the environments; see `Agent.learn`."""
        self.compile_ahead()
        native = engine != "python" and not self.why_not_compiled()
        self.workers, self.step_seconds, on_ray = 0, 0.0, False
        if workers == "auto":
            if not native:
                count = len(self._running_envs)
                self.workers, self.step_seconds = worthwhile_workers(self.env, count, timesteps)
        else:
            self.workers, on_ray = _workers(workers)
            if self.workers and len(self._running_envs) == 1:
                raise UsageError(f"workers={workers}: there is one environment", "Take n_envs=2 or more, or no workers")
            if self.workers and native:
                raise UsageError(
                    f"workers={workers}: {reference(self.env)} runs in native code, which needs none",
                    "Leave workers out, or take engine='python'",
                )
        if not self.workers:
            yield
            return
        local = list(self._running_envs)
        self._remote = RemoteEnvs(
            [one.env for one in local], [one.position for one in local], self.workers,
            actor=CopyActor if on_ray else None,
        )  # fmt: skip
        if on_ray:
            self._remote.ahead = self._copies = PolicyCopies(self, self._remote)
        self._running_envs[:] = [one._replace(env=env) for one, env in zip(local, self._remote.envs, strict=True)]
        try:
            yield
        finally:
            self._remote.close()
            self._remote = self._copies = None
            self._running_envs[:] = local
            for one, check in zip(local, self._checks, strict=True):
                go_on_from(one.env, one.position, check)

    def _begin(self) -> None:
        """Begin an episode in each environment."""
        for i, one in enumerate(self._running_envs):
            self._reset(i, one)
        observe_batch(self.handed(self.memory.moments), self._step_buffer.obs)
        self._look()

    def _reset(self, i: int, running_env: RunningEnv) -> None:
        env, position, seeds = running_env
        begin_episode(env, position, random_seed(seeds), self._checks[i])
        self._step_buffer.obs[i] = self.encoder.view.vector(position.obs)
        self._mask(i, position.info)

    def _look(self) -> None:
        """What the networks see now, from what the environments show."""
        if self.encoder.ready:
            memory = self.handed(self.memory)
            for i in range(len(self._running_envs)):
                self._iteration.look(memory, self._step_buffer.obs[i], self.memory.obs[i])

    def _warm_up(self, rounds: int) -> int:
        """Random steps, which the feature map only watches, until it is fitted."""
        encoder, buffer, done = self.encoder, self._step_buffer, 0
        for _ in range(rounds):
            self._step_all([self.random_action(encoder.rng) for _ in self._running_envs])
            for i in range(len(self._running_envs)):
                ended = buffer.terminated[i] or buffer.truncated[i]
                encoder.remember_vector(buffer.final[i] if ended else buffer.obs[i])
            self.num_timesteps += len(self._running_envs)
            done += len(self._running_envs)
            if encoder.due():
                self.refit()
                break
        return done

    def refit(self) -> None:
        """Fit the feature map, between two rollouts."""
        self.encoder.fit()
        self._build()
        self._look()

    @property
    def _healthy(self) -> bool:
        metrics = self.memory.metrics
        return bool(np.isfinite(metrics.loss[0]) and np.isfinite(metrics.grad_norm[0]))

    @property
    def _chose_numbers(self) -> bool:
        return self._discrete or bool(np.isfinite(self.memory.actions).all())

    def _advance_stepwise(self, rounds: int) -> int:
        done = 0
        for _ in range(rounds):
            if self._copies is not None:
                self._copies.play_on()
            self._iteration.choose(self.handed(self.memory))
            if not self._chose_numbers:
                self._stop()
            try:
                self._step_all(self._all_taken())
            except Exception:
                if len(self._running_envs) > 1:  # some of them have taken the step and some have not
                    self.give_up_episode()
                raise
            self.num_timesteps += len(self._running_envs)
            done += len(self._running_envs)
            if not self._iteration.finish(self.handed(self.memory), self.handed(self._step_buffer), self.progress):
                self.refit() if self._healthy else self._stop()
                break
        return done

    def _step_all(self, actions: list[Any]) -> None:
        """A step of each environment; all at once where workers play them."""
        if self._remote is not None:
            self._remote.begin_step(actions)
        for i, one in enumerate(self._running_envs):
            self._step(i, one, actions[i])

    def _step(self, i: int, running_env: RunningEnv, action: Any) -> None:
        buffer, position = self._step_buffer, running_env.position
        taken = take_step(running_env.env, position, action, self._checks[i])
        buffer.rewards[i], buffer.terminated[i], buffer.truncated[i] = taken.reward, taken.terminated, taken.truncated
        buffer.obs[i] = self.encoder.view.vector(taken.next_obs)
        self._mask(i, taken.info)
        if taken.terminated or taken.truncated:
            buffer.final[i] = buffer.obs[i]
            self._keep_final_mask(i)
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps + i + 1, taken.info)
            self._reset(i, running_env)

    def _all_taken(self) -> list[Any]:
        """The actions of all environments, as they take them."""
        return [self._taken(action) for action in self.memory.actions]

    def _taken(self, action: NDArray[np.float32]) -> Any:
        """An action as the environment takes it."""
        space = self.action_space
        if isinstance(space, gym.spaces.Box):
            return self.bounded(action)
        if isinstance(space, gym.spaces.Discrete):
            return int(action[0]) + int(space.start)
        shifted = action.astype(space.dtype).reshape(space.shape)
        return shifted + space.start if isinstance(space, gym.spaces.MultiDiscrete) else shifted

    def _advance_compiled(self, rounds: int) -> int:
        buffer, log, statistics = self._step_buffer, self.episode_log, self.statistics
        env: Any = self._played[0].env
        state = self._native_state()
        run = VectorRun(
            timestep=np.array([self.num_timesteps]), episodes=np.array([statistics.episodes]),
            total_return=np.array([statistics.total_return], np.float64),
        )  # fmt: skip
        loop = vector_training_loop(env.dynamics, self._iteration.choose, self._iteration.finish)
        limit, horizon = env.max_episode_steps, float(max(self.horizon, 1))
        done = loop(*map(self.handed, (state, buffer, self.memory, run, log)), rounds, limit, horizon)
        self._ahead = state
        self._put_back(state, slice(0, 1))
        self.num_timesteps, statistics.episodes = int(run.timestep[0]), int(run.episodes[0])
        statistics.total_return = float(run.total_return[0])
        statistics.take_log(log)
        if not (np.isfinite(buffer.obs).all() and np.isfinite(state.score).all()):
            if not self._chose_numbers:
                self._stop()
            raise EnvironmentFault(
                f"{reference(self.env)} gave numbers that are not finite before timestep {self.num_timesteps:,}",
                "Everything saved before is unharmed; engine='python' finds the step",
            )
        if self._between_updates:
            if not self._healthy:
                self._stop()
            if self.encoder.due():
                self.refit()
        return int(done) * len(self._played)

    def _native_state(self) -> VectorState:
        """Where the environments stand, a row each."""
        state, (first, position, first_seeds) = self._ahead, self._played[0]
        own: Any = first
        if state is not None:  # the agent's own environment may have been played on since
            state.state[0], state.rng[0], state.seeds[0] = own.world.state, own.rng, first_seeds
            state.seed[0], state.length[0], state.score[0] = position.seed, position.length, position.episode_return
            return state
        envs: list[Any] = [one.env for one in self._played]
        positions = [one.position for one in self._played]
        return VectorState(
            parameters=own.world.parameters, state=np.stack([env.world.state for env in envs]),
            rng=np.stack([env.rng for env in envs]), seeds=np.stack([one.seeds for one in self._played]),
            seed=np.array([position.seed for position in positions]),
            length=np.array([position.length for position in positions]),
            score=np.array([position.episode_return for position in positions]),
            low=own.world.low, high=own.world.high, action=own.world.action,
        )  # fmt: skip

    def _put_back(self, state: VectorState, some: slice) -> None:
        """Give environments what the native loop left in their rows."""
        seen = self._step_buffer.obs[some].astype(np.float32)
        rows = zip(self._played[some], state.state[some], state.rng[some], state.seeds[some], seen,
                   state.seed[some].tolist(), state.length[some].tolist(), state.score[some].tolist(),
                   strict=True)  # fmt: skip
        for (env, position, own_seeds), numbers, rng, seeds, obs, seed, length, score in rows:
            native: Any = env
            native.world.state[:], native.world.obs[:], native.rng[:], own_seeds[:] = numbers, obs, rng, seeds
            native.elapsed, native._over = length, False
            position.seed, position.length, position.episode_return = seed, length, score
            position.obs, position.actions, position.last_step = native.observation(), None, None

    def _stop(self) -> None:
        """Training broke: say which number, and when."""
        loss, length = self.memory.metrics.loss[0], self.memory.metrics.grad_norm[0]
        name = "loss" if not np.isfinite(loss) else "gradient's length" if not np.isfinite(length) else "action"
        when = "in the update" if name != "action" else "after the updates"
        shorter = ", normalize=True, or max_grad_norm=0.5" if "max_grad_norm" in self.hyperparameters else ""
        raise UsageError(
            f"{type(self).__name__}: the {name} is not a number {when} at timestep {self.num_timesteps:,}",
            f"What was saved before is unharmed. Take a smaller learning_rate{shorter or ', or normalize=True'}",
        )

    def give_up_episode(self) -> None:
        """Stand between episodes."""
        for one in self._running_envs:
            one.position.clear()
        self.memory.moments.returns[:] = 0.0

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env, force_reset)
        self._running_envs[:] = self.make_running_envs(len(self._running_envs))
        self._checks = [ObservationCheck(one.env) for one in self._running_envs]
        self._mask_sources = [MaskSource(one.env) for one in self._running_envs]

    # Acting.

    def inputs(self, observation: Any) -> NDArray[Any] | None:
        """The observation normalised by the running moments, where it is."""
        return self._network_inputs(observation) if self.memory.moments.norm_obs else None

    def _network_inputs(self, observation: Any) -> NDArray[np.float32]:
        """One observation or a batch as the networks see it, float32 [B, D]."""
        if self.memory.moments.norm_obs:
            observation = self.raw_observations(observation, type(self).__name__)
        found = self.encoder.encode_batch(observation)
        if self.memory.moments.norm_obs:
            given, found = np.array(found, order="C"), np.empty(found.shape, np.float32)
            normalise_batch(self.memory.moments, given, found)
        return found


def _workers(given: int | str) -> tuple[int, bool]:
    """How many workers, and whether on Ray: 4, or ``"ray:4"``."""
    on_ray = isinstance(given, str) and given.startswith("ray:")
    count = str(given).removeprefix("ray:")
    if on_ray and count.isdigit():
        return whole_number("workers", int(count)), True
    return whole_number("workers", given, low=0), False
