"""What has been: the steps that were shown, and each of them again, exactly.

A history keeps of each step what was done and what came of it; the observation only as long as there is room. A past
step is found again by the seed and the actions of its episode in a twin of the environment, and compared with a digest
of what was seen then. Where that differs, the environment draws random numbers that its seed does not set: what was
kept is shown, and that it is no more than that is said.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.environments.interact import ObservationCheck, Position, begin_episode, take_step
from rlplay.environments.masks import MaskSource
from rlplay.spaces.observations import observation_bytes
from rlplay.transition import Transition
from rlplay.viewer.observation import picture
from rlplay.viewer.trail import LENGTH, Trail
from rlplay.viewer.world import World, put_world

if TYPE_CHECKING:
    from rlplay.probe import Probe

MOST_STEPS = 5_000  # that are kept
MOST_BYTES = 1_500_000  # of what was seen that is kept
_OVERHEAD = 400  # bytes of a step beside its observation


@dataclass
class PastEpisode:
    """An episode of the history: enough to play it again.

    Attributes:
        seed: of its reset.
        actions: all of them, in order.
        worlds: constants and cells of the environment from a step on, where a person changed them.

    Example:
        >>> PastEpisode(seed=3).actions
        []
    """

    seed: int
    actions: list[Any] = field(default_factory=list)
    worlds: dict[int, World] = field(default_factory=dict)


@dataclass(slots=True)
class Moment:
    """A place of the history: the start of an episode, or a step.

    Attributes:
        episode: the episode.
        length: steps of it that lie behind.
        digest: of the observation at this place, the first 16 bytes of a sha256.
        reward: of the step.
        episode_return: the return so far.
        gained: the discounted return so far.
        ended: whether the step ended the episode.
        by_you: whether a person acted.
        td_error: while learning, else None.
        probe: what the agent thought then, while it learns; None where it still thinks so.
        remembered: what an agent with a memory remembers before what it sees at this place.
        seen: the step with its observations, or the first observation; None where there was no room.

    Example:
        >>> Moment(PastEpisode(3), 0, b"").by_you
        False
    """

    episode: PastEpisode
    length: int
    digest: bytes
    reward: float = 0.0
    episode_return: float = 0.0
    gained: float = 0.0
    ended: bool = False
    by_you: bool = False
    td_error: float | None = None
    probe: Probe | None = None
    remembered: Any = None
    seen: Any = None


class History:
    """The places that can be shown again, the oldest first; a place keeps its number for good.

    Args:
        most_steps: how many are kept.
        most_bytes: of their observations.

    Example:
        >>> history = History()
        >>> history.begin(seed=3, observation=0)
        >>> history.add(Transition(0, 1, 0.5, 4, False, False, {}), gained=0.5)
        >>> history.oldest, history.newest, history[1].reward
        (0, 1, 0.5)
    """

    def __init__(self, most_steps: int = MOST_STEPS, most_bytes: int = MOST_BYTES) -> None:
        self._moments: deque[Moment] = deque()
        self._most_steps, self._most_bytes = most_steps, most_bytes
        self._dropped = 0  # places before the oldest
        self._ends: deque[int] = deque()
        self._by_you: deque[int] = deque()
        self._bytes, self._bare = 0, 0  # of what is seen; places from the oldest on without it

    def __len__(self) -> int:
        return len(self._moments)

    def __getitem__(self, place: int) -> Moment:
        return self._moments[place - self._dropped]

    @property
    def oldest(self) -> int:
        """The first place that is kept."""
        return self._dropped

    @property
    def newest(self) -> int:
        """The last place; -1 before the first."""
        return self._dropped + len(self._moments) - 1

    def begin(self, seed: int, observation: Any, world: World | None = None) -> None:
        """An episode begins."""
        episode = PastEpisode(seed, worlds={} if world is None else {0: world})
        self._append(Moment(episode, 0, _digest(observation), seen=observation), _size(observation))

    def add(self, transition: Transition, **about: Any) -> None:
        """A step was taken; ``about`` are fields of its `Moment`."""
        last = self._moments[-1]
        last.episode.actions.append(transition.action)
        moment = Moment(
            last.episode, last.length + 1, _digest(transition.next_obs), transition.reward,
            last.episode_return + transition.info.get("extrinsic_reward", transition.reward),
            ended=transition.terminated or transition.truncated, seen=transition,
        )  # fmt: skip
        moment = replace(moment, **about)
        self._append(moment, _size(transition.next_obs))
        for places, counts in ((self._ends, moment.ended), (self._by_you, moment.by_you)):
            if counts:
                places.append(self.newest)
            while places and places[0] < self._dropped:
                places.popleft()

    def ends(self) -> list[int]:
        """The places where an episode ended."""
        return list(self._ends)

    def by_you(self) -> list[int]:
        """The places of steps in which a person acted."""
        return list(self._by_you)

    def change_world(self, world: World) -> None:
        """A person has changed the environment: from the newest place on it is another."""
        if self._moments:
            last = self._moments[-1]
            last.episode.worlds[last.length] = world

    def resume(self, actions: list[Any] | None, length: int, episode_return: float) -> None:
        """The newest place lies so many steps after the start of its episode, which began before the history."""
        moment = self._moments[-1]
        moment.length, moment.episode_return = length - 1, episode_return
        if actions is None or len(actions) < length:
            moment.episode.seed = -1  # it cannot be played again
        moment.episode.actions = list((actions or [])[: length - 1])

    def surprises(self, sizes: NDArray[np.float64]) -> list[int]:
        """The places of surprises, in order.

        Args:
            sizes: how much each kept place surprised, at least 0, float64 [N]. A surprise is among the largest
                twentieth of those above 0, and no smaller than its neighbours.

        Example:
            >>> history = History()
            >>> for seed in range(5):
            ...     history.begin(seed, observation=0)
            >>> history.surprises(np.array([0.0, 0.1, 7.0, 0.2, 0.0]))
            [2]
        """
        if not len(sizes) or sizes.max() <= 0:
            return []
        bar = float(np.quantile(sizes[sizes > 0], 0.95))
        padded = np.concatenate(([-1.0], sizes, [-1.0]))
        peaks = (sizes >= bar) & (sizes >= padded[:-2]) & (sizes > padded[2:])
        return [int(place) + self._dropped for place in np.flatnonzero(peaks)]

    def _append(self, moment: Moment, size: int) -> None:
        self._moments.append(moment)
        self._bytes += size
        if len(self._moments) > self._most_steps:
            gone = self._moments.popleft()
            self._dropped += 1
            self._bytes -= 0 if gone.seen is None else _size(_newest(gone.seen))
            self._bare = max(self._bare - 1, 0)
        while self._bytes > self._most_bytes and self._bare < len(self._moments) - 1:
            old = self._moments[self._bare]
            if old.seen is not None:
                self._bytes -= _size(_newest(old.seen))
            old.seen = old.probe = None
            self._bare += 1


def _newest(seen: Any) -> Any:
    return seen.next_obs if isinstance(seen, Transition) else seen


def _size(observation: Any) -> int:
    """Bytes of a step with this observation."""
    return _OVERHEAD + (
        observation.nbytes if isinstance(observation, np.ndarray) else len(observation_bytes(observation))
    )


def _digest(observation: Any) -> bytes:
    return hashlib.sha256(observation_bytes(observation)).digest()[:16]


class Twin:
    """An environment of the same kind that is brought to any step of an episode, by its seed and actions.

    Args:
        env: made anew, like the one that was shown.

    Attributes:
        env: the environment.
        position: where it stands.
        last: its last step; None at the start of an episode.
        exact: whether all that it gave was what had been seen; False once it was not.

    Example:
        >>> import rlplay
        >>> history = History()
        >>> history.begin(seed=0, observation=36)
        >>> for step in ((36, 24), (24, 12)):
        ...     history.add(Transition(step[0], 0, -1.0, step[1], False, False, {}))
        >>> twin = Twin(rlplay.make("CliffWalking-v1"))
        >>> twin.go_to(history[2]), twin.position.obs, twin.exact
        (True, 12, True)
        >>> twin.go_to(history[1]), twin.position.obs
        (True, 24)
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self.env, self.position = env, Position()
        self.last: Transition | None = None
        self.exact = True
        self._check = ObservationCheck(env)
        self._episode: PastEpisode | None = None
        self._fresh = World.of(env)

    def go_to(self, moment: Moment, seconds: float = float("inf")) -> bool:
        """Go there; False where the time is over before, then the next call goes on."""
        episode, end = moment.episode, time.perf_counter() + seconds
        if self._episode is not episode or self.position.length > moment.length:
            self._episode, self.last, self.exact = episode, None, True
            put_world(self.env, episode.worlds.get(0, self._fresh))
            begin_episode(self.env, self.position, episode.seed, self._check)
        while self.position.length < moment.length:
            if self.position.obs is None:  # it ended before
                self.exact = False
                return True
            if (world := episode.worlds.get(self.position.length)) is not None:
                put_world(self.env, world)
            self.last = take_step(self.env, self.position, episode.actions[self.position.length], self._check)
            if time.perf_counter() > end and self.position.length < moment.length:
                return False
        here = self.last.next_obs if self.last is not None else self.position.obs
        self.exact = self.exact and _digest(here) == moment.digest
        return True

    @property
    def share(self) -> str:
        """How far it has come, in words."""
        return f"playing step {self.position.length:,} again"


