"""The folder of machine code: who may write in it, and how readable is what anything here writes."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from agents import QLearning
from rlplay.compiled import cache, folder
from rlplay.errors import RlplayWarning
from rlplay.storage.files import write_at_once, write_atomically, write_together

pytestmark = pytest.mark.skipif(os.name == "nt", reason="modes and owners of POSIX")


@pytest.fixture
def found(monkeypatch):
    """The folder that is found now."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    return folder.cache_folder.__wrapped__


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


WRITERS = {
    "machine code": lambda path: cache.write_entry(path, b"data"),
    "at once": lambda path: write_at_once(path, b"data"),
    "whole": lambda path: write_atomically(path, b"data"),
    "several": lambda path: write_together(path.parent, {path.name: b"data"}),
    "an agent": lambda path: QLearning("FrozenLake-v1", seed=0).save(path),
}


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_what_is_written_is_as_readable_as_any_file_of_its_user(writer, umask, tmp_path):
    path, before = tmp_path / "file.rlp", os.umask(umask)
    try:
        writer(path)
    finally:
        os.umask(before)
    assert mode(path) == 0o666 & ~umask
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_link_that_waits_at_the_name_of_a_temporary_file_is_not_written_through(tmp_path, monkeypatch):
    monkeypatch.setattr("rlplay.storage.files._beside", lambda path: path.with_name("known.tmp"))
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    for write in (write_at_once, write_atomically):
        (tmp_path / "known.tmp").symlink_to(other)
        write(tmp_path / "file", b"data")
    assert other.read_bytes() == b"mine"
    assert (tmp_path / "file").read_bytes() == b"data"


def test_where_everybody_may_write_each_user_has_a_folder(tmp_path, monkeypatch, found):
    monkeypatch.setenv("RLPLAY_CACHE_DIR", str(tmp_path))
    for shared_by in (0o755, 0o775):
        tmp_path.chmod(shared_by)
        assert found() == tmp_path
    for shared_by in (0o777, 0o1777):
        tmp_path.chmod(shared_by)
        assert found() == tmp_path / f"user-{os.geteuid()}"
        assert mode(found()) == 0o755
    monkeypatch.setattr(os, "geteuid", lambda: 12345)  # then the folders are another user's
    assert found() is None
    (tmp_path / "user-12345").rmdir()
    (tmp_path / "user-12345").symlink_to(tmp_path)
    assert found() is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="root alone gives folders away")
@pytest.mark.parametrize("there", [True, False])
def test_root_takes_nothing_from_the_home_of_another_user(tmp_path, monkeypatch, found, there):
    monkeypatch.delenv("RLPLAY_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if there:
        (tmp_path / "rlplay").mkdir()
    assert found() == tmp_path / "rlplay"
    (tmp_path / "rlplay").rmdir()
    os.chown(tmp_path, 12345, -1)
    if there:
        (tmp_path / "rlplay").mkdir()
        os.chown(tmp_path / "rlplay", 12345, -1)
    assert found() == Path(folder.__file__).parent / "__pycache__"
    assert (tmp_path / "rlplay").exists() == there


def test_a_folder_that_cannot_be_written_is_read_where_it_holds_something(tmp_path, monkeypatch, found):
    def refuse(**_):
        raise PermissionError

    monkeypatch.setenv("RLPLAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    assert found() is None
    cache.write_entry(tmp_path / "rule.nbl", b"lowered")
    assert found() == tmp_path


def test_what_another_user_alone_may_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError

    cache.write_entry(tmp_path / "rule.nbl", b"lowered")
    monkeypatch.setattr(cache, "_content", refuse)
    cache._say_unreadable.cache_clear()
    with pytest.warns(RlplayWarning, match="is of another user, who alone may read it"):
        assert cache.read_entry(tmp_path / "rule.nbl") is None
    assert (tmp_path / "rule.nbl").exists()
