"""Gymnasium's spaces as a pickle of Stable-Baselines3 tells of them, made from what it tells; nothing is unpickled."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rlplay.errors import CheckpointError
from rlplay.storage.inert_pickle import Call, plain_array, plain_dtype

_MOST_PARTS = 1000


def space_of(found: Any, what: str) -> gym.Space[Any]:
    """The space that a pickle would make.

    Args:
        found: what `rlplay.storage.inert_pickle.read_pickle` gave.
        what: names it in errors.

    Raises:
        CheckpointError: it is no space of Gymnasium (or of Gym before it), or its numbers cannot be.

    Example:
        >>> import pickle
        >>> from rlplay.storage.inert_pickle import read_pickle
        >>> space_of(read_pickle(pickle.dumps(spaces.Discrete(3)), "this"), "this")
        Discrete(3)
    """
    try:
        return _space(found, what)
    except CheckpointError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, AssertionError, OverflowError) as error:
        raise CheckpointError(f"{what} is damaged: it is no space ({' '.join(str(error).split())[:100]})") from error


def _space(found: Any, what: str, part: bool = False) -> gym.Space[Any]:
    module, _, kind = found.name.rpartition(".") if isinstance(found, Call) else ("", "", type(found).__name__)
    if not module.startswith(("gymnasium.spaces.", "gym.spaces.")):
        raise CheckpointError(f"{what} is {module}.{kind}, no space of Gymnasium: refused, not run")
    state = found.state
    if isinstance(state, tuple):  # of gym before 0.17: (dict, slots)
        state = state[0]
    if kind == "Box":
        low, high = (plain_array(state[name], f"{name} of {what}") for name in ("low", "high"))
        return spaces.Box(low, high, dtype=plain_dtype(state["dtype"]).type)
    if kind == "Discrete":
        return spaces.Discrete(_whole(state["n"]), start=_whole(state.get("start", 0)))
    if kind == "MultiDiscrete":
        start = state.get("start")
        return spaces.MultiDiscrete(
            plain_array(state["nvec"], what), start=None if start is None else plain_array(start, what)
        )
    if kind == "MultiBinary":
        n = state["n"]
        return spaces.MultiBinary([_whole(one) for one in n] if isinstance(n, tuple | list) else _whole(n))
    if kind in ("Dict", "Tuple") and not part:  # Stable-Baselines3 has none within each other
        parts = state["spaces"]
        if len(parts) > _MOST_PARTS:
            raise CheckpointError(f"{what} has {len(parts):,} parts: refused")
        if kind == "Tuple":
            return spaces.Tuple([_space(one, what, True) for one in parts])
        return spaces.Dict({str(key): _space(one, what, True) for key, one in parts.items()})
    raise CheckpointError(f"{what} is a {kind}, which Stable-Baselines3 does not learn in")


def _whole(found: Any) -> int:
    value = np.asarray(plain_array(found, "a number of a space"))
    if value.shape or value.dtype.kind not in "iu":
        raise ValueError("a number of a space is not whole")
    return int(value)
