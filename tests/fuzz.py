"""Load damaged, crafted and hostile files by the thousand: ``python tests/fuzz.py [--files 20000] [--seed N]``.

Files of agents with flipped bits, with numbers, shapes and types that were not written under right digests, archives,
JSON, maps, YAML, episodes, run folders and entries of the compile cache (`tests/fuzz_cases.py`). What is taken is also
used: asked, and trained a few steps by both engines. Counted are

* crashes: a worker process that a signal ended;
* hangs: no answer in a minute;
* imports: a module that was not imported before, or the one that files name and nothing may import;
* tracebacks: any error but rlplay's own.

A table of them is printed, and the exit code is 1 unless all are 0. Each is kept with what to type to see it again:
``--reproduce SEED:INDEX``. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import queue
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not tests/, whose folder rlplay would be taken for the package

from tests.fuzz_cases import KINDS, SENTINEL, kind_of, make_case, make_seeds  # noqa: E402

PATIENCE = 60.0  # seconds without an answer
WARMING = 600.0  # seconds for the imports and compiled code of a worker
MEMORY = 12 * 2**30  # bytes of addresses, so that a huge allocation fails and does not fill the machine
BAD = ("crash", "hang", "import", "traceback")


# A worker: makes, loads and uses one case after another.


def work(seeds: Path, seed: int, kind: str) -> None:
    """Answer each number on standard input by a line of JSON about that case."""
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
    folder = Path(tempfile.mkdtemp(prefix="rlplay-fuzz-"))
    try:
        os.chdir(folder)
        warm(seeds, folder)
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(answer(seed, int(line), seeds, folder / "case", kind)), file=answers, flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def answer(seed: int, index: int, seeds: Path, folder: Path, kind: str) -> dict[str, Any]:
    """What became of a case."""
    from rlplay.errors import RlplayError

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    told, use = make_case(seed, index, seeds, folder, kind)
    before, outcome, detail = set(sys.modules), "taken", ""
    begun = time.perf_counter()
    try:
        use()
    except RlplayError as error:
        outcome, detail = "refused", str(error)
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome, detail = "traceback", f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"[:500]
    # torch imports private parts of its own when it first meets them, whatever a file says.
    new = sorted(name for name in set(sys.modules) - before if not name.startswith("torch._"))
    if new and outcome != "traceback":
        outcome, detail = "import", ", ".join(new)[:500]
    sys.modules.pop(SENTINEL, None)
    return {"case": told, "outcome": outcome, "detail": detail, "seconds": time.perf_counter() - begun}


def warm(seeds: Path, folder: Path) -> None:
    """Import what rlplay is made of and use each whole file, so that a later import is a file's doing."""
    import importlib
    import pkgutil
    import random

    from rlplay import registry
    from rlplay.errors import MissingPackageError, RlplayError, RlplayWarning
    from rlplay.models.names import model_class, model_ids
    from tests.fuzz_cases import use_agent

    warnings.simplefilter("ignore")
    short = not (seeds / "cache").exists()
    sentinel = folder / "path"
    sentinel.mkdir()
    (sentinel / f"{SENTINEL}.py").write_text("class Thing: pass\n")
    sys.path.append(str(sentinel))
    if not short:
        for package in ("rlplay", "agents", "envs"):
            for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
                if not found.name.endswith("__main__"):
                    with contextlib.suppress(MissingPackageError):  # of an extra
                        importlib.import_module(found.name)
        for name in model_ids():
            try:
                model_class(name)
            except (RlplayError, ImportError):
                continue
        for name in registry.agent_ids():
            registry.agent_class(name)
    for path in sorted((seeds / "agents").glob("*.rlp")):
        use_agent(path, random.Random(0))
    for index in range(10):  # each kind's own imports
        for kind in KINDS:
            if kind != "cache":
                answer(-1, index, seeds, folder / "case", kind)
    assert issubclass(RlplayWarning, Warning)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))


# The parent: workers, what became of each case, and the table.


