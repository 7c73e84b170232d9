"""``rlplay which``: what fits what one has, with the reason and the command to begin with."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from rlplay.cli.common import console
from rlplay.course.choosing import ASKED, QUESTIONS, Advice, which
from rlplay.errors import UsageError


def run(arguments: Namespace) -> int:
    """Answer from the flags; at a terminal ask for what they leave open."""
    given: dict[str, Any] = {name: getattr(arguments, name) for name in QUESTIONS}
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    if given["goal"] is None:
        if not asks:
            kinds = ", ".join(QUESTIONS["goal"][1])
            raise UsageError(f"--goal is missing: {kinds}", "For example: rlplay which --goal rewards --data table")
        given["goal"] = _ask("goal")
    if asks:
        for name in ASKED[given["goal"]]:
            if given[name] is None:
                given[name] = _ask(name)
    found = which(given)
    if not found:
        said = ", ".join(f"{name} {answer}" for name, answer in given.items() if answer is not None)
        raise UsageError(f"nothing here fits {said}", "Leave a flag out to see what fits the others")
    for number, advice in enumerate(found):
        _show(advice, "begin with" if number == 0 else "then")
    return 0


def _show(advice: Advice, lead: str) -> None:
    out = console()
    others = f"   or {', '.join(advice.ids[1:])}" if advice.ids[1:] else ""
    out.print(f"[dim]{lead}[/]  [bold cyan]{advice.ids[0]}[/]{others}")
    out.print(f"  {advice.why}", markup=False)
    out.print(f"  {advice.command}", style="green", markup=False)
    out.print(f"  {advice.first}  rlplay learn {advice.lesson}\n", style="dim", markup=False)


def _ask(name: str) -> Any:
    """A question at the terminal; None where the answer is left open."""
    question, answers = QUESTIONS[name]
    print(f"\n{question}")
    for number, (answer, words) in enumerate(answers.items(), 1):
        print(f"  {number}  {answer:10} {words}")
    while True:
        open_ = "" if name == "goal" else ", [Enter] leaves it open"
        said = input(f"a number{'' if answers else ' of rows'}{open_}: ").strip()
        if not said and name != "goal":
            return None
        if said in answers:
            return said
        if said.isdecimal() and not answers:
            return int(said)
        if said.isdecimal() and 1 <= int(said) <= len(answers):
            return list(answers)[int(said) - 1]
        print(f"  {said!r} is none of them")
