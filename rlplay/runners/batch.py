"""The runs of one command: which there are and which are done, so that the same command goes on where it stopped.

``<log folder>/.batches/<digest>/runs.jsonl`` has a line for each run that was begun and for each that ended. It goes
when all are done: then the same command begins anew. A run that failed is not done: the same command tries it again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rlplay.errors import BusyError, NoRoomError, UsageError
from rlplay.runners.job import Job, Outcome, finish
from rlplay.runners.runner import LOST_REMEDY, Runner
from rlplay.storage.files import locked, make_folder
from rlplay.training.run_folder import new_run


class Request(NamedTuple):
    """A run before it has a folder: see `Job`."""

    asked: dict[str, Any]
    settings: dict[str, Any]
    dataset: str | None = None

    @property
    def key(self) -> str:
        """The same for the same run."""
        text = json.dumps([self.asked, self.settings, self.dataset], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class Watcher(Protocol):
    """Who is told of the runs of a batch."""

    def began(self, job: Job) -> None:
        """A run began."""

    def ended(self, job: Job, outcome: Outcome) -> None:
        """A run ended."""


def _lost(job: Job, cause: str) -> Outcome:
    """What became of a job over which workers were lost again and again."""
    return Outcome(job.folder, error=cause, remedy=LOST_REMEDY)


class Batch:
    """Runs that are finished together.

    Args:
        log_folder: where run folders are made.
        requests: the runs, all different.
        command: what was typed.
        workers: processes that play each run's environments, as `Agent.learn` takes them.

    Attributes:
        jobs: the job of each run that was begun, by its key.
        outcomes: what became of those that ended, by key.
    """

    def __init__(
        self, log_folder: Path, requests: Sequence[Request], command: str = "", workers: int | str = 0
    ) -> None:
        self.log_folder, self.requests, self.command, self.workers = log_folder, list(requests), command, workers
        self._by_key = {request.key: request for request in self.requests}
        if len(self._by_key) < len(self.requests):
            raise UsageError("two of these runs are the same", "Leave out one of them")
        digest = hashlib.sha256("\n".join(self._by_key).encode()).hexdigest()[:16]
        self.folder = log_folder / ".batches" / digest
        self.jobs: dict[str, Job] = {}
        self.outcomes: dict[str, Outcome] = {}

    @property
    def failed(self) -> int:
        """How many runs failed."""
        return sum(bool(outcome.error) for outcome in self.outcomes.values())

    @property
    def _journal(self) -> Path:
        return self.folder / "runs.jsonl"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the batch for this process, with what is known of its runs.

        Raises:
            BusyError: another process works on the same runs.
            UsageError: the log folder cannot be written.
        """
        make_folder(self.log_folder, "-f")
        try:
            with locked(self.folder):
                self._read()
                yield
        except BusyError as error:
            if str(self.folder) not in error.cause:
                raise
            raise BusyError("another process works on the same runs", "Wait for it, or choose another folder with -f"
                            ) from None  # fmt: skip
        if len(self.outcomes) == len(self.requests) and not self.failed:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> None:
        try:
            lines = self._journal.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return
        for line in lines:
            try:
                row = json.loads(line)
                request, folder = self._by_key[row["key"]], Path(row["folder"])
                ended = row.get("outcome")
            except (ValueError, KeyError, TypeError):
                continue  # half a line, of a kill
            if folder.is_dir():
                self.jobs[row["key"]] = self._job(request, folder)
                if ended is not None:
                    self.outcomes[row["key"]] = Outcome(**{**ended, "folder": folder})

    def _job(self, request: Request, folder: Path) -> Job:
        return Job(folder, request.asked, request.settings, request.dataset, self.command, workers=self.workers)

    def _write(self, row: dict[str, Any]) -> None:
        with open(self._journal, "a+b") as file:
            if file.tell() and (file.seek(-1, 2), file.read(1))[1] != b"\n":
                file.write(b"\n")
            file.write(json.dumps(row, default=str).encode() + b"\n")

    def _begun(self, request: Request) -> Job:
        """The job of a run, with a folder of its own."""
        if request.key not in self.jobs:
            folder = new_run(self.log_folder, request.asked["algo"], request.asked["env"])
            self._write({"key": request.key, "folder": str(folder.path)})
            self.jobs[request.key] = self._job(request, folder.path)
        return self.jobs[request.key]

    def finish(self, runner: Runner, watcher: Watcher) -> None:
        """Finish all runs that are not done yet.

        Raises:
            NoRoomError: the disk is full; no other run was begun then.
        """
        keys: dict[Path, str] = {}
        full: Outcome | None = None

        def tasks() -> Iterator[Job]:
            for request in self.requests:
                if full is None and request.key not in self.outcomes:
                    job = self._begun(request)
                    keys[job.folder] = request.key
                    watcher.began(job)
                    yield job

        for job, outcome in runner.results(finish, tasks(), _lost):
            key = keys.pop(job.folder)
            if not outcome.error:
                self._write({"key": key, "folder": str(job.folder), "outcome": asdict(outcome)})
            self.outcomes[key] = outcome
            watcher.ended(job, outcome)
            full = outcome if outcome.no_room else full
        if full is not None:
            raise NoRoomError(full.error, full.remedy)
