"""One step of an off-policy agent, two executions.

`iteration` writes a step of all environments once, over an agent's own rule: how it acts, and one update from a batch.
Compiled, it is part of one native loop (`rlplay.compiled.vector_loop`); as plain Python the same lines run a torch
network, or any Gymnasium environment.

    choose   a random action for each environment up to ``learning_starts`` steps, then as the agent explores
    finish   keep the step in the replay buffer; after every ``train_freq`` steps: draw a batch and update from it,
             ``gradient_steps`` times

How batches are drawn is in `rlplay.functional.batches`, for agents with a memory in `rlplay.functional.replay_windows`,
and with other goals in `rlplay.functional.hindsight`.

Source: Mnih et al. 2015, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.by_reference import by_reference
from rlplay.compiled.cache import in_place, own_code
from rlplay.compiled.pcg64 import random
from rlplay.compiled.vector_loop import StepBuffer
from rlplay.functional.batches import Options, as_priorities, drawing_steps
from rlplay.functional.hindsight import Goals
from rlplay.functional.replay import Replay, close_step, keep_bytes, keep_newest, keep_numbers, open_slot
from rlplay.functional.running_moments import RunningMoments, observe_batch, scale_rewards
from rlplay.functional.sum_tree import set_priorities
from rlplay.functional.vector_step import Decorator, FeatureState, Iteration, sight

Whole = NDArray[np.int64]


class Plan(NamedTuple):
    """When an agent learns, and from what.

    Attributes:
        learning_starts: steps before the first update.
        random_steps: steps with random actions.
        train_freq: steps of each environment, or episodes, from one update to the next.
        by_episode: whether they are episodes.
        gradient_steps: batches an update; -1 for as many as there were steps.
        n_steps: of a return.
        gamma: discount.
        scale: what a byte of the replay buffer is worth, where observations are kept in bytes.
        alpha: exponent of the priorities.
        beta: exponent of the weights at the start; it rises to 1.
        beta_steps: within so many steps.
        epsilon: what is added to the size of a TD error.

    Example:
        >>> from agents import DQN
        >>> plan = DQN("CartPole-v1", train_freq=[2, "episode"], n_steps=3, seed=0).memory.plan
        >>> plan.train_freq, plan.by_episode, plan.n_steps
        (2, True, 3)
    """

    learning_starts: int
    random_steps: int
    train_freq: int
    by_episode: bool
    gradient_steps: int
    n_steps: int
    gamma: float
    scale: float
    alpha: float = 0.0
    beta: float = 1.0
    beta_steps: int = 1
    epsilon: float = 1e-6


class Counters(NamedTuple):
    """What has been counted, int64 [1] each.

    Attributes:
        steps: kept in the replay buffer so far, also those that were forgotten.
        rounds: steps of all environments at once.
        since: rounds since the last update was due.
        episodes: that ended since then.

    Example:
        >>> counts = np.zeros(4, np.int64)
        >>> counters = Counters(*(counts[i : i + 1] for i in range(4)))
        >>> counters.rounds[0] += 1  # what is counted is kept in one array
        >>> counts.tolist()
        [0, 1, 0, 0]
    """

    steps: Whole
    rounds: Whole
    since: Whole
    episodes: Whole


class OffPolicyMemory(NamedTuple):
    """What an off-policy agent works on; N environments, D numbers an observation, F features, A an action, K outputs.

    Attributes:
        nets: the networks, a NamedTuple of the agent's own.
        work: the agent's own arrays, a NamedTuple.
        settings: the agent's own hyperparameters, a NamedTuple.
        metrics: numbers of the last update, a NamedTuple of the agent's own, float64 [1] each; with loss, grad_norm and
            n_updates.
        plan: when it learns, and from what.
        counters: what has been counted.
        replay: what it has seen.
        batch: what was drawn last, a `rlplay.functional.batches.Batch` where the rule does not draw otherwise.
        obs: what the networks see now, float32 [N, F].
        raw: room for one observation, [D].
        masks: what is added to the values of actions now, float32 [N, K], or [0, K].
        final_masks: the same at the last observations of the episodes that ended, float32 [N, K], or [0, K].
        actions: chosen last, as the environment takes them, float32 [N, A].
        low, high: bounds of random actions, float32 [A]; of numbered ones high is how many there are.
        rewards, ends: of the last step, float64 [N] and bool [N].
        moments: running moments of observations and returns.
        features: the feature map, or None.
        goals: what is put in place of goals in hindsight, or None; see `rlplay.functional.hindsight`.
        progress: of training, at the last step, float64 [1].
        action_rng, replay_rng, noise_rng: streams of random numbers, uint64 [4].

    Example:
        >>> from agents import DQN
        >>> memory = DQN("CartPole-v1", n_envs=2, net_arch=[4], batch_size=4, buffer_size=100, seed=0).memory
        >>> memory.obs.shape, memory.replay.obs.shape, memory.batch.obs.shape
        ((2, 4), (100, 4), (4, 4))
    """

    nets: Any
    work: Any
    settings: Any
    metrics: Any
    plan: Plan
    counters: Counters
    replay: Replay
    batch: Any
    obs: NDArray[np.float32]
    raw: NDArray[Any]
    masks: NDArray[np.float32]
    final_masks: NDArray[np.float32]
    actions: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    rewards: NDArray[np.float64]
    ends: NDArray[np.bool_]
    moments: RunningMoments
    features: FeatureState | None
    goals: Goals | None
    progress: NDArray[np.float64]
    action_rng: NDArray[np.uint64]
    replay_rng: NDArray[np.uint64]
    noise_rng: NDArray[np.uint64]


class OffPolicyRule(NamedTuple):
    """What an agent supplies, compiled or plain.

    Attributes:
        act: ``act(memory)`` writes ``memory.actions`` [N, A] as the agent explores, from ``memory.obs`` and
            ``memory.progress``.
        after_step: ``after_step(memory)`` once every step of all environments, before the updates.
        update: ``update(memory, batch, progress)``: one gradient step; it writes ``batch.td_errors`` where the agent
            has priorities, and the metrics.
        drawing: ``drawing(options, decorator, look) -> draw``: how its batches are drawn, ``draw(memory, batch)``.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DQN("CartPole-v1", n_envs=2, net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = DQN.make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.update(agent.memory, agent.memory.batch, 0.0)
        >>> agent.memory.metrics.n_updates.tolist()
        [1.0]
    """

    act: Callable[[OffPolicyMemory], None]
    after_step: Callable[[OffPolicyMemory], None]
    update: Callable[[OffPolicyMemory, Any, float], None]
    drawing: Callable[..., Callable[..., None]] = drawing_steps


class OffPolicyIteration(NamedTuple):
    """`rlplay.functional.vector_step.Iteration`, and what opens an episode.

    Attributes:
        choose, finish, look, learn: see there; ``learn(memory, progress, times)`` takes so many gradient steps.
        update: ``update(memory, batch, progress)``: one gradient step, from a batch.
        begin: ``begin(memory, step_buffer)`` keeps the first observation of every environment.
        draw: ``draw(memory, batch)`` fills a batch.
        learn_offline: ``learn_offline(memory, first, horizon, times)``: so many gradient steps from what the replay
            buffer holds, and no step of an environment; fewer where numbers are not finite. Returns how many.
        keep_step, goes_on: the parts of ``finish`` before and after its gradient steps: ``keep_step(memory,
            step_buffer, progress)`` says how many of them are due, ``goes_on(memory)`` whether the loop may go on.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain
        >>> agent = DQN("CartPole-v1", batch_size=4, buffer_size=100, seed=0).remember("follow-the-pole:50")
        >>> rule = DQN.make_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> iteration(rule, Options(True, False, False), plain).draw(agent.memory, agent.memory.batch)
        >>> agent.memory.batch.rewards.tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    choose: Callable[..., None]
    finish: Callable[..., bool]
    look: Callable[..., None]
    learn: Callable[..., None]
    update: Callable[..., None]
    begin: Callable[..., None]
    draw: Callable[..., None]
    learn_offline: Callable[..., int]
    keep_step: Callable[..., int]
    goes_on: Callable[..., bool]


@in_place
def random_number(masks: NDArray[np.float32], i: int, n: int, rng: NDArray[np.uint64]) -> int:
    """One of n actions that may be taken, all equally likely; masks [N, n], or [0, n].

    Example:
        >>> masks = np.float32([[-1e8, 0]])
        >>> random_number(masks, 0, 2, np.arange(1, 5, dtype=np.uint64))
        1
    """
    action = int(random(rng) * n)
    while masks.shape[0] > 0 and masks[i, action] < 0.0:
        action = int(random(rng) * n)
    return action


@in_place
def act_by_number(
    actions: NDArray[np.float32], masks: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32],
    rng: NDArray[np.uint64],
) -> None:  # fmt: skip
    """A random action for each environment, of those that may be taken, into [N, 1]."""
    for i in range(actions.shape[0]):
        actions[i, 0] = random_number(masks, i, int(high[0]), rng)


