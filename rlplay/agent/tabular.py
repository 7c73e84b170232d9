"""What agents with tables share: tables are made, masked, saved, and carried over when features are fitted again.

`TableAgent` is the base of all of them, `ControlAgent` of those that learn action values while they act ε-greedily.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.episodes import require_end, require_steps_memory
from rlplay.approximation.encoder import Encoder, StateNumbers
from rlplay.compiled.table import action_masks
from rlplay.compiled.training_loop import nothing
from rlplay.environments.make import reference
from rlplay.environments.masks import Mask
from rlplay.errors import CheckpointError, EnvironmentFault, require_memory, unknown
from rlplay.functional.episode_buffer import EpisodeBuffer, episode_ranges, new_episode_buffer
from rlplay.functional.epsilon_greedy import epsilon_greedy_probabilities
from rlplay.functional.schedules import Rate, new_rate, scheduled
from rlplay.functional.traces import Traces, check_traces, trace_ranges
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike, InitialValue, StepSize
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Ranges, Span, under
from rlplay.training.learner import Engine

Record = TypeVar("Record", bound=tuple[Any, ...])


class TableAgent(Agent):
    """An agent with tables over finite states and actions.

    Attributes:
        size: how many states and actions there are.
        q: action values, float64 [S, A]; empty where it learns others.
        exploration: ε of the ε-greedy policy, by state.
        tables: arrays with a row a state, by name; all are saved, and carried over by a refit of the features.
        others: further arrays that are saved.
        allowed: whether each action may be taken in each state, bool [S, A].
        rng: the state of the exploration's generator.

    Example:
        >>> from agents import MonteCarlo  # a subclass
        >>> agent = MonteCarlo("FrozenLake-v1", seed=0)
        >>> agent.size, agent.q.shape
        ((16, 4), (16, 4))
    """

    def make_encoder(self) -> Encoder:
        """States by number; with features the states are their clusters."""
        self.number_actions()
        return self.encoder_of("index")

    def setup(self) -> None:
        """The masks and random numbers; tables are made by the agent."""
        assert self.numbering is not None
        self.size = self.encoder.size, self.numbering.n
        require_memory(
            f"{type(self).__name__}: its tables of {self.size[0]:,} states and {self.size[1]:,} actions",
            4
            * self.size[0]
            * self.size[1],  # the table, what is remembered beside it, and one of a few as working space
            "Take a coarser environment, fewer clusters, or an agent with function approximation (linear-q-learning)",
        )
        self.rng = stream(self.seed, "exploration")
        self.q: NDArray[np.float64] = np.zeros((0, 0))
        self.exploration: Rate = new_rate(0.0, self.size)
        self.tables: dict[str, NDArray[Any]] = {}
        self._action_tables: list[NDArray[np.float64]] = []
        self._rates: dict[str, Rate] = {}
        self._episode: EpisodeBuffer | None = None
        self.others: StateArrays = {"exploration": self.rng}
        self._ranges: Ranges = {}
        self._traces: dict[str, Traces] = {}
        self.allowed = np.ones(self.size, np.bool_)
        self._table_masks = action_masks(self.env) if self.takes_masks and not self.mask_source.by_wrapper else None
        if self._table_masks is not None:
            self.allowed[:] = self._table_masks
        self._mask_known = np.zeros(self.size[0], np.bool_)
        self._masks = self.allowed.copy()

    def table(self, name: str, value: float = 0.0) -> NDArray[np.float64]:
        """A new table of action values [S, A], filled with a value, -∞ for actions that may not be taken."""
        self.tables[name] = table = np.full(self.size, float(value))
        table[~self.allowed] = -np.inf
        self._action_tables.append(table)
        return table

    def values(self, name: str, value: float = 0.0) -> NDArray[np.float64]:
        """A new table of state values [S], filled with a value."""
        self.tables[name] = table = np.full(self.size[0], float(value))
        return table

    def kept(self, name: str, array: NDArray[Any], within: Span | None = None) -> NDArray[Any]:
        """An array that is saved beside the tables; whole numbers with the range that they are within."""
        self.others[name] = array
        if within is not None:
            self._ranges[name] = within
        return array

    def kept_record(self, name: str, record: Record, ranges: Ranges | None = None) -> Record:
        """A NamedTuple whose arrays are saved beside the tables, with the ranges of its whole numbers by name."""
        for field, array in record._asdict().items():  # type: ignore[attr-defined]
            self.kept(f"{name}/{field}", array, (ranges or {}).get(field))
        return record

    def kept_traces(self, name: str, traces: Traces) -> Traces:
        """Traces that are saved beside the tables."""
        self._traces[name] = traces
        return self.kept_record(name, traces, trace_ranges(len(traces.entry)))

    def episode_buffer(self, size: int) -> EpisodeBuffer:
        """The steps of an episode, or the last few of them; what is filled is saved."""
        require_steps_memory(type(self).__name__, size, 4)
        self._episode = new_episode_buffer(size)
        self._ranges.update(under("steps", episode_ranges(*self.size)))
        return self._episode

    def rate(self, name: str, *, by_state: bool = False) -> Rate:
        """A hyperparameter that is a schedule, or falls with the visits of each state and action (or state).

        It is made once: a second call returns the same.

        Raises:
            UnknownNameError: no such hyperparameter; names the nearest.
        """
        if name not in self.hyperparameters:
            raise unknown(f"hyperparameter of {type(self).__name__}", name, self.hyperparameters)
        if name not in self._rates:
            rate = new_rate(self.hyperparameters[name], (self.size[0], 1 if by_state else self.size[1]))
            _, visits = rate
            if visits.size:
                self.tables[f"{name}_visits"] = visits
                self._ranges[f"{name}_visits"] = COUNT
            self._rates[name] = rate
        return self._rates[name]

    # Action masks.

    @property
    def takes_masks(self) -> bool:
        """A cluster of states has no mask of its own."""
        return isinstance(self.encoder, StateNumbers)

    def take_mask(self, mask: Mask | None, observation: Any) -> None:
        """Take the mask that goes with an observation into the tables."""
        super().take_mask(mask, observation)
        if mask is None or self._table_masks is not None or not self.takes_masks:
            return
        state = self.encoder.encode(observation)
        if (mask != self.allowed[state]).any():
            if self._mask_known[state]:
                raise EnvironmentFault(
                    f"{reference(self.env)} changed the action mask of observation {observation} from "
                    f"{self.allowed[state].astype(int).tolist()} to {mask.astype(int).tolist()}, and a table has one",
                    "Let the observation show what the mask depends on, or take an agent without tables, such as PPO",
                )
            self._allow(state, mask)
        self._mask_known[state] = True

    def _allow(self, state: int, mask: Mask) -> None:
        self.allowed[state] = mask
        for table in self._action_tables:
            table[state, ~mask] = -np.inf

    def prediction_masks(self, observation: Any, rows: int, given: Any, joint: bool = True) -> Mask | None:
        """The masks for a prediction; those that were seen stand in the tables already."""
        if given is None and self.takes_masks:
            asks = self.mask_source.method is not None and rows == 1
            if not asks or not self.allowed[self.encoder.encode_batch(observation)].all():
                return None
        return super().prediction_masks(observation, rows, given, joint)

    # What is learned.

    @property
    def learns_after(self) -> int | None:
        """Steps after which the first one is learned from; None where it keeps whole episodes."""
        return 1 if self._episode is None else self.hyperparameters.get("n_steps")

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Do at most this many timesteps; returns how many were done.

        Raises:
            EnvironmentFault: an episode is longer than what an agent keeps that learns only at its end.
        """
        done = super().advance(timesteps, engine)
        if self._episode is not None:
            require_end(self._episode, self.env, type(self).__name__)
        return done

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; the value is that of the greedy policy."""
        states = self.encoder.encode_batch(observation)
        q = self.q[states]  # [B, A]
        values, visits = self.exploration
        epsilon = (visits[states] + 1.0) ** -values[0] if visits.size else scheduled(values, self.progress)
        return Probe(
            action_values=q, action_probabilities=epsilon_greedy_probabilities(q, epsilon), value=q.max(axis=1)
        )

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster of a new fit takes the rows of the nearest old one; traces and steps, of old ones, are gone."""
        if nearest is not None:
            for table in self.tables.values():
                table[:] = table[nearest]
        if self.rule is not None and self.rule.begin is not nothing:
            self.rule.begin(self.memory)

    # Files.

    def arrays(self) -> StateArrays:
        """The tables (0 where an action may not be taken), the masks, and what else is kept."""
        found: StateArrays = {name: np.where(table == -np.inf, 0, table) for name, table in self.tables.items()}
        if self._episode is not None:
            filled = min(int(self._episode.length[0]), len(self._episode.state))
            found.update({f"steps/{name}": array[:filled] for name, array in self._episode._asdict().items()})
            found.update({f"steps/{name}": getattr(self._episode, name) for name in ("length", "overflow")})
        return {**found, "allowed": self.allowed, **self.others, **self.encoder.arrays()}

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {**self._ranges, **super().ranges()}

    def check(self) -> None:
        """Refuse masks and traces that cannot be."""
        super().check()
        if not self.allowed.any(axis=1).all():
            raise CheckpointError("the file allows no action in some state: refused")
        if (self.allowed & ~self._masks).any():
            raise CheckpointError("the file allows actions that the environment does not: refused")
        for name, traces in self._traces.items():
            check_traces(name, traces)

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        if self._episode is not None:
            copy_into("steps/length", arrays, self._episode.length)  # it says how many of the others are filled
        for name, target in {**self.arrays(), **self.tables}.items():
            copy_into(name, arrays, target)
        for state in np.flatnonzero(~self.allowed.all(axis=1)):
            self._allow(int(state), self.allowed[state].copy())
            self._mask_known[state] = True


