"""Pictures of environments that are played without being drawn, where somebody asks for one.

In place of a native one Gymnasium's is brought to where it stands.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv
from rlplay.environments.interact import RunningEnv
from rlplay.environments.make import reference, remake
from rlplay.errors import UsageError
from rlplay.spaces.actions import as_played


class DrawnWhenAsked(gym.Wrapper[Any, Any, Any, Any]):
    """An environment of a run that draws where somebody asks for a picture: drawing keeps native code from its steps.

    It draws where the run stands; once it was reset by somebody else than the run, where that one stands.

    Args:
        running_env: the environment, and where the run stands in it.

    Example:
        >>> from agents import PPO
        >>> agent = PPO("CartPole-v1", n_steps=8, batch_size=8, seed=0).learn(8, engine="python")
        >>> env = DrawnWhenAsked(agent.running_envs()[0])
        >>> env.render_mode, env.render().shape
        ('rgb_array', (400, 600, 3))
    """

    def __init__(self, running_env: RunningEnv) -> None:
        super().__init__(running_env.env)
        self._position = running_env.position
        self._rng = np.random.default_rng(running_env.seeds)  # the run's own are not drawn from
        self._own: tuple[int, list[Any]] | None = None  # the seed and the actions of who plays it beside the run
        self._drawn: gym.Env[Any, Any] | None = None
        self._shown: tuple[int, int] = (-1, 0)  # the seed of what is drawn, and its actions so far

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]
        """Its own, else ``rgb_array`` where it can draw."""
        return self.env.render_mode or ("rgb_array" if "rgb_array" in self.metadata.get("render_modes", ()) else None)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with a seed of its own where none is given."""
        if self.env.render_mode is None:
            seed = int(self._rng.integers(2**31)) if seed is None else seed
            self._own = seed, []
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step."""
        if self._own is not None:
            self._own[1].append(action)
        return self.env.step(action)

    def render(self) -> Any:
        """The picture, uint8 [H, W, 3].

        Raises:
            UsageError: it runs in native code, where actions are not recorded, or cannot be made a second time.
        """
        base: Any = self.env.unwrapped
        if self.env.render_mode is not None:
            return self.env.render()
        if not isinstance(base, NativeEnv | TableEnv):  # it can draw itself
            base.render_mode = "rgb_array"
            try:
                return self.env.render()
            finally:
                base.render_mode = None
        seed, actions = self._own or (self._position.seed, self._position.actions)
        if actions is None:
            raise UsageError(
                f"{reference(self.env)} was played in native code, which records no actions to draw it by",
                "Give gym.make(..., render_mode='rgb_array') itself, or learn(..., engine='python')",
            )
        if self._drawn is None:
            self._drawn = remake(reference(self.env), render_mode="rgb_array")
        if self._shown[0] != seed or self._shown[1] > len(actions):
            self._drawn.reset(seed=seed if seed >= 0 else None)
            self._shown = seed, 0
        for action in actions[self._shown[1] :]:
            self._drawn.step(as_played(self._drawn.action_space, action))
        self._shown = seed, len(actions)
        return self._drawn.render()

    def close(self) -> None:
        """Close both."""
        if self._drawn is not None:
            self._drawn.close()
        super().close()


__all__ = ["DrawnWhenAsked"]
