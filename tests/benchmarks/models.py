"""Every model from scratch beside its twin, on one core: python tests/benchmarks/models.py [-o docs/models.md]

OPENBLAS_CORETYPE is unset before NumPy starts, since some machines set it to an older processor. Both contenders take
turns; the fastest of three rounds counts. Peak memory is the growth of a forked process while it fits.

The second table has sizes at which a model can fall behind: `--at-size` prints that table alone, of the models named.
There both are warmed, and the medians of processor time count, so that whatever else the machine does counts less.
"""

from __future__ import annotations

import os

os.environ.pop("OPENBLAS_CORETYPE", None)
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_variable] = "1"

import argparse
import ctypes
import gc
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.estimator_checks import check_estimator

from rlplay import registry
from rlplay.models.names import model_class
from rlplay.models.references import REFERENCES, WITHOUT
from rlplay.reports.model_comparison import PARITY, Parity, Speed, data_sets, five_fold, kind_of, pair, parity, speeds

# Points, columns, and parameters of the timed fit.
TIMED: dict[str, tuple[int, int, dict[str, Any]]] = {
    "decision-tree": (50_000, 10, {"random_state": 0}),
    "decision-tree-classifier": (50_000, 10, {"random_state": 0}),
    "random-forest": (20_000, 10, {"n_estimators": 20, "random_state": 0}),
    "random-forest-classifier": (20_000, 10, {"n_estimators": 20, "random_state": 0}),
    "extra-trees": (20_000, 10, {"n_estimators": 20, "random_state": 0}),
    "extra-trees-classifier": (20_000, 10, {"n_estimators": 20, "random_state": 0}),
    "gradient-boosting": (50_000, 10, {}),
    "gradient-boosting-classifier": (50_000, 10, {}),
    "k-neighbors-regressor": (50_000, 4, {}),
    "k-neighbors-classifier": (50_000, 4, {}),
    "svc": (4_000, 10, {}),
    "kernel-ridge": (2_000, 10, {"kernel": "rbf"}),
    "gaussian-process": (1_500, 10, {"optimize": False}),
    "kernel-pca": (1_500, 10, {"n_components": 5, "kernel": "rbf"}),
    "nystroem": (50_000, 10, {"random_state": 0}),
    "random-fourier": (50_000, 10, {"random_state": 0}),
    "k-means": (100_000, 16, {"n_clusters": 32, "init": "rows", "n_init": 1, "max_iter": 30, "tol": 0.0}),
    "mini-batch-k-means": (100_000, 16, {"n_clusters": 32, "random_state": 0}),
    "gaussian-mixture": (40_000, 8, {"n_components": 8, "random_state": 0, "tol": 0.0, "max_iter": 20}),
    "agglomerative": (3_000, 4, {"n_clusters": 8}),
    "dbscan": (10_000, 2, {"eps": 0.1}),
    "sgd-regressor": (50_000, 20, {"max_iter": 20, "tol": None, "random_state": 0}),
    "sgd-classifier": (50_000, 20, {"max_iter": 20, "tol": None, "random_state": 0}),
    "perceptron": (50_000, 20, {"max_iter": 20, "tol": None, "random_state": 0}),
    "fast-ica": (20_000, 10, {"n_components": 5, "random_state": 0}),
    "polynomial-features": (50_000, 10, {}),
    "mlp": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "mlp-classifier": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "cnn-classifier": (2_000, 64, {"image_shape": (8, 8), "max_iter": 3, "random_state": 0}),
    "autoencoder": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "denoising-autoencoder": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "vae": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "random-network-distillation": (10_000, 20, {"max_iter": 10, "random_state": 0}),
    "sequence-forecaster": (1_000, 128, {"step_size": 4, "max_iter": 3, "random_state": 0}),
    "lstm-autoencoder": (1_000, 128, {"step_size": 4, "hidden_size": 64, "max_iter": 3, "random_state": 0}),
    "gru-autoencoder": (1_000, 128, {"step_size": 4, "hidden_size": 64, "max_iter": 3, "random_state": 0}),
    "encoder-decoder": (1_000, 128, {"step_size": 4, "max_iter": 3, "random_state": 0}),
}
USUAL: tuple[int, int, dict[str, Any]] = (50_000, 20, {})
# Parameters under which ten columns are no trouble to scikit-learn's checks.
SMALL: dict[str, dict[str, Any]] = {
    "tile-coding": {"n_tiles": 2, "n_tilings": 4}, "fourier-basis": {"order": 1}, "rbf-grid": {"n_centers": 2},
    "self-organising-map": {"rows": 2, "columns": 2}, "k-means": {"n_clusters": 3},
    "mini-batch-k-means": {"n_clusters": 3}, "random-forest": {"n_estimators": 5},
    "random-forest-classifier": {"n_estimators": 5}, "extra-trees": {"n_estimators": 5},
    "extra-trees-classifier": {"n_estimators": 5}, "encoder-decoder": {"hidden_size": 32},
    "cnn-classifier": {"channels": (4,), "hidden_layer_sizes": (16,), "max_iter": 20, "learning_rate_init": 0.01},
}  # fmt: skip
# Parameters under which five folds over all data sets take seconds: both with the same.
FOLDS: dict[str, dict[str, Any]] = {
    "cnn-classifier": {"channels": (8,), "max_iter": 5}, "encoder-decoder": {"hidden_size": 16, "max_iter": 20},
}  # fmt: skip
SEEDS = {"decision-tree": 40}  # over which scores are averaged where chance enters; 5 for the others
# What the issue asks of: fit, predict or transform, one row.
ASKED = {
    "decision-tree": (5.0, None, 50), "decision-tree-classifier": (5.0, None, None), "k-means": (1.0, None, 50),
    "mini-batch-k-means": (1.0, None, 50), "sgd-regressor": (1.0, None, 50), "sgd-classifier": (1.0, None, None),
    "extra-trees": (1.0, None, 50), "extra-trees-classifier": (1.0, None, None), "random-forest": (None, None, 50),
    "gaussian-mixture": (1.0, None, None), "gradient-boosting": (0.7, None, None),
    "gradient-boosting-classifier": (0.7, None, None), "k-neighbors-regressor": (None, 0.5, None),
    "k-neighbors-classifier": (None, 0.5, None), "svc": (0.3, None, None), "pca": (0.9, None, None),
    "ridge": (0.9, None, 50), "linear-regression": (None, None, 50), "kernel-ridge": (0.9, None, None),
    "gaussian-process": (0.9, None, None), "kernel-pca": (0.9, None, None), "nystroem": (0.9, None, None),
}  # fmt: skip