class ControlMemory(NamedTuple):
    """What a rule works on that learns action values.

    Attributes:
        q: action values, float64 [S, A].
        alpha: step size, by training progress or by the visits of each state and action.
        gamma: discount.
        epsilon: probability of a random action, by training progress or by the visits of each state.
        rng: the state of the exploration's generator, uint64 [4].

    Example:
        >>> alpha, epsilon = new_rate(0.1, (16, 4)), new_rate(0.1, (16, 1))
        >>> memory = ControlMemory(np.zeros((16, 4)), alpha, 0.9, epsilon, stream(0, "exploration"))
        >>> memory.q.shape, memory.gamma
        ((16, 4), 0.9)
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]


class ControlAgent(TableAgent):
    """An agent that learns action values while it acts ε-greedily.

    Example:
        >>> from rlplay.extend import LearningRule, act_epsilon_greedy
        >>> from agents.q_learning import learn
        >>> class MyQLearning(ControlAgent):
        ...     rule = LearningRule(act_epsilon_greedy, learn)
        >>> agent = MyQLearning("rlplay/Corridor-v0", alpha=0.5, seed=0).learn(200)
        >>> agent.num_timesteps, bool(agent.q.any())
        (200, True)
    """

    alpha: StepSize = 0.1
    gamma: Discount = 0.99
    epsilon: Exploration = 0.1
    initial_value: InitialValue = 0.0
    features: FeaturesLike = None

    def setup(self) -> None:
        """Action values, and the memory of a rule that needs nothing else."""
        super().setup()
        self.q = self.table("q", self.initial_value)
        self.exploration = self.rate("epsilon", by_state=True)
        self.memory = ControlMemory(self.q, self.rate("alpha"), self.gamma, self.exploration, self.rng)
