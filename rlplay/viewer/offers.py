"""Which keys do something now, and why the others do not: the help, the hints and the notices ask here."""

from __future__ import annotations

from typing import Any

from rlplay.environments.make import reference
from rlplay.viewer.dials import dials_of
from rlplay.viewer.keys import keys_of
from rlplay.viewer.slices import can_be_sliced
from rlplay.viewer.state import HELP, ViewState

_PAST = ("back", "home", "end", "surprise", "bookmark", "next bookmark")
_HINTS = ("close", "look", "other", "turn", "pause", "step", "back", "you", "what if", "surprise", "panel", "inside",
          "tune", "ghost", "faster", "help", "quit", "reset", "screenshot")  # fmt: skip


def why_not(intent: str, session: Any, state: ViewState, comparison: Any = None) -> str:
    """Why an intent changes nothing now, in words; empty where it does something.

    Args:
        intent: as in `rlplay.viewer.state.HELP`, with or without " ten" and " back".
        session: what is shown.
        state: of the window.
        comparison: where several are compared.

    Example:
        >>> import rlplay
        >>> from rlplay.viewer.session import Session
        >>> session = Session(rlplay.make("CliffWalking-v1", render_mode="rgb_array"), None, "play")
        >>> why_not("you", session, ViewState(you=True))
        'there is no agent to hand back to'
    """
    name = intent.removesuffix(" ten").removesuffix(" back")
    if name == "scroll":
        return "" if state.scrolls else "every row is shown: there is nothing to scroll"
    if comparison is not None:
        return _why_not_beside(name, state, comparison)
    agent, learning = session.agent, session.learning
    if why := _why_not_back(name, state):
        return why
    handed = state.driving and not session.why_not_driven(False)
    if name == "close" and not (state.help or state.what_if or state.tune or handed or state.inside):
        open_now = state.cursor is not None or state.looking or state.full
        return "" if open_now else "nothing is open, q quits"
    if name == "look":
        return "" if state.looking else "there is one environment: rlplay watch RUN --rows 8 shows several"
    if name == "other":
        if state.tune:
            return "" if dials_of(session) else "there are no dials to choose from"
        return "there is nothing to choose: w tries another action, --rows shows several environments"
    if name == "turn":
        return "" if state.tune and dials_of(session) else "d shows the dials that can be turned"
    if name == "explore" and (agent is None or learning is not None):
        return "there is no agent to explore" if agent is None else "while it learns it explores by its own rule"
    if name in ("slice", "layer") and (agent is None or not can_be_sliced(session.env)):
        return "the map has no other side here: it is for agents and observations of 2 to 64 numbers"
    if name in ("reset", "next") and learning is not None:
        return "no new episode while it learns: that would change what it learns"
    if name == "next" and session.mode == "replay":
        return "a recording has one episode"
    if name == "you":
        return str(session.why_not_driven(not state.you))
    if name == "clock" and not state.driving:
        return "the clock is for when you act: h takes over"
    if name == "what if":
        return "" if state.what_if else _why_no_branch(session, state)
    if name == "ghost":
        return "a ghost needs two agents: rlplay watch A B --ghost"
    if name == "inside" and (learning is None or agent.timestep == "sweep"):
        return "there is no update to stop in: nothing is learned here step by step (train --lock-step)"
    if name == "inside" and not learning.can_stop_inside:
        return f"{agent.id} learns from many steps at once: there is no update of one step to stop in"
    if name == "tune" and not dials_of(session) and not session.world.rows:
        where = reference(session.env).id or "this environment"
        rates = "nothing is learned here" if learning is None else f"{agent.id} has no rates that can be turned"
        return f"there is nothing to turn: {where} has no constants and no cells to change, and {rates}"
    return ""


def _why_not_back(name: str, state: ViewState) -> str:
    """Why there is no going back, or to a mark, on the timeline."""
    if name in _PAST and state.newest <= state.oldest:
        return "nothing has happened yet"
    if name == "home" and state.place == state.oldest:
        return "this is the first step that is kept"
    if name == "back" and state.place == state.oldest:
        return "this is the first step that is kept: there is none before it"
    if name == "end" and state.cursor is None:
        return "this is now"
    if name == "next bookmark" and not state.bookmarks:
        return "there is no bookmark: m sets one"
    return ""


