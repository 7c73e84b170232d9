"""An agent as a scikit-learn estimator: for ``GridSearchCV``, ``cross_val_score`` and whatever else tries settings out.

What is learned from are not rows of data but steps in an environment. So the rows of X are seeds: ``fit`` learns with
the first one, ``score`` plays an episode for each. A split of seeds then is what a split of data is elsewhere: what is
scored was not trained on.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from rlplay import registry
from rlplay.errors import UsageError, unknown
from rlplay.hyperparameters.fields import declared
from rlplay.seeding import check_seed
from rlplay.training.checks import whole_number
from rlplay.training.evaluation import evaluate

_OWN = ("algo", "env", "n_timesteps")


class AgentEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An agent with ``fit``, ``predict``, ``score``, ``get_params`` and ``set_params``.

    Args:
        algo: id of the agent.
        env: id of the environment.
        n_timesteps: that ``fit`` learns for.
        hyperparameters: of the agent, by name; they are parameters of the estimator.

    Attributes:
        agent_: the agent, after ``fit``.

    Raises:
        UnknownNameError: a hyperparameter that the agent does not have.

    Example:
        >>> from sklearn.model_selection import GridSearchCV, KFold
        >>> estimator = AgentEstimator("q-learning", "FrozenLake-v1", gamma=0.95)
        >>> search = GridSearchCV(estimator, {"n_timesteps": [1, 20_000]}, cv=KFold(2)).fit(np.arange(60))
        >>> search.best_params_, type(search.best_estimator_.agent_).__name__
        ({'n_timesteps': 20000}, 'QLearning')
    """

    def __init__(
        self, algo: str = "q-learning", env: str = "FrozenLake-v1", n_timesteps: int = 10_000, **hyperparameters: Any
    ) -> None:
        self.algo, self.env, self.n_timesteps = algo, env, n_timesteps
        self._set(hyperparameters)

    def _set(self, hyperparameters: dict[str, Any]) -> None:
        known = declared(registry.agent_class(self.algo))
        for name in hyperparameters:
            if name not in known:
                raise unknown(f"hyperparameter of {self.algo}", name, known)
        self.hyperparameters = {**getattr(self, "hyperparameters", {}), **hyperparameters}

    @classmethod
    def _get_param_names(cls) -> list[str]:
        return list(_OWN)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """What it was made with, hyperparameters included."""
        return {**{name: getattr(self, name) for name in _OWN}, **self.hyperparameters}

    def set_params(self, **params: Any) -> Self:
        """Change what it was made with."""
        for name in _OWN:
            if name in params:
                setattr(self, name, params.pop(name))
        self._set(params)
        return self

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: N803 - scikit-learn's name
        """Learn, with the first of the seeds X, shape [S] or [S, 1]."""
        cls = registry.agent_class(self.algo)
        self.agent_ = cls(self.env, seed=int(_seeds(X)[0]), **self.hyperparameters)
        self.agent_.learn(whole_number("n_timesteps", self.n_timesteps))
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """The greedy actions at observations, a batch of them."""
        check_is_fitted(self)
        return self.agent_.predict(X, deterministic=True)[0]

    def score(self, X: Any, y: Any = None) -> float:  # noqa: N803
        """Mean return of a greedy episode for each of the seeds X."""
        check_is_fitted(self)
        return float(np.mean([evaluate(self.agent_, n_eval_episodes=1, seed=int(s)).returns[0] for s in _seeds(X)]))


def _seeds(given: Any) -> NDArray[np.int64]:
    seeds = np.asarray(given)
    if seeds.ndim == 2 and seeds.shape[1] == 1:
        seeds = seeds[:, 0]
    if seeds.ndim != 1 or not seeds.size or not np.issubdtype(seeds.dtype, np.integer):
        raise UsageError(
            f"X of shape {seeds.shape} and type {seeds.dtype} are no seeds", "Give whole numbers, such as np.arange(10)"
        )
    for seed in seeds:
        check_seed(int(seed))
    return seeds.astype(np.int64)
