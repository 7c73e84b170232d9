"""What the playgrounds of models are fitted to: drawn points, a CSV file, or the observations of an environment."""

from __future__ import annotations

import csv
from pathlib import Path

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.agent.data import dataset_of
from rlplay.environments.dataset import Dataset
from rlplay.environments.make import make, reference
from rlplay.environments.names import known_env_ids
from rlplay.errors import SpaceError, UnknownNameError, UsageError, counted, unknown

Floats = NDArray[np.float64]
Points = tuple[Floats, NDArray[np.int64]]
DATA = ("moons", "circles", "spirals", "blobs", "xor")
_STEPS = 2000  # of a rollout, from which the points are drawn
_FAR = 3.0  # deviations: a single point far out would leave no room for the others
_LABELS = ("actions", "returns")


def points_of(name: str, seed: int = 0, noise: float = 0.15, count: int = 240) -> Points:
    """Points, float64 [N, 2], and their classes, int64 [N].

    Args:
        name: one of `DATA`, a CSV file of x, y, class, or an environment with what is taken of it (see `rollout`).
        seed: of what is drawn or played.
        noise: standard deviation of what is added to the drawn ones.
        count: how many are drawn, or taken from a rollout.

    Raises:
        UnknownNameError: none of these.
        UsageError: a file without three columns of numbers, or an environment without two numbers.

    Example:
        >>> x, y = points_of("spirals")
        >>> x.shape, sorted(set(y.tolist()))
        ((240, 2), [0, 1])
    """
    if name.endswith(".csv"):
        return _read(Path(name))
    if name not in DATA:
        x, y, _ = rollout(name, seed, count)
        return _two_axes(x), y
    rng = np.random.default_rng(seed)
    y = np.arange(count) % 2
    if name == "moons":
        angle = rng.uniform(0, np.pi, count)
        x = np.column_stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25])
        x[y == 1] = -x[y == 1]
    elif name == "circles":
        angle, radius = rng.uniform(0, 2 * np.pi, count), np.where(y == 0, 1.4, 0.6)
        x = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    elif name == "spirals":
        turn = rng.uniform(0.3, 1.0, count) * 3.2 * np.pi
        x = np.column_stack([np.cos(turn + np.pi * y), np.sin(turn + np.pi * y)]) * turn[:, None] / 5
        noise = noise / 2
    elif name == "blobs":
        y = np.arange(count) % 4
        x = np.array([[-1.2, -1.0], [1.2, -0.9], [-1.0, 1.1], [1.1, 1.0]])[y]
        noise = noise * 2.2
    else:
        x = rng.uniform(-1.5, 1.5, (count, 2))
        y = (x[:, 0] * x[:, 1] > 0).astype(int)
    return x + noise * rng.normal(size=x.shape), y


def rollout(name: str, seed: int = 0, count: int = 240) -> tuple[Floats, NDArray[np.int64], str]:
    """Observations of an environment and their labels.

    The actions are those of a policy that the plug-ins know for the environment (``follow-the-pole``), else random.
    Returns are always those of random play: what follows a step is below their median, class 0, or not, class 1.

    Args:
        name: an environment, then, behind commas, the numbers of the observation that are taken (default: all), and
            ``actions`` or ``returns`` (default: actions where a policy is known and they are discrete).
        seed: of what is played and drawn.
        count: how many of 2,000 steps are drawn.

    Returns:
        The observations, every column with mean 0 and deviation 1, float64 [N, D]; their labels, int64 [N]; in words
        what they are.

    Raises:
        UnknownNameError: no such environment.
        UsageError: what was named cannot be taken of it.

    Example:
        >>> x, y, words = rollout("CartPole-v1,2,3")
        >>> x.shape, words
        ((240, 2), 'CartPole-v1, numbers 2 and 3, actions of follow-the-pole')
    """
    env_id, *asked = (part.strip() for part in name.split(","))
    try:
        env = make(env_id)
    except UnknownNameError as error:
        if ":" in env_id or "/" in env_id or "-v" in env_id:
            raise
        ways = f"Take {', '.join(DATA)}, a CSV file of x, y, class, or an environment such as CartPole-v1"
        raise unknown("data", env_id, [*DATA, *known_env_ids()], ways) from error
    policies = registry.recipes("POLICIES").get(reference(env).id.removeprefix("rlplay/"), {})
    discrete = isinstance(env.action_space, gym.spaces.Discrete)
    labels = next((part for part in asked if part in _LABELS), "actions" if policies and discrete else "returns")
    if labels == "actions" and not discrete:
        raise UsageError(f"the actions of {env_id} are no classes", f"Take returns: {env_id},returns")
    player = next(iter(policies)) if labels == "actions" and policies else "random"
    try:
        data = dataset_of(f"{player}:{_STEPS}", env, "the playground", seed)
        assert isinstance(data, Dataset)
        steps = data.replay()
    except SpaceError as error:
        raise UsageError(f"the playground cannot take {env_id}: {error.cause}", error.remedy) from error
    ends = np.cumsum(steps.lengths)
    step = np.arange(len(steps.rewards))
    episode = np.searchsorted(ends, step, side="right")
    x = steps.obs[step + episode].astype(float)  # an episode has one observation more than steps
    columns = _columns(env_id, [part for part in asked if part not in _LABELS], x.shape[1])
    chosen = np.random.default_rng(seed).permutation(len(x))[:count]
    if labels == "actions":
        y = steps.actions[:, 0].astype(int)
    else:
        total = np.append(0.0, np.cumsum(steps.rewards))
        follows = total[ends[episode]] - total[step]
        y = (follows >= np.median(follows)).astype(int)
    if len(set(y[chosen].tolist())) < 2:
        raise UsageError(
            f"the {labels} of {env_id} are all alike", f"Take {', '.join(_LABELS)}, or another environment"
        )
    x = x[:, columns]
    if float(x.std(axis=0).max()) < 1e-9:
        raise UsageError(f"numbers {' and '.join(map(str, columns))} of {env_id} never change", "Take others")
    taken = f"numbers {' and '.join(map(str, columns))}" if len(columns) < steps.obs.shape[1] else "all numbers"
    x = (x - x.mean(axis=0)) / np.where(x.std(axis=0) > 1e-9, x.std(axis=0), 1.0)
    return x[chosen], y[chosen], f"{env_id}, {taken}, {labels} of {player.replace('random', 'random play')}"


