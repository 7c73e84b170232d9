"""What a student has done, kept in a small JSON file in the user's data folder."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rlplay.course.lesson import Lesson, lessons
from rlplay.errors import BusyError, RlplayError, UsageError, warn
from rlplay.storage.files import locked, reason, write_atomically
from rlplay.storage.texts import text_of

VERSION = 1
_PATIENCE = 10.0  # seconds to wait for another terminal that writes
_ELSEWHERE = "Set RLPLAY_DATA_DIR to a folder of your own"


def data_folder() -> Path:
    """Where progress and pictures are kept: ``RLPLAY_DATA_DIR``, else the user's data folder."""
    if named := os.environ.get("RLPLAY_DATA_DIR"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "rlplay"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "rlplay"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "rlplay"


@dataclass
class Progress:
    """What was read and answered.

    Attributes:
        read: ids of lessons that were gone through.
        right: for each lesson the numbers of the exercises that were answered rightly.
        tries: for each lesson and exercise (``"id 2"``) how often an answer was given.
        seconds: for each lesson the time spent on it.
    """

    read: list[str] = field(default_factory=list)
    right: dict[str, list[int]] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def is_done(self, one: Lesson) -> bool:
        """Whether a lesson was read and all its exercises answered."""
        return one.id in self.read and self.solved(one) == len(one.exercises)

    def solved(self, one: Lesson) -> int:
        """How many exercises of a lesson were answered rightly."""
        return len({exercise.number for exercise in one.exercises} & set(self.right.get(one.id, ())))

    def next_lesson(self) -> Lesson | None:
        """The first lesson of the path that is not done, the museum left out; None at the end."""
        path = [one for one in lessons() if one.part != "museum of failures"]
        return next((one for one in path if not self.is_done(one)), None)

    def answered(self, name: str, number: int, *, right: bool) -> None:
        """Take note of an answer; one that was right stays right."""
        key = f"{name} {number}"
        self.tries[key] = self.tries.get(key, 0) + 1
        if right and number not in self.right.setdefault(name, []):
            self.right[name] = sorted([*self.right[name], number])

    def went_through(self, name: str, seconds: float) -> None:
        """Take note that a lesson was read, and of the time."""
        if name not in self.read:
            self.read.append(name)
        self.spent(name, seconds)

    def spent(self, name: str, seconds: float) -> None:
        """Take note of time spent on a lesson."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 1)


def progress_file() -> Path:
    """The file that progress is kept in."""
    return data_folder() / "learn.json"


def load() -> Progress:
    """The progress so far; none where there is no file.

    A file that is damaged is put aside under another name, with a warning, and progress begins anew.

    Raises:
        RlplayError: the file cannot be read or is of a later version; it is left as it is.
    """
    path = progress_file()
    try:
        text = text_of(path).removeprefix("\ufeff")  # a mark that some editors put in front
    except FileNotFoundError:
        return Progress()
    except UnicodeDecodeError:
        return _put_aside(path)
    except OSError as error:
        if error.errno != errno.EFBIG:
            raise RlplayError(
                f"{path} cannot be read: {reason(error)}", f"{_ELSEWHERE}, or: rlplay learn --forget"
            ) from error
        return _put_aside(path)
    try:
        held = json.loads(text)
        version = held["version"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return _put_aside(path)
    if isinstance(version, int) and version > VERSION:
        raise RlplayError(
            f"{path} is of version {version}, and this rlplay reads {VERSION}",
            "Upgrade rlplay, or begin anew: rlplay learn --forget",
        )
    try:
        return _checked(held)
    except (ValueError, TypeError, KeyError, AttributeError):
        return _put_aside(path)


def _checked(held: dict[str, Any]) -> Progress:
    """The progress that a file holds.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: it is none that `save` wrote.
    """
    found = Progress(
        list(held["read"]), {name: sorted(set(numbers)) for name, numbers in held["right"].items()},
        dict(held["tries"]), dict(held["seconds"]),
    )  # fmt: skip
    counts = [*found.tries.values(), *(number for numbers in found.right.values() for number in numbers)]
    if held["version"] != VERSION or not isinstance(held["read"], list) or not all(map(_is_text, found.read)):
        raise ValueError(held["version"])
    if not all(type(count) is int and 0 < count < 2**53 for count in counts):
        raise ValueError(counts)
    if not all(type(spent) in (int, float) and 0 <= spent < math.inf for spent in found.seconds.values()):
        raise ValueError(found.seconds)
    return found


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _put_aside(path: Path) -> Progress:
    try:
        aside = _moved(path, "damaged")
    except OSError as error:
        raise RlplayError(f"{path} is damaged and cannot be put aside: {reason(error)}", _ELSEWHERE) from error
    warn(f"{path} is damaged: it was put aside as {aside.name}, and progress begins anew")
    return Progress()


def _moved(path: Path, ending: str) -> Path:
    """Rename a file to a name that is free; that name."""
    aside, number = path.with_name(f"{path.name}.{ending}"), 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{ending}{number}")
    path.replace(aside)
    return aside


def save(progress: Progress) -> Path:
    """Write the progress; at every moment the file is whole."""
    held = {
        "version": VERSION, "read": progress.read, "right": progress.right, "tries": progress.tries,
        "seconds": progress.seconds,
    }  # fmt: skip
    return write_atomically(progress_file(), (json.dumps(held, indent=1) + "\n").encode())


def update(change: Callable[[Progress], None]) -> Progress:
    """Read the progress, change it and write it, while no other terminal does; what it is then.

    Args:
        change: alters the progress it is given.

    Raises:
        RlplayError: another process held the folder for ten seconds, it cannot be written, or the file cannot be read
            or is of a later version; it is left as it is.
    """
    with _held():
        progress = load()
        change(progress)
        save(progress)
    return progress


@contextmanager
def _held() -> Iterator[None]:
    """Hold the folder; what hinders that, or writing there, is said with the way out."""
    try:
        with locked(data_folder(), _PATIENCE):
            yield
    except (UsageError, BusyError) as error:
        raise RlplayError(error.cause, _ELSEWHERE) from error
    except OSError as error:
        raise RlplayError(f"{data_folder()} cannot be written: {reason(error)}", _ELSEWHERE) from error


def forget() -> Path | None:
    """Put the file aside as ``learn.json.old``, or with a number where there is one; None where there was no file."""
    path = progress_file()
    if not path.exists():
        return None
    with _held():
        return _moved(path, "old")
