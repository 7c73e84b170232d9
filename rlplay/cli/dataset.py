"""``rlplay dataset``: make a data set from agents, teachers, random play and recordings; say what is in one."""

from __future__ import annotations

import re
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
from rich.table import Table

from rlplay import registry
from rlplay.cli.common import console, environment_arguments, load_agent, load_from, one, quoted, typed_words
from rlplay.environments.dataset import Dataset
from rlplay.environments.episode import load_episode
from rlplay.environments.make import make, reference, remake
from rlplay.environments.masks import MaskSource
from rlplay.environments.reference import EnvReference
from rlplay.environments.wrappers import untrusted
from rlplay.errors import CheckpointError, UsageError, counted
from rlplay.reports.numbers import number
from rlplay.seeding import check_seed
from rlplay.storage.files import as_path, require_writable
from rlplay.training.run_folder import find_agent_file

DEFAULT_STEPS = 10_000


def run(arguments: Namespace) -> int:
    """Make one, or say what is in one."""
    return _make(arguments) if arguments.action == "make" else _info(arguments)


def _make(arguments: Namespace) -> int:
    if arguments.file is not None:
        raise UsageError(
            f"dataset make reads no file {arguments.file!r}", "Name an agent with -i FILE, and what is written with -o"
        )
    if arguments.output is None:
        raise UsageError("dataset make needs a place to write to", "Add -o FILE.rlp")
    require_writable(arguments.output, "-o")
    agent = load_agent(arguments)[0] if arguments.trained_agent or arguments.algo else None
    typed = one(arguments.env, "--env")
    recordings = [as_path(path) for path in arguments.recordings]
    if agent is not None:
        ref = reference(agent.env)
    elif typed:
        ref = reference(make(typed, **environment_arguments(arguments)))
    elif recordings:
        ref = load_episode(recordings[0]).env
        if ref.typed:
            raise UsageError(
                f"{recordings[0]} was recorded in {ref}, which a file may not import",
                f"Type it: {quoted(typed_words(ref.id, ref.kwargs))}",
            )
    else:
        raise UsageError(
            "dataset make needs --env, or an agent",
            "For example: rlplay dataset make --env CartPole-v1 --mix random:1 -n 10000 -o random.rlp",
        )
    exact = reference(remake(ref)).exact
    dynamics = "gymnasium" if recordings and not exact else "auto"
    shares = [_share(text) for text in arguments.mix]
    rest = 1.0 - sum(share for _, share in shares)
    if rest < -1e-9:
        raise UsageError(f"--mix {' '.join(arguments.mix)} is more than the whole", "Let the shares be 1 together")
    if agent is not None and rest > 1e-9:
        shares.insert(0, ("", rest))
    elif agent is not None:
        raise UsageError(f"--mix {' '.join(arguments.mix)} leaves nothing to {agent.id}", "Lower a share")
    elif not recordings and abs(rest) > 1e-9:
        mix = " ".join([*arguments.mix, f"random:{rest:.3g}"])
        raise UsageError(
            f"nobody plays {'the other ' * bool(shares)}{100 * rest:.3g} % of the steps",
            f"Name an agent with -i, or let --mix be 1 together: --mix {mix}",
        )
    total = DEFAULT_STEPS if arguments.n_timesteps is None else arguments.n_timesteps
    if total < 1:
        raise UsageError(f"-n {total} is not 1 or more")
    seed, parts = check_seed(one(arguments.seed, "--seed") or 0), []
    for i, (name, share) in enumerate(shares):
        steps = round(total * share)
        if steps < 1:
            raise UsageError(f"--mix {name}:{share:g} of {counted(total, 'step')} is none", "Raise -n")
        env = remake(ref, dynamics=dynamics)
        if name == "random":
            part = Dataset.random(env, steps, seed=seed + i)
        else:
            act, start, player = _player(name, agent, env, arguments)
            part = Dataset.record(env, act, steps, seed=seed + i, player=player, on_start=start)
        parts.append(replace(part, dynamics=dynamics))
    if recordings:
        env = remake(ref, dynamics="gymnasium")
        part = Dataset.of_episodes([load_episode(path, env) for path in recordings], env)
        parts.append(replace(part, dynamics=dynamics))
    data = Dataset.join(parts)
    data.replay()
    path = data.save(arguments.output)
    _show(data, path)
    return 0


