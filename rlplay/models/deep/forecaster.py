"""A forecaster of sequences: it predicts the next step from all steps so far.

    h_t = cell(x_t, h_{t-1})        x̂_{t+1} = x_t + V h_t + d        loss   ½ ‖x̂_{t+1} - x_{t+1}‖² over all steps

It learns from every step of every sequence at once. A forecast of several steps feeds its own predictions back.

Source: Elman 1990; Graves 2013 (predicting the next step, and continuing from it). The cells are in
`rlplay.networks.lstm` and `rlplay.networks.gru`. The twin is a torch module (``backend="torch"``).

Shapes: N sequences (`rlplay.models.deep.sequences`) of D numbers a step.
In reinforcement learning: a model of the environment's dynamics; its state is a memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from rlplay.models.common import Floats
from rlplay.models.deep.sequences import SequenceModel, Sequences, r_squared
from rlplay.models.deep.training import SelfSupervised, loss_of, sizes_of
from rlplay.networks.layers import Linear


@dataclass(eq=False, repr=False)
class SequenceForecaster(TransformerMixin, SequenceModel, SelfSupervised, BaseEstimator):  # type: ignore[misc]
    """The next steps of sequences, predicted by a recurrent network.

    Args:
        hidden_size: units of the recurrent layer, or of several.
        cell: lstm or gru.
        step_size: numbers of a step, where X holds one flattened sequence a row.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

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

    hidden_size: Any = 64
    cell: str = "lstm"
    _most = 32

    def _layers(self) -> Any:
        return [([*self._recurrent(self.step_size_), Linear(sizes_of(self.hidden_size)[-1], self.step_size_)], None)]

    def _learn(self, data: Sequences, whole: bool) -> Self:
        if data.lengths.min() < 2:
            raise ValueError(
                f"{type(self).__name__} needs sequences of 2 steps or more, and one has 1 step (n_features=1)"
            )
        (network,) = self._begin(whole)

        def step(batch: NDArray[np.int64], learn: bool) -> float:
            x, lengths, real = data.part(batch)
            prediction = x[:-1] + network.forward(x[:-1], lengths=lengths - 1)
            value, gradient = loss_of("squared_error", prediction, x[1:], real[1:])
            if learn:
                network.backward(gradient, to_input=False)
                self._descend(network)
            return value

        self._run(len(data.lengths), step, whole)
        return self

    def predict(self, X: Any) -> Any:
        """The prediction after each step, in the form in which the sequences are given."""
        given = self._read(X, False)
        return given.like(self._next(given))

    def _next(self, given: Sequences) -> Floats:
        network = self.networks()[0]
        out = np.zeros(given.values.shape)
        for begin in range(0, len(out), int(self.predict_batch_size)):
            part = slice(begin, begin + int(self.predict_batch_size))
            x, lengths, _ = given.part(part)
            out[part, : len(x)] = (x + network.forward(x, lengths=lengths)).transpose(1, 0, 2)
        return out

    def forecast(self, X: Any, n_steps: int = 1) -> Any:
        """The steps that follow each sequence, float64 [N, n_steps, D], or [N, n_steps * D] for flattened sequences."""
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
        return ahead.reshape(len(ahead), -1) if given.form == "flat" else ahead

    def transform(self, X: Any) -> Floats:
        """The state after the last step of each sequence, float64 [N, S]: a memory of it."""
        given = self._read(X, False)
        network = self.networks()[0]

        def states(part: Any) -> Floats:
            x, lengths, _ = given.part(part)
            network.forward(x, lengths=lengths)
            return network.state()

        return self._in_parts(states, np.arange(len(given.lengths)))

    def score(self, X: Any, y: Any = None) -> float:
        """R² of the next steps: 1 for perfect, 0 for their mean."""
        given = self._read(X, False)
        real = (np.arange(given.values.shape[1])[None] < given.lengths[:, None])[:, 1:]
        predictions, truth = self._next(given)[:, :-1][real], given.values[:, 1:][real]
        return r_squared(predictions, truth)
