"""Lessons as pages of the documentation's site, and the table of the path."""

from __future__ import annotations

import re

from rlplay.course.lesson import PARTS, Lesson, lessons

BEGIN, BEGIN_WHICH = "<!-- path: written by docs/run_lessons.py -->", "<!-- which: written by docs/run_lessons.py -->"
END = "<!-- end -->"
_PREDICT = re.compile(r"^```python predict\n(.*?)^```\n\n(<details[^>]*><summary>Answer</summary>)$", re.M | re.S)


def page(lesson: Lesson) -> str:
    """A lesson as Markdown for the site: beside its own folder, with the names of its fences and links to match.

    Example:
        >>> from rlplay.course.lesson import lesson
        >>> page(lesson("derivatives")).splitlines()[0]
        '# Derivatives'
    """
    text = lesson.path.read_text(encoding="utf-8").split("---\n", 2)[2].lstrip()
    head = (
        f"{lesson.part.capitalize()} · {lesson.minutes} minutes · in a terminal: `rlplay learn {lesson.id}` · "
        f"[notebook]({lesson.id}.ipynb)\n{{ .lesson }}"
    )
    title, _, body = text.partition("\n")
    text = f"{title}\n\n{head}\n{body}"
    text = re.sub(r"^```output.*$", "```{ .text .printed }", text, flags=re.M)
    text = _PREDICT.sub(r'\2\n\n```python title="predict, then run"\n\1```', text)  # its code is its answer
    text = re.sub(r"^```python fill$", '```python title="fill in the gap"', text, flags=re.M)
    text = re.sub(r"^```python answer$", "```python", text, flags=re.M)
    text = text.replace("](../../../docs/", "](../").replace("](../failures/", "](")
    count = len(lesson.exercises)
    if count:
        words = f"Checked by `rlplay learn {lesson.id} --exercise 1 --answer ...`, or in the notebook."
        text = text.replace("\n## Exercises\n", f"\n## Exercises\n\n{words}\n", 1)
    return text


def path_table() -> str:
    """The whole path as tables, a part each, with links from docs/learn.

    Example:
        >>> "| 1 | [Vectors and matrices](" in path_table()
        True
    """
    lines, number = [], 0
    for part in PARTS:
        lines += [f"### {part.capitalize()}", "", "| | lesson | | minutes |", "|---|---|---|---|"]
        for one in (one for one in lessons() if one.part == part):
            number += 1
            place = f"../../rlplay/course/{one.path.parent.name}/{one.path.name}"
            lines.append(f"| {number} | [{one.title}]({place}) | {_first_sentence(one.about)} | {one.minutes} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _first_sentence(text: str) -> str:
    """The first sentence, without marks."""
    plain = text.replace("**", "").replace("*", "")
    return re.split(r"(?<=[.?:])\s", plain, maxsplit=1)[0].rstrip(":").rstrip(".") + "."
