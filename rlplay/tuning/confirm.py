"""Confirmation: the best trials run again on fresh seeds, with intervals; only then a file of settings is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.stats import trim_mean

from rlplay.errors import RlplayError, UsageError
from rlplay.runners.batch import Watcher
from rlplay.runners.job import finish
from rlplay.runners.runner import Runner
from rlplay.storage.files import write_atomically
from rlplay.training.run_folder import read_evaluations
from rlplay.tuning.study import Place, Plan, jobs_of, open_study, require_optuna

_FIRST_FRESH = 1_000_000  # seeds from here on are no study's, unless it was asked for them


@dataclass(frozen=True)
class Confirmed:
    """A trial on fresh seeds.

    Attributes:
        number: of the trial.
        params: what it suggested.
        recorded: its value in the study.
        returns: of the last evaluation of each seed, float64 [S, E].
    """

    number: int
    params: dict[str, Any]
    recorded: float
    returns: NDArray[np.float64]

    @property
    def iqm(self) -> float:
        """Interquartile mean over all episodes of all seeds."""
        return float(trim_mean(self.returns, 0.25, axis=None))

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of it: percentile bootstrap over the seeds (Agarwal et al. 2021), 2,000 fixed resamples."""
        seeds = len(self.returns)
        drawn = np.random.default_rng(0).integers(seeds, size=(2_000, seeds))
        low, high = np.quantile([trim_mean(self.returns[rows], 0.25, axis=None) for rows in drawn], [0.025, 0.975])
        return float(low), float(high)


def best_trials(place: Place, count: int) -> list[Any]:
    """The best completed trials of a study, each set of hyperparameters once, the best first.

    Raises:
        UsageError: none has completed.
    """
    optuna = require_optuna()
    study, _ = open_study(place)
    done = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    if not done:
        raise UsageError(f"no trial of {place.name} has completed", "Search first: rlplay tune --algo ... --env ...")
    found: dict[str, Any] = {}
    for trial in sorted(done, key=lambda one: (-one.values[0], one.values[1:], one.number)):
        found.setdefault(repr(sorted(trial.params.items())), trial)
    return list(found.values())[:count]


def confirm(place: Place, runner: Runner, watcher: Watcher, *, trials: int = 5, seeds: int = 10) -> list[Confirmed]:
    """Run the best trials on fresh seeds, the best by the new scores first; what was done before is not done again.

    Raises:
        UsageError: fewer than two seeds, of which there is no interval.
    """
    if seeds < 2:
        raise UsageError(f"--seeds {seeds} gives no interval", "Take 10, or 2 at least")
    _, plan = open_study(place)
    fresh = fresh_seeds(plan, seeds)
    chosen = best_trials(place, trials)
    jobs = [
        job for trial in chosen for job in jobs_of(plan, trial.params, place.folder / f"confirm_{trial.number}", fresh)
    ]

    def tasks() -> Any:
        for job in jobs:
            watcher.began(job)
            yield job

    for job, outcome in runner.results(finish, tasks()):
        watcher.ended(job, outcome)
        if outcome.error:
            raise RlplayError(f"{outcome.folder} failed: {outcome.error}", outcome.remedy)
    found = []
    for trial in chosen:
        mine = jobs_of(plan, trial.params, place.folder / f"confirm_{trial.number}", fresh)
        returns = np.array([read_evaluations(job.folder / "evaluations.npz").results[-1] for job in mine])
        found.append(Confirmed(trial.number, dict(trial.params), trial.values[0], returns.astype(np.float64)))
    return sorted(found, key=lambda one: -one.iqm)


def fresh_seeds(plan: Plan, count: int) -> list[int]:
    """Seeds that the study did not use."""
    candidates = range(_FIRST_FRESH, _FIRST_FRESH + count + len(plan.seeds))
    return [seed for seed in candidates if seed not in plan.seeds][:count]


def write_settings(place: Place, confirmed: list[Confirmed]) -> Any:
    """A file of settings as RL Zoo has them, with the evidence above; its path."""
    _, plan = open_study(place)
    best, asked = confirmed[0], plan.asked
    settings = {"n_timesteps": asked["n_timesteps"], **plan.fixed, **best.params}
    settings = {name: value for name, value in settings.items() if value is not None}
    lines = [
        f"# {asked['algo']} in {asked['env']}, found by `rlplay tune` and confirmed by `rlplay tune confirm`.",
        f"# Interquartile mean of {best.returns.size} greedy episodes after {asked['n_timesteps']:,} timesteps on "
        f"{len(best.returns)} fresh seeds ({fresh_seeds(plan, len(best.returns))[0]} and on), 95 % interval:",
    ]
    for one in confirmed:
        low, high = one.interval
        lines.append(
            f"#   trial {one.number}: {one.iqm:.6g} [{low:.6g}, {high:.6g}]; {one.recorded:.6g} in the search"
            + (" (taken)" if one is best else "")
        )
    if len(confirmed) > 1 and best.interval[0] < confirmed[1].interval[1]:
        lines.append("# The intervals of the first two overlap: these settings are not shown to be better.")
    path = place.folder / f"{asked['algo'].replace('/', '-')}.yml"
    text = "\n".join(lines) + "\n" + yaml.safe_dump({asked["env"]: settings}, sort_keys=False, allow_unicode=True)
    write_atomically(path, text.encode())
    return path
