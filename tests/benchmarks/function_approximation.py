"""Linear and batch agents: speed beside scikit-learn's models in the same loop, and the scores of TARGETS.

    taskset -c 1 python tests/benchmarks/function_approximation.py [speed] [waves] [trees] [lspi] [scores] [hill]

Ratios are taken in one run, contenders in turns, the median of three rounds.
"""

from __future__ import annotations

import os
import sys

if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import sklearn.ensemble
import sklearn.kernel_approximation
import sklearn.linear_model
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agents import LSPI, FittedQ, LinearQLearning, LinearSarsa, TrueOnlineSarsaLambda
from rlplay import FeatureMap, evaluate, make
from rlplay.functional.epsilon_greedy import epsilon_greedy
from rlplay.models.supervised import ExtraTreesRegressor, KNeighborsRegressor, RandomForestRegressor
from rlplay.models.unsupervised import KMeans, RandomFourierFeatures, RBFGrid

CAR = {"gamma": 1.0, "epsilon": 0.0}


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def speed() -> None:
    """Steps a second of linear control with 8 tilings of 8 x 8 on MountainCar-v0."""
    for cls in (LinearSarsa, LinearQLearning, TrueOnlineSarsaLambda):
        cls("MountainCar-v0", **CAR, seed=0).learn(1000)
        agent = cls("MountainCar-v0", **CAR, seed=0)
        took = statistics.median(seconds(lambda a=agent: a.learn(2_000_000)) for _ in range(3))
        print(f"{cls.__name__:24s} {2 / took:6.2f} million steps/s", flush=True)


def waves() -> None:
    """Random Fourier features with one SGD regressor an action: ours, and the same loop with scikit-learn's."""
    alpha, gamma, epsilon, warm_up, steps = 0.05, 0.99, 0.1, 500, 3000

    def ours(n: int) -> LinearQLearning:
        features = FeatureMap(RandomFourierFeatures(1.0, n_components=100, random_state=0), warm_up=warm_up)
        return LinearQLearning("MountainCar-v0", alpha=alpha, gamma=gamma, epsilon=epsilon, features=features,
                               intercept=True, seed=0).learn(n)  # fmt: skip

    def theirs(n: int) -> tuple[list[int], float]:
        agent = ours(warm_up)  # the same random steps and the same waves; from here on scikit-learn alone learns
        fitted, env, n_actions = agent.features, agent.env, 3
        scaler = StandardScaler()
        scaler.mean_, scaler.scale_, scaler.var_, scaler.n_features_in_ = (
            fitted.shift, fitted.scale, fitted.scale**2, 2,
        )  # fmt: skip
        sampler = sklearn.kernel_approximation.RBFSampler(gamma=1.0, n_components=100, random_state=0)
        sampler.fit(np.zeros((1, 2)))
        assert np.allclose(sampler.random_weights_, fitted.estimator.random_weights_)
        through = make_pipeline(scaler, sampler)
        models = [
            sklearn.linear_model.SGDRegressor(learning_rate="constant", eta0=alpha, alpha=0.0, penalty=None)
            for _ in range(n_actions)
        ]
        for model in models:
            model.partial_fit(np.zeros((1, 100)), [0.0])
        rng, ended = agent.rng, []
        obs, length = agent.position.obs, agent.position.length
        start = time.perf_counter()
        from rlplay.compiled.pcg64 import random_seed

        x = through.transform(np.asarray(obs, np.float64)[None])
        for _ in range(n - warm_up):
            q = np.array([[model.predict(x)[0] for model in models]])
            action = epsilon_greedy(q, 0, epsilon, rng)
            obs, reward, terminated, truncated, _ = env.step(action)
            after = through.transform(np.asarray(obs, np.float64)[None])
            best = 0.0 if terminated else max(float(model.predict(after)[0]) for model in models)
            models[action].partial_fit(x, [reward + gamma * best])
            length, x = length + 1, after
            if terminated or truncated:
                ended.append(length)
                obs, length = env.reset(seed=random_seed(agent.seeds))[0], 0
                x = through.transform(np.asarray(obs, np.float64)[None])
        return ended, (time.perf_counter() - start) / (n - warm_up)

    ours(600)
    long, mine = 300_000, []
    for _ in range(3):
        agent = ours(warm_up)
        mine.append(seconds(lambda a=agent: a.learn(long, reset_num_timesteps=False)) / long)
    ended, its = theirs(steps)
    lengths = [int(e.length) for e in ours(steps).statistics.recent]
    same = lengths[-len(ended) :] == ended
    print(f"waves and SGD: ours {statistics.median(mine) * 1e6:.2f} us a step, scikit-learn's {its * 1e6:.0f}, "
          f"{its / statistics.median(mine):,.0f} times; the same {len(ended)} episodes to the step: {same}",
          flush=True)  # fmt: skip


