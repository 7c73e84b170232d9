"""DAgger: let the learner act, ask the teacher what it would have done, and learn from all answers so far.

    for i = 1, 2, ...
        play  π_i = β_i π* + (1 - β_i) π̂_i,    β_i = p^{i-1}       a choice at each step
        D ← D ∪ {(S, π*(S))}                    for the states that were visited
        π̂_{i+1} = classifier (for a Box: regressor) fitted to D

The learner is taught where it goes itself, so errors add up to ε T, not to ε T² as in `agents.behavior_cloning`.

Source: Ross, Gordon & Bagnell 2011, algorithm 3.1. With a tree as the learner: Bastani, Pu & Solar-Lezama 2018 (VIPER),
without its weights.

Symbols:
    S  obs  float32 [N, D]    π*(S)  labels  int64 [N], or float32 [N, W] for a Box    π̂  model    p  beta
"""

from __future__ import annotations

from typing import Annotated

from rlplay.extend import ImitationAgent, Range


class DAgger(ImitationAgent):
    """Data set aggregation with any teacher, by any classifier, or for a Box by any regressor.

    Example:
        >>> agent = DAgger("CartPole-v1", teacher="follow-the-pole", train_freq=500, seed=0).learn(1000)
        >>> agent.predict(agent.get_env().reset(seed=0)[0])[0] in (0, 1)
        True
    """

    id = "dagger"
    beta: Annotated[float, Range("p: the teacher acts with probability p^i after the i-th fit", 0, 1)] = 0.0

    def share(self) -> float:
        """β_i; the teacher alone acts before the first fit."""
        return self.beta ** int(self.counts.fits[0])


__all__ = ["DAgger"]
