"""Deep Q-learning: a network of action values that chases the values of its own slow copy, from remembered steps.

Every ``train_freq`` steps draw a batch of B steps (S, A, R, S') from the replay buffer and take a step of the optimiser
down

    L(θ) = 1/B Σ w ℓ(q̂(S, A, θ) - y)        y = R + γ max_a q̂(S', a, θ⁻)        (y = R where the episode terminated)

where θ⁻ is a copy of θ that is renewed every ``target_update_interval`` steps. The gradient at the outputs is 0 but for
the action that was taken; with δ = q̂(S, A, θ) - y

    ∂L/∂q̂(S, A) = w/B clip(δ, -1, 1)        Huber's loss,  ℓ(δ) = ½ δ² where |δ| < 1, else |δ| - ½
    ∂L/∂q̂(S, A) = w/B 2 δ                    squared error, ℓ(δ) = δ²

Source: Mnih et al. 2015, algorithm 1; Sutton & Barto 2e, section 16.5; hyperparameters as in Stable-Baselines3's DQN.

Symbols:
    q̂(s, a, θ)  nets.q       a network with an output an action        y  target   float64 [B]
    θ⁻          nets.target  the same, older                           w  weights  float64 [B], 1 unless prioritized
    γ  gamma    n  n_steps    B  batch_size    ε  exploration

Parts, each a flag by itself; the first six together are Rainbow (Hessel et al. 2018):

    double          y = R + γ q̂(S', argmax_a q̂(S', a, θ), θ⁻)                        van Hasselt et al. 2016, eq. 4
    dueling         q̂ = v̂ + â - mean_a â, from two streams                            Wang et al. 2016, eq. 9
                    ∂L/∂v̂ = g,  ∂L/∂â(b) = g [1(b = A) - 1/|A|],  g = ∂L/∂q̂(S, A)
    prioritized     steps are drawn by their last |δ|, with weights w                  Schaul et al. 2016
    n_steps         R is Σ_{k<n} γ^k R_{t+k+1}, bootstrapped with γ^n from S_{t+n}     Sutton & Barto 2e, section 7.1
    noisy           weights μ + σ ε explore in place of ε-greedy actions               Fortunato et al. 2018
    distributional  "c51": how probable fixed returns are; "qr": quantiles of them     Bellemare et al. 2017; Dabney
                    (both in `rlplay.functional.value_heads`)                          et al. 2018
    munchausen      R + α [τ log π(A|S)]_{l₀}^0 and a soft policy π = softmax(q̂/τ)     Vieillard et al. 2020, eq. 3
                    after S': y = R + ... + γ Σ_a π(a|S') [q̂(S', a, θ⁻) - τ log π(a|S')]
    n_sampled_goal  so many of a batch's goals, for one of its own, were reached       Andrychowicz et al. 2017
                    later (`rlplay.functional.hindsight`)

Deviations from the papers: Adam in place of RMSProp; the gradient is cut to ``max_grad_norm``; noise is drawn once an
update, and greedy actions are those of the mean weights; with ``double`` and ``munchausen`` together π is that of θ.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    COUNT,
    Batch,
    BatchSize,
    BufferSize,
    Choice,
    Discount,
    Either,
    GoalSelectionStrategy,
    GradientSteps,
    HyperparameterError,
    Kernel,
    LearningRate,
    LearningStarts,
    NEnvs,
    NSampledGoal,
    NSteps,
    OffPolicyAgent,
    OffPolicyMemory,
    OffPolicyRule,
    Parts,
    PriorityEpsilon,
    PriorityExponent,
    PriorityWeight,
    PriorityWeightSteps,
    Probe,
    Range,
    Ranges,
    Schedule,
    Sizes,
    StateArrays,
    TrainFreq,
    ValueLayers,
    ValueMetrics,
    VectorFeatures,
    as_ours,
    atoms_of,
    best_action,
    combine_streams,
    cut_streams,
    exploration,
    forbid,
    greedy_policy,
    head_of,
    is_ours,
    munchausen_rewards,
    noisy_functions,
    optimiser_of,
    part_streams,
    random,
    random_number,
    scheduled,
    set_parameters,
    soft_policy,
    to_outputs,
    to_streams,
    two_streams,
    value_layers,
    value_networks,
    warn,
)
from rlplay.extend import Settings as ByName
from rlplay.networks.layers import ACTIVATIONS
from rlplay.networks.memory import IN, OUT, PARAMETERS
from rlplay.networks.noisy import NoisyWeights, blend_noisy, new_noisy_weights

YES_NO = (True, False)
Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Settings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    max_grad_norm: float
    tau: float
    target_update_interval: int
    exploration_fraction: float
    exploration_initial_eps: float
    exploration_final_eps: float
    munchausen_alpha: float
    munchausen_temperature: float
    munchausen_clip: float


class Flags(NamedTuple):
    """What is decided when the rule is compiled."""

    double: bool
    dueling: bool
    noisy: bool
    distributional: str | None
    munchausen: bool
    huber: bool
    parted: bool  # whether weights of ours that would join the streams are held at 0
    over_torch: bool


class Nets(NamedTuple):
    """The network that learns, and its older copy."""

    q: Any
    target: Any


class Work(NamedTuple):
    """Room for N or B rows of K actions with M atoms.

    Attributes:
        noisy, noisy_target: mean and deviation of the weights of both networks, where they are noisy.
        q: action values, float32 [rows, K].
        atoms: see `rlplay.functional.value_heads`, float64 [M].
        policy, soft: π after the next state, and its τ log π, float64 [B, K].
        targets: y, or the distribution or quantiles in its place, float64 [B, M].
        slope: of the loss for the action that was taken, float64 [B, M].
        gradient: of the loss at the outputs, float32 [B, outputs].
        seen: the least and the greatest expected target so far, float64 [2].
        split: units of the last hidden layer that are the stream of v̂; 0 where both streams see all of it.
    """

    noisy: NoisyWeights
    noisy_target: NoisyWeights
    q: Floats
    atoms: Array
    policy: Array
    soft: Array
    targets: Array
    slope: Array
    gradient: Floats
    seen: Array
    split: int


@cache
def make_rule(kernels: tuple[Kernel, ...], flags: Flags, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over networks: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DQN("CartPole-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    kernel, head = kernels[0], head_of(flags.distributional)
    forward, backward, improve, blend = kernel.forward, kernel.backward, kernel.improve, kernel.blend
    squared_length, shrink = kernel.squared_length, kernel.shrink
    values, targets, gradient = head
    double, dueling, noisy, _, munchausen, huber, parted, over_torch = flags
    draw_weights, descend_on_weights = noisy_functions(over_torch)
    spread = to_streams if dueling else to_outputs

    @decorator
    def evaluate(net: Any, work: Work, obs: Floats, masks: Floats) -> Floats:
        """The outputs [rows, K M]; action values into ``work.q``, without those that may not be taken."""
        outputs = forward(net, obs)
        if dueling:
            combine_streams(outputs, work.q.shape[1], work.atoms.shape[0])
        values(outputs, work.atoms, work.q)
        if masks.shape[0] > 0:
            forbid(work.q[: masks.shape[0]], masks)
        return outputs

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """An ε-greedy action for each environment; noisy weights need no ε."""
        given, rng, q = memory.settings, memory.action_rng, memory.work.q
        epsilon = 0.0
        if not noisy:
            epsilon = exploration(
                given.exploration_fraction, given.exploration_initial_eps, given.exploration_final_eps,
                memory.progress[0],
            )  # fmt: skip
        memory.metrics.exploration_rate[0] = epsilon
        evaluate(memory.nets.q, memory.work, memory.obs, memory.masks)
        for i in range(memory.actions.shape[0]):
            explores = random(rng) < epsilon
            memory.actions[i, 0] = random_number(memory.masks, i, q.shape[1], rng) if explores else best_action(q, i)

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Renew the older copy."""
        every = max(memory.settings.target_update_interval // memory.obs.shape[0], 1)
        if memory.counters.rounds[0] % every == 0:
            if noisy:
                blend_noisy(memory.work.noisy_target, memory.work.noisy, memory.settings.tau)
            else:
                blend(memory.nets.target, memory.nets.q, memory.settings.tau)

    @decorator
    def descend(memory: OffPolicyMemory, learning_rate: float) -> float:
        """A step down the gradient; returns its length before it was cut."""
        net, work, longest = memory.nets.q, memory.work, memory.settings.max_grad_norm
        if parted:
            width, outputs = net.layers[-1, IN], net.layers[-1, OUT]
            cut_streams(net.gradient, net.layers[-1, PARAMETERS], width, outputs, work.split, work.atoms.shape[0])
        if noisy:
            length = descend_on_weights(net, work.noisy, learning_rate, longest)
            draw_weights(net, work.noisy, memory.noise_rng)
            return length
        length = np.float64(np.sqrt(squared_length(net)))
        if longest > 0.0 and length > longest:
            shrink(net, longest / (length + 1e-6))
        improve(net, learning_rate, 0.0)
        return length

    @decorator
    def update(memory: OffPolicyMemory, batch: Batch, progress: float) -> None:
        """One step of the optimiser."""
        nets, work, given, metrics = memory.nets, memory.work, memory.settings, memory.metrics
        learning_rate, temperature = scheduled(given.learning_rate, progress), given.munchausen_temperature
        if noisy:
            draw_weights(nets.target, work.noisy_target, memory.noise_rng)
        if munchausen:
            evaluate(nets.target, work, batch.obs, batch.masks)
            soft_policy(work.q, temperature, work.policy, work.soft)
            munchausen_rewards(
                work.soft, batch.actions, given.munchausen_alpha, given.munchausen_clip, batch.rewards
            )  # fmt: skip

        after = evaluate(nets.target, work, batch.next_obs, batch.next_masks)
        if double:  # its action values take the place of the older copy's
            evaluate(nets.q, work, batch.next_obs, batch.next_masks)
        if munchausen:
            soft_policy(work.q, temperature, work.policy, work.soft)
        else:
            greedy_policy(work.q, work.policy, work.soft)
        targets(
            after, work.atoms, work.policy, work.soft, batch.rewards, batch.discounts, work.targets, work.seen
        )  # fmt: skip

        outputs = evaluate(nets.q, work, batch.obs, batch.masks)
        loss, size, value = gradient(
            outputs, work.atoms, batch.actions, batch.weights, work.targets, huber, work.slope, batch.td_errors
        )
        spread(work.slope, batch.actions, work.gradient)
        backward(nets.q, batch.obs, work.gradient, False)
        metrics.grad_norm[0] = descend(memory, learning_rate)
        metrics.loss[0], metrics.td_error[0], metrics.q_mean[0] = loss, size, value
        metrics.learning_rate[0] = learning_rate
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update)


