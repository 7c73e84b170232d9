"""TRPO and ARS beside sb3-contrib: taskset -c 1 python tests/benchmarks/searches.py [speed] [scores [--twins]] [SEEDS]

One core; sb3-contrib must be installed for ``speed`` and ``--twins``. Both sides have the same settings; speeds are
steps/s of ``learn`` in turns, the best of three rounds. Scores are greedy returns over 50 episodes for three seeds, the
same episodes for both, by Stable-Baselines3's `evaluate_policy`. Names of agents (``TRPO ARS``) leave the others out.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import sys
import time
from typing import Any

POLE = {
    "n_envs": 2, "n_steps": 512, "batch_size": 128, "cg_damping": 1e-3, "gae_lambda": 0.98, "n_critic_updates": 20,
}  # fmt: skip
CAR = {"normalize": True, "n_envs": 2, "n_steps": 512, "n_critic_updates": 20}
ACROBOT = {"normalize": True, "n_envs": 2, "n_steps": 1024}
PENDULUM = {"n_envs": 2, "n_steps": 1024, "gamma": 0.9, "n_critic_updates": 15}
LINEAR = {"policy": "LinearPolicy", "n_delta": 2}
# Agent, environment, settings (RL Zoo's, without state-dependent exploration, but batches of 128 in CartPole, and
# rollouts of half as many steps in MountainCar), steps, floor.
CASES: list[tuple[str, str, dict[str, Any], int, float]] = [
    ("TRPO", "CartPole-v1", POLE, 100_000, 475),
    ("TRPO", "MountainCar-v0", CAR, 100_000, -115),
    ("TRPO", "Acrobot-v1", ACROBOT, 100_000, -90),
    ("TRPO", "Pendulum-v1", PENDULUM, 100_000, -250),
    ("ARS", "CartPole-v1", LINEAR, 50_000, 500),
]
ONLY = [word for word in sys.argv[1:] if word in ("TRPO", "ARS")]
SEEDS = [int(word) for word in sys.argv[1:] if word.isdigit()] or [0, 1, 2]


def theirs(name: str, env_id: str, settings: dict[str, Any], seed: int = 0) -> Any:
    """sb3-contrib's agent with the same settings."""
    import sb3_contrib
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    own = {"policy": "MlpPolicy", **settings}
    normalize, n_envs = own.pop("normalize", False), own.pop("n_envs", 1)
    env: Any = make_vec_env(env_id, n_envs=n_envs, seed=seed)
    if normalize:
        env = VecNormalize(env, gamma=own.get("gamma", 0.99))
    return getattr(sb3_contrib, name)(env=env, seed=seed, **own)


def score(agent: Any, env_id: str) -> float:
    """Mean greedy return over the same 50 episodes for both; theirs in an environment with its running moments."""
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecNormalize

    env: Any = make_vec_env(env_id, n_envs=1, seed=1)
    if isinstance(agent.get_env(), VecNormalize):
        moments = agent.get_env().obs_rms
        env = VecNormalize(env, training=False, norm_reward=False)
        env.obs_rms = moments
    return float(evaluate_policy(agent, env, n_eval_episodes=50)[0])


def speed() -> None:
    """Steps a second of both, in turns."""
    import agents

    print(f"{'steps/s of learn':32s} {'ours':>10s} {'contrib':>9s} {'times':>7s}", flush=True)
    for name, env_id, settings, _, _ in CASES:
        if ONLY and name not in ONLY:
            continue
        steps = 2 * settings.get("n_envs", 1) * settings.get("n_steps", 5000)
        ours = getattr(agents, name)(env_id, seed=0, **settings).learn(steps)
        other, found = theirs(name, env_id, settings).learn(steps // 2), []
        for _ in range(3):
            start = time.perf_counter()
            ours.learn(steps, reset_num_timesteps=False)
            middle, before = time.perf_counter(), other.num_timesteps
            other.learn(steps // 2, reset_num_timesteps=False)
            end = time.perf_counter()
            found.append((steps / (middle - start), (other.num_timesteps - before) / (end - middle)))
        mine, its = (max(pair[k] for pair in found) for k in (0, 1))
        print(f"{name} {env_id}".ljust(32) + f" {mine:10,.0f} {its:9,.0f} {mine / its:7.1f}", flush=True)


def scores(twins: bool) -> None:
    """Greedy returns after training, a seed each."""
    import agents

    for name, env_id, settings, steps, floor in CASES:
        if ONLY and name not in ONLY:
            continue
        mine = [score(getattr(agents, name)(env_id, seed=seed, **settings).learn(steps), env_id) for seed in SEEDS]
        line = f"{name} {env_id} {steps:,} steps, floor {floor}: " + " ".join(f"{one:.1f}" for one in mine)
        print(line, flush=True)
        if twins:
            its = [score(theirs(name, env_id, settings, seed).learn(steps), env_id) for seed in SEEDS]
            print("    sb3-contrib: " + " ".join(f"{one:.1f}" for one in its), flush=True)


if __name__ == "__main__":
    if "speed" in sys.argv:
        speed()
    if "scores" in sys.argv or len(sys.argv) == 1:
        scores("--twins" in sys.argv)
