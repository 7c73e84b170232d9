"""The window without a window: layout, keys, sessions, pixels; a real one is driven in test_window.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import MCTS, PolicyIteration, QLearning, ValueIteration
from rlplay import load_episode, make
from rlplay.errors import CheckpointError, RlplayError, RlplayWarning, UsageError
from rlplay.testing import differences
from rlplay.viewer import drawing, panel, panels
from rlplay.viewer.follower import Follower
from rlplay.viewer.keys import action_keys, action_of, intent_of
from rlplay.viewer.layout import SMALLEST, Rect, layout
from rlplay.viewer.maps import action_names, state_grid, value_map
from rlplay.viewer.recording import Recorder, save_episodes
from rlplay.viewer.session import Session
from rlplay.viewer.state import HELP, SPEEDS, ViewState, reduce, speed_text
from rlplay.viewer.window import Window

GRID = "rlplay/GridWorld-v0"


@given(st.integers(SMALLEST[0], 4000), st.integers(SMALLEST[1], 2500))
def test_panels_are_disjoint_and_inside(width, height):
    places = list(layout(width, height).values())
    window = Rect(0, 0, width, height)
    for i, one in enumerate(places):
        assert one.width > 0
        assert one.height > 0
        assert one.x >= 0
        assert one.y >= 0
        assert one.x + one.width <= window.width
        assert one.y + one.height <= window.height
        assert not any(one.overlaps(other) for other in places[i + 1 :])


INTENTS = [*HELP, "step ten", "nonsense"]


@given(st.lists(st.sampled_from(INTENTS), max_size=40))
def test_the_reducer_stays_in_range(intents):
    state = ViewState()
    for intent in intents:
        state = reduce(state, intent)
    assert 0 <= state.speed < len(SPEEDS)
    assert state.quit == ("quit" in intents)


def test_the_reducer():
    state = reduce(ViewState(), "step")
    assert state.paused
    assert state.requests == ("step",)
    assert len(reduce(state, "step ten").requests) == 11
    assert reduce(reduce(state, "pause"), "pause").paused == state.paused
    assert reduce(state, "nonsense") is state
    assert [speed_text(s) for s in (0.125, 1.0, 64.0, float("inf"))] == ["1/8x", "1x", "64x", "max"]


def key(code: int, typed: str = "", mod: int = 0) -> pygame.event.Event:
    return pygame.event.Event(pygame.KEYDOWN, key=code, unicode=typed, mod=mod)


def test_keys():
    assert intent_of(key(pygame.K_SPACE, " ")) == "pause"
    assert intent_of(key(pygame.K_SLASH, "?", pygame.KMOD_SHIFT)) == "help"
    assert intent_of(key(pygame.K_RIGHT)) == "step"
    assert intent_of(key(pygame.K_RIGHT, "", pygame.KMOD_SHIFT)) == "step ten"
    assert intent_of(key(pygame.K_r, "R", pygame.KMOD_SHIFT)) == "next"
    assert intent_of(key(pygame.K_TAB, "\t", pygame.KMOD_ALT)) is None
    assert intent_of(key(pygame.K_q, "q", pygame.KMOD_CTRL)) is None
    assert intent_of(pygame.event.Event(pygame.KEYUP, key=pygame.K_q, unicode="q", mod=0)) is None


def shown(env_id: str = GRID, **kwargs):
    return make(env_id, render_mode="rgb_array", **kwargs)


def test_action_names_and_keys_of_every_toy_text_environment():
    for env_id, keys in {
        "FrozenLake-v1": {"left": 0, "down": 1, "right": 2, "up": 3},
        "CliffWalking-v1": {"up": 0, "right": 1, "down": 2, "left": 3},
        "Taxi-v4": {"down": 0, "up": 1, "right": 2, "left": 3, "p": 4, "d": 5},
        "Blackjack-v1": {"s": 0, "h": 1},
        "rlplay/Taxi-v4": {"down": 0, "up": 1, "right": 2, "left": 3, "p": 4, "d": 5},
        "rlplay/CartPole-v1": {"left": 0, "right": 1},
        GRID: {"up": 0, "right": 1, "down": 2, "left": 3},
    }.items():
        session = Session(shown(env_id), None, "play")
        assert action_keys(session) == keys
    assert action_of(key(pygame.K_h, "h"), Session(shown("Blackjack-v1"), None, "play")) == 1


def test_directions_are_what_the_names_say():
    """FrozenLake without ice: each named move goes where its name says on the map of states."""
    env = make("FrozenLake-v1", is_slippery=False, desc=["FFF", "FSF", "FFF"], dynamics="gymnasium")
    grid = np.arange(9).reshape(3, 3)
    for action, name in enumerate(action_names(env)):
        env.reset(seed=0)
        obs = env.step(action)[0]
        (row, column), (dy, dx) = np.argwhere(grid == obs)[0], np.array(drawing._DIRECTIONS[name])[::-1]
        assert (row, column) == (1 + dy, 1 + dx)
    taxi = make("Taxi-v4", dynamics="gymnasium")
    for action, name in enumerate(action_names(taxi)[:4]):
        taxi.reset(seed=0)
        taxi.unwrapped.s = taxi.unwrapped.encode(2, 2, 0, 1)
        obs = taxi.step(action)[0]
        row, column, _, _ = taxi.unwrapped.decode(obs)
        assert (column - 2, row - 2) == drawing._DIRECTIONS[name]


def test_state_grids_hold_the_current_state():
    for env_id in ("FrozenLake-v1", "FrozenLake8x8-v1", "CliffWalking-v1", "Taxi-v4", "Blackjack-v1", GRID):
        env = make(env_id, dynamics="gymnasium")
        agent = QLearning(env, seed=0).learn(500)
        for seed in range(20):
            obs, _ = env.reset(seed=seed)
            found = value_map(agent, env, obs)
            assert found is not None
            assert found.here is not None
            row, column = found.here
            assert found.values[row, column] == pytest.approx(agent.probe(obs).value[0])


def test_an_environment_may_bring_its_own_map(monkeypatch):
    env = make("FrozenLake-v1", dynamics="gymnasium")
    env.unwrapped.state_grid = lambda obs: np.array([[0, 5], [-1, 15]])
    assert state_grid(env, 0).tolist() == [[0, 5], [-1, 15]]
    found = value_map(QLearning(env, seed=0), env, 0)
    assert np.isnan(found.values[1, 0])


def test_watching_while_it_learns_changes_nothing():
    """In the window's own time, frame by frame, with probes and pictures: the same bits as learn()."""
    env = shown(map="maze")
    agent = QLearning(env, alpha=0.5, epsilon="lin_0.5_0.1", seed=3)
    agent.horizon = 400
    session = Session(env, agent, "learn", target=400)
    surface = pygame.Surface((960, 600))
    while not session.trained:
        session.step()
        if agent.num_timesteps % 40 == 0:
            panels.draw(surface, session, ViewState())
    unwatched = QLearning(make(GRID, map="maze"), alpha=0.5, epsilon="lin_0.5_0.1", seed=3).learn(400)
    assert not differences(agent, unwatched)


