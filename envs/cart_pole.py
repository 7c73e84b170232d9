"""CartPole-v1 in native code: the twin of Gymnasium's environment, the same numbers to the bit.

A pole stands on a cart that is pushed left or right at every step; keep it upright.

Source: Barto, Sutton & Anderson 1983; the equations are Florian 2007, "Correct equations for the dynamics of the
cart-pole system", as Gymnasium's CartPole-v1 has them, integrated by Euler's method.

Symbols:
    state = x, x_dot, theta, theta_dot (m, m/s, rad, rad/s), float64 [4]
    parameters in the order of `PARAMETERS`, read from the environment, float64 [9]
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
    "gravity", "masspole", "total_mass", "length", "polemass_length", "force_mag", "tau",
    "theta_threshold_radians", "x_threshold",
)  # fmt: skip
_START = 0.05  # each state variable starts within -0.05 and 0.05


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: four uniform numbers."""
    for i in range(4):
        state[i] = -_START + (_START - -_START) * random(rng)


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of τ seconds with the force to the right (1) or left (0); the reward is 1."""
    gravity, mass_pole, total_mass, length, pole_mass_length = parameters[:5]
    force_magnitude, tau, largest_angle, largest_x = parameters[5:]
    x, x_dot, theta, theta_dot = state
    force = force_magnitude if action == 1 else -force_magnitude
    cos, sin = math.cos(theta), math.sin(theta)
    temp = (force + pole_mass_length * (theta_dot * theta_dot) * sin) / total_mass
    theta_acceleration = (gravity * sin - cos * temp) / (length * (4.0 / 3.0 - mass_pole * (cos * cos) / total_mass))
    x_acceleration = temp - pole_mass_length * theta_acceleration * cos / total_mass
    state[0] = x + tau * x_dot
    state[1] = x_dot + tau * x_acceleration
    state[2] = theta + tau * theta_dot
    state[3] = theta_dot + tau * theta_acceleration
    return 1.0, abs(state[0]) > largest_x or abs(state[2]) > largest_angle


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    for i in range(4):
        obs[i] = state[i]


def _parameters(env: Any) -> NDArray[np.float64]:
    return np.array([getattr(env, name) for name in PARAMETERS], dtype=np.float64)


TWIN = Twin(NativeDynamics(reset, step, observe), 4, _parameters)
