"""Stable-Baselines3's words in an agent's constructor: the policy first, where a run is told of, several environments.

``PPO("MlpPolicy", env, verbose=1, tensorboard_log="logs")`` makes the agent that ``PPO(env)`` makes. What a word asks
for is done where it can be; what has no meaning here is said once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import numpy as np

from rlplay.agent.saving import LOADING, load
from rlplay.agent.sb3_habits import ELSEWHERE, networks_device
from rlplay.agent.sb3_networks import NETWORKS, Asked, is_asked
from rlplay.environments.make import reference
from rlplay.environments.side_by_side import SideBySide, as_one_kind, is_side_by_side, taken_apart, vec_normalize_of
from rlplay.errors import HyperparameterError, SpaceError, UsageError, counted, no_attribute, warn_once
from rlplay.hyperparameters.domains import Choice
from rlplay.hyperparameters.fields import checked, declared
from rlplay.spaces.observations import picture_axes
from rlplay.storage.files import as_path

POLICIES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")  # Stable-Baselines3's first arguments
# Classes and arguments of buffers that are what agents have anyway.
_BUFFERS: dict[str, tuple[Any, ...]] = {
    "replay_buffer_class": (None, "ReplayBuffer", "DictReplayBuffer"),
    "rollout_buffer_class": (None, "RolloutBuffer", "DictRolloutBuffer"),
    "replay_buffer_kwargs": (None, {}, {"handle_timeout_termination": True}), "rollout_buffer_kwargs": (None, {}),
}  # fmt: skip
# Of ``policy_kwargs``: what says nothing, and what to give in place of a class.
_USUAL: dict[str, tuple[Any, ...]] = {
    "share_features_extractor": (True, False), "squash_output": (False,), "full_std": (True,), "use_expln": (False,),
    "normalize_images": (True,), "features_extractor_kwargs": (None, {}),
    "features_extractor_class": (None, "FlattenExtractor", "CombinedExtractor"),
    "optimizer_class": (None,), "optimizer_kwargs": (None,),
}  # fmt: skip
_IN_PLACE = {
    "features_extractor_class": "features= takes a map of observations, network= layers or a torch module of yours",
    "activation_fn": "Take Tanh, ReLU, LeakyReLU, Sigmoid, SiLU or GELU of torch.nn; network= takes a torch module "
    "of yours",
    "optimizer_class": "Take Adam, RMSprop or SGD of torch.optim; others: the adapter, agents.sb3",
}
_MEANINGLESS: dict[str, tuple[Any, str]] = {  # the value that says nothing, and why the others are not heeded
    "stats_window_size": (100, "means are over the last 100 episodes"),
    "_init_setup_model": (True, "the agent is made at once"),
    "optimize_memory_usage": (False, "each observation is kept once anyway"),
    "monitor_wrapper": (True, "agents count their episodes themselves, in agent.statistics"),
}


@dataclass
class Told:
    """What a constructor was told beside hyperparameters.

    Attributes:
        env: the environment; the first of several.
        beside: the others, where they were given one by one.
        hyperparameters: the rest.
        verbose: 1 to print the rows of the logs.
        tensorboard_log: folder for TensorBoard; None for none.
        as_there: whether it was made as in Stable-Baselines3: the policy named, or in a VecEnv.
        vec_normalize: the VecNormalize that it was given, if its statistics are those of the agent's observations.
    """

    env: Any
    beside: list[gym.Env[Any, Any]]
    hyperparameters: dict[str, Any]
    verbose: int = 0
    tensorboard_log: Path | None = None
    as_there: bool = False
    vec_normalize: Any = None


_MOMENTS = re.compile("[/_][mv]$")  # of an optimiser: averages of gradients and of their squares


class ActingPolicy:
    """An agent's policy, as Stable-Baselines3's ``model.policy``: what acts, and its parameters.

    Args:
        agent: the agent.

    Example:
        >>> from agents import PPO
        >>> policy = PPO("CartPole-v1", seed=0).policy
        >>> policy, "policy/parameters" in policy.state_dict()
        (MlpPolicy of PPO in CartPole-v1, True)
    """

    def __init__(self, agent: Any) -> None:
        self._agent, self.name = agent, str(agent.policy)
        self.observation_space, self.action_space = agent.observation_space, agent.action_space
        self.predict = agent.predict
        self.device = networks_device(agent)

    def state_dict(self) -> dict[str, Any]:
        """A copy of the weights by name, as tensors; `Agent.get_parameters` has the optimisers' moments too."""
        import torch

        found = self._agent.get_parameters()
        return {name: torch.from_numpy(array) for name, array in found.items() if not _MOMENTS.search(name)}

    def load_state_dict(self, parameters: Mapping[str, Any], strict: bool = True) -> None:
        """Take weights that `state_dict` gave; all of them, unless it need not be strict.

        Raises:
            UsageError: one that the agent does not have, or one is missing; nothing is changed.
        """
        lacking = [name for name in self.state_dict() if name not in parameters] if strict else []
        if lacking:
            raise UsageError(f"load_state_dict was given no {lacking[0]!r}", "Give all of state_dict, or strict=False")
        self._agent.set_parameters(parameters, exact_match=False)

    def set_training_mode(self, mode: bool = True) -> Self:
        """Acting and learning are told apart by themselves."""
        return self

    train = eval = set_training_mode

    def to(self, device: Any) -> Self:
        """The networks stay where they are; see ``device=`` of the agent."""
        return self

    def save(self, path: str | Path) -> Path:
        """Save the agent, whole; see `Agent.save`."""
        warn_once(
            f"policy.save of {type(self._agent).__name__} writes the agent, which its load and type(policy).load open; "
            "a policy of torch alone: rlplay.sb3.as_model(agent).policy.save"
        )
        return self._agent.save(path)

    @staticmethod
    def load(path: str | Path, device: Any = "auto") -> ActingPolicy:
        """The policy of the agent in a file; the device is that of the file."""
        return load(path).policy

    def __call__(self, *given: Any, **named: Any) -> Any:
        """What a policy there says to tensors: actions, and of PPO, A2C and TRPO values and log probabilities.

        Raises:
            UsageError: Stable-Baselines3 has no such policy; says why.
        """
        return Asked(self._agent, "forward")(*given, **named)

    def __getattr__(self, name: str) -> Any:
        agent = vars(self).get("_agent")  # not there yet in a copy that is being made
        if agent is not None and is_asked(agent, name):
            return Asked(agent, name)
        raise no_attribute(self, name, ELSEWHERE.get(name, "" if name.startswith("_") else NETWORKS))

    def __repr__(self) -> str:
        name = "MlpPolicy" if self.name == "auto" else self.name
        return f"{name} of {type(self._agent).__name__} in {reference(self._agent.env)}"


