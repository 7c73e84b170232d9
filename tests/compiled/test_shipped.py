"""Lowered code that a wheel carries, and the short cuts while numba compiles."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rlplay.compiled import shipped
from rlplay.compiled.cache import compiled, in_place, reordered
from rlplay.compiled.numba_internals import CompileErrors
from tests.compiled.test_cache import OWN, ROOT, RUN, run, write

SHIPPED = "from pathlib import Path; from rlplay.compiled import shipped; shipped.ARCHIVE = Path({!r})\n"


@pytest.mark.parametrize("files", [None, OWN], ids=["plain", "code of its own"])
def test_what_a_wheel_carries_is_not_compiled(tmp_path, files):
    code = RUN if files is None else (
        "from rlplay.compiled.cache import compile_report\n"
        "from mine.tools import through\nprint(through(2.0), compile_report()['compiled'])"
    )  # fmt: skip
    folder = write(tmp_path) if files is None else write(tmp_path, files)
    result, functions = run(folder, tmp_path / "first", code)
    assert functions > 0
    archive = tmp_path / "lowered.zip"
    assert shipped.write(tmp_path / "first", archive) == functions
    code = SHIPPED.format(str(archive)) + code
    assert run(folder, tmp_path / "second", code) == (result, 0)
    assert not list((tmp_path / "second").glob("*.nbl"))
    shutil.rmtree(tmp_path / "second")
    archive.write_bytes(archive.read_bytes()[:-50])
    assert run(folder, tmp_path / "second", code) == (result, functions)


def test_an_archive_is_added_to(tmp_path):
    archive = tmp_path / "lowered.zip"
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / f"{name}.nbl").write_bytes(b"c" * 32 + name.encode())
        shipped.write(folder, archive)
    shipped.write(folder, archive)
    with zipfile.ZipFile(archive) as file:
        assert {name: file.read(name) for name in file.namelist()} == {"one.nbl": b"one", "other.nbl": b"other"}


def test_an_entry_that_is_damaged_is_none(tmp_path, monkeypatch):
    folder, archive = tmp_path / "folder", tmp_path / "lowered.zip"
    folder.mkdir()
    (folder / "one.nbl").write_bytes(b"c" * 32 + bytes(range(256)) * 8)
    shipped.write(folder, archive)
    whole = archive.read_bytes()
    monkeypatch.setattr(shipped, "ARCHIVE", archive)
    for place in range(38, 60):  # in its name and its compressed bytes
        archive.write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        shipped._opened.cache_clear()
        assert shipped.read("one.nbl") is None
    shipped._opened.cache_clear()


@pytest.mark.slow  # compiles every agent twice, and builds a wheel
def test_a_wheel_carries_the_lowered_code_of_every_agent(tmp_path):
    tree, packages, env = tmp_path / "tree", tmp_path / "packages", {**os.environ, "PYTHONPATH": ""}
    for name in ("rlplay", "agents", "envs", "pyproject.toml", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        tree.mkdir(exist_ok=True)
        copy(ROOT / name, tree / name)

    def python(*words: str, cwd: Path = tree, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=cwd, env={**env, **more}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    python("-m", "rlplay.compiled.shipped", PYTHONPATH=str(tree))
    python("-m", "pip", "install", "--no-deps", "--target", str(packages), ".")
    given = {"PYTHONPATH": str(packages), "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    said = python("-m", "rlplay", "warm", cwd=tmp_path, **given)
    assert " 0 functions compiled" in " ".join(said.split())


def test_answers_that_are_kept_are_told_apart_by_the_options():
    def room(n):
        return np.zeros(n).sum()

    assert compiled(room)(3) == 0.0
    with pytest.raises(CompileErrors, match="Only accept returning of array passed"):
        in_place(room)(3)

    def total(x):
        found = 0.0
        for i in range(x.shape[0]):
            found += x[i]
        return found

    numbers = np.random.default_rng(0).normal(size=10_001)
    in_order = np.add.accumulate(numbers)[-1]
    assert reordered(total)(numbers) != compiled(total)(numbers) == in_order
