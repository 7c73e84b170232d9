"""Lessons as Jupyter notebooks (format 4.5), written as JSON."""

from __future__ import annotations

import json
import re
from typing import Any

from rlplay.course.lesson import GAP, Lesson


def notebook(lesson: Lesson) -> dict[str, Any]:
    """A lesson as a notebook, recorded output included.

    Example:
        >>> from rlplay.course.lesson import lesson
        >>> notebook(lesson("derivatives"))["nbformat"]
        4
    """
    cells: list[dict[str, Any]] = []
    for block in lesson.blocks:
        if block.runs:
            cells.append(_code(block.text + _shown(block.text)))
        elif block.language == "output" and cells and cells[-1]["cell_type"] == "code":
            cells[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": _lines(block.text)}]
        elif block.language == "text":
            cells.append(_words(_without_links(block.text)))
        else:
            title = f"`{block.info}`\n\n" if block.language == "py" else ""
            cells.append(_words(f"{title}```{block.language}\n{block.text}```"))
    if lesson.exercises:
        cells.append(_words("## Exercises"))
        cells.append(_code("from rlplay.course import check"))
    for one in lesson.exercises:
        gap = f'"""{GAP}"""' if one.kind == "fill" else "None"
        ask = (
            "Put your line in place of `___`."
            if one.kind == "fill"
            else "Say it before you run it, in place of `None`."
        )
        code = f"```python\n{one.code}```\n\n"
        shown, hidden = (code, f"```python\n{one.answer}\n```\n\n") if one.kind == "fill" else ("", code)
        cells.append(_words(f"### {one.title}\n\n{one.question}\n\n{shown}{ask}"))
        cells.append(_code(f'print(check("{lesson.id}", {one.number}, {gap}))'))
        cells.append(_words(f"<details><summary>Answer</summary>\n\n{hidden}{one.why}\n\n</details>"))
    for number, cell in enumerate(cells):
        cell["id"] = f"{lesson.id}-{number}"[-64:]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def as_text(lesson: Lesson) -> str:
    """The file of a lesson's notebook."""
    return json.dumps(notebook(lesson), indent=1, ensure_ascii=False) + "\n"


def _without_links(text: str) -> str:
    """The text without pictures, which the code draws, and without links to other files."""
    text = re.sub(r"!\[([^\]]*)\]\([^)]+\)", "", text)
    return re.sub(r"\[([^\]]+)\]\((?!http)[^)]+\)", r"\1", text)


def _shown(code: str) -> str:
    """Lines that show the pictures which a block draws: in a notebook a file that was written is not seen."""
    names = re.findall(r'\.savefig\("([^"]+)"', code)
    if not names:
        return ""
    return "\nfrom IPython.display import Image, display\n\n" + "".join(f'display(Image("{name}"))\n' for name in names)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _words(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": _lines(text.strip("\n"))}


def _code(text: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _lines(text.strip("\n")),
    }  # fmt: skip
