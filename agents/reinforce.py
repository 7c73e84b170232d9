"""REINFORCE with baseline: make actions that were followed by more than expected more likely.

Play whole episodes, then move the policy's parameters along the gradient of the log-probability of each action,
weighted by how much its return exceeded the baseline, and the baseline towards the returns:

    θ ← θ + α (G_t - v̂(S_t, w)) ∇ ln π(A_t | S_t, θ)
    w ← w + α_w (G_t - v̂(S_t, w)) ∇ v̂(S_t, w)

Source: Williams 1992; Sutton & Barto 2e, section 13.4, equation (13.11), box on page 330.

Symbols:
    π(a|s, θ)  policy    a network of the observation: softmax of its outputs (Discrete), or their normal (Box)
    v̂(s, w)    baseline  a network of its own with one output
    G          returns   float64 [N]      discounted return after each step
    δ          weights   float64 [N]      advantage G - v̂
    S          obs       float32 [N, D],  A  actions  float32 [N, A]
    γ          gamma     float,           α  learning_rate, α_w  baseline_learning_rate  float or schedule

Deviations from the box: an update takes all episodes of at least ``batch_size`` steps at once, with their mean
gradient, by Adam; the factor γᵗ is left out, as is common; advantages are normalised over the batch
(``normalize_advantage=False`` leaves them); the baseline takes ``baseline_epochs`` steps a batch; where a time limit
cuts an episode, the return goes on with the baseline's value, since a limit is no terminal state.
``batch_size=1, normalize_advantage=False, baseline_epochs=1`` is the box, but for Adam.

One iteration, two executions: `rule` writes the algorithm once over a network's four functions. Compiled over
`rlplay.networks.network` it is part of the native loop; as plain Python it runs a torch module (``network="torch"``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay import Agent, Probe, saving
from rlplay.agent import StateArrays
from rlplay.compiled.cache import compiled
from rlplay.compiled.loops import Rule
from rlplay.distributions import CATEGORICAL, GAUSSIAN, Head
from rlplay.hyperparameters import Choice, Discount, FeaturesLike, LearningRate, Range, Sizes
from rlplay.iteration import plain
from rlplay.making import EnvLike
from rlplay.networks import Kernel, mlp
from rlplay.networks import network as networks
from rlplay.networks.optimisers import improve as optimise
from rlplay.networks.optimisers import new_optimiser
from rlplay.rollout import CHOSEN, ROWS, append, discounted_returns, new_batch, normalise
from rlplay.schedules import scheduled, tabulate
from rlplay.seeding import generator, stream

_LONGEST_EPISODE = 10_000  # steps; one without a time limit is cut here and goes on with the baseline's value


@cache
def reinforce(kernel: Kernel, head: Head, compile: Callable[..., Any]) -> Rule:
    """The algorithm over a network and a policy head: compiled, or with ``compile=plain`` as Python.

    ``log_std`` is the number of choices where actions are finite (`rlplay.distributions`).

    The memory is (policy, baseline, log_std, log_std_gradient, log_std_optimiser, batch, least_rows, alpha,
    baseline_alpha, settings, rng) with settings = gamma, entropy coefficient, largest gradient norm, normalise, epochs.
    """
    forward, forward_row, backward, improve = kernel[:4]
    sample, native, log_probs, policy_gradient = head

    @compile
    def act(memory: Any, obs: NDArray[np.float32], progress: float) -> Any:
        """Draw an action from the policy, once a step."""
        policy, log_std, batch, rng = memory[0], memory[2], memory[5], memory[10]
        if batch.counters[CHOSEN] == 0:
            sample(forward_row(policy, obs), log_std, rng, batch.action)
            batch.counters[CHOSEN] = 1
        return native(batch.action)

    @compile
    def update(memory: Any, progress: float) -> None:
        """The two updates of the box over the batch."""
        policy, baseline, log_std, log_std_gradient, log_std_optimiser, batch = memory[:6]
        alpha, baseline_alpha, settings = memory[7], memory[8], memory[9]
        gamma, ent_coef, max_grad_norm, normalised, epochs = settings
        n = batch.counters[ROWS]
        obs, returns, weights = batch.obs[:n], batch.returns[:n], batch.weights[:n]
        discounted_returns(batch.rewards[:n], batch.ends[:n], batch.beyond[:n], gamma, returns)

        values = forward(baseline, obs)
        for i in range(n):
            weights[i] = returns[i] - values[i, 0]  # δ = G - v̂(S, w)
        if normalised > 0.0:
            normalise(weights)

        outputs = forward(policy, obs)
        gradient, told = np.empty(outputs.shape, np.float32), np.empty((2, n))
        log_probs(outputs, log_std, batch.actions[:n], gradient, told[0], told[1])
        policy_gradient(outputs, log_std, batch.actions[:n], weights, ent_coef, gradient, log_std_gradient)
        backward(policy, obs, gradient, False)
        rate = scheduled(alpha, progress)
        improve(policy, rate, max_grad_norm)
        optimise(log_std, log_std_gradient, log_std_optimiser, rate, max_grad_norm)

        value_gradient = np.empty((n, 1), np.float32)
        for epoch in range(int(epochs)):
            if epoch > 0:
                values = forward(baseline, obs)
            for i in range(n):
                value_gradient[i, 0] = (values[i, 0] - returns[i]) / n  # ∂/∂v of ½ (G - v)²
            backward(baseline, obs, value_gradient, False)
            improve(baseline, scheduled(baseline_alpha, progress), max_grad_norm)
        batch.counters[ROWS] = 0

    @compile
    def learn(
        memory: Any,
        obs: NDArray[np.float32],
        a: Any,
        r: float,
        next_obs: NDArray[np.float32],
        a_next: int,
        terminated: bool,
        truncated: bool,
        progress: float,
    ) -> float:
        """Keep the step; at an episode's end, update where enough steps are there. No TD error: NaN."""
        baseline, batch, least_rows = memory[1], memory[5], memory[6]
        is_full = batch.counters[ROWS] + 1 == batch.rewards.shape[0]
        ended = terminated or truncated or is_full
        beyond = float(forward_row(baseline, next_obs)[0]) if ended and not terminated else 0.0
        if append(batch, obs, r, ended, beyond) >= least_rows and ended:
            update(memory, progress)
        return np.nan

    return Rule(act, learn)


