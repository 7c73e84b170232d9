"""Trust region policy optimisation: the longest step along the natural gradient that stays near the old policy.

Play n_steps in each of n_envs environments. The step that raises the surrogate objective J most among those of
divergence δ is the natural gradient, scaled:

    J(θ) = 1/M Σ π(a|s, θ) / π(a|s, θ_old) A        g = ∇J        F = 1/M Σ_n J_nᵀ M_n J_n, the Fisher matrix
    x ≈ (F + c I)⁻¹ g        by conjugate gradients, from products F v alone
    θ = θ_old + βᵏ √(2 δ / xᵀ (F + c I) x) x        the first k with KL(π_old ‖ π) ≤ δ and J(θ) > J(θ_old)

Where no k is found the policy stays as it is, which is said. With ``line_search_max_iter=0`` the first step is taken as
it is: the natural policy gradient. The value then takes n_critic_updates passes over the rollout in minibatches, down
1/B Σ (v̂ - G)².

A product F v is a tangent of the outputs along v, M_n (of the policy's distribution), and a backward pass:

    M = diag(π) - π πᵀ        Discrete: logits        M = diag(1/σ²) for means, 2 for each log σ        Box

Source: Schulman et al. 2015, sections 4 to 6 and appendix C; Kakade 2001 (the natural policy gradient); Rajeswaran et
al. 2017, equation 5 (its step size); conjugate gradients: Hestenes & Stiefel 1952. Names and defaults as in
sb3-contrib.

Symbols:
    π(a|s, θ)  policy    a network: softmax of its outputs, or their normal        A  advantages  float64 [M]
    v̂(s, w)    value     a network of its own                                      G  returns     float64 [M]
    δ  target_kl    c  cg_damping    β  line_search_shrinking_factor    M = n_steps n_envs    θ  float32 [P], log σ [S]

Deviations from the paper: the estimate of F is that of the distribution, not of sampled actions; the advantages are
normalised; log σ is a parameter as any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    Choice,
    Discount,
    GaeLambda,
    Head,
    Kernel,
    LearningRate,
    Minibatch,
    NEnvs,
    OnPolicyAgent,
    OnPolicyMemory,
    Range,
    Rollout,
    RolloutSteps,
    Schedule,
    SdeSampleFreq,
    UseSde,
    count_up,
    explained_variance,
    forbid,
    gather,
    in_place,
    mean,
    new_minibatch,
    scheduled,
    shuffle,
    standardise,
    warn,
)

Array = NDArray[np.float64]
_SMALLEST = 1e-10  # of the squared residual: conjugate gradients are done
_NO_GRADIENT = 1e-3  # its length from which on a search without a step is said: below, there is nothing to improve


class Settings(NamedTuple):
    """The hyperparameters that the update reads; schedules as tables."""

    learning_rate: Schedule
    batch_size: int
    normalize_advantage: bool
    target_kl: float
    cg_max_steps: int
    cg_damping: float
    line_search_shrinking_factor: float
    line_search_max_iter: int
    n_critic_updates: int
    sub_sampling_factor: int


class Metrics(NamedTuple):
    """Numbers of the last update, as they are logged, float64 [1] each.

    Attributes:
        loss: -J and the value loss together.
        policy_objective: J after the step.
        kl_divergence_loss: the divergence from the old policy.
        is_line_search_success: 1 where the line search found a step, else 0.
        line_search_failures: updates so far in which it found none.
        value_loss: the mean of (v̂ - G)² over the minibatches.
        entropy_loss: minus the policy's entropy before the step.
        explained_variance: of the returns by the values before the update.
        learning_rate: of the value.
        grad_norm: length of g.
        n_updates: updates so far.
    """

    loss: Array
    policy_objective: Array
    kl_divergence_loss: Array
    is_line_search_success: Array
    line_search_failures: Array
    value_loss: Array
    entropy_loss: Array
    explained_variance: Array
    learning_rate: Array
    grad_norm: Array
    n_updates: Array


@in_place
def surrogate(log_probs: Array, old_log_probs: Array, advantages: Array, weights: Array) -> float:
    """J, the mean of r A, whose terms go into ``weights`` [M]."""
    total, n = 0.0, log_probs.shape[0]
    for i in range(n):
        weights[i] = math.exp(log_probs[i] - old_log_probs[i]) * advantages[i]
        total += weights[i] / n
    return total


@in_place
def value_gradient(values: Any, returns: Array, gradient: Any) -> float:
    """∂/∂v̂ of 1/B Σ (v̂ - G)² = 2 (v̂ - G) / B into ``gradient`` [B, 1]; returns the mean of (v̂ - G)²."""
    loss, n = 0.0, returns.shape[0]
    for i in range(n):
        gap = values[i, 0] - returns[i]
        loss += gap * gap / n
        gradient[i, 0] = 2.0 * gap / n
    return loss


@in_place
def dot(a: Array, b: Array) -> float:
    """aᵀ b, [P + S] each."""
    total = 0.0
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@in_place
def add_scaled(target: Array, scale: float, source: Array) -> None:
    """a ← a + scale b, in place."""
    for i in range(target.shape[0]):
        target[i] += scale * source[i]


@in_place
def turn(direction: Array, share: float, residual: Array) -> None:
    """p ← r + share p: the next direction of conjugate gradients, in place."""
    for i in range(direction.shape[0]):
        direction[i] = residual[i] + share * direction[i]


@in_place
def every(order: NDArray[np.int64], factor: int) -> None:
    """0, k, 2 k, ... in place."""
    count_up(order)
    for i in range(order.shape[0]):
        order[i] *= factor


def make_update(kernel: Kernel, head: Head, decorator: Callable[..., Any]) -> Callable[..., None]:
    """The update over networks and a policy head: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> from rlplay.functional.on_policy_step import plain
        >>> agent = TRPO("CartPole-v1", n_steps=4, batch_size=4, n_critic_updates=2, seed=0)
        >>> make_update(agent.kernel, CATEGORICAL, plain)(agent.memory, agent.memory.rollout, 0.0)
        >>> agent.memory.metrics.line_search_failures.tolist()  # an empty rollout has no gradient
        [1.0]
    """
    forward, backward, tangent, move, improve = (
        kernel.forward, kernel.backward, kernel.tangent, kernel.move, kernel.improve
    )  # fmt: skip
    log_probs_of, policy_gradient, divergence_of, fisher = head.log_probs, head.gradient, head.divergence, head.fisher

    @decorator
    def evaluate(memory: OnPolicyMemory, batch: Minibatch) -> Any:
        """The policy's outputs for a batch [M, K]; their log-probabilities and entropies into the batch."""
        outputs = forward(memory.policy, batch.obs)
        if batch.masks.shape[0] > 0:
            forbid(outputs, batch.masks)
        log_probs_of(
            outputs, memory.spread, batch.actions, batch.output_gradient, batch.log_probs, batch.entropies
        )  # fmt: skip
        return outputs

    @decorator
    def gather_gradient(memory: OnPolicyMemory, found: Array) -> None:
        """The gradients of the network and of log σ, one after the other, [P + S]."""
        gradient = memory.policy.gradient
        size = gradient.shape[0]
        for i in range(size):
            found[i] = gradient[i]
        for i in range(memory.spread_gradient.shape[0]):
            found[size + i] = memory.spread_gradient[i]

    @decorator
    def fisher_product(
        memory: OnPolicyMemory, batch: Minibatch, outputs: Any, direction: Array, short: Any, product: Array
    ) -> None:
        """(F + c I) v into ``product``, [P + S]; after `forward` of the batch. ``short`` is room for float32 [P]."""
        size = short.shape[0]
        for i in range(size):
            short[i] = direction[i]
        batch.output_gradient[:] = tangent(memory.policy, batch.obs, short)
        fisher(outputs, memory.spread, batch.output_gradient, direction[size:], memory.spread_gradient)
        backward(memory.policy, batch.obs, batch.output_gradient, False)
        gather_gradient(memory, product)
        add_scaled(product, memory.settings.cg_damping, direction)

    @decorator
    def natural_gradient(
        memory: OnPolicyMemory, batch: Minibatch, outputs: Any, gradient: Array, short: Any, found: Array
    ) -> float:
        """x = (F + c I)⁻¹ g into ``found`` by conjugate gradients, [P + S]; returns xᵀ (F + c I) x."""
        residual, direction, product = gradient.copy(), gradient.copy(), np.empty(gradient.shape[0])
        size = dot(residual, residual)
        for _ in range(memory.settings.cg_max_steps):
            if not size > _SMALLEST:
                break
            fisher_product(memory, batch, outputs, direction, short, product)
            alpha = size / dot(direction, product)
            add_scaled(found, alpha, direction)
            add_scaled(residual, -alpha, product)
            before, size = size, dot(residual, residual)
            turn(direction, size / before, residual)
        fisher_product(memory, batch, outputs, found, short, product)
        return dot(found, product)

    @decorator
    def step_to(memory: OnPolicyMemory, origin: Any, spread: Any, direction: Array, length: float) -> None:
        """θ = θ_old + length x, log σ likewise."""
        size = origin.shape[0]
        move(memory.policy, origin, direction[:size], length)
        for i in range(memory.spread_gradient.shape[0]):
            memory.spread[i] = spread[i] + length * direction[size + i]

    @decorator
    def improve_policy(memory: OnPolicyMemory, batch: Minibatch) -> None:
        """A step along the natural gradient, as long as the line search allows."""
        given, metrics = memory.settings, memory.metrics
        outputs = evaluate(memory, batch)
        old_outputs, old_spread, origin = outputs.copy(), memory.spread.copy(), memory.policy.parameters.copy()
        objective = surrogate(batch.log_probs, batch.old_log_probs, batch.advantages, batch.weights)
        metrics.entropy_loss[0] = -mean(batch.entropies)
        policy_gradient(
            outputs, memory.spread, batch.actions, batch.weights, 0.0, batch.output_gradient, memory.spread_gradient
        )
        backward(memory.policy, batch.obs, batch.output_gradient, False)
        total = origin.shape[0] + memory.spread_gradient.shape[0]
        gradient, found = np.empty(total), np.zeros(total)
        gather_gradient(memory, gradient)
        for i in range(total):
            gradient[i] = -gradient[i]  # of J, where the head has that of -J
        metrics.grad_norm[0] = math.sqrt(dot(gradient, gradient))
        curvature = natural_gradient(memory, batch, outputs, gradient, np.empty_like(origin), found)

        new_objective, divergence, is_found = objective, 0.0, False
        if curvature > 0.0:
            length = math.sqrt(2.0 * given.target_kl / curvature)
            if given.line_search_max_iter == 0:
                step_to(memory, origin, old_spread, found, length)
                moved = evaluate(memory, batch)
                new_objective = surrogate(batch.log_probs, batch.old_log_probs, batch.advantages, batch.weights)
                divergence, is_found = divergence_of(old_outputs, old_spread, moved, memory.spread), True
            for _ in range(given.line_search_max_iter):
                step_to(memory, origin, old_spread, found, length)
                moved = evaluate(memory, batch)
                new_objective = surrogate(batch.log_probs, batch.old_log_probs, batch.advantages, batch.weights)
                divergence = divergence_of(old_outputs, old_spread, moved, memory.spread)
                if divergence <= given.target_kl and new_objective > objective:
                    is_found = True
                    break
                length *= given.line_search_shrinking_factor
        if not is_found:
            step_to(memory, origin, old_spread, found, 0.0)
            new_objective, divergence = objective, 0.0
            metrics.line_search_failures[0] += 1.0
        metrics.is_line_search_success[0] = 1.0 if is_found else 0.0
        metrics.policy_objective[0], metrics.kl_divergence_loss[0] = new_objective, divergence

    @decorator
    def update(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """A step of the policy, and all passes of the value, over a rollout."""
        given, metrics, rows = memory.settings, memory.metrics, rollout.rewards.shape[0]
        learning_rate, outputs = scheduled(given.learning_rate, progress), memory.output_gradient.shape[1]
        kept = np.empty((rows + given.sub_sampling_factor - 1) // given.sub_sampling_factor, np.int64)
        every(kept, given.sub_sampling_factor)
        batch = gather(rollout, kept, new_minibatch(rollout, kept.shape[0], outputs))
        if given.normalize_advantage:
            standardise(batch.advantages)
        improve_policy(memory, batch)

        order = np.empty(rows, np.int64)
        count_up(order)
        minibatch, value_loss, steps = new_minibatch(rollout, given.batch_size, outputs), 0.0, 0
        for _ in range(given.n_critic_updates):
            shuffle(order, memory.minibatch_rng)
            for begin in range(0, rows, given.batch_size):
                part = gather(rollout, order[begin : begin + given.batch_size], minibatch)
                value_loss += value_gradient(forward(memory.value, part.obs), part.returns, part.value_gradient)
                backward(memory.value, part.obs, part.value_gradient, False)
                improve(memory.value, learning_rate, 0.0)
                steps += 1

        metrics.value_loss[0], metrics.learning_rate[0] = value_loss / steps, learning_rate
        metrics.loss[0] = metrics.value_loss[0] - metrics.policy_objective[0]
        metrics.explained_variance[0] = explained_variance(rollout.values, rollout.returns)
        metrics.n_updates[0] += 1.0

    return update


class TRPO(OnPolicyAgent):
    """Trust region policy optimisation, for finite actions, a Box, and Tuples and Dicts of both.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = TRPO("CartPole-v1", n_envs=2, n_steps=512, batch_size=512, seed=0).learn(10_240)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
        >>> natural = TRPO("CartPole-v1", line_search_max_iter=0, seed=0)  # the natural policy gradient
    """

    id = "trpo"
    make_update = staticmethod(make_update)
    settings = Settings
    numbers = Metrics

    learning_rate: LearningRate = 1e-3
    n_steps: RolloutSteps = 2048
    batch_size: Annotated[int, Range("steps of a minibatch of the value", 1, 10_000_000, integer=True)] = 128
    gamma: Discount = 0.99
    cg_max_steps: Annotated[int, Range("steps of conjugate gradients", 1, 1000, integer=True)] = 15
    cg_damping: Annotated[float, Range("c, added to the diagonal of the Fisher matrix", 0, 1e6)] = 0.1
    line_search_shrinking_factor: Annotated[
        float, Range("β by which a step that went too far is shortened", 0, 1, open_low=True)
    ] = 0.8
    line_search_max_iter: Annotated[
        int, Range("steps that the line search tries; 0 takes the first as it is", 0, 1000, integer=True)
    ] = 10
    n_critic_updates: Annotated[int, Range("passes of the value over a rollout", 1, 1000, integer=True)] = 10
    gae_lambda: GaeLambda = 0.95
    normalize_advantage: Annotated[
        bool, Choice("divide advantages by their deviation in the rollout", (True, False))
    ] = True
    target_kl: Annotated[float, Range("δ, the divergence of a step", 0, 1e3, open_low=True)] = 0.01
    sub_sampling_factor: Annotated[
        int, Range("every how many steps of the rollout the policy learns from", 1, 1_000_000, integer=True)
    ] = 1
    use_sde: UseSde = False
    sde_sample_freq: SdeSampleFreq = -1
    n_envs: NEnvs = 1
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def setup(self) -> None:
        """As every on-policy agent; nothing was said yet of the line search."""
        super().setup()
        self._said_kept = False

    def network_rows(self, rows: int) -> int:
        """Rows that the networks see at a time: the whole rollout."""
        self.minibatch_rows(rows)
        return rows

    def advance(self, timesteps: int, engine: Any) -> int:
        """At most this many steps; says once that the line search found nothing, where there was a gradient."""
        done, found = super().advance(timesteps, engine), self.memory.metrics
        failed = found.n_updates[0] and not found.is_line_search_success[0]
        if not self._said_kept and failed and found.grad_norm[0] > _NO_GRADIENT:
            self._said_kept = True
            warn(
                f"TRPO: the line search found no step of divergence target_kl={self.target_kl} that improves the "
                f"policy, before timestep {self.num_timesteps:,}: the policy was kept. "
                "train/line_search_failures counts how often"
            )
        return done


__all__ = ["TRPO", "make_update"]
