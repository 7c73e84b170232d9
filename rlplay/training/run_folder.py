"""Where runs live: RL Zoo's layout, so that its plot scripts read our runs.

    logs/<algo>/<Env>_<k>/
        best_model.rlp  <Env>.rlp  rl_model_<n>_steps.rlp     the best, the last and the numbered checkpoints
        evaluations.npz  0.monitor.csv  progress.csv
        <Env>/config.yml  args.yml  command.txt               hyperparameters, arguments and the command

Slashes in ids become ``-``.
"""

from __future__ import annotations

import contextlib
import csv
import math
import re
import shlex
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, RlplayError, UsageError, one_line, unknown, warn
from rlplay.storage import checkpoint
from rlplay.storage.files import as_path, make_folder, write_together
from rlplay.storage.texts import PlainLoader, plain_yaml, text_of


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _is_count(value: Any) -> bool:
    return _is_whole(value) and value >= 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and value != ""


# What args.yml says, and what each value must be.
_ASKED: dict[str, Callable[[Any], bool]] = {
    "algo": _is_text,
    "env": _is_text,
    "env_kwargs": lambda value: (
        isinstance(value, dict)
        and all(isinstance(key, str) for key in value)
        and not {"env", "dynamics"} & value.keys()
    ),
    "seed": _is_whole,
    "n_timesteps": _is_count,
    "dynamics": lambda value: value in ("auto", "native", "gymnasium"),
    "engine": lambda value: value in ("auto", "python", "compiled"),
    "eval_freq": _or_none(_is_whole),
    "eval_episodes": _is_count,
    "save_freq": _or_none(_is_whole),
    "keep": _or_none(_is_count),
    "log_interval": _or_none(_is_count),
    "tensorboard_log": _or_none(_is_text),
}


def wrong_arguments(asked: dict[str, Any], *, without: Collection[str] = ()) -> str:
    """What is wrong in what a run was asked for, in words; empty where nothing is.

    Args:
        asked: as ``args.yml`` has it.
        without: what need not be there.

    Example:
        >>> wrong_arguments({"algo": "q-learning", "env": 5})
        "env is '5'"
    """
    for name, fits in _ASKED.items():
        if name not in asked and name not in without:
            return f"it lacks {name}"
        if name in asked and not fits(asked[name]):
            return f"{name} is {str(asked[name])[:60]!r}"
    return ""


_LARGEST = 2**27  # bytes of evaluations, and of a log


class Evaluations(NamedTuple):
    """What ``evaluations.npz`` holds.

    Attributes:
        timesteps: int64 [N].
        results: return of each episode, float64 [N, E].
        ep_lengths: its steps, int64 [N, E].
        successes: whether it ended with success, bool [N, E]; None where no environment said so.
    """

    timesteps: NDArray[np.int64]
    results: NDArray[np.float64]
    ep_lengths: NDArray[np.int64]
    successes: NDArray[np.bool_] | None = None


def read_evaluations(path: Path) -> Evaluations:
    """The evaluations in a file; runs no code.

    Raises:
        CheckpointError: damaged; says how to go on without it.
    """
    try:
        if path.exists() and not path.is_file():
            raise ValueError("no regular file")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
            entries = saved.zip.infolist()
            if len({entry.filename for entry in entries}) < len(entries):
                raise ValueError("two members of the same name")
            if sum(entry.file_size for entry in entries) > _LARGEST:
                raise ValueError("it promises too much")
            names = [name for name in Evaluations._fields if name != "successes" or name in saved.files]
            found = Evaluations(*(np.asarray(saved[name]) for name in names))
    except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, MemoryError, RuntimeError,
            zipfile.BadZipFile, zlib.error, NotImplementedError) as error:  # fmt: skip
        raise _damaged(path, "cannot be read as evaluations") from error
    kinds = [array.dtype.kind for array in found[:3]]
    fits = found.timesteps.ndim == 1 and found.results.ndim == 2 and found.results.size > 0
    same = found.results.shape == found.ep_lengths.shape and len(found.results) == len(found.timesteps)
    if (ends := found.successes) is not None and (ends.shape != found.results.shape or ends.dtype.kind not in "biuf"):
        raise _damaged(path, "holds other successes than an episode has: [N, E]")
    if not (fits and same and kinds[0] in "iu" and kinds[1] in "iuf" and kinds[2] in "iu"):
        raise _damaged(path, "holds other arrays than timesteps [N], results [N, E] and ep_lengths [N, E]")
    return found


