"""What agents share that learn from rollouts: rows of steps, networks with one kernel, masks, and the agent's file.

`rlplay.agent.on_policy` and `agents.pqn` stand on it; how a step of all environments goes is in
`rlplay.functional.rollout_step`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.vector_agent import VectorAgent
from rlplay.errors import counted, warn_once
from rlplay.functional.vector_step import K, followed, uncompiled
from rlplay.hyperparameters.domains import Range
from rlplay.networks.contract import Kernel
from rlplay.storage.checkpoint import copy_into
from rlplay.storage.ranges import ANY, COUNT, Ranges

RolloutSteps = Annotated[int, Range("steps of a rollout in each environment", 1, 1_000_000, integer=True)]


class RolloutAgent(VectorAgent):
    """An agent that learns from rollouts of several environments; its ``memory`` has a ``rollout``.

    Example:
        >>> from agents import A2C  # a subclass
        >>> agent = A2C("CartPole-v1", n_envs=2, seed=0)
        >>> sorted(agent.nets()), len(agent.memory.rollout.rewards)
        (['policy', 'value'], 10)
    """

    if TYPE_CHECKING:  # set in `setup`; an annotation in the body of the class would be a hyperparameter

        def _set_in_setup(self) -> None:
            self.kernel: Kernel
            self._rng: NDArray[np.uint64]
            self._metrics: NDArray[np.float64]

    def functions_of(self, name: str) -> Kernel:
        """The same for all."""
        return self.kernel

    # What it is made of.

    def parameters(self) -> dict[str, NDArray[Any]]:
        """All weights of each network, by its name, [P]."""
        return {name: self.kernel.arrays(net)["parameters"] for name, net in self.nets().items()}

    def _stopping(self, kernel: K, last: Any) -> K:
        """The functions of networks, which stop where that is asked for: after the last one that a step improves."""
        stop = self._halt
        if stop is None:
            return kernel
        improve = followed(kernel.improve, lambda net, *rest: stop() if net is last else None)
        found: K = uncompiled(kernel)._replace(improve=improve)
        return found

    def rollout_steps(self) -> int:
        """Steps of a rollout in each environment, at most."""
        return int(self.hyperparameters["n_steps"])

    def least_rows(self, rows: int) -> int:
        """Rows from which the end of an episode ends the rollout; all of them: only the last row does."""
        return rows

    def network_rows(self, rows: int) -> int:
        """Rows that the networks see at a time, at most."""
        return rows

    def minibatch_rows(self, rows: int) -> int:
        """`network_rows` of an agent that learns in minibatches: of those, or of a step of all environments.

        A minibatch that is larger than the rollout is the rollout, which is said.
        """
        batch_size, n_envs = int(self.hyperparameters["batch_size"]), int(self.hyperparameters["n_envs"])
        if batch_size > rows:
            warn_once(
                f"{type(self).__name__}: batch_size={batch_size} is more than the {counted(rows, 'step')} of a rollout "
                "(n_steps * n_envs), which is one minibatch then"
            )
        return max(min(batch_size, rows), n_envs)

    def waits_for(self) -> str:
        """The rollout, which is not whole."""
        rows, warm_up = len(self.memory.rollout.rewards), self.encoder.warm_up * (not self.encoder.in_use)
        steps = counted(warm_up, "step")
        first, lower = (f"{steps} for its features (warm_up) and ", "warm_up or ") if warm_up else ("", "")
        if self.memory.least_rows < rows:
            return (
                f"an update takes {first}whole episodes, of {counted(self.memory.least_rows, 'step')} or more together "
                f"(batch_size). Lower {lower}batch_size, or learn longer"
            )
        return (
            f"an update takes {first}a rollout of {counted(rows, 'step')} (n_steps * n_envs). Lower {lower}n_steps, or "
            "learn longer"
        )

    def least_steps_to_learn(self) -> int:
        """The rest of the rollout, after the steps that fit the features."""
        least = min(self.memory.least_rows, len(self.memory.rollout.rewards))
        return super().least_steps_to_learn() + max(least - int(self.memory.rollout.filled[0]), 1) - 1

    def _learn_arguments(self) -> tuple[Any, ...]:
        return self.memory, 0, 0, self.progress

    def _make_masks(self) -> None:
        """Room for masks; none so far."""
        rollout, (n, outputs) = self.memory.rollout, (len(self._running_envs), self.memory.masks.shape[1])
        rows = np.zeros((len(rollout.rewards), outputs), np.float32)
        self.memory = self.memory._replace(
            rollout=rollout._replace(masks=rows), masks=np.zeros((n, outputs), np.float32)
        )

    def rounds_ahead(self) -> int:
        """The rest of the rollout, or of the run."""
        memory, n, rows = self.memory, len(self._running_envs), len(self.memory.rollout.rewards)
        if self._is_torch or self.remembers or memory.moments.norm_obs or memory.features is not None:
            return 1  # torch rounds by the number of rows; memories, moments and maps see what all environments show
        if memory.least_rows < rows:
            return 1  # the end of an episode may end the rollout
        rest, run = (rows - int(memory.rollout.filled[0])) // n, -(-(self.horizon - self.num_timesteps) // n)
        return min(rest, run) if run > 0 else rest

    def acting_arrays(self) -> StateArrays:
        """The first network's parameters, and the random state."""
        net = next(iter(self.nets().values()))
        return {"rng": self._rng, "parameters": self.kernel.arrays(net)["parameters"]}

    @property
    def _between_updates(self) -> bool:
        return bool(self.memory.rollout.filled[0] == 0 and self.memory.metrics.n_updates[0])

    def give_up_episode(self) -> None:
        """Stand between episodes; a rollout that was begun is forgotten."""
        super().give_up_episode()
        self.memory.rollout.filled[0] = 0

    def metrics(self) -> dict[str, float]:
        """Numbers of the last update."""
        found = {f"train/{name}": float(value[0]) for name, value in self.memory.metrics._asdict().items()}
        return found if self.memory.metrics.n_updates[0] else {}

    # Files.

    def kept_rows(self) -> dict[str, NDArray[Any]]:
        """What a file keeps of the rows of the rollout, by name."""
        rollout = self.memory.rollout
        return {"obs": rollout.obs, "actions": rollout.actions, "masks": rollout.masks, "rewards": rollout.rewards,
                "ends": rollout.ends, "beyond": rollout.bootstrap_values}  # fmt: skip

    def arrays(self) -> StateArrays:
        """Networks and optimisers, the rollout so far, the running moments, and the random states."""
        rollout = self.memory.rollout
        found: StateArrays = {"rng": self._rng, "metrics": self._metrics, "counters": rollout.filled}
        for name, net in self.nets().items():
            found.update({f"{name}/{part}": array for part, array in self.kernel.arrays(net).items()})
        found.update({f"rollout/{name}": array[: int(rollout.filled[0])] for name, array in self.kept_rows().items()})
        found.update({f"normaliser/{name}": array for name, array in self._moment_arrays.items()})
        return found | self.encoder.arrays()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; layers are compared with the agent's own."""
        found: Ranges = {"counters": (0, len(self.memory.rollout.rewards)), **super().ranges()}
        for name in self.nets():
            found.update({f"{name}/layers": ANY, f"{name}/t": COUNT})
        return found

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too."""
        copy_into("counters", arrays, self.memory.rollout.filled)  # it says how many rows there are
        if np.size(arrays.get("rollout/masks", ())):  # its environment has not said so yet
            self.expect_masks()
        super().load_arrays(arrays)
        for name, net in self.nets().items():
            own = {part.removeprefix(f"{name}/"): a for part, a in arrays.items() if part.startswith(f"{name}/")}
            self.kernel.restore(net, own)
        self._build()  # over the feature map of the file


__all__ = ["RolloutAgent", "RolloutSteps"]
