"""Vector environments of any Gymnasium environments, in this process or in worker processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from rlplay.environments.vector.common import autoreset, check_number, check_seeds, take_mask
from rlplay.environments.vector.sequential import Maker, SequentialEnvs, SharedBuffers
from rlplay.errors import EnvironmentFault, SpaceError, UsageError, counted


class PythonVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Environments side by side, whatever they are; what each returns is checked.

    Args:
        makers: functions that make one environment each.
        workers: processes that share them; 0 steps them one after the other in this process.
        autoreset_mode: ``next-step``, ``same-step`` or ``disabled``.
        timeout: seconds that a step of all of them may take in workers; None for no limit.

    Attributes:
        executor: what steps them: `SequentialEnvs`, or a `WorkerPool`.

    Raises:
        UsageError: no environment, more workers than environments.
        EnvironmentFault: an environment raises or returns what cannot be, a worker does not answer or was killed; names
            the environment, with the original traceback as its cause. Also in every method.
    """

    def __init__(
        self, makers: Sequence[Maker], *, workers: int = 0, autoreset_mode: AutoresetMode | str = "same-step",
        timeout: float | None = 60.0,
    ) -> None:  # fmt: skip
        self.num_envs, mode = check_number(len(makers)), autoreset(autoreset_mode)
        if timeout is not None and not timeout > 0:
            raise UsageError(f"timeout={timeout!r} is not a number of seconds above 0, or None")
        if workers:
            from rlplay.environments.vector.workers import WorkerPool

            if check_number(workers, "workers") > self.num_envs:
                raise UsageError(f"workers={workers} is more than the {counted(self.num_envs, 'environment')}")
            self.executor: Any = WorkerPool(makers, workers, mode, timeout)
        else:
            self.executor = SequentialEnvs(makers, 0, self.num_envs, mode)
            self.executor.buffers = SharedBuffers(self.executor.spaces, self.num_envs)
        self.metadata = {"autoreset_mode": mode}
        self.single_observation_space, self.single_action_space = self.executor.spaces
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._buffers: SharedBuffers = self.executor.buffers
        self._begun = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in every environment.

        Args:
            seed: the first environment's, the next one's is one more; or one an environment.
            options: handed to each; ``reset_mask``, bool [N], begins only there.
        """
        options = dict(options or {})
        chosen = take_mask(options, self.num_envs, self._begun)
        self._open()
        infos = self._guarded(self.executor.reset, check_seeds(seed, self.num_envs), chosen, options or None)
        self._begun = True
        return self._buffers.obs.all(), self._merged(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """One step in every environment.

        Returns:
            Observations, rewards float64 [N], terminated bool [N], truncated bool [N], and infos. With same-step
            autoreset ``infos["final_obs"]`` has the last observations, ``infos["final_info"]`` what was said with them.

        Raises:
            SpaceError: actions outside the space; names the first environment.
        """
        if not self._begun:
            raise EnvironmentFault("step() was called before reset()", "Call env.reset() first")
        self._open()
        buffers = self._buffers
        try:
            buffers.actions.put_all(actions)
        except (ValueError, TypeError, KeyError) as error:
            raise SpaceError(f"actions are not in {self.action_space}: {error}") from error
        self._check_actions()
        infos = self._guarded(self.executor.step)
        flags: list[NDArray[np.bool_]] = [buffers.terminated.copy(), buffers.truncated.copy()]
        return buffers.obs.all(), buffers.rewards.copy(), *flags, self._merged(infos)

    def _check_actions(self) -> None:
        space, actions = self.single_action_space, self._buffers.actions
        if isinstance(space, gym.spaces.Box):
            wrong = ~np.isfinite(actions.arrays[0]).reshape(self.num_envs, -1).all(axis=1)
        elif isinstance(space, gym.spaces.Discrete):
            number = actions.arrays[0] - int(space.start)
            wrong = (number < 0) | (number >= int(space.n))
        else:
            wrong = np.array([not space.contains(actions.get(i)) for i in range(self.num_envs)])
        if wrong.any():
            i = int(wrong.argmax())
            raise SpaceError(f"action {actions.get(i)!r} of environment {i} of {self.num_envs} is not in {space}")

    def _merged(self, infos: list[tuple[int, dict[str, Any]]]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for i, info in infos:
            merged = self._add_info(merged, info, i)
        return merged

    def _open(self) -> None:
        if self.closed:
            raise EnvironmentFault("the environments are closed", "Make them again")

    def _guarded(self, method: Any, *arguments: Any) -> Any:
        """A call after whose failure nothing can go on."""
        try:
            return method(*arguments)
        except BaseException:
            self.close()
            raise

    def call(self, name: str, *arguments: Any, **keywords: Any) -> tuple[Any, ...]:
        """A method of each environment called, or an attribute read."""
        self._open()
        return tuple(self.executor.call(name, *arguments, **keywords))

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """An attribute of each environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """An attribute of each environment set, to one value each or to the same."""
        self._open()
        alike = not isinstance(values, list | tuple) or len(values) != self.num_envs
        self.executor.set_attr(name, [values] * self.num_envs if alike else values)

    def render(self) -> tuple[Any, ...] | None:
        """A picture an environment."""
        return self.call("render")

    def close_extras(self, **kwargs: Any) -> None:
        """Close all environments and end the workers."""
        self.executor.close()
