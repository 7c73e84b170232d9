"""Feature maps at work: encoders that are fitted on what an agent sees, and again as it goes on.

A refit moves the feature space, so what was learned is carried along: each new cluster takes the values of the nearest
old one, directions keep their signs, distances keep their order.
"""

from __future__ import annotations

import copy
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoder import NEVER, Encoder
from rlplay.approximation.estimators import SampleFunction, final_step, is_fitted, sample_function, seeded
from rlplay.approximation.feature_map import FeatureMap, fits_nothing, is_tree, leaves
from rlplay.errors import CheckpointError, HyperparameterError, UsageError, counted, one_line, require_memory, warn
from rlplay.seeding import generator, stream
from rlplay.spaces.observations import VectorView
from rlplay.storage.ranges import COUNT, Ranges

_LEAST_SCALE = 1e-200  # divided by less, what float32 holds would not be finite

# Places in the counts.
SEEN, VERSION = range(2)


class FeatureEncoder(Encoder):
    """A feature map at work in one agent, with what it has seen; see `new_encoder`.

    Attributes:
        estimator: the model, fitted once `ready`.
        samples: the newest observations, float32 or float64 as in `view`, [sample_size, D], a ring.
        counts: observations seen, and how often the map was fitted; int64 [2].
        shift: subtracted from observations before the model sees them, float64 [D].
        scale: by what they are then divided, float64 [D].
        row: the compiled function of one observation, None where the estimator offers none.
        codes: what was fitted, as that function takes it.
        moved_from: where each centre's nearest lay before the last refit, float64 [K, D]; None before one.
    """

    def __init__(self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int) -> None:
        from sklearn.base import clone

        self.seed, self.encoding, self.online = seed, plan.encoding, plan.online
        self.view = VectorView(space, owner, wide=self.kind != "vector" or not fits_nothing(plan.estimator))
        estimator, fitted = plan.laid_over(space), is_fitted(plan.estimator)
        laid = estimator is not plan.estimator
        known = getattr(estimator, "n_features_in_", self.view.size)
        if fitted and known != self.view.size:
            raise HyperparameterError(
                f"{owner}: features={type(estimator).__name__} was fitted on observations of {known} numbers, and "
                f"these have {self.view.size}",
                "Fit it on this environment, or give it unfitted",
            )
        self.unfitted = clone(estimator)  # what each fit begins with
        self.estimator = copy.deepcopy(estimator) if fitted or laid else self.unfitted
        self.warm_up, self.refit_every = plan.warm_up, None if laid else plan.refit_every
        self.standardize, self.n_states = plan.standardize and not laid, plan.n_states
        self.row: Any = None
        self.codes: tuple[Any, ...] = ()
        require_memory(
            f"{owner}: a sample of {counted(plan.sample_size, 'observation')} of {counted(self.view.size, 'number')}",
            plan.sample_size * self.view.size, "Lower sample_size of the features",
            itemsize=self.view.dtype.itemsize,
        )  # fmt: skip
        self.samples = np.zeros((plan.sample_size, self.view.size), self.view.dtype)
        self.counts, self.rng = np.zeros(2, np.int64), stream(seed, "warm-up")
        self.shift, self.scale = np.zeros(self.view.size), np.ones(self.view.size)
        self._point = np.zeros(self.view.size)
        self.gives_labels = self.kind == "index" or plan.encoding in ("label", "one-hot")
        self.gives_labels = self.gives_labels or not hasattr(estimator, "transform")
        self.size = self.n_features = self._clusters(owner) if self.gives_labels else self._width(owner)
        self._checked = 0  # observations at the last look for a drift
        self.moved_from: NDArray[np.float64] | None = None
        if fitted or laid:
            self.counts[VERSION], self.warm_up = 1, 0

    def _encode_points(self, points: NDArray[np.float64]) -> Any:
        """Standardised observations [B, D], once the map is fitted."""
        raise NotImplementedError

    def _nothing(self, count: int) -> Any:
        """What so many observations are before the first fit."""
        raise NotImplementedError

    def encode_batch(self, observations: Any) -> Any:
        """One observation or a batch of them, always as a batch."""
        return self.encode_vectors(self.view.vectors(observations))

    def encode_vectors(self, vectors: NDArray[Any]) -> Any:
        """Observations that are vectors already, [B, D], as a batch."""
        if not self.ready:
            return self._nothing(len(vectors))
        return self._encode_points((vectors.astype(np.float64) - self.shift) / self.scale)

    def _standardise(self, obs: Any) -> NDArray[np.float64]:
        """One observation, standardised, in the same array each time, [D]."""
        self._point[:] = self.view.vector(obs)
        self._point -= self.shift
        self._point /= self.scale
        return self._point

    # Fitting.

    @property
    def ready(self) -> bool:
        """Whether the map has been fitted."""
        return bool(self.counts[VERSION] > 0)

    @property
    def in_use(self) -> bool:
        """Whether the map was fitted before the last observation."""
        return self.ready and int(self.counts[SEEN]) > self.warm_up

    @property
    def version(self) -> int:
        """How often the map was fitted; features of different versions are not the same."""
        return int(self.counts[VERSION])

    def steps_to_fit(self) -> int:
        """Observations until the next fit; `NEVER` where none will come."""
        if self.ready and self.refit_every is None:
            return NEVER
        return max(self.warm_up + self.version * (self.refit_every or 0) - int(self.counts[SEEN]), 1)

    def remember(self, obs: Any) -> bool:
        """See one observation; returns whether a fit is due."""
        self.remember_vector(self.view.vector(obs))
        return self.due()

    def remember_vector(self, vector: NDArray[Any]) -> None:
        """See one observation that is a vector already, [D]."""
        self.samples[self.counts[SEEN] % len(self.samples)] = vector
        self.counts[SEEN] += 1

    def due(self) -> bool:
        """Whether a fit is due after the observation seen last."""
        if self.ready and self.refit_every is None:
            return False
        return int(self.counts[SEEN]) >= self.warm_up + self.version * (self.refit_every or 0)

    def fit(self) -> NDArray[np.int64] | None:
        """Fit on the newest observations; the nearest old cluster of each new one [K], None after a first fit.

        Where a later fit fails the last good one stays, and that is said.

        Raises:
            UsageError: the first fit failed, or a fit changed the width.
        """
        seen = self.seen().astype(np.float64)
        shift, scale = (seen.mean(axis=0), seen.std(axis=0)) if self.standardize else (self.shift, self.scale)
        scale = np.where(scale > _LEAST_SCALE, scale, 1.0)
        data = (seen - shift) / scale
        online = self.online and self.ready
        old, new = self.estimator, seeded(self.unfitted, generator(self.seed, f"features {self.version}"))
        if online:
            shift, scale = self.shift.copy(), self.scale.copy()
            data, new = ((seen - shift) / scale)[-self._new_samples() :], copy.deepcopy(old)
        try:
            new.partial_fit(data) if online else new.fit(data)
            found = self._count(new, data) if self.gives_labels else self._features(new, data[:2]).shape[1]
        except Exception as error:
            words = f"the features {type(new).__name__} could not be fitted on {counted(len(data), 'observation')}: "
            words += one_line(error)
            if not self.ready:
                raise UsageError(words, "Raise warm_up, or change its parameters") from error
            self.counts[VERSION] += 1  # the next fit comes when it would have come
            warn(f"{words}. The last good ones stay")
            return None
        if (not self.gives_labels and found != self.n_features) or found > self.n_features:
            raise UsageError(
                f"the features {type(new).__name__} changed their width: {self.n_features} were expected and {found} "
                "came",
                "Fix the number of components or clusters",
            )
        nearest = None
        if self.ready and not online:
            before = (seen - self.shift) / self.scale
            if not self.gives_labels:
                _align(old, new)
            else:
                moved = [self._centres(old, before) * self.scale + self.shift, self._centres(new, data) * scale + shift]
                nearest = _nearest_old(*((centres - shift) / scale for centres in moved))
                self.moved_from = moved[0][nearest]
        self.counts[VERSION] += 1
        self.shift[:], self.scale[:] = shift, scale
        self.set_estimator(new)
        return nearest

    def _new_samples(self) -> int:
        """Observations since the last fit, as far as they are kept."""
        return int(min(self.refit_every or len(self.samples), len(self.samples), self.counts[SEEN]))

    def check_drift(self) -> bool:
        """Whether the newest observations lie elsewhere than those that the map was fitted on; said once.

        Elsewhere: the mean of some number is more than three deviations away.
        """
        if not self.ready or self.counts[SEEN] - self._checked < len(self.samples) or not (self.scale != 1.0).any():
            return False
        self._checked = int(self.counts[SEEN])
        away = np.abs(self.seen().mean(axis=0) - self.shift) / self.scale
        if away.max() <= 3.0:
            return False
        self._checked = NEVER
        warn(
            f"the observations have moved: number {int(away.argmax())} is {away.max():.1f} deviations from where the "
            f"features {type(self.estimator).__name__} were fitted. Take refit_every, or a longer warm_up; said once"
        )
        return True

    # The estimator.

    def set_estimator(self, estimator: Any) -> None:
        """Take a fitted estimator."""
        self.estimator = estimator
        self.row, self.codes = self._compiled_row(estimator) or (None, ())

    def _compiled_row(self, estimator: Any) -> SampleFunction | None:
        """The compiled function of one observation, or None."""
        raise NotImplementedError

    def _labels_row(self, estimator: Any) -> SampleFunction | None:
        return sample_function(estimator, "apply" if is_tree(estimator) else "predict")

    @property
    def why_not_compiled(self) -> str:
        """Why it cannot stand in the native loop: its estimator offers no compiled function."""
        compiles = self.row is not None if self.ready else hasattr(self.estimator, "sample_function")
        return "" if compiles else f"{type(self.estimator).__name__} has no compiled sample function"

    def _label(self, estimator: Any, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """The numbers of the clusters, leaves or cells of points [B, D]."""
        return np.asarray(estimator.apply(x) if is_tree(estimator) else estimator.predict(x), np.int64).reshape(len(x))

    def _features(self, estimator: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features of points [B, D], by the encoding."""
        if self.gives_labels:
            return np.eye(self.size)[self._label(estimator, x)]
        found = estimator.transform(x)
        found = np.asarray(found.toarray() if hasattr(found, "toarray") else found)
        return np.maximum(0.0, found.mean(axis=1, keepdims=True) - found) if self.encoding == "triangle" else found

    def _count(self, estimator: Any, x: NDArray[np.float64]) -> int:
        """How many labels a fit has, at least."""
        labels = self._label(estimator, x)
        return int(labels.max()) + 1 if labels.min() >= 0 else self.size + 1

    def _centres(self, model: Any, data: NDArray[np.float64]) -> NDArray[np.float64]:
        """The centres of a clusterer in the space of its data, [K, D]: its own, or the means of its clusters."""
        last = final_step(model)
        if last is model and hasattr(last, "cluster_centers_"):
            return np.asarray(last.cluster_centers_, np.float64)
        labels = self._label(model, data)
        means = np.full((self.n_features, data.shape[1]), np.nan)
        for label in np.unique(labels):
            means[label] = data[labels == label].mean(axis=0)
        return means

    def _clusters(self, owner: str) -> int:
        """How many clusters a clusterer has, leaves a tree, or cells a grid."""
        last, name = final_step(self.estimator), type(self.estimator).__name__
        if is_tree(last):
            if self.n_states is None:
                raise HyperparameterError(
                    f"{owner}: the leaves of {type(last).__name__} can number states once it is fitted",
                    "Fit it first, say to what random play returned: tree.fit(*rlplay.random_play(env, 10_000))",
                )
            return self.n_states
        if not hasattr(self.estimator, "predict"):
            raise HyperparameterError(
                f"{owner} keeps a table and features={name} has no predict to number its states",
                "Take tile-coding:1, whose cells number states as bins do, or a clusterer: k-means:64, sklearn's "
                "MiniBatchKMeans or GaussianMixture, or a pipeline with one",
            )
        if hasattr(last, "n_cells"):
            return int(last.n_cells(self.view.size))
        kind = _answers(self.estimator)
        if kind and not hasattr(last, "n_clusters"):
            raise HyperparameterError(
                f"features={name} is a {kind}: it gives neither clusters nor features",
                "Give it as model= to an agent that learns by it, or take a tree, whose leaves number states",
            )
        for attribute in ("n_clusters", "n_components", "n_clusters_"):
            count = getattr(last, attribute, None)
            if isinstance(count, int | np.integer) and count >= 1:
                return int(count)
        raise HyperparameterError(
            f"{owner} cannot tell how many clusters features={name} has",
            "Take a clusterer with n_clusters (or n_components), such as KMeans(64)",
        )

    def _width(self, owner: str) -> int:
        """How many features a transformer gives: asked of the fitted one, or tried on made-up numbers."""
        from sklearn.base import clone

        tried, points = self.estimator, np.random.default_rng(0).standard_normal((500, self.view.size))
        try:
            if not is_fitted(tried):
                tried = clone(tried).fit(points)
            return int(self._features(tried, points[:2]).shape[1])
        except Exception as error:
            raise HyperparameterError(
                f"{owner}: features={type(self.estimator).__name__} cannot work on observations of {self.view.size} "
                f"numbers: {one_line(error)}",
                "Change its parameters",
            ) from error

    # Files.

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file keeps beside the estimator."""
        return {
            "features/samples": self.samples,
            "features/counts": self.counts,
            "features/rng": self.rng,
            "features/shift": self.shift,
            "features/scale": self.scale,
        }

    def ranges(self) -> Ranges:
        """What whole numbers those arrays hold."""
        return {"features/counts": COUNT}

    def check(self) -> None:
        """Refuse an estimator, read from a file, that is not fitted or does not fit these observations.

        Raises:
            CheckpointError: says what does not fit.
        """
        if not self.ready:
            return
        name = type(self.estimator).__name__
        if not (self.scale > _LEAST_SCALE).all():
            raise CheckpointError(
                f"features/scale holds {self.scale.min()}, which is not above {_LEAST_SCALE}: refused"
            )
        if not is_fitted(self.estimator):
            raise CheckpointError(f"the file counts {self.version} fits of the features {name} and holds none: refused")
        known = getattr(self.estimator, "n_features_in_", self.view.size)
        if known != self.view.size:
            raise CheckpointError(
                f"the features {name} in the file are of {known} numbers, and observations have {self.view.size}: "
                "refused"
            )
        found = self.size if self.gives_labels else -1
        try:
            points = np.stack([np.zeros(self.view.size), np.ones(self.view.size)])
            found = self._most_labels() if self.gives_labels else self._features(self.estimator, points).shape[1]
        except Exception as error:
            raise CheckpointError(f"the features {name} in the file do not work: {one_line(error)}") from error
        if found > self.n_features or (not self.gives_labels and found != self.n_features):
            raise CheckpointError(
                f"the features {name} in the file give {found}, and the agent has {self.n_features}: refused"
            )

    def _most_labels(self) -> int:
        """How many labels the fitted estimator can give: its centres, nodes or cells."""
        last = final_step(self.estimator)
        points = np.stack([np.zeros(self.view.size), np.ones(self.view.size)])
        shown = self._count(self.estimator, points)
        if hasattr(last, "n_cells"):
            return max(shown, int(last.n_cells(self.view.size)))
        centres = getattr(last, "cluster_centers_", None)
        return max(shown, leaves(last) if is_tree(last) else 0) if centres is None else max(shown, len(centres))

    def models(self) -> dict[str, Any]:
        """The fitted estimator."""
        return {"features": self.estimator} if self.ready else {}

    def restore(self, models: dict[str, Any]) -> None:
        """Take the fitted estimator of a file."""
        if "features" in models:
            self.set_estimator(models["features"])

    # Pictures.

    def seen(self) -> NDArray[Any]:
        """The newest observations, [N, D]."""
        return self.samples[: int(min(self.counts[SEEN], len(self.samples)))]

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Where clusters lie and where they lay before the last fit, as observations [K, D]; None without centres."""
        last = final_step(self.estimator)
        if not self.ready or last is not self.estimator or not hasattr(last, "cluster_centers_"):
            return None
        now = np.asarray(last.cluster_centers_, np.float64) * self.scale + self.shift
        return now, now if self.moved_from is None else self.moved_from

    def state_partition(self, observations: Any) -> tuple[NDArray[np.int64], str]:
        """The clusters, leaves, or the tiles of the first of several grids; a number each [B], and what they are."""
        if not self.ready or not any(hasattr(self.estimator, name) for name in ("predict", "apply")):
            return super().state_partition(observations)
        last = final_step(self.estimator)
        words = "leaves" if hasattr(last, "apply") else "tiles" if hasattr(last, "n_tilings") else "clusters"
        points = (self.view.vectors(observations).astype(np.float64) - self.shift) / self.scale
        if self.kind != "index" and hasattr(last, "n_tilings"):
            numbers = np.asarray(last.active(points)[:, 0], np.int64)
        else:
            numbers = self._label(self.estimator, points)
        return numbers, f"{words} of {type(last).__name__}"


def _answers(estimator: Any) -> str:
    """``regressor`` or ``classifier`` where an estimator says that it is one, by scikit-learn's tags."""
    from sklearn.utils import get_tags

    kind = get_tags(estimator).estimator_type if hasattr(estimator, "__sklearn_tags__") else None
    return str(kind) if kind in ("regressor", "classifier") else ""


def _nearest_old(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each new centre [K, D] the nearest old one [K, D], int64 [K]."""
    distances = ((new[:, None] - old) ** 2).sum(axis=2)  # [K new, K old]
    return np.where(np.isnan(distances), np.inf, distances).argmin(axis=1)


def _align(old: Any, new: Any) -> None:
    """Turn the signs, or the order, of a new fit towards the old one, so that learned weights keep their meaning."""
    before, after = final_step(old), final_step(new)
    if hasattr(after, "components_") and np.shape(before.components_) == np.shape(after.components_):
        signs = np.sign((before.components_ * after.components_).sum(axis=1))
        after.components_ = after.components_ * np.where(signs == 0, 1.0, signs)[:, None]
    elif hasattr(after, "cluster_centers_") and np.shape(before.cluster_centers_) == np.shape(after.cluster_centers_):
        from scipy.optimize import linear_sum_assignment

        distances = ((before.cluster_centers_[:, None] - after.cluster_centers_) ** 2).sum(axis=2)
        after.cluster_centers_ = after.cluster_centers_[linear_sum_assignment(distances)[1]]
