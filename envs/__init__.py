"""The environments: ``import envs`` registers them in Gymnasium, for ``gym.make`` and ``gym.make_vec``."""

from __future__ import annotations

import gymnasium as gym

# Id, class, and the time limit in steps; None for worlds that end by themselves, or never.
OWN_ENVS: dict[str, tuple[str, int | None]] = {
    "rlplay/GridWorld-v0": ("envs.grid_world:GridWorldEnv", 10_000),
    "rlplay/Bandit-v0": ("envs.bandit:BanditEnv", 1000),
    "rlplay/RandomWalk-v0": ("envs.random_walk:RandomWalkEnv", None),
    "rlplay/Corridor-v0": ("envs.corridor:CorridorEnv", 1000),
    "rlplay/CarRental-v0": ("envs.car_rental:CarRentalEnv", 1000),
    "rlplay/Gambler-v0": ("envs.gambler:GamblerEnv", None),
    "rlplay/AccessControl-v0": ("envs.access_control:AccessControlEnv", None),
    "rlplay/Racetrack-v0": ("envs.racetrack:RacetrackEnv", 10_000),
    "rlplay/MaximizationBias-v0": ("envs.maximization_bias:MaximizationBiasEnv", None),
    "rlplay/ChainWalk-v0": ("envs.chain_walk:ChainWalkEnv", 1000),
    "rlplay/CarOnTheHill-v0": ("envs.car_on_the_hill:CarOnTheHillEnv", 1000),
    "rlplay/InvertedPendulum-v0": ("envs.inverted_pendulum:InvertedPendulumEnv", 3000),
    "rlplay/Baird-v0": ("envs.baird:BairdEnv", None),
}

# Gymnasium's environments in native code, under ids of their own.
GYMNASIUM_ENVS: dict[str, tuple[str, int | None]] = {
    "rlplay/CartPole-v1": ("envs.cart_pole:CartPoleEnv", 500),
    "rlplay/MountainCar-v0": ("envs.mountain_car:MountainCarEnv", 200),
    "rlplay/MountainCarContinuous-v0": ("envs.mountain_car_continuous:MountainCarContinuousEnv", 999),
    "rlplay/Pendulum-v1": ("envs.pendulum:PendulumEnv", 200),
    "rlplay/Acrobot-v1": ("envs.acrobot:AcrobotEnv", 500),
    "rlplay/FrozenLake-v1": ("envs.toy_text:FrozenLakeEnv", 100),
    "rlplay/CliffWalking-v1": ("envs.toy_text:CliffWalkingEnv", None),
    "rlplay/Taxi-v4": ("envs.toy_text:TaxiEnv", 200),
    "rlplay/Blackjack-v1": ("envs.toy_text:BlackjackEnv", None),
}

# Native code cannot step these side by side: their rewards are drawn from a normal distribution. Python does.
NOT_BATCHED = ("rlplay/Bandit-v0", "rlplay/MaximizationBias-v0")

for _id, (_place, _limit) in {**OWN_ENVS, **GYMNASIUM_ENVS}.items():
    if _id not in gym.registry:
        _many = "envs.vector:" + _place.partition(":")[2].removesuffix("Env") + "VectorEnv"
        gym.register(_id, entry_point=_place, vector_entry_point=_many, max_episode_steps=_limit)
