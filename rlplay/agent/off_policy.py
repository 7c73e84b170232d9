"""What off-policy agents share: several environments played at once, a replay buffer, and updates from what it holds.

An agent is a file with its update in it, such as `agents.dqn`; how a step of all environments goes is in
`rlplay.functional.off_policy_step`.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Hashable
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.data import dataset_of, steps_of
from rlplay.agent.hindsight import goals_of, in_hindsight, reward_of
from rlplay.agent.replay_room import require_room
from rlplay.agent.vector_agent import VectorAgent
from rlplay.environments.masks import Mask
from rlplay.environments.wrappers import frames_of
from rlplay.errors import CheckpointError, HyperparameterError, SpaceError, counted
from rlplay.functional.batches import Options, new_batch
from rlplay.functional.hindsight import drawing_goals
from rlplay.functional.off_policy_step import Counters, OffPolicyIteration, OffPolicyMemory, Plan, iteration
from rlplay.functional.replay import (
    NO_STEP,
    TRUNCATED,
    StoredSteps,
    forgotten_rows,
    keep_episodes,
    new_replay,
    read_rows,
    stored_at,
    written_rows,
)
from rlplay.functional.running_moments import observe_episodes
from rlplay.functional.sum_tree import sum_up
from rlplay.functional.vector_step import followed, uncompiled
from rlplay.hyperparameters.domains import Either, Range
from rlplay.networks.contract import Kernel
from rlplay.seeding import stream
from rlplay.spaces.finite import agents_for, is_finite
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import ANY, COUNT, Ranges, check_ranges, numbers_below, or_none

BufferSize = Annotated[int, Range("observations that the replay buffer holds", 4, 10**9, integer=True)]
LearningStarts = Annotated[int, Range("steps of random actions before the first update", 0, integer=True)]
BatchSize = Annotated[int, Range("steps of a batch", 1, 1_000_000, integer=True)]
TrainFreq = Annotated[
    Any, Either((), Range("steps between updates, or [n, episode]", 1, 10**9, integer=True), ("step", "episode"))
]
GradientSteps = Annotated[
    int, Range("gradient steps an update; -1: as many as steps were taken", -1, 10**6, integer=True)
]
NSteps = Annotated[int, Range("steps of a return before it is bootstrapped", 1, 1000, integer=True)]
PriorityExponent = Annotated[float, Range("exponent α of the priorities; 0 is uniform", 0, 1)]
PriorityWeight = Annotated[float, Range("exponent β of the weights of importance sampling, at the start", 0, 1)]
PriorityWeightSteps = Annotated[int, Range("steps within which β rises to 1", 1, 10**12, integer=True)]
PriorityEpsilon = Annotated[float, Range("what is added to the size of a TD error", 0, 1e6, open_low=True)]


_SHOWN = 5000  # observations of the replay buffer that pictures are made of, at most


class Parts(NamedTuple):
    """What an agent makes for its memory.

    Attributes:
        nets: the networks, a NamedTuple.
        kernels: the functions of each of them, by its name.
        work: the agent's own arrays, a NamedTuple.
        metrics: the class of its metrics.

    Example:
        >>> from agents import DQN
        >>> parts = DQN("CartPole-v1", net_arch=[4], buffer_size=100, seed=0).make_parts()
        >>> list(parts.kernels), parts.nets._fields
        (['q', 'target'], ('q', 'target'))
    """

    nets: Any
    kernels: dict[str, Kernel]
    work: Any
    metrics: Any


class OffPolicyAgent(VectorAgent):
    """An agent that learns from a replay buffer.

    It supplies `make_rule`, `settings`, `spec` and `make_parts`, and its hyperparameters: buffer_size, learning_starts,
    batch_size, train_freq, gradient_steps and gamma; where it has them also n_steps, prioritized, priority_alpha,
    priority_beta, priority_beta_steps and priority_epsilon, n_sampled_goal and goal_selection_strategy.

    Attributes:
        make_rule: ``make_rule(kernels, spec, decorator) -> OffPolicyRule``, a cached function.
        settings: a NamedTuple class: the hyperparameters that the rule reads, each a ``Schedule``, ``float``, ``int``
            or ``bool``.
        another: who may act in the agent's place, step by step: gives an action, or None where the agent acts. What was
            done is what goes into the replay buffer. The stepwise driver asks; None for nobody.
        goal_reward: the environment's rewards of goals that are put in place in hindsight; None without.

    Example:
        >>> from agents import DQN  # a subclass
        >>> agent = DQN("CartPole-v1", buffer_size=1000, learning_starts=50, seed=0).learn(100)
        >>> agent.memory.replay.obs.shape, agent.memory.replay.filled.tolist()[0] > 100
        ((1000, 4), True)
    """

    make_rule: ClassVar[Any]
    settings: ClassVar[Any]
    learns_from_others = True

    # What an agent supplies.

    @abstractmethod
    def make_parts(self) -> Parts:
        """The networks, what else the rule works on, and the class of its metrics."""

    def nets(self) -> dict[str, Any]:
        """The networks that a file keeps, by the names of their ``kernels``."""
        return {name: getattr(self.memory.nets, name) for name in self.kernels}

    def functions_of(self, name: str) -> Any:
        """Those that its part was made with."""
        return self.kernels[name]

    def parameters(self) -> dict[str, NDArray[Any]]:
        """All weights of each network, by its name, [P]."""
        return {name: self.kernels[name].arrays(net)["parameters"] for name, net in self.nets().items()}

    def state_size(self) -> int:
        """Numbers of a hidden state that are kept with each observation."""
        return 0

    def make_batch(self, action_size: int, outputs: int, masked: bool) -> Any:
        """Room for what is drawn at a time."""
        return new_batch(int(self.hyperparameters["batch_size"]), self.encoder.size, action_size, outputs, masked)

    def spec(self) -> Hashable:
        """What of the hyperparameters is decided when the rule is compiled."""
        return ()

    # What it is made of.

    def setup(self) -> None:
        """The environments, the networks, the replay buffer and everything else that a step works on."""
        given, name = self.hyperparameters, type(self).__name__
        self.another: Callable[[], Any] | None = None
        self.goal_reward: Callable[..., Any] | None = None
        self._begin_setup()
        self._discrete, low, high = self._actions()
        self._masked = self._has_masks()
        n, size, batch = len(self._running_envs), self.encoder.size, int(given["batch_size"])
        outputs = int(high[0]) if self._discrete else 0
        prioritized = bool(given.get("prioritized", False))
        dtype, scale = self._kept_as()
        rows = int(given["buffer_size"])
        raw, action_size, stack = self.encoder.view.size, len(low), self._stack()
        self.buffer_bytes = require_room(
            name, (rows, batch, n), (raw // stack[0], action_size, outputs, self.state_size()), dtype, stack[0],
            masked=self._masked, prioritized=prioritized,
        )  # fmt: skip
        parts = self.make_parts()
        self.kernels = parts.kernels
        train_freq = given.get("train_freq", 1)
        every, unit = train_freq if isinstance(train_freq, list | tuple) else (train_freq, "step")
        if unit == "episode" and n > 1:
            raise HyperparameterError(
                f"{name}: train_freq={train_freq} waits for the end of an episode, and {n} are played at once",
                "Give train_freq in steps, or n_envs=1",
            )
        self._options = Options(self._discrete, prioritized, np.dtype(dtype) == np.uint8, stack[0] > 1)
        self._rng = np.stack([stream(self.seed, purpose) for purpose in ("exploration", "replay", "noise")])
        self._metrics = np.zeros(len(parts.metrics._fields))
        self._counts = np.zeros(4, np.int64)
        masks = (n if self._masked else 0, outputs)
        self.memory = OffPolicyMemory(
            nets=parts.nets, work=parts.work, settings=self._settings_of(self.settings),
            metrics=parts.metrics(*(self._metrics[i : i + 1] for i in range(len(self._metrics)))),
            plan=Plan(
                learning_starts=int(given.get("learning_starts", 0)), random_steps=self.random_steps(),
                train_freq=int(every),
                by_episode=unit == "episode", gradient_steps=int(given.get("gradient_steps", 1)),
                n_steps=int(given.get("n_steps", 1)),
                gamma=float(given["gamma"]), scale=scale, alpha=float(given.get("priority_alpha", 0.0)),
                beta=float(given.get("priority_beta", 1.0)), beta_steps=int(given.get("priority_beta_steps", 1)),
                epsilon=float(given.get("priority_epsilon", 1e-6)),
            ),
            counters=Counters(*(self._counts[i : i + 1] for i in range(4))),
            replay=new_replay(
                rows, n, raw, action_size, outputs, dtype=dtype, masked=self._masked, prioritized=prioritized,
                stack=stack,
            ),
            batch=self.make_batch(action_size, outputs, self._masked),
            obs=np.zeros((n, size), np.float32), raw=np.zeros(raw, self.encoder.view.dtype),
            masks=np.zeros(masks, np.float32), final_masks=np.zeros(masks, np.float32),
            actions=np.zeros((n, action_size), np.float32), low=low, high=high, rewards=np.zeros(n),
            ends=np.zeros(n, np.bool_), moments=self._new_moments(), features=None, goals=goals_of(self),
            progress=np.zeros(1), action_rng=self._rng[0], replay_rng=self._rng[1], noise_rng=self._rng[2],
        )  # fmt: skip
        self._build()

    def _build(self) -> None:
        """The step, over the feature map as it is now."""
        decorator, fill = self._through_features()
        kernels, stop = tuple(self.kernels.values()), self._halt
        if stop is not None:
            kernels = tuple(uncompiled(kernel) for kernel in kernels)
        rule = type(self).make_rule(kernels, self.spec(), decorator)
        if stop is not None:
            rule = rule._replace(update=followed(rule.update, lambda *given: stop()))
        self._iteration: OffPolicyIteration
        if self.memory.goals is None:
            self._iteration = iteration(rule, self._options, decorator, fill)
        else:
            rule = rule._replace(drawing=drawing_goals)
            self._iteration = in_hindsight(self, iteration(rule, self._options, decorator, fill))

    def _actions(self) -> tuple[bool, NDArray[np.float32], NDArray[np.float32]]:
        """Whether actions are numbers, and the bounds of random ones."""
        space, name = self.action_space, type(self).__name__
        if self.takes_numbers() and is_finite(space):
            self.number_actions()
            assert self.numbering is not None
            return True, np.zeros(1, np.float32), np.full(1, self.numbering.n, np.float32)
        if self.takes_boxes() and isinstance(space, gym.spaces.Box):
            if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
                raise SpaceError(
                    f"{name} needs actions with bounds, and {space} has none",
                    "Bound them by gymnasium.wrappers.RescaleAction or TransformAction",
                )
            low, high = (np.asarray(bound, np.float32).ravel() for bound in (space.low, space.high))
            return False, low, high
        kinds = " or ".join(["finite"] * self.takes_numbers() + ["a Box"] * self.takes_boxes())
        raise SpaceError(f"{name} needs actions that are {kinds}, and {space} is not", agents_for(space))

    def takes_numbers(self) -> bool:
        """Whether its actions may be finite."""
        return True

    def takes_boxes(self) -> bool:
        """Whether its actions may be a Box."""
        return False

    def _kept_as(self) -> tuple[Any, float]:
        """How the replay buffer keeps observations, and what a byte is worth: a byte where that loses nothing."""
        view, space = self.encoder.view, self.observation_space
        if view.picture is not None:
            return np.uint8, float(np.float32(1 / 255)) if space.dtype == np.uint8 else 1.0
        if is_finite(space) and not isinstance(space, gym.spaces.Dict | gym.spaces.Tuple):
            return np.uint8, 1.0
        return view.dtype, 1.0

    def _stack(self) -> tuple[int, int, int]:
        """How the replay buffer keeps stacked pictures: see `rlplay.functional.replay.Replay`."""
        picture, (frames, repeats) = self.encoder.view.picture, frames_of(self.env)
        if frames == 1 or picture is None or picture[2] % frames:
            return 1, 0, 0
        return frames, picture[2] // frames, int(repeats)

    def random_steps(self) -> int:
        """Steps with random actions at the start."""
        return int(self.hyperparameters.get("learning_starts", 0))

    def network_rows(self) -> int:
        """Rows that networks see at a time, at most: a batch, or a step of all environments."""
        return max(int(self.hyperparameters["batch_size"]), len(self._running_envs))

    def waits_for(self) -> str:
        """The steps before the first update."""
        plan, encoder = self.memory.plan, self.encoder
        kept = int(self.memory.counters.steps[0])  # more than timesteps, where these were counted anew
        waited = max(self.num_timesteps - kept, 0) if encoder.in_use else encoder.warm_up
        of_each = " of each environment" if len(self._running_envs) > 1 else ""
        unit, where = ("episode", "") if plan.by_episode else ("step", of_each)
        every = (unit if plan.train_freq == 1 else counted(plan.train_freq, unit)) + where
        steps = counted(waited, "step")
        first, lower = (f"{steps} for its features (warm_up) and ", "warm_up, ") if waited else ("", "")
        whole, more = ("", "") if self.memory.goals is None else (
            ", from finished episodes that are held as a whole (buffer_size)", ", raise buffer_size"
        )  # fmt: skip
        return (
            f"an update comes after {first}more than {counted(plan.learning_starts, 'step')} (learning_starts), every "
            f"{every} (train_freq){whole}. Lower {lower}learning_starts or train_freq{more}, or learn longer"
        )

    def least_steps_to_learn(self) -> int:
        """One more than learning_starts, after those that fit the features."""
        own = self.memory.plan.learning_starts - int(self.memory.counters.steps[0])
        return super().least_steps_to_learn() + max(own, 0)

    # The environments.

    def _mask_of(self, i: int, info: dict[str, Any]) -> Mask | None:
        """One entry a combination of the parts of an action."""
        mask = super()._mask_of(i, info)
        return None if mask is None else self._mask_sources[i].joint(mask)

    def _make_masks(self) -> None:
        memory, (n, outputs) = self.memory, (len(self._running_envs), self.memory.masks.shape[1])
        replay = memory.replay
        self.memory = memory._replace(
            masks=np.zeros((n, outputs), np.float32), final_masks=np.zeros((n, outputs), np.float32),
            batch=self.make_batch(memory.actions.shape[1], outputs, True),
            replay=replay._replace(forbidden=np.zeros((len(replay.kinds), outputs), np.bool_)),
        )  # fmt: skip

    def _keep_final_mask(self, i: int) -> None:
        if self._masked:
            self.memory.final_masks[i] = self.memory.masks[i]

    def _learn_arguments(self) -> tuple[Any, ...]:
        return self.memory, self.progress, 1

    def _taken(self, action: NDArray[np.float32]) -> Any:
        """An action as the environment takes it; where another acts, that one's, which is then what was done."""
        given = None if self.another is None else self.another()
        if given is not None:
            action[:] = self.numbering.index(given) if self.numbering is not None else np.ravel(given)
        return self.numbering.value(int(action[0])) if self.numbering is not None else self.bounded(action)

    # Learning.

    def advance(self, timesteps: int, engine: Any) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        self.memory.progress[0] = self.progress
        if self.memory.goals is not None:
            self.goal_reward = reward_of(self.env, type(self).__name__)
        return super().advance(timesteps, engine)

    def _begin(self) -> None:
        super()._begin()
        if self.encoder.ready:
            self._iteration.begin(self.handed(self.memory), self.handed(self._step_buffer))

    def _warm_up(self, rounds: int) -> int:
        done = super()._warm_up(rounds)
        if self.encoder.ready:
            self._iteration.begin(self.handed(self.memory), self.handed(self._step_buffer))
        return done

    def metrics(self) -> dict[str, float]:
        """Numbers of the last update."""
        found = {f"train/{name}": float(value[0]) for name, value in self.memory.metrics._asdict().items()}
        return found if self.memory.metrics.n_updates[0] else {}

    def seen(self) -> NDArray[Any] | None:
        """Observations of the replay buffer, evenly spread over it, [N, D]; None where there are none."""
        replay = self.memory.replay
        rows = np.flatnonzero(replay.kinds[: written_rows(replay)])
        if not len(rows):
            return super().seen()
        chosen = rows[:: -(-len(rows) // _SHOWN)]
        return read_rows(replay, chosen, self.memory.plan.scale).astype(self.encoder.view.dtype, copy=False)

    def stored_steps(self, count: int) -> StoredSteps | None:
        """Steps of the replay buffer, evenly spread over it; None where there are none, or observations are no vectors.

        Args:
            count: how many, at most.
        """
        space, replay = self.observation_space, self.memory.replay
        rows = np.flatnonzero(replay.kinds[: written_rows(replay)])
        if not len(rows) or not isinstance(space, gym.spaces.Box) or len(space.shape) != 1:
            return None
        chosen = rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]
        return stored_at(replay, chosen, self.memory.plan.scale, space.dtype, prioritized=self._options.prioritized)

    # Data from elsewhere.

    def remember(self, dataset: Any) -> Self:
        """Put the steps of a data set into the replay buffer, such as demonstrations; running episodes are given up.

        They count as no timesteps, and are forgotten like others once the buffer is full.

        Args:
            dataset: a `rlplay.Dataset` of the agent's environment, the path of its file, ``"random:N"``, or
                ``"NAME:N"`` of a policy by name.

        Raises:
            HyperparameterError: no such data set, or one with more steps than there is room.
            UsageError: a data set of another environment.
            CheckpointError: a damaged file, or episodes that no longer replay.

        Example:
            >>> from agents import DQN
            >>> agent = DQN("CartPole-v1", buffer_size=2000, seed=0).remember("follow-the-pole:300").learn(200)
            >>> int((agent.memory.replay.kinds > 0).sum())
            500
        """
        name, memory = type(self).__name__, self.memory
        data = dataset_of(dataset, self.env, name, self.seed)
        steps = steps_of(data, self.env, self.encoder, name)
        self.give_up_episode()
        if steps.allowed is not None and not self._masked:
            self._masked = self.masks_seen = True
            self._make_masks()
            memory = self.memory
        replay, before = memory.replay, int((memory.replay.kinds != NO_STEP).sum())
        fitted = keep_episodes(replay, *steps, memory.plan.scale)
        if not fitted:
            raise HyperparameterError(
                f"{name}: a data set of {len(data):,} steps in {len(data.seeds):,} episodes does not fit into a replay "
                f"buffer of {counted(len(replay.kinds), 'observation')} with {counted(before, 'step')} in it",
                f"Take buffer_size={before + len(data) + len(data.seeds) + len(replay.place):,} or more",
            )
        if self._options.prioritized:
            leaves = replay.priorities.values[: len(replay.kinds)]
            leaves[(replay.kinds != NO_STEP) & (leaves == 0) & ~forgotten_rows(replay)] = replay.priorities.greatest[0]
            sum_up(replay.priorities)
        observe_episodes(memory.moments, steps.obs, steps.rewards, steps.lengths)
        if not self.encoder.ready:
            for vector in steps.obs:
                self.encoder.remember_vector(vector)
            if self.encoder.due():
                self.refit()
        self.keep_source(data)
        return self

    def keep_source(self, described: Any) -> None:
        """Told which data set was remembered; an agent that learns from nothing else says so in its file."""

    # Files.

    def arrays(self) -> StateArrays:
        """Networks and optimisers, the replay buffer as far as it is filled, the moments, and the random states."""
        replay = self.memory.replay
        found: StateArrays = {
            "rng": self._rng, "metrics": self._metrics, "counters": self._counts, "place": replay.place,
            "filled": replay.filled,
        }  # fmt: skip
        for name, net in self.nets().items():
            found.update({f"{name}/{part}": array for part, array in self.kernels[name].arrays(net).items()})
        rows = int(replay.filled.max()) * len(replay.filled)
        kept = {"obs": replay.obs, "actions": replay.actions, "rewards": replay.rewards, "kinds": replay.kinds,
                "forbidden": replay.forbidden}  # fmt: skip
        if self._options.prioritized:
            kept["priorities"] = replay.priorities.values[: len(replay.kinds)]
            found["greatest_priority"] = replay.priorities.greatest
        if self._options.in_stacks:
            found["frame_stack"] = replay.stack
        found.update({f"replay/{name}": array[:rows] for name, array in kept.items()})
        found.update({f"normaliser/{name}": array for name, array in self._moment_arrays.items()})
        return found | self.encoder.arrays()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; layers are compared with the agent's own."""
        replay = self.memory.replay
        slots = len(replay.kinds) // len(replay.place)
        found: Ranges = {
            "counters": COUNT, "place": or_none(slots), "filled": (0, slots), "replay/kinds": (0, TRUNCATED),
            **super().ranges(),
        }  # fmt: skip
        if replay.obs.dtype == np.uint8:
            found["replay/obs"] = (0, 255)
        if self._options.in_stacks:
            found["frame_stack"] = (0, self.encoder.view.size)
        for name in self.kernels:
            found.update({f"{name}/layers": ANY, f"{name}/t": COUNT})
        return found

    def check(self) -> None:
        """Refuse actions that there are not, priorities that are none, and sums that do not come from them."""
        super().check()
        replay = self.memory.replay
        if self.numbering is not None:
            check_ranges({"replay/actions": replay.actions}, {"replay/actions": numbers_below(self.numbering.n)})
        if self._options.prioritized:
            tree = replay.priorities
            leaves = tree.values[: len(replay.kinds)]
            if not ((leaves >= 0).all() and np.isfinite(leaves.sum()) and 0 < tree.greatest[0] < math.inf):
                raise CheckpointError("replay/priorities holds numbers that are no priorities: refused")
            if ((leaves > 0) != ((replay.kinds > 0) & ~forgotten_rows(replay))).any():
                raise CheckpointError("replay/priorities has priorities where no step begins: refused")

    def _keep_as(self, stack: NDArray[np.int64]) -> None:
        """Keep pictures as a file does: its environment may not be at hand, and older files hold whole stacks.

        Raises:
            CheckpointError: such pictures do not make up the observations.
        """
        replay, channels = self.memory.replay, (self.encoder.view.picture or (0, 0, 0))[2]
        if np.array_equal(stack, replay.stack):
            return
        if stack.shape != (3,) or (stack[0] != 1 and (stack[0] < 2 or stack[0] * stack[1] != channels)):
            raise CheckpointError(f"frame_stack is {stack.tolist()}, and pictures have {channels} channels: refused")
        size, (frames, each, repeats) = self.encoder.view.size, (int(number) for number in stack)
        room = np.zeros((len(replay.kinds), size // frames), replay.obs.dtype)
        stack = np.array([frames, each, int(repeats == 1)], np.int64)
        self.memory = self.memory._replace(replay=replay._replace(obs=room, stack=stack))
        self._options = self._options._replace(in_stacks=frames > 1)

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too; the sums of priorities are made anew."""
        self._keep_as(np.asarray(arrays.get("frame_stack", (1, 0, 0))))
        replay = self.memory.replay
        copy_into("place", arrays, replay.place)
        copy_into("filled", arrays, replay.filled)  # it says how many rows there are
        if np.size(arrays.get("replay/forbidden", ())) and not self._masked:  # its environment has not said so yet
            self._masked = self.masks_seen = True
            self._make_masks()
        super().load_arrays(arrays)
        if self._options.prioritized:
            sum_up(self.memory.replay.priorities)
        for name, net in self.nets().items():
            own = {part.removeprefix(f"{name}/"): a for part, a in arrays.items() if part.startswith(f"{name}/")}
            self.kernels[name].restore(net, own)
        self._build()  # over the feature map of the file
