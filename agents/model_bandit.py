"""A contextual bandit with any model: predict the reward of each action, take the best, and sometimes any.

    A = argmax_a f_a(x), with probability ε any        f_a fitted to the steps (x, R) in which a was taken

A regressor predicts the reward. A classifier, where rewards are two numbers, predicts how likely the greater one is.
All models are fitted again every ``train_freq`` steps, and at the end of learn.

Source: Dudík, Langford & Li 2011, section 2 (the direct method); Sutton & Barto 2e, section 2.2 (ε-greedy) and 2.9.

Symbols:
    x  context  float32 or float64 [D]    f_a  fitted  K models    ε  epsilon  float or schedule

Deviations: an action that was never taken, or that paid one reward only, is worth the mean of what it paid.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    ContextualBandit,
    Exploration,
    Range,
    Ranges,
    Regressor,
    StateArrays,
    UsageError,
    copy_into,
    generator,
    numbers_below,
    random,
    scheduled,
    seeded,
    tabulate,
)

Array = NDArray[np.float64]


class ModelBandit(ContextualBandit):
    """An ε-greedy contextual bandit over any classifier or regressor.

    Example:
        >>> agent = ModelBandit("rlplay/LinearBandit-v0", model="ridge", train_freq=200, seed=0).learn(500)
        >>> int(agent.counts[1])  # fits: at 200, at 400 and at the end
        3
    """

    id = "model-bandit"
    model: Annotated[
        Any, Regressor("what predicts rewards: any regressor, or a classifier where rewards are two", classifiers=True)
    ] = "ridge"
    epsilon: Exploration = 0.1
    train_freq: Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)] = 500
    buffer_size: Annotated[int, Range("steps that are remembered", 2, 10_000_000, integer=True)] = 100_000

    def setup(self) -> None:
        """Nothing seen yet."""
        super().setup()
        view = self.encoder.view
        self.obs = np.zeros((self.buffer_size, view.size), view.dtype)
        self.actions, self.rewards = np.zeros(self.buffer_size, np.int64), np.zeros(self.buffer_size)
        self.counts = np.zeros(3, np.int64)  # steps seen, fits, steps at the last fit
        self.sums = np.zeros((2, self.n_actions))  # steps and rewards of each action
        self.fitted: dict[int, Any] = {}
        self.exploration = tabulate(self.epsilon)

    @property
    def _kept(self) -> int:
        return int(min(self.counts[0], self.buffer_size))

    @property
    def lessons(self) -> int:
        """The fits so far."""
        return int(self.counts[1])

    def estimates(self, x: Array) -> Array:
        """The rewards that the models predict, [B, K]."""
        found = np.tile(self.sums[1] / np.maximum(self.sums[0], 1.0), (len(x), 1))
        for a, model in self.fitted.items():
            if hasattr(model, "classes_"):
                likely = model.predict_proba(x) if hasattr(model, "predict_proba") else None
                classes = np.asarray(model.classes_, np.float64)
                found[:, a] = model.predict(x) if likely is None else np.asarray(likely, np.float64) @ classes
            else:
                found[:, a] = np.asarray(model.predict(x), np.float64).ravel()
        return found

    def scores(self, x: Array) -> Array:
        """The estimates; nothing, so that any is taken, with probability ε."""
        if not self.fitted or random(self.rng) < scheduled(self.exploration, self.progress):
            return np.zeros(self.n_actions)
        return self.estimates(x[None])[0]

    def learn_step(self, x: Array, obs: Any, a: int, reward: float) -> float:
        """Remember the step, and fit when it is time."""
        place = int(self.counts[0]) % self.buffer_size
        self.obs[place], self.actions[place], self.rewards[place] = self.encoder.view.vector(obs), a, reward
        self.counts[0] += 1
        self.sums[0, a] += 1.0
        self.sums[1, a] += reward
        if self.counts[0] % self.train_freq == 0:
            self.fit()
        return float("nan")

    def conclude(self) -> None:
        """Learn from what came after the last fit."""
        if self.counts[0] > self.counts[2]:
            self.fit()

    def begin_anew(self) -> None:
        """Fit the models to the features as they are now."""
        if self.counts[0]:
            self.fit()

    def fit(self) -> None:
        """Fit the models to all that is remembered.

        Raises:
            UsageError: a model that cannot be fitted; says why. A classifier for rewards of more than two numbers.
        """
        n, name = self._kept, type(self.model).__name__
        x, actions, rewards = (
            np.asarray(self.encoder.encode_vectors(self.obs[:n]), np.float64), self.actions[:n], self.rewards[:n]
        )  # fmt: skip
        self.counts[1] += 1
        self.counts[2] = self.counts[0]
        rng, classifies = generator(self.seed, f"fit {self.counts[1]}"), _is_classifier(self.model)
        if classifies and len(np.unique(rewards)) > 2:
            raise UsageError(
                f"ModelBandit: {name} is a classifier, and the rewards are {len(np.unique(rewards)):,} different "
                "numbers",
                "Take a regressor, such as ridge or extra-trees",
            )
        self.fitted = {}
        for a in range(self.n_actions):
            chosen = actions == a
            if chosen.sum() < 2 or len(np.unique(rewards[chosen])) < 2:
                continue
            labels = rewards[chosen]
            try:
                whole = labels.astype(np.int64) if classifies and (labels == labels.astype(np.int64)).all() else labels
                self.fitted[a] = seeded(self.model, rng).fit(x[chosen], whole)
            except Exception as error:
                raise UsageError(
                    f"{name} could not be fitted to {chosen.sum():,} steps: {' '.join(str(error).split())[:300]}",
                    "Change its parameters, or raise train_freq",
                ) from error

    # Files.

    def arrays(self) -> StateArrays:
        """What is remembered, the counts, and the random state."""
        n = self._kept
        return {
            "counts": self.counts, "sums": self.sums, "obs": self.obs[:n], "actions": self.actions[:n],
            "rewards": self.rewards[:n], **super().arrays(),
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {"counts": COUNT, "actions": numbers_below(self.n_actions), **super().ranges()}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("counts", arrays, self.counts)  # they say how much there is of the others
        super().load_arrays(arrays)

    def models(self) -> dict[str, Any]:
        """The models of the actions."""
        return super().models() | {f"action/{a}": model for a, model in self.fitted.items()}

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the models of a file."""
        super().restore_models(models)
        self.fitted = {a: models[f"action/{a}"] for a in range(self.n_actions) if f"action/{a}" in models}


def _is_classifier(model: Any) -> bool:
    from sklearn.base import is_classifier

    try:
        return bool(is_classifier(model))
    except (AttributeError, TypeError):  # an estimator that says nothing about itself
        return hasattr(model, "predict_proba")


__all__ = ["ModelBandit"]
