"""The one error tree: every error says what is wrong, where, and the way out.

Each error is also a builtin one, so that ``except ValueError`` keeps working. On the command line an error is shown
as one line of cause and one line of remedy, and sets the exit code: 1 failed, 2 wrong usage.
"""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Iterable
from typing import Self


class RlplayError(Exception):
    """Base of all errors of this package.

    Attributes:
        cause: one line that names what is wrong and where.
        remedy: one line that says what to do, or an empty string.

    Example:
        >>> error = RlplayError("the run stopped", "Resume it")
        >>> error.cause, error.remedy, str(error)
        ('the run stopped', 'Resume it', 'the run stopped. Resume it')
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(f"{cause}. {remedy}" if remedy else cause)
        self.cause = cause
        self.remedy = remedy


class UsageError(RlplayError, ValueError):
    """A flag, argument or combination of them that cannot be taken.

    Example:
        >>> issubclass(UsageError, ValueError), UsageError.exit_code
        (True, 2)
    """

    exit_code = 2


class UnknownNameError(UsageError):
    """A name of an agent, environment, hyperparameter or file that is not known."""


class HyperparameterError(UsageError):
    """A hyperparameter of the wrong type or outside its range.

    Example:
        >>> from agents import QLearning
        >>> QLearning("FrozenLake-v1", alpha=2.0)
        Traceback (most recent call last):
            ...
        rlplay.errors.HyperparameterError: QLearning: alpha=2.0 is not a number in (0, 1]. Small steps ...
    """


class SpaceError(UsageError):
    """A space that an agent cannot take, or a value outside its space.

    Example:
        >>> from agents import QLearning
        >>> QLearning("CartPole-v1")
        Traceback (most recent call last):
            ...
        rlplay.errors.SpaceError: QLearning needs finite observations and Box(...) is not. Give ...
    """

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(" ".join(cause.split()), remedy)  # a Box of many numbers is shown over several lines


class CheckpointError(RlplayError, ValueError):
    """A file that is damaged, refused, of another agent or too new.

    Example:
        >>> issubclass(CheckpointError, ValueError), CheckpointError("the file is damaged").exit_code
        (True, 1)
    """


class BusyError(RlplayError, OSError):
    """A file or folder that another process is writing."""


class NoRoomError(RlplayError, OSError):
    """The disk is full, or the user's share of it; what was written before is whole."""

    @classmethod
    def of(cls, error: OSError, place: object) -> Self | None:
        """Where an error of the system says so of a file or folder; None where it says something else.

        Example:
            >>> str(NoRoomError.of(OSError(errno.ENOSPC, "No space left on device"), "runs.csv"))
            'no room is left on the disk for runs.csv. Make room: what was written before is whole'
        """
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return None
        return cls(f"no room is left on the disk for {place}", "Make room: what was written before is whole")


class PlaceError(RlplayError, OSError):
    """A place where no file can be: below a file, a folder's own name, without permission; an old file is untouched.

    Example:
        >>> str(PlaceError.of(FileExistsError(errno.EEXIST, "File exists"), "afile/x.rlp"))
        'afile/x.rlp cannot be written: Not a directory. Name another place'
    """

    @classmethod
    def of(cls, error: OSError, place: object) -> Self:
        """The error for a place where the system made no file; of a file in a folder's place it says just that."""
        there = isinstance(error, FileExistsError)
        why = os.strerror(errno.ENOTDIR) if there else error.strerror or str(error)
        return cls(f"{place} cannot be written: {why}", "Name another place")


class EnvironmentFault(RlplayError, RuntimeError):  # noqa: N818 - the environment's fault, not ours
    """An environment that broke its contract while it ran: NaN rewards, wrong shapes, an exception.

    Example:
        >>> import rlplay
        >>> rlplay.make("FrozenLake-v1").step(0)
        Traceback (most recent call last):
            ...
        rlplay.errors.EnvironmentFault: step() was called before reset(). Call env.reset() first
    """


