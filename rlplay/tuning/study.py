"""A study: trials of one agent in one environment, in a storage that any process can work on, and lose none of.

A trial is a run a seed, each with a folder of its own in ``<study>/trial_<k>``. Its value is read from evaluations on
seeds that are the same for all trials, so a trial repeats to the bit. A trial whose process was killed is found again
by its lock, and goes on from its checkpoints. What trial k suggests depends on the study's seed, on k and on what had
finished before: with one job, an interrupted study finds what an undisturbed one finds.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from rlplay import registry
from rlplay.errors import (
    BusyError,
    CheckpointError,
    NoRoomError,
    RlplayError,
    UsageError,
    counted,
    missing,
    one_line,
    unknown,
)
from rlplay.hyperparameters.fields import checked
from rlplay.runners.job import Job, go_on
from rlplay.runners.runner import Runner
from rlplay.storage.files import locked, make_folder, write_atomically
from rlplay.training.evaluation import evaluate
from rlplay.training.run_folder import folder_name, read_evaluations, wrong_arguments
from rlplay.tuning.journal import damaged_line, journal_storage
from rlplay.tuning.spaces import Numbers, Space, as_json, checked_space, from_json

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median", "halving", "wilcoxon")
_SCORES = {
    "iqm": lambda returns: float(trim_mean(returns, 0.25, axis=None)),
    "mean": lambda returns: float(np.mean(returns)),
    "median": lambda returns: float(np.median(returns)),
    "worst": lambda returns: float(np.min(returns)),
}
METRICS = (*_SCORES, "seconds")
_HOPELESS = 10  # trials that all fail before a study is given up
_PATIENCE = 60.0  # seconds that another tuner may take to make the study, or to take a trial


class Plan(NamedTuple):
    """What a study is asked for; two processes work on one study where it is the same.

    Attributes:
        asked: of each run, as ``args.yml`` has it; without the seed.
        fixed: hyperparameters that are not searched.
        space: what is searched.
        seeds: of the runs of a trial.
        metrics: one, or a score and ``seconds``.
        sampler, pruner: names.
        seed: of the sampler.
    """

    asked: dict[str, Any]
    fixed: dict[str, Any]
    space: Space
    seeds: list[int]
    metrics: list[str]
    sampler: str = "tpe"
    pruner: str = "none"
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**self._asdict(), "space": as_json(self.space)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Plan:
        """From what `to_json` gave."""
        space = {name: from_json("the study", name, one) for name, one in values["space"].items()}
        return cls(**{**values, "space": space})


def check_plan(plan: Plan) -> None:
    """Refuse what cannot be.

    Raises:
        UsageError: an unknown metric, sampler or pruner, or a pruner that does not go with the metrics or seeds.
    """
    for kind, names, known in (
        ("metric", plan.metrics, METRICS), ("sampler", [plan.sampler], SAMPLERS), ("pruner", [plan.pruner], PRUNERS),
    ):  # fmt: skip
        for name in names:
            if name not in known:
                raise unknown(kind, name, known)
    if plan.metrics[0] == "seconds" or len(plan.metrics) > 2 or plan.metrics[1:] not in ([], ["seconds"]):
        raise UsageError(f"--metric {' '.join(plan.metrics)}: one score, or one and seconds", "For example iqm seconds")
    if len(plan.metrics) > 1 and plan.pruner != "none":
        raise UsageError("no pruner takes two metrics", "Leave out --pruner, or seconds")
    if plan.pruner == "wilcoxon" and len(plan.seeds) < 2:
        raise UsageError("the Wilcoxon pruner compares trials seed by seed, and there is one", "Give several --seed")


def require_optuna() -> Any:
    """The package optuna.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing("searches for hyperparameters", "optuna", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna


@dataclass(frozen=True)
class Place:
    """Where a study is: its folder, whose name is the study's, and its storage; a journal in the folder by default."""

    folder: Path
    url: str | None = None

    @property
    def name(self) -> str:
        """The name of the study."""
        return self.folder.name

    @property
    def journal(self) -> Path:
        """The journal in the folder."""
        return self.folder / "journal.log"

    def storage(self) -> Any:
        """Optuna's storage.

        Raises:
            UsageError: it cannot be opened.
        """
        optuna = require_optuna()
        if self.url is None and self.journal.exists() and not self.journal.is_file():
            raise UsageError(f"{self.journal} is no regular file", "Give another --study")
        try:
            if self.url and "://" in self.url:
                return optuna.storages.RDBStorage(self.url, engine_kwargs={"connect_args": {"timeout": 60}}
                                                  if self.url.startswith("sqlite") else None)  # fmt: skip
            return journal_storage(str(self.url or self.journal), optuna)
        except OSError:
            raise
        except Exception as error:  # SQLAlchemy's many, and Optuna's
            words, remedy = one_line(error), "Give sqlite:///study.db or the path of a journal"
            if "://" not in (self.url or "") and (number := damaged_line(Path(self.url or self.journal))):
                words = f"line {number} is damaged"
                remedy = "Take that line out of a copy of it, or begin another study: --study NAME"
            raise UsageError(f"the storage {self.url or self.journal} cannot be opened: {words}", remedy) from error


def create(place: Place, plan: Plan) -> Any:
    """Optuna's study, made or found.

    Raises:
        UsageError: there is a study of this name that was asked for something else; says what differs.
    """
    check_plan(plan)
    optuna = require_optuna()
    make_folder(place.folder, "-f")
    directions = ["minimize" if metric == "seconds" else "maximize" for metric in plan.metrics]
    mine = json.loads(json.dumps(plan.to_json()))
    with locked(place.folder, _PATIENCE):  # two at once would both make the tables of a data base
        found = optuna.create_study(
            study_name=place.name, storage=place.storage(), directions=directions, load_if_exists=True
        )
        told = found.user_attrs.get("plan")
        if told is None:
            found.set_user_attr("plan", mine)
            found.set_metric_names(plan.metrics)
            write_atomically(place.folder / "plan.json", json.dumps(mine, indent=1).encode())
    if told is not None:
        _checked(place, found)
    if told is not None and (other := _difference(told, mine)):
        raise UsageError(
            f"the study {place.name} was made with {other}", "Give this one another --study, or the same flags"
        )
    return found


def _difference(told: dict[str, Any], mine: dict[str, Any]) -> str:
    """What is asked for otherwise now, in the words of the flags; empty where nothing is."""
    single = ("metrics", "sampler", "pruner", "seed", "seeds")
    before = {**{key: told.get(key) for key in single}, **told["asked"], **told["fixed"]}
    now = {**{key: mine[key] for key in single}, **mine["asked"], **mine["fixed"]}
    if before["n_timesteps"] != now["n_timesteps"]:
        before["eval_freq"] = now["eval_freq"]  # follows from it
    searched = {**told["space"], **mine["space"]}
    found = [f"{name} {before.get(name, 'not given')}, now {now.get(name, 'not given')}"
             for name in {**before, **now} if name not in searched and before.get(name) != now.get(name)]  # fmt: skip
    found += [f"{name} in {told['space'].get(name, 'no space')}, now in {mine['space'].get(name, 'no space')}"
              for name in searched if told["space"].get(name) != mine["space"].get(name)]  # fmt: skip
    return "; ".join(found)


def is_population(folder: Path) -> bool:
    """Whether a folder holds a population (`rlplay.tuning.population`), not a study."""
    return (folder / "generations.jsonl").is_file()


def _checked(place: Place, study: Any) -> Plan:
    """The plan of a study, and its trials, in a storage that others may have written.

    Raises:
        CheckpointError: a value of the wrong type, or trials of other hyperparameters.
    """
    remedy = "Give another --study, or mend its storage"
    try:
        plan = Plan.from_json(study.user_attrs["plan"])
        check_plan(plan)
        if wrong := wrong_arguments(plan.asked, without=("seed",)):
            raise ValueError(wrong)
        if not plan.seeds or not all(isinstance(seed, int) and seed >= 0 for seed in [*plan.seeds, plan.seed]):
            raise ValueError(f"its seeds are {plan.seeds!r:.60}")
        checked(registry.agent_class(plan.asked["algo"]), plan.fixed)
        checked_space(plan.space, plan.asked["algo"])
        for trial in study.get_trials(deepcopy=False):
            if not all(isinstance(value, int | float) for value in trial.values or []):
                raise ValueError(f"trial {trial.number} has the values {trial.values!r:.60}")
            if trial.state.name == "COMPLETE" and set(trial.params) != set(plan.space):
                raise ValueError(f"trial {trial.number} is of {', '.join(sorted(trial.params))!r:.60}")
    except KeyError as error:
        raise CheckpointError(f"the study {place.name} is damaged: it lacks {error}", remedy) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the study {place.name} is damaged: {one_line(error)}", remedy) from error
    return plan


def open_study(place: Place) -> tuple[Any, Plan]:
    """A study that is there, and its plan.

    Raises:
        UsageError: there is none.
    """
    optuna = require_optuna()
    if place.url is None and not place.journal.is_file():
        if is_population(place.folder):
            raise UsageError(f"{place.name} is a population, not a study", "Its command goes on with it")
        if (place.folder / "plan.json").is_file():
            raise UsageError(f"the trials of the study {place.name} are in a storage of their own",
                             "Name it as the search did: --storage sqlite:///FILE")  # fmt: skip
        folder = place.folder.parent
        names = sorted(path.parent.name for path in folder.glob("*/journal.log"))
        raise unknown("study", place.name, names, "" if names else f"{folder} holds none: rlplay tune --algo ...")
    try:
        found = optuna.load_study(study_name=place.name, storage=place.storage())
    except KeyError as error:
        raise unknown("study", place.name, optuna.study.get_all_study_names(place.storage())) from error
    if "plan" not in found.user_attrs:
        raise UsageError(f"the study {place.name} was not made by rlplay tune", "Give another --study")
    return found, _checked(place, found)


class Task(NamedTuple):
    """One more trial, whichever is next."""

    place: Place

    @property
    def name(self) -> str:
        """For errors."""
        return f"a trial of {self.place.name}"


class TrialOutcome(NamedTuple):
    """What became of a trial: its number, state, values, error, and what its runs warned of."""

    number: int
    state: str
    values: list[float]
    error: str = ""
    interrupted: bool = False
    warnings: tuple[str, ...] = ()


def search(place: Place, trials: int, runner: Runner) -> Iterator[TrialOutcome]:
    """Run trials until so many have ended, with those of before and of other processes; each that ends here.

    Raises:
        RlplayError: all of the first trials failed; says why.
    """
    study, _ = open_study(place)
    failed: Counter[str] = Counter()
    good, in_flight = False, 0

    def tasks() -> Iterator[Task]:
        nonlocal in_flight
        while ended(study) + in_flight < trials:
            in_flight += 1
            yield Task(place)

    while ended(study) < trials:
        for _, outcome in runner.results(run_one, tasks()):
            in_flight -= 1
            yield outcome
            good = good or outcome.state != "FAIL"
            failed.update([outcome.error] if outcome.state == "FAIL" else [])
            if not good and failed.total() >= min(_HOPELESS, trials):
                cause = f"all of the first {counted(failed.total(), 'trial')} failed: {failed.most_common(1)[0][0]}"
                raise RlplayError(cause, "Narrow the space: --space FILE.yml")


def ended(study: Any) -> int:
    """How many trials have ended, however."""
    return sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def run_one(task: Task) -> TrialOutcome:
    """Run the next trial: one that a killed process left, or a new one."""
    study, plan = open_study(task.place)
    with ExitStack() as held:
        with locked(task.place.folder, _PATIENCE):  # so a trial without a folder is one whose process is gone
            trial = _left_behind(study, task.place, held)
            if trial is None:
                trial = _asked(study, plan)
                held.enter_context(locked(task.place.folder / f"trial_{trial.number}"))
        return _run(study, plan, trial, task.place)


def _left_behind(study: Any, place: Place, held: ExitStack) -> Any | None:
    """A trial that is said to run and whose process is gone; it is held from now on."""
    optuna = require_optuna()
    for frozen in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        try:
            held.enter_context(locked(place.folder / f"trial_{frozen.number}"))
        except BusyError:
            continue
        now = study.get_trials(deepcopy=False)[frozen.number]
        if now.state.is_finished():
            continue  # it ended in between
        if set(now.params) != set(Plan.from_json(study.user_attrs["plan"]).space):
            study.tell(now.number, state=optuna.trial.TrialState.FAIL)  # killed while it was asked
            continue
        return optuna.trial.Trial(study, now._trial_id)
    return None


def _asked(study: Any, plan: Plan) -> Any:
    """A new trial."""
    optuna = require_optuna()
    number = len(study.get_trials(deepcopy=False))
    seed = int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0])
    if plan.sampler == "random":
        study.sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        study.sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return study.ask({name: _distribution(one) for name, one in plan.space.items()})


