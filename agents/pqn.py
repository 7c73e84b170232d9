"""Parallel Q-learning: Q-learning from rollouts of many environments, with no replay buffer and no target network.

Play n_steps in each of n_envs environments, ε-greedy. The rollout's Q(λ) returns, from its last row to its first:

    G_t = R_{t+1} + γ [(1 - λ) max_a q̂(S_{t+1}, a) + λ G_{t+1}]        (G_t = R_{t+1} where the episode terminated)

with G_{t+1} = max_a q̂(S_{t+1}, a) behind the last row and where a time limit cut the episode; q̂ is what it was when
the rollout was played. Then, n_epochs times over in minibatches of B steps, take a step down

    L = 1/B Σ ½ [q̂(S, A, θ) - G]²        ∂L/∂q̂(S, A) = (q̂(S, A) - G) / B,  0 for the other actions

What keeps it stable in place of the older copy: layer normalisation of the hidden units, and the many environments.

Source: Gallici et al. 2025, "Simplifying deep temporal difference learning", algorithm 1, and its code (purejaxql) for
the returns. Defaults are its settings for CartPole-v1, but for one environment of 128 steps in place of 32 of 64, which
takes as many steps of the optimiser.

Symbols:
    q̂(s, a, θ)  q       a network with an output an action, layers [Linear, LayerNorm, ReLU] and a linear one on top
    G           returns float64 [M]        R  rewards, times ``reward_scale``        M = n_steps n_envs
    γ  gamma    λ  lambda_    ε  exploration    B  batch_size

Since G_t - v_t with v = max_a q̂ obeys the recursion of generalised advantages, A_t = R_{t+1} + γ v_{t+1} - v_t +
γ λ A_{t+1}, the returns come from `rlplay.functional.rollout.generalised_advantages`.

Deviations from the paper: Adam in place of RAdam; a time limit is bootstrapped from the last observation, where the
paper's code takes it for an end; ε falls with every step, not with every rollout; of pictures the dense layer is
normalised, not the convolutions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    Choice,
    Discount,
    FeatureState,
    Iteration,
    Kernel,
    LearningRate,
    MaxGradNorm,
    NEnvs,
    Probe,
    Range,
    Rollout,
    RolloutAgent,
    RolloutRule,
    RolloutSteps,
    RunningMoments,
    Schedule,
    Sizes,
    StepBuffer,
    VectorFeatures,
    best_action,
    by_reference,
    check_ranges,
    copy_row,
    count_up,
    explained_variance,
    exploration,
    forbid,
    gather,
    generalised_advantages,
    in_place,
    new_minibatch,
    new_rollout,
    numbers_below,
    random,
    random_number,
    require_memory,
    rollout_iteration,
    scheduled,
    shuffle,
    stream,
    value_layers,
    value_networks,
    with_layer_norm,
)

Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Settings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    n_epochs: int
    batch_size: int
    gamma: float
    lambda_: float
    reward_scale: float
    max_grad_norm: float
    exploration_fraction: float
    exploration_initial_eps: float
    exploration_final_eps: float


class Metrics(NamedTuple):
    """Numbers of the last rollout, float64 [1] each.

    Attributes:
        loss: the mean of L over all minibatches.
        td_error: the mean of |q̂(S, A) - G|.
        q_mean: the mean of q̂(S, A).
        explained_variance: of the returns by max_a q̂ before the update.
        exploration_rate: ε now.
        learning_rate: of the update.
        grad_norm: length of the last gradient before it was cut.
        n_updates: steps of the optimiser so far.
    """

    loss: Array
    td_error: Array
    q_mean: Array
    explained_variance: Array
    exploration_rate: Array
    learning_rate: Array
    grad_norm: Array
    n_updates: Array


class Memory(NamedTuple):
    """What PQN works on; N environments, D numbers an observation, K actions.

    Attributes:
        q: the network.
        rollout: the steps since the last update; its values are max_a q̂, its log-probabilities are not used.
        obs: what the network sees now, float32 [N, D].
        masks: what is added to the action values now, float32 [N, K], or [0, K].
        final_masks: the same at the last observations of the episodes that ended, float32 [N, K], or [0, K].
        actions: chosen last, float32 [N, 1].
        rewards: of the last step, float64 [N].
        moments: running moments of observations and returns.
        features: the feature map, or None.
        least_rows: all rows: only the last one ends the rollout.
        settings: the hyperparameters.
        progress: of training, at the last step, float64 [1].
        action_rng, minibatch_rng: streams of random numbers, uint64 [4].
        metrics: numbers of the last rollout.
    """

    q: Any
    rollout: Rollout
    obs: Floats
    masks: Floats
    final_masks: Floats
    actions: Floats
    rewards: Array
    moments: RunningMoments
    features: FeatureState | None
    least_rows: int
    settings: Settings
    progress: Array
    action_rng: NDArray[np.uint64]
    minibatch_rng: NDArray[np.uint64]
    metrics: Metrics


@in_place
def value_gradient(q: Floats, actions: Floats, returns: Array, gradient: Floats) -> tuple[float, float, float]:
    """∂L/∂q̂ = (q̂(S, A) - G) / B for the actions that were taken, into [B, K]; L, the mean |q̂ - G|, the mean q̂.

    Example:
        >>> gradient = np.ones((2, 2), np.float32)
        >>> value_gradient(np.float32([[1, 5], [2, 7]]), np.float32([[0], [1]]), np.array([3.0, 7.0]), gradient)
        (1.0, 1.0, 4.0)
        >>> gradient.tolist()
        [[-1.0, 0.0], [0.0, 0.0]]
    """
    loss, size, mean, n = 0.0, 0.0, 0.0, returns.shape[0]
    for b in range(n):
        taken = int(actions[b, 0])
        gap = q[b, taken] - returns[b]
        for a in range(q.shape[1]):
            gradient[b, a] = 0.0
        gradient[b, taken] = gap / n
        loss += 0.5 * gap * gap / n
        size += abs(gap) / n
        mean += q[b, taken] / n
    return loss, size, mean


@cache
def make_rule(kernel: Kernel, decorator: Callable[..., Any]) -> RolloutRule:
    """The rule over a network's functions: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = PQN("CartPole-v1", n_envs=2, n_steps=4, batch_size=4, net_arch=[4], seed=0)
        >>> make_rule(agent.kernel, plain).choose(agent.memory)
        >>> agent.memory.metrics.exploration_rate.tolist()
        [1.0]
    """
    forward, backward, improve = kernel.forward, kernel.backward, kernel.improve
    squared_length, shrink = kernel.squared_length, kernel.shrink

    @decorator
    def evaluate(memory: Memory, obs: Floats, masks: Floats) -> Floats:
        """q̂ [N, K], without actions that may not be taken."""
        q = forward(memory.q, obs)
        if masks.shape[0] > 0:
            forbid(q, masks)
        return q

    @decorator
    def choose(memory: Memory) -> None:
        """An ε-greedy action for each environment; max_a q̂ and the masks into the rollout."""
        memory = by_reference(memory)
        rollout, given, rng, first = memory.rollout, memory.settings, memory.action_rng, memory.rollout.filled[0]
        epsilon = exploration(
            given.exploration_fraction, given.exploration_initial_eps, given.exploration_final_eps, memory.progress[0]
        )
        memory.metrics.exploration_rate[0] = epsilon
        q = evaluate(memory, memory.obs, memory.masks)
        for i in range(memory.obs.shape[0]):
            best, explores = best_action(q, i), random(rng) < epsilon
            memory.actions[i, 0] = random_number(memory.masks, i, q.shape[1], rng) if explores else best
            rollout.values[first + i] = q[i, best]
            if memory.masks.shape[0] > 0:
                copy_row(memory.masks, i, rollout.masks, first + i)

    @decorator
    def final_value(memory: Memory, i: int) -> float:
        """max_a q̂ of what environment i showed last."""
        q = evaluate(memory, memory.obs[i : i + 1], memory.final_masks[i : i + 1])
        return q[0, best_action(q, 0)]

    @decorator
    def bootstrap(memory: Memory, rollout: Rollout, first: int) -> None:
        """max_a q̂ of what all environments show now."""
        q = evaluate(memory, memory.obs, memory.masks)
        for i in range(memory.obs.shape[0]):
            if not rollout.ends[first + i]:
                rollout.bootstrap_values[first + i] = q[i, best_action(q, i)]

    @decorator
    def descend(memory: Memory, learning_rate: float) -> None:
        """A step down the gradient."""
        length, longest = np.float64(np.sqrt(squared_length(memory.q))), memory.settings.max_grad_norm
        memory.metrics.grad_norm[0] = length
        if longest > 0.0 and length > longest:
            shrink(memory.q, longest / (length + 1e-6))
        improve(memory.q, learning_rate, 0.0)

    @decorator
    def update(memory: Memory, rollout: Rollout, progress: float) -> None:
        """The returns of a rollout, and all epochs over it."""
        given, metrics, rows = memory.settings, memory.metrics, rollout.rewards.shape[0]
        learning_rate = scheduled(given.learning_rate, progress)
        for row in range(rows):
            rollout.rewards[row] *= given.reward_scale
        generalised_advantages(rollout, memory.obs.shape[0], given.gamma, given.lambda_)

        order = np.empty(rows, np.int64)
        count_up(order)
        minibatch = new_minibatch(rollout, given.batch_size, int(memory.masks.shape[1]))
        loss_sum, size_sum, mean_sum, steps = 0.0, 0.0, 0.0, 0
        for _ in range(given.n_epochs):
            shuffle(order, memory.minibatch_rng)
            for begin in range(0, rows, given.batch_size):
                batch = gather(rollout, order[begin : begin + given.batch_size], minibatch)
                q = evaluate(memory, batch.obs, batch.masks)
                loss, size, mean = value_gradient(q, batch.actions, batch.returns, batch.output_gradient)
                backward(memory.q, batch.obs, batch.output_gradient, False)
                loss_sum, size_sum, mean_sum, steps = loss_sum + loss, size_sum + size, mean_sum + mean, steps + 1
                metrics.loss[0], metrics.td_error[0], metrics.q_mean[0] = loss, size, mean  # of this minibatch
                descend(memory, learning_rate)

        metrics.loss[0], metrics.td_error[0], metrics.q_mean[0] = loss_sum / steps, size_sum / steps, mean_sum / steps
        metrics.explained_variance[0] = explained_variance(rollout.values, rollout.returns)
        metrics.learning_rate[0] = learning_rate
        metrics.n_updates[0] += steps

    return RolloutRule(choose, final_value, bootstrap, update)


@cache
def iteration(kernel: Kernel, decorator: Callable[..., Any], fill: Callable[..., None] | None) -> Iteration:
    """A step of all environments over the rule, which keeps the progress for ε."""
    step = rollout_iteration(make_rule(kernel, decorator), decorator, fill)
    keep_and_learn = step.finish

    @decorator
    def finish(memory: Memory, step_buffer: StepBuffer, progress: float) -> bool:
        memory, step_buffer = by_reference(memory), by_reference(step_buffer)
        memory.progress[0] = progress
        return keep_and_learn(memory, step_buffer, progress)

    return step._replace(finish=finish)


class PQN(RolloutAgent):
    """Parallel Q-learning, for finite actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = PQN("CartPole-v1", n_envs=32, n_steps=64, net_arch=[64, 64], seed=0).learn(4096)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "pqn"

    learning_rate: LearningRate = "lin_1e-4"
    n_steps: RolloutSteps = 128
    batch_size: Annotated[int, Range("steps of a minibatch", 1, 10_000_000, integer=True)] = 128
    n_epochs: Annotated[int, Range("passes over a rollout", 1, 1000, integer=True)] = 4
    gamma: Discount = 0.99
    lambda_: Annotated[float, Range("λ of the returns: 0 one step, 1 the whole rollout", 0, 1)] = 0.95
    reward_scale: Annotated[float, Range("what rewards are multiplied by", 0, 1e9, open_low=True)] = 1.0
    exploration_fraction: Annotated[float, Range("part of training within which ε falls", 0, 1)] = 0.2
    exploration_initial_eps: Annotated[float, Range("ε at the start", 0, 1)] = 1.0
    exploration_final_eps: Annotated[float, Range("ε from then on", 0, 1)] = 0.2
    max_grad_norm: MaxGradNorm = 10.0
    n_envs: NEnvs = 1
    layer_norm: Annotated[bool, Choice("normalise the hidden units, in front of their activation", (True, False))] = (
        True
    )
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers")] = (256, 256)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the network follows the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def setup(self) -> None:
        """The environments, the network and everything else that the iteration works on."""
        name = type(self).__name__
        self._begin_setup()
        self.number_actions()
        assert self.numbering is not None
        self._discrete = True
        self._masked = self._has_masks()
        n, size, outputs = len(self._running_envs), self.encoder.size, self.numbering.n
        rows = n * self.rollout_steps()
        require_memory(
            f"{name}: a rollout of {rows:,} steps of {size:,} numbers and {outputs:,} actions",
            rows * (size + outputs * self._masked + 15),
            "Lower n_steps or n_envs, or take smaller observations", itemsize=4,
        )  # fmt: skip
        made_of = value_layers(self, outputs)
        if self.layer_norm and not isinstance(self.network, list):
            made_of = made_of._replace(layers=with_layer_norm(made_of.layers))
        (q,), self.kernel = value_networks(self, made_of, 1, self.minibatch_rows(rows))
        self._rng = np.stack([stream(self.seed, "exploration"), stream(self.seed, "minibatches")])
        self._metrics = np.zeros(len(Metrics._fields))
        masks = (n if self._masked else 0, outputs)
        self.memory = Memory(
            q=q, rollout=new_rollout(rows, size, 1, outputs, self._masked), obs=np.zeros((n, size), np.float32),
            masks=np.zeros(masks, np.float32), final_masks=np.zeros(masks, np.float32),
            actions=np.zeros((n, 1), np.float32), rewards=np.zeros(n), moments=self._new_moments(), features=None,
            least_rows=rows, settings=self._settings_of(Settings), progress=np.zeros(1), action_rng=self._rng[0],
            minibatch_rng=self._rng[1],
            metrics=Metrics(*(self._metrics[i : i + 1] for i in range(len(self._metrics)))),
        )  # fmt: skip
        self._build()

    def _build(self) -> None:
        """The iteration, over the feature map as it is now."""
        decorator, fill = self._through_features()
        self._iteration = iteration(self._stopping(self.kernel, self.memory.q), decorator, fill)

    def nets(self) -> dict[str, Any]:
        """The network."""
        return {"q": self.memory.q}

    def rounds_ahead(self) -> int:
        """None with masks: how many random numbers a random action takes depends on all of them."""
        return 1 if self._masked else super().rounds_ahead()

    # The environments.

    def _mask_of(self, i: int, info: dict[str, Any]) -> Any:
        """One entry a combination of the parts of an action."""
        mask = super()._mask_of(i, info)
        return None if mask is None else self._mask_sources[i].joint(mask)

    def _make_masks(self) -> None:
        """Room for masks; none so far."""
        super()._make_masks()
        self.memory = self.memory._replace(final_masks=np.zeros_like(self.memory.masks))

    def _keep_final_mask(self, i: int) -> None:
        if self._masked:
            self.memory.final_masks[i] = self.memory.masks[i]

    def _taken(self, action: Floats) -> Any:
        """An action as the environment takes it."""
        assert self.numbering is not None
        return self.numbering.value(int(action[0]))

    def advance(self, timesteps: int, engine: Any) -> int:
        """At most this many steps, rounded up to all environments once; one native call, or step by step."""
        self.memory.progress[0] = self.progress
        return super().advance(timesteps, engine)

    # Acting.

    def probe(self, observation: Any) -> Probe:
        """Action values, and the greatest of them."""
        x = self._network_inputs(observation)
        q = self.kernel.predict(self.memory.q, x).astype(np.float64)
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_values=q, value=q.max(axis=1), features=features)

    # Files.

    def kept_rows(self) -> dict[str, NDArray[Any]]:
        """What a file keeps of the rows of the rollout, by name."""
        return {**super().kept_rows(), "values": self.memory.rollout.values}

    def check(self) -> None:
        """Refuse actions that there are not: they are kept as floating-point numbers, and chosen by number."""
        super().check()
        assert self.numbering is not None
        actions = self.memory.rollout.actions
        check_ranges({"rollout/actions": actions}, {"rollout/actions": numbers_below(self.numbering.n)})


__all__ = ["PQN", "make_rule"]
