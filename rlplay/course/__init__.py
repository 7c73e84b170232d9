"""The learning path: lessons in Markdown whose code runs, exercises that check themselves, progress.

A lesson is one file in ``lessons/``. The page of the site, the notebook and ``rlplay learn`` are made from it.
"""

from rlplay.course.judge import Verdict, check
from rlplay.course.lesson import Exercise, Lesson, lesson, lessons

__all__ = ["Exercise", "Lesson", "Verdict", "check", "lesson", "lessons"]
