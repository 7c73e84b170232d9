"""The loop that joins session, keys and panels, in a real window or without one."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pygame

from rlplay.environments.make import reference
from rlplay.errors import RlplayError, UsageError, visible
from rlplay.viewer import drawing as d
from rlplay.viewer import panels
from rlplay.viewer.bottom import draw_help
from rlplay.viewer.branch import Branch
from rlplay.viewer.dials import dials_of
from rlplay.viewer.display import fill_screen, keep_title, open_window, pygame_kept
from rlplay.viewer.filming import Filming
from rlplay.viewer.follower import Follower
from rlplay.viewer.hands import open_gamepads
from rlplay.viewer.keys import action_keys
from rlplay.viewer.layout import SMALLEST, layout
from rlplay.viewer.mosaic import Mosaic
from rlplay.viewer.network_learning import NetworkLearning
from rlplay.viewer.panel import WindowPanel, register_panel
from rlplay.viewer.session import Session
from rlplay.viewer.state import ViewState, beside, reduce, show, went_on
from rlplay.viewer.together import Together
from rlplay.viewer.updates import draw_update

_FPS = 60
_STEP_BUDGET = 0.020  # seconds of a frame that steps may take
_NOTICE_SECONDS = 4.0
_REPLAY_BUDGET = 0.012  # seconds of a frame in which a past episode is played again
_HOLD_SECONDS = 0.7  # how long the end of an episode is shown at speeds up to 4x
_LOOKED_AT = 20.0  # steps a second up to which it is found out what each update moved

UPDATE = WindowPanel("the update, in numbers", draw_update, lambda session: session.learning is not None)


class Window(Filming):
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
        comparison: shows these players, or the rows of a mosaic, in place of the session.
        ghost: shows them one over the other.
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
        comparison: Together | None = None,
        ghost: bool = False,
    ) -> None:
        if size[0] < SMALLEST[0] or size[1] < SMALLEST[1]:
            raise UsageError(f"a window of {size[0]}x{size[1]} is smaller than {SMALLEST[0]}x{SMALLEST[1]}")
        rate = steps_per_second or float(session.env.metadata.get("render_fps") or 8)
        super().__init__(session, comparison, headless=headless, output=output, rate=rate, paced=pace is not None)
        self.size = self._size_before = size
        self.max_steps, self.pace, self.follower, self.on_trained = max_steps, pace, follower, on_trained
        self.mosaic = comparison if isinstance(comparison, Mosaic) else None
        self._branch: Branch | None = None
        rows = len(self.mosaic.contestants) if self.mosaic is not None else 0
        self.state = ViewState(recording=output is not None, you=session.driving, ghost=ghost, rows=rows)
        self.state = replace(self.state, deterministic=session.deterministic)
        register_panel("update", UPDATE)
        self.frame_times: deque[float] = deque(maxlen=1000)
        self._due = 0.0
        self._notice, self._notice_until = "", 0.0
        self._polled = -math.inf
        self._title = f"rlplay: {reference(session.env)}"

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
            with pygame_kept():
                self._close_all()
            if not self.headless:
                pygame.display.quit()
            if self.recorder and self.recorder.finish():
                print(visible(f"wrote {self.recorder.path}"))

    def say(self, words: str, seconds: float = _NOTICE_SECONDS) -> None:
        """Show a notice in the bottom bar."""
        self._notice, self._notice_until = words, self._clock + seconds

    def _open(self) -> pygame.Surface:
        pygame.font.init()
        if self.headless:
            return pygame.Surface(self.size)
        surface = open_window(self.size, self._title)
        pygame.key.set_repeat(300, 60)
        self.gamepads = open_gamepads()
        return surface

    def _close_all(self) -> None:
        self.session.leave_update()  # nothing is saved half way
        for one in (self.session, *self._players()):
            one.env.close()
            if (twin := one.made_twin) is not None:
                twin.env.close()

    def _players(self) -> list[Session]:
        """The sessions beside the one that is shown, or is the first of those that are."""
        found = {one.session for group in (self.comparison, self.mosaic) if group for one in group.contestants}
        return [session for session in found if session is not self.session]

    def size_now(self) -> tuple[int, int]:
        """Width and height of the window, in pixels."""
        surface = None if self.headless else pygame.display.get_surface()
        return self.size if surface is None else surface.get_size()

    # What a change of the state asks for.

    def _follow_state(self, before: ViewState, intent: str) -> None:
        """What a change of the state asks of session and files."""
        state = self.state
        for one in (self.session, *self._players()):
            one.deterministic = state.deterministic
        if intent == "explore":
            self.say("the agent takes its best action" if state.deterministic else "the agent explores")
        if intent == "record":
            self._toggle_recording()
        if state.driving != before.driving and self.comparison is None:
            if state.cursor is not None:
                self.state = replace(state, cursor=None)
            if why := self.session.take_over(state.driving):
                self.say(why)
                self.state = replace(state, you=before.you, held=before.held)
            else:
                self.say("you act: esc hands back" if state.driving else "the agent acts")
                self.state = replace(self.state, paused=self.state.paused and not state.driving)
        if state.inside != before.inside and self.session.learning is not None:
            self.session.learning.inside = state.inside
            self.say(self.session.learning.stops if state.inside else "updates are not stopped in")
            if state.inside:
                self.state = replace(self.state, paused=True)
            self._show_panel("update")
        if state.tune and not before.tune:
            cells = "; click a cell: wall or floor, with the right button its reward" if self.session.world.rows else ""
            keys = "up, down choose a dial; left, right turn it, or drag it"
            self.say(f"{keys if dials_of(self.session) else 'nothing can be turned here'}{cells}")
        if state.full != before.full and not self.headless:
            if state.full:
                self._size_before = self.size_now()
            fill_screen(state.full, self._size_before)
        if state.what_if != before.what_if:
            self._open_branch() if state.what_if else self._close_branch()
        if state.looking != before.looking and self.mosaic is not None:
            self._look(state.looking)

    # What if.

    def _open_branch(self) -> None:
        self._branch = Branch(self.session, self.state)
        self.state = replace(self.state, paused=True, cursor=None, bookmarks=())
        self._turn_branch(1)

    def _turn_branch(self, by: int) -> None:
        """Try another action at the place where the futures part."""
        assert self._branch is not None
        try:
            found = self._branch.turn(by)
        except RlplayError as error:
            self._close_branch()
            self.state = replace(self.state, what_if=False)
            self.say(error.cause)
            return
        self._leave_branch()
        self.comparison = found
        self.state = replace(self.state, cursor=None)
        self.say("up, down: another action. space plays, esc goes back", 30)

    def _leave_branch(self) -> None:
        if self.comparison is not None and self.comparison.closable:
            with pygame_kept():
                self.comparison.close()
        self.comparison = None

    def _close_branch(self) -> None:
        """Back to the session, as it was shown."""
        self._leave_branch()
        if (branch := self._branch) is not None:
            before, self._branch = branch.state, None
            self._grow()
            self.state = replace(self.state, cursor=before.cursor, bookmarks=before.bookmarks)
            self.say("back where it branched")

    def _choose_branch(self, intent: str) -> bool:
        """Within what if, two keys choose the other action."""
        if intent not in ("slice", "slice back", "other", "other back"):
            return False
        self._turn_branch(-1 if intent.endswith("back") else 1)
        return True

    # A mosaic.

    def _look(self, inside: bool) -> None:
        """Into the chosen row of a mosaic, or back to all of them."""
        mosaic = self.mosaic
        assert mosaic is not None
        chosen = mosaic.contestants[self.state.row % len(mosaic.contestants)]
        if inside:
            self.session, self.comparison = chosen.session, None
            self.say(f"{chosen.name}: esc goes back to all rows")
        else:
            if self.session.driving:
                self.session.take_over(False)
            self.comparison = mosaic
        self.state = replace(self.state, cursor=None, bookmarks=(), you=False, held=False)

    # Time.

    def _advance(self, elapsed: float) -> None:
        self._clock += elapsed
        if self.follower and self._clock - self._polled >= 0.5:
            self._polled = self._clock
            self._follow(self.follower)
        requests, self.state = self.state.requests, _without_requests(self.state)
        for request in requests:
            self._request(request)
        self._grow()
        driver = self.driver
        if driver is not None and self.state.cursor is None:
            driver.hands.move(elapsed)
            if not self._runs_on(driver):
                self._take_turn(driver, elapsed)
                return
        if self.state.paused:
            return
        if self._hold > 0:
            self._hold -= elapsed
            return
        self._due = min(self._due + elapsed * self._steps_per_second(), 1e6)
        if self.state.cursor is not None:
            self._play_again()
            return
        deadline = time.perf_counter() + _STEP_BUDGET
        while self._due >= 1 and self._hold <= 0 and not self.state.quit:
            self._due -= 1
            if driver is not None and driver.pending is None:
                driver.pending = self._action_of(driver)
            if not self._step():
                self._due = 0
                break
            if self.state.paused:
                break
            if self._records_each_step():
                self._due = min(self._due, 1.0)
                break
            if not self.headless and time.perf_counter() > deadline:
                self._due = min(self._due, 1.0)
                break
        self._grow()

    def _take_turn(self, driver: Session, elapsed: float) -> None:
        """A world that waits: a step for each press, and one after another while a push along an axis lasts."""
        if driver.pending is None and driver.hands.continuous and driver.hands.busy:
            self._due = min(self._due + elapsed * self._steps_per_second(), 1.0)
            if self._due >= 1:
                self._due, driver.pending = 0.0, driver.hands.action()
        if driver.pending is not None or (self.comparison is not None and driver.ended and not self.state.paused):
            self._step()
            self._grow()

    def _action_of(self, driver: Session) -> object:
        """What a person does in a world that runs on: what is held, or what leaves things alone."""
        action = driver.hands.action(action_keys(driver))
        return driver.hands.idle if action is None else action

    def _grow(self) -> None:
        past = self.session.history if self.comparison is None else self.comparison
        self.state = went_on(self.state, oldest=past.oldest, newest=max(past.newest, 0))

    def _play_again(self) -> None:
        """Through the history at the speed of the clock; at its end time goes on."""
        many, self._due = int(self._due), self._due % 1
        if many:
            self.state = replace(show(self.state, self.state.place + many), paused=False)

    def _request(self, request: str) -> None:
        session = self.session
        if request == "step":
            if self.driver is not None and self.driver.pending is None:
                self.say("you act: press one of your keys, or esc to hand back")
                return
            self._step()
        elif request in ("reset", "next") and self.comparison is not None:
            self.comparison.again() if request == "reset" else self.comparison.following()
            self.say(f"seed {self.comparison.contestants[0].session.position.seed}")
        elif request in ("reset", "next"):
            session.reset(again=request == "reset")
            self.state = replace(self.state, cursor=None)
            self.say(session.message or f"seed {session.position.seed}")
            session.message = ""
        elif request.startswith("surprise"):
            places, back = session.surprises(), request.endswith("back")
            wanted = beside(places, self.state.place, back=back)
            if wanted is not None:
                self.state = show(self.state, wanted)
            else:
                self.say("none before this step: n looks on" if back else "no surprise after this step: b looks back")
        elif request == "screenshot":
            self.state = _with_requests(self.state, (*self.state.requests, "shoot"))

    def _steps_per_second(self) -> float:
        if self.pace and not self.state.touched and self.session.mode == "learn":
            return self.pace(self._clock, self.session)
        return self.rate * min(self.state.factor, 1e5)

    def _step(self) -> bool:
        if self.max_steps is not None and self.steps >= self.max_steps:
            return False
        if self.comparison is not None:
            return self._step_beside(self.comparison)
        if self.session.ended and self.session.mode in ("watch", "play") and self.session.last is not None:
            self.session.reset()
            if self.session.driving and not self._runs_on(self.session):  # one looks before one acts
                self.session.pending = None
                self.say(f"a new episode, seed {self.session.position.seed}")
                return True
        if self.session.learning is not None:
            self.session.learning.looking = self.state.paused or self._steps_per_second() <= _LOOKED_AT
        inside = self.session.in_update
        going = self.session.step()
        if isinstance(self.session.learning, NetworkLearning) and self.session.in_update and not inside:
            self.state = replace(self.state, paused=True)  # an update begins
        if going:
            self.steps += 1
            if self.mosaic is not None:  # one looks into a row, and the others go on beside it
                self.mosaic.step_beside(self.session)
        elif self.session.message:
            self.say(self.session.message, 60)
            self.session.message = ""
            self.state = replace(self.state, paused=self.state.paused or self.session.mode == "replay")
        calm = self.state.factor <= 4 and not (self.pace and self.session.mode == "learn")
        if self.session.ended and calm and not self.state.paused and going:
            self._hold = _HOLD_SECONDS
        if self.session.mode == "learn" and (self.session.trained or not going):
            self.session.stop_learning()
            self.say(self.on_trained or "trained: now the agent shows what it learned", 3600)
            return False
        return going

    def _step_beside(self, comparison: Together) -> bool:
        ended = comparison.ended
        going = comparison.step()
        self.steps += going
        if comparison.message:
            self.say(comparison.message)
            comparison.message = ""
        if going and not ended and comparison.ended and self.state.factor <= 4 and not self.state.paused:
            self._hold = 2 * _HOLD_SECONDS
        return going

    def _follow(self, follower: Follower) -> None:
        try:
            follower.poll()
        except RlplayError as error:
            self.say(error.cause)

    def _draw(self, surface: pygame.Surface) -> None:
        notice = self._notice if self._clock < self._notice_until else ""
        # The sign for recording is for the person at the window, not for whoever sees the recording of a headless one.
        state = replace(self.state, recording=self.state.recording and not self.headless)
        if self.comparison is not None:
            self.comparison.draw(surface, state, notice)
        else:
            shown = self.session if state.cursor is None else self.session.at(state.cursor, _REPLAY_BUDGET)
            if state.cursor is None:
                self.session.think()
            elif shown.message and not notice:
                notice = shown.message
            panels.draw(surface, shown, replace(state, help=state.help and not state.tune), notice, self.pointer)
            if state.tune:
                self._draw_dials(surface, shown)
                if state.help:
                    draw_help(surface, shown, state, pointer=self.pointer)
        if self._pointed().scrolls != self.state.scrolls:
            self.state = replace(self.state, scrolls=self._pointed().scrolls)
        if "shoot" in self.state.requests:
            self.state = _without_requests(self.state)
            self._save_picture(surface)
        self._film(surface)
        if not self.headless:
            keep_title(self._title)
            pygame.display.flip()

    def _draw_dials(self, surface: pygame.Surface, shown: Session) -> None:
        """In place of the curve, or of the views; the picture and the map stay: cells are clicked, and values move."""
        places = layout(*surface.get_size(), self.state.zoom)
        box = d.panel(
            surface, places.get("returns", places["views"]), "dials, by hand", "blue: the agent's, white: the world's"
        )
        self.dials.chosen = self.state.dial
        self.dials.draw(surface, box, shown, None)

    def _show_panel(self, name: str) -> None:
        """Bring one of the panels that share a place to the front."""
        labels = [view.label for view in panels.views(self.session, set(layout(*self.size, self.state.zoom)))]
        if name in labels:
            self.state = reduce(self.state, f"panel {labels.index(name)}")


def _without_requests(state: ViewState) -> ViewState:
    return _with_requests(state, ()) if state.requests else state


def _with_requests(state: ViewState, requests: tuple[str, ...]) -> ViewState:
    return replace(state, requests=requests)
