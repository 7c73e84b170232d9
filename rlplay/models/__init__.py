"""Models from scratch, with scikit-learn's estimator API, each beside its library twin.

* ``supervised``: regression and classification.
* ``unsupervised``: clusters, directions, scales, and the bases of reinforcement learning.
* ``deep``: networks, for columns, images and sequences.
* ``references``: which estimator of scikit-learn, or of torch, is whose library twin; ``names``: ids of models.
* ``common``, ``kernels``, ``kd_tree``, ``lbfgs``: what several models share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach, defer

if TYPE_CHECKING:
    from rlplay.models.references import twin as twin

# scikit-learn imports scipy.stats, half a second, for a function that no model calls.
defer("scipy.stats")

__getattr__, __dir__, __all__ = attach(__name__, __file__)
