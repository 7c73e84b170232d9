"""Models from scratch, with scikit-learn's estimator API, each beside its library twin.

* ``supervised``: regression and classification.
* ``unsupervised``: clusters, directions, scales, and the bases of reinforcement learning.
* ``deep``: networks, for columns, images and sequences.
* ``twins``: which estimator of scikit-learn, or of torch, is whose twin.
* ``common``, ``kernels``, ``kd_tree``, ``lbfgs``: what several models share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlplay.reports.model_references import twin as twin


def __getattr__(name: str) -> Any:
    if name != "twin":
        raise AttributeError(f"module 'rlplay.models' has no attribute {name!r}")
    from rlplay.reports.model_references import twin

    return twin
