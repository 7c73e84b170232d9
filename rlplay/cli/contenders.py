"""Who is compared: agents that are trained now, or the runs in folders; each with its curve and an episode."""

from __future__ import annotations

import contextlib
import math
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml
from numpy.typing import NDArray

from rlplay import registry
from rlplay.cli import many, train
from rlplay.cli.common import load_from, one
from rlplay.errors import CheckpointError, RlplayError, UsageError, counted, one_line, warn
from rlplay.hyperparameters.fields import as_json, declared
from rlplay.reports.comparison import Contender, Failure
from rlplay.reports.curves import Curve
from rlplay.reports.numbers import number
from rlplay.reports.runs import run_folders
from rlplay.reports.step_costs import step_costs
from rlplay.storage.files import as_path
from rlplay.training.run_folder import RunFolder, read_evaluations

_SEEDS = [0, 1, 2]
_EVALUATIONS = 20  # of a run, by default
_FILM_STEPS, _FILM_SIZE = 250, (320, 214)  # of the episode on the page
_MOST_NAMED = 3  # runs that are left out for the same reason
_LONGEST_NAME = 40  # of an agent with what tells it from others


class Compared(NamedTuple):
    """Who is compared where.

    Attributes:
        env_id: the environment.
        env_kwargs: its arguments.
        runs: the runs of each agent, and the timesteps a second of each.
        failed: the runs that failed.
    """

    env_id: str
    env_kwargs: dict[str, Any]
    runs: dict[str, list[tuple[RunFolder, float]]]
    failed: list[Failure]


