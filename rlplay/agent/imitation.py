"""What agents share that imitate: a teacher says what it would do, and a classifier or regressor learns to do it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.agent.base import Agent, StateArrays
from rlplay.approximation.estimators import seeded
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import EnvLike, reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import HyperparameterError, UsageError
from rlplay.hyperparameters.domains import Range, Regressor, Teacher
from rlplay.probe import Probe
from rlplay.seeding import generator, stream
from rlplay.spaces.finite import finite as numbering
from rlplay.spaces.observations import VectorView
from rlplay.storage.checkpoint import copy_into
from rlplay.training.learner import Engine
from rlplay.transition import Transition

TeacherLike = Annotated[Any, Teacher("who is imitated; None: one is set later, by agent.teacher")]
Imitator = Annotated[Any, Regressor("what learns to act: any classifier, for a Box any regressor", classifiers=True)]
FitEvery = Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)]
Kept = Annotated[int, Range("steps that are remembered", 2, 10_000_000, integer=True)]

SEEN, FITS = range(2)


def teacher_of(teacher: Any, env: gym.Env[Any, Any], owner: str) -> Callable[[Any], Any] | None:
    """A teacher as a function from one observation to its action.

    Args:
        teacher: an agent (anything with ``predict``, Stable-Baselines3's too), the file of one, the name of a policy
            that the plug-ins' data give this environment (``POLICIES``), or a function.
        env: the environment.
        owner: who asks, for errors.

    Raises:
        HyperparameterError: no such file or policy.
    """
    if teacher is None or isinstance(env, NoEnvironment):
        return None
    if isinstance(teacher, str):
        named = registry.recipes("POLICIES").get(reference(env).id.removeprefix("rlplay/"), {})
        if teacher in named:
            return named[teacher]
        if not Path(teacher).with_suffix(".rlp").exists():
            raise HyperparameterError(
                f"{owner}: teacher={teacher!r} is neither a file nor a policy for {reference(env)}",
                f"Give the path of a saved agent, or one of {', '.join(named)}" if named else "Give the path of one",
            )
        from rlplay.agent.saving import load

        teacher = load(teacher)
    if hasattr(teacher, "predict"):
        return lambda obs: teacher.predict(obs, deterministic=True)[0]
    return teacher


class ImitationAgent(Agent):
    """An agent that learns what a teacher does; it supplies `share`, how often the teacher acts.

    Attributes:
        obs: float32 [room, D].
        labels: what the teacher would have done: numbers int64 [room], or for a Box float32 [room, W].
        fitted: the models that act: one, or one for each number of a Box; empty before the first fit.
        teacher: a function from one observation to its action, or None.
    """

    numbered = False

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        super().__init__(env, seed=seed, **hyperparameters)
        given, name, space = self.hyperparameters, type(self).__name__, self.action_space
        self._view = VectorView(self.observation_space, name)
        room = int(given["buffer_size"])
        self.obs = np.zeros((room, self._view.size), np.float32)
        continuous = isinstance(space, gym.spaces.Box)
        if continuous:
            self.labels: NDArray[Any] = np.zeros((room, int(np.prod(space.shape or ()))), np.float32)
        else:
            self._actions = numbering(space, name, "actions")
            self.labels = np.zeros(room, np.int64)
        self._require_kind(given["model"], continuous, name)
        if given["features"] is not None:
            self.features = given["features"].bound(self.observation_space, name, self.seed, "vector")
        self.teacher = teacher_of(given["teacher"], self.env, name)
        self.fitted: list[Any] = []
        self.counts, self.rng = np.zeros(2, np.int64), stream(self.seed, "mixture")

    def _require_kind(self, model: Any, continuous: bool, name: str) -> None:
        from sklearn.base import is_classifier, is_regressor

        try:
            wrong = is_classifier(model) if continuous else is_regressor(model)
        except (AttributeError, TypeError):  # an estimator that says nothing about itself
            wrong = False
        if wrong:
            kind, other = ("classifier", "regressor") if continuous else ("regressor", "classifier")
            raise HyperparameterError(
                f"{name}: model={type(model).__name__} is a {kind}, and {self.action_space} is learned by a {other}",
                f"Take {'mlp or decision-tree' if continuous else 'decision-tree-classifier or logistic-regression'}",
            )

    def share(self) -> float:
        """The probability with which the teacher acts, now."""
        raise NotImplementedError

    # Acting and learning.

    def _ask(self, observation: Any) -> Any:
        if self.teacher is None:
            raise UsageError(
                f"{type(self).__name__} has no teacher to learn from",
                "Give teacher=..., or after loading set agent.teacher to a function from an observation to its action",
            )
        return self.teacher(observation)

    def act(self, observation: Any) -> Any:
        """The teacher's action, or the learner's own; the teacher is asked in both cases."""
        self._label = self._ask(observation)
        if not self.fitted or random(self.rng) < self.share():
            return self._told(self._label)
        probe = self.probe(observation)
        if probe.action_mean is not None:
            return self.continuous_actions(probe, True)[0]
        assert probe.action_probabilities is not None
        return self._actions.value(int(probe.action_probabilities[0].argmax()))

    def _told(self, label: Any) -> Any:
        """What a teacher said, as the environment takes it."""
        space: Any = self.action_space
        if self._actions is not None:
            return self._actions.value(self._actions.index(label))
        return np.clip(np.asarray(label, space.dtype).reshape(space.shape), space.low, space.high)

    def update(self, transition: Transition) -> float:
        """Remember what the teacher would have done; fit when it is time. No TD error: NaN."""
        place = self.counts[SEEN] % len(self.labels)
        self.obs[place] = self._view.row(transition.obs)
        index = self._actions.index if self._actions is not None else lambda told: np.ravel(self._told(told))
        self.labels[place] = index(self._label)
        self.counts[SEEN] += 1
        self.num_timesteps += 1
        if self.features is not None:
            self.features.remember_row(self.obs[place])
        if self.counts[SEEN] % int(self.hyperparameters["train_freq"]) == 0:
            self._fit()
        return float("nan")

    def _fit(self) -> None:
        n = int(min(self.counts[SEEN], len(self.labels)))
        if self.features is not None and (not self.features.ready or self.features.due()):
            self.features.fit()
        self.counts[FITS] += 1
        x, labels = self._mapped(self.obs[:n]).astype(np.float64), self.labels[:n]
        columns = [labels] if labels.ndim == 1 else list(labels.T.astype(np.float64))
        model, rng = self.hyperparameters["model"], generator(self.seed, f"fit {self.counts[FITS]}")
        if self._actions is not None and len(np.unique(labels)) == 1:  # no classifier tells one class from none
            from sklearn.dummy import DummyClassifier

            model = DummyClassifier()
        try:
            self.fitted = [seeded(model, rng).fit(x, column) for column in columns]
        except Exception as error:
            raise UsageError(
                f"{type(model).__name__} could not be fitted to {n:,} steps: {' '.join(str(error).split())[:300]}",
                "Change its parameters, or raise train_freq",
            ) from error

    def _mapped(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows if self.features is None else self.features.transformed(rows)

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Play and ask, step by step."""
        from rlplay.training.drivers import advance_stepwise

        return advance_stepwise(self, timesteps)

    def why_not_compiled(self) -> str:
        """A teacher is Python."""
        return f"{type(self).__name__} asks its teacher in Python"

    def probe(self, observation: Any) -> Probe:
        """Probabilities of actions, as far as the model has any; for a Box the action itself."""
        x = self._mapped(self._view.rows(observation)).astype(np.float64)
        if self._actions is None:
            mean = np.zeros((len(x), self.labels.shape[1]))
            for i, model in enumerate(self.fitted):
                mean[:, i] = np.asarray(model.predict(x), np.float64).ravel()
            return Probe(action_mean=mean)
        n = self._actions.n
        if not self.fitted:
            return Probe(action_probabilities=np.full((len(x), n), 1.0 / n))
        model, found = self.fitted[0], np.zeros((len(x), n))
        classes = np.asarray(getattr(model, "classes_", np.arange(n)), np.int64)
        if hasattr(model, "predict_proba"):
            found[:, classes] = model.predict_proba(x)
        else:
            found[np.arange(len(x)), np.asarray(model.predict(x), np.int64)] = 1.0
        return Probe(action_probabilities=found)

    def state_partition(self, batch: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
        """The boxes into which a tree divides the states, where the model is one."""
        model = self.fitted[0] if self.fitted else None
        if not hasattr(model, "apply") or hasattr(model, "n_estimators"):
            return super().state_partition(batch)
        leaves = model.apply(self._mapped(self._view.rows(batch)).astype(np.float64))  # type: ignore[union-attr]
        return np.asarray(leaves, np.int64), "boxes of the tree"

    def seen(self) -> NDArray[np.float32]:
        """The observations that the teacher was asked about."""
        return self.obs[: int(min(self.counts[SEEN], len(self.labels)))]

    # Files.

    def arrays(self) -> StateArrays:
        """What was asked and answered, the counts and the random state."""
        n = int(min(self.counts[SEEN], len(self.labels)))
        found: StateArrays = {
            "obs": self.obs[:n], "labels": self.labels[:n], "counts": self.counts, "mixture": self.rng,
        }  # fmt: skip
        return found | (self.features.arrays() if self.features is not None else {})

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("counts", arrays, self.counts)
        super().load_arrays(arrays)

    def models(self) -> dict[str, Any]:
        """The models that act."""
        return super().models() | {f"policy/{i}": model for i, model in enumerate(self.fitted)}

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the models of a file."""
        super().restore_models(models)
        self.fitted = [models[f"policy/{i}"] for i in range(sum(name.startswith("policy/") for name in models))]
