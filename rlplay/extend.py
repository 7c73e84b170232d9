"""What an author of an agent, an environment, a model, a feature map or a panel imports, from one place.

    from rlplay.extend import ControlAgent, LearningRule, StepSize, in_place

``docs/extending.md`` shows each kind of extension. Names are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach

if TYPE_CHECKING:
    # An agent: the contract, the families, hyperparameters.
    from rlplay.agent.base import Agent as Agent
    from rlplay.agent.base import StateArrays as StateArrays
    from rlplay.agent.batch import BatchAgent as BatchAgent
    from rlplay.agent.batch import Candidates as Candidates
    from rlplay.agent.batch import GreedyEvaluator as GreedyEvaluator
    from rlplay.agent.episodes import longest_episode as longest_episode
    from rlplay.agent.episodes import require_steps_memory as require_steps_memory
    from rlplay.agent.episodes import require_end as require_end
    from rlplay.agent.imitation import ImitationAgent as ImitationAgent
    from rlplay.agent.linear import LinearAgent as LinearAgent
    from rlplay.agent.linear import LinearControl as LinearControl
    from rlplay.agent.linear import LinearMemory as LinearMemory
    from rlplay.agent.linear import LinearPrediction as LinearPrediction
    from rlplay.agent.linear import PredictionMemory as PredictionMemory
    from rlplay.agent.on_policy import EntropyWeight as EntropyWeight
    from rlplay.agent.on_policy import GaeLambda as GaeLambda
    from rlplay.agent.on_policy import MaxGradNorm as MaxGradNorm
    from rlplay.agent.on_policy import NEnvs as NEnvs
    from rlplay.agent.on_policy import OnPolicyAgent as OnPolicyAgent
    from rlplay.agent.on_policy import RolloutSteps as RolloutSteps
    from rlplay.agent.on_policy import ValueWeight as ValueWeight
    from rlplay.agent.planner import Planner as Planner
    from rlplay.agent.policies import policy_table as policy_table
    from rlplay.agent.tabular import ControlAgent as ControlAgent
    from rlplay.agent.tabular import ControlMemory as ControlMemory
    from rlplay.agent.tabular import TableAgent as TableAgent
    from rlplay.compiled.cache import compiled as compiled
    from rlplay.compiled.cache import in_place as in_place
    from rlplay.compiled.pcg64 import normal as normal
    from rlplay.compiled.pcg64 import random as random
    from rlplay.compiled.pcg64 import random_bits as random_bits
    from rlplay.compiled.pcg64 import random_seed as random_seed
    from rlplay.compiled.training_loop import LearningRule as LearningRule
    from rlplay.errors import CheckpointError as CheckpointError
    from rlplay.errors import EnvironmentFault as EnvironmentFault
    from rlplay.errors import HyperparameterError as HyperparameterError
    from rlplay.errors import RlplayError as RlplayError
    from rlplay.errors import SpaceError as SpaceError
    from rlplay.errors import UsageError as UsageError
    from rlplay.errors import require_memory as require_memory
    from rlplay.errors import unknown as unknown
    from rlplay.errors import warn as warn
    from rlplay.hyperparameters.domains import Choice as Choice
    from rlplay.hyperparameters.domains import Domain as Domain
    from rlplay.hyperparameters.domains import Either as Either
    from rlplay.hyperparameters.domains import Policy as Policy
    from rlplay.hyperparameters.domains import Range as Range
    from rlplay.hyperparameters.domains import Regressor as Regressor
    from rlplay.hyperparameters.domains import Settings as Settings
    from rlplay.hyperparameters.domains import Sizes as Sizes
    from rlplay.hyperparameters.fields import Hyperparameter as Hyperparameter
    from rlplay.hyperparameters.fields import checked as checked
    from rlplay.hyperparameters.fields import declared as declared
    from rlplay.hyperparameters.types import Accuracy as Accuracy
    from rlplay.hyperparameters.types import AverageReward as AverageReward
    from rlplay.hyperparameters.types import Discount as Discount
    from rlplay.hyperparameters.types import Exploration as Exploration
    from rlplay.hyperparameters.types import FeaturesLike as FeaturesLike
    from rlplay.hyperparameters.types import InPlace as InPlace
    from rlplay.hyperparameters.types import InitialValue as InitialValue
    from rlplay.hyperparameters.types import Intercept as Intercept
    from rlplay.hyperparameters.types import LearningRate as LearningRate
    from rlplay.hyperparameters.types import LinearStep as LinearStep
    from rlplay.hyperparameters.types import PlanningSteps as PlanningSteps
    from rlplay.hyperparameters.types import PolicyLike as PolicyLike
    from rlplay.hyperparameters.types import StepSize as StepSize
    from rlplay.hyperparameters.types import TraceDecay as TraceDecay
    from rlplay.networks.torch_state import RandomStates as RandomStates
    from rlplay.networks.torch_state import pack_module as pack_module
    from rlplay.networks.torch_state import pack_optimizer as pack_optimizer
    from rlplay.networks.torch_state import unpack_module as unpack_module
    from rlplay.networks.torch_state import unpack_optimizer as unpack_optimizer
    from rlplay.probe import Probe as Probe
    from rlplay.probe import masked as masked
    from rlplay.registry import register as register
    from rlplay.registry import register_model as register_model
    from rlplay.seeding import generator as generator
    from rlplay.seeding import stream as stream
    from rlplay.storage.checkpoint import copy_into as copy_into
    from rlplay.storage.ranges import ANY as ANY
    from rlplay.storage.ranges import COUNT as COUNT
    from rlplay.storage.ranges import Ranges as Ranges
    from rlplay.storage.ranges import check_listed as check_listed
    from rlplay.storage.ranges import check_number as check_number
    from rlplay.storage.ranges import numbers_below as numbers_below
    from rlplay.storage.ranges import or_none as or_none
    from rlplay.training.callbacks import Callback as Callback
    from rlplay.training.learner import Engine as Engine
    from rlplay.transition import Transition as Transition

    # Equations that rules are made of.
    from rlplay.functional.distributions import Head as Head
    from rlplay.functional.dynamic_programming import Model as Model
    from rlplay.functional.dynamic_programming import action_values as action_values
    from rlplay.functional.dynamic_programming import backup as backup
    from rlplay.functional.dynamic_programming import best_value as best_value
    from rlplay.functional.dynamic_programming import evaluation_sweep as evaluation_sweep
    from rlplay.functional.dynamic_programming import greedy_probabilities as greedy_probabilities
    from rlplay.functional.dynamic_programming import model_of as model_of
    from rlplay.functional.dynamic_programming import optimality_sweep as optimality_sweep
    from rlplay.functional.episode_buffer import EpisodeBuffer as EpisodeBuffer
    from rlplay.functional.episode_buffer import discounted_return as discounted_return
    from rlplay.functional.episode_buffer import keep_step as keep_step
    from rlplay.functional.episode_buffer import keep_whole_step as keep_whole_step
    from rlplay.functional.episode_buffer import new_episode_buffer as new_episode_buffer
    from rlplay.functional.episode_buffer import steps_due as steps_due
    from rlplay.functional.epsilon_greedy import act_epsilon_greedy as act_epsilon_greedy
    from rlplay.functional.epsilon_greedy import act_policy as act_policy
    from rlplay.functional.epsilon_greedy import epsilon_greedy as epsilon_greedy
    from rlplay.functional.epsilon_greedy import epsilon_greedy_probabilities as epsilon_greedy_probabilities
    from rlplay.functional.epsilon_greedy import expected_value as expected_value
    from rlplay.functional.epsilon_greedy import greatest as greatest
    from rlplay.functional.epsilon_greedy import greedy as greedy
    from rlplay.functional.epsilon_greedy import policy_probability as policy_probability
    from rlplay.functional.epsilon_greedy import random_action as random_action
    from rlplay.functional.epsilon_greedy import sampled as sampled
    from rlplay.functional.linear_values import LastSteps as LastSteps
    from rlplay.functional.linear_values import act_behaviour as act_behaviour
    from rlplay.functional.linear_values import act_linear_epsilon_greedy as act_linear_epsilon_greedy
    from rlplay.functional.linear_values import batch_values as batch_values
    from rlplay.functional.linear_values import decay_traces as decay_traces
    from rlplay.functional.linear_values import forget_steps as forget_steps
    from rlplay.functional.linear_values import importance_ratio as importance_ratio
    from rlplay.functional.linear_values import learn_by_traces as learn_by_traces
    from rlplay.functional.linear_values import learn_features as learn_features
    from rlplay.functional.linear_values import mark_features as mark_features
    from rlplay.functional.linear_values import new_last_steps as new_last_steps
    from rlplay.functional.linear_values import trace_product as trace_product
    from rlplay.functional.linear_values import update_n_steps as update_n_steps
    from rlplay.functional.linear_values import value_of as value_of
    from rlplay.functional.linear_values import values_of as values_of
    from rlplay.functional.on_policy_step import OnPolicyMemory as OnPolicyMemory
    from rlplay.functional.on_policy_step import descent as descent
    from rlplay.functional.rollout import Minibatch as Minibatch
    from rlplay.functional.rollout import Rollout as Rollout
    from rlplay.functional.rollout import count_up as count_up
    from rlplay.functional.rollout import explained_variance as explained_variance
    from rlplay.functional.rollout import forbid as forbid
    from rlplay.functional.rollout import gather as gather
    from rlplay.functional.rollout import generalised_advantages as generalised_advantages
    from rlplay.functional.rollout import mean as mean
    from rlplay.functional.rollout import new_minibatch as new_minibatch
    from rlplay.functional.rollout import shuffle as shuffle
    from rlplay.functional.rollout import standardise as standardise
    from rlplay.functional.schedules import Rate as Rate
    from rlplay.functional.schedules import Schedule as Schedule
    from rlplay.functional.schedules import ScheduleLike as ScheduleLike
    from rlplay.functional.schedules import ahead as ahead
    from rlplay.functional.schedules import latest as latest
    from rlplay.functional.schedules import new_rate as new_rate
    from rlplay.functional.schedules import scheduled as scheduled
    from rlplay.functional.schedules import tabulate as tabulate
    from rlplay.functional.schedules import visited as visited
    from rlplay.networks.contract import Kernel as Kernel
    from rlplay.networks.optimisers import improve as improve
    from rlplay.functional.traces import DUTCH as DUTCH
    from rlplay.functional.traces import TRACE_KINDS as TRACE_KINDS
    from rlplay.functional.traces import Traces as Traces
    from rlplay.functional.traces import clear_traces as clear_traces
    from rlplay.functional.traces import forget_traces as forget_traces
    from rlplay.functional.traces import new_traces as new_traces
    from rlplay.functional.traces import td_lambda_update as td_lambda_update
    from rlplay.functional.traces import true_online_update as true_online_update

    # Observations, models and features.
    from rlplay.approximation.action_values import LAYOUTS as LAYOUTS
    from rlplay.approximation.action_values import ActionValues as ActionValues
    from rlplay.approximation.action_values import action_inputs as action_inputs
    from rlplay.approximation.action_values import fit_values as fit_values
    from rlplay.approximation.action_values import models_by_name as models_by_name
    from rlplay.approximation.action_values import values_by_name as values_by_name
    from rlplay.approximation.encoder import Encoder as Encoder
    from rlplay.approximation.encoder import ObservationVectors as ObservationVectors
    from rlplay.approximation.encodings import Active as Active
    from rlplay.approximation.estimators import final_step as final_step
    from rlplay.approximation.estimators import seeded as seeded
    from rlplay.approximation.encoders import VectorFeatures as VectorFeatures
    from rlplay.approximation.encoders import new_encoder as new_encoder
    from rlplay.approximation.feature_map import FeatureMap as FeatureMap
    from rlplay.approximation.feature_map import as_feature_map as as_feature_map
    from rlplay.spaces.finite import FiniteSpace as FiniteSpace
    from rlplay.spaces.finite import finite as finite
    from rlplay.spaces.finite import is_finite as is_finite
    from rlplay.spaces.observations import VectorView as VectorView
    from rlplay.spaces.observations import batch_of as batch_of
    from rlplay.spaces.observations import observation_digest as observation_digest

    # A figure: native runs, and what is drawn of them.
    from rlplay.compiled.training_loop import EpisodeLog as EpisodeLog
    from rlplay.reports.figures import Figure as Figure
    from rlplay.reports.figures import Line as Line
    from rlplay.reports.figures import Panel as Panel
    from rlplay.reports.figures import Track as Track
    from rlplay.training.drivers import advance_compiled as advance_compiled
    from rlplay.training.statistics import FinishedEpisode as FinishedEpisode

    # A panel of the window.
    from rlplay.viewer.drawing import bars as draw_bars
    from rlplay.viewer.drawing import curve as draw_curve
    from rlplay.viewer.drawing import heat as draw_heat
    from rlplay.viewer.drawing import text as draw_text
    from rlplay.viewer.panel import WindowPanel as WindowPanel
    from rlplay.viewer.panel import register_panel as register_panel

    # An environment.
    from rlplay.compiled.native import NativeDynamics as NativeDynamics
    from rlplay.compiled.native import NativeEnv as NativeEnv
    from rlplay.compiled.table import BYTES_OF_AN_OUTCOME as BYTES_OF_AN_OUTCOME
    from rlplay.compiled.table import TableArrays as TableArrays
    from rlplay.compiled.table import TableEnv as TableEnv
    from rlplay.compiled.table import TransitionTable as TransitionTable
    from rlplay.compiled.table import step_table as step_table
    from rlplay.compiled.table import table_from as table_from
    from rlplay.compiled.table import table_of as table_of
    from rlplay.environments.episode import replays_exactly as replays_exactly
    from rlplay.environments.interact import ObservationCheck as ObservationCheck
    from rlplay.environments.interact import Position as Position
    from rlplay.environments.interact import RunningEnv as RunningEnv
    from rlplay.environments.interact import begin_episode as begin_episode
    from rlplay.environments.interact import take_step as take_step
    from rlplay.environments.make import EnvLike as EnvLike
    from rlplay.environments.make import make as make
    from rlplay.environments.make import reference as reference
    from rlplay.environments.make import make_anew as make_anew
    from rlplay.environments.make import remake as remake
    from rlplay.environments.make import require_anew as require_anew
    from rlplay.environments.masks import MaskSource as MaskSource
    from rlplay.environments.make import time_limit as time_limit
    from rlplay.environments.make import with_first_states as with_first_states
    from rlplay.environments.no_environment import NoEnvironment as NoEnvironment
    from rlplay.environments.vector.make import make_vec as make_vec
    from rlplay.environments.vector.native import NativeVectorEnv as NativeVectorEnv

__getattr__, __dir__, __all__ = attach(__name__, __file__)
