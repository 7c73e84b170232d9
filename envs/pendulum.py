"""Pendulum-v1 in native code: the twin of Gymnasium's environment, the same numbers to the bit.

A pendulum is to be swung up and held upright by a torque that is too weak to lift it at once.

Source: Gymnasium's Pendulum-v1; with θ = 0 upright, torque u and step dt:

    reward = - (θ² + 0.1 θ̇² + 0.001 u²), with θ normalised to [-π, π)
    θ̇ ← clip(θ̇ + (3g / 2l sin θ + 3 / ml² u) dt),   θ ← θ + θ̇ dt

Symbols:
    state = θ, θ̇ (rad, rad/s), float64 [2];  action = u (N m), float32 [1]
    parameters in the order of `PARAMETERS`, read from the environment, and the number 2, float64 [7]

What the torque alone enters is computed in float32, as in Gymnasium, whose torque is float32. Squares in the reward are
powers, as there: the C library's pow(x, 2) differs from x x in the last digit once in some thousand times, and a 2 that
the compiler does not know keeps it from putting one for the other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.native import NativeDynamics, Twin
from rlplay.compiled.pcg64 import random

PARAMETERS = ("max_speed", "max_torque", "dt", "g", "m", "l")
_START = (math.pi, 1.0)  # angle and velocity start within these bounds, in both directions


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: any angle, a small velocity."""
    for i in range(2):
        state[i] = -_START[i] + (_START[i] - -_START[i]) * random(rng)


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: NDArray[np.float32], rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of dt seconds; the reward is minus the cost, and there is no end."""
    fastest, strongest, dt, g, m, length, two = parameters
    theta, velocity = state
    u = np.float32(min(max(action[0], -strongest), strongest))
    angle = (theta + math.pi) % (2 * math.pi) - math.pi
    cost = angle**two + 0.1 * velocity**two + np.float32(0.001) * u ** np.float32(two)
    pull = 3 * g / (2 * length) * math.sin(theta) + np.float32(3.0 / (m * (length * length))) * u
    velocity = min(max(velocity + pull * dt, -fastest), fastest)
    state[0], state[1] = theta + velocity * dt, velocity
    return -cost, False


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """Cosine and sine of the angle, and the velocity, in float32."""
    obs[0], obs[1], obs[2] = math.cos(state[0]), math.sin(state[0]), state[1]


def _parameters(env: Any) -> NDArray[np.float64]:
    return np.array([*(getattr(env, name) for name in PARAMETERS), 2.0], dtype=np.float64)


TWIN = Twin(NativeDynamics(reset, step, observe, continuous=True), 2, _parameters)
