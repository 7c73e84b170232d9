"""Eligibility traces: how much each entry of a table took part in what happens now, kept as a short list.

After each step all traces fall by the factor γλ; an entry that is visited gets a new one. Only entries with a trace
are touched, so a step costs the same in a table of any size.

Source: Sutton & Barto 2e, chapter 12; replacing traces: Singh & Sutton 1996; dutch traces: van Seijen & Sutton 2014.

Deviation: a trace below `SMALLEST_TRACE` is forgotten.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.storage.ranges import Ranges, check_listed, numbers_below, or_none

SMALLEST_TRACE = 1e-8
ACCUMULATING, REPLACING, DUTCH = 0, 1, 2
TRACE_KINDS = {"accumulating": ACCUMULATING, "replacing": REPLACING, "dutch": DUTCH}


class Traces(NamedTuple):
    """The traces of a table with N entries.

    Attributes:
        entry: which entries have a trace, the first ``length[0]`` of int64 [N].
        strength: their traces, float64 [N].
        place: where an entry stands in that list, -1 for nowhere, int64 [N].
        length: how many there are, int64 [1].

    Example:
        >>> traces = new_traces(3)
        >>> traces.place.tolist(), traces.length.tolist()
        ([-1, -1, -1], [0])
    """

    entry: NDArray[np.int64]
    strength: NDArray[np.float64]
    place: NDArray[np.int64]
    length: NDArray[np.int64]


def new_traces(size: int) -> Traces:
    """No traces yet, for a table with so many entries.

    Example:
        >>> new_traces(3).strength.tolist()
        [0.0, 0.0, 0.0]
    """
    return Traces(np.zeros(size, np.int64), np.zeros(size), np.full(size, -1), np.zeros(1, np.int64))


def trace_ranges(size: int) -> Ranges:
    """What whole numbers the traces of a table with so many entries hold.

    Example:
        >>> trace_ranges(3)["length"]
        (0, 3)
    """
    return {"entry": numbers_below(size), "place": or_none(size), "length": (0, size)}


def check_traces(name: str, traces: Traces) -> None:
    """Refuse traces, read from a file, of which entries and places do not agree.

    Raises:
        CheckpointError: names them.

    Example:
        >>> check_traces("traces", new_traces(3))
    """
    check_listed(name, traces.entry, traces.place, int(traces.length[0]))


@in_place
def mark_trace(traces: Traces, i: int, kind: int, alpha: float) -> None:
    """The new trace of a visited entry: z + 1 (accumulating), 1 (replacing), or z + 1 - αz (dutch).

    The dutch trace is equation (12.11) for a table, where the old z has fallen by γλ already.
    """
    k = traces.place[i]
    if k < 0:
        k = traces.length[0]
        traces.length[0] += 1
        traces.entry[k], traces.strength[k], traces.place[i] = i, 0.0, k
    z = traces.strength[k]
    traces.strength[k] = z + 1.0 if kind == 0 else 1.0 if kind == 1 else z + 1.0 - alpha * z


@in_place
def learn_and_decay(table: NDArray[np.float64], traces: Traces, change: float, decay: float) -> None:
    """All entries of a flat table [N] learn, w ← w + change z, then all traces fall, z ← decay z."""
    k = 0
    while k < traces.length[0]:
        i = traces.entry[k]
        table[i] += change * traces.strength[k]
        traces.strength[k] *= decay
        if traces.strength[k] < 1e-8:  # SMALLEST_TRACE: the last one takes its place
            traces.length[0] -= 1
            last = traces.length[0]
            traces.place[i] = -1
            if k < last:
                traces.entry[k], traces.strength[k] = traces.entry[last], traces.strength[last]
                traces.place[traces.entry[k]] = k
        else:
            k += 1


@in_place
def td_lambda_update(
    table: NDArray[np.float64], i: int, target: float, traces: Traces, kind: int, alpha: float, decay: float
) -> float:
    """The step of TD(λ) and Sarsa(λ), boxes on pages 293 and 305, for a flat table [N]; returns the TD error δ.

    δ = target - w(i);  mark i;  w ← w + α δ z for all entries;  z ← decay z, with decay = γ λ.

    Example:
        >>> table, traces = np.zeros(2), new_traces(2)
        >>> td_lambda_update(table, 0, 1.0, traces, ACCUMULATING, 0.5, 0.5)
        1.0
        >>> td_lambda_update(table, 1, 1.0, traces, ACCUMULATING, 0.5, 0.5)
        1.0
        >>> table.tolist()  # entry 0 learns again, by half
        [0.75, 0.5]
    """
    td_error = target - table[i]
    mark_trace(traces, i, kind, alpha)
    learn_and_decay(table, traces, alpha * td_error, decay)
    return td_error


@in_place
def true_online_update(
    table: NDArray[np.float64], i: int, target: float, old: float, traces: Traces, alpha: float, decay: float
) -> float:
    """The step of true online TD(λ) and Sarsa(λ), boxes on pages 300 and 307, for a flat table [N]; returns δ.

    w ← w + α (δ + w(i) - old) z;  w(i) ← w(i) - α (w(i) - old), where ``old`` is w(i) as it was a step ago.

    Example:
        >>> table, traces = np.zeros(2), new_traces(2)
        >>> true_online_update(table, 0, 1.0, 0.0, traces, 0.5, 0.5)
        1.0
        >>> table.tolist()
        [0.5, 0.0]
    """
    value = table[i]
    td_error = target - value
    mark_trace(traces, i, 2, alpha)
    learn_and_decay(table, traces, alpha * (td_error + value - old), decay)
    table[i] -= alpha * (value - old)
    return td_error


@in_place
def clear_traces(traces: Traces) -> None:
    """Forget all traces.

    Example:
        >>> table, traces = np.zeros(2), new_traces(2)
        >>> error = td_lambda_update(table, 0, 1.0, traces, REPLACING, 0.5, 0.9)
        >>> clear_traces(traces)
        >>> traces.length.tolist(), traces.place.tolist()
        ([0], [-1, -1])
    """
    for k in range(traces.length[0]):
        traces.place[traces.entry[k]] = -1
    traces.length[0] = 0


@in_place
def forget_traces(memory: Any) -> None:
    """No traces yet, for a memory with ``traces``.

    Example:
        >>> class Memory(NamedTuple):
        ...     traces: Traces
        >>> traces = new_traces(2)
        >>> error = td_lambda_update(np.zeros(2), 0, 1.0, traces, REPLACING, 0.5, 0.9)
        >>> forget_traces.py_func(Memory(traces))
        >>> traces.length.tolist()
        [0]
    """
    clear_traces(memory.traces)
