"""torch modules, optimisers and random states as plain arrays, and back: no pickle."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, HyperparameterError, missing
from rlplay.storage.ranges import COUNT

try:
    import torch
except ImportError as error:
    raise missing("the states of torch's networks", "torch", "torch") from error

Arrays = dict[str, NDArray[Any]]


def pack_module(module: torch.nn.Module) -> Arrays:
    """Parameters and buffers by their names.

    Example:
        >>> {name: array.shape for name, array in pack_module(torch.nn.Linear(3, 2)).items()}
        {'weight': (2, 3), 'bias': (2,)}
    """
    return {name: _array(tensor) for name, tensor in module.state_dict().items()}


def unpack_module(module: torch.nn.Module, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Take the values of such arrays.

    Raises:
        CheckpointError: a name or shape that the module does not have.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> unpack_module(layer, {"weight": np.array([[2.0]]), "bias": np.array([1.0])})
        >>> layer(torch.tensor([[3.0]])).item()  # 2 · 3 + 1
        7.0
    """
    for name, target in module.state_dict().items():
        found = arrays.get(name)
        if found is None or found.shape != tuple(target.shape):
            raise CheckpointError(
                f"{name} has shape {found.shape if found is not None else None} in the file, "
                f"{tuple(target.shape)} in the agent"
            )
    with torch.no_grad():
        for name, target in module.state_dict().items():
            target.copy_(torch.from_numpy(np.array(arrays[name])))


