"""Feature maps: an unsupervised model between the observation and the agent, fitted on what the agent has seen.

A map warms up (random play is only watched), is fitted, and then stays as it is, or is fitted again every so many
steps on the newest observations. A refit moves the feature space, so what was learned is carried along: each new
cluster takes the values of the nearest old one, directions keep their signs, distances keep their order.

Any transformer or clusterer with scikit-learn's API will do, ours, scikit-learn's or your own. One that is fitted
already is taken as it is and never warmed up.
"""

from __future__ import annotations

import copy
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.errors import HyperparameterError, UsageError
from rlplay.estimators import RowFunction, describe, final_step, is_fitted, row_function, seeded
from rlplay.observations import VectorView
from rlplay.seeding import generator, stream

Kind = Literal["index", "vector"]

# Places in the counts of a bound map.
SEEN, VERSION = range(2)


class FeatureMap:
    """A transformer or clusterer with a schedule.

    Args:
        estimator: any object with ``fit`` and ``transform`` or ``predict``; cloned, unless it is fitted.
        warm_up: observations to see before the first fit; they count as timesteps.
        refit_every: timesteps between later fits; None to stay as it is.
        sample_size: the newest observations that a fit sees.
        standardize: whether each number is shifted and scaled to mean 0 and deviation 1 first, since distances mean
            nothing between metres and radians; a fitted estimator is given what the environment gives.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        warm_up: int = 2000,
        refit_every: int | None = None,
        sample_size: int = 10_000,
        standardize: bool = True,
    ) -> None:
        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise HyperparameterError(
                f"features={estimator!r} is no estimator: it has no fit",
                "Give an instance such as KMeans(64), sklearn.decomposition.PCA(4), or a pipeline",
            )
        if not (hasattr(estimator, "transform") or hasattr(estimator, "predict")):
            raise HyperparameterError(
                f"features={_name(estimator)} has neither transform nor predict",
                "Give a transformer (PCA, StandardScaler) or a clusterer (KMeans, GaussianMixture)",
            )
        for name, value, least in (
            ("warm_up", warm_up, 2),
            ("sample_size", sample_size, 2),
            ("refit_every", refit_every, 1),
        ):
            if value is not None and not (isinstance(value, int | np.integer) and value >= least):
                raise HyperparameterError(f"features: {name}={value!r} is not a whole number of {least} or more")
        self.estimator = estimator
        self.warm_up, self.sample_size = int(warm_up), int(sample_size)
        self.refit_every = None if refit_every is None else int(refit_every)
        self.standardize = bool(standardize)

    def describe(self) -> dict[str, Any]:
        """The map as JSON values, unfitted."""
        options = {
            "warm_up": self.warm_up,
            "refit_every": self.refit_every,
            "sample_size": self.sample_size,
            "standardize": self.standardize,
        }
        return {**describe(self.estimator), **options}

    def __repr__(self) -> str:
        refit = f", refit_every={self.refit_every}" if self.refit_every else ""
        return f"FeatureMap({self.estimator!r}, warm_up={self.warm_up}{refit})"

    def bound(self, space: gym.Space[Any], owner: str, seed: int, kind: Kind) -> BoundFeatures:
        """The map of one agent: see `BoundFeatures`."""
        return BoundFeatures(self, space, owner, seed, kind)


class BoundFeatures:
    """A feature map at work in one agent, with what it has seen.

    Args:
        plan: estimator and schedule; the estimator is cloned, or copied where it is fitted.
        space: the observations.
        owner: who asks, for errors.
        seed: the run's seed; the estimator draws from streams of its own where it draws at all.
        kind: ``index`` numbers states by clusters, ``vector`` gives a vector of features.

    Attributes:
        estimator: the model, fitted once `ready`.
        size: how many clusters, or how many features.
        samples: the newest observations, float32 [sample_size, D], a ring.
        counts: observations seen, and how often the map was fitted; int64 [2].
        shift: subtracted from observations before the model sees them, float64 [D].
        scale: by what they are then divided, float64 [D].

    Raises:
        HyperparameterError: the estimator cannot give what the agent needs.
        SpaceError: the observations are no vector.
    """

    def __init__(self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int, kind: Kind) -> None:
        from sklearn.base import clone

        fitted = is_fitted(plan.estimator)
        self.kind: Kind = kind
        self.seed, self.view = seed, VectorView(space, owner)
        self.unfitted = clone(plan.estimator)  # what each fit begins with
        self.estimator = copy.deepcopy(plan.estimator) if fitted else self.unfitted
        self.warm_up, self.refit_every, self.standardize = plan.warm_up, plan.refit_every, plan.standardize
        self.row: Any = None
        self.codes: tuple[Any, ...] = ()
        self.samples = np.zeros((plan.sample_size, self.view.size), np.float32)
        self.counts, self.rng = np.zeros(2, np.int64), stream(seed, "warm-up")
        self.shift, self.scale = np.zeros(self.view.size), np.ones(self.view.size)
        self._point = np.zeros(self.view.size)
        self.size = self._clusters(owner) if kind == "index" else self._width(owner)
        if fitted:
            self.counts[VERSION], self.warm_up = 1, 0
            self.adopt(self.estimator)

    @property
    def ready(self) -> bool:
        """Whether the map has been fitted."""
        return bool(self.counts[VERSION] > 0)

    @property
    def compiles(self) -> bool:
        """Whether the map can stand in the native loop: whether its estimator offers a row function."""
        return self.row is not None if self.ready else hasattr(self.estimator, "row_function")

    @property
    def version(self) -> int:
        """How often the map was fitted; features of different versions are not the same."""
        return int(self.counts[VERSION])

    def steps_to_fit(self) -> int:
        """Observations until the next fit; a large number where none will come."""
        if self.ready and self.refit_every is None:
            return 2**62
        return max(self.warm_up + self.version * (self.refit_every or 0) - int(self.counts[SEEN]), 1)

    def remember(self, obs: Any) -> bool:
        """See one observation; returns whether a fit is due."""
        self.remember_row(self.view.row(obs))
        return self.due()

    def remember_row(self, row: NDArray[np.float32]) -> None:
        """See one observation that is a vector already, [D]."""
        self.samples[self.counts[SEEN] % len(self.samples)] = row
        self.counts[SEEN] += 1

    def due(self) -> bool:
        """Whether a fit is due after the observation seen last."""
        if self.ready and self.refit_every is None:
            return False
        return int(self.counts[SEEN]) >= self.warm_up + self.version * (self.refit_every or 0)

    def fit(self) -> NDArray[np.int64] | None:
        """Fit on the newest observations; the nearest old cluster of each new one [K], None after a first fit.

        Raises:
            UsageError: the estimator failed, or changed its width.
        """
        seen = self.seen().astype(np.float64)
        shift, scale = (seen.mean(axis=0), seen.std(axis=0)) if self.standardize else (self.shift, self.scale)
        scale = np.where(scale > 0, scale, 1.0)
        data = (seen - shift) / scale
        old, new = self.estimator, seeded(self.unfitted, generator(self.seed, f"features {self.version}"))
        try:
            new.fit(data)
            found = len(np.unique(new.predict(data))) if self.kind == "index" else self._rows(new, data[:2]).shape[1]
        except Exception as error:
            raise UsageError(
                f"the features {_name(new)} could not be fitted on {len(data):,} observations: {_line(error)}",
                "Raise warm_up, or change its parameters",
            ) from error
        if (self.kind == "vector" and found != self.size) or found > self.size:
            raise UsageError(
                f"the features {_name(new)} changed their width: {self.size} were expected and {found} came",
                "Fix the number of components or clusters",
            )
        carried = None
        if self.ready:
            before = (seen - self.shift) / self.scale
            if self.kind == "vector":
                _align(old, new)
            else:
                moved = [_centres(old, before) * self.scale + self.shift, _centres(new, data) * scale + shift]
                carried = _nearest_old(*((centres - shift) / scale for centres in moved))
        self.counts[VERSION] += 1
        self.shift[:], self.scale[:] = shift, scale
        self.adopt(new)
        return carried

    def adopt(self, estimator: Any) -> None:
        """Take a fitted estimator."""
        self.estimator = estimator
        found: RowFunction | None = row_function(estimator, self._method)
        self.row, self.codes = (None, ()) if found is None else found

    def index(self, obs: Any) -> int:
        """The number of the cluster of one observation."""
        if not self.ready:
            return 0
        self._look(obs)
        if self.row is not None:
            return int(self.row(self.codes, self._point))
        return int(self.estimator.predict(self._point[None])[0])

    def vector(self, obs: Any) -> NDArray[np.float32]:
        """The features of one observation, float32 [F]; zeros before the first fit."""
        out = np.zeros(self.size, np.float32)
        if self.ready:
            self._look(obs)
            if self.row is not None:
                self.row(self.codes, self._point, out)
            else:
                out[:] = self._rows(self.estimator, self._point[None])[0]
        return out

    def plain_row(self, codes: Any, point: NDArray[np.float64], out: NDArray[np.float32]) -> None:
        """What a row function does, for estimators that offer none: a standardised point [D] into ``out`` [F]."""
        out[:] = self._rows(self.estimator, point[None])[0]

    def indices(self, batch: Any) -> NDArray[np.int64]:
        """The clusters of a batch of observations, int64 [B]."""
        x = (self.view.rows(batch).astype(np.float64) - self.shift) / self.scale
        return np.asarray(self.estimator.predict(x) if self.ready else np.zeros(len(x)), np.int64)

    def vectors(self, batch: Any) -> NDArray[np.float32]:
        """The features of a batch of observations, float32 [B, F]."""
        return self.transformed(self.view.rows(batch))

    def transformed(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """The features of observations that are vectors already [B, D], float32 [B, F]; zeros before the first fit."""
        if not self.ready:
            return np.zeros((len(rows), self.size), np.float32)
        x = (rows.astype(np.float64) - self.shift) / self.scale
        return np.asarray(self._rows(self.estimator, x), np.float32)

    def seen(self) -> NDArray[np.float32]:
        """The newest observations, float32 [N, D]."""
        return self.samples[: int(min(self.counts[SEEN], len(self.samples)))]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file keeps beside the estimator."""
        return {
            "features/samples": self.samples,
            "features/counts": self.counts,
            "features/rng": self.rng,
            "features/shift": self.shift,
            "features/scale": self.scale,
        }

    def _look(self, obs: Any) -> None:
        """One observation into the room for it, standardised."""
        self._point[:] = self.view.row(obs)
        self._point -= self.shift
        self._point /= self.scale

    @property
    def _method(self) -> str:
        return "predict" if self.kind == "index" or not hasattr(self.estimator, "transform") else "transform"

    def _rows(self, estimator: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features of rows [B, D]: what it transforms them to, or its labels as one-hot vectors."""
        if hasattr(estimator, "transform"):
            rows = estimator.transform(x)
            return np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
        return np.eye(self._clusters("features"))[np.asarray(estimator.predict(x), np.int64)]

    def _clusters(self, owner: str) -> int:
        """How many clusters a clusterer has."""
        last = final_step(self.estimator)
        if not hasattr(self.estimator, "predict"):
            raise HyperparameterError(
                f"{owner} keeps a table and features={_name(self.estimator)} has no predict to number its states",
                "Take a clusterer: KMeans(64), sklearn's MiniBatchKMeans or GaussianMixture, or a pipeline with one",
            )
        for name in ("n_clusters", "n_components"):
            count = getattr(last, name, None)
            if isinstance(count, int | np.integer) and count >= 1:
                return int(count)
        raise HyperparameterError(
            f"{owner} cannot tell how many clusters features={_name(self.estimator)} has",
            "Take a clusterer with n_clusters (or n_components), such as KMeans(64)",
        )

    def _width(self, owner: str) -> int:
        """How many features a transformer gives: asked of the fitted one, or tried on made-up numbers."""
        from sklearn.base import clone

        tried, rows = self.estimator, np.random.default_rng(0).standard_normal((500, self.view.size))
        try:
            if not is_fitted(tried):
                tried = clone(tried).fit(rows)
            return int(self._rows(tried, rows[:2]).shape[1])
        except Exception as error:
            raise HyperparameterError(
                f"{owner}: features={_name(self.estimator)} cannot work on observations of {self.view.size} numbers: "
                f"{_line(error)}",
                "Change its parameters",
            ) from error


def as_feature_map(value: Any) -> FeatureMap | None:
    """A feature map from what a user gives: a map, an estimator, text (``k-means:64,refit_every=10000``) or JSON.

    Raises:
        HyperparameterError: nothing that can be taken for one.
        UnknownNameError: text that names no known model.
    """
    from rlplay.estimators import build, parse

    if value is None or isinstance(value, FeatureMap):
        return value
    options: dict[str, Any] = {}
    if isinstance(value, str):
        value, options = parse(value, ("warm_up", "refit_every", "sample_size", "standardize"))
    elif isinstance(value, dict) and "model" in value:
        options = {k: v for k, v in value.items() if k not in ("model", "params")}
        value = build({k: v for k, v in value.items() if k in ("model", "params")})
    try:
        return FeatureMap(value, **options)
    except TypeError as error:
        raise HyperparameterError(f"features: {_line(error)}") from error


def _nearest_old(old: NDArray[np.float64], new: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each new centre [K, D] the nearest old one [K, D], int64 [K]."""
    distances = ((new[:, None] - old) ** 2).sum(axis=2)  # [K new, K old]
    return np.where(np.isnan(distances), np.inf, distances).argmin(axis=1)


def _centres(model: Any, data: NDArray[np.float64]) -> NDArray[np.float64]:
    """The centres of a clusterer in the space of its data, [K, D]: its own, or the means of what it puts together."""
    last = final_step(model)
    if last is model and hasattr(last, "cluster_centers_"):
        return np.asarray(last.cluster_centers_, np.float64)
    labels, count = model.predict(data), getattr(last, "n_clusters", None) or last.n_components
    means = np.full((count, data.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = data[labels == label].mean(axis=0)
    return means


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


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
