"""rlplay: a reinforcement-learning gym playground.

Train an agent, watch it, ask what it thinks, save it, resume it to the bit:

    >>> from rlplay.agents import QLearning
    >>> agent = QLearning("FrozenLake-v1", seed=0).learn(20_000)
    >>> action, _ = agent.predict(0, deterministic=True)

Names are imported when they are used: ``import rlplay`` starts neither numba, torch nor pygame.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from rlplay import own
from rlplay.errors import RlplayWarning
from rlplay.lazy import attach

__version__ = "0.1.0"

if TYPE_CHECKING:
    from rlplay.agent.base import Agent as Agent
    from rlplay.agent.saving import load as load
    from rlplay.approximation.feature_map import FeatureMap as FeatureMap
    from rlplay.environments.bonus import Novelty as Novelty
    from rlplay.environments.dataset import Dataset as Dataset
    from rlplay.environments.episode import Episode as Episode
    from rlplay.environments.episode import load_episode as load_episode
    from rlplay.environments.feature_wrappers import FeatureObservation as FeatureObservation
    from rlplay.environments.feature_wrappers import FeatureVectorObservation as FeatureVectorObservation
    from rlplay.environments.feature_wrappers import random_play as random_play
    from rlplay.environments.interact import interact as interact
    from rlplay.environments.make import make as make
    from rlplay.environments.memory import Memory as Memory
    from rlplay.environments.memory import MemoryMap as MemoryMap
    from rlplay.environments.vector.make import make_vec as make_vec
    from rlplay.errors import RlplayError as RlplayError
    from rlplay.probe import Probe as Probe
    from rlplay.registry import register as register
    from rlplay.registry import register_model as register_model
    from rlplay.reports.runs import runs as runs
    from rlplay.training.callbacks import Callback as Callback
    from rlplay.training.callbacks import CheckpointCallback as CheckpointCallback
    from rlplay.training.callbacks import EvalCallback as EvalCallback
    from rlplay.training.evaluation import Evaluation as Evaluation
    from rlplay.training.evaluation import evaluate as evaluate
    from rlplay.training.trackers import TensorBoardCallback as TensorBoardCallback
    from rlplay.training.trackers import WandbCallback as WandbCallback
    from rlplay.transition import Transition as Transition
    from rlplay.tuning.estimator import AgentEstimator as AgentEstimator

__getattr__, __dir__, __all__ = attach(__name__, __file__)

for _name in own.PACKAGES:
    if _trouble := own.trouble(_name):
        warnings.warn_explicit(". ".join(_trouble), RlplayWarning, "<rlplay>", 1)
