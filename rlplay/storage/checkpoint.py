"""The ``.rlp`` file: one stored zip of a JSON manifest and plain arrays. No pickle, atomic, verified.

Members: ``manifest.json`` and ``<name>.npy`` for each array. The manifest holds the sha256 of every array, so that
damage is told by name; the zip's comment holds the sha256 of all bytes before it, so that no flipped bit passes.
Nothing in a file is ever imported or run: classes are named by registered ids only.

Arrays are finite, but for those whose name ends in ``metrics``: numbers that are told of an update and not learned,
such as the explained variance of equal returns, which is NaN.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, warn_once
from rlplay.storage.files import as_path, atomic_writer, explain_missing

VERSION = 1
_MOST_MEMBERS = 10_000
_LARGEST_MANIFEST = 64 * 2**20  # bytes
_KINDS = "biufc"  # of numbers: truth values, whole, without a sign, floating-point, complex
_TOLD = "metrics"
_DEEPEST = 100  # lists and objects within each other, in a manifest
_DIGEST_LENGTH = 64  # hexadecimal digits
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


@dataclass(frozen=True)
class Checkpoint:
    """The content of a file: JSON values and arrays by name."""

    manifest: dict[str, Any]
    arrays: dict[str, NDArray[Any]]


def with_suffix(path: str | Path) -> Path:
    """The path with ``.rlp`` where it has no such ending; in place of ``.zip``.

    Raises:
        CheckpointError: it names no file.
    """
    path = _named(path)
    if not path.name:
        raise CheckpointError(f"{str(path)!r} is a folder, not a file", "Name a file in it, such as agent.rlp")
    if path.suffix == ".zip":  # Stable-Baselines3's
        return path.with_suffix(".rlp")
    return path if path.suffix == ".rlp" else path.with_name(path.name + ".rlp")


def write(path: str | Path | IO[bytes], manifest: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write a checkpoint atomically: verified before it takes its place, the old file kept until then.

    Into an open file, an ``io.BytesIO`` say, its bytes are written; that is returned then.

    Raises:
        CheckpointError: a value that JSON or a plain array cannot hold; named.
        OSError: the folder cannot be written or the disk is full.
    """
    if not isinstance(path, str | os.PathLike) and hasattr(path, "write"):
        with tempfile.TemporaryDirectory() as folder:
            path.write(write(Path(folder) / "agent", manifest, arrays).read_bytes())
        return path  # type: ignore[return-value]  # as it was given
    given = _named(path)
    path = with_suffix(given)
    if given.suffix == ".zip":
        warn_once(f"{given} is written as {path.name}: rlplay export writes zips of Stable-Baselines3")
    blobs = {f"{name}.npy": _array_bytes(name, array) for name, array in arrays.items()}
    members = {name: {"sha256": hashlib.sha256(blob).hexdigest(), "size": len(blob)} for name, blob in blobs.items()}
    text = _json_bytes({**manifest, "format": VERSION, "members": members})
    with atomic_writer(path, verify=read) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, blob in {"manifest.json": text, **blobs}.items():
                archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), blob)
            archive.comment = b"0" * _DIGEST_LENGTH
        digest = _digest_of_all(file).encode()
        file.seek(-_DIGEST_LENGTH, io.SEEK_END)
        file.write(digest)
    return path


def read(path: str | Path | IO[bytes], *, allow_nan: bool = False) -> Checkpoint:
    """Read and verify a checkpoint; never runs code.

    Args:
        path: a file that `write` wrote, or an open one.
        allow_nan: take arrays with NaN or infinite values.

    Raises:
        CheckpointError: damaged (says where), refused (says why), or of a newer format (says which).
        UnknownNameError: no such file; names the nearest.
    """
    if not isinstance(path, str | os.PathLike) and hasattr(path, "read"):
        with tempfile.TemporaryDirectory() as folder:
            copied = Path(folder) / "agent.rlp"
            copied.write_bytes(path.read())
            return read(copied, allow_nan=allow_nan)
    path = _there(_named(path))
    with open(path, "rb") as file:
        _refuse_foreign(path, file)
        try:
            with zipfile.ZipFile(file) as archive:
                whole = archive.comment.decode("ascii", "replace") == _digest_of_all(file)
                return _read_members(path, archive, whole, allow_nan)
        except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, ValueError, RuntimeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise damaged(path, f"it cannot be read as an archive ({error})") from error


def _there(path: Path) -> Path:
    """The file of a path that may lack its ending; also where a folder has the name without it."""
    if path.is_file():
        return path
    endings = [path.with_name(path.name + ending) for ending in (".rlp", ".zip")] if path.name else []
    swapped = [path.with_suffix(".rlp")] if path.suffix == ".zip" else []
    found = next((one for one in [*endings[:1], *swapped, *endings[1:]] if one.is_file()), None)
    if found is None:
        raise explain_missing(path, "checkpoint", "*.rlp")
    return found


def _named(path: Any) -> Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path) or isinstance(os.fspath(path), bytes):
        raise CheckpointError(
            f"{path!r} is not the path of a file", "Give the path of an agent's file, such as agent.rlp"
        )
    return as_path(path)


