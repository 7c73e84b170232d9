"""Baird's counterexample in native code: where off-policy semi-gradient methods diverge.

Source: Baird 1995; Sutton & Barto 2e, section 11.2 and figure 11.1. Seven states; the solid action leads to the
seventh, the dashed one to one of the other six, each equally likely. With eight weights w the value of upper state i is
2 w_i + w_8, of the lower one w_7 + 2 w_8; the true values are 0.

Symbols:
    state = number of the state, 0 to 6, float64 [1];  A  action: 0 dashed, 1 solid
    observation = the features of the state, float32 [8]
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place, random

from .control import ControlEnv

DASHED, SOLID = 0, 1
LOWER = 6


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start: any state."""
    state[0] = int(7 * random(rng))


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step; the reward is 0 and there is no end."""
    upper = int(6 * random(rng))
    state[0] = LOWER if action == SOLID else upper
    return 0.0, False


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The features of the state."""
    obs[:] = 0.0
    here = int(state[0])
    obs[here] = 1.0 if here == LOWER else 2.0
    obs[7] = 2.0 if here == LOWER else 1.0


class BairdEnv(ControlEnv):
    """Baird's counterexample.

    ## Description
    Seven states, two actions, no reward at all, and linear features with which off-policy semi-gradient methods
    diverge, although the true values can be represented.

    ## Action Space
    ``Discrete(2)``: 0 dashed, to one of the six upper states, each equally likely; 1 solid, to the lower one.

    ## Observation Space
    ``Box(8)``, float32: the features of the state; upper state i has 2 at i and 1 at the end, the lower one 1 at 6 and
    2 at the end.

    ## Rewards
    0. The book's discount is 0.99, its behaviour takes the dashed action with probability 6/7, its target policy
    always the solid one.

    ## Starting State
    Any of the seven, all equally likely.

    ## Episode End
    None; no time limit.

    ## Arguments
    ``width`` and ``height`` of pictures in pixels. ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Baird 1995; Sutton & Barto, Reinforcement Learning, 2nd edition, section 11.2, figure 11.1.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = BairdEnv()
        >>> _ = env.reset(seed=0)
        >>> env.step(1)[0].tolist()  # the solid action leads to the lower state
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 1
    state_range = (0, LOWER)
    action_names = ("dashed", "solid")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Features from 0 to 2."""
        return gym.spaces.Box(0.0, 2.0, (8,), np.float32), gym.spaces.Discrete(2)

    def picture(self) -> Any:
        """The seven states."""
        from . import control_drawing

        labels = [*(f"2w{i + 1}+w8" for i in range(6)), "w7+2w8"]
        return control_drawing.baird(self.size, int(self.world.state[0]), labels)
