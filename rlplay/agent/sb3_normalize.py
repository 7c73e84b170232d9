"""Stable-Baselines3's VecNormalize beside an agent that normalises by itself: the same statistics, nothing done twice.

Source: Raffin et al. 2021, "Stable-Baselines3: Reliable Reinforcement Learning Implementations", JMLR 22(268).
"""

from __future__ import annotations

import copy
import copyreg
import gc
import sys
import weakref
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import warn_once
from rlplay.functional.running_moments import RunningMoments


class Statistics(NamedTuple):
    """Means, variances and counts of observations and of returns.

    Attributes:
        observations: of each number of an observation, two of float64 in its shape, and their count; None for none.
        returns: two numbers and their count.

    Example:
        >>> Statistics(None, (0.0, 1.0, 1e-4)).returns[1]
        1.0
    """

    observations: tuple[NDArray[np.float64], NDArray[np.float64], float] | None
    returns: tuple[float, float, float]


def read_moments(moments: RunningMoments, shape: tuple[int, ...]) -> Statistics:
    """A copy of what an agent's moments say, over observations of a shape."""
    pair = tuple(np.array(part).reshape(shape) for part in (moments.obs_mean, moments.obs_variance))
    observations = (pair[0], pair[1], float(moments.obs_count[0])) if moments.norm_obs else None
    returns = (moments.return_mean, moments.return_variance, moments.return_count)
    return Statistics(observations, tuple(float(part[0]) for part in returns))  # type: ignore[arg-type]


def write_moments(moments: RunningMoments, found: Statistics) -> None:
    """Let an agent's moments say the same."""
    if moments.norm_obs and found.observations is not None:
        moments.obs_mean[:], moments.obs_variance[:] = (part.ravel() for part in found.observations[:2])
        moments.obs_count[0] = found.observations[2]
    moments.return_mean[0], moments.return_variance[0], moments.return_count[0] = found.returns


def read_vecnormalize(wrapper: Any) -> Statistics:
    """A copy of what a VecNormalize says; of observations in parts (a Dict) nothing.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> read_vecnormalize(VecNormalize(make_vec_env("CartPole-v1"))).returns
        (0.0, 1.0, 0.0001)
    """
    seen = getattr(wrapper, "obs_rms", None)
    observations = None
    if wrapper.norm_obs and seen is not None and not isinstance(seen, dict):
        observations = np.array(seen.mean), np.array(seen.var), float(seen.count)
    paid = wrapper.ret_rms
    return Statistics(observations, (float(paid.mean), float(paid.var), float(paid.count)))


def write_vecnormalize(wrapper: Any, found: Statistics) -> None:
    """Let a VecNormalize say the same.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> env = VecNormalize(make_vec_env("CartPole-v1"))
        >>> write_vecnormalize(env, Statistics(None, (3.0, 2.0, 10.0)))
        >>> float(env.ret_rms.mean), env.ret_rms.count
        (3.0, 10.0)
    """
    if found.observations is not None and not isinstance(getattr(wrapper, "obs_rms", None), dict | None):
        wrapper.obs_rms.mean, wrapper.obs_rms.var = (np.array(part) for part in found.observations[:2])
        wrapper.obs_rms.count = found.observations[2]
    mean, variance, count = found.returns
    wrapper.ret_rms.mean, wrapper.ret_rms.var, wrapper.ret_rms.count = np.float64(mean), np.float64(variance), count


_ASKED_AGAIN = 1000  # predictions after which a VecNormalize is looked for once more


class RawObservations:
    """What an agent that normalises is shown, as it was before a VecNormalize that nobody gave it.

    A script loads its statistics with ``VecNormalize.load``, its model with ``PPO.load(path)``, and gives `predict`
    what the VecNormalize made: that would be normalised twice. An observation that is what a VecNormalize of this
    process has just made is taken as it was before, which is said once. They are looked for, among all objects, at the
    first predictions and at each 1,000th.
    """

    def __init__(self) -> None:
        self._count = 0
        self._known: list[weakref.ref[Any]] = []

    def __call__(self, observation: Any, owner: str) -> Any:
        """An observation, or a batch, as it was before it was normalised."""
        module = sys.modules.get("stable_baselines3.common.vec_env.vec_normalize")
        if module is None:
            return observation
        self._count += 1
        if self._count & (self._count - 1) == 0 or self._count % _ASKED_AGAIN == 0:
            self._known = [weakref.ref(one) for one in _living(module.VecNormalize)]
        for wrapper in filter(None, (known() for known in self._known)):
            before = getattr(wrapper, "old_obs", None)
            if wrapper.norm_obs and _alike(before, observation, same=False):
                if _alike(before, observation) or not _alike(wrapper.normalize_obs(before), observation):
                    continue
                warn_once(
                    f"{owner} normalises what it is given, as it did while it learned: observations that a "
                    f"VecNormalize has normalised are taken as they were before. {owner}.load(path, env=vec_env) tells "
                    "the VecNormalize"
                )
                return wrapper.get_original_obs()
        return observation


def _living(cls: Any) -> list[Any]:
    """The objects of a class, and of those derived from it, that hand on normalised observations."""
    kinds = [cls]
    for kind in kinds:
        kinds += kind.__subclasses__()
    found = gc.get_referrers(*(kind for kind in kinds if not getattr(kind, "hands_on", False)))
    return [one for one in found if isinstance(one, cls)]


def _alike(one: Any, other: Any, same: bool = True) -> bool:
    """Whether two batches have one shape and, where that is asked, the same numbers."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(
            _alike(one[key], other[key], same) for key in one
        )  # fmt: skip
    shape = np.shape(one)
    return bool(shape) and shape == np.shape(other) and (not same or bool(np.array_equal(one, other)))


def hand_on(wrapper: Any) -> None:
    """Let a VecNormalize hand observations on as they are, since the agent's `predict` normalises what it is given.

    Its file (``wrapper.save``) is that of any VecNormalize.

    Example:
        >>> from stable_baselines3.common.env_util import make_vec_env
        >>> from stable_baselines3.common.vec_env import VecNormalize
        >>> env = VecNormalize(make_vec_env("CartPole-v1"))
        >>> hand_on(env)
        >>> bool((env.reset() == env.get_original_obs()).all()), isinstance(env, VecNormalize)
        (True, True)
    """
    wrapper.__class__ = _handing_on(type(wrapper))


def _handing_on(cls: Any) -> type:
    """VecNormalize, or a class of a user's derived from it, that leaves observations as they are."""
    if getattr(cls, "hands_on", False):
        return cls
    if cls not in _made:

        def normalize_obs(self: Any, obs: Any) -> Any:
            return copy.deepcopy(obs)

        def save(self: Any, save_path: str) -> None:
            kind, self.__class__ = type(self), cls
            try:
                cls.save(self, save_path)
            finally:
                self.__class__ = kind

        def __reduce_ex__(self: Any, protocol: Any) -> Any:  # noqa: N807 - a copy is what it was
            return copyreg._reconstructor, (cls, object, None), self.__getstate__()  # type: ignore[attr-defined]

        more = {"normalize_obs": normalize_obs, "save": save, "__reduce_ex__": __reduce_ex__, "hands_on": True}
        _made[cls] = type(cls.__name__, (cls,), {"__doc__": cls.__doc__, "__module__": cls.__module__, **more})
    return _made[cls]


_made: dict[type, type] = {}
