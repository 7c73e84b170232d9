"""What an agent thinks of an observation: one record, read by the window, by plots and by people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Probe:
    """An agent's inner view of a batch of B observations. What the agent does not have is None, never a fake.

    Attributes:
        action_values: Q(s, a), shape [B, A], float64.
        action_probabilities: probability of each action under the agent's own policy, shape [B, A], float64.
        action_mean: mean of a continuous policy, shape [B, D], float64.
        action_std: standard deviation of a continuous policy, shape [B, D], float64.
        value: V(s), shape [B], float64, of the policy that the agent stands for: the one it was given, where it
            evaluates one; the greedy one, where it has action values, so the greatest of them (a tree search: that of
            the action tried most); else its own, which its probabilities or mean and deviation say.
        features: what the agent sees in place of the observation, shape [B, F], float64.

    Example:
        >>> probe = Probe(value=np.array([0.5]))
        >>> probe.value.tolist(), probe.action_values
        ([0.5], None)
    """

    action_values: NDArray[np.float64] | None = None
    action_probabilities: NDArray[np.float64] | None = None
    action_mean: NDArray[np.float64] | None = None
    action_std: NDArray[np.float64] | None = None
    value: NDArray[np.float64] | None = None
    features: NDArray[np.float64] | None = None