def damaged(path: Path, where: str) -> CheckpointError:
    """The error for a damaged file, with the newest good one beside it."""
    good = newest_good(path.parent, skip=path)
    return CheckpointError(f"{path} is damaged: {where}", f"The newest good file beside it is {good}" if good else "")


def newest_good(folder: Path, skip: Path | None = None) -> Path | None:
    """The newest checkpoint of a folder that verifies; beside one that is skipped, of the same run."""
    files = (path for path in folder.glob("*.rlp") if path.is_file())  # a pipe would be waited for
    for path in sorted(files, key=lambda p: p.stat().st_mtime, reverse=True):
        if path != skip and (skip is None or _of_one_run(path, skip)):
            try:
                with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
                    if archive.comment.decode("ascii", "replace") == _digest_of_all(file):
                        return path
            except (zipfile.BadZipFile, OSError):
                continue
    return None


def _of_one_run(path: Path, other: Path) -> bool:
    """Whether two files of a folder are of one run: the folder is a run's, or their names differ in numbers alone."""
    names = [re.sub(r"[\d_.-]+", "", one.stem) for one in (path, other)]
    return names[0] == names[1] or (path.parent / "args.yml").exists() or any(path.parent.glob("*/args.yml"))


def _refuse_foreign(path: Path, file: IO[bytes]) -> None:
    start = file.read(64)
    file.seek(0)
    if not start:
        raise damaged(path, "it is empty")
    if start[:1] == b"\x80":
        raise CheckpointError(f"{path} is a pickle, which could run any code: refused, not run")
    if b'"rlplay-episode"' in start:
        raise CheckpointError(
            f"{path} is a recorded episode, and no .rlp file",
            f"Show it: rlplay replay {path}; make data: rlplay dataset make --recordings {path} -o {path.stem}.rlp",
        )
    if start[:2] != b"PK":
        raise damaged(path, "it does not begin like an archive; it is truncated, overwritten or no .rlp file")


def _read_members(path: Path, archive: zipfile.ZipFile, whole: bool, allow_nan: bool) -> Checkpoint:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if len(entries) > _MOST_MEMBERS:
        raise CheckpointError(f"{path} has {len(entries)} members, more than {_MOST_MEMBERS}: refused")
    if len(set(names)) != len(names):
        raise CheckpointError(f"{path} has two members of the same name: refused")
    if "manifest.json" not in names:
        pickled = [name for name in names if name.endswith((".pkl", ".pth", ".pt", ".pickle")) or name == "data"]
        if pickled:
            raise CheckpointError(
                f"{path} is no .rlp file but an archive with pickles ({pickled[0]}): refused, not run",
                "If Stable-Baselines3 saved it: rlplay.sb3.load_zip, or rlplay import, which read its zips as data",
            )
        raise damaged(path, "it has no manifest.json")
    size = path.stat().st_size
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > size:
            raise CheckpointError(f"{path}: member {entry.filename!r} is compressed or larger than the file: refused")
        if ".." in entry.filename or entry.filename.startswith(("/", "\\")) or "\\" in entry.filename:
            raise CheckpointError(f"{path}: member {entry.filename!r} points outside the file: refused")
    if archive.getinfo("manifest.json").file_size > _LARGEST_MANIFEST:
        raise CheckpointError(f"{path}: manifest.json is larger than {_LARGEST_MANIFEST:,} bytes: refused")
    manifest = _parse_manifest(path, archive)
    members = manifest["members"]
    extra = set(names) - set(members) - {"manifest.json"}
    if extra or set(members) - set(names):
        raise damaged(path, f"its members are not those of its manifest ({', '.join(sorted(extra ^ set(members)))})")
    arrays = {}
    for name, facts in members.items():
        blob = _blob(path, archive, name)
        if hashlib.sha256(blob).hexdigest() != facts["sha256"]:
            raise damaged(path, f"{name} is not what was written")
        arrays[name.removesuffix(".npy")] = _parse_array(path, name, blob, allow_nan)
    if not whole:
        raise damaged(path, "its bytes are not those that were written")
    return Checkpoint(manifest, arrays)


def _parse_manifest(path: Path, archive: zipfile.ZipFile) -> dict[str, Any]:
    blob = _blob(path, archive, "manifest.json")
    try:
        manifest = json.loads(blob, parse_float=_finite, parse_constant=_finite)
        _refuse_deep(manifest)
        version, members = manifest["format"], manifest["members"]
        if version > VERSION:
            raise CheckpointError(
                f"{path} has format {version}, this rlplay reads up to {VERSION}",
                f"Install rlplay {manifest.get('versions', {}).get('rlplay', '')} or newer".replace("  ", " "),
            )
        for name, facts in members.items():
            if not (name.endswith(".npy") and isinstance(facts["sha256"], str)):
                raise KeyError(name)
    except RecursionError as error:
        raise damaged(path, f"manifest.json is nested more than {_DEEPEST} deep") from error
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise damaged(path, f"manifest.json cannot be understood ({error})") from error
    return manifest


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"it holds {text}")
    return value