def _distribution(dimension: Any) -> Any:
    distributions = require_optuna().distributions
    if not isinstance(dimension, Numbers):
        return distributions.CategoricalDistribution(dimension.values)
    if dimension.integer:
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _pruner(plan: Plan) -> Any:
    pruners = require_optuna().pruners
    return {
        "none": pruners.NopPruner,
        "median": lambda: pruners.MedianPruner(n_startup_trials=5),
        "halving": lambda: pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2),
        "wilcoxon": lambda: pruners.WilcoxonPruner(p_threshold=0.1),
    }[plan.pruner]()


def jobs_of(plan: Plan, params: dict[str, Any], folder: Path, seeds: list[int] | None = None) -> list[Job]:
    """The runs of a trial, one a seed."""
    jobs = []
    for seed in plan.seeds if seeds is None else seeds:
        path = folder / f"{folder_name(plan.asked['env'])}_{seed}"
        make_folder(path)
        jobs.append(Job(path, {**plan.asked, "seed": seed}, {**plan.fixed, **params}))
    return jobs


def rungs_of(asked: dict[str, Any]) -> list[int]:
    """The timesteps at which a trial is judged; the last is its end."""
    every = asked["eval_freq"]
    return [*range(every, asked["n_timesteps"] - every + 1, every), asked["n_timesteps"]]


