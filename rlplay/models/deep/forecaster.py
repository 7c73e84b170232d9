"""A forecaster of sequences: what comes next, from all that came before.

    h_t = cell(x_t, h_{t-1})        x̂_{t+1} = x_t + V h_t + d        loss   ½ ‖x̂_{t+1} - x_{t+1}‖² over all steps

It learns at every step of every sequence at once. Told to go on, it takes its own answers as the next steps.

Source: Elman 1990; Graves 2013 (predicting the next step, and going on from it). The cells are in
`rlplay.networks.lstm` and `rlplay.networks.gru`. The twin is a torch module (``backend="torch"``).

Shapes: N sequences (`rlplay.models.deep.sequences`) of D numbers a step.
In reinforcement learning: a model of what the environment does next; its state is a memory.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from rlplay.models.common import Floats
from rlplay.models.deep.mlp import sizes_of
from rlplay.models.deep.sequences import SequenceModel, Sequences
from rlplay.models.deep.training import loss_of
from rlplay.networks.layers import Linear


class SequenceForecaster(TransformerMixin, SequenceModel, BaseEstimator):  # type: ignore[misc]
    """What comes next, by a recurrent network.

    Args:
        hidden_size: units of the recurrent layer, or of several.
        cell: lstm or gru.
        step_size: numbers of a step, where X holds each sequence in a row.
        solver: adam, rmsprop, momentum or sgd.
        batch_size: sequences of a minibatch; ``"auto"`` for at most 32.
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
        n_iter_: epochs made.

    Example:
        >>> time = np.arange(40) / 4
        >>> waves = np.stack([np.sin(time + shift) for shift in np.arange(0, 6, 0.1)])[:, :, None]
        >>> model = SequenceForecaster(24, max_iter=100, random_state=0).fit(waves)
        >>> ahead = model.forecast(waves[:, :30], 10)
        >>> bool(np.abs(ahead - waves[:, 30:]).mean() < 0.1 * np.abs(waves[:, 29:30] - waves[:, 30:]).mean())
        True
    """

    def __init__(
        self, hidden_size: Any = 64, cell: str = "lstm", *, step_size: int = 1, solver: str = "adam",
        batch_size: int | str = "auto", learning_rate_init: float = 3e-3, max_iter: int = 100, tol: float = 1e-6,
        n_iter_no_change: int = 10, early_stopping: bool = False, validation_fraction: float = 0.1,
        max_grad_norm: float = 1.0, predict_batch_size: int = 256, backend: str = "numpy", device: str = "cpu",
        verbose: bool | None = None, random_state: Any = None,
    ) -> None:  # fmt: skip
        self._take(locals())

    _most = 32

    def _layers(self) -> Any:
        return [([*self._recurrent(self.step_size_), Linear(sizes_of(self.hidden_size)[-1], self.step_size_)], None)]

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn from sequences X of 2 steps or more, from new weights; y is not looked at."""
        return self._learn(X, True)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """One more epoch over these sequences."""
        return self._learn(X, False)

    def _learn(self, X: Any, whole: bool) -> Self:
        given = self._read(X, whole or not hasattr(self, "weights_"))
        if given.lengths.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs sequences of 2 steps or more, and one has 1 step (n_features=1)"
            )
        (network,) = self._begin(whole)

        def step(rows: NDArray[np.int64], learn: bool) -> float:
            x, lengths, real = given.part(rows)
            answer = x[:-1] + network.forward(x[:-1], lengths=lengths - 1)
            value, gradient = loss_of("squared_error", answer, x[1:], real[1:])
            if learn:
                network.backward(gradient, to_input=False)
                self._descend(network)
            return value

        self._run(len(given.lengths), step, whole)
        return self

    def predict(self, X: Any) -> Any:
        """After each step what comes next, in the form in which the sequences are given."""
        given = self._read(X, False)
        return given.like(self._next(given))

    def _next(self, given: Sequences) -> Floats:
        network = self.networks()[0]
        out = np.zeros(given.values.shape)
        for begin in range(0, len(out), int(self.predict_batch_size)):
            rows = slice(begin, begin + int(self.predict_batch_size))
            x, lengths, _ = given.part(rows)
            out[rows, : len(x)] = (x + network.forward(x, lengths=lengths)).transpose(1, 0, 2)
        return out

    def forecast(self, X: Any, n_steps: int = 1) -> Any:
        """The steps that follow each sequence, [N, n_steps, D], or [N, n_steps * D] for rows."""
        given = self._read(X, False)
        network, parts = self.networks()[0], []
        for begin in range(0, len(given.lengths), int(self.predict_batch_size)):
            x, lengths, _ = given.part(slice(begin, begin + int(self.predict_batch_size)))
            answer = network.forward(x, lengths=lengths)[lengths - 1, np.arange(len(lengths))]
            now, found = x[lengths - 1, np.arange(len(lengths))] + answer, []
            for _ in range(int(n_steps)):
                found.append(now)
                now = now + network.forward(now[None], state=network.state())[0]
            parts.append(np.stack(found, axis=1))
        ahead = np.concatenate(parts).astype(np.float64)
        return ahead.reshape(len(ahead), -1) if given.form == "rows" else ahead

    def transform(self, X: Any) -> Floats:
        """The state after the last step of each sequence, [N, S]: a memory of it."""
        given = self._read(X, False)
        network = self.networks()[0]

        def states(rows: Any) -> Floats:
            x, lengths, _ = given.part(rows)
            network.forward(x, lengths=lengths)
            return network.state()

        return self._in_parts(states, np.arange(len(given.lengths)))

    def score(self, X: Any, y: Any = None) -> float:
        """R² of the next steps: 1 for perfect, 0 for their mean."""
        given = self._read(X, False)
        real = (np.arange(given.values.shape[1])[None] < given.lengths[:, None])[:, 1:]
        answers, truth = self._next(given)[:, :-1][real], given.values[:, 1:][real]
        return float(1.0 - ((answers - truth) ** 2).sum() / ((truth - truth.mean(axis=0)) ** 2).sum())
