"""A convolutional network: classes of images by small windows that look at every place.

    h_l = f(conv(h_{l-1}; W_l) + b_l)        p = softmax(h_L W + b)

The first convolution keeps the size of the image, each further one halves it (stride 2), so that later windows see
more of it: `rlplay.networks.conv2d` has the rules.

Source: LeCun et al. 1989, 1998; Springenberg et al. 2015 (strides instead of pooling). The twin is a torch module
(``backend="torch"``).

Shapes: N images, X [N, height, width] or [N, height, width, channels], or their numbers in rows [N, D] with
``image_shape``; classes y [N].
In reinforcement learning: agents that see pictures, behaviour cloning from them.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from rlplay.models.common import Floats, new_points, points_and_classes, require, softmax
from rlplay.models.deep.mlp import sizes_of
from rlplay.models.deep.training import DeepModel, loss_of
from rlplay.networks.layers import Conv2d, Layer, Linear, activation_layer


def rows_of(X: Any) -> Any:
    """Images [N, height, width, ...] as rows of numbers [N, D]; anything else as it is."""
    given = np.asarray(X) if not hasattr(X, "dtype") else X
    return given.reshape(len(given), -1) if getattr(given, "ndim", 0) in (3, 4) else X


class CNNClassifier(ClassifierMixin, DeepModel, BaseEstimator):  # type: ignore[misc]
    """Classification of images by a convolutional network.

    Args:
        channels: filters of each convolution.
        hidden_layer_sizes: units of the dense layers behind them.
        kernel_size: side of a window.
        image_shape: (height, width) or (height, width, channels) where X holds rows of numbers; by default that of X,
            and rows are images one number high.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.
        solver: adam, rmsprop, momentum or sgd.
        batch_size: images of a minibatch; ``"auto"`` for at most 32.
        learning_rate_init: the step size.
        max_iter: most epochs.
        tol: the least fall of the loss that counts.
        n_iter_no_change: epochs without one after which it stops.
        early_stopping: watch images that are held out, and take the best weights back.
        validation_fraction: the share of those.
        max_grad_norm: longer gradients are scaled down; 0 for never.
        predict_batch_size: images that are answered at a time.
        backend: ``"numpy"``, ours, or ``"torch"``.
        device: of torch: cpu, cuda, or auto.
        verbose: a progress bar: True, False, or None for fits that take long at a terminal.
        random_state: a seed, a RandomState, or None.

    Attributes:
        classes_: the classes [K].
        image_shape_: (height, width, channels).
        loss_curve_: mean loss of each epoch.
        n_iter_: epochs made.

    Example:
        >>> images = np.zeros((40, 6, 6))
        >>> images[:20, 1:3], images[20:, :, 4] = 1, 1
        >>> labels = ["lying"] * 20 + ["standing"] * 20
        >>> CNNClassifier((4,), random_state=0).fit(images, labels).predict(images[[3, 33]]).tolist()
        ['lying', 'standing']
    """

    _most = 32

    def __init__(
        self, channels: Any = (32, 64), hidden_layer_sizes: Any = (64,), kernel_size: int = 3, *,
        image_shape: Any = None, activation: str = "relu", solver: str = "adam", batch_size: int | str = "auto",
        learning_rate_init: float = 1e-3, max_iter: int = 30, tol: float = 1e-4, n_iter_no_change: int = 10,
        early_stopping: bool = False, validation_fraction: float = 0.1, max_grad_norm: float = 0.0,
        predict_batch_size: int = 256, backend: str = "numpy", device: str = "cpu", verbose: bool | None = None,
        random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    def _layers(self) -> Any:
        shape, layers = self.image_shape_, []
        for number, filters in enumerate(sizes_of(self.channels)):
            one = Conv2d(shape[2], filters, self.kernel_size, 1 if number == 0 else 2, self.kernel_size // 2)
            layers += [one, activation_layer(self.activation)]
            shape = one.shape_after(shape)
        wide = math.prod(shape)
        for size in sizes_of(self.hidden_layer_sizes):
            layers += [Linear(wide, size), activation_layer(self.activation)]
            wide = size
        found: list[Layer] = [*layers, Linear(wide, len(self.classes_))]
        return [(found, self.image_shape_)]

    def _shape(self, X: Any, columns: int) -> tuple[int, ...]:
        shape = self.image_shape if self.image_shape is not None else np.asarray(X).shape[1:]
        full = (*shape, 1) if len(shape) == 2 else tuple(shape) if len(shape) == 3 else (1, columns, 1)
        if math.prod(full) != columns:
            raise ValueError(
                f"image_shape={self.image_shape!r} has {math.prod(full)} numbers, and the rows of X have {columns}"
            )
        return tuple(int(side) for side in full)

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from images X and their classes y [N], from new weights."""
        require(
            self, kernel_size=(self.kernel_size >= 1 and self.kernel_size % 2 == 1, "an odd whole number"),
            channels=(min(sizes_of(self.channels), default=0) >= 1, "whole numbers of 1 or more"),
        )  # fmt: skip
        x, codes = points_and_classes(self, rows_of(X), y)
        self.image_shape_ = self._shape(X, x.shape[1])
        (network,) = self._begin(True)
        images, goals = x.astype(np.float32).reshape(-1, *self.image_shape_), codes[:, None].astype(np.float32)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            value, gradient = loss_of("cross_entropy", network.forward(images[rows]), goals[rows])
            if learn:
                network.backward(gradient, to_input=False)
                self._descend(network)
            return value

        self._run(len(x), step)
        return self

    def _outputs(self, X: Any) -> Floats:
        x = new_points(self, rows_of(X)).astype(np.float32).reshape(-1, *self.image_shape_)
        return self._in_parts(self.networks()[0].predict, x)

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, [N, K]."""
        return softmax(self._outputs(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The class of each image [N]."""
        best = self._outputs(X).argmax(axis=1)
        return self.classes_[best]
