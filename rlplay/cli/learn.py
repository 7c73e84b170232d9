"""``rlplay learn``: the learning path in the terminal, lesson by lesson, with exercises that check themselves."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.table import Table

from rlplay.cli.common import console
from rlplay.course import progress as kept
from rlplay.course.judge import exercise_of, judge
from rlplay.course.lesson import GAP, PARTS, Block, Exercise, Lesson, lesson, lessons
from rlplay.course.notebook import as_text
from rlplay.course.running import Session
from rlplay.errors import RlplayError, UsageError, counted, missing_module, warn_once
from rlplay.storage.files import make_folder, write_atomically

_WIDTH = 96  # columns of text, at most


def run(arguments: Namespace) -> int:
    """List the path, show or run a lesson, judge an answer, write notebooks."""
    out = console()
    if arguments.forget:
        found = kept.forget()
        out.print(f"progress begins anew; the old one is {found}" if found else "there was none")
        return 0
    if arguments.lesson is None:
        if arguments.notebook:
            raise UsageError("--notebook needs a lesson", "For example: rlplay learn all --notebook")
        _path()
        return 0
    if arguments.lesson == "all":
        chosen = list(lessons())
    elif arguments.lesson == "next":
        following = kept.load().next_lesson()
        if following is None:
            out.print("the path is done: every lesson read, every exercise answered")
            return 0
        chosen = [following]
    else:
        chosen = [lesson(arguments.lesson)]
    if arguments.notebook:
        folder = arguments.output or Path()
        for one in chosen:
            written = write_atomically(folder / f"{one.id}.ipynb", as_text(one).encode())
            out.print(f"wrote {written}")
        return 0
    if arguments.answer is not None:
        return _answer(chosen[0], arguments.exercise or 1, arguments.answer)
    if arguments.lesson == "all" or arguments.run:
        return _run_all(chosen, arguments.output)
    return _study(chosen[0], arguments.output)


def _path() -> None:
    """The table of the path, and the next lesson."""
    out, done = console(), kept.load()
    number = 0
    for part in PARTS:
        table = Table(title=part, title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 1))
        for one in (one for one in lessons() if one.part == part):
            number += 1
            marks = f"{done.solved(one)}/{len(one.exercises)}" if one.exercises else ""
            state = "[green]done[/]" if done.is_done(one) else "read" if one.id in done.read else ""
            table.add_row(f"[dim]{number:2}[/]", f"[cyan]{one.id}[/]", one.title, f"{one.minutes} min", marks, state)
        if table.row_count:
            out.print(table)
    spent = sum(done.seconds.values())
    following = done.next_lesson()
    words = f"next: rlplay learn {following.id}" if following else "the path is done"
    out.print(f"\n  {words}" + (f"   (so far {spent / 60:.0f} minutes)" if spent >= 60 else ""))


def _answer(one: Lesson, number: int, given: str) -> int:
    exercise = exercise_of(one.id, number)
    if given.strip() == "?":
        _explain(exercise)
        return 0
    verdict = judge(exercise, given)
    console().print(str(verdict), markup=False)
    _keep(lambda done: done.answered(one.id, number, right=verdict.right))
    if verdict.right:
        _explain(exercise)
    else:
        console().print('  --answer "?" shows and explains it', style="dim")
    return 0 if verdict.right else 1


def _run_all(chosen: list[Lesson], folder: Path | None) -> int:
    """Run the code of lessons, one after the other, and say how long each took."""
    out, failed, start = console(), [], time.perf_counter()
    for one in chosen:
        began, session = time.perf_counter(), Session(_folder(one, folder))
        try:
            for block in one.blocks:
                if block.runs:
                    session.run(block.text, f"{one.id}.md")
        except Exception as error:
            if absent := missing_module(error, one.id):
                raise absent from error
            traceback.print_exc()
            failed.append(one.id)
        out.print(f"{one.id:28} {time.perf_counter() - began:6.1f} s{'  failed' if one.id in failed else ''}")
    out.print(f"{counted(len(chosen), 'lesson')} in {time.perf_counter() - start:.0f} s")
    if failed:
        raise RlplayError(f"{', '.join(failed)} failed")
    return 0


def _keep(change: Callable[[kept.Progress], None]) -> kept.Progress:
    """Change the progress that is kept; where that cannot be, say so and go on."""
    try:
        return kept.update(change)
    except RlplayError as error:
        warn_once(f"progress is not kept: {error}")
        progress = kept.Progress()
        change(progress)
        return progress


def _folder(one: Lesson, given: Path | None) -> Path:
    """Where the pictures of a lesson go; a folder for a while where the user's own cannot be written."""
    folder = given or kept.data_folder() / "learn" / one.id
    try:
        make_folder(folder, "--output")
    except UsageError as error:
        if given:
            raise
        warn_once(f"pictures are not kept: {error.cause}")
        return Path(tempfile.mkdtemp(prefix="rlplay-"))
    return folder


