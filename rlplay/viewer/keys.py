"""From keyboard events to intents, and to actions while a person plays; which keys do something in a session."""

from __future__ import annotations

import pygame

from rlplay import registry
from rlplay.environments.make import reference
from rlplay.viewer.choices import keys_of_axes
from rlplay.viewer.session import Session
from rlplay.viewer.state import HELP

_ARROWS = {"up": "up", "north": "up", "down": "down", "south": "down", "left": "left", "west": "left",
           "right": "right", "east": "right"}  # fmt: skip
_DIAGONALS = {"up-right": "e", "down-right": "c", "down-left": "z", "up-left": "q"}


def intent_of(event: pygame.event.Event, *, tune: bool = False) -> str | None:
    """The intent of a key event, or None. Characters are matched as typed, so + and ? work on every layout.

    Args:
        event: any event.
        tune: whether dials are shown: then two arrows turn the chosen one.
    """
    if event.type != pygame.KEYDOWN or event.mod & (pygame.KMOD_ALT | pygame.KMOD_CTRL | pygame.KMOD_META):
        return None
    shift = bool(event.mod & pygame.KMOD_SHIFT)
    if tune and event.key in _TURNS:
        return _TURNS[event.key] + " ten" * shift
    if event.key in _BY_KEY:
        plain, shifted = _BY_KEY[event.key]
        return shifted if shift else plain
    typed = event.unicode
    if typed in ("r", "R"):
        return "next" if shift else "reset"
    if typed in ("m", "M"):
        return "next bookmark" if shift else "bookmark"
    return _BY_CHARACTER.get(typed) or _BY_CHARACTER.get(typed.lower())  # with caps lock too


_TURNS = {pygame.K_RIGHT: "turn", pygame.K_LEFT: "turn back"}
_BY_KEY = {
    pygame.K_RIGHT: ("step", "step ten"), pygame.K_LEFT: ("back", "back ten"), pygame.K_HOME: ("home", "home"),
    pygame.K_UP: ("other back", "other back"),
    pygame.K_DOWN: ("other", "other"), pygame.K_END: ("end", "end"),
    pygame.K_F11: ("full", "full"), pygame.K_RETURN: ("look", "look"), pygame.K_KP_ENTER: ("look", "look"),
    pygame.K_PAGEDOWN: ("scroll", "scroll"), pygame.K_PAGEUP: ("scroll back", "scroll back"),
    pygame.K_ESCAPE: ("close", "close"), pygame.K_PLUS: ("faster", "faster"),
    pygame.K_KP_PLUS: ("faster", "faster"), pygame.K_KP_MINUS: ("slower", "slower"),
}  # fmt: skip
_BY_CHARACTER = {
    " ": "pause", "+": "faster", "=": "faster", "-": "slower", "0": "normal", "e": "explore", "s": "screenshot",
    "v": "record", "?": "help", "q": "quit", "[": "slice back", "]": "slice", "l": "layer", "p": "panel",
    ".": "step", ",": "back", ">": "step ten", "<": "back ten", "n": "surprise", "b": "surprise back", "h": "you",
    "k": "clock", "w": "what if", "g": "ghost", "u": "inside", "d": "tune", "t": "theme",
    "z": "zoom",
}  # fmt: skip


def action_keys(session: Session) -> dict[str, int]:
    """Which key makes which of the session's choices: arrows for directions, the plug-ins' keys, or 1 to 9."""
    if axes := keys_of_axes(session.env.action_space):
        return {"1": 0, **{key: 1 + number for number, (key, _, _) in enumerate(axes)}}
    own = registry.recipes("ACTION_KEYS").get(reference(session.env).id, {})
    keys: dict[str, int] = {}
    for action, (name, _) in enumerate(session.choices):
        folded = name.casefold()
        key = own.get(name) or _ARROWS.get(folded) or _DIAGONALS.get(folded) or str(action + 1)
        keys[key] = action
    return keys


def action_of(event: pygame.event.Event, session: Session) -> int | None:
    """The number of the choice that a key makes while a person plays; these keys win over the window's."""
    if event.type != pygame.KEYDOWN or event.mod & (pygame.KMOD_ALT | pygame.KMOD_META):
        return None
    return action_keys(session).get(pygame.key.name(event.key))


def keys_of(intent: str, session: Session | None) -> str:
    """The keys of an intent as people read them, without those that act in the environment; empty for none."""
    keys = HELP[intent][0]
    taken = action_keys(session) if session is not None and session.driving else {}
    if intent in ("next", "next bookmark"):  # shift and a letter
        return "" if keys.split()[1] in taken else keys
    return " ".join(key for key in keys.split() if key not in taken)
