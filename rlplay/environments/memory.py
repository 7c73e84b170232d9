"""Memory as features: observations that hold what was seen before, for any agent.

    window                  the last k observations, and the actions between them if asked for
    hidden-markov-model     the belief of each hidden state, or the most probable one (``encoding=label``)
    gru-autoencoder, lstm-autoencoder
                            the code of all that was seen in the episode

    rlplay.make("rlplay/RepeatSignal-v0", memory="window:5")

Each environment has a memory of its own, which begins anew with every episode. A model is fitted before the first
episode, on random play that does not count as timesteps, unless it is fitted already; then it stays. It is in the
agent's file, and an episode that goes on from a file has the same memory to the bit: it is played again.

Source: windows, McCallum 1995; beliefs, Kaelbling, Littman & Cassandra 1998; codes, Srivastava et al. 2015.
"""

from __future__ import annotations

import warnings
from collections import deque
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import yaml
from gymnasium import spaces
from numpy.typing import NDArray

from rlplay.approximation.estimators import final_step, is_fitted, seeded
from rlplay.approximation.packing import build, describe, pack, unpack
from rlplay.errors import CheckpointError, HyperparameterError, UsageError, counted, one_line
from rlplay.models.names import parse
from rlplay.seeding import generator
from rlplay.spaces.actions import as_played
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.spaces.observations import VectorView
from rlplay.storage.texts import plain_yaml

if TYPE_CHECKING:  # its module imports scikit-learn
    from rlplay.models.common import Follower

Arrays = dict[str, NDArray[Any]]

WINDOW = "window"
OPTIONS = ("actions", "observation", "encoding", "warm_up", "longest")
_LONGEST_WINDOW = 1000
_MOST_NUMBERED = 10_000_000  # values of finite observations beyond which a window holds vectors
_MOST_SYMBOLS = 10_000  # of finite observations with actions, for categorical emissions
_SCALES = "input_mean", "input_deviation", "code_mean", "code_deviation"
_SOME = "For example memory='window:4', 'hidden-markov-model:6' or 'gru-autoencoder:8'"


class _Fitted:
    """What a model of a memory has learned; without ``__dict__``, since it is no argument of an environment.

    Attributes:
        model: fitted; None before.
        scales: mean and deviation of each of its inputs, then of each number of its codes, float64; empty for none.
    """

    __slots__ = ("model", "scales")

    def __init__(self) -> None:
        self.model: Any = None
        self.scales: list[NDArray[np.float64]] = [np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)]