def told(cls: type, given: tuple[Any, ...], named: Mapping[str, Any]) -> Told:
    """What the arguments of a constructor say.

    Args:
        cls: the agent's class.
        given: its arguments without a name: the environment, or the policy and the environment.
        named: those with a name.

    Raises:
        UsageError: the arguments are in no order that is known, or a word has a value that it cannot have.
        SpaceError: several environments for an agent that learns in one.

    Example:
        >>> from agents import PPO
        >>> found = told(PPO, ("MlpPolicy", "CartPole-v1"), {"verbose": 1, "n_steps": 8})
        >>> found.env, found.hyperparameters, found.as_there
        ('CartPole-v1', {'n_steps': 8, 'policy': 'MlpPolicy'}, True)
    """
    hyperparameters, known = dict(named), declared(cls)
    given = (*given, hyperparameters.pop("env")) if "env" in hyperparameters else given
    given = (_policy_by_name(given[0]), *given[1:]) if len(given) > 1 else given
    if "policy" in hyperparameters:
        hyperparameters["policy"] = _policy_by_name(hyperparameters["policy"])
    env = given[0] if given else None
    if len(given) > 1:
        hyperparameters["policy"], env = _policy_first(cls, given[0], given[1:])
    elif isinstance(env, str) and env in POLICIES:
        raise UsageError(
            f"{cls.__name__} was given the policy {env!r} and no environment", f"Write {cls.__name__}(env)"
        )
    if "policy" in known or "policy_kwargs" in known:
        take_their_words(cls, hyperparameters)
    for word, (usual, why) in _MEANINGLESS.items():
        if word not in known and hyperparameters.pop(word, usual) != usual:
            warn_once(f"{cls.__name__}: {word} has no meaning here: {why}")
    if "device" in hyperparameters:
        hyperparameters["device"] = _device(hyperparameters["device"])
        if "device" not in known and hyperparameters.pop("device") not in ("auto", "cpu"):
            warn_once(f"{cls.__name__}: device has no meaning here: it runs in native code on the processor")
    verbose, folder = hyperparameters.pop("verbose", 0), hyperparameters.pop("tensorboard_log", None)
    if isinstance(verbose, bool) or verbose not in (0, 1, 2):
        raise UsageError(f"{cls.__name__}: verbose={verbose!r} is not 0, 1 or 2", "1 prints the rows of the logs")
    found = Told(env, [], hyperparameters, int(verbose), None if folder is None else as_path(folder))
    usual = known["policy"].default if "policy" in known else None
    found.as_there = len(given) > 1 or hyperparameters.get("policy", usual) != usual
    if isinstance(env, SideBySide):
        found.env, *found.beside = as_one_kind(env.envs)
    elif is_side_by_side(env):
        found.as_there, found.vec_normalize = True, vec_normalize_of(env)
        _take(cls, found, taken_apart(env, cls.__name__), env)
    return found


