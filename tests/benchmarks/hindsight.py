"""Hindsight experience replay: python tests/benchmarks/hindsight.py [bits | beside]

    bits    the share of goals that DQN reaches with and without hindsight, over the number of bits: the shape of
            figure 1 of Andrychowicz et al. 2017
    beside  DQN on 12 bits and SAC on a point that reaches, beside Stable-Baselines3's HerReplayBuffer: the same
            settings, the share of goals reached, and CPU seconds of ``learn``

One thread a side. Shares are of 100 episodes on seeds of their own, actions greedy.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import sys
import time
from typing import Any

import gymnasium as gym
import numpy as np

BITS, STEPS, SEEDS = (10, 20, 30), 30_000, (0, 1, 2)
FEW = {"learning_starts": 500, "learning_rate": 1e-3, "gamma": 0.98, "batch_size": 128, "buffer_size": 100_000}
DQN_12 = {**FEW, "train_freq": 1, "target_update_interval": 500, "exploration_fraction": 0.3,
          "exploration_final_eps": 0.2}  # fmt: skip
SAC_POINT = {**FEW, "gamma": 0.95, "batch_size": 256}


class Point(gym.Env[Any, Any]):
    """A point in the plane that is to come within 0.05 of a goal, in 40 steps of 0.1 at most."""

    part = gym.spaces.Box(-2.0, 2.0, (2,), np.float32)
    observation_space = gym.spaces.Dict({"observation": part, "achieved_goal": part, "desired_goal": part})
    action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)

    def _seen(self) -> dict[str, Any]:
        return {"observation": self.at.copy(), "achieved_goal": self.at.copy(), "desired_goal": self.goal.copy()}

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any:
        """0 near the goal, else -1."""
        return 0.0 - (np.linalg.norm(np.asarray(achieved_goal) - desired_goal, axis=-1) > 0.05)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """From the middle to any goal."""
        super().reset(seed=seed)
        self.at, self.time = np.zeros(2, np.float32), 0
        self.goal = self.np_random.uniform(-1.0, 1.0, 2).astype(np.float32)
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Move."""
        self.at = np.clip(self.at + 0.1 * np.clip(action, -1.0, 1.0), -2.0, 2.0).astype(np.float32)
        self.time += 1
        reward = float(self.compute_reward(self.at, self.goal, {}))
        return self._seen(), reward, False, self.time >= 40, {"is_success": reward == 0.0}


def reached(model: Any, env: gym.Env[Any, Any], episodes: int = 100) -> float:
    """The share of episodes that end at their goal."""
    count = 0
    for episode in range(episodes):
        obs, _ = env.reset(seed=10_000 + episode)
        over, info = False, {}
        while not over:
            obs, _, terminated, truncated, info = env.step(model.predict(obs, deterministic=True)[0])
            over = terminated or truncated
        count += info["is_success"]
    return count / episodes


def bits() -> None:
    """Over the number of bits."""
    from agents import DQN
    from agents.recipes import TUNED
    from rlplay import make

    tuned = {name: value for name, value in TUNED["dqn"]["rlplay/BitFlipping-v0"].items() if name != "n_timesteps"}
    for n_bits in BITS:
        env = make("rlplay/BitFlipping-v0", n_bits=n_bits)
        for goals in (4, 0):
            shares = []
            for seed in SEEDS:
                agent = DQN(env, **{**tuned, "n_sampled_goal": goals}, seed=seed).learn(STEPS)
                shares.append(reached(agent, make("rlplay/BitFlipping-v0", n_bits=n_bits)))
            print(f"{n_bits} bits, n_sampled_goal={goals}, {STEPS:,} steps: {shares}", flush=True)


def beside() -> None:
    """Beside Stable-Baselines3."""
    import stable_baselines3
    import torch

    import agents

    torch.set_num_threads(1)
    gym.register("PointReach-v0", Point)
    buffer = {"replay_buffer_class": stable_baselines3.HerReplayBuffer}
    for name, env_id, arguments, settings, arch, steps in (
        ("DQN", "rlplay/BitFlipping-v0", {"n_bits": 12}, DQN_12, [256], 6000),
        ("SAC", "PointReach-v0", {}, SAC_POINT, [64, 64], 5000),
    ):
        for whose, module in (("ours", agents), ("theirs", stable_baselines3)):
            for seed in (None, *SEEDS):  # the first one compiles
                given = {**buffer, **settings, "policy_kwargs": {"net_arch": arch}, "seed": seed or 0}
                env = gym.make(env_id, **arguments)
                model = getattr(module, name)("MultiInputPolicy", env, **given, device="cpu")
                started = time.process_time()
                model.learn(600 if seed is None else steps)
                seconds = time.process_time() - started
                if seed is not None:
                    share = reached(model, gym.make(env_id, **arguments))
                    print(f"{name} {whose} seed {seed}: {share:.2f} reached, {seconds:.1f} CPU s for {steps:,} steps",
                          flush=True)  # fmt: skip


if __name__ == "__main__":
    import envs  # noqa: F401 - registers our environments

    for part in sys.argv[1:] or ("bits", "beside"):
        {"bits": bits, "beside": beside}[part]()
