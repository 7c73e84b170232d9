"""Deep models: the same curve over torch, scores on real data, sequences of unequal length, and bad input."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from rlplay.approximation.packing import pack, unpack
from rlplay.errors import CheckpointError, UsageError
from rlplay.models.deep import (
    VAE,
    Autoencoder,
    CNNClassifier,
    DenoisingAutoencoder,
    EncoderDecoder,
    GRUAutoencoder,
    LSTMAutoencoder,
    MLPClassifier,
    MLPRegressor,
    RandomNetworkDistillation,
    SequenceForecaster,
)
from rlplay.models.deep.sequences import r_squared
from rlplay.reports.model_comparison import data_sets, five_fold, pair


def waves(n=60, long=20):
    """Sine waves of one frequency, [N, T, 1]."""
    shifts = np.random.default_rng(0).uniform(0, 6, n)
    return np.sin(np.arange(long) / 2 + shifts[:, None])[:, :, None]


def rollouts(env_id, episodes, steps):
    """Observations of an environment under torques or pushes that are held for ten steps each, [N, T, D]."""
    env, found = gym.make(env_id), []
    for episode in range(episodes):
        env.action_space.seed(episode)
        seen = [env.reset(seed=episode)[0]]
        while len(seen) < steps:
            action = env.action_space.sample()
            seen += [env.step(action)[0] for _ in range(min(10, steps - len(seen)))]
        found.append(seen)
    return np.array(found, np.float32)


POINTS = np.random.default_rng(1).normal(size=(150, 6))
MODELS = {
    "mlp": (MLPRegressor(16, max_iter=8, random_state=0), POINTS, POINTS[:, 0] * POINTS[:, 1]),
    "mlp, held out": (MLPRegressor(16, max_iter=8, early_stopping=True, random_state=0), POINTS, POINTS[:, :2]),
    "mlp, momentum": (MLPRegressor(16, max_iter=8, solver="momentum", random_state=0), POINTS, POINTS[:, 0]),
    "classifier": (MLPClassifier((8, 8), max_iter=8, random_state=0), POINTS, (POINTS[:, 0] > 0) + (POINTS[:, 1] > 1)),
    "cnn": (CNNClassifier((4, 6), (8,), max_iter=3, random_state=0), POINTS.reshape(-1, 2, 3), POINTS[:, 0] > 0),
    "autoencoder": (Autoencoder(2, 8, max_iter=8, random_state=0), POINTS, None),
    "denoising": (DenoisingAutoencoder(2, 8, max_iter=8, random_state=0), POINTS, None),
    "vae": (VAE(2, 8, max_iter=8, random_state=0), POINTS, None),
    "distillation": (RandomNetworkDistillation(16, max_iter=8, random_state=0), POINTS, None),
    "forecaster": (SequenceForecaster(6, max_iter=3, random_state=0), [w[: 8 + i % 5] for i, w in enumerate(waves())],
                   None),
    "forecaster, gru": (SequenceForecaster((6, 5), "gru", max_iter=3, random_state=0), waves(), None),
    "lstm autoencoder": (LSTMAutoencoder(2, 6, max_iter=3, random_state=0),
                         [w[: 8 + i % 5] for i, w in enumerate(waves())], None),
    "gru autoencoder": (GRUAutoencoder(2, 6, max_iter=3, random_state=0), waves(), None),
    "encoder-decoder": (EncoderDecoder(6, max_iter=4, random_state=0), waves()[:, :12], waves()[:, 12:]),
    "encoder-decoder, gru": (EncoderDecoder(6, "gru", max_iter=4, random_state=0), waves(), waves()[:, :3, 0] ** 2),
}  # fmt: skip


# What compiles for long: `pytest -m slow`.
LONG = ("cnn", "forecaster, gru", "gru autoencoder", "encoder-decoder, gru")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in MODELS])
def test_the_same_curve_over_torch(name):
    model, x, y = MODELS[name]
    ours = model.fit(x, y)
    theirs = clone(model).set_params(backend="torch").fit(x, y)
    assert ours.loss_curve_[-1] < ours.loss_curve_[0]
    assert np.allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-4)
    for mine, other in zip(ours.weights_, theirs.weights_, strict=True):
        assert np.abs(mine - other).max() < 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_files_hold_arrays_and_learning_goes_on_in_the_same_bits(name):
    model, x, y = MODELS[name]
    model.fit(x, y)
    arrays: dict = {}
    again = unpack(pack(model, arrays, "m"), arrays)
    assert all(isinstance(a, np.ndarray) and a.dtype != object for a in arrays.values())
    if not hasattr(model, "partial_fit"):
        return
    given = (x,) if y is None else (x, y)
    for one in (model, again):
        one.partial_fit(*given)
    for mine, other in zip(model.weights_, again.weights_, strict=True):
        assert np.array_equal(mine, other)


def test_digits_as_well_as_scikit_learns():
    x, y = data_sets("classifier")["digits"]
    ours, theirs = pair("mlp-classifier", random_state=0)
    assert five_fold(ours, x, y) > five_fold(theirs, x, y) - 0.01


@pytest.mark.slow
def test_windows_see_digits_better():
    x, y = load_digits(return_X_y=True)
    assert five_fold(CNNClassifier(image_shape=(8, 8), random_state=0), x / 16, y) >= 0.98


def test_a_linear_autoencoder_spans_the_space_of_pca():
    """Baldi & Hornik 1989: without bends, the best a code can do is what PCA does."""
    x = np.random.default_rng(0).normal(size=(400, 6)) * [3, 2, 1, 0.5, 0.3, 0.1]
    model = Autoencoder(2, (), learning_rate_init=0.01, max_iter=400, random_state=0).fit(x)
    pca = PCA(2).fit(x)
    best = ((x - pca.inverse_transform(pca.transform(x))) ** 2).mean()
    assert best <= model.reconstruction_error(x).mean() < 1.02 * best


def test_denoising_pulls_points_back():
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 600)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    model = DenoisingAutoencoder(2, (32,), noise=0.2, learning_rate_init=0.01, random_state=0).fit(ring)
    noisy = ring + 0.2 * np.random.default_rng(1).normal(size=ring.shape)
    told = model.inverse_transform(model.transform(noisy))
    assert np.abs(np.linalg.norm(told, axis=1) - 1).mean() < 0.6 * np.abs(np.linalg.norm(noisy, axis=1) - 1).mean()


def test_a_vae_draws_points_like_those_it_saw():
    """Two clusters; what it draws lies in both and in between little. And KL is that of the closed form."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2)) * 0.1 + np.where(rng.uniform(size=(500, 1)) < 0.5, -1, 1)
    model = VAE(1, (32,), beta=0.02, learning_rate_init=0.01, max_iter=150, random_state=0).fit(x)
    drawn = model.sample(400, random_state=0)
    assert 0.25 < (drawn[:, 0] > 0).mean() < 0.75
    assert (np.abs(np.abs(drawn) - 1).max(axis=1) < 0.4).mean() > 0.7
    wide = VAE(1, (32,), beta=100.0, learning_rate_init=0.01, max_iter=60, random_state=0).fit(x)
    assert np.abs(wide.transform(x)).max() < 0.2  # a heavy KL leaves nothing in the code
    assert model.score(x) > wide.score(x)