def changes_of(
    cls: type, custom_objects: Mapping[str, Any], device: Any, changes: Mapping[str, Any]
) -> dict[str, Any]:  # fmt: skip
    """What ``load`` is to change of what a file says: ``custom_objects`` and ``device`` are Stable-Baselines3's words.

    Example:
        >>> from agents import PPO
        >>> changes_of(PPO, {"learning_rate": 0.1}, "cpu", {"verbose": 1})
        {'learning_rate': 0.1, 'device': 'cpu', 'verbose': 1}
    """
    known = declared(cls)
    strange = [name for name in custom_objects if name not in known]
    if strange:
        warn_once(f"{cls.__name__}.load: {', '.join(strange)} of custom_objects means nothing here: no file is pickled")
    taken: dict[str, Any] = {}
    for name in known.keys() & custom_objects.keys():
        try:
            taken |= checked(cls, {name: custom_objects[name]})
        except HyperparameterError as error:  # rates of 0 stand there for what need not be read to predict
            said, _, _ = str(error).partition(". ")
            warn_once(f"{said}: left out of custom_objects, so that the file's own stays")
    return {**taken, **({} if device is None else {"device": _device(device)}), **changes}


def say_what_does_not_fit(agent: Any) -> None:
    """Say once of an agent's policy, named as there, that the observations are of another kind, where they are.

    Stable-Baselines3 refuses it; here networks are chosen by the observations.
    """
    space, policy = agent.observation_space, agent.hyperparameters.get("policy")
    if LOADING.get() or not isinstance(policy, str) or agent.id.startswith("sb3/"):
        return
    for word, fits, kind in (
        ("MultiInput", isinstance(space, gym.spaces.Dict | gym.spaces.Tuple), "have no parts"),
        ("Cnn", picture_axes(space) is not None, "are no pictures"),
    ):
        if policy.startswith(word) and not fits:
            name = f"Mlp{policy.removeprefix(word)}"
            warn_once(f"{type(agent).__name__}: observations in {space} {kind}: {policy} acts as {name}")


def _device(value: Any) -> str:
    """A device of torch by its kind."""
    return str(value).partition(":")[0]


