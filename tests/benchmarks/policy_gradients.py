"""Policy gradients beside peers: taskset -c 1 python tests/benchmarks/policy_gradients.py [parts]

    same      both sides have the same settings, defaults and schedules included: asserted, also before each other part
    speed     steps/s of ``learn``: beside Stable-Baselines3, then one setting beside four peers
    limit     what share of the processor's peak PPO reaches, and networks of other widths
    rows      steps/s and memory with 1 to 4,096 environments
    learning  greedy returns of ours and of the peers in the setting of ``speed``
    scores    greedy returns over 50 episodes for three seeds, of both where ``--twins`` is given
    time      whole processes, from their start until a greedy evaluation over 20 episodes passes the threshold

One core; a machine that does other work too disturbs the clock, so that CPU seconds of the process stand beside it. All
sides are warmed first: what they compile or load is a column of its own. OPENBLAS_CORETYPE is unset before NumPy
starts, and every side has one thread. The peers in JAX and PyTorch lie in ``tests/benchmarks/peers``; a peer that is
not installed (``pip install jax sbx-rl``) is left out.
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

import importlib.util
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from arithmetic import blas_gigaflops, own_gigaflops, ppo_operations, processor

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
# Environment, threshold, settings, steps of their schedules: RL Zoo's, or the best of both that we know.
TIMES: list[tuple[str, float, dict[str, Any], int]] = [
    ("CartPole-v1", 475, POLE, 100_000),
    ("Acrobot-v1", -100, {**ACROBOT, "n_steps": 64, "n_epochs": 8}, 1_000_000),  # faster than the Zoo's, for both
    ("MountainCar-v0", -130, CAR, 1_000_000),
    ("Pendulum-v1", -250, PENDULUM, 100_000),
]
WIDTHS = (32, 48, 64, 100, 128)
ROWS = (1, 4, 8, 16, 64, 256, 1024, 4096)


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

    lines = [line[:3] for line in [*SPEEDS, *SCORES]] + [("PPO", env_id, settings) for env_id, _, settings, _ in TIMES]
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


def processor_line() -> str:
    """What the tables were measured on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor()}; {cores} core(s) allowed; {time.strftime('%Y-%m-%d')}"


def speed() -> None:
    """Steps a CPU second beside Stable-Baselines3 in turns, the median of three rounds; then beside all peers."""
    import agents

    print(processor_line())
    print(f"{'steps a CPU second of learn':44s} {'ours':>10s} {'SB3':>9s} {'times':>7s} {'asked':>6s}", flush=True)
    for name, env_id, settings, steps, fewer, asked in SPEEDS:
        require_same(name, env_id, settings)
        ours, other = getattr(agents, name)(env_id, seed=0, **settings), theirs(name, env_id, settings)
        rollout = settings.get("n_envs", 1) * settings.get("n_steps", 5 if name == "A2C" else 2048)
        ours.learn(2 * rollout)
        other.learn(rollout)
        found: list[tuple[float, float]] = []
        for _ in range(3):
            start = time.process_time()
            ours.learn(steps, reset_num_timesteps=False)
            middle = time.process_time()
            other.learn(fewer, reset_num_timesteps=False)
            found.append((steps / (middle - start), fewer / (time.process_time() - middle)))
        mine, its = (statistics.median(pair[k] for pair in found) for k in (0, 1))
        shown = ", ".join(f"{k} {v}" for k, v in settings.items() if k in ("n_envs", "n_steps"))
        print(f"{name} {env_id}, {shown}".ljust(44) + f" {mine:10,.0f} {its:9,.0f} {mine / its:7.1f} {asked or '':>6}",
              flush=True)  # fmt: skip
    beside_peers()


def _stable_baselines(module: str, seed: int) -> Any:
    """PPO of Stable-Baselines3, or of SBX, which has the same arguments."""
    from stable_baselines3.common.env_util import make_vec_env

    own = {k: v for k, v in FOUR.items() if k != "n_envs"}
    env = make_vec_env("CartPole-v1", n_envs=FOUR["n_envs"], seed=seed)
    return importlib.import_module(module).PPO("MlpPolicy", env, seed=seed, device="cpu", **own)


