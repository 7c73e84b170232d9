"""One step of an agent in an environment: the only thing that learning rules ever see."""

from __future__ import annotations

from typing import Any, NamedTuple


class Transition(NamedTuple):
    """One step, as the textbook writes it: S, A, R, S' (Sutton & Barto 2e, section 3.1).

    Bootstrapping depends on ``terminated`` alone: a time limit (``truncated``) is never a terminal state, so the value
    of ``next_obs`` still counts. Both flags may be set together.

    Attributes:
        obs: observation in which the action was taken, as the environment gave it.
        action: action as the environment takes it.
        reward: reward as a float.
        next_obs: observation after the step, also at the end of an episode (never that of the next episode).
        terminated: the environment reached a terminal state.
        truncated: a limit from outside cut the episode.
        info: the environment's info; its ``action_mask`` belongs to ``next_obs``.

    Example:
        >>> step = Transition(obs=0, action=1, reward=0.0, next_obs=4, terminated=False, truncated=False, info={})
        >>> step.next_obs, step.terminated
        (4, False)
    """

    obs: Any
    action: Any
    reward: float
    next_obs: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]
