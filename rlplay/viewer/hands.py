"""What a person does with keys, mouse and gamepad, as an action of the environment."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pygame

from rlplay.spaces.finite import is_finite
from rlplay.viewer.choices import axes, idle_choice, keys_of_axes, pushed

_RAMP = 4.0  # shares a second that an axis moves while a key is held, and back when it is not
_DEAD = 0.15  # share of a gamepad's stick around its middle that counts for nothing
_FAR = 0.5  # share from which on it is a direction


class Hands:
    """Keys, mouse and gamepad of a person who acts.

    Args:
        env: whose actions they are.
        choices: name and action of each choice.

    Attributes:
        in_real_time: whether the environment runs on while nothing is pressed, where one does not say otherwise: where
            an action leaves things alone, and the states are not counted.

    Example:
        >>> import rlplay
        >>> from rlplay.viewer.choices import choices
        >>> env = rlplay.make("Pendulum-v1")
        >>> hands = Hands(env, choices(env))
        >>> hands.press("right")
        >>> hands.move(0.125)
        >>> hands.action().tolist()  # half a second from the middle to the end is a quarter
        [1.0]
    """

    def __init__(self, env: gym.Env[Any, Any], choices: list[tuple[str, Any]]) -> None:
        self.env, self.choices = env, choices
        self._keys = keys_of_axes(env.action_space)
        count = len(axes(env.action_space))
        self._held: list[str] = []  # the latest last
        self._shares = np.zeros(count)
        self._pointed: tuple[float, float] | None = None  # by the mouse: shares of the picture, -1 to 1
        self._sticks = np.zeros(8)
        self.idle = idle_choice(choices)
        self.in_real_time = self.idle is not None and not is_finite(env.observation_space)

    @property
    def continuous(self) -> bool:
        """Whether actions are pushes along axes."""
        return bool(len(self._shares))

    @property
    def busy(self) -> bool:
        """Whether anything is pressed, pointed at, or still on its way back."""
        return bool(self._held or self._pointed or np.abs(self._shares).max(initial=0) > 0 or self._sticks.any())

    def press(self, key: str) -> None:
        """A key of the keyboard goes down, by pygame's name."""
        if key not in self._held:
            self._held.append(key)

    def lift(self, key: str) -> None:
        """It goes up."""
        if key in self._held:
            self._held.remove(key)

    def release(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self._shares[:], self._sticks[:], self._pointed = 0.0, 0.0, None

    def point(self, share: tuple[float, float] | None) -> None:
        """The mouse is pressed at a place of the picture, from -1 to 1 to the right and upwards; None: it is not."""
        self._pointed = share

    def stick(self, axis: int, value: float) -> None:
        """A gamepad's axis: 0 and 1 of the left stick, 2 and 3 of the right one, from -1 to 1, positive downwards."""
        if 0 <= axis < len(self._sticks):
            self._sticks[axis] = 0.0 if abs(value) < _DEAD else value

    def button(self, number: int) -> Any:
        """The choice of a gamepad's button: the choices that are no directions, in their order; None for none."""
        others = [action for name, action in self.choices if name.casefold() not in _DIRECTIONS]
        return others[number] if 0 <= number < len(others) else None

    def move(self, seconds: float) -> None:
        """Time passes: held axes are pushed further, the others fall back."""
        if not self.continuous:
            return
        wanted = np.zeros_like(self._shares)
        for key, axis, share in self._keys:
            if key in self._held:
                wanted[axis] += share
        step = _RAMP * seconds
        self._shares += np.clip(wanted - self._shares, -step, step)
        signs = (1.0, -1.0, 1.0, -1.0)  # up is positive
        for axis in range(min(len(self._shares), 4)):
            if self._sticks[axis]:
                self._shares[axis] = np.clip(self._sticks[axis] * signs[axis], -1.0, 1.0)
        if self._pointed is not None:
            for axis, share in zip(range(len(self._shares)), self._pointed, strict=False):
                self._shares[axis] = share

    def action(self, key_of: dict[str, int] | None = None) -> Any:
        """The action now; None where nothing is chosen.

        Args:
            key_of: the number of the choice that each key makes, where actions are numbered.
        """
        if self.continuous:
            return pushed(self.env.action_space, self._shares)
        for key in reversed(self._held):
            if key_of and key in key_of:
                return self.choices[key_of[key]][1]
        if direction := self._direction():
            for name, action in self.choices:
                if _DIRECTIONS.get(name.casefold()) == direction:
                    return action
        return None

    def _direction(self) -> tuple[int, int] | None:
        """The direction of the stick or of the mouse, to the right and upwards."""
        x, y = self._pointed or (float(self._sticks[0]), -float(self._sticks[1]))
        if max(abs(x), abs(y)) < (_FAR if self._pointed is None else _DEAD):
            return None
        return (1 if x > 0 else -1, 0) if abs(x) >= abs(y) else (0, 1 if y > 0 else -1)


_DIRECTIONS = {
    "up": (0, 1), "north": (0, 1), "down": (0, -1), "south": (0, -1), "left": (-1, 0), "west": (-1, 0),
    "right": (1, 0), "east": (1, 0),
}  # fmt: skip


def open_gamepads() -> list[Any]:
    """The gamepads that are plugged in, opened; they live as long as the list."""
    try:
        pygame.joystick.init()
        return [pygame.joystick.Joystick(number) for number in range(pygame.joystick.get_count())]
    except pygame.error:  # a system without them
        return []
