"""``rlplay`` alone: the start screen; without a display the help."""

from __future__ import annotations

import time
from argparse import Namespace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.cli.common import RUNS
from rlplay.cli.listing import progress_of, run_folders
from rlplay.errors import MissingPackageError, RlplayError
from rlplay.training.run_folder import RunFolder, folder_name

if TYPE_CHECKING:
    from rlplay.viewer.start_screen import Run

_SIZE = (640, 420)  # pixels of an environment's picture
_MOST_RUNS = 200  # runs that are listed, the newest

# Gymnasium's environments that come with its plain installation, in a sentence.
_GYMNASIUM = {
    "FrozenLake-v1": "Walk over a frozen lake of 16 cells to the gift; the ice is slippery, and it has holes.",
    "FrozenLake8x8-v1": "The frozen lake with 64 cells.",
    "CliffWalking-v1": "Walk along a cliff to the goal; who falls starts anew.",
    "CliffWalkingSlippery-v1": "The cliff, with slippery ground.",
    "Taxi-v4": "Fetch a passenger with a taxi and bring them where they want to go.",
    "Blackjack-v1": "Draw cards up to 21 against a dealer.",
    "CartPole-v1": "Push a cart left and right so that the pole on it stays upright.",
    "MountainCar-v0": "A car too weak for the hill gains speed in the valley.",
    "MountainCarContinuous-v0": "The car in the valley, with a force of any size.",
    "Acrobot-v1": "Swing two links up above a line with a torque between them.",
    "Pendulum-v1": "Swing a pendulum up and hold it there.",
}
_CLASSIFIES = ("classifier", "svc", "perceptron", "logistic-regression", "gaussian-nb", "nearest-centroid")
_FEATURES_TOO = ("autoencoder", "denoising-autoencoder", "vae", "polynomial-features")


def run(arguments: Namespace) -> int:
    """Open the start screen, or print the help where there is no display."""
    from rlplay.cli.windows import SIZE

    try:
        from rlplay.viewer.display import has_display, import_pygame

        import_pygame()
        shown = has_display()
    except MissingPackageError:
        shown = False
    if not shown:
        from rlplay.cli.arguments import parser

        parser().print_help()
        return 2
    from rlplay.viewer.start_screen import StartScreen

    return StartScreen(catalogue(), SIZE).show()


def catalogue(folder: Path = RUNS) -> Any:
    """What there is: agents, environments, features and models by their ids, and the runs of a folder."""
    from rlplay.viewer.start_screen import NONE, Catalogue

    features, models = [NONE], [NONE]
    for name in registry.model_ids():
        place = registry.model_place(name)
        if ".unsupervised." in place or name in _FEATURES_TOO:
            features.append(name)
        elif ".supervised." in place and not name.endswith(_CLASSIFIES):
            models.append(name)
    own = [name for name in registry.env_ids() if name.removeprefix("rlplay/") not in _GYMNASIUM]
    names = {
        "environments": [*_GYMNASIUM, *own], "agents": registry.agent_ids(), "features": features, "models": models,
    }  # fmt: skip
    return Catalogue(names, _describe, picture_of, lambda: _runs(folder), _command)


@cache
def _describe(tab: str, name: str) -> str:
    """What something is, in a sentence."""
    if tab == "environments":
        return _GYMNASIUM.get(name) or registry.summary(registry.ENVS, name)
    if tab == "agents":
        return registry.summary(registry.AGENTS, name)
    if name == "none":
        what = "the observation goes to the agent as it is" if tab == "features" else "the agent's own value function"
        return f"Nothing in between: {what}."
    before = "Between observation and agent: " if tab == "features" else "As value function of batch agents: "
    return before + registry.summary(registry.MODELS, name)


def picture_of(env_id: str) -> NDArray[np.uint8] | str:
    """The first picture of an environment; or why there is none."""
    from rlplay.cli.windows import shown_env
    from rlplay.environments.reference import EnvReference
    from rlplay.viewer.display import pygame_kept
    from rlplay.viewer.pictures import frame_of

    try:
        env = shown_env(EnvReference(env_id, {}))
        try:
            obs, _ = env.reset(seed=0)
            return np.ascontiguousarray(frame_of(env, obs, None, [obs], _SIZE))
        finally:
            with pygame_kept():
                env.close()
    except RlplayError as error:
        return error.cause
    except Exception as error:  # whatever an environment of others raises
        return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _runs(folder: Path) -> list[Run]:
    """The runs of a folder, the newest first."""
    from rlplay.viewer.start_screen import Run

    found = []
    for path in run_folders(folder):
        run = RunFolder(path)
        files = sorted(path.glob("*.rlp"))
        if files:
            found.append((max(file.stat().st_mtime for file in files), path, run))
    listed = []
    for written, path, run in sorted(found, key=lambda one: one[0], reverse=True)[:_MOST_RUNS]:
        steps, last, best = progress_of(run)
        date = time.strftime("%Y-%m-%d %H:%M", time.localtime(written))
        facts = f"return {last}, best {best}, {steps} steps, {date}"
        listed.append(Run(str(path), path.parent.name, _env_id(run), facts))
    return listed


def _env_id(run: RunFolder) -> str:
    """The environment of a run, by its settings; else by the name of its folder."""
    try:
        return str(run.arguments()["env"])
    except RlplayError:
        return run.env_name


def _command(action: str, chosen: dict[str, str], run: Run | None) -> list[str] | str:
    """The command line of a press, or why there is none."""
    from rlplay.viewer.start_screen import NONE

    env = run.env if run is not None else chosen.get("environments", "")
    algo = chosen.get("agents", "")
    if action == "play":
        return ["rlplay", "play", "--env", env] if env else "choose an environment"
    if run is not None:
        return ["rlplay", "watch", run.path] if action == "watch" else ["rlplay", "train", "-i", run.path, "--watch"]
    if not env or not algo:
        return "choose an agent and an environment"
    if action == "watch":
        name = f"{folder_name(algo)}/{folder_name(env)}_*"
        if not any(RUNS.glob(name)):
            return f"there is no run of {algo} in {env} yet: train one"
        return ["rlplay", "watch", "--algo", algo, "--env", env]
    words = ["rlplay", "train", "--algo", algo, "--env", env]
    for tab, flag in (("features", "--features"), ("models", "--model")):
        if chosen.get(tab, NONE) not in ("", NONE):
            words += [flag, chosen[tab]]
    return [*words, "--watch"]
