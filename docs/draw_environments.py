"""The picture of the worlds at the head of docs/environments.md: `python docs/draw_environments.py [-o FILE]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
WORLDS = (
    "CartPole-v1", "MountainCar-v0", "Pendulum-v1", "Acrobot-v1",
    "CarOnTheHill-v0", "InvertedPendulum-v0", "Baird-v0", "TMaze-v0",
    "Taxi-v4", "FrozenLake-v1", "GridWorld-v0", "Racetrack-v0",
    "Bandit-v0", "BitFlipping-v0", "MemoryChain-v0", "DigitsBandit-v0",
)  # fmt: skip
ACROSS, TILE, GAP, LINE = 4, (300, 200), 8, 22
STEPS = 5  # of random actions, seed 0
PAPER, INK = (255, 255, 255), (45, 52, 66)


def main() -> None:
    """Draw every world after a few steps, with its name below."""
    import pygame

    from rlplay import make
    from rlplay.viewer.drawing import font

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("-o", type=Path, default=ROOT / "docs" / "images" / "environments.png", metavar="FILE")
    path = options.parse_args().o
    width, height = TILE[0] + GAP, TILE[1] + LINE + GAP
    page = pygame.Surface((ACROSS * width + GAP, len(WORLDS) // ACROSS * height + GAP))
    page.fill(PAPER)
    for i, name in enumerate(WORLDS):
        env = make(f"rlplay/{name}", render_mode="rgb_array")
        env.reset(seed=0)
        env.action_space.seed(0)
        for _ in range(STEPS):
            _, _, terminated, truncated, _ = env.step(env.action_space.sample())
            if terminated or truncated:
                env.reset()
        picture = pygame.surfarray.make_surface(env.render().swapaxes(0, 1))
        scale = min(TILE[0] / picture.get_width(), TILE[1] / picture.get_height())
        size = round(picture.get_width() * scale), round(picture.get_height() * scale)
        at = GAP + i % ACROSS * width, GAP + i // ACROSS * height
        page.fill(picture.get_at((1, 1)), (*at, *TILE))
        inside = at[0] + (TILE[0] - size[0]) // 2, at[1] + (TILE[1] - size[1]) // 2
        page.blit(pygame.transform.smoothscale(picture, size), inside)
        page.blit(font(16).render(name, True, INK), (at[0] + 4, at[1] + TILE[1] + 3))
    pygame.image.save(page, path)
    print(path)


if __name__ == "__main__":
    main()
