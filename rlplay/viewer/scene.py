"""What a panel of the window is drawn from."""

from __future__ import annotations

from typing import NamedTuple

from rlplay.probe import Probe
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState

ROUNDING = 1e-7  # of the numbers that a difference is made of


class Scene(NamedTuple):
    """What panels are drawn from."""

    session: Session
    state: ViewState
    probe: Probe | None
    pointer: Pointer
