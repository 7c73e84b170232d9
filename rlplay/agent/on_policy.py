"""What on-policy agents share: several environments played at once, a rollout, two networks, and an update.

An agent is a file with its update in it, such as `agents.ppo`; how a step of all environments goes is in
`rlplay.functional.on_policy_step`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policy_networks import new_networks, options
from rlplay.compiled.cache import compiled
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.vector_loop import VectorState, new_step_buffer, vector_training_loop
from rlplay.environments.interact import ObservationCheck, Position, RunningEnv, begin_episode, take_step
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import EnvironmentFault, HyperparameterError, SpaceError, UsageError
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN, Head
from rlplay.functional.on_policy_step import LEAST, LOSS, METRICS, NORM, UPDATES, Memory, Sight, iteration, plain
from rlplay.functional.rollout import FORBIDDEN, new_rollout
from rlplay.functional.running_moments import NORM_OBS, new_normaliser, rows_seen_as, see
from rlplay.functional.schedules import tabulate
from rlplay.hyperparameters.domains import Choice, Either, Module, Range, Settings, Sizes
from rlplay.networks.layers import ACTIVATIONS
from rlplay.networks.optimisers import new_optimiser
from rlplay.probe import Probe
from rlplay.seeding import generator, stream
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import VectorView
from rlplay.training.learner import Engine
from rlplay.training.statistics import FinishedEpisode

_JOINT = 1024  # combinations of the parts of an action up to which they are numbered

NEnvs = Annotated[int, Range("environments that are played at once", 1, 4096, integer=True)]
Steps = Annotated[int, Range("steps of a rollout in each environment", 1, 1_000_000, integer=True)]
Lambda = Annotated[float, Range("λ of generalised advantage estimation", 0, 1)]
EntropyWeight = Annotated[float, Range("weight of the policy's entropy", 0, 10)]
ValueWeight = Annotated[float, Range("weight of the value loss", 0, 100)]
MaxNorm = Annotated[float, Range("longest gradient, of both networks together; 0 for any", 0, 1e9)]
Normalise = Annotated[
    Any, Either((True, False), Settings("normalise observations and rewards, or VecNormalize's settings by name"))
]
Sized = Annotated[Sequence[int], Sizes("units of the hidden layers, of both networks")]
Activated = Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))]
WhoseNetwork = Annotated[
    Any, Module("whose networks: ours, compiled, or torch's; or hidden layers of yours, a linear one is put on top")
]
Device = Annotated[str, Choice("of torch", ("auto", "cpu", "cuda"))]
PolicyKwargs = Annotated[Any, Either((None,), Settings("net_arch, activation_fn, ortho_init and log_std_init by name"))]


class OnPolicyAgent(Agent):
    """An agent that learns from rollouts of several environments; it supplies `make_update` and its hyperparameters.

    Attributes:
        make_update: ``make_update(kernel, head, compile) -> update(memory, progress)``, over a rollout that is full.
    """

    make_update: ClassVar[Any]
    memory: Memory
    numbered = False
    _standing = False  # whether what the networks see is what the environments show

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        given, name = self.hyperparameters, type(self).__name__
        self._running_envs = self.make_running_envs(given.get("n_envs", 1))
        self._view = VectorView(self.observation_space, name)
        self._checks = [ObservationCheck(lane.env) for lane in self._running_envs]
        head, action_size, outputs, spread = self._policy()
        self._masked = self._has_masks()
        if given.get("features") is not None:
            self.features = given["features"].bound(self.observation_space, name, self.seed, "vector")
        n, raw = len(self._running_envs), self._view.size
        size = raw if self.features is None else self.features.size
        rows = n * self._capacity()
        self._seen = new_step_buffer(n, raw)
        policy, value, self.kernel = new_networks(
            given, self.observation_space, size, outputs, self.optimiser(), generator(self.seed, "weights"),
            self._room(rows), name,
        )  # fmt: skip
        optimiser, settings = self.optimiser()
        normaliser = new_normaliser(given.get("normalize", False), raw, n, given["gamma"], name)
        if self.features is not None and normaliser.settings[NORM_OBS]:
            raise HyperparameterError(
                f"{name}: features see observations as the environment gives them, and normalize would change them",
                'Take normalize={"norm_obs": False}; features standardise by themselves',
            )
        self.memory = Memory(
            policy, value, spread, np.zeros(0 if self._discrete else len(spread), np.float32),
            new_optimiser(0 if self._discrete else len(spread), optimiser, **settings),
            new_rollout(rows, size, action_size, outputs, self._masked), np.zeros((n, size), np.float32),
            np.zeros((n if self._masked else 0, outputs), np.float32), np.zeros((n, action_size), np.float32),
            np.zeros(n), normaliser, None,
            (np.zeros((2, n)), np.zeros((n, outputs), np.float32)), self._settings(rows), self._schedules(),
            np.stack([stream(self.seed, "exploration"), stream(self.seed, "minibatches")]), np.zeros(len(METRICS)),
        )  # fmt: skip
        if self._masked:
            self.stand = self._take_info  # type: ignore[method-assign]
        self._head = head
        self._build()

    def _build(self) -> None:
        """The iteration, over the feature map as it is now."""
        features, row = self.features, None
        compile = plain if self._is_torch else compiled
        if features is not None:
            compile = compile if features.compiles else plain
            row = features.row if features.row is not None else features.plain_row
            due = np.zeros(1, np.int64)
            sight = Sight(
                features.codes, features.samples, features.counts, due, features.shift, features.scale,
                np.zeros(self._view.size),
            )  # fmt: skip
            self.memory = self.memory._replace(sight=sight)
        self._iteration = iteration(self.kernel, self._head, type(self).make_update, compile, row)

    @property
    def _is_torch(self) -> bool:
        network = self.hyperparameters["network"]
        return network != "numpy" and not isinstance(network, list)

    # What it is made of.

    def optimiser(self) -> tuple[str, dict[str, float]]:
        """The optimiser of the networks, by name, and its settings."""
        return "adam", {"eps": 1e-5}

    def _settings(self, rows: int) -> NDArray[np.float64]:
        given = self.hyperparameters
        absent = {"gae_lambda": 1.0, "vf_coef": 0.5}
        names = ("gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")
        common = [float(given[name] if name in given else absent[name]) for name in names]
        settings = np.array([*common, float(rows), *self._own_settings()])
        settings[LEAST] = self._least(rows)
        return settings

    def _capacity(self) -> int:
        """Steps of a rollout in each environment, at most."""
        return int(self.hyperparameters["n_steps"])

    def _least(self, rows: int) -> int:
        """Rows from which the end of an episode ends the rollout; all of them: only the last row does."""
        return rows

    def _own_settings(self) -> list[float]:
        """Numbers of the agent's own, behind the common ones."""
        return []

    def _schedules(self) -> tuple[NDArray[np.float64], ...]:
        """The schedule of the learning rate, and of whatever else the agent has."""
        return (tabulate(self.hyperparameters["learning_rate"]),)

    def _room(self, rows: int) -> int:
        """Rows that the networks see at a time."""
        return rows

    def _policy(self) -> tuple[Head, int, int, NDArray[np.float32]]:
        """Head, numbers of an action, outputs, and spread, by the action space."""
        space, name = self.action_space, type(self).__name__
        self._discrete = is_finite(space) and not isinstance(space, gym.spaces.Dict | gym.spaces.Tuple)
        if self._discrete:
            choices = np.array(FiniteSpace(space).sizes, np.float32)
            self._actions = FiniteSpace(space)
            return CATEGORICAL, len(choices), int(choices.sum()), choices
        if not isinstance(space, gym.spaces.Box):
            raise SpaceError(
                f"{name} needs actions that are Discrete, MultiDiscrete, MultiBinary or Box, and {space} is none",
                "Flatten them: one of those, or a wrapper of yours",
            )
        size = math.prod(space.shape)
        return GAUSSIAN, size, size, np.full(size, options(self.hyperparameters, name).log_std_init, np.float32)

    # The environments.

    def running_envs(self) -> list[RunningEnv]:
        """All environments that are played."""
        return self._running_envs

    def _has_masks(self) -> bool:
        if not self._discrete or isinstance(self.env, NoEnvironment | NativeEnv):
            return False
        plain_env = self.env.unwrapped
        return hasattr(plain_env, "action_masks") or hasattr(plain_env, "action_mask")

    def _mask(self, lane: int, info: dict[str, Any]) -> None:
        """Take the mask that came with an observation."""
        if not self._masked:
            return
        env = self._running_envs[lane].env.unwrapped
        mask = info.get("action_mask")
        if mask is None and hasattr(env, "action_masks"):
            mask = env.action_masks()
        self.memory.masks[lane] = 0.0 if mask is None else np.where(np.ravel(mask), 0.0, FORBIDDEN)

    def _take_info(self, position: Position) -> None:
        """Told before each `predict` where an episode stands: with the mask of its actions."""
        self._info = position.info

    def why_not_compiled(self) -> str:
        """The native loop needs native dynamics and our own networks."""
        if self._is_torch:
            return "its networks are torch modules"
        if self.features is not None and not self.features.compiles:
            return f"{type(self.features.estimator).__name__} has no compiled row function"
        if not isinstance(self.env, NativeEnv):
            name = reference(self.env).id or "an environment given as an instance"
            return f"{name} has no native dynamics"
        return ""

    # Learning.

    def advance(self, timesteps: int, engine: Engine) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        if self._running_envs[0].position.obs is None:
            self._begin()
        elif not self._standing:  # loaded from a file
            for i, lane in enumerate(self._running_envs):
                self._seen.obs[i] = self._view.row(lane.position.obs)
                self._mask(i, lane.position.info)
            self._look()
        self._standing = True
        rounds, features = -(-timesteps // len(self._running_envs)), self.features
        if features is not None:
            if not features.ready:
                return self._warm_up(rounds)
            assert self.memory.sight is not None
            self.memory.sight.due[0] = int(features.counts[0]) + features.steps_to_fit()
        return (self._advance_compiled if engine == "compiled" else self._advance_stepwise)(rounds)

    def _begin(self) -> None:
        """Begin an episode in each environment."""
        for i, lane in enumerate(self._running_envs):
            self._reset(i, lane)
        see(self.memory.normaliser, self._seen.obs)
        self._look()

    def _reset(self, i: int, lane: RunningEnv) -> None:
        begin_episode(lane.env, lane.position, random_seed(lane.seeds), self._checks[i])
        self._seen.obs[i] = self._view.row(lane.position.obs)
        self._mask(i, lane.position.info)

    def _look(self) -> None:
        """What the networks see now, from what the environments show."""
        if self.features is None or self.features.ready:
            for i in range(len(self._running_envs)):
                self._iteration.look(self.memory, self._seen.obs[i], self.memory.obs[i])

    def _warm_up(self, rounds: int) -> int:
        """Random steps, which the feature map only watches, until it is fitted."""
        features, done = self.features, 0
        assert features is not None
        for _ in range(rounds):
            for i, lane in enumerate(self._running_envs):
                self._step(i, lane, self.random_action(features.rng))
                ended = self._seen.terminated[i] or self._seen.truncated[i]
                features.remember_row(self._seen.final[i] if ended else self._seen.obs[i])
            self.num_timesteps += len(self._running_envs)
            done += len(self._running_envs)
            if features.due():
                self._refit()
                break
        return done

    def _refit(self) -> None:
        """Fit the feature map, between two rollouts."""
        assert self.features is not None
        self.features.fit()
        self._build()
        self._look()

    def _stopped(self) -> None:
        """The iteration asks to stop: the feature map is to be fitted again, or training broke."""
        healthy = np.isfinite(self.memory.metrics[LOSS]) and np.isfinite(self.memory.metrics[NORM])
        self._refit() if healthy else self._stop()

    def _advance_stepwise(self, rounds: int) -> int:
        seen, done = self._seen, 0
        for _ in range(rounds):
            self._iteration.choose(self.memory)
            try:
                for i, lane in enumerate(self._running_envs):
                    self._step(i, lane, self._taken(self.memory.actions[i]))
            except Exception:
                if len(self._running_envs) > 1:  # some of them have taken the step and some have not
                    self.give_up_episode()
                raise
            self.num_timesteps += len(self._running_envs)
            done += len(self._running_envs)
            if not self._iteration.finish(self.memory, seen, self.num_timesteps / max(self.horizon, 1)):
                self._stopped()
                break
        return done

    def _step(self, i: int, lane: RunningEnv, action: Any) -> None:
        seen, position = self._seen, lane.position
        taken = take_step(lane.env, position, action, self._checks[i])
        seen.rewards[i], seen.terminated[i], seen.truncated[i] = taken.reward, taken.terminated, taken.truncated
        seen.obs[i] = self._view.row(taken.next_obs)
        self._mask(i, taken.info)
        if taken.terminated or taken.truncated:
            seen.final[i] = seen.obs[i]
            self.statistics.finish(position.episode_return, position.length, self.num_timesteps + i + 1)
            self._reset(i, lane)

    def _taken(self, action: NDArray[np.float32]) -> Any:
        """An action as the environment takes it."""
        space = self.action_space
        if isinstance(space, gym.spaces.Box):
            return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)
        if isinstance(space, gym.spaces.Discrete):
            return int(action[0]) + int(space.start)
        shifted = action.astype(space.dtype).reshape(space.shape)
        return shifted + space.start if isinstance(space, gym.spaces.MultiDiscrete) else shifted

    def _advance_compiled(self, rounds: int) -> int:
        lanes, envs = self._running_envs, [lane.env for lane in self._running_envs]
        world, log, statistics = envs[0].world, self.episode_log, self.statistics  # type: ignore[attr-defined]
        rows = VectorState(
            world.parameters, np.stack([env.world.state for env in envs]), np.stack([env.rng for env in envs]),  # type: ignore[attr-defined]
            np.stack([lane.seeds for lane in lanes]), np.array([lane.position.seed for lane in lanes]),
            np.array([lane.position.length for lane in lanes]),
            np.array([lane.position.episode_return for lane in lanes]), world.low, world.high, world.action,
        )  # fmt: skip
        clock = np.array([self.num_timesteps, statistics.episodes, 0])
        total = np.array([statistics.total_return])
        loop = vector_training_loop(envs[0].dynamics, *self._iteration[:2])  # type: ignore[attr-defined]
        limit, horizon = envs[0].max_episode_steps, float(max(self.horizon, 1))  # type: ignore[attr-defined]
        done = loop(rows, self._seen, self.memory, clock, total, log.arrays(), rounds, limit, horizon)
        for i, (lane, env) in enumerate(zip(lanes, envs, strict=True)):
            position = lane.position
            lane.seeds[:], env.rng[:], env.elapsed = rows.seeds[i], rows.rng[i], int(rows.length[i])  # type: ignore[attr-defined]
            env.world.state[:], env.world.obs[:], env._over = rows.state[i], self._seen.obs[i], False  # type: ignore[attr-defined]
            position.seed, position.length = int(rows.seed[i]), int(rows.length[i])
            position.episode_return, position.obs, position.actions = float(rows.score[i]), env.observation(), None  # type: ignore[attr-defined]
        self.num_timesteps, statistics.episodes, statistics.total_return = int(clock[0]), int(clock[1]), float(total[0])
        for row in range(int(clock[2])):
            statistics.keep(
                FinishedEpisode(
                    int(log.episode[row]), float(log.returns[row]), int(log.length[row]), int(log.timestep[row])
                )
            )
        if not (np.isfinite(self._seen.obs).all() and np.isfinite(rows.score).all()):
            raise EnvironmentFault(
                f"{reference(self.env)} gave numbers that are not finite before timestep {self.num_timesteps:,}",
                "Everything saved before is unharmed; engine='python' finds the step",
            )
        if self.memory.rollout.counters[0] == 0 and self.memory.metrics[UPDATES]:
            if not (np.isfinite(self.memory.metrics[LOSS]) and np.isfinite(self.memory.metrics[NORM])):
                self._stop()
            if self.features is not None and self.features.due():
                self._refit()
        return int(done) * len(lanes)

    def _stop(self) -> None:
        """Training broke: say which number, and when."""
        name = "loss" if not np.isfinite(self.memory.metrics[LOSS]) else "gradient's length"
        raise UsageError(
            f"{type(self).__name__}: the {name} is not a number in the update at timestep {self.num_timesteps:,}",
            "What was saved before is unharmed. Take a smaller learning_rate, normalize=True, or max_grad_norm=0.5",
        )

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        for lane in self._running_envs:
            lane.position.clear()
        self.memory.rollout.counters[0] = 0
        self.memory.normaliser.sums[:] = 0.0

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env)
        self._running_envs[:] = self.make_running_envs(len(self._running_envs))
        self._checks = [ObservationCheck(lane.env) for lane in self._running_envs]

    def metrics(self) -> dict[str, float]:
        """Losses, entropy, divergence and so on of the last update."""
        found = {f"train/{name}": float(self.memory.metrics[i]) for i, name in enumerate(METRICS)}
        if not self._discrete:
            found["train/std"] = float(np.exp(self.memory.spread).mean())
        return found if self.memory.metrics[UPDATES] else {}

    # Acting.

    def vectors(self, observation: Any) -> NDArray[np.float32]:
        """One observation or a batch as the networks see it, float32 [B, D]."""
        if self.features is not None:
            return self.features.vectors(observation)
        rows = np.array(self._view.rows(observation), np.float32, order="C")  # a copy
        rows_seen_as(self.memory.normaliser, rows)
        return rows

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        x = self.vectors(observation)
        outputs = self.kernel.predict(self.memory.policy, x).astype(np.float64)
        value = self.kernel.predict(self.memory.value, x)[:, 0].astype(np.float64)
        features = x.astype(np.float64) if self.features is not None else None
        if not self._discrete:
            std = np.broadcast_to(np.exp(self.memory.spread.astype(np.float64)), outputs.shape)
            return Probe(action_mean=outputs, action_std=std, value=value, features=features)
        parts = self._probabilities(outputs)
        if len(parts) == 1:
            return Probe(action_probabilities=parts[0], value=value, features=features)
        if self._actions.n > _JOINT:
            return Probe(value=value, features=features)
        joint = parts[0]
        for part in parts[1:]:
            joint = (joint[:, :, None] * part[:, None, :]).reshape(len(x), -1)
        return Probe(action_probabilities=joint, value=value, features=features)

    def _probabilities(self, outputs: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The probabilities of the choices of each part of an action; what is masked has 0."""
        mask = getattr(self, "_info", {}).get("action_mask") if self._masked and len(outputs) == 1 else None
        if mask is not None and np.size(mask) == outputs.shape[1]:
            outputs = outputs + np.where(np.ravel(mask), 0.0, FORBIDDEN)
        parts, at = [], 0
        for n in self._actions.sizes:
            z = outputs[:, at : at + n]
            exponentials = np.exp(z - z.max(axis=1, keepdims=True))
            parts.append(exponentials / exponentials.sum(axis=1, keepdims=True))
            at += n
        return parts

    def _choose(self, probe: Probe, deterministic: bool) -> NDArray[np.int64]:
        if probe.action_probabilities is not None:
            return super()._choose(probe, deterministic)
        raise SpaceError(f"{self.action_space} has too many combinations to number")  # predict does without

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False
    ) -> tuple[Any, Any]:
        """The agent's action, as in Stable-Baselines3; see `Agent.predict`."""
        if not self._discrete or self._actions.n <= _JOINT or len(self._actions.sizes) == 1:
            return super().predict(observation, state, episode_start, deterministic)
        x = self.vectors(observation)
        parts = self._probabilities(self.kernel.predict(self.memory.policy, x).astype(np.float64))
        columns = []
        for part in parts:
            draws = self._prediction.random((len(x), 1))
            columns.append(part.argmax(axis=1) if deterministic else (part.cumsum(axis=1) <= draws).sum(axis=1))
        chosen = np.stack(columns, axis=1).clip(0, np.array(self._actions.sizes) - 1)
        actions = np.array([self._taken(row.astype(np.float32)) for row in chosen])
        single = np.shape(observation) == self.observation_space.shape or isinstance(observation, dict)
        return (actions[0] if single and len(actions) == 1 else actions), state

    # Files.

    def arrays(self) -> StateArrays:
        """Networks and optimisers, the rollout so far, the running moments, and the random states."""
        memory, rollout, adam = self.memory, self.memory.rollout, self.memory.spread_optimiser
        found: StateArrays = {
            "spread": memory.spread, "spread_m": adam.m, "spread_v": adam.v, "spread_t": adam.t,
            "rng": memory.rng, "metrics": memory.metrics, "counters": rollout.counters,
        }  # fmt: skip
        for name, net in (("policy", memory.policy), ("value", memory.value)):
            found.update({f"{name}/{part}": array for part, array in self.kernel.arrays(net).items()})
        rows = int(rollout.counters[0])
        for name in ("obs", "actions", "masks", "log_probs", "rewards", "ends", "beyond"):
            found[f"rollout/{name}"] = getattr(rollout, name)[:rows]
        for name in ("mean", "variance", "moments", "counts", "sums"):
            found[f"normaliser/{name}"] = getattr(memory.normaliser, name)
        return found | (self.features.arrays() if self.features is not None else {})

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the fitted feature map of a file."""
        super().restore_models(models)
        self._build()

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too."""
        checkpoint.copy_into("counters", arrays, self.memory.rollout.counters)  # they say how many rows there are
        rollout = self.memory.rollout
        if np.size(arrays.get("rollout/masks", ())) and not self._masked:  # loaded without the environment that masks
            masks = np.zeros((len(rollout.rewards), rollout.masks.shape[1]), np.float32)
            self.memory = self.memory._replace(
                rollout=rollout._replace(masks=masks), masks=masks[: len(self._running_envs)]
            )
        super().load_arrays(arrays)
        for name, net in (("policy", self.memory.policy), ("value", self.memory.value)):
            self.kernel.restore(net, {n.removeprefix(f"{name}/"): a for n, a in arrays.items() if n.startswith(name)})
