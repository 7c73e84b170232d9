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

from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Probe
from rlplay.environments.no_environment import NoEnvironment
from rlplay.training.learner import Engine
from rlplay.agent.policies import policy_table
from rlplay.agent.tabular import TableAgent, epsilon_greedy, greatest, random_action, sampled
from rlplay.compiled.cache import in_place
from rlplay.compiled.table import table_of
from rlplay.compiled.training_loop import LearningRule
from rlplay.environments.make import EnvLike, make, with_first_states
from rlplay.functional.episode_buffer import Steps, keep_whole, longest_episode, require_end
from rlplay.functional.schedules import Rate, new_rate, visited
from rlplay.hyperparameters.domains import Choice, Policy
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize


@in_place
def first_visits(steps: Steps, by_action: bool, first: NDArray[np.int64]) -> None:
    """For each state (and action) of an episode the step of its first visit, int64 [S, A]; A is 1 for states alone."""
    for t in range(steps.length[0] - 1, -1, -1):
        first[steps.state[t], steps.action[t] if by_action else 0] = t


@in_place
def update(
    q: NDArray[np.float64], steps: Steps, beyond: float, alpha: Rate, gamma: float, by_action: bool, every: bool,
    first: NDArray[np.int64], progress: float,
) -> None:  # fmt: skip
    """The box on page 101 (or 92): go back from the end and move each value towards its return G."""
    g = beyond
    first_visits(steps, by_action, first)
    for t in range(steps.length[0] - 1, -1, -1):
        s, a = steps.state[t], steps.action[t] if by_action else 0
        g = steps.reward[t] + gamma * g
        if every or first[s, a] == t:
            q[s, a] += visited(alpha, s, a, progress) * (g - q[s, a])


@cache
def monte_carlo_rule(prediction: bool, exploring_starts: bool) -> LearningRule:
    """Control, or prediction of a given policy's values; the memory's table is [S, A] or [S, 1]."""

    @in_place
    def act(memory: Any, s: int, progress: float) -> int:
        """The loop's way to the policy: ε-greedy, or given; the first action at random with exploring starts."""
        q, alpha, gamma, epsilon, rng, steps, first, every, policy = memory
        if prediction:
            return sampled(policy, s, rng)
        if exploring_starts and steps.length[0] == 0:
            return random_action(q, s, rng)
        return epsilon_greedy(q, s, visited(epsilon, s, 0, progress), rng)

    @in_place
    def learn(
        memory: Any, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
        progress: float,
    ) -> float:  # fmt: skip
        """The loop's way to the update: keep the step; at the end learn from the episode."""
        q, alpha, gamma, epsilon, rng, steps, first, every, policy = memory
        if keep_whole(steps, s, a, r) >= 0 and (terminated or truncated):
            beyond = 0.0 if terminated else greatest(q, s_next)
            update(q, steps, beyond, alpha, gamma, not prediction, every, first, progress)
        return np.nan

    return LearningRule(act, learn, begin)


@in_place
def begin(memory: Any) -> None:
    """No steps yet."""
    memory[5].length[0] = 0


class MonteCarlo(TableAgent):
    """First-visit or every-visit Monte Carlo: on-policy control, with exploring starts, or prediction.

    Example:
        >>> agent = MonteCarlo("Blackjack-v1", gamma=1.0, epsilon=0.1, seed=0).learn(50_000)
        >>> MonteCarlo("Blackjack-v1", policy="stick-on-20", gamma=1.0, seed=0).learn(1000).v.shape
        (704,)
    """

    id = "monte-carlo"

    def __init__(
        self,
        env: EnvLike,
        *,
        policy: Annotated[Any, Policy("the policy to predict; None learns one", optional=True)] = None,
        visit: Annotated[str, Choice("which visits of an episode count", ("first", "every"))] = "first",
        exploring_starts: Annotated[
            bool, Choice("start in any state with any action, then act greedily", (True, False))
        ] = False,
        alpha: StepSize = "1/n",
        gamma: Discount = 0.99,
        epsilon: Exploration = 0.1,
        initial_value: InitialValue = 0.0,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        env = make(env)
        if exploring_starts is True:
            env = everywhere(env)
        super().__init__(
            env, seed=seed, policy=policy, visit=visit, exploring_starts=exploring_starts, alpha=alpha, gamma=gamma,
            epsilon=epsilon, initial_value=initial_value, features=features,
        )  # fmt: skip
        self.policy = None
        if policy is not None:
            table = policy_table(self.hyperparameters["policy"], self.env, self.allowed, type(self).__name__)
            self.policy = self.kept("policy", table)
            self.v = self.values("v", initial_value)
        else:
            self.q = self.table("q", initial_value)
        learned = self.q if self.policy is None else self.v.reshape(-1, 1)
        self.epsilon = new_rate(0.0, self.size) if exploring_starts else self.rate("epsilon", by_state=True)
        self.steps = self.room(longest_episode(self.env))
        given = np.zeros((0, 0)) if self.policy is None else self.policy
        self.rule = monte_carlo_rule(self.policy is not None, bool(exploring_starts))
        self.memory = (
            learned, self.rate("alpha", by_state=self.policy is not None), float(gamma), self.epsilon, self.rng,
            self.steps, np.zeros(learned.shape, np.int64), visit == "every", given,
        )  # fmt: skip

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Play and learn.

        Raises:
            EnvironmentFault: an episode does not end, so that there is nothing to learn from.
        """
        done = super().advance(timesteps, engine)
        require_end(self.steps, self.env, type(self).__name__)
        return done

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; a running episode is given up."""
        env = make(env)
        super().set_env(everywhere(env) if self.hyperparameters["exploring_starts"] else env)

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; the episode so far, in old clusters, is forgotten."""
        super().remap_states(nearest)
        begin(self.memory)

    def probe(self, observation: Any) -> Probe:
        """Action values and the policy over them; or the value of the state under the policy that is given."""
        if self.policy is None:
            return super().probe(observation)
        states = self.state_indices(observation)
        return Probe(action_probabilities=self.policy[states], value=self.v[states])


def everywhere(env: Any) -> Any:
    """The environment with exploring starts: every state that is not final is equally likely to be the first.

    Raises:
        SpaceError: the environment has no transition table.
    """
    if isinstance(env, NoEnvironment):
        return env
    going = ~table_of(env).final()
    return with_first_states(env, going / going.sum())
