"""Environments given by a transition table: the exact model for planners, and native dynamics for learners.

Gymnasium's toy-text environments publish ``env.unwrapped.P``: ``P[state][action]`` is a list of
``(probability, next_state, reward, terminated)``. Here the same is kept as arrays, sampled by compiled code with the
very random numbers that Gymnasium draws: one a reset, one a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.compiled.cache import in_place
from rlplay.compiled.compiled_env import CompiledEnv, ReadOnly
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import Dynamics
from rlplay.errors import EnvironmentFault, SpaceError
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, check_ranges, numbers_below

BYTES_OF_AN_OUTCOME = 33  # in a table: probability, cumulative, next_state and reward of 8 bytes, terminated of 1


class TableArrays(NamedTuple):
    """A transition table for compiled code: S states, A actions, at most K outcomes, M possible first states.

    Attributes:
        cumulative: sum of the probabilities up to and with outcome k, shape [S, A, K], float64; beyond the last 0.
        next_state: shape [S, A, K], int64.
        reward: shape [S, A, K], float64.
        terminated: shape [S, A, K], bool.
        start_cumulative: the same sum for the first state of an episode, shape [S], float64.

    Example:
        >>> world = {0: {0: [(0.25, 0, 0.0, False), (0.75, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> arrays = table_from(world, np.array([1.0, 0.0]), 2, 1, "two rooms").arrays
        >>> arrays.cumulative[0, 0].tolist(), arrays.reward[0, 0].tolist()
        ([0.25, 1.0], [0.0, 1.0])
    """

    cumulative: NDArray[np.float64]
    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    start_cumulative: NDArray[np.float64]


@in_place
def sample(cumulative: NDArray[np.float64], u: float) -> int:
    """The first index whose cumulative probability exceeds u; 0 where rounding leaves none (as Gymnasium does)."""
    for k in range(cumulative.shape[0]):
        if cumulative[k] > u:
            return k
    return 0


@in_place
def reset_table(table: TableArrays, rng: NDArray[np.uint64]) -> int:
    """The first state of an episode."""
    return sample(table.start_cumulative, random(rng))


@in_place
def step_table(table: TableArrays, state: int, action: int, rng: NDArray[np.uint64]) -> tuple[int, float, bool]:
    """One step: next state, reward and whether the episode terminated.

    Example:
        >>> world = {0: {0: [(1.0, 1, 5.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> table = table_from(world, np.array([1.0, 0.0]), 2, 1, "two rooms")
        >>> step_table(table.arrays, 0, 0, np.arange(1, 5, dtype=np.uint64))
        (1, 5.0, True)
    """
    u, outcome = random(rng), 0
    for k in range(table.cumulative.shape[2]):  # not sample(row): a view would cost more than the loop
        if table.cumulative[state, action, k] > u:
            outcome = k
            break
    return (
        table.next_state[state, action, outcome],
        table.reward[state, action, outcome],
        table.terminated[state, action, outcome],
    )


TABLE_DYNAMICS = Dynamics(reset_table, step_table)


@dataclass(frozen=True)
class TransitionTable:
    """The exact model of a finite environment.

    Attributes:
        probability: shape [S, A, K], float64; 0 beyond the last outcome.
        start: probability of each first state, shape [S], float64.
        arrays: the same for compiled code.
        masks: whether each action may be taken in each state, bool [S, A]; None where all may.

    Example:
        >>> world = {0: {0: [(1.0, 1, 5.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> table = table_from(world, np.array([1.0, 0.0]), 2, 1, "two rooms")
        >>> table.n_states, table.n_actions, table.final().tolist()
        (2, 1, [False, True])
    """

    probability: NDArray[np.float64]
    start: NDArray[np.float64]
    arrays: TableArrays
    masks: NDArray[np.bool_] | None = None

    @classmethod
    def of(
        cls,
        probability: NDArray[np.float64],
        next_state: NDArray[np.int64],
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        start: NDArray[np.float64],
        masks: NDArray[np.bool_] | None = None,
    ) -> Self:
        """The table of S states and A actions from its outcomes, arrays [S, A, K], and the first states' law [S]."""
        cumulative = probability.copy()
        for k in range(1, probability.shape[2]):  # numpy.cumsum takes four times as long where K is small
            cumulative[..., k] += cumulative[..., k - 1]
        cumulative[~(probability > 0)] = 0.0
        arrays = TableArrays(cumulative, next_state, reward, terminated, np.cumsum(start))
        return cls(probability, start, arrays, masks)

    def starting(self, start: NDArray[np.float64]) -> TransitionTable:
        """The same world with other first states, by their probabilities [S]."""
        return replace(self, start=start, arrays=self.arrays._replace(start_cumulative=np.cumsum(start)))

    def final(self) -> NDArray[np.bool_]:
        """Which states an episode does not go on from: every action ends it at once, where it stands, bool [S]."""
        arrays, here = self.arrays, np.arange(self.n_states)[:, None, None]
        stays = arrays.terminated & (arrays.next_state == here)
        return (stays | (self.probability == 0)).all(axis=(1, 2))

    def outcomes(self) -> dict[int, dict[int, list[tuple[float, int, float, bool]]]]:
        """The table as Gymnasium writes it: ``P[state][action]``, a list of (probability, next_state, reward, ends)."""
        arrays = self.arrays
        columns = [a.tolist() for a in (self.probability, arrays.next_state, arrays.reward, arrays.terminated)]
        return {
            s: {
                a: [row for row in zip(*(column[s][a] for column in columns), strict=True) if row[0] > 0]
                for a in range(self.n_actions)
            }
            for s in range(self.n_states)
        }

    @cached_property
    def defined(self) -> NDArray[np.bool_] | None:
        """Which actions do anything in each state, bool [S, A]; None where all do. Others may not be taken."""
        does = self.probability.sum(axis=2) > 0
        return None if does.all() else does

    @property
    def n_states(self) -> int:
        """How many states there are."""
        return self.probability.shape[0]

    @property
    def n_actions(self) -> int:
        """How many actions there are."""
        return self.probability.shape[1]


def table_of(env: gym.Env[Any, Any]) -> TransitionTable:
    """The transition table of an environment.

    It is its own ``env.unwrapped.transition_table``, or made from ``env.unwrapped.P`` and ``initial_state_distrib`` as
    Gymnasium's toy-text environments publish them, or of the plug-ins' data (``TABLES``).

    Raises:
        SpaceError: the environment has no table, or the table does not fit its spaces.

    Example:
        >>> import rlplay
        >>> table = table_of(rlplay.make("FrozenLake-v1"))
        >>> table.n_states, table.n_actions, int(table.start.argmax())
        (16, 4, 0)
    """
    plain = env.unwrapped
    changing = changing_wrapper(env)
    if changing:
        raise SpaceError(
            f"the wrapper {changing} changes what the transition table of {type(plain).__name__} says",
            "Take the environment without it, or an agent that learns from experience, such as q-learning",
        )
    if isinstance(plain, TableEnv):
        return plain.table
    own = getattr(plain, "transition_table", None)
    name = env.spec.id if env.spec else type(plain).__name__
    if isinstance(own, TransitionTable):
        if not is_finite(plain.observation_space) or FiniteSpace(plain.observation_space).n != own.n_states:
            raise SpaceError(f"{name} has a transition table, but its observations do not tell its states")
        return own
    model = getattr(plain, "P", None)
    known = registry.recipes("TABLES").get(name)
    if model is None and known is not None and (table := known(plain)) is not None:
        return table
    if model is None:
        raise SpaceError(
            f"{name} has no transition table (env.unwrapped.P)",
            "Take one that has (FrozenLake-v1, CliffWalking-v1, Taxi-v4, rlplay/GridWorld-v0 and most of rlplay/...) "
            "or a learning agent; Blackjack-v1 has one with sab=False",
        )
    if not (is_finite(plain.observation_space) and is_finite(plain.action_space)):
        raise SpaceError(f"{name} has a transition table but its spaces are not finite")
    n_states, n_actions = FiniteSpace(plain.observation_space).n, FiniteSpace(plain.action_space).n
    start = getattr(plain, "initial_state_distrib", None)
    first = np.asarray(start, dtype=np.float64) if start is not None else _first_states(env, n_states)
    return table_from(model, first, n_states, n_actions, name, action_masks(env))


def table_from(
    outcomes: Any, start: NDArray[np.float64], n_states: int, n_actions: int, name: str,
    masks: NDArray[np.bool_] | None = None,
) -> TransitionTable:  # fmt: skip
    """The table of a world written as ``P[state][action]``, a list of (probability, next_state, reward, terminated).

    Raises:
        SpaceError: it is not such a list, or its probabilities do not sum to 1; names the world.

    Example:
        >>> world = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> table = table_from(world, np.array([1.0, 0.0]), 2, 1, "two rooms")
        >>> table.probability[0, 0].tolist(), table.outcomes() == world
        ([0.5, 0.5], True)
    """
    try:
        probability, next_state, reward, terminated = _columns(outcomes, n_states, n_actions)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise SpaceError(
            f"the transition table of {name} is not a list of (probability, next_state, reward, terminated) for each "
            f"of its {n_states} states and {n_actions} actions ({type(error).__name__}: {error})"
        ) from error
    if not np.allclose(probability.sum(axis=2), 1.0, atol=1e-8):
        s, a = np.argwhere(~np.isclose(probability.sum(axis=2), 1.0, atol=1e-8))[0]
        raise SpaceError(f"the probabilities of {name} at state {s}, action {a} sum to {probability[s, a].sum():g}")
    if next_state.min() < 0 or next_state.max() >= n_states or not np.isfinite(reward).all():
        raise SpaceError(f"the transition table of {name} has a state outside 0..{n_states - 1} or a NaN reward")
    return TransitionTable.of(probability, next_state, reward, terminated, start, masks)


def _columns(outcomes: Any, n_states: int, n_actions: int) -> list[NDArray[Any]]:
    """Probability, next state, reward and ending of each outcome, arrays [S, A, K], in one pass over ``P``."""
    lists = [outcomes[s][a] for s in range(n_states) for a in range(n_actions)]
    lengths = np.fromiter(map(len, lists), np.int64, len(lists)).reshape(n_states, n_actions)
    if wrong := set(map(len, chain.from_iterable(lists))) - {4}:
        raise ValueError(f"{wrong.pop()} numbers in place of four")
    numbers = np.fromiter(chain.from_iterable(chain.from_iterable(lists)), np.float64, 4 * int(lengths.sum()))
    if not np.isfinite(numbers[1::4]).all() or (numbers[1::4] % 1 != 0).any():
        raise ValueError("a state that is no whole number")
    if np.isnan(numbers[3::4]).any():
        raise ValueError("an ending that is neither true nor false")
    filled = np.arange(lengths.max(initial=0)) < lengths[..., None]  # [S, A, K]
    found = []
    for column, dtype in enumerate((np.float64, np.int64, np.float64, np.bool_)):
        array: NDArray[Any] = np.zeros(filled.shape, dtype)
        array[filled] = numbers[column::4]
        found.append(array)
    return found


# Wrappers that neither change what is seen, done and paid nor when an episode ends, but for a time limit.
_WATCHING = (
    "TimeLimit", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo", "HumanRendering",
    "RenderCollection", "AddWhiteNoise", "ObstructView",
)  # fmt: skip


def changing_wrapper(env: gym.Env[Any, Any]) -> str:
    """The name of the outermost wrapper that may change what is seen, done or paid; empty for none.

    Example:
        >>> lake = gym.make("FrozenLake-v1")
        >>> changing_wrapper(lake), changing_wrapper(gym.wrappers.TransformReward(lake, abs))
        ('', 'TransformReward')
    """
    while isinstance(env, gym.Wrapper):
        cls = type(env)
        if not (cls.__module__.startswith("gymnasium.") and cls.__name__ in _WATCHING):
            return cls.__name__
        env = env.env
    return ""


def has_table(env: gym.Env[Any, Any]) -> bool:
    """Whether an environment offers a transition table, without making it."""
    plain, name = env.unwrapped, env.spec.id if env.spec else ""
    return any(getattr(plain, part, None) is not None for part in ("transition_table", "P")) or (
        name in registry.recipes("TABLES") and registry.recipes("TABLES")[name](plain) is not None
    )


def action_masks(env: gym.Env[Any, Any]) -> NDArray[np.bool_] | None:
    """Which actions may be taken in each state, bool [S, A], where the environment says it for all states; or None.

    A `TableEnv` has them in its table; Taxi's ``action_mask(state)`` is asked for each state. Under a wrapper that may
    change states or actions nothing is known.
    """
    plain = env.unwrapped
    if changing_wrapper(env):
        return None
    if isinstance(plain, TableEnv):
        return plain.table.masks
    own, ask = getattr(plain, "transition_table", None), getattr(plain, "action_mask", None)
    if isinstance(own, TransitionTable):
        return own.masks
    if not callable(ask) or not isinstance(plain.observation_space, gym.spaces.Discrete):
        return None
    try:
        masks = np.array([ask(s) for s in range(int(plain.observation_space.n))], dtype=np.bool_)
    except (TypeError, ValueError, IndexError):  # a method of that name that answers another question
        return None
    fits = masks.ndim == 2 and masks.any(axis=1).all() and masks.shape[1] == FiniteSpace(plain.action_space).n
    return masks if fits and not masks.all() else None


def _first_states(env: gym.Env[Any, Any], n_states: int) -> NDArray[np.float64]:
    """How often an environment that publishes no distribution starts in each state, over 1000 seeded resets."""
    numbering, counts = FiniteSpace(env.observation_space), np.zeros(n_states)
    for seed in range(1000):
        counts[numbering.index(env.reset(seed=seed)[0])] += 1
    return counts / counts.sum()


def agreement(env: gym.Env[Any, Any], table: TransitionTable, steps: int = 300, thorough: bool = False) -> str:
    """Whether an environment does what its table says: ``"exact"``, ``"law"`` or ``"none"``.

    Plays random actions in the environment and in the table from the same seeds. ``exact``: the same states, rewards
    and endings to the bit. ``law``: each transition is one the table allows, but drawn with other random numbers.

    Args:
        env: the environment.
        table: its table.
        steps: how many are played.
        thorough: whether every ending and every unusual reward that is likely must have been seen, in as many steps as
            that takes (`_MOST_STEPS` at most): of a class that is not known to do what its table says.
    """
    observations, actions = FiniteSpace(env.observation_space), FiniteSpace(env.action_space)
    native, choices = TableEnv(table, env.observation_space, env.action_space), np.random.default_rng(0)
    exact, arrays, ended, episode, state = True, table.arrays, True, 0, 0
    left, tried = _to_be_seen(table) if thorough else set(), np.zeros((observations.n, actions.n), np.int64)
    for step in range(_MOST_STEPS if thorough else steps):
        if step >= steps and not left:
            break
        if ended:
            state = observations.index(env.reset(seed=episode)[0])
            exact = exact and bool(native.reset(seed=episode)[0] == observations.value(state))
            if table.start[state] <= 0:
                return "none"
            episode += 1
        action = int(choices.integers(actions.n))
        while table.masks is not None and not table.masks[state, action]:
            action = int(choices.integers(actions.n))
        if thorough and choices.random() < 0.5:  # what was tried least, of what may be taken
            may = np.ones(actions.n, np.bool_) if table.masks is None else table.masks[state]
            action = int(np.where(may, tried[state], np.iinfo(np.int64).max).argmin())
        tried[state, action] += 1
        obs, reward, terminated, truncated, _ = env.step(actions.value(action))
        next_state = observations.index(obs)
        exact = exact and native.step(actions.value(action))[:3] == (obs, reward, terminated)
        allowed = (
            (table.probability[state, action] > 0)
            & (arrays.next_state[state, action] == next_state)
            & (arrays.reward[state, action] == reward)
            & (arrays.terminated[state, action] == terminated)
        )
        if not allowed.any():
            return "none"
        left.discard((state, action, int(allowed.argmax())))
        state, ended = next_state, bool(terminated or truncated)
    if left:
        return "none"
    return "exact" if exact else "law"


_MOST_STEPS = 20_000
_LIKELY = 0.05  # outcomes of this probability and more are to be seen


def _to_be_seen(table: TransitionTable) -> set[tuple[int, int, int]]:
    """State, action and number of each likely outcome that ends an episode or pays an unusual reward.

    Only states that an episode can reach count, and only the first of equal outcomes.
    """
    arrays, chance = table.arrays, table.probability
    rewards, counts = np.unique(arrays.reward[chance > 0], return_counts=True)
    usual = rewards[counts.argmax()] if len(rewards) else 0.0
    reached = table.start > 0
    frontier = np.flatnonzero(reached)
    found: set[tuple[int, int, int]] = set()
    while frontier.size:
        ends, paid, after = arrays.terminated[frontier], arrays.reward[frontier], arrays.next_state[frontier]
        possible = chance[frontier] > 0  # [N, A, K]
        if table.masks is not None:
            possible &= table.masks[frontier][..., None]
        likely = possible & (chance[frontier] >= _LIKELY) & ((paid != usual) | ends)
        for i, a, k in np.argwhere(likely).tolist():
            same = possible[i, a] & (after[i, a] == after[i, a, k]) & (paid[i, a] == paid[i, a, k])
            found.add((int(frontier[i]), a, int((same & (ends[i, a] == ends[i, a, k])).argmax())))
        if len(found) > _MOST_STEPS:  # they cannot all be seen
            return found
        following = np.unique(after[possible & ~ends])
        frontier = following[~reached[following]]
        reached[frontier] = True
    return found


class TableEnv(CompiledEnv):
    """A finite environment stepped through its table in compiled code: Gymnasium's interface, native dynamics.

    Attributes:
        table: the transition table.
        state: where the episode stands.
        max_episode_steps: time limit in steps, 0 for none.
        elapsed: steps of this episode so far.

    Example:
        >>> world = {0: {0: [(1.0, 1, 5.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> table = table_from(world, np.array([1.0, 0.0]), 2, 1, "two rooms")
        >>> env = TableEnv(table, gym.spaces.Discrete(2), gym.spaces.Discrete(1))
        >>> env.reset(seed=0)[0], env.step(0)[:3]
        (0, (1, 5.0, True))
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own convention
    s, P = ReadOnly(lambda env: env.state), ReadOnly()  # as Gymnasium's toy text has them

    def __init__(
        self,
        table: TransitionTable,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        max_episode_steps: int = 0,
        spec: Any = None,
    ) -> None:
        self.table, self.spec = table, spec
        self.observation_space, self.action_space = observation_space, action_space
        self.observations, self.actions = FiniteSpace(observation_space), FiniteSpace(action_space)
        self.max_episode_steps = max_episode_steps
        self.rng = np.zeros(4, np.uint64)
        self.state, self.elapsed, self._over = -1, 0, False
        self._defined = table.defined

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode: the same state as the environment's own reset with that seed."""
        self.seed_generator(seed)
        self.state, self.elapsed, self._over = reset_table(self.table.arrays, self.rng), 0, False
        return self.observation(), self._info()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """One step.

        Raises:
            SpaceError: an action outside the space.
            EnvironmentFault: a step before the first reset, or after the end.
        """
        index = self.actions.index(action)
        if self.state < 0 or self._over:
            when = "before reset()" if self.state < 0 else "after the episode had ended"
            raise EnvironmentFault(f"step() was called {when}", "Call env.reset() first")
        if self._defined is not None and not self._defined[self.state, index]:
            raise SpaceError(f"action {action!r} may not be taken in state {self.state}")
        self.state, reward, self._over = step_table(self.table.arrays, self.state, index, self.rng)
        self.elapsed += 1
        truncated = 0 < self.max_episode_steps <= self.elapsed
        return self.observation(), reward, self._over, truncated, self._info()

    @property
    def action_masks(self) -> Callable[[], NDArray[np.bool_]]:
        """The method that says which actions may be taken now, bool [A]; only there is one where some may not."""
        masks = self.table.masks
        if masks is None:
            raise AttributeError("every action may be taken in every state: there is no action_masks()")
        return lambda: masks[self.state].copy()  # noqa: PLW0108 - of the state then, not of the one now

    def _info(self) -> dict[str, Any]:
        masks = self.table.masks
        return {} if masks is None else {"action_mask": masks[self.state].astype(np.int8)}

    def set_state(self, state: int) -> None:
        """Take a state, for a picture of it."""
        self.state, self._over = int(state), False

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Where the episode stands, as arrays for a file."""
        return {"state": np.array([self.state, self.elapsed]), "rng": self.rng}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """Go on from there; returns the observation.

        Raises:
            CheckpointError: another shape or type, or a state that there is not.
        """
        stands = np.zeros(2, np.int64)
        copy_into("state", arrays, stands)
        check_ranges({"state": stands[:1]}, {"state": numbers_below(self.table.n_states)})
        check_ranges({"state": stands[1:]}, {"state": COUNT})
        copy_into("rng", arrays, self.rng)
        self.state, self.elapsed, self._over = int(stands[0]), int(stands[1]), False
        return self.observation()

    def observation(self) -> Any:
        """What the agent sees now."""
        return self.state if self.observations.plain else self.observations.value(self.state)