class Worker:
    """A process that answers case by case; another one begins where it died."""

    def __init__(self, words: list[str]) -> None:
        self.command = [sys.executable, __file__, "--work", *words]
        self.process: subprocess.Popen[str] | None = None

    def ask(self, index: int) -> dict[str, Any]:
        """What became of a case; a crash or a hang where the process did not say."""
        if self.process is None:
            self._start()
        process = self.process
        assert process is not None
        assert process.stdin is not None
        hung, line = False, ""
        try:
            process.stdin.write(f"{index}\n")
            process.stdin.flush()
            line = self._line(PATIENCE)
        except BrokenPipeError:
            pass
        except TimeoutError:
            hung = True
        if line:
            return dict(json.loads(line))
        if not hung:
            process.wait()
        self.stop()
        code = process.returncode
        how = "no answer" if hung else f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return {"case": "", "outcome": "hang" if hung else "crash", "detail": how, "seconds": PATIENCE if hung else 0.0}

    def stop(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _start(self) -> None:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self._line(WARMING) != "ready\n":
            self.stop()
            raise SystemExit("a worker did not start")

    def _line(self, seconds: float) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            raise TimeoutError
        return self.process.stdout.readline()


def fuzz(given: argparse.Namespace, seeds: Path) -> dict[int, dict[str, Any]]:
    """Every case by its number."""
    left: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(given.first, given.first + given.files):
        left.put(index)
    found: dict[int, dict[str, Any]] = {}

    def ask_all() -> None:
        worker = Worker([str(seeds), str(given.seed), given.kind])
        try:
            while True:
                index = left.get_nowait()
                found[index] = told = {**worker.ask(index), "kind": given.kind or kind_of(given.seed, index)}
                if told["outcome"] in BAD:
                    print(
                        f"{told['outcome']} in {told['kind']}: {told['case']}: {told['detail']}\n"
                        f"    --reproduce {given.seed}:{index}", flush=True,
                    )  # fmt: skip
        except queue.Empty:
            worker.stop()

    threads = [threading.Thread(target=ask_all) for _ in range(given.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def table(found: dict[int, dict[str, Any]]) -> str:
    """Kinds by outcomes, with the longest time that an answer took."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    longest: dict[str, float] = defaultdict(float)
    for told in found.values():
        for row in (told["kind"], "all"):
            counts[row][told["outcome"]] += 1
            longest[row] = max(longest[row], told["seconds"])
    columns = ["refused", "taken", *BAD]
    lines = [f"{'kind':10}{'files':>8}" + "".join(f"{name:>11}" for name in columns) + f"{'longest':>10}"]
    for row in [*(kind for kind in KINDS if kind in counts), "all"]:
        numbers = "".join(f"{counts[row][name]:11}" for name in columns)
        lines.append(f"{row:10}{sum(counts[row].values()):8}{numbers}{longest[row]:8.1f} s")
    return "\n".join(lines)


def whole_files(short: bool) -> Path:
    """The folder with the whole files, made where there is none for these sources."""
    sources = [ROOT / "tests" / "fuzz_cases.py", ROOT / "tests" / "contract" / "cases.py"]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"rlplay-fuzz-{os.getuid()}-{'short' if short else 'whole'}-{key}"
    if not folder.exists():
        making = Path(tempfile.mkdtemp(prefix="rlplay-fuzz-making-"))
        warnings.simplefilter("ignore")
        make_seeds(making, short=short)
        making.replace(folder)
    return folder


def reproduce(given: argparse.Namespace, seeds: Path) -> int:
    """One case in this process, with its traceback; its files stay."""
    seed, index = (int(number) for number in given.reproduce.split(":"))
    folder = Path(tempfile.mkdtemp(prefix="rlplay-fuzz-case-"))
    os.chdir(folder)
    told, use = make_case(seed, index, seeds, folder, given.kind)
    print(f"{given.kind or kind_of(seed, index)}: {told}\n{folder}", flush=True)
    use()
    return 0


def main(words: list[str] | None = None) -> int:
    """Run the cases and print the table; 1 where anything bad was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--kind", default="", choices=("", *KINDS), help="only cases of this kind")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--short", action="store_true", help="few agents, none that compiles for long")
    parser.add_argument("--reproduce", metavar="SEED:INDEX")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(words)
    if given.work:
        work(Path(given.work[0]), int(given.work[1]), given.work[2])
        return 0
    seeds = whole_files(given.short)
    if given.reproduce:
        return reproduce(given, seeds)
    found = fuzz(given, seeds)
    print(table(found))
    return 1 if any(told["outcome"] in BAD for told in found.values()) or len(found) < given.files else 0


if __name__ == "__main__":
    sys.exit(main())
