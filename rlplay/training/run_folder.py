"""Where runs live: RL Zoo's layout, so that its plot scripts read our runs.

    logs/<algo>/<Env>_<k>/
        best_model.rlp  <Env>.rlp  rl_model_<n>_steps.rlp     the best, the last and the numbered checkpoints
        evaluations.npz  0.monitor.csv  progress.csv
        <Env>/config.yml  args.yml  command.txt               hyperparameters, arguments and the command

Slashes in ids become ``-``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rlplay.errors import CheckpointError, RlplayError, UsageError, unknown
from rlplay.storage import checkpoint
from rlplay.storage.files import write_atomically


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
        """The folder of config.yml, args.yml and command.txt."""
        return self.path / self.env_name

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
        self.settings.mkdir(parents=True, exist_ok=True)
        for name, content in (("config.yml", config), ("args.yml", arguments)):
            text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
            write_atomically(self.settings / name, text.encode())
        write_atomically(self.settings / "command.txt", (command + "\n").encode())

    def arguments(self) -> dict[str, Any]:
        """What the run was asked for.

        Raises:
            CheckpointError: the folder is no run, or its arguments are damaged.
        """
        path = self.settings / "args.yml"
        try:
            arguments = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{self.path} is no run that can be resumed: {path} cannot be read",
                "Name a folder like logs/q-learning/FrozenLake-v1_1",
            ) from error
        if not isinstance(arguments, dict) or not isinstance(arguments.get("n_timesteps"), int):
            raise CheckpointError(f"{path} does not say what the run was asked for")
        return arguments

    def last_checkpoint(self) -> Path:
        """The last checkpoint to watch, or the newest that verifies where it is damaged.

        Raises:
            CheckpointError: none verifies.
        """
        try:
            checkpoint.read(self.last)
            return self.last
        except RlplayError:
            return self.newest_checkpoint()

    def newest_checkpoint(self) -> Path:
        """The newest checkpoint that verifies, of whatever name: where a killed run is resumed.

        Raises:
            CheckpointError: none verifies.
        """
        good = checkpoint.newest_good(self.path)
        if good is None:
            raise CheckpointError(f"{self.path} has no checkpoint that can be read")
        return good


def new_run(log_folder: Path, algo: str, env_id: str) -> RunFolder:
    """The next run folder of an agent in an environment."""
    parent, name = log_folder / folder_name(algo), folder_name(env_id)
    numbers = [0]
    for path in parent.glob(f"{name}_*") if parent.is_dir() else []:
        number = path.name.removeprefix(f"{name}_")
        if number.isdigit():
            numbers.append(int(number))
    for next_number in range(max(numbers) + 1, max(numbers) + 1000):
        path = parent / f"{name}_{next_number}"
        try:
            path.mkdir(parents=True)
            return RunFolder(path)
        except FileExistsError:  # another process took the number
            continue
        except OSError as error:
            raise UsageError(f"{log_folder} cannot be written: {error.strerror}", "Choose a folder with -f") from error
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
    if path is not None and not Path(path).is_dir():
        return Path(path)
    run = RunFolder(Path(path)) if path is not None else find_run(log_folder, algo, env_id, exp_id)
    if best:
        return run.best
    if step is not None:
        return run.path / f"rl_model_{step}_steps.rlp"
    return run.last_checkpoint()
