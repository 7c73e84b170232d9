"""The quick tests with the lowest version of every dependency: ``python tests/lowest_versions.py``.

A virtual environment of its own, rlplay from this checkout, and each package of ``dependencies`` in pyproject.toml at
its lower bound. A bound is raised where this fails. Words on the command line go to pytest in place of ``-m quick``.
Python itself is the one that runs this. It takes about three minutes, and torch is a large download.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS = ("pytest", "pytest-xdist", "hypothesis")


def lowest() -> list[str]:
    """``name==version`` for every dependency, at its lower bound."""
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return [lower_bound(line) for line in lines]


def lower_bound(line: str) -> str:
    """A dependency at its lower bound.

    Example:
        >>> lower_bound("numba>=0.63,<0.69"), lower_bound("gymnasium[toy-text]>=1.3")
        ('numba==0.63', 'gymnasium==1.3')
    """
    match = re.fullmatch(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+)(?:,<[\d.]+)?", line)
    if match is None:
        raise SystemExit(f"pyproject.toml says {line!r}: name>=A or name>=A,<B is expected")
    return f"{match[1]}=={match[2]}"


def main(words: list[str]) -> int:
    """Install and test; pytest's exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        venv.create(folder / "venv", with_pip=True)
        python = str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python")
        bounds = folder / "lowest.txt"
        bounds.write_text("\n".join(lowest()) + "\n", encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--constraint", str(bounds), "--editable", str(ROOT), *TESTS], check=True)
        print(" ".join(lowest()), flush=True)
        command = [python, "-m", "pytest", *(words or ["-m", "quick"]), "-o", "filterwarnings=default"]
        return subprocess.run(command, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
