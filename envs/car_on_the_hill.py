"""Car on the Hill in native code: the benchmark of fitted Q iteration.

A car must climb a hill that is too steep for its engine, without leaving on the other side or becoming too fast.

Source: Ernst, Geurts & Wehenkel 2005, "Tree-based batch mode reinforcement learning", section 5.1 and appendix C.2
(after Moore & Atkeson 1995):

    Hill(p) = p² + p for p < 0, p / √(1 + 5p²) otherwise
    p̈ = (u / m - g Hill'(p) - ṗ² Hill'(p) Hill''(p)) / (1 + Hill'(p)²)

Symbols:
    state = p, s  position and velocity (m, m/s), float64 [2];  A  action: u = -force or force
    parameters: the constants in their order, float64 [6]
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, in_place, random

from .control import ControlEnv

_FASTEST = 3.0


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: at rest at p = -0.5, or anywhere (uniform)."""
    if parameters[5]:
        state[0] = -1.0 + 2.0 * random(rng)
        state[1] = -_FASTEST + 2.0 * _FASTEST * random(rng)
    else:
        state[0], state[1] = -0.5, 0.0


@in_place
def slopes(p: float) -> tuple[float, float]:
    """Hill'(p) and Hill''(p)."""
    if p < 0.0:
        return 2.0 * p + 1.0, 2.0
    root = 1.0 / math.sqrt(1.0 + 5.0 * p * p)
    square = root * root
    return root * square, -15.0 * p * root * square * square


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step of ``dt`` seconds, in Euler steps of ``inner_dt``."""
    mass, gravity, force, dt, inner = parameters[0], parameters[1], parameters[2], parameters[3], parameters[4]
    push = (force if action == 1 else -force) / mass
    p, s = state[0], state[1]
    for _ in range(round(dt / inner)):
        first, second = slopes(p)
        flat = 1.0 / (1.0 + first * first)
        constant, square = (push - gravity * first) * flat, first * second * flat
        p, s = p + inner * s, s + inner * (constant - s * s * square)
    state[0], state[1] = p, s
    if p < -1.0 or abs(s) > _FASTEST:
        return -1.0, True
    return (1.0, True) if p > 1.0 else (0.0, False)


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The observation is the state, in float32."""
    obs[0], obs[1] = state[0], state[1]


def hill(p: float) -> float:
    """The height of the hill."""
    return p * p + p if p < 0 else p / math.sqrt(1 + 5 * p * p)


class CarOnTheHillEnv(ControlEnv):
    """The car on the hill.

    ## Description
    A car in a valley must reach the top of a hill that is too steep for its engine. It may leave the world neither on
    the other side nor by becoming too fast: so it must first roll back, but not too far.

    ## Action Space
    ``Discrete(2)``: 0 pushes to the left, 1 to the right, with ``force`` newtons.

    ## Observation Space
    ``Box(2)``, float32: position (m), velocity (m/s).

    ## Rewards
    1 on reaching the top (p > 1 with -3 <= s <= 3), -1 on leaving (p < -1, or s beyond them), 0 otherwise. Discount by
    0.95, as in the paper, so that a shorter way is worth more.

    ## Starting State
    At rest at p = -0.5; with ``anywhere`` uniform over the whole state space.

    ## Episode End
    Terminated on reaching the top and on leaving. Truncated after 1000 steps.

    ## Arguments
    ``mass=1`` (kg), ``gravity=9.81`` (m/s²), ``force=4`` (N), ``dt=0.1`` (s), ``inner_dt=0.001`` (s, Euler's steps),
    ``anywhere=False``; ``width`` and ``height`` of pictures in pixels. ``reset(options={"state": [...]})`` begins
    in a given state.

    ## References
    Ernst, Geurts & Wehenkel 2005; Moore & Atkeson 1995.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = CarOnTheHillEnv()
        >>> env.reset(seed=0)[0].tolist(), env.step(1)[1:3]
        ([-0.5, 0.0], (0.0, False))
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 10}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2
    constants = {  # noqa: RUF012 - the defaults; each instance sets its own
        "mass": 1.0, "gravity": 9.81, "force": 4.0, "dt": 0.1, "inner_dt": 0.001, "anywhere": 0.0,
    }  # fmt: skip
    action_names = ("left", "right")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Bounds wide enough for the last observation of an episode."""
        high = np.array([2.0, 2 * _FASTEST], dtype=np.float32)
        return gym.spaces.Box(-high, high), gym.spaces.Discrete(2)

    def picture(self) -> Any:
        """The car on its hill."""
        from . import control_drawing

        push = 0.0 if self.last_action is None else 2.0 * float(self.last_action) - 1.0
        return control_drawing.car_on_the_hill(self.size, self.world.state[0], push, hill)
