"""What was shown is shown again: the state machine, the history, twins, what if, and several side by side."""

from __future__ import annotations

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents import DQN, SAC, DynaQ, FittedQ, LinearSarsa, QLearning, Sarsa, ValueIteration
from rlplay import Dataset, load_episode, make
from rlplay.errors import UsageError
from rlplay.spaces.observations import observation_bytes
from rlplay.testing import differences
from rlplay.transition import Transition
from rlplay.viewer import drawing, map_panel, panels
from rlplay.viewer.compare import Comparison, random_player, what_if
from rlplay.viewer.dials import dials_of
from rlplay.viewer.keys import action_keys, intent_of
from rlplay.viewer.offers import offered, why_not
from rlplay.viewer.recording import save_episodes
from rlplay.viewer.session import Session
from rlplay.viewer.state import HELP, ViewState, reduce, show, went_on
from rlplay.viewer.timeline import History, Twin
from rlplay.viewer.together import Contestant
from rlplay.viewer.updates import lines_of
from rlplay.viewer.window import Window
from rlplay.viewer.world import World, put_world

GRID = "rlplay/GridWorld-v0"


def shown(env_id: str = GRID, **kwargs):
    return make(env_id, render_mode="rgb_array", **kwargs)


def played(session: Session, steps: int) -> Session:
    for _ in range(steps):
        if session.ended:
            session.reset()
        session.step()
    return session


# The state machine.

INTENTS = [*HELP, "step ten", "back ten", "end", "surprise back", "hold", "release", "run", "wait"]


@given(st.lists(st.sampled_from([*INTENTS, "grow", "shrink"]), max_size=60))
def test_the_cursor_stays_within_the_history(intents):
    state = ViewState()
    for intent in intents:
        if intent in ("grow", "shrink"):  # steps are taken; the oldest are forgotten
            oldest = state.oldest + (3 if intent == "shrink" else 0)
            state = went_on(state, oldest=oldest, newest=max(state.newest + 5, oldest))
        else:
            state = reduce(state, intent)
        assert state.oldest <= state.place <= state.newest
        assert state.cursor is None or state.cursor < state.newest
        assert all(state.oldest <= mark <= state.newest for mark in state.bookmarks)


@given(st.integers(0, 50), st.integers(1, 40), st.integers(0, 40))
def test_back_after_step_is_where_one_was(newest, back, on):
    state = reduce(went_on(ViewState(), oldest=0, newest=newest), "home")
    for _ in range(on):
        state = reduce(state, "step")
    there = state.place
    for _ in range(back):
        state = reduce(state, "back")
    assert state.place == max(there - back, 0)
    for _ in range(there - state.place):
        state = reduce(state, "step")
    assert state.place == there
    asked = max(on - newest, 0)  # steps beyond now are new ones
    assert len(state.requests) == asked


@given(st.lists(st.sampled_from(INTENTS), max_size=40))
def test_escape_always_leads_back_to_now_and_to_the_agent(intents):
    state = went_on(ViewState(), oldest=0, newest=30)
    for intent in intents:
        state = reduce(state, intent)
    for _ in range(7):
        state = reduce(state, "close")
    assert not any((state.help, state.what_if, state.tune, state.driving, state.inside))
    assert state.cursor is None
    assert reduce(state, "close") == state  # nothing is left to close


def test_ten_steps_go_through_what_is_known_and_then_on():
    state = show(went_on(ViewState(), oldest=0, newest=20), 16)
    state = reduce(state, "step ten")
    assert state.cursor is None
    assert state.requests == ("step",) * 6
    marked = reduce(show(state, 4), "bookmark")
    assert reduce(show(marked, 9), "next bookmark").place == 4
    assert reduce(marked, "bookmark").bookmarks == ()


# The past again, exactly.


