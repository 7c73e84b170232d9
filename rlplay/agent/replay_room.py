"""The room of a replay buffer: one that is too small for an agent, or too large for this machine, is refused."""

from __future__ import annotations

from typing import Any

from rlplay.errors import HyperparameterError, require_memory
from rlplay.functional.replay import bytes_of_a_row


def require_room(
    owner: str, counts: tuple[int, int, int], sizes: tuple[int, int, int, int], dtype: Any, frames: int, *,
    masked: bool, prioritized: bool,
) -> int:  # fmt: skip
    """The bytes of a replay buffer.

    Args:
        owner: the agent, for errors.
        counts: observations that it holds (``buffer_size``), steps of a batch, environments.
        sizes: numbers of an observation as it is kept, of an action, of a mask, and of a hidden state kept beside.
        dtype: of the observations.
        frames: pictures of an observation, of which the newest is kept.
        masked: whether masks are kept.
        prioritized: whether priorities are.

    Raises:
        HyperparameterError: it holds fewer observations than a batch or the environments need.
        UsageError: this machine has not the memory.

    Example:
        >>> import numpy as np
        >>> require_room("MyAgent", (1000, 32, 1), (4, 1, 2, 0), np.float32, 1, masked=False, prioritized=False)
        25000
    """
    rows, batch, n = counts
    kept, action_size, outputs, beside = sizes
    if rows < batch:
        raise HyperparameterError(
            f"{owner}: batch_size={batch} is more than a replay buffer of {rows:,} observations holds (buffer_size)",
            "Raise buffer_size, or lower batch_size",
        )
    if rows // n < (least := max(batch // n, 4, 2 * frames)):
        raise HyperparameterError(
            f"{owner}: a replay buffer of {rows:,} observations (buffer_size) keeps {rows // n:,} of each of {n} "
            f"environments, and {least:,} are needed",
            f"Take buffer_size={least * n} or more{', or fewer environments (n_envs)' * (n > 1)}",
        )
    each = bytes_of_a_row(kept, action_size, outputs, dtype, masked=masked, prioritized=prioritized) + 4 * beside
    states = f" with a hidden state of {beside:,} each" * (beside > 0)
    require_memory(
        f"{owner}: a replay buffer of {rows:,} observations of {kept:,} numbers{states}", rows * each,
        "Lower buffer_size, or take smaller observations", itemsize=1,
    )  # fmt: skip
    return rows * each


__all__ = ["require_room"]
