"""How fast and well agents with models learn: python tests/benchmarks/learning.py [speed] [adapter] [scores] [twins]

Speeds are ratios in one run: contenders take turns on one core, medians are compared. Scores are evaluations of 50
episodes after training, a seed each.
"""

from __future__ import annotations

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import sklearn.cluster
import sklearn.ensemble
import stable_baselines3
import torch
from stable_baselines3.common.env_util import make_vec_env

from agents import SB3, FittedQ, QLearning, Reinforce
from rlplay import evaluate, make
from rlplay.approximation.feature_map import FeatureMap
from rlplay.models.supervised import ExtraTreesRegressor
from rlplay.models.unsupervised import KMeans
from rlplay.training.statistics import bootstrap_interval

SEEDS = (0, 1, 2)


def rounds(contenders: dict[str, Callable[[], float]], count: int = 5) -> dict[str, list[float]]:
    """Each contender's numbers over rounds in which they take turns, after one to warm up."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(count + 1):
        for name, run in contenders.items():
            number = run()
            if turn:
                found[name].append(number)
    return found


def table(found: dict[str, list[float]], base: str, unit: str) -> None:
    """Medians and ratios to the base."""
    print(f"\n{'median of ' + str(len(found[base])) + ' rounds':58s} {unit:>14s} {'ratio':>9s}", flush=True)
    for name, values in found.items():
        ratio = statistics.median(v / b for v, b in zip(values, found[base], strict=True))
        print(f"{name:58s} {statistics.median(values):14,.1f} {ratio:9.3f}")


def per_second(learn: Callable[[int], object], steps: int) -> float:
    """Steps/s of a call that learns so many steps."""
    start = time.perf_counter()
    learn(steps)
    return steps / (time.perf_counter() - start)


def microseconds(call: Callable[[], object], times: int) -> float:
    """Microseconds a call."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times * 1e6


def speed() -> None:
    """REINFORCE beside A2C, the adapter beside Stable-Baselines3, acting through ours and scikit-learn's models."""
    torch.set_num_threads(1)
    a2c = stable_baselines3.A2C("MlpPolicy", make_vec_env("CartPole-v1", n_envs=8, seed=0), seed=0, device="cpu")
    own = make("CartPole-v1", dynamics="gymnasium")
    pole = {
        "Stable-Baselines3 A2C, CartPole, 8 environments": partial(per_second, a2c.learn, 8000),
        "Reinforce": partial(per_second, Reinforce("CartPole-v1", seed=0).learn, 60_000),
        "Reinforce, Gymnasium's dynamics, step by step": partial(per_second, Reinforce(own, seed=0).learn, 12_000),
        "Reinforce, network=torch": partial(per_second, Reinforce("CartPole-v1", network="torch", seed=0).learn, 6000),
    }
    table(rounds(pole), "Stable-Baselines3 A2C, CartPole, 8 environments", "steps/s")

    adapter()

    obs = np.array([0.1, 0.2, -0.05, 0.3], np.float32)
    acting = {}
    for name, cls in (("scikit-learn's", sklearn.cluster.KMeans), ("our", KMeans)):
        agent = QLearning("CartPole-v1", features=cls(64, n_init=1), seed=0).learn(2500)
        acting[f"one action through {name} KMeans(64)"] = partial(microseconds, partial(_fresh, agent, obs), 300)
    found = rounds(acting)
    table(found, next(iter(found)), "microseconds")
    acting = {}
    for name, cls in (("scikit-learn's", sklearn.ensemble.ExtraTreesRegressor), ("our", ExtraTreesRegressor)):
        agent = FittedQ(
            "CartPole-v1", model=cls(50, min_samples_leaf=5), n_iterations=2, train_freq=2000, n_eval_episodes=0,
            epsilon=0.0, seed=0,
        ).learn(2000)  # fmt: skip
        acting[f"one action through {name} ExtraTreesRegressor(50)"] = partial(
            microseconds, partial(agent.act, obs), 60
        )
    found = rounds(acting)
    table(found, next(iter(found)), "microseconds")


