"""Learning curves from logs: saved runs, RL Zoo's folders, Stable-Baselines3's files.

A folder that holds one of these files is a run; nothing in them is executed:

* ``evaluations.npz``: evaluations of EvalCallback, read without pickle;
* ``*.monitor.csv``: an episode a row, of one environment a file (a JSON header; r, l, t);
* ``progress.csv``: a row of numbers by their tags;
* ``events.out.tfevents.*``: TensorBoard's, where tensorboard is installed.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, MissingPackageError, RlplayError, UsageError, counted, missing, unknown, warn
from rlplay.reports.curves import Curve, say_cut
from rlplay.training.run_folder import read_evaluations

Series = tuple[NDArray[np.float64], NDArray[np.float64]]  # timesteps and values, [N] each

STEPS = "time/total_timesteps"
_SECONDS = "time/time_elapsed"
_COUNTS = ("rollout/episodes", "time/episodes")  # ours, Stable-Baselines3's
AXES = {"steps": "timesteps", "episodes": "episodes", "time": "seconds"}  # of pictures: what is typed, what is written
EVALUATIONS, EPISODES = "evaluations", "episodes"
RETURNS = "rollout/ep_rew_mean"
WINDOW = 100  # episodes of a moving mean, as in Stable-Baselines3
_MONITOR = "monitor.csv"  # how the names of its files end
_GRID = 200  # places of a curve whose runs were logged at different timesteps
_MOST_PLACES = 10_000  # of a curve that is drawn; of more they are taken evenly
_LARGEST = 2**28  # bytes of a table
_GREATEST = 1e100  # of a number: sums of greater ones are no numbers
_MOST_STEPS = 2.0**53
_ROWS = 1_000  # of a table that are texts at a time
_LONGEST_TAG = 200
_NUMBERED = re.compile(r"[_-]?(?:seed|run)?[_-]?\d+$")
_SET_APART = re.compile(r"(?:[_-]|seed|run)\d+$")  # where not, the number may be a part of the name of a run alone


class Run(NamedTuple):
    """A run's folder, what it logged by name, and the episodes and seconds after timesteps: ``episodes``, ``time``."""

    path: Path
    series: dict[str, Series]
    clocks: Mapping[str, Series] = MappingProxyType({})


def read_runs(paths: list[Path]) -> list[Run]:
    """The runs in files and folders, the folders below them too. What is damaged is left out and named.

    Raises:
        UsageError: a path that does not exist.
        MissingPackageError: all there is are TensorBoard's files, and tensorboard is not installed.
    """
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path} does not exist", "Name folders of runs, or log files")
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if _reader(file) is not None or file.name.endswith(_MONITOR):
                if file.is_file():
                    folders.setdefault(file.parent, []).append(file)
                else:
                    warn(f"left out: {file}: it is no regular file")
    found, absent = [], None
    for folder, files in folders.items():
        series: dict[str, Series] = {}
        episodes: list[NDArray[np.float64]] = []
        for file in dict.fromkeys(files):
            try:
                if file.name.endswith(_MONITOR):
                    episodes.append(_monitor(file))
                elif (read := _reader(file)) is not None:
                    found_here = read(file)
                    series = {**found_here, **series}
                    if not found_here:
                        warn(f"left out: {file}: it has no numbers")
            except MissingPackageError as error:
                absent = error
                warn(f"left out: {file}: {error}")
            except (RlplayError, OSError, ValueError, csv.Error) as error:
                warn(f"left out: {file}: {str(getattr(error, 'cause', error)).removeprefix(f'{file} ')}")
        clocks = _clocks(series)
        if episodes:
            table = _together(episodes)
            steps = np.cumsum(table[:, 1])
            series[EPISODES] = _smoothed((steps, table[:, 2]))
            clocks = {"episodes": (steps, np.arange(1.0, len(steps) + 1)), "time": (steps, table[:, 0])}
        if series:
            found.append(Run(folder, series, clocks))
    if not found and absent is not None:
        raise absent
    return found


