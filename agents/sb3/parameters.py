"""What Stable-Baselines3's parameters mean, which values they take, and how it wants them."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.noise import NormalActionNoise, OrnsteinUhlenbeckActionNoise, VectorizedActionNoise
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN

from rlplay.extend import (
    Choice,
    Discount,
    Domain,
    Either,
    GoalSelectionStrategy,
    Hyperparameter,
    HyperparameterError,
    LearningRate,
    NSampledGoal,
    Range,
    Settings,
    counted,
    scheduled,
    tabulate,
    unknown,
    warn,
    warn_once,
)


@dataclass(frozen=True)
class _Learned(Either):
    """A number, ``auto`` for one that is learned, or ``auto_0.1`` for one that is learned from 0.1 on."""

    def check(self, owner: str, name: str, value: Any) -> Any:
        """The value in its plain type, or a HyperparameterError."""
        start = value.removeprefix("auto_") if isinstance(value, str) else ""
        try:
            if start != value and 0.0 < float(start) < math.inf:
                return value
        except ValueError:
            pass
        return super().check(owner, name, value)


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
    "ent_coef": _Learned(("auto",), Range("weight of the policy's entropy; SAC: auto learns it, auto_0.1 from 0.1", 0)),
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
    "top_quantiles_to_drop_per_net": Range("the highest quantiles of each critic that are dropped", 0, integer=True),
    "cg_max_steps": Range("steps of the conjugate gradient", 1, integer=True),
    "cg_damping": Range("damping of the Hessian", 0),
    "line_search_shrinking_factor": Range("how much a step of the line search shrinks", 0, 1),
    "line_search_max_iter": Range("steps of the line search", 1, integer=True),
    "n_critic_updates": Range("critic updates a policy update", 1, integer=True),
    "sub_sampling_factor": Range("every so many samples count for the step", 1, integer=True),
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
# In place of ``replay_buffer_class=HerReplayBuffer`` and its arguments.
HINDSIGHT = (
    Hyperparameter("n_sampled_goal", 0, get_args(NSampledGoal)[1]),
    Hyperparameter("goal_selection_strategy", "future", get_args(GoalSelectionStrategy)[1]),
)
_NOISE_CLASSES = {"normal": NormalActionNoise, "ornstein-uhlenbeck": OrnsteinUhlenbeckActionNoise}
_SCHEDULES = ("learning_rate", "clip_range", "clip_range_vf")
# What policy_kwargs may name, as in RL Zoo's files; a file holds the name.
_CLASSES: dict[str, dict[str, Any]] = {
    "activation_fn": {
        f"nn.{name}": getattr(torch.nn, name)
        for name in ("ReLU", "Tanh", "ELU", "LeakyReLU", "SiLU", "GELU", "Mish", "Sigmoid", "Softplus", "Identity")
    },
    "optimizer_class": {
        f"optim.{name}": getattr(torch.optim, name) for name in ("Adam", "AdamW", "RMSprop", "SGD", "Adamax", "NAdam")
    }
    | {"RMSpropTFLike": RMSpropTFLike},
    "features_extractor_class": {cls.__name__: cls for cls in (FlattenExtractor, CombinedExtractor, NatureCNN)},
}

_INSTEAD = {"features_extractor_class": "; features= takes a map of observations, agents.PPO a network= of yours"}

NORMALIZE = Either(
    (True, False), Settings("VecNormalize, or its arguments: norm_obs, norm_reward, ...", "norm_reward=False")
)
_OF_NORMALIZE: dict[str, Domain] = {
    "training": Choice("whether its means and variances move", (True, False)),
    "norm_obs": Choice("observations", (True, False)),
    "norm_reward": Choice("rewards", (True, False)),
    "clip_obs": Range("largest normalised observation", 0, open_low=True),
    "clip_reward": Range("largest normalised reward", 0, open_low=True),
    "gamma": Range("discount of its returns", 0, 1),
    "epsilon": Range("added to variances", 0, open_low=True),
}


def parameters_of(algorithm: type[Any]) -> list[Hyperparameter]:
    """The hyperparameters in the signature of an algorithm, with its own defaults."""
    signature = inspect.signature(algorithm).parameters
    found = [Hyperparameter(name, signature[name].default, DOMAINS[name]) for name in signature if name in DOMAINS]
    more = {"action_noise": NOISE, "replay_buffer_class": HINDSIGHT}
    return [*found, *(one for word, several in more.items() if word in signature for one in several)]


def plain_settings(owner: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a user gives, with names in place of torch's classes, so that a file can hold it.

    Raises:
        HyperparameterError: a class that no name stands for, or an argument of VecNormalize that it does not take.
    """
    found = dict(given)
    options = found.get("normalize")
    if isinstance(options, dict):
        for name, value in options.items():
            if name == "norm_obs_keys":
                continue  # VecNormalize compares them with the observations
            if name not in _OF_NORMALIZE:
                raise HyperparameterError(
                    f"{owner}: normalize has {name!r}, which VecNormalize does not know",
                    f"It knows {', '.join(_OF_NORMALIZE)} and norm_obs_keys",
                )
            _OF_NORMALIZE[name].check(owner, f"{name} of normalize", value)
    of_policy = found.get("policy_kwargs")
    if isinstance(of_policy, dict):
        found["policy_kwargs"] = {name: _named(owner, name, value) for name, value in of_policy.items()}
    return found


