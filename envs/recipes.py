"""Data about environments that Gymnasium does not publish, read by the viewer and the command line.

Keyed by environment id. An environment of your own needs none of it: it may offer ``state_grid(observation)`` and
``get_action_meanings()`` itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import blackjack, pendulum
from .acrobot import AcrobotEnv
from .cart_pole import CartPoleEnv
from .mountain_car import MountainCarEnv
from .mountain_car_continuous import MountainCarContinuousEnv
from .pendulum import PendulumEnv

# What the one-command demo trains: chosen so that learning is seen within a minute.
DEMO = {
    "algo": "q-learning",
    "env": "rlplay/GridWorld-v0",
    "env_kwargs": {"map": "maze"},
    "hyperparameters": {"alpha": 0.5, "gamma": 1.0, "epsilon": "lin_0.2_0.01"},
    "timesteps": 6_000,
    "seed": 4,
}

# Arguments under which an environment does more than its transition table says.
NOT_THE_TABLE = {
    "Taxi-v4": {"fickle_passenger": "a fickle passenger is not in its transition table"},
}

# Native versions of Gymnasium's environments.
NATIVE_VERSIONS = {
    "CartPole-v1": CartPoleEnv,
    "MountainCar-v0": MountainCarEnv,
    "MountainCarContinuous-v0": MountainCarContinuousEnv,
    "Pendulum-v1": PendulumEnv,
    "Acrobot-v1": AcrobotEnv,
}

# Transition tables of environments that publish none: (env) -> a table, or None with these arguments.
TABLES = {"Blackjack-v1": blackjack.table}

# Policies that are told by a name: (observation) -> action.
POLICIES = {
    "Blackjack-v1": {"stick-on-20": blackjack.stick_on_20},
    # A pole that leans and swings is followed; the car is pushed along its velocity.
    "CartPole-v1": {"follow-the-pole": lambda obs: int(obs[2] + 0.3 * obs[3] + 0.02 * obs[0] + 0.05 * obs[1] > 0)},
    "MountainCar-v0": {"along-the-velocity": lambda obs: 2 if obs[1] > 0 else 0},
    "Pendulum-v1": {"pump-and-hold": pendulum.pump_and_hold},
}

ACTION_NAMES = {
    "CartPole-v1": ["left", "right"],
    "FrozenLake-v1": ["left", "down", "right", "up"],
    "FrozenLake8x8-v1": ["left", "down", "right", "up"],
    "CliffWalking-v1": ["up", "right", "down", "left"],
    "CliffWalkingSlippery-v1": ["up", "right", "down", "left"],
    "Taxi-v4": ["down", "up", "right", "left", "pick up", "drop off"],
    "Blackjack-v1": ["stick", "hit"],
    "MountainCar-v0": ["left", "no push", "right"],
    "Acrobot-v1": ["left", "no torque", "right"],
}

# The numbers of an observation, and the two of them that tell most.
OBSERVATION_NAMES = {
    "CartPole-v1": ["cart position", "cart velocity", "pole angle", "pole velocity"],
    "MountainCar-v0": ["position", "velocity"],
    "MountainCarContinuous-v0": ["position", "velocity"],
    "Pendulum-v1": ["cos(angle)", "sin(angle)", "velocity"],
    "Acrobot-v1": ["cos 1", "sin 1", "cos 2", "sin 2", "velocity 1", "velocity 2"],
}
FIRST_SLICE = {"CartPole-v1": (2, 3), "Acrobot-v1": (4, 5)}
# The native versions' own ids have the same numbers.
OBSERVATION_NAMES |= {f"rlplay/{env_id}": names for env_id, names in OBSERVATION_NAMES.items()}
FIRST_SLICE |= {f"rlplay/{env_id}": pair for env_id, pair in FIRST_SLICE.items()}
# Two of CartPole's and one of Pendulum's read 0 where velocities are hidden.
OBSERVATION_NAMES |= {f"rlplay/{name}NoVel-v1": OBSERVATION_NAMES[f"{name}-v1"] for name in ("CartPole", "Pendulum")}
FIRST_SLICE["rlplay/CartPoleNoVel-v1"] = (0, 2)
OBSERVATION_NAMES |= {
    "rlplay/CarOnTheHill-v0": ["position", "velocity"],
    "rlplay/InvertedPendulum-v0": ["angle", "velocity"],
    "rlplay/TMaze-v0": ["first bit", "second bit", "third bit"],
}

# Keys by which a person plays, where they are not the arrows of the names above.
ACTION_KEYS = {
    "Taxi-v4": {"pick up": "p", "drop off": "d"},
    "Blackjack-v1": {"stick": "s", "hit": "h"},
}
ACTION_KEYS |= {f"rlplay/{env_id}": keys for env_id, keys in ACTION_KEYS.items()}


def _frozen_lake(env: Any, observation: Any) -> NDArray[np.int64]:
    rows, columns = env.unwrapped.desc.shape
    return np.arange(rows * columns).reshape(rows, columns)


def _cliff_walking(env: Any, observation: Any) -> NDArray[np.int64]:
    return np.arange(48).reshape(4, 12)


def _taxi(env: Any, observation: Any) -> NDArray[np.int64]:
    """The taxi's places; passenger and destination as now (state = place * 20 + passenger * 4 + destination)."""
    return np.arange(25).reshape(5, 5) * 20 + int(observation) % 20


def _blackjack(env: Any, observation: Any) -> NDArray[np.int64]:
    """The dealer's cards, ace to 10, by the player's sums, 4 to 21, with or without a usable ace as now."""
    cards, sums = np.meshgrid(np.arange(1, 11), np.arange(4, 22), indexing="ij")
    return (sums * 11 + cards) * 2 + int(observation[2])


# The number of the state in each cell of a map of values: (env, observation) -> int64 [rows, columns], -1 for none.
STATE_GRIDS: dict[str, Callable[[Any, Any], NDArray[np.int64]]] = {
    "FrozenLake-v1": _frozen_lake,
    "FrozenLake8x8-v1": _frozen_lake,
    "CliffWalking-v1": _cliff_walking,
    "CliffWalkingSlippery-v1": _cliff_walking,
    "Taxi-v4": _taxi,
    "Blackjack-v1": _blackjack,
}


def _control(name: str) -> Callable[[Any, Any, tuple[int, int]], NDArray[np.uint8] | None]:
    """The picture of one of Gymnasium's classic control worlds, by our own drawing."""

    def draw(env: Any, action: Any, size: tuple[int, int]) -> NDArray[np.uint8] | None:
        from . import control_drawing, drawing

        own = env.unwrapped
        if not type(own).__module__.startswith("gymnasium.") or getattr(own, "state", None) is None:
            return None
        return drawing.pixels(getattr(control_drawing, name)(own, action, size))

    return draw


# Pictures in the place of what an environment renders: (env, last action or None, (width, height)) -> [H, W, 3], uint8.
PICTURES: dict[str, Callable[[Any, Any, tuple[int, int]], NDArray[np.uint8] | None]] = {
    "CartPole-v1": _control("of_cart_pole"),
    "CartPole-v0": _control("of_cart_pole"),
    "MountainCar-v0": _control("of_mountain_car"),
    "MountainCarContinuous-v0": _control("of_mountain_car"),
    "Pendulum-v1": _control("of_pendulum"),
    "Acrobot-v1": _control("of_acrobot"),
}
