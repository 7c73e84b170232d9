"""Film the first minute on a machine that has compiled nothing: `python docs/first_minute.py FILE.mp4`.

A screen of its own, a terminal, an empty cache: ``rlplay demo`` for 25 seconds, then a PPO that learns while one
watches. The clock in the corner starts with the first command. Needs Xvfb, openbox, xterm and ffmpeg; leave the
machine alone meanwhile.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SIZE = "1280x960"
TOOLS = ("Xvfb", "openbox", "xterm", "ffmpeg")
SECONDS = 60
TYPED = """
say() {{ printf '\\033[1m$ %s\\033[0m\\n' "$*"; }}
say rlplay demo
timeout 25 {python} -m rlplay demo --size 960x600
say rlplay train --algo ppo --env CartPole-v1 --watch
{python} -m rlplay train --algo ppo --env CartPole-v1 --watch --size 960x600
"""


def main() -> None:
    """Film."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("output", type=Path, help="the film (.mp4)")
    output = reader.parse_args().output.resolve()
    if absent := [tool for tool in TOOLS if shutil.which(tool) is None]:
        raise SystemExit(f"not installed: {', '.join(absent)}")
    with tempfile.TemporaryDirectory() as folder, subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", f"{SIZE}x24"], stdout=subprocess.PIPE, text=True
    ) as screen:  # fmt: skip
        assert screen.stdout is not None
        display = f":{screen.stdout.readline().strip()}"
        given = {
            **os.environ, "DISPLAY": display, "RLPLAY_CACHE_DIR": f"{folder}/cache", "HOME": folder,
            "PYTHONPATH": str(ROOT), "SDL_VIDEODRIVER": "x11", "SDL_AUDIODRIVER": "dummy",
        }  # fmt: skip
        typed = Path(folder, "typed.sh")
        typed.write_text(TYPED.format(python=sys.executable))
        started = [subprocess.Popen(["openbox"], env=given)]
        time.sleep(1)
        clock = "drawtext=text='%{pts\\:hms}':x=w-tw-16:y=16:fontsize=28:fontcolor=white"
        film = subprocess.Popen(
            ["ffmpeg", "-loglevel", "error", "-y", "-f", "x11grab", "-video_size", SIZE, "-framerate", "10",
             "-i", display, "-t", str(SECONDS), "-vf", clock, "-c:v", "libx264", "-crf", "30",
             "-pix_fmt", "yuv420p", str(output)],
        )  # fmt: skip
        terminal = ["xterm", "-geometry", "110x8+8-8", "-fa", "DejaVu Sans Mono", "-fs", "11", "-e", "bash", str(typed)]
        started.append(subprocess.Popen(terminal, env=given, cwd=folder))
        film.wait()
        for process in reversed(started):
            process.terminate()
            process.wait()
        screen.terminate()
    print(f"{output}   {output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
