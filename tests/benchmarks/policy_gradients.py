"""Policy gradients beside SB3: taskset -c 1 python tests/benchmarks/policy_gradients.py [same] [speed] [scores] [time]

One core. OPENBLAS_CORETYPE is unset before NumPy starts. Both sides have the same settings, defaults and schedules
included: ``same`` asserts it, and each part before it measures. Speeds are steps/s of ``learn`` in turns. Scores are
greedy returns over 50 episodes for three seeds, of both where ``--twins`` is given. Times are those of whole processes,
from their start until a greedy evaluation over 20 episodes passes the threshold.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import statistics
import subprocess
import sys
import time
from typing import Any

ZOO_POLE = {"n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20}
LANDER = {"n_envs": 16, "n_steps": 1024, "gae_lambda": 0.98, "gamma": 0.999, "n_epochs": 4, "ent_coef": 0.01}
PENDULUM = {"n_envs": 4, "n_steps": 1024, "gamma": 0.9, "learning_rate": 1e-3}
FOUR = {"n_envs": 4, "n_steps": 128, "batch_size": 128, "n_epochs": 4, "ent_coef": 0.01}
# Agent, environment, settings, steps of ours and of theirs, times asked.
SPEEDS: list[tuple[str, str, dict[str, Any], int, int, float]] = [
    ("PPO", "CartPole-v1", ZOO_POLE, 100_000, 5_120, 15),
    ("PPO", "CartPole-v1", {"n_envs": 8}, 163_840, 16_384, 20),
    ("PPO", "CartPole-v1", FOUR, 200_000, 10_240, 0),
    ("A2C", "CartPole-v1", {"n_envs": 8}, 400_000, 8_000, 12),
    ("PPO", "Pendulum-v1", PENDULUM, 81_920, 8_192, 10),
    ("PPO", "LunarLander-v3", LANDER, 65_536, 16_384, 2.5),
]
# Agent, environment, settings, steps, floor.
POLE = {**ZOO_POLE, "learning_rate": "lin_0.001", "clip_range": "lin_0.2"}
CAR = {"normalize": True, "n_envs": 16, "n_steps": 16, "gae_lambda": 0.98, "n_epochs": 4}
ACROBOT = {"normalize": True, "n_envs": 16, "n_steps": 256, "gae_lambda": 0.94, "n_epochs": 4}
SCORES: list[tuple[str, str, dict[str, Any], int, float]] = [
    ("PPO", "CartPole-v1", POLE, 100_000, 500),
    ("PPO", "CartPole-v1", {**FOUR, "learning_rate": "lin_2.5e-4"}, 500_000, 500),
    ("A2C", "CartPole-v1", {"n_envs": 8}, 500_000, 500),
    ("PPO", "Acrobot-v1", ACROBOT, 1_000_000, -80),
    ("PPO", "MountainCar-v0", CAR, 1_000_000, -130),
    ("PPO", "Pendulum-v1", PENDULUM, 100_000, -250),
    ("PPO", "LunarLander-v3", LANDER, 1_000_000, 200),
    ("PPO", "MountainCar-v0", {}, 200_000, -200),
]
# Environment, threshold, settings: the best of both that we know.
TIMES: list[tuple[str, float, dict[str, Any]]] = [
    ("CartPole-v1", 475, POLE),
    ("Acrobot-v1", -100, {**ACROBOT, "n_steps": 64, "n_epochs": 8}),  # faster than the Zoo's, for both
    ("MountainCar-v0", -130, CAR),
    ("Pendulum-v1", -250, PENDULUM),
]


class Line:
    """A schedule of Stable-Baselines3 that falls to 0 over the run, or over ``horizon`` steps of the model.

    With a horizon it does not ask Stable-Baselines3 for the share that is left: that of each ``learn`` begins anew.
    """

    def __init__(self, text: str, horizon: int) -> None:
        self.first, self.horizon, self.model = float(text.removeprefix("lin_")), horizon, None

    def __call__(self, left: float) -> float:
        if self.horizon and self.model is not None:
            left = 1 - self.model.num_timesteps / self.horizon
        return self.first * left


def theirs(name: str, env_id: str, settings: dict[str, Any], seed: int = 0, horizon: int = 0) -> Any:
    """Stable-Baselines3's agent with the same settings; its schedules end with the run, or after ``horizon`` steps."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    own = {k: v for k, v in settings.items() if k not in ("n_envs", "normalize")}
    lines = {key: Line(value, horizon) for key, value in own.items() if isinstance(value, str)}
    env = make_vec_env(env_id, n_envs=settings.get("n_envs", 1), seed=seed)
    if settings.get("normalize"):
        env = VecNormalize(env, gamma=settings.get("gamma", 0.99))
    model = getattr(stable_baselines3, name)("MlpPolicy", env, seed=seed, device="cpu", **{**own, **lines})
    for line in lines.values():
        line.model = model
    return model


