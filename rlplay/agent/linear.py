"""The leaves that linear agents share: values, updates and traces over active features; and the base of the agents.

A value is w · x(s), an action value has a column of weights for each action. ``w`` is float64 [F, A] (or [F, 1] for
state values); ``x`` are the active features of a state (`rlplay.approximation.encodings.Active`), so that a step costs as many
additions as there are active features, however many weights there are.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, Engine, StateArrays
from rlplay.agent.policies import policy_table
from rlplay.agent.saving import copy_into
from rlplay.agent.tabular import epsilon_greedy, epsilon_greedy_probabilities, sampled
from rlplay.approximation.encodings import Active
from rlplay.approximation.feature_map import FeatureMap
from rlplay.compiled.cache import in_place
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError, UsageError
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.functional.traces import Traces
from rlplay.models.unsupervised.bases import TileCoding
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.spaces.finite import is_finite

Weights = NDArray[np.float64]


@in_place
def value_of(w: Weights, x: Active, a: int) -> float:
    """Q(s, a) = w_a · x(s)."""
    total = 0.0
    for k in range(x.number.shape[0]):
        total += w[x.number[k], a] * x.value[k]
    return total


@in_place
def values_of(w: Weights, x: Active, q: Weights) -> None:
    """Q(s, ·) into ``q`` [1, A]."""
    for a in range(q.shape[1]):
        q[0, a] = value_of(w, x, a)


@in_place
def learn_row(w: Weights, x: Active, a: int, change: float) -> None:
    """w_a ← w_a + change x(s), the semi-gradient step: ∇ w_a · x = x."""
    for k in range(x.number.shape[0]):
        w[x.number[k], a] += change * x.value[k]


@in_place
def act_epsilon_greedy(memory: Any, x: Active, progress: float) -> int:
    """The loop's way to the ε-greedy policy, for a memory that begins with w, alpha, gamma, epsilon, rng, q."""
    values_of(memory[0], x, memory[5])
    return epsilon_greedy(memory[5], 0, scheduled(memory[3], progress), memory[4])


# The last n steps, for n-step returns.


class LastSteps(NamedTuple):
    """A ring of the last N steps, N a power of two; step t stands in place ``t & (N - 1)``.

    Attributes:
        number, value: the active features of each step's state, int64 and float64 [N, T].
        action: int64 [N].
        reward: the one that followed, float64 [N].
        length: steps of the episode so far, int64 [1].
    """

    number: NDArray[np.int64]
    value: NDArray[np.float64]
    action: NDArray[np.int64]
    reward: NDArray[np.float64]
    length: NDArray[np.int64]


def new_last_steps(n: int, width: int) -> LastSteps:
    """No steps yet, with room for n of T active features."""
    n = 1 << (n - 1).bit_length()
    return LastSteps(
        np.zeros((n, width), np.int64), np.zeros((n, width)), np.zeros(n, np.int64), np.zeros(n), np.zeros(1, np.int64)
    )  # fmt: skip


@in_place
def update_n_steps(
    w: Weights, x: Active, a: int, r: float, following: float, ended: bool, alpha: float, gamma: float,
    steps: LastSteps, n: int,
) -> float:  # fmt: skip
    """The semi-gradient step towards the n-step return, equation (10.3); returns the TD error δ, NaN for none.

        G = R_{t+1} + γ R_{t+2} + ... + γⁿ following        w ← w + α [G - Q(S_t, A_t)] ∇ Q(S_t, A_t)

    ``following`` is the value after the last step, 0 in a terminal state. At an episode's end all steps that are left
    learn, the oldest first.
    """
    if n == 1:
        td_error = r + gamma * following - value_of(w, x, a)
        learn_row(w, x, a, alpha * td_error)
        return td_error
    ring, t = steps.action.shape[0] - 1, steps.length[0]
    place = t & ring
    for k in range(x.number.shape[0]):
        steps.number[place, k], steps.value[place, k] = x.number[k], x.value[k]
    steps.action[place], steps.reward[place] = a, r
    steps.length[0] = t + 1
    if t + 1 < n and not ended:
        return np.nan
    td_error, oldest = 0.0, max(t - n + 1, 0)
    for start in range(oldest, (t if ended else oldest) + 1):
        g = following
        for k in range(t, start - 1, -1):
            g = steps.reward[k & ring] + gamma * g
        at = start & ring
        action, value = steps.action[at], 0.0
        for k in range(steps.number.shape[1]):
            value += w[steps.number[at, k], action] * steps.value[at, k]
        td_error = g - value
        for k in range(steps.number.shape[1]):
            w[steps.number[at, k], action] += alpha * td_error * steps.value[at, k]
    return td_error