def _named(owner: str, name: str, value: Any) -> Any:
    """A value of ``policy_kwargs``; of a class its name."""
    known = _CLASSES.get(name, {})
    found = next((key for key, cls in known.items() if value is cls), value)
    if isinstance(found, type):
        raise HyperparameterError(
            f"{owner}: policy_kwargs has {name}={found.__name__}, whose code a file cannot hold",
            f"Take one of {', '.join(known)}{_INSTEAD.get(name, '')}" if known else "Give plain values",
        )
    if known and not (isinstance(found, str) and found in known):
        raise unknown(f"{name} in policy_kwargs of {owner}", str(found), known)
    return found


def require_settings(owner: str, settings: Mapping[str, Any], observations: gym.Space[Any]) -> None:
    """Stop where hyperparameters do not go together.

    Raises:
        HyperparameterError: says which, and the way out.
    """
    options, n_envs, train_freq = settings["normalize"], settings["n_envs"], settings.get("train_freq")
    norm_obs = options is not False and (options is True or options.get("norm_obs", True))
    if settings["features"] is not None and norm_obs:
        raise HyperparameterError(
            "features and normalize both scale observations",
            'Take one of them, or normalize={"norm_obs": False}, for rewards alone',
        )
    if settings["policy"] == "auto" and norm_obs and is_image_space(observations):
        raise HyperparameterError(
            f"{owner}: normalize scales pictures, which its convolutions take as they are",
            'Take normalize={"norm_obs": False}, for rewards alone, or policy="MlpPolicy"',
        )
    of_policy = settings.get("policy_kwargs") or {}
    if settings["features"] is not None and "features_extractor_class" in of_policy:
        raise HyperparameterError(
            f"{owner}: features and features_extractor_class both stand before its networks", "Take one of them"
        )
    if settings.get("use_rms_prop") and "optimizer_kwargs" in of_policy and "optimizer_class" not in of_policy:
        warn_once(
            f"{owner}: optimizer_kwargs has no effect without optimizer_class, as in Stable-Baselines3: "
            "use_rms_prop=True makes its own optimiser. Take rms_prop_eps, use_rms_prop=False, or optimizer_class too"
        )
    shape = observations.shape or ()
    if settings["policy"] == "auto" and len(shape) > 2 and not is_image_space(observations):
        warn_once(
            f"{owner}: observations {shape} of {observations.dtype} are no picture to Stable-Baselines3, which takes "
            "bytes with three axes: MlpPolicy sees them flat. Stack pictures by frame_stack; or say policy='MlpPolicy'"
        )
    if isinstance(settings.get("ent_coef"), str) and owner not in ("SAC", "TQC", "CrossQ"):
        raise HyperparameterError(
            f"{owner}: ent_coef={settings['ent_coef']!r} is learned, which SAC does alone",
            "Give a number, such as 0.01",
        )
    if n_envs > 1 and isinstance(train_freq, list) and train_freq[1] == "episode":
        raise HyperparameterError(
            f"{owner}: train_freq={train_freq} waits for the end of an episode, and {n_envs} are played at once",
            "Take n_envs=1, or a number of steps",
        )
    if settings["device"] == "cuda" and not torch.cuda.is_available():
        warn("device='cuda' asks for a GPU and torch finds none: the networks run on the CPU")
    most, batch = settings.get("buffer_size"), settings.get("batch_size")
    if most is not None and batch is not None and batch > most:  # a batch beyond its rollout it cuts, and says so
        raise HyperparameterError(
            f"{owner}: batch_size={batch} is more than the {counted(most, 'transition')} there are",
            "Raise buffer_size, or lower batch_size",
        )


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
    for name, classes in _CLASSES.items():
        if name in of_policy:
            of_policy[name] = classes[of_policy[name]]
    return {**found, "policy_kwargs": of_policy}


def action_noise(kind: str, std: float, shape: tuple[int, ...], n_envs: int) -> Any:
    """Noise on the actions of so many environments, with mean 0."""
    mean = np.zeros(shape)
    noise = _NOISE_CLASSES[kind](mean, mean + std)
    return VectorizedActionNoise(noise, n_envs) if n_envs > 1 else noise
