"""An encoder and a decoder: they map a sequence to another one, of another length and with other numbers.

    encoder   h_t = cell(x_t, h_{t-1})                       its last state is the decoder's initial state
    decoder   g_k = cell([y_{k-1}, u_k], g_{k-1})            ŷ_k = y_{k-1} + V g_k + d,   g_0 = h_T
    loss      ½ ‖ŷ_k - y_k‖² over all steps

In training, y_{k-1} is the true previous step in a share ``teacher_forcing`` of the minibatches; in the others it is
the decoder's own prediction, as it is in `predict` (Bengio et al. 2015). u_k are inputs that are known beforehand, such
as an agent's actions. Where x and y have the same numbers a step, y_0 is the last x; otherwise it is 0, and
ŷ_k = V g_k + d.

Source: Sutskever, Vinyals & Le 2014; Cho et al. 2014. The twin is a torch module (``backend="torch"``).

Shapes: N sequences X (`rlplay.models.deep.sequences`); y [N, H, K], [N, H] for one number a step, or [N], or a list of
targets of unequal length, [H_n, K] or [H_n]; H is then the longest.
In reinforcement learning: the environment's response over many steps, given the actions.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_consistent_length

from rlplay.models.common import Floats, require
from rlplay.models.deep.sequences import SequenceModel, padded, parts_of, r_squared
from rlplay.models.deep.training import loss_of, sizes_of
from rlplay.networks.layers import Linear

Array = NDArray[Any]


@dataclass(eq=False, repr=False)
class EncoderDecoder(RegressorMixin, MultiOutputMixin, SequenceModel, BaseEstimator):  # type: ignore[misc]
    """Sequence to sequence by two recurrent networks.

    Args:
        hidden_size: units of the recurrent layer of each, or of several.
        cell: lstm or gru.
        teacher_forcing: share of the minibatches in which the decoder receives the true previous step.
        step_size: numbers of a step, where X holds one flattened sequence a row.

    The other arguments are those of `rlplay.models.deep.training.TrainingParameters`.

    Attributes:
        loss_curve_: mean loss of each epoch.
        target_shape_: (H, K), steps of a target and numbers of a step.

    Example:
        >>> time = np.arange(30) / 3
        >>> waves = np.stack([np.sin(time + shift) for shift in np.arange(0, 6, 0.05)])
        >>> past, future = waves[:, :20, None], waves[:, 20:, None]
        >>> model = EncoderDecoder(24, max_iter=60, random_state=0).fit(past, future)
        >>> model.predict(past).shape, bool(model.score(past, future) > 0.95)
        ((120, 10, 1), True)
    """

    hidden_size: Any = 64
    cell: str = "lstm"
    _: KW_ONLY
    teacher_forcing: float = 0.5
    _most = 64

    def _layers(self) -> Any:
        wide, k = sizes_of(self.hidden_size)[-1], self.target_shape_[1]
        decoder = [*self._recurrent(k + self.n_inputs_), Linear(wide, k)]
        return [(self._recurrent(self.step_size_), None), (decoder, None)]

    def _check(self) -> None:
        super()._check()
        require(self, teacher_forcing=(0 <= self.teacher_forcing <= 1, "a share between 0 and 1"))

    def fit(self, X: Any, y: Any, inputs: Any = None) -> Self:
        """Learn from sequences X and their targets, from new weights.

        Args:
            X: N sequences.
            y: the targets, [N, H, K], [N, H] or [N], or a list of targets of unequal length.
            inputs: known beforehand for each step of y, [N, H, A]; a list of [H_n, A] beside such a list.
        """
        given = self._read(X, True)
        target, ends, self.target_form_ = _targets(y)
        check_consistent_length(given.lengths, target)
        self.target_shape_ = (int(target.shape[1]), int(target.shape[2]))
        known = self._inputs(inputs, len(target), True)
        self.goes_on_ = bool(self.target_shape_[1] == self.step_size_)
        networks, rng = self._begin(True), check_random_state(self.random_state)

        def step(batch: Array, learn: bool) -> float:
            x, lengths, _ = given.part(batch)
            goal, beside = target[batch].transpose(1, 0, 2), known[batch].transpose(1, 0, 2)
            is_forced = rng.uniform() < self.teacher_forcing if learn else False
            first = self._first(x, lengths)
            if is_forced:
                before = np.concatenate([first[None], goal[:-1]])
                networks[0].forward(x, lengths=lengths)
            else:
                before = np.concatenate([first[None], self._predictions(networks, x, lengths, beside)[:-1]])
            decoder_inputs = np.ascontiguousarray(np.concatenate([before, beside], axis=2))
            change = networks[1].forward(decoder_inputs, state=networks[0].state())
            real = None if ends is None else (np.arange(len(goal))[:, None] < ends[batch]).astype(np.float32)
            value, gradient = loss_of("squared_error", change + (before if self.goes_on_ else 0), goal, real)
            if learn:
                networks[1].backward(gradient, to_input=False)
                nothing = np.zeros((len(x), len(lengths), sizes_of(self.hidden_size)[-1]), np.float32)
                networks[0].backward(nothing, state_grad=networks[1].state_gradient(), to_input=False)
                for network in networks:
                    self._descend(network)
            return value

        self._run(len(target), step)
        return self

    def _first(self, x: Array, lengths: Array) -> Array:
        """The decoder's input for the step before the first, [n, K]."""
        if self.goes_on_:
            return x[lengths - 1, np.arange(len(lengths))]
        return np.zeros((len(lengths), self.target_shape_[1]), np.float32)

    def _predictions(self, networks: Any, x: Array, lengths: Array, beside: Array) -> Array:
        """The decoder on its own predictions, [H, n, K]; leaves the encoder as its forward pass does."""
        encoder, decoder = networks
        encoder.forward(x, lengths=lengths)
        state, now, found = encoder.state(), self._first(x, lengths), []
        for inputs in beside:
            both = np.concatenate([now, inputs], axis=1)[None]
            now = decoder.forward(both, state=state)[0] + (now if self.goes_on_ else 0)
            state = decoder.state()
            found.append(now)
        return np.stack(found)

    def _inputs(self, inputs: Any, n: int, first: bool) -> Array:
        """The known inputs, [N, H, A]; A = 0 where there are none."""
        steps = self.target_shape_[0]
        parts = parts_of(inputs) if isinstance(inputs, list | tuple) else None
        if inputs is None:
            known = np.zeros((n, steps, 0), np.float32)
        elif parts is not None:
            found = padded(parts, "list").values
            known = np.pad(found, ((0, 0), (0, max(steps - found.shape[1], 0)), (0, 0)))
        else:
            known = np.asarray(inputs, np.float32)
        if known.ndim != 3 or known.shape[:2] != (n, steps):
            raise ValueError(f"inputs have shape [{n}, {steps}, A], and {list(known.shape)} was given")
        if first:
            self.n_inputs_ = known.shape[2]
        elif known.shape[2] != self.n_inputs_:
            raise ValueError(f"inputs have {self.n_inputs_} numbers a step, and {known.shape[2]} were given")
        return known

    def predict(self, X: Any, inputs: Any = None) -> Floats:
        """The prediction for each sequence, in the form in which y was given: float64 [N, H, K], [N, H] or [N].

        After targets of unequal length, H steps are predicted for each.
        """
        given = self._read(X, False)
        networks, known = self.networks(), self._inputs(inputs, len(given.lengths), False)

        def predictions(part: Any) -> Floats:
            x, lengths, _ = given.part(part)
            return self._predictions(networks, x, lengths, known[part].transpose(1, 0, 2)).transpose(1, 0, 2)

        found = self._in_parts(predictions, np.arange(len(given.lengths)))
        if self.target_form_ == 3:
            return found
        return found[:, :, 0] if self.target_form_ == 2 else found[:, 0, 0]

    def score(self, X: Any, y: Any, inputs: Any = None) -> float:
        """R² over all steps and numbers."""
        predictions, (target, ends, form) = self.predict(X, inputs), _targets(y)
        truth = target[:, :, 0] if form == 2 else target[:, 0, 0] if form == 1 else target
        truth = truth.astype(np.float64) if ends is not None else np.asarray(y, np.float64)
        if ends is not None:
            real = np.arange(truth.shape[1]) < ends[:, None]
            predictions, truth = predictions[:, : truth.shape[1]][real], truth[real]
        return r_squared(predictions, truth)


def _targets(y: Any) -> tuple[NDArray[np.float32], NDArray[np.int64] | None, int]:
    """The targets [N, H, K], their lengths [N] where they are unequal, and the dimensions in which they were given."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    parts = parts_of(y) if isinstance(y, list | tuple) and np.ndim(y[0]) else None
    if parts is not None and len({len(one) for one in parts}) > 1:
        found = padded(parts, "list")
        return found.values, found.lengths, 1 + np.ndim(y[0])
    target = check_array(y, dtype=np.float32, ensure_2d=False, allow_nd=True, input_name="y")
    if target.ndim not in (1, 2, 3):
        raise ValueError(f"y has shape [N, H, K], [N, H] or [N], and {list(target.shape)} was given")
    return target.reshape(len(target), target.shape[1] if target.ndim > 1 else 1, -1), None, target.ndim
