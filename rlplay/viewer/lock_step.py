"""How an agent learns in the window's own time, and whether it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rlplay.agent.base import Agent
from rlplay.agent.vector_agent import VectorAgent
from rlplay.environments.interact import Position
from rlplay.viewer.learning import FittedLearning, Learning
from rlplay.viewer.network_learning import NetworkLearning


def learning_of(agent: Agent, chosen: Callable[[], Any], position: Position) -> Learning:
    """How an agent learns in a session."""
    if isinstance(agent, VectorAgent):
        return NetworkLearning(agent, chosen, position)
    if hasattr(agent, "fit_if_due"):
        return FittedLearning(agent, chosen)
    return Learning(agent, chosen)


def why_not_stepwise(agent: Agent) -> str:
    """Why an agent cannot learn a step at a time in the window, in words; empty where it can.

    Example:
        >>> from agents import DQN, QLearning
        >>> why_not_stepwise(QLearning("FrozenLake-v1")), why_not_stepwise(DQN("CartPole-v1", net_arch=[8]))
        ('', '')
        >>> why_not_stepwise(DQN("CartPole-v1", net_arch=[8], n_envs=2))
        'dqn plays 2 environments at once, and the window one: n_envs=1'
    """
    cls = type(agent)
    in_steps = agent.rule is not None or agent.timestep == "sweep" or "act" in vars(cls)
    if (in_steps and cls.busy is Agent.busy) or hasattr(agent, "fit_if_due"):
        return ""
    if (
        not isinstance(agent, VectorAgent) or agent.timestep != "step" or agent.remembers
    ):  # it collects and fits as a whole
        return f"{agent.id} does not learn step by step"
    count = len(agent.running_envs())
    return f"{agent.id} plays {count} environments at once, and the window one: n_envs=1" if count > 1 else ""


def why_not_taught(agent: Agent) -> str:
    """Why an agent that learns step by step cannot learn from what another does, in words; empty where it can."""
    if agent.learns_from_others:
        return ""
    return f"{agent.id} learns from its own actions only: play beside it in a play window"
