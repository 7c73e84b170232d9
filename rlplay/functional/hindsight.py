"""Hindsight: what an episode reached is taken for what it aimed at, so that it teaches even where it failed.

Observations have three parts: the state s, the goal that it achieves, and the goal g that is aimed at. Of a batch of B
steps, the first V have another goal; of n goals a step beside its own, V = ⌊n/(n + 1) B⌋:

    draw a step t of a finished episode of T steps                 (S, A, R, S'), all equally likely
    draw a step i of the same episode                              as the strategy says
    g ← the goal that S_{i+1} achieves
    learn from (S ‖ g, A, r(the goal that S' achieves, g), S' ‖ g)  r is the environment's ``compute_reward``

    future    i from t to T - 1        final    i = T - 1        episode    i from 0 to T - 1

The other steps keep their goals and rewards. Whether the episode ended there stays as it was.

Rewards are the environment's, in Python: so a batch is drawn in compiled code, its rewards are computed, and the update
is compiled again (`rlplay.agent.hindsight`). Goals are put in place when a step is drawn, not when it is kept: the
replay buffer holds each observation once, and a file what it holds without hindsight.

Source: Andrychowicz et al. 2017, "Hindsight experience replay", algorithm 1 and section 4.5 (strategies); goals are put
in place when steps are drawn as in Stable-Baselines3's HerReplayBuffer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.functional.batches import Batch, Options, copy_choice
from rlplay.functional.replay import NO_STEP, Replay, add_up_rewards, next_row
from rlplay.functional.vector_step import Decorator

FUTURE, FINAL, EPISODE = range(3)
STRATEGIES = ("future", "final", "episode")  # by their numbers, which are those of GoalSelectionStrategy


class Goals(NamedTuple):
    """Where goals lie in an observation of D numbers, and those of a batch; G numbers a goal, N environments.

    Attributes:
        strategy: `FUTURE`, `FINAL` or `EPISODE`.
        achieved, desired: where the goal that is achieved begins in an observation, and the one that is aimed at.
        first: the slot of each environment at which its oldest whole episode begins, int64 [N].
        slots: how many slots there are from there to the end of its last finished episode, int64 [N].
        reached: the goals that the first V steps of a batch achieved, as the replay buffer keeps them, [V, G].
        aims: the goals that were put in place there, [V, G].

    Example:
        >>> goals = new_goals(32, n_sampled_goal=4, strategy="future", achieved=0, desired=3, size=3, n_envs=1)
        >>> goals.aims.shape, goals.strategy == FUTURE
        ((25, 3), True)
    """

    strategy: int
    achieved: int
    desired: int
    first: NDArray[np.int64]
    slots: NDArray[np.int64]
    reached: NDArray[Any]
    aims: NDArray[Any]


def new_goals(
    batch: int, *, n_sampled_goal: int, strategy: str, achieved: int, desired: int, size: int, n_envs: int,
    dtype: Any = np.float32,
) -> Goals:  # fmt: skip
    """Room for the goals of a batch of B steps.

    Args:
        batch: B.
        n_sampled_goal: goals beside its own that a step is drawn with, n.
        strategy: one of `STRATEGIES`.
        achieved: where the goal that is achieved begins in an observation.
        desired: where the one that is aimed at begins.
        size: numbers of a goal, G.
        n_envs: N.
        dtype: of the observations that the replay buffer keeps.

    Example:
        >>> new_goals(8, n_sampled_goal=1, strategy="final", achieved=0, desired=2, size=2, n_envs=3).first
        array([0, 0, 0])
    """
    virtual = int((1.0 - 1.0 / (n_sampled_goal + 1)) * batch)
    room = (np.zeros((virtual, size), dtype) for _ in range(2))
    return Goals(STRATEGIES.index(strategy), achieved, desired, *np.zeros((2, n_envs), np.int64), *room)


@in_place
def find_whole_episodes(replay: Replay, goals: Goals) -> bool:
    """Where the finished episodes of each environment lie that are still there as a whole; whether there is a step.

    In a full ring the oldest episode is taken for one whose first steps are forgotten.

    Example:
        >>> from rlplay.functional.replay import close_step, new_replay, open_slot
        >>> replay, nothing = new_replay(9, 1, 1, 1, 2), np.zeros((1, 1), np.float32)
        >>> goals = new_goals(8, n_sampled_goal=1, strategy="final", achieved=0, desired=0, size=1, n_envs=1)
        >>> for terminated in (False, True, False):  # an episode of 2 steps, and 1 step of another
        ...     _ = open_slot(replay, 0, False)
        ...     close_step(replay, 0, nothing, -1.0, terminated, False, False)
        ...     if terminated:
        ...         _ = open_slot(replay, 0, False)
        >>> _ = open_slot(replay, 0, False)
        >>> find_whole_episodes(replay, goals), goals.first.tolist(), goals.slots.tolist()  # 2 steps and the end
        (True, [0], [3])
    """
    n, found = replay.place.shape[0], False
    size = replay.kinds.shape[0] // n
    for i in range(n):
        filled, newest = replay.filled[i], replay.place[i]
        oldest = newest + 1 - filled + size
        running = min(filled, 1)  # slots of the running episode
        while running < filled and replay.kinds[(newest - running + size) % size * n + i] != NO_STEP:
            running += 1
        before, torn = filled - running, 0
        if filled == size:
            while torn < before and replay.kinds[(oldest + torn) % size * n + i] != NO_STEP:
                torn += 1
            torn = min(torn + 1, before)
        goals.first[i], goals.slots[i] = (oldest + torn) % size, before - torn
        for back in range(running, running + before - torn):
            if replay.kinds[(newest - back + size) % size * n + i] != NO_STEP:
                found = True
                break
    return found


@in_place
def draw_of_whole_episodes(
    replay: Replay, goals: Goals, rng: NDArray[np.uint64], rows: NDArray[np.int64]
) -> None:  # fmt: skip
    """Draw rows [B] of steps, all equally likely, with replacement, where `find_whole_episodes` found some.

    Example:
        >>> from rlplay.functional.replay import new_replay
        >>> replay, rows = new_replay(9, 1, 1, 1, 2), np.zeros(4, np.int64)
        >>> replay.kinds[3:5] = 1, 2  # an episode of 2 steps, whose last observation is in row 5
        >>> goals = new_goals(4, n_sampled_goal=1, strategy="final", achieved=0, desired=0, size=1, n_envs=1)
        >>> goals.first[0], goals.slots[0] = 3, 3
        >>> draw_of_whole_episodes(replay, goals, np.arange(1, 5, dtype=np.uint64), rows)
        >>> set(rows.tolist()) <= {3, 4}
        True
    """
    n, total = replay.place.shape[0], 0
    size = replay.kinds.shape[0] // n
    for i in range(n):
        total += goals.slots[i]
    for b in range(rows.shape[0]):
        rows[b] = -1
        while rows[b] < 0 or replay.kinds[rows[b]] == NO_STEP:
            slot, i = int(random(rng) * total), 0
            while slot >= goals.slots[i]:
                slot -= goals.slots[i]
                i += 1
            rows[b] = (goals.first[i] + slot) % size * n + i


@in_place
def row_of_aim(replay: Replay, row: int, strategy: int, rng: NDArray[np.uint64]) -> int:
    """The row whose observation achieves the goal that is put in place at a row of a whole episode.

    Example:
        >>> from rlplay.functional.replay import new_replay
        >>> replay, rng = new_replay(9, 1, 1, 1, 2), np.arange(1, 5, dtype=np.uint64)
        >>> replay.kinds[:3] = 1, 1, 2  # an episode of 3 steps, whose last observation is in row 3
        >>> row_of_aim(replay, 0, FINAL, rng), row_of_aim(replay, 2, FUTURE, rng), row_of_aim(replay, 1, EPISODE, rng)
        (3, 3, 1)
    """
    n, rows = replay.place.shape[0], replay.kinds.shape[0]
    steps, end = 1, next_row(replay, row)
    while replay.kinds[end] != NO_STEP:
        steps, end = steps + 1, next_row(replay, end)
    if strategy == FINAL:
        return end
    if strategy == EPISODE:
        before = row - n if row >= n else row - n + rows
        while replay.kinds[before] != NO_STEP:
            steps, before = steps + 1, before - n if before >= n else before - n + rows
    back = int(random(rng) * steps) * n
    return end - back if end >= back else end - back + rows


def drawing_goals(options: Options, decorator: Decorator, look: Callable[..., None]) -> Callable[..., None]:
    """``draw(memory, batch)`` fills a `Batch`, but for the rewards of the first V steps, whose goals are others.

    Those are to be computed from ``memory.goals``. Observations are kept as numbers.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain, sight
        >>> small = {"learning_starts": 40, "batch_size": 4, "net_arch": [4], "buffer_size": 100, "train_freq": 1}
        >>> agent = DQN("rlplay/BitFlipping-v0", n_sampled_goal=1, goal_selection_strategy="final", seed=0, **small)
        >>> memory = agent.learn(60).memory
        >>> drawing_goals(Options(True, False, False), plain, sight(plain, None).look)(memory, memory.batch)
        >>> (memory.batch.obs[:2, 8:16] == memory.goals.aims).all(), memory.goals.aims.shape
        (np.True_, (2, 8))
    """

    @decorator
    def look_aiming(memory: Any, row: int, b: int, out: NDArray[np.float32]) -> None:
        """The observation of a row as the networks see it, with the goal of step b of the batch."""
        goals = memory.goals
        for j in range(memory.raw.shape[0]):
            memory.raw[j] = memory.replay.obs[row, j]
        for j in range(goals.aims.shape[1]):
            memory.raw[goals.desired + j] = goals.aims[b, j]
        look(memory, memory.raw, out)

    @decorator
    def draw(memory: Any, batch: Batch) -> None:
        """A batch from the whole episodes of the replay buffer."""
        replay, goals, rng = memory.replay, memory.goals, memory.replay_rng
        draw_of_whole_episodes(replay, goals, rng, batch.rows)
        add_up_rewards(
            replay, memory.moments, batch.rows, 1, memory.plan.gamma, batch.rewards, batch.discounts, batch.next_rows
        )  # fmt: skip
        for b in range(batch.rows.shape[0]):
            row, after = batch.rows[b], batch.next_rows[b]
            if b < goals.aims.shape[0]:
                aim = row_of_aim(replay, row, goals.strategy, rng)
                for j in range(goals.aims.shape[1]):
                    goals.aims[b, j] = replay.obs[aim, goals.achieved + j]
                    goals.reached[b, j] = replay.obs[after, goals.achieved + j]
                look_aiming(memory, row, b, batch.obs[b])
                look_aiming(memory, after, b, batch.next_obs[b])
            else:
                look(memory, replay.obs[row], batch.obs[b])
                look(memory, replay.obs[after], batch.next_obs[b])
            copy_choice(replay, batch, b)

    return draw


__all__ = [
    "EPISODE", "FINAL", "FUTURE", "STRATEGIES", "Goals", "draw_of_whole_episodes", "drawing_goals",
    "find_whole_episodes", "new_goals", "row_of_aim",
]  # fmt: skip