class MemoryMap:
    """What is remembered, and how: shared by all environments that are made of one.

    Args:
        model: a number k for the last k observations; or a model of sequences with ``fit`` and ``follower``, ours or
            your own, which is cloned unless it is fitted.
        actions: whether the actions are remembered too.
        observation: whether the observation of now stands beside what the model says.
        encoding: ``"label"`` for the number of the largest of a model's outputs, the most probable state; ``"auto"``
            for all of them.
        warm_up: steps of random play that a model is fitted on.
        longest: steps of an episode that it is fitted on at most.

    Raises:
        HyperparameterError: nothing of the kind, or an option out of its range.

    Example:
        >>> MemoryMap(3), MemoryMap(3, actions=True).describe()
        (MemoryMap(3), {'window': 3, 'actions': True})
    """

    def __init__(
        self, model: Any, *, actions: bool = False, observation: bool = True, encoding: str = "auto",
        warm_up: int = 2000, longest: int = 64,
    ) -> None:  # fmt: skip
        self.window = int(model) if isinstance(model, int | np.integer) and not isinstance(model, bool) else 0
        if (self.window and not 1 <= self.window <= _LONGEST_WINDOW) or (not self.window and model == 0):
            raise HyperparameterError(f"memory: a window of {model!r} observations is not 1 to {_LONGEST_WINDOW}")
        if not self.window and (isinstance(model, type) or not (hasattr(model, "fit") and hasattr(model, "follower"))):
            raise HyperparameterError(f"memory={model!r:.80} is neither a window nor a model of sequences", _SOME)
        for name, value, least in (("warm_up", warm_up, 2), ("longest", longest, 1)):
            if isinstance(value, bool) or not (isinstance(value, int | np.integer) and value >= least):
                raise HyperparameterError(f"memory: {name}={value!r} is not a whole number of {least} or more")
        for name, flag in (("actions", actions), ("observation", observation)):
            if not isinstance(flag, bool):
                raise HyperparameterError(f"memory: {name}={flag!r} is neither true nor false")
        if encoding not in ("auto", "label"):
            raise HyperparameterError(f"memory: encoding={encoding!r} is not one of auto, label")
        if self.window and (encoding != "auto" or not observation):
            raise HyperparameterError("memory: a window holds observations, and has no encoding", _SOME)
        self.model = None if self.window else model
        self.actions, self.observation, self.encoding = actions, observation, encoding
        self.warm_up, self.longest = int(warm_up), int(longest)
        self.text = ""
        self.fitted = _Fitted()
        if self.model is not None and is_fitted(self.model):
            self.fitted.model = self.model

    def said(self) -> str | dict[str, Any]:
        """The text that it was given as, else `describe`."""
        return self.text or self.describe()

    def describe(self) -> dict[str, Any]:
        """What it is as JSON values, unfitted."""
        if self.window:
            return {"window": self.window, "actions": self.actions}
        return {
            **describe(self.model), "actions": self.actions, "observation": self.observation,
            "encoding": self.encoding, "warm_up": self.warm_up, "longest": self.longest,
        }  # fmt: skip

    def __repr__(self) -> str:
        return f"MemoryMap({self.window or self.model!r}{', actions=True' if self.actions else ''})"

    # Files.

    def pack(self, arrays: Arrays, prefix: str) -> dict[str, Any] | None:
        """What was fitted as JSON values; arrays are added under the prefix. None where nothing was."""
        if self.fitted.model is None:
            return None
        arrays.update({f"{prefix}/{name}": one for name, one in zip(_SCALES, self.fitted.scales, strict=True)})
        return pack(self.fitted.model, arrays, f"{prefix}/model")

    def unpack(self, packed: dict[str, Any], arrays: Arrays, prefix: str) -> None:
        """Take what `pack` gave.

        Raises:
            CheckpointError: another memory was saved, or numbers that cannot be.
        """
        if self.window:
            raise CheckpointError(f"the file holds a fitted memory, and the environment has {self!r}")
        model = unpack(packed, arrays)
        scales = [np.array(arrays[f"{prefix}/{name}"], np.float64) for name in _SCALES]
        if type(model) is not type(self.model) or any(one.ndim != 1 for one in scales):
            raise CheckpointError(f"the memory in the file, {type(model).__name__}, does not fit {self!r}: refused")
        for mean, deviation in (scales[:2], scales[2:]):
            if mean.shape != deviation.shape or not ((deviation > 0).all() and np.isfinite(mean).all()):
                raise CheckpointError("the memory in the file has a deviation that is not above 0: refused")
        self.fitted.model, self.fitted.scales = model, scales


def as_memory(value: Any) -> MemoryMap:
    """A memory from what a user gives: itself, a number, a model, JSON, or text ``KIND[:first][,key=value...]``.

    Raises:
        HyperparameterError: nothing that can be taken for one.
        UsageError: a text with an unknown model or option.

    Example:
        >>> as_memory("window:4,actions=true"), as_memory("hidden-markov-model:6,warm_up=500").warm_up
        (MemoryMap(4, actions=True), 500)
    """
    if isinstance(value, MemoryMap):
        return value
    options: dict[str, Any] = {}
    text = value if isinstance(value, str) else ""
    if isinstance(value, str) and value.split(":")[0].split(",")[0].strip() == WINDOW:
        value, options = _window(value)
    elif isinstance(value, str):
        value, options = parse(value, OPTIONS)
    elif isinstance(value, dict) and value.keys() & {"model", WINDOW}:
        options = {k: v for k, v in value.items() if k not in ("model", "params", WINDOW)}
        value = value[WINDOW] if WINDOW in value else build(value)
    try:
        found = MemoryMap(value, **options)
        found.text = text
        return found
    except TypeError as error:
        raise HyperparameterError(f"memory: {one_line(error)}", _SOME) from error


def _window(text: str) -> tuple[Any, dict[str, Any]]:
    first, *rest = (part.strip() for part in text.split(","))
    size, options = first.partition(":")[2] or "4", {}
    for part in rest:
        key, _, value = part.partition("=")
        if key.strip() != "actions" or not value:
            raise UsageError(f"memory={text!r}: {part!r} is not actions=true or actions=false", _SOME)
        try:
            options["actions"] = plain_yaml(value)
        except yaml.YAMLError as error:
            raise UsageError(f"memory={text!r}: {value!r} is no literal") from error
    if not size.strip().isdigit():
        raise UsageError(f"memory={text!r}: {size!r} is not a number of observations", _SOME)
    return int(size), options


