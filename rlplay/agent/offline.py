"""What agents share that learn from a data set alone: a timestep is a gradient step, and no environment is played.

    D = {(S, A, R, S')}        drawn uniformly, B at a time

The environment says what observations and actions are, and is played only in evaluations. The steps of the data set lie
in the agent's replay buffer and so in its file: a run goes on from there without the data set, in the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Self

from rlplay.agent.base import Agent
from rlplay.agent.off_policy import BufferSize, OffPolicyAgent
from rlplay.errors import UsageError, warn_once
from rlplay.functional.replay import NO_STEP
from rlplay.hyperparameters.domains import DataSource
from rlplay.training.learner import Engine

DataLike = Annotated[Any, DataSource("what is learned from")]


class OfflineAgent(OffPolicyAgent):
    """An agent that learns from a data set; see `OffPolicyAgent` for what it supplies.

    Example:
        >>> from agents import CQL  # a subclass
        >>> agent = CQL("CartPole-v1", dataset="follow-the-pole:500", net_arch=[16], seed=0).learn(100)
        >>> agent.num_timesteps, agent.timestep, agent.statistics.episodes
        (100, 'update', 0)
    """

    timestep: ClassVar[str] = "update"
    learns_from_others = False

    dataset: DataLike = None
    buffer_size: BufferSize = 1_000_000

    def setup(self) -> None:
        """As every off-policy agent, and the data set's steps in the replay buffer.

        Raises:
            HyperparameterError: no such data set, or one larger than buffer_size.
            UsageError: a data set of another environment.
            CheckpointError: a damaged one.
        """
        super().setup()
        if self.dataset is not None and not isinstance(self.dataset, dict):  # else its file brings the steps
            self.remember(self.dataset)

    def remember(self, dataset: Any) -> Self:
        """Put the steps of a data set into the replay buffer; see `OffPolicyAgent.remember`."""
        super().remember(dataset)
        kept, batch = int((self.memory.replay.kinds != NO_STEP).sum()), int(self.hyperparameters["batch_size"])
        if batch > kept:
            warn_once(
                f"{type(self).__name__}: batch_size={batch} is more than the {kept:,} steps there are: a batch has "
                "some of them several times. Lower it, or give more data"
            )
        if not self.encoder.ready:  # there will be no more
            self.refit()
        return self

    def keep_source(self, described: Any) -> None:
        """What settings and files say of the data set."""
        self.hyperparameters["dataset"] = self.dataset = described
        if "_made_with" in vars(self):  # it was made without
            self._made_with["dataset"] = described

    def why_not_compiled(self) -> str:
        """No environment is played: only networks and features decide."""
        return "its networks are torch modules" if self._is_torch else self.encoder.why_not_compiled

    @contextmanager
    def played_by(self, workers: int | str, timesteps: int, engine: Engine) -> Iterator[None]:
        """Nobody plays; see `Agent.learn`."""
        with Agent.played_by(self, workers, timesteps, engine):
            yield

    def advance(self, timesteps: int, engine: Any) -> int:
        """So many gradient steps; both engines are one.

        Raises:
            UsageError: there is no data set.
        """
        self.require_data()
        memory = self.handed(self.memory)
        done = int(self._iteration.learn_offline(memory, self.num_timesteps, float(max(self.horizon, 1)), timesteps))
        self.num_timesteps += done
        if not self._healthy:
            self._stop()
        return done

    def require_data(self) -> None:
        """Refuse to learn from nothing.

        Raises:
            UsageError: there is no data set.
        """
        name = type(self).__name__
        if not self.memory.replay.filled.any():
            raise UsageError(
                f"{name} has no data to learn from",
                f'Give {name}(env, dataset=...): a Dataset, its file, or "random:10000"; on the command line --dataset',
            )

    def waits_for(self) -> str:
        """Nothing: each timestep is an update."""
        return "it makes no update"


__all__ = ["DataLike", "OfflineAgent"]
