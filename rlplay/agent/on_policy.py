"""What on-policy agents share: several environments played at once, a rollout, two networks, and an update.

An agent is a file with its update in it, such as `agents.ppo`; how a step of all environments goes is in
`rlplay.functional.on_policy_step`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from rlplay.agent.base import StateArrays
from rlplay.agent.hidden_states import HiddenState, given_states, see
from rlplay.agent.network_optimisers import optimiser_of
from rlplay.agent.policy_networks import new_networks, options
from rlplay.agent.recurrent_networks import CELLS, CRITIC_MEMORIES, new_recurrent_networks, recurrence
from rlplay.agent.rollout_agent import RolloutAgent, RolloutSteps
from rlplay.agent.vector_agent import MaxGradNorm, NEnvs
from rlplay.approximation.encoders import VectorFeatures
from rlplay.compiled.pcg64 import random
from rlplay.environments.make import reference
from rlplay.environments.masks import Mask
from rlplay.errors import CheckpointError, EnvironmentFault, HyperparameterError, SpaceError, counted, require_memory
from rlplay.functional.distributions import CATEGORICAL, GAUSSIAN, Head
from rlplay.functional.mixed_actions import mixed_head
from rlplay.functional.on_policy_step import Metrics, OnPolicyMemory, iteration
from rlplay.functional.recurrent_step import recurrent_iteration
from rlplay.functional.rollout import FORBIDDEN, new_rollout
from rlplay.functional.schedules import scheduled
from rlplay.functional.state_noise import STATE_DEPENDENT, StateNoise, deviations, with_latents
from rlplay.hyperparameters.domains import Choice, Range
from rlplay.networks.memory import IN
from rlplay.networks.optimisers import new_optimiser
from rlplay.probe import Probe
from rlplay.seeding import generator, stream
from rlplay.spaces.action_parts import ActionParts
from rlplay.spaces.finite import FiniteSpace, agents_for, is_finite
from rlplay.spaces.observations import batch_of
from rlplay.storage.ranges import COUNT, Ranges, check_ranges, numbers_below

_JOINT = 1024  # combinations of the parts of an action up to which they are numbered

GaeLambda = Annotated[float, Range("λ of generalised advantage estimation", 0, 1)]
EntropyWeight = Annotated[float, Range("weight of the policy's entropy", 0, 10)]
Recurrent = Annotated[str | None, Choice("memory of the networks; None for none", (None, *CELLS))]
RecurrentSize = Annotated[int, Range("units of the memory", 1, 4096, integer=True)]
CriticMemory = Annotated[str, Choice("whose memory the value has: its own, the policy's, or none", CRITIC_MEMORIES)]
UseSde = Annotated[bool, Choice("noise on actions of a Box that depends on the state", (True, False))]
SdeSampleFreq = Annotated[
    int, Range("steps of a rollout between draws of that noise; -1 for one draw a rollout", -1, 1_000_000, integer=True)
]
ValueWeight = Annotated[float, Range("weight of the value loss", 0, 100)]


class OnPolicyAgent(RolloutAgent):
    """An agent with a policy and a value that learns from rollouts of several environments.

    It supplies `make_update` and `settings`, and its hyperparameters.

    Attributes:
        make_update: ``make_update(kernel, head, decorator) -> update(memory, rollout, progress)``, over a full rollout.
        settings: a NamedTuple class: the hyperparameters that the update reads, each a ``Schedule``, ``float``,
            ``int`` or ``bool``.
        numbers: a NamedTuple class: what an update logs, loss, grad_norm and n_updates among it.

    Example:
        >>> from agents import PPO  # a subclass
        >>> agent = PPO("CartPole-v1", n_envs=2, net_arch=[16], seed=0)
        >>> agent.memory.obs.shape, agent.predict(np.zeros(4, np.float32), deterministic=True)[0] in (0, 1)
        ((2, 4), True)
    """

    make_update: ClassVar[Any]
    settings: ClassVar[Any]
    numbers: ClassVar[Any] = Metrics
    adam_eps = 1e-5

    def setup(self) -> None:
        """The environments, the networks and everything else that the iteration works on."""
        given, name = self.hyperparameters, type(self).__name__
        self._begin_setup()
        self._head, action_size, outputs, spread = self._policy()
        self._masked = self._has_masks()
        n, size = len(self._running_envs), self.encoder.size
        rows, spread_size = n * self.rollout_steps(), 0 if self._head is CATEGORICAL else len(spread)
        require_memory(
            f"{name}: a rollout of {rows:,} steps of {size:,} numbers and {outputs:,} outputs",
            rows * (size + action_size + outputs + 14),
            "Lower n_steps, n_envs or batch_size, or take smaller observations", itemsize=4,
        )  # fmt: skip
        optimiser, settings = optimiser_of(self)
        self._recurrence = recurrence(given, name)
        if self._recurrence is not None:  # what policy and policy_kwargs ask for is shown and saved as what it is
            cell, units, critic = self._recurrence
            given.update(recurrent=cell, recurrent_size=units, critic_memory=critic)
        policy, value, self.kernel, self.step_kernel = self._new_networks(size, outputs, rows, (optimiser, settings))
        units = 0
        if self._head is STATE_DEPENDENT:
            if self._recurrence is not None:
                raise HyperparameterError(
                    f"{name}: use_sde and a memory do not go together", "Take use_sde=False, or recurrent=None"
                )
            units = self._hidden_units(policy, action_size)
            self.kernel, outputs, spread = with_latents(self.kernel), outputs + units, np.tile(spread, units)
            self.step_kernel, spread_size = self.kernel, len(spread)
        self._rng = np.stack([stream(self.seed, "exploration"), stream(self.seed, "minibatches")])
        self._metrics = np.zeros(len(self.numbers._fields))
        self.memory = OnPolicyMemory(
            policy=policy, value=value, spread=spread, spread_gradient=np.zeros(spread_size, np.float32),
            spread_optimiser=new_optimiser(spread_size, optimiser, **settings),
            rollout=new_rollout(rows, size, action_size, outputs, self._masked),
            obs=np.zeros((n, size), np.float32), masks=np.zeros((n if self._masked else 0, outputs), np.float32),
            actions=np.zeros((n, action_size), np.float32), log_probs=np.zeros(n), entropies=np.zeros(n),
            rewards=np.zeros(n), output_gradient=np.zeros((n, outputs), np.float32),
            moments=self._new_moments(), features=None,
            gamma=float(given["gamma"]), gae_lambda=float(given.get("gae_lambda", 1.0)),
            max_grad_norm=float(given.get("max_grad_norm", 0.0)), least_rows=self.least_rows(rows),
            settings=self._settings_of(self.settings), action_rng=self._rng[0], minibatch_rng=self._rng[1],
            noise=StateNoise(
                np.zeros((n if units else 0, units, action_size if units else 0), np.float32),
                max(int(given.get("sde_sample_freq", -1)), 0),
            ),
            metrics=self.numbers(*(self._metrics[i : i + 1] for i in range(len(self._metrics)))),
        )  # fmt: skip
        self._build()

    def _build(self) -> None:
        """The iteration, over the feature map as it is now."""
        decorator, fill = self._through_features()
        make = iteration if self._recurrence is None else recurrent_iteration
        kernel = self._stopping(self.step_kernel, self.memory.value)
        self._iteration = make(kernel, self._head, type(self).make_update, decorator, fill)

    def _new_networks(self, size: int, outputs: int, rows: int, optimiser: tuple[str, dict[str, float]]) -> Any:
        """Policy, value, the functions of their parts, and those of a step."""
        given, picture, name = self.hyperparameters, self.encoder.view.picture, type(self).__name__
        rng = generator(self.seed, "weights")
        if self._recurrence is None:
            made = new_networks(given, picture, size, outputs, optimiser, rng, self.network_rows(rows), name)
            return *made, made.kernel
        n, steps = len(self._running_envs), self.sequence_steps()
        sizes = n, max(n, self.network_rows(rows) // steps), steps, -(-rows // (n * steps))
        return new_recurrent_networks(
            given, self._recurrence, picture, size, outputs, optimiser, rng, sizes, name
        )  # fmt: skip

    # What it is made of.

    def nets(self) -> dict[str, Any]:
        """The policy and the value; of those with a memory the parts."""
        policy, value = self.memory.policy, self.memory.value
        if self._recurrence is None:
            return {"policy": policy, "value": value}
        found = {"policy_core": policy.core, "policy": policy.top, "value": value.top}
        return found if value.shares else {**found, "value_core": value.core}

    def acting_arrays(self) -> StateArrays:
        """Those of the policy, and its spread and noise."""
        memory = self.memory
        return {"spread": memory.spread, "noise": memory.noise.matrices, **super().acting_arrays()}

    def sequence_steps(self) -> int:
        """Steps of the sequences from which networks with a memory learn."""
        return self.rollout_steps()

    def give_up_episode(self) -> None:
        """Stand between episodes, with nothing remembered."""
        super().give_up_episode()
        if self._recurrence is not None:
            self.memory.policy.state[:] = self.memory.value.state[:] = 0.0

    def _policy(self) -> tuple[Head, int, int, NDArray[np.float32]]:
        """Head, numbers of an action, outputs, and spread, by the action space."""
        space, name = self.action_space, type(self).__name__
        self._discrete = is_finite(space)
        smooth = bool(self.hyperparameters.get("use_sde", False))
        if smooth and not isinstance(space, gym.spaces.Box):
            raise HyperparameterError(
                f"{name}: use_sde=True is noise on actions of a Box, and {space} is none", "Leave use_sde out"
            )
        try:
            self._action_parts = ActionParts(space)
        except TypeError:
            raise SpaceError(
                f"{name} needs actions that are finite, a Box, or a Tuple or Dict of these, and {space} is none",
                agents_for(space),
            ) from None
        self._parts, size = self._action_parts.sizes, self._action_parts.n_numbers
        if not len(self._parts) + size:
            raise SpaceError(f"{name} needs actions to choose from, and {space} has none", "Give the space a part")
        if self._discrete:
            self.numbering = FiniteSpace(space)
            self._combinations = self.numbering.n
            choices = np.array(self._parts, np.float32)
            return CATEGORICAL, len(choices), int(choices.sum()), choices
        head = STATE_DEPENDENT if smooth else mixed_head(self._parts) if self._parts else GAUSSIAN
        log_std = np.full(size, options(self.hyperparameters, name).log_std_init, np.float32)
        return head, len(self._parts) + size, sum(self._parts) + size, log_std

    @property
    def _is_plain_box(self) -> bool:
        """Whether an action is a Box alone."""
        return isinstance(self.action_space, gym.spaces.Box)

    @property
    def _maskable(self) -> bool:
        return bool(self._parts)

    def _all_taken(self) -> list[Any]:
        """The actions of all environments, as they take them; numbers of all at once."""
        if not isinstance(self.action_space, gym.spaces.Discrete):
            return super()._all_taken()
        found: list[Any] = (self.memory.actions[:, 0].astype(np.int64) + int(self.action_space.start)).tolist()
        return found

    def _taken(self, action: NDArray[np.float32]) -> Any:
        """An action as the environment takes it."""
        nested = isinstance(self.action_space, gym.spaces.Tuple | gym.spaces.Dict)
        return self._action_parts.value(action) if nested else super()._taken(action)

    def random_action(self, rng: NDArray[np.uint64]) -> Any:
        """An action for the warm-up of a feature map, uniform over the space."""
        if self.numbering is not None or self._is_plain_box:
            return super().random_action(rng)
        low, high = np.clip(self._action_parts.low, -10, 10), np.clip(self._action_parts.high, -10, 10)
        chosen = [int(random(rng) * n) for n in self._parts]
        return self._action_parts.value(
            np.array([*chosen, *(a + (b - a) * random(rng) for a, b in zip(low, high, strict=True))])
        )

    def _hidden_units(self, policy: Any, action_size: int) -> int:
        """Units that the last layer of the policy takes, which state-dependent noise is a function of.

        Raises:
            HyperparameterError: torch's networks, or fewer units than an action has numbers.
        """
        name = type(self).__name__
        if self._is_torch:
            raise HyperparameterError(
                f"{name}: use_sde=True is for our own networks", "Leave network out, or take --algo sb3/ppo, sb3/a2c"
            )
        units = int(policy.layers[-1, IN])
        if units < action_size:
            raise HyperparameterError(
                f"{name}: use_sde=True with {units} units in front of the {action_size} numbers of an action",
                f"Take a last hidden layer of {counted(action_size, 'unit')} or more",
            )
        return units

    # The environments.

    def _mask_of(self, i: int, info: dict[str, Any]) -> Mask | None:
        """One entry a choice of each part."""
        mask, choices = super()._mask_of(i, info), sum(self._parts)
        if mask is not None and mask.size != choices:
            raise EnvironmentFault(
                f"{reference(self.env)} gave a mask of all {mask.size:,} combinations of the parts of an action",
                f"{type(self).__name__} takes one entry a choice of each part, {choices}",
            )
        return mask if mask is None else np.append(mask, np.ones(self.memory.masks.shape[1] - choices, np.bool_))

    def metrics(self) -> dict[str, float]:
        """Losses, entropy, divergence and so on of the last update."""
        found = super().metrics()
        if found and self.memory.spread_gradient.size:
            found["train/std"] = float(np.exp(self.memory.spread).mean())
        steps = self.num_timesteps - int(self.memory.rollout.filled[0])  # at the last update
        for name in ("clip_range", "clip_range_vf") if found else ():
            if self.hyperparameters.get(name) is not None:
                value = scheduled(getattr(self.memory.settings, name), steps / max(self.horizon, 1))
                found[f"train/{name}"] = float(value)
        return found

    # Acting.

    def probe(self, observation: Any, state: Any = None, episode_start: Any = None) -> Probe:
        """Probabilities, or mean and deviation, of the actions, and the value.

        With a memory after what ``state`` says, as in `predict`; by default at the start of an episode.
        """
        x = self._network_inputs(observation)
        outputs, value, state = self._seen(x, state, episode_start)
        probe = self._probe_of(x, outputs, value)
        return (
            probe if state is None else replace(probe, memory=np.stack(state)[:, 0].swapaxes(0, 1).astype(np.float64))
        )

    def _probe_of(self, x: NDArray[np.float32], outputs: NDArray[np.float64], value: NDArray[np.float64]) -> Probe:
        features = x.astype(np.float64) if isinstance(self.encoder, VectorFeatures) else None
        if self._head is STATE_DEPENDENT:
            return Probe(action_mean=outputs, action_std=self._deviations(x), value=value, features=features)
        if not self._discrete and not self._is_plain_box:
            logits, means = outputs[:, : sum(self._parts)], outputs[:, sum(self._parts) :]
            std = np.broadcast_to(np.exp(self.memory.spread.astype(np.float64)), means.shape)
            parts = tuple(self._probabilities(logits))
            return Probe(
                part_probabilities=parts, part_means=means, part_stds=std, value=value, features=features
            )  # fmt: skip
        if not self._discrete:
            std = np.broadcast_to(np.exp(self.memory.spread.astype(np.float64)), outputs.shape)
            return Probe(action_mean=outputs, action_std=std, value=value, features=features)
        parts = tuple(self._probabilities(outputs))
        if len(parts) == 1:
            return Probe(action_probabilities=parts[0], value=value, features=features)
        if self._combinations > _JOINT:
            return Probe(part_probabilities=parts, value=value, features=features)
        joint = parts[0]
        for part in parts[1:]:
            joint = (joint[:, :, None] * part[:, None, :]).reshape(len(x), -1)
        return Probe(action_probabilities=joint, value=value, features=features)

    def _deviations(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """What state-dependent noise amounts to at what the networks see, [B, A]."""
        memory, most, found = self.memory, int(self.memory.policy.sizes[0]), []
        for begin in range(0, len(x), most):
            outputs = self.kernel.forward(memory.policy, np.ascontiguousarray(x[begin : begin + most]))
            found.append(deviations(outputs.astype(np.float64), memory.spread, memory.actions.shape[1]))
        return np.concatenate(found)

    def _probabilities(self, outputs: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The probabilities of the choices of each part of an action."""
        parts, at = [], 0
        for n in self._parts:
            z = outputs[:, at : at + n]
            exponentials = np.exp(z - z.max(axis=1, keepdims=True))
            parts.append(exponentials / exponentials.sum(axis=1, keepdims=True))
            at += n
        return parts

    def choose_actions(self, probe: Probe, deterministic: bool) -> NDArray[np.int64]:
        """The numbers of the best actions, or of actions drawn, int64 [B]."""
        if probe.action_probabilities is not None:
            return super().choose_actions(probe, deterministic)
        raise SpaceError(f"{self.action_space} has too many combinations to number")  # predict does without

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """The agent's action, as in Stable-Baselines3; see `Agent.predict`."""
        x = self._network_inputs(observation)
        outputs, value, state = self._seen(x, state, episode_start)
        numbered = self._discrete and (self._combinations <= _JOINT or len(self._parts) == 1)
        if numbered or self._is_plain_box:
            return self.actions_of(self._probe_of(x, outputs, value), observation, deterministic, action_masks), state
        masks = self.prediction_masks(observation, len(x), action_masks, joint=False) if self._parts else None
        logits, means = outputs[:, : sum(self._parts)], outputs[:, sum(self._parts) :]
        parts = self._probabilities(logits if masks is None else logits + np.where(masks, 0.0, FORBIDDEN))
        columns = []
        for part in parts:
            draws = self._prediction.random((len(x), 1))
            columns.append(part.argmax(axis=1) if deterministic else (part.cumsum(axis=1) <= draws).sum(axis=1))
        rows = np.zeros((len(x), len(self._parts) + means.shape[1]))
        for i, column in enumerate(columns):
            rows[:, i] = column.clip(0, self._parts[i] - 1)
        if means.size:
            rows[:, len(self._parts) :] = means
            if not deterministic:
                deviations_now = np.exp(self.memory.spread.astype(np.float64))
                rows[:, len(self._parts) :] += deviations_now * self._prediction.standard_normal(means.shape)
        actions: Any = [self._taken(row.astype(np.float32)) for row in rows]
        single = batch_of(self.observation_space, observation, type(self).__name__)[1]
        if single:
            return actions[0], state
        return (
            actions if isinstance(self.action_space, gym.spaces.Tuple | gym.spaces.Dict) else np.array(actions)
        ), state

    @property
    def remembers(self) -> bool:
        """Whether it has a memory."""
        return self._recurrence is not None

    def running_state(self) -> Any:
        """What it remembers of the episode in its own environment."""
        if self._recurrence is None:
            return None
        return HiddenState.of(self.memory.policy.state[:1], self.memory.value.state[:1], self._recurrence.size)

    def _seen(
        self, x: NDArray[np.float32], state: Any = None, episode_start: Any = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Any]:
        """Outputs [B, K] and values [B] of what the networks see, and the state after that."""
        policy, value = self.memory.policy, self.memory.value
        if self._recurrence is None:
            outputs, values = self.kernel.predict(policy, x), self.kernel.predict(value, x)
        else:
            size, widths = self._recurrence.size, (policy.state.shape[1], value.state.shape[1])
            states = given_states(type(self).__name__, len(x), state, episode_start, widths, size)
            outputs, values = see(self.step_kernel, policy, value, x, states)
            state = HiddenState.of(*states, size)
        return outputs.astype(np.float64), values[:, 0].astype(np.float64), state

    # Files.

    def kept_rows(self) -> dict[str, NDArray[Any]]:
        """What a file keeps of the rows of the rollout, by name."""
        found = {**super().kept_rows(), "log_probs": self.memory.rollout.log_probs}
        return found if self._recurrence is None else {**found, "values": self.memory.rollout.values}

    def _learned(self) -> StateArrays:
        """As every agent; of finite actions, the numbers of their choices are not learned."""
        found = super()._learned()
        return {name: array for name, array in found.items() if name != "spread" or not self._discrete}

    def arrays(self) -> StateArrays:
        """As every agent that learns from rollouts, and log σ with its optimiser."""
        memory, optimiser = self.memory, self.memory.spread_optimiser
        found: StateArrays = {
            "spread": memory.spread, "spread_m": optimiser.m, "spread_v": optimiser.v, "spread_t": optimiser.t
        }  # fmt: skip
        if self._recurrence is not None:
            for name, net in (("policy", memory.policy), ("value", memory.value)):
                found |= {f"{name}/state": net.state, f"{name}/kept": net.kept}
        if self._head is STATE_DEPENDENT:
            found["noise"] = memory.noise.matrices
        return found | super().arrays()

    def ranges(self) -> Ranges:
        """What whole numbers the arrays hold."""
        return {"spread_t": COUNT, **super().ranges()}

    def check(self) -> None:
        """Refuse actions that there are not: they are kept as floating-point numbers, and chosen by number.

        Raises:
            CheckpointError: a number beyond the choices, or other choices.
        """
        super().check()
        if self._discrete and self.memory.spread.tolist() != list(self._parts):
            raise CheckpointError(
                f"spread: {self.memory.spread.tolist()} choices, where the actions have {self._parts}"
            )
        if self._parts:
            for part, n in enumerate(self._parts):
                chosen = self.memory.rollout.actions[:, part]
                check_ranges(
                    {f"rollout/actions of part {part}": chosen}, {f"rollout/actions of part {part}": numbers_below(n)}
                )


__all__ = [
    "CriticMemory", "EntropyWeight", "GaeLambda", "MaxGradNorm", "NEnvs", "OnPolicyAgent", "Recurrent", "RecurrentSize",
    "RolloutSteps", "SdeSampleFreq", "UseSde", "ValueWeight",
]  # fmt: skip
