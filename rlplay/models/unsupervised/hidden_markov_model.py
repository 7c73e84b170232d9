"""Hidden Markov model: a state that is not seen moves by a Markov chain, and each observation depends on it alone.

    π_i = P(z_1 = i)        A_ij = P(z_{t+1} = j | z_t = i)        b_i(x) = p(x_t = x | z_t = i)

Observations are categorical, b_i(x) = B_ix, or normal, b_i(x) = N(x; μ_i, Σ_i). With the belief of a state after what
was seen so far, and what the rest says of it, both scaled to stay near 1:

    filter     α_t(j) ∝ b_j(x_t) Σ_i α_{t-1}(i) A_ij        α_1(j) ∝ b_j(x_1) π_j        c_t: the sum before scaling
    rest       β_t(i) = Σ_j A_ij b_j(x_{t+1}) β_{t+1}(j) / c_{t+1}                        β_T = 1
    smoothing  γ_t(i) = α_t(i) β_t(i)                       ln p(x_1..x_T) = Σ_t ln c_t
    best path  δ_t(j) = b_j(x_t) max_i δ_{t-1}(i) A_ij      (Viterbi)

Baum and Welch's steps never lower the likelihood. With ξ_t(i, j) = α_t(i) A_ij b_j(x_{t+1}) β_{t+1}(j) / c_{t+1}:

    π = mean of γ_1     A_ij = Σ_t ξ_t(i, j) / Σ_t γ_t(i)     B_im = Σ_{t: x_t = m} γ_t(i) / Σ_t γ_t(i)

and μ, Σ are those of a mixture with the memberships γ (`rlplay.models.unsupervised.gaussian_mixture`).

Source: Baum, Petrie, Soules & Weiss 1970; Rabiner 1989, "A tutorial on hidden Markov models and selected applications
in speech recognition", equations 19 to 54; Viterbi 1967. scikit-learn has none; hmmlearn's `CategoricalHMM` and
`GaussianHMM` are held beside it where hmmlearn is installed.

Shapes: X [N, D], sequences one after the other; π [K], A [K, K], B [K, M], means [K, D], beliefs [N, K].
In reinforcement learning: the belief of a state that an observation does not determine, as features
(`rlplay.environments.memory`).
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, DensityMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from rlplay.compiled.cache import compiled
from rlplay.errors import warn
from rlplay.models.common import Floats, Follower, new_points, require, training_points
from rlplay.models.unsupervised.gaussian_mixture import KINDS, log_densities, maximisation, precision_factors
from rlplay.models.unsupervised.k_means import KMeans

_MOST_SYMBOLS = 100_000


@compiled
def forward(start: Floats, transition: Floats, likelihoods: Floats, beliefs: Floats, scales: Floats) -> None:
    """α into ``beliefs`` [T, K] and c into ``scales`` [T], from b_i(x_t) in ``likelihoods`` [T, K].

    Where no state that can be there gives an observation, it says nothing: c is 0, and its likelihoods become 1.

    Example:
        >>> beliefs, scales = np.zeros((1, 2)), np.zeros(1)
        >>> forward(np.array([0.5, 0.5]), np.eye(2), np.array([[0.9, 0.2]]), beliefs, scales)
        >>> beliefs.round(3).tolist(), scales.round(3).tolist()
        ([[0.818, 0.182]], [0.55])
    """
    steps, k = beliefs.shape
    for t in range(steps):
        for j in range(k):
            total = start[j]
            if t > 0:
                total = 0.0
                for i in range(k):
                    total += beliefs[t - 1, i] * transition[i, j]
            beliefs[t, j] = total
        scale = 0.0
        for j in range(k):
            scale += beliefs[t, j] * likelihoods[t, j]
        scales[t] = scale
        for j in range(k):
            if scale > 0.0:
                beliefs[t, j] *= likelihoods[t, j] / scale
            else:
                likelihoods[t, j] = 1.0


@compiled
def backward(
    transition: Floats, likelihoods: Floats, beliefs: Floats, scales: Floats, smoothed: Floats, moves: Floats
) -> None:
    """γ into ``smoothed`` [T, K] after `forward`; Σ_t ξ_t is added to ``moves`` [K, K].

    Example:
        >>> A, b = np.array([[0.7, 0.3], [0.3, 0.7]]), np.array([[0.9, 0.2], [0.9, 0.2]])
        >>> beliefs, scales, smoothed = np.zeros((2, 2)), np.zeros(2), np.zeros((2, 2))
        >>> forward(np.array([0.5, 0.5]), A, b, beliefs, scales)
        >>> backward(A, b, beliefs, scales, smoothed, np.zeros((2, 2)))
        >>> smoothed.round(3).tolist()
        [[0.883, 0.117], [0.883, 0.117]]
    """
    steps, k = beliefs.shape
    rest, before = np.ones(k), np.ones(k)
    for t in range(steps - 1, -1, -1):
        if t < steps - 1:
            scale = scales[t + 1] if scales[t + 1] > 0.0 else 1.0
            for i in range(k):
                total = 0.0
                for j in range(k):
                    share = transition[i, j] * likelihoods[t + 1, j] * rest[j] / scale
                    total += share
                    moves[i, j] += beliefs[t, i] * share
                before[i] = total
            rest[:] = before
        for i in range(k):
            smoothed[t, i] = beliefs[t, i] * rest[i]


@compiled
def best_path(log_start: Floats, log_transition: Floats, log_likelihoods: Floats, path: NDArray[np.int64]) -> float:
    """Viterbi's path into ``path`` [T]; the logarithm of its probability together with the observations.

    Example:
        >>> path = np.zeros(2, np.int64)
        >>> half = np.log(np.array([[0.5, 0.5], [0.5, 0.5]]))
        >>> best = best_path(half[0], half, np.log(np.array([[0.9, 0.2], [0.1, 0.8]])), path)
        >>> path.tolist(), round(float(np.exp(best)), 3)
        ([0, 1], 0.18)
    """
    steps, k = log_likelihoods.shape
    came, last, now = np.zeros((steps, k), np.int64), log_start + log_likelihoods[0], np.zeros(k)
    for t in range(1, steps):
        for j in range(k):
            best, at = last[0] + log_transition[0, j], 0
            for i in range(1, k):
                if last[i] + log_transition[i, j] > best:
                    best, at = last[i] + log_transition[i, j], i
            now[j], came[t, j] = best + log_likelihoods[t, j], at
        last[:] = now
    path[steps - 1] = last.argmax()
    for t in range(steps - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return float(last.max())


class _Emissions(NamedTuple):
    """What is learned of b: B [K, M], or μ [K, D] and Σ, one for each state: [K, D, D] or [K, D]."""

    probabilities: Floats | None
    means: Floats
    covariances: Floats


@dataclass(eq=False, repr=False)
class HiddenMarkovModel(DensityMixin, BaseEstimator):  # type: ignore[misc]
    """Hidden states, how they follow each other, and what each shows; learned by Baum and Welch's steps.

    Args:
        n_components: states, K.
        emissions: what is observed: ``"categorical"``, whole numbers from 0 in one column; ``"gaussian"``; or
            ``"auto"``, categorical where X is one column of integers.
        covariance_type: of normal observations, as in `GaussianMixture`: ``"diag"``, ``"full"``, ``"tied"``,
            ``"spherical"``.
        n_symbols: symbols M of categorical observations; by default those up to the largest that is learned from.
        pseudocount: transitions and symbols that are counted everywhere beforehand.
        reg_covar: added to every variance.
        tol: gain of the log-likelihood of all observations at which it stops.
        max_iter: most rounds.
        n_init: starts, of which the one with the highest likelihood is kept.
        startprob_init: π [K] to begin with.
        transmat_init: A [K, K] to begin with.
        emissionprob_init: B [K, M] to begin with, for symbols.
        means_init: μ [K, D] to begin with, for numbers.
        random_state: a seed, a RandomState, or None.

    Attributes:
        startprob_: π, float64 [K].
        transmat_: A, float64 [K, K].
        emissionprob_: B, float64 [K, M]; None for normal observations.
        means_, covariances_: μ [K, D] and Σ; None for categorical ones.
        converged_, n_iter_: whether and after how many rounds it stopped.
        lower_bound_: the log-likelihood of what it learned from.

    Example:
        >>> rain = HiddenMarkovModel.given([0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]], [[0.1, 0.9], [0.8, 0.2]])
        >>> rain.filter([[1], [1]]).round(3).tolist()  # two umbrellas (Russell & Norvig)
        [[0.818, 0.182], [0.883, 0.117]]
        >>> rain.predict([[1], [1], [0], [1], [1]]).tolist()
        [0, 0, 1, 0, 0]
    """

    n_components: int = 2
    _: KW_ONLY
    emissions: str = "auto"
    covariance_type: str = "diag"
    n_symbols: Any = None
    pseudocount: float = 0.0
    reg_covar: float = 1e-3
    tol: float = 1e-2
    max_iter: int = 100
    n_init: int = 1
    startprob_init: Any = None
    transmat_init: Any = None
    emissionprob_init: Any = None
    means_init: Any = None
    random_state: Any = None

    @classmethod
    def given(cls, startprob: Any, transmat: Any, emissionprob: Any) -> Self:
        """The model of known probabilities π [K], A [K, K] and B [K, M], without anything to learn.

        Raises:
            ValueError: rows that are no probabilities, or shapes that do not fit.

        Example:
            >>> HiddenMarkovModel.given([1, 0], [[0, 1], [1, 0]], [[1, 0], [0, 1]]).predict([[0], [1]]).tolist()
            [0, 1]
        """
        model: Any = cls(len(startprob), emissions="categorical")
        model.n_features_in_ = 1
        k = model.n_components
        symbols = np.shape(emissionprob)[-1] if np.ndim(emissionprob) == 2 else 0
        model.startprob_ = _probabilities("startprob", startprob, (k,))
        model.transmat_ = _probabilities("transmat", transmat, (k, k))
        model.emissionprob_ = _probabilities("emissionprob", emissionprob, (k, symbols))
        model.means_, model.covariances_ = None, None
        model.converged_, model.n_iter_, model.lower_bound_ = True, 0, 0.0
        found: Self = model
        return found

    def _check(self) -> None:
        require(
            self,
            n_components=(self.n_components >= 1, "1 or more"),
            emissions=(self.emissions in ("auto", "categorical", "gaussian"), "one of auto, categorical, gaussian"),
            covariance_type=(self.covariance_type in KINDS, f"one of {', '.join(KINDS)}"),
            n_symbols=(
                self.n_symbols is None or 1 <= int(self.n_symbols) <= _MOST_SYMBOLS, f"1 to {_MOST_SYMBOLS:,}, or None"
            ),
            pseudocount=(self.pseudocount >= 0, "0 or more"),
            reg_covar=(self.reg_covar >= 0, "0 or more"),
            tol=(self.tol >= 0, "0 or more"),
            max_iter=(self.max_iter >= 1, "1 or more"),
            n_init=(self.n_init >= 1, "1 or more"),
        )  # fmt: skip

    def fit(self, X: Any, y: Any = None, lengths: Any = None) -> Self:
        """Learn from X [N, D]: sequences one after the other, of the lengths given (one by default).

        Raises:
            ValueError: lengths that do not sum to N, fewer observations than states, symbols that are none.
        """
        self._check()
        whole = np.asarray(X).dtype.kind in "iub" and np.ndim(X) == 2 and np.shape(X)[1] == 1
        x = training_points(self, X, ensure_min_samples=2)
        parts, k = _parts(lengths, len(x)), int(self.n_components)
        if len(x) < k:
            raise ValueError(f"Expected n_samples >= n_components but got n_components = {k}, n_samples = {len(x)}")
        categorical = self.emissions == "categorical" or (self.emissions == "auto" and whole)
        self._symbols = _whole_numbers(x, self.n_symbols) if categorical else 0
        middle = np.zeros(x.shape[1]) if categorical else x.mean(axis=0)
        rng, best = check_random_state(self.random_state), None
        for _ in range(self.n_init):
            found = self._climb(x - middle, parts, *self._first(x - middle, middle, rng))
            if best is None or found[0] > best[0]:
                best = found
        assert best is not None
        self.lower_bound_, self.startprob_, self.transmat_, learned, self.converged_, self.n_iter_ = best
        self.emissionprob_: Any = learned.probabilities
        self.means_: Any = None if categorical else learned.means + middle
        self.covariances_: Any = None if categorical else learned.covariances
        if not self.converged_:
            warn("HiddenMarkovModel did not converge. Increase max_iter or tol.", ConvergenceWarning)
        return self

    def _first(self, x: Floats, middle: Floats, rng: np.random.RandomState) -> tuple[Floats, Floats, _Emissions]:
        """π, A and b to begin with, for points around their mean."""
        k = int(self.n_components)
        start = np.full(k, 1.0 / k)
        if self.startprob_init is not None:
            start = _probabilities("startprob_init", self.startprob_init, (k,))
        transition = rng.dirichlet(np.full(k, 5.0), size=k)
        if self.transmat_init is not None:
            transition = _probabilities("transmat_init", self.transmat_init, (k, k))
        if self._symbols:
            seen = np.bincount(x[:, 0].astype(np.int64), minlength=self._symbols) / len(x)
            shown = rng.dirichlet(np.full(self._symbols, 1.0), size=k) + seen
            shown /= shown.sum(axis=1, keepdims=True)
            if self.emissionprob_init is not None:
                shown = _probabilities("emissionprob_init", self.emissionprob_init, (k, self._symbols))
            return start, transition, _Emissions(shown, np.zeros(0), np.zeros(0))
        labels = KMeans(k, random_state=rng).fit(x).labels_
        _, means, covariances = maximisation(x, np.eye(k)[labels], self.covariance_type, self.reg_covar)
        if self.means_init is not None:
            means = np.asarray(self.means_init, np.float64) - middle
            if means.shape != (k, x.shape[1]):
                raise ValueError(f"means_init has shape {means.shape} and should have {(k, x.shape[1])}.")
        return start, transition, _Emissions(None, means, covariances)

    def _climb(
        self, x: Floats, parts: list[slice], start: Floats, transition: Floats, emissions: _Emissions
    ) -> tuple[float, Floats, Floats, _Emissions, bool, int]:
        bound, converged, iteration = -np.inf, False, 0
        beliefs, smoothed, scales = np.empty((len(x), len(start))), np.empty((len(x), len(start))), np.empty(len(x))
        for iteration in range(1, self.max_iter + 1):  # noqa: B007 - the number of rounds is reported
            likelihoods, shifts = _likelihoods(x, emissions)
            moves = np.full(transition.shape, float(self.pseudocount))
            for part in parts:
                forward(start, transition, likelihoods[part], beliefs[part], scales[part])
                backward(transition, likelihoods[part], beliefs[part], scales[part], smoothed[part], moves)
            before, bound = bound, _log_likelihood(scales, shifts)
            if bound - before < self.tol:
                converged = True
                break
            start = smoothed[[part.start for part in parts]].mean(axis=0)
            counts = moves.sum(axis=1, keepdims=True)  # 0 of a state that is never left
            transition = np.where(counts > 0, moves / np.maximum(counts, 1e-300), transition)
            emissions = self._shown(x, smoothed, emissions)
        return bound, start, transition, emissions, converged, iteration

    def _shown(self, x: Floats, smoothed: Floats, before: _Emissions) -> _Emissions:
        """What each state shows, by the memberships γ [N, K]."""
        if before.probabilities is None:
            _, means, covariances = maximisation(x, smoothed, self.covariance_type, self.reg_covar)
            return _Emissions(None, means, covariances)
        counts = np.full(before.probabilities.shape, float(self.pseudocount))
        np.add.at(counts.T, x[:, 0].astype(np.int64), smoothed)
        totals = counts.sum(axis=1, keepdims=True)
        shown = np.where(totals > 0, counts / np.maximum(totals, 1e-300), before.probabilities)
        return before._replace(probabilities=shown)

    # What is known of the states.

    def _given(self, X: Any) -> tuple[Floats, Floats]:
        """b_i(x_t), each row divided by its largest [N, K], and the logarithms of these [N]."""
        x = new_points(self, X)
        if self.emissionprob_ is not None:
            _whole_numbers(x, None)
        return _likelihoods(x, _Emissions(self.emissionprob_, self.means_, self.covariances_))

    def filter(self, X: Any, lengths: Any = None) -> Floats:
        """The belief of each state after what was seen up to each observation, α, float64 [N, K]."""
        return self._forward(X, lengths)[0]

    def _forward(self, X: Any, lengths: Any) -> tuple[Floats, Floats, Floats, Floats, list[slice]]:
        likelihoods, shifts = self._given(X)
        parts, beliefs, scales = _parts(lengths, len(shifts)), np.empty_like(likelihoods), np.empty(len(shifts))
        for part in parts:
            forward(self.startprob_, self.transmat_, likelihoods[part], beliefs[part], scales[part])
        return beliefs, scales, likelihoods, shifts, parts

    def predict_proba(self, X: Any, lengths: Any = None) -> Floats:
        """The probability of each state, by all of its sequence, γ, float64 [N, K]."""
        beliefs, scales, likelihoods, _, parts = self._forward(X, lengths)
        smoothed, moves = np.empty_like(beliefs), np.zeros_like(self.transmat_)
        for part in parts:
            backward(self.transmat_, likelihoods[part], beliefs[part], scales[part], smoothed[part], moves)
        return smoothed

    def predict(self, X: Any, lengths: Any = None) -> NDArray[np.int64]:
        """The most probable path of states (Viterbi), int64 [N]."""
        return self.decode(X, lengths)[1]

    def decode(self, X: Any, lengths: Any = None) -> tuple[float, NDArray[np.int64]]:
        """The logarithm of the probability of the best paths and the observations, and the paths, int64 [N]."""
        likelihoods, shifts = self._given(X)
        path, total = np.zeros(len(shifts), np.int64), float(shifts.sum())
        with np.errstate(divide="ignore"):
            logs, start, transition = np.log(likelihoods), np.log(self.startprob_), np.log(self.transmat_)
        for part in _parts(lengths, len(path)):
            total += best_path(start, transition, logs[part], path[part])
        return total, path

    def score(self, X: Any, y: Any = None, lengths: Any = None) -> float:
        """ln p(X), of all sequences together; -inf where the model cannot give them."""
        _, scales, _, shifts, _ = self._forward(X, lengths)
        return _log_likelihood(scales, shifts)

    def sample(self, n_samples: int = 1) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """One sequence drawn from the model, [N, D], and its states, int64 [N]."""
        rng, k = check_random_state(self.random_state), int(self.n_components)
        states = np.zeros(n_samples, np.int64)
        for t in range(n_samples):
            states[t] = rng.choice(k, p=self.startprob_ if t == 0 else self.transmat_[states[t - 1]])
        if self.emissionprob_ is not None:
            symbols = self.emissionprob_.shape[1]
            return np.array([[rng.choice(symbols, p=self.emissionprob_[state])] for state in states]), states
        noise, found = rng.normal(size=(n_samples, self.means_.shape[1])), self.means_[states]
        for state in range(k):
            spread, mine = self.covariances_[state], states == state
            found[mine] += (
                noise[mine] * np.sqrt(spread) if spread.ndim == 1 else noise[mine] @ np.linalg.cholesky(spread).T
            )
        return found, states

    def follower(self) -> Follower:
        """The filter step by step: its state is what is expected next, [K]; it gives the belief α, [K].

        Example:
            >>> rain = HiddenMarkovModel.given([0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]], [[0.1, 0.9], [0.8, 0.2]])
            >>> begin, step = rain.follower()
            >>> expected, belief = step(begin(), np.array([1.0]))
            >>> expected.round(3).tolist(), belief.round(3).tolist()
            ([0.627, 0.373], [0.818, 0.182])
        """
        check_is_fitted(self, "startprob_")
        emissions = _Emissions(self.emissionprob_, self.means_, self.covariances_)

        def step(expected: Floats, x: Floats) -> tuple[Floats, Floats]:
            likelihoods, _ = _likelihoods(x.reshape(1, -1), emissions)
            beliefs, scales = np.empty_like(likelihoods), np.empty(1)
            forward(expected, self.transmat_, likelihoods, beliefs, scales)
            return beliefs[0] @ self.transmat_, beliefs[0]

        return Follower(self.startprob_.copy, step)

    def check_fitted(self) -> None:
        """Refuse probabilities, read from a file, that are none.

        Raises:
            ValueError: says which.
        """
        if not hasattr(self, "startprob_"):
            return
        k = int(self.n_components)
        _probabilities("startprob_", self.startprob_, (k,))
        _probabilities("transmat_", self.transmat_, (k, k))
        if self.emissionprob_ is not None:
            _probabilities("emissionprob_", self.emissionprob_, (k, np.shape(self.emissionprob_)[-1]))
            return
        d = self.n_features_in_
        shape = (k, d, d) if self.covariance_type in ("full", "tied") else (k, d)
        if np.shape(self.means_) != (k, d) or np.shape(self.covariances_) != shape:
            raise ValueError(f"means of shape {np.shape(self.means_)}, covariances {np.shape(self.covariances_)}")
        precision_factors(self.covariances_)


def _likelihoods(x: Floats, emissions: _Emissions) -> tuple[Floats, Floats]:
    """b_i(x_t), each row divided by its largest [N, K], and the logarithms of these [N]; a symbol never seen: 0."""
    if emissions.probabilities is not None:
        symbols, shown = x[:, 0].astype(np.int64), emissions.probabilities
        known = symbols < shown.shape[1]
        return np.where(known[:, None], shown.T[np.where(known, symbols, 0)], 0.0), np.zeros(len(x))
    logs = log_densities(x, emissions.means, precision_factors(emissions.covariances))
    highest = logs.max(axis=1)
    return np.exp(logs - highest[:, None]), highest


def _log_likelihood(scales: Floats, shifts: Floats) -> float:
    with np.errstate(divide="ignore"):
        return float((np.log(scales) + shifts).sum())


def _parts(lengths: Any, n: int) -> list[slice]:
    """Where each sequence lies among N observations."""
    if lengths is None:
        return [slice(0, n)]
    sizes = np.asarray(lengths)
    if sizes.ndim != 1 or sizes.dtype.kind not in "iu" or (sizes < 1).any() or sizes.sum() != n:
        raise ValueError(f"lengths must be whole numbers of 1 or more that sum to the {n} observations.")
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


def _whole_numbers(x: Floats, n_symbols: Any) -> int:
    """How many symbols there are in one column [N, 1] of whole numbers."""
    if x.shape[1] != 1 or (x < 0).any() or (x != np.floor(x)).any() or x.max() >= _MOST_SYMBOLS:
        raise ValueError(
            f"categorical emissions are one column of whole numbers from 0 to {_MOST_SYMBOLS - 1:,}: X has "
            f"{x.shape[1]} columns, from {x.min():g} to {x.max():g}. Take emissions='gaussian'."
        )
    most = int(x.max()) + 1
    if n_symbols is not None and most > int(n_symbols):
        raise ValueError(f"X has the symbol {most - 1}, and n_symbols={n_symbols} counts from 0.")
    return most if n_symbols is None else int(n_symbols)


def _probabilities(name: str, value: Any, shape: tuple[int, ...]) -> Floats:
    """An array of rows that sum to 1.

    Raises:
        ValueError: another shape, or rows that do not.
    """
    array = np.array(value, np.float64)
    if array.shape != shape or 0 in shape:
        raise ValueError(f"{name} has shape {array.shape} and should have {shape}.")
    if not (array >= 0).all() or not np.allclose(array.sum(axis=-1), 1.0, atol=1e-6):
        raise ValueError(f"{name} has rows that are no probabilities: they should be 0 or more and sum to 1.")
    return array
