"""How an agent acts: which actions may be taken, and which of them are, for one observation or a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.pcg64 import random
from rlplay.environments.make import reference
from rlplay.environments.masks import Mask, MaskSource
from rlplay.environments.no_environment import NoEnvironment
from rlplay.errors import UsageError, counted, warn
from rlplay.probe import Probe, masked
from rlplay.spaces.actions import predicted_actions
from rlplay.spaces.finite import FiniteSpace, finite
from rlplay.spaces.observations import batch_of


class Acting(ABC):
    """From what an agent thinks of observations to its actions, and the masks of those that are forbidden.

    A part of `rlplay.Agent`: agents give `probe`, and may override the rest.
    """

    if TYPE_CHECKING:  # an agent's

        def _of_the_agent(self) -> None:
            self.env: gym.Env[Any, Any]
            self.observation_space: gym.Space[Any]
            self.action_space: gym.Space[Any]
            self.numbering: FiniteSpace | None
            self.mask_source: MaskSource
            self.masks_seen: bool
            self.mask: Mask | None
            self._masks_said: bool
            self._told_live: bool
            self._prediction: np.random.Generator

    @abstractmethod
    def probe(self, observation: Any) -> Probe:
        """What the agent thinks of an observation or a batch of them; changes nothing and draws no random number."""

    # Which actions there are.

    def number_actions(self, *, boxes: bool = False) -> None:
        """Number the actions; with ``boxes`` those of a Box are taken as they are.

        Raises:
            SpaceError: they are not finite; says which agents and environments fit.
        """
        if not (boxes and isinstance(self.action_space, gym.spaces.Box)):
            self.numbering = finite(self.action_space, type(self).__name__, "actions", boxes=boxes)

    def random_action(self, rng: NDArray[np.uint64]) -> Any:
        """An action for the warm-up of a feature map, uniform over the space."""
        if self.numbering is not None:
            if self.mask is not None:
                allowed = np.flatnonzero(self.mask)
                return self.numbering.value(int(allowed[int(random(rng) * len(allowed))]))
            return self.numbering.value(int(random(rng) * self.numbering.n))
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        low, high = np.clip(space.low, -10, 10), np.clip(space.high, -10, 10)  # of unbounded ones the middle
        draws = np.array([random(rng) for _ in range(low.size)]).reshape(low.shape)
        return (low + (high - low) * draws).astype(space.dtype)

    def bounded(self, action: NDArray[Any]) -> Any:
        """A continuous action as the environment takes it: of its shape and type, within its bounds."""
        space: Any = self.action_space
        within = np.minimum(np.maximum(action.reshape(space.shape), space.low), space.high)
        return within.astype(space.dtype, copy=False)

    # Action masks.

    @property
    def takes_masks(self) -> bool:
        """Whether it learns with action masks; where not, that is said once in an environment that has them."""
        return True

    def see_mask(self, observation: Any, info: dict[str, Any], terminated: bool = False) -> None:
        """Told while learning what may be done at the newest observation, before `act` and `update` (both drivers)."""
        found = None if terminated else self.mask_source.of(info)
        if found is None and not self.masks_seen:
            return
        if not self.masks_seen:
            self.masks_seen = True
            self._say_masks()
        self.take_mask(None if found is None else self.mask_source.joint(found), observation)

    def take_mask(self, mask: Mask | None, observation: Any) -> None:
        """The actions that may be taken at the newest observation, bool [A]; None for all."""
        self.mask = mask

    def _say_masks(self) -> None:
        if not self.takes_masks and not self._masks_said:
            self._masks_said = True
            warn(
                f"{type(self).__name__} does not learn with action masks, and {reference(self.env)} has them: while it "
                "learns it may take actions that are forbidden"
            )

    def prediction_masks(self, observation: Any, rows: int, given: Any, joint: bool = True) -> Mask | None:
        """The masks for a prediction of a batch: those given, those of the states, or that of the own environment.

        Args:
            observation: one or a batch.
            rows: B.
            given: what the caller says, [A] or [B, A]; None for nothing.
            joint: whether a mask has an entry for each combination of the parts of an action.

        Returns:
            bool [B, A]; None where all may be taken.

        Raises:
            UsageError: the environment masks its actions, and nothing says which may be taken now.
        """
        listed = self.mask_source.joint if joint else (lambda mask: mask)
        if given is not None:
            each, argument = np.asarray(given), f"{type(self).__name__}.predict(..., action_masks=...)"
            if each.size % rows:
                raise UsageError(
                    f"{argument} was given {counted(rows, 'observation')} and action masks of {each.shape}",
                    "Give a mask an observation: one entry an action, 1 where it may be taken and 0 where not",
                )
            return np.array([listed(self.mask_source.checked(mask, argument)) for mask in each.reshape(rows, -1)])
        if not self.masks_seen:
            return None
        by_state = None if self.mask_source.by_wrapper else self.mask_source.by_state(observation)
        if by_state is not None:
            return by_state
        if self.mask_source.method is not None and rows == 1 and not isinstance(self.env, NoEnvironment):
            mask = self.mask_source.of({})
            assert mask is not None
            if not mask.all() and not self._told_live:
                self._told_live = True
                warn(
                    f"{type(self).__name__}.predict takes the action mask of the agent's own environment; when you "
                    "play in another one, give predict(..., action_masks=...)"
                )
            return listed(mask)[None]
        raise UsageError(
            f"{reference(self.env)} masks its actions, and predict was not told which may be taken now",
            "Give predict(..., action_masks=info['action_mask']), a row an observation",
        )

    # Acting.

    def predict(
        self,
        observation: Any,
        state: tuple[NDArray[Any], ...] | None = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, tuple[NDArray[Any], ...] | None]:
        """The agent's action, as in Stable-Baselines3.

        Args:
            observation: one observation or a batch.
            state: state of a recurrent agent; passed through.
            episode_start: whether an episode begins, a batch entry each; unused without recurrence.
            deterministic: the best action (the first among equals); otherwise one drawn from the agent's own policy
                with a private generator, so that predicting never changes training.
            action_masks: which actions may be taken, bool [A] or [B, A]; by default, in an environment with a method
                ``action_masks``, what the agent's own environment says.

        Returns:
            The action (of a Discrete space a NumPy integer), or an array of them for a batch, and the state.

        Raises:
            SpaceError: an observation of the wrong shape or type, or with NaN.
            UsageError: the environment masks its actions, and nothing says which may be taken now.
        """
        return self.actions_of(self.probe(observation), observation, deterministic, action_masks), state

    def actions_of(self, probe: Probe, observation: Any, deterministic: bool, action_masks: Any = None) -> Any:
        """The actions that a probe of an observation or a batch leads to; see `predict`."""
        batch, single = batch_of(self.observation_space, observation, type(self).__name__)
        masks = self.prediction_masks(observation, len(batch), action_masks) if self.numbering is not None else None
        if masks is not None:
            probe = masked(probe, masks)
        if probe.action_mean is not None:
            actions = self.continuous_actions(probe, deterministic)
            return actions[0] if single else actions
        assert self.numbering is not None
        return predicted_actions(self.numbering, self.choose_actions(probe, deterministic), single)

    def choose_actions(self, probe: Probe, deterministic: bool) -> NDArray[np.int64]:
        """The numbers of the best actions of a probe, or of actions drawn from its probabilities, int64 [B]."""
        scores = probe.action_values if probe.action_values is not None else probe.action_probabilities
        if deterministic or probe.action_probabilities is None:
            assert scores is not None
            return scores.argmax(axis=1)
        cumulative = probe.action_probabilities.cumsum(axis=1)  # [B, A]
        draws = self._prediction.random((len(cumulative), 1)) * cumulative[:, -1:]
        return (cumulative <= draws).sum(axis=1)

    def continuous_actions(self, probe: Probe, deterministic: bool) -> NDArray[Any]:
        """The mean actions of a probe, or actions drawn around them, within their bounds, [B, ...]."""
        mean = probe.action_mean
        assert mean is not None
        if not deterministic and probe.action_std is not None:
            mean = mean + probe.action_std * self._prediction.standard_normal(mean.shape)
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        return np.clip(mean.reshape(-1, *space.shape), space.low, space.high).astype(space.dtype)
