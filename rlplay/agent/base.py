"""The contract of every agent, shaped like Stable-Baselines3's: learn, predict, probe, save, load.

An agent that learns step by step declares a `LearningRule` (pure compiled functions) and the ``memory`` they work on;
both drivers are then given: step by step through `Agent.act` and `Agent.update`, and whole runs in native code. Other
agents (planners, batch learners) override `Agent.advance`.

Hyperparameters are fields of the class body (`rlplay.hyperparameters.fields`); `Agent.setup` makes what is learned.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent import saving
from rlplay.agent.acting import Acting
from rlplay.agent.sb3_habits import SB3Habits, networks_device, require_masking
from rlplay.agent.sb3_words import ActingPolicy, changes_of, say_what_does_not_fit, told
from rlplay.approximation.encoder import Encoder, Kind, PlainObservations
from rlplay.approximation.encoders import new_encoder
from rlplay.approximation.feature_encoder import FeatureEncoder
from rlplay.compiled.stepwise import StepwiseRule, stepwise
from rlplay.compiled.training_loop import LearningRule, new_episode_log, nothing
from rlplay.environments.instances import make_to_learn_in, why_not_native
from rlplay.environments.interact import Position, RunningEnv
from rlplay.environments.make import EnvLike, make_anew, reference
from rlplay.environments.masks import Mask, MaskSource
from rlplay.environments.no_environment import NoEnvironment
from rlplay.environments.running_moments import go_on_from
from rlplay.environments.side_by_side import is_side_by_side, taken_apart
from rlplay.errors import SpaceError, UsageError, counted, warn_once
from rlplay.hyperparameters.fields import Configured, argument
from rlplay.seeding import check_seed, generator, stream
from rlplay.spaces.finite import FiniteSpace
from rlplay.storage import checkpoint
from rlplay.storage.ranges import Ranges
from rlplay.training.drivers import advance_compiled, advance_stepwise, why_not_compiled
from rlplay.training.learner import Engine
from rlplay.training.logger import Logger
from rlplay.training.logs import TensorBoardLog, logs_of
from rlplay.training.run import train
from rlplay.training.statistics import EpisodeStatistics
from rlplay.transition import Transition

_MOST_SHOWN = 8  # numbers of a list in a repr

StateArrays = dict[str, NDArray[Any]]


class Agent(Acting, SB3Habits, Configured, ABC):
    """Base of all agents. Agents do not inherit each other: they share functions and a family, not control flow.

    Args:
        *given: the environment: an id, ``package.module:Class``, or an environment; ``env=`` says it too. The name of a
            policy may stand before it, as with Stable-Baselines3.
        seed: of all its random numbers; None for a fresh one.
        hyperparameters: the fields of its class body, by name.

    Attributes:
        id: the id under which the agent is registered.
        rule: the learning rule as compiled functions, None for agents that override `advance`.
        timestep: what one timestep is, for progress bars: ``"step"`` of the environment or ``"sweep"``.
        needs_model: whether it acts by its environment's model, so that it cannot act without one.
        learns_from_others: whether it may learn from steps in which another acted: its update asks what was done and
            what came of it, not how probable that was or what it will do next itself.
        follows_position: whether `predict` depends on where an episode stands, told by `observe_position`.
        chunk_seconds: about how long `advance` works before callbacks, progress bars and Ctrl-C have their turn.
        memory: what the rule works on: a NamedTuple of arrays and scalars.
        encoder: how it takes observations.
        features: the encoder where a feature map stands between observations and agent, else None.
        numbering: the numbering of its actions where they are finite, else None.
        env: the environment it learns in.
        seed: the seed of all its random numbers.
        hyperparameters: what it was made with, checked, as plain values.
        num_timesteps: timesteps done since the start (or the last ``learn`` that reset them).
        horizon: timesteps over which schedules run; 0 before the first ``learn``.
        statistics: the finished episodes.
        position: where the run stands in its environment.
        next_action: the action that an on-policy rule has chosen already, -1 for none.
        mask_source: where the environment says which actions may be taken.
        masks_seen: whether it has masks, as far as that was seen.
        mask: the actions that may be taken at the newest observation, bool [A]; None for all.
        workers: the processes that played environments in the last call of `learn`, besides its own.
        step_seconds: how long a step of the environment took, where `learn` measured it, else 0.

    Raises:
        HyperparameterError: a value outside its range.
        SpaceError: spaces that the agent does not take; says what fits.

    Example:
        >>> from rlplay.extend import Probe, batch_of
        >>> class Still(Agent):
        ...     def setup(self):
        ...         self.number_actions()
        ...     def probe(self, observation):
        ...         batch, _ = batch_of(self.observation_space, observation, "Still")
        ...         return Probe(action_values=np.tile([0.0, 1.0], (len(batch), 1)))
        ...     def arrays(self):
        ...         return {}
        >>> agent = Still("CartPole-v1", seed=0)
        >>> print(agent.predict(np.zeros(4, np.float32), deterministic=True)[0])
        1
    """

    id: ClassVar[str] = ""
    timestep: ClassVar[str] = "step"
    needs_model: ClassVar[bool] = False
    follows_position: ClassVar[bool] = False
    learns_from_others: ClassVar[bool] = False
    chunk_seconds: ClassVar[float] = 0.05
    _env_given: EnvLike = argument(alias="env", kw_only=False)
    _seed_given: int | None = argument(alias="seed", default=None)

    def __init__(self, *given: Any, seed: int | None = None, **hyperparameters: Any) -> None:
        self.seed = check_seed(seed)
        self.features: Any = None
        said = told(type(self), given, hyperparameters)
        env, self._beside = said.env, said.beside
        self.verbose, self.tensorboard_log, self._logger = said.verbose, said.tensorboard_log, Logger(self.metrics)
        self.configure(said.hyperparameters)
        if env is None:
            name = type(self).__name__
            raise UsageError(f"{name} needs an environment to learn in", f'For example {name}("CartPole-v1")')
        self.num_timesteps, self.horizon = 0, 0
        self.workers, self.step_seconds = 0, 0.0
        self.statistics, self.position = EpisodeStatistics(), Position()
        self.seeds = stream(self.seed, "environment")
        self.episode_log = new_episode_log()
        self.rule: LearningRule | None = getattr(type(self), "rule", None)
        self.memory: Any = ()
        self._stepwise: tuple[Any, StepwiseRule] | None = None  # the memory it is for, and the rule over it
        self.next_action = -1
        self.numbering: FiniteSpace | None = None
        self._prediction = generator(self.seed, "prediction")
        self.env = self.make_env(env)
        self.observation_space, self.action_space = self.env.observation_space, self.env.action_space
        if isinstance(self.action_space, gym.spaces.Box) and not np.prod(self.action_space.shape):
            raise SpaceError(
                f"{type(self).__name__} needs actions to choose from, and {self.action_space} has no numbers",
                "Take an action space of one number or more",
            )
        self.mask_source = MaskSource(self.env)
        self.mask: Mask | None = None
        self.masks_seen = self.mask_source.method is not None
        self._masks_said = self._told_live = False
        try:
            self.encoder = self.make_encoder()
            self.features = self.encoder if isinstance(self.encoder, FeatureEncoder) else None
            self.setup()
        except MemoryError as error:
            raise UsageError(
                f"{type(self).__name__} needs more memory than there is, with {self.observation_space} and "
                f"{self.action_space}: {error or 'it could not be allocated'}",
                "Take smaller spaces, or lower the sizes in its hyperparameters",
            ) from error
        if isinstance(getattr(self, "policy", None), str):
            self.policy: Any = ActingPolicy(self)
        self.device = networks_device(self)
        if self.masks_seen:
            self._say_masks()
        say_what_does_not_fit(self)
        self._begin_habits(said.as_there, said.vec_normalize)
        saving.warn_of_unsavable(self)

    # What an agent supplies.

    def setup(self) -> None:
        """Make what is learned; hyperparameters, environment, encoder and numbering are there."""

    def make_env(self, env: EnvLike) -> gym.Env[Any, Any]:
        """The environment to learn in, from what a user gives."""
        return make_to_learn_in(env)

    def make_encoder(self) -> Encoder:
        """How the agent takes observations; finite actions are numbered here too."""
        return PlainObservations(self.observation_space, type(self).__name__)

    @abstractmethod
    def arrays(self) -> StateArrays:
        """Everything learned or random as named arrays; they are saved, and loaded in place."""

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file; the agent's own say which there are and of what shape.

        Raises:
            CheckpointError: one is missing, or of another shape or type.
        """
        for name, target in self.arrays().items():
            checkpoint.copy_into(name, arrays, target)

    def ranges(self) -> Ranges:
        """The least and the greatest value of each of `arrays` that holds whole numbers; checked at loading.

        An index into a table of n entries is 0 to n - 1; what is no index is `rlplay.extend.ANY`.
        """
        return self.encoder.ranges()

    def check(self) -> None:
        """Refuse what was loaded where one part of it does not fit another.

        Raises:
            CheckpointError: names the parts.
        """
        self.encoder.check()

    def models(self) -> dict[str, Any]:
        """Fitted estimators by name; they are saved, and given to `restore_models` on loading."""
        return self.encoder.models()

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the fitted estimators that `models` gave."""
        self.encoder.restore(models)

    def remap_states(self, nearest: NDArray[np.int64] | None) -> None:
        """The feature map was fitted again: state k is now where ``nearest[k]`` was, int64 [S]; None for vectors."""

    @property
    def remembers(self) -> bool:
        """Whether `predict` depends on the state that it returned last: then give it, and ``episode_start``."""
        return False

    def running_state(self) -> Any:
        """The state from which `predict` would go on where the run stands in its own environment; None for none."""
        return None

    @property
    def busy(self) -> bool:
        """Whether work that belongs to the timesteps done is still to do; then `advance` may return 0."""
        return False

    @property
    def learns_after(self) -> int | None:
        """Steps after which the first one is learned from; None where it waits for the end of an episode."""
        return 1

    @property
    def lessons(self) -> int:
        """How often it has learned; a run in which this stays the same has taught it nothing."""
        if not self.encoder.in_use:
            return 0
        steps = 0 if self.learns_after is None else max(self.num_timesteps + 1 - self.learns_after, 0)
        return self.statistics.episodes + steps

    def waits_for(self) -> str:
        """What it waits for before it learns, and what to set."""
        if not self.encoder.in_use:
            steps = counted(self.encoder.warm_up, "step")
            return f"its features are fitted after {steps}. Lower warm_up, or learn longer"
        if self.learns_after is None:
            return "it learns at the end of an episode, and none ended. Learn longer, or lower max_episode_steps"
        return f"a step is learned from {counted(self.learns_after, 'step')} later. Lower n_steps, or learn longer"

    def least_steps_to_learn(self) -> int:
        """The fewest timesteps from now on after which it can have learned; a shorter run is said beforehand."""
        return 1 if self.encoder.ready else self.encoder.steps_to_fit() + 1

    def observe_position(self, position: Position) -> None:
        """Told before each `predict` where an episode stands; for agents that plan from there."""

    def conclude(self) -> None:
        """The run has all its timesteps: begin what is left to do with them; see `busy`."""

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

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""

    # For pictures.

    def state_partition(self, observations: Any) -> tuple[NDArray[np.int64], str]:
        """What the agent puts together: a number for each of the observations [B], -1 for nothing; what it counts."""
        return self.encoder.state_partition(observations)

    def similarity(self, observations: Any, observation: Any) -> NDArray[np.float64] | None:
        """How much of what is learned at an observation counts at others too, [B]; None without features.

        1 where all features are shared, 0 where none is: x(s) · x(s') / x(s) · x(s).
        """
        return self.encoder.similarity(observations, observation)

    def seen(self) -> NDArray[Any] | None:
        """Observations that the agent has kept, [N, D], to tell where they lie; None where it keeps none."""
        return self.encoder.seen() if self.encoder.ready else None

    def inputs(self, observation: Any) -> NDArray[Any] | None:
        """What its networks see of an observation or a batch, [B, F]; None where it is the observation itself."""
        return None

    def critic_values(
        self, observations: Any, actions: NDArray[Any] | None = None, *, target: bool = False
    ) -> NDArray[np.float64] | None:
        """What each of its C critics says, or their targets; None where it has none.

        Args:
            observations: a batch of B.
            actions: continuous actions as the environment takes them, [B, D]; None for those of the policy.
            target: whether the networks are asked that the others learn from.

        Returns:
            Of numbered actions their values, [C, B, A]; of continuous ones the value or its quantiles, [C, B, K].
        """
        return None

    # Encoders.

    def encoder_of(self, kind: Kind, *, wide: bool = False) -> Encoder:
        """An encoder of a kind, over the agent's feature map where it has one; see `new_encoder`."""
        given, name = self.hyperparameters, type(self).__name__
        intercept = bool(given.get("intercept", False))
        plan, space = given.get("features"), self.observation_space
        if kind == "index" and plan is None and "features" in given and isinstance(space, gym.spaces.Box):
            raise SpaceError(
                f"{name} needs finite observations and {space} is not",
                'Give features="k-means:64" or features="tile-coding:1" (--features k-means:64), whose cells number '
                "states, or take an agent that works on vectors (linear-q-learning, ppo)",
            )
        return new_encoder(kind, space, plan, name, self.seed, intercept=intercept, wide=wide)

    # Learning.

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int | None = None,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
        *,
        engine: Engine = "auto",
        schedule_timesteps: int | None = None,
        workers: int | str = 0,
        use_masking: bool = True,
    ) -> Self:
        """Learn for a number of timesteps; the arguments and their order are Stable-Baselines3's, others have names.

        Args:
            total_timesteps: how many timesteps to add.
            callback: a `rlplay.Callback`, a function of the agent that returns False to stop, a callback of
                Stable-Baselines3 or a function of its ``locals`` and ``globals``, or a list.
            log_interval: rollouts between two calls of the callbacks' ``on_log``; of agents that do not learn from
                rollouts alone, episodes; by default 100 calls a run.
            tb_log_name: name of the run in the folder ``tensorboard_log`` that the agent was made with, to which a
                number is added; by default its class.
            reset_num_timesteps: start counting, schedules and a new episode; False goes on where the last stopped,
                so that ``learn(n, schedule_timesteps=2 * n)`` and ``learn(n, reset_num_timesteps=False)`` equal
                ``learn(2 * n)``.
            progress_bar: show steps, steps/s and the time left.
            engine: ``compiled`` runs in native code, ``python`` step by step, with the same bits; ``auto`` chooses.
            schedule_timesteps: horizon of the schedules; by default the timesteps done and these, or the horizon so
                far where it lies beyond them.
            workers: processes that play the environments of an agent with ``n_envs``, with the same bits; ``"auto"``
                measures the environment and takes as many as pay; ``"ray:4"`` takes actors of a Ray cluster, at the
                address in ``RAY_ADDRESS``. For environments without native dynamics.
            use_masking: as of sb3-contrib's MaskablePPO; action masks that there are are heeded.

        Returns:
            The agent itself.

        Raises:
            UsageError: a total below 1, or an engine that this agent and environment do not have.
            EnvironmentFault: the environment broke its contract; the agent stands at the last good step.
        """
        self._say_what_changes_nothing()
        require_masking(self, use_masking)
        logs = logs_of(self, tb_log_name, reset_num_timesteps)
        with self.played_by(workers, total_timesteps, engine):
            train(
                self,
                total_timesteps,
                [*(log.opening for log in logs if isinstance(log, TensorBoardLog)), callback, *logs],
                log_interval=log_interval,
                progress_bar=progress_bar,
                reset_num_timesteps=reset_num_timesteps,
                engine=engine,
                schedule_timesteps=schedule_timesteps,
            )
        self._tell_vec_normalize()
        return self

    def played_by(self, workers: int | str, timesteps: int, engine: Engine) -> AbstractContextManager[None]:
        """While this lasts, worker processes play the environments, where an agent has several.

        Raises:
            UsageError: this agent has one.
        """
        if workers not in (0, "auto"):
            raise UsageError(
                f"workers={workers!r}: {type(self).__name__} plays one environment, which needs none",
                "Leave workers out; agents with n_envs take them",
            )
        return nullcontext()

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Do at most this many timesteps; returns how many were done (0: the agent has converged)."""
        if engine == "compiled" and self.encoder.ready:
            done = advance_compiled(self, min(timesteps, self.encoder.steps_to_fit()))
            if done and self.encoder.due():
                self.refit()
        else:
            done = advance_stepwise(self, min(timesteps, self.encoder.steps_to_fit()))
        self.encoder.check_drift()
        return done

    def compile_ahead(self) -> None:
        """Have another process compile what learning will need; `learn` does so where it was not done before."""

    def why_not_compiled(self) -> str:
        """Why this agent in this environment has no native loop; empty where it has."""
        return why_not_compiled(self)

    @property
    def progress(self) -> float:
        """Training progress for schedules: 0 at the start, 1 at the horizon and beyond."""
        return self.num_timesteps / max(self.horizon, 1)

    def act(self, observation: Any) -> Any:
        """The next action while learning (the stepwise driver)."""
        if not self.encoder.ready:
            return self.random_action(self.encoder.rng)
        if self.numbering is None:
            rule = self._stepwise_rule()
            return self.bounded(rule.act(rule.memory, self.encoder.encode(observation), self.progress))
        if self.next_action < 0:
            rule = self._stepwise_rule()
            self.next_action = rule.act(rule.memory, self.encoder.encode(observation), self.progress)
        return self.numbering.value(self.next_action)

    def update(self, transition: Transition) -> float:
        """Learn from one step (the stepwise driver); returns the TD error."""
        encoder, progress = self.encoder, self.progress
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        self.num_timesteps += 1
        if not encoder.ready:
            if encoder.remember(next_obs):
                self.refit()
            return float("nan")
        (act, learn, memory), rule = self._stepwise_rule(), self.rule
        assert rule is not None
        a = self.numbering.index(action) if self.numbering is not None else 0
        s, s_next = encoder.encode(obs), encoder.encode(next_obs)
        self.next_action = act(memory, s_next, progress) if rule.on_policy and not terminated else -1
        td_error = learn(memory, s, a, reward, s_next, self.next_action, terminated, truncated, progress)
        if terminated or truncated:
            self.next_action = -1
            if rule.begin is not nothing:  # a call into compiled code costs more than this question
                rule.begin(self.memory)
        if encoder.remember(next_obs):
            self.refit()
        return td_error

    def _stepwise_rule(self) -> StepwiseRule:
        """The rule over the memory as it is now, for calls from Python."""
        if self._stepwise is None or self._stepwise[0] is not self.memory:
            assert self.rule is not None
            self._stepwise = self.memory, stepwise(self.rule, self.memory)
        return self._stepwise[1]

    def refit(self) -> None:
        """Fit the feature map; what was learned is carried along where it was fitted before."""
        again = self.encoder.ready
        nearest = self.encoder.fit()
        if again:
            self.remap_states(nearest)

    # The environment.

    def running_envs(self) -> list[RunningEnv]:
        """The environments of the run and where it stands in each; one, unless an agent learns in several."""
        return [RunningEnv(self.env, self.position, self.seeds)]

    def make_running_envs(self, count: int) -> list[RunningEnv]:
        """So many environments of its kind to learn in, its own first, each with a stream of seeds.

        Raises:
            UsageError: its environment cannot be made anew.
        """
        found = [RunningEnv(self.env, self.position, self.seeds)]
        for number in range(1, count):
            if self._beside and why_not_native(self.env):
                env: Any = self._beside[number - 1]
            elif isinstance(self.env, NoEnvironment):
                env = copy.copy(self.env)
            else:
                env = make_anew(self.env, f"n_envs={count} needs environments made anew")
            found.append(RunningEnv(env, Position(), stream(self.seed, f"environment {number}")))
        return found

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Go on in another environment with the same spaces; a running episode is given up.

        Args:
            env: the environment.
            force_reset: as in Stable-Baselines3; an episode cannot go on in another environment.

        Raises:
            SpaceError: the spaces differ; shows both.
        """
        self._beside = []
        if is_side_by_side(env):
            env = self._one_of(env)
        env = self.make_env(env)
        for role in ("observation_space", "action_space"):
            if (mine := getattr(self, role)) != (theirs := getattr(env, role)):
                raise SpaceError(
                    f"this {type(self).__name__} has {role} {mine} and the environment has {theirs}",
                    "Take an environment with the same spaces, or train a new agent",
                )
        go_on_from(self.env, env)
        self.env, self.mask_source, self.mask = env, MaskSource(env), None
        self.masks_seen = self.masks_seen or self.mask_source.method is not None
        self.give_up_episode()

    def _one_of(self, several: Any) -> EnvLike:
        """The environment to go on in, of several that were given: as many as it plays."""
        said = told(type(self), (several,), {})
        if said.hyperparameters.get("n_envs", 1) != (mine := self.hyperparameters.get("n_envs", 1)):
            raise UsageError(f"this {type(self).__name__} plays {mine} environments and was given {several.num_envs}")
        self._goes_on_as_there(several)
        self._beside = said.beside
        return said.env

    def give_up_episode(self) -> None:
        """Stand between episodes, with nothing carried over from the running one."""
        self.position.clear()
        self.next_action = -1
        if self.rule is not None and self.rule.begin is not nothing:
            self.rule.begin(self.memory)

    # Files.

    def save(self, path: str | Path, exclude: Any = None, include: Any = None) -> Path:
        """Save everything, the run's position included, so that a resumed run is bit-exact. Returns the path.

        Args:
            path: of the file; its ending is ``.rlp``, also in place of ``.zip``, which is said once.
            exclude: as in Stable-Baselines3, and of no effect, which is said: a file is whole.
            include: the same.

        Raises:
            CheckpointError: something that cannot be saved; named.
            OSError: the folder cannot be written; an old file is untouched.
        """
        if exclude or include:
            warn_once(f"{type(self).__name__}.save: exclude and include have no meaning here: a file holds everything")
        return checkpoint.write(path, *saving.pack(self))

    @classmethod
    def load(
        cls, path: str | Path, env: EnvLike | None = None, device: Any = None,
        custom_objects: Mapping[str, Any] | None = None, print_system_info: bool = False, force_reset: bool = True,
        *, allow_nan: bool = False, content: Any = None, **changes: Any,
    ) -> Self:  # fmt: skip
        """Load an agent; never runs code from the file.

        Args:
            path: a file that `save` wrote; ``.rlp`` may be left out.
            env: the environment to go on in; by default the one named in the file, if it is registered.
            device: of torch's networks; by default that of the file.
            custom_objects: hyperparameters in place of the file's, as ``changes``; its other entries replace what
                Stable-Baselines3's zips pickle, and have no meaning here, which is said.
            print_system_info: print the versions of what runs.
            force_reset: as in Stable-Baselines3; `learn` begins a new episode unless it goes on.
            allow_nan: take a file with NaN or infinite values.
            content: what `rlplay.storage.checkpoint.read` gave of it, where that was done already.
            changes: hyperparameters in place of the file's, and ``verbose`` and ``tensorboard_log``.

        Raises:
            CheckpointError: damaged, refused, or another agent's file; says what and where.
            SpaceError: the environment has other spaces; shows both.
            UnknownNameError: a change that is no hyperparameter.

        Example:
            >>> import tempfile
            >>> from agents import QLearning
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = QLearning("FrozenLake-v1", alpha=0.1, seed=0).learn(100).save(f"{folder}/lake")
            ...     QLearning.load(path, alpha=0.5).alpha
            0.5
        """
        if print_system_info:
            print("\n".join(f"- {name}: {version}" for name, version in saving.versions().items()))
        found = changes_of(cls, custom_objects or {}, device, changes)
        several = env if is_side_by_side(env) else None
        given = env if several is None else taken_apart(several, cls.__name__)
        agent = saving.unpack(cls, path, given, allow_nan=allow_nan, content=content, changes=found)
        if several is not None:
            agent._goes_on_as_there(several)
        return agent

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={_shown(value)}" for key, value in self.hyperparameters.items())
        return f"{type(self).__name__}({reference(self.env)}, {shown}, seed={self.seed})"


def _shown(value: Any) -> str:
    """A hyperparameter in a repr; of a function that was tabulated as a schedule the first and the last value."""
    if isinstance(value, list) and len(value) > _MOST_SHOWN:
        return f"[{value[0]!r}, ..., {value[-1]!r}]"
    return repr(value)
