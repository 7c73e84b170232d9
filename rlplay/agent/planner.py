"""Planning with an exact model: the backups of dynamic programming, and the part of the contract that planners share.

A model is a transition table as four arrays of shape [S, A, K]: probability, next state, reward and ending of each of
at most K outcomes. Planners count sweeps over all states as timesteps.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.compiled.table import table_of
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import warn
from rlplay.probe import Probe
from rlplay.training.learner import Engine

_PATIENCE = 20_000  # sweeps after which values that still change are said


class Planner(Agent):
    """What planners share: the model is read from the environment, sweeps are counted, values are saved.

    Attributes:
        v: state values, float64 [S].
        delta: the largest change of the last sweep (average reward: how far the gain is still open), float64 [1].
        gain: average reward a step, float64 [1]; 0 where values are discounted.
        average_reward: whether values are relative to the average reward, without a discount.
    """

    timestep: ClassVar[str] = "sweep"
    needs_model: ClassVar[bool] = True

    def __init__(
        self, env: EnvLike, *, seed: int | None, gamma: float, theta: float, average_reward: bool, **more: Any
    ) -> None:
        super().__init__(env, seed=seed, gamma=gamma, theta=theta, average_reward=average_reward, **more)
        self.size = self.require_finite()
        self.theta, self.average_reward = float(theta), bool(average_reward)
        self.gamma = 1.0 if average_reward else float(gamma)
        self.v = np.zeros(self.size[0])
        self.delta, self.gain = np.full(1, np.finfo(float).max), np.zeros(1)
        self._model: Model | None = None
        self._start: NDArray[np.float64] | None = None
        if not isinstance(self.env, NoEnvironment):
            self.model  # noqa: B018 - an environment without a table is refused here

    @abstractmethod
    def sweep(self, model: Model) -> None:
        """One sweep; keeps `delta` up to date."""

    @property
    def converged(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.delta[0] <= self.theta)

    @property
    def model(self) -> Model:
        """The environment's table; read when first needed, since a loaded agent may have no environment."""
        if self._model is None:
            table = table_of(self.env)
            self._model, self._start = model_of(table), table.start
        return self._model

    def masks(self) -> NDArray[np.bool_]:
        """Which actions may be taken, bool [S, A]; all where a loaded agent has no environment."""
        return np.ones(self.size, np.bool_) if isinstance(self.env, NoEnvironment) else self.model.allowed

    @property
    def beyond(self) -> float:
        """What an end is worth: nothing; for average rewards what the next episode's first state is."""
        assert self._start is not None
        return float(self._start @ self.v) if self.average_reward else 0.0

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Sweep until the values stand still; the compiled sweep serves both engines."""
        model, done = self.model, 0
        while done < timesteps and not self.converged:
            self.sweep(model)
            done += 1
            self.num_timesteps += 1
            if self.num_timesteps == _PATIENCE and self.gamma == 1.0 and not self.converged:
                warn(
                    f"{type(self).__name__} in {reference(self.env)}: values still change by {self.delta[0]:.3g} after "
                    f"{_PATIENCE:,} sweeps. With gamma=1 an end must be reachable from every state: take gamma below 1"
                )
        return done

    def settle(self, before: NDArray[np.float64]) -> None:
        """After a sweep for average rewards: keep values relative, and the gain."""
        self.gain[0], self.delta[0] = settle_average(self.v, before)

    def why_not_compiled(self) -> str:
        """Nothing: sweeps are always compiled."""
        return ""

    def set_env(self, env: EnvLike) -> None:
        """Plan in another environment with the same spaces, starting from the values so far."""
        super().set_env(env)
        self._model, self.delta[0] = None, np.finfo(float).max

    @property
    def activity(self) -> str:
        """What the last sweep did, in a few words for the window."""
        if self.num_timesteps == 0:
            return ""
        gain = f", average reward {self.gain[0]:.4g}" if self.average_reward else ""
        return f"sweep {self.num_timesteps}: largest change {self.delta[0]:.3g}{gain}"

    def metrics(self) -> dict[str, float]:
        """The largest change of the last sweep, and the average reward."""
        gain = {"train/average_reward": float(self.gain[0])} if self.average_reward else {}
        return {"train/largest_change": float(self.delta[0]), **gain}

    def q_values(self) -> NDArray[np.float64]:
        """Action values by one backup of the table [S, A]."""
        model = self.model
        return action_values(self.v, model, self.gamma, self.beyond) - (self.gain[0] if self.average_reward else 0.0)

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the greedy policy over them, and the state's value."""
        states = self.state_indices(observation)
        q = self.q_values()[states]  # [B, A]
        return Probe(action_values=q, action_probabilities=greedy_probabilities(q), value=self.v[states])

    def arrays(self) -> StateArrays:
        """The values, the last sweep's largest change and the average reward."""
        return {"v": self.v, "delta": self.delta, "gain": self.gain}
