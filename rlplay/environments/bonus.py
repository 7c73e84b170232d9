"""Bonuses for what is new, which any agent can be given: rewards become r + weight · b(s').

    count         b = 1 / √n(φ(s')), n visits of the cell, cluster or leaf φ
    distillation  b = how badly a network predicts another, fixed one, in deviations
    deviation     b = how much models of s' given (s, a) disagree, or how unsure one is, in deviations

    rlplay.make("MountainCar-v0", bonus="count:tile-coding:12,n_tilings=1,weight=1")

Source: Strehl & Littman 2008 and Tang et al. 2017 (counts); Burda, Edwards, Storkey & Klimov 2019 (distillation);
Pathak, Gandhi & Gupta 2019 (disagreement).

The environment is wrapped; ``info["extrinsic_reward"]`` has the reward without the bonus, and it is what returns in
logs, windows and evaluations are made of. What a bonus has learned is part of an agent's file.
"""

from __future__ import annotations

import copy
import re
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.approximation.encoders import new_encoder
from rlplay.approximation.estimators import seeded
from rlplay.approximation.feature_map import OPTIONS, FeatureMap, as_feature_map
from rlplay.approximation.packing import pack, unpack
from rlplay.errors import HyperparameterError, UsageError, unknown
from rlplay.models.names import parse
from rlplay.seeding import generator
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import VectorView
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import COUNT, Ranges, check_ranges

Arrays = dict[str, NDArray[Any]]


