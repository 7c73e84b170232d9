"""Data sets to learn from without playing: many episodes as seeds and actions, exact and small.

Observations and rewards are not kept: they are found again by playing the actions, in native code where the environment
has native dynamics, and compared with the digest of each episode. An action of n takes as many bits as n needs, so a
hundred thousand steps of CartPole are some kilobytes.

    rlplay dataset make --env CartPole-v1 -i logs/dqn/CartPole-v1_1 --mix random:0.5 -n 20000 -o mixed.rlp
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.native import NativeEnv
from rlplay.compiled.pcg64 import random_seed
from rlplay.compiled.replay_loop import replay_loop
from rlplay.environments.episode import Episode
from rlplay.environments.interact import Position, interact
from rlplay.environments.make import make, reference, remake, time_limit
from rlplay.environments.masks import MaskSource
from rlplay.environments.names import check_arguments
from rlplay.environments.reference import EnvReference
from rlplay.errors import CheckpointError, RlplayError, SpaceError, UsageError, counted, require_memory
from rlplay.seeding import stream
from rlplay.spaces.finite import FiniteSpace, finite, is_finite
from rlplay.spaces.observations import VectorView, observation_bytes
from rlplay.storage import checkpoint
from rlplay.storage.ranges import check_number, check_ranges, numbers_below
from rlplay.transition import Transition

_DIGEST = 8  # bytes of an episode's sha256 that are kept
_MOST_STEPS = 10**10


class Steps(NamedTuple):
    """The steps of E episodes, T in all; an episode has one observation more than it has steps.

    Attributes:
        obs: observations as vectors, float32 or float64 [T + E, D].
        actions: numbers, or the numbers of a Box, float32 [T, A].
        rewards: float64 [T].
        lengths: steps of each episode, int64 [E].
        terminated, truncated: how each ended, bool [E]; neither where the recording stopped in the middle.
        allowed: the actions that might be taken, bool [T + E, K]; None where nothing was masked.

    Example:
        >>> import rlplay
        >>> steps = Dataset.random("CartPole-v1", 50, seed=0).replay()
        >>> steps.obs.shape == (50 + len(steps.lengths), 4), steps.rewards.sum()
        (True, np.float64(50.0))
    """

    obs: NDArray[Any]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float64]
    lengths: NDArray[np.int64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    allowed: NDArray[np.bool_] | None


def _nothing() -> None:
    """Of an actor without a memory."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Episodes of one environment as seeds and actions: E episodes, T steps in all.

    Attributes:
        env: which environment.
        dynamics: in whose dynamics the episodes replay: ``"auto"``, or ``"gymnasium"`` where native ones differ.
        n_actions: of a finite space; 0 for a Box.
        seeds: of the episodes' resets, int64 [E].
        lengths: steps of each, int64 [E].
        actions: numbers int64 [T], or of a Box float32 or float64 [T, A].
        returns: undiscounted, of each, float64 [E].
        digests: the first bytes of a sha256 over what each gave, uint8 [E, 8].
        players: who played: ``"random"``, an agent's id, a teacher's name, ``"you"``.
        played_by: the number of each episode's player, int64 [E].

    Example:
        >>> data = Dataset.random("CartPole-v1", 100, seed=0)
        >>> len(data), data.players, data.returns.sum()
        (100, ('random',), np.float64(100.0))
    """

    env: EnvReference
    dynamics: str
    n_actions: int
    seeds: NDArray[np.int64]
    lengths: NDArray[np.int64]
    actions: NDArray[Any]
    returns: NDArray[np.float64]
    digests: NDArray[np.uint8]
    players: tuple[str, ...]
    played_by: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.actions)

    def describe(self) -> dict[str, Any]:
        """What a settings file says of it: where the steps came from, not the steps."""
        return {"env": str(self.env), "steps": len(self), "players": [*self.players], "digest": self.digest()}

    def digest(self) -> str:
        """Of all episodes, 16 hexadecimal digits."""
        return hashlib.sha256(self.digests.tobytes() + self.lengths.tobytes()).hexdigest()[:16]

    # Made.

    @classmethod
    def record(
        cls, env: Any, act: Callable[[Any, dict[str, Any]], Any], steps: int, *, seed: int = 0, player: str = "",
        dynamics: str = "auto", on_start: Callable[[], None] = _nothing,
    ) -> Self:  # fmt: skip
        """Play so many steps; the last episode may be cut.

        Args:
            env: an environment; it is reset.
            act: ``act(observation, info)`` gives an action.
            steps: how many.
            seed: of the stream of the episodes' seeds.
            player: who acts, in a word.
            dynamics: in whose dynamics it will be replayed.
            on_start: is called before the first action of each episode.

        Raises:
            UsageError: fewer than one step.
            SpaceError: actions that are neither finite nor a Box.
        """
        if steps < 1:
            raise UsageError(f"a data set of {counted(steps, 'step')} is empty", "Ask for 1 or more")
        seeds, position = stream(seed, "dataset"), Position()

        def acting(obs: Any) -> Any:
            if position.length == 0:
                on_start()
            return act(obs, position.info)

        played = interact(env, acting, lambda: random_seed(seeds), position)
        return cls._gathered(env, itertools.islice(played, steps), position, player, dynamics)

    @classmethod
    def random(cls, env: Any, steps: int, *, seed: int = 0) -> Self:
        """Random play, of the actions that may be taken.

        Args:
            env: an environment or what `rlplay.make` takes.
            steps: how many.
            seed: of everything that is drawn.
        """
        made = make(env)
        made.action_space.seed(seed)
        masks = MaskSource(made)
        return cls.record(made, lambda _, info: masks.sample(info), steps, seed=seed, player="random")

    @classmethod
    def of_episodes(cls, episodes: Iterable[Episode], env: Any, *, dynamics: str = "auto") -> Self:
        """Recordings, such as those of ``rlplay play --record``, each replayed and verified.

        Args:
            episodes: of one environment, with actions as the environment takes them.
            env: the environment.
            dynamics: in whose dynamics ``env`` runs.

        Raises:
            CheckpointError: a replay differs from what was recorded.
        """
        parts = []
        for one in episodes:
            if one.actions:
                position = Position(seed=one.seed)
                parts.append(cls._gathered(env, one.replay(env), position, one.player or "you", dynamics))
        if not parts:
            raise UsageError("the recordings have no actions: the data set would be empty", "Record an episode anew")
        return cls.join(parts)

    @classmethod
    def _gathered(
        cls, env: gym.Env[Any, Any], played: Iterable[Transition], position: Position, player: str, dynamics: str
    ) -> Self:
        space = env.action_space
        numbering = _numbering(space)
        seeds: list[int] = []
        lengths: list[int] = []
        returns: list[float] = []
        digests: list[bytes] = []
        actions: list[Any] = []
        digest: EpisodeHash | None = None
        for transition in played:
            if digest is None:
                digest = EpisodeHash(transition.obs)
                seeds.append(position.seed)
                lengths.append(0)
                returns.append(0.0)
            digest.add(transition)
            lengths[-1] += 1
            returns[-1] += transition.reward
            action = transition.action
            actions.append(numbering.index(action) if numbering is not None else np.ravel(action).astype(space.dtype))
            if transition.terminated or transition.truncated:
                digests.append(digest.end())
                digest = None
        if digest is not None:
            digests.append(digest.end())
        n = 0 if numbering is None else numbering.n
        ref = replace(reference(env), maker=None, obstacle="", why_not_native="")
        return cls(
            ref, dynamics, n, np.array(seeds), np.array(lengths),
            np.array(actions, np.int64) if numbering is not None else np.stack(actions), np.array(returns),
            np.frombuffer(b"".join(digests), np.uint8).reshape(-1, _DIGEST), (player,), np.zeros(len(seeds), np.int64),
        )  # fmt: skip

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """Several data sets of one environment as one.

        Raises:
            UsageError: none, or of different environments.

        Example:
            >>> parts = [Dataset.random("CartPole-v1", 30, seed=seed) for seed in (0, 1)]
            >>> len(Dataset.join(parts)), Dataset.join(parts).players
            (60, ('random',))
        """
        if not parts:
            raise UsageError("no data set was given to join")
        first = parts[0]
        for one in parts[1:]:
            require_same_env(one, first.env, f"a data set of {first.env}")
            if one.dynamics != first.dynamics:
                raise UsageError(
                    f"one data set replays in native dynamics of {first.env} and one in Gymnasium's, which differ",
                    "Record both in the same",
                )
        players = tuple(dict.fromkeys(name for one in parts for name in one.players))
        numbers = [np.array([players.index(name) for name in one.players])[one.played_by] for one in parts]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(one, name) for one in parts])
            for name in ("seeds", "lengths", "actions", "returns", "digests")
        }
        return replace(first, players=players, played_by=np.concatenate(numbers), **columns)

    # Played again.

    def replay(self, env: Any = None, view: VectorView | None = None) -> Steps:
        """All steps, found by playing the actions again, and verified.

        Args:
            env: the environment to play in; by default made anew from the data set's own reference.
            view: how observations become vectors; by default flattened.

        Raises:
            CheckpointError: an episode gives something else than what was recorded, or an action is not of the space.
            UsageError: more than this machine can hold, or an environment that cannot be made.
        """
        made = remake(self.env, dynamics=self.dynamics) if env is None else env
        self._check_actions(made.action_space)
        view = VectorView(made.observation_space, "Dataset") if view is None else view
        rows = len(self) + len(self.seeds)
        require_memory(
            f"a data set of {counted(len(self), 'step')} of {counted(view.size, 'number')}", rows * view.size,
            "Make a smaller one", itemsize=view.dtype.itemsize,
        )  # fmt: skip
        return self._replay_natively(made) if isinstance(made, NativeEnv) else self._replay_in_python(made, view)

    def _check_actions(self, space: gym.Space[Any]) -> None:
        numbering = _numbering(space)
        there = 0 if numbering is None else numbering.n
        wide = self.actions.ndim == 1 or self.actions.shape[1] == int(np.prod(space.shape or ()))
        if there != self.n_actions or not wide:
            width = f"actions of {counted(self.actions.shape[-1], 'number')}"
            kind = counted(self.n_actions, "action") if self.n_actions else width
            raise CheckpointError(
                f"the data set has {kind}, and the environment has {space}",
                "Make it anew in this environment: rlplay dataset make",
            )

    def _replay_natively(self, env: NativeEnv) -> Steps:
        total, count = len(self), len(self.seeds)
        obs = np.zeros((total + count, len(env.world.obs)), np.float32)
        rewards, terminated = np.zeros(total), np.zeros(count, np.bool_)
        actions = self.actions
        if not self.n_actions:
            actions = np.clip(actions.astype(np.float32), env.world.low, env.world.high)
        done = replay_loop(env.dynamics)(
            env.world.parameters, np.zeros(env.state_size), np.zeros(4, np.uint64), self.seeds, self.lengths,
            np.ascontiguousarray(actions), obs, rewards, terminated,
        )  # fmt: skip
        if done < total:
            raise self._differs(int(np.searchsorted(np.cumsum(self.lengths), done)))
        limit = time_limit(env)
        truncated = (self.lengths >= limit) if limit else np.zeros(count, np.bool_)
        ends = np.cumsum(self.lengths)
        for e, (end, length) in enumerate(zip(ends.tolist(), self.lengths.tolist(), strict=True)):
            sha = hashlib.sha256(obs[end - length + e : end + e + 1].tobytes())
            sha.update(rewards[end - length : end].tobytes())
            sha.update(bytes([bool(terminated[e]), bool(truncated[e])]))
            if sha.digest()[:_DIGEST] != self.digests[e].tobytes():
                raise self._differs(e)
        return Steps(obs, self._as_floats(), rewards, self.lengths, terminated, truncated, None)

    def _replay_in_python(self, env: gym.Env[Any, Any], view: VectorView) -> Steps:
        numbering, masks = _numbering(env.action_space), MaskSource(env)
        total, count, t = len(self), len(self.seeds), 0
        obs, rewards = np.zeros((total + count, view.size), view.dtype), np.zeros(total)
        ends = np.zeros((2, count), np.bool_)
        allowed = np.zeros((0, 0), np.bool_)

        def see(row: int, info: dict[str, Any], over: bool) -> None:
            nonlocal allowed
            mask = None if numbering is None else masks.joint_of(info, over)
            if mask is not None and not len(allowed):
                allowed = np.ones((total + count, len(mask)), np.bool_)
            if mask is not None:
                allowed[row] = mask

        for e in range(count):
            position, seed = Position(), int(self.seeds[e])
            steps = interact(env, lambda _: self._action(t, env.action_space, numbering), lambda: seed, position)  # noqa: B023
            digest = None
            for _ in range(int(self.lengths[e])):
                if digest is not None and position.obs is None:  # it ended before its last action
                    raise self._differs(e)
                transition = next(steps)
                if digest is None:
                    digest = EpisodeHash(transition.obs)
                    obs[t + e] = view.vector(transition.obs)
                digest.add(transition)
                rewards[t] = transition.reward
                t += 1
                obs[t + e] = view.vector(transition.next_obs)
                see(t + e, transition.info, transition.terminated)
                ends[:, e] = transition.terminated, transition.truncated
            if digest is None or digest.end() != self.digests[e].tobytes():
                raise self._differs(e)
        if len(allowed):
            self._allow_first(env, masks, allowed)
        return Steps(obs, self._as_floats(), rewards, self.lengths, ends[0], ends[1], allowed if len(allowed) else None)

    def _allow_first(self, env: gym.Env[Any, Any], masks: MaskSource, allowed: NDArray[np.bool_]) -> None:
        """What may be done at the first observation of each episode."""
        begins = np.cumsum(self.lengths + 1) - (self.lengths + 1)
        for row, seed in zip(begins.tolist(), self.seeds.tolist(), strict=True):
            mask = masks.joint_of(env.reset(seed=seed)[1])
            if mask is not None:
                allowed[row] = mask

    def _action(self, t: int, space: Any, numbering: FiniteSpace | None) -> Any:
        if numbering is not None:
            return numbering.value(int(self.actions[t]))
        return self.actions[t].astype(space.dtype).reshape(space.shape)

    def _as_floats(self) -> NDArray[np.float32]:
        return self.actions.astype(np.float32).reshape(len(self), -1)

    def _differs(self, e: int) -> CheckpointError:
        return CheckpointError(
            f"episode {e} of the data set (seed {self.seeds[e]}) gives something else in {self.env} than when it was "
            "recorded",
            "The environment or its version changed, or it draws random numbers that its seed does not set",
        )

    # Files.

    def save(self, path: str | Path) -> Path:
        """Write it; returns the path, with ``.rlp`` where it has no such ending."""
        if not self.env.id:
            raise CheckpointError(
                "this data set is of an environment without an id, which no file can name",
                "Record it in an environment that is made by its id",
            )
        manifest = {
            "kind": "dataset", "dynamics": self.dynamics, "n_actions": self.n_actions, "steps": len(self),
            "env": {"id": self.env.id, "kwargs": self.env.kwargs,
                    "wrappers": [{"name": name, "kwargs": said} for name, said in self.env.wrappers]},
            "players": [*self.players],
        }  # fmt: skip
        actions = _packed(self.actions, self.n_actions) if self.n_actions else self.actions
        arrays = {
            "actions": actions, "seeds": self.seeds.astype(np.uint32), "lengths": self.lengths.astype(np.uint32),
            "returns": self.returns, "digests": self.digests, "played_by": self.played_by.astype(np.uint16),
        }  # fmt: skip
        return checkpoint.write(path, manifest, arrays)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file; runs no code, and plays nothing yet: `replay` verifies the episodes.

        Raises:
            CheckpointError: damaged, empty, or no data set; says what and where.
        """
        content = checkpoint.read(path, allow_nan=True)
        manifest, arrays = content.manifest, content.arrays
        if manifest.get("kind") != "dataset":
            what = f"the agent {manifest.get('agent')!r}" if manifest.get("kind") == "agent" else "something else"
            raise CheckpointError(
                f"{path} holds no data set but {what}", "Make one: rlplay dataset make -i FILE -n STEPS -o FILE"
            )
        try:
            return cls._of_file(manifest, arrays)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            cause = error.cause if isinstance(error, RlplayError) else "what it holds cannot be"
            raise CheckpointError(f"{path} is damaged: {cause}", "Make it anew: rlplay dataset make") from error

    @classmethod
    def _of_file(cls, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Self:
        saved, players = manifest["env"], tuple(str(name) for name in manifest["players"])
        around = tuple((str(one["name"]), one["kwargs"]) for one in saved["wrappers"])
        ref = EnvReference(str(saved["id"]), dict(saved["kwargs"]), wrappers=around)
        check_arguments(ref.kwargs)
        n = check_number("n_actions", manifest["n_actions"], (0, 2**31))
        total = check_number("steps", manifest["steps"], (0, _MOST_STEPS))
        if not total or not arrays["seeds"].size:
            raise CheckpointError("it is empty: it has no steps")
        if manifest["dynamics"] not in ("auto", "gymnasium") or not 0 < len(players) <= 10_000:
            raise CheckpointError("it does not say who played, or in whose dynamics")
        count = arrays["seeds"].shape[0]
        shapes = {
            "seeds": (np.uint32, (count,)), "lengths": (np.uint32, (count,)), "returns": (np.float64, (count,)),
            "digests": (np.uint8, (count, _DIGEST)), "played_by": (np.uint16, (count,)),
        }  # fmt: skip
        for name, (dtype, shape) in shapes.items():
            if arrays[name].dtype != dtype or arrays[name].shape != shape:
                raise CheckpointError(f"{name} is {arrays[name].dtype} of shape {arrays[name].shape}")
        check_ranges(arrays, {"lengths": (1, total), "played_by": numbers_below(len(players))})
        lengths = arrays["lengths"].astype(np.int64)
        if int(lengths.sum()) != total:
            raise CheckpointError(f"its episodes have {counted(int(lengths.sum()), 'step')}, and it says {total:,}")
        actions = _unpacked(arrays["actions"], n, total) if n else arrays["actions"]
        if not n and (actions.ndim != 2 or len(actions) != total or actions.dtype.kind != "f"):
            raise CheckpointError(f"actions is {actions.dtype} of shape {actions.shape}")
        for name, array in {"actions": actions, "returns": arrays["returns"]}.items():
            if not np.isfinite(array).all():
                raise CheckpointError(f"{name} holds NaN or infinite values")
        return cls(
            ref, str(manifest["dynamics"]), n, arrays["seeds"].astype(np.int64), lengths, actions, arrays["returns"],
            arrays["digests"], players, arrays["played_by"].astype(np.int64),
        )  # fmt: skip


class EpisodeHash:
    """The digest of an episode: sha256 over its observations, its rewards, and how it ended."""

    def __init__(self, first_obs: Any) -> None:
        self._sha, self._ends = hashlib.sha256(observation_bytes(first_obs)), bytes(2)
        self._rewards: list[float] = []

    def add(self, transition: Transition) -> None:
        """Count one step in."""
        self._sha.update(observation_bytes(transition.next_obs))
        self._rewards.append(transition.reward)
        self._ends = bytes([transition.terminated, transition.truncated])

    def end(self) -> bytes:
        """The digest, 8 bytes."""
        self._sha.update(np.array(self._rewards, np.float64).tobytes() + self._ends)
        return self._sha.digest()[:_DIGEST]


def require_same_env(dataset: Dataset, ref: EnvReference, owner: str) -> None:
    """Refuse a data set of another environment.

    Raises:
        UsageError: names both.

    Example:
        >>> import rlplay
        >>> data = Dataset.random("CartPole-v1", 10)
        >>> require_same_env(data, reference(rlplay.make("Acrobot-v1")), "CQL")
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: the data set is of CartPole-v1, and CQL takes one of Acrobot-v1. Make one there: ...
    """
    own = dataset.env
    if (own.id.rpartition(":")[2], own.kwargs, own.wrappers) != (ref.id.rpartition(":")[2], ref.kwargs, ref.wrappers):
        raise UsageError(
            f"the data set is of {own}, and {owner} takes one of {ref}",
            "Make one there: rlplay dataset make --env ...",
        )


def _numbering(space: gym.Space[Any]) -> FiniteSpace | None:
    """The numbering of finite actions; None for a Box."""
    if is_finite(space):
        return finite(space, "Dataset", "actions")
    if isinstance(space, gym.spaces.Box):
        return None
    raise SpaceError(f"a data set has actions that are finite or a Box, and {space} is neither")


def _bits(n: int) -> int:
    return max((n - 1).bit_length(), 1)


def _packed(numbers: NDArray[np.int64], n: int) -> NDArray[np.uint8]:
    """Numbers below n, in as many bits each as n needs.

    Example:
        >>> _packed(np.array([0, 5, 2]), 6).tolist(), _unpacked(_packed(np.array([0, 5, 2]), 6), 6, 3).tolist()
        ([21, 0], [0, 5, 2])
    """
    return np.packbits((numbers[:, None] >> np.arange(_bits(n))) & 1)


def _unpacked(packed: NDArray[Any], n: int, count: int) -> NDArray[np.int64]:
    """The numbers again.

    Raises:
        CheckpointError: one that is not below n, or too few bits.
    """
    bits = _bits(n)
    if packed.dtype != np.uint8 or packed.shape != (-(-count * bits // 8),):
        raise CheckpointError(f"actions is {packed.dtype} of shape {packed.shape}")
    rows = np.unpackbits(packed, count=count * bits).reshape(count, bits)
    numbers = rows @ (np.int64(1) << np.arange(bits))
    check_ranges({"actions": numbers}, {"actions": numbers_below(n)})
    return numbers


__all__ = ["Dataset", "Steps", "require_same_env"]
