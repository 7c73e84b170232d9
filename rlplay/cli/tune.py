"""``rlplay tune``: search hyperparameters, repeat, revive and confirm trials; or let a population learn."""

from __future__ import annotations

import itertools
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from rlplay.cli import train
from rlplay.cli.common import RUNS, console, environment_arguments, fits, one, quoted, retyped, turned, typed_words
from rlplay.cli.many import Teller, runner_of
from rlplay.environments.reference import EnvReference
from rlplay.environments.wrappers import listed, untrusted
from rlplay.errors import RlplayError, UsageError, counted, warn_once
from rlplay.reports.numbers import number
from rlplay.storage.files import as_path
from rlplay.training.named_callbacks import require_typed
from rlplay.training.run_folder import folder_name
from rlplay.tuning.confirm import Confirmed, best_trials, confirm, write_settings
from rlplay.tuning.pictures import draw_all
from rlplay.tuning.population import Population
from rlplay.tuning.spaces import Choices, Space, checked_space, read_space, space_of
from rlplay.tuning.study import Place, Plan, create, is_population, open_study, repeat, require_optuna, revive, search

_TRIALS, _RUNGS, _EPISODES = 100, 4, 10


def run(arguments: Namespace) -> int:
    """Do what the action says."""
    if arguments.action != "population":
        require_optuna()
    return {
        "search": _search, "population": _population, "confirm": _confirm, "repeat": _repeat,
        "revive": _revive, "plot": _plot,
    }[arguments.action](arguments)  # fmt: skip


def _place(arguments: Namespace) -> Place:
    folder = (arguments.log_folder or RUNS) / "tune"
    name = arguments.study
    if name is None and arguments.algo and arguments.env:
        name = folder_name(f"{one(arguments.algo, '--algo')}-{one(arguments.env, '--env')}")
    if name is None:
        plans = (path for path in folder.glob("*/plan.json") if not is_population(path.parent))
        found = sorted(plans, key=lambda path: path.stat().st_mtime)
        if not found:
            raise UsageError(f"{folder} holds no study", "Search first: rlplay tune --algo ppo --env CartPole-v1")
        name = found[-1].parent.name
    storage = arguments.storage
    return Place(folder / folder_name(name), storage if storage is None or "://" in storage else str(as_path(storage)))


def plan_of(arguments: Namespace) -> Plan:
    """What a search, or a population, is asked for."""
    algo, env_id = one(arguments.algo, "--algo"), one(arguments.env, "--env")
    if algo is None or env_id is None:
        raise UsageError(
            "tune needs --algo and --env", "For example: rlplay tune --algo ppo --env CartPole-v1 -n 50000"
        )
    nothing: dict[str, Any] = dict.fromkeys(
        ("lock_step", "watch", "save_freq", "keep", "log_interval", "tensorboard_log", "features", "model",
         "eval_freq", "engine")
    )  # fmt: skip
    alone = Namespace(**{**vars(arguments), **nothing, "eval_episodes": arguments.eval_episodes or _EPISODES})
    seeds = arguments.seed or [0]
    for features, model in itertools.product(arguments.features or [None], arguments.model or [None]):
        alone.features, alone.model = (None if one == "none" else one for one in (features, model))
        agent, asked, settings = train.prepared(alone, algo, env_id, seeds[0])
        agent.env.close()
    pruner = arguments.pruner or "none"
    rungs = arguments.rungs or (1 if pruner in ("none", "wilcoxon") else _RUNGS)
    if rungs > asked["n_timesteps"]:
        raise UsageError(f"--rungs {rungs} are more than the {asked['n_timesteps']} timesteps", "Take fewer")
    asked = {**asked, "eval_freq": asked["n_timesteps"] // rungs, "env_kwargs": environment_arguments(arguments)
             | asked["env_kwargs"]}  # fmt: skip
    del asked["seed"]
    space = _space(arguments, algo, env_id, settings)
    fixed = {name: value for name, value in settings.items() if name not in space}
    metrics = arguments.metric or ["iqm"]
    return Plan(asked, fixed, space, seeds, metrics, arguments.sampler or "tpe", pruner, arguments.sampler_seed or 0)


def _space(arguments: Namespace, algo: str, env_id: str, settings: dict[str, Any]) -> Space:
    typed = {pair.partition(":")[0] for pair in arguments.hyperparams}
    space = space_of(algo) if arguments.space is None else read_space(arguments.space, algo, env_id)
    for flag in ("features", "model"):
        if values := getattr(arguments, flag):
            space[flag] = Choices(tuple(None if value == "none" else value for value in values))
    return checked_space({name: one for name, one in space.items() if name not in typed}, algo)


