"""What on-policy agents share: several environments played at once, a rollout, two networks, and an update.

An agent is a file with its update in it, such as `agents.ppo`; how a step of all environments goes is in
`rlplay.iteration`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import saving
from rlplay.agent import Agent, Engine, NoEnvironment, StateArrays
from rlplay.compiled.cache import compiled
from rlplay.compiled.lanes import Lanes, lanes_loop, new_seen
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.distributions import CATEGORICAL, GAUSSIAN, Head
from rlplay.errors import EnvironmentFault, HyperparameterError, SpaceError, UsageError
from rlplay.hyperparameters import Choice, Either, Module, Range, Settings, Sizes
from rlplay.iteration import LOSS, METRICS, NORM, UPDATES, Memory, iteration, plain
from rlplay.loop import Lane, ObservationCheck, Position, begin_episode, take_step
from rlplay.making import EnvLike, reference, remake
from rlplay.networks import Kernel
from rlplay.networks import network as networks
from rlplay.networks.layers import ACTIVATIONS, Conv2d, Layer, Linear, activation_layer, mlp
from rlplay.networks.optimisers import new_optimiser
from rlplay.normaliser import NORM_OBS, new_normaliser, see, seen_as
from rlplay.observations import VectorView, is_picture
from rlplay.probe import Probe
from rlplay.rollout import FORBIDDEN, new_rollout
from rlplay.schedules import tabulate
from rlplay.seeding import generator, stream
from rlplay.spaces import FiniteSpace, is_finite
from rlplay.statistics import FinishedEpisode

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
    Any, Module("whose networks: ours, compiled, or torch's; or a torch module of yours, a linear layer is put on top")
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
        given = self.hyperparameters
        self._lanes = self._make_lanes(given["n_envs"])
        self._view = VectorView(self.observation_space, type(self).__name__)
        self._checks = [ObservationCheck(lane.env) for lane in self._lanes]
        head, action_size, outputs, spread = self._policy()
        self._masked = self._has_masks()
        n, d = given["n_envs"], self._view.size
        rows = n * given["n_steps"]
        self._seen = new_seen(n, d)
        weights = generator(self.seed, "weights")
        options = self._options()
        layers = [self._layers(options["pi"], outputs, options), self._layers(options["vf"], 1, options)]
        nets = [
            self._network(one, weights, gain, options["initialiser"], self._room(rows))
            for one, gain in zip(layers, (0.01, 1.0), strict=True)
        ]
        self.kernel = self._kernel(layers[0])
        name, settings = self.optimiser()
        self.memory = Memory(
            nets[0], nets[1], spread, np.zeros(0 if self._discrete else len(spread), np.float32),
            new_optimiser(0 if self._discrete else len(spread), name, **settings),
            new_rollout(rows, d, action_size, outputs, self._masked), np.zeros((n, d), np.float32),
            np.zeros((n if self._masked else 0, outputs), np.float32), np.zeros((n, action_size), np.float32),
            np.zeros(n), new_normaliser(given["normalize"], d, n, given["gamma"], type(self).__name__),
            (np.zeros((2, n)), np.zeros((n, outputs), np.float32)), self._settings(), self._schedules(),
            np.stack([stream(self.seed, "exploration"), stream(self.seed, "minibatches")]), np.zeros(len(METRICS)),
        )  # fmt: skip
        if self._masked:
            self.stand = self._take_info  # type: ignore[method-assign]
        compile = compiled if given["network"] == "numpy" else plain
        self._iteration = iteration(self.kernel, head, type(self).make_update, compile)

    # What it is made of.

    def optimiser(self) -> tuple[str, dict[str, float]]:
        """The optimiser of the networks, by name, and its settings."""
        return "adam", {"eps": 1e-5}

    def _settings(self) -> NDArray[np.float64]:
        given = self.hyperparameters
        names = ("gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm", "normalize_advantage")
        return np.array([float(given[name]) for name in names] + self._own_settings())

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
        return GAUSSIAN, size, size, np.full(size, self._options()["log_std_init"], np.float32)

    def _options(self) -> dict[str, Any]:
        """The networks' settings, from the hyperparameters and RL Zoo's ``policy_kwargs``."""
        given, name = self.hyperparameters, type(self).__name__
        kwargs = dict(given["policy_kwargs"] or {})
        activation = str(kwargs.pop("activation_fn", given["activation"])).removeprefix("nn.").casefold()
        activation = activation.replace("leakyrelu", "leaky_relu")
        if activation not in ACTIVATIONS:
            raise HyperparameterError(f"{name}: activation_fn={activation!r} is not one of {', '.join(ACTIVATIONS)}")
        arch = kwargs.pop("net_arch", given["net_arch"])
        arch = arch[0] if isinstance(arch, list) and arch and isinstance(arch[0], dict) else arch
        both = arch if isinstance(arch, dict) else {"pi": arch, "vf": arch}
        if set(both) != {"pi", "vf"}:
            raise HyperparameterError(f"{name}: net_arch={arch!r} needs pi and vf, or one list for both")
        own = {
            "initialiser": "orthogonal" if kwargs.pop("ortho_init", True) else "torch",
            "log_std_init": float(kwargs.pop("log_std_init", 0.0)),
        }
        if kwargs:
            raise HyperparameterError(
                f"{name}: policy_kwargs has {', '.join(sorted(kwargs))}, which {name} does not know",
                "It knows net_arch, activation_fn, ortho_init and log_std_init",
            )
        return {**own, "activation": activation, **{k: [int(n) for n in v] for k, v in both.items()}}

    def _layers(self, hidden: list[int], outputs: int, options: dict[str, Any]) -> list[Layer]:
        """A perceptron; in front of it, where observations are pictures, the convolutions of Mnih et al. 2015."""
        if not is_picture(self.observation_space):
            return mlp([self._view.size, *hidden, outputs], options["activation"])
        shape: Any = self.observation_space.shape
        layers: list[Layer] = []
        for filters, kernel, stride in ((32, 8, 4), (64, 4, 2), (64, 3, 1)):
            if min(shape[0], shape[1]) >= kernel:
                one = Conv2d(shape[2], filters, kernel, stride)
                layers += [one, activation_layer("relu")]
                shape = one.shape_after(shape)
        dense = [Linear(math.prod(shape), 512), activation_layer("relu"), Linear(512, outputs)]
        return [*layers, *dense]

    def _network(self, layers: list[Layer], weights: Any, gain: float, initialiser: str, rows: int) -> Any:
        shape = self.observation_space.shape if is_picture(self.observation_space) else None
        parameters = networks.initial_parameters(layers, weights, initialiser, gain).astype(np.float32)
        optimiser: tuple[str, Any] = self.optimiser()
        name, settings = optimiser
        network, device = self.hyperparameters["network"], self.hyperparameters["device"]
        if not isinstance(network, str):
            from rlplay.torch_state import with_outputs

            module = with_outputs(network, layers[-1], self._view.size, int(weights.integers(2**31)))
            return self._torch(module, device=device, optimiser=name, **settings)
        if network == "torch":
            from rlplay.networks import TorchNetwork

            return TorchNetwork(
                layers, input_shape=shape, parameters=parameters, device=device, optimiser=name, **settings
            )  # fmt: skip
        return networks.new_net(layers, parameters, rows, input_shape=shape, optimiser=name, **settings)

    def _torch(self, module: Any, **settings: Any) -> Any:
        from rlplay.networks import TorchNetwork

        return TorchNetwork(module, **settings)

    def _kernel(self, layers: list[Layer]) -> Kernel:
        if self.hyperparameters["network"] != "numpy":
            from rlplay.networks import torch_network

            return torch_network.KERNEL
        if self.hyperparameters["device"] == "cuda":
            raise UsageError(
                f"{type(self).__name__}: device='cuda' asks for a GPU, and our own networks run on the CPU",
                "Take network='torch'",
            )
        return networks.kernel(layers)

    # The environments.

    def _make_lanes(self, count: int) -> list[Lane]:
        lanes, ref = [Lane(self.env, self.position, self.seeds)], reference(self.env)
        for number in range(1, count):
            if isinstance(self.env, NoEnvironment):
                env: Any = copy.copy(self.env)
            elif not ref.id:
                raise UsageError(
                    f"n_envs={count} needs environments made anew, and this one has no id",
                    "Give its id, or package.module:Class, or n_envs=1",
                )
            else:
                env = remake(ref, dynamics="auto" if ref.dynamics.startswith("native") else "gymnasium")
            lanes.append(Lane(env, Position(), stream(self.seed, f"environment {number}")))
        return lanes

    def lanes(self) -> list[Lane]:
        """All environments that are played."""
        return self._lanes

    def _has_masks(self) -> bool:
        if not self._discrete or isinstance(self.env, NoEnvironment | NativeEnv):
            return False
        plain_env = self.env.unwrapped
        return hasattr(plain_env, "action_masks") or hasattr(plain_env, "action_mask")

    def _mask(self, lane: int, info: dict[str, Any]) -> None:
        """Take the mask that came with an observation."""
        if not self._masked:
            return
        env = self._lanes[lane].env.unwrapped
        mask = info.get("action_mask")
        if mask is None and hasattr(env, "action_masks"):
            mask = env.action_masks()
        self.memory.masks[lane] = 0.0 if mask is None else np.where(np.ravel(mask), 0.0, FORBIDDEN)

    def _take_info(self, position: Position) -> None:
        """Told before each `predict` where an episode stands: with the mask of its actions."""
        self._info = position.info

    def why_not_compiled(self) -> str:
        """The native loop needs native dynamics and our own networks."""
        if self.hyperparameters["network"] != "numpy":
            return "its networks are torch modules"
        if not isinstance(self.env, NativeEnv):
            name = reference(self.env).id or "an environment given as an instance"
            return f"{name} has no native dynamics"
        return ""

    # Learning.

    def advance(self, timesteps: int, engine: Engine) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        if self._lanes[0].position.obs is None:
            self._begin()
        elif not self._standing:  # loaded from a file
            for i, lane in enumerate(self._lanes):
                self._seen.obs[i] = self._view.row(lane.position.obs)
                self._mask(i, lane.position.info)
            self._look()
        self._standing = True
        rounds = -(-timesteps // len(self._lanes))
        return (self._advance_compiled if engine == "compiled" else self._advance_stepwise)(rounds)

    def _begin(self) -> None:
        """Begin an episode in each environment."""
        for i, lane in enumerate(self._lanes):
            self._reset(i, lane)
        see(self.memory.normaliser, self._seen.obs)
        self._look()

    def _reset(self, i: int, lane: Lane) -> None:
        begin_episode(lane.env, lane.position, random_seed(lane.seeds), self._checks[i])
        self._seen.obs[i] = self._view.row(lane.position.obs)
        self._mask(i, lane.position.info)

    def _look(self) -> None:
        """What the networks see now, from what the environments show."""
        for i in range(len(self._lanes)):
            seen_as(self.memory.normaliser, self._seen.obs[i], self.memory.obs[i])

    def _advance_stepwise(self, rounds: int) -> int:
        seen, done = self._seen, 0
        for _ in range(rounds):
            self._iteration.choose(self.memory)
            try:
                for i, lane in enumerate(self._lanes):
                    self._step(i, lane)
            except Exception:
                if len(self._lanes) > 1:  # some of them have taken the step and some have not
                    self.give_up_episode()
                raise
            self.num_timesteps += len(self._lanes)
            done += len(self._lanes)
            if not self._iteration.finish(self.memory, seen, self.num_timesteps / max(self.horizon, 1)):
                self._stop()
        return done

    def _step(self, i: int, lane: Lane) -> None:
        seen, position = self._seen, lane.position
        taken = take_step(lane.env, position, self._taken(self.memory.actions[i]), self._checks[i])
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
        lanes, envs = self._lanes, [lane.env for lane in self._lanes]
        world, log, statistics = envs[0].world, self.episode_log, self.statistics  # type: ignore[attr-defined]
        rows = Lanes(
            world.parameters, np.stack([env.world.state for env in envs]), np.stack([env.rng for env in envs]),  # type: ignore[attr-defined]
            np.stack([lane.seeds for lane in lanes]), np.array([lane.position.seed for lane in lanes]),
            np.array([lane.position.length for lane in lanes]),
            np.array([lane.position.episode_return for lane in lanes]), world.low, world.high, world.action,
        )  # fmt: skip
        clock = np.array([self.num_timesteps, statistics.episodes, 0])
        total = np.array([statistics.total_return])
        loop = lanes_loop(envs[0].dynamics, *self._iteration)  # type: ignore[attr-defined]
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
        if not (np.isfinite(self.memory.metrics[LOSS]) and np.isfinite(self.memory.metrics[NORM])):
            self._stop()
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
        for lane in self._lanes:
            lane.position.clear()
        self.memory.rollout.counters[0] = 0
        self.memory.normaliser.sums[:] = 0.0

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; running episodes are given up."""
        super().set_env(env)
        self._lanes[:] = self._make_lanes(len(self._lanes))
        self._checks = [ObservationCheck(lane.env) for lane in self._lanes]

    def metrics(self) -> dict[str, float]:
        """Losses, entropy, divergence and so on of the last update."""
        found = {f"train/{name}": float(self.memory.metrics[i]) for i, name in enumerate(METRICS)}
        if not self._discrete:
            found["train/std"] = float(np.exp(self.memory.spread).mean())
        return found if self.memory.metrics[UPDATES] else {}

    # Acting.

    def vectors(self, observation: Any) -> NDArray[np.float32]:
        """One observation or a batch as the networks see it, float32 [B, D]."""
        rows = np.ascontiguousarray(self._view.rows(observation), np.float32)
        if self.memory.normaliser.settings[NORM_OBS]:
            for row in rows:
                seen_as(self.memory.normaliser, row.copy(), row)
        return rows

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value."""
        x = self.vectors(observation)
        outputs = self.kernel.predict(self.memory.policy, x).astype(np.float64)
        value = self.kernel.predict(self.memory.value, x)[:, 0].astype(np.float64)
        if not self._discrete:
            std = np.broadcast_to(np.exp(self.memory.spread.astype(np.float64)), outputs.shape)
            return Probe(action_mean=outputs, action_std=std, value=value)
        parts = self._probabilities(outputs)
        if len(parts) == 1:
            return Probe(action_probabilities=parts[0], value=value)
        if self._actions.n > _JOINT:
            return Probe(value=value)
        joint = parts[0]
        for part in parts[1:]:
            joint = (joint[:, :, None] * part[:, None, :]).reshape(len(x), -1)
        return Probe(action_probabilities=joint, value=value)

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
        return found

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too."""
        saving.copy_into("counters", arrays, self.memory.rollout.counters)  # they say how many rows there are
        rollout = self.memory.rollout
        if np.size(arrays.get("rollout/masks", ())) and not self._masked:  # loaded without the environment that masks
            masks = np.zeros((len(rollout.rewards), rollout.masks.shape[1]), np.float32)
            self.memory = self.memory._replace(rollout=rollout._replace(masks=masks), masks=masks[: len(self._lanes)])
        super().load_arrays(arrays)
        for name, net in (("policy", self.memory.policy), ("value", self.memory.value)):
            self.kernel.restore(net, {n.removeprefix(f"{name}/"): a for n, a in arrays.items() if n.startswith(name)})
