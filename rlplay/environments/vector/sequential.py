"""Environments of any kind, one after the other: in the process of their owner, or in a worker's."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from rlplay.environments.interact import ObservationCheck, Position, begin_episode, take_step
from rlplay.environments.vector.buffers import SpaceBuffers, size_of
from rlplay.errors import EnvironmentFault
from rlplay.transition import Transition

Spaces = tuple[gym.Space[Any], gym.Space[Any]]
Maker = Callable[[], gym.Env[Any, Any]]


class SharedBuffers:
    """What the environments and their owner write for each other: flat arrays that processes can share.

    Args:
        spaces: observation and action space of one environment.
        number: of environments, N.
        memory: bytes to lie in, for sharing; by default fresh ones.

    Attributes:
        obs, actions: the values, `SpaceBuffers` of N.
        rewards: float64 [N].
        terminated, truncated, over: bool [N]; ``over`` marks environments that wait for a reset.
        at: the environment that each process works on, -1 for none, int64 [N].
    """

    def __init__(self, spaces: Spaces, number: int, memory: NDArray[np.uint8] | None = None) -> None:
        sizes = [*(size_of(space, number) for space in spaces), 8 * number, 8 * number, 3 * number]
        memory = np.zeros(sum(sizes), np.uint8) if memory is None else memory
        cuts = np.split(memory[: sum(sizes)], np.cumsum(sizes)[:-1])
        self.obs, self.actions = SpaceBuffers(spaces[0], number, cuts[0]), SpaceBuffers(spaces[1], number, cuts[1])
        self.rewards, self.at = cuts[2].view(np.float64), cuts[3].view(np.int64)
        self.terminated, self.truncated, self.over = cuts[4].view(np.bool_).reshape(3, number)

    @staticmethod
    def size(spaces: Spaces, number: int) -> int:
        """Bytes that they need."""
        return sum(size_of(space, number) for space in spaces) + 19 * number


class SequentialEnvs:
    """The environments ``first``, ``first + 1``, ... of ``total``, stepped one after the other.

    Args:
        makers: one an environment.
        first: number of the first one.
        total: how many there are in all.
        mode: what happens at an episode's end.
        worker: the number of this process, for `SharedBuffers.at`.
        before: how many environments their owner plays itself and counts first, for what errors say.

    Attributes:
        spaces: observation and action space of one environment.
        buffers: where observations and rewards are written and actions are read.

    Raises:
        EnvironmentFault: with the environment's number, here and in every method.
    """

    def __init__(
        self, makers: Sequence[Maker], first: int, total: int, mode: AutoresetMode, worker: int = 0, before: int = 0
    ) -> None:  # fmt: skip
        self.first, self.total, self.mode, self.worker, self.before = first, total, mode, worker, before
        self.envs: list[gym.Env[Any, Any]] = []
        self.spaces: Spaces
        for k, maker in enumerate(makers):
            try:
                self.envs.append(maker())
            except Exception as error:
                raise self._fault(first + k, f"cannot be made: {type(error).__name__}: {error}") from error
            made = self.envs[k].observation_space, self.envs[k].action_space
            self.spaces = made if k == 0 else self.spaces
            if made != self.spaces:
                raise self._fault(first + k, f"has other spaces than environment {first}: {made[0]}, {made[1]}")
        self.positions = [Position(actions=None) for _ in self.envs]
        self.checks = [ObservationCheck(env) for env in self.envs]
        self.buffers: SharedBuffers | None = None

    def reset(
        self, seeds: NDArray[np.int64], chosen: NDArray[np.bool_], options: dict[str, Any] | None
    ) -> list[tuple[int, dict[str, Any]]]:
        """Begin episodes in the chosen environments; seeds and chosen are of all, [N], seed -1 for none."""
        buffers, infos = self._shared(), []
        for k, i in enumerate(range(self.first, self.first + len(self.envs))):
            if chosen[i]:
                buffers.at[self.worker] = i
                infos.append((i, self.begin(k, None if seeds[i] < 0 else int(seeds[i]), options)))
                buffers.obs.put(i, self.positions[k].obs)
                buffers.over[i] = False
        buffers.at[self.worker] = -1
        return infos

    def resume(self, running: Sequence[tuple[int, list[Any] | None] | None]) -> None:
        """Go to where a run stands: the seed and the actions of each one's episode, of all, [N]; None between two."""
        buffers = self._shared()
        for k, i in enumerate(range(self.first, self.first + len(self.envs))):
            episode = running[i]
            if episode is None:
                continue
            seed, actions = episode
            self.begin(k, seed, None)
            for action in actions or []:
                self.take(k, action)
            if self.positions[k].obs is not None:
                buffers.obs.put(i, self.positions[k].obs)
                buffers.over[i] = False

    def step(self) -> list[tuple[int, dict[str, Any]]]:
        """One step of each, with the actions in the buffers; returns the infos that are not empty."""
        buffers, infos = self._shared(), []
        for k, i in enumerate(range(self.first, self.first + len(self.envs))):
            buffers.at[self.worker] = i
            info = self._step(k, i, buffers)
            if info:
                infos.append((i, info))
        buffers.at[self.worker] = -1
        return infos

    def _step(self, k: int, i: int, buffers: SharedBuffers) -> dict[str, Any]:
        position = self.positions[k]
        if buffers.over[i]:
            if self.mode != AutoresetMode.NEXT_STEP:
                raise self._fault(i, "had ended its episode when step() was called", "Reset it with a reset_mask first")
            info = self.begin(k, None, None)
            buffers.rewards[i], buffers.terminated[i], buffers.truncated[i], buffers.over[i] = 0.0, False, False, False
            buffers.obs.put(i, position.obs)
            return info
        step = self.take(k, buffers.actions.get(i))
        buffers.rewards[i], buffers.terminated[i], buffers.truncated[i] = step.reward, step.terminated, step.truncated
        obs, info = step.next_obs, step.info
        if step.terminated or step.truncated:
            if self.mode == AutoresetMode.SAME_STEP:
                info = copy.deepcopy(info)  # an environment may fill the same one again as it begins anew
                first_info = self.begin(k, None, None)
                info = {**first_info, "final_obs": obs, "final_info": info}
                obs = position.obs
            else:
                buffers.over[i] = True
        buffers.obs.put(i, obs)
        return info

    def take(self, k: int, action: Any) -> Transition:
        """A step of the k-th of them."""
        try:
            return take_step(self.envs[k], self.positions[k], action, self.checks[k])
        except EnvironmentFault as error:
            raise self._fault(self.first + k, error.cause) from error.__cause__ or error

    def begin(self, k: int, seed: int | None, options: dict[str, Any] | None = None) -> dict[str, Any]:
        """Begin an episode in the k-th of them; the info."""
        try:
            begin_episode(self.envs[k], self.positions[k], seed, self.checks[k], options)
        except EnvironmentFault as error:
            raise self._fault(self.first + k, error.cause) from error.__cause__ or error
        self.positions[k].actions = None
        return self.positions[k].info

    def call(self, name: str, *arguments: Any, **keywords: Any) -> list[Any]:
        """A method of each environment called, or an attribute read."""
        results = []
        for k, env in enumerate(self.envs):
            try:
                found = env.get_wrapper_attr(name)
                results.append(found(*arguments, **keywords) if callable(found) else found)
            except Exception as error:
                raise self._fault(self.first + k, f"raised {type(error).__name__}: {error} in {name}") from error
        return results

    def set_attr(self, name: str, values: Sequence[Any]) -> None:
        """An attribute of each environment set; values are of all, [N]."""
        for k, env in enumerate(self.envs):
            env.set_wrapper_attr(name, values[self.first + k])

    def close(self) -> None:
        """Close them all."""
        for env in self.envs:
            env.close()

    def _shared(self) -> SharedBuffers:
        assert self.buffers is not None
        return self.buffers

    def _fault(self, i: int, cause: str, remedy: str = "") -> EnvironmentFault:
        return EnvironmentFault(f"environment {self.before + i} of {self.before + self.total}: {cause}", remedy)