class NoAttributeError(RlplayError, AttributeError):
    """An attribute that an object does not have, with what stands in its place."""


class MissingLocalError(RlplayError, KeyError):
    """A variable of Stable-Baselines3's loop that a callback asks for and a run does not have."""

    __str__ = Exception.__str__  # KeyError shows its words in quotes


def no_attribute(owner: object, name: str, remedy: str = "") -> NoAttributeError:
    """The error for an attribute that an object does not have.

    Example:
        >>> error = no_attribute(3, "lr_schedule", "Take its rate")
        >>> str(error), isinstance(error, AttributeError)
        ("'int' object has no attribute 'lr_schedule'. Take its rate", True)
    """
    found = NoAttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}", remedy)
    found.name, found.obj = name, owner
    return found


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number of things in words: one of them in the singular.

    Args:
        count: how many.
        noun: one of them.
        plural: several of them; by default the noun with an s.

    Example:
        >>> counted(1, "step"), counted(2_000, "step"), counted(0, "entry", "entries")
        ('1 step', '2,000 steps', '0 entries')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def one_line(error: BaseException) -> str:
    r"""What another's error says, in one line of at most 300 characters, without a full stop.

    Example:
        >>> one_line(ValueError("too\n   large."))
        'too large'
    """
    return " ".join(str(error).split())[:300].removesuffix(".")