@in_place
def begin_steps(memory: Any) -> None:
    """No steps yet, for a memory with the last steps in place 6."""
    memory[6].length[0] = 0


# Traces over active features: z is a list of the entries of w that have one (`rlplay.functional.traces`).


@in_place
def fade(traces: Traces, decay: float) -> None:
    """Z ← decay z; what falls below 1e-8 is forgotten."""
    k = 0
    while k < traces.length[0]:
        traces.strength[k] *= decay
        if -1e-8 < traces.strength[k] < 1e-8:
            traces.length[0] -= 1
            last = traces.length[0]
            traces.place[traces.entry[k]] = -1
            if k < last:
                traces.entry[k], traces.strength[k] = traces.entry[last], traces.strength[last]
                traces.place[traces.entry[k]] = k
        else:
            k += 1


@in_place
def trace_product(traces: Traces, x: Active, a: int, columns: int) -> float:
    """Zᵀ x(s, a)."""
    total = 0.0
    for k in range(x.number.shape[0]):
        place = traces.place[x.number[k] * columns + a]
        if place >= 0:
            total += traces.strength[place] * x.value[k]
    return total


@in_place
def mark_row(traces: Traces, x: Active, a: int, columns: int, amount: float) -> None:
    """Z ← z + amount x(s, a)."""
    for k in range(x.number.shape[0]):
        if x.value[k] != 0.0:
            entry = x.number[k] * columns + a
            place = traces.place[entry]
            if place < 0:
                place = traces.length[0]
                traces.length[0] += 1
                traces.entry[place], traces.strength[place], traces.place[entry] = entry, 0.0, place
            traces.strength[place] += amount * x.value[k]


@in_place
def learn_traces(w: Weights, traces: Traces, change: float) -> None:
    """W ← w + change z."""
    flat = w.reshape(-1)
    for k in range(traces.length[0]):
        flat[traces.entry[k]] += change * traces.strength[k]


