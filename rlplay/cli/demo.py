"""``rlplay demo``: an agent learns before your eyes, in under a minute; without a display it writes a gif."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from rlplay import registry
from rlplay.cli.common import console
from rlplay.cli.windows import open_window
from rlplay.environments.make import make
from rlplay.errors import UsageError
from rlplay.training.evaluation import evaluate

_SECONDS = 28.0  # how long learning takes at the demo's pace
_SLOW_SECONDS = 5.0  # of which the first ones are slow enough to follow each step
_AFTERWARDS = 41  # steps of the trained agent when there is no display


def run(arguments: Namespace) -> int:
    """Train live, then show what was learned and what to try next."""
    from rlplay.viewer.display import has_display, import_pygame
    from rlplay.viewer.session import Session

    import_pygame()
    recipe, out = registry.recipes("DEMO"), console()
    if not recipe:
        raise UsageError("no plug-in offers a demo", "Reinstall rlplay")
    if not arguments.headless and not has_display():
        out.print("There is no display, so the demo runs without a window and writes what it would show.")
        arguments.headless = True
    if arguments.headless and arguments.output is None:
        arguments.output = Path("rlplay-demo.gif")
    env = make(recipe["env"], render_mode="rgb_array", **recipe["env_kwargs"])
    cls = registry.agent_class(recipe["algo"])
    seed = arguments.seed if arguments.seed is not None else recipe["seed"]
    agent = cls(env, seed=seed, **recipe["hyperparameters"])
    agent.horizon = recipe["timesteps"]
    out.print(f"[bold]{agent.id}[/] learns to walk through a maze; it sees only the number of its cell.")
    out.print("Loading compiled code (the first time on a machine this compiles for a few seconds) ...", style="dim")
    agent.probe(agent.observation_space.sample())
    session = Session(env, agent, "learn", target=recipe["timesteps"])
    try:
        open_window(
            session,
            arguments,
            pace=_pace(recipe["timesteps"]),
            on_trained="trained: this is the greedy policy.  r again   e let it explore   q quit",
            default_steps=recipe["timesteps"] + _AFTERWARDS if arguments.headless else None,
        )
    finally:
        if agent.num_timesteps:
            out.print(f"learned for {agent.num_timesteps:,} steps, {agent.statistics.episodes:,} episodes")
    fresh = make(recipe["env"], **recipe["env_kwargs"])
    result = evaluate(agent, fresh, 10)
    out.print(f"  greedy: return {result.mean:.3g}, {result.lengths.mean():.1f} steps an episode (10 episodes)")
    _next_steps()
    return 0


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
    ):
        out.print(f"  [cyan]{command}[/]   {words}")
