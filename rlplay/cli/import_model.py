"""``rlplay import``: a run from a model of Stable-Baselines3, a zip or a folder of Hugging Face; no code of it runs."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlplay.cli.common import RUNS, console, environment_arguments, follow_up, one, quoted
from rlplay.environments.make import make, reference
from rlplay.environments.names import known_env_ids
from rlplay.errors import UsageError, warn
from rlplay.hyperparameters.fields import as_json
from rlplay.hyperparameters.settings import parse_pairs
from rlplay.sb3 import load_zip, read_folder
from rlplay.storage.files import as_path, require_writable
from rlplay.training.run_folder import RunFolder, folder_name, new_run


def run(arguments: Namespace) -> int:
    """Read the model, and write a run that can be watched, evaluated and trained on."""
    found = read_folder(as_path(arguments.path))
    algo, typed = one(arguments.algo, "--algo"), one(arguments.env, "--env")
    env_id = typed or _registered(found.env_id)
    kwargs = environment_arguments(arguments)
    if kwargs and env_id is None:
        raise UsageError("--env-kwargs, --wrapper and --frame-stack go with --env", "Name the environment too")
    env = None if env_id is None else make(env_id, **kwargs)
    statistics = arguments.vecnormalize or found.statistics
    settings = {**found.settings, **parse_pairs(arguments.hyperparams, "-params")}
    seed = one(arguments.seed, "--seed")
    agent = load_zip(found.zip, env, algo=algo, vecnormalize=statistics, seed=seed, **settings)
    out = console()
    named = reference(agent.env)
    out.print(f"{found.zip}: {agent.id}, {agent.num_timesteps:,} {agent.timestep}s trained")
    if statistics is not None:
        out.print(f"{statistics}: means and variances of its observations and returns")
    elif found.unclaimed is not None:
        warn(
            f"{found.unclaimed} is not taken: its folder has several zips, and nothing says whose it is. Where this "
            f"model learned within VecNormalize, give --vecnormalize {found.unclaimed}"
        )
    output: Path | None = arguments.output
    if output is not None and output.suffix == ".rlp":
        require_writable(output, "-o")
        path = agent.save(output)
    elif env is None:
        raise UsageError(
            f"nothing beside {found.zip} names its environment",
            "Name it: --env ID; or write a file: -o FILE.rlp",
        )
    else:
        folder = _folder(output, arguments.log_folder or RUNS, agent.id, named.id or "environment")
        folder.write_settings(as_json(agent.hyperparameters), _asked(agent, named), quoted(["rlplay", *sys.argv[1:]]))
        agent.save(folder.path / f"{folder_name(named.id or 'environment')}.rlp")
        path = folder.path
    out.print(f"wrote {path}")
    if env is not None:
        out.print(f"watch it:  {follow_up('watch', path, agent)}")
    return 0


def _registered(env_id: str) -> str | None:
    """An id that a folder names, where it is registered here: a file never causes an import."""
    if not env_id or env_id in known_env_ids():
        return env_id or None
    warn(f"the folder names the environment {env_id}, which is not registered here: type it, --env module:{env_id}")
    return None


def _folder(output: Path | None, log_folder: Path, algo: str, env_id: str) -> RunFolder:
    if output is None:
        return new_run(log_folder, algo, env_id)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"-o {output} is there already", "Name a new folder, or a file ending with .rlp")
    require_writable(output / "agent.rlp", "-o")
    return RunFolder(output)


def _asked(agent: Any, named: Any) -> dict[str, Any]:
    """What a run that was imported is asked for: the timesteps that it has."""
    return {
        "algo": agent.id, "env": named.id, "env_kwargs": named.kwargs, "seed": agent.seed,
        "n_timesteps": max(agent.num_timesteps, 1), "gym_packages": [], "dynamics": "auto", "engine": "auto",
        "eval_freq": None, "eval_episodes": 5, "save_freq": None, "keep": None, "log_interval": None,
        "tensorboard_log": None, "imported": True,
    }  # fmt: skip
