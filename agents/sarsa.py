"""Sarsa: learn the value of the policy that is followed, exploration included.

After each step the value of the action taken moves towards the reward plus the discounted value of the action that is
really taken next. The name is the five things used, S, A, R, S', A':

    Q(S, A) ← Q(S, A) + α [R + γ Q(S', A') - Q(S, A)]

Source: Rummery & Niranjan 1994; Sutton & Barto 2e, section 6.4, equation (6.7), box on page 130.

Symbols:
    Q  q      float64 [S, A]   action values
    S  s      int              state before the step, S' = s_next after it
    A  a      int              action taken, A' = a_next the next one, chosen before the update
    R  r      float            reward
    α  alpha  float or schedule, γ gamma float, ε epsilon float or schedule

Deviations from the box: ties between best actions are broken at random; where an episode is only truncated, A' is
drawn as if it went on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import ControlAgent, ControlMemory, LearningRule, act_epsilon_greedy, in_place, visited


@in_place
def update(
    q: NDArray[np.float64], s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, alpha: float,
    gamma: float,
) -> float:  # fmt: skip
    """Q(S, A) ← Q(S, A) + α [R + γ Q(S', A') - Q(S, A)], equation (6.7); returns the TD error in brackets."""
    target = r if terminated else r + gamma * q[s_next, a_next]
    td_error = target - q[s, a]
    q[s, a] += alpha * td_error
    return td_error


@in_place
def learn(
    memory: ControlMemory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step, S, A, R, S', A'; a time limit is no end, since A' is drawn there too."""
    alpha = visited(memory.alpha, s, a, progress)
    return update(memory.q, s, a, r, s_next, a_next, terminated, alpha, memory.gamma)


class Sarsa(ControlAgent):
    """Tabular Sarsa for finite observations and actions.

    Example:
        >>> agent = Sarsa("CliffWalking-v1", alpha=0.5, gamma=1.0, seed=0).learn(50_000)
        >>> agent.probe(36).action_values.shape
        (1, 4)
    """

    id = "sarsa"
    rule = LearningRule(act_epsilon_greedy, learn, on_policy=True)
