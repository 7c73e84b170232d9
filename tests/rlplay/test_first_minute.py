"""The first minute: what is imported, the window that waits, and compiling ahead of time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import warnings

import pygame
import pytest

from rlplay.errors import RlplayWarning, UsageError
from rlplay.viewer.waiting import while_waiting


@pytest.fixture
def no_screen(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    pygame.display.quit()  # a test before may have drawn
    yield
    pygame.display.quit()


def python(code: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **env}, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("words", ["from agents import PPO", "from agents import QLearning", "import rlplay, envs"])
def test_agents_are_imported_without_the_libraries_of_the_models(words):
    slow = {"sklearn", "scipy.sparse", "scipy.linalg", "torch", "pygame"}
    code = f"import sys; {words}; print(sorted({slow} & set(sys.modules)))"
    assert python(code) == "[]\n"


def test_work_runs_beside_the_window_that_waits_for_it(no_screen):
    def work():
        while not pygame.display.get_init() or pygame.display.get_caption() != ("rlplay", "rlplay"):
            time.sleep(0.01)
        return threading.current_thread() is threading.main_thread()

    assert while_waiting(work, (640, 400), "a test") is False
    assert pygame.display.get_surface().get_size() == (640, 400)  # what comes next takes the window over


def test_work_that_takes_no_time_opens_no_window(no_screen):
    assert while_waiting(lambda: 7, (640, 400), "a test") == 7
    assert not pygame.display.get_init()


def test_what_the_work_raises_is_raised(no_screen):
    def work():
        time.sleep(0.4)
        raise UsageError("there is none")

    with pytest.raises(UsageError, match="there is none"):
        while_waiting(work, (640, 400), "a test")


@pytest.mark.parametrize(
    "event", [pygame.event.Event(pygame.QUIT), pygame.event.Event(pygame.KEYDOWN, key=pygame.K_q)], ids=["close", "q"]
)
def test_a_window_that_waits_can_be_closed(no_screen, event):
    done = threading.Event()

    def work():
        while not pygame.display.get_init() or not pygame.display.get_surface():
            time.sleep(0.01)
        pygame.event.post(event)
        done.wait(10)

    with pytest.raises(SystemExit) as ended:
        while_waiting(work, (640, 400), "a test")
    done.set()
    assert ended.value.code == 0


@pytest.mark.slow
def test_what_warm_has_compiled_is_not_compiled_again(tmp_path):
    env = {"RLPLAY_CACHE_DIR": str(tmp_path)}
    words = "import sys; from rlplay.cli import main; sys.exit(main(['warm', '--algo', 'q-learning', 'dagger']))"
    out = python(words, **env)
    assert "2 agents" in out
    assert f"found in {tmp_path}" in out
    assert "left out: dagger: DAgger has no teacher to learn from" in out
    code = (
        "from agents import QLearning; from rlplay import evaluate; from rlplay.compiled.cache import compile_report\n"
        "agent = QLearning('CliffWalking-v1', seed=0).learn(100); evaluate(agent, n_eval_episodes=2)\n"
        "print(compile_report()['compiled'])"
    )
    assert python(code, **env) == "0\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--algo", "dagger"], "DAgger has no teacher"),
        (["--algo", "nothing"], "unknown agent 'nothing'"),
        (["--algo", "q-learning", "--env", "Nothing-v0"], "unknown environment 'Nothing-v0'"),
        (["--algo", "q-learning", "--env", "CartPole-v1"], "Box"),
    ],
)
def test_what_cannot_be_compiled_is_said(words, said, capsys):
    from rlplay.cli import main

    assert main(["warm", *words]) == 2
    assert said in capsys.readouterr().err


def test_without_a_folder_for_machine_code_nothing_can_be_kept(monkeypatch, capsys):
    from rlplay.cli import main

    monkeypatch.setattr("rlplay.compiled.kept.cache_folder", lambda: None)
    assert main(["warm", "--algo", "q-learning"]) == 2
    assert "RLPLAY_CACHE_DIR" in capsys.readouterr().err


@pytest.mark.slow  # it compiles from nothing
def test_a_long_compile_is_said_once_by_all_processes_together(tmp_path):
    command = [sys.executable, "-m", "rlplay", "train", "--algo", "ppo", "--env", "CartPole-v1", "-n", "3000"]
    env = {**os.environ, "RLPLAY_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path, check=True)
    assert done.stderr.count("rlplay: compiling") == 1


def test_what_a_command_has_said_the_window_beside_it_does_not_say_again(monkeypatch, capsys):
    import rlplay.cli
    from rlplay.compiled import cache

    def warn_of(words):
        monkeypatch.setattr(rlplay.cli, "_shown", set())
        assert rlplay.cli.main(["which"]) in (0, 2)
        for line in words:
            rlplay.cli._show_warning(line, RlplayWarning, __file__, 1)
        return capsys.readouterr().err

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr(cache, "_clock", {"timer": None, "always": False})
    assert "warning: one" in warn_of(["one"])
    assert cache._clock == {"timer": None, "always": True}
    monkeypatch.setattr(os, "environ", rlplay.cli.beside())
    said = warn_of(["one", "two"])
    assert "warning: two" in said
    assert "warning: one" not in said
    assert cache._clock["timer"]  # nor what it says of compiling


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_command_without_an_output_runs(monkeypatch, capsys, closed):
    from rlplay.cli import main

    monkeypatch.setattr(sys, closed, None)
    assert main(["list"]) == 0
    assert main(["show", "no-agent"]) == 2
    assert getattr(sys, closed).name == os.devnull
    getattr(sys, closed).close()
