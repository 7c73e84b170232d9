"""One iteration of an on-policy agent with a memory: `rlplay.functional.on_policy_step`, and a state an environment.

    choose   before a window's first step its states are kept; h and c move on; draw an action from π(· | history),
             and value the history
    finish   where an episode ended, the state is 0; a time limit and the end of the rollout are valued from the state

The networks of `OnPolicyMemory` are each a `rlplay.networks.recurrent.RecurrentNet`; the value's may share the policy's
core, which runs first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.by_reference import by_reference
from rlplay.compiled.cache import in_place
from rlplay.functional.distributions import Head
from rlplay.functional.on_policy_step import OnPolicyMemory
from rlplay.functional.rollout import Rollout, copy_row, count_up, forbid, generalised_advantages
from rlplay.functional.rollout_step import RolloutRule, rollout_iteration
from rlplay.functional.sequences import taking_up
from rlplay.functional.vector_step import Decorator, Iteration
from rlplay.networks.recurrent import RecurrentKernel, RecurrentNet


@in_place
def forget_row(states: NDArray[np.float32], i: int) -> None:
    """State i is 0 again, [N, S].

    Example:
        >>> states = np.ones((2, 1), np.float32)
        >>> forget_row(states, 1)
        >>> states.tolist()
        [[1.0], [0.0]]
    """
    for k in range(states.shape[1]):
        states[i, k] = 0.0


@cache
def recurrent_iteration(
    kernel: RecurrentKernel, head: Head, make_update: Callable[..., Callable[..., None]], decorator: Decorator,
    fill: Callable[..., None] | None = None,
) -> Iteration:  # fmt: skip
    """The step over a network with a memory; see `rlplay.functional.on_policy_step.iteration`.

    Example:
        >>> from agents import A2C
        >>> from rlplay.functional.distributions import CATEGORICAL
        >>> from rlplay.functional.vector_step import plain
        >>> agent = A2C("CartPole-v1", n_envs=2, recurrent="gru", recurrent_size=4, net_arch=[4], seed=0)
        >>> agent.memory.obs[:] = 1.0
        >>> recurrent_iteration(agent.step_kernel, CATEGORICAL, A2C.make_update, plain).choose(agent.memory)
        >>> bool(agent.memory.policy.state.any())  # it has seen something
        True
    """
    forward, begin, end = kernel.forward, kernel.begin, kernel.end
    sample, log_probs = head.sample, head.log_probs
    update, take_up = make_update(kernel, head, decorator), taking_up(kernel, decorator)

    @decorator
    def keep(net: RecurrentNet, step: int) -> None:
        """The states in which a window begins."""
        if step % net.window == 0:
            window = step // net.window
            for i in range(net.state.shape[0]):
                copy_row(net.state, i, net.kept[window], i)

    @decorator
    def forget_ended(memory: OnPolicyMemory, rollout: Rollout, first: int) -> None:
        """States are 0 where an episode ended in the N rows from ``first`` on."""
        for i in range(memory.obs.shape[0]):
            if rollout.ends[first + i]:
                forget_row(memory.policy.state, i)
                forget_row(memory.value.state, i)

    @decorator
    def choose(memory: OnPolicyMemory) -> None:
        """Draw an action for each environment, and value what it has seen."""
        memory = by_reference(memory)
        rollout, first, n = memory.rollout, memory.rollout.filled[0], memory.obs.shape[0]
        policy, value, none = memory.policy, memory.value, np.zeros(0, np.bool_)
        if first > 0:
            forget_ended(memory, rollout, first - n)
        keep(policy, first // n)
        keep(value, first // n)
        begin(policy, policy.state, none, 1)
        outputs = forward(policy, memory.obs)
        end(policy, policy.state)
        if memory.masks.shape[0] > 0:  # kept now: after the step they are those of what comes next
            forbid(outputs, memory.masks)
            for i in range(n):
                copy_row(memory.masks, i, rollout.masks, first + i)
        for i in range(n):
            sample(outputs[i], memory.spread, memory.action_rng, memory.actions[i])
        log_probs(outputs, memory.spread, memory.actions, memory.output_gradient, memory.log_probs, memory.entropies)
        begin(value, value.state, none, 1)
        values = forward(value, memory.obs)
        end(value, value.state)
        for i in range(n):
            rollout.log_probs[first + i] = memory.log_probs[i]
            rollout.values[first + i] = values[i, 0]

    @decorator
    def values_of(memory: OnPolicyMemory, first: int, last: int) -> Any:
        """v̂ of what some environments show now, after what they have shown; no state moves on."""
        policy, value, none = memory.policy, memory.value, np.zeros(0, np.bool_)
        if value.shares:
            begin(policy, policy.state[first:last], none, 1)
            forward(policy, memory.obs[first:last])
        begin(value, value.state[first:last], none, 1)
        return forward(value, memory.obs[first:last])

    @decorator
    def final_value(memory: OnPolicyMemory, i: int) -> float:
        """v̂ of what environment i showed last."""
        return values_of(memory, i, i + 1)[0, 0]

    @decorator
    def bootstrap(memory: OnPolicyMemory, rollout: Rollout, first: int) -> None:
        """v̂ of what all environments show now."""
        n = memory.obs.shape[0]
        values = values_of(memory, 0, n)
        for i in range(n):
            if not rollout.ends[first + i]:
                rollout.bootstrap_values[first + i] = values[i, 0]

    @decorator
    def learn(memory: OnPolicyMemory, rollout: Rollout, progress: float) -> None:
        """Estimate advantages, update over whole sequences."""
        n, rows = memory.obs.shape[0], rollout.rewards.shape[0]
        generalised_advantages(rollout, n, memory.gamma, memory.gae_lambda)
        every = np.empty(rows, np.int64)
        count_up(every)
        if rows <= n * memory.policy.window:  # updates over the whole rollout at once find it taken up
            take_up(memory.policy, rollout.ends, every, rows // n)
            take_up(memory.value, rollout.ends, every, rows // n)
        update(memory, rollout, progress)
        forget_ended(memory, rollout, rows - n)

    return rollout_iteration(RolloutRule(choose, final_value, bootstrap, learn), decorator, fill)


__all__ = ["recurrent_iteration"]
