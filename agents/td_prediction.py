"""TD prediction: learn how good states are under a policy that is given, from each step as it happens.

The value of a state moves towards the reward and the value of what follows it; n steps, or by λ all steps, ahead:

    one step        V(S) ← V(S) + α [R + γ V(S') - V(S)]                                              (6.2)
    n steps         V(S) ← V(S) + α [R₁ + γR₂ + … + γⁿ⁻¹Rₙ + γⁿ V(Sₙ) - V(S)]                          (7.2)
    accumulating    δ = R + γ V(S') - V(S);  V(s) ← V(s) + α δ z(s),  z(s) ← γ λ z(s)                   (12.7)
    dutch           true online TD(λ), exactly the online λ-return algorithm                           (12.11)
    offline         the λ-return, at the end of the episode                                            (12.3)

Source: Sutton 1988; Sutton & Barto 2e, boxes on pages 120, 144, 293 and 300; van Seijen & Sutton 2014.

Symbols:
    V  v        float64 [S]     state values
    π  policy   float64 [S, A]  the policy that is followed
    z  traces   float64 [S], kept as a list;  n  n_steps,  λ  lambda_,  α  alpha  float or schedule, γ  gamma

Deviations from the boxes: a time limit is not a terminal state; a trace below 1e-8 is forgotten; offline, an episode
of more than 16,384 steps without a time limit learns in parts. ``lambda_=1, traces="offline"`` is every-visit Monte
Carlo.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    DUTCH,
    TRACE_KINDS,
    Choice,
    Discount,
    Either,
    FeaturesLike,
    HyperparameterError,
    InitialValue,
    LearningRule,
    PolicyLike,
    Probe,
    Range,
    Rate,
    StepSize,
    TableAgent,
    act_policy,
    discounted_return,
    forget_steps,
    forget_traces,
    in_place,
    keep_step,
    longest_episode,
    new_traces,
    policy_table,
    steps_due,
    td_lambda_update,
    true_online_update,
    visited,
)


class Memory(NamedTuple):
    """What the rules work on; the last five are there where a rule uses them.

    Attributes:
        v: state values, float64 [S].
        alpha: step size, by training progress or by the visits of each state.
        gamma: discount.
        policy: π(a|s), float64 [S, A].
        rng: the state of the policy's generator, uint64 [4].
        n: rewards in the return.
        lambda_: trace decay.
        steps: an `EpisodeBuffer` of the last n steps, or of the whole episode; else ().
        returns: the λ-returns of a whole episode, float64 [N]; else ().
        traces: the `Traces` of the states; else ().
        kind: of trace: ACCUMULATING, REPLACING or DUTCH.
        v_old: V(S) of the next step as it was before the last update, for dutch traces, float64 [1]; else ().
    """

    v: NDArray[np.float64]
    alpha: Rate
    gamma: float
    policy: NDArray[np.float64]
    rng: NDArray[np.uint64]
    n: int
    lambda_: float
    steps: Any = ()
    returns: Any = ()
    traces: Any = ()
    kind: int = 0
    v_old: Any = ()


@in_place
def update(
    v: NDArray[np.float64], s: int, r: float, s_next: int, terminated: bool, alpha: float, gamma: float
) -> float:
    """V(S) ← V(S) + α [R + γ V(S') - V(S)], equation (6.2); returns the TD error in brackets."""
    target = r if terminated else r + gamma * v[s_next]
    td_error = target - v[s]
    v[s] += alpha * td_error
    return td_error


@in_place
def lambda_returns(
    v: NDArray[np.float64], states: NDArray[np.int64], rewards: NDArray[np.float64], last_value: float,
    lambda_: float, gamma: float, returns: NDArray[np.float64],
) -> None:  # fmt: skip
    """G_t = R_{t+1} + γ [(1 - λ) V(S_{t+1}) + λ G_{t+1}] for a whole episode [T], by equation (12.3) backwards."""
    g, value = last_value, last_value
    for t in range(states.shape[0] - 1, -1, -1):
        g = rewards[t] + gamma * ((1.0 - lambda_) * value + lambda_ * g)
        returns[t], value = g, v[states[t]]


@in_place
def learn_one_step(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """TD(0) from S, R, S'."""
    return update(memory.v, s, r, s_next, terminated, visited(memory.alpha, s, 0, progress), memory.gamma)


@in_place
def learn_n_steps(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """n-step TD: keeps S and R, and the state n steps back learns; S' counts, and at an end all that are left learn."""
    v, steps, t = memory.v, memory.steps, keep_step(memory.steps, s, a, r)
    td_error, (first, stop) = np.nan, steps_due(t, memory.n, terminated or truncated)
    for start in range(first, stop):
        state = steps.state[start & (steps.state.shape[0] - 1)]
        following = 0.0 if terminated else v[s_next]
        td_error = discounted_return(steps.reward, start, t, following, memory.gamma) - v[state]
        v[state] += visited(memory.alpha, state, 0, progress) * td_error
    return td_error


@in_place
def learn_by_traces(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """TD(λ): S takes a trace, and R + γ V(S') is what all that have one learn from."""
    v, traces, alpha = memory.v, memory.traces, visited(memory.alpha, s, 0, progress)
    following = 0.0 if terminated else v[s_next]
    target, decay = r + memory.gamma * following, memory.gamma * memory.lambda_
    if memory.kind != DUTCH:
        return td_lambda_update(v, s, target, traces, memory.kind, alpha, decay)
    if traces.length[0] == 0:
        memory.v_old[0] = v[s]  # at an episode's start nothing is corrected
    td_error = true_online_update(v, s, target, memory.v_old[0], traces, alpha, decay)
    memory.v_old[0] = following
    return td_error


@in_place
def learn_offline(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """The offline λ-return algorithm: keeps S and R; at the end, where S' counts if it is none, all states learn."""
    v, steps, returns, t = memory.v, memory.steps, memory.returns, keep_step(memory.steps, s, a, r)
    is_full = t + 1 == steps.state.shape[0]
    if not (terminated or truncated or is_full):
        return np.nan
    states, rewards, last_value = steps.state[: t + 1], steps.reward[: t + 1], 0.0 if terminated else v[s_next]
    lambda_returns(v, states, rewards, last_value, memory.lambda_, memory.gamma, returns)
    for k in range(t + 1):
        v[states[k]] += visited(memory.alpha, states[k], 0, progress) * (returns[k] - v[states[k]])
    steps.length[0] = 0
    return returns[t] - v[s]


class TDPrediction(TableAgent):
    """TD(0), n-step TD or TD(λ) under a given policy.

    Attributes:
        v: state values, float64 [S].
        policy: π(a|s) of the policy that was given, float64 [S, A].

    Example:
        >>> agent = TDPrediction("rlplay/RandomWalk-v0", policy="random", alpha=0.05, initial_value=0.5, gamma=1.0)
        >>> agent.learn(10_000).v.shape
        (7,)
    """

    id = "td-prediction"
    policy: PolicyLike = "random"
    alpha: StepSize = 0.1
    gamma: Discount = 0.99
    n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 1
    lambda_: Annotated[
        float | None, Either((None,), Range("trace decay λ: 0 looks one step ahead, 1 to the end", 0, 1))
    ] = None
    traces: Annotated[
        str, Choice("with lambda_: how it is computed", ("accumulating", "replacing", "dutch", "offline"))
    ] = "accumulating"
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """State values, and what the rule keeps."""
        super().setup()
        if self.lambda_ is not None and self.n_steps != 1:
            raise HyperparameterError(
                f"n_steps={self.n_steps} and lambda_={self.lambda_} are two ways to look ahead", "Take one"
            )
        policy = policy_table(self.policy, self.env, self.allowed, type(self).__name__)
        self.policy, self.v = self.kept("policy", policy), self.values("v", self.initial_value)
        self.memory = Memory(
            self.v, self.rate("alpha", by_state=True), self.gamma, self.policy, self.rng, self.n_steps,
            self.lambda_ or 0.0,
        )  # fmt: skip
        if self.lambda_ is None and self.n_steps == 1:
            self.rule = LearningRule(act_policy, learn_one_step)
        elif self.lambda_ is None:
            self.rule = LearningRule(act_policy, learn_n_steps, forget_steps)
            self.memory = self.memory._replace(steps=self.episode_buffer(self.n_steps))
        elif self.traces == "offline":
            self.rule = LearningRule(act_policy, learn_offline, forget_steps)
            steps = self.episode_buffer(longest_episode(self.env))
            self.memory = self.memory._replace(steps=steps, returns=np.zeros(len(steps.state)))
        else:
            self.rule = LearningRule(act_policy, learn_by_traces, forget_traces)
            self.memory = self.memory._replace(
                traces=self.kept_traces("traces", new_traces(self.size[0])), kind=TRACE_KINDS[self.traces],
                v_old=self.kept("v_old", np.zeros(1)),
            )  # fmt: skip

    @property
    def takes_masks(self) -> bool:
        """The policy is given: it keeps to the masks that the environment's table says, and to no others."""
        return super().takes_masks and bool((~self.allowed).any())

    @property
    def learns_after(self) -> int | None:
        """Steps after which the first one is learned from; None for the offline λ-return."""
        return None if self.lambda_ is not None and self.traces == "offline" else super().learns_after

    def probe(self, observation: Any) -> Probe:
        """The policy and the value of the state under it."""
        states = self.encoder.encode_batch(observation)
        return Probe(action_probabilities=self.policy[states], value=self.v[states])


def batch_td(
    v: NDArray[np.float64], transitions: list[tuple[int, float, int, bool]], alpha: float, gamma: float,
    accuracy: float = 1e-9,
) -> NDArray[np.float64]:  # fmt: skip
    """Batch TD(0), section 6.3: show all transitions (s, r, s_next, terminated) again and again until V stands still.

    Returns:
        The values [S]: those of the model that fits the transitions best (certainty equivalence).
    """
    s, s_next = (np.array([t[i] for t in transitions]) for i in (0, 2))
    r, going = np.array([t[1] for t in transitions]), np.array([not t[3] for t in transitions])
    while True:
        errors = r + gamma * going * v[s_next] - v[s]
        change = alpha * np.bincount(s, weights=errors, minlength=len(v))
        v = v + change
        if np.abs(change).max() < accuracy:
            return v
