"""Fitted Q iteration: learn action values by supervised learning, over and over, from a set of transitions.

Any regressor will do. Each iteration fits it to what the iteration before says about the step after:

    Q_0 = 0
    targets  y = R + γ max_a Q_{k-1}(S', a)        (y = R where S' is terminal)
    Q_k      = regressor fitted to (S, A) -> y

Source: Ernst, Geurts & Wehenkel 2005, "Tree-Based Batch Mode Reinforcement Learning", JMLR 6, figure 1 (with
extremely randomised trees, section 3); Gordon 1995; Riedmiller 2005 for growing data sets.

Symbols:
    S, S'  obs, next_obs  float32 [N, D]    A  actions  int64 [N] (a Box: float32 [N, W])      R  rewards  float64 [N]
    Q_k    values         a regressor for each action, one that takes the action as input, or one with many outputs
    γ      gamma          float             ε  epsilon  float or schedule

Deviations from the source: the data set grows: every ``train_freq`` steps, and at the end of learn, all of it is fitted
again, and from then on actions are ε-greedy with the new values (the first steps are random). The score of the greedy
policy swings from iteration to iteration, so each iterate is played (``n_eval_episodes`` episodes in environments of
its own, always the same ones) and the best is kept; 0 episodes keep the last one. Where a regressor fails in the middle
of a fit, the best iterate so far goes on playing, and that is said.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.extend import (
    LAYOUTS,
    ActionValues,
    BatchAgent,
    Candidates,
    Choice,
    EnvLike,
    GreedyEvaluator,
    Range,
    Regressor,
    StateArrays,
    UsageError,
    final_step,
    fit_values,
    generator,
    models_by_name,
    require_anew,
    values_by_name,
    warn,
)


def targets(
    rewards: NDArray[np.float64], next_values: NDArray[np.float64], terminated: NDArray[np.bool_], gamma: float
) -> NDArray[np.float64]:
    """The targets y = R + γ max_a Q(S', a), and R alone where S' is terminal; next_values [N, A], the result [N].

    Example:
        >>> next_values = np.array([[1.0, 3.0], [5.0, 5.0]])
        >>> targets(np.array([1.0, 2.0]), next_values, np.array([False, True]), 0.5).tolist()  # 1 + 0.5 · 3, and 2
        [2.5, 2.0]
    """
    return rewards + gamma * np.where(terminated, 0.0, next_values.max(axis=1))


class FittedQ(BatchAgent):
    """Fitted Q iteration with any regressor: ours, scikit-learn's, a pipeline, or your own.

    Finite actions, or a Box with the action as input.

    Attributes:
        values: the iterate that acts, None before the first.
        latest: that of the iteration before, None at the start of a fit.
        scores: those of the iterates of the running or last fit, float64 [K].

    Example:
        >>> from rlplay.models.supervised import ExtraTreesRegressor
        >>> agent = FittedQ("CartPole-v1", model=ExtraTreesRegressor(10), train_freq=500, n_iterations=5, seed=0)
        >>> agent.learn(500).scores.shape
        (5,)
    """

    id = "fitted-q"
    finite_actions = False
    model: Annotated[Any, Regressor("what learns the values: any regressor")] = "extra-trees:50,min_samples_leaf=5"
    layout: Annotated[
        str, Choice("a regressor an action, one with the action as input, or with an output an action", LAYOUTS)
    ] = "model an action"
    n_candidates: Candidates = 9
    n_eval_episodes: Annotated[
        int, Range("episodes by which each iterate is scored; 0: keep the last", 0, 1000, integer=True)
    ] = 10

    def setup(self) -> None:
        """No values yet."""
        super().setup()
        if self.n_eval_episodes:
            require_anew(self.env, GreedyEvaluator.why("FittedQ"))
        if self.numbering is None:
            self.layout = "action as input"
        self.scores, self.best_score = np.zeros(0), -np.inf
        self.values: ActionValues | None = None
        self.latest: ActionValues | None = None
        self._evaluator: GreedyEvaluator | None = None

    def action_values(self, vectors: NDArray[Any]) -> NDArray[np.float64] | None:
        """Q of the iterate that acts."""
        return None if self.values is None else self.values(self.encoder.encode_vectors(vectors))

    def begin_fit(self) -> None:
        """From Q_0 = 0."""
        self.latest, self.scores, self.best_score = None, np.zeros(0), -np.inf

    def iterate(self) -> None:
        """One iteration: targets from the last iterate, a new fit, its score; the best so far acts.

        Raises:
            UsageError: the regressor failed and there is no iterate to go on with; says on what.
        """
        data, encode, iteration = self.transitions(), self.encoder.encode_vectors, self.iteration
        next_values = np.zeros((len(data.rewards), 1))
        if self.latest is not None:
            next_values = self.may_be_next(self.latest(encode(data.next_obs)))
        y = targets(data.rewards, next_values, data.terminated, self.gamma)
        self._say_absent(data.actions, iteration)
        rng, x = generator(self.seed, f"fit {self.counts.fits[0]}.{iteration}"), encode(data.obs).astype(np.float64)
        try:
            self.latest = fit_values(self.model, self.layout, self.choices, x, data.actions, y, self.latest, rng)
        except UsageError as error:
            if self.values is None:
                raise
            self.counts.iterations_left[0] = 0
            warn(f"{error.cause}; in iteration {iteration + 1}. The best iterate so far goes on playing")
            return
        self.counts.iterations_left[0] -= 1
        score = self._score(self.latest) if self.n_eval_episodes else float(iteration)
        self.scores = np.append(self.scores, score)
        if score > self.best_score:
            self.best_score, self.values = score, self.latest

    def _say_absent(self, actions: NDArray[Any], iteration: int) -> None:
        absent = sorted(set(range(self.n_actions)) - set(actions.tolist())) if actions.ndim == 1 else []
        if absent and iteration == 0:
            warn(
                f"action {', '.join(map(str, absent))} never occurs in the {len(actions):,} transitions of FittedQ: "
                "its value is taken for the lowest target. Raise train_freq or epsilon"
            )

    def _score(self, values: ActionValues) -> float:
        if self._evaluator is None:
            self._evaluator = GreedyEvaluator(self, self.n_eval_episodes)
        return self._evaluator.score(lambda vectors: values(self.encoder.encode_vectors(vectors)))

    def set_env(self, env: EnvLike, force_reset: bool = True) -> None:
        """Go on in another environment with the same spaces."""
        super().set_env(env, force_reset)
        self._evaluator = None

    def metrics(self) -> dict[str, float]:
        """The last and the best score of the running or last fit."""
        if not len(self.scores) or not self.n_eval_episodes:
            return {}
        return {"train/score": float(self.scores[-1]), "train/best_score": float(self.best_score)}

    def state_partition(self, observations: Any) -> tuple[NDArray[np.int64], str]:
        """The boxes into which the first tree divides the states, where the regressors are trees."""
        model: Any = self.values.models[0] if self.values is not None else None
        if not hasattr(model, "apply") or self.layout == "action as input" or final_step(model) is not model:
            return super().state_partition(observations)
        leaves = np.asarray(model.apply(self.encoder.encode_batch(observations).astype(np.float64)))
        return (leaves[:, 0] if leaves.ndim == 2 else leaves).astype(np.int64), "boxes of the first tree"

    # Files.

    def arrays(self) -> StateArrays:
        """The transitions so far, the scores, the counts and the random state."""
        lowest = [values.lowest if values is not None else 0.0 for values in (self.values, self.latest)]
        return {**super().arrays(), "scores": self.scores, "lowest": np.array(lowest)}

    def load_arrays(self, arrays: StateArrays) -> None:
        """Take the arrays of a file."""
        self.scores = np.array(arrays["scores"], np.float64)
        self.best_score = float(self.scores.max()) if len(self.scores) else -np.inf
        super().load_arrays(arrays)
        for values, lowest in zip((self.values, self.latest), arrays["lowest"], strict=True):
            if values is not None:
                values.lowest = float(lowest)

    def extra_state(self) -> dict[str, Any]:
        """Whether the iterate that acts is that of the iteration before: then it is kept once."""
        return super().extra_state() | {"acting_is_latest": self.values is not None and self.latest is self.values}

    def restore_extra(self, state: dict[str, Any]) -> None:
        """Put back what `extra_state` gave."""
        super().restore_extra(state)
        if state["acting_is_latest"]:
            self.latest = self.values

    def models(self) -> dict[str, Any]:
        """The regressors that act, and those of the iteration before while a fit runs."""
        before = None if self.latest is self.values else self.latest
        return super().models() | models_by_name(self.values, "acting") | models_by_name(before, "latest")

    def restore_models(self, models: dict[str, Any]) -> None:
        """Take the regressors of a file."""
        super().restore_models(models)
        self.values = values_by_name(models, "acting", self.layout, self.choices)
        self.latest = values_by_name(models, "latest", self.layout, self.choices)


__all__ = ["FittedQ", "targets"]
