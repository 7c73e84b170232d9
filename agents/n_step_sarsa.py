"""n-step Sarsa and its relatives: learn from n real rewards and the value of what comes after them.

One step ahead (Sarsa) and to the end of the episode (Monte Carlo) are the two ends; between them lies the best. The
return of n steps is one of

    sarsa           G = R₁ + γR₂ + … + γⁿ⁻¹Rₙ + γⁿ Q(Sₙ, Aₙ)                                           (7.4)
    expected-sarsa  the same, but for the end: γⁿ Σ_a π(a|Sₙ) Q(Sₙ, a)                                   (7.7)
    tree-backup     G = R + γ Σ_{a≠A'} π(a|S') Q(S', a) + γ π(A'|S') G'                                  (7.16)
    q-sigma         G = R + γ [σρ' + (1-σ) π(A'|S')] (G' - Q(S', A')) + γ Σ_a π(a|S') Q(S', a)            (7.17)

and Q(S, A) ← Q(S, A) + α ρ [G - Q(S, A)]. With ``target_epsilon`` the policy π that is learned is ε-greedy with that ε
(0: greedy), another than the one followed, b: then ρ is the product of π(A|S) / b(A|S) over the actions after the
first (7.11); tree backup needs no ρ, and q-sigma takes one a step, within its return.

Source: Sutton & Barto 2e, chapter 7, boxes on pages 147, 149, 154 and 156; De Asis et al. 2018 for Q(σ).

Symbols:
    Q  q            float64 [S, A]   action values
    n  n_steps, σ  sigma in [0, 1]: 1 samples, 0 takes expectations
    π  the policy learned, b the policy followed (ε-greedy with epsilon)
    α  alpha  float or schedule, γ gamma float

Deviations from the boxes: π is that of the table when an update is made; b(A|S) was kept when A was chosen; an episode
that a time limit cuts goes on with the value of its last state and an action drawn there.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    ControlAgent,
    Either,
    EpisodeBuffer,
    HyperparameterError,
    LearningRule,
    Range,
    Rate,
    act_epsilon_greedy,
    discounted_return,
    expected_value,
    forget_steps,
    in_place,
    keep_step,
    latest,
    policy_probability,
    steps_due,
    visited,
)


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q, alpha, gamma, epsilon, rng: as in `ControlMemory`.
        steps: the last n steps and the state and action after them, a ring.
        n: rewards in the return.
        target_epsilon: ε of the policy that is learned off-policy.
        sigma: σ of q-sigma; 0 for tree backup.
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    steps: EpisodeBuffer
    n: int
    target_epsilon: float
    sigma: float


@in_place
def n_step_return(
    q: NDArray[np.float64], steps: EpisodeBuffer, first: int, last: int, ends: bool, expected: bool, pi_epsilon: float,
    gamma: float,
) -> float:  # fmt: skip
    """G of (7.4), or (7.7) where ``expected``, from step ``first`` to ``last``; the state after it is in the ring."""
    following = 0.0
    if not ends:
        after = (last + 1) & (steps.state.shape[0] - 1)
        s, a = steps.state[after], steps.action[after]
        following = expected_value(q, s, pi_epsilon) if expected else q[s, a]
    return discounted_return(steps.reward, first, last, following, gamma)


@in_place
def q_sigma_return(
    q: NDArray[np.float64], steps: EpisodeBuffer, first: int, last: int, ends: bool, sigma: float, off_policy: bool,
    pi_epsilon: float, gamma: float,
) -> float:  # fmt: skip
    """G of (7.17) from step ``first`` to ``last``; with σ = 0 it is tree backup (7.16)."""
    ring = steps.state.shape[0] - 1
    g = 0.0
    for t in range(last, first - 1, -1):
        place = (t + 1) & ring
        if t == last and ends:
            g = steps.reward[t & ring]
            continue
        s, a = steps.state[place], steps.action[place]
        if t == last:
            g = q[s, a]
        pi = policy_probability(q, s, a, pi_epsilon)
        rho = pi / steps.behaviour[place] if off_policy else 1.0
        weight = sigma * rho + (1.0 - sigma) * pi
        g = steps.reward[t & ring] + gamma * (weight * (g - q[s, a]) + expected_value(q, s, pi_epsilon))
    return g


@in_place
def importance_ratio(q: NDArray[np.float64], steps: EpisodeBuffer, first: int, last: int, pi_epsilon: float) -> float:
    """ρ, the product of π(A|S) / b(A|S) over the steps ``first`` to ``last``, equation (7.10)."""
    rho, ring = 1.0, steps.state.shape[0] - 1
    for t in range(first, last + 1):
        place = t & ring
        rho *= policy_probability(q, steps.state[place], steps.action[place], pi_epsilon) / steps.behaviour[place]
    return rho


@cache
def n_step_rule(method: str, off_policy: bool) -> LearningRule:
    """The rule of one method; π is ε-greedy with ``target_epsilon`` where it learns off-policy."""
    is_sarsa, is_expected = method == "sarsa", method == "expected-sarsa"

    @in_place
    def learn(
        memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """Keeps S, A, R, and S', A' after them; the step n back learns, at an end all that are left."""
        q, steps, gamma = memory.q, memory.steps, memory.gamma
        ring, t = steps.state.shape[0] - 1, keep_step(steps, s, a, r)
        next_epsilon, after = latest(memory.epsilon, s_next, 0, progress), (t + 1) & ring
        pi_epsilon = memory.target_epsilon if off_policy else next_epsilon
        if not terminated:
            steps.state[after], steps.action[after] = s_next, a_next
            if off_policy:
                steps.behaviour[after] = policy_probability(q, s_next, a_next, next_epsilon)
        td_error, (first, stop) = np.nan, steps_due(t, memory.n, terminated or truncated)
        for start in range(first, stop):
            if is_sarsa or is_expected:
                g = n_step_return(q, steps, start, t, terminated, is_expected, pi_epsilon, gamma)
            else:
                g = q_sigma_return(q, steps, start, t, terminated, memory.sigma, off_policy, pi_epsilon, gamma)
            rho = 1.0
            if off_policy and (is_sarsa or is_expected):
                rho = importance_ratio(q, steps, start + 1, t + 1 if is_sarsa and not terminated else t, pi_epsilon)
            state, action = steps.state[start & ring], steps.action[start & ring]
            td_error = g - q[state, action]
            q[state, action] += visited(memory.alpha, state, action, progress) * rho * td_error
        return td_error

    return LearningRule(act_epsilon_greedy, learn, forget_steps, on_policy=True)


class NStepSarsa(ControlAgent):
    """n-step Sarsa, n-step Expected Sarsa, n-step tree backup or n-step Q(σ), on- or off-policy.

    Example:
        >>> agent = NStepSarsa("rlplay/RandomWalk-v0", n_steps=4, alpha=0.4, seed=0).learn(10_000)
        >>> NStepSarsa("FrozenLake-v1", method="tree-backup", target_epsilon=0.0, seed=0).learn(1000).num_timesteps
        1000
    """

    id = "n-step-sarsa"
    n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 4
    method: Annotated[str, Choice("what the return is", ("sarsa", "expected-sarsa", "tree-backup", "q-sigma"))] = (
        "sarsa"
    )
    sigma: Annotated[float, Range("degree of sampling σ of q-sigma: 1 samples, 0 takes expectations", 0, 1)] = 0.5
    target_epsilon: Annotated[
        float | None, Either((None,), Range("ε of the policy that is learned, off-policy (0: greedy)", 0, 1))
    ] = None

    def setup(self) -> None:
        """The last n steps, and the rule of the method."""
        super().setup()
        if self.target_epsilon is not None:
            require_coverage(type(self).__name__, self.exploration, self.target_epsilon)
        self.rule = n_step_rule(self.method, self.target_epsilon is not None)
        self.memory = Memory(
            **self.memory._asdict(), steps=self.episode_buffer(self.n_steps + 1), n=self.n_steps,
            target_epsilon=self.target_epsilon or 0.0, sigma=self.sigma if self.method == "q-sigma" else 0.0,
        )  # fmt: skip


def require_coverage(owner: str, epsilon: Rate, target_epsilon: float) -> None:
    """The policy that is followed must take every action that the learned one takes (coverage, S&B section 5.5).

    Raises:
        HyperparameterError: it would not; says what to raise or lower.
    """
    values, _ = epsilon
    if target_epsilon > 0 and values.min() == 0.0:
        raise HyperparameterError(
            f"{owner}: with epsilon={values.min():g} the behaviour policy never takes actions that the target policy "
            f"(target_epsilon={target_epsilon:g}) takes",
            "Raise epsilon, or take target_epsilon=0",
        )
