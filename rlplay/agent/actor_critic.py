"""What off-policy actor-critics share: an actor for continuous actions, critics of state and action, their targets.

An agent is a file with its update in it, such as `agents.sac`; how it acts is in
`rlplay.functional.actor_critic_step`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, ClassVar, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.network_optimisers import OPTIMISER_WORDS, optimiser_of
from rlplay.agent.off_policy import OffPolicyAgent, Parts
from rlplay.agent.policy_networks import is_ours, kernel_of, layers_of, network_options, new_network
from rlplay.agent.smooth_actor import SDE_SETTINGS, smooth_actor
from rlplay.approximation.encoders import VectorFeatures
from rlplay.errors import HyperparameterError, SpaceError, require_memory, warn_once
from rlplay.functional.actor_critic import (
    NO_NOISE,
    NORMAL,
    ORNSTEIN_UHLENBECK,
    DeterministicMetrics,
    DeterministicNets,
    JointNets,
    SoftMetrics,
    SoftNets,
    new_work,
)
from rlplay.functional.actor_critic_step import Spec, actor_critic_rule
from rlplay.functional.squashed_normal import LOG_STD_MAX, LOG_STD_MIN
from rlplay.functional.squashed_state_noise import find_spread, smooth_kernel
from rlplay.functional.state_noise import deviations
from rlplay.hyperparameters.domains import Choice, Either, Range, Settings, Temperature
from rlplay.networks.contract import Kernel
from rlplay.networks.ensemble import EnsembleKernel, ensemble_kernel, new_ensemble, over_rows, target_net, target_of
from rlplay.networks.layers import BatchRenorm, Dropout, Layer, LayerNorm, Linear, Tanh
from rlplay.networks.memory import OUT, Net
from rlplay.networks.state import initial_parameters
from rlplay.probe import Probe
from rlplay.seeding import generator
from rlplay.spaces.observations import batch_of
from rlplay.storage.ranges import ANY, COUNT, Ranges

_NOISES = {None: NO_NOISE, "normal": NORMAL, "ornstein-uhlenbeck": ORNSTEIN_UHLENBECK}

Tau = Annotated[float, Range("share τ of the networks that their targets take", 0, 1, open_low=True)]
NoiseType = Annotated[str | None, Choice("noise on the actions while learning", tuple(_NOISES))]
NoiseStd = Annotated[float, Range("deviation of that noise, of actions from -1 to 1", 0, 100)]
EntCoef = Annotated[Any, Temperature("temperature α, the weight of the entropy; auto learns it")]
TargetEntropy = Annotated[Any, Either(("auto",), Range("entropy H that is aimed at; auto is -1 a number of an action"))]
OursOrTorchs = Annotated[str, Choice("whose networks: ours, compiled, or torch's", ("numpy", "torch"))]
CriticsKwargs = Annotated[
    Any,
    Either((None,), Settings("net_arch, activation_fn, n_critics, for TQC n_quantiles, and log_std_init by name")),
]
UseSdeAtWarmup = Annotated[bool, Choice("that noise before learning_starts too, not random actions", (True, False))]


class ActorCriticAgent(OffPolicyAgent):
    """An off-policy agent with an actor and critics, for continuous actions.

    It supplies `make_update` and `settings`, and its hyperparameters.

    Attributes:
        make_update: ``make_update(kernel, ensemble, decorator) -> update(memory, batch, progress)``, one gradient step.
        is_soft: whether the policy is a squashed normal with a temperature, or deterministic with a target of its own.
        n_critics: how many critics there are, unless ``policy_kwargs`` says so.
        more_settings: what ``policy_kwargs`` may have beside ``net_arch`` and ``activation_fn``.

    Example:
        >>> from agents import SAC  # a subclass
        >>> agent = SAC("Pendulum-v1", net_arch=[16], batch_size=8, buffer_size=100, seed=0)
        >>> agent.memory.nets.critics.outputs.shape, agent.memory.work.pairs.shape
        ((2, 8, 1), (8, 4))
    """

    make_rule = staticmethod(actor_critic_rule)
    make_update: ClassVar[Callable[..., Callable[..., None]]]
    is_soft: ClassVar[bool]
    n_critics: ClassVar[int] = 2
    more_settings: ClassVar[tuple[str, ...]] = ("n_critics",)

    policy_kwargs: CriticsKwargs = None
    network: OursOrTorchs = "numpy"

    def takes_numbers(self) -> bool:
        """Finite actions are not taken."""
        return False

    def takes_boxes(self) -> bool:
        """A Box is."""
        return True

    def spec(self) -> Spec:
        """The agent's update, and how it acts."""
        return Spec(type(self).make_update, self.is_soft, self.is_smooth)

    @property
    def is_smooth(self) -> bool:
        """Whether it explores by state-dependent noise."""
        return bool(self.hyperparameters.get("use_sde", False))

    def random_steps(self) -> int:
        """Steps with random actions at the start: none where its own noise is there already and asked for."""
        own = self.is_smooth and bool(self.hyperparameters.get("use_sde_at_warmup", False))
        return 0 if own else super().random_steps()

    @property
    def has_targets(self) -> bool:
        """Whether critics have targets that follow them, or value the next states themselves."""
        return bool(self.hyperparameters.get("target_networks", True))

    @property
    def noise_kind(self) -> int:
        """The number of ``noise_type``."""
        return _NOISES[self.hyperparameters["noise_type"]]

    @property
    def entropy_target(self) -> float:
        """The number of ``target_entropy``."""
        given = self.hyperparameters["target_entropy"]
        return -float(math.prod(self.action_space.shape or ())) if given == "auto" else float(given)

    @property
    def learns_alpha(self) -> bool:
        """Whether the temperature is learned."""
        return initial_temperature(self.hyperparameters["ent_coef"])[1]

    def quantiles(self, n_critics: int) -> tuple[int, int]:
        """Outputs of a critic, and how many of all quantiles are bootstrapped from; 1 and 0 for plain values."""
        return 1, 0

    def make_parts(self) -> Parts:
        """The networks, their targets, and working memory."""
        size, n_actions = self.encoder.size, math.prod(self.action_space.shape or ())
        n_critics, joint = whole_setting(self, "n_critics", self.n_critics), not self.has_targets
        outputs, kept = self.quantiles(n_critics)
        actor_outputs = 2 * n_actions if self.is_soft and not self.is_smooth else n_actions
        made = actor_and_critics(
            self, (size, actor_outputs), (size + n_actions, outputs), n_critics, bounded=not self.is_soft,
            more=(*self.more_settings, *SDE_SETTINGS) if self.is_soft else self.more_settings,
        )  # fmt: skip
        if self.is_smooth:
            actor_outputs += int(made.actor.core.layers[-1, OUT])
        work = new_work(
            size, n_actions, actor_outputs, (n_critics, int(self.hyperparameters["batch_size"]), outputs), kept,
            len(self._running_envs), joint,
        )  # fmt: skip
        if self.is_soft:
            work.log_alpha[0] = math.log(initial_temperature(self.hyperparameters["ent_coef"])[0])
            nets = (JointNets if joint else SoftNets)(made.actor, made.critics, made.target_critics)
            return Parts(nets, made.kernels(), work, SoftMetrics)
        all_nets = DeterministicNets(made.actor, target_of_net(made.actor), made.critics, made.target_critics)
        return Parts(all_nets, made.kernels(target_actor=True), work, DeterministicMetrics)

    # Acting.

    def _outputs(self, observation: Any) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What the networks see, and the actor's outputs."""
        x = self._network_inputs(observation)
        return x, self.kernels["actor"].predict(self.memory.nets.actor, x).astype(np.float64)

    def _normal(self, outputs: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of a soft policy before it is squashed, [B, A] each, from the actor's outputs."""
        size = self.memory.actions.shape[1]
        if self.is_smooth:
            actor = self.memory.nets.actor
            log_spread = np.empty_like(actor.log_std)
            find_spread(actor.log_std, actor.expln, log_spread)
            return outputs[:, :size], deviations(outputs, log_spread.astype(np.float64), size)
        return outputs[:, :size], np.exp(np.clip(outputs[:, size:], LOG_STD_MIN, LOG_STD_MAX))

    def _scaled(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Actions in [-1, 1] as the environment takes them, [B, A]."""
        low, high = self.memory.low.astype(np.float64), self.memory.high.astype(np.float64)
        return low + 0.5 * (actions + 1.0) * (high - low)

    def probe(self, observation: Any) -> Probe:
        """Mean and deviation of the actions, and the critics' value of the mean action."""
        x, outputs = self._outputs(observation)
        width = (self.memory.high - self.memory.low).astype(np.float64) / 2.0
        std = None
        if self.is_soft:
            mean, deviation = self._normal(outputs)
            action = np.tanh(mean)
            std = deviation * (1.0 - action**2) * width  # of tanh(u) at the mean: that of u times the slope of tanh
        else:
            action = outputs
        pairs = np.concatenate([x, action.astype(np.float32)], axis=1)
        critics: Any = self.kernels["critics"]
        if float(self.hyperparameters.get("dropout", 0.0)) > 0.0:
            critics.drop(self.memory.nets.critics, 0.0, self.memory.noise_rng)  # it draws nothing
        values = critics.predict(self.memory.nets.critics, pairs).astype(np.float64)  # [C, B, K]
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        return Probe(action_mean=self._scaled(action), action_std=std, value=self.value_of(values), features=features)

    def critic_values(
        self, observations: Any, actions: NDArray[Any] | None = None, *, target: bool = False
    ) -> NDArray[np.float64] | None:
        """Values or quantiles of each critic, [C, B, K]; see `Agent.critic_values`."""
        x, nets = self._network_inputs(observations), self.memory.nets
        if actions is None:
            actions = self.probe(observations).action_mean
        low, high = self.memory.low.astype(np.float64), self.memory.high.astype(np.float64)
        scaled = 2.0 * (np.asarray(actions, np.float64).reshape(len(x), -1) - low) / (high - low) - 1.0
        asked = nets.target_critics if target and self.has_targets else nets.critics
        critics: Any = self.kernels["critics"]
        if float(self.hyperparameters.get("dropout", 0.0)) > 0.0:
            critics.drop(asked, 0.0, self.memory.noise_rng)  # it draws nothing
        return critics.predict(asked, np.concatenate([x, scaled.astype(np.float32)], axis=1)).astype(np.float64)

    def value_of(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """One value of those of all critics: the least, [C, B, 1] to [B]."""
        return values[:, :, 0].min(axis=0)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The agent's action, as in Stable-Baselines3; see `Agent.predict`."""
        if deterministic or not self.is_soft:
            return super().predict(observation, state, episode_start, True, action_masks)
        batch, single = batch_of(self.observation_space, observation, type(self).__name__)
        mean, std = self._normal(self._outputs(observation)[1])
        drawn = self._scaled(np.tanh(mean + std * self._prediction.standard_normal(mean.shape)))
        space = self.action_space
        assert isinstance(space, gym.spaces.Box)
        actions = np.clip(drawn.reshape(len(batch), *space.shape), space.low, space.high).astype(space.dtype)
        return (actions[0] if single else actions), state

    # Files.

    def arrays(self) -> StateArrays:
        """Those of all off-policy agents, the noise, and the temperature where there is one."""
        found, work = super().arrays(), self.memory.work
        found["action_noise"] = work.action_noise
        if self.is_soft:
            found |= {"log_alpha": work.log_alpha, "log_alpha_means": work.log_alpha_means}
        if self.is_smooth:
            found["noise"] = self.memory.nets.actor.matrices
        return found

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold; targets have no optimiser."""
        also: Ranges = {"actor/head_layers": ANY, "actor/head_t": COUNT, "actor/log_std_t": COUNT}
        return {
            name: one
            for name, one in {**super().ranges(), **(also if self.is_smooth else {})}.items()
            if not name.startswith("both/") and not (name.startswith("target") and "/t" in name)
        }


def initial_temperature(ent_coef: Any) -> tuple[float, bool]:
    """The temperature α at the start, and whether it is learned.

    Example:
        >>> initial_temperature("auto"), initial_temperature("auto_0.1"), initial_temperature(0.2)
        ((1.0, True), (0.1, True), (0.2, False))
    """
    if isinstance(ent_coef, str):
        return (1.0 if ent_coef == "auto" else float(ent_coef.removeprefix("auto_"))), True
    return float(ent_coef), False


class ActorAndCritics(NamedTuple):
    """An actor, its critics and those that follow them, with their functions.

    Attributes:
        actor: the network of the policy.
        critics: an ensemble.
        target_critics: those that follow them; without targets the critics themselves, over twice as many rows.
        kernel: the functions of the actor.
        ensemble: those of the critics.
        has_targets: whether there are targets.

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", net_arch=[4], batch_size=4, buffer_size=100, seed=0)
        >>> made = actor_and_critics(agent, (3, 2), (4, 1), 2)
        >>> sorted(made.kernels(target_actor=True))
        ['actor', 'critics', 'target_actor', 'target_critics']
    """

    actor: Any
    critics: Any
    target_critics: Any
    kernel: Kernel
    ensemble: EnsembleKernel
    has_targets: bool = True

    def kernels(self, *, target_actor: bool = False) -> dict[str, Any]:
        """The functions by the names of the networks; those of targets keep parameters only in a file."""
        followers = {"target_actor": of_targets(self.kernel)} if target_actor else {}
        also = (
            {"target_critics": of_targets(self.ensemble)} if self.has_targets else {"both": in_no_file(self.ensemble)}
        )
        return {"actor": self.kernel, **followers, "critics": self.ensemble, **also}


def actor_and_critics(
    agent: OffPolicyAgent, actor: tuple[int, int], critic: tuple[int, int], n_critics: int, *, bounded: bool = False,
    more: Sequence[str] = ("n_critics",),
) -> ActorAndCritics:  # fmt: skip
    """The networks of an agent, as its net_arch, activation, policy_kwargs and network say.

    Where the agent has them, also layer_norm, dropout, batch_renorm, target_networks and beta_1.

    Args:
        agent: whose hyperparameters are read.
        actor: inputs and outputs of the actor.
        critic: inputs and outputs of each critic.
        n_critics: how many.
        bounded: whether tanh stands behind the actor.
        more: what policy_kwargs may have beside net_arch and activation_fn.

    Raises:
        HyperparameterError: a setting that does not exist, or one that networks over torch do not have.
        SpaceError: pictures, where critics take actions too.
        UsageError: a GPU for networks that run on the CPU; networks that this machine cannot hold.

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", net_arch=[16], batch_size=8, buffer_size=100, seed=0)
        >>> made = actor_and_critics(agent, (3, 2), (4, 1), 5)
        >>> made.critics.outputs.shape, sorted(made.kernels())
        ((5, 8, 1), ['actor', 'critics', 'target_critics'])
    """
    given, name, network = agent.hyperparameters, type(agent).__name__, agent.network
    arch, activation, threads, rest = network_options(given, name, ("pi", "qf"), (*more, *OPTIMISER_WORDS))
    rng, torchs, rows = generator(agent.seed, "weights"), (given["device"], threads), int(given["batch_size"])
    drops, renorm = float(given.get("dropout", 0.0)) > 0.0, bool(given.get("batch_renorm", False))
    joint, optimiser = not given.get("target_networks", True), optimiser_of(agent)
    for setting, used in (("dropout", drops), ("batch_renorm", renorm), ("target_networks", joint)):
        if used and not is_ours(network):
            raise HyperparameterError(
                f"{name}: {setting}={given[setting]} is for our networks",
                f"Leave network='torch' out, or {setting}",
            )
    shape = _picture(agent, with_actions=critic[0] != actor[0])
    actor_layers = _with_renorm(layers_of(shape, actor[0], arch["pi"], actor[1], activation), renorm)
    actor_layers += [Tanh()] if bounded else []
    critic_layers = _with_norms(
        layers_of(shape, critic[0], arch["qf"], critic[1], activation), bool(given.get("layer_norm", False)), drops
    )  # fmt: skip
    critic_layers = _with_renorm(critic_layers, renorm)

    def new(layers: list[Layer], most: int) -> Any:
        return new_network(network, layers, shape, ("torch", 1.0), most, optimiser, torchs, rng, name)

    kernel = kernel_of(network, [*actor_layers, *critic_layers])
    policy, acting = None, kernel
    if given.get("use_sde", False):
        policy = smooth_actor(agent, actor_layers, new, rest)
        acting = smooth_kernel(kernel)
    else:
        if strange := sorted(set(rest) & set(SDE_SETTINGS)):
            warn_once(f"{name}: {strange[0]} of policy_kwargs says nothing without use_sde=True")
        policy = new(actor_layers, agent.network_rows())
    if is_ours(network):
        size = sum(layer.size() for layer in critic_layers)
        require_memory(
            f"{name}: {n_critics} critics of {size:,} parameters", 5 * n_critics * size, "Lower net_arch or n_critics"
        )
        drawn = [initial_parameters(critic_layers, rng, "torch").astype(np.float32) for _ in range(n_critics)]
        both = new_ensemble(
            critic_layers, np.stack(drawn), 2 * rows if joint else rows, shape, optimiser[0], **optimiser[1]
        )
        critics, also = (over_rows(both, rows), both) if joint else (both, target_of(both))
        return ActorAndCritics(policy, critics, also, acting, ensemble_kernel(kernel), not joint)
    from rlplay.networks.torch_network import ENSEMBLE, TorchEnsemble

    modules = TorchEnsemble([new(critic_layers, rows) for _ in range(n_critics)])
    return ActorAndCritics(policy, modules, copy.deepcopy(modules), kernel, ENSEMBLE)


def _picture(agent: OffPolicyAgent, *, with_actions: bool) -> tuple[int, ...] | None:
    """The shape of the pictures that the networks see, or None where they see vectors.

    Critics that take actions beside a picture would need two kinds of inputs, which a list of layers does not have.
    """
    picture, space = agent.encoder.view.picture, agent.observation_space
    if picture is None or agent.encoder.size != math.prod(picture):
        return None
    if not with_actions:
        return picture
    if agent.hyperparameters.get("policy", "auto") == "MlpPolicy":
        return None  # asked for by name
    owner = type(agent).__name__
    flat = (
        "policy='MlpPolicy' for" if "policy" in agent.hyperparameters else "gymnasium.wrappers.FlattenObservation for"
    )
    raise SpaceError(
        f"{owner} has no convolutions, and observations {space.shape} of {space.dtype} are pictures",
        f"Take PPO or A2C, which have; features= such as pca:16; or {flat} flat vectors",
    )


def _with_norms(layers: list[Layer], layer_norm: bool, dropout: bool) -> list[Layer]:
    """A perceptron's layers with dropout and layer norm between each hidden layer and its activation."""
    found: list[Layer] = []
    for layer in layers:
        found.append(layer)
        if isinstance(layer, Linear) and layer is not layers[-1]:
            found += [Dropout(layer.n_out)] * dropout + [LayerNorm(layer.n_out)] * layer_norm
    return found


def _with_renorm(layers: list[Layer], renorm: bool) -> list[Layer]:
    """A perceptron's layers with batch renormalisation before each linear one."""
    found: list[Layer] = []
    for layer in layers:
        found += [BatchRenorm(layer.n_in), layer] if renorm and isinstance(layer, Linear) else [layer]
    return found


def whole_setting(agent: OffPolicyAgent, name: str, default: int) -> int:
    """A whole number of 1 or more that policy_kwargs may have.

    Raises:
        HyperparameterError: it is none.

    Example:
        >>> from agents import SAC
        >>> agent = SAC("Pendulum-v1", policy_kwargs={"n_critics": 3}, buffer_size=1000, seed=0)
        >>> whole_setting(agent, "n_critics", 2), whole_setting(agent, "n_quantiles", 25)
        (3, 25)
    """
    value = (agent.hyperparameters["policy_kwargs"] or {}).get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1000:
        owner = type(agent).__name__
        raise HyperparameterError(f"{owner}: {name}={value!r} of policy_kwargs is not a whole number from 1 to 1000")
    return value


def target_of_net(net: Any) -> Any:
    """A network that begins as this one and follows it."""
    return target_net(net) if isinstance(net, Net) else copy.deepcopy(net)


@cache
def of_targets(kernel: Any) -> Any:
    """The functions of networks that only follow: their files have parameters and no optimiser."""

    def arrays(net: Any) -> StateArrays:
        return {name: one for name, one in kernel.arrays(net).items() if name in ("layers", "parameters")}

    def restore(net: Any, values: Any) -> None:
        kernel.restore(net, {**kernel.arrays(net), **values})

    return kernel._replace(arrays=arrays, restore=restore)


@cache
def in_no_file(kernel: Any) -> Any:
    """The functions of networks whose parameters are those of others, which a file has."""
    return kernel._replace(arrays=lambda net: {}, restore=lambda net, values: None)


__all__ = [
    "ActorAndCritics", "ActorCriticAgent", "CriticsKwargs", "EntCoef", "NoiseStd", "NoiseType", "OursOrTorchs",
    "TargetEntropy", "Tau", "UseSdeAtWarmup", "actor_and_critics", "initial_temperature", "whole_setting",
]  # fmt: skip