class Reinforce(Agent):
    """REINFORCE with baseline, for Discrete and Box actions and any observation that is a vector or finite.

    Example:
        >>> agent = Reinforce("CartPole-v1", seed=0).learn(20_000)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "reinforce"

    def __init__(
        self,
        env: EnvLike,
        *,
        learning_rate: LearningRate = 3e-3,
        baseline_learning_rate: LearningRate = 3e-3,
        gamma: Discount = 0.99,
        batch_size: Annotated[
            int, Range("steps after which the next end of an episode brings an update", 1, 1_000_000, integer=True)
        ] = 1000,
        baseline_epochs: Annotated[int, Range("steps of the baseline a batch", 1, 1000, integer=True)] = 5,
        normalize_advantage: Annotated[
            bool, Choice("divide advantages by their deviation in the batch", (True, False))
        ] = True,
        ent_coef: Annotated[float, Range("weight of the policy's entropy in the loss", 0, 10)] = 0.0,
        max_grad_norm: Annotated[float, Range("longest gradient; 0 for any length", 0, 1e9)] = 0.5,
        net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of both networks")] = (64, 64),
        activation: Annotated[str, Choice("what hidden units apply", ("tanh", "relu"))] = "tanh",
        network: Annotated[
            str, Choice("whose network: ours, compiled, or a torch module", ("numpy", "torch"))
        ] = "numpy",
        features: FeaturesLike = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, learning_rate=learning_rate, baseline_learning_rate=baseline_learning_rate, gamma=gamma,
            batch_size=batch_size, baseline_epochs=baseline_epochs, normalize_advantage=normalize_advantage,
            ent_coef=ent_coef, max_grad_norm=max_grad_norm, net_arch=net_arch, activation=activation, network=network,
            features=features,
        )  # fmt: skip
        obs_size, action_size, finite = self.require_vectors()
        head, self._finite = (CATEGORICAL if finite else GAUSSIAN), finite
        limit = self.env.spec.max_episode_steps if self.env.spec else None
        rows = int(batch_size) + (limit or _LONGEST_EPISODE)
        weights = generator(self.seed, "weights")
        self.policy = self._network([obs_size, *self.hyperparameters["net_arch"], action_size], weights, 0.01, rows)
        self.baseline = self._network([obs_size, *self.hyperparameters["net_arch"], 1], weights, 1.0, rows)
        self.log_std = np.array([action_size], np.float32) if finite else np.zeros(action_size, np.float32)
        self.log_std_optimiser = new_optimiser(self.log_std.size)
        self.batch = new_batch(rows, obs_size, 1 if finite else action_size)
        self.rng = stream(self.seed, "exploration")
        settings = (
            float(gamma),
            float(ent_coef),
            float(max_grad_norm),
            float(normalize_advantage),
            float(baseline_epochs),
        )
        self.memory = (
            self.policy, self.baseline, self.log_std, np.zeros_like(self.log_std), self.log_std_optimiser, self.batch,
            int(batch_size), tabulate(learning_rate), tabulate(baseline_learning_rate), np.array(settings), self.rng,
        )  # fmt: skip
        if network == "torch":
            from rlplay.networks import torch_network

            self.kernel = torch_network.KERNEL
            self.rule = reinforce(self.kernel, head, plain)
        else:
            self.kernel = networks.kernel(self.layers)
            self.rule = reinforce(self.kernel, head, compiled)

    def _network(self, sizes: list[int], weights: np.random.Generator, last_gain: float, rows: int) -> Any:
        self.layers = mlp(sizes, self.hyperparameters["activation"])
        parameters = networks.initial_parameters(self.layers, weights, last_gain=last_gain).astype(np.float32)
        if self.hyperparameters["network"] == "torch":
            from rlplay.networks import TorchNetwork

            return TorchNetwork(self.layers, parameters=parameters)
        return networks.new_net(self.layers, parameters, rows)

    def why_not_compiled(self) -> str:
        """A torch module cannot be part of the native loop."""
        return (
            "its network is a torch module"
            if self.hyperparameters["network"] == "torch"
            else super().why_not_compiled()
        )

    def give_up_episode(self) -> None:
        """Stand between episodes; the steps of the broken one are dropped with those since the last update."""
        super().give_up_episode()
        self._drop_batch()

    def carry(self, nearest: Any) -> None:
        """The features moved: the steps since the last update were seen through the old ones, and are dropped."""
        self._drop_batch()

    def _drop_batch(self) -> None:
        self.batch.counters[:] = 0

    def probe(self, observation: Any) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the baseline's value."""
        x = self.vectors(observation)
        outputs = self.kernel.predict(self.policy, x).astype(np.float64)  # [B, A]
        value = self.kernel.predict(self.baseline, x)[:, 0].astype(np.float64)
        features = x.astype(np.float64) if self.features is not None else None
        if not self._finite:
            std = np.broadcast_to(np.exp(self.log_std.astype(np.float64)), outputs.shape)
            return Probe(action_mean=outputs, action_std=std, value=value, features=features)
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
        return Probe(action_probabilities=probabilities, value=value, features=features)

    def arrays(self) -> StateArrays:
        """Both networks with their optimisers, the steps since the last update, and the random state."""
        adam = self.log_std_optimiser
        found: StateArrays = {
            "log_std": self.log_std, "log_std_m": adam.m, "log_std_v": adam.v, "log_std_t": adam.t,
            "exploration": self.rng,
        }  # fmt: skip
        for name, net in (("policy", self.policy), ("baseline", self.baseline)):
            found.update({f"{name}/{part}": array for part, array in self.kernel.arrays(net).items()})
        batch, n = self.batch, int(self.batch.counters[ROWS])
        rows: StateArrays = {"obs": batch.obs, "actions": batch.actions, "rewards": batch.rewards, "ends": batch.ends}
        found.update({f"batch/{name}": array[:n] for name, array in {**rows, "beyond": batch.beyond}.items()})
        found.update({"batch/action": batch.action, "batch/counters": batch.counters})
        return found | (self.features.arrays() if self.features is not None else {})

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file, into torch modules too."""
        saving.copy_into("batch/counters", arrays, self.batch.counters)  # they say how many rows there are
        super().load_arrays(arrays)
        for name, net in (("policy", self.policy), ("baseline", self.baseline)):
            self.kernel.restore(net, {n.removeprefix(f"{name}/"): a for n, a in arrays.items() if n.startswith(name)})


__all__ = ["Reinforce", "reinforce"]
