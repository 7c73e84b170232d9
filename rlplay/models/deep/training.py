"""What all deep models share: networks from either backend, minibatches, early stopping, learning curves.

An epoch shows every point once, in an order of its own, a minibatch at a time:

    g = ∂loss/∂θ over the minibatch        θ ← one step of the optimiser against g

Epochs end when the loss has not fallen by ``tol`` for ``n_iter_no_change`` of them, or with ``early_stopping`` when
that of points that were held out has not; then the best weights are taken back.

Source: Goodfellow, Bengio & Courville 2016, sections 7.8 and 8.1.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from rlplay.models.common import Floats, require
from rlplay.networks.initialisers import INITIALISERS
from rlplay.networks.layers import ACTIVATIONS, Layer, Linear
from rlplay.networks.losses import loss, loss_kind
from rlplay.networks.network import Network
from rlplay.networks.optimisers import OPTIMISERS

BACKENDS = ("numpy", "torch")
_LONG = 3.0  # seconds after which a fit shows its progress
Step = Callable[[NDArray[np.int64], bool], float]


class DeepModel:
    """Networks, and how they are trained; a mixin. A model says which networks it has by `_layers`.

    Attributes:
        weights_: the parameters of each network, a tuple of float32 [P].
        optimisers_: m, v and t of each network's optimiser.
        layers_: the architecture of each network.
        loss_curve_: mean loss of each epoch.
        validation_losses_: with early stopping, the loss of the points held out after each epoch.
        n_iter_: epochs made.
    """

    batch_size: int | str
    predict_batch_size: int
    learning_rate_init: float
    max_iter: int
    tol: float
    n_iter_no_change: int
    early_stopping: bool
    validation_fraction: float
    max_grad_norm: float
    solver: str
    backend: str
    device: str
    verbose: bool | None
    random_state: Any
    n_features_in_: int
    initialiser = "xavier"
    _most = 200  # points of a minibatch, where it is chosen here

    def _take(self, given: Mapping[str, Any]) -> None:
        """Keep what a constructor was given, unchanged, as scikit-learn asks."""
        for name, value in given.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def _layers(self) -> list[tuple[Sequence[Layer], tuple[int, ...] | None]]:
        """The layers and the input's shape of each network, from parameters and what `fit` has found out."""
        raise NotImplementedError

    def _check(self) -> None:
        """Refuse parameters outside their range."""
        require(
            self,
            batch_size=(
                self.batch_size == "auto" or int(self.batch_size) >= 1,
                "'auto' or a whole number of 1 or more",
            ),
            predict_batch_size=(int(self.predict_batch_size) >= 1, "a whole number of 1 or more"),
            learning_rate_init=(self.learning_rate_init > 0, "a number above 0"),
            max_iter=(int(self.max_iter) >= 1, "a whole number of 1 or more"),
            tol=(self.tol >= 0, "a number of 0 or more"),
            n_iter_no_change=(int(self.n_iter_no_change) >= 1, "a whole number of 1 or more"),
            validation_fraction=(0 < self.validation_fraction < 1, "a share between 0 and 1"),
            max_grad_norm=(self.max_grad_norm >= 0, "a number of 0 or more"),
            solver=(self.solver in OPTIMISERS, f"one of {', '.join(OPTIMISERS)}"),
            backend=(self.backend in BACKENDS, f"one of {', '.join(BACKENDS)}"),
            initialiser=(self.initialiser in INITIALISERS, f"one of {', '.join(INITIALISERS)}"),
        )
        if hasattr(self, "activation"):
            require(self, activation=(self.activation in ACTIVATIONS, f"one of {', '.join(ACTIVATIONS)}"))
        if hasattr(self, "hidden_layer_sizes"):
            sizes = np.ravel(np.asarray(self.hidden_layer_sizes))
            require(self, hidden_layer_sizes=(bool((sizes >= 1).all()), "whole numbers of 1 or more"))

    # Networks.

    def _new_networks(self, seed: int) -> None:
        """Networks with initial weights, the same for both backends."""
        rng = np.random.default_rng(seed)
        self._networks = [self._network(layers, shape, rng) for layers, shape in self._layers()]

    def _network(self, layers: Sequence[Layer], shape: tuple[int, ...] | None, rng: Any) -> Any:
        given: dict[str, Any] = {"input_shape": shape, "optimiser": self.solver, "seed": rng}
        if self.backend == "torch":
            from rlplay.networks.torch_network import TorchNetwork

            return TorchNetwork(layers, device=self.device, initialiser=self.initialiser, **given)
        return Network(layers, initialiser=self.initialiser, **given)

    def networks(self) -> list[Any]:
        """The fitted networks, `Network` or `TorchNetwork`.

        Raises:
            NotFittedError: the model has not been fitted.
            ValueError: the weights are those of another architecture.
        """
        check_is_fitted(self, "weights_")
        found = getattr(self, "_networks", None)
        if found is None:
            self._new_networks(0)
            found = self._networks
            del self._networks  # predicting leaves an estimator as it is
            for network, weights, layers, (m, v, t) in zip(
                found, self.weights_, self.layers_, self.optimisers_, strict=True
            ):
                network.restore({"layers": layers, "parameters": weights, "m": m, "v": v, "t": t})
        return found

    def _keep(self) -> None:
        """What was learned, as arrays: all that a file needs."""
        arrays = [network.arrays() for network in self._networks]
        self.weights_ = tuple(a["parameters"] for a in arrays)
        self.optimisers_ = tuple((a["m"], a["v"], a["t"]) for a in arrays)
        self.layers_ = tuple(a["layers"] for a in arrays)

    def check_fitted(self) -> None:
        """Refuse arrays of a file that do not belong together.

        Raises:
            ValueError: weights of another architecture, or numbers that are not finite.
        """
        if not all(np.isfinite(weights).all() for weights in self.weights_):
            raise ValueError(f"{type(self).__name__}: the weights are not finite")
        self.networks()

    def __getstate__(self) -> dict[str, Any]:
        """Without the networks: they are made again from the arrays."""
        state = dict(super().__getstate__())  # type: ignore[call-overload]
        state.pop("_networks", None)
        return state

    # Training.

    def _batch(self, n: int) -> int:
        """Points of a minibatch.

        Raises:
            ValueError: more than there are.
        """
        if self.batch_size == "auto":
            return min(self._most, n)
        if int(self.batch_size) > n:
            raise ValueError(
                f"batch_size={self.batch_size} is larger than the data: {type(self).__name__} has {n} samples to learn "
                'from. Take batch_size="auto", or a smaller one.'
            )
        return int(self.batch_size)

    def _descend(self, network: Any, penalty: Floats | None = None) -> None:
        """One step of a network against its gradient, to which that of a penalty, times the parameters, is added."""
        if penalty is not None:
            network.add_to_gradient(penalty * network.parameters)
        network.improve(self.learning_rate_init, self.max_grad_norm)

    def _begin(self, whole: bool) -> list[Any]:
        """The networks to train: new ones for a whole fit, and for more of it those that are there."""
        self._check()
        if whole or not hasattr(self, "weights_"):
            self._new_networks(check_random_state(self.random_state).randint(2**31 - 1))
            self._keep()
        self._networks = self.networks()
        return self._networks

    def _run(self, n: int, step: Step, whole: bool = True) -> None:
        """Epochs over n points (one, where it is not a whole fit); ``step(rows, learn)`` gives a mean loss, and learns.

        Raises:
            ValueError: the loss is not finite; names the step. The weights of the last epoch are kept.
        """
        rng, epochs = check_random_state(self.random_state), int(self.max_iter) if whole else 1
        order, held = rng.permutation(n), np.zeros(0, np.int64)
        if self.early_stopping and whole:
            held = order[: max(1, round(n * self.validation_fraction))]
            order = order[len(held) :]
            if len(order) < 1:
                raise ValueError(f"early_stopping needs 2 samples or more, and there are {n}")
            self.validation_losses_: list[float] = []
        batch, done, worse, best, kept = self._batch(len(order)), 0, 0, np.inf, None
        if whole or not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
        self._keep()
        with _Progress(type(self).__name__, epochs, self.verbose) as progress:
            for _ in range(epochs):
                order, total = rng.permutation(order), 0.0
                for begin in range(0, len(order), batch):
                    rows = order[begin : begin + batch]
                    value, done = step(rows, True), done + 1
                    if not np.isfinite(value):
                        self._networks = self._give_back()
                        raise ValueError(
                            f"{type(self).__name__}: the loss is {value} at step {done} (epoch "
                            f"{len(self.loss_curve_) + 1}). The weights of the last epoch are kept. Take a "
                            f"learning_rate_init below {self.learning_rate_init:g}, max_grad_norm=1, or columns of "
                            "deviation 1."
                        )
                    total += value * len(rows)
                self.loss_curve_.append(float(total / len(order)))
                watched = self.loss_curve_[-1]
                if len(held):
                    watched = float(step(held, False))
                    self.validation_losses_.append(watched)
                worse = worse + 1 if watched > best - self.tol else 0
                if watched < best:
                    best = watched
                    kept = [network.parameters.copy() for network in self._networks] if len(held) else None
                progress(len(self.loss_curve_), self.loss_curve_[-1])
                self._keep()
                if whole and worse >= self.n_iter_no_change:
                    break
        if kept is not None:
            for network, weights in zip(self._networks, kept, strict=True):
                network.restore({**network.arrays(), "parameters": weights})
        self._keep()
        self.n_iter_ = len(self.loss_curve_)

    def _give_back(self) -> list[Any]:
        del self._networks
        return self.networks()

    def _in_parts(self, answer: Callable[[Any], Floats], *arrays: NDArray[Any]) -> Floats:
        """Answers for many points, ``predict_batch_size`` at a time."""
        most = int(self.predict_batch_size)
        return np.concatenate(
            [answer(*(a[k : k + most] for a in arrays)) for k in range(0, len(arrays[0]), most)]
        ).astype(np.float64)


