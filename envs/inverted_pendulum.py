"""The inverted pendulum of the LSPI paper in native code.

A pendulum on a cart is to be held upright by noisy pushes of the cart.

Source: Lagoudakis & Parr 2003, "Least-squares policy iteration", section 9.2 (after Wang, Tanaka & Griffin 1996); with
α = 1 / (m + M) and the noisy force u:

    θ̈ = (g sin θ - α m l θ̇² sin(2θ) / 2 - α cos θ u) / (4l/3 - α m l cos²θ)

integrated by Runge and Kutta's fourth order.

Symbols:
    state = θ, θ̇ (rad, rad/s; 0 upright), float64 [2];  A  action: -force, 0 or force, plus uniform noise
    parameters: the constants in their order, float64 [9]
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place, random

from .control import UNBOUNDED, ControlEnv


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: nearly upright and nearly at rest."""
    start = parameters[8]
    for i in range(2):
        state[i] = start * (2.0 * random(rng) - 1.0)


@in_place
def acceleration(parameters: NDArray[np.float64], theta: float, velocity: float, u: float) -> float:
    """The angular acceleration under a force u."""
    g, m, mass, length = parameters[0], parameters[1], parameters[2], parameters[3]
    alpha = 1.0 / (m + mass)
    sin, cos = math.sin(theta), math.cos(theta)
    pulled = (
        g * sin - alpha * m * length * velocity * velocity * sin * cos - alpha * cos * u
    )  # sin 2θ / 2 = sin θ cos θ
    return pulled / (4.0 * length / 3.0 - alpha * m * length * cos * cos)


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of ``dt`` seconds in ``substeps`` parts; the reward is -1 when the pendulum falls, else 0."""
    force, noise, dt, substeps = parameters[4], parameters[5], parameters[6], parameters[7]
    u = (action - 1) * force + noise * (2.0 * random(rng) - 1.0)
    theta, velocity, h = state[0], state[1], dt / substeps
    for _ in range(int(substeps)):
        a1 = acceleration(parameters, theta, velocity, u)
        v2 = velocity + h / 2 * a1
        a2 = acceleration(parameters, theta + h / 2 * velocity, v2, u)
        v3 = velocity + h / 2 * a2
        a3 = acceleration(parameters, theta + h / 2 * v2, v3, u)
        v4 = velocity + h * a3
        a4 = acceleration(parameters, theta + h * v3, v4, u)
        theta += h / 6 * (velocity + 2 * v2 + 2 * v3 + v4)
        velocity += h / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
    state[0], state[1] = theta, velocity
    fallen = abs(theta) > math.pi / 2
    return (-1.0 if fallen else 0.0), fallen


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    obs[0], obs[1] = state[0], state[1]


class InvertedPendulumEnv(ControlEnv):
    """The inverted pendulum of the LSPI paper.

    ## Description
    A pendulum of unknown length and mass on a cart is to be held upright by pushing the cart; the pushes are noisy.

    ## Action Space
    ``Discrete(3)``: 0 pushes to the left with ``force`` newtons, 1 not at all, 2 to the right; to each a noise uniform
    between ``-noise`` and ``noise`` is added.

    ## Observation Space
    ``Box(2)``, float32: angle (rad, 0 upright), angular velocity (rad/s).

    ## Rewards
    -1 when the pendulum falls below the horizontal, 0 otherwise. Discount by 0.95, as in the paper.

    ## Starting State
    Both numbers uniform between ``-start`` and ``start``.

    ## Episode End
    Terminated when the pendulum falls. Truncated after 3000 steps: five minutes, as the paper counts a success.

    ## Arguments
    ``g=9.8`` (m/s²), ``pendulum_mass=2``, ``cart_mass=8`` (kg), ``length=0.5`` (m), ``force=50``, ``noise=10`` (N),
    ``dt=0.1`` (s), ``substeps=4``, ``start=0.05``; ``width`` and ``height`` of pictures in pixels.
    ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Lagoudakis & Parr 2003, section 9.2; Wang, Tanaka & Griffin 1996.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = InvertedPendulumEnv()
        >>> env.reset(seed=0)[0].shape, env.step(1)[1:3]
        ((2,), (0.0, False))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "g": 9.8, "pendulum_mass": 2.0, "cart_mass": 8.0, "length": 0.5, "force": 50.0, "noise": 10.0, "dt": 0.1,
        "substeps": 4.0, "start": 0.05,
    }  # fmt: skip
    action_names = ("left", "no push", "right")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Bounds wide enough for the last observation of an episode."""
        high = np.array([math.pi, UNBOUNDED], dtype=np.float32)
        return gym.spaces.Box(-high, high), gym.spaces.Discrete(3)

    def picture(self) -> Any:
        """The pendulum on its cart."""
        from . import control_drawing

        c = self.constants
        return control_drawing.cart_pole(self.size, 0.0, self.world.state[0], 2 * c["length"], 1.2, self.push())
