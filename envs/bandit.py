"""Bandit: k actions that pay by chance; which one pays best? Stationary, or drifting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.extend import EnvironmentFault, SpaceError, UsageError

from .pictured import Pictured


class BanditEnv(Pictured):
    """The k-armed bandit.

    ## Description
    Each action pays a normal reward around a mean of its own. By default the means are drawn once, from a normal
    distribution: the k-armed testbed. With ``drift`` they walk away a little at each step.

    ## Action Space
    ``Discrete(k)``.

    ## Observation Space
    ``Discrete(problems)``: which of the problems it is; each has means of its own (a contextual bandit).

    ## Rewards
    Normal with the mean of the action and standard deviation ``noise``.

    ## Starting State
    Any problem, all equally likely.

    ## Episode End
    Never terminated. Truncated after 1,000 steps (``max_episode_steps``).

    ## Arguments
    ``k=10``, ``problems=1``, ``means``: a list of k means, or of such lists, in place of drawn ones; ``mean=0`` and
    ``problem_seed=0`` of the drawn ones; ``noise=1``, ``drift=0``.

    ## References
    Sutton & Barto, Reinforcement Learning, 2nd edition, section 2.3 and exercise 2.5.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = BanditEnv()
        >>> _ = env.reset(seed=0)
        >>> env.action_space, env.step(3)[2]
        (Discrete(10), False)
    """

    def __init__(
        self, k: int = 10, problems: int = 1, means: Sequence[Any] | None = None, mean: float = 0.0,
        problem_seed: int = 0, noise: float = 1.0, drift: float = 0.0,
        render_mode: str | None = None, **size: int | None,
    ) -> None:  # fmt: skip
        super().__init__(render_mode, **size)
        self.s = -1
        self.last_action: int | None = None
        if means is None:
            if not 1 <= k <= 10_000 or not 1 <= problems <= 1_000_000:
                raise UsageError(f"Bandit: k={k}, problems={problems}: at least one of each")
            drawn = np.random.default_rng(problem_seed).standard_normal((problems, k)) + float(mean)
        else:
            drawn = np.atleast_2d(np.asarray(means, dtype=np.float64))
        if drawn.ndim != 2 or not np.isfinite(drawn).all() or noise < 0 or drift < 0:
            raise UsageError("Bandit: means must be finite numbers, one an action; noise and drift 0 or more")
        self.first_means, self.means = drawn, drawn.copy()  # [problems, k]
        self.noise, self.drift = float(noise), float(drift)
        self.observation_space = gym.spaces.Discrete(drawn.shape[0])
        self.action_space = gym.spaces.Discrete(drawn.shape[1])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        """Begin with one of the problems, at its first means."""
        super().reset(seed=seed)
        self.means[:] = self.first_means
        self.s, self.last_action = int(self.np_random.integers(len(self.means))), None
        return self.s, {}

    def step(self, action: Any) -> tuple[int, float, bool, bool, dict[str, Any]]:
        """Pull one arm.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.s < 0:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        self.last_action = int(action)
        reward = self.means[self.s, self.last_action] + self.noise * self.np_random.standard_normal()
        if self.drift:
            self.means[self.s] += self.drift * self.np_random.standard_normal(self.means.shape[1])
        if self.render_mode == "human":
            self.render()
        return self.s, float(reward), False, False, {}

    def text(self) -> str:
        """The means."""
        return " ".join(f"{mean:.2f}" for mean in self.means[self.s])

    def picture(self) -> Any:
        """The means as bars, and the last action."""
        from . import drawing as d

        return d.bars(self.means[max(self.s, 0)].tolist(), self.last_action, "mean reward of each action")
