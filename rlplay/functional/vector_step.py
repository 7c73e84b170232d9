"""What a step of several environments at once has in common, whatever learns from it: how networks see observations.

A step is two functions, compiled into one native loop (`rlplay.compiled.vector_loop`), or the same lines as plain
Python for a torch network or any Gymnasium environment:

    choose   an action for each environment
    finish   keep the step, and learn
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.vector_loop import StepBuffer
from rlplay.functional.running_moments import normalise

Scalar = NDArray[np.float64]
Decorator = Callable[..., Any]
K = TypeVar("K", bound=Any)  # a kernel of networks: of one, of several, or with a memory


class FeatureState(NamedTuple):
    """A feature map between the observations and the networks, see `rlplay.approximation.feature_encoder`.

    Attributes:
        codes: the fitted map, as its sample function takes it.
        samples: the newest observations, a ring, float32 or float64 [W, D].
        counts: observations seen first, int64.
        due: how many will have been seen when the map is fitted again, int64 [1].
        shift, scale: of each number, float64 [D].
        point: a standardised observation, float64 [D].

    Example:
        >>> ring, zeros = np.zeros((8, 2), np.float32), np.zeros(2)
        >>> state = FeatureState(None, ring, np.zeros(1, np.int64), np.array([8]), zeros, np.ones(2), zeros.copy())
        >>> state.counts[0] >= state.due[0]  # nothing has been seen
        np.False_
    """

    codes: Any
    samples: NDArray[Any]
    counts: NDArray[np.int64]
    due: NDArray[np.int64]
    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    point: NDArray[np.float64]


class Iteration(NamedTuple):
    """A step of all environments, compiled or plain; see the head of this file.

    Attributes:
        choose: ``choose(memory)`` writes ``memory.actions``.
        finish: ``finish(memory, step_buffer, progress)`` learns; False where the loop has to stop: numbers are not
            finite, or the feature map is to be fitted again.
        look: ``look(memory, observation [D], out [F])``, an observation as the networks see it.
        learn: what `finish` calls to learn; its machine code is its own.

    Example:
        >>> from agents.a2c import A2C, make_update
        >>> from rlplay.functional.on_policy_step import iteration
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> agent = A2C("CartPole-v1", n_envs=1, net_arch=[4], seed=0)
        >>> step, seen = iteration(agent.kernel, CATEGORICAL, make_update, plain, None), np.zeros(4, np.float32)
        >>> step.look(agent.memory, np.float32([1, 2, 3, 4]), seen)
        >>> isinstance(step, Iteration), seen.tolist()
        (True, [1.0, 2.0, 3.0, 4.0])
    """

    choose: Callable[[Any], None]
    finish: Callable[[Any, StepBuffer, float], bool]
    look: Callable[..., None]
    learn: Callable[..., None]


def plain(function: Callable[..., Any]) -> Callable[..., Any]:
    """The decorator of plain Python, in place of `rlplay.compiled.cache.compiled`: the function as it is.

    Example:
        >>> def double(x):
        ...     return 2 * x
        >>> plain(double) is double
        True
    """
    return function


def uncompiled(kernel: K) -> K:
    """The functions of a network for an iteration that is `plain`, with the numbers that they have in compiled code.

    There a squared length is a float32; plain Python would make a float64 of it.

    Example:
        >>> from agents import A2C
        >>> agent = A2C("CartPole-v1", net_arch=[4], seed=0)
        >>> uncompiled(agent.kernel).squared_length(agent.memory.value)
        np.float32(0.0)
    """
    if not hasattr(kernel.squared_length, "py_func"):  # torch's
        return kernel
    found: K = kernel._replace(squared_length=lambda net: np.float32(kernel.squared_length(net)))
    return found


def followed(function: Callable[..., None], by: Callable[..., None]) -> Callable[..., None]:
    """A function, and another one after it with the same arguments.

    Example:
        >>> followed(print, lambda word: print("after", word))("this")
        this
        after this
    """

    def both(*given: Any) -> None:
        function(*given)
        by(*given)

    return both


class Sight(NamedTuple):
    """How networks see observations; ``memory`` has ``moments`` and ``features``.

    Attributes:
        look: ``look(memory, observation [D], out [F])``.
        keep: ``keep(memory, observation [D])``: a feature map sees it.
        is_due: ``is_due(memory)``: whether the feature map is to be fitted again.
    """

    look: Callable[..., None]
    keep: Callable[..., None]
    is_due: Callable[..., bool]


def sight(decorator: Decorator, fill: Callable[..., None] | None) -> Sight:
    """The functions: through a feature map's ``fill(codes, point [D], out [F])``, or through the running moments.

    Example:
        >>> from agents import A2C
        >>> memory, seen = A2C("CartPole-v1", seed=0).memory, np.zeros(4, np.float32)
        >>> sight(plain, None).look(memory, np.float32([1, 2, 3, 4]), seen)
        >>> seen.tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    return _through_features(decorator, fill) if fill is not None else _through_moments(decorator)


def _through_moments(decorator: Decorator) -> Sight:
    """Networks see observations, normalised or not."""

    @decorator
    def look(memory: Any, obs: NDArray[Any], out: NDArray[np.float32]) -> None:
        normalise(memory.moments, obs, out)

    @decorator
    def keep(memory: Any, obs: NDArray[Any]) -> None:
        pass

    @decorator
    def is_due(memory: Any) -> bool:
        return False

    return Sight(look, keep, is_due)


def _through_features(decorator: Decorator, fill: Callable[..., None]) -> Sight:
    """Networks see features."""

    @decorator
    def look(memory: Any, obs: NDArray[Any], out: NDArray[np.float32]) -> None:
        features: Any = memory.features
        for i in range(obs.shape[0]):
            features.point[i] = (obs[i] - features.shift[i]) / features.scale[i]
        fill(features.codes, features.point, out)

    @decorator
    def keep(memory: Any, obs: NDArray[Any]) -> None:
        features: Any = memory.features
        features.samples[features.counts[0] % features.samples.shape[0]] = obs
        features.counts[0] += 1

    @decorator
    def is_due(memory: Any) -> bool:
        features: Any = memory.features
        return features.counts[0] >= features.due[0]

    return Sight(look, keep, is_due)
