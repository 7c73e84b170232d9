"""The loop that joins session, keys and panels, in a real window or without one."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pygame

from rlplay.environments.episode import Episode
from rlplay.environments.make import reference
from rlplay.errors import RlplayError, UsageError
from rlplay.training.run_folder import folder_name
from rlplay.viewer import panels
from rlplay.viewer.display import open_display, pygame_kept
from rlplay.viewer.keys import action_of, intent_of
from rlplay.viewer.layout import SMALLEST
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.recording import Recorder
from rlplay.viewer.session import Follower, Session
from rlplay.viewer.state import ViewState, reduce

_FPS = 60
_STEP_BUDGET = 0.020  # seconds of a frame that steps may take
_NOTICE_SECONDS = 4.0
_HOLD_SECONDS = 0.7  # how long the end of an episode is shown at speeds up to 4x


class Window:
    """Shows a session until it is closed.

    Args:
        session: what is shown.
        size: width and height in pixels.
        steps_per_second: environment steps a second at speed 1; the environment's own frame rate by default.
        headless: open no window; frames go to the recorder only, as fast as they are drawn.
        output: a file to record to from the start.
        max_steps: stop after so many steps of the environment.
        pace: chooses steps a second from (seconds, session), until the user touches the speed.
        follower: where new weights come from while another process trains.
        on_trained: a notice to show once a learning session has reached its target.
    """

    def __init__(
        self,
        session: Session,
        size: tuple[int, int] = (1280, 720),
        *,
        steps_per_second: float | None = None,
        headless: bool = False,
        output: Path | None = None,
        max_steps: int | None = None,
        pace: Callable[[float, Session], float] | None = None,
        follower: Follower | None = None,
        on_trained: str = "",
    ) -> None:
        if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
            raise UsageError(f"a window of {size[0]}x{size[1]} is smaller than {SMALLEST[0]}x{SMALLEST[1]}")
        self.session, self.size, self.headless = session, size, headless
        self.rate = steps_per_second or float(session.env.metadata.get("render_fps") or 8)
        self.max_steps, self.pace, self.follower, self.on_trained = max_steps, pace, follower, on_trained
        self.output = output
        self.recorder = self._new_recorder(output) if output else None
        self.state = ViewState(recording=output is not None)
        self.pointer = Pointer()
        self.steps = 0
        self.frame_times: deque[float] = deque(maxlen=1000)
        self._due = 0.0
        self._hold = 0.0
        self._notice, self._notice_until = "", 0.0
        self._clock = 0.0  # seconds since the start: real ones, or frames when headless
        self._polled = self._recorded = -math.inf
        self._recorded_step = -1

    def run(self) -> None:
        """Show frames until the window is closed or there is nothing more to show."""
        surface = self._open()
        ticker = pygame.time.Clock()
        previous = time.perf_counter()
        try:
            while not self.state.quit:
                now = time.perf_counter()
                elapsed = 1 / (self.recorder.fps if self.recorder else 10.0) if self.headless else now - previous
                previous = now
                if not self.headless:
                    for event in pygame.event.get():
                        self._handle(event)
                self._advance(elapsed)
                self._draw(surface)
                self.frame_times.append(time.perf_counter() - now)
                if self.max_steps is not None and self.steps >= self.max_steps:
                    break
                if not self.headless:
                    ticker.tick(_FPS)
        finally:
            if self.recorder and self.recorder.finish():
                print(f"wrote {self.recorder.path}")
            with pygame_kept():
                self.session.env.close()
            if not self.headless:
                pygame.display.quit()

    def say(self, words: str, seconds: float = _NOTICE_SECONDS) -> None:
        """Show a notice in the bottom bar."""
        self._notice, self._notice_until = words, self._clock + seconds

    def _open(self) -> pygame.Surface:
        pygame.font.init()
        if self.headless:
            return pygame.Surface(self.size)
        open_display()  # display and font only: audio makes noise on servers
        pygame.key.set_repeat(300, 60)
        surface = pygame.display.set_mode(self.size, pygame.RESIZABLE)
        pygame.display.set_caption(f"rlplay: {reference(self.session.env)}")
        return surface

    def _handle(self, event: pygame.event.Event) -> None:
        if event.type == pygame.QUIT:
            self.state = reduce(self.state, "quit")
            return
        if self.session.mode == "play":
            action = action_of(event, self.session)
            if action is not None:
                self.session.pending = self.session.choices[action][1]
                return
        intent = self.pointer.handle(event) or intent_of(event)
        if intent is not None:
            self.state = reduce(self.state, intent)
            self.session.deterministic = self.state.deterministic
            if intent == "explore":
                self.say("the agent takes its best action" if self.state.deterministic else "the agent explores")
            if intent == "record":
                self._toggle_recording()

    def _advance(self, elapsed: float) -> None:
        self._clock += elapsed
        if self.follower and self._clock - self._polled >= 0.5:
            self._polled = self._clock
            self._follow(self.follower)
        requests, self.state = self.state.requests, _without_requests(self.state)
        for request in requests:
            if request == "step":
                self._step()
            elif request in ("reset", "next"):
                self.session.reset(again=request == "reset")
                self.say(self.session.message or f"seed {self.session.position.seed}")
                self.session.message = ""
            elif request == "screenshot":
                self.state = _with_requests(self.state, ("shoot",))
        if self.session.mode == "play":
            if self.session.pending is not None:
                self._step()
            return
        if self.state.paused:
            return
        if self._hold > 0:
            self._hold -= elapsed
            return
        self._due = min(self._due + elapsed * self._steps_per_second(), 1e6)
        deadline = time.perf_counter() + _STEP_BUDGET
        while self._due >= 1 and self._hold <= 0 and not self.state.quit:
            self._due -= 1
            if not self._step():
                self._due = 0
                break
            if self._records_each_step():
                self._due = min(self._due, 1.0)
                break
            if not self.headless and time.perf_counter() > deadline:
                self._due = min(self._due, 1.0)
                break

    def _steps_per_second(self) -> float:
        if self.pace and not self.state.touched and self.session.mode == "learn":
            return self.pace(self._clock, self.session)
        return self.rate * min(self.state.factor, 1e5)

    def _step(self) -> bool:
        if self.max_steps is not None and self.steps >= self.max_steps:
            return False
        if self.session.ended and self.session.mode in ("watch", "play") and self.session.last is not None:
            self.session.reset()
        going = self.session.step()
        if going:
            self.steps += 1
        elif self.session.message:
            self.say(self.session.message, 60)
            self.session.message = ""
        calm = self.state.factor <= 4 and not (self.pace and self.session.mode == "learn")
        if self.session.ended and calm and not self.state.paused and going:
            self._hold = _HOLD_SECONDS
        if self.session.mode == "learn" and (self.session.trained or not going):
            self.session.stop_learning()
            self.say(self.on_trained or "trained: now the agent shows what it learned", 3600)
            return False
        return going

    def _follow(self, follower: Follower) -> None:
        try:
            follower.poll()
        except RlplayError as error:
            self.say(error.cause)

    def _draw(self, surface: pygame.Surface) -> None:
        notice = self._notice if self._clock < self._notice_until else ""
        # The sign for recording is for the person at the window, not for whoever sees the recording of a headless one.
        panels.draw(
            surface, self.session, replace(self.state, recording=self.state.recording and not self.headless), notice,
            self.pointer,
        )  # fmt: skip
        if "shoot" in self.state.requests:
            self.state = _without_requests(self.state)
            path = _free_name(self._name(), ".png")
            pygame.image.save(surface, str(path))
            self.say(f"saved {path}")
        if self.recorder and self.state.recording and self._frame_is_due(self.recorder.fps):
            self._recorded, self._recorded_step = self._clock, self.steps
            self.recorder.add(surface)
            if self.recorder.full:
                self.say(f"{self.recorder.path.name} is full: later frames are left out")
        if not self.headless:
            pygame.display.flip()

    def _records_each_step(self) -> bool:
        """Whether a recording has a frame for each step: where nothing is learned, at whatever speed it is watched."""
        recording = self.recorder is not None and self.state.recording
        return recording and self.pace is None and self.session.mode != "learn"

    def _frame_is_due(self, fps: float) -> bool:
        """Whether what is drawn now is recorded: a step that was not; without steps by the clock."""
        if self._records_each_step() and not self.headless and self._hold <= 0:
            return self.steps != self._recorded_step
        return self._clock - self._recorded >= 0.999 / fps

    def _new_recorder(self, path: Path) -> Recorder:
        """A recorder at the environment's rate; where learning has a pace of its own, at a steady one."""
        if self.pace is not None or self.session.mode == "learn":
            return Recorder(path)
        return Recorder(path, max(self.rate, 1.0))

    def _name(self) -> str:
        return "rlplay-" + folder_name(reference(self.session.env).id).removeprefix("rlplay-")

    def _toggle_recording(self) -> None:
        if self.state.recording and self.recorder is None:
            self.recorder = self._new_recorder(_free_name(self._name(), ".gif"))
            self.say(f"recording to {self.recorder.path}")
        elif not self.state.recording and self.recorder and self.output is None:
            path = self.recorder.finish()
            self.recorder = None
            self.say(f"wrote {path}" if path else "nothing recorded")


def save_episodes(episodes: list[Episode], path: Path, session: Session) -> list[Path]:
    """Write the episodes a person played: the first to the path, the others numbered beside it."""
    written = []
    for number, episode in enumerate(episodes, 1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        written.append(episode.save(target, session.env.action_space))
    return written


def _without_requests(state: ViewState) -> ViewState:
    return _with_requests(state, ()) if state.requests else state


def _with_requests(state: ViewState, requests: tuple[str, ...]) -> ViewState:
    return replace(state, requests=requests)


def _free_name(stem: str, suffix: str) -> Path:
    number = 1
    while (path := Path(f"{stem}-{number}{suffix}")).exists():
        number += 1
    return path