def curves_of(
    runs: list[Run], quantity: str | None = None, *, each: bool = False, axis: str = "steps"
) -> tuple[str, list[Curve]]:
    """One curve for the runs that differ in their number alone, with what is drawn.

    Args:
        runs: what was read.
        quantity: ``"evaluations"``, ``"episodes"`` (a moving mean over 100) or a tag such as ``"train/loss"``; by
            default the first of evaluations, episodes and ``rollout/ep_rew_mean`` that most runs have.
        each: whether every run is a curve of its own.
        axis: ``"steps"``, ``"episodes"`` or ``"time"`` (seconds of the wall clock): where a curve's values stand.

    Raises:
        UsageError: no run has it; names what there is.

    Example:
        >>> x = np.array([10.0, 20.0])
        >>> two = [Run(Path(f"logs/ppo/Env_{k}"), {"evaluations": (x, x * k)}) for k in (1, 2)]
        >>> name, (curve,) = curves_of(two)
        >>> name, curve.name, curve.returns.tolist()
        ('evaluations', 'ppo/Env', [[10.0, 20.0], [20.0, 40.0]])
    """
    known = sorted({name for run in runs for name in run.series})
    if quantity is None:
        usual = [name for name in (EVALUATIONS, EPISODES, RETURNS) if name in known] or known[:1]
        if not usual:
            raise UsageError("there are no logs that can be read", "Name folders of runs, or log files")
        quantity = max(usual, key=lambda name: sum(name in run.series for run in runs))
    if quantity not in known:
        raise unknown("quantity", quantity, known)
    groups: dict[str, list[tuple[str, Series]]] = {}
    for run in runs:
        if quantity not in run.series:
            warn(f"left out: {run.path} has no {quantity}; it has {', '.join(sorted(run.series))}")
        elif axis != "steps" and axis not in run.clocks:
            warn(f"left out: {run.path} has no log that says its {AXES[axis]}")
        else:
            one = _short(run.path, each=True), _along(axis, run, quantity)
            groups.setdefault(_short(run.path, each=each), []).append(one)
    if not groups:
        raise UsageError(f"no run that has {quantity} says its {AXES[axis]}", "Take -x steps")
    names = {name: group[0][0] for name, group in groups.items() if len(group) == 1 and not
             _SET_APART.search(group[0][0])}  # fmt: skip
    return quantity, [curve for name, group in groups.items() for curve in _curves(names.get(name, name), group, axis)]


def _along(axis: str, run: Run, quantity: str) -> Series:
    """A quantity at timesteps, or at the episodes or seconds that had passed then."""
    steps, values = run.series[quantity]
    if axis == "steps":
        return steps, values
    known, passed = run.clocks[axis]
    return np.interp(steps, [0.0, *known], [0.0, *passed]), values


def _short(path: Path, *, each: bool) -> str:
    """The name of a run's group: its last two folders, without the number of the run."""
    parts = path.resolve().parts[-2:]
    last = parts[-1] if each else _NUMBERED.sub("", parts[-1])
    return "/".join([*parts[:-1], last]) if last else "/".join(parts[:-1])


def _curves(name: str, group: list[tuple[str, Series]], axis: str) -> list[Curve]:
    """The curve of a group of runs; one of each run where one ends before another begins."""
    found = [series for _, series in group]
    apart = max(steps[0] for steps, _ in found) >= min(steps[-1] for steps, _ in found)
    if apart and not _in_common(found):
        warn(f"the runs of {name} have no {AXES[axis]} in common: each is drawn by itself")
        return [_curve(one, [series], axis) for one, series in group]
    return [_curve(name, found, axis)]


def _in_common(found: list[Series]) -> list[float]:
    """The places that all runs have, where these are half of what the shortest has; else none."""
    common = set.intersection(*(set(steps.tolist()) for steps, _ in found))
    return sorted(common) if len(common) >= 0.5 * min(len(steps) for steps, _ in found) else []


