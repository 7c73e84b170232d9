"""Why an agent chooses as it does: what each number of its observation contributes, by occlusion.

A number is hidden by putting the values there that it has in other states, and the score of the choice is taken anew:

    contribution of i = score(s) - 1/K Σ_k score(s with b_k[i] in the place of s[i])

over K background states b_k. The score is, with the action a that the agent prefers in s,

    Q(s, a) - max over the others of Q(s, ·)     for agents with action values: the margin of the choice
    π(a|s)                                       for agents with probabilities
    μ_j(s)                                       for each number j of a continuous action
    V(s)                                         for agents that only predict

Source: Robnik-Šikonja & Kononenko 2008, "Explaining classifications for individual instances", IEEE TKDE 20(5),
section 2 (an attribute is made unknown by averaging over its values); patches of images: Zeiler & Fergus 2014, section
4.2. What two numbers do only together is counted at both of them or at neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.errors import UsageError
from rlplay.probe import Probe
from rlplay.reports.pictures import check_picture
from rlplay.storage.files import atomic_writer

PATCHES = 8  # rows and columns of the patches of an image
_LEAST_PICTURE = 6  # pixels of a side from which an array is an image
_MOST_ROWS = 4096  # observations that are probed at a time


@dataclass(frozen=True)
class Contributions:
    """What D numbers contribute in N states.

    Attributes:
        names: of the numbers.
        values: their contributions, float64 [N, D, J]: J scores, one but for continuous actions.
        numbers: the numbers themselves (the means of patches), float64 [N, D].
        scores: the scores in the states as they are, float64 [N, J].
        of: what the contributions are of, in words.
        choices: the preferred actions, int64 [N]; -1 for continuous ones and for predictions.
    """

    names: list[str]
    values: NDArray[np.float64]
    numbers: NDArray[np.float64]
    scores: NDArray[np.float64]
    of: str
    choices: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.float64]:
        """Mean size of each number's contribution over the states and scores, [D]."""
        found: NDArray[np.float64] = np.abs(self.values).mean(axis=(0, 2))
        return found


