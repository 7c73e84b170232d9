"""Unsupervised models from scratch, with scikit-learn's estimator API: their twins swap with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach

if TYPE_CHECKING:
    from rlplay.models.unsupervised.bases import FourierBasis as FourierBasis
    from rlplay.models.unsupervised.bases import RBFGrid as RBFGrid
    from rlplay.models.unsupervised.bases import TileCoding as TileCoding
    from rlplay.models.unsupervised.dbscan import DBSCAN as DBSCAN
    from rlplay.models.unsupervised.gaussian_mixture import GaussianMixture as GaussianMixture
    from rlplay.models.unsupervised.hidden_markov_model import HiddenMarkovModel as HiddenMarkovModel
    from rlplay.models.unsupervised.hierarchical import AgglomerativeClustering as AgglomerativeClustering
    from rlplay.models.unsupervised.ica import FastICA as FastICA
    from rlplay.models.unsupervised.incremental_pca import IncrementalPCA as IncrementalPCA
    from rlplay.models.unsupervised.k_means import KMeans as KMeans
    from rlplay.models.unsupervised.kernel_features import Nystroem as Nystroem
    from rlplay.models.unsupervised.kernel_features import RandomFourierFeatures as RandomFourierFeatures
    from rlplay.models.unsupervised.kernel_pca import KernelPCA as KernelPCA
    from rlplay.models.unsupervised.mini_batch_k_means import MiniBatchKMeans as MiniBatchKMeans
    from rlplay.models.unsupervised.nearest_centroid import NearestCentroidClusterer as NearestCentroidClusterer
    from rlplay.models.unsupervised.pca import PCA as PCA
    from rlplay.models.unsupervised.scalers import MinMaxScaler as MinMaxScaler
    from rlplay.models.unsupervised.scalers import RobustScaler as RobustScaler
    from rlplay.models.unsupervised.scalers import StandardScaler as StandardScaler
    from rlplay.models.unsupervised.self_organising_map import SelfOrganisingMap as SelfOrganisingMap

__getattr__, __dir__, __all__ = attach(__name__, __file__)
