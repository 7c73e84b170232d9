"""The optimiser of an agent's networks, from its hyperparameters: its own, or the one that ``policy_kwargs`` name.

``optimizer_class`` and ``optimizer_kwargs`` are Stable-Baselines3's words, and mean here what they mean there: where
settings are given the others are at torch's defaults, and Adam without any keeps the agent's own ε.
"""

from __future__ import annotations

import math
from typing import Any

from rlplay.errors import HyperparameterError

OPTIMISER_WORDS = ("optimizer_class", "optimizer_kwargs")  # of policy_kwargs
_NAMES = {"optim.Adam": "adam", "optim.RMSprop": "rmsprop", "optim.SGD": "sgd"}
# Settings by torch's names, each with the interval in which it lies; and those that ours have at these values alone.
_SETTINGS: dict[str, dict[str, tuple[float, float]]] = {
    "adam": {"betas": (0.0, 1.0), "eps": (0.0, math.inf)},
    "rmsprop": {"alpha": (0.0, 1.0), "eps": (0.0, math.inf)},
    "sgd": {"momentum": (0.0, 1.0)},
}
_FIXED = {
    "weight_decay": 0, "amsgrad": False, "centered": False, "dampening": 0, "nesterov": False, "momentum": 0,
    "maximize": False, "foreach": None, "fused": None, "capturable": False, "differentiable": False,
}  # fmt: skip
TORCHS_DEFAULTS: dict[str, Any] = {
    **_FIXED, "betas": [0.9, 0.999], "eps": 1e-8, "alpha": 0.99
}  # fmt: skip


def has_optimiser(kind: str, numbers: dict[str, Any] | None) -> bool:
    """Whether our networks have an optimiser of torch with such settings.

    Example:
        >>> has_optimiser("optim.Adam", {"eps": 0.1}), has_optimiser("optim.Adam", {"weight_decay": 0.1})
        (True, False)
    """
    try:
        _checked("", kind, numbers or {})
    except HyperparameterError:
        return False
    return True


def optimiser_of(agent: Any) -> tuple[str, dict[str, float]]:
    """The optimiser by its name in `rlplay.networks.optimisers`, and its settings.

    Args:
        agent: whose hyperparameters are read: use_rms_prop, rms_prop_eps and beta_1 where it has them, and
            policy_kwargs; and ``adam_eps``, the ε of its Adam.

    Raises:
        HyperparameterError: an optimiser or a setting that our networks do not have; says which they have.

    Example:
        >>> from agents import DQN
        >>> optimiser_of(DQN("CartPole-v1", policy_kwargs={"optimizer_kwargs": {"eps": 0.01}}, buffer_size=100))
        ('adam', {'eps': 0.01})
    """
    given, owner = agent.hyperparameters, type(agent).__name__
    of_policy = given.get("policy_kwargs") or {}
    kind, numbers = (of_policy.get(word) for word in OPTIMISER_WORDS)
    by_rms_prop = bool(given.get("use_rms_prop", False))
    if kind is None and by_rms_prop:
        if numbers is not None:
            raise HyperparameterError(
                f"{owner}: policy_kwargs has optimizer_kwargs without optimizer_class, and use_rms_prop=True makes its "
                "own optimiser",
                "Take rms_prop_eps, use_rms_prop=False, or name optimizer_class too",
            )
        return "rmsprop", {"eps": float(given["rms_prop_eps"])}
    kind = str(kind or "optim.Adam")
    name, found = _checked(owner, kind, numbers or {})
    if numbers is None:
        return name, {"eps": agent.adam_eps, "beta_1": float(given.get("beta_1", 0.9))} if name == "adam" else {}
    if "beta_1" in given and name == "adam":
        if "beta_1" in found and given["beta_1"] not in (found["beta_1"], 0.9):
            raise HyperparameterError(
                f"{owner}: beta_1={given['beta_1']} and betas={numbers['betas']} of optimizer_kwargs are two values of "
                "one setting",
                "Leave one of them out",
            )
        found.setdefault("beta_1", float(given["beta_1"]))
    return name, found


def _checked(owner: str, kind: str, numbers: Any) -> tuple[str, dict[str, float]]:
    """An optimiser of torch and its settings as ours has them."""
    others = "Stable-Baselines3's own agents have others: agents.sb3, --algo sb3/..."
    if kind not in _NAMES:
        raise HyperparameterError(
            f"{owner}: optimizer_class={kind} of policy_kwargs is none that our networks have",
            f"Take {', '.join(_NAMES)}; {others}",
        )
    if not isinstance(numbers, dict):
        raise HyperparameterError(f"{owner}: optimizer_kwargs={numbers!r} of policy_kwargs is no dictionary")
    name, found = _NAMES[kind], dict[str, float]()
    for key, value in numbers.items():
        place = f"{owner}: {key}={value!r} of optimizer_kwargs"
        if key not in _SETTINGS[name]:
            if key in _FIXED and value == _FIXED[key]:
                continue
            raise HyperparameterError(
                f"{place} is a setting that {name} of our networks does not have",
                f"It has {', '.join(_SETTINGS[name])}; {others}",
            )
        parts, (low, high) = list(value) if isinstance(value, list | tuple) else [value], _SETTINGS[name][key]
        right = all(isinstance(one, int | float) and not isinstance(one, bool) for one in parts)
        if not right or len(parts) != (2 if key == "betas" else 1) or not all(low <= one < high for one in parts):
            below = f", below {high:g}" if math.isfinite(high) else ""
            wanted = "two numbers" if key == "betas" else "a number"
            raise HyperparameterError(f"{place} is not {wanted} from {low:g}{below}")
        if key == "betas":
            found["beta_1"], found["beta_2"] = map(float, parts)
        elif value or key != "momentum":
            found[key] = float(value)
    return ("momentum" if "momentum" in found else name), found


__all__ = ["OPTIMISER_WORDS", "TORCHS_DEFAULTS", "has_optimiser", "optimiser_of"]
