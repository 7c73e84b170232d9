"""Policies with a memory beside sb3-contrib's RecurrentPPO: taskset -c 1 python tests/benchmarks/recurrent.py [parts]

    speed     steps/s of ``learn`` with the settings of RL Zoo's CartPoleNoVel-v1, both in this run
    scores    greedy returns over 50 episodes for three seeds, with a memory and without; --twins adds sb3-contrib's
    q         both of RecurrentDQN with its tuned settings, beside DQN with as many steps a batch
    features  the same of agents without recurrent networks, whose observations hold what was seen before

One thread a side, and CPU seconds of the process, which other work disturbs less than the clock. Ours is warmed first:
what it compiles or loads is a column of its own. ``pip install sb3-contrib`` for the peer.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import importlib.util
import sys
import time
from typing import Any

POLE = {"n_envs": 8, "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20,
        "learning_rate": "lin_0.001", "clip_range": "lin_0.2", "normalize": True}  # fmt: skip
NETS = {"net_arch": [64], "activation": "relu"}
MEMORY = {**POLE, **NETS, "recurrent": "lstm", "recurrent_size": 64}
TASK = {"n_envs": 16, "n_steps": 48, "batch_size": 192, "n_epochs": 10, "learning_rate": 1e-3, "gamma": 0.98,
        "gae_lambda": 0.9, "net_arch": [32]}  # fmt: skip
SIGNAL = {**TASK, "learning_rate": "lin_3e-3", "gamma": 0.9}
# Environment, settings, those of the memory, steps, at least with it, at most without.
SCORES = [
    ("rlplay/CartPoleNoVel-v1", {**POLE, **NETS}, {"recurrent": "lstm", "recurrent_size": 64}, 100_000, 475.0, 80.0),
    ("rlplay/MemoryChain-v0", TASK, {"recurrent": "lstm", "recurrent_size": 32}, 40_000, 1.0, 0.2),
    ("rlplay/RepeatSignal-v0", SIGNAL, {"recurrent": "lstm", "recurrent_size": 64}, 240_000, 0.95, -0.4),
    ("rlplay/TMaze-v0", TASK, {"recurrent": "lstm", "recurrent_size": 32}, 80_000, 3.9, 2.2),
]
LINEAR = {"features": "identity", "alpha": 0.05, "epsilon": 0.2, "gamma": 1.0}
# Agent, environment, its arguments, settings, memories, steps.
FEATURES: list[tuple[str, str, dict[str, Any], dict[str, Any], tuple[str | None, ...], int]] = [
    ("LinearQLearning", "rlplay/MemoryChain-v0", {}, LINEAR,
     (None, "window:11", "gru-autoencoder:4,max_iter=60,longest=16"), 15_000),
    ("LinearSarsa", "rlplay/RepeatSignal-v0", {}, {**LINEAR, "epsilon": 0.1, "gamma": 0.5}, (None, "window:5"), 10_000),
    ("QLearning", "rlplay/RepeatSignal-v0", {"n_signals": 2, "delay": 2, "steps": 12},
     {"features": "tile-coding:2,n_tilings=1", "alpha": 0.2, "gamma": 0.9}, (None, "window:3"), 6000),
]  # fmt: skip
# At least with a memory, at most without.
Q_SCORES = {"rlplay/CartPoleNoVel-v1": (400.0, 80.0), "rlplay/MemoryChain-v0": (1.0, 0.2),
            "rlplay/RepeatSignal-v0": (0.95, -0.4), "rlplay/TMaze-v0": (3.9, 2.2)}  # fmt: skip
Q_ALONE = ("burn_in", "recurrent", "recurrent_size", "sequence_length")
ASKED = 8.0  # times the peer's steps/s
SEEDS = (0, 1, 2)


def theirs(seed: int = 0) -> Any:
    """sb3-contrib's RecurrentPPO with the settings of `MEMORY`, over Gymnasium's CartPole in our wrapper."""
    import gymnasium as gym
    import torch
    from sb3_contrib import RecurrentPPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    from rlplay.environments.wrappers import HideNumbers

    torch.set_num_threads(1)
    vector = DummyVecEnv([lambda: HideNumbers(gym.make("CartPole-v1"), [1, 3])] * POLE["n_envs"])
    settings = {k: v for k, v in POLE.items() if k not in ("n_envs", "learning_rate", "clip_range", "normalize")}
    nets = {"lstm_hidden_size": 64, "activation_fn": torch.nn.ReLU, "net_arch": {"pi": [64], "vf": [64]}}
    return RecurrentPPO(
        "MlpLstmPolicy", VecNormalize(vector, gamma=POLE["gamma"]), seed=seed, policy_kwargs=nets, device="cpu",
        learning_rate=lambda left: 0.001 * left, clip_range=lambda left: 0.2 * left, **settings,
    )  # fmt: skip


def timed(function: Any, *given: Any) -> tuple[float, float]:
    """Seconds by the clock and of the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    function(*given)
    return time.perf_counter() - clock, time.process_time() - cpu