@in_place
def act_in_box(
    actions: NDArray[np.float32], masks: NDArray[np.float32], low: NDArray[np.float32], high: NDArray[np.float32],
    rng: NDArray[np.uint64],
) -> None:  # fmt: skip
    """A random action for each environment, uniform between its bounds, into [N, A]."""
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            actions[i, j] = low[j] + (high[j] - low[j]) * random(rng)


@in_place
def keep_mask(replay: Replay, row: int, masks: NDArray[np.float32], i: int) -> None:
    """Row i of masks [N, K] into a row."""
    for k in range(masks.shape[1]):
        replay.forbidden[row, k] = masks[i, k] < 0.0


@cache
def iteration(
    rule: OffPolicyRule, options: Options, decorator: Decorator, fill: Callable[..., None] | None = None
) -> OffPolicyIteration:
    """The step over an agent's rule.

    Args:
        rule: its functions, compiled where ``decorator`` is `rlplay.compiled.cache.compiled`.
        options: what is decided when it is compiled.
        decorator: ``compiled``, or `rlplay.functional.vector_step.plain`.
        fill: the function of a feature map, ``fill(codes, point [D], out [F])``.

    Example:
        >>> from agents import DQN
        >>> from rlplay.functional.vector_step import plain
        >>> memory = DQN("CartPole-v1", n_envs=2, learning_starts=0, buffer_size=100, seed=0).memory
        >>> rule = OffPolicyRule(lambda memory: memory.actions.fill(1), lambda memory: None, lambda *given: None)
        >>> iteration(rule, Options(True, False, False), plain).choose(memory)
        >>> memory.actions.tolist()
        [[1.0], [1.0]]
    """
    act, after_step, update, drawing = rule
    discrete, prioritized, in_bytes, in_stacks = options
    look, keep, is_due = sight(decorator, fill)
    draw = drawing(options, decorator, look)
    keep_obs = keep_newest if in_stacks else keep_bytes if in_bytes else keep_numbers
    act_at_random = act_by_number if discrete else act_in_box

    @decorator
    def keep_slot(memory: OffPolicyMemory, i: int, obs: NDArray[Any], masks: NDArray[np.float32]) -> None:
        """The next observation of an environment, and what may be done there."""
        row = open_slot(memory.replay, i, prioritized)
        keep_obs(memory.replay, row, obs, i, memory.plan.scale)
        if masks.shape[0] > 0:
            keep_mask(memory.replay, row, masks, i)

    @decorator
    def begin(memory: OffPolicyMemory, step_buffer: StepBuffer) -> None:
        """Keep the first observation of every environment."""
        memory, step_buffer = by_reference(memory), by_reference(step_buffer)
        for i in range(memory.obs.shape[0]):
            keep_slot(memory, i, step_buffer.obs, memory.masks)

    @decorator
    def choose(memory: OffPolicyMemory) -> None:
        """An action for each environment."""
        memory = by_reference(memory)
        if memory.counters.steps[0] < memory.plan.random_steps:
            act_at_random(memory.actions, memory.masks, memory.low, memory.high, memory.action_rng)
        else:
            act(memory)

    @own_code
    @decorator
    def learn(memory: OffPolicyMemory, progress: float, times: int) -> None:
        """So many gradient steps."""
        batch, plan = memory.batch, memory.plan
        for _ in range(times):
            draw(memory, batch)
            update(memory, batch, progress)
            if prioritized:
                as_priorities(batch.td_errors, plan.alpha, plan.epsilon)
                set_priorities(memory.replay.priorities, batch.rows, batch.td_errors)

    @decorator
    def keep_step(memory: OffPolicyMemory, step_buffer: StepBuffer, progress: float) -> int:
        """Keep a step of all environments; how many gradient steps are due."""
        memory, step_buffer = by_reference(memory), by_reference(step_buffer)
        counters, plan, n = memory.counters, memory.plan, memory.obs.shape[0]
        for i in range(n):
            terminated, truncated = step_buffer.terminated[i], step_buffer.truncated[i]
            close_step(
                memory.replay, i, memory.actions, step_buffer.rewards[i], terminated, truncated, prioritized
            )  # fmt: skip
            memory.rewards[i], memory.ends[i] = step_buffer.rewards[i], terminated or truncated
            keep(memory, step_buffer.final[i] if memory.ends[i] else step_buffer.obs[i])
            if memory.ends[i]:
                keep_slot(memory, i, step_buffer.final, memory.final_masks)
                counters.episodes[0] += 1
            keep_slot(memory, i, step_buffer.obs, memory.masks)
        observe_batch(memory.moments, step_buffer.obs)
        scale_rewards(memory.moments, memory.rewards, memory.ends)
        for i in range(n):
            look(memory, step_buffer.obs[i], memory.obs[i])
        counters.steps[0] += n
        counters.rounds[0] += 1
        counters.since[0] += 1
        memory.progress[0] = progress
        after_step(memory)

        if (counters.episodes[0] if plan.by_episode else counters.since[0]) < plan.train_freq:
            return 0
        times = plan.gradient_steps if plan.gradient_steps >= 0 else counters.since[0] * n
        counters.since[0], counters.episodes[0] = 0, 0
        return times if counters.steps[0] > plan.learning_starts else 0

    @decorator
    def goes_on(memory: OffPolicyMemory) -> bool:
        """Whether numbers are finite, and the feature map need not be fitted again."""
        metrics = memory.metrics
        return bool(np.isfinite(metrics.loss[0]) and np.isfinite(metrics.grad_norm[0])) and not is_due(memory)

    @decorator
    def finish(memory: OffPolicyMemory, step_buffer: StepBuffer, progress: float) -> bool:
        """Keep a step of all environments, and learn where that is due."""
        memory, step_buffer = by_reference(memory), by_reference(step_buffer)
        times = keep_step(memory, step_buffer, progress)
        if times > 0:
            learn(memory, progress, times)
        return goes_on(memory)

    @decorator
    def learn_offline(memory: OffPolicyMemory, first: int, horizon: float, times: int) -> int:
        """So many gradient steps after the first ones; what follows a step of all environments follows each."""
        memory = by_reference(memory)
        for done in range(times):
            memory.progress[0] = (first + done + 1) / horizon
            learn(memory, memory.progress[0], 1)
            memory.counters.rounds[0] += 1
            after_step(memory)
            if not (np.isfinite(memory.metrics.loss[0]) and np.isfinite(memory.metrics.grad_norm[0])):
                return done + 1
        return times

    return OffPolicyIteration(choose, finish, look, learn, update, begin, draw, learn_offline, keep_step, goes_on)


__all__ = [
    "Counters", "Iteration", "OffPolicyIteration", "OffPolicyMemory", "OffPolicyRule", "Plan", "iteration",
    "random_number",
]  # fmt: skip
