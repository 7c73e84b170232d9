"""What a window records: which frames, at which rate, into which file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pygame

from rlplay.environments.make import reference
from rlplay.errors import RlplayError, warn
from rlplay.training.run_folder import folder_name
from rlplay.viewer.events import Events
from rlplay.viewer.recording import Recorder, free_name, save_picture
from rlplay.viewer.session import Session
from rlplay.viewer.together import Together

_WRONG_SECONDS = 12.0


class Filming(Events):
    """The part of a window that saves what it shows; `rlplay.viewer.window.Window` is the rest.

    Args:
        session: what is shown.
        comparison: shows these players in place of the session.
        headless: no window is open; frames are drawn for the recorder only.
        output: a file to record to from the start.
        rate: steps a second at speed 1.
        paced: whether learning has a pace of its own.

    Attributes:
        recorder: what records now; None for nothing.
        steps: of the environment so far.
    """

    def __init__(
        self, session: Session, comparison: Together | None, *, headless: bool, output: Path | None, rate: float,
        paced: bool,
    ) -> None:  # fmt: skip
        super().__init__(session, comparison)
        self.headless, self.output, self.rate, self.paced = headless, output, rate, paced
        self.recorder = self._new_recorder(output) if output else None
        self.steps = 0
        self._clock = 0.0  # seconds since the start: real ones, or frames when headless
        self._hold = 0.0  # seconds for which the end of an episode is still shown
        self._recorded, self._recorded_step = -math.inf, -1  # when, and at which step, the last frame was kept

    def _save_picture(self, surface: pygame.Surface) -> None:
        """A screenshot, into a file that was not there."""
        path = free_name(self._name(), ".png")
        with self._saying():
            save_picture(surface, path)
            self.say(f"saved {path}")

    def _film(self, surface: pygame.Surface) -> None:
        """Keep the frame, where one is recorded and due."""
        if not (self.recorder and self.state.recording and self._frame_is_due(self.recorder.fps)):
            return
        self._recorded, self._recorded_step = self._clock, self.steps
        with self._saying(of_recorder=True):
            self.recorder.add(surface)
        if self.recorder and self.recorder.full:
            self.say(f"{self.recorder.path.name} is full: later frames are left out")

    def _records_each_step(self) -> bool:
        """Whether a recording has a frame for each step: where nothing is learned, at whatever speed it is watched."""
        recording = self.recorder is not None and self.state.recording
        return recording and not self.paced and self.session.mode != "learn"

    def _frame_is_due(self, fps: float) -> bool:
        """Whether what is drawn now is recorded: a step that was not; without steps by the clock."""
        if self._records_each_step() and not self.headless and self._hold <= 0:
            return self.steps != self._recorded_step
        return self._clock - self._recorded >= 0.999 / fps

    def _new_recorder(self, path: Path) -> Recorder:
        """A recorder at the environment's rate; where learning has a pace of its own, at a steady one."""
        if self.paced or self.session.mode == "learn":
            return Recorder(path)
        return Recorder(path, max(self.rate, 1.0))

    def _name(self) -> str:
        return "rlplay-" + folder_name(reference(self.session.env).id).removeprefix("rlplay-")

    def _toggle_recording(self) -> None:
        if self.state.recording and self.recorder is None:
            self.recorder = self._new_recorder(free_name(self._name(), ".gif"))
            self.say(f"recording to {self.recorder.path}")
        elif not self.state.recording and self.recorder and self.output is None:
            recorder, self.recorder = self.recorder, None
            with self._saying():
                path = recorder.finish()
                self.say(f"wrote {path}" if path else "nothing recorded")

    @contextmanager
    def _saying(self, of_recorder: bool = False) -> Iterator[None]:
        """What goes wrong with a file is said, and what is watched goes on; without a window it is an error."""
        try:
            yield
        except (OSError, RlplayError) as error:
            if self.headless:
                raise
            words = getattr(error, "cause", str(error))
            self.say(words, _WRONG_SECONDS)
            warn(words)
            if of_recorder:
                self.recorder, self.state = None, replace(self.state, recording=False)
