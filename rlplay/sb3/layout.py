"""Which tensors of Stable-Baselines3's networks are which numbers of ours, and back.

Our networks keep all parameters in one flat array, layer by layer, weights [inputs, outputs] before biases; torch keeps
weights [outputs, inputs] under names. A recurrent cell has two of each, its gates in torch's order. Pictures have their
channels last with us and first with torch, so the weights of what follows them stand in another order. Layers with one
name each are taken as they are; two names of one layer are two parts of its outputs, such as the mean and the deviation
of SAC's actor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError

Tensors = Mapping[str, NDArray[Any]]


class OtherNetworksError(CheckpointError):
    """Networks that are not those of an agent of ours; Stable-Baselines3's own may hold them."""


# The features of policy and value stand under three names, of which two or three are the same tensors.
_CELL = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")  # tensors of a cell, in our order
_MOMENTS = ("ra_mean", "ra_var", "steps")  # of batch renormalisation: no gradient descends on them
_RENORM = ("scale", "bias", *_MOMENTS)
_EXTRACTOR = re.compile(r"(pi_|vf_)?features_extractor\.(cnn|linear)\.")


# What stands before the layers of policy and value where they have a memory; a value without one has a plain layer.
_MEMORIES = {"policy": ("lstm_actor",), "value": ("lstm_critic", "critic")}


@dataclass
class Layout:
    """Our networks by name, each a list of members, a member a list of layers, a layer a list of torch's names.

    Attributes:
        networks: ``{"policy": [[["mlp_extractor.policy_net.0"], ["action_net"]]]}``.
        noise: the logarithms of the deviations of the actions; empty for none.
        spread: where an agent of ours keeps them.
        quantiles: of each action's value; 1 for plain values.
        picture: height, width and channels of pictures; None for none.
        ignored: names that say again what others say.
        kinds: the tensors of the layers that are no plain ones, recurrent cells and batch renormalisation.
    """

    networks: dict[str, list[list[list[str]]]]
    noise: str = ""
    spread: str = "spread"
    quantiles: int = 1
    picture: tuple[int, int, int] | None = None
    ignored: list[str] = field(default_factory=list)
    kinds: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def parameters(self, tensors: Tensors, network: str) -> NDArray[np.float32]:
        """Torch's tensors as one of our networks has them, float32 [P].

        Example:
            >>> layout = Layout({"q": [[["net.0"]]]})
            >>> layout.parameters({"net.0.weight": np.float32([[1, 2]]), "net.0.bias": np.float32([3])}, "q").tolist()
            [1.0, 2.0, 3.0]
        """
        parts: list[NDArray[Any]] = []
        for member in self.networks[network]:
            shape = self._picture_of(network)
            for number, names in enumerate(member):
                if names[0] in self.kinds:
                    parts += [tensors[name].T.ravel() for name in self.of_layer(names[0])]
                    continue
                weight = np.concatenate([tensors[f"{name}.weight"] for name in names])
                bias = np.concatenate([tensors[f"{name}.bias"] for name in names])
                if weight.ndim == 4:
                    shape = _after(shape, weight.shape)
                    parts += [weight.transpose(2, 3, 1, 0).ravel(), bias]
                    continue
                if shape is not None:
                    weight, shape = _channels_last(weight, shape), None
                if number == len(member) - 1 and self.quantiles > 1:
                    weight, bias = (_by_action(one, self.quantiles) for one in (weight, bias))
                parts += [weight.T.ravel(), bias]
        return np.concatenate(parts).astype(np.float32)

    def tensors(self, flat: NDArray[Any], network: str, like: Tensors) -> dict[str, NDArray[np.float32]]:
        """One of our networks' parameters [P] as torch's tensors, of the shapes of ``like``.

        Raises:
            OtherNetworksError: they are those of another architecture.

        Example:
            >>> layout = Layout({"q": [[["net.0"]]]})
            >>> like = {"net.0.weight": np.zeros((1, 2)), "net.0.bias": np.zeros(1)}
            >>> {name: one.tolist() for name, one in layout.tensors(np.float32([1, 2, 3]), "q", like).items()}
            {'net.0.weight': [[1.0, 2.0]], 'net.0.bias': [3.0]}
        """
        found: dict[str, NDArray[np.float32]] = {}
        at = 0

        def take(count: int) -> NDArray[Any]:
            nonlocal at
            at += count
            return flat[at - count : at]

        for member in self.networks[network]:
            shape = self._picture_of(network)
            for number, names in enumerate(member):
                if names[0] in self.kinds:
                    for name in self.of_layer(names[0]):
                        sizes = like[name].shape
                        found[name] = np.array(take(int(np.prod(sizes))).reshape(sizes[::-1]).T, order="C")
                    continue
                shapes = [like[f"{name}.weight"].shape for name in names]
                outputs = [one[0] for one in shapes]
                inner, total = shapes[0][1:], sum(outputs)
                numbers = take(total * int(np.prod(inner)))
                bias = take(total)
                if len(numbers) + len(bias) != total * (int(np.prod(inner)) + 1):
                    raise OtherNetworksError(f"the {network} has {len(flat):,} parameters, fewer than its twin")
                if len(inner) == 3:
                    shape = _after(shape, shapes[0])
                    weight = numbers.reshape(inner[1], inner[2], inner[0], total).transpose(3, 2, 0, 1)
                else:
                    weight = numbers.reshape(*inner, total).T
                    if shape is not None:
                        weight, shape = _channels_first(weight, shape), None
                    if number == len(member) - 1 and self.quantiles > 1:
                        count = total // self.quantiles
                        weight, bias = (_by_action(one, count) for one in (weight, bias))
                cuts = np.cumsum(outputs)[:-1]
                for name, some, own in zip(names, np.split(weight, cuts), np.split(bias, cuts), strict=True):
                    found[f"{name}.weight"], found[f"{name}.bias"] = np.ascontiguousarray(some), own.copy()
        if at != len(flat):
            raise OtherNetworksError(f"the {network} has {len(flat):,} parameters, its twin {at:,}")
        return found

    def place(self, network: str, part: str) -> str:
        """Where an agent of ours keeps a part of a network, ``parameters`` or a moment.

        Example:
            >>> Layout({}).place("policy", "m"), Layout({}).place("actor/head", "m")
            ('policy/m', 'actor/head_m')
        """
        return f"{network}{'_' if '/' in network else '/'}{part}"

    def names(self) -> set[str]:
        """All tensors that are taken."""
        return {name for network in self.networks for name in self.tensors_of(network)} | ({self.noise} - {""})

    def tensors_of(self, network: str) -> set[str]:
        """The tensors of a network.

        Example:
            >>> sorted(Layout({"q": [[["net.0"]]]}).tensors_of("q"))
            ['net.0.bias', 'net.0.weight']
        """
        layers = [name for member in self.networks.get(network, []) for names in member for name in names]
        return {name for layer in layers for name in self.of_layer(layer)}

    def of_layer(self, name: str) -> list[str]:
        """The tensors of a layer.

        Example:
            >>> Layout({}).of_layer("action_net")
            ['action_net.weight', 'action_net.bias']
        """
        return [f"{name}.{part}" for part in self.kinds.get(name, ("weight", "bias"))]

    def _picture_of(self, network: str) -> tuple[int, int, int] | None:
        """What the network sees: a memory stands between the pictures and the layers on it."""
        return None if "policy_core" in self.networks and not network.endswith("_core") else self.picture

    def sizes(self, tensors: Tensors, network: str) -> list[int]:
        """Outputs of the layers of a network's first member, but for convolutions and what stands between."""
        return [sum(tensors[f"{name}.weight"].shape[0] for name in names) for names in self.networks[network][0]]

    def without_gradient(self) -> list[str]:
        """The tensors that no optimiser moves: running moments."""
        return [name for layer in self.kinds for name in self.of_layer(layer) if name.endswith(_MOMENTS)]


