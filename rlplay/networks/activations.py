"""Activations y = f(x), number by number, and their derivatives f'(x), as vector instructions.

    tanh        y = tanh x                          f' = 1 - y²
    relu        y = max(x, 0)                       f' = [x > 0]
    leaky relu  y = max(x, 0.01 x)                  f' = 1 where x > 0, else 0.01
    sigmoid     y = 1 / (1 + e⁻ˣ)                   f' = y (1 - y)
    silu        y = x σ(x)                          f' = σ(x) + y (1 - σ(x))
    gelu        y = ½ x (1 + tanh u)                f' = ½ (1 + tanh u) + ½ x (1 - tanh² u) u'
                u = √(2/π) (x + 0.044715 x³)        u' = √(2/π) (1 + 0.134145 x²)

Backward: ∂x = ∂y ⊙ f'(x).

Source: Goodfellow, Bengio & Courville 2016, section 6.3; Hendrycks & Gimpel 2016 (GELU, with their approximation);
Elfwing, Uchibe & Doya 2018 (SiLU, for reinforcement learning). The sigmoid is ½ + ½ tanh(x/2), so that all of them rest
on one function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from rlplay.compiled.cache import in_place
from rlplay.networks.memory import GELU, LEAKY_RELU, RELU, SIGMOID, SILU, TANH, Floats
from rlplay.networks.vectors import INT32, VECTOR, WIDE_REGISTERS, Emitter

NAMES = {"tanh": TANH, "relu": RELU, "leaky_relu": LEAKY_RELU, "sigmoid": SIGMOID, "silu": SILU, "gelu": GELU}

# tanh(x) ≈ x P(x²) / Q(x²) on [-9, 9], beyond which float32 has no digits left for 1 - tanh(x). The coefficients are
# our own least-squares fit of the relative error, 2e-8 at most; in float32 the result is within 4e-7 of tanh.
_LARGEST = np.float32(9.0)
_P0, _P1, _P2, _P3, _P4 = (
    np.float32(0.999999979465667),
    np.float32(0.13381026301727086),
    np.float32(0.003495588898226582),
    np.float32(2.060909436815908e-05),
    np.float32(1.3354676936042038e-08),
)
_Q0, _Q1, _Q2, _Q3, _Q4 = (
    np.float32(1.0),
    np.float32(0.46714342896905665),
    np.float32(0.025876985171214315),
    np.float32(0.00032856360521639716),
    np.float32(7.7765648910142e-07),
)


def _rational(x: Any) -> Any:
    x = _LARGEST if x > _LARGEST else x  # and not min and max, whose care for NaN keeps the loop from vectors
    x = -_LARGEST if x < -_LARGEST else x
    u = x * x
    p = (((_P4 * u + _P3) * u + _P2) * u + _P1) * u + _P0
    q = (((_Q4 * u + _Q3) * u + _Q2) * u + _Q1) * u + _Q0
    return x * p / q


def _vector_of_tanh(emit: Emitter, x: Any) -> Any:
    """The same function of a vector of float32, as instructions.

    1 / Q is the processor's estimate, 14 binary digits, doubled by a step of Newton's method, r ← r + r (1 - Q r): a
    division takes longer than all the rest.
    """
    build, madd = emit.builder, partial(emit.call, "llvm.fma." + emit.suffix, emit.vector)

    def number(value: Any) -> Any:
        return ir.Constant(emit.vector, [float(value)] * emit.lanes)

    x = build.select(build.fcmp_ordered(">", x, number(_LARGEST)), number(_LARGEST), x)
    x = build.select(build.fcmp_ordered("<", x, number(-_LARGEST)), number(-_LARGEST), x)
    u = build.fmul(x, x)
    p, q = number(_P4), number(_Q4)
    for at_p, at_q in ((_P3, _Q3), (_P2, _Q2), (_P1, _Q1), (_P0, _Q0)):
        p, q = madd([p, u, number(at_p)]), madd([q, u, number(at_q)])
    top = build.fmul(x, p)
    if not WIDE_REGISTERS:
        return build.fdiv(top, q)
    no_mask = ir.Constant(ir.IntType(16), -1)
    r = emit.call("llvm.x86.avx512.rcp14.ps.512", emit.vector, [q, number(0.0), no_mask])
    return build.fmul(top, madd([r, madd([build.fneg(q), r, number(1.0)]), r]))


@intrinsic  # type: ignore[untyped-decorator]
def _tanh_of_vector(typing: Any, x: Any, x_at: Any, y: Any, y_at: Any) -> Any:
    """tanh of one vector of float32 from here to there."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, context.get_value_type(types.float32))
        source, target = (emit.data(signature.args[i], arguments[i]) for i in (0, 2))
        emit.store(
            _vector_of_tanh(emit, emit.load(emit.address(source, arguments[1]))), emit.address(target, arguments[3])
        )
        return context.get_dummy_value()

    return types.void(x, types.int64, y, types.int64), build


