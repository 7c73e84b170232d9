"""Episodes as seed and actions: enough to replay, rewind, share and verify any episode of a deterministic environment.

The file is JSON: environment id and arguments, seed, actions, and a digest of every observation and reward, so that a
replay proves itself.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from rlplay.environments.interact import Position, interact
from rlplay.environments.masks import MaskSource
from rlplay.environments.names import check_arguments
from rlplay.environments.reference import EnvReference
from rlplay.errors import CheckpointError, UsageError, counted
from rlplay.spaces.actions import actions_from_json
from rlplay.spaces.observations import observation_bytes
from rlplay.storage.files import as_path, explain_missing, reason, write_atomically
from rlplay.storage.ranges import check_number
from rlplay.storage.texts import text_of
from rlplay.transition import Transition

FORMAT = "rlplay-episode"
VERSION = 1
_LARGEST, _MOST_LISTS = 2**28, 2_000_000  # bytes of a file, and lists in it: an action may be one


@dataclass
class Episode:
    """One episode of an environment.

    Attributes:
        env: which environment.
        seed: seed of its reset.
        actions: the actions taken, in order.
        episode_return: undiscounted return.
        digest: sha256 over all observations, rewards and endings; empty while recording.
        player: who acted, in words ("q-learning", "you").

    Example:
        >>> import rlplay
        >>> from rlplay.extend import reference
        >>> env = rlplay.make("CliffWalking-v1")
        >>> episode = Episode(reference(env), seed=0, actions=[0, 1])
        >>> [step.next_obs for step in episode.replay(env)]
        [24, 25]
    """

    env: EnvReference
    seed: int
    actions: list[Any] = field(default_factory=list)
    episode_return: float = 0.0
    digest: str = ""
    player: str = ""

    def save(self, path: str | Path, action_space: gym.Space[Any]) -> Path:
        """Write the episode as JSON, atomically. Returns the path."""
        data = {
            "format": FORMAT,
            "version": VERSION,
            "env": {"id": self.env.id, "kwargs": self.env.kwargs},
            "seed": self.seed,
            "actions": action_space.to_jsonable(self.actions),
            "return": self.episode_return,
            "digest": self.digest,
            "player": self.player,
        }
        text = json.dumps(data, default=lambda v: v.item() if isinstance(v, np.generic) else list(v)) + "\n"
        return write_atomically(as_path(path), text.encode())

    def replay(self, env: gym.Env[Any, Any]) -> Iterator[Transition]:
        """Play the episode again, one Transition a step.

        Raises:
            CheckpointError: at the last step, where the replay differs from what was recorded.
        """
        digest, actions, episode_return = EpisodeDigest(), iter(self.actions), 0.0
        steps = interact(env, lambda obs: next(actions), lambda: self.seed)
        for count in range(1, len(self.actions) + 1):
            transition = next(steps)
            digest.add(transition)
            episode_return += transition.reward
            if count == len(self.actions):
                self._verify(digest.hex(), episode_return)
            yield transition
            if (transition.terminated or transition.truncated) and count < len(self.actions):
                raise CheckpointError(
                    f"the replay ended after {count} of {counted(len(self.actions), 'step')}",
                    "The environment is not the one that was recorded, or it is not deterministic",
                )

    def _verify(self, digest: str, episode_return: float) -> None:
        """Compare a replay with what was recorded, if anything was."""
        if self.digest and (digest, episode_return) != (self.digest, self.episode_return):
            raise CheckpointError(
                f"the replay of the episode with seed {self.seed} differs from what was recorded",
                "The environment or its version changed, or it draws random numbers that its seed does not set",
            )


def load_episode(path: str | Path, env: gym.Env[Any, Any] | None = None) -> Episode:
    """Read an episode file; runs no code.

    Args:
        path: a file that `Episode.save` wrote.
        env: the environment whose action space reads the actions; by default they stay plain JSON values.

    Raises:
        CheckpointError: not an episode, damaged, or of a newer version.

    Example:
        >>> import tempfile
        >>> import rlplay
        >>> from rlplay.extend import reference
        >>> env = rlplay.make("CliffWalking-v1")
        >>> episode = Episode(reference(env), seed=0, actions=[0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     loaded = load_episode(episode.save(Path(folder) / "episode.json", env.action_space), env)
        >>> loaded.env.id, loaded.seed, [int(action) for action in loaded.actions]
        ('CliffWalking-v1', 0, [0, 1])
    """
    path = as_path(path)
    if not path.is_file():
        raise explain_missing(path, "episode", "*.json")
    try:
        text = text_of(path, _LARGEST)
        if text.count("[") + text.count("{") > _MOST_LISTS:
            raise CheckpointError(f"it has more than {_MOST_LISTS:,} lists")
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise KeyError("format")
        if data["version"] > VERSION:
            raise CheckpointError(f"it has episode format {data['version']!r:.20}", "Install a newer rlplay")
        env_reference = EnvReference(str(data["env"]["id"]), dict(data["env"]["kwargs"]))
        actions: Any = data["actions"]
        actions = actions if isinstance(actions, dict) else list(actions)  # a dictionary of a Dict space
        episode = Episode(
            env_reference,
            check_number("the episode's seed", data["seed"], (0, 2**63 - 1)),
            actions,
            float(data["return"]),
            _checked_digest(data["digest"]),
            str(data["player"]),
        )
        check_arguments(env_reference.kwargs)
        if env is not None:
            episode.actions = actions_from_json(env.action_space, episode.actions)
    except (CheckpointError, UsageError) as error:
        raise CheckpointError(f"{path}: {error.cause}", error.remedy) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {reason(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise CheckpointError(f"{path} is not an episode that rlplay wrote, or it is damaged") from error
    return episode


def _checked_digest(digest: Any) -> str:
    """A sha256 as hexadecimal digits, or the empty text of an episode that was not played."""
    if not isinstance(digest, str) or not re.fullmatch(r"([0-9a-f]{64})?", digest):
        raise CheckpointError(f"the episode's digest {str(digest)[:20]!r} is no sha256: refused")
    return digest


class EpisodeDigest:
    """A running sha256 over observations, rewards and endings."""

    def __init__(self) -> None:
        self._sha = hashlib.sha256()

    def add(self, transition: Transition) -> None:
        """Count one step in."""
        for obs in (transition.obs, transition.next_obs):
            self._sha.update(observation_bytes(obs))
        self._sha.update(np.float64(transition.reward).tobytes())
        self._sha.update(bytes([transition.terminated, transition.truncated]))

    def hex(self) -> str:
        """The digest so far."""
        return self._sha.hexdigest()


def replays_exactly(env: gym.Env[Any, Any], steps: int = 30, seconds: float = 0.5) -> bool:
    """Whether an episode of random actions gives the same observations and rewards when it is played again.

    Args:
        env: the environment; it is reset.
        steps: steps to compare.
        seconds: stop comparing after this time, for slow environments.

    Example:
        >>> import rlplay
        >>> replays_exactly(rlplay.make("FrozenLake-v1"))
        True
    """
    seed, end = 1, time.monotonic() + seconds

    def play() -> list[str]:
        env.action_space.seed(0)
        digests, position, masks = [], Position(), MaskSource(env)

        def act(obs: Any) -> Any:
            return masks.sample(position.info)

        for transition in islice(interact(env, act, lambda: seed, position), steps):
            digest = EpisodeDigest()
            digest.add(transition)
            digests.append(digest.hex())
            if time.monotonic() > end:
                break
        return digests

    first = play()
    end = time.monotonic() + 2 * seconds
    return all(a == b for a, b in zip(first, play(), strict=False))
