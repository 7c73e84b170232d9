"""Every block of the README and the docs runs, and the README's two commands are the ones that CI runs."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import gymnasium as gym
import pytest

from rlplay.cli.arguments import _VERBS, parser

ROOT = Path(__file__).parents[1]
README, LONGER_TEXTS = [ROOT / "README.md"], sorted((ROOT / "docs").rglob("*.md"))
PAGES = [*README, *LONGER_TEXTS]
LESSONS = sorted((ROOT / "rlplay" / "course").rglob("*.md"))  # their code is run by tests/test_course.py
BIN = Path(sys.executable).parent
# Blocks that compile for half a minute and more: `pytest -m slow`.
LONG = (
    "docs/environments.md-3", "docs/models-in-agents.md-2", "docs/off-policy.md-2", "docs/off-policy.md-3",
    "docs/recurrent.md-0", "docs/recurrent.md-1",
)  # fmt: skip


def blocks(language: str, pages: list[Path]) -> list[pytest.param]:
    found = []
    for page in pages:
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.S)):
            name = f"{page.relative_to(ROOT)}-{number}"
            found.append(pytest.param(block, id=name, marks=[pytest.mark.slow] if name in LONG else []))
    return found


def run(command: list[str], folder: Path) -> None:
    env = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "SDL_VIDEODRIVER": "dummy"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def named_files(page_text: str) -> dict[str, str]:
    """The blocks of a page that are files: their first line is the name."""
    return {name: code for code, name in re.findall(r"```python\n(# (\w+\.py)\n.*?)```", page_text, re.S)}


@pytest.mark.parametrize("code", blocks("python", README))
def test_python_blocks_of_the_readme_run(code, tmp_path):
    run([sys.executable, "-c", code], tmp_path)


@pytest.mark.parametrize("code", blocks("python", LONGER_TEXTS))
def test_python_blocks_run(code, tmp_path, monkeypatch):
    """In this process, which has imported and loaded everything already; a block that starts processes in its own."""
    if "workers=" in code or "__main__" in code:
        return run([sys.executable, "-c", code], tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    known = dict(gym.registry)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(code, "block.py", "exec"), {"__name__": "block"})
        finally:
            gym.registry.clear()
            gym.registry.update(known)
    return None


@pytest.mark.slow
def test_the_compiled_environment_of_the_page_is_one_short_file(tmp_path):
    """It passes all three checkers, learns natively, and its loops are compiled once a machine."""
    code = named_files((ROOT / "docs/environments.md").read_text(encoding="utf-8"))["spring.py"]
    assert len(code.splitlines()) < 40
    (tmp_path / "spring.py").write_text(code, encoding="utf-8")
    script = (
        "from gymnasium.utils.env_checker import check_env as check; from stable_baselines3.common.env_checker import "
        "check_env; from rlplay import make_vec; from rlplay.compiled.cache import compile_report; from agents import "
        "LinearSarsa; from spring import Spring; check(Spring()); check_env(Spring());"
        "assert make_vec('spring:Spring', 8).reset(seed=0)[0].shape == (8, 2);"
        "LinearSarsa('spring:Spring', features='tile-coding:8,warm_up=100', seed=0).learn(2000, engine='compiled');"
        "print(compile_report()['compiled'])"
    )
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    counts = []
    for _ in range(2):
        command = [sys.executable, "-W", "ignore", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        counts.append(int(done.stdout.splitlines()[-1]))
    assert counts[0] > counts[1] == 0


@pytest.mark.parametrize("text", blocks("sh", PAGES))
def test_shell_blocks_run(text, tmp_path, commands):
    for page in PAGES:
        for name, code in named_files(page.read_text(encoding="utf-8")).items():
            (tmp_path / name).write_text(code, encoding="utf-8")
    for line in text.strip().splitlines():
        words = shlex.split(line)
        if words[0] != "rlplay":
            assert line.startswith("python3 -m venv .venv && .venv/bin/pip install -e ")
            continue  # the two commands of the README: run by .ci/run, see below
        if words[1] == "watch":
            words += ["--max-steps", "3"]
        env = {**os.environ, "SDL_VIDEODRIVER": "dummy", "RLPLAY_DATA_DIR": str(tmp_path)}
        done = commands.run(words[1:], tmp_path, env)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_readme_names_every_command_and_its_flags_are_known():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in _VERBS if f"rlplay {verb}" not in text] == []
    for line in re.findall(r"`rlplay ([a-z][^`]*)`", text):
        words = shlex.split(line)
        if words[0] in _VERBS:
            parser().parse_args(words)


def test_ci_runs_the_readmes_test_command():
    command = "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest"
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", sorted((ROOT / "docs" / "examples").glob("*.py")), ids=lambda path: path.stem)
def test_examples_run_and_are_short(script, tmp_path):
    code = script.read_text(encoding="utf-8")
    assert len([line for line in code.splitlines() if line.strip()]) <= 25
    run([sys.executable, str(script)], tmp_path)


def excerpts() -> list[pytest.param]:
    """Lines of our files that a page quotes: blocks ```py FILE."""
    found = []
    for page in [*PAGES, *LESSONS]:
        for file, lines in re.findall(r"```py (\S+)\n(.*?)```", page.read_text(encoding="utf-8"), re.S):
            found.append(pytest.param(file, lines, id=f"{page.stem}-{file}"))
    return found


@pytest.mark.parametrize(("file", "lines"), excerpts())
def test_quoted_lines_are_those_of_the_file(file, lines):
    def plain(text):
        return "\n".join(line.strip() for line in text.splitlines() if line.strip())

    assert plain(lines) in plain((ROOT / file).read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_readmes_moving_picture_is_made_anew(tmp_path):
    film = tmp_path / "window.gif"
    subprocess.run([sys.executable, ROOT / "docs" / "tour.py", "-o", film], check=True, capture_output=True)
    assert 500_000 < film.stat().st_size < 2_000_000


def test_links_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
