"""Implicit Q-learning for finite actions: the policy is a softmax, and imitates the data, better actions more.

As in `agents.iql` the value of a state is a high expectile of the values of the actions that the data show there, so
the maximum over actions is never taken. For a batch of B steps (s, a, r, s'):

    value     u = min_c Q'_c(s, a) - V(s)
              L_V = 1/B Σ |κ - 1(u < 0)| u²                  ∂L_V/∂V = - 2/B |κ - 1(u < 0)| u
    critics   y = r + Γ V(s')                                Γ = γ, and 0 where the episode terminated
              L_Q = ½ Σ_c 1/B Σ [Q_c(s, a) - y]²             ∂L_Q/∂Q_c(s, b) = 1(b = a) (Q_c - y) / B
    actor     w = min(exp(β u), 100)
              L_π = - 1/B Σ w log π(a | s)                   ∂L_π/∂z(s, b) = w/B [π(b | s) - 1(b = a)]
    targets   θ' ← (1 - τ) θ' + τ θ                          of the critics

Source: Kostrikov, Nair & Levine 2022, equations 5 to 7 and algorithm 1.

Symbols:
    V  value    float32 [B, 1]                      κ  expectile (the paper's τ)    β  beta    γ  gamma    τ  tau
    π  softmax of the actor's outputs z, [B, K]     Q_c  critics, with an output an action, float32 [C, B, K]

Deviations from the paper: learning rates do not fall by a cosine (``learning_rate="lin_3e-4"`` falls).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    Batch,
    BatchSize,
    Choice,
    CriticsKwargs,
    Discount,
    LearningRate,
    OfflineAgent,
    OffPolicyMemory,
    OffPolicyRule,
    OursOrTorchs,
    Parts,
    Probe,
    Range,
    Ranges,
    Schedule,
    Sizes,
    Tau,
    VectorFeatures,
    actor_and_critics,
    forbid,
    in_place,
    q_network,
    scheduled,
)

from .discrete_sac import critic_errors, softmax
from .iql import MOST, IQLMetrics, IQLNets, expectile_errors, targets_of_values

Floats = NDArray[np.float32]
Array = NDArray[np.float64]


class DiscreteIQLSettings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    expectile: float
    beta: float
    tau: float


class DiscreteIQLWork(NamedTuple):
    """Room for B rows of K actions.

    Attributes:
        taken: Q' of the actions of the data, float32 [C, B, 1].
        gaps: u, float64 [B].
        targets: y, float64 [B].
        policy, log_policy: π and its logarithm, float64 [B, K].
        value_gradient: at the output of the value, float32 [B, 1].
        critic_gradient: at those of the critics, float32 [C, B, K].
        actor_gradient: at those of the actor, float32 [B, K].
    """

    taken: Floats
    gaps: Array
    targets: Array
    policy: Array
    log_policy: Array
    value_gradient: Floats
    critic_gradient: Floats
    actor_gradient: Floats


@in_place
def of_taken(values: Floats, actions: Floats, taken: Floats) -> None:
    """Q_c(s, a) of all values [C, B, K] into ``taken`` [C, B, 1].

    Example:
        >>> taken = np.zeros((1, 2, 1), np.float32)
        >>> of_taken(np.float32([[[1, 2], [3, 4]]]), np.float32([[1], [0]]), taken)
        >>> taken.ravel().tolist()
        [2.0, 3.0]
    """
    for c in range(values.shape[0]):
        for i in range(values.shape[1]):
            taken[c, i, 0] = values[c, i, int(actions[i, 0])]


@in_place
def imitate_likelier(
    policy: Array, log_policy: Array, actions: Floats, gaps: Array, beta: float, grad: Floats
) -> tuple[float, float]:  # fmt: skip
    """L_π and the mean of w; ∂L_π/∂z into ``grad`` [B, K].

    Example:
        >>> grad, half = np.zeros((1, 2), np.float32), np.full((1, 2), 0.5)
        >>> loss, weight = imitate_likelier(half, np.log(half), np.float32([[1]]), np.zeros(1), 3.0, grad)
        >>> round(loss, 4), weight, grad.tolist()
        (0.6931, 1.0, [[0.5, -0.5]])
    """
    loss, total, rows = 0.0, 0.0, grad.shape[0]
    for i in range(rows):
        weight, taken = min(math.exp(min(beta * gaps[i], 700.0)), MOST), int(actions[i, 0])
        total += weight / rows
        loss -= weight * log_policy[i, taken] / rows
        for a in range(grad.shape[1]):
            grad[i, a] = weight / rows * (policy[i, a] - (1.0 if a == taken else 0.0))
    return loss, total


@cache
def make_rule(kernels: tuple[Any, ...], spec: Any, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over actor, value and critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DiscreteIQL("CartPole-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    kernel, ensemble = kernels[0], kernels[-2]
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    values_of, values_back, improve_critics = ensemble.forward, ensemble.backward, ensemble.improve
    squared_length, blend = ensemble.squared_length, ensemble.blend

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """No environment is played."""

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Nothing follows steps."""

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One gradient step of value, critics and actor."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate = scheduled(given.learning_rate, progress)

        # Targets of the critics, before the value moves.
        targets_of_values(batch.rewards, batch.discounts, forward(nets.value, batch.next_obs), work.targets)

        # Value.
        of_taken(values_of(nets.target_critics, batch.obs), batch.actions, work.taken)
        values = forward(nets.value, batch.obs)
        metrics.value_loss[0] = expectile_errors(work.taken, values, given.expectile, work.gaps, work.value_gradient)
        backward(nets.value, batch.obs, work.value_gradient, False)
        improve(nets.value, learning_rate, 0.0)

        # Actor.
        logits = forward(nets.actor, batch.obs)
        if batch.masks.shape[0] > 0:
            forbid(logits, batch.masks)
        softmax(logits, work.policy, work.log_policy)
        loss, weight = imitate_likelier(
            work.policy, work.log_policy, batch.actions, work.gaps, given.beta, work.actor_gradient
        )  # fmt: skip
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)

        # Critics.
        found = values_of(nets.critics, batch.obs)
        metrics.critic_loss[0] = critic_errors(found, batch.actions, work.targets, work.critic_gradient)
        values_back(nets.critics, batch.obs, work.critic_gradient)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)
        blend(nets.target_critics, nets.critics, given.tau)

        metrics.actor_loss[0], metrics.weight[0], metrics.learning_rate[0] = loss, weight, learning_rate
        metrics.loss[0] = loss + metrics.value_loss[0] + metrics.critic_loss[0]
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update)


