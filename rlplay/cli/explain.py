"""``rlplay explain``: what each number of the observation contributes to the choices of a saved agent."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from rlplay.cli.common import console, load_agent, one
from rlplay.environments.make import reference
from rlplay.errors import UsageError, counted
from rlplay.reports.occlusion import PATCHES, Contributions, contributions, draw, summary
from rlplay.reports.pictures import check_picture
from rlplay.seeding import check_seed
from rlplay.training.run_folder import folder_name

_BACKGROUND = 24  # states whose values are put in the place of what is hidden
_EXPLAINED = 200  # states of those that were visited, evenly spread


def run(arguments: Namespace) -> int:
    """Play, explain the choices, print a table and write a picture."""
    agent, _ = load_agent(arguments)
    path = arguments.output or Path(f"explain-{folder_name(reference(agent.env).id)}.png")
    check_picture(path)
    typed = one(arguments.seed, "--seed")
    seed = agent.seed if typed is None else check_seed(typed)
    if agent.follows_position:
        raise UsageError(
            f"{agent.id} plans anew from where it stands, and has no values of other states to compare",
            "Look at its search tree: rlplay watch",
        )
    steps = arguments.n_timesteps or 2000
    states = _visited(agent, seed, steps, deterministic=arguments.deterministic)
    found = _explained(agent, states, seed)
    out = console()
    out.print(_table(found, f"{agent.id} in {reference(agent.env)}", len(states)))
    draw(found, path, f"{agent.id} in {reference(agent.env)}: why it chooses, {counted(len(found.scores), 'state')}")
    out.print(f"picture:  {path}")
    return 0


def _visited(agent: Any, seed: int, steps: int, *, deterministic: bool) -> list[Any]:
    """The observations of so many steps."""
    from rlplay.environments.make import remake
    from rlplay.viewer.session import Session

    env = remake(reference(agent.env), dynamics="gymnasium")
    if "rgb_array" in env.metadata.get("render_modes", []):
        from rlplay.cli.windows import shown_env

        env.close()
        env = shown_env(reference(agent.env))
    agent.set_env(env)
    session = Session(env, agent, "watch", seed=seed)
    session.deterministic = deterministic
    states = [session.observation]
    while len(states) < steps:
        if session.ended:
            session.reset()
        session.step()
        if not session.ended:
            states.append(session.observation)
    env.close()
    return states


def _explained(agent: Any, states: list[Any], seed: int) -> Contributions:
    from rlplay.viewer.slices import dimension_names

    chosen = [states[i] for i in np.unique(np.linspace(0, len(states) - 1, _EXPLAINED).astype(int))]
    others = np.random.default_rng(seed).choice(len(states), min(_BACKGROUND, len(states)), replace=False)
    names = dimension_names(agent.env) if len(agent.observation_space.shape or ()) == 1 else None
    found = contributions(agent.probe, agent.observation_space, chosen, [states[i] for i in sorted(others)], names)
    if found is None:
        raise UsageError(f"{agent.id} has neither values nor probabilities in {reference(agent.env).id}")
    return found


def _table(found: Contributions, title: str, visited: int) -> Table:
    caption = (
        f"contribution to {found.of}: how much of it goes when the number is hidden by values from other states; "
        f"{len(found.scores)} of {counted(visited, 'state')}"
    )
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left", box=None, padding=(0, 2))
    for column in ("number", "mean size", "share", "when low", "when high", "decisive"):
        table.add_column(column, justify="left" if column == "number" else "right")
    rows = summary(found)
    for row in rows[: PATCHES**2]:
        signed = [f"{value:+.3g}" if np.isfinite(value) else "-" for value in (row.low, row.high)]
        table.add_row(row.name, f"{row.size:.3g}", f"{row.share:.0%}", *signed, f"{row.decisive:.0%}")
    if len(rows) > PATCHES**2:
        table.add_row(f"and {len(rows) - PATCHES**2} more", "", "", "", "", "")
    return table