class _Part:
    """One array of an observation: where it stands, and in which pieces it is hidden."""

    def __init__(self, path: tuple[Any, ...], space: gym.Space[Any], names: list[str]) -> None:
        self.path, self.space = path, space
        shape = space.shape or ()
        image = sorted(shape)[-2:] if len(shape) > 1 else []
        self.axes = self._axes_of(shape) if image and min(image) >= _LEAST_PICTURE else None
        size = int(np.prod(shape))
        name = ".".join(map(str, path))
        if self.axes is not None:
            pieces = [(r, c) for r in range(PATCHES) for c in range(PATCHES)]
            self.names = [f"{name} patch {r},{c}".strip() for r, c in pieces]
        elif len(names) == size:
            self.names = names
        else:
            self.names = [name or "the state"] if size == 1 else [f"{name or 's'}[{i}]" for i in range(size)]

    @staticmethod
    def _axes_of(shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width: the axes but the shortest of three."""
        if len(shape) == 2:
            return 0, 1
        return (1, 2) if shape[0] == min(shape) else (0, 1)

    def of(self, observations: list[Any]) -> NDArray[Any]:
        """The array of each observation, [N, ...]."""
        found = observations
        for key in self.path:
            found = [one[key] for one in found]
        return np.asarray(found)

    def numbers(self, array: NDArray[Any]) -> NDArray[np.float64]:
        """What is hidden piece by piece, [N, pieces]."""
        if self.axes is None:
            return array.reshape(len(array), -1).astype(np.float64)
        return np.stack(
            [array[self._place(array, i)].reshape(len(array), -1).mean(axis=1) for i in self._all()], axis=1
        )

    def hide(self, array: NDArray[Any], piece: int, others: NDArray[Any]) -> NDArray[Any]:
        """Copies [N * K, ...] of the array, in which a piece is as in K others."""
        copies = np.repeat(array, len(others), axis=0)
        if self.axes is None:
            flat = copies.reshape(len(copies), -1)
            flat[:, piece] = np.tile(others.reshape(len(others), -1)[:, piece], len(array))
            return flat.reshape(copies.shape)
        place = self._place(copies, piece)
        copies[place] = np.tile(others, (len(array), *[1] * (others.ndim - 1)))[place]
        return copies

    def _all(self) -> range:
        return range(len(self.names))

    def _place(self, array: NDArray[Any], piece: int) -> tuple[slice, ...]:
        assert self.axes is not None
        row, column = divmod(piece, PATCHES)
        place = [slice(None)] * array.ndim
        for axis, k in zip(self.axes, (row, column), strict=True):
            length = array.shape[1 + axis]
            place[1 + axis] = slice(length * k // PATCHES, max(length * (k + 1) // PATCHES, length * k // PATCHES + 1))
        return tuple(place)


def _parts_of(space: Any, names: list[str], path: tuple[Any, ...] = ()) -> list[_Part]:
    if isinstance(space, gym.spaces.Dict):
        return [part for key, inner in space.spaces.items() for part in _parts_of(inner, [], (*path, key))]
    if isinstance(space, gym.spaces.Tuple):
        return [part for key, inner in enumerate(space.spaces) for part in _parts_of(inner, [], (*path, key))]
    if isinstance(space, gym.spaces.Box | gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        return [_Part(path, space, names)]
    return []  # a text is not hidden


def contributions(
    probe: Callable[[Any], Probe], space: gym.Space[Any], states: list[Any], background: list[Any],
    names: list[str] | None = None,
) -> Contributions | None:  # fmt: skip
    """What each number of some observations contributes to what an agent chooses there.

    Args:
        probe: what the agent thinks of a batch, such as ``agent.probe``.
        space: of the observations.
        states: the observations to explain, N of them.
        background: K others, whose values are put in the place of what is hidden.
        names: of the numbers of a vector; ``s[0]``, ``s[1]``, ... by default.

    Returns:
        None where the agent has neither values nor probabilities, or only for where it stands.

    Raises:
        UsageError: no states, or no background.

    Example:
        >>> space = gym.spaces.Box(-1.0, 1.0, (2,), np.float64)
        >>> probe = lambda x: Probe(value=3.0 * np.asarray(x)[:, 0])  # the second number does not count
        >>> found = contributions(probe, space, [np.array([1.0, 1.0])], [np.zeros(2), np.array([0.5, -1.0])])
        >>> found.of, found.values[0, :, 0].tolist()
        ('the value', [2.25, 0.0])
    """
    if not states or not background:
        raise UsageError("an explanation needs states, and others to compare them with", "Play more steps")
    parts = _parts_of(space, names or [])
    arrays = [part.of(states) for part in parts]
    if not parts or any(array.dtype == object for array in arrays):
        return None
    others = [part.of(background) for part in parts]
    now = probe(_assembled(space, parts, arrays))
    chosen, of = _choice(now)
    if not of:
        return None
    scores = _scores(now, chosen)
    found, count = [], len(background)
    each = max(_MOST_ROWS // count, 1)
    for k, part in enumerate(parts):
        for piece in range(len(part.names)):
            hidden = np.empty_like(scores)
            for start in range(0, len(states), each):
                some = slice(start, min(start + each, len(states)))
                n = some.stop - some.start
                copies = [np.repeat(array[some], count, axis=0) for array in arrays]
                copies[k] = part.hide(arrays[k][some], piece, others[k])
                there = probe(_assembled(space, parts, copies))
                hidden[some] = _scores(there, np.repeat(chosen[some], count)).reshape(n, count, -1).mean(axis=1)
            found.append(scores - hidden)
    numbers = np.concatenate([part.numbers(array) for part, array in zip(parts, arrays, strict=True)], axis=1)
    return Contributions(
        [name for part in parts for name in part.names], np.stack(found, axis=1), numbers, scores, of, chosen
    )


def _assembled(space: Any, parts: list[_Part], arrays: list[NDArray[Any]], path: tuple[Any, ...] = ()) -> Any:
    """Arrays as a batch of observations of a space."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _assembled(inner, parts, arrays, (*path, key)) for key, inner in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_assembled(inner, parts, arrays, (*path, key)) for key, inner in enumerate(space.spaces))
    return next(array for part, array in zip(parts, arrays, strict=True) if part.path == path)


def _choice(probe: Probe) -> tuple[NDArray[np.int64], str]:
    """The preferred action of each observation, and what is explained of it; empty for nothing."""
    if probe.action_values is not None:
        return probe.action_values.argmax(axis=1), "the margin of the chosen action's value over the next best"
    if probe.action_probabilities is not None:
        return probe.action_probabilities.argmax(axis=1), "the probability of the chosen action"
    if probe.action_mean is not None:
        return np.full(len(probe.action_mean), -1), "the mean of each number of the action"
    if probe.value is not None:
        return np.full(len(probe.value), -1), "the value"
    return np.zeros(0, np.int64), ""


def _scores(probe: Probe, chosen: NDArray[np.int64]) -> NDArray[np.float64]:
    """The scores of the chosen actions, [N, J]."""
    rows = np.arange(len(chosen))
    if probe.action_values is not None:
        q = probe.action_values
        lowest = np.min(np.where(np.isfinite(q), q, np.inf), axis=1, initial=np.inf)
        q = np.where(np.isfinite(q), q, np.where(np.isfinite(lowest), lowest, 0.0)[:, None])  # forbidden: the least
        rest = q.copy()
        rest[rows, chosen] = -np.inf
        best = rest.max(axis=1) if q.shape[1] > 1 else np.zeros(len(q))
        margin: NDArray[np.float64] = (q[rows, chosen] - best)[:, None]
        return margin
    if probe.action_probabilities is not None:
        return probe.action_probabilities[rows, chosen][:, None]
    if probe.action_mean is not None:
        return probe.action_mean.astype(np.float64)
    assert probe.value is not None
    return probe.value.astype(np.float64)[:, None]


@dataclass(frozen=True)
class Row:
    """One number's part in the choices of many states: see `summary`."""

    name: str
    size: float
    share: float
    low: float
    high: float
    decisive: float


def summary(found: Contributions) -> list[Row]:
    """A row a number, the most important first: mean size, its share, mean contribution where it is low and high.

    ``low`` and ``high`` are means over the states in which the number is below and not below its median; NaN where
    there is none. ``decisive`` is the share of states in which no other number contributes more.

    Example:
        >>> values = np.array([[[1.0], [0.0]], [[-3.0], [0.0]]])
        >>> numbers, none = np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros((2, 1))
        >>> found = Contributions(["a", "b"], values, numbers, none, "", np.zeros(2, int))
        >>> summary(found)[0]
        Row(name='a', size=2.0, share=1.0, low=1.0, high=-3.0, decisive=1.0)
    """
    sizes, mean = found.sizes, found.values.mean(axis=2)  # [D], [N, D]
    largest = np.abs(found.values).mean(axis=2).argmax(axis=1)
    total, rows = float(sizes.sum()) or 1.0, []
    for i in np.argsort(-sizes, kind="stable"):
        below = found.numbers[:, i] < np.median(found.numbers[:, i])
        low = float(mean[below, i].mean()) if below.any() else float("nan")
        high = float(mean[~below, i].mean()) if (~below).any() else float("nan")
        decisive = float((largest == i).mean())
        rows.append(Row(found.names[i], float(sizes[i]), float(sizes[i]) / total, low, high, decisive))
    return rows


_DRAWN = 20  # rows of the picture


def draw(found: Contributions, path: Path, title: str) -> None:
    """A picture: a row a number with a dot a state, coloured by the number; of an image a map of its patches.

    Raises:
        UsageError: no picture can be written there.

    Example:
        >>> import tempfile
        >>> values = np.array([[[1.0], [0.0]], [[-3.0], [0.0]]])
        >>> numbers, none = np.array([[0.0, 0.0], [1.0, 0.0]]), np.zeros((2, 1))
        >>> found = Contributions(["a", "b"], values, numbers, none, "", np.zeros(2, int))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(found, Path(folder) / "why.png", "why")
        ...     (Path(folder) / "why.png").stat().st_size > 1000
        True
    """
    from matplotlib.figure import Figure

    kind = check_picture(path)
    figure = Figure(figsize=(9, 2.2 + 0.34 * min(len(found.names), _DRAWN)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()
    if len(found.names) == PATCHES**2 and found.names[-1].endswith(f"patch {PATCHES - 1},{PATCHES - 1}"):
        figure.set_size_inches(6, 5.4)
        shown = axes.imshow(found.sizes.reshape(PATCHES, PATCHES), cmap="viridis")
        figure.colorbar(shown, ax=axes, label=f"mean size of the contribution to {found.of}")
        axes.set_xlabel("column of patches")
        axes.set_ylabel("row of patches")
    else:
        _swarm(found, axes, figure)
    with atomic_writer(path) as file:
        figure.savefig(file, format=kind, dpi=140)


def _swarm(found: Contributions, axes: Any, figure: Any) -> None:
    rows, jitter = np.argsort(-found.sizes, kind="stable")[:_DRAWN], np.random.default_rng(0)
    points = None
    for y, i in enumerate(rows):
        x, values = found.values[:, i, :].mean(axis=1), found.numbers[:, i]
        low, high = np.quantile(values, [0.05, 0.95])
        shades = np.clip((values - low) / ((high - low) or 1.0), 0.0, 1.0)
        heights = y + jitter.uniform(-0.3, 0.3, len(x))
        points = axes.scatter(x, heights, c=shades, cmap="viridis", vmin=0, vmax=1, s=9, alpha=0.75, linewidths=0)
    axes.set_yticks(range(len(rows)), [found.names[i] for i in rows])
    axes.invert_yaxis()
    axes.axvline(0, color="0.6", linewidth=0.8)
    axes.set_xlabel(f"contribution to {found.of}, a dot a state")
    bar = figure.colorbar(points, ax=axes, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"])
    bar.set_label("the number itself")