_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text with the codes that would steer a terminal, or that it cannot show, as Python writes them.

    Names of folders and words in files of others hold such codes. Lines stay lines.

    Example:
        >>> print(visible("logs\x1b[31m/a\n\udcff"))
        logs\x1b[31m/a
        \udcff
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class MissingPackageError(RlplayError, ImportError):
    """A package that a feature needs and that is absent, or another one that stands in its place.

    Example:
        >>> issubclass(MissingPackageError, ImportError)
        True
    """


def missing(what: str, package: str, extra: str) -> MissingPackageError:
    """The error for a feature whose package is absent, with the extra that brings it.

    Args:
        what: the feature, in the plural: ``"networks over torch"``.
        package: its name at PyPI; the whole extra may bring more, which a lean installation leaves out.
        extra: of rlplay.

    Example:
        >>> str(missing("networks over torch", "torch", "torch"))
        "networks over torch need the package torch. pip install 'rlplay[torch]', or torch alone"
    """
    return MissingPackageError(
        f"{what} need the package {package}", f"pip install 'rlplay[{extra}]', or {package} alone"
    )


_EXTRAS = {  # modules that a user's code or a lesson may import: their package, and the extra that brings it
    "torch": ("torch", "torch"), "stable_baselines3": ("stable-baselines3", "sb3"),
    "sb3_contrib": ("sb3-contrib", "contrib"), "tensorboard": ("tensorboard", "tensorboard"),
    "optuna": ("optuna", "tune"), "ray": ("ray", "ray"), "wandb": ("wandb", "wandb"), "pyarrow": ("pyarrow", "parquet"),
    "imageio_ffmpeg": ("imageio-ffmpeg", "video"),
}  # fmt: skip


def missing_module(error: BaseException, what: str) -> MissingPackageError | None:
    """The error for code that imports a package of an extra that is absent; None for any other error.

    Example:
        >>> missing_module(ModuleNotFoundError("no torch", name="torch.nn"), "this lesson").cause
        'this lesson needs the package torch'
        >>> missing_module(ValueError("another"), "this lesson") is None
        True
    """
    name = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if name not in _EXTRAS:
        return None
    package, extra = _EXTRAS[name]
    found = missing(what, package, extra)
    return MissingPackageError(found.cause.replace(" need the ", " needs the ", 1), found.remedy)


class DisplayError(RlplayError, RuntimeError):
    """A window was asked for where there is no display."""

    exit_code = 2


def unknown(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> UnknownNameError:
    """The error for a name that is not known, with the nearest known names.

    Args:
        kind: what the name stands for, e.g. ``"agent"``.
        name: the name that was given.
        known: the names that exist.
        otherwise: the remedy when nothing is near; by default all known names are listed.

    Example:
        >>> unknown("agent", "q-lerning", ["q-learning", "sarsa"]).remedy
        'Did you mean q-learning?'
    """
    known = sorted(known)
    folded = {k.casefold(): k for k in known}
    near = [folded[k] for k in difflib.get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    if not near:
        tails = {k.split("/")[-1]: v for k, v in folded.items()}
        near = [tails[k] for k in difflib.get_close_matches(name.casefold(), tails, n=3, cutoff=0.6)]
    if not near and len(name) > 2:
        near = [k for word, k in folded.items() if name.casefold() in re.split(r"\W", word)][:3]
    if near:
        remedy = f"Did you mean {' or '.join(near)}?"
    else:
        remedy = otherwise or (f"Known: {', '.join(known)}" if known else "None is known")
    return UnknownNameError(f"unknown {kind} {name!r}", remedy)


def machine_memory() -> int:
    """The memory of this machine in bytes; 64 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 64 * 2**30


def require_memory(what: str, count: int, remedy: str, *, itemsize: int = 8) -> None:
    """Refuse what this machine cannot hold, before anything is allocated.

    Args:
        what: whose memory, and for what.
        count: how many numbers.
        remedy: how to take less.
        itemsize: bytes of a number.

    Raises:
        UsageError: it is more than the memory of the machine; says how much it is.

    Example:
        >>> require_memory("MyAgent: a table of 10 states and 4 actions", 40, "Take fewer states")
        >>> require_memory("MyAgent: a table of 1e9 states and 10**6 actions", 10**15, "Take features")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: MyAgent: a table of 1e9 states and 10**6 actions would need 7,450,581 GiB of ...
    """
    if count * itemsize > (most := machine_memory()):
        raise UsageError(
            f"{what} would need {count * itemsize / 2**30:,.0f} GiB of memory, and there are {most / 2**30:,.0f} here",
            remedy,
        )


class RlplayWarning(UserWarning):
    """Something a user should know that does not stop a run; the command line shows it as one line."""


def warn(message: str, category: type[Warning] = RlplayWarning) -> None:
    """Give a warning that names the line of the user's code from which it came.

    Args:
        message: what to know.
        category: of the warning; a model may have one of scikit-learn's.

    Example:
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warnings.simplefilter("always")
        ...     warn("the run is long")
        >>> said[0].category.__name__, str(said[0].message)
        ('RlplayWarning', 'the run is long')
    """
    warnings.warn(message, category, stacklevel=_levels())


def warn_once(message: str) -> None:
    """Give an `RlplayWarning`, the first time in a process that it says these words.

    Example:
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warnings.simplefilter("always")
        ...     warn_once("the run is long")
        ...     warn_once("the run is long")
        >>> len(said)
        1
    """
    if message not in _said_once:
        _said_once.add(message)
        warnings.warn(message, RlplayWarning, stacklevel=_levels())


_HERE = os.path.dirname(os.path.dirname(__file__))
_LIBRARIES = tuple(
    place + os.sep
    for place in (
        *(os.path.join(_HERE, name) for name in ("rlplay", "agents", "envs")),
        *(sysconfig.get_path(kind) for kind in ("stdlib", "purelib", "platlib")),
    )
)


def _levels() -> int:
    """How many calls lie between a warning and the innermost line that is neither ours nor a library's."""
    levels, frame = 1, sys._getframe(1).f_back
    while frame is not None:
        file = frame.f_code.co_filename
        if not ("importlib" in file and "_bootstrap" in file):  # Python does not count those
            levels += 1
            if not file.startswith(_LIBRARIES):
                break
        frame = frame.f_back
    return levels


_said_once: set[str] = set()
