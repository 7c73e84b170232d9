"""Fitted Q iteration: learn action values by supervised learning, over and over, from a set of transitions.

Any regressor will do. Each iteration fits it to what the iteration before says about the step after:

    Q_0 = 0
    targets  y = R + γ max_a Q_{k-1}(S', a)        (y = R where S' is terminal)
    Q_k      = regressor fitted to (S, A) -> y

Source: Ernst, Geurts & Wehenkel 2005, "Tree-Based Batch Mode Reinforcement Learning", JMLR 6, figure 1 (with
extremely randomised trees, section 3); Gordon 1995; Riedmiller 2005 for growing data sets.

Symbols:
    S, S'  obs, next_obs  float32 [N, D]    A  actions  int64 [N]      R  rewards  float64 [N]
    Q_k    models         a regressor for each action, or one that takes the action as input
    γ      gamma          float             ε  epsilon  float or schedule

Deviations from the source: the data set grows: every ``train_freq`` steps all of it is fitted again, and from then on
actions are ε-greedy with the new values (the first steps are random). The score of the greedy policy swings from
iteration to iteration, so each iterate is played (``n_eval_episodes`` episodes in environments of its own, always the
same ones) and the best is kept; 0 episodes keep the last one.
"""

from __future__ import annotations

from typing import Annotated, Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay import Agent, Probe
from rlplay.agent import Engine, StateArrays
from rlplay.compiled.pcg64 import random, random_seed
from rlplay.errors import UsageError, warn
from rlplay.estimators import RowFunction, over_rows, row_function, seeded
from rlplay.hyperparameters import Choice, Discount, Exploration, Range, Regressor
from rlplay.making import EnvLike, reference, remake
from rlplay.schedules import scheduled, tabulate
from rlplay.seeding import generator, stream
from rlplay.tabular import epsilon_greedy_probabilities
from rlplay.transition import Transition

_LONGEST_SCORE = 10_000  # steps after which an episode without a time limit is cut when an iterate is scored


def targets(
    rewards: NDArray[np.float64], next_values: NDArray[np.float64], terminated: NDArray[np.bool_], gamma: float
) -> NDArray[np.float64]:
    """Y = R + γ max_a Q(S', a), and R alone where S' is terminal; next_values [N, A], the result [N]."""
    return rewards + gamma * np.where(terminated, 0.0, next_values.max(axis=1))


class ActionValues:
    """Fitted regressors as Q(s, ·).

    Attributes:
        models: one for each action, None for one that never occurred; or a single one that takes the action as input.
        lowest: the value of actions that never occurred.
    """

    def __init__(self, models: list[Any], n_actions: int, lowest: float = 0.0) -> None:
        self.models, self.n_actions, self.lowest = models, n_actions, lowest
        self._rows = [row_function(model, "predict") if model is not None else None for model in models]

    def __call__(self, obs: NDArray[np.float32]) -> NDArray[np.float64]:
        """Values of a batch [B, D], float64 [B, A]."""
        q = np.full((len(obs), self.n_actions), self.lowest)
        for action in range(self.n_actions):
            number = action if len(self.models) > 1 or self.n_actions == 1 else 0
            if self.models[number] is not None:
                x = obs.astype(np.float64)
                if len(self.models) < self.n_actions:
                    x = np.column_stack([x, np.eye(self.n_actions)[np.full(len(x), action)]])
                q[:, action] = _predict(self.models[number], self._rows[number], x)
        return q


def _predict(model: Any, row: RowFunction | None, x: NDArray[np.float64]) -> NDArray[np.float64]:
    if row is None:
        return np.asarray(model.predict(x), np.float64).ravel()
    return over_rows(row.function)(row.codes, x)


