"""A playground for models of two numbers: points, what a model makes of them step by step, and its twin beside it.

A step is one more of what the model does in turn: a level of a tree, a round of k-means, an epoch of a network. The
model is fitted anew for each step with the same seed: step n is what a fit of n steps gives, and one can go back.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.errors import UsageError
from rlplay.models.names import model_class
from rlplay.models.references import REFERENCES, twin
from rlplay.viewer import drawing
from rlplay.viewer.descent import Descent
from rlplay.viewer.display import open_window
from rlplay.viewer.playground_data import DATA, points_of
from rlplay.viewer.recording import Recorder

# What one step is for each model: the parameter that counts it, and its values.
_TO_12, _TO_30 = tuple(range(1, 13)), tuple(range(1, 31))
_ROUNDS, _EPOCHS = (1, 2, 3, 4, 6, 8, 12, 20, 40, 80), (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_STRENGTHS = tuple(10.0**k for k in range(-3, 4))
STEPS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "decision-tree-classifier": ("max_depth", _TO_12),
    "random-forest-classifier": ("n_estimators", _TO_30),
    "extra-trees-classifier": ("n_estimators", _TO_30),
    "gradient-boosting-classifier": ("max_iter", _TO_30),
    "k-neighbors-classifier": ("n_neighbors", _TO_30),
    "mlp-classifier": ("max_iter", _EPOCHS),
    "logistic-regression": ("C", _STRENGTHS),
    "svc": ("C", _STRENGTHS),
    "k-means": ("max_iter", _ROUNDS),
    "gaussian-mixture": ("max_iter", _ROUNDS),
}
_GIVEN: dict[str, dict[str, Any]] = {
    "mlp-classifier": {"hidden_layer_sizes": (16, 16), "learning_rate_init": 0.01, "tol": 0.0, "batch_size": 50},
    "gradient-boosting-classifier": {"min_samples_leaf": 5, "learning_rate": 0.3},
    "k-means": {"n_clusters": 4, "init": "random", "n_init": 1},
    "gaussian-mixture": {"n_components": 4},
}
COLOURS = ((96, 150, 236), (236, 140, 84), (96, 196, 132), (190, 130, 226), (226, 196, 90), (120, 200, 210))
_GRID = 60  # places of the surface on each side


class Playground:
    """A model and its twin, fitted to the same points up to one step.

    Args:
        model_id: one of `STEPS`.
        data: one of `DATA`, a CSV file, or an environment, as `points_of` takes them.
        seed: of the points and of both models.

    Attributes:
        step: which one is shown, from 0.
        models: ours and the twin, fitted.

    Raises:
        UsageError: a model that has no playground.

    Example:
        >>> ground = Playground("decision-tree-classifier", "xor")
        >>> ground.advance(4)
        >>> ground.counter(), ground.scores()[0] > 0.9
        ('max_depth = 5', True)
    """

    steps: ClassVar[dict[str, tuple[str, tuple[Any, ...]]]] = STEPS
    drawn: ClassVar[tuple[str, ...]] = DATA  # what the key d goes through

    def __init__(self, model_id: str, data: str = "moons", seed: int = 0) -> None:
        if model_id not in self.steps:
            raise UsageError(f"{model_id} has no playground", f"These have: {', '.join(self.steps)}")
        self.model_id, self.data, self.seed, self.step, self.noise = model_id, data, seed, 0, 0.15
        self.models: list[Any] = []
        self.renew()

    def renew(self) -> None:
        """Draw the points and fit."""
        self.x, self.y = points_of(self.data, self.seed, self.noise)
        edge = np.abs(self.x).max() * 1.08
        side = np.linspace(-edge, edge, _GRID)
        self.edge, self.places = edge, np.array([(a, b) for b in side[::-1] for a in side])
        self.fit()

    def fit(self) -> None:
        """Fit both for the step that is shown."""
        name, values = self.steps[self.model_id]
        given = {**_GIVEN.get(self.model_id, {}), name: values[self.step]}
        cls: Any = model_class(self.model_id)
        if "random_state" in cls().get_params():
            given["random_state"] = self.seed
        ours = cls(**given)
        self.models = [ours, twin(ours)] if self.model_id in REFERENCES else [ours]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few rounds are what one wants to see
            for model in self.models:
                model.fit(self.x, self.y)

    def advance(self, by: int) -> None:
        """Go on, or back, by so many steps; it stops at both ends."""
        step = min(max(self.step + by, 0), self.count - 1)
        if step != self.step:
            self.step = step
            self.fit()

    def change(self, **given: Any) -> None:
        """Take other data, another seed or noise."""
        for name, value in given.items():
            setattr(self, name, value)
        self.renew()

    @property
    def count(self) -> int:
        """How many steps there are."""
        return len(self.steps[self.model_id][1])

    @property
    def clusters(self) -> bool:
        """Whether the model is not told the classes."""
        return self.model_id in ("k-means", "gaussian-mixture")

    def counter(self) -> str:
        """The step in words."""
        name, values = self.steps[self.model_id]
        return f"{name} = {values[self.step]:g}"

    def scores(self) -> list[float]:
        """The share of points that each has right; of clusters their inertia or likelihood."""
        return [float(model.score(self.x) if self.clusters else model.score(self.x, self.y)) for model in self.models]

    def surface(self, model: Any) -> NDArray[np.uint8]:
        """The colour of each place, uint8 [G, G, 3]: the class, the paler the less sure."""
        if hasattr(model, "predict_proba"):
            shares = np.asarray(model.predict_proba(self.places))
        else:
            labels = np.asarray(model.predict(self.places), dtype=int)
            shares = np.eye(max(int(labels.max()) + 1, 2))[labels]
        palette = np.array([COLOURS[k % len(COLOURS)] for k in range(shares.shape[1])], dtype=float)
        ground = np.array(drawing.PANEL, dtype=float)
        sure = (shares.max(axis=1, keepdims=True) - 1 / shares.shape[1]) / max(1 - 1 / shares.shape[1], 1e-9)
        color = ground + (shares @ palette - ground) * (0.15 + 0.4 * sure)
        return color.reshape(_GRID, _GRID, 3).astype(np.uint8)

    def said(self, k: int, model: Any, score: float) -> tuple[str, str]:
        """Title and note of a panel."""
        shown = f"score {score:.4g}" if self.clusters else f"right {score:.1%}"
        whose = "the library's" if k else "ours"
        return f"{whose}: {type(model).__name__}", f"{self.counter()}, {shown}"

    def draw(self, surface: pygame.Surface) -> None:
        """Both models side by side, and the keys."""
        surface.fill(drawing.BACKGROUND)
        width, height = surface.get_size()
        foot, gap = drawing.height_of(18) + drawing.px(10), drawing.px(10)
        each = (width - gap * (len(self.models) + 1)) // len(self.models)
        for k, (model, score) in enumerate(zip(self.models, self.scores(), strict=True)):
            rect = (gap + k * (each + gap), gap, each, height - gap - foot)
            self._draw_model(surface, drawing.panel(surface, rect, *self.said(k, model, score)), model)
        keys = "space runs   arrows step   d data   n noise   r other points   q quits"
        place = (gap, height - foot + drawing.px(4))
        drawing.text(surface, f"{self.model_id} on {self.data}   {keys}", place, 18, drawing.DIM, width=width - 2 * gap)

    def _draw_model(self, surface: pygame.Surface, box: pygame.Rect, model: Any) -> None:
        place = drawing.fit((1, 1), box)
        pixels = np.ascontiguousarray(self.surface(model).transpose(1, 0, 2))
        image = pygame.transform.smoothscale(pygame.surfarray.make_surface(pixels), place.size)
        surface.blit(image, place)

        def at(point: Any) -> tuple[int, int]:
            share = (np.asarray(point, dtype=float) / self.edge + 1) / 2
            return round(place.x + share[0] * place.width), round(place.bottom - share[1] * place.height)

        for point, label in zip(self.x, self.y, strict=True):
            color = drawing.DIM if self.clusters else COLOURS[int(label) % len(COLOURS)]
            pygame.draw.circle(surface, color, at(point), drawing.px(3))
            pygame.draw.circle(surface, drawing.BACKGROUND, at(point), drawing.px(3), 1)
        for centre in getattr(model, "cluster_centers_", getattr(model, "means_", ())):
            pygame.draw.circle(surface, drawing.TEXT, at(centre), drawing.px(7), drawing.px(2))

    def key(self, key: int) -> bool:
        """What a key does; False where it ends the playground."""
        if key == pygame.K_q:
            return False
        if key in (pygame.K_RIGHT, pygame.K_LEFT):
            self.advance(1 if key == pygame.K_RIGHT else -1)
        elif key == pygame.K_d:
            self.change(
                data=self.drawn[(self.drawn.index(self.data) + 1) % len(self.drawn) if self.data in self.drawn else 0]
            )
        elif key == pygame.K_n:
            self.change(noise=0.05 if self.noise > 0.3 else self.noise + 0.15)
        elif key == pygame.K_r:
            self.change(seed=self.seed + 1)
        return True


_TOLD = 60  # frames for which it is said that Escape closes nothing


def play(
    ground: Playground | Descent, size: tuple[int, int], output: Path | None = None, *, headless: bool = False,
    fps: float = 2.0, max_steps: int | None = None,
) -> Path | None:  # fmt: skip
    """Show a playground until it is closed, or without a window all its steps; returns the file that was recorded.

    Raises:
        DisplayError: there is no display.
    """
    recorder = None if output is None else Recorder(output, fps)
    pygame.font.init()
    if headless:
        surface = pygame.Surface(size)
        for _ in range(min(max_steps or 1000, ground.count)):
            ground.draw(surface)
            if recorder is not None:
                recorder.add(surface)
            ground.advance(1)
        return None if recorder is None else recorder.finish()
    surface, clock = open_window(size, "rlplay models"), pygame.time.Clock()
    running, since, shown, going, told = False, 0.0, 0, True, -_TOLD
    try:
        while going and (max_steps is None or shown < max_steps):
            for event in pygame.event.get():
                if event.type == pygame.QUIT:
                    going = False
                elif event.type == pygame.KEYDOWN and event.key == pygame.K_SPACE:
                    running = not running
                elif event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE:
                    told = shown
                elif event.type == pygame.KEYDOWN:
                    going = going and ground.key(event.key)
            since += clock.tick(30) / 1000
            if running and since >= 1 / fps:
                since, before = 0.0, ground.step
                ground.advance(1)
                running = ground.step != before
            ground.draw(surface)
            if shown < told + _TOLD:
                place = (surface.get_width() / 2, surface.get_height() / 2)
                drawing.text(surface, "nothing is open: q quits", place, 24, drawing.WARM, "center")
            pygame.display.flip()
            shown += 1
            if recorder is not None and not recorder.full:
                recorder.add(surface)
    finally:
        pygame.display.quit()
    return None if recorder is None else recorder.finish()
