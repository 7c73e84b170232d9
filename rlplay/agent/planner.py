"""The part of the contract that planners share: agents that sweep over all states by the exact model.

The backups of dynamic programming stand in `rlplay.functional.dynamic_programming`. One timestep is one sweep.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.approximation.encoder import Encoder
from rlplay.compiled.table import table_of
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import warn
from rlplay.functional.dynamic_programming import (
    Model,
    action_values,
    average_reward_step,
    greedy_probabilities,
    model_of,
)
from rlplay.hyperparameters.types import Accuracy, AverageReward, Discount, InPlace
from rlplay.probe import Probe
from rlplay.training.learner import Engine

_PATIENCE = 20_000  # sweeps after which a warning says that values still change


class Planner(Agent):
    """An agent that plans by its environment's transition table, sweep by sweep.

    Attributes:
        size: how many states and actions there are.
        discount: gamma, or 1 for average rewards.
        v: state values, float64 [S].
        delta: the largest change of the last sweep (average reward: how far the gain is still open), float64 [1].
        gain: average reward a step, float64 [1]; 0 where values are discounted.

    Example:
        >>> from rlplay.extend import optimality_sweep
        >>> class MyValueIteration(Planner):
        ...     def sweep(self, model):
        ...         self.update_values(optimality_sweep, model)
        >>> agent = MyValueIteration("FrozenLake-v1", gamma=1.0, seed=0).learn(1000)
        >>> agent.converged, round(float(agent.v[0]), 4)
        (True, 0.8235)
    """

    timestep = "sweep"
    needs_model = True
    gamma: Discount = 0.99
    theta: Accuracy = 1e-9
    in_place: InPlace = True
    average_reward: AverageReward = False

    def make_encoder(self) -> Encoder:
        """States by number."""
        self.number_actions()
        return self.encoder_of("index")

    def setup(self) -> None:
        """Values of 0, and the model.

        Raises:
            SpaceError: the environment has no transition table.
        """
        assert self.numbering is not None
        self.size = self.encoder.size, self.numbering.n
        self.discount = 1.0 if self.average_reward else self.gamma
        self.v = np.zeros(self.size[0])
        self.delta, self.gain = np.full(1, np.finfo(float).max), np.zeros(1)
        self._model: Model | None = None
        self._start: NDArray[np.float64] = np.zeros(self.size[0])
        if not isinstance(self.env, NoEnvironment):
            self._read_model()

    @abstractmethod
    def sweep(self, model: Model) -> None:
        """One sweep; keeps `delta` up to date."""

    def update_values(self, sweep: Callable[..., float], *inputs: Any) -> None:
        """One sweep over all states, within the values or from those of the sweep before.

        Args:
            sweep: ``sweep(v, source, *inputs, gamma, end_value)``, which returns the largest change.
            inputs: what it takes: a policy, the model.
        """
        source = self.v if self.in_place and not self.average_reward else self.v.copy()
        self.delta[0] = sweep(self.v, source, *inputs, self.discount, self.end_value)
        if self.average_reward:
            self.gain[0], self.delta[0] = average_reward_step(self.v, source)

    @property
    def converged(self) -> bool:
        """Whether there is nothing left to do."""
        return bool(self.delta[0] <= self.theta)

    def _read_model(self) -> Model:
        table = table_of(self.env)
        self._model, self._start = model_of(table), table.start
        return self._model

    @property
    def model(self) -> Model:
        """The environment's table; read when first needed, since a loaded agent may have no environment."""
        return self._model if self._model is not None else self._read_model()

    def masks(self) -> NDArray[np.bool_]:
        """Which actions may be taken, bool [S, A]; all where a loaded agent has no environment."""
        return np.ones(self.size, np.bool_) if isinstance(self.env, NoEnvironment) else self.model.allowed

    @property
    def end_value(self) -> float:
        """The value of an end: 0; for average rewards that of the next episode's first state."""
        return float(self._start @ self.v) if self.average_reward else 0.0

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Sweep until the values stay the same; the compiled sweep serves both engines."""
        model, done = self.model, 0
        while done < timesteps and not self.converged:
            self.sweep(model)
            done += 1
            self.num_timesteps += 1
            if self.num_timesteps == _PATIENCE and self.discount == 1.0 and not self.converged:
                warn(
                    f"{type(self).__name__} in {reference(self.env)}: values still change by {self.delta[0]:.3g} after "
                    f"{_PATIENCE:,} sweeps. With gamma=1 an end must be reachable from every state: take gamma below 1"
                )
        return done

    def why_not_compiled(self) -> str:
        """Nothing: sweeps are always compiled."""
        return ""

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Plan in another environment with the same spaces, starting from the values so far."""
        super().set_env(env, force_reset)
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
        gain = self.gain[0] if self.average_reward else 0.0
        return action_values(self.v, model, self.discount, self.end_value) - gain

    def probe(self, observation: Any) -> Probe:
        """Action values by one backup of the table, the greedy policy over them, and the state's value."""
        states = self.encoder.encode_batch(observation)
        q = self.q_values()[states]  # [B, A]
        return Probe(action_values=q, action_probabilities=greedy_probabilities(q), value=self.v[states])

    def arrays(self) -> StateArrays:
        """The values, the last sweep's largest change and the average reward."""
        return {"v": self.v, "delta": self.delta, "gain": self.gain}
