"""A playground of autoencoders: the codes of points of many numbers, epoch by epoch, and PCA's beside them."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import pygame

from rlplay.errors import UsageError
from rlplay.models.names import model_class
from rlplay.models.references import twin
from rlplay.models.unsupervised import PCA
from rlplay.viewer import drawing
from rlplay.viewer.playground import COLOURS, Playground
from rlplay.viewer.playground_data import DATA, roll, rollout

_EPOCHS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CODERS = dict.fromkeys(("autoencoder", "denoising-autoencoder", "vae"), ("max_iter", _EPOCHS))


class Codes(Playground):
    """An autoencoder squeezes points into two numbers, which are drawn: ours, itself over torch, and PCA.

    Args:
        model_id: one of `CODERS`.
        data: ``"roll"``, a sheet rolled up in three dimensions, or an environment, as `rollout` takes it.
        seed: of the points and of the models.

    Attributes:
        step: which one is shown, from 0.
        models: the models, fitted.

    Raises:
        UsageError: points of two numbers, which leave nothing to squeeze.

    Example:
        >>> sorted(Codes.steps)
        ['autoencoder', 'denoising-autoencoder', 'vae']
    """

    steps = CODERS
    drawn: ClassVar[tuple[str, ...]] = ("roll", "CartPole-v1", "Acrobot-v1")

    def __init__(self, model_id: str, data: str = "roll", seed: int = 0) -> None:
        super().__init__(model_id, data, seed)

    def renew(self) -> None:
        """Draw or play the points, and fit."""
        if self.data in DATA or self.data.endswith(".csv"):
            raise UsageError(
                f"{self.data} has two numbers a point, and a code has two: nothing is squeezed",
                "Take roll, or an environment such as CartPole-v1",
            )
        self.x, self.y = roll(self.seed, self.noise) if self.data == "roll" else rollout(self.data, self.seed)[:2]
        if self.x.shape[1] < 3:
            raise UsageError(f"{self.data} has two numbers a point, and a code has two", "Take three or more")
        self.fit()

    def fit(self) -> None:
        """Fit all for the step that is shown."""
        cls: Any = model_class(self.model_id)
        name, values = self.steps[self.model_id]
        ours = cls(
            n_components=2, hidden_layer_sizes=(32,), learning_rate_init=0.01, batch_size=60, tol=0.0,
            random_state=self.seed, **{name: values[self.step]},
        )  # fmt: skip
        self.models = [ours, twin(ours), PCA(2)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few epochs are what one wants to see
            for model in self.models:
                model.fit(self.x)

    def scores(self) -> list[float]:
        """The mean squared error of each reconstruction, a number."""
        again = [model.inverse_transform(model.transform(self.x)) for model in self.models]
        return [float(np.mean((np.asarray(one) - self.x) ** 2)) for one in again]

    def said(self, k: int, model: Any, score: float) -> tuple[str, str]:
        """Title and note of a panel."""
        if isinstance(model, PCA):
            return "PCA: two axes", f"error {score:.3g}"
        where = "over torch" if getattr(model, "backend", "numpy") == "torch" else "ours"
        return f"{where}: {type(model).__name__}", f"{self.counter()}, error {score:.3g}"

    def _draw_model(self, surface: pygame.Surface, box: pygame.Rect, model: Any) -> None:
        place = drawing.fit((1, 1), box)
        codes = np.asarray(model.transform(self.x), dtype=float)
        low, high = codes.min(axis=0), codes.max(axis=0)
        share = 0.04 + 0.92 * (codes - low) / np.maximum(high - low, 1e-9)
        pygame.draw.rect(surface, drawing.BACKGROUND, place)
        for (a, b), label in zip(share, self.y, strict=True):
            at = round(place.x + a * place.width), round(place.bottom - b * place.height)
            pygame.draw.circle(surface, COLOURS[int(label) % len(COLOURS)], at, drawing.px(4))
