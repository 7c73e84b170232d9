"""What all deep models share: their training arguments, networks of either backend, minibatches, early stopping.

An epoch shows every example once, in a new order, one minibatch at a time:

    g = ∂loss/∂θ over the minibatch        θ ← one step of the optimiser against g

Training ends when the loss has not fallen by ``tol`` for ``n_iter_no_change`` epochs. With ``early_stopping`` it ends
when the loss of held-out examples has not, and the best weights are restored.

Source: Goodfellow, Bengio & Courville 2016, sections 7.8 and 8.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from rlplay.errors import warn
from rlplay.models.common import Floats, require, training_points
from rlplay.models.deep.progress import Progress
from rlplay.networks.initialisers import INITIALISERS
from rlplay.networks.layers import ACTIVATIONS, Layer, Linear
from rlplay.networks.losses import loss, loss_kind
from rlplay.networks.network import Network
from rlplay.networks.optimisers import OPTIMISERS

BACKENDS = ("numpy", "torch")
Step = Callable[[NDArray[np.int64], bool], float]


@dataclass(eq=False, repr=False, kw_only=True)
class TrainingParameters:
    """The keyword arguments that every deep model takes.

    A model is a dataclass too: it adds its own arguments, and repeats a field here only to change its default.

    Args:
        solver: adam, rmsprop, momentum or sgd.
        batch_size: examples of a minibatch, at most all; ``"auto"`` for at most 200 points, 32 images, or 32 or 64
            sequences.
        learning_rate_init: the step size.
        max_iter: most epochs of `fit`.
        tol: the smallest decrease of the loss that counts as progress.
        n_iter_no_change: epochs without progress after which training stops.
        early_stopping: watch held-out examples, and restore the best weights.
        validation_fraction: the share of the held-out examples.
        max_grad_norm: longer gradients are scaled down to it; 0 for never.
        predict_batch_size: examples that are predicted at a time.
        backend: ``"numpy"``, the networks of this package, or ``"torch"``.
        device: torch's device: cpu, cuda, or auto.
        verbose: whether to show a progress bar; None for fits that take long at a terminal.
        random_state: a seed, a RandomState, or None.

    Example:
        >>> TrainingParameters(max_iter=5).max_iter, TrainingParameters().solver
        (5, 'adam')
    """

    solver: str = "adam"
    batch_size: int | str = "auto"
    learning_rate_init: float = 1e-3
    max_iter: int = 200
    tol: float = 1e-4
    n_iter_no_change: int = 10
    early_stopping: bool = False
    validation_fraction: float = 0.1
    max_grad_norm: float = 0.0
    predict_batch_size: int = 1024
    backend: str = "numpy"
    device: str = "cpu"
    verbose: bool | None = None
    random_state: Any = None


class DeepModel(TrainingParameters):
    """Networks and how they are trained; a mixin. A model names its networks in `_layers`.

    Attributes:
        weights_: the parameters of each network, a tuple of float32 [P].
        optimisers_: m, v and t of each network's optimiser.
        layers_: the architecture of each network.
        loss_curve_: mean loss of each epoch.
        validation_losses_: with early stopping, the loss of the held-out examples after each epoch.
        n_iter_: epochs made.

    Example:
        >>> from rlplay.models.deep import MLPRegressor
        >>> model = MLPRegressor(4, max_iter=2, random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
        >>> isinstance(model, DeepModel), len(model.loss_curve_), model.weights_[0].shape
        (True, 2, (13,))
    """

    n_features_in_: int
    initialiser = "xavier"
    _most = 200  # examples of a minibatch with batch_size="auto"

    def _layers(self) -> list[tuple[Sequence[Layer], tuple[int, ...] | None]]:
        """The layers and the input shape of each network, from the arguments and what `fit` has found."""
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
        """Store what was learned as arrays: all that a file needs."""
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

    def _batch_size(self, n: int) -> int:
        """The examples of a minibatch: at most as many as there are, with a warning."""
        if self.batch_size == "auto":
            return min(self._most, n)
        if int(self.batch_size) > n:
            warn(
                f"batch_size={self.batch_size} is larger than the data: {type(self).__name__} has {n} samples to learn "
                f"from, and takes them all at once.",
                UserWarning,
            )
        return min(int(self.batch_size), n)

    def _descend(self, network: Any, penalty: Floats | None = None) -> None:
        """One step of a network against its gradient; ``penalty * parameters`` is added to it first."""
        if penalty is not None:
            network.add_to_gradient(penalty * network.parameters)
        network.improve(self.learning_rate_init, self.max_grad_norm)

    def _begin(self, whole: bool) -> list[Any]:
        """The networks to train: new ones for `fit`, the fitted ones for `partial_fit`."""
        self._check()
        if whole or not hasattr(self, "weights_"):
            self._new_networks(check_random_state(self.random_state).randint(2**31 - 1))
            self._keep()
        self._networks = self.networks()
        return self._networks

    def _run(self, n: int, step: Step, whole: bool = True, weights: Floats | None = None) -> None:
        """Run epochs over n examples, or one where it is not a whole fit.

        Args:
            n: how many examples there are.
            step: ``step(batch, learn)`` returns the mean loss of examples by number, int64 [B], and learns from them.
            whole: whether this is `fit`.
            weights: how much each example counts in the mean loss of an epoch, [N].

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
        size, done, worse, best, kept = self._batch_size(len(order)), 0, 0, np.inf, None
        if whole or not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
        self._keep()
        counts = np.ones(n) if weights is None else weights
        with Progress(type(self).__name__, epochs, self.verbose) as progress:
            for _ in range(epochs):
                order, total = rng.permutation(order), 0.0
                for begin in range(0, len(order), size):
                    chosen = order[begin : begin + size]
                    value, done = step(chosen, True), done + 1
                    if not np.isfinite(value):
                        del self._networks
                        self._networks = self.networks()
                        raise ValueError(
                            f"{type(self).__name__}: the loss is {value} at step {done} (epoch "
                            f"{len(self.loss_curve_) + 1}). The weights of the last epoch are kept. Take a "
                            f"learning_rate_init below {self.learning_rate_init:g}, max_grad_norm=1, or columns of "
                            "deviation 1."
                        )
                    total += value * counts[chosen].sum()
                self.loss_curve_.append(float(total / counts[order].sum()))
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
            for network, parameters in zip(self._networks, kept, strict=True):
                network.restore({**network.arrays(), "parameters": parameters})
        self._keep()
        self.n_iter_ = len(self.loss_curve_)

    def _regress(
        self, network: Any, inputs: NDArray[Any], targets: NDArray[Any], whole: bool, *, loss: str = "squared_error",
        penalty: Callable[[int], Floats | None] = lambda n: None, weights: Floats | None = None,
    ) -> Self:  # fmt: skip
        """Train a network to answer inputs [N, ...] with targets [N, K].

        Args:
            network: the network.
            inputs: float32 [N, ...].
            targets: float32 [N, K]; the number of the class, [N, 1], for the cross entropy.
            whole: whether this is `fit`.
            loss: squared_error or cross_entropy.
            penalty: ``penalty(n)``, the factors of the parameters [P] that are added to the gradient of n examples.
            weights: how much each example counts, above 0, [N].
        """

        def step(batch: NDArray[np.int64], learn: bool) -> float:
            share = None if weights is None else weights[batch]
            value, gradient = loss_of(loss, network.forward(inputs[batch]), targets[batch], share)
            if learn:
                network.backward(gradient, to_input=False)
                self._descend(network, penalty(len(batch)))
            return value

        self._run(len(inputs), step, whole, weights)
        return self

    def _in_parts(self, answer: Callable[[Any], Floats], *arrays: NDArray[Any]) -> Floats:
        """The outputs for many examples, ``predict_batch_size`` at a time."""
        most = int(self.predict_batch_size)
        return np.concatenate(
            [answer(*(a[k : k + most] for a in arrays)) for k in range(0, len(arrays[0]), most)]
        ).astype(np.float64)


class SelfSupervised(DeepModel):
    """Models whose targets come from X itself: `fit` and `partial_fit` without y; a mixin.

    Example:
        >>> from rlplay.models.deep import Autoencoder
        >>> issubclass(Autoencoder, SelfSupervised)
        True
    """

    def _training_data(self, X: Any, first: bool) -> Any:
        """X, checked, and remembered where it comes ``first``."""
        return training_points(self, X, reset=first)

    def _learn(self, data: Any, whole: bool) -> Self:
        """Train on the data: until it converges, or one epoch."""
        raise NotImplementedError

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from X, from new weights; y is ignored."""
        return self._learn(self._training_data(X, True), True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over X."""
        return self._learn(self._training_data(X, not hasattr(self, "weights_")), False)


def sizes_of(hidden: Any) -> list[int]:
    """The sizes of hidden layers as a list; a number is one layer.

    Example:
        >>> sizes_of(64), sizes_of((64, 32)), sizes_of(())
        ([64], [64, 32], [])
    """
    return [int(size) for size in np.ravel(np.asarray(hidden, int))]


def weights_only(layers: Sequence[Layer]) -> Floats:
    """1 for each weight of a linear layer, 0 for all other parameters, float32 [P].

    Example:
        >>> weights_only([Linear(2, 1)]).tolist()
        [1.0, 1.0, 0.0]
    """
    parts = [np.zeros(layer.size(), np.float32) for layer in layers]
    for part, layer in zip(parts, layers, strict=True):
        if isinstance(layer, Linear):
            part[: layer.n_in * layer.n_out] = 1
    return np.concatenate(parts)


def loss_of(kind: str, outputs: NDArray[Any], targets: NDArray[Any], weights: Any = None) -> tuple[float, NDArray[Any]]:
    """The mean loss of outputs [..., K], and its gradient of the same shape, by weights [...], which are 0 for padding.

    Example:
        >>> value, gradient = loss_of("squared_error", np.array([[1.0, 2.0]]), np.array([[0.0, 2.0]]))
        >>> value, gradient.tolist()
        (0.5, [[1.0, 0.0]])
    """
    flat = np.ascontiguousarray(outputs.reshape(-1, outputs.shape[-1]))
    goal = np.ascontiguousarray(targets.reshape(len(flat), -1), flat.dtype)
    share = np.ones(len(flat), flat.dtype) if weights is None else np.ascontiguousarray(np.ravel(weights), flat.dtype)
    gradient = np.empty_like(flat)
    value = loss(loss_kind(kind), flat, goal, share, gradient)
    return float(value), gradient.reshape(outputs.shape)
