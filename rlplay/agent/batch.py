"""What batch agents share: steps are collected, at first at random, and every so often all of them are learned from.

A fit is a number of iterations; each is one call of `Agent.advance`, so that a run can be saved and resumed between
them. Transitions from elsewhere are taken by `BatchAgent.add`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.tabular import epsilon_greedy_probabilities
from rlplay.approximation.action_values import candidates
from rlplay.approximation.feature_map import FeatureMap, Kind
from rlplay.compiled.pcg64 import random, random_seed
from rlplay.environments.make import EnvLike, reference, remake
from rlplay.errors import UsageError
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.hyperparameters.domains import Range
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.spaces.finite import finite as numbering
from rlplay.spaces.observations import VectorView
from rlplay.storage.checkpoint import copy_into
from rlplay.training.learner import Engine
from rlplay.transition import Transition

_LONGEST_SCORE = 10_000  # steps after which an episode without a time limit is cut when an iterate is scored

# What all of them have.
Iterations = Annotated[int, Range("iterations a fit", 1, 10_000, integer=True)]
TrainFreq = Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)]
BufferSize = Annotated[int, Range("transitions that are remembered", 2, 10_000_000, integer=True)]
Candidates = Annotated[int, Range("of each number of a Box: actions that are compared", 2, 4096, integer=True)]
Hold = Annotated[int, Range("most steps that a random action is held", 1, 1000, integer=True)]

# Places in the counts: transitions seen, fits begun, iterations left of the running fit, action held, and for how long.
SEEN, FITS, LEFT, HELD, HELD_FOR = range(5)


class BatchAgent(Agent):
    """An agent that learns from all transitions so far; it supplies `iterate`, and `action_values` once it has some.

    Attributes:
        obs, next_obs: float32 [room, D].
        actions: numbers int64 [room], or for a Box float32 [room, W].
        rewards: float64 [room].
        terminated: bool [room].
        choices: how each action looks as an input: one-hot, or the candidates of a Box, float64 [A, W].
    """

    numbered = False
    finite_actions: ClassVar[bool] = True
    features_are: ClassVar[Kind] = "vector"

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        given = self.hyperparameters
        name, room, space = type(self).__name__, int(given["buffer_size"]), self.action_space
        self._view = VectorView(self.observation_space, name)
        self.n_obs = self._view.size
        finite = self.finite_actions or not isinstance(space, gym.spaces.Box)
        if finite:
            self._actions = numbering(space, name, "actions")
        plan = given["features"] if given["features"] is not None else self.default_features()
        if plan is not None:
            intercept = bool(given.get("intercept", False))
            self.features = plan.bound(self.observation_space, name, self.seed, self.features_are, intercept=intercept)
        self.obs, self.next_obs = np.zeros((2, room, self.n_obs), np.float32)
        if finite:
            self.choices = np.eye(self._actions.n)
            self.actions: NDArray[Any] = np.zeros(room, np.int64)
        else:
            assert isinstance(space, gym.spaces.Box)
            self.choices = candidates(space, int(given["n_candidates"]), name)
            self.actions = np.zeros((room, self.choices.shape[1]), np.float32)
        self.n_actions = len(self.choices)
        self.rewards, self.terminated = np.zeros(room), np.zeros(room, np.bool_)
        self.gamma, self.epsilon = float(given["gamma"]), tabulate(given["epsilon"])
        self.rng = stream(self.seed, "exploration")
        self.counts = np.zeros(5, np.int64)

    # What a batch agent supplies.

    def iterate(self) -> None:
        """One iteration of the running fit; it takes 1 from ``counts[LEFT]``, or ends the fit by setting it to 0."""
        raise NotImplementedError

    def begin_fit(self) -> None:
        """A fit is due."""

    def default_features(self) -> FeatureMap | None:
        """The features where none are given."""
        return None

    def action_values(self, x: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Q of rows [B, D] for all choices, float64 [B, A]; None before the first fit."""
        raise NotImplementedError

    # Data.

    def transitions(self) -> tuple[NDArray[Any], ...]:
        """All that are remembered: obs, actions, rewards, next_obs, terminated."""
        n = int(min(self.counts[SEEN], len(self.rewards)))
        return self.obs[:n], self.actions[:n], self.rewards[:n], self.next_obs[:n], self.terminated[:n]

    def add(self, obs: Any, actions: Any, rewards: Any, next_obs: Any, terminated: Any) -> Self:
        """Remember transitions from elsewhere, N of each; `fit` learns from them.

        Raises:
            SpaceError: observations or actions that are not in the spaces.
        """
        rows, next_rows = self._view.rows(obs), self._view.rows(next_obs)
        for i, action in enumerate(np.asarray(actions)):
            self._remember(rows[i], action, rewards[i], next_rows[i], terminated[i])
        return self

    def _remember(
        self, row: NDArray[np.float32], action: Any, reward: float, next_row: NDArray[np.float32], terminated: bool
    ) -> None:
        """Put a transition in the place of the oldest."""
        place = self.counts[SEEN] % len(self.rewards)
        self.obs[place], self.next_obs[place] = row, next_row
        self.actions[place] = self._actions.index(action) if self._actions is not None else np.ravel(action)
        self.rewards[place], self.terminated[place] = reward, terminated
        self.counts[SEEN] += 1
        if self.features is not None:
            self.features.remember_row(row)

    def mapped(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Observations that are vectors [B, D], through the feature map [B, F]."""
        return rows if self.features is None else self.features.transformed(rows)

    def fit(self, progress: Callable[[Self], None] | None = None) -> Self:
        """Learn from the transitions so far, without a step of the environment.

        Args:
            progress: called after each iteration.
        """
        self._begin_fit()
        while self.busy:
            self.iterate()
            if progress is not None:
                progress(self)
        return self

    # Acting and collecting.

    def act(self, observation: Any) -> Any:
        """Random before the first fit, then ε-greedy."""
        if self.counts[HELD_FOR] == 0:
            q = None
            if self.counts[FITS] and random(self.rng) >= scheduled(self.epsilon, self.progress):
                q = self.action_values(self._view.row(observation)[None])
            if q is not None:
                return self._value(int(q[0].argmax()))
            hold = self.hyperparameters["hold"]
            self.counts[HELD] = int(random(self.rng) * self.n_actions)
            self.counts[HELD_FOR] = 1 + int(random(self.rng) * hold) if hold > 1 else 1
        self.counts[HELD_FOR] -= 1
        return self._value(int(self.counts[HELD]))

    def _value(self, choice: int) -> Any:
        """A choice as the environment takes it."""
        if self._actions is not None:
            return self._actions.value(choice)
        space: Any = self.action_space
        return self.choices[choice].reshape(space.shape).astype(space.dtype)

    def update(self, transition: Transition) -> float:
        """Remember the step; values are learned in `advance`. No TD error: NaN."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self._remember(self._view.row(obs), action, reward, self._view.row(next_obs), terminated)
        self.num_timesteps += 1
        if terminated or truncated:
            self.counts[HELD_FOR] = 0
        return float("nan")

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Collect steps up to the next fit; while a fit is due, do one iteration of it (and no steps)."""
        from rlplay.training.drivers import advance_stepwise

        if self.busy:
            self.iterate()
            return 0
        frequency = self.hyperparameters["train_freq"]
        done = advance_stepwise(self, min(timesteps, frequency - int(self.counts[SEEN]) % frequency))
        if self.counts[SEEN] % frequency == 0:
            self._begin_fit()
        return done

    def _begin_fit(self) -> None:
        self.counts[FITS] += 1
        self.counts[LEFT] = self.hyperparameters["n_iterations"]
        features = self.features
        if features is not None and (not features.ready or (features.refit_every is not None and features.due())):
            features.fit()  # the data are kept as they were seen, so that no feature is ever stale
        self.begin_fit()

    @property
    def busy(self) -> bool:
        """Whether iterations of a fit are left."""
        return bool(self.counts[LEFT] > 0)

    @property
    def iteration(self) -> int:
        """The number of the running iteration, from 0."""
        return int(self.hyperparameters["n_iterations"]) - int(self.counts[LEFT])

    @property
    def activity(self) -> str:
        """Which iteration runs."""
        return f"iteration {self.iteration + 1}/{self.hyperparameters['n_iterations']}" if self.busy else ""

    def why_not_compiled(self) -> str:
        """Collecting is Python; fitting is as fast as its model."""
        return f"{type(self).__name__} collects in Python"

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; nothing but chance before a fit.

        For a Box: the best candidate and its value.
        """
        x = self._view.rows(observation)
        q = self.action_values(x) if self.counts[FITS] else None
        if self._actions is None:
            best = np.zeros(len(x), np.int64) if q is None else q.argmax(axis=1)
            value = None if q is None else q.max(axis=1)
            return Probe(action_mean=self.choices[best], value=value)
        if q is None:
            return Probe(action_probabilities=np.full((len(x), self.n_actions), 1 / self.n_actions))
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.epsilon, self.progress))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    def seen(self) -> NDArray[np.float32]:
        """The transitions' observations."""
        return self.transitions()[0]

    # Files.

    def arrays(self) -> StateArrays:
        """The transitions so far, the counts and the random state."""
        names = ("obs", "actions", "rewards", "next_obs", "terminated")
        found: StateArrays = dict(zip(names, self.transitions(), strict=True))
        features = self.features.arrays() if self.features is not None else {}
        return {**found, "counts": self.counts, "exploration": self.rng, **features}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("counts", arrays, self.counts)  # they say how many transitions there are
        for name, array in BatchAgent.arrays(self).items():
            copy_into(name, arrays, array)


