"""Machine code on disk: found again by content in another process, compiled again where something it reads changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlplay.compiled import cache, numba_linking
from rlplay.errors import RlplayWarning

ROOT = Path(__file__).parents[2]

PACKAGE = {
    "__init__.py": "",
    "settings.py": '''
from typing import NamedTuple
FACTOR = 2
class Point(NamedTuple):
    """A point."""
    x: float
    y: float
''',
    "tools.py": """
from rlplay.compiled.cache import compiled
@compiled
def scale(x):
    return x * 3
@compiled
def double(x):
    return x * 2
""",
    "rule.py": '''
from mine import settings, tools
from rlplay.compiled.cache import compiled
OFFSET = 1.0
def make(number):
    @compiled
    def shifted(x):
        return x + number
    return shifted
shifted = make(10)
class Agent:
    def act(self):
        return 1
@compiled
def rule(point):
    """The rule."""
    return tools.scale(point.x) + settings.FACTOR * point.y + shifted(OFFSET)
''',
}
RUN = """
from mine.rule import rule
from mine.settings import Point
from rlplay.compiled.cache import compile_report
print(rule(Point(x=1.0, y=100.0)), compile_report()["compiled"])
"""


def write(folder: Path, files: dict[str, str] = PACKAGE) -> Path:
    package = folder / "mine"
    package.mkdir(parents=True)
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    return folder


def start(folder: Path, cache_dir: Path, code: str = RUN) -> subprocess.Popen[str]:
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(cache_dir), "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=folder)


def run(folder: Path, cache_dir: Path, code: str = RUN) -> tuple[float, int]:
    """What the code prints: a result, and how many functions were compiled."""
    process = start(folder, cache_dir, code)
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert not err
    result, compiled = out.split()
    return float(result), int(compiled)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache with the machine code of the package."""
    folder = tmp_path_factory.mktemp("filled")
    assert run(write(folder / "first"), folder / "cache") == (214.0, 3)
    return folder / "cache"