def test_a_planner_sweeps_in_the_window():
    env = shown("FrozenLake-v1")
    agent = ValueIteration(env)
    session = Session(env, agent, "learn")
    assert session.step()
    assert agent.num_timesteps == 1


def region(surface: pygame.Surface, rect: Rect) -> np.ndarray:
    pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8).reshape(*surface.get_size()[::-1], 3)
    return pixels[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]


@pytest.mark.parametrize("size", [(640, 400), (960, 600), (1280, 720), (1920, 1080)])
def test_every_panel_draws_something(size):
    env = shown("FrozenLake-v1")
    agent = QLearning(make("FrozenLake-v1"), seed=0).learn(50_000)
    agent.set_env(env)
    session = Session(env, agent)
    for _ in range(150):
        if session.ended:
            session.reset()
        session.step()
    surface = pygame.Surface(size)
    panels.draw(surface, session, ViewState())
    for name, rect in layout(*size).items():
        assert len(np.unique(region(surface, rect).reshape(-1, 3), axis=0)) > 5, f"{name} is empty"


def test_the_map_shows_the_values_and_moves_with_the_state():
    env = shown(map="cliff")
    agent = QLearning(env, seed=0)
    agent.q[:] = -1.0
    session = Session(env, agent)
    place = layout(960, 600)["views"]
    surface = pygame.Surface((960, 600))

    def look():
        panels.draw(surface, session, ViewState())
        return region(surface, place).copy()

    before = look()
    agent.q[0] = 3.0
    assert (look() != before).any()
    before = look()
    session.step()
    assert (look() != before).any()