@intrinsic  # type: ignore[untyped-decorator]
def _tanh_of_one(typing: Any, x: Any) -> Any:
    """tanh of one number of float32: the very bits that it has in a vector."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = Emitter(context, builder, context.get_value_type(types.float32))
        return builder.extract_element(_vector_of_tanh(emit, emit.spread(arguments[0])), ir.Constant(INT32, 0))

    return types.float32(types.float32), build


def _exact(x: Any) -> Any:
    return math.tanh(x)


def tanh_of(x: Any) -> Any:
    """The tanh of a number: in float32 a rational function, which becomes vector instructions; in float64 exact.

    Example:
        >>> tanh_of(0.0), round(tanh_of(1.0), 4)
        (0.0, 0.7616)
    """
    return math.tanh(x)


@overload(tanh_of, jit_options={"fastmath": {"contract"}})  # type: ignore[untyped-decorator]
def _tanh_of(x: Any) -> Any:
    return _rational if x == types.float32 else _exact


# Each activation: f(x), and f'(x) from x and y. Constants have the type of x, or float64 would creep in.


@in_place
def _tanh_slope(x: Any, y: Any) -> Any:
    return type(x)(1) - y * y


@in_place
def _relu(x: Any) -> Any:
    return x if x > type(x)(0) else type(x)(0)


@in_place
def _relu_slope(x: Any, y: Any) -> Any:
    return type(x)(x > type(x)(0))


@in_place
def _leaky_relu(x: Any) -> Any:
    return x if x > type(x)(0) else type(x)(0.01) * x


@in_place
def _leaky_relu_slope(x: Any, y: Any) -> Any:
    return type(x)(1) if x > type(x)(0) else type(x)(0.01)


@in_place
def sigmoid_of(x: Any) -> Any:
    """1 / (1 + e⁻ˣ).

    Example:
        >>> sigmoid_of(np.float32(0.0))
        0.5
    """
    half = type(x)(0.5)
    return half + half * tanh_of(half * x)


@in_place
def _sigmoid_slope(x: Any, y: Any) -> Any:
    return y * (type(x)(1) - y)


@in_place
def _silu(x: Any) -> Any:
    return x * sigmoid_of(x)


@in_place
def _silu_slope(x: Any, y: Any) -> Any:
    s = sigmoid_of(x)
    return s + y * (type(x)(1) - s)


@in_place
def _gelu(x: Any) -> Any:
    one, u = type(x)(1), type(x)(0.7978845608028654) * (x + type(x)(0.044715) * x * x * x)
    return type(x)(0.5) * x * (one + tanh_of(u))


@in_place
def _gelu_slope(x: Any, y: Any) -> Any:
    half, one, root = type(x)(0.5), type(x)(1), type(x)(0.7978845608028654)
    t = tanh_of(root * (x + type(x)(0.044715) * x * x * x))
    return half * (one + t) + half * x * (one - t * t) * root * (one + type(x)(0.134145) * x * x)


def _over(f: Callable[[Any], Any]) -> Callable[..., None]:
    @in_place
    def forward(kind: int, x: Floats, x_at: int, y: Floats, y_at: int, n: int) -> None:
        xs, ys = x[x_at : x_at + n], y[y_at : y_at + n]  # an index that could be negative keeps loops from vectors
        for i in range(n):
            ys[i] = f(xs[i])

    return forward


def _tanh_in_vectors(x: Any, x_at: Any, y: Any, y_at: Any, n: Any) -> None:
    lanes = VECTOR // 4
    whole = n - n % lanes
    for i in range(0, whole, lanes):
        _tanh_of_vector(x, x_at + i, y, y_at + i)
    for i in range(whole, n):
        y[y_at + i] = _tanh_of_one(x[x_at + i])


def _tanh_over(x: Any, x_at: Any, y: Any, y_at: Any, n: Any) -> None:
    """y = tanh x for n numbers from two places of flat arrays."""
    for i in range(n):
        y[y_at + i] = math.tanh(x[x_at + i])


@overload(_tanh_over)  # type: ignore[untyped-decorator]
def _tanh_over_in_compiled_code(x: Any, x_at: Any, y: Any, y_at: Any, n: Any) -> Any:
    return _tanh_in_vectors if x.dtype == types.float32 else _tanh_over


@in_place
def tanh(values: NDArray[np.float32]) -> None:
    """Take tanh of each number in place, [N].

    Measured over 8,192 numbers beside a loop over ``np.tanh``: tests/benchmarks/learning.py.

    Example:
        >>> values = np.array([-9.0, 0.0, 1.0], np.float32)
        >>> tanh(values)
        >>> [round(float(value), 4) for value in values]
        [-1.0, 0.0, 0.7616]
    """
    _tanh_over(values, 0, values, 0, values.shape[0])


@in_place
def _tanh(kind: int, x: Floats, x_at: int, y: Floats, y_at: int, n: int) -> None:
    _tanh_over(x, x_at, y, y_at, n)


def _chain(slope: Callable[[Any, Any], Any]) -> Callable[..., None]:
    @in_place
    def backward(kind: int, x: Floats, x_at: int, y: Floats, y_at: int, grad: Floats, grad_at: int, n: int) -> None:
        xs, ys, grads = x[x_at : x_at + n], y[y_at : y_at + n], grad[grad_at : grad_at + n]
        for i in range(n):
            grads[i] *= slope(xs[i], ys[i])

    return backward


_FUNCTIONS: dict[int, tuple[Callable[..., Any], Callable[..., Any]]] = {
    TANH: (_tanh, _tanh_slope),
    RELU: (_over(_relu), _relu_slope),
    LEAKY_RELU: (_over(_leaky_relu), _leaky_relu_slope),
    SIGMOID: (_over(sigmoid_of), _sigmoid_slope),
    SILU: (_over(_silu), _silu_slope),
    GELU: (_over(_gelu), _gelu_slope),
}


@cache
def activations(kinds: frozenset[int]) -> tuple[Callable[..., None], Callable[..., None]]:
    """The functions of these kinds of activation, at least one; others are not compiled.

    Returns:
        ``forward(kind, x, x_at, y, y_at, n)``, y = f(x) for n numbers; x and y may be the same. And
        ``backward(kind, x, x_at, y, y_at, grad, grad_at, n)``, ``grad`` ← grad ⊙ f'(x), in place: from the gradient
        with respect to y to that with respect to x.

    Example:
        >>> forward, backward = activations(frozenset({RELU, TANH}))
        >>> x, y, grad = np.float32([-2.0, 3.0]), np.empty(2, np.float32), np.float32([5.0, 7.0])
        >>> forward(RELU, x, 0, y, 0, 2)
        >>> backward(RELU, x, 0, y, 0, grad, 0, 2)
        >>> y.tolist(), grad.tolist()
        ([0.0, 3.0], [0.0, 7.0])
    """
    this, *others = sorted(kinds)
    own_forward, slope = _FUNCTIONS[this]
    own_backward = _chain(slope)
    if not others:
        return own_forward, own_backward
    other_forward, other_backward = activations(frozenset(others))

    @in_place
    def forward(kind: int, x: Floats, x_at: int, y: Floats, y_at: int, n: int) -> None:
        if kind == this:
            own_forward(kind, x, x_at, y, y_at, n)
        else:
            other_forward(kind, x, x_at, y, y_at, n)

    @in_place
    def backward(kind: int, x: Floats, x_at: int, y: Floats, y_at: int, grad: Floats, grad_at: int, n: int) -> None:
        if kind == this:
            own_backward(kind, x, x_at, y, y_at, grad, grad_at, n)
        else:
            other_backward(kind, x, x_at, y, y_at, grad, grad_at, n)

    return forward, backward
