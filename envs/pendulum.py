"""Pendulum-v1 in native code: the same numbers as Gymnasium's environment, to the bit.

A pendulum is to be swung up and held upright by a torque that is too weak to lift it at once.

Source: Gymnasium's Pendulum-v1; with θ = 0 upright, torque u and step dt:

    reward = - (θ² + 0.1 θ̇² + 0.001 u²), with θ normalised to [-π, π)
    θ̇ ← clip(θ̇ + (3g / 2l sin θ + 3 / ml² u) dt),   θ ← θ + θ̇ dt

Symbols:
    state = θ, θ̇ (rad, rad/s), float64 [2];  action = u (N m), float32 [1]
    parameters = greatest speed and torque, dt, 3g / 2l, 3 / ml², and the number 2, float64 [6]

What the torque alone enters is computed in float32, as in Gymnasium, whose torque is float32. Squares in the reward are
powers, as there: the C library's pow(x, 2) differs from x x in the last digit once in some thousand times, and a 2 that
the compiler does not know keeps it from putting one for the other.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place, random

from .control import ControlEnv

_TURN = 2 * math.pi
_START = (math.pi, 1.0)  # angle and velocity start within these bounds, in both directions


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: any angle, a small velocity."""
    for i in range(2):
        state[i] = -_START[i] + (_START[i] - -_START[i]) * random(rng)


@in_place
def normalised(theta: float) -> float:
    """The angle within -π and π: ((θ + π) mod 2π) - π, the common cases without a division and to the same bit."""
    turned = theta + math.pi
    if 0.0 <= turned < _TURN:
        return turned - math.pi
    if _TURN <= turned <= 2 * _TURN:
        return (turned - _TURN) - math.pi
    if -_TURN < turned < 0.0:
        return (turned + _TURN) - math.pi
    return turned % _TURN - math.pi


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: NDArray[np.float32], rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of dt seconds; the reward is minus the cost, and there is no end."""
    fastest, strongest, dt, gravity, lever, two = parameters
    theta, velocity = state
    u = np.float32(min(max(action[0], -strongest), strongest))
    angle = normalised(theta)
    cost = angle**two + 0.1 * velocity**two + np.float32(0.001) * u ** np.float32(two)
    pull = gravity * math.sin(theta) + np.float32(lever) * u
    velocity = min(max(velocity + pull * dt, -fastest), fastest)
    state[0], state[1] = theta + velocity * dt, velocity
    return -cost, False


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """Cosine and sine of the angle, and the velocity, in float32."""
    obs[0], obs[1], obs[2] = math.cos(state[0]), math.sin(state[0]), state[1]


def pump_and_hold(obs: NDArray[np.float32]) -> NDArray[np.float32]:
    """A torque [1] that gives the pendulum the energy of standing upright, and holds it there; a teacher."""
    cos, sin, velocity = (float(x) for x in obs)
    if cos > 0.85:
        torque = -12.0 * sin - 3.0 * velocity
    else:
        torque = math.copysign(2.0, velocity) * (1.0 if velocity * velocity / 2.0 < 15.0 * (1.0 - cos) else -1.0)
    return np.array([min(max(torque, -2.0), 2.0)], np.float32)


class PendulumEnv(ControlEnv):
    """The pendulum that is to be swung up, stepped in native code.

    ## Description
    A pendulum is to be swung up and held upright by a torque that is too weak to lift it at once. The numbers are
    those of Gymnasium's Pendulum-v1, to the bit.

    ## Action Space
    ``Box(1)``, float32: the torque (N m), at most ``max_torque`` in both directions.

    ## Observation Space
    ``Box(3)``, float32: cosine and sine of the angle (0 upright), and velocity (rad/s).

    ## Rewards
    ``-(θ² + 0.1 θ̇² + 0.001 u²)``, with the angle within -π and π: 0 at best, about -16.3 at worst.

    ## Starting State
    Any angle, a velocity between -1 and 1, both uniform.

    ## Episode End
    Truncated after 200 steps; never terminated.

    ## Arguments
    ``max_speed=8`` (rad/s), ``max_torque=2``, ``dt=0.05`` (s), ``g=10`` (m/s²), ``m=1`` (kg), ``l=1`` (m);
    ``width`` and ``height`` of pictures in pixels. ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Gymnasium's Pendulum-v1.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = PendulumEnv()
        >>> obs, _ = env.reset(seed=0)
        >>> round(float(obs[0] ** 2 + obs[1] ** 2), 5)  # cosine and sine of the angle
        1.0
    """

    dynamics = NativeDynamics(reset, step, observe, continuous=True)
    state_size = 2
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "max_speed": 8.0, "max_torque": 2.0, "dt": 0.05, "g": 10.0, "m": 1.0, "l": 1.0,
    }  # fmt: skip

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """The bounds of the observation, and of the torque."""
        high, strongest = np.array([1.0, 1.0, self.constants["max_speed"]], np.float32), self.constants["max_torque"]
        torque = gym.spaces.Box(np.float32(-strongest), np.float32(strongest), (1,), np.float32)
        return gym.spaces.Box(-high, high), torque

    def parameters(self) -> NDArray[np.float64]:
        """What enters the equations, computed in Gymnasium's order, and a 2 that the compiler does not know."""
        c = self.constants
        gravity, lever = 3 * c["g"] / (2 * c["l"]), 3.0 / (c["m"] * (c["l"] * c["l"]))
        return np.array([c["max_speed"], c["max_torque"], c["dt"], gravity, lever, 2.0])

    def picture(self) -> Any:
        """The pendulum and its torque."""
        from . import control_drawing

        return control_drawing.pendulum(self.size, self.world.state[0], self.push(self.constants["max_torque"]))
