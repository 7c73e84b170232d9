"""Every model from scratch: scikit-learn's contract, the twin's answers and scores, rows, files, and bad input."""

from __future__ import annotations

import json
import warnings

import matplotlib.image
import numpy as np
import pytest
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, make_moons
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

from rlplay import registry
from rlplay.approximation.estimators import over_batch, sample_function
from rlplay.approximation.packing import pack, unpack
from rlplay.cli import main
from rlplay.errors import CheckpointError, UsageError
from rlplay.models import twin
from rlplay.models.names import LIBRARY, model_class
from rlplay.models.references import REFERENCES, WITHOUT, expected_failed_checks
from rlplay.models.supervised import (
    SVC,
    GaussianProcessRegressor,
    HistGradientBoostingRegressor,
    KNeighborsRegressor,
    LogisticRegression,
    PolynomialFeatures,
    RandomForestClassifier,
    Ridge,
    SGDClassifier,
)
from rlplay.models.unsupervised import (
    PCA,
    AgglomerativeClustering,
    FourierBasis,
    GaussianMixture,
    IncrementalPCA,
    KMeans,
    NearestCentroidClusterer,
    SelfOrganisingMap,
    StandardScaler,
    TileCoding,
)
from rlplay.reports.model_comparison import CHANCE, PARITY, Parity, data_sets, five_fold, kind_of, pair, parity
from rlplay.reports.model_pictures import draw

OURS = sorted({*REFERENCES, *WITHOUT})
SMALL = {
    "k-means": {"n_clusters": 3}, "mini-batch-k-means": {"n_clusters": 3},
    "self-organising-map": {"rows": 2, "columns": 2},
    "random-forest": {"n_estimators": 5}, "random-forest-classifier": {"n_estimators": 5},
    "extra-trees": {"n_estimators": 5}, "extra-trees-classifier": {"n_estimators": 5},
    "gradient-boosting": {"max_iter": 10}, "gradient-boosting-classifier": {"max_iter": 10},
    "gaussian-mixture": {"n_components": 2}, "tile-coding": {"n_tiles": 2, "n_tilings": 4},
    "fourier-basis": {"order": 1}, "rbf-grid": {"n_centers": 2},
    "mlp": {"max_iter": 100}, "mlp-classifier": {"max_iter": 100},
    "cnn-classifier": {"channels": (4,), "hidden_layer_sizes": (16,), "max_iter": 20, "learning_rate_init": 0.01},
    "autoencoder": {"max_iter": 10}, "denoising-autoencoder": {"max_iter": 10}, "vae": {"max_iter": 10},
    "random-network-distillation": {"max_iter": 5}, "sequence-forecaster": {"hidden_size": 8, "max_iter": 3},
    "lstm-autoencoder": {"n_components": 2, "hidden_size": 8, "max_iter": 3},
    "gru-autoencoder": {"n_components": 2, "hidden_size": 8, "max_iter": 3},
    "encoder-decoder": {"hidden_size": 32, "max_iter": 100},
}  # fmt: skip


def small(model_id):
    return model_class(model_id)(**SMALL.get(model_id, {}))


def test_every_model_of_ours_is_here():
    assert set(registry.model_ids()) >= set(OURS)
    ours = {i for i in registry.model_ids() if registry.model_place(i).startswith("rlplay.models")}
    assert ours == set(OURS)


# What compiles for long: `pytest -m slow`.
LONG = (
    "autoencoder",
    "denoising-autoencoder",
    "cnn-classifier",
    "encoder-decoder",
    "gru-autoencoder",
    "lstm-autoencoder",
    "vae",
    "sequence-forecaster",
    "random-network-distillation",
)


@pytest.mark.parametrize("model_id", [pytest.param(i, marks=pytest.mark.slow) if i in LONG else i for i in OURS])
def test_scikit_learns_contract(model_id):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        declared = expected_failed_checks(small(model_id))
        results = check_estimator(small(model_id), expected_failed_checks=declared, on_fail=None, on_skip=None)
    assert len(results) > 35
    assert not {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}


@pytest.mark.parametrize(
    "model_id", [pytest.param(i, marks=pytest.mark.slow) if i in LONG else i for i in sorted(REFERENCES)]
)
def test_the_twins_answers(model_id):
    rules = PARITY.get(model_id, Parity())
    gap = parity(model_id)
    assert (gap is None) == (rules.what == CHANCE)
    assert gap is None or gap <= rules.tolerance


