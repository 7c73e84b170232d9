"""Off-policy agents beside SB3: taskset -c 1 python tests/benchmarks/off_policy.py [speed] [replay] [scores [--twins]]

``ablations [NAME ...]`` learns with and without a part, three seeds each; MinAtar's, LunarLander's and MuJoCo's where
those packages are installed.

One core. OPENBLAS_CORETYPE is unset before NumPy starts. Both sides have the same settings, and so the same number of
updates; speeds are steps/s of ``learn`` in turns, the best of ten rounds. Scores are greedy returns over 50
episodes for three seeds, of both where ``--twins`` is given. Names of agents (``SAC TD3``) leave the others out.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import copy
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

WIDE = {"policy_kwargs": {"net_arch": [256, 256]}}
POLE = {
    **WIDE, "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1000, "gamma": 0.99,
    "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
    "exploration_final_eps": 0.04,
}  # fmt: skip
CAR = {
    **WIDE, "learning_rate": 4e-3, "batch_size": 128, "buffer_size": 10_000, "learning_starts": 1000, "gamma": 0.98,
    "target_update_interval": 600, "train_freq": 16, "gradient_steps": 8, "exploration_fraction": 0.2,
    "exploration_final_eps": 0.07,
}  # fmt: skip
ACROBOT = {
    **WIDE, "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "gamma": 0.99,
    "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1, "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}  # fmt: skip
LANDER = {
    **WIDE, "learning_rate": 6.3e-4, "batch_size": 128, "buffer_size": 50_000, "learning_starts": 0, "gamma": 0.99,
    "target_update_interval": 250, "train_freq": 4, "gradient_steps": -1, "exploration_fraction": 0.12,
    "exploration_final_eps": 0.1,
}  # fmt: skip
PENDULUM = {"learning_rate": 1e-3, "buffer_size": 100_000}
NOISY = {**PENDULUM, "gamma": 0.98, "learning_starts": 10_000, "noise_type": "normal", "noise_std": 0.1}
WIDE_ACTOR = {"policy_kwargs": {"net_arch": [256, 256]}, "buffer_size": 100_000, "learning_starts": 200}
PARALLEL = {"n_envs": 32, "n_steps": 64, "reward_scale": 0.1}
ONE_A_STEP = {"train_freq": 1, "batch_size": 64, "buffer_size": 100_000, "target_update_interval": 500}
# Name, agent, environment, settings, steps of ours and of theirs, times asked.
SPEEDS: list[tuple[str, str, str, dict[str, Any], int, int, float]] = [
    ("an update of 64 a step, 64x64", "DQN", "CartPole-v1", ONE_A_STEP, 6_000, 400, 40),
    ("RL Zoo, 256x256", "DQN", "CartPole-v1", POLE, 2_560, 1_280, 10),
    ("an update of 256 a step, 256x256", "SAC", "Pendulum-v1", WIDE_ACTOR, 200, 100, 3),
    ("an update of 256 a step, 256x256", "TD3", "Pendulum-v1", WIDE_ACTOR, 300, 150, 3),
    ("an update of 256 a step, 256x256", "DDPG", "Pendulum-v1", WIDE_ACTOR, 300, 150, 0),
    ("an update of 256 a step, 256x256", "TQC", "Pendulum-v1", WIDE_ACTOR, 200, 0, 0),
    ("32 environments, 256x256", "PQN", "CartPole-v1", PARALLEL, 16_384, 0, 0),
    ("32 environments, 64x64", "PQN", "CartPole-v1", {**PARALLEL, "net_arch": [64, 64]}, 65_536, 0, 0),
]
# Agent, environment, settings, steps, floor.
SCORES: list[tuple[str, str, dict[str, Any], int, float]] = [
    ("DQN", "CartPole-v1", POLE, 50_000, 475),
    ("DQN", "CartPole-v1", {**POLE, "double": True, "prioritized": True}, 50_000, 475),
    ("DQN", "MountainCar-v0", CAR, 120_000, -120),
    ("DQN", "Acrobot-v1", ACROBOT, 100_000, -100),
    ("PQN", "CartPole-v1", PARALLEL, 500_000, 495),
    ("PQN", "CartPole-v1", PARALLEL, 100_000, 475),
    ("PQN", "Acrobot-v1", {**PARALLEL, "reward_scale": 1.0}, 500_000, -100),
    ("SAC", "Pendulum-v1", PENDULUM, 20_000, -250),
    ("TQC", "Pendulum-v1", PENDULUM, 20_000, -250),
    ("TD3", "Pendulum-v1", NOISY, 20_000, -250),
    ("DDPG", "Pendulum-v1", NOISY, 20_000, -250),
]


FALLING = {**CAR, "learning_rate": "lin_4e-3"}
EIGHT = {  # of SLM-Lab: eight environments, four updates of 32 a step of all
    "policy_kwargs": {"net_arch": [256, 128]}, "learning_rate": 5e-4, "buffer_size": 50_000, "batch_size": 32,
    "learning_starts": 1000, "n_envs": 8, "train_freq": 1, "gradient_steps": 4, "target_update_interval": 800,
    "exploration_fraction": 0.1667, "exploration_final_eps": 0.01, "gamma": 0.99,
}  # fmt: skip
SLOW = {  # of CleanRL
    "policy_kwargs": {"net_arch": [120, 84]}, "learning_rate": 2.5e-4, "buffer_size": 10_000,
    "learning_starts": 10_000, "train_freq": 10, "batch_size": 128, "target_update_interval": 500,
    "exploration_fraction": 0.5, "exploration_final_eps": 0.05, "max_grad_norm": 0,
}  # fmt: skip
GRID = {
    "learning_rate": 2.5e-4, "buffer_size": 100_000, "learning_starts": 5000, "target_update_interval": 1000,
    "train_freq": 1, "exploration_fraction": 0.5, "exploration_final_eps": 0.1, "max_grad_norm": 0,
}  # fmt: skip
CROSSQ = {
    "batch_renorm": True, "target_networks": False, "policy_delay": 3, "beta_1": 0.5, "learning_rate": 1e-3,
    "buffer_size": 20_000,
}  # fmt: skip
BALANCE = {"learning_rate": 1e-3, "buffer_size": 100_000, "learning_starts": 1000}
NOISY_BALANCE = {**BALANCE, "noise_type": "normal", "noise_std": 0.1}
C51 = {"distributional": "c51", "n_atoms": 101, "v_min": -100, "v_max": 100}
BOTH = {"double": True, "prioritized": True}
# Name, what it is, agent, environment, settings, steps.
ABLATIONS: list[tuple[str, str, str, str, dict[str, Any], int]] = [
    ("car", "RL Zoo", "DQN", "MountainCar-v0", CAR, 120_000),
    ("car", "RL Zoo, the learning rate falling to 0", "DQN", "MountainCar-v0", FALLING, 120_000),
    ("lander", "plain", "DQN", "LunarLander-v3", EIGHT, 300_000),
    ("lander", "double, prioritised", "DQN", "LunarLander-v3", {**EIGHT, **BOTH}, 300_000),
    ("c51", "plain", "DQN", "MountainCar-v0", {**SLOW, "loss": "mse"}, 500_000),
    ("c51", "C51", "DQN", "MountainCar-v0", {**SLOW, **C51}, 500_000),
    ("crossq", "no targets, batch renormalisation", "SAC", "Pendulum-v1", CROSSQ, 5000),
    ("pendulum", "RL Zoo's for Pendulum", "SAC", "InvertedPendulum-v5", BALANCE, 20_000),
    ("pendulum", "RL Zoo's for Pendulum", "TD3", "InvertedPendulum-v5", NOISY_BALANCE, 20_000),
    ("minatar", "one convolution", "DQN", "MinAtar/Breakout-v1", GRID, 200_000),
    ("minatar", "one convolution", "DQN", "MinAtar/SpaceInvaders-v1", GRID, 200_000),
]


ONLY = [word for word in sys.argv[1:] if word.isupper() or word == "TD3"]  # agents; all of them without


def theirs(name: str, env_id: str, settings: dict[str, Any], seed: int = 0) -> Any:
    """Stable-Baselines3's agent with the same settings."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    torch.set_num_threads(1)
    own = {k: v for k, v in copy.deepcopy(settings).items() if k not in ("n_envs", "noise_type", "noise_std")}
    env = make_vec_env(env_id, n_envs=settings.get("n_envs", 1), seed=seed)
    if settings.get("noise_type"):
        size = env.action_space.shape
        own["action_noise"] = NormalActionNoise(np.zeros(size), settings["noise_std"] * np.ones(size))
    return getattr(stable_baselines3, name)("MlpPolicy", env, seed=seed, device="cpu", **own)


