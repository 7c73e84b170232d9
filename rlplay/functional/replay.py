"""What an agent has seen, to learn from more than once: a ring of steps of N environments, each observation kept once.

A slot holds an observation and, as soon as the step from it is over, the action, the reward and how the step ended. The
observation that came next is that of the next slot of the same environment. The last observation of an episode has a
slot of its own, from which no step begins; so what comes after a time limit is bootstrapped from where it was cut.

    slot       0    1    2    3    4    5            of one environment: an episode of 3 steps, and the next one
    obs        S₀   S₁   S₂   S₃   S₀'  S₁'
    kind       1    1    2    0    1    0            GOES_ON, GOES_ON, TERMINATED, no step, GOES_ON, newest

Where an observation is the last k pictures as one, a slot holds its newest picture only, and the stack is put together
when it is read: from the slots before it back to the first of the episode, and before that zeros or the first picture
again, as the wrapper has it. That takes 1/k of the memory. The oldest k - 1 slots of a full ring are not drawn:
pictures that they need are forgotten.

Returns of n steps are added up when a step is drawn,

    R^(n) = Σ_{k<m} γ^k R_{t+k+1}        bootstrapped with γ^m from S_{t+m},  m ≤ n

where m ends at the end of an episode (no bootstrap where it terminated, from the true last observation where it was
cut) and at the newest observation.

Source: Lin 1992 (replay); Mnih et al. 2015; Sutton & Barto 2e, section 7.1 (returns of n steps); Pardo et al. 2018
(time limits).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.compiled.pcg64 import random
from rlplay.functional.running_moments import RunningMoments, scaled_reward
from rlplay.functional.sum_tree import SumTree, new_sum_tree, set_priority

NO_STEP, GOES_ON, TERMINATED, TRUNCATED = range(4)  # kinds of slots


class Replay(NamedTuple):
    """T slots of each of N environments, R = T N rows: row t N + i is slot t of environment i.

    Attributes:
        obs: float32, or float64 where float32 does not hold them; uint8 for pictures and finite observations; [R, D].
        actions: as the environment takes them, float32 [R, A].
        rewards: float32 [R].
        kinds: how the step that begins there ended, uint8 [R].
        forbidden: actions that may not be taken there, bool [R, K]; [0, K] where nothing is masked.
        place: the slot of each environment's newest observation, -1 before the first, int64 [N].
        filled: slots of each environment that hold something, int64 [N].
        priorities: of the rows, where they are drawn by priority; else a tree of one.
        stack: pictures k of an observation, of which a slot holds the newest, channels of one of them, and whether the
            first of an episode stands for those before it; [1, 0, 0] where slots hold whole observations, int64 [3].

    Example:
        >>> replay = new_replay(10, 2, 3, 1, 2)  # 10 rows of 2 environments, 3 numbers, an action of 1, 2 outputs
        >>> replay.obs.shape, replay.place.tolist()
        ((10, 3), [-1, -1])
    """

    obs: NDArray[Any]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    kinds: NDArray[np.uint8]
    forbidden: NDArray[np.bool_]
    place: NDArray[np.int64]
    filled: NDArray[np.int64]
    priorities: SumTree
    stack: NDArray[np.int64]


class StoredSteps(NamedTuple):
    """Steps of a replay buffer.

    Attributes:
        obs, next_obs: what was seen before and after, [N, D].
        actions: as the environment takes them, float32 [N, A].
        rewards: float64 [N].
        terminated: whether the episode ended there, bool [N].
        priorities: of the steps, float64 [N]; None where they are drawn uniformly.
        held: steps in the buffer.
        capacity: observations that it has room for.
        rows: where they lie in the buffer, int64 [N].

    Example:
        >>> from agents import DQN
        >>> stored = DQN("CartPole-v1", buffer_size=500, seed=0).learn(140).stored_steps(10)
        >>> stored.obs.shape, stored.capacity
        ((10, 4), 500)
    """

    obs: NDArray[Any]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    next_obs: NDArray[Any]
    terminated: NDArray[np.bool_]
    priorities: NDArray[np.float64] | None
    held: int
    capacity: int
    rows: NDArray[np.int64]


def new_replay(
    rows: int, n_envs: int, obs_size: int, action_size: int, outputs: int, *, dtype: Any = np.float32,
    masked: bool = False, prioritized: bool = False, stack: tuple[int, int, int] = (1, 0, 0),
) -> Replay:  # fmt: skip
    """An empty replay buffer of at most ``rows`` rows. Memory is taken as it fills."""
    rows -= rows % n_envs
    return Replay(
        obs=np.zeros((rows, obs_size // stack[0]), dtype),
        actions=np.zeros((rows, action_size), np.float32),
        rewards=np.zeros(rows, np.float32),
        kinds=np.zeros(rows, np.uint8),
        forbidden=np.zeros((rows if masked else 0, outputs), np.bool_),
        place=np.full(n_envs, -1),
        filled=np.zeros(n_envs, np.int64),
        priorities=new_sum_tree(rows if prioritized else 1),
        stack=np.array(stack, np.int64),
    )


def bytes_of_a_row(
    obs_size: int, action_size: int, outputs: int, dtype: Any, *, masked: bool, prioritized: bool
) -> int:
    """The memory of a row, bytes.

    Example:
        >>> bytes_of_a_row(4, 1, 2, np.float32, masked=False, prioritized=False)  # CartPole's
        25
    """
    tree = 10 if prioritized else 0  # 8 and the sums above
    return obs_size * np.dtype(dtype).itemsize + 4 * action_size + 5 + (outputs if masked else 0) + tree


@in_place
def written_rows(replay: Replay) -> int:
    """The rows up to the last slot that any environment has filled.

    Example:
        >>> replay = new_replay(10, 2, 1, 1, 2)
        >>> open_slot(replay, 1, False)
        1
        >>> written_rows(replay)
        2
    """
    most = 0
    for i in range(replay.filled.shape[0]):
        most = max(most, replay.filled[i])
    return most * replay.filled.shape[0]


@in_place
def newest_row(replay: Replay, i: int) -> int:
    """The row of an environment's newest observation.

    Example:
        >>> replay = new_replay(10, 2, 1, 1, 2)
        >>> row = open_slot(replay, 1, False)
        >>> row == newest_row(replay, 1)
        True
    """
    return replay.place[i] * replay.place.shape[0] + i


@in_place
def next_row(replay: Replay, row: int) -> int:
    """The row of what came after a row's observation."""
    n, rows = replay.place.shape[0], replay.kinds.shape[0]
    return row + n if row + n < rows else row + n - rows


