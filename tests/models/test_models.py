"""Models from scratch: scikit-learn's contract, the same answers as the library twin, and sample functions."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster
import sklearn.decomposition
import sklearn.ensemble
import sklearn.tree
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from rlplay.approximation.estimators import over_batch, sample_function
from rlplay.approximation.packing import pack, unpack
from rlplay.errors import CheckpointError
from rlplay.models import twin
from rlplay.models.names import model_class
from rlplay.models.references import expected_failed_checks
from rlplay.models.supervised import DecisionTreeRegressor, ExtraTreesRegressor
from rlplay.models.unsupervised import PCA, KMeans

OURS = [KMeans(3), PCA(), PCA(whiten=True), DecisionTreeRegressor(), ExtraTreesRegressor(5)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(OURS, expected_failed_checks=expected_failed_checks)
def test_scikit_learns_contract(estimator, check):
    check(estimator)


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(600, 4)) * [1, 2, 3, 4]


def test_k_means_from_the_same_centres_gives_scikit_learns_labels(points):
    first = points[:20].copy()
    ours = KMeans(20, init=first).fit(points)
    twin = sklearn.cluster.KMeans(20, init=first, n_init=1).fit(points)
    assert np.array_equal(ours.labels_, twin.labels_)
    assert np.allclose(ours.cluster_centers_, twin.cluster_centers_, atol=1e-8)
    assert ours.inertia_ == pytest.approx(twin.inertia_, rel=1e-10)
    assert np.allclose(ours.transform(points), twin.transform(points), atol=1e-8)


def test_k_means_plus_plus_finds_separate_blobs():
    blobs = np.repeat([[0.0, 0.0], [50.0, 0.0], [0.0, 50.0], [50.0, 50.0]], 25, axis=0)
    blobs += np.random.default_rng(1).normal(size=blobs.shape)
    for seed in range(20):
        assert KMeans(4, random_state=seed).fit(blobs).inertia_ < 2.5 * len(blobs)


def test_k_means_gives_an_empty_cluster_the_farthest_point():
    x = np.array([[0.0], [1.0], [2.0], [100.0]])
    centres = KMeans(2, init=np.array([[50.0], [-1000.0]])).fit(x).cluster_centers_
    assert sorted(centres.ravel().tolist()) == [1.0, 100.0]


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("components", [2, 0.7, None])
def test_pca_equals_scikit_learns(points, components, whiten):
    ours = PCA(components, whiten=whiten).fit(points)
    twin = sklearn.decomposition.PCA(components, whiten=whiten).fit(points)
    assert np.allclose(ours.transform(points), twin.transform(points), atol=1e-8)
    assert np.allclose(ours.explained_variance_ratio_, twin.explained_variance_ratio_)
    assert np.allclose(ours.inverse_transform(ours.transform(points)), twin.inverse_transform(twin.transform(points)))
    assert ours.noise_variance_ == pytest.approx(twin.noise_variance_)


@pytest.mark.parametrize("components", [1, 2, None])
def test_densities_of_pca_equal_scikit_learns(points, components):
    ours, twin = PCA(components).fit(points), sklearn.decomposition.PCA(components).fit(points)
    assert np.allclose(ours.score_samples(points), twin.score_samples(points))
    assert ours.score(points) == pytest.approx(twin.score(points))
    chosen = [GridSearchCV(model, {"n_components": [1, 2, 3]}, cv=3).fit(points) for model in (PCA(), twin)]
    assert chosen[0].best_params_ == chosen[1].best_params_


def test_points_without_spread_have_no_density():
    flat = np.column_stack([np.arange(5.0), np.ones(5)])
    with pytest.raises(ValueError, match="do not vary along a direction"):
        PCA().fit(flat).score(flat)


@pytest.mark.parametrize("solver", ["auto", "full", "covariance_eigh", "randomized"])
@pytest.mark.parametrize("shape", [(620, 40), (40, 620)])
def test_pca_by_each_solver_equals_scikit_learns(shape, solver):
    if solver == "covariance_eigh" and shape[0] < shape[1]:
        pytest.skip("the twin's noise counts directions that the points do not span")
    x = np.random.default_rng(0).normal(size=shape) * np.sqrt(np.arange(shape[1]) + 1.0) + 5.0
    ours = PCA(4, svd_solver=solver, random_state=0).fit(x)
    twin = sklearn.decomposition.PCA(4, svd_solver=solver, random_state=0).fit(x)
    for name in ("components_", "singular_values_", "explained_variance_ratio_", "noise_variance_"):
        assert np.allclose(getattr(ours, name), getattr(twin, name), rtol=1e-10, atol=1e-10), name
    assert np.allclose(ours.transform(x), twin.transform(x), atol=1e-9)


def test_tree_equals_scikit_learns_where_splits_are_not_tied(points):
    x = points.astype(np.float32).astype(np.float64)  # scikit-learn's trees see float32
    y = np.sin(x[:, 0]) + x[:, 1] ** 2
    ours = DecisionTreeRegressor(max_depth=5).fit(x, y)
    twin = sklearn.tree.DecisionTreeRegressor(max_depth=5, random_state=0).fit(x, y)
    assert len(ours.trees_.feature) == twin.tree_.node_count
    assert np.allclose(ours.predict(x), twin.predict(x), atol=1e-12)
    assert np.array_equal(ours.apply(x) == ours.apply(x)[0], twin.apply(x) == twin.apply(x)[0])


def test_a_full_tree_knows_its_training_rows_and_leaves_keep_their_size(points):
    y = points[:, 0] * 3
    assert np.allclose(DecisionTreeRegressor().fit(points, y).predict(points), y)
    leaves = DecisionTreeRegressor(min_samples_leaf=20).fit(points, y).apply(points)
    assert np.unique(leaves, return_counts=True)[1].min() >= 20


def test_extra_trees_predict_as_well_as_scikit_learns():
    x, y = load_diabetes(return_X_y=True)
    ours = cross_val_score(ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0), x, y).mean()
    twin = cross_val_score(sklearn.ensemble.ExtraTreesRegressor(100, min_samples_leaf=3, random_state=0), x, y).mean()
    assert ours == pytest.approx(twin, abs=0.02)


def test_ours_and_theirs_mix_in_pipelines_and_searches():
    x, y = load_iris(return_X_y=True)
    search = GridSearchCV(make_pipeline(StandardScaler(), PCA(), DecisionTreeRegressor(random_state=0)),
                          {"pca__n_components": [1, 2], "decisiontreeregressor__max_depth": [2, 4]})  # fmt: skip
    shuffled = np.random.default_rng(0).permutation(len(x))
    assert search.fit(x[shuffled], y[shuffled].astype(float)).best_score_ > 0.8
    labels = make_pipeline(StandardScaler(), KMeans(3, random_state=0)).fit_predict(x)
    assert len(np.unique(labels)) == 3


@pytest.mark.parametrize("model", [DecisionTreeRegressor(max_depth=6), ExtraTreesRegressor(7, random_state=0)])
def test_sample_functions_of_regressors_equal_predict(points, model):
    model = clone(model).fit(points, points[:, 1] - points[:, 2])
    function, codes = sample_function(model, "predict")
    assert np.allclose(over_batch(function)(codes, points), model.predict(points), atol=1e-12)


def test_sample_functions_of_features_equal_predict_and_transform(points):
    clusters = KMeans(9, random_state=0).fit(points)
    function, codes = sample_function(clusters, "predict")
    assert [function(codes, x) for x in points] == clusters.predict(points).tolist()
    for model, width in ((clusters, 9), (PCA(3, whiten=True).fit(points), 3)):
        function, codes = sample_function(model, "transform")
        out = np.zeros(width, np.float32)
        function(codes, points[5], out)
        assert np.allclose(out, model.transform(points[5:6])[0], rtol=1e-5)


class Middle:
    """A regressor of fifteen lines that knows nothing of scikit-learn."""

    def __init__(self, share=0.5):
        self.share = share

    def get_params(self, deep=True):
        return {"share": self.share}

    def set_params(self, **parameters):
        for name, value in parameters.items():
            setattr(self, name, value)
        return self

    def fit(self, X, y):
        self.value_ = np.quantile(y, self.share)
        return self

    def predict(self, X):
        return np.full(len(X), self.value_)


@pytest.mark.parametrize(
    "model",
    [
        ExtraTreesRegressor(3, random_state=0),
        sklearn.ensemble.ExtraTreesRegressor(3, random_state=0),
        sklearn.ensemble.RandomForestRegressor(3, random_state=0),
        make_pipeline(StandardScaler(), sklearn.tree.DecisionTreeRegressor(max_depth=3)),
    ],
    ids=lambda model: type(model).__module__ + type(model).__name__,
)
def test_regressors_come_back_from_arrays(points, model):
    model = clone(model).fit(points, points[:, 0])
    arrays: dict = {}
    again = unpack(pack(model, arrays, "m"), arrays)
    assert np.array_equal(model.predict(points), again.predict(points))


@pytest.mark.parametrize(
    "model",
    [KMeans(4), PCA(2), sklearn.cluster.KMeans(4), sklearn.cluster.MiniBatchKMeans(4), sklearn.decomposition.PCA(2)],
    ids=lambda model: type(model).__module__ + type(model).__name__,
)
def test_features_come_back_from_arrays(points, model):
    model = clone(model).fit(points)
    arrays: dict = {}
    again = unpack(pack(model, arrays, "m"), arrays)
    assert np.array_equal(model.transform(points), again.transform(points))


def test_a_class_without_an_id_is_saved_and_not_imported_by_a_file(points):
    arrays: dict = {}
    packed = pack(Middle().fit(points, points[:, 0]), arrays, "m")
    with pytest.raises(CheckpointError, match="may not cause an import"):
        unpack(packed, arrays)


def test_what_no_array_can_hold_is_named(points):
    model = sklearn.tree.DecisionTreeRegressor().fit(points, points[:, 0])
    model.hook_ = lambda: 0
    with pytest.raises(CheckpointError, match=r"DecisionTreeRegressor\.hook_"):
        pack(model, {}, "m")


@pytest.mark.parametrize("model", [ExtraTreesRegressor(2), sklearn.tree.DecisionTreeRegressor()])
def test_trees_that_lead_outside_themselves_are_refused(points, model):
    model, arrays = clone(model).fit(points, points[:, 0]), {}
    packed = pack(model, arrays, "m")
    name = next(n for n in arrays if n.endswith(("/3", "left_child")))
    arrays[name] = arrays[name] + 100_000 * (arrays[name] > 0)
    with pytest.raises(CheckpointError, match="refused"):
        unpack(packed, arrays)


# Targets of one column, of several, and points beyond all sizes.


@pytest.mark.parametrize(
    "model_id", ["linear-regression", "ridge", "lasso", "k-neighbors-regressor", "kernel-ridge", "mlp", "decision-tree"]
)
@pytest.mark.filterwarnings("ignore")
def test_answers_have_the_twins_shape(points, model_id):
    x, y = points[:40], points[:40, 0]
    model = model_class(model_id)(**({"max_iter": 1} if model_id == "mlp" else {}))
    for goal in (y, y[:, None], np.column_stack([y, -y])):
        try:
            ours = clone(model).fit(x, goal).predict(x)
        except ValueError as error:
            assert "1d array" in str(error)  # noqa: PT017 - one target only, which is said
            continue
        theirs = twin(model).fit(x, goal).predict(x)
        assert ours.shape == theirs.shape
        assert model_id == "mlp" or np.allclose(ours, theirs)


@pytest.mark.parametrize(
    "model_id",
    ["ridge", "lasso", "elastic-net", "kernel-ridge", "gaussian-process", "kernel-pca", "gaussian-mixture"],
)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid", "ignore:An ill-conditioned", "ignore:.*converge")
def test_numbers_whose_squares_are_beyond_float64_give_no_model(points, model_id):
    x = points[:40].copy()
    x[3, 1] = 1e300
    with pytest.raises(ValueError, match="squares of it are beyond float64"):
        model_class(model_id)().fit(x, points[:40, 0])
