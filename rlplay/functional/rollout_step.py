"""One iteration of an agent that learns from rollouts, two executions.

`rollout_iteration` writes a step of all environments once, over an agent's own functions. Compiled, it is part of one
native loop (`rlplay.compiled.vector_loop`); as plain Python the same lines run a torch network, or any Gymnasium
environment.

    choose   an action for each environment
    finish   keep the step; when the rollout is full, value what comes after it, and learn

The rollout is full at its last row; an agent that learns from whole episodes (``least_rows`` or more) ends it earlier.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from rlplay.compiled.by_reference import by_reference
from rlplay.compiled.cache import own_code
from rlplay.compiled.vector_loop import StepBuffer
from rlplay.functional.rollout import all_true, copy_row, first_rows
from rlplay.functional.running_moments import observe_batch, scale_rewards
from rlplay.functional.vector_step import Decorator, Iteration, sight


class RolloutRule(NamedTuple):
    """What an agent supplies, compiled or plain.

    Its ``memory`` has rollout, obs, masks, actions, rewards, moments, features, least_rows and metrics, which
    `rlplay.functional.on_policy_step.OnPolicyMemory` describes.

    Attributes:
        choose: ``choose(memory)`` takes it by reference, writes ``memory.actions`` [N, A], and into the next N rows of
            the rollout what belongs to the choice: masks, log-probabilities, values.
        final_value: ``final_value(memory, i) -> float`` of ``memory.obs[i]``, where a time limit cut the episode of
            environment i.
        bootstrap: ``bootstrap(memory, rollout, first)`` writes the values of ``memory.obs`` [N] as the bootstrap
            values of the N rows from ``first`` on, but for those in which an episode ended.
        learn: ``learn(memory, rollout, progress)`` from a full rollout with its bootstrap values.

    Example:
        >>> from agents.pqn import PQN, make_rule
        >>> from rlplay.functional.vector_step import plain
        >>> agent = PQN("CartPole-v1", n_envs=2, n_steps=4, batch_size=4, net_arch=[4], seed=0)
        >>> rule = make_rule(agent.kernel, plain)
        >>> rule.choose(agent.memory)
        >>> agent.memory.actions.shape
        (2, 1)
    """

    choose: Callable[..., None]
    final_value: Callable[..., float]
    bootstrap: Callable[..., None]
    learn: Callable[..., None]


def rollout_iteration(
    rule: RolloutRule, decorator: Decorator, fill: Callable[..., None] | None = None
) -> Iteration:  # fmt: skip
    """The step over an agent's rule.

    Args:
        rule: its functions, compiled where ``decorator`` is `rlplay.compiled.cache.compiled`.
        decorator: ``compiled``, or `rlplay.functional.vector_step.plain`.
        fill: the function of a feature map, ``fill(codes, point [D], out [F])``.

    Example:
        >>> from agents import A2C
        >>> from rlplay.functional.vector_step import plain
        >>> memory = A2C("CartPole-v1", n_envs=2, seed=0).memory
        >>> rule = RolloutRule(lambda memory: memory.actions.fill(1), *[lambda *given: 0.0] * 3)
        >>> rollout_iteration(rule, plain).choose(memory)
        >>> memory.actions.tolist()
        [[1.0], [1.0]]
    """
    choose, final_value, bootstrap, learn = rule
    look, keep, is_due = sight(decorator, fill)

    @own_code
    @decorator
    def learn_from(memory: Any, first: int, rows: int, progress: float) -> None:
        """Learn from so many rows; the last step of all environments begins at row ``first``."""
        rollout = by_reference(first_rows(memory.rollout, rows))
        bootstrap(memory, rollout, first)
        memory.rollout.filled[0] = 0
        learn(memory, rollout, progress)

    @decorator
    def finish(memory: Any, step_buffer: StepBuffer, progress: float) -> bool:
        """Keep a step of all environments, and learn when the rollout is full."""
        memory, step_buffer = by_reference(memory), by_reference(step_buffer)
        rollout, n = memory.rollout, memory.obs.shape[0]
        first = rollout.filled[0]
        ends = rollout.ends[first : first + n]
        for i in range(n):
            row = first + i
            copy_row(memory.obs, i, rollout.obs, row)
            copy_row(memory.actions, i, rollout.actions, row)
            ends[i] = step_buffer.terminated[i] or step_buffer.truncated[i]
            memory.rewards[i] = step_buffer.rewards[i]
            keep(memory, step_buffer.final[i] if ends[i] else step_buffer.obs[i])
        observe_batch(memory.moments, step_buffer.obs)
        scale_rewards(memory.moments, memory.rewards, ends)
        for i in range(n):
            row = first + i
            rollout.rewards[row], rollout.bootstrap_values[row] = memory.rewards[i], 0.0
            if ends[i] and not step_buffer.terminated[i]:  # a time limit: the value of where it was cut
                look(memory, step_buffer.final[i], memory.obs[i])
                rollout.bootstrap_values[row] = final_value(memory, i)
            look(memory, step_buffer.obs[i], memory.obs[i])
        rows = first + n
        rollout.filled[0] = rows
        if rows < rollout.rewards.shape[0] and not (rows >= memory.least_rows and all_true(ends)):
            return True

        learn_from(memory, first, rows, progress)
        healthy = bool(np.isfinite(memory.metrics.loss[0]) and np.isfinite(memory.metrics.grad_norm[0]))
        return healthy and not is_due(memory)

    return Iteration(choose, finish, look, learn_from)


__all__ = ["RolloutRule", "rollout_iteration"]
