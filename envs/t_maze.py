"""TMaze in native code: a sign at the start of a corridor says where to turn at its end.

Source: Bakker 2001, "Reinforcement learning with long short-term memory", section 3.1.

Symbols:
    state = x, goal, sign shown (0 or 1 each)  place in the corridor, 0 for a goal up and 1 for one down, float64 [3]
    parameters = length
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, UsageError, in_place, random

from .control import ControlEnv

_UP, _RIGHT, _DOWN, _LEFT = range(4)


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: at the left end, the goal up or down."""
    state[0], state[1] = 0.0, float(int(2.0 * random(rng)))


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step; a turn at the junction ends the episode, and whoever stands still pays."""
    x, length = state[0], parameters[0]
    turns = action == 0 or action == 2  # noqa: PLR1714 - no sets in native code
    if turns and x == length:
        return (4.0 if action == 2.0 * state[1] else -0.1), True
    moved = min(x + 1.0, length) if action == 1 else max(x - 1.0, 0.0) if action == 3 else x
    state[0] = moved
    return (-0.1 if moved == x else 0.0), False


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """011 or 110 at the start, 101 in the corridor, 010 at the junction."""
    x = state[0]
    at_start, at_junction = x == 0.0, x == parameters[0]
    obs[0] = 0.0 if at_junction or (at_start and state[1] == 0.0) else 1.0
    obs[1] = 1.0 if at_start or at_junction else 0.0
    obs[2] = 0.0 if at_junction or (at_start and state[1] == 1.0) else 1.0


class TMazeEnv(ControlEnv):
    """The T-maze: remember a sign along a corridor.

    ## Description
    A corridor ends in a junction; the goal is above or below it. A sign at the other end of the corridor, where the
    episode starts, says which. All places between look alike.

    ## Action Space
    ``Discrete(4)``: 0 up, 1 right, 2 down, 3 left.

    ## Observation Space
    ``Box(3)``, float32: 0 1 1 at the start with the goal up, 1 1 0 with the goal down, 1 0 1 in the corridor, 0 1 0 at
    the junction.

    ## Rewards
    4 for the right turn, -0.1 for the wrong one and for each step without a move, 0 otherwise.

    ## Starting State
    At the start of the corridor; the goal up or down, equally likely.

    ## Episode End
    Terminated by a turn at the junction. Truncated after 1,000 steps.

    ## Arguments
    ``length=10``: steps from the start to the junction.

    ## References
    Bakker 2001.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = TMazeEnv(length=3)
        >>> first, _ = env.reset(seed=0)
        >>> turn = 2 if first[0] else 0
        >>> [env.step(action)[1] for action in (1, 1, 1, turn)]
        [0.0, 0.0, 0.0, 4.0]
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2
    state_range = (0, 100_000)
    constants = {"length": 10.0}  # noqa: RUF012 - the defaults; each instance sets its own
    action_names = ("up", "right", "down", "left")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Three bits."""
        if self.constants["length"] not in range(1, 100_000):
            raise UsageError(f"TMaze: length={self.constants['length']:g} is not a whole number from 1 to 99,999")
        return gym.spaces.Box(0.0, 1.0, (3,), np.float32), gym.spaces.Discrete(4)

    def get_keys_to_action(self) -> dict[tuple[str, ...], Any]:
        """w, d, s and a."""
        return {("w",): _UP, ("d",): _RIGHT, ("s",): _DOWN, ("a",): _LEFT}

    def picture(self) -> Any:
        """The corridor, the goal, and who walks."""
        from . import drawing as d

        length, (x, goal) = int(self.constants["length"]), (int(v) for v in self.world.state)
        shown = min(length, 40)  # a longer corridor is drawn shorter
        kinds = np.zeros((5, shown + 3), np.int64)
        kinds[2, 1 : shown + 2] = 1
        kinds[1, shown + 1] = kinds[3, shown + 1] = 1
        kinds[3 if goal else 1, shown + 1] = 2
        kinds[2, 1] = 3
        column = round(x * shown / length) + 1
        return d.cells(kinds, (d.PAPER, d.COOL, d.GOOD, d.WARM), max(640 // (shown + 3), 12), (2, column))


__all__ = ["TMazeEnv"]
