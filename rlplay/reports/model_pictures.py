"""What a model does, as a picture: ours on the left, its twin on the right, on the same points.

Regressors draw their curve through noisy points, classifiers their regions over two moons, clusterers colour blobs, and
transformers show two of their features of the iris flowers.
"""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rlplay.models.references import REFERENCES, library_name, twin
from rlplay.reports.model_comparison import kind_of
from rlplay.reports.pictures import check_picture
from rlplay.storage.files import atomic_writer

_COLOURS = ["#3a6ec8", "#ecbe60", "#58b26e", "#c45c48", "#8a63b8", "#4fb0b8", "#9a7a58", "#c86aa0"]
# Parameters under which a small picture shows what a model does.
_SHOWN: dict[str, dict[str, Any]] = {
    "lasso": {"alpha": 0.01},
    "elastic-net": {"alpha": 0.01},
    "kernel-ridge": {"kernel": "rbf", "alpha": 0.1, "gamma": 2.0},
    "decision-tree": {"max_depth": 4},
    "decision-tree-classifier": {"max_depth": 5},
    "gradient-boosting": {"min_samples_leaf": 5},
    "k-means": {"n_clusters": 4},
    "mini-batch-k-means": {"n_clusters": 4},
    "agglomerative": {"n_clusters": 4},
    "gaussian-mixture": {"n_components": 4},
    "dbscan": {"eps": 0.6},
    "kernel-pca": {"n_components": 2, "kernel": "rbf", "gamma": 0.2},
    "self-organising-map": {"rows": 3, "columns": 3},
    "tile-coding": {"n_tiles": 4, "n_tilings": 4},
    "fourier-basis": {"order": 2},
    "rbf-grid": {"n_centers": 3},
    "mlp": {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.01},
    "mlp-classifier": {"hidden_layer_sizes": (64, 64), "learning_rate_init": 0.01},
    "cnn-classifier": {"learning_rate_init": 0.01},
    "autoencoder": {"learning_rate_init": 0.01},
    "denoising-autoencoder": {"learning_rate_init": 0.01},
    "vae": {"learning_rate_init": 0.01, "beta": 0.1},
    "sequence-forecaster": {"hidden_size": 8, "max_iter": 40},
    "lstm-autoencoder": {"n_components": 2, "learning_rate_init": 0.01},
    "gru-autoencoder": {"n_components": 2, "learning_rate_init": 0.01},
}


def shown_model(model_id: str) -> Any:
    """The model with parameters for a small picture."""
    from rlplay.models.names import model_class

    cls = model_class(model_id)
    given = dict(_SHOWN.get(model_id, {}))
    if "random_state" in inspect.signature(cls).parameters:
        given.setdefault("random_state", 0)
    return cls(**given)


def draw(model_id: str, path: Path) -> None:
    """Write the picture of a model, beside its twin where it has one.

    Raises:
        UsageError: an ending that matplotlib does not know.
    """
    from matplotlib.figure import Figure

    kind = check_picture(path)
    ours = shown_model(model_id)
    panels = [("ours", ours)] + ([(f"{library_name(model_id)}'s", twin(ours))] if model_id in REFERENCES else [])
    figure = Figure(figsize=(4.6 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for axis, (name, model) in zip(axes, panels, strict=True):
            {"regressor": _curve, "classifier": _regions, "clusterer": _clusters, "transformer": _codes}[kind_of(ours)](
                axis, model
            )
            axis.set_title(f"{name}: {type(model).__name__}", fontsize=10)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
    with atomic_writer(path) as file:
        figure.savefig(file, dpi=110, format=kind)


def _curve(axis: Any, model: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.sort(rng.uniform(-3, 3, 80))[:, None]
    y = np.sin(1.5 * x[:, 0]) + 0.3 * x[:, 0] + 0.2 * rng.normal(size=80)
    model.fit(x, y)
    grid = np.linspace(-3.2, 3.2, 400)[:, None]
    axis.scatter(x[:, 0], y, s=12, color="#b8b4aa", label="points")
    if "return_std" in inspect.signature(model.predict).parameters:
        mean, deviation = model.predict(grid, return_std=True)
        axis.fill_between(grid[:, 0], mean - 2 * deviation, mean + 2 * deviation, color=_COLOURS[0], alpha=0.2)
    axis.plot(grid[:, 0], model.predict(grid), color=_COLOURS[0], lw=2)


def _regions(axis: Any, model: Any) -> None:
    from sklearn.datasets import make_moons

    x, y = make_moons(160, noise=0.2, random_state=0)
    model.fit(x, y)
    a, b = np.meshgrid(np.linspace(-1.8, 2.8, 160), np.linspace(-1.4, 1.9, 140))
    points = np.column_stack([a.ravel(), b.ravel()])
    if hasattr(model, "predict_proba"):
        level, middle = model.predict_proba(points)[:, 1], 0.5
    else:
        level, middle = model.decision_function(points), 0.0
    level = level.reshape(a.shape)
    axis.contourf(a, b, level, levels=12, cmap="RdYlBu", alpha=0.55)
    axis.contour(a, b, level, levels=[middle], colors="#34384a", linewidths=1.5)
    axis.scatter(x[:, 0], x[:, 1], s=14, c=[("#b03a2e", "#1f4e9c")[k] for k in y], edgecolors="white", linewidths=0.4)


def _clusters(axis: Any, model: Any) -> None:
    from sklearn.datasets import make_blobs

    x, _ = make_blobs(240, centers=4, cluster_std=0.9, random_state=3)
    model.fit(x)
    labels = np.asarray(model.labels_) if hasattr(model, "labels_") else model.predict(x)
    first = np.unique(labels, return_index=True)
    rank = {int(label): k for k, label in enumerate(first[0][np.argsort(first[1])])}
    colours = ["#c8c4ba" if label < 0 else _COLOURS[rank[int(label)] % len(_COLOURS)] for label in labels]
    axis.scatter(x[:, 0], x[:, 1], s=16, c=colours)
    for name in ("cluster_centers_", "means_"):
        if hasattr(model, name):
            centres = getattr(model, name)
            axis.scatter(centres[:, 0], centres[:, 1], s=70, marker="x", color="#34384a")


def _codes(axis: Any, model: Any) -> None:
    from sklearn.datasets import load_iris

    x, y = load_iris(return_X_y=True)
    codes = np.asarray(model.fit_transform((x - x.mean(axis=0)) / x.std(axis=0)))
    second = min(1, codes.shape[1] - 1)
    axis.scatter(codes[:, 0], codes[:, second], s=14, c=[_COLOURS[k] for k in y])
    axis.set_xlabel("first feature")
    axis.set_ylabel("second feature")
