"""Semi-gradient Q-learning: action values that are linear in features, learned for the greedy policy.

    G = R_{t+1} + γ R_{t+2} + ... + γ^{n-1} R_{t+n} + γⁿ max_a Q(S_{t+n}, a, w)
    w ← w + α [G - Q(S_t, A_t, w)] ∇Q(S_t, A_t, w)

Off-policy, bootstrapped and approximate: the deadly triad of section 11.3. It need not converge, and mostly does; where
it has to, take `agents.gradient_td`.

Source: Watkins 1989; Sutton & Barto 2e, sections 6.5, 9.4 and 11.3; the rewards of n steps are taken as they are,
without importance sampling (as in Hessel et al. 2018).

Symbols:
    w  weights   float64 [F, A]        x(s)  active features: numbers and strengths (`Active`)
    n  n_steps   α  alpha  float or schedule, per active feature    γ  gamma    ε  epsilon  float or schedule

Deviations: ties between best actions are broken at random; an episode that is only truncated bootstraps once more.
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
    greatest,
    in_place,
    scheduled,
    update_n_steps,
    values_of,
)


@in_place
def learn(
    memory: LinearMemory, x: Active, a: int, r: float, x_next: Active, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """All of a step but the action that follows: the best one counts, not the one taken."""
    following = 0.0
    if not terminated:
        values_of(memory.w, x_next, memory.q)
        following = greatest(memory.q, 0)
    alpha, ended = scheduled(memory.alpha, progress), terminated or truncated
    return update_n_steps(memory.w, x, a, r, following, ended, alpha, memory.gamma, memory.steps, memory.n_steps)


class LinearQLearning(LinearControl):
    """Semi-gradient n-step Q-learning over tiles, or any other features.

    Example:
        >>> agent = LinearQLearning("MountainCar-v0", gamma=1.0, seed=0).learn(50_000)
        >>> agent.w.shape
        (648, 3)
    """

    id = "linear-q-learning"
    rule = LearningRule(act_linear_epsilon_greedy, learn, forget_steps)
    learns_from_others = True
    n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 1


__all__ = ["LinearQLearning"]
