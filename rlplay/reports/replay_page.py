"""An episode as one page for a browser: frames, values, probabilities, rewards, a scrubber, bookmarks.

The page loads nothing from elsewhere: its Content-Security-Policy allows the one script and the one style that are in
it, by their hashes. What comes from users (ids, action names, commands) is text, never markup.

Frames are indices into one palette, each the difference to the one before (mod 256), all of them one zlib stream.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
import zlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import UsageError
from rlplay.storage.files import require_writable, write_atomically

MOST_BYTES = 1_000_000  # of a page; pictures are made smaller until it fits
_WIDTHS = (480, 400, 320, 240, 180, 128, 96, 64)  # pixels of a picture, the largest that fits is taken
_MOST_PIXELS = 120_000_000  # of all frames together, which a browser keeps in memory
_COLOURS = 128
_SURPRISES = 5  # bookmarks at the steps with the largest advantages


@dataclass
class Moment:
    """A step of an episode, before its action.

    Attributes:
        scores: of each action, or the mean of each number of a continuous one; None without an agent, NaN or infinite
            where an action may not be taken.
        shares: probability of each action, None where the scores are the probabilities or there are none.
        taken: number of the action that was taken, None at the end and for continuous ones.
        reward: what followed, NaN at the end.
        value: of the state, NaN where the agent has none.
        words: the step in words.
    """

    scores: list[float] | None = None
    shares: list[float] | None = None
    taken: int | None = None
    reward: float = math.nan
    value: float = math.nan
    words: str = ""


@dataclass
class EpisodePage:
    """What is on a page.

    Attributes:
        title: who plays in what.
        facts: seed, steps trained and so on, in a line.
        command: what made the page, as one types it.
        fps: steps a second at speed 1.
        names: of the actions, or of the numbers of a continuous one.
        title_of_actions: what the scores are.
        percent: whether the scores are probabilities.
        ranks: whether the greatest score is the best action.
        gamma: discount of the returns that are drawn.
        frames: the pictures [H, W, 3], uint8, one a moment.
        moments: the steps, the end of the episode last.
        bookmarks: step and words.
    """

    title: str
    facts: str
    command: str
    fps: float
    names: list[str] = field(default_factory=list)
    title_of_actions: str = "actions"
    percent: bool = False
    ranks: bool = True
    gamma: float = 1.0
    frames: list[NDArray[np.uint8]] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list)
    bookmarks: list[tuple[int, str]] = field(default_factory=list)

    def add(self, frame: NDArray[np.uint8], moment: Moment) -> None:
        """Take a step."""
        self.frames.append(frame)
        self.moments.append(moment)


def write_page(page: EpisodePage, path: Path) -> Path:
    """Write a page, complete or not at all.

    Raises:
        UsageError: another ending than .html, a place that cannot be written, or no step at all.

    Example:
        >>> import tempfile
        >>> page = EpisodePage("q-learning in a maze", "seed 0", "rlplay export", 4.0)
        >>> for shade in (0, 128, 255):
        ...     page.add(np.full((20, 30, 3), shade, np.uint8), Moment(reward=1.0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     len(write_page(page, Path(folder) / "replay.html").read_bytes()) < 20_000
        True
    """
    check_page(path)
    if not page.moments:
        raise UsageError("there is no step to show")
    return write_atomically(path, render(page).encode(errors="backslashreplace"))


def check_page(path: Path) -> None:
    """Refuse a path that no page can be written to, before an episode is played for it."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"{path} is no page for a browser", "Name a file that ends in .html")
    require_writable(path, "-o")


def render(page: EpisodePage) -> str:
    """The page as text."""
    parts = {name: asset(name) for name in ("replay.html", "replay.css", "replay.js")}
    style, script = parts["replay.css"], parts["replay.js"]
    policy = (
        f"default-src 'none'; script-src '{sha256(script)}'; style-src '{sha256(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    said = _said(page)
    room = MOST_BYTES - len(script) - len(style) - len(parts["replay.html"]) - len(_json(said)) - 2000
    said |= _pictures(page.frames, room)
    values = {
        "policy": policy, "style": style, "script": script, "data": _json(said),
        **{name: html.escape(getattr(page, name)) for name in ("title", "facts", "command")},
    }  # fmt: skip
    pieces = parts["replay.html"].split("@")  # text, name, text, name, ..., text
    return "".join(values[piece] if i % 2 else piece for i, piece in enumerate(pieces))


def asset(name: str) -> str:
    """The text of a file that pages are made of.

    Example:
        >>> "color-scheme" in asset("replay.css")
        True
    """
    return (resources.files("rlplay.reports") / "page" / name).read_text(encoding="utf-8")


def sha256(text: str) -> str:
    """A text as a Content-Security-Policy names it.

    Example:
        >>> sha256("")
        'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _json(value: Any) -> str:
    """JSON that ends no script element, whatever it says."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _number(value: float | None) -> float | None:
    """A number in five digits; None for none."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")


def _said(page: EpisodePage) -> dict[str, Any]:
    """Everything but the pictures."""
    ahead, total, returns, totals = 0.0, 0.0, [], []
    for moment in reversed(page.moments):
        ahead = (0.0 if math.isnan(moment.reward) else moment.reward) + page.gamma * ahead
        returns.append(ahead)
    returns.reverse()
    for moment in page.moments:
        totals.append(total)
        total += 0.0 if math.isnan(moment.reward) else moment.reward
    valued = any(math.isfinite(moment.value) for moment in page.moments)
    scores = [s for moment in page.moments for s in moment.scores or [] if math.isfinite(s)]
    steps = []
    for moment, after, so_far in zip(page.moments, returns, totals, strict=True):
        steps.append(
            {
                "scores": None if moment.scores is None else [_number(s) for s in moment.scores],
                "shares": None if moment.shares is None else [_number(s) or 0.0 for s in moment.shares],
                "taken": moment.taken, "reward": _number(moment.reward), "value": _number(moment.value),
                "ahead": _number(after) if valued else None, "total": _number(so_far), "words": moment.words,
            }
        )  # fmt: skip
    return {
        "names": page.names, "title_of_actions": page.title_of_actions, "percent": page.percent, "ranks": page.ranks,
        "span": [_number(min([0.0, *scores])), 1.0 if page.percent else _number(max([0.0, *scores]))],
        "fps": page.fps, "steps": steps, "bookmarks": [*page.bookmarks, *_surprises(page)],
    }  # fmt: skip


def _surprises(page: EpisodePage) -> list[tuple[int, str]]:
    """The steps whose advantages r + gamma V(s') - V(s) are largest, in their order; the last one ends the episode."""
    found = []
    for i, (now, after) in enumerate(zip(page.moments, page.moments[1:], strict=False)):
        ahead = 0.0 if i + 2 == len(page.moments) and math.isnan(after.value) else after.value
        advantage = now.reward + page.gamma * ahead - now.value
        if math.isfinite(advantage):
            found.append((abs(advantage), i, advantage))
    largest = sorted(sorted(found, reverse=True)[:_SURPRISES], key=lambda one: one[1])
    return [(i, f"advantage {advantage:+.3g}") for size, i, advantage in largest if size > 1e-9]


def _pictures(frames: list[NDArray[np.uint8]], room: int) -> dict[str, Any]:
    """The frames as the page reads them, as large as the room allows, and at least as small as the smallest size."""
    height, width = frames[0].shape[:2]
    most = min(math.sqrt(_MOST_PIXELS / len(frames) * width / height), max(width, _WIDTHS[-1]))
    widths = [w for w in (width, *_WIDTHS) if w <= min(most, _WIDTHS[0])] or [_WIDTHS[-1]]
    widths = sorted(set(widths), reverse=True)
    found: dict[str, Any] = {}
    while widths:
        found = _packed(frames, widths[0])
        size = len(found["frames"]) + len(found["palette"]) * 4
        if size <= room:
            break
        smaller = [w for w in widths if size * (w / widths[0]) ** 2 < 1.1 * room]  # bytes go about as the area
        widths = [w for w in smaller or widths[-1:] if w < widths[0]]
    return found


def _packed(frames: list[NDArray[np.uint8]], width: int) -> dict[str, Any]:
    from PIL import Image

    height = max(round(frames[0].shape[0] * width / frames[0].shape[1]), 1)
    images = []
    for frame in frames:
        image = Image.fromarray(frame)
        images.append(image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BOX))
    # The colours of frames from all over the episode.
    chosen = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, 12).astype(int))]
    sheet = Image.new("RGB", (width, height * len(chosen)))
    for k, image in enumerate(chosen):
        sheet.paste(image, (0, k * height))
    palette = sheet.quantize(_COLOURS, dither=Image.Dither.NONE)
    colours = (palette.getpalette() or [])[: 3 * _COLOURS]
    packer, parts = zlib.compressobj(9), []
    before = np.zeros((height, width), np.uint8)
    for image in images:
        now = np.asarray(image.quantize(palette=palette, dither=Image.Dither.NONE), np.uint8)
        parts.append(packer.compress((now - before).tobytes()))  # mod 256
        before = now
    parts.append(packer.flush())
    text = base64.b64encode(b"".join(parts)).decode()
    return {"size": [width, height], "palette": colours, "frames": text}
