"""What batch agents share: steps are collected; every so often, and at the end of learn, all are learned from.

A fit is a number of iterations; each is one call of `Agent.advance`, so that a run can be saved and resumed between
them. Transitions from elsewhere are taken by `BatchAgent.add`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.periodic import PeriodicAgent
from rlplay.approximation.action_values import candidates
from rlplay.approximation.encoder import Encoder
from rlplay.compiled.pcg64 import random, random_seed
from rlplay.environments.make import make_anew
from rlplay.environments.masks import Mask, MaskSource
from rlplay.errors import counted, require_memory
from rlplay.functional.epsilon_greedy import epsilon_greedy_probabilities
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Range
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Ranges, check_ranges, numbers_below
from rlplay.training.drivers import advance_stepwise
from rlplay.training.learner import Engine
from rlplay.transition import Transition

_LONGEST_SCORE = 10_000  # steps after which an episode without a time limit is cut when an iterate is scored

Candidates = Annotated[int, Range("of each number of a Box: actions that are compared", 2, 4096, integer=True)]


class Transitions(NamedTuple):
    """Transitions, N of each.

    Attributes:
        obs, next_obs: observations as vectors, float32 [N, D], or float64 where float32 does not hold them.
        actions: numbers int64 [N], or for a Box float32 [N, W].
        rewards: float64 [N].
        terminated: bool [N].
    """

    obs: NDArray[Any]
    actions: NDArray[Any]
    rewards: NDArray[np.float64]
    next_obs: NDArray[Any]
    terminated: NDArray[np.bool_]


class BatchCounts(NamedTuple):
    """The counts of a batch agent, int64 [1] each; in files they are one array.

    Attributes:
        seen: transitions so far.
        fits: fits begun.
        iterations_left: iterations left of the running fit.
        held_action: the random action that is held.
        hold_left: for how many steps more it is.
    """

    seen: NDArray[np.int64]
    fits: NDArray[np.int64]
    iterations_left: NDArray[np.int64]
    held_action: NDArray[np.int64]
    hold_left: NDArray[np.int64]


class BatchAgent(PeriodicAgent):
    """An agent that learns from all transitions so far; it supplies `iterate`, and `action_values` once it has some.

    Transitions are kept as they were seen and encoded when they are learned from, so that no feature is ever stale.

    Attributes:
        buffer: the newest transitions, N = ``buffer_size``, a ring.
        counts: how many transitions and fits there were.
        choices: how each action looks as an input: one-hot, or the candidates of a Box, float64 [A, W].
        finite_actions: whether a Box of actions is refused.
        exploration: ε by training progress, float64 [K].
        rng: the state of the exploration's generator, uint64 [4].

    Example:
        >>> from agents import FittedQ  # a subclass
        >>> agent = FittedQ("CartPole-v1", train_freq=100, n_iterations=2, seed=0).learn(150)  # at 100, and at the end
        >>> agent.transitions().obs.shape, int(agent.counts.fits[0]), agent.busy
        ((150, 4), 2, False)
    """

    gamma: Discount = 0.99
    n_iterations: Annotated[int, Range("iterations a fit", 1, 10_000, integer=True)] = 50
    train_freq: Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)] = 5000
    buffer_size: Annotated[int, Range("transitions that are remembered", 2, 10_000_000, integer=True)] = 100_000
    epsilon: Exploration = 0.1
    hold: Annotated[int, Range("most steps that a random action is held", 1, 1000, integer=True)] = 1
    features: FeaturesLike = None
    finite_actions: ClassVar[bool] = True

    # What a batch agent supplies.

    @abstractmethod
    def iterate(self) -> None:
        """One iteration of the running fit; it takes 1 from ``counts.iterations_left``, or sets it to 0: the end."""

    @abstractmethod
    def action_values(self, vectors: NDArray[Any]) -> NDArray[np.float64] | None:
        """Q of vectors [B, D] for all choices, float64 [B, A]; None before the first fit."""

    def begin_fit(self) -> None:
        """A fit is due."""

    def make_encoder(self) -> Encoder:
        """Vectors, or the features of them."""
        self.number_actions(boxes=not self.finite_actions)
        return self.encoder_of("vector", wide=True)

    def setup(self) -> None:
        """No transitions yet."""
        super().setup()
        n, size, space = self.buffer_size, self.encoder.view.size, self.action_space
        require_memory(
            f"{type(self).__name__}: a buffer of {counted(n, 'transition')} of {counted(size, 'number')}", 2 * n * size,
            "Lower buffer_size, or take smaller observations", itemsize=self.encoder.view.dtype.itemsize,
        )  # fmt: skip
        if self.numbering is not None:
            actions_are = f"{type(self).__name__}: one-hot inputs of {counted(self.numbering.n, 'action')}"
            require_memory(actions_are, self.numbering.n**2, "Take an environment with fewer actions")
            self.choices = np.eye(self.numbering.n)
            actions: NDArray[Any] = np.zeros(n, np.int64)
        else:
            assert isinstance(space, gym.spaces.Box)
            self.choices = candidates(space, self.hyperparameters["n_candidates"], type(self).__name__)
            actions = np.zeros((n, self.choices.shape[1]), np.float32)
        obs, next_obs = np.zeros((2, n, size), self.encoder.view.dtype)
        self.buffer = Transitions(obs, actions, np.zeros(n), next_obs, np.zeros(n, np.bool_))
        self.n_actions = len(self.choices)
        self.exploration, self.rng = tabulate(self.epsilon), stream(self.seed, "exploration")
        self._counts = np.zeros(5, np.int64)
        self.counts = BatchCounts(*np.split(self._counts, 5))
        self.next_allowed: NDArray[np.bool_] | None = None  # [N, A], made when the first mask is seen

    # Action masks.

    def take_mask(self, mask: Mask | None, observation: Any) -> None:
        """The actions that may be taken at the newest observation; each transition keeps those of its next one."""
        super().take_mask(mask, observation)
        if self.next_allowed is None:
            self.next_allowed = np.ones((self.buffer_size, self.n_actions), np.bool_)

    def may_be_next(self, q: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at the next observations of `transitions` [N, A], with -∞ for what may not be done there."""
        return q if self.next_allowed is None else np.where(self.next_allowed[: len(q)], q, -np.inf)

    # Data.

    def transitions(self) -> Transitions:
        """All that are remembered."""
        n = int(min(self.counts.seen[0], self.buffer_size))
        return Transitions._make(array[:n] for array in self.buffer)

    def add(self, obs: Any, actions: Any, rewards: Any, next_obs: Any, terminated: Any) -> Self:
        """Remember transitions from elsewhere, N of each; `fit` learns from them.

        Raises:
            SpaceError: observations or actions that are not in the spaces.
        """
        vectors, next_vectors = self.encoder.view.vectors(obs), self.encoder.view.vectors(next_obs)
        for i, action in enumerate(np.asarray(actions)):
            self._remember(vectors[i], action, rewards[i], next_vectors[i], terminated[i])
        return self

    def _remember(
        self, vector: NDArray[Any], action: Any, reward: float, next_vector: NDArray[Any],
        terminated: bool,
    ) -> None:  # fmt: skip
        """Put a transition in the place of the oldest."""
        buffer, place = self.buffer, self.counts.seen[0] % self.buffer_size
        buffer.obs[place], buffer.next_obs[place] = vector, next_vector
        buffer.actions[place] = np.ravel(action) if self.numbering is None else self.numbering.index(action)
        buffer.rewards[place], buffer.terminated[place] = reward, terminated
        if self.next_allowed is not None:
            self.next_allowed[place] = True if self.mask is None or terminated else self.mask
        self.counts.seen[0] += 1
        self.encoder.remember_vector(vector)

    def fit(self, progress: Callable[[Self], None] | None = None) -> Self:
        """Learn from the transitions so far, without a step of the environment.

        Args:
            progress: called after each iteration.
        """
        self.begin_fits()
        while self.busy:
            self.iterate()
            if progress is not None:
                progress(self)
        return self

    # Acting and collecting.

    def act(self, observation: Any) -> Any:
        """Random before the first fit, then ε-greedy."""
        counts, mask = self.counts, self.mask
        if mask is not None and counts.hold_left[0] and not mask[counts.held_action[0]]:
            counts.hold_left[0] = 0
        if counts.hold_left[0] == 0:
            q = None
            if counts.fits[0] and random(self.rng) >= scheduled(self.exploration, self.progress):
                q = self.action_values(self.encoder.view.vector(observation)[None])
            if q is not None:
                return self.action_of(int((q[0] if mask is None else np.where(mask, q[0], -np.inf)).argmax()))
            allowed = np.arange(self.n_actions) if mask is None else np.flatnonzero(mask)
            counts.held_action[0] = allowed[int(random(self.rng) * len(allowed))]
            counts.hold_left[0] = 1 + int(random(self.rng) * self.hold) if self.hold > 1 else 1
        counts.hold_left[0] -= 1
        return self.action_of(int(counts.held_action[0]))

    def action_of(self, choice: int) -> Any:
        """A choice as the environment takes it."""
        if self.numbering is not None:
            return self.numbering.value(choice)
        space: Any = self.action_space
        return self.choices[choice].reshape(space.shape).astype(space.dtype)

    def update(self, transition: Transition) -> float:
        """Remember the step; values are learned in `advance`. No TD error: NaN."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        view = self.encoder.view
        self._remember(view.vector(obs), action, reward, view.vector(next_obs), terminated)
        self.num_timesteps += 1
        if terminated or truncated:
            self.counts.hold_left[0] = 0
        return float("nan")

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Collect steps up to the next fit; while a fit is due, do one iteration of it (and no steps)."""
        if self.busy:
            self.iterate()
            return 0
        done = advance_stepwise(self, min(timesteps, self.train_freq - int(self.counts.seen[0]) % self.train_freq))
        self.fit_if_due()
        return done

    def fit_if_due(self) -> None:
        """After a step: begin a fit, where one is due."""
        if self.counts.seen[0] % self.train_freq == 0:
            self.begin_fits()

    def begin_fits(self) -> None:
        """Learn from all that was gathered, in iterations."""
        self._fitted_at = int(self.counts.seen[0])
        self.counts.fits[0] += 1
        self.counts.iterations_left[0] = self.n_iterations
        if not self.encoder.ready or self.encoder.due():
            self.encoder.fit()
        self.begin_fit()

    @property
    def busy(self) -> bool:
        """Whether iterations of a fit are left."""
        return bool(self.counts.iterations_left[0] > 0)

    @property
    def iteration(self) -> int:
        """The number of the running iteration, from 0."""
        return self.n_iterations - int(self.counts.iterations_left[0])

    @property
    def activity(self) -> str:
        """Which iteration runs."""
        return f"iteration {self.iteration + 1}/{self.n_iterations}" if self.busy else ""

    def why_not_compiled(self) -> str:
        """Collecting is Python; fitting is as fast as its model."""
        return f"{type(self).__name__} collects in Python"

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; nothing but chance before a fit.

        For a Box: the best candidate and its value.
        """
        vectors = self.encoder.view.vectors(observation)
        q = self.action_values(vectors) if self.counts.fits[0] else None
        if self.numbering is None:
            best = np.zeros(len(vectors), np.int64) if q is None else q.argmax(axis=1)
            value = None if q is None else q.max(axis=1)
            return Probe(action_mean=self.choices[best], value=value)
        if q is None:
            return Probe(action_probabilities=np.full((len(vectors), self.n_actions), 1 / self.n_actions))
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.exploration, self.progress))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    def seen(self) -> NDArray[Any]:
        """The transitions' observations."""
        return self.transitions().obs

    # Files.

    def arrays(self) -> StateArrays:
        """The transitions so far, the counts, the random state, and what the encoder keeps."""
        data: StateArrays = self.transitions()._asdict()
        if self.next_allowed is not None:
            data["next_allowed"] = self.next_allowed[: len(data["rewards"])]
        return {**data, "counts": self._counts, "exploration": self.rng, **self.encoder.arrays()}

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        actions: Ranges = {} if self.numbering is None else {"actions": numbers_below(self.n_actions)}
        return {**actions, "counts": COUNT, **super().ranges()}

    def check(self) -> None:
        """Refuse counts that cannot be."""
        super().check()
        each = {
            "iterations_left": (0, self.n_iterations), "held_action": numbers_below(self.n_actions),
            "hold_left": (0, self.hold),
        }  # fmt: skip
        check_ranges(self.counts._asdict(), each)

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("counts", arrays, self._counts)  # they say how many transitions there are
        if "next_allowed" in arrays:
            self.masks_seen = True
            self.next_allowed = np.ones((self.buffer_size, self.n_actions), np.bool_)
        super().load_arrays(arrays)