@in_place
def open_slot(replay: Replay, i: int, prioritized: bool) -> int:
    """The row for an environment's next observation, whose oldest slot is forgotten for it where the ring is full."""
    n = replay.place.shape[0]
    slots = replay.kinds.shape[0] // n
    replay.place[i] = replay.place[i] + 1 if replay.place[i] + 1 < slots else 0
    replay.filled[i] = min(replay.filled[i] + 1, slots)
    row = replay.place[i] * n + i
    replay.kinds[row] = NO_STEP
    if prioritized:
        set_priority(replay.priorities, row, 0.0)
        older = row
        for _ in range(replay.stack[0] - 1):
            older = next_row(replay, older)
            if frames_before(replay, older) < 0:
                set_priority(replay.priorities, older, 0.0)
    return row


@in_place
def frames_before(replay: Replay, row: int) -> int:
    """How many pictures before that of a row are of its episode, at most k - 1; -1 where one of them is forgotten.

    Example:
        >>> replay = new_replay(4, 1, 2, 1, 2, dtype=np.uint8, stack=(2, 1, 0))
        >>> rows = []
        >>> for _ in range(6):  # one episode
        ...     rows.append(open_slot(replay, 0, False))
        ...     close_step(replay, 0, np.zeros((1, 1), np.float32), 0.0, False, False, False)
        >>> rows, [frames_before(replay, row) for row in range(4)]  # the second slot is the newest
        ([0, 1, 2, 3, 0, 1], [1, 1, -1, 1])
    """
    n, rows = replay.place.shape[0], replay.kinds.shape[0]
    newest, here, found = newest_row(replay, row % n), row, 0
    for _ in range(replay.stack[0] - 1):
        before = here - n if here >= n else here - n + rows
        if before == newest and replay.filled[row % n] * n == rows:
            return -1
        if replay.kinds[before] == NO_STEP:
            return found
        here = before
        found += 1
    return found


