"""Train every agent on fixed seeds, and compare what it learned with an earlier version's, bit for bit.

    python tests/same_bits.py record FOLDER     before a change: the file of each trained agent, and what it says
    python tests/same_bits.py compare FOLDER    after it: the same runs again; says what differs
    python tests/same_bits.py resume FOLDER     loads the earlier files and goes on; says what differs

Bits are the same on one kind of processor and with one set of library versions only. The cases are those of the
contract tests, the slow ones too; ``--only TEXT`` takes those whose name holds it, ``--part K/N`` the K-th of N parts.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).parent
sys.path[0] = str(HERE.parent)  # not tests/, whose folder rlplay would be taken for the package

from tests.contract.cases import CASES, LONG_CASES, Case  # noqa: E402

# What a manifest says of the program that wrote it, not of what was learned.
PASSING = ("versions", "members", "created", "format")


def name_of(number: int, case: Case, engine: str) -> str:
    """The name of a case's file."""
    return re.sub(r"[^\w-]+", "-", f"{number:03d}-{case[0]}-{case[1]}-{engine}")


def run(case: Case, engine: str, env_of: Any) -> Any:
    """The trained agent of a case."""
    from rlplay import registry

    agent_id, env_id, steps, settings = case
    agent = registry.agent_class(agent_id)(env_of(env_id), seed=7, **settings)
    if engine == "python":
        if agent.why_not_compiled():
            return None
        steps = max(steps * 7 // 30, 1)
    return agent.learn(steps, engine=engine)


def words(agent: Any) -> dict[str, Any]:
    """What an agent says of its environment's first observation, and its metrics, as exact text."""
    import numpy as np

    from rlplay import make

    env = make(case_env(agent))
    obs, _ = env.reset(seed=3)
    probe = agent.probe(obs)
    names = ("action_values", "action_probabilities", "action_mean", "action_std", "value", "features")
    found = {name: np.ravel(getattr(probe, name)).tolist() for name in names if getattr(probe, name) is not None}
    found["predict"] = np.asarray(agent.predict(obs, deterministic=True)[0]).ravel().tolist()
    found["metrics"] = agent.metrics()
    return json.loads(json.dumps(found, default=float))


def case_env(agent: Any) -> str:
    """The id of an agent's environment."""
    return str(agent.env.spec.id)


def content(path: Path) -> dict[str, bytes]:
    """The members of a file; the manifest without what passes."""
    found = {}
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            found[name] = file.read(name)
    manifest = json.loads(found["manifest.json"])
    for key in PASSING:
        manifest.pop(key, None)
    found["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return found


def differences(old: Path, new: Path) -> list[str]:
    """What differs between two files."""
    a, b = content(old), content(new)
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


def main() -> int:
    """One of the verbs above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("record", "compare", "resume"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--part", default="1/1")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    given.folder.mkdir(parents=True, exist_ok=True)
    part, parts = (int(n) for n in given.part.split("/"))
    wrong, ran = 0, 0
    for number, case in enumerate([*CASES, *LONG_CASES]):
        for engine in ("auto", "python"):
            name = name_of(number, case, engine)
            path = given.folder / f"{name}.rlp"
            if given.only not in name or number % parts != part - 1 or (given.verb != "record" and not path.exists()):
                continue
            try:
                bad = one(given.verb, case, engine, path)
            except Exception as error:
                bad = [f"{type(error).__name__}: {error}"]
            ran += bad is not None
            if bad:
                wrong += 1
                print(f"DIFFERS {name} {case[3]}: {', '.join(bad)}", flush=True)
    print(f"{ran} runs, {wrong} differ")
    return 1 if wrong else 0


def one(verb: str, case: Case, engine: str, path: Path) -> list[str] | None:
    """One case: what differs, None where it does not apply."""
    from rlplay import load
    from rlplay.errors import CheckpointError

    told, resumed = path.with_suffix(".json"), path.with_suffix(".resumed.rlp")
    if verb == "record":
        agent = run(case, engine, lambda env_id: env_id)
        if agent is not None:
            agent.save(path)
            told.write_text(json.dumps(words(agent)))
            with contextlib.suppress(CheckpointError):  # a metric that is not a number is refused
                load(path).learn(max(case[2] // 10, 1), reset_num_timesteps=False, engine=engine).save(resumed)
        return None if agent is None else []
    with tempfile.TemporaryDirectory() as folder:
        if verb == "compare":
            agent = run(case, engine, lambda env_id: env_id)
            new = agent.save(Path(folder) / "new.rlp")
            bad = differences(path, new)
            before, now = json.loads(told.read_text()), words(agent)
            return bad + [f"says {key}" for key in before if before[key] != now.get(key) and str(before) != str(now)]
        if not resumed.exists():
            return None
        agent = load(path).learn(max(case[2] // 10, 1), reset_num_timesteps=False, engine=engine)
        return differences(resumed, agent.save(Path(folder) / "new.rlp"))


if __name__ == "__main__":
    sys.exit(main())
