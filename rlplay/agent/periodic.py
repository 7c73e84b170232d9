"""What agents share that gather steps and learn from all of them every so often, and at the end of learn."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from rlplay.agent.base import Agent, StateArrays
from rlplay.errors import counted


class PeriodicAgent(Agent):
    """An agent that fits what it has gathered, every ``train_freq`` steps; it supplies ``counts`` and `begin_fits`.

    Attributes:
        counts: a NamedTuple with ``seen``, the steps so far, and ``fits``, the fits begun, int64 [1] each.

    Example:
        >>> from agents import FittedQ  # a subclass
        >>> FittedQ("CartPole-v1", train_freq=50, n_iterations=1, n_eval_episodes=0, seed=0).learn(120).lessons
        3
    """

    def setup(self) -> None:
        """No fit yet."""
        super().setup()
        self.counts: Any
        self._fitted_at = 0  # steps at the last fit

    @abstractmethod
    def begin_fits(self) -> None:
        """Learn from all that was gathered, or begin to."""

    def conclude(self) -> None:
        """Learn from what came after the last fit."""
        if self.counts.seen[0] > self._fitted_at:
            self.begin_fits()

    @property
    def lessons(self) -> int:
        """The fits so far."""
        return int(self.counts.fits[0])

    def waits_for(self) -> str:
        """The next fit."""
        if not self.encoder.in_use:
            return super().waits_for()
        every = int(self.hyperparameters["train_freq"])
        return f"it learns every {counted(every, 'step')} (train_freq). Lower train_freq, or learn longer"

    def least_steps_to_learn(self) -> int:
        """One: at the end of a run it is fitted to what there is, whether its features are due or not."""
        return 1

    def _last_due(self) -> int:
        """The steps at the last fit that was due by ``train_freq``."""
        train_freq = int(self.hyperparameters["train_freq"])
        return int(self.counts.seen[0]) // train_freq * train_freq

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        super().load_arrays(arrays)
        self._fitted_at = self._last_due()

    def extra_state(self) -> dict[str, Any]:
        """How many steps there were at the last fit, where it came at the end of learn."""
        return {} if self._fitted_at == self._last_due() else {"fitted_at": self._fitted_at}

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        self._fitted_at = int(state.get("fitted_at", self._fitted_at))
