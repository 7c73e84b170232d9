"""A convolutional network: it classifies images with small windows that look at every place.

    h_l = f(conv(h_{l-1}; W_l) + b_l)        p = softmax(h_L W + b)

The first convolution keeps the size of the image. Each further one halves it (stride 2), so that later windows see a
larger part of it. `rlplay.networks.conv2d` has the rules.

Source: LeCun et al. 1989, 1998; Springenberg et al. 2015 (strides instead of pooling). The twin is a torch module
(``backend="torch"``).

Shapes: N images, X [N, height, width] or [N, height, width, channels], or flattened [N, D] with
``image_shape``; classes y [N].
In reinforcement learning: agents that see images, behaviour cloning from them.
"""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from rlplay.models.common import Floats, new_points, points_and_classes, require
from rlplay.models.deep.mlp import SoftmaxAnswers
from rlplay.models.deep.training import DeepModel, sizes_of
from rlplay.networks.layers import Conv2d, Layer, Linear, activation_layer


def flattened(X: Any) -> Any:
    """Images [N, height, width, ...] as points [N, D]; anything else as it is.

    Example:
        >>> flattened(np.zeros((5, 2, 3))).shape
        (5, 6)
    """
    given = np.asarray(X) if not hasattr(X, "dtype") else X
    return given.reshape(len(given), -1) if getattr(given, "ndim", 0) in (3, 4) else X


@dataclass(eq=False, repr=False)
class CNNClassifier(ClassifierMixin, SoftmaxAnswers, DeepModel, BaseEstimator):  # type: ignore[misc]
    """Classification of images by a convolutional network.

    Args:
        channels: filters of each convolution.
        hidden_layer_sizes: units of the dense layers behind them.
        kernel_size: side of a window.
        image_shape: (height, width) or (height, width, channels) of flattened images; by default the shape of X's
            images, and points [N, D] are images of height 1.
        activation: tanh, relu, leaky_relu, sigmoid, silu or gelu.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

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

    channels: Any = (32, 64)
    hidden_layer_sizes: Any = (64,)
    kernel_size: int = 3
    _: KW_ONLY
    image_shape: Any = None
    activation: str = "relu"
    max_iter: int = 30
    predict_batch_size: int = 256
    _most = 32

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
        """Learn from images X and their classes y [N], from new weights.

        Raises:
            ValueError: an argument outside its range, or images of another shape than ``image_shape``.
        """
        require(
            self, kernel_size=(self.kernel_size >= 1 and self.kernel_size % 2 == 1, "an odd whole number"),
            channels=(min(sizes_of(self.channels), default=0) >= 1, "whole numbers of 1 or more"),
        )  # fmt: skip
        x, codes = points_and_classes(self, flattened(X), y)
        self.image_shape_ = self._shape(X, x.shape[1])
        (network,) = self._begin(True)
        images = x.astype(np.float32).reshape(-1, *self.image_shape_)
        return self._regress(network, images, codes[:, None].astype(np.float32), True, loss="cross_entropy")

    def _outputs(self, X: Any) -> Floats:
        x = new_points(self, flattened(X)).astype(np.float32).reshape(-1, *self.image_shape_)
        return self._in_parts(self.networks()[0].predict, x)
