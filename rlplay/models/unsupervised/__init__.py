"""Unsupervised models from scratch, each beside its library twin, with scikit-learn's API."""

from rlplay.models.unsupervised.k_means import KMeans
from rlplay.models.unsupervised.pca import PCA

__all__ = ["PCA", "KMeans"]
