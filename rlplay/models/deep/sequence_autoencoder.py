"""Autoencoders of sequences: a few numbers from which a whole sequence can be told again.

    code      c = W h_T + b,  h_t = cell(x_t, h_{t-1})        the encoder's last state
    answer    x̂_t = V g_t + d,  g_t = cell(c, g_{t-1})        the decoder sees the code at every step
    loss      ½ ‖x̂_t - x_t‖² over all steps

Source: Srivastava, Mansimov & Salakhutdinov 2015. The cells are in `rlplay.networks.lstm` and `rlplay.networks.gru`.
The twin is a torch module (``backend="torch"``).

Shapes: N sequences (`rlplay.models.deep.sequences`), codes [N, n_components].
In reinforcement learning: a memory of fixed size of what was observed, where one observation does not tell all.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from rlplay.models.common import Floats, require
from rlplay.models.deep.mlp import sizes_of
from rlplay.models.deep.sequences import SequenceModel
from rlplay.models.deep.training import loss_of
from rlplay.networks.layers import Last, Linear, Repeat


class _SequenceAutoencoder(TransformerMixin, SequenceModel):  # type: ignore[misc]
    """What both share."""

    n_components: int

    def __init__(
        self, n_components: int = 8, hidden_size: Any = 32, *, step_size: int = 1, solver: str = "adam",
        batch_size: int | str = "auto", learning_rate_init: float = 3e-3, max_iter: int = 100, tol: float = 1e-5,
        n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 1.0, predict_batch_size: int = 256, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    _most = 64

    def _layers(self) -> Any:
        wide, code, size = sizes_of(self.hidden_size)[-1], int(self.n_components), self.step_size_
        encoder = [*self._recurrent(size), Last(), Linear(wide, code)]
        return [(encoder, None), ([Repeat(), *self._recurrent(code), Linear(wide, size)], None)]

    def _check(self) -> None:
        super()._check()
        require(self, n_components=(int(self.n_components) >= 1, "a whole number of 1 or more"))

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from sequences X, from new weights; y is not looked at."""
        return self._learn(X, True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over these sequences."""
        return self._learn(X, False)

    def _learn(self, X: Any, whole: bool) -> Self:
        given = self._read(X, whole or not hasattr(self, "weights_"))
        encoder, decoder = self._begin(whole)
        self.n_steps_ = max(given.values.shape[1], 0 if whole else getattr(self, "n_steps_", 0))

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            x, lengths, real = given.part(rows)
            answer = decoder.forward(encoder.forward(x, lengths=lengths), steps=len(x)).reshape(x.shape)
            value, gradient = loss_of("squared_error", answer, x, real)
            if learn:
                encoder.backward(decoder.backward(gradient), to_input=False)
                self._descend(encoder)
                self._descend(decoder)
            return value

        self._run(len(given.lengths), step, whole)
        return self

    def transform(self, X: Any) -> Floats:
        """The codes, [N, n_components]."""
        given = self._read(X, False)
        encoder = self.networks()[0]

        def codes(rows: Any) -> Floats:
            x, lengths, _ = given.part(rows)
            return encoder.forward(x, lengths=lengths).copy()

        return self._in_parts(codes, np.arange(len(given.lengths)))

    def inverse_transform(self, X: Any, n_steps: int | None = None) -> Floats:
        """The sequences that codes X [N, n_components] stand for, [N, n_steps, D]; by default of `n_steps_`."""
        codes, decoder = np.asarray(X, np.float32), self.networks()[1]
        if codes.ndim != 2 or codes.shape[1] != self.n_components:
            raise ValueError(f"codes have shape [N, {self.n_components}], and {list(codes.shape)} was given")
        steps = self.n_steps_ if n_steps is None else int(n_steps)

        def told(part: Any) -> Floats:
            return decoder.forward(part, steps=steps).reshape(steps, len(part), -1).transpose(1, 0, 2).copy()

        return self._in_parts(told, codes)

    def reconstruct(self, X: Any) -> Any:
        """What is told of each sequence, in the form in which they are given."""
        given = self._read(X, False)
        return given.like(self.inverse_transform(self.transform(X), given.values.shape[1]))

    def reconstruction_error(self, X: Any) -> Floats:
        """The mean of (x̂ - x)² over the steps and numbers of each sequence, [N]."""
        given = self._read(X, False)
        told = self.inverse_transform(self.transform(X), given.values.shape[1])
        errors = ((told - given.values) ** 2).mean(axis=2)
        real = np.arange(errors.shape[1]) < given.lengths[:, None]
        return (errors * real).sum(axis=1) / given.lengths

    def score(self, X: Any, y: Any = None) -> float:
        """The negative mean error: higher is better."""
        return -float(self.reconstruction_error(X).mean())

    @property
    def _n_features_out(self) -> int:
        return int(self.n_components)


class LSTMAutoencoder(_SequenceAutoencoder, BaseEstimator):  # type: ignore[misc]
    """Codes of sequences by LSTMs.

    Args:
        n_components: numbers of a code.
        hidden_size: units of the recurrent layer, or of several.
        step_size: numbers of a step, where X holds each sequence in a row.
        solver: adam, rmsprop, momentum or sgd.
        batch_size: sequences of a minibatch; ``"auto"`` for at most 64.
        learning_rate_init: the step size.
        max_iter: most epochs.
        tol: the least fall of the loss that counts.
        n_iter_no_change: epochs without one after which it stops.
        early_stopping: watch sequences that are held out, and take the best weights back.
        validation_fraction: the share of those.
        max_grad_norm: longer gradients are scaled down; 0 for never.
        predict_batch_size: sequences that are answered at a time.
        backend: ``"numpy"``, ours, or ``"torch"``.
        device: of torch: cpu, cuda, or auto.
        verbose: a progress bar: True, False, or None for fits that take long at a terminal.
        random_state: a seed, a RandomState, or None.

    Attributes:
        loss_curve_: mean loss of each epoch.
        n_steps_: of the longest sequence it was fitted on.

    Example:
        >>> waves = [np.sin(np.arange(n) / 2 + n) for n in (12, 9, 11, 10) * 10]
        >>> model = LSTMAutoencoder(3, 16, max_iter=5, random_state=0).fit(waves)
        >>> model.transform(waves).shape, [len(x) for x in model.reconstruct(waves)[:2]]
        ((40, 3), [12, 9])
    """

    cell = "lstm"


class GRUAutoencoder(_SequenceAutoencoder, BaseEstimator):  # type: ignore[misc]
    """Codes of sequences by gated recurrent units; its parameters are those of `LSTMAutoencoder`.

    Args:
        n_components: numbers of a code.
        hidden_size: units of the recurrent layer, or of several.
        step_size: numbers of a step, where X holds each sequence in a row.
        learning_rate_init: the step size.
        max_iter: most epochs.
        backend: ``"numpy"``, ours, or ``"torch"``.
    """

    cell = "gru"