def trees() -> None:
    """Fitted Q iteration with our extra-trees and scikit-learn's: seconds an iteration, microseconds an action."""
    made = {"ours": ExtraTreesRegressor, "scikit-learn's": sklearn.ensemble.ExtraTreesRegressor}
    found: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in made}
    obs = make("CartPole-v1").reset(seed=0)[0]
    for _ in range(3):
        for name, cls in made.items():
            agent = FittedQ("CartPole-v1", model=cls(50, min_samples_leaf=5), n_iterations=6, train_freq=5000,
                            n_eval_episodes=0, seed=0)  # fmt: skip
            while not agent.busy:
                agent.advance(5000, "python")
            agent.iterate()
            found[name][0].append(seconds(lambda a=agent: [a.iterate() for _ in range(5)]) / 5)
            acts = 300 if name == "ours" else 30
            took = seconds(lambda a=agent, n=acts: [a.predict(obs, deterministic=True) for _ in range(n)])
            found[name][1].append(took / acts)
    fits, acts = ({name: statistics.median(pair[k]) for name, pair in found.items()} for k in (0, 1))
    (fit, its_fit), (act, its_act) = (list(pair.values()) for pair in (fits, acts))
    print(f"FittedQ, 5,000 transitions, 50 trees an action: an iteration {fit:.3f} s, scikit-learn's {its_fit:.3f}, "
          f"{its_fit / fit:.2f} times; an action {act * 1e6:.0f} us, scikit-learn's {its_act * 1e6:,.0f}, "
          f"{its_act / act:.0f} times", flush=True)  # fmt: skip


def pendulum(seed: int, steps: int) -> LSPI:
    bumps = RBFGrid(3, bounds=[[-np.pi / 4, -1.0], [np.pi / 4, 1.0]])
    return LSPI("rlplay/InvertedPendulum-v0", features=bumps, intercept=True, train_freq=steps, buffer_size=steps,
                seed=seed)  # fmt: skip


def lspi() -> None:
    """LSPI on the inverted pendulum from 1000 random episodes."""
    pendulum(0, 100).learn(100)
    for seed in range(3):
        counted = pendulum(seed, 100_000)
        while counted.statistics.episodes < 1000:
            counted.advance(50, "python")
        steps = counted.num_timesteps
        agent = pendulum(seed, steps)
        took = seconds(lambda a=agent, n=steps: a.learn(n))
        kept = evaluate(agent, n_eval_episodes=20).lengths.mean()
        print(f"LSPI, 1000 episodes ({steps:,} steps), seed {seed}: {took:.2f} s, {kept:,.0f} steps upright of 3,000",
              flush=True)  # fmt: skip


def scores() -> None:
    """Greedy returns over three seeds, 100 episodes."""
    rows = [
        ("tiles, LinearSarsa, MountainCar-v0", 200_000,
         lambda s: LinearSarsa("MountainCar-v0", **CAR, alpha="lin_0.0625_0.005", seed=s)),
        ("tiles, LinearQLearning, MountainCar-v0", 200_000, lambda s: LinearQLearning("MountainCar-v0", **CAR, seed=s)),
        ("tiles, TrueOnlineSarsaLambda, MountainCar-v0", 200_000,
         lambda s: TrueOnlineSarsaLambda("MountainCar-v0", **CAR, seed=s)),
        ("FittedQ, extra-trees(25), sticky random, MountainCar-v0", 20_000,
         lambda s: FittedQ("MountainCar-v0", model="extra-trees:25,min_samples_leaf=5", hold=39, gamma=0.98,
                           n_iterations=60, train_freq=20_000, seed=s)),
    ]  # fmt: skip
    for name, steps, new in rows:
        found = [evaluate(new(seed).learn(steps), n_eval_episodes=100).mean for seed in range(3)]
        print(f"{name:58s} {steps:8,} steps  " + "  ".join(f"{value:7.1f}" for value in found), flush=True)


