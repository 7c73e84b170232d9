"""The environments: ``import envs`` registers them in Gymnasium."""

from __future__ import annotations

import gymnasium as gym

GRID_WORLD = "rlplay/GridWorld-v0"

if GRID_WORLD not in gym.registry:
    gym.register(GRID_WORLD, entry_point="envs.grid_world:GridWorldEnv", max_episode_steps=10_000)
