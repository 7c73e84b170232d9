"""What Stable-Baselines3's policies and networks are called for, with tensors, of agents with other networks.

They are asked of a copy in torch, `rlplay.sb3.as_model`, that has the agent's weights of now. Such a copy answers and
does not learn: what would change it (its parameters, an optimiser) is refused, with the way out.
"""

from __future__ import annotations

import importlib
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from rlplay.errors import UsageError, no_attribute

NETWORKS = (
    "agent.probe(obs) and agent.critic_values(obs) say what its networks do; rlplay.sb3.as_model(agent) is a copy in "
    "torch, which load_zip takes back once it was saved; SB3('PPO', env) of agents.sb3 is torch's own"
)
_FROM_ROLLOUTS = ("get_distribution", "predict_values", "evaluate_actions")
_ACTORS = ("actor", "critic", "actor_target", "critic_target")
_ASKED = {
    **dict.fromkeys(("ppo", "a2c", "trpo"), _FROM_ROLLOUTS), "dqn": ("q_net", "q_net_target"),
    **dict.fromkeys(("sac", "td3", "ddpg", "tqc"), _ACTORS),
}  # fmt: skip
_OF_ALL = ("obs_to_tensor", "forward")
_copies: WeakKeyDictionary[Any, tuple[dict[str, Any], Any]] = WeakKeyDictionary()


def is_asked(agent: Any, name: str) -> bool:
    """Whether a policy of Stable-Baselines3 has a function, or a network, of this name, and an agent's twin too.

    Example:
        >>> from agents import DQN, PPO
        >>> is_asked(PPO("CartPole-v1"), "predict_values"), is_asked(DQN("CartPole-v1"), "predict_values")
        (True, False)
    """
    known = _ASKED.get(agent.id)
    return known is not None and name in (*known, *_OF_ALL)


class Asked:
    """One function of an agent's policy, or one of its networks, as Stable-Baselines3 has it; takes and gives tensors.

    Args:
        agent: the agent.
        name: ``"predict_values"``, ``"q_net"``.

    Raises:
        UsageError: Stable-Baselines3 has no such networks, or the agent normalises what it sees.

    Example:
        >>> import torch
        >>> from agents import PPO
        >>> Asked(PPO("CartPole-v1", seed=0), "predict_values")(torch.zeros(2, 4)).shape
        torch.Size([2, 1])
    """

    def __init__(self, agent: Any, name: str) -> None:
        self._agent, self._name = agent, name

    def __call__(self, *given: Any, **named: Any) -> Any:
        """What it says; of what is given, and not of its weights, there are gradients."""
        return getattr(_policy_of(self._agent), self._name)(*given, **named)

    forward = __call__

    def __getattr__(self, name: str) -> Any:
        raise no_attribute(self, name, NETWORKS)


def _policy_of(agent: Any) -> Any:
    """The copy, made again where the weights have changed."""
    if agent.get_vec_normalize_env() is not None:
        raise UsageError(
            f"{type(agent).__name__} normalises what it sees, and a policy of torch is asked with what was normalised",
            "Take rlplay.sb3.as_model(agent).policy, with agent.get_vec_normalize_env().normalize_obs",
        )
    weights, (before, policy) = agent.get_parameters(), _copies.get(agent, ({}, None))
    if policy is None or any(not np.array_equal(weights[name], before[name]) for name in weights):
        policy = importlib.import_module("rlplay.sb3").as_model(agent).policy.requires_grad_(False)  # above the agents
        _copies[agent] = weights, policy
    return policy
