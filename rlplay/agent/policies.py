"""Policies that are given, not learned: for prediction agents, planners that evaluate, and behaviour."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.environments.make import reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import HyperparameterError
from rlplay.spaces.finite import FiniteSpace


def policy_table(policy: Any, env: gym.Env[Any, Any], allowed: NDArray[np.bool_], owner: str) -> NDArray[np.float64]:
    """A policy as a table π(a|s), float64 [S, A].

    Args:
        policy: ``"random"`` (all allowed actions alike); a name that the plug-ins' data give this environment
            (``POLICIES``: ``"stick-on-20"`` for Blackjack-v1); one action for each state [S]; or probabilities [S, A].
        env: the environment it is for.
        allowed: which actions may be taken, bool [S, A].
        owner: who asks, for the error.

    Raises:
        HyperparameterError: no such name, another shape, no probabilities, or an action that may not be taken.

    Example:
        >>> env = gym.make("FrozenLake-v1")
        >>> allowed = np.ones((16, 4), bool)
        >>> policy_table("random", env, allowed, "MyAgent")[0].tolist()
        [0.25, 0.25, 0.25, 0.25]
        >>> policy_table([2] * 16, env, allowed, "MyAgent")[0].tolist()  # one action for each state
        [0.0, 0.0, 1.0, 0.0]
    """
    states, actions = allowed.shape
    if isinstance(env, NoEnvironment):
        policy = "random"  # the table comes from the file
    if isinstance(policy, str):
        named = registry.recipes("POLICIES").get(reference(env).id, {})
        if policy == "random":
            return allowed / allowed.sum(axis=1, keepdims=True)
        if policy not in named:
            known = ", ".join(["random", *named])
            raise HyperparameterError(
                f"{owner}: policy={policy!r} is not known for {reference(env)}",
                f"Give {known}, one action a state, or probabilities",
            )
        observations = FiniteSpace(env.observation_space)
        policy = [named[policy](observations.value(s)) for s in range(states)]
    try:
        table = np.asarray(policy, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.zeros(0)
    if table.shape == (states,) and np.isin(table, np.arange(actions)).all():
        table = np.eye(actions)[table.astype(np.int64)]
    sums = table.sum(axis=1) if table.shape == (states, actions) else np.zeros(1)
    if not np.allclose(sums, 1.0, atol=1e-9) or (table < 0).any():
        raise HyperparameterError(
            f"{owner}: policy of shape {table.shape} is not a policy over {states} states and {actions} actions",
            f"Give random, one action a state [{states}], or probabilities [{states}, {actions}] that sum to 1",
        )
    if (table[~allowed] > 0).any():
        s, a = np.argwhere((table > 0) & ~allowed)[0]
        raise HyperparameterError(f"{owner}: policy takes action {a} in state {s}, where it may not be taken")
    return table
