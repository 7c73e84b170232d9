"""Running the code of a lesson, block after block, in one space of names."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlplay.course.lesson import Block, Lesson

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})+(?:\.\d+)?|(?<![\w.])-?\d+\.?\d*(?:e[-+]?\d+)?")


class Session:
    """The names that the blocks of a lesson share, and the folder in which they draw.

    Args:
        folder: where pictures go; made where it is absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "lesson"}

    def run(self, code: str, name: str = "lesson") -> None:
        """Run a block; what it prints goes to standard output.

        Raises:
            Exception: whatever the block raises.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.chdir(self.folder), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code, name, "exec"), self.names)

    def printed(self, code: str, name: str = "lesson") -> str:
        """Run a block; what it printed."""
        with contextlib.redirect_stdout(io.StringIO()) as said:
            self.run(code, name)
        return said.getvalue()


def pairs(lesson: Lesson) -> Iterator[tuple[Block, Block | None]]:
    """The blocks that run, each with its recorded output if it has one."""
    for k, block in enumerate(lesson.blocks):
        if block.runs:
            after = lesson.blocks[k + 1] if k + 1 < len(lesson.blocks) else None
            yield block, after if after is not None and after.language == "output" else None


def difference(printed: str, recorded: Block) -> str | None:
    r"""How what was printed differs from the record, in words; None where it does not.

    Words must be equal. Numbers may differ by one part in a hundred, or by anything where the record says ``varies``.

    Example:
        >>> difference("loss 0.251\n", Block("output", "", "loss 0.25\n"))
        >>> difference("loss 0.35\n", Block("output", "", "loss 0.25\n"))
        'printed 0.35, recorded 0.25'
    """
    said, known = _NUMBER.sub("#", printed).split(), _NUMBER.sub("#", recorded.text).split()
    if said != known:
        return f"printed {printed!r}, recorded {recorded.text!r}"
    if recorded.info == "varies":
        return None
    for a, b in zip(_NUMBER.findall(printed), _NUMBER.findall(recorded.text), strict=True):
        x, y = float(a.replace(",", "")), float(b.replace(",", ""))
        if abs(x - y) > 0.01 * max(abs(x), abs(y)) + 1e-4:
            return f"printed {a}, recorded {b}"
    return None