def weights_only(layers: Sequence[Layer]) -> Floats:
    """1 for each weight of a linear layer, 0 for all other parameters, [P]."""
    parts = [np.zeros(layer.size(), np.float32) for layer in layers]
    for part, layer in zip(parts, layers, strict=True):
        if isinstance(layer, Linear):
            part[: layer.n_in * layer.n_out] = 1
    return np.concatenate(parts)


def loss_of(kind: str, outputs: NDArray[Any], targets: NDArray[Any], weights: Any = None) -> tuple[float, NDArray[Any]]:
    """The mean loss of outputs [..., K], and its gradient of the same shape; weights [...] are 0 for padding."""
    flat = np.ascontiguousarray(outputs.reshape(-1, outputs.shape[-1]))
    goal = np.ascontiguousarray(targets.reshape(len(flat), -1), flat.dtype)
    share = np.ones(len(flat), flat.dtype) if weights is None else np.ascontiguousarray(np.ravel(weights), flat.dtype)
    gradient = np.empty_like(flat)
    value = loss(loss_kind(kind), flat, goal, share, gradient)
    return float(value), gradient.reshape(outputs.shape)


class _Progress(AbstractContextManager["_Progress"]):
    """A bar on the error stream for fits that take long: always, never, or (None) where somebody sees it."""

    def __init__(self, name: str, epochs: int, verbose: bool | None) -> None:
        self._name, self._epochs, self._start = name, epochs, time.perf_counter()
        self._bar: Any = None
        self._wanted = sys.stderr.isatty() if verbose is None else bool(verbose)
        self._patience = 0.0 if verbose else _LONG

    def __call__(self, epoch: int, value: float) -> None:
        if not self._wanted or time.perf_counter() - self._start < self._patience:
            return
        if self._bar is None:
            self._bar = self._new_bar()
            self._task = self._bar.add_task(self._name, total=self._epochs, value=value)
        self._bar.update(self._task, completed=epoch, value=value)

    def _new_bar(self) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("epochs"),
                       TextColumn("loss {task.fields[value]:.4g}"), TimeRemainingColumn(),
                       console=Console(stderr=True))  # fmt: skip
        bar.start()
        return bar

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
