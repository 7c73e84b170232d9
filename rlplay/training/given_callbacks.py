"""What a user gives as ``callback``: callbacks, functions, Stable-Baselines3's callbacks, and lists of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from rlplay.errors import UsageError
from rlplay.training.callbacks import Callback, stops
from rlplay.training.learner import Learner
from rlplay.training.sb3_callbacks import bridged, is_function_of_locals, is_sb3_callback


class _Function(Callback):
    def __init__(self, function: Callable[[Learner], Any]) -> None:
        self._function = function

    def on_step(self) -> bool | None:
        return not stops(self._function(self.agent))


def as_callbacks(callback: Any) -> list[Callback]:
    """A list of callbacks from None, one, a function of the agent, one of Stable-Baselines3's, or a list of them.

    Raises:
        UsageError: something else; says what is taken.

    Example:
        >>> as_callbacks(lambda one, two, three: True)
        Traceback (most recent call last):
            ...
        rlplay.errors.UsageError: callback=<lambda> takes neither the agent alone, nor locals and globals as in ...
    """
    return _as_callbacks(callback, ())


def _as_callbacks(callback: Any, around: tuple[int, ...]) -> list[Callback]:
    if callback is None:
        return []
    if isinstance(callback, Callback):
        return [callback]
    if isinstance(callback, list | tuple | set | Iterator):
        if id(callback) in around:
            raise UsageError("callback is a list that holds itself", "Give a list of callbacks")
        return [one for part in callback for one in _as_callbacks(part, (*around, id(callback)))]
    if isinstance(callback, type):
        raise UsageError(f"callback={callback.__name__} is a class", f"Give an instance: {callback.__name__}(...)")
    if is_sb3_callback(callback) or is_function_of_locals(callback):
        return bridged(callback)
    if not callable(callback):
        raise UsageError(
            f"callback={callback!r} is neither a Callback, a function of the agent, nor a list of them",
            "Give rlplay.EvalCallback(...), a subclass of rlplay.Callback, or lambda agent: agent.num_timesteps < 1000",
        )
    try:
        inspect.signature(callback).bind(None)
    except TypeError as error:
        raise UsageError(
            f"callback={getattr(callback, '__name__', repr(callback))} takes neither the agent alone, nor locals and "
            "globals as in Stable-Baselines3",
            "Give a function of the agent, which has all that locals() has: lambda agent: agent.num_timesteps < 1000",
        ) from error
    except ValueError:
        pass  # a function of C that does not say what it takes
    return [_Function(callback)]