def take_their_words(cls: Any, settings: dict[str, Any]) -> None:
    """Arguments that are objects there, as hyperparameters; in place.

    Raises:
        UsageError: what no hyperparameter says; names what it is and the way out.

    Example:
        >>> from agents import DQN
        >>> settings = {"replay_buffer_class": "ReplayBuffer", "gamma": 0.9}
        >>> take_their_words(DQN, settings)
        >>> settings
        {'gamma': 0.9}
    """
    known = declared(cls)
    if "n_sampled_goal" in known and _name_of(settings.get("replay_buffer_class")) == "HerReplayBuffer":
        settings.update(_hindsight(cls, settings.pop("replay_buffer_class"), settings.pop("replay_buffer_kwargs", {})))
    for word, usual in _BUFFERS.items():
        if word not in known and word in settings:
            _require_usual(cls, word, settings.pop(word), usual)
    if "noise_type" in known and "action_noise" not in known and "action_noise" in settings:
        settings.update(_noise(cls, settings.pop("action_noise")))
    of_policy = settings.get("policy_kwargs")
    if isinstance(of_policy, dict) and "policy_kwargs" in known:
        plain = {name: _by_name(value) for name, value in of_policy.items()}
        if not cls.id.startswith("sb3/"):
            if settings.get("policy") == "MlpPolicy" and plain.get("normalize_images") is False:
                del plain["normalize_images"]  # there are no pictures
            plain = {name: value for name, value in plain.items() if name not in _USUAL or value not in _USUAL[name]}
            for name, value in plain.items():
                if name == "normalize_images":
                    raise UsageError(
                        f"{cls.__name__}: policy_kwargs has normalize_images={value}, and bytes of pictures are scaled",
                        "Give pictures as float32 in Box(0, 1, ...), or take the adapter: agents.sb3",
                    )
                if name == "features_extractor_kwargs" or value == "NatureCNN":
                    raise UsageError(
                        f"{cls.__name__}: policy_kwargs has {name}={value!r}, and its networks go by the observations",
                        "Leave it out, or take the adapter: agents.sb3",
                    )
                if isinstance(value, type):
                    raise UsageError(
                        f"{cls.__name__}: policy_kwargs has {name}={value.__name__}, a class, whose code is in no file "
                        "of a run",
                        _IN_PLACE.get(name, "Give plain values, such as net_arch=[64, 64]"),
                    )
        settings["policy_kwargs"] = plain


def _require_usual(cls: type, word: str, value: Any, usual: tuple[Any, ...]) -> None:
    """Refuse buffers of other kinds than an agent has."""
    name = _name_of(value)
    if name in usual or value in usual:
        return
    if name == "HerReplayBuffer":
        raise UsageError(
            f"{cls.__name__}: HerReplayBuffer puts other goals into a replay buffer, and this agent has no such one",
            "Take an agent with n_sampled_goal (dqn, sac, tqc, td3, ddpg, and sb3/...), or leave it out",
        )
    if name == "NStepReplayBuffer":
        raise UsageError(f"{cls.__name__}: {word}={name} is a hyperparameter here", "Take n_steps=3")
    goals = "n_sampled_goal" in declared(cls)
    if word.endswith("_kwargs"):
        raise UsageError(
            f"{cls.__name__}: {word}={value} is nothing that its own buffer takes",
            "Leave it out" + goals * ", or give replay_buffer_class=HerReplayBuffer beside it",
        )
    raise UsageError(
        f"{cls.__name__}: {word}={name} is not its own buffer, whose arrays alone a file can hold",
        "Leave it out" + goals * ", or take HerReplayBuffer",
    )


def _name_of(value: Any) -> Any:
    """A class by its name."""
    return value if isinstance(value, str) else getattr(value, "__name__", value)


def _hindsight(cls: type, kind: Any, arguments: Any) -> dict[str, Any]:
    """``n_sampled_goal`` and ``goal_selection_strategy`` of a HerReplayBuffer and its arguments."""
    given = dict(arguments or {})
    for word in ("online_sampling", "max_episode_length"):  # of versions before, which say nothing any more
        given.pop(word, None)
    count, strategy = given.pop("n_sampled_goal", 4), given.pop("goal_selection_strategy", "future")
    for word, usual in (("handle_timeout_termination", True), ("copy_info_dict", False)):
        if given.pop(word, usual) != usual:
            given[word] = not usual
    if given:
        raise UsageError(
            f"{cls.__name__}: replay_buffer_kwargs={given} of {_name_of(kind)} is not what a file can say",
            "Take n_sampled_goal and goal_selection_strategy",
        )
    return {"n_sampled_goal": count, "goal_selection_strategy": getattr(strategy, "name", str(strategy)).lower()}


