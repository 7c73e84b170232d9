"""What the classic control worlds share: native dynamics and pictures of their own, as one Gymnasium environment."""

from __future__ import annotations

from typing import Any

import numpy as np

from rlplay.extend import NativeEnv, ReadOnly

from .pictured import Pictured

UNBOUNDED = np.finfo(np.float32).max


class ControlEnv(Pictured, NativeEnv):
    """A world with a vector state, stepped in native code and drawn at any size.

    Attributes:
        last_action: the action of the last step; None before.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 30}  # noqa: RUF012
    action_names: tuple[str, ...] = ()
    state = ReadOnly(lambda env: env.world.state.copy())  # reset(options={"state": ...}) begins in another one

    def __init__(
        self, render_mode: str | None = None, width: int | None = None, height: int | None = None, **constants: float
    ) -> None:
        Pictured.__init__(self, render_mode, width, height)
        self.last_action: Any = None
        NativeEnv.__init__(self, render_mode=render_mode, **constants)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see `rlplay.compiled.native.NativeEnv.reset`."""
        self.last_action = None
        return super().reset(seed=seed, options=options)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step; see `rlplay.compiled.native.NativeEnv.step`."""
        self.last_action = action
        return super().step(action)

    def push(self, strongest: float = 1.0) -> float:
        """The last action from -1 to 1, for the arrow in the picture: of three actions or of a force."""
        if self.last_action is None:
            return 0.0
        if self.dynamics.continuous:
            return min(max(float(self.last_action[0]) / strongest, -1.0), 1.0)
        return float(self.last_action) - 1.0

    def get_action_meanings(self) -> list[str]:
        """The names of the actions, where they are numbered."""
        return list(self.action_names)

    def get_keys_to_action(self) -> dict[tuple[str, ...], Any]:
        """Which keys take which action in ``gymnasium.utils.play``: a and d, or none of them."""
        space, names = self.action_space, self.action_names
        if self.dynamics.continuous:
            return {("a",): space.low, ("d",): space.high, (): (space.low + space.high) / 2}  # type: ignore[attr-defined]
        keys: dict[tuple[str, ...], Any] = {("a",): 0, ("d",): len(names) - 1}
        return keys if len(names) == 2 else {**keys, (): 1}