def adapter() -> None:
    """What the adapter adds to Stable-Baselines3, part by part: whole runs differ by more than that from noise alone.

    A step costs ours in place of its Monitor; a chunk costs the switch of random states and one value of the last
    observation. Both are set against the time of Stable-Baselines3's own learn, a step.
    """
    plain = make_vec_env("CartPole-v1", n_envs=1, seed=0)
    agent = SB3("PPO", make("CartPole-v1", dynamics="gymnasium"), seed=0, device="cpu")
    plain.reset(), agent.vec_env.reset()
    action, last = np.array([0]), torch.zeros(1, 4)

    def switch() -> None:
        with agent._random(), torch.no_grad():
            agent.model.policy.predict_values(last)

    found = rounds({
        "a step of its DummyVecEnv and Monitor": partial(microseconds, lambda: plain.step(action), 2000),
        "a step of ours": partial(microseconds, lambda: agent.vec_env.step(action), 2000),
        "a chunk: random states and one value": partial(microseconds, switch, 200),
    }, 7)  # fmt: skip
    table(found, "a step of its DummyVecEnv and Monitor", "microseconds")
    theirs, ours, chunk = (statistics.median(values) for values in found.values())
    for name, env, settings, steps in ADAPTED:
        if not hasattr(stable_baselines3, name) and importlib.util.find_spec("sb3_contrib") is None:
            print(f"{name}: sb3-contrib is not installed (extra: contrib)")
            continue
        source = stable_baselines3 if hasattr(stable_baselines3, name) else importlib.import_module("sb3_contrib")
        agent = SB3(name, env, seed=0, device="cpu", **settings)
        direct = getattr(source, name)(agent.policy_name(), env, seed=0, device="cpu", **settings)
        step = statistics.median(rounds({name: lambda d=direct, n=steps: 1e6 / per_second(d.learn, n)}, 3)[name])
        added = ours - theirs + chunk * step / (agent.chunk_seconds * 1e6)
        print(
            f"{name}: {step:,.0f} microseconds a step of its learn; the adapter adds {added:+.1f}, "
            f"{added / step:+.2%}; {_same_bits(source, name, env, settings)}",
            flush=True,
        )


# Algorithm, environment, settings, and steps that are timed.
ADAPTED = (
    ("PPO", "CartPole-v1", {"n_steps": 256}, 1024),
    ("A2C", "CartPole-v1", {}, 2000),
    ("DQN", "CartPole-v1", {"learning_starts": 100}, 3000),
    ("TRPO", "CartPole-v1", {"n_steps": 256}, 1024),
    ("RecurrentPPO", "CartPole-v1", {"n_steps": 128}, 256),
    ("QRDQN", "CartPole-v1", {"learning_starts": 100}, 1000),
    ("TQC", "Pendulum-v1", {"learning_starts": 100}, 400),
)


def _same_bits(source: Any, name: str, env: str, settings: dict[str, Any]) -> str:
    """Whether the adapter's weights after 512 steps are those of the algorithm itself on the same environments."""
    beside = SB3(name, env, seed=0, device="cpu", **settings)
    plain = getattr(source, name)(beside.policy_name(), beside.vec_env, seed=0, device="cpu", **settings).learn(512)
    adapted = SB3(name, env, seed=0, device="cpu", **settings).learn(plain.num_timesteps)
    mine, theirs = adapted.policy.state_dict(), plain.policy.state_dict()
    other = [key for key in theirs if not torch.equal(mine[key], theirs[key])]
    return f"{other[0]} differs" if other else "its bits"


def _fresh(agent: QLearning, obs: object) -> object:
    """Choose anew each time; a chosen action is otherwise kept until it is taken."""
    agent.next_action = -1
    return agent.act(obs)


