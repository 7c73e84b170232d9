"""State-dependent exploration of a policy that is squashed by tanh, and the functions by which soft agents draw.

With h the L units that the policy's last layer takes, means μ cut to ±2, and a matrix E of noise with entries
E_ji = σ_ji ε_ji, ε standard normal (`rlplay.functional.state_noise`):

    u = μ + n        n_i = Σ_j h_j E_ji        a = tanh u        s_i² = Σ_j h_j² σ_ji² + 10⁻⁶
    log π(a | s) = - Σ_i { ½ n_i² / s_i² + log s_i + ½ log 2π + log(1 - a_i²) }

An actor lowers L = 1/N Σ_n [α log π(a_n | s_n) - Q(s_n, a_n)] through its sample, and h learns too. With g = ∂Q/∂a and
d_i = 2 α a_i - g_i (1 - a_i²):

    ∂L/∂μ_i = d_i / N,  0 where μ_i was cut
    ∂L/∂n_i = (d_i - α n_i / s_i²) / N                      ∂L/∂s_i² = ½ α (n_i² / s_i² - 1) / (s_i² N)
    ∂L/∂h_j = Σ_i [∂L/∂n_i E_ji + 2 ∂L/∂s_i² h_j σ_ji²]     ∂L/∂log σ_ji = Σ_n h_j [∂L/∂n_i E_ji + 2 ∂L/∂s_i² h_j σ_ji²]

With ``expln`` σ grows slowly above 1: what is learned is x, and σ = eˣ for x <= 0, 1 + log(1 + x) above.

An agent acts by a matrix for each environment, drawn at the start of every rollout (``train_freq`` steps) and every
``sample_freq`` steps of it; an update has one for its whole batch.

Source: Raffin, Kober & Stulp 2022, "Smooth exploration for robotic reinforcement learning"; times of the draws,
the cut of the means, and ε as in Stable-Baselines3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rlplay.compiled.cache import compiled, in_place
from rlplay.functional.squashed_normal import draw_noise, log_slope, squashed_gradient, squashed_sample
from rlplay.functional.state_noise import draw_matrices
from rlplay.networks import optimisers
from rlplay.networks.contract import Kernel
from rlplay.networks.memory import OUT, ROWS, VALUES
from rlplay.networks.optimisers import Optimiser

Floats = NDArray[np.float32]
_EPSILON = 1e-6
_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


class SmoothActor(NamedTuple):
    """A policy with state-dependent noise; L units in front of the A numbers of an action, N environments.

    Attributes:
        core: from observations to h [L].
        head: from h to μ [A].
        log_std: what is learned, log σ unless ``expln``, float32 [L A], a row of the matrix after the other.
        log_spread: log σ, float32 [L A].
        log_std_gradient: of the loss, float32 [L A].
        log_std_optimiser: its Adam.
        squares: σ² in the update at hand, float64 [L A].
        matrices: E of each environment, float32 [N, L, A].
        matrix: E of the update at hand, float32 [1, L, A].
        sample_freq: steps of a rollout between draws; 0 for one draw a rollout.
        clip_mean: to what means are cut; 0 for nothing.
        expln: whether σ grows like a logarithm where ``log_std`` is above 0.

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", use_sde=True, net_arch=[8, 4], batch_size=4, buffer_size=100, n_envs=2, seed=0)
        >>> actor = agent.memory.nets.actor
        >>> actor.matrices.shape, actor.log_std.tolist()
        ((2, 4, 1), [-3.0, -3.0, -3.0, -3.0])
    """

    core: Any
    head: Any
    log_std: Floats
    log_spread: Floats
    log_std_gradient: Floats
    log_std_optimiser: Optimiser
    squares: NDArray[np.float64]
    matrices: Floats
    matrix: Floats
    sample_freq: int
    clip_mean: float
    expln: bool


@cache
def smooth_kernel(kernel: Kernel) -> Kernel:
    """The functions of a `SmoothActor` over those of its networks: outputs and their gradients are [μ, h], [N, A + L].

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", use_sde=True, net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> agent.kernels["actor"].forward(agent.memory.nets.actor, np.zeros((2, 3), np.float32)).shape
        (2, 5)
    """
    forward_alone, backward_alone, improve_alone = kernel.forward, kernel.backward, kernel.improve
    arrays_alone, restore_alone = kernel.arrays, kernel.restore

    @compiled
    def forward(actor: SmoothActor, x: Floats) -> Floats:
        h = forward_alone(actor.core, x)
        means, rows, units = forward_alone(actor.head, h), x.shape[0], h.shape[1]
        size, limit = means.shape[1], np.float32(actor.clip_mean)
        joined = np.empty((rows, size + units), np.float32)
        for row in range(rows):
            for i in range(size):
                mean = means[row, i]
                joined[row, i] = min(max(mean, -limit), limit) if limit > 0 else mean
            for j in range(units):
                joined[row, size + j] = h[row, j]
        return joined

    @compiled
    def backward(actor: SmoothActor, x: Floats, grad_output: Floats, to_input: bool = True) -> Floats:
        core, rows, size = actor.core, x.shape[0], actor.head.layers[-1, OUT]
        at, units = core.layers[-1, VALUES], core.layers[-1, OUT]
        h = core.values[at : at + rows * units].reshape((rows, units))
        below = backward_alone(actor.head, h, np.ascontiguousarray(grad_output[:, :size]), True)
        return backward_alone(core, x, below + grad_output[:, size:], to_input)

    @compiled
    def improve(actor: SmoothActor, learning_rate: float, max_grad_norm: float) -> None:
        improve_alone(actor.core, learning_rate, max_grad_norm)
        improve_alone(actor.head, learning_rate, max_grad_norm)
        optimisers.improve(actor.log_std, actor.log_std_gradient, actor.log_std_optimiser, learning_rate, max_grad_norm)

    @compiled
    def predict(actor: SmoothActor, x: Floats) -> Floats:
        out = np.empty((x.shape[0], actor.head.layers[-1, OUT] + actor.core.layers[-1, OUT]), np.float32)
        most = actor.core.sizes[ROWS]
        for begin in range(0, x.shape[0], most):
            out[begin : begin + most] = forward(actor, x[begin : begin + most])
        return out

    def arrays(actor: SmoothActor) -> dict[str, Any]:
        found = dict(arrays_alone(actor.core))
        found |= {f"head_{name}": array for name, array in arrays_alone(actor.head).items()}
        m, v, t = actor.log_std_optimiser.m, actor.log_std_optimiser.v, actor.log_std_optimiser.t
        return {**found, "log_std": actor.log_std, "log_std_m": m, "log_std_v": v, "log_std_t": t}

    def restore(actor: SmoothActor, values: Any) -> None:
        restore_alone(actor.core, values)
        restore_alone(actor.head, {name.removeprefix("head_"): one for name, one in values.items() if "head_" in name})
        for name, own in arrays(actor).items():
            if name.startswith("log_std"):
                own[...] = values[name]

    return kernel._replace(
        forward=forward, backward=backward, improve=improve, predict=predict, arrays=arrays, restore=restore
    )


@in_place
def find_spread(log_std: Floats, expln: bool, log_spread: Floats) -> None:
    """log σ of what is learned, [L A]: x itself; with ``expln`` σ = 1 + log(1 + x) for x > 0.

    Example:
        >>> log_spread = np.zeros(2, np.float32)
        >>> find_spread(np.float32([-1.0, np.e - 1.0]), True, log_spread)
        >>> [round(float(one), 3) for one in np.exp(log_spread)]
        [0.368, 2.0]
    """
    for k in range(log_std.shape[0]):
        x = float(log_std[k])
        log_spread[k] = math.log(1.0 + math.log1p(x + _EPSILON)) if expln and x > 0.0 else x


@in_place
def follow_spread(log_std: Floats, expln: bool, grad: Floats) -> None:
    """The gradient at log σ becomes that at what is learned, [L A].

    Example:
        >>> grad = np.ones(2, np.float32)
        >>> follow_spread(np.float32([-1.0, 1.0]), True, grad)
        >>> [round(float(one), 3) for one in grad]  # 1 / (1 + x) / σ
        [1.0, 0.295]
    """
    for k in range(log_std.shape[0]):
        x = float(log_std[k])
        if expln and x > 0.0:
            grad[k] /= (1.0 + x + _EPSILON) * (1.0 + math.log1p(x + _EPSILON))


@in_place
def square_spread(log_std: Floats, squares: NDArray[np.float64]) -> None:
    """σ² of log σ, [L A].

    Example:
        >>> squares = np.zeros(1)
        >>> square_spread(np.zeros(1, np.float32), squares)
        >>> squares.tolist()
        [1.0]
    """
    for k in range(log_std.shape[0]):
        squares[k] = math.exp(2.0 * log_std[k])


@in_place
def _noise_and_variance(outputs: Floats, row: int, matrix: Floats, squares: Any, i: int) -> tuple[float, float]:
    """n_i and s_i² of a row; the matrix is [L, A]."""
    units, size = matrix.shape
    noise, total = 0.0, _EPSILON
    for j in range(units):
        h = float(outputs[row, size + j])
        noise += h * matrix[j, i]
        total += h * h * squares[j * size + i]
    return noise, total


@in_place
def smooth_sample(outputs: Floats, matrix: Floats, squares: Any, actions: Floats, log_probs: Any) -> None:
    """Actions by one matrix [L, A] for all rows, and their log-probabilities; see the head of this file.

    Example:
        >>> actions, log_probs = np.zeros((1, 1), np.float32), np.zeros(1)
        >>> smooth_sample(np.float32([[0, 1]]), np.zeros((1, 1), np.float32), np.ones(1), actions, log_probs)
        >>> actions.tolist(), round(float(log_probs[0]), 4)
        ([[0.0]], -0.9189)
    """
    for row in range(actions.shape[0]):
        log_prob = 0.0
        for i in range(actions.shape[1]):
            noise, s2 = _noise_and_variance(outputs, row, matrix, squares, i)
            u = float(outputs[row, i]) + noise
            actions[row, i] = math.tanh(u)
            log_prob -= 0.5 * noise * noise / s2 + 0.5 * math.log(s2) + _HALF_LOG_2_PI + log_slope(u)
        log_probs[row] = log_prob


@in_place
def smooth_gradient(
    outputs: Floats, matrix: Floats, squares: Any, actions: Floats, action_gradient: Floats, temperature: float,
    limit: float, grad: Floats, grad_log_std: Floats,
) -> None:  # fmt: skip
    """The gradients of L of the head of this file at [μ, h], [N, A + L], and at log σ, [L A]; ``limit`` cut the means.

    Example:
        >>> grad, of_std, one = np.zeros((1, 2), np.float32), np.zeros(1, np.float32), np.ones((1, 1), np.float32)
        >>> smooth_gradient(np.float32([[0, 1]]), 0 * one, np.ones(1), 0 * one, 2 * one, 0.5, 2.0, grad, of_std)
        >>> grad.round(3).tolist(), of_std.round(3).tolist()  # d = -2; ∂L/∂s² = -0.25
        ([[-2.0, -0.5]], [-0.5])
    """
    rows, size = actions.shape
    units = matrix.shape[0]
    for k in range(grad_log_std.shape[0]):
        grad_log_std[k] = 0.0
    for row in range(rows):
        for j in range(units):
            grad[row, size + j] = 0.0
        for i in range(size):
            noise, s2 = _noise_and_variance(outputs, row, matrix, squares, i)
            a, mean = float(actions[row, i]), float(outputs[row, i])
            d = 2.0 * temperature * a - float(action_gradient[row, i]) * (1.0 - a * a)
            of_noise = (d - temperature * noise / s2) / rows
            of_variance = 0.5 * temperature * (noise * noise / s2 - 1.0) / (s2 * rows)
            grad[row, i] = 0.0 if limit > 0.0 and abs(mean) >= limit else d / rows
            for j in range(units):
                h = float(outputs[row, size + j])
                along = of_noise * matrix[j, i] + 2.0 * of_variance * h * squares[j * size + i]
                grad[row, size + j] += along
                grad_log_std[j * size + i] += h * along


@in_place
def squash(actions: Floats) -> None:
    """tanh in place, [N, A].

    Example:
        >>> actions = np.float32([[0.0, 100.0]])
        >>> squash(actions)
        >>> actions.tolist()
        [[0.0, 1.0]]
    """
    for i in range(actions.shape[0]):
        for j in range(actions.shape[1]):
            actions[i, j] = math.tanh(actions[i, j])


class Drawing(NamedTuple):
    """How an update of a soft agent draws actions, compiled or plain; ``nets`` has an actor, ``work`` the arrays.

    Attributes:
        draw: ``draw(nets, work, rng)``: noise for the next states, before all else.
        draw_again: ``draw_again(nets, work, rng)``: noise for the states.
        sample: ``sample(nets, work, outputs)`` writes ``work.actions`` and ``work.log_probs``.
        gradient: ``gradient(nets, work, outputs, slope, alpha)`` writes ``work.actor_gradient``, of the loss at the
            actor's outputs, from ∂Q/∂a.

    Example:
        >>> from agents import SAC
        >>> from rlplay.functional.vector_step import plain
        >>> memory = SAC("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0).memory
        >>> drawing(False, plain).draw(memory.nets, memory.work, memory.noise_rng)
        >>> bool(memory.work.noise.any())
        True
    """

    draw: Callable[..., None]
    draw_again: Callable[..., None]
    sample: Callable[..., None]
    gradient: Callable[..., None]


@cache
def drawing(smooth: bool, decorator: Callable[..., Any]) -> Drawing:
    """The functions of a squashed normal policy, or (``smooth``) of one with state-dependent noise.

    Example:
        >>> from rlplay.functional.vector_step import plain
        >>> drawing(True, plain) is drawing(True, plain)  # agents share them
        True
    """
    return _smooth_drawing(decorator) if smooth else _plain_drawing(decorator)


def _plain_drawing(decorator: Callable[..., Any]) -> Drawing:
    @decorator
    def draw(nets: Any, work: Any, rng: NDArray[np.uint64]) -> None:
        draw_noise(rng, work.noise)

    @decorator
    def sample(nets: Any, work: Any, outputs: Floats) -> None:
        squashed_sample(outputs, work.noise, work.actions, work.log_probs)

    @decorator
    def gradient(nets: Any, work: Any, outputs: Floats, slope: Floats, alpha: float) -> None:
        squashed_gradient(outputs, work.noise, work.actions, slope, alpha, work.actor_gradient)

    return Drawing(draw, draw, sample, gradient)


def _smooth_drawing(decorator: Callable[..., Any]) -> Drawing:
    @decorator
    def draw(nets: Any, work: Any, rng: NDArray[np.uint64]) -> None:
        find_spread(nets.actor.log_std, nets.actor.expln, nets.actor.log_spread)
        draw_matrices(nets.actor.matrix, nets.actor.log_spread, rng)
        square_spread(nets.actor.log_spread, nets.actor.squares)

    @decorator
    def draw_again(nets: Any, work: Any, rng: NDArray[np.uint64]) -> None:
        """The same matrix serves."""

    @decorator
    def sample(nets: Any, work: Any, outputs: Floats) -> None:
        smooth_sample(outputs, nets.actor.matrix[0], nets.actor.squares, work.actions, work.log_probs)

    @decorator
    def gradient(nets: Any, work: Any, outputs: Floats, slope: Floats, alpha: float) -> None:
        actor = nets.actor
        smooth_gradient(
            outputs, actor.matrix[0], actor.squares, work.actions, slope, alpha, actor.clip_mean, work.actor_gradient,
            actor.log_std_gradient,
        )  # fmt: skip
        follow_spread(actor.log_std, actor.expln, actor.log_std_gradient)

    return Drawing(draw, draw_again, sample, gradient)


__all__ = [
    "Drawing",
    "SmoothActor",
    "drawing",
    "find_spread",
    "follow_spread",
    "smooth_gradient",
    "smooth_kernel",
    "smooth_sample",
    "squash",
]
