"""Semi-gradient Sarsa: action values that are linear in features, learned from what is really done next.

    G = R_{t+1} + γ R_{t+2} + ... + γ^{n-1} R_{t+n} + γⁿ Q(S_{t+n}, A_{t+n}, w)
    w ← w + α [G - Q(S_t, A_t, w)] ∇Q(S_t, A_t, w)

and ∇Q(s, a, w) = x(s) in the column of a, 0 in the others, since Q(s, a, w) = w_a · x(s). With n = 1 it is the box on
page 244, with more the box on page 247.

Source: Sutton & Barto 2e, sections 10.1 and 10.2, equations (10.1) and (10.3).

Symbols:
    w  weights   float64 [F, A]        x(s)  active features: numbers and strengths (`Active`)
    n  n_steps   α  alpha  float or schedule, per active feature    γ  gamma    ε  epsilon  float or schedule

Deviations from the boxes: ties between best actions are broken at random; an episode that is only truncated
bootstraps once more.
"""

from __future__ import annotations

from typing import Annotated

from rlplay.extend import (
    Active,
    LearningRule,
    LinearControl,
    LinearMemory,
    Range,
    act_linear_epsilon_greedy,
    forget_steps,
    in_place,
    scheduled,
    update_n_steps,
)


@in_place
def learn(
    memory: LinearMemory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the features of S': ``memory.q`` holds their values, by which A' was chosen a moment ago."""
    following = 0.0 if terminated else memory.q[0, a_next]
    alpha, ended = scheduled(memory.alpha, progress), terminated or truncated
    return update_n_steps(memory.w, x, a, r, following, ended, alpha, memory.gamma, memory.steps, memory.n_steps)


class LinearSarsa(LinearControl):
    """Semi-gradient n-step Sarsa over tiles, or any other features.

    Example:
        >>> agent = LinearSarsa("MountainCar-v0", alpha=0.5 / 8, gamma=1.0, epsilon=0.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "linear-sarsa"
    rule = LearningRule(act_linear_epsilon_greedy, learn, forget_steps, on_policy=True)
    n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 1


__all__ = ["LinearSarsa"]