def hill_data(seed: int, n: int = 5000) -> tuple[np.ndarray, ...]:
    """Uniform transitions of Car on the Hill: obs, actions, rewards, next_obs, terminated."""
    env, rng = make("rlplay/CarOnTheHill-v0"), np.random.default_rng(seed)
    obs = rng.uniform([-1.0, -3.0], [1.0, 3.0], (n, 2)).astype(np.float32)
    actions, rewards, ends = rng.integers(2, size=n), np.zeros(n), np.zeros(n, bool)
    after = np.zeros_like(obs)
    for i in range(n):
        env.reset(seed=0, options={"state": obs[i]})
        after[i], rewards[i], ends[i], _, _ = env.step(int(actions[i]))
    return obs, actions, rewards, after, ends


def hill_score(agent: FittedQ, gamma: float = 0.95) -> float:
    """Mean discounted greedy return over the 17 x 17 grid of starts."""
    env, total = make("rlplay/CarOnTheHill-v0", max_episode_steps=1000), 0.0
    grid = [(p, s) for p in np.linspace(-1, 1, 17) for s in np.linspace(-3, 3, 17)]
    for start in grid:
        obs, _ = env.reset(seed=0, options={"state": np.array(start)})
        for t in range(100):
            obs, reward, terminated, _, _ = env.step(agent.predict(obs, deterministic=True)[0])
            total += gamma**t * reward
            if terminated:
                break
    return total / len(grid)


class Bumps(TransformerMixin, BaseEstimator):
    """Gaussian bumps around the centres of k-means, as wide as the mean distance to the nearest other centre."""

    def __init__(self, n_clusters=300, random_state=None):
        self.n_clusters, self.random_state = n_clusters, random_state

    def fit(self, X, y=None):
        self.clusters_ = KMeans(self.n_clusters, n_init=1, random_state=self.random_state).fit(X)
        gaps = self.clusters_.transform(self.clusters_.cluster_centers_)
        self.width_ = float(np.sort(gaps, axis=1)[:, 1].mean())
        return self

    def transform(self, X):
        return np.exp(-0.5 * (self.clusters_.transform(X) / self.width_) ** 2)


HILL = {
    "extra-trees(25)": (lambda: ExtraTreesRegressor(25), 0.29),
    "random forest(25)": (lambda: RandomForestRegressor(25, min_samples_leaf=3), 0.28),
    "kNN(5)": (lambda: KNeighborsRegressor(5), 0.27),
    "k-means bumps(300)": (lambda: make_pipeline(StandardScaler(), Bumps(), sklearn.linear_model.Ridge(1.0)), 0.27),
    "raw linear": (sklearn.linear_model.LinearRegression, None),
}


def hill() -> None:
    """Fitted Q iteration on Car on the Hill from 5,000 uniform transitions; the optimum is .3526."""
    for name, (model, floor) in HILL.items():
        found = []
        for seed in range(3):
            agent = FittedQ("rlplay/CarOnTheHill-v0", model=model(), gamma=0.95, n_iterations=30, n_eval_episodes=0,
                            layout="model an action" if floor else "action as input", seed=seed)  # fmt: skip
            found.append(hill_score(agent.add(*hill_data(seed)).fit()))
        asked = f"at least {floor}" if floor else "at most .05"
        print(f"Car on the Hill, {name:20s} {asked:14s} " + "  ".join(f"{value:6.3f}" for value in found), flush=True)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    parts = {"speed": speed, "waves": waves, "trees": trees, "lspi": lspi, "scores": scores, "hill": hill}
    for part in [word for word in sys.argv[1:] if word in parts] or parts:
        parts[part]()
