"""``rlplay train``: one run or a grid of runs, logged in RL Zoo's layout, resumable after a kill."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import time
from argparse import Namespace
from typing import Any

import gymnasium as gym

from rlplay import registry
from rlplay.agent import saving
from rlplay.agent.base import Agent
from rlplay.agent.imitation import ImitationAgent
from rlplay.agent.off_policy import OffPolicyAgent
from rlplay.agent.offline import OfflineAgent
from rlplay.agent.sb3_words import take_their_words
from rlplay.cli import beside, many
from rlplay.cli.common import (
    RUNS,
    console,
    environment_arguments,
    follow_up,
    load_agent,
    quoted,
    retyped,
    typed_env,
    typed_reference,
    typed_words,
)
from rlplay.cli.watch import watched
from rlplay.cli.zoo_entries import callbacks_in, making, settings_in_file
from rlplay.compiled.kept import why_not_kept
from rlplay.compiled.table import TableEnv
from rlplay.environments.episode import replays_exactly
from rlplay.environments.make import make, reference, remake
from rlplay.environments.packages import without_module
from rlplay.environments.reference import EnvReference
from rlplay.errors import UsageError, warn
from rlplay.hyperparameters.fields import as_json, checked, declared
from rlplay.hyperparameters.settings import parse_pairs
from rlplay.reports.numbers import number
from rlplay.runners.batch import Request
from rlplay.runners.job import run_callbacks
from rlplay.seeding import check_seed
from rlplay.storage.files import as_path, locked, require_writable
from rlplay.training.callbacks import Callback, EvalCallback, short_number
from rlplay.training.logs import require_tensorboard
from rlplay.training.named_callbacks import require_typed
from rlplay.training.run import choose_engine
from rlplay.training.run_folder import RunFolder, new_run

DEFAULT_TIMESTEPS = 100_000
_MOST_TIMESTEPS = 2**53
EVAL_EPISODES = 5  # an evaluation, by default
_PATIENCE = 20.0  # seconds that a run waits for its window


def run(arguments: Namespace) -> int:
    """Train what the flags name."""
    if arguments.resume:
        return _resume(arguments)
    if arguments.trained_agent:
        return _continue(arguments)
    if not (arguments.algo and arguments.env):
        raise UsageError(
            "train needs --algo and --env", "For example: rlplay train --algo q-learning --env FrozenLake-v1"
        )
    count = len(list(itertools.product(arguments.algo, arguments.env, arguments.seed or [None])))
    if (arguments.watch or arguments.lock_step) and count > 1:
        raise UsageError(
            f"--watch and --lock-step show one run and the flags name {count}", "Name one agent, environment and seed"
        )
    if count == 1 and (arguments.jobs or arguments.runner):
        raise UsageError("--jobs and --runner are for several runs and the flags name one", "Give several --seed, say")
    prepared = rehearse(arguments, arguments.env) if count > 1 else []
    if arguments.jobs or arguments.runner:
        outcomes = many.finish(prepared, arguments)
        return 1 if any(outcome.error for outcome in outcomes) else 0
    for env_id, algo, seed in itertools.product(arguments.env, arguments.algo, arguments.seed or [None]):
        _new(arguments, algo, env_id, seed)
    return 0


def _check_unlike(arguments: Namespace) -> None:
    """Refuse a grid that names the same run twice."""
    for flag in ("algo", "env", "seed"):
        values = getattr(arguments, flag) or []
        if twice := [value for value in values if values.count(value) > 1]:
            raise UsageError(f"--{flag} names {twice[0]} twice, which would be the same run", "Leave out one of them")


def rehearse(arguments: Namespace, env_ids: list[str]) -> list[Request]:
    """Make each agent of a grid once in silence: what is refused is refused before the first run is created.

    Returns:
        The runs of the grid, agent by agent.
    """
    out, requests = console(), []
    _check_unlike(arguments)
    seeds = [check_seed(seed) for seed in arguments.seed or [None]]
    out.quiet = True
    try:
        for algo, env_id in itertools.product(arguments.algo, env_ids):
            agent, asked, settings = prepared(arguments, algo, env_id, seeds[0])
            agent.env.close()
            requests += [Request({**asked, "seed": seed}, settings, arguments.dataset) for seed in seeds]
    finally:
        out.quiet = False
    return requests


def _new(arguments: Namespace, algo: str, env_id: str, seed: int | None) -> None:
    if arguments.lock_step:
        _lock_step(arguments, registry.agent_class(algo), *_settings_of(arguments, algo, env_id), seed)
        return
    agent, asked, _ = prepared(arguments, algo, env_id, seed)
    folder = new_run(arguments.log_folder or RUNS, algo, env_id)
    folder.write_settings(as_json(agent.hyperparameters), asked, quoted(["rlplay", *sys.argv[1:]]))
    _train(agent, folder, asked, arguments, fresh=True)


def prepared(
    arguments: Namespace, algo: str, env_id: str, seed: int | None
) -> tuple[Agent, dict[str, Any], dict[str, Any]]:
    """The agent of a new run, what the run is asked for, and the hyperparameters as they were given."""
    ref, settings, timesteps = _settings_of(arguments, algo, env_id)
    callbacks = callbacks_in(settings, arguments)
    env = make(env_id, dynamics=arguments.dynamics or "auto", **ref.kwargs)
    agent = _make_agent(registry.agent_class(algo), env, seed, settings)
    _take_data(agent, arguments)
    _check_timesteps(timesteps)
    _check_surroundings(agent, arguments)
    return agent, {**_asked(agent, env_id, timesteps, arguments), **callbacks}, settings


def _settings_of(arguments: Namespace, algo: str, env_id: str) -> tuple[EnvReference, dict[str, Any], int]:
    """The environment of a new run, its hyperparameters and its timesteps, from flags, files and recipes."""
    cls = registry.agent_class(algo)
    own = declared(cls)
    for flag in ("features", "model"):
        if getattr(arguments, flag) is not None and flag not in own and len(arguments.algo) == 1:
            raise UsageError(f"{algo} takes no --{flag}", f"rlplay show {algo} lists what it takes")
    settings = settings_in_file(arguments, cls, env_id) if arguments.conf_file else _tuned(algo, env_id)
    timesteps = arguments.n_timesteps
    if timesteps is None:
        timesteps = _timesteps_of(settings.get("n_timesteps", DEFAULT_TIMESTEPS))
    settings.pop("n_timesteps", None)
    settings.update(parse_pairs(arguments.hyperparams, "-params"))
    take_their_words(cls, settings)
    settings.update({k: v for k in ("features", "model") if (v := getattr(arguments, k)) is not None and k in own})
    env_kwargs = {**making(settings, arguments, env_id), **environment_arguments(arguments)}
    return EnvReference(env_id, env_kwargs), settings, timesteps


def _lock_step(
    arguments: Namespace, cls: type[Agent], ref: EnvReference, settings: dict[str, Any], timesteps: int,
    seed: int | None,
) -> None:  # fmt: skip
    """Learn in the window's own time, a step at a time; what was learned is saved when the window closes."""
    from rlplay.cli.windows import open_window, shown_env
    from rlplay.viewer.lock_step import why_not_stepwise
    from rlplay.viewer.session import Session

    _check_timesteps(timesteps)
    if callbacks_in(settings, arguments):
        raise UsageError(
            "--lock-step learns in the window's own time, without callbacks", "Take --watch, or no callback"
        )
    agent = _make_agent(cls, shown_env(ref), seed, settings)
    if why := why_not_stepwise(agent):
        one = "Add -params n_envs:1, or w" if len(agent.running_envs()) > 1 else "W"
        raise UsageError(why, f"{one}atch it learn with --watch")
    agent.horizon = timesteps
    folder = new_run(arguments.log_folder or RUNS, agent.id, ref.id)
    asked = _asked(agent, ref.id, timesteps, arguments)
    folder.write_settings(as_json(agent.hyperparameters), asked, quoted(["rlplay", *sys.argv[1:]]))
    session = Session(agent.env, agent, "learn", target=timesteps)
    try:
        open_window(
            session,
            arguments,
            on_trained="done: it is saved when the window closes",
            default_steps=300 if arguments.headless else None,
        )
    finally:
        agent.save(folder.last)
    console().print(
        f"{agent.num_timesteps:,} {agent.timestep}s, saved\nwatch it:  {follow_up('watch', folder.path, agent)}"
    )