def _why_not_beside(name: str, state: ViewState, comparison: Any) -> str:
    if name == "surprise":
        return "surprises are for one agent"
    if why := _why_not_back(name, state):
        return why
    if name == "close" and (comparison.closable or state.cursor is not None or state.full):
        return ""
    if name in ("other", "slice") and (comparison.closable or state.rows):
        return ""
    if name == "look" or name.startswith("row "):
        return "" if state.rows else "there are no rows to look into"
    if name == "ghost" and state.rows:
        return "a ghost is for two agents: rlplay watch A B --ghost"
    if name == "next" and comparison.closable:
        return "what if ends with the episode: esc closes it"
    if name in _BESIDE or (name == "close" and state.help):
        return ""
    if name == "what if":
        return "esc closes it" if comparison.closable else "what if is for one agent"
    if name == "close":
        return "nothing is open, q quits"
    return "not while several are compared" if not state.rows else "look into a row first: enter"


_BESIDE = ("pause", "step", "faster", "slower", "normal", "reset", "next", "ghost", "screenshot", "record", "help",
           "quit", "theme", "zoom", "full", "explore", *(name for name in _PAST if name != "surprise"))  # fmt: skip


def _why_no_branch(session: Any, state: ViewState) -> str:
    agent = session.agent
    if agent is None:
        return "what if needs an agent that goes on"
    if not session.choices:
        return f"there are no choices among actions {session.env.action_space}"
    if agent.timestep == "sweep" or (session.learning is not None and agent.follows_position):
        return f"{agent.id} plans while it learns: watch it afterwards"
    if not len(session.history):
        return "nothing has happened yet"
    moment = session.history[state.place]
    if moment.ended:
        return "the episode ends here: go back to a step before it"
    if moment.episode.seed < 0:
        return "the episode began before the window, and cannot be played again"
    if session.twin() is None:
        return "what if needs a second environment, and none can be made"
    return ""


def offered(session: Any, state: ViewState, comparison: Any = None) -> list[tuple[str, str, str]]:
    """Intent, keys and meaning of everything that does something now; the help shows it."""
    driver = None if comparison is not None and comparison.driver is None else session
    driver = comparison.driver if comparison is not None else driver
    found = []
    for intent, (_, meaning) in HELP.items():
        keys = HELP[intent][0] if driver is None else keys_of(intent, driver)
        if state.tune and intent in ("step", "back"):  # those arrows turn the dial
            keys = keys.split()[-1]
        if comparison is not None and intent == "slice":  # they choose, as up and down do
            continue
        if keys and not why_not(intent, session, state, comparison):
            found.append((intent, keys, _told(intent, meaning, state)))
    return found


def _told(intent: str, meaning: str, state: ViewState) -> str:
    if intent == "you" and state.you:
        return "hand back"
    if intent == "pause":
        return "play" if state.paused else "pause"
    if intent == "other" and state.tune:
        return "choose a dial"
    return meaning


def hints(session: Any, state: ViewState, comparison: Any = None) -> list[tuple[str, str]]:
    """Key and meaning of what one needs most now, in a few words."""
    rows = {intent: (keys.split()[0] if intent != "next" else keys, meaning)
            for intent, keys, meaning in offered(session, state, comparison)}  # fmt: skip
    found = []
    for intent in _HINTS:
        if intent in rows and not (
            intent == "close"
            and state.cursor is None
            and not state.driving
            and not state.looking
            and comparison is None
        ):
            keys, meaning = rows[intent]
            found.append((keys, _BRIEF.get(intent, meaning.split(",")[0].split(" (")[0].split(":")[0])))
    return found


_BRIEF = {"step": "step", "back": "back", "surprise": "surprise", "inside": "stop inside", "tune": "dials",
          "you": "take over", "panel": "panel", "look": "look into it", "other": "choose", "ghost": "ghost",
          "close": "close"}  # fmt: skip
