"""What a Stable-Baselines3 model thinks of observations: what its algorithm really has."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlplay.extend import Probe


def probe_model(model: Any, observations: Any, noise_std: float) -> Probe:
    """Q values (DQN), probabilities or mean and deviation, and the value.

    Args:
        model: the model.
        observations: a batch as the model sees it, an array or a dictionary of them.
        noise_std: deviation of the noise on scaled actions, where there is noise.
    """
    policy = model.policy
    policy.set_training_mode(False)
    with torch.no_grad():
        obs, _ = policy.obs_to_tensor(observations)
        if hasattr(policy, "lstm_actor"):
            return _of_recurrent(policy, obs)
        if isinstance(model, OnPolicyAlgorithm):
            return _of_policy(policy, obs)
        by_value = hasattr(model, "q_net") or hasattr(model, "quantile_net")
        return _of_values(model, obs) if by_value else _of_actor(model, obs, noise_std)


def _of_policy(policy: Any, obs: Any) -> Probe:
    """Probabilities, or mean and deviation, and the value."""
    inner = getattr(policy.get_distribution(obs), "distribution", None)  # of parts with masks there are several
    return _of_distribution(policy, inner, policy.predict_values(obs))


def _of_recurrent(policy: Any, obs: Any) -> Probe:
    """The same of a policy with an LSTM; each observation is the first of an episode."""
    count = len(next(iter(obs.values())) if isinstance(obs, dict) else obs)
    lstm = policy.lstm_actor
    zeros = torch.zeros(lstm.num_layers, count, lstm.hidden_size, device=policy.device)
    starts = torch.ones(count, device=policy.device)
    distribution, _ = policy.get_distribution(obs, (zeros, zeros), starts)
    return _of_distribution(policy, distribution.distribution, policy.predict_values(obs, (zeros, zeros), starts))


def _of_distribution(policy: Any, inner: Any, values: torch.Tensor) -> Probe:
    value = _numbers(values)[:, 0]
    if isinstance(policy.action_space, gym.spaces.Discrete):
        return Probe(action_probabilities=_numbers(inner.probs), value=value)
    if isinstance(policy.action_space, gym.spaces.Box):
        return Probe(action_mean=_numbers(inner.mean), action_std=_numbers(inner.stddev), value=value)
    return Probe(value=value)


def _of_values(model: Any, obs: Any) -> Probe:
    """Action values, the ε-greedy policy over them, and the value of the best action."""
    q = _numbers(model.q_net(obs) if hasattr(model, "q_net") else model.quantile_net(obs).mean(dim=1))
    epsilon, best = model.exploration_rate, q == q.max(axis=1, keepdims=True)
    probabilities = epsilon / q.shape[1] + (1 - epsilon) * best / best.sum(axis=1, keepdims=True)
    return Probe(q, probabilities, value=q.max(axis=1))


def _of_actor(model: Any, obs: Any, noise_std: float) -> Probe:
    """Mean, deviation and value of an actor with critics; the value is that of the mean action."""
    stochastic, std = hasattr(model.actor, "get_action_dist_params"), None
    scaled = model.actor(obs, deterministic=True) if stochastic else model.actor(obs)  # [B, A]
    found = model.critic(obs, scaled)
    # Critics of quantiles [B, N, M] say the mean of their distribution; of pairs of critics the smaller one counts.
    quantiles = isinstance(found, torch.Tensor)
    value = _numbers(found.mean(dim=(1, 2)) if quantiles else torch.cat(found, dim=1).min(dim=1).values)
    space = model.action_space
    width = (space.high - space.low).ravel() / 2
    if stochastic:
        mean, log_std, of_noise = model.actor.get_action_dist_params(obs)
        if model.use_sde:
            model.actor.action_dist.proba_distribution(mean, log_std, of_noise["latent_sde"])
            spread = model.actor.action_dist.distribution.stddev
        else:
            spread = log_std.exp()
        # of tanh(u) at the mean: the deviation of u times the slope of tanh
        std = _numbers(spread * (1 - scaled**2)) * width
    elif model.action_noise is not None:
        std = np.full(scaled.shape, noise_std) * width
    mean_action = model.policy.unscale_action(_numbers(scaled).reshape(-1, *space.shape))
    return Probe(action_mean=mean_action.reshape(len(value), -1), action_std=std, value=value)


def _numbers(tensor: torch.Tensor) -> NDArray[np.float64]:
    return tensor.detach().cpu().numpy().astype(np.float64)


def critic_values_of(model: Any, observations: Any, actions: Any, *, target: bool) -> NDArray[np.float64] | None:
    """What each critic of a model says, or their targets: [C, B, A] of numbered actions, else [C, B, 1].

    Args:
        model: the model.
        observations: a batch as the model sees it.
        actions: continuous actions as the environment takes them, [B, D]; None for the policy's.
        target: whether the targets are asked.
    """
    policy = model.policy
    policy.set_training_mode(False)
    with torch.no_grad():
        obs, _ = policy.obs_to_tensor(observations)
        if hasattr(model, "q_net"):
            return _numbers((model.q_net_target if target else model.q_net)(obs))[None]
        if not hasattr(model, "critic_target"):
            return None
        if actions is None:
            stochastic = hasattr(model.actor, "get_action_dist_params")
            scaled = model.actor(obs, deterministic=True) if stochastic else model.actor(obs)
        else:
            given = policy.scale_action(np.asarray(actions).reshape(-1, *model.action_space.shape))
            scaled = torch.as_tensor(given.reshape(len(given), -1), dtype=torch.float32, device=model.device)
        values = (model.critic_target if target else model.critic)(obs, scaled)
        return np.stack([_numbers(value) for value in values])
