"""The environments: ``import envs`` registers them in Gymnasium."""

from __future__ import annotations

import gymnasium as gym

# Id, class, and the time limit in steps; None for worlds that end by themselves, or never.
SHELF: dict[str, tuple[str, int | None]] = {
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
}

for _id, (_entry_point, _limit) in SHELF.items():
    if _id not in gym.registry:
        gym.register(_id, entry_point=_entry_point, max_episode_steps=_limit)