class Bonus:
    """What is new about a step; bound to an environment by `Novelty`.

    Attributes:
        kind: its name in texts.
        weight: by what it is multiplied.
    """

    kind: ClassVar[str]

    def __init__(self, model: Any, *, weight: float = 1.0) -> None:
        if not (isinstance(weight, int | float) and weight >= 0):
            raise HyperparameterError(f"bonus: weight={weight!r} is not a number of 0 or more")
        self.model, self.weight = model, float(weight)

    def bind(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Take an environment's spaces, before its first step, and the seed of what is drawn."""
        self.view, self.seed = VectorView(env.observation_space, "bonus", wide=True), seed
        self.actions = FiniteSpace(env.action_space) if is_finite(env.action_space) else None

    def of(self, obs: Any, action: Any, next_obs: Any) -> float:
        """The bonus of a step, without the weight; learns from it."""
        raise NotImplementedError

    def arrays(self) -> Arrays:
        """What was learned, as arrays."""
        return {}

    def ranges(self) -> Ranges:
        """What whole numbers those arrays hold."""
        return {}

    def check(self) -> None:
        """Refuse what was loaded where it does not fit."""

    def models(self) -> dict[str, Any]:
        """What was learned, as fitted estimators."""
        return {}

    def restore(self, models: dict[str, Any]) -> None:
        """Take fitted estimators."""


class CountBonus(Bonus):
    """1 / √n for the n-th visit of a cell.

    Args:
        model: cells by any clusterer, tree or grid; a finite observation is a cell of its own and needs none.
        weight: by what it is multiplied.
    """

    kind = "count"

    def bind(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Make the cells and their counts."""
        super().bind(env, seed)
        space = env.observation_space
        plan = None if is_finite(space) else as_feature_map(self.model or "tile-coding:10,n_tilings=1")
        self.encoder = new_encoder("index", space, plan, "bonus", seed)
        self.visits = np.zeros(self.encoder.size)

    def of(self, obs: Any, action: Any, next_obs: Any) -> float:
        """The bonus of a step; learns from it."""
        if self.encoder.remember(next_obs):
            nearest = self.encoder.fit()
            if nearest is not None:
                self.visits[:] = self.visits[nearest]
        if not self.encoder.ready:
            return 0.0
        cell = self.encoder.encode(next_obs)
        self.visits[cell] += 1.0
        return float(self.visits[cell] ** -0.5)

    def arrays(self) -> Arrays:
        """What was learned, as arrays."""
        return {"visits": self.visits, **self.encoder.arrays()}

    def ranges(self) -> Ranges:
        """What whole numbers those arrays hold."""
        return {"visits": COUNT, **self.encoder.ranges()}

    def check(self) -> None:
        """Refuse cells that do not fit."""
        self.encoder.check()

    def models(self) -> dict[str, Any]:
        """What was learned, as fitted estimators."""
        return self.encoder.models()

    def restore(self, models: dict[str, Any]) -> None:
        """Take fitted estimators."""
        self.encoder.restore(models)


class _Learned(Bonus):
    """A bonus that learns from the newest steps, every so often.

    Args:
        model: what learns.
        weight: by what it is multiplied.
        train_freq: steps between two fits, and how many of the newest steps each sees at least.
    """

    def __init__(self, model: Any, *, weight: float = 1.0, train_freq: int = 200) -> None:
        super().__init__(model, weight=weight)
        if not (isinstance(train_freq, int) and train_freq >= 2):
            raise HyperparameterError(f"bonus: train_freq={train_freq!r} is not a whole number of 2 or more")
        self.train_freq = train_freq

    def bind(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Make the buffer of the newest steps."""
        super().bind(env, seed)
        self.space = env.action_space
        width = self.view.size + (self.actions.n if self.actions is not None else gym.spaces.flatdim(self.space))
        self.inputs = np.zeros((self.train_freq, width))
        self.outcomes = np.zeros((self.train_freq, self.view.size))
        self.moments = np.array([0.0, 0.0, 1.0])  # bonuses seen, their mean, and mean square
        self.fits = np.zeros(1, np.int64)
        self.fitted: list[Any] = []

    def _input(self, obs: Any, action: Any) -> NDArray[np.float64]:
        if self.actions is not None:
            encoded = np.zeros(self.actions.n)
            encoded[self.actions.index(action)] = 1.0
        else:
            encoded = np.asarray(gym.spaces.flatten(self.space, action))
        return np.concatenate([self.view.vector(obs), encoded])

    def of(self, obs: Any, action: Any, next_obs: Any) -> float:
        """The bonus of a step; learns from it."""
        place = int(self.moments[0]) % self.train_freq
        self.inputs[place], self.outcomes[place] = self._input(obs, action), self.view.vector(next_obs)
        found = self._novelty(self.inputs[place], self.outcomes[place]) if self.fitted else 0.0
        self.moments[0] += 1.0
        if self.fitted:
            share = max(1.0 / self.moments[0], 1e-4)
            self.moments[1] += share * (found - self.moments[1])
            self.moments[2] += share * (found**2 - self.moments[2])
        if place == self.train_freq - 1:
            self.fits[0] += 1
            self._train()
        spread = float(np.sqrt(max(self.moments[2] - self.moments[1] ** 2, 1e-12)))
        return found / spread if self.fitted else 0.0

    def _novelty(self, given: NDArray[np.float64], outcome: NDArray[np.float64]) -> float:
        raise NotImplementedError

    def _train(self) -> None:
        raise NotImplementedError

    def arrays(self) -> Arrays:
        """What was learned, as arrays."""
        return {"inputs": self.inputs, "outcomes": self.outcomes, "moments": self.moments, "fits": self.fits}

    def ranges(self) -> Ranges:
        """What whole numbers those arrays hold."""
        return {"fits": COUNT}

    def check(self) -> None:
        """Refuse a count of steps that is none."""
        check_ranges({"moments": self.moments[:1]}, {"moments": COUNT})

    def models(self) -> dict[str, Any]:
        """What was learned, as fitted estimators."""
        return {str(i): model for i, model in enumerate(self.fitted)}

    def restore(self, models: dict[str, Any]) -> None:
        """Take fitted estimators."""
        self.fitted = [models[str(i)] for i in range(len(models))]


class DistillationBonus(_Learned):
    """Random network distillation: the error of a network that learns what a fixed one says of observations.

    Args:
        model: `rlplay.models.deep.RandomNetworkDistillation`, or anything with ``partial_fit`` and ``novelty``.
        weight: by what it is multiplied; the error is in deviations of what it was so far.
        train_freq: steps between two passes over the newest steps.
    """

    kind = "distillation"

    def bind(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Take the network, or the default one."""
        super().bind(env, seed)
        if self.model is None:
            self.model, _ = parse("random-network-distillation")
        if not (hasattr(self.model, "novelty") and hasattr(self.model, "partial_fit")):
            raise HyperparameterError(
                f"bonus: {type(self.model).__name__} has no novelty and partial_fit", "Take random-network-distillation"
            )

    def _novelty(self, given: NDArray[np.float64], outcome: NDArray[np.float64]) -> float:
        return float(self.fitted[0].novelty(outcome[None])[0])

    def _train(self) -> None:
        if not self.fitted:
            self.fitted = [seeded(self.model, generator(self.seed, "distillation"))]
        self.fitted = [copy.deepcopy(self.fitted[0]).partial_fit(self.outcomes)]


class DeviationBonus(_Learned):
    """How unsure models are of what comes next: an ensemble's disagreement, or the deviation that a model states.

    What comes next is one number, a fixed random direction of s'.

    Args:
        model: any regressor; one whose ``predict`` has ``return_std`` (a Gaussian process) states its deviation, of
            others five are fitted, each to a sample of its own.
        weight: by what it is multiplied.
        train_freq: steps between two fits.
    """

    kind = "deviation"
    _members = 5

    def bind(self, env: gym.Env[Any, Any], seed: int) -> None:
        """Take the model, or the default one, and draw the direction."""
        super().bind(env, seed)
        if self.model is None:
            self.model, _ = parse("extra-trees:10")
        self.direction = generator(seed, "direction").normal(size=self.view.size)
        self._states_it = (
            "return_std" in getattr(type(self.model).predict, "__code__", compile("", "", "exec")).co_varnames
        )

    def _novelty(self, given: NDArray[np.float64], outcome: NDArray[np.float64]) -> float:
        if self._states_it:
            return float(self.fitted[0].predict(given[None], return_std=True)[1][0])
        return float(np.std([float(np.ravel(model.predict(given[None]))[0]) for model in self.fitted]))

    def _train(self) -> None:
        y, rng = self.outcomes @ self.direction, generator(self.seed, f"fit {self.fits[0]}")
        if self._states_it:
            self.fitted = [seeded(self.model, rng).fit(self.inputs, y)]
            return
        samples = [rng.integers(len(y), size=len(y)) for _ in range(self._members)]
        self.fitted = [seeded(self.model, rng).fit(self.inputs[sample], y[sample]) for sample in samples]


KINDS: dict[str, type[Bonus]] = {cls.kind: cls for cls in (CountBonus, DistillationBonus, DeviationBonus)}


def as_bonus(value: Any) -> Bonus:
    """A bonus from what a user gives: itself, or text ``KIND[:MODEL][,key=value...]``.

    Raises:
        UsageError: no such kind, model or option.
    """
    if isinstance(value, Bonus):
        return copy.deepcopy(value)
    if not isinstance(value, str):
        raise UsageError(f"bonus={value!r} is neither a bonus nor a text", "For example bonus='count:k-means:64'")
    kind = re.split("[:,]", value, maxsplit=1)[0]
    rest = value[len(kind) + 1 :]
    if kind not in KINDS:
        raise unknown("kind of bonus", kind, KINDS)
    names = ("weight",) if kind == "count" else ("weight", "train_freq")
    if value[len(kind) :].startswith(":"):
        model, given = parse(rest, (*names, *OPTIONS) if kind == "count" else names)
    else:  # the kind's own model: count,weight=0.5
        model, given = None, parse(f"ridge:{rest}", names)[1]
    own = {key: given.pop(key) for key in list(given) if key in names}
    if model is not None and kind == "count":
        model = FeatureMap(model, **given)
    return KINDS[kind](model, **own)


class Novelty(gym.Wrapper[Any, Any, Any, Any]):
    """An environment whose rewards have a bonus for what is new.

    Args:
        env: any environment.
        bonus: a `Bonus`, or text for `as_bonus`.
        seed: of what the bonus draws.

    Example:
        >>> import rlplay
        >>> env = Novelty(rlplay.make("CliffWalking-v1"), "count,weight=0.5")
        >>> _ = env.reset(seed=0)
        >>> obs, reward, _, _, info = env.step(0)  # costs 1, and leads to a new cell
        >>> reward, info["extrinsic_reward"], info["bonus"]
        (-0.5, -1.0, 0.5)
    """

    def __init__(self, env: gym.Env[Any, Any], bonus: Any, *, seed: int = 0) -> None:
        super().__init__(env)
        self.bonus = as_bonus(bonus)
        self.bonus.bind(env, seed)
        self._obs: Any = None

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; what is known stays known."""
        self._obs, info = self.env.reset(**kwargs)
        return self._obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step, with the bonus in its reward."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        found = self.bonus.weight * self.bonus.of(self._obs, action, obs)
        self._obs = obs
        info = {**info, "extrinsic_reward": float(reward), "bonus": found}
        return obs, float(reward) + found, terminated, truncated, info

    # Files.

    def pack(self, arrays: Arrays, prefix: str) -> dict[str, Any]:
        """What was learned as JSON values; arrays are added under the prefix."""
        arrays.update({f"{prefix}/{name}": array for name, array in self.bonus.arrays().items()})
        return {name: pack(model, arrays, f"{prefix}/models/{name}") for name, model in self.bonus.models().items()}

    def unpack(self, packed: dict[str, Any], arrays: Arrays, prefix: str) -> None:
        """Take what `pack` gave.

        Raises:
            CheckpointError: another bonus was saved.
        """
        self.bonus.restore({name: unpack(one, arrays) for name, one in packed.items()})
        own = {name.removeprefix(f"{prefix}/"): array for name, array in arrays.items() if name.startswith(prefix)}
        check_ranges(own, self.bonus.ranges())
        for name, target in self.bonus.arrays().items():
            copy_into(name, own, target)
        self.bonus.check()


def novelty_of(env: gym.Env[Any, Any]) -> Novelty | None:
    """The bonus around an environment, if it has one."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, Novelty):
            return env
        env = env.env
    return None
