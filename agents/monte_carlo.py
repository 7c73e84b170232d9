"""Monte Carlo: play to the end, then learn from what really came of each state and action.

No value is built on another: the target of each step is the whole return that followed it,

    G ← γ G + R, backwards from the end;    Q(S, A) ← Q(S, A) + α [G - Q(S, A)]

With α = 1/n, the default, Q is the average of the returns. For control the policy is ε-greedy in Q, and after
``exploring_starts`` greedy; with ``policy=`` it is given, and V is learned.

Source: Sutton & Barto 2e, sections 5.1 to 5.4, boxes on pages 92, 99 and 101; Singh & Sutton 1996.

Symbols:
    Q  q  float64 [S, A]  action values (control),  V  v  float64 [S]  state values (prediction)
    G  g  float           return from a step on
    γ  gamma,  α  alpha  float, schedule or "1/n",  ε  epsilon  float or schedule

Deviations from the boxes: ε is followed as a schedule and ties are broken at random; an episode that a time limit cuts
goes on with the value of its last state, since a limit is no terminal state. An episode must end: after 16,384 steps
without a time limit the run stops with an error. Exploring starts need a transition table, whose states that are not
final become the first ones, all equally likely.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    Discount,
    EnvLike,
    EpisodeBuffer,
    Exploration,
    FeaturesLike,
    InitialValue,
    LearningRule,
    NoEnvironment,
    Policy,
    Probe,
    Rate,
    StepSize,
    TableAgent,
    act_epsilon_greedy,
    act_policy,
    forget_steps,
    greatest,
    in_place,
    keep_whole_step,
    longest_episode,
    new_rate,
    policy_table,
    random_action,
    table_of,
    visited,
    with_first_states,
)


class Memory(NamedTuple):
    """What the rules work on.

    Attributes:
        q: action values, float64 [S, A], or state values, [S, 1], where a policy is given.
        alpha, gamma, epsilon, rng: as in `ControlMemory`.
        steps: the episode so far.
        first: the step of each entry's first visit in the episode, int64, of the shape of q.
        every_visit: whether every visit counts, not the first one only.
        by_action: whether q has a column an action.
        policy: the policy that is given, float64 [S, A]; [0, 0] for control.
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    steps: EpisodeBuffer
    first: NDArray[np.int64]
    every_visit: bool
    by_action: bool
    policy: NDArray[np.float64]


@in_place
def first_visits(steps: EpisodeBuffer, by_action: bool, first: NDArray[np.int64]) -> None:
    """For each state (and action) of an episode the step of its first visit, int64 [S, A]; A is 1 for states alone."""
    for t in range(steps.length[0] - 1, -1, -1):
        first[steps.state[t], steps.action[t] if by_action else 0] = t


@in_place
def update(memory: Memory, end_value: float, progress: float) -> None:
    """The box on page 101 (or 92): go back from the end and move each value towards its return G."""
    q, steps, first, g = memory.q, memory.steps, memory.first, end_value
    first_visits(steps, memory.by_action, first)
    for t in range(steps.length[0] - 1, -1, -1):
        s, a = steps.state[t], steps.action[t] if memory.by_action else 0
        g = steps.reward[t] + memory.gamma * g
        if memory.every_visit or first[s, a] == t:
            q[s, a] += visited(memory.alpha, s, a, progress) * (g - q[s, a])


@in_place
def act_exploring_starts(memory: Memory, s: int, progress: float) -> int:
    """The first action of an episode at random, the others greedy (ε is 0)."""
    if memory.steps.length[0] == 0:
        return random_action(memory.q, s, memory.rng)
    return act_epsilon_greedy(memory, s, progress)


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """Keeps S, A, R; at the end learns from the whole episode, where S' counts only if the end is a time limit."""
    if keep_whole_step(memory.steps, s, a, r) >= 0 and (terminated or truncated):
        update(memory, 0.0 if terminated else greatest(memory.q, s_next), progress)
    return np.nan


class MonteCarlo(TableAgent):
    """First-visit or every-visit Monte Carlo: on-policy control, with exploring starts, or prediction.

    Attributes:
        q: action values, float64 [S, A]; empty where a policy is given.
        v: its state values, float64 [S].
        policy: π(a|s) of the policy that was given, float64 [S, A], or None.

    Example:
        >>> agent = MonteCarlo("Blackjack-v1", gamma=1.0, epsilon=0.1, seed=0).learn(500)
        >>> MonteCarlo("Blackjack-v1", policy="stick-on-20", gamma=1.0, seed=0).learn(1000).v.shape
        (704,)
    """

    id = "monte-carlo"
    policy: Annotated[Any, Policy("the policy to predict; None learns one", optional=True)] = None
    visit: Annotated[str, Choice("which visits of an episode count", ("first", "every"))] = "first"
    exploring_starts: Annotated[
        bool, Choice("start in any state with any action, then act greedily", (True, False))
    ] = False
    alpha: StepSize = "1/n"
    gamma: Discount = 0.99
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def make_env(self, env: EnvLike) -> gym.Env[Any, Any]:
        """The environment; with exploring starts every state that is not final is equally likely to be the first.

        Raises:
            SpaceError: exploring starts in an environment without a transition table.
        """
        made = super().make_env(env)
        if not self.exploring_starts or isinstance(made, NoEnvironment):
            return made
        going = ~table_of(made).final()
        return with_first_states(made, going / going.sum())

    def setup(self) -> None:
        """Action values, or state values of the policy that is given, and room for an episode."""
        super().setup()
        predicts = self.policy is not None
        if predicts:
            policy = policy_table(self.policy, self.env, self.allowed, type(self).__name__)
            self.policy, self.v = self.kept("policy", policy), self.values("v", self.initial_value)
            act = act_policy
        else:
            self.q = self.table("q", self.initial_value)
            act = act_exploring_starts if self.exploring_starts else act_epsilon_greedy
        self.rule = LearningRule(act, learn, forget_steps)
        learned = self.v.reshape(-1, 1) if predicts else self.q
        self.exploration = new_rate(0.0, self.size) if self.exploring_starts else self.rate("epsilon", by_state=True)
        self.memory = Memory(
            learned, self.rate("alpha", by_state=predicts), self.gamma, self.exploration, self.rng,
            steps=self.episode_buffer(longest_episode(self.env)), first=np.zeros(learned.shape, np.int64),
            every_visit=self.visit == "every", by_action=not predicts,
            policy=self.policy if predicts else np.zeros((0, 0)),
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Action values and the policy over them; or the value of the state under the policy that is given."""
        if self.policy is None:
            return super().probe(observation)
        states = self.encoder.encode_batch(observation)
        return Probe(action_probabilities=self.policy[states], value=self.v[states])