class _Runs:
    """The runs of a trial, which stand where they stand."""

    def __init__(self, jobs: list[Job]) -> None:
        self._going = [go_on(job) for job in jobs]
        self.seconds = 0.0
        self.warnings: list[str] = []

    def close(self) -> None:
        for going in self._going:
            going.close()

    def learn_to(self, number: int, timestep: int) -> NDArray[np.float64]:
        """Have one learn up to a timestep: the returns of its last evaluation, [E]."""
        going = self._going[number]
        outcome = going.learn_to(timestep)
        self.seconds += outcome.seconds
        self.warnings += outcome.warnings
        if outcome.interrupted:
            raise KeyboardInterrupt
        if outcome.error:
            kind = NoRoomError if outcome.no_room else RlplayError
            raise kind(outcome.error, outcome.remedy)
        return returns_of(going.job, going.agent)


def returns_of(job: Job, agent: Any) -> NDArray[np.float64]:
    """The returns of a run's last evaluation, [E]; of one now, where it ended before the first."""
    path = job.folder / "evaluations.npz"
    if path.is_file():
        return read_evaluations(path).results[-1].astype(np.float64)
    return evaluate(agent, n_eval_episodes=job.asked["eval_episodes"]).returns


def _run(study: Any, plan: Plan, trial: Any, place: Place) -> TrialOutcome:
    optuna = require_optuna()
    states, folder = optuna.trial.TrialState, place.folder / f"trial_{trial.number}"
    runs = None
    score = _SCORES[plan.metrics[0]]
    study.pruner = _pruner(plan)
    try:
        runs = _Runs(jobs_of(plan, trial.params, folder))
        values = [_value(study, runs, plan, trial, score)]
        if "seconds" in plan.metrics:
            values.append(runs.seconds)
        study.tell(trial.number, values)
        return TrialOutcome(trial.number, "COMPLETE", values, warnings=tuple(runs.warnings))
    except KeyboardInterrupt:
        return TrialOutcome(trial.number, "RUNNING", [], interrupted=True)
    except optuna.TrialPruned:
        study.tell(trial.number, state=states.PRUNED)
        return TrialOutcome(trial.number, "PRUNED", [])
    except NoRoomError:
        raise  # the trial is as good as others, and goes on when there is room
    except (RlplayError, CheckpointError) as error:
        cause = getattr(error, "cause", str(error))
        trial.set_user_attr("error", cause)
        study.tell(trial.number, state=states.FAIL)
        return TrialOutcome(trial.number, "FAIL", [], cause)
    finally:
        if runs is not None:
            runs.close()


