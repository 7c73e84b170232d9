"""Acrobot-v1 in native code: the twin of Gymnasium's environment.

Two links hang from each other; a torque at the joint between them is to swing the end above a line.

Source: Sutton 1996; Sutton & Barto 1st edition, section 11.3; the equations are those of Gymnasium's Acrobot-v1
("book"), integrated by one step of Runge and Kutta's fourth order.

Symbols:
    state = θ₁, θ₂, θ̇₁, θ̇₂, and whether a step was made, float64 [5];  A  action: torque A - 1
    parameters in the order of `PARAMETERS`, read from the environment, float64 [10]

At the start Gymnasium keeps the state in float32. NumPy's sines and cosines differ from the C library's in the last
digit once in some hundred numbers, so this twin is equal but for that: from the same state the next is within 1e-12.
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
    "LINK_LENGTH_1", "LINK_MASS_1", "LINK_MASS_2", "LINK_COM_POS_1", "LINK_COM_POS_2", "LINK_MOI", "MAX_VEL_1",
    "MAX_VEL_2", "dt", "torque_noise_max",
)  # fmt: skip
_START, _G = 0.1, 9.8

Four = tuple[float, float, float, float]


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: hanging nearly still."""
    for i in range(4):
        state[i] = np.float32(-_START + (_START - -_START) * random(rng))
    state[4] = 0.0


@in_place
def derivative(parameters: NDArray[np.float64], s: Four, torque: float) -> Four:
    """The velocities and accelerations of both angles."""
    l1, m1, m2, lc1, lc2, moi = parameters[:6]
    theta1, theta2, dtheta1, dtheta2 = s
    d1 = m1 * (lc1 * lc1) + m2 * (l1 * l1 + lc2 * lc2 + 2 * l1 * lc2 * math.cos(theta2)) + moi + moi
    d2 = m2 * (lc2 * lc2 + l1 * lc2 * math.cos(theta2)) + moi
    phi2 = m2 * lc2 * _G * math.cos(theta1 + theta2 - math.pi / 2.0)
    phi1 = (
        -m2 * l1 * lc2 * (dtheta2 * dtheta2) * math.sin(theta2)
        - 2 * m2 * l1 * lc2 * dtheta2 * dtheta1 * math.sin(theta2)
        + (m1 * lc1 + m2 * l1) * _G * math.cos(theta1 - math.pi / 2)
        + phi2
    )
    ddtheta2 = (torque + d2 / d1 * phi1 - m2 * l1 * lc2 * (dtheta1 * dtheta1) * math.sin(theta2) - phi2) / (
        m2 * (lc2 * lc2) + moi - d2 * d2 / d1
    )
    return dtheta1, dtheta2, -(d2 * ddtheta2 + phi1) / d1, ddtheta2


@in_place
def along(s: Four, step: float, k: Four) -> Four:
    """The state a step along a derivative: s + step k."""
    return s[0] + step * k[0], s[1] + step * k[1], s[2] + step * k[2], s[3] + step * k[3]


@in_place
def wrapped(angle: float) -> float:
    """An angle within -π and π."""
    while angle > math.pi:
        angle = angle - (math.pi - -math.pi)
    while angle < -math.pi:
        angle = angle + (math.pi - -math.pi)
    return angle


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of dt seconds; the reward is -1 until the end stands above the line, a link's length up."""
    fastest1, fastest2, dt, noise = parameters[6:]
    torque = action - 1.0
    if noise > 0.0:
        torque += -noise + (noise - -noise) * random(rng)
    s = (state[0], state[1], state[2], state[3])
    k1 = derivative(parameters, s, torque)
    k2 = derivative(parameters, along(s, dt / 2.0, k1), torque)
    k3 = derivative(parameters, along(s, dt / 2.0, k2), torque)
    k4 = derivative(parameters, along(s, dt, k3), torque)
    for i in range(4):
        state[i] = s[i] + dt / 6.0 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i])
    state[0], state[1] = wrapped(state[0]), wrapped(state[1])
    state[2] = min(max(state[2], -fastest1), fastest1)
    state[3] = min(max(state[3], -fastest2), fastest2)
    state[4] = 1.0
    terminated = -math.cos(state[0]) - math.cos(state[1] + state[0]) > 1.0
    return (0.0 if terminated else -1.0), terminated


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """Cosine and sine of both angles, and both velocities, in float32."""
    for i in range(2):
        if state[4] == 0.0:
            angle = np.float32(state[i])
            obs[2 * i], obs[2 * i + 1] = math.cos(angle), math.sin(angle)
        else:
            obs[2 * i], obs[2 * i + 1] = math.cos(state[i]), math.sin(state[i])
    obs[4], obs[5] = state[2], state[3]


def _parameters(env: Any) -> NDArray[np.float64]:
    return np.array([getattr(env, name) for name in PARAMETERS], dtype=np.float64)


TWIN = Twin(NativeDynamics(reset, step, observe), 5, _parameters, exact=False)
