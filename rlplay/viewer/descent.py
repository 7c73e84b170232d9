"""Playgrounds of learning itself: gradient descent on a loss, and backpropagation with its numbers on the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pygame
from numpy.typing import NDArray

from rlplay.viewer import drawing

Floats = NDArray[np.float64]
_BLUE, _RED, _GREEN = (96, 150, 236), (236, 110, 96), (96, 196, 132)
_RATES = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.9, 1.02, 1.2)
_LABELS = ((0.22, 0.75, 0.5), (0.5, 0.22, 0.75), (0.8, 0.5, 0.22))  # where numbers stand on the edges, apart
_FAR = 1e6  # beyond it a weight has diverged


class Descent:
    """What both share: a step that is shown, a learning rate that is changed while it runs, and the keys.

    Attributes:
        step: which one is shown, from 0.
        count: how many there are.
        rate: the learning rate, one of a few.
    """

    model_id = ""
    count = 0
    start_rate = 0.1

    def __init__(self, seed: int = 0) -> None:
        self.seed, self.step, self.rate = seed, 0, self.start_rate
        self.renew()

    def renew(self) -> None:
        """Begin anew with the seed."""
        raise NotImplementedError

    def go(self, step: int) -> None:
        """Compute what a later step needs; called before the step is shown."""
        raise NotImplementedError

    def draw(self, surface: pygame.Surface) -> None:
        """Show the step."""
        raise NotImplementedError

    def advance(self, by: int) -> None:
        """Go on, or back, by so many steps; it stops at both ends."""
        self.step = min(max(self.step + by, 0), self.count - 1)
        self.go(self.step)

    def key(self, key: int) -> bool:
        """What a key does; False where it ends the playground."""
        if key == pygame.K_q:
            return False
        if key in (pygame.K_RIGHT, pygame.K_LEFT):
            self.advance(1 if key == pygame.K_RIGHT else -1)
        elif key in (pygame.K_UP, pygame.K_DOWN):
            place = _RATES.index(self.rate) + (1 if key == pygame.K_UP else -1)
            self.rate = _RATES[min(max(place, 0), len(_RATES) - 1)]
            self.forget_later()
        elif key == pygame.K_r:
            self.seed, self.step = self.seed + 1, 0
            self.renew()
        return True

    def forget_later(self) -> None:
        """Drop the steps after the one that is shown: they were made with another learning rate."""
        raise NotImplementedError

    def foot(self, surface: pygame.Surface) -> int:
        """Draw the keys at the bottom; the height that is left."""
        width, height = surface.get_size()
        top = height - drawing.height_of(18) - drawing.px(6)
        words = (
            f"learning rate {self.rate:g}   up, down change it   space runs   arrows step   r another start   q quits"
        )
        drawing.text(surface, words, (drawing.px(10), top), 18, drawing.DIM, width=width - drawing.px(20))
        return top


class GradientDescent(Descent):
    """Steps against the gradient: down a curve with one weight, and down a valley with two.

    The losses are (w - 1)² and ½ a² + 5 b². A learning rate above 1 (curve) or 0.2 (valley) diverges.

    Example:
        >>> ground = GradientDescent()
        >>> ground.advance(30)
        >>> ground.diverged(), abs(ground.curve[-1] - 1) < 0.01
        (False, True)
    """

    model_id = "gradient-descent"
    count = 61

    def renew(self) -> None:
        """Draw new starts with the seed."""
        start = np.random.default_rng(self.seed).uniform([-2.5, -2.8, 0.7], [-1.5, -2.0, 1.2])
        self.curve: list[float] = [float(start[0])]
        self.valley: list[Floats] = [start[1:]]

    def go(self, step: int) -> None:
        """Compute the steps up to one."""
        while len(self.curve) <= step:
            w, place = self.curve[-1], self.valley[-1]
            self.curve.append(float(np.clip(w - self.rate * 2 * (w - 1), -_FAR, _FAR)))
            self.valley.append(np.clip(place - self.rate * np.array([1.0, 10.0]) * place, -_FAR, _FAR))

    def forget_later(self) -> None:
        """Drop what comes after the step that is shown."""
        del self.curve[self.step + 1 :], self.valley[self.step + 1 :]

    def diverged(self) -> bool:
        """Whether a weight left the picture by moving away."""
        return abs(self.curve[self.step]) > 5 or float(np.abs(self.valley[self.step]).max()) > 4

    def twin(self, k: int) -> tuple[float, Floats]:
        """What torch's SGD makes of the weights before step `k`: that of the curve, and those of the valley [2]."""
        import torch

        w = torch.tensor(self.curve[k - 1], dtype=torch.float64, requires_grad=True)
        place = torch.tensor(self.valley[k - 1], requires_grad=True)
        optimiser = torch.optim.SGD([w, place], lr=self.rate)
        ((w - 1) ** 2 + 0.5 * place[0] ** 2 + 5 * place[1] ** 2).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(w.detach()), place.detach().numpy()

    def draw(self, surface: pygame.Surface) -> None:
        """The curve with the step drawn along its tangent, and the valley from above."""
        surface.fill(drawing.BACKGROUND)
        gap, bottom = drawing.px(10), self.foot(surface)
        each = (surface.get_width() - 3 * gap) // 2
        w = self.curve[self.step]
        slope = 2 * (w - 1)
        title = f"loss (w - 1)^2, step {self.step}"
        note = f"w = {w:.4g}, slope {slope:.4g}, loss {(w - 1) ** 2:.4g}{self._said(abs(w) > 5)}"
        self._curve(surface, drawing.panel(surface, (gap, gap, each, bottom - 2 * gap), title, note), w, slope)
        after, there = self.twin(self.step + 1)
        mine, step = w - self.rate * slope, self.valley[self.step] * (1 - self.rate * np.array([1.0, 10.0]))
        apart = max(abs(after - mine), float(np.abs(there - step).max()))
        words = f"next step: ours w = {mine:.4g}, torch.optim.SGD {after:.4g}{_apart(apart)}"
        drawing.text(surface, words, (2 * gap, bottom - gap - drawing.px(22)), 18, _GREEN)
        a, b = self.valley[self.step]
        note = f"a = {a:.4g}, b = {b:.4g}, loss {0.5 * a * a + 5 * b * b:.4g}{self._said(max(abs(a), abs(b)) > 4)}"
        rect = (2 * gap + each, gap, each, bottom - 2 * gap)
        self._valley(surface, drawing.panel(surface, rect, "loss a^2/2 + 5 b^2, from above", note))

    @staticmethod
    def _said(away: bool) -> str:
        return ": diverges" if away else ""

    def _curve(self, surface: pygame.Surface, box: pygame.Rect, w: float, slope: float) -> None:
        def at(x: float, y: float) -> tuple[int, int]:
            x, y = min(max(x, -50.0), 50.0), min(max(y, -50.0), 500.0)
            return round(box.x + (x + 4) / 10 * box.width), round(box.bottom - (y + 2) / 26 * box.height)

        surface.set_clip(box)
        grid = np.linspace(-4, 6, 160)
        pygame.draw.lines(surface, drawing.DIM, False, [at(x, (x - 1) ** 2) for x in grid], 2)
        way = self.curve[: self.step + 1]
        if len(way) > 1:
            pygame.draw.lines(surface, _BLUE, False, [at(x, (x - 1) ** 2) for x in way], 2)
        for x in way:
            pygame.draw.circle(surface, _BLUE, at(x, (x - 1) ** 2), drawing.px(4))
        loss, after = (w - 1) ** 2, w - self.rate * slope
        pygame.draw.line(surface, _GREEN, at(w - 1.2, loss - 1.2 * slope), at(w + 1.2, loss + 1.2 * slope), 2)
        pygame.draw.line(surface, _RED, at(w, loss), at(after, loss), 3)  # the step: the rate times the slope
        pygame.draw.circle(surface, _RED, at(after, loss), drawing.px(5))
        surface.set_clip(None)

    def _valley(self, surface: pygame.Surface, box: pygame.Rect) -> None:
        def at(place: Any) -> tuple[int, int]:
            a, b = np.clip(place, -50, 50)
            return round(box.centerx + a / 3.5 * box.width / 2), round(box.centery - b / 2 * box.height / 2)

        surface.set_clip(box)
        turn = np.linspace(0, 2 * math.pi, 80)
        for loss in (0.05, 0.3, 1.0, 2.5, 5.0, 9.0, 15.0):
            ring = np.column_stack([math.sqrt(2 * loss) * np.cos(turn), math.sqrt(loss / 5) * np.sin(turn)])
            pygame.draw.lines(surface, drawing.DIM, True, [at(place) for place in ring], 1)
        way = [at(place) for place in self.valley[: self.step + 1]]
        if len(way) > 1:
            pygame.draw.lines(surface, _BLUE, False, way, 2)
        for place in way:
            pygame.draw.circle(surface, _BLUE, place, drawing.px(4))
        here = self.valley[self.step]
        pygame.draw.line(surface, _RED, way[-1], at(here - self.rate * np.array([1.0, 10.0]) * here), 3)
        surface.set_clip(None)