def speed() -> None:
    """Steps a second of both, in turns; the best of ten short rounds, so that what else runs counts little."""
    import agents

    print(f"{'steps/s of learn':48s} {'ours':>10s} {'SB3':>9s} {'times':>7s} {'asked':>6s}", flush=True)
    for title, name, env_id, settings, steps, fewer, asked in SPEEDS:
        if ONLY and name not in ONLY:
            continue
        begin = settings.get("learning_starts", 100) + 300
        ours = getattr(agents, name)(env_id, seed=0, **settings).learn(begin)
        other = theirs(name, env_id, settings).learn(begin) if fewer else None
        found: list[tuple[float, float]] = []
        for _ in range(10):
            start = time.perf_counter()
            ours.learn(steps, reset_num_timesteps=False)
            middle = time.perf_counter()
            if other is not None:
                other.learn(fewer, reset_num_timesteps=False)
            found.append((steps / (middle - start), fewer / (time.perf_counter() - middle)))
        mine, its = (max(pair[k] for pair in found) for k in (0, 1))
        beside = f" {its:9,.0f} {mine / its:7.1f} {asked or '':>6}" if other is not None else ""
        print(f"{name} {env_id}, {title}".ljust(48) + f" {mine:10,.0f}{beside}", flush=True)


def replay() -> None:
    """Drawing 256 rows out of a million, and a file with a million steps of CartPole."""
    from agents import DQN
    from rlplay.functional.replay import draw_uniformly
    from rlplay.functional.sum_tree import draw_by_priority, set_priorities
    from rlplay.seeding import stream

    agent = DQN("CartPole-v1", seed=0, prioritized=True, batch_size=256, learning_starts=10**9, train_freq=10**9)
    agent.memory.replay.obs[:], agent.memory.replay.kinds[:], agent.memory.replay.filled[:] = 1.0, 1, 10**6
    kept, rng, rows, chances = agent.memory.replay, stream(0, "benchmark"), np.zeros(256, np.int64), np.zeros(256)
    kept.kinds[::25] = 0
    everything = np.arange(10**6)
    set_priorities(kept.priorities, everything, np.random.default_rng(0).random(10**6) * (kept.kinds > 0))
    parts = {
        "256 rows of a million, uniform": (lambda: draw_uniformly(kept, rng, rows), 30),
        "256 rows of a million, by priority": (lambda: draw_by_priority(kept.priorities, rng, rows, chances), 100),
        "256 new priorities": (lambda: set_priorities(kept.priorities, rows, chances), 0),
    }
    for name, (part, most) in parts.items():
        found = []
        for _ in range(2000):
            start = time.perf_counter()
            part()
            found.append(time.perf_counter() - start)
        print(f"{name:48s} {1e6 * statistics.median(found):10.1f} microseconds, {f'at most {most}' if most else ''}")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        path = agent.save(Path(folder) / "agent")
        middle = time.perf_counter()
        DQN.load(path)
        print(f"{'a file of a million steps, prioritised':48s} {middle - start:10.2f} s, at most 2; "
              f"read in {time.perf_counter() - middle:.2f} s, {path.stat().st_size / 2**20:.0f} MiB")  # fmt: skip


