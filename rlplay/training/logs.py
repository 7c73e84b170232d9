"""What a run writes down: a row an episode, a row a log step, and TensorBoard where it is asked for.

``0.monitor.csv`` is Stable-Baselines3's Monitor file (JSON header; r, l, t) with the episode's number and last step
added; ``progress.csv`` has SB3's tag names, those of the last update (``train/loss``) and of what callbacks recorded
after the others. A resumed run drops the rows after its checkpoint and goes on, so that
the files equal those of an undisturbed run (but for times).
"""

from __future__ import annotations

import csv
import importlib.util
import json
import time
from pathlib import Path
from typing import IO, Any

from rlplay.environments.make import reference
from rlplay.errors import CheckpointError, UsageError, counted, missing, warn
from rlplay.storage.files import make_folder
from rlplay.training.callbacks import Callback, EvalCallback, RunClock
from rlplay.training.learner import Learner
from rlplay.training.logger import NUMBERS
from rlplay.training.run_folder import RunFolder
from rlplay.training.statistics import FinishedEpisode

MONITOR_COLUMNS = ["r", "l", "t", "episode", "step"]
PROGRESS_COLUMNS = [
    "time/total_timesteps",
    "time/time_elapsed",
    "time/fps",
    "rollout/episodes",
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "eval/mean_reward",
]

_NO_TENSORBOARD = missing("TensorBoard logs", "tensorboard", "tensorboard")


class LogCallback(Callback):
    """Write ``0.monitor.csv``, ``progress.csv`` and, where a folder is given, TensorBoard events.

    Args:
        run_folder: the folder of the run.
        evaluations: the callback whose last mean is logged.
        tensorboard_log: folder for TensorBoard, in which this run's is ``<agent>-<Env>_<number>``; needs the extra
            ``rlplay[tensorboard]``.
    """

    def __init__(
        self, run_folder: RunFolder, evaluations: EvalCallback | None = None, tensorboard_log: Path | None = None
    ) -> None:
        self.folder, self.evaluations = run_folder, evaluations
        name = f"{run_folder.path.parent.name}-{run_folder.path.name}"  # ppo-CartPole-v1_3
        self.tensorboard = TensorBoard(tensorboard_log / name) if tensorboard_log else None
        self._writes = True
        self._columns = list(PROGRESS_COLUMNS)

    def on_training_start(self) -> None:
        """Open the files; drop rows after the checkpoint that is resumed."""
        self._start = time.time()
        header = {"t_start": self._start, "env_id": reference(self.agent.env).id}
        now = self.agent.num_timesteps
        self._monitor = _continue(self.folder.monitor, MONITOR_COLUMNS, "step", now, "#" + json.dumps(header))
        try:
            self._columns += [one for one in _more_columns(self.folder.progress, now) if one not in self._columns]
            self._progress = _continue(self.folder.progress, self._columns, PROGRESS_COLUMNS[0], now, "")
        except BaseException:
            self._monitor.close()
            raise

    def on_episodes(self, rows: list[FinishedEpisode]) -> None:
        """A row an episode."""
        elapsed = time.time() - self._start
        self._write(
            self._monitor,
            (
                [f"{r.episode_return:.6g}", str(r.length), f"{elapsed:.6f}", str(r.episode), str(r.timestep)]
                for r in rows
            ),
        )
        if rows:
            self._flush(self._monitor)  # before the checkpoint of these steps, so that a kill loses no row before it

    def on_log(self) -> None:
        """A row of numbers, on disk at once."""
        best = self.evaluations.evaluations[-1].mean if self.evaluations and self.evaluations.evaluations else None
        row = row_of(self.agent, self.run, time.time() - self._start, best)
        new = [tag for tag in row if tag not in self._columns]
        if new:  # the first update has happened, or a callback records something
            self._widen(new)
        self._write(self._progress, [["" if (v := row.get(tag)) is None else str(v) for tag in self._columns]])
        for file in (self._monitor, self._progress):
            self._flush(file)
        if self.tensorboard:
            self.tensorboard.write(row, self.agent.num_timesteps)

    def _widen(self, new: list[str]) -> None:
        """Begin new columns; they are empty in the rows so far."""
        if not self._writes:
            return
        self._columns += new
        try:
            self._progress.close()
            now = self.agent.num_timesteps
            self._progress = _continue(self.folder.progress, self._columns, PROGRESS_COLUMNS[0], now, "")
        except OSError as error:
            self._give_up(error)

    def on_training_end(self) -> None:
        """Close the files."""
        for file in (self._monitor, self._progress):
            self._flush(file)
            file.close()
        if self.tensorboard:
            self.tensorboard.close()

    def _write(self, file: IO[str], rows: Any) -> None:
        if self._writes:
            try:
                csv.writer(file, lineterminator="\n").writerows(rows)
            except OSError as error:
                self._give_up(error)

    def _flush(self, file: IO[str]) -> None:
        if self._writes:
            try:
                file.flush()
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writes = False
        warn(f"the logs in {self.folder.path} cannot be written any more and training goes on: {error}")