def _refuse_deep(value: Any) -> None:
    """Raise a RecursionError where values lie deeper within each other than any that was written."""
    level = [value]
    for _ in range(_DEEPEST):
        inner = [one for one in level if isinstance(one, dict | list)]
        level = [part for one in inner for part in (one.values() if isinstance(one, dict) else one)]
        if not level:
            return
    raise RecursionError


def _blob(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    try:
        return archive.read(name)
    except (zipfile.BadZipFile, EOFError) as error:
        raise damaged(path, f"{name} cannot be read ({error})") from error


def _parse_array(path: Path, name: str, blob: bytes, allow_nan: bool) -> NDArray[Any]:
    try:
        _check_header(blob)
        array: NDArray[Any] = np.load(io.BytesIO(blob), allow_pickle=False)
    except (ValueError, EOFError, OSError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        if b"'O'" in blob[:200] or "pickle" in str(error):
            raise CheckpointError(f"{path}: {name} holds pickled objects: refused, not run") from error
        raise damaged(path, f"{name} is not a plain array ({error})") from error
    if array.dtype == np.bool_ and array.size and array.view(np.uint8).max() > 1:
        raise damaged(path, f"{name} holds truth values that are neither 0 nor 1")
    told = name.removesuffix(".npy").rpartition("/")[2] == _TOLD
    if array.dtype.kind in "fc" and not (allow_nan or told) and not np.isfinite(array).all():
        raise CheckpointError(
            f"{path}: {name} holds NaN or infinite values, the agent is broken",
            "Take an earlier checkpoint, or load it with allow_nan=True",
        )
    return array


def _check_header(blob: bytes) -> None:
    """Refuse a header that does not describe the bytes after it, before anything is allocated by it."""
    file = io.BytesIO(blob)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(file)
    if version not in reader:
        raise ValueError(f"its header has version {version}")
    shape, _, dtype = reader[version](file)
    if dtype.kind == "O":
        raise ValueError("pickle")
    if dtype.kind not in _KINDS or not dtype.isnative:
        raise ValueError(f"its numbers are of type {dtype}")
    told, there = math.prod(shape) * dtype.itemsize, len(blob) - file.tell()
    if told != there or any(n < 0 for n in shape):
        raise ValueError(f"its header promises {told:,} bytes for shape {shape}, and there are {there:,}")


def _array_bytes(name: str, array: NDArray[Any]) -> bytes:
    if array.dtype.kind not in _KINDS:
        raise CheckpointError(f"{name} of type {array.dtype} cannot be saved as a plain array")
    buffer = io.BytesIO()
    np.save(buffer, np.ascontiguousarray(array) if array.ndim else array, allow_pickle=False)
    return buffer.getvalue()


def _json_bytes(value: Any) -> bytes:
    def walk(place: str, part: Any) -> None:
        if isinstance(part, Mapping):
            for key, inner in part.items():
                walk(f"{place}.{key}" if place else str(key), inner)
        elif isinstance(part, list | tuple):
            for index, inner in enumerate(part):
                walk(f"{place}[{index}]", inner)
        else:
            try:
                json.dumps(part, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise CheckpointError(
                    f"{place}={part!r} cannot be saved ({error})", "Give a number, text, or a named form of it"
                ) from error

    walk("", value)
    return json.dumps(value, allow_nan=False, indent=1).encode()


def _digest_of_all(file: IO[bytes]) -> str:
    """The sha256 of a file's bytes but for its last 64, which hold this digest."""
    file.flush()
    rest = file.seek(0, io.SEEK_END) - _DIGEST_LENGTH
    file.seek(0)
    sha = hashlib.sha256()
    while rest > 0:
        block = file.read(min(rest, 2**20))
        if not block:
            break
        sha.update(block)
        rest -= len(block)
    return sha.hexdigest()


# Arrays of observations, which older files hold as float32 whatever their space.
_OBSERVATIONS = ("samples", "obs", "next_obs")


def copy_into(name: str, arrays: dict[str, NDArray[Any]], target: NDArray[Any]) -> None:
    """Copy a named array of a file into its place; a CheckpointError where it is missing or of another kind.

    Older files hold observations of float64 as float32, which are taken as they are.

    Example:
        >>> q = np.zeros(2)
        >>> copy_into("q", {"q": np.array([1.0, 2.0])}, q)
        >>> q.tolist()
        [1.0, 2.0]
        >>> copy_into("w", {}, q)
        Traceback (most recent call last):
            ...
        rlplay.errors.CheckpointError: the file lacks the array w
    """
    found = arrays.get(name)
    if found is None:
        raise CheckpointError(f"the file lacks the array {name}")
    kept = name.rpartition("/")[2] in _OBSERVATIONS
    widened = kept and found.dtype == np.float32 and target.dtype == np.float64
    if found.shape != target.shape or not (found.dtype == target.dtype or widened):
        raise CheckpointError(
            f"{name} is {found.dtype} of shape {found.shape} in the file, {target.dtype} of {target.shape} in the agent"
        )
    target[...] = found