def _asked(agent: Agent, env_id: str, timesteps: int, arguments: Namespace) -> dict[str, Any]:
    """What a run is asked for, as ``--resume`` finds it again."""
    return {
        "algo": agent.id,
        "env": env_id,
        "env_kwargs": reference(agent.env).kwargs,
        "seed": agent.seed,
        "n_timesteps": timesteps,
        "gym_packages": arguments.gym_packages,
        "dynamics": arguments.dynamics or "auto",
        "engine": arguments.engine or "auto",
        "eval_freq": arguments.eval_freq,
        "eval_episodes": arguments.eval_episodes or EVAL_EPISODES,
        "save_freq": arguments.save_freq,
        "keep": arguments.keep,
        "log_interval": arguments.log_interval,
        "tensorboard_log": str(arguments.tensorboard_log) if arguments.tensorboard_log else None,
    }


def _tuned(algo: str, env_id: str) -> dict[str, Any]:
    """Settings that are known to work for an agent in an environment, from the plug-ins' recipes; said."""
    found = registry.recipes("TUNED").get(algo, {}).get(env_id, {})
    if found:
        console().print(f"tuned settings for {algo} in {env_id}: {', '.join(f'{k}={v}' for k, v in found.items())}")
    return dict(found)


def _make_agent(cls: type[Agent], env: gym.Env[Any, Any], seed: int | None, settings: dict[str, Any]) -> Agent:
    settings = checked(cls, settings)  # names and ranges, before the constructor would stumble over a name
    return cls(env, seed=seed, **settings)


