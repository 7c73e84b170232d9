"""What the verbs with a window share."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any, TypeVar

import gymnasium as gym

from rlplay.environments.make import remake
from rlplay.environments.reference import EnvReference
from rlplay.errors import UsageError

T = TypeVar("T")

SIZE = (1280, 720)  # pixels of a window by default


def prepared(work: Callable[[], T], arguments: Namespace, words: str) -> T:
    """What work returns, while a window says that it is waited for; without a window where none is asked for."""
    if arguments.headless:
        return work()
    from rlplay.viewer.waiting import while_waiting

    return while_waiting(work, arguments.size or SIZE, words)


def shown_env(ref: EnvReference) -> gym.Env[Any, Any]:
    """An environment made again so that it can be shown; of one without pictures its observations are drawn."""
    from rlplay.viewer.display import import_pygame

    import_pygame()
    try:
        return remake(ref, render_mode="rgb_array", dynamics="gymnasium")
    except UsageError:  # many a class without pictures takes no render_mode
        env = remake(ref, dynamics="gymnasium")
        if "rgb_array" in env.metadata.get("render_modes", []):
            env.close()
            raise
        return env


def open_window(session: Any, arguments: Namespace, *, default_steps: int | None = None, **options: Any) -> Any:
    """Run a window with the flags that all window verbs have; returns it afterwards."""
    from rlplay.viewer.window import Window

    window = Window(
        session,
        arguments.size or SIZE,
        steps_per_second=arguments.fps,
        headless=arguments.headless,
        output=arguments.output,
        max_steps=arguments.max_steps if arguments.max_steps is not None else default_steps,
        **options,
    )
    window.run()
    return window