def _learns(agent: Any) -> Callable[[int], int]:
    """``learn`` of an agent with Stable-Baselines3's arguments, as a function that returns the steps it made."""

    def learn(steps: int) -> int:
        before = agent.num_timesteps
        agent.learn(steps, reset_num_timesteps=False)
        return int(agent.num_timesteps) - before

    return learn


def _ours(seed: int) -> Callable[[int], int]:
    from agents import PPO

    return _learns(PPO("CartPole-v1", seed=seed, **FOUR))


def _jax(seed: int) -> Callable[[int], int]:
    from peers.jax_ppo import JaxPPO, Settings

    return JaxPPO(Settings(**FOUR), seed).learn


def _torch(seed: int) -> Callable[[int], int]:
    from peers.torch_ppo import Settings, TorchPPO

    return TorchPPO("CartPole-v1", Settings(**FOUR), seed).learn


def _sb3(seed: int) -> Callable[[int], int]:
    import torch

    torch.set_num_threads(1)
    return _learns(_stable_baselines("stable_baselines3", seed))


def _sbx(seed: int) -> Callable[[int], int]:
    return _learns(_stable_baselines("sbx", seed))


# Whole iterations of 512 steps; those of JAX are 25 in a call.
PEERS: dict[str, tuple[str, Callable[[int], Callable[[int], int]], int]] = {
    "ours": ("rlplay", _ours, 204_800),
    "JAX, all in one jit": ("jax", _jax, 128_000),
    "SBX": ("sbx", _sbx, 5_120),
    "PyTorch, one file": ("torch", _torch, 5_120),
    "SB3": ("stable_baselines3", _sb3, 5_120),
}


