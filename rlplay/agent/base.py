"""The contract of every agent, shaped like Stable-Baselines3's: learn, predict, probe, save, load.

An agent that learns step by step declares a `Rule` (pure compiled functions) and the ``memory`` they work on; both
drivers are then given: step by step through `Agent.act` and `Agent.update`, and whole runs in native code. Other
agents (planners, batch learners) override `Agent.advance`.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent import saving
from rlplay.approximation.encodings import Active
from rlplay.approximation.estimators import final_step
from rlplay.compiled.pcg64 import random
from rlplay.compiled.training_loop import EpisodeLog, Rule, nothing
from rlplay.environments.interact import RunningEnv, Position
from rlplay.environments.make import EnvLike, make, reference, remake
from rlplay.errors import EnvironmentFault, SpaceError, UsageError
from rlplay.hyperparameters.rules import checked
from rlplay.probe import Probe
from rlplay.seeding import check_seed, generator, stream
from rlplay.spaces.finite import FiniteSpace, finite
from rlplay.spaces.observations import VectorView, batch_of
from rlplay.storage import checkpoint
from rlplay.training.statistics import EpisodeStatistics
from rlplay.transition import Transition

if TYPE_CHECKING:
    from rlplay.approximation.feature_map import BoundFeatures

Engine = Literal["auto", "python", "compiled"]
StateArrays = dict[str, NDArray[Any]]


class Agent(ABC):
    """Base of all agents. Agents do not inherit each other: they share leaves, not control flow.

    Attributes:
        id: the id under which the agent is registered.
        rule: the learning rule as compiled functions, None for agents that override `advance`.
        timestep: what one timestep is, for progress bars: ``"step"`` of the environment or ``"sweep"``.
        needs_model: whether it acts by its environment's model, so that it cannot act without one.
        chunk_seconds: about how long `advance` works before callbacks, progress bars and Ctrl-C have their turn.
        memory: what the rule works on: a tuple of arrays and scalars.
        features: the feature map between the observation and the rule, or None.
        numbered: whether the rule takes states as numbers; else their active features (`rlplay.approximation.encodings.Active`).
        busy: whether work that belongs to the timesteps done is still to do (a batch learner's fits).
        env: the environment it learns in.
        seed: the seed of all its random numbers.
        hyperparameters: what it was made with, checked, as JSON values.
        num_timesteps: timesteps done since the start (or the last ``learn`` that reset them).
        horizon: timesteps over which schedules run: the total of the first ``learn``; 0 before it.
        statistics: the finished episodes.
        position: where the run stands in its environment.
    """

    id: ClassVar[str] = ""
    rule: Rule | None = None
    timestep: ClassVar[str] = "step"
    needs_model: ClassVar[bool] = False
    chunk_seconds: ClassVar[float] = 0.05
    memory: tuple[Any, ...] = ()
    features: BoundFeatures | None = None
    numbered = True
    size: Any
    width: int

    def __init__(self, env: EnvLike, *, seed: int | None, **hyperparameters: Any) -> None:
        self.seed = check_seed(seed)
        self.hyperparameters = checked(type(self), hyperparameters)
        self.num_timesteps, self.horizon = 0, 0
        self.statistics, self.position = EpisodeStatistics(), Position()
        self.seeds = stream(self.seed, "environment")
        self.episode_log = EpisodeLog()
        self._prediction = generator(self.seed, "prediction")
        self._next_action = -1
        self._plain = False
        self._states: FiniteSpace | BoundFeatures
        self._actions: Any = None  # the numbering of finite actions
        if isinstance(env, gym.vector.VectorEnv):
            raise SpaceError(
                f"{type(self).__name__} learns in one environment, not in a VectorEnv of {env.num_envs}",
                "Give its id or one of its environments",
            )
        self.env = make(env)
        self.observation_space, self.action_space = self.env.observation_space, self.env.action_space

    # What an agent supplies.

    @abstractmethod
    def probe(self, observation: Any) -> Probe:
        """What the agent thinks of an observation or a batch of them; changes nothing and draws no random number."""

    @abstractmethod
    def arrays(self) -> StateArrays:
        """Everything learned or random as named arrays; they are saved, and loaded in place."""

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file; the agent's own say which there are and of what shape.

        Raises:
            CheckpointError: one is missing, or of another shape or type.
        """
        for name, target in self.arrays().items():
            saving.copy_into(name, arrays, target)

    def state_partition(self, batch: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
        """What the agent puts together, for pictures: a number for each of the observations [B], and what it counts."""
        features = self.features
        if (
            features is not None
            and features.ready
            and any(hasattr(features.estimator, n) for n in ("predict", "apply"))
        ):
            last = final_step(features.estimator)
            words = "leaves" if hasattr(last, "apply") else "tiles" if hasattr(last, "n_tilings") else "clusters"
            return features.state_partition(batch), f"{words} of {type(last).__name__}"
        return np.full(len(batch), -1), ""

    def similarity(self, batch: NDArray[Any], observation: Any) -> NDArray[np.float64] | None:
        """How much of what is learned at an observation counts at others too, [B]: x(s) · x(s') / x(s) · x(s).

        1 where all features are shared, 0 where none is; None for an agent without features.
        """
        features = self.features
        if features is None or not features.ready:
            return None
        if features.kind == "index":
            return (features.indices(batch) == features.index(observation)).astype(np.float64)
        if features.kind == "vector":
            here, there = features.vectors(observation).astype(np.float64)[0], features.vectors(batch)
            return there @ here / max(float(here @ here), 1e-12)
        here, (number, value) = np.zeros(features.size), features.actives(batch)
        one = features.active(observation)
        np.add.at(here, one.number, one.value)
        return (here[number] * value).sum(axis=1) / max(float(here @ here), 1e-12)

    def seen(self) -> NDArray[np.float32] | None:
        """Observations that the agent has kept, float32 [N, D], to tell where they lie; None where it keeps none."""
        features = self.features
        return features.seen() if features is not None and features.ready else None

    def running_envs(self) -> list[RunningEnv]:
        """The environments of the run and where it stands in each; one, unless an agent learns in several."""
        return [RunningEnv(self.env, self.position, self.seeds)]

    def make_running_envs(self, count: int) -> list[RunningEnv]:
        """So many environments of its kind to learn in, its own first, each with a stream of seeds.

        Raises:
            UsageError: its environment cannot be made anew.
        """
        lanes, ref = [RunningEnv(self.env, self.position, self.seeds)], reference(self.env)
        for number in range(1, count):
            if isinstance(self.env, NoEnvironment):
                env: Any = copy.copy(self.env)
            elif not ref.id:
                raise UsageError(
                    f"n_envs={count} needs environments made anew, and this one has no id",
                    "Give its id, or package.module:Class, or n_envs=1",
                )
            else:
                env = remake(ref, dynamics="auto" if ref.dynamics.startswith("native") else "gymnasium")
            lanes.append(RunningEnv(env, Position(), stream(self.seed, f"environment {number}")))
        return lanes

    def models(self) -> dict[str, Any]:
        """Fitted estimators by name; they are saved, and given to `restore_models` on loading."""
        return {"features": self.features.estimator} if self.features is not None and self.features.ready else {}

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the fitted estimators that `models` gave."""
        if self.features is not None and "features" in models:
            self.features.set_estimator(models["features"])

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:  # noqa: B027 - most agents have no features
        """The feature map was fitted again: state k is now where ``nearest[k]`` was, int64 [S]; None for vectors."""

    @property
    def busy(self) -> bool:
        """Whether work that belongs to the timesteps done is still to do; then `advance` may return 0."""
        return False

    @property
    def activity(self) -> str:
        """What it is busy with, in a few words for the progress bar."""
        return ""

    def metrics(self) -> dict[str, float]:
        """Numbers of the last update for the logs, by TensorBoard tags (``train/loss``)."""
        return {}

    def extra_state(self) -> dict[str, Any]:
        """What `arrays` cannot hold, as JSON values."""
        return {}

    def restore_extra(self, state: dict[str, Any]) -> None:  # noqa: B027 - most agents have nothing
        """Put back what `extra_state` gave."""

    # Learning.

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int | None = None,
        progress_bar: bool = False,
        reset_num_timesteps: bool = True,
        *,
        engine: Engine = "auto",
        schedule_timesteps: int | None = None,
    ) -> Self:
        """Learn for a number of timesteps.

        Args:
            total_timesteps: how many timesteps to add.
            callback: a `rlplay.training.callbacks.Callback`, a function of the agent that returns False to stop, or a list.
            log_interval: episodes between two calls of the callbacks' ``on_log``; by default 100 calls a run.
            progress_bar: show steps, steps/s and the time left.
            reset_num_timesteps: start counting, schedules and a new episode; False goes on where the last stopped,
                so that ``learn(n)`` and ``learn(n, reset_num_timesteps=False)`` equal ``learn(2 * n)`` with the same
                ``schedule_timesteps``.
            engine: ``compiled`` runs in native code, ``python`` step by step, with the same bits; ``auto`` chooses.
            schedule_timesteps: horizon of the schedules; by default the total of the first learn.

        Returns:
            The agent itself.

        Raises:
            UsageError: a total below 1, or an engine that this agent and environment do not have.
            EnvironmentFault: the environment broke its contract; the agent stands at the last good step.
        """
        from rlplay.training.run import train

        train(
            self,
            total_timesteps,
            callback,
            log_interval=log_interval,
            progress_bar=progress_bar,
            reset_num_timesteps=reset_num_timesteps,
            engine=engine,
            schedule_timesteps=schedule_timesteps,
        )
        return self

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Do at most this many timesteps; returns how many were done (0: the agent has converged)."""
        from rlplay.training.run import advance_compiled, advance_stepwise

        features = self.features
        if engine == "compiled" and features is not None:
            timesteps = min(timesteps, features.steps_to_fit())
            if not features.ready:
                return advance_stepwise(self, timesteps)
            done = advance_compiled(self, timesteps)
            if done and features.due():
                self._refit()
            features.check_drift()
            return done
        done = (advance_compiled if engine == "compiled" else advance_stepwise)(self, timesteps)
        if features is not None:
            features.check_drift()
        return done

    def why_not_compiled(self) -> str:
        """Why this agent in this environment has no native loop; empty where it has."""
        from rlplay.training.run import why_not_compiled

        return why_not_compiled(self)

    @property
    def progress(self) -> float:
        """Training progress for schedules: 0 at the start, 1 at the horizon and beyond."""
        return self.num_timesteps / max(self.horizon, 1)

    def act(self, observation: Any) -> Any:
        """The next action while learning (the stepwise driver)."""
        assert self.rule is not None
        if self.features is not None and not self.features.ready:
            return self._random_action(self.features.rng)
        if self._actions is None:
            return self._bounded(self.rule.act(self.memory, self.active(observation), self.progress))
        if self._next_action < 0:
            state = observation if self._plain else self._state(observation)
            self._next_action = self.rule.act(self.memory, state, self.progress)
        return self._next_action if self._plain else self._actions.value(self._next_action)

    def update(self, transition: Transition) -> float:
        """Learn from one step (the stepwise driver); returns the TD error."""
        rule = self.rule
        assert rule is not None
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        if self.features is not None and not self.features.ready:
            self.num_timesteps += 1
            if self.features.remember(next_obs):
                self._refit()
            return float("nan")
        s: Any
        s_next: Any
        if self._plain:  # observations and actions are their own numbers, checked by the loop
            s, a, s_next = obs, action, next_obs
        else:
            a = self._actions.index(action) if self._actions is not None else 0
            s, s_next = self._state(obs), self._state(next_obs)
        progress = self.progress
        self._next_action = rule.act(self.memory, s_next, progress) if rule.on_policy and not terminated else -1
        td_error = rule.learn(self.memory, s, a, reward, s_next, self._next_action, terminated, truncated, progress)
        self.num_timesteps += 1
        if terminated or truncated:
            self._next_action = -1
            if rule.begin is not nothing:  # a call into compiled code costs more than this question
                rule.begin(self.memory)
        if self.features is not None and self.features.remember(next_obs):
            self._refit()
        return td_error

    def _refit(self) -> None:
        assert self.features is not None
        again = self.features.ready
        nearest = self.features.fit()
        if again:
            self.remap_states(nearest)

    def _random_action(self, rng: NDArray[np.uint64]) -> Any:
        """An action for the warm-up of a feature map, uniform over the space."""
        if self._actions is not None:
            return self._actions.value(int(random(rng) * self._actions.n))
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        low, high = np.clip(space.low, -10, 10), np.clip(space.high, -10, 10)  # of unbounded ones the middle
        draws = np.array([random(rng) for _ in range(low.size)]).reshape(low.shape)
        return (low + (high - low) * draws).astype(space.dtype)

    def _bounded(self, action: Any) -> Any:
        """What a policy over vectors chose, as the environment takes it."""
        if self._actions is not None:
            return self._actions.value(action)
        space = self.action_space
        return np.clip(action.reshape(space.shape), space.low, space.high).astype(space.dtype)  # type: ignore[attr-defined]

    def _vector(self, obs: Any) -> NDArray[np.float32]:
        return self.features.vector(obs) if self.features is not None else self._view.row(obs)

    def _state(self, obs: Any) -> Any:
        """An observation as the rule takes it."""
        return self._states.index(obs) if self.numbered else self.active(obs)

    def active(self, obs: Any) -> Active:
        """The active features of one observation; the number of a finite one where there are no features."""
        if self.features is not None:
            return self.features.active(obs)
        return Active(np.array([self._states.index(obs)]), np.ones(1))

    def actives(self, observation: Any) -> Active:
        """The active features of an observation or a batch of them, [B, T]."""
        if self.features is not None:
            return self.features.actives(observation)
        index = self.state_indices(observation)[:, None]
        return Active(index, np.ones(index.shape))

    def require_finite(self) -> tuple[int, int]:
        """How many states and actions there are; with features the states are their clusters.

        Raises:
            SpaceError: one of the spaces is not finite; says which agents and environments fit.
            HyperparameterError: the features do not number states.
        """
        name = type(self).__name__
        self._actions = finite(self.action_space, name, "actions")
        features = self.hyperparameters.get("features")
        if features is not None:
            self.features = features.bound(self.observation_space, name, self.seed, "index")
            self._states, self._plain = self.features, False
            return self.features.size, self._actions.n
        self._states = finite(self.observation_space, name, "observations")
        self._plain = self._states.plain and self._actions.plain
        return self._states.n, self._actions.n

    def require_vectors(self, *, finite_actions: bool = False) -> tuple[int, int, bool]:
        """Lengths of observations (or features) and actions as vectors, and whether the actions are finite.

        Raises:
            SpaceError: a space that is neither a vector nor finite; says what fits.
        """
        name, features = type(self).__name__, self.hyperparameters.get("features")
        self.numbered = False
        if features is not None:
            self.features = features.bound(self.observation_space, name, self.seed, "vector")
            size = self.features.size
        else:
            self._view = VectorView(self.observation_space, name)
            size = self._view.size
        space = self.action_space
        if isinstance(space, gym.spaces.Box) and not finite_actions:
            self._actions = None
            return size, math.prod(space.shape), False
        self._actions = finite(space, name, "actions")
        return size, self._actions.n, True

    def require_active(self, *, finite_actions: bool = True) -> None:
        """Take observations as active features: those of the feature map, or the numbers of finite ones.

        Sets ``size``, how many features there are, and ``width``, how many are active at a time.

        Raises:
            SpaceError: a space that does not fit; says what does.
        """
        from rlplay.agent.linear import default_features

        name, given = type(self).__name__, self.hyperparameters
        space, features = self.action_space, given.get("features")
        if finite_actions or not isinstance(space, gym.spaces.Box):
            self._actions = finite(space, name, "actions")
        features = default_features(self.observation_space) if features is None else features
        if features is None:
            self._states = finite(self.observation_space, name, "observations")
            self.size, self.width = self._states.n, 1
            return
        self.features = features.bound(
            self.observation_space, name, self.seed, "active", intercept=given.get("intercept", False)
        )
        self.size, self.width = self.features.size, self.features.width

    def vectors(self, observation: Any) -> NDArray[np.float32]:
        """One observation or a batch as the rule takes them, float32 [B, D]."""
        return self.features.vectors(observation) if self.features is not None else self._view.rows(observation)

    def state_indices(self, observation: Any) -> NDArray[np.int64]:
        """The numbers of an observation or a batch of them, shape [B]."""
        if self.features is not None:
            return self.features.indices(observation)
        batch, _ = batch_of(self.observation_space, observation, type(self).__name__)
        return np.array([self._states.index(obs) for obs in batch], dtype=np.int64)

    # Acting.

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[Any, tuple[NDArray[Any], ...] | None]:
        """The agent's action, as in Stable-Baselines3.

        Args:
            observation: one observation or a batch.
            state: state of a recurrent agent; passed through.
            episode_start: whether an episode begins, a batch entry each; unused without recurrence.
            deterministic: the best action (the first among equals); otherwise one drawn from the agent's own policy
                with a private generator, so that predicting never changes training.

        Returns:
            The action, or an array of them for a batch, and the state.

        Raises:
            SpaceError: an observation of the wrong shape or type, or with NaN.
        """
        _, single = batch_of(self.observation_space, observation, type(self).__name__)
        probe = self.probe(observation)
        if probe.action_mean is not None:
            actions: Any = self._continuous(probe, deterministic)
        else:
            indices = self._choose(probe, deterministic)
            actions = [self._actions.value(index) for index in indices]
        return (actions[0] if single else np.asarray(actions)), state

    def stand(self, position: Position) -> None:  # noqa: B027 - most agents act by what they see
        """Told before each `predict` where an episode stands; for agents that plan from there."""

    def _choose(self, probe: Probe, deterministic: bool) -> NDArray[np.int64]:
        scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
        if deterministic or probe.action_probabilities is None:
            assert scores is not None
            return scores.argmax(axis=1)
        cumulative = probe.action_probabilities.cumsum(axis=1)  # [B, A]
        draws = self._prediction.random((len(cumulative), 1)) * cumulative[:, -1:]
        return (cumulative <= draws).sum(axis=1)

    def _continuous(self, probe: Probe, deterministic: bool) -> NDArray[Any]:
        mean = probe.action_mean
        assert mean is not None
        if not deterministic and probe.action_std is not None:
            mean = mean + probe.action_std * self._prediction.standard_normal(mean.shape)
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        return np.clip(mean.reshape(-1, *space.shape), space.low, space.high).astype(space.dtype)

    # The environment.

    def get_env(self) -> gym.Env[Any, Any]:
        """The environment the agent learns in."""
        return self.env

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces; a running episode is given up.

        Raises:
            SpaceError: the spaces differ; shows both.
        """
        env = make(env)
        for role in ("observation_space", "action_space"):
            mine, theirs = getattr(self, role), getattr(env, role)
            if mine != theirs:
                raise SpaceError(
                    f"this {type(self).__name__} has {role} {mine} and the environment has {theirs}",
                    "Take an environment with the same spaces, or train a new agent",
                )
        self.env = env
        self.give_up_episode()

    def give_up_episode(self) -> None:
        """Stand between episodes, with nothing carried over from the running one."""
        self.position.clear()
        self._next_action = -1
        if self.rule is not None and self.rule.begin is not nothing:
            self.rule.begin(self.memory)

    # Files.

    def save(self, path: str | Path) -> Path:
        """Save everything, the run's position included, so that a resumed run is bit-exact. Returns the path.

        Raises:
            CheckpointError: something that cannot be saved; named.
            OSError: the folder cannot be written; an old file is untouched.
        """
        return checkpoint.write(path, *saving.pack(self))

    @classmethod
    def load(cls, path: str | Path, env: EnvLike | None = None, *, allow_nan: bool = False) -> Self:
        """Load an agent; never runs code from the file.

        Args:
            path: a file that `save` wrote; ``.rlp`` may be left out.
            env: the environment to go on in; by default the one named in the file, if it is registered.
            allow_nan: take a file with NaN or infinite values.

        Raises:
            CheckpointError: damaged, refused, or another agent's file; says what and where.
            SpaceError: the environment has other spaces; shows both.
        """
        return saving.unpack(cls, path, env, allow_nan=allow_nan)

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.hyperparameters.items())
        return f"{type(self).__name__}({saving.reference_of(self)}, {shown}, seed={self.seed})"


class NoEnvironment(gym.Env[Any, Any]):
    """Stands where a loaded agent has no environment: it has spaces and cannot be stepped."""

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any], wanted: str) -> None:
        self.observation_space, self.action_space, self.wanted = observation_space, action_space, wanted

    def reset(self, **_: Any) -> Any:
        """Say that there is nothing to reset."""
        raise EnvironmentFault(
            f"this agent was loaded without its environment ({self.wanted or 'which had no id'})",
            "Give it with load(path, env=...) or set_env(...)",
        )

    def step(self, action: Any) -> Any:
        """Say that there is nothing to step."""
        return self.reset()
