"""The zip that Stable-Baselines3's ``model.save`` writes, read as data: nothing in it is imported or run.

Members: ``data`` (JSON; what JSON cannot hold is a pickle in base64, with readable texts beside it), ``policy.pth`` and
the like (torch's own zips of tensors: a pickle that names them, and their bytes), the version, ``system_info.txt``. The
pickles are read by `rlplay.storage.inert_pickle`, which only writes down what they would call.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
import stat
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rlplay.errors import CheckpointError, counted
from rlplay.storage.files import as_path, explain_missing
from rlplay.storage.inert_pickle import Call, Elsewhere, Name, read_pickle

_MOST_MEMBERS = 100
_MOST_TENSORS = 10_000
_LARGEST = 4 * 2**30  # bytes of all members together
_LARGEST_DATA = 256 * 2**20  # bytes of the JSON
_MOST_MARKS = 1_000_000  # characters of the JSON that begin a value
_SHARED = 16  # how often a tensor's numbers may be another's too: policies name an extractor three times
_GREATEST_RATIO = 100  # of a member's size to what it takes in the zip
_TEXTS = frozenset(["data", "_stable_baselines3_version", "system_info.txt"])
_STORAGES = {
    "FloatStorage": "<f4", "DoubleStorage": "<f8", "HalfStorage": "<f2", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "<i1", "ByteStorage": "<u1", "BoolStorage": "?",
}  # fmt: skip
_READING = (
    zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, RuntimeError, ValueError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class ModelZip:
    """What a zip of Stable-Baselines3 holds.

    Attributes:
        path: of the zip.
        data: the JSON of ``data``; values that are pickles are as `value` reads them.
        tensors: by the name of the member without its ending, then by the tensor's own name.
        optimizers: the state of each optimiser: ``{0: {"step": ..., "exp_avg": ...}}``, by the parameter's number.
        version: Stable-Baselines3's, which wrote it; empty where it does not say.
    """

    path: Path
    data: dict[str, Any]
    tensors: dict[str, dict[str, NDArray[Any]]]
    optimizers: dict[str, dict[int, dict[str, NDArray[Any]]]] = field(default_factory=dict)
    version: str = ""

    def value(self, name: str) -> Any:
        """A value of ``data``: of JSON as it is, of a pickle as `read_pickle` gives it; None where there is none."""
        found = self.data.get(name)
        if not (isinstance(found, dict) and ":serialized:" in found):
            return found
        try:
            blob = base64.b64decode(str(found[":serialized:"]), validate=True)
        except (binascii.Error, ValueError) as error:
            raise CheckpointError(f"{self.path} is damaged: {name} is not in base64") from error
        return read_pickle(blob, f"{name} of {self.path}")


def read_model_zip(path: str | Path) -> ModelZip:
    """Read a zip of Stable-Baselines3 as data; never runs code.

    Raises:
        CheckpointError: damaged, or refused: a member too large, twice, outside of the zip, a link, encrypted or none
            of Stable-Baselines3's; a tensor that is none; says which.
        UnknownNameError: no such file; names the nearest.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "model.zip"
        ...     with zipfile.ZipFile(path, "w") as archive:
        ...         archive.writestr("data", '{"gamma": 0.99}')
        ...     read_model_zip(path).value("gamma")
        0.99
    """
    path = as_path(path)
    if not path.is_file():
        raise explain_missing(path, "zip", "*.zip")
    with open(path, "rb") as file:
        start = file.read(4)
        if start[:1] == b"\x80":
            raise CheckpointError(f"{path} is a pickle, which could run any code: refused, not run")
        if start[:2] != b"PK":
            if start == b"vers":
                raise CheckpointError(
                    f"{path} is a pointer of Git LFS, not the file itself", "Get it: git lfs pull, or download it"
                )
            raise CheckpointError(f"{path} is damaged: it is empty, truncated or no zip", _ANEW)
        try:
            with zipfile.ZipFile(file) as archive:
                _require_whole(path, file, archive)
                return _read(path, archive)
        except CheckpointError:
            raise
        except _READING as error:
            raise CheckpointError(f"{path} is damaged: it cannot be read as a zip ({error})", _ANEW) from error


def _require_whole(path: Path, file: IO[bytes], archive: zipfile.ZipFile) -> None:
    """Refuse a zip that is cut, whose last whole zip within is all that is found, and one with bytes around it."""
    if min((entry.header_offset for entry in archive.infolist()), default=0) > 0:
        raise CheckpointError(f"{path} is damaged: it is cut, or something else stands before it", _ANEW)
    size = file.seek(0, io.SEEK_END)
    file.seek(max(size - 2**17, 0))  # an end and its longest comment
    _, _, end = file.read().rpartition(b"PK\x05\x06")
    after = len(end) - 18 - len(archive.comment)
    if after > 0:
        raise CheckpointError(f"{path} is damaged: {counted(after, 'byte')} of something else follow its end", _ANEW)


_ANEW = "Download it again, or save it anew with model.save"


def _read(path: Path, archive: zipfile.ZipFile) -> ModelZip:
    entries = _checked(path, archive)
    if "data" not in entries:
        if "manifest.json" in entries:
            raise CheckpointError(f"{path} is an agent's own file, no zip of Stable-Baselines3", "rlplay eval reads it")
        raise CheckpointError(f"{path} has no member data: it is no zip of Stable-Baselines3")
    strange = sorted(name for name in entries if name not in _TEXTS and not name.endswith((".pth", "/")))
    if strange:
        raise CheckpointError(f"{path}: {strange[0]!r} is no member of a zip of Stable-Baselines3: refused, not run")
    data = _json(path, _member(path, archive, entries["data"], _LARGEST_DATA))
    tensors: dict[str, dict[str, NDArray[Any]]] = {}
    optimizers: dict[str, dict[int, dict[str, NDArray[Any]]]] = {}
    for name, entry in entries.items():
        if name.endswith(".pth") and entry.file_size:
            found = _tensors(f"{name} of {path}", _member(path, archive, entry))
            stem = name.removesuffix(".pth")
            if found is None:  # there are no variables
                continue
            if isinstance(found.get("state"), dict) and "param_groups" in found:
                optimizers[stem] = _optimizer(f"{name} of {path}", found["state"])
            else:
                tensors[stem] = {str(key): value for key, value in found.items() if isinstance(value, np.ndarray)}
    version = entries.get("_stable_baselines3_version")
    text = _member(path, archive, version, 100).decode("ascii", "replace").strip() if version else ""
    return ModelZip(path, data, tensors, optimizers, text)


def _checked(what: Any, archive: zipfile.ZipFile, most: int = _MOST_MEMBERS) -> dict[str, zipfile.ZipInfo]:
    """The entries of a zip by name, none of which is larger than it may be, or is or points to something else."""
    entries = archive.infolist()
    if len(entries) > most:
        raise CheckpointError(f"{what} has {len(entries):,} members, more than {most:,}: refused")
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename
        if name in found:
            raise CheckpointError(f"{what} has two members of the name {name!r}: refused")
        parts = name.replace("\\", "/").split("/")
        if ".." in parts or name.startswith(("/", "\\")) or "\\" in name or ":" in name or "\0" in name:
            raise CheckpointError(f"{what}: member {name!r} points outside of it: refused")
        mode = entry.external_attr >> 16
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise CheckpointError(f"{what}: member {name!r} is a link or no regular file: refused")
        if entry.flag_bits & 1:
            raise CheckpointError(f"{what}: member {name!r} is encrypted: refused")
        if entry.file_size > _GREATEST_RATIO * max(entry.compress_size, 1) + 1024:
            raise CheckpointError(
                f"{what}: member {name!r} takes {entry.compress_size:,} bytes and promises {entry.file_size:,}: refused"
            )
        found[name] = entry
    total, packed = (sum(getattr(entry, size) for entry in entries) for size in ("file_size", "compress_size"))
    if total > _LARGEST:
        raise CheckpointError(f"{what} promises {total:,} bytes, more than {_LARGEST:,}: refused")
    there = archive.start_dir
    if packed > there:
        raise CheckpointError(f"{what}: its members overlap, {packed:,} bytes of them in {there:,}: refused")
    return found


def _member(what: Any, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int = _LARGEST) -> bytes:
    if entry.file_size > most:
        raise CheckpointError(f"{what}: member {entry.filename!r} has {entry.file_size:,} bytes: refused")
    with archive.open(entry) as file:
        blob = file.read(entry.file_size + 1)
    if len(blob) != entry.file_size:
        raise CheckpointError(f"{what} is damaged: {entry.filename!r} is not as long as it says")
    return blob


def _json(path: Path, blob: bytes) -> dict[str, Any]:
    if sum(blob.count(mark) for mark in (b"[", b"{", b",")) > _MOST_MARKS:
        raise CheckpointError(f"{path}: data has more than {_MOST_MARKS:,} values: refused")
    try:
        data = json.loads(blob)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged: data is no JSON ({' '.join(str(error).split())[:80]})") from error
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} is damaged: data is no JSON object")
    return data


# torch's zips: a pickle of names, and the numbers of each storage.


def _tensors(what: str, blob: bytes) -> dict[Any, Any] | None:
    """The dictionary that ``torch.save`` wrote, its tensors as arrays; None where it wrote nothing."""
    if blob[:2] != b"PK":
        raise CheckpointError(f"{what} is not in the zip format of torch 1.6 and later: refused, not run")
    try:
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            entries = _checked(what, archive, _MOST_TENSORS)
            stored = [entry for entry in entries.values() if entry.compress_type != zipfile.ZIP_STORED]
            if stored:
                raise CheckpointError(f"{what}: member {stored[0].filename!r} is compressed: refused")
            pickles = [name for name in entries if name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise CheckpointError(f"{what} has {len(pickles)} members data.pkl, not one: refused")
            root = pickles[0].removesuffix("data.pkl")
            order = entries.get(f"{root}byteorder")
            if order is not None and _member(what, archive, order, 100) != b"little":
                raise CheckpointError(f"{what} has numbers of a big-endian machine: refused")
            found = read_pickle(_member(what, archive, entries[pickles[0]]), what)
            storages = {
                name.removeprefix(f"{root}data/"): entry
                for name, entry in entries.items()
                if name.startswith(f"{root}data/")
            }
            read = {key: _member(what, archive, entry) for key, entry in storages.items()}
    except CheckpointError:
        raise
    except _READING as error:
        raise CheckpointError(f"{what} is damaged: it cannot be read as a zip ({error})") from error
    if found is None:
        return None
    if not isinstance(found, dict):
        raise CheckpointError(f"{what} holds {_named(found)} where named tensors are expected: refused, not run")
    _require_few(what, found, len(blob))
    return _resolved(what, found, read, 0)


def _require_few(what: str, found: Any, size: int) -> None:
    """Refuse tensors that stand for many times the bytes that there are."""
    level, promised = [found], 0
    while level and promised <= _SHARED * size:
        calls = [one for one in level if isinstance(one, Call)]
        for one in calls:
            inner = one.arguments[0] if one.arguments and isinstance(one.arguments[0], Call) else one
            shape = inner.arguments[2] if isinstance(inner.arguments, tuple) and len(inner.arguments) > 2 else ()
            if isinstance(shape, tuple) and all(type(n) is int for n in shape):
                promised += math.prod(shape)
        level = [value for one in level if isinstance(one, dict) for value in one.values()]
    if promised > _SHARED * size:
        raise CheckpointError(f"{what} has tensors of more than {_SHARED * size:,} numbers in {size:,} bytes: refused")


def _resolved(what: str, found: Any, storages: dict[str, bytes], depth: int) -> Any:
    """Dictionaries of tensors as dictionaries of arrays; anything that is none is refused."""
    if isinstance(found, dict) and depth < 4:
        return {key: _resolved(what, value, storages, depth + 1) for key, value in found.items()}
    if isinstance(found, Call):
        return _tensor(what, found, storages)
    if isinstance(found, list) and depth == 1:  # an optimiser's groups of parameters
        return None
    if isinstance(found, bool | int | float | None) and depth > 0:
        return found
    raise CheckpointError(f"{what} holds {_named(found)} where a tensor is expected: refused, not run")


def _tensor(what: str, found: Call, storages: dict[str, bytes]) -> NDArray[Any]:
    try:
        if found.name == "torch._utils._rebuild_parameter":
            found = found.arguments[0]
        if found.name != "torch._utils._rebuild_tensor_v2":
            raise CheckpointError(f"{what} would call {_named(found)}: refused, not run")
        source, offset, shape, strides = found.arguments[:4]
        if not isinstance(source, Elsewhere):
            raise CheckpointError(f"{what} has a tensor without numbers: refused")
        tag, kind, key, *_ = source.key
        if tag != "storage" or not isinstance(kind, Name) or kind.module != "torch" or kind.name not in _STORAGES:
            raise CheckpointError(f"{what} has a tensor of {_named(kind)}: refused")
        numbers = np.frombuffer(storages[key], _STORAGES[kind.name])
        whole = all(type(n) is int and n >= 0 for n in (offset, *shape, *strides))
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        count = math.prod(shape)
        if not whole or count > len(numbers) or (count and last >= len(numbers)):
            raise CheckpointError(f"{what} has a tensor of shape {shape} beyond its {len(numbers):,} numbers: refused")
        if not count:
            return np.zeros(shape, numbers.dtype)
        view = np.lib.stride_tricks.as_strided(
            numbers[offset:], shape, [step * numbers.itemsize for step in strides], writeable=False
        )
        return np.ascontiguousarray(view).reshape(shape)
    except CheckpointError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError) as error:
        raise CheckpointError(f"{what} is damaged: a tensor is not as torch writes it ({error})") from error


def _named(found: Any) -> str:
    """What a pickle names, in a word."""
    if isinstance(found, Call):
        return _named(found.function)
    return str(found) if isinstance(found, Name) else f"a {type(found).__name__}"


def _optimizer(what: str, state: dict[Any, Any]) -> dict[int, dict[str, NDArray[Any]]]:
    """The state of an optimiser, by the number of the parameter."""
    found: dict[int, dict[str, NDArray[Any]]] = {}
    for number, parts in state.items():
        if type(number) is not int or not isinstance(parts, dict):
            raise CheckpointError(f"{what} is damaged: it is no state of an optimiser")
        found[number] = {str(name): np.asarray(value) for name, value in parts.items() if value is not None}
    return found