@pytest.fixture
def own_cache(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def test_a_copy_in_another_folder_with_other_times_compiles_nothing(own_cache, tmp_path):
    folder = write(tmp_path / "elsewhere" / "deeper")
    for path in folder.rglob("*.py"):
        os.utime(path, (1, 1))
    assert run(folder, own_cache) == (214.0, 0)


# File, text and what takes its place; then the result, and how many functions are compiled.
EDITS = {
    "comment": ("rule.py", "    return tools", "    # a comment\n\n    return tools", 214.0, 0),
    "docstring": ("rule.py", "The rule.", "The only rule.", 214.0, 0),
    "no docstring": ("rule.py", '    """The rule."""\n', "", 214.0, 0),
    "Python class": ("rule.py", "return 1", "return 2", 214.0, 0),
    "what nothing reads": ("settings.py", "FACTOR = 2", "FACTOR = 2\nOTHER = 3", 214.0, 0),
    "another function": ("tools.py", "x * 2", "x * 4", 214.0, 0),
    "helper": ("tools.py", "x * 3", "x * 4", 215.0, 2),
    "constant": ("rule.py", "OFFSET = 1.0", "OFFSET = 2.0", 215.0, 1),
    "constant of a module": ("settings.py", "FACTOR = 2", "FACTOR = 3", 314.0, 1),
    "closure": ("rule.py", "make(10)", "make(20)", 224.0, 2),
    "attribute of a module": ("tools.py", "x * 2\n", "x * 2\nscale = double\n", 213.0, 2),
    "order of fields": ("settings.py", "    x: float\n    y: float", "    y: float\n    x: float", 214.0, 1),
    "name of a class": ("settings.py", "class Point", "class Spot", 214.0, 1),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_compiles_what_depends_on_it_and_nothing_else(name, own_cache, tmp_path):
    file, old, new, result, compiled = EDITS[name]
    assert old in PACKAGE[file]
    folder = write(tmp_path / "edited", {**PACKAGE, file: PACKAGE[file].replace(old, new)})
    code = RUN.replace("import Point", "import Spot as Point") if "Spot" in new else RUN
    assert run(folder, own_cache, code) == (result, compiled)


def test_two_versions_do_not_drive_each_other_out(own_cache, tmp_path):
    edited = write(tmp_path / "edited", {**PACKAGE, "tools.py": PACKAGE["tools.py"].replace("x * 3", "x * 5")})
    assert run(edited, own_cache) == (216.0, 2)
    assert run(write(tmp_path / "package"), own_cache) == (214.0, 0)
    assert run(edited, own_cache) == (216.0, 0)


LEARN = """
from agents import QLearning
from rlplay.compiled.cache import compile_report
agent = QLearning("CliffWalking-v1", seed=0).learn(2000)
print(float(agent.q.sum()), compile_report()["compiled"])
"""


@pytest.mark.slow
def test_the_tree_can_be_copied_and_edited_where_no_loop_looks(tmp_path):
    def edit(file: str, old: str, new: str) -> None:
        path = copy / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    copies = [tmp_path / name for name in ("first", "second")]
    for copy in copies:
        for package in ("rlplay", "agents", "envs"):
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    result, compiled = run(copies[0], tmp_path / "cache", LEARN)
    assert compiled > 0

    edit("rlplay/viewer/keys.py", "from __future__", "# a comment\nfrom __future__")
    edit("rlplay/cli/train.py", "from rlplay.compiled.", "UNREAD = 1\nfrom rlplay.compiled.")
    edit("agents/q_learning.py", '"""', '"""An edited docstring. ')
    edit("agents/q_learning.py", "\nclass QLearning", "\n# a comment\n\nclass QLearning")
    edit("agents/q_learning.py", "\nclass QLearning", "\nUNREAD = 1\n\n\nclass QLearning")
    edit("rlplay/agent/base.py", "\nclass Agent", "\nUNREAD = 1\n\n\nclass Agent")
    assert run(copies[1], tmp_path / "cache", LEARN) == (result, 0)

    edit("rlplay/compiled/pcg64.py", "_TWO_TO_MINUS_53 = 1.0", "_TWO_TO_MINUS_53 = 0.5")
    other, again = run(copies[1], tmp_path / "cache", LEARN)
    assert other != result
    assert again > 0
    assert run(copies[0], tmp_path / "cache", LEARN) == (result, 0)


TYPED = """
from rlplay.compiled.cache import compiled, compile_report
@compiled
def f(x):
    return x + {}
print(f(1.0), compile_report()["compiled"])
"""


def test_a_function_typed_at_a_prompt_is_found_again_by_its_content(tmp_path):
    cases = [(1, 1), (2, 1), (1, 0)]
    for number, compiled in cases:
        assert run(tmp_path, tmp_path / "cache", TYPED.format(number)) == (1.0 + number, compiled)


SCRIPT_CLASS = """
from typing import NamedTuple
from rlplay.compiled.cache import compiled, compile_report, why_not_cached
class Here(NamedTuple):
    x: float
@compiled
def f(x):
    return Here(x)
assert type(f(1.0)) is Here, type(f(1.0))
assert "another class" in why_not_cached(f)
print(f(1.0).x, compile_report()["compiled"])
"""


def test_a_class_of_the_script_itself_is_never_taken_from_disk(tmp_path):
    """It would come back as another class of that name."""
    for _ in range(2):
        assert run(tmp_path, tmp_path / "cache", SCRIPT_CLASS) == (1.0, 1)


GIVEN_FUNCTIONS = """
import warnings
from rlplay.compiled.cache import compiled, compile_report
warnings.simplefilter("error")
@compiled
def double(x):
    return 2 * x
@compiled
def by_default(x, f=double):
    return f(x)
@compiled
def handed(f, x):
    return f(x)
print(by_default(1.0) + handed(double, 2.0), 0)
"""


def test_a_function_that_is_given_functions_is_compiled_anew_without_a_word_of_damage(tmp_path):
    for _ in range(2):
        assert run(tmp_path, tmp_path / "cache", GIVEN_FUNCTIONS) == (6.0, 0)


CHANGING = """
from rlplay.compiled.cache import compiled, compile_report
LEVEL = 1
@compiled
def f(x):
    return x + LEVEL
f(1)
LEVEL = {}
print(f(1.0), compile_report()["compiled"])
"""


def test_a_global_that_changes_while_a_process_runs_leaves_nothing_stale(tmp_path):
    for level in (5, 7):
        assert run(tmp_path, tmp_path / "cache", CHANGING.format(level))[0] == 1.0 + level


TWICE = """
from rlplay.compiled.cache import compiled, compile_report
def make():
    @compiled
    def f(x):
        return x + 1
    return f
first, second = make(), make()
@compiled
def both(x):
    return first(x) + second(x)
print(both(1.0), compile_report()["compiled"])
"""


def test_two_functions_of_one_content_share_an_entry(tmp_path):
    assert run(tmp_path, tmp_path / "cache", TWICE) == (4.0, 2)
    assert run(tmp_path, tmp_path / "cache", TWICE) == (4.0, 0)


REORDERED = """
from rlplay.compiled.cache import compiled, compile_report, reordered
import numpy as np
@reordered
def total(x):
    found = 0.0
    for i in range(x.shape[0]):
        found += x[i]
    return found
@compiled
def mean(x):
    return total(x) / x.shape[0]
print({}(np.ones(4)), compile_report()["compiled"])
"""


def test_names_of_code_are_the_same_in_every_process(tmp_path, monkeypatch):
    """Sets are in another order in each: a caller would not find what it calls."""
    for seed in ("1", "2", "3"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        assert run(tmp_path, tmp_path / "cache", REORDERED.format("total"))[0] == 4.0
        for path in (tmp_path / "cache").glob("*mean*"):
            path.unlink()
        assert run(tmp_path, tmp_path / "cache", REORDERED.format("mean")) == (1.0, 1)


def test_processes_at_once_leave_whole_entries(tmp_path):
    folder, cache_dir = write(tmp_path / "package"), tmp_path / "cache"
    running = [start(folder, cache_dir) for _ in range(3)]
    printed = [process.communicate()[0].split() for process in running]
    assert {result for result, _ in printed} == {"214.0"}
    if cache.fcntl:  # whoever comes second waits
        assert sum(int(compiled) for _, compiled in printed) == 3
    assert run(folder, cache_dir) == (214.0, 0)
    assert len(list(cache_dir.glob("*.nb?"))) == 4


FORKS = """
import os
from rlplay.compiled.cache import compiled, compile_report
def make(number):
    @compiled
    def inner(x):
        return x * number
    return inner
children = []
for number in (2, 3):
    if (child := os.fork()) == 0:
        make(number)(1.0)
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
first, second = make(2), make(3)
@compiled
def both(x):
    return 100 * first(x) + second(x)
print(both(1.0), compile_report()["compiled"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_code_of_forked_processes_is_told_apart(tmp_path):
    assert run(tmp_path, tmp_path / "cache", FORKS) == (203.0, 1)


def flip(data: bytes) -> bytes:
    return data[:-100] + bytes([data[-100] ^ 1]) + data[-99:]


def test_damaged_entries_are_said_once_and_compiled_again(own_cache, tmp_path):
    folder = write(tmp_path / "package")
    damages = [flip, lambda data: data[: len(data) // 2], lambda data: b"", lambda data: data[:10]]
    for damage, path in zip(damages, own_cache.glob("*.nb?"), strict=True):
        path.write_bytes(damage(path.read_bytes()))
    process = start(folder, own_cache)
    out, err = process.communicate()
    assert out.split() == ["214.0", "3"]
    assert err.count("was damaged and is compiled again") == 1
    assert run(folder, own_cache) == (214.0, 0)


def stretch(path: Path) -> None:
    with open(path, "r+b") as file:
        file.truncate(cache.MAX_BYTES + 1)  # takes no place on disk


def in_place_of(path: Path, make) -> None:
    path.unlink()
    make(path)


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "cut within the checksum": lambda path: path.write_bytes(path.read_bytes()[:10]),
    "cut behind the checksum": lambda path: path.write_bytes(path.read_bytes()[:32]),
    "cut in half": lambda path: path.write_bytes(path.read_bytes()[: len(path.read_bytes()) // 2]),
    "a bit of the checksum": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:]),
    "a bit of the code": lambda path: path.write_bytes(flip(path.read_bytes())),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "foreign text": lambda path: path.write_text("hello"),
    "longer than the cache": stretch,
    "a folder": lambda path: in_place_of(path, Path.mkdir),
    "a pipe": lambda path: in_place_of(path, os.mkfifo),
    "a device": lambda path: in_place_of(path, lambda p: p.symlink_to("/dev/zero")),
    "a link to itself": lambda path: in_place_of(path, lambda p: p.symlink_to(p)),
}


@pytest.mark.skipif(os.name == "nt", reason="pipes, devices and links of POSIX")
@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_entry_is_said_discarded_and_written_again(name, tmp_path):
    path = tmp_path / "entry.nbc"
    cache.write_entry(path, b"machine code" * 100)
    DAMAGES[name](path)
    cache._say_damaged.cache_clear()
    with pytest.warns(RlplayWarning, match="was damaged and is compiled again"):
        assert cache.read_entry(path) is None
    assert not os.path.lexists(path)
    cache.write_entry(path, b"machine code")
    assert cache.read_entry(path) == b"machine code"


def test_a_whole_entry_that_holds_no_function_is_compiled_again(own_cache, tmp_path):
    for path in own_cache.iterdir():
        cache.write_entry(path, b"no pickle")
    out, err = start(write(tmp_path / "package"), own_cache).communicate()
    assert out.split() == ["214.0", "3"]
    assert err.count("was damaged") == 1


GONE = """
import os, shutil
from rlplay.compiled.cache import cache_folder, compiled, compile_report
@compiled
def f(x):
    return x + 1
folder = cache_folder()
shutil.rmtree(folder)
print(f(1.0), compile_report()["compiled"])
"""


def test_a_cache_folder_that_goes_while_a_process_runs_is_no_error(tmp_path):
    assert run(tmp_path, tmp_path / "cache", GONE) == (2.0, 1)


def test_an_entry_under_another_name_is_not_taken(tmp_path):
    cache.write_entry(tmp_path / "one.nbc", b"data")
    assert cache.read_entry(tmp_path / "one.nbc") == b"data"
    (tmp_path / "one.nbc").rename(tmp_path / "other.nbc")
    cache._say_damaged.cache_clear()
    with pytest.warns(RlplayWarning, match="damaged"):
        assert cache.read_entry(tmp_path / "other.nbc") is None


def test_names_of_files_say_the_function_and_no_place(filled):
    names = sorted(path.name for path in filled.glob("*.nb?"))
    assert [re.sub(r"-[0-9a-f]{40}(\.[0-9a-f]{8})?", "", name) for name in names] == [
        "mine.rule.make.shifted.nbl",
        "mine.rule.rule.nbc",  # machine code: Python calls it
        "mine.rule.rule.nbl",
        "mine.tools.scale.nbl",
    ]


def test_what_was_not_used_for_longest_goes_first(tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(cache, "MAX_BYTES", 200)
    now = time.time()
    for name, age in (("old.nbc", 9e6), ("used.nbc", 9e6), ("new.nbc", 10), ("left.tmp", 9e6), ("other.txt", 9e6)):
        cache.write_entry(tmp_path / name, b"x" * 68)
        os.utime(tmp_path / name, (now - age, now - age))
    assert cache.read_entry(tmp_path / "used.nbc") == b"x" * 68
    cache._keep_within_bounds.__wrapped__()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.nbc", "other.txt", "used.nbc"]
    cache._keep_within_bounds.__wrapped__()


def test_a_folder_that_cannot_be_written_any_more_is_no_error(tmp_path):
    cache.write_entry(tmp_path / "gone" / "entry.nbc", b"data")
    assert cache.read_entry(tmp_path / "gone" / "entry.nbc") is None


HOLDS = """
import sys, time
from rlplay.compiled import numba_linking
import rlplay.compiled.cache
with numba_linking.store.making("an entry", lambda: False):
    print("holds", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(cache.fcntl is None, reason="this system has no such locks")
@pytest.mark.parametrize("fate", ["killed", "stands still"])
def test_a_process_that_does_not_go_on_is_not_waited_for(tmp_path, monkeypatch, fate):
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cache, "_LONGEST", 60.0 if fate == "killed" else 0.05)
    monkeypatch.setattr(cache, "_lock_file", cache._lock_file.__wrapped__)
    done = [1, 1]
    process = start(tmp_path, tmp_path / "cache", HOLDS)
    try:
        assert process.stdout.readline() == "holds\n"

        def meanwhile() -> bool:
            if fate == "killed" and not done:
                process.kill()
            return bool(done and done.pop())

        with cache.numba_linking.store.making("another entry", meanwhile):
            assert done == [1, 1]
        with cache.numba_linking.store.making("an entry", meanwhile):
            assert done == []
    finally:
        process.kill()
        process.communicate()


OWN = {
    "__init__.py": "",
    "tools.py": """
from rlplay.compiled.cache import compiled, own_code
@compiled
def inner(x):
    return x * 3
@own_code
@compiled
def whole(x):
    return inner(x) + 1.0
@compiled
def through(x):
    return whole(x) + whole(x + 1.0)
""",
}
CALLS = """
from rlplay.compiled.cache import compiled, compile_report
from mine.tools import {name} as called
{text}
print(entry(2.0), compile_report()["compiled"])
"""


def _own_code_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.nbo"))


def test_code_of_its_own_is_made_once_for_all_callers(tmp_path):
    folder, kept = write(tmp_path, OWN), tmp_path / "cache"
    first = "@compiled\ndef entry(x):\n    return called(x) * 2.0"
    assert run(folder, kept, CALLS.format(name="whole", text=first)) == (14.0, 3)
    (own,) = _own_code_of(kept)
    written = own.stat().st_mtime_ns
    assert run(folder, kept, CALLS.format(name="through", text="entry = called")) == (17.0, 1)
    assert run(folder, kept, CALLS.format(name="whole", text="entry = called")) == (7.0, 0)
    assert run(folder, kept, CALLS.format(name="whole", text=first)) == (14.0, 0)
    assert [path.stat().st_mtime_ns for path in _own_code_of(kept)] == [written]
    text = (folder / "mine" / "tools.py").read_text()
    (folder / "mine" / "tools.py").write_text(text.replace("x * 3", "x * 5"))
    assert run(folder, kept, CALLS.format(name="through", text="entry = called")) == (27.0, 3)
    assert len(_own_code_of(kept)) == 2


@pytest.mark.parametrize("harm", ["gone", "damaged", "no pickle"])
def test_code_of_its_own_that_is_lost_is_made_again(tmp_path, harm):
    folder, kept, code = write(tmp_path, OWN), tmp_path / "cache", CALLS.format(name="through", text="entry = called")
    assert run(folder, kept, code) == (17.0, 3)
    (own,) = _own_code_of(kept)
    if harm == "gone":
        own.unlink()
    elif harm == "damaged":
        own.write_bytes(flip(own.read_bytes()))
    else:
        cache.write_entry(own, b"hello")
    out, err = start(folder, kept, code).communicate()
    assert out.split() == ["17.0", "0"]  # from what was lowered
    assert ("was damaged" in err) == (harm != "gone")
    assert run(folder, kept, code) == (17.0, 0)
    assert _own_code_of(kept) == [own]


def test_code_of_its_own_where_nothing_is_kept(monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: None)

    @cache.own_code
    @cache.compiled
    def whole(x):
        return x[0] + x[1]

    @cache.compiled
    def entry(x):
        return whole(x) + whole(x)

    assert entry((1.0, 2.0)) == 6.0
    assert whole((1.0, 2.0)) == 3.0


def test_code_of_its_own_is_not_begun_again_while_it_is_made(monkeypatch):
    monkeypatch.setattr(cache, "cache_folder", lambda: None)
    made, usual = [], numba_linking.Library.finalize

    def finalize(library):
        if "wanted_once" in library.name:
            made.append(library.name)
            numba_linking._spare_work()  # as where another process is waited for
        usual(library)

    monkeypatch.setattr(numba_linking.Library, "finalize", finalize)

    @cache.own_code
    @cache.compiled
    def wanted_once(x):
        return x + 1.0

    @cache.compiled
    def entry(x):
        return wanted_once(x) * 2.0

    assert entry(2.0) == 6.0
    assert len(made) == 1


BESIDE = """
import time
from rlplay.compiled.cache import cache_folder, compile_beside, compile_report
from mine.tools import inner, whole
compile_beside(whole, 2.0, first=[(inner, {given}), (len, 1)])
while not list(cache_folder().glob("*.nbo")):
    time.sleep(0.01)
print(whole(2.0), compile_report()["compiled"])
"""


@pytest.mark.parametrize("given", ["2.0", "'no number', 3"])
def test_another_process_begins_with_what_is_asked_first_and_makes_the_rest(tmp_path, given):
    folder, kept = write(tmp_path, OWN), tmp_path / "cache"
    assert run(folder, kept, BESIDE.format(given=given)) == (7.0, 0)


def test_it_compiles_where_there_is_no_standard_error(tmp_path):
    folder = write(tmp_path, OWN)
    code = CALLS.format(name="whole", text="import sys\nsys.stderr = None\nentry = called")
    assert run(folder, tmp_path / "cache", code) == (7.0, 2)
