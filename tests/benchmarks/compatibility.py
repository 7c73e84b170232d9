"""Every estimator in every place that takes one: works, or is refused with the reason. Writes docs/compatibility.md.

    python tests/benchmarks/compatibility.py

Each cell is a short run: features are fitted and used, values and policies are fitted and act. What raises anything but
an error of rlplay's own, with a reason, is a failure, and the command says so. A sample is held in CI.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.base import is_classifier
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents import PPO, SB3, DAgger, FittedQ, LinearSarsa, NeuralFittedQ, QLearning
from rlplay import FeatureMap, FeatureObservation, evaluate, make, random_play
from rlplay.errors import RlplayError
from rlplay.models.names import model_class, model_ids

PAGE = Path(__file__).parents[2] / "docs/compatibility.md"
WORKS = "yes"
SMALL: dict[str, dict[str, Any]] = {
    "k-means": {"n_clusters": 4}, "mini-batch-k-means": {"n_clusters": 4}, "sklearn/k-means": {"n_clusters": 4},
    "self-organising-map": {"rows": 2, "columns": 2, "n_epochs": 2}, "gaussian-mixture": {"n_components": 3},
    "tile-coding": {"n_tiles": 3, "n_tilings": 2}, "fourier-basis": {"order": 1}, "rbf-grid": {"n_centers": 2},
    "random-forest": {"n_estimators": 3}, "random-forest-classifier": {"n_estimators": 3},
    "extra-trees": {"n_estimators": 3}, "extra-trees-classifier": {"n_estimators": 3},
    "gradient-boosting": {"max_iter": 5}, "gradient-boosting-classifier": {"max_iter": 5},
    "random-fourier": {"n_components": 10}, "nystroem": {"n_components": 10}, "sklearn/nystroem": {"n_components": 10},
    "pca": {"n_components": 2},
    "kernel-pca": {"n_components": 2}, "incremental-pca": {"n_components": 2}, "fast-ica": {"n_components": 2},
    "mlp": {"max_iter": 5}, "mlp-classifier": {"max_iter": 5}, "autoencoder": {"max_iter": 3},
    "denoising-autoencoder": {"max_iter": 3}, "vae": {"max_iter": 3}, "random-network-distillation": {"max_iter": 3},
}  # fmt: skip


def small(model_id: str) -> Any:
    """A small estimator of that id; trees that number states are fitted, to what random play returned."""
    if model_id == "sklearn/pipeline":
        return make_pipeline(StandardScaler(), RBFSampler(n_components=10), SGDRegressor())
    return model_class(model_id)(**SMALL.get(model_id, {}))


def _features(model_id: str, **options: Any) -> FeatureMap:
    model = small(model_id)
    if hasattr(model, "apply") and not hasattr(model, "transform"):
        obs, returns = random_play("CartPole-v1", 200)
        model = model.fit(obs, returns > np.median(returns) if is_classifier(model) else returns)
    return FeatureMap(model, warm_up=60, **options)


def _learns(agent: Any, steps: int, env: str = "CartPole-v1") -> None:
    agent.learn(steps, engine="python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluate(agent, make(env), 1, max_steps=20)


def in_table(model_id: str) -> None:
    _learns(QLearning("CartPole-v1", features=_features(model_id), seed=0), 100)


def in_linear(model_id: str) -> None:
    _learns(LinearSarsa("CartPole-v1", features=_features(model_id), alpha=1e-4, seed=0), 100)


def in_network(model_id: str) -> None:
    settings = {"n_steps": 20, "batch_size": 20, "n_epochs": 1, "net_arch": (8,), "network": "torch"}
    _learns(PPO("CartPole-v1", features=_features(model_id), **settings, seed=0), 100)


def in_sb3(model_id: str) -> None:
    settings = {"n_steps": 20, "batch_size": 20, "n_epochs": 1, "policy_kwargs": {"net_arch": [8]}, "device": "cpu"}
    _learns(SB3("PPO", "CartPole-v1", features=_features(model_id), **settings, seed=0), 100)


def in_wrapper(model_id: str) -> None:
    env = FeatureObservation(make("CartPole-v1"), _features(model_id))
    assert env.observation_space.contains(env.reset(seed=0)[0])


def in_bonus(model_id: str) -> None:
    from rlplay.environments.bonus import CountBonus

    env = make("CartPole-v1", bonus=CountBonus(_features(model_id)))
    QLearning(env, features="tile-coding:3,n_tilings=1,warm_up=60", seed=0).learn(100)


def in_fitted_q(model_id: str) -> None:
    settings = {"train_freq": 60, "n_iterations": 2, "n_eval_episodes": 1}
    _learns(FittedQ("CartPole-v1", model=small(model_id), **settings, seed=0), 60)


def in_neural(model_id: str) -> None:
    _learns(NeuralFittedQ("CartPole-v1", model=small(model_id), train_freq=60, n_iterations=2, n_epochs=1, seed=0), 60)


def in_policy(model_id: str) -> None:
    settings = {"model": small(model_id), "train_freq": 60, "seed": 0}
    _learns(DAgger("CartPole-v1", teacher="follow-the-pole", **settings), 130)


def in_box_policy(model_id: str) -> None:
    settings = {"model": small(model_id), "train_freq": 60, "seed": 0}
    _learns(DAgger("Pendulum-v1", teacher="pump-and-hold", **settings), 130, "Pendulum-v1")


PLACES: dict[str, Callable[[str], None]] = {
    "states of a table (`q-learning`)": in_table,
    "features of a linear agent (`linear-sarsa`)": in_linear,
    "features of a network (`ppo`)": in_network,
    "features of Stable-Baselines3 (`sb3/ppo`)": in_sb3,
    "wrapper": in_wrapper,
    "cells of a count bonus": in_bonus,
    "values (`fitted-q`)": in_fitted_q,
    "values that go on (`neural-fitted-q`)": in_neural,
    "policy, finite (`dagger`)": in_policy,
    "policy, Box (`dagger`)": in_box_policy,
}


def cell(model_id: str, place: str) -> str:
    """``yes``, or why it is refused. Anything else that is raised passes through."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            PLACES[place](model_id)
        except RlplayError as error:
            return error.cause.split(": ", 1)[-1] if error.cause else str(error)
    return WORKS