@in_place
def close_step(
    replay: Replay, i: int, actions: NDArray[np.float32], reward: float, terminated: bool, truncated: bool,
    prioritized: bool,
) -> None:  # fmt: skip
    """The step from an environment's newest observation: row i of the actions [N, A], its reward, and how it ended.

    It is drawn with the greatest priority so far until it was learned from.
    """
    row = newest_row(replay, i)
    for j in range(actions.shape[1]):
        replay.actions[row, j] = actions[i, j]
    replay.rewards[row] = reward
    replay.kinds[row] = TERMINATED if terminated else TRUNCATED if truncated else GOES_ON
    if prioritized:
        set_priority(replay.priorities, row, replay.priorities.greatest[0])


@in_place
def keep_numbers(replay: Replay, row: int, obs: NDArray[Any], i: int, scale: float) -> None:
    """Row i of observations [N, D] into a row."""
    for j in range(obs.shape[1]):
        replay.obs[row, j] = obs[i, j]


@in_place
def keep_bytes(replay: Replay, row: int, obs: NDArray[Any], i: int, scale: float) -> None:
    """The same, of whole numbers 0 to 255 times a scale, in a byte each."""
    for j in range(obs.shape[1]):
        replay.obs[row, j] = np.uint8(obs[i, j] / scale + 0.5)


