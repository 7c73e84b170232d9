"""What all vector environments check alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlplay.errors import UsageError, counted


def autoreset(mode: AutoresetMode | str) -> AutoresetMode:
    """The autoreset mode behind ``next-step``, ``same-step``, ``disabled`` or Gymnasium's own constant.

    Raises:
        UsageError: another word.
    """
    if isinstance(mode, AutoresetMode):
        return mode
    known = {m.name.casefold().replace("_", "-"): m for m in AutoresetMode}
    folded = str(mode).casefold().replace("_", "-").replace("samestep", "same-step").replace("nextstep", "next-step")
    if folded not in known:
        raise UsageError(f"autoreset_mode={mode!r} is not one of {', '.join(known)}")
    return known[folded]


def check_number(num_envs: Any, name: str = "num_envs") -> int:
    """A number of environments.

    Raises:
        UsageError: not a whole number of 1 or more.
    """
    if not isinstance(num_envs, int | np.integer) or isinstance(num_envs, bool) or num_envs < 1:
        raise UsageError(f"{name}={num_envs!r} is not a whole number of 1 or more")
    return int(num_envs)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_seeds(seed: int | Sequence[int | None] | None, num_envs: int) -> NDArray[np.int64]:
    """One seed an environment, int64 [N], -1 for none: ``seed``, ``seed + 1``, ..., or those that are given.

    Raises:
        UsageError: not a seed from 0 to 2^32 - 1, or not one an environment.
    """
    given: list[Any]
    if seed is None:
        given = [None] * num_envs
    elif isinstance(seed, int | np.integer):
        given = [int(seed) + i for i in range(num_envs)]
    else:
        given = list(seed) if isinstance(seed, list | tuple | np.ndarray) else []
        if not given:
            raise UsageError(f"seed={_brief(seed)} is neither a whole number nor one an environment")
    if len(given) != num_envs:
        raise UsageError(f"{counted(len(given), 'seed')} for {counted(num_envs, 'environment')}")
    for one in given:
        if one is not None and not (isinstance(one, int | np.integer) and 0 <= one < 2**32):
            raise UsageError(f"seed {one!r} is not a whole number from 0 to 2^32 - 1")
    return np.array([-1 if one is None else int(one) for one in given], np.int64)


def take_mask(options: dict[str, Any], num_envs: int, begun: bool) -> NDArray[np.bool_]:
    """Which environments a reset begins anew, bool [N]: ``reset_mask``, taken out of the options, or all.

    Raises:
        UsageError: another shape or type, or not all of them in the first reset.
    """
    chosen = np.asarray(options.pop("reset_mask", np.ones(num_envs, np.bool_)))
    if chosen.shape != (num_envs,) or chosen.dtype != np.bool_ or not (chosen.all() or begun):
        raise UsageError(f"reset_mask is bool [{num_envs}], and True everywhere in the first reset")
    return chosen
