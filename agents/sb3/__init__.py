"""Stable-Baselines3 behind the same door: its algorithms, trained, watched, saved and resumed like every other agent.

``SB3("PPO", env, n_steps=128)`` holds a Stable-Baselines3 model and lets it do what it does: its own
``collect_rollouts`` and ``train``, in its own order, so that the weights are those of Stable-Baselines3 used directly
on the same environments. Added are any number of steps at a time, an exact resume in a new process, files without
pickle, probes, feature maps, and random numbers of its own.

Source: Raffin et al. 2021, "Stable-Baselines3: Reliable Reinforcement Learning Implementations", JMLR 22(268). The
algorithms: PPO (Schulman et al. 2017), A2C (Mnih et al. 2016), DQN (Mnih et al. 2015), SAC (Haarnoja et al. 2018),
TD3 (Fujimoto et al. 2018), DDPG (Lillicrap et al. 2016).

Deviations from Stable-Baselines3: a run stops at the timestep asked for, also in the middle of a rollout, and goes on
there; each episode has a seed of its own; schedules run over the first total and stay at their last value beyond it.

Pictures may have their channels first or last, as in Stable-Baselines3; those below 36 x 36, for which its
convolutions are too large, are read as vectors. Action masks are not respected, which is said once.

* ``adapter``: `SB3Agent`, the agent around a model. ``spaces`` and ``parameters``: what it takes.
* ``environments``: as it sees them. ``features``: a map in front. ``collecting``: rollouts in parts.
* ``probes``: what it thinks. ``files``: its arrays. ``hindsight``: other goals in the replay buffer.
"""

from __future__ import annotations

from typing import Any

from rlplay.extend import EnvLike, UsageError, missing, unknown

try:
    import stable_baselines3
except ImportError as error:
    raise missing("Stable-Baselines3's algorithms", "stable-baselines3", "sb3") from error

from .adapter import SB3Agent

_CONTRIB = ("TQC", "QRDQN", "TRPO", "MaskablePPO", "RecurrentPPO", "CrossQ")  # of agents.sb3.contrib

__all__ = ["A2C", "DDPG", "DQN", "PPO", "SAC", "SB3", "TD3", "SB3Agent"]


class PPO(SB3Agent, init=False):
    """Stable-Baselines3's PPO.

    Example:
        >>> PPO("CartPole-v1", n_steps=64, seed=0).settings["n_steps"]
        64
    """

    id, algorithm = "sb3/ppo", stable_baselines3.PPO


class A2C(SB3Agent, init=False):
    """Stable-Baselines3's A2C.

    Example:
        >>> agent = A2C("CartPole-v1", seed=0)
        >>> agent.settings["n_steps"], agent.settings["gamma"]
        (5, 0.99)
    """

    id, algorithm = "sb3/a2c", stable_baselines3.A2C


class DQN(SB3Agent, init=False):
    """Stable-Baselines3's DQN.

    Example:
        >>> agent = DQN("CartPole-v1", buffer_size=1000, seed=0)
        >>> agent.settings["buffer_size"], agent.settings["learning_starts"]
        (1000, 100)
    """

    id, algorithm = "sb3/dqn", stable_baselines3.DQN


class SAC(SB3Agent, init=False):
    """Stable-Baselines3's SAC.

    Example:
        >>> agent = SAC("Pendulum-v1", buffer_size=1000, seed=0)
        >>> agent.settings["buffer_size"], agent.settings["ent_coef"]
        (1000, 'auto')
    """

    id, algorithm = "sb3/sac", stable_baselines3.SAC


class TD3(SB3Agent, init=False):
    """Stable-Baselines3's TD3.

    Example:
        >>> agent = TD3("Pendulum-v1", buffer_size=1000, seed=0)
        >>> agent.settings["policy_delay"]
        2
    """

    id, algorithm = "sb3/td3", stable_baselines3.TD3


class DDPG(SB3Agent, init=False):
    """Stable-Baselines3's DDPG.

    Example:
        >>> agent = DDPG("Pendulum-v1", buffer_size=1000, seed=0)
        >>> agent.settings["buffer_size"], agent.settings["tau"]
        (1000, 0.005)
    """

    id, algorithm = "sb3/ddpg", stable_baselines3.DDPG


def SB3(algorithm: str, env: EnvLike, *, seed: int | None = None, **hyperparameters: Any) -> SB3Agent:  # noqa: N802
    """An agent that is an algorithm of Stable-Baselines3.

    Args:
        algorithm: ``"PPO"``, ``"A2C"``, ``"DQN"``, ``"SAC"``, ``"TD3"`` or ``"DDPG"``, in upper or lower case; with
            the extra ``contrib``, ``"TQC"``, ``"QRDQN"``, ``"TRPO"``, ``"MaskablePPO"``, ``"RecurrentPPO"`` or
            ``"CrossQ"``.
        env: an id, ``module:Class`` or an environment.
        seed: of all its random numbers.
        hyperparameters: Stable-Baselines3's own, and ``n_envs``, ``normalize``, ``noise_type``, ``noise_std``,
            ``policy`` as in RL Zoo's files, and ``features``.

    Raises:
        UnknownNameError: no such algorithm; names the nearest.
        UsageError: ARS, and SBX, which are not behind this door.
        MissingPackageError: one of sb3-contrib, which is not installed.

    Example:
        >>> agent = SB3("PPO", "CartPole-v1", n_steps=64, seed=0).learn(128)
        >>> agent.num_timesteps
        128
    """
    known: dict[str, Any] = {cls.__name__: cls for cls in (PPO, A2C, DQN, SAC, TD3, DDPG)}
    name = str(algorithm).upper().replace("-", "").replace("_", "")
    if name == "ARS":
        raise UsageError("SB3: sb3-contrib's ARS searches as a whole, and cannot stop between", "Take agents.ARS")
    if name.startswith("SBX"):
        raise UsageError("SB3: SBX is not behind this door: its JAX keys do not resume", "Take SB3('PPO', env)")
    if name in {one.upper() for one in _CONTRIB}:
        from .contrib import CONTRIB

        known = CONTRIB
    found = known.get(name)
    if found is None:
        raise unknown("Stable-Baselines3 algorithm", str(algorithm), (*known, *_CONTRIB))
    return found(env, seed=seed, **hyperparameters)
