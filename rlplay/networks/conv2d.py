"""Convolution of images: the same small linear layer, looking at every place.

For each place of the output the K x K x C numbers under the window lie in a row, a patch; then it is a linear layer:

    forward    P = patches(x)            y = P W + b
    backward   ∂W = Σ_images Pᵀ ∂y       ∂b = Σ ∂y       ∂x = patchesᵀ(∂y Wᵀ): each number goes back to where it came
    from tangent    ẏ = patches(ẋ) W + P Ẇ + ḃ

Source: LeCun et al. 1989; Goodfellow, Bengio & Courville 2016, chapter 9; the patches ("im2col") are those of
Chellapilla, Puri & Simard 2006.

Parameters: W [K * K * C, F] (rows in the order ky, kx, channel), b [F]. Images lie as Gymnasium has them, [height,
width, channels]: x [N, H * W * C], y [N, H' * W' * F] with H' = (H + 2 padding - K) // stride + 1.
"""

from __future__ import annotations

from typing import Any

from rlplay.compiled.cache import in_place
from rlplay.compiled.matmul import ROOM, copy, product, transpose
from rlplay.networks.linear import affine
from rlplay.networks.memory import (
    CHANNELS,
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


@in_place
def _patches(layer: Any, x: Floats, x_at: int, room: Floats, back: bool) -> None:
    """The patches of one image into the room, [H' * W', K * K * C]; ``back`` adds them to the image instead."""
    height, width, channels, k = layer[HEIGHT], layer[WIDTH], layer[CHANNELS], layer[KERNEL]
    at, zero = ROOM, room.dtype.type(0)
    for out_y in range(layer[OUT_HEIGHT]):
        for out_x in range(layer[OUT_WIDTH]):
            left = out_x * layer[STRIDE] - layer[PADDING]
            first, last = max(0, -left), min(k, width - left)  # columns of the window that lie inside the image
            for window_y in range(k):
                y = out_y * layer[STRIDE] - layer[PADDING] + window_y
                inside = 0 <= y < height
                begin, end = (first * channels, last * channels) if inside else (0, 0)
                here = x_at + (y * width + left) * channels
                if back:
                    image, patch = x[here + begin : here + end], room[at + begin : at + end]
                    for i in range(end - begin):
                        image[i] += patch[i]
                else:
                    for i in range(begin):
                        room[at + i] = zero
                    copy(x, here + begin, 0, room, at + begin, 0, 1, end - begin)
                    for i in range(end, k * channels):
                        room[at + i] = zero
                at += k * channels


@in_place
def forward(layer: Any, net: Net, x: Floats, x_at: int, y: Floats, y_at: int, rows: int) -> None:
    """The outputs of a batch of images."""
    places, deep, room = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.room
    filters, at = layer[OUT] // places, layer[PARAMETERS]
    for row in range(rows):
        _patches(layer, x, x_at + row * layer[IN], room, False)
        affine(net, at, at + deep * filters, room, ROOM, y, y_at + row * layer[OUT], places, deep, filters)


@in_place
def backward(
    layer: Any, net: Net, x: Floats, x_at: int, grad: Floats, grad_at: int, below: Floats, below_at: int, rows: int,
    to_input: bool,
) -> None:  # fmt: skip
    """The gradients with respect to W, b and, where asked, x."""
    places, deep, room = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.room
    filters, at, to = layer[OUT] // places, layer[PARAMETERS], net.gradient
    turned = ROOM + places * deep
    if to_input:
        below[below_at : below_at + rows * layer[IN]] = 0
        transpose(net.parameters, at, filters, room, turned, deep, deep, filters)
    for row in range(rows):
        g = grad_at + row * layer[OUT]
        first, first_bias = (at, at + deep * filters) if row > 0 else (-1, -1)
        _patches(layer, x, x_at + row * layer[IN], room, False)
        product(
            room, ROOM, 1, deep, grad, g, filters, 1, to, at, filters, to, first, filters, deep, filters, places, room
        )
        product(net.one, 0, 0, 0, grad, g, filters, 1, to, at + deep * filters, filters, to, first_bias, 0, 1, filters,
                places, room)  # fmt: skip
        if to_input:
            product(
                grad, g, filters, 1, room, turned, deep, 1, room, ROOM, deep, room, -1, 0, places, deep, filters, room
            )
            _patches(layer, below, below_at + row * layer[IN], room, True)


@in_place
def tangent(
    layer: Any, net: Net, x: Floats, x_at: int, dot: Floats, dot_at: int, direction: Floats, out: Floats, out_at: int,
    rows: int,
) -> None:  # fmt: skip
    """ẏ for a direction of the parameters and a direction ẋ of the inputs."""
    places, deep, room = layer[OUT_HEIGHT] * layer[OUT_WIDTH], layer[KERNEL] ** 2 * layer[CHANNELS], net.room
    filters, at = layer[OUT] // places, layer[PARAMETERS]
    for row in range(rows):
        there = out_at + row * layer[OUT]
        _patches(layer, dot, dot_at + row * layer[IN], room, False)
        affine(net, at, -1, room, ROOM, out, there, places, deep, filters)
        _patches(layer, x, x_at + row * layer[IN], room, False)
        product(room, ROOM, deep, 1, direction, at, filters, 1, out, there, filters, out, there, filters, places,
                filters, deep, room)  # fmt: skip
        for place in range(places):
            for j in range(filters):
                out[there + place * filters + j] += direction[at + deep * filters + j]
