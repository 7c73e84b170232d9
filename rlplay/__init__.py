"""rlplay: a reinforcement-learning gym playground.

Train an agent, watch it, ask what it thinks, save it, resume it to the bit:

    >>> from agents import QLearning
    >>> agent = QLearning("FrozenLake-v1", seed=0).learn(20_000)
    >>> action, _ = agent.predict(0, deterministic=True)

Names are imported when they are used: ``import rlplay`` starts neither numba, torch nor pygame.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Agent": "rlplay.agent.base",
    "Callback": "rlplay.training.callbacks",
    "CheckpointCallback": "rlplay.training.callbacks",
    "Episode": "rlplay.environments.episode",
    "EvalCallback": "rlplay.training.callbacks",
    "Evaluation": "rlplay.training.evaluation",
    "FeatureMap": "rlplay.approximation.feature_map",
    "FeatureObservation": "rlplay.environments.feature_wrappers",
    "FeatureVectorObservation": "rlplay.environments.feature_wrappers",
    "Novelty": "rlplay.environments.bonus",
    "Probe": "rlplay.probe",
    "RlplayError": "rlplay.errors",
    "Transition": "rlplay.transition",
    "evaluate": "rlplay.training.evaluation",
    "interact": "rlplay.environments.interact",
    "load": "rlplay.agent.saving",
    "load_episode": "rlplay.environments.episode",
    "make": "rlplay.environments.make",
    "make_vec": "rlplay.environments.vector.make",
    "random_play": "rlplay.environments.feature_wrappers",
    "register": "rlplay.registry",
    "register_model": "rlplay.registry",
}

if TYPE_CHECKING:
    from rlplay.agent.base import Agent as Agent
    from rlplay.agent.saving import load as load
    from rlplay.approximation.feature_map import FeatureMap as FeatureMap
    from rlplay.environments.bonus import Novelty as Novelty
    from rlplay.environments.episode import Episode as Episode
    from rlplay.environments.episode import load_episode as load_episode
    from rlplay.environments.feature_wrappers import FeatureObservation as FeatureObservation
    from rlplay.environments.feature_wrappers import FeatureVectorObservation as FeatureVectorObservation
    from rlplay.environments.feature_wrappers import random_play as random_play
    from rlplay.environments.interact import interact as interact
    from rlplay.environments.make import make as make
    from rlplay.environments.vector.make import make_vec as make_vec
    from rlplay.errors import RlplayError as RlplayError
    from rlplay.probe import Probe as Probe
    from rlplay.registry import register as register
    from rlplay.registry import register_model as register_model
    from rlplay.training.callbacks import Callback as Callback
    from rlplay.training.callbacks import CheckpointCallback as CheckpointCallback
    from rlplay.training.callbacks import EvalCallback as EvalCallback
    from rlplay.training.evaluation import Evaluation as Evaluation
    from rlplay.training.evaluation import evaluate as evaluate
    from rlplay.transition import Transition as Transition


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rlplay' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