class GreedyEvaluator:
    """Environments of an agent's kind in which greedy policies are scored, always by the same episodes.

    Args:
        agent: whose environment is made anew.
        count: episodes.

    Raises:
        UsageError: the environment has no id and cannot be made again.
    """

    def __init__(self, agent: BatchAgent, count: int) -> None:
        ref = reference(agent.env)
        if not ref.id:
            raise UsageError(
                f"{type(agent).__name__} scores its iterates in environments made anew, and this one has no id",
                "Give its id, or n_eval_episodes=0 to keep the last iterate",
            )
        native = "auto" if ref.dynamics.startswith("native") else "gymnasium"
        self._agent, self._envs = agent, [remake(ref, dynamics=native) for _ in range(count)]

    def score(self, values: Callable[[NDArray[np.float32]], NDArray[np.float64]]) -> float:
        """Mean return of the greedy policy, all episodes played at once."""
        agent, envs = self._agent, self._envs
        seeds, returns = stream(agent.seed, "score"), np.zeros(len(envs))
        running = {i: agent._view.row(env.reset(seed=random_seed(seeds))[0]) for i, env in enumerate(envs)}
        for _ in range(_LONGEST_SCORE):
            chosen = values(np.stack(list(running.values()))).argmax(axis=1)
            for i, action in zip(list(running), chosen, strict=True):
                obs, reward, terminated, truncated, info = envs[i].step(agent._value(int(action)))
                returns[i] += float(info.get("extrinsic_reward", reward))
                if terminated or truncated:
                    del running[i]
                else:
                    running[i] = agent._view.row(obs)
            if not running:
                break
        return float(returns.mean())