def speed(ours: int = 50_000, peers: int = 2048) -> None:
    """Steps/s of both."""
    from agents import PPO

    first, _ = timed(PPO("rlplay/CartPoleNoVel-v1", seed=0, **MEMORY).learn, 512)
    clock, cpu = timed(PPO("rlplay/CartPoleNoVel-v1", seed=1, **MEMORY).learn, ours)
    print(
        f"PPO, LSTM 64, own critic memory: {ours / cpu:,.0f} steps/s of the processor, {ours / clock:,.0f} by the clock"
    )
    print(f"    the first 512 steps, with what was compiled or loaded: {first:.1f} s")
    if importlib.util.find_spec("sb3_contrib") is None:
        print("sb3-contrib is not installed")
        return
    theirs().learn(256)
    peer_clock, peer_cpu = timed(theirs(1).learn, peers)
    print(f"RecurrentPPO: {peers / peer_cpu:,.0f} and {peers / peer_clock:,.0f}")
    times = ours / cpu / (peers / peer_cpu)
    print(f"{times:.1f} times, {'at least' if times >= ASKED else 'LESS THAN'} the {ASKED:g} asked")


def scores(twins: bool) -> None:
    """Greedy returns, with a memory and without."""
    from agents import PPO
    from rlplay import evaluate

    for env_id, settings, memory, steps, floor, ceiling in SCORES:
        found: dict[str, list[float]] = {"with": [], "without": []}
        for seed in SEEDS:
            for name, more in (("with", memory), ("without", {})):
                agent = PPO(env_id, seed=seed, **settings, **more).learn(steps)
                found[name].append(evaluate(agent, n_eval_episodes=50).mean)
        shown = {name: ", ".join(f"{score:.2f}" for score in each) for name, each in found.items()}
        reached = sum(score >= floor for score in found["with"])
        said = f"with a memory {shown['with']} ({reached} of {len(SEEDS)} at least {floor:g})"
        print(f"{env_id}, {steps:,} steps: {said}; without {shown['without']} (at most {ceiling:g} asked)", flush=True)
    if twins:
        for seed in SEEDS:
            twin = theirs(seed).learn(100_000)
            print(f"RecurrentPPO, CartPole without velocities, seed {seed}: {peer_return(twin):.1f}", flush=True)


def q_scores() -> None:
    """Greedy returns and steps/s of deep Q-learning, with a memory and without."""
    from agents import DQN, RecurrentDQN
    from agents.recipes import TUNED
    from rlplay import evaluate

    for env_id, (floor, ceiling) in Q_SCORES.items():
        tuned = dict(TUNED["recurrent-dqn"][env_id])
        steps, found = tuned.pop("n_timesteps"), {"with": [], "without": []}
        RecurrentDQN(env_id, seed=0, **tuned).learn(1500)  # compiled, or loaded
        speeds = []
        for seed in SEEDS:
            agent = RecurrentDQN(env_id, seed=seed, **tuned)
            speeds.append(steps / timed(agent.learn, steps)[1])
            found["with"].append(evaluate(agent, n_eval_episodes=50).mean)
            kept = {name: value for name, value in agent.hyperparameters.items() if name not in Q_ALONE}
            kept["batch_size"] = agent.batch_size * agent.sequence_length
            found["without"].append(evaluate(DQN(env_id, seed=seed, **kept).learn(steps), n_eval_episodes=50).mean)
        shown = {name: ", ".join(f"{score:.2f}" for score in each) for name, each in found.items()}
        reached = sum(score >= floor for score in found["with"])
        said = f"with a memory {shown['with']} ({reached} of {len(SEEDS)} at least {floor:g})"
        print(f"{env_id}, {steps:,} steps: {said}; without {shown['without']} (at most {ceiling:g} asked)")
        print(f"    {min(speeds):,.0f} to {max(speeds):,.0f} steps/s of the processor", flush=True)


def features() -> None:
    """Greedy returns of agents with memory as features, and without."""
    import agents
    from rlplay import evaluate, make

    for name, env_id, arguments, settings, memories, steps in FEATURES:
        for memory in memories:
            found = []
            for seed in SEEDS:
                env = make(env_id, memory=memory, **arguments)
                agent = getattr(agents, name)(env, seed=seed, **settings).learn(steps)
                found.append(evaluate(agent, n_eval_episodes=50, seed=1).mean)
            shown = " ".join(f"{one:.2f}" for one in found)
            print(f"{name} {env_id} {steps:,} steps, memory {memory}: {shown}", flush=True)


def peer_return(model: Any, episodes: int = 50) -> float:
    """The mean greedy return of sb3-contrib's model."""
    from stable_baselines3.common.evaluation import evaluate_policy

    vector = model.get_env()
    vector.training = vector.norm_reward = False
    return float(evaluate_policy(model, vector, episodes, warn=False)[0])


def main() -> None:
    """The parts that are named, or all."""
    asked = [one for one in sys.argv[1:] if not one.startswith("-")] or ["speed", "scores"]
    if "speed" in asked:
        speed()
    if "features" in asked:
        features()
    if "q" in asked:
        q_scores()
    if "scores" in asked:
        scores("--twins" in sys.argv)


if __name__ == "__main__":
    main()