class GreedyEvaluator:
    """Environments of an agent's kind in which greedy policies are scored, always by the same episodes.

    Args:
        agent: whose environment is made anew.
        count: episodes.

    Raises:
        UsageError: the environment cannot be made again.

    Example:
        >>> from agents import FittedQ
        >>> evaluator = GreedyEvaluator(FittedQ("CartPole-v1", seed=0), 2)
        >>> 8.0 <= evaluator.score(lambda obs: np.tile([1.0, 0.0], (len(obs), 1))) <= 11.0  # always to the left
        True
    """

    def __init__(self, agent: BatchAgent, count: int) -> None:
        why = self.why(type(agent).__name__)
        self._agent, self._envs = agent, [make_anew(agent.env, why) for _ in range(count)]
        self._masks = [MaskSource(env) for env in self._envs]

    @staticmethod
    def why(owner: str) -> str:
        """What the environments are needed for, for errors."""
        return f"{owner} scores its iterates in environments made anew (n_eval_episodes=0 keeps the last)"

    def score(self, values: Callable[[NDArray[Any]], NDArray[np.float64]]) -> float:
        """Mean return of the greedy policy, all episodes played at once."""
        agent, envs = self._agent, self._envs
        seeds, returns = stream(agent.seed, "score"), np.zeros(len(envs))
        begun = [env.reset(seed=random_seed(seeds)) for env in envs]
        infos = [info for _, info in begun]
        running = {i: agent.encoder.view.vector(obs) for i, (obs, _) in enumerate(begun)}
        for _ in range(_LONGEST_SCORE):
            q = values(np.stack(list(running.values())))
            for row, i in enumerate(running):
                mask = self._masks[i].of(infos[i])
                if mask is not None:
                    q[row, ~self._masks[i].joint(mask)] = -np.inf
            chosen = q.argmax(axis=1)
            for i, action in zip(list(running), chosen, strict=True):
                obs, reward, terminated, truncated, infos[i] = envs[i].step(agent.action_of(int(action)))
                returns[i] += float(infos[i].get("extrinsic_reward", reward))
                if terminated or truncated:
                    del running[i]
                else:
                    running[i] = agent.encoder.view.vector(obs)
            if not running:
                break
        return float(returns.mean())
