"""What the keys do: intents, and a pure reducer from state and intent to state."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

SPEEDS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, math.inf)
ZOOMS = (1.0, 1.25, 1.5, 2.0)
_NORMAL = SPEEDS.index(1.0)

# Intent: the keys as people read them, what it does.
HELP = {
    "pause": ("space", "pause, play"),
    "step": ("right", "one step (ten with shift), paused"),
    "faster": ("+", "faster"),
    "slower": ("-", "slower"),
    "normal": ("0", "normal speed"),
    "reset": ("r", "the same episode again"),
    "next": ("shift r", "next episode"),
    "explore": ("e", "greedy, or as it explores"),
    "slice": ("[ ]", "other dimensions of the map"),
    "layer": ("l", "values, receptive field, visits"),
    "panel": ("p", "next panel, at the right"),
    "scroll": ("page", "up, down, or the wheel: more rows"),
    "theme": ("t", "light or dark"),
    "zoom": ("z", "larger words, up to 200 %"),
    "screenshot": ("s", "save a screenshot"),
    "record": ("v", "record on, off"),
    "help": ("?", "help"),
    "quit": ("q", "quit"),
}


@dataclass(frozen=True)
class ViewState:
    """What the window remembers between frames.

    Attributes:
        paused: whether no steps are taken.
        speed: place in `SPEEDS`.
        deterministic: whether the agent takes its best action.
        recording: whether frames are recorded.
        slice: which pair of dimensions the map of a vector state space shows, counted on and on.
        layer: which layer the map shows, counted on and on.
        panel: which of the panels that share a place is shown, counted on and on.
        light: whether the window is drawn in light colours.
        zooms: how often the words were made larger, counted on and on.
        help: whether the help is shown.
        quit: whether the window closes.
        touched: whether the speed was chosen by hand.
        requests: what the window is to do once, in order.
    """

    paused: bool = False
    speed: int = _NORMAL
    deterministic: bool = True
    recording: bool = False
    slice: int = 0
    layer: int = 0
    panel: int = 0
    light: bool = False
    zooms: int = 0
    help: bool = False
    quit: bool = False
    touched: bool = False
    requests: tuple[str, ...] = ()

    @property
    def theme(self) -> str:
        """The name of the colours."""
        return "light" if self.light else "dark"

    @property
    def zoom(self) -> float:
        """How much larger words are than usual."""
        return ZOOMS[self.zooms % len(ZOOMS)]

    @property
    def factor(self) -> float:
        """The speed as a factor; infinity for as fast as it goes."""
        return SPEEDS[self.speed]


def reduce(state: ViewState, intent: str) -> ViewState:
    """The state after an intent; an unknown one changes nothing."""
    if intent == "pause":
        return replace(state, paused=not state.paused)
    if intent in ("step", "step ten"):
        count = 10 if intent == "step ten" else 1
        return replace(state, paused=True, requests=state.requests + ("step",) * count)
    if intent in ("faster", "slower"):
        speed = state.speed + (1 if intent == "faster" else -1)
        return replace(state, speed=min(max(speed, 0), len(SPEEDS) - 1), touched=True)
    if intent == "normal":
        return replace(state, speed=_NORMAL, touched=True)
    if intent in ("reset", "next", "screenshot"):
        return replace(state, requests=(*state.requests, intent))
    if intent in ("slice", "slice back"):
        return replace(state, slice=state.slice + (1 if intent == "slice" else -1))
    if intent == "layer":
        return replace(state, layer=state.layer + 1)
    if intent == "panel":
        return replace(state, panel=state.panel + 1)
    if intent.startswith("panel "):
        return replace(state, panel=int(intent.removeprefix("panel ")))
    if intent == "theme":
        return replace(state, light=not state.light)
    if intent == "zoom":
        return replace(state, zooms=state.zooms + 1)
    if intent == "explore":
        return replace(state, deterministic=not state.deterministic)
    if intent == "record":
        return replace(state, recording=not state.recording)
    if intent == "help":
        return replace(state, help=not state.help)
    if intent == "quit":
        return replace(state, quit=True)
    return state


def speed_text(factor: float) -> str:
    """A speed for people: 1/8x, 4x, max."""
    if math.isinf(factor):
        return "max"
    return f"{factor:g}x" if factor >= 1 else f"1/{round(1 / factor)}x"