def test_what_was_not_seen_is_new():
    rng = np.random.default_rng(0)
    seen = rng.uniform(-1, 0, size=(1000, 2))
    model = RandomNetworkDistillation(random_state=0).fit(seen)
    there = rng.uniform(0.5, 1.5, size=(200, 2))
    assert np.median(model.novelty(there)) > 20 * np.median(model.novelty(seen))
    for _ in range(60):
        model.partial_fit(there)
    assert np.median(model.novelty(there)) < 5 * np.median(model.novelty(seen))


def test_a_recorded_rollout_is_forecast_better_than_by_its_last_value():
    """Pendulums: ten steps ahead, at most a tenth of the error of repeating the last observation."""
    x = rollouts("Pendulum-v1", 160, 50)
    scaled = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    windows = np.concatenate([scaled[:, begin : begin + 20] for begin in (0, 10, 20, 30)])
    past, future = windows[:, :10], windows[:, 10:]
    inside = np.arange(len(windows)) % 160 < 120
    model = EncoderDecoder(48, max_iter=60, random_state=0).fit(past[inside], future[inside])
    error = ((model.predict(past[~inside]) - future[~inside]) ** 2).mean()
    repeated = ((past[~inside][:, -1:] - future[~inside]) ** 2).mean()
    assert error < repeated / 10


