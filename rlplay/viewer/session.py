"""What the window shows: an environment and who acts in it. No pygame here.

Four ways: `watch` (a trained agent plays), `learn` (the agent learns, step by step, in the window's own time), `play`
(you act) and `replay` (a recording). All consume `rlplay.environments.interact.interact`, so what is seen is what runs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent import saving
from rlplay.agent.base import Agent
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.episode import Episode, EpisodeDigest
from rlplay.environments.interact import ObservationCheck, Position, begin_episode, interact
from rlplay.environments.make import reference
from rlplay.environments.masks import MaskSource
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import EnvironmentFault, SpaceError, UsageError
from rlplay.seeding import stream
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.training.drivers import learn_stepwise
from rlplay.transition import Transition
from rlplay.viewer.choices import choices
from rlplay.viewer.maps import action_names
from rlplay.viewer.trail import Trail

Mode = Literal["watch", "learn", "play", "replay"]


class Session:
    """An environment with a frame to draw, and who acts in it.

    Attributes:
        env: the environment, made with ``render_mode="rgb_array"``.
        agent: whose thoughts are shown; None when a person plays alone.
        mode: who acts.
        position: where the episode stands.
        last: the last step.
        td_error: its TD error while learning, else None.
        first: the observation in which the episode began, None before its first step.
        gained: its discounted return so far, by the agent's own γ.
        returns: return of each episode of the training that is known.
        episode_numbers: their numbers from 0; a long run keeps fewer rows than episodes.
        played: return of each episode that was played in this window without learning.
        trail: the observations of the episode so far.
        picture_size: width and height of pictures that are drawn here, in pixels.
        target: timesteps after which a learning session is trained; 0 for no end.
        action_names: the names of numbered actions.
        choices: name and action of what a person can do.
        deterministic: whether a watched agent takes its best action.
        finished: episodes that were recorded, complete ones and the running one last.
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        agent: Agent | None = None,
        mode: Mode = "watch",
        *,
        seed: int = 0,
        target: int = 0,
        episode: Episode | None = None,
    ) -> None:
        if env.render_mode != "rgb_array" and "rgb_array" in env.metadata.get("render_modes", []):
            raise UsageError("the window needs an environment made with render_mode='rgb_array'")
        self.env, self.agent, self.mode, self.target = env, agent, mode, target
        self.position = agent.position if agent and mode == "learn" else Position()
        self.masks = MaskSource(env)
        self.last: Transition | None = None
        self.td_error: float | None = None
        self.first, self.gained = None, 0.0
        self.returns: list[float] = []
        self.episode_numbers: list[int] = []
        self.played: list[float] = []
        self.picture_size = (800, 500)
        self.deterministic = True
        self.pending: Any = None
        self.action_names = action_names(env) if is_finite(env.action_space) else []
        self.choices = choices(env)
        self.recorded: list[Episode] = []
        self.message = ""
        self.trail = Trail()
        self._picture: NDArray[np.uint8] | None = None
        self._pictured: tuple[Any, ...] = ()
        self._seeds = agent.seeds if agent and mode == "learn" else stream(seed, "watch")
        self._digest = EpisodeDigest()
        self._verified = episode is not None and bool(episode.digest)
        self._steps = self._start(episode)
        if episode:
            self.position.obs = env.reset(seed=episode.seed)[0]
        elif self.position.obs is None:
            self.reset()

    @property
    def observation(self) -> Any:
        """What the agent sees now; the last observation at the end of an episode."""
        return self.position.obs if self.position.obs is not None else self.last.next_obs if self.last else None

    @property
    def ended(self) -> bool:
        """Whether the episode has ended."""
        return self.position.obs is None

    @property
    def trained(self) -> bool:
        """Whether a learning session has reached its target."""
        return bool(self.target and self.agent and self.agent.num_timesteps >= self.target)

    def step(self) -> bool:
        """Take one step; False where there is nothing to do (waiting for you, or the recording is over)."""
        if self.mode == "play" and self.pending is None:
            return False
        if self.mode == "play" and self._is_forbidden():
            self.message, self.pending = f"action {self.pending} may not be taken here", None
            return False
        if self.mode == "learn" and self.agent and self.agent.timestep == "sweep":
            return self.agent.advance(1, "python") > 0  # a planner: one sweep
        try:
            transition, self.td_error = next(self._steps)
        except StopIteration:
            words = "replayed exactly" if self._verified else "it cannot be verified, having no digest"
            self.message = f"the recording is over: {words}"
            return False
        except EnvironmentFault as error:
            if self.mode != "play" or not isinstance(error.__cause__, SpaceError):
                raise
            self.message, self.pending = error.__cause__.cause, None  # an action that may not be taken here
            self._steps = self._start(None)
            return False
        if self.last is None or self.last.terminated or self.last.truncated:
            self.first, self.gained, self._discount = transition.obs, 0.0, 1.0
        self.last, self._picture = transition, None
        self.gained += self._discount * transition.reward
        self._discount *= float(self.agent.hyperparameters.get("gamma", 1.0)) if self.agent else 1.0
        if self.mode == "replay":
            self.position.length += 1
            self.position.episode_return += transition.reward
            self.position.obs = None if transition.terminated or transition.truncated else transition.next_obs
        self._record(transition)
        self.trail.follow(self.position.seed, self.position.length, self.observation)
        if transition.terminated or transition.truncated:
            if self.mode == "learn":
                self.returns.append(self.position.episode_return)
                self.episode_numbers.append(self.episode_numbers[-1] + 1 if self.episode_numbers else 0)
            else:
                self.played.append(self.position.episode_return)
        self.pending = None
        return True

    def _is_forbidden(self) -> bool:
        """Whether the environment's mask forbids what the person chose."""
        mask = self.masks.joint_of(self.position.info) if self.position.obs is not None else None
        return mask is not None and not mask[FiniteSpace(self.env.action_space).index(self.pending)]

    def reset(self, *, again: bool = False) -> None:
        """Begin an episode: the next, or the same again; not while learning, which it would change."""
        if self.mode == "replay" or (self.mode == "learn" and self.position.obs is not None):
            self.message = f"no reset in a {self.mode} session"
            return
        seed = self.position.seed if again and self.position.seed >= 0 else random_seed(self._seeds)
        begin_episode(self.env, self.position, seed, ObservationCheck(self.env))
        self.last, self.td_error, self._picture, self.first = None, None, None, None
        self.trail.follow(self.position.seed, -1, None)  # another episode, the same seed or not
        self.trail.follow(self.position.seed, 0, self.observation)

    def stop_learning(self) -> None:
        """From learning to watching what was learned, in episodes of its own."""
        assert self.agent is not None
        self.mode, self.position = "watch", Position()
        self._seeds = stream(self.agent.seed, "watch")
        self._steps = self._start(None)
        self.reset()

    def frame(self) -> NDArray[np.uint8]:
        """The environment's picture, shape [H, W, 3], uint8; drawn once a step and size.

        A plug-in's drawing where there is one, else what the environment renders, else its observation.
        """
        from rlplay.viewer.pictures import frame_of

        action = self.last.action if self.last is not None else None
        at = (self.position.seed, self.position.length, self.observation is None, self.picture_size, id(self.last))
        if self._picture is None or at != self._pictured:
            self._pictured = at
            self._picture = frame_of(self.env, self.observation, action, self.trail, self.picture_size)
        return self._picture

    def _start(self, episode: Episode | None) -> Iterator[tuple[Transition, float | None]]:
        """The steps of this session's mode, each with its TD error while learning."""
        if self.mode == "learn" and self.agent:
            return learn_stepwise(self.agent)
        seen = (
            episode.replay(self.env)
            if episode
            else interact(self.env, self._act, lambda: random_seed(self._seeds), self.position)
        )
        return ((transition, None) for transition in seen)

    def _act(self, obs: Any) -> Any:
        if self.mode == "play" or self.agent is None:
            return self.pending
        self.agent.observe_position(self.position)
        mask = self.masks.of(self.position.info)
        if mask is None and self.agent.masks_seen:  # masks are given now and then
            mask = self.masks.everything
        told: dict[str, Any] = {} if mask is None else {"action_masks": mask}
        action, _ = self.agent.predict(obs, deterministic=self.deterministic, **told)
        return action

    def _record(self, transition: Transition) -> None:
        """Keep seed and actions of what a person plays."""
        if self.mode != "play":
            return
        if self.position.length == 1:
            self.recorded.append(Episode(reference(self.env), self.position.seed, player="you"))
            self._digest = EpisodeDigest()
        episode = self.recorded[-1]
        episode.actions.append(transition.action)
        episode.episode_return += transition.reward
        self._digest.add(transition)
        episode.digest = self._digest.hex()


class Follower:
    """Takes over the weights that a training process writes, at most twice a second, without touching it.

    Args:
        session: the session whose agent is replaced.
        path: the checkpoint that the trainer rewrites.
        monitor: its ``0.monitor.csv``.
    """

    def __init__(self, session: Session, path: Path, monitor: Path) -> None:
        self.session, self.path, self.monitor = session, path, monitor
        self._seen = 0
        self._read = 0

    def poll(self) -> None:
        """Look once; a file that is just being replaced is taken the next time."""
        try:
            stamp = self.path.stat().st_mtime_ns
        except OSError:
            return
        if stamp != self._seen:
            self._seen = stamp
            env = self.session.env
            agent = saving.load(self.path, NoEnvironment(env.observation_space, env.action_space, ""))
            agent.env = env
            self.session.agent = agent
        try:
            size = self.monitor.stat().st_size
            if size != self._read:
                self._read = size
                with open(self.monitor, encoding="utf-8") as file:
                    rows = [r for r in csv.DictReader(x for x in file if not x.startswith("#")) if r["r"] and r["step"]]
                    self.session.returns = [float(row["r"]) for row in rows]
                    self.session.episode_numbers = [int(row["episode"]) for row in rows]
        except (OSError, ValueError, KeyError):
            return