def _curve(name: str, found: list[Series], axis: str) -> Curve:
    """Runs side by side: at the timesteps that all have, or interpolated where they were logged at others."""
    places = np.array(_in_common(found))
    if not len(places):
        first, last = max(steps[0] for steps, _ in found), min(steps[-1] for steps, _ in found)
        places = np.linspace(first, last, min(max(len(steps) for steps, _ in found), _GRID))
    if axis == "steps":  # on others no two runs end together
        say_cut(name, float(places[-1]), max(float(steps[-1]) for steps, _ in found))
    if len(places) > _MOST_PLACES:
        places = places[np.linspace(0, len(places) - 1, _MOST_PLACES).astype(np.int64)]
    rows = [np.interp(places, steps, values) for steps, values in found]
    places = places if axis == "time" else places.astype(np.int64)
    return Curve(name, places, np.array(rows), np.full(len(rows), np.nan))


def _reader(path: Path) -> Callable[[Path], dict[str, Series]] | None:
    """What reads a file by its name; None for a file that is no log."""
    if path.name == "evaluations.npz":
        return _evaluations
    if path.name == "progress.csv":
        return _progress
    return _events if path.name.startswith("events.out.tfevents.") else None


def _evaluations(path: Path) -> dict[str, Series]:
    saved = read_evaluations(path)
    means = saved.results.mean(axis=1, dtype=np.float64)
    if bad := int((~np.isfinite(means)).sum()):
        warn(f"{path}: {bad} evaluations whose returns are not finite are left out")
    return _finite({EVALUATIONS: (saved.timesteps.astype(np.float64), means)})


def _monitor(path: Path) -> NDArray[np.float64]:
    """Episodes of one environment: seconds, lengths and returns, [N, 3]."""
    columns = _columns(path, ("r", "l", "t"), positive="l")
    return np.stack([_going_on(columns["t"]), columns["l"], columns["r"]], axis=1)