def copy_of(session: Any, newest: int, twin: Twin | None) -> Any:
    """The session as it was at a place of its history: everything that panels read, nothing that acts.

    Args:
        session: the session.
        newest: the place.
        twin: stands there; None where there is none, then the observation is drawn in place of a picture.

    Example:
        >>> from agents import QLearning
        >>> from rlplay import make
        >>> from rlplay.viewer.session import Session
        >>> agent = QLearning("FrozenLake-v1", seed=0)
        >>> session = Session(make("FrozenLake-v1", render_mode="rgb_array"), agent, "watch", seed=0)
        >>> for _ in range(2):
        ...     _ = session.step()
        >>> copy_of(session, 1, None).position.length, session.position.length
        (1, 2)
    """
    moment = session.history[newest]
    past = copy.copy(session)
    exact = twin is not None and twin.exact and twin.position.length == moment.length
    seen = moment.seen
    if exact and twin is not None:
        past.env, past.masks = twin.env, MaskSource(twin.env)
        seen = twin.last if twin.last is not None else twin.position.obs
    step = seen if isinstance(seen, Transition) else None
    here = _newest(seen)
    past.position = Position(
        None if moment.ended else here, step.info if step is not None else {}, moment.episode.seed, moment.length,
        moment.episode_return,
    )  # fmt: skip
    past.trail = Trail()
    for place in range(max(newest - moment.length, newest - LENGTH, session.history.oldest), newest):
        earlier = session.history[place]
        past.trail.follow(moment.episode.seed, earlier.length, _newest(earlier.seen))
    past.trail.follow(moment.episode.seed, moment.length, here)
    past.last, past.td_error, past.gained = step, moment.td_error, moment.gained
    past._picture, past.remembered = None, moment.remembered
    if not exact:
        words = "the picture of this step cannot be drawn again"
        past.allowed = lambda *, joint: None  # what might be done then is not known
        past.frame = lambda: picture(session.env, here, past.trail, past.picture_size, words)
    if moment.probe is not None:
        past.agent = _remembering(session.agent, here, moment.probe)
    return past


def _remembering(agent: Any, observation: Any, thought: Probe) -> Any:
    """The agent, which thinks of one observation what it thought then."""
    then, told = copy.copy(agent), observation_bytes(observation)

    def probe(asked: Any, *remembered: Any) -> Probe:
        if type(asked) is type(observation) and observation_bytes(asked) == told:
            return thought
        found: Probe = agent.probe(asked, *remembered)
        return found

    then.probe = probe
    return then


__all__ = ["History", "Moment", "PastEpisode", "Twin", "copy_of"]
