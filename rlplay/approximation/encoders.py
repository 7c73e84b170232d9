"""The encoder of an agent: fixed, or fitted on what it sees; by number, as a vector, or by active features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoder import ActiveStates, Encoder, Kind, ObservationVectors, StateNumbers
from rlplay.approximation.encodings import Active, active_label, active_vector, one_hot, over_points, triangle
from rlplay.approximation.estimators import SampleFunction, sample_function
from rlplay.approximation.feature_encoder import FeatureEncoder
from rlplay.approximation.feature_map import FeatureMap
from rlplay.errors import SpaceError, counted
from rlplay.spaces.finite import is_finite
from rlplay.spaces.observations import VectorView

_MOST_TILED = 5  # numbers of an observation up to which its tiles are less than a million


def new_encoder(
    kind: Kind,
    space: gym.Space[Any],
    plan: FeatureMap | None,
    owner: str,
    seed: int,
    *,
    intercept: bool = False,
    wide: bool = False,
) -> Encoder:
    """The encoder of one agent.

    Args:
        kind: what the agent takes: ``index``, ``vector`` or ``active``.
        space: the observations.
        plan: a feature map between observations and agent; its estimator is cloned, or copied where it is fitted.
            None: observations as they are; as active features tiles over vectors, a feature a state of finite ones.
        owner: who asks, for errors.
        seed: the run's seed; an estimator draws from streams of its own where it draws at all.
        intercept: of active features of a map: whether there is one more that is always 1.
        wide: of vectors without a map: float64 where float32 does not hold the observations; see `VectorView`.

    Raises:
        HyperparameterError: the estimator cannot give what the agent needs.
        SpaceError: the observations are not what the agent takes; says what fits.

    Example:
        >>> new_encoder("active", gym.spaces.Box(-1, 1, (2,)), None, "LinearSarsa", 0).size
        648
    """
    if plan is None and kind == "active" and not is_finite(space):
        from rlplay.models.unsupervised.bases import TileCoding  # scikit-learn is loaded only where it is used

        plan, numbers = FeatureMap(TileCoding()), VectorView(space, owner).size
        if numbers > _MOST_TILED:
            raise SpaceError(
                f"{owner} lays tiles over observations, and {space} has {numbers:,} numbers, too many for a grid",
                "Give features=, such as pca:4 or k-means:64, or take an agent with networks, such as PPO",
            )
    if plan is None and kind == "vector":
        return ObservationVectors(space, owner, wide=wide)
    if plan is None:
        fixed: dict[Kind, Callable[[gym.Space[Any], str], Encoder]] = {
            "index": StateNumbers, "active": ActiveStates,
        }  # fmt: skip
        return fixed[kind](space, owner)
    if kind == "active":
        return ActiveFeatures(plan, space, owner, seed, intercept=intercept)
    return {"index": IndexFeatures, "vector": VectorFeatures}[kind](plan, space, owner, seed)


class IndexFeatures(FeatureEncoder):
    """States are numbered by the clusters, leaves or cells of a model."""

    kind: Kind = "index"

    def __init__(self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int) -> None:
        super().__init__(plan, space, owner, seed)
        if self.ready:
            self.set_estimator(self.estimator)

    def encode(self, obs: Any) -> int:
        """The number of an observation's cluster; 0 before the first fit."""
        if not self.ready:
            return 0
        point = self._standardise(obs)
        if self.row is not None:
            return int(self.row(self.codes, point))
        return int(self._label(self.estimator, point[None])[0])

    def _encode_points(self, points: NDArray[np.float64]) -> NDArray[np.int64]:
        return self._label(self.estimator, points)

    def _nothing(self, count: int) -> NDArray[np.int64]:
        return np.zeros(count, np.int64)

    def _compiled_row(self, estimator: Any) -> SampleFunction | None:
        return self._labels_row(estimator)

    def describe(self, obs: Any) -> str:
        """The state's number."""
        return f"state {self.encode(obs)} of {self.size}" if self.ready else ""

    def similarity(self, observations: Any, obs: Any) -> NDArray[np.float64] | None:
        """1 for observations of the same cluster, 0 for others."""
        return (self.encode_batch(observations) == self.encode(obs)).astype(np.float64) if self.ready else None