def _resume(arguments: Namespace) -> int:
    """Finish what a run was asked for originally."""
    folder = RunFolder(as_path(arguments.resume))
    asked = folder.arguments()
    _check_typed_again(arguments, asked, folder)
    path = folder.newest_checkpoint()
    ref = EnvReference(str(asked["env"]), dict(asked["env_kwargs"]))
    _check_same_environment(arguments, ref, folder)
    env = typed_env(arguments, ref, asked["dynamics"])
    packages = [str(name) for name in asked.get("gym_packages") or []]  # runs of before have none
    untyped = [name for name in packages if name not in arguments.gym_packages]
    if env is None and (ref.typed or untyped):
        words = typed_words(ref.id, ref.kwargs) + (["--gym-packages", *packages] if untyped else [])
        raise UsageError(
            f"{folder.path} was trained in {ref}, which a file may not import",
            f"Type it again: {quoted(['rlplay', 'train', '--resume', str(folder.path), *words])}",
        )
    if env is None:
        env = make(str(asked["env"]), dynamics=asked["dynamics"], **dict(asked["env_kwargs"]))
    agent = saving.load(path, env)
    left = asked["n_timesteps"] - agent.num_timesteps
    if left <= 0 and not agent.busy:
        console().print(f"{folder.path} is complete: {agent.num_timesteps:,} {agent.timestep}s")
        return 0
    console().print(f"resuming {folder.path} at {agent.num_timesteps:,} of {asked['n_timesteps']:,} {agent.timestep}s")
    asked["engine"] = arguments.engine or asked["engine"]
    require_typed(asked.get("callback"), arguments.gym_packages)
    _check_surroundings(agent, arguments)
    _train(agent, folder, asked, arguments, fresh=False)
    return 0