class DiscreteIQL(OfflineAgent):
    """Implicit Q-learning from a data set, for finite actions; a timestep is an update.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = DiscreteIQL("CartPole-v1", dataset="follow-the-pole:500", net_arch=[16], seed=0)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "discrete-iql"
    make_rule = staticmethod(make_rule)
    settings = DiscreteIQLSettings

    expectile: Annotated[float, Range("expectile κ: 0.5 is the mean, towards 1 the best action", 0, 1)] = 0.7
    beta: Annotated[float, Range("how much more better actions are imitated; 0 imitates all alike", 0, 1e6)] = 3.0
    learning_rate: LearningRate = 3e-4
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (64, 64)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    network: OursOrTorchs = "numpy"
    policy_kwargs: CriticsKwargs = None

    def make_parts(self) -> Parts:
        """An actor and critics with an output an action, the value of a state, and working memory."""
        assert self.numbering is not None
        n, batch, critics = self.numbering.n, self.batch_size, 2
        made = actor_and_critics(self, (self.encoder.size, n), (self.encoder.size, n), critics)
        (value,), kernel = q_network(self, 1, 1, "value")
        work = DiscreteIQLWork(
            np.zeros((critics, batch, 1), np.float32), np.zeros(batch), np.zeros(batch), np.zeros((batch, n)),
            np.zeros((batch, n)), np.zeros((batch, 1), np.float32), np.zeros((critics, batch, n), np.float32),
            np.zeros((batch, n), np.float32),
        )  # fmt: skip
        kernels = made.kernels()
        return Parts(
            IQLNets(made.actor, value, made.critics, made.target_critics),
            {"actor": kernels.pop("actor"), "value": kernel, **kernels}, work, IQLMetrics,
        )  # fmt: skip

    def probe(self, observation: Any) -> Probe:
        """Probabilities of the actions, and the value of the state."""
        x = self._network_inputs(observation)
        logits = self.kernels["actor"].predict(self.memory.nets.actor, x)
        policy, log_policy = np.zeros(logits.shape), np.zeros(logits.shape)
        softmax(logits, policy, log_policy)
        value = self.kernels["value"].predict(self.memory.nets.value, x).astype(np.float64)[:, 0]
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_probabilities=policy, value=value, features=features)

    def critic_values(self, observations: Any, actions: Any = None, *, target: bool = False) -> Any:
        """Q of each critic, [C, B, A]; see `Agent.critic_values`."""
        nets = self.memory.nets
        asked = nets.target_critics if target else nets.critics
        return self.kernels["critics"].predict(asked, self._network_inputs(observations)).astype(np.float64)

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; targets have no optimiser."""
        found = super().ranges()
        found.pop("target_critics/t", None)
        return found


__all__ = ["DiscreteIQL", "imitate_likelier", "make_rule", "of_taken"]
