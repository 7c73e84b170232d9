"""The leaves that linear agents share: values, updates and traces over active features; and the base of the agents.

A value is w · x(s), an action value has a column of weights for each action. ``w`` is float64 [F, A] (or [F, 1] for
state values); ``x`` are the active features of a state (`rlplay.approximation.encodings.Active`), so that a step costs as many
additions as there are active features, however many weights there are.
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent, StateArrays
from rlplay.agent.policies import policy_table
from rlplay.agent.tabular import epsilon_greedy_probabilities
from rlplay.approximation.feature_map import FeatureMap
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError, UsageError
from rlplay.functional.schedules import scheduled, tabulate
from rlplay.functional.traces import Traces
from rlplay.models.unsupervised.bases import TileCoding
from rlplay.probe import Probe
from rlplay.seeding import stream
from rlplay.spaces.finite import is_finite
from rlplay.storage.checkpoint import copy_into
from rlplay.training.learner import Engine

Weights = NDArray[np.float64]


class LinearAgent(Agent):
    """What linear agents share: active features, weights by name, action values, files.

    Attributes:
        w: weights, float64 [F, A].
        size: F, numbers of features, with the constant one.
        width: T, how many are active at a time.
        finite_actions: whether a Box of actions is refused.
        rng: the state of the exploration's generator.
    """

    numbered = False
    finite_actions: ClassVar[bool] = True
    w: Weights

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        self.require_active(finite_actions=self.finite_actions)
        self.rng = stream(self.seed, "exploration")
        self._kept: StateArrays = {"exploration": self.rng}

    def prepare(self, n_steps: int) -> None:
        """Action values, exploration and the last n steps: (w, alpha, gamma, epsilon, rng, q, steps, n)."""
        given, n_actions = self.hyperparameters, self._actions.n
        per_feature = float(given["initial_value"]) / self.width
        self.w = self.weights("w", n_actions, per_feature)
        self.memory = (
            self.w, tabulate(given["alpha"]), float(given["gamma"]), tabulate(given["epsilon"]), self.rng,
            np.zeros((1, n_actions)), self.last_steps(n_steps), n_steps,
        )  # fmt: skip

    def weights(self, name: str, columns: int, value: float = 0.0) -> Weights:
        """New weights [F, columns], filled with a value."""
        return self.kept(name, np.full((self.size, columns), float(value)))

    def kept(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """An array that is saved."""
        self._kept[name] = array
        return array

    def last_steps(self, n: int) -> LastSteps:
        """Room for the last n steps; saved."""
        steps = new_last_steps(n, self.width if n > 1 else 1)
        for name, array in steps._asdict().items():
            self.kept(f"steps/{name}", array)
        return steps

    def new_traces(self, size: int, name: str = "traces") -> Traces:
        """No traces yet, for so many weights; saved under a name."""
        from rlplay.functional.traces import new_traces

        traces = new_traces(size)
        for part, array in traces._asdict().items():
            self.kept(f"{name}/{part}", array)
        return traces

    def action_values(self, observation: Any) -> Weights:
        """Q(s, ·) of an observation or a batch, float64 [B, A]."""
        return self.linear(self.w, observation)

    def linear(self, w: Weights, observation: Any) -> Weights:
        """X(s) w for an observation or a batch, float64 [B, columns]."""
        number, value = self.actives(observation)
        return np.einsum("bt,bta->ba", value, w[number])

    def probe(self, observation: Any) -> Probe:
        """Action values and the ε-greedy policy over them; the value is that of the greedy policy."""
        q = self.action_values(observation)
        epsilon = scheduled(tabulate(self.hyperparameters["epsilon"]), self.progress)
        return Probe(
            action_values=q, action_probabilities=epsilon_greedy_probabilities(q, epsilon), value=q.max(axis=1)
        )

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Learn; stop where the weights are no numbers any more.

        Raises:
            UsageError: they diverged; names the step.
        """
        done = super().advance(timesteps, engine)
        for name, array in self._kept.items():
            if array.dtype == np.float64 and not np.isfinite(array).all():
                raise UsageError(
                    f"{type(self).__name__}: {name} is not finite at timestep {self.num_timesteps:,}: it diverged",
                    "What was saved before is unharmed. Take a smaller alpha, or features that are standardised",
                )
        return done

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """Clusters take the weights of the nearest old ones; what was kept of the episode is forgotten."""
        if nearest is not None and self.width == 1:
            for name, array in self._kept.items():
                if array.ndim == 2 and len(array) == self.size and "/" not in name:
                    array[:] = array[nearest]
        if self.rule is not None:
            self.rule.begin(self.memory)

    def arrays(self) -> StateArrays:
        """Weights, traces or steps, the random state, and what the feature map keeps."""
        return {**self._kept, **(self.features.arrays() if self.features is not None else {})}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        for name, target in self.arrays().items():
            copy_into(name, arrays, target)


class LinearPrediction(LinearAgent):
    """What agents share that learn the value of a given policy, following it or another one.

    Attributes:
        target, behaviour: float64 [S, A] where states are numbers, else [1, A].
    """

    def prepare_prediction(self) -> None:
        """Weights [F, 1] and both policies: (w, alpha, gamma, target, behaviour, rng)."""
        given = self.hyperparameters
        self.target = self.kept("target", self._policy("policy", given["policy"]))
        behaviour = given["policy"] if given["behaviour"] is None else given["behaviour"]
        self.behaviour = self.kept("behaviour", self._policy("behaviour", behaviour))
        if ((self.target > 0) & (self.behaviour == 0)).any():
            raise HyperparameterError(
                f"{type(self).__name__}: the behaviour never takes an action that the policy takes",
                "Give a behaviour with some probability for every action of the policy",
            )
        self.w = self.weights("w", 1, float(given.get("initial_value", 0.0)) / self.width)
        self.memory = (
            self.w, tabulate(given.get("alpha", 1.0)), float(given["gamma"]), self.target, self.behaviour, self.rng,
        )  # fmt: skip

    def _policy(self, name: str, policy: Any) -> Weights:
        states = self.size if self.features is None else 1
        if np.ndim(policy) == 1 and len(policy) == self._actions.n != states:  # probabilities, in every state
            policy = np.tile(np.asarray(policy, np.float64), (states, 1))
        allowed = np.ones((states, self._actions.n), np.bool_)
        return policy_table(policy, self.env, allowed, type(self).__name__)

    def probe(self, observation: Any) -> Probe:
        """The policy and its value."""
        value = self.linear(self.w, observation)[:, 0]
        rows = np.zeros(len(value), np.int64)
        if len(self.target) > 1:
            rows = self.actives(observation).number[:, 0]
        return Probe(action_probabilities=self.target[rows], value=value)


def default_features(space: gym.Space[Any]) -> FeatureMap | None:
    """What linear agents take where no features are given: tiles over vectors, numbers for what is finite (None)."""
    return None if is_finite(space) else FeatureMap(TileCoding())
