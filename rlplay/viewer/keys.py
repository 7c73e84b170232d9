"""From keyboard events to intents, and to actions while a person plays."""

from __future__ import annotations

import pygame

from rlplay import registry
from rlplay.environments.make import reference
from rlplay.viewer.session import Session

_ARROWS = {"up": "up", "north": "up", "down": "down", "south": "down", "left": "left", "west": "left",
           "right": "right", "east": "right"}  # fmt: skip
_DIAGONALS = {"up-right": "e", "down-right": "c", "down-left": "z", "up-left": "q"}


def intent_of(event: pygame.event.Event) -> str | None:
    """The intent of a key event, or None. Characters are matched as typed, so + and ? work on every layout."""
    if event.type != pygame.KEYDOWN or event.mod & (pygame.KMOD_ALT | pygame.KMOD_CTRL | pygame.KMOD_META):
        return None
    shift = bool(event.mod & pygame.KMOD_SHIFT)
    if event.key == pygame.K_RIGHT:
        return "step ten" if shift else "step"
    if event.key in (pygame.K_PLUS, pygame.K_KP_PLUS):
        return "faster"
    if event.key == pygame.K_KP_MINUS:
        return "slower"
    typed = event.unicode
    if typed in ("r", "R"):
        return "next" if shift else "reset"
    by_character = {
        " ": "pause", "+": "faster", "=": "faster", "-": "slower", "0": "normal", "e": "explore", "s": "screenshot",
        "v": "record", "?": "help", "q": "quit", "[": "slice back", "]": "slice", "l": "layer", "p": "panel",
        "t": "theme", "z": "zoom",
    }  # fmt: skip
    return by_character.get(typed)


def action_keys(session: Session) -> dict[str, int]:
    """Which key makes which of the session's choices: arrows for directions, the plug-ins' keys, or 1 to 9."""
    own = registry.recipes("ACTION_KEYS").get(reference(session.env).id, {})
    keys: dict[str, int] = {}
    for action, (name, _) in enumerate(session.choices):
        folded = name.casefold()
        key = own.get(name) or _ARROWS.get(folded) or _DIAGONALS.get(folded) or str(action + 1)
        keys[key] = action
    return keys


def action_of(event: pygame.event.Event, session: Session) -> int | None:
    """The number of the choice that a key makes while a person plays; these keys win over the window's."""
    if event.type != pygame.KEYDOWN or event.mod & (pygame.KMOD_ALT | pygame.KMOD_CTRL | pygame.KMOD_META):
        return None
    return action_keys(session).get(pygame.key.name(event.key))
