"""Lessons as data: Markdown files with a head, blocks of code that run in order, and exercises.

The head says the part of the path and the minutes; the paragraph **You need** links to what comes before. In the text:

* ```` ```python ```` runs; all such blocks of a lesson share their names, as the cells of a notebook do,
* ```` ```output ```` after it is what it printed, recorded by ``python docs/run_lessons.py --write`` and compared in
  the tests: the words exactly, the numbers nearly; ``output varies`` compares the words only,
* ```` ```py FILE ```` quotes lines of a file of ours, compared in the tests,
* below ``## Exercises`` each ``###`` heading is an exercise. ```` ```python predict ```` computes ``answer``, which the
  reader says before it runs; ```` ```python fill ```` is a function with a gap ``___`` and a list ``cases`` of
  arguments, and ```` ```python answer ```` is what belongs into the gap. Both stand alone: they import what they need.
  What follows in ``<details>`` explains the answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from rlplay.errors import unknown

PARTS = (
    "before you start", "deep learning", "supervised learning", "unsupervised learning", "reinforcement learning",
    "museum of failures",
)  # fmt: skip
GAP = "___"
_FOLDER = Path(__file__).parent
_FENCE = re.compile(r"^```(\w+)(?: ([^\n]*))?\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A part of a lesson: text, or the inside of a fence.

    Attributes:
        language: of the fence; ``"text"`` outside of fences.
        info: the words behind the language.
        text: what stands there.
    """

    language: str
    info: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether it is code of the lesson itself, not of an exercise."""
        return self.language == "python" and not self.info


@dataclass(frozen=True)
class Exercise:
    """A question that checks itself.

    Attributes:
        number: within its lesson, from 1.
        kind: ``"predict"`` or ``"fill"``.
        title, question: in words, Markdown.
        code: computes ``answer``, or the function with the gap and its ``cases``.
        answer: what belongs into the gap; empty for a prediction.
        why: the explanation, Markdown.

    Example:
        >>> exercise = lesson("derivatives").exercises[0]
        >>> isinstance(exercise, Exercise), exercise.number
        (True, 1)
    """

    number: int
    kind: str
    title: str
    question: str
    code: str
    answer: str
    why: str


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        id: name of its file.
        title, part: as in the path.
        minutes: to read it and to do its exercises.
        needs: ids of the lessons that come before.
        blocks: its body in order, without the exercises.
        exercises: in order.
        path: its file.
        about: its first paragraph.

    Example:
        >>> isinstance(lesson("derivatives"), Lesson), lesson("derivatives").title
        (True, 'Derivatives')
    """

    id: str
    title: str
    part: str
    minutes: int
    needs: tuple[str, ...]
    blocks: tuple[Block, ...]
    exercises: tuple[Exercise, ...]
    path: Path
    about: str


def blocks(text: str) -> list[Block]:
    r"""Text and fences in order.

    Example:
        >>> [(one.language, one.info) for one in blocks("Words.\n\n```py rlplay/probe.py\nclass Probe:\n```\n")]
        [('text', ''), ('py', 'rlplay/probe.py')]
    """
    found, end = [], 0
    for fence in _FENCE.finditer(text):
        if words := text[end : fence.start()].strip("\n"):
            found.append(Block("text", "", words))
        found.append(Block(fence[1], fence[2] or "", fence[3]))
        end = fence.end()
    if words := text[end:].strip("\n"):
        found.append(Block("text", "", words))
    return found


def _exercise(number: int, section: str) -> Exercise:
    """An exercise from the text under its heading."""
    title, _, rest = section.partition("\n")
    before, _, inside = rest.partition("<details")
    code, answer, question, kind = "", "", [], ""
    for one in blocks(before):
        if one.language == "python" and one.info in ("predict", "fill"):
            code, kind = one.text, one.info
        elif one.language == "text":
            question.append(one.text)
    why = inside.partition("</summary>")[2].partition("</details>")[0]
    for one in blocks(why):
        if (one.language, one.info) == ("python", "answer"):
            answer = one.text.strip("\n")
            why = why.replace(f"```python answer\n{one.text}```", "")
    assert kind, f"the exercise {title!r} has no block to predict or to fill"
    return Exercise(number, kind, title.strip(), "\n\n".join(question), code, answer, why.strip())


def read(path: Path) -> Lesson:
    """The lesson in a file."""
    _, head, body = path.read_text(encoding="utf-8").split("---\n", 2)
    said = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    body, _, tail = body.partition("\n## Exercises\n")
    title = re.search(r"^# (.+)$", body, re.M)
    assert title is not None, f"{path.name} has no title"
    assert said["part"] in PARTS, f"{path.name}: {said['part']}"
    about = " ".join(body[title.end() :].strip().split("\n\n")[0].split())
    need = re.search(r"^\*\*You need\*\*: (.+?)$\n\n", body, re.M | re.S)
    needs = tuple(re.findall(r"\]\(([\w-]+)\.md\)", need[1])) if need else ()
    sections = re.split(r"^### ", tail, flags=re.M)[1:]
    exercises = tuple(_exercise(number, section) for number, section in enumerate(sections, 1))
    return Lesson(path.stem, title[1], said["part"], int(said["minutes"]), needs, tuple(blocks(body)), exercises, path,
                  about)  # fmt: skip


@cache
def lessons() -> tuple[Lesson, ...]:
    """The whole path in its order, the museum of failures behind it.

    Example:
        >>> lessons()[0].title
        'Vectors and matrices'
    """
    paths = [*(_FOLDER / "lessons").glob("*.md"), *(_FOLDER / "failures").glob("*.md")]
    return _in_order([read(path) for path in sorted(paths)])


def _in_order(found: Sequence[Lesson]) -> tuple[Lesson, ...]:
    """In the order of ``path.txt``, which lists them all."""
    listed = (_FOLDER / "path.txt").read_text(encoding="utf-8").split()
    assert sorted(listed) == sorted(one.id for one in found), sorted({*listed} ^ {one.id for one in found})
    place = {name: k for k, name in enumerate(listed)}
    return tuple(sorted(found, key=lambda one: place[one.id]))


def lesson(name: str) -> Lesson:
    """A lesson by its id or its number in the path.

    Raises:
        UnknownNameError: there is none of that name; names the nearest.

    Example:
        >>> lesson("backpropagation").part
        'deep learning'
        >>> lesson("backprop")
        Traceback (most recent call last):
            ...
        rlplay.errors.UnknownNameError: unknown lesson 'backprop'. Did you mean backpropagation?
    """
    path = lessons()
    if name.isdecimal() and 1 <= int(name) <= len(path):
        return path[int(name) - 1]
    for one in path:
        if one.id == name:
            return one
    raise unknown("lesson", name, [one.id for one in path], "`rlplay learn` lists them")