def _going_on(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """A clock that begins anew where a run was resumed, as one that goes on."""
    passed = np.where(np.diff(seconds) < 0, seconds[:-1], 0.0)
    return seconds + np.concatenate([[0.0], np.cumsum(passed)])


def _clocks(series: dict[str, Series]) -> dict[str, Series]:
    """Episodes and seconds after timesteps, as rows of numbers say them."""
    counts = [series[name] for name in _COUNTS if name in series]
    found = {"episodes": counts[0]} if counts else {}
    if _SECONDS in series:
        steps, seconds = series[_SECONDS]
        found["time"] = steps, _going_on(seconds)
    return found


def _together(tables: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Episodes of all environments of a run in the order in which they ended, [N, 3]."""
    rows = np.concatenate(tables)
    return rows[np.argsort(rows[:, 0], kind="stable")] if len(tables) > 1 else rows


def _smoothed(series: Series) -> Series:
    """The moving mean over the last `WINDOW` episodes."""
    steps, values = series
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - WINDOW, 0)
    return steps, (sums[ends] - sums[starts]) / (ends - starts)


def _progress(path: Path) -> dict[str, Series]:
    columns = _columns(path, (STEPS,))
    steps = columns.pop(STEPS)
    with_numbers = {tag: ~np.isnan(values) for tag, values in columns.items() if tag}
    return _finite({tag: (steps[there], columns[tag][there]) for tag, there in with_numbers.items() if there.any()})


def _columns(path: Path, needed: tuple[str, ...], positive: str = "") -> dict[str, NDArray[np.float64]]:
    """The columns of a table, [N] each; what is no number in them is NaN.

    A line that a kill cut short is left out, and more than one is said.

    Args:
        path: of the table.
        needed: columns of numbers that each row has.
        positive: one of them whose numbers are 1 or more.

    Raises:
        CheckpointError: no text, too long, without the columns, or without a row.
    """
    if path.stat().st_size > _LARGEST:
        raise CheckpointError(f"it has {path.stat().st_size:,} bytes, more than {_LARGEST:,}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError("it is no UTF-8 text") from error
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    if "\0" in text and any("\0" in line for line in lines):
        raise CheckpointError("it has bytes that are no text")
    del text  # of hundreds of megabytes
    reader = csv.reader(lines)
    names = next(reader, [])
    parts: list[dict[str, NDArray[np.float64]]] = []
    bad = 0
    while some := list(islice(reader, _ROWS)):
        whole = [row for row in some if len(row) == len(names)]
        columns = {name: _numbers(texts) for name, texts in zip(names, zip(*whole, strict=True), strict=False)}
        good = np.full(len(whole), all(name in columns for name in needed))
        for name in needed if good.any() else ():
            good &= np.abs(columns[name]) <= _GREATEST
            good &= (name != positive) | ((columns[name] >= 1) & (columns[name] <= _MOST_STEPS))
        parts.append({name: values[good] for name, values in columns.items()} if good.any() else {})
        bad += len(some) - int(good.sum())
    if not any(parts):
        raise CheckpointError(f"it has no row with {', '.join(needed)}")
    if bad > 1:
        warn(f"{path}: {counted(bad, 'damaged row')} left out")
    return {name: np.concatenate([part[name] for part in parts if part]) for name in names}


def _numbers(texts: Sequence[str]) -> NDArray[np.float64]:
    """Texts as numbers, NaN for those that are none."""
    try:
        return np.array([float(text or "nan") for text in texts])
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _events(path: Path) -> dict[str, Series]:
    """The scalars of TensorBoard's file, up to where it was cut or damaged, which is said."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
    except ImportError as error:
        raise missing("TensorBoard's files", "tensorboard", "tensorboard") from error
    found: dict[str, list[tuple[float, float]]] = {}
    clock: list[tuple[float, float]] = []
    for record in _records(path, masked_crc32c):
        try:
            event = Event.FromString(record)
        except Exception as error:  # protobuf's errors have no public class in all its versions
            warn(f"{path}: a damaged record left out ({type(error).__name__})")
            continue
        if event.summary.value:
            clock.append((float(event.step), float(event.wall_time)))
        for value in event.summary.value:
            if value.HasField("simple_value"):
                found.setdefault(value.tag, []).append((float(event.step), float(value.simple_value)))
    if not found:
        raise CheckpointError("it has no scalars, or is damaged")
    found.setdefault(_SECONDS, [(step, seconds - clock[0][1]) for step, seconds in clock])
    return _finite({tag: _pair(points) for tag, points in found.items()})


def _records(path: Path, checksum: Callable[[bytes], int]) -> Iterator[bytes]:
    """The records of TensorBoard's file, each a length, its checksum, the bytes and theirs, up to one that is damaged.

    Lengths are checked before anything is read by them.
    """
    left = path.stat().st_size
    with open(path, "rb") as file:
        while left:
            head, left = file.read(12), left - 12
            length = int.from_bytes(head[:8], "little")
            if (len(head) == 12 and not any(head)) or left < 0 or length + 4 > left:
                if length == 0 or length > left + _LARGEST:
                    warn(f"{path}: it is damaged {left + 12:,} bytes before its end, which are left out")
                return  # cut within its last record, as by a kill
            record, check, left = file.read(length), file.read(4), left - length - 4
            for part, sum_of in ((head[:8], head[8:]), (record, check)):
                if sum_of != int(checksum(part)).to_bytes(4, "little"):
                    size = len(record) + 16 + left
                    warn(f"{path}: it is damaged {size:,} bytes before its end, which are left out")
                    return
            yield record


def _pair(points: list[tuple[float, float]]) -> Series:
    table = np.array(points, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _finite(series: dict[str, Series]) -> dict[str, Series]:
    """Numbers alone, by rising timesteps; of equal ones the last. Names that no line can show are left out and said."""
    kept: dict[str, Any] = {}
    for name, pair in series.items():
        if not name.isprintable() or len(name) > _LONGEST_TAG:
            warn(f"left out: the tag {name[:40]!r}")
            continue
        good = (pair[0] >= 0) & (pair[0] <= _MOST_STEPS) & (np.abs(pair[1]) <= _GREATEST)
        if bad := int((~good & np.isfinite(pair[1])).sum()):
            warn(f"{name}: {counted(bad, 'number')} beyond what can be drawn left out")
        steps, values = pair[0][good], pair[1][good]
        if not (np.diff(steps) > 0).all():
            steps, reverse = np.unique(steps[::-1], return_index=True)
            values = values[::-1][reverse]
        if len(steps):
            kept[name] = steps, values
    return kept