@pytest.mark.parametrize(
    ("env_id", "kwargs"),
    [(GRID, {"map": "windy"}), ("FrozenLake-v1", {}), ("Taxi-v4", {}), ("Blackjack-v1", {}), ("CartPole-v1", {}),
     ("Pendulum-v1", {}), ("rlplay/CartPole-v1", {})],
)  # fmt: skip
def test_every_step_is_shown_again_to_the_bit(env_id, kwargs):
    env = shown(env_id, **kwargs)
    env.action_space.seed(3)
    session, seen = Session(env, None, "watch", policy=random_player(env)), {}
    for _ in range(60):
        if session.ended:
            session.reset()
            seen[session.history.newest] = (session.observation, session.frame().copy())
        session.step()
        seen[session.history.newest] = (session.last.next_obs, session.frame().copy())
    places = sorted(seen)
    for place in [*places[::-1][::7], *places[::9]]:  # backwards, and forwards from the start
        past = session.at(place)
        obs = past.last.next_obs if past.last is not None else past.observation
        assert observation_bytes(obs) == observation_bytes(seen[place][0])
        assert past.message == ""
        if place < session.history.newest:
            drawn = past.frame() == seen[place][1]
            assert drawn.all() or env_id == "Taxi-v4"  # it turns its taxi only when it is drawn
    assert session.at(session.history.newest) is session


def test_a_past_step_has_its_own_numbers_and_panels():
    session = played(Session(shown("FrozenLake-v1"), QLearning("FrozenLake-v1", seed=0).learn(20_000)), 40)
    session.agent.env = session.env
    moment = session.history[5]
    past = session.at(5)
    assert past.position.length == moment.length
    assert past.position.episode_return == moment.episode_return
    surface, pictures = pygame.Surface((1280, 720)), []
    for one in (session, past):
        panels.draw(surface, one, ViewState())
        pictures.append(pygame.image.tobytes(surface, "RGB"))
    assert pictures[0] != pictures[1]
    assert session.position.length != past.position.length  # and the session has not moved


