"""``rlplay demo``: an agent learns before your eyes, in under a minute; without a display it writes a gif."""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from rlplay import registry
from rlplay.cli.common import console
from rlplay.cli.windows import open_window, prepared
from rlplay.errors import UsageError, counted
from rlplay.reports.numbers import number

_SECONDS = 28.0  # how long learning takes at the demo's pace
_SLOW_SECONDS = 5.0  # of which the first ones are slow enough to follow each step
_NEXT = ("q-learning", "ppo", "a2c", "sarsa", "linear-sarsa")  # agents that one tries next
_AFTERWARDS = 41  # steps of the trained agent when there is no display


def run(arguments: Namespace) -> int:
    """Train live, then show what was learned and what to try next."""
    from rlplay.viewer.display import has_display, import_pygame

    import_pygame()
    out = console()
    if not arguments.headless and not has_display():
        arguments.headless, arguments.output = True, arguments.output or Path("rlplay-demo.gif")
        out.print(f"There is no display: the demo writes what a window would show to {arguments.output}, in a while.")
    if arguments.headless and arguments.output is None:
        arguments.output = Path("rlplay-demo.gif")
    session, recipe = prepared(lambda: _session(arguments.seed), arguments, "an agent that learns to walk a maze")
    agent, others = session.agent, None
    out.print(f"[bold]{agent.id}[/] learns to walk through a maze; it sees only the number of its cell.")
    try:
        others = None if arguments.headless else _compile_others()
        open_window(
            session,
            arguments,
            pace=_pace(recipe["timesteps"]),
            on_trained="trained: this is the greedy policy.  r again   e let it explore   q quit",
            default_steps=recipe["timesteps"] + _AFTERWARDS if arguments.headless else None,
        )
    finally:
        if others is not None:
            others.terminate()  # what it has compiled is kept
            others.wait()
        if agent.num_timesteps:
            done, played = counted(agent.num_timesteps, "step"), counted(agent.statistics.episodes, "episode")
            out.print(f"learned for {done}, {played}")
    from rlplay.environments.make import make
    from rlplay.training.evaluation import evaluate

    result = evaluate(agent, make(recipe["env"], **recipe["env_kwargs"]), 10)
    out.print(f"  greedy: return {number(result.mean, 3)}, {result.lengths.mean():.1f} steps an episode (10 episodes)")
    _next_steps()
    return 0


def _session(seed: int | None) -> tuple[Any, dict[str, Any]]:
    """The agent in its maze, and the demo's settings; whatever both need is compiled or loaded.

    Raises:
        UsageError: no plug-in offers a demo.
    """
    from rlplay.agent.base import Agent
    from rlplay.environments.make import make
    from rlplay.viewer.session import Session

    recipe = registry.recipes("DEMO")
    if not recipe:
        raise UsageError("no plug-in offers a demo", "Reinstall rlplay")

    def new() -> tuple[Session, Agent]:
        env = make(recipe["env"], render_mode="rgb_array", **recipe["env_kwargs"])
        cls = registry.agent_class(recipe["algo"])
        agent = cls(env, seed=recipe["seed"] if seed is None else seed, **recipe["hyperparameters"])
        agent.horizon = recipe["timesteps"]
        return Session(env, agent, "learn", target=recipe["timesteps"]), agent

    another, twin = new()  # its first step has everything compiled
    another.step()
    twin.probe(another.observation)
    another.env.close()
    return new()[0], recipe


def _compile_others() -> subprocess.Popen[bytes]:
    """Compile what one tries next while the demo is watched, in a process that steps back behind all others."""
    words = [sys.executable, "-m", "rlplay", "warm", "--background", "--algo", *_NEXT]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _pace(timesteps: int) -> Any:
    """Steps a second: a few at first, so that each can be followed, then more and more."""
    slowly = 8.0 * _SLOW_SECONDS

    def pace(seconds: float, session: Any) -> float:
        share = max(seconds - _SLOW_SECONDS, 0.0) / (_SECONDS - _SLOW_SECONDS)
        wanted = min(8.0 * seconds, slowly) + (timesteps - slowly) * share**2.5
        return max((wanted - float(session.agent.num_timesteps)) * 4, 8.0)

    return pace


def _next_steps() -> None:
    out = console()
    out.print("\n[bold]what to try next[/]")
    for command, words in (
        ("rlplay train --algo q-learning --env FrozenLake-v1 -n 2000000 --seed 0", "train at native speed"),
        ("rlplay watch", "watch what you trained"),
        ("rlplay show q-learning", "the idea, the equation, the file"),
        ("rlplay play --env rlplay/GridWorld-v0 --env-kwargs map:cliff", "play yourself"),
        ("rlplay list", "what else is there"),
        ("rlplay warm", "compile all agents now, so that none has to be waited for"),
    ):
        out.print(f"  [cyan]{command}[/]   {words}")