def require_same(name: str, env_id: str, settings: dict[str, Any]) -> None:
    """Assert that both sides have the same settings, those that are not given included, along the whole run."""
    from stable_baselines3.common.vec_env import VecNormalize

    import agents
    from rlplay.extend import scheduled, tabulate

    ours, model = getattr(agents, name)(env_id, seed=0, **settings), theirs(name, env_id, settings)
    own = ours.hyperparameters
    for setting in ("n_steps", "batch_size", "n_epochs", "gamma", "gae_lambda", "ent_coef", "vf_coef", "max_grad_norm"):
        if hasattr(model, setting):
            assert getattr(model, setting) == own[setting], (name, env_id, setting, getattr(model, setting))
    assert model.n_envs == own["n_envs"]
    assert isinstance(model.get_env(), VecNormalize) == bool(own["normalize"])
    horizon_model = theirs(name, env_id, settings, horizon=1000)
    for progress in (0.0, 0.3, 0.9):
        horizon_model.num_timesteps = round(1000 * progress)
        for setting, schedule in (("learning_rate", "lr_schedule"), ("clip_range", "clip_range")):
            if hasattr(model, schedule):
                right = scheduled(tabulate(own[setting]), progress)
                for found in (
                    getattr(theirs(name, env_id, settings), schedule)(1 - progress),
                    getattr(horizon_model, schedule)(0.123 if isinstance(settings.get(setting), str) else 1 - progress),
                ):
                    assert abs(found - right) < 1e-9 + 1e-3 * right, (name, env_id, setting, progress, found, right)


def same() -> None:
    """Assert it for every line of every table."""
    from rlplay.errors import UsageError

    lines = [line[:3] for line in [*SPEEDS, *SCORES]] + [("PPO", env_id, settings) for env_id, _, settings in TIMES]
    for name, env_id, settings in lines:
        try:
            require_same(name, env_id, settings)
        except UsageError as error:  # Box2D may be missing
            print(f"{name} {env_id} is left out: {error}")
    print("both sides have the same settings in every other line")


def their_return(model: Any, episodes: int) -> float:
    """The greedy return of Stable-Baselines3's agent, without normalised rewards."""
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecNormalize

    env = model.get_env()
    if isinstance(env, VecNormalize):
        env.training, env.norm_reward = False, False
    found = evaluate_policy(model, env, n_eval_episodes=episodes)[0]
    if isinstance(env, VecNormalize):
        env.training, env.norm_reward = True, True
    return float(found)


def speed() -> None:
    """Steps a second of both, in turns; the median of three rounds."""
    import agents

    print(f"{'steps/s of learn':44s} {'ours':>10s} {'SB3':>9s} {'times':>7s} {'asked':>6s}", flush=True)
    for name, env_id, settings, steps, fewer, asked in SPEEDS:
        require_same(name, env_id, settings)
        ours, other = getattr(agents, name)(env_id, seed=0, **settings), theirs(name, env_id, settings)
        ours.learn(2 * settings.get("n_envs", 1) * settings.get("n_steps", 2048))
        found: list[tuple[float, float]] = []
        for _ in range(3):
            start = time.perf_counter()
            ours.learn(steps, reset_num_timesteps=False)
            middle = time.perf_counter()
            other.learn(fewer, reset_num_timesteps=False)
            found.append((steps / (middle - start), fewer / (time.perf_counter() - middle)))
        mine, its = (statistics.median(pair[k] for pair in found) for k in (0, 1))
        shown = ", ".join(f"{k} {v}" for k, v in settings.items() if k in ("n_envs", "n_steps"))
        print(f"{name} {env_id}, {shown}".ljust(44) + f" {mine:10,.0f} {its:9,.0f} {mine / its:7.1f} {asked or '':>6}",
              flush=True)  # fmt: skip