class DQN(OffPolicyAgent):
    """Deep Q-learning, for finite actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = DQN("CartPole-v1", learning_starts=100, buffer_size=5000, seed=0).learn(500)
        >>> agent.probe(agent.get_env().reset(seed=0)[0]).action_values.shape
        (1, 2)
    """

    id = "dqn"
    make_rule = staticmethod(make_rule)
    settings = Settings

    learning_rate: LearningRate = 1e-4
    buffer_size: BufferSize = 1_000_000
    learning_starts: LearningStarts = 100
    batch_size: BatchSize = 32
    tau: Annotated[float, Range("share of θ that its older copy takes", 0, 1, open_low=True)] = 1.0
    gamma: Discount = 0.99
    train_freq: TrainFreq = 4
    gradient_steps: GradientSteps = 1
    target_update_interval: Annotated[
        int, Range("steps after which the older copy is renewed", 1, 10**12, integer=True)
    ] = 10_000
    exploration_fraction: Annotated[float, Range("part of training within which ε falls", 0, 1)] = 0.1
    exploration_initial_eps: Annotated[float, Range("ε at the start", 0, 1)] = 1.0
    exploration_final_eps: Annotated[float, Range("ε at the end", 0, 1)] = 0.05
    max_grad_norm: Annotated[float, Range("longest gradient; 0 for any", 0, 1e9)] = 10.0
    n_envs: NEnvs = 1
    loss: Annotated[str, Choice("what is made of TD errors, where a value is one number", ("huber", "mse"))] = "huber"
    double: Annotated[bool, Choice("the learning network chooses, its older copy values", YES_NO)] = False
    dueling: Annotated[bool, Choice("a stream for the state's value and one for what actions add", YES_NO)] = False
    prioritized: Annotated[bool, Choice("draw steps by their TD errors", YES_NO)] = False
    priority_alpha: PriorityExponent = 0.6
    priority_beta: PriorityWeight = 0.4
    priority_beta_steps: PriorityWeightSteps = 100_000
    priority_epsilon: PriorityEpsilon = 1e-6
    n_steps: NSteps = 1
    n_sampled_goal: NSampledGoal = 0
    goal_selection_strategy: GoalSelectionStrategy = "future"
    noisy: Annotated[bool, Choice("weights with noise explore, in place of ε", YES_NO)] = False
    noisy_sigma: Annotated[float, Range("deviation of noisy weights at the start, times √inputs", 0, 10)] = 0.5
    distributional: Annotated[Any, Choice("what is learned of returns", (None, "c51", "qr"))] = None
    n_atoms: Annotated[int, Range("atoms of C51, or quantiles", 2, 10_000, integer=True)] = 51
    v_min: Annotated[float, Range("the least return that C51 knows", -1e12, 1e12)] = -10.0
    v_max: Annotated[float, Range("the greatest return that C51 knows", -1e12, 1e12)] = 10.0
    munchausen: Annotated[bool, Choice("rewards with the policy's own logarithm, and a soft policy", YES_NO)] = False
    munchausen_alpha: Annotated[float, Range("weight α of that logarithm", 0, 1)] = 0.9
    munchausen_temperature: Annotated[float, Range("temperature τ of the soft policy", 0, 1e6, open_low=True)] = 0.03
    munchausen_clip: Annotated[float, Range("the least l₀ that the logarithm adds", -1e12, 0)] = -1.0
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers")] = (64, 64)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy_kwargs: Annotated[Any, Either((None,), ByName("net_arch and activation_fn by name"))] = None
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def setup(self) -> None:
        """As every off-policy agent; noisy weights have their first noise."""
        super().setup()
        self._support_said = False
        if self.noisy:
            draw_weights, _ = noisy_functions(not is_ours(self.network))
            draw_weights(self.memory.nets.q, self.memory.work.noisy, self.memory.noise_rng)

    def spec(self) -> Flags:
        """The flags."""
        parted = is_ours(self.network) and self._layers()[1] > 0
        return Flags(
            self.double, self.dueling, self.noisy, self.distributional, self.munchausen, self.loss == "huber", parted,
            not is_ours(self.network),
        )  # fmt: skip

    def make_parts(self) -> Parts:
        """Two networks, the same at the start."""
        rows = self.network_rows()
        if self.v_min >= self.v_max:
            raise HyperparameterError(f"DQN: v_min={self.v_min:g} is not below v_max={self.v_max:g}", "Raise v_max")
        if self.noisy and not isinstance(self.network, str | list):
            raise HyperparameterError(
                "DQN: noisy weights are made of layers, and network= is a module of torch",
                "Take noisy=False, or network='torch' with net_arch",
            )
        made_of, split = self._layers()
        (q, target), kernel = value_networks(self, made_of, 2, rows)
        assert self.numbering is not None
        atoms, batch, n_actions = self._atoms(), self.batch_size, self.numbering.n
        if split:
            for net in (q, target):
                part_streams(net, self.network, split, len(atoms))
        layers = [as_ours(net) if self.noisy else None for net in (q, target)]
        name, numbers = optimiser_of(self)
        noisy = [new_noisy_weights(net, self.noisy_sigma, name, **numbers) for net in layers]
        if layers[0] is not None and split:  # weights that do not exist have no noise
            last = layers[0].layers[-1]
            first = len(q.parameters) + last[PARAMETERS]
            for one in noisy:
                cut_streams(one.parameters, first, last[IN], last[OUT], split, len(atoms))
        work = Work(
            noisy=noisy[0], noisy_target=noisy[1], q=np.zeros((rows, n_actions), np.float32), atoms=atoms,
            policy=np.zeros((batch, n_actions)), soft=np.zeros((batch, n_actions)),
            targets=np.zeros((batch, len(atoms))), slope=np.zeros((batch, len(atoms))),
            gradient=np.zeros((batch, (n_actions + self.dueling) * len(atoms)), np.float32),
            seen=np.array([np.inf, -np.inf]), split=split,
        )  # fmt: skip
        return Parts(Nets(q, target), {"q": kernel, "target": kernel}, work, ValueMetrics)

    def _atoms(self) -> Array:
        return atoms_of(self.distributional, self.n_atoms, self.v_min, self.v_max)

    def _layers(self) -> tuple[ValueLayers, int]:
        """The layers, and the units of the last hidden one that are the stream of v̂; 0 where there is one stream."""
        assert self.numbering is not None
        made_of = value_layers(self, (self.numbering.n + self.dueling) * len(self._atoms()))
        parted = self.dueling and len(made_of.layers) > 1 and isinstance(self.network, str)
        return two_streams(made_of) if parted else (made_of, 0)

    def advance(self, timesteps: int, engine: Any) -> int:
        """As every off-policy agent; returns outside the support of C51 are said, once."""
        done, seen = super().advance(timesteps, engine), self.memory.work.seen
        slack = 1e-6 * (self.v_max - self.v_min)
        outside = seen[0] < self.v_min - slack or seen[1] > self.v_max + slack
        if self.distributional == "c51" and outside and not self._support_said:
            self._support_said = True
            warn(
                f"DQN: expected returns from {seen[0]:.4g} to {seen[1]:.4g} were seen, and v_min={self.v_min:g} to "
                f"v_max={self.v_max:g} is all that its atoms hold: what lies outside is taken for the nearest of them"
            )
        return done

    def critic_values(self, observations: Any, actions: Any = None, *, target: bool = False) -> Any:
        """Q of the network or its target, [1, B, A]; see `Agent.critic_values`."""
        return self._outputs(self._network_inputs(observations), target=target)[1].astype(np.float64)[None]

    def _outputs(self, x: Floats, *, target: bool = False) -> tuple[Floats, Floats]:
        """The outputs of the mean weights [B, K M], and the action values [B, K]; of the target where it is asked."""
        work = self.memory.work
        net, mean = (self.memory.nets.target, work.noisy_target) if target else (self.memory.nets.q, work.noisy)
        if self.noisy:
            perturbed = net.parameters.copy()
            set_parameters(net, mean.parameters[: len(perturbed)])
        outputs = self.kernels["q"].predict(net, x)
        if self.noisy:
            set_parameters(net, perturbed)
        q = np.zeros((len(x), work.q.shape[1]), np.float32)
        if self.dueling:
            combine_streams(outputs, q.shape[1], len(work.atoms))
        head_of(self.distributional).values(outputs, work.atoms, q)
        return outputs, q

    def probe(self, observation: Any) -> Probe:
        """Action values, the greatest of them, and the distribution of each where there is one."""
        x = self._network_inputs(observation)
        outputs, values = self._outputs(x)
        q, atoms = values.astype(np.float64), self.memory.work.atoms
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        found = Probe(action_values=q, value=q.max(axis=1), features=features)
        if self.distributional is None:
            return found
        shown = outputs[:, : q.shape[1] * len(atoms)].astype(np.float64).reshape(*q.shape, len(atoms))
        if self.distributional == "c51":
            return replace(found, atoms=np.broadcast_to(atoms, shown.shape), atom_probabilities=shown)
        return replace(found, atoms=shown, atom_probabilities=np.full(shown.shape, 1 / len(atoms)))

    def arrays(self) -> StateArrays:
        """As every off-policy agent, and the noisy weights."""
        found = super().arrays()
        if self.noisy:
            for name in ("noisy", "noisy_target"):
                noisy = getattr(self.memory.work, name)
                found.update({
                    f"{name}/parameters": noisy.parameters, f"{name}/noise": noisy.noise,
                    f"{name}/m": noisy.optimiser.m, f"{name}/v": noisy.optimiser.v, f"{name}/t": noisy.optimiser.t,
                })  # fmt: skip
        return found

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        noisy: Ranges = {"noisy/t": COUNT, "noisy_target/t": COUNT} if self.noisy else {}
        return {**super().ranges(), **noisy}


__all__ = ["DQN", "make_rule"]
