"""The policy of a soft actor-critic whose noise depends on the state, from its hyperparameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rlplay.agent.network_optimisers import optimiser_of
from rlplay.agent.off_policy import OffPolicyAgent
from rlplay.agent.policy_networks import is_ours
from rlplay.errors import HyperparameterError
from rlplay.functional.squashed_state_noise import SmoothActor, find_spread
from rlplay.networks.layers import Layer
from rlplay.networks.memory import OUT
from rlplay.networks.optimisers import new_optimiser
from rlplay.seeding import generator

SDE_SETTINGS = "log_std_init", "clip_mean", "use_expln"  # of policy_kwargs


def smooth_actor(
    agent: OffPolicyAgent, layers: list[Layer], new: Callable[[list[Layer], int], Any], rest: dict[str, Any]
) -> SmoothActor:
    """A policy with state-dependent noise.

    Args:
        agent: whose hyperparameters are read.
        layers: of the policy; the last one gives the means.
        new: makes a network of layers for so many rows at most.
        rest: what ``policy_kwargs`` says beside the layers.

    Raises:
        HyperparameterError: networks over torch, no hidden layer, or settings that do not go together.

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", use_sde=True, policy_kwargs={"log_std_init": -2}, buffer_size=500, seed=0)
        >>> float(agent.memory.nets.actor.log_std[0])
        -2.0
    """
    given, name = agent.hyperparameters, type(agent).__name__
    if not is_ours(agent.network):
        raise HyperparameterError(
            f"{name}: use_sde=True is for our own networks", f"Leave network out, or take --algo sb3/{agent.id}"
        )
    if given.get("batch_renorm", False):
        raise HyperparameterError(f"{name}: use_sde and batch_renorm do not go together", "Leave one of them out")
    if len(layers) < 2:
        raise HyperparameterError(f"{name}: use_sde=True needs a hidden layer in front of the actions", "Give net_arch")
    expln = rest.get("use_expln", False)
    if not isinstance(expln, bool):
        raise HyperparameterError(f"{name}: use_expln={expln!r} of policy_kwargs is not True or False")
    numbers = {"log_std_init": -3.0, "clip_mean": 2.0} | {
        k: v for k, v in rest.items() if k in ("log_std_init", "clip_mean")
    }
    for key, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= 20:
            raise HyperparameterError(f"{name}: {key}={value!r} of policy_kwargs is not a number from -20 to 20")
    optimiser, optimiser_settings = optimiser_of(agent)
    rows, n = agent.network_rows(), len(agent.running_envs())
    core, head = new(layers[:-1], rows), new(layers[-1:], rows)
    units, size = int(core.layers[-1, OUT]), int(head.layers[-1, OUT])
    log_std = np.full(units * size, numbers["log_std_init"], np.float32)
    log_spread = np.empty_like(log_std)
    find_spread(log_std, expln, log_spread)
    drawn = np.exp(log_spread[0]) * generator(agent.seed, "state noise").standard_normal((n, units, size))
    return SmoothActor(
        core=core, head=head, log_std=log_std, log_spread=log_spread, log_std_gradient=np.zeros_like(log_std),
        log_std_optimiser=new_optimiser(len(log_std), optimiser, **optimiser_settings),
        squares=np.exp(2.0 * log_spread.astype(np.float64)), matrices=drawn.astype(np.float32),
        matrix=np.zeros((1, units, size), np.float32), sample_freq=max(int(given.get("sde_sample_freq", -1)), 0),
        clip_mean=float(numbers["clip_mean"]), expln=expln,
    )  # fmt: skip


__all__ = ["SDE_SETTINGS", "smooth_actor"]