class Size(NamedTuple):
    """A size at which a model is timed: its points, columns, parameters, and numbers.

    ``why`` is the reason, said where ours is slower than 0.9 of the twin's speed.
    """

    model: str
    n: int
    d: int
    given: Mapping[str, Any] = {}
    classes: int = 0
    dtype: type = np.float64
    why: str = ""


_OWN = "fit: ours copies the points, the twin keeps the caller's array"
_LISTED = "fit: ours lists the monomials then, the twin when it is asked for them"
_FLOAT64 = "ours sums derivatives in float64, the twin in float32"
_FLOAT32 = "ours answers in float64, as all models here; the twin in float32, half the memory to move"
SIZES = (
    Size("pca", 2_000, 2_000, {"n_components": 10, "random_state": 0}),
    Size("pca", 500, 5_000, {"n_components": 10, "random_state": 0}),
    Size("logistic-regression", 100_000, 20, classes=5),
    Size("agglomerative", 8_000, 4, {"n_clusters": 8}),
    Size("gradient-boosting", 1_000_000, 10, why=_FLOAT64),
    Size("k-neighbors-regressor", 50_000, 4),
    Size("k-neighbors-regressor", 20_000, 20, why=_OWN),
    Size("k-neighbors-regressor", 20_000, 50, why=_OWN),
    Size("svc", 20_000, 10, classes=2),
    Size("elastic-net", 500, 2_000, {"alpha": 0.1}),
    Size("lasso", 500, 2_000, {"alpha": 0.05}),
    Size("extra-trees", 50_000, 10, {"n_estimators": 20, "random_state": 0}),
    Size("extra-trees-classifier", 50_000, 10, {"n_estimators": 20, "random_state": 0}, 3),
    Size("min-max-scaler", 1_000_000, 10),
    Size("min-max-scaler", 1_000_000, 10, dtype=np.float32, why=_FLOAT32),
    Size("polynomial-features", 50_000, 10),
    Size("polynomial-features", 50_000, 10, {"degree": 3}, why=_LISTED),
)


