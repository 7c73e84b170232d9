"""Pictures of the window: environments that draw nothing, what an agent is given, rows and words that have no room."""

from __future__ import annotations

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pygame
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from agents import QLearning
from rlplay import make
from rlplay.errors import RlplayWarning
from rlplay.viewer import charts, drawing, panels
from rlplay.viewer.layout import SMALLEST, layout
from rlplay.viewer.observation import draw_observation, planes_of
from rlplay.viewer.pictures import rendered
from rlplay.viewer.pointer import Pointer
from rlplay.viewer.session import Session
from rlplay.viewer.slices import dimension_names
from rlplay.viewer.state import ZOOMS, ViewState, reduce
from rlplay.viewer.window import Window


@pytest.fixture(autouse=True)
def usual():
    pygame.font.init()
    drawing.use()
    yield
    drawing.use()


class Silent(gym.Env):
    """An environment without pictures, of any observations."""

    def __init__(self, space, render=None):
        self.observation_space, self.action_space = space, spaces.Discrete(2)
        self._render = render
        if render is not None:
            self.metadata, self.render_mode = {"render_modes": ["rgb_array"]}, "rgb_array"

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, False, False, {}

    def render(self):
        return self._render() if self._render is not None else None


SPACES = {
    "a number of 7": spaces.Discrete(7),
    "a number of 100,000": spaces.Discrete(100_000),
    "three numbers": spaces.Box(-1.0, 1.0, (3,)),
    "200 numbers without bounds": spaces.Box(-np.inf, np.inf, (200,)),
    "an image": spaces.Box(0, 255, (36, 36, 3), np.uint8),
    "channels first": spaces.Box(0, 255, (4, 36, 36), np.uint8),
    "a matrix": spaces.Box(-1.0, 1.0, (20, 30)),
    "bits": spaces.MultiBinary(5),
    "several numbers": spaces.MultiDiscrete([3, 4]),
    "named": spaces.Dict({"camera": spaces.Box(0, 255, (30, 40, 1), np.uint8), "speed": spaces.Box(-1.0, 1.0, (2,)),
                          "inner": spaces.Dict({"gear": spaces.Discrete(5)})}),
    "a pair": spaces.Tuple((spaces.Discrete(3), spaces.Box(-1.0, 1.0, (2,)))),
    "a text": spaces.Text(10),
}  # fmt: skip


@pytest.mark.parametrize("name", SPACES)
def test_what_draws_nothing_is_drawn(name):
    session = Session(Silent(SPACES[name]), None, "play", seed=1)
    first = session.frame()
    assert first.dtype == np.uint8
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 3
    session.pending = 0
    session.step()
    assert (session.frame() != first).any()


def test_an_environment_that_fails_to_render_is_watched_and_the_reason_said():
    def broken():
        raise ValueError("no lamp")

    with pytest.warns(RlplayWarning, match="cannot render: ValueError: no lamp.*observations are drawn"):
        frame = Session(Silent(spaces.Discrete(3), broken), None, "play").frame()
    assert len(np.unique(frame.reshape(-1, 3), axis=0)) > 3
    with pytest.warns(RlplayWarning, match=r"rendered shape \(2, 2\), not \[height, width, 3\]"):
        assert rendered(Silent(spaces.Discrete(3), lambda: np.zeros((2, 2))))[0] is None