def roll(seed: int = 0, noise: float = 0.15, count: int = 240) -> Points:
    """A sheet rolled up in three dimensions, float64 [N, 3]; the class is the quarter of its length.

    Example:
        >>> x, y = roll()
        >>> x.shape, sorted(set(y.tolist()))
        ((240, 3), [0, 1, 2, 3])
    """
    rng = np.random.default_rng(seed)
    share = rng.uniform(0, 1, count)
    angle = (1.5 + 2.5 * share) * np.pi
    x = np.column_stack([angle * np.cos(angle) / 6, angle * np.sin(angle) / 6, rng.uniform(-1, 1, count)])
    return x + noise / 3 * rng.normal(size=x.shape), (share * 4).astype(int)


def _columns(env_id: str, asked: list[str], width: int) -> list[int]:
    if width < 2:
        raise UsageError(
            f"an observation of {env_id} is one number", "A playground needs two: take another environment"
        )
    try:
        columns = [int(part) for part in asked] or list(range(width))
    except ValueError as error:
        wrong = next(part for part in asked if not part.lstrip("-").isdigit())
        raise UsageError(
            f"--data {env_id},{wrong}: {wrong!r} is no number of an observation",
            f"Give two of 0 to {width - 1}, and {' or '.join(_LABELS)}, for example {env_id},0,1,{_LABELS[1]}",
        ) from error
    if len(columns) < 2 or len(set(columns)) < len(columns) or not all(0 <= k < width for k in columns):
        raise UsageError(
            f"--data {env_id},{','.join(asked)}: two or more different numbers of the observation are needed",
            f"It has 0 to {width - 1}",
        )
    return columns


def _two_axes(x: Floats) -> Floats:
    """Two numbers, or of more their first two principal axes, each with deviation 1; what is far out is moved to 3."""
    if x.shape[1] > 2:
        centred = x - x.mean(axis=0)
        x = centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T
    return np.clip(x / np.maximum(x.std(axis=0), 1e-12), -_FAR, _FAR)


def _read(path: Path) -> Points:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text", "Give a CSV file of x, y, class") from error
    try:
        [float(cell) for cell in rows[0]]
    except (ValueError, IndexError):
        rows = rows[1:]  # the names of the columns
    try:
        x = np.array([[float(row[0]), float(row[1])] for row in rows if row])
        labels = [row[2].strip() for row in rows if row]
    except (ValueError, IndexError) as error:
        raise UsageError(f"{path}: a row is not x, y, class", "For example: 0.5,-1.2,red") from error
    if len(x) < 4 or not np.isfinite(x).all():
        raise UsageError(f"{path} has {counted(len(x), 'row')} of finite numbers", "Give 4 or more")
    names = sorted(set(labels))
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12), np.array([names.index(one) for one in labels])
