"""Windows of a replay buffer: sequences of steps for networks with a memory, and what they learn from them.

A window follows the ring of one environment from a row that is drawn. Its first W slots warm the memory up (burn-in):
they are seen and not learned from. The next L are learned from, and one more is only seen, to bootstrap from:

    slot      0 ... W-1 | W ... W+L-1 | W+L            the hidden state before slot 0 is the one that was kept with it
    learned             | S_t, A_t, R |

Where an episode ended within a window, its last observation has a slot of its own (`rlplay.functional.replay`): from
there nothing is learned, what comes before is bootstrapped from it, and with the next slot an episode begins, in a
state of 0. What lies behind the newest observation is that observation again, and has weight 0. So in every window the
observation S_{t+m} behind a step is a later slot of the same window, and one pass of a network values all of them.

Source: Hausknecht & Stone 2015 (sequences from random places); Kapturowski et al. 2019, section 3 (kept states and
burn-in).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.functional.batches import Options, read_mask, seeing
from rlplay.functional.epsilon_greedy import best_action
from rlplay.functional.replay import GOES_ON, NO_STEP, TERMINATED, draw_uniformly, newest_row, next_row
from rlplay.functional.rollout import copy_row
from rlplay.functional.running_moments import scaled_reward
from rlplay.functional.value_heads import huber
from rlplay.functional.vector_step import Decorator

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Windows(NamedTuple):
    """B windows that were drawn, time-major: slot t of window b is row t B + b.

    What is learned has M = (L + 1) B rows, the first of them that of slot W.

    Attributes:
        obs: as the networks see them, float32 [(W + L + 1) B, F].
        starts: whether an episode begins with a slot, bool [(W + L + 1) B].
        states: hidden states before the first slots, float32 [B, S].
        actions: as the environment takes them, float32 [M, A].
        masks: what is added to the values of actions, 0 or `FORBIDDEN`, float32 [M, K]; [0, K] where nothing is masked.
        rewards: returns of m steps, float64 [M].
        discounts: of what is expected from S_{t+m}: γ^m, or 0 where the episode terminated; float64 [M].
        after: the row of S_{t+m}, int64 [M].
        weights: of the steps: 1 over their number, or 0 where none is learned from; float64 [M].
        slots: the rows of the replay buffer, int64 [W + L + 1, B].

    Example:
        >>> new_windows(batch=4, burn_in=2, length=5, features=3, action_size=1, state=8, masks=0, outputs=2).obs.shape
        (32, 3)
    """

    obs: Floats
    starts: NDArray[np.bool_]
    states: Floats
    actions: Floats
    masks: Floats
    rewards: Array
    discounts: Array
    after: NDArray[np.int64]
    weights: Array
    slots: NDArray[np.int64]


def new_windows(
    *, batch: int, burn_in: int, length: int, features: int, action_size: int, state: int, masks: int, outputs: int
) -> Windows:
    """Room for B windows of W + L + 1 slots; ``masks`` is 1 where actions are masked, else 0.

    Example:
        >>> room = new_windows(batch=4, burn_in=2, length=5, features=3, action_size=1, state=8, masks=1, outputs=2)
        >>> room.states.shape, room.masks.shape, room.rewards.shape
        ((4, 8), (24, 2), (24,))
    """
    seen, learned = (burn_in + length + 1) * batch, (length + 1) * batch
    return Windows(
        obs=np.zeros((seen, features), np.float32),
        starts=np.zeros(seen, np.bool_),
        states=np.zeros((batch, state), np.float32),
        actions=np.zeros((learned, action_size), np.float32),
        masks=np.zeros((learned * masks, outputs), np.float32),
        rewards=np.zeros(learned),
        discounts=np.zeros(learned),
        after=np.zeros(learned, np.int64),
        weights=np.zeros(learned),
        slots=np.zeros((burn_in + length + 1, batch), np.int64),
    )


@in_place
def follow(replay: Any, slots: NDArray[np.int64]) -> None:
    """The rows behind those of the first slots, in place [T, B]; the newest of an environment stays the last.

    Example:
        >>> from rlplay.functional.replay import new_replay, open_slot
        >>> replay, slots = new_replay(3, 1, 1, 1, 2), np.zeros((4, 1), np.int64)
        >>> for _ in range(4):
        ...     _ = open_slot(replay, 0, False)
        >>> slots[0] = 2
        >>> follow(replay, slots)  # the newest is row 0
        >>> slots[:, 0].tolist()
        [2, 0, 0, 0]
    """
    n = replay.place.shape[0]
    for b in range(slots.shape[1]):
        newest = newest_row(replay, slots[0, b] % n)
        for t in range(1, slots.shape[0]):
            before = slots[t - 1, b]
            slots[t, b] = before if before == newest else next_row(replay, before)


@in_place
def add_up_within(replay: Any, moments: Any, windows: Windows, n_steps: int, gamma: float) -> int:
    """Returns of at most n steps that end within their window, and the rows from which they are bootstrapped.

    Weights become 1 for the steps that are learned from, and 0 else.

    Returns:
        How many steps are learned from.

    Example:
        >>> from rlplay.functional.replay import close_step, new_replay, open_slot
        >>> from rlplay.functional.running_moments import new_running_moments
        >>> replay, moments = new_replay(9, 1, 1, 1, 2), new_running_moments(False, 1, 1, 0.5, "")[0]
        >>> for reward in (1.0, 4.0, 8.0):
        ...     _ = open_slot(replay, 0, False)
        ...     close_step(replay, 0, np.zeros((1, 1), np.float32), reward, reward == 8.0, False, False)
        >>> _ = open_slot(replay, 0, False)
        >>> windows = new_windows(batch=1, burn_in=0, length=4, features=1, action_size=1, state=1, masks=0, outputs=2)
        >>> follow(replay, windows.slots)
        >>> add_up_within(replay, moments, windows, 2, 0.5)  # returns of two steps
        3
        >>> windows.rewards.tolist(), windows.discounts.tolist(), windows.after.tolist()
        ([3.0, 8.0, 8.0, 0.0, 0.0], [0.25, 0.0, 0.0, 0.0, 0.0], [2, 3, 3, 3, 4])
    """
    total_slots, batch = windows.slots.shape
    first, count = total_slots - windows.rewards.shape[0] // batch, 0
    for row in range(windows.rewards.shape[0]):
        start, b = first + row // batch, row % batch
        windows.rewards[row], windows.discounts[row], windows.after[row], windows.weights[row] = 0.0, 0.0, row, 0.0
        if start == total_slots - 1 or replay.kinds[windows.slots[start, b]] == NO_STEP:
            continue
        t, total, factor = start, 0.0, 1.0
        for _ in range(n_steps):
            kind = replay.kinds[windows.slots[t, b]]
            total += factor * scaled_reward(moments, float(replay.rewards[windows.slots[t, b]]))
            factor *= gamma
            t += 1
            if kind == TERMINATED:
                factor = 0.0
            if kind != GOES_ON or t == total_slots - 1 or replay.kinds[windows.slots[t, b]] == NO_STEP:
                break
        windows.rewards[row], windows.discounts[row] = total, factor
        windows.after[row], windows.weights[row] = (t - first) * batch + b, 1.0
        count += 1
    return count


def drawing_windows(options: Options, decorator: Decorator, look: Callable[..., None]) -> Callable[..., None]:
    """``draw(memory, windows)``; ``memory.work.states`` are the states before each row of the replay buffer, [R, S].

    Example:
        >>> from agents import RecurrentDQN
        >>> from rlplay.functional.vector_step import plain, sight
        >>> agent = RecurrentDQN("CartPole-v1", buffer_size=100, batch_size=4, sequence_length=6, burn_in=2, seed=0)
        >>> memory = agent.remember("follow-the-pole:50").memory
        >>> draw = drawing_windows(Options(True, False, False), plain, sight(plain, None).look)
        >>> draw(memory, memory.batch)
        >>> memory.batch.slots.shape, float(memory.batch.weights.sum().round(12))
        ((9, 4), 1.0)
    """
    see = seeing(options, decorator, look)

    @decorator
    def draw(memory: Any, windows: Windows) -> None:
        replay, plan, slots = memory.replay, memory.plan, windows.slots
        draw_uniformly(replay, memory.replay_rng, slots[0])
        follow(replay, slots)
        total, batch = slots.shape
        first = total - windows.rewards.shape[0] // batch
        for b in range(batch):
            copy_row(memory.work.states, slots[0, b], windows.states, b)
            for t in range(total):
                row, slot = t * batch + b, slots[t, b]
                see(memory, slot, windows.obs[row])
                windows.starts[row] = t > 0 and replay.kinds[slots[t - 1, b]] == NO_STEP
                if t >= first:
                    copy_row(replay.actions, slot, windows.actions, row - first * batch)
                    if windows.masks.shape[0] > 0:
                        read_mask(replay, slot, windows.masks, row - first * batch)
        count = add_up_within(replay, memory.moments, windows, plan.n_steps, plan.gamma)
        for row in range(windows.weights.shape[0]):
            windows.weights[row] /= max(count, 1)

    return draw


@in_place
def window_targets(values: Floats, chosen_by: Floats, windows: Windows, targets: Array) -> None:
    """y = R + γ^m q(S_{t+m}, argmax_a q'(S_{t+m}, a)) of M rows: ``values`` are q and ``chosen_by`` q', [M, K].

    Example:
        >>> windows = new_windows(batch=1, burn_in=0, length=1, features=1, action_size=1, state=1, masks=0, outputs=2)
        >>> windows.weights[0], windows.rewards[0], windows.discounts[0], windows.after[0] = 1.0, 1.0, 0.5, 1
        >>> targets, values = np.zeros(2), np.float32([[9, 9], [4, 6]])
        >>> window_targets(values, values, windows, targets)
        >>> targets.tolist()
        [4.0, 0.0]
    """
    for row in range(targets.shape[0]):
        targets[row] = windows.rewards[row]
        if windows.discounts[row] > 0.0:
            after = windows.after[row]
            targets[row] += windows.discounts[row] * values[after, best_action(chosen_by, after)]


@in_place
def window_gradient(
    q: Floats, windows: Windows, targets: Array, is_huber: bool, slope: Array
) -> tuple[float, float, float]:
    """∂L/∂q̂(S, A) of L = Σ w ℓ(δ), δ = q̂(S, A) - y, into [M, 1]; L, the mean |δ| and the mean q̂(S, A).

    Example:
        >>> windows = new_windows(batch=1, burn_in=0, length=1, features=1, action_size=1, state=1, masks=0, outputs=2)
        >>> windows.weights[0], slope = 1.0, np.ones((2, 1))
        >>> window_gradient(np.float32([[3, 7], [9, 9]]), windows, np.array([0.0, 5.0]), True, slope)
        (2.5, 3.0, 3.0)
        >>> slope.tolist()
        [[1.0], [0.0]]
    """
    loss, size, value = 0.0, 0.0, 0.0
    for row in range(targets.shape[0]):
        weight, taken = windows.weights[row], float(q[row, int(windows.actions[row, 0])])
        delta = taken - targets[row]
        if is_huber:
            loss += weight * huber(delta)
            slope[row, 0] = weight * min(max(delta, -1.0), 1.0)
        else:
            loss += weight * delta * delta
            slope[row, 0] = weight * 2.0 * delta
        size += weight * abs(delta)
        value += weight * taken
    return loss, size, value


__all__ = [
    "Windows", "add_up_within", "drawing_windows", "follow", "new_windows", "window_gradient", "window_targets",
]  # fmt: skip
