"""The means and variances that Stable-Baselines3's VecNormalize keeps in a pickle, read as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError
from rlplay.storage.files import as_path, explain_missing
from rlplay.storage.inert_pickle import Call, plain_array, read_pickle

_LARGEST = 256 * 2**20  # bytes
_OPTIONS = {"norm_obs": bool, "norm_reward": bool, "clip_obs": float, "clip_reward": float, "epsilon": float,
            "gamma": float}  # fmt: skip


class Moments(NamedTuple):
    """A mean, a variance, and the number of observations behind them.

    Example:
        >>> Moments(np.zeros(2), np.ones(2), 4.0).number
        4.0
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    number: float


class ObservedStatistics(NamedTuple):
    """What VecNormalize knows.

    Attributes:
        options: its settings by name.
        observations: moments of observations; of a Dict of each part by its key.
        returns: moments of the discounted returns.
    """

    options: dict[str, Any]
    observations: dict[str, Moments]
    returns: Moments

    def settings(self) -> dict[str, Any]:
        """As the hyperparameter ``normalize`` takes them."""
        return dict(self.options)

    def ours(self) -> dict[str, NDArray[np.float64]]:
        """Under the names that our agents' files have.

        Raises:
            CheckpointError: moments of a Dict, which ours keep together.
        """
        found = {"moments": np.array([float(self.returns.mean), float(self.returns.variance)])}
        observed = self.observations.get("", Moments(np.zeros(0), np.zeros(0), 1e-4))
        if set(self.observations) - {""}:
            raise CheckpointError(
                "its VecNormalize has moments of each part of a Dict, which our agents do not keep",
                "Take the agent of Stable-Baselines3, which does: --algo sb3/sac and so on",
            )
        if observed.mean.size:
            found |= {"mean": np.ravel(observed.mean), "variance": np.ravel(observed.variance)}
        return {**found, "counts": np.array([observed.number, self.returns.number])}

    def theirs(self) -> dict[str, NDArray[np.float64]]:
        """Under the names that a file of Stable-Baselines3's agents has here."""
        found = {f"obs/{key}": one for key, one in self.observations.items()} | {"ret/": self.returns}
        return {
            f"{name}{part}": value
            for name, one in found.items()
            for part, value in (("mean", one.mean), ("var", one.variance), ("count", np.array(one.number)))
        }


def read_vecnormalize(path: str | Path) -> ObservedStatistics:
    """What ``VecNormalize.save`` wrote; nothing in it is run.

    Raises:
        CheckpointError: damaged, or something else.
        UnknownNameError: no such file.

    Example:
        >>> import tempfile
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     VecNormalize(make_vec_env("CartPole-v1"), clip_obs=5.0).save(f"{folder}/vecnormalize.pkl")
        ...     found = read_vecnormalize(f"{folder}/vecnormalize.pkl")
        >>> found.options["clip_obs"], found.observations[""].variance.tolist()
        (5.0, [1.0, 1.0, 1.0, 1.0])
    """
    path = as_path(path)
    if not path.is_file():
        raise explain_missing(path, "file of VecNormalize", "*.pkl")
    if path.stat().st_size > _LARGEST:
        raise CheckpointError(f"{path} has {path.stat().st_size:,} bytes: refused")
    found = read_pickle(path.read_bytes(), str(path))
    kind = found.name if isinstance(found, Call) else ""
    if not kind.startswith("stable_baselines3.common.vec_env.vec_normalize.") or not isinstance(found.state, dict):
        raise CheckpointError(f"{path} is no VecNormalize but {kind or type(found).__name__}: refused, not run")
    state = found.state
    try:
        options = {name: kind(state[name]) for name, kind in _OPTIONS.items() if name in state}
        given = state.get("obs_rms")
        parts = given if isinstance(given, dict) else {} if given is None else {"": given}
        observations = {str(key): _moments(one, path) for key, one in parts.items()} if options["norm_obs"] else {}
        return ObservedStatistics(options, observations, _moments(state["ret_rms"], path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{path} is damaged: it is no VecNormalize ({error})") from error


def _moments(found: Any, path: Path) -> Moments:
    state = found.state
    mean, variance = (plain_array(state[name], f"{name} of {path}").astype(np.float64) for name in ("mean", "var"))
    count = float(plain_array(state["count"], f"count of {path}"))
    good = np.isfinite(mean).all() and np.isfinite(variance).all() and (variance >= 0).all() and 0 <= count < np.inf
    if mean.shape != variance.shape or not good:
        raise CheckpointError(f"{path} holds means and variances that cannot be: refused")
    return Moments(mean, variance, count)
