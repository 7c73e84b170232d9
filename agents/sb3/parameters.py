"""What Stable-Baselines3's parameters mean, which values they take, and how it wants them."""

from __future__ import annotations

import copy
import inspect
from typing import Any, get_args

import numpy as np
import torch
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise, VectorizedActionNoise

from rlplay.extend import (
    Choice,
    Discount,
    Domain,
    Either,
    Hyperparameter,
    LearningRate,
    Range,
    Settings,
    scheduled,
    tabulate,
)

# Of Stable-Baselines3's own parameters; those that stand in an algorithm's signature are its hyperparameters.
DOMAINS: dict[str, Domain] = {
    "learning_rate": get_args(LearningRate)[1],
    "gamma": get_args(Discount)[1],
    "n_steps": Range("steps a rollout in each environment; for replay buffers, steps of a return", 1, integer=True),
    "batch_size": Range("samples a gradient step", 1, integer=True),
    "n_epochs": Range("passes over a rollout", 1, integer=True),
    "gae_lambda": Range("λ of generalised advantage estimation", 0, 1),
    "clip_range": Range("how far the ratio of probabilities may leave 1", 0, open_low=True, schedule=True),
    "clip_range_vf": Either((None,), Range("how far values may move a rollout", 0, open_low=True, schedule=True)),
    "normalize_advantage": Choice("divide advantages by their deviation in the batch", (True, False)),
    "ent_coef": Either(("auto",), Range("weight of the policy's entropy; SAC: auto learns it", 0)),
    "vf_coef": Range("weight of the value loss", 0),
    "max_grad_norm": Range("longest gradient", 0, open_low=True),
    "target_kl": Either((None,), Range("divergence of the policy at which a rollout's epochs end", 0, open_low=True)),
    "use_sde": Choice("explore by noise that depends on the state", (True, False)),
    "sde_sample_freq": Range("steps between draws of that noise; -1: once a rollout", -1, integer=True),
    "use_sde_at_warmup": Choice("use that noise before learning starts", (True, False)),
    "rms_prop_eps": Range("ε of RMSProp", 0, open_low=True),
    "use_rms_prop": Choice("RMSProp in place of Adam", (True, False)),
    "buffer_size": Range("transitions that are remembered", 1, integer=True),
    "learning_starts": Range("timesteps of random actions before learning", 0, integer=True),
    "tau": Range("how far the target network moves an update", 0, 1),
    "train_freq": Either((), Range("steps between updates, or [n, episode]", 1, integer=True), ("step", "episode")),
    "gradient_steps": Range("gradient steps an update; -1: as many as steps were taken", -1, integer=True),
    "optimize_memory_usage": Choice("keep each observation once", (False,)),
    "target_update_interval": Range("steps between updates of the target network", 1, integer=True),
    "exploration_fraction": Range("share of training over which ε falls", 0, 1),
    "exploration_initial_eps": Range("ε at the start", 0, 1),
    "exploration_final_eps": Range("ε at the end", 0, 1),
    "target_entropy": Either(("auto",), Range("entropy that SAC's coefficient aims at")),
    "policy_delay": Range("critic updates between policy updates", 1, integer=True),
    "target_policy_noise": Range("deviation of the noise on target actions", 0),
    "target_noise_clip": Range("bound of that noise", 0),
    "policy_kwargs": Either((None,), Settings("arguments of the policy: net_arch, activation_fn (nn.ReLU), ...")),
    "device": Choice("where the networks run", ("auto", "cpu", "cuda")),
}
# In place of ``action_noise``, an object; names as in RL Zoo's files.
NOISE = (
    Hyperparameter(
        "noise_type", None, Choice("noise on actions (SAC, TD3, DDPG)", (None, "normal", "ornstein-uhlenbeck"))
    ),
    Hyperparameter("noise_std", 0.1, Range("its standard deviation", 0)),
)
_NOISE_CLASSES = {"normal": NormalActionNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise}
_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
_ACTIVATIONS = {f"nn.{cls.__name__}": cls for cls in (torch.nn.ReLU, torch.nn.Tanh, torch.nn.ELU, torch.nn.LeakyReLU)}


def parameters_of(algorithm: type[Any]) -> list[Hyperparameter]:
    """The hyperparameters in the signature of an algorithm, with its own defaults."""
    signature = inspect.signature(algorithm).parameters
    found = [Hyperparameter(name, signature[name].default, DOMAINS[name]) for name in signature if name in DOMAINS]
    return [*found, *(NOISE if "action_noise" in signature else ())]


class Schedule:
    """A schedule as Stable-Baselines3 takes it: of the remaining progress."""

    def __init__(self, schedule: Any) -> None:
        self.values = tabulate(schedule)

    def __call__(self, remaining: float) -> float:
        """Its value with so much of the training to go, from 1 to 0."""
        return float(scheduled(self.values, min(max(1.0 - remaining, 0.0), 1.0)))


def constructor_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """Hyperparameters as the algorithm's constructor takes them, without the noise; ``policy_kwargs`` is a new dict."""
    found = {name: value for name, value in settings.items() if name in DOMAINS}
    for name in _SCHEDULES:
        if isinstance(found.get(name), str | list) or callable(found.get(name)):
            found[name] = Schedule(found[name])
    if isinstance(found.get("train_freq"), list):
        found["train_freq"] = tuple(found["train_freq"])
    of_policy = copy.deepcopy(found.get("policy_kwargs") or {})
    for name, value in of_policy.items():
        of_policy[name] = _ACTIVATIONS.get(value, value) if isinstance(value, str) else value
    return {**found, "policy_kwargs": of_policy}


def action_noise(kind: str, std: float, shape: tuple[int, ...], n_envs: int) -> Any:
    """Noise on the actions of so many environments, with mean 0."""
    mean = np.zeros(shape)
    noise = _NOISE_CLASSES[kind](mean, mean + std)
    return VectorizedActionNoise(noise, n_envs) if n_envs > 1 else noise
