"""MountainCar-v0 in native code: the same numbers as Gymnasium's environment, to the bit.

A car in a valley is too weak to climb out; it must swing back and forth.

Source: Moore 1990; Sutton & Barto 2e, example 10.1; the equations and bounds are those of Gymnasium's MountainCar-v0:

    ẋ ← clip(ẋ + (A - 1) F - g cos 3x),   x ← clip(x + ẋ),   ẋ ← 0 at the left wall

Symbols:
    state = x, ẋ  position and velocity a step, float64 [2];  A  action: 0 left, 1 no push, 2 right
    parameters: the constants in their order, float64 [7]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place, random

from .control import ControlEnv

_START_LOW, _START_HIGH = -0.6, -0.4


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: at rest near the bottom."""
    state[0] = _START_LOW + (_START_HIGH - _START_LOW) * random(rng)
    state[1] = 0.0


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step; the reward is -1, the end is the goal, reached with at least the goal's velocity."""
    left, right, fastest, goal, goal_velocity, force, gravity = parameters
    position, velocity = state
    velocity += (action - 1) * force + math.cos(3.0 * position) * -gravity
    velocity = min(max(velocity, -fastest), fastest)
    position = min(max(position + velocity, left), right)
    if position == left and velocity < 0.0:
        velocity = 0.0
    state[0], state[1] = position, velocity
    return -1.0, position >= goal and velocity >= goal_velocity


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    obs[0], obs[1] = state[0], state[1]


class MountainCarEnv(ControlEnv):
    """The car in a valley, stepped in native code.

    ## Description
    A car in a valley is too weak to climb out: it must swing back and forth. The numbers are those of Gymnasium's
    MountainCar-v0, to the bit.

    ## Action Space
    ``Discrete(3)``: 0 pushes to the left, 1 not at all, 2 to the right.

    ## Observation Space
    ``Box(2)``, float32: position, and velocity a step.

    ## Rewards
    -1 a step.

    ## Starting State
    At rest, the position uniform between -0.6 and -0.4.

    ## Episode End
    Terminated at the goal, reached with at least ``goal_velocity``. Truncated after 200 steps; the book's car has no
    such limit (``max_episode_steps``).

    ## Arguments
    ``min_position=-1.2``, ``max_position=0.6``, ``max_speed=0.07``, ``goal_position=0.5``, ``goal_velocity=0``,
    ``force=0.001``, ``gravity=0.0025``; ``width`` and ``height`` of pictures in pixels.
    ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Moore 1990; Sutton & Barto, Reinforcement Learning, 2nd edition, example 10.1.

    ## Version History
    * v0: as Gymnasium's v0.

    ## Example
        >>> env = MountainCarEnv()
        >>> env.reset(seed=0)[0].shape, env.step(2)[1:3]
        ((2,), (-1.0, False))
    """

    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "min_position": -1.2, "max_position": 0.6, "max_speed": 0.07, "goal_position": 0.5, "goal_velocity": 0.0,
        "force": 0.001, "gravity": 0.0025,
    }  # fmt: skip
    action_names = ("left", "no push", "right")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """The bounds of position and velocity."""
        return valley(self.constants), gym.spaces.Discrete(3)

    def picture(self) -> Any:
        """The car in its valley."""
        from . import control_drawing

        c = self.constants
        x, sides = self.world.state[0], (c["min_position"], c["max_position"])
        return control_drawing.mountain_car(self.size, x, *sides, c["goal_position"], self.push())


def valley(constants: Mapping[str, float]) -> gym.spaces.Box:
    """The bounds of position and velocity."""
    low = np.array([constants["min_position"], -constants["max_speed"]], dtype=np.float32)
    return gym.spaces.Box(low, np.array([constants["max_position"], constants["max_speed"]], dtype=np.float32))
