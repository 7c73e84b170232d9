"""Bit flipping: bits are to become others, one flipped a step, and only the last one is paid.

    s ∈ {0, 1}^n, flipped at the place of the action        r(s, g) = 0 if s = g, else -1

So chance meets the goal of 20 bits once in a million episodes, and all others look alike: rewards teach nothing. What
was reached is a goal too (`rlplay.functional.hindsight`).

Source: Andrychowicz et al. 2017, "Hindsight experience replay", section 3.1 and figure 1.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import EnvironmentFault, SpaceError, UsageError

from .pictured import Pictured

_MOST = 1000


class BitFlippingEnv(Pictured):
    """Bits that are to become those of a goal; the bit-flipping environment of hindsight experience replay.

    ## Description
    Each action flips one of ``n_bits`` bits. Every step costs 1 until all of them are those of the goal.

    ## Action Space
    ``Discrete(n_bits)``: which bit is flipped. With ``continuous=True`` it is ``Box(-1, 1, (n_bits,))``, and every bit
    whose number is above 0 is flipped.

    ## Observation Space
    A Dict of three ``Box(0, 1, (n_bits,))``: ``observation`` and ``achieved_goal`` are the bits, ``desired_goal`` those
    that are aimed at.

    ## Rewards
    0 where the bits are those of the goal, else -1: ``compute_reward(achieved_goal, desired_goal, info)``, which takes
    batches of goals. ``info["is_success"]`` says whether it was reached.

    ## Starting State
    Bits and goal, all equally likely, but never equal.

    ## Episode End
    Terminated when the goal is reached; truncated after ``n_bits`` steps, the most that are needed.

    ## Arguments
    ``n_bits=8``, ``continuous=False``.

    ## References
    Andrychowicz et al. 2017, section 3.1.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = BitFlippingEnv(n_bits=3)
        >>> obs, _ = env.reset(seed=0)
        >>> for bit in np.flatnonzero(obs["observation"] != obs["desired_goal"]):
        ...     obs, reward, terminated, truncated, info = env.step(bit)
        >>> reward, terminated, info
        (0.0, True, {'is_success': True})
    """

    def __init__(
        self, n_bits: int = 8, continuous: bool = False, render_mode: str | None = None, **size: int | None
    ) -> None:  # fmt: skip
        super().__init__(render_mode, **size)
        if n_bits not in range(1, _MOST + 1):
            raise UsageError(f"BitFlipping: n_bits={n_bits} is not a whole number from 1 to {_MOST:,}")
        self.n_bits = int(n_bits)
        bits = gym.spaces.Box(0.0, 1.0, (self.n_bits,), np.float32)
        self.observation_space = gym.spaces.Dict({
            "observation": bits, "achieved_goal": bits, "desired_goal": bits,
        })  # fmt: skip
        self.action_space: gym.Space[Any] = gym.spaces.Discrete(self.n_bits)
        if continuous:
            self.action_space = gym.spaces.Box(-1.0, 1.0, (self.n_bits,), np.float32)
        self.continuous = bool(continuous)
        self.bits = self.goal = np.zeros(self.n_bits, np.float32)
        self.steps = -1  # before the first reset
        self.flipped = np.zeros(self.n_bits, np.bool_)  # by the last action

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Draw bits and a goal."""
        super().reset(seed=seed)
        self.bits, self.goal = self.np_random.integers(2, size=(2, self.n_bits)).astype(np.float32)
        if np.array_equal(self.bits, self.goal):
            self.bits[self.np_random.integers(self.n_bits)] += 1.0
            self.bits %= 2.0
        self.steps, self.flipped = 0, np.zeros(self.n_bits, np.bool_)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Flip a bit, or some.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.steps < 0:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        self.flipped = np.asarray(action) > 0.0 if self.continuous else np.arange(self.n_bits) == action
        self.bits[self.flipped] = 1.0 - self.bits[self.flipped]
        self.steps += 1
        reward = float(self.compute_reward(self.bits, self.goal, {}))
        if self.render_mode == "human":
            self.render()
        over = reward == 0.0
        return self._seen(), reward, over, self.steps >= self.n_bits, {"is_success": over}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> NDArray[np.float64]:
        """0 where what was achieved is what was aimed at, else -1: of goals [..., n] a number each, [...]."""
        equal = np.asarray(achieved_goal) == np.asarray(desired_goal)
        return equal.all(axis=-1) - 1.0

    def _seen(self) -> dict[str, NDArray[np.float32]]:
        return {
            "observation": self.bits.copy(), "achieved_goal": self.bits.copy(), "desired_goal": self.goal.copy()
        }  # fmt: skip

    def text(self) -> str:
        """The bits, and those that are aimed at."""
        shown = ("".join(str(int(bit)) for bit in bits) for bits in (self.bits, self.goal))
        return " -> ".join(shown)

    def picture(self) -> Any:
        """The bits above those of the goal; what differs is marked, and what was flipped last."""
        from . import drawing as d

        wrong = int((self.bits != self.goal).sum())
        note = "bit flipping: reached" if wrong == 0 else f"bit flipping: {wrong} to go"
        return d.bit_rows(self.bits, self.goal, self.flipped, note)


__all__ = ["BitFlippingEnv"]
