"""What is known of an environment that was made here, or given: which it is, and how it is made again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import gymnasium as gym
import numpy as np

from rlplay.environments.rebuild import Maker
from rlplay.environments.wrappers import untrusted


@dataclass(frozen=True)
class EnvReference:
    """Which environment a run uses, and how it is made again.

    Attributes:
        id: Gymnasium's id, ``module:id`` or ``module:Class``; empty for an instance that was given without an id.
        kwargs: the arguments it was made with, as JSON values; ``wrapper``, ``frame_stack`` and ``memory`` too.
        dynamics: whose dynamics run, in words for people.
        exact: whether an episode recorded here replays in Gymnasium's own environment.
        wrappers: what stands around it beyond what its id says, the innermost first: ``module:Class`` and the
            arguments as JSON values, None where a file cannot say them.
        unsaved: arguments that a file cannot say, by name.
        maker: makes it again; None where id and arguments do.
        obstacle: why it cannot be made again, as far as that is known without trying; empty for nothing.
        why_not_native: why it is stepped in Python, in words; empty where it is not, or where nobody has asked.
    """

    id: str
    kwargs: dict[str, Any] = field(default_factory=dict)
    dynamics: str = "Gymnasium's"
    exact: bool = True
    wrappers: tuple[tuple[str, dict[str, Any] | None], ...] = ()
    unsaved: tuple[str, ...] = ()
    maker: Maker | None = field(default=None, repr=False, compare=False)
    obstacle: str = field(default="", repr=False, compare=False)
    why_not_native: str = field(default="", repr=False, compare=False)

    @property
    def typed(self) -> bool:
        """Whether a user must type it, since no file may make it.

        A module is imported for it or for its wrappers, or its arguments would reach a third party's environment,
        which might import what they name.
        """
        if ":" in self.id or untrusted(self.kwargs.get("wrapper")):
            return True
        return bool(self.kwargs.keys() - _OURS) and self.id in gym.registry and not is_trusted(self.id)

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={_told(key, value)}" for key, value in self.kwargs.items())
        text = f"{self.id or 'an unnamed environment'}{f' ({shown})' if shown else ''}"
        names = [name.rpartition(":")[2] for name, _ in self.wrappers]
        return f"{text} in {' in '.join(names)}" if names else text


def shortened(value: Any) -> str:
    """A value in words, at most a line of them.

    Example:
        >>> shortened([1, 2]), len(shortened("x" * 10**6))
        ('[1, 2]', 200)
    """
    text = repr(value)
    return text if len(text) <= _LINE else f"{text[: _LINE - 4]} ..."


def _told(key: str, value: Any) -> str:
    """An argument for people: of wrappers the names of their classes."""
    if key != "wrapper":
        return shortened(value)
    many = value if isinstance(value, list | tuple) else [value]
    paths = [next(iter(one), "") if isinstance(one, dict) else str(one) for one in many]
    names = [path.replace(":", ".").rpartition(".")[2] for path in paths]
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"


_LINE = 200  # characters of an argument that are shown

# Arguments of an environment that rlplay and Gymnasium read themselves.
_OURS = {"max_episode_steps", "bonus", "memory", "wrapper", "frame_stack"}

_references: WeakKeyDictionary[gym.Env[Any, Any], EnvReference] = WeakKeyDictionary()


def remembered(env: gym.Env[Any, Any]) -> EnvReference | None:
    """The reference that was remembered of an environment; None for a new one."""
    return _references.get(env)


def remember(env: gym.Env[Any, Any], ref: EnvReference) -> EnvReference:
    """Remember an environment's reference as long as there is the environment; returns it."""
    _references[env] = ref
    return ref


def is_trusted(env_id: str) -> bool:
    """Whether arguments from a file may reach an environment: it is Gymnasium's own, or ours.

    Example:
        >>> is_trusted("CartPole-v1"), is_trusted("nobody/Knows-v0")
        (True, False)
    """
    spec = gym.registry.get(env_id)
    point = "" if spec is None else spec.entry_point
    where = point if isinstance(point, str) else getattr(point, "__module__", "")
    return where.partition(":")[0].partition(".")[0] in ("gymnasium", "envs", "rlplay")


def json_kwargs(kwargs: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arguments that a file can hold, and the names of the others, which the user must give again."""
    kept, unsaved = {}, []
    for key, value in kwargs.items():
        plain = _as_json(value)
        try:
            kept[key] = json.loads(json.dumps(plain, allow_nan=False))
        except (TypeError, ValueError):
            unsaved.append(key)
            continue
        if kept[key] != plain:  # keys that are no strings
            del kept[key]
            unsaved.append(key)
    return kept, tuple(unsaved)


def same_in_a_file(one: Any, other: Any) -> bool:
    """Whether two arguments are the same JSON values; False for what no file can hold.

    Example:
        >>> same_in_a_file((4, 4), [4, 4]), same_in_a_file(1, True), same_in_a_file(len, len)
        (True, False, False)
    """
    (mine, unsaved), (theirs, _) = json_kwargs({"": one}), json_kwargs({"": other})
    return not unsaved and json.dumps(mine) == json.dumps(theirs)


def _as_json(value: Any) -> Any:
    """Tuples as lists and NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    return {key: _as_json(item) for key, item in value.items()} if isinstance(value, dict) else value