def test_mujoco_without_a_display_names_the_setting(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mujoco", SimpleNamespace())

    def blind():
        raise RuntimeError("gladLoadGL error")

    with pytest.warns(RlplayWarning, match="gladLoadGL.*MUJOCO_GL=egl"):
        rendered(Silent(spaces.Discrete(3), blind))


def test_the_classic_control_worlds_are_drawn_by_our_own_pictures():
    """The same picture as the native version's, for the state that Gymnasium's stands in."""
    for env_id, action in (("CartPole-v1", 1), ("MountainCar-v0", 2), ("Acrobot-v1", 0), ("Pendulum-v1", [1.0]),
                           ("MountainCarContinuous-v0", [-0.5])):  # fmt: skip
        theirs = make(env_id, render_mode="rgb_array", dynamics="gymnasium")
        ours = make(f"rlplay/{env_id}", render_mode="rgb_array", width=600, height=400)
        session = Session(theirs, None, "play", seed=3)
        session.picture_size = (600, 400)
        ours.reset(seed=session.position.seed)
        act = np.array(action, np.float32) if isinstance(action, list) else action
        for _ in range(3):
            session.pending = act
            session.step()
            ours.step(act)
        assert np.array_equal(session.frame(), ours.render()), env_id


def test_planes_say_which_frame_is_the_newest():
    space = spaces.Box(0, 255, (8, 8, 2), np.uint8)
    array = np.zeros((8, 8, 2), np.uint8)
    array[:, :, 1] = 255
    (old, dark), (new, bright) = planes_of(space, array, stack=2)
    assert (old, new) == ("1 before", "now")
    assert (int(dark.max()), int(bright.min())) == (0, 255)
    assert [name for name, _ in planes_of(space, array)] == ["channel 0", "channel 1"]
    colours = planes_of(spaces.Box(0, 255, (8, 8, 6), np.uint8), np.zeros((8, 8, 6), np.uint8), stack=2)
    assert [(name, part.shape) for name, part in colours] == [("1 before", (8, 8, 3)), ("now", (8, 8, 3))]


def test_the_names_of_stacked_numbers_say_their_age():
    names = dimension_names(make("CartPole-v1", frame_stack=3))
    assert names[0] == "cart position, 2 before"
    assert names[-1] == "pole velocity"
    assert len(names) == 12


def test_a_stack_is_drawn_in_the_window():
    env = make("CartPole-v1", render_mode="rgb_array", frame_stack=2)
    surface = pygame.Surface((600, 300))
    draw_observation(surface, surface.get_rect(), env, env.reset(seed=0)[0])
    assert len(np.unique(pygame.surfarray.array3d(surface).reshape(-1, 3), axis=0)) > 5


# Nothing is lost for want of room.


@given(st.integers(SMALLEST[0], 4000), st.integers(SMALLEST[1], 2500), st.sampled_from(ZOOMS))
def test_panels_are_disjoint_and_inside_at_every_zoom(width, height, zoom):
    places = list(layout(width, height, zoom).values())
    for i, one in enumerate(places):
        assert one.width > 30
        assert one.height > 30
        assert 0 <= one.x <= one.x + one.width <= width
        assert 0 <= one.y <= one.y + one.height <= height
        assert not any(one.overlaps(other) for other in places[i + 1 :])


@pytest.fixture
def taxi():
    agent = QLearning("Taxi-v4", seed=0).learn(2000)
    env = make("Taxi-v4", render_mode="rgb_array")
    agent.set_env(env)
    return Session(env, agent, seed=0)


@pytest.mark.parametrize("size", [(640, 420), (960, 600), (1280, 720)])
@pytest.mark.parametrize("zooms", [0, 3])
def test_every_action_and_the_last_step_can_be_reached(taxi, monkeypatch, size, zooms):
    """Over the tabs and by scrolling: all rows are drawn at some time."""
    taxi.step()
    said, pointer, surface = set(), Pointer(), pygame.Surface(size)
    plain = drawing.text

    def noted(surface, words, *more, **named):
        said.add(words)
        return plain(surface, words, *more, **named)

    monkeypatch.setattr(drawing, "text", noted)
    count = len(panels.views(taxi, set(layout(*size, ZOOMS[zooms]))))
    for tab in range(count):
        for _ in range(10):
            panels.draw(surface, taxi, ViewState(panel=tab, zooms=zooms), "", pointer)
            pointer.scroll(1, everywhere=True)
    allowed = np.flatnonzero(panels._probe(taxi).action_values[0] > -np.inf)
    assert {taxi.action_names[a] for a in allowed} <= said
    for beginning in ("action ", "value ", "expected at the start"):
        assert any(words.startswith(beginning) for words in said), beginning


def test_what_was_cut_is_said_under_the_mouse():
    pointer, surface = Pointer(), pygame.Surface((300, 200))
    drawing.shortened.clear()
    box = drawing.text(surface, "a long line that has no room at all", (10, 10), width=80)
    before = pygame.image.tobytes(surface, "RGB")
    pointer.handle(pygame.event.Event(pygame.MOUSEMOTION, pos=box.center))
    pointer.draw(surface)
    assert pygame.image.tobytes(surface, "RGB") != before
    assert drawing.shortened[0][1] == "a long line that has no room at all"


def test_tabs_are_pressed_with_the_mouse(taxi):
    pointer, surface = Pointer(), pygame.Surface((640, 420))
    panels.draw(surface, taxi, ViewState(), "", pointer)
    tab = next(box for box, intent in pointer._buttons if intent == "panel 1")
    event = pygame.event.Event(pygame.MOUSEBUTTONDOWN, button=1, pos=tab.center)
    intent = pointer.handle(event)
    assert intent == "panel 1"
    assert reduce(ViewState(), intent).panel == 1


def test_light_and_large_are_other_pictures(taxi):
    surface, seen = pygame.Surface((1280, 720)), set()
    for state in (ViewState(), reduce(ViewState(), "theme"), reduce(ViewState(), "zoom")):
        panels.draw(surface, taxi, state)
        seen.add(pygame.image.tobytes(surface, "RGB"))
    assert len(seen) == 3
    panels.draw(surface, taxi, reduce(reduce(ViewState(), "theme"), "theme"))
    assert pygame.image.tobytes(surface, "RGB") in seen


def contrast(one, other):
    """WCAG 2.1, 1.4.3."""

    def luminance(color):
        parts = [c / 255 for c in color]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    a, b = sorted((luminance(one), luminance(other)), reverse=True)
    return (a + 0.05) / (b + 0.05)


@pytest.mark.parametrize("name", drawing.THEMES)
def test_words_stand_out_from_their_ground(name):
    theme = drawing.THEMES[name]
    for ground in (theme.panel, theme.background):
        for color in (theme.text, theme.dim, theme.accent, theme.good, theme.warm, theme.bad):
            assert contrast(color, ground) >= 4.4, (name, color, ground)


# Numbers and curves.


def test_rounding_is_no_number():
    assert drawing.short(-5e-12) == "0"
    assert drawing.short(0.684) == "0.684"


def test_a_probability_is_written_once(monkeypatch):
    said = []
    monkeypatch.setattr(
        drawing, "text", lambda surface, words, *more, **named: said.append(words) or pygame.Rect(0, 0, 9, 9)
    )
    surface = pygame.Surface((300, 100))
    drawing.bars(surface, surface.get_rect(), ["left"], [0.684], percent=True, span=(0.0, 1.0))
    assert said == ["left", "68 %"]


def test_episodes_that_are_played_do_not_enter_the_curve_of_the_training(taxi):
    taxi.returns, taxi.episode_numbers = [1.0, 2.0], [0, 900_000]
    while not taxi.ended:
        taxi.step()
    assert taxi.returns == [1.0, 2.0]
    assert taxi.played == [taxi.position.episode_return]


def test_the_number_beside_the_curve_is_where_its_line_ends(monkeypatch, taxi):
    values = [float(v) for v in np.random.default_rng(0).normal(size=300).cumsum()]
    taxi.returns, taxi.episode_numbers = values, list(range(300))
    notes = []
    plain = drawing.panel
    monkeypatch.setattr(
        drawing, "panel", lambda s, r, title="", note="": notes.append(note) or plain(s, r, title, note)
    )
    panels.draw(pygame.Surface((1280, 720)), taxi, ViewState())
    end = charts.running_mean(np.array(values), charts.mean_window(300))[-1]
    assert f"line: mean of 20, now {drawing.short(float(end))}" in notes


def test_one_value_everywhere_is_no_dark_square():
    surface = pygame.Surface((40, 40))
    nothing = np.zeros((4, 4), np.int64)
    charts.heat(surface, surface.get_rect(), np.ones((4, 4)), nothing, nothing)
    assert sum(surface.get_at((20, 20))[:3]) > 250


# Recordings.


@pytest.mark.parametrize("name", ["a.gif", "a.mp4"])
def test_a_recording_has_a_frame_a_step_at_the_environments_rate(tmp_path, name):
    """60 steps of CartPole, which says 50 a second."""
    env = make("CartPole-v1", render_mode="rgb_array")
    session = Session(env, QLearning("CartPole-v1", features="tile-coding:1", seed=0).learn(3000), seed=0)
    window = Window(session, (640, 400), headless=True, output=tmp_path / name, max_steps=60)
    window.run()
    ends = len(session.played)
    hold = round(0.7 * 50)  # the end of an episode is shown a while
    assert 60 <= window.recorder.frames <= 60 + ends * (hold + 1)
    if name.endswith("gif"):
        from PIL import Image

        with Image.open(tmp_path / name) as gif:
            assert gif.info["duration"] == 20
    else:
        import imageio_ffmpeg

        count, seconds = imageio_ffmpeg.count_frames_and_secs(str(tmp_path / name))
        assert count == window.recorder.frames
        assert count / seconds == pytest.approx(50, rel=0.02)
