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

from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.agent.policies import policy_table
from rlplay.agent.tabular import TableAgent, sampled
from rlplay.compiled.cache import in_place
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError
from rlplay.functional.episode_buffer import keep, longest_episode
from rlplay.functional.schedules import visited
from rlplay.functional.traces import clear, new_traces, update_true_online
from rlplay.functional.traces import update as update_traces
from rlplay.hyperparameters.domains import Choice, Either, Range
from rlplay.hyperparameters.types import Discount, FeaturesLike, InitialValue, PolicyLike, StepSize


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
def act(memory: Any, s: int, progress: float) -> int:
    """The loop's way to the policy."""
    return sampled(memory[3], s, memory[4])


@in_place
def learn_one_step(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to TD(0)."""
    v, alpha, gamma, policy, rng = memory[:5]
    return update(v, s, r, s_next, terminated, visited(alpha, s, 0, progress), gamma)


@in_place
def learn_n_steps(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to n-step TD: a ring of the last n steps; at the end all that are left."""
    v, alpha, gamma, policy, rng, steps, n = memory
    ring, t = steps.state.shape[0] - 1, keep(steps, s, a, r)
    ended = terminated or truncated
    if t + 1 < n and not ended:
        return np.nan
    td_error = 0.0
    oldest = max(t - n + 1, 0)
    for start in range(oldest, (t if ended else oldest) + 1):
        g = 0.0 if terminated else v[s_next]
        for k in range(t, start - 1, -1):
            g = steps.reward[k & ring] + gamma * g
        state = steps.state[start & ring]
        td_error = g - v[state]
        v[state] += visited(alpha, state, 0, progress) * td_error
    return td_error


@in_place
def begin_steps(memory: Any) -> None:
    """No steps yet."""
    memory[5].length[0] = 0


@cache
def trace_rule(kind: int) -> LearningRule:
    """TD(λ) with accumulating (0) or replacing (1) traces, or true online (2)."""

    @in_place
    def learn(
        memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """The loop's way to the update."""
        v, alpha, gamma, policy, rng, traces, lambda_, v_old = memory
        step, following = visited(alpha, s, 0, progress), 0.0 if terminated else v[s_next]
        if kind < 2:
            return update_traces(v, s, r + gamma * following, traces, kind, step, gamma * lambda_)
        if traces.length[0] == 0:
            v_old[0] = v[s]
        td_error = update_true_online(v, s, r + gamma * following, v_old[0], traces, step, gamma * lambda_)
        v_old[0] = following
        return td_error

    @in_place
    def begin(memory: Any) -> None:
        """No traces yet."""
        clear(memory[5])

    return LearningRule(act, learn, begin)


@in_place
def learn_offline(
    memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool, progress: float
) -> float:
    """The loop's way to the offline λ-return algorithm: keep the step; at the end all states learn."""
    v, alpha, gamma, policy, rng, steps, lambda_, returns = memory
    t = keep(steps, s, a, r)
    is_full = t + 1 == steps.state.shape[0]
    if not (terminated or truncated or is_full):
        return np.nan
    states = steps.state[: t + 1]
    lambda_returns(v, states, steps.reward[: t + 1], 0.0 if terminated else v[s_next], lambda_, gamma, returns)
    for k in range(t + 1):
        v[states[k]] += visited(alpha, states[k], 0, progress) * (returns[k] - v[states[k]])
    steps.length[0] = 0
    return returns[t] - v[s]


class TDPrediction(TableAgent):
    """TD(0), n-step TD or TD(λ) under a given policy.

    Example:
        >>> agent = TDPrediction("rlplay/RandomWalk-v0", policy="random", alpha=0.05, initial_value=0.5, gamma=1.0)
        >>> agent.learn(10_000).v.shape
        (7,)
    """

    id = "td-prediction"

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: PolicyLike = "random",
        alpha: StepSize = 0.1,
        gamma: Discount = 0.99,
        n_steps: Annotated[int, Range("rewards in the return, n", 1, 10_000, integer=True)] = 1,
        lambda_: Annotated[
            float | None, Either((None,), Range("trace decay λ: 0 looks one step ahead, 1 to the end", 0, 1))
        ] = None,
        traces: Annotated[
            str, Choice("with lambda_: how it is computed", ("accumulating", "replacing", "dutch", "offline"))
        ] = "accumulating",
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, policy=policy, alpha=alpha, gamma=gamma, n_steps=n_steps, lambda_=lambda_, traces=traces,
            initial_value=initial_value, features=features,
        )  # fmt: skip
        if lambda_ is not None and n_steps != 1:
            raise HyperparameterError(f"n_steps={n_steps} and lambda_={lambda_} are two ways to look ahead", "Take one")
        policy = policy_table(self.hyperparameters["policy"], self.env, self.allowed, type(self).__name__)
        self.policy = self.kept("policy", policy)
        self.v = self.values("v", initial_value)
        memory: tuple[Any, ...] = (self.v, self.rate("alpha", by_state=True), float(gamma), self.policy, self.rng)
        if lambda_ is None:
            self.rule = LearningRule(act, learn_one_step)
            if n_steps > 1:
                self.rule = LearningRule(act, learn_n_steps, begin_steps)
                memory += (self.room(int(n_steps)), int(n_steps))
        elif traces == "offline":
            self.rule = LearningRule(act, learn_offline, begin_steps)
            longest = longest_episode(self.env)
            steps = self.room(longest)
            memory += (steps, float(lambda_), np.zeros(len(steps.state)))
        else:
            kinds = ("accumulating", "replacing", "dutch")
            self.rule = trace_rule(kinds.index(traces))
            found = new_traces(self.size[0])
            for name, array in found._asdict().items():
                self.kept(f"traces/{name}", array)
            memory += (found, float(lambda_), self.kept("v_old", np.zeros(1)))
        self.memory = memory

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; traces and steps, in old clusters, are forgotten."""
        super().remap_states(nearest)
        assert self.rule is not None
        self.rule.begin(self.memory)

    def probe(self, observation: Any) -> Probe:
        """The policy and the value of the state under it."""
        states = self.state_indices(observation)
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
