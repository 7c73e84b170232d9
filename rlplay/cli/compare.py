"""``rlplay compare``: agents on the same seeds, trained now or saved; tables, a page for a browser, a picture."""

from __future__ import annotations

import csv
import os
import platform
import sys
from argparse import Namespace
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import yaml
from numpy.typing import NDArray
from rich.table import Table

from rlplay.agent.saving import load
from rlplay.cli import many, train
from rlplay.cli.common import answer, console, one, processor_name, quoted
from rlplay.errors import CheckpointError, RlplayError, UsageError, counted, warn
from rlplay.hyperparameters.fields import as_json, declared
from rlplay.reports import comparison_page
from rlplay.reports.comparison_page import Comparison, Contender, write_comparison
from rlplay.reports.curves import Curve, draw, value_range
from rlplay.reports.pictures import check_picture
from rlplay.reports.replay_page import check_page
from rlplay.reports.step_costs import step_costs
from rlplay.runners.batch import Request
from rlplay.runners.job import Outcome
from rlplay.storage.texts import plain_yaml
from rlplay.training.run_folder import RunFolder, folder_name, read_evaluations

_SEEDS = [0, 1, 2]
_EVALUATIONS = 20  # of a run, by default
_FILM_STEPS, _FILM_SIZE = 250, (320, 214)  # of the episode on the page
_PACKAGES = ("gymnasium", "numpy", "torch", "stable-baselines3")

Run = tuple[RunFolder, float]  # a finished run and its steps a second


def run(arguments: Namespace) -> int:
    """Train every agent on every seed, or take saved runs; compare their evaluations."""
    given = arguments.output
    if given is not None and given.suffix.lower() in (".html", ".htm"):
        check_page(given)
    else:
        check_picture(given or Path("compare.png"))
    env_id, found = (_saved if arguments.runs else _trained)(arguments)
    contenders = [_contender(name, runs, film=given is None or given.suffix != ".png") for name, runs in found.items()]
    comparison = _comparison(env_id, contenders, arguments)
    out, tables = console(), [("results", comparison.title, comparison_page.results(comparison))]
    if any(contender.costs for contender in contenders):
        tables.append(("costs", "what a step costs", comparison_page.costs(comparison)))
    if len(contenders) > 1:
        tables.append(("improvement", "which is better", comparison_page.improvements(comparison)))
    if arguments.paired:
        tables.append(("differences", "on the same seeds", comparison_page.differences(comparison)))
    for _, title, table in tables:
        out.print(_table(table, title))
    files = []
    name = f"compare-{folder_name(env_id)}"
    for path in [given] if given else [Path(f"{name}.html"), Path(f"{name}.png")]:
        if path.suffix.lower() in (".html", ".htm"):
            write_comparison(comparison, path)
            out.print(f"page:     {path}")
        else:
            draw([one.curve for one in contenders], path, title=comparison.title)
            out.print(f"picture:  {path}")
        files.append(str(path))
    if arguments.json:
        return answer(arguments, {
            "env": env_id, "threshold": comparison.threshold, "episodes": comparison.episodes, "files": files,
            "agents": [{**c.curve.as_data(), "seeds": c.seeds, "settings": c.settings} for c in contenders],
            **{key: [dict(zip(t.columns, row, strict=True)) for row in t.rows] for key, _, t in tables},
        })  # fmt: skip
    return 0