# Where the two draw other random numbers, means over as many seeds are compared.
SEEDS = {
    "random-forest": 8, "random-forest-classifier": 3, "extra-trees": 12, "extra-trees-classifier": 3,
    "sgd-classifier": 8, "perceptron": 12, "sgd-regressor": 3, "mlp": 3, "mlp-classifier": 3,
}  # fmt: skip
SETTINGS = {
    "random-forest": {"n_estimators": 50, "max_features": 0.4},
    "random-forest-classifier": {"n_estimators": 50},
    "extra-trees": {"n_estimators": 100},
    "extra-trees-classifier": {"n_estimators": 50},
    "decision-tree": {"random_state": 0, "max_depth": 3},
    "decision-tree-classifier": {"random_state": 0},
    "sgd-classifier": {"alpha": 0.01},
    "gradient-boosting-classifier": {"max_iter": 20},
    "gaussian-process": {"length_scale": 5.0, "normalize_y": True, "noise": 0.5, "optimize": False},
    "kernel-ridge": {"kernel": "rbf", "alpha": 1.0, "gamma": 0.01},
    "mlp": {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01},
    "mlp-classifier": {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01},
    "cnn-classifier": {"channels": (4,), "hidden_layer_sizes": (16,), "max_iter": 3, "random_state": 0},
    "encoder-decoder": {"hidden_size": 8, "max_iter": 5, "random_state": 0},
}  # fmt: skip


SLOW_SCORES = (
    "random-forest-classifier",
    "mlp-classifier",
    "extra-trees-classifier",
    "gradient-boosting-classifier",
    "extra-trees",
    "sgd-classifier",
    "perceptron",
)
SCORED = [i for i in sorted(REFERENCES) if kind_of(small(i)) in ("regressor", "classifier")]


@pytest.mark.parametrize(
    "model_id", [pytest.param(i, marks=pytest.mark.slow) if i in SLOW_SCORES else i for i in SCORED]
)
def test_five_fold_scores_on_real_data(model_id):
    """Within 0.01 of the twin's on every data set, or better."""
    for name, (x, y) in data_sets(kind_of(small(model_id))).items():
        target = (y - y.mean()) / y.std() if model_id == "kernel-ridge" else y  # which has no intercept
        gaps = []
        for seed in range(SEEDS.get(model_id, 1)):
            chance = {"random_state": seed} if model_id in SEEDS else {}
            ours, theirs = pair(model_id, **SETTINGS.get(model_id, {}), **chance)
            gaps.append(five_fold(ours, x, target) - five_fold(theirs, x, target))
        assert np.mean(gaps) > -0.01, f"{name}: {gaps}"


@pytest.mark.parametrize("model_id", sorted(REFERENCES))
def test_twins_there_and_back(model_id):
    ours = small(model_id)
    theirs = twin(ours)
    assert type(theirs).__module__.startswith("sklearn") or theirs.backend == "torch"
    if model_id == "gaussian-process":
        with pytest.raises(UsageError, match="kernel"):
            twin(theirs)
        return
    back = twin(theirs)
    assert type(back) is type(ours)
    assert back.get_params() == ours.get_params()


def test_what_a_twin_cannot_do_is_said():
    with pytest.raises(UsageError, match="warm_start=True"):
        twin(sklearn.linear_model.LogisticRegression(warm_start=True))
    with pytest.raises(UsageError, match="no self-organising map"):
        twin(SelfOrganisingMap())
    with pytest.raises(UsageError, match="no twin among our models"):
        twin(sklearn.linear_model.HuberRegressor())


@pytest.mark.parametrize("model_id", [i for i in OURS if hasattr(model_class(i), "sample_function")])
def test_rows_like_batches(model_id):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small(model_id).fit(x, x[:, 0] + np.sin(x[:, 1]))
    methods = [m for m in ("predict", "transform") if hasattr(model, m)]
    assert methods
    for method in methods:
        row = sample_function(model, method)
        whole = getattr(model, method)(x)
        if method == "predict":
            assert np.allclose(over_batch(row.function)(row.codes, x), whole, atol=1e-10)
        else:
            out = np.zeros(whole.shape[1], np.float32)
            for i in range(20):
                row.function(row.codes, x[i], out)
                assert np.allclose(out, whole[i], rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("model_id", OURS)
def test_files_hold_arrays_and_give_the_same_answers(model_id):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 3))
    y = (x[:, 0] > 0).astype(int)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small(model_id).fit(x, y)
    arrays: dict = {}
    again = unpack(pack(model, arrays, "m"), arrays)
    assert all(isinstance(a, np.ndarray) and a.dtype != object for a in arrays.values())
    for method in ("predict", "transform", "predict_proba"):
        if hasattr(model, method):
            assert np.array_equal(getattr(model, method)(x), getattr(again, method)(x))