def page() -> tuple[str, list[str]]:
    """The page, and what failed."""
    reasons: dict[str, int] = {}
    failed: list[str] = []
    lines = [
        "# Which estimator goes where", "",
        "Every estimator that has an id (`rlplay list models`), ours and scikit-learn's, in every place that takes",
        "one. Each cell was run by `python tests/benchmarks/compatibility.py`, which writes this page: ✓ works; a",
        "number is why it is refused, below. Estimators of your own go where one like them goes: what counts is which",
        "methods they have.",
        "", "| | " + " | ".join(PLACES) + " |", "|---" * (len(PLACES) + 1) + "|",
    ]  # fmt: skip
    for model_id in model_ids():
        row = []
        for place in PLACES:
            try:
                found = cell(model_id, place)
            except Exception as error:
                found = f"fails with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
                failed.append(f"{model_id} as {place}: {found}")
            found = found.replace(type(small(model_id)).__name__, "it")
            row.append("✓" if found == WORKS else str(reasons.setdefault(found, len(reasons) + 1)))
        lines.append(f"| `{model_id}` | " + " | ".join(row) + " |")
        print(model_id, *row, file=sys.stderr, flush=True)
    lines += ["", "Refused, because:", ""]
    lines += [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n".join(lines) + "\n", failed


if __name__ == "__main__":
    text, failed = page()
    PAGE.write_text(text, encoding="utf-8")
    print("\n".join(failed) or f"every cell works or is refused with a reason: {PAGE.name}")
    sys.exit(bool(failed))
