"""Conservative Q-learning: deep Q-learning from a data set, which learns low values for what the data never show.

Off-policy learning believes that unseen actions are good wherever its network happens to say so, and without playing it
never finds out. So the values of all actions are pressed down and those of the data are lifted. Draw B steps
(S, A, R, S') from the data set and take a step of the optimiser down

    L(θ) = 1/B Σ { ℓ(q̂(S, A, θ) - y) + α [log Σ_a exp q̂(S, a, θ) - q̂(S, A, θ)] }
    y    = R + γ q̂(S', argmax_a q̂(S', a, θ), θ⁻)                        (y = R where the episode terminated)

where θ⁻ is a copy of θ that is renewed every ``target_update_interval`` updates. With δ = q̂(S, A, θ) - y and
p = softmax q̂(S, ·, θ) the gradient at the outputs is

    ∂L/∂q̂(S, a) = 1/B { 1(a = A) clip(δ, -1, 1) + α [p(a) - 1(a = A)] }          ℓ is Huber's loss

Source: Kumar, Zhou, Tucker & Levine 2020, equation 4 (CQL(H)); the target: van Hasselt et al. 2016, equation 4.

Symbols:
    q̂(s, a, θ)  nets.q       a network with an output an action        y  targets   float64 [B, 1]
    θ⁻          nets.target  the same, older                           p  softmax   of float32 [B, K]
    α  alpha    γ  gamma     B  batch_size

Deviations from the paper: double Q-learning of one number an action in place of quantiles; α is fixed. With ``alpha=0``
it is deep Q-learning offline, which falls behind: a lesson (docs/off-policy.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    Batch,
    BatchSize,
    Choice,
    Discount,
    Kernel,
    LearningRate,
    MaxGradNorm,
    OfflineAgent,
    OffPolicyMemory,
    OffPolicyRule,
    Parts,
    Probe,
    Range,
    Schedule,
    VectorFeatures,
    atoms_of,
    forbid,
    greedy_policy,
    head_of,
    in_place,
    q_network,
    scheduled,
    to_outputs,
)

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class CQLSettings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    max_grad_norm: float
    tau: float
    target_update_interval: int
    alpha: float


class Nets(NamedTuple):
    """The network that learns, and its older copy."""

    q: Any
    target: Any


class CQLWork(NamedTuple):
    """Room for B rows of K actions.

    Attributes:
        q: action values, without those that may not be taken, float32 [rows, K].
        atoms: see `rlplay.functional.value_heads`; here values are numbers, float64 [1].
        policy, soft: the greedy policy after the next state, and 0, float64 [B, K].
        targets, slope: y, and the gradient at the value of the action that was taken, float64 [B, 1].
        gradient: of the loss at the outputs, float32 [B, K].
        seen: unused by numbers, float64 [2].
    """

    q: Floats
    atoms: Array
    policy: Array
    soft: Array
    targets: Array
    slope: Array
    gradient: Floats
    seen: Array


class CQLMetrics(NamedTuple):
    """Numbers of the last update, float64 [1] each.

    Attributes:
        loss: L.
        td_error: the mean of |δ|.
        conservative_loss: the mean of log Σ_a exp q̂(S, a) - q̂(S, A).
        q_mean: the mean of q̂(S, A).
        learning_rate: of the update.
        grad_norm: length of the gradient before it was cut.
        n_updates: updates so far.
    """

    loss: Array
    td_error: Array
    conservative_loss: Array
    q_mean: Array
    learning_rate: Array
    grad_norm: Array
    n_updates: Array


@in_place
def press_down(q: Floats, actions: Floats, alpha: float, gradient: Floats) -> float:
    """The mean of log Σ_a exp q(a) - q(A), of B rows; α times its gradient is added to ``gradient`` [B, K].

    Example:
        >>> gradient = np.zeros((1, 2), np.float32)
        >>> round(press_down(np.float32([[0, 0]]), np.float32([[1]]), 2.0, gradient), 4), gradient.tolist()  # log 2
        (0.6931, [[1.0, -1.0]])
    """
    total, rows = 0.0, gradient.shape[0]
    for b in range(rows):
        taken, most, exps = int(actions[b, 0]), float(q[b, 0]), 0.0
        for a in range(1, gradient.shape[1]):
            most = max(most, float(q[b, a]))
        for a in range(gradient.shape[1]):
            exps += math.exp(q[b, a] - most)
        for a in range(gradient.shape[1]):
            gradient[b, a] += alpha * (math.exp(q[b, a] - most) / exps - (1.0 if a == taken else 0.0)) / rows
        total += (most + math.log(exps) - q[b, taken]) / rows
    return total


@cache
def make_rule(kernels: tuple[Kernel, ...], spec: Any, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over networks: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = CQL("CartPole-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    kernel, (values, targets, gradient) = kernels[0], head_of(None)
    forward, backward, improve, blend = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    squared_length = kernel.squared_length

    @decorator
    def evaluate(net: Any, work: CQLWork, obs: Floats, masks: Floats) -> Floats:
        """The outputs [B, K]; into ``work.q`` without those that may not be taken."""
        outputs = forward(net, obs)
        values(outputs, work.atoms, work.q)
        if masks.shape[0] > 0:
            forbid(work.q[: masks.shape[0]], masks)
        return outputs

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """No environment is played."""

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Renew the older copy."""
        if memory.counters.rounds[0] % memory.settings.target_update_interval == 0:
            blend(memory.nets.target, memory.nets.q, memory.settings.tau)

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One step of the optimiser."""
        nets, work, given, metrics = memory.nets, memory.work, memory.settings, memory.metrics
        learning_rate = scheduled(given.learning_rate, progress)

        after = evaluate(nets.target, work, batch.next_obs, batch.next_masks)
        evaluate(nets.q, work, batch.next_obs, batch.next_masks)  # chooses; its older copy values
        greedy_policy(work.q, work.policy, work.soft)
        targets(
            after, work.atoms, work.policy, work.soft, batch.rewards, batch.discounts, work.targets, work.seen
        )  # fmt: skip

        outputs = evaluate(nets.q, work, batch.obs, batch.masks)
        loss, size, value = gradient(
            outputs, work.atoms, batch.actions, batch.weights, work.targets, True, work.slope, batch.td_errors
        )
        to_outputs(work.slope, batch.actions, work.gradient)
        metrics.conservative_loss[0] = press_down(work.q, batch.actions, given.alpha, work.gradient)
        backward(nets.q, batch.obs, work.gradient, False)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.q))
        improve(nets.q, learning_rate, given.max_grad_norm)
        metrics.loss[0] = loss + given.alpha * metrics.conservative_loss[0]
        metrics.td_error[0], metrics.q_mean[0], metrics.learning_rate[0] = size, value, learning_rate
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update)


class CQL(OfflineAgent):
    """Conservative Q-learning from a data set, for finite actions; a timestep is an update.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = CQL("CartPole-v1", dataset="follow-the-pole:500", net_arch=[16], seed=0).learn(200)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "cql"
    make_rule = staticmethod(make_rule)
    settings = CQLSettings

    alpha: Annotated[float, Range("weight α of the conservative term; 0 is deep Q-learning offline", 0, 1e6)] = 1.0
    learning_rate: LearningRate = 3e-4
    batch_size: BatchSize = 64
    gamma: Discount = 0.99
    tau: Annotated[float, Range("share of θ that its older copy takes", 0, 1, open_low=True)] = 1.0
    target_update_interval: Annotated[
        int, Range("updates after which the older copy is renewed", 1, 10**12, integer=True)
    ] = 500
    max_grad_norm: MaxGradNorm = 10.0
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"

    def make_parts(self) -> Parts:
        """Two networks, the same at the start."""
        assert self.numbering is not None
        n_actions, batch, rows = self.numbering.n, self.batch_size, self.network_rows()
        (q, target), kernel = q_network(self, n_actions, 2)
        work = CQLWork(
            q=np.zeros((rows, n_actions), np.float32), atoms=atoms_of(None, 1, 0.0, 0.0),
            policy=np.zeros((batch, n_actions)), soft=np.zeros((batch, n_actions)), targets=np.zeros((batch, 1)),
            slope=np.zeros((batch, 1)), gradient=np.zeros((batch, n_actions), np.float32), seen=np.zeros(2),
        )  # fmt: skip
        return Parts(Nets(q, target), {"q": kernel, "target": kernel}, work, CQLMetrics)

    def probe(self, observation: Any) -> Probe:
        """Action values, and the greatest of them."""
        x = self._network_inputs(observation)
        q = self.kernels["q"].predict(self.memory.nets.q, x).astype(np.float64)
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_values=q, value=q.max(axis=1), features=features)

    def critic_values(self, observations: Any, actions: Any = None, *, target: bool = False) -> Any:
        """Q of the network or its target, [1, B, A]; see `Agent.critic_values`."""
        net = self.memory.nets.target if target else self.memory.nets.q
        return self.kernels["q"].predict(net, self._network_inputs(observations)).astype(np.float64)[None]


__all__ = ["CQL", "make_rule", "press_down"]
