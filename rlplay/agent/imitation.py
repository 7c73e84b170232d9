"""What agents share that imitate: a teacher says what it would do, and a classifier or regressor learns to do it."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import registry
from rlplay.agent.base import StateArrays
from rlplay.agent.data import dataset_of, steps_of
from rlplay.agent.periodic import PeriodicAgent
from rlplay.agent.saving import load
from rlplay.approximation.encoder import Encoder
from rlplay.approximation.estimators import seeded
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import reference
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import HyperparameterError, UsageError, require_memory
from rlplay.hyperparameters.domains import Range, Regressor, Teacher
from rlplay.hyperparameters.types import FeaturesLike
from rlplay.probe import Probe, masked
from rlplay.seeding import generator, stream
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.files import as_path
from rlplay.storage.ranges import COUNT, Ranges, check_ranges, numbers_below
from rlplay.training.drivers import advance_stepwise
from rlplay.training.learner import Engine
from rlplay.transition import Transition


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
        if not as_path(teacher).with_suffix(".rlp").exists():
            raise HyperparameterError(
                f"{owner}: teacher={teacher!r} is neither a file nor a policy for {reference(env)}",
                f"Give the path of a saved agent, or one of {', '.join(named)}" if named else "Give the path of one",
            )
        teacher = load(teacher)
    if getattr(teacher, "remembers", False):
        raise HyperparameterError(
            f"{owner}: the teacher {type(teacher).__name__} acts by what it remembers, and a teacher is asked about "
            "single observations",
            "Take one without a memory, or clone its data: rlplay dataset make, then dataset=FILE",
        )
    if hasattr(teacher, "predict"):
        return lambda obs: teacher.predict(obs, deterministic=True)[0]
    return teacher


class ImitationCounts(NamedTuple):
    """The counts of an imitator, int64 [1] each; in files they are one array.

    Attributes:
        seen: steps so far.
        fits: fits so far.
    """

    seen: NDArray[np.int64]
    fits: NDArray[np.int64]


class ImitationAgent(PeriodicAgent):
    """An agent that learns what a teacher does; it supplies `share`, how often the teacher acts.

    Attributes:
        obs: the newest observations as vectors, float32 or float64 [N, D] with N = ``buffer_size``, a ring.
        labels: what the teacher would have done: numbers int64 [N], or for a Box float32 [N, W].
        fitted: the models that act: one, or one for each number of a Box; empty before the first fit.
        teacher: a function from one observation to its action, or None.
        counts: how many steps and fits there were.
        rng: draws who acts, uint64 [4].

    Example:
        >>> class Apprentice(ImitationAgent):
        ...     def share(self):
        ...         return 0.5  # the teacher acts in half of the steps
        >>> agent = Apprentice("CartPole-v1", teacher=lambda obs: int(obs[2] > 0), train_freq=100, seed=0).learn(200)
        >>> int(agent.counts.fits[0]), agent.predict(np.array([0.0, 0.0, 0.1, 0.0], np.float32))[0].item()
        (2, 1)
    """

    teacher: Annotated[Any, Teacher("who is imitated; None: one is set later, by agent.teacher")] = None
    model: Annotated[
        Any, Regressor("what learns to act: any classifier, for a Box any regressor", classifiers=True)
    ] = "decision-tree-classifier"
    train_freq: Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)] = 1000
    buffer_size: Annotated[int, Range("steps that are remembered", 2, 10_000_000, integer=True)] = 100_000
    features: FeaturesLike = None

    @abstractmethod
    def share(self) -> float:
        """The probability with which the teacher acts, now."""

    def make_encoder(self) -> Encoder:
        """Vectors, or the features of them."""
        self.number_actions(boxes=True)
        return self.encoder_of("vector", wide=True)

    def setup(self) -> None:
        """Nothing seen yet.

        Raises:
            HyperparameterError: a regressor for finite actions, or a classifier for a Box; or no such teacher.
        """
        super().setup()
        self._require_kind()
        require_memory(
            f"{type(self).__name__}: a buffer of {self.buffer_size:,} steps of {self.encoder.view.size:,} numbers",
            self.buffer_size * self.encoder.view.size, "Lower buffer_size, or take smaller observations",
            itemsize=self.encoder.view.dtype.itemsize,
        )  # fmt: skip
        self.obs = np.zeros((self.buffer_size, self.encoder.view.size), self.encoder.view.dtype)
        if self.numbering is not None:
            self.labels: NDArray[Any] = np.zeros(self.buffer_size, np.int64)
        else:
            self.labels = np.zeros((self.buffer_size, int(np.prod(self.action_space.shape or ()))), np.float32)
        self.teacher = teacher_of(self.teacher, self.env, type(self).__name__)
        self.fitted: list[Any] = []
        self._label: Any = None  # what the teacher said of the observation where the agent acts
        self._remembers = False  # whether a data set stands in for a teacher
        self._counts, self.rng = np.zeros(2, np.int64), stream(self.seed, "mixture")
        self.counts = ImitationCounts(*np.split(self._counts, 2))

    def _require_kind(self) -> None:
        from sklearn.base import is_classifier, is_regressor

        try:
            wrong = (is_classifier if self.numbering is None else is_regressor)(self.model)
        except (AttributeError, TypeError):  # an estimator that says nothing about itself
            wrong = False
        if wrong:
            kind, other = ("classifier", "regressor") if self.numbering is None else ("regressor", "classifier")
            fits = (
                "mlp or decision-tree" if self.numbering is None else "decision-tree-classifier or logistic-regression"
            )
            raise HyperparameterError(
                f"{type(self).__name__}: model={type(self.model).__name__} is a {kind}, and {self.action_space} is "
                f"learned by a {other}",
                f"Take {fits}",
            )

    def remember(self, dataset: Any) -> Self:
        """Take the steps of a data set for what a teacher did, and learn from them, in place of playing with a teacher.

        Args:
            dataset: a `rlplay.Dataset` of the agent's environment, the path of its file, or ``"NAME:N"``: so many steps
                of a policy by name.

        Raises:
            HyperparameterError: no such data set, or one with more steps than buffer_size.
            UsageError: a data set of another environment.
            CheckpointError: a damaged file, or episodes that no longer replay.

        Example:
            >>> from agents import BehaviorCloning
            >>> agent = BehaviorCloning("CartPole-v1", seed=0).remember("follow-the-pole:500")
            >>> len(agent.seen()), agent.predict(np.array([0.0, 0.0, 0.1, 0.0], np.float32))[0].item()
            (500, 1)
        """
        name = type(self).__name__
        data = dataset_of(dataset, self.env, name, self.seed)
        if len(data) > self.buffer_size:
            raise HyperparameterError(
                f"{name}: a data set of {len(data):,} steps does not fit into buffer_size={self.buffer_size:,}",
                f"Take buffer_size={len(data)}",
            )
        steps, ends = steps_of(data, self.env, self.encoder, name), np.zeros(len(data) + len(data.seeds), np.bool_)
        ends[np.cumsum(data.lengths + 1) - 1] = True  # the last observation of an episode, where nobody acted
        places = (int(self.counts.seen[0]) + np.arange(len(data))) % self.buffer_size
        self.obs[places] = steps.obs[~ends]
        self.labels[places] = data.actions if self.numbering is not None else steps.actions
        self.counts.seen[0] += len(data)
        self._remembers = True
        for vector in self.obs[places]:
            self.encoder.remember_vector(vector)
        self.begin_fits()
        return self

    # Acting and learning.

    def act(self, observation: Any) -> Any:
        """The teacher's action, or the learner's own; the teacher is asked in both cases.

        Raises:
            UsageError: there is no teacher.
        """
        if self.teacher is None:
            raise UsageError(
                f"{type(self).__name__} has no teacher to learn from",
                "Give teacher=..., or after loading set agent.teacher to a function from an observation to its action",
            )
        self._label = self.teacher(observation)
        if not self.fitted or random(self.rng) < self.share():
            return self._action_of(self._label)
        probe = self.probe(observation)
        if probe.action_mean is not None:
            return self.continuous_actions(probe, True)[0]
        if self.mask is not None:
            probe = masked(probe, self.mask[None])
        assert self.numbering is not None
        assert probe.action_probabilities is not None
        return self.numbering.value(int(probe.action_probabilities[0].argmax()))

    def _action_of(self, label: Any) -> Any:
        """What a teacher said, as the environment takes it."""
        if self.numbering is not None:
            return self.numbering.value(self.numbering.index(label))
        space: Any = self.action_space
        return np.clip(np.asarray(label, space.dtype).reshape(space.shape), space.low, space.high)

    def update(self, transition: Transition) -> float:
        """Remember what the teacher would have done; fit when it is time. No TD error: NaN."""
        label, place = self._label, self.counts.seen[0] % self.buffer_size
        self.obs[place] = self.encoder.view.vector(transition.obs)
        self.labels[place] = (
            np.ravel(self._action_of(label)) if self.numbering is None else self.numbering.index(label)
        )  # fmt: skip
        self.counts.seen[0] += 1
        self.num_timesteps += 1
        self.encoder.remember_vector(self.obs[place])
        if self.counts.seen[0] % self.train_freq == 0:
            self.begin_fits()
        return float("nan")

    def begin_fits(self) -> None:
        """Learn from all that was gathered."""
        obs, labels = self.seen(), self.labels[: len(self.seen())]
        if not self.encoder.ready or self.encoder.due():
            self.encoder.fit()
        self.counts.fits[0] += 1
        self._fitted_at = int(self.counts.seen[0])
        x = self.encoder.encode_vectors(obs).astype(np.float64)
        columns = [labels] if labels.ndim == 1 else list(labels.T.astype(np.float64))
        model, rng = self.model, generator(self.seed, f"fit {self.counts.fits[0]}")
        if self.numbering is not None and len(np.unique(labels)) == 1:  # no classifier tells one class from none
            from sklearn.dummy import DummyClassifier

            model = DummyClassifier()
        try:
            self.fitted = [seeded(model, rng).fit(x, column) for column in columns]
        except Exception as error:
            raise UsageError(
                f"{type(model).__name__} could not be fitted to {len(x):,} steps: {' '.join(str(error).split())[:300]}",
                "Change its parameters, or raise train_freq",
            ) from error

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Play and ask, step by step; without a teacher, count the steps of the data set that was learned from."""
        left = max(int(self.counts.seen[0]) - self.num_timesteps, 0)
        if self.teacher is None and (self._remembers or left):
            done = min(timesteps, left)
            self.num_timesteps += done
            return done
        return advance_stepwise(self, timesteps)

    @property
    def lessons(self) -> int:
        """The fits so far, and the steps of a data set that were counted: they were learned from beforehand."""
        return super().lessons + (self.num_timesteps if self._remembers else 0)

    def why_not_compiled(self) -> str:
        """A teacher is Python."""
        return f"{type(self).__name__} asks its teacher in Python"

    def probe(self, observation: Any) -> Probe:
        """Probabilities of actions, as far as the model has any; for a Box the action itself."""
        x = self.encoder.encode_batch(observation).astype(np.float64)
        if self.numbering is None:
            mean = np.zeros((len(x), self.labels.shape[1]))
            for i, model in enumerate(self.fitted):
                mean[:, i] = np.asarray(model.predict(x), np.float64).ravel()
            return Probe(action_mean=mean)
        n = self.numbering.n
        if not self.fitted:
            return Probe(action_probabilities=np.full((len(x), n), 1.0 / n))
        model, found = self.fitted[0], np.zeros((len(x), n))
        classes = np.asarray(getattr(model, "classes_", np.arange(n)), np.int64)
        if hasattr(model, "predict_proba"):
            found[:, classes] = model.predict_proba(x)
        else:
            found[np.arange(len(x)), np.asarray(model.predict(x), np.int64)] = 1.0
        return Probe(action_probabilities=found)

    def state_partition(self, observations: Any) -> tuple[NDArray[np.int64], str]:
        """The boxes into which a tree divides the states, where the model is one."""
        model: Any = self.fitted[0] if self.fitted else None
        if not hasattr(model, "apply") or hasattr(model, "n_estimators"):
            return super().state_partition(observations)
        leaves = model.apply(self.encoder.encode_batch(observations).astype(np.float64))
        return np.asarray(leaves, np.int64), "boxes of the tree"

    def seen(self) -> NDArray[Any]:
        """The observations that the teacher was asked about."""
        return self.obs[: int(min(self.counts.seen[0], self.buffer_size))]

    # Files.

    def arrays(self) -> StateArrays:
        """What was asked and answered, the counts, the random state, and what the encoder keeps."""
        obs = self.seen()
        return {
            "obs": obs, "labels": self.labels[: len(obs)], "counts": self._counts, "mixture": self.rng,
            **self.encoder.arrays(),
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        labels: Ranges = {} if self.numbering is None else {"labels": numbers_below(self.numbering.n)}
        return {**labels, "counts": COUNT, **super().ranges()}

    def check(self) -> None:
        """Refuse models of other observations or actions: they are asked once."""
        super().check()
        if self.fitted:
            space = copy.deepcopy(self.observation_space)
            space.seed(0)
            self.probe(space.sample())

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        copy_into("counts", arrays, self._counts)  # they say how much there is of the others
        super().load_arrays(arrays)

    def models(self) -> dict[str, Any]:
        """The models that act."""
        return super().models() | {f"policy/{i}": model for i, model in enumerate(self.fitted)}

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the models of a file."""
        super().restore_models(models)
        self.fitted = [models[f"policy/{i}"] for i in range(sum(name.startswith("policy/") for name in models))]
        for number, model in enumerate(self.fitted if self.numbering is not None else ()):
            name, n = f"policy/{number}/classes_", self.numbering.n if self.numbering is not None else 0
            check_ranges({name: np.asarray(getattr(model, "classes_", []))}, {name: numbers_below(n)})
