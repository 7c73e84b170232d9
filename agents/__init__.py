"""The agents: ``from agents import QLearning``. Each is one file that reads as the textbook's box."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "A2C": "a2c",
    "BehaviorCloning": "behavior_cloning",
    "DAgger": "dagger",
    "DifferentialSarsa": "differential_sarsa",
    "DoubleQLearning": "double_q_learning",
    "DoubleSarsa": "double_q_learning",
    "DynaQ": "dyna_q",
    "DynaQPlus": "dyna_q_plus",
    "EmphaticTD": "emphatic_td",
    "EpisodicControl": "episodic_control",
    "EpsilonGreedy": "epsilon_greedy",
    "ExpectedSarsa": "expected_sarsa",
    "FittedQ": "fitted_q",
    "GPSarsa": "gp_sarsa",
    "GradientBandit": "gradient_bandit",
    "GradientTD": "gradient_td",
    "LinearActorCritic": "linear_actor_critic",
    "LinearQLearning": "linear_q_learning",
    "LinearSarsa": "linear_sarsa",
    "LSPI": "lspi",
    "LSTD": "lstd",
    "MCTS": "mcts",
    "MonteCarlo": "monte_carlo",
    "NeuralFittedQ": "neural_fitted_q",
    "NStepSarsa": "n_step_sarsa",
    "OffPolicyMonteCarlo": "off_policy_monte_carlo",
    "PolicyEvaluation": "policy_evaluation",
    "PolicyIteration": "policy_iteration",
    "PPO": "ppo",
    "PrioritizedSweeping": "prioritized_sweeping",
    "QLearning": "q_learning",
    "RealTimeDP": "real_time_dp",
    "Reinforce": "reinforce",
    "Sarsa": "sarsa",
    "SarsaLambda": "sarsa_lambda",
    "SB3": "sb3",
    "TDPrediction": "td_prediction",
    "ThompsonSampling": "thompson_sampling",
    "TrueOnlineSarsaLambda": "true_online_sarsa_lambda",
    "UCB": "ucb",
    "ValueIteration": "value_iteration",
    "WatkinsQLambda": "watkins_q_lambda",
}

if TYPE_CHECKING:
    from agents.a2c import A2C as A2C
    from agents.behavior_cloning import BehaviorCloning as BehaviorCloning
    from agents.dagger import DAgger as DAgger
    from agents.differential_sarsa import DifferentialSarsa as DifferentialSarsa
    from agents.double_q_learning import DoubleQLearning as DoubleQLearning
    from agents.double_q_learning import DoubleSarsa as DoubleSarsa
    from agents.dyna_q import DynaQ as DynaQ
    from agents.dyna_q_plus import DynaQPlus as DynaQPlus
    from agents.emphatic_td import EmphaticTD as EmphaticTD
    from agents.episodic_control import EpisodicControl as EpisodicControl
    from agents.epsilon_greedy import EpsilonGreedy as EpsilonGreedy
    from agents.expected_sarsa import ExpectedSarsa as ExpectedSarsa
    from agents.fitted_q import FittedQ as FittedQ
    from agents.gp_sarsa import GPSarsa as GPSarsa
    from agents.gradient_bandit import GradientBandit as GradientBandit
    from agents.gradient_td import GradientTD as GradientTD
    from agents.linear_actor_critic import LinearActorCritic as LinearActorCritic
    from agents.linear_q_learning import LinearQLearning as LinearQLearning
    from agents.linear_sarsa import LinearSarsa as LinearSarsa
    from agents.lspi import LSPI as LSPI
    from agents.lstd import LSTD as LSTD
    from agents.mcts import MCTS as MCTS
    from agents.monte_carlo import MonteCarlo as MonteCarlo
    from agents.n_step_sarsa import NStepSarsa as NStepSarsa
    from agents.neural_fitted_q import NeuralFittedQ as NeuralFittedQ
    from agents.off_policy_monte_carlo import OffPolicyMonteCarlo as OffPolicyMonteCarlo
    from agents.policy_evaluation import PolicyEvaluation as PolicyEvaluation
    from agents.policy_iteration import PolicyIteration as PolicyIteration
    from agents.ppo import PPO as PPO
    from agents.prioritized_sweeping import PrioritizedSweeping as PrioritizedSweeping
    from agents.q_learning import QLearning as QLearning
    from agents.real_time_dp import RealTimeDP as RealTimeDP
    from agents.reinforce import Reinforce as Reinforce
    from agents.sarsa import Sarsa as Sarsa
    from agents.sarsa_lambda import SarsaLambda as SarsaLambda
    from agents.sb3 import SB3 as SB3
    from agents.td_prediction import TDPrediction as TDPrediction
    from agents.thompson_sampling import ThompsonSampling as ThompsonSampling
    from agents.true_online_sarsa_lambda import TrueOnlineSarsaLambda as TrueOnlineSarsaLambda
    from agents.ucb import UCB as UCB
    from agents.value_iteration import ValueIteration as ValueIteration
    from agents.watkins_q_lambda import WatkinsQLambda as WatkinsQLambda

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no agent {name!r}; it has {', '.join(_HOMES)}")
    return getattr(importlib.import_module(f"agents.{_HOMES[name]}"), name)
