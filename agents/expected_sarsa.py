"""Expected Sarsa: like Sarsa, but average over the next action in place of drawing it.

After each step the value of the action taken moves towards the reward plus the discounted expected value of the next
action under the policy that is followed. It removes the noise of the draw, so larger steps are safe:

    Q(S, A) ← Q(S, A) + α [R + γ Σ_a π(a|S') Q(S', a) - Q(S, A)]

Source: van Seijen et al. 2009; Sutton & Barto 2e, section 6.6, equation (6.9).

Symbols:
    Q  q      float64 [S, A]   action values
    S  s      int              state before the step, S' = s_next after it
    A  a      int              action taken
    R  r      float            reward
    π  pi     the ε-greedy policy over Q
    α  alpha  float or schedule, γ gamma float, ε epsilon float or schedule

Deviations from the book: ties between best actions are broken at random; a time limit is not a terminal state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ControlAgent,
    ControlMemory,
    LearningRule,
    act_epsilon_greedy,
    ahead,
    expected_value,
    in_place,
    visited,
)


@in_place
def update(
    q: NDArray[np.float64], s: int, a: int, r: float, s_next: int, terminated: bool, alpha: float, gamma: float,
    epsilon: float,
) -> float:  # fmt: skip
    """Q(S, A) ← Q(S, A) + α [R + γ Σ_a π(a|S') Q(S', a) - Q(S, A)], equation (6.9); returns the TD error."""
    target = r if terminated else r + gamma * expected_value(q, s_next, epsilon)
    td_error = target - q[s, a]
    q[s, a] += alpha * td_error
    return td_error


@in_place
def learn(
    memory: ControlMemory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but A', over which it averages with the ε that the next visit of S' will have."""
    alpha, epsilon = visited(memory.alpha, s, a, progress), ahead(memory.epsilon, s_next, 0, progress)
    return update(memory.q, s, a, r, s_next, terminated, alpha, memory.gamma, epsilon)


class ExpectedSarsa(ControlAgent):
    """Tabular Expected Sarsa for finite observations and actions.

    Example:
        >>> agent = ExpectedSarsa("CliffWalking-v1", alpha=1.0, gamma=1.0, seed=0).learn(50_000)
        >>> int(agent.predict(36, deterministic=True)[0])  # up, away from the cliff
        0
    """

    id = "expected-sarsa"
    rule = LearningRule(act_epsilon_greedy, learn)
    learns_from_others = True