def _study(one: Lesson, folder: Path | None) -> int:
    """A lesson from top to end: text, code that is run, exercises. Progress is kept after each answer."""
    out, done, begun = console(), kept.load(), time.monotonic()
    asks = sys.stdin.isatty()
    session = Session(_folder(one, folder))
    out.print(f"[bold cyan]{one.title}[/]   {one.part}, {one.minutes} minutes")
    if missing := [name for name in one.needs if name not in done.read]:
        out.print(f"you need: {', '.join(missing)}", style="yellow")
    try:
        for block in one.blocks:
            if block.language == "output":
                continue
            if not block.runs:
                _say(block)
                continue
            out.print()
            out.print(Syntax(block.text.rstrip(), "python", background_color="default", word_wrap=True))
            out.print()
            if asks and _asked("[Enter] runs this, s skips it, q ends: ") == "s":
                continue
            _run_block(session, block, one)
            sys.stdout.flush()
            out.print()
            for picture in sorted(session.folder.glob("*.png")):
                if f'"{picture.name}"' in block.text:
                    out.print(f"picture: {picture}", style="dim")
        _keep(lambda done: done.went_through(one.id, time.monotonic() - begun))
        begun = time.monotonic()
        for exercise in one.exercises:
            _exercise(one, exercise, asks=asks)
    except EOFError:
        out.print("\nended here; what was answered is kept", style="dim")
        _keep(lambda done: done.spent(one.id, time.monotonic() - begun))
        return 0
    following = _keep(lambda done: done.spent(one.id, time.monotonic() - begun)).next_lesson()
    out.print(f"\n  next: rlplay learn {following.id}" if following else "\n  the path is done")
    return 0


def _run_block(session: Session, block: Block, one: Lesson) -> None:
    """Run a block of a lesson; what it raises is said in a line, since it may lie in what is installed here."""
    try:
        session.run(block.text, f"{one.id}.md")
    except Exception as error:
        if absent := missing_module(error, f"a block of {one.id}"):
            raise absent from error
        first = f"{error}".partition("\n")[0]
        raise RlplayError(
            f"a block of {one.id} stopped: {type(error).__name__}{f': {first}' if first else ''}",
            "What was answered is kept. A block that was skipped may be missing; --debug shows where it stopped",
        ) from error


def _asked(prompt: str) -> str:
    said = input(prompt).strip()
    if said == "q":
        raise EOFError
    return said


def _exercise(one: Lesson, exercise: Exercise, *, asks: bool) -> None:
    out = console()
    out.print(f"\n[bold]Exercise {exercise.number}: {exercise.title}[/]")
    if exercise.question:
        out.print(Markdown(exercise.question), width=min(_WIDTH, out.width))
    if exercise.kind == "fill":  # the code of a prediction is its answer
        out.print(Syntax(exercise.code.rstrip(), "python", background_color="default", word_wrap=True))
    if exercise.number in kept.load().right.get(one.id, []):
        out.print("answered already", style="green")
        return
    if not asks:
        what = "YOUR LINE" if exercise.kind == "fill" else "NUMBER"
        out.print(f'  rlplay learn {one.id} --exercise {exercise.number} --answer "{what}"', style="dim")
        return
    what = f"what belongs into {GAP}" if exercise.kind == "fill" else "your prediction"
    while True:
        given = _asked(f"{what} ([Enter] later, ? shows the answer, q ends): ")
        if not given:
            return
        if given == "?":
            _explain(exercise)
            return
        verdict = judge(exercise, given)
        right = verdict.right
        _keep(lambda done, right=right: done.answered(one.id, exercise.number, right=right))  # type: ignore[misc]
        out.print(str(verdict), style="green" if verdict.right else "yellow", markup=False)
        if verdict.right:
            _explain(exercise)
            return


def _explain(exercise: Exercise) -> None:
    out = console()
    if code := exercise.answer or exercise.code.rstrip():
        out.print(Syntax(code, "python", background_color="default", word_wrap=True))
    if exercise.why:
        out.print(Markdown(exercise.why), width=min(_WIDTH, out.width))


def _say(block: Block) -> None:
    """Text as the terminal shows it; quoted lines under the name of their file."""
    out = console()
    if block.language == "text":
        out.print(Markdown(block.text), width=min(_WIDTH, out.width))
        return
    if block.language == "py":
        out.print(f"{block.info}:", style="dim")
    language = "python" if block.language == "py" else block.language
    out.print(Syntax(block.text.rstrip("\n"), language, background_color="default", word_wrap=True))
