"""Our networks beside torch's: taskset -c 1 python tests/benchmarks/networks.py [products] [steps] [rows] [layers]

One core. OPENBLAS_CORETYPE is unset before NumPy starts, since some machines set it to an older processor. Contenders
take turns; medians of CPU seconds are compared, so that only the ratios matter. torch is there twice:

    twin    `rlplay.networks.TorchNetwork`'s module with the same weights, and Adam as torch has it by default
    plain   torch's fastest way that we know on one core: a bare ``torch.nn.Sequential`` (or LSTM, GRU), and Adam with
            ``fused=True``, which updates all parameters in one call
"""

from __future__ import annotations

import os

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"
if os.environ.pop("OPENBLAS_CORETYPE", None):
    print("OPENBLAS_CORETYPE was set and is unset: it slows NumPy's and SciPy's matrix products")

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from rlplay.compiled.cache import compiled, in_place
from rlplay.networks import GRU, LSTM, Conv2d, Linear, Network, ReLU, TorchNetwork, mlp
from rlplay.networks.layers import Layer
from rlplay.networks.matmul import ROOM, product


def microseconds(contenders: dict[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """The median time of a call of each, over rounds in which they take turns."""
    times: dict[str, int] = {}
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for name, call in contenders.items():
        call()
        start = time.perf_counter()
        call()
        times[name] = max(3, int(0.03 / (time.perf_counter() - start)))
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.process_time()
            for _ in range(times[name]):
                call()
            found[name].append((time.process_time() - start) / times[name] * 1e6)
    return {name: statistics.median(values) for name, values in found.items()}


class TorchStep:
    """Forward, backward and Adam as one writes them in torch: tensors stay tensors, nothing of ours between."""

    def __init__(self, layers: Sequence[Layer], x: Any, grad: Any, **settings: Any) -> None:
        twin = TorchNetwork(layers, **settings)
        self.module, self.x, self.grad = twin.module, torch.from_numpy(x.copy()), torch.from_numpy(grad.copy())
        self.call = (None, torch.full((x.shape[1] if x.ndim == 3 else len(x),), len(x)), len(x), x.ndim == 3)
        self.optimiser = torch.optim.Adam(self.module.parameters(), 1e-4)

    def backward(self) -> None:
        """Forward and backward."""
        self.optimiser.zero_grad()
        self.module(self.x, *self.call)[0].backward(self.grad)

    def step(self) -> None:
        """The whole."""
        self.backward()
        self.optimiser.step()


def plain_module(layers: Sequence[Layer]) -> torch.nn.Module:
    """Such layers as one writes them in torch: pictures are [N, C, H, W], sequences [T, N, D]."""
    made: list[torch.nn.Module] = []
    for layer in layers:
        if isinstance(layer, LSTM | GRU):
            return (torch.nn.LSTM if isinstance(layer, LSTM) else torch.nn.GRU)(layer.n_in, layer.n_hidden)
        if isinstance(layer, Conv2d):
            made.append(
                torch.nn.Conv2d(layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding)
            )
        elif isinstance(layer, Linear):
            if any(isinstance(module, torch.nn.Conv2d) for module in made):
                made.append(torch.nn.Flatten())
            made.append(torch.nn.Linear(layer.n_in, layer.n_out))
        else:
            made.append(torch.nn.ReLU() if isinstance(layer, ReLU) else torch.nn.Tanh())
    return torch.nn.Sequential(*made)


class PlainStep:
    """The same through a bare module, with fused Adam."""

    def __init__(self, layers: Sequence[Layer], x: Any, grad: Any) -> None:
        picture = x.ndim == 4
        self.module = plain_module(layers)
        self.x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if picture else x.copy())
        self.grad = torch.from_numpy(grad.transpose(0, 3, 1, 2).copy() if grad.ndim == 4 else grad.copy())
        self.recurrent = isinstance(self.module, torch.nn.LSTM | torch.nn.GRU)
        self.optimiser = torch.optim.Adam(self.module.parameters(), 1e-4, fused=True)

    def step(self) -> None:
        """Forward, backward and Adam."""
        self.optimiser.zero_grad()
        y = self.module(self.x)
        (y[0] if self.recurrent else y).backward(self.grad)
        self.optimiser.step()


class OurStep:
    """The same with ours, as an agent's loop has it: the functions of the kernel on the network's memory."""

    def __init__(self, layers: Sequence[Layer], x: Any, grad: Any, **settings: Any) -> None:
        network = Network(layers, **settings)
        network.forward(x)
        functions = network.kernel
        forward, backward, improve = functions.forward, functions.backward, functions.improve
        self.net, self.x = network.net, np.ascontiguousarray(x.reshape(-1, int(np.prod(network.shapes[0]))))
        self.grad = grad.reshape(-1, grad.shape[-1])

        @compiled
        def run(net: Any, x: Any, grad: Any, times: int, improves: bool) -> None:
            for _ in range(times):
                forward(net, x)
                backward(net, x, grad, False)
                if improves:
                    improve(net, 1e-4, 0.0)

        self.run = run

    def backward(self) -> None:
        """Forward and backward."""
        self.run(self.net, self.x, self.grad, 1, False)

    def step(self) -> None:
        """The whole."""
        self.run(self.net, self.x, self.grad, 1, True)


def line(name: str, ours: float, *theirs: float) -> None:
    """One row of a table: microseconds of each, and how many times as long theirs take."""
    print(f"{name:52s} {ours:10.1f}" + "".join(f" {one:10.1f}" for one in theirs)
          + "".join(f" {one / ours:7.2f}" for one in theirs), flush=True)  # fmt: skip


def heading(title: str) -> None:
    """The head of a table."""
    print(f"\n{title:52s} {'ours, us':>10s} {'twin, us':>10s} {'plain, us':>10s} {'times':>7s} {'times':>7s}")


def three(layers: Sequence[Layer], shape: tuple[int, ...], out: tuple[int, ...], **settings: Any) -> tuple[Any, ...]:
    """The three steps for random inputs and gradients."""
    rng = np.random.default_rng(0)
    x, grad = rng.normal(size=shape).astype(np.float32), rng.normal(size=out).astype(np.float32)
    ours, twin = OurStep(layers, x, grad, seed=0, **settings), TorchStep(layers, x, grad, seed=0, **settings)
    return ours, twin, PlainStep(layers, x, grad)


def measured(name: str, contenders: tuple[Any, ...]) -> None:
    """A row of a step of each."""
    found = microseconds({kind: one.step for kind, one in zip(("ours", "twin", "plain"), contenders, strict=True)})
    line(name, *found.values())


def steps() -> None:
    """Forward, backward and a step of Adam of perceptrons."""
    heading("a step of Adam: inputs-hidden-outputs, rows")
    for wide, rows in [(w, r) for w in (32, 64, 128) for r in (32, 64, 128, 256)] + [(256, 256)]:
        measured(f"8-{wide}-{wide}-4, {rows} rows", three(mlp([8, wide, wide, 4]), (rows, 8), (rows, 4)))
    ours = three(mlp([4, 64, 64, 2]), (128, 4), (128, 2))[0]
    found = microseconds({"ours": ours.backward})
    print(f"two nets 4-64-64-2, 128 rows, forward and backward: {2 * found['ours']:.1f} us a pair")


def rows() -> None:
    """One row through two hidden layers of 64."""
    network, twin = Network(mlp([4, 64, 64, 2]), seed=0), TorchNetwork(mlp([4, 64, 64, 2]), seed=0)
    x, net, forward_row = np.ones(4, np.float32), network.net, network.kernel.forward_row
    tensor = torch.ones(1, 4)
    call = (None, torch.ones(1, dtype=torch.int64), 1, False)

    @compiled
    def many(net: Any, x: Any, times: int) -> float:
        total = 0.0
        for _ in range(times):
            total += forward_row(net, x)[0]
        return total

    def theirs() -> None:
        with torch.no_grad():
            twin.module(tensor, *call)

    bare = plain_module(mlp([4, 64, 64, 2]))

    def plain() -> None:
        with torch.inference_mode():
            bare(tensor)

    found = microseconds({
        "python": lambda: forward_row(net, x), "loop": lambda: many(net, x, 1000), "twin": theirs, "plain": plain
    })  # fmt: skip
    heading("one row through 4-64-64-2")
    line("from Python", found["python"], found["twin"], found["plain"])
    line("from a compiled loop", found["loop"] / 1000, found["twin"], found["plain"])


def layers() -> None:
    """Recurrent and convolutional layers: forward, backward and Adam."""
    heading("a step of Adam")
    for name, layer in (("LSTM", LSTM(16, 64)), ("GRU", GRU(16, 64))):
        measured(f"{name} of 64 units, 32 sequences of 32 steps", three([layer], (32, 32, 16), (32, 32, 64)))
    for shape, layer, many in (
        ((8, 8, 1), Conv2d(1, 16, 3, padding=1), 64),
        ((28, 28, 1), Conv2d(1, 32, 5), 32),
        ((84, 84, 4), Conv2d(4, 32, 8, stride=4), 32),
        ((20, 20, 32), Conv2d(32, 64, 4, stride=2), 32),
    ):
        contenders = three([layer], (many, *shape), (many, *layer.shape_after(shape)), input_shape=shape)
        contenders[0].grad = contenders[0].grad.reshape(many, -1)
        measured(f"{layer}, {many} images", contenders)
    first, second = Conv2d(4, 16, 8, stride=4), Conv2d(16, 32, 4, stride=2)
    net = [first, ReLU(), second, ReLU(), Linear(9 * 9 * 32, 256), ReLU(), Linear(256, 4)]
    measured(
        "the network of Mnih et al. 2013, 32 images", three(net, (32, 84, 84, 4), (32, 4), input_shape=(84, 84, 4))
    )


def products() -> None:
    """Our products of matrices beside BLAS, for the shapes of a network."""

    @in_place
    def ours(a: Any, b: Any, c: Any, room: Any, n: int, k: int, m: int, times: int) -> None:
        for _ in range(times):
            product(a, 0, k, 1, b, 0, m, 1, c, 0, m, c, -1, 0, n, m, k, room)

    @compiled
    def blas(a: Any, b: Any, c: Any, times: int) -> None:
        for _ in range(times):
            np.dot(a, b, c)

    print(f"\n{'C [n, m] = A [n, k] B [k, m]':52s} {'ours, us':>10s} {'BLAS, us':>10s} {'times':>7s}")
    rng = np.random.default_rng(0)
    for n, k, m in ((32, 64, 64), (128, 4, 64), (128, 64, 64), (128, 64, 2), (256, 128, 128), (256, 256, 256)):
        a, b, c = (rng.normal(size=shape).astype(np.float32) for shape in ((n, k), (k, m), (n, m)))
        flat = a.ravel(), b.ravel(), c.ravel(), np.zeros(ROOM, np.float32)
        found = microseconds({
            "ours": lambda f=flat, n=n, k=k, m=m: ours(*f, n, k, m, 20), "blas": lambda a=a, b=b, c=c: blas(a, b, c, 20)
        })  # fmt: skip
        line(f"n {n}, k {k}, m {m}", found["ours"] / 20, found["blas"] / 20)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in sys.argv[1:] or ["products", "steps", "rows", "layers"]:
        {"products": products, "steps": steps, "rows": rows, "layers": layers}[part]()