class FittedQ(Agent):
    """Fitted Q iteration with any regressor: ours, scikit-learn's, a pipeline, or your own.

    Example:
        >>> from rlplay.models.supervised import ExtraTreesRegressor
        >>> agent = FittedQ("CartPole-v1", model=ExtraTreesRegressor(10), train_freq=500, n_iterations=5, seed=0)
        >>> agent.learn(500).scores.shape
        (5,)
    """

    id = "fitted-q"

    def __init__(
        self,
        env: EnvLike,
        *,
        model: Annotated[Any, Regressor("what learns the values: any regressor")] = "extra-trees:50,min_samples_leaf=5",
        gamma: Discount = 0.99,
        n_iterations: Annotated[int, Range("iterations a fit", 1, 10_000, integer=True)] = 50,
        train_freq: Annotated[int, Range("steps between fits", 2, 10_000_000, integer=True)] = 5000,
        buffer_size: Annotated[int, Range("transitions that are remembered", 2, 10_000_000, integer=True)] = 100_000,
        epsilon: Exploration = 0.1,
        hold: Annotated[int, Range("most steps that a random action is held", 1, 1000, integer=True)] = 1,
        layout: Annotated[
            str,
            Choice("a regressor an action, or one with the action as input", ("model an action", "action as input")),
        ] = "model an action",
        n_eval_episodes: Annotated[
            int, Range("episodes by which each iterate is scored; 0: keep the last", 0, 1000, integer=True)
        ] = 10,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            env, seed=seed, model=model, gamma=gamma, n_iterations=n_iterations, train_freq=train_freq,
            buffer_size=buffer_size, epsilon=epsilon, hold=hold, layout=layout, n_eval_episodes=n_eval_episodes,
        )  # fmt: skip
        size, self.n_actions, _ = self.require_vectors(finite_actions=True)
        room = int(buffer_size)
        self.obs, self.next_obs = np.zeros((room, size), np.float32), np.zeros((room, size), np.float32)
        self.actions, self.rewards = np.zeros(room, np.int64), np.zeros(room)
        self.terminated = np.zeros(room, np.bool_)
        self.gamma, self.epsilon = float(gamma), tabulate(epsilon)
        self.rng = stream(self.seed, "exploration")
        # transitions seen, fits begun, iterations of the running fit that are left, action held and for how long
        self.counts = np.zeros(5, np.int64)
        self.scores, self.best_score = np.zeros(0), -np.inf
        self.values: ActionValues | None = None  # of the iterate that acts
        self.latest: ActionValues | None = None  # of the iteration before
        self._arena: list[gym.Env[Any, Any]] = []

    # Acting and collecting.

    def act(self, observation: Any) -> Any:
        """Random before the first fit, then ε-greedy."""
        greedy = (
            self.values is not None
            and self.counts[4] == 0
            and random(self.rng) >= scheduled(self.epsilon, self.progress)
        )
        if greedy:
            assert self.values is not None
            return self._actions.value(int(self.values(self._vector(observation)[None])[0].argmax()))
        if self.counts[4] == 0:
            hold = self.hyperparameters["hold"]
            self.counts[3] = int(random(self.rng) * self.n_actions)
            self.counts[4] = 1 + int(random(self.rng) * hold) if hold > 1 else 1
        self.counts[4] -= 1
        return self._actions.value(int(self.counts[3]))

    def update(self, transition: Transition) -> float:
        """Remember the step; values are learned in `advance`. No TD error: NaN."""
        obs, action, reward, next_obs, terminated, truncated, _ = transition
        place = self.counts[0] % len(self.actions)
        self.obs[place], self.next_obs[place] = self._vector(obs), self._vector(next_obs)
        self.actions[place], self.rewards[place] = self._actions.index(action), reward
        self.terminated[place] = terminated
        self.counts[0] += 1
        self.num_timesteps += 1
        if terminated or truncated:
            self.counts[4] = 0
        return float("nan")

    def advance(self, timesteps: int, engine: Engine) -> int:
        """Collect steps up to the next fit; while a fit is due, do one iteration of it (and no steps)."""
        from rlplay.training import advance_stepwise

        if self.busy:
            self.iterate()
            return 0
        frequency = self.hyperparameters["train_freq"]
        done = advance_stepwise(self, min(timesteps, frequency - int(self.counts[0]) % frequency))
        if self.counts[0] % frequency == 0:
            self.counts[1] += 1
            self.counts[2] = self.hyperparameters["n_iterations"]
            self.latest, self.scores, self.best_score = None, np.zeros(0), -np.inf
        return done

    @property
    def busy(self) -> bool:
        """Whether iterations of a fit are left."""
        return bool(self.counts[2] > 0)

    @property
    def activity(self) -> str:
        """Which iteration runs."""
        total = self.hyperparameters["n_iterations"]
        return f"iteration {total - int(self.counts[2]) + 1}/{total}" if self.busy else ""

    def why_not_compiled(self) -> str:
        """Collecting is Python; fitting is as fast as the regressor."""
        return "FittedQ collects in Python"

    # Learning.

    def iterate(self) -> None:
        """One iteration: targets from the last iterate, a new fit, its score; the best so far acts.

        Raises:
            UsageError: the regressor failed; says on what.
        """
        n = int(min(self.counts[0], len(self.actions)))
        next_values = np.zeros((n, 1)) if self.latest is None else self.latest(self.next_obs[:n])
        y = targets(self.rewards[:n], next_values, self.terminated[:n], self.gamma)
        iteration = self.hyperparameters["n_iterations"] - int(self.counts[2])
        self.latest = self._fitted(self.obs[:n].astype(np.float64), self.actions[:n], y, iteration)
        self.counts[2] -= 1
        score = self._score(self.latest) if self.hyperparameters["n_eval_episodes"] else float(iteration)
        self.scores = np.append(self.scores, score)
        if score > self.best_score:
            self.best_score, self.values = score, self.latest

    def _fitted(
        self, obs: NDArray[np.float64], actions: NDArray[np.int64], y: NDArray[np.float64], iteration: int
    ) -> ActionValues:
        rng = generator(self.seed, f"fit {self.counts[1]}.{iteration}")
        absent = sorted(set(range(self.n_actions)) - set(actions.tolist()))
        if absent and iteration == 0:
            warn(
                f"action {', '.join(map(str, absent))} never occurs in the {len(y):,} transitions of FittedQ: "
                "its value is taken for the lowest target. Raise train_freq or epsilon"
            )
        try:
            if self.hyperparameters["layout"] == "action as input":
                both = np.column_stack([obs, np.eye(self.n_actions)[actions]])
                return ActionValues([seeded(self.hyperparameters["model"], rng).fit(both, y)], self.n_actions)
            models: list[Any] = []
            for action in range(self.n_actions):
                mine, model = actions == action, seeded(self.hyperparameters["model"], rng)
                models.append(model.fit(obs[mine], y[mine]) if mine.any() else None)
            return ActionValues(models, self.n_actions, float(y.min()))
        except (ValueError, TypeError) as error:
            name = type(self.hyperparameters["model"]).__name__
            raise UsageError(
                f"{name} could not be fitted to {len(y):,} transitions: {' '.join(str(error).split())[:300]}",
                "Change its parameters, or collect more with train_freq",
            ) from error

    def _score(self, values: ActionValues) -> float:
        """Mean return of the greedy policy over episodes that are the same for every iterate, all played at once."""
        count = self.hyperparameters["n_eval_episodes"]
        if not self._arena:
            ref = reference(self.env)
            if not ref.id:
                raise UsageError(
                    "FittedQ scores its iterates in environments made anew, and this one has no id",
                    "Give its id, or n_eval_episodes=0 to keep the last iterate",
                )
            native = "auto" if ref.dynamics.startswith("native") else "gymnasium"
            self._arena = [remake(ref, dynamics=native) for _ in range(count)]
        seeds, returns = stream(self.seed, "score"), np.zeros(count)
        running = {i: self._vector(env.reset(seed=random_seed(seeds))[0]) for i, env in enumerate(self._arena)}
        for _ in range(_LONGEST_SCORE):
            chosen = values(np.stack(list(running.values()))).argmax(axis=1)
            for i, action in zip(list(running), chosen, strict=True):
                obs, reward, terminated, truncated, _ = self._arena[i].step(self._actions.value(int(action)))
                returns[i] += float(reward)
                if terminated or truncated:
                    del running[i]
                else:
                    running[i] = self._vector(obs)
            if not running:
                break
        return float(returns.mean())

    def set_env(self, env: EnvLike) -> None:
        """Go on in another environment with the same spaces."""
        super().set_env(env)
        self._arena = []

    def metrics(self) -> dict[str, float]:
        """The last and the best score of the running or last fit."""
        if not len(self.scores) or not self.hyperparameters["n_eval_episodes"]:
            return {}
        return {"train/score": float(self.scores[-1]), "train/best_score": float(self.best_score)}

    def probe(self, observation: Any) -> Probe:
        """Action values of the iterate that acts and the ε-greedy policy over them; nothing but chance before a fit."""
        x = self.vectors(observation)
        if self.values is None:
            return Probe(action_probabilities=np.full((len(x), self.n_actions), 1 / self.n_actions))
        q = self.values(x)
        probabilities = epsilon_greedy_probabilities(q, scheduled(self.epsilon, self.progress))
        return Probe(action_values=q, action_probabilities=probabilities, value=q.max(axis=1))

    def regions(self, batch: NDArray[Any]) -> tuple[NDArray[np.int64], str]:
        """The boxes into which the first tree divides the states, where the regressors are trees."""
        model: Any = self.values.models[0] if self.values is not None else None
        if not hasattr(model, "apply") or self.hyperparameters["layout"] == "action as input":
            return super().regions(batch)
        leaves = np.asarray(model.apply(self.vectors(batch).astype(np.float64)))
        return (leaves[:, 0] if leaves.ndim == 2 else leaves).astype(np.int64), "boxes of the first tree"

    def seen(self) -> NDArray[np.float32]:
        """The transitions' observations."""
        return self.obs[: int(min(self.counts[0], len(self.actions)))]

    # Files.

    def arrays(self) -> StateArrays:
        """The transitions so far, the scores, the counts and the random state."""
        n = int(min(self.counts[0], len(self.actions)))
        data: StateArrays = {
            "obs": self.obs,
            "next_obs": self.next_obs,
            "actions": self.actions,
            "rewards": self.rewards,
        }
        found = {name: array[:n] for name, array in {**data, "terminated": self.terminated}.items()}
        lowest = [values.lowest if values is not None else 0.0 for values in (self.values, self.latest)]
        return {
            **found,
            "scores": self.scores,
            "counts": self.counts,
            "exploration": self.rng,
            "lowest": np.array(lowest),
        }

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        from rlplay.saving import copy_into

        copy_into("counts", arrays, self.counts)
        copy_into("exploration", arrays, self.rng)
        for name, array in self.arrays().items():
            if name in ("scores", "lowest"):
                continue
            if len(array):
                copy_into(name, arrays, array)
        self.scores = np.array(arrays["scores"], np.float64)
        self.best_score = float(self.scores.max()) if len(self.scores) else -np.inf
        for values, lowest in zip((self.values, self.latest), arrays["lowest"], strict=True):
            if values is not None:
                values.lowest = float(lowest)

    def extra_state(self) -> dict[str, Any]:
        """Whether the iterate that acts is that of the iteration before: then it is kept once."""
        return {"acting_is_latest": self.values is not None and self.latest is self.values}

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        if state["acting_is_latest"]:
            self.latest = self.values

    def models(self) -> dict[str, Any]:
        """The regressors that act, and those of the iteration before while a fit runs."""
        found = {}
        for name, values in (("acting", self.values), ("latest", self.latest)):
            if values is not None and not (name == "latest" and values is self.values):
                found.update({f"{name}/{i}": m for i, m in enumerate(values.models) if m is not None})
        return found

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the regressors of a file."""
        count = 1 if self.hyperparameters["layout"] == "action as input" else self.n_actions
        for name in ("acting", "latest"):
            mine = [models.get(f"{name}/{i}") for i in range(count)]
            if any(model is not None for model in mine):
                setattr(self, "values" if name == "acting" else "latest", ActionValues(mine, self.n_actions))