def test_an_lstm_autoencoder_tells_held_out_windows_again():
    """Windows of 8 observations, 32 numbers, through a code of 8: a fiftieth of the variance is lost at most."""
    x = rollouts("Pendulum-v1", 120, 40)
    scaled = (x - x.mean(axis=(0, 1))) / x.std(axis=(0, 1))
    windows = scaled.reshape(-1, 8, 3)
    model = LSTMAutoencoder(8, 48, max_iter=60, random_state=0).fit(windows[:450])
    assert model.reconstruction_error(windows[450:]).mean() < 0.02
    assert model.transform(windows[450:]).shape == (150, 8)


def test_inputs_known_beforehand_are_used():
    """y is the running sum of the inputs: nothing in x tells it."""
    rng = np.random.default_rng(0)
    x, pushes = rng.normal(size=(300, 5, 1)), rng.normal(size=(300, 6, 1))
    y = x[:, -1:] + np.cumsum(pushes, axis=1)
    model = EncoderDecoder(32, "gru", max_iter=80, random_state=0).fit(x[:250], y[:250], pushes[:250])
    assert model.score(x[250:], y[250:], pushes[250:]) > 0.9
    with pytest.raises(ValueError, match=r"inputs have shape \[50, 6, A\]"):
        model.predict(x[250:], pushes[250:, :3])
    with pytest.raises(ValueError, match="inputs have 1 numbers a step, and 0"):
        model.predict(x[250:])


def test_learning_goes_on_with_targets_of_one_shape():
    x = np.random.default_rng(0).normal(size=(20, 3))
    model = MLPRegressor(4, max_iter=1, random_state=0).fit(x, x[:, 0])
    with pytest.raises(ValueError, match=r"y has shape \(20, 2\), and MLPRegressor learns 1 numbers a point"):
        model.partial_fit(x, x[:, :2])


def test_constant_targets_have_a_score():
    assert r_squared(np.ones((3, 2)), np.ones((3, 2))) == 1
    assert r_squared(np.zeros((3, 2)), np.ones((3, 2))) == 0  # as scikit-learn's r2_score; it was -inf


def test_padding_counts_nowhere():
    """A sequence has the same code and forecast alone as beside longer ones."""
    long, short = waves(20, 30), [w[:9] for w in waves(20, 30)]
    mixed = [*long, *short]
    for model in (LSTMAutoencoder(3, 8, max_iter=2, random_state=0), SequenceForecaster(8, max_iter=2, random_state=0)):
        model.fit(mixed)
        assert np.array_equal(model.transform(mixed)[20:], model.transform(short))
    assert np.array_equal(model.forecast(mixed, 4)[20:], model.forecast(short, 4))
    assert [len(one) for one in model.predict(mixed)] == [30] * 20 + [9] * 20


def test_rows_arrays_and_lists_are_the_same_sequences():
    x = waves(30, 12)
    found = [
        GRUAutoencoder(2, 6, max_iter=2, random_state=0).fit(given).transform(given)
        for given in (x, list(x), x.reshape(30, 12))
    ]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    two = np.concatenate([x, x**2], axis=2)
    model = SequenceForecaster(6, step_size=2, max_iter=2, random_state=0).fit(two.reshape(30, 24))
    assert model.forecast(two.reshape(30, 24), 3).shape == (30, 6)
    assert np.array_equal(model.forecast(two, 3).reshape(30, 6), model.forecast(two.reshape(30, 24), 3))


def test_early_stopping_takes_the_best_weights_back():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 5)), rng.normal(size=60)  # nothing to learn: it only gets worse
    model = MLPRegressor(64, learning_rate_init=0.01, early_stopping=True, max_iter=500, random_state=0).fit(x, y)
    assert model.n_iter_ < 100
    best = MLPRegressor(64, learning_rate_init=0.01, early_stopping=True, random_state=0,
                        max_iter=1 + int(np.argmin(model.validation_losses_)))  # fmt: skip
    assert np.array_equal(best.fit(x, y).weights_[0], model.weights_[0])


def test_batches_for_learning_and_for_answering_are_two_things():
    model, x, y = MODELS["mlp"]
    answers = [model.set_params(predict_batch_size=size).fit(x, y).predict(x) for size in (1, 7, 1000)]
    assert np.array_equal(answers[0], answers[1])
    assert np.array_equal(answers[0], answers[2])
    model.set_params(predict_batch_size=1024)


