"""Contextual bandits with vectors: each step shows a context and pays for one action; the next depends on neither.

    linear    r = θ_Aᵀ x + noise        x uniform on the unit sphere, θ_a drawn once, of length 1
    digits    r = 1 if A is the digit in the picture, else 0

Source: Li et al. 2010 (contextual bandits with linear rewards); the digits are scikit-learn's (Alpaydin & Kaynak 1998),
as in Dudík, Langford & Li 2011, who make bandits of classification data.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import EnvironmentFault, SpaceError, UsageError

from .pictured import Pictured


class ContextualEnv(Pictured):
    """A bandit whose contexts are vectors.

    Attributes:
        regret: what the actions taken so far, in all episodes, gave up in expectation against the best ones.
    """

    action_space: gym.spaces.Discrete
    noise: float = 0.0

    def __init__(self, render_mode: str | None = None, **size: int | None) -> None:
        super().__init__(render_mode, **size)
        self.context: NDArray[np.float32] | None = None
        self.last_action: int | None = None
        self.regret = 0.0

    @abstractmethod
    def draw(self) -> NDArray[np.float32]:
        """A new context, [D]; `means` is about it from now on."""

    @abstractmethod
    def means(self) -> NDArray[np.float64]:
        """The mean reward of each action in this context, [K]."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Show a context."""
        super().reset(seed=seed)
        self.context, self.last_action = self.draw(), None
        return self.context.copy(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take an action in this context, and show the next.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset.
        """
        if not self.action_space.contains(action):
            raise SpaceError(f"action {action!r} is not in {self.action_space}")
        if self.context is None:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        self.last_action, means = int(action), self.means()
        reward = float(means[self.last_action])
        regret = float(means.max()) - reward
        self.regret += regret
        if self.noise:
            reward += self.noise * self.np_random.standard_normal()
        self.context = self.draw()
        if self.render_mode == "human":
            self.render()
        return self.context.copy(), float(reward), False, False, {"regret": regret}

    def text(self) -> str:
        """The mean rewards in this context."""
        return " ".join(f"{mean:.2f}" for mean in self.means())

    def picture(self) -> Any:
        """The mean rewards as bars, and the last action."""
        from . import drawing as d

        return d.bars(self.means().tolist(), self.last_action, "mean reward of each action in this context")


class LinearBanditEnv(ContextualEnv):
    """A contextual bandit with linear rewards.

    ## Description
    Each step shows a context, a vector of length 1, and each action pays a linear function of it and noise.

    ## Action Space
    ``Discrete(k)``.

    ## Observation Space
    ``Box(-1, 1, (dim,))``: the context.

    ## Rewards
    θ_Aᵀ x plus normal noise of deviation ``noise``. ``info["regret"]`` is what the best action would have paid more.

    ## Starting State
    Any context, uniform on the sphere, as in every step.

    ## Episode End
    Never terminated. Truncated after 100 steps (``max_episode_steps``).

    ## Arguments
    ``k=5``, ``dim=5``, ``noise=0.1``, ``problem_seed=0`` of the vectors θ.

    ## References
    Li, Chu, Langford & Schapire 2010, "A contextual-bandit approach to personalized news article recommendation".

    ## Version History
    * v0: first version.

    ## Example
        >>> env = LinearBanditEnv(dim=3)
        >>> obs, _ = env.reset(seed=0)
        >>> round(float((obs**2).sum()), 4), env.step(0)[2]
        (1.0, False)
    """

    def __init__(
        self, k: int = 5, dim: int = 5, noise: float = 0.1, problem_seed: int = 0, render_mode: str | None = None,
        **size: int | None,
    ) -> None:  # fmt: skip
        super().__init__(render_mode, **size)
        if not 2 <= k <= 10_000 or not 1 <= dim <= 10_000 or not 0 <= noise < np.inf:
            raise UsageError(f"LinearBandit: k={k}, dim={dim}, noise={noise}: k from 2, dim from 1, noise 0 or more")
        drawn = np.random.default_rng(problem_seed).standard_normal((k, dim))
        self.theta = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)  # [K, D]
        self.noise = float(noise)
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (dim,), np.float32)
        self.action_space = gym.spaces.Discrete(k)

    def draw(self) -> NDArray[np.float32]:
        """A vector of length 1."""
        drawn = self.np_random.standard_normal(self.theta.shape[1])
        return np.clip(drawn / np.linalg.norm(drawn), -1.0, 1.0).astype(np.float32)

    def means(self) -> NDArray[np.float64]:
        """θ x."""
        assert self.context is not None
        return self.theta @ self.context.astype(np.float64)


class DigitsBanditEnv(ContextualEnv):
    """Handwritten digits: say which one it is, and be told whether that was right, and no more.

    ## Description
    A picture of 8 by 8 pixels is shown; the action names a digit. A classifier would be told the right one.

    ## Action Space
    ``Discrete(10)``: the digit.

    ## Observation Space
    ``Box(0, 1, (64,))``: the pixels, a row after the other.

    ## Rewards
    1 for the right digit, else 0; ``info["regret"]`` is 1 less the reward.

    ## Starting State
    Any of 1,797 pictures, as in every step.

    ## Episode End
    Never terminated. Truncated after 100 steps (``max_episode_steps``).

    ## Arguments
    None.

    ## References
    Alpaydin & Kaynak 1998, "Optical recognition of handwritten digits", as bundled with scikit-learn.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = DigitsBanditEnv()
        >>> env.reset(seed=0)[0].shape, sorted({env.step(3)[1] for _ in range(50)})
        ((64,), [0.0, 1.0])
    """

    def __init__(self, render_mode: str | None = None, **size: int | None) -> None:
        super().__init__(render_mode, **size)
        from sklearn.datasets import load_digits

        pixels, self.digits = load_digits(return_X_y=True)
        self.pixels = (pixels / 16.0).astype(np.float32)  # [1797, 64]
        self.observation_space = gym.spaces.Box(0.0, 1.0, (64,), np.float32)
        self.action_space = gym.spaces.Discrete(10)
        self._number = self._before = 0

    def draw(self) -> NDArray[np.float32]:
        """One of the pictures."""
        self._before, self._number = self._number, int(self.np_random.integers(len(self.pixels)))
        return self.pixels[self._number]

    def text(self) -> str:
        """The digit in the picture, and what was said of the one before."""
        return f"{self.digits[self._number]}{f' ({self._said()})' if self.last_action is not None else ''}"

    def _said(self) -> str:
        digit = int(self.digits[self._before])
        return f"said {self.last_action}: " + ("right" if self.last_action == digit else f"it was {digit}")

    def picture(self) -> Any:
        """The digit, and the one before with what was said of it."""
        from . import drawing as d

        shown = [(self.pixels[self._number], "which digit is it?", d.INK)]
        if self.last_action is not None:
            right = self.last_action == self.digits[self._before]
            shown.insert(0, (self.pixels[self._before], self._said(), d.GOOD if right else d.BAD))
        return d.images([(image.reshape(8, 8), words, ink) for image, words, ink in shown])

    def means(self) -> NDArray[np.float64]:
        """1 for the digit that is shown."""
        return (np.arange(10) == self.digits[self._number]).astype(np.float64)
