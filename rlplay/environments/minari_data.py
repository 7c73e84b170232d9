"""Data sets of Minari (the package ``minari``, where it is installed): in as steps, and out from a data set of ours.

Minari keeps observations and rewards, not always seeds, so what comes in is taken as it is and cannot be verified by
playing it again.
"""

from __future__ import annotations

import hashlib
import importlib
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.environments.dataset import Dataset, Steps
from rlplay.environments.make import make
from rlplay.errors import CheckpointError, MissingPackageError, SpaceError, UnknownNameError
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import VectorView


def _minari() -> Any:
    """The package.

    Raises:
        MissingPackageError: it is not installed.
    """
    try:
        return importlib.import_module("minari")
    except ImportError as error:
        raise MissingPackageError(
            f"data sets of Minari need the package minari ({error})", "pip install 'minari[hdf5]'"
        ) from error


class MinariData:
    """The steps of a data set of Minari, E episodes with T steps.

    Args:
        dataset_id: as ``minari list local`` has it, for example ``cartpole/expert-v0``.

    Attributes:
        observation_space, action_space: of its environment.
        seeds: -1 for each episode, int64 [E]; Minari's are not used.
        lengths: steps of each episode, int64 [E].
        actions: numbers int64 [T], or of a Box [T, A].
        digests: of each episode, uint8 [E, 8].

    Raises:
        MissingPackageError: minari is not installed.
        UnknownNameError: there is no such data set here.
        SpaceError: actions that are neither finite nor a Box.
        CheckpointError: numbers that are not finite, or no steps.

    Example:
        >>> try:
        ...     MinariData("nobody/has-v0")
        ... except (MissingPackageError, UnknownNameError) as error:  # no minari here, or no such data set
        ...     print("pip install" in str(error) or "minari download nobody/has-v0" in str(error))
        True
    """

    def __init__(self, dataset_id: str) -> None:
        minari = _minari()
        self.id = dataset_id
        try:
            found = minari.load_dataset(dataset_id)
        except (FileNotFoundError, ValueError) as error:
            raise UnknownNameError(
                f"there is no data set {dataset_id!r} of Minari here ({' '.join(str(error).split())[:200]})",
                f"minari download {dataset_id}",
            ) from error
        self.observation_space: gym.Space[Any] = found.observation_space
        self.action_space: gym.Space[Any] = found.action_space
        numbering = FiniteSpace(self.action_space) if is_finite(self.action_space) else None
        if numbering is None and not isinstance(self.action_space, gym.spaces.Box):
            raise SpaceError(f"a data set has actions that are finite or a Box, and {self.action_space} is neither")
        self._episodes = [one for one in found.iterate_episodes() if len(one.rewards)]
        if not self._episodes:
            raise CheckpointError(f"the data set {dataset_id} of Minari is empty")
        rewards = [np.asarray(one.rewards, np.float64) for one in self._episodes]
        actions = [np.asarray(one.actions) for one in self._episodes]
        self.lengths = np.array([len(one) for one in rewards])
        self.seeds = np.full(len(rewards), -1)
        self.rewards = np.concatenate(rewards)
        self.actions: NDArray[Any] = (
            np.array([numbering.index(action) for part in actions for action in part])
            if numbering is not None
            else np.concatenate([part.reshape(len(part), -1) for part in actions])
        )
        if not (np.isfinite(self.rewards).all() and np.isfinite(self.actions).all()):
            raise CheckpointError(f"the data set {dataset_id} of Minari holds NaN or infinite values")
        blobs = [one.tobytes() + other.tobytes() for one, other in zip(rewards, actions, strict=True)]
        self.digests = np.frombuffer(b"".join(hashlib.sha256(one).digest()[:8] for one in blobs), np.uint8)

    def __len__(self) -> int:
        return len(self.actions)

    def describe(self) -> dict[str, Any]:
        """What a settings file says of it."""
        digest = hashlib.sha256(self.digests.tobytes()).hexdigest()[:16]
        return {"env": str(self.observation_space), "steps": len(self), "players": [f"minari:{self.id}"],
                "digest": digest}  # fmt: skip

    def steps(self, view: VectorView) -> Steps:
        """All of them, with observations as vectors.

        Raises:
            SpaceError: an observation that is not of the space, or NaN.
        """
        obs = np.concatenate([view.vectors(one.observations) for one in self._episodes])
        terminated = np.array([bool(one.terminations[-1]) for one in self._episodes])
        truncated = np.array([bool(one.truncations[-1]) for one in self._episodes])
        actions = self.actions.astype(np.float32).reshape(len(self), -1)
        return Steps(obs, actions, self.rewards, self.lengths, terminated, truncated, None)


def to_minari(data: Dataset, dataset_id: str, env: Any = None, **about: Any) -> Any:
    """Write a data set of ours as one of Minari, with the observations and rewards of Gymnasium's environment.

    Args:
        data: what is written.
        dataset_id: its name there, for example ``"cartpole/mixed-v0"``.
        env: the environment; by default the data set's own.
        about: what Minari wants to know: ``author``, ``algorithm_name``, ``description`` and others.

    Returns:
        Minari's data set.

    Raises:
        MissingPackageError: minari is not installed.

    Example:
        >>> data = Dataset.random("CartPole-v1", 50, seed=0)
        >>> written = to_minari(data, "cartpole/random-v0", author="us")  # doctest: +SKIP
        >>> MinariData("cartpole/random-v0").lengths.sum()  # doctest: +SKIP
        np.int64(50)
    """
    minari = _minari()
    collector = importlib.import_module("minari.data_collector")
    made: Any = make(data.env.id, dynamics="gymnasium", **data.env.kwargs) if env is None else env
    numbering = FiniteSpace(made.action_space) if data.n_actions else None
    buffers, t = [], 0
    for e, (seed, length) in enumerate(zip(data.seeds.tolist(), data.lengths.tolist(), strict=True)):
        observations, actions, rewards, ends = [made.reset(seed=seed)[0]], [], [], []
        for _ in range(length):
            own = data.actions[t]
            action = own.reshape(made.action_space.shape) if numbering is None else numbering.value(int(own))
            obs, reward, terminated, truncated, _ = made.step(action)
            observations.append(obs)
            actions.append(action)
            rewards.append(float(reward))
            ends.append((bool(terminated), bool(truncated)))
            t += 1
        buffers.append(
            collector.EpisodeBuffer(
                id=e, seed=seed, observations=observations, actions=actions, rewards=rewards,
                terminations=[end[0] for end in ends], truncations=[end[1] for end in ends],
            )
        )  # fmt: skip
    return minari.create_dataset_from_buffers(
        dataset_id, buffers, env=data.env.id, observation_space=made.observation_space,
        action_space=made.action_space, **about,
    )  # fmt: skip


__all__ = ["MinariData", "to_minari"]
