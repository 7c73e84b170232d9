"""A panel of one's own: what a plug-in draws in the window, in the place of the map (key ``p``).

A package offers panels under the name ``PANELS`` of its recipes (entry-point group ``rlplay.recipes``), a notebook by
`register_panel`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from rlplay import registry
from rlplay.errors import UsageError
from rlplay.probe import Probe

if TYPE_CHECKING:
    import pygame

_registered: dict[str, WindowPanel] = {}


def _always(session: Any) -> bool:
    return True


class WindowPanel(NamedTuple):
    """What is drawn into a rectangle of the window.

    Attributes:
        title: the heading, a few words.
        draw: ``draw(surface, box, session, probe)`` draws within ``box``, a pygame.Rect; ``session`` has ``agent``,
            ``env``, ``observation``, ``returns`` and ``position``; ``probe`` is what the agent thinks of the
            observation, None without an agent.
        fits: ``fits(session)``, whether there is anything to draw; the panel is left out otherwise.

    Example:
        >>> WindowPanel("nothing", lambda surface, box, session, probe: None).fits(None)
        True
    """

    title: str
    draw: Callable[[pygame.Surface, pygame.Rect, Any, Probe | None], None]
    fits: Callable[[Any], bool] = _always


def register_panel(name: str, panel: WindowPanel) -> None:
    """Offer a panel in this process.

    Raises:
        UsageError: the name is taken by another panel.

    Example:
        >>> mine = WindowPanel("nothing", lambda surface, box, session, probe: None)
        >>> register_panel("nothing", mine)
        >>> registered_panels()["nothing"].title
        'nothing'
    """
    if registered_panels().get(name, panel) is not panel:
        raise UsageError(f"the panel {name!r} is taken", "Choose another name")
    _registered[name] = panel


def registered_panels() -> dict[str, WindowPanel]:
    """All panels that plug-ins offer, by name."""
    return {**registry.recipes("PANELS"), **_registered}