class Backpropagation(Descent):
    """A network of two inputs, three tanh units and one output learns XOR, a point at a time, its numbers on the edges.

    Each point takes four steps: forward, the derivative at the output, the derivatives of all weights, the update. The
    loss is ½ (y - t)².

    Example:
        >>> ground = Backpropagation()
        >>> ground.advance(2)
        >>> ground.phase
        'backward: all weights'
        >>> ground.gradient[0].shape
        (3, 3)
    """

    model_id = "backpropagation"
    count = 4 * 400
    phases = ("forward", "backward: the output", "backward: all weights", "update")
    points = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    targets = np.array([-0.8, 0.8, 0.8, -0.8])

    def renew(self) -> None:
        """Draw new starts with the seed."""
        rng = np.random.default_rng(self.seed)
        # Rows of the first matrix: two inputs and the bias; of the second: three units and the bias.
        self.weights: list[tuple[Floats, Floats]] = [(rng.normal(0, 0.7, (3, 3)), rng.normal(0, 0.7, 4))]
        self.go(0)

    @property
    def phase(self) -> str:
        """What the step that is shown does."""
        return self.phases[self.step % 4]

    def go(self, step: int) -> None:
        """Compute the steps up to one."""
        while len(self.weights) <= step // 4:
            k = len(self.weights) - 1
            first, second = self.weights[-1]
            of_first, of_second = self._backward(k)
            self.weights.append((first - self.rate * of_first, second - self.rate * of_second))
        self.gradient = self._backward(step // 4)

    def forget_later(self) -> None:
        """Drop what comes after the step that is shown."""
        del self.weights[self.step // 4 + 1 :]

    def _backward(self, k: int) -> tuple[Floats, Floats]:
        """The gradient of both matrices at update `k`; what was computed on the way is kept to be shown."""
        first, second = self.weights[k]
        x, self.target = np.append(self.points[k % 4], 1.0), float(self.targets[k % 4])
        self.inputs, self.units = x, np.tanh(x @ first)
        self.output = float(np.append(self.units, 1.0) @ second)
        self.of_output = self.output - self.target
        self.of_units = second[:3] * self.of_output
        self.of_sums = self.of_units * (1 - self.units**2)
        return np.outer(x, self.of_sums), np.append(self.units, 1.0) * self.of_output

    def twin(self) -> tuple[Floats, Floats]:
        """What torch's autograd says of the gradient of both matrices for the point that is shown."""
        import torch

        first, second = (torch.tensor(one, requires_grad=True) for one in self.weights[self.step // 4])
        units = torch.tanh(torch.tensor(self.inputs) @ first)
        y = units @ second[:3] + second[3]
        (0.5 * (y - self.target) ** 2).backward()  # type: ignore[no-untyped-call]
        assert first.grad is not None
        assert second.grad is not None
        return first.grad.numpy(), second.grad.numpy()

    def loss(self) -> float:
        """The mean loss over the four points."""
        first, second = self.weights[self.step // 4]
        x = np.column_stack([self.points, np.ones(4)])
        y = np.column_stack([np.tanh(x @ first), np.ones(4)]) @ second
        return float(0.5 * np.mean((y - self.targets) ** 2))

    def draw(self, surface: pygame.Surface) -> None:
        """The network: values in the nodes, weights on the edges, derivatives below them."""
        surface.fill(drawing.BACKGROUND)
        gap, bottom = drawing.px(10), self.foot(surface)
        title = f"{self.phase}   point {self.step // 4 % 4 + 1} of 4, update {self.step // 4}"
        note = f"mean loss {self.loss():.4f}   d: dL/dw of an edge"
        if self.step % 4 >= 2:
            both = zip(self.gradient, self.twin(), strict=True)
            note += f"   torch's autograd{_apart(max(float(np.abs(one - other).max()) for one, other in both))}"
        box = drawing.panel(surface, (gap, gap, surface.get_width() - 2 * gap, bottom - 2 * gap), title, note)
        stage = self.step % 4
        columns = [box.x + box.width * share for share in (0.1, 0.52, 0.9)]
        left = [(columns[0], box.y + box.height * share) for share in (0.2, 0.5, 0.84)]
        middle = [(columns[1], box.y + box.height * share) for share in (0.14, 0.4, 0.66)]
        below, right = (columns[1], box.y + box.height * 0.9), (columns[2], box.y + box.height * 0.45)
        first, second = self.weights[self.step // 4]
        of_first, of_second = self.gradient
        edges = [(begin, end, first[i, j]) for i, begin in enumerate(left) for j, end in enumerate(middle)]
        edges += [(begin, right, second[j]) for j, begin in enumerate([*middle, below])]
        for begin, end, weight in edges:  # all lines before all numbers, so that no line crosses a number
            thick = max(1, min(drawing.px(6), round(abs(weight) * drawing.px(3))))
            pygame.draw.line(surface, _BLUE if weight > 0 else _RED, begin, end, thick)
        for i, begin in enumerate(left):
            for j, end in enumerate(middle):
                self._number(
                    surface, begin, end, _LABELS[i][j], first[i, j], of_first[i, j] if stage >= 2 else None, stage
                )
        for j, begin in enumerate([*middle, below]):
            self._number(surface, begin, right, 0.5, second[j], of_second[j] if stage >= 1 else None, stage)
        for place, name, value in zip(left, ("x1", "x2", "bias"), self.inputs, strict=True):
            self._node(surface, place, f"{name} {value:g}")
        for j, place in enumerate(middle):
            under = f"dL/dh {self.of_units[j]:.3f}" if stage >= 2 else ""
            self._node(surface, place, f"h{j + 1} {self.units[j]:.3f}", under)
        self._node(surface, below, "bias 1")
        under = f"dL/dy {self.of_output:.3f}" if stage >= 1 else ""
        self._node(surface, right, f"y {self.output:.3f}", under)
        words = f"target {self.target:g}   loss {0.5 * self.of_output**2:.4f}"
        drawing.text(surface, words, (right[0], box.y + box.height * 0.7), 20, drawing.TEXT, "center")

    def _number(
        self, surface: pygame.Surface, begin: tuple[float, float], end: tuple[float, float], share: float,
        weight: float,
        slope: float | None, stage: int,
    ) -> None:  # fmt: skip
        place = tuple(a + share * (b - a) for a, b in zip(begin, end, strict=True))
        words = f"{weight:.3f}"
        if slope is not None:
            after = f"-> {weight - self.rate * slope:.3f}" if stage == 3 else f" d {slope:+.3f}"
            words = f"{weight:.3f} {after}"
        size = drawing.font(18).size(words)
        ground = pygame.Rect(0, 0, size[0] + drawing.px(8), size[1] + drawing.px(4))
        ground.center = round(place[0]), round(place[1])
        pygame.draw.rect(surface, drawing.BACKGROUND, ground, border_radius=drawing.px(3))
        drawing.text(surface, words, ground.center, 18, _GREEN if slope is not None else drawing.TEXT, "center")

    @staticmethod
    def _node(surface: pygame.Surface, place: tuple[float, float], words: str, under: str = "") -> None:
        rect = pygame.Rect(0, 0, drawing.px(92), drawing.px(30))
        rect.center = round(place[0]), round(place[1])
        pygame.draw.rect(surface, drawing.BACKGROUND, rect, border_radius=drawing.px(14))
        pygame.draw.rect(surface, drawing.TEXT, rect, 2, border_radius=drawing.px(14))
        drawing.text(surface, words, rect.center, 20, drawing.TEXT, "center")
        if under:
            size = drawing.font(18).size(under)
            ground = pygame.Rect(rect.centerx - size[0] // 2, rect.bottom + drawing.px(3), *size)
            pygame.draw.rect(surface, drawing.PANEL, ground.inflate(drawing.px(6), 0))
            drawing.text(surface, under, ground.midtop, 18, _GREEN, "midtop")


def _apart(size: float) -> str:
    return ": the same" if size == 0 else f": apart by {size:.0e}"


DESCENTS: dict[str, type[GradientDescent] | type[Backpropagation]] = {
    cls.model_id: cls for cls in (GradientDescent, Backpropagation)
}