def scores(twins: bool) -> None:
    """Greedy returns of three seeds."""
    from stable_baselines3.common.evaluation import evaluate_policy

    import agents
    from rlplay import evaluate

    print(f"{'greedy return over 50 episodes, seeds 0 1 2':44s} {'steps':>9s} {'floor':>6s}", flush=True)
    for name, env_id, settings, steps, floor in SCORES:
        if ONLY and name not in ONLY:
            continue
        flags = [k for k, v in settings.items() if v is True]
        made = [getattr(agents, name)(env_id, seed=seed, **settings).learn(steps) for seed in range(3)]
        found = "  ".join(f"{evaluate(agent, n_eval_episodes=50).mean:7.1f}" for agent in made)
        line = f"{name} {env_id} {' '.join(flags)}".ljust(44) + f" {steps:9,} {floor:6g}  ours {found}"
        if twins and not flags and name not in ("PQN", "TQC"):
            models = [theirs(name, env_id, settings, seed).learn(steps) for seed in range(3)]
            returns = [evaluate_policy(model, model.get_env(), n_eval_episodes=50)[0] for model in models]
            line += "   SB3 " + "  ".join(f"{value:7.1f}" for value in returns)
        print(line, flush=True)


def ablations() -> None:
    """Greedy returns with and without a part."""
    import agents
    from rlplay import evaluate

    wanted = {word for word in sys.argv[1:] if word in {one[0] for one in ABLATIONS}}
    for name, what, agent, env_id, settings, steps in ABLATIONS:
        if wanted and name not in wanted:
            continue
        if env_id.startswith("MinAtar"):
            import minatar.gym

            minatar.gym.register_envs()
        for seed in range(3):
            made, along = getattr(agents, agent)(env_id, seed=seed, **settings), []
            for part in range(6):
                made.learn(steps // 6, reset_num_timesteps=not part, schedule_timesteps=steps)
                along.append(evaluate(made, n_eval_episodes=10).mean)
            last = evaluate(made, n_eval_episodes=50).mean
            print(f"{agent} {env_id}, {what}, {steps:,} steps, seed {seed}: {last:.1f}; along the way "
                  f"{', '.join(f'{one:.0f}' for one in along)}", flush=True)  # fmt: skip


if __name__ == "__main__":
    runs = {"speed": speed, "replay": replay, "scores": lambda: scores("--twins" in sys.argv), "ablations": ablations}
    for part in [word for word in sys.argv[1:] if word in runs] or ("speed", "replay", "scores"):
        runs[part]()