def _continue(arguments: Namespace) -> int:
    """Add timesteps to a saved agent, in a run of its own."""
    if arguments.hyperparams or arguments.conf_file or arguments.features or arguments.model or arguments.seed:
        raise UsageError(
            "-i goes on with the saved hyperparameters and random numbers",
            "Leave out -params, -conf, --features, --model and --seed, or train anew",
        )
    agent, _ = load_agent(arguments)
    _take_data(agent, arguments)
    added = DEFAULT_TIMESTEPS if arguments.n_timesteps is None else arguments.n_timesteps
    _check_timesteps(added)
    _check_surroundings(agent, arguments)
    ref = reference(agent.env)
    folder = new_run(arguments.log_folder or RUNS, agent.id, ref.id or "environment")
    asked = _asked(agent, ref.id, agent.num_timesteps + added, arguments)
    folder.write_settings(as_json(agent.hyperparameters), asked, quoted(["rlplay", *sys.argv[1:]]))
    scheduled = [k for k, v in agent.hyperparameters.items() if isinstance(v, str) and v.startswith(("lin_", "exp_"))]
    if scheduled and asked["n_timesteps"] > agent.horizon:
        words = f"{', '.join(scheduled)} now ends at timestep {asked['n_timesteps']:,}, not {agent.horizon:,}"
        console().print(f"the schedule of {words}")
    _train(agent, folder, asked, arguments, fresh=False)
    return 0


def _check_typed_again(arguments: Namespace, asked: dict[str, Any], folder: RunFolder) -> None:
    """Refuse flags that say something else than what the run was asked for: they would have no effect."""
    typed: dict[str, Any] = {
        "--algo": (arguments.algo, [asked["algo"]]),
        "-n": (arguments.n_timesteps, asked["n_timesteps"]),
        "-params": (arguments.hyperparams or None, None),
        "-conf": (arguments.conf_file, None),
        "--features": (arguments.features, None),
        "--model": (arguments.model, None),
        "--seed": (arguments.seed, [asked["seed"]]),
        "--eval-freq": (arguments.eval_freq, asked["eval_freq"]),
        "--eval-episodes": (arguments.eval_episodes, asked["eval_episodes"]),
        "-tb": (arguments.tensorboard_log and str(arguments.tensorboard_log), asked["tensorboard_log"]),
        "--dynamics": (arguments.dynamics, asked["dynamics"]),
        "-f": (arguments.log_folder, None),
        "--save-freq": (arguments.save_freq, asked["save_freq"]),
        "--keep": (arguments.keep, asked["keep"]),
        "--log-interval": (arguments.log_interval, asked["log_interval"]),
        "-i": (arguments.trained_agent, None),
        "--lock-step": (arguments.lock_step or None, None),
        "--dataset": (arguments.dataset, None),
    }
    if other := [flag for flag, (given, of_run) in typed.items() if given is not None and given != of_run]:
        command = quoted(["rlplay", "train", "-i", str(folder.path)])
        raise UsageError(
            f"--resume finishes {folder.path} as it was asked for: {', '.join(other)} would change it",
            f"Leave that out, or add timesteps in a new run: {command} -n N",
        )


def _check_same_environment(arguments: Namespace, asked: EnvReference, folder: RunFolder) -> None:
    """Refuse another environment than the run was asked for: half of its episodes would be of another world."""
    typed = typed_reference(arguments, asked)
    if typed is None:
        return
    modules = {name.rpartition(":")[0] for name in (typed.id, asked.id)} - {""}
    same = without_module(typed.id) == without_module(asked.id) and len(modules) < 2
    if not same or json.loads(json.dumps(typed.kwargs, default=str)) != asked.kwargs:
        words = typed_words(asked.id, asked.kwargs) if asked.typed else []
        raise UsageError(
            f"--resume finishes {folder.path} in {asked}, and {typed} was typed",
            f"Resume it as it was: {quoted(['rlplay', 'train', '--resume', str(folder.path), *words])}; "
            "-i in place of --resume goes on in another environment, in a run of its own",
        )


