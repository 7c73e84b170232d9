"""``rlplay export -o model.zip``: an agent as Stable-Baselines3 opens it; ``-o DIR/`` as Hugging Face has it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from rlplay.cli.common import console, load_agent, one, quoted, retyped
from rlplay.environments.make import reference
from rlplay.errors import DisplayError, RlplayError, UsageError, counted, warn
from rlplay.hyperparameters.fields import declared
from rlplay.reports.numbers import number
from rlplay.sb3 import Written, save_zip, write_card
from rlplay.storage.files import require_writable
from rlplay.training.evaluation import evaluate
from rlplay.training.run_folder import folder_name

_EPISODES = 10  # of a folder's results


def export_model(arguments: Namespace, path: Path) -> int:
    """Write an agent as a zip of Stable-Baselines3, alone or in a folder with its card."""
    if arguments.path and str(arguments.path).endswith(".json"):
        raise UsageError(f"{arguments.path} is an episode, no agent", "Name a run or an agent's file, or -o page.html")
    agent, source = load_agent(arguments)
    out = console()
    if path.suffix == ".zip":
        require_writable(path, "-o")
        _say(agent, save_zip(agent, path))
        return 0
    name = f"{folder_name(agent.id.removeprefix('sb3/'))}-{folder_name(reference(agent.env).id or 'environment')}"
    require_writable(path / f"{name}.zip", "-o")
    written = save_zip(agent, path / f"{name}.zip", statistics=path / "vec_normalize.pkl")
    _say(agent, written)
    count = arguments.eval_episodes or _EPISODES
    result = evaluate(agent, None, count, deterministic=arguments.deterministic, seed=one(arguments.seed, "--seed"))
    results = {
        "mean_reward": float(result.mean), "std_reward": float(result.std), "n_eval_episodes": count,
        "is_deterministic": bool(arguments.deterministic),
    }  # fmt: skip
    replay = _replay(arguments, agent, path / "replay.mp4")
    words = ["rlplay", "export", str(source), "-o", f"{path}/", *retyped(reference(agent.env))]
    for flag, value in (("--seed", one(arguments.seed, "--seed")), ("--max-steps", arguments.max_steps),
                        ("--eval-episodes", arguments.eval_episodes)):  # fmt: skip
        words += [] if value is None else [flag, str(value)]
    words += [] if arguments.deterministic else ["--stochastic"]
    algorithm = type(agent).__name__ if agent.hyperparameters.get("distributional") != "qr" else "QRDQN"
    files = write_card(
        path, algorithm, reference(agent.env).id or "environment", written.model, results,
        statistics=written.statistics is not None, replay=replay, command=quoted(words),
    )  # fmt: skip
    out.print(f"wrote {', '.join(file.name for file in files)}{' and replay.mp4' if replay else ''} in {path}")
    out.print(f"  return of {counted(count, 'episode')} {number(result.mean)} +/- {number(result.std, 3)}")
    return 0


def _say(agent: Any, written: Written) -> None:
    out = console()
    size = written.model.stat().st_size
    without = ", without the replay buffer" if "buffer_size" in declared(type(agent)) else ""
    out.print(f"wrote {written.model}   {size / 1e6:.2f} MB{without}")
    if written.statistics is not None:
        out.print(f"wrote {written.statistics}   for VecNormalize.load: the agent normalises what it sees")


def _replay(arguments: Namespace, agent: Any, path: Path) -> bool:
    """An episode as a film; False where none can be made, which is said."""
    from rlplay.cli.windows import open_window, shown_env
    from rlplay.viewer.session import Session

    try:
        env = shown_env(reference(agent.env))
        agent.set_env(env)
        session = Session(env, agent, "watch", seed=agent.seed)
        session.deterministic = arguments.deterministic
        shown = Namespace(
            **{**vars(arguments), "headless": True, "output": path, "size": None, "fps": None,
               "max_steps": arguments.max_steps or 300}
        )  # fmt: skip
        open_window(session, shown, default_steps=300)
    except (RlplayError, DisplayError, OSError) as error:
        warn(f"no {path.name} was made: {' '.join(str(error).split())}")
        return False
    return path.is_file()
