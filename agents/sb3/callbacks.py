"""Stable-Baselines3's callbacks in a run of its own algorithms: its loop calls them, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rlplay.extend import Callback, SB3Model, is_function_of_locals, is_sb3_callback, observes_raw, warn_once

from .collecting import Relay


def without_theirs(callback: Any) -> tuple[list[Any], list[Any]]:
    """What a user gives as ``callback``: ours and functions of the agent, and Stable-Baselines3's.

    Example:
        >>> def both(locals, globals):
        ...     return True
        >>> without_theirs([None, both]) == ([None], [both])
        True
    """
    if isinstance(callback, list | tuple | Iterator):
        parts = list(callback)
        if any(part is callback for part in parts):
            return [callback], []  # refused by name where callbacks are read
        found = [without_theirs(part) for part in parts]
        return [one for ours, _ in found for one in ours], [one for _, theirs in found for one in theirs]
    if is_sb3_callback(callback) or is_function_of_locals(callback):
        return [], [callback]
    return [callback], []


class Relayed(Callback):
    """Begins and ends a run for the callbacks of a relay, and stops it where one of them says so."""

    def __init__(self, relay: Relay) -> None:
        self._relay, self._begun = relay, False

    def on_training_start(self) -> None:
        """Show them the model, where it is made."""
        self._begin()

    def _begin(self) -> None:
        agent: Any = self.agent
        if not self._begun and agent.model is not None:
            self._begun, agent.model.num_timesteps = True, agent.num_timesteps
            for one in self._relay.told:
                observes_raw(one)
            self._relay.begin(TheirModel(agent), self.run.target)

    def on_step(self) -> bool:
        """Stop where one of them said so."""
        self._begin()  # features that were fitted in between
        return not self._relay.stopped

    def on_training_end(self) -> None:
        """Tell them."""
        if self._begun:
            self._relay.end()


class TheirModel(SB3Model):
    """Stable-Baselines3's own model as its callbacks see it; observations and files are the agent's."""

    def __getattr__(self, name: str) -> Any:
        if name in ("predict", "logger", "agent") or not hasattr(self.agent.model, name):
            return getattr(self.agent, name)
        return getattr(self.agent.model, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.agent.settings:
            owner, kept = type(self.agent).__name__, self.agent.settings[name]
            warn_once(
                f"{owner}.{name} = {value!r:.60} in a callback is set on the model of this run; its file keeps "
                f"{kept!r:.60}: {owner}.load(path, {name}=...) changes it"
            )
        setattr(self.agent.model, name, value)

    def get_env(self) -> Any:
        """Its own environments, without what is around all of them."""
        return self.agent.vec_env.unwrapped
