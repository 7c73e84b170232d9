"""Hyperparameters that have an effect only beside another one: who gives one without the other is told so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rlplay.errors import warn_once

LSTM_POLICIES = ("MlpLstmPolicy", "CnnLstmPolicy", "MultiInputLstmPolicy")  # RL Zoo's, of sb3-contrib's RecurrentPPO


class Beside(NamedTuple):
    """What another hyperparameter must be.

    Attributes:
        name: of the other one.
        values: of which it must have one; empty for any but None, False and 0.
        or_policy: policies that ask for the same by their name.

    Example:
        >>> str(Beside("noisy")), str(Beside("distributional", ("c51", "qr")))
        ('noisy', "distributional='c51' or distributional='qr'")
    """

    name: str
    values: tuple[Any, ...] = ()
    or_policy: tuple[str, ...] = ()

    def holds(self, given: Mapping[str, Any]) -> bool:
        """Whether it is so; where an agent has no such hyperparameter, it is.

        Example:
            >>> Beside("noisy").holds({"noisy": False}), Beside("noisy").holds({})
            (False, True)
        """
        if given.get("policy") in self.or_policy:
            return True
        value = given.get(self.name, True)
        return value in self.values if self.values else value not in (None, False)

    def __str__(self) -> str:
        """As it is typed."""
        if not self.values:
            return self.name
        return " or ".join(f"{self.name}={value!r}" for value in self.values)


_ATOMS, _TREE = Beside("distributional", ("c51", "qr")), Beside("prioritized")
BESIDE = {
    **dict.fromkeys(("priority_alpha", "priority_beta", "priority_beta_steps", "priority_epsilon"), _TREE),
    **dict.fromkeys(("munchausen_alpha", "munchausen_temperature", "munchausen_clip"), Beside("munchausen")),
    **dict.fromkeys(("sde_sample_freq", "use_sde_at_warmup"), Beside("use_sde")),
    **dict.fromkeys(("recurrent_size", "critic_memory"), Beside("recurrent", or_policy=LSTM_POLICIES)),
    **dict.fromkeys(("v_min", "v_max"), Beside("distributional", ("c51",))),
    "n_atoms": _ATOMS,
    "noisy_sigma": Beside("noisy"),
    "noise_std": Beside("noise_type"),
    "goal_selection_strategy": Beside("n_sampled_goal"),
    "rms_prop_eps": Beside("use_rms_prop"),
}


def say_idle(owner: str, given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Warn of values that are not the default and change nothing.

    Args:
        owner: the agent, for the warning.
        given: all hyperparameters as they are.
        defaults: of them.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(record=True) as said:
        ...     warnings.simplefilter("always")
        ...     say_idle("MyAgent", {"noisy": False, "noisy_sigma": 2.0}, {"noisy": False, "noisy_sigma": 0.5})
        >>> str(said[0].message)
        'MyAgent: noisy_sigma=2.0 changes nothing: it belongs to noisy, which is False'
    """
    for name, beside in BESIDE.items():
        if name in given and given[name] != defaults[name] and not beside.holds(given):
            warn_once(
                f"{owner}: {name}={given[name]!r} changes nothing: it belongs to {beside}, which is "
                f"{given[beside.name]!r}"
            )


__all__ = ["BESIDE", "LSTM_POLICIES", "Beside", "say_idle"]
