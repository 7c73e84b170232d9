"""What the window shows: an environment and who acts in it. No pygame here.

Four ways: `watch` (a trained agent plays), `learn` (the agent learns, step by step, in the window's own time), `play`
(you act) and `replay` (a recording). All consume `rlplay.environments.interact.interact`, so what is seen is what runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import Agent
from rlplay.agent.vector_agent import VectorAgent
from rlplay.compiled.pcg64 import random_seed
from rlplay.environments.episode import Episode
from rlplay.environments.interact import ObservationCheck, Position, begin_episode, interact
from rlplay.environments.make import reference, remake
from rlplay.environments.masks import Mask, MaskSource
from rlplay.errors import EnvironmentFault, RlplayError, SpaceError, UsageError, counted
from rlplay.probe import Probe, masked, masked_parts
from rlplay.seeding import stream
from rlplay.spaces.finite import FiniteSpace, is_finite
from rlplay.transition import Transition
from rlplay.viewer.choices import choices
from rlplay.viewer.demonstrations import Demonstrations
from rlplay.viewer.hands import Hands
from rlplay.viewer.learning import Learning
from rlplay.viewer.lock_step import learning_of, why_not_taught
from rlplay.viewer.maps import action_names
from rlplay.viewer.network_learning import NetworkLearning
from rlplay.viewer.timeline import History, Twin, copy_of
from rlplay.viewer.trail import Trail
from rlplay.viewer.world import World, put_world

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
        demonstrations: the episodes in which a person acted.
        history: what was shown.
        driving: whether a person acts in place of the agent, for as long as she likes.
        hands: the keys, mouse and gamepad of that person.
        learning: how the agent learns here; None where it does not.
        policy: who acts where neither an agent nor a person does: ``(obs, info) -> action``.
        forced: the action that is taken next in place of the agent's; None for its own.
        touched, touched_agent: whether a person changed the environment, the agent by hand.
        followed: whether the agent is that of a training that goes on.
        world, first_world: the environment's constants and cells now, and at the start.
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
        policy: Callable[[Any, dict[str, Any]], Any] | None = None,
        begun: Twin | None = None,
    ) -> None:
        if env.render_mode != "rgb_array" and "rgb_array" in env.metadata.get("render_modes", []):
            raise UsageError("the window needs an environment made with render_mode='rgb_array'")
        self.env, self.agent, self.mode, self.target = env, agent, mode, target
        its_own = agent is not None and mode == "learn" and agent.timestep != "sweep"  # a planner takes no steps
        self.position = agent.position if agent and its_own else Position()
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
        self.demonstrations = Demonstrations()
        self.message = ""
        self.history, self.policy, self.touched = History(), policy, False
        self.driving = mode == "play"
        self.hands = Hands(env, self.choices)
        self.learning: Learning | None = None
        if agent and mode == "learn":
            self.position = Position() if isinstance(agent, VectorAgent) else self.position
            self.learning = learning_of(agent, self.chosen, self.position)
        self.world = self.first_world = World.of(env)
        self.touched_agent = self.followed = False
        self._episode = episode
        self._twin: Twin | None = None
        self._why_no_twin = ""
        self._past: tuple[int, Any] | None = None
        self._surprises: tuple[tuple[int, int], list[int]] | None = None
        self.trail = Trail()
        # the state of an agent with a memory before what it sees now
        self.remembered: Any = agent.running_state() if agent and mode == "learn" else None
        self._picture: NDArray[np.uint8] | None = None
        self._kept_picture: NDArray[np.uint8] | None = None  # of the step before
        self._pictured: tuple[Any, ...] = ()
        self._seeds = agent.seeds if agent and its_own else stream(seed, "watch")
        self._verified = episode is not None and bool(episode.digest)
        self.forced: Any = None
        if begun is not None:
            self.position, self.last, self._discount = begun.position, begun.last, 1.0
            self.first = begun.position.obs
        self._steps = self._start(episode)
        if episode:
            self.position.obs = env.reset(seed=episode.seed)[0]
            self.history.begin(episode.seed, self.position.obs)
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
        """Whether a learning session has reached its target, and has learned from all of it."""
        if self.in_update or not (self.target and self.agent and self.agent.num_timesteps >= self.target):
            return False
        return self.learning is None or self.learning.finish()

    @property
    def waits(self) -> bool:
        """Whether a person acts and has not chosen yet."""
        return self.driving and self.pending is None

    @property
    def in_update(self) -> bool:
        """Whether a step was taken and not yet learned from, or not from all of it."""
        return self.learning is not None and self.learning.half

    def step(self) -> bool:
        """Take one step; False where there is nothing to do (waiting for you, or the recording is over)."""
        if self.in_update:
            return self._finish_update()
        if self.learning is not None and self.learning.between_steps():
            return True
        if self.waits:
            return False
        if self.driving and self._is_forbidden():
            self.message, self.pending = f"{self._name_of(self.pending)} may not be taken here", None
            return False
        if self.learning and self.agent and self.agent.timestep == "sweep":
            return self.agent.advance(1, "python") > 0  # a planner: one sweep
        try:
            transition, self.td_error = next(self._steps)
        except StopIteration:
            words = "replayed exactly" if self._verified else "it cannot be verified, having no digest"
            self.message = f"the recording is over: {words}"
            return False
        except EnvironmentFault as error:
            if not self.driving or not isinstance(error.__cause__, SpaceError):
                raise
            self.message, self.pending = error.__cause__.cause, None  # an action that may not be taken here
            self._steps = self._start(None)
            return False
        begins = self.last is None or self.last.terminated or self.last.truncated
        if self.agent is not None and self.agent.remembers:
            self._recall(transition.obs, begins)
        if begins:
            self.first, self.gained, self._discount = transition.obs, 0.0, 1.0
        self.last, self._kept_picture, self._picture = transition, self._picture, None
        self.gained += self._discount * transition.reward
        self._discount *= float(self.agent.hyperparameters.get("gamma", 1.0)) if self.agent else 1.0
        if self.mode == "replay":
            self.position.length += 1
            self.position.episode_return += transition.reward
            self.position.obs = None if transition.terminated or transition.truncated else transition.next_obs
        self._remember(transition)
        self.history[self.history.newest].remembered = self.remembered
        self.trail.follow(self.position.seed, self.position.length, self.observation)
        if transition.terminated or transition.truncated:
            if self.mode == "learn":
                self.returns.append(self.position.episode_return)
                self.episode_numbers.append(self.episode_numbers[-1] + 1 if self.episode_numbers else 0)
            else:
                self.played.append(self.position.episode_return)
        self.pending = None
        return True

    def _finish_update(self) -> bool:
        """What is learned from a step, or the next part of it."""
        _, self.td_error = next(self._steps)
        self.history[self.history.newest].td_error = self.td_error
        return True

    def leave_update(self) -> None:
        """Learn the rest of what is learned from the last step, so that nothing stands half way."""
        while self.in_update and self.learning is not None:
            self.learning.inside = False
            self._finish_update()

    def _remember(self, transition: Transition) -> None:
        """Put a step into the history, and into the recording where a person acts."""
        history, position = self.history, self.position
        if not len(history) or history[history.newest].ended or position.length == 1 != self._next_length():
            seed = position.seed if self.mode != "replay" or self._episode is None else self._episode.seed
            history.begin(seed, transition.obs, self.world if self.touched else None)
            if position.length > 1:  # the session began within an episode
                history.resume(position.actions, position.length, position.episode_return - transition.reward)
        history.add(transition, gained=self.gained, by_you=self.driving, td_error=self.td_error)
        if self.mode != "replay":
            self.demonstrations.add(transition, self)

    def _next_length(self) -> int:
        return self.history[self.history.newest].length + 1

    def at(self, place: int, seconds: float = math.inf) -> Any:
        """The session as it was at a place of its history; what panels show of it is what was there.

        Args:
            place: from ``history.oldest`` to ``history.newest``.
            seconds: how long the episode may be played again; a later call goes on with it.

        Returns:
            Something with the face of a session; this one for the newest place. Its ``message`` says where it is not
            exact or not there yet.
        """
        if place >= self.history.newest:
            self._past = None
            return self
        if self._past is not None and self._past[0] == place:
            return self._past[1]
        moment, twin = self.history[place], self.twin()
        arrived, words = twin is not None and moment.episode.seed >= 0, self._why_no_twin
        if twin is not None and arrived and not twin.go_to(moment, seconds):
            shown = copy_of(self, place, None)
            shown.message = f"{twin.share}: {counted(place - self.history.newest, 'step')} from now"
            return shown
        past = copy_of(self, place, twin if arrived else None)
        if twin is not None and not twin.exact:
            words = "it draws random numbers that its seed does not set"
        elif twin is not None and not arrived:
            words = "the episode began before the window"
        past.message = f"not exact, the picture is not of this step: {words}" if words else ""
        self._past = (place, past)
        return past

    def twin(self) -> Twin | None:
        """Another environment of the same kind, in which the past is played again; None where none can be made."""
        if self._twin is None and not self._why_no_twin:
            try:
                self._twin = Twin(self.another_env())
            except RlplayError as error:
                self._why_no_twin = error.cause
        return self._twin

    @property
    def made_twin(self) -> Twin | None:
        """The twin, where one was needed."""
        return self._twin

    def another_env(self) -> gym.Env[Any, Any]:
        """The environment made anew, to be drawn."""
        ref = reference(self.env)
        if self.env.render_mode:
            return remake(ref, render_mode=self.env.render_mode, dynamics="gymnasium")
        return remake(ref, dynamics="gymnasium")

    def think(self) -> None:
        """Keep what the agent thinks now, which it will have forgotten once it has learned more."""
        changing = self.learning is not None or self.followed
        if changing and len(self.history) and self.agent is not None and self.observation is not None:
            self.history[self.history.newest].probe = self.probe()

    def surprises(self) -> list[int]:
        """Places where most was learned, or where the values before and after tell the most different stories."""
        extent = (self.history.oldest, self.history.newest)
        if self._surprises is None or self._surprises[0] != extent:
            self._surprises = extent, self.history.surprises(self._sizes_of_surprise())
        return self._surprises[1]

    def known_surprises(self) -> list[int]:
        """The surprises that were looked for last; those that are no longer kept are left out."""
        found = self._surprises[1] if self._surprises is not None else []
        return [place for place in found if place >= self.history.oldest]

    def _sizes_of_surprise(self) -> NDArray[np.float64]:
        """|TD error| while learning, |advantage| with an agent that has values, else |reward|, of each place [N]."""
        moments = [self.history[place] for place in range(self.history.oldest, self.history.newest + 1)]
        if self.learning is not None:
            errors = [0.0 if moment.td_error is None else abs(moment.td_error) for moment in moments]
            return np.nan_to_num(np.array(errors))
        agent, gamma = self.agent, 1.0
        if agent is not None:
            gamma = agent.hyperparameters.get("gamma", 1.0)
        sizes = np.zeros(len(moments))
        for i, moment in enumerate(moments):
            step = moment.seen
            if not isinstance(step, Transition):
                continue
            sizes[i] = abs(step.reward)
            if agent is None or agent.follows_position or agent.remembers:
                continue
            before, after = (agent.probe(obs).value for obs in (step.obs, step.next_obs))
            if before is not None and after is not None:
                ahead = 0.0 if step.terminated else float(after[0])
                sizes[i] = abs(step.reward + gamma * ahead - float(before[0]))
        return sizes

    def take_over(self, driving: bool) -> str:
        """A person acts from now on, or hands back; returns why that cannot be, in words, or nothing."""
        if why := self.why_not_driven(driving):
            return why
        self.driving, self.pending = driving, None
        self.hands.release()
        if self.mode in ("watch", "play"):
            self.mode = "play" if driving else "watch"
        return ""

    def why_not_driven(self, driving: bool) -> str:
        """Why a person cannot take over, or hand back; empty where she can."""
        if driving and self.mode == "replay":
            return "a recording cannot be taken over"
        if driving and not self.choices:
            return f"there are no keys for actions {self.env.action_space}"
        if driving and self.learning is not None and self.agent is not None and (why := why_not_taught(self.agent)):
            return why
        if not driving and self.agent is None and self.policy is None:
            return "there is no agent to hand back to"
        return ""

    def change(self, world: World) -> None:
        """Give the environment other constants or cells, from the next step on.

        Raises:
            UsageError: cells that make no world.
        """
        put_world(self.env, world)
        self.world, self.touched, self._picture = World.of(self.env), True, None
        self.history.change_world(self.world)
        self._past = None
        self.demonstrations.spoil()
        if self.agent is not None and self.agent.timestep == "sweep":
            self.agent.set_env(self.env)  # its model is read again

    def _name_of(self, action: Any) -> str:
        return next((name for name, one in self.choices if np.array_equal(one, action)), f"action {action}")

    def _is_forbidden(self) -> bool:
        """Whether the environment's mask forbids what the person chose."""
        mask = self.allowed(joint=True)
        return mask is not None and not mask[FiniteSpace(self.env.action_space).index(self.pending)]

    def reset(self, *, again: bool = False, seed: int | None = None) -> None:
        """Begin an episode: the next, the same again or that of a seed; not while learning, which it would change."""
        if self.mode == "replay" or (self.mode == "learn" and self.position.obs is not None):
            self.message = f"no reset in a {self.mode} session"
            return
        if seed is None:
            seed = self.position.seed if again and self.position.seed >= 0 else random_seed(self._seeds)
        begin_episode(self.env, self.position, seed, ObservationCheck(self.env))
        self.last, self.td_error, self._picture, self.first = None, None, None, None
        self.history.begin(seed, self.position.obs, self.world if self.touched else None)
        self.trail.follow(self.position.seed, -1, None)  # another episode, the same seed or not
        self.trail.follow(self.position.seed, 0, self.observation)

    def stop_learning(self) -> None:
        """From learning to watching what was learned, in episodes of its own."""
        assert self.agent is not None
        self.leave_update()
        self.mode, self.position, self.learning = "watch", Position(), None
        self._seeds = stream(self.agent.seed, "watch")
        self._steps = self._start(None)
        self.reset()

    def frame(self) -> NDArray[np.uint8]:
        """The environment's picture, shape [H, W, 3], uint8; drawn once a step and size.

        A plug-in's drawing where there is one, else what the environment renders, else its observation.
        """
        from rlplay.viewer.pictures import frame_of

        if self.ended and self._kept_picture is not None and isinstance(self.learning, NetworkLearning):
            return self._kept_picture  # its environment stands in the next episode already
        action = self.last.action if self.last is not None else None
        at = (self.position.seed, self.position.length, self.observation is None, self.picture_size, id(self.last))
        if self._picture is None or at != self._pictured:
            self._pictured = at
            self._picture = frame_of(self.env, self.observation, action, self.trail, self.picture_size)
        return self._picture

    def _start(self, episode: Episode | None) -> Iterator[tuple[Transition, float | None]]:
        """The steps of this session's mode, each with its TD error while learning."""
        if self.learning is not None:
            return self.learning.steps()
        seen = (
            episode.replay(self.env)
            if episode
            else interact(self.env, self._act, lambda: random_seed(self._seeds), self.position)
        )
        return ((transition, None) for transition in seen)

    def _act(self, obs: Any) -> Any:
        if self.driving:
            return self.chosen()
        if self.forced is not None:
            action, self.forced = self.forced, None
            return action
        if self.agent is None:
            return self.pending if self.policy is None else self.policy(obs, self.position.info)
        self.agent.observe_position(self.position)
        state, starts = self.state_before()
        return self.agent.predict(obs, state, starts, self.deterministic, **self._masks())[0]

    def allowed(self, *, joint: bool) -> Mask | None:
        """What may be done now, one entry a combination or a choice of each part; None for all, and at an end."""
        if self.position.obs is None:
            return None
        return (self.masks.joint_of if joint else self.masks.of)(self.position.info)

    def _masks(self) -> dict[str, Any]:
        """What `predict` is told of masks."""
        mask = self.masks.of(self.position.info)
        if mask is None and self.agent is not None and self.agent.masks_seen:  # masks are given now and then
            mask = self.masks.everything
        return {} if mask is None else {"action_masks": mask}

    def state_before(self) -> tuple[Any, Any]:
        """The state of an agent with a memory before what it sees now, and whether an episode starts with that."""
        if self.agent is None or not self.agent.remembers:
            return None, None
        return self.remembered, np.array([not self.ended and self.position.length == 0])

    def _recall(self, seen: Any, begins: bool) -> None:
        """An agent with a memory has seen an observation, with which an episode began or not."""
        assert self.agent is not None
        if self.mode == "learn":
            self.remembered = self.agent.running_state()
        else:
            self.remembered = self.agent.predict(seen, self.remembered, np.array([begins]), **self._masks())[1]

    def probe_instead(self, observations: Any) -> Probe:
        """What the agent would think of each of a batch [B] of observations in place of what it sees now."""
        agent: Any = self.agent
        if not agent.remembers:
            found: Probe = agent.probe(observations)
            return found
        state, starts = self.state_before()
        rows = len(observations)
        return agent.probe(observations, None if state is None else state.repeated(rows), np.repeat(starts, rows))

    def probe(self) -> Probe | None:
        """What the agent thinks of what it sees now, and of what may be done."""
        agent: Any = self.agent
        if agent is None or self.observation is None:
            return None
        found: Probe = agent.probe(self.observation, *(self.state_before() if agent.remembers else ()))
        numbered = found.action_values is not None or found.action_probabilities is not None
        if not agent.takes_masks or not (numbered or found.part_probabilities):
            return found
        mask = self.allowed(joint=numbered)
        if mask is None:
            return found
        return masked(found, mask[None]) if numbered else masked_parts(found, mask)

    def agent_choice(self, other: Session) -> str:
        """The name of the action that the agent takes next in another session; empty where it has none."""
        if not self.action_names or other.position.obs is None:
            return ""
        return self.action_names[FiniteSpace(self.env.action_space).index(other._act(other.position.obs))]

    def chosen(self) -> Any:
        """What a person has chosen; None where the agent acts."""
        return self.pending if self.driving else None
