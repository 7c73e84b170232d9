"""Pictures of a study: its history, the value along each hyperparameter, and how much each of them matters."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from rlplay.reports.pictures import check_picture
from rlplay.storage.files import atomic_writer
from rlplay.tuning.study import Place, open_study, require_optuna

_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#9a9a9a"
_FEWEST = 4  # completed trials before importances mean anything


def draw_all(place: Place) -> list[Path]:
    """Draw what can be drawn of a study into its folder."""
    optuna = require_optuna()
    study, plan = open_study(place)
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if len(done) < 2:
        return []
    metric = plan.metrics[0]
    pictures = [_history(place, study, done, metric), _slices(place, done, list(plan.space), metric)]
    if len(done) >= _FEWEST and len({trial.values[0] for trial in done}) > 1:
        pictures.append(_importance(place, study, metric))
    if len(plan.metrics) > 1:
        pictures.append(_front(place, study, done, plan.metrics))
    return pictures


def _canvas(title: str, columns: int = 1, rows: int = 1, size: tuple[float, float] = (8.5, 4.6)) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns, size[1] * rows + 0.3), dpi=140, layout="constrained")
    figure.suptitle(title, fontweight="bold", x=0.01, ha="left")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for one in axes:
        one.grid(alpha=0.25, linewidth=0.6)
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _saved(figure: Any, path: Path) -> Path:
    kind = check_picture(path)
    with atomic_writer(path) as file:
        figure.savefig(file, format=kind)
    return path


def _history(place: Place, study: Any, done: list[Any], metric: str) -> Path:
    optuna = require_optuna()
    figure, (axes,) = _canvas(f"{place.name}: history")
    numbers, values = [t.number for t in done], np.array([t.values[0] for t in done])
    axes.plot(numbers, values, "o", color=_BLUE, markersize=5, alpha=0.7, label="trial")
    axes.step(numbers, np.maximum.accumulate(values), where="post", color=_ORANGE, linewidth=2, label="best so far")
    for state, mark, name in (("PRUNED", "x", "pruned"), ("FAIL", "1", "failed")):
        ended = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState[state],))
        if ended:
            last = [list(t.intermediate_values.values())[-1] if t.intermediate_values else values.min() for t in ended]
            axes.plot([t.number for t in ended], last, mark, color=_GREY, markersize=7, label=f"{name} (last value)"
                      if state == "PRUNED" else name)  # fmt: skip
    axes.set_xlabel("trial")
    axes.set_ylabel(metric)
    axes.legend(frameon=False)
    return _saved(figure, place.folder / "history.png")


def _slices(place: Place, done: list[Any], names: list[str], metric: str) -> Path:
    from matplotlib.ticker import MaxNLocator

    columns = min(len(names), 4)
    rows = -(-len(names) // columns)
    figure, axes = _canvas(f"{place.name}: each hyperparameter", columns, rows, (3.4, 2.9))
    values = np.array([trial.values[0] for trial in done])
    order = np.array([trial.number for trial in done])
    for one, name in zip(axes, names, strict=False):
        distribution = done[0].distributions[name]
        given = [trial.params[name] for trial in done]
        if hasattr(distribution, "choices"):
            texts = [str(choice) for choice in distribution.choices]
            shown: Any = [texts.index(str(value)) for value in given]
            one.set_xticks(range(len(texts)), texts, rotation=30 if max(map(len, texts)) > 5 else 0)
            one.set_xlim(-0.5, len(texts) - 0.5)
        else:
            shown = given
            if distribution.log:
                _log_axis(one, given)
        points = one.scatter(shown, values, c=order, cmap="viridis", s=22, alpha=0.85, linewidths=0)
        one.set_title(name, loc="left", fontsize=10)
    for one in axes[len(names) :]:
        one.set_visible(False)
    for row in range(rows):
        axes[row * columns].set_ylabel(metric)
    figure.colorbar(points, ax=list(axes), label="trial", shrink=0.8, ticks=MaxNLocator(8, integer=True))
    return _saved(figure, place.folder / "slice.png")


def _log_axis(axes: Any, values: list[float]) -> None:
    """A logarithmic axis with a few plain numbers, over less than a decade or over many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    decades = np.log10(max(values) / min(values))
    subs = (1.0, 2.0, 5.0) if decades < 1.2 else (1.0, 3.0) if decades < 2.0 else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _importance(place: Place, study: Any, metric: str) -> Path:
    """fANOVA (Hutter, Hoos & Leyton-Brown 2014), by Optuna."""
    optuna = require_optuna()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, target=lambda trial: trial.values[0]
        )
    figure, (axes,) = _canvas(f"{place.name}: share of the variance of {metric} (fANOVA)", size=(8.5, 0.42 * len(found)
                              + 1.2))  # fmt: skip
    names = list(found)[::-1]
    bars = axes.barh(names, [found[name] for name in names], color=_BLUE)
    axes.bar_label(bars, fmt="%.2f", padding=4)
    axes.set_xlim(0, max(found.values()) * 1.15 or 1.0)
    axes.grid(visible=False)
    return _saved(figure, place.folder / "importance.png")


def _front(place: Place, study: Any, done: list[Any], metrics: list[str]) -> Path:
    figure, (axes,) = _canvas(f"{place.name}: score against seconds")
    best = sorted(trial.values for trial in study.best_trials)
    axes.plot([t.values[1] for t in done], [t.values[0] for t in done], "o", color=_BLUE, alpha=0.6, label="trial")
    axes.plot([s for _, s in best], [v for v, _ in best], "o-", color=_ORANGE, label="no other is better in both")
    axes.set_xlabel("seconds")
    axes.set_ylabel(metrics[0])
    axes.legend(frameon=False)
    return _saved(figure, place.folder / "front.png")
