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

from rlplay.approximation.encodings import (
    ENCODINGS,
    Active,
    active_label,
    active_vector,
    one_hot,
    over_points,
    triangle,
)
from rlplay.approximation.estimators import RowFunction, describe, final_step, is_fitted, row_function, seeded
from rlplay.errors import HyperparameterError, UsageError, warn
from rlplay.seeding import generator, stream
from rlplay.spaces.observations import VectorView

Kind = Literal["index", "vector", "active"]

# What text may say of a map beside its estimator's parameters.
OPTIONS = ("warm_up", "refit_every", "sample_size", "standardize", "encoding", "online")

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
        encoding: what a clusterer hands on: its label, one-hot, the distances to its centres, or their triangle
            (`rlplay.approximation.encodings`); ``"auto"`` is what ``transform`` gives, one-hot where there is none, and the label for
            agents with tables.
        n_states: how many leaves a tree has; found out from a fitted one, and kept for its file.
        online: whether later fits go on from the one before by ``partial_fit``, so that nothing moves far.

    A basis (TileCoding, FourierBasis, RBFGrid) with ``bounds``, or without over an observation space that has bounds,
    is laid over them as they are and is ready at once; so is what has nothing to fit (``"identity"``: observations as
    they are).
    """

    def __init__(
        self,
        estimator: Any,
        *,
        warm_up: int = 2000,
        refit_every: int | None = None,
        sample_size: int = 10_000,
        standardize: bool = True,
        encoding: str = "auto",
        online: bool = False,
        n_states: int | None = None,
    ) -> None:
        if isinstance(estimator, type) or not hasattr(estimator, "fit"):
            raise HyperparameterError(
                f"features={estimator!r} is no estimator: it has no fit",
                "Give an instance such as KMeans(64), sklearn.decomposition.PCA(4), or a pipeline",
            )
        if not any(hasattr(estimator, name) for name in ("transform", "predict", "apply")):
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
        if encoding not in ENCODINGS:
            raise HyperparameterError(f"features: encoding={encoding!r} is not one of {', '.join(ENCODINGS)}")
        if online and not hasattr(final_step(estimator), "partial_fit"):
            raise HyperparameterError(
                f"features: {_name(estimator)} has no partial_fit and cannot learn online",
                "Take MiniBatchKMeans or IncrementalPCA, or refit_every without online",
            )
        if encoding == "triangle" and not hasattr(estimator, "transform"):
            raise HyperparameterError(f"features: {_name(estimator)} gives no distances for encoding='triangle'")
        self.encoding, self.online = encoding, bool(online)
        tree = final_step(estimator)
        self.n_states = _leaves(tree) if _is_tree(tree) and is_fitted(estimator) else n_states
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
            "encoding": self.encoding,
            "online": self.online,
            **({"n_states": self.n_states} if self.n_states is not None else {}),
        }
        return {**describe(self.estimator), **options}

    def __repr__(self) -> str:
        refit = f", refit_every={self.refit_every}" if self.refit_every else ""
        return f"FeatureMap({self.estimator!r}, warm_up={self.warm_up}{refit})"

    def bound(
        self, space: gym.Space[Any], owner: str, seed: int, kind: Kind, *, intercept: bool = False
    ) -> BoundFeatures:
        """The map of one agent: see `BoundFeatures`."""
        return BoundFeatures(self, space, owner, seed, kind, intercept)


class BoundFeatures:
    """A feature map at work in one agent, with what it has seen.

    Args:
        plan: estimator and schedule; the estimator is cloned, or copied where it is fitted.
        space: the observations.
        owner: who asks, for errors.
        seed: the run's seed; the estimator draws from streams of its own where it draws at all.
        kind: ``index`` numbers states by clusters, leaves or cells; ``vector`` gives a vector of features, ``active``
            those that are not 0.
        intercept: of active features: whether there is one more that is always 1.

    Attributes:
        estimator: the model, fitted once `ready`.
        size: how many clusters, or how many features.
        width: how many features are active at a time.
        samples: the newest observations, float32 [sample_size, D], a ring.
        counts: observations seen, and how often the map was fitted; int64 [2].
        shift: subtracted from observations before the model sees them, float64 [D].
        scale: by what they are then divided, float64 [D].

    Raises:
        HyperparameterError: the estimator cannot give what the agent needs.
        SpaceError: the observations are no vector.
    """

    def __init__(
        self, plan: FeatureMap, space: gym.Space[Any], owner: str, seed: int, kind: Kind, intercept: bool = False
    ) -> None:
        from sklearn.base import clone

        self.kind: Kind = kind
        self.seed, self.view, self.encoding, self.online = seed, VectorView(space, owner), plan.encoding, plan.online
        estimator, fitted = _laid_over(plan.estimator, space), is_fitted(plan.estimator)
        laid = estimator is not plan.estimator
        known = getattr(estimator, "n_features_in_", self.view.size)
        if fitted and known != self.view.size:
            raise HyperparameterError(
                f"{owner}: features={_name(estimator)} was fitted on observations of {known} numbers, and these have "
                f"{self.view.size}",
                "Fit it on this environment, or give it unfitted",
            )
        self.unfitted = clone(estimator)  # what each fit begins with
        self.estimator = copy.deepcopy(estimator) if fitted or laid else self.unfitted
        self.warm_up, self.refit_every = plan.warm_up, None if laid else plan.refit_every
        self.standardize, self.n_states = plan.standardize and not laid, plan.n_states
        self.row: Any = None
        self.codes: tuple[Any, ...] = ()
        self.samples = np.zeros((plan.sample_size, self.view.size), np.float32)
        self.counts, self.rng = np.zeros(2, np.int64), stream(seed, "warm-up")
        self.shift, self.scale = np.zeros(self.view.size), np.ones(self.view.size)
        self._point = np.zeros(self.view.size)
        self.intercept = int(intercept and kind == "active")
        self._labels = kind == "index" or plan.encoding in ("label", "one-hot") or not hasattr(estimator, "transform")
        self.size = (self._clusters(owner) if self._labels else self._width(owner)) + self.intercept
        self.width = self.intercept + (
            1 if self._labels else int(getattr(estimator, "n_tilings", 0)) or self.size - self.intercept
        )
        self._checked = 0  # observations at the last look for a drift
        self.moved_from: NDArray[np.float64] | None = None  # where each centre's nearest lay before the last refit
        if fitted or laid:
            self.counts[VERSION], self.warm_up = 1, 0
            self.set_estimator(self.estimator)

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

        Where a later fit fails the last good one stays, and that is said.

        Raises:
            UsageError: the first fit failed, or a fit changed the width.
        """
        seen = self.seen().astype(np.float64)
        shift, scale = (seen.mean(axis=0), seen.std(axis=0)) if self.standardize else (self.shift, self.scale)
        scale = np.where(scale > 0, scale, 1.0)
        data = (seen - shift) / scale
        online = self.online and self.ready
        old, new = self.estimator, seeded(self.unfitted, generator(self.seed, f"features {self.version}"))
        if online:
            shift, scale = self.shift.copy(), self.scale.copy()
            data, new = ((seen - shift) / scale)[-self._new_rows() :], copy.deepcopy(old)
        size = self.size - self.intercept
        try:
            new.partial_fit(data) if online else new.fit(data)
            found = self._count(new, data) if self._labels else self._rows(new, data[:2]).shape[1]
        except Exception as error:
            words = f"the features {_name(new)} could not be fitted on {len(data):,} observations: {_line(error)}"
            if not self.ready:
                raise UsageError(words, "Raise warm_up, or change its parameters") from error
            self.counts[VERSION] += 1  # the next fit comes when it would have come
            warn(f"{words}. The last good ones stay")
            return None
        if (not self._labels and found != size) or found > size:
            raise UsageError(
                f"the features {_name(new)} changed their width: {size} were expected and {found} came",
                "Fix the number of components or clusters",
            )
        carried = None
        if self.ready and not online:
            before = (seen - self.shift) / self.scale
            if not self._labels:
                _align(old, new)
            else:
                moved = [self._centres(old, before) * self.scale + self.shift, self._centres(new, data) * scale + shift]
                carried = _nearest_old(*((centres - shift) / scale for centres in moved))
                self.moved_from = moved[0][carried]
        self.counts[VERSION] += 1
        self.shift[:], self.scale[:] = shift, scale
        self.set_estimator(new)
        return carried

    def _new_rows(self) -> int:
        """Observations since the last fit, as far as they are kept."""
        return int(min(self.refit_every or len(self.samples), len(self.samples), self.counts[SEEN]))

    def set_estimator(self, estimator: Any) -> None:
        """Take a fitted estimator."""
        self.estimator = estimator
        self.row, self.codes = self._exported(estimator) or (None, ())

    def _exported(self, estimator: Any) -> RowFunction | None:
        """The compiled function of one row for the kind of features that the agent takes, or None."""
        if self._labels:
            found = row_function(estimator, "apply" if _is_tree(estimator) else "predict")
            if found is None or self.kind == "index":
                return found
            wrap = one_hot if self.kind == "vector" else active_label
            return RowFunction(wrap(found.function), found.codes)
        if self.kind == "active" and hasattr(estimator, "n_tilings") and self.encoding != "triangle":
            return row_function(estimator, "active")
        found = row_function(estimator, "transform")
        if found is not None and self.encoding == "triangle":
            found = RowFunction(triangle(found.function), found.codes)
        if found is not None and self.kind == "active":
            found = RowFunction(active_vector(found.function, self.intercept), found.codes)
        return found

    def index(self, obs: Any) -> int:
        """The number of the cluster of one observation."""
        if not self.ready:
            return 0
        self._look(obs)
        if self.row is not None:
            return int(self.row(self.codes, self._point))
        return int(self._label(self.estimator, self._point[None])[0])

    def new_active(self) -> Active:
        """Room for the active features of one observation; those that are always the same are there."""
        found = Active(np.arange(self.width), np.zeros(self.width))
        if self.intercept:
            found.number[-1], found.value[-1] = self.size - 1, 1.0
        return found

    def active(self, obs: Any) -> Active:
        """The active features of one observation; all 0 before the first fit."""
        found = self.new_active()
        if self.ready:
            self._look(obs)
            if self.row is not None:
                self.row(self.codes, self._point, found.number, found.value)
            else:
                self._fill(self._point[None], found.number[None], found.value[None])
        return found

    def actives(self, batch: Any) -> Active:
        """The active features of a batch of observations, [B, T]."""
        return self.actives_of(self.view.rows(batch))

    def actives_of(self, rows: NDArray[Any]) -> Active:
        """The active features of observations that are vectors already [B, D], [B, T]."""
        one = self.new_active()
        found = Active(np.tile(one.number, (len(rows), 1)), np.tile(one.value, (len(rows), 1)))
        if self.ready:
            points = (rows.astype(np.float64) - self.shift) / self.scale
            if self.row is not None:
                over_points(self.row)(self.codes, points, found.number, found.value)
            else:
                self._fill(points, found.number, found.value)
        return found

    def _fill(self, points: NDArray[np.float64], index: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """What a row function does, for estimators that offer none; points [B, D]."""
        last = self.width - self.intercept
        if self._labels:
            index[:, 0], value[:, 0] = self._label(self.estimator, points), 1.0
        else:
            value[:, :last] = self._rows(self.estimator, points)

    def _label(self, estimator: Any, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """The numbers of the clusters, leaves or cells of rows [B, D]."""
        return np.asarray(estimator.apply(x) if _is_tree(estimator) else estimator.predict(x), np.int64).reshape(len(x))

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
        means = np.full((self.size - self.intercept, data.shape[1]), np.nan)
        for label in np.unique(labels):
            means[label] = data[labels == label].mean(axis=0)
        return means

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
        self._checked = 2**62
        warn(
            f"the observations have moved: number {int(away.argmax())} is {away.max():.1f} deviations from where the "
            f"features {_name(self.estimator)} were fitted. Take refit_every, or a longer warm_up; said once"
        )
        return True

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
        return self._label(self.estimator, x) if self.ready else np.zeros(len(x), np.int64)

    def state_partition(self, batch: Any) -> NDArray[np.int64]:
        """What pictures outline, of a batch [B]: clusters, leaves, or the tiles of the first of several grids."""
        last = final_step(self.estimator)
        if self.kind != "index" and hasattr(last, "n_tilings"):
            x = (self.view.rows(batch).astype(np.float64) - self.shift) / self.scale
            return np.asarray(last.active(x)[:, 0], np.int64)
        return self.indices(batch)

    def centres(self) -> NDArray[np.float64] | None:
        """Where the clusters lie, in the numbers of observations, [K, D]; None for what has no centres."""
        last = final_step(self.estimator)
        if last is not self.estimator or not hasattr(last, "cluster_centers_"):
            return None
        return np.asarray(last.cluster_centers_, np.float64) * self.scale + self.shift

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

    def _rows(self, estimator: Any, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Features of rows [B, D], by the encoding."""
        if self._labels:
            return np.eye(self.size)[self._label(estimator, x)]
        rows = estimator.transform(x)
        rows = np.asarray(rows.toarray() if hasattr(rows, "toarray") else rows)
        return np.maximum(0.0, rows.mean(axis=1, keepdims=True) - rows) if self.encoding == "triangle" else rows

    def _clusters(self, owner: str) -> int:
        """How many clusters a clusterer has, leaves a tree, or cells a grid."""
        last = final_step(self.estimator)
        if _is_tree(last):
            if self.n_states is None:
                raise HyperparameterError(
                    f"{owner}: the leaves of {_name(last)} can number states once it is fitted",
                    "Fit it first, say to what random play returned: tree.fit(*rlplay.random_play(env, 10_000))",
                )
            return self.n_states
        if not hasattr(self.estimator, "predict"):
            raise HyperparameterError(
                f"{owner} keeps a table and features={_name(self.estimator)} has no predict to number its states",
                "Take a clusterer: KMeans(64), sklearn's MiniBatchKMeans or GaussianMixture, or a pipeline with one",
            )
        if hasattr(last, "n_cells"):
            return int(last.n_cells(self.view.size))
        kind = _answers(self.estimator)
        if kind and not hasattr(last, "n_clusters"):
            raise HyperparameterError(
                f"features={_name(self.estimator)} is a {kind}: it gives neither clusters nor features",
                "Give it as model= to an agent that learns by it, or take a tree, whose leaves number states",
            )
        for name in ("n_clusters", "n_components", "n_clusters_"):
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
    from rlplay.approximation.estimators import build, parse

    if value is None or isinstance(value, FeatureMap):
        return value
    options: dict[str, Any] = {}
    if isinstance(value, str):
        value, options = parse(value, OPTIONS)
    elif isinstance(value, dict) and "model" in value:
        options = {k: v for k, v in value.items() if k not in ("model", "params")}
        value = build({k: v for k, v in value.items() if k in ("model", "params")})
    try:
        return FeatureMap(value, **options)
    except TypeError as error:
        raise HyperparameterError(f"features: {_line(error)}") from error


def _laid_over(estimator: Any, space: gym.Space[Any]) -> Any:
    """A basis without bounds, laid over those of the observations; any other estimator as it is."""
    from sklearn.base import clone

    if _fits_nothing(estimator):
        return clone(estimator).fit(np.zeros((1, VectorView(space, "features").size)))
    if not hasattr(estimator, "bounds") or is_fitted(estimator) or not isinstance(space, gym.spaces.Box):
        return estimator
    own = estimator.bounds
    bounds = np.asarray(np.stack([space.low.ravel(), space.high.ravel()]) if own is None else own, np.float64)
    if own is None and not (np.isfinite(bounds).all() and (np.abs(bounds) < 1e6).all()):
        return estimator
    try:
        return clone(estimator).set_params(bounds=bounds).fit(bounds)
    except ValueError as error:
        raise HyperparameterError(f"features={_name(estimator)}: {_line(error)}") from error


def _answers(estimator: Any) -> str:
    """``regressor`` or ``classifier`` where an estimator says that it is one, by scikit-learn's tags."""
    from sklearn.utils import get_tags

    kind = get_tags(estimator).estimator_type if hasattr(estimator, "__sklearn_tags__") else None
    return str(kind) if kind in ("regressor", "classifier") else ""


def _fits_nothing(estimator: Any) -> bool:
    """Whether an estimator says that it need not be fitted, by scikit-learn's tags."""
    from sklearn.utils import get_tags

    return hasattr(estimator, "__sklearn_tags__") and not get_tags(estimator).requires_fit


def _leaves(tree: Any) -> int:
    """How many nodes a fitted tree has, by which its leaves are numbered."""
    return int(tree.tree_.node_count) if hasattr(tree, "tree_") else len(tree.trees_.feature)


def _is_tree(estimator: Any) -> bool:
    """Whether states are numbered by its leaves."""
    return (
        hasattr(estimator, "apply") and not hasattr(estimator, "estimators_") and not hasattr(estimator, "n_estimators")
    )


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


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
