"""A feature map as the first layer of a Stable-Baselines3 policy."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from rlplay.extend import Encoder


class MappedFeatures(BaseFeaturesExtractor):  # type: ignore[misc]
    """A feature map as the first layer of a policy; buffers keep raw observations, and no refit makes them stale."""

    def __init__(self, observation_space: gym.Space[Any], encoder: Encoder) -> None:
        super().__init__(observation_space, encoder.size)
        self._encoder = [encoder]  # in a list, since it is no module

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """The features of a batch of vectors [B, D], float32 [B, F]."""
        vectors = observations.detach().cpu().numpy()
        return torch.from_numpy(self._encoder[0].encode_vectors(vectors)).to(observations.device)
