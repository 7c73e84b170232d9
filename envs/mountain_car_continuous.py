"""MountainCarContinuous-v0 in native code: the same numbers as Gymnasium's environment, to the bit.

The car in the valley, pushed by any force within bounds, and charged for it.

Source: Moore 1990; the equations and bounds are those of Gymnasium's MountainCarContinuous-v0:

    ẋ ← clip(ẋ + P u - 0.0025 cos 3x),   x ← clip(x + ẋ),   ẋ ← 0 at the left wall;   reward 100 at the goal - 0.1 u²

Symbols:
    state = x, ẋ, and whether a step was made, float64 [3];  action = u, float32 [1]
    parameters: the constants in their order, float64 [8]

Gymnasium keeps position and velocity in float32 after the first step, so what follows is computed in float32 too.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, ReadOnly, in_place, random

from .control import ControlEnv
from .mountain_car import valley

_START_LOW, _START_HIGH = -0.6, -0.4


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: at rest near the bottom."""
    state[0] = _START_LOW + (_START_HIGH - _START_LOW) * random(rng)
    state[1] = state[2] = 0.0


@in_place
def roll(position: Any, velocity: Any, left: Any, right: Any, fastest: Any) -> Any:
    """Position and velocity after a push, in the precision of the arguments."""
    velocity = min(max(velocity, -fastest), fastest)
    position = min(max(position + velocity, left), right)
    if position == left and velocity < 0:
        velocity = velocity * 0
    return position, velocity


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: NDArray[np.float32], rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step; the end is the goal, reached with at least the goal's velocity."""
    weakest, strongest, left, right, fastest, goal, goal_velocity, power = parameters
    force = np.float32(min(max(action[0], weakest), strongest)) * np.float32(power)
    single = np.float32
    if state[2] == 0.0:
        push = force - single(0.0025 * math.cos(3.0 * state[0]))
        position, velocity = roll(state[0], state[1] + push, left, right, fastest)
        at_goal = position >= goal and velocity >= goal_velocity
        state[0], state[1], state[2] = single(position), single(velocity), 1.0
    else:
        x, v = single(state[0]), single(state[1])
        push = force - single(0.0025 * math.cos(np.float64(single(3.0) * x)))
        x, v = roll(x, single(v + push), single(left), single(right), single(fastest))
        at_goal = x >= single(goal) and v >= single(goal_velocity)
        state[0], state[1] = x, v
    u = np.float64(action[0])
    return (100.0 if at_goal else 0.0) - (u * u) * 0.1, at_goal


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    obs[0], obs[1] = state[0], state[1]


class MountainCarContinuousEnv(ControlEnv):
    """The car in a valley with any push, stepped in native code.

    ## Description
    The car in a valley, pushed by any force within bounds, and charged for it. The numbers are those of Gymnasium's
    MountainCarContinuous-v0, to the bit.

    ## Action Space
    ``Box(1)``, float32: the force, from ``min_action`` to ``max_action``.

    ## Observation Space
    ``Box(2)``, float32: position, and velocity a step.

    ## Rewards
    Minus a tenth of the force's square; 100 at the goal.

    ## Starting State
    At rest, the position uniform between -0.6 and -0.4.

    ## Episode End
    Terminated at the goal, reached with at least ``goal_velocity``. Truncated after 999 steps.

    ## Arguments
    ``min_action=-1``, ``max_action=1``, ``min_position=-1.2``, ``max_position=0.6``, ``max_speed=0.07``,
    ``goal_position=0.45``, ``goal_velocity=0``, ``power=0.0015``; ``width`` and ``height`` of pictures in pixels.
    ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Moore 1990.

    ## Version History
    * v0: as Gymnasium's v0.

    ## Example
        >>> env = MountainCarContinuousEnv()
        >>> _ = env.reset(seed=0)
        >>> round(env.step([0.5])[1], 6)  # costs 0.1 · 0.5²
        -0.025
    """

    dynamics = NativeDynamics(reset, step, observe, continuous=True)
    state_size = 3
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "min_action": -1.0, "max_action": 1.0, "min_position": -1.2, "max_position": 0.6, "max_speed": 0.07,
        "goal_position": 0.45, "goal_velocity": 0.0, "power": 0.0015,
    }  # fmt: skip
    state = ReadOnly(lambda env: env.world.state[:2].copy())

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """The bounds of position and velocity, and of the force."""
        c = self.constants
        return valley(c), gym.spaces.Box(np.float32(c["min_action"]), np.float32(c["max_action"]), (1,), np.float32)

    def picture(self) -> Any:
        """The car in its valley."""
        from . import control_drawing

        c = self.constants
        x, sides = self.world.state[0], (c["min_position"], c["max_position"])
        return control_drawing.mountain_car(self.size, x, *sides, c["goal_position"], self.push(c["max_action"]))
