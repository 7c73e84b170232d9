"""Recurrent deep Q-learning: DQN whose network remembers what it has seen, learned from sequences of steps.

Where one observation does not tell the state, q̂ is a function of the episode so far, through a hidden state h:

    q̂_t, h_{t+1} = q̂(S_t, h_t, θ)                                                     h = 0 where an episode begins

The state before each step is kept with it in the replay buffer. Every ``train_freq`` steps draw B windows of W + L + 1
steps. Both networks begin a window in its kept state, and its first W steps only bring that up to date (burn-in). From
the next L steps take a step of the optimiser down

    L(θ) = 1/M Σ ℓ(q̂_t(A_t, θ) - y_t)        y_t = R_{t+1} + γ max_a q̂_{t+1}(a, θ⁻)   (y = R where it terminated)

over the M of them that are steps, where θ⁻ is a copy of θ that is renewed every ``target_update_interval`` steps. The
gradient at the outputs is 0 but for the action that was taken; with δ = q̂_t(A_t, θ) - y_t

    ∂L/∂q̂_t(A_t) = 1/M clip(δ, -1, 1)        Huber's loss,  ℓ(δ) = ½ δ² where |δ| < 1, else |δ| - ½
    ∂L/∂q̂_t(A_t) = 1/M 2 δ                    squared error, ℓ(δ) = δ²

and goes back through time to the first of the L steps, or to where the episode began (`rlplay.networks.recurrent`).
Where an episode ends within a window, the next one goes on in a state of 0; a time limit is bootstrapped from the
last observation. How windows lie in the replay buffer is in `rlplay.functional.replay_windows`.

Source: Hausknecht & Stone 2015, section 4 (DRQN); Kapturowski et al. 2019, section 3 (R2D2: kept states and burn-in);
the losses and names are those of `agents.dqn`.

Symbols:
    q̂(s, h, θ)  nets.q       an LSTM or a GRU, and layers on it, an output an action    y  targets  float64 [M]
    θ⁻          nets.target  the same, older                                            h  states   float32 [R, S]
    γ  gamma    n  n_steps    B  batch_size    L  sequence_length    W  burn_in    ε  exploration

Parts, each a flag by itself:

    double      y = R + γ q̂_{t+1}(argmax_a q̂_{t+1}(a, θ), θ⁻)                        van Hasselt et al. 2016, eq. 4
    dueling     q̂ = v̂ + â - mean_a â, from two streams on the memory                  Wang et al. 2016, eq. 9
    n_steps     R is Σ_{k<n} γ^k R_{t+k+1} within the window, bootstrapped with γ^n    Sutton & Barto 2e, section 7.1

Deviations from the papers: Adam in place of ADADELTA; windows begin anywhere and go on over the ends of episodes, as
sequences of recurrent PPO do, in place of R2D2's fixed ones of 80 that are padded; nothing is drawn by priority, and
values are not rescaled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    ACTIVATIONS,
    CELLS,
    NO_STEP,
    OPTIMISER_WORDS,
    BufferSize,
    Choice,
    Discount,
    Either,
    GradientSteps,
    HiddenState,
    HyperparameterError,
    Kernel,
    LearningRate,
    LearningStarts,
    NEnvs,
    NSteps,
    OffPolicyAgent,
    OffPolicyMemory,
    OffPolicyRule,
    Parts,
    Probe,
    Range,
    RecurrentSize,
    Schedule,
    Sizes,
    StateArrays,
    StoredSteps,
    TrainFreq,
    ValueLayers,
    ValueMetrics,
    VectorFeatures,
    Windows,
    best_action,
    combine_streams,
    copy_row,
    counted,
    cut_streams,
    drawing_windows,
    exploration,
    forbid,
    forget_row,
    given_states,
    is_ours,
    mlp,
    network_options,
    new_windows,
    newest_row,
    part_streams,
    random,
    random_number,
    read_rows,
    recurrent_functions,
    recurrent_value_networks,
    scheduled,
    see_alone,
    to_outputs,
    to_streams,
    two_streams,
    window_gradient,
    window_targets,
)
from rlplay.extend import Settings as ByName
from rlplay.networks.memory import IN, OUT, PARAMETERS

YES_NO = (True, False)
Array = NDArray[np.float64]
Floats = NDArray[np.float32]


class Settings(NamedTuple):
    """The hyperparameters that the rule reads; schedules as tables."""

    learning_rate: Schedule
    max_grad_norm: float
    tau: float
    target_update_interval: int
    sequence_length: int
    burn_in: int
    exploration_fraction: float
    exploration_initial_eps: float
    exploration_final_eps: float


class Flags(NamedTuple):
    """What is decided when the rule is compiled."""

    double: bool
    dueling: bool
    huber: bool
    parted: bool  # whether weights of ours that would join the streams are held at 0
    over_torch: bool


class Nets(NamedTuple):
    """The network that learns, and its older copy; each a `rlplay.networks.recurrent.RecurrentNet`."""

    q: Any
    target: Any


class Work(NamedTuple):
    """Room for M = B (L + 1) rows of K actions.

    Attributes:
        states: the hidden state before each row of the replay buffer, float32 [R, S].
        warm: hidden states after the burn-in, float32 [B, S].
        targets: y, float64 [M].
        slope: of the loss for the action that was taken, float64 [M, 1].
        gradient: of the loss at the outputs, float32 [M, outputs].
        n_actions: K.
        split: units of the last hidden layer that are the stream of v̂; 0 where both streams see all of it.
    """

    states: Floats
    warm: Floats
    targets: Array
    slope: Array
    gradient: Floats
    n_actions: int
    split: int


@cache
def make_rule(kernels: tuple[Kernel, ...], flags: Flags, decorator: Callable[..., Any]) -> OffPolicyRule:
    """The rule over networks: compiled, or with ``decorator=plain`` as Python.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> agent = RecurrentDQN("CartPole-v1", recurrent_size=4, net_arch=[4], buffer_size=100, seed=0)
        >>> rule = make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """
    double, dueling, huber, parted, over_torch = flags
    whole, blend = recurrent_functions(kernels[0], over_torch=over_torch), kernels[0].blend
    forward, backward, improve, begin, end = whole.forward, whole.backward, whole.improve, whole.begin, whole.end
    squared_length, shrink = whole.squared_length, whole.shrink
    spread = to_streams if dueling else to_outputs

    @decorator
    def evaluate(net: Any, work: Work, obs: Floats, masks: Floats) -> Floats:
        """q̂ in the first K columns of the outputs, without actions that may not be taken."""
        outputs = forward(net, obs)
        if dueling:
            combine_streams(outputs, work.n_actions, 1)
        q = outputs[:, : work.n_actions]
        if masks.shape[0] > 0:
            forbid(q, masks)
        return q

    @decorator
    def act(memory: OffPolicyMemory) -> None:
        """Keep the hidden states, which move on; an ε-greedy action for each environment, at the start any."""
        given, rng, net, none = memory.settings, memory.action_rng, memory.nets.q, np.zeros(0, np.bool_)
        epsilon = 1.0
        if memory.counters.steps[0] >= memory.plan.learning_starts:
            epsilon = exploration(
                given.exploration_fraction, given.exploration_initial_eps, given.exploration_final_eps,
                memory.progress[0],
            )  # fmt: skip
        memory.metrics.exploration_rate[0] = epsilon
        for i in range(memory.actions.shape[0]):
            copy_row(net.state, i, memory.work.states, newest_row(memory.replay, i))
        begin(net, net.state, none, 1)
        q = evaluate(net, memory.work, memory.obs, memory.masks)
        end(net, net.state)
        for i in range(memory.actions.shape[0]):
            explores = random(rng) < epsilon
            memory.actions[i, 0] = random_number(memory.masks, i, q.shape[1], rng) if explores else best_action(q, i)

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Forget what ended; renew the older copy."""
        nets, given = memory.nets, memory.settings
        for i in range(memory.ends.shape[0]):
            if memory.ends[i]:
                forget_row(nets.q.state, i)
        if memory.counters.rounds[0] % max(given.target_update_interval // memory.ends.shape[0], 1) == 0:
            blend(nets.target.core, nets.q.core, given.tau)
            blend(nets.target.top, nets.q.top, given.tau)

    @decorator
    def unroll(net: Any, memory: OffPolicyMemory, windows: Windows) -> Floats:
        """q̂ [M, K] behind the burn-in of all windows."""
        work, given = memory.work, memory.settings
        seen = given.burn_in * windows.states.shape[0]
        if seen == 0:
            begin(net, windows.states, windows.starts, given.sequence_length + 1)
            return evaluate(net, work, windows.obs, windows.masks)
        begin(net, windows.states, windows.starts[:seen], given.burn_in)
        forward(net, windows.obs[:seen])
        end(net, work.warm)
        begin(net, work.warm, windows.starts[seen:], given.sequence_length + 1)
        return evaluate(net, work, windows.obs[seen:], windows.masks)

    @decorator
    def descend(memory: OffPolicyMemory, learning_rate: float) -> float:
        """A step down the gradient; returns its length before it was cut."""
        net, longest = memory.nets.q, memory.settings.max_grad_norm
        if parted:
            last = net.top.layers[-1]
            cut_streams(net.top.gradient, last[PARAMETERS], last[IN], last[OUT], memory.work.split, 1)
        length = np.float64(np.sqrt(squared_length(net)))
        if longest > 0.0 and length > longest:
            shrink(net, longest / (length + 1e-6))
        improve(net, learning_rate, 0.0)
        return length

    @decorator
    def update(memory: OffPolicyMemory, windows: Windows, progress: float) -> None:
        """One step of the optimiser."""
        nets, work, metrics = memory.nets, memory.work, memory.metrics
        learning_rate = scheduled(memory.settings.learning_rate, progress)
        older, q = unroll(nets.target, memory, windows), unroll(nets.q, memory, windows)
        window_targets(older, q if double else older, windows, work.targets)
        loss, size, value = window_gradient(q, windows, work.targets, huber, work.slope)
        spread(work.slope, windows.actions, work.gradient)
        backward(nets.q, windows.obs[windows.obs.shape[0] - q.shape[0] :], work.gradient, False)
        metrics.grad_norm[0] = descend(memory, learning_rate)
        metrics.loss[0], metrics.td_error[0], metrics.q_mean[0] = loss, size, value
        metrics.learning_rate[0] = learning_rate
        metrics.n_updates[0] += 1.0

    return OffPolicyRule(act, after_step, update, drawing_windows)


class RecurrentDQN(OffPolicyAgent):
    """Deep Q-learning with a memory, for finite actions.

    Observations are vectors, finite, pictures (convolutions), or Dicts and Tuples of those, flattened.

    Example:
        >>> agent = RecurrentDQN("rlplay/MemoryChain-v0", learning_starts=100, buffer_size=5000, seed=0).learn(300)
        >>> obs = agent.get_env().reset(seed=0)[0]
        >>> action, state = agent.predict(obs, None, [True])
        >>> [part.shape for part in state]
        [(1, 1, 64), (1, 1, 64)]
    """

    id = "recurrent-dqn"
    make_rule = staticmethod(make_rule)
    settings = Settings

    recurrent: Annotated[str, Choice("memory of the networks", tuple(CELLS))] = "lstm"
    recurrent_size: RecurrentSize = 64
    sequence_length: Annotated[int, Range("steps of a window that are learned from", 1, 10_000, integer=True)] = 16
    burn_in: Annotated[
        int, Range("steps before them that only bring the memory up to date", 0, 10_000, integer=True)
    ] = 4
    learning_rate: LearningRate = 1e-3
    buffer_size: BufferSize = 100_000
    learning_starts: LearningStarts = 1000
    batch_size: Annotated[int, Range("windows of a batch", 1, 100_000, integer=True)] = 32
    tau: Annotated[float, Range("share of θ that its older copy takes", 0, 1, open_low=True)] = 1.0
    gamma: Discount = 0.99
    train_freq: TrainFreq = 4
    gradient_steps: GradientSteps = 1
    target_update_interval: Annotated[
        int, Range("steps after which the older copy is renewed", 1, 10**12, integer=True)
    ] = 500
    exploration_fraction: Annotated[float, Range("part of training within which ε falls", 0, 1)] = 0.3
    exploration_initial_eps: Annotated[float, Range("ε at the start", 0, 1)] = 1.0
    exploration_final_eps: Annotated[float, Range("ε at the end", 0, 1)] = 0.05
    max_grad_norm: Annotated[float, Range("longest gradient; 0 for any", 0, 1e9)] = 10.0
    n_envs: NEnvs = 1
    loss: Annotated[str, Choice("what is made of TD errors", ("huber", "mse"))] = "huber"
    double: Annotated[bool, Choice("the learning network chooses, its older copy values", YES_NO)] = False
    dueling: Annotated[bool, Choice("a stream for the state's value and one for what actions add", YES_NO)] = False
    n_steps: NSteps = 1
    net_arch: Annotated[Sequence[int], Sizes("units of the hidden layers on the memory")] = (64,)
    activation: Annotated[str, Choice("what hidden units apply", tuple(ACTIVATIONS))] = "relu"
    policy_kwargs: Annotated[Any, Either((None,), ByName("net_arch and activation_fn by name"))] = None
    policy: Annotated[
        str, Choice("as RL Zoo's files have it: the networks follow the observations",
                    ("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"))
    ] = "auto"  # fmt: skip

    def setup(self) -> None:
        """As every off-policy agent; a window must fit into what is kept of an environment."""
        window, slots = self.burn_in + self.sequence_length + 1, self.buffer_size // self.n_envs
        if window > slots:
            raise HyperparameterError(
                f"RecurrentDQN: windows of {window:,} steps (burn_in + sequence_length + 1) are longer than the "
                f"{counted(slots, 'observation')} that buffer_size={self.buffer_size:,} keeps of each environment",
                "Raise buffer_size, or lower sequence_length, burn_in or n_envs",
            )
        super().setup()
        self.step_kernel = recurrent_functions(self.kernels["q"], over_torch=self.spec().over_torch)

    def spec(self) -> Flags:
        """The flags."""
        ours = is_ours(self.network)
        return Flags(self.double, self.dueling, self.loss == "huber", ours and self._top()[1] > 0, not ours)

    def random_steps(self) -> int:
        """None that the networks do not see: `act` explores at the start."""
        return 0

    def state_size(self) -> int:
        """H of a GRU, and 2 H of an LSTM."""
        return self.recurrent_size * (2 if self.recurrent == "lstm" else 1)

    def make_batch(self, action_size: int, outputs: int, masked: bool) -> Windows:
        """Room for windows."""
        return new_windows(
            batch=self.batch_size, burn_in=self.burn_in, length=self.sequence_length, features=self.encoder.size,
            action_size=action_size, state=self.state_size(), masks=int(masked), outputs=outputs,
        )  # fmt: skip

    def make_parts(self) -> Parts:
        """Two networks, the same at the start."""
        assert self.numbering is not None
        batch, slots, outputs = self.batch_size, self.sequence_length + 1, self.numbering.n + self.dueling
        top, split = self._top()
        sizes = self.network_rows(), max(slots, self.burn_in)
        (q, target), kernel = recurrent_value_networks(self, self.recurrent, self.recurrent_size, top, 2, sizes)
        if split:
            for net in (q, target):
                part_streams(net.top, self.network, split, 1)
        kept = self.buffer_size - self.buffer_size % self.n_envs
        work = Work(
            states=np.zeros((kept, self.state_size()), np.float32),
            warm=np.zeros((batch, self.state_size()), np.float32), targets=np.zeros(batch * slots),
            slope=np.zeros((batch * slots, 1)), gradient=np.zeros((batch * slots, outputs), np.float32),
            n_actions=self.numbering.n, split=split,
        )  # fmt: skip
        return Parts(
            Nets(q, target), dict.fromkeys(("q", "q_core", "target", "target_core"), kernel), work, ValueMetrics
        )

    def _top(self) -> tuple[list[Any], int]:
        """The layers on the memory, and the units of the last hidden one that are the stream of v̂."""
        assert self.numbering is not None
        arch, activation, threads, _ = network_options(self.hyperparameters, "RecurrentDQN", ("q",), OPTIMISER_WORDS)
        layers = mlp([self.recurrent_size, *arch["q"], self.numbering.n + self.dueling], activation)
        if not self.dueling or len(layers) == 1:
            return layers, 0
        made_of, split = two_streams(ValueLayers(layers, None, threads))
        return made_of.layers, split

    def nets(self) -> dict[str, Any]:
        """The parts of both networks."""
        q, target = self.memory.nets
        return {"q": q.top, "q_core": q.core, "target": target.top, "target_core": target.core}

    def give_up_episode(self) -> None:
        """Stand between episodes, with nothing remembered."""
        super().give_up_episode()
        self.memory.nets.q.state[:] = 0.0

    def remember(self, dataset: Any) -> Self:
        """As every off-policy agent; the hidden states are those that its network has in the episodes that were given.

        Example:
            >>> agent = RecurrentDQN("CartPole-v1", network="torch", buffer_size=200, seed=0)
            >>> bool(agent.remember("follow-the-pole:50").memory.work.states[1:50].any(axis=1).all())
            True
        """
        slots = self.memory.replay.place.copy()
        super().remember(dataset)
        memory, replay = self.memory, self.memory.replay
        seen, state = np.zeros((1, self.encoder.size), np.float32), np.zeros((1, self.state_size()), np.float32)
        for i, newest in enumerate(replay.place):
            state[:] = 0.0
            while slots[i] != newest and self.encoder.ready:
                slots[i] = (slots[i] + 1) % (len(replay.kinds) // len(slots))
                row = slots[i] * len(slots) + i
                memory.work.states[row] = state[0]
                kept = read_rows(replay, np.array([row]), memory.plan.scale).astype(memory.raw.dtype)
                self._iteration.look(self.handed(memory), kept[0], seen[0])
                see_alone(self.step_kernel, memory.nets.q, seen, state)
                state *= replay.kinds[row] != NO_STEP
        return self

    # Acting.

    @property
    def remembers(self) -> bool:
        """It has a memory."""
        return True

    def running_state(self) -> HiddenState:
        """What it remembers of the episode in its own environment."""
        return HiddenState.of(self.memory.nets.q.state[:1], np.zeros((1, 0), np.float32), self.recurrent_size)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The agent's action, and its state after the observation; see `Agent.predict`."""
        probe, after = self._seen(observation, state, episode_start)
        return self.actions_of(probe, observation, deterministic, action_masks), after

    def probe(self, observation: Any, state: Any = None, episode_start: Any = None) -> Probe:
        """Action values, the greatest of them, and the memory; after ``state``, or at the start of an episode."""
        return self._seen(observation, state, episode_start)[0]

    def critic_values(
        self, observations: Any, actions: Any = None, *, target: bool = False, state: Any = None,
        episode_start: Any = None,
    ) -> Any:  # fmt: skip
        """q̂ of the network or its older copy after ``state``, [1, B, A]; see `Agent.critic_values`."""
        x, nets = self._network_inputs(observations), self.memory.nets
        widths = (self.state_size(), 0)
        states, _ = given_states("RecurrentDQN", len(x), state, episode_start, widths, self.recurrent_size)
        return self._values(nets.target if target else nets.q, x, states)[None]

    def td_errors(self, stored: StoredSteps) -> Array:
        """r + γ max_a q̂'(S', a) - q̂(S, A) of stored steps, float64 [N]; each network goes on from the kept state."""
        (q, target), rows = self.memory.nets, np.arange(len(stored.obs))
        obs, next_obs = (self._network_inputs(seen) for seen in (stored.obs, stored.next_obs))
        kept = self.memory.work.states[stored.rows]
        states = kept.copy()
        now = self._values(q, obs, kept.copy())[rows, stored.actions[:, 0].astype(int)]
        self._values(target, obs, states)
        after = self._values(target, next_obs, states).max(axis=1)
        return stored.rewards + self.gamma * after * ~stored.terminated - now

    def _values(self, net: Any, x: Floats, states: Floats) -> Array:
        """q̂ of a network [B, A]; the states [B, S] move on in place."""
        outputs, n = see_alone(self.step_kernel, net, x, states), self.memory.work.n_actions
        if self.dueling:
            combine_streams(outputs, n, 1)
        return outputs[:, :n].astype(np.float64)

    def _seen(self, observation: Any, state: Any, episode_start: Any) -> tuple[Probe, HiddenState]:
        """What it thinks of what it sees, and its state after that."""
        x, units = self._network_inputs(observation), self.recurrent_size
        states, none = given_states("RecurrentDQN", len(x), state, episode_start, (self.state_size(), 0), units)
        q = self._values(self.memory.nets.q, x, states)
        after = HiddenState.of(states, none, units)
        memory = np.stack(after)[:, 0].swapaxes(0, 1).astype(np.float64)  # [B, 1 or 2, H]
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_values=q, value=q.max(axis=1), features=features, memory=memory), after

    # Files.

    def arrays(self) -> StateArrays:
        """As every off-policy agent, the hidden states now, and those before what is kept."""
        found, replay = super().arrays(), self.memory.replay
        rows = int(replay.filled.max()) * len(replay.filled)
        return {**found, "q/state": self.memory.nets.q.state, "replay/states": self.memory.work.states[:rows]}


__all__ = ["RecurrentDQN", "make_rule"]
