"""Lowered code that a wheel carries, so that a first start has half as much to do.

Machine code is one processor's; lowered code is written for a system, and comes before it (`numba_linking`). A wheel
built after

    python -m rlplay.compiled.shipped

carries that of every agent, for processors with and without AVX-512, in one archive beside this file. What it holds is
found by content, as in the cache: of another version of Python, numba or this package nothing is taken. Entries of
several versions of Python stand beside each other: run the command with each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

ARCHIVE = Path(__file__).with_name("lowered.zip")
# Settings of numba for a processor, by what tells their lowered code apart: the width of a vector.
PROCESSORS = {
    "AVX-512": {"NUMBA_CPU_NAME": "skylake-avx512", "NUMBA_CPU_FEATURES": "+avx512f,+avx512vl,+avx512dq,+avx512bw"},
    "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"},
}

# Environments whose functions it carries too, beside the first that each agent takes.
ENVIRONMENTS = ("CartPole-v1", "MountainCar-v0", "Pendulum-v1")


def is_there() -> bool:
    """Whether this installation carries lowered code."""
    return _opened(os.getpid()) is not None


def read(name: str) -> bytes | None:
    """The entry of a name; None where there is none, or where it is damaged."""
    archive = _opened(os.getpid())
    try:
        return None if archive is None else archive.read(name)
    except (KeyError, OSError, zipfile.BadZipFile, zlib.error):
        return None


@cache
def _opened(process: int) -> zipfile.ZipFile | None:
    """The archive: a process that is copied needs one of its own, since two would read at one place."""
    try:
        return zipfile.ZipFile(ARCHIVE)
    except (OSError, zipfile.BadZipFile):
        return None


def write(folder: Path, archive: Path) -> int:
    """Add the lowered code in a folder of compiled code to an archive; returns how many entries it has then."""
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        known = set(file.namelist())
        for path in sorted(folder.glob("*.nbl")):
            if path.name not in known:
                file.writestr(zipfile.ZipInfo(path.name), path.read_bytes()[32:], zipfile.ZIP_DEFLATED)
        return len(file.namelist())


def main() -> None:
    """Compile every agent for each processor, and write the archive."""
    ARCHIVE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, settings in PROCESSORS.items():
            given = {**os.environ, **settings, "RLPLAY_CACHE_DIR": folder}
            for places in ((), ("--env", *ENVIRONMENTS)):
                subprocess.run([sys.executable, "-m", "rlplay", "warm", *places], env=given, check=True)
            entries = write(Path(folder), ARCHIVE)
            print(f"{name}: {entries:,} entries, {ARCHIVE.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