def _search(arguments: Namespace) -> int:
    out, start = console(), time.perf_counter()
    place, plan, trials = _place(arguments), plan_of(arguments), arguments.trials or _TRIALS
    study = create(place, plan)
    before = sum(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))
    if before:
        out.print(f"going on: {before} of {counted(trials, 'trial')} done")
    runner = runner_of(arguments, trials - before)
    seeds = f"seed {plan.seeds[0]}" if len(plan.seeds) == 1 else f"{len(plan.seeds)} seeds"
    out.print(
        f"[bold]{plan.asked['algo']}[/] in [bold]{plan.asked['env']}[/]: {counted(trials, 'trial')} of "
        f"{counted(plan.asked['n_timesteps'], 'timestep')}, {seeds}, {runner.jobs} at once"
    )
    out.print(f"  {', '.join(plan.space)}", style="dim")
    out.print(f"  {place.folder}", style="dim")
    ended = before
    best: float | None = None
    try:
        for outcome in search(place, trials, runner):
            ended += 1
            for text in outcome.warnings:
                warn_once(f"in a trial: {text}")
            if outcome.state == "COMPLETE":
                best = outcome.values[0] if best is None else max(best, outcome.values[0])
            value = ", ".join(map(number, outcome.values)) or outcome.state.lower().replace("fail", "failed")
            left = (time.perf_counter() - start) / (ended - before) * max(trials - ended, 0)
            so_far = "" if best is None else f", best here {number(best)}"
            why = f": {outcome.error}" if outcome.error else ""
            out.print(f"trial {outcome.number}: {value}{why}  [dim]({ended} of {trials}{so_far}, {left:.0f} s left)[/]")
    except KeyboardInterrupt:
        out.print("interrupted: all trials that ended are kept, the others are saved. The same command goes on")
        raise
    finally:
        runner.close()
    out.print(f"{counted(ended - before, 'trial')} in {time.perf_counter() - start:.1f} s")
    return _report(place, arguments)


