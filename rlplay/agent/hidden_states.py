"""The state of an agent with a memory between calls of `predict`, as Stable-Baselines3's recurrent agents have it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import UsageError, counted, warn_once
from rlplay.networks.recurrent import RecurrentKernel, RecurrentNet

Floats = NDArray[np.float32]


class HiddenState(tuple[Floats, ...]):
    """What the policy remembers of B episodes: h and, of an LSTM, c, each float32 [1, B, H].

    Attributes:
        critic: what the value remembers of them, float32 [B, S].

    Example:
        >>> state = HiddenState.of(np.zeros((2, 8), np.float32), np.zeros((2, 0), np.float32), 4)
        >>> [part.shape for part in state]
        [(1, 2, 4), (1, 2, 4)]
    """

    critic: Floats

    @classmethod
    def of(cls, policy: Floats, critic: Floats, size: int) -> HiddenState:
        """From the states [B, S] of both networks; ``size`` is H."""
        made = cls(policy[None, :, k : k + size].copy() for k in range(0, policy.shape[1], size))
        made.critic = critic.copy()
        return made

    def repeated(self, rows: int) -> HiddenState:
        """The state of one episode for so many observations."""
        made = HiddenState(np.repeat(part, rows, axis=1) for part in self)
        made.critic = np.repeat(self.critic, rows, axis=0)
        return made


def given_states(
    owner: str, rows: int, state: Any, episode_start: Any, widths: tuple[int, int], size: int
) -> tuple[Floats, Floats]:
    """The states [B, S] of policy and value before an observation, 0 where an episode starts.

    Args:
        owner: who asks, for errors.
        rows: how many observations B.
        state: what the last prediction returned; None for the start of all episodes.
        episode_start: whether an episode starts, bool [B]; None for none, which is said where there is a state.
        widths: S of the policy and of the value.
        size: H.

    Raises:
        UsageError: states, or starts, of another batch.

    Example:
        >>> given_states("PPO", 1, (np.ones((1, 1, 4)), np.ones((1, 1, 4))), [False], (8, 0), 4)[0].sum()
        np.float32(8.0)
        >>> given_states("PPO", 3, (np.ones((1, 1, 4)), np.ones((1, 1, 4))), [False], (8, 0), 4)
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: PPO.predict was given 3 observations and states of shapes (1, 1, 4), (1, 1, 4), ...
    """
    policy, critic = (np.zeros((rows, width), np.float32) for width in widths)
    if state is not None:
        parts = [np.asarray(part) for part in (state if isinstance(state, tuple | list) else (state,))]
        wanted = widths[0] // size
        if len(parts) != wanted or any(part.shape != (1, rows, size) for part in parts):
            shapes = ", ".join(str(part.shape) for part in parts)
            raise UsageError(
                f"{owner}.predict was given {counted(rows, 'observation')} and states of shapes {shapes}, not "
                f"{wanted} of {(1, rows, size)}",
                "Give the state that the last predict of this batch returned, or None where all episodes start",
            )
        policy[:] = np.concatenate([part[0] for part in parts], axis=1)
        if not np.isfinite(policy).all():
            raise UsageError(
                f"{owner}.predict was given a state with NaN or infinite numbers",
                "Give the state that the last predict of this batch returned, or None where all episodes start",
            )
        own = getattr(state, "critic", None)
        if own is not None and own.shape == critic.shape:
            critic[:] = own
        if episode_start is None:
            warn_once(
                f"{owner}.predict was given a state and no episode_start: it goes on as if no episode had begun; give "
                "episode_start, a bool an observation"
            )
    if episode_start is not None:
        given = np.asarray(episode_start)
        if given.dtype.kind not in "biuf" or not np.isin(given, (0, 1)).all():
            raise UsageError(
                f"{owner}.predict was given episode_start={' '.join(repr(episode_start).split())[:80]}",
                "Give one bool an observation: whether an episode starts with it",
            )
        starts = given.astype(np.bool_).reshape(-1)
        if len(starts) != rows:
            raise UsageError(
                f"{owner}.predict was given {counted(rows, 'observation')} and episode_start of {len(starts)}",
                "Give one bool an observation: whether an episode starts with it",
            )
        policy[starts] = critic[starts] = 0.0
    return policy, critic


def see(
    kernel: RecurrentKernel, policy: RecurrentNet, value: RecurrentNet, x: Floats, states: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Outputs [B, K] and values [B, 1] of what the networks see now; the states [B, S] move on in place.

    Example:
        >>> from agents import A2C
        >>> memory = A2C("CartPole-v1", n_envs=2, recurrent="gru", recurrent_size=4, net_arch=[4], seed=0)
        >>> states = np.zeros((5, 4), np.float32), np.zeros((5, 4), np.float32)
        >>> x = np.ones((5, 4), np.float32)
        >>> see(memory.step_kernel, memory.memory.policy, memory.memory.value, x, states)[1].shape
        (5, 1)
    """
    most = len(policy.state)
    outputs: list[Floats] = []
    values: list[Floats] = []
    for first in range(0, len(x), most):
        part = slice(first, first + most)
        for net, own, found in ((policy, states[0][part], outputs), (value, states[1][part], values)):
            found.append(_step(kernel, net, x[part], own))
    return np.concatenate(outputs), np.concatenate(values)


def see_alone(kernel: RecurrentKernel, net: RecurrentNet, x: Floats, states: Floats) -> Floats:
    """The same of one network: its outputs [B, K]; the states [B, S] move on in place.

    Example:
        >>> from agents import RecurrentDQN
        >>> agent = RecurrentDQN("CartPole-v1", buffer_size=100, recurrent_size=4, seed=0)
        >>> states = np.zeros((5, 8), np.float32)
        >>> see_alone(agent.step_kernel, agent.memory.nets.q, np.ones((5, 4), np.float32), states).shape
        (5, 2)
    """
    most = len(net.state)
    parts = [slice(first, first + most) for first in range(0, len(x), most)]
    return np.concatenate([_step(kernel, net, x[part], states[part]) for part in parts])


def _step(kernel: RecurrentKernel, net: RecurrentNet, x: Floats, states: Floats) -> Floats:
    kernel.begin(net, states, np.zeros(0, np.bool_), 1)
    outputs: Floats = kernel.forward(net, x).copy()
    kernel.end(net, states)
    return outputs


__all__ = ["HiddenState", "given_states", "see", "see_alone"]