class VectorFeatures(FeatureEncoder):
    """A model's features as a vector, float32 [F].

    Example:
        >>> from rlplay.models.unsupervised import PCA
        >>> encoder = VectorFeatures(FeatureMap(PCA(1), warm_up=3), gym.spaces.Box(-9, 9, (2,)), "PPO", 0)
        >>> [encoder.remember(np.array([x, 2 * x], np.float32)) for x in (1, 2, 3)]
        [False, False, True]
        >>> encoder.fit()
        >>> encoder.encode(np.array([2, 4], np.float32)).round(6)
        array([0.], dtype=float32)
    """

    kind: Kind = "vector"

    def __init__(self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int) -> None:
        super().__init__(plan, space, owner, seed)
        if self.ready:
            self.set_estimator(self.estimator)

    def encode(self, obs: Any) -> NDArray[np.float32]:
        """The features of an observation, [F]; zeros before the first fit."""
        out = np.zeros(self.size, np.float32)
        if self.ready:
            self.fill(self.codes, self._standardise(obs), out)
        return out

    @property
    def fill(self) -> Any:
        """``fill(codes, point [D], out [F])``: compiled, or Python for estimators that offer nothing compiled."""
        return self.row if self.row is not None else self._plain_row

    def _plain_row(self, codes: Any, point: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        out[:] = self._features(self.estimator, point[None])[0]

    def _encode_points(self, points: NDArray[np.float64]) -> NDArray[np.float32]:
        return np.asarray(self._features(self.estimator, points), np.float32)

    def _nothing(self, count: int) -> NDArray[np.float32]:
        return np.zeros((count, self.size), np.float32)

    def _compiled_row(self, estimator: Any) -> SampleFunction | None:
        if self.gives_labels:
            found = self._labels_row(estimator)
            return None if found is None else SampleFunction(one_hot(found.function), found.codes)
        found = sample_function(estimator, "transform")
        if found is not None and self.encoding == "triangle":
            found = SampleFunction(triangle(found.function), found.codes)
        return found

    def describe(self, obs: Any) -> str:
        """The first and last features."""
        if not self.ready:
            return ""
        return "features " + np.array2string(
            self.encode(obs), precision=2, separator=" ", threshold=6, suppress_small=True
        )

    def similarity(self, observations: Any, obs: Any) -> NDArray[np.float64] | None:
        """x(s) · x(s') / x(s) · x(s)."""
        if not self.ready:
            return None
        here, there = self.encode_batch(obs).astype(np.float64)[0], self.encode_batch(observations)
        return there @ here / max(float(here @ here), 1e-12)


class ActiveFeatures(FeatureEncoder):
    """A model's features that are not 0, by number and strength.

    Args:
        plan: estimator and schedule.
        space: the observations.
        owner: who asks, for errors.
        seed: the run's seed.
        intercept: whether there is one more feature that is always 1.
    """

    kind: Kind = "active"

    def __init__(
        self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int, *, intercept: bool = False
    ) -> None:
        super().__init__(plan, space, owner, seed)
        self.intercept = int(intercept)
        self.size = self.n_features + self.intercept
        tilings = int(getattr(self.estimator, "n_tilings", 0))
        self.width = self.intercept + (1 if self.gives_labels else tilings or self.n_features)
        if self.ready:
            self.set_estimator(self.estimator)

    def new_active(self) -> Active:
        """An `Active` of the right size; those features that are always the same are there."""
        found = Active(np.arange(self.width), np.zeros(self.width))
        if self.intercept:
            found.number[-1], found.value[-1] = self.size - 1, 1.0
        return found

    def encode(self, obs: Any) -> Active:
        """The active features of an observation, [T]; all 0 before the first fit."""
        found = self.new_active()
        if self.ready:
            point = self._standardise(obs)
            if self.row is not None:
                self.row(self.codes, point, found.number, found.value)
            else:
                self._fill(point[None], found.number[None], found.value[None])
        return found

    def _encode_points(self, points: NDArray[np.float64]) -> Active:
        found = self._nothing(len(points))
        if self.row is not None:
            over_points(self.row)(self.codes, points, found.number, found.value)
        else:
            self._fill(points, found.number, found.value)
        return found

    def _nothing(self, count: int) -> Active:
        one = self.new_active()
        return Active(np.tile(one.number, (count, 1)), np.tile(one.value, (count, 1)))

    def _fill(self, points: NDArray[np.float64], number: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """What a compiled function does, for estimators that offer none; points [B, D]."""
        if self.gives_labels:
            number[:, 0], value[:, 0] = self._label(self.estimator, points), 1.0
        else:
            value[:, : self.width - self.intercept] = self._features(self.estimator, points)

    def _compiled_row(self, estimator: Any) -> SampleFunction | None:
        if self.gives_labels:
            found = self._labels_row(estimator)
            return None if found is None else SampleFunction(active_label(found.function), found.codes)
        if hasattr(estimator, "n_tilings") and self.encoding != "triangle":
            return sample_function(estimator, "active")
        found = sample_function(estimator, "transform")
        if found is not None and self.encoding == "triangle":
            found = SampleFunction(triangle(found.function), found.codes)
        return None if found is None else SampleFunction(active_vector(found.function, self.intercept), found.codes)

    def describe(self, obs: Any) -> str:
        """How many features are active, and which where they are few."""
        if not self.ready:
            return ""
        number = self.encode(obs).number
        few = f": {', '.join(map(str, number))}" if len(number) <= 16 else ""
        return f"{len(number)} of {counted(self.size, 'feature')}{few}"

    def similarity(self, observations: Any, obs: Any) -> NDArray[np.float64] | None:
        """x(s) · x(s') / x(s) · x(s)."""
        if not self.ready:
            return None
        here, (number, value) = np.zeros(self.size), self.encode_batch(observations)
        one = self.encode(obs)
        np.add.at(here, one.number, one.value)
        return (here[number] * value).sum(axis=1) / max(float(here @ here), 1e-12)