def _take_data(agent: Agent, arguments: Namespace) -> None:
    """What --dataset names."""
    if arguments.dataset is None:
        return
    if not isinstance(agent, OffPolicyAgent | ImitationAgent):
        raise UsageError(f"{agent.id} takes no --dataset", "Offline agents, off-policy agents and behavior-cloning do")
    agent.remember(arguments.dataset)


def _check_surroundings(agent: Agent, arguments: Namespace) -> None:
    """Refuse before a folder is made what training would refuse."""
    choose_engine(agent, arguments.engine or "auto", [])
    view = getattr(agent.encoder, "view", None)
    if view is not None and view.as_pictures:
        console().print(view.as_pictures)
    if (room := getattr(agent, "buffer_bytes", 0)) > 0:
        console().print(f"the replay buffer takes up to {room / 2**20:,.1f} MiB")
    if isinstance(agent, OfflineAgent):
        agent.require_data()
    if arguments.tensorboard_log:
        require_tensorboard()
        require_writable(arguments.tensorboard_log / "events", "-tb")
    if arguments.watch:
        from rlplay.viewer.display import require_display

        require_display()


def _timesteps_of(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        raise UsageError(f"n_timesteps={value!r} is not a whole number")
    return int(value)


def _check_timesteps(timesteps: int) -> None:
    if timesteps < 1:
        raise UsageError(f"-n {timesteps} is not 1 or more")
    if timesteps > _MOST_TIMESTEPS:
        raise UsageError(f"-n {str(timesteps)[:30]} is more than {_MOST_TIMESTEPS:,}")


def _train(agent: Agent, folder: RunFolder, asked: dict[str, Any], arguments: Namespace, *, fresh: bool) -> None:
    """Train and report."""
    total = asked["n_timesteps"] - (0 if fresh else agent.num_timesteps)
    callbacks, evaluations = run_callbacks(folder, asked, 0.5 if arguments.watch else 30.0)
    engine = choose_engine(agent, asked["engine"], callbacks)
    if engine == "compiled":
        agent.compile_ahead()
    ref = reference(agent.env)
    out = console()
    out.print(f"[bold]{agent.id}[/] in [bold]{ref}[/], seed {agent.seed}, {total:,} {agent.timestep}s")
    out.print(f"  engine {engine}, dynamics {ref.dynamics}", style="dim")
    out.print(f"  {folder.path}", style="dim")
    if why := agent.why_not_compiled():
        out.print(f"  (not compiled: {why})", style="dim")
    if not arguments.resume:
        _say_what_never_comes(asked, agent.num_timesteps if not fresh else 0, agent.timestep)
    _check_replay(agent)
    window = _open_window(folder, agent, arguments) if arguments.watch else None
    bar = arguments.progress if arguments.progress is not None else sys.stderr.isatty()
    summary = _Summary()
    try:
        with locked(folder.path):
            agent.learn(
                total,
                [*callbacks, summary],
                log_interval=asked["log_interval"],
                progress_bar=bar,
                reset_num_timesteps=fresh,
                engine=engine,
                workers="auto" if arguments.workers is None else arguments.workers,
            )
    except KeyboardInterrupt:
        typed = retyped(ref)
        out.print(f"interrupted at {agent.num_timesteps:,} {agent.timestep}s, saved. Go on with:")
        out.print(f"  {quoted(['rlplay', 'train', '--resume', str(folder.path), *typed])}")
        raise
    _report(agent, folder, evaluations, summary)
    if window is not None:
        out.print("training is done; the window stays until you close it (q)")
        window.wait()


def _say_what_never_comes(asked: dict[str, Any], now: int, timestep: str) -> None:
    """Say before training that a run ends before its first evaluation or checkpoint."""
    for flag, what in (("eval_freq", "evaluation"), ("save_freq", "numbered checkpoint")):
        every = asked[flag] or 0
        if every > 0 and asked["n_timesteps"] // every == now // every:
            words = f"--{flag.replace('_', '-')} {every}"
            warn(f"{words} is reached by none of the {asked['n_timesteps'] - now:,} {timestep}s ahead: no {what}")


def _check_replay(agent: Agent) -> None:
    """Say so before training when an environment draws random numbers that its seed does not set."""
    ref = reference(agent.env)
    if ref.id and not isinstance(agent.env, TableEnv):
        env = remake(ref, dynamics="gymnasium", bonus=None)  # a bonus pays less each time
        if not replays_exactly(env):
            warn(f"{ref.id} draws random numbers that its seed does not set: resume will not be exact, nor replays")
        env.close()


class _Summary(Callback):
    """Remembers the run for the last line."""

    def on_training_end(self) -> None:
        self.finished = self.run


def _open_window(folder: RunFolder, agent: Agent, arguments: Namespace) -> subprocess.Popen[bytes]:
    """The window is a process of its own that follows the run's files: training is neither slowed nor touched."""
    agent.save(folder.last)
    typed = retyped(reference(agent.env))
    opened, start = watched(folder.path), time.perf_counter()
    opened.unlink(missing_ok=True)
    size = None if arguments.size is None else "{}x{}".format(*arguments.size)
    flags = {"--size": size, "--fps": arguments.fps, "-o": arguments.output, "--max-steps": arguments.max_steps,
             "--rows": arguments.rows}  # fmt: skip
    shown = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    words = ["watch", str(folder.path), "--follow", *shown, *typed]
    window = subprocess.Popen([sys.executable, "-m", "rlplay", *words], env=beside())
    while not opened.exists() and window.poll() is None and time.perf_counter() - start < _PATIENCE:
        time.sleep(0.02)  # agents that learn within seconds would be done before one sees them
    if not opened.exists() and window.poll():
        raise UsageError(
            f"the window did not open: {quoted(['rlplay', *words])} ended with {window.poll()}",
            "Nothing was trained yet. Train without --watch, and watch the run afterwards",
        )
    opened.unlink(missing_ok=True)
    return window


def _report(agent: Agent, folder: RunFolder, evaluations: EvalCallback | None, summary: _Summary) -> None:
    out, finished = console(), summary.finished
    once = "" if why_not_kept() else ", once a machine"
    done = f"compiling{once}" if finished.compiled else "loading compiled code"
    speed = f"{short_number(finished.steps_per_second)} {agent.timestep}s/s "
    out.print(
        f"{agent.num_timesteps:,} {agent.timestep}s, {speed * (finished.learn_seconds >= 1e-3)}"
        f"({finished.learn_seconds:.2f} s of learning; {finished.compile_seconds:.1f} s of {done})"
    )
    if workers := agent.workers:
        measured = f": a step of the environment takes {agent.step_seconds * 1e3:.2g} ms" if agent.step_seconds else ""
        out.print(f"  {workers} worker {'process' if workers == 1 else 'processes'} played too{measured}")
    if agent.statistics.recent:
        out.print(f"  return while learning {number(agent.statistics.mean_return)} over the last episodes")
    if evaluations and evaluations.evaluations:
        best = evaluations.best_mean_reward
        out.print(f"  return evaluated      {number(evaluations.evaluations[-1].mean)}, best {number(best)}")
    elif agent.num_timesteps < finished.target:
        why = "converged" if finished.converged else "stopped by a callback"
        out.print(f"  {why} after {agent.num_timesteps:,} {agent.timestep}s")
    out.print(f"watch it:  {follow_up('watch', folder.path, agent)}")