def scores(twins: bool) -> None:
    """Greedy returns of three seeds."""
    import agents
    from rlplay import evaluate

    print(f"{'greedy return over 50 episodes, seeds 0 1 2':44s} {'steps':>9s} {'floor':>6s}", flush=True)
    for name, env_id, settings, steps, floor in SCORES:
        made = [getattr(agents, name)(env_id, seed=seed, **settings).learn(steps) for seed in range(3)]
        found = "  ".join(f"{evaluate(agent, n_eval_episodes=50).mean:7.1f}" for agent in made)
        line = f"{name} {env_id}".ljust(44) + f" {steps:9,} {floor:6g}  ours {found}"
        if twins:
            require_same(name, env_id, settings)
            returns = [their_return(theirs(name, env_id, settings, seed).learn(steps), 50) for seed in range(3)]
            line += "   SB3 " + "  ".join(f"{value:7.1f}" for value in returns)
        print(line, flush=True)


OURS = """
import time, sys
from agents import PPO
from rlplay import evaluate
env_id, threshold, settings = {env_id!r}, {threshold!r}, {settings!r}
agent, part = PPO(env_id, seed={seed}, **settings), max(settings["n_envs"] * settings["n_steps"], 5000)
while agent.num_timesteps < 3_000_000:
    agent.learn(part, reset_num_timesteps=False, schedule_timesteps={horizon})
    if evaluate(agent, n_eval_episodes=20).mean >= threshold:
        break
print(agent.num_timesteps)
"""
THEIRS = """
import sys
sys.path.insert(0, {folder!r})
from policy_gradients import theirs, their_return
settings = {settings!r}
model = theirs("PPO", {env_id!r}, settings, {seed}, {horizon})
part = max(settings["n_envs"] * settings["n_steps"], 5000)
while model.num_timesteps < 3_000_000:
    model.learn(part, reset_num_timesteps=False)
    if their_return(model, 20) >= {threshold!r}:
        break
print(model.num_timesteps)
"""


def times(seeds: int) -> None:
    """From the start of a process to the threshold; the median over seeds. And what importing torch takes."""
    folder = os.path.dirname(os.path.abspath(__file__))
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    print(f"import torch: {time.perf_counter() - start:.1f} s")
    print(f"{f'seconds to the threshold, PPO, {seeds} seed(s)':44s} {'ours':>8s} {'SB3':>8s} {'times':>7s}", flush=True)
    for env_id, threshold, settings in TIMES:
        require_same("PPO", env_id, settings)
        found: list[list[float]] = [[], []]
        steps: list[list[int]] = [[], []]
        for seed in range(seeds):
            for side, code in enumerate((OURS, THEIRS)):
                filled = code.format(env_id=env_id, threshold=threshold, settings=settings, seed=seed, folder=folder,
                                     horizon=1_000_000)  # fmt: skip
                start = time.perf_counter()
                done = subprocess.run([sys.executable, "-c", filled], capture_output=True, text=True, check=False)
                assert done.returncode == 0, done.stderr
                found[side].append(time.perf_counter() - start)
                steps[side].append(int(done.stdout.split()[-1]))
        mine, its = (statistics.median(side) for side in found)
        print(f"{env_id} {threshold:g}".ljust(44) + f" {mine:8.1f} {its:8.1f} {its / mine:7.1f}"
              f"   steps: ours {steps[0]}, SB3 {steps[1]}", flush=True)  # fmt: skip


if __name__ == "__main__":
    flags = [word for word in sys.argv[1:] if word.startswith("--")]
    seeds = next((int(word.partition("=")[2]) for word in flags if word.startswith("--seeds=")), 3)
    runs = {"same": same, "speed": speed, "scores": lambda: scores("--twins" in flags), "time": lambda: times(seeds)}
    for part in [word for word in sys.argv[1:] if word in runs] or runs:
        runs[part]()
