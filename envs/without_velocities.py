"""CartPole and Pendulum without velocities: what moves how fast must be remembered.

A single observation does not tell the state any more; two after each other do. The dynamics are those of the worlds
with velocities, and hidden numbers read 0, as in RL Zoo's environments of the same names.

Source: Wierstra, Foerster, Peters & Schmidhuber 2007, "Solving deep memory POMDPs with recurrent policy gradients",
section 4.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place

from . import cart_pole, pendulum


@in_place
def observe_cart(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state without its velocities.

    Example:
        >>> obs = np.zeros(4, np.float32)
        >>> observe_cart(np.zeros(0), np.array([0.5, 2.0, 0.25, 3.0]), obs)
        >>> obs.tolist()
        [0.5, 0.0, 0.25, 0.0]
    """
    obs[0], obs[1], obs[2], obs[3] = state[0], 0.0, state[2], 0.0


@in_place
def observe_angle(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """Cosine and sine of the angle.

    Example:
        >>> obs = np.ones(3, np.float32)
        >>> observe_angle(np.zeros(0), np.array([0.0, 2.0]), obs)
        >>> obs.tolist()
        [1.0, 0.0, 0.0]
    """
    obs[0], obs[1], obs[2] = math.cos(state[0]), math.sin(state[0]), 0.0


class CartPoleNoVelEnv(cart_pole.CartPoleEnv):
    """The pole on a cart, without velocities.

    ## Description
    CartPole whose velocities read 0: the agent sees where cart and pole are, and must remember where they were.

    ## Action Space
    ``Discrete(2)``: 0 pushes to the left, 1 to the right, with ``force_mag`` newtons.

    ## Observation Space
    ``Box(4)``, float32: cart position (m), 0, pole angle (rad, 0 upright), 0.

    ## Rewards
    1 a step; with ``sutton_barto_reward`` 0 a step and -1 at the end.

    ## Starting State
    Each number of the state uniform between -0.05 and 0.05.

    ## Episode End
    Terminated when the angle is beyond ``theta_threshold_radians`` (12 degrees) or the cart beyond ``x_threshold``
    (2.4 m). Truncated after 500 steps.

    ## Arguments
    Those of `envs.cart_pole.CartPoleEnv`.

    ## References
    Wierstra, Foerster, Peters & Schmidhuber 2007; RL Zoo's CartPoleNoVel-v1.

    ## Version History
    * v1: the numbers of Gymnasium's CartPole-v1.

    ## Example
        >>> env = CartPoleNoVelEnv()
        >>> env.reset(seed=0)[0][[1, 3]].tolist(), bool(env.world.state[1] != 0.0)
        ([0.0, 0.0], True)
    """

    dynamics = NativeDynamics(cart_pole.reset, cart_pole.step, observe_cart)


class PendulumNoVelEnv(pendulum.PendulumEnv):
    """The pendulum that is to be swung up, without its velocity.

    ## Description
    Pendulum whose velocity reads 0: the agent sees the angle, and must remember how it changed.

    ## Action Space
    ``Box(1)``, float32: the torque (N m), at most ``max_torque`` in both directions.

    ## Observation Space
    ``Box(3)``, float32: cosine and sine of the angle (0 upright), 0.

    ## Rewards
    ``-(θ² + 0.1 θ̇² + 0.001 u²)``, with the angle within -π and π: 0 at best, about -16.3 at worst.

    ## Starting State
    Any angle, a velocity between -1 and 1, both uniform.

    ## Episode End
    Truncated after 200 steps; never terminated.

    ## Arguments
    Those of `envs.pendulum.PendulumEnv`.

    ## References
    RL Zoo's PendulumNoVel-v1.

    ## Version History
    * v1: the numbers of Gymnasium's Pendulum-v1.

    ## Example
        >>> env = PendulumNoVelEnv()
        >>> env.reset(seed=0)[0].tolist()[2], bool(env.world.state[1] != 0.0)
        (0.0, True)
    """

    dynamics = NativeDynamics(pendulum.reset, pendulum.step, observe_angle, continuous=True)


__all__ = ["CartPoleNoVelEnv", "PendulumNoVelEnv", "observe_angle", "observe_cart"]
