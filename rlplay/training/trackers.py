"""Callbacks for trackers of experiments: TensorBoard, and Weights & Biases without a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rlplay.environments.make import reference
from rlplay.errors import missing
from rlplay.hyperparameters.fields import as_json
from rlplay.storage.files import as_path, make_folder
from rlplay.training.callbacks import Callback
from rlplay.training.learner import Learner
from rlplay.training.logs import TensorBoard, require_tensorboard


def _numbers(agent: Learner, speed: float) -> dict[str, float]:
    """What is told at a log row: Stable-Baselines3's tags, and those of the agent's last update."""
    statistics = agent.statistics
    told = {"time/fps": speed, "rollout/episodes": float(statistics.episodes)}
    return {**told, **statistics.metrics(), **agent.metrics()}


class TensorBoardCallback(Callback):
    """Write scalars for TensorBoard, a row a hundredth of the run.

    Args:
        log_dir: the folder of the run's events.

    Raises:
        MissingPackageError: tensorboard is not installed.

    Example:
        >>> import tempfile
        >>> from agents import QLearning
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     agent = QLearning("FrozenLake-v1", seed=0).learn(200, TensorBoardCallback(folder))
        ...     len(list(Path(folder).glob("events.*")))
        1
    """

    def __init__(self, log_dir: str | Path) -> None:
        require_tensorboard()
        self.log_dir = as_path(log_dir)

    def on_training_start(self) -> None:
        """Open the file."""
        self._writer = TensorBoard(self.log_dir)

    def on_log(self) -> None:
        """A row."""
        for tag, value in _numbers(self.agent, self.run.steps_per_second).items():
            self._writer.add(tag, value, self.agent.num_timesteps)

    def on_training_end(self) -> None:
        """Close the file."""
        self._writer.close()


class WandbCallback(Callback):
    """Write a run for Weights & Biases on this machine; ``wandb sync DIR/wandb/offline-run-*`` would send it.

    Args:
        log_dir: where ``wandb/offline-run-*`` is made.
        project: of the run.
        name: of the run.

    Raises:
        MissingPackageError: wandb is not installed.

    Example:
        >>> WandbCallback("logs", project="frozen-lake").project  # doctest: +SKIP
        'frozen-lake'
    """

    def __init__(self, log_dir: str | Path = ".", project: str = "rlplay", name: str | None = None) -> None:
        try:
            import wandb
        except ImportError as error:
            raise missing("runs for Weights & Biases", "wandb", "wandb") from error
        # W&B takes our folder `agents` for a package of that name, and would advertise.
        os.environ.setdefault("WANDB_DISABLE_WEAVE", "true")
        self._wandb: Any = wandb
        self.log_dir, self.project, self.name = as_path(log_dir), project, name

    def on_training_start(self) -> None:
        """Begin the run, with the agent's settings as its config."""
        agent = self.agent
        make_folder(self.log_dir, "log_dir")
        config = {
            "algo": agent.id,
            "env": reference(agent.env).id,
            "seed": agent.seed,
            **as_json(agent.hyperparameters),
        }
        settings = self._wandb.Settings(mode="offline", silent=True, console="off", x_disable_stats=True)
        self._run = self._wandb.init(
            dir=str(self.log_dir), project=self.project, name=self.name, config=config, settings=settings,
            reinit="create_new",
        )  # fmt: skip

    def on_log(self) -> None:
        """A row."""
        self._run.log(_numbers(self.agent, self.run.steps_per_second), step=self.agent.num_timesteps)

    def on_training_end(self) -> None:
        """End the run."""
        self._run.finish()