def points(n: int, d: int, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Points [N, D] around 20 centres and what is to be learned: a wave and a product, or which of three parts."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d)) + rng.normal(size=(20, d))[rng.integers(20, size=n)]
    x = x.astype(np.float32).astype(np.float64)  # scikit-learn's trees see float32
    y = np.sin(x[:, 0]) + x[:, 1] * x[:, min(2, d - 1)] + 0.1 * rng.normal(size=n)
    return x, y if kind != "classifier" else (y > 0).astype(int) + (y > 1)


def growth(model: Any, x: np.ndarray, y: np.ndarray) -> float:
    """MiB by which a process grows at most while a model is fitted (Linux)."""
    read, write = os.pipe()
    if os.fork() == 0:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # what is free must not be there to be used again
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = peak()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        os.write(write, str(peak() - before).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.wait()
    return int(text or 0) / 1024


def peak() -> int:
    """The greatest size of this process so far, in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def checks(model_id: str) -> str:
    """How many of scikit-learn's checks pass, of how many."""
    small = SMALL.get(model_id, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(model_class(model_id)(**small), on_fail=None, on_skip=None)
    passed = sum(r["status"] == "passed" for r in results)
    return f"{passed}/{sum(r['status'] != 'skipped' for r in results)}"


def starts() -> str:
    """Seconds and compilations of a new process that fits every model, first and second start."""
    code = (
        "import time, warnings, numpy as np; warnings.simplefilter('ignore'); start = time.perf_counter()\n"
        "from rlplay import registry; from rlplay.models.names import model_class\n"
        "from rlplay.compiled.cache import compile_report\n"
        "x = np.random.default_rng(0).normal(size=(100, 3)); y = (x[:, 0] > 0).astype(int)\n"
        "for m in registry.model_ids(): model_class(m)().fit(x, y)\n"
        "print(f'{time.perf_counter() - start:.1f} s, {compile_report()[\"compiled\"]} functions compiled')"
    )
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "RLPLAY_CACHE_DIR": folder}
        run = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
               for _ in range(2)]  # fmt: skip
    first, second = (done.stdout.strip() for done in run)
    return f"a new process that fits every model once: first start {first}, second {second}"


def row(model_id: str) -> str:
    """One line of the table."""
    kind = kind_of(model_class(model_id)())
    cells = [f"`{model_id}`", checks(model_id)]
    if model_id in WITHOUT:
        return "| " + " | ".join([*cells, "no twin", "", "", "", "", "", ""]) + " |"
    rules, gap = PARITY.get(model_id, Parity()), parity(model_id)
    cells.append("chance" if gap is None else f"{gap:.0e} ({rules.what})" if gap else f"equal ({rules.what})")
    if kind in ("regressor", "classifier"):
        chance = "random_state" in model_class(model_id)().get_params()
        scores = []
        for seed in range(SEEDS.get(model_id, 5) if chance else 1):
            given = {**FOLDS.get(model_id, {}), **({"random_state": seed} if chance else {})}
            ours, theirs = pair(model_id, **given)
            scores += [(five_fold(ours, x, y), five_fold(theirs, x, y)) for x, y in data_sets(kind).values()]
        cells += [f"{np.mean([s[k] for s in scores]):.3f}" for k in (0, 1)]
    else:
        cells += ["", ""]
    n, d, given = TIMED.get(model_id, USUAL)
    x, y = points(n, d, kind)
    given = {**given, **({"init": x[: given["n_clusters"]].copy()} if given.get("init") == "rows" else {})}
    ours, theirs = pair(model_id, **given)
    found = speeds(ours, theirs, x, y)
    asked = ASKED.get(model_id, (None, None, None))
    for what, wanted in zip(("fit", "predict", "one row"), asked, strict=True):
        speed = found.get(what) or (found.get("transform") if what == "predict" else None)
        words = "" if speed is None else f"{speed.ratio:.2f}" if speed.ratio < 20 else f"{speed.ratio:.0f}"
        cells.append(words + (f" (asked {wanted:g})" if wanted else ""))
    cells.append(f"{growth(ours, x, y):.0f} / {growth(theirs, x, y):.0f}")
    return "| " + " | ".join(cells) + " |"


def processor_times(ours: Callable[[], Any], theirs: Callable[[], Any]) -> Speed:
    """The medians of 3 to 30 rounds of each, in turns, after one that does not count."""
    times: list[tuple[float, float]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while len(times) < 4 or (len(times) < 31 and sum(map(sum, times)) < 5.0):
            start = time.process_time()
            ours()
            middle = time.process_time()
            theirs()
            times.append((middle - start, time.process_time() - middle))
    return Speed(*(float(np.median(side)) for side in zip(*times[1:], strict=True)))


def milliseconds(seconds: float) -> str:
    """Three digits or more."""
    return f"{1e3 * seconds:,.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def at_size(size: Size) -> str:
    """One line of the second table."""
    x, y = points(size.n, size.d, "regressor")
    if size.classes:
        y = np.digitize(y, np.quantile(y, np.arange(1, size.classes) / size.classes))
    x = x.astype(size.dtype)
    ours, theirs = pair(size.model, **size.given)
    cells = [f"`{size.model}`", f"{size.n:,} x {size.d:,}" + (" float32" if size.dtype == np.float32 else "")]
    said = [f"{key}={value}" for key, value in size.given.items() if key != "random_state"]
    cells.append(", ".join([f"{size.classes} classes"] * bool(size.classes) + said))
    method = "predict" if hasattr(ours, "predict") else "transform"
    slow = False
    for call in ("fit", method):
        if not hasattr(theirs, call):
            cells.append("")
            continue
        given = (x, y) if call == "fit" else (x,)
        speed = processor_times(partial(getattr(ours, call), *given), partial(getattr(theirs, call), *given))
        cells.append(f"{speed.ratio:.2f} ({milliseconds(speed.ours)} / {milliseconds(speed.theirs)} ms)")
        slow = slow or speed.ratio < 0.9
    return "| " + " | ".join([*cells, size.why if slow else ""]) + " |"


HEAD = """# The models, beside their twins

Written by `taskset -c 1 python tests/benchmarks/models.py -o docs/models.md`; one thread, an AMD EPYC, Python 3.11,
numba 0.68, NumPy 2.4, scikit-learn 1.9, torch 2.13.

`checks` are scikit-learn's own (`check_estimator`) that pass, of those that apply. `same answers` is the greatest
difference from the twin's answers from the same start, relative to their size. Scores are means of five folds, over
iris, wine, breast cancer and digits, or diabetes, and over 5 seeds or more where chance enters. Speeds are how many
times as fast ours is as the twin, in one run; `one row` is ours compiled against one row through the twin's call. The
twins of deep models that scikit-learn does not have are themselves over torch, with small settings for the scores.
Memory is what a process grows by at most while fitting, in MiB.

Checks that do not pass are declared, with the reason: `check_estimator(model,
expected_failed_checks=rlplay.models.references.expected_failed_checks(model))`. They are those of weights where points
are drawn or come in an order (the twins declare them too), the clusters of a self-organising map, whose units may hold
no points, and tiles, waves and bumps over the ten columns of two checks, which are more features than fit (the table
has them with small grids).

What ours do that the twins do not, and the other way round:

* Weights of points and classes, missing values in trees and boosting, and one class only are taken where the twin takes
  them. Sparse matrices are refused. Boosting refuses infinity, which its twin takes.
* Points are centred first, so a mixture, PCA, k-means, distances, radial kernels and logistic regression say the same
  at 1e8 as around 0. Least squares keep columns of 1e-6 beside others of 1e6, which the twin drops.
* Whole numbers are points like others: scikit-learn 1.9 cuts a mixture's log-densities of them to whole numbers.
* A column is constant for the min-max and the robust scaler where it varies by no more than rounding; their twins call
  each column so that varies by less than 2e-15.
* SGD: "points in order" means `shuffle=False`. Shuffled, the orders are other random numbers, and the weights differ as
  the twin's do between two seeds: by more than half where many weights separate the classes.
* Trees compare float64, their twins float32 up to 1e-7. Of equally good splits both take one by chance, so scores
  differ.
* Of neighbours at equal distances the first in the data is taken; the twin's choice depends on how its tree was
  divided. Hierarchical clustering breaks ties as its twin.
* A mixture from `weights_init`, `means_init` and `precisions_init` is the twin's. From `means_init` alone the twin
  takes its first covariances from a k-means of its own, whatever the order of its clusters; ours from the points
  nearest to each mean.
* The sigmoid is no inner product: a support vector machine then has several minima, and the two may find different
  ones.
* A hidden Markov model has no twin in scikit-learn. Of hmmlearn's, with the same parameters, it has the likelihoods,
  beliefs and paths to 1e-9, and from the same start the same model (tests, where hmmlearn is installed).
* `SVC(probability=True)` divides its five folds by other random numbers.

| model | checks | same answers | score | twin's | fit | predict | one row | memory, ours / twin's |
|---|---|---|---|---|---|---|---|---|
"""


SIZES_HEAD = """
## At size

Written by `taskset -c 1 python tests/benchmarks/models.py --at-size`: how many times as fast ours is as the twin, with
the milliseconds of both, in one run, one thread each (`OPENBLAS_CORETYPE` unset), both warmed, medians of processor
time, on an AMD EPYC with AVX-512 that other work shared. PCA's solver is the one that both choose
(`svd_solver="auto"`). Gradient boosting is level with its twin, 0.88 to 1.02 in several runs: ours sums derivatives in
float64, the twin in float32, and histograms take 7 % longer.

| model | points | with | fit | predict or transform | where it is slower |
|---|---|---|---|---|---|
"""


def table_of_sizes(models: Sequence[str]) -> str:
    """The second table."""
    print(SIZES_HEAD, end="")
    lines = []
    for size in SIZES:
        if size.model in models:
            lines.append(at_size(size))
            print(lines[-1], flush=True)
    return SIZES_HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Print the table; write it with -o."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--at-size", action="store_true")
    parser.add_argument("models", nargs="*", default=[*REFERENCES, *WITHOUT])
    arguments = parser.parse_args()
    assert set(arguments.models) <= set(registry.model_ids())
    if arguments.at_size:
        table_of_sizes(arguments.models)
        return
    lines = []
    print(HEAD, end="")
    for model_id in arguments.models:
        lines.append(row(model_id))
        print(lines[-1], flush=True)
    ending = f"\nA{starts()[1:]}.\n"
    print(ending)
    sizes = table_of_sizes(arguments.models)
    if arguments.output:
        arguments.output.write_text(HEAD + "\n".join(lines) + "\n" + ending + sizes, encoding="utf-8")


if __name__ == "__main__":
    main()
