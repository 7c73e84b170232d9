"""Neural fitted Q iteration: a network of (s, a) that goes on from where it stood, iteration after iteration.

    targets  y = R + γ max_a Q_{k-1}(S', a)        (y = R where S' is terminal)
    Q_k      = Q_{k-1}, trained for some passes over all transitions (S, A) -> y

Where fitted Q iteration with trees begins each fit anew, a network keeps its weights, and the whole set of transitions
keeps it from forgetting what is far from the last ones.

Source: Riedmiller 2005, "Neural Fitted Q Iteration", figure 1.

Symbols:
    S, S'  obs, next_obs  float32 [N, D]    A  actions  int64 [N] (a Box: float32 [N, W])      R  rewards  float64 [N]
    Q_k    network        any regressor with partial_fit; γ  gamma    ε  epsilon  float or schedule

Deviations from the source: Adam in minibatches in place of Rprop; observations are standardised;
the data set grows between fits, and each fit begins with the network of the last one.
"""

from __future__ import annotations

import copy
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.batch import LEFT, BatchAgent, BufferSize, Candidates, Hold, Iterations, TrainFreq
from rlplay.storage.checkpoint import copy_into
from rlplay.approximation.action_values import ActionValues
from rlplay.approximation.estimators import seeded
from rlplay.environments.make import EnvLike
from rlplay.errors import HyperparameterError, UsageError
from rlplay.hyperparameters.domains import Range, Regressor
from rlplay.hyperparameters.types import Discount, Exploration, FeaturesLike
from rlplay.seeding import generator


class NeuralFittedQ(BatchAgent):
    """Neural fitted Q iteration; finite actions, or a Box.

    Example:
        >>> agent = NeuralFittedQ("CartPole-v1", train_freq=500, n_iterations=3, seed=0).learn(500)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "neural-fitted-q"
    finite_actions = False

    def __init__(
        self,
        env: EnvLike,
        *,
        model: Annotated[
            Any, Regressor("what learns the values: any regressor with partial_fit")
        ] = "mlp:64,learning_rate_init=0.003",
        gamma: Discount = 0.98,
        n_iterations: Iterations = 40,
        n_epochs: Annotated[int, Range("passes over all transitions an iteration", 1, 10_000, integer=True)] = 10,
        train_freq: TrainFreq = 1000,
        buffer_size: BufferSize = 100_000,
        epsilon: Exploration = 0.1,
        hold: Hold = 1,
        n_candidates: Candidates = 9,
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, model=model, gamma=gamma, n_iterations=n_iterations, n_epochs=n_epochs,
            train_freq=train_freq, buffer_size=buffer_size, epsilon=epsilon, hold=hold, n_candidates=n_candidates,
            features=features,
        )  # fmt: skip
        if not hasattr(self.hyperparameters["model"], "partial_fit"):
            name = type(self.hyperparameters["model"]).__name__
            raise HyperparameterError(
                f"NeuralFittedQ: model={name} has no partial_fit and cannot go on from where it stood",
                "Take a network (mlp), SGDRegressor, or the agent FittedQ",
            )
        self.values: ActionValues | None = None
        size = self.n_obs if self.features is None else self.features.size
        self.scaling = np.stack([np.zeros(size), np.ones(size)])  # what is subtracted, and divided by

    def action_values(self, x: NDArray[np.float32]) -> NDArray[np.float64] | None:
        """Q of the network."""
        return None if self.values is None else self.values(self._scaled(x))

    def _scaled(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return (self.mapped(x).astype(np.float64) - self.scaling[0]) / self.scaling[1]

    def iterate(self) -> None:
        """Targets from the network as it is, then some passes over all transitions.

        Raises:
            UsageError: the network failed or diverged; says on what.
        """
        obs, actions, rewards, next_obs, terminated = self.transitions()
        if self.counts[1] == 1 and self.iteration == 0:
            seen = self.mapped(obs)
            spread = seen.std(axis=0)
            self.scaling[:] = seen.mean(axis=0), np.where(spread > 0, spread, 1.0)
        following = np.zeros(len(rewards))
        if self.values is not None:
            following = np.where(terminated, 0.0, self.values(self._scaled(next_obs)).max(axis=1))
        shown = self.choices[actions] if actions.ndim == 1 else actions
        x, y = np.column_stack([self._scaled(obs), shown]), rewards + self.gamma * following
        if self.values is None:
            model = seeded(self.hyperparameters["model"], generator(self.seed, "network"))
        else:
            model = copy.deepcopy(self.values.models[0])
        if "random_state" in model.get_params():  # else each iteration would see the same order
            model.set_params(
                random_state=int(generator(self.seed, f"{self.counts[1]}.{self.iteration}").integers(2**31))
            )
        try:
            for _ in range(self.hyperparameters["n_epochs"]):
                model.partial_fit(x, y)
        except Exception as error:
            raise UsageError(
                f"{type(model).__name__} could not be trained on {len(y):,} transitions: "
                f"{' '.join(str(error).split())[:300]}",
                "Take a smaller learning_rate_init",
            ) from error
        self.counts[LEFT] -= 1
        self.values = ActionValues([model], "action as input", self.choices)

    def models(self) -> dict[str, Any]:
        """The network."""
        return super().models() | ({} if self.values is None else {"network": self.values.models[0]})

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the network of a file."""
        super().restore_models(models)
        if "network" in models:
            self.values = ActionValues([models["network"]], "action as input", self.choices)

    def arrays(self) -> StateArrays:
        """The transitions so far, the scaling, the counts and the random state."""
        return {**super().arrays(), "scaling": self.scaling}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        super().load_arrays(arrays)
        copy_into("scaling", arrays, self.scaling)


__all__ = ["NeuralFittedQ"]
