"""The cases of `tests/fuzz.py`: what is written of each kind, and how it is used once it is taken.

A case is made by a function of a random generator, the folder with whole files (`Seeds`) and an empty folder to write
to. It returns a description and a function without arguments that loads what was written and uses it.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
SENTINEL = "rlplay_fuzz_sentinel"  # a module that lies on the path and that nothing may import
FIXTURES = ROOT / "tests" / "fixtures" / "files"
LARGE = 1000  # a hyperparameter beyond it asks for much work, rightly: such an agent is loaded and not used

Case = tuple[str, Callable[[], None]]
Members = dict[str, bytes]


# Whole files, made once.


def make_seeds(folder: Path, *, short: bool) -> None:
    """Write the whole files that the cases damage: agents, a map, a run folder, an episode, compiled code."""
    from rlplay.cli import main

    agents = folder / "agents"
    agents.mkdir(parents=True)
    few = ("q-learning", "sarsa-lambda", "n-step-sarsa", "dyna-q", "prioritized-sweeping", "ucb", "linear-sarsa")
    for path in FIXTURES.glob("*.rlp"):
        if not short or path.stem in few:
            shutil.copy(path, agents / path.name)
    if not short:
        _train_cases(agents)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        words = ["train", "--algo", "q-learning", "--env", "FrozenLake-v1", "--seed", "0", "--no-progress"]
        assert main([*words, "-n", "400", "--save-freq", "200", "--eval-freq", "200", "--eval-episodes", "2"]) == 0
    run = folder / "logs" / "q-learning" / "FrozenLake-v1_1"
    (run / "rl_model_200_steps.rlp").replace(run / "FrozenLake-v1.rlp")
    (run / "rl_model_400_steps.rlp").unlink()
    _record_episode(folder / "episode.json")
    if not short:
        (folder / "cache").mkdir()
        assert _compile(folder / "cache") == 0


def _train_cases(agents: Path) -> None:
    from rlplay import registry
    from tests.contract.cases import CASES, LONG_CASES

    for number, (agent_id, env_id, steps, settings) in enumerate([*CASES, *LONG_CASES]):
        agent = registry.agent_class(agent_id)(env_id, seed=number, **settings)
        agent.learn(min(steps, 400)).save(agents / f"case-{number:02d}-{agent_id.replace('/', '-')}")


def _record_episode(path: Path) -> None:
    from rlplay import make
    from rlplay.environments.episode import Episode
    from rlplay.environments.make import reference

    env = make("FrozenLake-v1")
    Episode(reference(env), seed=3, actions=[1, 1, 2]).save(path, env.action_space)


# A file of an agent, taken apart and put together with the right digests.


def take_apart(path: Path) -> tuple[dict[str, Any], Members]:
    """The manifest and the other members of a file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("manifest.json")), members


