"""What an agent thinks of an observation: one record, read by the window, by plots and by people."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        atoms: returns that the agent tells apart for each action, shape [B, A, M], float64.
        atom_probabilities: how probable it holds each of them, shape [B, A, M], float64; they sum to 1.
        part_probabilities: of actions in parts (a gear and a throttle) that are not numbered: the probabilities of the
            choices of each finite part, an array [B, N] a part, float64.
        part_means, part_stds: mean and standard deviation of their numbers, shape [B, D], float64.
        memory: what a recurrent agent remembers once it has seen the observation, its parts (h, and c of an LSTM),
            shape [B, P, H], float64.

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
    atoms: NDArray[np.float64] | None = None
    atom_probabilities: NDArray[np.float64] | None = None
    part_probabilities: tuple[NDArray[np.float64], ...] | None = None
    part_means: NDArray[np.float64] | None = None
    part_stds: NDArray[np.float64] | None = None
    memory: NDArray[np.float64] | None = None


def masked(probe: Probe, masks: NDArray[np.bool_]) -> Probe:
    """A probe in which only the actions of the masks [B, A] count: the others have value -∞ and probability 0.

    Where the policy gives no probability to what may be done, all of that is equally likely.

    Example:
        >>> probe = Probe(action_probabilities=np.array([[0.5, 0.25, 0.25]]))
        >>> masked(probe, np.array([[False, True, True]])).action_probabilities.tolist()
        [[0.0, 0.5, 0.5]]
    """
    values, chances = probe.action_values, probe.action_probabilities
    if values is not None:
        values = np.where(masks, values, -np.inf)
    if chances is not None:
        kept = np.where(masks, chances, 0.0)
        total = kept.sum(axis=1, keepdims=True)
        chances = np.where(total > 0, kept / np.where(total > 0, total, 1.0), masks / masks.sum(axis=1, keepdims=True))
    return replace(probe, action_values=values, action_probabilities=chances)


def masked_parts(probe: Probe, mask: NDArray[np.bool_]) -> Probe:
    """A probe of actions in parts in which only the choices of a mask count, one entry a choice of each part.

    Example:
        >>> probe = Probe(part_probabilities=(np.array([[0.5, 0.25, 0.25]]), np.array([[0.5, 0.5]])))
        >>> found = masked_parts(probe, np.array([False, True, True, True, False])).part_probabilities
        >>> [part.tolist() for part in found]
        [[[0.0, 0.5, 0.5]], [[1.0, 0.0]]]
    """
    parts, at = [], 0
    for part in probe.part_probabilities or ():
        allowed = mask[None, at : at + part.shape[1]]
        kept = masked(Probe(action_probabilities=part), allowed).action_probabilities
        assert kept is not None
        parts.append(kept)
        at += part.shape[1]
    return replace(probe, part_probabilities=tuple(parts))