def _after(shape: tuple[int, int, int] | None, weight: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels behind a convolution of the network for Atari, whose strides are known."""
    if shape is None:
        raise OtherNetworksError("it has convolutions over observations that are no pictures: refused")
    stride = {8: 4, 4: 2, 3: 1}.get(weight[2])
    if stride is None or weight[2] != weight[3] or weight[1] != shape[2]:
        raise OtherNetworksError(f"it has a convolution {list(weight)} that is none of the network for Atari")
    height, width = ((side - weight[2]) // stride + 1 for side in shape[:2])
    return height, width, weight[0]


def _channels_last(weight: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """Weights [O, C H W] of pictures with channels first as [O, H W C]."""
    height, width, channels = shape
    return weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(len(weight), -1)


def _channels_first(weight: NDArray[Any], shape: tuple[int, int, int]) -> NDArray[Any]:
    """The other way round."""
    height, width, channels = shape
    return weight.reshape(-1, height, width, channels).transpose(0, 3, 1, 2).reshape(len(weight), -1)


def _by_action(array: NDArray[Any], first: int) -> NDArray[Any]:
    """Rows [F S, ...] that go through the second of two numbers fastest, as [S F, ...]."""
    rest = array.shape[1:]
    return array.reshape(first, -1, *rest).swapaxes(0, 1).reshape(-1, *rest)


def layout_of(algorithm: str, tensors: Tensors, picture: tuple[int, int, int] | None) -> Layout:
    """How the tensors of a policy lie in the networks of an agent of ours.

    Args:
        algorithm: Stable-Baselines3's, in lower case: ppo, a2c, dqn, sac, td3, ddpg, or sb3-contrib's maskable-ppo,
            recurrent-ppo, trpo, qrdqn, tqc, crossq.
        tensors: of its ``policy.pth``.
        picture: height, width and channels where observations are pictures.

    Raises:
        OtherNetworksError: there are tensors that no network of ours has; names one.

    Example:
        >>> tensors = {f"q_net{t}.q_net.{n}.{part}": np.zeros(shape) for t in ("", "_target") for n in (0, 2)
        ...            for part, shape in (("weight", (3, 3)), ("bias", 3))}
        >>> layout_of("dqn", tensors, None).networks["q"]
        [[['q_net.q_net.0'], ['q_net.q_net.2']]]
    """
    chain = _Chain(tensors)
    if algorithm in ("ppo", "maskable-ppo", "recurrent-ppo", "a2c", "trpo"):
        networks: dict[str, Any] = {}
        recurrent = algorithm == "recurrent-ppo"
        for network, part, head in (("policy", "policy_net", "action_net"), ("value", "value_net", "value_net")):
            own = "pi_features_extractor" if network == "policy" else "vf_features_extractor"
            front = chain.convolutions(own) or chain.convolutions("features_extractor")
            shared = chain.numbered("mlp_extractor.shared_net")
            if recurrent:
                for cell in _MEMORIES[network]:
                    if any(name.startswith(f"{cell}.") for name in tensors):
                        networks[f"{network}_core"], front = [[*front, [cell]]], []
            networks[network] = [[*front, *shared, *chain.numbered(f"mlp_extractor.{part}"), [head]]]
        found = Layout(networks, "log_std" if "log_std" in tensors else "")
        found.kinds = {name: _CELL for name in ("lstm_actor", "lstm_critic") if f"{name}.{_CELL[0]}" in tensors}
    elif algorithm in ("dqn", "qrdqn"):
        own = "q_net" if algorithm == "dqn" else "quantile_net"
        found = Layout({
            name: [[*chain.convolutions(f"{net}.features_extractor"), *chain.numbered(f"{net}.{own}")]]
            for name, net in (("q", own), ("target", f"{own}_target"))
        })  # fmt: skip
    else:
        smooth = "actor.log_std" in tensors  # noise that depends on the state: a matrix, and no second head
        heads = [["actor.mu", "actor.log_std"]] if algorithm in ("sac", "tqc", "crossq") and not smooth else []
        hidden = "actor.latent_pi" if heads or smooth else "actor.mu"
        networks = {"actor": [[*chain.numbered(hidden), *heads]]}
        if smooth:
            networks["actor/head"] = [chain.numbered("actor.mu") or [["actor.mu"]]]
        elif not heads:
            networks["target_actor"] = [chain.numbered("actor_target.mu")]
        for name, net in (("critics", "critic"), ("target_critics", "critic_target")):
            count = 0
            while chain.numbered(f"{net}.qf{count}"):
                count += 1
            if count or algorithm != "crossq":  # which has no older copies
                networks[name] = [chain.numbered(f"{net}.qf{k}") for k in range(count)]
        found = Layout(networks, "actor.log_std", "actor/log_std") if smooth else Layout(networks)
        found.kinds = {name.removesuffix(".ra_mean"): _RENORM for name in tensors if name.endswith(".ra_mean")}
    found.picture = picture
    taken = found.names()
    found.ignored = [name for name in tensors if name not in taken and _EXTRACTOR.match(name)]
    missing = sorted(found.names() - set(tensors))
    if missing:
        raise OtherNetworksError(f"its policy lacks {missing[0]}, which {algorithm.upper()} has")
    left = sorted(set(tensors) - found.names() - set(found.ignored))
    if left:
        raise OtherNetworksError(f"its policy has {left[0]}, which the networks of this agent do not have")
    for network in found.networks:
        for member in found.networks[network]:
            _check_layers(member, found, tensors)
    return found


def _check_layers(member: list[list[str]], layout: Layout, tensors: Tensors) -> None:
    """Perceptrons and convolutions must be of matrices, and each layer must take what the one before gives.

    Raises:
        OtherNetworksError: names the tensor that is not so.
    """
    before: int | None = None  # numbers that the layer before gives; None where that is not known
    for names in member:
        if names[0] in layout.kinds:
            before = None
            continue
        outputs = 0
        for name in names:
            weight, bias = (np.shape(tensors[f"{name}.{part}"]) for part in ("weight", "bias"))
            if len(weight) not in (2, 4) or bias != weight[:1] or 0 in weight or before not in (None, weight[1]):
                raise OtherNetworksError(f"{name}.weight {list(weight)} fits no layer of a network here")
            outputs += weight[0]
        before = outputs if len(weight) == 2 else None


class _Chain:
    """The layers of a torch module by their names."""

    def __init__(self, tensors: Iterable[str]) -> None:
        self._names = list(tensors)

    def numbered(self, prefix: str) -> list[list[str]]:
        """``PREFIX.0``, ``PREFIX.2``, ... in their order."""
        found = (re.fullmatch(rf"{re.escape(prefix)}\.(\d{{1,4}})\.(weight|scale)", name) for name in self._names)
        return [[f"{prefix}.{number}"] for number in sorted(int(match[1]) for match in found if match)]

    def convolutions(self, prefix: str) -> list[list[str]]:
        """The convolutions of the network for Atari, and the layer behind them; nothing where there are none."""
        found = self.numbered(f"{prefix}.cnn")
        return [*found, *self.numbered(f"{prefix}.linear")] if found else []
