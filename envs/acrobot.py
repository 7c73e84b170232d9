"""Acrobot-v1 in native code, after Gymnasium's environment.

Two links hang from each other; a torque at the joint between them is to swing the end above a line.

Source: Sutton 1996; Sutton & Barto 1st edition, section 11.3; the equations are those of Gymnasium's Acrobot-v1
("book"), integrated by one step of Runge and Kutta's fourth order.

Symbols:
    state = θ₁, θ₂, θ̇₁, θ̇₂, and whether a step was made, float64 [5];  A  action: torque A - 1
    parameters: the constants in their order, float64 [10]

At the start Gymnasium keeps the state in float32. NumPy's sines and cosines differ from the C library's in the last
digit once in some hundred numbers, so this version is equal but for that: from the same state the next is within 1e-12.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, ReadOnly, in_place, random

from .control import ControlEnv

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


class AcrobotEnv(ControlEnv):
    """Two links to be swung up, stepped in native code.

    ## Description
    Two links hang from each other; a torque at the joint between them is to swing the end above a line one link's
    length above the bar. From the same state the next one is Gymnasium's Acrobot-v1's to 1e-12.

    ## Action Space
    ``Discrete(3)``: a torque of -1, 0 or 1 N m.

    ## Observation Space
    ``Box(6)``, float32: cosine and sine of both angles (0 hanging down, the second against the first), both
    velocities (rad/s).

    ## Rewards
    -1 a step, 0 at the end.

    ## Starting State
    Angles and velocities uniform between -0.1 and 0.1.

    ## Episode End
    Terminated above the line. Truncated after 500 steps.

    ## Arguments
    ``LINK_LENGTH_1=1``, ``LINK_LENGTH_2=1`` (only drawn), ``LINK_MASS_1=1``, ``LINK_MASS_2=1``,
    ``LINK_COM_POS_1=0.5``, ``LINK_COM_POS_2=0.5``, ``LINK_MOI=1``, ``MAX_VEL_1``, ``MAX_VEL_2``, ``dt=0.2`` (s),
    ``torque_noise_max=0``; ``width`` and ``height`` of pictures in pixels. ``reset(options={"state": [...]})``
    begins in a given state: two angles, two velocities, and 1.

    ## References
    Sutton 1996; Sutton & Barto, Reinforcement Learning, 1st edition, section 11.3.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = AcrobotEnv()
        >>> env.reset(seed=0)[0].shape, env.step(1)[1:3]
        ((6,), (-1.0, False))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 15}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 5
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "LINK_LENGTH_1": 1.0, "LINK_LENGTH_2": 1.0, "LINK_MASS_1": 1.0, "LINK_MASS_2": 1.0, "LINK_COM_POS_1": 0.5,
        "LINK_COM_POS_2": 0.5, "LINK_MOI": 1.0, "MAX_VEL_1": 4 * math.pi, "MAX_VEL_2": 9 * math.pi, "dt": 0.2,
        "torque_noise_max": 0.0,
    }  # fmt: skip
    action_names = ("left", "no torque", "right")
    exact = False
    AVAIL_TORQUE = ReadOnly(lambda env: [-1.0, 0.0, 1.0])
    book_or_nips = ReadOnly(lambda env: "book")
    state = ReadOnly(lambda env: env.world.state[:4].copy())

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """The bounds of the observation."""
        c = self.constants
        high = np.array([1.0, 1.0, 1.0, 1.0, c["MAX_VEL_1"], c["MAX_VEL_2"]], dtype=np.float32)
        return gym.spaces.Box(-high, high), gym.spaces.Discrete(3)

    def parameters(self) -> NDArray[np.float64]:
        """The constants but for the second link's length, which only its picture needs."""
        return np.array([value for name, value in self.constants.items() if name != "LINK_LENGTH_2"])

    def picture(self) -> Any:
        """The links and the line."""
        from . import control_drawing

        c = self.constants
        first, second = self.world.state[:2].tolist()
        return control_drawing.acrobot(self.size, first, second, (c["LINK_LENGTH_1"], c["LINK_LENGTH_2"]))
