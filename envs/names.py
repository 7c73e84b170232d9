"""The ids of our environments, registered in Gymnasium; a file of its own, see `rlplay.own`."""

from __future__ import annotations

import gymnasium as gym

__all__ = ["GYMNASIUM_ENVS", "NOT_BATCHED", "OWN_ENVS", "register_in_gymnasium"]

# Id, class, and the time limit in steps; None for worlds that end by themselves, or never.
OWN_ENVS: dict[str, tuple[str, int | None]] = {
    "rlplay/GridWorld-v0": (f"{__package__}.grid_world:GridWorldEnv", 10_000),
    "rlplay/Bandit-v0": (f"{__package__}.bandit:BanditEnv", 1000),
    "rlplay/LinearBandit-v0": (f"{__package__}.contextual:LinearBanditEnv", 100),
    "rlplay/DigitsBandit-v0": (f"{__package__}.contextual:DigitsBanditEnv", 100),
    "rlplay/RandomWalk-v0": (f"{__package__}.random_walk:RandomWalkEnv", None),
    "rlplay/Corridor-v0": (f"{__package__}.corridor:CorridorEnv", 1000),
    "rlplay/CarRental-v0": (f"{__package__}.car_rental:CarRentalEnv", 1000),
    "rlplay/Gambler-v0": (f"{__package__}.gambler:GamblerEnv", None),
    "rlplay/AccessControl-v0": (f"{__package__}.access_control:AccessControlEnv", None),
    "rlplay/Racetrack-v0": (f"{__package__}.racetrack:RacetrackEnv", 10_000),
    "rlplay/MaximizationBias-v0": (f"{__package__}.maximization_bias:MaximizationBiasEnv", None),
    "rlplay/ChainWalk-v0": (f"{__package__}.chain_walk:ChainWalkEnv", 1000),
    "rlplay/CarOnTheHill-v0": (f"{__package__}.car_on_the_hill:CarOnTheHillEnv", 1000),
    "rlplay/InvertedPendulum-v0": (f"{__package__}.inverted_pendulum:InvertedPendulumEnv", 3000),
    "rlplay/Baird-v0": (f"{__package__}.baird:BairdEnv", None),
    "rlplay/TMaze-v0": (f"{__package__}.t_maze:TMazeEnv", 1000),
    "rlplay/RepeatSignal-v0": (f"{__package__}.repeat_signal:RepeatSignalEnv", None),
    "rlplay/MemoryChain-v0": (f"{__package__}.memory_chain:MemoryChainEnv", None),
    "rlplay/BitFlipping-v0": (f"{__package__}.bit_flipping:BitFlippingEnv", None),
    "rlplay/CartPoleNoVel-v1": (f"{__package__}.without_velocities:CartPoleNoVelEnv", 500),
    "rlplay/PendulumNoVel-v1": (f"{__package__}.without_velocities:PendulumNoVelEnv", 200),
}

# Gymnasium's environments in native code, under ids of their own.
GYMNASIUM_ENVS: dict[str, tuple[str, int | None]] = {
    "rlplay/CartPole-v1": (f"{__package__}.cart_pole:CartPoleEnv", 500),
    "rlplay/MountainCar-v0": (f"{__package__}.mountain_car:MountainCarEnv", 200),
    "rlplay/MountainCarContinuous-v0": (f"{__package__}.mountain_car_continuous:MountainCarContinuousEnv", 999),
    "rlplay/Pendulum-v1": (f"{__package__}.pendulum:PendulumEnv", 200),
    "rlplay/Acrobot-v1": (f"{__package__}.acrobot:AcrobotEnv", 500),
    "rlplay/FrozenLake-v1": (f"{__package__}.toy_text:FrozenLakeEnv", 100),
    "rlplay/CliffWalking-v1": (f"{__package__}.toy_text:CliffWalkingEnv", None),
    "rlplay/Taxi-v4": (f"{__package__}.toy_text:TaxiEnv", 200),
    "rlplay/Blackjack-v1": (f"{__package__}.toy_text:BlackjackEnv", None),
}

# Native code cannot step these side by side: rewards are drawn from a normal distribution, or observations are Dicts.
# Python does.
NOT_BATCHED = (
    "rlplay/Bandit-v0", "rlplay/LinearBandit-v0", "rlplay/DigitsBandit-v0", "rlplay/MaximizationBias-v0",
    "rlplay/BitFlipping-v0",
)  # fmt: skip


def register_in_gymnasium() -> None:
    """Register those that are not; again too, where a test has put an older registry back.

    Example:
        >>> _ = gym.registry.pop("rlplay/Bandit-v0")
        >>> register_in_gymnasium()
        >>> gym.spec("rlplay/Bandit-v0").max_episode_steps
        1000
    """
    for env_id, (place, limit) in {**OWN_ENVS, **GYMNASIUM_ENVS}.items():
        if env_id not in gym.registry:
            many = f"{__package__}.vector:" + place.partition(":")[2].removesuffix("Env") + "VectorEnv"
            gym.register(env_id, entry_point=place, vector_entry_point=many, max_episode_steps=limit)


register_in_gymnasium()
