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
    "step": ("right .", "one step on (ten with shift)"),
    "back": ("left ,", "one step back (ten with shift)"),
    "home": ("home end", "to the first step that is kept, to now"),
    "surprise": ("n b", "next, previous surprise"),
    "bookmark": ("m", "set or take away a bookmark"),
    "next bookmark": ("shift m", "to the next bookmark"),
    "you": ("h", "take over, hand back (or hold ctrl)"),
    "clock": ("k", "the world waits for you, or runs on"),
    "what if": ("w", "what if: another action here"),
    "look": ("enter", "look into the chosen row"),
    "other": ("up down", "choose another row, action or dial"),
    "turn": ("right left", "turn the chosen dial (ten times as far with shift)"),
    "ghost": ("g", "one over the other, or side by side"),
    "inside": ("u", "stop inside each update"),
    "tune": ("d", "dials: step size, exploration, the world"),
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
    "full": ("f11", "full screen, and back"),
    "screenshot": ("s", "save a screenshot"),
    "record": ("v", "record on, off"),
    "help": ("?", "help"),
    "close": ("esc", "close what is open, hand back, to now"),
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
        full: whether the window fills the screen.
        help: whether the help is shown.
        quit: whether the window closes.
        touched: whether the speed was chosen by hand.
        requests: what the window is to do once, in order.
        oldest, newest: the places of the history that can be shown: the first that is kept, and now.
        cursor: the place that is shown; None for now, which moves on.
        bookmarks: places that are marked, in order.
        you: whether a person acts.
        held: whether a person acts as long as a key is held.
        clock: whether the world runs on while a person acts; None as the world suggests.
        what_if: whether another action is tried.
        ghost: whether what is compared is drawn one over the other.
        inside: whether each update stops between what was seen and what is learned.
        tune: whether the dials are shown.
        dial: which of them is chosen, counted on and on.
        rows: of a mosaic; 0 for none.
        row: the one that is chosen.
        looking: whether that one is looked into.
        scrolls: whether a list has more rows than are shown.
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
    full: bool = False
    help: bool = False
    quit: bool = False
    touched: bool = False
    requests: tuple[str, ...] = ()
    oldest: int = 0
    newest: int = 0
    cursor: int | None = None
    bookmarks: tuple[int, ...] = ()
    you: bool = False
    held: bool = False
    clock: bool | None = None
    what_if: bool = False
    ghost: bool = False
    inside: bool = False
    tune: bool = False
    dial: int = 0
    rows: int = 0
    row: int = 0
    looking: bool = False
    scrolls: bool = False

    @property
    def place(self) -> int:
        """The place of the history that is shown."""
        return self.newest if self.cursor is None else self.cursor

    @property
    def driving(self) -> bool:
        """Whether a person acts."""
        return self.you or self.held

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
    """The state after an intent; an unknown one changes nothing.

    Example:
        >>> state = went_on(ViewState(), oldest=0, newest=5)
        >>> reduce(reduce(state, "back"), "back").place
        3
        >>> reduce(reduce(state, "back"), "step").cursor  # now again
    """
    if intent == "pause":
        return replace(state, paused=not state.paused)
    if intent in ("step", "step ten"):
        count = 10 if intent == "step ten" else 1
        known = min(count, state.newest - state.place)  # steps that were taken already
        return replace(show(state, state.place + known), requests=state.requests + ("step",) * (count - known))
    if intent in ("back", "back ten"):
        return show(state, state.place - (10 if intent == "back ten" else 1))
    if intent in ("home", "end"):
        return show(state, state.oldest if intent == "home" else state.newest)
    if intent in ("surprise", "surprise back", "tune", "what if", "inside", "ghost", "full"):
        return _toggled(state, intent)
    if intent == "bookmark":
        here = {state.place}
        return replace(state, bookmarks=tuple(sorted({*state.bookmarks} ^ here)))
    if intent == "next bookmark":
        ahead = [place for place in state.bookmarks if place > state.place] or list(state.bookmarks)
        return show(state, ahead[0]) if ahead else state
    if intent == "you":
        return replace(state, you=not state.you, held=False)
    if intent in ("hold", "release"):
        return replace(state, held=intent == "hold")
    if intent in ("wait", "run"):
        return replace(state, clock=intent == "run")
    if intent == "close":
        return closed(state)
    if intent in ("faster", "slower"):
        speed = state.speed + (1 if intent == "faster" else -1)
        return replace(state, speed=min(max(speed, 0), len(SPEEDS) - 1), touched=True)
    if intent == "normal":
        return replace(state, speed=_NORMAL, touched=True)
    if state.tune and intent in ("other", "other back"):
        return replace(state, dial=state.dial + (-1 if intent.endswith("back") else 1))
    if state.rows and intent in ("other", "other back", "slice", "slice back") and not state.looking:
        return replace(state, row=(state.row + (-1 if intent.endswith("back") else 1)) % state.rows)
    if state.rows and intent == "look":
        return replace(state, looking=not state.looking)
    if state.rows and intent.startswith("row "):
        return replace(state, row=int(intent.removeprefix("row ")), looking=True)
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


def show(state: ViewState, place: int) -> ViewState:
    """Show a place of the history, paused; beyond its ends the nearest."""
    place = min(max(place, state.oldest), state.newest)
    return replace(state, paused=True, cursor=None if place == state.newest else place)


def beside(places: list[int], here: int, *, back: bool) -> int | None:
    """The nearest of some places after another, or before it; None for none.

    Example:
        >>> beside([2, 5, 9], 5, back=False), beside([2, 5, 9], 2, back=True)
        (9, None)
    """
    found = [place for place in places if (place < here if back else place > here)]
    return (max(found) if back else min(found)) if found else None


def went_on(state: ViewState, *, oldest: int, newest: int) -> ViewState:
    """The history has grown; what is shown stays, where it is still kept."""
    if (oldest, newest) == (state.oldest, state.newest):
        return state
    cursor = state.cursor if state.cursor is None else min(max(state.cursor, oldest), newest)
    kept = tuple(place for place in state.bookmarks if oldest <= place <= newest)
    return replace(state, oldest=oldest, newest=newest, bookmarks=kept, cursor=None if cursor == newest else cursor)


def closed(state: ViewState) -> ViewState:
    """What Escape does: it closes what is open, the topmost first; at last nothing is left to close."""
    for open_now in ("help", "what_if", "tune", "held", "you", "inside"):
        if getattr(state, open_now):
            return replace(state, **{open_now: False})  # type: ignore[arg-type]
    if state.cursor is not None:
        return replace(state, cursor=None)
    return replace(state, looking=False) if state.looking else replace(state, full=False)


def _toggled(state: ViewState, intent: str) -> ViewState:
    if intent in ("surprise", "surprise back"):  # the history knows where
        return replace(state, paused=True, requests=(*state.requests, intent))
    name = intent.replace(" ", "_")
    return replace(state, **{name: not getattr(state, name)})  # type: ignore[arg-type]


def speed_text(factor: float) -> str:
    """A speed for people: 1/8x, 4x, max."""
    if math.isinf(factor):
        return "max"
    return f"{factor:g}x" if factor >= 1 else f"1/{round(1 / factor)}x"
