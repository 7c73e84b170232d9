"""MemoryChain in native code: bits that are shown once, and one of them is asked for at the end.

Source: Osband et al. 2020, "Behaviour suite for reinforcement learning", section 3.2 (memory length, memory size).

Symbols:
    state = t, query, context (0 or 1 a bit), float64 [2 + most bits]
    parameters = length, bits
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, UsageError, in_place, random

from .control import ControlEnv

_MOST_BITS = 64


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: random bits, and which of them will be asked for."""
    bits = int(parameters[1])
    state[0], state[1] = 0.0, float(int(bits * random(rng)))
    for i in range(bits):
        state[2 + i] = float(int(2.0 * random(rng)))


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step; the last action is the answer."""
    state[0] += 1.0
    if state[0] <= parameters[0]:
        return 0.0, False
    return (1.0 if action == state[2 + int(state[1]) % int(parameters[1])] else -1.0), True


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The time that is left; which bit is asked for, at the end; the bits as -1 and 1, at the start."""
    length = parameters[0]
    obs[0] = max(1.0 - state[0] / length, 0.0)
    obs[1] = state[1] if state[0] == length else 0.0
    for i in range(int(parameters[1])):
        obs[2 + i] = 2.0 * state[2 + i] - 1.0 if state[0] == 0.0 else 0.0


class MemoryChainEnv(ControlEnv):
    """The memory chain of bsuite.

    ## Description
    Some bits are shown in the first step. After ``length`` steps, whose actions do nothing, one of them is asked for,
    and the action must be that bit.

    ## Action Space
    ``Discrete(2)``: the bit.

    ## Observation Space
    ``Box(2 + n_bits)``, float32: the share of time that is left; at the end the number of the bit that is asked for,
    else 0; the bits, as -1 and 1 in the first step and 0 afterwards.

    ## Rewards
    1 for the right answer, -1 for the wrong one, 0 before.

    ## Starting State
    Bits and question, all equally likely.

    ## Episode End
    Terminated by the answer, after ``length + 1`` steps.

    ## Arguments
    ``length=10``: steps over which the bits are remembered; ``n_bits=1``.

    ## References
    Osband et al. 2020, bsuite's memory_len and memory_size.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = MemoryChainEnv(length=2)
        >>> first, _ = env.reset(seed=0)
        >>> bit = int(first[2] > 0)
        >>> [env.step(bit)[1:3] for _ in range(3)]
        [(0.0, False), (0.0, False), (1.0, True)]
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2 + _MOST_BITS
    state_range = (0, 100_000)
    constants = {"length": 10.0, "n_bits": 1.0}  # noqa: RUF012 - the defaults; each instance sets its own
    action_names = ("0", "1")

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """Bounds of the time, the question and the bits."""
        length, bits = self.constants["length"], self.constants["n_bits"]
        if length not in range(1, 100_000) or bits not in range(1, _MOST_BITS + 1):
            raise UsageError(
                f"MemoryChain: length={length:g}, n_bits={bits:g}: whole numbers from 1 to 99,999, and to {_MOST_BITS}"
            )
        high = np.ones(2 + int(bits), np.float32)
        high[1] = max(bits - 1, 1)
        low = -high
        low[0], low[1] = 0.0, 0.0
        return gym.spaces.Box(low, high), gym.spaces.Discrete(2)

    def picture(self) -> Any:
        """The bits, the time, and the question."""
        from . import drawing as d

        length, bits = int(self.constants["length"]), int(self.constants["n_bits"])
        t, query = int(self.world.state[0]), int(self.world.state[1])
        note = "look" if t == 0 else f"bit {query}?" if t == length else "remember" if t < length else "answered"
        steps = ["" if 0 < k < length else "?" if k else "bits" for k in range(length + 1)]
        surface = d.chain(steps, min(t, length), [d.GOOD] + [d.COOL] * (length - 1) + [d.WARM], f"memory chain: {note}")
        shown = "".join(str(int(bit)) for bit in self.world.state[2 : 2 + bits])
        d.write(surface, f"bits {shown}" if bits <= 40 else f"{bits} bits", (320, 215), 22, d.INK if t == 0 else d.SOFT)
        return surface


__all__ = ["MemoryChainEnv"]
