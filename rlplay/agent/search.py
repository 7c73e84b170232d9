"""What searches for a policy without gradients share: a population a generation, its episodes, on all cores.

A generation is C candidates, each with episodes of its own, which are played as whole episodes, natively where the
environment is. The clock of the run then goes through them step by step in their order: a run can stop, be saved and go
on at any step, in the middle of a generation too, whose candidates are drawn and played again from what the file keeps.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import cloudpickle
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policy_networks import layers_of, network_options
from rlplay.approximation.encoder import Encoder, ObservationVectors
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.table import TableEnv
from rlplay.environments.instances import why_not_native
from rlplay.environments.interact import ObservationCheck, Position, begin_episode, take_step
from rlplay.environments.make import reference, time_limit
from rlplay.environments.masks import MaskSource
from rlplay.environments.vector.remote import again, why_not_remote
from rlplay.errors import CheckpointError, EnvironmentFault, UsageError, counted, warn
from rlplay.functional.population import (
    Results,
    best_output,
    bound_action,
    draw,
    merge,
    new_results,
    population_loop,
    see,
)
from rlplay.functional.running_moments import RunningMoments, new_running_moments, normalise, normalises_observations
from rlplay.hyperparameters.domains import Choice, Either, Range, Settings, Sizes
from rlplay.hyperparameters.types import normalized
from rlplay.networks.kernel import kernel
from rlplay.networks.layers import ACTIVATIONS, Layer, Linear
from rlplay.networks.state import initial_parameters, new_net
from rlplay.probe import Probe
from rlplay.seeding import generator, stream
from rlplay.spaces.actions import predicted_actions
from rlplay.spaces.finite import FiniteSpace
from rlplay.spaces.observations import VectorView, batch_of
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Ranges
from rlplay.training.learner import Engine

_LONGEST = 10_000  # steps after which an episode is cut where the environment has no time limit
_NO_MASK = np.zeros(0, np.bool_)

Episodes = Annotated[int, Range("episodes of each candidate", 1, 10_000, integer=True)]
Jobs = Annotated[int, Range("candidates that are played at once, -1 for one a core", -1, 4096, integer=True)]
PolicyName = Annotated[
    str, Choice("a linear policy, or a network (MlpPolicy)", ("LinearPolicy", "MlpPolicy"))
]  # fmt: skip
FilesEnvs = Annotated[
    int, Range("as RL Zoo's files have it; how much is played at once is n_jobs", 1, 4096, integer=True)
]
NormalizeObservations = Annotated[Any, Either((True, False), normalized("normalise observations", "clip_obs=5.0"))]


class Actor(NamedTuple):
    """A deterministic policy over a network; it can be sent to another process.

    Attributes:
        layers: of its network.
        squashed: whether actions of a Box are tanh of the outputs, between the bounds.
        low, high: bounds of the actions, float32 [A]; empty for finite ones.
        numbering: of finite actions, else None.
        moments: of the observations.
    """

    layers: list[Layer]
    squashed: bool
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    numbering: FiniteSpace | None
    moments: RunningMoments

    def net(self) -> Any:
        """Its network, with parameters 0."""
        return new_net(self.layers, np.zeros(sum(layer.size() for layer in self.layers), np.float32), 1)


def play_candidates(
    env: gym.Env[Any, Any], view: VectorView, actor: Actor, candidates: NDArray[np.float32], seeds: NDArray[np.int64]
) -> Results:  # fmt: skip
    """The episodes of candidates [C, P] from seeds [C, E] in any environment, step by step."""
    net, forward_row = actor.net(), kernel(actor.layers).forward_row
    results, check = new_results(len(seeds), seeds.shape[1], view.size), ObservationCheck(env)
    masks, limit, space = MaskSource(env), time_limit(env) or _LONGEST, env.action_space
    x, action = np.zeros(view.size, np.float32), np.zeros_like(actor.low)
    for c, parameters in enumerate(candidates):
        net.parameters[: len(parameters)] = parameters
        for e, seed in enumerate(seeds[c].tolist()):
            position = Position()
            begin_episode(env, position, seed, check)
            ended = False
            while not ended and position.length < limit:
                obs = view.vector(position.obs)
                if actor.moments.norm_obs:
                    see(results.seen[c], obs)
                    normalise(actor.moments, obs, x)
                outputs = forward_row(net, x if actor.moments.norm_obs else obs)
                if actor.numbering is not None:
                    mask = masks.joint_of(position.info)
                    taken = actor.numbering.value(best_output(outputs, _NO_MASK if mask is None else mask))
                else:
                    assert isinstance(space, gym.spaces.Box)
                    bound_action(outputs, actor.low, actor.high, actor.squashed, action)
                    taken = action.reshape(space.shape).astype(space.dtype)
                step = take_step(env, position, taken, check)
                ended = step.terminated or step.truncated
                if ended or position.length == limit:
                    last = view.vector(step.next_obs)
                    if actor.moments.norm_obs:
                        see(results.seen[c], last)
            results.returns[c, e], results.lengths[c, e] = position.episode_return, position.length
    return results


_there: dict[bytes, gym.Env[Any, Any]] = {}  # the environment of a worker process


def play_elsewhere(
    packed: bytes, view: VectorView, actor: Actor, candidates: NDArray[np.float32], seeds: NDArray[np.int64]
) -> Results:  # fmt: skip
    """`play_candidates` in a worker process, in an environment that it makes once."""
    if packed not in _there:
        _there.clear()
        _there[packed] = cloudpickle.loads(packed)()
    return play_candidates(_there[packed], view, actor, candidates, seeds)


class Generation(NamedTuple):
    """Where a search stands in a generation of C candidates with E episodes each.

    Attributes:
        noise: what its candidates were drawn by, float64 [N, P].
        seeds: of the episodes, int64 [C, E].
        clock: whether it has begun, the episode at which the run stands, steps of it that have passed, int64 [3].
        progress: of training when it began, float64 [1].
    """

    noise: NDArray[np.float64]
    seeds: NDArray[np.int64]
    clock: NDArray[np.int64]
    progress: NDArray[np.float64]


class SearchAgent(Agent):
    """An agent that searches for the parameters θ of a deterministic policy by the returns of candidates.

    It supplies `draws`, `population_size`, `candidates` and `improve`, and its hyperparameters.

    Example:
        >>> from agents import ARS  # a subclass
        >>> agent = ARS("CartPole-v1", n_delta=2, seed=0)
        >>> agent.theta.shape, agent.population_size, agent.candidates().shape
        ((8,), 4, (4, 8))
    """

    policy: PolicyName = "LinearPolicy"
    n_eval_episodes: Episodes = 1
    n_jobs: Jobs = 1
    normalize: NormalizeObservations = False
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers of MlpPolicy")] = (64, 64)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy_kwargs: Annotated[
        Any, Either((None,), Settings("net_arch, activation_fn, with_bias and squash_output by name"))
    ] = None
    n_envs: FilesEnvs = 1

    if TYPE_CHECKING:  # set in `setup`; an annotation in the body of the class would be a hyperparameter

        def _set_in_setup(self) -> None:
            self.theta: NDArray[np.float64]
            self.generation: Generation

    # What a search supplies.

    @property
    @abstractmethod
    def draws(self) -> int:
        """How many vectors of noise a generation needs, N."""

    @property
    @abstractmethod
    def population_size(self) -> int:
        """How many candidates a generation has, C."""

    @abstractmethod
    def candidates(self) -> NDArray[np.float64]:
        """The candidates of this generation, from θ and its noise, [C, P]."""

    @abstractmethod
    def improve(self, returns: NDArray[np.float64], lengths: NDArray[np.int64]) -> None:
        """A new θ, from what the episodes gave, [C, E] each."""

    def numbers(self) -> dict[str, float]:
        """What was logged of the last generation, by name."""
        return {}

    # What it is made of.

    def make_encoder(self) -> Encoder:
        """Vectors."""
        wide = normalises_observations(self.hyperparameters["normalize"])
        return ObservationVectors(self.observation_space, type(self).__name__, wide=wide)

    def setup(self) -> None:
        """The policy, θ and a generation that has not begun."""
        self.number_actions(boxes=True)
        given, name, size = self.hyperparameters, type(self).__name__, self.encoder.size
        hidden, activation, _, rest = network_options(given, name, ("pi",), ("with_bias", "squash_output"))
        linear, space = self.policy == "LinearPolicy", self.action_space
        low, high = np.zeros(0, np.float32), np.zeros(0, np.float32)
        if self.numbering is None:
            assert isinstance(space, gym.spaces.Box)
            low, high = (np.broadcast_to(bound, space.shape).astype(np.float32).ravel()
                         for bound in (space.low, space.high))  # fmt: skip
        outputs = len(low) if self.numbering is None else self.numbering.n
        layers: list[Layer] = [Linear(size, outputs)] if linear else layers_of(
            None, size, hidden["pi"], outputs, activation
        )  # fmt: skip
        squashed = bool(rest.get("squash_output", not linear))
        if squashed and not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise UsageError(
                f"{name}: {space} has no bounds, between which a tanh of the outputs would lie",
                'Take policy_kwargs={"squash_output": False}, or wrap it in gymnasium.wrappers.RescaleAction',
            )
        moments, self._moment_arrays = new_running_moments(given["normalize"], size, 1, 0.99, name)
        self.actor = Actor(layers, squashed, low, high, self.numbering, moments)
        self._kernel, self._net = kernel(layers), self.actor.net()
        drawn = initial_parameters(layers, generator(self.seed, "weights"), "torch")
        without_bias = linear and not rest.get("with_bias", False)
        self.theta = drawn[: size * outputs] if without_bias else drawn  # a linear layer's biases come last
        if given.get("zero_policy", True):
            self.theta[:] = 0.0
        self.rng = stream(self.seed, "exploration")
        shape = (self.population_size, self.n_eval_episodes)
        self.generation = Generation(
            np.zeros((self.draws, len(self.theta))), np.zeros(shape, np.int64), np.zeros(3, np.int64), np.zeros(1)
        )  # fmt: skip
        self._results = new_results(shape[0], shape[1], size)
        self._known = 0  # candidates of this generation whose results are there
        self._pool: ThreadPoolExecutor | None = None
        self.updates = np.zeros(1, np.int64)
        self._said_long = False

    @property
    def lessons(self) -> int:
        """Generations so far."""
        return int(self.updates[0])

    def waits_for(self) -> str:
        """The generation, which is not whole."""
        return (
            f"a generation is {counted(self.population_size, 'candidate')} with "
            f"{counted(self.n_eval_episodes, 'episode')} each. "
            "Learn longer, or take fewer"
        )

    def why_not_compiled(self) -> str:
        """Episodes are native where the environment has native dynamics."""
        if isinstance(self.env, TableEnv):
            name = reference(self.env).id
            return f"the native dynamics of {name} are a table, and {type(self).__name__} takes vectors"
        return why_not_native(self.env)

    # Learning.

    def advance(self, timesteps: int, engine: Engine) -> int:
        """At most this many steps of the run's clock; episodes are played as a whole when it comes to them."""
        done, clock, episodes = 0, self.generation.clock, self.n_eval_episodes
        while done < timesteps:
            if not clock[0]:
                self._begin()
            while self._known <= int(clock[1]) // episodes:
                self._play(engine)
            number, (returns, lengths, _) = int(clock[1]), self._results
            length = int(lengths.flat[number])
            if clock[2] > length:
                raise CheckpointError(f"clock: {clock[2]:,} steps of an episode of {length:,} had passed: refused")
            taken = min(timesteps - done, length - int(clock[2]))
            clock[2] += taken
            done += taken
            self.num_timesteps += taken
            if clock[2] < length:
                continue
            self.statistics.finish(float(returns.flat[number]), length, self.num_timesteps)
            clock[1:] = number + 1, 0
            if number + 1 == returns.size:
                self._end()
        return done

    def _begin(self) -> None:
        """Draw a generation."""
        noise, seeds, clock, progress = self.generation
        draw(self.rng, noise)
        for i in range(seeds.size):
            seeds.flat[i] = random_seed(self.seeds)
        clock[:], progress[0], self._known = (1, 0, 0), self.progress, 0

    def _end(self) -> None:
        """Learn from a generation."""
        self.improve(self._results.returns, self._results.lengths)
        for seen in self._results.seen:
            merge(self.actor.moments, seen)
        self.updates[0] += 1
        self.generation.clock[0] = 0
        if not np.isfinite(self.theta).all():
            raise UsageError(
                f"{type(self).__name__}: the parameters are not finite after timestep {self.num_timesteps:,}",
                "What was saved before is unharmed. Take a smaller learning_rate",
            )

    def _play(self, engine: Engine) -> None:
        """Play candidates: all that are left, or as many as are played at once."""
        first, many = self._known, self.population_size
        jobs = self.n_jobs if self.n_jobs > 0 else _cores()
        if engine == "compiled":
            parts = np.array_split(np.arange(first, many), min(jobs, many - first))
            play = self._native_player()
            if len(parts) == 1:
                self._take(parts[0], play(parts[0]))
            else:
                self._pool = self._pool or ThreadPoolExecutor(jobs)
                for part, results in zip(parts, self._pool.map(play, parts), strict=True):
                    self._take(part, results)
        elif jobs == 1:
            part = np.arange(first, first + 1)
            self._take(part, play_candidates(self.env, self.encoder.view, self.actor, *self._of(part)))
        else:
            self._play_elsewhere(first, jobs)
        self._say_long()

    def _of(self, part: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Parameters and seeds of candidates."""
        return self.candidates()[part].astype(np.float32), self.generation.seeds[part]

    def _native_player(self) -> Callable[[NDArray[np.int64]], Results]:
        """Plays candidates in native code, in buffers of its own."""
        env: Any = self.env
        loop, actor = population_loop(env.dynamics, self._kernel), self.actor
        limit, bounds = env.max_episode_steps or _LONGEST, np.stack([actor.low, actor.high])

        def play(part: NDArray[np.int64]) -> Results:
            candidates, seeds = self._of(part)
            results = new_results(len(seeds), seeds.shape[1], self.encoder.size)
            parameters = env.world.parameters.copy()
            loop(parameters, bounds, actor.net(), candidates, seeds, actor.moments, actor.squashed, limit,
                 env.state_size, results)  # fmt: skip
            if not np.isfinite(results.returns).all():
                raise EnvironmentFault(
                    f"{reference(env)} gave numbers that are not finite after timestep {self.num_timesteps:,}",
                    "Everything saved before is unharmed; engine='python' finds the step",
                )
            return results

        return play

    def _play_elsewhere(self, first: int, jobs: int) -> None:
        """Play all candidates that are left in worker processes.

        Raises:
            UsageError: the environment cannot be made there; says why.
        """
        from joblib import Parallel, delayed

        if reason := why_not_remote(self.env):
            raise UsageError(f"n_jobs={self.n_jobs}: {reason}", "Take n_jobs=1: one process plays them all")
        ref = reference(self.env)
        packed = cloudpickle.dumps(partial(again, ref, gym.registry.get(ref.id)))
        parts = np.array_split(np.arange(first, self.population_size), min(jobs, self.population_size - first))
        play = delayed(play_elsewhere)
        tasks = [play(packed, self.encoder.view, self.actor, *self._of(part)) for part in parts]
        for part, results in zip(parts, Parallel(n_jobs=jobs)(tasks), strict=True):
            self._take(part, results)

    def _take(self, part: NDArray[np.int64], results: Results) -> None:
        for mine, given in zip(self._results, results, strict=True):
            mine[part] = given
        self._known = int(part[-1]) + 1

    def _say_long(self) -> None:
        if not self._said_long and not time_limit(self.env) and (self._results.lengths == _LONGEST).any():
            self._said_long = True
            warn(
                f"{type(self).__name__}: an episode of {reference(self.env)} was cut after {_LONGEST:,} steps, since "
                "it has no time limit. Make it with max_episode_steps"
            )

    def give_up_episode(self) -> None:
        """Stand between generations."""
        super().give_up_episode()
        self.generation.clock[:] = 0
        self._known = 0

    # Acting.

    def outputs(self, observation: Any) -> NDArray[np.float32]:
        """The outputs of the policy for a batch, [B, K]."""
        if self.actor.moments.norm_obs:
            observation = self.raw_observations(observation, type(self).__name__)
        found = self.encoder.encode_batch(observation)
        self._net.parameters[: len(self.theta)] = self.theta
        out = np.zeros((len(found), self._net.layers[-1, 2]), np.float32)
        x = np.zeros(self.encoder.size, np.float32)
        for row, obs in zip(out, found, strict=True):
            normalise(self.actor.moments, np.ascontiguousarray(obs), x)
            row[:] = self._kernel.forward_row(self._net, x)
        return out

    def probe(self, observation: Any) -> Probe:
        """The action that it takes: all of the probability, or the mean; it has no values."""
        outputs = self.outputs(observation)
        if self.numbering is not None:
            return Probe(action_probabilities=np.eye(self.numbering.n)[outputs.argmax(axis=1)])
        actions = np.zeros_like(outputs)
        for row, action in zip(outputs, actions, strict=True):
            bound_action(row, self.actor.low, self.actor.high, self.actor.squashed, action)
        return Probe(action_mean=actions.astype(np.float64))

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The agent's action, which nothing is random about; see `Agent.predict`."""
        if self.numbering is None:
            return super().predict(observation, state, episode_start, True, action_masks)
        batch, single = batch_of(self.observation_space, observation, type(self).__name__)
        outputs, masks = self.outputs(observation), self.prediction_masks(observation, len(batch), action_masks)
        scores = outputs if masks is None else np.where(masks, outputs, -math.inf)
        return predicted_actions(self.numbering, scores.argmax(axis=1), single), state

    # Files.

    def metrics(self) -> dict[str, float]:
        """Numbers of the last generation."""
        found = {"train/iterations": float(self.updates[0]), **{f"train/{k}": v for k, v in self.numbers().items()}}
        return found if self.updates[0] else {}

    def arrays(self) -> StateArrays:
        """θ, the generation, the moments of the observations, and the random state."""
        noise, seeds, clock, progress = self.generation
        moments = {f"normaliser/{name}": array for name, array in self._moment_arrays.items()}
        return {
            "theta": self.theta, "rng": self.rng, "updates": self.updates, "noise": noise, "episode_seeds": seeds,
            "clock": clock, "progress": progress, **moments,
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {"updates": COUNT, "episode_seeds": COUNT, "clock": COUNT, **super().ranges()}

    def check(self) -> None:
        """Refuse an episode that a generation does not have.

        Raises:
            CheckpointError: its number is beyond them.
        """
        super().check()
        begun, number, _ = self.generation.clock.tolist()
        if begun and (begun > 1 or number >= self.generation.seeds.size):
            raise CheckpointError(
                f"clock: episode {number:,} of {self.generation.seeds.size:,} in a generation: refused"
            )

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file; candidates that were played are played again."""
        copy_into("clock", arrays, self.generation.clock)
        super().load_arrays(arrays)
        self._known = 0


def _cores() -> int:
    """The cores that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


__all__ = ["Episodes", "FilesEnvs", "Jobs", "NormalizeObservations", "PolicyName", "SearchAgent"]