def _trained(arguments: Namespace) -> tuple[str, dict[str, list[Run]]]:
    """The environment, and the runs of each agent, trained now."""
    env_id = one(arguments.env, "--env")
    if not arguments.algo or env_id is None:
        raise UsageError(
            "compare needs --algo and --env, or saved runs",
            "For example: rlplay compare --algo reinforce sb3/a2c --env CartPole-v1 --seed 0 1 2 -n 100000; "
            "or: rlplay compare logs/ppo/CartPole-v1_1 logs/a2c/CartPole-v1_1",
        )
    if arguments.watch or arguments.lock_step or arguments.resume or arguments.trained_agent:
        raise UsageError("compare trains anew, without a window", "Leave out --watch, --lock-step, --resume and -i")
    arguments.seed = arguments.seed or _SEEDS
    if arguments.n_timesteps is None:
        arguments.n_timesteps = train.DEFAULT_TIMESTEPS
    if arguments.eval_freq is None:
        arguments.eval_freq = max(arguments.n_timesteps // _EVALUATIONS, 1)
    if arguments.eval_freq < 1:
        raise UsageError("compare needs evaluations", "Leave out --eval-freq -1")
    requests = train.rehearse(arguments, [env_id])
    if arguments.jobs or arguments.runner:
        return env_id, _runs(many.finish(requests, arguments), requests)
    return env_id, train.grid(arguments, env_id)


def _runs(outcomes: list[Outcome], requests: list[Request]) -> dict[str, list[Run]]:
    """The run folders and speeds by agent.

    Raises:
        RlplayError: a run failed; why was said when it did.
    """
    if failed := sum(bool(outcome.error) for outcome in outcomes):
        raise RlplayError(
            f"{failed} of {counted(len(outcomes), 'run')} failed: there is nothing to compare",
            "The same command tries them again",
        )
    found: dict[str, list[Run]] = {}
    for outcome, request in zip(outcomes, requests, strict=True):
        run = RunFolder(outcome.folder), outcome.steps_per_second
        found.setdefault(request.asked["algo"], []).append(run)
    return found


def _saved(arguments: Namespace) -> tuple[str, dict[str, list[Run]]]:
    """The environment, and the saved runs by agent and hyperparameters.

    A run that cannot be read is left out, and named.

    Raises:
        UsageError: runs of two environments, or no run that can be read.
    """
    groups: dict[tuple[str, str], list[Run]] = {}
    first: tuple[str, str] | None = None
    seen: set[Path] = set()
    for path in arguments.runs:
        folder = RunFolder(Path(path))
        if folder.path.resolve() in seen:
            warn(f"left out: {path} is given twice")
            continue
        seen.add(folder.path.resolve())
        try:
            asked = folder.arguments()
            if not (folder.path / "evaluations.npz").is_file():
                raise CheckpointError(f"{path} has no evaluations", "Train it with --eval-freq")
            env = asked["env"], str(asked["env_kwargs"])
            read_evaluations(folder.path / "evaluations.npz")
            config = yaml.safe_dump(plain_yaml((folder.settings / "config.yml").read_text(encoding="utf-8")))
        except (RlplayError, OSError, yaml.YAMLError) as error:
            warn(f"left out: {getattr(error, 'cause', error)}")
            continue
        if first is None:
            first = env
        if env != first:
            raise UsageError(
                f"{path} is a run in {env[0]} {env[1]}, and {arguments.runs[0]} in {first[0]} {first[1]}",
                "Compare the runs of one environment at a time",
            )
        groups.setdefault((asked["algo"], config), []).append((folder, _speed_of(folder)))
    if first is None:
        raise UsageError("none of these runs can be compared", "Train some: rlplay train --eval-freq N ...")
    algos = [algo for algo, _ in groups]
    counts: dict[str, int] = {}
    found = {}
    for (algo, _), runs in groups.items():
        counts[algo] = counts.get(algo, 0) + 1
        found[algo if algos.count(algo) == 1 else f"{algo} {counts[algo]}"] = runs
    return first[0], found


def _speed_of(folder: RunFolder) -> float:
    """The timesteps a second of a saved run, as its log has it; NaN where it does not."""
    try:
        with open(folder.progress, encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("time/fps")]
        return float(rows[-1]["time/fps"])
    except (OSError, ValueError, IndexError, KeyError, csv.Error):
        return float("nan")


def _contender(name: str, runs: list[Run], *, film: bool) -> Contender:
    """An agent with its curve, and an episode of its first run's best."""
    curve = Curve.of(name, [folder for folder, _ in runs], [speed for _, speed in runs])
    seeds = [int(folder.arguments()["seed"]) for folder, _ in runs]
    contender = Contender(curve, seeds)
    folder = runs[0][0]
    path = folder.best if folder.best.is_file() else folder.last
    try:
        contender.file_bytes = path.stat().st_size
        agent = load(path)
        contender.settings = _settings_of(agent)
        contender.costs = step_costs(agent)
        if film:
            contender.film, contender.film_words = _film(agent, seeds[0])
    except (RlplayError, OSError) as error:  # an environment that a file may not import, a picture that cannot be made
        contender.film_words = str(error)
    return contender


def _settings_of(agent: Any) -> str:
    """The hyperparameters that are not at their defaults, in words."""
    usual = {name: one.default for name, one in declared(type(agent)).items()}
    words = []
    for name, value in as_json(agent.hyperparameters).items():
        shown = value["model"] if isinstance(value, dict) and "model" in value else value
        if name not in usual or usual[name] != value:
            words.append(f"{name}={shown}")
    return ", ".join(words)


def _film(agent: Any, seed: int) -> tuple[list[NDArray[np.uint8]], str]:
    """The pictures of an episode, and what they show."""
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.session import Session

    env = shown_env(reference(agent.env))
    agent.set_env(env)
    session = Session(env, agent, "watch", seed=seed)
    session.deterministic, session.picture_size = True, _FILM_SIZE
    frames = [session.frame()]
    try:
        while len(frames) <= _FILM_STEPS and not session.ended and session.step():
            frames.append(session.frame())
        words = f"return {session.position.episode_return:.4g}, {counted(session.position.length, 'step')}"
    finally:
        env.close()
    return frames, words if session.ended else f"the first {_FILM_STEPS} steps"


def _comparison(env_id: str, contenders: list[Contender], arguments: Namespace) -> Comparison:
    curves, seeds = [one.curve for one in contenders], max(len(one.seeds) for one in contenders)
    threshold, words = threshold_of(env_id, curves)
    versions = ", ".join(f"{name} {version}" for name in ("rlplay", *_PACKAGES) if (version := _version(name)))
    return Comparison(
        f"{', '.join(curve.name for curve in curves)} in {env_id}, {counted(seeds, 'seed')}",
        contenders, threshold, words, arguments.eval_episodes or train.EVAL_EPISODES,
        f"Python {platform.python_version()}, {versions}; {processor_name()}, {os.cpu_count()} processors",
        quoted(["rlplay", *sys.argv[1:]]), bool(arguments.paired),
    )  # fmt: skip


def threshold_of(env_id: str, curves: list[Curve]) -> tuple[float, str]:
    """The return at which the environment counts as solved."""
    try:
        threshold = gym.spec(env_id).reward_threshold
    except gym.error.Error:
        threshold = None
    if threshold is not None:
        return float(threshold), "the environment's own threshold"
    if shown := value_range(curves):  # a return of an episode that was cut says where it was cut
        return shown[0] + 0.9 * (
            shown[1] - shown[0]
        ), "nine tenths of the way from the lowest evaluation to the best one"
    low = min(float(curve.returns[:, 0].min()) for curve in curves)
    best = max(float(curve.centre.max()) for curve in curves)
    return low + 0.9 * (best - low), "nine tenths of the way from the lowest first evaluation to the best one"


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _table(made: comparison_page.Table, title: str) -> Table:
    table = Table(title=title, caption=made.caption)
    for i, column in enumerate(made.columns):
        table.add_column(column, justify="right" if i else "left")
    for row in made.rows:
        table.add_row(*row)
    return table