def _damaged(path: Path, how: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged: it {how}", f"To go on without it, remove it: rm {shlex.quote(str(path))}"
    )


def folder_name(name: str) -> str:
    """An id as the name of a folder."""
    return re.sub(r"[/\\:]", "-", name)


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run."""

    path: Path

    @property
    def env_name(self) -> str:
        """The environment's id as it stands in file names."""
        return self.path.name.rpartition("_")[0]

    @property
    def last(self) -> Path:
        """The last checkpoint, rewritten while the run goes on."""
        return self.path / f"{self.env_name}.rlp"

    @property
    def best(self) -> Path:
        """The checkpoint of the best evaluation."""
        return self.path / "best_model.rlp"

    @property
    def settings(self) -> Path:
        """The folder of config.yml, args.yml and command.txt, also where the run's own folder was renamed."""
        named = self.path / self.env_name
        others = [] if (named / "args.yml").exists() else [path.parent for path in self.path.glob("*/args.yml")]
        return others[0] if len(others) == 1 else named

    @property
    def monitor(self) -> Path:
        """The rows of finished episodes."""
        return self.path / "0.monitor.csv"

    @property
    def progress(self) -> Path:
        """The log rows."""
        return self.path / "progress.csv"

    def write_settings(self, config: dict[str, Any], arguments: dict[str, Any], command: str) -> None:
        """Write what the run was asked for."""
        config_text, arguments_text = (
            yaml.safe_dump(content, sort_keys=False, allow_unicode=True) for content in (config, arguments)
        )
        texts = {"config.yml": config_text, "args.yml": arguments_text, "command.txt": command + "\n"}
        write_together(self.settings, {name: text.encode(errors="backslashreplace") for name, text in texts.items()})

    def arguments(self) -> dict[str, Any]:
        """What the run was asked for.

        Raises:
            CheckpointError: the folder is no run, or its arguments are damaged.
        """
        path = self.settings / "args.yml"
        without = (
            f"Mend it, or go on from the checkpoint without it: rlplay train -i {shlex.quote(str(self.path))} -n N"
        )
        try:
            arguments = plain_yaml(text_of(path), PlainLoader)
        except OSError as error:
            raise CheckpointError(
                f"{self.path} is no run that can be resumed: {path} cannot be read",
                without if self.path.is_dir() else "Name a folder like logs/q-learning/FrozenLake-v1_1",
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} is damaged: it is no YAML text", without) from error
        if not isinstance(arguments, dict):
            raise CheckpointError(f"{path} is damaged: it does not say what the run was asked for", without)
        if wrong := wrong_arguments(arguments):
            raise CheckpointError(f"{path} is damaged: {wrong}", without)
        return arguments

    def config(self) -> dict[str, Any]:
        """The hyperparameters that the run was given, by name.

        Raises:
            CheckpointError: they cannot be read, or are no names and values.
        """
        path = self.settings / "config.yml"
        try:
            found = plain_yaml(text_of(path), PlainLoader)
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{path} cannot be read: {one_line(error)[:200]}") from error
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
            raise CheckpointError(f"{path} is damaged: it holds no hyperparameters by name")
        return found

    def rows(self) -> Iterator[dict[str, str]]:
        """The rows of the log, as far as it can be read; none of a file that is larger than logs are."""
        if not self.progress.is_file() or self.progress.stat().st_size > _LARGEST:
            return
        with (
            contextlib.suppress(OSError, ValueError, csv.Error),
            open(self.progress, encoding="utf-8", newline="") as file,
        ):
            yield from csv.DictReader(file)

    def done(self) -> tuple[int, float | None]:
        """Timesteps done, and timesteps a second, as the last whole row of the log says; 0 and None without one."""
        steps, speed = 0, None
        with contextlib.suppress(ValueError, KeyError, TypeError):
            for row in self.rows():
                done, a_second = int(row["time/total_timesteps"]), float(row["time/fps"])
                if not (_is_whole(done) and done >= 0):
                    break  # a row that no run wrote
                steps, speed = done, a_second if 0 < a_second < math.inf else None
        return steps, speed

    def last_checkpoint(self) -> Path:
        """The last checkpoint to watch, or the newest that verifies where it is damaged.

        Raises:
            CheckpointError: none verifies.
        """
        return self.newest_checkpoint() if self._last_is_damaged() else self.last

    def newest_checkpoint(self) -> Path:
        """The newest checkpoint that verifies, of whatever name: where a killed run is resumed.

        Raises:
            CheckpointError: none verifies.
        """
        good = checkpoint.newest_good(self.path)
        if good is None:
            raise CheckpointError(f"{self.path} has no checkpoint that can be read", "Train it anew")
        if good != self.last and self._last_is_damaged():
            warn(f"{self.last} is missing or damaged: {good.name} is taken")
        return good

    def _last_is_damaged(self) -> bool:
        try:
            checkpoint.read(self.last)
        except RlplayError:
            return True
        return False


