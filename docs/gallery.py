"""Screenshots of every mode of the window, for docs/gallery.md: `python docs/gallery.py [-o FOLDER] [NAME ...]`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch's small networks are faster so, most of all beside other work
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
SIZE = (1280, 720)
_DRAWN = 120  # of the steps that are played, the last ones


class Picture(NamedTuple):
    """A screenshot: what it shows in words, and the window that shows it."""

    words: str
    window: Callable[[], Any]
    then: tuple[str, ...] = ()
    panel: str = "map"


def watched(agent: Any, steps: int = 40, *, mode: str = "watch", headless: bool = True, seed: int = 0) -> Any:
    """A window on an agent that has played so many steps."""
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    env = shown_env(reference(agent.env))
    agent.set_env(env)
    session = Session(env, agent, mode, seed=seed)  # type: ignore[arg-type]
    episodes = agent.statistics.recent
    session.returns = [float(one.episode_return) for one in episodes]
    session.episode_numbers = list(range(agent.statistics.episodes - len(episodes), agent.statistics.episodes))
    return played(Window(session, SIZE, headless=headless), steps)


def played(window: Any, steps: int) -> Any:
    """The window after so many steps."""
    surface = window._open()
    for step in range(steps):
        window._step()
        window._hold = 0.0
        if step + _DRAWN >= steps:
            window._draw(surface)
    return window


def q_learning() -> Any:
    from agents import QLearning

    return watched(QLearning("FrozenLake-v1", seed=0).learn(300_000), 30)


def lock_step() -> Any:
    from agents import QLearning
    from rlplay import make
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    env = make("rlplay/GridWorld-v0", render_mode="rgb_array", map="maze")
    agent = QLearning(env, alpha=0.5, gamma=1.0, epsilon=0.1, seed=4)
    agent.horizon = 6000
    return played(Window(Session(env, agent, "learn", target=6000), SIZE, headless=True), 3000)


def linear_sarsa() -> Any:
    from agents import LinearSarsa

    return watched(LinearSarsa("MountainCar-v0", gamma=1.0, epsilon=0.0, seed=0).learn(100_000), 60)


def fitted_q() -> Any:
    from agents import FittedQ

    agent = FittedQ("rlplay/CarOnTheHill-v0", model="extra-trees:20", gamma=0.95, n_iterations=20, seed=0)
    return watched(agent.learn(6000), 47)


def k_means() -> Any:
    from agents import QLearning

    return watched(QLearning("CartPole-v1", features="k-means:48", alpha=0.2, seed=0).learn(60_000), 30)


def mcts() -> Any:
    from agents import MCTS

    return watched(MCTS("FrozenLake-v1", simulations=300, seed=0), 4)


def ppo() -> Any:
    from agents import PPO

    tuned = {"n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20}
    return watched(
        PPO("CartPole-v1", learning_rate="lin_0.001", clip_range="lin_0.2", seed=0, **tuned).learn(60_000), 40
    )


def dqn() -> Any:
    from agents import DQN

    settings = {"learning_rate": 2.3e-3, "batch_size": 64, "train_freq": 256, "gradient_steps": 128, "net_arch": [64],
                "learning_starts": 500, "buffer_size": 20_000, "target_update_interval": 10,
                "exploration_fraction": 0.3, "exploration_final_eps": 0.04}  # fmt: skip
    agent = DQN("CartPole-v1", prioritized=True, distributional="qr", seed=0, **settings)
    return watched(agent.learn(40_000), 30)


def sb3_sac() -> Any:
    from agents.sb3 import SB3

    agent = SB3("sac", "Pendulum-v1", learning_starts=100, batch_size=64, policy_kwargs={"net_arch": [64, 64]}, seed=0)
    return watched(agent.learn(600), 60)


def sb3_pixels() -> Any:
    """DQN that sees four small grey pictures of a pole, the last ones."""
    from agents.sb3 import SB3
    from rlplay import make

    env = make(
        "rlplay/CartPole-v1", render_mode="rgb_array", width=64, height=48, frame_stack=4, dynamics="gymnasium",
        wrapper=[{"gymnasium.wrappers.AddRenderObservation": {"render_only": True}},
                 {"gymnasium.wrappers.GrayscaleObservation": {"keep_dim": True}}],
    )  # fmt: skip
    return watched(SB3("dqn", env, policy="CnnPolicy", learning_starts=50, buffer_size=1000, seed=0).learn(120), 12)


def play() -> Any:
    from rlplay import make
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    session = Session(make("Taxi-v4", render_mode="rgb_array"), None, "play", seed=3)
    window = Window(session, SIZE, headless=True)
    for action in (1, 1, 2):
        session.pending = session.choices[action][1]
        played(window, 1)
    return window


def silent() -> Any:
    """An environment that draws nothing: its observations are the picture."""
    import gymnasium as gym
    import numpy as np

    from agents import A2C
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    class Greenhouse(gym.Env):  # type: ignore[type-arg]
        """Warmth and water run out; heating and watering bring them back."""

        observation_space = gym.spaces.Dict(
            warmth=gym.spaces.Box(0.0, 1.0, (1,)), water=gym.spaces.Box(0.0, 1.0, (1,)),
            camera=gym.spaces.Box(0, 255, (24, 36, 3), np.uint8),
        )  # fmt: skip
        action_space = gym.spaces.Discrete(2)

        def reset(self, *, seed: Any = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self.state = np.array([0.5, 0.5])
            return self.seen(), {}

        def step(self, action: Any) -> Any:
            self.state = np.clip(self.state + self.np_random.normal(-0.02, 0.03, 2), 0, 1)
            self.state[int(action)] = min(self.state[int(action)] + 0.05, 1.0)
            return self.seen(), float(self.state.min()), False, False, {}

        def seen(self) -> Any:
            camera = np.full((24, 36, 3), (60, 40, 30), np.uint8)
            tall = int(20 * self.state.min()) + 2
            camera[24 - tall :, 6:30:6] = (70, 170, 90)
            warmth, water = self.state.astype(np.float32)
            return {"warmth": np.array([warmth]), "water": np.array([water]), "camera": camera}

        def get_action_meanings(self) -> list[str]:
            return ["heat", "water"]

    env = Greenhouse()
    agent = A2C(env, seed=0)
    session = Session(env, agent, "watch", seed=0)
    session.deterministic = False
    return played(Window(session, SIZE, headless=True), 120)


def comparison() -> Any:
    from agents import QLearning, Sarsa
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.compare import Comparison, random_player
    from rlplay.viewer.session import Session
    from rlplay.viewer.together import Contestant
    from rlplay.viewer.window import Window

    players = []
    for cls in (QLearning, Sarsa):
        agent = cls("FrozenLake-v1", seed=1).learn(60_000)
        env = shown_env(reference(agent.env))
        agent.set_env(env)
        players.append(Contestant(agent.id, Session(env, agent)))
    env = shown_env(reference(env))
    env.action_space.seed(0)
    players.append(Contestant("random", Session(env, None, "watch", policy=random_player(env))))
    found = Comparison(players, 0)
    return played(Window(players[0].session, SIZE, headless=True, comparison=found), 900)


def mosaic() -> Any:
    """The rows of a vector, of an agent that still explores."""
    from agents import QLearning
    from rlplay.cli.windows import shown_env
    from rlplay.environments.make import reference
    from rlplay.viewer.mosaic import Mosaic
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    agent = QLearning("CartPole-v1", features="k-means:48", alpha=0.2, seed=0).learn(20_000)
    envs = [shown_env(reference(agent.env)) for _ in range(16)]
    agent.set_env(envs[0])
    found = Mosaic([Session(env, agent) for env in envs], seed=0)
    return played(Window(found.contestants[0].session, SIZE, headless=True, comparison=found), 460)


def walls() -> Any:
    """FrozenLake without ice: a wall in the way and a reward on it, and the values that found another way."""
    from agents import ValueIteration
    from rlplay import make
    from rlplay.viewer.cells import change_cell
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    env = make("FrozenLake-v1", render_mode="rgb_array", map_name="8x8", is_slippery=False, dynamics="gymnasium")
    session = Session(env, ValueIteration(env, gamma=0.95, seed=0), "learn")
    for cell, button in (((2, 1), 1), ((2, 2), 1), ((5, 7), 1), ((4, 7), 1), ((0, 5), 3)):
        change_cell(session, cell, button)
    return played(Window(session, SIZE, headless=True), 60)


def leaves() -> Any:
    from agents import FittedQ
    from rlplay import make
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    env = make("CartPole-v1", render_mode="rgb_array", dynamics="gymnasium")
    settings = {"model": "decision-tree:max_depth=5", "train_freq": 400, "n_iterations": 12, "n_eval_episodes": 0}
    window = Window(Session(env, FittedQ(env, seed=0, **settings), "learn", target=2000), SIZE, headless=True)
    window._do("pause")
    return played(window, 405)


def inside() -> Any:
    """In the middle of an update of PPO, after a few gradient steps."""
    from agents import PPO
    from rlplay import make
    from rlplay.viewer.session import Session
    from rlplay.viewer.window import Window

    env = make("CartPole-v1", render_mode="rgb_array", dynamics="gymnasium")
    agent = PPO(env, n_steps=256, batch_size=64, n_epochs=4, learning_rate=1e-3, seed=0)
    agent.horizon = 5000
    window = played(Window(Session(env, agent, "learn", target=5000), SIZE, headless=True), 700)
    window._do("inside")
    while not window.session.in_update:
        played(window, 1)
    return played(window, 11)


def full_screen() -> Any:
    window = ppo()
    window.size = (1920, 1080)
    return window


def start() -> Any:
    """The start screen, over runs of its own."""
    import pygame

    from rlplay.cli.start import catalogue
    from rlplay.viewer.start_screen import StartScreen

    pygame.font.init()
    screen = StartScreen(catalogue(Path(tempfile.gettempdir()) / "no-runs"), SIZE)
    surface = pygame.Surface(SIZE)
    for _ in range(14):
        screen._since = 0.0
        screen.draw(surface)
    return surface


BACK = ("pause", *["back"] * 12, "bookmark", *["back"] * 5)
PICTURES = {
    "start": Picture("`rlplay`: the start screen", start),
    "q-learning": Picture("A table: values and best actions of all states", q_learning),
    "lock-step": Picture("Learning in lock-step: the update in numbers", lock_step, panel="update"),
    "walls": Picture("Walls and a reward put by a click: the values find another way", walls),
    "leaves": Picture("A fit, iteration by iteration: the leaves that moved are framed", leaves),
    "inside": Picture("Inside an update of networks: after each gradient step", inside, panel="update"),
    "linear-sarsa": Picture("Linear Sarsa over tiles: values over the state space, tiles outlined", linear_sarsa),
    "fitted-q": Picture("Fitted Q with extra trees", fitted_q),
    "k-means": Picture("Q-learning over the clusters of k-means", k_means),
    "mcts": Picture("A search tree: width is visits, colour is value", mcts),
    "ppo": Picture("PPO: probabilities, values, the last update", ppo),
    "why": Picture("Why: what each number contributes to the choice", ppo, panel="why"),
    "dqn": Picture("DQN with quantiles: how probable each return is", dqn, panel="returns"),
    "replay-buffer": Picture("What DQN learns from: TD errors and priorities", dqn, panel="replay"),
    "sb3-sac": Picture("Stable-Baselines3's SAC: critics and targets over the action", sb3_sac, panel="critics"),
    "sb3-pixels": Picture("Stable-Baselines3's DQN on pixels: the four frames it is given", sb3_pixels, panel="input"),
    "silent": Picture("An environment that draws nothing", silent, panel="input"),
    "play": Picture("`rlplay play`: your turn", play, panel="input"),
    "compare": Picture("`rlplay watch A B random`: the same seeds, paired differences", comparison),
    "mosaic": Picture("`rlplay watch RUN --rows 16`: the rows of a vector", mosaic),
    "full-screen": Picture("Full screen: a third column", full_screen),
    "rewind": Picture("Back in time: the timeline, surprises, a bookmark", ppo, BACK),
    "light": Picture("Light colours", k_means, ("theme",)),
    "large": Picture("Words at 200 %", q_learning, ("zoom", "zoom", "zoom"), panel="actions"),
}  # fmt: skip


def take(picture: Picture) -> Any:
    """The screenshot as a pygame surface."""
    import pygame

    window = picture.window()
    if isinstance(window, pygame.Surface):
        return window
    surface = window._open()
    for intent in picture.then:
        window._do(intent)
        window._advance(0.0)
        window._draw(surface)
    if window.comparison is None:
        window._show_panel(picture.panel)
    window._notice_until = 0.0
    time.sleep(0.3)  # the map is computed anew a few times a second only
    for _ in range(3):
        window._draw(surface)
    return surface


def main() -> None:
    """Take the screenshots that are named, or all."""
    import pygame
    from PIL import Image

    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("names", nargs="*", help="pictures, all by default")
    reader.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "images" / "gallery")
    given = reader.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    for name in given.names or PICTURES:
        began = time.perf_counter()
        surface = take(PICTURES[name])
        path = given.output / f"{name}.png"
        image = Image.frombytes("RGB", surface.get_size(), pygame.image.tobytes(surface, "RGB"))
        image.quantize(224, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path}   {path.stat().st_size / 1000:.0f} kB, {time.perf_counter() - began:.0f} s", flush=True)
    if given.output == ROOT / "docs" / "images" / "gallery":
        write_page()


def write_page() -> None:
    """The page of all pictures that there are."""
    lines = ["# Gallery", "", "Every mode of the window, as `python docs/gallery.py` draws it.",
             "`python docs/tour.py` films the README's moving picture.", ""]  # fmt: skip
    for name, picture in PICTURES.items():
        if not (ROOT / "docs" / "images" / "gallery" / f"{name}.png").exists():
            continue
        lines += [f"## {picture.words}", "", f"![{picture.words.replace('`', '')}](images/gallery/{name}.png)", ""]
    (ROOT / "docs" / "gallery.md").write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