def test_help_and_pause_are_seen():
    session = Session(shown(), None, "play")
    surface = pygame.Surface((960, 600))
    panels.draw(surface, session, ViewState())
    plain = pygame.image.tobytes(surface, "RGB")
    panels.draw(surface, session, ViewState(help=True))
    assert pygame.image.tobytes(surface, "RGB") != plain


def test_playing_records_seed_and_actions_that_replay_exactly(tmp_path):
    env = shown("FrozenLake-v1")
    session = Session(env, None, "play", seed=5)
    draws = np.random.default_rng(0)
    assert not session.step()  # it waits for you
    for _ in range(40):
        if session.ended:
            session.reset()
        session.pending = int(draws.integers(4))
        assert session.step()
    paths = save_episodes(session.demonstrations.episodes, tmp_path / "mine.json", session)
    assert len(paths) > 1
    for path, recorded in zip(paths, session.demonstrations.episodes, strict=True):
        again = make("FrozenLake-v1", dynamics="gymnasium")
        episode = load_episode(path, again)
        assert sum(t.reward for t in episode.replay(again)) == recorded.episode_return
        assert len(list(episode.replay(make("FrozenLake-v1")))) == len(recorded.actions)  # natively too
    longest = max(paths, key=lambda p: p.stat().st_size)
    other = dataclasses.replace(load_episode(longest, again), seed=1)
    with pytest.raises(CheckpointError, match=r"differs|ended after"):
        list(other.replay(again))


def test_damaged_episodes_are_refused(tmp_path):
    path = tmp_path / "e.json"
    for text in ("", "[]", "{}", '{"format": "rlplay-episode", "version": 99}', '{"format": "other"}', "\xff"):
        path.write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError):
            load_episode(path)


def test_a_headless_window_records(tmp_path):
    for name in ("a.gif", "a.png", "a.mp4"):
        env = shown("FrozenLake-v1")
        agent = QLearning(env, seed=0)
        window = Window(
            Session(env, agent), (640, 400), headless=True, output=tmp_path / name, max_steps=12, steps_per_second=8
        )
        window.run()
        assert (tmp_path / name).stat().st_size > 1000
        assert window.recorder.frames >= 12
    from PIL import Image

    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames >= 8
        gif.seek(gif.n_frames - 1)
        assert np.asarray(gif.convert("RGB")).std() > 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.gif", "a.mp4", "a.png"]


def test_the_gif_shows_what_was_drawn(tmp_path):
    """Only changes are stored; put together again each frame is the picture that was drawn."""
    from PIL import Image

    recorder, drawn = Recorder(tmp_path / "x.gif"), []
    for k in range(5):
        surface = pygame.Surface((300, 200))
        surface.fill((20, 20, 30))
        pygame.draw.rect(surface, (244, 166, 84), (40 * k, 50, 30, 60))
        recorder.add(surface)
        drawn.append(np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8).reshape(200, 300, 3).astype(int))
    recorder.finish()
    with Image.open(tmp_path / "x.gif") as gif:
        for k in range(5):
            gif.seek(k)
            assert np.abs(np.asarray(gif.convert("RGB")).astype(int) - drawn[k]).max() < 40


