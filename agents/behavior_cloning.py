"""Behaviour cloning: watch a teacher act, and learn to do the same by supervised learning.

    D = {(S, A)} with A = π*(S), the teacher's action, in states to which the teacher leads
    π = classifier (for a Box: regressor) fitted to D

The learner's small mistakes lead where the teacher never was, and there it was taught nothing: over T steps errors add
up to ε T². `agents.dagger` mends that.

Source: Pomerleau 1989 (ALVINN); the bound: Ross & Bagnell 2010, theorem 2.1.

Symbols:
    S  obs  float32 [N, D]    A  labels  int64 [N], or float32 [N, W] for a Box    π* teacher    π  model
"""

from __future__ import annotations

from rlplay.extend import ImitationAgent


class BehaviorCloning(ImitationAgent):
    """Behaviour cloning of any teacher by any classifier, or for a Box by any regressor.

    Example:
        >>> agent = BehaviorCloning("CartPole-v1", teacher="follow-the-pole", train_freq=500, seed=0).learn(500)
        >>> agent.predict(agent.get_env().reset(seed=0)[0])[0] in (0, 1)
        True
    """

    id = "behavior-cloning"

    def share(self) -> float:
        """The teacher always acts."""
        return 1.0


__all__ = ["BehaviorCloning"]
