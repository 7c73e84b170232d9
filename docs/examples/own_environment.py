"""An environment of your own: any gymnasium.Env works; one with a table P runs in native code. Copy and change."""

import gymnasium as gym

from agents import QLearning


class Corridor(gym.Env):
    """Walk right to the end; the observation is the place."""

    observation_space = gym.spaces.Discrete(8)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return self.place, {}

    def step(self, action):
        self.place = max(0, self.place + (1 if action else -1))
        return self.place, -1.0, self.place == 7, False, {}


if __name__ == "__main__":  # so that `rlplay train --env own_environment:Corridor` imports the class and no more
    print(QLearning(Corridor(), alpha=0.5, gamma=1.0, seed=0).learn(5_000).q.max(axis=1))