def put_together(path: Path, manifest: Any, members: Members, *, text: str | bytes | None = None) -> None:
    """Write a file whose digests are right, whatever its content; ``text`` stands in place of the manifest's."""
    if text is None:
        facts = {n: {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for n, b in members.items()}
        text = json.dumps({**manifest, "members": facts})
    write_archive(path, [("manifest.json", text), *members.items()])


def write_archive(path: Path, entries: list[tuple[str, str | bytes]], compression: int = zipfile.ZIP_STORED) -> None:
    """Write an archive of these members in this order, with the digest of all its bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as archive:
        warnings.simplefilter("ignore")  # of names that stand twice
        for name, content in entries:
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # the same seed gives the same bytes
            archive.writestr(entry, content, compression)
        archive.comment = b"0" * 64
    seal(path, buffer.getvalue())


def seal(path: Path, data: bytes) -> None:
    """Write the bytes of an archive with the right digest at their end."""
    path.write_bytes(data[:-64] + hashlib.sha256(data[:-64]).hexdigest().encode())


def array_bytes(array: Any) -> bytes:
    """An array as a member."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def header_bytes(descr: str, shape: str, data: bytes = b"") -> bytes:
    """A member whose header says what it likes."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


# Using what was loaded.


def use_agent(path: Path, draw: random.Random, *, learns: bool = True) -> None:
    """Load a file, ask the agent, and learn a few steps with each engine; RlplayError where that is refused."""
    from rlplay import load
    from rlplay.errors import RlplayError

    agent = load(path)
    if not learns:
        return
    with contextlib.suppress(RlplayError):  # asked outside its environment
        agent.observation_space.seed(draw.randrange(1000))
        obs = agent.observation_space.sample()
        agent.predict(obs)
        agent.probe(obs)
    engines = ["python", "auto"]
    draw.shuffle(engines)
    for engine in engines:
        agent.learn(12, reset_num_timesteps=False, engine="auto" if agent.needs_model else engine)


def command(words: list[str]) -> None:
    """Run a command of rlplay in this process; its exit code tells nothing, only a traceback does."""
    from rlplay import cli
    from rlplay.cli.common import console

    console.cache_clear()
    cli._shown.clear()
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            cli.main(words)
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            raise
    finally:
        console.cache_clear()
    if "Traceback" in said.getvalue():
        raise RuntimeError(f"a traceback was shown: {said.getvalue()[-200:]}")


# Damage.

EXTREMES: list[Any] = [
    -1, -2, 0, 1, 2**15, 2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62, 2**63 - 1, -(2**63), 2**64 - 1, 2**64,
    math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, 0.5, -0.0,
]  # fmt: skip
STRANGE: list[Any] = [
    None, True, False, "", "x", [], {}, [[]], [None], {"a": 1}, 10**40, "NaN", "\x00", "🙂" * 10, [1e308] * 3, [-1],
    f"{SENTINEL}:Thing", f"{SENTINEL}.Thing", f"{SENTINEL}:Thing-v0", {"model": f"{SENTINEL}:Thing", "params": {}},
    "rlplay/Bandit-v0", "sklearn/k-means", "q-learning", "os:system", "../../x",
]  # fmt: skip


def flip_bits(draw: random.Random, data: bytes) -> tuple[str, bytes]:
    """Some bits, a stretch of bytes, or the end, changed."""
    if not data:
        return "nothing", data
    blob, place = bytearray(data), draw.randrange(len(data))
    how = draw.choice(["flip", "flip", "flip", "cut", "zeros", "drop", "double", "noise", "append"])
    length = draw.choice([1, 2, 8, 100, 5000])
    if how == "flip":
        count = draw.choice([1, 1, 1, 2, 8, 64])
        for _ in range(count):
            blob[draw.randrange(len(blob))] ^= 1 << draw.randrange(8)
        return f"{count} bits flipped", bytes(blob)
    if how == "cut":
        return f"cut at {place}", data[:place]
    changed = {
        "zeros": b"\0" * length, "drop": b"", "double": data[place : place + length] * 2,
        "noise": draw.randbytes(length),
    }  # fmt: skip
    if how == "append":
        return f"{length} bytes appended", data + draw.randbytes(length)
    return f"{how} {length} at {place}", data[:place] + changed[how] + data[place + length :]


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all values within JSON, the inner ones too."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*place, key)
        yield from leaves(part, (*place, key))


def at(value: Any, place: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for key in place:
        value = value[key]
    return value


def change_array(draw: random.Random, array: np.ndarray, sizes: list[int]) -> tuple[str, Any]:
    """An array with numbers, a shape or a type that were not written."""
    how = draw.choice(["one", "one", "one", "all", "own", "own", "below", "shape", "type"])
    extremes = [*EXTREMES, *sizes, *(n + 1 for n in sizes), *(n - 1 for n in sizes), *(-n for n in sizes)]
    new = array.copy()
    if how in ("one", "all"):
        value = draw.choice(extremes)
        if array.dtype.kind in "iu":
            bounds = np.iinfo(array.dtype)
            value = min(max(0 if math.isnan(value) else value, bounds.min), bounds.max)
            value = int(value) if not math.isinf(value) else bounds.max
        with np.errstate(all="ignore"):
            if how == "all" or not array.size:
                new[...] = value
                return f"all {value}", new
            place = draw.randrange(array.size)
            new.flat[place] = value
        return f"{value} at {place}", new
    if how == "own" and array.size:  # in range, and not what belongs together
        for _ in range(draw.choice([1, 2, array.size])):
            new.flat[draw.randrange(array.size)] = array.flat[draw.randrange(array.size)]
        return "own values elsewhere", new
    if how == "below" and array.size and array.dtype.kind in "iuf":
        high = max(draw.choice(sizes), 1)
        drawn = [draw.randrange(-1, high) if array.dtype.kind != "u" else draw.randrange(high) for _ in range(64)]
        with np.errstate(all="ignore"):
            new.flat[: min(64, array.size)] = np.array(drawn[: array.size]).astype(array.dtype)
        return f"numbers below {high}", new
    if how == "type":
        name = draw.choice(
            ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?", "c16", ">f8", ">i8", "S4", "U2", "M8[s]"]
        )
        with np.errstate(all="ignore"), contextlib.suppress(ValueError, TypeError):
            return f"as {name}", array.astype(name)
        return f"as {name}", np.zeros(array.shape, name)
    shapes = [(), (0,), (1,), array.shape[1:], (*array.shape, 1), (1, *array.shape), array.shape[::-1],
              tuple(n + 1 for n in array.shape), tuple(max(n - 1, 0) for n in array.shape), (array.size,)]  # fmt: skip
    shape = draw.choice(shapes)
    return f"of shape {shape}", np.resize(array, shape) if array.size else np.zeros(shape, array.dtype)


def change_manifest(draw: random.Random, manifest: dict[str, Any], sizes: list[int]) -> tuple[str, bool]:
    """Change one value of a manifest; what was done, and whether the agent may have become one that works long."""
    places = [place for place in leaves(manifest) if place[0] not in ("members", "versions")]
    numbers = [p for p in places if isinstance(at(manifest, p), int | float) and not isinstance(at(manifest, p), bool)]
    place = draw.choice(numbers if numbers and draw.random() < 0.7 else places)
    holder, key = at(manifest, place[:-1]), place[-1]
    how, name = draw.random(), ".".join(map(str, place))
    if place in numbers and how < 0.8:
        value = draw.choice([*EXTREMES, *sizes, *(n + 1 for n in sizes)])
    elif how < 0.15:
        del holder[key]
        return f"{name} left out", False
    elif how < 0.25 and isinstance(holder, dict):
        holder[draw.choice(["extra", "", "__class__", "model", "actions"])] = draw.choice(STRANGE)
        return f"a key beside {name}", False
    else:
        value = draw.choice(STRANGE)
    holder[key] = value
    works = "hyperparameters" in place or "params" in place or "kwargs" in place
    return f"{name} = {value!r:.60}", works and isinstance(value, int | float) and not -LARGE <= value <= LARGE


def _agents(seeds: Path) -> list[Path]:
    return sorted((seeds / "agents").glob("*.rlp"))


# Kinds.


def bits(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """A file of an agent with flipped bits, cut, or overwritten in part."""
    source = draw.choice(_agents(seeds))
    done, data = flip_bits(draw, source.read_bytes())
    path = folder / "agent.rlp"
    path.write_bytes(data)

    def use() -> None:
        use_agent(path, draw)
        if data != source.read_bytes():
            raise RuntimeError("a damaged file was taken")

    return f"{source.stem}: {done}", use


def numbers(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Numbers, shapes, types and members that were not written, under right digests."""
    source = draw.choice(_agents(seeds))
    manifest, members = take_apart(source)
    arrays = {name: np.load(io.BytesIO(blob)) for name, blob in members.items()}
    sizes = sorted({1, 2, *(n for array in arrays.values() for n in array.shape)})
    done, long = [], False
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        how = draw.random()
        name = draw.choice(sorted(members)) if members else ""
        whole = [
            n for n in sorted(members) if arrays[n].dtype.kind in "iu" and n.startswith(("agent", "models", "run"))
        ]
        if how < 0.35 and whole and draw.random() < 0.6:
            name = draw.choice(whole)
        if how < 0.55 and members:
            said, new = change_array(draw, arrays[name], sizes)
            members[name] = array_bytes(new)
            said = f"{name} {said}"
        elif how < 0.6 and members:
            del members[name]
            said = f"{name} left out"
        elif how < 0.65 and members:
            other = draw.choice(["agent/extra.npy", "x.npy", f"{name[:-4]}/more.npy", f"agent/{SENTINEL}.npy"])
            members[other] = members[name]
            said = f"{other} added"
        elif how < 0.7 and len(members) > 1:
            other = draw.choice(sorted(members))
            members[name], members[other] = members[other], members[name]
            said = f"{name} and {other} exchanged"
        else:
            said, grown = change_manifest(draw, manifest, sizes)
            long = long or grown
        done.append(said)
        arrays = {n: arrays.get(n, np.zeros(1)) for n in members}
    path = folder / "agent.rlp"
    put_together(path, manifest, members)
    return f"{source.stem}: {'; '.join(done)}", lambda: use_agent(path, draw, learns=not long)


def archives(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Tricks of archives: names twice or outside, bombs, sizes and headers of what is not there."""
    source, path = draw.choice(_agents(seeds)), folder / "agent.rlp"
    manifest, members = take_apart(source)
    first = next(iter(members), "x.npy")
    names = [
        "../../evil.npy",
        "/etc/evil.npy",
        "..\\evil.npy",
        "a/../../b.npy",
        "C:\\evil.npy",
        "x" * 60_000,
        "a\x00.npy",
        "manifest.json/x.npy",
        "a",
        ".npy",
        "agent/",
        "агент.npy",
    ]
    huge = ["(10000000000,)", "(2**62,)", "(4611686018427387904, 4)", "(-1,)", "(-8, -8)", "(0, 10000000000)", "(1.5,)",
            "[3]", "3", "()", "(" * 5000 + ")" * 5000, "(True,)", "(1,) * 10**9", "(1," * 300 + ")" * 300]  # fmt: skip
    kinds = [
        "'<f8'",
        "'|O'",
        "'<U1000000000'",
        "'|V1000000000'",
        "[('a', '<f8')]",
        "'<f16'",
        "'x'",
        "None",
        "'|b1'",
        "{'names': ['a'], 'formats': ['<f8']}",
        "'>i8'",
        "'<M8[s]'",
        "[('a', '<f8', (1000000, 1000000))]",
    ]
    how = draw.choice(["twice", "outside", "bomb", "sizes", "sizes", "header", "header", "many", "comment", "nested"])
    said = how
    if how == "twice":
        twice = draw.choice(["manifest.json", first])
        entries = [("manifest.json", json.dumps(manifest)), *members.items(), (twice, draw.randbytes(50))]
        draw.shuffle(entries)
        write_archive(path, entries)
    elif how == "outside":
        said = f"{how}: {(name := draw.choice(names))!r:.40}"
        put_together(path, manifest, {**members, name: members.get(first, array_bytes(np.zeros(2)))})
    elif how == "bomb":
        method = draw.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
        write_archive(path, [("manifest.json", json.dumps(manifest)), (first, b"\0" * 20_000_000)], method)
    elif how == "sizes":
        put_together(path, manifest, members)
        data = bytearray(path.read_bytes())
        for _ in range(draw.choice([1, 2, 4])):  # fields of a header in the archive's directory
            mark = draw.choice([b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"])
            starts = [i for i in range(len(data) - 50) if data[i : i + 4] == mark]
            if starts:
                place = draw.choice(starts) + draw.randrange(4, 46)
                value = draw.choice([2**32 - 1, 2**31, 0, 1, len(data), draw.randrange(2**32)])
                data[place : place + 4] = struct.pack("<I", value)
        seal(path, bytes(data))
    elif how == "header":
        shape, kind = draw.choice(huge), draw.choice(kinds) if draw.random() < 0.5 else "'<f8'"
        said = f"{how}: {kind} {shape:.40}"
        put_together(
            path, manifest, {**members, first: header_bytes(kind, shape, draw.randbytes(draw.choice([0, 8, 64])))}
        )
    elif how == "many":
        more = {f"agent/{i}.npy": b"" for i in range(draw.choice([9000, 10_001]))}
        put_together(path, manifest, {**members, **more})
    elif how == "comment":
        put_together(path, manifest, members)
        path.write_bytes(path.read_bytes()[:-64] + draw.choice([b"", b"0" * 64, b"\xff" * 64, draw.randbytes(64)]))
    else:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            archive.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest))
        put_together(path, manifest, {**members, first: inner.getvalue()})
    return f"{source.stem}: {said}", lambda: use_agent(path, draw)


def json_texts(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Manifests that are no text, too deep, of numbers too long, or of other values."""
    source, path = draw.choice(_agents(seeds)), folder / "agent.rlp"
    manifest, members = take_apart(source)
    facts = {n: {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for n, b in members.items()}
    whole = {**manifest, "members": facts}
    places = list(leaves(whole))
    place = draw.choice([(key,) for key in whole] if draw.random() < 0.5 else places)
    depth = draw.choice([90, 101, 1000, 100_000])
    raw = draw.choice(
        [
            "[" * depth + "]" * depth,
            '{"a":' * depth + "1" + "}" * depth,
            "9" * 10_000,
            "9" * 300,
            "-" + "9" * 4000,
            "1e999",
            "NaN",
            "-Infinity",
            "1E400",
            '"\\ud800"',
            '"\\u0000"',
            "null",
            "true",
            "[]",
            "{}",
            "",
            "01",
            "'a'",
            '"a',
            "1e-400",
            "[" + "0," * 100_000 + "0]",
            '"' + "x" * 1_000_000 + '"',
            '{"a": 1, "a": 2}',
            "0.1e1",
            str(2**63),
            str(2**64),
        ]
    )
    changed = copy.deepcopy(whole)
    holder = at(changed, place[:-1])
    how = draw.choice(["raw", "raw", "raw", "left out", "bytes", "alone"])
    if how == "left out":
        del holder[place[-1]]
        text: str | bytes = json.dumps(changed)
    elif how == "alone":
        text = raw
    elif how == "bytes":
        text = flip_bits(draw, json.dumps(whole).encode())[1]
    else:
        holder[place[-1]] = "@here@"
        text = json.dumps(changed).replace('"@here@"', raw)
    with contextlib.suppress(UnicodeEncodeError):
        put_together(path, None, members, text=text)
    long = "hyperparameters" in place or "params" in place or "kwargs" in place or how == "bytes"
    return f"{source.stem}: {how} at {place!r:.60}: {raw!r:.30}", lambda: use_agent(path, draw, learns=not long)


def maps(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Maps of GridWorld, FrozenLake and the racetrack, as files and within an agent's."""
    import envs
    from rlplay import make

    home = Path(envs.__file__).parent
    path = folder / "map.txt"
    how = draw.choice(["map", "map", "map", "track", "desc"])
    if how == "desc":
        side = draw.choice([0, 1, 2, 4, 300, 3000])
        row = "".join(draw.choice("SFHG") for _ in range(side))
        desc: Any = draw.choice(
            [
                ["S" + row[1:], *[row] * (side - 1)],
                [row, row[:-1]],
                "SFHG",
                [],
                [""],
                [["S", "G"]],
                5,
                [None],
                ["SG", 3],
                {"a": 1},
                ["XX", "XX"],
                ["🙂G"],
                [1.5],
            ]
        )
        name = draw.choice(["FrozenLake-v1", "FrozenLake8x8-v1"])
        source = next(p for p in _agents(seeds) if p.stem == "q-learning")
        manifest, members = take_apart(source)
        manifest["env"]["kwargs"]["desc"] = desc
        manifest["env"]["id"] = name
        put_together(folder / "agent.rlp", manifest, members)

        def run() -> None:
            from rlplay.errors import RlplayError

            with contextlib.suppress(RlplayError):
                use_agent(folder / "agent.rlp", draw)
            _walk(lambda: make(name, desc=desc), draw)

        return f"desc of {side}: {desc!r:.40}", run
    track = how == "track"
    text = draw.choice(sorted((home / ("tracks" if track else "maps")).glob("*.txt"))).read_text(encoding="utf-8")
    lines = text.splitlines()
    heads = [
        "step reward: 1e999",
        "slip: nan",
        "slip: -1",
        "moves: 5",
        "wind: 99999999999",
        "wind: 1 2 3",
        "wind: nan",
        "cell X: jump Y",
        "cell G: wall start terminal",
        "cell A: jump A",
        "bump reward: inf",
        "title:",
        "x: 1",
        "goal reward: " + "9" * 5000,
        "cell Z: reward 1e308",
        "wind: " + "1 " * 10_000,
        "cell #: restart",
    ]
    done = []
    for _ in range(draw.choice([1, 2, 4])):
        kind = draw.choice(["character", "character", "head", "drop", "double", "row", "cut"])
        at_line = draw.randrange(len(lines)) if lines else 0
        done.append(kind)
        if kind == "head" or not lines:
            lines.insert(0, draw.choice(heads))
        elif kind == "character" and lines[at_line]:
            column = draw.randrange(len(lines[at_line]))
            character = draw.choice(".#SGHC~FX9\x00\t🙂: ")
            lines[at_line] = lines[at_line][:column] + character + lines[at_line][column + 1 :]
        elif kind == "drop":
            del lines[at_line]
        elif kind == "double":
            lines *= draw.choice([2, 2, 50])
        elif kind == "row":
            lines.insert(at_line, draw.choice(".#S") * draw.choice([1, 50, 100_000]))
        else:
            lines[at_line] = lines[at_line][: len(lines[at_line]) // 2]
    data = "\n".join(lines).encode()
    if draw.random() < 0.2:
        said, data = flip_bits(draw, data)
        done.append(said)
    path.write_bytes(data)
    name = (
        {"env_id": "rlplay/Racetrack-v0", "track": str(path)}
        if track
        else {"env_id": "rlplay/GridWorld-v0", "map": str(path)}
    )
    return f"{how}: {', '.join(done)}", lambda: _walk(
        lambda: make(name["env_id"], **dict(list(name.items())[1:])), draw
    )


def _walk(made: Callable[[], Any], draw: random.Random) -> None:
    """Some steps in an environment, as it is and by compiled code."""
    from agents import QLearning

    env = made()
    env.reset(seed=draw.randrange(100))
    for _ in range(5):
        env.action_space.seed(draw.randrange(100))
        if any(env.step(env.action_space.sample())[2:4]):
            env.reset()
    if env.observation_space.n < 10**6:
        QLearning(made(), seed=0).learn(20)


YAML = """default: {n_timesteps: 10, policy: MlpPolicy, alpha: 0.1, gamma: 0.9, epsilon: lin_0.5}
FrozenLake-v1:
  n_timesteps: !!float 10
  alpha: lin_0.1
  gamma: 0.95
  epsilon: 0.1
  normalize: "dict(norm_obs=True)"
  env_wrapper: [{gymnasium.wrappers.TimeLimit: {max_episode_steps: 10}}]
"""


def yaml_texts(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Settings of the RL Zoo."""
    values = [
        "-1",
        ".nan",
        ".inf",
        "1e999",
        "9" * 5000,
        "[1, 2]",
        "{a: 1}",
        "",
        "~",
        "!!binary abc",
        "2020-99-99",
        "'x'",
        "!!python/object/apply:os.system ['true']",
        f"!!python/name:{SENTINEL}.Thing",
        f"{SENTINEL}.Thing",
        "lin_",
        "lin_x",
        "lin_-1",
        "dict(",
        "dict(a=__import__('os'))",
        "dict(a=" * 200 + "1" + ")" * 200,
        "&a [*a]",
        "[" * 5000,
        "*b",
        f"[{{{SENTINEL}.Thing: {{}}}}]",
        "{1: 2}",
        "0x7fffffffffffffff",
        "1:1:1",
        "yes",
        "!!set {a}",
        "nn.ReLU",
        "!!timestamp x",
        "!!omap [a: 1]",
        "? [a]",
        "!!int a",
        "!!float a",
        "!!float 1e999",
    ]
    keys = [
        "n_timesteps",
        "alpha",
        "gamma",
        "epsilon",
        "normalize",
        "env_wrapper",
        "policy",
        "features",
        "n_envs",
        "frame_stack",
        "unknown",
        "policy_kwargs",
        "callback",
        "default",
        "traces",
        "seed",
    ]
    text, done = YAML, []
    for _ in range(draw.choice([1, 2])):
        key, value = draw.choice(keys), draw.choice(values)
        lines = [line for line in text.splitlines() if not line.startswith(f"  {key}:")]
        lines.insert(draw.choice([2, len(lines)]), f"  {key}: {value}")
        text = "\n".join(lines) + "\n"
        done.append(f"{key}: {value:.40}")
    data = text.encode()
    if draw.random() < 0.25:
        said, data = flip_bits(draw, data)
        done.append(said)
    if draw.random() < 0.05:
        done, levels = ["nine levels of nine names"], ["a: &a [x, x, x, x, x, x, x, x, x]"]
        levels += [f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
        data = ("\n".join(levels) + "\nFrozenLake-v1: *i\n").encode()
    path = folder / "settings.yml"
    path.write_bytes(data)
    algo = draw.choice(["q-learning", "q-learning", "sarsa-lambda", "linear-sarsa"])
    words = [
        "train",
        "--algo",
        algo,
        "--env",
        "FrozenLake-v1",
        "-conf",
        str(path),
        "-n",
        "20",
        "-f",
        str(folder / "logs"),
    ]
    return "; ".join(done), lambda: command([*words, "--no-progress", "--seed", "0"])


def episodes(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Files of episodes."""
    text = (seeds / "episode.json").read_text()
    data, path, whole = text.encode(), folder / "episode.json", json.loads(text)
    how = draw.choice(["value", "value", "value", "raw", "bits"])
    if how == "bits":
        said, data = flip_bits(draw, data)
    else:
        place = draw.choice(list(leaves(whole)))
        holder = at(whole, place[:-1])
        value = draw.choice([*EXTREMES, *STRANGE, ["a"], [1.5], [[0]], [10**30], {"a": [0]}, [True], list(range(5))])
        holder[place[-1]], said = value, f"{place} = {value!r:.40}"
        if how == "raw":
            said = raw = draw.choice(
                ["[" * 100_000, "9" * 5000, '{"a":' * 100_000, "Infinity", "1e999", '"\\ud800"', ""]
            )
            holder[place[-1]] = "@here@"
        else:
            raw = ""
        data = json.dumps(whole).replace('"@here@"', raw).encode()
    path.write_bytes(data)
    return said[:60], lambda: command(["replay", str(path), "--check"])


def runs(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Folders of runs: settings, logs, evaluations, checkpoints."""
    shutil.copytree(seeds / "logs", folder / "logs")
    run = folder / "logs" / "q-learning" / "FrozenLake-v1_1"
    path = draw.choice(sorted(p for p in run.rglob("*") if p.is_file()))
    how = draw.choice(["bits", "bits", "gone", "folder", "empty", "value"])
    data = path.read_bytes()
    if how == "bits":
        said, data = flip_bits(draw, data)
        path.write_bytes(data)
    elif how == "gone":
        said = how
        path.unlink()
    elif how == "folder":
        said = how
        path.unlink()
        path.mkdir()
    elif how == "empty" or b"\0" in data:
        said = "empty"
        path.write_bytes(b"")
    else:  # a word of a text
        words = data.decode().replace(",", " , ").split(" ")
        said = words[draw.randrange(len(words))] = draw.choice(
            ["nan", "-1", "9" * 30, "[]", "é", '"', "\x00", "1e999", "{}", "x", "", f"{SENTINEL}:Thing", "a: b"]
        )
        path.write_text(" ".join(words), encoding="utf-8")
    told = f"{path.relative_to(run)}: {said!r:.30}"

    def use() -> None:
        command(["list", "runs", "-f", str(folder / "logs")])
        command(["eval", str(run), "--eval-episodes", "1"])
        command(["train", "--resume", str(run), "--no-progress"])

    return told, use


COMPILED = """
import sys
from rlplay.compiled.cache import compiled
@compiled
def share(x, k):
    return x / (k + 1)
@compiled
def rule(x, n):
    total = 0.0
    for k in range(n):
        total += share(x, k)
    return total
assert rule(1.0, 4) == 1.0 + 1 / 2 + 1 / 3 + 1 / 4
"""


def _compile(cache: Path) -> int:
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    (cache / "script.py").write_text(COMPILED)
    done = subprocess.run(
        [sys.executable, str(cache / "script.py")],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        sys.stderr.write(done.stderr.decode(errors="replace"))
    return done.returncode


def caches(draw: random.Random, seeds: Path, folder: Path) -> Case:
    """Entries of the compile cache, used by a process of its own."""
    cache = folder / "cache"
    shutil.copytree(seeds / "cache", cache)
    path = draw.choice(sorted(cache.glob("*.nb?")))
    if path.suffix == ".nbl":  # lowered code is read where there is no machine code
        for machine_code in cache.glob("*.nbc"):
            machine_code.unlink()
    said, data = flip_bits(draw, path.read_bytes())
    path.write_bytes(data)

    def use() -> None:
        code = _compile(cache)
        if code < 0:
            os.kill(os.getpid(), -code)
        if code:
            raise RuntimeError(f"the process ended with {code}")

    return f"{path.name:.40}: {said}", use


# Kinds with their share of all cases.
KINDS: dict[str, tuple[Callable[[random.Random, Path, Path], Case], float]] = {
    "bits": (bits, 0.2), "numbers": (numbers, 0.5), "archives": (archives, 0.07), "json": (json_texts, 0.08),
    "maps": (maps, 0.05), "yaml": (yaml_texts, 0.04), "episodes": (episodes, 0.04), "runs": (runs, 0.019),
    "cache": (caches, 0.001),
}  # fmt: skip


def kind_of(seed: int, index: int) -> str:
    """The kind of a case."""
    draw = random.Random(f"{seed}:{index}:kind")
    return draw.choices(list(KINDS), [share for _, share in KINDS.values()])[0]


def make_case(seed: int, index: int, seeds: Path, folder: Path, kind: str = "") -> Case:
    """Write a case to an empty folder: the same for the same seed, index and whole files."""
    return KINDS[kind or kind_of(seed, index)][0](random.Random(f"{seed}:{index}"), seeds, folder)
