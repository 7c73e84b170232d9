"""Hidden Markov models: numbers of Rabiner's tutorial and of Russell & Norvig, sums over all paths, and hmmlearn."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from rlplay.models.unsupervised import HiddenMarkovModel

RAIN = [0.5, 0.5], [[0.7, 0.3], [0.3, 0.7]], [[0.1, 0.9], [0.8, 0.2]]  # symbol 1 is an umbrella
UMBRELLAS = [[1], [1], [0], [1], [1]]


def drawn(model, n, seed):
    model.random_state = seed
    return model.sample(n)


def test_the_umbrella_world():
    """Russell & Norvig, 4th edition: section 14.2.1 (filtering), 14.2.2 (smoothing), figure 14.5 (best path)."""
    model = HiddenMarkovModel.given(*RAIN)
    assert model.filter(UMBRELLAS)[:2, 0] == pytest.approx([0.818, 0.883], abs=5e-4)
    assert model.predict_proba(UMBRELLAS[:2])[0, 0] == pytest.approx(0.883, abs=5e-4)
    assert model.predict(UMBRELLAS).tolist() == [0, 0, 1, 0, 0]
    begin, step = model.follower()
    state, beliefs = begin(), []
    for x in UMBRELLAS:
        state, belief = step(state, np.array(x, float))
        beliefs.append(belief)
    assert np.array_equal(beliefs, model.filter(UMBRELLAS))


def test_the_weather_of_rabiner():
    """Rabiner 1989, section II: sun sun sun rain rain sun cloudy sun, from a sunny day, has probability 1.536e-4."""
    rain, cloudy, sun = range(3)
    transitions = [[0.4, 0.3, 0.3], [0.2, 0.6, 0.2], [0.1, 0.1, 0.8]]
    model = HiddenMarkovModel.given([0, 0, 1], transitions, np.eye(3))
    days = np.array([sun, sun, sun, rain, rain, sun, cloudy, sun])[:, None]
    assert np.exp(model.score(days)) == pytest.approx(1.536e-4)
    assert model.predict(days).tolist() == days.ravel().tolist()
    assert model.score([[rain]]) == -np.inf


def test_sums_and_maxima_over_all_paths():
    rng = np.random.default_rng(0)
    start, moves, shown = rng.dirichlet([1] * 3), rng.dirichlet([1] * 3, 3), rng.dirichlet([1] * 4, 3)
    model, x = HiddenMarkovModel.given(start, moves, shown), rng.integers(4, size=6)
    total, joint, best = 0.0, np.zeros((6, 3)), (0.0, ())
    for path in itertools.product(range(3), repeat=6):
        p = start[path[0]] * np.prod(moves[path[:-1], path[1:]]) * np.prod(shown[path, x])
        total, best = total + p, max(best, (p, path))
        joint[np.arange(6), path] += p
    assert np.exp(model.score(x[:, None])) == pytest.approx(total)
    assert model.predict_proba(x[:, None]) == pytest.approx(joint / total)
    log_best, found = model.decode(x[:, None])
    assert (np.exp(log_best), tuple(found)) == (pytest.approx(best[0]), best[1])
    both = np.concatenate([x, x])[:, None]
    assert model.score(both, lengths=[6, 6]) == pytest.approx(2 * model.score(x[:, None]))
    assert np.array_equal(model.filter(both, [6, 6])[6:], model.filter(x[:, None]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["categorical", "diag", "full"])
def test_each_round_raises_the_likelihood_and_finds_the_model(kind):
    if kind == "categorical":
        truth = HiddenMarkovModel.given([0.5, 0.5], [[0.95, 0.05], [0.1, 0.9]], [[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])
    else:
        truth = HiddenMarkovModel(2, covariance_type=kind, max_iter=1, tol=1e9).fit(
            [[0.0, 0.0], [1.0, 1.0], [5.0, 5.0]]
        )
        truth.transmat_, truth.means_ = np.array([[0.95, 0.05], [0.1, 0.9]]), np.array([[0.0, 0.0], [3.0, 1.0]])
        spread = np.array([[1.0, 0.5], [0.5, 1.0]])
        truth.covariances_ = np.stack([spread, spread]) if kind == "full" else np.ones((2, 2))
    x, states = drawn(truth, 3000, 1)
    scores = [
        HiddenMarkovModel(2, covariance_type="diag" if kind == "categorical" else kind, max_iter=rounds, tol=0.0,
                          random_state=0).fit(x).lower_bound_ for rounds in (1, 2, 3, 5, 9)
    ]  # fmt: skip
    assert scores == sorted(scores)
    model = HiddenMarkovModel(
        2, covariance_type="diag" if kind == "categorical" else kind, n_init=5, random_state=0
    ).fit(x)
    order = [0, 1] if (model.predict(x) == states).mean() > 0.5 else [1, 0]
    assert model.transmat_[order][:, order] == pytest.approx(truth.transmat_, abs=0.03)
    shown, true = ("emissionprob_",) * 2 if kind == "categorical" else ("means_",) * 2
    assert getattr(model, shown)[order] == pytest.approx(getattr(truth, true), abs=0.12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["categorical", "diag", "full"])
def test_hmmlearn_finds_the_same_from_the_same_start(kind):
    hmm = pytest.importorskip("hmmlearn.hmm")
    rng = np.random.default_rng(0)
    start, moves = [0.6, 0.4], [[0.8, 0.2], [0.3, 0.7]]
    given = {"startprob_init": start, "transmat_init": moves, "max_iter": 5, "tol": 0.0, "random_state": 0}
    if kind == "categorical":
        x, shown = rng.integers(3, size=(60, 1)), np.array([[0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])
        ours = HiddenMarkovModel(2, emissionprob_init=shown, **given)
        theirs = hmm.CategoricalHMM(2, n_iter=5, tol=-1.0, init_params="")
        theirs.emissionprob_ = shown
    else:
        x = rng.normal(size=(60, 2)) + np.repeat([[0.0], [2.0]], 30, axis=0)
        ours = HiddenMarkovModel(2, covariance_type=kind, reg_covar=0.0, means_init=[[0, 0], [2, 2]], **given)
        begun = HiddenMarkovModel(2, covariance_type=kind, reg_covar=0.0, means_init=[[0, 0], [2, 2]],
                                  **{**given, "max_iter": 1, "tol": 1e9}).fit(x)  # fmt: skip
        theirs = hmm.GaussianHMM(2, kind, n_iter=5, tol=-1.0, init_params="", covars_prior=0.0, covars_weight=0.0,
                                 min_covar=0.0)  # fmt: skip
        theirs.means_, theirs.covars_ = np.array([[0.0, 0.0], [2.0, 2.0]]), begun.covariances_
    theirs.startprob_, theirs.transmat_ = np.array(start), np.array(moves)
    lengths = [35, 25]
    ours.fit(x, lengths=lengths)
    theirs.fit(x, lengths)
    assert ours.score(x, lengths=lengths) == pytest.approx(theirs.score(x, lengths), rel=1e-3)
    assert ours.transmat_ == pytest.approx(theirs.transmat_, abs=0.02)
    theirs.startprob_, theirs.transmat_ = ours.startprob_, ours.transmat_
    if kind == "categorical":
        theirs.emissionprob_ = ours.emissionprob_
    else:
        theirs.means_, theirs.covars_ = ours.means_, ours.covariances_
    assert ours.score(x, lengths=lengths) == pytest.approx(theirs.score(x, lengths), rel=1e-9)
    assert ours.predict_proba(x, lengths) == pytest.approx(theirs.predict_proba(x, lengths), abs=1e-9)
    assert np.array_equal(ours.predict(x, lengths), theirs.predict(x, lengths))


def test_bad_input():
    x = np.array([[0], [1], [1], [0]])
    for settings, words in (
        ({"n_components": 0}, "1 or more"), ({"emissions": "poisson"}, "one of auto, categorical, gaussian"),
        ({"covariance_type": "round"}, "one of full"), ({"n_components": 9}, "n_samples = 4"),
        ({"n_symbols": 1}, "symbol 1"),
        ({"transmat_init": [[1.0]]}, "should have"), ({"transmat_init": [[1, 1], [0, 1]]}, "no probabilities"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            HiddenMarkovModel(**settings).fit(x)
    with pytest.raises(ValueError, match="lengths must be"):
        HiddenMarkovModel(2).fit(x, lengths=[3])
    with pytest.raises(ValueError, match="one column of whole numbers"):
        HiddenMarkovModel(2, emissions="categorical").fit([[0.5], [1.0]])
    model = HiddenMarkovModel.given(*RAIN)
    assert np.array_equal(model.filter([[1], [7]])[1], model.filter([[1]])[0] @ model.transmat_)  # never seen: no news
    assert model.score([[7]]) == -np.inf