def beside_peers(rounds: int = 5, share: float = 1.0) -> None:
    """PPO on CartPole, 4 x 128 steps, 4 epochs of 4 minibatches, two networks of 64 x 64: all peers in turns.

    A ``share`` of the usual steps. The first call, in CPU seconds, imports the peer, makes it, compiles what is in no
    cache, and learns from one iteration.
    """
    learns, firsts = {}, {}
    for name, (module, make, steps) in PEERS.items():
        if importlib.util.find_spec(module) is None:
            print(f"{name} is left out: {module} is not installed")
            continue
        start = time.process_time()
        learns[name] = make(0)
        learns[name](512)
        firsts[name] = time.process_time() - start
        learns[name](int(share * steps) // 4)
    clock: dict[str, list[float]] = {name: [] for name in learns}
    busy: dict[str, list[float]] = {name: [] for name in learns}
    for _ in range(rounds):
        for name, learn in learns.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            steps = learn(int(share * PEERS[name][2]))
            clock[name].append(steps / (time.perf_counter() - start))
            busy[name].append(steps / (time.process_time() - start_cpu))
    print(f"{'PPO CartPole-v1, 4 x 128 steps':30s} {'steps/s':>9s} {'a CPU second':>13s} {'ours are':>9s} "
          f"{'first call, s':>14s}")  # fmt: skip
    for name in learns:
        rate = statistics.median(busy[name])
        print(f"{name:30s} {statistics.median(clock[name]):9,.0f} {rate:13,.0f} "
              f"{statistics.median(busy['ours']) / rate:9.1f} {firsts[name]:14.1f}", flush=True)  # fmt: skip


def best_rate(agent: Any, steps: int, rounds: int = 5) -> float:
    """Steps a CPU second of ``learn``, the best of some rounds."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        agent.learn(steps, reset_num_timesteps=False)
        found.append(steps / (time.process_time() - start))
    return max(found)


def limit(widths: tuple[int, ...] = WIDTHS, steps: int = 102_400) -> None:
    """The peak of the processor in the same process, PPO's share of it, and what other widths take."""
    from agents import PPO

    blas, own = blas_gigaflops(), own_gigaflops()
    peak = max(blas, own)
    print(processor_line())
    print(f"products of float32 matrices, measured: BLAS {blas:.0f} GFLOPS, ours {own:.0f}")
    found = {}
    for width in widths:
        agent = PPO("CartPole-v1", net_arch=[width, width], seed=0, **FOUR).learn(2_048)
        found[width] = best_rate(agent, steps)
    print(f"{'two networks of':16s} {'operations a step':>18s} {'steps/s':>9s} {'at most':>10s} {'share':>6s} "
          f"{'time, of that from 64':>22s}")  # fmt: skip
    base = ppo_operations([4, 64, 64, 2], [4, 64, 64, 1], FOUR["n_epochs"])
    for width, rate in found.items():
        operations = ppo_operations([4, width, width, 2], [4, width, width, 1], FOUR["n_epochs"])
        at_most = peak * 1e9 / operations
        print(f"{f'{width} x {width}':16s} {operations:18,} {rate:9,.0f} {at_most:10,.0f} {rate / at_most:6.0%} "
              f"{found[64] / rate / (operations / base):22.2f}", flush=True)  # fmt: skip
    after = (blas_gigaflops(), own_gigaflops())
    print(f"the same peaks afterwards: {after[0]:.0f} and {after[1]:.0f} GFLOPS")


ONE_OF_ROWS = """
import resource, sys, warnings
warnings.simplefilter("ignore")
sys.path.insert(0, {folder!r})
from policy_gradients import best_rate
from agents import PPO

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

n, rows = {n}, 32 * {n}
PPO("CartPole-v1", n_envs=1, n_steps=32, batch_size=32, n_epochs=4, seed=0).learn(64)
before = peak()
agent = PPO("CartPole-v1", n_envs=n, n_steps=32, batch_size=min(256, rows), n_epochs=4, seed=0).learn(rows)
print(best_rate(agent, max(rows, {steps} // rows * rows)), peak() - before)
"""


def rows(counts: tuple[int, ...] = ROWS, steps: int = 150_000) -> None:
    """PPO on CartPole with more and more environments, each in a process of its own: 32 steps, batches of 256."""
    folder = os.path.dirname(os.path.abspath(__file__))
    print(processor_line())
    print(f"{'environments':>12s} {'steps/s':>9s} {'of 8':>6s} {'MiB more':>9s}", flush=True)
    found: dict[int, float] = {}
    for n in counts:
        code = ONE_OF_ROWS.format(folder=folder, n=n, steps=steps)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found[n], memory = (float(word) for word in done.stdout.split()[-2:])
        share = f"{found[n] / found[8]:6.2f}" if 8 in found else " " * 6
        print(f"{n:12,} {found[n]:9,.0f} {share} {memory:9.1f}", flush=True)


def learning(seeds: int = 8) -> None:
    """Greedy returns of ours and of the peers in the setting of ``speed``, means over seeds; PyTorch has three."""
    from agents import PPO
    from rlplay import evaluate

    at = (25_600, 51_200, 102_400, 204_800)
    print(f"{'greedy return, mean over seeds, after':40s}" + "".join(f"{steps:>10,}" for steps in at), flush=True)

    def show(name: str, many: int, make: Callable[[int], Any], value: Callable[[Any], float], last: int) -> None:
        made, means = [make(seed) for seed in range(many)], []
        for before, steps in zip((0, *at), at[:last], strict=False):
            for agent in made:
                agent.learn(steps - before)
            means.append(statistics.mean(value(agent) for agent in made))
        print(f"{f'{name}, {many} seeds':40s}" + "".join(f"{mean:10.1f}" for mean in means), flush=True)

    class Ours:
        def __init__(self, seed: int) -> None:
            self.agent = PPO("CartPole-v1", seed=seed, **FOUR)

        def learn(self, steps: int) -> None:
            self.agent.learn(steps, reset_num_timesteps=False)

    show("ours", seeds, Ours, lambda one: evaluate(one.agent, n_eval_episodes=20).mean, 4)
    if importlib.util.find_spec("jax") is not None:
        from peers.jax_ppo import JaxPPO, Settings

        show("JAX", seeds, lambda seed: JaxPPO(Settings(**FOUR), seed), lambda one: float(one.returns(20).mean()), 4)
    from peers.torch_ppo import Settings as TorchSettings
    from peers.torch_ppo import TorchPPO

    show("PyTorch, one file", min(seeds, 3), lambda seed: TorchPPO("CartPole-v1", TorchSettings(**FOUR), seed),
         lambda one: float(one.returns(20).mean()), 2)  # fmt: skip


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
while agent.num_timesteps < 3 * {horizon}:
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
while model.num_timesteps < 3 * {horizon}:
    model.learn(part, reset_num_timesteps=False)
    if their_return(model, 20) >= {threshold!r}:
        break
print(model.num_timesteps)
"""


class Spent(NamedTuple):
    """What a process took from its start: seconds of the clock, CPU seconds of all its threads, and steps."""

    clock: float
    cpu: float
    steps: int


def whole_process(code: str, **more: str) -> Spent:
    """Run code that prints its steps, with more environment variables."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, **more})  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(time.perf_counter() - start, cpu, int(done.stdout.split()[-1]))


def times(seeds: int, names: list[str]) -> None:
    """From the start of a process to the threshold: medians over seeds. Cold is with an empty compile cache."""
    folder = os.path.dirname(os.path.abspath(__file__))
    print(processor_line())
    print(f"import torch: {whole_process('import torch; print(0)').cpu:.1f} CPU seconds")
    print(f"{f'to the threshold, PPO, {seeds} seed(s)':30s} {'seconds':>8s} {'of CPU':>7s} {'SB3 takes':>10s}  steps",
          flush=True)  # fmt: skip
    for env_id, threshold, settings, horizon in TIMES:
        if names and env_id not in names:
            continue
        require_same("PPO", env_id, settings)
        found: dict[str, list[Spent]] = {"ours, warm": [], "ours, cold": [], "SB3": []}
        for seed in range(seeds):
            given = {"env_id": env_id, "threshold": threshold, "settings": settings, "seed": seed, "folder": folder,
                     "horizon": horizon}  # fmt: skip
            if not seed:
                whole_process(OURS.format(**given))  # so that the next one is warm
            found["ours, warm"].append(whole_process(OURS.format(**given)))
            with tempfile.TemporaryDirectory() as cache:
                found["ours, cold"].append(whole_process(OURS.format(**given), RLPLAY_CACHE_DIR=cache))
            found["SB3"].append(whole_process(THEIRS.format(**given)))
        theirs_cpu = statistics.median(one.cpu for one in found["SB3"])
        for side, spent in found.items():
            clock, cpu = statistics.median(one.clock for one in spent), statistics.median(one.cpu for one in spent)
            print(f"{f'{env_id} {threshold:g}, {side}':30s} {clock:8.1f} {cpu:7.1f} {theirs_cpu / cpu:10.1f}  "
                  f"{[one.steps for one in spent]}", flush=True)  # fmt: skip


if __name__ == "__main__":
    flags = [word for word in sys.argv[1:] if word.startswith("--")]
    seeds = next((int(word.partition("=")[2]) for word in flags if word.startswith("--seeds=")), 3)
    runs: dict[str, Callable[[], None]] = {
        "same": same, "speed": speed, "limit": limit, "rows": rows, "learning": learning,
        "scores": lambda: scores("--twins" in flags),
        "time": lambda: times(seeds, [word for word in sys.argv[1:] if word in {line[0] for line in TIMES}]),
    }  # fmt: skip
    for part in [word for word in sys.argv[1:] if word in runs] or runs:
        runs[part]()