@pytest.mark.parametrize("name", sorted(set(LIBRARY) - {"sklearn/pipeline", "sklearn/kernel-centerer"}))
def test_the_librarys_estimators_come_back_from_arrays(name):
    """A fixed list of scikit-learn's: to the bit, and with nothing but arrays and JSON in between."""
    x = np.random.default_rng(0).normal(size=(200, 3))
    model = model_class(name)()
    if "n_estimators" in model.get_params():
        model.set_params(n_estimators=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(x, (x[:, 0] > 0).astype(int))
    arrays: dict = {}
    again = unpack(json.loads(json.dumps(pack(model, arrays, "m"))), arrays)
    for method in ("predict", "transform", "predict_proba"):
        if hasattr(model, method):
            assert np.array_equal(getattr(model, method)(x), getattr(again, method)(x))


def test_directions_that_are_learned_bit_by_bit_stay_as_many():
    x = np.random.default_rng(0).normal(size=(30, 4))
    model = IncrementalPCA(2).partial_fit(x)
    with pytest.raises(ValueError, match="n_components was 2 when learning began and is 3"):
        model.set_params(n_components=3).partial_fit(x)


def test_names_of_data_frames_are_kept():
    """Classes that are texts, and names of columns, come as arrays of objects."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    model = LogisticRegression().fit(x, np.array(["up", "down", "hold"], object)[np.arange(60) % 3])
    model.feature_names_in_ = np.array(["angle", "speed", "place"], object)
    arrays: dict = {}
    again = unpack(json.loads(json.dumps(pack(model, arrays, "m"))), arrays)
    assert again.feature_names_in_.tolist() == ["angle", "speed", "place"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the columns have no names here
        assert again.predict(x).dtype == model.predict(x).dtype == object
        assert np.array_equal(again.predict(x), model.predict(x))


def test_weights_and_classes_that_do_not_fit_are_refused():
    x = np.random.default_rng(0).normal(size=(60, 3))
    model, tiles = SGDClassifier().fit(x, np.arange(60) % 3), TileCoding(2, n_tilings=4).fit(x)
    arrays: dict = {}
    packed, tiled = pack(model, arrays, "m"), pack(tiles, arrays, "t")
    arrays["m/classes_"] = arrays["m/classes_"][:2]
    with pytest.raises(CheckpointError, match="coef_ of the model sgd-classifier has 3 rows for 2 classes"):
        unpack(packed, arrays)
    arrays["t/width_"] = arrays["t/width_"] * np.nan
    with pytest.raises(CheckpointError, match="width_ of the model tile-coding holds no width"):
        unpack(tiled, arrays)


def test_a_library_estimator_that_no_array_can_hold_is_refused_with_the_reason():
    x = np.random.default_rng(0).normal(size=(50, 3))
    with pytest.raises(CheckpointError, match="_loss_function_ is a Hinge"):
        pack(sklearn.linear_model.SGDClassifier().fit(x, (x[:, 0] > 0).astype(int)), {}, "m")


def test_a_file_whose_nodes_lead_outside_is_refused():
    x = np.random.default_rng(0).normal(size=(100, 2))
    for model in (RandomForestClassifier(2), HistGradientBoostingRegressor(max_iter=3)):
        model.fit(x, (x[:, 0] > 0).astype(int))
        arrays: dict = {}
        packed = pack(model, arrays, "m")
        name = next(n for n in arrays if n.endswith("trees_/3"))
        arrays[name] = arrays[name] + 100_000 * (arrays[name] > 0)
        with pytest.raises(CheckpointError, match="refused"):
            unpack(packed, arrays)


# Bad input, in scikit-learn's words.


@pytest.mark.parametrize("model_id", OURS)
def test_bad_input(model_id):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    for method in ("predict", "transform"):
        if hasattr(small(model_id), method):
            with pytest.raises(NotFittedError):
                getattr(small(model_id), method)(x)
    takes_missing = get_tags(small(model_id)).input_tags.allow_nan
    for bad, words in (
        (np.where(np.arange(180).reshape(60, 3) == 7, np.nan, x), "NaN"),
        (np.where(np.arange(180).reshape(60, 3) == 7, np.inf, x), "infinity"),
        (x[:, 0], "Expected 2D array|Reshape your data"),
        (np.zeros((0, 3)), "0 sample"),
        (np.full((60, 3), "a"), "could not convert|numeric|dtype"),
    ):
        if words == "NaN" and takes_missing:
            continue
        with pytest.raises(ValueError, match=words):
            small(model_id).fit(bad, y[: len(bad)])
    if kind_of(small(model_id)) in ("regressor", "classifier"):
        with pytest.raises(ValueError, match="inconsistent"):
            small(model_id).fit(x, y[:50])
    if kind_of(small(model_id)) == "classifier":
        with pytest.raises(ValueError, match="Unknown label type|continuous"):
            small(model_id).fit(x, rng.normal(size=60))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = small(model_id).fit(x, y)
        small(model_id).fit(np.column_stack([x, np.ones(60)]), y)  # a constant column is no harm
    for method in ("predict", "transform"):
        if hasattr(model, method):
            with pytest.raises(ValueError, match="X has 2 features, but"):
                getattr(model, method)(x[:, :2])
            alike = getattr(model, method)(x.astype(np.float32).astype(np.float64))
            assert np.array_equal(getattr(model, method)(x.astype(np.float32)), alike)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Ridge(-1), "'alpha' parameter of Ridge must be a number of 0 or more. Got -1"),
        (KMeans(100), "n_samples=60 should be >= n_clusters=100"),
        (GaussianMixture(100), "n_components = 100"),
        (KNeighborsRegressor(0), "n_neighbors"),
        (SVC(C=0), "'C' parameter"),
        (SVC(kernel="cubic"), "one of linear, rbf, poly"),
        (LogisticRegression(penalty="l3"), "'l2', 'l1', 'elasticnet' or None"),
        (GaussianMixture(covariance_type="round"), "one of full, tied, diag, spherical"),
        (SVC(gamma="big"), "gamma"),
        (SGDClassifier(loss="cubic"), "one of hinge, log_loss, perceptron"),
        (RandomForestClassifier(0), "n_estimators"),
        (RandomForestClassifier(max_features=9), "max_features=9"),
        (HistGradientBoostingRegressor(max_bins=300), "max_bins"),
        (PolynomialFeatures(-1), "degree"),
        (PCA(9), "n_components=9 must be between 1 and"),
        (AgglomerativeClustering(99), "more clusters than samples"),
        (AgglomerativeClustering(linkage="loose"), "one of ward, average, complete, single"),
        (TileCoding(0), "whole numbers of 1 or more"),
        (TileCoding(1000, 8), "more than 1,000,000 features"),
        (TileCoding(bounds=[[0, 0], [1, 1]]), "bounds should be finite, with shape"),
        (FourierBasis(200), "more than 1,000,000 features"),
        (NearestCentroidClusterer(sklearn.cluster.DBSCAN(eps=1e-6)), "all 60 samples are noise"),
        (GaussianProcessRegressor(noise=0), "'noise' parameter"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bad_parameters(model, words):
    x = np.random.default_rng(0).normal(size=(60, 3))
    with pytest.raises(ValueError, match=words):
        clone(model).fit(x, np.arange(60) % 2)


# What each must be able to do.


def test_ours_and_theirs_mix():
    x, y = load_iris(return_X_y=True)
    mixed = sklearn.pipeline.make_pipeline(sklearn.preprocessing.StandardScaler(), PCA(), LogisticRegression())
    search = GridSearchCV(mixed, {"pca__n_components": [1, 2, 3], "logisticregression__C": [0.1, 1.0]}).fit(x, y)
    assert search.best_score_ > 0.94
    other = sklearn.pipeline.make_pipeline(StandardScaler(), sklearn.linear_model.LogisticRegression())
    assert cross_val_score(other, x, y).mean() > 0.94


def test_tiles_are_those_of_the_book():
    """Each grid has one active tile; neighbours share most; the shift is 1/T of a tile a grid (section 9.5.4)."""
    tiles = TileCoding(8, 8, bounds=[[0.0, 0.0], [1.0, 1.0]]).fit(np.zeros((1, 2)))
    codes = tiles.transform(np.array([[0.5, 0.5], [0.5 + 1 / 64 + 1e-9, 0.5], [0.8, 0.1]]))
    assert (codes.sum(axis=1) == 8).all()
    assert codes[0] @ codes[1] == 7
    assert codes[0] @ codes[2] == 0
    assert tiles.n_features_ == 8 * 9 * 9
    assert [set(row) for row in tiles.active([[0.5, 0.5]])] == [set(np.flatnonzero(codes[0]))]


def test_a_fourier_basis_fits_what_waves_can():
    x = np.linspace(0, 1, 200)[:, None]
    model = sklearn.pipeline.make_pipeline(FourierBasis(4), Ridge(1e-8, fit_intercept=False))
    assert model.fit(x, np.cos(3 * np.pi * x[:, 0])).score(x, np.cos(3 * np.pi * x[:, 0])) == pytest.approx(1.0)
    assert FourierBasis(2).fit(np.eye(2)).waves_.tolist() == [[a, b] for a in range(3) for b in range(3)]


def test_a_process_is_unsure_where_it_has_not_been():
    x = np.linspace(0, 5, 25)[:, None]
    model = GaussianProcessRegressor(noise=1e-4).fit(x, np.sin(x[:, 0]))
    mean, deviation = model.predict([[2.5], [30.0]], return_std=True)
    assert mean == pytest.approx([np.sin(2.5), 0.0], abs=0.02)
    assert deviation[0] < 0.05
    assert deviation[1] > 0.5


def test_a_map_keeps_neighbours_together():
    """Units that are neighbours on the grid lie nearer to each other than units at random; the error falls."""
    x = np.random.default_rng(0).uniform(size=(2000, 2))
    small_map = SelfOrganisingMap(6, 6, random_state=0).fit(x)
    units = small_map.cluster_centers_.reshape(6, 6, 2)
    beside = np.linalg.norm(np.diff(units, axis=0), axis=2).mean()
    everywhere = np.linalg.norm(units.reshape(-1, 1, 2) - units.reshape(1, -1, 2), axis=2).mean()
    assert beside < everywhere / 2.5
    assert small_map.quantization_error_ < 0.09
    assert len(np.unique(small_map.labels_)) == 36


def test_moons():
    """Two half moons: neither a line nor k-means tells them apart, a kernel, a tree and density do."""
    x, y = make_moons(400, noise=0.06, random_state=0)
    assert SVC().fit(x, y).score(x, y) > 0.98
    assert RandomForestClassifier(30, random_state=0).fit(x, y).score(x, y) > 0.98
    assert LogisticRegression().fit(x, y).score(x, y) < 0.92
    labels = model_class("dbscan")(0.15).fit_predict(x)
    assert len(np.unique(labels[labels >= 0])) == 2


def test_learning_bit_by_bit_equals_learning_at_once():
    x, y = load_digits(return_X_y=True)
    for model_id in ("standard-scaler", "min-max-scaler", "gaussian-nb"):
        whole, parts = model_class(model_id)().fit(x, y), model_class(model_id)()
        for start in range(0, len(x), 300):
            batch = slice(start, start + 300)
            parts.partial_fit(x[batch], *((y[batch], np.arange(10)) if model_id == "gaussian-nb" else ()))
        method = "predict_proba" if model_id == "gaussian-nb" else "transform"
        if model_id == "gaussian-nb":
            whole.var_ += parts.epsilon_ - whole.epsilon_  # the smoothing follows the first batch
        assert np.allclose(getattr(whole, method)(x), getattr(parts, method)(x), atol=1e-6)


# On the command line, and as pictures.


@pytest.mark.parametrize("model_id", OURS)
def test_show_and_pictures(model_id, tmp_path, capsys):
    assert main(["models", "show", model_id]) == 0
    shown = capsys.readouterr().out
    assert "In reinforcement learning" in shown
    assert "Source:" in shown
    draw(model_id, tmp_path / "picture.png")
    image = matplotlib.image.imread(tmp_path / "picture.png")
    assert len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 20


def test_list_and_compare(tmp_path, capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "gradient-boosting" in listed
    assert "no twin" in listed
    for model_id in ("ridge", "k-means", "pca"):
        path = tmp_path / f"{model_id}.png"
        assert main(["models", "compare", model_id, "-o", str(path)]) == 0
        out = capsys.readouterr().out
        assert "the same answers" in out
        assert path.exists()
    for words in (["compare"], ["show", "k-maens"], ["compare", "tile-coding"]):
        assert main(["models", *words]) == 2
    assert "Did you mean k-means?" in capsys.readouterr().err
    with pytest.raises(UsageError, match="cannot be written"):
        draw("ridge", tmp_path / "picture.xyz")
