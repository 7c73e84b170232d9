"""Soft actor-critic for finite actions: the expectations over the policy are sums, so nothing is drawn in an update.

The policy is a softmax of a network's outputs z, with an output an action, and so are two critics, of which the smaller
value counts. For a batch of B steps out of the replay buffer, with π, π' the policy at s, s':

    y       = r + Γ Σ_a π'(a) [min_c Q'_c(s', a) - α log π'(a)]     Γ = γ, and 0 where the episode terminated
    critics   L_Q = ½ Σ_c 1/B Σ [Q_c(s, A) - y]²                     ∂L_Q/∂Q_c(s, A) = (Q_c - y) / B, others 0
    actor     L_π = 1/B Σ Σ_a π(a) f(a),  f(a) = α log π(a) - min_c Q_c(s, a)
                                                                     ∂L_π/∂z_b = 1/B π(b) [f(b) - Σ_a π(a) f(a)]
    α         L_α = - log α 1/B Σ [Σ_a π(a) log π(a) + H]            ∂L_α/∂log α = - 1/B Σ [Σ_a π(a) log π(a) + H]
    targets   θ' ← (1 - τ) θ' + τ θ

Source: Christodoulou 2019, "Soft actor-critic for discrete action settings", algorithm 1, equations 10 to 12.

Symbols:
    α  temperature      ent_coef, or learned from log α = 0            H    target_entropy  a share of log K, K actions
    γ  gamma    τ  tau  π  softmax of z, float32 [B, K]                Q_c  critics         float32 [C, B, K]

With ``n_sampled_goal`` goals are put in place in hindsight (`rlplay.functional.hindsight`): Andrychowicz et al. 2017.

Deviations from the paper: log α is the parameter of the gradient above; H is ½ log K by default, since 0.98 log K keeps
the policy near chance; the actions of the first ``learning_starts`` steps are uniform. Action masks hold in the policy
and in the sums.
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
    BufferSize,
    Choice,
    CriticsKwargs,
    Discount,
    EntCoef,
    GoalSelectionStrategy,
    GradientSteps,
    LearningRate,
    LearningStarts,
    NEnvs,
    NSampledGoal,
    NSteps,
    OffPolicyAgent,
    OffPolicyMemory,
    OffPolicyRule,
    OursOrTorchs,
    Parts,
    Probe,
    Range,
    Ranges,
    Schedule,
    Sizes,
    SoftMetrics,
    SoftNets,
    StateArrays,
    TargetEntropy,
    Tau,
    TrainFreq,
    VectorFeatures,
    actor_and_critics,
    forbid,
    in_place,
    initial_temperature,
    random,
    scalar_adam,
    scheduled,
    whole_setting,
)

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Settings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    tau: float
    target_update_interval: int
    entropy_target: float
    learns_alpha: bool


class Work(NamedTuple):
    """Working memory for N environments, B steps, K actions, C critics.

    Attributes:
        chances: the policy now, float64 [N, K].
        log_chances: its logarithm, float64 [N, K].
        policy: π of a batch, float64 [B, K].
        log_policy: log π, float64 [B, K].
        targets: y, float64 [B].
        critic_gradient: at the outputs of the critics, float32 [C, B, K].
        actor_gradient: at the outputs of the actor, float32 [B, K].
        log_alpha: log of the temperature, float64 [1].
        log_alpha_means: of its Adam: m, v, and steps so far, float64 [3].
    """

    chances: Array
    log_chances: Array
    policy: Array
    log_policy: Array
    targets: Array
    critic_gradient: Floats
    actor_gradient: Floats
    log_alpha: Array
    log_alpha_means: Array


@in_place
def softmax(logits: Floats, policy: Array, log_policy: Array) -> None:
    """π(a) = e^{z_a} / Σ_b e^{z_b} and its logarithm, of rows [N, K].

    Example:
        >>> policy, log_policy = np.zeros((1, 2)), np.zeros((1, 2))
        >>> softmax(np.float32([[0.0, 0.0]]), policy, log_policy)
        >>> policy.tolist(), log_policy.round(3).tolist()
        ([[0.5, 0.5]], [[-0.693, -0.693]])
    """
    for row in range(logits.shape[0]):
        largest, total = float(logits[row, 0]), 0.0
        for a in range(1, logits.shape[1]):
            largest = max(largest, float(logits[row, a]))
        for a in range(logits.shape[1]):
            total += math.exp(float(logits[row, a]) - largest)
        for a in range(logits.shape[1]):
            log_policy[row, a] = float(logits[row, a]) - largest - math.log(total)
            policy[row, a] = math.exp(log_policy[row, a])


@in_place
def least(values: Floats, row: int, a: int) -> float:
    """min_c Q_c of a row and an action, [C, B, K].

    Example:
        >>> least(np.float32([[[3.0]], [[1.0]]]), 0, 0)
        1.0
    """
    found = float(values[0, row, a])
    for c in range(1, values.shape[0]):
        found = min(found, float(values[c, row, a]))
    return found


@in_place
def soft_targets(
    batch: Any, next_values: Floats, policy: Array, log_policy: Array, temperature: float, targets: Array
) -> None:  # fmt: skip
    """The targets y of the head of this file into ``targets`` [B]; values [C, B, K], policies [B, K]."""
    for row in range(targets.shape[0]):
        value = 0.0
        for a in range(policy.shape[1]):
            if policy[row, a] > 0.0:
                value += policy[row, a] * (least(next_values, row, a) - temperature * log_policy[row, a])
        targets[row] = batch.rewards[row] + batch.discounts[row] * value


@in_place
def critic_errors(values: Floats, actions: Floats, targets: Array, grad: Floats) -> float:
    """L_Q of the head of this file, and its gradient at the outputs of the critics, [C, B, K].

    Example:
        >>> grad = np.zeros((1, 1, 2), np.float32)
        >>> critic_errors(np.float32([[[3.0, 5.0]]]), np.float32([[1.0]]), np.array([3.0]), grad), grad.ravel().tolist()
        (2.0, [0.0, 2.0])
    """
    loss, rows = 0.0, targets.shape[0]
    for c in range(values.shape[0]):
        for row in range(rows):
            a = int(actions[row, 0])
            error = float(values[c, row, a]) - targets[row]
            for b in range(values.shape[2]):
                grad[c, row, b] = 0.0
            grad[c, row, a] = error / rows
            loss += 0.5 * error * error / rows
    return loss


@in_place
def policy_gradient(
    values: Floats, policy: Array, log_policy: Array, temperature: float, grad: Floats
) -> tuple[float, float]:
    """∂L_π/∂z of the head of this file into ``grad`` [B, K]; returns L_π and the mean of Σ_a π(a) log π(a)."""
    loss, negentropy, rows = 0.0, 0.0, policy.shape[0]
    for row in range(rows):
        mean = 0.0
        for a in range(policy.shape[1]):
            if policy[row, a] > 0.0:
                mean += policy[row, a] * (temperature * log_policy[row, a] - least(values, row, a))
                negentropy += policy[row, a] * log_policy[row, a] / rows
        for b in range(policy.shape[1]):
            f = temperature * log_policy[row, b] - least(values, row, b)
            grad[row, b] = policy[row, b] * (f - mean) / rows if policy[row, b] > 0.0 else 0.0
        loss += mean / rows
    return loss, negentropy


@in_place
def draw(policy: Array, row: int, rng: NDArray[np.uint64]) -> int:
    """A number drawn from the probabilities of a row [N, K].

    Example:
        >>> draw(np.array([[0.0, 1.0]]), 0, np.arange(1, 5, dtype=np.uint64))
        1
    """
    u, chosen = random(rng), 0
    for a in range(policy.shape[1]):
        if policy[row, a] > 0.0:
            chosen = a
            u -= policy[row, a]
            if u < 0.0:
                break
    return chosen


@cache
def make_rule(kernels: tuple[Any, ...], spec: Any, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over an actor and its critics: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DiscreteSAC("CartPole-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    forward, backward, improve = kernels[0].forward, kernels[0].backward, kernels[0].improve
    values_of, values_back, improve_critics = kernels[1].forward, kernels[1].backward, kernels[1].improve
    squared_length, blend = kernels[1].squared_length, kernels[1].blend

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """Draw an action for each environment."""
        logits = forward(memory.nets.actor, memory.obs)
        if memory.masks.shape[0] > 0:
            forbid(logits, memory.masks)
        softmax(logits, memory.work.chances, memory.work.log_chances)
        for i in range(memory.actions.shape[0]):
            memory.actions[i, 0] = draw(memory.work.chances, i, memory.action_rng)

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Nothing follows steps."""

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One gradient step of critics, actor and temperature."""
        given, metrics, nets, work = memory.settings, memory.metrics, memory.nets, memory.work
        learning_rate, alpha = scheduled(given.learning_rate, progress), math.exp(work.log_alpha[0])

        # Targets, by all actions of the policy.
        logits = forward(nets.actor, batch.next_obs)
        if batch.next_masks.shape[0] > 0:
            forbid(logits, batch.next_masks)
        softmax(logits, work.policy, work.log_policy)
        next_values = values_of(nets.target_critics, batch.next_obs)
        soft_targets(batch, next_values, work.policy, work.log_policy, alpha, work.targets)

        # Critics.
        values = values_of(nets.critics, batch.obs)
        metrics.critic_loss[0] = critic_errors(values, batch.actions, work.targets, work.critic_gradient)
        values_back(nets.critics, batch.obs, work.critic_gradient)
        metrics.grad_norm[0] = np.sqrt(squared_length(nets.critics))
        improve_critics(nets.critics, learning_rate, 0.0)

        # Actor.
        logits = forward(nets.actor, batch.obs)
        if batch.masks.shape[0] > 0:
            forbid(logits, batch.masks)
        softmax(logits, work.policy, work.log_policy)
        values = values_of(nets.critics, batch.obs)
        loss, negentropy = policy_gradient(values, work.policy, work.log_policy, alpha, work.actor_gradient)
        backward(nets.actor, batch.obs, work.actor_gradient, False)
        improve(nets.actor, learning_rate, 0.0)
        metrics.actor_loss[0] = loss

        # Temperature.
        if given.learns_alpha:
            surplus = negentropy + given.entropy_target
            metrics.ent_coef_loss[0] = -work.log_alpha[0] * surplus
            scalar_adam(work.log_alpha, -surplus, work.log_alpha_means, learning_rate)

        metrics.loss[0] = metrics.critic_loss[0] + metrics.actor_loss[0]
        metrics.ent_coef[0], metrics.learning_rate[0] = alpha, learning_rate
        metrics.n_updates[0] += 1.0
        if metrics.n_updates[0] % given.target_update_interval == 0:
            blend(nets.target_critics, nets.critics, given.tau)

    return OffPolicyRule(act, after_step, update)


class DiscreteSAC(OffPolicyAgent):
    """Soft actor-critic, for finite actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = DiscreteSAC("CartPole-v1", net_arch=[32], batch_size=32, buffer_size=1000, seed=0).learn(200)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_probabilities.shape
        (1, 2)
    """

    id = "discrete-sac"
    make_rule = staticmethod(make_rule)
    settings = Settings

    learning_rate: LearningRate = 3e-4
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 256
    tau: Tau = 0.005
    gamma: Discount = 0.99
    train_freq: TrainFreq = 1
    gradient_steps: GradientSteps = 1
    ent_coef: EntCoef = "auto"
    target_update_interval: Annotated[
        int, Range("gradient steps after which targets follow", 1, 10**9, integer=True)
    ] = 1
    target_entropy: TargetEntropy = "auto"
    n_steps: NSteps = 1
    n_sampled_goal: NSampledGoal = 0
    goal_selection_strategy: GoalSelectionStrategy = "future"
    n_envs: NEnvs = 1
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers, of all networks")] = (256, 256)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    network: OursOrTorchs = "numpy"
    policy_kwargs: CriticsKwargs = None
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    @property
    def entropy_target(self) -> float:
        """The number of ``target_entropy``."""
        assert self.numbering is not None
        given = self.hyperparameters["target_entropy"]
        return 0.5 * math.log(self.numbering.n) if given == "auto" else float(given)

    @property
    def learns_alpha(self) -> bool:
        """Whether the temperature is learned."""
        return initial_temperature(self.hyperparameters["ent_coef"])[1]

    def make_parts(self) -> Parts:
        """An actor and critics with an output an action, targets of the critics, and working memory."""
        assert self.numbering is not None
        n, batch, envs = self.numbering.n, self.batch_size, len(self._running_envs)
        n_critics, shape = whole_setting(self, "n_critics", 2), (self.encoder.size, n)
        made = actor_and_critics(self, shape, shape, n_critics)
        work = Work(
            np.zeros((envs, n)), np.zeros((envs, n)), np.zeros((batch, n)), np.zeros((batch, n)), np.zeros(batch),
            np.zeros((n_critics, batch, n), np.float32), np.zeros((batch, n), np.float32),
            np.array([math.log(initial_temperature(self.ent_coef)[0])]), np.zeros(3),
        )  # fmt: skip
        return Parts(SoftNets(made.actor, made.critics, made.target_critics), made.kernels(), work, SoftMetrics)

    def probe(self, observation: Any) -> Probe:
        """Probabilities of the actions, and the value of the policy: Σ_a π(a) min_c Q_c(s, a)."""
        x = self._network_inputs(observation)
        logits = self.kernels["actor"].predict(self.memory.nets.actor, x)
        policy, log_policy = np.zeros(logits.shape), np.zeros(logits.shape)
        softmax(logits, policy, log_policy)
        values = self.kernels["critics"].predict(self.memory.nets.critics, x).astype(np.float64).min(axis=0)  # [B, K]
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_probabilities=policy, value=(policy * values).sum(axis=1), features=features)

    def critic_values(self, observations: Any, actions: Any = None, *, target: bool = False) -> Any:
        """Q of each critic, [C, B, A]; see `Agent.critic_values`."""
        nets = self.memory.nets
        asked = nets.target_critics if target else nets.critics
        return self.kernels["critics"].predict(asked, self._network_inputs(observations)).astype(np.float64)

    def arrays(self) -> StateArrays:
        """Those of all off-policy agents, and the temperature."""
        return super().arrays() | {
            "log_alpha": self.memory.work.log_alpha, "log_alpha_means": self.memory.work.log_alpha_means
        }  # fmt: skip

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; targets have no optimiser."""
        found = super().ranges()
        found.pop("target_critics/t", None)
        return found


__all__ = ["DiscreteSAC", "make_rule"]
