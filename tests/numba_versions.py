"""The cache tests with each minor version of numba that pyproject.toml allows: ``python tests/numba_versions.py``.

For each version: a virtual environment of its own, with the newest NumPy and llvmlite that go with it, rlplay from this
checkout, and the tests of ``tests/compiled``. Packages come from the package index that pip is set up for. It takes
about three minutes a version on two cores; versions on the command line (``0.63 0.68``) restrict it.

The bounds in pyproject.toml are what passes here. A new minor version of numba is tried by naming it, before the upper
bound is raised.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
# What the tests need beside numba; the agents under test need neither torch nor a window.
PACKAGES = ("gymnasium", "scipy", "cloudpickle", "scikit-learn", "pyyaml", "pytest", "pytest-xdist")


def allowed() -> list[str]:
    """The minor versions within the bounds of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (bounds,) = (line for line in project["dependencies"] if line.startswith("numba"))
    match = re.fullmatch(r"numba>=0\.(\d+),<0\.(\d+)", bounds)
    if match is None:
        raise SystemExit(f"pyproject.toml says {bounds!r}: numba>=0.A,<0.B is expected")
    return [f"0.{minor}" for minor in range(int(match[1]), int(match[2]))]


def passes(version: str, folder: Path) -> bool:
    """Whether the cache tests pass with a minor version of numba."""
    place, source = folder / version, folder / f"source-{version}"
    venv.create(place, with_pip=True)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", "build", "*.egg-info")
    shutil.copytree(ROOT, source, ignore=ignored)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, f"numba=={version}.*", *PACKAGES], check=True)
    subprocess.run([*pip, "--no-deps", "--editable", str(source)], check=True)
    names = "import numba, llvmlite, numpy; print(*(m.__version__ for m in (numba, llvmlite, numpy)))"
    told = subprocess.run([str(python), "-c", names], check=True, capture_output=True, text=True).stdout.split()
    print("numba {}, llvmlite {}, NumPy {}".format(*told), flush=True)
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(folder / f"cache-{version}")}
    command = [str(python), "-m", "pytest", "tests/compiled", "-n", "0", "--no-header"]
    return subprocess.run(command, cwd=source, env=env, check=False).returncode == 0


def main(versions: list[str]) -> int:
    """Try the versions, all that are allowed by default; 0 where all pass."""
    with tempfile.TemporaryDirectory() as folder:
        results = {version: passes(version, Path(folder)) for version in versions or allowed()}
    for version, passed in results.items():
        print(f"numba {version}: {'passes' if passed else 'FAILS'}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
