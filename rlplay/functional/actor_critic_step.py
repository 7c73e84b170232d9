"""How an off-policy actor-critic acts while it learns: the functions around an agent's own update.

    soft            a = tanh(μ + σ ε), of the policy itself
    smooth          a = tanh(μ + h E), with a matrix E that is drawn now and then
    deterministic   a = π(s)

and in all noise may be added. Actions are in [-1, 1] here and are scaled to the bounds of the space.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from rlplay.functional.actor_critic import disturb, from_unit, rest
from rlplay.functional.off_policy_step import OffPolicyMemory, OffPolicyRule
from rlplay.functional.squashed_normal import draw_noise, squashed_sample
from rlplay.functional.squashed_state_noise import find_spread, squash
from rlplay.functional.state_noise import add_noise, draw_matrices
from rlplay.functional.vector_step import Decorator


class Spec(NamedTuple):
    """What is decided when a rule is compiled.

    Attributes:
        make_update: ``make_update(kernel, ensemble, decorator) -> update(memory, batch, progress)``.
        is_soft: whether actions are drawn from a squashed normal.
        is_smooth: whether by state-dependent noise (`rlplay.functional.squashed_state_noise`).

    Example:
        >>> from agents import SAC, TD3
        >>> [kind("Pendulum-v1", batch_size=4, buffer_size=100, seed=0).spec().is_soft for kind in (SAC, TD3)]
        [True, False]
    """

    make_update: Callable[..., Callable[..., None]]
    is_soft: bool
    is_smooth: bool = False


@cache
def actor_critic_rule(kernels: tuple[Any, ...], spec: Spec, decorator: Decorator) -> OffPolicyRule:
    """The rule over the functions of the actor, which come first, and of the critics, which come last but one.

    Example:
        >>> from agents import TD3
        >>> from rlplay.functional.vector_step import plain
        >>> agent = TD3("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> rule = actor_critic_rule(tuple(agent.kernels.values()), agent.spec(), plain)
        >>> rule.act(agent.memory)
        >>> bool((abs(agent.memory.actions) <= 2.0).all())  # the bounds of Pendulum-v1
        True
    """
    forward = kernels[0].forward
    update = spec.make_update(kernels[0], kernels[-2], decorator)

    @decorator
    def act_softly(memory: OffPolicyMemory) -> None:
        """Draw an action for each environment."""
        work, given = memory.work, memory.settings
        draw_noise(memory.action_rng, work.act_draws)
        squashed_sample(forward(memory.nets.actor, memory.obs), work.act_draws, memory.actions, work.act_log_probs)
        disturb(memory.actions, work.action_noise, given.noise_kind, given.noise_std, memory.action_rng)
        from_unit(memory.actions, memory.low, memory.high)

    @decorator
    def act_smoothly(memory: OffPolicyMemory) -> None:
        """An action for each environment, by its matrix of noise."""
        work, given, actor = memory.work, memory.settings, memory.nets.actor
        since = memory.counters.since[0]
        if since == 0 or (actor.sample_freq > 0 and since % actor.sample_freq == 0):
            find_spread(actor.log_std, actor.expln, actor.log_spread)
            draw_matrices(actor.matrices, actor.log_spread, memory.action_rng)
        add_noise(forward(actor, memory.obs), actor.matrices, memory.actions)
        squash(memory.actions)
        disturb(memory.actions, work.action_noise, given.noise_kind, given.noise_std, memory.action_rng)
        from_unit(memory.actions, memory.low, memory.high)

    @decorator
    def act_with_noise(memory: OffPolicyMemory) -> None:
        """The actor's action for each environment, disturbed."""
        work, given = memory.work, memory.settings
        memory.actions[:] = forward(memory.nets.actor, memory.obs)
        disturb(memory.actions, work.action_noise, given.noise_kind, given.noise_std, memory.action_rng)
        from_unit(memory.actions, memory.low, memory.high)

    @decorator
    def after_step(memory: OffPolicyMemory) -> None:
        """Noise begins anew with each episode."""
        rest(memory.work.action_noise, memory.ends)

    act = act_smoothly if spec.is_smooth else act_softly if spec.is_soft else act_with_noise
    return OffPolicyRule(act, after_step, update)


__all__ = ["Spec", "actor_critic_rule"]
