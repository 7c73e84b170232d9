"""Stable-Baselines3's words in an agent's constructor: the policy first, where a run is told of, several environments.

``PPO("MlpPolicy", env, verbose=1, tensorboard_log="logs")`` makes the agent that ``PPO(env)`` makes. What a word asks
for is done where it can be; what has no meaning here is said once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from rlplay.environments.make import reference
from rlplay.environments.side_by_side import SideBySide, as_one_kind, is_side_by_side, taken_apart
from rlplay.errors import SpaceError, UsageError, warn_once
from rlplay.hyperparameters.domains import Choice
from rlplay.hyperparameters.fields import declared
from rlplay.storage.files import as_path

POLICIES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy")  # Stable-Baselines3's first arguments
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
        beside: the others, where they were given one by one and differ.
        hyperparameters: the rest.
        verbose: 1 to print the rows of the logs.
        tensorboard_log: folder for TensorBoard; None for none.
    """

    env: Any
    beside: list[gym.Env[Any, Any]]
    hyperparameters: dict[str, Any]
    verbose: int = 0
    tensorboard_log: Path | None = None


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
        self.device = getattr(agent, "device", "cpu")

    def state_dict(self) -> dict[str, Any]:
        """A copy of what is learned, by name."""
        return self._agent.get_parameters()

    def load_state_dict(self, parameters: Mapping[str, Any]) -> None:
        """Take what `state_dict` gave."""
        self._agent.set_parameters(parameters)

    def set_training_mode(self, mode: bool) -> None:
        """Acting and learning are told apart by themselves."""

    def __repr__(self) -> str:
        name = "MlpPolicy" if self.name == "auto" else self.name
        return f"{name} of {type(self._agent).__name__} in {reference(self._agent.env)}"


def told(cls: type, env: Any, more: tuple[Any, ...], given: Mapping[str, Any]) -> Told:
    """What the arguments of a constructor say.

    Args:
        cls: the agent's class.
        env: its first argument.
        more: its other arguments without a name.
        given: those with a name.

    Raises:
        UsageError: the arguments are in no order that is known, or a word has a value that it cannot have.
        SpaceError: several environments for an agent that learns in one.

    Example:
        >>> from agents import PPO
        >>> told(PPO, "MlpPolicy", ("CartPole-v1",), {"verbose": 1, "n_steps": 8}).hyperparameters
        {'n_steps': 8, 'policy': 'MlpPolicy'}
    """
    hyperparameters, known = dict(given), declared(cls)
    if more:
        hyperparameters["policy"], env = _policy_first(cls, env, more)
    elif isinstance(env, str) and env in POLICIES:
        raise UsageError(
            f"{cls.__name__} was given the policy {env!r} and no environment", f"Write {cls.__name__}(env)"
        )
    if isinstance(of_policy := hyperparameters.get("policy_kwargs"), dict) and known.get("policy_kwargs"):
        hyperparameters["policy_kwargs"] = {name: _by_name(value) for name, value in of_policy.items()}
    for word, (usual, why) in _MEANINGLESS.items():
        if word not in known and hyperparameters.pop(word, usual) != usual:
            warn_once(f"{cls.__name__}: {word} has no meaning here: {why}")
    if "device" not in known and hyperparameters.pop("device", "auto") not in ("auto", "cpu"):
        warn_once(f"{cls.__name__}: device has no meaning here: it runs in native code on the processor")
    verbose, folder = hyperparameters.pop("verbose", 0), hyperparameters.pop("tensorboard_log", None)
    if isinstance(verbose, bool) or verbose not in (0, 1, 2):
        raise UsageError(f"{cls.__name__}: verbose={verbose!r} is not 0, 1 or 2", "1 prints the rows of the logs")
    found = Told(env, [], hyperparameters, int(verbose), None if folder is None else as_path(folder))
    if is_side_by_side(env):
        _take(cls, found, taken_apart(env, cls.__name__), env)
    return found


def _by_name(value: Any) -> Any:
    """A class of torch's modules by its name, ``nn.ReLU``, which a file can hold; anything else as it is."""
    plain = isinstance(value, type) and value.__module__.startswith("torch.nn.modules")
    return f"nn.{value.__name__}" if plain else value


def _take(cls: type, found: Told, several: SideBySide, env: Any) -> None:
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
            f"{cls.__name__}: n_envs={settings['n_envs']} and {type(env).__name__} of {count} environments",
            "Leave n_envs out",
        )
    for name, value in several.settings.items():
        if name not in declared(cls):
            raise UsageError(f"{cls.__name__} takes no {name}, which stands for what is around its environments")
        settings.setdefault(name, value)
    if count == 1:
        found.env = several.envs[0]
        return
    found.env, *found.beside = as_one_kind(several.envs)


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