def test_long_fits_show_their_progress(capsys):
    model, x, y = MODELS["autoencoder"]
    model.set_params(verbose=True).fit(x, y)
    assert "8/8" in capsys.readouterr().err
    model.set_params(verbose=None).fit(x, y)
    assert capsys.readouterr().err == ""


# Bad input.


def test_a_loss_that_is_not_a_number_stops_at_its_step_and_keeps_the_last_weights():
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.ones(100)
    model = MLPRegressor(8, activation="relu", solver="sgd", learning_rate_init=1e25, batch_size=20, random_state=0)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=r"the loss is (nan|inf) at step \d+ \(epoch 1\)"):
        model.fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    good = MLPRegressor(8, solver="sgd", random_state=0).fit(x, y)
    before = good.weights_[0].copy()
    good.set_params(learning_rate_init=1e30, batch_size=10)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="not finite|the loss is"):
        good.partial_fit(x, y)
    assert np.array_equal(good.weights_[0], before)


def test_a_batch_larger_than_the_data():
    x, y = np.random.default_rng(0).normal(size=(10, 2)), np.arange(10.0)
    with pytest.warns(UserWarning, match="batch_size=64 is larger than the data: MLPRegressor has 10 samples"):
        model = MLPRegressor(4, batch_size=64, max_iter=3, random_state=0).fit(x, y)
    assert np.array_equal(model.predict(x), model.set_params(batch_size=10).fit(x, y).predict(x))


def test_a_gpu_that_is_not_there():
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(UsageError, match="asks for a GPU, and torch sees none"):
        Autoencoder(backend="torch", device="cuda").fit(POINTS)
    assert Autoencoder(backend="torch", device="auto", max_iter=1).fit(POINTS).n_iter_ == 1


def test_weights_of_another_architecture():
    model, x, y = MODELS["mlp"]
    arrays: dict = {}
    packed = pack(model.fit(x, y), arrays, "m")
    packed["params"]["hidden_layer_sizes"] = 17
    with pytest.raises(CheckpointError, match=r"6-linear-16-relu-linear-1.*6-linear-17-relu-linear-1"):
        unpack(packed, arrays)


def test_a_network_is_not_wider_than_it_says():
    x = POINTS
    for model, words in (
        (MLPRegressor(hidden_layer_sizes=(8, 0)), "'hidden_layer_sizes' parameter"),
        (MLPRegressor(activation="step"), "one of tanh, relu"),
        (MLPRegressor(solver="lbfgs"), "one of sgd, momentum, rmsprop, adam"),
        (MLPRegressor(alpha=-1), "'alpha' parameter"),
        (MLPRegressor(learning_rate_init=0), "'learning_rate_init' parameter"),
        (MLPRegressor(backend="jax"), "'backend' parameter"),
        (CNNClassifier(kernel_size=4), "an odd whole number"),
        (CNNClassifier(image_shape=(2, 2)), "has 4 numbers, and the rows of X have 6"),
        (VAE(beta=-1), "'beta' parameter"),
        (Autoencoder(0), "'n_components' parameter"),
        (LSTMAutoencoder(step_size=4), "step_size=4 does not divide the 6 numbers"),
        (SequenceForecaster(cell="rnn"), "'lstm' or 'gru'"),
        (EncoderDecoder(teacher_forcing=2), "a share between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=words):
            model.fit(x, x[:, 0] > 0)


def test_sequences_that_do_not_fit():
    model = SequenceForecaster(4, max_iter=1).fit(waves())
    with pytest.raises(ValueError, match=r"steps of 2 numbers, but SequenceForecaster was fitted on steps of 1"):
        model.predict(np.zeros((3, 5, 2)))
    with pytest.raises(ValueError, match=r"steps of \[1, 2\] numbers"):
        model.fit([np.zeros((3, 1)), np.zeros((3, 2))])
    with pytest.raises(ValueError, match="sequences of 2 steps or more"):
        model.fit([np.zeros((3, 1)), np.zeros((1, 1))])
    with pytest.raises(ValueError, match="sequence 1 contains NaN"):
        model.fit([np.zeros((3, 1)), np.full((4, 1), np.nan)])
    with pytest.raises(ValueError, match=r"codes have shape \[N, 2\]"):
        LSTMAutoencoder(2, 4, max_iter=1).fit(waves()).inverse_transform(np.zeros((3, 5)))
