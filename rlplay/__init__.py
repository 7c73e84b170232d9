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
    "Agent": "rlplay.agent",
    "Callback": "rlplay.callbacks",
    "CheckpointCallback": "rlplay.callbacks",
    "Episode": "rlplay.episode",
    "EvalCallback": "rlplay.callbacks",
    "Evaluation": "rlplay.evaluation",
    "FeatureMap": "rlplay.features",
    "FeatureObservation": "rlplay.wrappers",
    "FeatureVectorObservation": "rlplay.wrappers",
    "Novelty": "rlplay.exploration",
    "Probe": "rlplay.probe",
    "RlplayError": "rlplay.errors",
    "Transition": "rlplay.transition",
    "evaluate": "rlplay.evaluation",
    "interact": "rlplay.loop",
    "load": "rlplay.saving",
    "load_episode": "rlplay.episode",
    "make": "rlplay.making",
    "make_vec": "rlplay.vector.making",
    "random_play": "rlplay.wrappers",
    "register": "rlplay.registry",
    "register_model": "rlplay.registry",
}

if TYPE_CHECKING:
    from rlplay.agent import Agent as Agent
    from rlplay.callbacks import Callback as Callback
    from rlplay.callbacks import CheckpointCallback as CheckpointCallback
    from rlplay.callbacks import EvalCallback as EvalCallback
    from rlplay.episode import Episode as Episode
    from rlplay.episode import load_episode as load_episode
    from rlplay.errors import RlplayError as RlplayError
    from rlplay.evaluation import Evaluation as Evaluation
    from rlplay.evaluation import evaluate as evaluate
    from rlplay.exploration import Novelty as Novelty
    from rlplay.features import FeatureMap as FeatureMap
    from rlplay.loop import interact as interact
    from rlplay.making import make as make
    from rlplay.probe import Probe as Probe
    from rlplay.registry import register as register
    from rlplay.registry import register_model as register_model
    from rlplay.saving import load as load
    from rlplay.transition import Transition as Transition
    from rlplay.vector.making import make_vec as make_vec
    from rlplay.wrappers import FeatureObservation as FeatureObservation
    from rlplay.wrappers import FeatureVectorObservation as FeatureVectorObservation
    from rlplay.wrappers import random_play as random_play


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'rlplay' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*_HOMES, "__version__"])
