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

from rlplay.extend import (
    ActionValues,
    BatchAgent,
    Candidates,
    HyperparameterError,
    Range,
    Regressor,
    StateArrays,
    UsageError,
    action_inputs,
    counted,
    generator,
    seeded,
)


class NeuralFittedQ(BatchAgent):
    """Neural fitted Q iteration; finite actions, or a Box.

    Attributes:
        values: the network as action values, None before the first fit.
        scaling: what is subtracted from observations (or features), and by what they are divided, float64 [2, D].

    Example:
        >>> agent = NeuralFittedQ("CartPole-v1", train_freq=500, n_iterations=3, seed=0).learn(500)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "neural-fitted-q"
    finite_actions = False
    gamma = 0.98
    n_iterations = 40
    train_freq = 1000
    model: Annotated[Any, Regressor("what learns the values: any regressor with partial_fit")] = (
        "mlp:64,learning_rate_init=0.003"
    )
    n_epochs: Annotated[int, Range("passes over all transitions an iteration", 1, 10_000, integer=True)] = 10
    n_candidates: Candidates = 9

    def setup(self) -> None:
        """No network yet."""
        super().setup()
        if not hasattr(self.model, "partial_fit"):
            raise HyperparameterError(
                f"NeuralFittedQ: model={type(self.model).__name__} has no partial_fit and cannot go on from where it "
                "stood",
                "Take a network (mlp), SGDRegressor, or the agent FittedQ",
            )
        self.values: ActionValues | None = None
        self.scaling = np.stack([np.zeros(self.encoder.size), np.ones(self.encoder.size)])

    def action_values(self, vectors: NDArray[Any]) -> NDArray[np.float64] | None:
        """Q of the network."""
        return None if self.values is None else self.values(self._scaled(vectors))

    def _scaled(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        return (self.encoder.encode_vectors(vectors).astype(np.float64) - self.scaling[0]) / self.scaling[1]

    def iterate(self) -> None:
        """Targets from the network as it is, then some passes over all transitions.

        Raises:
            UsageError: the network failed or diverged; says on what.
        """
        data, fits = self.transitions(), int(self.counts.fits[0])
        if fits == 1 and self.iteration == 0:
            seen = self.encoder.encode_vectors(data.obs)
            spread = seen.std(axis=0)
            self.scaling[:] = seen.mean(axis=0), np.where(spread > 0, spread, 1.0)
        following = np.zeros(len(data.rewards))
        if self.values is not None:
            next_values = self.may_be_next(self.values(self._scaled(data.next_obs)))
            following = np.where(data.terminated, 0.0, next_values.max(axis=1))
        x, y = action_inputs(self._scaled(data.obs), data.actions, self.choices), data.rewards + self.gamma * following
        network = self._network(generator(self.seed, f"{fits}.{self.iteration}"))
        try:
            for _ in range(self.n_epochs):
                network.partial_fit(x, y)
        except Exception as error:
            raise UsageError(
                f"{type(network).__name__} could not be trained on {counted(len(y), 'transition')}: "
                f"{' '.join(str(error).split())[:300]}",
                "Take a smaller learning_rate_init",
            ) from error
        self.counts.iterations_left[0] -= 1
        self.values = ActionValues([network], "action as input", self.choices)

    def _network(self, rng: np.random.Generator) -> Any:
        """The network to train on: that of the iteration before, with a new order of the minibatches; or a new one."""
        if self.values is None:
            network = seeded(self.model, generator(self.seed, "network"))
        else:
            network = copy.deepcopy(self.values.models[0])
        if "random_state" in network.get_params():  # else each iteration would see the same order
            network.set_params(random_state=int(rng.integers(2**31)))
        return network

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


__all__ = ["NeuralFittedQ"]
