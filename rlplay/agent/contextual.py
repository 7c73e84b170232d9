"""What contextual bandits share: a context is a vector, an action is scored, and what follows is not looked at."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.approximation.encoder import Encoder
from rlplay.compiled.pcg64 import random
from rlplay.hyperparameters.types import FeaturesLike
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.transition import Transition

Array = NDArray[np.float64]


class ContextualBandit(Agent):
    """A contextual bandit for finite actions; it supplies `scores`, `learn` and `estimates`.

    Attributes:
        rng: draws, uint64 [4].

    Example:
        >>> from agents import LinUCB  # a subclass
        >>> agent = LinUCB("rlplay/LinearBandit-v0", seed=0).learn(500)
        >>> agent.probe(np.ones((2, 5), np.float32)).action_values.shape
        (2, 5)
    """

    features: FeaturesLike = None

    # What a bandit supplies.

    @abstractmethod
    def estimates(self, x: Array) -> Array:
        """The mean reward of each action in contexts [B, D], [B, K]."""

    @abstractmethod
    def scores(self, x: Array) -> Array:
        """What it chooses by in a context [D], the greatest first, [K]; it may draw from ``rng``."""

    @abstractmethod
    def learn_step(self, x: Array, obs: Any, a: int, reward: float) -> float:
        """Learn from a step; returns what was not expected."""

    @abstractmethod
    def begin_anew(self) -> None:
        """The features have moved: what was learned of them means nothing."""

    # What it is made of.

    def make_encoder(self) -> Encoder:
        """Vectors, or the features of them."""
        self.number_actions()
        return self.encoder_of("vector")

    def setup(self) -> None:
        """The random state."""
        super().setup()
        assert self.numbering is not None
        self.n_actions, self.rng = self.numbering.n, stream(self.seed, "exploration")

    def why_not_compiled(self) -> str:
        """Products of matrices, and any model, are Python's."""
        return f"{type(self).__name__} learns in Python"

    def _vectors(self, observation: Any) -> Array:
        return np.asarray(self.encoder.encode_batch(observation), np.float64)

    # Acting and learning.

    def act(self, observation: Any) -> Any:
        """The action with the greatest score; among equals any."""
        if not self.encoder.ready:
            return self.random_action(self.encoder.rng)
        assert self.numbering is not None
        scores = self.scores(np.asarray(self.encoder.encode(observation), np.float64))
        if self.mask is not None:
            scores = np.where(self.mask, scores, -np.inf)
        best = np.flatnonzero(scores == scores.max())
        return self.numbering.value(int(best[int(random(self.rng) * len(best))]))

    def update(self, transition: Transition) -> float:
        """Learn from one step; returns what was not expected of its reward."""
        obs, action, reward, next_obs, *_ = transition
        self.num_timesteps += 1
        assert self.numbering is not None
        error = float("nan")
        if self.encoder.ready:
            x = np.asarray(self.encoder.encode(obs), np.float64)
            error = self.learn_step(x, obs, self.numbering.index(action), float(reward))
        if self.encoder.remember(next_obs):
            self.refit()
        return error

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """The features moved: begin anew."""
        self.begin_anew()

    def probe(self, observation: Any) -> Probe:
        """The mean rewards of the actions, and the greatest of them."""
        means = self.estimates(self._vectors(observation))
        return Probe(action_values=means, value=means.max(axis=1))

    def arrays(self) -> StateArrays:
        """The random state, and what the encoder keeps."""
        return {"exploration": self.rng, **self.encoder.arrays()}


__all__ = ["ContextualBandit"]