class Memory(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """An environment whose observations hold what was seen before in the episode.

    Windows of finite observations are a Dict of numbers, so that tables count them and networks see each one-hot;
    all else is a vector, float32. What was not seen yet is 0 in a vector and the last number of a finite part.

    Args:
        env: any environment whose observations are vectors or finite.
        memory: a `MemoryMap`, a number of observations, a model of sequences, or text (`as_memory`).

    Raises:
        SpaceError: observations that are neither vectors nor finite.

    Example:
        >>> from rlplay import make
        >>> env = Memory(make("FrozenLake-v1"), "window:2,actions=true")
        >>> env.reset(seed=0)[0], env.step(1)[0]["action 1 ago"]  # 16 and 4: none yet
        ({'now': 0, '1 ago': 16, 'action 1 ago': 4}, 1)
    """

    def __init__(self, env: gym.Env[Any, Any], memory: Any = "window:4") -> None:
        self.memory = as_memory(memory)
        gym.utils.RecordConstructorArgs.__init__(self, _disable_deepcopy=True, memory=self.memory)
        gym.Wrapper.__init__(self, env)
        space, given = env.observation_space, self.memory
        self._view = VectorView(space, "memory", wide=True)
        self._actions = FiniteSpace(env.action_space) if is_finite(env.action_space) else None
        self._numbers = FiniteSpace(space) if is_finite(space) and FiniteSpace(space).n <= _MOST_NUMBERED else None
        acts = 0 if not given.actions else self._actions.n if self._actions else self._action_size()
        self._acts, self._width = acts, self._view.size + acts
        self._categorical = self._takes_symbols()
        self._by_number = bool(given.window) and self._numbers is not None and (not acts or self._actions is not None)
        self._last: deque[Any] = deque(maxlen=given.window or 1)
        self._state: NDArray[Any] = np.zeros(0)
        self._followed: Any = None
        self._follower: Follower | None = None
        self.observation_space = self._own_space()

    def _action_size(self) -> int:
        shape = self.env.action_space.shape or ()
        if not isinstance(self.env.action_space, spaces.Box):
            raise HyperparameterError(f"memory: actions {self.env.action_space} are neither finite nor a Box")
        return int(np.prod(shape))

    def _takes_symbols(self) -> bool:
        """Whether the model sees a number for each observation and action, and not a vector."""
        model: Any = None if self.memory.window else final_step(self.memory.model)
        if self._numbers is None or (self._acts and self._actions is None) or not hasattr(model, "emissions"):
            return False
        if hasattr(model, "emissionprob_"):
            return model.emissionprob_ is not None
        return model.emissions != "gaussian" and self._numbers.n * (self._acts + 1) <= _MOST_SYMBOLS

    def _own_space(self) -> spaces.Space[Any]:
        """The space of what is shown."""
        given, n = self.memory, self._numbers.n if self._numbers is not None else 0
        if self._by_number:
            parts = {_name(age): spaces.Discrete(n + (age > 0)) for age in range(given.window)}
            ages = range(1, given.window) if self._acts else ()
            return spaces.Dict({**parts, **{f"action {_name(age)}": spaces.Discrete(self._acts + 1) for age in ages}})
        if given.window:
            low, high = self._bounds()
            acts = -np.inf if self._acts and self._actions is None else 0.0, np.inf if self._actions is None else 1.0
            behind = self._acts * (given.window - 1)
            low = np.concatenate([np.tile(np.minimum(low, 0), given.window - 1), low, np.full(behind, acts[0])])
            high = np.concatenate([np.tile(np.maximum(high, 0), given.window - 1), high, np.full(behind, acts[1])])
            return spaces.Box(low.astype(np.float32), high.astype(np.float32))
        said = self._outputs()
        if given.encoding == "label":
            label = spaces.Discrete(said)
            if not given.observation:
                return label
            if self._numbers is not None:
                return spaces.Dict({"observation": spaces.Discrete(n), "state": label})
        low, high = self._bounds() if given.observation else (np.zeros(0), np.zeros(0))
        bound = 1.0 if given.encoding == "label" or hasattr(final_step(given.model), "transmat_init") else np.inf
        low = np.concatenate([low, np.full(said, 0.0 if bound == 1.0 else -np.inf)])
        high = np.concatenate([high, np.full(said, bound)])
        return spaces.Box(low.astype(np.float32), high.astype(np.float32))

    def _bounds(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bounds of an observation as a vector, [D] each."""
        space, size = self.env.observation_space, self._view.size
        if self._numbers is not None:
            return np.zeros(size), np.ones(size)
        if isinstance(space, spaces.Box) and space.dtype.kind == "f":
            return np.asarray(space.low, np.float64).ravel(), np.asarray(space.high, np.float64).ravel()
        return np.full(size, -np.inf), np.full(size, np.inf)

    def _outputs(self) -> int:
        """How many numbers the model says: a state each, or those of a code."""
        count = getattr(final_step(self.memory.model), "n_components", None)
        name = type(self.memory.model).__name__
        if count is None:
            raise HyperparameterError(f"memory={name} has no n_components, by which its outputs are counted", _SOME)
        if not isinstance(count, int | np.integer) or count < 1:
            raise HyperparameterError(f"memory={name}: n_components={count!r} is no whole number from 1 on", _SOME)
        return int(count)

    @property
    def stack_size(self) -> int | None:
        """How many observations stand one after the other in a vector; None where it holds something else too."""
        plain = self.memory.window and not self._acts and isinstance(self.observation_space, spaces.Box)
        return self.memory.window if plain else None

    # Steps.

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, and remember nothing of the last; before the first a model is fitted."""
        if not self.memory.window and (
            self.memory.fitted.model is None or self._followed is not self.memory.fitted.model
        ):
            if self.memory.fitted.model is None:
                self._fit()
            self._followed, self._follower = self.memory.fitted.model, self._checked_follower()
        obs, info = self.env.reset(**kwargs)
        self._last.clear()
        if self._follower is not None:
            self._state = self._follower.begin()
        return self._seen(None, obs), info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """One step, which is remembered."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._seen(action, obs), reward, terminated, truncated, info

    def _seen(self, action: Any, obs: Any) -> Any:
        """What is shown for one more observation, and the action before it (None for none)."""
        if self._by_number:
            assert self._numbers is not None
            done = None if action is None or not self._acts else self._index(action)
            self._last.append((self._numbers.index(obs), done))
            return self._numbered()
        if self.memory.window:
            self._last.append((np.array(self._view.vector(obs)), self._action_vector(action)))
            return self._windowed()
        assert self._follower is not None
        self._state, said = self._follower.step(self._state, self._input(action, obs))
        return self._said(obs, said)

    def _index(self, action: Any) -> int:
        assert self._actions is not None
        return self._actions.index(as_played(self.env.action_space, action))

    def _action_vector(self, action: Any) -> NDArray[np.float64]:
        found = np.zeros(self._acts)
        if action is None or not self._acts:
            return found
        if self._actions is None:
            return np.asarray(action, np.float64).ravel()
        found[self._index(action)] = 1.0
        return found

    def _numbered(self) -> dict[str, int]:
        assert self._numbers is not None
        steps, shown = list(self._last)[::-1], {}
        for age in range(self.memory.window):
            number, _ = steps[age] if age < len(steps) else (self._numbers.n, None)
            shown[_name(age)] = number
        for age in range(1, self.memory.window) if self._acts else ():
            done = steps[age - 1][1] if age - 1 < len(steps) else None
            shown[f"action {_name(age)}"] = self._acts if done is None else done
        return shown

    def _windowed(self) -> NDArray[np.float32]:
        """Oldest first: observations, then the actions between them."""
        k, steps = self.memory.window, list(self._last)
        none = [np.zeros(self._view.size)] * (k - len(steps))
        seen = [*none, *(obs for obs, _ in steps)]
        done = (
            [*([np.zeros(self._acts)] * (k - len(steps))), *(action for _, action in steps)][1:] if self._acts else []
        )
        return np.concatenate([*seen, *done]).astype(np.float32)

    def _input(self, action: Any, obs: Any) -> NDArray[np.float64]:
        """A step as the model sees it, [D]: a symbol of observation and action, or a scaled vector."""
        if self._categorical:
            assert self._numbers is not None
            done = 0 if action is None or not self._acts else self._index(action) + 1
            return np.array([float(self._numbers.index(obs) * (self._acts + 1) + done)])
        mean, deviation, _, _ = self.memory.fitted.scales
        x = np.concatenate([self._view.vector(obs), self._action_vector(action)])
        return (x - mean) / deviation if len(mean) else x

    def _said(self, obs: Any, said: NDArray[Any]) -> Any:
        if self.memory.encoding == "label":
            state = int(said.argmax())
            if not self.memory.observation:
                return state
            if self._numbers is not None:
                return {"observation": self._numbers.index(obs), "state": state}
            said = np.eye(len(said))[state]
        _, _, mean, deviation = self.memory.fitted.scales
        said = (said - mean) / deviation if len(mean) else said
        beside = [self._view.vector(obs)] if self.memory.observation else []
        return np.concatenate([*beside, said]).astype(np.float32)

    # Fitting.

    def _fit(self) -> None:
        """Fit the model on random play: episodes from their beginnings, each cut at a random step too.

        Raises:
            UsageError: the model cannot be fitted on it; says why.
        """
        from sklearn.exceptions import ConvergenceWarning

        given, fitted = self.memory, self.memory.fitted
        episodes, rng = self._random_episodes(), generator(0, "memory")
        model = seeded(given.model, rng)
        if self._categorical:
            model.set_params(emissions="categorical")
            if model.n_symbols is None:
                assert self._numbers is not None
                model.set_params(n_symbols=self._numbers.n * (self._acts + 1))
        else:
            fitted.scales[:2] = _moments(np.concatenate(episodes))
            episodes = [(one - fitted.scales[0]) / fitted.scales[1] for one in episodes]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # what it has learned so far serves
                if hasattr(final_step(model), "transmat_init"):
                    model.fit(np.concatenate(episodes), lengths=[len(one) for one in episodes])
                else:
                    cut = [one[: rng.integers(1, len(one) + 1)] for one in episodes]
                    model.fit([*episodes, *cut])
                    if given.encoding == "auto":
                        fitted.scales[2:] = _moments(_codes(model.follower(), episodes))
        except Exception as error:
            self.memory.fitted = _Fitted()
            raise UsageError(
                f"the memory {type(model).__name__} could not be fitted on {given.warm_up:,} steps of random play: "
                f"{one_line(error)}",
                "Raise warm_up, or change its parameters",
            ) from error
        fitted.model = model

    def _random_episodes(self) -> list[NDArray[np.float64]]:
        """Inputs of the model, an array [T, D] an episode."""
        space, episodes = self.env.action_space, []
        space.seed(0)
        obs, _ = self.env.reset(seed=0)
        steps, left = [self._input(None, obs)], self.memory.warm_up
        while left > 0:
            action = as_played(space, space.sample())
            obs, _, terminated, truncated, _ = self.env.step(action)
            steps.append(self._input(action, obs))
            left -= 1
            if terminated or truncated or left == 0:
                episodes.append(np.stack(steps[: self.memory.longest]))
                obs, _ = self.env.reset()
                steps = [self._input(None, obs)]
        return episodes

    def _checked_follower(self) -> Follower:
        """The follower of the fitted model, tried once.

        Raises:
            UsageError: the model was fitted on other observations, or says another number of things.
        """
        fitted = self.memory.fitted
        width = 1 if self._categorical else self._width
        try:
            follower: Follower = fitted.model.follower()
            _, said = follower.step(follower.begin(), np.zeros(width))
        except Exception as error:
            raise UsageError(
                f"the memory {type(fitted.model).__name__} cannot follow observations of {counted(width, 'number')}: "
                f"{one_line(error)}",
                "Fit it on sequences of this environment, or give it unfitted",
            ) from error
        if said.shape != (self._outputs(),):
            raise UsageError(
                f"the memory {type(fitted.model).__name__} says {said.shape}, not {counted(self._outputs(), 'number')}"
            )
        return follower


def _moments(x: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Mean and deviation of each column [N, D]; 1 where nothing varies."""
    deviation = x.std(axis=0)
    return [x.mean(axis=0), np.where(deviation > 1e-8, deviation, 1.0)]


def _codes(follower: Follower, episodes: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """What a model says after each step of episodes [T, D], [N, F]."""
    found = []
    for episode in episodes:
        state = follower.begin()
        for x in episode:
            state, said = follower.step(state, x)
            found.append(np.asarray(said, np.float64))
    return np.stack(found)


def _name(age: int) -> str:
    return f"{age} ago" if age else "now"


def memory_of(env: gym.Env[Any, Any]) -> MemoryMap | None:
    """The memory around an environment, if it has one.

    Example:
        >>> from rlplay import make
        >>> memory_of(make("FrozenLake-v1", memory="window:2")), memory_of(make("FrozenLake-v1"))
        (MemoryMap(2), None)
    """
    while isinstance(env, gym.Wrapper):
        if isinstance(env, Memory):
            return env.memory
        env = env.env
    return None


__all__ = ["Memory", "MemoryMap", "as_memory", "memory_of"]