def row_of(agent: Learner, run: RunClock, seconds: float, evaluated: float | None) -> dict[str, Any]:
    """A row of the logs by Stable-Baselines3's tags; what is not known yet is None, or left out.

    Args:
        agent: the agent that learns.
        run: the running training.
        seconds: since its start.
        evaluated: the mean return of the last evaluation; None for none.
    """
    statistics = agent.statistics
    return {
        "time/total_timesteps": agent.num_timesteps,
        "time/time_elapsed": round(seconds, 3),
        "time/fps": round(run.steps_per_second),
        "rollout/episodes": statistics.episodes,
        **statistics.metrics(),
        "eval/mean_reward": evaluated,
        **{tag: value for tag, value in agent.metrics().items() if tag not in PROGRESS_COLUMNS},
        **{tag: value for tag, value in agent.logger.noted.items() if isinstance(value, NUMBERS)},
    }


def _more_columns(path: Path, timestep: int) -> list[str]:
    """The columns of a log that goes on."""
    if not timestep or not path.exists():
        return []
    first = next(iter(_lines(path)), "")
    try:
        return next(csv.reader([first]), [])
    except csv.Error:
        return []  # said where it is read


class _Opening(Callback):
    """Opens a log first of all callbacks; it writes last, since a row holds what they record."""

    def __init__(self, log: TensorBoardLog) -> None:
        self.log = log

    def on_training_start(self) -> None:
        """Open it."""
        self.log.open(self.agent)


class TensorBoardLog(Callback):
    """TensorBoard events in ``FOLDER/NAME_K``, as Stable-Baselines3's ``tensorboard_log`` and ``tb_log_name``.

    Args:
        folder: the folder of all runs.
        name: the name of this one.
        anew: whether it is a run of its own; else it goes on in the newest folder of its name.

    Raises:
        MissingPackageError: tensorboard is not installed.
    """

    def __init__(self, folder: Path, name: str, anew: bool) -> None:
        require_tensorboard()
        self.folder, self.name, self.anew = folder, name, anew
        self.opening = _Opening(self)

    def open(self, agent: Learner) -> None:
        """Open the file, before other callbacks ask for it."""
        numbers = [path.name.removeprefix(f"{self.name}_") for path in self.folder.glob(f"{self.name}_*")]
        newest = max((int(number) for number in numbers if _is_step(number)), default=0)
        self._start, folder = time.time(), self.folder / f"{self.name}_{max(newest + self.anew, 1)}"
        self._tensorboard = TensorBoard(folder)
        agent.logger.open_tensorboard(folder, self._tensorboard.events)

    def on_log(self) -> None:
        """The numbers of a row."""
        self._tensorboard.write(row_of(self.agent, self.run, time.time() - self._start, None), self.agent.num_timesteps)
        self.agent.logger.write_pictures(self.agent.num_timesteps)

    def on_training_end(self) -> None:
        """Close the files."""
        self._tensorboard.close()
        self.agent.logger.close_tensorboard()


class PrintedLog(Callback):
    """The rows of the logs as tables on standard output, as Stable-Baselines3 prints them with ``verbose=1``."""

    def on_training_start(self) -> None:
        """Begin the clock."""
        self._start, self._lessons = time.time(), self.agent.lessons

    def on_log(self) -> None:
        """Print a row, where something was learned since the last one, or a callback asks for one."""
        if self.agent.lessons == self._lessons and not self.agent.logger.dumps:
            return
        self._lessons = self.agent.lessons
        words = {tag: value for tag, value in self.agent.logger.noted.items() if isinstance(value, str)}
        row = row_of(self.agent, self.run, time.time() - self._start, None) | words
        lines, heading = [], ""
        for tag, value in sorted(row.items()):
            if value is None:
                continue
            group, _, name = tag.partition("/")
            if group != heading:
                lines.append((f"{group}/", ""))
                heading = group
            lines.append((f"   {name}", f"{value:.3g}" if isinstance(value, float) else str(value)))
        names, values = (max(len(one[k]) for one in lines) for k in (0, 1))
        rule = "-" * (names + values + 7)
        print("\n".join([rule, *(f"| {name:<{names}} | {value:<{values}} |" for name, value in lines), rule]))


