"""sb3-contrib behind the same door: TQC, QR-DQN, TRPO, maskable and recurrent PPO, CrossQ.

They are trained, watched, saved and resumed to the bit as the algorithms of Stable-Baselines3 are; see `agents.sb3`.

Source: https://sb3-contrib.readthedocs.io. The algorithms: TQC (Kuznetsov et al. 2020), QR-DQN (Dabney et al. 2017),
TRPO (Schulman et al. 2015), invalid action masking (Huang & Ontañón 2022), PPO with an LSTM (Ni et al. 2022), CrossQ
(Bhatt et al. 2024).

Deviations: `RecurrentPPO.probe` sees each observation as the first of an episode, since a probe carries no memory;
`predict` carries it in its state. ARS learns by whole searches that cannot be stopped between; ``agents.ARS`` is ours.
"""

from __future__ import annotations

from typing import Annotated, Any, Self

import gymnasium as gym

from rlplay.extend import Choice, SpaceError, UsageError, batch_of, missing

from .adapter import SB3Agent

try:
    import sb3_contrib
except ImportError as error:
    raise missing("the algorithms of sb3-contrib", "sb3-contrib", "contrib") from error


class TQC(SB3Agent, init=False):
    """sb3-contrib's TQC.

    Example:
        >>> TQC("Pendulum-v1", buffer_size=1000, seed=0).settings["top_quantiles_to_drop_per_net"]
        2
    """

    id, algorithm = "sb3/tqc", sb3_contrib.TQC


class QRDQN(SB3Agent, init=False):
    """sb3-contrib's QR-DQN.

    Example:
        >>> QRDQN("CartPole-v1", buffer_size=1000, seed=0).settings["exploration_final_eps"]
        0.01
    """

    id, algorithm = "sb3/qrdqn", sb3_contrib.QRDQN


class TRPO(SB3Agent, init=False):
    """sb3-contrib's TRPO.

    Example:
        >>> TRPO("CartPole-v1", n_steps=128, seed=0).settings["cg_max_steps"]
        15
    """

    id, algorithm = "sb3/trpo", sb3_contrib.TRPO


class CrossQ(SB3Agent, init=False):
    """sb3-contrib's CrossQ.

    Example:
        >>> CrossQ("Pendulum-v1", buffer_size=1000, seed=0).settings["policy_delay"]
        3
    """

    id, algorithm = "sb3/crossq", sb3_contrib.CrossQ


class MaskablePPO(SB3Agent, init=False):
    """sb3-contrib's PPO that takes no forbidden action: masks come from the environment's ``action_masks`` or info.

    Example:
        >>> MaskablePPO("CartPole-v1", n_steps=64, seed=0).takes_masks
        True
    """

    id, algorithm = "sb3/maskable-ppo", sb3_contrib.MaskablePPO

    @property
    def takes_masks(self) -> bool:
        """It learns with them."""
        return True

    def setup(self) -> None:
        """The environments and the model.

        Raises:
            SpaceError: continuous actions, which have no masks.
        """
        if isinstance(self.action_space, gym.spaces.Box):
            raise SpaceError(f"MaskablePPO needs actions that are finite and {self.action_space} is not", "Take PPO")
        super().setup()

    def learn(self, *given: Any, use_masking: bool = True, **options: Any) -> Self:
        """Learn for a number of timesteps, with masks; see `Agent.learn`.

        Raises:
            UsageError: use_masking=False.
        """
        if not use_masking:
            raise UsageError("MaskablePPO: use_masking=False: it learns with masks", "Take PPO, which has none")
        return super().learn(*given, **options)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Its own predict, with the masks that are given, or those of the environment; see `Agent.predict`."""
        batch, single = batch_of(self.observation_space, observation, self._name)
        masks = self.prediction_masks(observation, len(batch), action_masks, joint=False)
        if self.model is None or masks is None:
            return super().predict(observation, state, episode_start, deterministic)
        with self._private(), self._or_diverged():
            actions, _ = self.model.predict(
                self._shown(observation), deterministic=deterministic, action_masks=masks[0] if single else masks
            )
        return self._number_of(actions), state


class RecurrentPPO(SB3Agent, init=False):
    """sb3-contrib's PPO with an LSTM.

    Example:
        >>> RecurrentPPO("CartPole-v1", n_steps=128, seed=0).policy.lstm_actor.hidden_size
        256
    """

    id, algorithm = "sb3/recurrent-ppo", sb3_contrib.RecurrentPPO
    follows_position = True  # its actions depend on what came before, so episodes are played one by one
    policy: Annotated[str, Choice("kind of policy; auto: by the observations", (
        "auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy", "MlpLstmPolicy", "CnnLstmPolicy", "MultiInputLstmPolicy",
    ))] = "auto"  # fmt: skip

    def policy_name(self) -> str:
        """The policy with an LSTM."""
        name = super().policy_name()
        return name if "Lstm" in name else name.replace("Policy", "LstmPolicy")


CONTRIB: dict[str, Any] = {cls.__name__.upper(): cls for cls in (TQC, QRDQN, TRPO, CrossQ, MaskablePPO, RecurrentPPO)}
