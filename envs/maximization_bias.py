"""MaximizationBias: a choice that looks good only because the best of many noisy numbers is taken."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import EnvironmentFault, SpaceError, UsageError

from .pictured import Pictured

A, B, END = range(3)
LEFT, RIGHT = 0, 1


class MaximizationBiasEnv(Pictured):
    """A small world with maximization bias.

    ## Description
    In A, right ends the episode with reward 0 and left leads to B with reward 0. In B there are many actions, all of
    which end it with a normal reward of mean -0.1. Left is therefore wrong, but the largest of many noisy estimates in
    B looks positive for long.

    ## Action Space
    ``Discrete(max(2, n_actions))``: in A 0 left, 1 right, the others may not be taken; in B the first ``n_actions``:
    ``info["action_mask"]`` and ``action_masks()`` say so. Another action counts as the last that may be taken.

    ## Observation Space
    ``Discrete(3)``: 0 A, 1 B, 2 the end.

    ## Rewards
    0 from A; from B normal with mean ``mean=-0.1`` and standard deviation ``noise=1``.

    ## Starting State
    A.

    ## Episode End
    Terminated at the end, after one or two steps.

    ## Arguments
    ``n_actions=10`` in B, ``mean=-0.1``, ``noise=1``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, example 6.7.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = MaximizationBiasEnv()
        >>> env.reset(seed=0)[0], env.step(1)[:3]  # right: the end
        (0, (2, 0.0, True))
    """

    def __init__(
        self,
        n_actions: int = 10,
        mean: float = -0.1,
        noise: float = 1.0,
        render_mode: str | None = None,
        **size: int | None,
    ) -> None:
        super().__init__(render_mode, **size)
        self.s = -1
        self.last_action: int | None = None
        if not 1 <= n_actions <= 10_000 or noise < 0:
            raise UsageError(f"MaximizationBias: n_actions={n_actions}, noise={noise}: one or more actions, noise >= 0")
        self.n_actions, self.mean, self.noise = int(n_actions), float(mean), float(noise)
        self.observation_space = gym.spaces.Discrete(3)
        self.action_space = gym.spaces.Discrete(max(2, self.n_actions))

    def _count(self, state: int) -> int:
        return 2 if state == A else self.n_actions

    def action_mask(self, state: int) -> NDArray[np.int8]:
        """Which actions may be taken in a state, int8 [A]."""
        return (np.arange(int(self.action_space.n)) < self._count(state)).astype(np.int8)  # type: ignore[attr-defined]

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions may be taken now, bool [A]."""
        return self.action_mask(self.s).astype(np.bool_)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin in A."""
        super().reset(seed=seed)
        self.s, self.last_action = A, None
        return self.s, {"action_mask": self.action_mask(A)}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before a reset, or after the end.
        """
        if self.s in (-1, END):
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        reward, self.last_action = 0.0, min(int(action), self._count(self.s) - 1)
        if self.s == B:
            reward = self.mean + self.noise * float(self.np_random.standard_normal())
        self.s = B if self.s == A and self.last_action == LEFT else END
        if self.render_mode == "human":
            self.render()
        return self.s, reward, self.s == END, False, {"action_mask": self.action_mask(self.s)}

    def get_action_meanings(self) -> list[str]:
        """The names of the actions in A, numbers for the others."""
        return ["left", "right", *(str(a) for a in range(2, int(self.action_space.n)))]  # type: ignore[attr-defined]

    def text(self) -> str:
        """The state."""
        return "AB."[self.s]

    def picture(self) -> Any:
        """B, A and the end in a row."""
        from . import drawing as d

        return d.chain(["B", "A", "end"], (1, 0, 2)[self.s], [d.WARM, d.COOL, d.GOOD], "maximization bias")