def _noise(cls: type, noise: Any) -> dict[str, Any]:
    """``noise_type`` and ``noise_std`` of an action noise of Stable-Baselines3."""
    noise = getattr(noise, "base_noise", noise)
    if noise is None:
        return {}
    kind = {"NormalActionNoise": "normal", "OrnsteinUhlenbeckActionNoise": "ornstein-uhlenbeck"}.get(
        type(noise).__name__
    )
    mean, deviation = (np.unique(getattr(noise, name, math.nan)) for name in ("_mu", "_sigma"))
    usual = (getattr(noise, "_theta", 0.15), getattr(noise, "_dt", 1e-2), getattr(noise, "initial_noise", None))
    if kind is None or mean.tolist() != [0.0] or len(deviation) != 1 or usual != (0.15, 1e-2, None):
        raise UsageError(
            f"{cls.__name__}: action_noise={noise} is not one that a file can say: normal or Ornstein-Uhlenbeck, with "
            "mean 0 and one deviation for all parts of an action",
            "Take noise_type='normal', noise_std=0.1",
        )
    return {"noise_type": kind, "noise_std": float(deviation[0])}


def _by_name(value: Any) -> Any:
    """A class by its name, ``nn.ReLU``, ``optim.Adam``, ``NatureCNN``, which a file can hold; else as it is."""
    module = value.__module__ if isinstance(value, type) else ""
    if module == "stable_baselines3.common.torch_layers":
        return value.__name__
    kind = "nn" if module.startswith("torch.nn.modules") else "optim" if module.startswith("torch.optim") else ""
    return f"{kind}.{value.__name__}" if kind else value


def _take(cls: Any, found: Told, several: SideBySide, env: Any) -> None:
    """Take environments one by one, and their count as ``n_envs``."""
    count, settings = len(several.envs), found.hyperparameters
    if "n_envs" not in declared(cls):
        if count > 1:
            raise SpaceError(
                f"{cls.__name__} learns in one environment, not in a {type(env).__name__} of {count}",
                "Give its id or one of its environments",
            )
    elif settings.setdefault("n_envs", count) != count:
        raise UsageError(
            f"{cls.__name__}: n_envs={settings['n_envs']} and {type(env).__name__} of {counted(count, 'environment')}",
            "Leave n_envs out",
        )
    if several.settings.get("normalize", {}).get("training") is False and not cls.id.startswith("sb3/"):
        del several.settings["normalize"]["training"]
        warn_once(
            f"{cls.__name__}: training=False of the VecNormalize has no effect here: means and variances move while it "
            "learns, and stand still in predict. The adapter keeps them still: agents.sb3"
        )
    for name, value in several.settings.items():
        if name not in declared(cls):
            raise UsageError(f"{cls.__name__} takes no {name}, which stands for what is around its environments")
        settings.setdefault(name, value)
    if count == 1:
        found.env = several.envs[0]
        return
    found.env, *found.beside = as_one_kind(several.envs)


def _policy_by_name(policy: Any) -> Any:
    """Policies that Stable-Baselines3 itself has as classes, ``stable_baselines3.ppo.MlpPolicy``, by their names."""
    if not isinstance(policy, type) or not policy.__module__.startswith(("stable_baselines3.", "sb3_contrib.")):
        return policy
    kind = next((kind for kind in ("Cnn", "MultiInput") if kind in policy.__name__), "Mlp")
    return f"{kind}LstmPolicy" if "Recurrent" in policy.__name__ else f"{kind}Policy"


def _policy_first(cls: type, policy: Any, more: tuple[Any, ...]) -> tuple[str, Any]:
    """Stable-Baselines3's order of arguments, ``PPO("MlpPolicy", env)``: the policy and the environment."""
    known = declared(cls).get("policy")
    if len(more) == 1 and isinstance(policy, str) and isinstance(getattr(known, "domain", None), Choice):
        return policy, more[0]
    if len(more) == 1 and isinstance(policy, type) and not is_side_by_side(policy):
        raise UsageError(
            f"{cls.__name__}: the policy {policy.__name__} is a class, whose code is in no file of a run",
            "Give 'MlpPolicy', and its net_arch and activation_fn as policy_kwargs",
        )
    raise UsageError(
        f"{cls.__name__} takes one argument without a name, the environment, and was given {1 + len(more)}",
        f"Write {cls.__name__}(env, seed=0), and hyperparameters by name",
    )
