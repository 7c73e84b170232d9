"""RepeatSignal in native code: do now what was shown some steps ago.

Source: Morad et al. 2023, "POPGym: Benchmarking partially observable reinforcement learning", appendix A, Repeat
Previous; Bakker 2001 has the same task of one signal.

Symbols:
    state = t, then the last signals in a ring, float64 [1 + most]
    parameters = n_signals, delay, steps
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.extend import NativeDynamics, UsageError, counted, in_place, random

from .control import ControlEnv

_LONGEST = 256


@in_place
def reset(parameters: NDArray[np.float64], state: NDArray[np.float64], rng: NDArray[np.uint64]) -> None:
    """The start of an episode: the first signal."""
    for i in range(state.shape[0]):
        state[i] = 0.0
    state[1] = float(int(parameters[0] * random(rng)))


@in_place
def step(
    parameters: NDArray[np.float64], state: NDArray[np.float64], action: int, rng: NDArray[np.uint64]
) -> tuple[float, bool]:
    """One step: from the delay on, the action is compared with the signal that was shown then."""
    signals, delay, steps = int(parameters[0]), int(parameters[1]), int(parameters[2])
    t, ring = int(state[0]), delay + 1
    reward = 0.0
    if t >= delay:
        reward = (1.0 if action == state[1 + (t - delay) % ring] else -1.0) / (steps - delay)
    state[0] = t + 1
    state[1 + (t + 1) % ring] = float(int(signals * random(rng)))
    return reward, t + 1 >= steps


@in_place
def observe(parameters: NDArray[np.float64], state: NDArray[np.float64], obs: NDArray[np.float32]) -> None:
    """The signal of now, one-hot."""
    now = state[1 + int(state[0]) % (int(parameters[1]) + 1)]
    for i in range(int(parameters[0])):
        obs[i] = 1.0 if i == now else 0.0


class RepeatSignalEnv(ControlEnv):
    """A signal is to be repeated some steps later.

    ## Description
    Every step shows one of ``n_signals`` signals. The action must be the signal that was shown ``delay`` steps before:
    the agent remembers that many, and takes in a new one each step.

    ## Action Space
    ``Discrete(n_signals)``: the signal.

    ## Observation Space
    ``Box(n_signals)``, float32: 1 for the signal of now, 0 for the others.

    ## Rewards
    In each of the ``steps - delay`` steps that count, 1 for the right signal and -1 for a wrong one, divided by their
    number: 1 at best, ``2 / n_signals - 1`` by chance. 0 in the first ``delay`` steps.

    ## Starting State
    Any signal, all equally likely, as all that follow.

    ## Episode End
    Terminated after ``steps`` steps.

    ## Arguments
    ``n_signals=4``, ``delay=4``, ``steps=48``.

    ## References
    Morad et al. 2023, Repeat Previous.

    ## Version History
    * v0: first version.

    ## Example
        >>> env = RepeatSignalEnv(delay=1, steps=3)
        >>> shown = [env.reset(seed=0)[0]]
        >>> for _ in range(2):
        ...     before = shown[-2] if len(shown) > 1 else shown[0]
        ...     obs, reward, *_ = env.step(int(before.argmax()))
        ...     shown.append(obs)
        >>> reward  # one of two
        0.5
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "human"], "render_fps": 4}  # noqa: RUF012
    dynamics = NativeDynamics(reset, step, observe)
    state_size = 2 + _LONGEST
    state_range = (0, 100_000)
    constants = {"n_signals": 4.0, "delay": 4.0, "steps": 48.0}  # noqa: RUF012 - each instance sets its own

    def spaces(self) -> tuple[gym.Space[Any], gym.Space[Any]]:
        """A number a signal."""
        signals, delay, steps = (self.constants[name] for name in ("n_signals", "delay", "steps"))
        if (
            signals not in range(2, 65)
            or delay not in range(_LONGEST + 1)
            or steps not in range(int(delay) + 1, 100_000)
        ):
            raise UsageError(
                f"RepeatSignal: n_signals={signals:g}, delay={delay:g}, steps={steps:g}: whole numbers, "
                f"2 to 64 signals, a delay of 0 to {_LONGEST}, more steps than that"
            )
        return gym.spaces.Box(0.0, 1.0, (int(signals),), np.float32), gym.spaces.Discrete(int(signals))

    def get_action_meanings(self) -> list[str]:
        """The signals, by their numbers."""
        return [str(k) for k in range(int(self.constants["n_signals"]))]

    def picture(self) -> Any:
        """The signals since the one that is asked for; the oldest is the answer."""
        from . import drawing as d

        state, delay = self.world.state, int(self.constants["delay"])
        t = int(state[0])
        seen = [int(state[1 + s % (delay + 1)]) for s in range(max(t - delay, 0), t + 1)]
        labels = ["-"] * (delay + 1 - len(seen)) + [str(signal) for signal in seen]
        colours = [d.WARM] + [d.COOL] * (delay - 1) + [d.GOOD] * (delay > 0)
        return d.chain(labels, delay, colours, f"repeat signal: what was shown {counted(delay, 'step')} ago")


__all__ = ["RepeatSignalEnv"]
