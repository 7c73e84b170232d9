"""Deep models from scratch, with scikit-learn's estimator API; ``backend="torch"`` makes the twin of each.

* ``training``: what all of them share: arguments, minibatches, early stopping, learning curves. ``progress``: the bar.
* ``mlp``, ``cnn``: regression and classification of points and of images.
* ``autoencoder``, ``vae``: codes. ``distillation``: novelty.
* ``sequence_autoencoder``, ``forecaster``, ``encoder_decoder``: sequences. ``sequences``: their data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rlplay.lazy import attach

if TYPE_CHECKING:
    from rlplay.models.deep.autoencoder import Autoencoder as Autoencoder
    from rlplay.models.deep.autoencoder import DenoisingAutoencoder as DenoisingAutoencoder
    from rlplay.models.deep.cnn import CNNClassifier as CNNClassifier
    from rlplay.models.deep.distillation import RandomNetworkDistillation as RandomNetworkDistillation
    from rlplay.models.deep.encoder_decoder import EncoderDecoder as EncoderDecoder
    from rlplay.models.deep.forecaster import SequenceForecaster as SequenceForecaster
    from rlplay.models.deep.mlp import MLPClassifier as MLPClassifier
    from rlplay.models.deep.mlp import MLPRegressor as MLPRegressor
    from rlplay.models.deep.sequence_autoencoder import GRUAutoencoder as GRUAutoencoder
    from rlplay.models.deep.sequence_autoencoder import LSTMAutoencoder as LSTMAutoencoder
    from rlplay.models.deep.vae import VAE as VAE

__getattr__, __dir__, __all__ = attach(__name__, __file__)