def new_run(log_folder: Path, algo: str, env_id: str) -> RunFolder:
    """The next run folder of an agent in an environment."""
    parent, name = log_folder / folder_name(algo), folder_name(env_id)
    numbers = [0]
    for path in parent.glob(f"{name}_*") if parent.is_dir() else []:
        number = path.name.removeprefix(f"{name}_")
        if number.isdigit():
            numbers.append(int(number))
    make_folder(parent, "-f")
    for next_number in range(max(numbers) + 1, max(numbers) + 1000):
        path = parent / f"{name}_{next_number}"
        try:
            path.mkdir()
            return RunFolder(path)
        except FileExistsError:  # another process took the number
            continue
    raise UsageError(f"no free run number in {parent}")


def find_run(log_folder: Path, algo: str | None, env_id: str | None, exp_id: int | None = None) -> RunFolder:
    """The newest run of an agent in an environment; of any where they are None.

    Raises:
        UnknownNameError: there is none; says which there are.
    """
    pattern = f"{folder_name(algo) if algo else '*'}/{folder_name(env_id) if env_id else '*'}_{exp_id or '*'}"
    found = [p for p in log_folder.glob(pattern) if p.is_dir() and p.name.rpartition("_")[2].isdigit()]
    if env_id:
        found = [p for p in found if p.name.rpartition("_")[0] == folder_name(env_id)]
    if not found:
        runs = [f"{p.parent.name}/{p.name}" for p in log_folder.glob("*/*_*") if p.is_dir()]
        wanted = pattern.replace("/*_*", "").replace("_*", "")
        raise unknown(
            f"run in {log_folder}", wanted, runs, "" if runs else "Train one first: rlplay train --algo ... --env ..."
        )
    return RunFolder(max(found, key=lambda p: (p.stat().st_mtime, int(p.name.rpartition("_")[2]))))


def find_agent_file(
    path: str | None,
    log_folder: Path,
    algo: str | None,
    env_id: str | None,
    exp_id: int | None = None,
    *,
    best: bool = False,
    step: int | None = None,
) -> Path:
    """The file of an agent: named itself, of a run folder, or of the newest run.

    Args:
        path: a file or a run folder; None searches the log folder.
        log_folder: where runs live.
        algo: id of the agent.
        env_id: id of the environment.
        exp_id: number of the run; the newest by default.
        best: take the best checkpoint in place of the last.
        step: take the numbered checkpoint of this timestep.
    """
    named = None if path is None else as_path(path)
    if named is not None and not named.is_dir():
        if best or step is not None:
            raise UsageError(f"{named} is one file, of which no checkpoint can be chosen", "Name the folder of the run")
        return named
    run = RunFolder(named) if named is not None else find_run(log_folder, algo, env_id, exp_id)
    if best and not run.best.is_file():
        raise CheckpointError(f"{run.path} has no {run.best.name}", "Leave out --load-best for the last checkpoint")
    if best:
        return run.best
    if step is not None:
        return run.path / f"rl_model_{step}_steps.rlp"
    return run.last_checkpoint()
