"""Autoencoders of sequences: networks that reconstruct a whole sequence from a short code.

    code             c = W h_T + b,  h_t = cell(x_t, h_{t-1})        from the encoder's last state
    reconstruction   x̂_t = V g_t + d,  g_t = cell(c, g_{t-1})        the decoder receives the code at every step
    loss             ½ ‖x̂_t - x_t‖² over all steps

Source: Srivastava, Mansimov & Salakhutdinov 2015. The cells are in `rlplay.networks.lstm` and `rlplay.networks.gru`.
The twin is a torch module (``backend="torch"``).

Shapes: N sequences (`rlplay.models.deep.sequences`), codes [N, n_components].
In reinforcement learning: a memory of fixed size, where one observation does not determine the state.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from rlplay.models.common import Floats, Follower
from rlplay.models.deep.autoencoder import Coder
from rlplay.models.deep.sequences import SequenceModel, Sequences
from rlplay.models.deep.training import loss_of, sizes_of
from rlplay.networks.layers import Last, Linear, Repeat


@dataclass(eq=False, repr=False)
class _SequenceAutoencoder(SequenceModel, Coder):
    """The networks of both models, and their training."""

    n_components: int = 8
    hidden_size: Any = 32
    _: KW_ONLY
    tol: float = 1e-5
    _most = 64

    def _layers(self) -> Any:
        wide, code, size = sizes_of(self.hidden_size)[-1], int(self.n_components), self.step_size_
        encoder = [*self._recurrent(size), Last(), Linear(wide, code)]
        return [(encoder, None), ([Repeat(), *self._recurrent(code), Linear(wide, size)], None)]

    def _learn(self, data: Sequences, whole: bool) -> Self:
        encoder, decoder = self._begin(whole)
        self.n_steps_ = max(data.values.shape[1], 0 if whole else getattr(self, "n_steps_", 0))

        def step(batch: NDArray[np.int64], learn: bool) -> float:
            x, lengths, real = data.part(batch)
            reconstruction = decoder.forward(encoder.forward(x, lengths=lengths), steps=len(x)).reshape(x.shape)
            value, gradient = loss_of("squared_error", reconstruction, x, real)
            if learn:
                encoder.backward(decoder.backward(gradient), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value

        self._run(len(data.lengths), step, whole)
        return self

    def transform(self, X: Any) -> Floats:
        """The codes, float64 [N, n_components]."""
        given = self._read(X, False)
        encoder = self.networks()[0]

        def codes(part: Any) -> Floats:
            x, lengths, _ = given.part(part)
            return encoder.forward(x, lengths=lengths).copy()

        return self._in_parts(codes, np.arange(len(given.lengths)))

    def follower(self) -> Follower:
        """The code of a sequence that grows, step by step: `transform` of what came so far, [n_components].

        Example:
            >>> model = GRUAutoencoder(2, 4, max_iter=1, random_state=0).fit(np.zeros((4, 3, 1)))
            >>> begin, step = model.follower()
            >>> state, _ = step(begin(), np.array([1.0]))
            >>> _, code = step(state, np.array([2.0]))
            >>> bool(abs(code - model.transform(np.array([[[1.0], [2.0]]]))[0]).max() < 1e-6)
            True
        """
        encoder = self.networks()[0]
        width = sum(sizes_of(self.hidden_size)) * (2 if self.cell == "lstm" else 1)

        def step(state: NDArray[Any], x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
            code = encoder.forward(np.asarray(x, np.float32)[None, None], state[None])[0].copy()
            return encoder.state()[0].copy(), code

        return Follower(lambda: np.zeros(width, np.float32), step)

    def inverse_transform(self, X: Any, n_steps: int | None = None) -> Floats:
        """The sequences of codes X [N, n_components], float64 [N, n_steps, D]; by default of `n_steps_`.

        Raises:
            ValueError: codes of another shape.
        """
        codes, decoder = self._codes(X), self.networks()[1]
        steps = self.n_steps_ if n_steps is None else int(n_steps)

        def decoded(part: Any) -> Floats:
            return decoder.forward(part, steps=steps).reshape(steps, len(part), -1).transpose(1, 0, 2).copy()

        return self._in_parts(decoded, codes)

    def reconstruct(self, X: Any) -> Any:
        """The reconstruction of each sequence, in the form in which they are given."""
        given = self._read(X, False)
        return given.like(self.inverse_transform(self.transform(X), given.values.shape[1]))

    def reconstruction_error(self, X: Any) -> Floats:
        """The mean of (x̂ - x)² over the steps and numbers of each sequence, float64 [N]."""
        given = self._read(X, False)
        reconstruction = self.inverse_transform(self.transform(X), given.values.shape[1])
        errors = ((reconstruction - given.values) ** 2).mean(axis=2)
        real = np.arange(errors.shape[1]) < given.lengths[:, None]
        return (errors * real).sum(axis=1) / given.lengths


class LSTMAutoencoder(_SequenceAutoencoder, BaseEstimator):  # type: ignore[misc]
    """Codes of sequences by two LSTMs.

    Args:
        n_components: numbers of a code.
        hidden_size: units of the recurrent layer, or of several.
        step_size: numbers of a step, where X holds one flattened sequence a row.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        loss_curve_: mean loss of each epoch.
        n_steps_: steps of the longest training sequence.

    Example:
        >>> waves = [np.sin(np.arange(n) / 2 + n) for n in (12, 9, 11, 10) * 10]
        >>> model = LSTMAutoencoder(3, 16, max_iter=5, random_state=0).fit(waves)
        >>> model.transform(waves).shape, [len(x) for x in model.reconstruct(waves)[:2]]
        ((40, 3), [12, 9])
    """

    cell = "lstm"


class GRUAutoencoder(_SequenceAutoencoder, BaseEstimator):  # type: ignore[misc]
    """Codes of sequences by two networks of gated recurrent units.

    Args:
        n_components: numbers of a code.
        hidden_size: units of the recurrent layer, or of several.
        step_size: numbers of a step, where X holds one flattened sequence a row.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Example:
        >>> waves = np.sin(np.arange(8) / 2 + np.arange(20)[:, None])
        >>> model = GRUAutoencoder(2, 4, max_iter=2, random_state=0).fit(waves)
        >>> model.transform(waves).shape, model.reconstruct(waves).shape
        ((20, 2), (20, 8))
    """

    cell = "gru"
