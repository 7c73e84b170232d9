"""Run the lessons of the learning path: record what they print, and draw their pictures.

python docs/run_lessons.py                    runs all lessons and compares what they print with the record
python docs/run_lessons.py derivatives        runs one
python docs/run_lessons.py --write            records the output in the lessons, pictures in docs/images/learn
python docs/run_lessons.py --table            writes the tables into docs/learn/README.md
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from rlplay.course import choosing
from rlplay.course.lesson import Lesson, lesson, lessons
from rlplay.course.pages import BEGIN, BEGIN_WHICH, END, path_table
from rlplay.course.running import Session, difference, pairs

PICTURES = Path(__file__).parent / "images" / "learn"


def run(one: Lesson, write: bool) -> list[str]:
    """Run a lesson; what differs from the record, in words."""
    found, text = [], one.path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder))
        for block, recorded in pairs(one):
            printed = session.printed(block.text, f"{one.id}.md")
            before = f"```python\n{block.text}```\n"
            if write:
                info = f" {recorded.info}" if recorded and recorded.info else ""
                old = f"{before}\n```output{info}\n{recorded.text}```\n" if recorded else before
                new = f"{before}\n```output{info}\n{printed.rstrip()}\n```\n" if printed.strip() else before
                assert old in text, block.text
                text = text.replace(old, new, 1)
            elif recorded is None and printed.strip():
                found.append(f"{one.id}: printed {printed!r}, and nothing is recorded")
            elif recorded is not None and (words := difference(printed, recorded)):
                found.append(f"{one.id}: {words}")
        if write:
            one.path.write_text(text, encoding="utf-8")
            PICTURES.mkdir(exist_ok=True)
            for picture in Path(folder).glob("*.png"):
                shutil.copy(picture, PICTURES / picture.name)
    return found


def main() -> int:
    """Run what is named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="LESSON")
    parser.add_argument("--write", action="store_true", help="record output and pictures")
    parser.add_argument("--table", action="store_true", help="write the table of the path")
    arguments = parser.parse_args()
    if arguments.table:
        page = Path(__file__).parent / "learn" / "README.md"
        text = page.read_text(encoding="utf-8")
        for begin, table in ((BEGIN, path_table()), (BEGIN_WHICH, choosing.table())):
            before, _, rest = text.partition(begin)
            text = f"{before}{begin}\n\n{table}\n\n{END}{rest.partition(END)[2]}"
        page.write_text(text, encoding="utf-8")
        return 0
    faults, start = [], time.perf_counter()
    for one in [lesson(name) for name in arguments.names] or lessons():
        began = time.perf_counter()
        faults += run(one, arguments.write)
        print(f"{one.id:28} {time.perf_counter() - began:6.1f} s", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