@in_place
def keep_newest(replay: Replay, row: int, obs: NDArray[Any], i: int, scale: float) -> None:
    """The newest picture of a stack, row i of observations [N, D], into a row, in a byte a number."""
    k, channels = replay.stack[0], replay.stack[1]
    for pixel in range(replay.obs.shape[1] // channels):
        for c in range(channels):
            replay.obs[row, pixel * channels + c] = np.uint8(obs[i, (pixel * k + k - 1) * channels + c] / scale + 0.5)


def newest_of(obs: NDArray[Any], stack: NDArray[np.int64]) -> NDArray[Any]:
    """The newest pictures of stacks [B, D], as a slot holds them, [B, D / k].

    Example:
        >>> newest_of(np.arange(8)[None], np.array([2, 1, 0])).tolist()  # 4 pixels, 2 pictures, 1 channel
        [[1, 3, 5, 7]]
    """
    k, channels = int(stack[0]), int(stack[1])
    return obs if k == 1 else obs.reshape(len(obs), -1, k, channels)[:, :, -1].reshape(len(obs), -1)


def keep_episodes(
    replay: Replay, obs: NDArray[Any], actions: NDArray[np.float32], rewards: NDArray[np.float64],
    lengths: NDArray[np.int64], terminated: NDArray[np.bool_], truncated: NDArray[np.bool_],
    allowed: NDArray[np.bool_] | None, scale: float,
) -> bool:  # fmt: skip
    """Whole episodes from elsewhere, E of them with T steps: each goes where there is most room left.

    Args:
        replay: where no step is open; priorities are not touched.
        obs: one more an episode than it has steps, [T + E, D].
        actions: as the environment takes them, [T, A].
        rewards: [T].
        lengths: steps of each episode, [E].
        terminated: whether each ended in a terminal state, [E].
        truncated: whether it was cut, [E]; where neither is true, its last step goes on.
        allowed: the actions that may be taken, [T + E, K]; None for all.
        scale: what a byte is worth, where observations are kept in bytes.

    Returns:
        Whether they fitted; if not, some of them were kept.

    Example:
        >>> replay, one = new_replay(10, 1, 1, 1, 2), np.ones((3, 1), np.float32)
        >>> ends = np.array([True]), np.array([False])
        >>> keep_episodes(replay, one, one[:2], np.ones(2), np.array([2]), *ends, None, 1.0)
        True
        >>> replay.kinds[:4].tolist(), replay.place.tolist()  # a step that goes on, one that terminated, the end
        ([1, 2, 0, 0], [2])
    """
    n, t, kept = len(replay.place), 0, replay.obs
    slots = len(replay.kinds) // n
    if kept.dtype == np.uint8:
        obs = (obs / np.float32(scale) + np.float32(0.5)).astype(np.uint8)
    for e, length in enumerate(lengths.tolist()):
        i = int(replay.filled.argmin())
        if replay.filled[i] + length + 1 > slots:
            return False
        rows = (replay.place[i] + 1 + np.arange(length + 1)) % slots * n + i
        kept[rows] = newest_of(obs[t + e : t + e + length + 1], replay.stack)
        steps = rows[:-1]
        replay.actions[steps], replay.rewards[steps] = actions[t : t + length], rewards[t : t + length]
        replay.kinds[rows] = NO_STEP
        replay.kinds[steps] = GOES_ON
        replay.kinds[steps[-1]] = TERMINATED if terminated[e] else TRUNCATED if truncated[e] else GOES_ON
        if allowed is not None:
            replay.forbidden[rows] = ~allowed[t + e : t + e + length + 1]
        replay.place[i] = rows[-1] // n
        replay.filled[i] += length + 1
        t += length
    return True


@in_place
def read_numbers(replay: Replay, row: int, scale: float, out: NDArray[Any]) -> None:
    """The observation of a row as the environment gave it, [D]."""
    for j in range(out.shape[0]):
        out[j] = replay.obs[row, j]


@in_place
def read_bytes(replay: Replay, row: int, scale: float, out: NDArray[Any]) -> None:
    """The same, from a byte each."""
    for j in range(out.shape[0]):
        out[j] = np.float32(replay.obs[row, j]) * np.float32(scale)


@in_place
def read_stack(replay: Replay, row: int, scale: float, out: NDArray[Any]) -> None:
    """The same, of the pictures that slots hold one by one, the newest last."""
    k, channels, repeats = replay.stack[0], replay.stack[1], replay.stack[2] == 1
    n, rows, earlier = replay.place.shape[0], replay.kinds.shape[0], max(frames_before(replay, row), 0)
    for back in range(k):
        at = row - min(back, earlier) * n
        at = at if at >= 0 else at + rows
        worth = np.float32(scale) if back <= earlier or repeats else np.float32(0)
        for pixel in range(replay.obs.shape[1] // channels):
            for c in range(channels):
                seen = np.float32(replay.obs[at, pixel * channels + c])
                out[(pixel * k + k - 1 - back) * channels + c] = seen * worth


def read_rows(replay: Replay, rows: NDArray[np.int64], scale: float) -> NDArray[Any]:
    """The observations of rows [B] as the environment gave them, [B, D].

    Example:
        >>> replay = new_replay(4, 1, 2, 1, 2, dtype=np.uint8, stack=(2, 1, 0))
        >>> for number in (7, 8):
        ...     keep_newest(replay, open_slot(replay, 0, False), np.float32([[0, number]]), 0, 1.0)
        ...     close_step(replay, 0, np.zeros((1, 1), np.float32), 0.0, False, False, False)
        >>> read_rows(replay, np.array([0, 1]), 1.0).tolist()
        [[0.0, 7.0], [7.0, 8.0]]
    """
    k, channels, repeats = (int(number) for number in replay.stack)
    if k == 1:
        return replay.obs[rows] * np.float32(scale)
    n, pixels = len(replay.place), replay.obs.shape[1] // channels
    found = np.zeros((len(rows), pixels, k, channels), np.float32)
    for b, row in enumerate(rows.tolist()):
        earlier = max(frames_before(replay, row), 0)
        for back in range(k if repeats else earlier + 1):
            at = (row - min(back, earlier) * n) % len(replay.kinds)
            found[b, :, k - 1 - back] = replay.obs[at].reshape(pixels, channels)
    return found.reshape(len(rows), -1) * np.float32(scale)


@in_place
def draw_uniformly(replay: Replay, rng: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
    """Draw rows [B] from which a step begins, all equally likely, with replacement. There must be one.

    Example:
        >>> replay, rows = new_replay(10, 1, 1, 1, 2), np.zeros(3, np.int64)
        >>> _ = open_slot(replay, 0, False)
        >>> close_step(replay, 0, np.zeros((1, 1), np.float32), 1.0, False, False, False)
        >>> _ = open_slot(replay, 0, False)
        >>> draw_uniformly(replay, np.arange(1, 5, dtype=np.uint64), rows)
        >>> rows.tolist()  # the newest observation is no step yet
        [0, 0, 0]
    """
    most = written_rows(replay)
    for b in range(rows.shape[0]):
        rows[b] = int(random(rng) * most)
    for b in range(rows.shape[0]):
        while replay.kinds[rows[b]] == NO_STEP or (replay.stack[0] > 1 and frames_before(replay, rows[b]) < 0):
            rows[b] = int(random(rng) * most)


@in_place
def add_up_rewards(
    replay: Replay, moments: RunningMoments, rows: NDArray[np.int64], n_steps: int, gamma: float,
    rewards: NDArray[np.float64], discounts: NDArray[np.float64], next_rows: NDArray[np.int64],
) -> None:  # fmt: skip
    """Returns of n steps from rows [B]: the sum of rewards, γ^m (0 after a terminal state), and the row of S_{t+m}.

    Rewards are scaled as the running moments say.
    """
    for b in range(rows.shape[0]):
        row, total, factor = rows[b], 0.0, 1.0
        for _ in range(n_steps):
            kind = replay.kinds[row]
            total += factor * scaled_reward(moments, float(replay.rewards[row]))
            factor *= gamma
            row = next_row(replay, row)
            if kind == TERMINATED:
                factor = 0.0
            if kind != GOES_ON or replay.kinds[row] == NO_STEP:
                break
        rewards[b], discounts[b], next_rows[b] = total, factor, row


def stored_at(replay: Replay, rows: NDArray[np.int64], scale: float, dtype: Any, *, prioritized: bool) -> StoredSteps:
    """The steps that begin in these rows, with observations of a type; see `read_rows` for ``scale``.

    Example:
        >>> from agents import DQN
        >>> replay = DQN("CartPole-v1", buffer_size=500, seed=0).learn(140).memory.replay
        >>> stored_at(replay, np.array([0, 1]), 1.0, np.float32, prioritized=False).next_obs.shape
        (2, 4)
    """
    after = np.array([next_row(replay, int(row)) for row in rows])
    obs, next_obs = (read_rows(replay, some, scale).astype(dtype) for some in (rows, after))
    return StoredSteps(
        obs, replay.actions[rows], replay.rewards[rows].astype(np.float64), next_obs, replay.kinds[rows] == TERMINATED,
        replay.priorities.values[rows] if prioritized else None, int((replay.kinds[: written_rows(replay)] > 0).sum()),
        int(replay.kinds.shape[0]), rows,
    )  # fmt: skip


def forgotten_rows(replay: Replay) -> NDArray[np.bool_]:
    """Rows whose observation takes a picture that is forgotten, [R].

    Example:
        >>> bool(forgotten_rows(new_replay(10, 2, 3, 1, 2)).any())
        False
    """
    found, n, k = np.zeros(len(replay.kinds), np.bool_), len(replay.place), int(replay.stack[0])
    for i, newest in enumerate(replay.place.tolist()):
        oldest = (newest + 1 + np.arange(k - 1)) % (len(found) // n) * n + i
        found[oldest] = [frames_before(replay, int(row)) < 0 for row in oldest]
    return found