class Unseeded(gym.Env):
    """Draws numbers that its seed does not set."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = gym.spaces.Box(0, 1, (2,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.draws = np.random.default_rng()

    def reset(self, seed=None, options=None):
        return self.draws.random(2).astype(np.float32), {}

    def step(self, action):
        return self.draws.random(2).astype(np.float32), 1.0, False, False, {}

    def render(self):
        return np.zeros((40, 40, 3), np.uint8)


def test_what_cannot_be_played_again_is_said_and_what_was_kept_is_shown(request):
    gym.register("Unseeded-v0", Unseeded)
    request.addfinalizer(lambda: gym.registry.pop("Unseeded-v0"))
    env = shown("Unseeded-v0")
    session = played(Session(env, None, "watch", policy=random_player(env)), 10)
    kept = session.history[4].seen.next_obs
    past = session.at(4)
    assert "draws random numbers that its seed does not set" in past.message
    assert (past.observation == kept).all()
    assert past.frame().shape[2] == 3  # the observation drawn, not a picture of another step
    with pytest.raises(UsageError, match="no seed sets"):
        what_if(session, 4, 0)


def test_an_episode_that_takes_long_is_played_again_in_parts():
    session = played(Session(shown("CartPole-v1"), None, "watch", policy=lambda obs, info: int(obs[2] > 0)), 30)
    past = session.at(20, seconds=0.0)
    assert "playing step" in past.message
    for _ in range(40):
        past = session.at(20, seconds=0.0)
    assert past.message == ""
    assert past.position.length == session.history[20].length


def test_old_observations_give_way_and_steps_stay():
    history = History(most_steps=50, most_bytes=40_000)
    env = make("CartPole-v1", dynamics="gymnasium")
    obs = env.reset(seed=1)[0]
    history.begin(1, obs)
    for k in range(30):
        after, reward, terminated, truncated, info = env.step(k % 2)
        assert not terminated
        history.add(Transition(obs, k % 2, reward, after, terminated, truncated, info))
        obs = after
    small = History(most_steps=50, most_bytes=4000)
    small.begin(1, env.reset(seed=1)[0])
    for place in range(1, 31):
        small.add(history[place].seen)
    assert small[3].seen is None
    assert small[30].seen is not None
    twin = Twin(make("CartPole-v1", dynamics="gymnasium"))
    assert twin.go_to(small[3])
    assert twin.exact
    assert (twin.last.next_obs == history[3].seen.next_obs).all()
    for _ in range(40):
        small.add(history[30].seen)
    assert (small.oldest, small.newest) == (21, 70)


def test_surprises_are_where_the_values_before_and_after_differ_most():
    env = shown(map="cliff")
    agent = QLearning(env, gamma=1.0, seed=0)
    agent.q[:] = -5.0
    agent.env = env
    session = Session(env, agent)
    for action in (0, 1, 1, 2, 0, 1, 1):  # up, right, right, down the cliff
        session.take_over(True)
        session.pending = action
        session.step()
    places = session.surprises()
    assert places == [4]
    assert session.history[4].reward == -100.0


# Learning, watched.


@pytest.mark.parametrize("cls", [QLearning, Sarsa, DynaQ])
def test_stopping_inside_updates_going_back_and_what_if_change_nothing(cls):
    env = shown(map="maze")
    agent = cls(env, alpha=0.5, epsilon="lin_0.5_0.1", seed=3)
    agent.horizon = 300
    session, surface = Session(env, agent, "learn", target=300), pygame.Surface((960, 600))
    while not session.trained:
        session.learning.inside = agent.num_timesteps % 3 == 0
        session.learning.looking = agent.num_timesteps % 2 == 0
        session.step()
        if agent.num_timesteps % 50 == 0:
            session.think()
            panels.draw(surface, session.at(max(session.history.newest - 7, 0)), ViewState())
            session.surprises()
            if not session.in_update and not session.ended:
                branch = what_if(session, session.history.newest, 1)
                for _ in range(5):
                    branch.step()
                branch.close()
    while session.in_update:
        session.step()
    plain = cls(make(GRID, map="maze"), alpha=0.5, epsilon="lin_0.5_0.1", seed=3).learn(300)
    assert not differences(agent, plain)


def test_between_the_two_halves_nothing_is_learned_yet():
    env = shown(map="maze")
    agent = QLearning(env, alpha=0.5, seed=0)
    session = Session(env, agent, "learn")
    session.learning.inside = session.learning.looking = True
    session.step()
    assert session.in_update
    assert not agent.q.any()
    assert agent.num_timesteps == 0
    assert "not yet learned from" in lines_of(session)[0][0]
    session.step()
    assert not session.in_update
    assert session.td_error == -1.0
    lines, moves = lines_of(session)
    assert [(move.array, move.before, move.after) for move in moves] == [("q", 0.0, -0.5)]
    assert "0 + 0.5 x (-1 - 0) = -0.5" in lines[2]
    assert session.history[session.history.newest].td_error == -1.0


def test_the_equation_has_the_numbers_of_the_update():
    env = shown(map="maze")
    agent = QLearning(env, alpha=0.25, gamma=0.9, seed=0)
    session = played(Session(env, agent, "learn"), 400)
    session.learning.looking = True
    session.step()
    update = session.learning.update
    step = update.transition
    (move,) = update.moves
    assert move.place == (step.obs, step.action)
    ahead = float(agent.q[step.next_obs].max()) if step.next_obs != step.obs else None
    if ahead is not None:
        assert move.before + 0.25 * (step.reward + 0.9 * ahead - move.before) == pytest.approx(move.after)
    assert any(f"= {move.after:.5g}" in line for line in lines_of(session)[0])


def test_thoughts_of_the_past_are_those_of_then():
    env = shown(map="maze")
    agent = QLearning(env, alpha=0.5, seed=0)
    session = played(Session(env, agent, "learn"), 50)
    place = session.history.newest
    session.think()
    then = agent.probe(session.observation).action_values.copy()
    here = session.observation
    agent.q[here] += 7.0
    session.step()
    past = session.at(place)
    assert (past.agent.probe(here).action_values == then).all()
    assert (past.agent.probe(here + 0).action_values == then).all()
    assert (session.agent.probe(here).action_values != then).all()


# Taking over.


def test_your_steps_teach_an_agent_that_can_be_taught_and_no_other():
    env = shown(map="cliff")
    agent = QLearning(env, alpha=1.0, gamma=1.0, seed=0)
    session = Session(env, agent, "learn")
    assert session.take_over(True) == ""
    for action in (0, 1, 1):
        session.pending = action
        assert session.step()
    assert session.waits
    assert not session.step()
    assert agent.q[36, 0] == -1.0
    assert agent.q[24, 1] == -1.0
    assert agent.num_timesteps == 3
    assert session.take_over(False) == ""
    assert session.step()
    sarsa = Session(shown(map="cliff"), Sarsa(shown(map="cliff"), seed=0), "learn")
    assert "its own actions only" in sarsa.take_over(True)


def test_a_watched_agent_is_taken_over_and_given_back_and_both_replay(tmp_path):
    env = shown("FrozenLake-v1", is_slippery=False)
    agent = QLearning("FrozenLake-v1", seed=0)
    agent.set_env(env)
    session = Session(env, agent, seed=4)
    session.step()
    assert session.take_over(True) == ""
    assert session.mode == "play"
    session.pending = 2
    session.step()
    assert session.take_over(False) == ""
    assert session.mode == "watch"
    played(session, 5)
    assert [m.by_you for m in (session.history[1], session.history[2], session.history[3])] == [False, True, False]
    (path, *_) = save_episodes(session.demonstrations.episodes, tmp_path / "both.json", session)
    again = make("FrozenLake-v1", is_slippery=False, dynamics="gymnasium")
    episode = load_episode(path, again)
    assert episode.player == "you and q-learning"
    assert len(list(episode.replay(again))) == len(session.demonstrations.episodes[0].actions)
    assert len(Dataset.of_episodes([episode], again)) == len(episode.actions)
    assert "no agent" in Session(shown(), None, "play").take_over(False)


# What if, and side by side.


def test_what_if_differs_by_one_action_and_starts_where_one_was():
    env = shown(map="cliff")
    agent = QLearning(env, gamma=1.0, seed=0)
    agent.q[:] = [-2.0, -1.0, -3.0, -3.0]  # right, always
    agent.q[36] = [-1.0, -2.0, -2.0, -2.0]  # up at the start
    session = played(Session(env, agent), 4)
    place = 3
    branch = what_if(session, place, 2)
    first, second = branch.contestants
    assert first.name == "as it decides: right"
    assert second.name == "instead: down"
    assert first.session.observation == second.session.observation == session.history[place].seen.next_obs
    before = session.position.length
    assert branch.step()
    assert first.session.last.action == 1
    assert second.session.last.action == 2
    assert second.session.last.reward == -100.0
    branch.step()
    assert second.session.last.action == 0  # and on as it decides
    assert second.course == [-3.0, -103.0, -104.0]
    assert session.position.length == before
    surface = pygame.Surface((1280, 720))
    branch.draw(surface, ViewState())
    side = [pygame.image.tobytes(surface.subsurface((x, 60, 600, 400)), "RGB") for x in (10, 650)]
    assert side[0] != side[1]


def test_players_have_the_same_seeds_and_their_differences_are_paired():
    contestants = []
    for name, learned in (("trained", 30_000), ("untrained", 0)):
        agent = QLearning("FrozenLake-v1", seed=0)
        if learned:
            agent.learn(learned)
        env = shown("FrozenLake-v1")
        agent.set_env(env)
        contestants.append(Contestant(name, Session(env, agent)))
    env = shown("FrozenLake-v1")
    env.action_space.seed(0)
    contestants.append(Contestant("random", Session(env, None, policy=random_player(env))))
    comparison = Comparison(contestants, seed=5)
    while len(comparison.seeds) < 12:
        assert len({one.session.position.seed for one in contestants}) == 1
        comparison.step()
    seeds = comparison.seeds
    assert len(set(seeds)) == 12
    for one in contestants[:1]:  # what was counted is what the seeds give
        total = 0.0
        obs, _ = (again := make("FrozenLake-v1", dynamics="gymnasium")).reset(seed=seeds[0])
        over = False
        while not over:
            obs, reward, terminated, truncated, _ = again.step(one.session.agent.predict(obs, deterministic=True)[0])
            total, over = total + reward, terminated or truncated
        assert total == one.returns[0]
    (_, mean, gap, _), (_, other, worse, interval), _ = comparison.differences()
    assert gap == 0.0
    assert worse == pytest.approx(other - mean)
    assert interval[0] <= worse <= interval[1]
    for ghost in (False, True):
        surface = pygame.Surface((1280, 720))
        comparison.draw(surface, ViewState(ghost=ghost, help=ghost))
        assert len(np.unique(pygame.surfarray.array3d(surface).reshape(-1, 3), axis=0)) > 30
    with pytest.raises(UsageError, match="different environments"):
        Comparison([contestants[0], Contestant("x", Session(shown("CliffWalking-v1"), None, "play"))])


# The world by hand.


def test_constants_and_cells_are_changed_and_the_past_keeps_its_own():
    env = shown("CartPole-v1")
    session = played(Session(env, None, "watch", policy=lambda obs, info: 1), 3)
    before = session.history[3].seen.next_obs.copy()
    session.change(session.world.with_constant("force_mag", 1.0))
    played(session, 4)
    after = session.history[7].seen.next_obs.copy()
    for place, obs in ((3, before), (6, session.history[6].seen.next_obs.copy()), (3, before)):
        past = session.at(place)
        assert past.message == ""
        assert (past.observation == obs).all()
    plain = make("CartPole-v1", dynamics="gymnasium")
    plain.reset(seed=session.position.seed)
    for _ in range(7):
        other = plain.step(1)[0]
    assert (other != after).any()
    world = World.of(env)
    put_world(env, world.with_constant("masspole", 2.0))
    assert env.unwrapped.total_mass == 3.0
    assert not session.demonstrations.episodes


def test_a_wall_re_routes_the_values():
    env = shown(map="cliff")
    agent = ValueIteration(env, gamma=1.0)
    session = Session(env, agent, "learn")
    while session.step():
        pass
    assert agent.v[36] == -13.0
    world = session.world
    for column in (1, 2):
        for row in (1, 2):
            world = world.with_cell(row, column, "#")
    session.change(world)
    while session.step():
        pass
    assert agent.v[36] == -17.0  # over the wall: two up and two down more
    assert session.touched
    with pytest.raises(UsageError, match="no start"):
        session.change(session.world.with_cell(3, 0, "."))


def test_dials_turn_what_the_rule_and_the_world_use():
    env = shown("CartPole-v1")
    agent = LinearSarsa(env, features="rbf-grid:3,warm_up=20", alpha=0.1, seed=0)
    session = played(Session(env, agent, "learn"), 60)
    dials = {dial.name: dial for dial in dials_of(session)}
    assert {"alpha", "epsilon", "gamma", "gravity", "masscart"} <= dials.keys()
    assert dials["alpha"].get() == 0.1
    dials["alpha"].set(0.0)
    dials["gamma"].set(0.5)
    weights = agent.arrays()["w"].copy()
    played(session, 30)
    assert (agent.arrays()["w"] == weights).all()  # a step size of 0 learns nothing
    assert agent.memory.gamma == 0.5
    dials["gravity"].set(2.0)
    assert env.unwrapped.gravity == 2.0


# Keys: what does something, and why the rest does not.


def test_every_key_does_something_or_says_why_in_every_mode():
    trained = QLearning("FrozenLake-v1", seed=0)
    trained.env = shown("FrozenLake-v1")
    recorded = played(Session(shown("FrozenLake-v1"), None, "watch", policy=lambda obs, info: 1), 3)
    episode = recorded.demonstrations.running
    sessions = {
        "watch": Session(trained.env, trained),
        "play": Session(shown("FrozenLake-v1"), None, "play"),
        "learn": Session(shown(map="maze"), QLearning(shown(map="maze"), seed=0), "learn"),
        "replay": Session(shown("FrozenLake-v1"), None, "replay", episode=episode),
    }
    for mode, session in sessions.items():
        state = ViewState(you=session.driving)
        rows = {intent: keys for intent, keys, _ in offered(session, state)}
        for intent in HELP:
            assert (intent in rows) != bool(why_not(intent, session, state)) or intent in ("step", "back")
        keys = " ".join(rows.values()).split()
        if mode == "play":
            assert "right" not in keys  # it acts in the environment
            assert rows["step"] == "."
            assert set(action_keys(session)) == {"left", "down", "right", "up"}
        if mode == "replay":
            assert not {"you", "explore", "what if", "inside", "next"} & rows.keys()
        if mode == "learn":
            assert {"you", "inside", "tune"} <= rows.keys()


class Driver:
    """A window under the dummy driver, and keys sent to it."""

    def __init__(self, monkeypatch, session: Session, **options) -> None:
        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
        self.window = Window(session, (1280, 720), **options)
        self.surface = self.window._open()

    def frames(self, count: int, seconds: float = 1 / 60) -> None:
        for _ in range(count):
            self.window._advance(seconds)
            self.window._draw(self.surface)

    def keys(self, *names: str) -> None:
        for name in names:
            shift, code = name.startswith("shift "), name.removeprefix("shift ")
            number = pygame.key.key_code(code)
            typed = code.upper() if shift else code
            typed = {"space": " ", "escape": "", "left": "", "right": ""}.get(code, typed)
            mod = pygame.KMOD_SHIFT if shift else 0
            self.window._handle(pygame.event.Event(pygame.KEYDOWN, key=number, unicode=typed, mod=mod))
            self.window._handle(pygame.event.Event(pygame.KEYUP, key=number, unicode=typed, mod=mod))
            self.frames(1)

    def mouse(self, kind: int, place: tuple[int, int], button: int = 1) -> None:
        self.window._handle(pygame.event.Event(kind, pos=place, button=button, rel=(0, 0), buttons=(1, 0, 0)))
        self.frames(1)


def test_the_window_goes_back_takes_over_and_branches(monkeypatch):
    env = shown(map="maze")
    agent = QLearning(make(GRID, map="maze"), gamma=0.95, seed=0).learn(20_000)
    agent.set_env(env)
    driver = Driver(monkeypatch, Session(env, agent), steps_per_second=60)
    window = driver.window
    driver.frames(30)
    driver.keys("space", "left", "left", "left")
    assert window.state.cursor == window.session.history.newest - 3
    driver.keys("m", "escape")
    assert window.state.cursor is None
    driver.keys("shift m")
    assert window.state.cursor == window.session.history.newest - 3
    driver.keys("w")
    assert window.comparison is not None
    there = [one.session.observation for one in window.comparison.contestants]
    assert there[0] == there[1]
    driver.keys("space")
    driver.frames(30)
    driver.keys("escape")
    assert window.comparison is None
    driver.keys("escape", "h")
    assert window.session.driving
    length = window.session.position.length
    driver.frames(20)
    assert window.session.position.length == length  # the grid waits
    driver.keys("left")
    assert window.session.position.length == length + 1
    assert window.session.last.action == 3
    driver.keys("j")
    assert "j does nothing" in window._notice
    driver.keys("escape")
    assert not window.session.driving
    driver.keys("escape")
    assert "nothing is open" in window._notice
    driver.keys("g")
    assert "two agents" in window._notice
    pygame.display.quit()


def test_taking_over_a_paused_world_lets_it_run(monkeypatch):
    env = shown("MountainCar-v0")
    agent = LinearSarsa(env, seed=0)
    driver = Driver(monkeypatch, Session(env, agent), steps_per_second=60)
    session = driver.window.session
    driver.frames(5)
    driver.keys("space", "left", "h")
    before = session.position.length
    driver.frames(10)
    assert session.driving
    assert session.position.length >= before + 8  # it runs on
    assert session.last.action == 1  # pushed by nobody
    driver.keys("h", "space")
    assert not session.driving
    pygame.display.quit()


def test_the_timeline_is_dragged_and_cells_are_clicked(monkeypatch):
    env = shown(map="maze")
    driver = Driver(monkeypatch, Session(env, QLearning(env, seed=0), "learn"), steps_per_second=60)
    window = driver.window
    driver.frames(60)
    driver.mouse(pygame.MOUSEBUTTONDOWN, (640, 684))
    assert abs(window.state.cursor - window.session.history.newest / 2) <= 2
    driver.mouse(pygame.MOUSEMOTION, (20, 684))
    driver.mouse(pygame.MOUSEBUTTONUP, (20, 684))
    assert window.state.cursor <= 1
    driver.keys("escape", "d")
    box = panels.picture_box()
    rows, columns = window.session.env.unwrapped.shape
    cell = (round(box.x + 4.5 / columns * box.width), round(box.y + 1.5 / rows * box.height))
    before = window.session.world.rows[1][4]
    driver.mouse(pygame.MOUSEBUTTONDOWN, cell)
    assert {before, window.session.world.rows[1][4]} == {".", "#"}
    assert "touched by hand" in window._notice
    bar, dial = next((bar, dial) for bar, dial in window.dials._bars if dial.name == "alpha")
    driver.mouse(pygame.MOUSEBUTTONDOWN, (bar.x + bar.width // 2, bar.centery))
    driver.mouse(pygame.MOUSEBUTTONUP, bar.center)
    assert dial.get() == pytest.approx(0.5, abs=0.02)
    pygame.display.quit()


def test_a_replay_is_looked_at_again_after_its_end(monkeypatch):
    recorded = played(Session(shown("FrozenLake-v1"), None, "watch", policy=lambda obs, info: 1, seed=2), 6)
    episode = recorded.demonstrations.running
    env = shown("FrozenLake-v1")
    driver = Driver(monkeypatch, Session(env, None, "replay", episode=episode), steps_per_second=60)
    driver.frames(30)
    window = driver.window
    total = len(episode.actions)
    assert window.session.history.newest == total
    driver.keys("left", "left")
    assert window.state.cursor == total - 2
    driver.keys("r")
    driver.frames(1)
    assert window.state.cursor is not None
    assert window.state.cursor < 3
    driver.frames(60)
    assert window.state.cursor is None  # it ran to the end again
    driver.keys("h")
    assert "cannot be taken over" in window._notice
    pygame.display.quit()


def test_axes_are_pushed_by_keys_mouse_and_gamepad_in_real_time(monkeypatch):
    env = shown("Pendulum-v1")
    driver = Driver(monkeypatch, Session(env, None, "play"), steps_per_second=60)
    window, session = driver.window, driver.window.session
    driver.frames(5)
    assert session.position.length >= 4  # it runs on, pushed by nobody
    assert session.last.action.tolist() == [0.0]
    code = pygame.key.key_code("right")
    window._handle(pygame.event.Event(pygame.KEYDOWN, key=code, unicode="", mod=0))
    driver.frames(8)
    rising = [float(m.seen.action[0]) for m in (session.history[p] for p in range(8, session.history.newest + 1))]
    assert all(a < b for a, b in pairwise(rising))  # it ramps
    driver.frames(12)
    assert session.last.action.tolist() == [2.0]
    window._handle(pygame.event.Event(pygame.KEYUP, key=code, unicode="", mod=0))
    driver.frames(20)
    assert session.last.action.tolist() == [0.0]
    window._handle(pygame.event.Event(pygame.JOYAXISMOTION, axis=0, value=-0.5, instance_id=0))
    driver.frames(2)
    assert session.last.action.tolist() == [-1.0]
    window._handle(pygame.event.Event(pygame.JOYAXISMOTION, axis=0, value=0.0, instance_id=0))
    driver.frames(20)
    box = panels.picture_box()
    driver.mouse(pygame.MOUSEBUTTONDOWN, (box.centerx + box.width // 4, box.centery))
    driver.frames(2)
    assert session.last.action[0] == pytest.approx(1.0, abs=0.05)
    driver.mouse(pygame.MOUSEBUTTONUP, box.center)
    driver.keys("k")
    length = session.position.length
    driver.frames(40)
    assert session.position.length <= length + 16  # it waits, once the push has gone back
    assert intent_of(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE, unicode="", mod=0)) == "close"
    pygame.display.quit()


def test_networks_learn_a_step_at_a_time_in_the_same_bits_and_from_a_person_too():
    settings = {"net_arch": [16], "buffer_size": 1000, "learning_starts": 30, "seed": 0}
    watched, plain = (DQN(shown("CartPole-v1", dynamics="gymnasium"), **settings) for _ in range(2))
    watched.horizon = 120
    session = Session(watched.env, watched, "learn", target=120)
    while not session.trained:
        before = session.position.seed, session.position.length
        assert session.step()
        after = session.position
        assert (after.seed, after.length) == (before[0], before[1] + 1) or after.length == 1
        assert session.ended == (session.last.terminated or session.last.truncated)
    assert len(session.returns) == watched.statistics.episodes
    assert session.at(session.history.newest - 3).message == ""
    plain.learn(120, engine="python", schedule_timesteps=120)
    assert not differences(watched, plain)
    session.target = 0
    assert session.take_over(True) == ""
    first = int((watched.memory.replay.kinds > 0).sum())
    done = []
    for action in (0, 1, 1, 0, 1):
        session.pending = action
        assert session.step()
        done.append(session.last.action)
    assert done == [0, 1, 1, 0, 1]
    kinds = watched.memory.replay.kinds
    rows = np.flatnonzero(kinds > 0)
    assert len(rows) == first + 5
    assert watched.memory.replay.actions[rows[-5:], 0].tolist() == [
        0,
        1,
        1,
        0,
        1,
    ]  # what was done is what is learned from
    assert "gradient step" in lines_of(session)[0][1] or "no update" in lines_of(session)[0][1]
    assert session.take_over(False) == ""
    assert session.step()


@pytest.mark.slow
def test_an_actor_critic_learns_from_pushes_along_its_axis():
    agent = SAC(shown("Pendulum-v1", dynamics="gymnasium"), net_arch=[16], learning_starts=5, batch_size=8, seed=0)
    session = Session(agent.env, agent, "learn")
    played(session, 10)
    assert session.take_over(True) == ""
    for push in (2.0, -2.0, 0.5):
        session.pending = np.array([push], np.float32)
        assert session.step()
        assert session.last.action == pytest.approx(push)
    rows = np.flatnonzero(agent.memory.replay.kinds > 0)[-3:]
    pendulum = agent.memory.replay.actions[rows, 0]
    assert (np.sign(pendulum) == [1, -1, 1]).all()
    assert pendulum[0] == -pendulum[1] == 4 * pendulum[2]


def test_a_fit_is_shown_by_iterations_and_the_leaves_that_moved_in_the_same_bits(monkeypatch):
    settings = {
        "model": "decision-tree:max_depth=3",
        "train_freq": 60,
        "n_iterations": 3,
        "n_eval_episodes": 0,
        "seed": 0,
    }
    watched, plain = (FittedQ(shown("CartPole-v1", dynamics="gymnasium"), **settings) for _ in range(2))
    watched.horizon = 100
    session, surface = Session(watched.env, watched, "learn", target=100), pygame.Surface((1280, 720))
    session.learning.looking = True
    monkeypatch.setattr(map_panel, "_slicer", map_panel.Slicer(seconds=0))
    steps, moves = 0, []
    while not session.trained:
        panels.draw(surface, session, ViewState())
        fitting = watched.busy
        assert session.step()
        steps += not fitting
        if fitting and session.learning.update.moves:
            moves.append(session.learning.update)
    assert steps == 100
    assert watched.lessons == 2  # one was due, and one at the end
    assert moves
    assert moves[-1].moves[0].array.startswith("leaf at ")
    panels.draw(surface, session, ViewState())
    colors = pygame.surfarray.array3d(surface).reshape(-1, 3)
    assert (colors == drawing.WARM).all(axis=1).sum() > 50  # the frame around what moved
    plain.learn(100, engine="python", schedule_timesteps=100)
    assert not differences(watched, plain)


def test_the_cell_that_moved_is_framed():
    env = shown(map="cliff")
    session = Session(env, QLearning(env, alpha=0.5, gamma=1.0, seed=0), "learn")
    session.learning.looking = True
    surface = pygame.Surface((1280, 720))
    for _ in range(3):
        session.step()
        panels.draw(surface, session, ViewState())
        assert map_panel.moved_states(session) == {session.last.obs}
    assert map_panel.moved_states(session.at(1)) == set()


def test_what_moved_is_framed_for_the_step_that_is_shown_alone():
    """Also where observations are arrays, of which two steps cannot be compared."""
    env = shown("MountainCar-v0", dynamics="gymnasium")
    session = Session(env, LinearSarsa(env, seed=0), "learn")
    session.learning.looking = True
    surface = pygame.Surface((1280, 720))
    for _ in range(8):
        session.step()
        panels.draw(surface, session, ViewState())
    assert map_panel.last_seen_update(session) is session.learning.update
    assert map_panel.last_seen_update(session.at(3)) is None
    panels.draw(surface, session.at(3), ViewState())
