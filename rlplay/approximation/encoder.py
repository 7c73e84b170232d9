"""How an agent takes observations: as the number of a state, as a vector, or as the few features that are active.

An agent has one encoder, made once. The fixed ones are here; `rlplay.approximation.feature_encoder` has those that are
fitted on what the agent sees. A fixed encoder is ready from the start and has nothing to fit, save or restore: that is
what the methods of the base class say.

    kind       one observation            a batch of B
    index      int                        int64 [B]
    vector     float32 [D]                float32 [B, D]
    active     Active: [T] and [T]        Active: [B, T] and [B, T]
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encodings import Active
from rlplay.errors import SpaceError
from rlplay.spaces.finite import finite
from rlplay.spaces.observations import VectorView, batch_of
from rlplay.storage.ranges import Ranges

Kind = Literal["index", "vector", "active"]
NEVER = 2**62  # observations: a fit that does not come


class Encoder(ABC):
    """What stands between an environment's observations and a learning rule.

    Attributes:
        kind: what an observation becomes: ``index``, ``vector`` or ``active``.
        size: how many states, numbers or features there are.
        width: how many features are active at a time.
        view: observations as vectors, where they can be.
        warm_up: observations before its first fit.
        rng: draws actions while the encoder is not ready, uint64 [4].

    Example:
        >>> from agents import QLearning
        >>> encoder = QLearning("FrozenLake-v1", seed=0).encoder  # a subclass: numbers of states
        >>> encoder.kind, encoder.size, encoder.encode_batch([3, 1]).tolist()
        ('index', 16, [3, 1])
    """

    kind: Kind
    size: int
    width: int = 1
    warm_up: int = 0
    view: VectorView
    rng: NDArray[np.uint64]

    @abstractmethod
    def encode(self, obs: Any) -> Any:
        """One observation as it comes out of the environment, as the rule takes it."""

    @abstractmethod
    def encode_batch(self, observations: Any) -> Any:
        """One observation or a batch of them, always as a batch.

        Raises:
            SpaceError: not in the space.
        """

    def encode_vectors(self, vectors: NDArray[Any]) -> Any:
        """Observations that are vectors already (`view`), [B, D], as a batch."""
        return vectors

    # Fitting.

    @property
    def ready(self) -> bool:
        """Whether it can encode; before that an agent plays at random."""
        return True

    @property
    def in_use(self) -> bool:
        """Whether an agent has learned with it: it is ready, and was before the last observation."""
        return True

    def steps_to_fit(self) -> int:
        """Observations until the next fit; `NEVER` where none will come."""
        return NEVER

    def remember(self, obs: Any) -> bool:
        """See one observation; returns whether a fit is due."""
        return False

    def remember_vector(self, vector: NDArray[Any]) -> None:  # noqa: B027 - a fixed encoder sees nothing
        """See one observation that is a vector already, [D]."""

    def due(self) -> bool:
        """Whether a fit is due after the observation seen last."""
        return False

    def fit(self) -> NDArray[np.int64] | None:
        """Fit; for each new state the nearest old one [K], None where states are none or were none."""
        return None

    def check_drift(self) -> bool:
        """Whether the newest observations lie elsewhere than those that it was fitted on; said once."""
        return False

    # Compiled code.

    @property
    def why_not_compiled(self) -> str:
        """Why it cannot stand in the native loop; empty where it can."""
        return ""

    # Files.

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a file keeps beside the models."""
        return {}

    def ranges(self) -> Ranges:
        """What whole numbers those arrays hold."""
        return {}

    def check(self) -> None:  # noqa: B027 - a fixed encoder reads nothing
        """Refuse what was loaded where it does not fit."""

    def models(self) -> dict[str, Any]:
        """The fitted estimator by name."""
        return {}

    def restore(self, models: dict[str, Any]) -> None:  # noqa: B027 - a fixed encoder has none
        """Take the fitted estimator of a file."""

    # Pictures.

    def state_partition(self, observations: Any) -> tuple[NDArray[np.int64], str]:
        """What is put together: a number for each of the observations [B], -1 for nothing, and what it counts."""
        return np.full(len(observations), -1), ""

    def similarity(self, observations: Any, obs: Any) -> NDArray[np.float64] | None:
        """How much of what is learned at an observation counts at others too, [B]; None where it says nothing."""
        return None

    def seen(self) -> NDArray[Any] | None:
        """Observations that were kept, [N, D]; None where none are."""
        return None

    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Where clusters lie now and where they lay before the last fit, [K, D] each; None where there are none."""
        return None

    def describe(self, obs: Any) -> str:
        """What the agent sees of an observation, in words; empty where it sees the observation itself."""
        return ""


class StateNumbers(Encoder):
    """Finite observations by their numbers, int.

    Args:
        space: the observations.
        owner: who asks, for errors.

    Raises:
        SpaceError: the space is not finite; says what fits.

    Example:
        >>> encoder = StateNumbers(gym.spaces.MultiDiscrete([3, 4]), "Sarsa")
        >>> encoder.size, encoder.encode(np.array([1, 2]))
        (12, 6)
    """

    kind: Kind = "index"

    def __init__(self, space: gym.Space[Any], owner: str) -> None:
        self.numbering, self.space, self.owner = finite(space, owner, "observations"), space, owner
        self.size, self._is_number = self.numbering.n, self.numbering.plain

    def encode(self, obs: Any) -> int:
        """The number of an observation; the observation itself where they are the same."""
        return obs if self._is_number else self.numbering.index(obs)

    def encode_batch(self, observations: Any) -> NDArray[np.int64]:
        """The numbers of a batch, int64 [B]."""
        batch, _ = batch_of(self.space, observations, self.owner)
        return np.array([self.numbering.index(obs) for obs in batch], dtype=np.int64)


class ActiveStates(Encoder):
    """Finite observations as active features: each state is one feature, which is 1 there and 0 elsewhere.

    Args:
        space: the observations.
        owner: who asks, for errors.

    Raises:
        SpaceError: the space is not finite; says what fits.

    Example:
        >>> ActiveStates(gym.spaces.Discrete(4), "LinearSarsa").encode(2)
        Active(number=array([2]), value=array([1.]))
    """

    kind: Kind = "active"

    def __init__(self, space: gym.Space[Any], owner: str) -> None:
        self._numbers = StateNumbers(space, owner)
        self.size, self._index = self._numbers.size, self._numbers.numbering.index

    def encode(self, obs: Any) -> Active:
        """The feature of an observation, [1]."""
        return Active(np.array([self._index(obs)]), np.ones(1))

    def encode_batch(self, observations: Any) -> Active:
        """The features of a batch, [B, 1]."""
        index = self._numbers.encode_batch(observations)[:, None]
        return Active(index, np.ones(index.shape))


class ObservationVectors(Encoder):
    """Observations as vectors, float32 [D]; finite ones one-hot, Dicts and Tuples joined (`VectorView`).

    Args:
        space: the observations.
        owner: who asks, for errors.
        channels_last: turn pictures whose channels come first.
        wide: vectors are scaled later: float64 where float32 does not hold the observations.

    Raises:
        SpaceError: the space is neither a vector nor finite; says what fits.

    Example:
        >>> ObservationVectors(gym.spaces.Discrete(3), "PPO").encode(1)
        array([0., 1., 0.], dtype=float32)
    """

    kind: Kind = "vector"

    def __init__(self, space: gym.Space[Any], owner: str, *, channels_last: bool = False, wide: bool = False) -> None:
        self.view = VectorView(space, owner, channels_last=channels_last, wide=wide)
        self.size = self.view.size
        if not self.size:
            raise SpaceError(f"{owner} needs something to see, and {space} has no numbers", "Observe a constant, 0.0")

    def encode(self, obs: Any) -> NDArray[Any]:
        """One observation, [D]."""
        return self.view.vector(obs)

    def encode_batch(self, observations: Any) -> NDArray[Any]:
        """A batch, [B, D]."""
        return self.view.vectors(observations)


class PlainObservations(Encoder):
    """Observations as the environment gives them, for agents that read them themselves.

    Example:
        >>> PlainObservations(gym.spaces.Discrete(3), "SB3").encode(2)
        2
    """

    kind: Kind = "vector"

    def __init__(self, space: gym.Space[Any], owner: str) -> None:
        self.space, self.owner, self.size = space, owner, 0

    def encode(self, obs: Any) -> Any:
        """The observation itself."""
        return obs

    def encode_batch(self, observations: Any) -> Any:
        """The batch itself."""
        batch, _ = batch_of(self.space, observations, self.owner)
        return batch


__all__ = ["NEVER", "ActiveStates", "Encoder", "Kind", "ObservationVectors", "PlainObservations",
           "StateNumbers"]  # fmt: skip
