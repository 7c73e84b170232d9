"""Convolution of images: the same small linear layer at every place.

For each place of the output the K x K x C numbers under the window lie in a row, a patch; then it is a linear layer:

    forward    P = patches(x)            y = P W + b
    backward   ∂W = Σ_images Pᵀ ∂y       ∂b = Σ ∂y       ∂x = patchesᵀ(∂y Wᵀ): each number is added where it came from
    tangent    ẏ = patches(ẋ) W + P Ẇ + ḃ

Source: LeCun et al. 1989; Goodfellow, Bengio & Courville 2016, chapter 9; the patches ("im2col") are those of
Chellapilla, Puri & Simard 2006.

Parameters: W [K * K * C, F] (rows in the order ky, kx, channel), b [F]. Images lie as Gymnasium has them, [height,
width, channels]: x [N, H * W * C], y [N, H' * W' * F] with H' = (H + 2 padding - K) // stride + 1.
"""

from __future__ import annotations

from typing import Any

from rlplay.compiled.cache import in_place
from rlplay.networks.linear import affine
from rlplay.networks.matmul import ROOM, copy, copy_vector, product, transpose
from rlplay.networks.memory import (
    CHANNELS,
    FRAME,
    HEIGHT,
    IN,
    KERNEL,
    OUT,
    OUT_HEIGHT,
    OUT_WIDTH,
    PADDING,
    PARAMETERS,
    STRIDE,
    WIDTH,
    Floats,
    Net,
)  # fmt: skip
from rlplay.networks.vectors import VECTOR


@in_place
def _frame(layer: Any, x: Floats, x_at: int, work: Floats, out: bool) -> None:
    """Copy one image into the work space, with padding; ``out`` copies it back, without."""
    height, width, channels, padding = layer[HEIGHT], layer[WIDTH], layer[CHANNELS], layer[PADDING]
    line = (width + 2 * padding) * channels
    if not out and padding > 0:
        work[ROOM : ROOM + (height + 2 * padding) * line] = 0
    for y in range(height):
        inside = ROOM + (y + padding) * line + padding * channels
        if out:
            copy(work, inside, 0, x, x_at + y * width * channels, 0, 1, width * channels)
        else:
            copy(x, x_at + y * width * channels, 0, work, inside, 0, 1, width * channels)


@in_place
def _patches(layer: Any, work: Floats, at: int, back: bool) -> None:
    """The patches of the image in the work space, [H' * W', K * K * C]; ``back`` adds them to the image instead.

    Lines of a window are copied by whole vectors: what is too much is overwritten by the next line.
    """
    channels, k, stride = layer[CHANNELS], layer[KERNEL], layer[STRIDE]
    line, long = (layer[WIDTH] + 2 * layer[PADDING]) * channels, k * channels
    lanes = VECTOR // work.itemsize
    for out_y in range(layer[OUT_HEIGHT]):
        for out_x in range(layer[OUT_WIDTH]):
            here = ROOM + out_y * stride * line + out_x * stride * channels
            for _ in range(k):
                if back:
                    image, patch = work[here : here + long], work[at : at + long]
                    for i in range(long):
                        image[i] += patch[i]
                else:
                    for i in range(0, long, lanes):
                        copy_vector(work, here + i, work, at + i)
                here += line
                at += long


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """The outputs of a batch of images.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Conv2d
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Conv2d(1, 1, 2)], np.float32([1, 0, 0, 1, 0.5]), 1, input_shape=(2, 2, 1))
        >>> y = np.empty(1, np.float32)
        >>> forward(net.layers[0], net, np.float32([1, 2, 3, 4]), 0, y, 0, 1)
        >>> y.tolist()
        [5.5]
    """
    places, deep, work = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.work
    filters, at = layer[OUT] // places, layer[PARAMETERS]
    patches = ROOM + layer[FRAME]
    for row in range(rows):
        _frame(layer, x, x_at + row * layer[IN], work, False)
        _patches(layer, work, patches, False)
        affine(net, at, at + deep * filters, work, patches, y, y_at + row * layer[OUT], places, deep, filters)


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradients with respect to W, b and, with ``to_input``, x.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Conv2d
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Conv2d(1, 1, 2)], np.float32([1, 0, 0, 1, 0.5]), 1, input_shape=(2, 2, 1))
        >>> x, below = np.float32([1, 2, 3, 4]), np.zeros(4, np.float32)
        >>> backward(net.layers[0], net, x, 0, np.ones(1, np.float32), 0, below, 0, 1, True)
        >>> net.gradient.tolist(), below.tolist()
        ([1.0, 2.0, 3.0, 4.0, 1.0], [1.0, 0.0, 0.0, 1.0])
    """
    places, deep, work = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.work
    filters, at, to = layer[OUT] // places, layer[PARAMETERS], net.gradient
    patches = ROOM + layer[FRAME]
    turned = patches + places * deep + VECTOR
    if to_input:
        transpose(net.parameters, at, filters, work, turned, deep, deep, filters)
    for row in range(rows):
        g = grad_at + row * layer[OUT]
        first, first_bias = (at, at + deep * filters) if row > 0 else (-1, -1)
        _frame(layer, x, x_at + row * layer[IN], work, False)
        _patches(layer, work, patches, False)
        product(work, patches, 1, deep, grad, g, filters, 1, to, at, filters, to, first, filters, deep, filters, places,
                work)  # fmt: skip
        product(net.one, 0, 0, 0, grad, g, filters, 1, to, at + deep * filters, filters, to, first_bias, 0, 1, filters,
                places, work)  # fmt: skip
        if to_input:
            product(grad, g, filters, 1, work, turned, deep, 1, work, patches, deep, work, -1, 0, places, deep, filters,
                    work)  # fmt: skip
            work[ROOM:patches] = 0
            _patches(layer, work, patches, True)
            _frame(layer, below, below_at + row * layer[IN], work, True)


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ for a direction of the parameters and a direction ẋ of the inputs.

    Example:
        >>> import numpy as np
        >>> from rlplay.networks.layers import Conv2d
        >>> from rlplay.networks.state import new_net
        >>> net = new_net([Conv2d(1, 1, 2)], np.float32([1, 0, 0, 1, 0.5]), 1, input_shape=(2, 2, 1))
        >>> x, direction, out = np.float32([1, 2, 3, 4]), np.float32([0, 1, 0, 0, 0]), np.zeros(1, np.float32)
        >>> tangent(net.layers[0], net, x, 0, np.zeros(4, np.float32), 0, direction, out, 0, 1)
        >>> out.tolist()
        [2.0]
    """
    places, deep, work = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.work
    filters, at = layer[OUT] // places, layer[PARAMETERS]
    patches = ROOM + layer[FRAME]
    for row in range(rows):
        there = out_at + row * layer[OUT]
        _frame(layer, dot, dot_at + row * layer[IN], work, False)
        _patches(layer, work, patches, False)
        affine(net, at, -1, work, patches, out, there, places, deep, filters)
        _frame(layer, x, x_at + row * layer[IN], work, False)
        _patches(layer, work, patches, False)
        product(work, patches, deep, 1, direction, at, filters, 1, out, there, filters, out, there, filters, places,
                filters, deep, work)  # fmt: skip
        for place in range(places):
            for j in range(filters):
                out[there + place * filters + j] += direction[at + deep * filters + j]
