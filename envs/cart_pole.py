"""CartPole-v1 in native code: the same numbers as Gymnasium's environment, to the bit.

A pole stands on a cart that is pushed left or right at every step; keep it upright.

Source: Barto, Sutton & Anderson 1983; the equations are Florian 2007, "Correct equations for the dynamics of the
cart-pole system", as Gymnasium's CartPole-v1 has them, integrated by Euler's method.

Symbols:
    state = x, x_dot, theta, theta_dot (m, m/s, rad, rad/s), float64 [4]
    parameters: the constants in their order, float64 [9]
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, ReadOnly, in_place, random

from .control import UNBOUNDED, ControlEnv

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
    """One step of τ seconds with the force to the right (1) or left (0)."""
    gravity, mass_cart, mass_pole, length, force_magnitude, tau, largest_angle, largest_x, negative = parameters
    total_mass, pole_mass_length = mass_pole + mass_cart, mass_pole * length
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
    terminated = abs(state[0]) > largest_x or abs(state[2]) > largest_angle
    if negative:
        return (-1.0 if terminated else 0.0), terminated
    return 1.0, terminated


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    for i in range(4):
        obs[i] = state[i]


class CartPoleEnv(ControlEnv):
    """The pole on a cart, stepped in native code.

    ## Description
    A pole stands on a cart that runs on a rail. Push the cart left or right at every step so that the pole does not
    fall and the cart does not leave the rail. The numbers are those of Gymnasium's CartPole-v1, to the bit.

    ## Action Space
    ``Discrete(2)``: 0 pushes to the left, 1 to the right, with ``force_mag`` newtons.

    ## Observation Space
    ``Box(4)``, float32: cart position (m), cart velocity (m/s), pole angle (rad, 0 upright), pole velocity (rad/s).

    ## Rewards
    1 a step; with ``sutton_barto_reward`` 0 a step and -1 at the end.

    ## Starting State
    Each number uniform between -0.05 and 0.05.

    ## Episode End
    Terminated when the angle is beyond ``theta_threshold_radians`` (12 degrees) or the cart beyond ``x_threshold``
    (2.4 m). Truncated after 500 steps.

    ## Arguments
    ``gravity=9.8`` (m/s²), ``masscart=1``, ``masspole=0.1`` (kg), ``length=0.5`` (m, half the pole's), ``force_mag=10``
    (N), ``tau=0.02`` (s), ``theta_threshold_radians``, ``x_threshold=2.4``, ``sutton_barto_reward=False``;
    ``width`` and ``height`` of pictures in pixels. ``reset(options={"state": [...]})`` begins in a given state.

    ## References
    Barto, Sutton & Anderson 1983; Florian 2007.

    ## Version History
    * v1: as Gymnasium's v1.

    ## Example
        >>> env = CartPoleEnv()
        >>> env.reset(seed=0)[0].shape, env.step(1)[1:3]
        ((4,), (1.0, False))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 50}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 4
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "gravity": 9.8, "masscart": 1.0, "masspole": 0.1, "length": 0.5, "force_mag": 10.0, "tau": 0.02,
        "theta_threshold_radians": 12 * 2 * math.pi / 360, "x_threshold": 2.4, "sutton_barto_reward": 0.0,
    }  # fmt: skip
    action_names = ("left", "right")
    total_mass = ReadOnly(lambda env: env.masscart + env.masspole)
    polemass_length = ReadOnly(lambda env: env.masspole * env.length)
    kinematics_integrator = ReadOnly(lambda env: "euler")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Bounds twice as wide as where an episode ends, so that its last observation lies within them.

        Velocities have none, which checkers want to see as the largest number.
        """
        place, angle = self.constants["x_threshold"] * 2, self.constants["theta_threshold_radians"] * 2
        high = np.array([place, UNBOUNDED, angle, UNBOUNDED], dtype=np.float32)
        return gym.spaces.Box(-high, high), gym.spaces.Discrete(2)

    def picture(self) -> Any:
        """The cart, its pole and the push."""
        from . import control_drawing

        x, _, theta, _ = self.world.state
        push = 0.0 if self.last_action is None else 2.0 * float(self.last_action) - 1.0
        return control_drawing.cart_pole(
            self.size, x, theta, 2 * self.constants["length"], self.constants["x_threshold"], push
        )
