"""Vector environments in native code: Gymnasium's interface over `rlplay.compiled.batch`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlplay.compiled.batch import (
    DISABLED,
    NEXT_STEP,
    SAME_STEP,
    bound,
    first_forbidden,
    first_outside,
    native_batch,
    reseed_batch,
    table_batch,
)
from rlplay.compiled.native import NativeEnv
from rlplay.compiled.table import TableEnv, table_of
from rlplay.environments.vector.common import autoreset, check_number, check_seeds, take_mask
from rlplay.errors import EnvironmentFault, SpaceError, UsageError
from rlplay.spaces.finite import FiniteSpace

_MODES = {AutoresetMode.NEXT_STEP: NEXT_STEP, AutoresetMode.SAME_STEP: SAME_STEP, AutoresetMode.DISABLED: DISABLED}


class NativeVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Many copies of one environment with native dynamics or a transition table, stepped in one native call.

    Environment i does what it would do alone with its seed. With same-step autoreset ``infos["final_obs"]`` has the
    last observations of the episodes that ended in this step, where ``infos["_final_obs"]`` is True.

    Args:
        env: the environment's class, which is made with ``kwargs``, or an instance to copy.
        num_envs: how many.
        max_episode_steps: time limit in steps, 0 or None for none; by default the instance's.
        autoreset_mode: ``next-step`` (Gymnasium's default), ``same-step`` or ``disabled``.
        render_mode: ``rgb_array`` gives a tuple with a picture an environment.

    Attributes:
        state: float64 [N, D], or the numbers of the states, int64 [N].
        rng: the state of each generator, uint64 [N, 4].
        elapsed: steps of each running episode, int64 [N].
        over: whether the episode of each has ended and waits for a reset, bool [N].

    Raises:
        UsageError: num_envs below 1, an unknown autoreset mode.
        SpaceError: the environment has neither native dynamics nor a table, or its actions are not numbered 0 to n - 1.

    Example:
        >>> from envs.cart_pole import CartPoleEnv
        >>> envs = NativeVectorEnv(CartPoleEnv, 3)
        >>> envs.reset(seed=0)[0].shape, envs.state.shape
        ((3, 4), (3, 4))
    """

    def __init__(
        self, env: Any, num_envs: int = 1, *, max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP, render_mode: str | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.num_envs, mode = check_number(num_envs), autoreset(autoreset_mode)
        if isinstance(env, type):
            kwargs = kwargs if render_mode is None else {**kwargs, "render_mode": render_mode}
            env = env(**kwargs)
        self.env, self.render_mode, n = env, render_mode, self.num_envs
        limit = getattr(env, "max_episode_steps", 0) if max_episode_steps is None else max_episode_steps
        self.max_episode_steps = int(limit or 0)
        self.metadata = {**env.metadata, "autoreset_mode": mode}
        self.single_observation_space, self.single_action_space = env.observation_space, env.action_space
        self.observation_space = batch_space(env.observation_space, n)
        self.action_space = batch_space(env.action_space, n)
        self._mode = _MODES[mode]
        self._masks: NDArray[np.bool_] | None = None
        self._defined: NDArray[np.bool_] | None = None
        self._components: list[NDArray[Any]] | None = None
        if isinstance(env, NativeEnv):
            self._loops = native_batch(env.dynamics)
            self._parameters: Any = env.world.parameters
            self.state: NDArray[Any] = np.zeros((n, env.state_size))
            self._obs: NDArray[Any] = np.zeros((n, *env.world.obs.shape), np.float32)
        else:
            table = table_of(env)
            self._loops, self._parameters = table_batch(), table.arrays
            self.state, self._obs = np.zeros(n, np.int64), np.zeros(n, np.int64)
            self._masks, self._defined = table.masks, table.defined
            self._components = _observation_components(env.observation_space, table.n_states)
        self._final = np.zeros_like(self._obs)
        self._continuous = isinstance(env, NativeEnv) and env.dynamics.continuous
        if self._continuous:
            self._actions: NDArray[Any] = np.zeros((n, *env.world.action.shape), np.float32)
            self._first_action, self._n_actions = 0, 0
        elif isinstance(env.action_space, gym.spaces.Discrete):
            self._actions, self._first_action = np.zeros(n, np.int64), int(env.action_space.start)
            self._n_actions = int(env.action_space.n)
        else:
            raise SpaceError(
                f"{type(env).__name__} has actions {env.action_space}; side by side they must be Discrete or Box"
            )
        self.rng = np.zeros((n, 4), np.uint64)
        self.elapsed, self.over, self._begun = np.zeros(n, np.int64), np.zeros(n, np.bool_), False

    @property
    def nbytes(self) -> int:
        """Memory of all environments in bytes: linear in their number."""
        arrays = (self.state, self._obs, self._final, self._actions, self.rng, self.elapsed, self.over)
        return sum(array.nbytes for array in arrays)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: the first environment's, the next one's is one more; or one an environment.
            options: ``{"reset_mask": bool [N]}`` begins only there; ``{"state": [...]}``, shape [D] or [N, D], is
                where environments with a vector state begin.
        """
        seeds = check_seeds(seed, self.num_envs)
        if not self._begun:
            unseeded = seeds < 0
            seeds[unseeded] = np.random.SeedSequence().generate_state(int(unseeded.sum()))
        chosen, state = self._options(dict(options or {}))
        reseed_batch(self.rng, np.where(chosen, seeds, -1))
        obs = self._obs.copy()
        self._loops.reset(self._parameters, self.state, self.rng, chosen, obs)
        if state is not None:
            self.state[chosen] = state[chosen]
            for i in np.flatnonzero(chosen):
                self.env.dynamics.observe(self._parameters, self.state[i], obs[i])
        self.elapsed[chosen], self.over[chosen], self._begun = 0, False, True
        self._obs = obs
        return self._as_observations(obs.copy()), self._infos()

    def _options(self, options: dict[str, Any]) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None]:
        """Which environments begin anew, and in which states if that is asked for."""
        chosen = take_mask(options, self.num_envs, self._begun)
        state = options.pop("state", None)
        if options or (state is not None and self.state.ndim == 1):
            known = "reset_mask" if self.state.ndim == 1 else "reset_mask and state"
            raise UsageError(f"the reset options are {known}, not {', '.join(options) or 'state'}")
        if state is None:
            return chosen, None
        try:
            state = np.broadcast_to(np.asarray(state, np.float64), self.state.shape)
        except (TypeError, ValueError) as error:
            raise UsageError(f"the states do not have shape {self.state.shape}") from error
        if not np.isfinite(state).all():
            raise UsageError("the states are not finite")
        return chosen, state

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step in every environment.

        Returns:
            Observations, rewards float64 [N], terminated bool [N], truncated bool [N], and infos.

        Raises:
            SpaceError: an action outside the space; names the environment.
            EnvironmentFault: a step before the first reset, after an end that nobody reset, or numbers that are not
                finite; names the environment.
        """
        n = self.num_envs
        if not self._begun:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        if self._mode == DISABLED and self.over.any():
            raise EnvironmentFault(
                f"step() was called after the episode of environment {int(self.over.argmax())} of {n} had ended",
                'Call env.reset(options={"reset_mask": terminated | truncated}) first',
            )
        taken = self._bounded(actions) if self._continuous else self._numbered(actions)
        obs, rewards, flags = np.empty_like(self._obs), np.empty(n), np.empty((2, n), np.bool_)
        ended, faulty = self._loops.step(
            self._parameters, self.state, self.rng, self.elapsed, self.over, taken, self.max_episode_steps, self._mode,
            obs, self._final, rewards, flags[0], flags[1],
        )  # fmt: skip
        if faulty >= 0:
            raise EnvironmentFault(
                f"environment {faulty} of {n} ({type(self.env).__name__}) gave reward {rewards[faulty]:g} and "
                f"observation {obs[faulty]}, from action {taken[faulty]}"
            )
        self._obs, infos = obs, self._infos()
        if ended and self._mode == SAME_STEP:
            infos["final_obs"], infos["_final_obs"] = self._as_observations(self._final.copy()), flags[0] | flags[1]
        return self._as_observations(obs.copy()), rewards, flags[0], flags[1], infos

    def _numbered(self, actions: Any) -> NDArray[np.int64]:
        """The numbers of the actions."""
        try:
            given = np.asarray(actions)
        except ValueError as error:  # lists of different length
            raise SpaceError(f"actions are not in {self.action_space}") from error
        if given.shape != (self.num_envs,) or given.dtype.kind not in "iu":
            raise SpaceError(f"actions of shape {given.shape} and type {given.dtype} are not in {self.action_space}")
        taken = np.ascontiguousarray(given, np.int64)
        if self._first_action:
            taken = taken - self._first_action
        wrong = first_outside(taken, self._n_actions)
        if wrong >= 0:
            raise self._refused(wrong, given[wrong], f"is not in {self.single_action_space}")
        if self._defined is not None:
            wrong = first_forbidden(self._defined, self.state, taken, self.over)
            if wrong >= 0:
                raise self._refused(wrong, given[wrong], f"may not be taken in state {self.state[wrong]}")
        return taken

    def _refused(self, i: int, action: Any, why: str) -> SpaceError:
        return SpaceError(f"action {action} of environment {i} of {self.num_envs} {why}")

    def _bounded(self, actions: Any) -> NDArray[np.float32]:
        """The actions within their bounds."""
        world = self.env.world
        try:
            given = np.ascontiguousarray(actions, np.float32)
        except (TypeError, ValueError) as error:
            raise SpaceError(f"actions are not in {self.action_space}") from error
        if given.shape != self._actions.shape:
            raise SpaceError(f"actions of shape {given.shape} are not in {self.action_space}")
        wrong = bound(given, world.low, world.high, self._actions)
        if wrong >= 0:
            raise self._refused(wrong, given[wrong], f"is not in {self.single_action_space}")
        return self._actions

    def _as_observations(self, obs: NDArray[Any]) -> Any:
        """State numbers, or vectors, as a batch of observations of the space."""
        if self._components is None:
            return obs
        columns = [component[obs] for component in self._components]
        return tuple(columns) if isinstance(self.single_observation_space, gym.spaces.Tuple) else columns[0]

    @property
    def action_masks(self) -> Callable[[], NDArray[np.bool_]]:
        """The method that says which actions may be taken now, bool [N, A]; only there is one where some may not."""
        masks = self._masks
        if masks is None:
            raise AttributeError("every action may be taken in every state: there is no action_masks()")
        return lambda: masks[self.state]

    def _infos(self) -> dict[str, Any]:
        if self._masks is None:
            return {}
        return {"action_mask": self._masks[self.state].astype(np.int8), "_action_mask": np.ones(self.num_envs, bool)}

    def render(self) -> tuple[Any, ...] | None:
        """A picture an environment."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; make the environment with one")
            return None
        pictures = []
        for state in self.state:
            self.env.set_state(state)
            pictures.append(self.env.render())
        return tuple(pictures)

    def state_arrays(self) -> dict[str, NDArray[Any]]:
        """Where all episodes stand, as arrays for a file."""
        names = ("state", "rng", "elapsed", "over")
        return {name: getattr(self, name) for name in names} | {"obs": self._obs}

    def restore(self, arrays: dict[str, NDArray[Any]]) -> Any:
        """Go on from there; returns the observations."""
        for name, array in self.state_arrays().items():
            array[...] = arrays[name]
        self._begun = True
        return self._as_observations(self._obs.copy())

    def close_extras(self, **kwargs: Any) -> None:
        """Close the environment that draws."""
        self.env.close()


def _observation_components(space: gym.Space[Any], n_states: int) -> list[NDArray[Any]] | None:
    """The components of each numbered observation, each [S]; None where number and observation are the same."""
    numbering = FiniteSpace(space)
    if numbering.plain:
        return None
    if isinstance(space, gym.spaces.Dict) or (
        isinstance(space, gym.spaces.Tuple) and not all(isinstance(s, gym.spaces.Discrete) for s in space.spaces)
    ):
        raise SpaceError(f"native code does not batch observations {space}")
    values = [numbering.value(s) for s in range(n_states)]
    if isinstance(space, gym.spaces.Tuple):
        return [np.array(column) for column in zip(*values, strict=True)]
    return [np.array(values)]


def can_be_batched(env: gym.Env[Any, Any]) -> bool:
    """Whether `NativeVectorEnv` can copy an environment."""
    return isinstance(env, NativeEnv | TableEnv) and isinstance(env.action_space, gym.spaces.Discrete | gym.spaces.Box)
