"""Prioritized sweeping: plan where the values would change most, and go on from there backwards.

A step that surprises goes into a queue by the size of its error. Planning takes the largest, learns it, and looks at
all states and actions that are known to lead there: what would change for them goes into the queue too.

    P ← |R + γ max_a Q(S', a) - Q(S, A)|;  if P > θ, (S, A) goes into the queue with priority P
    n times, the first of the queue:  Q(S, A) ← Q(S, A) + α [R + γ max_a Q(S', a) - Q(S, A)]
        for all S̄, Ā that lead to S:  P ← |R̄ + γ max_a Q(S, a) - Q(S̄, Ā)|;  if P > θ, into the queue

Source: Moore & Atkeson 1993; Peng & Williams 1993; Sutton & Barto 2e, section 8.4, box on page 170.

Symbols:
    Q  q  float64 [S, A]  action values
    Model  what the last step from each state and action gave (a deterministic world), and who leads to each state
    θ  theta  smallest priority,  n  planning_steps,  α  alpha,  γ  gamma,  ε  epsilon

Deviations from the box: the model knows endings too; ties between best actions are broken at random; alpha defaults
to 1 since a deterministic model needs no averaging.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    CheckpointError,
    ControlAgent,
    LearningRule,
    PlanningSteps,
    Range,
    Ranges,
    Rate,
    act_epsilon_greedy,
    check_listed,
    greatest,
    in_place,
    numbers_below,
    or_none,
    visited,
)


class Model(NamedTuple):
    """The world as last seen, and who leads to each state: for each state a list of pairs, linked both ways.

    A pair is the number s * A + a.

    Attributes:
        next_state: int64 [S * A], -1 where nothing is known; reward: float64, terminated: bool, both [S * A].
        first: the first pair that leads to a state, -1 for none, int64 [S].
        after: the next pair in the same list, before: the one before it, -1 at the ends, int64 [S * A].
    """

    next_state: NDArray[np.int64]
    reward: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    first: NDArray[np.int64]
    after: NDArray[np.int64]
    before: NDArray[np.int64]


class Queue(NamedTuple):
    """A binary heap of pairs, the largest priority first.

    Attributes:
        pair: int64 [S * A], the first ``length[0]``.
        priority: of each pair, float64 [S * A].
        place: where a pair stands in the heap, -1 for nowhere, int64 [S * A].
        length: int64 [1];  updates: values learned so far, int64 [1].
    """

    pair: NDArray[np.int64]
    priority: NDArray[np.float64]
    place: NDArray[np.int64]
    length: NDArray[np.int64]
    updates: NDArray[np.int64]


class Memory(NamedTuple):
    """What the rule works on.

    Attributes:
        q, alpha, gamma, epsilon, rng: as in `ControlMemory`.
        model: the world as last seen.
        queue: the pairs that are to learn.
        planning_steps: pairs that learn after each step.
        theta: smallest priority that goes into the queue.
    """

    q: NDArray[np.float64]
    alpha: Rate
    gamma: float
    epsilon: Rate
    rng: NDArray[np.uint64]
    model: Model
    queue: Queue
    planning_steps: int
    theta: float


def new_model(states: int, actions: int) -> Model:
    """Nothing known yet."""
    next_state, after, before = np.full((3, states * actions), -1)
    reward = np.zeros(states * actions)
    return Model(next_state, reward, reward.astype(np.bool_), np.full(states, -1), after, before)


def new_queue(pairs: int) -> Queue:
    """An empty heap for so many pairs."""
    length, updates = np.zeros((2, 1), np.int64)
    return Queue(np.zeros(pairs, np.int64), np.zeros(pairs), np.full(pairs, -1), length, updates)


def model_ranges(states: int, actions: int) -> Ranges:
    """What whole numbers a model holds."""
    pair = or_none(states * actions)
    return {"next_state": or_none(states), "first": pair, "after": pair, "before": pair}


def queue_ranges(pairs: int) -> Ranges:
    """What whole numbers a heap holds."""
    return {"pair": numbers_below(pairs), "place": or_none(pairs), "length": (0, pairs), "updates": COUNT}


def check_model(model: Model) -> None:
    """Refuse lists, read from a file, that are no lists: a pair in that of another state, links of one side only.

    Raises:
        CheckpointError: such lists.
    """
    pairs = np.flatnonzero(model.next_state >= 0)
    leads_to, after, before = model.next_state[pairs], model.after[pairs], model.before[pairs]
    first, followed = before < 0, after >= 0
    heads = np.full(len(model.first), -1)
    heads[leads_to[first]] = pairs[first]
    good = (
        np.array_equal(heads, model.first)
        and np.array_equal(model.after[before[~first]], pairs[~first])
        and np.array_equal(model.before[after[followed]], pairs[followed])
        and np.array_equal(model.next_state[after[followed]], leads_to[followed])
    )
    if not good:
        raise CheckpointError(
            "model/first, after and before are no lists of the pairs that lead to each state: refused"
        )


@in_place
def target(q: NDArray[np.float64], model: Model, pair: int, gamma: float) -> float:
    """R + γ max_a Q(S', a) of a pair, by the model."""
    r = model.reward[pair]
    return r if model.terminated[pair] else r + gamma * greatest(q, model.next_state[pair])


@in_place
def remember(model: Model, pair: int, r: float, s_next: int, terminated: bool) -> None:
    """Model(S, A) ← R, S'; the pair moves to the list of those that lead to S'."""
    old = model.next_state[pair]
    model.reward[pair], model.terminated[pair] = r, terminated
    if old == s_next:
        return
    if old >= 0:
        before, after = model.before[pair], model.after[pair]
        if before >= 0:
            model.after[before] = after
        else:
            model.first[old] = after
        if after >= 0:
            model.before[after] = before
    head = model.first[s_next]
    model.before[pair], model.after[pair] = -1, head
    if head >= 0:
        model.before[head] = pair
    model.first[s_next], model.next_state[pair] = pair, s_next


@in_place
def _swap(queue: Queue, i: int, j: int) -> None:
    first, second = queue.pair[i], queue.pair[j]
    queue.pair[i], queue.pair[j] = second, first
    queue.place[second], queue.place[first] = i, j


@in_place
def push(queue: Queue, pair: int, priority: float) -> None:
    """Put a pair into the heap, or raise its priority."""
    i = queue.place[pair]
    if i >= 0 and queue.priority[pair] >= priority:
        return
    queue.priority[pair] = priority
    if i < 0:
        i = queue.length[0]
        queue.pair[i], queue.place[pair] = pair, i
        queue.length[0] += 1
    while i > 0 and queue.priority[queue.pair[(i - 1) // 2]] < priority:
        _swap(queue, i, (i - 1) // 2)
        i = (i - 1) // 2


@in_place
def pop(queue: Queue) -> int:
    """Take the pair of the largest priority."""
    top = queue.pair[0]
    queue.length[0] -= 1
    n = queue.length[0]
    _swap(queue, 0, n)
    queue.place[top] = -1
    i = 0
    while True:
        child = 2 * i + 1
        if child >= n:
            return top
        if child + 1 < n and queue.priority[queue.pair[child + 1]] > queue.priority[queue.pair[child]]:
            child += 1
        if queue.priority[queue.pair[child]] <= queue.priority[queue.pair[i]]:
            return top
        _swap(queue, i, child)
        i = child


@in_place
def plan(memory: Memory, progress: float) -> None:
    """The loop of the box: learn the most urgent pairs, and put who leads to them into the queue."""
    q, model, queue, gamma, n_actions = memory.q, memory.model, memory.queue, memory.gamma, memory.q.shape[1]
    for _ in range(memory.planning_steps):
        if queue.length[0] == 0:
            return
        pair = pop(queue)
        s, a = pair // n_actions, pair % n_actions
        q[s, a] += visited(memory.alpha, s, a, progress) * (target(q, model, pair, gamma) - q[s, a])
        queue.updates[0] += 1
        other = model.first[s]
        while other >= 0:
            error = abs(target(q, model, other, gamma) - q[other // n_actions, other % n_actions])
            if error > memory.theta:
                push(queue, other, error)
            other = model.after[other]


@in_place
def learn(
    memory: Memory, s: int, a: int, r: float, s_next: int, a_next: int, terminated: bool, truncated: bool,
    progress: float,
) -> float:  # fmt: skip
    """S, A, R, S': remembers them, puts S, A into the queue by its error, then plans."""
    q, model, pair = memory.q, memory.model, s * memory.q.shape[1] + a
    remember(model, pair, r, s_next, terminated)
    td_error = target(q, model, pair, memory.gamma) - q[s, a]
    if abs(td_error) > memory.theta:
        push(memory.queue, pair, abs(td_error))
    plan(memory, progress)
    return td_error


class PrioritizedSweeping(ControlAgent):
    """Prioritized sweeping with a learned model of a deterministic world.

    Attributes:
        model: the world as last seen, and who leads to each state.
        queue: the pairs that are to learn, the most urgent first.

    Example:
        >>> from rlplay import evaluate, make
        >>> agent = PrioritizedSweeping(make("rlplay/GridWorld-v0", map="dyna-maze"), gamma=0.95, seed=1).learn(2000)
        >>> evaluate(agent, n_eval_episodes=1).lengths.tolist()
        [14]
    """

    id = "prioritized-sweeping"
    rule = LearningRule(act_epsilon_greedy, learn)
    learns_from_others = True
    alpha = 1.0
    planning_steps: PlanningSteps = 5
    theta: Annotated[float, Range("smallest priority that goes into the queue", 0)] = 1e-4

    def setup(self) -> None:
        """An empty model and an empty queue."""
        super().setup()
        self.model = self.kept_record("model", new_model(*self.size), model_ranges(*self.size))
        self.queue = self.kept_record("queue", new_queue(self.q.size), queue_ranges(self.q.size))
        self.memory = Memory(
            **self.memory._asdict(), model=self.model, queue=self.queue, planning_steps=self.planning_steps,
            theta=self.theta,
        )  # fmt: skip

    def check(self) -> None:
        """Refuse a model and a queue that cannot be."""
        super().check()
        check_model(self.model)
        queue = self.queue
        check_listed("queue", queue.pair, queue.place, int(queue.length[0]))

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Each cluster takes the values of the nearest old one; what was remembered of old clusters is forgotten."""
        super().remap_states(nearest)
        for array in (self.model.next_state, self.model.first, self.queue.place):
            array[:] = -1
        self.queue.length[:] = 0
