"""A job: one training run that any process can begin, or finish from its newest checkpoint, in the same bits."""

from __future__ import annotations

import time
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rlplay import registry
from rlplay.agent import saving
from rlplay.agent.base import Agent
from rlplay.environments.make import make
from rlplay.environments.packages import import_packages
from rlplay.errors import NoRoomError, RlplayError
from rlplay.hyperparameters.fields import as_json, checked
from rlplay.storage.checkpoint import newest_good
from rlplay.storage.files import locked
from rlplay.training.callbacks import Callback, CheckpointCallback, EvalCallback
from rlplay.training.logs import LogCallback
from rlplay.training.named_callbacks import callbacks_by_name
from rlplay.training.run_folder import RunFolder

_NO_ROOM = "Make room: the same command goes on where it stopped"
_PATIENCE = 30.0  # seconds that a run folder may be held by a process that is ending, such as one whose node was lost


@dataclass(frozen=True)
class Job:
    """One training run.

    Attributes:
        folder: its run folder, made by `rlplay.training.run_folder.new_run`.
        asked: what it is asked for, as ``args.yml`` has it: agent, environment, seed, timesteps, evaluations, ...
        settings: hyperparameters, as they were given.
        dataset: the data set that it learns from; None for none.
        command: what was typed, for ``command.txt``.
        rolling_seconds: seconds between two saves of the checkpoint that a killed run goes on from.
        workers: processes that play its environments, as `Agent.learn` takes them.
    """

    folder: Path
    asked: dict[str, Any]
    settings: dict[str, Any]
    dataset: str | None = None
    command: str = ""
    rolling_seconds: float = 30.0
    workers: int | str = 0

    @property
    def name(self) -> str:
        """The run in a few words."""
        return f"{self.asked['algo']} {self.asked['env']} {self.asked['seed']}"


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        folder: the run folder.
        timesteps: done so far.
        steps_per_second: timesteps over the seconds of learning, of the process that finished the run.
        seconds: from begin to end in that process, all included.
        score: mean return of the last evaluation; None without evaluations.
        interrupted: whether it was asked to stop; what it has done is saved.
        error: why it failed, in a line; empty where it did not.
        remedy: the way out of an error.
        no_room: whether it failed because the disk is full.
        warnings: what was said on the way.
    """

    folder: Path
    timesteps: int = 0
    steps_per_second: float = 0.0
    seconds: float = 0.0
    score: float | None = None
    interrupted: bool = False
    error: str = ""
    remedy: str = ""
    no_room: bool = False
    warnings: list[str] = field(default_factory=list)


class _Clock(Callback):
    """Remembers the run's clock."""

    steps_per_second = 0.0

    def on_training_end(self) -> None:
        self.steps_per_second = self.run.steps_per_second


def finish(job: Job) -> Outcome:
    """Begin a job, or go on from its newest checkpoint, up to its last timestep. Errors are told, not raised."""
    start = time.perf_counter()
    going = go_on(job)
    outcome = going.learn_to(job.asked["n_timesteps"])
    going.close()
    return replace(outcome, seconds=time.perf_counter() - start)


def go_on(job: Job) -> Going:
    """A job that learns up to one timestep after the other; it is begun when it first learns."""
    return Going(job)


class Going:
    """A job in this process.

    Attributes:
        job: the job.
        agent: its agent, once it was begun.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.agent: Agent | None = None
        self._fresh = False
        self._held = ExitStack()

    def learn_to(self, timestep: int) -> Outcome:
        """Learn up to a timestep; nothing is done where it is beyond. Errors are told, not raised."""
        start = time.perf_counter()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            outcome = self._learnt_to(timestep)
        texts = [" ".join(str(one.message).split()) for one in said]
        return replace(outcome, seconds=time.perf_counter() - start, warnings=list(dict.fromkeys(texts)))

    def _learnt_to(self, timestep: int) -> Outcome:
        clock = _Clock()
        how: dict[str, Any] = {}
        evaluations: EvalCallback | None = None
        asked = self.job.asked
        try:
            if self.agent is None:
                self._held.enter_context(locked(self.job.folder, _PATIENCE))
                self.agent, self._fresh = begin(self.job)
            agent = self.agent
            callbacks, evaluations = run_callbacks(RunFolder(self.job.folder), asked, self.job.rolling_seconds)
            left = timestep - agent.num_timesteps
            if left > 0 or agent.busy:
                fresh, self._fresh = self._fresh, False
                agent.learn(
                    max(left, 0), [*callbacks, clock], log_interval=asked["log_interval"], reset_num_timesteps=fresh,
                    engine=asked["engine"], schedule_timesteps=asked["n_timesteps"] if fresh else None,
                    workers=self.job.workers,
                )  # fmt: skip
        except KeyboardInterrupt:
            how = {"interrupted": True}
        except RlplayError as error:
            full = isinstance(error, NoRoomError)
            how = {"error": error.cause, "remedy": _NO_ROOM if full else error.remedy, "no_room": full}
        except Exception as error:  # of an environment, or of an estimator
            how = {"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}
            if isinstance(error, OSError) and (no_room := NoRoomError.of(error, self.job.folder)):
                how = {"error": no_room.cause, "remedy": _NO_ROOM, "no_room": True}
        if "error" in how:
            self.close()
        score = evaluations.evaluations[-1].mean if evaluations and evaluations.evaluations else None
        done = self.agent.num_timesteps if self.agent else 0
        return Outcome(self.job.folder, done, clock.steps_per_second, 0.0, score, **how)

    def close(self) -> None:
        """Leave the run folder to others."""
        self._held.close()


def begin(job: Job) -> tuple[Agent, bool]:
    """The agent of a job, and whether it is at its first timestep; else it stands at the newest checkpoint."""
    asked, folder = job.asked, RunFolder(job.folder)
    import_packages(asked.get("gym_packages") or [])
    env = make(asked["env"], dynamics=asked["dynamics"], **asked["env_kwargs"])
    path = newest_good(folder.path)
    if path is not None:
        return saving.load(path, env), False
    cls = registry.agent_class(asked["algo"])
    agent: Agent = cls(env, seed=asked["seed"], **checked(cls, job.settings))
    if job.dataset is not None:
        agent.remember(job.dataset)  # type: ignore[attr-defined]  # whoever takes one was checked before
    if not (folder.settings / "args.yml").exists():
        folder.write_settings(as_json(agent.hyperparameters), asked, job.command)
    return agent, True


def run_callbacks(
    folder: RunFolder, asked: dict[str, Any], rolling_seconds: float
) -> tuple[list[Callback], EvalCallback | None]:
    """Evaluations, logs and checkpoints of a run, in the order in which they must come; and the first of them.

    In front are those that its settings name.
    """
    callbacks = callbacks_by_name(asked.get("callback"))
    evaluations = None
    freq = asked["eval_freq"]
    if freq is None:
        freq = max(asked["n_timesteps"] // 10, 1)
    if freq > 0:
        evaluations = EvalCallback(
            eval_freq=freq,
            n_eval_episodes=asked["eval_episodes"],
            best_model_save_path=folder.path,
            log_path=folder.path,
        )
        callbacks.append(evaluations)
    save_freq = asked["save_freq"]
    checkpoints = CheckpointCallback(
        save_freq if save_freq and save_freq > 0 else None,
        folder.path,
        keep=asked["keep"],
        rolling=folder.last,
        rolling_seconds=rolling_seconds,
    )
    tensorboard = Path(asked["tensorboard_log"]) if asked["tensorboard_log"] else None
    return [*callbacks, LogCallback(folder, evaluations, tensorboard), checkpoints], evaluations
