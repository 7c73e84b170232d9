"""What training, evaluation, callbacks and files know of an agent: a small protocol, never its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoder import Encoder
from rlplay.compiled.training_loop import EpisodeLog, LearningRule
from rlplay.environments.interact import Position, RunningEnv
from rlplay.training.statistics import EpisodeStatistics
from rlplay.transition import Transition

Engine = Literal["auto", "python", "compiled"]


class Learner(Protocol):
    """What learns in an environment.

    Attributes:
        timestep: what one timestep is: ``"step"`` of the environment or ``"sweep"``.
        chunk_seconds: about how long `advance` works before callbacks, progress bars and Ctrl-C have their turn.
        follows_position: whether `predict` depends on where an episode stands, told by `observe_position`.
        env: the environment it learns in.
        encoder: how it takes observations.
        seed: of all its random numbers.
        num_timesteps: timesteps done.
        horizon: timesteps over which schedules run; 0 before the first run.
        hyperparameters: what it was made with.
        statistics: the finished episodes.
    """

    timestep: ClassVar[str]
    chunk_seconds: ClassVar[float]
    follows_position: ClassVar[bool]
    env: gym.Env[Any, Any]
    encoder: Encoder
    seed: int
    num_timesteps: int
    horizon: int
    hyperparameters: dict[str, Any]
    statistics: EpisodeStatistics

    @property
    def id(self) -> str:
        """The id under which it is registered."""

    @property
    def busy(self) -> bool:
        """Whether work that belongs to the timesteps done is still to do; then `advance` may return 0."""

    @property
    def activity(self) -> str:
        """What it is busy with, in a few words."""

    @property
    def lessons(self) -> int:
        """How often it has learned; a run in which this stays the same has taught it nothing."""

    @property
    def rollouts(self) -> int:
        """A number that changes as a rollout ends, which Stable-Baselines3's callbacks are told."""

    @property
    def rollout_timesteps(self) -> int | None:
        """Timesteps of a rollout, of an agent that learns from one and forgets it; else None."""

    def waits_for(self) -> str:
        """What it waits for before it learns, and what to set."""

    def least_steps_to_learn(self) -> int:
        """The fewest timesteps from now on after which it can have learned."""

    def conclude(self) -> None:
        """The run has all its timesteps: begin what is left to do with them."""

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Do at most this many timesteps; returns how many were done (0: it has converged)."""

    def why_not_compiled(self) -> str:
        """Why it has no native loop in its environment; empty where it has."""

    def give_up_episode(self) -> None:
        """Stand between episodes."""

    def observe_position(self, position: Position) -> None:
        """Told before each `predict` where an episode stands."""

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:
        """The action, and the state of a recurrent agent."""

    def metrics(self) -> dict[str, float]:
        """Numbers of the last update by TensorBoard tags."""

    @property
    def logger(self) -> Any:
        """Where callbacks note numbers for the next row of the logs."""

    def running_envs(self) -> list[RunningEnv]:
        """The environments of the run, and where it stands in each."""

    def save(self, path: str | Path) -> Path:
        """Save everything."""


class RuleLearner(Learner, Protocol):
    """What learns by a rule, a step at a time; both drivers run it.

    Attributes:
        rule: the learning rule as compiled functions.
        memory: what the rule works on.
        position: where the run stands in its environment.
        seeds: the stream of the episodes' seeds, uint64 [4].
        next_action: the action that an on-policy rule has chosen already; -1 for none.
        episode_log: where the compiled driver writes the episodes of a chunk.
    """

    rule: LearningRule | None
    memory: Any
    position: Position
    seeds: NDArray[np.uint64]
    next_action: int
    episode_log: EpisodeLog

    @property
    def progress(self) -> float:
        """Training progress for schedules: 0 at the start, 1 at the horizon and beyond."""

    def see_mask(self, observation: Any, info: dict[str, Any], terminated: bool = False) -> None:
        """Told which actions may be taken at the newest observation, before `act` and `update`."""

    def act(self, observation: Any) -> Any:
        """The next action while learning."""

    def update(self, transition: Transition) -> float:
        """Learn from one step; returns the TD error."""
