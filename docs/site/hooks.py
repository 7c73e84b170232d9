"""MkDocs hooks: excerpts of our files show the file's name, and a tab of one page has no menu beside it.

A block that opens with ```` ```py FILE ```` quotes lines of FILE, and a test compares them. The site shows FILE as the
title of the block.
"""

from __future__ import annotations

import re
from typing import Any

_LESSON = re.compile(r"\]\((?:\.\./)+rlplay/course/(?:lessons|failures)/([\w-]+\.md)")
_EXCERPT = re.compile(r"^```py (\S+)$", re.M)


def on_page_markdown(markdown: str, *, page: Any, **kwargs: Any) -> str:
    """Called for each page before it is rendered."""
    if page.parent is None:
        page.meta["hide"] = ["navigation"]
    folder = "" if page.file.src_path.startswith("learn/") else "learn/"
    markdown = _LESSON.sub(rf"]({folder}\1", markdown)
    return _EXCERPT.sub(r'```py title="\1"', markdown)