def pack_optimizer(optimizer: torch.optim.Optimizer) -> Arrays:
    """The state of each parameter by its number: ``"3/exp_avg"``.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> adam = torch.optim.Adam(layer.parameters())
        >>> layer(torch.ones(1, 1)).sum().backward()
        >>> adam.step()
        >>> sorted(pack_optimizer(adam))
        ['0/exp_avg', '0/exp_avg_sq', '0/step', '1/exp_avg', '1/exp_avg_sq', '1/step']
    """
    found: Arrays = {}
    for number, parameter in enumerate(_parameters(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            if value is not None:
                found[f"{number}/{name}"] = _array(value) if isinstance(value, torch.Tensor) else np.array(value)
    return found


def unpack_optimizer(optimizer: torch.optim.Optimizer, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Take the values of such arrays; whole numbers stay Python's, everything else becomes a tensor.

    Raises:
        CheckpointError: the state of a parameter that is not there, of another shape or type, or in part.

    Example:
        >>> layer = torch.nn.Linear(1, 1)
        >>> adam = torch.optim.Adam(layer.parameters())
        >>> half = np.array([[0.5]], np.float32)
        >>> unpack_optimizer(adam, {"0/exp_avg": half, "0/exp_avg_sq": half, "0/step": np.float32(1)})
        >>> adam.state[layer.weight]["exp_avg"].item()
        0.5
    """
    parameters = _parameters(optimizer)
    whole = _state_after_a_step(optimizer) if arrays else {}
    optimizer.state.clear()
    for name, array in arrays.items():
        number, _, key = name.partition("/")
        if not number.isdigit() or int(number) >= len(parameters) or key not in whole:
            raise CheckpointError(f"the optimiser's state {name!r} belongs to no parameter")
        parameter = parameters[int(number)]
        shape = tuple(parameter.shape) if whole[key] else ()
        if array.shape != shape:
            raise CheckpointError(f"the optimiser's state {name!r} has shape {array.shape}, not {shape}")
        value = torch.from_numpy(np.array(array))
        if shape and value.dtype != parameter.dtype:
            raise CheckpointError(f"the optimiser's state {name!r} is {array.dtype}, not {parameter.dtype}")
        if "sq" in key and not (array >= 0).all():  # means of squares, whose roots are taken
            raise CheckpointError(f"the optimiser's state {name!r} holds means of squares below 0")
        if not shape and not (array.dtype.kind in "iuf" and 0 <= array <= COUNT[1]):
            raise CheckpointError(f"the optimiser's state {name!r} is {array}, which is no count of steps")
        plain = not shape and array.dtype.kind == "i"
        optimizer.state[parameter][key] = int(array) if plain else value.to(parameter.device if shape else "cpu")
    for state in optimizer.state.values():
        if set(state) != set(whole):
            raise CheckpointError(f"the optimiser's state of a parameter is {sorted(state)}, not {sorted(whole)}")


def _state_after_a_step(optimizer: torch.optim.Optimizer) -> dict[str, bool]:
    """The names of what such an optimiser keeps of a parameter, and whether each has the parameter's shape."""
    weight = torch.nn.Parameter(torch.zeros(1))
    weight.grad = torch.zeros(1)
    like = object.__new__(type(optimizer))
    torch.optim.Optimizer.__init__(like, [weight], optimizer.defaults)
    like.step()
    return {name: np.ndim(value) > 0 for name, value in like.state[weight].items() if value is not None}


# Different numbers in a state of a Mersenne Twister, at least: 624 words, all but surely different. A state of zeros
# draws zeros for ever, and a sampler that rejects them never ends.
_DRAWN = 300


class RandomStates:
    """torch's and NumPy's global generators as one user's own: used inside ``with``, put back afterwards.

    Libraries that draw from global generators can so be run without drawing from anybody else's, and be resumed.

    Attributes:
        arrays: the states, as a file keeps them: torch uint8, NumPy's MT19937 key uint32 [624] and its places [3].

    Example:
        >>> own = RandomStates(seed=0)
        >>> with own():
        ...     first = torch.rand(1).item()
        >>> with RandomStates(seed=0)():
        ...     again = torch.rand(1).item()
        >>> first == again, sorted(own.arrays)[:2]
        (True, ['numpy_key', 'numpy_place'])
    """

    def __init__(self, seed: int | None = None) -> None:
        self.arrays: Arrays = {}
        self._seed = seed

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Draw from these states; before the first time they are whatever the block leaves behind."""
        outside = (torch.get_rng_state(), np.random.get_state(legacy=True), random.getstate())
        cuda = torch.cuda.get_rng_state_all() if _cuda_is_used() else None
        if self.arrays:
            self._use()
        elif self._seed is not None:
            torch.manual_seed(self._seed)
            np.random.seed(self._seed)
        try:
            yield
        finally:
            self._keep()
            torch.set_rng_state(outside[0])
            np.random.set_state(outside[1])
            random.setstate(outside[2])
            if cuda is not None:
                torch.cuda.set_rng_state_all(cuda)

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take the states of a file.

        Raises:
            CheckpointError: they are none.
        """
        if not arrays:
            self.arrays = {}
            return
        place = arrays["numpy_place"]
        good = place.shape == (3,) and arrays["numpy_key"].shape == (624,) and arrays["numpy_key"].dtype == np.uint32
        if not good or place[0] not in range(625) or place[1] not in (0.0, 1.0):
            raise CheckpointError("random/numpy_place is no place in the state of a random generator: refused")
        if len(np.unique(arrays["numpy_key"])) < _DRAWN or len(np.unique(arrays["torch"])) < _DRAWN // 2:
            raise CheckpointError("random/numpy_key is no state that a random generator reaches: it would draw zeros")
        try:
            torch.Generator().set_state(torch.from_numpy(arrays["torch"].copy()))
        except (RuntimeError, TypeError) as error:
            raise CheckpointError(f"random/torch is no state of a random generator ({error})") from error
        if "cuda" in arrays and (arrays["cuda"].dtype != np.uint8 or arrays["cuda"].shape != (16,)):
            raise CheckpointError("random/cuda is no state of a random generator: refused")
        self.arrays = {name: np.array(array) for name, array in arrays.items()}

    def _keep(self) -> None:
        state: Any = np.random.get_state(legacy=True)
        _, key, place, has_gauss, gauss = state
        self.arrays = {
            "torch": torch.get_rng_state().numpy(),
            "numpy_key": np.asarray(key, np.uint32),
            "numpy_place": np.array([place, has_gauss, gauss], np.float64),
        }
        if _cuda_is_used():
            self.arrays["cuda"] = torch.cuda.get_rng_state().numpy()

    def _use(self) -> None:
        place, has_gauss, gauss = self.arrays["numpy_place"]
        torch.set_rng_state(torch.from_numpy(self.arrays["torch"].copy()))
        np.random.set_state(("MT19937", self.arrays["numpy_key"], int(place), int(has_gauss), float(gauss)))
        if "cuda" in self.arrays and torch.cuda.is_available():
            torch.cuda.set_rng_state(torch.from_numpy(self.arrays["cuda"].copy()))


def _cuda_is_used() -> bool:
    return bool(torch.cuda.is_initialized())  # type: ignore[no-untyped-call]


def _parameters(optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy().copy()


def with_outputs(module: torch.nn.Module, last: Any, n_in: int, seed: int) -> torch.nn.Module:
    """A copy of a module [N, D] -> [N, F] with a linear layer on top, as wide as ``last`` says.

    Raises:
        HyperparameterError: the module does not take vectors of ``n_in`` numbers, or gives no vectors.
    """
    copied = copy.deepcopy(module)
    try:
        with torch.no_grad():
            shape = tuple(copied(torch.zeros(2, n_in)).shape)
    except (RuntimeError, TypeError, ValueError) as error:
        raise HyperparameterError(
            f"the network {type(module).__name__} does not take observations of {n_in} numbers: {error}",
            f"Give a module from [N, {n_in}] to [N, F]",
        ) from error
    if len(shape) != 2:
        raise HyperparameterError(
            f"the network {type(module).__name__} gives shape {list(shape)}, not [N, F]", "Flatten what it gives"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return torch.nn.Sequential(copied, torch.nn.Linear(shape[1], last.n_out))
