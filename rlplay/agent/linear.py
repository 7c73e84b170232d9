"""What linear agents share: values that are sums of weights over the few features that are active.

`LinearAgent` is the base of all of them, `LinearControl` of those that learn action values while they act ε-greedily,
`LinearPrediction` of those that learn the value of a given policy. Their equations are those of
`rlplay.functional.linear_values`.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policies import policy_table
from rlplay.approximation.encoder import ActiveStates, Encoder
from rlplay.compiled.table import action_masks
from rlplay.environments.masks import Mask
from rlplay.errors import HyperparameterError, UsageError, require_memory
from rlplay.functional.epsilon_greedy import epsilon_greedy_probabilities
from rlplay.functional.linear_values import LastSteps, Weights, batch_values, last_step_ranges, new_last_steps
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.functional.traces import Traces, check_traces, trace_ranges
from rlplay.hyperparameters.domains import Either, Policy
from rlplay.hyperparameters.types import (
    Discount,
    Exploration,
    FeaturesLike,
    InitialValue,
    Intercept,
    LinearStep,
    PolicyLike,
)
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.storage.ranges import Ranges, Span
from rlplay.training.learner import Engine

Record = TypeVar("Record", bound=tuple[Any, ...])


class LinearAgent(Agent):
    """An agent whose values are linear in active features.

    Attributes:
        w: weights, float64 [F, A], or [F, 1] for state values.
        finite_actions: whether a Box of actions is refused.
        masked_values: where the rule reads masks: -∞ for what may not be done, float64 [1, A]; None where it does not.
        rng: the state of the exploration's generator, uint64 [4].

    Example:
        >>> from agents import LinearSarsa  # a subclass
        >>> agent = LinearSarsa("CartPole-v1", seed=0)
        >>> agent.encoder.size, agent.w.shape
        (52488, (52488, 2))
    """

    gamma: Discount = 0.99
    intercept: Intercept = False
    features: FeaturesLike = None
    finite_actions: ClassVar[bool] = True

    def make_encoder(self) -> Encoder:
        """Active features: tiles over vectors and a feature for each finite observation, unless others are given."""
        self.number_actions(boxes=not self.finite_actions)
        return self.encoder_of("active")

    def setup(self) -> None:
        """The random numbers; weights are made by the agent."""
        super().setup()
        self.w: Weights
        self.rng = stream(self.seed, "exploration")
        self.masked_values: Weights | None = None
        self._kept: StateArrays = {"exploration": self.rng}
        self._ranges: Ranges = {}
        self._traces: dict[str, Traces] = {}

    def weights(self, name: str, columns: int, value: float = 0.0) -> Weights:
        """New weights [F, columns], filled with a value."""
        size = self.encoder.size
        require_memory(
            f"{type(self).__name__}: weights of {size:,} features for {columns:,} outputs", 4 * size * columns,
            "Take fewer features (features=tile-coding:4) or an environment with fewer actions",
        )  # fmt: skip
        return self.kept(name, np.full((size, columns), float(value)))

    def kept(self, name: str, array: NDArray[Any], within: Span | None = None) -> NDArray[Any]:
        """An array that is saved; whole numbers with the range that they are within."""
        self._kept[name] = array
        if within is not None:
            self._ranges[name] = within
        return array

    def kept_record(self, name: str, record: Record, ranges: Ranges | None = None) -> Record:
        """A NamedTuple whose arrays are saved, with the ranges of its whole numbers by name."""
        for field, array in record._asdict().items():  # type: ignore[attr-defined]
            self.kept(f"{name}/{field}", array, (ranges or {}).get(field))
        return record

    def kept_traces(self, name: str, traces: Traces) -> Traces:
        """Traces that are saved."""
        self._traces[name] = traces
        return self.kept_record(name, traces, trace_ranges(len(traces.entry)))

    def linear(self, w: Weights, observation: Any) -> Weights:
        """The products x(s) w for an observation or a batch, float64 [B, columns]."""
        return batch_values(w, self.encoder.encode_batch(observation))

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

    @property
    def takes_masks(self) -> bool:
        """Whether the rule reads masks; one that follows a policy it was given does not."""
        return self.masked_values is not None

    def take_mask(self, mask: Mask | None, observation: Any) -> None:
        """Mark what may not be done in the values of the state, where the rule reads masks."""
        super().take_mask(mask, observation)
        if self.masked_values is not None:
            self.masked_values[:] = 0.0 if mask is None else np.where(mask, 0.0, -np.inf)

    def why_not_compiled(self) -> str:
        """Why there is no native loop; empty where there is one."""
        known = self.numbering is not None and action_masks(self.env) is not None
        return "its environment masks actions" if known else super().why_not_compiled()

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster of a new fit takes the weights of the nearest old one; traces and steps, of old ones, go."""
        if nearest is not None and self.encoder.width == 1:
            for name, array in self._kept.items():
                if array.ndim == 2 and len(array) == self.encoder.size and "/" not in name:
                    array[:] = array[nearest]
        if self.rule is not None:
            self.rule.begin(self.memory)

    def arrays(self) -> StateArrays:
        """Weights, traces or steps, the random state, and what the encoder keeps."""
        return {**self._kept, **self.encoder.arrays()}

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {**self._ranges, **super().ranges()}

    def check(self) -> None:
        """Refuse traces that cannot be."""
        super().check()
        for name, traces in self._traces.items():
            check_traces(name, traces)


