"""What on-policy agents share: several environments played at once, a rollout, two networks, and an update.

An agent is a file with its update in it, such as `agents.ppo`; how a step of all environments goes is in
`rlplay.functional.on_policy_step`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, get_type_hints

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policy_networks import new_networks, options
from rlplay.approximation.encoder import Encoder, ObservationVectors
from rlplay.approximation.encoders import VectorFeatures
from rlplay.compiled.cache import compile_beside, compiled
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TableEnv
from rlplay.compiled.vector_loop import VectorRun, VectorState, new_step_buffer, vector_training_loop
from rlplay.environments.instances import why_not_native
from rlplay.environments.interact import ObservationCheck, RunningEnv, begin_episode, take_step
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.masks import MaskSource
from rlplay.errors import EnvironmentFault, HyperparameterError, SpaceError, UsageError, require_memory
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN, Head
from rlplay.functional.on_policy_step import FeatureState, Metrics, OnPolicyMemory, iteration, plain
from rlplay.functional.rollout import FORBIDDEN, new_rollout
from rlplay.functional.running_moments import (
    new_running_moments,
    normalise_batch,
    normalises_observations,
    observe_batch,
)
from rlplay.functional.schedules import tabulate
from rlplay.hyperparameters.domains import Choice, Either, Module, Range, Settings, Sizes
from rlplay.hyperparameters.types import FeaturesLike
from rlplay.networks.layers import ACTIVATIONS
from rlplay.networks.optimisers import new_optimiser
from rlplay.probe import Probe
from rlplay.seeding import generator, stream
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import ANY, COUNT, Ranges, check_ranges, numbers_below
from rlplay.training.learner import Engine

_JOINT = 1024  # combinations of the parts of an action up to which they are numbered

NEnvs = Annotated[int, Range("environments that are played at once", 1, 4096, integer=True)]
RolloutSteps = Annotated[int, Range("steps of a rollout in each environment", 1, 1_000_000, integer=True)]
GaeLambda = Annotated[float, Range("λ of generalised advantage estimation", 0, 1)]
EntropyWeight = Annotated[float, Range("weight of the policy's entropy", 0, 10)]
ValueWeight = Annotated[float, Range("weight of the value loss", 0, 100)]
MaxGradNorm = Annotated[float, Range("longest gradient, of both networks together; 0 for any", 0, 1e9)]


class OnPolicyAgent(Agent):
    """An agent that learns from rollouts of several environments.

    It supplies `make_update` and `settings`, and its hyperparameters.

    Attributes:
        make_update: ``make_update(kernel, head, decorator) -> update(memory, rollout, progress)``, over a full rollout.
        settings: a NamedTuple class: the hyperparameters that the update reads, each a ``Schedule``, ``float``,
            ``int`` or ``bool``.

    Example:
        >>> from agents import PPO  # a subclass
        >>> agent = PPO("CartPole-v1", n_envs=2, net_arch=[16], seed=0)
        >>> agent.memory.obs.shape, agent.predict(np.zeros(4, np.float32), deterministic=True)[0] in (0, 1)
        ((2, 4), True)
    """

    make_update: ClassVar[Any]
    settings: ClassVar[Any]

    normalize: Annotated[
        Any, Either((True, False), Settings("normalise observations and rewards, or VecNormalize's settings by name"))
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

    def make_encoder(self) -> Encoder:
        """Vectors, for our layers of pictures with channels last; of a feature map, its features."""
        wide = normalises_observations(self.hyperparameters.get("normalize", False))
        if self.hyperparameters["features"] is None and isinstance(self.network, str | list):
            return ObservationVectors(self.observation_space, type(self).__name__, channels_last=True, wide=wide)
        return self.encoder_of("vector", wide=wide)

    def setup(self) -> None:
        """The environments, the networks and everything else that the iteration works on."""
        given, name = self.hyperparameters, type(self).__name__
        self._running_envs = self.make_running_envs(given.get("n_envs", 1))
        self._checks = [ObservationCheck(one.env) for one in self._running_envs]
        self._sees_now = False  # whether what the networks see is what the environments show
        self._mask_sources = [MaskSource(one.env) for one in self._running_envs]
        self._head, action_size, outputs, spread = self._policy()
        self._masked = self._has_masks()
        n, raw, size = len(self._running_envs), self.encoder.view.size, self.encoder.size
        rows, spread_size = n * self.rollout_steps(), 0 if self._discrete else len(spread)
        require_memory(
            f"{name}: a rollout of {rows:,} steps of {size:,} numbers and {outputs:,} outputs",
            rows * (size + action_size + outputs + 14),
            "Lower n_steps, n_envs or batch_size, or take smaller observations", itemsize=4,
        )  # fmt: skip
        self._step_buffer = new_step_buffer(n, raw, self.encoder.view.dtype)
        optimiser, settings = self.optimiser()
        policy, value, self.kernel = new_networks(
            given, self.encoder.view.picture, size, outputs, (optimiser, settings), generator(self.seed, "weights"),
            self.network_rows(rows), name,
        )  # fmt: skip
        moments, self._moment_arrays = new_running_moments(given.get("normalize", False), raw, n, given["gamma"], name)
        if moments.norm_obs and isinstance(self.encoder, VectorFeatures):
            raise HyperparameterError(
                f"{name}: features see observations as the environment gives them, and normalize would change them",
                'Take normalize={"norm_obs": False}; features standardise by themselves',
            )
        self._rng = np.stack([stream(self.seed, "exploration"), stream(self.seed, "minibatches")])
        self._metrics = np.zeros(len(Metrics._fields))
        self.memory = OnPolicyMemory(
            policy=policy, value=value, spread=spread, spread_gradient=np.zeros(spread_size, np.float32),
            spread_optimiser=new_optimiser(spread_size, optimiser, **settings),
            rollout=new_rollout(rows, size, action_size, outputs, self._masked),
            obs=np.zeros((n, size), np.float32), masks=np.zeros((n if self._masked else 0, outputs), np.float32),
            actions=np.zeros((n, action_size), np.float32), log_probs=np.zeros(n), entropies=np.zeros(n),
            rewards=np.zeros(n), output_gradient=np.zeros((n, outputs), np.float32), moments=moments, features=None,
            gamma=float(given["gamma"]), gae_lambda=float(given.get("gae_lambda", 1.0)),
            max_grad_norm=float(given["max_grad_norm"]), least_rows=self.least_rows(rows),
            settings=self._update_settings(), action_rng=self._rng[0], minibatch_rng=self._rng[1],
            metrics=Metrics(*(self._metrics[i : i + 1] for i in range(len(self._metrics)))),
        )  # fmt: skip
        self._build()

    def _update_settings(self) -> Any:
        """The agent's `settings`, as compiled code reads them: schedules as tables, None as 0."""
        kinds = get_type_hints(self.settings)
        read = {name: kind if kind in (float, int, bool) else tabulate for name, kind in kinds.items()}
        return self.settings(**{name: read[name](getattr(self, name) or 0) for name in kinds})

    def _build(self) -> None:
        """The iteration, over the feature map as it is now."""
        encoder, fill = self.encoder, None
        decorator = plain if self._is_torch or encoder.why_not_compiled else compiled
        if isinstance(encoder, VectorFeatures):
            fill = encoder.fill
            state = FeatureState(
                encoder.codes, encoder.samples, encoder.counts, np.zeros(1, np.int64), encoder.shift, encoder.scale,
                np.zeros(encoder.view.size),
            )  # fmt: skip
            self.memory = self.memory._replace(features=state)
        self._iteration = iteration(self.kernel, self._head, type(self).make_update, decorator, fill)

    @property
    def _is_torch(self) -> bool:
        return self.network != "numpy" and not isinstance(self.network, list)

    # What it is made of.

    def optimiser(self) -> tuple[str, dict[str, float]]:
        """The optimiser of the networks, by name, and its settings."""
        return "adam", {"eps": 1e-5}

    def rollout_steps(self) -> int:
        """Steps of a rollout in each environment, at most."""
        return int(self.hyperparameters["n_steps"])

    def least_rows(self, rows: int) -> int:
        """Rows from which the end of an episode ends the rollout; all of them: only the last row does."""
        return rows

    def network_rows(self, rows: int) -> int:
        """Rows that the networks see at a time, at most."""
        return rows

    def _policy(self) -> tuple[Head, int, int, NDArray[np.float32]]:
        """Head, numbers of an action, outputs, and spread, by the action space."""
        space, name = self.action_space, type(self).__name__
        self._discrete = is_finite(space) and not isinstance(space, gym.spaces.Dict | gym.spaces.Tuple)
        if self._discrete:
            self.numbering = FiniteSpace(space)
            self._parts, self._combinations = self.numbering.sizes, self.numbering.n
            choices = np.array(self._parts, np.float32)
            return CATEGORICAL, len(choices), int(choices.sum()), choices
        if not isinstance(space, gym.spaces.Box):
            raise SpaceError(
                f"{name} needs actions that are Discrete, MultiDiscrete, MultiBinary or Box, and {space} is none",
                "Flatten them: one of those, or a wrapper of yours",
            )
        size = math.prod(space.shape)
        return GAUSSIAN, size, size, np.full(size, options(self.hyperparameters, name).log_std_init, np.float32)

    @property
    def lessons(self) -> int:
        """The updates so far."""
        return int(self.memory.metrics.n_updates[0])

    def waits_for(self) -> str:
        """The rollout, which is not whole."""
        if not self.encoder.in_use:
            return super().waits_for()
        rows = len(self.memory.rollout.rewards)
        if self.memory.least_rows < rows:
            return (
                f"an update takes whole episodes, of {self.memory.least_rows:,} steps or more together (batch_size). "
                "Lower batch_size, or learn longer"
            )
        return f"an update takes a rollout of {rows:,} steps (n_steps * n_envs). Lower n_steps, or learn longer"

    # The environments.

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    def _has_masks(self) -> bool:
        """Whether the environment is known to mask its actions; one that says so only in info is known at its reset."""
        return self._discrete and (self.masks_seen or hasattr(self.env.unwrapped, "action_mask"))

    def _mask(self, i: int, info: dict[str, Any]) -> None:
        """Take the mask that goes with the newest observation of an environment."""
        mask = self._mask_sources[i].of(info) if self._discrete else None
        if mask is not None and not self._masked:
            self._masked = self.masks_seen = True
            self._make_masks()
        if self._masked:
            if mask is not None and mask.size != self.memory.masks.shape[1]:
                raise EnvironmentFault(
                    f"{reference(self.env)} gave a mask of all {mask.size:,} combinations of the parts of an action",
                    f"{type(self).__name__} takes one entry a choice of each part, {self.memory.masks.shape[1]}",
                )
            self.memory.masks[i] = 0.0 if mask is None else np.where(mask, 0.0, FORBIDDEN)

    def _make_masks(self) -> None:
        """Room for masks; none so far."""
        rollout, (n, outputs) = self.memory.rollout, (len(self._running_envs), self.memory.masks.shape[1])
        rows = np.zeros((len(rollout.rewards), outputs), np.float32)
        self.memory = self.memory._replace(
            rollout=rollout._replace(masks=rows), masks=np.zeros((n, outputs), np.float32)
        )

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

    # Learning.

    def advance(self, timesteps: int, engine: Engine) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        if self._running_envs[0].position.obs is None:
            self._begin()
        elif not self._sees_now:  # loaded from a file
            for i, one in enumerate(self._running_envs):
                self._step_buffer.obs[i] = self.encoder.view.vector(one.position.obs)
                self._mask(i, one.position.info)
            self._look()
        self._sees_now = True
        rounds, encoder = -(-timesteps // len(self._running_envs)), self.encoder
        if not encoder.ready:
            return self._warm_up(rounds)
        if isinstance(encoder, VectorFeatures):
            self.memory.features.due[0] = int(encoder.counts[0]) + encoder.steps_to_fit()
        return (self._advance_compiled if engine == "compiled" else self._advance_stepwise)(rounds)

    def _begin(self) -> None:
        """Begin an episode in each environment."""
        for i, one in enumerate(self._running_envs):
            self._reset(i, one)
        observe_batch(self.memory.moments, self._step_buffer.obs)
        self._look()

    def _reset(self, i: int, running_env: RunningEnv) -> None:
        env, position, seeds = running_env
        begin_episode(env, position, random_seed(seeds), self._checks[i])
        self._step_buffer.obs[i] = self.encoder.view.vector(position.obs)
        self._mask(i, position.info)

    def _look(self) -> None:
        """What the networks see now, from what the environments show."""
        if self.encoder.ready:
            look = self._iteration.look
            look = getattr(look, "py_func", look)  # what it calls is compiled, and short
            for i in range(len(self._running_envs)):
                look(self.memory, self._step_buffer.obs[i], self.memory.obs[i])

    def _warm_up(self, rounds: int) -> int:
        """Random steps, which the feature map only watches, until it is fitted."""
        encoder, buffer, done = self.encoder, self._step_buffer, 0
        for _ in range(rounds):
            for i, one in enumerate(self._running_envs):
                self._step(i, one, self.random_action(encoder.rng))
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

    def _advance_stepwise(self, rounds: int) -> int:
        done = 0
        for _ in range(rounds):
            self._iteration.choose(self.memory)
            try:
                for i, one in enumerate(self._running_envs):
                    self._step(i, one, self._taken(self.memory.actions[i]))
            except Exception:
                if len(self._running_envs) > 1:  # some of them have taken the step and some have not
                    self.give_up_episode()
                raise
            self.num_timesteps += len(self._running_envs)
            done += len(self._running_envs)
            if not self._iteration.finish(self.memory, self._step_buffer, self.progress):
                self.refit() if self._healthy else self._stop()
                break
        return done

    def _step(self, i: int, running_env: RunningEnv, action: Any) -> None:
        buffer, position = self._step_buffer, running_env.position
        taken = take_step(running_env.env, position, action, self._checks[i])
        buffer.rewards[i], buffer.terminated[i], buffer.truncated[i] = taken.reward, taken.terminated, taken.truncated
        buffer.obs[i] = self.encoder.view.vector(taken.next_obs)
        self._mask(i, taken.info)
        if taken.terminated or taken.truncated:
            buffer.final[i] = buffer.obs[i]
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps + i + 1)
            self._reset(i, running_env)

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
        envs: list[Any] = [one.env for one in self._running_envs]
        positions = [one.position for one in self._running_envs]
        world = envs[0].world
        state = VectorState(
            parameters=world.parameters, state=np.stack([env.world.state for env in envs]),
            rng=np.stack([env.rng for env in envs]), seeds=np.stack([one.seeds for one in self._running_envs]),
            seed=np.array([position.seed for position in positions]),
            length=np.array([position.length for position in positions]),
            score=np.array([position.episode_return for position in positions]),
            low=world.low, high=world.high, action=world.action,
        )  # fmt: skip
        run = VectorRun(
            timestep=np.array([self.num_timesteps]), episodes=np.array([statistics.episodes]),
            total_return=np.array([statistics.total_return], np.float64),
        )  # fmt: skip
        loop = vector_training_loop(envs[0].dynamics, self._iteration.choose, self._iteration.finish)
        compile_beside(loop, self._iteration.update, self.memory, self.memory.rollout, self.progress)
        limit, horizon = envs[0].max_episode_steps, float(max(self.horizon, 1))
        done = loop(state, buffer, self.memory, run, log, rounds, limit, horizon)
        for i, (one, env, position) in enumerate(zip(self._running_envs, envs, positions, strict=True)):
            one.seeds[:], env.rng[:], env.elapsed = state.seeds[i], state.rng[i], int(state.length[i])
            env.world.state[:], env.world.obs[:], env._over = state.state[i], buffer.obs[i], False
            position.seed, position.length = int(state.seed[i]), int(state.length[i])
            position.episode_return, position.obs, position.actions = float(state.score[i]), env.observation(), None
        self.num_timesteps, statistics.episodes = int(run.timestep[0]), int(run.episodes[0])
        statistics.total_return = float(run.total_return[0])
        statistics.take_log(log)
        if not (np.isfinite(buffer.obs).all() and np.isfinite(state.score).all()):
            raise EnvironmentFault(
                f"{reference(self.env)} gave numbers that are not finite before timestep {self.num_timesteps:,}",
                "Everything saved before is unharmed; engine='python' finds the step",
            )
        if self.memory.rollout.filled[0] == 0 and self.memory.metrics.n_updates[0]:
            if not self._healthy:
                self._stop()
            if self.encoder.due():
                self.refit()
        return int(done) * len(envs)

    def _stop(self) -> None:
        """Training broke: say which number, and when."""
        name = "loss" if not np.isfinite(self.memory.metrics.loss[0]) else "gradient's length"
        raise UsageError(
            f"{type(self).__name__}: the {name} is not a number in the update at timestep {self.num_timesteps:,}",
            "What was saved before is unharmed. Take a smaller learning_rate, normalize=True, or max_grad_norm=0.5",
        )

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        for one in self._running_envs:
            one.position.clear()
        self.memory.rollout.filled[0] = 0
        self.memory.moments.returns[:] = 0.0

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env)
        self._running_envs[:] = self.make_running_envs(len(self._running_envs))
        self._checks = [ObservationCheck(one.env) for one in self._running_envs]
        self._mask_sources = [MaskSource(one.env) for one in self._running_envs]

    def metrics(self) -> dict[str, float]:
        """Losses, entropy, divergence and so on of the last update."""
        found = {f"train/{name}": float(value[0]) for name, value in self.memory.metrics._asdict().items()}
        if not self._discrete:
            found["train/std"] = float(np.exp(self.memory.spread).mean())
        return found if self.memory.metrics.n_updates[0] else {}

    # Acting.

    def _network_inputs(self, observation: Any) -> NDArray[np.float32]:
        """One observation or a batch as the networks see it, float32 [B, D]."""
        found = self.encoder.encode_batch(observation)
        if self.memory.moments.norm_obs:
            given, found = np.array(found, order="C"), np.empty(found.shape, np.float32)
            normalise_batch(self.memory.moments, given, found)
        return found

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        x = self._network_inputs(observation)
        outputs = self.kernel.predict(self.memory.policy, x).astype(np.float64)
        value = self.kernel.predict(self.memory.value, x)[:, 0].astype(np.float64)
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        if not self._discrete:
            std = np.broadcast_to(np.exp(self.memory.spread.astype(np.float64)), outputs.shape)
            return Probe(action_mean=outputs, action_std=std, value=value, features=features)
        parts = self._probabilities(outputs)
        if len(parts) == 1:
            return Probe(action_probabilities=parts[0], value=value, features=features)
        if self._combinations > _JOINT:
            return Probe(value=value, features=features)
        joint = parts[0]
        for part in parts[1:]:
            joint = (joint[:, :, None] * part[:, None, :]).reshape(len(x), -1)
        return Probe(action_probabilities=joint, value=value, features=features)

    def _probabilities(self, outputs: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The probabilities of the choices of each part of an action."""
        parts, at = [], 0
        for n in self._parts:
            z = outputs[:, at : at + n]
            exponentials = np.exp(z - z.max(axis=1, keepdims=True))
            parts.append(exponentials / exponentials.sum(axis=1, keepdims=True))
            at += n
        return parts

    def choose_actions(self, probe: Probe, deterministic: bool) -> NDArray[np.int64]:
        """The numbers of the best actions, or of actions drawn, int64 [B]."""
        if probe.action_probabilities is not None:
            return super().choose_actions(probe, deterministic)
        raise SpaceError(f"{self.action_space} has too many combinations to number")  # predict does without

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The agent's action, as in Stable-Baselines3; see `Agent.predict`."""
        if not self._discrete or self._combinations <= _JOINT or len(self._parts) == 1:
            return super().predict(observation, state, episode_start, deterministic, action_masks)
        x = self._network_inputs(observation)
        outputs = self.kernel.predict(self.memory.policy, x).astype(np.float64)
        masks = self.prediction_masks(observation, len(x), action_masks, joint=False)
        parts = self._probabilities(outputs if masks is None else outputs + np.where(masks, 0.0, FORBIDDEN))
        columns = []
        for part in parts:
            draws = self._prediction.random((len(x), 1))
            columns.append(part.argmax(axis=1) if deterministic else (part.cumsum(axis=1) <= draws).sum(axis=1))
        chosen = np.stack(columns, axis=1).clip(0, np.array(self._parts) - 1)
        actions = np.array([self._taken(row.astype(np.float32)) for row in chosen])
        single = np.shape(observation) == self.observation_space.shape or isinstance(observation, dict)
        return (actions[0] if single and len(actions) == 1 else actions), state

    # Files.

    def arrays(self) -> StateArrays:
        """Networks and optimisers, the rollout so far, the running moments, and the random states."""
        memory, rollout, optimiser = self.memory, self.memory.rollout, self.memory.spread_optimiser
        found: StateArrays = {
            "spread": memory.spread, "spread_m": optimiser.m, "spread_v": optimiser.v, "spread_t": optimiser.t,
            "rng": self._rng, "metrics": self._metrics, "counters": rollout.filled,
        }  # fmt: skip
        for name, net in (("policy", memory.policy), ("value", memory.value)):
            found.update({f"{name}/{part}": array for part, array in self.kernel.arrays(net).items()})
        kept = {"obs": rollout.obs, "actions": rollout.actions, "masks": rollout.masks, "rewards": rollout.rewards,
                "log_probs": rollout.log_probs, "ends": rollout.ends, "beyond": rollout.bootstrap_values}  # fmt: skip
        found.update({f"rollout/{name}": array[: int(rollout.filled[0])] for name, array in kept.items()})
        found.update({f"normaliser/{name}": array for name, array in self._moment_arrays.items()})
        return found | self.encoder.arrays()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; layers are compared with the agent's own."""
        found: Ranges = {"spread_t": COUNT, "counters": (0, len(self.memory.rollout.rewards)), **super().ranges()}
        for name in ("policy", "value"):
            found.update({f"{name}/layers": ANY, f"{name}/t": COUNT})
        return found

    def check(self) -> None:
        """Refuse actions that there are not: they are kept as floating-point numbers, and chosen by number."""
        super().check()
        if self._discrete:
            for part, n in enumerate(self._parts):
                chosen = self.memory.rollout.actions[:, part]
                check_ranges(
                    {f"rollout/actions of part {part}": chosen}, {f"rollout/actions of part {part}": numbers_below(n)}
                )

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the fitted feature map of a file."""
        super().restore_models(models)
        self._build()

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too."""
        rollout = self.memory.rollout
        copy_into("counters", arrays, rollout.filled)  # it says how many rows there are
        if np.size(arrays.get("rollout/masks", ())) and not self._masked:  # its environment has not said so yet
            self._masked = self.masks_seen = True
            self._make_masks()
        super().load_arrays(arrays)
        for name, net in (("policy", self.memory.policy), ("value", self.memory.value)):
            own = {part.removeprefix(f"{name}/"): array for part, array in arrays.items() if part.startswith(name)}
            self.kernel.restore(net, own)