def _population(arguments: Namespace) -> int:
    out, start = console(), time.perf_counter()
    plan = plan_of(arguments)
    name = arguments.study or f"{folder_name(plan.asked['algo'])}-{folder_name(plan.asked['env'])}-population"
    folder = (arguments.log_folder or RUNS) / "tune" / folder_name(name)
    population = Population(folder, plan, arguments.members or 8, arguments.generations or 10)
    space = population.check()
    runner = runner_of(arguments, population.size)
    try:
        with population.held():
            done = population.history()
            if done:
                out.print(f"going on: {len(done)} of {counted(population.generations, 'generation')} done")
            out.print(f"{population.size} members; on the way change {', '.join(space)}\n  {folder}")
            for generation, members in enumerate(population.learn(runner), len(done) + 1):
                scores = sorted(member.score for member in members)
                copied = sum(member.parent != k for k, member in enumerate(members))
                first, middle, last = (number(scores[i]) for i in (-1, len(scores) // 2, 0))
                out.print(
                    f"generation {generation}: {first} best, {middle} median, {last} worst; {copied} copy a better one"
                )
            best, path = population.best()
    finally:
        runner.close()
    out.print(f"{time.perf_counter() - start:.1f} s; the best agent:  {path}")
    words = ", ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in best.params.items())
    out.print(f"  {best.score:.5g} with {words}")
    return 0


def _words(arguments: Namespace, action: str, place: Place, more: Sequence[str] = ()) -> str:
    folder = ["-f", str(arguments.log_folder)] if arguments.log_folder else []
    storage = ["--storage", place.url] if place.url else []
    return quoted(["rlplay", "tune", action, "--study", place.name, *folder, *storage, *more])


def _report(place: Place, arguments: Namespace) -> int:
    out = console()
    asked = open_study(place)[1].asked
    again = retyped(EnvReference(asked["env"], asked["env_kwargs"]))
    try:
        best = best_trials(place, 5)
    except UsageError as error:
        raise RlplayError(error.cause, "All were pruned or failed: take another --pruner or --space") from None
    table = Table(title=f"{place.name}: the best trials", title_justify="left", title_style="bold", box=None,
                  padding=(0, 2))  # fmt: skip
    for column in ("trial", "value", *best[0].params):
        table.add_column(column, justify="right")
    for trial in best:
        given = ("none" if v is None else f"{v:.4g}" if isinstance(v, float) else str(v) for v in trial.params.values())
        table.add_row(str(trial.number), ", ".join(f"{v:.5g}" for v in trial.values), *given)
    out.print(table if fits(table, out) else turned(table))
    for path in draw_all(place):
        out.print(f"picture:  {path}")
    out.print(f"on fresh seeds:  {_words(arguments, 'confirm', place, again)}")
    return 0


def _plot(arguments: Namespace) -> int:
    return _report(_place(arguments), arguments)


def _number(place: Place, arguments: Namespace) -> int:
    return int(best_trials(place, 1)[0].number) if arguments.trial is None else int(arguments.trial)


def _require_typed(place: Place, arguments: Namespace) -> None:
    """Refuse a study whose environment, wrappers, packages or callbacks are imported, until they are typed again.

    Raises:
        UsageError: says what to type.
    """
    asked = open_study(place)[1].asked
    ref = EnvReference(asked["env"], asked["env_kwargs"])
    packages = [str(name) for name in asked.get("gym_packages") or []]
    untyped = [name for name in packages if name not in arguments.gym_packages]
    given = {**ref.kwargs, **environment_arguments(arguments)}
    strange = untrusted(ref.kwargs.get("wrapper")) and not arguments.wrapper
    same = one(arguments.env, "--env") == ref.id and not strange and _plain(given) == _plain(ref.kwargs)
    if untyped or (ref.typed and not same):
        words = typed_words(ref.id, ref.kwargs) + (["--gym-packages", *packages] if untyped else [])
        raise UsageError(
            f"the study {place.name} is in {ref}{' and imports ' * bool(untyped)}{', '.join(untyped)}, "
            "which no file may import",
            f"Type it again: {_words(arguments, arguments.action, place, words)}",
        )
    require_typed(asked.get("callback"), arguments.gym_packages)


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments of an environment to compare: wrappers as a list."""
    return {**kwargs, "wrapper": listed(kwargs.get("wrapper"))}


def _repeat(arguments: Namespace) -> int:
    """Run a trial again, and compare its score with the recorded one."""
    place = _place(arguments)
    _require_typed(place, arguments)
    study, plan = open_study(place)
    chosen = _number(place, arguments)
    trials = study.get_trials(deepcopy=False)
    if not 0 <= chosen < len(trials) or trials[chosen].state.name != "COMPLETE":
        raise UsageError(f"trial {chosen} of {place.name} has not completed", "Leave out --trial for the best one")
    recorded = trials[chosen].values[0]
    folder = place.folder / f"repeat_{chosen}_{time.time_ns()}"
    again = repeat(plan, trials[chosen].params, folder)
    same = again == recorded
    console().print(f"trial {chosen}: recorded {recorded!r}, again {again!r}: {'the same' if same else 'OTHER'} bits")
    return 0 if same else 1


def _revive(arguments: Namespace) -> int:
    place = _place(arguments)
    if arguments.trial is None:
        raise UsageError("revive needs --trial", "For example: rlplay tune revive --trial 7")
    _require_typed(place, arguments)
    value = revive(place, arguments.trial)
    console().print(f"trial {arguments.trial}, to its end: {value:.6g}; it is now a trial of its own")
    return 0


def _confirm(arguments: Namespace) -> int:
    out, place = console(), _place(arguments)
    _require_typed(place, arguments)
    count, seeds = arguments.top or 5, arguments.seeds or 10
    total = len(best_trials(place, count)) * seeds
    runner = runner_of(arguments, total)
    try:
        teller = Teller(total, 0, out)
        teller.tells_failures = False
        with teller as table:
            found = confirm(place, runner, table, trials=count, seeds=seeds)
    finally:
        runner.close()
    out.print(_confirmed(found))
    path = write_settings(place, found)
    asked = open_study(place)[1].asked
    out.print(f"settings:  {path}")
    words = ["--algo", asked["algo"], *typed_words(asked["env"], asked["env_kwargs"]), "-conf", str(path)]
    out.print(f"train:     {quoted(['rlplay', 'train', *words])}")
    return 0


def _confirmed(found: list[Confirmed]) -> Table:
    table = Table(title=f"interquartile means on {len(found[0].returns)} fresh seeds", title_justify="left",
                  title_style="bold", box=None, padding=(0, 2))  # fmt: skip
    for column in ("trial", "fresh", "95 %", "in the search"):
        table.add_column(column, justify="right")
    for one_of in found:
        low, high = one_of.interval
        table.add_row(str(one_of.number), f"{one_of.iqm:.5g}", f"{low:.5g} to {high:.5g}", f"{one_of.recorded:.5g}")
    return table
