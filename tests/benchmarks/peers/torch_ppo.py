"""PPO in one file of PyTorch, a peer of the benchmarks: Gymnasium's vector environment and autograd.

The same settings, losses, initial weights' distribution and time limits as `agents.ppo`; written for these benchmarks.

Source: Schulman et al. 2017; Huang et al. 2022, "The 37 implementation details of proximal policy optimization".
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from torch import nn
from torch.distributions import Categorical


class Settings(NamedTuple):
    """As `agents.ppo` names them; ``widths`` are the hidden layers of either network."""

    n_envs: int = 4
    n_steps: int = 128
    batch_size: int = 128
    n_epochs: int = 4
    learning_rate: float = 3e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    widths: tuple[int, ...] = (64, 64)


def perceptron(sizes: list[int], gain: float) -> nn.Sequential:
    """Layers of tanh and a linear one on top, with orthogonal weights."""
    layers: list[nn.Module] = []
    for n, m in pairwise(sizes):
        layer = nn.Linear(n, m)
        nn.init.orthogonal_(layer.weight, gain if len(layers) == 2 * (len(sizes) - 2) else 2**0.5)
        nn.init.zeros_(layer.bias)
        layers += [layer, nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def loss_of(policy: nn.Module, value: nn.Module, batch: tuple[torch.Tensor, ...], settings: Settings) -> torch.Tensor:
    """PPO's loss over a minibatch: clipped surrogate, entropy, squared error of the values."""
    obs, actions, old_log_probs, advantages, returns = batch
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    pi = Categorical(logits=policy(obs), validate_args=False)
    ratio = (pi.log_prob(actions) - old_log_probs).exp()
    clipped = ratio.clamp(1 - settings.clip_range, 1 + settings.clip_range)
    surrogate = torch.min(ratio * advantages, clipped * advantages).mean()
    gaps = value(obs)[:, 0] - returns
    return -surrogate - settings.ent_coef * pi.entropy().mean() + settings.vf_coef * (gaps**2).mean()


class TorchPPO:
    """The agent: ``learn`` runs whole iterations."""

    def __init__(self, env_id: str, settings: Settings, seed: int = 0) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        self.settings, self.env_id, self.steps = settings, env_id, 0
        made = [lambda: gym.make(env_id) for _ in range(settings.n_envs)]
        self.envs = SyncVectorEnv(made, autoreset_mode=AutoresetMode.SAME_STEP)
        obs_size = int(np.prod(self.envs.single_observation_space.shape))
        self.policy = perceptron([obs_size, *settings.widths, int(self.envs.single_action_space.n)], 0.01)
        self.value = perceptron([obs_size, *settings.widths, 1], 1.0)
        self.parameters = [*self.policy.parameters(), *self.value.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, settings.learning_rate, eps=1e-5)
        self.obs = torch.as_tensor(self.envs.reset(seed=seed)[0], dtype=torch.float32)

    @torch.no_grad()
    def rollout(self) -> tuple[torch.Tensor, ...]:
        """T steps in N environments: observations, actions, log-probabilities, advantages, returns, T N rows each."""
        given = self.settings
        shape = given.n_steps, given.n_envs
        obs, actions = torch.zeros(*shape, self.obs.shape[1]), torch.zeros(shape, dtype=torch.int64)
        log_probs, rewards, ends, values = (torch.zeros(shape) for _ in range(4))
        for t in range(given.n_steps):
            pi = Categorical(logits=self.policy(self.obs), validate_args=False)
            action = pi.sample()
            obs[t], actions[t], log_probs[t] = self.obs, action, pi.log_prob(action)
            values[t] = self.value(self.obs)[:, 0]
            after, reward, terminated, truncated, info = self.envs.step(action.numpy())
            rewards[t], ends[t] = torch.as_tensor(reward), torch.as_tensor(terminated | truncated)
            for i in np.flatnonzero(truncated & ~terminated):  # a time limit: the value of where it was cut
                rewards[t, i] += given.gamma * self.value(torch.as_tensor(info["final_obs"][i]))[0]
            self.obs = torch.as_tensor(after, dtype=torch.float32)
        advantages, later, following = torch.zeros(shape), torch.zeros(given.n_envs), self.value(self.obs)[:, 0]
        for t in reversed(range(given.n_steps)):
            delta = rewards[t] + given.gamma * (1 - ends[t]) * following - values[t]
            later = delta + given.gamma * given.gae_lambda * (1 - ends[t]) * later
            advantages[t], following = later, values[t]
        return obs.flatten(0, 1), actions.ravel(), log_probs.ravel(), advantages.ravel(), (advantages + values).ravel()

    def learn(self, steps: int) -> int:
        """At least so many steps in whole iterations; returns how many there were."""
        given, done = self.settings, 0
        while done < steps:
            kept = self.rollout()
            rows = len(kept[0])
            for _ in range(given.n_epochs):
                order = torch.randperm(rows)
                for begin in range(0, rows, given.batch_size):
                    chosen = order[begin : begin + given.batch_size]
                    loss = loss_of(self.policy, self.value, tuple(x[chosen] for x in kept), given)
                    self.optimiser.zero_grad()
                    loss.backward()
                    nn.utils.clip_grad_norm_(self.parameters, given.max_grad_norm)
                    self.optimiser.step()
            done += rows
        self.steps += done
        return done

    @torch.no_grad()
    def returns(self, episodes: int = 20) -> np.ndarray:
        """Greedy returns."""
        env, found = gym.make(self.env_id), []
        for episode in range(episodes):
            obs, total, ends = env.reset(seed=episode)[0], 0.0, False
            while not ends:
                action = int(self.policy(torch.as_tensor(obs, dtype=torch.float32)).argmax())
                obs, reward, terminated, truncated, _ = env.step(action)
                total, ends = total + float(reward), terminated or truncated
            found.append(total)
        return np.array(found)