class LinearMemory(NamedTuple):
    """What a rule works on that learns action values.

    Attributes:
        w: weights, float64 [F, A].
        alpha: step size by training progress, float64 [K].
        gamma: discount.
        epsilon: probability of a random action by training progress, float64 [K].
        rng: the state of the exploration's generator, uint64 [4].
        q: takes the action values of the state where an action is chosen, float64 [1, A].
        steps: the last steps, for n-step returns.
        n_steps: rewards in a return, n.

    Example:
        >>> memory = LinearMemory(
        ...     w=np.zeros((8, 2)), alpha=np.array([0.1]), gamma=0.9, epsilon=np.array([0.1]),
        ...     rng=stream(0, "exploration"), q=np.zeros((1, 2)), steps=new_last_steps(1, 1), n_steps=1,
        ... )
        >>> memory.w.shape, memory.gamma
        ((8, 2), 0.9)
    """

    w: Weights
    alpha: NDArray[np.float64]
    gamma: float
    epsilon: NDArray[np.float64]
    rng: NDArray[np.uint64]
    q: Weights
    steps: LastSteps
    n_steps: int


class LinearControl(LinearAgent):
    """An agent that learns linear action values while it acts ε-greedily, from the next step or from ``n_steps``.

    Example:
        >>> from rlplay.extend import LearningRule, act_linear_epsilon_greedy
        >>> from agents.linear_q_learning import learn
        >>> class MyLinearQLearning(LinearControl):
        ...     rule = LearningRule(act_linear_epsilon_greedy, learn)
        >>> agent = MyLinearQLearning("MountainCar-v0", alpha=0.05, seed=0)
        >>> agent.action_values(np.zeros(2, np.float32)).tolist()
        [[0.0, 0.0, 0.0]]
    """

    alpha: LinearStep = 0.0625
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0

    def setup(self) -> None:
        """Weights, the last steps, and the memory of a rule that needs nothing else."""
        super().setup()
        assert self.numbering is not None
        n_actions, n_steps = self.numbering.n, int(self.hyperparameters.get("n_steps", 1))
        self.w = self.weights("w", n_actions, self.initial_value / self.encoder.width)
        steps = new_last_steps(n_steps, self.encoder.width if n_steps > 1 else 1)
        self.kept_record("steps", steps, last_step_ranges(self.encoder.size, n_actions))
        self.memory = LinearMemory(
            self.w, tabulate(self.alpha), self.gamma, tabulate(self.epsilon), self.rng, np.zeros((1, n_actions)), steps,
            n_steps,
        )  # fmt: skip
        self.masked_values = self.memory.q

    @property
    def learns_after(self) -> int | None:
        """Steps after which the first one is learned from."""
        return self.memory.n_steps if isinstance(self.memory, LinearMemory) else 1

    def action_values(self, observation: Any) -> Weights:
        """Q(s, ·) of an observation or a batch, float64 [B, A]."""
        return self.linear(self.w, observation)

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; the value is that of the greedy policy."""
        q = self.action_values(observation)
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.memory.epsilon, self.progress))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))


class PredictionMemory(NamedTuple):
    """What all rules work on that learn the value of a policy; a policy is [1, A] where it ignores states.

    Attributes:
        w: weights, float64 [F, 1].
        gamma: discount.
        target: the policy that is evaluated, π(a|s), float64 [S, A] or [1, A].
        behaviour: the policy that acts, b(a|s), float64 [S, A] or [1, A].
        rng: the state of the exploration's generator, uint64 [4].

    Example:
        >>> policy = np.array([[0.5, 0.5]])  # in every state
        >>> memory = PredictionMemory(np.zeros((8, 1)), 0.9, policy, policy, stream(0, "exploration"))
        >>> memory.target.tolist()
        [[0.5, 0.5]]
    """

    w: Weights
    gamma: float
    target: Weights
    behaviour: Weights
    rng: NDArray[np.uint64]


class LinearPrediction(LinearAgent):
    """An agent that learns the linear value of a given policy, following it or another one.

    Example:
        >>> from agents import GradientTD  # a subclass
        >>> agent = GradientTD("rlplay/RandomWalk-v0", policy="random", seed=0)
        >>> agent.probe(3).action_probabilities.tolist()
        [[0.5, 0.5]]
    """

    policy: PolicyLike = "random"
    behaviour: Annotated[Any, Either((None,), Policy("the policy that acts; None: the one evaluated"))] = None

    def setup(self) -> None:
        """Weights, both policies, and the memory that all rules of prediction need."""
        super().setup()
        target = self.kept("target", self._policy_table("policy"))
        behaviour = self.kept("behaviour", self._policy_table("policy" if self.behaviour is None else "behaviour"))
        if ((target > 0) & (behaviour == 0)).any():
            raise HyperparameterError(
                f"{type(self).__name__}: the behaviour never takes an action that the policy takes",
                "Give a behaviour with some probability for every action of the policy",
            )
        self.w = self.weights("w", 1, self.hyperparameters.get("initial_value", 0.0) / self.encoder.width)
        self.memory = PredictionMemory(self.w, self.gamma, target, behaviour, self.rng)

    def _policy_table(self, name: str) -> Weights:
        """A hyperparameter that is a policy, as probabilities: a row for each state where they are features."""
        assert self.numbering is not None
        policy, n_actions = self.hyperparameters[name], self.numbering.n
        states = self.encoder.size if isinstance(self.encoder, ActiveStates) else 1
        if np.ndim(policy) == 1 and len(policy) == n_actions != states:  # probabilities, in every state
            policy = np.tile(np.asarray(policy, np.float64), (states, 1))
        return policy_table(policy, self.env, np.ones((states, n_actions), np.bool_), type(self).__name__)

    def probe(self, observation: Any) -> Probe:
        """The policy and its value."""
        value, target = self.linear(self.w, observation)[:, 0], self.memory.target
        rows = np.zeros(len(value), np.int64)
        if len(target) > 1:
            rows = self.encoder.encode_batch(observation).number[:, 0]
        return Probe(action_probabilities=target[rows], value=value)
