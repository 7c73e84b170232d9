"""MountainCarContinuous-v0 in native code: the twin of Gymnasium's environment, the same numbers to the bit.

The car in the valley, pushed by any force within bounds, and charged for it.

Source: Moore 1990; the equations and bounds are those of Gymnasium's MountainCarContinuous-v0:

    ẋ ← clip(ẋ + P u - 0.0025 cos 3x),   x ← clip(x + ẋ),   ẋ ← 0 at the left wall;   reward 100 at the goal - 0.1 u²

Symbols:
    state = x, ẋ, and whether a step was made, float64 [3];  action = u, float32 [1]
    parameters in the order of `PARAMETERS`, read from the environment, float64 [8]

Gymnasium keeps position and velocity in float32 after the first step, so what follows is computed in float32 too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.native import NativeDynamics, Twin
from rlplay.compiled.pcg64 import random

PARAMETERS = (
    "min_action", "max_action", "min_position", "max_position", "max_speed", "goal_position", "goal_velocity", "power",
)  # fmt: skip
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


def _parameters(env: Any) -> NDArray[np.float64]:
    return np.array([getattr(env, name) for name in PARAMETERS], dtype=np.float64)


TWIN = Twin(NativeDynamics(reset, step, observe, continuous=True), 3, _parameters)
