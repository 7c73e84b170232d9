"""Batches from a replay buffer: which steps are drawn, and how the networks see them.

Drawn uniformly, or in proportion to p = (|δ| + ε)^α with the weights of importance sampling

    P(i) = p_i / Σ p        w_i = (P(i) / min_j P(j))^-β

with β from ``priority_beta`` to 1 within ``priority_beta_steps`` steps, and the minimum over the batch: its greatest
weight is 1.

Source: Schaul et al. 2016, algorithm 1 (there the greatest weight is 1 over all that is kept).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.functional.replay import Replay, add_up_rewards, draw_uniformly, read_bytes, read_stack
from rlplay.functional.rollout import FORBIDDEN
from rlplay.functional.sum_tree import draw_by_priority
from rlplay.functional.vector_step import Decorator

Whole = NDArray[np.int64]


class Options(NamedTuple):
    """What is decided when a step is compiled.

    Attributes:
        discrete: whether actions are numbers.
        prioritized: whether batches are drawn by priority.
        in_bytes: whether observations are kept in a byte a number.
        in_stacks: whether of stacked pictures each is kept once.

    Example:
        >>> options = Options(discrete=True, prioritized=False, in_bytes=False)
        >>> {options: "one step"}[Options(True, False, False)]  # equal options are compiled once
        'one step'
    """

    discrete: bool
    prioritized: bool
    in_bytes: bool
    in_stacks: bool = False


class Batch(NamedTuple):
    """B steps that were drawn, and what an update says of them.

    Attributes:
        obs, next_obs: S_t and S_{t+m} as the networks see them, float32 [B, F].
        actions: as the environment takes them, float32 [B, A].
        masks, next_masks: what is added to the values of actions there, 0 or `FORBIDDEN`, float32 [B, K]; [0, K] where
            nothing is masked.
        rewards: returns of m steps, float64 [B].
        discounts: of what is expected from S_{t+m}: γ^m, or 0 where the episode terminated; float64 [B].
        weights: of importance sampling; 1 where batches are uniform, float64 [B].
        td_errors: what the priorities follow; the update writes them, float64 [B].
        rows, next_rows: where the steps lie in the replay buffer, int64 [B].

    Example:
        >>> new_batch(32, 4, 1, 2, False).next_obs.shape
        (32, 4)
    """

    obs: NDArray[np.float32]
    next_obs: NDArray[np.float32]
    actions: NDArray[np.float32]
    masks: NDArray[np.float32]
    next_masks: NDArray[np.float32]
    rewards: NDArray[np.float64]
    discounts: NDArray[np.float64]
    weights: NDArray[np.float64]
    td_errors: NDArray[np.float64]
    rows: Whole
    next_rows: Whole


def new_batch(size: int, features: int, action_size: int, outputs: int, masked: bool) -> Batch:
    """Room for a batch.

    Example:
        >>> batch = new_batch(32, 4, 1, 2, True)
        >>> batch.obs.shape, batch.next_masks.shape, float(batch.weights[0])
        ((32, 4), (32, 2), 1.0)
    """
    masks = (size if masked else 0, outputs)
    return Batch(
        obs=np.zeros((size, features), np.float32),
        next_obs=np.zeros((size, features), np.float32),
        actions=np.zeros((size, action_size), np.float32),
        masks=np.zeros(masks, np.float32),
        next_masks=np.zeros(masks, np.float32),
        rewards=np.zeros(size),
        discounts=np.zeros(size),
        weights=np.ones(size),
        td_errors=np.zeros(size),
        rows=np.zeros(size, np.int64),
        next_rows=np.zeros(size, np.int64),
    )


@in_place
def read_mask(replay: Replay, row: int, out: NDArray[np.float32], b: int) -> None:
    """The mask of a row into row b of [B, K].

    Example:
        >>> from rlplay.functional.replay import new_replay
        >>> replay, out = new_replay(4, 1, 1, 1, 2, masked=True), np.zeros((1, 2), np.float32)
        >>> replay.forbidden[3, 0] = True
        >>> read_mask(replay, 3, out, 0)
        >>> (out == FORBIDDEN).tolist()
        [[True, False]]
    """
    for k in range(out.shape[1]):
        out[b, k] = FORBIDDEN if replay.forbidden[row, k] else 0.0


@in_place
def importance_weights(chances: NDArray[np.float64], beta: float) -> None:
    """(P / min P)^-β in place, [B].

    Example:
        >>> chances = np.array([0.1, 0.4])
        >>> importance_weights(chances, 0.5)
        >>> chances.tolist()
        [1.0, 0.5]
    """
    least = chances[0]
    for b in range(chances.shape[0]):
        least = min(least, chances[b])
    for b in range(chances.shape[0]):
        chances[b] = (chances[b] / least) ** -beta


@in_place
def as_priorities(td_errors: NDArray[np.float64], alpha: float, epsilon: float) -> None:
    """(|δ| + ε)^α in place, [B].

    Example:
        >>> td_errors = np.array([3.0, -8.0])
        >>> as_priorities(td_errors, 0.5, 1.0)
        >>> td_errors.tolist()
        [2.0, 3.0]
    """
    for b in range(td_errors.shape[0]):
        td_errors[b] = (abs(td_errors[b]) + epsilon) ** alpha


def seeing(options: Options, decorator: Decorator, look: Callable[..., None]) -> Callable[..., None]:
    """``see(memory, row, out [F])``: the observation of a row of the replay buffer as the networks see it.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain, sight
        >>> memory = DQN("CartPole-v1", batch_size=4, buffer_size=100, seed=0).memory
        >>> memory.replay.obs[7], seen = 3.0, np.zeros(4, np.float32)
        >>> seeing(Options(True, False, False), plain, sight(plain, None).look)(memory, 7, seen)
        >>> seen.tolist()
        [3.0, 3.0, 3.0, 3.0]
    """
    read_obs = read_stack if options.in_stacks else read_bytes

    @decorator
    def see_numbers(memory: Any, row: int, out: NDArray[np.float32]) -> None:
        look(memory, memory.replay.obs[row], out)

    @decorator
    def see_bytes(memory: Any, row: int, out: NDArray[np.float32]) -> None:
        read_obs(memory.replay, row, memory.plan.scale, memory.raw)
        look(memory, memory.raw, out)

    return see_bytes if options.in_bytes else see_numbers


@in_place
def copy_choice(replay: Replay, batch: Batch, b: int) -> None:
    """What step b of a batch did, and what could be done there and after it.

    Example:
        >>> from rlplay.functional.replay import new_replay
        >>> replay, batch = new_replay(4, 1, 1, 1, 2), new_batch(2, 1, 1, 2, False)
        >>> replay.actions[3], batch.rows[1] = 5.0, 3
        >>> copy_choice(replay, batch, 1)
        >>> batch.actions.tolist()
        [[0.0], [5.0]]
    """
    row, after = batch.rows[b], batch.next_rows[b]
    for j in range(batch.actions.shape[1]):
        batch.actions[b, j] = replay.actions[row, j]
    if batch.masks.shape[0] > 0:
        read_mask(replay, row, batch.masks, b)
        read_mask(replay, after, batch.next_masks, b)


def drawing_steps(options: Options, decorator: Decorator, look: Callable[..., None]) -> Callable[..., None]:
    """``draw(memory, batch)`` fills a `Batch`; see `iteration` of `rlplay.functional.off_policy_step`.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain, sight
        >>> memory = DQN("CartPole-v1", batch_size=4, buffer_size=100, seed=0).remember("follow-the-pole:50").memory
        >>> options = Options(True, False, False)
        >>> draw = drawing_steps(options, plain, sight(plain, None).look)
        >>> draw(memory, memory.batch)
        >>> memory.batch.rewards.tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    prioritized, see = options.prioritized, seeing(options, decorator, look)

    @decorator
    def draw(memory: Any, batch: Batch) -> None:
        """A batch from the replay buffer."""
        replay, plan = memory.replay, memory.plan
        if prioritized:
            draw_by_priority(replay.priorities, memory.replay_rng, batch.rows, batch.weights)
            part = min(memory.counters.steps[0] / plan.beta_steps, 1.0)
            importance_weights(batch.weights, plan.beta + (1.0 - plan.beta) * part)
        else:
            draw_uniformly(replay, memory.replay_rng, batch.rows)
        add_up_rewards(
            replay, memory.moments, batch.rows, plan.n_steps, plan.gamma, batch.rewards, batch.discounts,
            batch.next_rows,
        )  # fmt: skip
        for b in range(batch.rows.shape[0]):
            see(memory, batch.rows[b], batch.obs[b])
            see(memory, batch.next_rows[b], batch.next_obs[b])
            copy_choice(replay, batch, b)

    return draw


__all__ = [
    "Batch", "Options", "as_priorities", "copy_choice", "drawing_steps", "importance_weights", "new_batch", "read_mask",
    "seeing",
]  # fmt: skip