class LinearAgent(Agent):
    """What linear agents share: active features, weights by name, action values, files.

    Attributes:
        w: weights, float64 [F, A].
        size: F, numbers of features, with the constant one.
        width: T, how many are active at a time.
        finite_actions: whether a Box of actions is refused.
        rng: the state of the exploration's generator.
    """

    numbered = False
    finite_actions: ClassVar[bool] = True
    w: Weights

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        self.require_active(finite_actions=self.finite_actions)
        self.rng = stream(self.seed, "exploration")
        self._kept: StateArrays = {"exploration": self.rng}

    def prepare(self, n_steps: int) -> None:
        """Action values, exploration and the last n steps: (w, alpha, gamma, epsilon, rng, q, steps, n)."""
        given, n_actions = self.hyperparameters, self._actions.n
        per_feature = float(given["initial_value"]) / self.width
        self.w = self.weights("w", n_actions, per_feature)
        self.memory = (
            self.w, tabulate(given["alpha"]), float(given["gamma"]), tabulate(given["epsilon"]), self.rng,
            np.zeros((1, n_actions)), self.last_steps(n_steps), n_steps,
        )  # fmt: skip

    def weights(self, name: str, columns: int, value: float = 0.0) -> Weights:
        """New weights [F, columns], filled with a value."""
        return self.kept(name, np.full((self.size, columns), float(value)))

    def kept(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """An array that is saved."""
        self._kept[name] = array
        return array

    def last_steps(self, n: int) -> LastSteps:
        """Room for the last n steps; saved."""
        steps = new_last_steps(n, self.width if n > 1 else 1)
        for name, array in steps._asdict().items():
            self.kept(f"steps/{name}", array)
        return steps

    def new_traces(self, size: int, name: str = "traces") -> Traces:
        """No traces yet, for so many weights; saved under a name."""
        from rlplay.functional.traces import new_traces

        traces = new_traces(size)
        for part, array in traces._asdict().items():
            self.kept(f"{name}/{part}", array)
        return traces

    def action_values(self, observation: Any) -> Weights:
        """Q(s, ·) of an observation or a batch, float64 [B, A]."""
        return self.linear(self.w, observation)

    def linear(self, w: Weights, observation: Any) -> Weights:
        """X(s) w for an observation or a batch, float64 [B, columns]."""
        number, value = self.actives(observation)
        return np.einsum("bt,bta->ba", value, w[number])

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; the value is that of the greedy policy."""
        q = self.action_values(observation)
        epsilon = scheduled(tabulate(self.hyperparameters["epsilon"]), self.progress)
        return Probe(
            action_values=q, action_probabilities=epsilon_greedy_probabilities(q, epsilon), value=q.max(axis=1)
        )

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Learn; stop where the weights are no numbers any more.

        Raises:
            UsageError: they diverged; names the step.
        """
        done = super().advance(timesteps, engine)
        for name, array in self._kept.items():
            if array.dtype == np.float64 and not np.isfinite(array).all():
                raise UsageError(
                    f"{type(self).__name__}: {name} is not finite at timestep {self.num_timesteps:,}: it diverged",
                    "What was saved before is unharmed. Take a smaller alpha, or features that are standardised",
                )
        return done

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Clusters take the weights of the nearest old ones; what was kept of the episode is forgotten."""
        if nearest is not None and self.width == 1:
            for name, array in self._kept.items():
                if array.ndim == 2 and len(array) == self.size and "/" not in name:
                    array[:] = array[nearest]
        if self.rule is not None:
            self.rule.begin(self.memory)

    def arrays(self) -> StateArrays:
        """Weights, traces or steps, the random state, and what the feature map keeps."""
        return {**self._kept, **(self.features.arrays() if self.features is not None else {})}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        for name, target in self.arrays().items():
            copy_into(name, arrays, target)


# Prediction: the value of a policy, from what it or another one does.


@in_place
def policy_row(policy: Weights, x: Active) -> int:
    """The row of a policy [S, A] in a state that is its own feature; the only row of one that ignores states [1, A]."""
    return x.number[0] if policy.shape[0] > 1 else 0


@in_place
def act_behaviour(memory: Any, x: Active, progress: float) -> int:
    """The loop's way to the behaviour, for a memory that begins with w, alpha, gamma, target, behaviour, rng."""
    return sampled(memory[4], policy_row(memory[4], x), memory[5])


@in_place
def importance(target: Weights, behaviour: Weights, x: Active, a: int) -> float:
    """ρ = π(a|s) / b(a|s), equation (5.3) for one step."""
    row = policy_row(target, x)
    return target[row, a] / behaviour[row, a]


class LinearPrediction(LinearAgent):
    """What agents share that learn the value of a given policy, following it or another one.

    Attributes:
        target, behaviour: float64 [S, A] where states are numbers, else [1, A].
    """

    def prepare_prediction(self) -> None:
        """Weights [F, 1] and both policies: (w, alpha, gamma, target, behaviour, rng)."""
        given = self.hyperparameters
        self.target = self.kept("target", self._policy("policy", given["policy"]))
        behaviour = given["policy"] if given["behaviour"] is None else given["behaviour"]
        self.behaviour = self.kept("behaviour", self._policy("behaviour", behaviour))
        if ((self.target > 0) & (self.behaviour == 0)).any():
            raise HyperparameterError(
                f"{type(self).__name__}: the behaviour never takes an action that the policy takes",
                "Give a behaviour with some probability for every action of the policy",
            )
        self.w = self.weights("w", 1, float(given.get("initial_value", 0.0)) / self.width)
        self.memory = (
            self.w, tabulate(given.get("alpha", 1.0)), float(given["gamma"]), self.target, self.behaviour, self.rng,
        )  # fmt: skip

    def _policy(self, name: str, policy: Any) -> Weights:
        states = self.size if self.features is None else 1
        if np.ndim(policy) == 1 and len(policy) == self._actions.n != states:  # probabilities, in every state
            policy = np.tile(np.asarray(policy, np.float64), (states, 1))
        allowed = np.ones((states, self._actions.n), np.bool_)
        return policy_table(policy, self.env, allowed, type(self).__name__)

    def probe(self, observation: Any) -> Probe:
        """The policy and its value."""
        value = self.linear(self.w, observation)[:, 0]
        rows = np.zeros(len(value), np.int64)
        if len(self.target) > 1:
            rows = self.actives(observation).number[:, 0]
        return Probe(action_probabilities=self.target[rows], value=value)


def default_features(space: gym.Space[Any]) -> FeatureMap | None:
    """What linear agents take where no features are given: tiles over vectors, numbers for what is finite (None)."""
    return None if is_finite(space) else FeatureMap(TileCoding())