def trained(arguments: Namespace) -> Compared:
    """Each agent on each seed, trained now; what an earlier command of the same runs finished is taken from it."""
    if len(arguments.env or []) > 1:
        raise UsageError(
            f"a comparison is in one environment, and --env names {', '.join(arguments.env)}",
            "Compare in each of them by a command of its own",
        )
    env_id = one(arguments.env, "--env")
    if not arguments.algo or env_id is None:
        raise UsageError(
            "compare needs --algo and --env, or saved runs",
            "For example: rlplay compare --algo reinforce sb3/a2c --env CartPole-v1 --seed 0 1 2 -n 100000; "
            "or: rlplay compare logs --env CartPole-v1",
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
    found: dict[str, list[tuple[RunFolder, float]]] = {}
    failed = []
    for outcome, request in zip(many.finish(requests, arguments), requests, strict=True):
        algo, seed = request.asked["algo"], request.asked["seed"]
        if outcome.error:
            failed.append(Failure(algo, seed, str(outcome.folder), outcome.error))
        else:
            found.setdefault(algo, []).append((RunFolder(outcome.folder), outcome.steps_per_second))
    if not found:
        raise RlplayError(
            f"{counted(len(failed), 'run')} failed: there is nothing to compare", "The same command tries them again"
        )
    return Compared(env_id, requests[0].asked["env_kwargs"], found, failed)


class _Saved(NamedTuple):
    """A saved run: its folder, what it was asked for, its hyperparameters."""

    folder: RunFolder
    asked: dict[str, Any]
    config: dict[str, Any]

    @property
    def place(self) -> str:
        """Its environment in words."""
        kwargs = ", ".join(f"{name}={value}" for name, value in self.asked["env_kwargs"].items())
        return f"{self.asked['env']} ({kwargs})" if kwargs else str(self.asked["env"])


def saved(arguments: Namespace) -> Compared:
    """The runs in folders, by agent, hyperparameters and timesteps; --algo, --env and --seed choose among them.

    What cannot be compared is left out, and named: damaged runs, those without evaluations, unfinished ones where
    others are finished, an older run of the same seed.

    Raises:
        UsageError: runs of several environments, or none that can be compared.
    """
    agents = [name for name in arguments.runs if name in registry.agent_ids() and not as_path(name).exists()]
    if agents:
        raise UsageError(
            f"{', '.join(agents)}: no folder of runs, but {'an agent' if len(agents) == 1 else 'agents'}",
            f"Say: rlplay compare --algo {' '.join(agents)} --env ...",
        )
    left: dict[str, list[Path]] = {}
    runs = [run for path in _folders(arguments.runs) if (run := _read(path, left)) is not None]
    for flag, given in (("algo", arguments.algo), ("env", arguments.env), ("seed", arguments.seed)):
        known = sorted({str(run.asked[flag]) for run in runs})
        for value in given or []:
            if str(value) not in known:
                _say_left_out(left)
                raise UsageError(f"none of these runs has the {flag} {value}", f"There is {', '.join(known) or 'none'}")
        runs = [run for run in runs if not given or run.asked[flag] in given]
    places = {run.place: run for run in reversed(runs)}
    if len(places) > 1:
        some = [f"{place}: {run.folder.path}" for place, run in sorted(places.items())[:_MOST_NAMED]]
        several = len({run.asked["env"] for run in runs}) > 1
        raise UsageError(
            f"these runs are in {len(places)} environments: {'; '.join(some)}{'; ...' * (len(places) > _MOST_NAMED)}",
            f"Compare those of one at a time{': choose it with --env' if several else ''}",
        )
    groups: dict[tuple[str, str, int], list[_Saved]] = {}
    for run in runs:
        key = run.asked["algo"], yaml.safe_dump(run.config), run.asked["n_timesteps"]
        groups.setdefault(key, []).append(run)
    groups = {key: _alike(group, left) for key, group in groups.items()}
    _say_left_out(left)
    if not groups:
        raise UsageError("none of these runs can be compared", "Train some: rlplay train --eval-freq N ...")
    names = _names([group[0] for group in groups.values()])
    found = {name: [(run.folder, run.folder.done()[1] or math.nan) for run in group]
             for name, group in zip(names, groups.values(), strict=True)}  # fmt: skip
    return Compared(runs[0].asked["env"], runs[0].asked["env_kwargs"], found, [])


def _say_left_out(left: dict[str, list[Path]]) -> None:
    for reason, paths in left.items():
        more = f" and {len(paths) - _MOST_NAMED} more" if len(paths) > _MOST_NAMED else ""
        warn(f"left out: {', '.join(map(str, paths[:_MOST_NAMED]))}{more}: {reason}")


def _folders(typed: list[str]) -> list[Path]:
    """The folders of runs that are typed, and those within a folder that is none itself."""
    found: dict[Path, Path] = {}
    for path in map(as_path, typed):
        inside = [] if (RunFolder(path).settings / "args.yml").exists() else run_folders(path)
        for folder in inside or [path]:
            if found.setdefault(folder.resolve(), folder) is not folder and not inside:
                warn(f"left out: {path} is given twice")
    return list(found.values())


def _read(path: Path, left: dict[str, list[Path]]) -> _Saved | None:
    """A run; None for one that cannot be compared, which is noted with the reason."""
    folder = RunFolder(path)
    try:
        if not (folder.settings / "args.yml").exists():
            raise CheckpointError("there is no run" if path.is_dir() else "there is no such folder")
        asked = folder.arguments()
        if not (path / "evaluations.npz").is_file():
            raise CheckpointError("it has no evaluations (train with --eval-freq)")
        read_evaluations(path / "evaluations.npz")
        return _Saved(folder, asked, folder.config())
    except RlplayError as error:
        left.setdefault(error.cause, []).append(path)
    return None


def _alike(group: list[_Saved], left: dict[str, list[Path]]) -> list[_Saved]:
    """The runs of an agent that can stand beside each other: one of each seed; finished ones where there are any."""
    ends = {id(run): _last_timestep(run.folder) for run in group}
    if any(end >= run.asked["n_timesteps"] for run in group if (end := ends[id(run)])) and not any(
        run.asked.get("callback")
        for run in group  # which may have stopped it
    ):
        for run in group:
            if ends[id(run)] < run.asked["n_timesteps"]:
                left.setdefault("it is not finished (rlplay train --resume RUN)", []).append(run.folder.path)
        group = [run for run in group if ends[id(run)] >= run.asked["n_timesteps"]]
    newest: dict[Any, _Saved] = {}
    for run in sorted(group, key=lambda one: (one.folder.path / "evaluations.npz").stat().st_mtime):
        if run.asked["seed"] in newest:
            reason = "a later run has the same agent, hyperparameters and seed"
            left.setdefault(reason, []).append(newest[run.asked["seed"]].folder.path)
        newest[run.asked["seed"]] = run
    return sorted(newest.values(), key=group.index)


def _last_timestep(folder: RunFolder) -> int:
    """The timesteps that a run's log has, or its last evaluation where it has no log."""
    evaluated = read_evaluations(folder.path / "evaluations.npz").timesteps
    return max(folder.done()[0], int(evaluated[-1]) if len(evaluated) else 0)


def _names(agents: list[_Saved]) -> list[str]:
    """A name for each agent: its id, with what tells it from others of that id, or a number where that is long.

    Example: ``ppo``, ``q-learning alpha=0.5``, ``dqn 2``.
    """
    names = []
    for agent in agents:
        same = [other for other in agents if other.asked["algo"] == agent.asked["algo"]]
        differing = sorted(
            key for key in {k for other in same for k in other.config}
            if len({str(other.config.get(key)) for other in same}) > 1
        )  # fmt: skip
        words = [f"{key}={_word(agent.config[key])}" for key in differing if agent.config.get(key) is not None]
        if len({other.asked["n_timesteps"] for other in same}) > 1:
            words.append(counted(agent.asked["n_timesteps"], "step"))
        names.append(" ".join([agent.asked["algo"], ", ".join(words)]).strip())
    for k, agent in enumerate(agents):
        if len(names[k]) > _LONGEST_NAME or names.count(names[k]) > 1:
            same = [other for other in agents if other.asked["algo"] == agent.asked["algo"]]
            names[k] = f"{agent.asked['algo']} {same.index(agent) + 1}"
    return names


def _word(value: Any) -> str:
    shown = value["model"] if isinstance(value, dict) and isinstance(value.get("model"), str) else value
    return f"{shown:.4g}" if isinstance(shown, float) else str(shown)


def contenders_of(
    compared: Compared, arguments: Namespace, *, film: bool
) -> tuple[list[Contender], list[Failure]]:  # fmt: skip
    """The agents with their curves, and those that have none.

    Args:
        compared: who is compared.
        arguments: what was typed: an environment that a file may not import is made from it.
        film: whether an episode of each is recorded.

    Raises:
        UsageError: none has a curve; the first one's reason.
    """
    found, failed, first = [], list(compared.failed), None
    typed = Namespace(**{**vars(arguments), "algo": None, "env": [compared.env_id] if arguments.env else None})
    for name, runs in compared.runs.items():
        try:
            curve = Curve.of(name, [folder for folder, _ in runs], [speed for _, speed in runs])
        except RlplayError as error:
            first = first or error
            failed.append(Failure(name, None, "", error.cause))
            continue
        found.append(_contender(curve, [folder for folder, _ in runs], typed, film=film))
    if not found and first is not None:
        raise first
    return found, failed


def _contender(curve: Curve, folders: list[RunFolder], typed: Namespace, *, film: bool) -> Contender:
    """An agent with its curve, and an episode of its first run's best."""
    contender = Contender(curve, [int(folder.arguments()["seed"]) for folder in folders])
    folder = folders[0]
    path = folder.best if folder.best.is_file() else folder.last
    try:
        contender.file_bytes = path.stat().st_size
        agent = load_from(path, typed)
        contender.settings = _settings_of(agent)
        with contextlib.suppress(Exception):  # of an environment; then they are not known
            contender.costs = step_costs(agent)
        if film:
            contender.film, contender.film_words, contender.film_rate = _film(agent, contender.seeds[0])
    except Exception as error:  # of an environment that cannot be made or drawn: the scores stand without it
        contender.film_words = getattr(error, "cause", "") or f"{type(error).__name__}: {one_line(error)}"
        if isinstance(error, UsageError):  # an environment that must be typed
            warn(f"no episode and no costs of {curve.name}: {error}")
    return contender


def _settings_of(agent: Any) -> str:
    """The hyperparameters that are not at their defaults, in words."""
    usual = {name: one.default for name, one in declared(type(agent)).items()}
    given = as_json(agent.hyperparameters)
    return ", ".join(f"{k}={_word(v)}" for k, v in given.items() if k not in usual or usual[k] != v)


def _film(agent: Any, seed: int) -> tuple[list[NDArray[np.uint8]], str, float]:
    """The pictures of an episode, what they show, and how many of them make a second."""
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.session import Session

    env = shown_env(reference(agent.env))
    try:
        agent.set_env(env)
        session = Session(env, agent, "watch", seed=seed)
        session.deterministic, session.picture_size = True, _FILM_SIZE
        frames = [session.frame()]
        while len(frames) <= _FILM_STEPS and not session.ended and session.step():
            frames.append(session.frame())
        words = f"return {number(session.position.episode_return)}, {counted(session.position.length, 'step')}"
        rate = min(max(float(env.metadata.get("render_fps") or 8), 2.0), 50.0)  # of a gif
    finally:
        env.close()
    return frames, words if session.ended else f"the first {_FILM_STEPS} steps", rate
