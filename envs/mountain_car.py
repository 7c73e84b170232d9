"""MountainCar-v0 in native code: the twin of Gymnasium's environment, the same numbers to the bit.

A car in a valley is too weak to climb out; it must swing back and forth.

Source: Moore 1990; Sutton & Barto 2e, example 10.1; the equations and bounds are those of Gymnasium's MountainCar-v0:

    ẋ ← clip(ẋ + (A - 1) F - g cos 3x),   x ← clip(x + ẋ),   ẋ ← 0 at the left wall

Symbols:
    state = x, ẋ  position and velocity a step, float64 [2];  A  action: 0 left, 1 no push, 2 right
    parameters in the order of `PARAMETERS`, read from the environment, float64 [7]
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.native import NativeDynamics, Twin
from rlplay.compiled.pcg64 import random

PARAMETERS = ("min_position", "max_position", "max_speed", "goal_position", "goal_velocity", "force", "gravity")
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


def _parameters(env: Any) -> NDArray[np.float64]:
    return np.array([getattr(env, name) for name in PARAMETERS], dtype=np.float64)


TWIN = Twin(NativeDynamics(reset, step, observe), 2, _parameters)