def _value(study: Any, runs: _Runs, plan: Plan, trial: Any, score: Any) -> float:
    """The score of a trial, judged on the way where a pruner does."""
    optuna = require_optuna()
    every, end = range(len(plan.seeds)), plan.asked["n_timesteps"]
    reported = study.get_trials(deepcopy=False)[trial.number].intermediate_values  # before its process was killed
    if plan.pruner == "wilcoxon":  # seed by seed
        returns = []
        for number in every:
            returns.append(runs.learn_to(number, end))
            if number not in reported:
                trial.report(score(returns[-1]), number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(score(np.concatenate(returns)))
    value = 0.0
    for rung, timestep in enumerate(rungs_of(plan.asked) if plan.pruner != "none" else [end], 1):
        value = float(score(np.concatenate([runs.learn_to(number, timestep) for number in every])))
        if plan.pruner != "none":
            if rung not in reported:
                trial.report(value, rung)
            if timestep < end and trial.should_prune():
                raise optuna.TrialPruned
    return value


def repeat(plan: Plan, params: dict[str, Any], folder: Path) -> float:
    """The score of a trial anew, in a folder of its own: the recorded one, to the bit."""
    runs = _Runs(jobs_of(plan, params, folder))
    try:
        ends = [runs.learn_to(number, plan.asked["n_timesteps"]) for number in range(len(plan.seeds))]
    finally:
        runs.close()
    return float(_SCORES[plan.metrics[0]](np.concatenate(ends)))


def revive(place: Place, number: int) -> float:
    """Finish a pruned trial from its checkpoints; it is added to the study as a trial of its own.

    Raises:
        UsageError: it was not pruned, or is not there.
    """
    optuna = require_optuna()
    study, plan = open_study(place)
    all_trials = study.get_trials(deepcopy=False)
    if not 0 <= number < len(all_trials) or all_trials[number].state != optuna.trial.TrialState.PRUNED:
        pruned = [str(one.number) for one in all_trials if one.state == optuna.trial.TrialState.PRUNED]
        raise UsageError(f"trial {number} of {place.name} was not pruned", f"Pruned are {', '.join(pruned) or 'none'}")
    frozen = all_trials[number]
    with locked(place.folder / f"trial_{number}"):
        value = repeat(plan, frozen.params, place.folder / f"trial_{number}")
    study.add_trial(
        optuna.trial.create_trial(
            params=frozen.params, distributions=frozen.distributions, values=[value],
            user_attrs={"revived": number},
        )
    )  # fmt: skip
    return value
