"""What of an environment a person may change while it runs: its constants, and the cells of a grid."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, Self

import gymnasium as gym

from rlplay import registry
from rlplay.compiled.native import NativeEnv
from rlplay.environments.make import reference
from rlplay.errors import RlplayError, UsageError
from rlplay.viewer.cell_marks import mark_rows, marked_rows


@dataclass(frozen=True)
class World:
    """An environment's constants and cells at one time.

    Attributes:
        constants: by name, as the environment names them.
        rows: the characters of a grid, row by row; None for no grid that can be changed.

    Example:
        >>> import rlplay
        >>> world = World.of(rlplay.make("rlplay/CartPole-v1"))
        >>> world.constants["gravity"], world.rows
        (9.8, None)
    """

    constants: dict[str, float]
    rows: tuple[str, ...] | None = None

    @classmethod
    def of(cls, env: gym.Env[Any, Any]) -> Self:
        """As it is now."""
        plain = env.unwrapped
        found = {name: float(getattr(plain, attribute)) for name, attribute in _attributes(env).items()}
        if isinstance(plain, NativeEnv):
            names = list(plain.constants) if _in_their_order(plain) else []
            found = {name: float(plain.world.parameters[i]) for i, name in enumerate(names)}
        grid = getattr(plain, "grid", None)
        return cls(found, tuple(grid.rows) if hasattr(plain, "set_rows") and grid else marked_rows(env))

    def with_constant(self, name: str, value: float) -> World:
        """With another value of one constant."""
        return replace(self, constants={**self.constants, name: value})

    def with_cell(self, row: int, column: int, character: str) -> World:
        """With another character in one cell.

        Raises:
            UsageError: a place outside the grid.
        """
        if self.rows is None or not (0 <= row < len(self.rows) and 0 <= column < len(self.rows[0])):
            raise UsageError(f"there is no cell in row {row + 1}, column {column + 1}")
        line = self.rows[row]
        rows = (*self.rows[:row], line[:column] + character + line[column + 1 :], *self.rows[row + 1 :])
        return replace(self, rows=rows)


def put_world(env: gym.Env[Any, Any], world: World) -> None:
    """Give an environment these constants and cells.

    Raises:
        UsageError: cells that make no world, such as one without a start.

    Example:
        >>> import rlplay
        >>> env = rlplay.make("CartPole-v1", dynamics="gymnasium")
        >>> put_world(env, World.of(env).with_constant("masspole", 0.5))
        >>> env.unwrapped.masspole, env.unwrapped.total_mass
        (0.5, 1.5)
    """
    plain: Any = env.unwrapped
    now = World.of(env)
    if world == now:
        return
    if isinstance(plain, NativeEnv):
        plain.constants = {**plain.constants, **world.constants}
        for i, value in enumerate(world.constants.values()):
            plain.world.parameters[i] = value
    else:
        for name, attribute in _attributes(env).items():
            if now.constants[name] != world.constants[name]:
                setattr(plain, attribute, type(getattr(plain, attribute))(world.constants[name]))
        if hasattr(plain, "polemass_length"):  # what Gymnasium's CartPole makes of its constants
            plain.total_mass, plain.polemass_length = plain.masspole + plain.masscart, plain.masspole * plain.length
    if world.rows is not None and world.rows != now.rows:
        plain.set_rows(world.rows) if hasattr(plain, "set_rows") else mark_rows(env, world.rows)


def why_not_changed(env: gym.Env[Any, Any]) -> str:
    """Why nothing of an environment can be changed, in words; empty where something can."""
    world = World.of(env)
    if world.constants or world.rows:
        return ""
    return f"{reference(env).id or 'this environment'} says no constants and no cells that could be changed"


def _in_their_order(env: NativeEnv) -> bool:
    """Whether the parameters of native code are the constants, one by one."""
    return type(env).parameters is NativeEnv.parameters


def _attributes(env: gym.Env[Any, Any]) -> dict[str, str]:
    """The attributes that hold an environment's numeric arguments, by the arguments' names."""
    plain: Any = env.unwrapped
    native = registry.recipes("NATIVE_VERSIONS").get(reference(env).id)
    try:
        told = list(inspect.signature(type(plain).__init__).parameters.values())
    except (TypeError, ValueError, RlplayError):
        told = []
    names = [*(native.constants if native is not None else ())]
    names += [one.name for one in told if type(one.default) in (int, float) and one.name not in names]
    found = {}
    for name in names:
        for attribute in (name, f"_{name}"):
            if type(getattr(plain, attribute, None)) in (int, float) and name not in _NO_CONSTANTS:
                found[name] = attribute
                break
    return found


_NO_CONSTANTS = ("cell_size", "width", "height", "screen_width", "screen_height", "frame_skip", "sutton_barto_reward")