def twins() -> None:
    """Ours and scikit-learn's models in the same agent over twelve seeds: does the difference exceed chance?"""

    def returns(make_agent: Callable[[int], object], steps: int) -> np.ndarray:
        return np.array([
            evaluate(make_agent(seed).learn(steps), n_eval_episodes=50).mean for seed in range(12)
        ])  # fmt: skip

    pairs = {
        "QLearning, k-means(64), 100,000 steps": (KMeans, sklearn.cluster.KMeans, lambda cls, seed: QLearning(
            "CartPole-v1", features=FeatureMap(cls(64, n_init=1), refit_every=50_000), alpha="lin_0.3_0.01",
            epsilon="lin_1_0.01_0.5", seed=seed), 100_000),
        "FittedQ, extra-trees(20), iterate 12": (ExtraTreesRegressor, sklearn.ensemble.ExtraTreesRegressor,
            lambda cls, seed: FittedQ("CartPole-v1", model=cls(20, min_samples_leaf=5), gamma=0.98, n_iterations=12,
                                      n_eval_episodes=0, seed=seed), 5000),
    }  # fmt: skip
    print("CartPole-v1, greedy return over 50 episodes, mean over 12 seeds and 95 % interval of the difference")
    for name, (ours, theirs, make_agent, steps) in pairs.items():
        mine = returns(lambda seed, c=ours, m=make_agent: m(c, seed), steps)
        other = returns(lambda seed, c=theirs, m=make_agent: m(c, seed), steps)
        low, high = bootstrap_interval(mine - other)
        print(f"{name:44s} ours {mine.mean():6.1f}, scikit-learn's {other.mean():6.1f}, "
              f"difference {low:+.0f} to {high:+.0f}", flush=True)  # fmt: skip


def scores() -> None:
    """Returns after training, each seed."""

    def report(name: str, make_agent: Callable[[int], object], steps: int) -> None:
        found, seconds = [], []
        for seed in SEEDS:
            start = time.perf_counter()
            agent = make_agent(seed).learn(steps)
            seconds.append(time.perf_counter() - start)
            found.append(evaluate(agent, n_eval_episodes=50).mean)
        shown = "  ".join(f"{value:6.1f}" for value in found)
        print(f"{name:66s} {steps:8,} steps  {shown}   {statistics.median(seconds):6.1f} s", flush=True)

    print(f"CartPole-v1, greedy return over 50 episodes, seeds {SEEDS}")
    report("Reinforce", lambda seed: Reinforce("CartPole-v1", seed=seed), 200_000)
    for name, cls, steps in (
        ("our", KMeans, 500_000),
        ("our", KMeans, 100_000),
        ("scikit-learn's", sklearn.cluster.KMeans, 100_000),
    ):
        report(f"QLearning, {name} k-means(64), refitted and carried", lambda seed, cls=cls: QLearning(
            "CartPole-v1", features=FeatureMap(cls(64, n_init=1), refit_every=50_000), alpha="lin_0.3_0.01",
            epsilon="lin_1_0.01_0.5", seed=seed), steps)  # fmt: skip
    report("FittedQ, our extra-trees(50), the best of 50 iterates", lambda seed: FittedQ(
        "CartPole-v1", model=ExtraTreesRegressor(50, min_samples_leaf=5), gamma=0.98, seed=seed), 5000)  # fmt: skip
    for name, cls in (("our", ExtraTreesRegressor), ("scikit-learn's", sklearn.ensemble.ExtraTreesRegressor)):
        report(f"FittedQ, {name} extra-trees(20), iterate 12 unseen", lambda seed, cls=cls: FittedQ(
            "CartPole-v1", model=cls(20, min_samples_leaf=5), gamma=0.98, n_iterations=12, n_eval_episodes=0, seed=seed,
        ), 5000)  # fmt: skip
    report("SB3 PPO, features=PCA(4, whiten=True)", lambda seed: SB3(
        "PPO", "CartPole-v1", features="pca:4,whiten=true", n_envs=8, n_steps=32, batch_size=256, gae_lambda=0.8,
        gamma=0.98, n_epochs=20, learning_rate="lin_1e-3", clip_range="lin_0.2", device="cpu", seed=seed,
    ), 30_000)  # fmt: skip


if __name__ == "__main__":
    for part in sys.argv[1:] or ["speed", "scores", "twins"]:
        {"speed": speed, "adapter": adapter, "scores": scores, "twins": twins}[part]()
