"""The names that `agents` offers, and where each is; a file of its own, see `rlplay.own`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "A2C": "a2c",
    "ARS": "ars",
    "BehaviorCloning": "behavior_cloning",
    "CEM": "cem",
    "CQL": "cql",
    "DAgger": "dagger",
    "DDPG": "ddpg",
    "DifferentialSarsa": "differential_sarsa",
    "DoubleQLearning": "double_q_learning",
    "DoubleSarsa": "double_q_learning",
    "DiscreteBCQ": "discrete_bcq",
    "DiscreteIQL": "discrete_iql",
    "DiscreteSAC": "discrete_sac",
    "DQN": "dqn",
    "DynaQ": "dyna_q",
    "DynaQPlus": "dyna_q_plus",
    "EmphaticTD": "emphatic_td",
    "EpisodicControl": "episodic_control",
    "EpsilonGreedy": "epsilon_greedy",
    "EvolutionStrategies": "evolution_strategies",
    "ExpectedSarsa": "expected_sarsa",
    "FittedQ": "fitted_q",
    "GPSarsa": "gp_sarsa",
    "GradientBandit": "gradient_bandit",
    "GradientTD": "gradient_td",
    "IQL": "iql",
    "LinearActorCritic": "linear_actor_critic",
    "LinearQLearning": "linear_q_learning",
    "LinearSarsa": "linear_sarsa",
    "LinearThompsonSampling": "linear_thompson_sampling",
    "LinUCB": "lin_ucb",
    "LSPI": "lspi",
    "LSTD": "lstd",
    "MCTS": "mcts",
    "ModelBandit": "model_bandit",
    "MonteCarlo": "monte_carlo",
    "NeuralFittedQ": "neural_fitted_q",
    "NStepSarsa": "n_step_sarsa",
    "OffPolicyMonteCarlo": "off_policy_monte_carlo",
    "PolicyEvaluation": "policy_evaluation",
    "PolicyIteration": "policy_iteration",
    "PPO": "ppo",
    "PQN": "pqn",
    "PrioritizedSweeping": "prioritized_sweeping",
    "QLearning": "q_learning",
    "RealTimeDP": "real_time_dp",
    "RecurrentDQN": "recurrent_dqn",
    "Reinforce": "reinforce",
    "SAC": "sac",
    "Sarsa": "sarsa",
    "SarsaLambda": "sarsa_lambda",
    "SB3": "sb3",
    "TD3": "td3",
    "TD3BC": "td3_bc",
    "TDPrediction": "td_prediction",
    "ThompsonSampling": "thompson_sampling",
    "TQC": "tqc",
    "TRPO": "trpo",
    "TrueOnlineSarsaLambda": "true_online_sarsa_lambda",
    "UCB": "ucb",
    "ValueIteration": "value_iteration",
    "WatkinsQLambda": "watkins_q_lambda",
}

if TYPE_CHECKING:
    from .a2c import A2C as A2C
    from .ars import ARS as ARS
    from .behavior_cloning import BehaviorCloning as BehaviorCloning
    from .cem import CEM as CEM
    from .cql import CQL as CQL
    from .dagger import DAgger as DAgger
    from .ddpg import DDPG as DDPG
    from .differential_sarsa import DifferentialSarsa as DifferentialSarsa
    from .discrete_bcq import DiscreteBCQ as DiscreteBCQ
    from .discrete_iql import DiscreteIQL as DiscreteIQL
    from .discrete_sac import DiscreteSAC as DiscreteSAC
    from .double_q_learning import DoubleQLearning as DoubleQLearning
    from .double_q_learning import DoubleSarsa as DoubleSarsa
    from .dqn import DQN as DQN
    from .dyna_q import DynaQ as DynaQ
    from .dyna_q_plus import DynaQPlus as DynaQPlus
    from .emphatic_td import EmphaticTD as EmphaticTD
    from .episodic_control import EpisodicControl as EpisodicControl
    from .epsilon_greedy import EpsilonGreedy as EpsilonGreedy
    from .evolution_strategies import EvolutionStrategies as EvolutionStrategies
    from .expected_sarsa import ExpectedSarsa as ExpectedSarsa
    from .fitted_q import FittedQ as FittedQ
    from .gp_sarsa import GPSarsa as GPSarsa
    from .gradient_bandit import GradientBandit as GradientBandit
    from .gradient_td import GradientTD as GradientTD
    from .iql import IQL as IQL
    from .lin_ucb import LinUCB as LinUCB
    from .linear_actor_critic import LinearActorCritic as LinearActorCritic
    from .linear_q_learning import LinearQLearning as LinearQLearning
    from .linear_sarsa import LinearSarsa as LinearSarsa
    from .linear_thompson_sampling import LinearThompsonSampling as LinearThompsonSampling
    from .lspi import LSPI as LSPI
    from .lstd import LSTD as LSTD
    from .mcts import MCTS as MCTS
    from .model_bandit import ModelBandit as ModelBandit
    from .monte_carlo import MonteCarlo as MonteCarlo
    from .n_step_sarsa import NStepSarsa as NStepSarsa
    from .neural_fitted_q import NeuralFittedQ as NeuralFittedQ
    from .off_policy_monte_carlo import OffPolicyMonteCarlo as OffPolicyMonteCarlo
    from .policy_evaluation import PolicyEvaluation as PolicyEvaluation
    from .policy_iteration import PolicyIteration as PolicyIteration
    from .ppo import PPO as PPO
    from .pqn import PQN as PQN
    from .prioritized_sweeping import PrioritizedSweeping as PrioritizedSweeping
    from .q_learning import QLearning as QLearning
    from .real_time_dp import RealTimeDP as RealTimeDP
    from .recurrent_dqn import RecurrentDQN as RecurrentDQN
    from .reinforce import Reinforce as Reinforce
    from .sac import SAC as SAC
    from .sarsa import Sarsa as Sarsa
    from .sarsa_lambda import SarsaLambda as SarsaLambda
    from .sb3 import SB3 as SB3
    from .td3 import TD3 as TD3
    from .td3_bc import TD3BC as TD3BC
    from .td_prediction import TDPrediction as TDPrediction
    from .thompson_sampling import ThompsonSampling as ThompsonSampling
    from .tqc import TQC as TQC
    from .trpo import TRPO as TRPO
    from .true_online_sarsa_lambda import TrueOnlineSarsaLambda as TrueOnlineSarsaLambda
    from .ucb import UCB as UCB
    from .value_iteration import ValueIteration as ValueIteration
    from .watkins_q_lambda import WatkinsQLambda as WatkinsQLambda

if not TYPE_CHECKING:  # type checkers see the names above
    __all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no agent {name!r}; it has {', '.join(_HOMES)}")
    return getattr(importlib.import_module(f"{__package__}.{_HOMES[name]}"), name)
