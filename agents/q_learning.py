"""Q-learning: learn the value of the best policy while following another.

After each step the value of the action taken moves towards the reward plus the discounted value of the best next
action, whatever action is really taken next:

    Q(S, A) ← Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)]

Source: Watkins 1989; Sutton & Barto 2e, section 6.5, equation (6.8), box on page 131.

Symbols:
    Q  q      float64 [S, A]   action values
    S  s      int              state before the step, S' = s_next after it
    A  a      int              action taken
    R  r      float            reward
    α  alpha  float or schedule, γ gamma float, ε epsilon float or schedule

Deviations from the box: ties between best actions are broken at random; a time limit is not a terminal state, so
the value of S' still counts when an episode is only truncated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ControlAgent,
    ControlMemory,
    LearningRule,
    act_epsilon_greedy,
    greatest,
    in_place,
    visited,
)


@in_place
def update(
    q: NDArray[np.float64], s: int, a: int, r: float, s_next: int, terminated: bool, alpha: float, gamma: float
) -> float:
    """Q(S, A) ← Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)], equation (6.8); returns the TD error in brackets."""
    target = r if terminated else r + gamma * greatest(q, s_next)
    td_error = target - q[s, a]
    q[s, a] += alpha * td_error
    return td_error


@in_place
def learn(
    memory: ControlMemory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the action that follows: the best one counts, not the one taken."""
    alpha = visited(memory.alpha, s, a, progress)
    return update(memory.q, s, a, r, s_next, terminated, alpha, memory.gamma)


class QLearning(ControlAgent):
    """Tabular Q-learning for finite observations and actions.

    Example:
        >>> agent = QLearning("FrozenLake-v1", alpha=0.1, seed=0).learn(100_000)
        >>> agent.num_timesteps
        100000
    """

    id = "q-learning"
    rule = LearningRule(act_epsilon_greedy, learn)
    learns_from_others = True