def logs_of(agent: Any, name: str | None, anew: bool) -> list[Callback]:
    """What ``verbose`` and ``tensorboard_log`` of an agent ask for; a logger of the user's prints itself, as there.

    Args:
        agent: the agent.
        name: of the run in TensorBoard's folder; None for the agent's class.
        anew: whether it is a run of its own there.

    Raises:
        UsageError: a name that is none.

    Example:
        >>> from agents import QLearning
        >>> [type(one).__name__ for one in logs_of(QLearning("FrozenLake-v1", verbose=1), None, True)]
        ['PrintedLog']
    """
    if not isinstance(name, str | None):
        raise UsageError(
            f"tb_log_name={name!r} is no name", "learn takes total_timesteps, callback, log_interval, tb_log_name, "
            "reset_num_timesteps, progress_bar, as in Stable-Baselines3; give them by name",
        )  # fmt: skip
    found: list[Callback] = [PrintedLog()] if agent.verbose and not agent.logger.listens else []
    if agent.tensorboard_log is not None:
        found.append(TensorBoardLog(agent.tensorboard_log, name or type(agent).__name__, anew))
    return found


def _continue(path: Path, columns: list[str], key: str, timestep: int, header: str) -> IO[str]:
    """Open a log for appending after the rows up to a timestep; a fresh one where there is none."""
    kept: list[list[str]] = []
    if timestep and path.exists():
        lines = _lines(path)
        comments = [line for line in lines if line.startswith("#")]
        header = comments[0] if comments else header
        try:
            rows = [row for row in csv.reader(line for line in lines if not line.startswith("#")) if row]
        except csv.Error as error:
            raise _damaged(path, f"has a line that is no row ({error})") from error
        missing = set(columns) - set(rows[0]) if rows else set()
        if lines and (not rows or missing & {*MONITOR_COLUMNS, *PROGRESS_COLUMNS}):
            raise _damaged(path, "has no line that names its columns")
        place = [None if column in missing else rows[0].index(column) for column in columns] if rows else []
        whole = [["" if k is None else row[k] for k in place] for row in rows[1:] if len(row) == len(rows[0])]
        whole = [row for row in whole if _is_step(row[columns.index(key)])]
        if len(whole) < len(rows) - 1:
            warn(f"{path} is damaged: {counted(len(rows) - 1 - len(whole), 'row')} left out")
        kept = [row for row in whole if int(row[columns.index(key)]) <= timestep]
    file = open(path, "w", encoding="utf-8", newline="")  # noqa: SIM115 - closed at the end of training
    if header:
        file.write(header + "\n")
    csv.writer(file, lineterminator="\n").writerows([columns, *kept])
    file.flush()
    return file


def _lines(path: Path) -> list[str]:
    """The whole lines of a log; a kill can leave half a line at its end."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise _damaged(path, "is no UTF-8 text") from error
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error.strerror})") from error
    if any("\0" in line for line in lines):
        raise _damaged(path, "has bytes that are no text")
    return [line.rstrip("\n") for line in lines if line.endswith("\n")]


def _is_step(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _damaged(path: Path, how: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: it {how}", f"To go on without its rows, remove it: rm {path}")


def require_tensorboard() -> None:
    """Have tensorboard at hand before a run begins.

    Raises:
        MissingPackageError: it is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise _NO_TENSORBOARD


class TensorBoard:
    """Scalars for TensorBoard, written without torch.

    Attributes:
        events: TensorBoard's own writer of events.

    Raises:
        MissingPackageError: tensorboard is not installed.
        UsageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise _NO_TENSORBOARD from error
        make_folder(folder, "tensorboard_log, or log_dir")
        self._event, self._summary = Event, Summary
        self.events = EventFileWriter(str(folder))

    def add(self, tag: str, value: float, timestep: int) -> None:
        """One number under one tag."""
        summary = self._summary(value=[self._summary.Value(tag=tag, simple_value=value)])
        self.events.add_event(self._event(wall_time=time.time(), step=timestep, summary=summary))

    def write(self, row: dict[str, Any], timestep: int) -> None:
        """The numbers of a row, but for the timestep and the clock."""
        for tag, value in row.items():
            if value is not None and tag not in PROGRESS_COLUMNS[:2]:
                self.add(tag, float(value), timestep)

    def close(self) -> None:
        """Write what is left."""
        self.events.close()