def test_bad_outputs_and_sizes(tmp_path):
    with pytest.raises(UsageError, match=r"none of \.gif"):
        Recorder(tmp_path / "film.avi")
    with pytest.raises(UsageError, match="smaller than"):
        Window(Session(shown(), None, "play"), (100, 100))
    with pytest.raises(UsageError, match="rgb_array"):
        Session(make(GRID, dynamics="gymnasium"), None, "play")


@pytest.fixture
def little_room():
    """Files of this process and of those that it starts end at 2,000 bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(number: int) -> pygame.Surface:
    pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
    return pygame.surfarray.make_surface(pixels)


@pytest.mark.parametrize("kind", ["gif", "png", "mp4"])
def test_a_recording_without_room_is_an_error_and_harms_nothing(kind, tmp_path, little_room):
    (tmp_path / f"a.{kind}").write_bytes(b"old")
    recorder = Recorder(tmp_path / f"a.{kind}")
    with pytest.raises((OSError, RlplayError)):
        for number in range(30):
            recorder.add(noise(number))
        recorder.finish()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(f"a.{kind}", b"old")]


def test_a_window_goes_on_where_its_recording_has_no_room(tmp_path, monkeypatch, little_room):
    monkeypatch.chdir(tmp_path)
    window = Window(Session(make("FrozenLake-v1", render_mode="rgb_array"), None, "play"), (640, 420), headless=True)
    surface = window._open()
    window.headless = False  # as far as files go
    monkeypatch.setattr(pygame.display, "flip", lambda: None)
    window._do("screenshot")
    window._advance(0.0)
    with pytest.warns(RlplayWarning, match="large|room"):
        window._draw(surface)
    window._do("record")
    window.recorder.add(noise(0))
    with pytest.warns(RlplayWarning, match="large|room"):
        window._do("record")
    assert window.recorder is None
    assert list(tmp_path.iterdir()) == []


def test_following_takes_over_new_weights(tmp_path):
    trainer = QLearning("FrozenLake-v1", seed=0).learn(100)
    path = trainer.save(tmp_path / "live.rlp")
    monitor = tmp_path / "0.monitor.csv"
    monitor.write_text('#{"t_start": 0}\nr,l,t,episode,step\n1,5,0.1,0,5\n0,3,0.2,1,8\n')
    env = shown("FrozenLake-v1")
    session = Session(env, QLearning(env, seed=0))
    follower = Follower(session, path, monitor)
    follower.poll()
    assert session.agent.num_timesteps == 100
    assert session.returns == [1.0, 0.0]
    trainer.learn(5000, reset_num_timesteps=False).save(path)
    follower.poll()
    assert session.agent.q.tolist() == trainer.q.tolist()
    session.step()
    path.unlink()
    follower.poll()  # a file that is just being replaced
    assert session.agent.num_timesteps == 5100


def test_a_slice_of_a_vector_state_space_shows_values_regions_and_the_state():
    from rlplay.models.unsupervised import KMeans
    from rlplay.viewer.slices import Slicer, can_be_sliced, planes

    agent = QLearning("CartPole-v1", features=KMeans(6), alpha=0.5, seed=0).learn(4000)
    env = make("CartPole-v1", render_mode="rgb_array")
    assert can_be_sliced(env)
    assert not can_be_sliced(make("FrozenLake-v1"))
    found = planes(agent, env)
    assert len(found) == 7  # six pairs, and the principal axes
    assert found[0].names == ("pole angle", "pole velocity")  # they tell most
    assert "of the variance" in found[-1].names[0]
    obs = np.array([0.0, 0.0, 0.05, -0.2], np.float32)
    for number in (0, 6):
        seen = Slicer().slice(agent, env, obs, number)
        x, y = seen.place(obs)
        cell = round(y * 39), round(x * 39)
        around = seen.regions[cell[0] - 1 : cell[0] + 2, cell[1] - 1 : cell[1] + 2]  # a cell is not quite its state
        assert agent.features.encode(obs) in around
        by_region = {int(r): set(seen.values[seen.regions == r].tolist()) for r in np.unique(seen.regions)}
        assert all(len(values) == 1 for values in by_region.values())  # a cluster has one value
        assert seen.regions_are == "clusters of KMeans"
        assert len(seen.centres[0]) == 6


def test_a_plane_goes_through_the_observation():
    from rlplay.viewer.slices import Plane

    plane = Plane(
        ("a", "b"), np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]), np.array([[0.6, 0.8, 0], [0.8, -0.6, 0]])
    )
    obs = np.array([0.5, -1.0, 2.0])
    u, w = plane.coordinates(obs[None])[0]
    assert np.allclose(plane.through(obs, np.array([u]), np.array([w])), obs)
    moved = plane.through(obs, np.array([u + 2.0]), np.array([w - 1.0]))
    assert np.allclose(plane.coordinates(moved), [[u + 2.0, w - 1.0]])
    assert moved[0, 2] == obs[2]  # what lies off the plane stays


def test_the_receptive_field_and_the_visits_are_layers():
    from agents import LinearSarsa
    from rlplay.viewer.slices import Slicer

    agent = LinearSarsa("MountainCar-v0", gamma=1.0, epsilon=0.0, seed=0).learn(20_000)
    env, obs = make("MountainCar-v0", render_mode="rgb_array"), np.array([-0.5, 0.0], np.float32)
    field = Slicer().slice(agent, env, obs, 0, "receptive field")
    assert field.values.max() >= 0.75
    assert np.allclose(field.values * 8, np.round(field.values * 8))  # shared tiles of eight
    visits = Slicer().slice(agent, env, obs, 0, "visits")
    assert 1000 < np.expm1(visits.values).sum() <= len(agent.seen())
    assert field.regions_are == "tiles of TileCoding"
    before = agent.action_values(obs)[0, 1]
    active = agent.encoder.encode(obs)
    agent.rule.learn(agent.memory, active, 1, 1.0, active, 1, True, False, 0.0)
    gained = agent.action_values(obs)[0, 1] - before  # what is learned here
    near = np.array([-0.45, 0.01], np.float32)
    share = agent.similarity(near[None], obs)[0]
    other = LinearSarsa("MountainCar-v0", gamma=1.0, epsilon=0.0, seed=0).learn(20_000)
    assert agent.action_values(near)[0, 1] - other.action_values(near)[0, 1] == pytest.approx(share * gained)


def test_the_window_paints_the_slice_and_the_keys_turn_it():
    from agents import Reinforce

    pygame.font.init()
    session = Session(make("CartPole-v1", render_mode="rgb_array"), Reinforce("CartPole-v1", seed=0).learn(3000))
    session.step()
    surface, pictures = pygame.Surface((1280, 720)), []
    place = layout(1280, 720)["views"]
    for state in (ViewState(), reduce(ViewState(), "slice"), reduce(ViewState(), "layer")):
        panels.draw(surface, session, state)
        part = surface.subsurface((place.x, place.y, place.width, place.height))
        pictures.append(pygame.image.tobytes(part, "RGB"))
    assert pictures[0] != pictures[1] != pictures[2]
    assert len({pictures[0][i : i + 3] for i in range(0, len(pictures[0]), 3)}) > 40  # a range of colours
    assert reduce(reduce(ViewState(), "slice"), "slice back").slice == 0


def test_a_person_may_try_an_action_that_may_not_be_taken():
    session = Session(make("rlplay/Gambler-v0", render_mode="rgb_array"), None, "play", seed=1)
    session.pending = 0
    assert not session.step()
    assert "may not be taken" in session.message
    session.pending = 1
    assert session.step()
    assert session.position.length == 1


def test_planning_a_step_at_a_time(tmp_path):
    """Evaluate one sweep, improve: what each step did and what comes next; the map shows the values so far."""
    agent = PolicyIteration(make("FrozenLake-v1", render_mode="rgb_array"), evaluation_sweeps=2, gamma=0.9, seed=0)
    session = Session(agent.env, agent, "learn", target=500)
    seen = [agent.activity]
    for _ in range(3):
        assert session.step()
        seen.append(agent.activity)
    assert seen[0] == "next: evaluate one sweep"
    assert "next: evaluate one sweep" in seen[1]
    assert "next: improve" in seen[2]
    assert seen[3].startswith("improvement 1:")
    while session.step():
        pass
    assert agent.converged
    assert agent.activity.endswith("done")


def test_the_search_tree_is_drawn():
    env = make("FrozenLake-v1", render_mode="rgb_array")
    agent = MCTS(env, simulations=60, seed=0)
    session = Session(env, agent, "watch", seed=0)
    surface = pygame.Surface((1280, 720))
    panels.draw(surface, session, ViewState())
    place = layout(1280, 720)["views"]
    picture = pygame.surfarray.pixels3d(surface)[place.x : place.x + place.width, place.y : place.y + place.height]
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 15  # boxes of many values


def test_choices_of_continuous_actions():
    """Pushes along the axes: the arrows, and a key for none."""
    session = Session(shown("Pendulum-v1"), None, "play")
    assert [(name, action.tolist()) for name, action in session.choices] == [
        ("no push", [0.0]), ("left", [-2.0]), ("right", [2.0]),
    ]  # fmt: skip
    assert action_keys(session) == {"1": 0, "left": 1, "right": 2}
    session.pending = session.choices[2][1]
    assert session.step()
    assert session.demonstrations.episodes[0].actions[0].tolist() == [2.0]


def test_words_are_drawn_after_an_environment_has_quit_pygame():
    """Most environments call ``pygame.quit()`` when they are closed, which takes its fonts along."""
    surface = pygame.Surface((200, 60))
    before = drawing.text(surface, "42", (10, 5))
    pygame.quit()
    pygame.font.init()
    assert drawing.text(surface, "42", (10, 5)) == before
    pygame.font.quit()
    assert drawing.text(surface, "42", (10, 5)) == before


def test_a_plug_ins_panel_stands_in_the_place_of_the_map(monkeypatch):
    monkeypatch.setattr(panel, "_registered", {})
    drawn = []

    def draw(surface, box, session, probe):
        drawn.append((session.agent.id, probe.action_values.shape))
        surface.fill((250, 0, 250), box.inflate(400, 400))  # what lies outside the box is cut off

    mine = panel.WindowPanel("mine", draw, lambda session: session.agent is not None)
    panel.register_panel("mine", mine)
    with pytest.raises(UsageError, match="'mine' is taken"):
        panel.register_panel("mine", panel.WindowPanel("other", draw))
    agent = QLearning(GRID, seed=0).learn(100)
    session = Session(make(GRID, render_mode="rgb_array"), agent, "watch")
    surface = pygame.Surface((900, 600))
    panels.draw(surface, session, ViewState())
    assert not drawn
    state = reduce(ViewState(), "panel")
    panels.draw(surface, session, state)
    assert drawn == [("q-learning", (1, 4))]
    place = layout(900, 600)["views"]
    assert surface.get_at((place.x + place.width // 2, place.y + place.height // 2))[:3] == (250, 0, 250)
    assert surface.get_at((place.x - 20, place.y + 20))[:3] != (250, 0, 250)
    panels.draw(surface, session, reduce(state, "panel"))
    assert len(drawn) == 1  # the map again