def _share(text: str) -> tuple[str, float]:
    """``random:0.5`` as name and share."""
    name, _, share = text.rpartition(":")
    if not name or not re.fullmatch(r"\d*\.?\d+", share) or not 0 < float(share) <= 1:
        raise UsageError(f"--mix {text} is not NAME:SHARE with a share from 0 to 1", "For example: --mix random:0.5")
    return name, float(share)


def _player(
    name: str, agent: Any, env: gym.Env[Any, Any], arguments: Namespace
) -> tuple[Callable[[Any, dict[str, Any]], Any], Callable[[], None], str]:
    """How the agent, a policy by name or the agent of a file acts; what is done before an episode; and the name."""
    if name:
        named = registry.recipes("POLICIES").get(reference(env).id.removeprefix("rlplay/"), {})
        if name in named:
            policy = named[name]
            return lambda obs, _: policy(obs), lambda: None, name
        if not as_path(name).exists() and not as_path(f"{name}.rlp").exists():
            raise UsageError(
                f"--mix {name}: it is neither a file nor a policy for {reference(env)}",
                f"Give the path of a saved agent, or one of {', '.join(['random', *named])}",
            )
        path = find_agent_file(name, Path(), None, None, None, best=False, step=None)
        agent = load_from(path, Namespace(**{**vars(arguments), "algo": None}))
    masks, deterministic = MaskSource(env), not arguments.stochastic
    if (agent.observation_space, agent.action_space) != (env.observation_space, env.action_space):
        raise UsageError(
            f"{name or agent.id} was trained in {reference(agent.env)}, and {reference(env)} has other spaces"
        )

    state: Any = None

    def start() -> None:
        nonlocal state
        state = None

    def act(obs: Any, info: dict[str, Any]) -> Any:
        nonlocal state
        mask = masks.of(info)
        told = {} if mask is None else {"action_masks": mask}
        action, state = agent.predict(obs, state, [False], deterministic, **told)
        return action

    return act, start, agent.id


def _info(arguments: Namespace) -> int:
    if arguments.file is None:
        raise UsageError("dataset info needs a file", "For example: rlplay dataset info expert.rlp")
    path = as_path(arguments.file)
    data = Dataset.load(path)
    typed = one(arguments.env, "--env")
    ref = EnvReference(
        typed or data.env.id, {**data.env.kwargs, **environment_arguments(arguments)}, wrappers=data.env.wrappers
    )
    strange = ref.typed or untrusted(ref.kwargs.get("wrapper")) or ref.wrappers
    if strange and typed is None:
        raise UsageError(
            f"{path} is of {data.env}, which a file may not import",
            f"Type it: {quoted(typed_words(data.env.id, data.env.kwargs))}",
        )
    start = time.perf_counter()
    try:
        data.replay(remake(replace(ref, wrappers=()), dynamics=data.dynamics))
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error.cause}", error.remedy) from error
    _show(data, path)
    console().print(f"replays exactly, in {time.perf_counter() - start:.2f} s", style="dim")
    return 0


def _show(data: Dataset, path: Path) -> None:
    table = Table(title=f"{path}: {counted(len(data), 'step')} in {counted(len(data.seeds), 'episode')} of {data.env}")
    for column in ("player", "episodes", "steps", "mean return", "min", "max"):
        table.add_column(column, justify="left" if column == "player" else "right")
    for i, name in enumerate(data.players):
        own = data.played_by == i
        returns = data.returns[own]
        table.add_row(
            name, f"{int(own.sum()):,}", f"{int(data.lengths[own].sum()):,}", number(returns.mean()),
            number(returns.min()), number(returns.max()),
        )  # fmt: skip
    console().print(table)
    console().print(f"{counted(path.with_suffix('.rlp').stat().st_size, 'byte')}, digest {data.digest()}", style="dim")
