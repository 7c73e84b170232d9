"""What a run writes down: a row an episode, a row a log step, and TensorBoard where it is asked for.

``0.monitor.csv`` is Stable-Baselines3's Monitor file (JSON header; r, l, t) with the episode's number and last step
added; ``progress.csv`` has SB3's tag names. A resumed run drops the rows after its checkpoint and goes on, so that
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
from rlplay.errors import CheckpointError, MissingPackageError, warn
from rlplay.training.callbacks import Callback, EvalCallback
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

_NO_TENSORBOARD = MissingPackageError(
    "TensorBoard logs need the package tensorboard", "pip install 'rlplay[tensorboard]'"
)


class LogCallback(Callback):
    """Write ``0.monitor.csv``, ``progress.csv`` and, where a folder is given, TensorBoard events.

    Args:
        run_folder: the folder of the run.
        evaluations: the callback whose last mean is logged.
        tensorboard_log: folder for TensorBoard; needs the extra ``rlplay[tensorboard]``.
    """

    def __init__(
        self, run_folder: RunFolder, evaluations: EvalCallback | None = None, tensorboard_log: Path | None = None
    ) -> None:
        self.folder, self.evaluations = run_folder, evaluations
        self.tensorboard = TensorBoard(tensorboard_log / run_folder.path.name) if tensorboard_log else None
        self._writes = True

    def on_training_start(self) -> None:
        """Open the files; drop rows after the checkpoint that is resumed."""
        self._start = time.time()
        header = {"t_start": self._start, "env_id": reference(self.agent.env).id}
        now = self.agent.num_timesteps
        self._monitor = _continue(self.folder.monitor, MONITOR_COLUMNS, "step", now, "#" + json.dumps(header))
        try:
            self._progress = _continue(self.folder.progress, PROGRESS_COLUMNS, PROGRESS_COLUMNS[0], now, "")
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
        agent, statistics = self.agent, self.agent.statistics
        best = self.evaluations.evaluations[-1].mean if self.evaluations and self.evaluations.evaluations else None
        values = [
            agent.num_timesteps,
            round(time.time() - self._start, 3),
            round(self.run.steps_per_second),
            statistics.episodes,
            statistics.mean_return if statistics.recent else None,
            statistics.mean_length if statistics.recent else None,
            best,
        ]
        self._write(self._progress, [["" if v is None else str(v) for v in values]])
        for file in (self._monitor, self._progress):
            self._flush(file)
        if self.tensorboard:
            for tag, value in zip(PROGRESS_COLUMNS[2:], values[2:], strict=True):
                if value is not None:
                    self.tensorboard.add(tag, float(value), agent.num_timesteps)

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
        if lines and (not rows or not set(columns) <= set(rows[0])):
            raise _damaged(path, "has no line that names its columns")
        place = [rows[0].index(column) for column in columns] if rows else []
        whole = [[row[k] for k in place] for row in rows[1:] if len(row) == len(rows[0])]
        whole = [row for row in whole if _is_step(row[columns.index(key)])]
        if len(whole) < len(rows) - 1:
            warn(f"{path} is damaged: {len(rows) - 1 - len(whole)} rows are left out")
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

    Raises:
        MissingPackageError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise _NO_TENSORBOARD from error
        self._event, self._summary = Event, Summary
        self._writer = EventFileWriter(str(folder))

    def add(self, tag: str, value: float, timestep: int) -> None:
        """One number under one tag."""
        summary = self._summary(value=[self._summary.Value(tag=tag, simple_value=value)])
        self._writer.add_event(self._event(wall_time=time.time(), step=timestep, summary=summary))

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
