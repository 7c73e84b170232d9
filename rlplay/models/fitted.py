"""What a fitted model's arrays look like, so that a file's can be refused before compiled code reads them.

Each line gives an array its axes. Names stand for lengths that are the same wherever they occur in a model: D is the
number of features it was fitted on, C that of its classes, all others are what the first array with them has. ``|``
separates forms, ``*`` is any length. Numbers are float64; after ``: whole`` they are int64, and after ``: below N``
they count from 0 to N - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rlplay.errors import CheckpointError
from rlplay.models.kd_tree import KDTree
from rlplay.storage.ranges import COUNT

_LINEAR = {"coef_": "D|K D"}
_CENTRES = {"cluster_centers_": "K D", "labels_": "N: below K"}
_DIRECTIONS = {
    "mean_": "D", "components_": "K D", "singular_values_": "K", "explained_variance_": "K",
    "explained_variance_ratio_": "K",
}  # fmt: skip
_SCALES = dict.fromkeys(("shift_", "scale_", "mean_", "var_", "center_", "data_min_", "data_max_"), "D")
_TREES = {
    "feature": "M: whole", "threshold": "M", "left": "M: below M", "right": "M: below M", "value": "M V",
    "roots": "T: below M",
}  # fmt: skip
_NEURAL: dict[str, str] = {}  # the networks compare all arrays with their own

ARRAYS: Mapping[str, Mapping[str, str]] = {
    "agglomerative": {"labels_": "N: whole", "distances_": "P", "pairs_": "P 2: below N"},
    "autoencoder": _NEURAL,
    "cnn-classifier": _NEURAL,
    "dbscan": {"labels_": "N: whole", "components_": "K D", "core_sample_indices_": "K: below N"},
    "decision-tree": _TREES,
    "decision-tree-classifier": _TREES,
    "denoising-autoencoder": _NEURAL,
    "elastic-net": _LINEAR,
    "encoder-decoder": _NEURAL,
    "extra-trees": _TREES,
    "extra-trees-classifier": _TREES,
    "fast-ica": {"mean_": "D", "components_": "K D", "mixing_": "D K"},
    "fourier-basis": {"low_": "D", "high_": "D", "waves_": "F D: whole"},
    "gaussian-mixture": {"weights_": "K", "means_": "K D"},
    "gaussian-nb": {"theta_": "C D", "var_": "C D", "class_count_": "C", "class_prior_": "C"},
    "gaussian-process": {"X_train_": "N D", "L_": "N N", "alpha_": "N|N K"},
    "gradient-boosting": {"baseline_": "1", **_TREES},
    "gradient-boosting-classifier": {"baseline_": "K", **_TREES},
    "gru-autoencoder": _NEURAL,
    "hidden-markov-model": {"startprob_": "K", "transmat_": "K K", "emissionprob_": "K M", "means_": "K D"},
    "incremental-pca": {**_DIRECTIONS, "var_": "D"},
    "k-means": _CENTRES,
    "k-neighbors-classifier": {"codes_": "N: below C"},
    "k-neighbors-regressor": {"targets_": "N|N K"},
    "kernel-pca": {"X_fit_": "N D", "kernel_means_": "N", "eigenvalues_": "K", "eigenvectors_": "N K"},
    "kernel-ridge": {"X_fit_": "N D", "dual_coef_": "N|N K"},
    "lasso": _LINEAR,
    "linear-regression": _LINEAR,
    "logistic-regression": _LINEAR,
    "lstm-autoencoder": _NEURAL,
    "min-max-scaler": _SCALES,
    "mini-batch-k-means": {**_CENTRES, "counts_": "K"},
    "mlp": _NEURAL,
    "mlp-classifier": _NEURAL,
    "nearest-centroid": _CENTRES,
    "nystroem": {"components_": "K D", "normalization_": "K K", "component_indices_": "K: whole"},
    "pca": _DIRECTIONS,
    "perceptron": _LINEAR,
    "polynomial-features": {"powers_": "F D: whole"},
    "random-forest": _TREES,
    "random-forest-classifier": _TREES,
    "random-fourier": {"random_weights_": "D K", "random_offset_": "K"},
    "random-network-distillation": {"mean_": "D", "variance_": "D", "scale_": "*"},
    "rbf-grid": {"centers_": "F D", "width_": "D"},
    "ridge": _LINEAR,
    "robust-scaler": _SCALES,
    "self-organising-map": _CENTRES,
    "sequence-forecaster": _NEURAL,
    "sgd-classifier": _LINEAR,
    "sgd-regressor": _LINEAR,
    "standard-scaler": _SCALES,
    "svc": {"support_vectors_": "S D", "dual_coef_": "K S", "support_": "S: whole"},
    "tile-coding": {"low_": "D", "high_": "D", "width_": "D", "tiles_": "D: whole"},
    "vae": _NEURAL,
}


def check_fitted(name: str, model: Any) -> None:
    """Refuse a model, read from a file, whose arrays do not fit each other.

    Args:
        name: its id.
        model: the fitted model.

    Raises:
        CheckpointError: names the array.

    Example:
        >>> from rlplay.models.unsupervised import KMeans
        >>> model = KMeans(2).fit([[0.0], [1.0]])
        >>> model.labels_[0] = 7
        >>> check_fitted("k-means", model)
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: labels_ of the model k-means holds 7, which is not in 0 .. 1: refused
    """
    if name not in ARRAYS or not hasattr(model, "n_features_in_"):
        return  # somebody else's, or not fitted
    lengths = {"D": model.n_features_in_}
    if type(lengths["D"]) is not int or lengths["D"] < 1:
        raise CheckpointError(f"n_features_in_ of the model {name} is {lengths['D']!r:.80}: refused")
    if hasattr(model, "classes_"):
        _require(np.ndim(model.classes_) == 1 and len(model.classes_) > 0, name, "classes_", "is no list of classes")
        lengths["C"] = len(model.classes_)
    kind = next((found for found in _MORE if hasattr(model, found)), None)
    if kind is not None:
        _MORE[kind](name, model, lengths)
    trees = getattr(model, "trees_", None)
    for array, form in ARRAYS.get(name, {}).items():
        value = getattr(model, array, None) if trees is None else getattr(trees, array, getattr(model, array, None))
        if value is not None:
            _check_array(name, array, value, form, lengths)
    if ARRAYS[name] is _LINEAR and hasattr(model, "coef_"):
        rows, constants, classes = np.atleast_2d(model.coef_).shape[0], np.shape(model.intercept_), lengths.get("C", 0)
        wanted = {0: rows, 2: 1}.get(classes, classes)  # a row of weights a class, one for two classes
        _require(rows == wanted, name, "coef_", f"has {rows} rows for {classes} classes")
        _require(constants in ((), (rows,)), name, "intercept_", f"has shape {constants} for {rows} rows of weights")


def _require(holds: bool, name: str, array: str, words: str) -> None:
    if not holds:
        raise CheckpointError(f"{array} of the model {name} {words}: refused")


def _check_array(name: str, array: str, value: Any, form: str, lengths: dict[str, int]) -> None:
    axes, _, kind = form.partition(": ")
    _require(isinstance(value, np.ndarray), name, array, "is no array")
    fits = [names for one in axes.split("|") if (names := _named(one.split(), value.shape, lengths)) is not None]
    known = ", ".join(f"{key}={length}" for key, length in lengths.items())
    _require(bool(fits), name, array, f"has shape {value.shape}, which is not [{axes}] with {known}")
    lengths.update(fits[0])
    _require(value.dtype == (np.int64 if kind else np.float64), name, array, f"is of type {value.dtype}")
    if kind.startswith("below "):
        n = lengths[kind.removeprefix("below ")]
        wrong = (value < 0) | (value >= n)
        shown = value[wrong][0] if wrong.any() else 0
        _require(not wrong.any(), name, array, f"holds {shown}, which is not in 0 .. {n - 1}")


def _named(axes: list[str], shape: tuple[int, ...], lengths: Mapping[str, int]) -> dict[str, int] | None:
    """The lengths that axes have by a shape; None where it is another form, or they differ from what is known."""
    if len(axes) != len(shape):
        return None
    found: dict[str, int] = {}
    for axis, length in zip(axes, shape, strict=True):
        known = int(axis) if axis.isdigit() else {**lengths, **found}.get(axis, length)
        if axis != "*" and known != length:
            return None
        found[axis] = length
    return {axis: length for axis, length in found.items() if axis.isalpha()}


def _check_neighbours(name: str, model: Any, lengths: dict[str, int]) -> None:
    """A k-d tree: nodes in heap order, over points that each stand in it once."""
    tree = model.tree_
    _require(isinstance(tree, KDTree), name, "tree_", "is no k-d tree")
    forms = {
        "points": "N D",
        "order": "N: below N",
        "start": "M: whole",
        "end": "M: whole",
        "low": "M D",
        "high": "M D",
    }
    for array, form in forms.items():
        _check_array(name, f"tree_.{array}", getattr(tree, array), form, lengths)
    n, nodes = lengths["N"], lengths["M"]
    inside = (tree.start >= 0) & (tree.start <= tree.end) & (tree.end <= n)
    whole = nodes >= 1 and (nodes + 1) & nodes == 0 and nodes < 2**40
    once = np.array_equal(np.sort(tree.order), np.arange(n))
    _require(bool(inside.all()) and whole and once, name, "tree_", "leads outside itself")
    k = model.n_neighbors
    _require(isinstance(k, int) and 1 <= k <= n, name, "n_neighbors", f"is {k!r:.40} of {n} points")


def _check_tiles(name: str, model: Any, lengths: dict[str, int]) -> None:
    """Tiles of a column from 1 on, and as many features as they make."""
    tiles, grids = model.tiles_, model.n_tilings
    _require(bool((np.asarray(tiles) >= 1).all()), name, "tiles_", "holds less than one tile")
    _require(bool((np.asarray(model.width_) > 0).all()), name, "width_", "holds no width")
    _require(isinstance(grids, int) and 1 <= grids <= 10**6, name, "n_tilings", f"is {grids!r:.40}")
    _require(model.n_features_ == grids * math.prod(tiles.tolist()), name, "n_features_", "is not what the tiles make")


def _check_trees(name: str, model: Any, lengths: dict[str, int]) -> None:
    """Trees; `rlplay.models.supervised.trees.check` says where their nodes lead."""
    values: Any = getattr(model.trees_, "value", None)
    _require(np.ndim(values) == 2 and np.shape(values)[1] > 0, name, "trees_", "are no trees")


def _check_networks(name: str, model: Any, lengths: dict[str, int]) -> None:
    """Steps of the optimisers; the networks compare everything else with their own."""
    for m, v, t in model.optimisers_:
        kinds = all(array.dtype.kind == "f" for array in (m, v, *model.weights_)) and t.dtype == np.int64
        _require(kinds and t.shape == (1,) and 0 <= t[0] <= COUNT[1], name, "optimisers_", "are no optimisers")


_MORE: Mapping[str, Callable[[str, Any, dict[str, int]], None]] = {
    "tree_": _check_neighbours, "tiles_": _check_tiles, "trees_": _check_trees, "optimisers_": _check_networks,
}  # fmt: skip
